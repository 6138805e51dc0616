"""The health record: what a fit says of itself, checked on made-up draws and on real fits."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import micromacro as mm
from micromacro.engines.base import Draws, Outcome, Settings, split
from micromacro.engines.coordinates import Ratios
from micromacro.engines.health import contractions, diagnose, end_errors, judge
from micromacro.engines.likelihood.maxima import distinct
from micromacro.engines.search import Peak
from micromacro.notes import remark
from micromacro.results.fit import Fit


@pytest.fixture(scope="module")
def specification(dense, data):
    return mm.Model(dense.FORMULA.format(rule="group"), data).specification


def made_up(specification, theta=None, length=1000, seed=1, chains=4, notes=()):
    """An outcome of independent draws around a good place; `theta` changes them."""
    rng = np.random.default_rng(seed)
    center = np.array([1.0, 1.0, 0.8, 0.5])
    draws = center + 0.05 * rng.standard_normal((chains, length, 4))
    draws = draws if theta is None else theta(draws, rng)
    x = rng.standard_normal((chains, length, specification.system.size))
    stats_ = {"accepted": np.ones((chains, length)), "n_evaluations": np.ones((chains, length))}
    kept = Draws(draws, *split(x, specification.system.n_effects), np.zeros((chains, length)), stats_, (0.0,))
    return Outcome("mcmc", specification, Settings(progress=False), 0.1, draws=kept, notes=list(notes))


def health(outcome):
    return Fit(outcome).health


def shifted(draws, rng):
    draws[0, :, 3] += 0.5
    return draws


def sticky(draws, rng):
    draws[..., 1] = np.repeat(draws[:, ::50, 1], 50, axis=1)
    return draws


def stuck(draws, rng):
    draws[..., 1] = 1.0
    return draws


def stuck_apart(draws, rng):
    draws[..., 1] = 1.0 + 0.1 * np.arange(4)[:, None]
    return draws


def test_independent_draws_are_healthy(specification):
    found = health(made_up(specification))
    assert found.ok
    assert found.troubles == ()


@pytest.mark.parametrize(
    ("theta", "words"),
    [(shifted, ("R-hat", "sigma")), (sticky, ("effective sample size", "member.sd")), (stuck_apart, ("member.sd",))],
)
def test_trouble_is_named_with_its_parameter(specification, theta, words):
    found = health(made_up(specification, theta))
    assert not found.ok
    for word in words:
        assert any(word in t for t in found.troubles), found.troubles


def test_chains_that_never_moved_are_not_healthy(specification):
    """Diagnostics of a constant column do not exist; that is no sign of health."""
    assert not health(made_up(specification, stuck)).ok


@pytest.mark.parametrize("length", [2, 3])
def test_too_few_draws_to_judge_are_not_healthy(specification, length):
    """As after an early Ctrl-C."""
    assert not health(made_up(specification, length=length)).ok


def test_a_short_run_is_flagged(dense, data, quick):
    fit = quick(dense.FORMULA.format(rule="group"), data, draws=30, tune=20, chains=2, random_seed=1)
    assert not fit.health.ok
    assert any("draw more" in t for t in fit.health.troubles)
    assert "Health: PROBLEMS" in fit.report()


def test_a_short_run_gives_one_warning(dense, data):
    with pytest.warns(mm.MicromacroWarning) as caught:
        mm.fit(dense.FORMULA.format(rule="group"), data, draws=30, tune=20, chains=2, random_seed=1, progress=False)
    assert len(caught) == 1


def test_notes_of_the_engine_are_remarks(specification):
    assert "a note" in health(made_up(specification, notes=[remark("test", "a note")])).remarks


def test_contraction_compares_posterior_and_prior_sds(specification):
    outcome = made_up(specification, length=500, chains=1)
    draws = Fit(outcome).posterior.draws
    got = contractions(specification, draws)
    assert set(got) == {"member.w.b1", "member.sd", "unit.sd", "sigma"}
    b1 = draws[..., specification.names.index("member.w.b1")].ravel()
    assert got["member.w.b1"] == pytest.approx(1 - b1.var(ddof=1), rel=1e-6)
    prior = next(p.prior for p in specification.parameters if p.name == "sigma")
    sigma = draws[..., -1].ravel()
    scores = stats.norm.ppf(2 * stats.t.cdf(sigma / prior.scale, prior.df) - 1)
    assert got["sigma"] == pytest.approx(1 - scores.var(ddof=1), rel=1e-6)


def test_contraction_is_about_zero_for_draws_from_the_prior(specification):
    priors = [p.prior for p in specification.system.hypers]

    def from_prior(draws, rng):
        for k, prior in enumerate(priors):
            draws[..., k] = prior.sample(rng, draws.shape[:2])
        return draws

    got = health(made_up(specification, from_prior)).contraction
    for name, value in got.items():
        assert abs(value) < 5 * np.sqrt(2 / 500), name


def blind(seed=1):
    """Weights whose covariate hardly varies within groups that hardly vary: nothing can tell b1."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"group": np.repeat(np.arange(25), 2), "member": rng.integers(0, 8, 50)})
    frame["s"] = rng.standard_normal(50)
    return frame.assign(y=np.repeat(rng.standard_normal(25), 2))


