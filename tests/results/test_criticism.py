"""Cross-validation, calibration, predictive checks and sensitivity against refits, closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import micromacro as mm
from micromacro.posterior.leaveout.integrated import Cavities
from micromacro.posterior.leaveout.pointwise import sample
from micromacro.results.criticism.kfold import left_out, make_folds
from micromacro.results.criticism.loo import smoothed_weights
from micromacro.results.criticism.sensitivity import log_prior


def test_a_fold_is_what_a_model_without_its_groups_predicts(dense, quick):
    """Groups whose likelihood is switched off, against a refit on the other groups' rows alone."""
    data = dense.make_data(rule="group", groups=50, members=14)
    formula = dense.FORMULA.format(rule="group")
    options = {"priors": "vague", "draws": 1000, "tune": 400, "chains": 2, "random_seed": 2}
    fit = quick(formula, data, "mcmc", **options)
    fold = np.array([0, 8, 21])
    found = left_out(fit.specification, "mcmc", fit.posterior.outcome.settings, fold, np.random.default_rng(1))
    ids = np.sort(data["group"].unique())[fold]
    inside = data["group"].isin(ids)
    again = quick(formula, data[~inside], "mcmc", **options)
    eta = again.predict(data[inside], kind="linear", draws=True, random_seed=3)
    theta, _ = again.posterior.thinned(eta.sizes["draw"])
    y = data[inside].groupby("group")["y"].first()
    p = np.column_stack([stats.norm.pdf(y[i], eta.sel(group=i), theta[:, -1]) for i in ids])
    error = p.std(axis=0) / p.mean(axis=0) / np.sqrt(len(p) / 3)
    assert np.all(np.abs(found - np.log(p.mean(axis=0))) < 4.0 * np.sqrt(2) * error)


@pytest.mark.slow
def test_kfold_by_maximum_likelihood_agrees_with_leaving_one_out(dense, quick):
    """A quarter left out costs a little more than one group does; theta is that of the whole data in the latter."""
    data = dense.make_data(rule="total", groups=80)
    fit = quick(dense.FORMULA.format(rule="total"), data, "ml")
    found = fit.kfold(4, random_seed=1)
    one = Cavities(fit.specification).at(fit.posterior.outcome.optimum.theta).log_density
    gap = found.pointwise["elpd"].to_numpy() - one
    assert np.median(np.abs(gap)) < 0.25
    assert -25.0 < gap.sum() < 5.0
    assert found.kind == "kfold"
    assert "4 refits by ml" in repr(found)
    again = fit.kfold(4, random_seed=1)
    assert again.pointwise.equals(found.pointwise)


def test_a_fold_that_takes_a_category_with_it_is_refused(quick):
    """Under a flat prior only: the one row of a category is in some fold, whichever category is the reference."""
    rng = np.random.default_rng(3)
    kind = np.where(np.arange(40) == 0, "z", np.array(list("abcd"))[np.arange(40) % 4])
    data = pd.DataFrame({"c": kind, "y": rng.standard_normal(40)})
    for formula, own in (("y ~ c", "c[T.z]"), ("y ~ 0 + c", "c[z]")):
        with pytest.raises(mm.ModelError, match=r"without fold \d of 5.*prior.*merge.*folds") as caught:
            quick(formula, data).kfold(5, random_seed=1)
        assert repr(own) in str(caught.value)
    with pytest.raises(mm.ModelError, match="cannot be estimated"):
        quick("y ~ c", data.replace({"c": {"z": "A"}})).kfold(5, random_seed=1)
    found = quick("y ~ c", data, priors={"c[T.z]": mm.prior.normal(0, 10)}).kfold(5, random_seed=1)
    assert found.elpd > -100.0


def test_folds_of_members_and_units_take_all_their_groups(mcmc):
    s, rng = mcmc.specification, np.random.default_rng(2)
    part = s.members["member"]
    groups, member = part.memberships.group, part.memberships.member
    folds = make_folds(s, 6, "member", rng)
    assert set(np.concatenate(folds)) == set(range(s.groups))
    for fold in folds:
        inside = set(member[~np.isin(groups, fold)])
        gone = set(range(24)) - inside
        assert len(gone) >= 4  # four members a fold have no group left
    units = make_folds(s, None, "unit", rng)
    codes = s.units["unit"].codes
    assert sorted(tuple(sorted(set(codes[f]))) for f in units) == [(k,) for k in range(8)]
    everything = make_folds(s, 10, "group", rng)
    assert sorted(np.concatenate(everything)) == list(range(s.groups))
    with pytest.raises(mm.ModelError, match="from 2 to 8"):
        make_folds(s, 9, "unit", rng)


def test_pit_of_a_gaussian_model_is_its_distribution_function(mcmc):
    """Replicates and weights against the mixture of normal distribution functions with the same weights."""
    found = mcmc.loo_pit(random_seed=1)
    s = mcmc.specification
    draws = sample(mcmc.posterior, 2000, "")
    cavities = Cavities(s)
    density, below = np.empty((*draws.shape, s.groups)), np.empty((*draws.shape, s.groups))
    for at in np.ndindex(draws.shape):
        cavity = cavities.at(draws.theta[at])
        density[at] = cavity.log_density
        below[at] = stats.norm.cdf(s.outcome, cavity.mean, np.sqrt(cavity.variance + draws.theta[at][-1] ** 2))
    weights = np.exp(smoothed_weights(density)[0])
    expected = (weights * below.reshape(weights.shape)).sum(axis=0)
    error = np.sqrt(expected * (1 - expected) * (weights**2).sum(axis=0))
    assert np.abs((found - expected) / np.maximum(error, 1e-3)).max() < 4.5
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert mcmc.loo_pit(random_seed=1).equals(found)


