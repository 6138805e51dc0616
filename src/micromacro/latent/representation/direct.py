"""H itself is factorised: by loops, each evaluation in one kernel, or through products of blocks where it is large."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ...numerics.blocks import factorise_blocks, room_of, selected_inverse_blocks
from ...numerics.cholesky import log_determinant, selected_inverse, solve_lower, solve_upper
from ...numerics.gaussian import gaussian_slopes, solve_gaussian
from ...numerics.modes import adjoint, factor_at, leverages, newton_step
from ...numerics.rows import assemble, pair_products
from ...numerics.symbolic import Symbolic
from ..workspace import Workspace
from .base import Representation


def direct(symbolic: Symbolic) -> Representation:
    """The factor of H by the kernels that its size asks for."""
    return Products(symbolic) if symbolic.blocked else Loops(symbolic)


class Products(Representation):
    """Panels of the factor of H in ``room.panel``, through products of dense blocks."""

    side = "effects"

    def __init__(self, symbolic: Symbolic):
        self.symbolic = symbolic
        self.layout, self.d_place = symbolic.layout, symbolic.d_place
        self.work, self.dimension = symbolic.work, symbolic.leading

    @cached_property
    def pair(self) -> np.ndarray:
        """See :class:`~micromacro.numerics.symbolic.Symbolic`."""
        return self.symbolic.pair

    def prepare(self, room: Workspace, gradient: bool) -> None:
        self._panels(room, gradient)
        room.work = np.empty(room_of(self.layout))

    def _panels(self, room: Workspace, gradient: bool) -> None:
        room.panel = np.empty(self.symbolic.panel_size)
        if gradient:
            room.inverse = np.empty(self.symbolic.panel_size)

    def factorise(self, room: Workspace, weight: np.ndarray) -> int:
        s = self.symbolic
        assemble(s.row_start, self.pair, room.values, weight, self.d_place, room.d_value, room.panel)
        return factorise_blocks(self.layout, room.panel, room.work)

    def log_determinant(self, room: Workspace, leading: int) -> float:
        return log_determinant(self.layout, room.panel, leading)

    def solve(self, room: Workspace, x: np.ndarray) -> None:
        solve_lower(self.layout, room.panel, x)
        solve_upper(self.layout, room.panel, x)

    def slopes(self, room: Workspace, leading: int) -> None:
        s = self.symbolic
        selected_inverse_blocks(self.layout, room.panel, leading, room.inverse, room.work)
        room.slope[:] = 0.0
        pair_products(s.row_start, self.pair, room.values, room.inverse, room.slope, room.leverage)

    def panel(self, room: Workspace) -> np.ndarray:
        return room.panel

    def variances(self, room: Workspace) -> np.ndarray:
        s = self.symbolic
        selected_inverse_blocks(self.layout, room.panel, s.size, room.inverse, room.work)
        return room.inverse[self.layout.diagonal]


class Loops(Products):
    """The same by loops, which are faster where supernodes are narrow; what a small model does often is one kernel."""

    def prepare(self, room: Workspace, gradient: bool) -> None:
        layout = self.layout
        self._panels(room, gradient)
        if gradient:
            widest = int(np.diff(layout.first).max(initial=1))
            longest = int(np.diff(layout.row_start).max(initial=1))
            room.y = np.empty(int(np.diff(layout.panel_start).max(initial=1)))
            room.small = np.empty(widest * widest + longest)

    def factorise(self, room: Workspace, weight: np.ndarray) -> int:
        s = self.symbolic
        return factor_at(
            self.layout,
            s.row_start,
            self.pair,
            room.values,
            weight,
            self.d_place,
            room.d_value,
            room.panel,
            room.buffer,
        )

    def slopes(self, room: Workspace, leading: int) -> None:
        s = self.symbolic
        if leading < s.size:
            selected_inverse(self.layout, room.panel, leading, room.inverse, room.y, room.small)
            room.slope[:] = 0.0
            pair_products(s.row_start, self.pair, room.values, room.inverse, room.slope, room.leverage)
            return
        leverages(
            self.layout, s.row_start, self.pair, room.values, room.panel, room.inverse, room.y, room.small, room.slope,
            room.leverage,
        )  # fmt: skip

    def variances(self, room: Workspace) -> np.ndarray:
        s = self.symbolic
        selected_inverse(self.layout, room.panel, s.size, room.inverse, room.y, room.small)
        return room.inverse[self.layout.diagonal]

    def solve_gaussian(self, room: Workspace, center: np.ndarray, leading: int) -> tuple[int, float, float, float]:
        s = self.symbolic
        return solve_gaussian(
            self.layout, s.row_start, s.columns, self.pair, room.values, room.weight, room.target, self.d_place,
            s.d_row, s.d_column, room.d_value, center, leading, room.panel, room.mean, room.residual, room.row,
            room.buffer,
        )  # fmt: skip

    def gaussian_slopes(self, room: Workspace, center: np.ndarray, leading: int) -> None:
        s = self.symbolic
        gaussian_slopes(
            self.layout, s.row_start, s.columns, self.pair, room.values, room.weight, self.d_place, s.d_row,
            s.d_column, center, leading, room.panel, room.mean, room.residual, room.inverse, room.y, room.small,
            room.buffer, room.slope, room.leverage, room.d_weight, room.d_offset, room.d_entry,
        )  # fmt: skip

    def newton_step(
        self, room: Workspace, slope: np.ndarray, curvature: np.ndarray, center: np.ndarray, x: np.ndarray,
        gradient: np.ndarray, step: np.ndarray,
    ) -> tuple[int, float]:  # fmt: skip
        s = self.symbolic
        return newton_step(
            self.layout, s.row_start, s.columns, self.pair, room.values, slope, curvature, self.d_place, s.d_row,
            s.d_column, room.d_value, center, x, room.panel, gradient, step, room.buffer,
        )  # fmt: skip

    def adjoint(self, room: Workspace, pull: np.ndarray, shift: np.ndarray, row: np.ndarray) -> None:
        s = self.symbolic
        adjoint(self.layout, s.row_start, s.columns, room.values, room.panel, pull, shift, row)
