r"""A map from all of space to within the edges of weights, where these are linear in the weight parameters.

With a point c inside and the edge :math:`a_j'(\theta - c) \ge -1`, the size of a step v from c that reaches the edge is
measured by :math:`\rho(v) = \max_j (-a_j'v)`, and

.. math:: \theta = c + v\,\frac{1 - e^{-\rho(v)}}{\rho(v)}, \qquad
   \log\left|\frac{d\theta}{dv}\right| = (p - 1)\log\frac{1 - e^{-\rho}}{\rho} - \rho,

since :math:`\rho` is homogeneous. Where the edge is not linear chains meet it as a wall, and trajectories end there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._optional import require
from ...latent.system import System
from .terms import BEYOND

Array = Any  # a JAX array, or a tracer of one
LINEAR = 1e-9  # relative difference between values and their line, below which they are linear


class Inside:
    """Theta within the edges of a system's parts as a function of theta without them.

    Attributes
    ----------
    maps : list of (places, middle, rows)
        Places in theta of free weight parameters (p,), a point inside (p,), and the rows a_j (m, p).
    """

    def __init__(self, system: System):
        found = (_linear(system, k) for k in system.edges)
        self.maps = [one for one in found if one is not None]

    def __call__(self, theta: Array) -> tuple[Array, Array]:
        """Theta within the edges (q,), and the log absolute determinant of its derivative."""
        jnp = require("jax.numpy", "jax")
        log_slope = jnp.zeros(())
        for places, middle, rows in self.maps:
            v = theta[places] - middle
            size = jnp.maximum(jnp.max(-(rows @ v)), 0.0)
            near = size < 1e-4
            safe = jnp.where(near, 1.0, size)
            share = jnp.where(near, 1.0 - 0.5 * size + size**2 / 6.0, -jnp.expm1(-safe) / safe)
            theta = theta.at[places].set(middle + share * v)
            log_slope = log_slope + (len(places) - 1) * jnp.log(share) - size
        return theta, log_slope


def _linear(system: System, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The map of a part, if its raw weights are linear in free parameters without bounds of their own."""
    part: Any = system.parts[k]
    if type(part) in BEYOND:
        return None
    weighing = part.weighing
    start = np.array([p.start for p in weighing.parameters])
    free = np.flatnonzero([not p.fixed for p in weighing.parameters])
    if not all(np.isinf(weighing.parameters[j].prior.support).all() for j in free):
        return None
    raw, slope = weighing.raw(start)
    rng = np.random.default_rng(0)
    for _ in range(3):
        step = np.zeros(len(start))
        step[free] = rng.standard_normal(len(free))
        there = weighing.raw_values(start + step)
        if not np.allclose(there, raw + step @ slope, rtol=LINEAR, atol=LINEAR * float(np.abs(raw).max())):
            return None
    moving = np.any(slope[free] != 0.0, axis=0)
    if not moving.any() or not np.all(raw[moving] > 0.0):
        return None
    rows = np.unique((slope[free][:, moving] / raw[moving]).T, axis=0)
    reads = np.arange(len(system.hypers))[system.places.reads(k)]
    return reads[free], start[free], rows
