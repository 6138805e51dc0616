r"""Supernodes and their panels: where the entries of the factor, of A'WA and of D stand.

A supernode is a run of columns with the same pattern below it; its panel is a dense block, column after column, whose
rows are first the columns of the supernode themselves and then the rows below.

Sources: Davis (2006), "Direct methods for sparse linear systems", chapter 4; Chen, Davis, Hager and Rajamanickam
(2008), "Algorithm 887: CHOLMOD", for how many zeros merged supernodes may store.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import njit

from .compiling import INLINED, KERNEL
from .ragged import runs, starts, within

Array = np.ndarray
_kernel = njit(**KERNEL)
_inlined = njit(**INLINED)
MUCH = 3e6  # operations of a factorisation from which it goes through products of blocks
WIDEST = 128  # columns of a supernode in such a factorisation


class Layout(NamedTuple):
    """Where everything is in the panels: a tuple of arrays, so that it can be handed to Numba whole.

    Shapes: `n` latent entries, `s` supernodes, `u` updates (one for each pair of a supernode and an ancestor
    that it reaches).
    """

    first: np.ndarray  #: (s + 1,) first column of each supernode
    row_start: np.ndarray  #: (s + 1,) where its rows begin in `rows`
    rows: np.ndarray  #: row numbers of all supernodes, its own columns first
    panel_start: np.ndarray  #: (s + 1,) where its panel begins
    by_source: np.ndarray  #: (s + 1,) updates that leave a supernode
    target: np.ndarray  #: (u,) the supernode that an update goes to
    source: np.ndarray  #: (u,) the supernode that an update comes from
    local: np.ndarray  #: (u + 1, 2) the source's rows that are columns of the target: from, to
    relative_start: np.ndarray  #: (u + 1,) where the update's positions begin in `relative`
    relative: np.ndarray  #: position among the target's rows of each of the source's rows
    by_target: np.ndarray  #: (s + 1,) where the updates that reach a supernode begin in `arriving`
    arriving: np.ndarray  #: (u,) numbers of the updates in order of their target
    diagonal: np.ndarray  #: (n,) place of each diagonal entry in the panels

    @property
    def factoring(self) -> tuple[Array, Array, Array, Array, Array, Array, Array, Array, Array]:
        """What the factorisation reads; handing some arrays to Numba takes a quarter of the time of all in a tuple."""
        return (
            self.first, self.row_start, self.panel_start, self.source, self.local, self.relative_start, self.relative,
            self.by_target, self.arriving,
        )  # fmt: skip

    @property
    def solving(self) -> tuple[Array, Array, Array, Array]:
        """What solving by the factor reads."""
        return self.first, self.row_start, self.rows, self.panel_start

    @property
    def inverting(self) -> tuple[Array, Array, Array, Array, Array, Array, Array, Array]:
        """What the selected inverse reads."""
        return (
            self.first, self.row_start, self.panel_start, self.by_source, self.target, self.local, self.relative_start,
            self.relative,
        )  # fmt: skip


class Panels:
    """Everything that depends on the pattern of the factor, worked out when it is first asked for.

    Parameters
    ----------
    indptr, indices, parent : int arrays
        Strict upper triangle of H by columns, and its elimination tree.
    leading : int
        Columns from here on are supernodes of their own.
    a_start, a_columns : int arrays
        A in compressed rows.
    low, high : int arrays
        Column and row of every entry of the lower triangle of D.
    """

    def __init__(
        self, indptr: np.ndarray, indices: np.ndarray, parent: np.ndarray, leading: int, a_start: np.ndarray,
        a_columns: np.ndarray, low: np.ndarray, high: np.ndarray,
    ):  # fmt: skip
        self.leading, self._parent, self._rows, self._d = leading, parent, (a_start, a_columns), (high, low)
        self._structure = _column_structures(indptr, indices, parent)
        self.blocked = bool(np.sum((np.diff(self._structure[0]) + 1.0) ** 2) > MUCH)

    @cached_property
    def layout(self) -> Layout:
        """Supernodes and updates between them."""
        supernodes = _supernodes(*self._structure, self._parent, self.leading, self.blocked)
        del self._structure, self._parent
        return _layout(*(_split(*supernodes) if self.blocked else supernodes))

    @cached_property
    def pair(self) -> np.ndarray:
        """Panel place of the product of every two entries of a row of A."""
        return _pair_places(*self._rows, self.layout)

    @cached_property
    def d_place(self) -> np.ndarray:
        """Panel place of every entry of D."""
        high, low = self._d
        each = np.stack([low, high], axis=1).astype(np.int32).ravel()  # as if they were entries of rows of two
        return _pair_places(np.arange(0, len(each) + 1, 2), each, self.layout)[1::3].astype(np.int64)


def _column_structures(indptr: np.ndarray, indices: np.ndarray, parent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows below the diagonal of every column of L, rising: (start, rows)."""
    count, mark = np.zeros(len(parent), dtype=np.int64), np.full(len(parent), -1)
    _walk(indptr, indices, parent, mark, count, np.empty(0, dtype=np.int64))
    start = starts(count)
    rows = np.empty(start[-1], dtype=np.int64)
    mark[:] = -1
    _walk(indptr, indices, parent, mark, start[:-1].copy(), rows)
    return start, rows


