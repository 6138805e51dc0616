r"""How far estimates move when the error of Laplace's formula is taken into account, where members combine.

Effects that meet in a soft maximum are far from normal given the outcome: a member that never is the best of its group
is only known to lie below the others. With :math:`e(p)` the error of the log-likelihood at a point p, known by
importance sampling of the effects, and V the covariance of the estimates, the exact maximum lies at about
:math:`\hat p + V \nabla e`. The gradient is that of differences over one standard error either way, with common draws.
"""

from __future__ import annotations

import math

import numpy as np

from ...latent.marginal.laplace import LaplaceMarginal
from ...model.specification import Specification
from ...notes import Note, trouble
from ..accuracy import LaplaceError, Pairs, jackknife, log_mean_weight
from ..search import Peak
from .integral import TELL, UNKNOWN
from .problem import Problem

DRAWN = 64  # pairs at each point
OFF = 0.5  # standard errors by which an estimate may be off

_REMEDY = 'fit with engine="mcmc", which is exact'
_OF = "effects of members that combine (combine=)"
UNSURE = (
    f"Laplace's formula for the likelihood is poor here: {_OF} are so far from normal given the outcome that "
    f"importance sampling cannot say how far estimates are off: {_REMEDY}"
)


def reliance(specification: Specification, problem: Problem, peak: Peak, error: LaplaceError) -> list[Note]:
    """A trouble where members combine and estimates cannot be relied on, with what to do."""
    combined = specification.combined
    if combined is None or not combined.masks or not specification.system.n_effects:
        return []
    names = [p.name for p in (*specification.system.hypers, *specification.system.coefficients) if not p.fixed]
    if not np.all(np.isfinite(peak.hessian)):  # the formula breaks down, which is said
        return []
    if not math.isfinite(error.value) or error.se > UNKNOWN:
        return [trouble("poor-approximation", UNSURE, *names)]
    if abs(error.value) - error.se < TELL:
        return []
    off = moved(problem, peak)
    if off is None:
        return [trouble("poor-approximation", UNSURE, *names)]
    shift, se = off
    far = {
        p.name: float(s)
        for p, s, e in zip(problem.marginal.arguments, shift, se, strict=True)
        if np.isfinite(s) and abs(s) - e > OFF
    }
    if not far:
        return []
    each = ", ".join(f"{name} by {size:+.1f}" for name, size in far.items())
    text = (
        f"Laplace's formula for the likelihood is poor here, because {_OF} are far from normal given the outcome: by "
        f"importance sampling of the effects the exact maximum lies elsewhere, in standard errors: {each}; {_REMEDY}"
    )
    return [trouble("poor-approximation", text, *far)]


def moved(problem: Problem, peak: Peak) -> tuple[np.ndarray, np.ndarray] | None:
    """How far the exact maximum lies from a peak in each entry of the point, in standard errors, and the error of it.

    None where the error of the formula cannot be told near the peak.
    """
    spread, _ = peak.spread()
    values, vectors = np.linalg.eigh(spread)
    roots = vectors[:, values > 0.0] * np.sqrt(values[values > 0.0])
    slope, noise = np.zeros(roots.shape[1]), np.zeros(roots.shape[1])
    for k, root in enumerate(roots.T):
        sides = [_log_weights(problem, peak.u + sign * root) for sign in (1.0, -1.0)]
        if any(side is None for side in sides):
            return None
        both = np.array(sides)

        def half(logs: np.ndarray) -> np.ndarray:
            up, down = log_mean_weight(logs)
            return np.asarray(0.5 * (up - down))

        slope[k], noise[k] = float(half(both)), float(jackknife(both, half))
    along = problem.coordinates.jacobian(peak.u) @ roots
    size = np.linalg.norm(along, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return along @ slope / size, np.sqrt(along**2 @ noise**2) / size


def _log_weights(problem: Problem, u: np.ndarray) -> np.ndarray | None:
    """Log weights of draws of the effects (pairs, 2) at a point; None where there are none."""
    marginal, room, point = problem.marginal, problem.room, problem.coordinates.theta(u)
    assert isinstance(marginal, LaplaceMarginal)
    if not math.isfinite(marginal.value(point, room)):
        return None
    pairs, rng = Pairs(marginal, room), np.random.default_rng(np.random.SeedSequence(22))
    with np.errstate(all="ignore"):
        pairs.at(room.theta)
        logs = np.array([pairs.draw(rng.standard_normal(len(pairs.x))) for _ in range(DRAWN)])
    return logs if np.all(np.isfinite(logs.max(axis=1))) else None
