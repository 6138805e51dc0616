"""Weight parameters that the likelihood does not determine: flat where they are, or run off."""

from __future__ import annotations

import math

import numpy as np

from ...notes import Note, trouble
from ...numerics.magnitude import power_of_ten
from ...priors import Normal
from ..base import Optimum
from .problem import Problem
from .profile import Profile

NOTHING = 0.05  # log-likelihood
FAR = 4.0  # sds of the default prior
OVERFLOW = 300.0  # size of a parameter from which on exponentials of it may be no numbers


def undetermined(problem: Problem, optimum: Optimum) -> list[Note]:
    """Notes on weight parameters that are flat or have run off.

    One is *flat* if its profile changes by less than 0.05 within one sd of its default prior on either side; it has
    *run off* if it lies more than four of them from zero and the profile at half and at twice its value is within 0.05
    of the maximum. Where covariates are far from standardised, the sd is that for standardised ones. The profile is
    only worked out where the curvature does not rule it out.
    """
    out = []
    for k, unit in suspects(problem, optimum):
        p, at = problem.marginal.system.hypers[k], float(optimum.theta[k])
        far = abs(at) > FAR * unit
        profile = Profile(problem, problem.marginal.point(optimum.theta, optimum.x), k)
        lost = bool(optimum.lost[k]) and abs(at) > OVERFLOW  # exponentials of it are no numbers, nor is the profile
        if far and (lost or all(_scaled(problem, optimum, profile, k, factor) for factor in (0.5, 2.0))):
            text = (
                f"the likelihood does not determine {p.name}: it diverged to {at:.3g}, and beyond half of that the "
                "weights no longer change noticeably; give it a prior, or fix it at a number"
            )
            out.append(trouble("run-off", text, p.name))
        elif _hold(profile, optimum, (at - unit, at + unit)):
            text = (
                f"the likelihood does not determine {p.name}: it is flat over two sds of the default prior around "
                f"{at:.3g}; give it a prior, or leave it out"
            )
            out.append(trouble("flat", text, p.name))
    return out


def suspects(problem: Problem, optimum: Optimum) -> list[tuple[int, float]]:
    """Weight parameters that may be flat or have run off as far as curvature says, and their default prior's sd."""
    out = []
    for k, p in enumerate(problem.marginal.system.hypers):
        if p.kind != "w" or p.fixed or p.prior.proper or not isinstance(p.guess, Normal):
            continue
        unit = p.guess.sd * _standardised(problem, k)
        variance = math.nan if optimum.lost[k] else float(optimum.covariance[k, k])
        if abs(optimum.theta[k]) > FAR * unit or not 0.0 < variance < unit**2:  # else it falls by half a unit and more
            out.append((k, unit))
    return out


def _standardised(problem: Problem, k: int) -> float:
    """What a unit of weight parameter k would be if its covariate had an ordinary spread: a power of ten, or 1."""
    return power_of_ten(math.log10(float(problem.coordinates.spread[problem.coordinates.place(k)])), ordinary=1.0)


def _scaled(problem: Problem, optimum: Optimum, profile: Profile, k: int, factor: float) -> bool:
    """Whether the likelihood is as high with entry k of theta multiplied: with its part's weights along, or refitted.

    Weights may run off together, as those of a logistic curve that becomes a step, which stays where it is.
    """
    marginal = problem.marginal
    places, hypers = marginal.system.places, marginal.system.hypers
    point = marginal.point(optimum.theta, optimum.x)
    for part in places.terms:
        own = places.theta(part)
        if own.start <= k < own.stop:
            along = [j for j in range(own.start, own.stop) if hypers[j].kind in ("w", "aggregate")]
            point[[j for j in along if not hypers[j].fixed]] *= factor
    together = problem.objective(problem.coordinates.from_theta(point))[0]
    return together > optimum.objective - NOTHING or _hold(profile, optimum, (factor * float(optimum.theta[k]),))


def _hold(profile: Profile, optimum: Optimum, values: tuple[float, ...]) -> bool:
    """Whether the profile is as high at all of some values as at the maximum."""
    heights = np.array([profile.height(value) for value in values])
    return bool(np.all(heights > optimum.objective - NOTHING))
