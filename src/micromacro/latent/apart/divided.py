"""How the rows of a part lie in pieces: what its groups have in common, and how each piece learns it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class Divided:
    """Answers of a part whose groups have nothing in common but its levels.

    Parameters
    ----------
    part : Part
    """

    def __init__(self, part: Any):
        self.part = part

    def sums(self, theta: np.ndarray) -> Any:
        """What its weights add up to at its theta, where they are normalised over all groups; else None.

        Such a sum has a method ``joined``, of a list of those of all pieces.
        """
        return None

    def scaled(self, total: Any) -> Any:
        """The part with weights normalised by what those of all pieces add up to."""
        return self.part

    def share(self, scratch: Any, total: Any) -> None:
        """Give the derivatives of its weights their part through that sum, after ``fill``."""

    def knowing(self, total: Callable[[np.ndarray], Any]) -> Any:
        """The part, asking a function of its theta for the sum over all pieces."""
        return self.part
