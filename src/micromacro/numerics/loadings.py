"""Kernels between the effects of members or units and the rows of A.

An effect reaches a row of A in *pieces*: piece e belongs to one membership, has a loading (a function of theta) and
goes into one place of A, times the membership's weight. Pieces that meet in one place add up.
"""

from __future__ import annotations

from numba import njit

from .compiling import KERNEL

_kernel = njit(**KERNEL)


@_kernel
def fill_pieces(weight, membership, load, slot, values):
    """values[slot_e] = sum of weight * loading over the pieces that meet there."""
    for e in range(len(slot)):
        values[slot[e]] = 0.0
    for e in range(len(slot)):
        values[slot[e]] += weight[membership[e]] * load[e]


@_kernel
def pull_pieces(weight, membership, load, slot, slope, reach, d_load):
    """Derivatives in the entries of A back to the weights (`reach`, a membership) and the loadings (`d_load`)."""
    for j in range(len(reach)):
        reach[j] = 0.0
    for e in range(len(slot)):
        s = slope[slot[e]]
        reach[membership[e]] += load[e] * s
        d_load[e] = weight[membership[e]] * s
