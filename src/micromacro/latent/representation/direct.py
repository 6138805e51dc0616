"""H itself is factorised: by loops, or through products of blocks where it is large."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ...numerics.blocks import factorise_blocks, room_of, selected_inverse_blocks
from ...numerics.cholesky import log_determinant, selected_inverse, solve
from ...numerics.gaussian import gaussian_slopes, gaussian_squares
from ...numerics.modes import factor_at, newton_solve
from ...numerics.rows import assemble, joint_times, pair_products
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
        self._solving = self.layout.solving
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

    def assemble(self, room: Workspace, weight: np.ndarray) -> None:
        """Write H at the diagonal (rows,) of W into the panels."""
        s = self.symbolic
        assemble(s.row_start, self.pair, room.values, weight, self.d_place, room.d_value, room.panel)

    def factorise(self, room: Workspace, weight: np.ndarray) -> int:
        self.assemble(room, weight)
        return factorise_blocks(self.layout, room.panel, room.work)

    def inverse(self, room: Workspace, leading: int) -> None:
        """``room.inverse`` becomes that of the leading block of H on the pattern of the factor, zero elsewhere."""
        selected_inverse_blocks(self.layout, room.panel, leading, room.inverse, room.work)

    def log_determinant(self, room: Workspace, leading: int) -> float:
        return log_determinant(self.layout, room.panel, leading)

    def solve(self, room: Workspace, x: np.ndarray) -> None:
        solve(*self._solving, room.panel, x)

    def joint_times(self, room: Workspace, v: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
        s = self.symbolic
        joint_times(s.row_start, s.columns, room.values, s.d_row, s.d_column, room.d_value, v, x, out)

    def slopes(self, room: Workspace, leading: int) -> None:
        s = self.symbolic
        self.inverse(room, leading)
        room.slope[:] = 0.0
        pair_products(s.row_start, self.pair, room.values, room.inverse, room.slope, room.leverage)

    def panel(self, room: Workspace) -> np.ndarray:
        return room.panel

    def variances(self, room: Workspace) -> np.ndarray:
        self.inverse(room, self.symbolic.size)
        return room.inverse[self.layout.diagonal]


class Loops(Products):
    """The same by loops, which are faster where supernodes are narrow."""

    def __init__(self, symbolic: Symbolic):
        super().__init__(symbolic)
        self._factoring, self._inverting = self.layout.factoring, self.layout.inverting

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
            *self._factoring, s.row_start, self.pair, room.values, weight, self.d_place, room.d_value, room.panel,
            room.buffer,
        )  # fmt: skip

    def inverse(self, room: Workspace, leading: int) -> None:
        selected_inverse(*self._inverting, room.panel, leading, room.inverse, room.y, room.small)

    def gaussian_squares(self, room: Workspace, center: np.ndarray, leading: int) -> tuple[float, float, float]:
        s = self.symbolic
        return gaussian_squares(
            self.layout.diagonal[:leading], room.panel, s.row_start, s.columns, room.values, room.weight, room.target,
            s.d_row, s.d_column, room.d_value, center, room.mean, room.residual, room.buffer,
        )  # fmt: skip

    def gaussian_slopes(self, room: Workspace, center: np.ndarray, leading: int) -> None:
        s = self.symbolic
        self.inverse(room, leading)
        gaussian_slopes(
            s.row_start, s.columns, self.pair, room.values, room.weight, self.d_place, s.d_row, s.d_column, center,
            room.mean, room.residual, room.inverse, room.buffer, room.slope, room.leverage, room.d_weight,
            room.d_offset, room.d_entry,
        )  # fmt: skip

    def newton_step(
        self, room: Workspace, slope: np.ndarray, curvature: np.ndarray, center: np.ndarray, x: np.ndarray,
        gradient: np.ndarray, step: np.ndarray,
    ) -> tuple[int, float]:  # fmt: skip
        s = self.symbolic
        bad = self.factorise(room, curvature)
        if bad >= 0:
            return bad, 0.0
        return -1, newton_solve(
            self.layout, s.row_start, s.columns, room.values, slope, s.d_row, s.d_column, room.d_value, center, x,
            room.panel, gradient, step,
        )  # fmt: skip
