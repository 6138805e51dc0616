r"""Leaving several groups out together: all groups of a member, or of a unit.

With :math:`K = A_G H^{-1} A_G'` for the rows G, and g and C the slopes and (diagonal) curvatures of their
log-likelihoods at the mode, the linear predictors without them are normal with covariance
:math:`S = K (I - CK)^{-1}` and mean :math:`\hat\eta_G - Sg`, and

.. math:: \log p(y_G \mid y_{-G}, \theta) = \sum_{i \in G} l_i(\hat\eta_i) - \tfrac12 g'Sg + \tfrac12\log|I - CK| ,

exact for a Gaussian outcome. Otherwise the terms are those of the sites of expectation propagation
(:mod:`.propagation`), whose scales make this the mass of the cavity where G is a single row.

Where a likelihood reads several rows at once (choices from a set), C is block diagonal, the sites are those of
:mod:`.units`, and a set that is one unit has the mass of its cavity.
"""

from __future__ import annotations

import math

import numpy as np

from ...engines.base import Sample
from ...engines.marginals import has_exact_marginal
from ...errors import EngineError
from ...latent.blocks import Blocks
from ...model.specification import Specification
from ...numerics.modes import whitened_rows
from .propagation import Propagation
from .units import UnitPropagation, UnitSites

LOST = (
    "without all groups of one member or unit a coefficient under a flat prior is not determined: give the "
    "coefficients priors"
)
LARGE = 20_000_000  # numbers to keep of L^-1 A' at once


class LeaveSetsOut:
    """log p(y_G | y_-G, theta) of sets G of groups, theta by theta."""

    def __init__(self, specification: Specification, sets: list[np.ndarray]):
        self.specification = specification = specification.by_rows
        self.sets = [specification.rows_of(groups) for groups in sets]
        meeting = specification.system.meeting
        self.blocks = None if meeting is None else meeting.blocks
        self.propagation = Propagation(specification) if meeting is None else UnitPropagation(specification)
        self.exact = has_exact_marginal(specification)  # then Laplace's formula has no error
        self.room = self.propagation.room
        system = specification.system
        self.whole = system.rows * system.size <= LARGE
        self.rows = np.empty((system.rows, system.size)) if self.whole else np.empty((0, system.size))
        self._inner = [] if self.blocks is None else [_inside(self.blocks, rows) for rows in self.sets]
        self._alone = [] if self.blocks is None else [_only_unit(self.blocks, rows) for rows in self.sets]
        self._mass = np.empty(0)

    def _whitened(self, which: np.ndarray, out: np.ndarray) -> np.ndarray:
        s, base = self.specification.system.symbolic, self.room.base
        whitened_rows(s.layout, base.panel, s.row_start, s.columns, base.values, which, out)
        return out

    def at(self, theta: np.ndarray) -> np.ndarray:
        """Of every set (sets,)."""
        terms = self._terms(theta)
        out = self._masses()
        if self.whole and np.isnan(out).any():
            self._whitened(np.arange(len(self.rows)), self.rows)
        for k in np.flatnonzero(np.isnan(out)).tolist():
            rows = self.sets[k]
            own = self.rows[rows] if self.whole else self._whitened(rows, np.empty((len(rows), self.rows.shape[1])))
            out[k] = self._joint(own @ own.T, terms[:, rows]) if self.blocks is None else self._together(k, own, terms)
        return out

    def _together(self, k: int, own: np.ndarray, terms: np.ndarray) -> float:
        """Of a set of rows, of which the likelihood reads several at once; `own` (rows of the set, size)."""
        assert self.blocks is not None
        rows, pairs, high, low = self.sets[k], *self._inner[k]
        value, slope = terms[0, rows].sum(), terms[1, rows]
        curvature = np.diag(-terms[2, rows])
        curvature[high, low] = curvature[low, high] = -terms[2, self.blocks.rows + pairs]
        root = np.asarray(np.linalg.qr(own.T, mode="r")).T  # K = RR'
        precision = np.eye(root.shape[1]) - root.T @ curvature @ root
        size, vectors = np.linalg.eigh(precision)
        if size.min(initial=1.0) <= 1e-9:
            raise EngineError(LOST)
        pulled = vectors.T @ (root.T @ slope)
        return float(value - 0.5 * np.sum(pulled**2 / size) + 0.5 * np.log(size).sum())

    def _masses(self) -> np.ndarray:
        """Of the sets that are one unit; nan of the others, which are still to be found (sets,)."""
        out = np.full(len(self.sets), np.nan)
        for k, unit in enumerate(self._alone):
            if unit >= 0:
                out[k] = self._mass[unit]
                if math.isnan(out[k]):
                    raise EngineError(LOST)
        return out

    def _terms(self, theta: np.ndarray) -> np.ndarray:
        """Value, slope and curvature (3, rows) of what stands for the rows; the factor is left in the work space."""
        if self.exact:
            if not math.isfinite(self.propagation.laplace.value(theta, self.room)):
                raise EngineError("the posterior has no mode at one of the draws: use kfold()")
            return self.room.slopes[:3]
        if isinstance(self.propagation, UnitPropagation):
            return self._unit_terms(self.propagation.at(theta))
        sites = self.propagation.at(theta)
        return np.stack([sites.log_value, sites.slope, sites.curvature])

    def _unit_terms(self, sites: UnitSites) -> np.ndarray:
        """The same (3, rows + pairs) of units of several rows, their values on their first rows."""
        assert self.blocks is not None
        self._mass = sites.log_mass
        out = np.zeros((3, self.blocks.rows + self.blocks.pairs))
        out[0, self.blocks.first] = sites.log_value
        out[1, : self.blocks.rows], out[2] = sites.slope, -sites.precision
        return out

    def _joint(self, covariance: np.ndarray, slopes: np.ndarray) -> float:
        density, slope, curvature = slopes
        rest = np.eye(len(slope)) + curvature[:, None] * covariance  # I - CK with C = -curvature
        sign, size = np.linalg.slogdet(rest)
        if sign <= 0.0 or size < -60.0:
            raise EngineError(LOST)
        pulled = covariance @ np.linalg.solve(rest, slope)
        return float(density.sum() - 0.5 * slope @ pulled + 0.5 * size)

    def log_likelihood(self, draws: Sample) -> np.ndarray:
        """At each draw of theta (chain, draw, sets)."""
        out = np.empty((*draws.shape, len(self.sets)))
        for chain, draw in np.ndindex(draws.shape):
            out[chain, draw] = self.at(draws.theta[chain, draw])
        self.propagation.warn(math.prod(draws.shape))
        return out


def _inside(blocks: Blocks, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of rows of a set of rows, and where the later and the earlier one of each are in it."""
    place = np.full(blocks.rows, -1)
    place[rows] = np.arange(len(rows))
    pairs = np.flatnonzero((place[blocks.high] >= 0) & (place[blocks.low] >= 0))
    return pairs, place[blocks.high[pairs]], place[blocks.low[pairs]]


def _only_unit(blocks: Blocks, rows: np.ndarray) -> int:
    """The unit whose rows these are; -1 where they are those of several."""
    unit = blocks.unit[rows[0]] if len(rows) else -1
    return int(unit) if len(rows) and np.all(blocks.unit[rows] == unit) else -1
