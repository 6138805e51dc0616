"""Memberships from spells: who belonged to which group, from when to when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DataError
from ..table.columns import days, read_table
from ..table.screen import counted, listed
from ..table.slots import long_table
from .common import check_present, codes


def from_spells(
    data: Any,
    member: str,
    group: str,
    start: str,
    end: str,
    *,
    since: Any = None,
    until: Any = None,
    values: Sequence[str] = (),
) -> Any:
    """Memberships from spells: who belonged to which group, from when to when; the weight is the share of time.

    Parameters
    ----------
    data : table
        One row per spell. A member may have several spells in a group; they are added up and must not overlap.
    member, group : str
        Columns of ids.
    start, end : str
        Columns of numbers, dates or times. A spell without an end lasts to `until`.
    since, until : number or date, optional
        Spells are cut to this window.
    values : sequence of str
        Further columns to keep, with the values of each membership's first spell.

    Returns
    -------
    table
        One row per membership. Columns: group, member, ``duration`` (in the unit of the numbers, or in days),
        ``weight`` (its share of the durations of all members of the group, sums to one), ``window`` (its share of the
        time from the group's first start to its last end, or of the window cut out), ``spells``, `values`.

    Raises
    ------
    DataError
        If ids or starts are missing, a spell ends before it starts or has no end and `until` is not given, spells of a
        member overlap within a group, or no spell lies within the window.
    """
    table = read_table(data, "data", [member, group, start, end, *values])
    for name in (member, group, start):
        check_present(table[name].missing, name)
    times = [_times(table[name].values, table[name].kind, name) for name in (start, end)]
    first, last = _clock(since, table[start].kind, "since"), _clock(until, table[end].kind, "until")
    begin, stop = times[0].copy(), np.where(table[end].missing, np.nan if last is None else last, times[1])
    open_ended = np.flatnonzero(np.isnan(stop))
    if len(open_ended):
        raise DataError(
            f"column {end!r} is missing in {counted(len(open_ended), 'row')} (first: {listed(open_ended)}), rows "
            "counted from 0: give until=, the time to which spells without an end last"
        )
    backwards = np.flatnonzero(~table[end].missing & (stop < begin))
    if len(backwards):
        raise DataError(f"{end!r} is before {start!r} in {counted(len(backwards), 'row')} (first: {listed(backwards)})")
    begin = begin if first is None else np.maximum(begin, first)
    stop = stop if last is None else np.minimum(stop, last)
    inside = np.flatnonzero(stop > begin)
    if not len(inside):
        raise DataError("no spell lasts any time inside the window of since= and until=")
    return _spell_table(data, table, (member, group), (begin, stop), inside, tuple(values), (first, last))


def _times(values: np.ndarray, kind: str, name: str) -> np.ndarray:
    """Numbers as they are, times in days."""
    if kind == "time":
        return days(values)
    if kind not in ("number", "integer"):
        raise DataError(f"column {name!r} holds {kind} values: spells need numbers, dates or times")
    return values.astype(float)


def _clock(value: Any, kind: str, what: str) -> float | None:
    if value is None:
        return None
    if kind != "time":
        return float(value)
    try:
        return float(np.datetime64(value, "us").astype(np.int64) / 86_400e6)
    except ValueError as error:
        raise DataError(f"{what}= must be a date, as the spells have dates; it is {value!r}") from error


def _spell_table(
    data: Any,
    table: Any,
    names: tuple[str, str],
    times: tuple[np.ndarray, np.ndarray],
    inside: np.ndarray,
    values: tuple[str, ...],
    cut: tuple[float | None, float | None],
) -> Any:
    """Spells added up by member and group."""
    member, group = names
    begin, stop = times[0][inside], times[1][inside]
    g, m = codes(table[group].values[inside]), codes(table[member].values[inside])
    key = codes(g * (m.max() + 1) + m)
    order = np.lexsort([begin, key])
    overlap = np.flatnonzero((key[order][1:] == key[order][:-1]) & (begin[order][1:] < stop[order][:-1] - 1e-9))
    if len(overlap):
        one, other = inside[order[overlap[0]]], inside[order[overlap[0] + 1]]
        raise DataError(
            f"two spells of member {table[member].values[one]!s} in group {table[group].values[one]!s} overlap (rows "
            f"{one} and {other}, counted from 0): join them into one, or correct their times"
        )
    first = order[np.flatnonzero(np.r_[True, key[order][1:] != key[order][:-1]])]  # first spell of each membership
    duration = np.bincount(key, stop - begin)[key[first]]
    low, high = np.full(g.max() + 1, np.inf), np.full(g.max() + 1, -np.inf)
    np.minimum.at(low, g, begin)
    np.maximum.at(high, g, stop)
    if cut[0] is not None:
        low[:] = cut[0]
    if cut[1] is not None:
        high[:] = cut[1]
    at = g[first]
    columns = {
        group: table[group].values[inside[first]], member: table[member].values[inside[first]], "duration": duration,
        "weight": duration / np.bincount(g, stop - begin)[at], "window": duration / (high - low)[at],
        "spells": np.bincount(key)[key[first]],
    }  # fmt: skip
    return long_table(data, columns, [v for v in values if v not in columns], inside[first])
