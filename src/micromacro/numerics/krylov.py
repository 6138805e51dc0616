r"""Conjugate gradients on :math:`H = A'WA + D`, many right-hand sides at once, and what they tell of H.

H is symmetric and positive definite, and is only ever multiplied: one pass over the rows of A serves all right-hand
sides. With a diagonal P as preconditioner the coefficients of the recursion for a right-hand side :math:`P^{1/2}z` are
those of Lanczos's tridiagonal matrix T of :math:`\tilde H = P^{-1/2}HP^{-1/2}` begun at z, so that

.. math:: z'f(\tilde H)z \approx |z|^2 \, e_1'f(T)e_1

(Golub and Meurant 1994), whose mean over random signs z is the trace of :math:`f(\tilde H)`: its log-determinant for
the logarithm (Ubaru, Chen and Saad 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.linalg import eigh_tridiagonal

from .compiling import ALLOCATING, KERNEL
from .supernodes import find

_kernel = njit(boundscheck=False, **KERNEL)
_allocating = njit(boundscheck=False, **ALLOCATING)
_at = np.uint64

Times = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Solution:
    """What conjugate gradients found.

    Attributes
    ----------
    x : (n, k) array
    alpha, beta : (iterations, k) arrays
        Coefficients of the recursion; zero after a column has converged.
    length : (k,) int array
        Iterations of each column.
    positive : bool
        Whether the matrix was positive definite as far as was seen.
    converged : bool
    """

    x: np.ndarray
    alpha: np.ndarray
    beta: np.ndarray
    length: np.ndarray
    positive: bool
    converged: bool


def conjugate_gradients(
    times: Times, inverse: np.ndarray, b: np.ndarray, start: np.ndarray | None = None, tolerance: float = 1e-8,
    most: int = 2000,
) -> Solution:  # fmt: skip
    """Solve H x = b for the columns of b, all at once, each until its own residual is small.

    Parameters
    ----------
    times : callable
        Of (n, k) arrays p and q: writes H p to q and returns the p'Hp (k,).
    inverse : (n,) array
        Inverse of the diagonal preconditioner.
    b : (n, k) array
    start : (n, k) array, optional
        Where to begin; then the coefficients are not those of Lanczos's matrix of b.
    tolerance : float
        Of the residual's length relative to that of b, both in the preconditioner's metric.
    most : int
        Iterations.
    """
    x = np.zeros_like(b) if start is None else start.copy()
    q, r = np.empty_like(b), b.copy()
    if start is not None:
        times(x, q)
        r -= q
    goal, left = np.empty(b.shape[1]), np.empty(b.shape[1])
    squares(inverse, b, goal)
    squares(inverse, r, left)
    goal *= tolerance**2
    p = inverse[:, None] * r
    active, length = left > goal, np.zeros(b.shape[1], dtype=np.int64)
    alphas, betas = [], []
    while active.any() and len(alphas) < most:
        curvature = times(p, q)
        if not np.all(curvature[active] > 0.0):
            return Solution(x, np.array(alphas), np.array(betas), length, False, False)
        alpha = np.divide(left, curvature, out=np.zeros_like(left), where=active)
        after = np.empty_like(left)
        advance(alpha, inverse, p, q, x, r, after)
        beta = np.divide(after, left, out=np.zeros_like(left), where=active)
        turn(beta, inverse, r, p)
        alphas.append(alpha)
        betas.append(beta)
        length += active
        active &= after > goal
        left = after
    shape = (len(alphas), b.shape[1])
    return Solution(
        x, np.array(alphas).reshape(shape), np.array(betas).reshape(shape), length, True, not active.any()
    )  # fmt: skip


def lanczos(solution: Solution, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Diagonal and off-diagonal of the tridiagonal matrix of column k."""
    m = int(solution.length[k])
    alpha, beta = solution.alpha[:m, k], solution.beta[:m, k]
    diagonal = 1.0 / alpha
    diagonal[1:] += beta[:-1] / alpha[:-1]
    return diagonal, np.sqrt(beta[:-1]) / alpha[:-1]


