r"""Rows of very many effects as a border of low rank, so that they never become a clique of H.

With B the long rows, S the others and :math:`U = A_B'W_B^{1/2}`,

.. math:: H = H_0 + UU', \quad H_0 = A_S'W_SA_S + D, \quad Z = H_0^{-1}U, \quad C = I + U'Z,

.. math:: \log|H| = \log|H_0| + \log|C|, \quad H^{-1} = H_0^{-1} - Z C^{-1} Z', \quad H^{-1}U = Z C^{-1}

(Woodbury 1950). The same holds for the leading block of H, with Z from the leading block of :math:`H_0`. Where
:math:`H_0` is singular, or an entry of W of a long row is negative, H itself is factorised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...numerics.cholesky import solve_lower, solve_upper
from ...numerics.rows import times
from ...numerics.symbolic import Symbolic
from ..workspace import Workspace, new_workspace
from .base import Indirect, Representation
from .direct import direct


@dataclass
class Border:
    """What the border keeps in a work space.

    Attributes
    ----------
    room : Workspace
        Of the rows that are not long.
    weight : (rows,) array
        W.
    u, z, z_leading : (size, long rows) arrays
        U, H_0^-1 U, and the same of the leading block.
    c, c_leading : (long rows, long rows) arrays
        Lower Cholesky factors of C.
    itself : bool
        Whether H itself is what was factorised.
    panel : bool
        Whether the panels of H are those of what was factorised.
    """

    room: Workspace
    weight: np.ndarray
    u: np.ndarray
    z: np.ndarray
    z_leading: np.ndarray
    c: np.ndarray
    c_leading: np.ndarray
    itself: bool = False
    panel: bool = False


class Bordered(Indirect):
    """H_0 is factorised, and a small matrix of the long rows.

    Parameters
    ----------
    symbolic : Symbolic
        Its attribute ``short`` is what is factorised. D must be diagonal and must not depend on theta.
    itself : callable
        Makes the factor of H, where that is asked for.
    """

    side = "effects"

    def __init__(self, symbolic: Symbolic, itself: Callable[[], Representation]):
        assert symbolic.short is not None
        super().__init__(symbolic, itself)
        self.inner = direct(symbolic.short)
        s, short = symbolic, symbolic.short
        self.rows, self.dimension = len(s.row_start) - 1, s.leading
        row = np.repeat(np.arange(self.rows), np.diff(s.row_start))
        self.long = np.flatnonzero(np.diff(s.row_start) != np.diff(short.row_start))
        of_long = np.isin(row, self.long)
        self.kept, self.entry = np.flatnonzero(~of_long), np.flatnonzero(of_long)
        self.row, self.number = row, np.searchsorted(self.long, row[self.entry])
        r = self.border = len(self.long)
        self.work = self.inner.work + r * (16.0 * short.panel_size + 4.0 * r * s.size + 6.0 * len(s.columns))

    def prepare(self, room: Workspace, gradient: bool) -> None:
        assert self.symbolic.short is not None
        inner = new_workspace(self.symbolic.short, self.rows, room.d_value, gradient)
        self.inner.prepare(inner, gradient)
        n, r = self.symbolic.size, len(self.long)
        z, c = np.zeros((n, r)), np.eye(r)
        room.side = Border(inner, np.ones(self.rows), z.copy(), z.copy(), z.copy(), c, c)

    def factorise(self, room: Workspace, weight: np.ndarray) -> int:
        side: Border = room.side
        side.weight[:] = weight
        side.itself = side.panel = False
        root = np.sqrt(np.maximum(weight[self.long], 0.0))
        side.room.values[:] = room.values[: len(self.row)][self.kept]
        side.room.d_value = room.d_value
        bad = self.inner.factorise(side.room, weight)
        if bad >= 0 or (weight[self.long] < 0.0).any():
            self._prepare_itself(room)
            side.itself = side.panel = True
            return self.itself.factorise(room, weight)
        side.u[self.symbolic.columns[self.entry], self.number] = room.values[self.entry] * root[self.number]
        for j in range(len(self.long)):
            side.z[:, j], side.z_leading[:, j] = self._solved(side.room.panel, side.u[:, j])
        leading = self.symbolic.leading
        eye = np.eye(len(self.long))
        side.c = np.linalg.cholesky(eye + side.u.T @ side.z)
        side.c_leading = np.linalg.cholesky(eye + side.u[:leading].T @ side.z_leading[:leading])
        return -1

    def _solved(self, panel: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """H_0^-1 v, and that of the leading block with zeros after it."""
        layout, leading = self.inner.symbolic.layout, self.symbolic.leading
        half = v.copy()
        solve_lower(layout, panel, half)
        whole, block = half.copy(), half
        block[leading:] = 0.0
        solve_upper(layout, panel, whole)
        solve_upper(layout, panel, block)
        return whole, block

    def log_determinant(self, room: Workspace, leading: int) -> float:
        side: Border = room.side
        if side.itself:
            return self.itself.log_determinant(room, leading)
        c = side.c if leading == self.symbolic.size else side.c_leading
        return self.inner.log_determinant(side.room, leading) + 2.0 * float(np.log(np.diag(c)).sum())

    def solve(self, room: Workspace, x: np.ndarray) -> None:
        side: Border = room.side
        if side.itself:
            self.itself.solve(room, x)
            return
        pulled = np.linalg.solve(side.c.T, np.linalg.solve(side.c, side.z.T @ x))
        self.inner.solve(side.room, x)
        x -= side.z @ pulled

    def slopes(self, room: Workspace, leading: int) -> None:
        side: Border = room.side
        if side.itself:
            self.itself.slopes(room, leading)
            return
        s, whole = self.symbolic, leading == self.symbolic.size
        z, c = (side.z, side.c) if whole else (side.z_leading, side.c_leading)
        self.inner.slopes(side.room, leading)
        weighed = np.linalg.solve(c.T, np.linalg.solve(c, z.T)).T  # Z C^-1
        slope, ahead = np.zeros(len(self.row)), np.empty(self.rows)
        slope[self.kept] = side.room.slope
        for j in range(len(self.long)):
            times(s.row_start, s.columns, room.values, np.ascontiguousarray(weighed[:, j]), ahead)
            slope -= z[s.columns, j] * ahead[self.row]
        root = np.sqrt(side.weight[self.long])
        inverse = np.divide(1.0, root, out=np.zeros(len(root)), where=root > 0.0)
        slope[self.entry] = weighed[s.columns[self.entry], self.number] * inverse[self.number]
        room.slope[: len(slope)] = slope
        room.leverage[:] = np.bincount(self.row, slope * room.values[: len(slope)], self.rows)

    def variances(self, room: Workspace) -> np.ndarray:
        side: Border = room.side
        if side.itself:
            return self.itself.variances(room)
        half = np.linalg.solve(side.c, side.z.T)
        return self.inner.variances(side.room) - (half**2).sum(axis=0)
