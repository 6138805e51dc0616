"""The two shapes that data come in, long and relational, made into groups and edges (unsorted)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from ..notes import Note
from .columns import Column, Table, column_names, did_you_mean, index_names, read_table, unknown_column
from .joined import unit_column
from .levels import Levels, encode
from .request import BlockRequest, TableRequest
from .screen import Screen, counted, listed, open_ends, refuse_infinite


@dataclass(frozen=True, eq=False)
class Edges:
    """A block's memberships in the order of the user's rows.

    Attributes
    ----------
    group : (m,) int64 array
        Codes of the groups.
    member : Column
        Ids of the members, none missing.
    table : Table
        The requested columns, one row per membership.
    """

    group: np.ndarray
    member: Column
    table: Table


@dataclass(frozen=True, eq=False)
class Shaped:
    """What both shapes become.

    Attributes
    ----------
    levels : Levels
        Of all groups, those to be dropped too.
    groups : Table
        One row per group in the order of `levels`.
    keep : (groups,) bool array
        Groups in which nothing is missing.
    edges : dict of Edges by block
    notes : tuple of Note
    """

    levels: Levels
    groups: Table
    keep: np.ndarray
    edges: dict[str, Edges]
    notes: tuple[Note, ...]


# -- long: one row per membership ------------------------------------------------------------------------------


def from_long(request: TableRequest, data: Any, missing: str) -> Shaped:
    """Groups and edges of a table with a row per membership, columns of groups repeated."""
    assert request.group is not None
    needed = [request.group, *request.group_columns]
    for block in request.blocks:
        needed += [*block.keys, *block.columns]
    names = column_names(data)
    _refuse_edges_alone(request, names)
    _refuse_groups_alone(request, names, index_names(data))
    table = open_ends(read_table(data, "data", needed), request.ends)
    codes, levels = _group_codes(table[request.group], "data")
    screen = Screen(missing, np.ones(len(levels), dtype=bool), endless=request.endless, droppable=request.droppable)
    everywhere = np.arange(table.n_rows)
    for name in request.group_columns:
        screen.look(table[name], "data", everywhere, codes)
    edges = {}
    for block in request.blocks:
        rows, member = _filled(unit_column(block.keys, table)[0], "data")
        edge = Edges(codes[rows], member, table.select(block.columns).take(rows))
        for column in edge.table.columns.values():
            screen.look(column, "data", rows, edge.group)
        edges[block.block] = edge
    if request.sets is not None:
        screen.together(table[request.sets], codes)
    notes = screen.settle()
    groups = _constant_columns(request, table, codes, levels, screen.keep)
    return Shaped(levels, groups, screen.keep, edges, notes)


def _refuse_edges_alone(request: TableRequest, names: tuple[str, ...]) -> None:
    """Refuse a table of memberships without the outcome: that of the groups is missing."""
    lacking = [name for name in request.outcome_columns if name not in names]
    keys = {request.group, *(key for block in request.blocks for key in block.keys)}
    if lacking and request.blocks and keys.issubset(names) and not set(request.group_columns).intersection(names):
        raise DataError(
            f"data has no column {lacking[0]!r}: it holds memberships only ({', '.join(names[:10])}). Pass the table "
            'of the groups as data and this one as memberships=, or make it with keep="all"'
        )


def _refuse_groups_alone(request: TableRequest, names: tuple[str, ...], index: tuple[Any, ...]) -> None:
    """Refuse a table without a column of members: it may have one row per group."""
    lacking = [key for block in request.blocks for key in block.keys if key not in (*names, *index)]
    if lacking:
        remedy = "if it has one row per group, pass the table of their members as memberships="
        raise DataError(f"{unknown_column(lacking[0], 'data', names)}; {remedy}")


def _group_codes(column: Column, table: str) -> tuple[np.ndarray, Levels]:
    refuse_infinite(column, table, np.arange(len(column.values)))
    bad = np.flatnonzero(column.missing)
    if len(bad):
        raise DataError(
            f"the group column {column.name!r} of {table} is missing in {counted(len(bad), 'row')} (first: "
            f"{listed(bad)}), rows counted from 0: a row must belong to a group; fill it in or remove the rows"
        )
    return encode(column)


def _filled(member: Column, table: str) -> tuple[np.ndarray, Column]:
    """Rows whose slot holds a member, and the members in them; an empty slot is not a membership."""
    refuse_infinite(member, table, np.arange(len(member.values)))
    if not member.missing.any():
        return np.arange(len(member.values)), member
    rows = np.flatnonzero(~member.missing)
    return rows, member.take(rows)


def _constant_columns(
    request: TableRequest, table: Table, codes: np.ndarray, levels: Levels, keep: np.ndarray
) -> Table:
    """One row a group of columns that must not vary within one (in groups that are kept)."""
    order = np.argsort(codes, kind="stable")
    inside = np.flatnonzero((codes[order][1:] == codes[order][:-1]) & keep[codes[order][1:]])
    above, below = order[inside], order[inside + 1]
    for name in request.group_columns:
        values = table[name].values
        differ = np.flatnonzero(values[above] != values[below])
        if len(differ):
            raise _varies(request, table, table[name], codes, levels, above[differ], below[differ])
    first = order[np.searchsorted(codes[order], np.arange(len(levels)))]
    return table.select(request.group_columns).take(first)


def _swapped(request: TableRequest, column: Column, table: Table) -> str | None:
    """The member column within whose values an outcome is constant: probably the group; None if there is none."""
    for block in request.blocks:
        if len(block.keys) == 1 and not table[block.keys[0]].missing.any():
            codes, levels = encode(table[block.keys[0]])
            first = np.full(len(levels), -1)
            first[codes[::-1]] = np.arange(len(codes))[::-1]
            if np.array_equal(column.values, column.values[first[codes]]):
                return block.keys[0]
    return None


def _varies(
    request: TableRequest,
    table: Table,
    column: Column,
    codes: np.ndarray,
    levels: Levels,
    above: np.ndarray,
    below: np.ndarray,
) -> DataError:
    """The error for a column that changes from row `above[k]` to row `below[k]` of one group."""
    one, other = above[0], below[0]
    many = len(np.unique(codes[above]))
    values = column.values
    clash = f"{values[one]!s} (row {one}) and {values[other]!s} (row {other}, counted from 0)"
    clash += f", and it varies within {counted(many - 1, 'other group')}" if many > 1 else ""
    group = f"group {levels.values[codes[one]]!s} ({request.group!r})"
    if column.name in request.outcome_columns and (member := _swapped(request, column, table)):
        return DataError(
            f"{group} has two outcomes: column {column.name!r} is {clash}. It is constant within each {member!r}: if "
            f"{member!r} has the outcome, write the member first, mm({request.group}, {member})"
        )
    if column.name in request.outcome_columns:
        return DataError(
            f"{group} has two outcomes: column {column.name!r} is {clash}. A group has one outcome, repeated "
            "in each of its rows: correct the values, or the group ids if these are different groups"
        )
    return DataError(
        f"column {column.name!r} belongs to groups but is not constant in {group}: it is {clash}. Correct "
        "the values, or move the column into the covariates of mm() if it belongs to members"
    )


# -- relational: tables of groups, of edges, and of members --------------------------------------------------


def from_relational(request: TableRequest, data: Any, memberships: Any, members: Any, missing: str) -> Shaped:
    """Groups and edges of a table of groups, edge tables, and perhaps tables of members."""
    assert request.group is not None
    sources = _Sources(request, data, memberships, members)
    table = read_table(data, "data", [request.group, *request.group_columns, *sources.joined])
    table = open_ends(table, request.ends)
    codes, levels = _group_codes(table[request.group], "data")
    _no_repeats(codes, levels, "data", "; for one row per membership, leave out memberships=")
    rows = np.argsort(codes, kind="stable")
    table = table.take(rows)
    screen = Screen(missing, np.ones(len(levels), dtype=bool), endless=request.endless, droppable=request.droppable)
    for name in request.group_columns:
        screen.look(table[name], "data", rows, np.arange(len(levels)))
    edges = {b.block: _join(sources, b, table, rows, levels, screen) for b in request.blocks}
    if request.sets is not None:
        screen.together(table[request.sets], np.arange(len(levels)))
    notes = screen.settle()
    return Shaped(levels, table.select(request.group_columns), screen.keep, edges, notes)


def named_tables(tables: Any, name: str) -> dict[str, Any]:
    """A table, or a dict of tables, by the name for messages."""
    if tables is None:
        return {}
    if isinstance(tables, Mapping) and not any(_is_array(v) for v in tables.values()):
        return {f"{name}[{key!r}]": table for key, table in tables.items()}
    return {name: tables}


def _is_array(value: Any) -> bool:
    """Whether a dict holds this as a column, not as a table."""
    return not (isinstance(value, (Mapping, Table)) or hasattr(value, "columns"))


class _Sources:
    """Which table each column of a block comes from.

    Attributes
    ----------
    edges, members : dict
        Edge table of each block, member table of each member column (where there is one): (name, table).
    joined : list of str
        Columns of `data` that blocks read.
    """

    def __init__(self, request: TableRequest, data: Any, memberships: Any, members: Any):
        self.group = request.group
        self.data_names = column_names(data, "data")
        self.edges = _edge_tables(request, memberships)
        self.members = _member_tables(request, members)
        self._check_group_columns(request)
        wanted = {c for b in request.blocks for c in self._ambiguous(b, request)}
        self.joined = sorted(c for c in wanted if c in self.data_names)

    def names(self, block: BlockRequest) -> dict[str, tuple[str, ...]]:
        """Columns of each table that the block sees, edges first."""
        pairs = [self.edges[block.block]]
        pairs += [self.members[block.member]] if block.member in self.members else []
        return {name: column_names(table, name) for name, table in pairs} | {"data": self.data_names}

    def _check_group_columns(self, request: TableRequest) -> None:
        """Columns of groups must be in `data`; the error says where a column is instead."""
        for column in (request.group, *request.group_columns):
            if column is None or column in self.data_names:
                continue
            for name, table in [*self.edges.values(), *self.members.values()]:
                if column in column_names(table, name) and column != request.group:
                    raise DataError(
                        f"column {column!r} is used for groups, so data (one row per group) must have it, but "
                        f"it is in {name}"
                    )
            raise unknown_column(column, "data", self.data_names)

    def _ambiguous(self, block: BlockRequest, request: TableRequest) -> list[str]:
        """The block's columns; one that two tables have, keys apart, is an error."""
        tables = self.names(block)
        for column in dict.fromkeys((*block.columns, *request.group_columns)):
            if column in (request.group, block.member):
                continue
            having = [name for name, names in tables.items() if column in names]
            if len(having) > 1:
                raise DataError(f"column {column!r} is in {having[0]} and in {having[1]}: rename or drop one of them")
            if not having and column in block.columns:
                known = [n for names in tables.values() for n in names]
                raise unknown_column(column, " and ".join(tables), list(dict.fromkeys(known)))
        return [c for c in block.columns if c not in (request.group, block.member)]


