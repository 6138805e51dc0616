"""How a unit's aggregate changes from one of its groups to the next, and how many of its members do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..errors import DataError, ModelError, warn
from ..numerics.changes import NEAR, PARTS, Moves, decomposed, moves_of, pairs_of, tied, turned_over
from ..table.columns import Column, read_table
from ..table.levels import Levels, encode, ranks
from ..table.screen import counted, listed
from ..table.slots import long_table, number_column
from .shared import column_list, refuse_gaps, refuse_same_names, text_arguments

Rule = Literal["none", "group"]


def changes(
    data: Any,
    member: str | None = None,
    group: str | None = None,
    value: str | Sequence[str] | None = None,
    weights: str | None = None,
    *,
    unit: Any = None,
    time: Any = None,
    normalize: Rule = "none",
    ci: float = 0.95,
    random_seed: int | None = None,
) -> Any:
    r"""What the change of an aggregate from one spell of a unit to the next is made of, exactly.

    The groups of a unit (the governments of a country, the line-ups of a team) are its spells in time. The aggregate
    of a spell is :math:`A = \sum_j w_j x_j`. Its change is the sum of four parts: reallocation (weights of members who
    stay), attributes (values of members who stay), entry, and exit; see :ref:`the decomposition <changes>`.

    Parameters
    ----------
    data : table or Fit
        One row per membership. Of a fit, with its estimated weights: see :meth:`micromacro.Fit.changes`; `member` is
        then the block, and `unit`, `time` and `value` are as there.
    member, group : str
        Columns of members and groups. A missing member id is an empty slot.
    value : str or list of str
        The column (or columns) to aggregate: numbers, or true and false.
    weights : str, optional
        Column of weights; 1 / (number of filled slots) by default.
    unit : str, optional
        Column that says which groups are spells of the same unit. Without it `group` is the unit, and its spells are
        told apart by `time`.
    time : str, optional
        Column that orders the spells of a unit, one value in each; by default they are ordered by the group's id.
    normalize : {"none", "group"}
        Whether to divide the weights by their sum in the spell. Reallocation, entry and exit are relative to the mean
        of both aggregates where the weights of both spells sum to 1, else to 0.
    ci : float
        Of a fit only: probability of the intervals.
    random_seed : int, optional
        Of a fit only.

    Returns
    -------
    table
        One row per pair of successive spells, by unit and time, in the library of `data`: the unit, the later spell
        under the name of its column, ``previous`` (the earlier one), ``value`` if several are given, ``reallocation``,
        ``attributes``, ``entry``, ``exit``, ``total``. The first spell of a unit has no row.

    Raises
    ------
    DataError
        If ids, times, values or weights are missing, a spell belongs to two units or has two times, two spells of a
        unit have the same time, a sum of weights to divide by is zero, or no unit has two spells.
    """
    if hasattr(type(data), "changes"):  # a fit, which has this as its own method
        if group is not None or weights is not None or normalize != "none":
            raise ModelError("a fit knows its groups and weights: leave group=, weights= and normalize= out")
        return data.changes(unit, value, member, time=time, ci=ci, random_seed=random_seed)
    if value is None:
        raise DataError("value= names no column: give the column whose aggregate changes")
    several = not isinstance(value, str)
    names = column_list(value, "value") if several else [value]
    if not names:
        raise DataError("value= names no column: give the column whose aggregate changes")
    refuse_same_names(*names)
    spells = _spells(data, member, group, weights, (unit, time), normalize, names)
    parts = [decomposed(spells.moves, spells.weight, spells.values[name]) for name in names]
    columns = spells.labels(len(names))
    if several:
        columns["value"] = np.repeat(np.array(names, dtype=object), len(parts[0]))
    stacked = np.concatenate(parts)
    columns |= {part: stacked[:, k] for k, part in enumerate(PARTS)}
    return long_table(data, columns, [], np.arange(len(stacked)))


def turnover(
    data: Any,
    member: str,
    group: str,
    weights: str | None = None,
    *,
    unit: str | None = None,
    time: str | None = None,
    normalize: Rule = "none",
) -> Any:
    """How much of the membership changes from one spell of a unit to the next.

    Parameters
    ----------
    data, member, group, weights, unit, time, normalize
        As in :func:`changes`.

    Returns
    -------
    table
        One row per pair of successive spells: the unit, the later spell under the name of its column, ``previous``;
        ``stayed``, ``entered``, ``left`` (numbers of members), ``entry_weight`` (weight of those who entered, in the
        later spell), ``exit_weight`` (of those who left, in the earlier one), ``moved`` (half the sum of the absolute
        differences of all weights: the share that changed hands where weights sum to 1), ``jaccard`` (members in one
        spell only, as a share of those in either). Join it to the groups by the later spell's column to use these as
        covariates; the first spell of a unit has no row.

    Raises
    ------
    DataError
        As :func:`changes`.
    """
    spells = _spells(data, member, group, weights, (unit, time), normalize, [])
    columns = spells.labels(1) | turned_over(spells.moves, spells.weight)
    return long_table(data, columns, [], np.arange(len(spells.moves.before)))


@dataclass(frozen=True, eq=False)
class _Spells:
    """Spells out of a table.

    Attributes
    ----------
    moves : Moves
    weight : (memberships,) array
    values : dict of (memberships,) arrays
    unit : str and (spells,) array
        Name and values of the column of units.
    spell : str and (spells,) array
        Name and values of the column that tells the spells of a unit apart.
    """

    moves: Moves
    weight: np.ndarray
    values: dict[str, np.ndarray]
    unit: tuple[str, np.ndarray]
    spell: tuple[str, np.ndarray]

    def labels(self, times: int) -> dict[str, np.ndarray]:
        """Unit, later and earlier spell of each pair, so many times over."""
        before, after = np.tile(self.moves.before, times), np.tile(self.moves.after, times)
        return {
            self.unit[0]: self.unit[1][after], self.spell[0]: self.spell[1][after], "previous": self.spell[1][before],
        }  # fmt: skip


def _spells(
    data: Any,
    member: str | None,
    group: str | None,
    weights: str | None,
    when: tuple[Any, Any],
    normalize: str,
    values: list[str],
) -> _Spells:
    """Read a table and find the spells of each unit."""
    unit, time = when
    text_arguments(member=member, group=group, weights=weights, unit=unit, time=time)
    if member is None or group is None:
        raise DataError("member= and group= name the columns of members and groups: give both")
    if unit is None and time is None:
        raise DataError("give unit=, the column of which the groups are spells, or time=, the spells of each group")
    if normalize not in ("none", "group"):
        raise DataError(f'normalize= is "none" or "group", not {normalize!r}')
    refuse_same_names(member, group, *(n for n in (unit, time) if n is not None))
    table = read_table(data, "data", [c for c in (member, group, unit, time, weights, *values) if c is not None])
    keys = [c for c in (group, unit, time) if c is not None]
    for name in keys:
        refuse_gaps(table[name].missing, name)
    codes = {name: encode(table[name]) for name in keys}
    spell, first, of_unit, order = _of_rows(codes, ranks(table[time or group]), group, unit, time)
    pairs = pairs_of(of_unit, order)
    if not len(pairs[0]):
        raise DataError(f"no {unit or group} has two spells, so there is no change: check unit= and time=")
    own = unit or group
    refuse_same_names(own, "previous", "value", *PARTS)
    seen = group if unit is not None else str(time)
    labels = [(name, _ids(codes[name][1])[codes[name][0][first]]) for name in (own, seen)]
    refuse_same_names(seen, "previous", "value", *PARTS)
    filled = np.flatnonzero(~table[member].missing)
    if not len(filled):
        raise DataError(f"all slots of {member!r} are empty: there is no membership")
    moves = moves_of(spell[filled], encode(table[member])[0][filled], pairs, len(first))
    weight = _weights(table, weights, (spell, filled, len(first)), normalize, dict([labels[1]]))
    numbers = {n: _numbers(table, n, "value", filled) for n in values}
    return _Spells(moves, weight, numbers, labels[0], labels[1])


def _of_rows(
    codes: dict[str, tuple[np.ndarray, Levels]], rank: np.ndarray, group: str, unit: str | None, time: str | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Spell of each row; of each spell a row that has it, its unit and its order."""
    if unit is None:
        assert time is not None
        key = codes[group][0] * len(codes[time][1]) + codes[time][0]
    else:
        key = codes[group][0]
        for name in (unit, time):
            if name is not None:
                _refuse_varying(key, codes[name], name, codes[group][1])
    _, first, spell = np.unique(key, return_index=True, return_inverse=True)
    of_unit = codes[unit or group][0][first]
    order = rank[first]
    both = tied(of_unit, order)
    if len(both):
        one, other = codes[group][1].values[codes[group][0][first[both]]]
        which = codes[unit or group][1].values[of_unit[both[0]]]
        raise DataError(
            f"groups {one!s} and {other!s} of {unit} {which!s} have the same {time}: give each spell of a unit a time "
            "of its own"
        )
    return spell.reshape(-1), first, of_unit, order


