r"""Weights whose coefficients differ between groups: the weighted sum as a function of these and of members' effects.

In a group with members' effects :math:`\zeta_j` and coefficients :math:`\beta`,

.. math:: F(\zeta, \beta) = \sum_j w_j(\beta)\,\zeta_j, \qquad w = v \;\text{or}\; w = v / \textstyle\sum_j v_j,

with raw weights v that come with their derivatives in :math:`\beta` up to the third (*jets*). The derivatives of a
quotient :math:`w = v / S` follow from those of :math:`S w = v`, order by order:

.. math:: S w_k = v_k - w S_k, \qquad S w_{kl} = v_{kl} - w_k S_l - w_l S_k - w S_{kl}, \; \dots

F is linear in :math:`\zeta`: its second derivatives are :math:`w_k` (an effect and a coefficient) and
:math:`\sum_j w_{kl,j}\zeta_j`, its third :math:`w_{kl}` and :math:`\sum_j w_{klm,j}\zeta_j`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .compiling import ALLOCATING, KERNEL

_kernel = njit(**KERNEL)
_allocating = njit(**ALLOCATING)


def places(k: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the second (k, k) and third (k, k, k) derivatives among those of jets: 1 + k + pairs + triples."""
    pair, triple = np.zeros((k, k), dtype=np.int64), np.zeros((k, k, k), dtype=np.int64)
    at = 1 + k
    for a in range(k):
        for b in range(a, k):
            pair[a, b] = pair[b, a] = at
            at += 1
    for a in range(k):
        for b in range(a, k):
            for c in range(b, k):
                for x, y, z in ((a, b, c), (a, c, b), (b, a, c), (b, c, a), (c, a, b), (c, b, a)):
                    triple[x, y, z] = at
                at += 1
    return pair, triple


@_allocating
def weight_jets(raw, logarithm, normalised, start, pair, triple, order, w):
    """Weights and their derivatives from raw weights (or their logarithms) and theirs.

    Parameters
    ----------
    raw, w : (1 + k + ..., m) arrays
        Value, first derivatives, second ones, third ones, as far as `order` goes; `w` is the output.
    logarithm, normalised : bool
        What `raw` holds; whether weights are to sum to one in the group.
    pair, triple : int arrays
        See :func:`places`.
    """
    k = len(pair)
    total = np.empty(len(w))
    for g in range(len(start) - 1):
        lo, hi = start[g], start[g + 1]
        if lo == hi:
            continue
        top = 0.0
        if logarithm and normalised:
            top = -np.inf
            for j in range(lo, hi):
                top = max(top, raw[0, j])
            if not np.isfinite(top):
                top = 0.0
        for j in range(lo, hi):
            _raw_jet(raw, logarithm, top, j, k, pair, triple, order, w)
        if not normalised:
            continue
        for r in range(len(w)):
            total[r] = 0.0
            for j in range(lo, hi):
                total[r] += w[r, j]
        size = total[0]
        for r in range(len(w)):
            total[r] /= size
            for j in range(lo, hi):
                w[r, j] /= size
        for j in range(lo, hi):
            _quotient(w, total, j, k, pair, triple, order)


@_kernel
def _raw_jet(raw, logarithm, top, j, k, pair, triple, order, w):
    """The jet of exp(raw - top) at one membership, or that of raw itself."""
    if not logarithm:
        for r in range(len(w)):
            w[r, j] = raw[r, j]
        return
    v = np.exp(raw[0, j] - top)
    w[0, j] = v
    if v == 0.0:
        for r in range(1, len(w)):
            w[r, j] = 0.0
        return
    if order >= 1:
        for a in range(k):
            w[1 + a, j] = v * raw[1 + a, j]
    if order >= 2:
        for a in range(k):
            for b in range(a, k):
                r = pair[a, b]
                w[r, j] = v * (raw[r, j] + raw[1 + a, j] * raw[1 + b, j])
    if order >= 3:
        for a in range(k):
            for b in range(a, k):
                for c in range(b, k):
                    r = triple[a, b, c]
                    x, y, z = raw[1 + a, j], raw[1 + b, j], raw[1 + c, j]
                    w[r, j] = v * (
                        raw[r, j] + raw[pair[a, b], j] * z + raw[pair[a, c], j] * y + raw[pair[b, c], j] * x + x * y * z
                    )


