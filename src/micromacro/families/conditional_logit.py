r"""Choices among alternatives (conditional logit): of each set one alternative is chosen.

.. math:: P(i \text{ of set } s) = p_i = \frac{e^{\eta_i}}{\sum_{k \in s} e^{\eta_k}}

Alternatives are groups, so that their members act on the choice: which coalition forms, which team is picked
(McFadden 1974). Whatever is the same for all alternatives of a set cancels, an intercept among it. The curvature of a
set is :math:`\operatorname{diag}(p) - pp'`, which :math:`\operatorname{diag}(p)` exceeds by a square.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from scipy import sparse, special

from ..errors import DataError, ModelError
from ..latent.blocks import Blocks
from ..latent.expansion import Expansion
from ..latent.nothing import Nothing
from ..notes import Note, remark
from ..numerics.compiling import KERNEL
from ..numerics.ragged import within
from ..parameters import PriorBook
from .base import Expanded, Quantity, Recession
from .response import Raw, Response, Sets, made, need_form, need_numbers
from .softmax import Softmax, log_shares
from .words import OF_CHOICES

CHOSEN, SET = 0, 1  # rows of what the kernel reads


def log_probabilities(code: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Log probability of each alternative (..., groups) within its set, eta (..., groups)."""
    sets = int(code.max(initial=-1)) + 1
    flat = np.ascontiguousarray(eta, dtype=float).reshape(-1, len(code))
    out = np.empty_like(flat)
    for row, into in zip(flat, out, strict=True):
        log_shares(code, sets, False, row, into)
    return out.reshape(np.shape(eta))


