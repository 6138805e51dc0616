"""Outcomes that covariates and effects fit without residual: the density rises without limit as that vanishes."""

from __future__ import annotations

import math

import numpy as np

from ..model.specification import Specification
from ..notes import Note, trouble
from .base import Optimum, Outcome
from .edges import STALLED

PERFECT = 1e-6  # of the outcome's sd: a residual that is zero but for rounding
TINY = 0.02  # the same: one that is going there, if a search or chains ended there


def perfect_fit(outcome: Outcome, optimum: Optimum) -> list[Note]:
    """An outcome that the model fits without residual: the likelihood rises without limit as that vanishes."""
    specification, family = outcome.specification, outcome.specification.family
    told = {name for note in outcome.notes if note.code in ("limit", "unbounded") for name in note.about}
    hypers = specification.system.hypers
    ended = {p.name for p, at in zip(hypers, optimum.boundary, strict=True) if at} - told
    endless = not optimum.gradient_norm <= STALLED or not math.isfinite(optimum.loglik)
    for name, sd_of in family.residual_sd.items():
        if name not in specification.own_names or any(p.name == name and p.fixed for p in hypers):
            continue
        values = specification.own(optimum.theta, np.empty(0))[specification.own_names.index(name)]
        if _vanishes(specification, sd_of(values), endless or name in ended):
            return [_without_residual(specification, name, float(np.ravel(values)[0]), "likelihood", "standard errors")]
    return []


def perfect_draws(specification: Specification, draws: np.ndarray, stuck: np.ndarray) -> list[Note]:
    """The same of draws (chain, draw, parameters), of which some are `stuck` (parameters,): always the same."""
    family, names = specification.family, specification.names
    for name, sd_of in family.residual_sd.items():
        if name not in names or specification.parameters[names.index(name)].fixed:
            continue
        value = float(np.median(draws[..., names.index(name)]))
        if _vanishes(specification, sd_of(np.array(value)), bool(stuck[names.index(name)])):
            return [_without_residual(specification, name, value, "posterior density", "posterior sds")]
    return []


def _vanishes(specification: Specification, sds: np.ndarray, ended: bool) -> bool:
    """Whether some residual sds are zero: but for rounding, or nearly so where a search or chains `ended` there."""
    size = specification.family.scale(specification.response, specification.offset)[0]
    return bool(np.min(sds) < (TINY if ended else PERFECT) * size)


def _without_residual(specification: Specification, name: str, value: float, what: str, errors: str) -> Note:
    text = (
        f"the residual is zero up to rounding ({name} = {value:.2g}): the outcome is a function of the covariates and "
        f"effects, the {what} rises without limit, and {errors} are meaningless; check if the outcome was made from "
        f"them, or whether each {specification.tables.noun} has an effect of its own"
    )
    return trouble("perfect-fit", text, name)
