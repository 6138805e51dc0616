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

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numba import njit
from scipy import sparse
from scipy.sparse.linalg import splu

from .compiling import KERNEL
from .ordering import DENSE, minimum_degree
from .ragged import starts
from .supernodes import Layout, Panels

_kernel = njit(**KERNEL)
LITTLE = 20_000  # entries of a pattern up to which SuperLU orders it, in no time: seeded draws depend on the order
HUGE = 300  # effects of a row from which it may be too long to be multiplied out
FEW = 100  # such rows
LARGE = 2e11  # operations of one factorisation, from which on none is made unless it is asked for


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
    row_start, columns : int arrays
        A in compressed rows, with columns in elimination order and rising in each row.
    entry : int array
        ``entry[k]`` is where the k-th entry handed in has gone among the values of A.
    d_row, d_column : int arrays
        (Ordered) indices of every entry of the lower triangle of D.
    pattern : FactorPattern
        What the panels are made of.
    short : Symbolic or None
        The same, in the same order, without the few rows that have very many entries, if there are any.
    """

    order: np.ndarray
    position: np.ndarray
    leading: int
    row_start: np.ndarray
    columns: np.ndarray
    entry: np.ndarray
    d_row: np.ndarray
    d_column: np.ndarray
    pattern: FactorPattern
    short: Symbolic | None = None

    @property
    def layout(self) -> Layout:
        """Where everything is in the panels."""
        return self.pattern.panels.layout

    @property
    def pair(self) -> np.ndarray:
        """Panel place of the product of every two entries of a row, row by row, (0,0), (1,0), (1,1), (2,0) ..."""
        return self.pattern.panels.pair

    @property
    def d_place(self) -> np.ndarray:
        """Panel place of every entry of D."""
        return self.pattern.panels.d_place[: len(self.d_row)]

    @property
    def blocked(self) -> bool:
        """Whether the factorisation goes through products of dense blocks."""
        return self.pattern.panels.blocked

    @property
    def size(self) -> int:
        """Number of latent entries."""
        return len(self.order)

    @property
    def work(self) -> float:
        """Operations of one factorisation and selected inverse, about."""
        columns = np.diff(self.layout.first).astype(float)
        rows = np.diff(self.layout.row_start).astype(float)
        entries = np.diff(self.row_start).astype(float)
        pairs = float(np.sum(0.5 * entries * (entries + 1.0)))  # as many as `pair` has, which takes long to make
        return 3.0 * float(np.sum(columns * rows**2)) + 10.0 * pairs + 1000.0

    @property
    def panel_size(self) -> int:
        """Number of stored values of the factor, explicit zeros of merged supernodes included."""
        return int(self.layout.panel_start[-1])


class FactorPattern:
    """The pattern of H, and the panels of its factor, which are laid out when they are first asked for.

    Parameters
    ----------
    size : int
    a : sparse matrix (rows, size)
        Pattern of A, in elimination order.
    d_row, d_column : int arrays
        Lower triangle of D, in elimination order.
    leading : int
    upper : sparse matrix or None
        Strict upper triangle of H by columns, where it is known.
    ordered : bool
        Whether the order is one for a factor; if not, one would take too many operations.
    """

    def __init__(
        self, size: int, a: sparse.csr_matrix, d_row: np.ndarray, d_column: np.ndarray, leading: int,
        upper: sparse.csc_matrix | None, ordered: bool = True,
    ):  # fmt: skip
        self.ordered = ordered
        self.size, self.a, self.leading, self._upper = size, a, leading, upper
        self.d_row, self.d_column = d_row, d_column

    def _triangle(self) -> sparse.csc_matrix:
        """Strict upper triangle of H by columns."""
        if self._upper is not None:
            return self._upper
        return _upper(_products(self.size, self.a, self.d_row, self.d_column), np.arange(self.size))

    def operations(self, most: float) -> float:
        """Operations of one factorisation and selected inverse, about; infinite if they are more than `most`.

        Nothing is laid out for it, so that it can be asked of a factor that would not fit.
        """
        upper = self._triangle()
        parent = elimination_tree(upper.indptr, upper.indices)
        length, mark = np.ones(len(parent), dtype=np.int64), np.full(len(parent), -1)
        return 3.0 * float(_squared_lengths(upper.indptr, upper.indices, parent, most / 3.0, length, mark))

    @cached_property
    def large(self) -> bool:
        """Whether one factorisation takes so many operations that nobody should wait for it."""
        return not self.ordered or (float(self.leading) ** 3 > LARGE and self.operations(LARGE) > LARGE)

    @cached_property
    def panels(self) -> Panels:
        """The panels."""
        upper = self._triangle()
        self._upper = None
        return Panels(
            upper.indptr, upper.indices, elimination_tree(upper.indptr, upper.indices), self.leading,
            self.a.indptr.astype(np.int64), self.a.indices, self.d_column, self.d_row,
        )  # fmt: skip


def analyse(
    n_rows: int,
    size: int,
    rows: np.ndarray,
    columns: np.ndarray,
    d_row: np.ndarray,
    d_column: np.ndarray,
    leading: int,
    whole: bool = True,
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
    whole : bool
        Whether an order is looked for even where a factor would take so many operations that none is made.
    """
    every = np.ones(len(rows), dtype=bool)
    long = _long_rows(n_rows, leading, rows[columns < leading])
    kept = ~long[rows] if long.any() else every
    a = sparse.csr_matrix((np.ones(kept.sum(), dtype=bool), (rows[kept], columns[kept])), shape=(n_rows, size))
    h = _products(size, a, d_row, d_column)
    inner = h if leading == size else sparse.csc_matrix(h[:leading, :leading])
    first, ordered = _minimum_degree(inner, math.inf if whole or long.any() else LARGE / 3.0)
    order = np.concatenate([first, np.arange(leading, size)]).astype(np.int64)
    if not ordered:
        return _ordered(n_rows, order, rows, columns, d_row, d_column, leading, ordered=False)
    order, upper = _postordered(h, order, leading)
    short = _ordered(n_rows, order, rows[kept], columns[kept], d_row, d_column, leading, upper)
    if not long.any():
        return short
    return replace(_ordered(n_rows, order, rows, columns, d_row, d_column, leading), short=short)


