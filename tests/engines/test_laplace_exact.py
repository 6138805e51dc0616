"""Laplace's formula is exact where the integrand is Gaussian, and near the truth where it is not."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import micromacro as mm
from micromacro.engines import approximate
from micromacro.engines.accuracy import error_at
from micromacro.engines.likelihood.integral import other_modes
from micromacro.engines.marginals import laplace_marginal, marginal_of, with_quadrature

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


# -- the accuracy of the approximation, measured -----------------------------------------------------------------------


def clustered(groups=20, size=4, sd=1.5):
    """Binary outcomes of a few per unit, which Laplace's formula is poor for."""
    rng = np.random.default_rng(3)
    unit = np.repeat(np.arange(groups), size)
    x = rng.standard_normal(len(unit))
    y = rng.random(len(unit)) < 1 / (1 + np.exp(-(0.3 + x + sd * rng.standard_normal(groups)[unit])))
    return pd.DataFrame({"u": unit, "x": x, "y": y.astype(int)})


def test_importance_sampling_finds_the_error_of_the_formula():
    data = clustered()
    s = mm.Model("y ~ x + (1 | u)", data, family="bernoulli", priors="flat").specification
    marginal = laplace_marginal(s, held=True)
    room, point = marginal.workspace(), np.array([1.2, 0.2 + 0.9 * data["x"].mean(), 0.9])
    y, x, u = (data[c].to_numpy() for c in ("y", "x", "u"))
    error = by_quadrature("bernoulli", y.astype(float), u, x, 0.2, 0.9, 1.2) - marginal.value(point, room)
    found = error_at(marginal, room, point[:1])
    assert error > 0.2
    assert abs(found.value - error) < 4 * found.se + 0.01
    assert found.se < 0.05
    assert error_at(marginal, room, point[:1]) == found  # no seed of the user's in it


@pytest.mark.slow
def test_a_poor_approximation_is_weighted_by_the_exact_posterior(monkeypatch):
    """Few binary outcomes per unit: found to be poor, then draws as those of mcmc; where that is too dear, not ok."""
    model = mm.Model("y ~ x + (1 | u)", clustered(), family="bernoulli")
    options = {"draws": 800, "random_seed": 1, "progress": False}
    fit = model.fit("laplace", **options)
    assert fit.health.ok
    assert "reweighted" in [n.code for n in fit.health.notes]
    own, chains = fit.summary(), model.fit("mcmc", **options | {"tune": 300, "chains": 2}).summary()
    for point, error in (("mean", "mcse_mean"), ("lower", "mcse_lower"), ("upper", "mcse_upper")):
        away = (own[point] - chains[point]).abs() / np.hypot(own[error], chains[error])
        assert away.max() < 4, point
    monkeypatch.setattr(approximate, "BUDGET", 0.0)
    with pytest.warns(mm.MicromacroWarning, match="Laplace's approximation is poor"):
        plain = model.fit("laplace", **options)
    assert [t.code for t in plain.health.troubles] == ["poor-approximation"]
    assert plain.summary().loc["x", "upper"] < own.loc["x", "upper"]


def test_an_approximation_that_is_good_is_left_alone():
    data = clustered()
    fit = mm.fit(
        "n ~ x + (1 | u)", data.assign(n=data["y"] + 3 * (data["x"] > 0)), family="poisson", engine="laplace",
        draws=1000, random_seed=1, priors={"sd": mm.prior.gamma(4, 8)},
    )  # fmt: skip
    assert fit.health.ok
    assert [n.code for n in fit.health.notes if n.code in ("accuracy", "reweighted")] == ["accuracy"]
    assert fit.summary()["ess_bulk"].max() <= fit._outcome.effective


