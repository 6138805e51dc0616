"""Durations simulated from a fit: from its own hazard, after the entry, with its own censoring; and fitted again."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import micromacro as mm
from micromacro.results.replicate import simulated, with_response


def durations(groups=150, seed=4, censored=True, late=False):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(groups)
    entry = rng.uniform(0.0, 0.8, groups) * late
    t = np.exp(-0.5 * x) * rng.weibull(1.4, groups) + entry
    limit = np.where(rng.random(groups) < 0.3, rng.uniform(0.5, 2.0, groups), 2.5) + entry if censored else np.inf
    return pd.DataFrame({"entry": entry, "t": np.minimum(t, limit), "e": (t <= limit).astype(int), "x": x})


def uniforms(fit, many=20):
    """Cumulative hazards that the simulated events have reached since their entry: standard exponential if right."""
    s = fit.specification
    eta = fit.predict(kind="linear")["estimate"].to_numpy()[fit.specification.tables.order.argsort().argsort()]
    own = s.own(fit._outcome.optimum.theta, fit._outcome.optimum.x)
    out = []
    for k in range(many):
        values = simulated(fit.posterior, np.random.default_rng(k)).values
        cox = s.family.name == "cox"
        time, entry = (values[1], values[2]) if cox else (np.exp(values[1]), np.exp(values[3]))
        event = values[0] == 1.0
        spent = [s.family.cumulative_hazard(np.array([b, a]), e, own) for a, b, e in zip(time, entry, eta, strict=True)]
        out.append(np.diff(np.array(spent), axis=1)[:, 0][event])
    return np.concatenate(out)


FAMILIES = {
    "cox": mm.families.cox(5), "walk": mm.families.cox(5, baseline="random_walk"),
    "all": mm.families.cox("all"), "weibull": "weibull", "lognormal": "lognormal",
}  # fmt: skip


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", list(FAMILIES))
def test_events_come_from_the_fitted_hazard_after_the_entry(name, late):
    data = durations(censored=False, late=late)
    left = "surv(entry, t, e)" if late else "surv(t, e)"
    fit = mm.fit(f"{left} ~ x", data, family=FAMILIES[name], engine="ml")
    reached = uniforms(fit)
    assert len(reached) == 20 * 150  # without censoring everyone has an event
    assert stats.kstest(reached, "expon").pvalue > 0.001


def test_censoring_is_that_of_the_data():
    """A censored group is never seen for longer; the others are, up to the last time of the study."""
    data = durations()
    fit = mm.fit("surv(t, e) ~ x", data, family=mm.families.cox(5), engine="ml")
    event, time, _ = fit.specification.response.values
    many = [simulated(fit.posterior, np.random.default_rng(k)).values for k in range(300)]
    assert all(np.all(v[1][event == 0] <= time[event == 0]) for v in many)
    assert max(v[1].max() for v in many) <= time.max()
    assert any(np.any(v[1][event == 1] > time[event == 1]) for v in many)
    share = np.mean([v[0].mean() for v in many])
    assert share == pytest.approx(event.mean(), abs=4 * np.sqrt(event.mean() * (1 - event.mean()) / len(event)))
    at_the_end = [np.mean((v[1] == time.max()) & (v[0] == 0)) for v in many]
    assert np.mean(at_the_end) > 0


def test_the_bootstrap_of_a_cox_model_has_its_standard_errors():
    data = durations(250, seed=6)
    fit = mm.fit("surv(t, e) ~ x", data, family=mm.families.cox(4), engine="ml")
    made = fit.bootstrap(120, random_seed=1)
    assert made.failures == () and list(made.estimates.columns) == list(fit.params.index)
    table = made.summary()
    assert table["se"].to_numpy() == pytest.approx(fit.bse.to_numpy(), rel=4 / np.sqrt(2 * 120))
    away = table["bias"] / (table["se"] / np.sqrt(120))
    assert np.all(np.abs(away) < 4.5 + 0.3 * np.sqrt(120) * (away.index != "x"))  # log hazards have a small bias


def test_intervals_at_all_event_times_are_those_of_each_data_set():
    data = durations(50, seed=7)
    fit = mm.fit("surv(t, e) ~ x", data, family=mm.families.cox("all"), engine="ml")
    made = fit.bootstrap(24, random_seed=1)
    assert list(made.estimates.columns) == ["x"] and list(made.estimate.index) == ["x"]
    assert made.summary().loc["x", "se"] == pytest.approx(fit.bse["x"], rel=4 / np.sqrt(2 * 24))


def test_a_walk_keeps_its_fitted_baseline_and_effects_are_drawn_anew():
    data = durations(120, seed=8).assign(unit=np.arange(120) % 12)
    fit = mm.fit(
        "surv(t, e) ~ x + (1 | unit)", data, family=mm.families.cox(5, baseline="random_walk"), engine="ml",
        fixed={"unit.sd": 0.6},
    )  # fmt: skip
    made = fit.bootstrap(20, random_seed=2)
    assert len(made.estimates) + len(made.failures) == 20 and len(made.estimates) >= 18
    same = with_response(fit.specification, fit.specification.response)
    assert same.family.cuts == fit.specification.family.cuts
    np.testing.assert_array_equal(same.row_values, fit.specification.row_values)


def test_a_likelihood_ratio_of_cox_models_by_bootstrap():
    data = durations(100, seed=9).assign(z=np.random.default_rng(1).standard_normal(100))
    larger, smaller = (
        mm.fit(f"surv(t, e) ~ {f}", data, family=mm.families.cox(3), engine="ml") for f in ("x + z", "x")
    )
    test = larger.lr_test(smaller, method="bootstrap", n=60, random_seed=3)
    exact = larger.lr_test(smaller).p
    assert test.p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 60) + 0.03)
