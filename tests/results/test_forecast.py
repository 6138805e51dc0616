"""Predictions of outcomes that are not Gaussian, draws of predictions, and variances of families."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import special

import micromacro as mm
from micromacro.families.registry import FAMILIES
from micromacro.results.fit import Fit


@pytest.fixture(scope="module")
def frame():
    """90 groups of three among 15 members; outcomes of several kinds."""
    rng = np.random.default_rng(31)
    rows = [(g, m) for g in range(90) for m in rng.choice(15, 3, replace=False)]
    out = pd.DataFrame(rows, columns=["group", "member"])
    out["z"] = rng.standard_normal(len(out))
    x, u = rng.standard_normal(90), 0.6 * rng.standard_normal(15)
    eta = 0.3 + 0.5 * x + np.bincount(out["group"], (0.7 * out["z"] + u[out["member"]]) / 3)
    trials = rng.integers(3, 9, 90)
    outcomes = {
        "x": x, "n": trials, "k": rng.binomial(trials, special.expit(eta)), "count": rng.poisson(np.exp(eta)),
        "grade": 1 + (rng.logistic(size=90) + 2 * eta > 0).astype(int) + (rng.logistic(size=90) + 2 * eta > 2),
        "time": np.exp(eta) * rng.weibull(1.5, 90), "event": rng.integers(0, 4, 90) > 0,
    }  # fmt: skip
    return out.join(pd.DataFrame(outcomes), on="group")


TERMS = " ~ x + mm(member, group, z, weights = 1/n)"


@pytest.fixture(scope="module")
def fits(frame, quick):
    rest = frame.rename(columns={"n": "trial"})
    outcomes = {
        "binomial": "trials(k, trial)", "poisson": "count", "ordinal": "grade", "weibull": "surv(time, event)",
    }  # fmt: skip
    return {family: quick(outcome + TERMS, rest, family=family) for family, outcome in outcomes.items()}


@pytest.fixture(scope="module")
def new(frame):
    """Ten known groups' rows under new ids, the first group with a member no one has seen."""
    out = frame[frame["group"] < 10].rename(columns={"n": "trial"})
    out = out[["group", "member", "z", "x", "trial"]].assign(group=out["group"] + 500)
    out.iloc[0, 1] = 99
    return out


@pytest.mark.parametrize("family", ["binomial", "poisson", "ordinal", "weibull"])
def test_standard_errors_are_the_spread_of_the_joint_approximation(fits, family):
    """The delta method against draws of everything, the family's own parameters (cuts, shape) included.

    The sd of the effects is held: what it multiplies is not linear, so there the two differ in second order.
    """
    fit = fits[family]
    covariance = fit._outcome.optimum.covariance.copy()
    k = [p.kind for p in fit.specification.system.hypers].index("sd")
    covariance[k] = covariance[:, k] = 0.0
    optimum = replace(fit._outcome.optimum, covariance=covariance)
    held = Fit(replace(fit._outcome, optimum=optimum))
    table, draws = held.predict(kind="linear"), held.predict(kind="linear", draws=True, random_seed=1)
    assert draws.dims == ("draw", "group")
    # the error of an sd from 2,000 draws is 1.6%; the largest of 90
    assert draws.std("draw").to_numpy() == pytest.approx(table["se"].to_numpy(), rel=4 * 0.016)
    kind = "probability" if family == "ordinal" else "mean"
    table, draws = held.predict(kind=kind), held.predict(kind=kind, draws=True, random_seed=2)
    inside = [np.quantile(draws, q, axis=0).ravel() for q in (0.025, 0.975)]
    width = (table["upper"] - table["lower"]).to_numpy()
    assert np.median((inside[1] - inside[0]) / width) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("family", ["binomial", "poisson", "weibull", "ordinal"])
def test_means_and_responses_of_new_groups(fits, new, family):
    fit = fits[family]
    eta = fit.predict(new, kind="linear", new_effects="zero")["estimate"].to_numpy()
    own = fit._outcome.optimum.theta[fit.specification.system.places.family]
    mean = fit.predict(new, new_effects="zero")
    assert mean["estimate"].to_numpy() == pytest.approx(fit.specification.family.mean(eta, own, None))
    assert np.all((mean["lower"] < mean["estimate"]) & (mean["estimate"] < mean["upper"]))
    response = fit.predict(new, kind="response", draws=True, random_seed=3)
    trials = new.groupby("group")["trial"].first().to_numpy() if family == "binomial" else 1
    away = response.mean("draw").to_numpy() - trials * fit.predict(new, draws=True, random_seed=4).mean("draw")
    assert np.all(np.abs(away) < 5 * response.std("draw").to_numpy() / np.sqrt(2000) * 1.5)
    if family == "binomial":
        assert np.all(response.max("draw").to_numpy() <= trials)


def test_responses_need_the_trials_and_means_do_not(fits, new):
    without = new.drop(columns="trial")
    assert len(fits["binomial"].predict(without)) == 10
    with pytest.raises(mm.DataError, match="'trial'"):
        fits["binomial"].predict(without, kind="response")
    with pytest.raises(mm.ModelError, match="whole numbers"):
        fits["binomial"].predict(new.assign(trial=0.5), kind="response")


