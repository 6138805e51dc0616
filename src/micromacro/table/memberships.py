"""From the user's tables to groups and memberships in one canonical order.

Groups are sorted by id, memberships by group, member and then by every column that is used, so that the order of
the user's rows, the kind of data frame and the shape (long or relational) leave no trace in the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from .columns import Column, Table, column_names, read_table, unknown_column
from .levels import Levels, encode


@dataclass(frozen=True)
class BlockRequest:
    """What a member block needs: its name, its member column, the columns it reads."""

    block: str
    member: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class TableRequest:
    """What a model needs of the tables.

    Attributes
    ----------
    group : str or None
        The group column; None where every row is a group.
    group_columns : tuple of str
        Columns that belong to groups (outcome, fixed terms, units, offsets).
    blocks : tuple of BlockRequest
    outcome_columns : tuple of str
        Those of `group_columns` that make up the outcome.
    """

    group: str | None
    group_columns: tuple[str, ...]
    blocks: tuple[BlockRequest, ...] = ()
    outcome_columns: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Memberships:
    """The memberships of one block, sorted by group.

    Attributes
    ----------
    group, member : (m,) int64 arrays
        Codes of the group and of the member.
    members : Levels
    table : Table
        The requested columns (m rows).
    start : (groups + 1,) int64 array
        Where each group's memberships begin.
    """

    block: str
    group: np.ndarray
    member: np.ndarray
    members: Levels
    table: Table
    start: np.ndarray


@dataclass(frozen=True, eq=False)
class Tables:
    """Everything a model reads.

    Attributes
    ----------
    groups : Table
        One row a group, sorted by id (by all values where every row is a group).
    group_levels : Levels or None
    blocks : dict
    notes : tuple of str
        What was dropped, empty groups.
    order : (groups,) int64 array or None
        Where every row is a group: the user's row of each.
    """

    groups: Table
    group_levels: Levels | None
    blocks: dict[str, Memberships]
    notes: tuple[str, ...] = ()
    order: np.ndarray | None = None


def available_columns(data: Any, memberships: Any = None, members: Any = None) -> tuple[str, ...]:
    """Names of all columns of the user's tables."""
    names = list(column_names(data, "data"))
    for name, table in _named(memberships, "memberships") + _named(members, "members"):
        names += column_names(table, name)
    return tuple(dict.fromkeys(names))


def _named(tables: Any, name: str) -> list[tuple[str, Any]]:
    """A table, or a dict of tables, as pairs (name for messages, table)."""
    if tables is None:
        return []
    if isinstance(tables, Mapping) and all(not _is_array(v) for v in tables.values()):
        return [(f"{name}[{key!r}]", table) for key, table in tables.items()]
    return [(name, tables)]


def _is_array(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray)) or type(value).__name__ in ("Series", "ChunkedArray", "Array")


def assemble(
    request: TableRequest, data: Any, memberships: Any = None, members: Any = None, missing: str = "error"
) -> Tables:
    """Read the tables and bring them into canonical order.

    Parameters
    ----------
    data : table
        Long (one row a membership) if `memberships` is None, else one row a group.
    memberships : table or dict of tables by block, optional
        Edge tables: a row a membership, with the member and the group column.
    members : table or dict of tables by member column, optional
        One row a member.
    missing : {"error", "drop"}

    Raises
    ------
    DataError
    """
    if missing not in ("error", "drop"):
        raise DataError(f'missing= is "error" or "drop", not {missing!r}')
    if request.group is None:
        return _rows_as_groups(request, data, missing)
    if memberships is None:
        if members is not None:
            raise DataError("members= goes with memberships=: without it, data must hold all columns, one row a membership")
        groups, edges = _long(request, data, missing)
    else:
        groups, edges = _relational(request, data, memberships, members)
    return _finish(request, groups, edges, missing)


@dataclass(eq=False)
class _Groups:
    """Groups before cleaning: levels, one row a group, and the rows that the user knows them by."""

    levels: Levels
    table: Table
    rows: np.ndarray


@dataclass(eq=False)
class _Edges:
    """A block's memberships before cleaning; `rows` are the user's row numbers."""

    group: np.ndarray
    member: Column
    table: Table
    rows: np.ndarray


