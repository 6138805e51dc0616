"""What ml and reml maximise, in which coordinates, and where the search begins."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...latent.marginal.base import Marginal
from ...model.specification import Specification
from ...parameters import Parameter
from ...priors import Normal
from ..coordinates import Coordinates, Ratios, Steps
from ..edges import Edge, Edged
from ..marginals import factor_of, laplace_marginal, marginal_of, without_edges
from ..search import Counted, Objective
from ..starting import starting_point


@dataclass(frozen=True, eq=False)
class Problem:
    """A likelihood to maximise.

    Attributes
    ----------
    marginal : Marginal
    room : work space of the marginal, which the objective writes to
    coordinates : Ratios or Steps
    start, usual : arrays
        The point where the search begins, and where it would begin without the user's ``start=``.
    smooth : Counted
        Log marginal likelihood plus log prior densities as a function of the coordinates, going on beyond the edge;
        evaluations are counted there.
    of_prior : callable
        Derivative (len(u),) of the log prior density in the coordinates u.
    edge : Edge or None
        Where weights would become negative.
    """

    marginal: Marginal
    room: Any
    coordinates: Coordinates
    start: np.ndarray
    usual: np.ndarray
    smooth: Counted
    of_prior: Callable[[np.ndarray], np.ndarray]
    edge: Edge | None = None

    @cached_property
    def objective(self) -> Objective:
        """What is maximised: `smooth` up to the edge."""
        return self.within(self.smooth)

    @property
    def evaluations(self) -> int:
        """How often the likelihood was evaluated."""
        return self.smooth.count

    def forget(self) -> None:
        """Evaluate again what was evaluated: the likelihood has changed."""
        self.smooth.forget()

    @property
    def dear(self) -> bool:
        """Whether a search should spare evaluations."""
        return self.marginal.dear

    def inside(self, u: np.ndarray) -> np.ndarray:
        """The point itself, or one near it that is not beyond the edge, if there is one."""
        return self.objective.begin(u, self.coordinates.bounds()) if isinstance(self.objective, Edged) else u

    def within(self, smooth: Objective) -> Objective:
        """A function of the coordinates, which leaves those of the weights as they are, up to the edge."""
        return smooth if self.edge is None else Edged(smooth, self.edge)


def problem_of(specification: Specification, restricted: bool, start: Mapping[str, Any] | None = None) -> Problem:
    """The (restricted) likelihood of a specification, searched from its usual start or from the user's."""
    given = np.concatenate(starting_point(specification, start or {}))
    edged, specification = specification.system, without_edges(specification)
    marginal = marginal_of(specification, maximised=not restricted, searched=True)
    room = marginal.workspace()
    coordinates, usual = _coordinates(specification, marginal)
    given = given[: len(usual)]  # coefficients are arguments of some likelihoods only
    point = np.where(np.isnan(given), usual, given)
    smooth = penalised_objective(marginal, marginal.arguments, coordinates, room)
    of_prior, edge = prior_slopes(marginal.arguments, coordinates), Edge.of(edged, coordinates)
    return Problem(marginal, room, coordinates, point, usual, smooth, of_prior, edge)


def _coordinates(specification: Specification, marginal: Marginal) -> tuple[Ratios | Steps, np.ndarray]:
    """Where the search moves, and where it begins."""
    if not marginal.exact:
        return steps(specification)
    if specification.system.beside is None:
        return ratios(specification)
    hypers = specification.system.hypers  # there is no one sigma that sds could be relative to
    return Steps(hypers, np.empty(0), np.eye(0), units(specification, 1.0)), np.array([p.start for p in hypers])


def penalised_objective(
    marginal: Marginal, parameters: tuple[Parameter, ...], coordinates: Ratios | Steps, room: Any
) -> Counted:
    """Log marginal likelihood plus log prior densities (natural scale) as a function of the coordinates.

    Parameters
    ----------
    parameters : tuple of Parameter
        What the marginal is a function of: theta, and the coefficients where they are held.
    """
    priors = [(k, p.prior) for k, p in enumerate(parameters) if p.prior.proper]

    def objective(u: np.ndarray) -> tuple[float, np.ndarray]:
        point = coordinates.theta(u)
        value, gradient = marginal.gradient(point, room)
        for k, prior in priors:
            density = prior.log_density(point[k])
            if not math.isfinite(density):  # its slope may not exist there
                return -math.inf, np.full(len(u), math.nan)
            value += density
            gradient[k] += prior.slope(point[k])
        if not np.all(np.isfinite(gradient)):
            return value, np.full(len(u), math.nan)
        return value, gradient @ coordinates.jacobian(u)

    return Counted(objective)


def prior_slopes(parameters: tuple[Parameter, ...], coordinates: Ratios | Steps) -> Callable[[np.ndarray], np.ndarray]:
    """Derivative of the sum of log prior densities (natural scale) in the coordinates."""

    def of_prior(u: np.ndarray) -> np.ndarray:
        point = coordinates.theta(u)
        slopes = [p.prior.slope(x) if p.prior.proper else 0.0 for p, x in zip(parameters, point, strict=True)]
        return np.array(slopes) @ coordinates.jacobian(u)

    return of_prior


def units(specification: Specification, scale: float) -> np.ndarray:
    """Units (q,) of the coordinates of sds and weight parameters, so that the units of covariates do not matter.

    An sd is measured in what its covariate's spread and the outcome's (`scale`) let one expect, a weight parameter in
    steps that change the weights at the start by a factor of e, in the root mean square over the memberships.
    """
    hypers = specification.system.hypers
    out = np.array([p.start / (0.5 * scale) if p.kind == "sd" and p.start > 0.0 else 1.0 for p in hypers])
    for k, p in enumerate(hypers):
        if p.aside and isinstance(p.guess, Normal) and p.kind == "b":
            out[k] = p.guess.sd / 2.5
    place = {p.name: k for k, p in enumerate(hypers)}
    for block in specification.members.values():
        names = [p.name for p in block.weight_parameters]
        size = block.weighing.sensitivity(np.array([p.start for p in block.weight_parameters]))
        for name, moved in zip(names, size, strict=True):
            out[place[name]] = 1.0 / moved if 1e-100 < moved < 1e100 else 1.0
    return out


def ratios(specification: Specification) -> tuple[Ratios, np.ndarray]:
    """Sds relative to sigma; theta at its starts."""
    hypers = specification.system.hypers
    return Ratios(hypers, units(specification, hypers[-1].start)), np.array([p.start for p in hypers])


def steps(specification: Specification) -> tuple[Steps, np.ndarray]:
    """Theta at its starts, coefficients at their joint mode with the effects.

    The steps of the coefficients are the Cholesky factor of their covariance there.
    """
    system = specification.system
    theta = np.array([p.start for p in system.hypers])
    center, free = np.array([p.start for p in system.coefficients]), [not p.fixed for p in system.coefficients]
    root = np.eye(len(center))[:, free]
    factor = factor_of(specification, held=False) if specification.factor == "none" else None
    joint = laplace_marginal(specification, factor=factor)
    room = joint.workspace(gradient=False)
    with joint.factor.quick(joint.base(room)):
        there = len(center) and np.isfinite(joint.value(theta, room))
    if there:
        center = np.where(free, joint.x(room)[system.n_effects :], center)
        block = joint.coefficient_covariance(room)[free][:, free]
        if np.all(np.isfinite(block)) and np.linalg.eigvalsh(block).min(initial=1.0) > 0.0:
            root[free] = np.linalg.cholesky(block)
    return Steps(system.hypers, center, root, units(specification, 1.0)), np.concatenate([theta, center])
