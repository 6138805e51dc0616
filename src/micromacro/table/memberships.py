"""From the user's tables to groups and memberships in one canonical order.

Groups are sorted by id, memberships by group, member and then by every column that is used, so that the order
of the user's rows, the kind of data frame and the shape (long or relational) leave no trace in the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from ..notes import Note, remark
from ..numerics.ragged import starts
from .columns import Column, Table, column_names, own_labels, read_table
from .levels import Levels, encode
from .request import BlockRequest, TableRequest
from .screen import Screen, counted, open_ends
from .shapes import Edges, Shaped, from_long, from_relational, named_tables
from .slots import ROW, numbered

__all__ = ["BlockRequest", "Memberships", "TableRequest", "Tables", "assemble", "available_columns"]


@dataclass(frozen=True, eq=False)
class Memberships:
    """The memberships of one block, sorted by group.

    Attributes
    ----------
    block : str
    group, member : (memberships,) int64 arrays
        Codes of the group (row of ``Tables.groups``) and of the member (place in `members`).
    members : Levels
    table : Table
        The requested columns, one row per membership.
    start : (groups + 1,) int64 array
        Group i has the memberships ``start[i]`` to ``start[i + 1]``.
    elsewhere : int
        Memberships of the same block that lie in partitions, and are not among these.
    """

    block: str
    group: np.ndarray
    member: np.ndarray
    members: Levels
    table: Table
    start: np.ndarray
    elsewhere: int = 0

    @property
    def count(self) -> int:
        """How many memberships the block has, wherever they lie."""
        return len(self.group) + self.elsewhere


@dataclass(frozen=True, eq=False)
class Tables:
    """Everything that a model reads.

    Attributes
    ----------
    groups : Table
        One row per group, sorted by id (by all values where every row is a group).
    group_levels : Levels or None
        The groups' ids; None where every row is a group.
    blocks : dict of Memberships by block
    notes : tuple of Note
        What was dropped (these begin with "dropped"), groups without members, members listed twice.
    order : (groups,) int64 array or None
        Where every row is a group: the user's row of each.
    labels : pandas.Index or None
        Where every row is a group of a pandas frame with an index of its own: the label of each.
    """

    groups: Table
    group_levels: Levels | None
    blocks: dict[str, Memberships]
    notes: tuple[Note, ...] = ()
    order: np.ndarray | None = None
    labels: Any = None

    @property
    def noun(self) -> str:
        """What one outcome belongs to: a group, or an observation where every row of the data is one."""
        return "observation" if self.group_levels is None else "group"

    @property
    def ids(self) -> np.ndarray:
        """What the user knows outcomes by (groups,): ids of groups, or numbers of rows where each row is one."""
        ids = self.order if self.group_levels is None else self.group_levels.values
        assert ids is not None
        return ids


def available_columns(data: Any, memberships: Any = None, members: Any = None) -> tuple[str, ...]:
    """Names of all columns of the user's tables."""
    names = list(column_names(data, "data"))
    for name, table in (named_tables(memberships, "memberships") | named_tables(members, "members")).items():
        names += column_names(table, name)
    return tuple(dict.fromkeys(names))


def assemble(
    request: TableRequest, data: Any, memberships: Any = None, members: Any = None, missing: str = "error"
) -> Tables:
    """Read the tables and bring them into canonical order.

    Parameters
    ----------
    request : TableRequest
    data : table
        Long (one row per membership) if `memberships` is None, else one row per group; the group column ``row``, the
        number of the row, need not exist there.
    memberships : table or dict of tables by block, optional
        Edge tables: a row per membership, with the member and the group column. A missing member id is an empty
        slot.
    members : table or dict of tables by member column, optional
        One row per member.
    missing : {"error", "drop"}
        What to do about values that are missing elsewhere; "drop" leaves out each group that needs one, and
        notes it.

    Returns
    -------
    Tables

    Raises
    ------
    DataError
        For tables that cannot be read or joined, columns of groups that vary within one, missing and infinite
        values; the message names the column, the rows (counted from 0) and the remedy.
    """
    if missing not in ("error", "drop"):
        raise DataError(f'missing= is "error" or "drop", not {missing!r}')
    if request.group is None and (memberships is not None or members is not None):
        raise DataError("memberships= and members= need a formula with mm(): without it, each row is an observation")
    if memberships is not None and request.group == ROW and ROW not in column_names(data, "data"):
        data = numbered(data)
    if request.group is None:
        return _rows_as_groups(request, data, missing)
    if memberships is not None:
        return _finish(request, from_relational(request, data, memberships, members, missing))
    if members is not None:
        raise DataError("members= goes with memberships=: without it, data holds all columns, one row per membership")
    return _finish(request, from_long(request, data, missing))


