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
def middle_of(begin, end, columns, leading):
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
        end = middle_of(begin, end, columns, leading)
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
def gram_times_one(row_start, columns, values, weight, leading, x, out):
    """The same for one vector x (leading,); returns what it adds to the curvature."""
    total = 0.0
    for i in range(len(row_start) - 1):
        begin, end = row_start[i], row_start[i + 1]
        end = middle_of(begin, end, columns, leading)
        row = 0.0
        for a in range(begin, end):
            row += values[_at(a)] * x[_at(columns[_at(a)])]
        total += weight[i] * row * row
        row *= weight[i]
        for a in range(begin, end):
            out[_at(columns[_at(a)])] += values[_at(a)] * row
    return total


@_kernel
def diagonal_gram(diagonal, x, out, curvature):
    """out = D x and curvature = x'Dx for a diagonal D."""
    curvature[:] = 0.0
    for j in range(x.shape[0]):
        for k in range(x.shape[1]):
            out[j, k] = diagonal[j] * x[j, k]
            curvature[k] += out[j, k] * x[j, k]


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
        first = middle_of(begin, end, columns, leading)
        for b in range(first, end):
            f, c = weight[i] * values[b], columns[b] - leading
            for a in range(begin, first):
                beside[columns[a], c] += f * values[a]
            for a in range(first, end):
                corner[columns[a] - leading, c] += f * values[a]
