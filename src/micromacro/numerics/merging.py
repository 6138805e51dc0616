r"""Kernels of a square root of about :math:`H^{-1}` in which intervals stand for one another.

With B the rows of groups, whose effects and coefficients are g, and with a log hazard a_k of its own for each interval,

.. math:: H = \begin{pmatrix} G & B'M \\ M'B & \Delta \end{pmatrix}, \quad \Delta \text{ diagonal},
   \qquad F = B'M\Delta^{-1/2} .

Neighbouring columns of F are almost proportional to each other: few groups leave between two events. So F becomes
:math:`FEE'`, E having a unit vector for each run of intervals (its entries in proportion to the sizes of the columns).
That takes away from the coupling only, hence leaves the matrix positive definite, and there

.. math:: R = \begin{pmatrix} G & FE \\ E'F' & I \end{pmatrix} = LL', \qquad
   T = \begin{pmatrix} I & \\ & \Delta^{-1/2} \end{pmatrix} \left\{ \begin{pmatrix} I & \\ & E \end{pmatrix} L^{-T}
   \begin{pmatrix} I & \\ & E' \end{pmatrix} + \begin{pmatrix} 0 & \\ & I - EE' \end{pmatrix} \right\}

has :math:`TT'` for the inverse of the whole: a factor of the size of a model with as many intervals as there are runs.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numba import njit

from .cholesky import log_determinant, solve_lower, solve_upper, times_upper
from .compiling import KERNEL
from .exposure import Exposure
from .rows import assemble

_kernel = njit(**KERNEL)


class Merging(NamedTuple):
    """Where everything is: `r` entries of x that are not log hazards, `k` intervals in `m` runs."""

    rest: np.ndarray  #: (r,) place in x (elimination order) of each entry that is not a log hazard
    rest_place: np.ndarray  #: (r,) its place in R
    own: np.ndarray  #: (k,) place in x of the log hazard of each interval
    begin: np.ndarray  #: (m + 1,) where each run of intervals begins
    run_place: np.ndarray  #: (m,) place of each run in R


def run_begins(e: Exposure, runs: int) -> np.ndarray:
    """Where about so many runs of intervals begin, and the end: (runs + 1,).

    They are of nearly equal length, and none goes on where nobody does (from one stratum to the next).
    """
    count = len(e.length)
    full, early, late = e.high > e.low, e.first_time > 0.0, e.last_time > 0.0
    first = np.minimum.reduce(
        [np.where(full, e.low, count), np.where(early, e.first, count), np.where(late, e.last, count)]
    )
    last = np.maximum.reduce(
        [np.where(full, e.high - 1.0, -1), np.where(early, e.first, -1), np.where(late, e.last, -1)]
    )
    at_all = last >= first
    ahead, after = (np.bincount(at[at_all].astype(np.int64) + 1, minlength=count + 1) for at in (first, last))
    goes_on = np.cumsum(ahead - after)[1:count]  # who is at risk before and after the end of each interval
    edges = np.concatenate([[0], 1 + np.flatnonzero(goes_on == 0), [count]])
    begins = [
        a + (np.arange(many) * (b - a)) // many
        for a, b in pairwise(edges.tolist())
        for many in [min(b - a, max(1, round(runs * (b - a) / count)))]
    ]
    return np.append(np.concatenate(begins), count)


@_kernel
def directions(at_risk, h, begin, root, unit):
    """E in `unit` (intervals,), from E'f (``at_risk``), the hazards and the square roots of Delta."""
    for m in range(len(begin) - 1):
        total = 0.0
        for k in range(begin[m], begin[m + 1]):
            unit[k] = h[k] * at_risk[k] / root[k]
            total += unit[k] * unit[k]
        scale = 1.0 / np.sqrt(total) if total > 0.0 else 0.0
        for k in range(begin[m], begin[m + 1]):
            unit[k] *= scale


