r"""Outcomes simulated from a fit at its maximum, with effects drawn from their population and the fit's own censoring.

How durations are censored anew is in :mod:`micromacro.families.censoring`.

Event times of a Cox model come from its fitted, piecewise-constant hazard. Beyond the last observed time nothing is
known of that hazard, so if any group is censored, follow-up ends there at the latest; where every group had its event,
the rate of the last interval goes on. Refits keep the cut points, so that ``baseline.k`` means the same in each.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..families.response import Response
from ..latent.system import System
from ..model.combined import combine_members
from ..model.specification import Specification
from .base import Maximised
from .design import Predictor, scenario_of


def simulated(posterior: Maximised, rng: np.random.Generator) -> Response:
    """An outcome simulated at the maximum: effects from their population, then the family."""
    specification, theta, best = posterior.specification, posterior.theta, posterior.x
    system, family = specification.system, specification.family
    x = best.copy()
    x[: system.n_effects] = latent_draws(specification, theta, rng)
    for k, part in enumerate(system.parts):
        if part.structure is None:  # steps of a baseline and bends of a curve are not a population
            x[system.places.effects(k)] = best[system.places.effects(k)]
    predictor = Predictor(scenario_of(specification, None), system)
    eta, own = predictor.eta(theta, x), predictor.own(specification, x)
    return family.redraw(specification.response, eta, own, rng)


def latent_draws(specification: Specification, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Latent effects (n,) drawn from their population, whatever their kind."""
    system = specification.system
    out = rng.standard_normal(system.n_effects)
    for k, structure in specification.structures.values():
        if system.parts[k].effects:
            out[system.places.effects(k)] = structure.sample(theta[system.places.effect_theta(k)], rng)
    return out


def with_response(specification: Specification, response: Response) -> Specification:
    """The same model of another outcome, without priors of its own (ml, reml)."""
    if specification.expanded is None:
        return replace(specification, response=response)
    s = specification
    expanded = s.family.settled().expand(response, s.offset, s.book, True, s.outcome_name)
    own, parts = s.system.hypers[s.layout.family], list(s.system.parts[:-1])
    rows, combined = expanded.rows, None
    if s.combined is not None:
        expanded = expanded.plain() if expanded.plain else expanded
        parts, rows, combined = combine_members(parts, expanded.family, len(own), s.groups, expanded)
    system = System(parts, s.groups, own, s.offset, rows, s.system.beside)
    return replace(s, family=expanded.family, response=response, system=system, expanded=expanded, combined=combined)
