"""The marginal likelihood that an engine has maximised, for readers of its outcome."""

from __future__ import annotations

import numpy as np

from ..latent.marginal.base import Marginal
from ..numerics.symbolic import Symbolic
from .base import Outcome
from .marginals import marginal_of
from .registry import engine_of


def maximised_marginal(outcome: Outcome) -> Marginal:
    """The (restricted) likelihood of a fit by maximum likelihood, as a function of its points."""
    return marginal_of(outcome.specification, maximised=not engine_of(outcome.engine).restricted, searched=True)


def value_at_maximum(outcome: Outcome) -> float:
    """That likelihood at the estimate, computed again; -inf where it does not exist."""
    optimum, marginal = outcome.optimum, maximised_marginal(outcome)
    assert optimum is not None
    return marginal.value(marginal.point(optimum.theta, optimum.x), marginal.workspace())


def conditional_factor(outcome: Outcome) -> tuple[Symbolic, np.ndarray]:
    """Pattern and panels of L at the maximum; of the effects alone where the coefficients are arguments."""
    optimum, marginal = outcome.optimum, maximised_marginal(outcome)
    assert optimum is not None
    room = marginal.workspace()
    marginal.value(marginal.point(optimum.theta, optimum.x), room)
    return marginal.system.symbolic, marginal.panel(room)