def test_modes_of_the_effects_are_counted():
    """One unit whose observations lie in two places: its effect has two modes, as a grid says, of about equal mass."""
    y = np.array([-2.0, -2.1, 2.0, 2.2, 0.3, 0.1, -0.2, 0.2])
    data = pd.DataFrame({"u": [1, 1, 1, 1, 2, 2, 2, 2], "y": y})
    s = mm.Model("y ~ 1 + (1 | u)", data, family="student", priors="flat").specification
    assert [p.name for p in s.system.hypers] == ["u.sd", "sigma", "nu"]
    marginal = laplace_marginal(s, held=True)
    room, point = marginal.workspace(), np.array([2.0, 0.3, 2.0, 0.0])
    grid = np.linspace(-4.0, 4.0, 8001)
    joint = stats.t.logpdf((y[:4, None] - 2.0 * grid) / 0.3, 2.0).sum(axis=0) + stats.norm.logpdf(grid)
    tops = np.flatnonzero((joint[1:-1] > joint[:-2]) & (joint[1:-1] > joint[2:])) + 1
    assert len(tops) == 2
    gaps = other_modes(marginal, room, point)
    assert len(gaps) == 1
    left = grid < 0.5 * (grid[tops[0]] + grid[tops[1]])
    mass = np.log([np.exp(joint[left]).sum(), np.exp(joint[~left]).sum()])
    assert abs(gaps[0]) == pytest.approx(abs(mass[1] - mass[0]), abs=0.3)
    assert other_modes(marginal, room, np.array([2.0, 3.0, 2.0, 0.0])) == []  # with a wide sigma there is one


def test_ml_states_the_error_of_its_likelihood():
    few = mm.fit("y ~ x + (1 | u)", clustered(), family="bernoulli", engine="ml")
    assert "laplace-error" in [n.code for n in few.health.remarks]
    assert "importance sampling of the effects" in few.report()
    many = mm.fit("y ~ x + (1 | u)", clustered(20, 40, 0.5), family="bernoulli", engine="ml")
    assert "laplace-error" not in [n.code for n in many.health.remarks]
    assert abs(many._outcome.extra["laplace_error"]) < abs(few._outcome.extra["laplace_error"])


# -- quadrature of one scalar term -------------------------------------------------------------------------------------


def test_quadrature_is_the_exact_likelihood_and_its_slope_is_that_of_differences():
    data = clustered()
    s = mm.Model("y ~ x + (1 | u)", data, family="bernoulli", priors="flat").specification
    marginal = marginal_of(with_quadrature(s, 30), maximised=True)
    room, point = marginal.workspace(), np.array([1.2, 0.2 + 0.9 * data["x"].mean(), 0.9])
    y, x, u = (data[c].to_numpy() for c in ("y", "x", "u"))
    exact = by_quadrature("bernoulli", y.astype(float), u, x, 0.2, 0.9, 1.2)
    value, slope = marginal.gradient(point, room)
    assert value == pytest.approx(exact, abs=1e-5)
    steps = np.diag([1e-5] * 3)
    differences = [(marginal.value(point + h, room) - marginal.value(point - h, room)) / 2e-5 for h in steps]
    assert slope == pytest.approx(differences, abs=1e-5)


def test_a_fit_by_quadrature_is_one_in_all_its_verbs(tmp_path):
    """A saved fit finds its log-likelihood again, a refit keeps the points, and no error is told."""
    fit = mm.fit("y ~ x + (1 | u)", clustered(), family="bernoulli", engine="ml", nAGQ=9)
    assert "laplace-error" not in [n.code for n in fit.health.remarks]
    fit.save(tmp_path / "fit.nc")
    assert mm.load(tmp_path / "fit.nc").loglik == fit.loglik
    assert fit.update(formula="y ~ 1 + (1 | u)")._outcome.settings.nAGQ == 9
    plain = fit.update(nAGQ=1)
    assert fit.loglik - plain.loglik == pytest.approx(plain._outcome.extra["laplace_error"], abs=0.15)


@pytest.mark.parametrize(
    ("formula", "options", "message"),
    [
        ("y ~ x + (1 | u)", {"family": "gaussian"}, "is exact without quadrature"),
        ("y ~ x + (1 + x | u)", {"family": "poisson"}, "one scalar term"),
        ("y ~ x + (1 | u) + (1 | v)", {"family": "poisson"}, "effects of u, v"),
        ("y ~ x", {"family": "poisson"}, "effects of nothing"),
        ("y ~ x + (1 | u)", {"family": "poisson", "engine": "mcmc"}, 'is for engine="ml"'),
        ("y ~ x + (1 | u)", {"family": "poisson", "nAGQ": 0}, "whole number"),
        ("y ~ x + (1 | u)", {"family": "poisson", "nAGQ": 2.5}, "whole number"),
    ],
)
def test_quadrature_that_cannot_be_is_refused(formula, options, message):
    data = clustered()
    with pytest.raises(mm.EngineError, match=message):
        mm.fit(formula, data.assign(v=np.arange(len(data)) % 7), **{"engine": "ml", "nAGQ": 5} | options)
