r"""Durations with a constant hazard: Weibull with shape 1, mean :math:`e^{\eta_i}`; log-time (AFT) scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import durations
from .censoring import Duration
from .poisson import check_log
from .response import Response
from .words import times


@dataclass(frozen=True)
class Exponential(Duration):
    """Exponential family on the log-time scale; no parameter of its own."""

    link: str = "log"
    name: str = "exponential"
    changes = times("the expected value of {y}")
    ratios = ("hazard_ratio", "time_ratio")

    def __post_init__(self):
        check_log(self.link, self.name)

    def scale(self, response: Response, offset: np.ndarray) -> tuple[float, float]:
        return durations.log_spread(response, offset)

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        durations.slopes(durations.WEIBULL, values, eta, 1.0, out)

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        return durations.log_density(durations.WEIBULL, values, eta, 1.0, xp, special)

    def mean(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return np.exp(eta)

    def variance(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return np.exp(2.0 * eta)

    def median(self, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        return np.exp(eta) * math.log(2.0)

    def cumulative_hazard(self, times: np.ndarray, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        return durations.cumulative_hazard(durations.WEIBULL, times, eta, 1.0)

    def log_ratio(self, word: str, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        return -eta if word == "hazard_ratio" else super().log_ratio(word, eta, own)

    def link_variance(self, own: np.ndarray, mean: float) -> float | None:
        return math.pi**2 / 6.0

    def simulate(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray | None
    ) -> np.ndarray:
        return np.exp(eta) * rng.exponential(1.0, eta.shape)

    def simulate_after(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, entry: np.ndarray
    ) -> np.ndarray:
        return durations.draw_after(durations.WEIBULL, eta, 1.0, rng, entry)

    def square_after(self, eta: np.ndarray, own: np.ndarray, entry: np.ndarray) -> np.ndarray:
        """The square of a duration is a duration of the same family."""
        return durations.mean_after(durations.WEIBULL, 2.0 * eta, 0.5, entry**2)

    def mean_after(self, eta: np.ndarray, own: np.ndarray, entry: np.ndarray) -> np.ndarray:
        return durations.mean_after(durations.WEIBULL, eta, 1.0, entry)
