r"""Searches for a maximum under constraints: raw weights that are to be normalised must not be negative.

Beyond the edge there is no density, but the likelihood itself goes on smoothly, and is differentiated there. A search
that a plain climb left at the edge goes on by sequential quadratic programming: with g and H the gradient and the
Hessian of the Lagrangian :math:`f + \lambda'c`, each step maximises

.. math:: g'd + \tfrac12 d'Hd \quad\text{subject to}\quad c(u) + c'(u)\,d \ge 0,

is brought back to the edge where that is curved, and halved until f rises. At the maximum the constraints with
positive multipliers hold it; what is left to vary is their tangent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..latent.system import System
from ..numerics.aggregation import ROUNDING
from ..numerics.constraints import inward, positive_definite, quadratic_step
from ..numerics.differences import slopes

Smooth = Callable[[np.ndarray], tuple[float, np.ndarray]]
Bounds = list[tuple[float | None, float | None]]
ROUNDS = 60
RADIUS = 3.0  # how far one step may go in a coordinate
STALLED = 1e-2  # slope that is left where a search did not end at a maximum, but at an edge perhaps
HOLDS = 1e-7  # multiplier, relative to the gradient, from which a constraint holds the maximum
SHORTENED = 3  # times that a step of a difference is made shorter where the likelihood does not exist at its ends
CLOSE = 1e-9  # distance from the edge below which a point is on it


@dataclass(frozen=True, eq=False)
class Edge:
    """The edges of a system's parts, in the coordinates of a search.

    Attributes
    ----------
    system : System
        The one that has them.
    theta : function
        Theta, perhaps with coefficients after it, at a point u.
    jacobian : function
        d theta / d u (q or more, len(u)).
    """

    system: System
    theta: Callable[[np.ndarray], np.ndarray]
    jacobian: Callable[[np.ndarray], np.ndarray]

    @classmethod
    def of(cls, system: System, coordinates: Any) -> Edge | None:
        """The edges of a system in some coordinates; None if it has none."""
        return cls(system, coordinates.theta, coordinates.jacobian) if system.edges else None

    def distances(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances (m,) of all memberships of blocks with an edge, part by part, and their slopes (m, len(u))."""
        theta, jacobian = self.theta(u), self.jacobian(u)
        values, rows = [], []
        for k in self.system.edges:
            where = self.system.places.reads(k)
            value, slope = self.system.parts[k].distances(theta[where])
            values.append(value)
            rows.append(slope @ jacobian[where])
        return np.concatenate(values), np.concatenate(rows)


@dataclass(frozen=True, eq=False)
class Held:
    """A maximum on the edge.

    Attributes
    ----------
    hessian : (q, q) array
        Of the Lagrangian; zero rows and columns for coordinates at a bound.
    tangent : (q, k) array
        An orthonormal basis of the directions in which the maximum can move.
    push : (q,) array
        The gradient, which presses against the edge.
    """

    hessian: np.ndarray
    tangent: np.ndarray
    push: np.ndarray

    def across(self) -> np.ndarray:
        """A scale matrix (q, q) of directions that lead away from the edge, along which a density falls like exp(-g's).

        Coordinates at a bound are not among them.
        """
        moving = np.diag(np.any(self.hessian != 0.0, axis=1).astype(float))
        normal = moving - self.tangent @ self.tangent.T
        count = max(round(float(np.trace(normal))), 1)
        return normal * count / max(float(self.push @ normal @ self.push), count)