@dataclass(frozen=True)
class ConditionalLogit(Softmax):
    """Conditional logit for ``choice(chosen, set)``: one row per alternative, one chosen per set."""

    link: str = "logit"
    name: str = "conditional_logit"
    rest = False
    centred = True
    quantities = ("mean", "probability")
    residuals = ("response", "pearson")
    several = "an outcome depends on all alternatives of its set"
    changes = OF_CHOICES
    no_intercept = "what is the same for all alternatives of a set cancels, the intercept too"
    cancels = (
        "the same for all alternatives of every set and cancels there, so choices say nothing of it: leave it out, or "
        "multiply it with what differs between the alternatives"
    )

    def __post_init__(self):
        if self.link != "logit":
            raise ModelError(f"family {self.name} has the link logit, not {self.link!r}")

    def read(self, raw: Raw) -> Response:
        need_form(raw, self.name, "choice")
        need_numbers(raw, self.name)
        assert raw.sets is not None
        chosen, sets = raw.columns[0], raw.sets
        raw.refuse((chosen != 0.0) & (chosen != 1.0), "is neither 0 nor 1 (chosen or not)")
        count = sets.sums(chosen)
        sets.refuse(count == 0.0, f"no alternative is chosen (the outcome is {raw.what})")
        sets.refuse(count > 1.0, f"several alternatives are chosen (the outcome is {raw.what}, one is chosen per set)")
        if np.all(sets.sizes == 1):
            raise DataError(
                f"every set of {sets.name!r} has one alternative only, so nothing is chosen: the data of {raw.what} "
                "have a row for each alternative, those that were not chosen too"
            )
        return made(chosen, chosen, sets.codes.astype(float), sets=sets)

    def expand(self, response: Response, offset: np.ndarray, book: PriorBook, flat: bool, what: str) -> Expanded:
        assert response.sets is not None
        blocks = Blocks(response.sets.codes)
        rows = Expansion(np.arange(blocks.rows), Nothing(), blocks=blocks)
        return Expanded(self.bound(blocks), rows, response.values, (_described(response.sets),))

    # -- density: rows are the alternatives, units the sets ------------------------------------------------------------

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        """Of each row: that of the set, on its first row."""
        place, there = _padded(np.asarray(values[SET]).astype(np.int64))
        inside = xp.where(there, eta[place], -math.inf)
        top = xp.max(inside, axis=1)
        total = top + xp.log(xp.sum(xp.where(there, xp.exp(inside - top[:, None]), 0.0), axis=1))
        chosen = xp.sum(xp.where(there, (values[CHOSEN] * eta)[place], 0.0), axis=1)
        return Blocks(np.asarray(values[SET]).astype(np.int64)).on_rows(chosen - total, xp)

    def recession(self, values: np.ndarray, own: int) -> Recession:
        assert self.laid is not None
        high, low = self.laid.high, self.laid.low
        winner, loser = np.concatenate([high, low]), np.concatenate([low, high])
        seen = values[CHOSEN][winner] > 0.0
        return Recession.of_winners(winner[seen], loser[seen], own)

    # -- moments and quantities --------------------------------------------------------------------------------------

    def mean(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        assert values is not None  # a choice is one of a set
        return np.exp(log_probabilities(_codes(values), eta))

    def variance(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        p = self.mean(eta, own, values)
        return p * (1.0 - p)

    def quantity(self, kind: str, response: Response) -> Quantity | None:
        if kind not in self.quantities:
            return super().quantity(kind, response)
        sets = response.sets
        assert sets is not None

        def of(eta: np.ndarray, _own: np.ndarray) -> np.ndarray:
            return np.exp(log_probabilities(sets.codes, eta))[None]

        def slope(eta: np.ndarray, _own: np.ndarray) -> sparse.csr_array:
            return _jacobian(sets, np.exp(log_probabilities(sets.codes, eta)))

        def alone(eta: np.ndarray, _own: np.ndarray, rest: np.ndarray) -> np.ndarray:
            return special.expit(eta - _log_others(sets, rest))[None]

        def alone_slope(eta: np.ndarray, own: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, sparse.csr_array]:
            p = alone(eta, own, rest)[0]
            return p * (1.0 - p), _other_shares(sets, rest, -p * (1.0 - p))

        return Quantity(kind, of, scale="logit", slope=slope, alone=alone, alone_slope=alone_slope)

    def divided(self, shares: np.ndarray, response: Response) -> tuple[float, float]:
        """Squares of probabilities (1, groups) around one over the size of the set, and what is left; summed."""
        assert response.sets is not None
        p, size = shares[0], response.sets.sizes[response.sets.codes]
        return float(np.sum((p - 1.0 / size) ** 2)), float(np.sum(p * (1.0 - p)))

    def link_variance(self, own: np.ndarray, mean: float) -> float | None:
        """Of the Gumbel error with which an alternative's eta is its utility."""
        return math.pi**2 / 6.0

    @property
    def mean_scale(self) -> str:
        return "logit"

    # -- simulation --------------------------------------------------------------------------------------------------

    def with_sets(self, sets: Sets) -> np.ndarray:
        return np.stack([np.zeros(len(sets.codes)), sets.codes.astype(float), np.ones(len(sets.codes))])

    def simulate(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray | None
    ) -> np.ndarray:
        """The alternative of each set whose eta plus a Gumbel error is largest is chosen."""
        assert values is not None
        code = _codes(values)
        utility = eta + rng.gumbel(size=eta.shape)
        top = np.full(int(code.max()) + 1, -math.inf)
        np.maximum.at(top, code, utility)
        return (utility == top[code]).astype(float)

    def redraw(self, response: Response, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator) -> Response:
        made = self.simulate(eta, own, rng, response.values)
        return self.again(response, "choice", made, sets=response.sets)

    # -- words -------------------------------------------------------------------------------------------------------

    def sentences(self, outcome: str, own: Sequence[str], expanded: Expanded | None) -> list[str]:
        return [f"{outcome}[i]: i is chosen of its set with probability exp(eta[i]) / sum over the set of exp(eta)"]


def _described(sets: Sets) -> Note:
    """The sets in words."""
    sizes = sets.sizes
    alone = int(np.count_nonzero(sizes == 1))
    least, most = sizes.min(), sizes.max()
    each = f"{most}" if least == most else f"{least} to {most}"
    text = f"choices: {len(sets)} sets of {each} alternatives, one chosen in each"
    return remark("choices", text + (f"; {alone} sets of one alternative say nothing" if alone else ""))


def _codes(values: np.ndarray) -> np.ndarray:
    return values[SET].astype(np.int64)


def _padded(code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Groups of each set in a row (sets, most), and whether one is there."""
    order = np.argsort(code, kind="stable")
    count = np.bincount(code)
    at = within(count)
    shape = (len(count), int(count.max()))
    place, there = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool)
    place[code[order], at], there[code[order], at] = order, True
    return place, there


@njit(**KERNEL)
def _others(code, order, start, eta, out):  # noqa: ANN001, ANN202
    """Fill `out` with the log of the sum of exp(eta) over the others of the set; -inf where there are none."""
    for i in range(len(eta)):
        first, last = start[code[i]], start[code[i] + 1]
        top = -np.inf
        for a in range(first, last):
            if order[a] != i:
                top = max(top, eta[order[a]])
        total = 0.0
        if top > -np.inf:
            for a in range(first, last):
                if order[a] != i:
                    total += math.exp(eta[order[a]] - top)
            out[i] = top + math.log(total)
        else:
            out[i] = -np.inf


def _log_others(sets: Sets, eta: np.ndarray) -> np.ndarray:
    flat = np.ascontiguousarray(eta, dtype=float).reshape(-1, len(sets.codes))
    out = np.empty_like(flat)
    for row, into in zip(flat, out, strict=True):
        _others(sets.codes, sets.order, sets.start, row, into)
    return out.reshape(np.shape(eta))


def _other_shares(sets: Sets, eta: np.ndarray, factor: np.ndarray) -> sparse.csr_array:
    """factor_i times the share of k among the other alternatives of i's set, sparse (groups, groups)."""
    i, k = sets.pairs
    share = np.exp(eta[k] - _log_others(sets, eta)[i])
    return sparse.csr_array((factor[i] * share, (i, k)), shape=(len(eta), len(eta)))


def _jacobian(sets: Sets, p: np.ndarray) -> sparse.csr_array:
    """diag(p) - pp' of each set, sparse (groups, groups)."""
    n = len(p)
    member = sparse.csr_array((np.ones(n), (sets.codes, np.arange(n))), shape=(len(sets), n))
    each = member @ sparse.diags_array(p)
    return sparse.csr_array(sparse.diags_array(p) - each.T @ each)
