r"""A member block whose weights have effects: their coefficients vary over units of the groups.

.. math:: \sum_{j \in z(i)} w_{ij}(\beta_{c[i]})\,\zeta_{ij}, \qquad \beta_c = b + d_c, \quad d_{ck} \sim N(0, sd_k^2),

with :math:`\zeta_{ij}` the members' whole effects. Each membership has a row of A, :math:`\zeta_{ij}`, and after these
each coefficient has one in each group with a member, :math:`\beta_{c[i]k}`; the likelihood makes the sum of them
(:mod:`micromacro.latent.varying`). The block has the covariates and the members' effects, :class:`WeightEffects` the
rows of the coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ...effects.base import Effects, Rows
from ...effects.phrases import Phrase
from ...language.printing import to_text
from ...latent.part import Equations, Term, Unit
from ...latent.varying import Varying
from ...table.joined import Joined, unit_column
from ...table.levels import Levels, encode
from ...table.memberships import Tables
from ..pieces import Pieces
from .jets import Jets, make_jets
from .rows_part import RowsPart


@dataclass(frozen=True, eq=False)
class VaryingPart(RowsPart):
    """A member block whose weights have effects.

    Attributes
    ----------
    jets : Jets
        The weight expression with its derivatives.
    """

    jets: Jets | None = None

    @cached_property
    def sum(self) -> Varying:
        """The weighted sum as a function of its rows and those of the coefficients."""
        assert self.jets is not None
        start = self.memberships.start.astype(np.int64)
        return Varying(self.jets, self.rule == "group", len(self.weight_parameters), start, self.first_row)

    @property
    def weight_effects(self) -> str:
        """The term with the effects of its weights."""
        return f"{self.name}.w"

    @property
    def manner(self) -> str:
        """Its weights as they are written."""
        return f"weights = {to_text(self.expression.node)}"

    def combination(self, number: int) -> Varying:
        """How its members meet."""
        return self.sum

    def scratch(self, gradient: bool = True) -> dict[str, Any]:
        return super().scratch(gradient) | {"mean": np.zeros(len(self.weight_parameters))}

    def fill(self, theta: np.ndarray, scratch: Any, slots: np.ndarray, values: np.ndarray, offset: np.ndarray) -> bool:
        scratch["mean"] = theta[: len(self.weight_parameters)].copy()
        return super().fill(theta, scratch, slots, values, offset)

    def _own_rows(self, scratch: Any, eta: np.ndarray) -> np.ndarray:
        """Its rows and those of its coefficients; without the latter these are at their means."""
        own = eta[self.sum.rows]
        if len(own) > self.row_count:
            return own
        return np.concatenate([own, np.tile(scratch["mean"], len(self.sum.filled))])

    def together(self, scratch: Any, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the members make together (groups,), and its derivative in the effect of each: the weights (m,)."""
        value, slope = self.sum.sums(self._own_rows(scratch, eta))
        return value, slope[: self.row_count]

    def in_coefficients(self, scratch: Any, eta: np.ndarray) -> np.ndarray:
        """The derivative of what they make together in each row of the coefficients."""
        return self.sum.sums(self._own_rows(scratch, eta))[1][self.row_count :]

    def of_groups(
        self, scratch: Any, rows: np.ndarray, values: np.ndarray, share: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """Some of its entries by group, times weights: those at mean coefficients, unless they are given."""
        at = rows - self.first_row
        if share is None:
            share = self.together(scratch, np.zeros(self.rows.stop))[1]
        return self.memberships.group[at], values * share[at]

    def on(self, tables: Tables) -> VaryingPart:
        """The same block on other memberships, with rows from zero on."""
        made = super().on(tables)
        return replace(made, jets=make_jets(self.expression, made.memberships))

    def words(self) -> Equations:
        """The weighted sum, the members' effects, and the weights."""
        name = self.name
        below = [f"zeta_{name}[i,j] = {self.effect_in_words()}", self._weights_in_words()]
        below += self.structure.sentences() if self.structure else []
        return Equations((f"sum over members j of w_{name}[i,j] * zeta_{name}[i,j]",), tuple(below))


@dataclass(frozen=True, eq=False)
class WeightEffects(Term):
    """The coefficients of a block's weights, with their effects of units: its rows follow those of the block.

    Theta begins with the means, which are the block's.

    Attributes
    ----------
    name : str
        ``B.w``.
    block : VaryingPart
    columns : tuple of str
        The column of the unit; several for ``a:b``.
    joined : Joined or None
        How ids of several columns were joined.
    structure : Effects
        Its memberships are the rows of coefficients that vary, group by group, coefficient by coefficient.
    """

    name: str
    block: VaryingPart
    columns: tuple[str, ...]
    structure: Effects
    joined: Joined | None = None
    first_row: int = 0

    @property
    def borrowed(self) -> tuple[str, ...]:
        """The means of the coefficients."""
        return tuple(p.name for p in self.block.weight_parameters)

    @property
    def of_rows(self) -> bool:
        """A row for each coefficient in each group with a member."""
        return True

    @property
    def row_count(self) -> int:
        """How many these are."""
        return self.count * self.filled

    @property
    def summand(self) -> bool:
        """They change weights."""
        return False

    @property
    def unit(self) -> Unit:
        """What the coefficients vary over; groups without a member have no code (-1)."""
        codes = np.full(self.block.groups, -1)
        codes[self.block.sum.filled] = self.structure.rows.level[:: len(self.structure.terms)]
        return Unit(":".join(self.columns), self.structure.levels, codes)

    @property
    def count(self) -> int:
        """Number of coefficients."""
        return len(self.block.weight_parameters)

    @property
    def filled(self) -> int:
        """Groups with a member."""
        return len(self.block.sum.filled)

    def placed(self, first_row: int) -> WeightEffects:
        """The same with its first row of A; the block's stand before it."""
        return replace(self, first_row=first_row, block=self.block.placed(first_row - self.block.row_count))

    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        row, latent, _ = self.structure.entries
        return row + self.first_row, latent

    def scratch(self, gradient: bool = True) -> dict[str, Any]:
        return {"pieces": Pieces.of(self.structure), "ones": np.ones(self.row_count)}

    def fill(self, theta: np.ndarray, scratch: Any, slots: np.ndarray, values: np.ndarray, offset: np.ndarray) -> bool:
        offset[self.first_row : self.first_row + self.row_count] += np.tile(theta[: self.count], self.filled)
        scratch["pieces"].fill(theta[self.count :], scratch["ones"], slots, values)
        return True

    def pull(
        self, theta: np.ndarray, scratch: Any, slots: np.ndarray, slope: np.ndarray, d_offset: np.ndarray
    ) -> np.ndarray:
        rows = d_offset[self.first_row : self.first_row + self.row_count]
        own = scratch["pieces"].pull(theta[self.count :], scratch["ones"], slope)
        return np.concatenate([rows.reshape(self.filled, self.count).sum(axis=0), own])

    def together(self, scratch: Any, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Nothing beside what the block says (groups,), and the derivative of that in its own rows."""
        return np.zeros(self.block.groups), self.block.in_coefficients(None, eta)

    def of_groups(
        self, scratch: Any, rows: np.ndarray, values: np.ndarray, share: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """Some of its entries by group, times the derivative in the coefficient; zero where that is not known."""
        at = rows - self.first_row
        return self.block.sum.group[self.block.row_count :][at], values * (0.0 if share is None else share[at])

    def weights_at(self, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights of the block (m,) and their derivatives in its coefficients (k, m), at a predictor of the rows."""
        made = self.block.sum
        jets = made.weights(made.split(eta[made.rows])[1], 1)
        return jets[0], jets[1:]

    def reached(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Membership, number of a coefficient and its row, for each membership and each coefficient of its group."""
        made, k = self.block.sum, self.count
        first = self.first_row + k * made.place
        m = np.arange(len(first))
        return np.tile(m, k), np.repeat(np.arange(k), len(m)), np.concatenate([first + a for a in range(k)])

    def on(self, tables: Tables) -> WeightEffects:
        """The same coefficients on other tables; unseen units get effects of their own after the known ones."""
        block = self.block.on(tables)
        rows, _ = coefficient_rows(block, self.columns, tables, self.joined)
        made = replace(self, block=block, structure=self.structure.on(rows))
        return made.placed(block.row_count)

    def words(self) -> Equations:
        """Coefficients are those of the group's unit."""
        of = ":".join(self.columns)
        names = [p.name for p in self.block.weight_parameters]
        lines = [f"{n}[{of}] ~ normal({n}, {p.name})" for n, p in zip(names, self._sds, strict=True) if p is not None]
        return Equations((), tuple(lines))

    def phrase(self, name: str) -> Phrase | None:
        """How far a coefficient differs between units."""
        if not any(p.name == name for p in self.structure.hypers):
            return None
        of = ":".join(self.columns)
        text = "{term} differs between the values of " + of + ": in two of three it is within {value} of its mean"
        equal = "{term} is the same for all values of " + of + ": {name} is zero"
        return Phrase(text, "standard deviation", equal=equal)

    @property
    def _sds(self) -> list[Any]:
        """The sd of each coefficient; None where it does not vary."""
        found = dict(zip(self.structure.terms, self.structure.hypers, strict=True))
        return [found.get(t) for t in self.block.expression.parameters]


def coefficient_rows(
    block: VaryingPart, columns: tuple[str, ...], tables: Tables, known: Joined | None = None
) -> tuple[Rows, Joined | None]:
    """The rows of a block's coefficients that vary, in the unit of each group; and how the unit's ids were joined."""
    column, joined = unit_column(columns, tables.groups, known)
    codes, levels = encode(column)
    ids = tables.group_levels.values if tables.group_levels is not None else np.arange(tables.groups.n_rows)
    filled, every, names = block.sum.filled, block.expression.parameters, block.expression.varying
    places = np.array([every.index(name) for name in names], dtype=np.int64)
    row = (np.arange(len(filled))[:, None] * len(every) + places).ravel()
    group = np.repeat(filled, len(names))
    used, level = np.unique(codes[group], return_inverse=True)
    marks = np.tile(np.eye(len(names)), len(filled))
    there = Levels(levels.name, levels.values[used])
    return Rows(row, level.reshape(-1), there, marks, names, tables.groups, ids[group]), joined
