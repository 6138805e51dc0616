r"""Effects in the linear predictors of a family's parameters: a row of A for each group and predictor.

With :math:`\eta_{0i}` the linear predictor of the outcome and :math:`\eta_{ji}` that of the family's parameter j, the
log density of group i reads its row of each: :math:`l_i(\eta_{0i}, \theta_j(\eta_{ji}))`. A family may know the
derivatives (``stacked_slopes``); else those in :math:`\eta_0` are its own, and those in :math:`\eta_j` are differences
of sixth order, which keep ten digits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..latent.beside import Beside
from ..latent.blocks import Blocks
from ..latent.expansion import Expansion
from ..latent.nothing import Nothing
from ..numerics.differences import SIXTH_FIRST, SIXTH_SECOND, SIXTH_STEP
from .base import Family, Recession


@dataclass(frozen=True, eq=False)
class Stacked(Family):
    """The likelihood of rows that stack the linear predictors of a family: those of the outcome come first.

    Attributes
    ----------
    inner : Family
        The family of the groups.
    beside : Beside
        Which of its parameters have a linear predictor; the others are the entries of `own`.
    groups : int
    """

    inner: Family
    beside: Beside
    groups: int
    name: str = field(default="stacked", init=False)
    link: str = field(default="", init=False)

    @cached_property
    def blocks(self) -> Blocks:
        """A unit is a group, its rows are its predictors in turn."""
        return Blocks(np.tile(np.arange(self.groups), self.predictors_in_all))

    @property
    def predictors_in_all(self) -> int:
        """How many linear predictors there are."""
        return 1 + len(self.beside.rows)

    @cached_property
    def rows(self) -> Expansion:
        """What the rows repeat."""
        group = np.arange(self.groups)
        number = np.repeat(np.arange(self.predictors_in_all), self.groups)
        return Expansion(np.tile(group, self.predictors_in_all), Nothing(), number, blocks=self.blocks)

    def row_values(self, values: np.ndarray) -> np.ndarray:
        """What the kernel reads (c, rows), from what that of the family reads of the groups."""
        return np.tile(values, self.predictors_in_all)

    def possible(self, own: np.ndarray) -> bool:
        """Whether the parameters without a predictor are in their domain."""
        middle = np.array([0.0 if link == "log" else -1.0 for link in self.beside.links])
        return self.inner.possible(self.beside.own(own, middle[:, None])[:, 0])

    def _own(self, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """The family's numbers (count, groups) at the predictors (predictors, groups)."""
        return self.beside.own(own, eta[1:])

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        at = eta.reshape(self.predictors_in_all, self.groups)
        each = self.inner.log_density(values[:, : self.groups], at[0], self._own(at, own), xp, special)
        return self.blocks.on_rows(each, xp)

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        n, m = self.groups, self.predictors_in_all
        if self.inner.stacked_slopes(values, eta, own, out):
            return
        at, read = eta.reshape(m, n), np.ascontiguousarray(values[:, :n])
        here = np.empty((4, n))
        self.inner.slopes(read, at[0], self._own(at, own), here)
        out[:] = 0.0
        out[:2, :n], out[2, :n] = here[:2], here[2]
        first, second = out[1, : m * n].reshape(m, n), out[2, : m * n].reshape(m, n)
        pairs = out[2, m * n :].reshape(n, -1)  # (1, 0), (2, 0), (2, 1), ... of each group
        with np.errstate(all="ignore"):  # what is not finite is seen
            for j in range(1, m):
                first[j], mixed, second[j] = self._along((j,), read, at, own, here)
                pairs[:, j * (j - 1) // 2] = mixed
                for k in range(1, j):
                    both = self._along((j, k), read, at, own, here)[2]
                    pairs[:, j * (j - 1) // 2 + k] = 0.5 * (both - second[j] - second[k])
            self.blocks.stand_in(out)

    def densities(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        n, at = self.groups, eta.reshape(self.predictors_in_all, self.groups)
        here = np.empty((4, n))
        self.inner.slopes(np.ascontiguousarray(values[:, :n]), at[0], self._own(at, own), here)
        out[0] = 0.0
        out[0, :n] = here[0]

    def _along(
        self, which: tuple[int, ...], values: np.ndarray, eta: np.ndarray, own: np.ndarray, here: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """First derivatives, mixed ones with the outcome's predictor, second ones (groups,) as some predictors move."""
        room, moved = np.empty((4, self.groups)), eta.copy()
        first, mixed, second = np.zeros(self.groups), np.zeros(self.groups), SIXTH_SECOND[0] * here[0]
        for k, (odd, even) in enumerate(zip(SIXTH_FIRST, SIXTH_SECOND[1:], strict=True), start=1):
            for sign in (1.0, -1.0):
                moved[list(which)] = eta[list(which)] + sign * k * SIXTH_STEP
                self.inner.slopes(values, eta[0], self._own(moved, own), room)
                first += sign * odd * room[0]
                mixed += sign * odd * room[1]
                second += even * room[0]
        return first, mixed, second

    def skew(
        self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, leverage: np.ndarray, out: np.ndarray
    ) -> bool:  # fmt: skip
        return self.inner.stacked_skew(values, eta, own, leverage, out)

    def recession(self, values: np.ndarray, own: int) -> Recession:
        """The outcome's predictor alone: what is said of spreads and zeros is not looked into."""
        return self.inner.recession(np.ascontiguousarray(values[:, : self.groups]), own)
