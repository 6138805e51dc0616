r"""Positive outcomes: gamma with mean :math:`\mu_i = e^{\eta_i}` and shape a, variance :math:`\mu_i^2 / a`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit
from scipy import special as scipy_special

from ..numerics.compiling import INLINED, KERNEL
from .base import SdsOf
from .dispersed import Dispersed
from .poisson import check_log, log_mean
from .response import Raw, Response, made, need_form, need_numbers, need_variety
from .words import Meaning


@njit(**INLINED)
def _slopes(values, eta, shape, out):  # noqa: ANN001, ANN202
    constant = shape * math.log(shape) - math.lgamma(shape)
    for i in range(len(eta)):
        ratio = values[0, i] * math.exp(-eta[i])
        out[0, i] = constant + (shape - 1.0) * values[1, i] - shape * (eta[i] + ratio)
        out[1, i] = shape * (ratio - 1.0)
        out[2, i] = -shape * ratio
        out[3, i] = shape * ratio


@njit(**KERNEL)
def _each(values, eta, own, out):  # noqa: ANN001, ANN202
    """The kernel at a parameter for each group, own (1, groups)."""
    for i in range(len(eta)):
        _slopes(values[:, i : i + 1], eta[i : i + 1], own[0, i], out[:, i : i + 1])


@dataclass(frozen=True)
class Gamma(Dispersed):
    """Gamma family with the log link; its parameter is `shape`."""

    link: str = "log"
    name: str = "gamma"
    predictors: ClassVar[Mapping[str, str]] = {"shape": "log"}
    residual_sd: ClassVar[SdsOf] = {"shape": lambda shape: shape**-0.5}
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "shape": Meaning(
            "the shape", "coefficient of variation",
            "{name} = {value}: the standard deviation of {y} is {number} times its expected value",
            lambda shape, _: shape**-0.5,
        ),
    }  # fmt: skip
    kernels = (_slopes, _each)

    def __post_init__(self):
        check_log(self.link, self.name)

    def read(self, raw: Raw) -> Response:
        need_form(raw, self.name, "plain")
        need_numbers(raw, self.name)
        y = raw.columns[0]
        raw.refuse(y <= 0, "is not positive", "use gaussian if negative values and zeros are meant")
        need_variety(raw, y)
        return made(y, y, np.log(y))

    def scale(self, response: Response, offset: np.ndarray) -> tuple[float, float]:
        return 1.0, log_mean(response, offset)

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        shape = own[0]
        constant = shape * xp.log(shape) - special.gammaln(shape)
        return constant + (shape - 1.0) * values[1] - shape * (eta + values[0] * xp.exp(-eta))

    def mean(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return np.exp(eta)

    def variance(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return np.exp(2.0 * eta) / own[0]

    def dispersion(self, own: np.ndarray) -> np.ndarray | float:
        return 1.0 / own[0]

    def tails(self, response: Response, eta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        at = own[0] * response.observed * np.exp(-eta)
        return scipy_special.gammainc(own[0], at), scipy_special.gammaincc(own[0], at)

    def link_variance(self, own: np.ndarray, mean: float) -> np.ndarray | float | None:
        return scipy_special.polygamma(1, own[0])

    def simulate(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray | None
    ) -> np.ndarray:
        return np.exp(eta) * rng.gamma(own[0], 1.0 / own[0], eta.shape)
