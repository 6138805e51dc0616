"""Laplace's formula is exact where the integrand is Gaussian, and near the truth where it is not."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import micromacro as mm
from micromacro.engines.marginals import laplace_marginal, marginal_of

TERMS = " ~ x + mm(member, g, z, weights = power(s), normalize = group) + (1 | unit)"
THETAS = [[0.7, 0.8, 0.4, 0.6], [-0.5, 1.3, 0.0, 0.9]]


@pytest.fixture(scope="module")
def times(outcomes):
    row = next(r for r in outcomes.ROWS if r.label == "lognormal surv(t, event)")
    return outcomes.make(row).assign(event=1)


def test_uncensored_lognormal_durations_have_the_exact_marginal_of_their_logarithms(times):
    """The same integral with and without Laplace's formula; the densities differ by sum log t."""
    durations = mm.Model("surv(t, event)" + TERMS, times, family="lognormal").specification
    logs = mm.Model("log(t)" + TERMS, times, family="gaussian").specification
    assert [p.prior for p in durations.system.hypers] == [p.prior for p in logs.system.hypers]
    approximate, exact = marginal_of(durations), marginal_of(logs)
    jacobian = np.log(times.groupby("g")["t"].first()).sum()
    for theta in THETAS:
        value, slope = approximate.gradient(np.array(theta), approximate.workspace())
        true, true_slope = exact.gradient(np.array(theta), exact.workspace())
        assert value + jacobian == pytest.approx(true, rel=1e-11)
        assert slope == pytest.approx(true_slope, rel=1e-5, abs=1e-5)


def test_maximum_likelihood_of_lognormal_durations_is_that_of_their_logarithms(times):
    durations = mm.fit("surv(t, event)" + TERMS, times, family="lognormal", engine="ml")
    logs = mm.fit("log(t)" + TERMS, times, engine="ml")
    jacobian = np.log(times.groupby("g")["t"].first()).sum()
    assert durations.loglik + jacobian == pytest.approx(logs.loglik, abs=1e-6)
    assert durations.params.to_numpy() == pytest.approx(logs.params.to_numpy(), abs=2e-3)


def test_a_student_with_endless_degrees_of_freedom_is_gaussian(times):
    """Laplace's marginal tends to the exact one as nu grows: the error falls like 1 / nu."""
    data = times.assign(y=np.log(times["t"]))
    priors = {"b": mm.prior.normal(0, 2), "Intercept": mm.prior.normal(0.3, 2)}
    student = mm.Model("y" + TERMS, data, family="student", priors=priors).specification
    gaussian = mm.Model("y" + TERMS, data, family="gaussian", priors=priors).specification
    approximate, exact = marginal_of(student), marginal_of(gaussian)
    for theta in THETAS:
        true = exact.value(np.array(theta), exact.workspace())
        errors = [approximate.value(np.array([*theta, nu]), approximate.workspace()) - true for nu in (1e4, 1e6)]
        assert abs(errors[0]) < 0.1
        assert errors[1] == pytest.approx(errors[0] / 100, rel=0.1, abs=1e-6)


PLAIN = {
    "poisson": lambda y, eta: stats.poisson.logpmf(y, np.exp(eta)),
    "bernoulli": lambda y, eta: stats.bernoulli.logpmf(y, 1 / (1 + np.exp(-eta))),
    "exponential": lambda y, eta: stats.expon.logpdf(y, scale=np.exp(eta)),
}


@pytest.mark.parametrize("name", PLAIN)
def test_without_effects_ml_is_the_plain_likelihood(name):
    rng = np.random.default_rng(4)
    x = rng.standard_normal(80)
    eta = 0.3 + 0.5 * x
    y = {"poisson": rng.poisson(np.exp(eta)), "bernoulli": rng.random(80) < 1 / (1 + np.exp(-eta)),
         "exponential": rng.exponential(np.exp(eta))}[name]  # fmt: skip
    data = pd.DataFrame({"x": x, "y": np.asarray(y, dtype=float), "event": 1})
    left = "surv(y, event)" if name == "exponential" else "y"
    fit = mm.fit(f"{left} ~ x", data, family=name, engine="ml")
    assert fit.loglik == pytest.approx(
        PLAIN[name](data["y"], fit.params["Intercept"] + fit.params["x"] * x).sum(), rel=1e-10
    )
    for step in (0.01, -0.01):
        for shift in ((step, 0.0), (0.0, step)):
            eta = fit.params["Intercept"] + shift[0] + (fit.params["x"] + shift[1]) * x
            assert PLAIN[name](data["y"], eta).sum() < fit.loglik


# -- near the truth: one effect a group of rows, integrated by quadrature ----------------------------------------------

PER_UNIT = 6


def by_quadrature(name, y, unit, x, intercept, slope, sd):
    """Log marginal of clustered outcomes: adaptive Gauss-Hermite in each unit's effect, 60 nodes."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    total = 0.0
    for j in np.unique(unit):
        mine = unit == j

        def joint(u, mine=mine):
            eta = intercept + slope * x[mine] + sd * np.asarray(u)[..., None]
            return PLAIN[name](y[mine], eta).sum(axis=-1) + stats.norm.logpdf(u)

        grid = np.linspace(-7, 7, 2801)
        top = grid[np.argmax(joint(grid))]
        h = 1e-3
        scale = (-(joint(top + h) - 2 * joint(top) + joint(top - h)) / h**2) ** -0.5
        value = joint(top + scale * nodes) + 0.5 * nodes**2
        total += np.log(np.sum(weights * np.exp(value - value.max()))) + value.max() + math.log(scale)
    return total


@pytest.mark.parametrize(("name", "most"), [("poisson", 0.004), ("bernoulli", 0.06), ("exponential", 0.02)])
def test_the_error_of_the_approximation_is_small_and_falls_with_the_data(name, most):
    """Per unit, against adaptive quadrature: below a bound for each family, and smaller with more rows."""
    errors = []
    for copies in (2, 32):
        rng = np.random.default_rng(8)
        unit = np.repeat(np.arange(10), PER_UNIT * copies)
        x = rng.standard_normal(len(unit))
        eta = 0.4 + 0.5 * x + 0.8 * rng.standard_normal(10)[unit]
        y = {"poisson": rng.poisson(np.exp(eta)), "bernoulli": rng.random(len(x)) < 1 / (1 + np.exp(-eta)),
             "exponential": rng.exponential(np.exp(eta))}[name].astype(float)  # fmt: skip
        data = pd.DataFrame({"x": x, "y": y, "unit": unit, "event": 1})
        left = "surv(y, event)" if name == "exponential" else "y"
        s = mm.Model(f"{left} ~ x + (1 | unit)", data, family=name, priors="flat").specification
        marginal = laplace_marginal(s, held=True)
        # held coefficients: the intercept at mean covariates, then x
        point = np.array([0.8, 0.4 + 0.5 * x.mean(), 0.5])
        exact = by_quadrature(name, y, unit, x, 0.4, 0.5, 0.8)
        errors.append(abs(marginal.value(point, marginal.workspace()) - exact) / 10)
    assert 0.0 < errors[0] < most
    assert errors[1] < 0.5 * errors[0]


def test_a_poor_approximation_is_warned_of():
    """One unit of four observations, with a weak prior of its sd: the tail of the sd is longer than any t's."""
    data = pd.DataFrame({"u": [1, 1, 2, 2], "y": [1.0, 2.0, 4.0, 3.0]})
    with pytest.warns(mm.MicromacroWarning, match="poor approximation: Pareto k"):
        mm.fit("y ~ (1 | u)", data, engine="laplace", draws=4000, random_seed=1, priors="vague")
