"""Maxima of a smooth function of a few coordinates: quasi-Newton from several starts, then Newton to the end."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from ..numerics.differences import slopes
from .edges import SHORTENED, STALLED, Bounds, Edged, Held, ends_of
from .sparing import climb_sparingly

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]
MIRRORS = (
    0.0,
    0.5 * math.pi,
    -0.5 * math.pi,
)  # bounds at which the objective is even: an sd of zero, a correlation of 1
NOTHING = 1e-5  # what of the objective may be lost to have an sd at zero rather than next to it
WALL = 10.0  # height, relative to the objective, of what stands for a point where it does not exist
NOISE = 1e-10  # curvature that differences of gradients leave where there is none
NEAR = 4.0  # how far below a maximum the foot of another hump is looked at
ENOUGH = 1e-9  # what of the objective is not worth another step
LONG = 0.2  # a step after which it may go on in the same direction
FLAT = 1e-6  # curvature, relative to the largest, below which a direction is called flat

REMEMBERED = 8  # evaluations: searches ask again for where they begin and end


def _nothing() -> None:
    """Nobody counts along."""


class Counted:
    """An objective that counts its evaluations, and knows the last ones.

    Parameters
    ----------
    objective : Objective

    Attributes
    ----------
    count : int
    tick : callable
        Called at each evaluation.
    """

    def __init__(self, objective: Objective):
        self._objective = objective
        self._known: dict[bytes, tuple[float, np.ndarray]] = {}
        self.count = 0
        self.tick: Callable[[], None] = _nothing

    def __call__(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        key = u.tobytes()
        if key not in self._known:
            self.count += 1
            self.tick()
            self._known[key] = self._objective(u)
            if len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]
        value, gradient = self._known[key]
        return value, gradient.copy()

    def forget(self) -> None:
        """Evaluate again what was evaluated: the objective has changed."""
        self._known.clear()


@dataclass(frozen=True)
class Peak:
    """A local maximum.

    Attributes
    ----------
    u : (q,) array
    value : float
    gradient : (q,) array
    hessian : (q, q) array
        Of the entries that are free; rows and columns of entries at a bound are zero.
    free : (q,) bool array
        Entries that are not at a bound, nor fixed by an edge.
    held : Held, optional
        The edge that holds it; then `gradient` is the gradient's part along that edge.
    """

    u: np.ndarray
    value: float
    gradient: np.ndarray
    hessian: np.ndarray
    free: np.ndarray
    held: Held | None = None

    @property
    def slope(self) -> float:
        """The largest entry of the gradient that is left."""
        return float(np.abs(self.gradient[self.free]).max(initial=0.0))

    def covariance(self) -> np.ndarray:
        """Inverse of minus the Hessian of the free entries, zero elsewhere; nan for entries in a flat direction."""
        out, flat = self.spread()
        lost = np.any(np.abs(flat) > 0.1, axis=1)
        out[lost] = np.nan
        out[:, lost] = np.nan
        return out

    def spread(self) -> tuple[np.ndarray, np.ndarray]:
        """Covariance (q, q) with the flat directions held, and these (q, f), each of length one."""
        if self.held is not None:
            return self._spread_along(self.held.tangent)
        out, q = np.zeros_like(self.hessian), len(self.u)
        there = self.free & np.isfinite(np.diag(self.hessian))  # elsewhere it ran off to where nothing changes
        gone = np.eye(q)[:, self.free & ~there]
        where = np.ix_(there, there)
        block = -self.hessian[where]
        if block.size == 0:
            return out, gone
        if not np.all(np.isfinite(block)):
            return out, np.eye(q)[:, self.free]
        scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(block)), NOISE))  # unit curvature in each entry
        values, vectors = np.linalg.eigh(0.5 * (block + block.T) * np.outer(scale, scale))
        flat = values <= FLAT * max(float(values.max()), 1e-300)
        good = vectors[:, ~flat]
        out[where] = (good / values[~flat]) @ good.T * np.outer(scale, scale)
        directions = np.zeros((q, int(flat.sum())))
        directions[there] = vectors[:, flat] * scale[:, None]
        return out, np.hstack([directions / np.linalg.norm(directions, axis=0), gone])

    def _spread_along(self, tangent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same of what an edge leaves to vary."""
        if not tangent.shape[1] or not np.all(np.isfinite(self.hessian)):
            return np.zeros_like(self.hessian), tangent
        scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(self.hessian)), NOISE))
        basis = np.linalg.qr(tangent / scale[:, None])[0]
        values, vectors = np.linalg.eigh(-basis.T @ (self.hessian * np.outer(scale, scale)) @ basis)
        flat = values <= FLAT * max(float(values.max()), 1e-300)
        directions = (basis @ vectors) * scale[:, None]
        good, gone = directions[:, ~flat], directions[:, flat]
        return (good / values[~flat]) @ good.T, gone / np.linalg.norm(gone, axis=0)


