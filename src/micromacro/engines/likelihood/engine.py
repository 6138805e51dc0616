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

from ...errors import EngineError
from ...latent.marginal.laplace import LaplaceMarginal
from ...model.specification import Specification
from ..base import Outcome, Settings
from ..marginals import has_exact_marginal
from ..search import find_peaks
from .describe import describe
from .determined import undetermined
from .integral import formula_error, several_modes
from .limits import at_limits
from .maxima import blind_to_idle, distinct, remarks, searching, several, starting_points, without_breaking
from .problem import problem_of
from .reliance import reliance
from .separation import separation
from .signed import begin_at_signed_maxima
from .stochastic import maximise_by_iteration


def fit_ml(specification: Specification, settings: Settings) -> Outcome:
    """Maximum likelihood (penalised where priors were given)."""
    run = maximise_by_iteration if specification.factor == "none" else maximise
    return run(specification, settings, "ml", restricted=False)


def fit_reml(specification: Specification, settings: Settings) -> Outcome:
    """Restricted maximum likelihood: coefficients integrated under a flat prior."""
    if specification.combined is not None:
        raise EngineError(
            "reml is for Gaussian outcomes whose effects enter by their weighted sum; members combine in another way "
            "here (combine=, or weights that vary over units): use ml, or mcmc, which accounts for the uncertainty "
            "about the coefficients anyway"
        )
    if not has_exact_marginal(specification):
        what = f"family {specification.family.name}"
        if specification.stacked is not None:
            what = "effects in the linear predictors of other parameters"
        raise EngineError(
            f"reml is for Gaussian outcomes whose likelihood is exact: for {what} use ml, or mcmc, which accounts for "
            "the uncertainty about the coefficients anyway"
        )
    run = maximise_by_iteration if specification.factor == "none" else maximise
    return run(specification, settings, "reml", restricted=True)


def maximise(specification: Specification, settings: Settings, engine: str, restricted: bool) -> Outcome:
    """The maximum of the (restricted) likelihood, with all that is reported of it."""
    began = time.perf_counter()
    problem = problem_of(specification, restricted, settings.start)
    coordinates = problem.coordinates
    with searching(problem, settings.progress):
        starts = starting_points(problem)
        begun, before = begin_at_signed_maxima(specification, restricted, coordinates, starts)
        peaks = find_peaks(problem.objective, begun, coordinates.bounds(), problem.dear)
        if not peaks and begun is not starts:  # they ran off to where nothing can be evaluated
            peaks = find_peaks(problem.objective, starts, coordinates.bounds(), problem.dear)
    if not peaks:
        raise EngineError(
            "the likelihood could not be evaluated at any starting value; look at Model.explain() for the starting "
            "weights, standardise the covariates, or give priors that keep the parameters small"
        )
    peaks, told = without_breaking(problem, peaks)
    peaks = distinct(specification, coordinates, peaks)
    best, limits = at_limits(specification, problem, peaks[0])
    peaks = [blind_to_idle(specification, coordinates, best), *peaks[1:]]
    optimum = describe(problem, peaks)
    notes = told + several(specification, coordinates, peaks) + remarks(specification, optimum, restricted, limits)
    notes += undetermined(problem, optimum)
    extra = {}
    if isinstance(problem.marginal, LaplaceMarginal):
        notes += separation(specification, optimum)
        point = problem.marginal.point(optimum.theta, optimum.x)
        notes += several_modes(problem.marginal, problem.room, point)
        if specification.nodes == 1:
            error, told = formula_error(problem.marginal, problem.room, point)
            notes += reliance(specification, problem, best, error) or told
            extra = {"laplace_error": error.value, "laplace_error_se": error.se}
    optimum = replace(optimum, evaluations=before + problem.evaluations)
    seconds = time.perf_counter() - began
    return Outcome(engine, specification, settings, seconds, optimum=optimum, notes=notes, extra=extra)