@pytest.fixture(scope="module")
def unidentified(quick):
    return quick(
        "y ~ 1 + mm(member, group, weights = exp(-(b1 * s)), normalize = group)", blind(), draws=500, tune=300,
        random_seed=2,
    )  # fmt: skip


def test_a_weight_that_the_data_say_little_about_is_remarked(unidentified):
    value = unidentified.health.contraction["member.w.b1"]
    assert value < 0.5
    remark = next(r for r in unidentified.health.remarks if "little about member.w.b1" in r)
    assert f"{np.sqrt(1 - value):.0%}" in remark
    sd = unidentified.bse["member.w.b1"]
    assert value == pytest.approx(1 - sd**2, abs=0.1)


def test_a_weight_that_the_data_determine_is_not_remarked(dense, data, quick):
    fit = quick(dense.FORMULA.format(rule="group"), data, draws=300, tune=200, random_seed=2)
    assert fit.health.contraction["member.w.b1"] > 0.5
    assert not any("little about member.w.b1" in r for r in fit.health.remarks)


def test_an_sd_that_may_be_zero_is_remarked(unidentified):
    assert any("member.sd may be zero" in r for r in unidentified.health.remarks)


def test_a_likelihood_that_is_flat_in_a_weight_is_trouble_for_ml(quick):
    """One member per group: after normalisation every weight is 1, whatever b1 is."""
    frame = blind().groupby("group").first().reset_index()
    fit = quick("y ~ 1 + mm(member, group, weights = exp(-(b1 * s)), normalize = group)", frame, "ml")
    assert not fit.health.ok
    assert any("does not determine member.w.b1" in t for t in fit.health.troubles)
    assert np.isnan(fit.bse["member.w.b1"])


def strongest(seed=1, groups=150, members=60):
    """Outcomes that follow the member with the largest s alone."""
    rng = np.random.default_rng(seed)
    rows = [(g, i) for g in range(groups) for i in rng.choice(members, rng.integers(2, 6), replace=False)]
    frame = pd.DataFrame(rows, columns=["group", "member"])
    frame["s"], frame["x"] = rng.standard_normal((2, len(frame)))
    top = frame.loc[frame.groupby("group")["s"].idxmax()].set_index("group")
    effects = 0.5 * rng.standard_normal(members)
    y = 2.0 * top["x"] + effects[top["member"]] + 0.2 * rng.standard_normal(groups)
    return frame.assign(y=frame["group"].map(y))


@pytest.mark.parametrize(
    ("weights", "names"), [("exp(b1 * s)", ["member.w.b1"]), ("logistic(s)", ["member.w.b0", "member.w.s"])]
)
def test_weights_that_run_off_to_a_limit_are_trouble_for_ml(quick, weights, names):
    """All weight on the strongest: one member's weight, or a step, of which larger parameters change nothing."""
    fit = quick(f"y ~ 1 + mm(member, group, x, weights = {weights}, normalize = group)", strongest(), "ml")
    for name in names:
        assert any(f"does not determine {name}: it diverged to" in t for t in fit.health.troubles)
    assert fit.params["member.x"] == pytest.approx(2.0, abs=0.2)


def test_a_search_that_stopped_too_early_is_trouble(dense, data, quick):
    fit = quick(dense.FORMULA.format(rule="group"), data, "ml")
    assert fit.health.ok
    optimum = replace(fit._outcome.optimum, gradient_norm=0.5)
    assert not judge(replace(fit._outcome, optimum=optimum), None, None).ok


