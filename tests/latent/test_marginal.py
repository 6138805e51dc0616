"""The Gaussian marginal likelihood against the dense multivariate normal density, its gradient and its draws."""

from __future__ import annotations

import math

import numpy as np
import pytest

from micromacro.latent.marginal.gaussian import GaussianMarginal

LOG_2PI = math.log(2 * math.pi)
BOTH = pytest.mark.parametrize("profile", [False, True], ids=["integrated", "profiled"])


def log_det(matrix: np.ndarray):
    """Log-determinant, of complex matrices too."""
    sign, size = np.linalg.slogdet(matrix)
    return size + np.log(sign) if np.iscomplexobj(matrix) else size


def log_normal(r: np.ndarray, V: np.ndarray):
    """Log density of N(0, V) at r."""
    return -0.5 * (len(r) * LOG_2PI + log_det(V) + r @ np.linalg.solve(V, r))


def dense_value(case, theta, profile: bool):
    """The log likelihood by textbook formulas: effects in V, coefficients integrated, restricted, or at their best."""
    y = case.specification.outcome
    offset, X, Z = case.dense(theta)
    mean, precision = case.prior
    V = Z @ Z.T + theta[-1] ** 2 * np.eye(len(y))
    proper = precision > 0
    if profile:
        A = X.T @ np.linalg.solve(V, X) + np.diag(precision)
        b = np.linalg.solve(A, X.T @ np.linalg.solve(V, y - offset) + precision * mean)
        of_prior = -0.5 * ((b - mean) ** 2 * precision)[proper] + 0.5 * np.log(precision[proper]) - 0.5 * LOG_2PI
        return log_normal(y - offset - X @ b, V) + of_prior.sum()
    r = y - offset - X[:, proper] @ mean[proper]
    V = V + X[:, proper] / precision[proper] @ X[:, proper].T
    F = X[:, ~proper]  # flat: the restricted likelihood, with (N - p) log 2 pi
    A = F.T @ np.linalg.solve(V, F)
    if not F.shape[1]:
        return log_normal(r, V)
    b = np.linalg.solve(A, F.T @ np.linalg.solve(V, r))
    return log_normal(r - F @ b, V) + 0.5 * F.shape[1] * LOG_2PI - 0.5 * log_det(A)


def dense_gradient(case, theta, profile: bool) -> np.ndarray:
    """Derivatives of the dense value by complex steps."""
    steps = 1e-30j * np.eye(len(theta))
    return np.array([dense_value(case, theta + h, profile).imag / 1e-30 for h in steps])


def central_differences(marginal, theta, room, h: float = 1e-3) -> np.ndarray:
    """Derivatives of the marginal's own value, with Richardson's extrapolation."""

    def slope(h):
        steps = h * np.eye(len(theta))
        return np.array([marginal.value(theta + d, room) - marginal.value(theta - d, room) for d in steps]) / (2 * h)

    return (4 * slope(h / 2) - slope(h)) / 3


def at_zero(case, *names: str) -> np.ndarray:
    """The case's theta with some sds at zero (all that are not sigma, if none is named)."""
    theta = case.theta.copy()
    for k, p in enumerate(case.system.hypers):
        if p.name in names or (not names and p.kind == "sd"):
            theta[k] = 0.0
    return theta


@pytest.fixture
def marginal(case, profile):
    """The marginal of the case."""
    return GaussianMarginal(case.system, case.specification.outcome, profile)


@BOTH
def test_value_is_the_dense_normal_density(case, profile, marginal):
    room = case.system.workspace(gradient=False)
    for theta in (case.theta, 0.3 * case.theta, 2.5 * case.theta):
        assert marginal.value(theta, room) == pytest.approx(dense_value(case, theta, profile), rel=1e-11, abs=1e-10)


@BOTH
def test_gradient_is_the_derivative_of_the_dense_density(case, profile, marginal):
    room = case.system.workspace()
    for theta in (case.theta, 0.3 * case.theta, 2.5 * case.theta):
        value, gradient = marginal.gradient(theta, room)
        assert value == marginal.value(theta, room)
        np.testing.assert_allclose(gradient, dense_gradient(case, theta, profile), rtol=1e-8, atol=1e-9)


@BOTH
def test_gradient_is_the_slope_of_the_value(case, profile, marginal):
    room = case.system.workspace()
    _, gradient = marginal.gradient(case.theta, room)
    np.testing.assert_allclose(gradient, central_differences(marginal, case.theta, room), rtol=1e-6, atol=1e-7)


