"""Standard errors, intervals and tests of ml fits against the dense likelihood."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import micromacro as mm
from micromacro.results.verbs.inference import _upper
from micromacro.results.verbs.profiles import entry_of, mean_statistic

THETA = ("member.w.b1", "member.sd", "unit.sd", "sigma")


@pytest.fixture(scope="module")
def covariance(dense, oracle, ml):
    """Inverse of minus the Hessian of the dense log-likelihood in all parameters."""
    return np.linalg.inv(-dense.hessian(oracle.loglik, ml.params.to_numpy()))


def test_standard_errors_of_all_parameters_come_from_the_joint_hessian(ml, covariance):
    expected = np.sqrt(np.diag(covariance))
    for name, ratio in (ml.bse / expected).items():
        assert ratio == pytest.approx(1.0, abs=2e-3), name


def test_covariances_come_from_the_joint_hessian(ml, covariance):
    se = np.sqrt(np.diag(covariance))
    correlation = ml.cov_params().to_numpy() / np.outer(ml.bse, ml.bse)
    assert correlation == pytest.approx(covariance / np.outer(se, se), abs=3e-3)
    assert list(ml.cov_params().index) == list(ml.cov_params().columns) == list(ml.params.index)
    assert np.sqrt(np.diag(ml.cov_params())) == pytest.approx(ml.bse.to_numpy())


def test_standard_errors_of_reml_come_from_the_restricted_likelihood(dense, oracle, reml):
    theta = reml.params.to_numpy()[3:]
    v = np.linalg.inv(-dense.hessian(lambda t: oracle.marginal(t, True)[0], theta))
    assert reml.bse.to_numpy()[3:] == pytest.approx(np.sqrt(np.diag(v)), rel=3e-3)
    slope = dense.gradient(lambda t: oracle.marginal(t, True)[1], theta)
    beta = oracle.marginal(theta, True)[2] + slope.T @ v @ slope
    assert reml.bse.to_numpy()[:3] == pytest.approx(np.sqrt(np.diag(beta)), rel=3e-3)


@pytest.mark.parametrize("ci", [0.5, 0.95, 0.99])
def test_wald_intervals_are_symmetric_and_those_of_sds_on_the_log_scale(ml, ci):
    z = stats.norm.ppf(0.5 + ci / 2)
    table = ml.conf_int(ci)
    for name in ("Intercept", "member.w.b1"):
        assert table.loc[name].to_numpy() == pytest.approx(ml.params[name] + z * ml.bse[name] * np.array([-1, 1]))
    for name in ("member.sd", "unit.sd", "sigma"):
        expected = np.exp(np.log(ml.params[name]) + z * ml.bse[name] / ml.params[name] * np.array([-1, 1]))
        assert table.loc[name].to_numpy() == pytest.approx(expected)


@pytest.mark.parametrize("ci", [pytest.param(0.8, marks=pytest.mark.slow), 0.95])
@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n == "sigma" else pytest.mark.slow) for n in THETA])
def test_ends_of_a_profile_interval_lie_as_far_below_the_maximum_as_they_should(oracle, ml, name, ci):
    """Dense maximisation over the rest at each end."""
    k = THETA.index(name)
    start = tuple(ml.params[list(THETA)])
    low, high = ml.profile(name, ci)
    assert low < ml.params[name] < high
    for end in (low, high):
        if end == 0.0:
            continue
        _, value, _ = oracle.maximise(held={k: end}, start=start)
        assert 2 * (ml.loglik - value) == pytest.approx(stats.chi2.ppf(ci, 1), abs=5e-3), f"at {end}"


def test_a_profile_interval_ends_at_zero_where_the_likelihood_allows_it(oracle, ml):
    _, value, _ = oracle.maximise(held={2: 0.0}, start=tuple(ml.params[list(THETA)]))
    inside = 2 * (ml.loglik - value) < stats.chi2.ppf(0.999, 1)
    assert inside, "the case must allow zero"
    assert ml.profile("unit.sd", 0.999)[0] == 0.0


def test_profile_intervals_replace_those_of_theta_only(ml):
    wald, profile = ml.conf_int(), ml.conf_int(method="profile")
    same = ["Intercept", "x", "member.z"]
    pd.testing.assert_frame_equal(wald.loc[same], profile.loc[same])
    assert tuple(profile.loc["sigma"]) == pytest.approx(ml.profile("sigma"))
    for name in THETA:
        assert tuple(profile.loc[name]) != pytest.approx(tuple(wald.loc[name]), rel=1e-6)


def test_profile_intervals_of_reml_use_the_restricted_likelihood(oracle, reml):
    low, high = reml.profile("sigma")
    for end in (low, high):
        _, value, _ = oracle.maximise(True, {3: end}, tuple(reml.params[list(THETA)]))
        assert 2 * (reml.loglik - value) == pytest.approx(stats.chi2.ppf(0.95, 1), abs=5e-3)


@pytest.fixture(scope="module")
def ten(quick):
    """Ten independent observations."""
    return quick("y ~ 1", pd.DataFrame({"y": np.random.default_rng(3).normal(size=10)}))


def test_the_mean_of_the_statistic_is_that_of_independent_normal_numbers(ten):
    """For sigma W = n (r - 1 - log r) with n r chi-squared(n - 1)."""
    entry = entry_of(ten.posterior, "sigma")
    found = mean_statistic(entry, 1.3, 200, np.random.SeedSequence(1))
    mean = 10.0 * (0.9 - 1.0 - special.digamma(4.5) - math.log(2.0 / 10.0))
    assert mean == pytest.approx(1.205, abs=1e-3)
    assert found == pytest.approx(mean, abs=4 * 1.75 / math.sqrt(200))


def test_corrected_profile_intervals_are_wider_in_small_samples_whoever_simulates(ten):
    low, high = ten.profile("sigma", 0.9)
    with ThreadPoolExecutor(2) as pool:
        wide = ten.profile("sigma", 0.9, bootstrap=60, random_seed=1, executor=pool)
    assert wide[0] < low
    assert wide[1] > high
    assert wide == ten.profile("sigma", 0.9, bootstrap=60, random_seed=1)


def test_a_profile_has_no_end_where_the_weights_can_no_longer_be_computed(quick):
    """The likelihood tends to a limit above the level as one member comes to count alone; b beyond 424 overflows."""
    r = np.random.default_rng(10_000)
    rows = [(g, m) for g in range(150) for m in r.choice(40, r.integers(2, 7), replace=False)]
    d = pd.DataFrame(rows, columns=["g", "m"])
    d["x"], d["z"] = r.normal(size=(2, len(d)))
    n = d.groupby("g")["m"].transform("size")
    raw = n ** -np.exp(-0.8 * d["z"])
    u = 0.4 * r.normal(size=40)
    eta = (raw / raw.groupby(d["g"]).transform("sum") * (0.4 * d["x"] + u[d["m"]])).groupby(d["g"]).sum()
    d["y"] = (eta.to_numpy() + 0.8 * r.normal(size=150))[d["g"]]
    low, high = quick("y ~ 1 + mm(m, g, x, weights = power(z), normalize = group)", d).profile("m.w.z", 0.9)
    assert high == math.inf
    assert low == pytest.approx(0.346, abs=2e-3)


@pytest.mark.parametrize("number", [1, 2.5, True])
def test_numbers_of_data_sets_that_are_none_are_refused(ten, number):
    with pytest.raises(mm.EngineError, match="whole number from 2"):
        ten.profile("sigma", bootstrap=number)


@pytest.mark.parametrize(("method", "name"), [("profile", "x"), ("profile", "nothing")])
def test_profiles_of_other_parameters_are_refused(ml, method, name):
    with pytest.raises(mm.ModelError, match=name):
        ml.profile(name)


def test_other_methods_of_intervals_are_refused(ml):
    with pytest.raises(mm.EngineError, match="wald"):
        ml.conf_int(method="bootstrap")


# -- criteria --------------------------------------------------------------------------------------------------------


def test_information_criteria_count_all_parameters_and_groups(ml, oracle):
    loglik = oracle.loglik(ml.params.to_numpy())
    assert ml.loglik == pytest.approx(loglik, abs=1e-7)
    assert ml.aic == pytest.approx(-2 * loglik + 2 * 7, abs=1e-6)
    assert ml.bic == pytest.approx(-2 * loglik + math.log(80) * 7, abs=1e-6)
    assert ml.nobs == 80


@pytest.mark.parametrize("what", ["aic", "bic"])
def test_reml_with_estimated_weights_has_no_criteria(reml, what):
    assert np.isfinite(reml.loglik)
    with pytest.raises(mm.EngineError, match="REML"):
        getattr(reml, what)


@pytest.mark.parametrize(("what", "hint"), [(what, 'engine="ml"') for what in ("loglik", "aic", "bic")])
def test_draws_have_no_likelihood_and_the_error_points_elsewhere(mcmc, what, hint):
    with pytest.raises(mm.EngineError, match=hint):
        getattr(mcmc, what)


@pytest.mark.parametrize("call", ["profile", "lr_test"])
def test_draws_have_no_profiles_and_no_tests(mcmc, ml, call):
    with pytest.raises(mm.EngineError):
        mcmc.profile("sigma") if call == "profile" else mcmc.lr_test(ml)


# -- likelihood-ratio tests ------------------------------------------------------------------------------------------

FULL = "y ~ x + mm(member, group, z, weights = 1 / n ** exp(-(b1 * s)), normalize = total) + (1 | unit)"
SMALLER = {
    "a coefficient": (FULL.replace("y ~ x", "y ~ 1"), 1, 0),
    "a weight parameter": (FULL.replace("1 / n ** exp(-(b1 * s))", "1 / n"), 1, 0),
    "the sd of units": (FULL.replace(" + (1 | unit)", ""), 1, 1),
    "an sd and a coefficient": (FULL.replace(" + (1 | unit)", "").replace("y ~ x", "y ~ 1"), 2, 1),
    "the effects of members": (FULL.replace("normalize = total", "normalize = total, effects = none"), 1, 1),
}


@pytest.mark.parametrize("case", SMALLER)
def test_a_likelihood_ratio_test_has_its_mixture(ml, data, quick, case):
    formula, df, boundary = SMALLER[case]
    smaller = quick(formula, data)
    test = ml.lr_test(smaller)
    assert test.statistic == pytest.approx(2 * (ml.loglik - smaller.loglik))
    assert (test.df, test.boundary) == (df, boundary)
    plain = stats.chi2.sf(test.statistic, df)
    below = stats.chi2.sf(test.statistic, df - 1) if df > 1 else 0.0
    assert test.p == pytest.approx(0.5 * plain + 0.5 * below if boundary else plain)
    assert test.note == ""
    assert ("mixture" in str(test)) == bool(boundary)


def test_two_variances_at_zero_make_a_mixture_of_three(ml, data, quick):
    smaller = quick("y ~ x + mm(member, group, z, weights = 1 / n ** exp(-(b1 * s)), effects = none)", data)
    test = ml.lr_test(smaller)
    assert (test.df, test.boundary) == (2, 2)
    assert test.p == pytest.approx(0.5 * stats.chi2.sf(test.statistic, 1) + 0.25 * stats.chi2.sf(test.statistic, 2))


def test_at_a_statistic_of_zero_the_point_mass_counts(quick, rng):
    frame = pd.DataFrame({"unit": np.repeat(np.arange(10), 3), "y": np.tile([1.0, 2.0, 4.0], 10)})
    frame["y"] += 0.01 * rng.standard_normal(30)
    frame["y"] -= frame.groupby("unit")["y"].transform("mean")
    larger, smaller = quick("y ~ 1 + (1 | unit)", frame), quick("y ~ 1", frame)
    test = larger.lr_test(smaller)
    assert test.statistic == pytest.approx(0.0, abs=1e-7)
    assert test.p == pytest.approx(1.0, abs=1e-3)
    assert _upper(0.0, 0) == 1.0
    assert _upper(0.5, 0) == 0.0


NOTHING_LEFT = "y ~ x + mm(member, group, weights = 1 / n, normalize = total, effects = none) + (1 | unit)"


def test_a_test_says_when_weights_mean_nothing_under_the_smaller_model(ml, data, quick):
    test = ml.lr_test(quick(NOTHING_LEFT, data))
    assert (test.df, test.boundary) == (3, 1)
    assert "member.w.b1" in test.note and "bootstrap" in test.note
    assert test.note in str(test)


def test_a_model_without_the_block_is_nested_in_one_with_it(ml, data, quick):
    """The smaller model has no mm(), so its table has one row per group; the outcomes are the same."""
    one = data.groupby("group").first().reset_index()
    test = ml.lr_test(quick("y ~ x + (1 | unit)", one))
    assert test.statistic == pytest.approx(ml.lr_test(quick(NOTHING_LEFT, data)).statistic, abs=1e-6)
    assert "member.w.b1" in test.note


REFUSED = {
    "a larger model": ("y ~ x + z2 + mm(member, group, z, weights = 1 / n ** exp(-(b1 * s))) + (1 | unit)", "smaller"),
    "a model with another term": ("y ~ z2 + mm(member, group, weights = 1/n)", "not nested"),
    "itself": (FULL, "smaller"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_models_that_are_not_nested_are_refused(ml, data, quick, case):
    formula, match = REFUSED[case]
    other = quick(formula, data.assign(z2=np.sin(data["group"])))
    with pytest.raises(mm.ModelError, match=match):
        ml.lr_test(other)


def test_models_of_other_weights_are_refused_or_the_test_says_that_they_may_not_be_nested(data, quick):
    """Equal names do not make models nested: equal weights 1/n, against weights that are never 1/n."""
    larger = quick("y ~ x + mm(member, group, z, weights = exp(b1 * s), normalize = none) + (1 | unit)", data)
    smaller = quick("y ~ x + mm(member, group, z, weights = 1 / n, normalize = none) + (1 | unit)", data)
    try:
        said = larger.lr_test(smaller).note
    except mm.ModelError as error:
        said = str(error)
    assert "nested" in said


def test_fits_of_other_outcomes_are_refused(ml, data, quick):
    other = quick("y ~ x + (1 | unit)", data.assign(y=data["y"] * 2).groupby("group").first().reset_index())
    with pytest.raises(mm.ModelError, match="outcomes"):
        ml.lr_test(other)


def test_other_engines_and_penalised_fits_are_refused(ml, reml, data, quick, mcmc):
    one = data.groupby("group").first().reset_index()
    with pytest.raises(mm.EngineError, match="REML"):
        reml.lr_test(quick("y ~ x + (1 | unit)", one, "reml"))
    with pytest.raises(mm.EngineError, match="both by ml"):
        ml.lr_test(quick("y ~ x + (1 | unit)", one, "reml"))
    with pytest.raises(mm.EngineError, match="penalised"):
        ml.lr_test(quick("y ~ x + (1 | unit)", one, priors={"sd": mm.prior.half_normal(1)}))
    with pytest.raises(mm.EngineError, match="maximum likelihood"):
        ml.lr_test(mcmc)


def test_reml_fits_with_other_coefficients_are_refused_and_with_the_same_allowed(data, quick):
    one = data.groupby("group").first().reset_index()
    full, fewer = quick("y ~ x + (1 | unit)", one, "reml"), quick("y ~ 1 + (1 | unit)", one, "reml")
    with pytest.raises(mm.EngineError, match="different coefficients"):
        full.lr_test(fewer)
    test = full.lr_test(quick("y ~ x", one, "reml"))
    assert (test.df, test.boundary) == (1, 1)


@pytest.mark.parametrize(
    ("larger", "smaller", "boundary"),
    [("negative_binomial", "poisson", 1), ("student", "gaussian", 1), ("weibull", "exponential", 0)],
)
def test_families_within_each_other(quick, larger, smaller, boundary):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.standard_normal(200)})
    frame["y"] = 1.0 + rng.poisson(rng.gamma(0.7, np.exp(0.3 * frame["x"] + 1.5)))
    big, small = (quick("y ~ x", frame, family=family) for family in (larger, smaller))
    test = big.lr_test(small)
    assert (test.df, test.boundary) == (1, boundary)
    assert test.p == pytest.approx(0.5**boundary * stats.chi2.sf(test.statistic, 1))
    assert ("infinite" in test.note) == bool(boundary)
    with pytest.raises(mm.ModelError, match="not nested in"):
        big.lr_test(quick("y ~ 1", frame, family="gamma"))


def test_profile_intervals_stand_where_there_are_some_and_wald_intervals_elsewhere(quick):
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"x": rng.normal(size=120), "u": np.arange(120) % 12})
    score = 0.8 * frame["x"] + 0.7 * rng.normal(size=12)[frame["u"]] + rng.logistic(size=120)
    frame["y"] = pd.cut(score, [-np.inf, -1.0, 1.0, np.inf], labels=["low", "mid", "high"])
    for fixed in (None, {"u.sd": 0.7}):
        fit = quick("y ~ x + (1 | u)", frame, family="ordinal", fixed=fixed)
        wald, both = fit.conf_int(), fit.conf_int(method="profile")
        cuts = [name for name in fit.params.index if name.startswith("cut")]
        pd.testing.assert_frame_equal(both.loc[cuts], wald.loc[cuts])
        if fixed is None:
            assert both.loc["u.sd"].tolist() == list(fit.profile("u.sd"))
        else:
            with pytest.raises(mm.ModelError, match=r"no parameter of this model, not 'u\.sd'"):
                fit.profile("u.sd")
