"""Cox: intervals and time at risk, the density against its definition, times, priors of the baseline, bad options."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy import integrate

import micromacro as mm
from micromacro.families.baseline import at_risk, at_risk_by_event_times, cut_points
from micromacro.priors import FLAT, LogGamma, Normal

CUTS = (0.4, 1.1, 2.5)
OWN = np.array([-1.2, 0.3, -0.7, -0.1])
RNG = np.random.default_rng(3)
N = 80
TIME = RNG.exponential(1.5, N).round(1) + 0.1
EVENT = (RNG.random(N) < 0.7).astype(float)
ENTRY = np.where(RNG.random(N) < 0.5, 0.0, 0.7 * TIME)
DATA = pd.DataFrame({"t": TIME, "e": EVENT, "s": ENTRY, "x": RNG.standard_normal(N)})


def bound(intervals, **options):
    """The family once it has seen the data, and its specification."""
    s = mm.Model("surv(s, t, e) ~ x", DATA, family=mm.families.cox(intervals), **options).specification
    return s.family, s


def hazard(t):
    return np.exp(OWN)[np.searchsorted(CUTS, t, side="left")]


def survival(t, eta):
    """exp(-cumulative hazard) by adding up intervals one after the other."""
    ends = [c for c in CUTS if c < t] + [t]
    spent = sum(hazard(b) * (b - a) for a, b in zip([0.0, *ends[:-1]], ends, strict=True))
    return np.exp(-np.exp(eta) * spent)


@pytest.mark.parametrize("eta", [-1.0, 0.4])
def test_the_density_is_hazard_times_survival_and_integrates_to_one(eta):
    family, _ = bound(CUTS)
    times = np.array([0.2, 0.4, 0.7, 2.0, 4.0])

    def density(t):
        values = np.stack([np.ones_like(t), t, np.zeros_like(t)])
        return np.exp(family.group_density(values, np.full(len(t), eta), OWN))

    expected = [np.exp(eta) * hazard(t) * survival(t, eta) for t in times]
    np.testing.assert_allclose(density(times), expected, rtol=1e-13)
    edges = [0.0, *CUTS, 80.0]
    total = sum(
        integrate.quad(lambda t: density(np.array([t]))[0], a + 1e-12, b, epsabs=1e-11)[0] for a, b in pairwise(edges)
    )
    assert total == pytest.approx(1.0, abs=1e-8)


def test_censoring_and_entry_are_ratios_of_survivals():
    family, _ = bound(CUTS)
    values = np.stack([0 * TIME, TIME, ENTRY])
    expected = [
        np.log(survival(t, 0.3) / (survival(s, 0.3) if s > 0 else 1.0)) for s, t in zip(ENTRY, TIME, strict=True)
    ]
    np.testing.assert_allclose(family.group_density(values, np.full(N, 0.3), OWN), expected, rtol=1e-11)
    at = np.array([0.2, 1.1, 5.0])
    got = np.exp(-family.cumulative_hazard(at, np.array([0.3, -1.0]), OWN))
    np.testing.assert_allclose(got, [[survival(t, e) for t in at] for e in (0.3, -1.0)], rtol=1e-13)


@pytest.mark.parametrize("intervals", [CUTS, "all", 6])
def test_the_rows_add_up_to_the_density_of_a_group(intervals):
    family, s = bound(intervals, priors="flat")
    rng = np.random.default_rng(4)
    eta, own = rng.standard_normal(N), rng.standard_normal(len(family.cuts) + 1)
    out, expected = np.empty((4, s.system.rows)), family.group_density(s.response.values, eta, own)
    family.slopes(s.row_values, np.concatenate([eta, own]), np.empty(0), out)
    np.testing.assert_allclose(s.system.gather(out[0]), expected, rtol=1e-11, atol=1e-12)
    plain = s.by_rows
    rows, part = plain.expanded.rows, plain.expanded.rows.part
    out = np.empty((4, len(rows.group)))
    plain.family.slopes(plain.row_values, eta[rows.group] + own[part.interval], np.empty(0), out)
    np.testing.assert_allclose(plain.system.gather(out[0]), expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("eta", [-2.0, 0.0, 1.5])
def test_moments_and_median_are_integrals_of_the_survival(eta):
    family, _ = bound(CUTS)
    edges = [0.0, *CUTS, 400.0]
    first, second = (
        sum(integrate.quad(f, a, b, epsabs=1e-11, limit=200)[0] for a, b in pairwise(edges))
        for f in (lambda t: survival(t, eta), lambda t: 2 * t * survival(t, eta))
    )
    at = np.array([eta])
    assert family.mean(at, OWN, None)[0] == pytest.approx(first, rel=1e-8)
    assert family.variance(at, OWN, None)[0] == pytest.approx(second - first**2, rel=1e-7)
    assert survival(family.median(at, OWN)[0], eta) == pytest.approx(0.5, rel=1e-12)


def test_simulated_times_have_the_survival():
    family, _ = bound(CUTS)
    y = family.simulate(np.full(20_000, 0.2), OWN, np.random.default_rng(5), None)
    for t in (0.3, 0.4, 1.0, 2.5, 4.0):
        p = survival(t, 0.2)
        assert abs((y > t).mean() - p) < 4 * np.sqrt(p * (1 - p) / len(y))


# -- intervals -------------------------------------------------------------------------------------------------------


def test_time_at_risk_is_all_of_the_time_seen():
    risk = at_risk(EVENT, TIME, ENTRY, np.array(CUTS))
    np.testing.assert_allclose(np.bincount(risk.group, risk.exposure, N), TIME - ENTRY, rtol=1e-12)
    assert np.all(risk.exposure > 0)
    assert np.array_equal(np.bincount(risk.group, risk.event, N), EVENT)


def test_at_risk_by_event_times_is_the_risk_set_of_each():
    ends = np.unique(TIME[EVENT == 1])
    risk = at_risk_by_event_times(EVENT, TIME, ENTRY, ends)
    for k, t in enumerate(ends):
        inside = np.sort(risk.group[risk.interval == k])
        assert np.array_equal(inside, np.flatnonzero((t > ENTRY) & (t <= TIME)))
        assert risk.event[risk.interval == k].sum() == np.count_nonzero((t == TIME) & (EVENT == 1))


@pytest.mark.parametrize("count", [1, 2, 5, 10, 500])
def test_every_interval_has_an_event(count):
    times = TIME[EVENT == 1]
    cuts = cut_points(count, times)
    assert len(cuts) < count
    assert np.all(np.bincount(np.searchsorted(cuts, times, side="left"), minlength=len(cuts) + 1) > 0)


def test_few_events_make_few_intervals():
    assert [len(cut_points(None, np.arange(1.0, n + 1))) + 1 for n in (1, 4, 10, 23, 50, 900)] == [1, 1, 2, 4, 10, 10]


@pytest.mark.parametrize("intervals", ["some", 0, -3, True, 2.5, [3, 1], [0, 1], [1.0, np.inf], [np.nan], ["a"]])
def test_intervals_that_are_none_are_refused(intervals):
    with pytest.raises(mm.ModelError, match="family cox: intervals= is a number from 1"):
        mm.families.cox(intervals)


def test_other_words_for_the_baseline_are_refused():
    with pytest.raises(mm.ModelError, match='baseline= is "gamma" or "random_walk"'):
        mm.families.cox(baseline="spline")


def test_an_interval_after_the_last_time_is_refused():
    with pytest.raises(mm.ModelError, match="nobody is at risk in interval 2"):
        bound([900.0])


def test_an_interval_without_event_needs_a_prior():
    with pytest.raises(mm.DataError, match=r"no event in interval 1 of the baseline, \(0, 0.01\], and 'baseline.1'"):
        bound([0.01, 1.0], priors="flat")
    _, s = bound([0.01, 1.0])
    assert any("no event in 1 intervals" in note for note in s.notes)


def test_a_random_walk_is_not_too_long():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"t": rng.exponential(1.0, 90), "x": rng.standard_normal(90)})
    with pytest.raises(mm.ModelError, match="random walk over 90 intervals is too long"):
        _ = mm.Model("surv(t) ~ x", data, family=mm.families.cox("all", baseline="random_walk")).specification


# -- parameters ------------------------------------------------------------------------------------------------------


def test_priors_of_the_baseline():
    def priors(given):
        return {p.name: p.prior for p in bound(CUTS, priors=given)[1].parameters if p.kind == "baseline"}

    crude = EVENT.sum() / (TIME - ENTRY).sum()
    default = priors(None)["baseline.2"]
    assert isinstance(default, LogGamma)
    assert (default.shape, default.rate) == pytest.approx((0.5, 0.5 / crude))
    given = {"baseline": mm.prior.gamma(2, 3), "baseline.2": mm.prior.normal(0, 1), "baseline.4": "flat"}
    expected = [LogGamma(2, 3), Normal(0, 1), LogGamma(2, 3), FLAT]
    assert list(priors(given).values()) == expected
    assert priors({"baseline": mm.prior.exponential(4)})["baseline.1"] == LogGamma(1, 4)
    with pytest.raises(mm.ModelError, match=r"prior student.* of 'baseline.1' is not possible"):
        priors({"baseline": mm.prior.student(3)})


def test_covariates_are_centred_unless_the_intercept_was_left_out():
    model = mm.Model("surv(t, e) ~ x", DATA, family="cox")
    assert model.specification.system.parts[0].center == pytest.approx([DATA["x"].mean()])
    assert mm.Model("surv(t, e) ~ 0 + x", DATA, family="cox").specification.system.parts[0].center == [0.0]


@pytest.mark.parametrize("formula", ["surv(t, e) ~ one", "surv(t, e) ~ x + twice"])
def test_columns_that_the_baseline_or_others_explain_are_refused(formula):
    with pytest.raises(mm.ModelError, match=r"constant|collinear"):
        _ = mm.Model(formula, DATA.assign(one=3.0, twice=2 * DATA["x"] + 1), family="cox").specification


def test_features_of_estimated_weights_are_centred_where_the_search_begins():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.repeat(np.arange(30), 2), "m": rng.integers(0, 9, 60), "z": rng.standard_normal(60)})
    data["t"] = rng.exponential(size=30)[data["g"]]
    model = mm.Model("surv(t) ~ 1 + mm(m, g, z, weights = power(z), normalize = group)", data, family="cox")
    assert "features of m less their means under the starting weights" in str(model.explain())