class Edged:
    """An objective that ends at an edge: -inf beyond it.

    Parameters
    ----------
    smooth : callable
        Value and gradient, beyond the edge too.
    edge : Edge
    """

    def __init__(self, smooth: Smooth, edge: Edge):
        self.smooth, self.edge = smooth, edge

    def __call__(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        if not self._inside(u):
            return -math.inf, np.full(len(u), math.nan)
        return self.smooth(u)

    def _inside(self, u: np.ndarray) -> bool:
        values, _ = self.edge.distances(u)
        return bool(values.min(initial=0.0) >= -ROUNDING)

    def begin(self, u: np.ndarray, bounds: Bounds) -> np.ndarray:
        """The point itself if it is within the edge, else one near it that is; the point again if there is none."""
        if self._inside(u):
            return u
        low, high = ends_of(bounds)
        found = inward(self.edge.distances, u, low, high)
        return u if found is None else found

    def follow(self, u: np.ndarray, value: float, bounds: Bounds) -> tuple[np.ndarray, float]:
        """On from where a plain climb ended, along the edge if it ended there."""
        value, gradient = self.smooth(u) if math.isfinite(value) else (value, np.full(len(u), math.nan))
        if not np.all(np.isfinite(gradient)):
            return u, value
        if np.abs(gradient[_moving(u, bounds)]).max(initial=0.0) < STALLED:
            return u, value
        multipliers = np.zeros(len(self.edge.distances(u)[0]))
        for _ in range(ROUNDS):
            found = self._step(u, gradient, multipliers, bounds)
            if found is None:
                break
            step, multipliers = found
            trial = self._risen(u, value, float(gradient @ step), step, bounds)
            if trial is None:
                break
            gain, moved = trial[1] - value, float(np.abs(trial[0] - u).max())
            u, value, gradient = trial
            if gain < 1e-9 and moved < 1e-7:
                break
        return u, value

    def _step(
        self, u: np.ndarray, gradient: np.ndarray, multipliers: np.ndarray, bounds: Bounds
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """A step of sequential quadratic programming, and the multipliers of the edge."""
        values, rows = self.edge.distances(u)
        hessian = self._curvature(u, multipliers, bounds)
        if not np.all(np.isfinite(hessian)):
            return None
        moves = _moving(u, bounds)
        near = np.flatnonzero(values <= RADIUS * np.abs(rows).sum(axis=1))
        low, high = ends_of(bounds)
        one = np.eye(len(u))[moves]
        limits = np.concatenate([np.minimum(u - low, RADIUS)[moves], np.minimum(high - u, RADIUS)[moves]])
        stacked = np.vstack([rows[near], one, -one])[:, moves]
        found = quadratic_step(
            gradient[moves], positive_definite(-hessian[np.ix_(moves, moves)]),
            np.maximum(np.concatenate([values[near], limits]), 0.0), stacked,
        )  # fmt: skip
        if found is None:
            return None
        step, own = np.zeros(len(u)), np.zeros(len(values))
        step[moves], own[near] = found[0], found[1][: len(near)]
        return step, own

    def _risen(
        self, u: np.ndarray, value: float, promise: float, step: np.ndarray, bounds: Bounds
    ) -> tuple[np.ndarray, float, np.ndarray] | None:
        """A higher point along a step, brought back to the edge; None where there is none."""
        for k in range(25):
            trial = self._brought_back(u + 0.5**k * step, bounds)
            if trial is None:
                continue
            new, gradient = self.smooth(trial)
            if math.isfinite(new) and np.all(np.isfinite(gradient)) and new > value + 1e-4 * 0.5**k * max(promise, 0.0):
                return trial, new, gradient
        return None

    def _brought_back(self, u: np.ndarray, bounds: Bounds) -> np.ndarray | None:
        """The nearest point that is not beyond the edge, by Newton's method on the constraints that are broken."""
        low, high = ends_of(bounds)
        held = low == high
        u = np.clip(u, low, high)
        for _ in range(8):
            values, rows = self.edge.distances(u)
            broken = values < -0.1 * ROUNDING
            if not np.any(broken):
                return u
            rows = np.where(held, 0.0, rows[broken])
            u = np.clip(u - np.linalg.lstsq(rows, values[broken], rcond=None)[0], low, high)
        return None

    def _curvature(self, u: np.ndarray, multipliers: np.ndarray, bounds: Bounds) -> np.ndarray:
        """Hessian of the Lagrangian in coordinates that are not held, by differences across the edge."""
        low, high = ends_of(bounds)
        moves = _moving(u, bounds)
        active = np.flatnonzero(multipliers)

        def gradient(u: np.ndarray) -> np.ndarray:
            out = self.smooth(u)[1]
            return out + multipliers[active] @ self.edge.distances(u)[1][active] if len(active) else out

        steps = 1e-4 * np.maximum(1.0, np.abs(u))
        steps = np.minimum(steps, 0.5 * np.minimum(u - low, high - u))
        out = slopes(gradient, u, steps, np.flatnonzero(moves), SHORTENED)
        out = 0.5 * (out + out.T)
        out[~moves], out[:, ~moves] = 0.0, 0.0
        return out

    def held(self, u: np.ndarray, bounds: Bounds) -> Held | None:
        """What holds a maximum on the edge; None for one inside."""
        values, rows = self.edge.distances(u)
        near = values < CLOSE
        if not np.any(near):
            return None
        _, gradient = self.smooth(u)
        free = _moving(u, bounds)
        if not free.any() or not np.all(np.isfinite(gradient)):
            return None
        held = np.where(free, rows[near], 0.0)
        size = np.linalg.norm(held, axis=1)
        found = quadratic_step(np.where(free, gradient, 0.0), np.eye(len(u)), np.zeros(len(held)), held)
        if found is None:
            return None
        strength = found[1] * size
        active = strength > HOLDS * max(1.0, float(np.abs(gradient[free]).max()))
        if not np.any(active):
            return None
        multipliers = np.zeros(len(values))
        multipliers[np.flatnonzero(near)] = np.where(active, found[1], 0.0)
        hessian = self._curvature(u, multipliers, bounds)
        hessian[~free], hessian[:, ~free] = 0.0, 0.0
        return Held(hessian, _complement(held[active] / size[active][:, None], free), np.where(free, gradient, 0.0))


def ends_of(bounds: Bounds) -> tuple[np.ndarray, np.ndarray]:
    """Ends of all coordinates, infinite where there is none."""
    low = np.array([-math.inf if b[0] is None else b[0] for b in bounds])
    high = np.array([math.inf if b[1] is None else b[1] for b in bounds])
    return low, high


def _moving(u: np.ndarray, bounds: Bounds) -> np.ndarray:
    """Coordinates that are not at a bound."""
    low, high = ends_of(bounds)
    return (u > low) & (u < high)


def _complement(rows: np.ndarray, free: np.ndarray) -> np.ndarray:
    """An orthonormal basis (q, k) of the free coordinates' directions that some rows (m, q) do not see."""
    places = np.flatnonzero(free)
    _, size, right = np.linalg.svd(rows[:, places], full_matrices=True)
    rank = int(np.count_nonzero(size > 1e-8 * size.max(initial=1e-300)))
    out = np.zeros((len(free), len(places) - rank))
    out[places] = right[rank:].T
    return out
