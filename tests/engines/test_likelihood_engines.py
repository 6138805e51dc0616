"""ml and reml: the maximum of a dense likelihood, closed forms of one-way layouts, boundaries, several maxima."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines.search import difference_hessian, find_peaks, sharpen

RULES = ["group", "total", "none"]


@pytest.fixture(scope="module", params=[(r, e) for r in RULES for e in ("ml", "reml")], ids="-".join)
def against(request, dense, quick):
    """A fit and the maximum of the dense likelihood."""
    rule, engine = request.param
    data = dense.make_data(rule=rule)
    fit = quick(dense.FORMULA.format(rule=rule), data, engine)
    oracle = dense.Dense(data, rule)
    return fit, oracle, engine == "reml", oracle.maximise(engine == "reml")


def test_no_dense_search_finds_a_higher_likelihood(against):
    fit, _, _, (_, value, _) = against
    assert fit.loglik == pytest.approx(value, abs=1e-6), f"{fit.loglik - value:+.2g} from the dense maximum"


def test_the_log_likelihood_at_the_estimates_is_the_dense_one(against):
    fit, oracle, reml, _ = against
    assert fit.loglik == pytest.approx(oracle.marginal(fit.params.to_numpy()[3:], reml)[0], abs=1e-8)


def test_estimates_are_those_of_the_dense_maximum(against, dense):
    fit, _, _, (theta, value, beta) = against
    expected = pd.Series([*beta, *theta], index=list(dense.NAMES))
    assert list(fit.params.index) == list(dense.NAMES)
    for name, away in ((fit.params - expected) / fit.bse).items():
        assert abs(away) < 1e-3, f"{name} is {away:+.2g} standard errors off; objective {fit.loglik - value:+.2g}"


def test_reml_of_estimated_weights_warns(dense, data):
    with pytest.warns(mm.MicromacroWarning, match="how the weights are scaled"):
        fit = mm.fit(dense.FORMULA.format(rule="total"), data, engine="reml")
    assert any("how the weights are scaled" in note for note in fit.health.remarks)


# -- one-way layouts: closed forms -----------------------------------------------------------------------------------


def one_way(k=4, units=9, sd=1.0, seed=3):
    """A balanced one-way layout: k rows of each unit."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(units), k)
    y = 2.0 + sd * rng.standard_normal(units)[unit] + 0.7 * rng.standard_normal(len(unit))
    return pd.DataFrame({"y": y, "unit": unit, "row": np.arange(len(unit))})


def anova(frame):
    """Units, rows per unit, and the mean squares between and within."""
    means = frame.groupby("unit")["y"].mean()
    c, k = len(means), len(frame) // len(means)
    between = k * ((means - frame["y"].mean()) ** 2).sum()
    within = ((frame["y"] - means[frame["unit"]].to_numpy()) ** 2).sum()
    return c, k, between, within


FORMS = {"each row a group": "y ~ 1 + (1 | unit)", "one member per group": "y ~ 1 + mm(unit, row)"}


@pytest.mark.parametrize("formula", FORMS.values(), ids=list(FORMS))
@pytest.mark.parametrize("seed", [3, 4, 5])
def test_reml_of_a_balanced_layout_is_the_analysis_of_variance(formula, seed):
    frame = one_way(seed=seed)
    fit = mm.fit(formula, frame, engine="reml")
    c, k, between, within = anova(frame)
    msb, mse = between / (c - 1), within / (c * (k - 1))
    assert msb > mse
    assert fit.params["Intercept"] == pytest.approx(frame["y"].mean(), rel=1e-8)
    assert fit.params["sigma"] == pytest.approx(math.sqrt(mse), rel=1e-5)
    assert fit.params["unit.sd"] == pytest.approx(math.sqrt((msb - mse) / k), rel=1e-5)
    assert fit.bse["Intercept"] == pytest.approx(math.sqrt(msb / (c * k)), rel=1e-5)
    # -2 log L of lme4: (N - 1) log 2 pi, log|V|, log|X'V^-1 X|, quadratic form (N - 1 at the maximum)
    n = c * k
    deviance = (n - 1) * math.log(2 * math.pi) + (n - c) * math.log(mse) + c * math.log(msb)
    deviance += math.log(n / msb) + (n - 1)
    assert fit.loglik == pytest.approx(-0.5 * deviance, abs=1e-6)


