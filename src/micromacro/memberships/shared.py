"""What the constructors share: names of columns, the long table that they give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import DataError
from ..table.columns import column_names, read_table
from ..table.screen import counted, listed
from ..table.slots import Slots, group_ids, long_table

if TYPE_CHECKING:
    import pandas as pd

Keep = Sequence[str] | Literal["all"]


def finish(data: Any, group: str | None, member: str, slots: Slots, columns: dict[str, np.ndarray], keep: Keep) -> Any:
    """Group, member and further columns as a table; with `keep`, groups without a member have a row too."""
    name, ids = group_ids(data, group)
    if not len(slots.row):
        raise DataError("all slots are empty: there is no membership")
    if len({name, member, *columns}) < 2 + len(columns):
        raise DataError(f"two columns would have the same name ({name}, {member}, {', '.join(columns)}): give member=")
    row, every = slots.row, {member: slots.member} | columns
    kept = kept_columns(data, keep, {name: ids, **every})
    bare = np.flatnonzero(slots.size == 0) if kept else np.empty(0, dtype=np.int64)
    if len(bare):
        row = np.concatenate([row, bare])
        order = np.argsort(row, kind="stable")
        row = row[order]
        every = {k: _padded(v, len(bare))[order] for k, v in every.items()}
    return long_table(data, {name: ids[row], **every}, kept, row)


def _padded(values: np.ndarray, count: int) -> np.ndarray:
    """Values with some missing ones after them."""
    if values.dtype == object:
        return np.concatenate([values, np.full(count, None, dtype=object)])
    if values.dtype.kind == "M":
        return np.concatenate([values, np.full(count, np.datetime64("NaT"), dtype=values.dtype)])
    return np.concatenate([values.astype(float), np.full(count, np.nan)])


def text_argument(value: Any, what: str, empty: bool = False) -> str:
    """An argument that must be text: the name of a column, a sign that parts ids."""
    if not isinstance(value, str) or not (value or empty):
        raise DataError(f"{what}= is text, not {shown(value)}")
    return value


def text_arguments(**given: Any) -> None:
    """Refuse arguments that are not text; None is left out."""
    for what, value in given.items():
        if value is not None:
            text_argument(value, what)


def shown(value: Any) -> str:
    """A value for a message, whatever it is."""
    try:
        return repr(value)[:80]
    except Exception:  # noqa: BLE001 - an object that cannot say what it is
        return f"a {type(value).__name__}"


def kept_columns(data: Any, keep: Keep, made: Mapping[str, Any]) -> list[str]:
    """Columns of the user's table to repeat."""
    if isinstance(keep, str) and keep == "all":
        return [n for n in column_names(data, "data") if n not in made]
    names = column_list(keep, "keep") if keep is not None else []
    read_table(data, "data", names or None) if names else None  # unknown columns are an error now
    return [n for n in names if n not in made or n in ("weight", "slot")]


def column_list(names: Any, what: str) -> list[str]:
    """A list of names of columns."""
    try:
        found = [names] if isinstance(names, str) else list(names)
    except TypeError:
        found = [names]
    if isinstance(names, str) or not all(isinstance(n, str) for n in found):
        raise DataError(f"{what} is a list of column names, not {shown(names)}")
    return found


def edge_table(edges: list[tuple[Any, Any, float]], group: str, member: str) -> pd.DataFrame:
    """The table of edges from groups to members."""
    import pandas as pd

    if not edges:
        raise DataError("there is no edge, so there is no membership")
    refuse_same_names(group, member)
    nodes = [node for edge in edges for node in edge[:2]]
    odd = next((node for node in nodes if not isinstance(node, _IDS)), None)
    if odd is not None or None in nodes:
        raise DataError(
            f"the nodes of the graph are neither numbers nor text (first: {shown(odd)}): relabel them, as with "
            "networkx.convert_node_labels_to_integers(graph, label_attribute='place')"
        )
    for name, place in ((group, 0), (member, 1)):
        read_table({name: [edge[place] for edge in edges]}, "the graph")  # ids of one type
    bad = next((edge for edge in edges if not np.isfinite(edge[2])), None)
    if bad is not None:
        raise DataError(f"the weight of the edge from {bad[0]!r} to {bad[1]!r} is {bad[2]}: correct it")
    return pd.DataFrame(edges, columns=[group, member, "weight"])


_IDS = (str, int, float, np.integer, np.floating, np.bool_, date, np.datetime64)


def number(value: Any, what: str) -> float:
    """A number out of whatever the user's object holds."""
    try:
        return float(value)
    except Exception as error:  # objects may raise anything
        raise DataError(f"{what} is {shown(value)}, not a number: correct it") from error


def refuse_same_names(*names: str) -> None:
    """Refuse names of columns that are the same."""
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"two columns would be called {twice[0]!r}: give them different names")


def refuse_gaps(missing: np.ndarray, name: str) -> None:
    """Refuse missing values."""
    bad = np.flatnonzero(missing)
    if len(bad):
        raise DataError(
            f"column {name!r} is missing in {counted(len(bad), 'row')} (first: {listed(bad)}), rows counted from 0: "
            "fill it in or remove the rows"
        )


def codes_of(values: np.ndarray) -> np.ndarray:
    """Numbers from 0 for the distinct values, in order."""
    return np.unique(values.astype(str) if values.dtype == object else values, return_inverse=True)[1].reshape(-1)
