r"""What a chain samples: the posterior of theta, with x integrated out exactly or carried along whitened.

A Gaussian outcome leaves theta alone: x is integrated out, and drawn from its conditional when it is wanted. For
any other outcome the chain moves in (theta, z) with

.. math:: x = m(\theta) + L(\theta)^{-T} z, \qquad \log\pi(\theta, z) = \log p(y \mid x, \theta)
   + \log p(x \mid \theta) + \log p(\theta) - \log|L(\theta)|,

which is exact for **any** maps m and L that depend on theta alone; the nearer they are to the mode and the
curvature of x given theta, the nearer z is to independent standard normals. Here m comes from a predictor that is
linear in theta's scores and fixed when tuning ends, followed by Newton steps until one is short: mostly one.
z given theta moves by Hamiltonian steps that are split into exact rotations of N(0, I) and kicks by what the
density differs from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..latent.laplace import LaplaceMarginal
from ..latent.marginal import GaussianMarginal
from ..latent.mode import LatentPosterior, ModeRoom
from ..model import Specification
from ..numerics.cholesky import log_determinant
from ..numerics.laplace import unwhiten, whitened_gradient
from .approximate import laplace_marginal
from .coordinates import Scores

SHORT = 4.0  # squared length of a Newton step (in posterior sds, over all of x) after which the map is good enough
TURN = 1.6  # angle through which a trajectory of z turns


class Target(Protocol):
    """The log density that theta moves in, and what goes along with theta."""

    def log(self, u: np.ndarray, theta: np.ndarray) -> float:
        """Log density at scores u and their theta, up to a constant, without the prior of theta."""
        ...

    def anchor(self, u: np.ndarray) -> None:
        """Fit the map of x to the neighbourhood of some scores (tuning only)."""
        ...

    def refresh(self, value: float, rng: np.random.Generator, tuning: bool) -> float:
        """Move what goes along with theta at the scores last evaluated; returns the new log density there."""
        ...

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """x (natural order) at the scores last evaluated."""
        ...


def gaussian_marginal(specification: Specification, profile: bool = False) -> GaussianMarginal:
    """The exact marginal likelihood of a Gaussian outcome; coefficients maximised with `profile`, else integrated."""
    s = specification
    return GaussianMarginal(s.system, s.outcome, profile, s.response.weight)


def marginal_of(specification: Specification) -> GaussianMarginal | LaplaceMarginal:
    """The marginal likelihood of theta, coefficients integrated: exact for a Gaussian outcome, else Laplace's."""
    if specification.family.conjugate:
        return gaussian_marginal(specification)
    return laplace_marginal(specification, held=False)


def target_of(specification: Specification) -> Target:
    """The target of a chain."""
    if specification.family.conjugate:
        return MarginalTarget(specification)
    return WhitenedTarget(specification)


class MarginalTarget:
    """Theta alone: the exact marginal posterior of a Gaussian outcome."""

    def __init__(self, specification: Specification):
        self.system = specification.system
        self.marginal = gaussian_marginal(specification)
        self.room = self.system.workspace(gradient=False)

    def log(self, u: np.ndarray, theta: np.ndarray) -> float:
        return self.marginal.value(theta, self.room)

    def anchor(self, u: np.ndarray) -> None:
        pass

    def refresh(self, value: float, rng: np.random.Generator, tuning: bool) -> float:
        return value

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        x = self.marginal.draw(self.room, rng.standard_normal(self.system.size))
        return self.system.natural_order(x)


@dataclass
class Anchor:
    """A linear predictor of the mode of x: x + slope (u - center), in elimination order."""

    center: np.ndarray
    x: np.ndarray
    slope: np.ndarray


