"""What the constructors share: how a table of memberships is put together, and checks of names and ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ..errors import DataError
from ..table.columns import column_names, read_table
from ..table.screen import counted, listed
from ..table.slots import Slots, group_ids, long_table

Keep = Sequence[str] | Literal["all"]


def finish(data: Any, group: str | None, member: str, slots: Slots, columns: dict[str, np.ndarray], keep: Keep) -> Any:
    """Group, member and further columns as a table; with `keep`, groups without a member have a row too."""
    name, ids = group_ids(data, group)
    if not len(slots.row):
        raise DataError("all slots are empty: there is no membership")
    if len({name, member, *columns}) < 2 + len(columns):
        raise DataError(f"two columns would have the same name ({name}, {member}, {', '.join(columns)}): give member=")
    row, every = slots.row, {member: slots.member} | columns
    also = kept(data, keep, {name: ids, **every})
    bare = np.flatnonzero(slots.size == 0) if also else np.empty(0, dtype=np.int64)
    if len(bare):
        row = np.concatenate([row, bare])
        order = np.argsort(row, kind="stable")
        row = row[order]
        every = {k: padded(v, len(bare))[order] for k, v in every.items()}
    return long_table(data, {name: ids[row], **every}, also, row)


def padded(values: np.ndarray, count: int) -> np.ndarray:
    """Values with some missing ones after them."""
    if values.dtype == object:
        return np.concatenate([values, np.full(count, None, dtype=object)])
    if values.dtype.kind == "M":
        return np.concatenate([values, np.full(count, np.datetime64("NaT"), dtype=values.dtype)])
    return np.concatenate([values.astype(float), np.full(count, np.nan)])


def kept(data: Any, keep: Keep, made: Mapping[str, Any]) -> list[str]:
    """The columns of the data that ``keep=`` names, those apart that the table of memberships makes itself."""
    if keep == "all":
        return [n for n in column_names(data, "data") if n not in made]
    names = column_list(keep, "keep") if len(keep) else []
    read_table(data, "data", names or None) if names else None  # unknown columns are an error now
    return [n for n in names if n not in made or n in ("weight", "slot")]


def column_list(names: Any, what: str) -> list[str]:
    """A list of column names, checked."""
    if isinstance(names, str) or not all(isinstance(n, str) for n in names):
        raise DataError(f"{what} is a list of column names, not {names!r}")
    return list(names)


def check_different(*names: str) -> None:
    """Refuse names of columns that are the same."""
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"two columns would be called {twice[0]!r}: give them different names")


def check_present(missing: np.ndarray, name: str) -> None:
    """Refuse a column with missing values."""
    bad = np.flatnonzero(missing)
    if len(bad):
        raise DataError(
            f"column {name!r} is missing in {counted(len(bad), 'row')} (first: {listed(bad)}), rows counted from 0: "
            "fill it in or remove the rows"
        )


def codes(values: np.ndarray) -> np.ndarray:
    """Numbers from 0 for the distinct values, in their order."""
    return np.unique(values.astype(str) if values.dtype == object else values, return_inverse=True)[1].reshape(-1)
