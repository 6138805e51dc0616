"""What is reported of a maximum: estimates, effects, and their joint covariance."""

from __future__ import annotations

import numpy as np

from ...numerics.differences import slopes
from ..base import Optimum
from ..search import Peak
from .problem import Problem


def describe(problem: Problem, peaks: list[Peak]) -> Optimum:
    """Everything that is reported of the highest peak."""
    marginal, coordinates, room, best = problem.marginal, problem.coordinates, problem.room, peaks[0]
    system = marginal.system
    q, c, effects = len(system.hypers), len(system.coefficients), system.n_effects
    point = coordinates.theta(best.u)
    jacobian = coordinates.jacobian(best.u)
    # In u, where entries at the boundary are left out of v_u (zero rows).
    v_u, flat_u = best.spread()
    value = marginal.value(point, room)
    slope_u = solution_slopes(problem, best)
    if len(point) > q:
        slope_u[effects:] = jacobian[q:]
    of_theta, of_b = jacobian[:q], slope_u[effects:]
    conditional, block = marginal.conditional_variance(room), marginal.coefficient_covariance(room)
    covariance = np.empty((q + c, q + c))
    covariance[:q, :q] = of_theta @ v_u @ of_theta.T
    covariance[q:, :q] = of_b @ v_u @ of_theta.T
    covariance[:q, q:] = covariance[q:, :q].T
    covariance[q:, q:] = block + of_b @ v_u @ of_b.T
    slope = slope_u @ np.linalg.pinv(jacobian)
    if len(point) > q:
        slope[effects:] = np.eye(c, q + c, q)
    boundary = np.zeros(q, dtype=bool)
    boundary[coordinates.free] = ~best.free[: len(coordinates.free)]
    return Optimum(
        theta=point[:q],
        x=marginal.x(room),
        loglik=value - marginal.coefficient_prior(room),
        objective=best.value,
        covariance=covariance,
        x_variance=conditional + np.einsum("ik,kl,il->i", slope_u, v_u, slope_u),
        x_slope=slope,
        boundary=boundary,
        peaks=tuple(p.value for p in peaks),
        penalised=any(p.prior.proper and not p.fixed for p in (*system.hypers, *system.coefficients)),
        gradient_norm=best.slope,
        flat=np.vstack([of_theta, of_b]) @ flat_u,
    )


def solution_slopes(problem: Problem, peak: Peak) -> np.ndarray:
    r"""d (mean or mode of x) / d u (size, len(u)), at what was last factorised, the peak.

    By the implicit function theorem: x is where the gradient g of the log joint density in x is zero, so that
    :math:`dx/du = H^{-1}\, \partial g/\partial u`, x being held; central differences of g factorise nothing.
    """
    marginal, coordinates, room = problem.marginal, problem.coordinates, problem.room
    steps = 1e-4 * np.maximum(1.0, np.abs(peak.u))
    steps = np.where(coordinates.folded, np.minimum(steps, 0.5 * peak.u), steps)
    free = np.flatnonzero(peak.free)
    pulled = slopes(lambda u: marginal.pull(coordinates.theta(u), room), peak.u, steps, free)
    marginal.set_theta(coordinates.theta(peak.u), room)
    out = np.zeros_like(pulled)
    for k in free:
        out[:, k] = marginal.solved(room, pulled[:, k])
    return out
