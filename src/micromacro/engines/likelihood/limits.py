"""Parameters of a family whose likelihood goes on rising to the end of their range: a simpler family is what is left.

The likelihood then has a limit but no maximum, its curvature is that of rounding, and a standard error would mean
nothing. Such a parameter is held where its family says that the limit is reached, and counts as one on a boundary.
"""

from __future__ import annotations

import numpy as np

from ...model.specification import Specification
from ...notes import Note, remark, trouble
from ...parameters import Parameter
from ..search import Bounds, Peak, sharpen
from .problem import Problem

LOST = 1e-4  # of the log-likelihood, that may be lost at the limit
FAR = 50.0  # times its start (or its inverse): from there on it is asked whether a parameter is at its limit
SMALL = 2e-5  # of its start: a sigma that counts as zero
NEAR, WORTH = 0.08, 0.05  # of the way to the limit of a shape: from there on it is asked, and may lose so much
NEAR_ZERO = 0.02  # of its start: a sigma at which it is asked whether it is zero

ZERO = (
    "{name} is estimated as zero (held next to it, no standard error): effects take up all that the covariates leave, "
    "as they can where each level has one observation; the other standard errors hold given that; fix {name} at what "
    "is known of the measurement, give it a prior, or leave the effects out"
)

UNBOUNDED = (
    "the likelihood rises without limit as {name} goes to zero, because coefficients and effects fit the outcome "
    "exactly, as those of an intrinsic autoregression do where each level has one observation: {name} is held next to "
    "zero, and the log-likelihood means nothing (the other estimates do, given that); fix {name} at what is known of "
    "the measurement, give it a prior, or leave the effects out"
)
MOST_EXACT = 0.5  # of the groups, in whose direction the fit is exact: beyond it the outcome itself is exact


def at_limits(specification: Specification, problem: Problem, peak: Peak) -> tuple[Peak, list[Note]]:
    """A maximum with the parameters at their limit that lose nothing there, and what to say of them."""
    notes = []
    bounds: Bounds = list(problem.coordinates.bounds())
    for k, value, text in near_limits(specification, problem, peak):
        at = problem.coordinates.place(k)
        lost = WORTH if specification.system.hypers[k].limits else LOST
        trial = peak.u.copy()
        point = problem.coordinates.theta(peak.u)
        point[k] = value
        trial[at] = problem.coordinates.from_theta(point)[at]
        beyond = text is ZERO and trial[at] > peak.u[at]
        reached = problem.objective(trial)
        if beyond and not -reached[1][at] < MOST_EXACT * specification.groups:
            continue
        if not beyond and lost == LOST and not reached[0] > peak.value - LOST:
            continue
        bounds[at] = (float(trial[at]), float(trial[at]))
        held = sharpen(problem.objective, trial, bounds)
        if (beyond or held.value > peak.value - lost) and np.all(np.isfinite(held.hessian)):
            name = specification.system.hypers[k].name
            note = trouble("unbounded", UNBOUNDED.format(name=name), name) if beyond else None
            peak, notes = held, [*notes, note or remark("limit", text.format(name=name), name)]
    return peak, notes


def near_limits(specification: Specification, problem: Problem, peak: Peak) -> list[tuple[int, float, str]]:
    """Entries of theta near a limit: where it is, and what it means."""
    hypers, theta = specification.system.hypers, problem.coordinates.theta(peak.u)
    out = []
    for k, p in enumerate(hypers):
        if p.fixed or p.prior.proper:
            continue
        for value, text in p.limits:
            if theta[k] / value > NEAR:
                out.append((k, value, text))
        if p.kind in specification.family.limits:
            value, text = specification.family.limits[p.kind]
            if far_off(p, value, theta[k]):
                out.append((k, value, text))
        elif p.kind == "sigma" and problem.marginal.exact and theta[k] < NEAR_ZERO * p.start:
            out.append((k, SMALL * p.start, ZERO))
    return out


def far_off(p: Parameter, limit: float, value: float) -> bool:
    """Whether a value of a family's parameter is so far on the way to its limit that one is asked about."""
    return value > FAR * p.start if limit > p.start else value < p.start / FAR


def near_family_limit(specification: Specification, theta: np.ndarray) -> list[str]:
    """Parameters of the family that are about at their limit: how near says nothing."""
    limits = specification.family.limits
    hypers = specification.system.hypers
    return [p.name for p, v in zip(hypers, theta, strict=True) if p.kind in limits and far_off(p, limits[p.kind][0], v)]