def find_peaks(
    objective: Objective, starts: list[np.ndarray], bounds: Bounds, dear: bool = False, apart: float = 0.05
) -> list[Peak]:
    """Distinct local maxima reached from `starts`, the highest first.

    Starts at which the objective does not exist are passed over; an empty list means that none worked. Where an
    evaluation is `dear`, the climbs spare them.
    """
    found = [climb(objective, start, bounds, dear) for start in starts]
    best = max((value for _, value in found), default=-math.inf)
    if not math.isfinite(best):
        return []
    peaks: list[Peak] = []

    def known(u: np.ndarray, value: float) -> bool:
        return any(abs(value - p.value) < 1e-3 and np.abs(u - p.u).max(initial=0.0) < apart for p in peaks)

    for u, value in sorted(found, key=lambda one: -one[1]):
        if value < best - 12.0 or known(u, value):
            continue
        peak = sharpen(objective, u, bounds)
        if not known(peak.u, peak.value):
            peaks.append(peak)
    for peak in [p for p in peaks if p.value > best - 12.0]:
        for start in _other_humps(objective, peak, starts[0], bounds):
            u, value = climb(objective, start, bounds, dear)
            if value > best - 12.0 and not known(u, value):
                again = sharpen(objective, u, bounds)
                if not known(again.u, again.value):
                    peaks.append(again)
    peaks.sort(key=lambda peak: -peak.value)
    # a search that stalled is not a maximum, unless nothing better was found
    return [p for k, p in enumerate(peaks) if k == 0 or p.slope < STALLED]


def _other_humps(objective: Objective, peak: Peak, first: np.ndarray, bounds: Bounds) -> list[np.ndarray]:
    """Starts on the other side of sds: away from zero where one is zero, at zero where it hardly differs from it.

    A likelihood that knows little of an sd may have a hump at zero and another away from it.
    """
    out = []
    for k, (low, high) in enumerate(bounds):
        if low != 0.0 or high is not None:
            continue
        start = peak.u.copy()
        if peak.u[k] == 0.0 and first[k] > 0.0:
            start[k] = first[k]
        elif peak.u[k] > 0.0 and -peak.hessian[k, k] * peak.u[k] ** 2 < 16.0:
            start[k] = 0.0
        else:
            continue
        if objective(start)[0] > peak.value - NEAR:
            out.append(start)
    return out


def climb(objective: Objective, start: np.ndarray, bounds: Bounds, dear: bool = False) -> tuple[np.ndarray, float]:
    """Quasi-Newton searches uphill, continued from every bound at zero that is not a maximum.

    By L-BFGS-B, whose steps cost nothing but evaluations; where these are `dear`, by one that spares them.
    """
    if isinstance(objective, Edged):
        start = objective.begin(start, bounds)
    u, value = _climb(objective, start, bounds, dear)
    for _ in range(2 * len(u)):
        away = _away_from_zero(objective, u, value, bounds)
        if away is None:
            break
        u, value = _climb(objective, away, bounds, dear)
    return u, value


