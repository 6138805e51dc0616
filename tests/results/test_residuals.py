"""Residuals: against R's, by hand, and standard normal under the truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import micromacro as mm

R = Path(__file__).parents[1] / "reference" / "r"
REFERENCE = json.loads((R / "residuals.json").read_text())
#: Data, family, outcome and offset of each row of residuals.json.
ROWS = {
    "gaussian": ("linear", "gaussian", "y", ""),
    "binomial": ("binary", mm.families.binomial(link="cloglog"), "trials(k, n)", ""),
    "bernoulli": ("binary", mm.families.bernoulli(link="probit"), "y", ""),
    "poisson": ("counts", "poisson", "y", " + offset(log(exposure))"),
    "negative_binomial": ("counts", "negative_binomial", "spread", " + offset(log(exposure))"),
    "gamma": ("continuous", "gamma", "positive", ""),
    "weibull": ("durations", "weibull", "surv(time, event)", ""),
    "lognormal": ("durations", "lognormal", "surv(time, event)", ""),
    "cox": ("durations", mm.families.cox(intervals="all"), "surv(entry, time, event)", ""),
}


def test_every_reference_of_residuals_is_tested():
    assert set(ROWS) == set(REFERENCE) - {"origin"}


@pytest.mark.parametrize("name", ROWS)
def test_residuals_are_rs(quick, name):
    data, family, outcome, offset = ROWS[name]
    fit = quick(f"{outcome} ~ x + z{offset}", pd.read_csv(R / f"{data}.csv"), family=family)
    for kind, expected in REFERENCE[name].items():
        ours = fit.residuals(kind).to_numpy()
        assert ours[:6] == pytest.approx(expected[:6], rel=1e-3, abs=2e-4), kind
        assert (ours**2).sum() == pytest.approx(expected[6], rel=1e-4), kind


FAMILIES = {
    "gaussian": {"sigma": 0.7}, "student": {"sigma": 0.7, "nu": 4.0}, "bernoulli": {}, "binomial": {}, "poisson": {},
    "negative_binomial": {"phi": 2.0}, "gamma": {"shape": 2.0}, "beta": {"phi": 5.0},
    "ordinal": {"cut.1": -0.5, "cut.2": 0.8}, "weibull": {"shape": 1.6}, "exponential": {}, "lognormal": {"sigma": 0.8},
    "cox": {f"baseline.{k}": 0.2 * k for k in range(1, 4)},
}  # fmt: skip


def under_the_truth(family, quick):
    """A fit with nearly all parameters held at what made the outcomes: 600 groups, 20 units."""
    rng = np.random.default_rng(3)
    n, x = 600, rng.standard_normal(600)
    unit, own = np.arange(n) % 20, np.array(list(FAMILIES[family].values()))
    made = mm.families.cox(intervals=[0.3, 1.0]) if family == "cox" else getattr(mm.families, family)()
    eta = 0.8 * x + 0.6 * rng.standard_normal(20)[unit]
    data = pd.DataFrame({"x": x, "unit": unit, "n": rng.integers(1, 9, n)})
    outcome, fixed = "y", {"x": 0.8} | FAMILIES[family]
    if made.durations:
        outcome, shape = "surv(y, event)", made
        if family == "cox":
            object.__setattr__(shape, "cuts", (0.3, 1.0))
            fixed = {"x": 0.8}
        time, limit = shape.simulate(eta, own, rng, None), rng.exponential(3.0, n)
        data["y"], data["event"] = np.minimum(time, limit), time <= limit
    else:
        outcome = "trials(y, n)" if family == "binomial" else "y"
        data["y"] = made.simulate(eta, own, rng, np.stack([0 * x, data["n"]]))
    return quick(f"{outcome} ~ x + (1 | unit)", data, family=made, fixed=fixed), data


@pytest.mark.parametrize("family", FAMILIES)
def test_quantile_residuals_are_standard_normal_under_the_truth(quick, family):
    fit, data = under_the_truth(family, quick)
    values = fit.residuals("quantile", random_seed=1)
    assert stats.kstest(values, "norm").pvalue > 0.01
    assert abs(np.corrcoef(values, data["x"])[0, 1]) < 4 / np.sqrt(len(data))
    assert np.array_equal(values, fit.residuals("quantile", random_seed=1))
    pearson, deviance = fit.residuals("pearson"), fit.residuals("deviance")
    seen = data["event"] if "event" in data else np.full(len(data), True)
    assert np.array_equal(np.isfinite(pearson), seen) and np.isfinite(deviance).all()
    if seen.all() and family != "student":
        assert (pearson**2).mean() == pytest.approx(1.0, abs=0.25)
    if fit.family.durations:
        assert fit.residuals("martingale").sum() == pytest.approx(0.0, abs=4 * np.sqrt(len(data)))


def test_martingale_residuals_of_a_null_model_by_hand(quick):
    """Of a constant hazard: the event minus time times events over total time."""
    time, event = np.array([1.0, 2.0, 4.0, 3.0, 0.5]), np.array([1, 1, 0, 1, 0])
    fit = quick("surv(t, e) ~ 1", pd.DataFrame({"t": time, "e": event}), family="exponential")
    assert fit.residuals("martingale").to_numpy() == pytest.approx(event - time * event.sum() / time.sum(), rel=1e-5)
    # Nelson and Aalen's estimate at each time, ties none: at risk 4 at 1, 3 at 2, 2 at 3
    cox = quick("surv(t, e) ~ x", pd.DataFrame({"t": time, "e": event, "x": [0.0, 1, 0, 1, 1]}), fixed={"x": 0.0},
                family=mm.families.cox(intervals="all"))  # fmt: skip
    steps = np.array([1 / 4, 1 / 4 + 1 / 3, 1 / 4 + 1 / 3 + 1 / 2, 1 / 4 + 1 / 3 + 1 / 2, 0.0])
    assert cox.residuals("martingale").to_numpy() == pytest.approx(event - steps, rel=1e-5)


def test_residuals_far_out_keep_their_digits(quick):
    """Quantile residuals of a Gaussian outcome are the standardised ones, fifteen standard deviations out, too."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"y": np.append(rng.standard_normal(300), [60.0, -60.0])})
    fit = quick("y ~ 1", data)
    assert fit.residuals("quantile").to_numpy() == pytest.approx(fit.residuals("pearson").to_numpy(), rel=1e-8)
    assert fit.residuals("deviance").to_numpy() == pytest.approx(fit.residuals().to_numpy(), rel=1e-7)