def log_quadratures(solution: Solution) -> np.ndarray:
    """z'log(H~)z / |z|^2 of each column, and of H~ - 1 and its square beside it (3, k)."""
    out = np.zeros((3, solution.x.shape[1]))
    for k in range(out.shape[1]):
        if not solution.length[k]:  # nothing to solve
            continue
        diagonal, beside = lanczos(solution, k)
        values, vectors = eigh_tridiagonal(diagonal, beside) if len(beside) else (diagonal, np.ones((1, 1)))
        away = diagonal[0] - 1.0
        out[0, k] = vectors[0] ** 2 @ np.log(np.maximum(values, 1e-300))
        out[1, k] = away
        out[2, k] = away**2 + (beside[0] ** 2 if len(beside) else 0.0)
    return out


# -- products ------------------------------------------------------------------------------------------------------


@_kernel
def _middle(begin, end, columns, leading):
    """Where the entries of a row leave the leading columns."""
    middle = end
    while middle > begin and columns[middle - 1] >= leading:
        middle -= 1
    return middle


@_allocating
def gram_times(row_start, columns, values, weight, leading, x, out, curvature):
    """out += A'WA x and curvature += x'A'WAx for the leading columns of A; x and out (leading, k)."""
    count = x.shape[1]
    row = np.empty(count)
    for i in range(len(row_start) - 1):
        begin, end = row_start[i], row_start[i + 1]
        end = _middle(begin, end, columns, leading)
        row[:] = 0.0
        for a in range(begin, end):
            v, c = values[a], _at(columns[a])
            for k in range(count):
                row[_at(k)] += v * x[c, _at(k)]
        w = weight[i]
        for k in range(count):
            curvature[k] += w * row[k] * row[k]
            row[k] *= w
        for a in range(begin, end):
            v, c = values[a], _at(columns[a])
            for k in range(count):
                out[c, _at(k)] += v * row[_at(k)]


@_kernel
def symmetric_gram(row, column, value, leading, x, out, curvature):
    """out += D x and curvature += x'Dx for D given by its lower triangle, its leading block."""
    count = x.shape[1]
    for e in range(len(row)):
        i, j, v = row[e], column[e], value[e]
        if i >= leading or j >= leading:
            continue
        for k in range(count):
            out[i, k] += v * x[j, k]
            curvature[k] += v * x[i, k] * x[j, k]
        if i != j:
            for k in range(count):
                out[j, k] += v * x[i, k]
                curvature[k] += v * x[i, k] * x[j, k]


@_kernel
def squares(inverse, r, out):
    """out[k] = sum_j inverse[j] r[j, k]^2."""
    out[:] = 0.0
    for j in range(r.shape[0]):
        for k in range(r.shape[1]):
            out[k] += inverse[j] * r[j, k] * r[j, k]


@_kernel
def advance(alpha, inverse, p, q, x, r, out):
    """x += alpha p, r -= alpha q; out is the squared length of r in the preconditioner's metric."""
    out[:] = 0.0
    for j in range(r.shape[0]):
        for k in range(r.shape[1]):
            x[j, k] += alpha[k] * p[j, k]
            r[j, k] -= alpha[k] * q[j, k]
            out[k] += inverse[j] * r[j, k] * r[j, k]


@_kernel
def turn(beta, inverse, r, p):
    """p = P^-1 r + beta p."""
    for j in range(r.shape[0]):
        for k in range(r.shape[1]):
            p[j, k] = inverse[j] * r[j, k] + beta[k] * p[j, k]


@_kernel
def gram_diagonal(row_start, columns, values, weight, out):
    """out += the diagonal of A'WA."""
    for i in range(len(row_start) - 1):
        for a in range(row_start[i], row_start[i + 1]):
            out[columns[a]] += weight[i] * values[a] * values[a]


@_kernel
def gram_border(row_start, columns, values, weight, leading, beside, corner):
    """Blocks of A'WA: `beside` (leading, c) and `corner` (c, c) of its last columns, added to what is there."""
    for i in range(len(row_start) - 1):
        begin, end = row_start[i], row_start[i + 1]
        first = _middle(begin, end, columns, leading)
        for b in range(first, end):
            f, c = weight[i] * values[b], columns[b] - leading
            for a in range(begin, first):
                beside[columns[a], c] += f * values[a]
            for a in range(first, end):
                corner[columns[a] - leading, c] += f * values[a]


