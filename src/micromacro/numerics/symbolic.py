r"""The symbolic half of the sparse Cholesky factorisation: everything that depends on the pattern alone.

:math:`H = A'WA + D` has a pattern that never changes while the values of `A`, `W` and `D` move. So the
fill-reducing order, the elimination tree, the supernodes, the layout of the factor and the place of each product
of two entries of a row of `A` are worked out once, here, and used by the kernels of
:mod:`micromacro.numerics.cholesky` at every evaluation.

The factor is stored in *panels*. A supernode is a run of columns with the same pattern below it; its panel is a
dense block, column after column, whose rows are first the columns of the supernode themselves and then the rows
below. Panels hold H before the factorisation, L after it, and the selected inverse has the same layout.

Sources: Liu (1990), "The role of elimination trees in sparse factorization"; Davis (2006), "Direct methods for
sparse linear systems", chapters 4 and 7; the minimum degree order is SuperLU's (through SciPy).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from scipy import sparse
from scipy.sparse.linalg import splu

from .compiling import KERNEL
from .ordering import minimum_degree

LITTLE = 20_000  # entries of a pattern up to which SuperLU orders it, in no time: seeded draws depend on the order
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


@dataclass(frozen=True)
class Symbolic:
    """The analysed pattern of H for a given pattern of A and D.

    Attributes
    ----------
    order : (n,) int array
        ``order[k]`` is the latent entry that is eliminated k-th; those of the leading block (integrated) come first.
    position : (n,) int array
        The inverse of `order`.
    leading : int
        How many entries come before the border (the coefficients).
    layout : Layout
    row_start, columns : int arrays
        A in compressed rows, with columns in elimination order and rising in each row.
    entry : int array
        ``entry[k]`` is where the k-th entry handed in has gone among the values of A.
    pair : int array
        Panel place of the product of every two entries of a row, row by row, (0,0), (1,0), (1,1), (2,0) ...
    d_place, d_row, d_column : int arrays
        Panel place and (ordered) indices of every entry of the lower triangle of D.
    blocked : bool
        Whether the factorisation goes through products of dense blocks.
    """

    order: np.ndarray
    position: np.ndarray
    leading: int
    layout: Layout
    row_start: np.ndarray
    columns: np.ndarray
    entry: np.ndarray
    pair: np.ndarray
    d_place: np.ndarray
    d_row: np.ndarray
    d_column: np.ndarray
    blocked: bool

    @property
    def size(self) -> int:
        """Number of latent entries."""
        return len(self.order)

    @property
    def work(self) -> float:
        """Operations of one factorisation and selected inverse, about."""
        columns = np.diff(self.layout.first).astype(float)
        rows = np.diff(self.layout.row_start).astype(float)
        return 3.0 * float(np.sum(columns * rows**2)) + 10.0 * len(self.pair) + 1000.0

    @property
    def panel_size(self) -> int:
        """Number of stored values of the factor, explicit zeros of merged supernodes included."""
        return int(self.layout.panel_start[-1])


def analyse(
    n_rows: int,
    size: int,
    rows: np.ndarray,
    columns: np.ndarray,
    d_row: np.ndarray,
    d_column: np.ndarray,
    leading: int,
) -> Symbolic:
    """Analyse the pattern of ``A'WA + D`` once.

    Parameters
    ----------
    n_rows, size : int
        Shape of A: groups by latent entries.
    rows, columns : (e,) int arrays
        Places of the entries of A, without repetition, in any order.
    d_row, d_column : int arrays
        Places of the lower triangle of D (``d_row >= d_column``); the diagonal must be complete.
    leading : int
        Entries ``0 .. leading-1`` are ordered for little fill and come first; ``leading ..`` (the coefficients, dense)
        stay last in their own order, so that the leading block of the factor is that of the effects alone.
    """
    ones = np.ones(len(rows))
    a = sparse.csr_matrix((ones, (rows, columns)), shape=(n_rows, size))
    d = sparse.csr_matrix((np.ones(len(d_row)), (d_row, d_column)), shape=(size, size))
    effects = a[:, :leading]
    h_leading = (effects.T @ effects + d[:leading, :leading] + d[:leading, :leading].T).tocsc()
    order = np.concatenate([_minimum_degree(h_leading), np.arange(leading, size)]).astype(np.int64)
    h = (a.T @ a + d + d.T).tocsc()
    order, parent, upper = _postordered(h, order, leading)
    start, below = _column_structures(upper.indptr, upper.indices, parent)
    blocked = bool(np.sum((np.diff(start) + 1.0) ** 2) > MUCH)
    supernodes = _supernodes(start, below, parent, leading, blocked)
    layout = _layout(*(_split(*supernodes) if blocked else supernodes))

    position = np.empty(size, dtype=np.int64)
    position[order] = np.arange(size)
    by_row = np.lexsort((position[columns], rows))
    entry = np.empty(len(rows), dtype=np.int64)
    entry[by_row] = np.arange(len(rows))
    a_start = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n_rows))]).astype(np.int64)
    a_columns = position[columns][by_row].astype(np.int32)
    pair = _pair_places(a_start, a_columns, layout.first, layout.row_start, layout.rows, layout.panel_start)
    low, high = (
        np.minimum(position[d_row], position[d_column]),
        np.maximum(position[d_row], position[d_column]),
    )
    d_place = _places(high, low, layout.first, layout.row_start, layout.rows, layout.panel_start)
    return Symbolic(order, position, leading, layout, a_start, a_columns, entry, pair, d_place, high, low, blocked)


def _minimum_degree(h: sparse.csc_matrix) -> np.ndarray:
    """A fill-reducing order of a symmetric pattern."""
    n = len(h.indptr) - 1
    if n < 3:
        return np.arange(n)
    if h.nnz > LITTLE:
        h.sort_indices()
        return minimum_degree(h.indptr, h.indices)
    pattern = h.copy()
    pattern.data = np.ones(len(pattern.indices))
    # A dominant diagonal keeps SuperLU from pivoting, so that its column order is the symmetric one.
    dominant = (pattern + sparse.diags(np.asarray(pattern.sum(axis=0)).ravel() + 1.0)).tocsc()
    lu = splu(dominant, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    return np.argsort(lu.perm_c)


def _upper(h: sparse.csc_matrix, order: np.ndarray) -> sparse.csc_matrix:
    """Strict upper triangle of a symmetric pattern in a new order, by columns."""
    upper = sparse.csc_matrix(sparse.triu(h[order][:, order], k=1))
    upper.sort_indices()
    return upper


def _postordered(
    h: sparse.csc_matrix, order: np.ndarray, leading: int
) -> tuple[np.ndarray, np.ndarray, sparse.csc_matrix]:
    """Relabel `order` by a postorder of its elimination tree; return it, the tree and the upper pattern."""
    upper = _upper(h, order)
    post = _postorder(_elimination_tree(upper.indptr, upper.indices))
    if np.any(post[leading:] < leading):  # the border is not connected to all: keep the order given
        post = np.arange(len(order))
    order = order[post]
    upper = _upper(h, order)
    return order, _elimination_tree(upper.indptr, upper.indices), upper


@njit(**KERNEL)
def _elimination_tree(indptr, indices):
    """Parent of each column (-1 for a root) from the strict upper triangle by columns (Liu's algorithm)."""
    n = len(indptr) - 1
    parent = np.full(n, -1, np.int64)
    ancestor = np.full(n, -1, np.int64)
    for j in range(n):
        for p in range(indptr[j], indptr[j + 1]):
            i = indices[p]
            while i != -1 and i < j:
                up = ancestor[i]
                ancestor[i] = j
                if up == -1:
                    parent[i] = j
                i = up
    return parent


@njit(**KERNEL)
def _postorder(parent):
    """Columns in an order in which children directly precede their parents; stable among siblings."""
    n = len(parent)
    head = np.full(n, -1, np.int64)
    after = np.full(n, -1, np.int64)
    for j in range(n - 1, -1, -1):
        if parent[j] >= 0:
            after[j] = head[parent[j]]
            head[parent[j]] = j
    post = np.empty(n, np.int64)
    stack = np.empty(n, np.int64)
    k = 0
    for root in range(n):
        if parent[root] >= 0:
            continue
        top = 0
        stack[0] = root
        while top >= 0:
            j = stack[top]
            child = head[j]
            if child == -1:
                top -= 1
                post[k] = j
                k += 1
            else:
                head[j] = after[child]
                top += 1
                stack[top] = child
    return post


@njit(**KERNEL)
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


@njit(**KERNEL)
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


@njit(**KERNEL)
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


@njit(**KERNEL)
def _supernode(column, first):
    """The supernode that a column is in."""
    low, high = 0, len(first) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if first[middle] <= column:
            low = middle
        else:
            high = middle
    return low


@njit(**KERNEL)
def _find(row, k, row_start, rows):
    """Position of `row` among the rising rows of supernode k."""
    low, high = row_start[k], row_start[k + 1] - 1
    while low < high:
        middle = (low + high) // 2
        if rows[middle] < row:
            low = middle + 1
        else:
            high = middle
    return low - row_start[k]


@njit(**KERNEL)
def _places(high, low, first, row_start, rows, panel_start):
    """Panel place of the entries (high[i], low[i]) of the lower triangle."""
    place = np.empty(len(high), np.int64)
    for i in range(len(high)):
        k = _supernode(low[i], first)
        tall = row_start[k + 1] - row_start[k]
        place[i] = panel_start[k] + (low[i] - first[k]) * tall + _find(high[i], k, row_start, rows)
    return place


@njit(**KERNEL)
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
                column, row = np.int64(a_columns[b]), np.int64(a_columns[a])
                k = _supernode(column, first)
                tall = row_start[k + 1] - row_start[k]
                pair[p] = panel_start[k] + (column - first[k]) * tall + _find(row, k, row_start, rows)
                p += 1
    return pair
