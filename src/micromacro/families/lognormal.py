r"""Positive outcomes and durations, censored or not: :math:`\log t_i \sim N(\eta_i, \sigma^2)`.

The density is that of t, not of log t: it differs from a Gaussian model of ``log(t)`` by the Jacobian.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..errors import ModelError
from ..parameters import Parameter, PriorBook
from ..priors import HalfStudent
from . import durations
from .base import SdsOf
from .censoring import Duration
from .response import Raw, Response
from .words import Meaning, scatter, times


@dataclass(frozen=True)
class Lognormal(Duration):
    """Lognormal family; its parameter `sigma` is the standard deviation of the log outcome."""

    link: str = "identity"
    name: str = "lognormal"
    changes = times("the median of {y}")
    predictors: ClassVar[Mapping[str, str]] = {"sigma": "log"}
    residual_sd: ClassVar[SdsOf] = {"sigma": lambda sigma: sigma}
    meanings: ClassVar[Mapping[str, Meaning]] = {"sigma": scatter("Around what is expected, the logarithm of {y}")}

    def __post_init__(self):
        if self.link != "identity":
            raise ModelError(f"family lognormal has the identity link (for the log outcome) only, not {self.link!r}")

    def read(self, raw: Raw) -> Response:
        return durations.need_spread(raw, super().read(raw))

    def scale(self, response: Response, offset: np.ndarray) -> tuple[float, float]:
        return durations.log_spread(response, offset)

    def parameters(self, book: PriorBook, scale: float, flat: bool, response: Response) -> tuple[Parameter, ...]:
        return (book.parameter("sigma", "sigma", HalfStudent(3.0, 0.0, 2.5 * scale), start=0.7 * scale, flat=flat),)

    def possible(self, own: np.ndarray) -> bool:
        return bool(np.all(own[0] > 0.0))

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        durations.slopes_at(durations.LOGNORMAL, values, eta, 1.0 / own[0], out)

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        return durations.log_density(durations.LOGNORMAL, values, eta, 1.0 / own[0], xp, special)

    def mean(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return np.exp(eta + 0.5 * own[0] ** 2)

    def variance(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return np.expm1(own[0] ** 2) * np.exp(2.0 * eta + own[0] ** 2)

    @property
    def mean_scale(self) -> str:
        return "log"

    def median(self, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        return np.exp(eta)

    def cumulative_hazard(self, times: np.ndarray, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        return durations.cumulative_hazard(durations.LOGNORMAL, times, eta, 1.0 / own[0])

    def link_variance(self, own: np.ndarray, mean: float) -> np.ndarray | float | None:
        return own[0] ** 2

    def simulate(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray | None
    ) -> np.ndarray:
        return np.exp(eta + own[0] * rng.standard_normal(eta.shape))

    def simulate_after(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, entry: np.ndarray
    ) -> np.ndarray:
        return durations.draw_after(durations.LOGNORMAL, eta, 1.0 / own[0], rng, entry)

    def square_after(self, eta: np.ndarray, own: np.ndarray, entry: np.ndarray) -> np.ndarray:
        """The square of a duration is a duration of the same family."""
        return durations.mean_after(durations.LOGNORMAL, 2.0 * eta, 0.5 / own[0], entry**2)

    def mean_after(self, eta: np.ndarray, own: np.ndarray, entry: np.ndarray) -> np.ndarray:
        return durations.mean_after(durations.LOGNORMAL, eta, 1.0 / own[0], entry)
