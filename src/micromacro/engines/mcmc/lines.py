r"""The mode of x and its mean as lines in the scores of theta, around some point.

The mean is better than the mode (:meth:`~micromacro.latent.marginal.laplace.LaplaceMarginal.corrected_mean`); what lies
between them is called the shift.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...latent.marginal.laplace import LaplaceMarginal
from ...latent.mode import ModeRoom
from ...numerics.differences import slopes
from ..coordinates import Scores

FAR = 4.0  # length of a shift (in posterior sds) beyond which the correction is not believed


@dataclass(frozen=True, eq=False)
class Line:
    """A vector that is linear in the scores: value + slope (u - center)."""

    center: np.ndarray
    value: np.ndarray
    slope: np.ndarray

    def at(self, u: np.ndarray) -> np.ndarray:
        """The vector at scores u."""
        return self.value + self.slope @ (u - self.center)


def mode_and_shift(
    marginal: LaplaceMarginal, coordinates: Scores, center: np.ndarray, level: bool = False
) -> tuple[Line, Line] | None:
    """Mode and shift with their slopes by central differences (elimination order); None where there is no mode.

    A score at the end of its range, or beside which there is no mode, has slope zero; so has a shift that is `level`,
    which is made at the center alone.
    """
    room = marginal.workspace()
    room.base.scratch = [part.scratch(False) for part in marginal.system.parts]  # no derivatives in theta here
    first = _both(marginal, coordinates, center, room)
    if first is None:
        return None
    steps = np.where(coordinates.folded, np.minimum(1e-3, 0.5 * center), 1e-3)

    def beside(u: np.ndarray) -> np.ndarray:
        room.x[:] = first[0]
        found = _both(marginal, coordinates, u, room, level)
        return np.full(first.size, np.nan) if found is None else found.ravel()

    slope = slopes(beside, center, steps, np.flatnonzero(steps > 0.0))
    slope[:, np.isnan(slope).all(axis=0)] = 0.0
    of_mode, of_shift = slope.reshape(2, first.shape[1], len(center))
    return Line(center, first[0], of_mode), Line(center, first[1], of_shift)


def _both(
    marginal: LaplaceMarginal, coordinates: Scores, u: np.ndarray, room: ModeRoom, level: bool = False
) -> np.ndarray | None:
    """Mode and shift (2, size) at some scores, or the mode and zero."""
    theta = coordinates.theta(u)
    if not math.isfinite(marginal.value(theta, room)):
        return None
    mode = room.x.copy()
    if level:
        return np.array([mode, np.zeros_like(mode)])
    return np.array([mode, mean_beside_mode(marginal, theta, room)])


def mean_beside_mode(marginal: LaplaceMarginal, theta: np.ndarray, room: ModeRoom) -> np.ndarray:
    """How far the mean of x lies from the mode in the work space (elimination order), zero where it is not believed."""
    shift = marginal.corrected_mean(theta, room) - room.x
    return shift if marginal.length(shift, room) < FAR else np.zeros_like(shift)
