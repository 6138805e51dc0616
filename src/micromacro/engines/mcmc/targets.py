"""What a chain samples: the posterior of theta, with x integrated out exactly or carried along whitened.

A Gaussian outcome leaves theta alone: x is integrated out, and drawn from its conditional when it is wanted. For
any other outcome see :mod:`micromacro.engines.mcmc.whitened`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from ...latent.marginal.base import Marginal
from ...model.specification import Specification
from ..marginals import marginal_of
from .pooled import PooledTarget, pooled_marginal
from .whitened import WhitenedTarget


class Target(Protocol):
    """The log density that theta moves in, and what goes along with theta.

    Attributes
    ----------
    carries : bool
        Whether x goes along with theta, so that theta can be moved with x held.
    easy : float
        Share of independent proposals of theta that are accepted, above which one move of theta is enough for a draw,
        and none with x held.
    """

    carries: bool
    easy: float

    def log(self, u: np.ndarray, theta: np.ndarray) -> float:
        """Log density at scores u and their theta, up to a constant, without the prior of theta."""
        ...

    def anchor(self, u: np.ndarray) -> None:
        """Fit the map of x to the neighbourhood of some scores (tuning only)."""
        ...

    def adopt(self) -> None:
        """Make the scores last evaluated those of the chain's state."""
        ...

    def refresh(self, value: float, rng: np.random.Generator, tuning: bool) -> float:
        """Move what goes along with theta at the scores of the state; returns the new log density there."""
        ...

    def hold(self) -> Callable[[np.ndarray], float]:
        """Log density of theta with x held at its value in the state, without the prior of theta."""
        ...

    def release(self, u: np.ndarray, theta: np.ndarray) -> float:
        """Make other scores those of the state, x as it was held; -inf, and nothing done, where impossible."""
        ...

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """x (natural order) at the scores of the state."""
        ...

    def keep(self) -> dict[str, np.ndarray]:
        """What :meth:`resume` needs to go on from here."""
        ...

    def resume(self, saved: dict[str, np.ndarray]) -> None:
        """Take up what :meth:`keep` gave; the scores of the state are evaluated and adopted next."""
        ...


def target_of(specification: Specification) -> Target:
    """The target of a chain."""
    marginal = marginal_of(specification)
    if marginal.exact:
        return MarginalTarget(marginal)
    pooled = pooled_marginal(specification)
    return WhitenedTarget(specification) if pooled is None else PooledTarget(specification, pooled)


class MarginalTarget:
    """Theta alone: its posterior, x integrated out exactly."""

    carries = False
    easy = 1.0

    def __init__(self, marginal: Marginal):
        self.system, self.marginal = marginal.system, marginal
        self.room, self.spare = (marginal.workspace(gradient=False) for _ in range(2))

    def log(self, u: np.ndarray, theta: np.ndarray) -> float:
        return self.marginal.value(theta, self.spare)

    def adopt(self) -> None:
        self.room, self.spare = self.spare, self.room

    def anchor(self, u: np.ndarray) -> None:
        pass

    def refresh(self, value: float, rng: np.random.Generator, tuning: bool) -> float:
        return value

    def hold(self) -> Callable[[np.ndarray], float]:
        raise NotImplementedError("x is integrated out")

    def release(self, u: np.ndarray, theta: np.ndarray) -> float:
        raise NotImplementedError("x is integrated out")

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return self.marginal.draw(self.room, rng.standard_normal(self.system.size))

    def keep(self) -> dict[str, np.ndarray]:
        return {}

    def resume(self, saved: dict[str, np.ndarray]) -> None:
        pass
