r"""Square roots of about :math:`H^{-1}`: maps T with which :math:`x = m + Tz` has nearly independent standard normal z.

Any T that depends on theta alone leaves what is sampled exact (:mod:`micromacro.engines.mcmc.whitened`), so that a T
that is cheaper than the factor of H may stand in for it. Vectors of x are in elimination order; a root is that of the
curvatures of rows where it was last made, and each work space has its own.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..numerics.blocks import factorise_blocks, room_of
from ..numerics.cholesky import factorise, log_determinant, solve_lower, solve_upper
from ..numerics.exposure import Exposure, over_groups
from ..numerics.merging import (
    Merging,
    assemble_runs,
    directions,
    log_size,
    pull_back_runs,
    pull_runs,
    run_begins,
    spread_runs,
    whiten_runs,
)
from ..numerics.modes import latent_gradient
from ..numerics.rows import times
from ..numerics.symbolic import analyse
from .coupling import Coupling, cross_pairs
from .mode import LatentPosterior, ModeRoom
from .system import System

RUNS = 10  # of neighbouring intervals that stand for one another
WORTH = 4  # intervals for each of them from which it is worth while


class Root:
    """:math:`T = L^{-T}` with :math:`LL' = H`, in a work space whose ``slopes`` and ``eta`` say where."""

    def __init__(self, posterior: LatentPosterior, room: ModeRoom):
        self.posterior, self.room = posterior, room

    def make(self) -> bool:
        """Make T at the curvatures in the work space; False where it does not exist."""
        return self.posterior.factorise(self.room, self.room.slopes[3])

    def step(self) -> tuple[bool, float]:
        """Make T at the slopes in the work space, and ``room.step``, Newton's from ``room.x``; its squared length."""
        bad, length = self.posterior.newton(self.room, self.room.x, self.room.slopes[3])
        return bad < 0, length

    def log_size(self) -> float:
        """Minus log|T|."""
        s = self.posterior.system.symbolic
        return 0.5 * log_determinant(s.layout, self.room.base.panel, s.size)

    def spread(self, v: np.ndarray) -> None:
        """v becomes T v."""
        solve_upper(self.posterior.system.symbolic.layout, self.room.base.panel, v)

    def pull_back(self, v: np.ndarray) -> None:
        """v becomes T'v."""
        solve_lower(self.posterior.system.symbolic.layout, self.room.base.panel, v)

    def whiten(self, v: np.ndarray) -> np.ndarray:
        """T^-1 v, which is L^-1 H v."""
        posterior, room, s = self.posterior, self.room, self.posterior.system.symbolic
        base, center, out = room.base, posterior.center, np.empty_like(v)
        times(s.row_start, s.columns, base.values, v, room.lift)
        room.lift[:] = posterior.curved(room, room.slopes[3], room.lift)
        latent_gradient(
            s.row_start, s.columns, base.values, s.d_row, s.d_column, base.d_value, center, center - v, room.lift,
            room.step, out,
        )  # fmt: skip
        solve_lower(s.layout, base.panel, out)
        return out


class MergedPattern:
    """What :class:`Merged` needs to know of a system: which intervals are merged, and the pattern of R."""

    def __init__(self, system: System, exposure: Exposure, runs: int):
        cross = system.cross
        assert cross is not None
        s, groups = system.symbolic, system.groups
        own = s.columns[cross.own_at].astype(np.int64)
        self.begin = run_begins(exposure, runs)
        runs = len(self.begin) - 1
        self.run = np.repeat(np.arange(runs), np.diff(self.begin))
        place = np.full(s.size, -1, dtype=np.int64)  # in R's natural order: what is not a log hazard, then the runs
        rest = np.setdiff1d(s.order, s.order[own], assume_unique=True)  # natural order
        place[s.position[rest]] = np.arange(len(rest))
        first = int(s.row_start[groups])
        self.kept = np.flatnonzero((place[s.d_row] >= 0) & (place[s.d_column] >= 0))
        alone = np.flatnonzero(s.d_row == s.d_column)
        at = np.empty(s.size, dtype=np.int64)
        at[s.d_row[alone]] = alone
        self.own_d = at[own]
        of_run = len(rest) + np.arange(runs)
        pairs = cross_pairs(place[cross.column], of_run)
        d_row, d_column = place[s.d_row[self.kept]], place[s.d_column[self.kept]]
        self.symbolic = r = analyse(
            groups, len(rest) + runs, np.repeat(np.arange(groups), np.diff(s.row_start[: groups + 1])),
            place[s.columns[:first]], np.concatenate([np.maximum(d_row, d_column), of_run, pairs[0]]),
            np.concatenate([np.minimum(d_row, d_column), of_run, pairs[1]]), len(rest) + runs,
        )  # fmt: skip
        everywhere, some = r.pattern.panels.d_place, len(self.kept) + runs
        self.d_place = everywhere[:some]
        self.place = np.ascontiguousarray(everywhere[some:].reshape(len(cross.column), runs))
        self.entry, self.values = r.entry, first
        local = np.full(r.size, -1, dtype=np.int64)
        local[r.position[place[cross.column]]] = np.arange(len(cross.column))
        self.local = local[r.columns]
        self.merging = Merging(s.position[rest], r.position[: len(rest)], own, self.begin, r.position[of_run])


