r"""The same factorisation and selected inverse as in :mod:`.cholesky`, through products of dense blocks.

Wide supernodes spend their time in products of matrices, which BLAS does at many times the speed of a loop. All are of
one form, :math:`X Y'` with X and Y stored row after row, so that ``np.dot`` is compiled once; it releases the GIL. A
panel (tall x wide, by columns) is factorised in blocks of a few columns. What a supernode subtracts from the panels of
its ancestors is made at once, some columns at a time, and then scattered (right-looking; Ng and Peyton 1993). For
the selected inverse the block :math:`S_{RR}` of the rows below is gathered from the ancestors first.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .cholesky import _factor_panel, _update, factorise
from .compiling import ALLOCATING, KERNEL
from .supernodes import Layout
from .symbolic import Symbolic

NARROW = 4  # columns below which loops are faster than products
STEP = 32  # columns of a panel that are factorised together
CHUNK = 96  # columns that are subtracted from ancestors together
_kernel = njit(boundscheck=False, **KERNEL)
_allocating = njit(boundscheck=False, **ALLOCATING)
_at = np.uint64  # a place that is never negative: Numba need not ask


def room_of(layout: Layout) -> int:
    """Length of the work space of both kernels for a layout."""
    wide, tall = np.diff(layout.first), np.diff(layout.row_start)
    below = tall - wide
    factor = tall * np.maximum(wide, STEP) * 2 + CHUNK * tall + 2 * STEP * STEP
    inverse = below * below + 3 * wide * below + 2 * wide * wide
    return int(max(factor.max(initial=1), inverse.max(initial=1), tall.max(initial=1)))


def factorised(symbolic: Symbolic, panel: np.ndarray) -> bool:
    """Factorise the matrix in the panels in place, by whichever kernels are faster; False where that fails."""
    layout = symbolic.layout
    if symbolic.blocked:
        return factorise_blocks(layout, panel, np.empty(room_of(layout))) < 0
    buffer = np.empty(max(int(np.diff(layout.row_start).max(initial=1)), symbolic.size))
    return factorise(*layout.factoring, panel, buffer) < 0


@_allocating
def _product(x, x_at, rows, y, y_at, columns, inner, out, out_at):
    """out = X Y' for X (rows, inner) and Y (columns, inner), all row after row in flat arrays."""
    a = x[x_at : x_at + rows * inner].reshape(rows, inner)
    b = y[y_at : y_at + columns * inner].reshape(columns, inner)
    np.dot(a, b.T, out[out_at : out_at + rows * columns].reshape(rows, columns))


@_kernel
def _turned(panel, base, tall, first, last, begin, out, at):
    """Rows from `begin` on of the columns first .. last of a panel, row after row."""
    wide = last - first
    for i in range(begin, tall):
        for c in range(wide):
            out[_at(at + c)] = panel[_at(base + (first + c) * tall + i)]
        at += wide


@_kernel
def _lower_inverse(panel, base, tall, first, wide, out, at):
    """Inverse of a triangle on the diagonal of a panel (wide, wide), lower, column after column; zeros above it."""
    for c in range(wide):
        column = at + c * wide
        for r in range(c):
            out[column + r] = 0.0
        out[column + c] = 1.0
        for r in range(c + 1, wide):
            out[column + r] = 0.0
        for t in range(c, wide):  # forward substitution by columns of the triangle
            source = base + (first + t) * tall + first
            f = out[column + t] / panel[source + t]
            out[column + t] = f
            for r in range(t + 1, wide):
                out[_at(column + r)] -= f * panel[_at(source + r)]


@_allocating
def factorise_blocks(layout, panel, work):
    """Cholesky factor in place. Returns -1, or the column whose pivot is not positive."""
    first, row_start, panel_start = layout[0], layout[1], layout[3]
    by_source, target, local, rel_start, relative = layout[4], layout[5], layout[7], layout[8], layout[9]
    for j in range(len(first) - 1):
        base = panel_start[j]
        tall = row_start[j + 1] - row_start[j]
        wide = first[j + 1] - first[j]
        bad = _factor_in_steps(panel, base, tall, wide, work)
        if bad >= 0:
            return first[j] + bad
        if wide < NARROW:
            for u in range(by_source[j], by_source[j + 1]):
                t = target[u]
                _update(panel, panel_start[t], row_start[t + 1] - row_start[t], base, tall, wide, local[u, 0],
                        local[u, 1], relative, rel_start[u], work)  # fmt: skip
        elif tall > wide:
            _subtract(layout, j, panel, work)
    return -1


@_allocating
def _factor_in_steps(panel, base, tall, wide, work):
    """Cholesky factorisation of the columns of one panel. Returns -1 or the failing column."""
    if wide < NARROW:
        return _factor_panel(panel, base, tall, wide)
    for c in range(0, wide, STEP):
        n = min(STEP, wide - c)
        bad = _factor_triangle(panel, base, tall, c, n)
        if bad >= 0:
            return bad
        m = tall - c - n
        if m == 0:
            continue
        inverse, turned = m * n, m * n + n * n  # the rows below come first in `work`
        _lower_inverse(panel, base, tall, c, n, work, inverse)
        for r in range(n):  # by rows
            for s in range(r):
                work[inverse + r * n + s] = work[inverse + s * n + r]
                work[inverse + s * n + r] = 0.0
        _turned(panel, base, tall, c, c + n, c + n, work, turned)
        _product(work, turned, m, work, inverse, n, n, work, 0)
        for i in range(m):
            for s in range(n):
                panel[_at(base + (c + s) * tall + c + n + i)] = work[_at(i * n + s)]
        for b in range(c + n, wide, CHUNK):  # what they take from the columns that follow
            k = min(CHUNK, wide - b)
            begin = (b - c - n) * n
            _product(work, begin, k, work, begin, tall - b, n, work, inverse)
            for s in range(k):
                row, column = inverse + s * (tall - b), base + (b + s) * tall + b
                for i in range(s, tall - b):
                    panel[_at(column + i)] -= work[_at(row + i)]
    return -1


