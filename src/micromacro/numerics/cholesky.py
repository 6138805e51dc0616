r"""Numeric kernels on panels: factorise, solve, sample, log-determinant, selected inverse.

All kernels release the GIL, are cached on disk, work in arrays that the caller owns, and take the
:class:`~micromacro.numerics.symbolic.Layout` of an analysed pattern, or what they read of it. What each must satisfy,
with H the matrix in the panels:

- :func:`factorise`: :math:`L L' = H`, in place
- :func:`solve_lower`, :func:`solve_upper`: :math:`L y = b`, :math:`L' x = y`, in place; :func:`solve` is both
- :func:`times_upper`: :math:`L' x`, in place
- :func:`log_determinant`: :math:`2 \sum_{k<\text{leading}} \log L_{kk}`
- :func:`selected_inverse`: :math:`S_{kl} = (H^{-1})_{kl}` for every (k, l) of the pattern of L; with ``leading`` less
  than n it is the inverse of the leading block, and zero elsewhere

The factorisation is left-looking by supernodes (Ng and Peyton 1993); the selected inverse is the recursion of
Takahashi, Fagan and Chen (1973) in blocks: with :math:`Y = L_{RJ} L_{JJ}^{-1}`,
:math:`S_{RJ} = -S_{RR} Y` and :math:`S_{JJ} = L_{JJ}^{-T} L_{JJ}^{-1} - Y' S_{RJ}`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .compiling import INLINED, KERNEL

_kernel = njit(boundscheck=False, **KERNEL)
_inlined = njit(boundscheck=False, **INLINED)
_at = np.uint64  # a place that is never negative: Numba need not ask, which saves a quarter of the time


@_inlined
def factorise(
    first, row_start, panel_start, source, local, rel_start, relative, by_target, arriving, panel, buffer
):  # fmt: skip
    """Cholesky factor in place. Returns -1, or the column whose pivot is not positive.

    `buffer` must hold as many numbers as the longest supernode has rows.
    """
    for j in range(len(first) - 1):
        base = panel_start[j]
        tall = row_start[j + 1] - row_start[j]
        for v in range(by_target[j], by_target[j + 1]):
            u = arriving[v]
            k = source[u]
            _update(
                panel, base, tall, panel_start[k], row_start[k + 1] - row_start[k], first[k + 1] - first[k],
                local[u, 0], local[u, 1], relative, rel_start[u], buffer,
            )  # fmt: skip
        bad = _factor_panel(panel, base, tall, first[j + 1] - first[j])
        if bad >= 0:
            return first[j] + bad
    return -1


@_inlined
def _update(panel, base, tall, source, source_tall, source_wide, begin, stop, relative, rel, buffer):
    """Subtract from the target's panel what a descendant supernode contributes to it."""
    for jj in range(stop - begin):
        length = source_tall - begin - jj
        column = base + relative[rel + jj] * tall
        at = source + begin + jj
        f = panel[at]
        if source_wide == 1:
            for i in range(length):
                panel[_at(column + relative[_at(rel + jj + i)])] -= f * panel[_at(at + i)]
        else:
            for i in range(length):
                buffer[i] = f * panel[_at(at + i)]
            for _ in range(1, source_wide):
                at += source_tall
                f = panel[at]
                for i in range(length):
                    buffer[i] += f * panel[_at(at + i)]
            for i in range(length):
                panel[_at(column + relative[_at(rel + jj + i)])] -= buffer[i]


@_inlined
def _factor_panel(panel, base, tall, wide):
    """Dense left-looking Cholesky of the columns of one panel. Returns -1 or the failing column."""
    for c in range(wide):
        at = base + c * tall
        for t in range(c):
            f = panel[base + t * tall + c]
            if f != 0.0:
                before = base + t * tall
                for i in range(c, tall):
                    panel[_at(at + i)] -= f * panel[_at(before + i)]
        pivot = panel[at + c]
        if not (pivot > 0.0 and pivot < np.inf):
            return c
        root = np.sqrt(pivot)
        panel[at + c] = root
        inverse = 1.0 / root
        for i in range(c + 1, tall):
            panel[_at(at + i)] *= inverse
    return -1


@_inlined
def solve_lower(layout, panel, x):
    """Solve L y = x in place."""
    first, row_start, rows, panel_start = layout[0], layout[1], layout[2], layout[3]
    for k in range(len(first) - 1):
        tall = row_start[k + 1] - row_start[k]
        wide = first[k + 1] - first[k]
        below = row_start[k]
        for c in range(wide):
            at = panel_start[k] + c * tall
            value = x[first[k] + c] / panel[at + c]
            x[first[k] + c] = value
            for i in range(c + 1, tall):
                x[_at(rows[_at(below + i)])] -= panel[_at(at + i)] * value


@_inlined
def solve_upper(layout, panel, x):
    """Solve L' y = x in place: with x standard normal, y has covariance H^-1."""
    first, row_start, rows, panel_start = layout[0], layout[1], layout[2], layout[3]
    for k in range(len(first) - 2, -1, -1):
        tall = row_start[k + 1] - row_start[k]
        wide = first[k + 1] - first[k]
        below = row_start[k]
        for c in range(wide - 1, -1, -1):
            at = panel_start[k] + c * tall
            value = x[first[k] + c]
            for i in range(c + 1, tall):
                value -= panel[_at(at + i)] * x[_at(rows[_at(below + i)])]
            x[first[k] + c] = value / panel[at + c]


