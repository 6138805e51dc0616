"""Where searches begin (``start=``), what they cost, and names in any case."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

FORMULA = "y ~ x + mm(member, group, z, weights = power(s), normalize = group) + (1 | unit)"
RUN = {"draws": 40, "tune": 20, "chains": 2, "random_seed": 1}
ENGINES = ["ml", "reml", "laplace", "mcmc"]


@pytest.fixture(scope="module")
def bent():
    """A location in the weights that the likelihood has at two places, the higher one at -1, downhill from zero."""
    rng = np.random.default_rng(5)
    s = np.linspace(-2.0, 2.0, 160)
    y = 1.0 / (1 + 25 * (s + 1.0) ** 2) + 0.935 / (1 + 25 * (s - 1.0) ** 2) + 0.1 * rng.standard_normal(160)
    return pd.DataFrame({"group": range(160), "member": np.arange(160) % 8, "s": s, "z": 1.0, "y": y})


BENT = "y ~ 0 + mm(member, group, z, weights = 1 / (1 + 25 * (s - c)^2), normalize = none, effects = none)"


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_takes_a_start_and_ends_where_it_ended_before(quick, data, engine):
    run = {} if engine in ("ml", "reml") else RUN
    usual = quick(FORMULA, data, engine, **run)
    start = {"MEMBER.W.S": 0.3, "member.sd": 0, "unit.sd": np.float32(0.7), "Sigma": 1, "intercept": 2}
    fit = quick(FORMULA, data, engine.upper(), start=start, **run)
    if engine in ("ml", "reml"):
        assert fit.loglik == pytest.approx(usual.loglik, abs=1e-6)
        assert quick(FORMULA, data, engine, start=fit.params).loglik == pytest.approx(usual.loglik, abs=1e-6)
    else:
        assert fit._outcome.draws.peaks[0] == pytest.approx(usual._outcome.draws.peaks[0], abs=1e-5)


def test_a_start_is_where_the_first_search_begins(bent):
    fit = mm.fit(BENT, bent, engine="ml", start={"member.w.c": 0.9})
    assert fit.params["member.w.c"] == pytest.approx(-1.0, abs=0.05), (
        "the highest is reported wherever the search begins"
    )
    (note,) = (n for n in fit.health.remarks if n.code == "several-maxima")
    assert "member.w.c = 0.99" in note and "start=" in note and note.about[0] == "member.w.c"


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ({"member.w.z": 1}, "did you mean 'member.w.s'"),
        ({"unit.sd": -1}, "zero or positive"),
        ({"sigma": 0}, "must be positive"),
        ({"sigma": math.nan}, "finite number"),
        ({"sigma": "1"}, "finite number"),
        ({"sigma": True}, "finite number"),
        ({"x": 1, "X": 2}, "there twice"),
        ([("sigma", 1)], "dictionary"),
    ],
)
def test_what_a_start_cannot_be(data, start, words):
    with pytest.raises(mm.ModelError, match=words):
        mm.fit(FORMULA, data, engine="ml", start=start)


def test_a_start_outside_a_prior_or_beside_a_fixed_value_is_refused(data):
    priors = {"member.w.s": mm.prior.uniform(-1, 1)}
    with pytest.raises(mm.ModelError, match="allows only -1 to 1"):
        mm.fit(FORMULA, data, engine="ml", priors=priors, start={"member.w.s": 2})
    with pytest.raises(mm.ModelError, match="fixed at 1"):
        mm.fit(FORMULA, data, engine="ml", fixed={"sigma": 1}, start={"sigma": 2})


def test_correlations_and_cuts_of_a_start(quick):
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(12), 8)
    d = pd.DataFrame({"x": rng.normal(size=96), "z": rng.normal(size=96), "g": g})
    d["y"] = rng.normal(size=12)[g] * d["x"] + rng.normal(size=96)
    d["o"] = np.digitize(d["y"], [-0.7, 0.7])
    slopes = "y ~ x + (x + z | g)"
    usual = quick(slopes, d, "ml")
    for start in ({"g.cor.1.x": 1}, {"g.cor.1.x": -0.5, "g.sd.x": 0, "g.sd.z": 0}, usual.params):
        assert quick(slopes, d, "ml", start=start).loglik == pytest.approx(usual.loglik, abs=1e-5)
    with pytest.raises(mm.ModelError, match="positive definite"):
        mm.fit(slopes, d, engine="ml", start={"g.cor.1.x": 0.9, "g.cor.1.z": 0.9, "g.cor.x.z": -0.9})
    with pytest.raises(mm.ModelError, match="cut points rise"):
        mm.fit("o ~ x", d, family="ordinal", engine="ml", start={"cut.1": 3})
    ordinal = quick("o ~ x", d, "ml", family="ordinal")
    again = quick("o ~ x", d, "ml", family="ordinal", start=ordinal.params)
    assert again.loglik == pytest.approx(ordinal.loglik, abs=1e-6)


# -- names -------------------------------------------------------------------------------------------------------------


def test_names_of_priors_and_fixed_values_in_any_case_and_any_mapping(quick, data):
    held = {"MEMBER.W.S": np.int64(1), "Unit.SD": 0, "sigma": np.float32(0.5)}
    one = quick(FORMULA, data, "ml", fixed={"member.w.s": 1.0, "unit.sd": 0.0, "sigma": 0.5})
    for fixed in (held, pd.Series(held)):
        assert quick(FORMULA, data, "ml", fixed=fixed).loglik == one.loglik
    priors = {"SD": mm.prior.half_normal(1), "X": mm.prior.normal(0, 1)}
    one = quick(FORMULA, data, "ml", priors={"sd": mm.prior.half_normal(1), "x": mm.prior.normal(0, 1)})
    assert quick(FORMULA, data, "ml", priors=pd.Series(priors)).loglik == one.loglik
    for argument in ("fixed", "priors"):
        with pytest.raises(mm.ModelError, match=r"did you mean 'member.w.s'(.|\n)*unit.sd"):
            mm.fit(FORMULA, data, engine="ml", **{argument: {"Member.W.q": 1 if argument == "fixed" else "flat"}})


def test_a_name_in_another_case_is_its_own_where_there_is_one():
    rng = np.random.default_rng(1)
    d = pd.DataFrame({"x": rng.normal(size=40), "X": rng.normal(size=40)})
    d["y"] = d["x"] - d["X"] + rng.normal(size=40)
    fit = mm.fit("y ~ x + X", d, engine="ml", fixed={"x": 2})
    assert fit.params["x"] == 2 and fit.params["X"] < 0
    assert mm.fit("y ~ x + X", d, engine="ml", fixed={"x": 2, "X": 1}).params["X"] == 1


# -- what searches cost ------------------------------------------------------------------------------------------------

#: formula, family: evaluations that are enough (what they were before starts were looked at first, or fewer)
COST = {
    ("y ~ x", "gaussian"): 11,
    ("y ~ x + (1 | unit)", "gaussian"): 20,
    ("y ~ x + (x | unit)", "gaussian"): 60,
    ("y ~ x + mm(member, group, z)", "gaussian"): 19,
    (FORMULA, "gaussian"): 150,  # 122 before; now it finds a second maximum
    ("c ~ x + (1 | unit)", "poisson"): 68,
    ("c ~ x + mm(member, group, z, weights = power(s), normalize = group)", "poisson"): 160,  # it runs off
}


@pytest.mark.parametrize(("formula", "family"), list(COST), ids=[f"{f}-{f2}" for f, f2 in COST])
def test_ordinary_models_cost_no_more_evaluations_than_before(quick, data, formula, family):
    counts = data.assign(c=np.maximum(0, np.round(data["y"] + 3)).astype(int))
    fit = quick(formula, counts, "ml", family=family)
    assert 0 < fit.health.evaluations <= COST[formula, family], fit.health.evaluations


def test_a_large_model_has_fewer_starts(monkeypatch, data):
    from micromacro.engines.likelihood import maxima

    before = mm.fit(FORMULA, data, engine="ml").health.evaluations
    monkeypatch.setattr(maxima, "BUDGET", 1e3)  # as if one evaluation were a great deal of work
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert mm.fit(FORMULA, data, engine="ml").health.evaluations < 0.6 * before
