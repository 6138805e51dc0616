r"""Successes among trials that spread more than binomial ones: the chance of a success is itself beta distributed.

With mean :math:`\mu_i = F(\eta_i)`, precision :math:`\phi`, :math:`a = \mu\phi`, :math:`b = (1 - \mu)\phi`:

.. math:: \log p(k) = \log\binom{n}{k} + \log\frac{\Gamma(a + k)}{\Gamma(a)} + \log\frac{\Gamma(b + n - k)}{\Gamma(b)}
   - \log\frac{\Gamma(\phi + n)}{\Gamma(\phi)},

and the share k / n has variance :math:`\mu(1-\mu)\{1 + (n - 1) / (\phi + 1)\} / n` (Williams 1975). It is not
log-concave in eta; where a positive curvature is needed the part of it that is never negative stands in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit

from ..errors import ModelError
from ..numerics.compiling import INLINED, KERNEL
from ..numerics.special import digamma, log1p_exp, log_gamma_ratio, logistic, trigamma
from . import binary
from .base import Family
from .binomial import Binomial
from .dispersed import Dispersed
from .response import Response
from .words import Meaning

FEW = 64  # successes up to which the sums are taken term by term

BINOMIAL = (
    "{name} has diverged (held at 1e7, no standard error): the successes do not spread more than binomial ones, so "
    "this is a binomial fit; write family='binomial'"
)

LEAST, NO_PRECISION = 1e-300, 1e-9  # of what a beta distribution is drawn with; of phi


@njit(**KERNEL)
def rising(log_a, k):  # noqa: ANN001, ANN201
    """Log of Gamma(a + k) / Gamma(a) for a count k, and its first and second derivative in log a, less the first.

    That is sum log(a + j), sum a / (a + j) and -sum (a / (a + j))^2 over j < k.
    """
    if k == 0.0:
        return 0.0, 0.0, 0.0
    a = math.exp(log_a)
    value, first, second = log_a, 1.0, -1.0
    if k <= FEW:
        for j in range(1, int(k)):
            value += math.log(a + j)
            first += a / (a + j)
            second -= (a / (a + j)) ** 2
        return value, first, second
    value += log_gamma_ratio(a + 1.0, k - 1.0)
    first += a * (digamma(a + k) - digamma(a + 1.0))
    second += a * a * (trigamma(a + k) - trigamma(a + 1.0))
    return value, first, second


@njit(**INLINED)
def _slopes(values, eta, phi, out):  # noqa: ANN001, ANN202
    log_phi = math.log(phi)
    for i in range(len(eta)):
        k, m = values[0, i], values[1, i] - values[0, i]
        mean, other = logistic(eta[i]), logistic(-eta[i])
        a, da, dda = rising(log_phi - log1p_exp(-eta[i]), k)
        b, db, ddb = rising(log_phi - log1p_exp(eta[i]), m)
        score, information = other * da - mean * db, -(other * other * dda + mean * mean * ddb)
        out[0, i] = values[2, i] + a + b - rising(log_phi, k + m)[0]
        out[1, i] = score
        out[2, i] = (other - mean) * score - information
        out[3, i] = information


@njit(**KERNEL)
def _tails(values, eta, phi, log_density, below, above):  # noqa: ANN001, ANN202
    """Sums of probabilities from the outcome on in both directions, each from the one before it."""
    for i in range(len(eta)):
        k, n = values[0, i], values[1, i]
        a, b = phi[i] * logistic(eta[i]), phi[i] * logistic(-eta[i])
        here = math.exp(log_density[i])
        term, j = here, k
        while j > 0.0:
            term *= j * (b + n - j) / ((n - j + 1.0) * (a + j - 1.0))
            j -= 1.0
            below[i] += term
        term, j = here, k
        while j < n:
            term *= (n - j) * (a + j) / ((j + 1.0) * (b + n - j - 1.0))
            j += 1.0
            above[i] += term


@njit(**KERNEL)
def _each(values, eta, own, out):  # noqa: ANN001, ANN202
    """The kernel at a parameter for each group, own (1, groups)."""
    for i in range(len(eta)):
        _slopes(values[:, i : i + 1], eta[i : i + 1], own[0, i], out[:, i : i + 1])


@dataclass(frozen=True)
class BetaBinomial(Dispersed, Binomial):
    """Beta-binomial family with the logit link; `phi` is the precision of the chances of a success."""

    link: str = "logit"
    name: str = "beta_binomial"
    predictors: ClassVar[Mapping[str, str]] = {"phi": "log"}
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "phi": Meaning(
            "the precision", "correlation of trials",
            "{name} = {value}: beyond what the model says, two trials of one outcome are correlated by {number}",
            lambda phi, _: 1.0 / (1.0 + phi),
        ),
    }  # fmt: skip
    start = 10.0
    kernels = (_slopes, _each)
    limits: ClassVar[Mapping[str, tuple[float, str]]] = {"phi": (1e7, BINOMIAL)}

    def __post_init__(self):
        if self.link != "logit":
            raise ModelError(f"family beta_binomial has the logit link only, not {self.link!r}")

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        k, m, phi = values[0], values[1] - values[0], own[0]

        def rise(log_a: Any, count: Any) -> Any:
            a = xp.exp(log_a)
            value = log_a + special.gammaln(a + xp.maximum(count, 1.0)) - special.gammaln(a + 1.0)
            return xp.where(count > 0.0, value, 0.0)

        log_phi = xp.log(phi)
        up, down = rise(log_phi - xp.logaddexp(0.0, -eta), k), rise(log_phi - xp.logaddexp(0.0, eta), m)
        return values[2] + up + down - rise(log_phi, k + m)

    def variance(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        n = 1.0 if values is None else values[1]
        return super().variance(eta, own, values) * (1.0 + (n - 1.0) / (own[0] + 1.0))

    def tails(self, response: Response, eta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        room, below, above = np.empty((4, len(eta))), np.zeros(len(eta)), np.zeros(len(eta))
        self.slopes(response.values, eta, own, room)
        _tails(response.values, eta, np.zeros(len(eta)) + own[0], room[0], below, above)
        return np.minimum(below, 1.0), np.minimum(above, 1.0)

    def simulate(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray | None
    ) -> np.ndarray:
        mean = np.clip(binary.probability("logit", eta), 1e-12, 1.0 - 1e-12)
        chance = rng.beta(np.maximum(mean * own[0], LEAST), np.maximum((1.0 - mean) * own[0], LEAST))
        if np.any(own[0] < NO_PRECISION):  # all succeed, or none, and a beta distribution is no longer drawn exactly
            chance = np.where(own[0] < NO_PRECISION, rng.random(chance.shape) < mean, chance)
        if values is None:
            raise ModelError("responses of a beta-binomial model need the trials: predict for the data of the fit")
        return rng.binomial(values[1].astype(np.int64), chance).astype(float)

    def link_variance(self, own: np.ndarray, mean: float) -> float | None:
        return None

    def nests(self, smaller: Family) -> str | None:
        within = type(smaller) is Binomial and self.link == smaller.link
        return "phi" if within else super().nests(smaller)
