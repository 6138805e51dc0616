r"""Kernels for rows whose curvatures meet in pairs: groups that are at risk over runs of intervals.

A hazard that is constant in each interval has, for group i and interval k, the term
:math:`d_{ik}(g_i + a_k) - m_{ik},\ m_{ik} = f_i E_{ik} h_k`, with :math:`f_i = w_i e^{g_i}, h_k = e^{a_k}` and the time
at risk :math:`E_{ik}`. Its curvatures in the pair :math:`(g_i, a_k)` are the matrix :math:`M = (m_{ik})`. E is nothing
but runs: full intervals from ``low`` to ``high``, and parts of two others. So with sums along the intervals, from the
end for those who leave and again for those who enter late, products with M cost groups plus intervals, and :math:`B'M`
for a sparse B costs its entries plus columns times intervals; the matrix itself is never made.

With the rows of A in two blocks, B (groups) and C (intervals), :math:`H = A'WA + D` has the further block
:math:`B'MC + C'M'B`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

_kernel = njit(cache=True, nogil=True, error_model="numpy")


class Exposure(NamedTuple):
    """Time at risk E (groups, intervals) as runs; arrays of whole numbers are held as floats.

    Shapes: (groups,), and ``length`` (intervals,). Where a group has no part of an interval its time there is zero.
    """

    low: np.ndarray  #: first interval of which a group is at risk throughout
    high: np.ndarray  #: the one after the last of these; not above `low` where there is none
    first: np.ndarray  #: an interval of which it is at risk in part, from its entry on
    first_time: np.ndarray
    last: np.ndarray  #: another, until its exit
    last_time: np.ndarray
    length: np.ndarray  #: of each interval; zero where nobody is at risk throughout


class Cross(NamedTuple):
    """Where the block of pairs is: columns of B against columns of C.

    Shapes: `j` columns of B with `b` entries, `k` rows of C with `c` entries and `l` columns.
    """

    column: np.ndarray  #: (j,) columns of A that have entries in B
    start: np.ndarray  #: (j + 1,) where a column's entries begin
    row: np.ndarray  #: (b,) group of each entry
    at: np.ndarray  #: (b,) place of each entry among the values of A
    own_start: np.ndarray  #: (k + 1,) where a row of C begins
    own_at: np.ndarray  #: (c,) place of each of its entries among the values of A
    own_local: np.ndarray  #: (c,) column of each among those of C
    place: np.ndarray  #: (j, l) place in the panels of each pair of columns


@_kernel
def over_intervals(e, v, cumulative, out):
    """out = E v (groups,); `cumulative` (intervals + 1,) is work space."""
    cumulative[0] = 0.0
    for k in range(len(v)):
        cumulative[k + 1] = cumulative[k] + e.length[k] * v[k]
    for i in range(len(out)):
        out[i] = _along(e, i, v, cumulative)


@_kernel
def _along(e, i, v, cumulative):
    """Row i of E v."""
    total = 0.0
    if e.high[i] > e.low[i]:
        total = cumulative[int(e.high[i])] - cumulative[int(e.low[i])]
    if e.first_time[i] > 0.0:
        total += e.first_time[i] * v[int(e.first[i])]
    if e.last_time[i] > 0.0:
        total += e.last_time[i] * v[int(e.last[i])]
    return total


@_kernel
def over_groups(e, u, out):
    """out = E'u (intervals,)."""
    for k in range(len(out)):
        out[k] = 0.0
    for i in range(len(u)):
        _enter(e, i, u[i], out)
    _sum_up(e, out)
    for i in range(len(u)):
        _add_parts(e, i, u[i], out)


@_kernel
def _enter(e, i, u, out):
    """Mark where a group's run of full intervals ends, and where it begins."""
    if e.high[i] > e.low[i]:
        out[int(e.high[i]) - 1] += u
        if e.low[i] > 0.0:
            out[int(e.low[i]) - 1] -= u


@_kernel
def _sum_up(e, out):
    """From marks to sums over the groups that are at risk throughout, times the length."""
    running = 0.0
    for k in range(len(out) - 1, -1, -1):
        running += out[k]
        out[k] = running * e.length[k]


@_kernel
def _add_parts(e, i, u, out):
    if e.first_time[i] > 0.0:
        out[int(e.first[i])] += u * e.first_time[i]
    if e.last_time[i] > 0.0:
        out[int(e.last[i])] += u * e.last_time[i]


@_kernel
def _column(e, cross, j, values, f, h, out):
    """out = column j of B'M (intervals,)."""
    for k in range(len(out)):
        out[k] = 0.0
    for b in range(cross.start[j], cross.start[j + 1]):
        _enter(e, cross.row[b], f[cross.row[b]] * values[cross.at[b]], out)
    _sum_up(e, out)
    for b in range(cross.start[j], cross.start[j + 1]):
        _add_parts(e, cross.row[b], f[cross.row[b]] * values[cross.at[b]], out)
    for k in range(len(out)):
        out[k] *= h[k]


