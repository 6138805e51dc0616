"""One face for both marginals: what a reader may ask is answered alike, whether the integral is exact or Laplace's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines.factor import value_at_maximum
from micromacro.engines.marginals import marginal_of
from micromacro.engines.registry import ENGINES, engine_of
from micromacro.errors import EngineError

RNG = np.random.default_rng(5)
FRAME = pd.DataFrame({"x": RNG.normal(size=60), "u": np.arange(60) % 8})
ETA = 0.4 * FRAME["x"] + 0.5 * RNG.normal(size=8)[FRAME["u"]]
FRAME["y"] = ETA + RNG.normal(size=60)
FRAME["k"] = RNG.poisson(np.exp(ETA))
CASES = {"gaussian": "y ~ x + (1 | u)", "poisson": "k ~ x + (1 | u)"}


@pytest.fixture(params=CASES)
def fit(request):
    return mm.fit(CASES[request.param], FRAME, family=request.param, engine="ml")


@pytest.mark.parametrize("maximised", [False, True])
def test_the_three_verbs_are_the_value_and_the_gradient_its_slope(fit, maximised):
    marginal = marginal_of(fit.specification, maximised)
    optimum = fit.posterior.outcome.optimum
    point, room = marginal.point(optimum.theta, optimum.x), marginal.workspace()
    assert marginal.set_theta(point, room) and marginal.update_factor(room)
    value, slope = marginal.gradient(point, room)
    assert marginal.read_value(room) == value == pytest.approx(marginal.value(point, room), rel=1e-13)
    for k, h in enumerate(1e-5 * np.maximum(1.0, np.abs(point))):
        step = np.eye(len(point))[k] * h
        difference = (marginal.value(point + step, room) - marginal.value(point - step, room)) / (2 * h)
        assert slope[k] == pytest.approx(difference, rel=1e-5, abs=1e-6), marginal.arguments[k].name


@pytest.mark.parametrize("maximised", [False, True])
def test_conditional_draws_have_the_conditional_mean_and_variance(fit, maximised):
    marginal = marginal_of(fit.specification, maximised)
    optimum = fit.posterior.outcome.optimum
    room, size = marginal.workspace(), marginal.system.size
    marginal.value(marginal.point(optimum.theta, optimum.x), room)
    mean = marginal.x(room)
    np.testing.assert_array_equal(marginal.draw(room, np.zeros(size)), mean)
    root = np.array([marginal.draw(room, z) - mean for z in np.eye(size)])
    covariance = root.T @ root
    np.testing.assert_allclose(np.diag(covariance), marginal.conditional_variance(room), rtol=1e-9, atol=1e-12)
    b = slice(marginal.system.n_effects, size)
    np.testing.assert_allclose(covariance[b, b], marginal.coefficient_covariance(room), rtol=1e-9, atol=1e-12)


def test_an_impossible_theta_has_no_value_and_no_slope(fit):
    marginal = marginal_of(fit.specification)
    for bad in (np.nan, np.inf):
        point = np.full(len(marginal.arguments), bad)
        value, slope = marginal.gradient(point, marginal.workspace())
        assert value == -np.inf and np.isnan(slope).all()


def test_the_likelihood_at_the_estimate_is_the_one_reported(fit):
    assert value_at_maximum(fit.posterior.outcome) == pytest.approx(fit.loglik, rel=1e-12)


def test_rows_say_what_an_engine_is():
    assert {n for n, row in ENGINES.items() if not row.priors} == {"ml", "reml"}
    assert {n for n, row in ENGINES.items() if row.restricted} == {"reml"}
    assert {n for n, row in ENGINES.items() if row.extends} == {"mcmc"}
    for row in ENGINES.values():
        assert row.draws or not (row.exact or row.chains or row.extends)
        assert row.title


def test_engines_have_names_in_any_case():
    assert engine_of("REML") is ENGINES["reml"]
    assert mm.fit("y ~ x", FRAME, engine="Ml").engine == "ml"
    with pytest.raises(EngineError, match="did you mean 'mcmc'"):
        engine_of("MCCM")
