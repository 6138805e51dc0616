r"""Emergent features of the members of a group: value, and derivatives in weights and shapes.

With weights that sum to one in the group and :math:`A = \sum_j w_j x_j`, :math:`d_j = x_j - A`,

- sum: :math:`\sum w x` (of any weights; the rest need a sum of one);
- moment: :math:`\sum w d^p`, p a whole number (p = 2 is the variance);
- cov: :math:`\sum w (x - A_x)(z - A_z)`;
- hhi: :math:`\sum w^2`; effn: its inverse; entropy: :math:`-\sum w \log w` with 0 log 0 = 0;
- threshold: :math:`\sum w\,\mathrm{ilogit}\{\kappa (x - c)\}`;
- smax: :math:`\log(\sum w e^{\kappa x})/\kappa`, which is the least x, A and the largest x as :math:`\kappa` goes from
  :math:`-\infty` over 0 to :math:`\infty`;
- max, min: the largest and the least x, whatever the weights;
- gmean: :math:`(\sum w x^p)^{1/p} = \exp \mathrm{smax}_p(\log x)`, the geometric mean at p = 0.

Each group's feature comes with its derivative in every weight; since the weights of a group keep their sum, a term
that is the same for all of them may be left out, and is where that saves digits. Near its limit at zero smax is

.. math:: A + \log(1 + M)/\kappa, \qquad M = \sum_j w_j (e^{\kappa d_j} - 1 - \kappa d_j) \ge 0,

a sum without cancellation; further away the largest exponent is taken out first.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .aggregation import longest_run
from .compiling import ALLOCATING, KERNEL

SUM, MOMENT, COV, HHI, EFFN, ENTROPY, THRESHOLD, SMAX, GMEAN, MAX, MIN = range(11)

_kernel = njit(**KERNEL)
_allocating = njit(**ALLOCATING)
_LEAST = 1e-300  # a weight below it counts as this where it is divided by or its logarithm taken


@_allocating
def features(kind, w, d_w, start, first, second, shape, free, value, slope):
    """Features of all groups, and their derivatives.

    Parameters
    ----------
    kind : int
    w : (m,) array
        Weights that sum to one in every group; d_w : (p, m) array of their derivatives.
    start : (groups + 1,) int array
    first, second : (k, m) arrays
        Covariates, one feature per row (logarithms for GMEAN); `second` counts for COV only.
    shape : (s,) array
        Shapes: the power of MOMENT and GMEAN, c and kappa of THRESHOLD, kappa of SMAX.
    free : (f,) int array
        Which of the shapes are estimated.
    value : (k, groups) array
        Output; zero for a group without a member.
    slope : (k, p + f, groups) array
        Output: derivatives in what `d_w` is a derivative in, then in the free shapes; with no column none are made.
    """
    each = np.empty(longest_run(start))
    in_shape = np.zeros(max(len(shape), 1))
    p = len(d_w)
    for k in range(len(first)):
        for g in range(len(start) - 1):
            lo, hi = start[g], start[g + 1]
            value[k, g] = 0.0
            slope[k, :, g] = 0.0
            if lo == hi:
                continue
            value[k, g] = _of_group(kind, w[lo:hi], first[k, lo:hi], second[k, lo:hi], shape, each, in_shape)
            if slope.shape[1] == 0:
                continue
            for q in range(p):
                total = 0.0
                for j in range(lo, hi):
                    if d_w[q, j] != 0.0:
                        total += each[j - lo] * d_w[q, j]
                slope[k, q, g] = total
            for q in range(len(free)):
                slope[k, p + q, g] = in_shape[free[q]]


@_kernel
def _of_group(kind, w, x, z, shape, each, in_shape):
    """A group's feature; `each` receives its derivatives in the weights, `in_shape` those in the shapes."""
    n = len(w)
    result = 0.0
    if kind == SUM:
        for j in range(n):
            each[j] = x[j]
            result += w[j] * x[j]
        return result
    if kind == MOMENT:
        return _moment(w, x, int(shape[0]), each)
    if kind == COV:
        a, b = _mean(w, x), _mean(w, z)
        for j in range(n):
            each[j] = (x[j] - a) * (z[j] - b)
            result += w[j] * each[j]
        return result
    if kind == THRESHOLD:
        return _threshold(w, x, shape[0], shape[1], each, in_shape)
    if kind == SMAX or kind == GMEAN:
        result, in_shape[0], _ = soft_maximum(w, x, shape[0], each)
        if kind == GMEAN:
            result = math.exp(result)
            in_shape[0] *= result
            for j in range(n):
                each[j] *= result
        return result
    if kind == MAX or kind == MIN:
        result = x[0]
        for j in range(n):
            each[j] = 0.0
            result = max(result, x[j]) if kind == MAX else min(result, x[j])
        return result
    if kind == ENTROPY:
        for j in range(n):
            each[j] = -math.log(max(w[j], _LEAST))
            result += w[j] * each[j]
        return result
    for j in range(n):
        each[j] = 2.0 * w[j]
        result += w[j] * w[j]
    if kind == HHI:
        return result
    for j in range(n):
        each[j] /= -result * result
    return 1.0 / result


