r"""Binary outcomes: :math:`P(y_i = 1) = F(\eta_i)` with the logit, probit or cloglog link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special as scipy_special

from . import binary
from .base import Family, Recession
from .response import Raw, Response, made, need_form, need_numbers
from .words import OF_EVENTS


@dataclass(frozen=True)
class Bernoulli(Family):
    """Bernoulli family: outcomes 0 and 1 (or false and true); no parameter of its own."""

    link: str = "logit"
    name: str = "bernoulli"
    discrete = True
    quantities = ("mean", "probability")
    changes = OF_EVENTS

    def __post_init__(self):
        binary.check_link(self.link, self.name)

    def read(self, raw: Raw) -> Response:
        need_form(raw, self.name, "plain")
        last = f'"{raw.categories[-1]}"' if raw.categories else ""
        need_numbers(raw, self.name, f"make it 0 and 1, in the formula by {raw.what} == {last} ~ ...")
        y = raw.columns[0]
        remedy = "code it as 0 and 1, or use gaussian (measurements), poisson (counts) or binomial (trials(k, n))"
        raw.refuse((y != 0) & (y != 1), "is neither 0 nor 1", remedy)
        raw.refuse(np.full(len(y), np.ptp(y) == 0.0), f"is always {y[0]:g} and never varies")
        return made(y)

    def scale(self, response: Response, offset: np.ndarray) -> tuple[float, float]:
        return 1.0, float(binary.quantile(self.link, response.mean()))

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        binary.slopes(binary.LINKS[self.link], values[0], np.ones(len(eta)), eta, out)

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        one, zero = binary.plain_logs(self.link, eta, xp, special)
        return xp.where(values[0] > 0.5, one, zero)

    def recession(self, values: np.ndarray, own: int) -> Recession:
        return Recession.of_ends(values[0] == 1.0, values[0] == 0.0, own)

    def mean(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return binary.probability(self.link, eta)

    def variance(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return binary.probability(self.link, eta) * (1.0 - binary.probability(self.link, eta))

    def tails(self, response: Response, eta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        one, zero = (np.exp(p) for p in binary.plain_logs(self.link, eta, np, scipy_special))
        success = response.observed > 0.5
        return np.where(success, zero, 0.0), np.where(success, 0.0, one)

    def link_variance(self, own: np.ndarray, mean: float) -> float | None:
        return binary.VARIANCE[self.link]

    def simulate(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray | None
    ) -> np.ndarray:
        return (rng.random(eta.shape) < binary.probability(self.link, eta)).astype(float)
