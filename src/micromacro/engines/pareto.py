"""Pareto-smoothed importance weights (Vehtari, Simpson, Gelman, Yao and Gabry 2024), also of weights without a tail."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import logsumexp

from ..errors import EngineError

EQUAL = 1e-6  # spread of log weights that are equal but for rounding
LEAST = 25  # draws of which a fifth is a tail of five


def pareto_smoothed(log_weight: np.ndarray, r_eff: float = 1.0, equal: float = EQUAL) -> tuple[np.ndarray, float]:
    """Smoothed log weights, and the shape k of their tail.

    Parameters
    ----------
    log_weight : (n,) array
        Logarithms of importance ratios, up to a constant; minus infinity where a draw is impossible.
    r_eff : float
        Effective sample size over n, of draws from a chain.
    equal : float
        Log weights that are no further apart are equal.

    Returns
    -------
    log weights : (n,) array
        Normalised: their exponentials sum to one.
    k : float
        0 for equal weights; infinite where the largest ones are all the same draw, so that their tail has no shape.

    Raises
    ------
    EngineError
        For fewer draws than have a tail to which a Pareto distribution can be fitted.
    """
    from arviz_stats.base.array import array_stats  # slow to import; the same on both of ArviZ's lines

    finite = np.where(np.isfinite(log_weight), log_weight, -1e10)
    if np.ptp(finite) < equal:
        return np.full(len(finite), -math.log(len(finite))), 0.0
    if len(finite) < LEAST:
        raise EngineError(
            f"Pareto smoothing needs {LEAST} draws or more (of all chains), not {len(finite)}: raise draws="
        )
    raw = finite - np.asarray(logsumexp(finite))
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            # it takes minus the logarithms; its annotation of r_eff is too narrow
            smooth, k = array_stats.psislw(finite.max() - finite, r_eff=r_eff)  # pyright: ignore[reportArgumentType]
    except ValueError:  # the tail is one value, many times
        return raw, math.inf
    return smooth if np.all(np.isfinite(smooth)) else raw, math.inf if np.isnan(k) else float(k)


def power_scaled(log: np.ndarray, alpha: float) -> np.ndarray:
    """Log weights (chain, draw), smoothed, of raising a density to a power.

    Parameters
    ----------
    log : (chain, draw) array
        The density's logarithm at each draw.
    alpha : float
        The power (Kallioinen, Paananen, Buerkner and Vehtari 2024).

    Returns
    -------
    (chain, draw) array
        Not smoothed where the largest are all the same draw.
    """
    from arviz_stats.base.array import array_stats  # slow to import; the same on both of ArviZ's lines

    stats: Any = array_stats  # its annotations are narrower than what it takes
    try:
        return np.asarray(stats.power_scale_lw(log, alpha=alpha, axis=[-2, -1]))
    except ValueError:  # the tail is one value, many times
        raw = (alpha - 1.0) * log
        return raw - np.asarray(logsumexp(raw))


def smoothed(log_weight: np.ndarray) -> tuple[np.ndarray, float]:
    """Pareto-smoothed normalised weights and the shape k of their tail (0 for equal weights)."""
    smooth, k = pareto_smoothed(log_weight)
    w = np.exp(smooth)
    return w / w.sum(), k


def resample(weight: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Systematic resampling, in random order."""
    at = (np.arange(count) + rng.random()) / count
    return rng.permutation(np.minimum(np.searchsorted(np.cumsum(weight), at), len(weight) - 1))
