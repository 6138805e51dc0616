"""What one thread writes while it evaluates a latent system."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..numerics.symbolic import Symbolic


@dataclass
class Workspace:
    """Everything that one thread writes while it evaluates a system; the system itself is never written to.

    ``d_value`` are the values of D and ``log_det`` is log|D| of the effects, at the theta last filled; where D does not
    depend on theta the values are the system's own. ``theta``, ``log_det_h`` (log|H| of what is integrated) and
    ``misfit`` (r'Wr + (m - m0)'D(m - m0)) are those of a Gaussian outcome. ``beside`` are the linear predictors of
    parameters of the family, ``d_beside`` the derivatives in them (predictors, groups); ``numbers`` and ``d_numbers``
    those that parts fill for the likelihood. ``leverage`` has those of rows, then (twice each) of the pairs of rows of
    one unit. ``side`` is what a representation keeps of its own.
    """

    values: np.ndarray
    offset: np.ndarray
    group_values: np.ndarray
    group_offset: np.ndarray
    scratch: list[Any]
    panel: np.ndarray
    mean: np.ndarray
    residual: np.ndarray
    row: np.ndarray
    target: np.ndarray
    buffer: np.ndarray
    weight: np.ndarray
    d_value: np.ndarray
    log_det: float
    beside: np.ndarray
    numbers: np.ndarray
    inverse: np.ndarray = field(default_factory=lambda: np.empty(0))
    slope: np.ndarray = field(default_factory=lambda: np.empty(0))
    leverage: np.ndarray = field(default_factory=lambda: np.empty(0))
    d_weight: np.ndarray = field(default_factory=lambda: np.empty(0))
    d_offset: np.ndarray = field(default_factory=lambda: np.empty(0))
    d_entry: np.ndarray = field(default_factory=lambda: np.empty(0))
    d_beside: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    d_numbers: np.ndarray = field(default_factory=lambda: np.empty(0))
    y: np.ndarray = field(default_factory=lambda: np.empty(0))
    small: np.ndarray = field(default_factory=lambda: np.empty(0))
    work: np.ndarray = field(default_factory=lambda: np.empty(0))
    side: Any = None
    theta: np.ndarray = field(default_factory=lambda: np.empty(0))
    log_det_h: float = 0.0
    misfit: float = 0.0


def new_workspace(
    symbolic: Symbolic, rows: int, d_value: np.ndarray, gradient: bool, border: int = 0, **more: Any
) -> Workspace:
    """Fresh work space for A (rows, size) and D of an analysed pattern.

    Parameters
    ----------
    d_value : array
        Values of D on its pattern.
    gradient : bool
        Whether derivatives are wanted.
    border : int
        Entries of A beside those of its pattern.
    more : arrays and numbers
        What is not empty.
    """
    s, n = symbolic, rows
    room = Workspace(**{
        "values": np.zeros(len(s.columns) + border), "offset": np.zeros(n), "group_values": np.empty(0),
        "group_offset": np.empty((0, 0)), "beside": np.empty((0, 0)), "numbers": np.empty(0), "scratch": [],
        "panel": np.empty(0), "mean": np.empty(s.size),
        "residual": np.empty(n), "row": np.empty(n), "target": np.empty(n),
        "buffer": np.empty(max(s.size, 1)), "weight": np.ones(n), "d_value": d_value, "log_det": 0.0,
    } | more)  # fmt: skip
    if gradient:
        room.slope = np.empty(len(room.values))
        room.leverage, room.d_weight, room.d_offset = np.empty(n), np.empty(n), np.empty(n)
        room.d_entry = np.empty(len(s.d_row))
    return room