@_kernel
def pull_runs(e, row_start, local, values, f, share, begin, run, cumulative, of_run, out):
    """out = FE (columns of B, runs), from ``share`` = h E / sqrt(Delta) (intervals,).

    `local` has the number of the column of each entry of B, `run` (intervals,) the run of each; `cumulative`
    (intervals + 1,) and `of_run` (runs,) are work space.
    """
    low, high, first, first_time, last, last_time, length = e
    count = len(begin) - 1
    cumulative[0] = 0.0
    for k in range(len(share)):
        cumulative[k + 1] = cumulative[k] + length[k] * share[k]
    out[:] = 0.0
    for i in range(len(f)):
        of_run[:] = 0.0
        at, stop = int(low[i]), int(high[i])
        while at < stop:
            m = run[at]
            end = min(stop, begin[m + 1])
            of_run[m] = f[i] * (cumulative[end] - cumulative[at])
            at = end
        if first_time[i] > 0.0:
            of_run[run[int(first[i])]] += f[i] * first_time[i] * share[int(first[i])]
        if last_time[i] > 0.0:
            of_run[run[int(last[i])]] += f[i] * last_time[i] * share[int(last[i])]
        for a in range(row_start[i], row_start[i + 1]):
            j, value = local[a], values[a]
            for m in range(count):
                out[j, m] += value * of_run[m]


@_kernel
def lower_columns(layout, panel, columns):
    """Each of some vectors (count, size) becomes L^-1 times itself."""
    for k in range(columns.shape[0]):
        solve_lower(layout, panel, columns[k])


@_kernel
def assemble_runs(row_start, pair, values, weight, d_place, d_value, pulled, place, panel):
    """Panels of R."""
    assemble(row_start, pair, values, weight, d_place, d_value, panel)
    for j in range(place.shape[0]):
        for m in range(place.shape[1]):
            panel[place[j, m]] += pulled[j, m]


@_kernel
def log_size(layout, panel, root):
    """Minus log|T|."""
    total = 0.5 * log_determinant(layout, panel, len(layout[12]))
    for k in range(len(root)):
        total += np.log(root[k])
    return total


@_kernel
def spread_runs(layout, panel, runs, unit, root, v, work):
    """v becomes T v; `work` has the size of R."""
    _gather(runs, unit, v, work)
    solve_upper(layout, panel, work)
    _scatter(runs, unit, work, v)
    own = runs[2]
    for k in range(len(own)):
        v[own[k]] /= root[k]


@_kernel
def pull_back_runs(layout, panel, runs, unit, root, v, work):
    """v becomes T'v."""
    own = runs[2]
    for k in range(len(own)):
        v[own[k]] /= root[k]
    _gather(runs, unit, v, work)
    solve_lower(layout, panel, work)
    _scatter(runs, unit, work, v)


@_kernel
def whiten_runs(layout, panel, runs, unit, root, v, work):
    """v becomes T^-1 v."""
    own = runs[2]
    for k in range(len(own)):
        v[own[k]] *= root[k]
    _gather(runs, unit, v, work)
    times_upper(layout, panel, work)
    _scatter(runs, unit, work, v)


@_kernel
def _gather(runs, unit, v, work):
    """`work` becomes diag(I, E')v, what R is of; v keeps what is across the unit vectors."""
    rest, rest_place, own, begin, run_place = runs
    for r in range(len(rest)):
        work[rest_place[r]] = v[rest[r]]
    for m in range(len(run_place)):
        total = 0.0
        for k in range(begin[m], begin[m + 1]):
            total += unit[k] * v[own[k]]
        work[run_place[m]] = total
        for k in range(begin[m], begin[m + 1]):
            v[own[k]] -= unit[k] * total


@_kernel
def _scatter(runs, unit, work, v):
    """Put back what :func:`_gather` took."""
    rest, rest_place, own, begin, run_place = runs
    for r in range(len(rest)):
        v[rest[r]] = work[rest_place[r]]
    for m in range(len(run_place)):
        for k in range(begin[m], begin[m + 1]):
            v[own[k]] += unit[k] * work[run_place[m]]
