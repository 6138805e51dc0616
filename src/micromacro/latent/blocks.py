r"""Units whose log density reads several rows of the linear predictor: a dense block of curvature for each.

Effects on the spread of an outcome, a choice among alternatives, members whose whole effects meet in another way than
by their sum: in each, the log-likelihood is a sum over units, and a unit depends on the linear predictors of a few rows
of A. Then :math:`W = -l''` is block diagonal. Numbers of the blocks are held as one vector of *rows and pairs*: the
diagonal (rows,), then the entries beside it (pairs,), unit by unit, (1, 0), (2, 0), (2, 1) ...

:class:`Blocks` is the layout, :class:`Meeting` what it says of the pattern of a system, :class:`BlockPairs` what one
thread works with. The likelihood fills ``slopes`` (4, rows + pairs), see :class:`Together`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..numerics.cubature import normal_points
from ..numerics.differences import central
from ..numerics.ragged import runs, starts, within
from ..numerics.symbolic import Symbolic
from ..numerics.units import absolute_blocks, add_blocks, block_lift, block_reach, block_roots, block_times

Rows = Callable[[np.ndarray, np.ndarray], float]


class Together(Protocol):
    """What a likelihood supplies whose units read several rows (beside what ``latent.mode.Likelihood`` asks for)."""

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        """Fill out (4, rows + pairs) at the predictor of the rows (rows,).

        Log densities of the units on the first row of each (zero elsewhere), first derivatives (zero at pairs), second
        derivatives, and a positive semidefinite stand-in for minus the latter (:meth:`Blocks.stand_in`). `own` are the
        family's own numbers, followed by those that parts fill (``Part.number_rows``), if any do.
        """
        ...

    def skew(
        self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, leverage: np.ndarray, out: np.ndarray
    ) -> bool:  # fmt: skip
        """Fill out (rows,) with half the third derivatives times `leverage` (rows + pairs,), twice h at pairs.

        False where this is left to central differences.
        """
        ...

    def number_slopes(
        self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, leverage: np.ndarray, row: np.ndarray,
        out: np.ndarray,
    ) -> np.ndarray | None:  # fmt: skip
        """Fill out (numbers,) with the derivatives of l + leverage'l'' / 2 + row'l' in the numbers that parts fill.

        Returns those in the first and second derivatives (2, inner rows) of rows that a family says
        (``family_slopes``); None where all of this is left to central differences.
        """
        ...


@dataclass(frozen=True, eq=False)
class Blocks:
    """Which rows of A each unit reads.

    Attributes
    ----------
    unit : (rows,) int array
        The unit of each row, from 0; each unit has a row. The rows of a unit are in the order of their numbers.
    start, row : (units + 1,), (rows,) int arrays
        The rows of unit u are ``row[start[u] : start[u + 1]]``; ``position`` (rows,) is where a row is among them.
    high, low : (pairs,) int arrays
        The later and the earlier row of each pair; those of unit u are ``pair_start[u] : pair_start[u + 1]``.
    place : (rows + pairs,) int array
        The unit of each row and pair.
    widest : int
        The most rows of a unit.
    """

    unit: np.ndarray
    start: np.ndarray = field(init=False)
    row: np.ndarray = field(init=False)
    position: np.ndarray = field(init=False)
    high: np.ndarray = field(init=False)
    low: np.ndarray = field(init=False)
    pair_start: np.ndarray = field(init=False)
    place: np.ndarray = field(init=False)
    widest: int = field(init=False)

    def __post_init__(self):
        unit = np.asarray(self.unit, dtype=np.int64)
        count = np.bincount(unit)
        start = starts(count)
        row = np.argsort(unit, kind="stable")
        position = np.empty(len(unit), dtype=np.int64)
        position[row] = within(count)
        before = position[row]  # each row meets those before it
        high = np.repeat(row, before)
        low = row[runs(start[unit[row]], before)]
        pair_start = starts(count * (count - 1) // 2)
        made = {
            "unit": unit, "start": start, "row": row, "position": position, "high": high, "low": low,
            "pair_start": pair_start, "place": np.concatenate([unit, unit[high]]), "widest": int(count.max(initial=1)),
        }  # fmt: skip
        for name, value in made.items():
            object.__setattr__(self, name, value)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.unit)

    @property
    def units(self) -> int:
        """Number of units."""
        return len(self.start) - 1

    @property
    def pairs(self) -> int:
        """Number of pairs of rows of one unit."""
        return len(self.high)

    @property
    def first(self) -> np.ndarray:
        """The first row of each unit (units,)."""
        return self.row[self.start[:-1]]

    def on_rows(self, of_unit: Any, xp: Any = np) -> Any:
        """Numbers of the units (units,) on their first rows, zero on the others (rows,); `xp` is numpy or jax.numpy."""
        at = np.where(self.position == 0, self.unit, self.units)
        return xp.concatenate([of_unit, xp.zeros(1)])[at]

    def sums(self, each: np.ndarray) -> np.ndarray:
        """Sums of numbers of rows and pairs, or of the rows alone, over each unit (units,)."""
        return np.bincount(self.place[: len(each)], each, self.units)

    def with_pairs(self, of_row: np.ndarray) -> np.ndarray:
        """Numbers that all rows of a unit share (rows,), for rows and pairs."""
        return np.concatenate([of_row, of_row[self.high]])

    def stand_in(self, out: np.ndarray) -> None:
        """Fill out[3] from out[2] (both rows + pairs) by the sizes of the eigenvalues of each block."""
        absolute_blocks(self.start, self.row, self.pair_start, out[2], out[3])


@dataclass(frozen=True, eq=False)
class Meeting:
    """The pairs of rows in the pattern of a system.

    Attributes
    ----------
    blocks : Blocks
    place : int array
        Panel place of each product of an entry of ``high`` and one of ``low``, pair by pair.
    """

    blocks: Blocks
    place: np.ndarray


@dataclass(frozen=True, eq=False)
class Crossed:
    """Pairs of entries of A of two rows of a unit, as they were handed in: in any order."""

    pair: np.ndarray
    high: np.ndarray
    low: np.ndarray
    unique: np.ndarray
    columns: tuple[np.ndarray, np.ndarray]

    def meeting(self, blocks: Blocks, symbolic: Symbolic, entry: np.ndarray, place: np.ndarray) -> Meeting:
        """In the order of the analysed pattern.

        Parameters
        ----------
        entry : int array
            Where each entry handed in has gone among the values of A.
        place : int array
            Panel places of ``columns``.
        """
        start = symbolic.row_start
        length = np.diff(start)
        first = starts(length[blocks.high] * length[blocks.low])
        high, low = blocks.high[self.pair], blocks.low[self.pair]
        at = first[self.pair] + (entry[self.high] - start[high]) * length[low] + entry[self.low] - start[low]
        out = np.empty(len(at), dtype=np.int64)
        out[at] = place[self.unique]
        return Meeting(blocks, out)


def products(blocks: Blocks, rows: np.ndarray, columns: np.ndarray, size: int) -> Crossed:
    """All pairs of entries of two rows of a unit, from the rows and columns of the entries of A."""
    by_row = np.argsort(rows, kind="stable")
    length = np.bincount(rows, minlength=blocks.rows)
    start = starts(length)
    others = length[blocks.low]
    many = length[blocks.high] * others
    pair = np.repeat(np.arange(blocks.pairs), many)
    ahead, aside = np.divmod(within(many), np.maximum(others[pair], 1))
    high = by_row[start[blocks.high[pair]] + ahead]
    low = by_row[start[blocks.low[pair]] + aside]
    a, b = columns[high], columns[low]
    key, unique = np.unique(np.maximum(a, b) * size + np.minimum(a, b), return_inverse=True)
    return Crossed(pair, high, low, unique.reshape(-1), (key // size, key % size))


class BlockPairs:
    """The blocks of one likelihood on one system, with work space of one thread."""

    def __init__(self, likelihood: Any, values: np.ndarray, meeting: Meeting, symbolic: Symbolic):
        self.likelihood, self.values = likelihood, values
        self.blocks, self.place, self.symbolic = meeting.blocks, meeting.place, symbolic
        self.weight = np.zeros(self.blocks.pairs)
        self.crossed = np.empty(0)

    def at(self, eta: np.ndarray) -> None:
        """Curvatures come with those of the rows."""

    def add(self, entries: np.ndarray, panel: np.ndarray, weight: np.ndarray) -> None:
        """Add the pairs' part of A'WA to the panels of H; `weight` (rows + pairs,)."""
        s, b = self.symbolic, self.blocks
        self.weight[:] = weight[b.rows :]
        add_blocks(s.row_start, s.columns, entries, b.high, b.low, self.weight, self.place, panel)

    def reach(self, entries: np.ndarray, inverse: np.ndarray, leverage: np.ndarray) -> None:
        """Leverages of the pairs, twice each, after those of the rows; and what derivatives in A need (`crossed`)."""
        b = self.blocks
        if len(self.crossed) != len(entries):
            self.crossed = np.empty(len(entries))
        block_reach(
            self.symbolic.row_start, entries, b.high, b.low, self.weight, self.place, inverse, self.crossed,
            leverage[b.rows :],
        )  # fmt: skip

    def times(self, v: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """What pairs add to W v (rows,), W being that of the last factor or given (rows + pairs,)."""
        out = np.zeros(len(v))
        w = self.weight if weight is None else np.ascontiguousarray(weight[self.blocks.rows :])
        block_times(self.blocks.high, self.blocks.low, w, v, out)
        return out

    def skew(self, room: Any, rows: Rows, weight: np.ndarray | None, step: float) -> None:
        """Fill ``room.pull`` (rows,): half the third derivatives, differences over a step, times the leverages."""
        b, leverage = self.blocks, room.base.leverage
        if self.likelihood.skew(self.values, room.eta, room.own, leverage, room.pull):
            if weight is not None:
                room.pull *= weight[: b.rows]
            return
        for position in range(b.widest):
            here = b.position == position

            def second(h: float, here: np.ndarray = here) -> np.ndarray:
                rows(room.eta + h * here, room.trial_slopes)
                return room.trial_slopes[2].copy()

            with np.errstate(all="ignore"):
                of_unit = b.sums(0.5 * leverage * central(second, step))
            room.pull[here] = of_unit[b.unit[here]]

    def settle(self, inner: np.ndarray) -> None:
        """Take what pairs bring to -log|H| / 2 from derivatives in the entries of A."""
        inner -= self.crossed[: len(inner)]

    def expected(self, room: Any, rows: Rows) -> Callable[[np.ndarray], np.ndarray]:
        """Means of the first derivatives where the rows' predictors are normal with the covariance of the factor."""
        b = self.blocks
        root, lift = np.zeros(b.rows + b.pairs), np.empty(b.rows)
        block_roots(b.start, b.row, b.pair_start, room.base.leverage, root)
        points, weights = normal_points(b.widest)

        def at(eta: np.ndarray) -> np.ndarray:
            out = np.zeros(len(eta))
            for point, weight in zip(points, weights, strict=True):
                block_lift(b.start, b.row, b.pair_start, root, point, lift)
                rows(eta + lift, room.trial_slopes)
                out += weight * room.trial_slopes[1, : b.rows]
            return out

        return at
