"""Survival curves and the baseline: closed forms at the estimates, draws, new groups, errors."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import micromacro as mm


def durations(groups=120, seed=4):
    rng = np.random.default_rng(seed)
    x, unit = rng.standard_normal(groups), rng.integers(0, 8, groups)
    t = np.exp(0.5 * x + 0.3 * rng.standard_normal(8)[unit]) * rng.weibull(1.4, groups)
    return pd.DataFrame({"t": np.minimum(t, 2.5), "e": (t < 2.5).astype(int), "x": x, "unit": unit})


DATA = durations()
TIMES = [0.0, 0.4, 1.0, 2.0]


@pytest.fixture(scope="module", params=["cox", "walk", "weibull", "exponential", "lognormal"])
def fitted(request):
    family = {"cox": mm.families.cox(4), "walk": mm.families.cox(5, baseline="random_walk")}.get(request.param)
    return request.param, mm.fit("surv(t, e) ~ x + (1 | unit)", DATA, family=family or request.param, engine="ml")


def test_curves_are_those_of_the_family_at_the_estimates(fitted):
    name, fit = fitted
    eta = fit.predict(kind="linear")["estimate"].to_numpy()[:, None]
    t = np.array(TIMES)
    if name in ("cox", "walk"):
        base = fit.baseline()
        spent = np.clip(t[:, None] - base["start"].to_numpy(), 0.0, (base["stop"] - base["start"]).to_numpy())
        expected = np.exp(-np.exp(eta) * (spent @ base["hazard"].to_numpy()))
    elif name == "lognormal":
        with np.errstate(divide="ignore"):
            expected = stats.norm.sf((np.log(t) - eta) / fit.params["sigma"])
    else:
        expected = np.exp(-((t / np.exp(eta)) ** fit.params.get("shape", 1.0)))
    table = fit.survival(TIMES)
    got = table["estimate"].to_numpy().reshape(len(DATA), len(TIMES))
    np.testing.assert_allclose(got, expected, rtol=1e-10)
    assert np.all((table["lower"] <= table["estimate"]) & (table["estimate"] <= table["upper"]))
    assert (table.loc[table["time"] > 0, "se"] > 0).all()


def test_half_survives_the_median(fitted):
    _, fit = fitted
    median = fit.predict(kind="median")["estimate"]
    for row in (0, 17):
        table = fit.survival(median.loc[row], DATA.iloc[[row]])
        assert table["estimate"].to_numpy() == pytest.approx(0.5, abs=1e-10)


def test_draws_and_standard_errors_agree_on_the_baseline():
    """The delta method against draws with vague priors: many events, so both are near to normal."""
    data = durations(600, 5)
    family = mm.families.cox(4)
    ml = mm.fit("surv(t, e) ~ x", data, family=family, engine="ml").baseline()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        fit = mm.fit(
            "surv(t, e) ~ x", data, family=family, draws=600, tune=200, chains=2, random_seed=1, progress=False,
            priors="vague",
        )  # fmt: skip
    draws = fit.baseline()
    assert list(draws.index) == ["baseline.1", "baseline.2", "baseline.3", "baseline.4"]
    np.testing.assert_allclose(draws["hazard"], ml["hazard"], atol=0.3 * ml["se"].max())
    np.testing.assert_allclose(draws["sd"], ml["se"], rtol=0.15)
    np.testing.assert_allclose(draws["cumulative_sd"], ml["cumulative_se"], rtol=0.15)
    np.testing.assert_allclose(draws["hazard"], np.exp(fit.posterior.draws[..., -4:]).mean(axis=(0, 1)), rtol=0.02)
    assert np.isfinite(fit.loo().pointwise.to_numpy()).all()
    assert len(fit.residuals()) == 600


def test_new_groups_and_default_times(fitted):
    _, fit = fitted
    new = DATA.head(3).assign(unit=[0, 1, 99])[["x", "unit"]]
    table = fit.survival(data=new)
    assert list(table.columns) == ["time", "estimate", "se", "lower", "upper"]
    assert set(table.index) == {0, 1, 2}
    assert set(table["time"]) <= set(DATA.loc[DATA["e"] == 1, "t"])
    for _, one in table.groupby("row"):
        assert (one["estimate"].diff().dropna() <= 0).all()


def test_what_is_not_there_is_said(fitted):
    name, fit = fitted
    with pytest.raises(mm.ModelError, match="times= are finite numbers from zero"):
        fit.survival([-1.0])
    if name not in ("cox", "walk"):
        with pytest.raises(mm.EngineError, match=r"baseline\(\) is for family cox"):
            fit.baseline()
    gaussian = mm.fit("t ~ x", DATA, engine="ml")
    with pytest.raises(mm.EngineError, match=r"survival\(\) is for durations"):
        gaussian.survival()


def test_a_unit_brings_its_variance_to_a_group_once(fitted):
    """Rows of a Cox model are not groups."""
    name, fit = fitted
    if name not in ("cox", "walk"):
        return
    table = fit.variance_components()
    assert table.loc["unit", "variance"] == pytest.approx(fit.params["unit.sd"] ** 2, rel=1e-10)
    assert table.loc["residual", "variance"] == pytest.approx(np.pi**2 / 6)


@pytest.mark.parametrize("left", ['surv(lo, hi, type="interval")', 'surv(hi, e, type="left")'])
def test_default_times_without_exact_events(quick, left):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.standard_normal(80), "lo": rng.uniform(0.2, 2.0, 80)})
    frame = frame.assign(hi=frame["lo"] + 1.0, e=np.where(np.arange(80) == 3, 1, 0))
    fit = quick(f"{left} ~ x", frame, "laplace", family="weibull", draws=50, random_seed=1)
    times = fit.survival()["time"].unique()
    assert 40 <= len(times) <= 50
    assert times.max() == pytest.approx(frame["hi"].max())
