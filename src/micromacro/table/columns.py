"""Columns out of any data frame, through narwhals; a table is a few of them with a name for messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..errors import DataError

Kind = Literal["number", "integer", "bool", "text", "category", "time"]


@dataclass(frozen=True, eq=False)
class Column:
    """One column.

    Attributes
    ----------
    name : str
    values : ndarray
        float64 (number; integer where values are missing), int64, bool, object of str (text, category) or
        datetime64[us].
    kind : str
    missing : bool ndarray
    categories : tuple of str or None
        In the user's order, for a category.
    """

    name: str
    values: np.ndarray
    kind: Kind
    missing: np.ndarray
    categories: tuple[str, ...] | None = None

    def take(self, rows: np.ndarray) -> Column:
        """The column at some rows."""
        return Column(self.name, self.values[rows], self.kind, self.missing[rows], self.categories)

    def sort_key(self) -> np.ndarray:
        """Numbers in the order of the values, for sorting rows (text by code points)."""
        if self.kind in ("text", "category"):
            return np.unique(self.values.astype(str), return_inverse=True)[1].reshape(-1)
        return self.values


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

    def select(self, names: Iterable[str]) -> Table:
        """Some of its columns."""
        return Table(self.name, {n: self[n] for n in names}, self.n_rows)

    def to_pandas(self) -> Any:
        """A pandas data frame, categories in their order."""
        import pandas as pd

        out = {}
        for name, column in self.columns.items():
            if column.kind == "category":
                out[name] = pd.Categorical(column.values, categories=list(column.categories or ()))
            else:
                out[name] = column.values
        return pd.DataFrame(out, index=pd.RangeIndex(self.n_rows))


def unknown_column(name: str, table: str, known: Sequence[str]) -> DataError:
    """The error for a column that is not there, with a near miss if there is one."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    shown = ", ".join(map(str, known[:30])) + (", ..." if len(known) > 30 else "")
    return DataError(f"{table} has no column {name!r}{hint} (columns: {shown})")


def column_names(data: Any, name: str = "data") -> tuple[str, ...]:
    """Names of all columns of a data frame or a dict of arrays."""
    if isinstance(data, Table):
        return data.names
    frame = _frame(data, name)
    names = tuple(frame) if isinstance(frame, Mapping) else tuple(frame.columns)
    odd = [n for n in names if not isinstance(n, str)]
    if odd:
        raise DataError(f"the columns of {name} must have names that are text; {odd[0]!r} is not: rename it")
    twice = [n for n in names if names.count(n) > 1] if len(set(names)) < len(names) else []
    if twice:
        raise DataError(f"{name} has two columns named {twice[0]!r}: rename one")
    return names


def read_table(data: Any, name: str, columns: Iterable[str] | None = None) -> Table:
    """Read (some) columns of a pandas, polars or pyarrow table, or a dict of arrays.

    Raises
    ------
    DataError
        For an unknown column, columns of unequal length, a table without rows, values of a kind that cannot be used.
    """
    known = column_names(data, name)
    wanted = known if columns is None else tuple(dict.fromkeys(columns))
    for column in wanted:
        if column not in known:
            raise unknown_column(column, name, known)
    if isinstance(data, Table):
        return data.select(wanted)
    frame = _frame(data, name)
    if isinstance(frame, Mapping):
        read = {c: _from_array(c, frame[c], name) for c in wanted}
        lengths = {c: len(v.values) for c, v in read.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"the columns of {name} have unequal lengths: {lengths}")
        rows = next(iter(lengths.values()), 0)
    else:
        read = {c: _from_series(c, frame[c], name) for c in wanted}
        rows = len(frame)
    if rows == 0:
        raise DataError(f"{name} has no rows")
    return Table(name, read, rows)


def _frame(data: Any, name: str) -> Any:
    if isinstance(data, Mapping):
        return data
    import narwhals.stable.v2 as nw

    try:
        return nw.from_native(data, eager_only=True)
    except TypeError as error:
        raise DataError(
            f"{name} must be a pandas, polars or pyarrow table, or a dict of arrays, not {type(data).__name__}"
        ) from error


def _from_series(name: str, series: Any, table: str) -> Column:
    """A column of a data frame (a narwhals series)."""
    import narwhals.stable.v2 as nw

    dtype = series.dtype
    if isinstance(dtype, (nw.Categorical, nw.Enum)) or dtype in (nw.Categorical, nw.Enum):
        return _category(name, series)
    if dtype.is_temporal() and dtype != nw.Duration and dtype != nw.Time:
        return _time(name, np.asarray(series.to_numpy()))
    if dtype in (nw.String, nw.Object) or str(dtype) == "Unknown":
        return _from_objects(name, series.to_list(), table)
    if dtype == nw.Boolean:
        return _bool(name, series)
    if dtype.is_numeric():
        return _numeric(name, series, dtype.is_integer())
    raise DataError(f"column {name!r} of {table} is of type {dtype}, which cannot be used: make it numbers or text")