@pytest.mark.parametrize("formula", FORMS.values(), ids=list(FORMS))
@pytest.mark.parametrize("seed", [3, 4, 5])
def test_ml_of_a_balanced_layout_has_its_closed_form(formula, seed):
    frame = one_way(seed=seed)
    fit = mm.fit(formula, frame, engine="ml")
    c, k, between, within = anova(frame)
    mse, msb = within / (c * (k - 1)), between / c
    assert msb > mse
    assert fit.params["sigma"] == pytest.approx(math.sqrt(mse), rel=1e-5)
    assert fit.params["unit.sd"] == pytest.approx(math.sqrt((msb - mse) / k), rel=1e-5)
    n = c * k
    deviance = n * math.log(2 * math.pi) + (n - c) * math.log(mse) + c * math.log(msb) + n
    assert fit.loglik == pytest.approx(-0.5 * deviance, abs=1e-6)


# -- boundaries ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def no_variance():
    """A layout whose units differ less than chance alone would make them."""
    frame = one_way(sd=0.0)
    frame["y"] -= 0.9 * (frame.groupby("unit")["y"].transform("mean") - frame["y"].mean())
    return frame


@pytest.mark.parametrize("engine", ["ml", "reml"])
@pytest.mark.parametrize("formula", FORMS.values(), ids=list(FORMS))
def test_a_zero_variance_is_reported_as_zero_with_a_note_and_without_a_standard_error(no_variance, formula, engine):
    fit = mm.fit(formula, no_variance, engine=engine)
    assert fit.params["unit.sd"] == 0.0
    assert math.isnan(fit.bse["unit.sd"])
    assert any("zero" in r and "unit.sd" in r for r in fit.health.remarks)
    assert fit.health.ok
    n = len(no_variance)
    sigma = no_variance["y"].std(ddof=1 if engine == "reml" else 0)
    assert fit.params["sigma"] == pytest.approx(sigma, rel=1e-6)
    assert fit.bse["Intercept"] == pytest.approx(sigma / math.sqrt(n), rel=1e-5)
    assert np.isfinite(fit.bse.drop("unit.sd")).all()


def test_all_other_results_of_a_fit_with_a_zero_variance_are_there(no_variance):
    fit = mm.fit(FORMS["each row a group"], no_variance, engine="ml")
    assert (fit.random_effects("unit")["estimate"] == 0).all()
    assert fit.variance_components().loc["unit", "share"] == 0
    assert fit.cov_params().loc["unit.sd"].isna().all()
    assert np.isfinite(fit.predict()["se"]).all()
    low, high = fit.profile("unit.sd")
    assert low == 0
    assert 0 < high < 1
    assert "unit.sd" in fit.report()


# -- several maxima --------------------------------------------------------------------------------------------------


def test_the_better_of_two_maxima_is_found():
    def objective(u):
        a, b = np.exp(-0.5 * (u[0] + 1.0) ** 2 / 0.1), 2.0 * np.exp(-0.5 * (u[0] - 2.0) ** 2 / 0.1)
        return float(np.log(a + b)), np.array([(-(u[0] + 1.0) * a - (u[0] - 2.0) * b) / 0.1 / (a + b)])

    peaks = find_peaks(objective, [np.array([-1.2]), np.array([-0.9]), np.array([2.2])], [(None, None)])
    assert len(peaks) == 2
    assert peaks[0].u[0] == pytest.approx(2.0, abs=1e-5)
    assert peaks[0].value - peaks[1].value == pytest.approx(math.log(2.0), abs=1e-6)


BIMODAL = "y ~ 0 + mm(member, group, z, weights = 1 / (1 + (5 * (s - c)) ** 2), normalize = none, effects = none)"


@pytest.fixture(scope="module")
def bimodal():
    """Bumps of weight at s = 0.8 (higher) and s = -0.3 (lower, near where the search starts)."""
    rng = np.random.default_rng(2)
    groups = 120
    frame = pd.DataFrame({"group": np.arange(groups), "member": np.arange(groups) % 7})
    frame["s"] = np.linspace(-1.5, 2.0, groups)
    frame["z"] = 1.0
    bump = 1 / (1 + 25 * (frame["s"] - 0.8) ** 2) + 0.8 / (1 + 25 * (frame["s"] + 0.3) ** 2)
    frame["y"] = bump + 0.05 * rng.standard_normal(groups)
    return frame


