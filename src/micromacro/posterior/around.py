"""A posterior known by draws of its parameters, and of the effects by their normal distribution around the mode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..engines.base import Draws, Optimum, Outcome, Sample
from ..numerics.memory import check_memory
from ..table.memberships import Tables
from .estimand import Estimand
from .intervals import Numbers
from .maximum import Maximum
from .normal import effects_given
from .sampled import AT_ONCE, Sampled

MOST_WEIGHTS = 1000  # draws that weights are made of


@dataclass(frozen=True)
class Unmade(Draws):
    """Draws whose effects are made when they are asked for.

    Attributes
    ----------
    make : callable
        Gives them (chain, draw, effects).
    """

    make: Callable[[], np.ndarray] = field(kw_only=True)

    @cached_property
    def _made(self) -> np.ndarray:
        return self.make()

    @property
    def all_effects(self) -> np.ndarray:
        """The effects (chain, draw, effects)."""
        return self._made

    def some(self, at: np.ndarray) -> Sample:
        return Sample(self.theta[:, at], self.all_effects[:, at], self.coefficients[:, at])


class AroundMode(Sampled):
    """Draws of theta and the coefficients; effects are normal around a mean that is linear in theta.

    Numbers of effects and of single predictions come from that distribution, which takes few solutions; draws of all
    effects, one solution each, are made for what needs them.

    Parameters
    ----------
    outcome : Outcome
        What the engine returned.
    made : Draws
        The draws in it.
    optimum : Optimum
        What is known around the posterior mean of theta.
    """

    def __init__(self, outcome: Outcome, made: Draws, optimum: Optimum):
        own = {name: getattr(made, name) for name in made.__dataclass_fields__}
        super().__init__(outcome, Unmade(**own, make=self._effects))
        self.normal = Maximum(outcome, optimum)

    def _effects(self) -> np.ndarray:
        chains, length = self.made.shape
        effects = self.specification.system.n_effects
        what = f"{chains * length:,} draws of {effects:,} effects"
        check_memory(2.0 * chains * length * effects, what, "ask for fewer draws (draws=) of the fit")
        seed = np.random.SeedSequence(self.outcome.settings.random_seed or 0).spawn(1)[0]
        return effects_given(self.outcome, self.normal.optimum, self.made, np.random.default_rng(seed))

    def effects(self, part: int, ci: float) -> Numbers:
        """Effects of a part: means, sds and intervals of their normal distribution, theta's uncertainty included."""
        return self.normal.effects(part, ci)

    def weights(self, name: str, ci: float, tables: Tables | None = None) -> Numbers:
        """Weights of a block at at most 1,000 draws; where they are very many by the delta method."""
        if tables is None and MOST_WEIGHTS * len(self.block(name)[1].memberships.group) > AT_ONCE:
            return self.normal.weights(name, ci)
        return super().weights(name, ci, tables)

    def estimand(self, estimand: Estimand, ci: float, rng: np.random.Generator, most: int) -> Numbers:
        """An estimand (categories * rows,): by the delta method if it depends on effects, else at the draws."""
        if estimand.reads_effects:
            return self.normal.estimand(estimand, ci, rng, most)
        return super().estimand(estimand, ci, rng, most)

    def checkpoints(self) -> dict[str, np.ndarray]:
        """There is one point, which is stored."""
        return self.normal.checkpoints()

    def densities_at(self, points: dict[str, np.ndarray]) -> dict[str, float]:
        """Log joint density at the posterior mean of theta, and the marginal likelihood there."""
        return self.normal.densities_at(points)