def _refuse_varying(group: np.ndarray, column: tuple[np.ndarray, Levels], name: str, groups: Levels) -> None:
    """Refuse a column with two values in one group."""
    code, levels = column
    order = np.lexsort([code, group])
    differs = np.flatnonzero((group[order][1:] == group[order][:-1]) & (code[order][1:] != code[order][:-1]))
    if len(differs):
        at = order[differs[0] : differs[0] + 2]
        one, other = levels.values[code[at]]
        raise DataError(
            f"column {name!r} must be constant within a group, but group {groups.values[group[at[0]]]!s} has "
            f"{one!s} and {other!s}"
        )


def _ids(levels: Levels) -> np.ndarray:
    """Ids, text as objects."""
    return levels.values.astype(object) if levels.values.dtype.kind == "U" else levels.values


def _numbers(table: Any, name: str, what: str, rows: np.ndarray) -> np.ndarray:
    """Numbers of the filled slots, none of them missing."""
    column: Column = number_column(table, name, what)
    gaps = rows[column.missing[rows]]
    if len(gaps):
        raise DataError(
            f"column {name!r} is missing in {counted(len(gaps), 'row')} with a member (first: {listed(gaps)}), rows "
            "counted from 0: fill it in or remove the rows"
        )
    return column.values[rows].astype(float)


