"""What the change of a unit's aggregate from one of its groups to the next is made of, with estimated weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...errors import DataError, ModelError
from ...numerics.changes import PARTS, decomposed, moves_of, pairs_of, tied
from ...posterior.intervals import check_level
from ...table.columns import Column, read_table
from ...table.levels import encode, ranks
from ..fitted import Fitted
from ..labels import group_index
from .members import MOST, Members, members
from .scenarios import numeric

CONTRIBUTIONS, EFFECTS = "contributions", "effects"


def changes(
    fit: Fitted,
    unit: Any,
    value: str | Sequence[str] | None = None,
    block: str | None = None,
    *,
    time: Any = None,
    ci: float = 0.95,
    random_seed: int | None = None,
) -> pd.DataFrame:
    """What the change of an aggregate from one group of a unit to the next is made of, with the fit's weights.

    The groups of a unit (the governments of a country) are its spells in time. The change of the weighted sum over
    members is decomposed into reallocation, change of attributes, entry and exit, as
    :func:`micromacro.memberships.changes` does for given weights.

    Parameters
    ----------
    unit : str or Series
        Column of groups that the model uses (such as a unit term), or a Series by group.
    value : str or list of str, optional
        What is summed: ``"contributions"`` (default), covariates times coefficients plus effects, on the scale of the
        linear predictor; ``"effects"``, those of the members; or a numeric column of the block.
    block : str, optional
        Which member block; may be left out where there is one.
    time : str or Series, optional
        What orders the groups of a unit, a column or a Series by group; by default the group's id.
    ci : float
    random_seed : int, optional
        Of the draws from the normal approximation (ml, reml).

    Returns
    -------
    DataFrame
        One row per pair of successive groups, indexed by unit and later group (before these by value if several are
        given): ``previous`` (the earlier group), ``reallocation``, ``attributes``, ``entry``, ``exit``, ``total``
        (posterior means or estimates, which add up), and of each its spread and interval: ``total_sd`` or
        ``total_se``, ``total_lower``, ``total_upper`` and so on. At most 1,000 draws are used; of ml and reml they
        come from the normal approximation.

    Raises
    ------
    ModelError
        For models without member blocks, unknown blocks and values, and contributions of blocks that are not weighted
        sums.
    DataError
        If a unit or a time is missing or unknown, two groups of a unit have the same time, or no unit has two groups.
    """
    check_level(ci)
    of = members(fit, block, random_seed=random_seed)
    rows, groups = of._part.memberships, fit.specification.tables.group_levels
    assert groups is not None
    name, units = _by_group(fit, unit, "unit")
    codes, levels = encode(units)
    pairs = pairs_of(codes, _order(fit, time, codes, levels.values))
    if not len(pairs[0]):
        raise DataError(f"no {name} has two groups, so there is no change: give unit= a column with fewer values")
    moves = moves_of(rows.group, rows.member, pairs, len(groups))
    names = [value] if isinstance(value, str) else [CONTRIBUTIONS] if value is None else list(value)
    index = pd.MultiIndex.from_arrays(
        [levels.values[codes[pairs[1]]], groups.values[pairs[1]]], names=[name, groups.name]
    )
    tables = []
    for each in names:
        read, effects = _values(of, each)

        def statistic(theta: np.ndarray, x: np.ndarray, read: Any = read) -> np.ndarray:
            return decomposed(moves, of._weights(theta, x), read(theta, x)).ravel()

        rng = np.random.default_rng(random_seed)
        numbers = fit.posterior.numbers_by_draws(statistic, ci, rng, MOST, effects or of.reads_effects)
        table = pd.DataFrame({"previous": groups.values[pairs[0]]}, index=index)
        point = numbers.point.reshape(-1, len(PARTS))
        table[list(PARTS)] = point
        spread, low, high = (a.reshape(point.shape) for a in (numbers.spread, numbers.lower, numbers.upper))
        for k, part in enumerate(PARTS):
            table[f"{part}_{fit.posterior.words.spread}"] = spread[:, k]
            table[f"{part}_lower"], table[f"{part}_upper"] = low[:, k], high[:, k]
        tables.append(table)
    return tables[0] if isinstance(value, str) or value is None else pd.concat(tables, keys=names, names=["value"])


def _values(of: Members, name: str) -> tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], bool]:
    """The values (memberships,) at theta and x by a name, and whether they need effects."""
    table = of._part.memberships.table
    if name == EFFECTS:
        if of._structure() is None:
            raise ModelError(f"block {of.name!r} has no effects (effects=none): name a column as value=")
        return (lambda theta, x: of._effects_there(theta[None], x[None])[0]), True
    if name == CONTRIBUTIONS:
        return (lambda theta, x: of._each_value(theta[None], x[None])[0]), True
    columns = [n for n, c in table.columns.items() if numeric(c) or c.kind == "bool"]
    if name not in columns:
        known = ", ".join([CONTRIBUTIONS, EFFECTS, *columns])
        raise ModelError(f"value={name!r} is not a numeric column of block {of.name!r} ({known})")
    fixed = table[name].values.astype(float)
    return (lambda *_: fixed), False


def _by_group(fit: Fitted, given: Any, what: str) -> tuple[str, Column]:
    """A column with one value per group, and its name."""
    s = fit.specification
    if isinstance(given, str):
        if given not in s.tables.groups:
            raise DataError(
                f"{what}={given!r} is not a column of groups that the model uses "
                f"({', '.join(s.tables.groups.columns)}); give a Series by group for others, such as "
                f"data.groupby({s.request.group!r})[{given!r}].first()"
            )
        return given, s.tables.groups[given]
    if given is None:
        raise DataError(f"{what}= says which groups belong together: a column of groups, or a Series by group")
    series, index = pd.Series(given), group_index(s, None)
    if not series.index.is_unique:
        raise DataError(f"{what}= has a group twice: give one value per group")
    lost = index.difference(series.dropna().index)
    if len(lost):
        raise DataError(f"{what}= has no value for {len(lost)} of {s.groups} groups (first: {lost[0]})")
    name = what if series.name is None else str(series.name)
    return name, read_table({name: series.reindex(index).tolist()}, f"{what}=")[name]


def _order(fit: Fitted, time: Any, unit: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Ranks in time (groups,), none of them twice within a unit."""
    if time is None:
        return np.arange(len(unit))
    name, column = _by_group(fit, time, "time")
    order = ranks(column)
    both = tied(unit, order)
    if len(both):
        ids = fit.specification.tables.ids[both]
        raise DataError(
            f"groups {ids[0]!s} and {ids[1]!s} of {units[unit[both[0]]]!s} have the same {name}: give each group of "
            "a unit a time of its own"
        )
    return order
