"""Square roots of about the inverse of H: that of H where nothing is merged; sampling is exact whatever is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines.marginals import laplace_marginal
from micromacro.latent import roots
from micromacro.latent.roots import Merged, MergedPattern, Root, Roots
from micromacro.numerics.merging import run_begins

N = 50
CUTS = (0.2, 0.4, 0.6, 0.9, 1.3)
PRIORS = {"x": mm.prior.normal(0.3, 2), "b": mm.prior.normal(0, 2)}


def table(seed=4):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(N), 2)
    t = rng.exponential(1.0, N)
    data = pd.DataFrame({
        "x": rng.standard_normal(N), "unit": rng.integers(0, 5, N), "h": np.arange(N) % 2, "t": t,
        "e": (rng.random(N) < 0.8).astype(int), "s": np.where(rng.random(N) < 0.4, 0.5 * t, 0.0),
    })  # fmt: skip
    return data.iloc[g].reset_index(drop=True).assign(g=g, member=rng.integers(0, 15, len(g)))


BLOCK = "surv(s, t, e) ~ x + mm(member, g, weights = 1 / n) + (1 | unit)"
CASES = {
    "event times": (BLOCK, "all"),
    "cut points, late entry in parts of intervals": (BLOCK, CUTS),
    "a walk of members, whose precision depends on its sd": (BLOCK.replace("1 / n", "1 / n, effects = ar1(x)"), CUTS),
    "strata": (BLOCK + " + strata(h)", "all"),
}


def at_mode(formula, cuts):
    """The posterior of x at some theta, and its work space at the mode."""
    model = mm.Model(formula, table(), family=mm.families.cox(cuts), priors=PRIORS)
    posterior = laplace_marginal(model.specification)
    room = posterior.workspace(gradient=False)
    assert np.isfinite(posterior.value(np.array([p.start for p in posterior.system.hypers]), room))
    return posterior, room


def columns(apply, size):
    """The matrix of a map that works in place."""
    out = np.eye(size)
    for column in out:
        apply(column)
    return out.T


def exposure_of(posterior):
    found = posterior.likelihood.exposure(posterior.values)
    assert found is not None
    return found


@pytest.mark.parametrize("case", list(CASES))
def test_a_root_is_what_it_says(case):
    posterior, room = at_mode(*CASES[case])
    n, exposure, off = posterior.system.size, exposure_of(posterior), []
    whole = Root(posterior, room)
    assert whole.make()
    inverse = columns(lambda v: (whole.pull_back(v), whole.spread(v)), n)
    for share in (1.0, 0.5, 0.0):
        runs = max(1, round(share * len(exposure.length)))
        merged = Merged(posterior, room, MergedPattern(posterior.system, exposure, runs))
        assert merged.make()
        t = columns(merged.spread, n)
        np.testing.assert_allclose(columns(merged.pull_back, n), t.T, atol=1e-12)
        for root in (whole, merged):
            of_root = columns(root.spread, n)
            np.testing.assert_allclose([root.whiten(v) for v in of_root.T], np.eye(n), atol=1e-8)
            assert root.log_size() == pytest.approx(-np.linalg.slogdet(of_root)[1], abs=1e-8)
        off.append(np.abs(np.linalg.eigvals(np.linalg.solve(inverse, t @ t.T)) - 1.0).max())
    assert off[0] < 1e-8
    assert off[0] < off[1] < off[2] < 1.0


def test_runs_end_where_a_stratum_does():
    posterior, _ = at_mode(*CASES["strata"])
    likelihood: Any = posterior.likelihood
    exposure, ends = exposure_of(posterior), [cox.count for cox in likelihood.each]
    for runs in (1, 5, 9, sum(ends)):
        begin = run_begins(exposure, runs)
        assert ends[0] in begin
        assert begin[-1] == sum(ends)
        assert abs(len(begin) - 1 - runs) <= 1
        assert np.diff(begin).min() > 0


def test_a_step_by_few_runs_is_nearly_newtons():
    posterior, room = at_mode(BLOCK, "all")
    rng = np.random.default_rng(1)
    room.x += 0.05 * rng.standard_normal(posterior.system.size)
    posterior.predict(room, room.x, room.eta)
    posterior.rows(room.eta, room.own, room.slopes)
    _, length = Root(posterior, room).step()
    step = room.step.copy()
    _, near = Merged(posterior, room, MergedPattern(posterior.system, exposure_of(posterior), 5)).step()
    assert near == pytest.approx(length, rel=0.1)
    assert room.step @ step > 0.95 * np.linalg.norm(step) * np.linalg.norm(room.step)


def test_only_many_intervals_are_merged():
    few, _ = at_mode(BLOCK, CUTS)
    many, _ = at_mode(BLOCK, "all")
    assert Roots(few).pattern is None
    assert len(exposure_of(many).length) < 40
    assert Roots(many).pattern is None
    assert Roots(many, runs=3).pattern is not None


@pytest.mark.slow
def test_draws_do_not_depend_on_the_root(monkeypatch):
    """A very poor map (all intervals in one run) has the posterior of the factor of H as its limit."""
    found = {}
    for runs in (1, 1000):
        monkeypatch.setattr(roots, "RUNS", runs)
        fit = mm.fit(
            BLOCK, table(), family=mm.families.cox("all"), priors=PRIORS, draws=3000, tune=500, chains=2, random_seed=3,
            progress=False,
        )  # fmt: skip
        found[runs] = fit.summary()
    one, other = found.values()
    for what in ("mean", "lower", "upper"):
        error = np.hypot(one[f"mcse_{what}"], other[f"mcse_{what}"])
        assert ((one[what] - other[what]) / error).abs().max() < 4.5, what
