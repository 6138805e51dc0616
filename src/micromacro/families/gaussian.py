r"""Gaussian outcomes: :math:`y_i = \eta_i + e_i`, :math:`e_i \sim N(0, \sigma^2)`."""

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
from ..parameters import Parameter, PriorBook
from ..priors import HalfStudent
from .base import Family, SdsOf
from .response import Raw, Response, made, need_form, need_numbers, need_variety
from .words import Meaning, scatter

_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)


@njit(**INLINED)
def _slopes(values, eta, sigma, out):  # noqa: ANN001, ANN202
    for i in range(len(eta)):
        u = (values[0, i] - eta[i]) / sigma
        out[0, i] = -0.5 * u * u - math.log(sigma) - _LOG_ROOT_2PI
        out[1, i] = u / sigma
        out[2, i] = -1.0 / (sigma * sigma)
        out[3, i] = 1.0 / (sigma * sigma)


def plain(raw: Raw, family: str) -> Response:
    """A plain numeric outcome that varies."""
    need_form(raw, family, "plain")
    need_numbers(raw, family)
    y = raw.columns[0]
    need_variety(raw, y)
    return made(y)


@njit(**KERNEL)
def _each(values, eta, own, out):  # noqa: ANN001, ANN202
    """The kernel at a parameter for each group, own (1, groups)."""
    for i in range(len(eta)):
        _slopes(values[:, i : i + 1], eta[i : i + 1], own[0, i], out[:, i : i + 1])


@njit(**KERNEL)
def _stacked(values, eta, out):  # noqa: ANN001, ANN202
    """Mean and log sd of each group; what stands in for the curvature is its expectation."""
    n = len(eta) // 2
    for i in range(n):
        t, r = eta[n + i], values[0, i] - eta[i]
        p = math.exp(-2.0 * t)
        out[0, i] = -0.5 * r * r * p - t - _LOG_ROOT_2PI
        out[1, i], out[1, n + i] = r * p, r * r * p - 1.0
        out[2, i], out[2, n + i], out[2, 2 * n + i] = -p, -2.0 * r * r * p, -2.0 * r * p
        out[3, i], out[3, n + i], out[3, 2 * n + i] = p, 2.0, 0.0
        out[0, n + i], out[0, 2 * n + i], out[1, 2 * n + i] = 0.0, 0.0, 0.0


@njit(**KERNEL)
def _stacked_skew(values, eta, leverage, out):  # noqa: ANN001, ANN202
    """Half the third derivatives times leverages (rows, then twice those of pairs)."""
    n = len(eta) // 2
    for i in range(n):
        r, p = values[0, i] - eta[i], math.exp(-2.0 * eta[n + i])
        of_mean, of_spread, both = leverage[i], leverage[n + i], leverage[2 * n + i]
        out[i] = 2.0 * r * p * of_spread + p * both
        out[n + i] = p * of_mean + 2.0 * r * r * p * of_spread + 2.0 * r * p * both


@dataclass(frozen=True)
class Gaussian(Family):
    """Gaussian family with the identity link; its parameter is `sigma`, the residual standard deviation."""

    link: str = "identity"
    name: str = "gaussian"
    predictors: ClassVar[Mapping[str, str]] = {"sigma": "log"}
    residual_sd: ClassVar[SdsOf] = {"sigma": lambda sigma: sigma}
    meanings: ClassVar[Mapping[str, Meaning]] = {"sigma": scatter("Around its expected value, {y}")}
    quantities = ("mean", "median")
    conjugate = True

    def __post_init__(self):
        if self.link != "identity":
            raise ModelError(f"family gaussian has the identity link only, not {self.link!r}; transform the outcome")

    def read(self, raw: Raw) -> Response:
        return plain(raw, self.name)

    def scale(self, response: Response, offset: np.ndarray) -> tuple[float, float]:
        return response.spread_and_centre(response.observed - offset)

    def parameters(self, book: PriorBook, scale: float, flat: bool, response: Response) -> tuple[Parameter, ...]:
        return (book.parameter("sigma", "sigma", HalfStudent(3.0, 0.0, 2.5 * scale), start=0.7 * scale, flat=flat),)

    def possible(self, own: np.ndarray) -> bool:
        return bool(np.all(own[0] > 0.0))

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        if own.ndim > 1:
            _each(values, eta, own, out)
        else:
            _slopes(values, eta, own[0], out)

    def stacked_slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> bool:
        _stacked(values, eta, out)
        return True

    def stacked_skew(
        self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, leverage: np.ndarray, out: np.ndarray
    ) -> bool:  # fmt: skip
        _stacked_skew(values, eta, leverage, out)
        return True

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        u = (values[0] - eta) / own[0]
        return -0.5 * u * u - xp.log(own[0]) - _LOG_ROOT_2PI

    def mean(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return eta

    def variance(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return np.zeros(np.shape(eta)) + own[0] ** 2

    def likeliest(self, values: np.ndarray) -> np.ndarray:
        return values[0]

    def dispersion(self, own: np.ndarray) -> np.ndarray | float:
        return own[0] ** 2

    def tails(self, response: Response, eta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        z = (response.observed - eta) / own[0]
        return scipy_special.ndtr(z), scipy_special.ndtr(-z)

    def median(self, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        return eta

    def link_variance(self, own: np.ndarray, mean: float) -> np.ndarray | float | None:
        return own[0] ** 2

    def simulate(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray | None
    ) -> np.ndarray:
        return eta + own[0] * rng.standard_normal(eta.shape)
