r"""Expectation propagation given theta where a likelihood reads several rows of the linear predictor at once.

As in :mod:`.propagation`, with a normal site in the place of the term of each *unit* (a set of alternatives, a group
whose outcome has several linear predictors): a vector and a block of precisions. With
:math:`\eta_u = \bar\eta_u + R_u z`, :math:`R_uR_u' = A_uH^{-1}A_u'` the covariance of the unit's rows under all sites
and :math:`z \sim N(0, I)`, the cavity of the site :math:`\exp(\nu_u'\eta_u - \tfrac12\eta_u'T_u\eta_u)` has in z

.. math:: P = I - R_u'T_uR_u, \qquad m = -P^{-1}R_u'(\nu_u - T_u\bar\eta_u),

and mass, mean and covariance of cavity times term are means over points of z. Rows of a unit are seldom independent
(alternatives share members), so that R has a column for each direction in which they can move.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...engines.marginals import laplace_marginal
from ...errors import EngineError, warn
from ...latent.blocks import Blocks
from ...latent.mode import ModeRoom
from ...model.specification import Specification
from ...numerics.cubature import balanced_points
from .propagation import NO_MODE, ROUNDS, SETTLED, check_units

STILL = 1e-10  # share of a unit's largest variance at which a direction counts as none
LEAST = 1e-9  # smallest precision of a cavity, of 1 with the unit


@dataclass(frozen=True, eq=False)
class UnitSites:
    """What stands for the units' terms, and what is known of each unit without its own.

    Attributes
    ----------
    log_value : (units,) array
        Logarithm of the site at the unit's mean under all sites.
    slope, precision : (rows,), (rows + pairs,) arrays
        Its derivative there, and minus its second derivatives.
    log_mass : (units,) array
        Log density of the unit's outcome, the unit left out; nan where the others do not determine it.
    mean, root : (units, widest), (units, widest, directions) arrays
        The cavity of a unit's rows is normal with this mean and the covariance ``root @ root'``.
    """

    log_value: np.ndarray
    slope: np.ndarray
    precision: np.ndarray
    log_mass: np.ndarray
    mean: np.ndarray
    root: np.ndarray


@dataclass(frozen=True, eq=False)
class UnitCavity:
    """Of each unit in the coordinates z: precision, its mean and log-determinant; R and what undoes it."""

    precision: np.ndarray
    mean: np.ndarray
    log_det: np.ndarray
    root: np.ndarray
    back: np.ndarray


class UnitPropagation:
    """Sites of all units at one theta after the other; leaves the factor of H under the sites in the work space."""

    def __init__(self, specification: Specification):
        check_units(specification)
        meeting = specification.system.meeting
        assert meeting is not None
        self.laplace = laplace_marginal(specification)
        self.laplace.close = 1e-9
        self.blocks: Blocks = meeting.blocks
        self.room: ModeRoom = self.laplace.workspace()
        self.noun = specification.tables.noun if specification.response.sets is None else "set of alternatives"
        self.unsettled = 0  # thetas at which it did not settle, and Laplace's sites serve
        self._basis = np.empty((0, 0, 0))
        self._idle = np.empty((0, 0, 0))

    # -- rows and pairs as padded matrices -----------------------------------------------------------------------------

    def _matrices(self, each: np.ndarray) -> np.ndarray:
        """Numbers of rows and pairs as symmetric matrices (units, widest, widest), zero beyond a unit's rows."""
        b = self.blocks
        out = np.zeros((b.units, b.widest, b.widest))
        out[b.unit, b.position, b.position] = each[: b.rows]
        unit, high, low = b.unit[b.high], b.position[b.high], b.position[b.low]
        out[unit, high, low] = out[unit, low, high] = each[b.rows :]
        return out

    def _flat(self, matrices: np.ndarray) -> np.ndarray:
        """The same back as numbers of rows and pairs."""
        b = self.blocks
        pairs = matrices[b.unit[b.high], b.position[b.high], b.position[b.low]]
        return np.concatenate([matrices[b.unit, b.position, b.position], pairs])

    def _vectors(self, each: np.ndarray) -> np.ndarray:
        """Numbers of the rows as (units, widest), zero beyond a unit's rows."""
        out = np.zeros((self.blocks.units, self.blocks.widest))
        out[self.blocks.unit, self.blocks.position] = each
        return out

    def _rows(self, vectors: np.ndarray) -> np.ndarray:
        return vectors[self.blocks.unit, self.blocks.position]

    # -- sites ---------------------------------------------------------------------------------------------------------

    def at(self, theta: np.ndarray) -> UnitSites:
        """The sites at a theta.

        Raises
        ------
        EngineError
            Where the posterior has no mode.
        """
        settled = self._rounds(theta, ROUNDS)
        if settled is None:
            settled = self._rounds(theta, 1)
            if settled is None:
                raise EngineError(NO_MODE)
            self.unsettled += bool(np.all(np.isfinite(settled.log_mass)))
        return settled

    def _rounds(self, theta: np.ndarray, most: int) -> UnitSites | None:
        """Rounds of propagation from the mode; None where they come to no end. One round gives Laplace's sites."""
        room, rows = self.room, self.blocks.rows
        if not math.isfinite(self.laplace.value(theta, room)):
            raise EngineError(NO_MODE)
        tau = -room.slopes[2]
        nu = room.slopes[1, :rows] + self.laplace.curved(room, tau, room.eta)
        before, last, share = None, math.inf, 1.0
        for step in range(most):
            slope = nu - self.laplace.curved(room, tau, room.eta)
            room.slopes[1] = 0.0
            room.slopes[1, :rows] = slope
            if self.laplace.newton(room, room.x, tau)[0] >= 0:
                return None
            room.x += room.step  # the mean under the sites, whose logarithm is quadratic
            self.laplace.predict(room, room.x, room.eta)
            slope = nu - self.laplace.curved(room, tau, room.eta)
            cavity = self._cavity(slope, tau, first=step == 0)
            proper = np.isfinite(cavity.log_det)
            if most > 1 and not proper.all():
                return None
            mass, mean, covariance = self._tilted(cavity)
            change = math.inf if before is None else float(np.abs(mass - before).max())
            if change < SETTLED or most == 1:
                return self._sites(slope, tau, cavity, np.where(proper, mass, np.nan))
            if not np.all(np.isfinite(mass)):
                return None
            share = share if change < last else 0.5 * share
            before, last = mass, change
            inverse = np.linalg.inv(covariance)
            more = share * cavity.back.transpose(0, 2, 1) @ (inverse - np.eye(inverse.shape[1])) @ cavity.back
            pull = share * np.einsum("urd,urk,uk->ud", cavity.back, inverse, mean)
            pull += np.einsum("udk,uk->ud", more, self._vectors(room.eta))
            nu, tau = nu + self._rows(pull), tau + self._flat(more)
        return None

    def _cavity(self, slope: np.ndarray, tau: np.ndarray, first: bool) -> UnitCavity:
        """Cavities at the factor in the work space; log-determinants are nan where the others determine nothing."""
        room = self.room
        self.laplace.factor.slopes(room.base, self.laplace.system.size)
        leverage = room.base.leverage.copy()
        leverage[self.blocks.rows :] *= 0.5
        spread = self._matrices(leverage)
        if first:  # the directions in which rows can move do not depend on the sites
            size, vectors = np.linalg.eigh(spread)
            size, vectors = size[:, ::-1], vectors[:, :, ::-1]
            there = size > STILL * np.maximum(size[:, :1], 1e-300)
            most = int(there.sum(axis=1).max())
            self._basis = (vectors * there[:, None])[:, :, :most]
            self._idle = np.eye(most) * ~there[:, None, :most]
        basis, turned = self._basis, self._basis.transpose(0, 2, 1)
        lower = np.linalg.cholesky(turned @ spread @ basis + self._idle)
        root, back = basis @ lower, np.linalg.solve(lower, turned)
        precision = np.eye(root.shape[2]) - root.transpose(0, 2, 1) @ self._matrices(tau) @ root
        proper = np.linalg.eigvalsh(precision)[:, 0] > LEAST
        precision[~proper] = np.eye(root.shape[2])
        pull = np.einsum("udr,ud->ur", root, self._vectors(slope))
        mean = -np.linalg.solve(precision, pull[:, :, None])[:, :, 0]
        return UnitCavity(precision, mean, np.where(proper, np.linalg.slogdet(precision)[1], np.nan), root, back)

    def _tilted(self, cavity: UnitCavity) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log mass (units,), mean and covariance in z of cavity times term."""
        room, rows = self.room, self.blocks.rows
        points, weights = balanced_points(cavity.root.shape[2])
        found = np.empty((len(points), self.blocks.units))
        for s, point in enumerate(points):
            at = room.eta + self._rows(cavity.root @ point)
            found[s] = self.blocks.sums(self.laplace.densities(at, room.own, room.trial_slopes)[:rows])
        square = (points[:, :, None] * points[:, None]).reshape(len(points), -1)
        centre = np.einsum("urk,uk->ur", cavity.precision, cavity.mean)
        beyond = cavity.precision - np.eye(points.shape[1])  # of the cavity's precision, the points' being one
        found += points @ centre.T - 0.5 * square @ beyond.reshape(-1, square.shape[1]).T
        found += np.log(weights)[:, None] - 0.5 * np.einsum("ur,ur->u", cavity.mean, centre)
        with np.errstate(all="ignore"):
            top = found.max(axis=0)
            share = np.exp(found - top)
            total = share.sum(axis=0)
            share /= total
        mean = share.T @ points
        covariance = (share.T @ square).reshape(-1, points.shape[1], points.shape[1]) - mean[:, :, None] * mean[:, None]
        return top + np.log(total) + 0.5 * cavity.log_det, mean, covariance

    def _sites(self, slope: np.ndarray, tau: np.ndarray, cavity: UnitCavity, mass: np.ndarray) -> UnitSites:
        inner = 0.5 * np.einsum("ur,urk,uk->u", cavity.mean, cavity.precision, cavity.mean)
        mean = self._vectors(self.room.eta) + np.einsum("udr,ur->ud", cavity.root, cavity.mean)
        half = np.linalg.cholesky(cavity.precision)  # of the inverse: P = LL', so that L^-T z has it as covariance
        root = cavity.root @ np.linalg.inv(half).transpose(0, 2, 1)
        return UnitSites(mass + inner - 0.5 * cavity.log_det, slope, tau, mass, mean, root)

    def warn(self, draws: int) -> None:
        """Say at how many draws it did not settle."""
        if self.unsettled:
            warn(
                f"expectation propagation did not settle at {self.unsettled} of {draws} draws, where {self.noun}s are "
                f"left out of Laplace's approximation instead, under which a surprising {self.noun} is judged too "
                "kindly (by up to 0.6 of its elpd): kfold() has no such error"
            )
