"""Every family through the whole machine: simulate coalitions at known values, fit by mcmc, predict, report."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.families.registry import FAMILIES
from micromacro.results.verbs.predict import expected

GROUPS = 80
TERMS = "majority + mm(pid, gid, cohesion, weights = power(pseat), normalize = group) + (1 | cid)"
TRUTH = {"majority": 0.4, "pid.cohesion": -0.4, "pid.w.pseat": 1.0, "pid.sd": 0.6, "cid.sd": 0.3, "Intercept": 0.5}
#: The family's own parameters at which outcomes are simulated.
OWN = {
    "gaussian": {"sigma": 0.6},
    "student": {"sigma": 0.5, "nu": 5.0},
    "bernoulli": {},
    "binomial": {},
    "poisson": {},
    "negative_binomial": {"phi": 3.0},
    "beta_binomial": {"phi": 8.0},
    "zero_inflated_poisson": {"zi": 0.3},
    "zero_inflated_negative_binomial": {"phi": 3.0, "zi": 0.3},
    "hurdle_poisson": {"hu": 0.3},
    "hurdle_negative_binomial": {"phi": 3.0, "hu": 0.3},
    "gamma": {"shape": 4.0},
    "beta": {"phi": 10.0},
    "ordinal": {"cut.1": -0.6, "cut.2": 0.7},
    "weibull": {"shape": 1.5},
    "exponential": {},
    "lognormal": {"sigma": 0.6},
    "cox": {"baseline.1": -1.2, "baseline.2": -0.7, "baseline.3": -0.9, "baseline.4": -0.4},
}
#: What is fitted: every family in its plainest form, and one form of censoring each for the durations.
SMOKE = [
    (name, link, note)
    for name, link, note in (
        ("gaussian", "identity", ""),
        ("student", "identity", ""),
        ("bernoulli", "cloglog", ""),
        ("binomial", "probit", ""),
        ("poisson", "log", ""),
        ("negative_binomial", "log", ""),
        ("beta_binomial", "logit", ""),
        ("zero_inflated_poisson", "log", ""),
        ("zero_inflated_negative_binomial", "log", ""),
        ("hurdle_poisson", "log", ""),
        ("hurdle_negative_binomial", "log", ""),
        ("gamma", "log", ""),
        ("beta", "logit", ""),
        ("ordinal", "logit", ""),
        ("weibull", "log", "right"),
        ("exponential", "log", "entry"),
        ("lognormal", "identity", "interval"),
        ("cox", "log", "right"),
    )
]


@pytest.fixture(scope="module")
def coalitions():
    return mm.simulate.coalitions(GROUPS, 30, 6, random_seed=2).data


def outcome(case, columns):
    """The left side of the formula."""
    if case.form == "plain":
        return "c0"
    kind = f', type="{case.kind}"' if case.kind != "right" else ""
    return f"{case.form}({', '.join(columns)}{kind})"


def spread_out(table, case, columns):
    """Columns of groups (in order of their ids) onto the rows of memberships."""
    names = [f"c{k}" for k in range(len(columns))]
    position = np.searchsorted(np.unique(table["gid"]), table["gid"])
    return table.assign(**{n: np.asarray(c, dtype=float)[position] for n, c in zip(names, columns, strict=True)}), names


def simulated(case, table):
    """Formula and table with outcomes from the model at known values."""
    own = np.array(list(OWN[case.name].values()))
    rng = np.random.default_rng(5)
    eta = rng.standard_normal(GROUPS)
    any_outcome = case.observe(rng, case.simulate(eta, own, rng))
    data, names = spread_out(table, case, any_outcome)
    formula = f"{outcome(case, names)} ~ {TERMS}"
    model = mm.Model(formula, data, family=case.fitted)
    truth = {k: v for k, v in (TRUTH | OWN[case.name]).items() if k in model.specification.names}
    drawn = model.simulate(truth, random_seed=3)
    return formula, spread_out(table, case, case.observe(rng, drawn.outcome[0]))[0], truth


@pytest.fixture(scope="module", params=SMOKE, ids="-".join)
def fitted(request, coalitions, cases):
    case = next(c for c in cases if (c.name, c.link, c.note) == request.param)
    formula, data, truth = simulated(case, coalitions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        fit = mm.fit(formula, data, family=case.fitted, draws=100, tune=200, chains=2, random_seed=1, progress=False)
    return case, fit, truth, data


def test_every_family_is_fitted():
    assert (
        {name for name, _, _ in SMOKE} == set(OWN) == {name for name, make in FAMILIES.items() if not make().several}
    )  # the others: test_choices.py


def test_parameters_have_their_names_and_finite_draws(fitted):
    case, fit, truth, _ = fitted
    assert set(fit.params.index) == set(truth)
    first = [] if case.name in ("ordinal", "cox") else ["Intercept"]
    assert list(fit.params.index[: len(first) + 2]) == [*first, "majority", "pid.cohesion"]
    assert list(fit.params.index[len(fit.params) - len(OWN[case.name]) :]) == list(OWN[case.name])
    assert np.isfinite(fit.posterior.draws).all()
    assert (fit.bse > 0).all()
    table = fit.summary()
    assert np.isfinite(table[["mean", "sd", "lower", "upper"]].to_numpy()).all()


def test_the_truth_is_not_far_off(fitted):
    """Short runs on few groups: a smoke test of signs and scales, not calibration."""
    _, fit, truth, _ = fitted
    away = (fit.params - pd.Series(truth)) / fit.bse
    assert (away.abs() < 5.0).all(), away.to_string()


def test_the_chains_moved(fitted):
    _, fit, _, _ = fitted
    moved = np.diff(fit.posterior.draws, axis=1) != 0.0
    assert moved.mean() > 0.5


def test_every_kind_of_prediction(fitted):
    case, fit, _, data = fitted
    tables = {kind: fit.predict(kind=kind, random_seed=1) for kind in ("linear", "mean", "response")}
    groups = np.unique(data["gid"])
    for table in tables.values():
        assert table.index.tolist() == groups.tolist()
        assert np.isfinite(table.to_numpy()).all()
        assert (table["lower"] <= table["upper"]).all()
    mean, response = tables["mean"]["mean"].to_numpy(), tables["response"]["mean"].to_numpy()
    low, high = {
        "positive": (0.0, np.inf), "count": (0.0, np.inf), "share": (0.0, 1.0), "trials": (0.0, 1.0),
        "real": (-np.inf, np.inf), "categories": (1.0, 3.0) if case.name == "ordinal" else (0.0, 1.0),
    }[case.support]  # fmt: skip
    assert np.all((mean > low) & (mean < high))
    mean = expected(fit.posterior).to_numpy()  # of late entries given that they last until then
    # responses scatter around the means: 200 draws of each group (binomial: successes, the mean is their chance)
    factor = 12.0 if case.support == "trials" else 1.0
    spread = tables["response"]["sd"].to_numpy()
    off = (response - factor * mean).sum() / np.sqrt((spread**2).sum() / 200.0)
    assert abs(off) < 4.5
    assert spread.max() > 0.0


def test_means_are_the_family_of_the_linear_predictor(fitted):
    case, fit, _, _data = fitted
    linear, mean = fit.predict(kind="linear"), fit.predict(kind="mean")
    # both ends of an interval go through a rising function, but for the straight line between two order statistics
    if OWN[case.name]:
        sign = -1.0 if case.name == "cox" else 1.0  # a larger hazard is a shorter time
        ranks = np.argsort(np.argsort(linear["mean"])), np.argsort(np.argsort(mean["mean"]))
        assert sign * np.corrcoef(*ranks)[0, 1] > 0.9
    else:
        through = case.family.mean(linear[["lower", "upper"]].to_numpy().T, np.array([]), None)
        assert pytest.approx(through, rel=2e-2, abs=3e-3) == mean[["lower", "upper"]].to_numpy().T


def test_new_groups_are_predicted(fitted):
    _, fit, _, data = fitted
    new = data[data["gid"] <= data["gid"].min() + 4].drop(
        columns=[c for c in data if c.startswith("c") and c[1:].isdigit()]
    )
    for kind in ("linear", "mean"):
        table = fit.predict(new, kind=kind)
        assert len(table) == new["gid"].nunique()
        assert np.isfinite(table.to_numpy()).all()


def test_the_report_holds_every_parameter(fitted):
    case, fit, truth, _ = fitted
    text = fit.report()
    assert f"{case.name} model ({case.link} link)" in text
    for name in truth:
        assert name in text, f"{name} is not in the report"
    assert text == repr(fit)
    assert "nan" not in text.lower().split("health")[0]
    assert case.name in fit._repr_html_()


def test_residuals_are_outcome_minus_mean(fitted):
    _case, fit, _, _ = fitted
    residuals = fit.residuals()
    seen = fit.family.known(fit.specification.response).exact  # censored outcomes have no residual
    assert len(residuals) == GROUPS and np.array_equal(np.isfinite(residuals), seen)
    fitted = fit.fitted() if fit.specification.entry is None else expected(fit.posterior)
    difference = (fit.specification.outcome - fitted.to_numpy())[seen]
    assert residuals.to_numpy()[seen] == pytest.approx(difference)


def test_a_seed_fixes_every_draw(coalitions, cases):
    case = next(c for c in cases if (c.name, c.link) == ("poisson", "log"))
    formula, data, _ = simulated(case, coalitions)
    one, again, other = (
        mm.fit(formula, data, family="poisson", draws=30, tune=60, chains=2, random_seed=s, progress=False)
        for s in (1, 1, 2)
    )
    assert np.array_equal(one.posterior.draws, again.posterior.draws)
    assert not np.array_equal(one.posterior.draws, other.posterior.draws)


def test_the_order_of_rows_changes_nothing(coalitions, cases):
    case = next(c for c in cases if (c.name, c.note) == ("weibull", "right"))
    formula, data, _ = simulated(case, coalitions)
    shuffled = data.sample(frac=1.0, random_state=4)
    one, other = (
        mm.fit(formula, d, family="weibull", draws=30, tune=60, chains=2, random_seed=1, progress=False)
        for d in (data, shuffled)
    )
    assert np.array_equal(one.posterior.draws, other.posterior.draws)


@pytest.mark.parametrize("family", ["poisson", "negative_binomial"])
def test_counts_in_the_billions(family):
    """The same rates times 10^8: the coefficients of both are close (and equal where counts are without noise)."""
    rng = np.random.default_rng(4)
    group = np.repeat(np.arange(120), 2)
    member, x = rng.integers(0, 20, 240), rng.standard_normal(120)
    effects = 0.3 * rng.standard_normal(20)
    eta = 0.2 * x + np.bincount(group, 0.5 * effects[member]) + (0.4 * rng.standard_normal(120)) * (family != "poisson")
    fits = []
    for scale in (1e4, 1e9):
        y = np.round(scale * np.exp(eta))
        data = pd.DataFrame({"g": group, "m": member, "x": x[group], "y": y[group]})
        fits.append(mm.fit("y ~ x + mm(m, g)", data, family=family, engine="ml"))
        assert fits[-1].health.ok
    small, large = fits
    assert large.params["Intercept"] - small.params["Intercept"] == pytest.approx(np.log(1e5), abs=1e-2)
    np.testing.assert_allclose(large.params[["x", "m.sd"]], small.params[["x", "m.sd"]], rtol=1e-2)


def test_a_group_without_weight_may_be_impossible():
    """Its log density overflows; it counts for nothing, so the fit is that without it."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"x": rng.standard_normal(80), "y": rng.weibull(1.2, 80), "w": 1.0})
    data.loc[:1, "w"], data.loc[0, "y"], data.loc[1, "x"] = 0.0, 1e300, 800.0
    for outcome, family in (("surv(y)", "weibull"), ("y", "gamma")):
        one = mm.fit(f"{outcome} ~ x", data, family=family, engine="ml", observation_weights="w")
        other = mm.fit(f"{outcome} ~ x", data[data["w"] > 0], family=family, engine="ml")
        assert one.loglik == pytest.approx(other.loglik, abs=1e-8)
