"""LOO and WAIC against dense algebra, quadrature and refits without the group."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import micromacro as mm
from micromacro.engines.base import Sample, split
from micromacro.engines.joint import linear_predictor
from micromacro.posterior.leaveout import propagation
from micromacro.posterior.leaveout.integrated import Cavities, integrated_log_likelihood
from micromacro.posterior.leaveout.joint import LeaveSetsOut
from micromacro.posterior.leaveout.pointwise import log_likelihood, sample

THETA = np.array([1.1, 1.3, 0.6, 0.55])  # b1, sd, unit sd, sigma


@pytest.fixture(scope="module")
def flat(dense, data):
    """The model with flat coefficients, and its design with everything in one matrix, written out densely."""
    model = mm.Model(dense.FORMULA.format(rule="total"), data, priors={"b": "flat", "Intercept": "flat"})
    oracle = dense.Dense(data, "total")
    W, X, Z = oracle.parts(THETA[0])
    A = np.hstack([THETA[1] * W, THETA[2] * Z, X])
    D = np.diag(np.r_[np.ones(W.shape[1] + Z.shape[1]), np.zeros(3)])
    return model.specification, A, D, oracle.y


def left_out(A, D, y, sigma, rows):
    """Log density of y[rows] given all other rows, from the equations without these rows."""
    rest = np.setdiff1d(np.arange(len(y)), rows)
    H = A[rest].T @ A[rest] / sigma**2 + D
    mean = A[rows] @ np.linalg.solve(H, A[rest].T @ y[rest] / sigma**2)
    cov = A[rows] @ np.linalg.solve(H, A[rows].T) + sigma**2 * np.eye(len(rows))
    return stats.multivariate_normal.logpdf(y[rows], mean, cov)


def test_a_gaussian_group_left_out_is_exact_given_theta(flat):
    specification, A, D, y = flat
    found = Cavities(specification).at(THETA).log_density
    expected = [left_out(A, D, y, THETA[3], [i]) for i in range(len(y))]
    assert found == pytest.approx(np.array(expected), abs=1e-8)


def test_sets_of_groups_left_out_together_are_exact_given_theta(flat):
    specification, A, D, y = flat
    sets = [np.array([3]), np.array([0, 7, 11]), np.arange(20, 40)]
    found = LeaveSetsOut(specification, sets).at(THETA)
    assert found == pytest.approx([left_out(A, D, y, THETA[3], rows) for rows in sets], abs=1e-8)


def test_observation_weights_count_a_group_more_than_once(dense, data):
    """A group of weight two, left out, is two groups with one linear predictor left out together."""
    counted = data.assign(count=np.where(data["group"] == 3, 2.0, np.where(data["group"] == 5, 0.0, 1.0)))
    model = mm.Model(
        dense.FORMULA.format(rule="group"), counted, priors={"b": "flat", "Intercept": "flat"},
        observation_weights="count",
    )  # fmt: skip
    oracle = dense.Dense(data, "group")
    W, X, Z = oracle.parts(THETA[0])
    A, y = np.hstack([THETA[1] * W, THETA[2] * Z, X]), oracle.y
    D = np.diag(np.r_[np.ones(W.shape[1] + Z.shape[1]), np.zeros(3)])
    keep = np.r_[np.delete(np.arange(len(y)), 4), 2]  # without the group of weight zero, the other one twice
    found = Cavities(model.specification).at(THETA).log_density
    twice = np.flatnonzero(keep == 2)
    assert found[2] == pytest.approx(left_out(A[keep], D, y[keep], THETA[3], twice), abs=1e-8)
    assert found[4] == 0.0


FAMILIES = {
    "bernoulli": lambda eta, rng: rng.binomial(1, special.expit(eta)),
    "poisson": lambda eta, rng: rng.poisson(np.exp(eta)),
    "weibull": lambda eta, rng: np.exp(eta) * rng.weibull(1.5, len(eta)),
    "student": lambda eta, rng: eta + 0.4 * rng.standard_t(4, len(eta)),
    "gaussian": lambda eta, rng: eta + 0.4 * rng.standard_normal(len(eta)),
}


def two_members(family, seed=3):
    """Fourteen groups of two members with shares: three latent numbers, few enough for quadrature."""
    rng = np.random.default_rng(seed)
    share = rng.uniform(0.1, 0.9, 14)
    frame = pd.DataFrame({"group": np.repeat(np.arange(14), 2), "member": np.tile([1, 2], 14)})
    frame["share"] = np.column_stack([share, 1 - share]).ravel()
    eta = 0.3 + share * 0.8 - (1 - share) * 0.7
    frame["y"] = np.repeat(FAMILIES[family](eta, rng), 2).astype(float)
    return frame


def model_of(family, data):
    return mm.Model(
        "y ~ 1 + mm(member, group, weights = share, normalize = none)", data, family=family,
        priors={"Intercept": mm.prior.normal(0, 1)},
    )  # fmt: skip


@pytest.mark.parametrize("family", ["bernoulli", "poisson", "student", "gaussian"])
def test_a_group_left_out_agrees_with_quadrature_given_theta(family):
    """p(y_i | y_-i, theta) as a ratio of two integrals over the three latent numbers, on a grid."""
    data = two_members(family)
    s = model_of(family, data).specification
    theta = np.array([p.start for p in s.system.hypers])
    theta[0] = 0.8
    node = np.linspace(-4.5, 4.5, 41)
    share = data["share"].to_numpy().reshape(-1, 2)
    x = np.stack(np.meshgrid(node, node, node, indexing="ij"), axis=-1).reshape(-1, 3)
    log_w = -0.5 * np.square(x).sum(axis=1)
    eta = x[:, [0]] + 0.8 * x[:, 1:] @ share.T
    each = np.stack([s.family.log_density(s.response.values, e, theta[1:], np, special) for e in eta])
    whole = special.logsumexp(log_w + each.sum(axis=1))
    without = [special.logsumexp(log_w + each.sum(axis=1) - each[:, i]) for i in range(14)]
    found = Cavities(s).at(theta).log_density
    # exact for a Gaussian; else the error of propagation, largest for the most surprising of so few groups
    error = np.abs(found - (whole - np.array(without)))
    assert error.max() < (2e-4 if family == "gaussian" else 0.03)
    assert error.mean() < (2e-4 if family == "gaussian" else 0.006)
    pair = LeaveSetsOut(s, [np.array([2, 9])]).at(theta)[0]
    both = whole - special.logsumexp(log_w + each.sum(axis=1) - each[:, 2] - each[:, 9])
    assert pair == pytest.approx(both, abs=2e-4 if family == "gaussian" else 0.06)
    alone = LeaveSetsOut(s, [np.array([k]) for k in range(14)]).at(theta)  # sets of one are the cavities' masses
    assert alone == pytest.approx(found, abs=1e-8)


def test_propagation_that_does_not_settle_is_said(monkeypatch):
    """Laplace's sites serve then: worse, but there."""
    s = model_of("poisson", two_members("poisson")).specification
    theta = np.full((1, 2, 1), 0.8)
    good = integrated_log_likelihood(s, Sample(theta, *split(np.zeros((1, 2, s.system.size)), s.system.n_effects)))
    monkeypatch.setattr(propagation, "ROUNDS", 1)
    with pytest.warns(mm.MicromacroWarning, match="did not settle at 2 of 2 draws"):
        worse = integrated_log_likelihood(s, Sample(theta, *split(np.zeros((1, 2, s.system.size)), s.system.n_effects)))
    assert 1e-3 < np.abs(worse - good).max() < 0.2


