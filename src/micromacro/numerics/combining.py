r"""How members' whole effects meet in a group: value, shares and derivatives of a soft maximum, a mean of powers.

With weights that sum to one in the group and members' effects :math:`\zeta_j` on the scale of the linear predictor,

- smax: :math:`f = \log(\sum_j w_j e^{\kappa\zeta_j})/\kappa`, the weighted mean at :math:`\kappa = 0`;
- ces: :math:`e^f`, which is :math:`(\sum_j w_j Q_j^p)^{1/p}` of the positive :math:`Q_j = e^{\zeta_j}`, with
  :math:`p = \kappa`;
- max, min: the largest and the least :math:`\zeta` of the members with a positive weight.

A member's *share* :math:`p_j = \partial f/\partial\zeta_j = w_j e^{\kappa(\zeta_j - f)}` says how much of a change of
its effect reaches the group; shares sum to one. Everything else follows from them:

.. math::

   \frac{\partial p_j}{\partial\zeta_k} = \kappa p_j(\delta_{jk} - p_k), \quad
   \frac{\partial p_j}{\partial\kappa} = p_j\Big(\zeta_j - \sum_k p_k\zeta_k\Big), \quad
   \frac{\partial p_j}{\partial w_k} = r_k(\delta_{jk} - p_j), \quad r_k = e^{\kappa(\zeta_k - f)}.

Weights of a group keep their sum, so a term of a derivative in them that is the same for all members may be left out.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .aggregation import longest_run
from .compiling import ALLOCATING, KERNEL
from .features import soft_maximum

SMAX, CES, MAX, MIN = range(4)

_kernel = njit(**KERNEL)
_allocating = njit(**ALLOCATING)


@_allocating
def combine(kind, w, start, zeta, kappa, value, share, ratio):
    """What the members of each group make together, and what a change of each would make of it.

    Parameters
    ----------
    kind : int
        One of the numbers above.
    w : (m,) array
        Weights that sum to one in every group.
    start : (groups + 1,) int array
    zeta : (m,) array
        Effects of the members.
    kappa : (m,) array
        The shape of SMAX and CES, the same for all members of a group.
    value : (groups,) array
        Output; zero for a group without a member.
    share, ratio : (m,) arrays
        Output: p and r; of MAX and MIN the shares are those of the members that are it, and ratios are zero.
    """
    each = np.empty(longest_run(start))
    for g in range(len(start) - 1):
        lo, hi = start[g], start[g + 1]
        value[g] = 0.0
        if lo == hi:
            continue
        if kind == MAX or kind == MIN:
            value[g] = _extreme(1.0 if kind == MAX else -1.0, w[lo:hi], zeta[lo:hi], share[lo:hi])
            ratio[lo:hi] = 0.0
            continue
        f, _, base = soft_maximum(w[lo:hi], zeta[lo:hi], kappa[lo], each)
        total = 0.0
        for j in range(lo, hi):
            ratio[j] = kappa[lo] * each[j - lo] + base
            share[j] = w[j] * ratio[j]
            total += share[j]
        for j in range(lo, hi):
            share[j] /= total
        value[g] = math.exp(f) if kind == CES else f


@_kernel
def _extreme(sign, w, zeta, share):
    """The largest (sign 1) or least (-1) effect; members that tie for it share it equally."""
    top = -np.inf
    for j in range(len(w)):
        if w[j] > 0.0:
            top = max(top, sign * zeta[j])
    ties = 0.0
    for j in range(len(w)):
        share[j] = 1.0 if w[j] > 0.0 and sign * zeta[j] == top else 0.0
        ties += share[j]
    for j in range(len(w)):
        share[j] /= ties
    return sign * top


@_allocating
def pull_combine(kind, w, start, zeta, kappa, value, share, ratio, d_value, d_share, d_kappa, d_w):
    """Derivatives in the shape and in the weights, from those in the values and in the shares (after `combine`).

    Parameters
    ----------
    d_value : (groups,) array
    d_share : (m,) array
    d_kappa : (groups,) array
        Output: what each group brings to the derivative in the shape; zero for MAX and MIN.
    d_w : (m,) array
        Output: derivative in each weight, up to a constant in the group.
    """
    each = np.empty(longest_run(start))
    for g in range(len(start) - 1):
        lo, hi = start[g], start[g + 1]
        d_kappa[g] = 0.0
        if lo == hi:
            continue
        if kind == MAX or kind == MIN:
            d_w[lo:hi] = 0.0
            continue
        _, in_kappa, _ = soft_maximum(w[lo:hi], zeta[lo:hi], kappa[lo], each)
        outer = d_value[g] * (value[g] if kind == CES else 1.0)
        first = zeta[lo]  # taken out: equal members have exactly their value as mean
        middle = 0.0
        pulled = 0.0
        for j in range(lo, hi):
            middle += share[j] * (zeta[j] - first)
            pulled += share[j] * d_share[j]
        total = outer * in_kappa
        for j in range(lo, hi):
            total += d_share[j] * share[j] * (zeta[j] - first - middle)
            d_w[j] = outer * each[j - lo] + ratio[j] * (d_share[j] - pulled)
        d_kappa[g] = total
