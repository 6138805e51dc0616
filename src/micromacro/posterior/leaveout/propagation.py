r"""Expectation propagation given theta: a normal site in the place of each row's likelihood.

The *cavity* of a row is what is known of its linear predictor without the row's own term. The term of row i is
replaced by a site :math:`s_i\exp(\nu_i\eta_i - \tfrac12\tau_i\eta_i^2)` such that cavity times site has the mass, mean
and variance of cavity times term, all rows at once, until the masses stand still (Minka 2001). With
:math:`\eta_i \sim N(\bar\eta_i, h_i)` under all sites, cavities are

.. math:: v_i = \frac{h_i}{1 - \tau_i h_i}, \qquad m_i = \frac{\bar\eta_i - h_i\nu_i}{1 - \tau_i h_i},

and the mass :math:`\int N(\eta; m_i, v_i)\,p(y_i\mid\eta)\,d\eta` is the density of the outcome left out. It is far
closer than Laplace's approximation with the row's own term taken out again, which is where it begins (Vehtari,
Mononen, Tolvanen, Sivula and Winther 2016). Masses and moments are sums over Gauss-Hermite nodes around
:math:`\bar\eta_i`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...engines.marginals import laplace_marginal
from ...errors import EngineError, warn
from ...latent.mode import ModeRoom
from ...model.specification import Specification

NODES = 21
ROUNDS = 40
NO_MODE = "the Laplace approximation does not exist at one of the draws: use kfold()"
SETTLED = 1e-3  # change of any log mass in a round; the next would bring about a tenth of it


@dataclass(frozen=True, eq=False)
class Sites:
    """What stands for the rows' terms, and what is known of each row without its own; all (rows,) arrays.

    Attributes
    ----------
    log_value, slope, curvature
        Logarithm of the site at the row's mean under all sites, and its derivatives in the linear predictor.
    mean, variance
        Of the cavity.
    log_mass
        Log density of the row's outcome, the row left out.
    """

    log_value: np.ndarray
    slope: np.ndarray
    curvature: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    log_mass: np.ndarray


def nearly_normal(specification: Specification) -> bool:
    """Whether what an outcome reads of effects is close to normal given the others.

    Effects of spreads and of members that combine are not: normal cavities were seen to be off by 0.2 for ordinary
    groups there, and by 2.5 for a surprising one. Effects in probabilities (of a zero) are, as much as those of counts.
    """
    single = specification.system.meeting is None
    return single or bool(specification.family.several) or specification.effects_in_probabilities


def check_units(specification: Specification) -> None:
    """Refuse outcomes that read effects far from normal given the others."""
    if nearly_normal(specification):
        return
    raise EngineError(
        "leaving rows out of the integral over the effects is not available where sigma=, phi=, shape= or nu= have "
        "effects, nor where members combine= in another way than by their sum or have weights that vary over units "
        "(given the others such effects are far from normal): use loo() with the effects given, or kfold()"
    )


class Propagation:
    """Sites of all rows at one theta after the other; leaves the factor of H under the sites in the work space."""

    def __init__(self, specification: Specification):
        check_units(specification)
        self.laplace = laplace_marginal(specification)
        self.laplace.close = 1e-9
        self.system, self.noun = specification.system, specification.tables.noun
        self.room: ModeRoom = self.laplace.workspace()
        self.unsettled = 0  # thetas at which it did not settle, and Laplace's sites serve
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        self.nodes, self.log_weights = nodes, np.log(weights / weights.sum()) + 0.5 * nodes**2

    def at(self, theta: np.ndarray) -> Sites:
        """The sites at a theta.

        Raises
        ------
        EngineError
            Where the posterior has no mode.
        """
        self._mode(theta)
        settled = self._settle(theta)
        if settled is not None:
            return settled
        sites = self._laplace(theta)
        self.unsettled += bool(np.all(sites.variance > 0.0))
        return sites

    def _leverages(self) -> np.ndarray:
        """Of the rows (rows,) at the factor in the work space."""
        return np.maximum(self.system.leverages(self.room.base), 1e-300)

    def _mode(self, theta: np.ndarray) -> None:
        """The mode, its slopes and its factor into the work space."""
        if not math.isfinite(self.laplace.value(theta, self.room)):
            raise EngineError(NO_MODE)

    def _laplace(self, theta: np.ndarray) -> Sites:
        """Laplace's sites: the terms' own value, slope and curvature at the mode."""
        room = self.room
        self._mode(theta)
        h = self._leverages()
        value, slope, curvature = room.slopes[:3].copy()
        remains = 1.0 + curvature * h
        variance = h / np.where(remains > 1e-9, remains, -1.0)  # below zero where the rest determines nothing
        mean = room.eta - slope * variance
        mass = self._tilted(theta, h, mean, variance)[0] if np.all(variance > 0.0) else value
        return Sites(value, slope, curvature, mean, variance, mass)

    def _settle(self, theta: np.ndarray) -> Sites | None:
        """Rounds of propagation from the mode in the work space; None where they come to no end."""
        room = self.room
        tau = -room.slopes[2]
        nu = room.slopes[1] + tau * room.eta
        before, last, share = None, math.inf, 1.0
        for _ in range(ROUNDS):
            room.slopes[1] = nu - tau * room.eta
            if self.laplace.newton(room, room.x, tau)[0] >= 0:
                return None
            room.x += room.step  # the mean under the sites, whose logarithm is quadratic
            self.laplace.predict(room, room.x, room.eta)
            h = self._leverages()
            remains = 1.0 - tau * h
            if not np.all(remains > 1e-9):
                return None
            mean, variance = (room.eta - h * nu) / remains, h / remains
            mass, first, second = self._tilted(theta, h, mean, variance)
            if not np.all(np.isfinite(mass)):
                return None
            change = math.inf if before is None else float(np.abs(mass - before).max())
            if change < SETTLED:
                slope = nu - tau * room.eta
                value = mass - 0.5 * np.log(remains) + 0.5 * slope**2 * variance  # so that the cavity gives the mass
                return Sites(value, slope, -tau, mean, variance, mass)
            share = share if change < last else 0.5 * share
            before, last = mass, change
            tau = tau + share * (1.0 / second - 1.0 / variance - tau)
            nu = nu + share * (first / second - mean / variance - nu)
        return None

    def _tilted(
        self, theta: np.ndarray, h: np.ndarray, mean: np.ndarray, variance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log mass, mean and variance of cavity times term; the nodes lie around eta as h says."""
        room = self.room
        root = np.sqrt(h)
        terms = np.empty((NODES, len(h)))
        for k, node in enumerate(self.nodes):
            at = room.eta + root * node
            self.laplace.rows(at, room.own, room.trial_slopes)
            terms[k] = room.trial_slopes[0] - 0.5 * (at - mean) ** 2 / variance + self.log_weights[k]
        top = terms.max(axis=0)
        weight = np.exp(terms - top)
        total = weight.sum(axis=0)
        first, second = self.nodes @ weight / total, self.nodes**2 @ weight / total
        mass = top + np.log(total) + 0.5 * np.log(h / variance)
        return mass, room.eta + root * first, h * (second - first**2)

    def warn(self, draws: int) -> None:
        """Say at how many draws it did not settle."""
        if self.unsettled:
            noun = self.noun
            warn(
                f"expectation propagation did not settle at {self.unsettled} of {draws} draws, where {noun}s are "
                f"left out of Laplace's approximation instead: a surprising {noun}'s elpd may be off by 0.2; kfold() "
                "has no such error"
            )