def _long_rows(n_rows: int, leading: int, rows: np.ndarray) -> np.ndarray:
    """Which rows (rows,) have so many effects that most products of two entries would be theirs; few rows or none."""
    count = np.bincount(rows, minlength=n_rows).astype(float)
    out = count > max(HUGE, DENSE * np.sqrt(leading))
    pairs = count**2
    if out.sum() > FEW or not pairs[out].sum() > pairs[~out].sum():
        out[:] = False
    return out


def _ordered(
    n_rows: int, order: np.ndarray, rows: np.ndarray, columns: np.ndarray, d_row: np.ndarray, d_column: np.ndarray,
    leading: int, upper: sparse.csc_matrix | None = None, ordered: bool = True,
) -> Symbolic:  # fmt: skip
    """Places of everything once the order is known."""
    size = len(order)
    position = np.empty(size, dtype=np.int64)
    position[order] = np.arange(size)
    by_row = np.lexsort((position[columns], rows))
    entry = np.empty(len(rows), dtype=np.int64)
    entry[by_row] = np.arange(len(rows))
    start = starts(np.bincount(rows, minlength=n_rows))
    of_a = position[columns][by_row].astype(np.int32)
    low, high = (
        np.minimum(position[d_row], position[d_column]),
        np.maximum(position[d_row], position[d_column]),
    )
    a = sparse.csr_matrix((np.ones(len(rows), dtype=bool), of_a, start), shape=(n_rows, size))
    pattern = FactorPattern(size, a, high, low, leading, upper, ordered)
    return Symbolic(order, position, leading, start, of_a, entry, high, low, pattern)


