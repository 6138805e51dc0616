r"""Shares: beta with mean :math:`\mu_i = F(\eta_i)` and precision :math:`\phi`, variance :math:`\mu(1-\mu)/(1+\phi)`.

The density need not be log-concave in eta; where a positive curvature is needed its expectation
:math:`\phi^2\mu'^2(\psi_1(\mu\phi) + \psi_1((1-\mu)\phi))` stands in (Ferrari and Cribari-Neto 2004).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit
from scipy import special as scipy_special

from ..errors import ModelError
from ..numerics.compiling import INLINED, KERNEL
from ..numerics.special import digamma, logistic, trigamma
from . import binary
from .base import SdsOf
from .dispersed import Dispersed
from .response import Raw, Response, made, need_form, need_numbers, need_variety
from .words import Meaning

FAR = 200.0  # size of eta from which 1 / Gamma(a) is a, a being the smaller of the two parameters


@njit(**INLINED)
def _slopes(values, eta, phi, out):  # noqa: ANN001, ANN202
    constant = math.lgamma(phi)
    for i in range(len(eta)):
        mean = logistic(eta[i])
        other = logistic(-eta[i])
        a, b = mean * phi, other * phi
        if abs(eta[i]) > FAR:  # the smaller of a and b is so small that its gamma function is its inverse
            sign = math.copysign(1.0, eta[i])
            near, rest = (values[1, i], values[2, i]) if sign > 0.0 else (values[2, i], values[1, i])
            out[0, i] = math.log(phi) - abs(eta[i]) + (phi - 1.0) * near - rest
            out[1, i], out[2, i], out[3, i] = -sign, 0.0, 1.0
            continue
        score = values[1, i] - values[2, i] - digamma(a) + digamma(b)
        d = mean * other
        information = phi * phi * d * d * (trigamma(a) + trigamma(b))
        out[0, i] = constant - math.lgamma(a) - math.lgamma(b) + (a - 1.0) * values[1, i] + (b - 1.0) * values[2, i]
        out[1, i] = phi * d * score
        out[2, i] = phi * d * (other - mean) * score - information
        out[3, i] = information


@njit(**KERNEL)
def _each(values, eta, own, out):  # noqa: ANN001, ANN202
    """The kernel at a parameter for each group, own (1, groups)."""
    for i in range(len(eta)):
        _slopes(values[:, i : i + 1], eta[i : i + 1], own[0, i], out[:, i : i + 1])


@dataclass(frozen=True)
class Beta(Dispersed):
    """Beta family with the logit link; its parameter `phi` is the precision."""

    link: str = "logit"
    name: str = "beta"
    predictors: ClassVar[Mapping[str, str]] = {"phi": "log"}
    residual_sd: ClassVar[SdsOf] = {"phi": lambda phi: phi**-0.5}
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "phi": Meaning(
            "the precision", "standard deviation at the mean",
            "{name} = {value}: where {y} is expected to be {mean}, its standard deviation is {number}",
            lambda phi, mean: np.sqrt(mean * (1.0 - mean) / (1.0 + phi)),
        ),
    }  # fmt: skip
    start = 10.0
    kernels = (_slopes, _each)

    def __post_init__(self):
        if self.link != "logit":
            raise ModelError(f"family beta has the logit link only, not {self.link!r}")

    def read(self, raw: Raw) -> Response:
        need_form(raw, self.name, "plain")
        need_numbers(raw, self.name)
        y = raw.columns[0]
        remedy = (
            "use gaussian for measurements, binomial for k of n; shares of exactly 0 or 1 are not in the beta family"
        )
        raw.refuse((y <= 0) | (y >= 1), "is not strictly between 0 and 1", remedy)
        need_variety(raw, y)
        return made(y, y, np.log(y), np.log1p(-y))

    def scale(self, response: Response, offset: np.ndarray) -> tuple[float, float]:
        return 1.0, float(binary.quantile("logit", response.mean()))

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        phi, far = own[0], abs(eta) > FAR
        near = xp.where(far, 0.0, eta)
        a, b = phi * special.expit(near), phi * special.expit(-near)
        constant = special.gammaln(phi) - special.gammaln(a) - special.gammaln(b)
        plain = constant + (a - 1.0) * values[1] + (b - 1.0) * values[2]
        large, small = xp.where(eta > 0.0, values[1], values[2]), xp.where(eta > 0.0, values[2], values[1])
        return xp.where(far, xp.log(phi) - abs(eta) + (phi - 1.0) * large - small, plain)

    def mean(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return binary.probability("logit", eta)

    def variance(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return binary.probability("logit", eta) * binary.probability("logit", -eta) / (1.0 + own[0])

    def tails(self, response: Response, eta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y, a, b = response.observed, own[0] * scipy_special.expit(eta), own[0] * scipy_special.expit(-eta)
        return scipy_special.betainc(a, b, y), scipy_special.betainc(b, a, 1.0 - y)

    def simulate(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray | None
    ) -> np.ndarray:
        mean = np.clip(binary.probability("logit", eta), 1e-12, 1 - 1e-12)
        return np.clip(rng.beta(mean * own[0], (1.0 - mean) * own[0]), 1e-300, 1.0 - 1e-16)
