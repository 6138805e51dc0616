"""The target of a chain whose log hazards are integrated out, being independent of each other given all the rest.

Hazards with gamma priors have gamma distributions given effects and coefficients, so these are sampled without them
(:mod:`micromacro.latent.pooled`), and a draw of x gets its hazards when it is kept. A model with hundreds of intervals
then mixes like one without them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...latent.marginal.laplace import LaplaceMarginal
from ...latent.mode import ModeRoom
from ...latent.pooled import PooledMarginal, groups_alone
from ...latent.roots import Root
from ...model.specification import Specification
from ..marginals import laplace_marginal, without_edges
from .whitened import WhitenedTarget

MANY = 40  # intervals from which hazards are integrated out


def pooled_marginal(specification: Specification, least: int = MANY) -> PooledMarginal | None:
    """The posterior of x with the log hazards integrated out; None where there are few, or where that cannot be done.

    Parameters
    ----------
    least : int
        Number of intervals from which it is worth while.
    """
    joint = laplace_marginal(specification)
    system, likelihood = joint.system, joint.likelihood
    exposure = likelihood.exposure(joint.values)
    if exposure is None or system.cross is None or system.combines or joint.weight is not None:
        return None
    intervals, own = len(exposure.length), len(system.parts[-1].coefficients)
    if not least <= intervals == own < system.size or system.parts[-1].hypers:
        return None
    groups: Any = likelihood
    alone = groups.without_own(joint.values)
    return None if alone is None else PooledMarginal(groups_alone(system), alone, joint)


class PooledTarget(WhitenedTarget):
    """Theta and whitened z of what is left without the hazards.

    Parameters
    ----------
    specification : Specification
    pooled : PooledMarginal
        Its posterior.
    """

    posterior: PooledMarginal
    level = True  # it comes from the posterior with the hazards, which takes long
    easy = 0.5

    def __init__(self, specification: Specification, pooled: PooledMarginal):
        self._pooled = pooled
        super().__init__(specification)

    def _posteriors(self, specification: Specification) -> tuple[LaplaceMarginal, LaplaceMarginal]:
        made = self._pooled
        if not specification.system.edges:
            return made, made
        joint = laplace_marginal(without_edges(specification))
        return made, PooledMarginal(made.system.lifted(), made.likelihood, joint)

    def _roots(self) -> Callable[[ModeRoom], Root]:
        return self.posterior.root

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        likelihood: Any = self.posterior.likelihood
        return np.concatenate([super().draw(rng), likelihood.draw(self.here.room.eta, rng)])
