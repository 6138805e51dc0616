"""What data in partitions come from: parquet files, or the partitions of a Dask frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from .._optional import require
from ..errors import DataError
from ..notes import Note
from ..table.columns import column_names, read_table
from ..table.memberships import TableRequest, assemble
from ..table.merging import Apart, of_partition


@dataclass(frozen=True)
class File:
    """A parquet file."""

    path: str

    def load(self, columns: Sequence[str] | None = None) -> Any:
        """Its table, or some of its columns."""
        parquet = require("pyarrow.parquet", "dask")
        return parquet.ParquetFile(self.path).read(columns=None if columns is None else list(columns))

    def sent(self) -> File:
        """Itself: whoever has a task about it reads it."""
        return self

    def names(self) -> tuple[str, ...]:
        """Names of its columns, without reading it."""
        return tuple(require("pyarrow.parquet", "dask").read_schema(self.path).names)


def is_apart(data: Any) -> bool:
    """Whether data are partitions: a path, or a Dask frame."""
    return isinstance(data, (str, PathLike)) or _is_dask(data)


def _is_dask(data: Any) -> bool:
    return hasattr(data, "to_delayed") and hasattr(data, "npartitions")


def files_of(path: Any) -> list[File]:
    """The parquet files of a path: itself, or those of the folder in the order of their names.

    Raises
    ------
    DataError
        Where there is none.
    """
    at = Path(path)
    found = sorted(at.rglob("*.parquet")) if at.is_dir() else [at] if at.is_file() and at.suffix == ".parquet" else []
    if not found and "~" in at.name:
        raise DataError(f"data={str(path)!r} looks like a formula: the formula comes first, mm.fit(formula, data)")
    if not found and at.suffix.lower() in (".csv", ".tsv", ".txt", ".xlsx", ".dta", ".sav"):
        raise DataError(
            f"data={str(path)!r} is a file: read it first, as in mm.fit(formula, pd.read_csv({str(path)!r}))"
        )
    if not found:
        raise DataError(
            f"data={str(path)!r} is neither a parquet file nor a folder with files that end in .parquet: give a folder "
            "with a file per partition, a Dask frame, or a table"
        )
    return [File(str(one.resolve())) for one in found]


def names_of(files: Sequence[File]) -> tuple[str, ...]:
    """Columns that any of the files has: one that some lack is missing there, not a free symbol."""
    return tuple(dict.fromkeys(name for file in files for name in file.names()))


def columns_of(request: TableRequest, names: Sequence[str]) -> list[str]:
    """The columns that a request reads, if they are there: what is not will be said by whoever reads."""
    wanted = [*request.group_columns, *([request.group] if request.group else [])]
    for block in request.blocks:
        wanted += [*block.keys, *block.columns]
    return [name for name in dict.fromkeys(wanted) if name in names]


class Partition:
    """The tables of a partition.

    Parameters
    ----------
    source : File or table
    number : int
        Which partition it is.
    request : TableRequest
    missing : {"error", "drop"}
    """

    def __init__(self, source: Any, number: int, request: TableRequest, missing: str):
        if isinstance(source, File):
            source = source.load(columns_of(request, source.names()))
        self.apart: Apart | None = None
        self._left_out: tuple[Note, ...] = ()
        if not len(source):  # as shuffling leaves some
            return
        wanted = columns_of(request, column_names(source))
        try:
            raw = read_table(source, "data", wanted)
            self.apart = Apart(
                number,
                assemble(request, raw, missing=missing),
                {n: c.categories for n, c in raw.columns.items() if c.categories is not None},
            )
        except DataError as error:
            if error.left_out is None:
                raise DataError(f"in partition {number} of data: {error}") from error
            self._left_out = (of_partition(number, error.left_out),)  # others may have groups

    def read(self) -> Apart | None:
        """Its groups and memberships; None where it has no rows, or none without missing values."""
        return self.apart

    def left_out(self) -> tuple[Note, ...]:
        """What was dropped, where that is all of it."""
        return self._left_out
