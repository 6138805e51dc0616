"""Derivatives by central differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np

Of = TypeVar("Of", np.ndarray, float)
SHORTER = 0.01  # what is left of a step at whose ends a function is not finite


def central(along: Callable[[float], Of], h: float) -> Of:
    """The derivative at zero of a function of one number: (f(h) - f(-h)) / 2h.

    The function is evaluated at h first; what it gives must not be overwritten by the next evaluation.
    """
    return (along(h) - along(-h)) / (2.0 * h)


def rank_one(hessian: np.ndarray, step: np.ndarray, change: np.ndarray) -> np.ndarray:
    """The Hessian corrected by how the gradient changed over a step (Conn, Gould and Toint 1991)."""
    missed = change - hessian @ step
    size = float(missed @ step)
    if abs(size) <= 1e-8 * float(np.linalg.norm(missed) * np.linalg.norm(step)):
        return hessian
    return hessian + np.outer(missed, missed) / size


def relative_step(at: float, size: float, least: float = 1e-2) -> float:
    """A step of `size` times the number's own, which counts as `least` where it is smaller."""
    return size * max(abs(at), least)


def slopes(
    function: Callable[[np.ndarray], np.ndarray],
    at: np.ndarray,
    steps: np.ndarray,
    places: Iterable[int] | None = None,
    shorter: int = 0,
) -> np.ndarray:
    """Derivatives (rows, n) of a function (rows,) of `at` (n,), one entry moving at a time.

    Parameters
    ----------
    function : function
    at : (n,) array
    steps : (n,) array
        How far each entry moves either way.
    places : iterable of int, optional
        The entries that move; the columns of the others are zero. All of them without it.
    shorter : int
        How often a step is made shorter, by `SHORTER`, where the function is not finite at its ends: next to a place
        where a probability is zero, say.
    """
    columns = {}
    for k in range(len(at)) if places is None else places:

        def along(h: float, k: int = int(k)) -> np.ndarray:
            moved = at.copy()
            moved[k] = at[k] + h
            return function(moved)

        column, step = central(along, float(steps[k])), float(steps[k])
        for _ in range(shorter):
            if np.all(np.isfinite(column)):
                break
            step *= SHORTER
            column = central(along, step)
        columns[int(k)] = column
    rows = len(next(iter(columns.values()))) if columns else len(function(at))
    out = np.zeros((rows, len(at)))
    for k, column in columns.items():
        out[:, k] = column
    return out


SIXTH_STEP = 0.02
#: What f(kh) - f(-kh), k = 1, 2, 3, weighs in a first derivative of sixth order, h being the step.
SIXTH_FIRST = np.array([45.0, -9.0, 1.0]) / (60.0 * SIXTH_STEP)
#: What f(0) and f(kh) + f(-kh) weigh in a second one.
SIXTH_SECOND = np.array([-490.0, 270.0, -27.0, 2.0]) / (180.0 * SIXTH_STEP**2)
