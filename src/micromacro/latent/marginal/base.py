"""What a marginal likelihood of theta answers, whichever way its integral over x is done.

It is read as three verbs: set theta, update the factor, read the value (or the slope).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...numerics.cholesky import solve_upper
from ...parameters import Parameter
from ..representation.base import Representation
from ..system import System
from ..workspace import Workspace

DEAR = 3e7  # operations from which evaluations should be spared: some milliseconds each


class Marginal:
    """Log marginal likelihood as a function of a *point*: theta, followed by the coefficients where they are arguments.

    Attributes
    ----------
    system : System
    factor : Representation
    exact : bool
        Whether the integral has no error.
    arguments : tuple of Parameter
        What a point is made of.
    """

    system: System
    factor: Representation
    exact: bool
    arguments: tuple[Parameter, ...]

    # -- what a kind of marginal supplies ----------------------------------------------------------------------------

    def workspace(self, gradient: bool = True) -> Any:
        """Fresh work space for one thread."""
        raise NotImplementedError

    def base(self, room: Any) -> Workspace:
        """The latent system's own work space within the marginal's: entries of A and D, and the factor."""
        raise NotImplementedError

    def set_theta(self, point: np.ndarray, room: Any) -> bool:
        """Fill A, the offset and D at a point; False where it is impossible."""
        raise NotImplementedError

    def update_factor(self, room: Any) -> bool:
        """Solve for x and factorise H at the point that was set; False where there is no maximum in x."""
        raise NotImplementedError

    def read_value(self, room: Any) -> float:
        """The log marginal likelihood at the factor in the work space."""
        raise NotImplementedError

    def read_slope(self, room: Any) -> np.ndarray:
        """Derivative of the value in every entry of the point (natural scale), at the factor in the work space."""
        raise NotImplementedError

    def x(self, room: Any) -> np.ndarray:
        """Mean or mode of x (natural order) at the point last evaluated, coefficients that are arguments included."""
        raise NotImplementedError

    def pull(self, point: np.ndarray, room: Any) -> np.ndarray:
        """Gradient in x (elimination order) of the log joint density at a point, at the x last found.

        Zero where the point is impossible. Nothing is factorised; what belongs to the x last found stays in the room.
        """
        raise NotImplementedError

    def coefficient_prior(self, room: Any) -> float:
        """Log prior density of the coefficients that the value includes."""
        return 0.0

    # -- what follows from it ----------------------------------------------------------------------------------------

    def value(self, point: np.ndarray, room: Any) -> float:
        """Log marginal likelihood at a point; -inf where it does not exist.

        Leaves the factor and x in the work space.
        """
        with np.errstate(all="ignore"):  # what is not finite is seen: such a point has no value
            if not self.set_theta(point, room) or not self.update_factor(room):
                return -math.inf
            return self.read_value(room)

    def gradient(self, point: np.ndarray, room: Any) -> tuple[float, np.ndarray]:
        """Value and derivative in every entry of the point (natural scale).

        The derivative is nan where the value is -inf, and wherever products of infinities leave none: whoever searches
        has to look.
        """
        value = self.value(point, room)
        if not math.isfinite(value):
            return value, np.full(len(point), math.nan)
        with np.errstate(all="ignore"):
            return value, self.read_slope(room)

    def point(self, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The point of a theta and an x (natural order), of which it shares nothing."""
        if len(self.arguments) == len(theta):
            return theta.copy()
        return np.concatenate([theta, x[self.system.n_effects :]])

    def scale(self, room: Any) -> float:
        """By what sigma and the sds should be multiplied at the point last evaluated, if that is known; else 1."""
        return 1.0

    @property
    def dear(self) -> bool:
        """Whether an evaluation takes so long that a search should spare them."""
        return self.factor.work > DEAR

    def solved(self, room: Any, v: np.ndarray) -> np.ndarray:
        """H^-1 v (natural order) at the factor in the work space, for v in elimination order."""
        out = v.copy()
        self.factor.solve(self.base(room), out)
        return self.system.natural_order(out)

    def panel(self, room: Any) -> np.ndarray:
        """Panels of L, the factor of H at the point last evaluated."""
        return self.factor.panel(self.base(room))

    def draw(self, room: Any, z: np.ndarray) -> np.ndarray:
        """x (natural order) from its normal conditional at the point last evaluated; z (elimination order) is lost."""
        system = self.system
        solve_upper(system.symbolic.layout, self.panel(room), z)
        out, mean = system.natural_order(z), self.x(room)
        if len(self.arguments) > len(system.hypers):
            out[system.n_effects :] = 0.0
        out += mean
        return out

    def conditional_variance(self, room: Any) -> np.ndarray:
        """Diagonal of H^-1 (size,) in natural order; zero for coefficients that are arguments."""
        system = self.system
        out = system.natural_order(self.factor.variances(self.base(room)))
        if len(self.arguments) > len(system.hypers):
            out[system.n_effects :] = 0.0
        return out

    def coefficient_covariance(self, room: Any) -> np.ndarray:
        """The coefficients' block (c, c) of H^-1; zero where they are arguments."""
        system, s, base = self.system, self.system.symbolic, self.base(room)
        c = len(system.coefficients)
        out = np.zeros((c, c))
        if len(self.arguments) > len(system.hypers):
            return out
        for k in range(c):
            column = np.zeros(system.size)
            column[s.position[system.n_effects + k]] = 1.0
            self.factor.solve(base, column)
            out[:, k] = system.natural_order(column)[system.n_effects :]
        return 0.5 * (out + out.T)
