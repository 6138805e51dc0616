"""What the searches call a maximum is one, above all at a standard deviation of zero.

The likelihood depends on an sd through its square, so its slope at zero is zero whether that is a maximum or a
minimum: a search that is projected onto the bound must look at the curvature there.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines.coordinates import Scores
from micromacro.engines.mcmc import engine as mcmc
from micromacro.engines.search import find_peaks
from micromacro.latent.marginal.gaussian import GaussianMarginal

#: Small data sets in which some sd is small, zero or large against sigma.
SIZES = {
    seed: {"sd": [0.05, 0.3, 1, 4][seed % 4], "unit_sd": [0.02, 0.2, 1][seed % 3], "sigma": [0.1, 0.5, 2, 1][seed % 4]}
    for seed in (1, 4, 5, 8, 11, 32)
}


@pytest.mark.parametrize("seed", SIZES)
def test_an_sd_is_zero_only_where_no_other_value_is_better(dense, quick, seed):
    data = dense.make_data(seed=seed, groups=40, members=15, units=6, b1=0.5, **SIZES[seed])
    fit = quick(dense.FORMULA.format(rule="group"), data, "ml")
    oracle = dense.Dense(data)
    theta = fit.params.to_numpy()[3:]
    for k in (1, 2):
        for ratio in (0.1, 0.3, 0.6):
            moved = theta.copy()
            moved[k] = ratio * theta[3]
            _, value, _ = oracle.maximise(start=tuple(moved))
            gain = value - fit.loglik
            assert gain < 1e-3, f"from {dense.NAMES[3 + k]} = {moved[k]:.3g} a likelihood {gain:.3f} higher is reached"


@pytest.fixture(scope="module", params=["group", "total", "none"])
def searched(request, dense):
    """The objective of mcmc's search, its maxima, and where it began."""
    specification = mm.Model(
        dense.FORMULA.format(rule=request.param), dense.make_data(rule=request.param)
    ).specification
    marginal = GaussianMarginal(specification.system, specification.outcome)
    scores = Scores(specification.system.hypers)
    objective = mcmc.score_objective(marginal, scores)
    return objective, mcmc.posterior_peaks(specification), scores


def test_every_maximum_is_a_maximum(searched):
    objective, peaks, _ = searched
    for peak in peaks:
        slope = np.abs(peak.gradient[peak.free]).max()
        assert slope < 0.01, f"the slope at the maximum {peak.u} is still {slope:.3g}"
        for k in np.flatnonzero(~peak.free):
            moved = peak.u.copy()
            moved[k] += 0.05 * (1 if moved[k] == 0 else -1)
            gain = objective(moved)[0] - peak.value
            assert gain < 0, f"entry {k} is held at its bound, but {gain:.2f} is gained by leaving it"


def test_the_highest_maximum_is_found(searched):
    """Uphill by small steps from a grid of starts."""
    objective, peaks, scores = searched
    best = -np.inf
    for b1 in (-1.0, 0.5, 1.5):
        for sd in (0.1, 0.3):
            u, step = np.array([b1, sd, 0.1, 0.2]), 0.2
            value, gradient = objective(u)
            for _ in range(300):
                trial = u + step * gradient / max(1.0, float(np.linalg.norm(gradient)))
                trial[scores.folded] = np.abs(trial[scores.folded])
                new, slope = objective(trial)
                u, value, gradient, step = (
                    (trial, new, slope, 1.2 * step) if new > value else (u, value, gradient, step / 2)
                )
            best = max(best, value)
    assert peaks[0].value > best - 1e-3, f"a point {best - peaks[0].value:.2f} higher was reached by plain ascent"


@pytest.mark.parametrize("start", [0.52, 0.8, 1.0, 3.0])
def test_a_first_step_to_where_nothing_exists_is_not_the_last(start):
    """A normal sd: the slope at the start is steep, and a step along it leads to a sigma of zero."""

    def objective(u):
        if u[0] <= 0.0:
            return -np.inf, np.full(1, np.nan)
        r = 0.29 / u[0]
        return float(-250.0 * np.log(u[0]) - 125.0 * r**2), np.array([-250.0 / u[0] + 250.0 * r**2 / u[0]])

    (peak,) = find_peaks(objective, [np.array([start])], [(0.0, None)])
    assert peak.u[0] == pytest.approx(0.29, rel=1e-6)


def test_a_function_that_ends_at_its_top_is_no_crash():
    """Rising to where it exists no more: the place is returned, without a curvature."""

    def objective(u):
        if u[0] >= 1.0:
            return -np.inf, np.full(1, np.nan)
        return float(u[0]), np.ones(1)

    (peak,) = find_peaks(objective, [np.array([0.0])], [(None, None)])
    assert 0.9 < peak.u[0] < 1.0


@pytest.mark.parametrize("seed", [0, 3, 5])
def test_a_dependence_of_effects_that_are_zero_has_no_standard_error(quick, seed):
    """Rounding leaves some curvature of it, of either sign and any size."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"c": np.arange(64) % 8, "t": np.cumsum(rng.integers(1, 4, 64)), "x": rng.normal(size=64)})
    data["y"] = 3 + np.arange(64) // 8 % 2  # counts that vary less than Poisson ones
    fit = quick("y ~ x + hm(c, effects = ar1(t))", data, "ml", family="poisson")
    assert fit.params["c.sd"] == 0.0 and fit.health.ok
    assert np.isnan(fit.bse["c.rho"]) and np.all(np.isfinite(fit.bse[["Intercept", "x"]]))