@pytest.mark.parametrize("family", ["poisson", pytest.param("weibull", marks=pytest.mark.slow)])
def test_pit_is_uniform_for_counts_and_censored_durations(family, quick):
    rng = np.random.default_rng(5)
    x = rng.standard_normal(250)
    frame = pd.DataFrame({"x": x, "unit": rng.integers(0, 12, 250)})
    eta = 0.3 + 0.5 * x + 0.4 * rng.standard_normal(12)[frame["unit"]]
    if family == "poisson":
        frame["y"], formula = rng.poisson(np.exp(eta)), "y ~ x + (1 | unit)"
    else:
        time, limit = np.exp(eta) * rng.weibull(1.5, 250), rng.exponential(3.0, 250)
        frame["t"], frame["e"] = np.minimum(time, limit), (time <= limit).astype(int)
        formula = "surv(t, e) ~ x + (1 | unit)"
    fit = quick(formula, frame, "laplace", family=family, draws=400, random_seed=1)
    pit = fit.loo_pit(random_seed=2)
    assert stats.kstest(pit, "uniform").pvalue > 0.02
    assert stats.kstest(fit.loo_pit(integrated=False, random_seed=2), "uniform").pvalue > 0.02
    if family == "weibull":
        assert frame["e"].mean() < 0.9
        with pytest.raises(mm.ModelError, match="outcomes are censored"):
            fit.ppc()


def test_predictive_checks_find_what_the_model_misses(mcmc):
    table = mcmc.ppc(["mean", "sd"], random_seed=1)
    y = mcmc.specification.outcome
    assert table.loc["mean", "observed"] == y.mean()
    assert table.loc["sd", "observed"] == pytest.approx(y.std(ddof=1))
    assert (table["lower"] < table["replicated"]).all() and (table["replicated"] < table["upper"]).all()
    assert table["p"].between(0.02, 0.98).all()
    odd = mcmc.ppc({"count": len}, random_seed=1)
    assert odd.loc["count", ["observed", "replicated", "p"]].tolist() == [80, 80, 0.5]


def test_predictive_checks_by_unit_member_and_series(mcmc):
    s = mcmc.specification
    units = mcmc.ppc("mean", by="unit", random_seed=1)
    first = s.units["unit"].codes == 0
    assert units.loc[(10, "mean"), "observed"] == pytest.approx(s.outcome[first].mean())
    assert units.loc[(10, "mean"), "groups"] == first.sum()
    assert len(mcmc.ppc("mean", by="member")) == 24
    index = pd.Index(s.tables.group_levels.values)
    half = pd.Series(np.where(index % 2, "odd", "even"), index)
    by = mcmc.ppc("max", by=half.sample(frac=1.0, random_state=1), random_seed=1)
    assert by.loc[("even", "max"), "observed"] == s.outcome[index % 2 == 0].max()
    with pytest.raises(mm.DataError, match="no value for 1 of 80 groups"):
        mcmc.ppc(by=half.iloc[1:])
    with pytest.raises(mm.DataError, match="not a block, a unit or a column"):
        mcmc.ppc(by="party")
    with pytest.raises(mm.ModelError, match="stat= is mean"):
        mcmc.ppc("skewness")


def test_contraction_is_of_prior_and_posterior_sds(mcmc):
    table = mcmc.contraction()
    assert list(table.index) == list(mcmc.specification.names)
    prior = next(p.prior for p in mcmc.specification.parameters if p.name == "x")
    assert table.loc["x", "contraction"] == pytest.approx(1 - (mcmc.bse["x"] / prior.sd) ** 2)
    assert table.loc["member.w.b1", "contraction"] == pytest.approx(mcmc.health.contraction["member.w.b1"])
    assert table.loc["sigma", "sd"] == mcmc.bse["sigma"]


def test_sensitivity_finds_the_prior_that_matters(dense, data, quick):
    """A prior far from the likelihood moves its own parameter and not the others."""
    priors = {"member.w.b1": mm.prior.normal(-1.0, 0.3)}
    fit = quick(dense.FORMULA.format(rule="total"), data, "mcmc", priors=priors, draws=500, tune=300, chains=4,
                random_seed=1)  # fmt: skip
    table = fit.sensitivity()
    assert table.loc["member.w.b1", "prior"] > 0.05
    assert table.loc["x", "prior"] < 0.05
    assert table.loc["member.w.b1", "diagnosis"] != ""
    assert table.loc["x", "diagnosis"] == ""
    only = fit.sensitivity("w")
    assert only.loc["member.w.b1", "prior"] == pytest.approx(table.loc["member.w.b1", "prior"], rel=0.3)
    with pytest.raises(mm.ModelError, match="is neither a parameter with a proper prior"):
        fit.sensitivity("cut")


def test_the_scaled_prior_is_that_of_the_parameters_alone(mcmc):
    s = mcmc.specification
    draws = sample(mcmc.posterior, 40, "")
    found = log_prior(s, draws)[0, 0]
    parts = [*zip(s.system.hypers, draws.theta[0, 0], strict=True)]
    parts += zip(s.system.coefficients, draws.x[0, 0][s.system.n_effects :], strict=True)
    assert found == pytest.approx(sum(p.prior.log_density(v) for p, v in parts))
    weight = s.weight_parameters[0].prior.log_density(draws.theta[0, 0, 0])
    assert log_prior(s, draws, "w")[0, 0] == pytest.approx(weight)
