"""``strata(x)`` in cox: R's coxph with strata(), Poisson counts written apart, and what each stratum says by itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm


def table() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    n = 150
    x, h = rng.standard_normal(n).round(3), rng.choice(list("abc"), n)
    hazard = np.exp(0.5 * x) * np.array([1.0, 0.5, 2.0])[["abc".index(k) for k in h]]
    time, end = rng.exponential(1.0, n) / hazard, rng.exponential(2.5, n)
    made = pd.DataFrame({"time": (0.1 + np.minimum(time, end)).round(3), "event": (time <= end) * 1, "x": x, "h": h})
    return made.assign(since=lambda t: np.where(np.arange(n) % 3, 0.0, (0.6 * t["time"]).round(3)), u=np.arange(n) % 10)


DATA = table()
SURV = "surv(time, event)"
CUTS = (0.3, 0.9)

#: coxph(Surv(time, event) ~ x + strata(h), ties = "breslow"), and from entry on; survival 3.5.3: coefficient, its se.
COXPH = {SURV: (0.382383493, 0.109726099), "surv(since, time, event)": (0.358728803, 0.106466928)}


@pytest.mark.parametrize("outcome", COXPH)
def test_coxph_has_the_same_coefficient(outcome):
    coefficient, se = COXPH[outcome]
    fit = mm.fit(f"{outcome} ~ x + strata(h)", DATA, family=mm.families.cox("all"), engine="ml")
    assert fit.params["x"] == pytest.approx(coefficient, rel=1e-6)
    assert fit.bse["x"] == pytest.approx(se, rel=1e-5)


def plain(p: pd.Series, data: pd.DataFrame) -> float:
    """Poisson log-likelihood over groups and intervals; hazards at mean covariates."""
    total, edges = 0.0, [0.0, *CUTS, np.inf]
    for row, x in zip(data.itertuples(), data["x"] - DATA["x"].mean(), strict=True):
        for k in range(3):
            spent = max(min(row.time, edges[k + 1]) - edges[k], 0.0)
            rate = p[f"baseline[{row.h}].{k + 1}"] + p["x"] * x
            here = row.event == 1 and edges[k] < row.time <= edges[k + 1]
            total += here * rate - np.exp(rate) * spent
    return total


@pytest.fixture(scope="module")
def fit():
    return mm.fit(f"{SURV} ~ x + strata(h)", DATA, family=mm.families.cox(CUTS), engine="ml")


def test_the_maximum_is_that_of_poisson_counts(fit):
    assert fit.loglik == pytest.approx(plain(fit.params, DATA), abs=1e-8)
    for name in fit.params.index:
        up, down = fit.params.copy(), fit.params.copy()
        up[name] += 1e-4
        down[name] -= 1e-4
        assert (plain(up, DATA) - plain(down, DATA)) / 2e-4 == pytest.approx(0.0, abs=1e-3)


def test_martingale_residuals_of_a_stratum_sum_to_zero(fit):
    sums = fit.residuals(kind="martingale").groupby(DATA["h"]).sum()
    np.testing.assert_allclose(sums, 0.0, atol=1e-4)


def test_each_stratum_is_cut_by_its_own_events_and_alone_when_everything_varies():
    """With slopes of their own strata have nothing in common: the fits of each by itself."""
    data = DATA.assign(**{f"x{h}": DATA["x"] * (DATA["h"] == h) for h in "abc"})
    family = mm.families.cox(3)
    together = mm.fit(f"{SURV} ~ xa + xb + xc + strata(h)", data, family=family, engine="ml")
    apart = {h: mm.fit(f"{SURV} ~ x", data[data["h"] == h], family=family, engine="ml") for h in "abc"}
    assert together.loglik == pytest.approx(sum(f.loglik for f in apart.values()), abs=1e-6)
    stops = together.baseline()["stop"]
    for h, own in apart.items():
        assert together.params[f"x{h}"] == pytest.approx(own.params["x"], abs=1e-5)
        assert stops[f"baseline[{h}].1"] == own.baseline()["stop"].iloc[0]


def test_predictions_are_of_the_stratum(fit, tmp_path):
    new = pd.DataFrame({"x": [0.0, 1.0], "h": ["a", "c"]})
    found = fit.survival(times=[0.5], data=new)["estimate"].to_numpy()
    p, expected = fit.params, []
    for h, x in zip(new["h"], new["x"], strict=True):
        rate = [np.exp(p[f"baseline[{h}].{k}"] + p["x"] * (x - DATA["x"].mean())) for k in (1, 2)]
        expected.append(np.exp(-(0.3 * rate[0] + 0.2 * rate[1])))
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    fit.save(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(mm.load(tmp_path / "fit.nc").predict(new), fit.predict(new))
    with pytest.raises(mm.DataError, match="z is not among the strata"):
        fit.predict(new.assign(h="z"))


def test_draws_and_replications_know_the_strata():
    run = {"draws": 150, "tune": 150, "chains": 2, "random_seed": 1, "progress": False}
    model = mm.Model(f"{SURV} ~ x + strata(h) + (1 | u)", DATA, family=mm.families.cox(CUTS))
    fit = model.fit("mcmc", **run)
    best = model.fit("ml")
    assert fit.params["x"] == pytest.approx(best.params["x"], abs=0.08)
    assert fit.params["baseline[c].1"] == pytest.approx(best.params["baseline[c].1"], abs=0.2)
    made = model.simulate(best.params, draws=40, random_seed=2).outcome
    means = [np.median(made[:, (DATA["h"] == h).to_numpy()]) for h in "bac"]
    assert means == sorted(means, reverse=True)


@pytest.mark.parametrize(
    ("terms", "family", "words"),
    [
        ("x + strata(h)", "weibull", "use family cox"),
        ("x + h + strata(h)", "cox", "collinear"),
        ("x + strata(log(x))", "cox", "takes columns"),
        ("x + strata(h)", mm.families.cox(3, baseline="random_walk"), "not available with strata"),
    ],
)
def test_what_has_no_strata_says_so(terms, family, words):
    with pytest.raises(mm.MicromacroError, match=words):
        mm.Model(f"{SURV} ~ {terms}", DATA, family=family)
