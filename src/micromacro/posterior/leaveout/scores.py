"""Sums of log predictive densities and their errors."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import logsumexp


def log_mean_exp(values: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """Logarithm of the mean of exponentials."""
    count = math.prod(values.shape[a] for a in ([axis] if isinstance(axis, int) else axis))
    return np.asarray(logsumexp(values, axis=axis)) - math.log(count)


def standard_error(values: np.ndarray) -> float:
    """Standard error of the sum of independent values."""
    return float(math.sqrt(len(values) * np.var(values, ddof=1))) if len(values) > 1 else math.nan
