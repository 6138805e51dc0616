"""What two fits must share before they are compared: the same rows, that is, the same outcomes.

Groups have ids; where every row is an observation, its place (or the label that a pandas index gives it) says which it
is. The model keeps them in an order of its own, which depends on the columns that it uses; nothing here does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..families.base import Family
from ..model.specification import Specification
from .labels import group_index, shown_order


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The outcomes of a fit in the order in which users see them.

    Attributes
    ----------
    name : str
        The outcome as it was written.
    family : Family
    index : pandas.Index
        Ids of groups; of rows the labels of a pandas frame, else their numbers.
    observed : (n,) array
        The outcome as it is shown.
    values : (4, n) array
        All that is known of it: between what it lies (censoring), its entry, its trials, its set, whatever the family.
    weight : (n,) array
        Observation weights.
    rows : bool
        Whether every row is an observation, without an id of its own.
    """

    name: str
    family: Family
    index: pd.Index
    observed: np.ndarray
    values: np.ndarray
    weight: np.ndarray
    rows: bool

    def __len__(self) -> int:
        return len(self.observed)

    @property
    def noun(self) -> str:
        """What one outcome belongs to."""
        return "observations" if self.rows else "groups"


def outcomes_of(specification: Specification) -> Outcomes:
    """The outcomes of a model."""
    s = specification
    order = shown_order(s, None)
    known, trials = s.family.known(s.response), s.family.trials(s.response.values)
    values = np.zeros((4, s.groups))
    values[0], values[1] = known.low, known.high
    if s.entry is not None:
        values[2] = s.entry
    values[3] = 1.0 if trials is None else trials
    if s.response.sets is not None:
        values[3] = s.response.sets.codes
    return Outcomes(
        s.outcome_name, s.family, group_index(s, None)[order], s.outcome[order], values[:, order],
        s.response.weight[order], s.tables.order is not None,
    )  # fmt: skip


def left_out_outcomes(specification: Specification) -> Outcomes:
    """The same of what leaves together: each group, or each set of groups, whose outcome is the place of the chosen."""
    s, sets = specification, specification.response.sets
    if sets is None:
        return outcomes_of(s)
    order = shown_order(s, None)
    codes, chosen = sets.codes[order], s.outcome[order]
    by_set = np.argsort(codes, kind="stable")
    place = np.empty(len(codes))
    place[by_set] = np.arange(len(codes)) - sets.start[codes[by_set]]
    values = np.zeros((4, len(sets)))
    values[0] = values[1] = np.bincount(codes, place * chosen, len(sets))
    values[3] = sets.sizes
    weight = np.bincount(codes, s.response.weight[order] * chosen, len(sets))
    return Outcomes(s.outcome_name, s.family, pd.Index(sets.labels, name=sets.name), values[0], values, weight, False)


def matched(one: Outcomes, other: Outcomes) -> np.ndarray | None:
    """Places in `other` of the rows of `one`; None if they are not the same rows.

    Groups are matched by id, rows by the labels of the frames where both name the same rows, else by their place. Rows
    beside groups are matched by place, else by their outcomes where no two are equal.
    """
    if len(one) != len(other):
        return None
    for places in _candidates(one, other):
        if _agree(one, other, places):
            return places
    return None


def _candidates(one: Outcomes, other: Outcomes) -> list[np.ndarray]:
    by_place = np.arange(len(one))
    if one.rows != other.rows:
        out = [by_place]
        if len(np.unique(one.observed)) == len(np.unique(other.observed)) == len(one):
            places = np.empty(len(one), dtype=np.int64)
            places[np.argsort(one.observed)] = np.argsort(other.observed)
            out.append(places)
        return out
    by_label = _by_label(one.index, other.index)
    if not one.rows:
        return [] if by_label is None or one.index.names != other.index.names else [by_label]
    return [by_place] if by_label is None else [by_label, by_place]


def _by_label(one: pd.Index, other: pd.Index) -> np.ndarray | None:
    """Places in `other` of the labels of `one`, where both have the same ones and each once.

    Those of a categorical column are text, and may be numbers in the other one.
    """
    if not (one.is_unique and other.is_unique) or one.nlevels != other.nlevels:
        return None
    for ours, others in ((one, other), (one.map(str), other.map(str))):
        places = np.asarray(others.get_indexer(ours)) if others.is_unique else np.array([-1])
        if not np.any(places < 0):
            return places
    return None


def _agree(one: Outcomes, other: Outcomes, places: np.ndarray) -> bool:
    if not np.array_equal(one.weight, other.weight[places]):
        return False
    return _near(one.observed, other.observed[places]) and _near(one.values, other.values[:, places])


def _near(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether outcomes are the same but for rounding; what was not seen agrees with what was not."""
    return np.allclose(a, b, rtol=1e-12, atol=0.0, equal_nan=True)


def same_multiset(one: Outcomes, other: Outcomes) -> bool:
    """Whether two fits have the same outcomes in some order: all that is known where ties hide which row is which."""
    return len(one) == len(other) and _near(np.sort(one.observed), np.sort(other.observed))
