"""Posterior predictive checks: a statistic of the outcomes against that of outcomes replicated from the fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ...errors import DataError, ModelError
from ...model.specification import Specification
from ...posterior.base import Posterior
from ...posterior.intervals import quantiles
from ..labels import group_index
from .calibration import REMEDY, transformable
from .loo import groups_of

DEFAULT = ("mean", "sd", "min", "max")
Statistic = Callable[[np.ndarray], Any]
STATISTICS: dict[str, Statistic] = {
    "mean": np.mean, "sd": lambda y: float(np.std(y, ddof=1)) if len(y) > 1 else 0.0, "min": np.min, "max": np.max,
    "median": np.median, "q10": lambda y: float(np.quantile(y, 0.1)), "q90": lambda y: float(np.quantile(y, 0.9)),
    "zeros": lambda y: float(np.mean(y == 0)),
}  # fmt: skip


def check(posterior: Posterior, replicated: np.ndarray, stat: Any, by: Any, ci: float) -> pd.DataFrame:
    """Observed and replicated statistics (see ``Fit.ppc``).

    Parameters
    ----------
    replicated : (draws, groups) array
        Outcomes drawn from the fit, in the order of the model.
    """
    s = posterior.specification
    observed = observations(s)
    statistics = shares_of_categories(s) if s.family.nominal and stat == DEFAULT else named(stat)
    rows, labels = [], []
    for label, where in sets_of(s, by):
        for name, function in statistics.items():
            value = float(function(observed[where]))
            made = np.array([float(function(y)) for y in replicated[:, where]])
            low, high = quantiles(made[:, None], ci)
            p = float(np.mean(made > value) + 0.5 * np.mean(made == value))
            rows.append((len(where), value, made.mean(), made.std(ddof=1), low[0], high[0], p))
            labels.append((label, name))
    index = pd.MultiIndex.from_tuples(labels, names=[by if isinstance(by, str) else "set", "statistic"])
    columns = [f"{s.tables.noun}s", "observed", "replicated", "sd", "lower", "upper", "p"]
    out = pd.DataFrame(rows, index, columns)
    return out.droplevel(0) if by is None else out


def observations(specification: Specification) -> np.ndarray:
    """Outcomes on the scale on which they are simulated; censored ones cannot be compared with draws."""
    s = specification
    known = s.family.known(s.response)
    if not known.exact.all():
        count = int(np.sum(~known.exact))
        raise ModelError(
            f"{count} of {s.groups} outcomes are censored, so their statistics are not those of replicated durations: "
            + ("use loo_pit(), which accounts for it" if transformable(s) else REMEDY)
        )
    return known.low if s.family.trials(s.response.values) is not None else s.outcome


def shares_of_categories(specification: Specification) -> dict[str, Statistic]:
    """How often each category occurs, of categories whose numbers mean nothing."""

    def share(number: int) -> Statistic:
        return lambda y: float(np.mean(y == number))

    categories = specification.response.categories
    return {f"share of {name}": share(k) for k, name in enumerate(categories, start=1)}


def named(stat: Any) -> dict[str, Statistic]:
    """Statistics by name: words, functions of an array, or a dictionary of these."""
    if isinstance(stat, Mapping):
        return {str(k): named(v)[next(iter(named(v)))] for k, v in stat.items()}
    if isinstance(stat, (list, tuple)):
        return {k: v for one in stat for k, v in named(one).items()}
    if callable(stat):
        return {str(getattr(stat, "__name__", "statistic")): stat}
    if stat not in STATISTICS:
        raise ModelError(f"stat= is {', '.join(STATISTICS)}, or a function of an array of outcomes, not {stat!r}")
    return {stat: STATISTICS[stat]}


def sets_of(specification: Specification, by: Any) -> list[tuple[Any, np.ndarray]]:
    """Labelled sets of groups: all of them, those of each unit or member, of each value of a column or Series."""
    s = specification
    if by is None:
        return [("all", np.arange(s.groups))]
    if isinstance(by, str) and (by in s.members or by in s.units):
        sets, levels = groups_of(s, by)
        return [(level, where) for level, where in zip(levels.values.tolist(), sets, strict=True) if len(where)]
    if isinstance(by, str):
        if by not in s.tables.groups:
            known = ", ".join([*s.members, *s.units, *s.tables.groups.columns])
            raise DataError(
                f"by={by!r} is not a block, a unit or a column of groups that the model uses ({known}); give a "
                "Series by group for others"
            )
        values = pd.Series(s.tables.groups[by].values)
    else:
        index = group_index(s, None)
        given = pd.Series(by)
        if not (index.is_unique and given.index.is_unique):
            raise DataError(
                "by= or the data has labels that occur twice, so they do not identify a row: use reset_index()"
            )
        lost = index.difference(given.index)
        if len(lost):
            raise DataError(f"by= has no value for {len(lost)} of {s.groups} groups (first: {lost[0]})")
        values = given.reindex(index).reset_index(drop=True)
    return [(value, np.flatnonzero(values == value)) for value in sorted(values.unique())]