@pytest.mark.parametrize("family", ["bernoulli", "weibull", "gaussian"])
def test_conditional_log_likelihoods_are_those_of_the_plain_density(family):
    data = two_members(family)
    s = model_of(family, data).specification
    rng = np.random.default_rng(1)
    theta = np.abs(rng.normal(1.0, 0.2, (2, 3, len(s.system.hypers))))
    x = rng.standard_normal((2, 3, s.system.size))
    found = log_likelihood(s, Sample(theta, *split(x, s.system.n_effects)))
    for c, d in np.ndindex(2, 3):
        eta = linear_predictor(s, theta[c, d], x[c, d])
        expected = s.family.log_density(s.response.values, eta, theta[c, d, 1:], np, special)
        assert found[c, d] == pytest.approx(expected, rel=1e-10)


def test_waic_is_its_formula(mcmc):
    with pytest.warns(mm.MicromacroWarning, match="WAIC is not reliable"):
        found = mcmc.waic()
    s, draws = mcmc.specification, mcmc._outcome.draws
    theta, x = draws.theta.reshape(-1, 4), draws.x.reshape(-1, draws.x.shape[-1])
    room = s.system.workspace(gradient=False)
    values = np.stack(
        [stats.norm.logpdf(s.outcome, linear_predictor(s, t, v, room), t[-1]) for t, v in zip(theta, x, strict=True)]
    )
    p = values.var(axis=0, ddof=1)
    assert found.pointwise["p_waic"].to_numpy() == pytest.approx(p, rel=1e-8)
    assert found.elpd == pytest.approx((np.log(np.exp(values).mean(axis=0)) - p).sum(), rel=1e-8)
    assert found.se == pytest.approx(np.sqrt(len(p) * found.pointwise["elpd"].var()), rel=1e-12)


