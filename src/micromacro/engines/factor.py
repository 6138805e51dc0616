"""The factor of H at an optimum, which predictions need once the engine is done."""

from __future__ import annotations

import numpy as np

from .base import Outcome
from .likelihood.laplace import laplace_marginal
from .mcmc.targets import gaussian_marginal


def conditional_factor(outcome: Outcome) -> np.ndarray:
    """Panels of L at the maximum; where the coefficients are arguments of the likelihood, of the effects alone."""
    specification, optimum = outcome.specification, outcome.optimum
    assert optimum is not None
    if specification.family.conjugate:
        exact = gaussian_marginal(specification, profile=outcome.engine == "ml")
        workspace = exact.workspace()
        exact.value(optimum.theta, workspace)
        return workspace.panel
    approximate = laplace_marginal(specification, held=True)
    room = approximate.workspace()
    approximate.value(np.concatenate([optimum.theta, optimum.x[specification.system.kept :]]), room)
    return room.base.panel
