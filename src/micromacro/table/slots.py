"""Slots: columns of member ids side by side, made into one long list; and long tables in the caller's library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from ..errors import DataError
from .columns import Column, Table, column_names, read_table
from .levels import id_values
from .screen import counted, listed

ROW = "row"
"""The group column of tables whose rows are the groups: their numbers, from 0."""


@dataclass(frozen=True, eq=False)
class Slots:
    """Filled slots in the order of rows, then of slots.

    Attributes
    ----------
    row, slot : (m,) int arrays
        Row of the user's table and number of the slot in it, from 0.
    member : (m,) array
        Ids: int64, float64, bool, datetime64[us] or object (text).
    rows : int
        Rows of the user's table.
    """

    row: np.ndarray
    slot: np.ndarray
    member: np.ndarray
    rows: int

    @property
    def size(self) -> np.ndarray:
        """Filled slots of each row (rows,)."""
        return np.bincount(self.row, minlength=self.rows)


def read_slots(table: Table, columns: Sequence[str], empty: Iterable[Any]) -> tuple[Slots, np.ndarray]:
    """Members out of columns side by side, and which slots are filled (rows, slots).

    A slot is empty where the value is missing, is text of blanks only, or is one of `empty`.
    """
    read = [table[c] for c in columns]
    values = [id_values(c) for c in read]
    filled = np.column_stack([~c.missing for c in read])
    kinds = {v.dtype.kind for v, c in zip(values, read, strict=True) if not c.missing.all()}
    if len(kinds) > 1 and not kinds <= set("if"):
        shown = ", ".join(f"{c.name!r} ({c.kind})" for c in read)
        raise DataError(f"the slots hold ids of different kinds: {shown}; make them all numbers or all text")
    kind = object if "O" in kinds else next((v.dtype for v in values if v.dtype.kind in kinds), np.dtype(float))
    kind = np.dtype(float) if kinds == {"i", "f"} else kind
    ids = np.empty(filled.shape, dtype=kind)
    for k, v in enumerate(values):
        ids[filled[:, k], k] = v[filled[:, k]]
    for value in _as_tuple(empty):
        check_empty(value, ids.dtype == object, columns[0])
        if not _is_missing(value):
            filled &= np.array([[i != value for i in row] for row in ids]) if ids.dtype == object else ids != value
    if ids.dtype == object:
        ids[~filled] = ""
        ids = np.array([[i.strip() for i in row] for row in ids], dtype=object)
        filled &= ids != ""
    row, slot = np.nonzero(filled)
    return Slots(row, slot, ids[row, slot], len(filled)), filled


def check_empty(value: Any, text: bool, column: str) -> None:
    """Refuse a sign of an empty slot that no id can equal; missing values are empty anyway."""
    if isinstance(value, str) != text and not _is_missing(value):
        other = f"numbers, as in empty={value}" if isinstance(value, str) else f'text, as in empty="{value}"'
        raise DataError(f"empty={value!r} cannot be an id in {column!r}, where ids are {other}")


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _as_tuple(empty: Any) -> tuple[Any, ...]:
    if empty is None:
        return ()
    return (empty,) if isinstance(empty, str) or not isinstance(empty, Iterable) else tuple(empty)


def slot_values(table: Table, columns: Sequence[str], slots: Slots, filled: np.ndarray, what: str) -> np.ndarray:
    """Numbers beside the slots, at the filled ones; those of empty slots must be missing or zero."""
    read = [number_column(table, c, what) for c in columns]
    if len(read) != filled.shape[1]:
        raise DataError(
            f"{what} has {counted(len(read), 'column')}, but there are {counted(filled.shape[1], 'slot')}: give one "
            "column for each slot, in the same order"
        )
    values = np.column_stack([np.where(c.missing, np.nan, c.values.astype(float)) for c in read])
    absent = np.unique(slots.row[np.isnan(values[slots.row, slots.slot])])
    if len(absent):
        raise DataError(
            f"{what} are missing beside a member in {counted(len(absent), 'row')} (first: {listed(absent)}), rows "
            "counted from 0: fill them in, or empty the slots"
        )
    stray = np.flatnonzero(np.any(~filled & (np.nan_to_num(values) != 0.0), axis=1))
    if len(stray):
        raise DataError(
            f"{what} are not zero beside an empty slot in {counted(len(stray), 'row')} (first: {listed(stray)}), rows "
            "counted from 0: a member seems to be missing there; fill it in, or make the number zero or missing"
        )
    return values[slots.row, slots.slot]


def number_column(table: Table, name: str, what: str) -> Column:
    """A column of numbers, or an error that says for what it was wanted."""
    column = table[name]
    if column.kind not in ("number", "integer", "bool"):
        raise DataError(f"{what}: column {name!r} holds {column.kind} values, not numbers")
    if np.isinf(column.values.astype(float)).any():
        raise DataError(f"{what}: column {name!r} is infinite in some rows: correct these values")
    return column


def group_ids(data: Any, group: str | None, name: str = "data") -> tuple[str, np.ndarray]:
    """The group column's name and its ids, one row per group; row numbers where there is none."""
    if group is None:
        return ROW, np.arange(height(data, name))
    column = read_table(data, name, [group])[group]
    bad = np.flatnonzero(column.missing)
    if len(bad):
        raise DataError(f"the group column {group!r} is missing in {counted(len(bad), 'row')} (first: {listed(bad)})")
    values = id_values(column)
    kinds, count = np.unique(values.astype(str) if values.dtype == object else values, return_counts=True)
    if len(kinds) < len(values):
        raise DataError(
            f"{name} must have one row for each group, but it has several for {counted(int((count > 1).sum()), 'id')} "
            f"in {group!r} (first: {listed(kinds[count > 1])}): remove them, or leave out group="
        )
    return group, values


def height(data: Any, name: str = "data") -> int:
    """Number of rows of a table."""
    if isinstance(data, Mapping):
        names = column_names(data, name)
        return len(data[names[0]]) if names else 0
    return len(nw.from_native(data, eager_only=True))


def long_table(data: Any, columns: Mapping[str, np.ndarray], keep: Sequence[str], row: np.ndarray) -> Any:
    """A table of the caller's library (a dict for a dict) from arrays and from columns of `data` at some rows."""
    clash = [k for k in keep if k in columns]
    if clash:
        raise DataError(f"keep= names {clash[0]!r}, which the table of memberships has anyway: leave it out or rename")
    if isinstance(data, Mapping):
        return dict(columns) | {k: np.asarray(data[k])[row] for k in keep}
    frame = nw.from_native(data, eager_only=True)
    lists = {k: (v.tolist() if v.dtype == object else v) for k, v in columns.items()}
    out = nw.from_dict(lists, backend=frame.implementation)
    if keep:
        kept = frame.select(list(keep))[row.tolist(), :]
        if frame.implementation.is_pandas_like():
            kept = nw.from_native(kept.to_native().reset_index(drop=True), eager_only=True)
        out = out.with_columns(*(kept[k] for k in keep))
    return out.to_native()


def numbered(data: Any) -> Any:
    """A table with its rows numbered from 0 in the column ``row``."""
    rows = np.arange(height(data))
    if isinstance(data, Mapping):
        return {**data, ROW: rows}
    frame = nw.from_native(data, eager_only=True)
    if frame.implementation.is_pandas_like():
        return data.assign(**{ROW: rows})
    return frame.with_columns(nw.new_series(ROW, rows, backend=frame.implementation)).to_native()
