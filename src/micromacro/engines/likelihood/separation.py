"""Likelihoods that have run off: outcomes that are certain, groups without any risk of an event."""

from __future__ import annotations

import numpy as np

from ...families.response import RIGHT
from ...latent.mode import ModeRoom
from ...model.specification import Specification
from ...notes import Note, caution

CERTAIN = 3e-7  # minus the log-likelihood of a group whose outcome is certain: its likelihood has run off
NO_RISK = 1e-7  # cumulative hazard of a censored group that says that its likelihood has run off


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
