r"""The likelihood where members' whole effects meet in another way than by their sum: rows of groups and of members.

A group reads its own rows of the linear predictor (those that the family makes of it) and, in each block that combines
its members, a row for each membership: the member's effect :math:`\zeta_{ij}`. What the members make together is added
to the predictor of the group's own rows (:mod:`micromacro.numerics.combining`), whose density is the family's; the
derivatives are those of :mod:`micromacro.numerics.combined`. Weights and shapes are numbers that parts fill. Where the
coefficients of weights differ between groups, they have rows too (:mod:`.varying`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from ..numerics.combined import INNER, chain_to_effects, combined_adjoint, combined_slopes
from ..numerics.combining import CES, MAX, MIN, combine, pull_combine
from ..numerics.differences import central
from ..numerics.exposure import Exposure
from .blocks import Blocks


class Meets(Protocol):
    """How the members of one block meet: what the likelihood asks of it."""

    @property
    def start(self) -> np.ndarray: ...

    @property
    def kinked(self) -> bool: ...

    @property
    def masks(self) -> bool: ...

    @property
    def orders(self) -> bool: ...

    @property
    def group(self) -> np.ndarray: ...

    @property
    def first(self) -> int: ...

    def lean(self, numbers: np.ndarray) -> float | None: ...

    def placed(self, layout: Blocks) -> Meets: ...

    def meet(self, eta: np.ndarray, numbers: np.ndarray, at: At, order: int) -> None: ...

    def chain(
        self, kept: Any, at: At, leverage: np.ndarray, outer: np.ndarray, value: np.ndarray, share: np.ndarray,
        out: np.ndarray,
    ) -> None: ...  # fmt: skip

    def number_slopes(
        self, eta: np.ndarray, numbers: np.ndarray, at: At, k: int, value: np.ndarray, share: np.ndarray,
        kappa: np.ndarray, out: np.ndarray,
    ) -> None: ...  # fmt: skip


class InGroups:
    """Memberships of a block by group: what all ways in which they meet know of them.

    Attributes
    ----------
    start : (groups + 1,) int array
    """

    start: np.ndarray

    @property
    def members(self) -> int:
        """Number of memberships."""
        return int(self.start[-1])

    @cached_property
    def filled(self) -> np.ndarray:
        """Groups with a member."""
        return np.flatnonzero(np.diff(self.start))

    @cached_property
    def of_member(self) -> np.ndarray:
        """The group of each membership."""
        return np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))

    @cached_property
    def place(self) -> np.ndarray:
        """The place of each membership's group among those with a member."""
        return np.repeat(np.arange(len(self.filled)), np.diff(self.start)[self.filled])


@dataclass(frozen=True, eq=False)
class Combination(InGroups):
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

    masks = True
    orders = False  # whatever the order, it says the same

    @property
    def rows(self) -> slice:
        """Its rows of A."""
        return slice(self.first, self.first + self.members)

    @property
    def weights(self) -> slice:
        """Its weights among the numbers."""
        return slice(self.number, self.number + self.members)

    @cached_property
    def shapes(self) -> slice:
        """Its shape among the numbers, once for each group with a member."""
        return slice(self.weights.stop, self.weights.stop + len(self.filled))

    @property
    def group(self) -> np.ndarray:
        """The group of each of its rows, which are the memberships."""
        return self.of_member

    @property
    def kinked(self) -> bool:
        """Whether its derivatives jump: where another member becomes the largest or the least."""
        return self.kind in (MAX, MIN)

    def lean(self, numbers: np.ndarray) -> float | None:
        """Above zero where what members make together is convex in their effects, below where it is concave.

        Zero where it is linear, None where it is none of these.
        """
        if self.kind == CES or not len(self.filled):
            return None
        return {MAX: 1.0, MIN: -1.0}.get(self.kind, float(numbers[self.shapes.start]))

    def placed(self, layout: Blocks) -> Combination:
        """It needs no layout."""
        return self

    def _shape(self, numbers: np.ndarray) -> np.ndarray:
        """The shape of each membership."""
        return numbers[self.shapes][self.place]

    def meet(self, eta: np.ndarray, numbers: np.ndarray, at: At, order: int) -> None:
        """Put what members make together, and shares, into `at`."""
        rows, kappa = self.rows, self._shape(numbers)
        value = np.empty(len(self.start) - 1)
        combine(
            self.kind, numbers[self.weights], self.start, np.ascontiguousarray(eta[rows]), kappa, value, at.share[rows],
            at.ratio[rows],
        )  # fmt: skip
        at.first[rows], at.kappa[rows] = 1.0, kappa
        if self.kind == CES:
            at.first[rows] = at.second[rows] = value[self.group]
        at.value.append(value)
        at.kept.append(None)

    def chain(
        self, kept: Any, at: At, leverage: np.ndarray, outer: np.ndarray, value: np.ndarray, share: np.ndarray,
        out: np.ndarray,
    ) -> None:  # fmt: skip
        """Derivatives in its rows (rows,), from those in what members make together and in the shares."""
        r = self.rows
        chain_to_effects(self.start, at.share[r], at.first[r], at.kappa[r], value[r], share[r], out[r])

    def number_slopes(
        self, eta: np.ndarray, numbers: np.ndarray, at: At, k: int, value: np.ndarray, share: np.ndarray,
        kappa: np.ndarray, out: np.ndarray,
    ) -> None:  # fmt: skip
        """Derivatives in its weights and shapes; `k` is its number among the blocks that combine."""
        r, groups = self.rows, len(self.start) - 1
        of_group = np.zeros(groups)
        of_group[self.filled] = value[r][self.start[:-1][self.filled]]
        in_shape, in_weight = np.empty(groups), np.empty(self.members)
        pull_combine(
            self.kind, numbers[self.weights], self.start, np.ascontiguousarray(eta[r]), self._shape(numbers),
            at.value[k], at.share[r], at.ratio[r], of_group, share[r], in_shape, in_weight,
        )  # fmt: skip
        out[self.weights] = in_weight
        out[self.shapes] = (in_shape + np.bincount(self.group, kappa[r], groups))[self.filled]


