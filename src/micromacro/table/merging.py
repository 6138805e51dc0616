"""Tables of several partitions as one: groups in one order, one numbering of members, the same kinds of columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import DataError
from ..notes import Note
from ..numerics.ragged import runs, starts
from .columns import Column, Table
from .levels import KINDS_OF_IDS, Levels
from .memberships import Memberships, Tables
from .screen import counted, listed

EXACT = 2**53  # up to which floating numbers hold every whole one
REMEDY = (
    "bring all rows of a group together before, as data.shuffle(on={name!r}) does for a Dask frame, or write the files "
    "group by group"
)


@dataclass(frozen=True)
class Apart:
    """Tables of a partition that has groups.

    Attributes
    ----------
    number : int
        Which partition it is.
    tables : Tables
    categories : dict
        All categories of each categorical column, those that this partition does not have among them.
    """

    number: int
    tables: Tables
    categories: dict[str, tuple[str, ...]]


def merged(each: Sequence[Apart]) -> tuple[Tables, list[np.ndarray]]:
    """All groups in canonical order, and the rows of those of each partition.

    Raises
    ------
    DataError
        For a group in two partitions, and columns of other kinds or categories in one than in another.
    """
    first = each[0].tables
    categories = _same_categories(each)
    levels, rows, order = _groups(each)
    order_of = np.argsort(np.concatenate(rows), kind="stable")
    groups = _joined([(one.number, one.tables.groups) for one in each], categories).take(order_of).tidy()
    blocks = {name: _block(name, each, rows, len(order_of), categories) for name in first.blocks}
    notes = tuple(of_partition(one.number, note) for one in each for note in one.tables.notes)
    return Tables(groups, levels, blocks, notes, order), rows


def _groups(each: Sequence[Apart]) -> tuple[Levels | None, list[np.ndarray], np.ndarray | None]:
    """Ids of all groups, rows of those of each partition; where rows are groups, their numbers one after the other."""
    tables = [one.tables for one in each]
    if tables[0].group_levels is None:
        ends = np.cumsum([0, *(t.groups.n_rows for t in tables)])
        rows = [np.arange(ends[k], ends[k + 1]) for k in range(len(tables))]
        return None, rows, np.arange(ends[-1])
    ids = [t.group_levels for t in tables if t.group_levels is not None]
    name = ids[0].name
    every, count = np.unique(_same_ids(each, ids, name), return_counts=True)
    twice = every[count > 1]
    if len(twice):
        raise DataError(
            f"{counted(len(twice), 'group')} of {name!r} lie in more than one partition (first: {listed(twice)}), but "
            f"a group must lie in one: {REMEDY.format(name=name)}"
        )
    return Levels(name, every), [_places(every, one) for one in ids], None


def _places(every: np.ndarray, own: Levels) -> np.ndarray:
    """Where the ids of a partition are among all."""
    return np.searchsorted(every, own.values.astype(every.dtype))


def _same_ids(each: Sequence[Apart], ids: Sequence[Levels], name: str) -> np.ndarray:
    """Ids of all partitions one after the other, all of one kind."""
    found = [(a.number, one.values) for a, one in zip(each, ids, strict=True) if len(one)]
    kinds = [(number, KINDS_OF_IDS[values.dtype.kind]) for number, values in found]
    for number, kind in kinds:
        if kind != kinds[0][1]:
            raise DataError(
                f"the ids in column {name!r} are {kinds[0][1]} in partition {kinds[0][0]}, but {kind} in partition "
                f"{number}: give all the same type"
            )
    return _together(found or [(0, ids[0].values)], name)


def _together(each: Sequence[tuple[int, np.ndarray]], name: str) -> np.ndarray:
    """Values of several partitions, given with their numbers; whole numbers keep all their digits."""
    types = {values.dtype for _, values in each}
    whole = {t for t in types if t.kind in "iu"}
    if len(types) > 1 and whole == types:  # NumPy makes signed and unsigned ones floating
        return np.concatenate([values.astype(np.int64) for _, values in each])
    for number, values in each:
        if whole != types and values.dtype in whole and np.any(np.abs(values) > EXACT):
            raise DataError(
                f"column {name!r} has whole numbers above 2 ** 53 in partition {number}, which the floating numbers of "
                "other partitions would round: give all the same type"
            )
    return np.concatenate([values for _, values in each])


def _block(
    name: str, each: Sequence[Apart], rows: list[np.ndarray], groups: int, categories: dict[str, tuple[str, ...]]
) -> Memberships:
    """The memberships of a block, sorted by group; within a group they stay in their order."""
    own = [one.tables.blocks[name] for one in each]
    members = Levels(own[0].members.name, np.unique(_same_ids(each, [m.members for m in own], own[0].members.name)))
    group = np.concatenate([at[m.group] for at, m in zip(rows, own, strict=True)])
    member = np.concatenate([_places(members.values, m.members)[m.member] for m in own])
    order = np.argsort(group, kind="stable")
    table = _joined([(a.number, m.table) for a, m in zip(each, own, strict=True)], categories).take(order).tidy()
    start = starts(np.bincount(group, minlength=groups))
    return Memberships(name, group[order], member[order].astype(np.int64), members, table, start)


def _joined(tables: Sequence[tuple[int, Table]], categories: dict[str, tuple[str, ...]]) -> Table:
    """Rows of the tables of several partitions, given with their numbers, one after the other."""
    first = tables[0][1]
    columns = {n: _column([(k, t[n]) for k, t in tables], categories.get(n)) for n in first.names}
    return Table(first.name, columns, sum(t.n_rows for _, t in tables))


def _column(numbered: Sequence[tuple[int, Column]], categories: tuple[str, ...] | None) -> Column:
    at, first = numbered[0]
    kinds = {column.kind for _, column in numbered}
    if len(kinds) > 1 and kinds != {"integer", "number"}:
        number, other = next((k, column) for k, column in numbered if column.kind != first.kind)
        raise DataError(
            f"column {first.name!r} holds {first.kind} values in partition {at}, but {other.kind} values in "
            f"partition {number}: convert it"
        )
    values = _together([(k, column.values) for k, column in numbered], first.name)
    missing = np.concatenate([column.missing for _, column in numbered])
    kind = "number" if "number" in kinds else first.kind
    return replace(first, values=values, missing=missing, categories=categories, kind=kind)


def _same_categories(each: Sequence[Apart]) -> dict[str, tuple[str, ...]]:
    """Categories of all partitions: all of them where they are sorted, else those that every partition has alike."""
    out = {}
    for name in each[0].categories:
        found = [one.categories.get(name, ()) for one in each]
        if all(list(one) == sorted(one) for one in found):  # nobody chose the order
            out[name] = tuple(sorted(set().union(*found)))
            continue
        out[name] = found[0]
        other = next((a.number for a, one in zip(each, found, strict=True) if one != found[0]), None)
        if other is not None:
            raise DataError(
                f"column {name!r} has other categories in partition {other} than in partition {each[0].number}: give "
                "all the same (a Dask frame's categorize() does), or make it text"
            )
    return out


def of_partition(number: int, note: Note) -> Note:
    """What was said of a partition, with its number."""
    return Note(note.code, note.severity, note.about, f"partition {number}: {note.text}")


def few(tables: Tables, most: int = 2) -> Tables:
    """A few groups, among them such as have members in each block."""
    wanted = [np.arange(min(most, tables.groups.n_rows))]
    wanted += [np.flatnonzero(np.diff(block.start) > 0)[:most] for block in tables.blocks.values()]
    keep = np.unique(np.concatenate(wanted))
    levels = tables.group_levels
    blocks = {name: _some(block, keep) for name, block in tables.blocks.items()}
    return replace(
        tables, groups=tables.groups.take(keep), blocks=blocks,
        group_levels=None if levels is None else Levels(levels.name, levels.values[keep]),
        order=None if tables.order is None else tables.order[keep],
    )  # fmt: skip


def _some(block: Memberships, keep: np.ndarray) -> Memberships:
    """Memberships of some groups; the members are still all."""
    sizes = np.diff(block.start)[keep]
    at = runs(block.start[keep], sizes)
    group = np.repeat(np.arange(len(keep)), sizes)
    return replace(
        block, group=group, member=block.member[at], table=block.table.take(at), start=starts(sizes),
        elsewhere=block.count - len(at),
    )  # fmt: skip