@_kernel
def _walk(indptr, indices, parent, mark, place, rows):
    """Add one to the place of a column for each row that it has in L, and write the row there, unless `rows` is empty.

    The rows of row i of L are the nodes on the paths from the entries of row i of H up the tree to i; `mark` is -1
    everywhere.
    """
    for i in range(len(parent)):
        mark[i] = i
        for p in range(indptr[i], indptr[i + 1]):
            j = indices[p]
            while mark[j] != i:
                if len(rows) > 0:
                    rows[place[j]] = i
                place[j] += 1
                mark[j] = i
                j = parent[j]


def _supernodes(
    start: np.ndarray, below: np.ndarray, parent: np.ndarray, leading: int, blocked: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Fundamental supernodes, then merged with the next one where that stores few zeros (for products more may be).

    Returns the first column of each supernode, the start of its rows and its rows.
    """
    n, length = len(parent), np.diff(start)
    follows = np.append(False, parent[:-1] == np.arange(1, n)) if n else np.zeros(0, dtype=bool)
    follows[leading:][:1] = False
    joins = follows.copy()
    joins[1:] &= length[:-1] == length[1:] + 1
    first = np.append(np.flatnonzero(~joins), n)
    first = first[_merge(first.tolist(), length[first[1:] - 1].tolist(), follows[first[:-1]].tolist(), blocked)]
    wide, last = np.diff(first), first[1:] - 1
    row_start = starts(wide + length[last])
    rows = np.empty(row_start[-1], dtype=np.int64)
    rows[runs(row_start[:-1], wide)] = np.arange(n)
    rows[runs(row_start[:-1] + wide, length[last])] = below[runs(start[last], length[last])]
    return first, row_start, rows


def _merge(first: list[int], below: list[int], follows: list[bool], blocked: bool) -> list[int]:
    """From the left: which supernodes begin a merged one; the others join the one that is being grown.

    ``below[k]`` is how many rows are below the last column of supernode k, which are those of the grown one too, and
    ``follows[k]`` whether its first column is the parent of the column before.
    """
    begins = []
    begin = 0
    zeros = 0
    for k in range(len(first) - 1):
        if follows[k]:
            wide = first[k] - begin
            new = first[k + 1] - first[k]
            will = new + below[k]  # rows below after merging, from the last column before
            more = zeros + wide * (will - below[k - 1])
            both = wide + new
            total = both * (both + 1) // 2 + both * (will - new)
            merge = more <= 8 or (more * 5 <= total and both <= 48) or more * 20 <= total
            if blocked:
                merge = merge or both <= 4 or (both <= 16 and more * 5 <= 4 * total)
            if merge:
                zeros = more
                continue
        begins.append(k)
        begin = first[k]
        zeros = 0
    return [*begins, len(first) - 1]


def _split(first: np.ndarray, row_start: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Supernodes of at most WIDEST columns: one that is wider becomes a chain of several."""
    wide = np.diff(first)
    pieces = -(-wide // WIDEST)
    of = np.repeat(np.arange(len(wide)), pieces)
    begin = within(pieces) * wide[of] // pieces[of]
    tall = np.diff(row_start)[of] - begin
    source = runs(row_start[:-1][of] + begin, tall)
    return np.append(first[:-1][of] + begin, first[-1]), starts(tall), rows[source]


def _layout(first: np.ndarray, row_start: np.ndarray, rows: np.ndarray) -> Layout:
    """Panel starts and the table of updates between supernodes."""
    wide, high = np.diff(first), np.diff(row_start)
    panel_start = starts(wide * high)
    of_column = np.repeat(np.arange(len(wide)), wide)
    by_source, target, source, local, relative_start, relative = _updates(first, row_start, rows, of_column)
    arriving = np.argsort(target, kind="stable")
    by_target = starts(np.bincount(target, minlength=len(wide)))
    inside = np.arange(first[-1]) - first[of_column]
    diagonal = panel_start[of_column] + inside * high[of_column] + inside
    return Layout(
        first, row_start, rows.astype(np.int32), panel_start, by_source, target, source, local, relative_start,
        relative, by_target, arriving, diagonal,
    )  # fmt: skip


def _updates(
    first: np.ndarray, row_start: np.ndarray, rows: np.ndarray, of_column: np.ndarray
) -> tuple[np.ndarray, ...]:
    """For each supernode the ancestors that its rows reach, and the places of its rows in their panels."""
    wide, tall = np.diff(first), np.diff(row_start)
    below = runs(row_start[:-1] + wide, tall - wide)
    holder, of = of_column[rows[below]], np.repeat(np.arange(len(wide)), tall - wide)
    new = np.ones(len(below), dtype=bool)  # whether another update begins
    new[1:] = (of[1:] != of[:-1]) | (holder[1:] != holder[:-1])
    begin = np.flatnonzero(new)
    source, target = of[begin], holder[begin]
    count = np.diff(np.append(begin, len(below)))
    local = (below[begin] - row_start[source])[:, None] + np.stack([np.zeros_like(count), count], axis=1)
    relative_start = starts(tall[source] - local[:, 0])
    relative = np.empty(relative_start[-1], dtype=np.int32)
    _relate(rows, below[begin], row_start[target], relative_start, relative)
    return starts(np.bincount(source, minlength=len(wide))), target, source, local, relative_start, relative


@_kernel
def _relate(rows, begin, target, relative_start, relative):
    """Position among the target's rows, which stand from ``target[u]`` on, of the source's from ``begin[u]`` on."""
    for u in range(len(begin)):
        q = target[u]
        p = begin[u]
        for r in range(relative_start[u], relative_start[u + 1]):
            while rows[q] != rows[p]:
                q += 1
            relative[r] = q - target[u]
            p += 1


@_inlined
def find(row, k, row_start, rows):
    """Position of `row` among the rising rows of supernode k."""
    low, high = row_start[k], row_start[k + 1] - 1
    while low < high:
        middle = (low + high) >> 1
        if rows[middle] < row:
            low = middle + 1
        else:
            high = middle
    return low - row_start[k]


def _pair_places(a_start: np.ndarray, a_columns: np.ndarray, x: Layout) -> np.ndarray:
    """Panel place of each product of two entries of a row of A, (0,0), (1,0), (1,1), ... in each row."""
    count, wide = np.diff(a_start), np.diff(x.first)
    pair = np.empty(int(np.sum(count * (count + 1) // 2)), dtype=np.int32)
    tall, holder = np.repeat(np.diff(x.row_start), wide), np.repeat(np.arange(len(wide)), wide)
    top = np.repeat(x.panel_start[:-1], wide) + within(wide) * tall  # of each column in the panels
    _find_pairs(a_start, a_columns, holder, top, x.row_start, x.rows, pair)
    return pair


@_kernel
def _find_pairs(a_start, a_columns, holder, top, row_start, rows, pair):
    """Fill `pair` with panel places; a column is in supernode ``holder``, and begins at ``top`` in its panel."""
    p = 0
    for i in range(len(a_start) - 1):
        for a in range(a_start[i], a_start[i + 1]):
            for b in range(a_start[i], a + 1):
                column = a_columns[b]
                pair[p] = top[column] + find(a_columns[a], holder[column], row_start, rows)
                p += 1
