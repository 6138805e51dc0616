r"""What a group's outcome would be at a theta if the group had not been seen, effects and coefficients integrated out.

Without group i the linear predictor of its row is :math:`\eta_i \mid y_{-i}, \theta \sim N(m_i, v_i)`, the *cavity*.
With h the leverage :math:`a_i'H^{-1}a_i`, and g and c the slope and curvature of the group's log-likelihood,

.. math:: v_i = \frac{h_i}{1 - c_i h_i}, \qquad m_i = \hat\eta_i - g_i v_i .

For a Gaussian outcome this is exact, and :math:`p(y_i \mid y_{-i}, \theta)` is normal with variance
:math:`v_i + \sigma^2`. Otherwise the same holds for the sites of expectation propagation (:mod:`.propagation`). Members
and units that occur in this group only have their population's distribution in it: the group is new in all respects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...engines.base import Sample
from ...engines.marginals import has_exact_marginal, marginal_of
from ...errors import EngineError
from ...model.specification import Specification
from ...table.screen import listed
from .pointwise import group_values
from .propagation import Propagation

LOG_2PI = math.log(2.0 * math.pi)


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
    """Cavities of all rows at one theta after the other: exact, or by expectation propagation."""

    def __init__(self, specification: Specification):
        self.specification = specification
        self.exact = has_exact_marginal(specification)
        if self.exact:
            self.gaussian: Any = marginal_of(specification)
            self.room = self.gaussian.workspace()
        else:
            self.propagation = Propagation(specification)

    def at(self, theta: np.ndarray) -> Cavity:
        """The cavities at a theta."""
        if self.exact:
            return self._gaussian(theta)
        sites = self.propagation.at(theta)
        self._check(sites.variance > 0.0)
        return Cavity(sites.mean, sites.variance, sites.log_mass)

    def _gaussian(self, theta: np.ndarray) -> Cavity:
        if not math.isfinite(self.gaussian.value(theta, self.room)):
            raise EngineError("the likelihood cannot be evaluated at one of the draws; please report this")
        room = self.room
        sigma2 = self.gaussian.sigma(room) ** 2
        count = self.gaussian.weight
        h = self.specification.system.leverages(room).copy()
        remains = 1.0 - count / sigma2 * h
        self._check(remains > 1e-9)
        variance = h / remains
        mean = room.target - room.residual + room.offset - count / sigma2 * room.residual * variance
        y = self.specification.outcome
        some = count > 0.0
        own = sigma2 / np.where(some, count, 1.0)  # `count` outcomes as one, with its constant
        density = -0.5 * (LOG_2PI + np.log(variance + own) + (y - mean) ** 2 / (variance + own))
        density += 0.5 * (LOG_2PI + np.log(own)) - 0.5 * count * (LOG_2PI + np.log(sigma2))
        return Cavity(mean, variance, np.where(some, density, 0.0))

    def _check(self, good: np.ndarray) -> None:
        """Refuse groups without which the rest determines nothing."""
        bad = np.flatnonzero(~good)
        if len(bad):
            tables = self.specification.tables
            raise EngineError(
                f"without {len(bad)} of the {tables.noun}s (first: {listed(tables.ids[bad])}) a coefficient under a "
                "flat prior is not determined, so there is no prediction for them: give the coefficients priors"
            )


def integrated_log_likelihood(specification: Specification, draws: Sample) -> np.ndarray:
    """log p(y_i | y_-i, theta) at each draw of theta (chain, draw, group)."""
    cavities = Cavities(specification)
    out = np.empty((*draws.shape, specification.groups))
    for chain, draw in np.ndindex(draws.shape):
        out[chain, draw] = group_values(specification, cavities.at(draws.theta[chain, draw]).log_density)
    if not cavities.exact:
        cavities.propagation.warn(math.prod(draws.shape))
    return out
