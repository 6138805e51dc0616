r"""Theta and whitened z: what a chain samples where the outcome is not Gaussian.

The chain moves in (theta, z) with

.. math:: x = m(\theta) + T(\theta) z, \qquad \log\pi(\theta, z) = \log p(y \mid x, \theta)
   + \log p(x \mid \theta) + \log p(\theta) + \log|T(\theta)|,

which is exact for **any** maps m and T that depend on theta alone; the nearer they are to the mean and the
curvature of x given theta, the nearer z is to independent standard normals, and the less it holds theta back. Here
m begins at a predictor of the mode that is linear in theta's scores, goes on by Newton steps until one is short
(mostly one), and ends with a shift from mode to mean, linear in the scores too; both lines are fixed when tuning ends.

What then ties theta to z is mostly odd in z (skewness), so theta moves with the sign of z summed out: its target is
:math:`\pi(\theta, z) + \pi(\theta, -z)`, and the sign is drawn from its conditional afterwards. z given theta moves
by Hamiltonian steps that are split into exact rotations of N(0, I) and kicks by what the density differs from it.

Where x given theta is far from normal (binary outcomes that are nearly separated, at a large sd) the maps are poor and
z holds theta fast. There theta moves more freely with x itself held, in
:math:`p(y \mid x, \theta)\,p(x \mid \theta)\,p(\theta)`, after which z is that of the same x under the map at the new
theta: another exact move, which needs one map.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...latent.marginal.laplace import LaplaceMarginal
from ...latent.mode import ModeRoom
from ...latent.roots import Root, Roots
from ...model.specification import Specification
from ...numerics.modes import displace, displace_both, latent_gradient
from ..coordinates import Scores
from ..marginals import laplace_marginal, without_edges
from .lines import Line, mode_and_shift

SHORT = 4.0  # squared length of a Newton step (in posterior sds, over all of x) after which the map is good enough
TURN = 1.6  # angle through which a trajectory of z turns


@dataclass
class Whitening:
    """The map at one theta: mean and root, and what was evaluated there last.

    Attributes
    ----------
    both : tuple of float
        Log densities at the z of the chain and at -z, of the state's theta.
    """

    room: ModeRoom
    root: Root
    theta: np.ndarray
    mean: np.ndarray
    x: np.ndarray
    log_size: float = 0.0
    both: tuple[float, float] = (-math.inf, -math.inf)


class WhitenedTarget:
    """Theta and whitened z for an outcome that is not Gaussian; :meth:`log` has the sign of z summed out.

    There are two maps, that of the state and a spare one for proposals; they change roles when one is accepted.
    """

    carries = True
    level = False  # whether the shift is the same at all scores
    easy = 1.0

    def __init__(self, specification: Specification):
        self.posterior, self.smooth = self._posteriors(specification)
        self.system = self.posterior.system
        n, q = self.system.size, len(self.system.hypers)
        root, rooms = self._roots(), [self.posterior.workspace(gradient=False) for _ in range(2)]
        self.here, self.spare = (Whitening(room, root(room), np.empty(q), np.empty(n), np.empty(n)) for room in rooms)
        self.z = np.zeros(n)
        self.slope = np.empty(n)
        self.step = 0.8
        self._lines: tuple[Line, Line] | None = None

    def _posteriors(self, specification: Specification) -> tuple[LaplaceMarginal, LaplaceMarginal]:
        """What is sampled given theta, and the same going on beyond the edges of theta."""
        made = laplace_marginal(specification)
        return made, laplace_marginal(without_edges(specification)) if specification.system.edges else made

    def _roots(self) -> Callable[[ModeRoom], Root]:
        """Makes the root of a work space."""
        return Roots(self.posterior).root

    @cached_property
    def coordinates(self) -> Scores:
        """Scores of theta, which need proper priors: only for whoever moves it."""
        return Scores(self.system.hypers)

    # -- the map -----------------------------------------------------------------------------------------------------

    def anchor(self, u: np.ndarray) -> None:
        """Fit the lines of mode and shift to the neighbourhood of some scores (tuning only).

        They depend on the scores alone, so that a chain can be taken up again.
        """
        lines = mode_and_shift(self.smooth, self.coordinates, u.copy(), self.level)
        self._lines = self._lines if lines is None else lines

    def _whiten(self, u: np.ndarray, theta: np.ndarray, white: Whitening) -> bool:
        """The map at theta: mean and root into `white`; False where theta is impossible."""
        posterior, room = self.posterior, white.room
        if not posterior.fill(theta, room):
            return False
        if self._lines is not None:
            mode, shift = self._lines
            room.x[:] = mode.at(u)
            for _ in range(3):
                posterior.predict(room, room.x, room.eta)
                if not math.isfinite(posterior.rows(room.eta, room.own, room.slopes)):
                    break
                made, decrement = white.root.step()
                if not made or not decrement < 1e4:
                    break
                room.x += room.step
                if decrement < SHORT:
                    np.add(room.x, shift.at(u), out=white.mean)
                    return True
        return self._climb(theta, white)

    def _climb(self, theta: np.ndarray, white: Whitening) -> bool:
        """The map far from the lines: the mode, searched for from the fixed start, which depends on nothing else."""
        posterior, room = self.posterior, white.room
        room.x[:] = self.system.start
        if not math.isfinite(posterior.climb(theta, room)):
            return False
        white.mean[:] = room.x
        return white.root.make()

    # -- the density -------------------------------------------------------------------------------------------------

    def log(self, u: np.ndarray, theta: np.ndarray) -> float:
        if not self._whiten(u, theta, self.spare):
            return -math.inf
        self.spare.theta[:] = theta
        return _log_sum(*self._both(self.z, self.spare))

    def adopt(self) -> None:
        self.here, self.spare = self.spare, self.here

    def _both(self, z: np.ndarray, white: Whitening) -> tuple[float, float]:
        """Log densities at z and at -z; leaves x and the slopes of the rows at z."""
        s, room, posterior = self.system.symbolic, white.room, self.posterior
        base = room.base
        white.x[:] = z
        white.root.spread(white.x)
        own, other = displace_both(
            white.mean, s.row_start, s.columns, base.values, base.offset, s.d_row, s.d_column, base.d_value,
            posterior.center, white.x, room.step, room.eta, room.trial_eta,
        )  # fmt: skip
        white.log_size = white.root.log_size()
        constant = 0.5 * base.log_det - white.log_size
        away = posterior.rows(room.trial_eta, room.own, room.trial_slopes) - other + constant
        there = posterior.rows(room.eta, room.own, room.slopes) - own + constant
        white.both = there if math.isfinite(there) else -math.inf, away if math.isfinite(away) else -math.inf
        return white.both

    def _joint(self, z: np.ndarray) -> float:
        """Log density at z and the theta of the state; leaves x and the slopes of the rows."""
        s, white = self.system.symbolic, self.here
        room, base = white.room, white.room.base
        white.x[:] = z
        white.root.spread(white.x)
        displace(white.mean, s.row_start, s.columns, base.values, base.offset, white.x, room.eta)
        value = self.posterior.rows(room.eta, room.own, room.slopes)
        value -= self.posterior.penalty(white.x, base) + white.log_size
        return value if math.isfinite(value) else -math.inf

    def _force(self, z: np.ndarray) -> np.ndarray:
        """Gradient of the log density in z plus z: what a normal density does not explain."""
        s, room = self.system.symbolic, self.here.room
        latent_gradient(
            s.row_start, s.columns, room.base.values, s.d_row, s.d_column, room.base.d_value, self.posterior.center,
            self.here.x, room.slopes[1], room.step, self.slope,
        )  # fmt: skip
        self.here.root.pull_back(self.slope)
        return self.slope + z

    # -- moves of z --------------------------------------------------------------------------------------------------

    def refresh(self, value: float, rng: np.random.Generator, tuning: bool) -> float:
        """The sign of z, then a Hamiltonian trajectory of z, at the theta of the state."""
        at, other = self.here.both  # since its theta was taken up, or z moved last
        prior = value - _log_sum(at, other)
        if math.log(rng.random()) >= at - _log_sum(at, other):
            self.z = -self.z
            at = self._joint(self.z)
        self._trajectory(at, rng, tuning)
        return prior + _log_sum(*self._both(self.z, self.here))

    def _trajectory(self, at: float, rng: np.random.Generator, tuning: bool) -> None:
        """Move z by one trajectory, accepted by its gain in energy; `at` is the log density where it begins."""
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
            self.step = min(1.5, max(0.05, self.step * math.exp(0.05 * (chance - 0.8))))
        if rng.random() < chance:
            self.z = z

    # -- moves of theta with x held ----------------------------------------------------------------------------------

    def hold(self) -> Callable[[np.ndarray], float]:
        """Log density of theta with x held as it is (after :meth:`refresh`, which leaves x at z), without its prior."""
        x, room, posterior = self.here.x.copy(), self.spare.room, self.posterior

        def log(theta: np.ndarray) -> float:
            if not posterior.fill(theta, room):
                return -math.inf
            posterior.predict(room, x, room.eta)
            value = posterior.rows(room.eta, room.own, room.slopes) - posterior.penalty(x, room.base)
            return value if math.isfinite(value) else -math.inf

        return log

    def release(self, u: np.ndarray, theta: np.ndarray) -> float:
        """Take up another theta with x as it is; the log density there, or -inf where there is no map: all stays."""
        x, white = self.here.x, self.spare
        if not self._whiten(u, theta, white):
            return -math.inf
        white.theta[:] = theta
        z = white.root.whiten(x - white.mean)
        value = _log_sum(*self._both(z, white))
        if math.isfinite(value):
            self.z = z
            self.adopt()
        return value

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        # after `refresh`, which leaves x at z
        return self.system.natural_order(self.here.x)

    # -- going on ----------------------------------------------------------------------------------------------------

    def keep(self) -> dict[str, np.ndarray]:
        center = np.full(len(self.coordinates.hypers), np.nan) if self._lines is None else self._lines[0].center
        return {"z": self.z.copy(), "step": np.array(self.step), "anchor": center.copy()}

    def resume(self, saved: dict[str, np.ndarray]) -> None:
        self.z, self.step = saved["z"].copy(), float(saved["step"])
        self._lines = None
        if np.isfinite(saved["anchor"]).all():
            self.anchor(saved["anchor"])


def _log_sum(a: float, b: float) -> float:
    """log(exp(a) + exp(b))."""
    high, low = (a, b) if a >= b else (b, a)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
