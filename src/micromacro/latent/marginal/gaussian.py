r"""The marginal likelihood of theta for a Gaussian outcome, exact, with its gradient.

Two integrals are offered. ``profile=False`` integrates all of x: with proper priors this is :math:`\log p(y \mid
\theta)`, with flat ones the restricted likelihood with lme4's constant :math:`(N - p)\log 2\pi`.
``profile=True`` integrates the effects only and puts the coefficients at their maximum: maximum likelihood. The
two differ in how far the log-determinant and the selected inverse reach.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...parameters import Parameter
from ..representation.base import Representation
from ..system import System
from ..workspace import Workspace
from .base import Marginal

LOG_2PI = math.log(2.0 * math.pi)


class GaussianMarginal(Marginal):
    """Log marginal likelihood of a Gaussian outcome as a function of theta.

    Parameters
    ----------
    system : System
        Its last hyper parameter must be sigma, the residual standard deviation, unless that has a linear predictor.
    outcome : (groups,) array
    profile : bool
        Maximise over the coefficients instead of integrating them.
    weight : (groups,) array, optional
        Powers of the likelihood (observation weights); ones by default.
    factor : Representation, optional
        What is factorised; H itself by default.
    """

    exact = True

    def __init__(
        self,
        system: System,
        outcome: np.ndarray,
        profile: bool = False,
        weight: np.ndarray | None = None,
        factor: Representation | None = None,
    ):
        self.system = system
        self.factor = factor or system.direct
        self.arguments: tuple[Parameter, ...] = system.hypers
        self.outcome = np.ascontiguousarray(outcome, dtype=float)
        self.profile = profile
        self._leading = system.n_effects if profile else system.size
        flat = 0 if profile else system.flat
        coefficients = len(system.coefficients) - system.flat
        # A profiled coefficient with a normal prior brings the constant of its density, an integrated one does not.
        prior = system.log_det_coefficients - (coefficients * LOG_2PI if profile else 0.0)
        self.weight = np.ones(system.groups) if weight is None else np.ascontiguousarray(weight, dtype=float)
        self.count = float(self.weight.sum())
        self._constant = 0.5 * (prior - (self.count - flat) * LOG_2PI)

    def workspace(self, gradient: bool = True) -> Workspace:
        """Fresh work space for one thread."""
        room = self.system.workspace(gradient)
        self.factor.prepare(room, gradient)
        return room

    def base(self, room: Workspace) -> Workspace:
        return room

    def set_theta(self, point: np.ndarray, room: Workspace) -> bool:
        room.theta = point
        if not (np.isfinite(point).all() and self.system.fill(point, room)):
            return False
        sigma = self.sigma(room)
        low, high = (sigma, sigma) if isinstance(sigma, float) else (sigma.min(), sigma.max())
        if not (low > 1e-100 and high < 1e100):
            return False
        np.multiply(self.weight, sigma**-2.0, out=room.weight)
        np.subtract(self.outcome, room.offset, out=room.target)
        return True

    def sigma(self, room: Workspace) -> Any:
        """The residual standard deviation at the theta that was set: one number, or that of each group."""
        return float(room.theta[-1]) if self.system.beside is None else self.system.own(room.theta, room)[0]

    def update_factor(self, room: Workspace) -> bool:
        bad, room.log_det_h, rows, prior = self.factor.solve_gaussian(room, self.system.center, self._leading)
        room.misfit = rows + prior
        return bad < 0

    def read_value(self, room: Workspace) -> float:
        """The log marginal likelihood, with the log prior of profiled coefficients."""
        sigma = self.sigma(room)
        logs = self.count * math.log(sigma) if isinstance(sigma, float) else float(self.weight @ np.log(sigma))
        total = self._constant - logs
        total -= 0.5 * (room.misfit + room.log_det_h - room.log_det)
        return total if math.isfinite(total) else -math.inf

    def read_slope(self, room: Workspace) -> np.ndarray:
        theta = room.theta
        self.factor.gaussian_slopes(room, self.system.center, self._leading)
        if self.system.beside is not None:  # through the logarithm of sigma
            room.d_beside[0] = -2.0 * room.d_weight * room.weight - self.weight
            return self.system.pull(theta, room)
        out = self.system.pull(theta, room)
        out[-1] += float(room.d_weight @ self.weight) * -2.0 * theta[-1] ** -3.0 - self.count / theta[-1]
        return out

    def pull(self, point: np.ndarray, room: Workspace) -> np.ndarray:
        out = np.zeros(self.system.size)
        with np.errstate(all="ignore"):
            if self.set_theta(point, room):
                row = np.empty_like(room.residual)
                self.factor.times(room, room.mean, row)
                row = room.weight * (room.target - row)
                self.factor.latent_gradient(room, self.system.center, room.mean, row, out)
        return out

    def scale(self, room: Workspace) -> float:
        """The maximum over a common factor of sigma and all sds: of the residuals and effects relative to them."""
        out = math.sqrt(room.misfit / self.count) if self.count > 0.0 else 1.0
        return out if 0.0 < out < math.inf else 1.0

    def x(self, room: Workspace) -> np.ndarray:
        return self.system.natural_order(room.mean)

    def coefficient_prior(self, room: Workspace) -> float:
        if not self.profile:
            return 0.0
        found = zip(self.system.coefficients, self.x(room)[self.system.n_effects :], strict=True)
        return sum(p.prior.log_density(b) for p, b in found if p.prior.proper)
