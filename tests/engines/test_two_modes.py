"""Two modes of a weight parameter, far apart and of unequal mass: the chains visit both with the right masses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines.marginals import marginal_of

FORMULA = (
    "y ~ 1 + mm(m, g, x, weights = exp((b1 ** 2) * a + 0.1 * b1 * c), normalize = group, effects = none, name = B)"
)
SEEDS = [1, 2, *(pytest.param(seed, marks=pytest.mark.calibrate) for seed in range(3, 21))]


@pytest.fixture(scope="module")
def model():
    """The likelihood is nearly even in b1, with a trough at 0; what is uneven comes from a covariate without effect."""
    rng = np.random.default_rng(12)
    group = np.repeat(np.arange(60), 3)
    a, c, x = rng.standard_normal((3, len(group)))
    w = np.exp(1.5 * a)
    w /= np.bincount(group, w)[group]
    y = np.bincount(group, w * x) + 0.4 * rng.standard_normal(60)
    data = pd.DataFrame({"g": group, "m": np.arange(len(group)), "a": a, "c": c, "x": x, "y": y[group]})
    return mm.Model(FORMULA, data)


@pytest.fixture(scope="module")
def mass(model):
    """Posterior probability that b1 is positive, by quadrature over b1 and sigma; coefficients in closed form."""
    specification = model.specification
    hypers = specification.system.hypers
    assert [p.name for p in hypers] == ["B.w.b1", "sigma"]
    marginal = marginal_of(specification)
    room = marginal.workspace(gradient=False)
    b, sigma = np.linspace(-2.5, 2.5, 150), np.linspace(0.25, 0.8, 25)
    log = np.array([[marginal.value(np.array([k, s]), room) for s in sigma] for k in b])
    log += np.array([[hypers[0].prior.log_density(k) + hypers[1].prior.log_density(s) for s in sigma] for k in b])
    density = np.exp(log - log.max()).sum(axis=1)
    assert density[np.abs(b) < 0.3].max() < 1e-3 * density.max()  # two modes indeed
    return float(density[b > 0].sum() / density.sum())


@pytest.mark.parametrize("seed", SEEDS)
def test_both_modes_get_their_masses(model, mass, seed):
    assert 0.15 < abs(mass - 0.5) < 0.45  # unequal
    fit = model.fit("mcmc", draws=750, tune=500, chains=2, random_seed=seed, progress=False)
    draws = fit._outcome.draws.theta[..., 0]
    assert np.mean(draws > 0) == pytest.approx(mass, abs=0.05)
    jumps = np.mean(np.diff(np.sign(draws), axis=1) != 0)
    assert jumps > 0.05  # from draw to draw
