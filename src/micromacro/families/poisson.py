r"""Counts: :math:`y_i \sim \mathrm{Poisson}(e^{\eta_i})`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from scipy import special as scipy_special

from ..errors import ModelError
from ..numerics.compiling import KERNEL
from .base import Family, Recession
from .response import Raw, Response, made, need_form, need_numbers

LARGE = 1e4  # a count from which sums of large terms of opposite signs are avoided


@njit(**KERNEL)
def _slopes(values, eta, out):  # noqa: ANN001, ANN202
    for i in range(len(eta)):
        mean = math.exp(eta[i])
        y = values[0, i]
        if y < LARGE:
            out[0, i] = y * eta[i] - mean - values[1, i]
            out[1, i] = y - mean
        else:  # from the largest value it can have, -log(2 pi y) / 2 - 1 / (12 y), with all digits of the difference
            r = eta[i] - math.log(y)
            out[0, i] = y * (r - math.expm1(r)) - 0.5 * math.log(2.0 * math.pi * y) - 1.0 / (12.0 * y)
            out[1, i] = -y * math.expm1(r)
        out[2, i] = -mean
        out[3, i] = mean


def counts(raw: Raw, family: str) -> Response:
    """Whole numbers from zero, not all zero; the second row is log y!."""
    need_form(raw, family, "plain")
    need_numbers(raw, family)
    y = raw.columns[0]
    remedy = "use gaussian for measurements; a rate is a count with offset(log(exposure))"
    raw.refuse((y < 0) | (y != np.floor(y)), "is not a count (a whole number from 0)", remedy)
    raw.refuse(np.full(len(y), not y.any()), "is zero: nothing was ever counted, and no mean can be estimated")
    return made(y, y, scipy_special.gammaln(y + 1.0))


def log_mean(response: Response, offset: np.ndarray) -> float:
    """Log of the overall rate."""
    return float(np.log(response.counted(response.observed).sum() / response.counted(np.exp(offset)).sum()))


def check_log(link: str, family: str) -> None:
    """Refuse any link but log."""
    if link != "log":
        raise ModelError(f"family {family} has the log link only, not {link!r}")


@dataclass(frozen=True)
class Poisson(Family):
    """Poisson family with the log link; no parameter of its own."""

    link: str = "log"
    name: str = "poisson"
    discrete = True
    quantities = ("mean", "zero")

    def __post_init__(self):
        check_log(self.link, self.name)

    def read(self, raw: Raw) -> Response:
        return counts(raw, self.name)

    def scale(self, response: Response, offset: np.ndarray) -> tuple[float, float]:
        return 1.0, log_mean(response, offset)

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        _slopes(values, eta, out)

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        return values[0] * eta - xp.exp(eta) - values[1]

    def recession(self, values: np.ndarray, own: int) -> Recession:
        return Recession.of_ends(np.zeros(values.shape[1], dtype=bool), values[0] == 0.0, own)

    def mean(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return np.exp(eta)

    def variance(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return np.exp(eta)

    def log_zero(self, eta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log probability of a zero at eta, and its two derivatives."""
        mean = np.exp(eta)
        return -mean, -mean, -mean

    def zero(self, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        return np.exp(self.log_zero(eta, own)[0])

    def tails(self, response: Response, eta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y, mean = response.observed, np.exp(eta)
        below = scipy_special.gammaincc(np.maximum(y, 1.0), mean)
        return np.where(y > 0.0, below, 0.0), scipy_special.gammainc(y + 1.0, mean)

    def link_variance(self, own: np.ndarray, mean: float) -> float | None:
        return math.log1p(1.0 / mean)

    def simulate(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray | None
    ) -> np.ndarray:
        return rng.poisson(np.exp(np.minimum(eta, 40.0))).astype(float)

    def simulate_above(self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw counts above zero: one event, the first of a process in [0, 1], and what comes after it."""
        mean = np.exp(np.minimum(eta, 40.0))
        return 1.0 + rng.poisson(mean * (1.0 - first_event(mean, rng)))


def first_event(rate: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Time of the first event of a Poisson process in [0, 1] that has one."""
    some = -np.expm1(-rate)
    time = -np.log1p(-rng.random(rate.shape) * some) / np.where(rate > 0.0, rate, 1.0)
    return np.clip(time, 0.0, 1.0)
