"""Rows whose curvatures meet in pairs: groups at risk in intervals, without a row for each pair.

Where a row of the linear predictor stands for a group and another for an interval, the log-likelihood has mixed second
derivatives in the two. What they add to H, to products with W = -l'' and to the derivatives of log|H| is here; the sums
are those of :mod:`micromacro.numerics.exposure`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ..numerics.exposure import (
    Cross,
    Exposure,
    add_pairs,
    covariances,
    expected_pairs,
    over_groups,
    over_intervals,
    pair_slopes,
)
from ..numerics.ragged import starts
from ..numerics.symbolic import Symbolic

TOGETHER = 8  # columns that are summed at once


class Coupled(Protocol):
    """What a likelihood with such pairs supplies."""

    def exposure(self, values: np.ndarray) -> Exposure | None:
        """Who is at risk when; None where each row stands for itself."""
        ...

    def factors(self, values: np.ndarray, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """f (groups,) and h (intervals,) of the mixed curvatures f_i E_ik h_k at a linear predictor of the rows."""
        ...

    def expectation(self, values: np.ndarray, eta: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights w (groups,) in f, and the means of the first derivatives (rows,) without those of the pairs."""
        ...


def cross_pairs(group: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower-triangle places of all pairs of columns of groups and of own rows."""
    a, b = np.repeat(group, len(own)), np.tile(own, len(group))
    return np.maximum(a, b), np.minimum(a, b)


def cross_of(symbolic: Symbolic, groups: int, group: np.ndarray, own: np.ndarray, place: np.ndarray) -> Cross:
    """The block of pairs in an analysed pattern.

    Parameters
    ----------
    groups : int
        The first rows of A are those of groups, the others are own rows.
    group, own : int arrays
        Columns of both kinds in natural order, as they were handed to :func:`cross_pairs`.
    place : int array
        Panel places of the pairs.
    """
    s = symbolic
    column, of_own = s.position[group], np.full(s.size, -1, dtype=np.int64)
    of_own[s.position[own]] = np.arange(len(own))
    of_group = np.full(s.size, -1, dtype=np.int64)
    of_group[column] = np.arange(len(column))
    first = int(s.row_start[groups])
    row = np.repeat(np.arange(groups), np.diff(s.row_start[: groups + 1]))
    by_column = np.argsort(of_group[s.columns[:first]], kind="stable")
    start = starts(np.bincount(of_group[s.columns[:first]], minlength=len(column)))
    return Cross(
        column.astype(np.int64),
        start,
        row[by_column].astype(np.int64),
        by_column.astype(np.int64),
        (s.row_start[groups:] - first).astype(np.int64),
        np.arange(first, len(s.columns)),
        of_own[s.columns[first:]],
        np.ascontiguousarray(place.reshape(len(group), len(own)), dtype=np.int64),
    )


class Coupling:
    """The pairs of one likelihood on one system, with work space of one thread.

    `vary` says whether the entries of own rows depend on theta.
    """

    def __init__(
        self, likelihood: Any, values: np.ndarray, exposure: Exposure, cross: Cross, vary: bool, symbolic: Symbolic
    ):
        self.likelihood, self.values, self.symbolic = likelihood, values, symbolic
        self.exposure, self.cross = exposure, cross
        self.groups, intervals = len(exposure.low), len(exposure.length)
        self.vary = vary
        self.meet = cross.place.size > 0  # whether own rows have entries of A
        self.pulled, self.cumulative = np.empty((TOGETHER, intervals)), np.empty(intervals + 1)
        self.f, self.h, self.pull = np.empty(0), np.empty(0), np.empty(0)
        self.of_groups, self.of_own = np.empty(0), np.empty(0)

    def at(self, eta: np.ndarray) -> None:
        """Take the curvatures at a linear predictor of the rows."""
        self.f, self.h = self.likelihood.factors(self.values, eta)

    def add(self, entries: np.ndarray, panel: np.ndarray, weight: np.ndarray) -> None:
        """Add the block of pairs to the panels of H."""
        if not self.meet:
            return
        add_pairs(self.exposure, self.cross, entries, self.f, self.h, self.pulled, panel)

    def reach(self, entries: np.ndarray, inverse: np.ndarray, leverage: np.ndarray) -> None:
        """Leverages of pairs are never made."""

    def times(self, v: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """The mixed part of W times numbers of the rows (rows,)."""
        out, n = np.empty(len(v)), self.groups
        over_intervals(self.exposure, self.h * v[n:], self.cumulative, out[:n])
        over_groups(self.exposure, self.f * v[:n], out[n:])
        out[:n] *= self.f
        out[n:] *= self.h
        return out

    def skew(self, room: Any, rows: Any, weight: np.ndarray | None, step: float) -> None:
        """Fill ``room.pull``: half the third derivatives, those of exponentials, times leverages."""
        base = room.base
        self._skew(base.values, base.leverage, base.inverse)
        np.multiply(0.5 * base.leverage, room.slopes[2], out=room.pull)
        room.pull += self.pull

    def _skew(self, entries: np.ndarray, leverage: np.ndarray, inverse: np.ndarray) -> None:
        """What pairs bring to the slopes of -log|H| / 2: ``pull`` in the rows' predictors, the others in A.

        ``of_groups`` and ``of_own`` (MCS, M'BS) are at the places of the groups' and of the own entries, the latter
        only where these vary.
        """
        cross, n = self.cross, self.groups
        self.pull = -0.5 * self.times(leverage)
        self.of_groups, self.of_own = np.zeros(len(cross.row)), np.zeros(len(cross.own_at) if self.vary else 0)
        if not self.meet:
            return
        across_groups, across_own = np.empty(n), np.empty(len(self.h))
        pair_slopes(
            self.exposure, cross, entries, self.f, self.h, inverse, self.pulled, self.of_groups, across_groups,
            across_own, self.of_own,
        )  # fmt: skip
        self.pull[:n] -= across_groups
        self.pull[n:] -= across_own

    def settle(self, inner: np.ndarray) -> None:
        """Take what pairs bring to -log|H| / 2 from derivatives in the entries of A."""
        inner[self.cross.at] -= self.of_groups
        if self.vary:
            inner[self.cross.own_at] -= self.of_own

    def expected(self, room: Any, rows: Any) -> Callable[[np.ndarray], np.ndarray]:
        """Means of the first derivatives where the rows' predictors are normal with the covariance of the factor."""
        base = room.base
        return Expected(self, self.symbolic, base.values, base.inverse, base.leverage).at


class Expected:
    """Means of the first derivatives of the rows over a normal distribution of x."""

    def __init__(
        self, coupling: Coupling, symbolic: Symbolic, entries: np.ndarray, inverse: np.ndarray, leverage: np.ndarray
    ):
        cross = coupling.cross
        self.coupling, self.symbolic, self.entries = coupling, symbolic, entries
        self.leverage = leverage.copy()
        self.local = np.full(symbolic.size, -1, dtype=np.int64)
        self.local[cross.column] = np.arange(len(cross.column))
        self.across = np.empty((len(cross.column), len(coupling.exposure.length)))
        covariances(cross, entries, inverse, self.across)

    def at(self, eta: np.ndarray) -> np.ndarray:
        """At the mean of the linear predictor (rows,)."""
        c, s, out = self.coupling, self.symbolic, np.empty(len(eta))
        weight, fixed = c.likelihood.expectation(c.values, eta, self.leverage)
        expected_pairs(
            c.exposure, s.row_start, s.columns, self.local, self.entries, weight, eta, self.leverage, self.across,
            c.pulled[0], out,
        )  # fmt: skip
        return out + fixed
