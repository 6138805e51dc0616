"""Columns out of any data frame, through narwhals; a table is a few of them with a name for messages.

Every value is converted once, here, into NumPy; above this module nobody knows which library it came from.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal

import narwhals.stable.v2 as nw
import numpy as np

from ..errors import DataError

Kind = Literal["number", "integer", "bool", "text", "category", "time"]

EXACT = 2.0**53
"""Whole numbers above this are not all exact as floats, so that ids could melt into one another."""


@dataclass(frozen=True, eq=False)
class Column:
    """One column.

    Attributes
    ----------
    name : str
    values : (rows,) array
        float64 (number; integer where values are missing), int64, bool, object of str (text, category) or
        datetime64[us]. Where a value is missing: nan, False, "" or NaT.
    kind : str
        number, integer, bool, text, category or time.
    missing : (rows,) bool array
    categories : tuple of str or None
        In the user's order, for a category.
    ordered : bool
        Whether the user said that this order means something (of a category).
    """

    name: str
    values: np.ndarray
    kind: Kind
    missing: np.ndarray
    categories: tuple[str, ...] | None = None
    ordered: bool = False

    def take(self, rows: np.ndarray) -> Column:
        """The column at some rows."""
        return replace(self, values=self.values[rows], missing=self.missing[rows])

    def tidy(self) -> Column:
        """The column as if rows that are gone had never been: whole numbers as int64, no unused category."""
        if self.kind == "integer" and self.values.dtype.kind == "f" and not self.missing.any():
            return replace(self, values=self.values.astype(np.int64))
        if self.categories is not None:
            used = set(self.values[~self.missing].tolist())
            return replace(self, categories=tuple(c for c in self.categories if c in used))
        return self


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
    near = difflib.get_close_matches(name.lower(), list(lower), n=3)
    return f"; did you mean {' or '.join(repr(lower[n]) for n in near)}?" if near else ""


# -- reading -------------------------------------------------------------------------------------------------


def column_names(data: Any, name: str = "data") -> tuple[str, ...]:
    """Names of the columns of a table (those that are text: a formula cannot name others)."""
    return data.names if isinstance(data, Table) else _names(_frame(data, name))


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
            raise unknown_column(column, name, known)
    if isinstance(frame, Table):
        return Table(name, {c: frame[c] for c in wanted}, frame.n_rows)
    if isinstance(frame, Mapping):
        read = {c: _from_array(c, frame[c], name) for c in wanted}
        lengths = {c: len(v.values) for c, v in read.items()}
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"{c!r} {k}" for c, k in lengths.items())
            raise DataError(f"the columns of {name} have unequal lengths: {shown}")
        rows = next(iter(lengths.values()), 0)
    else:
        rows = len(frame)
        read = {c: _from_series(c, frame[c], name) for c in wanted} if rows else {}
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


# -- one column ----------------------------------------------------------------------------------------------


def _from_series(name: str, series: Any, table: str) -> Column:
    """A column of a data frame (a narwhals series)."""
    dtype = series.dtype
    if isinstance(dtype, (nw.Categorical, nw.Enum)):
        return _category(name, series)
    if isinstance(dtype, (nw.Date, nw.Datetime)):
        return _time(name, series.to_numpy())
    if dtype.is_numeric() and not isinstance(dtype, (nw.Decimal, nw.Int128, nw.UInt128)):
        return _numbers(name, np.asarray(series.to_numpy()), table, whole=dtype.is_integer())
    if dtype.is_numeric() or isinstance(dtype, (nw.String, nw.Object, nw.Boolean, nw.Unknown)):
        return _from_objects(name, series.to_list(), table)
    raise _unusable(name, table, str(dtype))


def _from_array(name: str, values: Any, table: str) -> Column:
    """A column given as an array, a list, or a series of a data frame library."""
    if isinstance(values, np.ma.MaskedArray):
        return _from_objects(name, values.tolist(), table)
    if hasattr(values, "categories"):  # pandas' Categorical and CategoricalIndex are no series
        import pandas as pd

        values = pd.Series(values)
    if not isinstance(values, (np.ndarray, list, tuple)):
        try:
            return _from_series(name, nw.from_native(values, series_only=True), table)
        except TypeError:
            values = values.to_pylist() if hasattr(values, "to_pylist") else values
    if isinstance(values, (list, tuple)):
        return _from_objects(name, list(values), table)
    array = np.asarray(values)
    if array.ndim != 1:
        raise DataError(
            f"column {name!r} of {table} must be one-dimensional, but its shape is {array.shape}: give it "
            "one value per row"
        )
    if array.dtype.kind in "iuf":
        return _numbers(name, array, table, whole=array.dtype.kind != "f")
    if array.dtype.kind == "b":
        return Column(name, array.copy(), "bool", np.zeros(len(array), dtype=bool))
    if array.dtype.kind == "M":
        return _time(name, array)
    if array.dtype.kind in "OUT":
        return _from_objects(name, array.tolist(), table)
    raise _unusable(name, table, str(array.dtype))


def _unusable(name: str, table: str, what: str) -> DataError:
    return DataError(f"column {name!r} of {table} holds {what} values, which cannot be used: make it numbers or text")


def _too_large(name: str, table: str) -> DataError:
    return DataError(f"column {name!r} of {table} has numbers beyond 64 bits: make it text if they are ids")


def _numbers(name: str, array: np.ndarray, table: str, whole: bool) -> Column:
    """Integers, or floats with nan where a value is missing; `whole` is what the frame says."""
    if array.dtype.kind in "iu":
        if array.dtype.kind == "u" and len(array) and array.max() > np.iinfo(np.int64).max:
            raise _too_large(name, table)
        return Column(name, array.astype(np.int64), "integer", np.zeros(len(array), dtype=bool))
    values = array.astype(float) + 0.0  # no negative zero: it equals zero but would not sort bit for bit
    missing = np.isnan(values)
    if whole and np.any(np.abs(values[~missing]) >= EXACT):
        raise DataError(
            f"column {name!r} of {table} has whole numbers beyond 2**53 beside missing values, which are not "
            "exact: make it text if they are ids"
        )
    # pandas stores integers as floats as soon as one is missing; polars and pyarrow do not: same kind for all
    whole = whole or (bool(missing.any()) and are_whole(values[~missing]))
    return Column(name, values, "integer" if whole else "number", missing)


def days(times: np.ndarray) -> np.ndarray:
    """Times as days since the start of 1970, with fractions."""
    return times.astype("datetime64[us]").astype(np.int64) / 86_400e6


def are_whole(values: np.ndarray) -> bool:
    """Whether floats (at least one) are all whole numbers that floats hold exactly."""
    return bool(len(values) and np.all(np.abs(values) < EXACT) and np.all(values == np.floor(values)))


def _time(name: str, array: Any) -> Column:
    values = np.asarray(array).astype("datetime64[us]")
    return Column(name, values, "time", np.isnat(values))


def _category(name: str, series: Any) -> Column:
    values = series.to_list()
    missing = _missing(values)
    text = np.array(["" if m else str(v) for v, m in zip(values, missing, strict=True)], dtype=object)
    seen = set(text[~missing].tolist())
    order = [str(c) for c in _category_order(series)] or sorted(seen)
    return Column(name, text, "category", missing, tuple(order), _is_ordered(series))


def _is_ordered(series: Any) -> bool:
    """Whether the user said that the order of the categories means something."""
    native = series.to_native()
    if hasattr(native, "cat") and hasattr(native.cat, "ordered"):  # pandas
        return bool(native.cat.ordered)
    return isinstance(series.dtype, nw.Enum) or bool(getattr(getattr(native, "type", None), "ordered", False))


def _category_order(series: Any) -> Sequence[Any]:
    """Categories in the order that the user gave them, or nothing where the frame's order is no one's choice.

    polars numbers a Categorical, and pyarrow a plain dictionary, by first appearance: row order would show.
    """
    native = series.to_native()
    if hasattr(native, "cat") and hasattr(native.cat, "categories"):  # pandas
        return list(native.cat.categories)
    if getattr(getattr(native, "type", None), "ordered", False):  # pyarrow, an ordered dictionary
        return native.unify_dictionaries().chunk(0).dictionary.to_pylist()
    return list(series.dtype.categories) if isinstance(series.dtype, nw.Enum) else []


def _missing(values: list[Any]) -> np.ndarray:
    """Which Python objects stand for a missing value: None, nan, NaT, pandas' NA."""
    return np.array([type(v) is not str and (v is None or _is_nan(v)) for v in values], dtype=bool)