@_kernel
def _mean(w, x):
    """Weighted mean, differences from the first member summed so that equal members have exactly their value."""
    total = 0.0
    for j in range(len(w)):
        total += w[j] * (x[j] - x[0])
    return x[0] + total


@_kernel
def _moment(w, x, power, each):
    """Central moment; its mean moves with the weights too."""
    a = _mean(w, x)
    result = 0.0
    below = 0.0
    for j in range(len(w)):
        d = x[j] - a
        lower = d ** (power - 1)
        each[j] = lower * d
        below += w[j] * lower
        result += w[j] * each[j]
    for j in range(len(w)):
        each[j] -= power * below * (x[j] - a)
    return result


@_kernel
def _threshold(w, x, c, kappa, each, in_shape):
    """Share of weight above c, softly."""
    result = 0.0
    in_shape[0] = 0.0
    in_shape[1] = 0.0
    for j in range(len(w)):
        t = kappa * (x[j] - c)
        e = math.exp(-abs(t))
        each[j] = 1.0 / (1.0 + e) if t >= 0 else e / (1.0 + e)
        dense = e / ((1.0 + e) * (1.0 + e))
        result += w[j] * each[j]
        in_shape[0] -= w[j] * kappa * dense
        in_shape[1] += w[j] * (x[j] - c) * dense
    return result


@_kernel
def _beyond(z):
    """exp(z) - 1 - z with all its digits."""
    if abs(z) > 0.5:
        return math.expm1(z) - z
    term = 0.5 * z * z
    total = term
    for k in range(3, 16):
        term *= z / k
        total += term
    return total


@_kernel
def soft_maximum(w, x, kappa, each):
    """The soft maximum f, its derivative in kappa, and a number b; `each` receives the derivatives in the weights.

    These are so that ``kappa * each[j] + b`` is exp(kappa (x[j] - f)).
    """
    n = len(w)
    a = _mean(w, x)
    reach = 0.0
    for j in range(n):
        reach = max(reach, abs(kappa * (x[j] - a)))
    if reach > 1.0:
        top = 0
        height = -np.inf
        for j in range(n):  # whose term is the largest: a weight may be so small that the largest exponent is not it
            if w[j] > _LEAST and kappa * x[j] > height:  # or else it is not with its weight, which is at most one
                own = kappa * x[j] + math.log(w[j])
                if own > height:
                    top, height = j, own
        total = 0.0
        moved = 0.0
        for j in range(n):
            d = x[j] - x[top]
            far = kappa * d
            if far > 0.0:
                far = min(far, math.log(w[top] / max(w[j], _LEAST)))
            each[j] = math.exp(far)
            total += w[j] * each[j]
            moved += w[j] * each[j] * d
        for j in range(n):
            each[j] /= total * kappa
        over = math.log(total) / kappa
        return x[top] + over, (moved / total - over) / kappa, 0.0
    if reach < 1e-8:  # two terms of the series hold all digits
        second = 0.0
        third = 0.0
        for j in range(n):
            d = x[j] - a
            second += w[j] * d * d
            third += w[j] * d * d * d
            each[j] = d * (1.0 + 0.5 * kappa * d)
        over = kappa * (0.5 * second + kappa * third / 6.0)
        return a + over, 0.5 * second + kappa * third / 3.0, 1.0 - kappa * over
    beyond = 0.0
    moved = 0.0
    for j in range(n):
        z = kappa * (x[j] - a)
        each[j] = math.expm1(z)
        beyond += w[j] * _beyond(z)
        moved += w[j] * z * each[j]
    for j in range(n):
        each[j] /= (1.0 + beyond) * kappa
    over = math.log1p(beyond)
    return a + over / kappa, (moved / (1.0 + beyond) - over) / (kappa * kappa), 1.0 / (1.0 + beyond)