# -- long ------------------------------------------------------------------------------------------------------------


def _long(request: TableRequest, data: Any, missing: str) -> tuple[_Groups, dict[str, _Edges]]:
    assert request.group is not None
    needed = [request.group, *request.group_columns]
    for block in request.blocks:
        needed += [block.member, *block.columns]
    table = read_table(data, "data", needed)
    codes, levels = encode(table[request.group])
    _no_missing_group(codes, request.group, "data")
    order = np.argsort(codes, kind="stable")
    first = order[np.searchsorted(codes[order], np.arange(len(levels)))]
    for name in request.group_columns:
        _check_constant(table[name], codes, first, levels, request)
    groups = _Groups(levels, table.select(request.group_columns).take(first), first)
    edges = {}
    for block in request.blocks:
        rows = np.flatnonzero(~table[block.member].missing)
        part = table.select(block.columns).take(rows)
        edges[block.block] = _Edges(codes[rows], table[block.member].take(rows), part, rows)
    return groups, edges


def _no_missing_group(codes: np.ndarray, group: str, table: str) -> None:
    bad = np.flatnonzero(codes < 0)
    if len(bad):
        raise DataError(
            f"the group column {group!r} is missing in {len(bad)} rows of {table} (first: {_list(bad)}): a row must belong "
            "to a group; fill it in or remove the rows"
        )


def _check_constant(
    column: Column, codes: np.ndarray, first: np.ndarray, levels: Levels, request: TableRequest
) -> None:
    """A column of the groups must not vary within one."""
    head = first[codes]
    same = (column.values == column.values[head]) | (column.missing & column.missing[head])
    same &= column.missing == column.missing[head]
    bad = np.flatnonzero(~same)
    if not len(bad):
        return
    row = bad[np.argmin(codes[bad])]
    groups = len(np.unique(codes[bad]))
    what = "the outcome" if column.name in request.outcome_columns else "a group-level column"
    values = [("missing" if column.missing[r] else str(column.values[r])) for r in (head[row], row)]
    raise DataError(
        f"column {column.name!r} is {what} but varies within {groups} groups: group {levels.values[codes[row]]} has "
        f"{values[0]} (row {head[row]}) and {values[1]} (row {row}); make it constant in {request.group!r}, or move it into "
        "the covariates of mm()"
    )


# -- relational ------------------------------------------------------------------------------------------------------


def _relational(request: TableRequest, data: Any, memberships: Any, members: Any) -> tuple[_Groups, dict[str, _Edges]]:
    assert request.group is not None
    data_names = column_names(data, "data")
    if request.group not in data_names:
        raise unknown_column(request.group, "data", data_names)
    tables = _member_tables(request, members)
    edges_of = _edge_tables(request, memberships)
    _no_column_twice(request, data_names, edges_of, tables)
    wanted = [c for c in request.group_columns]
    shared = {c for b in request.blocks for c in b.columns if c in data_names}
    table = read_table(data, "data", [request.group, *wanted, *sorted(shared)])
    codes, levels = encode(table[request.group])
    _no_missing_group(codes, request.group, "data")
    _no_repeats(codes, levels, request.group, "data")
    rows = np.argsort(codes, kind="stable")
    table = table.take(rows)
    groups = _Groups(levels, table.select(request.group_columns), rows)
    edges = {}
    for block in request.blocks:
        edges[block.block] = _edges(request, block, edges_of[block.block], table, levels, tables.get(block.member))
    return groups, edges


def _edge_tables(request: TableRequest, memberships: Any) -> dict[str, tuple[str, Any]]:
    """The edge table of each block with its name for messages."""
    named = dict(_named(memberships, "memberships"))
    if list(named) == ["memberships"]:
        return {b.block: ("memberships", memberships) for b in request.blocks}
    out = {}
    for block in request.blocks:
        key = f"memberships[{block.block!r}]"
        if key not in named:
            raise DataError(f"memberships= has no table for block {block.block!r}; it has {', '.join(named)}")
        out[block.block] = (key, named[key])
    return out


