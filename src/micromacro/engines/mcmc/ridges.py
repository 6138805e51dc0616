r"""Coordinates in which an sd moves along the ridge that weights make.

The data of a member block know the product of its sd and of the size of its weights better than either: an effect
reaches group i as :math:`sd \sum_j w_{ij}(b_w) u^*_j`, with variance :math:`sd^2 s_i^2`. Where weight parameters change
that size, the posterior of (b_w, sd) is a bent ridge that no covariance matrix fits. So an sd moves as

.. math:: sd = sd'\,\frac{s(b_w^0)}{s(b_w)}, \qquad
   s^2 = \frac1N \sum_i \sum_l \Big(\sum_{(i, j): l} w_{ij} z_{ij}\Big)^2,

with :math:`sd'` in the half score of the prior of the sd: an exact change of coordinates, whose Jacobian
:math:`s(b_w^0)/s(b_w)` goes into the density. There is one s per sd: of a slope with its covariate z.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...model.specification import Specification
from ...numerics.differences import slopes
from ..coordinates import Scores
from ..search import Peak
from .margins import Margins

BENT = 0.3  # range of log s over three posterior sds of theta from which an sd moves along its ridge


@dataclass(eq=False)
class Ridge:
    """The entries of one sd in A as a function of theta, at an sd of one.

    Attributes
    ----------
    place : int
        The sd's among the coordinates; ``entry`` its place in theta.
    rows, cell : int arrays
        Of members that combine, the rows of the entries of effects, and the cell (group and effect) of each.
    others : int array
        Places in theta of the part's other sds and correlations, which are held at zero.
    """

    part: Any
    reads: Any
    place: int
    entry: int
    others: np.ndarray
    coefficients: int
    first: float = 1.0
    rows: np.ndarray = field(default_factory=lambda: np.empty(0))
    cell: np.ndarray = field(default_factory=lambda: np.empty(0))
    scratch: Any = None

    def prepare(self, groups: int) -> None:
        """Work space, which each chain has for itself."""
        self.part = self.part.placed(0)
        rows, columns = self.part.entries()
        self.effects = columns >= len(self.part.coefficients)
        self.scratch = self.part.scratch(gradient=False)
        self.slots, self.values = np.arange(len(rows)), np.zeros(len(rows))
        self.offset = np.zeros(max(groups, self.part.row_count))
        if self.part.of_rows:  # members combine: entries of one member in a group are added up, as they are of a sum
            self.rows, columns = rows[self.effects], columns[self.effects]
            group, _ = self.part.of_groups(self.scratch, self.rows, np.zeros(len(self.rows)), np.zeros(len(rows)))
            self.cell = np.unique(group * (int(columns.max()) + 1) + columns, return_inverse=True)[1].reshape(-1)

    def log_size(self, theta: np.ndarray) -> float:
        """log s at theta; nan where the weights do not exist."""
        at = theta.copy()
        at[self.others] = 0.0
        at[self.entry] = 1.0
        if not self.part.fill(at[self.reads], self.scratch, self.slots, self.values, self.offset):
            return math.nan
        own = self.values[self.effects]
        if self.part.of_rows:
            own = np.bincount(self.cell, self.part.of_groups(self.scratch, self.rows, own)[1])
        square = float(own @ own)
        return 0.5 * math.log(square) if 0.0 < square < math.inf else math.nan


@dataclass(frozen=True, eq=False)
class Point:
    """A point of the ridge coordinates.

    Attributes
    ----------
    u : (q,) array
        The coordinates along the ridges.
    theta : (k,) array
        Natural parameters there; sds are nan where the weights do not exist.
    shifts : tuple of float
        By how much the logarithm of each ridge's sd moved along it.
    log_slope : float
        Log Jacobian of u in the coordinates of the chain; -inf beyond an end of u.
    """

    u: np.ndarray
    theta: np.ndarray
    shifts: tuple[float, ...]
    log_slope: float = 0.0


class RidgeScores(Scores):
    """Scores with the sds of blocks whose weights are estimated along their ridges; else just the scores.

    Parameters
    ----------
    specification : Specification

    Attributes
    ----------
    margins : Margins
        How the coordinates of a chain become these.
    """

    def __init__(self, specification: Specification):
        super().__init__(specification.system.hypers)
        self.ridges = _ridges(specification, self)
        self.margins = Margins()
        self._specification = specification

    def bend(self, peak: Peak, covariance: np.ndarray) -> np.ndarray:
        """Keep the ridges that bend noticeably around a peak; says which of all they are (bool array)."""
        change = np.zeros(len(self.ridges))
        roots = np.linalg.cholesky(covariance + 1e-12 * np.eye(len(covariance))) if len(covariance) else covariance
        for k, ridge in enumerate(self.ridges):
            ridge.prepare(self._specification.groups)
            around = [peak.u + side * column for column in roots.T for side in (-1.5, 1.5)]
            sizes = [ridge.log_size(super(RidgeScores, self).theta(u)) for u in around]
            change[k] = float(np.ptp(sizes)) if np.all(np.isfinite(sizes)) else math.inf
        return self.use(change > BENT)

    def use(self, which: np.ndarray) -> np.ndarray:
        """Keep some of the ridges."""
        self.ridges = [r for r, bent in zip(self.ridges, which, strict=True) if bent]
        base = np.array([p.start for p in self.every])
        for ridge in self.ridges:
            ridge.prepare(self._specification.groups)
            ridge.first = ridge.log_size(base)
        return which

    def at(self, y: np.ndarray) -> Point:
        """The point at coordinates y of a chain."""
        u = self.margins.inner(y)
        log_slope = self.margins.log_slope(y, u)
        if log_slope == -math.inf:
            return Point(u, np.full(len(self.every), math.nan), (), log_slope)
        theta = super().theta(u)
        shifts = tuple(ridge.first - ridge.log_size(theta) for ridge in self.ridges)
        for ridge, shift in zip(self.ridges, shifts, strict=True):
            theta[ridge.entry] *= math.exp(shift)
        return Point(u, theta, shifts, log_slope)

    def theta(self, u: np.ndarray) -> np.ndarray:
        """Natural parameters at coordinates of a chain; sds are nan where the weights do not exist."""
        return self.at(u).theta

    def plain(self, point: Point) -> np.ndarray:
        """The scores of a point's theta."""
        if not self.ridges:
            return point.u
        out = point.u.copy()
        for ridge in self.ridges:
            out[ridge.place] = self._half_score(ridge, point.theta[ridge.entry])
        return out

    def _half_score(self, ridge: Ridge, sd: float) -> float:
        prior, k = self.hypers[ridge.place].prior, ridge.place
        return float(self.half_score(prior, sd) / self.unit[k])

    def log_prior_at(self, point: Point) -> float:
        """Log prior density of a point's coordinates up to a constant."""
        total = self.log_prior(point.u) + point.log_slope
        if not math.isfinite(total):
            return -math.inf
        for ridge, shift in zip(self.ridges, point.shifts, strict=True):
            prior, sd = self.hypers[ridge.place].prior, float(point.theta[ridge.entry])
            if not 0.0 <= sd < math.inf:
                return -math.inf
            total += prior.log_density(sd) - prior.log_density(sd * math.exp(-shift)) + shift
        return total

    def along(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ridge coordinates of scores u, and their derivative (q, q) in the scores."""
        if not self.ridges:
            return u, np.eye(len(u))
        steps = np.where(self.folded, np.minimum(1e-5, 0.5 * u), 1e-5)
        inside = np.flatnonzero(steps > 0.0)
        slope = np.eye(len(u))
        slope[:, inside] = slopes(self._along, u, steps, inside)[:, inside]
        return self._along(u), slope

    def _along(self, u: np.ndarray) -> np.ndarray:
        theta, out = super().theta(u), u.copy()
        for ridge in self.ridges:
            straight = theta[ridge.entry] * math.exp(ridge.log_size(theta) - ridge.first)
            out[ridge.place] = self._half_score(ridge, straight)
        return out


def _ridges(specification: Specification, scores: Scores) -> list[Ridge]:
    """A ridge for each free sd of a block with free weight parameters."""
    system, out = specification.system, []
    free = {int(k): place for place, k in enumerate(scores.free)}
    for k, part in enumerate(system.parts):
        reads = np.arange(len(system.hypers))[system.places.reads(k)]
        moving = any(system.hypers[j].kind == "w" and j in free for j in reads)
        if not moving or part.structure is None or not part.effects or not part.summand:
            continue
        own = range(*system.places.effect_theta(k).indices(len(system.hypers)))
        for j in own:
            if system.hypers[j].kind != "sd" or j not in free or not scores.folded[free[j]]:
                continue
            others = [i for i in own if i != j and system.hypers[i].kind in ("sd", "cor")]
            out.append(Ridge(part, reads, free[j], j, np.array(others, dtype=np.int64), len(part.coefficients)))
    return out
