r"""Moves of theta that leave its posterior invariant, on few coordinates and an expensive density.

Both work with a mixture of multivariate t-distributions (:mod:`~micromacro.engines.mixtures`), fitted to the maxima of
the posterior and to what tuning saw of it, and cut to the coordinates' domain (:math:`u_k \ge 0` for folded entries):

- **independence**: propose from the mixture, accept by the ratio of target to mixture. One evaluation per
  move; nearly independent draws where the mixture fits, and jumps between maxima with the right masses.
- **elliptical**: generalized elliptical slice sampling (Nishihara, Murray and Adams 2014): the t is a scale mixture
  of normals; given the scale, the move stays on an ellipse through the current point and shrinks until it is
  accepted. Never rejects, so it leaves the places where the t is too thin.

They are mixed at random with a fixed probability, so that one covers the weakness of the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..mixtures import Mixture


@dataclass
class State:
    """A point, its log target and log density under the reference, and what was spent to get there."""

    u: np.ndarray
    value: float
    evaluations: int = 0
    accepted: bool = True


LogDensity = Callable[[np.ndarray], float]


def independence(state: State, target: LogDensity, reference: Mixture, rng: np.random.Generator) -> State:
    """One independence Metropolis move."""
    u = reference.draw(rng)
    value = target(u)
    ratio = value - state.value - reference.log_density(u) + reference.log_density(state.u)
    if math.isfinite(value) and math.log(rng.random()) < ratio:
        return State(u, value, 1, True)
    return State(state.u, state.value, 1, False)


def elliptical(state: State, target: LogDensity, mixture: Mixture, rng: np.random.Generator) -> State:
    """One generalized elliptical slice move, with a part of the mixture drawn by its share (whatever the state)."""
    q = len(state.u)
    reference = mixture.which(rng)
    shape = 0.5 * (reference.df + q)
    rate = 0.5 * (reference.df + reference.distance(state.u))
    scale = math.sqrt(rate / rng.gamma(shape))
    offset = state.u - reference.center
    other = scale * (reference.root @ rng.standard_normal(q))
    height = state.value - reference.log_density(state.u) + math.log(rng.random())
    angle = rng.uniform(0.0, 2.0 * math.pi)
    low, high = angle - 2.0 * math.pi, angle
    evaluations = 0
    for _ in range(200):
        u = reference.center + offset * math.cos(angle) + other * math.sin(angle)
        if reference.inside(u):
            value = target(u)
            evaluations += 1
            if value - reference.log_density(u) > height:
                return State(u, value, evaluations, True)
        if angle < 0.0:
            low = angle
        else:
            high = angle
        angle = rng.uniform(low, high)
    return State(state.u, state.value, evaluations, False)
