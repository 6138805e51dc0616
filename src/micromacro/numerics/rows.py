r"""Numeric kernels on the rows of A: assemble :math:`H = A'WA + D`, products with A, derivatives in its entries.

A is held in compressed rows with columns in elimination order; ``pair`` lists, row by row, the panel place of the
product of every two entries (see :class:`~micromacro.numerics.symbolic.Symbolic`). The loops run in that order, so
one pass over memory does each job.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .compiling import INLINED

_inlined = njit(boundscheck=False, **INLINED)
_at = np.uint64  # a place that is never negative: Numba need not ask, which saves a quarter of the time


@_inlined
def assemble(row_start, pair, values, weight, d_place, d_value, panel):
    """Panels of A'WA + D. `weight` (N,) is the diagonal of W."""
    for p in range(len(panel)):
        panel[p] = 0.0
    for k in range(len(d_place)):
        panel[d_place[k]] += d_value[k]
    p = 0
    for i in range(len(row_start) - 1):
        w = weight[i]
        begin = row_start[i]
        for a in range(begin, row_start[i + 1]):
            f = w * values[a]
            for b in range(begin, a + 1):
                panel[_at(pair[_at(p)])] += f * values[_at(b)]
                p += 1


@_inlined
def times(row_start, columns, values, x, out):
    """out = A x."""
    for i in range(len(row_start) - 1):
        total = 0.0
        for a in range(row_start[i], row_start[i + 1]):
            total += values[_at(a)] * x[_at(columns[_at(a)])]
        out[i] = total


@_inlined
def transposed_times(row_start, columns, values, v, out):
    """out += A' v."""
    for i in range(len(row_start) - 1):
        f = v[i]
        for a in range(row_start[i], row_start[i + 1]):
            out[_at(columns[_at(a)])] += values[_at(a)] * f


@_inlined
def symmetric_times(row, column, value, x, out):
    """out += D x for D given by its lower triangle."""
    for k in range(len(row)):
        out[row[k]] += value[k] * x[column[k]]
        if row[k] != column[k]:
            out[column[k]] += value[k] * x[row[k]]


@_inlined
def joint_times(row_start, columns, values, d_row, d_column, d_value, v, x, out):
    """out = A' v + D x."""
    for k in range(len(out)):
        out[k] = 0.0
    transposed_times(row_start, columns, values, v, out)
    symmetric_times(d_row, d_column, d_value, x, out)


@_inlined
def pair_products(row_start, pair, values, inverse, slope, leverage):
    """slope = S A' on the pattern of A, entry by entry, and leverage_i = a_i' S a_i."""
    p = 0
    for i in range(len(row_start) - 1):
        begin = row_start[i]
        total = 0.0
        for a in range(begin, row_start[i + 1]):
            va = values[a]
            own = 0.0
            for b in range(begin, a):
                s = inverse[_at(pair[_at(p)])]
                own += s * values[_at(b)]
                slope[_at(b)] += s * va
                p += 1
            s = inverse[pair[p]]
            p += 1
            slope[a] = own + s * va
            total += va * (2.0 * own + s * va)
        leverage[i] = total


@_inlined
def finish_slopes(row_start, columns, slope, weight, residual, mean, leverage, d_weight):
    """In place: derivative of the Gaussian log marginal in each entry of A, in each residual's weight.

    slope[a] becomes w_i (r_i m_a - (S A')_a); d_weight[i] = -(leverage_i + r_i^2) / 2, without the derivative of
    the likelihood's own constant.
    """
    for i in range(len(row_start) - 1):
        w, r = weight[i], residual[i]
        for a in range(row_start[i], row_start[i + 1]):
            slope[a] = w * (r * mean[columns[a]] - slope[a])
        d_weight[i] = -0.5 * (leverage[i] + r * r)


@_inlined
def symmetric_gradient(row, column, place, inverse, deviation, out):
    """Derivative of the log marginal in the entries of D, its log-determinant term left out.

    With d = x - m0: -(S_kl + d_k d_l) / 2 on the diagonal, twice that beside it.
    """
    for k in range(len(row)):
        half = -0.5 if row[k] == column[k] else -1.0
        out[k] = half * (inverse[place[k]] + deviation[row[k]] * deviation[column[k]])


@_inlined
def quadratic(row, column, value, x):
    """x' D x for D given by its lower triangle."""
    total = 0.0
    for k in range(len(row)):
        twice = 1.0 if row[k] == column[k] else 2.0
        total += twice * value[k] * x[row[k]] * x[column[k]]
    return total


@_inlined
def weighted_square(weight, residual):
    """sum_i w_i r_i^2."""
    total = 0.0
    for i in range(len(weight)):
        total += weight[i] * residual[i] * residual[i]
    return total
