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

from .compiling import ALLOCATING, INLINED

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
        x = self.layout
        return _pair_places(*self._rows, x.first, x.row_start, x.rows, x.panel_start)

    @cached_property
    def d_place(self) -> np.ndarray:
        """Panel place of every entry of D."""
        x = self.layout
        return _places(*self._d, x.first, x.row_start, x.rows, x.panel_start)


@njit(**ALLOCATING)
def _column_structures(indptr, indices, parent):
    """Rows below the diagonal of every column of L, rising: (start, rows).

    The rows of row i of L are the nodes on the paths from the entries of row i of H up the tree to i.
    """
    n = len(parent)
    count = np.zeros(n, np.int64)
    mark = np.full(n, -1, np.int64)
    for i in range(n):
        mark[i] = i
        for p in range(indptr[i], indptr[i + 1]):
            j = indices[p]
            while mark[j] != i:
                count[j] += 1
                mark[j] = i
                j = parent[j]
    start = np.zeros(n + 1, np.int64)
    for j in range(n):
        start[j + 1] = start[j] + count[j]
    fill = start[:n].copy()
    rows = np.empty(start[n], np.int64)
    mark[:] = -1
    for i in range(n):
        mark[i] = i
        for p in range(indptr[i], indptr[i + 1]):
            j = indices[p]
            while mark[j] != i:
                rows[fill[j]] = i
                fill[j] += 1
                mark[j] = i
                j = parent[j]
    return start, rows


@njit(**ALLOCATING)
def _supernodes(start, below, parent, leading, blocked):
    """Fundamental supernodes, then merged with the next one where that stores few zeros (for products more may be).

    Returns the first column of each supernode, the start of its rows and its rows.
    """
    n = len(parent)
    first = np.empty(n + 1, np.int64)
    s = 0
    for j in range(n):
        joins = j > 0 and j != leading and parent[j - 1] == j and start[j] - start[j - 1] == start[j + 1] - start[j] + 1
        if not joins:
            first[s] = j
            s += 1
    first[s] = n
    # Merge from the left: `open` is the supernode being grown; its rows below are those of its last column.
    merged = np.empty(n + 1, np.int64)
    m = 0
    zeros = 0
    for k in range(s):
        if m > 0 and first[k] != leading and parent[first[k] - 1] == first[k]:
            begin = merged[m - 1]
            wide = first[k] - begin
            new = first[k + 1] - first[k]
            last = first[k] - 1
            reach = start[last + 1] - start[last]  # rows below the grown one
            will = new + (start[first[k + 1]] - start[first[k + 1] - 1])  # rows below after merging, from `last`
            more = zeros + wide * (will - reach)
            total = (wide + new) * (wide + new + 1) // 2 + (wide + new) * (will - new)
            both = wide + new
            merge = more <= 8 or (more * 5 <= total and both <= 48) or more * 20 <= total
            if blocked:
                merge = merge or both <= 4 or (both <= 16 and more * 5 <= 4 * total)
            if merge:
                zeros = more
                continue
        merged[m] = first[k]
        m += 1
        zeros = 0
    merged[m] = n
    row_start = np.zeros(m + 1, np.int64)
    for k in range(m):
        last = merged[k + 1] - 1
        row_start[k + 1] = row_start[k] + (merged[k + 1] - merged[k]) + (start[last + 1] - start[last])
    rows = np.empty(row_start[m], np.int64)
    for k in range(m):
        q = row_start[k]
        for j in range(merged[k], merged[k + 1]):
            rows[q] = j
            q += 1
        last = merged[k + 1] - 1
        for p in range(start[last], start[last + 1]):
            rows[q] = below[p]
            q += 1
    return merged[: m + 1].copy(), row_start, rows


