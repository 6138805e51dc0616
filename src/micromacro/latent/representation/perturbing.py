r"""Right-hand sides whose solutions are draws from N(0, H^-1), without a factor of H (Papandreou and Yuille 2010).

With H = A'WA + D and independent standard normal :math:`e_1, e_2`, the vector :math:`A'W^{1/2}e_1 + D^{1/2}e_2` has
the covariance H, so that :math:`H^{-1}` times it has the covariance :math:`H^{-1}`.
"""

from __future__ import annotations

import numpy as np

from ...errors import EngineError
from ...numerics.rows import symmetric_times
from ..workspace import Workspace
from .base import Representation


def perturbed(factor: Representation, room: Workspace, rng: np.random.Generator, count: int) -> np.ndarray:
    """Draws (count, size) from N(0, H), in elimination order.

    Raises
    ------
    EngineError
        Where D is not diagonal, or W not positive.
    """
    s, weight = factor.symbolic, room.side.weight
    if not np.array_equal(s.d_row, s.d_column) or np.any(weight < 0.0):
        raise EngineError(
            "draws of the effects by iteration need effects that are independent of each other given their sds, "
            'and a log-concave family: fit with solver="direct"'
        )
    precision = np.zeros(s.size)
    symmetric_times(s.d_row, s.d_column, room.d_value, np.ones(s.size), precision)
    of_rows, of_x = np.sqrt(weight), np.sqrt(precision)
    out = np.zeros((count, s.size))
    for row in out:
        factor.transposed(room, of_rows * rng.standard_normal(len(of_rows)), row)
        row += of_x * rng.standard_normal(s.size)
    return out
