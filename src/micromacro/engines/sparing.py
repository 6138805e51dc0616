"""A climb that spends few evaluations, for objectives of which each costs long.

The Hessian is differenced once, at the start, and from then on corrected by what each step showed of it (symmetric
rank one). Steps are Newton's along the absolute curvature, within a radius that grows and shrinks with how well the
quadratic foretold them. Quasi-Newton methods that begin without curvature need two to three times as many evaluations.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..numerics.differences import rank_one
from .edges import Bounds

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]

RADIUS = 1.0  # length of the first step, at most
WIDEST = 1.0
SHORT = 2e-4  # of a step after which Newton's method is sure to end the search
NOTHING = 1e-6  # gain foretold that is not worth a step
FLAT = 1e-4  # gradient of a maximum
CLIFF = 1.0  # what the objective changes, beside its slope, over a very short step in a sensible unit, at most
STEPS = 60
LOST = 1e-6  # radius in which nothing is foretold rightly any more
BEND = 0.05  # coordinates with an end at zero are linear below it, about, and logarithmic above
AGAIN = 16  # steps after which the Hessian is differenced anew, where the search has not ended


class _Bent:
    """The objective in coordinates in which those with an end at zero alone, the sds, are logarithmic but near it.

    Of an sd that is far too large the objective falls like its logarithm, so a quadratic in the sd itself is misled.
    """

    def __init__(self, objective: Objective, bounds: Bounds):
        self._objective = objective
        self._bent = np.array([low == 0.0 and high is None for low, high in bounds], dtype=bool)
        self.low = np.array([-math.inf if low is None else low for low, _ in bounds])
        self.high = np.array([math.inf if high is None else high for _, high in bounds])

    def __call__(self, v: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = self._objective(self.back(v))
        return value, gradient * np.where(self._bent, BEND * np.cosh(np.where(self._bent, v, 0.0)), 1.0)

    def into(self, u: np.ndarray) -> np.ndarray:
        """The bent coordinates."""
        return np.where(self._bent, np.arcsinh(u / BEND), u)

    def back(self, v: np.ndarray) -> np.ndarray:
        """The objective's own."""
        return np.where(self._bent, BEND * np.sinh(np.where(self._bent, v, 0.0)), v)


def climb_sparingly(objective: Objective, start: np.ndarray, bounds: Bounds) -> tuple[np.ndarray, float, bool]:
    """Uphill from a start to where Newton's method ends within a step or two; -inf where the objective does not exist.

    The last of what is returned says whether it came so far: it does not where quadratics foretell nothing.

    Parameters
    ----------
    objective : callable
        Value and gradient.
    start : (q,) array
        Within the bounds.
    bounds : list of (low, high)
        Ends of the coordinates; None where there is none.
    """
    bent = _Bent(objective, bounds)
    low, high, v = bent.low, bent.high, bent.into(start)
    value, gradient = bent(v)
    if not (math.isfinite(value) and np.all(np.isfinite(gradient))):
        return start, -math.inf, True
    radius, hessian, since, smooth, ended = RADIUS, None, 0, low < high, False
    for _ in range(STEPS):
        free = _free(v, gradient, low, high) & smooth
        if not np.abs(gradient[free]).max(initial=0.0) > FLAT:
            ended = True
            break
        if hessian is None or since == AGAIN:
            hessian, smooth = _differenced(bent, v, value, gradient, low, high)
            since, free = 0, free & smooth
        trial = np.clip(v + _newton(hessian, gradient, free, radius), low, high)
        step = trial - v
        foretold = float(gradient @ step + 0.5 * step @ hessian @ step)
        length = float(np.linalg.norm(step))
        inside = length < 0.9 * radius
        if inside and abs(foretold) < NOTHING:
            ended = True
            break
        new, slope = bent(trial)
        if not (math.isfinite(new) and np.all(np.isfinite(slope))):
            radius = 0.25 * length
            continue
        hessian, since, gain = rank_one(hessian, step, slope - gradient), since + 1, new - value
        if gain > 0.0:
            v, value, gradient = trial, new, slope
        if not (foretold > 0.0 and gain > 0.1 * foretold):
            radius = 0.3 * length
        elif gain > 0.7 * foretold and length > 0.8 * radius:
            radius = min(2.0 * radius, WIDEST)
        if inside and gain > 0.0 and length < SHORT:
            ended = True
            break
        if radius < LOST:
            break
    return bent.back(v), value, ended and bool(np.all(smooth | (low >= high)))


def _free(u: np.ndarray, gradient: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Coordinates that can move: those at a bound only where it is uphill from there."""
    return (low < high) & ~((u <= low) & (gradient <= 0.0)) & ~((u >= high) & (gradient >= 0.0))


def _differenced(
    objective: Objective, u: np.ndarray, value: float, gradient: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Hessian by differences of gradients to one side, and which coordinates have one (q,): their unit makes sense.

    The others, in which a likelihood is flat and then falls off a cliff, are left to another search.
    """
    out, smooth = np.zeros((len(u), len(u))), np.zeros(len(u), dtype=bool)
    for k in np.flatnonzero(low < high):
        h = 1e-4 * max(1.0, abs(u[k]))
        h = h if u[k] + h <= high[k] else -h
        moved = u.copy()
        moved[k] += h
        there, slope = objective(moved)
        if np.all(np.isfinite(slope)) and abs(there - value - h * gradient[k]) < CLIFF:
            out[k], smooth[k] = (slope - gradient) / h, True
    out[:, ~smooth] = 0.0
    return 0.5 * (out + out.T), smooth


def _newton(hessian: np.ndarray, gradient: np.ndarray, free: np.ndarray, radius: float) -> np.ndarray:
    """Newton's step along the absolute curvature in the free coordinates, at most as long as the radius."""
    values, vectors = np.linalg.eigh(hessian[np.ix_(free, free)])
    along = vectors.T @ gradient[free]
    size = np.maximum(np.abs(values), 1e-8 * np.abs(values).max(initial=0.0))
    size = np.maximum(size, np.abs(along) / radius)  # no direction alone is longer than the radius
    out = np.zeros(len(gradient))
    out[free] = vectors @ np.divide(along, size, out=np.zeros(len(along)), where=size > 0.0)
    return out * min(1.0, radius / max(float(np.linalg.norm(out)), 1e-300))