@_kernel
def _factor_triangle(panel, base, tall, first, wide):
    """Cholesky factor of a triangle on the diagonal of a panel, left-looking."""
    for c in range(first, first + wide):
        at = base + c * tall
        for t in range(first, c):
            f = panel[base + t * tall + c]
            for i in range(c, first + wide):
                panel[_at(at + i)] -= f * panel[_at(base + t * tall + i)]
        pivot = panel[at + c]
        if not (pivot > 0.0 and pivot < np.inf):
            return c
        root = np.sqrt(pivot)
        panel[at + c] = root
        inverse = 1.0 / root
        for i in range(c + 1, first + wide):
            panel[_at(at + i)] *= inverse
    return -1


@_allocating
def _subtract(layout, j, panel, work):
    """Subtract from the ancestors' panels what supernode j contributes to them."""
    first, row_start, panel_start = layout[0], layout[1], layout[3]
    by_source, target, local, rel_start, relative = layout[4], layout[5], layout[7], layout[8], layout[9]
    base = panel_start[j]
    tall = row_start[j + 1] - row_start[j]
    wide = first[j + 1] - first[j]
    m = tall - wide
    _turned(panel, base, tall, 0, wide, wide, work, 0)
    u = by_source[j]
    for b in range(0, m, CHUNK):
        k = min(CHUNK, m - b)
        length = m - b
        _product(work, b * wide, k, work, b * wide, length, wide, work, m * wide)
        for s in range(k):
            while local[u, 1] <= wide + b + s:
                u += 1
            t = target[u]
            rel = rel_start[u] + wide + b - local[u, 0]
            column = panel_start[t] + relative[rel + s] * (row_start[t + 1] - row_start[t])
            row = m * wide + s * length
            for i in range(s, length):
                panel[_at(column + relative[_at(rel + i)])] -= work[_at(row + i)]


@_allocating
def selected_inverse_blocks(layout, panel, leading, inverse, work):
    """Fill `inverse` with the entries of the inverse of the leading block on the pattern of the factor; zero elsewhere.

    `leading` must be the first column of a supernode or n.
    """
    first, row_start, panel_start = layout[0], layout[1], layout[3]
    for j in range(len(first) - 2, -1, -1):
        base = panel_start[j]
        tall = row_start[j + 1] - row_start[j]
        wide = first[j + 1] - first[j]
        if first[j] >= leading:
            for p in range(base, panel_start[j + 1]):
                inverse[p] = 0.0
            continue
        m = tall - wide
        below, y, out = 0, m * m, m * m + m * wide
        turned = out + m * wide
        triangle = turned + m * wide
        square = triangle + wide * wide
        _lower_inverse(panel, base, tall, 0, wide, work, triangle)  # read row after row it is the transposed one
        _product(work, triangle, wide, work, triangle, wide, wide, work, square)
        if m > 0:
            _turned(panel, base, tall, 0, wide, wide, work, turned)
            _product(work, triangle, wide, work, turned, m, wide, work, y)
            _gather(layout, j, inverse, work, below)
            _product(work, y, wide, work, below, m, m, work, out)
            _product(work, y, wide, work, out, wide, m, work, turned)
        for c in range(wide):
            column = base + c * tall
            for r in range(c, wide):
                inverse[column + r] = work[square + c * wide + r] + (work[turned + c * wide + r] if m > 0 else 0.0)
            for i in range(m):
                inverse[_at(column + wide + i)] = -work[_at(out + c * m + i)]


@_kernel
def _gather(layout, j, inverse, work, at):
    """The symmetric block (m, m) of the inverse on the rows below supernode j, from the ancestors' panels."""
    first, row_start, panel_start = layout[0], layout[1], layout[3]
    by_source, target, local, rel_start, relative = layout[4], layout[5], layout[7], layout[8], layout[9]
    wide = first[j + 1] - first[j]
    m = row_start[j + 1] - row_start[j] - wide
    for u in range(by_source[j], by_source[j + 1]):
        t = target[u]
        tall = row_start[t + 1] - row_start[t]
        begin, rel = local[u, 0], rel_start[u]
        for b in range(begin, local[u, 1]):
            column = panel_start[t] + relative[rel + b - begin] * tall
            row = at + (b - wide) * m - wide
            for i in range(b, m + wide):
                work[_at(row + i)] = inverse[_at(column + relative[_at(rel + i - begin)])]
    for b in range(0, m, 16):  # the other triangle, in tiles
        for i in range(b, m):
            for c in range(b, min(b + 16, i)):
                work[_at(at + i * m + c)] = work[_at(at + c * m + i)]