def test_late_entry_and_unknown_durations(quick):
    """What entered late is compared with what lasts so long, what was seen from one side has no martingale residual."""
    rng = np.random.default_rng(5)
    entry = np.where(np.arange(400) % 2, 0.5, 0.0)
    time = entry + rng.exponential(1.0, 400)
    frame = pd.DataFrame({"a": entry, "t": time, "e": rng.random(400) < 0.8})
    fit = quick("surv(a, t, e) ~ 1", frame, family="exponential")
    pearson, rate = fit.residuals("pearson").to_numpy(), frame["e"].sum() / (time - entry).sum()
    assert np.array_equal(np.isfinite(pearson), frame["e"])
    assert pearson[frame["e"]] == pytest.approx(rate * (time - entry)[frame["e"]] - 1.0, rel=1e-4, abs=1e-4)
    assert fit.residuals("martingale").to_numpy() == pytest.approx(frame["e"] - rate * (time - entry), rel=1e-4)
    assert stats.kstest(fit.residuals("quantile", random_seed=2), "norm").pvalue > 0.01
    frame = pd.DataFrame({"low": np.floor(time), "high": np.floor(time) + 1.0})
    interval = quick('surv(low, high, type="interval") ~ 1', frame, family="weibull")
    eta = np.linspace(-3, 3, 4001)[:, None]  # the likeliest centre of each interval
    a = interval.params["shape"]
    lasting = [np.exp(-((frame[end].to_numpy() * np.exp(-eta)) ** a)) for end in ("low", "high")]
    own = np.exp(-((frame.to_numpy().T * np.exp(-interval.params["Intercept"])) ** a))
    gap = 2 * np.log((lasting[0] - lasting[1]).max(axis=0) / (own[0] - own[1]))
    assert (interval.residuals("deviance") ** 2).to_numpy() == pytest.approx(gap, abs=1e-3)
    assert interval.residuals("martingale").isna().all()
    assert stats.kstest(interval.residuals("quantile", random_seed=2), "norm").pvalue > 0.01


def test_weights_scale_residuals_and_draws_average_them(quick):
    rng = np.random.default_rng(6)
    data = pd.DataFrame({"y": rng.poisson(3.0, 60), "w": 1.0 + np.arange(60) % 2}, index=np.arange(60)[::-1])
    fit = quick("y ~ 1", data, family="poisson", observation_weights="w")
    plain = (data["y"] - fit.fitted()) / np.sqrt(fit.fitted())
    assert fit.residuals("pearson").to_numpy() == pytest.approx((np.sqrt(data["w"]) * plain).to_numpy())
    deviance = (
        2 * data["w"] * (stats.poisson.logpmf(data["y"], data["y"]) - stats.poisson.logpmf(data["y"], fit.fitted()))
    )
    assert (fit.residuals("deviance") ** 2).to_numpy() == pytest.approx(deviance.to_numpy(), abs=1e-9)
    sampled = quick("y ~ 1", data, "laplace", family="poisson", draws=100, random_seed=1)
    mean = np.exp(sampled.predict(kind="linear", draws=True))
    by_hand = ((data["y"].to_numpy() - mean) / np.sqrt(mean)).mean("draw").to_numpy()
    assert sampled.residuals("pearson").to_numpy() == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("kind", "match"),
    [("raw", "kind= is one of response, pearson"), ("martingale", "is for .*weibull.*, not gaussian")],
)
def test_kinds_that_are_not_there_are_refused(ml, kind, match):
    with pytest.raises(mm.EngineError, match=match):
        ml.residuals(kind)
