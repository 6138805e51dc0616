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
from ..numerics.compiling import KERNEL
from ..parameters import Parameter, PriorBook
from ..priors import HalfStudent
from .base import Family
from .response import Raw, Response, made, need_form, need_numbers, need_variety

_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)


@njit(**KERNEL)
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


@dataclass(frozen=True)
class Gaussian(Family):
    """Gaussian family with the identity link; its parameter is `sigma`, the residual standard deviation."""

    link: str = "identity"
    name: str = "gaussian"
    predictors: ClassVar[Mapping[str, str]] = {"sigma": "log"}
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
        return bool(own[0] > 0.0)

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        if own.ndim > 1:
            _each(values, eta, own, out)
        else:
            _slopes(values, eta, own[0], out)

    def in_own(
        self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, which: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
        u = (values[0] - eta) / own[0]
        return u * u - 1.0, -2.0 * u / own[0], -2.0 * u * u

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