def _weights(
    table: Any,
    name: str | None,
    where: tuple[np.ndarray, np.ndarray, int],
    normalize: str,
    labels: dict[str, np.ndarray],
) -> np.ndarray:
    """Weights of the filled slots."""
    spell, filled, spells = where
    at = spell[filled]
    size = np.bincount(at, minlength=spells)
    if name is None:
        return 1.0 / size[at]
    weight = _numbers(table, name, "weights", filled)
    sums = np.bincount(at, weight, spells)
    if normalize == "group":
        zero = np.flatnonzero((size > 0) & (sums == 0.0))
        if len(zero):
            ((column, ids),) = labels.items()
            raise DataError(
                f"the weights {name!r} sum to zero in {counted(len(zero), 'spell')} (first: {column} "
                f"{ids[zero[0]]!s}), so they cannot be divided by it: leave these spells out, or give "
                'normalize="none"'
            )
        return weight / sums[at]
    nearly = (np.abs(sums - 1.0) > NEAR) & (np.abs(sums - 1.0) < 0.02)
    if nearly.any():
        warn(
            f"the weights {name!r} sum to nearly 1 in {counted(int(nearly.sum()), 'spell')}, so the parts there are "
            'relative to 0 and not to the mean of the aggregates: normalize="group" makes the sums 1'
        )
    return weight
