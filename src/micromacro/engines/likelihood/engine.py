r"""Maximum likelihood and restricted maximum likelihood, for every family.

What is maximised is a marginal likelihood of theta, exact or by Laplace's formula (as lme4 with nAGQ = 1), with
analytic gradients. Under ml the coefficients are profiled out where it is exact and stand beside theta where it is not;
under reml they are integrated. With V the inverse of minus the Hessian in all that is maximised (p),

.. math:: \mathrm{Var}(x) = H^{-1} + \frac{d\hat x}{dp} V \frac{d\hat x}{dp}',

so standard errors of coefficients and effects carry the uncertainty of the weights and sds; the coefficients'
block of it is the inverse of the joint Hessian.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from ...errors import EngineError
from ...latent.marginal.laplace import LaplaceMarginal
from ...model.specification import Specification
from ...numerics.differences import slopes
from ..base import Optimum, Outcome, Settings
from ..marginals import has_exact_marginal
from ..search import Peak, find_peaks
from .determined import undetermined
from .integral import formula_error, several_modes
from .limits import at_limits
from .maxima import blind_to_idle, distinct, remarks, several, starting_points
from .problem import Problem, problem_of
from .separation import separation
from .signed import begin_at_signed_maxima


def fit_ml(specification: Specification, settings: Settings) -> Outcome:
    """Maximum likelihood (penalised where priors were given)."""
    return maximise(specification, settings, "ml", restricted=False)


def fit_reml(specification: Specification, settings: Settings) -> Outcome:
    """Restricted maximum likelihood: coefficients integrated under a flat prior."""
    if not has_exact_marginal(specification):
        raise EngineError(
            f"reml is for Gaussian outcomes: for family {specification.family.name} use ml, or mcmc, which "
            "accounts for the uncertainty about the coefficients anyway"
        )
    return maximise(specification, settings, "reml", restricted=True)


def maximise(specification: Specification, settings: Settings, engine: str, restricted: bool) -> Outcome:
    """The maximum of the (restricted) likelihood, with all that is reported of it."""
    began = time.perf_counter()
    problem = problem_of(specification, restricted, settings.start)
    coordinates = problem.coordinates
    starts = starting_points(problem)
    starts, before = begin_at_signed_maxima(specification, restricted, coordinates, starts)
    peaks = find_peaks(problem.objective, starts, coordinates.bounds(), problem.dear)
    if not peaks:
        raise EngineError(
            "the likelihood could not be evaluated at any starting value; look at Model.explain() for the starting "
            "weights, standardise the covariates, or give priors that keep the parameters small"
        )
    peaks = distinct(specification, coordinates, peaks)
    best, limits = at_limits(specification, problem, peaks[0])
    peaks = [blind_to_idle(specification, coordinates, best), *peaks[1:]]
    optimum = describe(problem, peaks)
    notes = several(specification, coordinates, peaks) + remarks(specification, optimum, restricted, limits)
    notes += undetermined(problem, optimum)
    extra = {}
    if isinstance(problem.marginal, LaplaceMarginal):
        notes += separation(specification, optimum)
        point = problem.marginal.point(optimum.theta, optimum.x)
        notes += several_modes(problem.marginal, problem.room, point)
        if specification.nodes == 1:
            error, told = formula_error(problem.marginal, problem.room, point)
            notes += told
            extra = {"laplace_error": error.value, "laplace_error_se": error.se}
    optimum = replace(optimum, evaluations=before + problem.evaluations)
    seconds = time.perf_counter() - began
    return Outcome(engine, specification, settings, seconds, optimum=optimum, notes=notes, extra=extra)


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
        gradient_norm=float(np.abs(best.gradient[best.free]).max(initial=0.0)),
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
