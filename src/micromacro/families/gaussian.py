r"""Gaussian outcomes: :math:`y_i = \eta_i + e_i`, :math:`e_i \sim N(0, \sigma^2)`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import DataError, ModelError
from ..parameters import Parameter, PriorBook
from ..priors import HalfStudent


@dataclass(frozen=True)
class Gaussian:
    """Gaussian family with the identity link; its parameter is `sigma`, the residual standard deviation."""

    link: str = "identity"
    name: str = "gaussian"
    no_intercept: str | None = None
    conjugate: bool = True

    def __post_init__(self):
        if self.link != "identity":
            raise ModelError(f"family gaussian has the identity link only, not {self.link!r}; transform the outcome")

    def check(self, outcome: np.ndarray, what: str) -> None:
        """Refuse an outcome that never varies."""
        if len(outcome) > 1 and np.ptp(outcome) == 0.0:
            raise DataError(f"the outcome {what} is the same in all {len(outcome)} groups ({outcome[0]:g})")

    def scale(self, outcome: np.ndarray) -> tuple[float, float]:
        """Standard deviation and mean of the outcome."""
        spread = float(np.std(outcome, ddof=1)) if len(outcome) > 1 else 1.0
        return (spread if spread > 0 else 1.0), float(np.mean(outcome))

    def parameters(self, book: PriorBook, scale: float, flat: bool) -> tuple[Parameter, ...]:
        """Sigma, with prior half_student(3, 0, 2.5 s)."""
        return (book.parameter("sigma", "sigma", HalfStudent(3.0, 0.0, 2.5 * scale), start=0.7 * scale, flat=flat),)

    def mean(self, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Eta itself."""
        return eta

    def simulate(self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Normal draws around eta."""
        return eta + own[0] * rng.standard_normal(eta.shape)

    def log_density(self, outcome: np.ndarray, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Normal log density with sd sigma."""
        u = (outcome - eta) / own[0]
        return -0.5 * u * u - math.log(own[0]) - 0.5 * math.log(2.0 * math.pi)
