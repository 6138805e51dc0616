r"""Maximum likelihood and restricted maximum likelihood.

theta maximises the profile (ml) or restricted (reml) likelihood, with analytic gradients, in ratios of sds to
sigma. The coefficients follow. With V the inverse of minus the Hessian in theta,

.. math:: \mathrm{Var}(x) = H^{-1} + \frac{d\hat x}{d\theta} V \frac{d\hat x}{d\theta}',

so standard errors of coefficients and effects carry the uncertainty of the weights and sds; the coefficients'
block of it is the inverse of the joint Hessian.
"""

from __future__ import annotations

import time

import numpy as np

from ...errors import EngineError
from ...latent.marginal.gaussian import GaussianMarginal
from ...latent.system import System, Workspace
from ...model.specification import Specification
from ...numerics.cholesky import selected_inverse, solve_lower, solve_upper
from ..base import Optimum, Outcome, Settings
from ..coordinates import Ratios
from ..mcmc.targets import gaussian_marginal
from ..search import Peak, find_peaks
from .laplace import fit_approximate_ml
from .maxima import distinct, penalised_objective, remarks, starting_points


def fit_ml(specification: Specification, settings: Settings) -> Outcome:
    """Maximum likelihood (penalised where priors were given)."""
    if not specification.family.conjugate:
        return fit_approximate_ml(specification, settings)
    return _fit(specification, settings, "ml")


def fit_reml(specification: Specification, settings: Settings) -> Outcome:
    """Restricted maximum likelihood: coefficients integrated under a flat prior."""
    if not specification.family.conjugate:
        raise EngineError(
            f"reml is for Gaussian outcomes: for family {specification.family.name} use ml, or mcmc, which takes "
            "account of the coefficients' uncertainty by itself"
        )
    return _fit(specification, settings, "reml")


def _fit(specification: Specification, settings: Settings, engine: str) -> Outcome:
    began = time.perf_counter()
    system = specification.system
    marginal = gaussian_marginal(specification, engine == "ml")
    coordinates = Ratios(system.hypers)
    room = system.workspace()
    objective = penalised_objective(marginal, marginal.system.hypers, coordinates, room)
    first = np.array([p.start for p in system.hypers])
    peaks = find_peaks(objective, starting_points(coordinates, first), coordinates.bounds())
    if not peaks:
        raise EngineError(
            "the likelihood could not be evaluated at any starting value; look at Model.explain() for the starting "
            "weights, standardise the weight covariates, or give priors that keep the parameters small"
        )
    peaks = distinct(specification, coordinates, peaks)
    optimum = describe(specification, marginal, coordinates, peaks, room)
    notes = remarks(specification, optimum, engine)
    return Outcome(engine, specification, settings, time.perf_counter() - began, optimum=optimum, notes=notes)


def describe(
    specification: Specification, marginal: GaussianMarginal, coordinates: Ratios, peaks: list[Peak],
    room: Workspace,
) -> Optimum:  # fmt: skip
    """Everything that is reported of the highest peak."""
    system, best = specification.system, peaks[0]
    theta = coordinates.theta(best.u)
    v_u, flat_u = best.spread()
    jacobian = coordinates.jacobian(best.u)
    v = jacobian @ v_u @ jacobian.T
    x_slope_u = _solution_slopes(marginal, coordinates, best, room)
    value = marginal.value(theta, room)
    x = system.natural_order(room.mean)
    conditional, block = conditional_variance(system, room)
    b = slice(system.kept, system.size)
    # In u, where entries at the boundary are left out of v_u (zero rows).
    added = np.einsum("ik,kl,il->i", x_slope_u, v_u, x_slope_u)
    q, c = len(theta), len(system.coefficients)
    covariance = np.empty((q + c, q + c))
    covariance[:q, :q] = v
    covariance[q:, :q] = x_slope_u[b] @ v_u @ jacobian.T
    covariance[:q, q:] = covariance[q:, :q].T
    covariance[q:, q:] = block + x_slope_u[b] @ v_u @ x_slope_u[b].T
    boundary = np.zeros(q, dtype=bool)
    boundary[coordinates.free] = ~best.free
    log_prior = sum(
        p.prior.log_density(x[system.kept + k]) for k, p in enumerate(system.coefficients) if p.prior.proper
    )
    slope = np.linalg.pinv(jacobian)
    return Optimum(
        theta=theta,
        x=x,
        loglik=value - (log_prior if marginal.profile else 0.0),
        objective=best.value,
        covariance=covariance,
        x_variance=conditional + added,
        x_slope=x_slope_u @ slope,
        boundary=boundary,
        peaks=tuple(p.value for p in peaks),
        penalised=any(p.prior.proper and not p.fixed for p in (*system.hypers, *system.coefficients)),
        gradient_norm=float(np.abs(best.gradient[best.free]).max(initial=0.0)),
        flat=np.vstack([jacobian, x_slope_u[b]]) @ flat_u,
    )


def _solution_slopes(marginal: GaussianMarginal, coordinates: Ratios, peak: Peak, room: Workspace) -> np.ndarray:
    """dx / du (size, q) by central differences of the solved system."""
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
            sides.append(system.natural_order(room.mean))
        out[:, k] = (sides[0] - sides[1]) / (2.0 * h)
    return out


def conditional_variance(system: System, room: Workspace) -> tuple[np.ndarray, np.ndarray]:
    """Diagonal of H^-1 in natural order, and the coefficients' block of it, at the factor in the work space."""
    s = system.symbolic
    selected_inverse(s.layout, room.panel, system.size, room.inverse, room.y, room.small)
    diagonal = system.natural_order(room.inverse[s.layout.diagonal])
    c = len(system.coefficients)
    block = np.empty((c, c))
    for k in range(c):
        column = np.zeros(system.size)
        column[s.position[system.kept + k]] = 1.0
        solve_lower(s.layout, room.panel, column)
        solve_upper(s.layout, room.panel, column)
        block[:, k] = system.natural_order(column)[system.kept :]
    return diagonal, 0.5 * (block + block.T)
