r"""Counts behind a hurdle: zero with probability :math:`h`, else a count from 1 on.

.. math:: p(0) = h, \qquad p(y) = (1 - h)\,\frac{p_0(y)}{1 - p_0(0)},\; y > 0,

with :math:`p_0` Poisson or negative binomial (Mullahy 1986): eta is of the counts above zero alone. With b the log of
:math:`p_0(0)` and :math:`k = 1 / (e^{-b} - 1)`, the log of :math:`1 - p_0(0)` has the derivatives :math:`-k b'` and
:math:`-k b'' - k (1 + k) b'^2`. With a negative binomial :math:`p_0` the density is not log-concave in eta; where a
positive curvature is needed zero stands in for a negative one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..parameters import Parameter, PriorBook
from ..priors import Beta
from .base import Family, Recession
from .negative_binomial import NegativeBinomial
from .poisson import Poisson, log_mean
from .response import Response
from .words import BEFORE_ZEROS, BEYOND_POISSON, HU, Meaning
from .zeros import WithZeros, zeros_of

TINY = 1e-290  # probability of a count above zero that is the mean itself
FAR = 300.0  # size of eta beyond which a count above zero is certain, or its probability is the mean
NO_SPREAD = (
    "{name} has diverged (held at 1e7, no standard error): the counts above zero do not spread more than Poisson's, so "
    "this is a hurdle Poisson fit; write family='hurdle_poisson'"
)
NO_ZEROS = "{name} is estimated as zero (held at 1e-9, no standard error): no outcome is zero"


class Hurdle(WithZeros):
    """What the hurdle families share; ``hu``, the probability of a zero, is their last parameter.

    Attributes
    ----------
    counts : Family
        The distribution that is cut at zero; its parameters come before ``hu``.
    """

    changes = BEFORE_ZEROS
    meanings: ClassVar[Mapping[str, Meaning]] = {"hu": HU, "phi": BEYOND_POISSON}

    def scale(self, response: Response, offset: np.ndarray) -> tuple[float, float]:
        some = response.observed > 0.0
        above = Response(response.values[:, some], response.observed[some], response.weight[some])
        return 1.0, log_mean(above, offset[some])

    def parameters(self, book: PriorBook, scale: float, flat: bool, response: Response) -> tuple[Parameter, ...]:
        zeros = zeros_of(response)
        hu = book.parameter("hu", "hu", Beta(1.0, 1.0), start=min(max(zeros, 0.02), 0.98), flat=flat)
        return (*self.counts.parameters(book, scale, flat, response), hu)

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        self.counts.slopes(values, eta, own[:-1], out)
        log_some, d, dd = self.log_some(eta, own[:-1])
        zero = values[0] == 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            out[0] = np.where(zero, np.log(own[-1]), out[0] - log_some + np.log1p(-own[-1]))
            out[1] = np.where(zero, 0.0, out[1] - d)
            out[2] = np.where(zero, 0.0, out[2] - dd)
            out[0, np.isnan(out[0])] = -math.inf
        out[3] = np.maximum(-out[2], 0.0)

    def log_some(self, eta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log of the probability of a count above zero (groups,), and its two derivatives in eta."""
        b, d, dd = self.counts.log_zero(eta, own)
        with np.errstate(all="ignore"):
            k = 1.0 / np.expm1(-b)
            value = np.where(b > -math.log(2.0), np.log(-np.expm1(b)), np.log1p(-np.exp(b)))
            few, many = -b < TINY, ~(k > 0.0)  # the probability is the mean; no zero is left
            first = np.where(few, 1.0, np.where(many, 0.0, -k * d))
            second = np.where(few | many, 0.0, -k * dd - (k * d) * ((1.0 + k) * d))
        return np.where(few, eta, value), first, second

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        inside = xp.clip(eta, -FAR, FAR)
        none = self.counts.log_density(0.0 * values, inside, own[:-1], xp, special)
        log_some = xp.where(abs(eta) < FAR, xp.log(-xp.expm1(none)), xp.minimum(eta, 0.0))
        above = self.counts.log_density(values, eta, own[:-1], xp, special) - log_some + xp.log1p(-own[-1])
        return xp.where(values[0] == 0.0, xp.log(own[-1]), above)

    def recession(self, values: np.ndarray, own: int) -> Recession:
        none = np.zeros(values.shape[1], dtype=bool)
        return Recession.of_ends(none, values[0] == 1.0, own, values[0] > 0.0)

    def mean(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return (1.0 - own[-1]) * self._above(eta, own)[0]

    def _above(self, eta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and mean square of a count above zero."""
        mean, variance = self.counts.mean(eta, own[:-1], None), self.counts.variance(eta, own[:-1], None)
        some = -np.expm1(self.counts.log_zero(eta, own[:-1])[0])
        few = some < TINY  # the count is one
        some = np.where(few, 1.0, some)
        return np.where(few, 1.0, mean / some), np.where(few, 1.0, (variance + mean * mean) / some)

    def variance(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        mean, square = self._above(eta, own)
        return (1.0 - own[-1]) * (square - (1.0 - own[-1]) * mean * mean)

    def zero(self, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        return np.zeros(np.shape(eta)) + own[-1]

    def tails(self, response: Response, eta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y, hu = response.observed, own[-1]
        below, above = self.counts.tails(response, eta, own[:-1])
        log_none = self.counts.log_zero(eta, own[:-1])[0]
        none, some = np.exp(log_none), np.maximum(-np.expm1(log_none), TINY)
        between = np.where(y > 1.0, np.maximum(below - none, 0.0) / some, 0.0)
        return np.where(y > 0.0, hu + (1.0 - hu) * between, 0.0), (1.0 - hu) * np.where(y > 0.0, above / some, 1.0)

    def simulate(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray | None
    ) -> np.ndarray:
        above = self.counts.simulate_above(eta, own[:-1], rng)
        return np.where(rng.random(eta.shape) < own[-1], 0.0, above)


@dataclass(frozen=True)
class HurdlePoisson(Hurdle):
    """Hurdle Poisson family with the log link; its parameter `hu` is the probability of a zero."""

    link: str = "log"
    name: str = "hurdle_poisson"
    predictors: ClassVar[Mapping[str, str]] = {"hu": "logit"}
    counts = Poisson()
    limits: ClassVar[Mapping[str, tuple[float, str]]] = {"hu": (1e-9, NO_ZEROS)}


@dataclass(frozen=True)
class HurdleNegativeBinomial(Hurdle):
    """Hurdle negative binomial family with the log link; its parameters are `phi` and `hu`."""

    link: str = "log"
    name: str = "hurdle_negative_binomial"
    predictors: ClassVar[Mapping[str, str]] = {"phi": "log", "hu": "logit"}
    counts = NegativeBinomial()
    limits: ClassVar[Mapping[str, tuple[float, str]]] = {
        "phi": (1e7, NO_SPREAD),
        "hu": (1e-9, NO_ZEROS),
    }

    def nests(self, smaller: Family) -> str | None:
        within = isinstance(smaller, HurdlePoisson) and self.link == smaller.link
        return "phi" if within else super().nests(smaller)
