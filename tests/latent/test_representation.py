"""The likelihood is the same whichever matrix is factorised: its value, slopes, effects and their variances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines.marginals import marginal_of, with_factor
from micromacro.errors import EngineError
from micromacro.numerics import symbolic

OUTCOMES = {
    "gaussian": lambda eta, r: eta + 0.5 * r.standard_normal(len(eta)),
    "student": lambda eta, r: eta + r.standard_t(3, len(eta)),
    "bernoulli": lambda eta, r: (r.random(len(eta)) < 1 / (1 + np.exp(-eta))).astype(int),
    "poisson": lambda eta, r: r.poisson(np.exp(np.clip(eta, -3, 2))),
    "negative_binomial": lambda eta, r: r.poisson(np.exp(np.clip(eta, -3, 2)) * r.gamma(2.0, 0.5, len(eta))),
    "gamma": lambda eta, r: np.exp(eta) * r.gamma(3.0, 1 / 3, len(eta)),
    "beta": lambda eta, r: np.clip(1 / (1 + np.exp(-eta)) + 0.05 * r.standard_normal(len(eta)), 0.02, 0.98),
    "ordinal": lambda eta, r: 1 + (eta > -0.5).astype(int) + (eta + r.standard_normal(len(eta)) > 0.7),
    "weibull": lambda eta, r: np.exp(eta) * r.weibull(1.5, len(eta)),
}
FORMULAS = {
    "few groups, many members": "y ~ z + mm(m, g, x, weights = power(x), normalize = group)",
    "units too": "y ~ z + (1 | c) + mm(m, g, weights = 1 / n ** exp(-b * x), normalize = total)",
    "slopes of members": "y ~ 1 + mm(m, g, effects = correlated(1 + x), normalize = group)",
}


def data(family: str) -> pd.DataFrame:
    """Forty groups, one of which has sixty members."""
    r = np.random.default_rng(3)
    g = np.concatenate([np.repeat(np.arange(39), 3), np.full(60, 39)])
    m = np.concatenate([r.integers(0, 80, 117), r.choice(80, 60, replace=False)])
    z, u, c = r.standard_normal(40), r.standard_normal(80), r.integers(0, 6, 40)
    eta = 0.5 * z + np.bincount(g, u[m]) / np.bincount(g)
    y = OUTCOMES[family](eta, r)
    return pd.DataFrame({"g": g, "m": m, "x": r.standard_normal(len(g)), "z": z[g], "c": c[g], "y": y[g]})


def specification(formula: str, family: str):
    written = formula.replace("y ~", "surv(y) ~") if family == "weibull" else formula
    return mm.Model(written, data(family), family=family, priors="flat").specification


def everything(s, side: str | None, maximised: bool, theta_scale: float) -> dict[str, np.ndarray]:
    """What a likelihood says at a point."""
    marginal = marginal_of(with_factor(s, side), maximised, searched=True)
    s = replace(s, system=marginal.system)
    room = marginal.workspace()
    theta = np.array([p.start for p in s.system.hypers])
    free = np.array([p.kind in ("sd", "w") for p in s.system.hypers])
    theta[free] = theta_scale * theta[free] + 0.1
    x = np.zeros(s.system.size)
    x[s.system.n_effects :] = [p.start for p in s.system.coefficients]
    value, gradient = marginal.gradient(marginal.point(theta, x), room)
    rng = np.random.default_rng(5)
    return {
        "value": np.array(value), "gradient": gradient, "x": marginal.x(room),
        "variance": marginal.conditional_variance(room), "coefficients": marginal.coefficient_covariance(room),
        "draw": marginal.draw(room, rng.standard_normal(s.system.size)),
    }  # fmt: skip


@pytest.mark.parametrize("family", ["gaussian", "bernoulli", "student"])
@pytest.mark.parametrize("formula", ["few groups, many members", "units too"])
def test_long_rows_as_a_border_give_the_same_numbers(monkeypatch, formula, family):
    """The group of sixty members is a border of the matrix of the effects."""
    whole = specification(FORMULAS[formula], family)
    monkeypatch.setattr(symbolic, "HUGE", 20)
    monkeypatch.setattr(symbolic, "DENSE", 0.1)
    s = specification(FORMULAS[formula], family)
    assert s.system.symbolic.short is not None and whole.system.symbolic.short is None
    for maximised, scale in ((True, 1.0), (True, 0.1), (False, 1.5)):
        expected, found = everything(whole, "effects", maximised, scale), everything(s, None, maximised, scale)
        system = marginal_of(with_factor(s, None), maximised, searched=True).factor
        assert system.work < 3e6 and type(system).__name__ == "Bordered"
        for name in ("value", "gradient", "x", "variance", "coefficients"):
            size = np.abs(expected[name]).max(initial=1.0)
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, atol=1e-9 * size, err_msg=name)


@pytest.mark.parametrize("family", OUTCOMES)
@pytest.mark.parametrize("formula", FORMULAS)
def test_groups_and_effects_give_the_same_numbers(formula, family):
    s = specification(FORMULAS[formula], family)
    for maximised, scale in ((True, 1.0), (True, 0.1), (False, 1.5)):
        effects, groups = (everything(s, side, maximised, scale) for side in ("effects", "groups"))
        assert np.isfinite(effects["value"])
        for name, expected in effects.items():
            size = np.abs(expected).max(initial=1.0)
            np.testing.assert_allclose(groups[name], expected, rtol=1e-9, atol=1e-9 * size, err_msg=name)


def test_the_side_with_fewer_operations_is_taken_and_said():
    """Few groups of many members are a matrix of groups, many small ones of members, a huge one a border of it."""
    r = np.random.default_rng(0)
    rows = [(i, m) for i in range(60) for m in r.choice(1000, 150, replace=False)]
    wide = pd.DataFrame(rows, columns=["g", "m"])
    wide["x"], wide["y"] = r.normal(size=len(wide)), r.normal(size=60)[wide.g]
    formula = "y ~ 1 + mm(m, g, weights = power(x), normalize = group)"
    text = str(mm.Model(formula, wide).explain())
    assert "ml and reml factorise a matrix of the 60 groups" in text and "of the 1,000 effects would take" in text
    rows = [(i, m) for i in range(300) for m in r.choice(1000, 2, replace=False)] + [(300, m) for m in range(1000)]
    long = pd.DataFrame(rows, columns=["g", "m"])
    long["x"], long["y"] = r.normal(size=len(long)), r.normal(size=301)[long.g]
    assert "1,000 effects (rows of very many effects kept aside: 1)" in str(mm.Model(formula, long).explain())
    small = data("gaussian")
    assert " effects, " in str(mm.Model(FORMULAS["few groups, many members"], small).explain()).split("factorise")[1]
    fits = [mm.fit(formula, small, engine="ml", factor=side) for side in (None, "effects", "groups")]
    for fit in fits[1:]:
        assert fit.loglik == pytest.approx(fits[0].loglik, rel=1e-9)
        np.testing.assert_allclose(fit.params, fits[0].params, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(fit.random_effects()["se"], fits[0].random_effects()["se"], rtol=1e-3)


@pytest.mark.parametrize(
    ("formula", "options", "message"),
    [
        (FORMULAS["slopes of members"], {"factor": "members"}, '"effects" or "groups"'),
        ("y ~ 1 + mm(m, g, effects = walk)", {"factor": "groups"}, "independent of each other"),
        (FORMULAS["slopes of members"], {"factor": "groups", "engine": "mcmc"}, "not for mcmc"),
    ],
)
def test_a_side_that_cannot_be_had_is_refused(formula, options, message):
    with pytest.raises(EngineError, match=message):
        mm.fit(formula, data("gaussian"), **{"engine": "ml"} | options)
