"""Intervals and moments: equal-tailed quantiles of draws, Wald intervals at a maximum, on arrays."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy import special

from ..errors import EngineError, MicromacroWarning
from .base import Posterior


def check_level(ci: float) -> float:
    """A level between 0 and 1."""
    if not isinstance(ci, Real) or not 0.0 < ci < 1.0:
        raise EngineError(f"ci= is the probability that an interval covers, between 0 and 1 (0.95), not {ci!r}")
    if ci < 0.5:
        warnings.warn(
            f"ci={ci:g} asks for intervals that cover with probability {ci:g}; for the usual ones give {1.0 - ci:g}",
            MicromacroWarning, stacklevel=1,
        )  # fmt: skip
    return float(ci)


def check_whole(name: str, value: Any, least: int) -> int:
    """A whole number from `least` on, as an argument of that name."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise EngineError(f"{name}= must be a whole number of at least {least}, not {value!r}")
    return int(value)


def normal_quantile(ci: float) -> float:
    """Half the width of a two-sided normal interval, in standard errors."""
    return float(special.ndtri(0.5 + 0.5 * check_level(ci)))


def quantiles(draws: np.ndarray, ci: float) -> tuple[np.ndarray, np.ndarray]:
    """Equal-tailed interval over the first axis."""
    tail = 0.5 * (1.0 - check_level(ci))
    how = "inverted_cdf" if np.any(np.isinf(draws)) else "linear"  # nothing lies between a number and infinity
    low, high = np.quantile(draws, [tail, 1.0 - tail], axis=0, method=how)
    return low, high


def centre(draws: np.ndarray) -> np.ndarray:
    """Means over the first axis; medians where draws are infinite (variances that do not exist)."""
    endless = np.isinf(draws).any(axis=0)
    mean = np.where(endless, 0.0, draws).mean(axis=0)
    return np.where(endless, np.quantile(draws, 0.5, axis=0, method="inverted_cdf"), mean) if endless.any() else mean


def spread(draws: np.ndarray) -> np.ndarray:
    """Standard deviations over the first axis; nan where draws are infinite."""
    endless = np.isinf(draws).any(axis=0)
    return np.where(endless, np.nan, np.where(endless, 0.0, draws).std(axis=0, ddof=1))


def intervals(posterior: Posterior, ci: float) -> tuple[np.ndarray, np.ndarray]:
    """Intervals of all parameters: equal-tailed quantiles, or Wald (on the log scale for positive parameters).

    An sd that is below its standard error has a plain one from zero.
    """
    if posterior.sampled:
        return quantiles(posterior.draws.reshape(-1, posterior.draws.shape[-1]), ci)
    z = normal_quantile(ci)
    estimate, se = posterior.estimate, posterior.sd
    low, high = estimate - z * se, estimate + z * se
    for k, p in enumerate(posterior.specification.parameters):
        if p.positive and estimate[k] > 0:
            if p.kind == "sd" and se[k] > estimate[k]:  # the log scale knows nothing of it
                low[k] = max(low[k], 0.0)
            else:
                factor = np.exp(z * se[k] / estimate[k])
                low[k], high[k] = estimate[k] / factor, estimate[k] * factor
        if p.kind == "cor" and abs(estimate[k]) < 1.0:  # Fisher's z
            at, width = np.arctanh(estimate[k]), z * se[k] / (1.0 - estimate[k] ** 2)
            low[k], high[k] = np.tanh(at - width), np.tanh(at + width)
        if p.kind == "rho":
            low[k], high[k] = max(low[k], 0.0), min(high[k], 1.0)
    return low, high