# -- traces --------------------------------------------------------------------------------------------------------


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
def found(indptr, indices, value, i, j):
    """Entry (i, j) of a sparse matrix by rows whose columns rise; 0 where it has none."""
    low = indptr[i] + find(j, i, indptr, indices)
    return value[low] if low < indptr[i + 1] and indices[low] == j else 0.0


@_kernel
def gram_pairs(row_start, columns, values, weight, leading, indptr, indices, out):
    """Entries of A'WA beside the diagonal of its leading block, added to those of a pattern by rows."""
    for i in range(len(row_start) - 1):
        begin, end = row_start[i], row_start[i + 1]
        end = _middle(begin, end, columns, leading)
        for a in range(begin, end):
            j, v = columns[a], weight[i] * values[a]
            for b in range(begin, end):
                if b != a:
                    out[indptr[j] + find(columns[b], j, indptr, indices)] += v * values[b]


@_allocating
def known_rows(row_start, columns, values, leading, root, known, solved, corner, slope, leverage):
    r"""What is known of S A' on the pattern of A and of a_i' S a_i, S being about the inverse of H.

    The inverse of the leading block is a known matrix K plus the mean over probes z of :math:`rv'`, made symmetric
    (:func:`random_rows`), with :math:`v = P^{-1/2}z` and rest :math:`r = (H^{-1} - K)P^{1/2}z`. K has :math:`P^{-1}`
    on its diagonal and is `known` (rows of a sparse matrix) beside it. `solved` (leading, c) is H_ee^-1 H_ec and
    `corner` (c, c) the inverse of the Schur complement of the next c columns; S is zero in those after them.
    """
    indptr, indices, entries = known
    c = corner.shape[0]
    at, through = np.empty(c), np.empty(c)
    for i in range(len(row_start) - 1):
        begin, end = row_start[i], row_start[i + 1]
        middle = _middle(begin, end, columns, leading)
        leverage[i] = 0.0
        for a in range(begin, middle):
            j = columns[a]
            own = values[a] * root[j] * root[j]
            if len(entries):
                for b in range(begin, middle):
                    if b != a:
                        own += found(indptr, indices, entries, j, columns[b]) * values[b]
            slope[a] = own
            leverage[i] += values[a] * own
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
        middle = _middle(begin, end, columns, leading)
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
def known_entries(row, column, leading, root, known, out):
    """What is known of entries (row, column) of the inverse of the leading block of H; zero beyond it."""
    indptr, indices, entries = known
    for e in range(len(row)):
        i, j = row[e], column[e]
        out[e] = 0.0
        if i >= leading or j >= leading:
            continue
        if i == j:
            out[e] = root[i] * root[i]
        elif len(entries):
            out[e] = found(indptr, indices, entries, i, j)


@_kernel
def random_entries(row, column, leading, rest, signs, root, first, last, out):
    """Add to what is known (:func:`known_entries`) the means over probes ``first .. last``."""
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
def inverse_forms(start, position, value, rest, signs, root, known, out):
    """g' S g for rows g of a sparse matrix over the leading entries, S being about the inverse of H, from probes."""
    indptr, indices, entries = known
    count = rest.shape[1]
    of_u, of_v = np.empty(count), np.empty(count)
    for i in range(len(start) - 1):
        of_u[:] = 0.0
        of_v[:] = 0.0
        plain = 0.0
        for a in range(start[i], start[i + 1]):
            j = position[a]
            plain += (value[a] * root[j]) ** 2
            if len(entries):
                for b in range(start[i], start[i + 1]):
                    if b != a:
                        plain += value[a] * value[b] * found(indptr, indices, entries, j, position[b])
            for k in range(count):
                of_u[k] += value[a] * rest[j, k]
                of_v[k] += value[a] * root[j] * signs[j, k]
        total = 0.0
        for k in range(count):
            total += of_u[k] * of_v[k]
        out[i] = plain + total / count
