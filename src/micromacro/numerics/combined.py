r"""The likelihood of groups whose members' whole effects meet in another way than by their sum, with its derivatives.

Group g has one or more *inner* rows r (one, unless a family repeats groups), each with its own density l_r, and in
each block B members j with effects :math:`\zeta_j`, rows of the linear predictor too:

.. math:: \log p = \sum_r l_r(\eta_r), \qquad \eta_r = \eta_r^0 + \sum_B F_B(\zeta_B), \qquad F_B = \varphi(f_B),

:math:`\varphi` the identity or exp (:mod:`.combining`). With shares :math:`p_j = \partial f/\partial\zeta_j` and tilts
:math:`t_j = \varphi' p_j`, sums :math:`l' = \sum_r l'_r` and :math:`l'' = \sum_r l''_r` over the inner rows, the first
derivatives are :math:`l'_r` and :math:`l' t_j`, and the block of second derivatives is

.. math:: (r, r): l''_r, \quad (r, j): l''_r t_j, \quad (j, k): l'' t_j t_k
   + l'\{\varphi''_B p_j p_k + \varphi'_B\kappa(\delta_{jk} p_j - p_j p_k)\}_{B(j) = B(k)} .

A positive stand-in for minus that leaves out what is negative of its three terms (Gauss-Newton and two more). Laplace's
formula needs the derivatives of :math:`\tfrac12\mathrm{tr}(C\,M)`, M this block and C the covariance of the rows. With
:math:`T_r = C_{rr} + 2 C_{rz} t + t'C_{zz}t` and
:math:`V_B = \varphi'' p'Cp + \varphi'\kappa(\mathrm{diag}(C)'p - p'Cp)` that is
:math:`\tfrac12\{\sum_r l''_r T_r + l' \sum_B V_B\}`, which depends on the rows through :math:`\eta_r`, p,
:math:`\varphi` and :math:`\kappa`, and on the weights through p.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .compiling import ALLOCATING, KERNEL

_kernel = njit(**KERNEL)
_allocating = njit(**ALLOCATING)
INNER = -1  # the block of an inner row


@_allocating
def combined_slopes(start, row, pair_start, block, rows, inner, share, first, second, kappa, bend, out):
    r"""Fill out (4, rows + pairs): log density of a unit on its first row, derivatives, curvatures, a stand-in.

    Parameters
    ----------
    start, row, pair_start : int arrays
        The rows of each unit, inner ones first, and where its pairs begin.
    block : (rows,) int array
        The block of each row; INNER for an inner one.
    rows : int
        How many rows there are.
    inner : (4, inner rows) array
        What the family says of the inner rows, which are the first rows.
    share : (rows,) array
        Shares of the members in their group.
    first, second : (rows,) arrays
        :math:`\varphi'` and :math:`\varphi''` of the block and group of each member.
    kappa : (rows,) array
        The shape of the block of each member.
    bend : (rows + pairs,) array
        Second derivatives of F among the rows of a block where they are not these; empty where there are none.
    """
    out[:] = 0.0
    widest = 1
    for u in range(len(start) - 1):
        widest = max(widest, start[u + 1] - start[u])
    part = np.empty(widest)  # the share of each row; what a curvature, and its stand-in, meet in it
    bent = np.empty(widest)
    safe = np.empty(widest)
    for u in range(len(start) - 1):
        lo = start[u]
        n = start[u + 1] - lo
        slope, curve, stand = _inside(lo, n, row, block, inner, out)
        p = rows + pair_start[u]
        begin = 0  # where the block of the row begins
        for a in range(n):
            r = row[lo + a]
            if block[r] == INNER:
                part[a], bent[a], safe[a] = 0.0, inner[2, r], inner[3, r]
                p += a
                continue
            if a > 0 and block[r] != block[row[lo + a - 1]]:
                begin = a
            t = first[r] * share[r]
            part[a], bent[a], safe[a] = share[r], curve * t, stand * t
            straight = slope * first[r] * kappa[r]  # times (delta p - p p')
            both = slope * second[r]  # times p p'
            own = (both - straight) * share[r]
            own_safe = (max(-both, 0.0) - max(-straight, 0.0)) * share[r]
            out[1, r] = slope * t
            out[2, r] = t * bent[a] + own * share[r] + straight * share[r]
            out[3, r] = t * safe[a] + own_safe * share[r] + max(-straight, 0.0) * share[r]
            for b in range(begin):
                out[2, p + b] = t * bent[b]
                out[3, p + b] = t * safe[b]
            for b in range(begin, a):
                out[2, p + b] = t * bent[b] + own * part[b]
                out[3, p + b] = t * safe[b] + own_safe * part[b]
            if len(bend):
                out[2, r] += slope * bend[r]
                for b in range(begin, a):
                    out[2, p + b] += slope * bend[p + b]
            p += a


@_kernel
def _inside(lo, n, row, block, inner, out):
    """What the family says of the inner rows of a unit into `out`; returns the sums of its last three numbers."""
    total = 0.0
    slope = 0.0
    curve = 0.0
    stand = 0.0
    for a in range(n):
        r = row[lo + a]
        if block[r] == INNER:
            total += inner[0, r]
            slope += inner[1, r]
            curve += inner[2, r]
            stand += inner[3, r]
            out[1, r] = inner[1, r]
            out[2, r] = inner[2, r]
            out[3, r] = inner[3, r]
    out[0, row[lo]] = total
    return slope, curve, stand


@_allocating
def combined_adjoint(
    start, row, pair_start, block, rows, inner, third, share, first, second, kappa, bend, leverage, along, level, value,
    of_share, of_eta, of_family, of_kappa,
):  # fmt: skip
    r"""Derivatives of :math:`l + \tfrac12\mathrm{tr}(C M) + \lambda' l'` in what the rows are made of.

    Parameters
    ----------
    third : (inner rows,) array
        :math:`l'''_r`.
    leverage : (rows + pairs,) array
        C: its diagonal, and twice what stands beside it.
    along : (rows,) array
        :math:`\lambda`.
    level : float
        1, or 0 to leave out l.
    value : (rows,) array
        Output: derivative in the value F of the block and group of each member.
    of_share : (rows,) array
        Output: derivative in the share of each member.
    of_eta : (inner rows,) array
        Output: derivative in the predictor of each inner row.
    of_family : (2, inner rows) array
        Output: derivatives in :math:`l'_r` and in :math:`l''_r`.
    of_kappa : (rows,) array
        Output: what each member brings to the derivative in the shape that shares and values do not.
    """
    widest = 1
    for u in range(len(start) - 1):
        widest = max(widest, start[u + 1] - start[u])
    reach = np.empty(widest)  # C t
    near = np.empty(widest)  # C p of the own block
    for u in range(len(start) - 1):
        lo = start[u]
        n = start[u + 1] - lo
        base = rows + pair_start[u]
        slope = _reaches(lo, n, row, block, base, inner, share, first, leverage, reach, near)
        tilted = 0.0  # t' C t
        lifted = 0.0  # lambda' t
        for a in range(n):
            r = row[lo + a]
            if block[r] != INNER:
                tilted += first[r] * share[r] * reach[a]
                lifted += first[r] * share[r] * along[r]
        # V of all blocks
        spread = 0.0
        for a in range(n):
            r = row[lo + a]
            if block[r] != INNER:
                inside = share[r] * near[a]
                spread += second[r] * inside + first[r] * kappa[r] * (leverage[r] * share[r] - inside)
                if len(bend):
                    spread += leverage[r] * bend[r]
        if len(bend):
            for p in range(rows + pair_start[u], rows + pair_start[u + 1]):
                spread += leverage[p] * bend[p]
        total = 0.0
        curve = 0.0
        for a in range(n):
            r = row[lo + a]
            if block[r] == INNER:
                of_family[0, r] = along[r] + lifted + 0.5 * spread
                of_family[1, r] = 0.5 * (leverage[r] + 2.0 * reach[a] + tilted)
                of_eta[r] = level * inner[1, r] + inner[2, r] * of_family[0, r] + third[r] * of_family[1, r]
                total += of_eta[r]
                curve += inner[2, r]
        _of_members(
            lo, n, row, block, base, inner, share, first, second, kappa, leverage, along, reach, near, slope, curve,
            total, value, of_share, of_kappa,
        )  # fmt: skip


@_kernel
def _reaches(lo, n, row, block, base, inner, share, first, leverage, reach, near):
    """C t of a unit into `reach`, C p of each member's own block into `near`; returns the sum of the inner slopes."""
    slope = 0.0
    for a in range(n):
        reach[a] = 0.0
        near[a] = 0.0
        r = row[lo + a]
        if block[r] == INNER:
            slope += inner[1, r]
    for a in range(n):
        r = row[lo + a]
        for b in range(a + 1):
            q = row[lo + b]
            c = leverage[r] if b == a else 0.5 * leverage[base + a * (a - 1) // 2 + b]
            if block[q] != INNER:
                reach[a] += c * first[q] * share[q]
            if block[r] != INNER and b < a:
                reach[b] += c * first[r] * share[r]
            if block[r] != INNER and block[r] == block[q]:
                near[a] += c * share[q]
                if b < a:
                    near[b] += c * share[r]
    return slope


@_kernel
def _of_members(
    lo, n, row, block, base, inner, share, first, second, kappa, leverage, along, reach, near, slope, curve, total,
    value, of_share, of_kappa,
):  # fmt: skip
    """The part of `combined_adjoint` that is of the members of one unit."""
    a = 0
    while a < n:
        r = row[lo + a]
        if block[r] == INNER:
            a += 1
            continue
        end = a
        while end < n and block[row[lo + end]] == block[r]:
            end += 1
        in_first = 0.0  # derivative in phi', in phi''
        in_second = 0.0
        for k in range(a, end):
            q = row[lo + k]
            touched = curve * reach[k]
            for b in range(n):
                i = row[lo + b]
                if block[i] == INNER:
                    touched += inner[2, i] * 0.5 * leverage[base + k * (k - 1) // 2 + b]
            in_tilt = slope * along[q] + touched
            inside = share[q] * near[k]
            bend = leverage[q] * share[q] - inside
            in_first += in_tilt * share[q] + 0.5 * slope * kappa[q] * bend
            in_second += 0.5 * slope * inside
            of_share[q] = first[q] * in_tilt + 0.5 * slope * (
                2.0 * second[q] * near[k] + first[q] * kappa[q] * (leverage[q] - 2.0 * near[k])
            )
            of_kappa[q] = 0.5 * slope * first[q] * bend
        for k in range(a, end):
            q = row[lo + k]
            # phi' and phi'' are F itself where phi is exp, else constants
            value[q] = total + (in_first + in_second if second[q] != 0.0 else 0.0)
        a = end


@_kernel
def chain_to_effects(start, share, first, kappa, value, of_share, out):
    """Derivatives in the effects of members, from those in the value and the shares of their group.

    Parameters
    ----------
    start : (groups + 1,) int array
        Members of each group.
    value, of_share : (m,) arrays
        The derivative in the value stands at each of its members.
    out : (m,) array
    """
    for g in range(len(start) - 1):
        lo, hi = start[g], start[g + 1]
        middle = 0.0
        for j in range(lo, hi):
            middle += share[j] * of_share[j]
        for j in range(lo, hi):
            out[j] = share[j] * (first[j] * value[j] + kappa[j] * (of_share[j] - middle))
