r"""Durations with a hazard that rises or falls: :math:`\log t_i = \eta_i + e_i/\mathrm{shape}`, e extreme value.

Coefficients are on the log-time (AFT) scale as in R's survreg: exp(b) multiplies the duration. A shape above 1
means a hazard that rises with time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import special as scipy_special

from ..parameters import Parameter, PriorBook
from ..priors import HalfStudent
from . import durations
from .base import Family, SdsOf
from .censoring import Duration
from .exponential import Exponential
from .poisson import check_log
from .response import Raw, Response
from .words import Meaning, times


@dataclass(frozen=True)
class Weibull(Duration):
    """Weibull family on the log-time scale; its parameter is `shape`."""

    link: str = "log"
    name: str = "weibull"
    changes = times("the 63.2% quantile of {y}")
    predictors: ClassVar[Mapping[str, str]] = {"shape": "log"}
    residual_sd: ClassVar[SdsOf] = {"shape": lambda shape: 1.0 / shape}
    meanings: ClassVar[Mapping[str, Meaning]] = {
        "shape": Meaning(
            "the shape", "ratio of hazards at twice the time",
            "{name} = {value}: after twice the time the hazard of {y} is {number} times as high",
            lambda shape, _: 2.0 ** (shape - 1.0), (1.0, "a constant hazard"),
        ),
    }  # fmt: skip
    ratios = ("hazard_ratio", "time_ratio")

    def __post_init__(self):
        check_log(self.link, self.name)

    def read(self, raw: Raw) -> Response:
        return durations.need_spread(raw, super().read(raw))

    def scale(self, response: Response, offset: np.ndarray) -> tuple[float, float]:
        return durations.log_spread(response, offset)

    def parameters(self, book: PriorBook, scale: float, flat: bool, response: Response) -> tuple[Parameter, ...]:
        start = min(max(1.2 / scale, 0.2), 5.0)
        return (book.parameter("shape", "shape", HalfStudent(3.0, 0.0, 2.5), start=start, flat=flat),)

    def possible(self, own: np.ndarray) -> bool:
        return bool(np.all((own[0] > 0.0) & (own[0] < 1e8)))

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        durations.slopes_at(durations.WEIBULL, values, eta, own[0], out)

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        return durations.log_density(durations.WEIBULL, values, eta, own[0], xp, special)

    def mean(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return np.exp(eta) * scipy_special.gamma(1.0 + 1.0 / own[0])

    def variance(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        first, second = scipy_special.gamma(1.0 + 1.0 / own[0]), scipy_special.gamma(1.0 + 2.0 / own[0])
        return np.exp(2.0 * eta) * (second - first**2)

    def median(self, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        return np.exp(eta) * math.log(2.0) ** (1.0 / own[0])

    def cumulative_hazard(self, times: np.ndarray, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        return durations.cumulative_hazard(durations.WEIBULL, times, eta, own[0])

    def log_ratio(self, word: str, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        return -own[0] * eta if word == "hazard_ratio" else super().log_ratio(word, eta, own)

    def nests(self, smaller: Family) -> str | None:
        within = isinstance(smaller, Exponential) and self.link == smaller.link
        return "" if within else super().nests(smaller)

    def link_variance(self, own: np.ndarray, mean: float) -> np.ndarray | float | None:
        return math.pi**2 / (6.0 * own[0] ** 2)

    def simulate(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray | None
    ) -> np.ndarray:
        return np.exp(eta) * rng.weibull(own[0], eta.shape)

    def simulate_after(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, entry: np.ndarray
    ) -> np.ndarray:
        return durations.draw_after(durations.WEIBULL, eta, own[0], rng, entry)

    def square_after(self, eta: np.ndarray, own: np.ndarray, entry: np.ndarray) -> np.ndarray:
        """The square of a duration is a duration of the same family."""
        return durations.mean_after(durations.WEIBULL, 2.0 * eta, 0.5 * own[0], entry**2)

    def mean_after(self, eta: np.ndarray, own: np.ndarray, entry: np.ndarray) -> np.ndarray:
        return durations.mean_after(durations.WEIBULL, eta, own[0], entry)
