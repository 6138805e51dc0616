r"""Outcomes simulated from a fit at its maximum, with effects drawn from their population and the fit's own censoring.

Right-censored durations keep their censoring times; for a group with an event, whose censoring time was not seen, one
is drawn from the Kaplan-Meier estimate of the censoring distribution beyond its event (the conditional bootstrap,
Davison and Hinkley 1997, algorithm 3.1). Groups that entered late are simulated given that they last until their entry.

Event times of a Cox model come from its fitted, piecewise-constant hazard. Beyond the last observed time nothing is
known of that hazard, so if any group is censored, follow-up ends there at the latest; where every group had its event,
the rate of the last interval goes on. Refits keep the cut points, so that ``baseline.k`` means the same in each.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import EngineError
from ..families.base import Expanding
from ..families.cox import Cox
from ..families.response import EVENT, RIGHT, Raw, Response
from ..latent.system import System
from ..model.reading import outcome_form
from ..model.specification import Specification
from .design import Predictor, place
from .maximum import Maximum

DURATIONS = ("weibull", "exponential", "lognormal", "cox")


def simulated(posterior: Maximum, rng: np.random.Generator) -> Response:
    """An outcome simulated at the maximum: effects from their population, then the family."""
    specification, optimum = posterior.specification, posterior.optimum
    system, family = specification.system, specification.family
    x = optimum.x.copy()
    x[: system.kept] = latent_draws(specification, optimum.theta, rng)
    if system.expansion is not None:  # the steps of a baseline are no population
        steps = slice(system.effect_start[-1], system.effect_start[-1] + system.parts[-1].effects)
        x[steps] = optimum.x[steps]
    eta = Predictor(place(specification, None), system).eta(optimum.theta, x)
    own = specification.own(optimum.theta, x)
    old = specification.response
    form, _ = outcome_form(specification.formula)
    ids = np.arange(specification.groups)
    if family.name in DURATIONS:
        raw = Raw("surv", _durations(specification, eta, own, rng), "the simulated outcome", ids)
        return replace(family.read(raw), weight=old.weight)
    y = family.simulate(eta, own, rng, old.values)
    if form == "trials":
        raw = Raw("trials", (y, old.values[1]), "the simulated outcome", ids)
    elif old.categories:
        raw = Raw("plain", (y - 1.0,), "the simulated outcome", ids, categories=old.categories)
    else:
        raw = Raw("plain", (y,), "the simulated outcome", ids)
    return replace(family.read(raw), weight=old.weight)


def latent_draws(specification: Specification, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Latent effects (kept,) drawn from their population, whatever their kind."""
    system = specification.system
    out = rng.standard_normal(system.kept)
    for k, structure in specification.structures.values():
        start = system.effect_start[k]
        if system.parts[k].effects:
            out[start : start + system.parts[k].effects] = structure.sample(theta[system.structure_theta(k)], rng)
    return out


def with_response(specification: Specification, response: Response) -> Specification:
    """The same model of another outcome, without priors of its own (ml, reml)."""
    family: Any = specification.family
    if not isinstance(family, Expanding):
        return replace(specification, response=response)
    if isinstance(family, Cox) and family.intervals != "all":
        family = replace(family, intervals=family.cuts)
    s = specification
    expanded = family.expand(response, s.offset, s.book, True, s.outcome_name)
    own = s.system.hypers[s.system.family_start :]
    system = System(list(s.system.parts[:-1]), s.groups, own, s.offset, expanded.rows)
    return replace(s, family=expanded.family, response=response, system=system, expanded=expanded)


# -- durations -----------------------------------------------------------------------------------------------


def _durations(
    specification: Specification, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Entry (where there is one), time and event of each group, simulated with the censoring of the fit."""
    seen, event, entry = observed_durations(specification)
    time = specification.outcomes(eta, own, rng)
    limit = np.where(event, np.inf, seen)
    if not event.all():
        at, survival = censoring_distribution(seen, ~event, entry)
        for i in np.flatnonzero(event):
            limit[i] = _beyond(at, survival, seen[i], rng.random())
        if specification.family.name == "cox":
            limit = np.minimum(limit, seen.max())
    ended = (np.minimum(time, limit), (time <= limit).astype(float))
    return ended if not entry.any() else (entry, *ended)


def observed_durations(specification: Specification) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time, whether it ended in an event, and entry (0 without one) of each group, each (groups,)."""
    values = specification.response.values
    if specification.family.name == "cox":
        return values[1], values[0] == 1.0, values[2]
    code = values[0]
    if np.any((code != RIGHT) & (code != EVENT)):
        raise EngineError(
            "the parametric bootstrap cannot simulate interval or left censoring: it does not know how they came about"
        )
    return np.exp(values[1]), code == EVENT, np.exp(values[3])


def censoring_distribution(
    time: np.ndarray, censored: np.ndarray, entry: np.ndarray | float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Kaplan-Meier estimate of the distribution of censoring times: times and P(C > time)."""
    at = np.unique(time[censored])
    exposed = np.array([np.sum((time >= t) & (np.asarray(entry) < t)) for t in at])
    ended = np.array([np.sum(time[censored] == t) for t in at])
    return at, np.cumprod(1.0 - ended / exposed)


def _beyond(at: np.ndarray, survival: np.ndarray, time: float, uniform: float) -> float:
    """A censoring time drawn given that it is later than `time`; infinite where the estimate never ends."""
    later = np.searchsorted(at, time, side="right")
    above = survival[later - 1] if later else 1.0
    if above <= 0.0:
        return np.inf
    down = np.flatnonzero(survival[later:] <= uniform * above)
    return float(at[later + down[0]]) if len(down) else np.inf
