"""``id=``: effects of several linear predictors with one covariance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines.joint import log_joint
from micromacro.engines.marginals import laplace_marginal
from micromacro.numerics.differences import central


def outcomes(table, formula, truth, **asked):
    some = (table["g"] if "g" in table else np.arange(len(table))) % 5
    made = mm.Model(formula, table.assign(y=some), **asked).simulate(truth, random_seed=2)
    return table.assign(y=made.outcome[0] if made.groups is None else made.outcome[0][table["g"]])


@pytest.fixture(scope="module")
def units():
    rng = np.random.default_rng(8)
    table = pd.DataFrame({"v": rng.standard_normal(320), "c": [f"c{k % 32:02d}" for k in range(320)]})
    table["kind"] = np.where(np.arange(320) % 2, "odd", "even")
    truth = {
        "Intercept": 1.0,
        "v": 0.5,
        "c.sd": 0.8,
        "sigma.Intercept": -0.3,
        "sigma.c.sd": 0.6,
        "c.cor.1.sigma.1": 0.7,
    }
    return outcomes(table, "y ~ v + (1 | c, id=a)", truth, sigma="~ (1 | c, id=a)")


@pytest.fixture(scope="module")
def members():
    rng = np.random.default_rng(9)
    rows = [(g, m) for g in range(220) for m in rng.choice(24, rng.integers(1, 4), replace=False)]
    table = pd.DataFrame(rows, columns=["g", "m"])
    table["x"] = rng.standard_normal(len(table))
    truth = {
        "Intercept": 0.0, "m.sd": 0.8, "sigma.Intercept": -0.5, "sigma.m.w.x": 0.5, "sigma.m.sd": 0.6,
        "m.cor.1.sigma.1": 0.5,
    }  # fmt: skip
    return outcomes(table, "y ~ mm(m, g, id=a)", truth, sigma="~ mm(m, g, weights = softmax(x), id=a)")


CASES = {
    "units": ("units", "y ~ v + (1 | c, id=a)", "~ (1 | c, id=a)"),
    "slopes": ("units", "y ~ v + (1 + v | c, id=a)", "~ v + (1 | c, id=a)"),
    "types": ("units", "y ~ v + (1 | c, id=a, by=kind)", "~ (1 | c, id=a, by=kind)"),
    "members": ("members", "y ~ mm(m, g, id=a)", "~ mm(m, g, weights = softmax(x), id=a)"),
}


@pytest.fixture(scope="module", params=list(CASES))
def fit(request):
    data, formula, sigma = CASES[request.param]
    return mm.fit(formula, request.getfixturevalue(data), sigma=sigma, engine="ml")


def test_its_gradient_is_that_of_differences(fit):
    s = fit.specification
    marginal = laplace_marginal(s, held=True)
    room, optimum = marginal.workspace(), fit.posterior.optimum
    point = np.concatenate([optimum.theta, optimum.x[s.system.n_effects :]]) * 0.95 + 0.01
    _, slope = marginal.gradient(point, room)
    for k in range(len(point)):
        away = central(lambda h, k=k: marginal.value(point + h * (np.arange(len(point)) == k), room), 1e-4)
        assert slope[k] == pytest.approx(away, rel=1e-5, abs=5e-5)


def test_prediction_and_a_saved_fit_are_the_fit(fit, tmp_path):
    s, order = fit.specification, fit.posterior.optimum
    np.testing.assert_allclose(fit.predict()["estimate"], fit.fitted(), rtol=1e-10)
    own = s.own(order.theta, order.x)
    np.testing.assert_allclose(np.sort(fit.predict(dpar="sigma")["estimate"]), np.sort(own[0]), rtol=1e-10)
    fit.save(tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc")
    assert again.loglik == fit.loglik
    pd.testing.assert_frame_equal(again.predict(dpar="sigma"), fit.predict(dpar="sigma"))


@pytest.mark.slow
def test_nuts_has_the_same_density(fit):
    jax = pytest.importorskip("jax")
    from micromacro.engines.nuts.density import Joint
    from micromacro.engines.nuts.engine import double_precision

    s, rng = fit.specification, np.random.default_rng(0)
    theta = fit.posterior.optimum.theta * rng.uniform(0.7, 0.9, len(fit.posterior.optimum.theta))
    x = 0.5 * rng.standard_normal(s.system.size)
    with double_precision(), jax.disable_jit():
        told = float(Joint(s).log_density(jax.numpy.asarray(theta), jax.numpy.asarray(x)))
    assert told == pytest.approx(log_joint(s, theta, x), rel=1e-10)


def test_the_correlation_is_recovered(units):
    asked = {"sigma": "~ (1 | c, id=a)"}
    fit = mm.fit("y ~ v + (1 | c, id=a)", units, engine="ml", **asked)
    assert fit.params["c.cor.1.sigma.1"] == pytest.approx(0.7, abs=0.3)
    apart = mm.fit("y ~ v + (1 | c)", units, engine="ml", sigma="~ (1 | c)")
    assert fit.loglik > apart.loglik + 2.0
    held = mm.fit("y ~ v + (1 | c, id=a)", units, engine="ml", fixed={"c.cor.1.sigma.1": 0.0}, **asked)
    assert held.loglik == pytest.approx(apart.loglik, abs=1e-6)  # without correlation it is the other model


def test_terms_of_different_predictors_are_not_the_same(units):
    """check() compares the effects of terms within a linear predictor."""
    for formula, sigma in (("y ~ v + (1 | c)", "~ (1 | c)"), ("y ~ v + (1 | c, id=a)", "~ (1 | c, id=a)")):
        assert "can distinguish everything" in str(mm.Model(formula, units, sigma=sigma).check())
    with pytest.raises(mm.EngineError, match="reml is for Gaussian outcomes whose likelihood is exact"):
        mm.fit("y ~ v", units, sigma="~ (1 | c)", engine="reml")


def test_its_words(units):
    told = mm.Model("y ~ v + (1 | c, id=a)", units, sigma="~ v + (1 | c, id=a)").explain()
    assert "correlations c.cor.1.sigma.1" in told
    assert "+ u_c[c[i]]" in told
    assert "u_sigma.c[c[i]]" in told
    assert "units c: 32" in told


@pytest.mark.parametrize(
    ("formula", "sigma", "words"),
    [
        ("y ~ v + (1 + v || c, id=a)", "~ (1 | c, id=a)", "one covariance"),
        ("y ~ v + (1 | c, effects = ar1(v), id=a)", "~ (1 | c, id=a)", "one covariance"),
        ("y ~ v + (1 | c, id=a, by=kind)", "~ (1 | c, id=a)", "give 'c' and 'sigma.c' the same by="),
    ],
)
def test_what_has_no_one_covariance_is_said(units, formula, sigma, words):
    with pytest.raises(mm.ModelError, match=words):
        mm.Model(formula, units, sigma=sigma)


def test_types_have_covariances_of_their_own(units):
    """The likelihood is the product of those of each type alone; a unit that is not there has the type it is given."""
    fit = mm.fit("y ~ v + (1 | c, id=a, by=kind)", units, engine="ml", sigma="~ (1 | c, id=a, by=kind)")
    common = {name: fit.params[name] for name in ("Intercept", "v", "sigma.Intercept")}
    for word, own in units.groupby("kind"):
        one = mm.fit("y ~ v + (1 | c, id=a)", own, engine="ml", sigma="~ (1 | c, id=a)", fixed=common)
        for name in ("c.sd", "sigma.c.sd", "c.cor.1.sigma.1"):
            assert fit.params[f"{name}[{word}]"] == pytest.approx(one.params[name], abs=1e-4)
    new = fit.predict(pd.DataFrame({"v": 0.0, "c": ["x", "y"], "kind": ["odd", "even"]}))
    sds = fit.params[["c.sd[odd]", "c.sd[even]"]].to_numpy()
    np.testing.assert_allclose(new["se"], np.hypot(sds, fit.bse["Intercept"]), rtol=0.02)
    with pytest.raises(mm.DataError, match="for which the fit has no standard deviation"):
        fit.predict(pd.DataFrame({"v": 0.0, "c": ["x"], "kind": ["new"]}))