def test_further_starts_find_a_maximum_that_the_first_start_misses(bimodal, quick):
    def profile(c):
        f = 1 / (1 + 25 * (bimodal["s"] - c) ** 2)
        r = bimodal["y"] - f * (f @ bimodal["y"]) / (f @ f)
        n = len(r)
        return -0.5 * n * (math.log(2 * math.pi * float(r @ r) / n) + 1)

    grid = np.linspace(-1.5, 2, 3501)
    values = np.array([profile(c) for c in grid])
    inner = np.flatnonzero((values[1:-1] > values[:-2]) & (values[1:-1] > values[2:])) + 1
    assert len(inner) == 2, "the case must have two maxima"
    lower, higher = sorted(inner, key=lambda k: values[k])
    uphill = np.sign(values[np.searchsorted(grid, 0.0) + 1] - values[np.searchsorted(grid, 0.0)])
    assert grid[lower] < 0 < grid[higher] and uphill < 0, "uphill from 0 must lie the lower one"
    fit = quick(BIMODAL, bimodal, "ml")
    assert fit.params["member.w.c"] == pytest.approx(grid[higher], abs=2e-3)
    assert fit.loglik == pytest.approx(values.max(), abs=1e-2)
    gap = f"{values[higher] - values[lower]:.1f}"
    assert any(r.startswith("2 local maxima") for r in fit.health.remarks) or values[higher] - values[lower] > 12, gap


# -- priors and the search itself ------------------------------------------------------------------------------------


def test_a_fit_with_priors_is_penalised_and_its_log_likelihood_is_not(dense, data, quick):
    prior = {"member.w.b1": mm.prior.normal(0.0, 0.2)}
    fit = quick(dense.FORMULA.format(rule="group"), data, "ml", priors=prior)
    free = quick(dense.FORMULA.format(rule="group"), data, "ml")
    oracle = dense.Dense(data)
    assert abs(fit.params["member.w.b1"]) < abs(free.params["member.w.b1"])
    assert fit.loglik == pytest.approx(oracle.loglik(fit.params.to_numpy()), abs=1e-8)
    assert fit.loglik < free.loglik
    assert "penalised" in fit.report()
    slope = dense.gradient(lambda p: oracle.loglik(p) - 0.5 * p[3] ** 2 / 0.04, fit.params.to_numpy())
    assert np.abs(slope * fit.bse.to_numpy()).max() < 1e-2


def test_a_coefficient_with_a_normal_prior_is_shrunk_as_in_ridge_regression(rng, quick):
    x = rng.standard_normal(30)
    frame = pd.DataFrame({"y": 1.0 + 2.0 * x + rng.standard_normal(30), "x": x})
    fit = quick("y ~ x", frame, "ml", priors={"x": mm.prior.normal(0.0, 0.3)})
    sigma, c = fit.params["sigma"], x - x.mean()
    expected = c @ frame["y"] / (c @ c + sigma**2 / 0.09)
    assert fit.params["x"] == pytest.approx(expected, rel=1e-5)
    r = frame["y"] - frame["y"].mean() - expected * c
    assert sigma**2 == pytest.approx(float(r @ r) / 30, rel=1e-4)
    assert fit.loglik == pytest.approx(-15 * (math.log(2 * math.pi * sigma**2) + 1), abs=1e-4)


def test_a_start_without_a_likelihood_is_passed_over():
    def objective(u):
        if u[0] < 0:
            return -math.inf, np.array([math.nan])
        return -float((u[0] - 1) ** 2), np.array([-2 * (u[0] - 1)])

    peaks = find_peaks(objective, [np.array([-1.0]), np.array([3.0])], [(None, None)])
    assert [p.u[0] for p in peaks] == pytest.approx([1.0])
    assert find_peaks(objective, [np.array([-1.0])], [(None, None)]) == []


def test_the_difference_hessian_leaves_out_entries_at_a_bound():
    a = np.array([[2.0, 0.5], [0.5, 1.0]])

    def objective(u):
        return float(-0.5 * u @ a @ u - u[1]), -a @ u - np.array([0.0, 1.0])

    peak = sharpen(objective, np.array([0.3, 0.0]), [(None, None), (0.0, None)])
    assert peak.u == pytest.approx([0.0, 0.0], abs=1e-8)
    assert peak.free.tolist() == [True, False]
    assert peak.hessian == pytest.approx(np.array([[-2.0, 0.0], [0.0, 0.0]]), abs=1e-6)
    assert peak.covariance() == pytest.approx(np.array([[0.5, 0.0], [0.0, 0.0]]), abs=1e-6)
    assert difference_hessian(objective, np.ones(2), np.array([True, True])) == pytest.approx(-a, abs=1e-6)
