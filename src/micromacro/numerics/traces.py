r"""Traces of what involves the inverse of :math:`H = A'WA + D`: what is known of it, and means over random probes.

The inverse of the leading block of H is a known matrix K plus the mean over probes z of :math:`rv'`, made symmetric,
with :math:`v = P^{-1/2}z`, P the diagonal of H and the rest :math:`r = (H^{-1} - K)P^{1/2}z`. K has :math:`P^{-1}` on
its diagonal; beside it stand numbers on the pattern of H (:class:`Triangle`), or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from .compiling import ALLOCATING, KERNEL
from .krylov import middle_of
from .ragged import starts
from .supernodes import find

_kernel = njit(boundscheck=False, **KERNEL)
_allocating = njit(boundscheck=False, **ALLOCATING)
_at = np.uint64


@dataclass(frozen=True)
class Triangle:
    """The leading block of H beside its diagonal, one triangle, and where products of two entries of A belong in it.

    Attributes
    ----------
    start, column : (n + 1,), (p,) int arrays
        The strict upper triangle by rows, whose columns rise.
    of_rows : (products,) int array
        Place of the product of every two leading entries of a row of A, row by row: (1, 0), (2, 0), (2, 1) ...
    of_d : (d,) int array
        Place of each entry of D; -1 on the diagonal, and beyond the block.
    """

    start: np.ndarray
    column: np.ndarray
    of_rows: np.ndarray
    of_d: np.ndarray

    def scaled(self, h: np.ndarray, inverse: np.ndarray) -> np.ndarray:
        """P^-1 (H - P) P^-1 for values h (p,) of H."""
        row = np.repeat(np.arange(len(self.start) - 1, dtype=np.int32), np.diff(self.start))
        return h * inverse[row] * inverse[self.column]


def pairs_of(
    row_start: np.ndarray, columns: np.ndarray, d_row: np.ndarray, d_column: np.ndarray, leading: int, most: float
) -> Triangle | None:
    """Where entries of H beside its diagonal are; None where more than `most` products of two entries make them up."""
    count = _count(row_start, columns, leading)
    if count > most:
        return None
    aside = np.flatnonzero((d_row != d_column) & (d_row < leading) & (d_column < leading))
    key = np.empty(count + len(aside), dtype=np.int64)
    _keys(row_start, columns, leading, key)
    low, high = np.minimum(d_row[aside], d_column[aside]), np.maximum(d_row[aside], d_column[aside])
    key[count:] = low.astype(np.int64) * leading + high
    each, place = np.unique(key, return_inverse=True)
    place = place.astype(np.int32)
    of_d = np.full(len(d_row), -1, dtype=np.int32)
    of_d[aside] = place[count:]
    row = each // max(leading, 1)
    start = starts(np.bincount(row, minlength=leading))
    return Triangle(start, (each - row * leading).astype(np.int32), place[:count], of_d)


@_kernel
def _count(row_start, columns, leading):
    total = 0
    for i in range(len(row_start) - 1):
        n = middle_of(row_start[i], row_start[i + 1], columns, leading) - row_start[i]
        total += n * (n - 1) // 2
    return total


@_kernel
def _keys(row_start, columns, leading, out):
    p = 0
    for i in range(len(row_start) - 1):
        begin = row_start[i]
        for a in range(begin, middle_of(begin, row_start[i + 1], columns, leading)):
            for b in range(begin, a):
                out[p] = np.int64(columns[b]) * leading + columns[a]
                p += 1


@_kernel
def gram_beside(row_start, columns, values, weight, leading, place, out):
    """out += A'WA of the leading columns beside its diagonal; places as in :class:`Triangle`."""
    p = 0
    for i in range(len(row_start) - 1):
        begin = row_start[i]
        for a in range(begin, middle_of(begin, row_start[i + 1], columns, leading)):
            f = weight[i] * values[a]
            for b in range(begin, a):
                out[_at(place[_at(p)])] += f * values[_at(b)]
                p += 1


@_kernel
def random_signs(keys, first, out):
    """Signs (n, k) of probes `first`, `first + 1`, ...: a bit of a mix of each entry's key and the probe's number.

    The mixing function is that of splitmix64 (Steele, Lea and Flood 2014).
    """
    for j in range(out.shape[0]):
        for k in range(out.shape[1]):
            x = keys[j] + np.uint64(first + k + 1) * np.uint64(0x9E3779B97F4A7C15)
            x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            x = x ^ (x >> np.uint64(31))
            out[j, k] = 1 if x & np.uint64(1) else -1


