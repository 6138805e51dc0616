r"""Steps in a few coordinates under many constraints :math:`c_j(u) \ge 0`, linearised: c + G d >= 0.

A step to the maximum of a quadratic is a least distance problem, solved by non-negative least squares (Lawson and
Hanson 1974, chapter 23), which gives the multipliers along with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import linprog

Constraints = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
ENOUGH = 1e-3  # slack, relative to the largest value, with which a point counts as well inside
SHORT = 1e-3  # price of a step, in slack, so that what does not matter stays where it is
RADII = (0.25, 1.0, 4.0, 16.0)  # how far a point inside is looked for, nearer ones first


def quadratic_step(
    gradient: np.ndarray, curvature: np.ndarray, values: np.ndarray, slopes: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    r"""The d that maximises :math:`g'd - d'Bd/2` subject to :math:`c + G d \ge 0`, and the multipliers.

    Parameters
    ----------
    gradient : (q,) array
    curvature : (q, q) array
        B, positive definite.
    values, slopes : (m,) and (m, q) arrays
        c (not negative, so that d = 0 is possible) and G.

    Returns
    -------
    d : (q,) array
    multipliers : (m,) array
        :math:`\lambda \ge 0` with :math:`B d = g + G'\lambda`; positive for constraints that hold the step.
        None where the problem could not be solved.
    """
    size = np.linalg.norm(slopes, axis=1)
    useful = np.flatnonzero(size > 0.0)
    multipliers = np.zeros(len(values))
    if not len(useful):
        return np.linalg.solve(curvature, gradient), multipliers
    root = np.linalg.cholesky(curvature)
    middle = np.linalg.solve(root, gradient)
    away = np.linalg.solve(root, slopes[useful].T / size[useful])  # G L^-T, transposed
    short = -values[useful] / size[useful] - away.T @ middle
    stacked = np.vstack([away, short])
    scale = np.linalg.norm(stacked, axis=0)
    z = least_squares_from_zero(stacked / scale, np.append(np.zeros(len(gradient)), 1.0)) / scale
    left = 1.0 - float(short @ z)
    if not left > 1e-14:
        return None
    multipliers[useful] = z / left / size[useful]
    step = np.linalg.solve(root.T, middle + away @ (z / left))
    return step, multipliers


def least_squares_from_zero(matrix: np.ndarray, aim: np.ndarray) -> np.ndarray:
    """The x >= 0 (n,) that minimises |A x - b|, by Lawson and Hanson's active sets; few entries are positive."""
    x = np.zeros(matrix.shape[1])
    inside = np.zeros(len(x), dtype=bool)
    for _ in range(3 * len(aim) + 30):
        pull = matrix.T @ (aim - matrix @ x)
        pull[inside] = -np.inf
        best = int(np.argmax(pull))
        if not pull[best] > 1e-12:
            break
        inside[best] = True
        while True:
            places = np.flatnonzero(inside)
            found = np.linalg.lstsq(matrix[:, places], aim, rcond=None)[0]
            if np.all(found > 0.0) or not len(places):
                break
            low = found <= 0.0  # go as far towards it as all stay positive
            now = x[places]
            share = now[low] / np.maximum(now[low] - found[low], 1e-300)
            now = now + float(share.min()) * (found - now)
            inside[places[low & (now <= 1e-14)]] = False
            x[:] = 0.0
            kept = inside[places]
            x[places[kept]] = now[kept]
        x[:] = 0.0
        x[places] = found
    return x


def positive_definite(matrix: np.ndarray, least: float = 1e-8) -> np.ndarray:
    """The matrix with eigenvalues taken as positive and not too small."""
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    size = np.maximum(np.abs(values), max(least * float(np.abs(values).max(initial=0.0)), 1e-12))
    return (vectors * size) @ vectors.T


def inward(
    constraints: Constraints, start: np.ndarray, low: np.ndarray, high: np.ndarray, margin: float = ENOUGH
) -> np.ndarray | None:
    """A point well inside all constraints, near `start`: linear programmes, one exact where constraints are linear.

    Parameters
    ----------
    constraints : function
        Of a point (q,): values (m,) and slopes (m, q); what does not move is left out of account.
    low, high : (q,) arrays
        Ends of each coordinate; the same where it is held.
    margin : float
        Slack, relative to the largest value, that is enough.

    Returns
    -------
    (q,) array or None
        None if no such point was found.
    """
    for radius in RADII:
        near, far = np.maximum(low, start - radius), np.minimum(high, start + radius)
        if np.any(near > far):
            continue
        point = start
        for _ in range(6):
            values, slopes = constraints(point)
            if not (np.all(np.isfinite(values)) and np.all(np.isfinite(slopes))):
                break
            step = _slackest(values, slopes, near - point, far - point)
            if step is None:
                break
            point = point + step
            if slack(constraints, point) > margin:
                return point
            if np.abs(step).max(initial=0.0) < 1e-6:
                break
    return None


def slack(constraints: Constraints, point: np.ndarray) -> float:
    """The least value among constraints that move, relative to the largest; -inf where they do not exist."""
    values, slopes = constraints(point)
    top = float(np.abs(values).max(initial=0.0))
    if not (math.isfinite(top) and top > 0.0):
        return -math.inf
    moving = np.any(slopes != 0.0, axis=1)
    return float(values[moving].min(initial=top)) / top


def _slackest(values: np.ndarray, slopes: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray | None:
    """The step within bounds at which the least of the linearised constraints is largest."""
    moving = np.any(slopes != 0.0, axis=1)
    if not moving.any():
        return None
    top = max(float(np.abs(values).max(initial=0.0)), float(np.abs(slopes).max(initial=0.0)), 1e-300)
    rows = np.unique(np.column_stack([slopes[moving], values[moving]]) / top, axis=0)
    q = slopes.shape[1]
    matrix = np.column_stack([-rows[:, :q], rows[:, :q], np.ones(len(rows))])  # up, down, slack
    ends = [*np.maximum(high, 0.0).tolist(), *np.maximum(-low, 0.0).tolist(), 1.0]
    floor = [*np.maximum(low, 0.0).tolist(), *np.maximum(-high, 0.0).tolist(), None]
    cost = np.append(np.full(2 * q, SHORT), -1.0)
    out = linprog(
        cost, A_ub=matrix, b_ub=rows[:, q], bounds=list(zip(floor, ends, strict=True)), method="highs"
    )  # fmt: skip
    return np.asarray(out.x[:q] - out.x[q : 2 * q]) if out.status == 0 else None
