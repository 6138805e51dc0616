"""The factor of H at an optimum, which predictions need once the engine is done."""

from __future__ import annotations

import numpy as np

from .base import Outcome
from .targets import marginal_of


def conditional_factor(outcome: Outcome) -> np.ndarray:
    """Panels of L at the maximum; where the coefficients are arguments of the likelihood, of the effects alone."""
    specification, optimum = outcome.specification, outcome.optimum
    assert optimum is not None
    marginal = marginal_of(specification, held=outcome.engine == "ml")
    room = marginal.workspace()
    point = optimum.theta
    if not specification.family.conjugate:
        point = np.concatenate([point, optimum.x[specification.system.kept :]])
    marginal.value(point, room)
    return room.panel if specification.family.conjugate else room.base.panel
