"""Draws of the effects given theta, exactly: what stays to be sampled where theta is an estimate."""

from __future__ import annotations

import math

import numpy as np

from ...errors import EngineError
from ...model.specification import Specification
from .whitened import WhitenedTarget

WARM = 100  # trajectories before the first draw


def effects_given(specification: Specification, theta: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Draws (draws, size) of x in natural order from its posterior given theta, by Hamiltonian trajectories.

    Raises
    ------
    EngineError
        Where the effects have no mode to begin at.
    """
    target = WhitenedTarget(specification)
    still = np.empty(0)  # the map does not depend on scores before it is tuned
    value = target.log(still, theta)
    if not math.isfinite(value):
        raise EngineError("the effects have no mode at the estimate, so they cannot be sampled given it: use mcmc")
    target.adopt()
    out = np.empty((draws, specification.system.size))
    for k in range(-WARM, draws):
        value = target.refresh(value, rng, k < 0)
        if k >= 0:
            out[k] = target.draw(rng)
    return out