def _finish(request: TableRequest, shaped: Shaped) -> Tables:
    """Leave out groups that are to be dropped, and sort."""
    keep, levels, groups = shaped.keep, shaped.levels, shaped.groups
    renumber = None if keep.all() else np.cumsum(keep) - 1
    if renumber is not None:
        groups, levels = groups.take(np.flatnonzero(keep)), Levels(levels.name, levels.values[keep])
    blocks = {}
    notes = list(shaped.notes)
    for block in request.blocks:
        edges = shaped.edges[block.block]
        if renumber is not None:
            rows = np.flatnonzero(keep[edges.group])
            edges = Edges(renumber[edges.group[rows]], edges.member.take(rows), edges.table.take(rows))
        blocks[block.block], repeats = _sort(block.block, edges, len(levels))
        notes += _remarks(blocks[block.block], repeats)
    return Tables(_tidy(groups, request), levels, blocks, tuple(notes))


def _sort(block: str, edges: Edges, groups: int) -> tuple[Memberships, int]:
    """Memberships in canonical order, and how many list a member of a group again."""
    member, levels = encode(edges.member)
    slot = edges.group * max(len(levels), 1) + member
    order = np.argsort(slot, kind="stable")
    repeats = int(np.count_nonzero(slot[order][1:] == slot[order][:-1]))
    # repeats alone leave an order to choose: their values choose, so that the order of rows does not show
    if repeats:
        order = np.lexsort([*_sort_keys(edges.table), slot])
    group = edges.group[order]
    start = starts(np.bincount(group, minlength=groups))
    return Memberships(block, group, member[order], levels, edges.table.take(order).tidy(), start), repeats


def _tidy(groups: Table, request: TableRequest) -> Table:
    """Tidy columns; the outcome keeps all its categories, so that an empty one can be seen."""
    tidy = groups.tidy()
    categories = {n: groups[n] for n in request.outcome_columns if n in groups and groups[n].categories is not None}
    return Table(tidy.name, tidy.columns | categories, tidy.n_rows)


def _sort_keys(table: Table) -> list[np.ndarray]:
    """Keys for lexsort, the first column last because it counts most; text by code points."""
    return [_sort_key(c) for c in table.columns.values()][::-1]


def _sort_key(column: Column) -> np.ndarray:
    return encode(column)[0] if column.kind in ("text", "category") else column.values


def _remarks(rows: Memberships, repeats: int) -> list[Note]:
    groups = len(rows.start) - 1
    empty = int(np.count_nonzero(np.diff(rows.start) == 0))
    out = []
    if empty:
        text = f"{empty} of {counted(groups, 'group')} have no member in block {rows.block!r} and get 0 from it"
        out.append(remark("empty-groups", text, rows.block))
    if repeats:
        text = (
            f"{counted(repeats, 'membership')} of block {rows.block!r} {'lists' if repeats == 1 else 'list'} a member "
            "again in the same group: it counts as often as it is listed"
        )
        out.append(remark("listed-again", text, rows.block))
    return out


def _rows_as_groups(request: TableRequest, data: Any, missing: str) -> Tables:
    """Without a member block every row is a group; rows are sorted by all values that are used."""
    if not request.group_columns:
        raise DataError("the formula names no column of data, so there is nothing to model")
    table = open_ends(read_table(data, "data", request.group_columns), request.ends)
    rows = np.arange(table.n_rows)
    screen = Screen(missing, np.ones(table.n_rows, dtype=bool), "row", request.endless, request.droppable)
    for column in table.columns.values():
        screen.look(column, "data", rows, rows)
    if request.sets is not None:
        screen.together(table[request.sets], rows)
    notes = screen.settle()
    rows = np.flatnonzero(screen.keep)
    table = table.take(rows)
    order = np.lexsort(_sort_keys(table))
    labels = own_labels(data)
    at = rows[order]
    return Tables(_tidy(table.take(order), request), None, {}, notes, at, None if labels is None else labels.take(at))