def test_outcomes_that_a_covariate_separates_are_warned_of():
    frame = pd.DataFrame({"y": np.arange(10) // 5, "x": np.arange(10) - 4.5})
    with pytest.warns(mm.MicromacroWarning, match=r"separated: .* \(\d+ observations become certain"):
        fit = mm.fit("y ~ x", frame, family="bernoulli", engine="ml")
    assert not fit.health.ok and [t.code for t in fit.health.troubles] == ["separated"]
    assert fit.health.troubles[0].about == ("Intercept", "x")
    again = mm.fit("y ~ x", frame, family="bernoulli", engine="ml", priors={"b": mm.prior.normal(0, 2.5)})
    assert again.health.ok and again.health.cautions == ()


def test_diagnostics_of_independent_draws(rng):
    d = diagnose(rng.standard_normal((4, 500, 2)))
    assert (np.abs(d.r_hat - 1) < 0.01).all()
    assert (d.ess_bulk > 1400).all()
    assert d.mcse_mean == pytest.approx([2000**-0.5] * 2, rel=0.2)
    one = diagnose(rng.standard_normal((1, 500, 1)))
    assert np.isnan(one.r_hat[0])
    assert np.isfinite(one.ess_bulk[0])


def test_errors_of_the_ends_of_intervals_are_those_of_quantiles(rng):
    """Of a normal: sqrt(p (1 - p) / ESS) over the density; larger for a long tail, and nan where nothing moves."""
    many = [end_errors(rng.standard_normal((4, 500, 1)), 0.9)[:, 0] for _ in range(15)]
    exact = math.sqrt(0.05 * 0.95 / 2000) / stats.norm.pdf(stats.norm.ppf(0.05))
    assert np.mean(many, axis=0) == pytest.approx([exact] * 2, rel=0.2)
    low, high = end_errors(np.exp(2.0 * rng.standard_normal((4, 500, 1))), 0.9)[:, 0]
    assert high > 20 * low
    assert np.isnan(end_errors(np.ones((4, 50, 1)), 0.9)).all()
    assert np.isinf(end_errors(np.repeat([[[0.0]], [[1.0]]], 50, axis=1), 0.9)).all()


def test_ends_of_intervals_know_how_few_proposals_lie_beyond_them():
    """Draws of N(0, 1) resampled from N(0, 0.75^2): the tails are few proposals with many copies each."""
    rng = np.random.default_rng(12)
    ends, said, plain = [], [], []
    for _ in range(150):
        x = 0.75 * rng.standard_normal(1500)
        weight = np.exp(-0.5 * x**2 * (1.0 - 0.75**-2))
        picked = rng.choice(len(x), 1000, p=weight / weight.sum())
        copies = np.bincount(picked, minlength=len(x))[picked].astype(float)
        column = x[picked][None, :, None]
        ends.append(np.quantile(column, 0.975))
        said.append(end_errors(column, 0.95, copies)[1, 0])
        plain.append(end_errors(column, 0.95)[1, 0])
    assert np.mean(plain) < 0.6 * np.std(ends)
    assert np.mean(said) == pytest.approx(np.std(ends), rel=0.35)


def test_ends_known_poorly_for_their_width_are_trouble(specification):
    """A tail that reaches far: enough effective draws by all counts, but where it ends is anybody's guess."""

    def long(draws, rng):
        draws[..., 2] = np.exp(3.0 * rng.standard_normal(draws.shape[:2]))
        return draws

    name = specification.system.hypers[2].name
    found = health(made_up(specification, long, length=250)).troubles
    assert [(t.code, t.about) for t in found] == [("uncertain-ends", (name,))]
    assert health(made_up(specification, length=250)).ok


def test_a_single_chain_can_be_reported(dense, data, quick):
    fit = quick(dense.FORMULA.format(rule="group"), data, draws=100, tune=50, chains=1, random_seed=1)
    assert "Health" in fit.report()
    assert fit.summary()["r_hat"].isna().all()


# -- correlations without information ----------------------------------------------------------------------------------


def no_slopes(seed=2, slope=0.0):
    """Members whose slopes do not vary (or do)."""
    rng = np.random.default_rng(seed)
    group, member = np.repeat(np.arange(80), 3), rng.integers(0, 15, 240)
    frame = pd.DataFrame({"group": group, "member": member, "z": rng.standard_normal(240)})
    v = slope * rng.standard_normal(15)
    frame["x"] = rng.standard_normal(80)[group]
    y = (v[member] * frame["z"]).groupby(group).mean() + 0.7 * rng.standard_normal(80)
    return frame.assign(y=0.5 * frame["x"] + y.to_numpy()[group])


SLOPES = "y ~ x + mm(member, group, effects = correlated(1 + z))"
COR = "member.cor.1.z"


@pytest.mark.parametrize(("engine", "family"), [("ml", "gaussian"), ("reml", "gaussian"), ("ml", "bernoulli")])
def test_a_correlation_with_a_zero_sd_is_no_trouble(engine, family, quick):
    frame = no_slopes(seed=6 if family == "bernoulli" else 2)
    if family == "bernoulli":
        frame["y"] = (frame["y"] > 0).astype(int)
    fit = quick(SLOPES, frame, engine, family=family)
    # a covariance is of deficient rank where a correlation is 1, hardly ever where one sd alone is zero
    assert np.isnan(fit.bse[COR]) and (fit.params["member.sd.z"] == 0.0 or abs(fit.params[COR]) == 1.0)
    assert fit.health.ok and not any(COR in t for t in fit.health.troubles)
    assert any(COR in note.about for note in fit.health.remarks)
    assert not any("flat" in r or "local maxima" in r for r in fit.health.remarks)


def test_a_correlation_of_sds_that_are_not_zero_is_judged(specification, quick):
    """By the same made-up draws of the correlation, with an sd that reaches zero and with one that does not."""
    model = mm.Model(SLOPES, no_slopes(slope=1.0)).specification
    names = [p.name for p in model.system.hypers]
    assert names == ["member.sd", "member.sd.z", COR, "sigma"]

    def outcome(low):
        rng = np.random.default_rng(1)
        draws = 1.0 + 0.1 * rng.standard_normal((4, 1000, 4))
        draws[..., 1] = np.abs(rng.standard_normal((4, 1000))) + low
        draws[..., 2] = np.repeat(0.2 * rng.standard_normal((4, 20)), 50, axis=1)
        x = rng.standard_normal((4, 1000, model.system.size))
        kept = Draws(draws, *split(x, model.system.n_effects), np.zeros((4, 1000)), {}, (0.0,))
        return Outcome("mcmc", model, Settings(progress=False), 0.1, draws=kept)

    good, bad = health(outcome(0.0)), health(outcome(1.0))
    assert good.ok and any(f"{COR} is hardly identified: member.sd.z may be zero" in r for r in good.remarks)
    assert not bad.ok and any(COR in t for t in bad.troubles)
    assert not any("identified" in r for r in bad.remarks)


def test_peaks_that_differ_in_an_idle_correlation_are_one():
    model = mm.Model(SLOPES, no_slopes()).specification
    coordinates = Ratios(model.system.hypers)

    def peak(sd, cor, value=-10.0):
        u = coordinates.from_theta(np.array([0.5, sd, cor, 0.6]))
        return Peak(u, value, np.zeros(4), -np.eye(4), np.ones(4, dtype=bool))

    assert len(distinct(model, coordinates, [peak(0.0, 0.1), peak(0.0, -0.7)])) == 1
    assert len(distinct(model, coordinates, [peak(0.3, 0.1), peak(0.3, -0.7)])) == 2
    assert len(distinct(model, coordinates, [peak(0.0, 0.1), peak(0.0, -0.7, -11.0)])) == 2


@pytest.mark.parametrize(("form", "off"), [("~ m", False), ("~ kind", True)])
def test_probabilities_near_zero_are_no_run_off_where_others_determine_the_coefficients(form, off, quick):
    """Against a steep slope, which ends at zero in some observations, a category without zeros in excess runs off."""
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"m": 6.0 * rng.exponential(size=400), "kind": rng.choice(["a", "b"], 400)})
    certain = 1.0 / (1.0 + np.exp(0.8 * data["m"] - 1.0)) if form == "~ m" else 0.5 * (data["kind"] == "a")
    data["y"] = rng.poisson(2.5, 400) * (rng.random(400) > certain)
    if off:
        data.loc[(data["kind"] == "b") & (data["y"] == 0), "y"] = 1  # fewer zeros than a Poisson count has
    fit = quick("y ~ 1", data, "ml", family="zero_inflated_poisson", zi=form)
    assert any(note.code == "run-off" for note in fit.health.notes) == off
    if not off:
        assert (
            fit.health.ok
            and (1.0 / (1.0 + np.exp(-fit.params["zi.Intercept"] - fit.params["zi.m"] * data["m"]))).min() < 1e-7
        )
