r"""What a group's outcome would be at a theta if the group had not been seen, effects and coefficients integrated out.

Without group i the linear predictor of its row is :math:`\eta_i \mid y_{-i}, \theta \sim N(m_i, v_i)`, the *cavity*.
With h the leverage :math:`a_i'H^{-1}a_i` at the mode, and g and c the slope and curvature of the group's
log-likelihood there,

.. math:: v_i = \frac{h_i}{1 - c_i h_i}, \qquad m_i = \hat\eta_i - g_i v_i .

For a Gaussian outcome this is exact, and :math:`p(y_i \mid y_{-i}, \theta)` is normal with variance
:math:`v_i + \sigma^2`. Otherwise it is Laplace's approximation with the group's own term taken out again (Vehtari,
Mononen, Tolvanen, Sivula and Winther 2016), and the density is a sum over Gauss-Hermite nodes around the mode. Members
and units that occur in this group only have their population's distribution in it: the group is new in all respects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...engines.approximate import laplace_marginal
from ...engines.targets import gaussian_marginal
from ...errors import EngineError
from ...model import Specification
from ...numerics.laplace import leverages
from ..predict import group_index
from .pointwise import Sample, group_values

LOG_2PI = math.log(2.0 * math.pi)
NODES = 21


@dataclass(frozen=True, eq=False)
class Cavity:
    """Of each row, given theta and everything but the row's own outcome.

    Attributes
    ----------
    mean, variance : (groups,) arrays
        Of the linear predictor.
    log_density : (groups,) array
        Of the row's outcome.
    """

    mean: np.ndarray
    variance: np.ndarray
    log_density: np.ndarray


class Cavities:
    """Cavities of all rows at one theta after the other."""

    def __init__(self, specification: Specification):
        self.specification = specification
        self.exact = specification.family.conjugate
        if self.exact:
            self.gaussian = gaussian_marginal(specification)
            self.room = self.gaussian.workspace()
        else:
            self.laplace = laplace_marginal(specification, held=False)
            self.laplace.close = 1e-9
            self.mode_room = self.laplace.workspace()
            self.room = self.mode_room.base
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        self.nodes, self.log_weights = nodes, np.log(weights / weights.sum()) + 0.5 * nodes**2

    def at(self, theta: np.ndarray) -> Cavity:
        """The cavities at a theta."""
        return self._gaussian(theta) if self.exact else self._laplace(theta)

    def leverage(self) -> np.ndarray:
        """a_i' H^-1 a_i of each row at the factor in the work space."""
        s, room = self.specification.system.symbolic, self.room
        leverages(
            s.layout, s.row_start, s.pair, room.values, room.panel, room.inverse, room.y, room.small, room.slope,
            room.leverage,
        )  # fmt: skip
        return room.leverage

    def _gaussian(self, theta: np.ndarray) -> Cavity:
        if not math.isfinite(self.gaussian.value(theta, self.room)):
            raise EngineError("the likelihood cannot be evaluated at one of the draws; please report this")
        room, sigma2 = self.room, theta[-1] ** 2
        count = self.gaussian.weight
        h = self.leverage().copy()
        remains = 1.0 - count / sigma2 * h
        self._check(remains)
        variance = h / remains
        mean = room.target - room.residual + room.offset - count / sigma2 * room.residual * variance
        y = self.specification.outcome
        some = count > 0.0
        own = sigma2 / np.where(some, count, 1.0)  # `count` outcomes as one, with its constant
        density = -0.5 * (LOG_2PI + np.log(variance + own) + (y - mean) ** 2 / (variance + own))
        density += 0.5 * (LOG_2PI + np.log(own)) - 0.5 * count * (LOG_2PI + math.log(sigma2))
        return Cavity(mean, variance, np.where(some, density, 0.0))

    def _laplace(self, theta: np.ndarray) -> Cavity:
        room = self.mode_room
        if not math.isfinite(self.laplace.value(theta, room)):
            raise EngineError("the Laplace approximation does not exist at one of the draws: use kfold()")
        h = np.maximum(self.leverage(), 1e-300)
        remains = 1.0 + room.slopes[2] * h
        self._check(remains)
        variance = h / remains
        eta = room.eta.copy()
        mean = eta - room.slopes[1] * variance
        terms = np.empty((NODES, len(eta)))
        root = np.sqrt(h)
        for k, node in enumerate(self.nodes):
            at = eta + root * node
            self.laplace.rows(at, theta, room.trial_slopes)
            terms[k] = room.trial_slopes[0] - 0.5 * (at - mean) ** 2 / variance + self.log_weights[k]
        top = terms.max(axis=0)
        density = top + np.log(np.exp(terms - top).sum(axis=0)) + 0.5 * np.log(h / variance)
        return Cavity(mean, variance, density)

    def _check(self, remains: np.ndarray) -> None:
        """Refuse groups without which the rest determines nothing."""
        bad = np.flatnonzero(~(remains > 1e-9))
        if len(bad):
            ids = ", ".join(str(i) for i in group_index(self.specification, None)[bad[:5]])
            raise EngineError(
                f"without {len(bad)} of the groups (first: {ids}) a coefficient under a flat prior is not determined, "
                "so there is no prediction for them: give the coefficients priors"
            )


def integrated_log_likelihood(specification: Specification, draws: Sample) -> np.ndarray:
    """log p(y_i | y_-i, theta) at each draw of theta (chain, draw, group)."""
    cavities = Cavities(specification)
    out = np.empty((*draws.shape, specification.groups))
    for chain, draw in np.ndindex(draws.shape):
        out[chain, draw] = group_values(specification, cavities.at(draws.theta[chain, draw]).log_density)
    return out
