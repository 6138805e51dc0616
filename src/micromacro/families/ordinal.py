r"""Ordered categories (cumulative): :math:`P(y_i \le k) = F(c_k - \eta_i)` with rising cuts :math:`c_k`.

There is no intercept: the cuts take its place. A larger eta means a higher category. Where both ends of a
category lie in the upper half of F its complement is used, so that no digits cancel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from scipy import special as scipy_special

from ..errors import DataError
from ..numerics.compiling import KERNEL
from ..numerics.special import log_difference
from ..parameters import Parameter, PriorBook
from ..priors import Student
from . import binary
from .base import Family, Recession
from .response import AS_ORDERED, Raw, Response, made, need_form, shown
from .words import OF_ORDERED, Change, Meaning


@njit(**KERNEL)
def _slopes(link, values, eta, each, out):  # noqa: ANN001, ANN202
    last, own = each.shape
    for i in range(len(eta)):
        k = int(values[0, i])
        cuts = each[:, i if own > 1 else 0]
        if k == 0:
            value, d, dd = binary.log_below(link, cuts[0] - eta[i])
        elif k == last:
            value, d, dd = binary.log_above(link, cuts[last - 1] - eta[i])
        else:
            low, high = cuts[k - 1] - eta[i], cuts[k] - eta[i]
            if low + high > 0.0:
                a, da, dda = binary.log_above(link, low)
                b, db, ddb = binary.log_above(link, high)
            else:
                a, da, dda = binary.log_below(link, high)
                b, db, ddb = binary.log_below(link, low)
            value, d, dd = log_difference(a, da, dda, b, db, ddb)
        out[0, i] = value
        out[1, i] = -d
        out[2, i] = dd
        out[3, i] = max(-dd, 0.0)


def _of_each(own: Any, k: Any, xp: Any) -> Any:
    """Cut k (groups,) of each group, the same for all (cuts,) or its own (cuts, groups)."""
    return own[k] if own.ndim == 1 else own[k, xp.arange(len(k))]


@dataclass(frozen=True)
class Ordinal(Family):
    """Cumulative family for ordered categories; its parameters are the cuts `cut.1`, `cut.2`, ... on the link scale."""

    link: str = "logit"
    name: str = "ordinal"
    discrete = True
    ordered = True
    quantities = ("mean", "probability")
    changes = OF_ORDERED
    no_intercept = "the cuts take the place of the intercept"

    def __post_init__(self):
        binary.check_link(self.link, self.name)

    def read(self, raw: Raw) -> Response:
        need_form(raw, self.name, "plain")
        raw.refuse_text()
        y = raw.columns[0]
        if raw.categories is None:
            labels = np.unique(y)
            codes = np.searchsorted(labels, y)
            categories = tuple(f"{v:g}" for v in labels)
        else:
            if not raw.ordered:
                raise DataError(
                    f"the outcome {raw.what} is a categorical column without an explicit order (at present "
                    f"{shown(raw.categories)}), and family ordinal needs one: {AS_ORDERED}"
                )
            codes, categories = y, raw.categories
            used = np.bincount(y.astype(np.int64), minlength=len(categories))
            empty = [c for c, n in zip(categories, used, strict=True) if n == 0]
            if empty:
                raise DataError(
                    f"the outcome {raw.what} has categories without any {raw.noun}: {', '.join(empty)}; their cuts "
                    "cannot be estimated: drop or merge them"
                )
        if len(categories) > 10 and len(categories) == len(y):
            raise DataError(
                f"the outcome {raw.what} has as many categories as {raw.noun}s ({len(y)}): family ordinal "
                "needs fewer; for a continuous outcome use gaussian or student"
            )
        if len(categories) < 2:
            raise DataError(f"the outcome {raw.what} has one category only ({', '.join(categories)})")
        return made(codes + 1.0, np.asarray(codes, dtype=float), categories=categories)

    def scale(self, response: Response, offset: np.ndarray) -> tuple[float, float]:
        return 1.0, 0.0

    def parameters(self, book: PriorBook, scale: float, flat: bool, response: Response) -> tuple[Parameter, ...]:
        counts = np.bincount(response.values[0].astype(np.int64), response.weight if response.weighted else None)
        below = np.cumsum(counts)[:-1] / counts.sum()
        starts = binary.quantile(self.link, below)
        return tuple(
            book.parameter(f"cut.{k}", "cut", Student(3.0, 0.0, 2.5), start=float(start), flat=flat)
            for k, start in enumerate(starts, start=1)
        )

    def possible(self, own: np.ndarray) -> bool:
        """Cuts that are the same for all groups rise; those of each group have an edge (``terms/nominal.py``)."""
        return own.ndim > 1 or bool(np.all(np.diff(own) > 0.0))

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        _slopes(binary.LINKS[self.link], values, eta, own if own.ndim > 1 else own[:, None], out)

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        codes = values[0].astype(int)
        last = len(own)
        low = _of_each(own, xp.clip(codes - 1, 0, last - 1), xp) - eta
        high = _of_each(own, xp.clip(codes, 0, last - 1), xp) - eta
        below_high, above_high = binary.plain_logs(self.link, high, xp, special)
        below_low, above_low = binary.plain_logs(self.link, low, xp, special)
        # log(F(high) - F(low)), by the complement where both are in the upper half
        upper = low + high > 0.0
        large, small = xp.where(upper, above_low, below_high), xp.where(upper, above_high, below_low)
        there = (codes > 0) & (codes < last) & (small < large)
        inside = xp.where(there, large + xp.log(-xp.expm1(xp.where(there, small - large, -1.0))), -math.inf)
        return xp.where(codes == 0, below_high, xp.where(codes == last, above_low, inside))

    def probabilities(self, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Probability of each category (categories, ...) at eta (...)."""
        rising = np.maximum.accumulate(own, axis=0)  # beyond the data, draws of nominal effects may let them cross
        below = [binary.probability(self.link, cut - eta) for cut in rising]
        return np.diff([np.zeros_like(eta), *below, np.ones_like(eta)], axis=0)

    def change_of(self, predictor: str | None, response: Response) -> Change:
        if predictor is None:
            return self.change
        below = response.categories[int(predictor.removeprefix("cut.")) - 1]
        if self.link == "logit":
            return Change(f"the odds of a category of {{y}} above {below}", True, "are", -1.0)
        return Change(f"the distance of the latent score behind {{y}} from the cut above {below}", False, sign=-1.0)

    def meaning_of(self, name: str, kind: str, response: Response) -> Meaning | None:
        if kind != "cut":
            return super().meaning_of(name, kind, response)
        below = response.categories[int(name.removeprefix("cut.")) - 1]
        text = f"where every covariate is zero, the probability of a category of {{y}} above {below} is {{number}}"
        return Meaning(
            "a cut", "probability", "{name} = {value}: " + text,
            lambda cut, _: 1.0 - binary.probability(self.link, cut),
        )  # fmt: skip

    def recession(self, values: np.ndarray, own: int) -> Recession:
        code = values[0].astype(np.int64)
        below, above = np.flatnonzero(code < own), np.flatnonzero(code > 0)  # with a cut above them, and below
        cuts = np.zeros((len(below) + len(above), own))
        cuts[np.arange(len(below)), code[below]] = 1.0
        cuts[len(below) + np.arange(len(above)), code[above] - 1] = -1.0
        row = np.concatenate([below, above])
        sign = np.repeat([-1.0, 1.0], [len(below), len(above)])
        return Recession(row, sign, cuts, np.zeros(len(row), dtype=bool), np.ones(len(row), dtype=bool))

    def mean(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        total = np.zeros(np.shape(eta))
        for number, p in enumerate(self.probabilities(eta, own), start=1):  # the same digits for any shape of eta
            total += number * p
        return total

    @property
    def mean_scale(self) -> str:
        return "plain"

    def variance(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        number = np.arange(1.0, len(own) + 2)
        p = self.probabilities(eta, own)
        return np.tensordot(number**2, p, axes=1) - np.tensordot(number, p, axes=1) ** 2

    def highest(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Zero: a saturated model of categories is certain of each."""
        return np.zeros(len(eta))

    def tails(self, response: Response, eta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        end = np.full((1, *own.shape[1:]), np.inf)
        ends = np.concatenate([-end, own, end])
        code = response.values[0].astype(np.int64)
        below, _ = binary.plain_logs(self.link, _of_each(ends, code, np) - eta, np, scipy_special)
        _, above = binary.plain_logs(self.link, _of_each(ends, code + 1, np) - eta, np, scipy_special)
        return np.exp(below), np.exp(above)

    def link_variance(self, own: np.ndarray, mean: float) -> float | None:
        return binary.VARIANCE[self.link]

    def simulate(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray | None
    ) -> np.ndarray:
        p = rng.random(eta.shape)
        out = np.ones(eta.shape)
        for cut in own:
            out += binary.probability(self.link, cut - eta) < p
        return out

    def redraw(self, response: Response, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator) -> Response:
        made = self.simulate(eta, own, rng, response.values)
        return self.again(response, "plain", made - 1.0, categories=response.categories)
