r"""A member block as a part of the latent system.

.. math:: \sum_{j \in z(i)} w_{ij}(\theta)\,(x_{1ij}'b_1 + sd_u\,u^*_j)

Its coefficients are those of the aggregated covariates :math:`\sum_j w_{ij} x_{1ij}` (centred at the starting
weights where the model has an intercept), its effects those of its members, its theta the weight parameters and
the sd, then any coefficient whose prior is not normal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...numerics import aggregation
from ...parameters import Parameter
from ...table.levels import Levels
from ...table.memberships import Memberships, Tables
from ..base import Columns
from ..design import Design
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
    sd : Parameter or None
        None when the block has no effects.
    member : (m,) int array
        Effect of each membership; numbers from ``len(levels)`` on are members not seen before.
    """

    name: str
    weighing: Weighing
    design: Design
    fixed_design: tuple[Design, ...]
    columns: Columns
    parameters: tuple[Parameter, ...]
    x: np.ndarray
    center: np.ndarray
    sd: Parameter | None
    member: np.ndarray
    levels: Levels
    with_intercept: bool = False
    fresh: tuple = ()

    @property
    def hypers(self) -> tuple[Parameter, ...]:
        """Weight parameters, the sd, loose coefficients."""
        return self.weight_parameters + ((self.sd,) if self.sd else ()) + self.columns.loose

    @property
    def coefficients(self) -> tuple[Parameter, ...]:
        """Coefficients of the aggregated covariates that sit in x."""
        return self.columns.linear

    @property
    def effects(self) -> int:
        """Number of members with an effect."""
        return len(self.levels.values) + len(self.fresh) if self.sd else 0

    def _effect_places(self) -> tuple[np.ndarray, np.ndarray]:
        """Distinct (group, member) places, and the place of each membership."""
        width = max(self.effects, 1)
        keys, places = np.unique(self.memberships.group * width + self.member, return_inverse=True)
        return keys, places.reshape(-1)

    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        k, n = len(self.coefficients), self.groups
        rows, columns = np.tile(np.arange(n), k), np.repeat(np.arange(k), n)
        if not self.sd:
            return rows, columns
        keys, _ = self._effect_places()
        width = max(self.effects, 1)
        return np.concatenate([rows, keys // width]), np.concatenate([columns, k + keys % width])

    def scratch(self, gradient: bool = True) -> dict[str, Any]:
        places = self._effect_places()[1] if self.sd else np.empty(0, dtype=np.int64)
        inside = self.columns.inside
        return self.weighing.scratch(gradient) | {
            "places": places,
            "x": np.ascontiguousarray(self.x[inside]),
            "center": np.ascontiguousarray(self.center[inside]),
            "known": np.zeros(len(self.memberships.group)),
            "row": np.empty(self.groups),
            "features": None,
            "effects": None,
        }

    def _slots(self, slots: np.ndarray, room: dict[str, Any]) -> None:
        k, n = len(self.coefficients), self.groups
        room["features"] = np.ascontiguousarray(slots[: k * n].reshape(k, n))
        room["effects"] = np.ascontiguousarray(slots[k * n :][room["places"]])

    def fill(self, theta: np.ndarray, scratch: Any, slots: np.ndarray, values: np.ndarray, offset: np.ndarray) -> bool:
        if scratch["features"] is None:
            self._slots(slots, scratch)
        if not self.weighing.weigh(theta, scratch):
            return False
        p = len(self.weight_parameters)
        sd = theta[p] if self.sd else 0.0
        aggregation.fill_members(
            scratch["w"], self.memberships.start, scratch["x"], scratch["center"], scratch["features"], sd,
            scratch["effects"], values,
        )  # fmt: skip
        if len(self.columns.known) or self.columns.loose:
            self._add_known(theta, scratch, offset)
        return True

    def _loose_values(self, theta: np.ndarray) -> np.ndarray:
        return theta[len(theta) - len(self.columns.loose) :]

    def _add_known(self, theta: np.ndarray, room: dict[str, Any], offset: np.ndarray) -> None:
        """Offset of covariates whose coefficient is known given theta."""
        c = self.columns
        loose = self._loose_values(theta)
        room["known"][:] = c.known @ self.x[c.given] + loose @ self.x[c.outside]
        aggregation.aggregate(room["w"], self.memberships.start, room["known"], room["row"])
        offset += room["row"] - float(loose @ self.center[c.outside])

    def pull(
        self, theta: np.ndarray, scratch: Any, slots: np.ndarray, slope: np.ndarray, d_offset: np.ndarray
    ) -> np.ndarray:
        p = len(self.weight_parameters)
        chained = np.empty(p + 1)
        sd = theta[p] if self.sd else 0.0
        aggregation.pull_members(
            scratch["w"], scratch["d_w"], self.memberships.start, scratch["x"], scratch["features"], sd,
            scratch["effects"], slope, scratch["known"], d_offset, chained,
        )  # fmt: skip
        out = np.empty(len(theta))
        out[:p] = chained[:p]
        if self.sd:
            out[p] = chained[p]
        for at, column in enumerate(self.columns.outside, start=len(theta) - len(self.columns.loose)):
            aggregation.aggregate(scratch["w"], self.memberships.start, self.x[column], scratch["row"])
            out[at] = float((scratch["row"] - self.center[column]) @ d_offset)
        return out

    def on(self, tables: Tables) -> MemberPart:
        """The same block on other memberships; unseen members get effects of their own after the known ones."""
        rows = tables.blocks[self.name]
        codes = self.levels.find(rows.members)[rows.member] if len(rows.member) else rows.member
        unseen = np.unique(rows.member[codes < 0])
        codes = np.where(codes < 0, len(self.levels.values) + np.searchsorted(unseen, rows.member), codes)
        return replace(
            self,
            weighing=self.weighing.on(rows),
            x=member_covariates(self.design, self.fixed_design, rows, self.with_intercept),
            member=codes,
            fresh=tuple(rows.members.values[unseen].tolist()),
        )


def member_covariates(design: Design, fixed: tuple[Design, ...], rows: Memberships, with_intercept: bool) -> np.ndarray:
    """Covariates (k, m): estimated ones (a column of ones first where the user wrote 1 +), then known ones."""
    columns = [np.ones((rows.table.n_rows, 1))] if with_intercept else []
    columns += [design.matrix(rows.table), *(d.matrix(rows.table) for d in fixed)]
    return np.ascontiguousarray(np.column_stack(columns).T)
