"""Missing and infinite values: found in every column that is used, and never dropped silently."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import DataError
from ..notes import Note, caution
from .columns import Column, Table
from .levels import encode

FIRST = 5
"""How many rows or ids a message lists."""


def listed(values: np.ndarray) -> str:
    """The first few of some rows or ids."""
    return ", ".join(str(v) for v in values[:FIRST]) + (", ..." if len(values) > FIRST else "")


def counted(count: int, noun: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


@dataclass(eq=False)
class Screen:
    """Looks through columns and remembers which groups miss a value.

    Attributes
    ----------
    missing : str
        "error" or "drop".
    keep : (groups,) bool array
        Groups in which no value is missing so far.
    noun : str
        What the user calls a group in the message: a group, or a row where every row is one.
    endless : tuple of str
        Columns that may be infinite upwards.
    droppable : bool
        Whether the user can say ``missing="drop"``.
    """

    missing: str
    keep: np.ndarray
    noun: str = "group"
    endless: tuple[str, ...] = ()
    droppable: bool = True
    _gaps: list[tuple[Column, str, np.ndarray]] = field(default_factory=list)
    _along: str = ""

    def look(self, column: Column, table: str, rows: np.ndarray, groups: np.ndarray) -> None:
        """Look at a column.

        Parameters
        ----------
        column : Column
            One value for each place that is looked at.
        table : str
            The user's table that it comes from.
        rows : (places,) int array
            The place's row in that table.
        groups : (places,) int array
            The group that cannot do without it.

        Raises
        ------
        DataError
            Where a value is infinite.
        """
        refuse_infinite(column, table, rows, column.name in self.endless)
        bad = np.flatnonzero(column.missing)
        if len(bad):
            self._gaps.append((column, table, np.unique(rows[bad])))
            self.keep[groups[bad]] = False

    def together(self, column: Column, groups: np.ndarray) -> None:
        """Leave out whole sets, one of whose groups is left out.

        Parameters
        ----------
        column : Column
            The sets of some places.
        groups : (places,) int array
            The group of each.
        """
        codes, levels = encode(column)
        of_group = np.full(len(self.keep), -1, dtype=np.int64)
        of_group[groups] = codes
        known = of_group >= 0
        cut = np.zeros(len(levels), dtype=bool)
        cut[of_group[known & ~self.keep]] = True
        along = known & self.keep
        along[known] &= cut[of_group[known]]
        if along.any():
            self.keep[along] = False
            those = counted(int(np.count_nonzero(along)), self.noun)
            self._along = f", {those} of them because others of the same {column.name!r} are left out"

    def settle(self) -> tuple[Note, ...]:
        """Raise for missing values, or note what is dropped for them."""
        if not self._gaps:
            return ()
        total = len(self.keep)
        dropped = total - int(np.count_nonzero(self.keep))
        if self.missing == "error":
            places = " and ".join(
                f"column {c.name!r} of {table} is missing in {counted(len(r), 'row')} (first: {listed(r)})"
                for c, table, r in self._gaps
            )
            drop = 'give missing="drop" to leave out' if self.droppable else "leave out"
            raise DataError(
                f"{places}, rows counted from 0: fill them in, or {drop} the {counted(dropped, self.noun)} (of "
                f"{total}) that need them{self._along}"
            )
        places = ", ".join(f"{c.name!r} of {table} ({counted(len(r), 'row')})" for c, table, r in self._gaps)
        text = f"dropped {dropped} of {total} {self.noun}s for missing values in {places}{self._along}"
        note = caution("dropped", text, *dict.fromkeys(c.name for c, _, _ in self._gaps))
        if dropped == total:
            raise DataError(f'missing="drop" leaves no {self.noun}: values are missing in {places}', note)
        return (note,)


def refuse_infinite(column: Column, table: str, rows: np.ndarray, endless: bool = False) -> None:
    """An infinite value is an error, whatever is to happen to missing ones."""
    if column.values.dtype.kind != "f":
        return
    infinite = np.isneginf(column.values) if endless else np.isinf(column.values)
    if infinite.any():
        bad = np.unique(rows[infinite])
        raise DataError(
            f"column {column.name!r} of {table} is infinite in {counted(len(bad), 'row')} (first: "
            f"{listed(bad)}), rows counted from 0: correct these values, or make them missing"
        )


def open_ends(table: Table, ends: tuple[str, str] | None) -> Table:
    """Intervals of times without their missing ends: a missing upper end is infinity, a missing lower end zero.

    Where both are missing the outcome is.
    """
    if ends is None or any(table[name].kind not in ("number", "integer") for name in ends):
        return table
    columns = dict(table.columns)
    lower, upper = (columns[name] for name in ends)
    for column, other, value in ((lower, upper, 0.0), (upper, lower, np.inf)):
        open_ = column.missing & ~other.missing
        if open_.any():
            values = np.where(open_, value, column.values.astype(float))
            columns[column.name] = replace(column, values=values, kind="number", missing=column.missing & ~open_)
    return replace(table, columns=columns)