def test_probabilities_of_categories(fits, new):
    fit = fits["ordinal"]
    table = fit.predict(new, kind="probability", new_effects="zero")
    assert table.index.names == ["group", "category"]
    assert table["estimate"].groupby("group").sum().to_numpy() == pytest.approx(np.ones(10))
    eta = fit.predict(new, kind="linear", new_effects="zero")["estimate"]
    first = special.expit(fit.params["cut.1"] - eta)
    assert table["estimate"].xs("1", level="category").to_numpy() == pytest.approx(first.to_numpy())
    assert np.all((table["lower"] > 0) & (table["upper"] < 1))
    draws = fit.predict(new, kind="probability", draws=True, random_seed=5)
    assert draws.dims == ("draw", "group", "category")
    assert draws.sum("category").to_numpy() == pytest.approx(np.ones((2000, 10)))


def test_medians_of_durations(fits):
    fit = fits["weibull"]
    eta = fit.predict(kind="linear")["estimate"]
    expected = np.exp(eta) * np.log(2) ** (1 / fit.params["shape"])
    assert fit.predict(kind="median")["estimate"].to_numpy() == pytest.approx(expected.to_numpy())
    for family, kind in [("poisson", "median"), ("poisson", "probability")]:
        with pytest.raises(mm.EngineError, match=family):
            fits[family].predict(kind=kind)


def test_a_new_member_in_two_groups_has_one_effect(fits, new):
    """Two groups that share an unseen member are correlated; the correlation is that of the dense model."""
    both = pd.concat([new.iloc[:3], new.iloc[:3].assign(group=501)])
    draws = fits["poisson"].predict(both, kind="linear", draws=True, random_seed=1).to_numpy()
    assert draws[:, 0] == pytest.approx(draws[:, 1])


def test_the_normal_approximation_has_the_covariance_of_the_fit(ml):
    made = ml.posterior.as_sampled(4000, np.random.default_rng(1))
    flat = made.draws[0]
    names = list(ml.params.index)
    linear = [k for k, n in enumerate(names) if not n.endswith("sd") and n != "sigma"]
    se = ml.bse.to_numpy()[linear]
    assert np.all(np.abs(flat[:, linear].mean(0) - ml.params.to_numpy()[linear]) < 4 * se / np.sqrt(4000))
    assert flat[:, linear].std(0) == pytest.approx(se, rel=4 / np.sqrt(2 * 4000))
    effects = made.effect_draws(1)[0]
    table = ml.random_effects("member")
    assert effects.std(0) == pytest.approx(table["se"].to_numpy(), rel=0.15)


@pytest.mark.parametrize(
    "name", sorted(name for name, make in FAMILIES.items() if name != "cox" and not make().several)
)
def test_variances_and_medians_of_families_are_those_of_what_they_simulate(name):
    family = FAMILIES[name]()
    several = {"zero_inflated_negative_binomial": [0.9, 0.3], "hurdle_negative_binomial": [0.9, 0.3]}
    single = {"zero_inflated_poisson": [0.3], "hurdle_poisson": [0.3]}
    own = np.array({"student": [0.8, 7.0], "ordinal": [-0.5, 0.7], **several, **single}.get(name, [1.3]))
    eta, values = np.array([-0.4, 0.5]), np.stack([np.zeros(2), np.full(2, 6.0), np.zeros(2)])
    rng = np.random.default_rng(3)
    y = family.simulate(np.broadcast_to(eta, (40000, 2)), own, rng, values)
    if name in ("binomial", "beta_binomial"):
        y = y / 6.0
    v = family.variance(eta, own, values)
    fourth = ((y - y.mean(0)) ** 4).mean(0)
    assert np.all(np.abs(y.var(0) - v) < 5 * np.sqrt(np.maximum(fourth - v**2, 1e-12) / 40000))
    if "median" in family.quantities:
        below = (y < family.median(eta, own)).mean(0)
        assert np.all(np.abs(below - 0.5) < 4 * 0.5 / np.sqrt(40000))


def test_draws_at_a_vague_maximum_stay_where_the_model_exists(quick):
    """An autoregression without dependence, a role whose sd is below its standard error: predictions are finite."""
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(120), rng.integers(2, 5, 120))
    data = pd.DataFrame({"g": g, "m": rng.integers(0, 20, len(g)), "year": 1990 + g // 6})
    data["o"] = rng.permutation(data["m"])
    data["y"] = (rng.standard_normal(120) * 0.5)[g] + rng.standard_normal(20)[data["m"]]
    data["y"] = data.groupby("g")["y"].transform("mean")
    new = pd.DataFrame({"g": [900, 901], "m": [1, 2], "o": [3, 4], "year": [2003, 2011]})
    for effects in ("mm(m, g, effects = ar1(year))", "mm(m, g) + mm(o, g, effects = correlated_with(m))"):
        fit = quick(f"y ~ 1 + {effects}", data)
        drawn = fit.posterior.as_sampled(400, np.random.default_rng(1)).draws[0]
        for k, p in enumerate(fit.specification.parameters):
            if p.kind in ("rho", "cor", "sd"):
                low, high = (0.0, np.inf) if p.kind == "sd" else (0.0 if p.kind == "rho" else -1.0, 1.0)
                assert low <= drawn[:, k].min() and drawn[:, k].max() < high, p.name
                if np.isfinite(fit.bse[p.name]):
                    assert fit.conf_int().loc[p.name].between(low, max(high, 0.0)).all(), p.name
                    if fit.bse[p.name] > fit.params[p.name]:  # of an sd: plainly, not on the log scale
                        assert drawn[:, k].max() < fit.params[p.name] + 8 * fit.bse[p.name]
        assert np.isfinite(fit.predict(new, kind="response", random_seed=1).to_numpy()).all()
