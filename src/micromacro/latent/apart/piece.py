"""Some rows of A where they lie: their entries at a theta, products with them, derivatives in them.

A piece numbers the entries of x that its rows have: those of the effects' block first, in elimination order (`used`),
then all that come after the block. Vectors of x reach it and leave it as these entries alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...numerics.krylov import gram_border, gram_diagonal, gram_times
from ...numerics.ragged import starts
from ...numerics.rows import finish_slopes, times, transposed_times
from ...numerics.traces import Triangle, gram_beside, known_rows, pairs_of, random_rows, random_signs
from ..part import Part
from ..places import Places
from ..representation.iterated import NOTHING, NOWHERE
from .divided import Divided


class LocalRows:
    """Rows of A of some groups.

    Parameters
    ----------
    parts : sequence of Part
        Those of the model, on the tables of these groups.
    groups : int
    position : (size,) int array
        Place in elimination order of each entry of x.
    leading : int
        Entries of the effects' block.
    keys : (leading,) uint64 array
        What probes are made from, in elimination order.
    """

    def __init__(self, parts: Sequence[Part], groups: int, position: np.ndarray, leading: int, keys: np.ndarray):
        self.parts, self.groups = list(parts), groups
        places = Places(self.parts, 0)
        self._reads = [places.reads(k) for k in range(len(self.parts))]
        self._lengths = places.hypers
        rows, columns, at, self._slots = [], [], 0, []
        for k, part in enumerate(self.parts):
            row, column = part.entries()
            own = len(part.coefficients)
            start = places.coefficients(k).start, places.effects(k).start - own
            rows.append(row)
            columns.append(column + np.where(column < own, *start))
            self._slots.append(slice(at, at + len(row)))
            at += len(row)
        row, column = np.concatenate(rows), position[np.concatenate(columns)]
        self._number(row, column, len(position), leading)
        self._scratch = [part.scratch() for part in self.parts]
        self._keys = keys[self.used[: self.leading]]
        self._room(groups, at)
        self._pairs: Triangle | None = None

    def _number(self, row: np.ndarray, column: np.ndarray, size: int, leading: int) -> None:
        """Compressed rows with columns among those that are used."""
        inside = np.unique(column[column < leading])
        self.used = np.concatenate([inside, np.arange(leading, size)])
        self.leading = len(inside)
        by_row = np.lexsort((column, row))
        entry = np.empty(len(row), dtype=np.int64)
        entry[by_row] = np.arange(len(row))
        self._slots = [entry[some] for some in self._slots]
        self.columns = np.searchsorted(self.used, column[by_row]).astype(np.int32)
        counts = np.bincount(row, minlength=self.groups)
        self.row_start = starts(counts)
        inside = np.bincount(row[column < leading], minlength=self.groups).astype(float)
        self.products = float((inside * (inside - 1.0)).sum() / 2.0)

    def _room(self, groups: int, entries: int) -> None:
        self.values, self.slope, self._known_slope = np.zeros(entries), np.zeros(entries), np.zeros(0)
        self.weight, self.leverage, self._known_leverage = np.zeros(groups), np.zeros(groups), np.zeros(0)
        self._spare = np.zeros(groups)
        self._signs = np.empty((self.leading, 0), dtype=np.int8)
        self._rest, self._root = np.empty((self.leading, 0)), np.empty(0)
        self._known, self._sure = NOTHING, {}

    # -- theta ---------------------------------------------------------------------------------------------------------

    def sums(self, theta: np.ndarray) -> list[Any]:
        """What each part's weights add up to before they are normalised over all groups; None where they are not."""
        each = zip(self.parts, self._reads, strict=True)
        return [divided(part).sums(theta[where]) for part, where in each]

    def fill(self, theta: np.ndarray, scales: Sequence[Any]) -> tuple[bool, np.ndarray]:
        """Entries at theta and at what :meth:`sums` gave of all pieces together; what parts add to the offset."""
        offset = np.zeros(self.groups)
        for k, (part, where, scale) in enumerate(zip(self.parts, self._reads, scales, strict=True)):
            if scale is not None:
                self.parts[k] = part = divided(part).scaled(scale)
            if not part.fill(theta[where], self._scratch[k], self._slots[k], self.values, offset):
                return False, offset
            if scale is not None:
                divided(part).share(self._scratch[k], scale)
        return bool(np.isfinite(self.values).all()), offset

    def pull(self, theta: np.ndarray, d_offset: np.ndarray) -> np.ndarray:
        """Derivative in the parts' theta from those in the entries (in ``slope``) and in the offset."""
        out = np.zeros(self._lengths)
        for k, (part, where) in enumerate(zip(self.parts, self._reads, strict=True)):
            if not isinstance(where, slice) or where.stop > where.start:
                out[where] += part.pull(theta[where], self._scratch[k], self._slots[k], self.slope, d_offset)
        return out

    def reached(self) -> np.ndarray:
        """Which entries of x (used,) some row reads at the theta last filled."""
        out = np.zeros(len(self.used), dtype=bool)
        out[self.columns[self.values != 0.0]] = True
        return out

    # -- products ------------------------------------------------------------------------------------------------------

    def times(self, x: np.ndarray) -> np.ndarray:
        """A x (groups,)."""
        out = np.empty(self.groups)
        times(self.row_start, self.columns, self.values, _own(x), out)
        return out

    def transposed(self, v: np.ndarray) -> np.ndarray:
        """A'v (used,)."""
        out = np.zeros(len(self.used))
        transposed_times(self.row_start, self.columns, self.values, _own(v), out)
        return out

    def gram(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A'WA x and x'A'WAx, of the effects' block (leading, k)."""
        out, curvature = np.zeros(x.shape), np.zeros(x.shape[1])
        gram_times(self.row_start, self.columns, self.values, self.weight, self.leading, _own(x), out, curvature)
        return out, curvature

    def weigh(self, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Take a diagonal of W; the diagonal of A'WA (used,), its columns beside the block, and what is left."""
        self.weight = _own(weight)
        c = len(self.used) - self.leading
        diagonal, beside, whole = np.zeros(len(self.used)), np.zeros((self.leading, c)), np.zeros((c, c))
        rows = (self.row_start, self.columns, self.values, self.weight)
        gram_diagonal(*rows, diagonal)
        gram_border(*rows, self.leading, beside, whole)
        return diagonal, beside, whole

    # -- pairs of effects that a row has -------------------------------------------------------------------------------

    def describe(self, most: float) -> tuple[np.ndarray, int, float, tuple[np.ndarray, np.ndarray] | None]:
        """Entries of x and of A that it has, products of two entries of a row; its pairs, of places in the block."""
        entries = len(self.columns)
        self._pairs = pairs_of(self.row_start, self.columns, NOWHERE, NOWHERE, self.leading, most)
        if self._pairs is None:
            return self.used, entries, self.products, None
        row = np.repeat(np.arange(self.leading), np.diff(self._pairs.start))
        return self.used, entries, self.products, (self.used[row], self.used[self._pairs.column])

    def pairs(self) -> np.ndarray:
        """Entries of A'WA for these pairs."""
        assert self._pairs is not None
        out = np.zeros(len(self._pairs.column))
        places = self._pairs.of_rows
        gram_beside(self.row_start, self.columns, self.values, self.weight, self.leading, places, out)
        return out

    # -- probes --------------------------------------------------------------------------------------------------------

    def probe(self, root: np.ndarray, rest: np.ndarray, known: np.ndarray | None) -> None:
        """Take what slopes are made from: P^-1/2, what probes leave, what is known of the inverse for its pairs."""
        self._root, self._rest, self._sure = _own(root), _own(rest), {}
        if self._signs.shape != rest.shape:
            self._signs = np.empty(rest.shape, dtype=np.int8)
            random_signs(self._keys, 0, self._signs)
        self._known = NOTHING
        if known is not None and self._pairs is not None:
            self._known = _own(known)

    def know(self, solved: np.ndarray, corner: np.ndarray) -> None:
        """Work out what of slopes is known without probes, for a Schur complement of some columns."""
        slope, leverage = np.empty_like(self.slope), np.empty_like(self.leverage)
        rows = (self.row_start, self.columns, self.values, self.leading)
        places = NOWHERE if self._pairs is None else self._pairs.of_rows
        known_rows(*rows, self._root**2, places, self._known, _own(solved), _own(corner), slope, leverage)
        self._sure[len(corner)] = (slope, leverage)

    def slopes(self, columns: int, first: int, last: int) -> np.ndarray:
        """S A' on the pattern of A, into ``slope``; a_i'S a_i of each row."""
        slope, leverage = self._sure[columns]
        self.slope, self.leverage = slope.copy(), leverage.copy()
        rows = (self.row_start, self.columns, self.values, self.leading)
        random_rows(*rows, self._rest, self._signs, self._root, first, last, self.slope, self.leverage)
        return self.leverage

    def finish(self, weight: np.ndarray, residual: np.ndarray, mean: np.ndarray) -> None:
        """``slope`` becomes the derivatives in the entries, for a Gaussian outcome."""
        rows = (self.row_start, self.columns, self.slope, _own(weight), _own(residual), _own(mean))
        finish_slopes(*rows, self.leverage, self._spare)

    def move(
        self, x: np.ndarray, shift: np.ndarray, d_offset: np.ndarray, first: np.ndarray, second: np.ndarray
    ) -> None:  # fmt: skip
        """``slope`` becomes the derivatives in the entries, by Laplace's formula."""
        each = np.repeat(np.arange(self.groups), np.diff(self.row_start))
        self.slope *= second[each]
        self.slope += first[each] * shift[self.columns]
        self.slope += d_offset[each] * x[self.columns]


def divided(part: Part) -> Divided:
    """How the rows of a part lie in pieces."""
    out = part.divided
    assert out is not None
    return out


def _own(a: np.ndarray) -> np.ndarray:
    """The array itself, or a copy of one that is not to be written to, for which kernels would be compiled again."""
    a = np.ascontiguousarray(a)
    return a if a.flags.writeable else a.copy()
