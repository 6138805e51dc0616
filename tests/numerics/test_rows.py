"""Products with the rows of A, one row a kernel, against plain matrix algebra."""

from __future__ import annotations

import numpy as np
import pytest

from micromacro.numerics import rows

X, V = np.linspace(-1.0, 2.0, 7), np.linspace(-0.5, 1.5, 9)


def out(size: int, kernel, *arguments, start: float = 0.0) -> np.ndarray:
    """What a kernel writes to its last argument."""
    result = np.full(size, start)
    kernel(*arguments, result)
    return result


def on_panels(p, matrix: np.ndarray) -> np.ndarray:
    """A symmetric matrix laid out in panels."""
    panel = np.empty(p.symbolic.panel_size)
    places = p.dense(np.arange(1.0, len(panel) + 1)).astype(int)
    at = np.nonzero(places)
    panel[places[at] - 1] = matrix[at]
    return panel


def slopes(p, S: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(S A') on the pattern of A, and the leverages."""
    s = p.symbolic
    slope, leverage = np.zeros(len(p.values)), np.empty(len(p.weight))
    rows.pair_products(s.row_start, s.pair, p.values, on_panels(p, S), slope, leverage)
    return slope, leverage


def finished(p, S: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives in the entries of A and in the weights at residuals V and mean X."""
    s = p.symbolic
    slope, leverage = slopes(p, S)
    d_weight = np.empty(len(leverage))
    rows.finish_slopes(s.row_start, s.columns, slope, p.weight, V, X, leverage, d_weight)
    return slope, d_weight


def on_d(p, matrix: np.ndarray) -> np.ndarray:
    """Entries of a symmetric matrix where D has its own; those beside the diagonal count twice."""
    row, column = p.symbolic.d_row, p.symbolic.d_column
    return np.where(row == column, 1.0, 2.0) * matrix[row, column]


def a_entries(p, matrix: np.ndarray) -> np.ndarray:
    """Entries of a matrix (rows, size) on the pattern of A."""
    s = p.symbolic
    return matrix[np.repeat(np.arange(len(p.A)), np.diff(s.row_start)), s.columns]


#: Kernel: (what it gives, what plain algebra gives), as functions of the problem and a symmetric matrix S.
KERNELS = {
    "times": (lambda p, S: out(9, rows.times, *by_row(p), X), lambda p, S: p.A @ X),
    "transposed_times adds": (
        lambda p, S: out(7, rows.transposed_times, *by_row(p), V, start=2.0),
        lambda p, S: 2.0 + p.A.T @ V,
    ),
    "symmetric_times adds": (
        lambda p, S: out(7, rows.symmetric_times, *of_d(p), X, start=2.0),
        lambda p, S: 2.0 + p.D @ X,
    ),
    "quadratic": (lambda p, S: rows.quadratic(*of_d(p), X), lambda p, S: X @ p.D @ X),
    "weighted_square": (lambda p, S: rows.weighted_square(p.weight, V), lambda p, S: V @ np.diag(p.weight) @ V),
    "pair_products": (lambda p, S: slopes(p, S)[0], lambda p, S: a_entries(p, p.A @ S)),
    "leverage": (lambda p, S: slopes(p, S)[1], lambda p, S: np.diag(p.A @ S @ p.A.T)),
    "finish_slopes": (
        lambda p, S: finished(p, S)[0],
        lambda p, S: a_entries(p, p.weight[:, None] * (np.outer(V, X) - p.A @ S)),
    ),
    "finish_slopes in the weights": (
        lambda p, S: finished(p, S)[1],
        lambda p, S: -0.5 * (np.diag(p.A @ S @ p.A.T) + V**2),
    ),
    "symmetric_gradient": (
        lambda p, S: out(len(p.d_value), rows.symmetric_gradient, *of_d(p)[:2], p.symbolic.d_place, on_panels(p, S), X),
        lambda p, S: -0.5 * on_d(p, S + np.outer(X, X)),
    ),
}


def by_row(p) -> tuple[np.ndarray, ...]:
    return p.symbolic.row_start, p.symbolic.columns, p.values


def of_d(p) -> tuple[np.ndarray, ...]:
    return p.symbolic.d_row, p.symbolic.d_column, p.d_value


@pytest.fixture
def example(problem, rng):
    """Nine rows, seven columns; one row and one column of A are empty."""
    of_a, of_d = rng.random((9, 7)) < 0.4, rng.random((7, 7)) < 0.2
    of_a[4], of_a[:, 2] = False, False
    return problem(of_a, of_d, 5, rng)


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel_agrees_with_plain_algebra(example, rng, kernel):
    got, expected = KERNELS[kernel]
    S = rng.standard_normal((7, 7))
    S += S.T
    np.testing.assert_allclose(got(example, S), expected(example, S), rtol=1e-13, atol=1e-13)
