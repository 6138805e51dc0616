"""Cox in the engines: closed forms without covariates, gradients of Laplace's formula, a likelihood without maximum."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import special

import micromacro as mm
from micromacro.engines.marginals import laplace_marginal

CUTS = (0.5, 1.2)


def table(groups=60, seed=2):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), 2)
    of_group = pd.DataFrame(
        {"x": rng.standard_normal(groups), "unit": rng.integers(0, 6, groups), "t": rng.exponential(1.0, groups),
         "e": (rng.random(groups) < 0.8).astype(int)}
    )  # fmt: skip
    of_group["s"] = np.where(rng.random(groups) < 0.4, 0.5 * of_group["t"], 0.0)
    rows = of_group.iloc[g].reset_index(drop=True)
    return rows.assign(g=g, member=rng.integers(0, 20, len(g)), z=rng.standard_normal(len(g)))


FORMULA = "surv(s, t, e) ~ x + mm(member, g, z, weights = exp(b * z), normalize = group) + (1 | unit)"


def sums(data, cuts=CUTS):
    """Events and time at risk of each interval, group by group."""
    edges = np.array([0.0, *cuts, np.inf])
    events, risk = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    for s, t, e in data.drop_duplicates("g")[["s", "t", "e"]].to_numpy():
        for k, (a, b) in enumerate(pairwise(edges)):
            risk[k] += max(0.0, min(b, t) - max(a, s))
            events[k] += e * (a < t <= b)
    return events, risk


def test_ml_without_covariates_is_events_over_time_at_risk():
    data = table()
    events, risk = sums(data)
    fit = mm.fit("surv(s, t, e) ~ 1", data.drop_duplicates("g"), family=mm.families.cox(CUTS), engine="ml")
    assert fit.params.to_numpy() == pytest.approx(np.log(events / risk), abs=1e-6)
    assert fit.bse.to_numpy() == pytest.approx(events**-0.5, rel=1e-4)
    assert fit.loglik == pytest.approx(events @ np.log(events / risk) - events.sum(), abs=1e-8)


def test_a_gamma_prior_adds_events_and_time():
    data = table()
    events, risk = sums(data)
    rows = data.drop_duplicates("g")
    fit = mm.fit(
        "surv(s, t, e) ~ 1", rows, family=mm.families.cox(CUTS), engine="ml", priors={"baseline": mm.prior.gamma(2, 3)}
    )
    at = np.log((events + 2) / (risk + 3))
    assert fit.params.to_numpy() == pytest.approx(at, abs=1e-6)
    assert fit.loglik == pytest.approx(events @ at - np.exp(at) @ risk, abs=1e-8)  # the prior is left out


def test_the_posterior_without_covariates_is_gamma():
    data = table()
    events, risk = sums(data)
    fit = mm.fit(
        "surv(s, t, e) ~ 1", data.drop_duplicates("g"), family=mm.families.cox(CUTS), draws=1500, tune=300, chains=2,
        priors={"baseline": mm.prior.gamma(2, 3)}, random_seed=1, progress=False,
    )  # fmt: skip
    summary = fit.summary()
    mean, sd = special.digamma(events + 2) - np.log(risk + 3), np.sqrt(special.polygamma(1, events + 2))
    off = (summary["mean"] - mean) / summary["mcse_mean"]
    assert off.abs().max() < 4, summary
    assert np.all(np.abs(summary["sd"] / sd - 1) < 4 / np.sqrt(2 * summary["ess_tail"]) + 0.03)


@pytest.mark.parametrize("options", [{}, {"baseline": "random_walk"}], ids=["gamma", "walk"])
@pytest.mark.parametrize("held", [False, True])
def test_the_gradient_of_laplaces_formula(options, held):
    s = mm.Model(FORMULA, table(), family=mm.families.cox(CUTS, **options)).specification
    marginal = laplace_marginal(s, held)
    room = marginal.workspace()
    point = np.array([0.4, 0.6, 0.5, *([0.4] if options else [])])
    if held:
        point = np.concatenate([point, [p.start + 0.1 for p in s.system.coefficients]])
    value, slope = marginal.gradient(point, room)
    assert np.isfinite(value)
    for k in range(len(point)):
        step = 1e-5 * np.eye(len(point))[k]
        difference = (marginal.value(point + step, room) - marginal.value(point - step, room)) / 2e-5
        assert slope[k] == pytest.approx(difference, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("family", ["cox", "weibull"])
def test_a_category_without_events_is_named(family):
    data = table().drop_duplicates("g").assign(k=lambda d: (d["g"] % 6 == 0).astype(int))
    data.loc[data["k"] == 1, "e"] = 0
    with pytest.warns(mm.MicromacroWarning, match="separated: .* as k moves .10 observations become certain"):
        fit = mm.fit("surv(t, e) ~ x + k", data, family=family, engine="ml")
    assert not fit.health.ok
    assert mm.fit("surv(t, e) ~ x", data, family=family, engine="ml").health.ok


def test_censored_before_the_first_event_says_nothing_in_breslows_intervals():
    data = table().drop_duplicates("g")
    more = data.head(3).assign(t=1e-6, e=0, s=0.0, g=lambda d: d["g"] + 1000)
    one, other = (
        mm.fit("surv(s, t, e) ~ 0 + x", d, family=mm.families.cox("all"), engine="ml")
        for d in (data, pd.concat([data, more]))
    )
    assert other.params.to_numpy() == pytest.approx(one.params.to_numpy(), abs=1e-5)
    assert other.loglik == pytest.approx(one.loglik, abs=1e-7)