def test_loo_without_smoothing_is_the_harmonic_mean(mcmc):
    """The integrated weights are so even that smoothing changes little."""
    found = mcmc.loo(integrated=True)
    values = integrated_log_likelihood(mcmc.specification, sample(mcmc.posterior, 2000, "")).reshape(-1, mcmc.nobs)
    harmonic = -np.log(np.exp(-values).mean(axis=0))
    assert found.pointwise["elpd"].to_numpy() == pytest.approx(harmonic, abs=0.05)
    assert found.bad == 0
    assert found.pareto_k.max() < 0.7
    assert list(found.pointwise.index) == sorted(mcmc.specification.tables.group_levels.values)
    assert 2.0 < found.p_loo < 7.0  # seven parameters, of which the effects are no part
    assert "effects integrated out" in repr(found)
    assert found.table.loc["elpd", "estimate"] == found.elpd


def test_conditional_loo_warns_where_its_weights_fail(mcmc):
    with pytest.warns(mm.MicromacroWarning, match=r"use loo\(integrated=True\)"):
        found = mcmc.loo()
    assert found.bad > 0
    assert found.p_loo > 15.0  # the effects count


def brute_force(fit, formula, data, group, quick, **options):
    """Log predictive density of a group from a refit without its rows, its unseen members drawn, and its MC error."""
    inside = data["group"] == group
    again = quick(formula, data[~inside], "mcmc", **options)
    new = data[inside]
    eta = again.predict(new, kind="linear", draws=True, random_seed=group).to_numpy().reshape(-1)
    theta, _ = again.posterior.thinned(len(eta))
    p = stats.norm.pdf(new["y"].iloc[0], eta, theta[:, -1])
    draws = p.reshape(options["chains"], -1)
    from arviz_stats.base.array import array_stats

    error = array_stats.mcse(draws, chain_axis=0, draw_axis=1, method="mean")
    return np.log(p.mean()), error / p.mean()


def test_integrated_loo_agrees_with_refits_without_the_group(dense, quick):
    rule = "group"
    data = dense.make_data(rule=rule, groups=60, members=20)
    formula = dense.FORMULA.format(rule=rule)
    options = {"draws": 1000, "tune": 400, "chains": 2, "priors": "vague", "random_seed": 2}
    fit = quick(formula, data, "mcmc", **options)
    found = fit.loo(integrated=True).pointwise["elpd"]
    for group in found.sort_values().index[[0, 30]]:  # the most surprising group, and one in the middle
        value, error = brute_force(fit, formula, data, group, quick, **options)
        own = np.sqrt(2.0 / 2000)  # of the loo itself, at most about this
        assert abs(found[group] - value) < 4.0 * np.hypot(error, own)


