"""A part without entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .part import Term


@dataclass(frozen=True)
class Nothing(Term):
    """The part of rows that have no entries of their own: no term of the formula."""

    name: str = "rows"
    structure = None

    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)

    def scratch(self, gradient: bool = True) -> Any:
        return None

    def fill(self, theta: np.ndarray, scratch: Any, slots: np.ndarray, values: np.ndarray, offset: np.ndarray) -> bool:
        return True

    def pull(
        self, theta: np.ndarray, scratch: Any, slots: np.ndarray, slope: np.ndarray, d_offset: np.ndarray
    ) -> np.ndarray:
        return np.empty(0)

    def on(self, tables: Any) -> Self:
        return self
