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

from .compiling import ALLOCATING, KERNEL

_kernel = njit(**KERNEL)
_allocating = njit(**ALLOCATING)


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
    low, high, first, first_time, last, last_time, length = e
    cumulative[0] = 0.0
    for k in range(len(v)):
        cumulative[k + 1] = cumulative[k] + length[k] * v[k]
    for i in range(len(out)):
        total = 0.0
        if high[i] > low[i]:
            total = cumulative[int(high[i])] - cumulative[int(low[i])]
        if first_time[i] > 0.0:
            total += first_time[i] * v[int(first[i])]
        if last_time[i] > 0.0:
            total += last_time[i] * v[int(last[i])]
        out[i] = total


@_allocating
def over_groups(e, u, out):
    """out = E'u (intervals,)."""
    low, high, first, first_time, last, last_time, length = e
    marks = np.zeros(len(out))  # where runs of full intervals end and begin
    out[:] = 0.0
    for i in range(len(u)):
        if high[i] > low[i]:
            marks[int(high[i]) - 1] += u[i]
            if low[i] > 0.0:
                marks[int(low[i]) - 1] -= u[i]
        if first_time[i] > 0.0:
            out[int(first[i])] += u[i] * first_time[i]
        if last_time[i] > 0.0:
            out[int(last[i])] += u[i] * last_time[i]
    running = 0.0
    for k in range(len(out) - 1, -1, -1):
        running += marks[k]
        out[k] += running * length[k]


@_allocating
def pull_columns(e, cross, values, f, h, begin, pulled):
    """Some columns of B'M, from number `begin` on: (columns, intervals)."""
    low, high, first, first_time, last, last_time, length = e
    start, row, at = cross[1], cross[2], cross[3]
    count = len(h)
    marks = np.empty(count)
    for c in range(pulled.shape[0]):
        out = pulled[c]
        out[:] = 0.0
        marks[:] = 0.0
        for b in range(start[begin + c], start[begin + c + 1]):
            i = row[b]
            u = f[i] * values[at[b]]
            if high[i] > low[i]:
                marks[int(high[i]) - 1] += u
                if low[i] > 0.0:
                    marks[int(low[i]) - 1] -= u
            if first_time[i] > 0.0:
                out[int(first[i])] += u * first_time[i]
            if last_time[i] > 0.0:
                out[int(last[i])] += u * last_time[i]
        running = 0.0
        for k in range(count - 1, -1, -1):
            running += marks[k]
            out[k] = (out[k] + running * length[k]) * h[k]


@_allocating
def add_pairs(e, cross, values, f, h, pulled, panel):
    """Add B'MC to the panels of H; `pulled` (some columns, intervals) is work space."""
    own_start, own_at, own_local, place = cross[4], cross[5], cross[6], cross[7]
    columns, some = place.shape[0], pulled.shape[0]
    for begin in range(0, columns, some):
        n = min(some, columns - begin)
        pull_columns(e, cross, values, f, h, begin, pulled[:n])
        for j in range(n):
            for k in range(len(h)):
                p = pulled[j, k]
                if p != 0.0:
                    for c in range(own_start[k], own_start[k + 1]):
                        panel[place[begin + j, own_local[c]]] += p * values[own_at[c]]


@_allocating
def pair_slopes(e, cross, values, f, h, inverse, pulled, slope, of_groups, of_own, own_slope):
    r"""What the pairs add to derivatives of :math:`\log|H|`, with S the selected inverse of H.

    `slope` (entries of B) is filled with :math:`(M C S)` at the places of B, `own_slope` (entries of C, or none) with
    :math:`(M'BS)` at those of C, `of_groups` with the sums over k of :math:`m_{ik}\,\mathrm{cov}(g_i, a_k)`, `of_own`
    with those over i. `pulled` (some columns, intervals) is work space.
    """
    low, high, first, first_time, last, last_time, length = e
    _, start, row, at, own_start, own_at, own_local, place = cross
    columns, some, count = place.shape[0], pulled.shape[0], len(h)
    reached, cumulative = np.empty(count), np.zeros(count + 1)
    of_groups[:] = 0.0
    of_own[:] = 0.0
    own_slope[:] = 0.0
    for begin in range(0, columns, some):
        n = min(some, columns - begin)
        pull_columns(e, cross, values, f, h, begin, pulled[:n])
        for j in range(begin, begin + n):
            for k in range(count):
                reach, p = 0.0, pulled[j - begin, k]
                for c in range(own_start[k], own_start[k + 1]):
                    inner = inverse[place[j, own_local[c]]]
                    reach += values[own_at[c]] * inner
                    if len(own_slope):
                        own_slope[c] += p * inner
                of_own[k] += reach * p
                reached[k] = reach * h[k]
                cumulative[k + 1] = cumulative[k] + length[k] * reached[k]
            for b in range(start[j], start[j + 1]):
                i = row[b]
                total = 0.0
                if high[i] > low[i]:
                    total = cumulative[int(high[i])] - cumulative[int(low[i])]
                if first_time[i] > 0.0:
                    total += first_time[i] * reached[int(first[i])]
                if last_time[i] > 0.0:
                    total += last_time[i] * reached[int(last[i])]
                slope[b] = f[i] * total
                of_groups[i] += values[at[b]] * slope[b]


@_kernel
def covariances(cross, values, inverse, out):
    """CS at the columns of B: (columns of B, intervals)."""
    own_start, own_at, own_local, place = cross[4], cross[5], cross[6], cross[7]
    for j in range(out.shape[0]):
        for k in range(out.shape[1]):
            total = 0.0
            for c in range(own_start[k], own_start[k + 1]):
                total += values[own_at[c]] * inverse[place[j, own_local[c]]]
            out[j, k] = total


@_kernel
def expected_pairs(e, row_start, columns, local, values, weight, eta, variance, across, work, out):
    r"""Minus the means of :math:`m_{ik}` where :math:`g_i + a_k` is normal, summed over k, and over i: out (rows,).

    `eta` and `variance` (rows,) are of the groups, then of the intervals; `across` as :func:`covariances` gives it,
    `local` the number of a column of A among its rows. `weight` (groups,); `work` (intervals,) is overwritten.
    """
    low, high, first, first_time, last, last_time, length = e
    out[:] = 0.0
    n, count = len(weight), len(work)
    for i in range(n):
        if weight[i] == 0.0:
            continue
        begin, end = int(low[i]), int(high[i])
        if first_time[i] > 0.0:
            begin, end = min(begin, int(first[i])), max(end, int(first[i]) + 1)
        if last_time[i] > 0.0:
            begin, end = min(begin, int(last[i])), max(end, int(last[i]) + 1)
        begin, end = max(begin, 0), min(end, count)
        for k in range(begin, end):
            work[k] = eta[n + k] + 0.5 * variance[n + k]
        for a in range(row_start[i], row_start[i + 1]):
            j, value = local[columns[a]], values[a]
            for k in range(begin, end):
                work[k] += value * across[j, k]
        own = eta[i] + 0.5 * variance[i]
        for k in range(begin, end):
            time = length[k] if low[i] <= k < high[i] else 0.0
            if first_time[i] > 0.0 and k == int(first[i]):
                time += first_time[i]
            if last_time[i] > 0.0 and k == int(last[i]):
                time += last_time[i]
            mean = weight[i] * time * np.exp(own + work[k])
            out[i] -= mean
            out[n + k] -= mean