def _away_from_zero(objective: Objective, u: np.ndarray, value: float, bounds: Bounds) -> np.ndarray | None:
    """A higher point with one more sd above zero (or correlation inside its range), if there is one.

    The objective is even in an sd, so its slope at zero vanishes there whether that is a maximum or a minimum; and
    likewise in the arcsine of a correlation at its ends.
    """
    for k, bound in enumerate(bounds):
        for end, inward in zip(bound, (1.0, -1.0), strict=True):
            if end not in MIRRORS or bound[0] == bound[1] or u[k] != end:
                continue
            for step in (0.02, 0.05, 0.1, 0.3):
                trial = u.copy()
                trial[k] = end + inward * step
                if objective(trial)[0] > value + 1e-6:
                    return trial
    return None


def _climb(objective: Objective, start: np.ndarray, bounds: Bounds, dear: bool) -> tuple[np.ndarray, float]:
    """A search in the coordinates, and on along the edge if the objective has one."""
    u, value, ended = climb_sparingly(objective, start, bounds) if dear else (start, math.nan, False)
    if not ended:
        u, value = _climb_freely(objective, u, bounds)
    return objective.follow(u, value, bounds) if isinstance(objective, Edged) else (u, value)


def _climb_freely(objective: Objective, start: np.ndarray, bounds: Bounds) -> tuple[np.ndarray, float]:
    """Quasi-Newton searches, each from where the last one ended, until one finds nothing more.

    Where the objective does not exist (at a sigma of zero, where the first step of a search may well lead) the line
    search is shown a wall. It interpolates between values, so a wall too high would make it take steps of no length
    and end at once.
    """
    u, value, gradient = start, *objective(start)
    if not math.isfinite(value) or not np.all(np.isfinite(gradient)):
        return start, -math.inf
    if not len(start):  # everything is fixed
        return start, value
    for _ in range(4):
        wall = WALL * max(abs(value), 100.0) - value

        def downhill(u: np.ndarray, wall: float = wall) -> tuple[float, np.ndarray]:
            value, gradient = objective(u)
            if not math.isfinite(value) or not np.all(np.isfinite(gradient)):
                return wall, np.zeros_like(u)
            return -value, -gradient

        out = minimize(downhill, u, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-10, "gtol": 1e-4})
        gain = -float(out.fun) - value
        if not gain > 0.0:
            break
        u, value = np.asarray(out.x), -float(out.fun)
        if gain < 1e-3 or np.abs(out.jac[_free(u, bounds)]).max(initial=0.0) < STALLED:
            break
    return u, value


def sharpen(objective: Objective, u: np.ndarray, bounds: Bounds, steps: int = 20) -> Peak:
    """Newton steps with a Hessian of gradient differences; entries at a bound, or at a zero sd, stay there."""
    value, gradient = objective(u)
    u, value, gradient = _to_zero(objective, u, value, gradient, bounds)
    if isinstance(objective, Edged) and (held := objective.held(u, bounds)) is not None:
        return _on_the_edge(u, value, held)
    free = _free(u, bounds)
    hessian = difference_hessian(objective, u, free, bounds)
    for _ in range(steps):
        step = _newton_step(-hessian[np.ix_(free, free)], gradient, free)
        if step is None or step @ gradient < ENOUGH**1.5:
            break
        trial, new, new_gradient = _along(objective, u, value, step, bounds)
        if not new > value - ENOUGH:
            break
        moved, gained = float(np.abs(trial - u).max()), new - value
        u, value, gradient = trial, new, new_gradient
        now_free = _free(u, bounds)
        if moved > 1e-3 or not np.array_equal(now_free, free):
            free = now_free
            hessian = difference_hessian(objective, u, free, bounds)
        elif not gained > 0.0:
            break
    u, value, gradient = _to_zero(objective, u, value, gradient, bounds)
    if not np.array_equal(_free(u, bounds), free):  # Newton's steps have brought it near
        free = _free(u, bounds)
        hessian = difference_hessian(objective, u, free, bounds)
    return Peak(u, value, gradient, hessian, free)