def _split(first: np.ndarray, row_start: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Supernodes of at most WIDEST columns: one that is wider becomes a chain of several."""
    wide = np.diff(first)
    pieces = -(-wide // WIDEST)
    of = np.repeat(np.arange(len(wide)), pieces)
    piece = np.arange(len(of)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begin = piece * wide[of] // pieces[of]
    tall = np.diff(row_start)[of] - begin
    new_start = np.concatenate([[0], np.cumsum(tall)])
    source = np.arange(new_start[-1]) + np.repeat(row_start[:-1][of] + begin - new_start[:-1], tall)
    return np.append(first[:-1][of] + begin, first[-1]), new_start, rows[source]


def _layout(first: np.ndarray, row_start: np.ndarray, rows: np.ndarray) -> Layout:
    """Panel starts and the table of updates between supernodes."""
    wide, high = np.diff(first), np.diff(row_start)
    panel_start = np.concatenate([[0], np.cumsum(wide * high)]).astype(np.int64)
    of_column = np.repeat(np.arange(len(wide)), wide)
    by_source, target, source, local, relative_start, relative = _updates(first, row_start, rows, of_column)
    arriving = np.argsort(target, kind="stable")
    by_target = np.concatenate([[0], np.cumsum(np.bincount(target, minlength=len(wide)))]).astype(np.int64)
    inside = np.arange(first[-1]) - first[of_column]
    diagonal = panel_start[of_column] + inside * high[of_column] + inside
    return Layout(
        first, row_start, rows.astype(np.int32), panel_start, by_source, target, source, local, relative_start,
        relative, by_target, arriving, diagonal,
    )  # fmt: skip


@njit(**ALLOCATING)
def _updates(first, row_start, rows, of_column):
    """For each supernode the ancestors that its rows reach, and the places of its rows in their panels."""
    s = len(first) - 1
    count, length = 0, 0
    for k in range(s):
        p = row_start[k] + first[k + 1] - first[k]
        while p < row_start[k + 1]:
            t = of_column[rows[p]]
            count += 1
            length += row_start[k + 1] - p
            while p < row_start[k + 1] and of_column[rows[p]] == t:
                p += 1
    by_source = np.zeros(s + 1, np.int64)
    target = np.empty(count, np.int64)
    source = np.empty(count, np.int64)
    local = np.empty((count, 2), np.int64)
    relative_start = np.zeros(count + 1, np.int64)
    relative = np.empty(length, np.int32)
    u = 0
    for k in range(s):
        p = row_start[k] + first[k + 1] - first[k]
        while p < row_start[k + 1]:
            t = of_column[rows[p]]
            target[u] = t
            source[u] = k
            local[u, 0] = p - row_start[k]
            q = row_start[t]
            for r in range(p, row_start[k + 1]):
                while rows[q] != rows[r]:
                    q += 1
                relative[relative_start[u] + r - p] = q - row_start[t]
            relative_start[u + 1] = relative_start[u] + row_start[k + 1] - p
            while p < row_start[k + 1] and of_column[rows[p]] == t:
                p += 1
            local[u, 1] = p - row_start[k]
            u += 1
        by_source[k + 1] = u
    return by_source, target, source, local, relative_start, relative


@njit(**INLINED)
def _holder(column, first):
    """The supernode that has a column: the last one that begins there or before."""
    low, high = 0, len(first) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if first[middle] <= column:
            low = middle
        else:
            high = middle
    return low


@njit(**INLINED)
def find(row, k, row_start, rows):
    """Position of `row` among the rising rows of supernode k."""
    low, high = row_start[k], row_start[k + 1] - 1
    while low < high:
        middle = (low + high) // 2
        if rows[middle] < row:
            low = middle + 1
        else:
            high = middle
    return low - row_start[k]


@njit(**ALLOCATING)
def _places(high, low, first, row_start, rows, panel_start):
    """Panel place of the entries (high[i], low[i]) of the lower triangle."""
    place = np.empty(len(high), np.int64)
    for i in range(len(high)):
        k = _holder(low[i], first)
        tall = row_start[k + 1] - row_start[k]
        place[i] = panel_start[k] + (low[i] - first[k]) * tall + find(high[i], k, row_start, rows)
    return place


@njit(**ALLOCATING)
def _pair_places(a_start, a_columns, first, row_start, rows, panel_start):
    """Panel place of each product of two entries of a row of A, (0,0), (1,0), (1,1), ... in each row."""
    total = 0
    for i in range(len(a_start) - 1):
        m = a_start[i + 1] - a_start[i]
        total += m * (m + 1) // 2
    pair = np.empty(total, np.int32)
    p = 0
    for i in range(len(a_start) - 1):
        for a in range(a_start[i], a_start[i + 1]):
            for b in range(a_start[i], a + 1):
                k = _holder(a_columns[b], first)
                tall = row_start[k + 1] - row_start[k]
                inside = a_columns[b] - first[k]
                pair[p] = panel_start[k] + inside * tall + find(a_columns[a], k, row_start, rows)
                p += 1
    return pair
