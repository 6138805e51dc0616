r"""Maximum likelihood where the outcome is not Gaussian: Laplace's approximation, as lme4 with nAGQ = 1.

Effects are integrated by Laplace's formula; theta and the coefficients are its arguments together. With V the
inverse of minus the Hessian in both, the variance of an effect is
:math:`H^{-1} + (d\hat u/dp)\,V\,(d\hat u/dp)'`.
"""

from __future__ import annotations

import time

import numpy as np

from ...errors import EngineError
from ...families.response import RIGHT
from ...latent.marginal.laplace import LaplaceMarginal
from ...latent.mode import ModeRoom
from ...model.specification import Specification
from ...notes import Note, caution
from ...numerics.cholesky import selected_inverse, solve_lower, solve_upper
from ..base import Optimum, Outcome, Settings
from ..coordinates import Steps
from ..search import Peak, find_peaks
from .maxima import distinct, penalised_objective, remarks, starting_points

CERTAIN = 3e-7  # minus the log-likelihood of a group whose outcome is certain: its likelihood has run off
NO_RISK = 1e-7  # cumulative hazard of a censored group that says that its likelihood has run off


def laplace_marginal(specification: Specification, held: bool) -> LaplaceMarginal:
    """Laplace's approximation for a model; `held` coefficients are arguments beside theta.

    Where they are held their priors are added by whoever maximises, those that are pseudo-observations too.
    """
    s = specification
    return LaplaceMarginal(s.system, s.family, s.row_values, s.row_weight(prior=not held), held)


def fit_approximate_ml(specification: Specification, settings: Settings) -> Outcome:
    """Maximum of the Laplace likelihood in theta and the coefficients (penalised where priors were given)."""
    began = time.perf_counter()
    marginal = laplace_marginal(specification, held=True)
    room = marginal.workspace()
    coordinates, first = beginning(specification)
    every = (*marginal.system.hypers, *marginal.system.coefficients)
    objective = penalised_objective(marginal, every, coordinates, room)
    peaks = find_peaks(objective, starting_points(coordinates, first), coordinates.bounds())
    if not peaks:
        raise EngineError(
            "the likelihood could not be evaluated at any starting value; look at Model.explain() for the starting "
            "weights, standardise the covariates, or give priors that keep the parameters small"
        )
    peaks = distinct(specification, coordinates, peaks)
    optimum = describe(specification, marginal, coordinates, peaks, room)
    notes = remarks(specification, optimum, "ml") + separation(specification, room)
    return Outcome("ml", specification, settings, time.perf_counter() - began, optimum=optimum, notes=notes)


def beginning(specification: Specification) -> tuple[Steps, np.ndarray]:
    """Where a search begins: theta at its starts, coefficients at their joint mode with the effects.

    The steps of the coefficients are the Cholesky factor of their covariance there.
    """
    system = specification.system
    theta = np.array([p.start for p in system.hypers])
    center, root = np.array([p.start for p in system.coefficients]), np.eye(len(system.coefficients))
    joint = laplace_marginal(specification, held=False)
    room = joint.workspace(gradient=False)
    if len(center) and np.isfinite(joint.value(theta, room)):
        center = system.natural_order(room.x)[system.kept :]
        block = border_covariance(joint, room)
        if np.all(np.isfinite(block)) and np.linalg.eigvalsh(block).min(initial=1.0) > 0.0:
            root = np.linalg.cholesky(block)
    return Steps(system.hypers, center, root), np.concatenate([theta, center])


def border_covariance(marginal: LaplaceMarginal, room: ModeRoom) -> np.ndarray:
    """The coefficients' block of H^-1 at the factor in the work space."""
    system, s = marginal.system, marginal.system.symbolic
    c = len(system.coefficients)
    out = np.empty((c, c))
    for k in range(c):
        column = np.zeros(system.size)
        column[s.position[system.kept + k]] = 1.0
        solve_lower(s.layout, room.base.panel, column)
        solve_upper(s.layout, room.base.panel, column)
        out[:, k] = system.natural_order(column)[system.kept :]
    return 0.5 * (out + out.T)


