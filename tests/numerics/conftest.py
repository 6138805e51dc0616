"""A sparse system H = A'WA + D on a random pattern, beside the same in plain dense arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from micromacro.numerics.blocks import factorise_blocks, room_of
from micromacro.numerics.cholesky import factorise
from micromacro.numerics.rows import assemble
from micromacro.numerics.symbolic import Symbolic, analyse

EPS = np.finfo(float).eps


@dataclass
class Problem:
    """Sparse arrays as the kernels take them; `A`, `D` and `H` are dense and in elimination order."""

    symbolic: Symbolic
    values: np.ndarray
    weight: np.ndarray
    d_value: np.ndarray
    A: np.ndarray
    D: np.ndarray
    H: np.ndarray

    @property
    def blocks(self) -> tuple[int, int]:
        """The two leading blocks that a caller may ask for: the effects', and all."""
        return self.symbolic.leading, self.symbolic.size

    def rounding(self, matrix: np.ndarray) -> float:
        """Relative error that solving with a matrix may make: rounding times condition number times size."""
        return 10.0 * EPS * len(matrix) * np.linalg.cond(matrix) if len(matrix) else 0.0

    def assembled(self) -> np.ndarray:
        s = self.symbolic
        panel = np.full(s.panel_size, np.nan)
        assemble(s.row_start, s.pair, self.values, self.weight, s.d_place, self.d_value, panel)
        return panel

    def factor(self, blocks: bool = False) -> np.ndarray:
        panel, layout = self.assembled(), self.symbolic.layout
        if blocks:
            assert factorise_blocks(layout, panel, np.full(room_of(layout), np.nan)) == -1
        else:
            assert factorise(*layout.factoring, panel, np.empty(max(self.symbolic.size, 1))) == -1
        return panel

    def dense(self, panel: np.ndarray) -> np.ndarray:
        """The lower triangle that panels hold."""
        layout, n = self.symbolic.layout, self.symbolic.size
        out = np.zeros((n, n))
        for k in range(len(layout.first) - 1):
            rows = layout.rows[layout.row_start[k] : layout.row_start[k + 1]]
            for c, column in enumerate(range(layout.first[k], layout.first[k + 1])):
                at = layout.panel_start[k] + c * len(rows)
                out[rows[c:], column] = panel[at + c : at + len(rows)]
        return out

    def pattern(self) -> np.ndarray:
        """Where the factor stores something (lower triangle)."""
        return self.dense(np.ones(self.symbolic.panel_size)) > 0


def make_problem(a_pattern: np.ndarray, d_pattern: np.ndarray, leading: int, rng: np.random.Generator) -> Problem:
    """Random values on a pattern of A (rows, size) and of D (lower triangle, its diagonal always complete)."""
    n_rows, size = a_pattern.shape
    rows, columns = np.nonzero(a_pattern)
    shuffle = rng.permutation(len(rows))
    rows, columns = rows[shuffle], columns[shuffle]
    d_row, d_column = np.nonzero(np.tril(d_pattern, -1) | np.eye(size, dtype=bool))
    symbolic = analyse(n_rows, size, rows, columns, d_row, d_column, leading)
    handed_in = rng.standard_normal(len(rows))
    values = np.empty(len(rows))
    values[symbolic.entry] = handed_in
    A = np.zeros((n_rows, size))
    A[rows, columns] = handed_in
    D = np.zeros((size, size))
    beside = d_row != d_column
    D[d_row[beside], d_column[beside]] = rng.uniform(-1.0, 1.0, beside.sum())
    D += D.T
    D += np.diag(np.abs(D).sum(axis=0) + rng.uniform(0.5, 2.0, size))
    order = np.ix_(symbolic.order, symbolic.order)
    weight = rng.uniform(0.2, 3.0, n_rows)
    H = A.T @ (weight[:, None] * A) + D
    return Problem(symbolic, values, weight, D[d_row, d_column], A[:, symbolic.order], D[order], H[order])


@pytest.fixture(scope="session")
def problem():
    """Makes a problem from patterns."""
    return make_problem
