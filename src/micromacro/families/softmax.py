r"""Probabilities that are shares of exponentials: what families of categories and of choices have in common.

Of the rows of a unit, :math:`l = \eta_y - \log(c + \sum_k e^{\eta_k})`, with c = 1 where there is a category without
a row (the first one, whose linear predictor is zero) and 0 otherwise. With p the probabilities of the rows and X the
outcome as zeros and a one, :math:`l' = X - p`, :math:`l'' = pp' - \operatorname{diag}(p)`, and the third derivatives
are minus the third cumulants of X, so that

.. math:: \tfrac12 \sum_{ab} h_{ab}\,l'''_{abc} = -\tfrac12 p_c\,(q_c - \bar q), \quad q_k = h_{kk} - 2 (Hp)_k,
   \quad \bar q = \sum_k p_k q_k .
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
from numba import njit

from ..latent.blocks import Blocks
from ..numerics.compiling import ALLOCATING
from ..parameters import Parameter, PriorBook
from .base import Family
from .response import Response


@dataclass(frozen=True)
class Softmax(Family):
    """A family whose outcome is one of the rows of a unit, the first row of `values` saying which.

    Attributes
    ----------
    rest : bool
        Whether each unit has a category without a row.
    laid : Blocks or None
        The rows of each unit, once the outcome is known.
    """

    link: str = "logit"
    name: str = "softmax"
    discrete = True
    expands = True
    rest: ClassVar[bool]
    laid: Blocks | None = field(default=None, init=False, compare=False)

    def scale(self, response: Response, offset: np.ndarray) -> tuple[float, float]:
        return 1.0, 0.0

    def parameters(self, book: PriorBook, scale: float, flat: bool, response: Response) -> tuple[Parameter, ...]:
        return ()

    def bound(self, blocks: Blocks) -> Self:
        """The family with the rows of its units."""
        made = replace(self)
        object.__setattr__(made, "laid", blocks)
        return made

    def blocks(self, values: np.ndarray) -> Blocks | None:
        return self.laid

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        assert self.laid is not None
        fill_slopes(self.laid, self.rest, values[0], eta, out)

    def row_shares(self, eta: np.ndarray) -> np.ndarray:
        """Probabilities (rows + units,) at predictors of the rows: theirs, then of the categories without a row."""
        assert self.laid is not None
        blocks, out = self.laid, np.empty(self.laid.rows)
        log_shares(blocks.unit, blocks.units, self.rest, eta, out)
        np.exp(out, out=out)
        return np.append(out, np.maximum(1.0 - blocks.sums(out), 0.0) if self.rest else np.zeros(blocks.units))

    def ranked(
        self, values: np.ndarray, shares: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """Probability (units,) of what is less likely than the outcome of a unit, and of what is no likelier.

        Parameters
        ----------
        values : (c, rows) array
            What the kernel reads.
        shares : (draws, rows + units) array
            As :meth:`row_shares` gives them.
        weights : (draws, units) array
            Of the draws, by unit; each column sums to one.
        """
        assert self.laid is not None
        unit, rows = np.append(self.laid.unit, np.arange(self.laid.units)), self.laid.rows
        mean, seen = np.einsum("dk,dk->k", weights[:, unit], shares), values[0] > 0.0
        own = mean[rows:].copy()
        own[self.laid.unit[seen]] = mean[:rows][seen]
        below = np.bincount(unit, np.where(mean < own[unit], mean, 0.0))
        return below, np.bincount(unit, np.where(mean <= own[unit], mean, 0.0))

    def skew(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, leverage: np.ndarray, out: np.ndarray) -> bool:
        assert self.laid is not None
        fill_skew(self.laid, self.rest, eta, leverage, out)
        return True


@njit(**ALLOCATING)
def log_shares(unit, units, rest, eta, out):  # noqa: ANN001, ANN201
    """Fill `out` (rows,) with log probabilities; `rest` says whether each unit has a category without a row."""
    top = np.full(units, 0.0 if rest else -np.inf)
    total = np.zeros(units)
    for i in range(len(eta)):
        top[unit[i]] = max(top[unit[i]], eta[i])
    if rest:
        for u in range(units):
            total[u] = math.exp(-top[u])
    for i in range(len(eta)):
        total[unit[i]] += math.exp(eta[i] - top[unit[i]])
    for i in range(len(eta)):
        out[i] = eta[i] - top[unit[i]] - math.log(total[unit[i]])


@njit(**ALLOCATING)
def log_rest(unit, units, eta, out):  # noqa: ANN001, ANN201
    """Fill `out` (units,) with log probabilities of the category without a row."""
    top = np.zeros(units)
    for i in range(len(eta)):
        top[unit[i]] = max(top[unit[i]], eta[i])
    for u in range(units):
        out[u] = math.exp(-top[u])
    for i in range(len(eta)):
        out[unit[i]] += math.exp(eta[i] - top[unit[i]])
    for u in range(units):
        out[u] = -top[u] - math.log(out[u])


def fill_slopes(blocks: Blocks, rest: bool, y: np.ndarray, eta: np.ndarray, out: np.ndarray) -> None:
    """Fill out (4, rows + pairs) as ``latent.blocks.Together`` says; y (rows,) is 1 in the outcome's row, else 0."""
    n, log_p = blocks.rows, np.empty(blocks.rows)
    log_shares(blocks.unit, blocks.units, rest, eta, log_p)
    p = np.exp(log_p)
    seen = y > 0.0
    density = np.zeros(blocks.units)
    if rest:
        log_rest(blocks.unit, blocks.units, eta, density)
    density[blocks.unit[seen]] = log_p[seen]
    out[0] = 0.0
    out[0, blocks.first] = density
    out[1, :n], out[1, n:] = y - p, 0.0
    out[2, :n] = -p * (1.0 - p)
    out[2, n:] = p[blocks.high] * p[blocks.low]
    np.negative(out[2], out=out[3])


def fill_skew(blocks: Blocks, rest: bool, eta: np.ndarray, leverage: np.ndarray, out: np.ndarray) -> None:
    """Fill out (rows,) with half the third derivatives times `leverage` (rows + pairs,), twice h at pairs."""
    n, p = blocks.rows, np.empty(blocks.rows)
    log_shares(blocks.unit, blocks.units, rest, eta, p)
    np.exp(p, out=p)
    twice = leverage[n:]
    reach = 2.0 * leverage[:n] * p  # 2 Hp
    reach += np.bincount(blocks.high, twice * p[blocks.low], n) + np.bincount(blocks.low, twice * p[blocks.high], n)
    q = leverage[:n] - reach
    mean = blocks.sums(p * q)
    np.multiply(-0.5 * p, q - mean[blocks.unit], out=out)
