r"""The likelihood where members' whole effects meet in another way than by their sum: rows of groups and of members.

A group reads its own rows of the linear predictor (those that the family makes of it) and, in each block that combines
its members, a row for each membership: the member's effect :math:`\zeta_{ij}`. What the members make together is added
to the predictor of the group's own rows (:mod:`micromacro.numerics.combining`), whose density is the family's; the
derivatives are those of :mod:`micromacro.numerics.combined`. Weights and shapes are numbers that parts fill.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..numerics.combined import INNER, chain_to_effects, combined_adjoint, combined_slopes
from ..numerics.combining import CES, MAX, MIN, combine, pull_combine
from ..numerics.differences import central
from ..numerics.exposure import Exposure
from .blocks import Blocks


@dataclass(frozen=True, eq=False)
class Combination:
    """How the members of one block combine.

    Attributes
    ----------
    kind : int
        Of :mod:`micromacro.numerics.combining`.
    start : (groups + 1,) int array
        The block's memberships by group.
    first : int
        Its first row of A.
    number : int
        Where its numbers begin among those that parts fill: a weight for each membership, then the shape once for
        each group with a member.
    """

    kind: int
    start: np.ndarray
    first: int
    number: int

    @cached_property
    def of_shape(self) -> np.ndarray:
        """The place of each membership's group among those with a member."""
        return np.repeat(np.arange(len(self.filled)), np.diff(self.start)[self.filled])

    @property
    def members(self) -> int:
        """Number of memberships."""
        return int(self.start[-1])

    @property
    def rows(self) -> slice:
        """Its rows of A."""
        return slice(self.first, self.first + self.members)

    @property
    def weights(self) -> slice:
        """Its weights among the numbers."""
        return slice(self.number, self.number + self.members)

    @cached_property
    def filled(self) -> np.ndarray:
        """Groups with a member."""
        return np.flatnonzero(np.diff(self.start))

    @cached_property
    def shapes(self) -> slice:
        """Its shape among the numbers, once for each group with a member."""
        return slice(self.weights.stop, self.weights.stop + len(self.filled))

    @cached_property
    def group(self) -> np.ndarray:
        """The group of each membership."""
        return np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))


@dataclass(eq=False)
class At:
    """What is known of the members at one predictor: arrays over all rows, zero at those of groups."""

    share: np.ndarray
    ratio: np.ndarray
    first: np.ndarray
    second: np.ndarray
    kappa: np.ndarray
    value: list[np.ndarray]


