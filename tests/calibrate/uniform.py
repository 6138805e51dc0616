"""Tests of uniform numbers."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import special

REPLICATES = 20_000


def anderson_darling(u: np.ndarray) -> np.ndarray:
    """The statistic A-squared of numbers that should be uniform, along the last axis."""
    n = u.shape[-1]
    u = np.clip(np.sort(u, axis=-1), 1e-12, 1.0 - 1e-12)
    weight = 2.0 * np.arange(1, n + 1) - 1.0
    return -n - np.mean(weight * (np.log(u) + np.log1p(-u[..., ::-1])), axis=-1)


@cache
def _null(n: int) -> np.ndarray:
    """The statistic of uniform numbers, sorted."""
    rng = np.random.default_rng(n)
    return np.sort(np.concatenate([anderson_darling(rng.random((1000, n))) for _ in range(REPLICATES // 1000)]))


def p_value(u: np.ndarray) -> float:
    """Probability that as many uniform numbers lie as far from uniform, by simulation with a seed of its own."""
    null = _null(len(u))
    return float((1 + len(null) - np.searchsorted(null, anderson_darling(np.asarray(u)))) / (len(null) + 1))


def combined(p: np.ndarray) -> float:
    """One p-value of several that depend on each other (Cauchy combination, Liu and Xie 2020)."""
    p = np.clip(p, 1e-15, 1.0 - 1e-6)
    return float(0.5 - np.arctan(np.mean(np.tan((0.5 - p) * np.pi))) / np.pi)


def binomial_interval(k: int, n: int, ci: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share."""
    tail = 0.5 * (1.0 - ci)
    low = 0.0 if k == 0 else float(special.betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(special.betaincinv(k + 1, n - k, 1.0 - tail))
    return low, high
