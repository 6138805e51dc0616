r"""Categories without an order (multinomial logit): the softmax of a linear predictor for each but the first.

.. math:: P(y_i = k) = \frac{e^{\eta_{ik}}}{\sum_m e^{\eta_{im}}}, \qquad \eta_{i1} = 0

The first category is the first of the column's own levels, else of the sorted ones. Every linear predictor has all
terms of the formula with coefficients and effects of its own; weights of members are one for all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError, ModelError
from ..latent.blocks import Blocks
from ..latent.expansion import Expansion
from ..latent.nothing import Nothing
from ..notes import remark
from ..parameters import PriorBook
from .base import Expanded, Of, Quantity, Recession
from .response import Raw, Response, made, need_form, shown
from .softmax import Softmax
from .words import OF_CATEGORIES, Change


@dataclass(frozen=True)
class MultinomialLogit(Softmax):
    """Categorical family with the softmax link; linear predictors ``mu[b]``, ``mu[c]``, ... of all but the first."""

    link: str = "logit"
    name: str = "categorical"
    rest = True
    nominal = True
    quantities = ("mean", "probability")
    residuals = ()
    several = "each category has a linear predictor of its own"
    changes = OF_CATEGORIES

    def __post_init__(self):
        if self.link != "logit":
            raise ModelError(f"family {self.name} has the link logit (softmax), not {self.link!r}")

    def read(self, raw: Raw) -> Response:
        need_form(raw, self.name, "plain")
        y = raw.columns[0]
        if raw.categories is None:
            labels = np.unique(y)
            codes, categories = np.searchsorted(labels, y), tuple(f"{v:g}" for v in labels)
            if len(categories) > 10 and len(categories) > len(y) // 2:
                raise DataError(
                    f"the outcome {raw.what} has {len(categories)} different values in {len(y)} {raw.noun}s: family "
                    "categorical is for a few categories"
                )
        else:
            codes, categories = y.astype(np.int64), raw.categories
            used = np.bincount(codes, minlength=len(categories))
            empty = [c for c, n in zip(categories, used, strict=True) if n == 0]
            if empty:
                raise DataError(
                    f"the outcome {raw.what} has categories without any {raw.noun}: {', '.join(empty)}; their "
                    "coefficients cannot be estimated: drop them (.cat.remove_unused_categories()) or merge them"
                )
        if len(categories) < 2:
            raise DataError(f"the outcome {raw.what} has one category only ({', '.join(categories)})")
        if len(set(categories)) < len(categories):
            raise DataError(f"two categories of the outcome {raw.what} are written alike: {', '.join(categories)}")
        return made(codes + 1.0, np.asarray(codes, dtype=float), categories=categories)

    def copies(self, response: Response) -> tuple[str, ...]:
        return tuple(f"mu[{c}]" for c in response.categories[1:])

    def expand(self, response: Response, offset: np.ndarray, book: PriorBook, flat: bool, what: str) -> Expanded:
        n, count = len(response.observed), len(response.categories) - 1
        group = np.tile(np.arange(n), count)
        blocks = Blocks(group)
        rows = Expansion(group, Nothing(), np.repeat(np.arange(count), n), blocks=blocks)
        values = (response.values[0] == np.arange(1, count + 1)[:, None]).reshape(1, -1).astype(float)
        told = f"categories: {shown(response.categories)}; the first is the one that others are set against"
        return Expanded(self.bound(blocks), rows, values, (remark("categories", told),))

    # -- the kernel: rows, which are the groups for each category but the first --------------------------------------

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        """Of each row: that of the group, on its first row."""
        assert self.laid is not None
        count = len(eta) // self.laid.units
        y, etas = xp.reshape(values[0], (count, -1)), xp.reshape(eta, (count, -1))
        return self.laid.on_rows(xp.sum(y * etas, axis=0) - _log_total(etas, xp), xp)

    # -- groups: eta is the second category's, `own` (categories - 2, groups) those of the others ----------------------

    def group_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        etas = xp.concatenate([eta[None], own])
        codes = values[0].astype(int)
        each = xp.concatenate([xp.zeros((1, len(codes))), etas])
        return each[codes, np.arange(len(codes))] - _log_total(etas, xp)

    def probabilities(self, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Probability of each category (categories, ...) at eta (..., groups)."""
        eta = np.asarray(eta, dtype=float)
        etas = np.stack([np.zeros_like(eta), eta, *(np.broadcast_to(o, eta.shape) for o in own)])
        etas -= etas.max(axis=0)
        p = np.exp(etas)
        return p / p.sum(axis=0)

    def quantity(self, kind: str, response: Response) -> Quantity | None:
        if kind == "linear":  # of each category against the first
            of: Of = lambda eta, own: np.stack([eta, *own])  # noqa: E731
            return Quantity(kind, of, response.categories[1:])
        if kind in self.quantities:  # of each category its probability is its expected share
            return Quantity(kind, self.probabilities, response.categories, "logit")
        return super().quantity(kind, response)

    def divided(self, shares: np.ndarray, response: Response) -> tuple[float, float]:
        """Variance of probabilities (categories, groups) between groups, and what is left around them; summed."""
        between = float(np.var(shares, axis=1, ddof=1).sum())
        return between, float((shares * (1.0 - shares)).mean(axis=1).sum())

    def link_variance(self, own: np.ndarray, mean: float) -> float | None:
        """Of each category against the first, as of a logit."""
        return math.pi**2 / 3.0

    def recession(self, values: np.ndarray, own: int) -> Recession:
        assert self.laid is not None
        n = self.laid.units
        rows = np.arange(len(values[0])).reshape(-1, n)  # by category
        code = values[0].reshape(-1, n).argmax(axis=0)
        winner = np.where(values[0].reshape(-1, n).any(axis=0), rows[code, np.arange(n)], -1)
        every = np.concatenate([np.full((1, n), -1), rows])
        pairs = np.stack([np.broadcast_to(winner, every.shape), every]).reshape(2, -1)
        differ = pairs[0] != pairs[1]
        return Recession.of_winners(pairs[0, differ], pairs[1, differ], own)

    def simulate(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray | None
    ) -> np.ndarray:
        """Numbers of the categories from 1."""
        below = np.cumsum(self.probabilities(eta, own), axis=0)
        return 1.0 + (rng.random(np.shape(eta)) > below[:-1]).sum(axis=0)

    def redraw(self, response: Response, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator) -> Response:
        made = self.simulate(eta, own, rng, response.values)
        return self.again(response, "plain", made - 1.0, categories=response.categories)

    def change_of(self, predictor: str | None, response: Response) -> Change:
        first, *others = response.categories
        named = dict(zip(self.copies(response), others, strict=True))
        return (
            self.change if predictor is None else Change(f"the odds of {named[predictor]} against {first}", True, "are")
        )

    def sentences(self, outcome: str, own: Sequence[str], expanded: Expanded | None) -> list[str]:
        return [f"{outcome}[i] ~ categorical(softmax of 0 for the first category and mu[k][i] for category k)"]


def _log_total(etas: Any, xp: Any) -> Any:
    """log(1 + sum of exp(etas)) over the first axis."""
    top = xp.maximum(xp.max(etas, axis=0), 0.0)
    return top + xp.log(xp.exp(-top) + xp.sum(xp.exp(etas - top), axis=0))
