"""Moves of theta with x held, alone, have the posterior as their limit; two modes get their masses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base.array import array_stats
from scipy import special

import micromacro as mm
from micromacro.engines.mcmc.chain import Sampler, Task
from micromacro.engines.mcmc.engine import posterior_peaks

UNITS, EACH = 8, 3
PRIORS = {"Intercept": mm.prior.normal(0, 1), "sd": mm.prior.gamma(2, 1)}


@pytest.fixture(scope="module")
def binary():
    """Few binary outcomes per unit: the effects given theta are far from normal."""
    rng = np.random.default_rng(6)
    unit = np.repeat(np.arange(UNITS), EACH)
    return pd.DataFrame(
        {"u": unit, "y": (rng.random(len(unit)) < special.expit(2.0 * rng.standard_normal(UNITS)[unit])).astype(int)}
    )


def by_quadrature(data):
    """Posterior means and second moments of intercept and sd, on a grid; effects by 60 nodes."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    b, sd = np.meshgrid(np.linspace(-4.0, 4.0, 81), np.linspace(0.02, 12.0, 240), indexing="ij")
    yes = data.groupby("u")["y"].sum().to_numpy()
    p = special.expit(b[..., None] + sd[..., None] * nodes)
    logs = -0.5 * b**2 + np.log(sd) - sd
    for k in yes:
        logs += np.log((p**k * (1 - p) ** (EACH - k)) @ weights)
    w = np.exp(logs - logs.max())
    w /= w.sum()
    return {"b": (w * b).sum(), "bb": (w * b * b).sum(), "sd": (w * sd).sum(), "log sd": (w * np.log(sd)).sum()}


def test_moves_with_x_held_keep_the_posterior(binary):
    """No other move of theta is made: what is wrong with the held one would show."""
    specification = mm.Model("y ~ 1 + (1 | u)", binary, family="bernoulli", priors=PRIORS).specification
    peaks, exact = posterior_peaks(specification), by_quadrature(binary)
    kept = np.empty((2, 1500, 2))
    for chain in range(2):
        sampler = Sampler(Task(specification, peaks, np.random.SeedSequence([4, chain]), 0, 200, chain))
        with np.errstate(all="ignore"):
            for k in range(200):
                sampler.tune(k)
            sampler.holding = True
            for k in range(len(kept[chain])):
                sampler.refresh()
                theta, x = sampler.draw()
                kept[chain, k] = x[-1], theta[0]
    b, sd = kept[..., 0], kept[..., 1]
    for name, values in {"b": b, "bb": b * b, "sd": sd, "log sd": np.log(sd)}.items():
        error = array_stats.mcse(values, chain_axis=0, draw_axis=1, method="mean")
        assert error < 0.3
        assert abs(values.mean() - exact[name]) < 4 * error, name
