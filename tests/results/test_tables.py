"""Tables of parameters, effects, weights and variances: labels, levels, and numbers against the dense model."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import micromacro as mm
from micromacro.posterior import sampled

DRAW_COLUMNS = [
    "mean",
    "sd",
    "lower",
    "upper",
    "ess_bulk",
    "ess_tail",
    "r_hat",
    "mcse_mean",
    "mcse_lower",
    "mcse_upper",
]
ML_COLUMNS = ["estimate", "se", "z", "p", "lower", "upper"]


@pytest.fixture(params=["ml", "reml", "mcmc"])
def fit(request):
    return request.getfixturevalue(request.param)


# -- parameters ------------------------------------------------------------------------------------------------------


def test_the_summary_is_indexed_by_parameter_and_has_the_documented_columns(fit, dense):
    table = fit.summary()
    assert table.index.name == "parameter"
    assert tuple(table.index) == dense.NAMES
    assert list(table.columns) == (DRAW_COLUMNS if fit.engine == "mcmc" else ML_COLUMNS)
    kept = table.drop(columns=["z", "p"], errors="ignore")
    assert np.isfinite(kept.to_numpy()).all()
    assert (table["lower"] < table["upper"]).all()


def test_params_and_standard_errors_are_columns_of_the_summary(fit):
    table = fit.summary()
    assert np.array_equal(fit.params, table.iloc[:, 0])
    assert np.array_equal(fit.bse, table.iloc[:, 1])
    assert fit.params.index.name == fit.bse.index.name == "parameter"
    pd.testing.assert_frame_equal(fit.conf_int(), table[["lower", "upper"]])


def test_the_level_is_95_per_cent_unless_another_is_asked_for(fit):
    pd.testing.assert_frame_equal(fit.summary(), fit.summary(ci=0.95))
    wide, narrow = fit.conf_int(0.99), fit.conf_int(0.5)
    assert (wide["lower"] < narrow["lower"]).all()
    assert (wide["upper"] > narrow["upper"]).all()


@pytest.mark.parametrize("ci", [0.0, 1.0, 95, -0.5, float("nan")])
def test_a_level_that_is_no_probability_is_refused(fit, ci):
    for call in (fit.summary, fit.conf_int, fit.weights, fit.random_effects, fit.variance_components, fit.report):
        with pytest.raises(mm.EngineError, match="between 0 and 1"):
            call(ci=ci)
    with pytest.raises(mm.EngineError, match="between 0 and 1"):
        fit.predict(ci=ci)


def test_tests_of_coefficients_are_two_sided_and_those_of_sds_left_out(ml):
    table = ml.summary()
    linear = ["Intercept", "x", "member.z", "member.w.b1"]
    assert table.loc[linear, "z"].to_numpy() == pytest.approx((ml.params / ml.bse)[linear].to_numpy())
    assert table.loc[linear, "p"].to_numpy() == pytest.approx(2 * stats.norm.sf(np.abs(table.loc[linear, "z"])))
    assert table.loc[["member.sd", "unit.sd", "sigma"], ["z", "p"]].isna().all(axis=None)


def test_the_summary_of_draws_is_their_moments_and_quantiles(mcmc):
    draws = mcmc.posterior.draws.reshape(-1, 7)
    table = mcmc.summary(ci=0.9)
    assert table["mean"].to_numpy() == pytest.approx(draws.mean(0))
    assert table["sd"].to_numpy() == pytest.approx(draws.std(0, ddof=1))
    assert pytest.approx(np.quantile(draws, [0.05, 0.95], axis=0)) == table[["lower", "upper"]].to_numpy().T
    assert mcmc.cov_params().to_numpy() == pytest.approx(np.cov(draws.T))
    pd.testing.assert_frame_equal(mcmc.conf_int(method="profile"), mcmc.conf_int())


def test_the_intercept_is_reported_at_zero_covariates(ml, data, quick):
    """The model centres its columns; moving a covariate moves the intercept by its coefficient, nothing else."""
    moved = quick(ml.formula, data.assign(x=data["x"] + 10))
    assert moved.params["Intercept"] == pytest.approx(ml.params["Intercept"] - 10 * ml.params["x"], abs=1e-5)
    assert moved.loglik == pytest.approx(ml.loglik, abs=1e-7)
    assert moved.bse["Intercept"] > 3 * ml.bse["Intercept"]


def test_facts_of_the_fit_are_there(fit):
    assert fit.nobs == 80
    assert fit.formula.startswith("y ~ x")
    assert fit.seconds > 0
    assert fit.engine in ("ml", "reml", "mcmc")


# -- weights ---------------------------------------------------------------------------------------------------------


def test_weights_have_group_member_weight_and_interval(fit, oracle):
    table = fit.weights()
    spread = fit.posterior.words.spread
    assert list(table.columns) == ["group", "member", "weight", spread, "lower", "upper"]
    assert np.array_equal(table["group"], oracle.groups[oracle.g])
    assert np.array_equal(table["member"], oracle.members[oracle.m])


def test_total_weights_sum_to_the_number_of_groups(fit):
    table = fit.weights()
    assert table["weight"].sum() == pytest.approx(80)
    assert table.groupby("group")["weight"].sum().std() > 0.05


def test_group_weights_sum_to_one_in_every_group(dense, quick):
    fit = quick(dense.FORMULA.format(rule="group"), dense.make_data())
    sums = fit.weights().groupby("group")["weight"].sum()
    assert sums.to_numpy() == pytest.approx(np.ones(80))


def test_weights_and_their_errors_are_those_of_the_formula(dense, oracle, ml):
    b1, se = ml.params["member.w.b1"], ml.bse["member.w.b1"]
    table = ml.weights()
    assert table["weight"].to_numpy() == pytest.approx(oracle.weights(b1), rel=1e-9)
    slope = dense.gradient(lambda b: oracle.weights(b[0]), [b1])[0]
    assert table["se"].to_numpy() == pytest.approx(np.abs(slope) * se, rel=1e-5, abs=1e-9)
    w, error = table["weight"].to_numpy(), stats.norm.ppf(0.975) * table["se"].to_numpy()
    known = table["se"].to_numpy() <= w  # on the log scale; the others on their own, cut at zero
    assert known.any() and not known.all()
    upper, lower = np.where(known, w * np.exp(error / w), w + error), np.where(known, w * np.exp(-error / w), 0.0)
    assert table["upper"].to_numpy() == pytest.approx(upper)
    assert table["lower"].to_numpy() == pytest.approx(lower)


def test_weights_of_draws_are_means_over_draws(oracle, mcmc):
    b1 = mcmc.posterior.thinned(1000)[0][:, 0]
    w = np.array([oracle.weights(b) for b in b1])
    table = mcmc.weights(ci=0.8)
    assert table["weight"].to_numpy() == pytest.approx(w.mean(0))
    assert table["sd"].to_numpy() == pytest.approx(w.std(0, ddof=1))
    assert pytest.approx(np.quantile(w, [0.1, 0.9], axis=0)) == table[["lower", "upper"]].to_numpy().T


@pytest.mark.parametrize("engine", ["ml", "mcmc"])
def test_several_blocks_are_told_apart(two_blocks, engine):
    fit = two_blocks[engine]
    both = fit.weights()
    assert both.index.names == ["block", None, None]  # the columns group and member have their ids
    for block in ("head", "aide"):
        own = fit.weights(block)
        assert both.xs(block).index.tolist() == own.index.tolist()
        one, other = both.xs(block).reset_index(drop=True), own.reset_index(drop=True)
        pd.testing.assert_frame_equal(one, other, check_names=False, check_dtype=False)
        assert fit.weights(block).groupby("group")["weight"].sum().to_numpy() == pytest.approx(np.ones(60))
    assert (fit.weights("aide")[fit.posterior.words.spread] < 1e-12).all()
    effects = fit.random_effects()
    assert set(effects.index.get_level_values("block")) == {"head", "aide"}
    assert len(effects.xs("head")) == 10
    assert list(effects.xs("aide").index) == [f"<{i}>" for i in range(9)]
    with pytest.raises(mm.ModelError, match="head, aide"):
        fit.weights("tail")


def test_a_model_without_blocks_or_effects_says_so(quick, data):
    fit = quick("y ~ x", data.groupby("group").first().reset_index())
    with pytest.raises(mm.ModelError, match="no member block"):
        fit.weights()
    with pytest.raises(mm.ModelError, match="no effects"):
        fit.random_effects()
    assert fit.variance_components().loc["residual", "share"] == 1


# -- effects ---------------------------------------------------------------------------------------------------------


def errors_of_effects(dense, oracle, fit, reml):
    """BLUPs and their errors: conditional, plus what the uncertainty of theta adds."""
    theta = fit.params.to_numpy()[3:]
    v = np.linalg.inv(-dense.hessian(lambda t: oracle.marginal(t, reml)[0], theta))
    x, inverse = oracle.blup(theta)
    slope = dense.gradient(lambda t: oracle.blup(t)[0], theta)
    return x, np.sqrt(np.diag(inverse) + np.einsum("ki,kl,li->i", slope, v, slope)), np.sqrt(np.diag(inverse))


@pytest.mark.parametrize("engine", ["ml", "reml"])
@pytest.mark.parametrize(("name", "place"), [("member", slice(0, 24)), ("unit", slice(24, 32))])
def test_effects_are_blups_with_the_uncertainty_of_everything(request, dense, oracle, engine, name, place):
    fit = request.getfixturevalue(engine)
    x, se, conditional = errors_of_effects(dense, oracle, fit, engine == "reml")
    table = fit.random_effects(name)
    assert list(table.columns) == ["estimate", "se", "lower", "upper"]
    assert table.index.name == name
    assert table["estimate"].to_numpy() == pytest.approx(x[place], abs=1e-7)
    assert table["se"].to_numpy() == pytest.approx(se[place], rel=2e-3)
    assert (table["se"] > conditional[place] * 1.0001).any()
    z = stats.norm.ppf(0.975)
    assert (table["upper"] - table["estimate"]).to_numpy() == pytest.approx(z * table["se"].to_numpy())


def test_effects_of_draws_are_their_moments(mcmc):
    table = mcmc.random_effects("member", ci=0.9)
    assert list(table.columns) == ["mean", "sd", "lower", "upper"]
    place = [p.name for p in mcmc.specification.system.parts].index("member")
    draws = mcmc.posterior.effect_draws(place).reshape(-1, 24)
    assert table["mean"].to_numpy() == pytest.approx(draws.mean(0))
    assert table["sd"].to_numpy() == pytest.approx(draws.std(0, ddof=1))
    sd = mcmc.posterior.draws[..., 4]
    raw = mcmc._outcome.draws.x[..., mcmc.specification.layout.latents(place)]
    assert mcmc.posterior.effect_draws(place) == pytest.approx(raw * sd[..., None])


def test_effects_of_ml_and_of_draws_agree(ml, mcmc):
    a, b = ml.random_effects("member")["estimate"], mcmc.random_effects("member")["mean"]
    assert np.corrcoef(a, b)[0, 1] > 0.99
    assert np.array_equal(a.index, b.index)


def test_an_unknown_name_is_an_error_that_lists_the_known(fit):
    with pytest.raises(mm.ModelError, match="member, unit"):
        fit.random_effects("party")


# -- variances -------------------------------------------------------------------------------------------------------


def shares(oracle, theta):
    b1, sd, unit_sd, sigma = theta
    W, _, _ = oracle.parts(b1)
    v = np.array([sd**2 * (W**2).sum(axis=1).mean(), unit_sd**2, sigma**2])
    return v, v / v.sum()


def test_shares_of_the_variance_are_those_of_the_formula_and_sum_to_one(dense, oracle, ml, covariance_of_theta):
    theta = ml.params.to_numpy()[3:]
    table = ml.variance_components()
    v, share = shares(oracle, theta)
    assert list(table.index) == ["member", "unit", "residual"]
    assert list(table.columns) == ["sd", "variance", "share", "share_se", "lower", "upper"]
    assert table["sd"].to_numpy() == pytest.approx(theta[1:])
    assert table["variance"].to_numpy() == pytest.approx(v)
    assert table["share"].to_numpy() == pytest.approx(share)
    assert table["share"].sum() == pytest.approx(1)
    slope = dense.gradient(lambda t: shares(oracle, t)[1], theta)
    se = np.sqrt(np.einsum("ki,kl,li->i", slope, covariance_of_theta, slope))
    assert table["share_se"].to_numpy() == pytest.approx(se, rel=1e-4)
    assert ((table["lower"] > 0) & (table["upper"] < 1)).all()


@pytest.fixture
def covariance_of_theta(ml):
    return ml.cov_params().to_numpy()[3:, 3:]


def test_shares_of_draws_are_made_draw_by_draw(oracle, mcmc):
    theta, _ = mcmc.posterior.thinned(1000)
    got = mcmc.variance_components(ci=0.8)
    both = [shares(oracle, t) for t in theta]
    v, share = np.array([b[0] for b in both]), np.array([b[1] for b in both])
    assert got["variance"].to_numpy() == pytest.approx(v.mean(0))
    assert got["share"].to_numpy() == pytest.approx(share.mean(0))
    assert got["share"].sum() == pytest.approx(1)
    assert got["share_sd"].to_numpy() == pytest.approx(share.std(0, ddof=1))
    assert pytest.approx(np.quantile(share, [0.1, 0.9], axis=0)) == got[["lower", "upper"]].to_numpy().T


def test_a_member_listed_twice_adds_its_weights_before_they_are_squared(quick):
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"group": np.repeat(np.arange(30), 3), "member": rng.integers(0, 6, 90)})
    frame["y"] = np.repeat(rng.standard_normal(30), 3) + 0.0
    fit = quick("y ~ 1 + mm(member, group, weights = 1/n, normalize = group)", frame)
    W = np.zeros((30, 6))
    np.add.at(W, (frame["group"], frame["member"]), 1 / 3)
    if fit.params["member.sd"] == 0:
        fit = quick(fit.formula, frame, priors={"sd": mm.prior.gamma(50, 50)})
    expected = fit.params["member.sd"] ** 2 * (W**2).sum(1).mean()
    assert fit.variance_components().loc["member", "variance"] == pytest.approx(expected)


# -- what was fitted ---------------------------------------------------------------------------------------------------


def test_a_fit_knows_its_model_family_and_notes(fit, tmp_path):
    assert fit.model.formula == fit.formula
    assert fit.family.name == "gaussian"
    assert fit.formula in str(fit.model.explain())
    assert set(fit.specification.notes) <= set(fit.notes)
    fit.save(tmp_path / "fit.nc")
    assert mm.load(tmp_path / "fit.nc").model.formula == fit.formula


def test_a_longer_run_keeps_model_and_prior(mcmc):
    longer = mcmc.extend(draws=5, progress=False)
    assert longer.model is mcmc.model
    assert "prior" in longer.to_datatree(prior_draws=5, random_seed=1).children


def test_draws_have_no_likelihood_and_the_message_says_what_they_have(mcmc):
    with pytest.raises(mm.EngineError, match=r"loo\(\) or log_evidence\(\)"):
        _ = mcmc.loglik


def test_weights_on_other_tables_are_those_of_the_fit_there(fit, data):
    own = fit.weights()
    pd.testing.assert_frame_equal(fit.weights(data=data), own, rtol=1e-6)
    first = own["group"].unique()[:3]  # the constant of total weights stays that of the fit
    few = fit.weights(data=data[data["group"].isin(first)])
    pd.testing.assert_frame_equal(few, own[own["group"].isin(first)], rtol=1e-6)


@pytest.mark.parametrize("engine", ["ml", "laplace"])
def test_a_student_outcome_without_variance(quick, engine):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.normal(size=200), "u": np.repeat(np.arange(20), 10)})
    frame["y"] = frame["x"] + rng.normal(size=20)[frame["u"]] + rng.standard_t(1.6, 200)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        fit = quick("y ~ x + (1 | u)", frame, engine, family="student", draws=200, random_seed=1)
        table = fit.variance_components()
        assert table["share"].sum() == pytest.approx(1.0)
        assert "nu is at most 2" in fit.report()
        for other in (fit.variance_components(by="group"), fit.variance_components(scale="response"), fit.r2()):
            assert not other.drop(columns="variance", errors="ignore").isna().any(axis=None)
        assert fit.group_correlation(0, 1).loc["outcome correlation"].notna().all()
    if engine == "ml":
        assert fit.params["nu"] < 2
        assert table["share"].tolist() == [0.0, 1.0]


def test_a_level_below_a_half_is_warned_of(ml):
    with pytest.warns(mm.MicromacroWarning, match=r"give 0\.95"):
        ml.conf_int(0.05)


def test_separated_outcomes_are_in_no_good_health(quick):
    frame = pd.DataFrame({"x": np.linspace(-1.0, 1.0, 40)})
    fit = quick("y ~ x", frame.assign(y=(frame["x"] > 0).astype(int)), family="bernoulli")
    assert "Health: PROBLEMS" in fit.report()


def test_intervals_of_normalised_weights_are_made_where_they_have_no_ends(quick):
    """With two members the logit of a weight is a coefficient times a difference, and its interval that of it."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"g": np.repeat(np.arange(60), 2), "m": np.arange(120), "s": rng.normal(size=120)})
    w = np.exp(1.5 * frame["s"]) / np.exp(1.5 * frame["s"]).groupby(frame["g"]).transform("sum")
    frame["x"] = rng.normal(size=120)
    frame["y"] = (w * frame["x"]).groupby(frame["g"]).transform("sum") + 0.6 * rng.normal(size=60)[frame["g"]]
    for rule in ("group", "total"):
        fit = quick(f"y ~ mm(m, g, x, weights = exp(b * s), normalize = {rule}, effects = none)", frame)
        table = fit.weights()
        inside = table["weight"].between(1e-12, 1.0 if rule == "group" else np.inf, inclusive="neither")
        assert inside.all() and (table["lower"] > 0.0).mean() > 0.8
        if rule == "group":
            low, high = fit.conf_int().loc["m.w.b"]
            apart = table["weight"].map(lambda v: np.log(v / (1 - v))) / fit.params["m.w.b"]
            ends = 1 / (1 + np.exp(-np.outer([low, high], apart)))
            np.testing.assert_allclose(table["lower"], ends.min(axis=0), rtol=1e-6)
            np.testing.assert_allclose(table["upper"], ends.max(axis=0), rtol=1e-6)


# -- at size ---------------------------------------------------------------------------------------------------------


def test_weights_of_many_memberships_are_made_piece_by_piece(request, monkeypatch):
    fit = request.getfixturevalue("mcmc")
    whole, negative = fit.weights(), fit.posterior.weights("member", 0.9).negative
    monkeypatch.setattr(sampled, "AT_ONCE", 50_000)
    pd.testing.assert_frame_equal(fit.weights(), whole)
    pieces = fit.posterior.weights("member", 0.9)
    assert pieces.draws is None
    np.testing.assert_array_equal(pieces.negative, negative)


def test_tables_of_weights_and_effects_can_be_written_as_parquet(fit, tmp_path):
    for name, table in (("weights", fit.weights()), ("effects", fit.random_effects("member"))):
        table.to_parquet(tmp_path / name)
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / name), table)
        assert all(dtype.kind in "fi" for dtype in table.dtypes), table.dtypes
