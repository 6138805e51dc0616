r"""The profile of a likelihood: its maximum over everything else with one entry of theta held.

The maximum is looked for from a fixed set of starts (where the whole likelihood is highest, where a fit begins, and
with standard deviations at zero and away from it, which are two humps of a likelihood that knows little of them), so
that the profile is a function of the value held and does not depend on which values were asked before.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import root_scalar

from ...errors import EngineError
from ..search import Bounds, climb
from .maxima import starting_points
from .problem import Problem

FLAT = 1e-3  # of a log-likelihood, from one value to one twice as far
REACHES = 12  # doublings of the distance from the estimate after which an end is infinite


class Profile:
    """Heights of a profile.

    Parameters
    ----------
    problem : Problem
    best : array
        The point at which the likelihood is highest.
    k : int
        Which entry of theta is held.
    others : list of arrays, optional
        Further starts in the coordinates; those of a fit, if they are not given.
    """

    def __init__(self, problem: Problem, best: np.ndarray, k: int, others: list[np.ndarray] | None = None):
        if not problem.marginal.factor.steady:
            raise EngineError(
                "a profile compares log-likelihoods, which have random errors where they are worked out by iteration: "
                'use the intervals of summary(), or fit with solver="direct"'
            )
        self.problem, self.best, self.k = problem, best, k
        self.coordinates = problem.coordinates
        self.at = self.coordinates.place(k)
        self.positive = np.array([p.positive and not p.fixed for p in self.coordinates.every], dtype=bool)
        self.sds = np.array([p.kind == "sd" and not p.fixed for p in self.coordinates.every], dtype=bool)
        self._others = starting_points(problem) if others is None else others
        self._known: dict[float, tuple[float, np.ndarray]] = {}

    def _starts(self, value: float) -> list[np.ndarray]:
        """Points from which the maximum at a value is looked for, in the coordinates."""
        q = len(self.sds)
        away, zero = self.best.copy(), self.best.copy()
        away[:q] = np.where(self.sds & (self.best[:q] < 0.2 * self.problem.start[:q]), self.problem.start[:q], away[:q])
        zero[:q] = np.where(self.sds, 0.0, zero[:q])
        points = [self.best, away, zero]
        starts = [*points, *map(self.coordinates.theta, self._others)]
        out: list[np.ndarray] = []
        for point in starts:
            moved = point.copy()
            moved[self.k] = value
            moved[:q] = np.where(self.positive & ~self.sds, np.maximum(moved[:q], 1e-9), moved[:q])
            u = self.coordinates.from_theta(moved)
            if not any(np.allclose(u, other) for other in out):
                out.append(u)
        return out

    def height(self, value: float) -> float:
        """The log-likelihood (with the log densities of priors) at its maximum over the rest; -inf where it is not."""
        return self.maximum(value)[0]

    def maximum(self, value: float) -> tuple[float, np.ndarray]:
        """The height at a value, and the coordinates there."""
        if value not in self._known:
            found = [self._climb(value, start) for start in self._starts(value)]
            self._known[value] = max(found, key=lambda one: one[0])
        return self._known[value]

    def _climb(self, value: float, start: np.ndarray) -> tuple[float, np.ndarray]:
        coordinates, q = self.coordinates, len(self.coordinates.every)
        if coordinates.scaled and (self.k == q - 1 or coordinates.sd[self.at]):
            return self._held_natural(value, start)
        bounds: Bounds = [*coordinates.bounds()]
        bounds[self.at] = (start[self.at], start[self.at])
        u, top = climb(self.problem.objective, start, bounds, self.problem.dear)
        return top, u

    def _held_natural(self, value: float, start: np.ndarray) -> tuple[float, np.ndarray]:
        """Hold an sd or sigma at a natural value: the ratio follows sigma."""
        k, last = self.at, len(start) - 1

        def complete(u: np.ndarray) -> np.ndarray:
            out = u.copy()
            out[k] = math.log(value) if k == last else self.coordinates.of_sd(k, value, u)[0]
            return out

        def objective(u: np.ndarray) -> tuple[float, np.ndarray]:
            full = complete(u)
            top, gradient = self.problem.smooth(full)
            gradient = gradient.copy()
            if k != last:
                gradient[last] += gradient[k] * self.coordinates.of_sd(k, value, full)[1]
            gradient[k] = 0.0
            return top, gradient

        bounds: Bounds = [(None, None) if j == k else b for j, b in enumerate(self.coordinates.bounds())]
        u, top = climb(self.problem.within(objective), complete(start), bounds, self.problem.dear)
        return top, complete(u)

    def end(self, level: float, step: float, limit: float) -> float:
        """Where the profile, going from the estimate in the direction of `step`, falls to a level.

        Parameters
        ----------
        level : float
        step : float
            A first step, about a standard error.
        limit : float
            The end of the entry's range.

        Returns
        -------
        float
            `limit` where the profile stays above the level up to there, or infinity: also where it has become flat
            above the level, as that of weights which can hardly be more unequal, or stays above it up to where weights
            are too small to be computed.
        """
        at = float(self.best[self.k])
        inner, outer = at, at + 2.0 * step
        for _ in range(REACHES):
            outer = min(outer, limit) if step > 0 else max(outer, limit + 1e-9)
            if inner != at and self._flat(inner, outer):
                break
            if self.height(outer) < level:
                found = _crossing(lambda value: self.height(value) - level, inner, outer, at, 1e-5 * abs(step))
                if self._breaks_off(found, step, level):
                    break
                return found
            if abs(outer - limit) < 2e-9:
                return limit
            inner, outer = outer, at + 2.0 * (outer - at)
        return math.inf if step > 0 else -math.inf

    def _breaks_off(self, value: float, step: float, level: float) -> bool:
        """Whether the profile is above the level before a value and cannot be computed beyond it, without an edge."""
        if self.problem.edge is not None:
            return False
        before, beyond = self.height(value - 1e-3 * step), self.height(value + 1e-3 * step)
        return beyond == -math.inf and before > level + FLAT

    def _flat(self, inner: float, outer: float) -> bool:
        """Whether the profile no longer changes between two values, or beyond the first cannot be computed."""
        far = self.height(outer)
        between = self.height(inner + 0.25 * (outer - inner)) if far == -math.inf else far
        return abs(between - self.height(inner)) < FLAT


def _crossing(above: Callable[[float], float], inner: float, outer: float, at: float, tolerance: float) -> float:
    """Where a function, positive at `inner` (or there at the estimate `at`) and negative at `outer`, is zero."""

    def known(value: float) -> float:
        height = above(value)
        return max(height, 1e-300) if value in (inner, at) else max(height, -1e6)

    return root_scalar(known, bracket=(inner, outer), method="brentq", xtol=tolerance, rtol=1e-10).root