@_kernel
def add_pairs(e, cross, values, f, h, pulled, panel):
    """Add B'MC to the panels of H; `pulled` (intervals,) is work space."""
    for j in range(len(cross.column)):
        _column(e, cross, j, values, f, h, pulled)
        for k in range(len(pulled)):
            if pulled[k] == 0.0:
                continue
            for c in range(cross.own_start[k], cross.own_start[k + 1]):
                panel[cross.place[j, cross.own_local[c]]] += pulled[k] * values[cross.own_at[c]]


@_kernel
def pair_slopes(e, cross, values, f, h, inverse, pulled, reached, cumulative, slope, of_groups, of_own):
    r"""What the pairs add to derivatives of :math:`\log|H|`, with S the selected inverse of H.

    `slope` (entries of B) is filled with :math:`(M C S)` at the places of B, `of_groups` with the sums over k of
    :math:`m_{ik}\,\mathrm{cov}(g_i, a_k)`, `of_own` with those over i. `pulled`, `reached`, `cumulative` are
    work space.
    """
    of_groups[:] = 0.0
    of_own[:] = 0.0
    for j in range(len(cross.column)):
        _column(e, cross, j, values, f, h, pulled)
        cumulative[0] = 0.0
        for k in range(len(pulled)):
            reach = 0.0
            for c in range(cross.own_start[k], cross.own_start[k + 1]):
                reach += values[cross.own_at[c]] * inverse[cross.place[j, cross.own_local[c]]]
            of_own[k] += reach * pulled[k]
            reached[k] = reach * h[k]
            cumulative[k + 1] = cumulative[k] + e.length[k] * reached[k]
        for b in range(cross.start[j], cross.start[j + 1]):
            i = cross.row[b]
            slope[b] = f[i] * _along(e, i, reached, cumulative)
            of_groups[i] += values[cross.at[b]] * slope[b]


@_kernel
def own_slopes(e, cross, values, f, h, inverse, pulled, out):
    """M'BS at the places of C (c,)."""
    out[:] = 0.0
    for j in range(len(cross.column)):
        _column(e, cross, j, values, f, h, pulled)
        for k in range(len(pulled)):
            for c in range(cross.own_start[k], cross.own_start[k + 1]):
                out[c] += pulled[k] * inverse[cross.place[j, cross.own_local[c]]]


@_kernel
def covariances(cross, values, inverse, out):
    """CS at the columns of B: (columns of B, intervals)."""
    for j in range(out.shape[0]):
        for k in range(out.shape[1]):
            total = 0.0
            for c in range(cross.own_start[k], cross.own_start[k + 1]):
                total += values[cross.own_at[c]] * inverse[cross.place[j, cross.own_local[c]]]
            out[j, k] = total


@_kernel
def expected_pairs(e, row_start, columns, local, values, weight, eta, variance, across, work, out):
    r"""Minus the means of :math:`m_{ik}` where :math:`g_i + a_k` is normal, summed over k, and over i: out (rows,).

    `eta` and `variance` (rows,) are of the groups, then of the intervals; `across` as :func:`covariances` gives it,
    `local` the number of a column of A among its rows. `weight` (groups,); `work` (intervals,) is overwritten.
    """
    out[:] = 0.0
    n, count = len(weight), len(work)
    for i in range(n):
        if weight[i] == 0.0:
            continue
        begin, end = int(e.low[i]), int(e.high[i])
        if e.first_time[i] > 0.0:
            begin, end = min(begin, int(e.first[i])), max(end, int(e.first[i]) + 1)
        if e.last_time[i] > 0.0:
            begin, end = min(begin, int(e.last[i])), max(end, int(e.last[i]) + 1)
        begin, end = max(begin, 0), min(end, count)
        for k in range(begin, end):
            work[k] = eta[n + k] + 0.5 * variance[n + k]
        for a in range(row_start[i], row_start[i + 1]):
            j, value = local[columns[a]], values[a]
            for k in range(begin, end):
                work[k] += value * across[j, k]
        own = eta[i] + 0.5 * variance[i]
        for k in range(begin, end):
            time = e.length[k] if e.low[i] <= k < e.high[i] else 0.0
            if e.first_time[i] > 0.0 and k == int(e.first[i]):
                time += e.first_time[i]
            if e.last_time[i] > 0.0 and k == int(e.last[i]):
                time += e.last_time[i]
            mean = weight[i] * time * np.exp(own + work[k])
            out[i] -= mean
            out[n + k] -= mean
