"""Maxima with directions in which the likelihood is flat: what is determined keeps its standard error."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines.search import Peak


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame({"k": list("abc") * 20, "x": rng.normal(size=60), "y": rng.poisson(2, 60)})


def quiet(formula, data, family, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        return mm.fit(formula, data, family=family, engine="ml", **options)


OUTCOMES = {
    "poisson": lambda d: d["y"] * (d["k"] != "c"),
    "negative_binomial": lambda d: (d["y"] ** 2) * (d["k"] != "c"),
    "bernoulli": lambda d: (d["y"] > 1) * (d["k"] != "c"),
}


@pytest.mark.parametrize("formula", ["y ~ C(k)", "y ~ 0 + C(k)"])
@pytest.mark.parametrize("family", OUTCOMES)
def test_a_category_without_events_leaves_the_others_what_they_are_without_it(frame, family, formula):
    data = frame.assign(y=OUTCOMES[family](frame))
    fit, without = quiet(formula, data, family), quiet(formula, data[data["k"] != "c"], family)
    others = [n for n in without.params.index if n != "phi"]
    np.testing.assert_allclose(fit.bse[others], without.bse[others], rtol=1e-3)
    one, other = (f.predictions(by="k").set_index("k")[["estimate", "se"]] for f in (fit, without))
    np.testing.assert_allclose(one.loc[["a", "b"]], other, rtol=1e-3)
    assert any(t.code == "separated" and "C(k)[" in t for t in fit.health.troubles)


def test_an_ordinal_outcome_that_a_covariate_separates_is_warned_of(frame):
    cut = pd.cut(frame["x"], [-10, -0.5, 0.5, 10], labels=["low", "mid", "high"])
    with pytest.warns(mm.MicromacroWarning, match="separated: .* x, cut.1, cut.2 move together"):
        mm.fit("y ~ x", frame.assign(y=cut), family="ordinal", engine="ml")


def test_a_coefficient_at_its_bound_leaves_the_intercept_its_standard_error():
    rng = np.random.default_rng(1)
    data = pd.DataFrame(rng.normal(size=(60, 2)), columns=["x", "z"])
    data["y"] = 1.0 - data["x"] + data["z"] + rng.normal(size=60)
    bound = quiet("y ~ x + z", data, "gaussian", priors={"x": mm.prior.half_normal(10), "default": "flat"})
    without = quiet("y ~ z", data, "gaussian")
    assert bound.params["x"] == 0.0 and np.isnan(bound.bse["x"])
    for name in ("Intercept", "z", "sigma"):
        assert bound.bse[name] == pytest.approx(without.bse[name], rel=1e-3)


def test_a_flat_direction_is_taken_out_of_the_covariance():
    """A quadratic in u1 + u2 and u3: what these determine has its variance, u1 and u2 have none."""
    a = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    peak = Peak(np.zeros(3), 0.0, np.zeros(3), -a.T @ a, np.ones(3, dtype=bool))
    covariance, flat = peak.spread()
    together = np.array([1.0, 1.0, 0.0])
    assert together @ covariance @ together == pytest.approx(1.0)
    assert covariance[2, 2] == pytest.approx(0.25)
    assert np.abs(flat[:, 0]) == pytest.approx([np.sqrt(0.5), np.sqrt(0.5), 0.0], abs=1e-7)
    assert np.isnan(np.diag(peak.covariance())).tolist() == [True, True, False]


def test_a_hypothesis_of_what_is_not_determined_says_so(frame):
    fit = quiet("y ~ C(k)", frame.assign(y=OUTCOMES["poisson"](frame)), "poisson")
    with pytest.raises(mm.EngineError, match=r"does not determine C\(k\)\[T.c\]"):
        fit.hypothesis("`C(k)[T.c]` = 0")


def test_an_estimate_far_from_zero_stays_where_the_likelihood_is_highest():
    """Whether it ran off is asked at half and at twice its value."""
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"g": np.repeat(np.arange(120), 3), "m": rng.integers(0, 20, 360)})
    data["s"], data["x"] = 0.2 * rng.normal(size=360), rng.normal(size=360)
    w = np.exp(8.0 * data["s"])
    data["y"] = (w * data["x"] / w.groupby(data["g"]).transform("sum")).groupby(data["g"]).transform("sum")
    data["y"] += 0.2 * rng.normal(size=120)[data["g"]]
    formula = "y ~ mm(m, g, x, weights = softmax(s), normalize = group, effects = none)"
    fit = quiet(formula, data, "gaussian")
    estimate, se = fit.params["m.w.s"], fit.bse["m.w.s"]
    assert estimate == pytest.approx(8.0, abs=4 * se) and fit.health.ok
    assert quiet(formula, data, "gaussian", fixed={"m.w.s": estimate}).loglik == pytest.approx(fit.loglik, abs=1e-9)
    for way in (-1, 1):
        assert quiet(formula, data, "gaussian", fixed={"m.w.s": estimate + way * 0.3 * se}).loglik < fit.loglik - 0.01
