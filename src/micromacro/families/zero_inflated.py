r"""Counts with more zeros than their distribution has: a zero is certain with probability :math:`z`, else drawn.

.. math:: p(0) = z + (1 - z)\,p_0(0), \qquad p(y) = (1 - z)\,p_0(y),\; y > 0,

with :math:`p_0` Poisson or negative binomial (Lambert 1992). With b the log of :math:`p_0(0)` and q the probability
that a zero was drawn, :math:`q = (1 - z) e^b / p(0)`, a zero's log density has the derivatives :math:`q b'` and
:math:`q b'' + q (1 - q) b'^2`. It is not log-concave in eta; where a positive curvature is needed :math:`-q b''` stands
in.
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
from .words import BEYOND_POISSON, OF_OTHERS, ZI, Meaning
from .zeros import WithZeros, zeros_of

NO_EXCESS = (
    "{name} is estimated as zero (held at 1e-9, no standard error): the counts have no more zeros than the rest of the "
    "distribution gives them; write family='%s'"
)
NO_SPREAD = (
    "{name} has diverged (held at 1e7, no standard error): the counts that are not certain zeros do not spread more "
    "than Poisson's, so this is a zero-inflated Poisson fit; write family='zero_inflated_poisson'"
)


class ZeroInflated(WithZeros):
    """What the zero-inflated families share; ``zi``, the probability of a certain zero, is their last parameter.

    Attributes
    ----------
    counts : Family
        The distribution of the counts that are drawn; its parameters come before ``zi``.
    """

    changes = OF_OTHERS
    meanings: ClassVar[Mapping[str, Meaning]] = {"zi": ZI, "phi": BEYOND_POISSON}

    def scale(self, response: Response, offset: np.ndarray) -> tuple[float, float]:
        return 1.0, log_mean(response, offset)

    def parameters(self, book: PriorBook, scale: float, flat: bool, response: Response) -> tuple[Parameter, ...]:
        zeros = zeros_of(response)
        start = min(max(0.5 * zeros, 0.02), 0.9)
        zi = book.parameter("zi", "zi", Beta(1.0, 1.0), start=start, flat=flat)
        return (*self.counts.parameters(book, scale, flat, response), zi)

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        self.counts.slopes(values, eta, own[:-1], out)
        b, d, dd = self.counts.log_zero(eta, own[:-1])
        zero = values[0] == 0.0
        with np.errstate(all="ignore"):
            drawn = np.log1p(-own[-1])
            value = np.logaddexp(np.log(own[-1]), drawn + b)
            q = np.where(b > -math.inf, np.exp(drawn + b - value), 0.0)
            first, second = (np.where(q > 0.0, q * slope, 0.0) for slope in (d, dd))
            rest = np.where((q > 0.0) & (q < 1.0), first * d * (1.0 - q), 0.0)
            out[0] = np.where(zero, value, out[0] + drawn)
            out[1] = np.where(zero, first, out[1])
            out[3] = np.where(zero, -second, out[3])
            out[2] = np.where(zero, second + rest, out[2])

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        drawn = xp.log1p(-own[-1]) + self.counts.log_density(values, eta, own[:-1], xp, special)
        return xp.where(values[0] == 0.0, xp.logaddexp(xp.log(own[-1]), drawn), drawn)

    def recession(self, values: np.ndarray, own: int) -> Recession:
        return self.counts.recession(values, own)

    def mean(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return (1.0 - own[-1]) * self.counts.mean(eta, own[:-1], values)

    def variance(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        mean = self.counts.mean(eta, own[:-1], values)
        return (1.0 - own[-1]) * (self.counts.variance(eta, own[:-1], values) + own[-1] * mean * mean)

    def zero(self, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        return own[-1] + (1.0 - own[-1]) * self.counts.zero(eta, own[:-1])

    def tails(self, response: Response, eta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        below, above = self.counts.tails(response, eta, own[:-1])
        below = np.where(response.observed > 0.0, own[-1] + (1.0 - own[-1]) * below, 0.0)
        return below, (1.0 - own[-1]) * above

    def simulate(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray | None
    ) -> np.ndarray:
        drawn = self.counts.simulate(eta, own[:-1], rng, values)
        return np.where(rng.random(eta.shape) < own[-1], 0.0, drawn)

    def nests(self, smaller: Family) -> str | None:
        within = type(smaller) is type(self.counts) and self.link == smaller.link
        return "zi" if within else super().nests(smaller)


@dataclass(frozen=True)
class ZeroInflatedPoisson(ZeroInflated):
    """Zero-inflated Poisson family with the log link; its parameter `zi` is the probability of a certain zero."""

    link: str = "log"
    name: str = "zero_inflated_poisson"
    predictors: ClassVar[Mapping[str, str]] = {"zi": "logit"}
    counts = Poisson()
    limits: ClassVar[Mapping[str, tuple[float, str]]] = {"zi": (1e-9, NO_EXCESS % "poisson")}


@dataclass(frozen=True)
class ZeroInflatedNegativeBinomial(ZeroInflated):
    """Zero-inflated negative binomial family with the log link; its parameters are `phi` and `zi`."""

    link: str = "log"
    name: str = "zero_inflated_negative_binomial"
    predictors: ClassVar[Mapping[str, str]] = {"phi": "log", "zi": "logit"}
    counts = NegativeBinomial()
    limits: ClassVar[Mapping[str, tuple[float, str]]] = {
        "phi": (1e7, NO_SPREAD),
        "zi": (1e-9, NO_EXCESS % "negative_binomial"),
    }

    def nests(self, smaller: Family) -> str | None:
        within = isinstance(smaller, ZeroInflatedPoisson) and self.link == smaller.link
        return "phi" if within else super().nests(smaller)