class Merged(Root):
    """T of a likelihood with runs of intervals, neighbouring ones standing for one another (``numerics.merging``)."""

    def __init__(self, posterior: LatentPosterior, room: ModeRoom, pattern: MergedPattern):
        super().__init__(posterior, room)
        assert isinstance(room.pairs, Coupling)
        self.pairs, self.pattern = room.pairs, pattern
        s, p = pattern.symbolic, pattern
        intervals, runs = len(p.own_d), len(p.begin) - 1
        self.panel, self.work = np.empty(s.panel_size), np.empty(s.size)
        self.buffer = np.empty(room_of(s.layout) if s.blocked else s.size)
        self.values, self.d_value = np.empty(p.values), np.ones(len(p.kept) + runs)
        self.root, self.unit, self.at_risk = np.empty(intervals), np.empty(intervals), np.empty(intervals)
        self.cumulative, self.of_run = np.empty(intervals + 1), np.empty(runs)
        self.pulled = np.empty(p.place.shape)

    def make(self) -> bool:
        room, p, pairs, r = self.room, self.pattern, self.pairs, self.pattern.symbolic
        pairs.at(room.eta)
        f, h, base, groups = pairs.f, pairs.h, room.base, pairs.groups
        square = room.slopes[3, groups:] + base.d_value[p.own_d]
        if not (square > 0.0).all():
            return False
        np.sqrt(square, out=self.root)
        over_groups(pairs.exposure, f, self.at_risk)
        directions(self.at_risk, h, p.begin, self.root, self.unit)
        self.values[p.entry] = base.values[: p.values]
        self.d_value[: len(p.kept)] = base.d_value[p.kept]
        pull_runs(
            pairs.exposure, r.row_start, p.local, self.values, f, h * self.unit / self.root, p.begin, p.run,
            self.cumulative, self.of_run, self.pulled,
        )  # fmt: skip
        assemble_runs(
            r.row_start, r.pair, self.values, room.slopes[3, :groups], p.d_place, self.d_value, self.pulled, p.place,
            self.panel,
        )  # fmt: skip
        if r.blocked:
            return factorise_blocks(r.layout, self.panel, self.buffer) < 0
        return factorise(*r.layout.factoring, self.panel, self.buffer) < 0

    def log_size(self) -> float:
        return log_size(self.pattern.symbolic.layout, self.panel, self.root)

    def step(self) -> tuple[bool, float]:
        room, s, base = self.room, self.posterior.system.symbolic, self.room.base
        if not self.make():
            return False, 0.0
        latent_gradient(
            s.row_start, s.columns, base.values, s.d_row, s.d_column, base.d_value, self.posterior.center, room.x,
            room.slopes[1], room.step, room.gradient,
        )  # fmt: skip
        room.step[:] = room.gradient
        self.pull_back(room.step)
        length = float(room.step @ room.step)
        self.spread(room.step)
        return True, length

    def spread(self, v: np.ndarray) -> None:
        spread_runs(self.pattern.symbolic.layout, self.panel, self.pattern.merging, self.unit, self.root, v, self.work)

    def pull_back(self, v: np.ndarray) -> None:
        pull_back_runs(
            self.pattern.symbolic.layout, self.panel, self.pattern.merging, self.unit, self.root, v, self.work
        )

    def whiten(self, v: np.ndarray) -> np.ndarray:
        out = v.copy()
        whiten_runs(
            self.pattern.symbolic.layout, self.panel, self.pattern.merging, self.unit, self.root, out, self.work
        )
        return out


class Roots:
    """Makes the roots of one posterior: of H itself, or with intervals merged where there are many."""

    def __init__(self, posterior: LatentPosterior, runs: int | None = None):
        self.posterior, self.runs = posterior, runs or RUNS

    @cached_property
    def pattern(self) -> MergedPattern | None:
        """What is merged, if anything is."""
        system = self.posterior.system
        exposure = self.posterior.likelihood.exposure(self.posterior.values)
        if exposure is None or system.cross is None or self.posterior.held:
            return None
        intervals = len(exposure.length)
        plain = len(system.cross.own_at) == intervals and not system.parts[-1].hypers
        return MergedPattern(system, exposure, self.runs) if plain and intervals >= WORTH * self.runs else None

    def root(self, room: ModeRoom) -> Root:
        """That of a work space."""
        pattern = self.pattern
        return Root(self.posterior, room) if pattern is None else Merged(self.posterior, room, pattern)
