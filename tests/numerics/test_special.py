"""Special functions of the kernels against SciPy's, and against asymptotic formulas where SciPy loses digits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from micromacro.numerics.special import (
    digamma,
    log1p_exp,
    log_cloglog,
    log_difference,
    log_gamma_ratio,
    log_normal_cdf,
    logistic,
    trigamma,
)

POSITIVE = np.concatenate([np.logspace(-8, 8, 161), [0.5, 1.0, 1.4616321449683623, 9.999999, 10.0, 10.000001]])
REAL = np.concatenate([np.linspace(-45.0, 45.0, 361), [-700.0, -37.5, -29.999999, -30.0, -30.000001, 5.0, 700.0]])


def test_digamma():
    # relative to the sizes of what is added up: the root at 1.46 is a difference
    for x in POSITIVE:
        assert digamma(x) == pytest.approx(special.psi(x), rel=1e-13, abs=1e-14)


def test_trigamma():
    for x in POSITIVE:
        assert trigamma(x) == pytest.approx(special.polygamma(1, x), rel=1e-13)


def test_log1p_exp_and_logistic():
    for x in REAL:
        assert log1p_exp(x) == pytest.approx(np.logaddexp(0.0, x), rel=1e-15)
        assert logistic(x) == pytest.approx(special.expit(x), rel=1e-15)
    assert log1p_exp(1e308) == 1e308 and log1p_exp(-1e308) == 0.0
    assert logistic(1e308) == 1.0 and logistic(-1e308) == 0.0


def test_log_normal_cdf_and_its_derivatives():
    for x in REAL[np.abs(REAL) < 100.0]:
        value, d, dd = log_normal_cdf(x)
        ratio = np.sqrt(2.0 / np.pi) / special.erfcx(-x / np.sqrt(2.0))
        assert value == pytest.approx(special.log_ndtr(x), rel=1e-13)
        assert d == pytest.approx(ratio, rel=1e-11)
        assert dd == pytest.approx(-ratio * (x + ratio), rel=1e-10, abs=1e-9)


@pytest.mark.parametrize("x", [-1e2, -1e3, -1e4, -1e6])
def test_log_normal_cdf_far_below(x):
    """Mills' ratio: phi / Phi is -x - 1/x + 2/x^3 to order x^-5, and the second derivative -1 + 1/x^2 to x^-4."""
    value, d, dd = log_normal_cdf(x)
    assert value == pytest.approx(
        -0.5 * x * x - 0.5 * np.log(2 * np.pi) - np.log(-x) - 1 / x**2, abs=3 / x**4 + 1e-15 * x * x
    )
    assert d == pytest.approx(-x - 1 / x + 2 / x**3, rel=1e-9)
    assert dd == pytest.approx(-1 + 1 / x**2, abs=10 / x**4 + 1e-13)


def test_log_cloglog_and_its_derivatives():
    for x in np.concatenate([np.linspace(-40.0, 6.5, 187), np.log([0.99e-8, 1.01e-8])]):
        t = np.exp(x)
        value, d, dd = log_cloglog(x)
        assert value == pytest.approx(np.log(-np.expm1(-t)), rel=1e-13)
        ratio = t / np.expm1(t)
        assert d == pytest.approx(ratio, rel=1e-13, abs=1e-300)
        # 1 - t - t / (e^t - 1) by its series where it is a difference of near numbers
        inner = 1.0 - t - ratio if t > 1e-3 else -t / 2 - t**2 / 12 + t**4 / 720
        assert dd == pytest.approx(ratio * inner, rel=1e-12, abs=2e-16)


@pytest.mark.parametrize("x", [7.0, 30.0, 700.0, 1e4])
def test_log_cloglog_far_above_is_nothing(x):
    assert log_cloglog(x) == (0.0, 0.0, 0.0)


def gaps(a, b):
    return a + (np.log1p(-np.exp(b - a)) if b - a < -0.7 else np.log(-np.expm1(b - a)))


@pytest.mark.parametrize("gap", [1e-12, 1e-6, 0.1, 0.69, 0.7, 3.0, 50.0])
@pytest.mark.parametrize("a", [-1e4, -3.0, 0.0])
def test_log_difference(a, gap):
    value, d, _dd = log_difference(a, 0.7, -0.3, a - gap, 0.7, -0.3)  # equal slopes: those of both
    assert value == pytest.approx(gaps(a, a - gap), rel=1e-12, abs=1e-15)
    assert d == pytest.approx(0.7, rel=1e-3 if gap < 1e-9 else 1e-9)


def test_log_difference_of_two_exponentials_has_exact_derivatives():
    """a(x) = -exp(x), b(x) = -exp(x + h): both slopes are large and nearly cancel in the naive formula."""
    h = 0.5
    for x in np.linspace(-20.0, 300.0, 81):
        a, b = -np.exp(x), -np.exp(x + h)
        value, d, dd = log_difference(a, a, a, b, b, b)
        gap = np.exp(x) * np.expm1(h)
        ratio = gap / np.expm1(gap) if gap < 700.0 else 0.0
        inner = 1.0 - gap - ratio if gap > 1e-3 else -gap / 2 - gap**2 / 12 + gap**4 / 720
        assert value == pytest.approx(a + np.log(-np.expm1(-gap)), rel=1e-13)
        assert d == pytest.approx(a + ratio, rel=1e-12)
        assert dd == pytest.approx(a + ratio * inner, rel=1e-8), f"at {x}"


def test_log_difference_from_nothing():
    assert log_difference(-1.5, -1.5, -1.5, -np.inf, -np.inf, -np.inf) == (-1.5, -1.5, -1.5)


@pytest.mark.parametrize("x", [0.7, 3.0, 101.0, 1e4, 1e7, 1e12])
@pytest.mark.parametrize("steps", [1, 4, 60])
def test_the_ratio_of_gammas_is_a_product(x, steps):
    """Gamma(x + k) / Gamma(x) = x (x + 1) ... (x + k - 1)."""
    want = float(np.sum(np.log(x + np.arange(steps, dtype=np.longdouble))))
    assert log_gamma_ratio(x, float(steps)) == pytest.approx(want, rel=1e-13, abs=1e-12)
    assert log_gamma_ratio(x + steps, -float(steps)) == pytest.approx(-want, rel=1e-13, abs=1e-12)
