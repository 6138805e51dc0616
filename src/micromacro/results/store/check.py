"""The proof that a loaded fit is the fit that was saved: densities computed again at stored values."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...engines.base import Outcome
from ...engines.factor import value_at_maximum
from ...engines.joint import log_joint

POINTS = 4
"""Draws at which the density is computed again."""

TOLERANCE = 1e-8
"""Difference that sums in another order may make, in parts of the value (or of 1)."""


def check_to_plain(outcome: Outcome, with_effects: bool) -> dict[str, Any]:
    """Values of the density that a later :func:`mismatch` computes again.

    Parameters
    ----------
    with_effects : bool
        Whether the effects at these draws are stored too, because the draws are kept without theirs.
    """
    if outcome.draws is None:
        return {"values": _at_optimum(outcome)}
    chains, length = outcome.draws.log_posterior.shape
    at = np.unique(np.linspace(0, chains * length - 1, POINTS).round().astype(int))
    chain, draw = at // length, at % length
    effects = outcome.draws.all_effects[chain, draw]
    values = _at_draws(outcome, chain, draw, effects)
    return {"chain": chain, "draw": draw, "effects": effects if with_effects else None, "values": values}


def mismatch(outcome: Outcome, plain: dict[str, Any]) -> str | None:
    """What differs, in words, if a density is not what it was when the fit was saved."""
    if outcome.draws is None:
        values = _at_optimum(outcome)
        places = ["the log joint density at the maximum", "the log-likelihood at the maximum"]
    else:
        chain, draw, effects = plain["chain"], plain["draw"], plain["effects"]
        if effects is None:
            effects = outcome.draws.all_effects[chain, draw]
        values = _at_draws(outcome, chain, draw, effects)
        places = [f"the log posterior at draw {d} of chain {c}" for c, d in zip(chain, draw, strict=True)]
    for place, now, then in zip(places, values, plain["values"], strict=True):
        if not (now == then or abs(now - then) <= TOLERANCE * max(1.0, abs(then))):
            return f"{place} is {now:.10g}, and was {then:.10g} when the fit was saved"
    return None


def _at_draws(outcome: Outcome, chain: np.ndarray, draw: np.ndarray, effects: np.ndarray) -> np.ndarray:
    """Log joint density of outcomes, effects and parameters at some draws."""
    s, draws = outcome.specification, outcome.draws
    assert draws is not None
    coefficients = draws.coefficients[chain, draw]
    room = s.system.workspace(gradient=False)
    return np.array(
        [
            log_joint(s, draws.theta[c, d], np.concatenate([u, b]), room)
            for c, d, u, b in zip(chain, draw, effects, coefficients, strict=True)
        ]
    )


def _at_optimum(outcome: Outcome) -> np.ndarray:
    """Log joint density at the maximum, and the log-likelihood there, effects integrated out."""
    s, optimum = outcome.specification, outcome.optimum
    assert optimum is not None
    joint = log_joint(s, optimum.theta, optimum.x)
    return np.array([joint, value_at_maximum(outcome)])