def _on_the_edge(u: np.ndarray, value: float, held: Held) -> Peak:
    """A maximum that an edge holds; what does not move along the edge is fixed by it."""
    free = np.abs(held.tangent).max(axis=1, initial=0.0) > 1e-6
    return Peak(u, value, held.tangent @ (held.tangent.T @ held.push), held.hessian, free, held)


def _newton_step(block: np.ndarray, gradient: np.ndarray, free: np.ndarray) -> np.ndarray | None:
    """Newton's step over the free entries; along the absolute curvature, at most 1, where the function is not concave.

    None where there is no curvature to go by: a parameter ran off to where nothing exists, or a direction is flat.
    """
    if not block.size or not np.all(np.isfinite(block)):
        return None
    step = np.zeros_like(gradient)
    curvature, vectors = np.linalg.eigh(0.5 * (block + block.T))
    size = np.abs(curvature)
    if curvature[0] > 1e-14 * max(size.max(), 1e-300):
        step[free] = np.linalg.solve(block, gradient[free])
        return step
    seen = size > FLAT * size.max(initial=0.0)
    along = vectors.T @ gradient[free]
    step[free] = vectors[:, seen] @ (along[seen] / size[seen])
    return step / max(1.0, float(np.abs(step).max(initial=0.0)))


def _along(
    objective: Objective, u: np.ndarray, value: float, step: np.ndarray, bounds: Bounds
) -> tuple[np.ndarray, float, np.ndarray]:
    """A step, halved until nothing is lost; a long one that gains is doubled while it gains.

    (Where the function approaches its limit exponentially, Newton's steps are all of the same length.)
    """
    trial = _inside(u + step, bounds)
    new, new_gradient = objective(trial)
    for _ in range(6):
        if new >= value - ENOUGH:
            break
        trial = 0.5 * (trial + u)
        new, new_gradient = objective(trial)
    length = float(np.abs(trial - u).max())
    while LONG < length < 8.0 and new > value + ENOUGH:
        ahead = _inside(2.0 * trial - u, bounds)
        further, slope = objective(ahead)
        if not further > new + ENOUGH or not np.all(np.isfinite(slope)):
            break
        trial, new, new_gradient, length = ahead, further, slope, 2.0 * length
    return trial, new, new_gradient


def _to_zero(
    objective: Objective, u: np.ndarray, value: float, gradient: np.ndarray, bounds: Bounds
) -> tuple[np.ndarray, float, np.ndarray]:
    """Put entries near a bound where the objective is even exactly there where that costs nothing."""
    for k, bound in enumerate(bounds):
        for end in bound:
            if end in MIRRORS and 0.0 < abs(u[k] - end) < 0.02:
                trial = u.copy()
                trial[k] = end
                new, new_gradient = objective(trial)
                if new >= value - NOTHING:
                    u, value, gradient = trial, new, new_gradient
    return u, value, gradient


def _free(u: np.ndarray, bounds: Bounds) -> np.ndarray:
    at_low = np.array([low is not None and x <= low for x, (low, _) in zip(u, bounds, strict=True)], dtype=bool)
    at_high = np.array([high is not None and x >= high for x, (_, high) in zip(u, bounds, strict=True)], dtype=bool)
    return ~(at_low | at_high)


def _inside(u: np.ndarray, bounds: Bounds) -> np.ndarray:
    return np.clip(u, *ends_of(bounds))


def difference_hessian(
    objective: Objective, u: np.ndarray, free: np.ndarray, bounds: Bounds | None = None, h: float = 1e-4
) -> np.ndarray:
    """Hessian from central differences of the gradient over the free entries (error of order h^2), beyond edges too."""
    smooth = objective.smooth if isinstance(objective, Edged) else objective
    steps = h * np.maximum(1.0, np.abs(u))
    if bounds is not None:  # stay strictly inside
        low, high = ends_of(bounds)
        steps = np.minimum(steps, 0.5 * np.minimum(u - low, high - u))
    out = slopes(lambda u: smooth(u)[1], u, steps, np.flatnonzero(free), SHORTENED if smooth is not objective else 0)
    out = 0.5 * (out + out.T)
    out[~free] = 0.0
    out[:, ~free] = 0.0
    return out
