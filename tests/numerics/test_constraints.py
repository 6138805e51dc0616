"""Steps under linear constraints: the conditions of a maximum, and points inside."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from micromacro.numerics.constraints import inward, least_squares_from_zero, quadratic_step, slack


@pytest.mark.parametrize("seed", range(20))
def test_least_squares_with_signs_agrees_with_scipy(seed):
    rng = np.random.default_rng(seed)
    n = rng.integers(1, 8)
    matrix, aim = rng.standard_normal((n + 2, n)), rng.standard_normal(n + 2)
    np.testing.assert_allclose(least_squares_from_zero(matrix, aim), nnls(matrix, aim)[0], atol=1e-10)


@pytest.mark.parametrize("seed", range(20))
def test_a_step_is_the_maximum_of_its_quadratic(seed):
    """What Karush, Kuhn and Tucker ask: possible, stationary, multipliers only where a constraint holds."""
    rng = np.random.default_rng(seed)
    q, m = rng.integers(1, 5), rng.integers(0, 60)
    root = rng.standard_normal((q, q))
    curvature, gradient = root @ root.T + 0.1 * np.eye(q), 3.0 * rng.standard_normal(q)
    slopes, values = rng.standard_normal((m, q)), np.maximum(rng.standard_normal(m), 0.0)
    found = quadratic_step(gradient, curvature, values, slopes)
    assert found is not None
    step, multipliers = found
    left = values + slopes @ step
    assert left.min(initial=0.0) > -1e-8 and multipliers.min(initial=0.0) >= 0.0
    np.testing.assert_allclose(curvature @ step, gradient + slopes.T @ multipliers, atol=1e-8)
    np.testing.assert_allclose(multipliers * left, 0.0, atol=1e-7 * (1.0 + multipliers.max(initial=0.0)))


def disk(u):
    """Inside the unit circle around (2, 0), and above a line that never moves."""
    away = u - np.array([2.0, 0.0])
    return np.array([1.0 - away @ away, 1.0]), np.array([-2.0 * away, [0.0, 0.0]])


def test_a_point_inside_a_curved_edge_is_found_from_outside():
    found = inward(disk, np.zeros(2), np.full(2, -np.inf), np.full(2, np.inf))
    assert found is not None and slack(disk, found) > 1e-3


def test_what_is_held_stays_and_what_cannot_be_reached_is_not():
    held = inward(disk, np.array([0.0, 0.4]), np.array([-np.inf, 0.4]), np.array([np.inf, 0.4]))
    assert held is not None and held[1] == 0.4
    assert inward(disk, np.zeros(2), np.array([-1.0, -np.inf]), np.array([0.5, np.inf])) is None
