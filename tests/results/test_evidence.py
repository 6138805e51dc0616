"""Log marginal likelihoods against sums over fine grids of everything that is not conjugate."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import micromacro as mm
from micromacro.posterior.evidence import bridge, mass_within, ordered_mass

PRIORS = {
    "Intercept": mm.prior.normal(0.5, 2.0),
    "x": mm.prior.normal(0.0, 1.0),
    "member.sd": mm.prior.half_student(3, 0, 1.0),
    "sigma": mm.prior.exponential(1.0),
}


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(4)
    rows = [(g, m) for g in range(30) for m in rng.choice(8, size=1 + g % 3, replace=False)]
    frame = pd.DataFrame(rows, columns=["group", "member"])
    x, u = rng.standard_normal(30), rng.standard_normal(8)
    w = 1.0 / np.bincount(frame["group"])[frame["group"]]
    y = 1 + 0.5 * x + np.bincount(frame["group"], 0.4 * w * u[frame["member"]]) + 0.6 * rng.standard_normal(30)
    return frame.assign(x=x[frame["group"]], y=y[frame["group"]])


def gaussian_evidence(frame):
    """log p(y): theta = (sd, sigma) on a grid, all else closed form; written with dense matrices."""
    y = frame.groupby("group")["y"].first().to_numpy()
    x = frame.groupby("group")["x"].first().to_numpy()
    W = np.zeros((30, 8))
    n = np.bincount(frame["group"])
    np.add.at(W, (frame["group"], frame["member"]), 1.0 / n[frame["group"]])
    X = np.column_stack([np.ones(30), x - x.mean()])
    prior = X @ np.diag([4.0, 1.0]) @ X.T
    sds, d_sd = np.linspace(0.0, 8.0, 161, retstep=True)
    logs, d_log = np.linspace(np.log(0.15), np.log(3.0), 61, retstep=True)
    values = np.empty((len(sds), len(logs)))
    for i, sd in enumerate(sds):
        for j, sigma in enumerate(np.exp(logs)):
            V = prior + sd**2 * W @ W.T + sigma**2 * np.eye(30)
            L = np.linalg.cholesky(V)
            r = np.linalg.solve(L, y - 0.5)
            value = -0.5 * r @ r - np.log(np.diag(L)).sum() - 15 * np.log(2 * np.pi)
            value += math.log(2) + stats.t.logpdf(sd, 3) + stats.expon.logpdf(sigma) + math.log(sigma)
            values[i, j] = value + math.log((d_sd if 0 < i < 160 else d_sd / 2) * d_log)
    return special.logsumexp(values)


def test_evidence_of_a_gaussian_model_agrees_with_quadrature(small, quick):
    formula = "y ~ x + mm(member, group, weights = 1/n, normalize = group)"
    fit = quick(formula, small, "mcmc", priors=PRIORS, draws=1000, tune=500, chains=2, random_seed=3)
    exact = gaussian_evidence(small)
    for method in ("bridge", "importance", "laplace"):
        found = fit.log_evidence(method, draws=1500, random_seed=1)
        assert found.se < 0.03
        assert abs(found.value - exact) < 4.0 * found.se + 1e-3, (method, found, exact)
        assert found.bias == 0.0
        assert f"{float(found):.3f}" in repr(found)
    with pytest.raises(mm.EngineError, match="bridge, importance, laplace"):
        fit.log_evidence("harmonic")


@pytest.mark.slow
def test_evidence_of_a_bernoulli_model_agrees_with_quadrature(quick):
    """Three latent numbers and one sd, all on a grid: Laplace alone is off, and says so."""
    rng = np.random.default_rng(7)
    share = rng.uniform(0.1, 0.9, 40)
    frame = pd.DataFrame({"group": np.repeat(np.arange(40), 2), "member": np.tile([1, 2], 40)})
    frame["share"] = np.column_stack([share, 1 - share]).ravel()
    y = rng.binomial(1, special.expit(1.5 * share - 1.0))
    frame["y"] = np.repeat(y, 2)
    priors = {"Intercept": mm.prior.normal(0, 1), "sd": mm.prior.half_normal(1)}
    formula = "y ~ 1 + mm(member, group, weights = share, normalize = none)"
    fit = quick(formula, frame, "mcmc", family="bernoulli", priors=priors, draws=1000, tune=500, chains=2,
                random_seed=3)  # fmt: skip
    node = np.linspace(-5, 5, 25)
    x = np.stack(np.meshgrid(node, node, node, indexing="ij"), axis=-1).reshape(-1, 3)
    log_w = stats.norm.logpdf(x).sum(axis=1) + 3 * math.log(node[1] - node[0])
    both = np.column_stack([share, 1 - share]).T
    parts = []
    sds, step = np.linspace(0.0, 5.0, 41, retstep=True)
    for sd in sds:
        eta = x[:, [0]] + sd * x[:, 1:] @ both
        log = special.logsumexp(log_w + special.log_expit(np.where(y == 1, 1, -1) * eta).sum(axis=1))
        parts.append(log + math.log(2 * stats.norm.pdf(sd)) + math.log(step / 2 if sd in (0.0, 5.0) else step))
    exact = special.logsumexp(parts)
    for method in ("bridge", "importance"):
        found = fit.log_evidence(method, draws=1500, random_seed=1)
        assert found.se < 0.03
        assert abs(found.value - exact) < 4.0 * found.se + 1e-3, (method, found, exact)
    rough = fit.log_evidence("laplace", draws=1500, random_seed=1)
    assert rough.value + rough.bias == pytest.approx(exact, abs=0.1)
    assert abs(rough.value - exact) < 0.3
    assert "corrects it by" in repr(rough)


def test_evidence_without_a_parameter_beside_the_coefficients(quick):
    rng = np.random.default_rng(9)
    frame = pd.DataFrame({"y": rng.poisson(2.0, 25)})
    fit = quick("y ~ 1", frame, "mcmc", family="poisson", draws=200, tune=50, chains=2, random_seed=1)
    prior = fit.specification.parameters[0].prior
    grid = np.linspace(-2.0, 4.0, 4001)
    heights = stats.poisson.logpmf(frame["y"].to_numpy()[:, None], np.exp(grid)).sum(axis=0)
    exact = special.logsumexp(heights + stats.norm.logpdf(grid, prior.mean, prior.sd)) + math.log(grid[1] - grid[0])
    for method in ("bridge", "importance", "laplace"):
        found = fit.log_evidence(method, draws=200, random_seed=2)
        assert abs(found.value - exact) < 0.005 + 4 * found.se, method


def test_the_bridge_finds_a_known_constant():
    """Target 3 N(0, 1), proposal N(0.3, 1.2^2)."""
    rng = np.random.default_rng(2)

    def ratio(x):
        return math.log(3.0) + stats.norm.logpdf(x) - stats.norm.logpdf(x, 0.3, 1.2)

    value, se = bridge(ratio(rng.standard_normal((4, 1000))), ratio(0.3 + 1.2 * rng.standard_normal(4000)))
    assert abs(value - math.log(3.0)) < 4.0 * se
    assert 0.001 < se < 0.02


def test_ordered_cuts_have_the_share_of_the_prior_that_is_ordered():
    t = mm.prior.student(3, 0, 2.5)
    assert ordered_mass([t] * 4) == pytest.approx(1 / 24, rel=1e-5)
    apart = ordered_mass([mm.prior.normal(-1, 1), mm.prior.normal(1, 2)])
    assert apart == pytest.approx(stats.norm.cdf(2 / math.sqrt(5)), rel=1e-5)


def test_evidence_needs_proper_priors_and_warns_of_vague_ones(small, quick):
    formula = "y ~ x + mm(member, group, weights = 1/n, normalize = group)"
    options = {"draws": 60, "tune": 60, "chains": 2, "random_seed": 3}
    flat = quick(formula, small, "mcmc", priors={"x": "flat"}, **options)
    with pytest.raises(mm.EngineError, match=r"flat priors \(x\)"):
        flat.log_evidence()
    with pytest.raises(mm.EngineError, match=r"flat priors \(Intercept, x, member.sd, sigma\)"):
        quick(formula, small).log_evidence("laplace")
    vague = quick(formula, small, "mcmc", priors="vague", **options)
    with pytest.warns(mm.MicromacroWarning, match="priors of Intercept, x, member.sd, sigma are vague"):
        vague.log_evidence("laplace", draws=50)
    rough = quick(formula, small, "laplace", priors=PRIORS, draws=60, random_seed=1)
    with pytest.raises(mm.EngineError, match="needs exact draws"):
        rough.log_evidence()
    assert math.isfinite(rough.log_evidence("importance", draws=50).value)


@pytest.fixture(scope="module")
def edged():
    """Weights 1 + b z, which are not negative for b between -1/2 and 1 only; the data want b near 1."""
    rng = np.random.default_rng(6)
    group = np.repeat(np.arange(25), 3)
    frame = pd.DataFrame(
        {"g": group, "m": np.arange(75), "z": rng.uniform(-1.0, 2.0, 75), "x": rng.standard_normal(75)}
    )
    frame.loc[0, "z"], frame.loc[1, "z"] = -1.0, 2.0
    raw = 1.0 + 0.95 * frame["z"]
    w = raw / np.bincount(group, raw)[group]
    y = np.bincount(group, w * frame["x"]) + 0.4 * rng.standard_normal(25)
    return frame.assign(y=y[group])


def test_priors_of_weights_end_at_the_edge_and_are_normalised_there(edged, quick):
    formula = "y ~ 1 + mm(m, g, x, weights = 1 + b * z, normalize = group, effects = none, name = B)"
    priors = {
        "Intercept": mm.prior.normal(0, 1), "B.x": mm.prior.normal(0, 1), "sigma": mm.prior.exponential(1),
        "B.w.b": mm.prior.normal(0, 1),
    }  # fmt: skip
    fit = quick(formula, edged, "mcmc", priors=priors, draws=500, tune=300, chains=2, random_seed=3)
    group, y = edged["g"].to_numpy(), edged.groupby("g")["y"].first().to_numpy()
    bs, step = np.linspace(-0.5, 1.0, 151, retstep=True)
    logs, d_log = np.linspace(np.log(0.15), np.log(2.0), 61, retstep=True)
    middle = np.bincount(group, edged["x"] / 3.0).mean()  # the intercept's prior is on the intercept at mean covariates
    values = np.empty((len(bs), len(logs)))
    for i, b in enumerate(bs):
        raw = np.maximum(1.0 + b * edged["z"].to_numpy(), 0.0)
        feature = np.bincount(group, raw * edged["x"]) / np.bincount(group, raw)
        own, vectors = np.linalg.eigh(1.0 + np.outer(feature - middle, feature - middle))
        variances = np.maximum(own, 0.0) + np.exp(2.0 * logs)[:, None]
        value = stats.norm.logpdf(vectors.T @ y, 0.0, np.sqrt(variances)).sum(axis=1)
        value += stats.expon.logpdf(np.exp(logs)) + logs + stats.norm.logpdf(b)
        values[i] = value + math.log((step if 0 < i < 150 else step / 2) * d_log)
    exact = special.logsumexp(values) - math.log(stats.norm.cdf(1.0) - stats.norm.cdf(-0.5))
    for method in ("bridge", "importance", "laplace"):
        found = fit.log_evidence(method, draws=1000, random_seed=1)
        assert found.se < 0.06
        assert abs(found.value - exact) < 4.0 * found.se + 2e-3, (method, found, exact)
    mass, error = mass_within(fit.specification, np.random.default_rng(1))
    assert mass == pytest.approx(stats.norm.cdf(1.0) - stats.norm.cdf(-0.5), abs=max(4.0 * error, 1e-3))
