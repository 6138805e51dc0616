"""A member block in sigma with an estimated weight: intervals cover the truth as often as they say."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

FORMULA = "y ~ v"
SIGMA = "~ mm(m, g, x, weights = softmax(q), effects = none, name = B)"
TRUTH = {"Intercept": 1.0, "v": 0.5, "sigma.Intercept": -0.3, "sigma.B.x": 0.7, "sigma.B.w.q": 0.8}
GROUPS, LEVEL = 250, 0.9


def teams(rng):
    """Teams of two to five members, and outcomes whose spread their members move."""
    size = rng.integers(2, 6, GROUPS)
    long = pd.DataFrame({"g": np.repeat(np.arange(GROUPS), size), "m": rng.integers(0, 60, size.sum())})
    long["x"], long["q"] = rng.standard_normal((2, len(long)))
    v = rng.standard_normal(GROUPS)
    w = np.exp(TRUTH["sigma.B.w.q"] * long["q"])
    mean = np.bincount(long["g"], w * long["x"]) / np.bincount(long["g"], w)
    y = 1.0 + 0.5 * v + np.exp(-0.3 + 0.7 * mean) * rng.standard_normal(GROUPS)
    return long.assign(v=v[long["g"]], y=y[long["g"]])


def covered(sets):
    """How many intervals of each parameter hold its truth."""
    out = pd.Series(0, index=list(TRUTH))
    for seed in range(sets):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mm.MicromacroWarning)
            fit = mm.fit(FORMULA, teams(np.random.default_rng(1000 + seed)), sigma=SIGMA, engine="ml")
        ends = fit.conf_int(LEVEL)
        truth = pd.Series(TRUTH)
        out += ((ends.iloc[:, 0] <= truth) & (truth <= ends.iloc[:, 1])).astype(int)
    return out


@pytest.mark.slow
@pytest.mark.calibrate
def test_intervals_of_a_block_in_sigma_cover_its_truth():
    sets = 200
    found = covered(sets) / sets
    bound = 3.0 * np.sqrt(LEVEL * (1.0 - LEVEL) / sets)
    assert ((found - LEVEL).abs() < bound).all(), found.to_dict()
