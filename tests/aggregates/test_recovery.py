"""Truth recovered from simulated outcomes for every aggregate; mcmc against nuts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.errors import MicromacroWarning
from micromacro.terms.member.aggregate import AGGREGATES

CASES = {
    "var": (", x", "var", {"B.var.x": 1.0}),
    "moment": (", x", "moment(3)", {"B.moment.x": 0.8}),
    "hhi": ("", "hhi", {"B.hhi": 4.0}),
    "effn": ("", "effn", {"B.effn": 0.6}),
    "entropy": ("", "entropy", {"B.entropy": 1.5}),
    "threshold": (", x", "threshold(c, kappa)", {"B.threshold.x": 3.0, "B.threshold.c": 0.4, "B.threshold.kappa": 3.0}),
    "smax": (", x", "smax(kappa)", {"B.smax.x": 1.2, "B.smax.kappa": 2.0}),
    "gmean": (", z", "gmean(p)", {"B.gmean.z": 1.5, "B.gmean.p": -1.0}),
    "max": (", x", "max", {"B.max.x": 1.0}),
    "min": (", x", "min", {"B.min.x": 1.0}),
    "cov": (", x + s", "cov", {"B.cov.x.s": 1.5}),
    "E": ("", "log(E(exp(a * x)))", {"B.E": 1.0, "B.a": 1.5}),
}
TRUTH = {"Intercept": 0.5, "u": 0.7, "sigma": 0.3, "B.w.b1": 0.8}


def table(groups, seed=11):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), rng.integers(2, 9, groups))
    m = len(g)
    return pd.DataFrame(
        {
            "g": g, "member": rng.integers(0, 60, m), "x": rng.normal(size=m), "z": np.exp(0.8 * rng.normal(size=m)),
            "s": rng.normal(size=m), "u": rng.normal(size=groups)[g], "y": rng.normal(size=groups)[g],
        }
    )  # fmt: skip


def simulated(case, groups):
    covariates, aggregate, own = CASES[case]
    weights = "exp(b1 * s)" if case not in ("max", "min") else "1"
    text = f"y ~ 1 + u + mm(member, g{covariates}, weights = {weights}, aggregate = {aggregate}, name = B)"
    data, truth = table(groups), {**TRUTH, **own}
    model = mm.Model(text, data)
    truth = {k: v for k, v in truth.items() if k in model.specification.names}
    data["y"] = model.simulate(truth, random_seed=4).outcome[0][data["g"]]
    return text, data, truth


def test_every_aggregate_has_its_case():
    assert set(AGGREGATES) <= set(CASES)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_ml_recovers_the_truth(case):
    text, data, truth = simulated(case, 300)
    fit = mm.fit(text, data, engine="ml")
    assert set(truth) == set(fit.params.index)
    off = (fit.params - pd.Series(truth)) / fit.bse
    assert off.abs().max() < 3.5, off
    assert fit.bse.max() < 1.0


@pytest.mark.slow
@pytest.mark.parametrize("case", ["smax", "threshold"])
def test_mcmc_agrees_with_nuts(case):
    pytest.importorskip("jax")
    text, data, _ = simulated(case, 60)
    run = {"draws": 1500, "tune": 500, "chains": 2, "random_seed": 3, "progress": False}
    a, b = (mm.fit(text, data, engine=e, **run).summary() for e in ("mcmc", "nuts"))
    error = np.hypot(a["mcse_mean"], b["mcse_mean"])
    assert ((a["mean"] - b["mean"]).abs() / error).max() < 4.5
    assert (a["sd"] / b["sd"]).to_numpy() == pytest.approx(np.ones(len(a)), abs=0.15)


@pytest.mark.slow
def test_a_shape_that_the_data_do_not_inform_is_reported():
    """Without an effect of the feature, the likelihood is flat in its shape."""
    data = table(80)
    fit = mm.fit("y ~ 1 + mm(member, g, x, aggregate = smax(kappa), name = B)", data, engine="ml")
    words = " ".join((*fit.health.remarks, *fit.health.troubles))
    assert "B.smax.kappa" in words or "local maxima" in words


@pytest.mark.slow
def test_mirrored_maxima_are_reported():
    """b tanh(a z) is (-b) tanh(-a z)."""
    data = table(200)
    text = "y ~ 1 + mm(member, g, aggregate = E(x * tanh(a * z)), name = B)"
    model = mm.Model(text, data)
    truth = {"Intercept": 0.0, "B.E": 1.5, "B.a": 0.8, "sigma": 0.3}
    data["y"] = model.simulate(truth, random_seed=4).outcome[0][data["g"]]
    with pytest.warns(MicromacroWarning, match="equally likely"):
        fit = mm.fit(text, data, engine="ml")
    assert not fit.health.ok
