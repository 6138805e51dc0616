r"""A member block whose memberships have rows of A of their own: the predictor of each member's whole effect.

.. math:: \zeta_{ij} = (x_{1ij} - \bar x_1)'b_1 + z_{ij}'u_j
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from ...effects.base import Rows
from ...table.memberships import Memberships, Tables
from ..pieces import Pieces
from ..slopes import Slopes
from .term import MemberPart, member_rows


@dataclass(frozen=True, eq=False)
class RowsPart(MemberPart):
    """A member block with a row of A for each membership.

    Attributes
    ----------
    first_row : int
        Its first row of A.
    """

    first_row: int = 0

    @property
    def of_rows(self) -> bool:
        """Its entries are those of rows of A, one for each membership."""
        return True

    @property
    def manner(self) -> str:
        """How its members meet, as in the formula."""
        raise NotImplementedError

    @property
    def row_count(self) -> int:
        """A row for each membership."""
        return len(self.memberships.group)

    @property
    def rows(self) -> slice:
        """Its rows of A."""
        return slice(self.first_row, self.first_row + self.row_count)

    def placed(self, first_row: int) -> Self:
        """The same block with its first row of A."""
        return replace(self, first_row=first_row)

    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        k, m = len(self.columns.linear), len(self.memberships.group)
        rows, columns = np.tile(np.arange(m), k), np.repeat(np.arange(k), m)
        if self.structure:
            row, latent, _ = self.structure.entries
            rows, columns = np.concatenate([rows, row]), np.concatenate([columns, k + latent])
        return rows + self.first_row, columns

    def scratch(self, gradient: bool = True) -> dict[str, Any]:
        return self.weighing.scratch(gradient) | {
            "x": np.ascontiguousarray((self.x - self.center[:, None])[self.columns.inside]).ravel(),
            "pieces": Pieces.of(self.structure) if self.structure else None,
            "ones": np.ones(len(self.memberships.group)),
        }

    def fill(self, theta: np.ndarray, scratch: Any, slots: np.ndarray, values: np.ndarray, offset: np.ndarray) -> bool:
        values[slots[: len(scratch["x"])]] = scratch["x"]
        if self.structure:
            own = slots[len(scratch["x"]) :]
            scratch["pieces"].fill(theta[self.structure_theta], scratch["ones"], own, values)
        c = self.columns
        if len(c.known) or c.loose:
            x = self.x - self.center[:, None]
            offset[self.rows] += c.known @ x[c.beside] + self._loose_values(theta) @ x[c.outside]
        return True

    def pull(
        self, theta: np.ndarray, scratch: Any, slots: np.ndarray, slope: np.ndarray, d_offset: np.ndarray
    ) -> np.ndarray:
        out = np.zeros(len(theta))
        if self.structure:
            of_effects = theta[self.structure_theta]
            out[self.structure_theta] = scratch["pieces"].pull(of_effects, scratch["ones"], slope)
        for at, column in enumerate(self.columns.outside, start=len(theta) - len(self.columns.loose)):
            out[at] = float((self.x[column] - self.center[column]) @ d_offset[self.rows])
        return out

    def absent(self, theta: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """In a group without a member, what centring took from the others."""
        c = self.columns
        middle = coefficients[: len(c.linear)] @ self.center[c.inside]
        middle += self._loose_values(theta) @ self.center[c.outside]
        return np.where(np.diff(self.memberships.start) == 0, -middle, 0.0)

    def on(self, tables: Tables) -> Self:
        """The same block on other memberships, with rows from zero on."""
        made: Any = super().on(tables)
        return replace(made, first_row=0)

    def _rows_of(self, rows: Memberships, group_ids: np.ndarray) -> Rows:
        return each_membership(rows, self.slopes, group_ids)

    def effect_in_words(self) -> str:
        """The whole effect of a member."""
        name = self.name
        inside = [f"b[{p.name}] * {p.name.removeprefix(name + '.')}[i,j]" for p in self.written]
        if self.with_intercept:
            inside[0] = f"b[{name}.Intercept]"
        if self.structure:
            of = self.structure.terms
            inside += [f"u_{name}[j]" if t == "1" else f"u_{name}[j,{t}] * {t}[i,j]" for t in of]
        inside += [f"{c:g} * {n}[i,j]" for c, n in zip(self.columns.known, self._known_names, strict=False)]
        return " + ".join(inside)

    @property
    def _known_names(self) -> tuple[str, ...]:
        return tuple(n for d in self.fixed_design for n in d.names)


def each_membership(rows: Memberships, slopes: Slopes, group_ids: np.ndarray) -> Rows:
    """The memberships as rows of effects, each for itself."""
    made = member_rows(rows, slopes, group_ids)
    return replace(made, group=np.arange(len(made.group)), ids=made.ids[made.group])
