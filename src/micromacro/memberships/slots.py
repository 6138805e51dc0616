"""Memberships from slots: columns side by side, lists in a cell, pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

import numpy as np

from ..errors import DataError, warn
from ..table.columns import column_names, read_table
from ..table.screen import counted
from ..table.slots import Slots, check_empty, long_table, read_slots, slot_values
from .shared import Keep, column_list, finish, refuse_gaps, refuse_same_names, shown, text_argument, text_arguments


def from_wide(
    data: Any,
    slots: Sequence[str],
    weights: Sequence[str] | None = None,
    group: str | None = None,
    *,
    member: str | None = None,
    values: Mapping[str, Sequence[str]] | None = None,
    empty: Any = (),
    keep: Keep = (),
) -> Any:
    """Memberships from a table with one row per group and its members in columns side by side.

    Parameters
    ----------
    data : pandas, polars or pyarrow table, or dict of arrays
        One row per group.
    slots : sequence of str
        Columns of member ids. A slot is empty where it is missing, blank, or one of `empty`.
    weights : sequence of str, optional
        Columns of the members' weights in the same order. Beside an empty slot they must be missing or zero.
    group : str, optional
        Column of group ids; without it the rows are numbered.
    member : str, optional
        Name of the member column; by default what the names of `slots` begin with (``school`` for ``school1``,
        ``school2``), else ``member``.
    values : dict, optional
        Further columns of the memberships, each made from one column per slot: ``{"years": ["years1", "years2"]}``.
    empty : value or list of values
        Ids that stand for an empty slot, such as 0.
    keep : list of str or "all"
        Columns of `data` to repeat in each row, for use as a long table.

    Returns
    -------
    table
        Columns: group, member, ``weight``, ``slot`` (from 1), those of `values` and `keep`. It goes to
        :func:`micromacro.fit` as ``memberships=`` beside the table of groups, or with ``keep="all"`` as the data.

    Raises
    ------
    DataError
        If slots hold ids of different kinds, if a weight is missing beside a member or not zero beside an empty slot,
        or if group ids repeat.
    """
    text_arguments(group=group, member=member)
    slots = column_list(slots, "slots")
    if not slots:
        raise DataError("slots= names no column: give the columns that hold the ids of members")
    if values is not None and not isinstance(values, Mapping):
        raise DataError(f"values= is a dict from a name to a list of columns, not {shown(values)}")
    beside = {"weight": column_list(weights, "weights")} if weights is not None else {}
    refuse_same_names("weight", "slot", *(values or {}))
    refuse_same_names(*slots)
    beside |= {name: column_list(of, f"values[{name!r}]") for name, of in (values or {}).items()}
    table = read_table(data, "data", [*slots, *(c for of in beside.values() for c in of)])
    filled_slots, filled = read_slots(table, slots, empty)
    numbers = {
        name: slot_values(table, of, filled_slots, filled, "weights" if name == "weight" else f"values[{name!r}]")
        for name, of in beside.items()
    }
    if "weight" not in numbers:
        numbers = {"weight": 1.0 / filled_slots.size[filled_slots.row]} | numbers
    elif len(filled_slots.row):
        _mind_weightless(filled_slots, numbers["weight"])
    columns = {"weight": numbers.pop("weight"), "slot": filled_slots.slot + 1} | numbers
    return finish(data, group, member or _stem(slots), filled_slots, columns, keep)


def from_lists(
    data: Any,
    column: str,
    sep: str = ";",
    weights: str | None = None,
    group: str | None = None,
    *,
    candidates: str | None = None,
    member: str | None = None,
    empty: Any = (),
    keep: Keep = (),
) -> Any:
    """Memberships from a table in which one cell lists all members: ``"ada; ben; cleo"``, or a list.

    Parameters
    ----------
    data : pandas, polars or pyarrow table, or dict of arrays
        One row per group.
    column : str
        Column of lists or of text; blanks around an id are ignored.
    sep : str
        Text that separates members.
    weights : str, optional
        Column of lists of numbers, one number per member.
    candidates : str, optional
        Text that separates the candidates for one slot: with ``"|"``, ``"ada; ben|bob"`` is ada and either ben or bob.
        Each candidate has an equal share of the slot's weight; see :func:`from_candidates`.
    group, member, empty, keep
        As in :func:`from_wide`; the member column has the name `column` by default.

    Returns
    -------
    table
        Columns: group, member, ``weight``, ``slot`` (place in the list, from 1), those of `keep`; with `candidates`
        also ``probability``. It goes to :func:`micromacro.fit` as ``memberships=`` beside the table of groups, or with
        ``keep="all"`` as the data.

    Raises
    ------
    DataError
        If a list has more or fewer numbers than members, holds both text and numbers, or if group ids repeat.
    """
    text_arguments(column=column, weights=weights, group=group, candidates=candidates, member=member)
    text_argument(sep, "sep")
    cells = [_cell(c, sep) for c in _cells(data, column)]
    numbers = None if weights is None else [_cell(c, sep) for c in _cells(data, weights)]
    skip = _signs(empty)
    row, slot, ids, weight, probability = [], [], [], [], []
    for i, cell in enumerate(cells):
        own = None if numbers is None else [_number(v, weights, i) for v in numbers[i]]
        if own is not None and len(own) != len(cell):
            raise DataError(
                f"row {i} (counted from 0) lists {counted(len(cell), 'member')} in {column!r}, but "
                f"{counted(len(own), 'number')} in {weights!r}: give one for each member"
            )
        places = [k for k, c in enumerate(cell) if not _is_empty(c, skip)]
        for k in places:
            each = _candidates(cell[k], candidates)
            for one in each:
                row.append(i)
                slot.append(k + 1)
                ids.append(one)
                probability.append(1.0 / len(each))
                weight.append((1.0 / len(places) if own is None else own[k]) / len(each))
    read = Slots(np.array(row, dtype=np.int64), np.array(slot, dtype=np.int64), _ids(ids, column), len(cells))
    for value in skip if ids else ():
        check_empty(value, read.member.dtype == object, column)
    columns = {"weight": np.array(weight), "slot": read.slot}
    if candidates is not None:
        columns["probability"] = np.array(probability)
    return finish(data, group, member or column, read, columns, keep)


def from_dyads(
    data: Any,
    first: str,
    second: str,
    group: str | None = None,
    *,
    member: str = "member",
    role: str = "role",
    empty: Any = (),
    keep: Keep = (),
) -> Any:
    """Memberships from pairs: both sides are members of one block, in either order; a column keeps their roles.

    Parameters
    ----------
    data : table
        One row per pair (a cross, a match, an exchange), which is the group.
    first, second : str
        Columns of ids, such as ``male`` and ``female``, from one set of members.
    group : str, optional
        Column of group ids; without it the rows are numbered.
    member, role : str
        Names of the column of ids, and of the one that says in which of the two columns the member was.
    empty, keep
        As in :func:`from_wide`.

    Returns
    -------
    table
        Columns: group, member, `role`, ``weight`` (1: both effects add up), those of `keep`. See :func:`with_pairs` for
        ids of unordered and ordered pairs.
    """
    text_arguments(first=first, second=second, group=group, member=member, role=role)
    refuse_same_names(first, second)
    table = read_table(data, "data", [first, second])
    slots, _ = read_slots(table, [first, second], empty)
    roles = np.array([first, second], dtype=object)[slots.slot]
    return finish(data, group, member, slots, {role: roles, "weight": np.ones(len(slots.row))}, keep)


def with_pairs(
    data: Any, first: str, second: str, *, pair: str = "pair", ordered: str = "ordered", sep: str = " x "
) -> Any:
    """Add ids of pairs to a table: unordered (a x b is b x a) and ordered (they differ).

    They serve in unit terms ``(1 | pair) + (1 | ordered)``: specific and reciprocal effects of a diallel cross.

    Parameters
    ----------
    data : table
        One row per pair.
    first, second : str
        Columns of ids.
    pair, ordered : str
        Names of the new columns.
    sep : str
        Text between the two ids of a pair; it must not occur in an id.

    Returns
    -------
    table
        `data` with the columns `pair` and `ordered`, text.

    Raises
    ------
    DataError
        If an id is missing, or if two pairs would get the same id.
    """
    text_arguments(first=first, second=second, pair=pair, ordered=ordered)
    text_argument(sep, "sep", empty=True)
    refuse_same_names(pair, ordered, first, *([second] if second != first else []))
    table = read_table(data, "data", [first, second])
    for name in (first, second):
        refuse_gaps(table[name].missing, name)
    one, other = table[first].values.astype(str), table[second].values.astype(str)
    sorted_pairs = np.sort(np.column_stack([one, other]), axis=1)
    columns = {
        pair: np.array([sep.join(p) for p in sorted_pairs], dtype=object),
        ordered: np.array([sep.join(p) for p in zip(one, other, strict=True)], dtype=object),
    }
    unlike = {}
    for a, b, text in zip(*sorted_pairs.T, columns[pair], strict=True):
        if unlike.setdefault(text, (a, b)) != (a, b):
            raise DataError(f"two pairs would both be called {text!r}: give a sep= that is not part of an id")
    names = column_names(data, "data")
    made = long_table(data, columns, [n for n in names if n not in columns], np.arange(len(one)))
    return made


def _mind_weightless(slots: Slots, weight: np.ndarray) -> None:
    """Warn of an id that never has a weight: it may stand for an empty slot."""
    members = slots.member.astype(str) if slots.member.dtype == object else slots.member
    ids, codes = np.unique(members, return_inverse=True)
    often, sums = np.bincount(codes), np.bincount(codes, np.abs(weight))
    k = int(np.argmax(np.where(sums == 0.0, often, 0)))
    if sums[k] == 0.0 and often[k] > 2:
        value = ids[k].item()
        warn(
            f"the id {value!r} has a weight of zero in all of its {counted(int(often[k]), 'slot')}: if it stands for "
            f"an empty slot, say empty={value!r}; as it is, it is a member that counts in n"
        )


def _stem(slots: Sequence[str]) -> str:
    """What the names of the slots have in common, without digits and signs at its end."""
    common = "".join(c[0] for c in takewhile(lambda c: len(set(c)) == 1, zip(*slots, strict=False)))
    return common.rstrip("0123456789_.- ") or "member"


def _cells(data: Any, column: str) -> list[Any]:
    """Cells of a column that may hold lists."""
    import narwhals.stable.v2 as nw

    if column not in column_names(data, "data"):
        read_table(data, "data", [column])  # raises
    if isinstance(data, Mapping):
        return list(data[column])
    return nw.from_native(data, eager_only=True)[column].to_list()


def _cell(cell: Any, sep: str) -> list[Any]:
    """The entries of one cell."""
    if cell is None or (isinstance(cell, float) and np.isnan(cell)) or type(cell).__name__ == "NAType":
        return []
    if isinstance(cell, str):
        return [part.strip() for part in cell.split(sep)] if cell.strip() else []
    if isinstance(cell, (list, tuple, np.ndarray)):
        return list(cell)
    to_list = getattr(cell, "to_list", None)  # polars gives a cell as a series
    return [cell] if to_list is None else to_list()


def _signs(empty: Any) -> set[Any]:
    """Ids that stand for an empty slot."""
    given = list(empty) if isinstance(empty, (list, tuple, set, frozenset, np.ndarray)) else [empty]
    odd = [v for v in given if isinstance(v, (list, tuple, dict, set, np.ndarray))]
    if odd:
        raise DataError(f"empty= is an id, or a list of ids, that stand for an empty slot, not {shown(empty)}")
    return {v for v in given if v is not None}


def _is_empty(value: Any, skip: set[Any]) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, (float, np.floating)) and np.isnan(value):
        return True
    if isinstance(value, str) and not value.strip():
        return True
    return type(value).__hash__ is not None and value in skip


def _candidates(value: Any, sep: str | None) -> list[Any]:
    if sep is None or not isinstance(value, str):
        return [value]
    return list(dict.fromkeys(v.strip() for v in value.split(sep) if v.strip()))


def _number(value: Any, column: str | None, row: int) -> float:
    try:
        out = float(value)
    except Exception:  # noqa: BLE001 - objects may raise anything
        out = np.nan
    if not np.isfinite(out):
        raise DataError(f"column {column!r} lists {shown(value)} in row {row} (counted from 0), which is not a number")
    return out


def _ids(values: list[Any], column: str) -> np.ndarray:
    """Ids that are all text or all numbers."""
    kinds = {isinstance(v, str) for v in values}
    if len(kinds) > 1:
        raise DataError(f"column {column!r} lists text and numbers: make its ids all numbers or all text")
    if kinds == {True}:
        return np.array(values, dtype=object)
    return read_table({column: values}, "data")[column].values if values else np.empty(0)
