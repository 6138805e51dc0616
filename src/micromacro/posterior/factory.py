"""The posterior of what an engine returned."""

from __future__ import annotations

from ..engines.base import Outcome
from .around import AroundMode
from .base import Posterior
from .maximum import Maximum
from .sampled import Sampled


def posterior_of(outcome: Outcome) -> Posterior:
    """Sampled where the engine gave draws, around a mode where it gave both, else a maximum."""
    if outcome.draws is not None and outcome.optimum is not None:
        return AroundMode(outcome, outcome.draws, outcome.optimum)
    if outcome.draws is not None:
        return Sampled(outcome, outcome.draws)
    assert outcome.optimum is not None  # an engine gives one of the two
    return Maximum(outcome, outcome.optimum)
