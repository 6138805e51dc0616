"""Intervals of a baseline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Intervals:
    """Intervals in which a hazard is constant, each array (intervals,).

    Attributes
    ----------
    begins, ends : arrays
        The last end is infinite if the hazard continues.
    events, time : arrays
        Events and time at risk, each group as often as its observation weight says.
    names : tuple of str
        What each is called, where they are not ``baseline.1`` and so on.
    """

    begins: np.ndarray
    ends: np.ndarray
    events: np.ndarray
    time: np.ndarray
    names: tuple[str, ...] = ()

    @property
    def index(self) -> list[str]:
        """Their names."""
        return list(self.names) or [f"baseline.{k}" for k in range(1, len(self.begins) + 1)]