@_kernel
def _quotient(w, s, j, k, pair, triple, order):
    """In place, the jet of w / S at one membership, where S is one and its derivatives are `s`."""
    if order >= 1:
        for a in range(k):
            w[1 + a, j] -= w[0, j] * s[1 + a]
    if order >= 2:
        for a in range(k):
            for b in range(a, k):
                r = pair[a, b]
                w[r, j] -= w[1 + a, j] * s[1 + b] + w[1 + b, j] * s[1 + a] + w[0, j] * s[r]
    if order >= 3:
        for a in range(k):
            for b in range(a, k):
                for c in range(b, k):
                    ab, ac, bc, r = pair[a, b], pair[a, c], pair[b, c], triple[a, b, c]
                    w[r, j] -= (
                        w[ab, j] * s[1 + c] + w[ac, j] * s[1 + b] + w[bc, j] * s[1 + a]
                        + w[1 + a, j] * s[bc] + w[1 + b, j] * s[ac] + w[1 + c, j] * s[ab] + w[0, j] * s[r]
                    )  # fmt: skip


@_kernel
def varied_sum(start, filled, k, w, zeta, value, share, slope):
    """F of each group, and its derivatives in the effects (share, m) and in the coefficients (slope, filled * k)."""
    for g in range(len(value)):
        value[g] = 0.0
    for f in range(len(filled)):
        g = filled[f]
        for a in range(k):
            slope[f * k + a] = 0.0
        for j in range(start[g], start[g + 1]):
            value[g] += w[0, j] * zeta[j]
            share[j] = w[0, j]
            for a in range(k):
                slope[f * k + a] += w[1 + a, j] * zeta[j]


@_kernel
def varied_bend(start, filled, position, pair_start, rows, first, k, pair, w, zeta, bend):
    """Second derivatives of F among the rows and pairs of rows of each unit.

    Parameters
    ----------
    filled : (f,) int array
        Groups with a member; they are units of the same number.
    position : (f,) int array
        Where the first member stands among the rows of the unit; the coefficients follow the members.
    first : int
        The row of the first coefficient of the first of these groups.
    bend : (rows + pairs,) array
        Output, on the rows of the block and their pairs.
    """
    for f in range(len(filled)):
        g = filled[f]
        lo, n = start[g], start[g + 1] - start[g]
        base = rows + pair_start[g]
        for a in range(k):
            high = position[f] + n + a
            at = base + high * (high - 1) // 2
            for i in range(n):
                bend[at + position[f] + i] = w[1 + a, lo + i]
            for b in range(a + 1):
                total = 0.0
                for i in range(n):
                    total += w[pair[a, b], lo + i] * zeta[lo + i]
                if b == a:
                    bend[first + f * k + a] = total
                else:
                    bend[at + position[f] + n + b] = total


@_kernel
def varied_chain(
    start, filled, position, pair_start, rows, first, k, pair, triple, w, zeta, leverage, outer, of_value, of_share,
    share, bend, member, out,
):  # fmt: skip
    r"""Derivatives in the rows of the block of what depends on F, its first and its second derivatives.

    That is :math:`q_F F_c + \sum_a q_a F_{ac} + \tfrac12 l' \sum_{ab} C_{ab} F_{abc}` for each row c.

    Parameters
    ----------
    leverage : (rows + pairs,) array
        C: its diagonal, and twice what stands beside it.
    outer : (groups,) array
        :math:`l'`.
    of_value, of_share, share, bend, out : arrays
        :math:`q_F`, :math:`q_a`, first and second derivatives of F by row (and pair); the output by row.
    member : int
        The row of the first member.
    """
    for f in range(len(filled)):
        g = filled[f]
        lo, n = start[g], start[g + 1] - start[g]
        base, own, half = rows + pair_start[g], first + f * k, 0.5 * outer[g]
        for i in range(n):
            r = member + lo + i
            out[r] = of_value[r] * share[r]
        for a in range(k):
            out[own + a] = of_value[own + a] * share[own + a]
        for a in range(k):
            high = position[f] + n + a
            at = base + high * (high - 1) // 2
            for i in range(n):
                r, j = member + lo + i, lo + i
                out[r] += of_share[own + a] * w[1 + a, j]
                out[own + a] += of_share[r] * w[1 + a, j]
                crossed = half * leverage[at + position[f] + i]  # twice C beside the diagonal
                for b in range(k):
                    out[own + b] += crossed * w[pair[a, b], j]
            for b in range(k):
                big, small = max(a, b), min(a, b)
                above = position[f] + n + big
                c = base + above * (above - 1) // 2 + position[f] + n + small
                out[own + b] += of_share[own + a] * (bend[own + a] if a == b else bend[c])
                between = half * (leverage[own + a] if a == b else 0.5 * leverage[c])
                for i in range(n):
                    out[member + lo + i] += between * w[pair[a, b], lo + i]
                    for d in range(k):
                        out[own + d] += between * w[triple[a, b, d], lo + i] * zeta[lo + i]