def _edge_tables(request: TableRequest, memberships: Any) -> dict[str, tuple[str, Any]]:
    """The edge table of each block with its name for messages."""
    named = named_tables(memberships, "memberships")
    if list(named) == ["memberships"]:
        return {b.block: ("memberships", memberships) for b in request.blocks}
    keys = {b.block: f"memberships[{b.block!r}]" for b in request.blocks}
    _match_keys("memberships", [str(k) for k in memberships], list(keys), "block", every=True)
    return {block: (key, named[key]) for block, key in keys.items()}


def _member_tables(request: TableRequest, members: Any) -> dict[str, tuple[str, Any]]:
    """The member table of each member column, where there is one."""
    columns = list(dict.fromkeys(b.member for b in request.blocks if not b.parts))
    named = named_tables(members, "members")
    if list(named) == ["members"]:
        have = column_names(members, "members")
        keys = [c for c in columns if c in have]
        if not keys:
            raise unknown_column(columns[0] if columns else request.blocks[0].member, "members", have)
        return dict.fromkeys(keys, ("members", members))
    if members is not None:
        _match_keys("members", [str(k) for k in members], columns, "member column", every=False)
    keyed = {c: f"members[{c!r}]" for c in columns}
    return {c: (key, named[key]) for c, key in keyed.items() if key in named}


