"""Models with features, fitted by every engine: predictions, saved fits and simulations against plain loops."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.terms.member.aggregate import AGGREGATES, MEAN

_spec = importlib.util.spec_from_file_location("aggregates_plain", Path(__file__).with_name("plain.py"))
plain = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(plain)

#: A row of the oracle's table, the family and the engine.
FITS = [
    ("smax", "poisson", "ml"), ("cov", "bernoulli", "ml"), ("gmean", "weibull", "ml"),
    ("entropy", "poisson", "laplace"), ("var", "bernoulli", "laplace"), ("B1:B2 of features", "weibull", "laplace"),
    ("threshold", "poisson", "mcmc"), ("B:z", "bernoulli", "mcmc"), ("E with shapes", "weibull", "mcmc"),
]  # fmt: skip
MORE_FITS = [
    ("max", "poisson", "ml"), ("hhi", "weibull", "ml"), ("min", "bernoulli", "laplace"), ("effn", "weibull", "laplace"),
    ("moment", "poisson", "mcmc"), ("sum in the group", "weibull", "mcmc"),
]  # fmt: skip
SLOWLY = [pytest.param(*row, marks=pytest.mark.slow) for row in MORE_FITS]


def model(row, family, penalised=False):
    """A row's model of outcomes that it simulated itself; weights and shapes with priors in `ml`, if penalised."""
    left = plain.FAMILIES[family][0]
    text = f"{left} ~ u + {plain.ROWS[row].blocks} + (1 | maj)"
    first = mm.Model(text, plain.DATA, family=family)
    truth = {name: 1.2 if name.endswith("kappa") else 0.4 for name in first.specification.names} | {"shape": 1.5}
    truth = {name: truth[name] for name in first.specification.names}
    made = first.simulate(truth, random_seed=3)
    of_group = pd.Series(made.outcome[0], index=made.groups)
    column = {"poisson": "count", "bernoulli": "yes", "weibull": "t"}[family]
    data = plain.DATA.assign(**{column: plain.DATA["g"].map(of_group)})
    if not penalised:
        return mm.Model(text, data, family=family)
    priors = {p.name: p.prior for p in first.specification.system.hypers if p.kind in ("w", "aggregate")}
    return mm.Model(text, data, family=family, priors=priors)


def test_the_table_of_fits_has_every_aggregate_and_every_family_with_every_engine():
    assert {plain.ROWS[row].words for row, _, _ in FITS + MORE_FITS} == {*AGGREGATES, MEAN, "sum", "interaction"}
    assert len({(family, engine) for _, family, engine in FITS}) == 3 * len(plain.FAMILIES)


@pytest.mark.parametrize(("row", "family", "engine"), FITS + SLOWLY)
def test_a_fit_predicts_other_groups_and_survives_on_disk(row, family, engine, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)  # of short runs
        fit = model(row, family, True).fit(engine, draws=50, tune=50, chains=2, random_seed=2, progress=False)
    new = plain.make(12, seed=9).drop(columns=["count", "yes", "t", "event"])
    oracle = plain.Plain(plain.ROWS[row], new, {p.name: p.start for p in fit.specification.system.hypers})
    names, column = list(fit.params.index), "estimate" if engine == "ml" else "mean"
    draws = [fit.params.to_numpy()] if engine == "ml" else fit.posterior.draws.reshape(-1, len(names))
    effects = {b: effects_of(fit, b, engine, len(draws)) for b in (*plain.ROWS[row].effects, "maj")}
    want = np.mean(
        [
            oracle.linear(dict(zip(names, d, strict=True)), {b: e.iloc[k] for b, e in effects.items()})
            for k, d in enumerate(draws)
        ],
        axis=0,
    )
    np.testing.assert_allclose(fit.predict(new, kind="linear")[column], want, rtol=1e-8, atol=1e-8)
    fit.save(tmp_path / "fit.nc")
    loaded = mm.load(tmp_path / "fit.nc")
    fresh = new.assign(member=new["member"] + 8)  # members of whom the fit knows some
    pd.testing.assert_frame_equal(loaded.summary(), fit.summary(), check_exact=True)
    pd.testing.assert_frame_equal(loaded.weights(), fit.weights(), check_exact=True)
    for kind in ("linear", "mean", "response") if engine == "mcmc" else ("linear", "mean"):
        once, again = (f.predict(fresh, kind=kind, random_seed=1) for f in (fit, loaded))
        pd.testing.assert_frame_equal(again, once, check_exact=True)
    assert loaded.report() == fit.report()


def effects_of(fit, name, engine, count):
    """Effects (draws, ids); all the same where there are no draws."""
    if engine == "ml":
        return pd.DataFrame([fit.random_effects(name)["estimate"]] * count)
    effect = fit.to_datatree(log_likelihood=False, posterior_predictive=False, prior=False).posterior[f"{name}.effect"]
    ids = effect[f"{name}_id"].to_numpy()
    return pd.DataFrame(effect.to_numpy().reshape(count, -1), columns=ids)


def test_weights_that_run_off_are_reported():
    """The likelihood of these 40 groups rises until one member has all weight, and is flat along b1 / p."""
    with warnings.catch_warnings():  # rounding decides whether there is a curvature at all
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        fit = model("gmean", "weibull").fit("ml")
    assert abs(fit.params["B.w.b1"]) > 100.0
    assert any("B.w.b1" in said or "B.gmean.p" in said for said in fit.health.troubles + fit.health.remarks)
    assert np.isfinite(fit.bse["u"])


@pytest.mark.parametrize("row", plain.ROWS)
def test_simulated_linear_predictors_are_those_of_plain_loops(row):
    m = mm.Model(f"count ~ u + {plain.ROWS[row].blocks} + (1 | maj)", plain.DATA, family="poisson")
    made = m.simulate(draws=3, random_seed=5)
    oracle = plain.Plain(plain.ROWS[row], plain.DATA, {p.name: p.start for p in m.specification.system.hypers})
    for k in range(3):
        effects = {name: table.iloc[k] for name, table in made.effects.items()}
        want = oracle.linear(made.parameters.iloc[k].to_dict(), effects)
        np.testing.assert_allclose(made.linear_predictor[k], want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("family", plain.FAMILIES)
def test_simulated_outcomes_have_the_family_s_mean_at_the_predictor(family):
    """Sums of standardised residuals of 400 data sets are within 4 standard errors of zero."""
    m = model("smax", family)
    values = {name: 1.2 if name.endswith("kappa") else 0.3 for name in m.specification.names}
    made = m.simulate(values, draws=400, random_seed=7)
    own = np.array([values["shape"]]) if family == "weibull" else np.empty(0)
    f = m.specification.family
    z = (made.outcome - f.mean(made.linear_predictor, own, None)) / np.sqrt(
        f.variance(made.linear_predictor, own, None)
    )
    assert abs(z.mean()) < 4.0 * z.std() / np.sqrt(z.size)
