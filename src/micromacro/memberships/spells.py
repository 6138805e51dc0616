"""Memberships from rows that are not memberships yet: candidates for a slot, spells of time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DataError
from ..table.columns import days, read_table
from ..table.screen import counted, listed
from ..table.slots import long_table, number_column
from .shared import Keep, codes_of, column_list, kept_columns, refuse_gaps, refuse_same_names, shown, text_arguments


def from_candidates(
    data: Any,
    member: str,
    group: str,
    slot: str | None = None,
    probability: str | None = None,
    *,
    keep: Keep = (),
) -> Any:
    r"""Memberships whose member is known only to be one of several candidates.

    A slot that is held by one of several candidates contributes :math:`\sum_k p_k (x_k'b + u_k)`, its expectation over
    the candidates, so each candidate is a membership with its probability as weight (Hill and Goldstein 1998). This is
    the expected contribution, not a mixture of likelihoods: it leaves out the variance between candidates.

    Parameters
    ----------
    data : table
        One row per candidate.
    member, group : str
        Columns of candidates and groups.
    slot : str, optional
        Column that distinguishes the slots of a group: rows with the same group and slot are candidates for one
        membership. Without it all rows of a group are candidates for a single membership.
    probability : str, optional
        Column of probabilities, zero or positive; they are scaled to sum to one in each slot. Equal by default.
    keep : list of str or "all"
        Columns of `data` to repeat in each row.

    Returns
    -------
    table
        Columns: group, member, ``probability`` (sums to one in a slot), ``weight`` (probability / slots of the group,
        sums to one in a group), ``candidates`` (of the slot), those of `keep`. In a formula write ``weights = weight,
        normalize = none`` for the mean and ``weights = probability`` for the sum: ``n`` counts candidates.

    Raises
    ------
    DataError
        If ids are missing, a probability is negative, or all probabilities of a slot are zero.
    """
    text_arguments(member=member, group=group, slot=slot, probability=probability)
    refuse_same_names(member, group)
    needed = [member, group, *([slot] if slot else []), *([probability] if probability else [])]
    table = read_table(data, "data", needed)
    for name in needed:
        refuse_gaps(table[name].missing, name)
    key = codes_of(table[group].values)
    groups = key.max() + 1
    within = key if slot is None else codes_of(key * (1 + (s := codes_of(table[slot].values)).max()) + s)
    p = np.ones(len(key))
    if probability is not None:
        p = number_column(table, probability, "probability").values.astype(float)
        bad = np.flatnonzero(p < 0)
        if len(bad):
            raise DataError(f"column {probability!r} is negative in {counted(len(bad), 'row')} (first: {listed(bad)})")
    total = np.bincount(within, p)
    zero = np.flatnonzero(total[within] == 0.0)
    if len(zero):
        raise DataError(
            f"the probabilities of a slot are all zero in {counted(len(zero), 'row')} (first: {listed(zero)})"
        )
    p = p / total[within]
    slots = np.bincount(key, p, groups)  # each slot brings one
    columns = {
        group: table[group].values, member: table[member].values, "weight": p / slots[key], "probability": p,
        "candidates": np.bincount(within)[within],
    }  # fmt: skip
    return long_table(data, columns, kept_columns(data, keep, columns), np.arange(len(key)))


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
        A spell that begins and ends at one time is a membership that lasts no time, with weight 0 beside longer ones.
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
    text_arguments(member=member, group=group, start=start, end=end)
    refuse_same_names(member, group)
    values = column_list(values, "values")
    table = read_table(data, "data", [member, group, start, end, *values])
    for name in (member, group, start):
        refuse_gaps(table[name].missing, name)
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
    moment = begin == stop
    begin = begin if first is None else np.maximum(begin, first)
    stop = stop if last is None else np.minimum(stop, last)
    inside = np.flatnonzero((stop > begin) | (moment & (stop == begin)))
    if not len(inside):
        raise DataError("no spell lies inside the window of since= and until=")
    return _spell_table(data, table, (member, group), (begin, stop), inside, tuple(values), (first, last))


def _times(values: np.ndarray, kind: str, name: str) -> np.ndarray:
    """Numbers as they are, times in days."""
    if kind == "time":
        return days(values)
    if kind not in ("number", "integer"):
        raise DataError(f"column {name!r} holds {kind} values: spells need numbers, dates or times")
    out = values.astype(float)
    if np.isinf(out).any():
        raise DataError(f"column {name!r} is infinite in some rows: leave an end missing where a spell has none")
    return out


def _clock(value: Any, kind: str, what: str) -> float | None:
    if value is None:
        return None
    given = read_table({what: [value]}, "from_spells()")[what] if not isinstance(value, str) else None
    if kind != "time":
        if given is None or given.kind not in ("number", "integer") or not np.isfinite(given.values).all():
            raise DataError(f"{what}= must be a number, as the spells have numbers; it is {shown(value)}")
        return float(given.values[0])
    try:
        time = np.datetime64(value, "us") if given is None else given.values[0]
        if (given is not None and given.kind != "time") or np.isnat(time):
            raise ValueError
    except ValueError as error:
        raise DataError(f"{what}= must be a date, as the spells have dates; it is {shown(value)}") from error
    return float(days(np.array([time]))[0])


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
    g, m = codes_of(table[group].values[inside]), codes_of(table[member].values[inside])
    key = codes_of(g * (m.max() + 1) + m)
    order = np.lexsort([stop, begin, key])
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
    total, length = np.bincount(g, stop - begin)[at], (high - low)[at]
    alone = 1.0 / np.bincount(g[first])[at]  # a group of moments only: equal shares
    columns = {
        group: table[group].values[inside[first]], member: table[member].values[inside[first]], "duration": duration,
        "weight": np.divide(duration, total, out=alone, where=total > 0.0),
        "window": np.divide(duration, length, out=np.ones(len(at)), where=length > 0.0),
        "spells": np.bincount(key)[key[first]],
    }  # fmt: skip
    return long_table(data, columns, [v for v in values if v not in columns], inside[first])