@dataclass(eq=False)
class At:
    """What is known of the members at one predictor: arrays over all rows, zero at those of groups.

    ``bend`` has second derivatives of weighted sums on rows and pairs, where coefficients of weights have rows;
    ``thirds`` what the family last said of the groups' own rows there (:meth:`Combined._third`).
    """

    share: np.ndarray
    ratio: np.ndarray
    first: np.ndarray
    second: np.ndarray
    kappa: np.ndarray
    value: list[np.ndarray] = field(default_factory=list)
    kept: list[Any] = field(default_factory=list)
    bend: np.ndarray = field(default_factory=lambda: np.empty(0))
    thirds: tuple[Any, ...] = ()

    def bends(self, layout: Blocks) -> np.ndarray:
        """``bend``, made if it was not."""
        if not len(self.bend):
            self.bend = np.zeros(layout.rows + layout.pairs)
        return self.bend


class Combined:
    """A family's likelihood with members that meet.

    Parameters
    ----------
    family : latent.mode.Likelihood
        Of the groups' own rows.
    own : int
        How many numbers the family has of its own.
    of_groups : bool
        Whether each of them is a number of each group: some have a linear predictor (:mod:`.beside`).
    group : (inner rows,) int array
        The group of each of its rows; -1 for a row without one (a pseudo-observation).
    combinations : tuple of Meets
        Their rows follow those of the family.
    """

    conjugate = False

    @property
    def kinked(self) -> bool:
        """Whether the derivatives of a block jump."""
        return any(c.kinked for c in self.combinations)

    @property
    def masks(self) -> bool:
        """Whether some members of a group say little of themselves because others do better or worse."""
        return any(c.masks for c in self.combinations)

    def __init__(
        self, family: Any, own: int, group: np.ndarray, combinations: tuple[Meets, ...], of_groups: bool = False
    ):  # fmt: skip
        self.family = family
        groups = int(len(combinations[0].start) - 1)
        self.own, self.group = own * groups if of_groups else own, group
        self._shape = (own, groups) if of_groups else (own,)
        alone = group < 0
        unit = np.where(alone, groups + np.cumsum(alone) - 1, group)
        self.layout = Blocks(np.concatenate([unit, *(m.group for m in combinations)]))
        self.combinations = tuple(m.placed(self.layout) for m in combinations)
        of_block = [np.full(len(m.group), k, dtype=np.int64) for k, m in enumerate(combinations)]
        self.block = np.concatenate([np.full(len(group), INNER, dtype=np.int64), *of_block])
        self._inside: Any = np.flatnonzero(~alone) if alone.any() else slice(None)
        whole = np.array_equal(group, np.arange(groups))  # each group has a row of its own, and no row is alone
        self._reads: Any = slice(None) if whole else group[self._inside]
        self._given: tuple[Any, np.ndarray] = (None, np.empty(0))
        self._last: tuple[np.ndarray, np.ndarray, int, At] | None = None

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
        return bool(self.family.possible(self.of_family(own)))

    def of_family(self, own: np.ndarray) -> np.ndarray:
        """The family's own numbers, (k,) or (k, groups), of all that the likelihood is given."""
        return own[: self.own].reshape(self._shape)

    def padded(self, values: np.ndarray) -> np.ndarray:
        """The family's values with a column for each row of A; those of members are not read."""
        return np.concatenate([values, np.zeros((len(values), self.rows - values.shape[1]))], axis=1)

    def _read(self, values: np.ndarray) -> np.ndarray:
        """The columns that the family reads."""
        if self._given[0] is not values:
            self._given = values, np.ascontiguousarray(values[:, : len(self.group)])
        return self._given[1]

    # -- what members make together ----------------------------------------------------------------------------------

    def at(self, eta: np.ndarray, own: np.ndarray, order: int = 2) -> At:
        """What the members make together at a predictor of the rows, and its derivatives as far as `order` goes.

        What was last made is kept: slopes, and derivatives in the mode and in numbers, are asked for at one predictor.
        """
        numbers, last = own[self.own :], self._last
        if last is not None and last[2] >= order and np.array_equal(last[0], eta) and np.array_equal(last[1], numbers):
            return last[3]
        n = self.rows
        out = At(np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n))
        for m in self.combinations:
            m.meet(eta, numbers, out, order)
        known = order if any(m.orders for m in self.combinations) else 3
        self._last = eta.copy(), numbers.copy(), known, out
        return out

    def predictor(self, eta: np.ndarray, at: At) -> np.ndarray:
        """Linear predictor of the groups' own rows, what their members make together added."""
        out = eta[: len(self.group)].copy()
        for value in at.value:
            out[self._inside] += value[self._reads]
        return out

    # -- the likelihood ----------------------------------------------------------------------------------------------

    def densities(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        """The first line of :meth:`slopes`, with the others."""
        self.slopes(values, eta, own, out)

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        """Log densities of the groups on their first rows, derivatives, curvatures and a stand-in for these."""
        at = self.at(eta, own)
        inner = np.empty((4, len(self.group)))
        self.family.slopes(self._read(values), self.predictor(eta, at), self.of_family(own), inner)
        b = self.layout
        combined_slopes(
            b.start, b.row, b.pair_start, self.block, self.rows, inner, at.share, at.first, at.second, at.kappa,
            at.bend, out,
        )  # fmt: skip

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        """Log density of each group on its first row."""
        family: Any = self.family
        predictor = self.predictor(eta, self.at(eta, own, 0))
        each = family.log_density(self._read(values), predictor, self.of_family(own), np, special)
        b = self.layout
        return b.on_rows(np.bincount(b.unit[: len(self.group)], each, b.units))

    def _third(self, values: np.ndarray, eta: np.ndarray, at: At, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The family's rows (4, rows) at a predictor, and its third derivatives."""
        given, mine = self._read(values), self.of_family(own)
        known = at.thirds  # threads may share what is kept
        if known and known[0] is given and np.array_equal(known[1], mine):
            return known[2], known[3]
        predictor = self.predictor(eta, at)
        inner = np.empty((4, len(self.group)))

        def second(h: float) -> np.ndarray:
            self.family.slopes(given, predictor + h, mine, inner)
            return inner[2].copy()

        with np.errstate(all="ignore"):
            third = central(second, 1e-4)
        self.family.slopes(given, predictor, mine, inner)
        at.thirds = given, mine.copy(), inner, third
        return inner, third

    def _adjoint(
        self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, leverage: np.ndarray, along: np.ndarray,
        level: float,
    ) -> tuple[At, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
        """Derivatives in values, shares, predictors of the groups' rows, what the family says of these, and shapes.

        See `combined_adjoint`. Then the first derivatives of the rows' log densities in their predictors.
        """
        at = self.at(eta, own, 3)
        inner, third = self._third(values, eta, at, own)
        b, n = self.layout, self.rows
        value, share, kappa, of_eta = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(len(self.group))
        of_family = np.zeros((2, len(self.group)))
        combined_adjoint(
            b.start, b.row, b.pair_start, self.block, n, inner, third, at.share, at.first, at.second, at.kappa,
            at.bend, leverage, along, level, value, share, of_eta, of_family, kappa,
        )  # fmt: skip
        return at, value, share, of_eta, of_family, kappa, inner[1]

    def skew(
        self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, leverage: np.ndarray, out: np.ndarray
    ) -> bool:  # fmt: skip
        """Half the third derivatives times the leverages of rows and pairs (see ``latent.blocks.Together``)."""
        at, value, share, of_eta, _, _, first = self._adjoint(values, eta, own, leverage, np.zeros(self.rows), 0.0)
        out[: len(self.group)] = of_eta
        inside = self._inside
        outer = np.bincount(self.group[inside], first[inside], len(self.combinations[0].start) - 1)
        for m, kept in zip(self.combinations, at.kept, strict=True):
            m.chain(kept, at, leverage, outer, value, share, out)
        return True

    def number_slopes(
        self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, leverage: np.ndarray, row: np.ndarray,
        out: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """Derivatives of l + leverage'l'' / 2 + row'l' in weights and shapes; those in l' and l'' of the family."""
        at, value, share, _, of_family, kappa, _ = self._adjoint(values, eta, own, leverage, row, 1.0)
        for k, m in enumerate(self.combinations):
            m.number_slopes(eta, own[self.own :], at, k, value, share, kappa, out)
        return of_family

    def family_slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """What the family says of the groups' own rows: log density, first and second derivatives (3, rows)."""
        inner = np.empty((4, len(self.group)))
        self.family.slopes(self._read(values), self.predictor(eta, self.at(eta, own)), self.of_family(own), inner)
        return inner[:3]
