"""What one thread writes while it evaluates a latent system."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Workspace:
    """Everything that one thread writes while it evaluates a system; the system itself is never written to.

    ``d_value`` are the values of D and ``log_det`` is log|D| of the effects, at the theta last filled; where D does not
    depend on theta the values are the system's own. ``theta``, ``log_det_h`` (log|H| of what is integrated) and
    ``misfit`` (r'Wr + (m - m0)'D(m - m0)) are those of a Gaussian outcome. ``beside`` are the linear predictors of
    parameters of the family, ``d_beside`` the derivatives in them (predictors, groups). ``side`` is what a
    representation keeps of its own.
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
    inverse: np.ndarray = field(default_factory=lambda: np.empty(0))
    slope: np.ndarray = field(default_factory=lambda: np.empty(0))
    leverage: np.ndarray = field(default_factory=lambda: np.empty(0))
    d_weight: np.ndarray = field(default_factory=lambda: np.empty(0))
    d_offset: np.ndarray = field(default_factory=lambda: np.empty(0))
    d_entry: np.ndarray = field(default_factory=lambda: np.empty(0))
    d_beside: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    y: np.ndarray = field(default_factory=lambda: np.empty(0))
    small: np.ndarray = field(default_factory=lambda: np.empty(0))
    work: np.ndarray = field(default_factory=lambda: np.empty(0))
    side: Any = None
    theta: np.ndarray = field(default_factory=lambda: np.empty(0))
    log_det_h: float = 0.0
    misfit: float = 0.0
