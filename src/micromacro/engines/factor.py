"""The marginal likelihood that an engine has maximised, for readers of its outcome."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from ..latent.marginal.base import Marginal
from .base import Outcome
from .marginals import marginal_of
from .registry import engine_of


def maximised_marginal(outcome: Outcome) -> Marginal:
    """The likelihood that a fit has maximised, as a function of its points; that of theta alone for draws."""
    probes = outcome.extra.get("probes")
    specification = outcome.specification if probes is None else replace(outcome.specification, probes=int(probes))
    return marginal_of(specification, maximised=not engine_of(outcome.engine).integrates, searched=True)


def value_at_maximum(outcome: Outcome) -> float:
    """That likelihood at the estimate, computed again; -inf where it does not exist."""
    optimum, marginal = outcome.optimum, maximised_marginal(outcome)
    assert optimum is not None
    return marginal.value(marginal.point(optimum.theta, optimum.x), marginal.workspace())


class Conditional:
    """The normal distribution of x given theta at the maximum; of the effects alone where coefficients are arguments.

    Parameters
    ----------
    outcome : Outcome
    """

    def __init__(self, outcome: Outcome):
        if outcome.there is not None:
            self.marginal, self.room = outcome.there
            return
        optimum, marginal = outcome.optimum, maximised_marginal(outcome)
        assert optimum is not None
        self.marginal, self.room = marginal, marginal.workspace()
        with marginal.factor.quick(marginal.base(self.room)):
            marginal.value(marginal.point(optimum.theta, optimum.x), self.room)

    @property
    def dear(self) -> bool:
        """Whether it takes so long to make, and so little room, that it is better kept."""
        return not self.marginal.factor.steady

    def variances(self, rows: Any) -> np.ndarray:
        """Variances (k,) of sparse combinations (k, size or fewer) of x in natural order."""
        s = self.marginal.system.symbolic
        moved = sparse.csr_array(
            (rows.data, s.position[rows.indices], rows.indptr), shape=(rows.shape[0], len(s.position))
        )
        return self.marginal.factor.quadratics(self.marginal.base(self.room), moved)

    def draws(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draws (count, size) of x around its mean, in natural order."""
        marginal = self.marginal
        found = marginal.factor.draws(marginal.base(self.room), rng, count)
        out = np.empty_like(found)
        out[:, marginal.system.symbolic.order] = found
        return out

    def on_coefficients(self) -> np.ndarray:
        """How the expected value of x (size, c) given the coefficients moves with each of them, in natural order."""
        system, covariance = self.marginal.system, np.empty((self.marginal.system.size, 0))
        c = len(system.coefficients)
        if c:
            columns = np.zeros((c, system.size))
            columns[np.arange(c), system.symbolic.position[system.n_effects :]] = 1.0
            covariance = np.stack([self.marginal.solved(self.room, column) for column in columns], axis=1)
        return covariance @ np.linalg.pinv(covariance[system.n_effects :], hermitian=True)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """A draw (size,) of x around its mean, in natural order."""
        marginal = self.marginal
        return marginal.system.natural_order(marginal.factor.draw(marginal.base(self.room), rng))