class WhitenedTarget:
    """Theta and whitened z for an outcome that is not Gaussian."""

    def __init__(self, specification: Specification):
        s = specification
        self.system = s.system
        self.coordinates = Scores(s.system.hypers)
        self.posterior = LatentPosterior(s.system, s.family, s.row_values, s.row_weight())
        self.room = self.posterior.workspace(gradient=False)
        n = s.system.size
        self.z = np.zeros(n)
        self.x, self.mean, self.slope = np.empty(n), np.empty(n), np.empty(n)
        self.theta = np.empty(len(s.system.hypers))
        self.step = 0.8
        self.accepted = 0.8  # running mean of acceptance of z
        self.half_log_det = 0.0
        self._anchor: Anchor | None = None

    # -- the map -----------------------------------------------------------------------------------------------------

    def anchor(self, u: np.ndarray) -> None:
        """Mode and its slopes in the scores, by differences."""
        center = u.copy()
        at = self._mode(center, None)
        if at is None:
            return
        slope = np.zeros((len(at), len(u)))
        for k in range(len(u)):
            h = 1e-3 if not self.coordinates.folded[k] else min(1e-3, 0.5 * center[k])
            if h <= 0.0:
                continue
            sides = []
            for sign in (1.0, -1.0):
                moved = center.copy()
                moved[k] += sign * h
                sides.append(self._mode(moved, at))
            if sides[0] is not None and sides[1] is not None:
                slope[:, k] = (sides[0] - sides[1]) / (2.0 * h)
        self._anchor = Anchor(center, at, slope)

    def _mode(self, u: np.ndarray, start: np.ndarray | None) -> np.ndarray | None:
        theta, room = self.coordinates.theta(u), self.room
        if not self.posterior.fill(theta, room):
            return None
        room.x[:] = self.system.start if start is None else start
        return room.x.copy() if math.isfinite(self.posterior.climb(theta, room)) else None

    def _whiten(self, u: np.ndarray, theta: np.ndarray) -> bool:
        """The map at theta: mean and factor into the work space; False where theta is impossible."""
        posterior, room = self.posterior, self.room
        if not posterior.fill(theta, room):
            return False
        if self._anchor is not None:
            np.matmul(self._anchor.slope, u - self._anchor.center, out=room.x)
            room.x += self._anchor.x
            for _ in range(3):
                posterior.predict(room, room.x, room.eta)
                if not math.isfinite(posterior.rows(room.eta, theta, room.slopes)):
                    break
                bad, decrement = posterior.newton(room, room.x, room.slopes[3])
                if bad >= 0 or not decrement < 1e4:
                    break
                room.x += room.step
                if decrement < SHORT:
                    return self._keep(room)
        # far from the anchor: search from the fixed start, which depends on nothing else
        room.x[:] = self.system.start
        if not math.isfinite(posterior.climb(theta, room)):
            return False
        return posterior.newton(room, room.x, room.slopes[3])[0] < 0 and self._keep(room)

    def _keep(self, room: ModeRoom) -> bool:
        self.mean[:] = room.x
        layout = self.system.symbolic.layout
        self.half_log_det = 0.5 * log_determinant(layout, room.base.panel, self.system.size)
        return math.isfinite(self.half_log_det)

    # -- the density -------------------------------------------------------------------------------------------------

    def log(self, u: np.ndarray, theta: np.ndarray) -> float:
        if not self._whiten(u, theta):
            return -math.inf
        self.theta[:] = theta
        return self._joint(self.z)

    def _joint(self, z: np.ndarray) -> float:
        """Log density at z and the map in the work space; leaves x and the slopes of the rows."""
        s, room = self.system.symbolic, self.room
        base = room.base
        unwhiten(
            s.layout, base.panel, self.mean, s.row_start, s.columns, base.values, base.offset, z, self.x, room.eta
        )  # fmt: skip
        value = self.posterior.rows(room.eta, self.theta, room.slopes) - self.posterior.penalty(self.x, base)
        value -= self.half_log_det
        return value if math.isfinite(value) else -math.inf

    def _force(self, z: np.ndarray) -> np.ndarray:
        """Gradient of the log density in z plus z: what a normal density does not explain."""
        s, base = self.system.symbolic, self.room.base
        whitened_gradient(
            s.layout, base.panel, s.row_start, s.columns, base.values, s.d_row, s.d_column, base.d_value,
            self.posterior.center, self.x, self.room.slopes[1], self.room.step, self.slope,
        )  # fmt: skip
        return self.slope + z

    def refresh(self, value: float, rng: np.random.Generator, tuning: bool) -> float:
        """One Hamiltonian trajectory of z at the theta last evaluated."""
        at = self._joint(self.z)
        prior = value - at
        momentum = rng.standard_normal(len(self.z))
        z = self.z.copy()
        steps = max(1, round(TURN / self.step))
        c, s = math.cos(self.step), math.sin(self.step)
        energy = at - 0.5 * float(momentum @ momentum)
        new = at
        force = self._force(z)
        for _ in range(steps):
            momentum += 0.5 * self.step * force
            z, momentum = c * z + s * momentum, c * momentum - s * z
            new = self._joint(z)
            if not math.isfinite(new):
                break
            force = self._force(z)
            momentum += 0.5 * self.step * force
        gain = new - 0.5 * float(momentum @ momentum) - energy
        chance = math.exp(min(0.0, gain)) if math.isfinite(gain) else 0.0
        if tuning:
            self.accepted += 0.05 * (chance - self.accepted)
            self.step = min(1.5, max(0.05, self.step * math.exp(0.05 * (chance - 0.8))))
        else:
            self.accepted = chance
        if rng.random() < chance:
            self.z = z
            return new + prior
        return value

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        self._joint(self.z)
        return self.system.natural_order(self.x)