@_kernel
def solve(first, row_start, rows, panel_start, panel, x):
    """Solve H y = x in place."""
    layout = (first, row_start, rows, panel_start)
    solve_lower(layout, panel, x)
    solve_upper(layout, panel, x)


@_kernel
def times_upper(layout, panel, x):
    """x becomes L' x, the inverse of :func:`solve_upper`."""
    first, row_start, rows, panel_start = layout[0], layout[1], layout[2], layout[3]
    for k in range(len(first) - 1):
        tall = row_start[k + 1] - row_start[k]
        wide = first[k + 1] - first[k]
        below = row_start[k]
        for c in range(wide):
            at = panel_start[k] + c * tall
            value = panel[at + c] * x[first[k] + c]
            for i in range(c + 1, tall):
                value += panel[_at(at + i)] * x[_at(rows[_at(below + i)])]
            x[first[k] + c] = value


@_kernel
def inverse_quadratics(layout, panel, start, position, value, x, out):
    """a' H^-1 a = |L^-1 a|^2 for each row a of a sparse matrix in compressed rows; `x` (size,) is work space."""
    for i in range(len(out)):
        x[:] = 0.0
        for j in range(start[i], start[i + 1]):
            x[position[j]] += value[j]
        solve_lower(layout, panel, x)
        total = 0.0
        for k in range(len(x)):
            total += x[k] * x[k]
        out[i] = total


@_inlined
def log_determinant(layout, panel, leading):
    """Log-determinant of the leading block of `leading` columns of H, from its factor."""
    return log_determinant_at(layout[12][:leading], panel)


@_inlined
def log_determinant_at(diagonal, panel):
    """The same by the places of these columns' diagonal entries in the panels."""
    total = 0.0
    for k in range(len(diagonal)):
        total += np.log(panel[diagonal[k]])
    return 2.0 * total


@_kernel
def selected_inverse(
    first, row_start, panel_start, by_source, target, local, rel_start, relative, panel, leading, inverse, y, small
):  # fmt: skip
    """Fill `inverse` with the entries of the inverse on the pattern of the factor.

    `leading` must be the first column of a supernode or n. `y` must hold the largest panel, `small` the square of
    the widest supernode plus the longest supernode's rows.
    """
    for j in range(len(first) - 2, -1, -1):
        base = panel_start[j]
        tall = row_start[j + 1] - row_start[j]
        wide = first[j + 1] - first[j]
        for p in range(base, panel_start[j + 1]):
            inverse[p] = 0.0
        if first[j] >= leading:
            continue
        _solve_right(panel, base, tall, wide, y)
        _minus_ancestors_times_y(
            row_start, panel_start, by_source, target, local, rel_start, relative, j, wide, inverse, y,
            small[wide * wide :],
        )  # fmt: skip
        _diagonal_block(panel, inverse, base, tall, wide, y, small)


@_inlined
def _solve_right(panel, base, tall, wide, y):
    """Y = L_RJ L_JJ^-1 by columns; y has the layout of the panel (only its rows below are used)."""
    for c in range(wide - 1, -1, -1):
        at = base + c * tall
        for i in range(wide, tall):
            y[_at(c * tall + i)] = panel[_at(at + i)]
        for t in range(c + 1, wide):
            f = panel[at + t]
            for i in range(wide, tall):
                y[_at(c * tall + i)] -= f * y[_at(t * tall + i)]
        f = 1.0 / panel[at + c]
        for i in range(wide, tall):
            y[_at(c * tall + i)] *= f


@_inlined
def _minus_ancestors_times_y(
    row_start, panel_start, by_source, target, local, rel_start, relative, j, wide, inverse, y, column
):  # fmt: skip
    """S_RJ = -S_RR Y, gathering the columns of S_RR from the ancestors' panels."""
    base = panel_start[j]
    tall = row_start[j + 1] - row_start[j]
    for u in range(by_source[j], by_source[j + 1]):
        k = target[u]
        k_base = panel_start[k]
        k_tall = row_start[k + 1] - row_start[k]
        begin = local[u, 0]
        rel = rel_start[u]
        for b in range(begin, local[u, 1]):
            length = tall - b
            at = k_base + relative[rel + b - begin] * k_tall
            for i in range(length):
                column[i] = inverse[_at(at + relative[_at(rel + b - begin + i)])]
            for c in range(wide):
                here = c * tall + b
                f = y[here]
                total = column[0] * f
                for i in range(1, length):
                    inverse[_at(base + here + i)] -= column[i] * f
                    total += column[i] * y[_at(here + i)]
                inverse[base + here] -= total


@_inlined
def _diagonal_block(panel, inverse, base, tall, wide, y, small):
    """S_JJ = L_JJ^-T L_JJ^-1 - Y' S_RJ (lower triangle)."""
    for c in range(wide):  # small = L_JJ^-1, lower, by columns
        small[c * wide + c] = 1.0 / panel[base + c * tall + c]
        for r in range(c + 1, wide):
            total = 0.0
            for t in range(c, r):
                total += panel[base + t * tall + r] * small[c * wide + t]
            small[c * wide + r] = -total / panel[base + r * tall + r]
    for c in range(wide):
        for r in range(c, wide):
            total = 0.0
            for t in range(r, wide):
                total += small[r * wide + t] * small[c * wide + t]
            for i in range(wide, tall):
                total -= y[_at(r * tall + i)] * inverse[_at(base + c * tall + i)]
            inverse[base + c * tall + r] = total