@_kernel
def _found(start, column, value, i, j):
    """Entry (i, j) of a symmetric matrix given by its strict upper triangle, beside the diagonal."""
    i, j = min(i, j), max(i, j)
    low = start[i] + find(j, i, start, column)
    return value[low] if low < start[i + 1] and column[low] == j else 0.0


@_allocating
def known_rows(row_start, columns, values, leading, inverse, place, known, solved, corner, slope, leverage):
    """What is known of S A' on the pattern of A and of a_i' S a_i, S being about the inverse of H.

    K is `inverse` on its diagonal and `known` beside it, in places as in :class:`Triangle`. `solved` (leading, c) is
    H_ee^-1 H_ec and `corner` (c, c) the inverse of the Schur complement of the next c columns; S is zero in those
    after them.
    """
    c, p = corner.shape[0], 0
    at, through = np.empty(c), np.empty(c)
    for i in range(len(row_start) - 1):
        begin, end = row_start[i], row_start[i + 1]
        middle = middle_of(begin, end, columns, leading)
        for a in range(begin, middle):
            slope[a] = values[a] * inverse[_at(columns[a])]
            if len(known):
                for b in range(begin, a):
                    k = known[_at(place[_at(p)])]
                    slope[a] += k * values[_at(b)]
                    slope[b] += k * values[a]
                    p += 1
        leverage[i] = 0.0
        for a in range(begin, middle):
            leverage[i] += values[a] * slope[a]
        for a in range(middle, end):
            slope[a] = 0.0
        if c == 0:
            continue
        at[:] = 0.0
        for a in range(begin, middle):
            for e in range(c):
                at[e] -= solved[columns[a], e] * values[a]
        for a in range(middle, end):
            if columns[a] - leading < c:
                at[columns[a] - leading] += values[a]
        for e in range(c):
            through[e] = 0.0
            for m in range(c):
                through[e] += corner[e, m] * at[m]
            leverage[i] += at[e] * through[e]
        for a in range(begin, middle):
            for e in range(c):
                slope[a] -= solved[columns[a], e] * through[e]
        for a in range(middle, end):
            if columns[a] - leading < c:
                slope[a] = through[columns[a] - leading]


@_allocating
def random_rows(row_start, columns, values, leading, rest, signs, root, first, last, slope, leverage):
    """Add to what is known (:func:`known_rows`) the means over probes ``first .. last``."""
    count = last - first
    of_u, of_v = np.empty(count), np.empty(count)
    for i in range(len(row_start) - 1):
        begin, end = row_start[i], row_start[i + 1]
        middle = middle_of(begin, end, columns, leading)
        of_u[:] = 0.0
        of_v[:] = 0.0
        for a in range(begin, middle):
            j, value = columns[a], values[a]
            for k in range(count):
                of_u[k] += value * rest[j, first + k]
                of_v[k] += value * root[j] * signs[j, first + k]
        total = 0.0
        for k in range(count):
            total += of_u[k] * of_v[k]
        for a in range(begin, middle):
            j = columns[a]
            own = 0.0
            for k in range(count):
                own += rest[j, first + k] * of_v[k] + root[j] * signs[j, first + k] * of_u[k]
            slope[a] += 0.5 * own / count
        leverage[i] += total / count


@_kernel
def random_entries(row, column, leading, rest, signs, root, first, last, out):
    """Add to what is known (``P^-1`` and K's entries) the means over probes ``first .. last``."""
    count = last - first
    for e in range(len(row)):
        i, j = row[e], column[e]
        if i >= leading or j >= leading:
            continue
        total = 0.0
        for k in range(count):
            total += rest[i, first + k] * root[j] * signs[j, first + k]
            total += rest[j, first + k] * root[i] * signs[i, first + k]
        out[e] += 0.5 * total / count


@_allocating
def inverse_forms(start, position, value, rest, signs, root, triangle, known, out):
    """g' S g for rows g of a sparse matrix over the leading entries, S being about the inverse of H, from probes."""
    first, column = triangle
    count = rest.shape[1]
    of_u, of_v = np.empty(count), np.empty(count)
    for i in range(len(start) - 1):
        of_u[:] = 0.0
        of_v[:] = 0.0
        plain = 0.0
        for a in range(start[i], start[i + 1]):
            j = position[a]
            plain += (value[a] * root[j]) ** 2
            if len(known):
                for b in range(start[i], start[i + 1]):
                    if b != a:
                        plain += value[a] * value[b] * _found(first, column, known, j, position[b])
            for k in range(count):
                of_u[k] += value[a] * rest[j, k]
                of_v[k] += value[a] * root[j] * signs[j, k]
        total = 0.0
        for k in range(count):
            total += of_u[k] * of_v[k]
        out[i] = plain + total / count
