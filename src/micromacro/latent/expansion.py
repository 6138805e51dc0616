"""Rows of A that are not groups: which group each row repeats, and the entries that belong to rows.

Most families have one row per group. A piecewise-constant hazard has a row for each group and interval in which it is
at risk; a second linear predictor would have its own row for each group. The terms of a formula still give their
entries group by group; here they are gathered to the rows and derivatives scattered back, so terms need not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..numerics.ragged import runs, starts
from .blocks import Blocks
from .part import Part


@dataclass(frozen=True, eq=False)
class Expansion:
    """Which row of A repeats which group.

    Attributes
    ----------
    group : (rows,) int array
        The group whose entries a row repeats; -1 for a row without one (a pseudo-observation).
    part : Part
        The part whose entries are given row by row; it comes after the terms of the formula.
    predictor : (rows,) int array or None
        The linear predictor that a row is of, where there are several: it repeats the entries of the parts with that
        number in their attribute ``predictor`` (0 where a part has none).
    coupled : bool
        Whether the log-likelihood of a group depends on the own rows too: the first rows are then those of the groups
        in turn, the others those of the part (:mod:`micromacro.latent.coupling`).
    blocks : Blocks or None
        Which rows the log density of each unit reads, where it reads several (:mod:`micromacro.latent.blocks`).
    strata : (groups,) int array or None
        Of groups whose own rows are not the others': which ones.
    """

    group: np.ndarray
    part: Part
    predictor: np.ndarray | None = None
    coupled: bool = False
    blocks: Blocks | None = None
    strata: np.ndarray | None = None

    @property
    def rows(self) -> int:
        """Number of rows of A."""
        return len(self.group)

    @property
    def predictors(self) -> int:
        """Number of linear predictors."""
        return 1 if self.predictor is None else int(self.predictor.max()) + 1

    def spread(self, of_group: np.ndarray, out: np.ndarray) -> None:
        """Numbers of the groups (predictors, groups) onto the rows (rows,); zero on rows without a group."""
        out[:] = of_group[0 if self.predictor is None else self.predictor, self.group]
        out[self.group < 0] = 0.0

    def gather(self, of_row: np.ndarray, groups: int) -> np.ndarray:
        """Sums of numbers of the rows over each group, (predictors, groups)."""
        inside = self.group >= 0
        place = self.group if self.predictor is None else self.predictor * groups + self.group
        sums = np.bincount(place[inside], of_row[inside], self.predictors * groups)
        return sums.reshape(self.predictors, groups)


@dataclass(frozen=True, eq=False)
class Repeats:
    """Entries of groups and what becomes of them in the rows.

    Attributes
    ----------
    group, column : (entries,) int arrays
        Places of the entries group by group: group, entry of x in natural order.
    predictor : (entries,) int array
        Linear predictor that each belongs to.
    source, row : (repeated,) int arrays
        For each entry of a row of A the entry of a group that it repeats, and its row.
    into : (repeated,) int array
        Where it is among the values of A (set once the pattern is analysed).
    """

    group: np.ndarray
    column: np.ndarray
    predictor: np.ndarray
    source: np.ndarray
    row: np.ndarray
    into: np.ndarray


def repeat(expansion: Expansion, groups: int, entries: Sequence[tuple[np.ndarray, np.ndarray, int]]) -> Repeats:
    """Repeat the entries of parts, each as (groups, columns of x, linear predictor), on the rows of A."""
    empty = np.empty(0, dtype=np.int64)
    group = np.concatenate([empty, *(g for g, _, _ in entries)])
    column = np.concatenate([empty, *(c for _, c, _ in entries)])
    predictor = np.concatenate([empty, *(np.full(len(g), p) for g, _, p in entries)])
    of_row = np.zeros(expansion.rows, dtype=np.int64) if expansion.predictor is None else expansion.predictor
    rows = np.flatnonzero(expansion.group >= 0)
    key = of_row[rows] * groups + expansion.group[rows]
    rows = rows[np.argsort(key, kind="stable")]
    wanted = predictor * groups + group
    count = np.bincount(key, minlength=int(wanted.max(initial=0)) + 1)
    many = count[wanted]
    source = np.repeat(np.arange(len(group)), many)
    return Repeats(group, column, predictor, source, rows[runs(starts(count)[wanted], many)], empty)
