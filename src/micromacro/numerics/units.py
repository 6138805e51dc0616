r"""Kernels for units whose likelihood reads several rows: W is block diagonal, a dense symmetric block for each unit.

W is held as one vector of rows and pairs: the diagonal (rows,), then the entries beside it, unit by unit, in the order
(1, 0), (2, 0), (2, 1), (3, 0) ... of the rows of a unit. With ``high`` and ``low`` the rows of each pair,

.. math:: A'WA = \sum_i W_{ii} a_i a_i' + \sum_p W_p (a_{h_p} a_{l_p}' + a_{l_p} a_{h_p}').

``place`` lists, pair by pair, the panel place of the product of each entry of the one row and each of the other.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .compiling import ALLOCATING

_kernel = njit(**ALLOCATING)


@_kernel
def add_blocks(row_start, columns, values, high, low, weight, place, panel):
    """Add the pairs' part of A'WA to the panels of H; `weight` (pairs,)."""
    q = 0
    for p in range(len(high)):
        r, s, w = high[p], low[p], weight[p]
        first, last = row_start[s], row_start[s + 1]
        if w == 0.0:
            q += (row_start[r + 1] - row_start[r]) * (last - first)
            continue
        for a in range(row_start[r], row_start[r + 1]):
            f, k = w * values[a], columns[a]
            for b in range(first, last):
                t = f * values[b]
                panel[place[q]] += 2.0 * t if columns[b] == k else t
                q += 1


@_kernel
def block_reach(row_start, values, high, low, weight, place, inverse, crossed, leverage):
    r"""What pairs need of S, the selected inverse of H.

    `crossed` (entries of A) becomes :math:`\sum_{s \ne r} W_{rs} (S a_s)_k` at the entry (r, k), `leverage` (pairs,)
    twice :math:`a_r'S a_s`.
    """
    crossed[:] = 0.0
    q = 0
    for p in range(len(high)):
        r, s, w = high[p], low[p], weight[p]
        total = 0.0
        for a in range(row_start[r], row_start[r + 1]):
            own, va = 0.0, values[a]
            for b in range(row_start[s], row_start[s + 1]):
                inner = inverse[place[q]]
                own += inner * values[b]
                crossed[b] += w * inner * va
                q += 1
            crossed[a] += w * own
            total += va * own
        leverage[p] = 2.0 * total


@_kernel
def block_times(high, low, weight, v, out):
    """Add the pairs' part of W v to `out` (rows,)."""
    for p in range(len(high)):
        out[high[p]] += weight[p] * v[low[p]]
        out[low[p]] += weight[p] * v[high[p]]


@_kernel
def absolute_blocks(start, row, pair_start, w, out):
    """Blocks with the same eigenvectors and the sizes of the eigenvalues; `w` and `out` (rows + pairs,)."""
    rows = len(row)
    for u in range(len(start) - 1):
        begin, k, pair = start[u], start[u + 1] - start[u], rows + pair_start[u]
        block = np.empty((k, k))
        finite, p = True, pair
        for a in range(k):
            for b in range(a):
                block[a, b] = block[b, a] = w[p]
                p += 1
            block[a, a] = w[row[begin + a]]
        for a in range(k):
            for b in range(k):
                finite = finite and math.isfinite(block[a, b])
        if finite and k > 1:
            _absolute(block)
        p = pair
        for a in range(k):
            for b in range(a):
                out[p] = block[a, b] if finite else 0.0
                p += 1
            out[row[begin + a]] = abs(block[a, a])


@_kernel
def _absolute(block):
    """In place: a symmetric matrix with the sizes of its eigenvalues."""
    k = len(block)
    if k == 2:  # |M| = (M^2 + d I) / t, d = |det M|, t the sum of the sizes of both eigenvalues (Cayley and Hamilton)
        a, b, c = block[0, 0], block[1, 0], block[1, 1]
        d = abs(a * c - b * b)
        t = math.sqrt(a * a + 2.0 * b * b + c * c + 2.0 * d)
        if t > 0.0:
            block[0, 0], block[1, 1] = (a * a + b * b + d) / t, (b * b + c * c + d) / t
            block[0, 1] = block[1, 0] = b * (a + c) / t
        return
    value, vector = np.linalg.eigh(block)
    for a in range(k):
        for b in range(a + 1):
            total = 0.0
            for j in range(k):
                total += vector[a, j] * abs(value[j]) * vector[b, j]
            block[a, b] = block[b, a] = total


@_kernel
def block_roots(start, row, pair_start, leverage, out):
    """Lower Cholesky factors of positive semidefinite blocks, `leverage` holding twice the entries of pairs."""
    rows = len(row)
    for u in range(len(start) - 1):
        begin, k, pair = start[u], start[u + 1] - start[u], rows + pair_start[u]
        for a in range(k):
            own = pair + a * (a - 1) // 2
            left = leverage[row[begin + a]]
            for b in range(a):
                total, other = 0.5 * leverage[own + b], pair + b * (b - 1) // 2
                for j in range(b):
                    total -= out[own + j] * out[other + j]
                pivot = out[row[begin + b]]
                out[own + b] = total / pivot if pivot > 0.0 else 0.0
                left -= out[own + b] ** 2
            size = leverage[row[begin + a]]
            out[row[begin + a]] = math.sqrt(left) if left > 1e-14 * size else 0.0


@_kernel
def block_lift(start, row, pair_start, root, node, out):
    """out (rows,) = root times the first entries of `node` (rows of the widest unit,), in each unit."""
    rows = len(row)
    for u in range(len(start) - 1):
        begin, pair = start[u], rows + pair_start[u]
        for a in range(start[u + 1] - begin):
            total = root[row[begin + a]] * node[a]
            for b in range(a):
                total += root[pair + a * (a - 1) // 2 + b] * node[b]
            out[row[begin + a]] = total
