r"""Counts that spread more than Poisson's: mean :math:`\mu_i = e^{\eta_i}`, variance :math:`\mu_i + \mu_i^2/\phi`.

.. math:: \log p(y) = \log\frac{\Gamma(y + \phi)}{\Gamma(\phi)\,y!} + y\log p + \phi\log(1 - p),
   \qquad p = \frac{\mu}{\mu + \phi}.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit
from scipy import special as scipy_special

from ..numerics.compiling import INLINED, KERNEL
from ..numerics.special import log1p_exp, log_gamma_ratio, logistic
from .base import Family, Recession
from .dispersed import Dispersed
from .poisson import Poisson, check_log, counts, first_event, log_mean
from .response import Raw, Response
from .words import BEYOND_POISSON, Meaning

POISSON = (
    "{name} has diverged (held at 1e7, no standard error): the counts do not spread more than Poisson's, so this is a "
    "Poisson fit; write family='poisson'"
)


@njit(**INLINED)
def _slopes(values, eta, phi, out):  # noqa: ANN001, ANN202
    log_phi, base = math.log(phi), math.lgamma(phi)
    for i in range(len(eta)):
        y, t = values[0, i], eta[i] - log_phi
        p = logistic(t)
        ratio = log_gamma_ratio(y + 1.0, phi - 1.0)  # log Gamma(y + phi) / y!
        out[0, i] = ratio - base - y * log1p_exp(-t) - phi * log1p_exp(t)
        out[1, i] = y * logistic(-t) - phi * p  # y - (y + phi) p loses digits where y is large
        out[2, i] = -(y + phi) * p * logistic(-t)
        out[3, i] = -out[2, i]


@njit(**KERNEL)
def _each(values, eta, own, out):  # noqa: ANN001, ANN202
    """The kernel at a parameter for each group, own (1, groups)."""
    for i in range(len(eta)):
        _slopes(values[:, i : i + 1], eta[i : i + 1], own[0, i], out[:, i : i + 1])


@dataclass(frozen=True)
class NegativeBinomial(Dispersed):
    """Negative binomial family with the log link; its parameter `phi` is the dispersion: var = mu + mu^2 / phi."""

    link: str = "log"
    name: str = "negative_binomial"
    predictors: ClassVar[Mapping[str, str]] = {"phi": "log"}
    meanings: ClassVar[Mapping[str, Meaning]] = {"phi": BEYOND_POISSON}
    kernels = (_slopes, _each)
    discrete = True
    quantities = ("mean", "zero")
    limits: ClassVar[Mapping[str, tuple[float, str]]] = {"phi": (1e7, POISSON)}

    def __post_init__(self):
        check_log(self.link, self.name)

    def read(self, raw: Raw) -> Response:
        return counts(raw, self.name)

    def scale(self, response: Response, offset: np.ndarray) -> tuple[float, float]:
        return 1.0, log_mean(response, offset)

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        y, phi = values[0], own[0]
        t = eta - xp.log(phi)
        constant = special.gammaln(y + phi) - special.gammaln(phi) - values[1]
        return constant - y * xp.logaddexp(0.0, -t) - phi * xp.logaddexp(0.0, t)

    def recession(self, values: np.ndarray, own: int) -> Recession:
        return Recession.of_ends(np.zeros(values.shape[1], dtype=bool), values[0] == 0.0, own)

    def mean(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return np.exp(eta)

    def variance(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return np.exp(eta) + np.exp(2.0 * eta) / own[0]

    def log_zero(self, eta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log probability of a zero at eta, and its two derivatives."""
        phi, t = own[0], eta - np.log(own[0])
        p, none = scipy_special.expit(t), scipy_special.expit(-t)
        return -phi * np.logaddexp(0.0, t), -phi * p, -phi * p * none

    def zero(self, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        return np.exp(self.log_zero(eta, own)[0])

    def tails(self, response: Response, eta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y, t = response.observed, eta - np.log(own[0])
        below = scipy_special.betainc(own[0], np.maximum(y, 1.0), scipy_special.expit(-t))
        return np.where(y > 0.0, below, 0.0), scipy_special.betainc(y + 1.0, own[0], scipy_special.expit(t))

    def nests(self, smaller: Family) -> str | None:
        within = isinstance(smaller, Poisson) and self.link == smaller.link
        return "phi" if within else super().nests(smaller)

    def link_variance(self, own: np.ndarray, mean: float) -> np.ndarray | float | None:
        return np.log1p(1.0 / mean + 1.0 / own[0])

    def simulate(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray | None
    ) -> np.ndarray:
        rate = np.exp(np.minimum(eta, 40.0)) * rng.gamma(own[0], 1.0 / own[0], eta.shape)
        return rng.poisson(np.minimum(rate, 1e18)).astype(float)

    def simulate_above(self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw counts above zero: clusters come as a Poisson process, their sizes are logarithmic (Quenouille 1949)."""
        phi, t = own[0], np.minimum(eta, 40.0) - np.log(own[0])
        first = first_event(phi * np.logaddexp(0.0, t), rng)
        size = rng.logseries(np.minimum(scipy_special.expit(t), 1.0 - 1e-12))
        rate = rng.gamma(np.maximum(phi * (1.0 - first), 1e-300), np.exp(t))
        return size + rng.poisson(np.minimum(rate, 1e18)).astype(float)