@pytest.mark.calibrate
def test_integrated_loo_of_coalgov_agrees_with_thirty_refits(shared, quick):
    data = pd.read_csv(shared / "data" / "coalgov.csv").assign(group=lambda d: d["gid"])
    data["y"] = np.log(data["dur_wkb"])
    formula = "y ~ majority + mwc + mm(pid, group, cohesion, weights = 1/n, normalize = group) + (1 | cid)"
    fit = quick(formula, data, "mcmc", priors="vague", random_seed=1)
    integrated = fit.loo(integrated=True)
    assert integrated.pareto_k.max() < 0.7
    options = {"draws": 1000, "tune": 500, "chains": 2, "priors": "vague", "random_seed": 2}
    away = []
    elpd = integrated.pointwise["elpd"]
    for group in elpd.sort_values().index[np.linspace(0, len(elpd) - 1, 30).astype(int)]:
        value, error = brute_force(fit, formula, data, group, quick, **options)
        away.append((elpd[group] - value) / np.hypot(error, np.sqrt(1.0 / 2000)))
    assert np.abs(away).max() < 4.0, away
    assert np.mean(np.square(away)) < 2.0, away


@pytest.mark.calibrate
def test_integrated_loo_of_coalgov_is_reliable_where_the_conditional_one_is_not(shared, quick):
    data = pd.read_csv(shared / "data" / "coalgov.csv")
    formula = (
        "surv(dur_wkb, event_wkb) ~ majority + mm(pid, gid, finance, weights = power(pseat), normalize = group)"
        " + (1 | cid)"
    )
    fit = quick(formula, data, "mcmc", family="weibull", priors="vague", random_seed=1)
    with pytest.warns(mm.MicromacroWarning, match="Pareto k"):
        conditional = fit.loo()
    assert fit.loo(integrated=True).pareto_k.max() < 0.7 < conditional.pareto_k.max()


@pytest.mark.filterwarnings("ignore:Pareto k")
def test_all_groups_of_a_member_can_be_left_out_together(mcmc):
    found = mcmc.loo(by="member", draws=800)
    assert found.pointwise.index.name == "member"
    assert len(found.pointwise) == 24
    units = mcmc.loo(by="unit", draws=800)
    assert list(units.pointwise.index) == list(mcmc.random_effects("unit").index)
    with pytest.raises(mm.ModelError, match="one of group, member, unit"):
        mcmc.loo(by="party")


def test_loo_needs_draws(ml):
    for call in (ml.loo, ml.waic, lambda: ml.loo(integrated=True)):
        with pytest.raises(mm.EngineError, match="needs draws"):
            call()


def test_a_group_that_alone_determines_a_coefficient_is_named(dense, data):
    only = data.assign(x=(data["group"] == 7).astype(float))
    model = mm.Model(dense.FORMULA.format(rule="group"), only, priors={"b": "flat", "Intercept": "flat"})
    with pytest.raises(mm.EngineError, match=r"first: 7\).*flat prior"):
        Cavities(model.specification).at(THETA)


@pytest.mark.filterwarnings("ignore:Pareto k")
def test_the_rows_of_a_cox_group_leave_together(quick):
    """With one interval the Cox model is the exponential one, whose groups have a row each."""
    rng = np.random.default_rng(6)
    x, unit = rng.standard_normal(80), rng.integers(0, 10, 80)
    time = rng.exponential(np.exp(0.4 * x + 0.5 * rng.standard_normal(10)[unit]))
    frame = pd.DataFrame({"x": x, "unit": unit, "t": np.minimum(time, 3.0), "e": (time < 3.0).astype(int)})
    options = {"draws": 500, "random_seed": 1, "priors": {"sd": mm.prior.half_normal(1), "x": mm.prior.normal(0, 5)}}
    formula = "surv(t, e) ~ x + (1 | unit)"
    fit = quick(formula, frame, "laplace", family=mm.families.cox(intervals=1), **options)
    cox = fit.loo(integrated=True)
    plain = quick(formula, frame, "laplace", family="exponential", **options).loo(integrated=True)
    gap = cox.pointwise["elpd"] - plain.pointwise["elpd"]
    assert np.abs(gap).max() < 0.1
    assert cox.elpd == pytest.approx(plain.elpd, abs=0.5)
    with pytest.raises(mm.ModelError, match="not available for family cox"):
        fit.loo_pit()
