r"""How good Laplace's formula is at the maximum: its error, and other modes of the effects that it does not count.

Where a family is not log-concave (Student's t) the effects given theta may have several modes: an outlier is followed,
or it is not. They are looked for from where rows pull that lie in a convex part of their log density: each such row's
linear predictor is moved to its own optimum along :math:`H^{-1}a_i`, the shortest way there, and a climb begins anew.
"""

from __future__ import annotations

import math

import numpy as np

from ...latent.marginal.laplace import LaplaceMarginal
from ...latent.mode import ModeRoom
from ...notes import Note, remark
from ..accuracy import LaplaceError, error_at

TELL = 0.1  # error of a log-likelihood from which it is reported
UNKNOWN = 1.0  # Monte Carlo error above which it does not say how far
_UNKNOWN = (
    "loglik is by Laplace's formula, and given the other parameters the effects are too far from normal for importance "
    'sampling to say how far off it is; sds of effects may be off too: compare with engine="mcmc"'
)
APART = 0.5  # posterior sds between two modes
TRIES = 16  # rows that are followed, at most
BELOW = 12.0  # log mass below the highest at which a mode is passed over


def formula_error(marginal: LaplaceMarginal, room: ModeRoom, point: np.ndarray) -> tuple[LaplaceError, list[Note]]:
    """The error of the log-likelihood at a point by importance sampling, and a remark where it is large."""
    none = LaplaceError(math.nan, math.nan)
    if not math.isfinite(marginal.value(point, room)):
        return none, []
    error = error_at(marginal, room, point[: len(marginal.system.hypers)])
    if not (math.isfinite(error.value) and math.isfinite(error.se)):
        return none, []
    if abs(error.value) - error.se < TELL:
        return error, []
    if error.se > UNKNOWN:
        return error, [remark("laplace-error", _UNKNOWN)]
    text = (
        f"loglik is by Laplace's formula; importance sampling of the effects at the maximum finds it too "
        f"{'low' if error.value > 0 else 'high'} by {abs(error.value):.2f} (Monte Carlo error {error.se:.2f}), and sds "
        'of effects may be off too: compare with engine="mcmc"'
    )
    return error, [remark("laplace-error", text)]


def several_modes(marginal: LaplaceMarginal, room: ModeRoom, point: np.ndarray) -> list[Note]:
    """A remark where the effects given a point have further modes."""
    gaps = other_modes(marginal, room, point)
    if not gaps:
        return []
    each = ", ".join(f"{gap:+.2f}" for gap in gaps[:5])
    text = (
        f"given the other parameters the effects have {len(gaps) + 1} modes or more (outliers are followed or not), of "
        f"which Laplace's formula counts one (log masses of the others relative to it: {each}): compare with "
        'engine="mcmc"'
    )
    return [remark("several-modes", text)]


def other_modes(marginal: LaplaceMarginal, room: ModeRoom, point: np.ndarray) -> list[float]:
    """Log masses of other modes of x at a point, relative to the one found there, the highest first."""
    top = marginal.value(point, room)
    if not math.isfinite(top):
        return []
    first = room.x.copy()
    convex = room.slopes[2, : len(room.eta)] > 1e-9 * np.abs(room.slopes[2]).max(initial=0.0)
    if not convex.any():
        return []
    starts = _starts(marginal, room, np.flatnonzero(convex))
    found, gaps = [first], []
    for start in starts:
        room.x[:] = start
        if not marginal.set_theta(point, room) or not marginal.update_factor(room):
            continue
        gap = marginal.read_value(room) - top
        apart = [marginal.length(room.x - x, room) for x in found]
        if gap > -BELOW and not min(apart) < APART:
            found.append(room.x.copy())
            gaps.append(gap)
    return sorted(gaps, reverse=True)


def _starts(marginal: LaplaceMarginal, room: ModeRoom, rows: np.ndarray) -> list[np.ndarray]:
    """x moved so that each of some rows is at its own optimum, and all of them at once; and the fixed start."""
    system, s, base = marginal.system, marginal.system.symbolic, room.base
    eta, side = room.eta.copy(), np.sign(room.slopes[1, : len(room.eta)])
    best, distance = marginal.of_each(room.slopes[0]).copy(), np.zeros(len(eta))
    unit = float(np.std(eta)) + 1.0
    with np.errstate(all="ignore"):
        for step in unit * np.geomspace(0.05, 50.0, 31):
            marginal.rows(eta + side * step, room.own, room.trial_slopes)
            density = marginal.of_each(room.trial_slopes[0])
            higher = density > best
            best[higher], distance[higher] = density[higher], step
    rows = rows[np.argsort(-distance[rows], kind="stable")][:TRIES]
    away, out = np.zeros(system.size), [marginal.start.copy()]
    for i in rows[distance[rows] > 0.0]:
        entries = slice(s.row_start[i], s.row_start[i + 1])
        ahead = np.bincount(s.columns[entries], base.values[entries], system.size)
        way = ahead.copy()
        marginal.factor.solve(base, way)
        leverage = float(ahead @ way)
        if leverage > 0.0:
            move = way * (side[i] * distance[i] / leverage)
            away += move
            out.append(room.x + move)
    return [*out, room.x + away]
