"""Columns from any data frame, through narwhals; a table is a few of them with a name for messages.

Every value is converted once, here, into NumPy; above this module nobody knows which library it came from.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from ..errors import DataError
from .column import EXACT, Column, Kind, are_whole, column_from_array, column_from_series, days


@dataclass(frozen=True, eq=False)
class Table:
    """Some columns of equal length; `name` is how messages call it."""

    name: str
    columns: dict[str, Column]
    n_rows: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.columns)

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __getitem__(self, name: str) -> Column:
        if name not in self.columns:
            raise unknown_column(name, self.name, self.names)
        return self.columns[name]

    def take(self, rows: np.ndarray) -> Table:
        """The table at some rows."""
        return Table(self.name, {k: c.take(rows) for k, c in self.columns.items()}, len(rows))

    def tidy(self) -> Table:
        """The table with every column tidy (:meth:`Column.tidy`)."""
        return Table(self.name, {k: c.tidy() for k, c in self.columns.items()}, self.n_rows)

    def select(self, names: Iterable[str]) -> Table:
        """Some of its columns."""
        return Table(self.name, {n: self[n] for n in names}, self.n_rows)

    def to_pandas(self) -> Any:
        """A pandas data frame, categories in their order."""
        import pandas as pd  # only formulaic needs it, and not for plain numeric columns

        out = {}
        for name, column in self.columns.items():
            if column.kind == "category":
                out[name] = pd.Categorical(_with_none(column), categories=list(column.categories or ()))
            elif column.missing.any() and column.kind in ("text", "bool"):
                out[name] = _with_none(column)
            else:
                out[name] = column.values
        return pd.DataFrame(out, index=pd.RangeIndex(self.n_rows))


def _with_none(column: Column) -> np.ndarray:
    out = column.values.astype(object)
    out[column.missing] = None
    return out


def unknown_column(name: str, table: str, known: Sequence[str]) -> DataError:
    """The error for a column that is not there, with near misses if there are any."""
    hint = did_you_mean(name, known)
    if name in ("True", "False"):
        hint = "; for a yes-or-no argument write 1 or 0, as in poly(x, 2, raw=1)"
    shown = ", ".join(map(str, known[:30])) + (", ..." if len(known) > 30 else "")
    return DataError(f"{table} has no column {name!r}{hint} (columns: {shown})")


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """``; did you mean 'x' or 'y'?`` where names are near, else nothing. Case does not keep names apart."""
    lower: dict[str, str] = {}
    for k in known:
        lower.setdefault(k.lower(), k)
    near = difflib.get_close_matches(name.lower(), list(lower), n=3, cutoff=0.65)
    return f"; did you mean {' or '.join(repr(lower[n]) for n in near)}?" if near else ""


# -- reading -------------------------------------------------------------------------------------------------


def column_names(data: Any, name: str = "data") -> tuple[str, ...]:
    """Names of the columns of a table (those that are text: a formula cannot name others)."""
    return data.names if isinstance(data, Table) else _names(_frame(data, name))


def index_names(data: Any) -> tuple[Any, ...]:
    """Names of the index of a pandas frame."""
    return tuple(getattr(getattr(data, "index", None), "names", ()))


def own_labels(data: Any) -> Any:
    """The index of a pandas frame where it says more than the numbers of the rows; else None."""
    index: Any = getattr(data, "index", None)
    if type(index).__module__.split(".")[0] != "pandas":
        return None
    if type(index).__name__ == "RangeIndex" and index.start == 0 and index.step == 1 and index.name is None:
        return None
    return index if any(n is not None for n in index.names) or index.nlevels > 1 else index.rename("row")


def read_table(data: Any, name: str, columns: Iterable[str] | None = None) -> Table:
    """Read (some) columns of a pandas, polars or pyarrow table, or of a dict of arrays.

    Parameters
    ----------
    data : pandas, polars or pyarrow table, dict of arrays, or Table
    name : str
        How messages call it.
    columns : iterable of str, optional
        Only these are converted, so wide frames cost nothing; by default all.

    Raises
    ------
    DataError
        For an unknown or a repeated column, columns of unequal length, a table without rows, values of a kind
        that cannot be used.
    """
    frame = data if isinstance(data, Table) else _frame(data, name)
    known = frame.names if isinstance(frame, Table) else _names(frame)
    wanted = known if columns is None else tuple(dict.fromkeys(columns))
    for column in wanted:
        if column not in known:
            if column in index_names(data):
                raise DataError(f"{name} has {column!r} in its index, not among its columns: use {name}.reset_index()")
            raise unknown_column(column, name, known)
    if isinstance(frame, Table):
        return Table(name, {c: frame[c] for c in wanted}, frame.n_rows)
    if isinstance(frame, Mapping):
        read = {c: column_from_array(c, frame[c], name) for c in wanted}
        lengths = {c: len(v.values) for c, v in read.items()}
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"{c!r} {k}" for c, k in lengths.items())
            raise DataError(f"the columns of {name} have unequal lengths: {shown}")
        rows = next(iter(lengths.values()), 0)
    else:
        rows = len(frame)
        read = {c: column_from_series(c, frame[c], name) for c in wanted} if rows else {}
    if rows == 0:
        raise DataError(f"{name} has no rows")
    return Table(name, read, rows)


def _frame(data: Any, name: str) -> Any:
    """A narwhals frame, or the mapping itself."""
    if isinstance(data, Mapping):
        return data
    _refuse_repeats(data, name)
    try:
        return nw.from_native(data, eager_only=True)
    except TypeError as error:
        lazy = "; collect it first" if hasattr(data, "collect") else ""
        raise DataError(
            f"{name} must be a pandas, polars or pyarrow table, or a dict of arrays, not {type(data).__name__}{lazy}"
        ) from error


def _names(frame: Any) -> tuple[str, ...]:
    if isinstance(frame, Mapping):
        return tuple(n for n in frame if isinstance(n, str))
    return tuple(n for n in frame.columns if isinstance(n, str))


def _refuse_repeats(native: Any, name: str) -> None:
    """Refuse columns that share a name, before narwhals does with an error of its own."""
    if hasattr(native, "collect"):  # a lazy frame, refused in its own words
        return
    names = list(native.column_names if hasattr(native, "column_names") else getattr(native, "columns", ()))
    twice = [n for n in names if names.count(n) > 1] if len(set(names)) < len(names) else []
    if twice:
        raise DataError(f"{name} has several columns named {twice[0]!r}: rename or remove all but one")


__all__ = [
    "EXACT", "Column", "Kind", "Table", "are_whole", "column_names", "days", "did_you_mean", "own_labels", "read_table",
    "unknown_column",
]  # fmt: skip