def _match_keys(argument: str, given: list[str], known: list[str], what: str, every: bool) -> None:
    """Keys of a dict of tables must be known, and (`every`) all there."""
    for key in given:
        if key not in known:
            raise DataError(
                f"{argument}= has a table for {key!r}, which is not a {what} of the formula"
                f"{did_you_mean(key, known)} ({what}s: {', '.join(known)})"
            )
    absent = [k for k in known if k not in given] if every else []
    if absent:
        raise DataError(f"{argument}= has no table for {what} {absent[0]!r}; it has {', '.join(given) or 'none'}")


def _no_repeats(codes: np.ndarray, levels: Levels, table: str, remedy: str = "") -> None:
    """A key must not occur twice in a table of groups or of members."""
    twice = np.flatnonzero(np.bincount(codes[codes >= 0], minlength=len(levels)) > 1)
    if len(twice):
        raise DataError(
            f"{table} must have one row for each {levels.name!r}, but it has several for {counted(len(twice), 'id')} "
            f"(first: {listed(levels.values[twice])}): remove all but one{remedy}"
        )


def _join(
    sources: _Sources,
    block: BlockRequest,
    groups: Table,
    group_rows: np.ndarray,
    levels: Levels,
    screen: Screen,
) -> Edges:
    """A block's edges with columns from its edge table, its members' table and the table of groups."""
    assert sources.group is not None
    name, data = sources.edges[block.block]
    have = column_names(data, name)
    keys = [block.member] if not block.parts else [c for c in block.parts if c in have]
    edge = read_table(data, name, [sources.group, *keys, *(c for c in block.columns if c in have)])
    rows, member = _filled(unit_column(tuple(keys), edge)[0], name) if keys else (np.arange(edge.n_rows), None)
    edge = edge.take(rows)
    codes = _find(levels, edge[sources.group], name, "data", rows)
    # column, its table, its row there: one of each a membership
    found: dict[str, tuple[Column, str, np.ndarray]] = {c: (edge[c], name, rows) for c in edge.names}
    found |= {c: (groups[c].take(codes), "data", group_rows[codes]) for c in sources.joined}
    if block.parts:
        parts = Table(name, {c: found[c][0] for c in block.parts}, len(rows))
        member = unit_column(block.parts, parts)[0]
    assert member is not None
    if block.member in sources.members:
        found |= _member_columns(sources.members[block.member], block, member, name, rows)
    for column in block.columns:
        screen.look(*found[column], codes)
    return Edges(codes, member, Table(name, {c: found[c][0] for c in block.columns}, len(rows)))


