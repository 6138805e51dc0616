"""Scales on which intervals are made: plain, log, logit, share (a logit that is left out at 0 and 1)."""

from __future__ import annotations

import numpy as np


def transform(scale: str, m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A quantity on the scale of its intervals, and the derivative of that."""
    if scale == "log":
        return np.log(m), 1.0 / m
    if scale == "share":
        return np.log(m / (1.0 - m)), 1.0 / (m * (1.0 - m))
    if scale == "logit":
        return np.log(m) - np.log1p(-m), 1.0 / (m * (1.0 - m))
    return m, np.ones_like(m)


def back(scale: str, t: np.ndarray) -> np.ndarray:
    """The inverse of :func:`transform`."""
    if scale == "log":
        return np.exp(t)
    return 1.0 / (1.0 + np.exp(-t)) if scale in ("logit", "share") else t
