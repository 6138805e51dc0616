r"""A member block whose members' whole effects meet in another way than by their weighted sum.

.. math:: F(\zeta_{i1}, \zeta_{i2}, \dots), \qquad \zeta_{ij} = (x_{1ij} - \bar x_1)'b_1 + z_{ij}'u_j,

F a soft maximum, a mean of powers, the largest or the least (:mod:`micromacro.numerics.combining`). Each membership has
a row of A of its own, the predictor :math:`\zeta_{ij}`; weights and shape are numbers that the likelihood reads
(:mod:`micromacro.latent.combined`). Theta is that of a weighted sum with the shape, where it is estimated, after the
weight parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...latent.combined import Combination
from ...latent.part import Equations
from ...numerics.combining import CES, combine
from ...parameters import Parameter
from ..saying import LEVEL
from .combine import SOFT, Combine
from .rows_part import RowsPart


@dataclass(frozen=True, eq=False)
class CombinedPart(RowsPart):
    """A member block with ``combine=``.

    Attributes
    ----------
    request : Combine
        What the user wrote.
    kind : int
        Of :mod:`micromacro.numerics.combining`: an extreme is a soft one where effects have to be integrated.
    shape : float or Parameter
        The number held, or the parameter.
    """

    request: Combine | None = None
    kind: int = CES
    shape: float | Parameter = 0.0

    @property
    def manner(self) -> str:
        """As it is written."""
        return self.request.text if self.request else ""

    @property
    def meets(self) -> str:
        return self.manner

    # -- parameters --------------------------------------------------------------------------------------------------

    @property
    def shapes(self) -> tuple[Parameter, ...]:
        """The shape, where it is estimated."""
        return (self.shape,) if isinstance(self.shape, Parameter) else ()

    @property
    def hypers(self) -> tuple[Parameter, ...]:
        """Weight parameters, the shape, those of the effects, loose coefficients."""
        effects = self.structure.hypers if self.structure else ()
        return self.weight_parameters + self.shapes + effects + self.columns.loose

    @property
    def structure_theta(self) -> slice:
        """Where theta of the effects is among the block's."""
        p = len(self.weight_parameters) + len(self.shapes)
        return slice(p, p + (len(self.structure.hypers) if self.structure else 0))

    def shape_at(self, theta: np.ndarray) -> Any:
        """The shape at the block's theta (..., q)."""
        return theta[..., len(self.weight_parameters)] if self.shapes else self.shape

    def moved(self, name: str) -> str:
        if self._is_level(name) and self.structure:
            return f"{self.structure.moved(name)} for all members ({self.name}) of a group"
        match = LEVEL.fullmatch(inside := name.removeprefix(f"{self.name}."))
        if match:
            return f"all members ({self.name}) of a group instead of none have {match[1]} = {match[2]}"
        return f"{inside} of every member ({self.name}) of a group is one higher"

    # -- rows of members and numbers ---------------------------------------------------------------------------------

    def combination(self, number: int) -> Combination:
        """How its members meet, for the likelihood; `number` is where its numbers begin."""
        return Combination(self.kind, self.memberships.start.astype(np.int64), self.first_row, number)

    def scratch(self, gradient: bool = True) -> dict[str, Any]:
        return super().scratch(gradient) | {"shape": 0.0}

    def fill(self, theta: np.ndarray, scratch: Any, slots: np.ndarray, values: np.ndarray, offset: np.ndarray) -> bool:
        if not self.weighing.weigh(theta, scratch):
            return False
        scratch["shape"] = float(self.shape_at(theta))
        super().fill(theta, scratch, slots, values, offset)
        return bool(np.isfinite(scratch["shape"]))

    @property
    def number_rows(self) -> np.ndarray:
        """Rows that read the weights, and the shape once for each group with a member."""
        start, first = self.memberships.start, self.first_row
        return np.concatenate([first + np.arange(start[-1]), first + start[:-1][np.diff(start) > 0]]).astype(np.int64)

    def fill_numbers(self, theta: np.ndarray, scratch: Any, out: np.ndarray) -> None:
        m = len(scratch["w"])
        out[:m] = scratch["w"]
        out[m:] = scratch["shape"]

    def pull_numbers(self, theta: np.ndarray, scratch: Any, slope: np.ndarray) -> np.ndarray:
        m, p = len(scratch["w"]), len(self.weight_parameters)
        out = np.zeros(len(theta))
        out[:p] = scratch["d_w"] @ slope[:m]
        if self.shapes:
            out[p] = slope[m:].sum()
        return out

    # -- what readers ask --------------------------------------------------------------------------------------------

    def together(self, scratch: Any, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the members make together (groups,), and its derivative in the effect of each (m,), after `fill`."""
        start, zeta = self.memberships.start.astype(np.int64), eta[self.rows]
        value, share, ratio = np.empty(self.groups), np.empty(len(zeta)), np.empty(len(zeta))
        shape = np.full(len(zeta), scratch["shape"])
        combine(self.kind, scratch["w"], start, np.ascontiguousarray(zeta), shape, value, share, ratio)
        return value, share * value[self.memberships.group] if self.kind == CES else share

    def of_groups(
        self, scratch: Any, rows: np.ndarray, values: np.ndarray, share: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """Some of its entries by group, times the share of each member: its weight, where all members are equal.

        Of equal members a level inside an exponential is like the intercept: there they differ at random.
        """
        at = rows - self.first_row
        if share is None and self.kind == CES:
            rng = np.random.default_rng(np.random.SeedSequence(5))
            share = self.together(scratch, rng.standard_normal(self.rows.stop))[1]
        return self.memberships.group[at], values * (scratch["w"] if share is None else share)[at]

    @property
    def additive(self) -> bool:
        """Not where it is the exponential of a soft maximum."""
        return self.kind != CES

    def covariates_of_memberships(self, theta: np.ndarray, coefficients: np.ndarray) -> None:
        """Not a sum."""

    def words(self) -> Equations:
        """What the members make together, their effects, and the weights."""
        assert self.request is not None
        name = self.name
        zeta = f"zeta_{name}[i,j] = {self.effect_in_words()}"
        below = [f"{name}[i] = {self._formula()}", zeta, self._weights_in_words()]
        below += self.structure.sentences() if self.structure else []
        return Equations((f"{name}[i]",), tuple(below))

    def _formula(self) -> str:
        """What the members make together as an equation."""
        assert self.request is not None
        row, shape = self.request.row, self.shape
        formula = row.formula
        shown = shape.name if isinstance(shape, Parameter) else f"{shape:g}"
        if not row.shapes and self.structure is not None:  # an extreme, softly
            formula = SOFT.replace("{kappa}", shown)
            formula += f" (nearly the {row.word}: effects are integrated over, which needs a smooth function)"
        for symbol in row.shapes:
            formula = formula.replace(f"{{{symbol}}}", shown)
        return formula.replace("zeta[", f"zeta_{self.name}[").replace("of w *", f"of w_{self.name}[i,j] *")
