"""Numbers with their uncertainty, on arrays: moments and equal-tailed quantiles of draws, Wald intervals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy import special

from ..errors import EngineError, warn
from .scales import back, transform


@dataclass(frozen=True)
class Words:
    """What the numbers of a posterior are called.

    Attributes
    ----------
    point, spread : str
        Names of columns.
    points, spreads : str
        In a sentence.
    """

    point: str
    spread: str
    points: str
    spreads: str


@dataclass(frozen=True, eq=False)
class Numbers:
    """Some numbers with their uncertainty.

    Attributes
    ----------
    point : (k,) array
        Posterior means, or estimates.
    spread : (k,) array
        Posterior standard deviations, or standard errors.
    lower, upper : (k,) arrays
        Ends of the intervals.
    draws : (draws, k) array, optional
        What they were made of.
    below : (k,) array, optional
        The share of draws below zero, where the draws themselves are not kept.
    """

    point: np.ndarray
    spread: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    draws: np.ndarray | None = None
    below: np.ndarray | None = None

    def bounded(self, least: float, most: float = np.inf) -> Numbers:
        """The same, no interval reaching below `least` or above `most` unless its point lies there."""
        lower = np.where(self.point < least, self.lower, np.maximum(self.lower, least))
        upper = np.where(self.point > most, self.upper, np.minimum(self.upper, most))
        return Numbers(self.point, self.spread, lower, upper, self.draws)

    @property
    def negative(self) -> np.ndarray:
        """Probability that each is below zero: share of the draws, or by the normal distribution of its interval."""
        if self.below is not None:
            return self.below
        if self.draws is not None:
            return np.mean(self.draws < 0.0, axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            below = special.ndtr(-self.point / self.spread)
        return np.where(self.spread > 0.0, below, (self.point < 0.0).astype(float))


def of_draws(draws: np.ndarray, ci: float) -> Numbers:
    """Means, sds and equal-tailed intervals over the first axis of draws (draws, k); see :func:`centre`."""
    low, high = quantiles(draws, ci)
    return Numbers(centre(draws), spread(draws), low, high, draws)


def one_after_another(pieces: Iterable[Numbers]) -> Numbers:
    """Pieces of many numbers as one; the draws are let go piece by piece."""
    kept = [replace(piece, draws=None, below=piece.negative) for piece in pieces]
    columns = ([getattr(piece, name) for piece in kept] for name in ("point", "spread", "lower", "upper"))
    return Numbers(*map(np.concatenate, columns), below=np.concatenate([piece.negative for piece in kept]))


def of_normal(value: np.ndarray, se: np.ndarray, ci: float, scale: str = "plain") -> Numbers:
    """Estimates with standard errors and Wald intervals, made on a scale."""
    return Numbers(value, se, *wald(value, se, ci, scale))


def of_share(value: np.ndarray, se: np.ndarray, ci: float) -> Numbers:
    """Numbers between 0 and 1 with Wald intervals on the logit scale; one at an end has a plain one, cut there."""
    inside = (value > 0.0) & (value < 1.0)
    plain, out = of_normal(value, se, ci).bounded(0.0, 1.0), of_normal(value, se, ci, "logit")
    return replace(out, lower=np.where(inside, out.lower, plain.lower), upper=np.where(inside, out.upper, plain.upper))


def of_positive(value: np.ndarray, se: np.ndarray, ci: float) -> Numbers:
    """Positive numbers with Wald intervals on the log scale; one below its standard error has a plain one from zero."""
    known = (value > 0.0) & ~(se > value)
    plain, out = of_normal(value, se, ci).bounded(0.0), of_normal(value, se, ci, "log")
    return replace(out, lower=np.where(known, out.lower, plain.lower), upper=np.where(known, out.upper, plain.upper))


Moments = tuple[np.ndarray, np.ndarray, np.ndarray]


def of_mixture(plain: Moments, scaled: Moments, single: np.ndarray, ci: float, scale: str) -> Numbers:
    """Estimates of means over unseen effects, with intervals in which these effects vary.

    Parameters
    ----------
    plain, scaled : three (categories, rows) arrays each
        Value, its variance, and the variance of unseen effects; of the quantity, and of its mean on `scale`.
    single : (rows,) bool array
        Rows of one group, whose interval is made on `scale`. That of an average over groups is made around its value,
        on the log scale with the moments of a lognormal number.
    ci : float
    scale : str
    """
    value, variance, added = plain
    se = np.sqrt(variance + added)
    low, high = wald(value, se, ci, scale)
    z = normal_quantile(ci)
    with np.errstate(all="ignore"):
        if scale == "log":
            spread = np.log1p(added / value**2)
            middle, half = np.log(value) - 0.5 * spread, z * np.sqrt(variance / value**2 + spread)
            low, high = back(scale, middle - half), back(scale, middle + half)
        half = z * np.sqrt(scaled[1] + scaled[2])
        low = np.where(single, back(scale, scaled[0] - half), low)
        high = np.where(single, back(scale, scaled[0] + half), high)
    return Numbers(value.ravel(), se.ravel(), low.ravel(), high.ravel())


def check_level(ci: float) -> float:
    """A level between 0 and 1."""
    if not isinstance(ci, Real) or not 0.0 < ci < 1.0:
        raise EngineError(f"ci= is the probability that an interval covers, between 0 and 1 (0.95), not {ci!r}")
    if ci < 0.5:
        warn(f"ci={ci:g} asks for intervals that cover with probability {ci:g}; for the usual ones give {1.0 - ci:g}")
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


def wald(value: np.ndarray, se: np.ndarray, ci: float, scale: str) -> tuple[np.ndarray, np.ndarray]:
    """Wald intervals made on a scale and carried back."""
    z = normal_quantile(ci)
    if scale == "plain":
        return value - z * se, value + z * se
    with np.errstate(all="ignore"):
        t, slope = transform(scale, value)
        width = z * se * slope
        low, high = back(scale, t - width), back(scale, t + width)
    inside = np.isfinite(t) & np.isfinite(width)
    here = np.where(np.isnan(se) | (scale == "share"), np.nan, value)
    return np.where(inside, low, here), np.where(inside, high, here)
