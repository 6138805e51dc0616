"""The factor of H where the curvatures of rows meet in pairs (:mod:`micromacro.latent.coupling`, ``latent.blocks``)."""

from __future__ import annotations

import numpy as np

from ...numerics.blocks import factorise_blocks
from ...numerics.cholesky import factorise
from ...numerics.modes import newton_solve
from ...numerics.rows import assemble
from ...numerics.symbolic import Symbolic
from ..workspace import Workspace
from .base import Representation
from .direct import Loops, Products


def paired(symbolic: Symbolic) -> Representation:
    """The factor of H with pairs, which are in ``room.side``, by the kernels that its size asks for."""
    return PairedProducts(symbolic) if symbolic.blocked else PairedLoops(symbolic)


def _assemble(symbolic: Symbolic, room: Workspace, weight: np.ndarray) -> None:
    """H at the values and the pairs in the work space."""
    s = symbolic
    assemble(s.row_start, s.pair, room.values, weight, s.d_place, room.d_value, room.panel)
    room.side.add(room.values, room.panel, weight)


class PairedProducts(Products):
    """Through products of dense blocks."""

    def factorise(self, room: Workspace, weight: np.ndarray) -> int:
        _assemble(self.symbolic, room, weight)
        return factorise_blocks(self.symbolic.layout, room.panel, room.work)

    def slopes(self, room: Workspace, leading: int) -> None:
        super().slopes(room, leading)
        room.side.reach(room.values, room.inverse, room.leverage)


class PairedLoops(Loops):
    """By loops."""

    def factorise(self, room: Workspace, weight: np.ndarray) -> int:
        _assemble(self.symbolic, room, weight)
        return factorise(self.symbolic.layout, room.panel, room.buffer)

    def slopes(self, room: Workspace, leading: int) -> None:
        super().slopes(room, leading)
        room.side.reach(room.values, room.inverse, room.leverage)

    def newton_step(
        self, room: Workspace, slope: np.ndarray, curvature: np.ndarray, center: np.ndarray, x: np.ndarray,
        gradient: np.ndarray, step: np.ndarray,
    ) -> tuple[int, float]:  # fmt: skip
        s = self.symbolic
        bad = self.factorise(room, curvature)
        if bad >= 0:
            return bad, 0.0
        return -1, newton_solve(
            s.layout, s.row_start, s.columns, room.values, slope, s.d_row, s.d_column, room.d_value, center, x,
            room.panel, gradient, step,
        )  # fmt: skip
