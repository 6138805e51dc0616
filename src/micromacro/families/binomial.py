r"""Successes among trials: :math:`k_i \sim \mathrm{Binomial}(n_i, F(\eta_i))`, written ``trials(k, n) ~ ...``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special as scipy_special

from ..errors import DataError, ModelError
from . import binary
from .base import Family, Recession
from .response import Limits, Raw, Response, made, need_form, need_numbers
from .words import OF_SUCCESSES


@dataclass(frozen=True)
class Binomial(Family):
    """Binomial family; `mean` is the probability of a success, `observed` the share of successes.

    A group without a trial says nothing: its likelihood is 1, its share is nan, and it is predicted like any other.
    """

    link: str = "logit"
    name: str = "binomial"
    discrete = True
    quantities = ("mean", "probability")
    changes = OF_SUCCESSES

    def __post_init__(self):
        binary.check_link(self.link, self.name)

    def read(self, raw: Raw) -> Response:
        need_form(raw, self.name, "trials")
        need_numbers(raw, self.name)
        if len(raw.columns) != 2:
            raise ModelError(f"{raw.what}: write trials(successes, n), n a column or a number")
        k, n = raw.columns
        raw.refuse((k < 0) | (k != np.floor(k)), "has successes that are not counts")
        raw.refuse((n < 0) | (n != np.floor(n)), "has trials that are not whole numbers from 0")
        raw.refuse(k > n, "has more successes than trials")
        if not n.any():
            raise DataError(f"the outcome {raw.what} has no trial at all")
        choose = scipy_special.gammaln(n + 1) - scipy_special.gammaln(k + 1) - scipy_special.gammaln(n - k + 1)
        return made(np.divide(k, n, out=np.full(len(n), np.nan), where=n > 0), k, n, choose)

    def scale(self, response: Response, offset: np.ndarray) -> tuple[float, float]:
        k, n = response.counted(response.values[0]), response.counted(response.values[1])
        share = k.sum() / n.sum() if n.any() else 0.5
        if share in (0.0, 1.0):  # all trials fail, or all succeed
            share = (k.sum() + 0.5) / (n.sum() + 1.0)
        return 1.0, float(binary.quantile(self.link, share))

    def known(self, response: Response) -> Limits:
        return Limits(response.values[0], response.values[0])

    def trials(self, values: np.ndarray) -> np.ndarray:
        return values[1]

    def with_trials(self, trials: np.ndarray) -> np.ndarray:
        unknown = np.full(len(trials), np.nan)
        return np.stack([unknown, trials, unknown])

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        binary.slopes(binary.LINKS[self.link], values[0], values[1], eta, out)
        out[0] += values[2]

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        one, zero = binary.plain_logs(self.link, eta, xp, special)
        k, failures = values[0], values[1] - values[0]
        return values[2] + xp.where(k > 0, k * one, 0.0) + xp.where(failures > 0, failures * zero, 0.0)

    def recession(self, values: np.ndarray, own: int) -> Recession:
        successes, trials = values[0], values[1]
        return Recession.of_ends(successes == trials, successes == 0.0, own, trials > 0.0)

    def mean(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return binary.probability(self.link, eta)

    def variance(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        p = binary.probability(self.link, eta)
        return p * (1.0 - p) / (1.0 if values is None else np.where(values[1] > 0, values[1], np.nan))

    def tails(self, response: Response, eta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        one, zero = (np.exp(p) for p in binary.plain_logs(self.link, eta, np, scipy_special))
        k, failures = response.values[0], response.values[1] - response.values[0]
        below = scipy_special.betainc(failures + 1.0, np.maximum(k, 1.0), zero)
        above = scipy_special.betainc(k + 1.0, np.maximum(failures, 1.0), one)
        return np.where(k > 0.0, below, 0.0), np.where(failures > 0.0, above, 0.0)

    def link_variance(self, own: np.ndarray, mean: float) -> float | None:
        return binary.VARIANCE[self.link]

    def simulate(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray | None
    ) -> np.ndarray:
        if values is None:
            raise ModelError("responses of a binomial model need the trials: predict for the data of the fit")
        return rng.binomial(values[1].astype(np.int64), binary.probability(self.link, eta)).astype(float)

    def redraw(self, response: Response, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator) -> Response:
        made = self.simulate(eta, own, rng, response.values)
        return self.again(response, "trials", made, response.values[1])