def _member_tables(request: TableRequest, members: Any) -> dict[str, tuple[str, Any]]:
    """The member table of each member column, where there is one."""
    named = _named(members, "members")
    columns = {b.member for b in request.blocks}
    if [n for n, _ in named] == ["members"]:
        have = column_names(members, "members")
        keys = [c for c in columns if c in have]
        if not keys:
            raise unknown_column(next(iter(sorted(columns))), "members", have)
        return {k: ("members", members) for k in keys}
    out = {}
    for column in columns:
        for name, table in named:
            if name == f"members[{column!r}]":
                out[column] = (name, table)
    unused = [n for n, _ in named if n not in {v[0] for v in out.values()}]
    if unused:
        raise DataError(f"{', '.join(unused)} belongs to no member column of the formula ({', '.join(sorted(columns))})")
    return out


def _no_column_twice(
    request: TableRequest, data_names: tuple[str, ...], edges: dict[str, tuple[str, Any]],
    members: dict[str, tuple[str, Any]],
) -> None:  # fmt: skip
    """A column that two tables of a block have, keys apart, is ambiguous."""
    for block in request.blocks:
        keys = {request.group, block.member}
        seen = {n: "data" for n in data_names}
        tables = [edges[block.block], *([members[block.member]] if block.member in members else [])]
        for name, table in tables:
            for column in column_names(table, name):
                if column in seen and column not in keys and column in (*block.columns, *request.group_columns):
                    raise DataError(f"column {column!r} is in {seen[column]} and in {name}: rename or drop one of them")
                seen.setdefault(column, name)


def _no_repeats(codes: np.ndarray, levels: Levels, key: str, table: str) -> None:
    count = np.bincount(codes[codes >= 0], minlength=len(levels))
    twice = np.flatnonzero(count > 1)
    if len(twice):
        raise DataError(
            f"{table} must have one row for each {key!r}, but {len(twice)} have several (first: "
            f"{_list(levels.values[twice])})"
        )


def _edges(
    request: TableRequest, block: BlockRequest, named: tuple[str, Any], groups: Table, levels: Levels,
    member_table: tuple[str, Any] | None,
) -> _Edges:  # fmt: skip
    """A block's memberships from its edge table, joined with the tables of groups and members."""
    assert request.group is not None
    name, table = named
    have = column_names(table, name)
    own = [c for c in block.columns if c in have]
    edge = read_table(table, name, [request.group, block.member, *own])
    rows = np.flatnonzero(~edge[block.member].missing)
    edge = edge.take(rows)
    codes = levels.find(edge[request.group])
    unknown = np.flatnonzero(codes < 0)
    if len(unknown):
        ids = np.unique(edge[request.group].values[unknown].astype(str))
        raise DataError(f"{name} lists {len(ids)} groups that data does not have (first: {_list(ids)})")
    columns: dict[str, Column] = {c: edge[c] for c in own}
    if member_table is not None:
        columns |= _joined_members(block, edge, member_table, [c for c in block.columns if c not in own])
    for column in block.columns:
        if column in columns:
            continue
        if column not in groups and column != request.group:
            known = [*have, *groups.names, *(column_names(member_table[1]) if member_table else ())]
            raise unknown_column(column, f"none of the tables of block {block.block!r}", known)
        columns[column] = groups[column].take(codes) if column in groups else edge[column]
    return _Edges(codes, edge[block.member], Table(name, {c: columns[c] for c in block.columns}, len(rows)), rows)


def _joined_members(
    block: BlockRequest, edge: Table, member_table: tuple[str, Any], columns: list[str]
) -> dict[str, Column]:
    """Columns of the member table, taken to the memberships."""
    name, data = member_table
    have = column_names(data, name)
    wanted = [c for c in columns if c in have and c != block.member]
    table = read_table(data, name, [block.member, *wanted])
    codes, levels = encode(table[block.member])
    _no_repeats(codes, levels, block.member, name)
    place = levels.find(edge[block.member])
    unknown = np.flatnonzero(place < 0)
    if len(unknown):
        ids = np.unique(edge[block.member].values[unknown].astype(str))
        raise DataError(f"{edge.name} lists {len(ids)} members that {name} does not have (first: {_list(ids)})")
    row_of = np.empty(len(levels), dtype=np.int64)
    row_of[codes[codes >= 0]] = np.flatnonzero(codes >= 0)
    return {c: table[c].take(row_of[place]) for c in wanted}


# -- cleaning and sorting --------------------------------------------------------------------------------------------


