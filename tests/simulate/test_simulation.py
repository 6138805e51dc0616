"""Outcomes simulated from a model: moments in closed form, priors, seeds, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import micromacro as mm

VALUES = {
    "Intercept": 1.0,
    "x": 0.5,
    "member.z": -0.4,
    "member.w.b1": 0.8,
    "member.sd": 0.9,
    "unit.sd": 0.6,
    "sigma": 0.5,
}
FORMULA = "y ~ x + mm(member, group, z, weights = 1 / n ** exp(-(b1 * s)), normalize = {rule}) + (1 | unit)"
DRAWS = 4000


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    rows = [(g, m) for g in range(12) for m in rng.choice(7, size=1 + g % 4, replace=False)]
    frame = pd.DataFrame(rows, columns=["group", "member"])
    frame["s"], frame["z"] = rng.standard_normal((2, len(frame)))
    x, unit, y = rng.standard_normal(12), rng.integers(0, 3, 12), rng.standard_normal(12)
    return frame.assign(x=x[frame["group"]] + 2, unit=unit[frame["group"]], y=y[frame["group"]])


@pytest.fixture(scope="module", params=["group", "total", "none"])
def simulated(request, data):
    model = mm.Model(FORMULA.format(rule=request.param), data)
    return request.param, model.simulate(VALUES, draws=DRAWS, random_seed=1)


def closed_form(data, rule):
    """Mean and covariance of the outcome, and the weights."""
    frame = data.sort_values(["group", "member"], ignore_index=True)
    g, m = frame["group"].to_numpy(), frame["member"].to_numpy()
    w = np.bincount(g)[g] ** -np.exp(-0.8 * frame["s"].to_numpy())
    if rule == "group":
        w /= np.bincount(g, w)[g]
    elif rule == "total":
        w *= 12 / w.sum()
    W = np.zeros((12, 7))
    W[g, m] = w
    first = frame.groupby("group").first()
    Z = np.eye(3)[first["unit"]]
    mean = 1.0 + 0.5 * first["x"].to_numpy() - 0.4 * np.bincount(g, w * frame["z"])
    return mean, 0.81 * W @ W.T + 0.36 * Z @ Z.T + 0.25 * np.eye(12), w


def test_simulated_outcomes_have_the_mean_of_the_model(simulated, data):
    rule, out = simulated
    mean, cov, _ = closed_form(data, rule)
    away = (out.outcome.mean(0) - mean) / np.sqrt(np.diag(cov) / DRAWS)
    assert np.abs(away).max() < 4.5, f"{away} Monte Carlo standard errors"


def test_simulated_outcomes_have_the_covariance_of_the_model(simulated, data):
    rule, out = simulated
    _, cov, _ = closed_form(data, rule)
    error = np.sqrt((np.outer(np.diag(cov), np.diag(cov)) + cov**2) / DRAWS)
    assert np.abs((np.cov(out.outcome.T) - cov) / error).max() < 4.5


def test_weights_and_effects_are_given_back(simulated, data):
    rule, out = simulated
    _, _, w = closed_form(data, rule)
    assert out.weights["member"][0] == pytest.approx(w)
    assert np.array_equal(out.weights["member"][0], out.weights["member"][-1])
    for name, sd, ids in (("member", 0.9, range(7)), ("unit", 0.6, range(3))):
        effects = out.effects[name]
        assert list(effects.columns) == list(ids)
        error = sd * np.sqrt(1 / (2 * DRAWS))
        assert np.abs((effects.std() - sd) / error).max() < 4.5


def test_outcomes_are_the_linear_predictor_and_noise(simulated):
    _, out = simulated
    noise = out.outcome - out.linear_predictor
    assert abs(noise.std() / 0.5 - 1) < 4 / np.sqrt(2 * noise.size)
    assert abs(np.corrcoef(noise.ravel(), out.linear_predictor.ravel())[0, 1]) < 4 / np.sqrt(noise.size)


def test_values_that_are_given_stay(simulated):
    _, out = simulated
    assert list(out.parameters.columns) == list(VALUES)
    assert out.parameters.to_numpy() == pytest.approx(np.tile(list(VALUES.values()), (DRAWS, 1)))
    assert out.outcome.shape == out.linear_predictor.shape == (DRAWS, 12)
    assert np.array_equal(out.groups, np.arange(12))
    assert "4000 data sets of 12 groups" in repr(out)


def test_a_seed_fixes_the_simulation(data):
    model = mm.Model(FORMULA.format(rule="total"), data)
    a, b, c = (model.simulate({"sigma": 1.0}, draws=3, random_seed=s) for s in (1, 1, 2))
    assert np.array_equal(a.outcome, b.outcome)
    assert a.parameters.equals(b.parameters)
    assert not np.array_equal(a.outcome, c.outcome)
    assert not np.array_equal(model.simulate(draws=1).outcome, model.simulate(draws=1).outcome)


PRIORS = {
    "x": (mm.prior.student(5, 0.2, 0.5), stats.t(5, 0.2, 0.5)),
    "member.w.b1": (mm.prior.uniform(-0.5, 1.5), stats.uniform(-0.5, 2.0)),
    "member.sd": (mm.prior.half_normal(0.7), stats.halfnorm(scale=0.7)),
    "unit.sd": (mm.prior.exponential(2.0), stats.expon(scale=0.5)),
    "sigma": (mm.prior.gamma(3.0, 2.0), stats.gamma(3.0, scale=0.5)),
}


@pytest.fixture(scope="module")
def prior_predictive(data):
    priors = {k: p for k, (p, _) in PRIORS.items()} | {"Intercept": mm.prior.normal(1.0, 0.3)}
    return mm.Model(FORMULA.format(rule="group"), data, priors=priors).prior_predictive(1500, random_seed=3)


@pytest.mark.parametrize("name", PRIORS)
def test_prior_predictive_draws_parameters_from_their_priors(prior_predictive, name):
    assert stats.kstest(prior_predictive.parameters[name], PRIORS[name][1].cdf).pvalue > 1e-4


def test_the_prior_of_the_intercept_is_at_mean_covariates(prior_predictive, data):
    p = prior_predictive.parameters
    first = data.groupby("group").first()
    n = data.groupby("group")["member"].transform("size")
    z = (data["z"] / n).groupby(data["group"]).sum().mean()  # at the starting weights
    at_mean = p["Intercept"] + p["x"] * first["x"].mean() + p["member.z"] * z
    assert stats.kstest(at_mean, stats.norm(1.0, 0.3).cdf).pvalue > 1e-4


def test_draws_of_the_prior_predictive_differ_in_their_effects(prior_predictive):
    p, u = prior_predictive.parameters, prior_predictive.effects["member"].to_numpy()
    standard = u / p[["member.sd"]].to_numpy()
    assert stats.kstest(standard.ravel(), stats.norm.cdf).pvalue > 1e-4


def test_parameters_that_are_not_named_come_from_their_priors(data):
    out = mm.Model(FORMULA.format(rule="group"), data).simulate({"sigma": 0.1}, draws=50, random_seed=1)
    assert (out.parameters["sigma"] == 0.1).all()
    assert out.parameters["x"].nunique() == 50


REFUSED = {
    "an unknown name": ({"sigm": 1.0}, None, "no parameter 'sigm'.*did you mean 'sigma'"),
    "no number": ({"x": np.nan}, None, "finite"),
    "a negative sd": ({"sigma": -1.0}, None, "positive"),
    "a flat prior": ({}, "flat", "flat prior"),
    "a flat prior of one": ({}, {"x": "flat"}, "'x' has a flat prior"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_simulated_is_an_error(data, case):
    values, priors, match = REFUSED[case]
    model = mm.Model(FORMULA.format(rule="group"), data, priors=priors)
    with pytest.raises(mm.ModelError, match=match):
        model.simulate(values)


def test_a_flat_prior_is_no_trouble_where_a_value_is_given(data):
    out = mm.Model(FORMULA.format(rule="group"), data, priors="flat").simulate(VALUES, random_seed=1)
    assert np.isfinite(out.outcome).all()


def test_where_rows_are_groups_outcomes_come_in_the_order_of_the_rows(rng):
    frame = pd.DataFrame({"x": rng.standard_normal(30), "y": rng.standard_normal(30)})
    out = mm.Model("y ~ x", frame).simulate({"Intercept": 1.0, "x": 2.0, "sigma": 1e-6}, draws=2, random_seed=1)
    assert out.outcome[1] == pytest.approx((1 + 2 * frame["x"]).to_numpy(), abs=1e-4)
    assert out.groups is None


def test_a_simulated_outcome_can_be_fitted_again(data):
    model = mm.Model("y ~ x", data.groupby("group").first().reset_index())
    out = model.simulate({"Intercept": 1.0, "x": 2.0, "sigma": 0.01}, random_seed=1)
    again = mm.fit("y ~ x", data.groupby("group").first().reset_index().assign(y=out.outcome[0]), engine="ml")
    assert again.params["x"] == pytest.approx(2.0, abs=0.05)
