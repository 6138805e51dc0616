r"""Factorise on the side of the groups: a matrix of rows by rows instead of effects by effects.

With A = (U, X) the columns of the effects and of the coefficients, D diagonal on the effects, d its diagonal, and P the
prior precision of the coefficients,

.. math:: C = I + W^{1/2} U D^{-1} U' W^{1/2}, \quad \log|H_{uu}| = \log|C| + \sum\log d_k, \quad
   H_{uu}^{-1} U' W^{1/2} = D^{-1} U' W^{1/2} C^{-1}

(the matrix determinant lemma; Woodbury 1950). C has the form I + sum over effects of the outer products of their
columns, so it is analysed, factorised and inverted on its pattern as H is, with groups and effects in each other's
place. The few coefficients come in by the Schur complement :math:`T = P + X'W^{1/2} C^{-1} W^{1/2} X`, with

.. math:: M = H_{uu}^{-1}H_{ub} = D^{-1}U'W^{1/2}C^{-1}W^{1/2}X, \quad
   H^{-1}a_i = \begin{pmatrix} H_{uu}^{-1}u_i - M T^{-1} q_i \\ T^{-1} q_i \end{pmatrix}, \quad
   q_i = w_i^{-1/2} (C^{-1}W^{1/2}X)_i .

The mean of x for a Gaussian outcome is :math:`D^{-1}U'W^{1/2}e` with :math:`e = C^{-1}W^{1/2}(y - Xb)`, which is no
difference of large numbers. A negative entry of W, which a family that is not log-concave may have, has no root: then
H itself is factorised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...numerics.rows import times, transposed_times
from ...numerics.symbolic import Symbolic, analyse
from ..workspace import Workspace, new_workspace
from .base import Indirect, Representation
from .direct import direct

CERTAIN = 1e-6  # posterior over prior variance of an effect below which 1 less its leverage has lost digits


@dataclass
class Side:
    """What the side of the groups keeps in a work space.

    Attributes
    ----------
    room : Workspace
        Of C, whose rows are the effects and whose x are the groups.
    weight, root : (rows,) arrays
        W and its root.
    spread : (effects,) array
        1 / d.
    x, k : (rows, c) arrays
        Root of W times X; C^-1 times that.
    m : (size, c) array
        M, and zeros.
    t : (c, c) array
        Lower Cholesky factor of T.
    vector : (size,) array
    itself : bool
        Whether H itself is what was factorised.
    panel : bool
        Whether the panels of H are those of what was factorised.
    """

    room: Workspace
    weight: np.ndarray
    root: np.ndarray
    spread: np.ndarray
    x: np.ndarray
    k: np.ndarray
    m: np.ndarray
    t: np.ndarray
    vector: np.ndarray
    itself: bool = False
    panel: bool = False


class GroupSide(Indirect):
    """C = I + W^1/2 U D^-1 U' W^1/2 is factorised.

    Parameters
    ----------
    symbolic : Symbolic
        D must be diagonal and must not depend on theta.
    itself : callable
        Makes the factor of H, where that is asked for.
    effects : int
        Entries of x before the coefficients.
    """

    side = "groups"

    def __init__(self, symbolic: Symbolic, itself: Callable[[], Representation], effects: int):
        super().__init__(symbolic, itself)
        s, self.effects = symbolic, effects
        self.rows = len(s.row_start) - 1
        self.dimension = self.rows
        row = np.repeat(np.arange(self.rows), np.diff(s.row_start))
        self.row_of_entry, self.count = row, len(row)
        of_effect = s.columns < effects
        self.entry, self.coefficient = np.flatnonzero(of_effect), np.flatnonzero(~of_effect)
        self.row, self.column = row[self.entry], s.columns[self.entry].astype(np.int64)
        self.coefficient_row, self.coefficient_column = row[self.coefficient], s.columns[self.coefficient] - effects
        every = np.arange(self.rows)
        self.inner = direct(analyse(effects, self.rows, self.column, self.row, every, every, self.rows))
        self.place = self.inner.symbolic.entry
        self.work = self.inner.work + 20.0 * len(s.columns) * (1 + s.size - effects)

    def prepare(self, room: Workspace, gradient: bool) -> None:
        s, n, c = self.symbolic, self.rows, self.symbolic.size - self.effects
        inner = new_workspace(self.inner.symbolic, self.effects, np.ones(n), gradient)
        self.inner.prepare(inner, gradient)
        room.side = Side(
            inner, np.ones(n), np.empty(n), np.empty(self.effects), np.zeros((n, c)), np.zeros((n, c)),
            np.zeros((s.size, c)), np.eye(c), np.empty(s.size),
        )  # fmt: skip

    def factorise(self, room: Workspace, weight: np.ndarray) -> int:
        side: Side = room.side
        side.weight[:] = weight
        side.panel = side.itself = bool((weight < 0.0).any())
        if side.itself:
            self._prepare_itself(room)
            return self.itself.factorise(room, weight)
        np.sqrt(weight, out=side.root)
        side.vector[self.symbolic.d_row] = room.d_value
        np.divide(1.0, side.vector[: self.effects], out=side.spread)
        side.room.values[self.place] = room.values[self.entry] * side.root[self.row]
        bad = self.inner.factorise(side.room, side.spread)
        return bad if bad >= 0 else self._border(room)

    def _border(self, room: Workspace) -> int:
        """The coefficients' Schur complement; -1, or the number of the first coefficient where it has no factor."""
        side: Side = room.side
        side.x[self.coefficient_row, self.coefficient_column] = (
            room.values[self.coefficient] * side.root[self.coefficient_row]
        )
        for j in range(side.x.shape[1]):
            side.k[:, j] = self._inner_solve(side, side.x[:, j])
            side.m[: self.effects, j] = self._pulled(room, side.k[:, j])
        try:
            side.t = np.linalg.cholesky(np.diag(side.vector[self.effects :]) + side.x.T @ side.k)
        except np.linalg.LinAlgError:
            return self.effects
        return -1

    def _inner_solve(self, side: Side, v: np.ndarray) -> np.ndarray:
        """C^-1 v."""
        order = self.inner.symbolic.order
        out = v[order]
        self.inner.solve(side.room, out)
        back = np.empty_like(out)
        back[order] = out
        return back

    def _pulled(self, room: Workspace, v: np.ndarray) -> np.ndarray:
        """D^-1 U' W^1/2 v (effects,)."""
        s, side = self.symbolic, room.side
        out = np.zeros(s.size)
        transposed_times(s.row_start, s.columns, room.values, side.root * v, out)
        return out[: self.effects] * side.spread

    def log_determinant(self, room: Workspace, leading: int) -> float:
        side: Side = room.side
        if side.itself:
            return self.itself.log_determinant(room, leading)
        out = self.inner.log_determinant(side.room, self.rows) - float(np.log(side.spread).sum())
        return out + (2.0 * float(np.log(np.diag(side.t)).sum()) if leading > self.effects else 0.0)

    def _inverse_t(self, side: Side, v: np.ndarray) -> np.ndarray:
        """T^-1 v."""
        return np.linalg.solve(side.t.T, np.linalg.solve(side.t, v))

    def solve(self, room: Workspace, x: np.ndarray) -> None:
        s, side = self.symbolic, room.side
        if side.itself:
            self.itself.solve(room, x)
            return
        b = self._inverse_t(side, x[self.effects :] - side.m[: self.effects].T @ x[: self.effects])
        x[: self.effects] *= side.spread
        x[self.effects :] = 0.0
        ahead = np.empty(self.rows)
        times(s.row_start, s.columns, room.values, x, ahead)
        x[: self.effects] -= self._pulled(room, self._inner_solve(side, side.root * ahead))
        x -= side.m @ b
        x[self.effects :] = b

    def gaussian_mean(self, room: Workspace, center: np.ndarray) -> None:
        side: Side = room.side
        e = self._inner_solve(side, side.root * room.target)
        precision = side.vector[self.effects :]
        b = self._inverse_t(side, side.x.T @ e + precision * center[self.effects :])
        room.mean[: self.effects] = self._pulled(room, e - side.k @ b)
        room.mean[self.effects :] = b

    def slopes(self, room: Workspace, leading: int) -> None:
        side: Side = room.side
        if side.itself:
            self.itself.slopes(room, leading)
            return
        self.inner.slopes(side.room, self.rows)
        inverse_root = np.divide(1.0, side.root, out=np.zeros(self.rows), where=side.root > 0.0)
        slope = side.room.slope[self.place] * side.spread[self.column] * inverse_root[self.row]
        room.slope[self.coefficient] = 0.0
        if leading > self.effects:
            q = self._inverse_t(side, (side.k * inverse_root[:, None]).T).T
            slope -= np.einsum("ec,ec->e", side.m[self.column], q[self.row])
            room.slope[self.coefficient] = q[self.coefficient_row, self.coefficient_column]
        room.slope[self.entry] = slope
        room.leverage[:] = np.bincount(
            self.row_of_entry, room.slope[: self.count] * room.values[: self.count], self.rows
        )

    def variances(self, room: Workspace) -> np.ndarray:
        side: Side = room.side
        if not side.itself:
            self.inner.slopes(side.room, self.rows)
            left = 1.0 - side.room.leverage * side.spread
            if left.min(initial=1.0) > CERTAIN:
                half = np.linalg.solve(side.t, side.m.T)
                out = (half**2).sum(axis=0)
                out[: self.effects] += left * side.spread
                out[self.effects :] = np.diag(self._inverse_t(side, np.eye(len(side.t))))
                return out
        self.panel(room)
        return self.itself.variances(room)
