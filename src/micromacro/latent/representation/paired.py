"""The factor of H where the curvatures of rows meet in pairs (:mod:`micromacro.latent.coupling`, ``latent.blocks``)."""

from __future__ import annotations

import numpy as np

from ...numerics.cholesky import factorise
from ...numerics.symbolic import Symbolic
from ..workspace import Workspace
from .base import Representation
from .direct import Loops, Products


def paired(symbolic: Symbolic) -> Representation:
    """The factor of H with pairs, which are in ``room.side``, by the kernels that its size asks for."""
    return PairedProducts(symbolic) if symbolic.blocked else PairedLoops(symbolic)


class PairedProducts(Products):
    """Through products of dense blocks."""

    def assemble(self, room: Workspace, weight: np.ndarray) -> None:
        super().assemble(room, weight)
        room.side.add(room.values, room.panel, weight)

    def slopes(self, room: Workspace, leading: int) -> None:
        super().slopes(room, leading)
        room.side.reach(room.values, room.inverse, room.leverage)


class PairedLoops(PairedProducts, Loops):
    """By loops."""

    def factorise(self, room: Workspace, weight: np.ndarray) -> int:
        self.assemble(room, weight)
        return factorise(*self.layout.factoring, room.panel, room.buffer)