def _minimum_degree(h: sparse.csc_matrix, most: float) -> tuple[np.ndarray, bool]:
    """A fill-reducing order of a symmetric pattern, and whether the search for it came to its end."""
    n = len(h.indptr) - 1
    if n < 3:
        return np.arange(n), True
    if h.nnz > LITTLE:
        h.sort_indices()
        order, squares = minimum_degree(h.indptr, h.indices, most)
        return order, math.isfinite(squares)
    pattern = h.copy()
    pattern.data = np.ones(len(pattern.indices))
    # A dominant diagonal keeps SuperLU from pivoting, so that its column order is the symmetric one.
    dominant = (pattern + sparse.diags(np.asarray(pattern.sum(axis=0)).ravel() + 1.0)).tocsc()
    lu = splu(dominant, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    return np.argsort(lu.perm_c), True


def _products(size: int, a: sparse.csr_matrix, d_row: np.ndarray, d_column: np.ndarray) -> sparse.csc_matrix:
    """Pattern of A'A + D; true and false take an eighth of the room that numbers would."""
    d = sparse.csr_matrix((np.ones(len(d_row), dtype=bool), (d_row, d_column)), shape=(size, size))
    turned = sparse.csr_matrix(a.T)
    return sparse.csc_matrix(turned @ a + (d + d.T))


def _upper(h: sparse.csc_matrix, order: np.ndarray) -> sparse.csc_matrix:
    """Strict upper triangle of a symmetric pattern in another order, by columns."""
    position = np.empty(len(order), dtype=np.int64)
    position[order] = np.arange(len(order))
    count = np.zeros(len(order), dtype=np.int64)
    _fill_triangle(h.indptr, h.indices, order, position, count, np.empty(0, dtype=np.int32))
    start = starts(count)
    rows = np.empty(start[-1], dtype=np.int32)
    _fill_triangle(h.indptr, h.indices, order, position, start[:-1].copy(), rows)
    return sparse.csc_matrix((np.ones(len(rows), dtype=bool), rows, start), shape=h.shape)


def _postordered(h: sparse.csc_matrix, order: np.ndarray, leading: int) -> tuple[np.ndarray, sparse.csc_matrix]:
    """Relabel `order` by a postorder of its elimination tree; the strict upper triangle of H in that order."""
    upper = _upper(h, order)
    post = _postorder(elimination_tree(upper.indptr, upper.indices))
    if np.any(post[leading:] < leading):  # the border is not connected to all: keep the order given
        post = np.arange(len(order))
    order = order[post]
    return order, _upper(h, order)


@_kernel
def _fill_triangle(indptr, indices, order, position, place, rows):
    """Add one to the place of a column for each row above its diagonal; write the row there, unless `rows` is empty."""
    for i in range(len(order)):
        for p in range(indptr[order[i]], indptr[order[i] + 1]):
            j = position[indices[p]]
            if j > i:
                if len(rows) > 0:
                    rows[place[j]] = i
                place[j] += 1


def elimination_tree(indptr: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Parent of each column (-1 for a root) from the strict upper triangle by columns (Liu's algorithm)."""
    parent = np.full(len(indptr) - 1, -1)
    _find_parents(indptr, indices, parent, parent.copy())
    return parent


@_kernel
def _find_parents(indptr, indices, parent, ancestor):
    """Fill `parent`; `ancestor` is work space, and both are -1 everywhere."""
    for j in range(len(parent)):
        for p in range(indptr[j], indptr[j + 1]):
            i = indices[p]
            while i != -1 and i < j:
                up = ancestor[i]
                ancestor[i] = j
                if up == -1:
                    parent[i] = j
                i = up


@_kernel
def _squared_lengths(indptr, indices, parent, most, length, mark):
    """Sum of the squared lengths of the columns of L; infinite as soon as it is more than `most`.

    `length` is 1 and `mark` -1 everywhere.
    """
    total = float(len(parent))
    for i in range(len(parent)):
        mark[i] = i
        for p in range(indptr[i], indptr[i + 1]):
            j = indices[p]
            while mark[j] != i:
                total += 2.0 * length[j] + 1.0
                length[j] += 1
                mark[j] = i
                j = parent[j]
        if total > most:
            return np.inf
    return total


def _postorder(parent: np.ndarray) -> np.ndarray:
    """Columns in an order in which children directly precede their parents; stable among siblings.

    A subtree takes as many places as it has columns, its root the last of them, before what has gone to later siblings.
    """
    above, n = parent.tolist(), len(parent)
    room, end, post = [*[1] * n, 0], [n] * (n + 1), [0] * n  # the last of `room` and `end` is above all roots
    for j, up in enumerate(above):
        room[up] += room[j]
    for j in range(n - 1, -1, -1):
        last = end[above[j]] - 1
        post[last] = j
        end[j] = last
        end[above[j]] = last + 1 - room[j]
    return np.array(post, dtype=np.int64)