def describe(
    specification: Specification, marginal: LaplaceMarginal, coordinates: Steps, peaks: list[Peak], room: ModeRoom
) -> Optimum:
    """Everything that is reported of the highest peak."""
    system, best = specification.system, peaks[0]
    point = coordinates.theta(best.u)
    v_u, flat_u = best.spread()
    jacobian = coordinates.jacobian(best.u)
    covariance = jacobian @ v_u @ jacobian.T
    slope_u = _mode_slopes(marginal, coordinates, best, room)
    value = marginal.value(point, room)
    q, kept = len(system.hypers), system.kept
    x = system.natural_order(room.x)
    x[kept:] = point[q:]
    s, base = system.symbolic, room.base
    selected_inverse(s.layout, base.panel, system.size, base.inverse, base.y, base.small)
    conditional = system.natural_order(base.inverse[s.layout.diagonal])
    conditional[kept:] = 0.0
    slope = slope_u @ np.linalg.pinv(jacobian)
    slope[kept:] = 0.0
    slope[kept:, q:] = np.eye(system.size - kept)
    added = np.einsum("ik,kl,il->i", slope, covariance, slope)
    places = np.concatenate([coordinates.free, np.arange(q, len(point))])
    boundary = np.zeros(len(point), dtype=bool)
    boundary[places] = ~best.free
    return Optimum(
        theta=point[:q],
        x=x,
        loglik=value,
        objective=best.value,
        covariance=covariance,
        x_variance=conditional + added,
        x_slope=slope,
        boundary=boundary[:q],
        peaks=tuple(p.value for p in peaks),
        penalised=any(p.prior.proper and not p.fixed for p in (*system.hypers, *system.coefficients)),
        gradient_norm=float(np.abs(best.gradient[best.free]).max(initial=0.0)),
        flat=jacobian @ flat_u,
    )


def _mode_slopes(marginal: LaplaceMarginal, coordinates: Steps, peak: Peak, room: ModeRoom) -> np.ndarray:
    """d (mode of x) / d u (size, q + c) by central differences."""
    system = marginal.system
    out = np.zeros((system.size, len(peak.u)))
    for k in np.flatnonzero(peak.free):
        h = 1e-4 * max(1.0, abs(peak.u[k]))
        if coordinates.folded[k]:
            h = min(h, 0.5 * peak.u[k])
        sides = []
        for sign in (1.0, -1.0):
            u = peak.u.copy()
            u[k] += sign * h
            marginal.value(coordinates.theta(u), room)
            sides.append(system.natural_order(room.x))
        out[:, k] = (sides[0] - sides[1]) / (2.0 * h)
    return out


def separation(specification: Specification, room: ModeRoom) -> list[Note]:
    """A note where a likelihood of outcomes that are numbers or categories, or one of durations, runs off."""
    name = specification.family.name
    if name in ("cox", "weibull", "exponential", "lognormal"):
        return _no_events(specification, room)
    if name in ("bernoulli", "binomial"):
        certain = np.abs(room.eta) >= 15.0
    elif name in ("poisson", "negative_binomial", "ordinal"):
        certain = (room.slopes[0] > -CERTAIN) & (specification.response.weight > 0)
    else:
        return []
    groups = int(np.count_nonzero(certain))
    if not groups:
        return []
    what = "fitted probabilities are 0 or 1" if name in ("bernoulli", "binomial") else "the outcome is certain"
    text = (
        f"separated: {what} to many digits in {groups} groups, so some coefficients or sds "
        "have no finite maximum and their numbers mean nothing; give priors (normal(0, 2.5) for b), or use mcmc"
    )
    return [caution("separated", text)]


def _no_events(specification: Specification, room: ModeRoom) -> list[Note]:
    """A note where groups without event have no risk of one: a category in which all are censored, say."""
    response = specification.response
    spent = -specification.system.gather(room.slopes[0])
    never = (spent > 0.0) & (spent < NO_RISK * response.weight)
    groups = int(np.count_nonzero(never & (response.values[0] == RIGHT) & (response.weight > 0)))
    if not groups:
        return []
    text = (
        f"no events: {groups} groups that are all censored have no risk of an event to many digits, so some "
        "coefficients (of a category in which all are censored, say) have no finite maximum and their numbers mean "
        "nothing; give priors (normal(0, 2.5) for b), or use mcmc"
    )
    return [caution("no-events", text)]
