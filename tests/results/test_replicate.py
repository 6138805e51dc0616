"""Durations simulated from a fit: from its own hazard, after the entry, with its own censoring; and fitted again."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import micromacro as mm
from micromacro.posterior.replicate import simulated, with_response


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


@pytest.mark.slow
def test_a_likelihood_ratio_of_cox_models_by_bootstrap():
    data = durations(100, seed=9).assign(z=np.random.default_rng(1).standard_normal(100))
    larger, smaller = (
        mm.fit(f"surv(t, e) ~ {f}", data, family=mm.families.cox(3), engine="ml") for f in ("x + z", "x")
    )
    test = larger.lr_test(smaller, method="bootstrap", n=60, random_seed=3)
    exact = larger.lr_test(smaller).p
    assert test.p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 60) + 0.03)


LATE = {"weibull": "weibull", "exponential": "exponential", "lognormal": "lognormal", "cox": mm.families.cox(4)}


@pytest.mark.parametrize("family", LATE)
def test_outcomes_of_late_entries_last_until_then(quick, family):
    rng = np.random.default_rng(2)
    t, a = rng.weibull(1.0, 1200) * 2, rng.uniform(0.0, 3.0, 1200)
    data = pd.DataFrame({"t": t, "a": a, "e": 1, "x": rng.standard_normal(1200)})[t > a].reset_index(drop=True)
    fit = quick("surv(a, t, e) ~ x", data, "laplace", family=LATE[family], draws=300, random_seed=1)
    if family != "lognormal":  # under which these data were not made
        assert fit.ppc(["mean", "min"], random_seed=1)["p"].between(0.01, 0.99).all()
    made = fit.predict(kind="response", draws=True, random_seed=1).to_numpy()
    assert np.all(made > data["a"].to_numpy())
    again = fit.to_datatree(random_seed=1)["posterior_predictive"].to_dataset()
    assert np.all(next(iter(again.data_vars.values())).to_numpy() > fit.specification.entry)
    if family != "cox":
        drawn = fit.model.simulate(fit.params.to_dict(), draws=200, random_seed=1).outcome
        assert np.all(drawn > data["a"].to_numpy())
    residuals = fit.residuals()
    assert residuals.name == "residual"
    error = made.std(axis=0).mean() / np.sqrt(made.size / 10)  # draws of one chain share parameters
    seen = np.isfinite(residuals)  # censored outcomes have no residual
    assert (made.mean(axis=0) - (data["t"] - residuals))[seen].mean() == pytest.approx(0.0, abs=6 * error + 0.02)


@pytest.mark.parametrize("entry", [0.0, 0.3, 4.0, 60.0])
@pytest.mark.parametrize("family", ["weibull", "exponential", "lognormal"])
def test_expected_durations_after_an_entry(family, entry):
    """Against the integral of survival beyond the entry, far out in the tail too."""
    own, eta = np.array([1.7 if family == "weibull" else 0.6]), np.array([0.4])
    member = getattr(mm.families, family)()
    start = member.cumulative_hazard(np.array([entry]), eta, own)[0, 0]

    def left(t):
        return np.exp(start - member.cumulative_hazard(np.array([t]), eta, own)[0, 0])

    rest = integrate.quad(left, entry, entry + 1.0)[0] + integrate.quad(left, entry + 1.0, np.inf)[0]
    assert member.mean_after(eta, own, np.array([entry]))[0] == pytest.approx(entry + rest, rel=1e-4)
    drawn = member.simulate_after(np.full(4000, 0.4), own, np.random.default_rng(0), np.full(4000, entry))
    assert drawn.mean() == pytest.approx(entry + rest, abs=4 * drawn.std() / np.sqrt(4000))
