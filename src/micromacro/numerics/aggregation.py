r"""Kernels of a member block: raw weights to weights, weights to entries of A, and back.

With raw weights :math:`v_{ij}` (or their logarithms l) the three normalisations are, over the block's memberships,

- total: :math:`w = N_b\, v / \sum v`, with :math:`N_b` the number of groups that have a member;
- group: :math:`w = v / \sum_{j \in z(i)} v_{ij}`;
- none: :math:`w = v`.

Sums run within the group, in order, so that a small group keeps all its digits. Given logarithms, the largest is
taken out first. Raw weights may come as numbers :math:`a` with :math:`v = 1/(1 + e^a)` too, which spares the
logarithm; where all of them vanish, their logarithms are :math:`-a` to the last digit.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .compiling import INLINED, KERNEL

_kernel = njit(**KERNEL)
_inlined = njit(**INLINED)

TOTAL, GROUP, NONE = 0, 1, 2
ROUNDING = 1e-12  # raw weights that are negative by less, relative to the largest, count as zero
PLAIN, LOGARITHM, ODDS = 0, 1, 2  # what is given of a raw weight v: v, log v, log((1 - v) / v)


@_kernel
def longest_run(start):
    """Most members of a group, at least one; group g has the members ``start[g] .. start[g + 1]``."""
    longest = 1
    for g in range(len(start) - 1):
        longest = max(longest, start[g + 1] - start[g])
    return longest


def normalise(
    raw: np.ndarray, d_raw: np.ndarray, given: int, rule: int, start: np.ndarray, filled: int, fixed_scale: float,
    w: np.ndarray, d_w: np.ndarray, scale: np.ndarray,
) -> bool:  # fmt: skip
    """Weights and their derivatives from raw weights, their logarithms or (without derivatives) their log odds.

    Parameters
    ----------
    raw : (m,) array; d_raw : (p, m) array
    given : PLAIN, LOGARITHM or ODDS
        What `raw` holds; with ODDS p must be 0.
    rule : TOTAL, GROUP or NONE
    start : (groups + 1,) int array
    filled : number of groups with a member
    fixed_scale : float
        With TOTAL: the constant to use instead of the one of these memberships (prediction), or nan.
    w, d_w, scale : outputs; scale[0] is the constant of TOTAL.

    Returns
    -------
    bool : whether all weights are finite.
    """
    scale[0] = 1.0
    whole = rule == TOTAL and math.isnan(fixed_scale)
    if rule == GROUP or whole:
        runs, size = (np.array([0, len(raw)]), float(filled)) if whole else (start, 1.0)
        if given == ODDS:
            good, factor = _normalise_odds(raw, runs, size, w)
        else:
            good, factor = _normalise_runs(raw, d_raw, given == LOGARITHM, runs, size, w, d_w)
        if whole:
            scale[0] = factor
        return good
    scale[0] = fixed_scale if rule == TOTAL else 1.0
    return _multiply(raw, d_raw, given, scale[0], w, d_w)


@_inlined
def _finite(w):
    """Whether all weights are finite."""
    for j in range(len(w)):
        if not math.isfinite(w[j]):
            return False
    return True


@_kernel
def _normalise_runs(raw, d_raw, logarithm, start, size, w, d_w):
    """Weights that sum to `size` in each run of memberships.

    Returns whether all are finite, and the constant of the last run, `size` over the sum of its raw weights.
    """
    factor = 1.0
    for g in range(len(start) - 1):
        lo, hi = start[g], start[g + 1]
        if lo == hi:
            continue
        top = 0.0
        if logarithm:
            top = -np.inf
            for j in range(lo, hi):
                if raw[j] > top:
                    top = raw[j]
            if not math.isfinite(top):
                top = 0.0
        total = 0.0
        for j in range(lo, hi):
            w[j] = math.exp(raw[j] - top) if logarithm else raw[j]
            total += w[j]
        factor = size / total
        for p in range(len(d_raw)):
            moved = 0.0
            for j in range(lo, hi):
                f = w[j] if logarithm else 1.0
                d = f * d_raw[p, j] if f != 0.0 else 0.0
                d_w[p, j] = d
                moved += d
            for j in range(lo, hi):
                d_w[p, j] = factor * (d_w[p, j] - w[j] * moved / total)
        for j in range(lo, hi):
            w[j] *= factor
        if logarithm:
            factor *= math.exp(-top)
    return _finite(w), factor


@_kernel
def _normalise_odds(raw, start, size, w):
    """The same, given log odds against each weight."""
    factor = 1.0
    for g in range(len(start) - 1):
        lo, hi = start[g], start[g + 1]
        if lo == hi:
            continue
        total = 0.0
        for j in range(lo, hi):
            w[j] = 1.0 / (1.0 + math.exp(raw[j]))
            total += w[j]
        least = 0.0
        if total < 1e-200:
            least = np.inf
            for j in range(lo, hi):
                least = min(least, raw[j])
            if not math.isfinite(least):
                least = 0.0
            total = 0.0
            for j in range(lo, hi):
                w[j] = math.exp(least - raw[j])
                total += w[j]
        factor = size / total
        for j in range(lo, hi):
            w[j] *= factor
        factor *= math.exp(least)
    return _finite(w), factor


@_kernel
def _multiply(raw, d_raw, given, factor, w, d_w):
    """Weights that are `factor` times raw weights. Returns whether all are finite."""
    for j in range(len(raw)):
        if given == ODDS:
            w[j] = factor / (1.0 + math.exp(raw[j]))
        else:
            w[j] = factor * (math.exp(raw[j]) if given == LOGARITHM else raw[j])
        for p in range(len(d_raw)):
            if given == LOGARITHM:
                d_w[p, j] = w[j] * d_raw[p, j] if w[j] != 0.0 else 0.0
            else:
                d_w[p, j] = factor * d_raw[p, j]
    return _finite(w)


@_kernel
def beyond_edge(raw, start, by_group):
    """Whether a raw weight is negative; those that are so by rounding become zero.

    raw : (m,) array, in which negative numbers of the size of ROUNDING times the largest of the group (of all, unless
    `by_group`) are set to zero.
    """
    top = 0.0
    if not by_group:
        for j in range(len(raw)):
            top = max(top, abs(raw[j]))
    out = False
    for g in range(len(start) - 1):
        if by_group:
            top = 0.0
            for j in range(start[g], start[g + 1]):
                top = max(top, abs(raw[j]))
        for j in range(start[g], start[g + 1]):
            if raw[j] < 0.0:
                if raw[j] >= -ROUNDING * top:
                    raw[j] = 0.0
                else:
                    out = True
    return out


@_kernel
def fill_features(w, start, x, center, feature_slot, values):
    """Write a block's features sum_j w_ij x_ij - center to their entries of A.

    x : (k, m) covariates; feature_slot : (k, groups) places among the values of A.
    """
    for k in range(len(x)):
        for g in range(len(start) - 1):
            total = -center[k]
            for j in range(start[g], start[g + 1]):
                total += w[j] * x[k, j]
            values[feature_slot[k, g]] = total


def aggregate(w: np.ndarray, group: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """out_i = sum_j w_ij x_ij; ``group[j]`` is the group of membership j."""
    out[:] = np.bincount(group, w * x, len(out))


@_kernel
def pull_features(d_w, start, x, feature_slot, slope, known, d_offset, reach, out):
    """Chain derivatives in the features, in the offset and in the weights themselves back to the weight parameters.

    known : (m,) what a unit of weight adds to the offset (covariates with a known coefficient).
    reach : (m,) derivatives in the weights, through the effects.
    out : (p,) derivatives in the weight parameters.
    """
    for p in range(len(out)):
        out[p] = 0.0
    for g in range(len(start) - 1):
        for j in range(start[g], start[g + 1]):
            d = reach[j] + known[j] * d_offset[g]
            for k in range(len(x)):
                d += x[k, j] * slope[feature_slot[k, g]]
            for p in range(len(d_w)):
                out[p] += d * d_w[p, j]
