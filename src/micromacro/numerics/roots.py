"""Roots of many falling functions at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

MOST = 80


def falling_root(of: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Where falling functions are zero, elementwise, by secants within a bracket (halved where a secant is slow).

    Parameters
    ----------
    of : function
        From points to values, of the same shape; infinite values are allowed.
    low, high : arrays
        Ends of the brackets, between which the roots lie.
    """
    low, high = np.array(low, dtype=float), np.array(high, dtype=float)
    above, below = of(low), of(high)
    width = np.full(low.shape, np.inf)
    for _ in range(MOST):
        gap = high - low
        if np.all(gap <= 4.0 * np.spacing(np.abs(low) + np.abs(high))):
            break
        with np.errstate(all="ignore"):
            share = above / (above - below)
        slow = ~(gap <= 0.5 * width) | ~np.isfinite(share)  # the last step left more than half
        width = gap
        share = np.where(slow, 0.5, np.clip(share, 1e-3, 1.0 - 1e-3))
        middle = low + share * gap
        value = of(middle)
        up = value > 0.0
        low, above = np.where(up, middle, low), np.where(up, value, above)
        high, below = np.where(up, high, middle), np.where(up, below, value)
        done = value == 0.0
        low, high = np.where(done, middle, low), np.where(done, middle, high)
    return 0.5 * (low + high)