def _category(name: str, series: Any) -> Column:
    values = series.to_list()
    categories = _categories(series)
    missing = np.array([v is None or v != v for v in values], dtype=bool)
    text = np.array(["" if m else str(v) for v, m in zip(values, missing, strict=True)], dtype=object)
    return Column(name, text, "category", missing, categories)


def _categories(series: Any) -> tuple[str, ...]:
    """Categories in the user's order where the frame has one; polars Categorical has none: sorted."""
    native = series.to_native()
    if hasattr(native, "cat") and hasattr(native.cat, "categories"):  # pandas
        return tuple(str(c) for c in native.cat.categories)
    listed = [str(v) for v in series.drop_nulls().unique().to_list()]
    ordered = getattr(series.dtype, "categories", None)
    return tuple(str(c) for c in ordered) if ordered else tuple(sorted(listed))


def _bool(name: str, series: Any) -> Column:
    values = series.to_list()
    missing = np.array([v is None for v in values], dtype=bool)
    return Column(name, np.array([bool(v) for v in values], dtype=bool), "bool", missing)


def _numeric(name: str, series: Any, integer: bool) -> Column:
    array = series.to_numpy()
    if integer and array.dtype.kind in "iu":
        return Column(name, array.astype(np.int64), "integer", np.zeros(len(array), dtype=bool))
    if array.dtype.kind in "iufb":
        values = array.astype(float)
    else:
        values = np.array([np.nan if v is None or v != v else float(v) for v in series.to_list()])
    return Column(name, values, "integer" if integer else "number", np.isnan(values))


def _time(name: str, array: np.ndarray) -> Column:
    values = array.astype("datetime64[us]")
    return Column(name, values, "time", np.isnat(values))


def _from_array(name: str, values: Any, table: str) -> Column:
    """A column given as an array or a list."""
    if hasattr(values, "__narwhals_series__") or type(values).__module__.split(".")[0] in ("pandas", "polars", "pyarrow"):
        import narwhals.stable.v2 as nw

        return _from_series(name, nw.from_native(values, series_only=True), table)
    array = np.asarray(values)
    if array.ndim != 1:
        raise DataError(f"column {name!r} of {table} must be one-dimensional, not of shape {array.shape}")
    if array.dtype.kind in "iu":
        return Column(name, array.astype(np.int64), "integer", np.zeros(len(array), dtype=bool))
    if array.dtype.kind == "f":
        return Column(name, array.astype(float), "number", np.isnan(array))
    if array.dtype.kind == "b":
        return Column(name, array, "bool", np.zeros(len(array), dtype=bool))
    if array.dtype.kind == "M":
        return _time(name, array)
    if array.dtype.kind in "OU":
        return _from_objects(name, array.tolist(), table)
    raise DataError(f"column {name!r} of {table} is of type {array.dtype}, which cannot be used: make it numbers or text")


def _from_objects(name: str, values: list, table: str) -> Column:
    """Text, or Python objects that are all numbers or all booleans; missing ones are None or nan."""
    missing = np.array([v is None or v != v for v in values], dtype=bool)
    present = [v for v, m in zip(values, missing, strict=True) if not m]
    if present and all(isinstance(v, (bool, np.bool_)) for v in present):
        return Column(name, np.array([bool(v) if not m else False for v, m in zip(values, missing, strict=True)]), "bool", missing)
    if present and all(isinstance(v, (int, float, np.integer, np.floating)) for v in present):
        whole = all(isinstance(v, (int, np.integer)) for v in present)
        if whole and not missing.any():
            return Column(name, np.array(values, dtype=np.int64), "integer", missing)
        numbers = np.array([np.nan if m else float(v) for v, m in zip(values, missing, strict=True)])
        return Column(name, numbers, "integer" if whole else "number", missing)
    odd = next((v for v in present if not isinstance(v, str)), None)
    if odd is not None:
        raise DataError(
            f"column {name!r} of {table} mixes text with other values (such as {odd!r}): make them all text or all numbers"
        )
    text = np.array(["" if m else v for v, m in zip(values, missing, strict=True)], dtype=object)
    return Column(name, text, "text", missing)
