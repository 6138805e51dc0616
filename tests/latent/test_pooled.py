"""Cox with its hazards integrated out: what is left is the same posterior, and draws of both are the same."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gammaln

import micromacro as mm
from micromacro.engines.mcmc import targets
from micromacro.engines.mcmc.pooled import PooledTarget, pooled_marginal
from micromacro.latent.pooled import PooledMarginal, groups_alone

from .test_roots import BLOCK, CASES, CUTS, PRIORS, columns, table


def specification(formula=BLOCK, cuts="all", priors=PRIORS, **how):
    return mm.Model(formula, table(), family=mm.families.cox(cuts, **how), priors=priors).specification


def at_mode(case, runs=1000):
    """The posterior without the hazards at some theta, and its work space at the mode."""
    s = specification(*CASES[case])
    found = pooled_marginal(s, least=1)
    assert found is not None
    pooled = PooledMarginal(groups_alone(s.system), found.likelihood, found.joint, runs)
    room = pooled.workspace(gradient=False)
    assert np.isfinite(pooled.value(theta_of(pooled), room))
    return pooled, room


def theta_of(pooled):
    return np.array([p.start for p in pooled.system.hypers])


def gradient(pooled, room, x):
    """Of the log joint density in x."""
    out = np.empty(len(x))
    pooled.predict(room, x, room.trial_eta)
    pooled.rows(room.trial_eta, room.own, room.trial_slopes)
    pooled.factor.latent_gradient(room.base, pooled.center, x, room.trial_slopes[1], out)
    return out


@pytest.mark.parametrize("case", list(CASES))
def test_density_is_that_with_hazards_over_their_gamma_densities(case):
    pooled, room = at_mode(case)
    joint, likelihood, theta = pooled.joint, pooled.likelihood, theta_of(pooled)
    x = room.x + 0.3 * np.random.default_rng(1).standard_normal(pooled.system.size)
    pooled.predict(room, x, room.eta)
    density = pooled.rows(room.eta, room.own, room.slopes) - pooled.penalty(x, room.base)
    hazards = likelihood.likely(room.eta) + 0.2
    inner = joint.workspace()
    assert joint.fill(theta, inner)
    whole = np.concatenate([pooled.system.natural_order(x), hazards])[joint.system.symbolic.order]
    joint.predict(inner, whole, inner.eta)
    with_hazards = joint.rows(inner.eta, inner.own, inner.slopes) - joint.penalty(whole, inner.base)
    shape, rate = likelihood.shape, likelihood.rate + likelihood.factors(room.eta)[1]
    gamma = shape * np.log(rate) - gammaln(shape) + shape * hazards - rate * np.exp(hazards)
    assert density == pytest.approx(with_hazards - gamma.sum(), abs=1e-9)


@pytest.mark.parametrize("case", list(CASES))
def test_slopes_and_roots(case):
    """The root is that of the numerical Hessian where no runs are merged, and less precise the longer they are."""
    off = []
    for runs in (1000, 5, 1):
        pooled, room = at_mode(case, runs)
        n, root, step = pooled.system.size, pooled.root(room), 1e-5
        assert np.abs(gradient(pooled, room, room.x)).max() < 1e-8
        assert root.make()
        t = columns(root.spread, n)
        np.testing.assert_allclose(columns(root.pull_back, n), t.T, atol=1e-12)
        np.testing.assert_allclose([root.whiten(v) for v in t.T], np.eye(n), atol=1e-8)
        assert root.log_size() == pytest.approx(-np.linalg.slogdet(t)[1], abs=1e-8)
        ends = (room.x + side * step * np.eye(n) for side in (-1.0, 1.0))
        below, above = ([gradient(pooled, room, x) for x in points] for points in ends)
        hessian = (np.array(below) - np.array(above)) / (2.0 * step)
        off.append(np.abs(np.linalg.eigvals(hessian @ t @ t.T) - 1.0).max())
        v = np.random.default_rng(2).standard_normal(n)
        assert pooled.length(v, room) ** 2 == pytest.approx(v @ hessian @ v, rel=1e-7)
    assert off[0] < 1e-7
    assert off[0] < off[1] < off[2] < 1.0


def test_mean_is_that_of_the_posterior_with_hazards():
    pooled, room = at_mode("event times")
    mean, joint = pooled.corrected_mean(theta_of(pooled), room), pooled.joint
    inner = joint.workspace()
    joint.value(theta_of(pooled), inner)
    expected = joint.system.natural_order(joint.corrected_mean(theta_of(pooled), inner))
    np.testing.assert_allclose(pooled.system.natural_order(mean), expected[: pooled.system.size], atol=1e-6)


def test_hazards_are_drawn_from_their_gamma_distributions():
    pooled, room = at_mode("strata")
    rng, likelihood = np.random.default_rng(3), pooled.likelihood
    drawn = np.array([likelihood.draw(room.eta, rng) for _ in range(4000)])
    shape, rate = likelihood.shape, likelihood.rate + likelihood.factors(room.eta)[1]
    away = (np.exp(drawn).mean(axis=0) * rate / shape - 1.0) * np.sqrt(4000 * shape)
    assert np.abs(away).max() < 4.0
    likelihood.shape = np.full(len(shape), 1e-3)
    assert np.isfinite(likelihood.draw(room.eta, rng)).all()


def test_where_hazards_are_integrated_out():
    """Where there are many, with gamma priors."""
    normal, walk = {"baseline": mm.prior.normal(0.0, 2.0)}, {"baseline": "random_walk"}
    assert pooled_marginal(specification()) is None
    assert pooled_marginal(specification(), least=10) is not None
    assert pooled_marginal(specification(priors=PRIORS | normal), least=1) is None
    assert pooled_marginal(specification(priors=PRIORS | {"baseline.2": mm.prior.normal(0.0, 2.0)}), least=1) is None
    assert pooled_marginal(specification(cuts=CUTS, **walk), least=1) is None
    combined = BLOCK.replace("1 / n", "1 / n, combine = smax(1), normalize = group")
    assert pooled_marginal(specification(combined, CUTS), least=1) is None
    assert pooled_marginal(mm.Model("x ~ (1 | unit)", table().drop_duplicates("g")).specification) is None


def fit(monkeypatch, pooled, draws, seed=3):
    """Draws by the target without the hazards, or by that with them; and whether it was so."""
    made, usual = [], targets.PooledTarget

    def noticed(*what):
        made.append(PooledTarget(*what))
        return made[-1]

    with monkeypatch.context() as changed:
        changed.setattr(targets, "pooled_marginal", lambda s: pooled_marginal(s, 1) if pooled else None)
        changed.setattr(targets, "PooledTarget", noticed)
        out = mm.fit(
            BLOCK, table(), family=mm.families.cox("all"), priors=PRIORS, draws=draws, tune=300, chains=2,
            random_seed=seed, progress=False,
        )  # fmt: skip
        more = out.extend(draws=10, progress=False) if draws < 100 else out
    assert usual is PooledTarget
    assert bool(made) == pooled
    return out, more


def test_a_chain_taken_up_again_goes_on_as_it_would_have(monkeypatch):
    _, extended = fit(monkeypatch, True, 10)
    longer, _ = fit(monkeypatch, True, 20)
    one, other = (f._outcome.draws.x for f in (extended, longer))
    np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.slow
def test_draws_are_those_with_the_hazards(monkeypatch):
    one, other = (fit(monkeypatch, pooled, 3000)[0].summary() for pooled in (True, False))
    for what in ("mean", "lower", "upper"):
        error = np.hypot(one[f"mcse_{what}"], other[f"mcse_{what}"])
        assert ((one[what] - other[what]) / error).abs().max() < 4.5, what