class Combined:
    """A family's likelihood with members that meet.

    Parameters
    ----------
    family : latent.mode.Likelihood
        Of the groups' own rows.
    own : int
        How many numbers the family has of its own.
    group : (inner rows,) int array
        The group of each of its rows; -1 for a row without one (a pseudo-observation).
    combinations : tuple of Combination
        Their rows follow those of the family.
    """

    conjugate = False

    @property
    def kinked(self) -> bool:
        """Whether its derivatives jump: where another member becomes the largest or the least."""
        return any(c.kind in (MAX, MIN) for c in self.combinations)

    def __init__(self, family: Any, own: int, group: np.ndarray, combinations: tuple[Combination, ...]):
        self.family = family
        self.own, self.group, self.combinations = own, group, combinations
        groups = int(len(combinations[0].start) - 1)
        alone = group < 0
        unit = np.where(alone, groups + np.cumsum(alone) - 1, group)
        self.layout = Blocks(np.concatenate([unit, *(m.group for m in combinations)]))
        of_block = [np.full(m.members, k, dtype=np.int64) for k, m in enumerate(combinations)]
        self.block = np.concatenate([np.full(len(group), INNER, dtype=np.int64), *of_block])
        self._inside = ~alone
        self._given: tuple[Any, np.ndarray] = (None, np.empty(0))

    @property
    def rows(self) -> int:
        """Number of rows of A."""
        return len(self.block)

    @property
    def row_groups(self) -> np.ndarray:
        """The group of each row; -1 for a pseudo-observation."""
        return np.concatenate([self.group, *(m.group for m in self.combinations)])

    def blocks(self, values: np.ndarray) -> Blocks:
        """The rows of each group."""
        return self.layout

    def exposure(self, values: np.ndarray) -> Exposure | None:
        """Rows stand for themselves."""
        return None

    def weighed(self, values: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        """As they are."""
        return values, weight

    def possible(self, own: np.ndarray) -> bool:
        """Whether the family's numbers are in their domain; weights and shapes always are."""
        return bool(self.family.possible(own[: self.own]))

    def padded(self, values: np.ndarray) -> np.ndarray:
        """The family's values with a column for each row of A; those of members are not read."""
        return np.concatenate([values, np.zeros((len(values), self.rows - values.shape[1]))], axis=1)

    def _of_family(self, values: np.ndarray) -> np.ndarray:
        """The columns that the family reads."""
        if self._given[0] is not values:
            self._given = values, np.ascontiguousarray(values[:, : len(self.group)])
        return self._given[1]

    # -- what members make together ----------------------------------------------------------------------------------

    def at(self, eta: np.ndarray, own: np.ndarray) -> At:
        """Shares of the members and what they make together, at a predictor of the rows."""
        n = self.rows
        out = At(np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), [])
        numbers = own[self.own :]
        for m in self.combinations:
            rows, kappa = m.rows, self._shape(m, numbers)
            value = np.empty(len(m.start) - 1)
            combine(
                m.kind, numbers[m.weights], m.start, np.ascontiguousarray(eta[rows]), kappa, value, out.share[rows],
                out.ratio[rows],
            )  # fmt: skip
            each = value[m.group] if m.kind == CES else np.ones(m.members)
            out.first[rows], out.kappa[rows] = each, kappa
            out.second[rows] = each if m.kind == CES else 0.0
            out.value.append(value)
        return out

    @staticmethod
    def _shape(combination: Combination, numbers: np.ndarray) -> Any:
        """The shape of each membership, or one for all."""
        return numbers[combination.shapes][combination.of_shape]

    def predictor(self, eta: np.ndarray, at: At) -> np.ndarray:
        """Linear predictor of the groups' own rows, what their members make together added."""
        total = np.sum(at.value, axis=0)
        return eta[: len(self.group)] + np.where(self._inside, total[self.group], 0.0)

    # -- the likelihood ----------------------------------------------------------------------------------------------

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        """Log densities of the groups on their first rows, derivatives, curvatures and a stand-in for these."""
        at = self.at(eta, own)
        inner = np.empty((4, len(self.group)))
        self.family.slopes(self._of_family(values), self.predictor(eta, at), own[: self.own], inner)
        b = self.layout
        combined_slopes(
            b.start, b.row, b.pair_start, self.block, self.rows, inner, at.share, at.first, at.second, at.kappa, out
        )

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        """Log density of each group on its first row."""
        family: Any = self.family
        predictor = self.predictor(eta, self.at(eta, own))
        each = family.log_density(self._of_family(values), predictor, own[: self.own], np, special)
        b = self.layout
        return b.on_rows(np.bincount(b.unit[: len(self.group)], each, b.units))

    def _third(self, values: np.ndarray, eta: np.ndarray, at: At, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The family's rows (4, rows) at a predictor, and its third derivatives."""
        given, predictor, mine = self._of_family(values), self.predictor(eta, at), own[: self.own]
        inner = np.empty((4, len(self.group)))

        def second(h: float) -> np.ndarray:
            self.family.slopes(given, predictor + h, mine, inner)
            return inner[2].copy()

        with np.errstate(all="ignore"):
            third = central(second, 1e-4)
        self.family.slopes(given, predictor, mine, inner)
        return inner, third

    def _adjoint(
        self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, leverage: np.ndarray, along: np.ndarray,
        level: float,
    ) -> tuple[At, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
        """Derivatives in values, shares, predictors of the groups' rows and shapes; see `combined_adjoint`."""
        at = self.at(eta, own)
        inner, third = self._third(values, eta, at, own)
        b, n = self.layout, self.rows
        value, share, kappa, of_eta = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(len(self.group))
        combined_adjoint(
            b.start, b.row, b.pair_start, self.block, n, inner, third, at.share, at.first, at.second, at.kappa,
            leverage, along, level, value, share, of_eta, kappa,
        )  # fmt: skip
        return at, value, share, of_eta, kappa

    def skew(
        self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, leverage: np.ndarray, out: np.ndarray
    ) -> bool:  # fmt: skip
        """Half the third derivatives times the leverages of rows and pairs (see ``latent.blocks.Together``)."""
        at, value, share, of_eta, _ = self._adjoint(values, eta, own, leverage, np.zeros(self.rows), 0.0)
        out[: len(self.group)] = of_eta
        for m in self.combinations:
            r = m.rows
            chain_to_effects(m.start, at.share[r], at.first[r], at.kappa[r], value[r], share[r], out[r])
        return True

    def number_slopes(
        self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, leverage: np.ndarray, row: np.ndarray,
        out: np.ndarray,
    ) -> bool:  # fmt: skip
        """Derivatives of l + leverage'l'' / 2 + row'l' in weights and shapes."""
        at, value, share, _, kappa = self._adjoint(values, eta, own, leverage, row, 1.0)
        numbers = own[self.own :]
        for k, m in enumerate(self.combinations):
            r, groups = m.rows, len(m.start) - 1
            of_group = np.zeros(groups)
            of_group[m.filled] = value[r][m.start[:-1][m.filled]]
            in_shape, in_weight = np.empty(groups), np.empty(m.members)
            pull_combine(
                m.kind, numbers[m.weights], m.start, np.ascontiguousarray(eta[r]), self._shape(m, numbers), at.value[k],
                at.share[r], at.ratio[r], of_group, share[r], in_shape, in_weight,
            )  # fmt: skip
            out[m.weights] = in_weight
            out[m.shapes] = (in_shape + np.bincount(m.group, kappa[r], groups))[m.filled]
        return True
