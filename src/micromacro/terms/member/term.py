r"""A member block as a part of the latent system.

.. math:: \sum_{j \in z(i)} w_{ij}(\theta)\,(x_{1ij}'b_1 + z_{ij}'u_j)

Its coefficients are those of the aggregated covariates :math:`\sum_j w_{ij} x_{1ij}` (centred at the starting
weights where the model has an intercept), its effects those of its members, its theta the weight parameters, those of
the effects (sds, correlations), then any coefficient whose prior is not normal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...effects.base import Effects, Rows
from ...latent.apart.divided import Divided
from ...latent.part import Equations
from ...numerics import aggregation
from ...parameters import Parameter
from ...table.joined import Joined, unit_column
from ...table.levels import Levels
from ...table.memberships import Memberships, Tables
from ..base import Columns
from ..design import Design
from ..pieces import Pieces
from ..saying import over_members
from ..slopes import Slopes
from .total import DividedWeights
from .weighing import Block, Weighing


@dataclass(frozen=True, eq=False)
class MemberPart(Block):
    """A member block on one set of memberships.

    Attributes
    ----------
    name : str
    x : (k, m) array
        Covariates of the memberships: estimated ones, then known ones.
    center : (k,) array
        Means of the aggregated covariates at the starting weights (zero for known ones).
    weighing : Weighing
    slopes : Slopes
        What varies over the members.
    structure : Effects or None
        None when the block has no effects.
    member : (m,) int array
        Effect of each membership; numbers from ``len(levels)`` on are members not seen before.
    joined : Joined or None
        How ids of several columns were joined.
    joins : str or None
        Its ``id=``.
    """

    name: str
    weighing: Weighing
    design: Design
    fixed_design: tuple[Design, ...]
    columns: Columns
    written: tuple[Parameter, ...]
    x: np.ndarray
    center: np.ndarray
    slopes: Slopes
    structure: Effects | None
    member: np.ndarray
    levels: Levels
    with_intercept: bool = False
    joined: Joined | None = None
    joins: str | None = None

    @property
    def hypers(self) -> tuple[Parameter, ...]:
        """Weight parameters, those of the effects, loose coefficients."""
        return self.weight_parameters + (self.structure.hypers if self.structure else ()) + self.columns.loose

    @property
    def structure_theta(self) -> slice:
        """Where theta of the effects is among the block's."""
        p = len(self.weight_parameters)
        return slice(p, p + (len(self.structure.hypers) if self.structure else 0))

    @property
    def coefficients(self) -> tuple[Parameter, ...]:
        """Coefficients of the aggregated covariates that sit in x; then those of members without pooling."""
        return self.columns.linear + (self.structure.coefficients if self.structure else ())

    def moved(self, name: str) -> str:
        mean, equal = self.weighing.even
        if self._is_level(name) and self.structure:
            said = self.structure.moved(name)
            return f"{said} for {f'all members ({self.name}) of a group' if mean else 'a weight of one'}"
        return over_members(name.partition(f"{self.name}.")[2], self.name, mean, equal)

    @property
    def divided(self) -> Divided | None:
        """Its groups have members in common and, under ``total``, the scale of their weights."""
        if self.edge or (self.structure and not self.structure.divides):
            return None
        return DividedWeights(self) if self.rule == "total" else Divided(self)

    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        k, n = len(self.columns.linear), self.groups
        rows, columns = np.tile(np.arange(n), k), np.repeat(np.arange(k), n)
        if not self.structure:
            return rows, columns
        row, latent, _ = self.structure.entries
        return np.concatenate([rows, row]), np.concatenate([columns, k + latent])

    def scratch(self, gradient: bool = True) -> dict[str, Any]:
        inside = self.columns.inside
        m = len(self.memberships.group)
        return self.weighing.scratch(gradient) | {
            "x": np.ascontiguousarray(self.x[inside]),
            "center": np.ascontiguousarray(self.center[inside]),
            "known": np.zeros(m),
            "row": np.empty(self.groups),
            "features": None,
            "pieces": Pieces.of(self.structure) if self.structure else None,
            "none": np.zeros(m),
        }

    def fill(self, theta: np.ndarray, scratch: Any, slots: np.ndarray, values: np.ndarray, offset: np.ndarray) -> bool:
        k, n = len(self.columns.linear), self.groups
        if scratch["features"] is None:
            scratch["features"] = np.ascontiguousarray(slots[: k * n].reshape(k, n))
        if not self.weighing.weigh(theta, scratch):
            return False
        aggregation.fill_features(
            scratch["w"], self.memberships.start, scratch["x"], scratch["center"], scratch["features"], values
        )
        if self.structure:
            scratch["pieces"].fill(theta[self.structure_theta], scratch["w"], slots[k * n :], values)
        if len(self.columns.known) or self.columns.loose:
            self._add_known(theta, scratch, offset)
        return True

    def _loose_values(self, theta: np.ndarray) -> np.ndarray:
        return theta[len(theta) - len(self.columns.loose) :]

    def _add_known(self, theta: np.ndarray, room: dict[str, Any], offset: np.ndarray) -> None:
        """Offset of covariates whose coefficient is known given theta."""
        c = self.columns
        loose = self._loose_values(theta)
        room["known"][:] = c.known @ self.x[c.beside] + loose @ self.x[c.outside]
        aggregation.aggregate(room["w"], self.memberships.group, room["known"], room["row"])
        offset += room["row"] - float(loose @ self.center[c.outside])

    def pull(
        self, theta: np.ndarray, scratch: Any, slots: np.ndarray, slope: np.ndarray, d_offset: np.ndarray
    ) -> np.ndarray:
        p = len(self.weight_parameters)
        out = np.empty(len(theta))
        pieces: Pieces | None = scratch["pieces"]
        if pieces is not None:
            out[self.structure_theta] = pieces.pull(theta[self.structure_theta], scratch["w"], slope)
        aggregation.pull_features(
            scratch["d_w"], self.memberships.start, scratch["x"], scratch["features"], slope, scratch["known"],
            d_offset, scratch["none"] if pieces is None else pieces.reach, out[:p],
        )  # fmt: skip
        for at, column in enumerate(self.columns.outside, start=len(theta) - len(self.columns.loose)):
            aggregation.aggregate(scratch["w"], self.memberships.group, self.x[column], scratch["row"])
            out[at] = float((scratch["row"] - self.center[column]) @ d_offset)
        return out

    def on(self, tables: Tables) -> MemberPart:
        """The same block on other memberships; unseen members get effects of their own after the known ones."""
        rows = tables.blocks[self.name]
        if self.joined is not None and rows.table.n_rows:
            unit_column(self.joined.names, rows.table, self.joined)  # ids of another kind are an error
        codes = self.levels.find(rows.members)[rows.member] if len(rows.member) else rows.member
        unseen = np.unique(rows.member[codes < 0])
        group_ids = tables.group_levels.values if tables.group_levels is not None else np.arange(tables.groups.n_rows)
        structure = self.structure.on(self._rows_of(rows, group_ids)) if self.structure else None
        codes = np.where(codes < 0, len(self.levels.values) + np.searchsorted(unseen, rows.member), codes)
        return replace(
            self,
            weighing=self.weighing.on(rows),
            x=member_covariates(self.design, self.fixed_design, rows, self.with_intercept),
            member=codes,
            structure=structure,
        )

    def _rows_of(self, rows: Memberships, group_ids: np.ndarray) -> Rows:
        """Memberships as rows of the block's effects."""
        return member_rows(rows, self.slopes, group_ids)

    def covariates_of_memberships(self, theta: np.ndarray, coefficients: np.ndarray) -> np.ndarray | None:
        """Covariates times their coefficients (draws, memberships), counted from zero."""
        c = self.columns
        loose = theta[:, theta.shape[1] - len(c.loose) :] @ self.x[c.outside]
        return coefficients[:, : len(c.linear)] @ self.x[c.inside] + loose + c.known @ self.x[c.beside]

    def effects_in_words(self) -> tuple[str, ...]:
        """The weighted sum of the effects alone."""
        assert self.structure is not None
        of = self.structure.terms
        inside = [f"u_{self.name}[j]" if t == "1" else f"u_{self.name}[j,{t}] * {t}[i,j]" for t in of]
        return (f"sum over members j of w_{self.name}[i,j] * ({' + '.join(inside)})",)

    def without_effects(self) -> MemberPart:
        """Its covariates and weights."""
        return replace(self, structure=None)

    def raw_rows(self, tables: Tables) -> Rows:
        """The memberships of its effects on some tables, with the levels of these."""
        group_ids = tables.group_levels.values if tables.group_levels is not None else np.arange(tables.groups.n_rows)
        return member_rows(tables.blocks[self.name], self.slopes, group_ids)

    def words(self) -> Equations:
        """The weighted sum over the members, and the weights."""
        inside = [f"b[{p.name}] * {p.name.removeprefix(self.name + '.')}[j]" for p in self.written]
        below = [self._weights_in_words()]
        if self.structure:
            of = self.structure.terms
            inside += [f"u_{self.name}[j]" if t == "1" else f"u_{self.name}[j,{t}] * {t}[i,j]" for t in of]
            below += self.structure.sentences()
        terms = (f"sum over members j of w_{self.name}[i,j] * ({' + '.join(inside)})",) if inside else ()
        return Equations(terms, tuple(below))


def member_rows(rows: Memberships, slopes: Slopes, group_ids: np.ndarray) -> Rows:
    """The memberships as rows of effects."""
    return Rows(
        rows.group, rows.member, rows.members, slopes.matrix(rows.table), slopes.names, rows.table, group_ids
    )  # fmt: skip


def member_covariates(design: Design, fixed: tuple[Design, ...], rows: Memberships, with_intercept: bool) -> np.ndarray:
    """Covariates (k, m): estimated ones (a column of ones first where the user wrote 1 +), then known ones."""
    columns = [np.ones((rows.table.n_rows, 1))] if with_intercept else []
    columns += [design.matrix(rows.table), *(d.matrix(rows.table) for d in fixed)]
    return np.ascontiguousarray(np.column_stack(columns).T)
