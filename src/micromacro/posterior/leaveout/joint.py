r"""Leaving several groups out together: all groups of a member, or of a unit.

With :math:`K = A_G H^{-1} A_G'` for the rows G, and g and C the slopes and (diagonal) curvatures of their
log-likelihoods at the mode, the linear predictors without them are normal with covariance
:math:`S = K (I - CK)^{-1}` and mean :math:`\hat\eta_G - Sg`, and

.. math:: \log p(y_G \mid y_{-G}, \theta) = \sum_{i \in G} l_i(\hat\eta_i) - \tfrac12 g'Sg + \tfrac12\log|I - CK| ,

exact for a Gaussian outcome. Otherwise the terms are those of the sites of expectation propagation
(:mod:`.propagation`), whose scales make this the mass of the cavity where G is a single row.
"""

from __future__ import annotations

import math

import numpy as np

from ...engines.base import Sample
from ...engines.marginals import has_exact_marginal
from ...errors import EngineError
from ...model.specification import Specification
from ...numerics.modes import whitened_rows
from .propagation import Propagation

LARGE = 20_000_000  # numbers to keep of L^-1 A' at once


class LeaveSetsOut:
    """log p(y_G | y_-G, theta) of sets G of groups, theta by theta."""

    def __init__(self, specification: Specification, sets: list[np.ndarray]):
        self.specification = specification = specification.by_rows
        self.sets = [specification.rows_of(groups) for groups in sets]
        self.propagation = Propagation(specification)
        self.exact = has_exact_marginal(specification)  # then Laplace's formula has no error
        self.room = self.propagation.room
        system = specification.system
        self.whole = system.rows * system.size <= LARGE
        self.rows = np.empty((system.rows, system.size)) if self.whole else np.empty((0, system.size))

    def _whitened(self, which: np.ndarray, out: np.ndarray) -> np.ndarray:
        s, base = self.specification.system.symbolic, self.room.base
        whitened_rows(s.layout, base.panel, s.row_start, s.columns, base.values, which, out)
        return out

    def at(self, theta: np.ndarray) -> np.ndarray:
        """Of every set (sets,)."""
        terms = self._terms(theta)
        if self.whole:
            self._whitened(np.arange(len(self.rows)), self.rows)
        out = np.empty(len(self.sets))
        for k, rows in enumerate(self.sets):
            own = self.rows[rows] if self.whole else self._whitened(rows, np.empty((len(rows), self.rows.shape[1])))
            out[k] = self._joint(own @ own.T, terms[:, rows])
        return out

    def _terms(self, theta: np.ndarray) -> np.ndarray:
        """Value, slope and curvature (3, rows) of what stands for the rows; the factor is left in the work space."""
        if self.exact:
            if not math.isfinite(self.propagation.laplace.value(theta, self.room)):
                raise EngineError("the posterior has no mode at one of the draws: use kfold()")
            return self.room.slopes[:3]
        sites = self.propagation.at(theta)
        return np.stack([sites.log_value, sites.slope, sites.curvature])

    def _joint(self, covariance: np.ndarray, slopes: np.ndarray) -> float:
        density, slope, curvature = slopes
        rest = np.eye(len(slope)) + curvature[:, None] * covariance  # I - CK with C = -curvature
        sign, size = np.linalg.slogdet(rest)
        if sign <= 0.0 or size < -60.0:
            raise EngineError(
                "without all groups of one member or unit a coefficient under a flat prior is not determined: give the "
                "coefficients priors"
            )
        pulled = covariance @ np.linalg.solve(rest, slope)
        return float(density.sum() - 0.5 * slope @ pulled + 0.5 * size)

    def log_likelihood(self, draws: Sample) -> np.ndarray:
        """At each draw of theta (chain, draw, sets)."""
        out = np.empty((*draws.shape, len(self.sets)))
        for chain, draw in np.ndindex(draws.shape):
            out[chain, draw] = self.at(draws.theta[chain, draw])
        self.propagation.warn(math.prod(draws.shape))
        return out