def _finish(request: TableRequest, groups: _Groups, edges: dict[str, _Edges], missing: str) -> Tables:
    """Check for missing and infinite values, drop what is to be dropped, sort."""
    notes: list[str] = []
    keep = np.ones(len(groups.levels), dtype=bool)
    for column in groups.table.columns.values():
        bad = _bad_rows(column, groups.rows, "data", missing)
        if len(bad):
            notes.append(f"dropped {len(bad)} groups in which {column.name!r} is missing")
            keep[bad] = False
    for block, edge in edges.items():
        for column in edge.table.columns.values():
            bad = np.unique(edge.group[_bad_rows(column, edge.rows, edge.table.name, missing)])
            if len(bad):
                notes.append(f"dropped {len(bad)} groups in which {column.name!r} of block {block!r} is missing")
                keep[bad] = False
    if not keep.any():
        raise DataError("no group is left after dropping those with missing values")
    if not keep.all():
        renumber = np.cumsum(keep) - 1
        groups = _Groups(Levels(groups.levels.name, groups.levels.values[keep]), groups.table.take(np.flatnonzero(keep)), groups.rows[keep])
        for block, edge in edges.items():
            rows = np.flatnonzero(keep[edge.group])
            edges[block] = _Edges(
                renumber[edge.group[rows]], edge.member.take(rows), edge.table.take(rows), edge.rows[rows]
            )
    blocks = {}
    for block in request.blocks:
        blocks[block.block] = sort_memberships(block.block, edges[block.block], len(groups.levels))
        empty = int(np.count_nonzero(np.diff(blocks[block.block].start) == 0))
        if empty:
            notes.append(f"{empty} of {len(groups.levels)} groups have no member in block {block.block!r} (they get 0 from it)")
    return Tables(groups.table, groups.levels, blocks, tuple(notes))


def _bad_rows(column: Column, rows: np.ndarray, table: str, missing: str) -> np.ndarray:
    """Rows with a missing value (an error unless they are to be dropped); infinite values are always an error."""
    if column.values.dtype.kind == "f":
        infinite = np.flatnonzero(np.isinf(column.values))
        if len(infinite):
            raise DataError(
                f"column {column.name!r} of {table} is infinite in {len(infinite)} rows (first: {_list(rows[infinite])}); "
                "correct or remove them"
            )
    bad = np.flatnonzero(column.missing)
    if len(bad) and missing == "error":
        raise DataError(
            f"column {column.name!r} of {table} is missing in {len(bad)} rows (first: {_list(rows[bad])}); fill them in, or "
            'give missing="drop" to leave these groups out'
        )
    return bad


def sort_memberships(block: str, edge: Any, groups: int) -> Memberships:
    """Memberships in canonical order: by group, member, then every column's values."""
    member, levels = encode(edge.member)
    keys = [c.sort_key() for c in edge.table.columns.values()][::-1]
    order = np.lexsort([*keys, member, edge.group]) if len(member) else np.empty(0, dtype=np.int64)
    group = edge.group[order].astype(np.int64)
    start = np.searchsorted(group, np.arange(groups + 1)).astype(np.int64)
    return Memberships(block, group, member[order], levels, edge.table.take(order), start)


def _rows_as_groups(request: TableRequest, data: Any, missing: str) -> Tables:
    """Without a member block every row is a group; rows are sorted by all values that are used."""
    table = read_table(data, "data", request.group_columns)
    rows = np.arange(table.n_rows)
    keep = np.ones(table.n_rows, dtype=bool)
    notes = []
    for column in table.columns.values():
        bad = _bad_rows(column, rows, "data", missing)
        keep[bad] = False
        if len(bad):
            notes.append(f"dropped {len(bad)} rows in which {column.name!r} is missing")
    if not keep.any():
        raise DataError("no row is left after dropping those with missing values")
    table, rows = table.take(np.flatnonzero(keep)), rows[keep]
    order = np.lexsort([c.sort_key() for c in table.columns.values()][::-1])
    return Tables(table.take(order), None, {}, tuple(notes), rows[order])


def _list(values: np.ndarray, most: int = 5) -> str:
    return ", ".join(str(v) for v in values[:most]) + (", ..." if len(values) > most else "")
