"""Directions in which a likelihood never falls, row by row: what separation is found by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse


@dataclass(frozen=True, eq=False)
class Recession:
    """Constraints on a direction along which no row's likelihood ever falls.

    With eta_i and o the changes of the linear predictor of row i and of the family's own parameters, constraint c is
    ``sign[c] * eta[row[c]] + own[c] @ o >= 0``, or ``== 0`` where the outcome is in the interior of its range. Where
    there are `others`, eta[row[c]] is less the change of another row, eta[others[c]].

    Attributes
    ----------
    row : (m,) int array
    sign : (m,) array
    own : (m, k) array
    interior : (m,) bool array
    counts : (m,) bool array
        False for rows that say nothing (no trials, an interval from zero to infinity).
    others : (m,) int array or None
        -1 where there is none.
    """

    row: np.ndarray
    sign: np.ndarray
    own: np.ndarray
    interior: np.ndarray
    counts: np.ndarray
    others: np.ndarray | None = None

    @classmethod
    def of_winners(cls, winner: np.ndarray, loser: np.ndarray, own: int) -> Recession:
        """Rows of which one was preferred to the other: (m,) ints each, -1 for what is held at zero."""
        some = winner >= 0
        row, others = np.where(some, winner, loser), np.where(some, loser, -1)
        sign, every = np.where(some, 1.0, -1.0), np.ones(len(row), dtype=bool)
        return cls(row, sign, np.zeros((len(row), own)), ~every, every, others)

    def differences(self, columns: Any) -> Any:
        """Columns (rows, k), sparse or not, at the constraints (m, k): of the row, less those of the other one."""
        out = columns[self.row]
        if self.others is None:
            return out
        there = sparse.diags_array((self.others >= 0).astype(float))
        return out - there @ columns[np.maximum(self.others, 0)]

    @classmethod
    def of_ends(cls, up: np.ndarray, down: np.ndarray, own: int, counts: np.ndarray | None = None) -> Recession:
        """Outcomes that allow the linear predictor to rise (`up`) or to fall (`down`), or neither: (rows,) bools."""
        rows = len(up)
        sign = np.where(down, -1.0, 1.0)
        counts = np.ones(rows, dtype=bool) if counts is None else counts
        return cls(np.arange(rows), sign, np.zeros((rows, own)), ~(up | down), counts)

    def of(self, which: np.ndarray) -> Recession:
        """Some of the constraints."""
        others = None if self.others is None else self.others[which]
        return replace(
            self, row=self.row[which], sign=self.sign[which], own=self.own[which], interior=self.interior[which],
            counts=self.counts[which], others=others,
        )  # fmt: skip
