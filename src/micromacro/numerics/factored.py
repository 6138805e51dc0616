"""A sparse precision apart from any data: its factor, log-determinant, draws, and entries of its inverse."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .blocks import factorised, room_of, selected_inverse_blocks
from .cholesky import inverse_quadratics, log_determinant, selected_inverse, solve_lower, solve_upper
from .rows import assemble
from .symbolic import Symbolic, analyse


@dataclass(frozen=True, eq=False)
class Pattern:
    """The analysed lower triangle of a precision (n, n)."""

    symbolic: Symbolic

    @classmethod
    def of(cls, row: np.ndarray, column: np.ndarray, n: int) -> Pattern:
        """Analyse once."""
        empty = np.empty(0, dtype=np.int64)
        return cls(analyse(0, n, empty, empty, row, column, n))

    def factor(self, value: np.ndarray) -> Factor:
        """Factorise at some values; a LinAlgError where the matrix is not positive definite."""
        s = self.symbolic
        panel = np.empty(s.panel_size)
        assemble(s.row_start, s.pair, np.empty(0), np.empty(0), s.d_place, np.ascontiguousarray(value), panel)
        if not factorised(s, panel):
            raise np.linalg.LinAlgError
        return Factor(s, panel, float(log_determinant(s.layout, panel, s.size)))


@dataclass(frozen=True, eq=False)
class Factor:
    """Cholesky factor of a sparse precision."""

    symbolic: Symbolic
    panel: np.ndarray
    log_det: float

    @classmethod
    def of(cls, row: np.ndarray, column: np.ndarray, value: np.ndarray, n: int) -> Factor:
        """Analyse and factorise; a LinAlgError where the matrix is not positive definite."""
        return Pattern.of(row, column, n).factor(value)

    @cached_property
    def _inverse(self) -> np.ndarray:
        """Panels of the inverse on the pattern of the factor."""
        s, layout = self.symbolic, self.symbolic.layout
        out = np.empty(s.panel_size)
        if s.blocked:
            selected_inverse_blocks(layout, self.panel, s.size, out, np.empty(room_of(layout)))
            return out
        widest, longest = (int(np.diff(a).max(initial=1)) for a in (layout.first, layout.row_start))
        y = np.empty(int(np.diff(layout.panel_start).max(initial=1)))
        selected_inverse(*layout.inverting, self.panel, s.size, out, y, np.empty(widest * widest + longest))
        return out

    def inverse(self) -> np.ndarray:
        """Entries of the inverse at the places of the precision's, in their order."""
        return self._inverse[self.symbolic.d_place]

    def variances(self) -> np.ndarray:
        """Diagonal of the inverse (n,)."""
        s = self.symbolic
        out = np.empty(s.size)
        out[s.order] = self._inverse[s.layout.diagonal]
        return out

    def quadratics(self, a: Any) -> np.ndarray:
        """a'D^-1 a of each row of a sparse array in compressed rows (rows,); quick where rows have one entry."""
        s, count = self.symbolic, np.diff(a.indptr)
        out, single = np.zeros(a.shape[0]), np.flatnonzero(count == 1)
        if len(single):
            at = a.indptr[single]
            out[single] = a.data[at] ** 2 * self.variances()[a.indices[at]]
        several = np.flatnonzero(count > 1)
        if len(several):
            some, found = a[several], np.empty(len(several))
            inverse_quadratics(
                s.layout, self.panel, some.indptr.astype(np.int64), s.position[some.indices], some.data,
                np.empty(s.size), found,
            )  # fmt: skip
            out[several] = found
        return out

    def draw(self, z: np.ndarray) -> np.ndarray:
        """A draw from N(0, D^-1)."""
        z = z.copy()
        solve_upper(self.symbolic.layout, self.panel, z)
        out = np.empty_like(z)
        out[self.symbolic.order] = z
        return out

    def solve(self, b: np.ndarray) -> np.ndarray:
        """D^-1 b."""
        s = self.symbolic
        x = b[s.order]
        solve_lower(s.layout, self.panel, x)
        solve_upper(s.layout, self.panel, x)
        out = np.empty_like(x)
        out[s.order] = x
        return out