def _find(levels: Levels, ids: Column, table: str, other: str, rows: np.ndarray) -> np.ndarray:
    """Codes of ids, all of which must be known in the other table."""
    absent = np.flatnonzero(ids.missing)
    if len(absent):
        raise DataError(
            f"column {ids.name!r} of {table} is missing in {counted(len(absent), 'row')} that list a member "
            f"(first: {listed(rows[absent])}), rows counted from 0: fill it in or remove the rows"
        )
    codes = levels.find(ids, (table, other))
    unknown = np.flatnonzero(codes < 0)
    if len(unknown):
        strangers = encode(ids.take(unknown))[1].values
        raise DataError(
            f"{table} has {counted(len(strangers), 'id')} in column {ids.name!r} that {other} does not have "
            f"(first: {listed(strangers)}; first rows, counted from 0: {listed(rows[unknown])}): add them to "
            f"{other} or remove these memberships"
        )
    return codes


def _member_columns(
    named: tuple[str, Any], block: BlockRequest, member: Column, edge: str, rows: np.ndarray
) -> dict[str, tuple[Column, str, np.ndarray]]:
    """Columns of the member table, taken to the memberships."""
    name, data = named
    have = column_names(data, name)
    wanted = [c for c in block.columns if c in have and c != block.member]
    table = read_table(data, name, [block.member, *wanted])
    codes, levels = encode(table[block.member])
    _no_repeats(codes, levels, name)
    place = _find(levels, member, edge, name, rows)
    row_of = np.empty(len(levels), dtype=np.int64)
    row_of[codes[codes >= 0]] = np.flatnonzero(codes >= 0)
    return {c: (table[c].take(row_of[place]), name, row_of[place]) for c in wanted}
