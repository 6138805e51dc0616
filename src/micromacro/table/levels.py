"""Ids and their codes: sorted in their natural type, numbers as numbers and text as text."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .columns import Column, are_whole

KINDS_OF_IDS = {"U": "text", "O": "text", "i": "numbers", "f": "numbers", "b": "true or false", "M": "times"}


@dataclass(frozen=True, eq=False)
class Levels:
    """The distinct ids of a column, sorted; the code of an id is its place among them.

    Attributes
    ----------
    name : str
        The column that they come from.
    values : (levels,) array
        int64, float64, bool, datetime64[us] or str.
    """

    name: str
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    def find(self, column: Column | Levels, tables: tuple[str, str] | None = None) -> np.ndarray:
        """Codes of a column's ids (or of other levels); -1 for ids that are missing or not among the levels.

        Parameters
        ----------
        column : Column or Levels
        tables : (str, str), optional
            Where the column and where the levels come from, for messages.

        Raises
        ------
        DataError
            Where one has text ids and the other numbers.
        """
        if isinstance(column, Levels):
            values, present = column.values, np.ones(len(column), dtype=bool)
        else:
            values, present = id_values(column), ~column.missing
        out = np.full(len(values), -1, dtype=np.int64)
        if not len(self.values) or not present.any():
            return out
        self._check_type(column.name, values[present], tables)
        if self.values.dtype.kind == "U":
            place = {v: k for k, v in enumerate(self.values.tolist())}
            out[present] = [place.get(v, -1) for v in values[present].tolist()]
            return out
        at = np.searchsorted(self.values, values)
        at[at == len(self.values)] = 0
        return np.where((self.values[at] == values) & present, at, -1).astype(np.int64)

    def _check_type(self, name: str, values: np.ndarray, tables: tuple[str, str] | None) -> None:
        own, other = (KINDS_OF_IDS[v.dtype.kind] for v in (self.values, values))
        if own == other:
            return
        here, there = (f" of {t}" for t in tables) if tables else ("", " that they are matched with")
        raise DataError(
            f"the ids in column {name!r}{here} are {other} (such as {values.tolist()[0]!r}), but those{there} "
            f"are {own} (such as {self.values.tolist()[0]!r}): give both the same type"
        )


def id_values(column: Column) -> np.ndarray:
    """The values of an id column; whole numbers stored as floats become integers."""
    values = column.values
    if values.dtype.kind == "f" and are_whole(values[~column.missing]):
        return np.where(column.missing, 0.0, values).astype(np.int64)
    return values


def encode(column: Column) -> tuple[np.ndarray, Levels]:
    """Codes (int64, -1 where missing) and the levels of an id column."""
    values = id_values(column)
    if not column.missing.any():
        codes, levels = _encode(values)
        return codes, Levels(column.name, levels)
    present = ~column.missing
    codes = np.full(len(values), -1, dtype=np.int64)
    codes[present], levels = _encode(values[present])
    return codes, Levels(column.name, levels)


def ranks(column: Column) -> np.ndarray:
    """Places (n,) of values in their order: of numbers, times and text the natural one, of categories their own."""
    codes, levels = encode(column)
    if column.categories is None:
        return codes
    place = {category: k for k, category in enumerate(map(str, column.categories))}
    return np.array([place[str(v)] for v in levels.values], dtype=np.int64)[codes]


def _encode(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if values.dtype.kind == "O":  # hashing beats sorting strings, and only the distinct ones are sorted
        items = values.tolist()
        place: defaultdict[str, int] = defaultdict()
        place.default_factory = place.__len__
        appeared = np.fromiter(map(place.__getitem__, items), dtype=np.int64, count=len(items))
        levels = sorted(place)
        rank = np.empty(len(levels), dtype=np.int64)
        rank[[place[v] for v in levels]] = np.arange(len(levels))
        return rank[appeared], np.array(levels, dtype=str)
    levels, inverse = np.unique(values, return_inverse=True)
    return inverse.reshape(-1).astype(np.int64), levels