def _is_nan(value: Any) -> bool:
    # pandas' NA is compared to neither True nor False, and pandas is not imported to ask
    return type(value).__name__ in ("NAType", "NaTType") or bool(value != value)


def _from_objects(name: str, values: list[Any], table: str) -> Column:
    """Text, or Python objects that are all numbers, all booleans or all dates."""
    if values and np.ndim(values[0]) > 0 and not isinstance(values[0], str):
        raise DataError(f"column {name!r} of {table} must be one-dimensional: give it one value per row")
    kinds = set(map(type, values))
    missing = np.zeros(len(values), dtype=bool) if kinds == {str} else _missing(values)
    present = [v for v, m in zip(values, missing, strict=True) if not m] if missing.any() else values
    kinds = kinds if present is values else set(map(type, present))
    if all(issubclass(k, str) for k in kinds):
        text = np.full(len(values), "", dtype=object)
        text[~missing] = present
        return Column(name, text, "text", missing)
    if all(issubclass(k, (bool, np.bool_)) for k in kinds):
        flags = np.zeros(len(values), dtype=bool)
        flags[~missing] = present
        return Column(name, flags, "bool", missing)
    if all(issubclass(k, (int, float, Decimal, np.integer, np.floating)) and k is not bool for k in kinds):
        return _number_objects(name, present, missing, table)
    if all(issubclass(k, (date, np.datetime64)) for k in kinds):
        times = np.full(len(values), "NaT", dtype="datetime64[us]")
        times[~missing] = [_naive(v) for v in present]
        return Column(name, times, "time", missing)
    raise _mixed(name, table, present)


def _number_objects(name: str, present: list[Any], missing: np.ndarray, table: str) -> Column:
    whole = all(isinstance(v, (int, np.integer)) for v in present)
    if whole and not missing.any():
        try:
            return _numbers(name, np.array(present, dtype=np.int64), table, whole=True)
        except OverflowError as error:
            raise _too_large(name, table) from error
    numbers = np.full(len(missing), np.nan)
    numbers[~missing] = [float(v) for v in present]
    return _numbers(name, numbers, table, whole)


def _naive(value: Any) -> np.datetime64:
    """A date or a time as NumPy has it: without a zone, in UTC where it had one."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(value, "us")


def _mixed(name: str, table: str, present: list[Any]) -> DataError:
    first: dict[str, Any] = {}
    for v in present:
        first.setdefault(type(v).__name__, v)
    if len(first) == 1:
        return _unusable(name, table, next(iter(first)))
    shown = " and ".join(f"{kind} (such as {v!r})" for kind, v in list(first.items())[:2])
    return DataError(f"column {name!r} of {table} mixes {shown}: make them all numbers or all text")
