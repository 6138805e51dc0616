r"""Cubic B-splines with equally spaced knots, and what a penalty on their second differences leaves of them.

With k splines B on [low, high] and second differences D of their coefficients, a curve :math:`B\beta` with
:math:`D\beta \sim N(0, \sigma^2 I)` is a straight line plus :math:`B D'(DD')^{-1} z`, z normal (Eilers and Marx 1996;
Currie and Durban 2002). Beyond [low, high] splines go on as straight lines.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import BSpline


def splines(x: np.ndarray, low: float, high: float, k: int) -> np.ndarray:
    """The k splines at x, (len(x), k); they sum to one."""
    step = (high - low) / (k - 3)
    of = BSpline(low + step * np.arange(-3, k + 1), np.eye(k), 3)
    inside = np.clip(x, low, high)
    beyond = (x - inside)[:, None]
    return of(inside) + (beyond * of.derivative()(inside) if beyond.any() else 0.0)


def bends(x: np.ndarray, low: float, high: float, k: int) -> np.ndarray:
    """What second differences of the coefficients that are one make of the curve, (len(x), k - 2)."""
    d = np.diff(np.eye(k), 2, axis=0)
    return splines(x, low, high, k) @ np.linalg.solve(d @ d.T, d).T
