"""Ids and their codes: sorted in their natural type, numbers as numbers and text as text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .columns import Column


@dataclass(frozen=True, eq=False)
class Levels:
    """The distinct ids of a column, sorted; the code of an id is its place among them."""

    name: str
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    def find(self, column: Column | Levels) -> np.ndarray:
        """Codes of a column's ids (or of other levels); -1 for ids that are missing or not among the levels."""
        values, missing = (
            (column.values, np.zeros(len(column), dtype=bool))
            if isinstance(column, Levels)
            else (_ids(column), column.missing)
        )
        if len(self.values) and len(values) and (values.dtype.kind in "OU") != (self.values.dtype.kind in "OU"):
            raise DataError(
                f"the ids of {column.name!r} are {'text' if values.dtype.kind in 'OU' else 'numbers'}, but those of "
                f"{self.name!r} in the fit are not: give both the same type"
            )
        if not len(self.values):
            return np.full(len(values), -1)
        if values.dtype.kind == "O":
            values = values.astype(str)
        place = np.searchsorted(self.values, values)
        place[place == len(self.values)] = 0
        return np.where((self.values[place] == values) & ~missing, place, -1).astype(np.int64)


def _ids(column: Column) -> np.ndarray:
    """The values of an id column; whole numbers stored as floats (because some were missing) become integers."""
    values = column.values
    if column.kind in ("text", "category"):
        return values.astype(str)
    if column.kind in ("number", "integer") and values.dtype.kind == "f":
        present = values[~column.missing]
        if np.all(np.isfinite(present)) and np.all(present == np.floor(present)):
            return np.where(column.missing, 0, values).astype(np.int64)
    return values


def encode(column: Column) -> tuple[np.ndarray, Levels]:
    """Codes (int64, -1 where missing) and the levels of an id column."""
    values = _ids(column)
    codes = np.full(len(values), -1, dtype=np.int64)
    levels, inverse = np.unique(values[~column.missing], return_inverse=True)
    codes[~column.missing] = inverse.reshape(-1)
    return codes, Levels(column.name, levels)