@BOTH
def test_an_sd_of_zero_is_an_ordinary_point(case, profile, marginal):
    room, theta = case.system.workspace(), at_zero(case)
    value, gradient = marginal.gradient(theta, room)
    assert value == pytest.approx(dense_value(case, theta, profile), rel=1e-11, abs=1e-10)
    np.testing.assert_allclose(gradient, dense_gradient(case, theta, profile), rtol=1e-8, atol=1e-9)
    np.testing.assert_array_equal(gradient[theta == 0.0], 0.0)  # the density is even in an sd


def test_mean_and_residual_are_left_in_the_work_space(case):
    system, room, y = case.system, case.system.workspace(), case.specification.outcome
    GaussianMarginal(system, y).value(case.theta, room)
    H, A, offset = posterior_precision(case)
    mean, precision = case.prior
    right = A.T @ (y - offset) / case.theta[-1] ** 2 + np.r_[np.zeros(system.n_effects), precision * mean]
    expected = np.linalg.solve(H, right)
    np.testing.assert_allclose(system.natural_order(room.mean), expected, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(room.residual, y - offset - A @ expected, rtol=1e-9, atol=1e-11)


def posterior_precision(case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(H, A, offset) in natural order at the case's theta."""
    offset, X, Z = case.dense(case.theta)
    A = np.hstack([Z, X])
    return A.T @ A / case.theta[-1] ** 2 + np.diag(np.r_[np.ones(Z.shape[1]), case.prior[1]]), A, offset


@BOTH
def test_draws_have_the_conditional_mean_and_covariance_exactly(case, profile, marginal):
    system, room = case.system, case.system.workspace(gradient=False)
    marginal.value(case.theta, room)
    mean = marginal.x(room)
    np.testing.assert_array_equal(marginal.draw(room, np.zeros(system.size)), mean)
    root = np.array([marginal.draw(room, z) - mean for z in np.eye(system.size)])
    expected = np.linalg.inv(posterior_precision(case)[0])
    np.testing.assert_allclose(root.T @ root, expected, rtol=1e-9, atol=1e-11)


EXTREME = [0.0, 1e-300, 1e-160, 1e-20, 40.0, 1e5, 1e160, 1e300, math.inf, math.nan, -1e-3, -40.0, -1e5, -1e160, -1e300]


def check_extreme(case, profile: bool, k: int, value: float) -> None:
    """With theta_k at an extreme the answer is finite or impossible, and leaves no trace in the work space."""
    marginal, room = GaussianMarginal(case.system, case.specification.outcome, profile), case.system.workspace()
    before, theta = marginal.gradient(case.theta, room), case.theta.copy()
    theta[k] = value
    got, gradient = marginal.gradient(theta, room)
    at = case.system.hypers[k].name
    assert np.isfinite(got) or got == -math.inf, at
    assert np.isnan(gradient).all() if got == -math.inf else np.isfinite(gradient).all(), at
    after = marginal.gradient(case.theta, room)
    assert after[0] == before[0], at
    np.testing.assert_array_equal(after[1], before[1])


@BOTH
@pytest.mark.parametrize("value", EXTREME, ids=str)
@pytest.mark.parametrize("name", ["total", "group", "none", "loose", "no intercept", "no effects", "two blocks"])
def test_extreme_theta_is_finite_or_impossible_and_leaves_no_trace(named_case, name, value, profile):
    case = named_case(name)
    for k in range(len(case.theta) - 1):
        check_extreme(case, profile, k, value)


@BOTH
@pytest.mark.parametrize("sigma", [1e-300, 1e-160, 1e-20, 1e5, 1e160, 1e300])
def test_extreme_sigma_is_finite_or_impossible_and_leaves_no_trace(named_case, sigma, profile):
    check_extreme(named_case("total"), profile, -1, sigma)


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, math.inf])
def test_a_sigma_that_is_not_positive_and_finite_is_impossible(named_case, sigma):
    case = named_case("total")
    marginal, room = GaussianMarginal(case.system, case.specification.outcome), case.system.workspace()
    assert marginal.value(np.r_[case.theta[:-1], sigma], room) == -math.inf


def test_a_large_level_of_the_outcome_costs_no_digits(named_case):
    case = named_case("flat")
    room, y = case.system.workspace(), case.specification.outcome
    plain, high = (GaussianMarginal(case.system, y + shift).value(case.theta, room) for shift in (0.0, 2.0**30))
    assert high == pytest.approx(plain, rel=1e-5)  # 1e9 above zero: squares would lose 18 digits


def test_work_space_without_gradient_gives_the_same_value(case):
    marginal = GaussianMarginal(case.system, case.specification.outcome)
    rooms = (case.system.workspace(gradient=g) for g in (False, True))
    assert len({marginal.value(case.theta, room) for room in rooms}) == 1
