"""One column from any data frame, array or list, converted into NumPy once."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
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


def column_from_series(name: str, series: Any, table: str) -> Column:
    """A column of a data frame (a narwhals series)."""
    return _guarded(_series, name, series, table)


def column_from_array(name: str, values: Any, table: str) -> Column:
    """A column given as an array, a list, or a series of a data frame library."""
    return _guarded(_array, name, values, table)


def _guarded(read: Callable[[str, Any, str], Column], name: str, values: Any, table: str) -> Column:
    """Whatever values raise when they are looked at is an error about the column."""
    try:
        return read(name, values, table)
    except (DataError, MemoryError, RecursionError):
        raise
    except Exception as error:  # objects may raise anything when they are compared or converted
        raise DataError(
            f"column {name!r} of {table} holds values that cannot be read ({type(error).__name__}"
            f"{_first_line(error)}): make it numbers or text"
        ) from error


def _first_line(error: Exception) -> str:
    try:
        line = str(error).strip().split("\n")[0][:200]
    except Exception:  # noqa: BLE001 - an error whose text raises has no text
        line = ""
    return f": {line}" if line else ""


def _series(name: str, series: Any, table: str) -> Column:
    dtype = series.dtype
    if isinstance(dtype, (nw.Categorical, nw.Enum)):
        return _category(name, series, table)
    if isinstance(dtype, (nw.Date, nw.Datetime)):
        return _time(name, series.to_numpy())
    if dtype.is_numeric() and not isinstance(dtype, (nw.Decimal, nw.Int128, nw.UInt128)):
        return _numbers(name, np.asarray(series.to_numpy()), table, whole=dtype.is_integer())
    if dtype.is_numeric() or isinstance(dtype, (nw.String, nw.Object, nw.Boolean, nw.Unknown)):
        return _from_objects(name, series.to_list(), table)
    raise _unusable(name, table, str(dtype))


def _array(name: str, values: Any, table: str) -> Column:
    if isinstance(values, np.ma.MaskedArray):
        return _from_objects(name, values.tolist(), table)
    if hasattr(values, "categories"):  # pandas' Categorical and CategoricalIndex are not a Series
        import pandas as pd

        values = pd.Series(values)
    if not isinstance(values, (np.ndarray, list, tuple)):
        try:
            return _series(name, nw.from_native(values, series_only=True), table)
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


def _category(name: str, series: Any, table: str) -> Column:
    values = series.to_list()
    missing = _missing(values)
    text = np.full(len(values), "", dtype=object)
    text[:] = ["" if m else str(v) for v, m in zip(values, missing, strict=True)]
    seen = set(text[~missing].tolist())
    order = [str(c) for c in _category_order(series)] or sorted(seen)
    twice = [c for c in order if order.count(c) > 1] if len(set(order)) < len(order) else []
    if twice:
        raise DataError(f"column {name!r} of {table} has two categories that are both written {twice[0]!r}: rename one")
    _check_text(name, text, table)
    return Column(name, text, "category", missing, tuple(order), _is_ordered(series))


_NEVER = re.compile("[\x00\ud800-\udfff]")


def _check_text(name: str, values: np.ndarray, table: str) -> None:
    """Refuse text that is not text: NUL, which arrays cut off, and halves of characters, which no file can hold."""
    odd = {v for v in set(values.tolist()) if _NEVER.search(v)}
    if odd:
        rows = [k for k, v in enumerate(values.tolist()) if v in odd]
        shown = ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
        raise DataError(
            f"column {name!r} of {table} holds text with a NUL or half a character in {len(rows)} rows (first: "
            f"{min(odd)!r}; rows {shown}, counted from 0): replace these characters, as with "
            r"""text.encode("utf-8", "replace").decode().replace("\0", "")"""
        )


def _is_ordered(series: Any) -> bool:
    """Whether the user said that the order of the categories means something."""
    native = series.to_native()
    if hasattr(native, "cat") and hasattr(native.cat, "ordered"):  # pandas
        return bool(native.cat.ordered)
    return isinstance(series.dtype, nw.Enum) or bool(getattr(getattr(native, "type", None), "ordered", False))


def _category_order(series: Any) -> Sequence[Any]:
    """Categories in the order that the user gave them, or nothing where nobody chose the order.

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
    if isinstance(value, Decimal):
        return value.is_nan()
    if isinstance(value, (float, np.floating, np.datetime64)):
        return bool(value != value)
    return type(value).__name__ in ("NAType", "NaTType")


def _from_objects(name: str, values: list[Any], table: str) -> Column:
    """Text, or Python objects that are all numbers, all booleans or all dates."""
    if values and isinstance(values[0], (list, tuple, np.ndarray)):
        raise DataError(f"column {name!r} of {table} must be one-dimensional: give it one value per row")
    kinds = set(map(type, values))
    missing = np.zeros(len(values), dtype=bool) if kinds == {str} else _missing(values)
    present = [v for v, m in zip(values, missing, strict=True) if not m] if missing.any() else values
    kinds = kinds if present is values else set(map(type, present))
    if all(issubclass(k, str) for k in kinds):
        text = np.full(len(values), "", dtype=object)
        text[~missing] = present if kinds <= {str} else [str.__str__(v) for v in present]
        _check_text(name, text, table)
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
    try:
        numbers[~missing] = [float(v) for v in present]
    except OverflowError as error:
        raise _too_large(name, table) from error
    if not whole:  # ids would melt into one another
        large = [v for v in present if abs(v) >= EXACT and not isinstance(v, (float, np.floating)) and v != float(v)]
        if large:
            raise DataError(
                f"column {name!r} of {table} has numbers that are not exact as floats (such as {large[0]}): make it "
                "text if they are ids, or floats if they are numbers"
            )
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
    shown = " and ".join(f"{kind} (such as {_shown(v)})" for kind, v in list(first.items())[:2])
    return DataError(f"column {name!r} of {table} mixes {shown}: make them all numbers or all text")


def _shown(value: Any) -> str:
    try:
        return repr(value)[:80]
    except Exception:  # noqa: BLE001 - an object that cannot say what it is
        return "one that cannot be printed"
