"""The system and the representation of rows that lie apart: vectors here, entries where the pieces are."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np

from ...errors import EngineError
from ...numerics.symbolic import Symbolic
from ...numerics.traces import Triangle, random_entries
from ..part import Part
from ..places import Places
from ..representation.base import Representation
from ..representation.iterated import PAIRS, Iterated
from ..representation.iteration import iteration_work
from ..system import System
from ..workspace import Workspace, new_workspace
from .crew import Crew

NAME = "rows"  # under which a crew keeps pieces
NO_FACTOR = (
    "this needs all rows of the model in one place, but they lie in partitions: fit.by_partition() gives weights and "
    "predictions of one partition after the other; for everything else fit the data as one table"
)


class NoPattern:
    """The pattern of a matrix that nobody has."""

    large, ordered = True, True

    def __getattr__(self, name: str) -> Any:
        raise EngineError(NO_FACTOR)


class Scattered:
    """Where rows and entries of x of each piece are among all.

    Parameters
    ----------
    crew : Crew
        Whose pieces are made.
    rows : sequence of int arrays
        Rows (groups) of each piece.
    leading : int
        Entries of the effects' block.
    """

    refusal = NO_FACTOR

    def __init__(self, crew: Crew, rows: Sequence[np.ndarray], leading: int):
        self.crew, self.rows, self.leading = crew, list(rows), leading
        found = crew.ask(NAME, "describe", [(PAIRS,)] * len(crew))
        self.used = [used for used, _, _, _ in found]
        self.entries = sum(entries for _, entries, _, _ in found)
        self.inside = [used[used < leading] for used in self.used]
        self.sent: Any = None  # what slopes are made from where the pieces are
        self._reached: tuple[np.ndarray, np.ndarray] | None = None  # at a theta, last asked for
        self.pattern: Triangle | None = None
        self.pair_of: list[np.ndarray] = []
        products, pairs = sum(products for _, _, products, _ in found), [pairs for _, _, _, pairs in found]
        if products <= PAIRS and all(own is not None for own in pairs):
            self._number(pairs)

    def _number(self, pairs: list[Any]) -> None:
        """The pattern of all pairs, and where those of each piece are in it."""
        codes = [row.astype(np.int64) * self.leading + column for row, column in pairs]
        every = np.unique(np.concatenate(codes))
        start = np.searchsorted(every, np.arange(self.leading + 1) * self.leading).astype(np.int64)
        column = (every % self.leading).astype(np.int32)
        self.pattern = Triangle(start, column, np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int32))
        self.pair_of = [np.searchsorted(every, code) for code in codes]

    def ask(self, verb: str, *each: list[Any]) -> list[Any]:
        """A verb of all pieces; arguments are lists with an entry for each piece."""
        return self.crew.ask(NAME, verb, list(zip(*each, strict=True)) if each else None)

    def same(self, *arguments: Any) -> list[list[Any]]:
        """Arguments that are the same for all pieces."""
        return [[a] * len(self.crew) for a in arguments]

    def of_rows(self, v: np.ndarray) -> list[np.ndarray]:
        """Numbers of the rows, piece by piece."""
        return [v[rows] for rows in self.rows]

    def of_x(self, x: np.ndarray) -> list[np.ndarray]:
        """Entries of x, piece by piece."""
        return [x[used] for used in self.used]

    def of_block(self, x: np.ndarray) -> list[np.ndarray]:
        """Entries of the effects' block, piece by piece."""
        return [x[inside] for inside in self.inside]

    def transposed(self, v: np.ndarray, size: int) -> np.ndarray:
        """A'v (size,) for numbers of the rows."""
        out = np.zeros(size)
        for used, own in zip(self.used, self.ask("transposed", self.of_rows(v)), strict=True):
            out[used] += own
        return out

    def reached(self, system: System, theta: np.ndarray) -> np.ndarray:
        """Which entries of x (size,), in natural order, some row reads at theta."""
        if self._reached is None or not np.array_equal(self._reached[0], theta):
            system.fill(theta, system.workspace(gradient=False))
            out = np.zeros(system.size, dtype=bool)
            for used, read in zip(self.used, self.ask("reached"), strict=True):
                out[used] |= read
            self._reached = (theta.copy(), system.natural_order(out))
        return self._reached[1].copy()

    def representation(self, system: ScatteredSystem, keys: np.ndarray, probes: int) -> Iterated:
        """Conjugate gradients whose products the pieces make."""
        return ScatteredRows(system, keys, probes)

    def to_rows(self, each: Sequence[np.ndarray], out: np.ndarray) -> None:
        """Put numbers of rows where they belong."""
        for rows, own in zip(self.rows, each, strict=True):
            out[rows] = own


class ScatteredSystem(System):
    """A system without rows of its own.

    Its parts know levels, names and codings; `scattered` has the rows.

    Attributes
    ----------
    holds : bool
        Whether the coefficients are held: their entries of A then belong to the offset.
    """

    holds = False

    @classmethod
    def of(cls, system: System, parts: Sequence[Part], scattered: Scattered) -> ScatteredSystem:
        """A system with other parts, its rows being elsewhere."""
        out: Any = copy(system)
        out.__class__ = cls
        s, empty = system.symbolic, np.empty(0, dtype=np.int64)
        pattern: Any = NoPattern()
        out.symbolic = Symbolic(
            s.order, s.position, s.leading, np.zeros(system.rows + 1, dtype=np.int64), empty.astype(np.int32), empty,
            s.d_row, s.d_column, pattern,
        )  # fmt: skip
        out.parts, out.scattered, out._held = tuple(parts), scattered, None
        family = [p.name for p in system.hypers[system.places.family]]
        out.places = Places(out.parts, len(family), False, family)
        out._slots, out._representations = [], {}
        out.border = out.border_row = out.border_column = empty
        return out

    def workspace(self, gradient: bool = True) -> Workspace:
        """Fresh work space, without entries of A."""
        return new_workspace(
            self.symbolic, self.rows, self.d_value, gradient, log_det=self.log_det, beside=np.zeros((0, self.groups))
        )

    def held(self) -> System:
        if self._held is None:
            self._held = copy(self)
            self._held.holds = True  # pyright: ignore[reportAttributeAccessIssue]
        return self._held

    def scales(self, theta: np.ndarray) -> list[Any]:
        """For each part, what its weights add up to over all pieces; None where that does not matter."""
        found = self.scattered.ask("sums", *self.scattered.same(theta))
        return [own[0].joined(own) if own[0] is not None else None for own in zip(*found, strict=True)]

    def fill(self, theta: np.ndarray, room: Workspace) -> bool:
        own = theta[: self.places.family.start]
        found = self.scattered.ask("fill", *self.scattered.same(own, self.scales(own)))
        self.scattered.to_rows([offset for _, offset in found], room.offset)
        room.offset += self.base_offset
        return all(good for good, _ in found)

    def pull(self, theta: np.ndarray, room: Workspace) -> np.ndarray:
        own = theta[: self.places.family.start]
        found = self.scattered.ask("pull", *self.scattered.same(own), self.scattered.of_rows(room.d_offset))
        out = np.zeros(len(self.hypers))
        out[: len(own)] = np.sum(found, axis=0)
        return out

    def representation(self, side: Any = None) -> Representation:
        raise EngineError(NO_FACTOR)


class ScatteredRows(Iterated):
    """Conjugate gradients on pieces: one map and one sum a product."""

    def __init__(self, system: ScatteredSystem, keys: np.ndarray, probes: int):
        self.scattered: Scattered = system.scattered
        self.effects = system.n_effects
        self.within = self.effects if system.holds else system.size  # entries of x that rows read
        self.symbolic, self.probes = system.symbolic, probes
        self.leading = self.scattered.leading
        self.keys = keys[self.symbolic.order[: self.leading]]
        self.dimension = self.symbolic.leading
        self.partitions = None
        self.entries = self.scattered.entries
        self.work = iteration_work(probes, self.entries)
        self._coefficients = np.empty(0)

    def solves(self, count: int) -> bool:
        return self.scattered.crew.there and super().solves(count)

    def _is(self, room: Workspace, weight: np.ndarray) -> bool:
        return False  # pieces may have been filled at another theta since

    def times(self, room: Workspace, x: np.ndarray, out: np.ndarray) -> None:
        self.scattered.to_rows(self.scattered.ask("times", self.scattered.of_x(x)), out)

    def transposed(self, room: Workspace, v: np.ndarray, out: np.ndarray) -> None:
        out[: self.within] += self.scattered.transposed(v, self.symbolic.size)[: self.within]

    def hold(self, system: Any, room: Workspace, coefficients: np.ndarray) -> None:
        self._coefficients, out = coefficients, np.empty_like(room.offset)
        self.times(room, self._with_coefficients(np.zeros(self.symbolic.size)), out)
        room.offset += out

    def held_slopes(self, system: Any, room: Workspace, coefficients: np.ndarray) -> np.ndarray:
        return self.scattered.transposed(room.d_offset, self.symbolic.size)[self.effects :]

    def _with_coefficients(self, x: np.ndarray) -> np.ndarray:
        """x with the coefficients that are held."""
        out = x.copy()
        if self.within < len(x):
            out[self.effects :] = self._coefficients
        return out

    def add_gram(self, room: Workspace, x: np.ndarray, out: np.ndarray, curvature: np.ndarray) -> None:
        found = self.scattered.ask("gram", self.scattered.of_block(x))
        for inside, (own, curved) in zip(self.scattered.inside, found, strict=True):
            out[inside] += own
            curvature += curved

    def blocks(self, room: Workspace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        n, size = self.leading, self.symbolic.size
        diagonal, beside, whole = np.zeros(size), np.zeros((n, size - n)), np.zeros((size - n, size - n))
        where = zip(self.scattered.used, self.scattered.inside, strict=True)
        found = self.scattered.ask("weigh", self.scattered.of_rows(room.side.weight))
        for (used, inside), (own, aside, rest) in zip(where, found, strict=True):
            diagonal[used] += own
            beside[inside] += aside
            whole += rest
        held = self.within - n
        diagonal[self.within :], beside[:, held:], whole[held:], whole[:, held:] = 0.0, 0.0, 0.0, 0.0
        return diagonal, beside, whole

    @property
    def pairs(self) -> Triangle | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.scattered.pattern

    def beside_diagonal(self, room: Workspace, pairs: Triangle) -> np.ndarray:
        out = np.zeros(len(pairs.column))
        for place, own in zip(self.scattered.pair_of, self.scattered.ask("pairs"), strict=True):
            out[place] += own
        return out

    def slopes(self, room: Workspace, leading: int) -> None:
        s, state, n = self.symbolic, room.side, self.leading
        self._probed(room)
        first, last, _ = state.batch.indices(state.count)
        root = 1.0 / np.sqrt(state.diagonal)
        scattered, c = self.scattered, min(leading, self.within) - n  # columns beside the block that rows read
        if scattered.sent is not state.rest:
            known: list[Any] = [None] * len(scattered.rows)
            if len(state.known):
                known = [state.known[place] for place in scattered.pair_of]
            scattered.ask("probe", scattered.of_block(root), scattered.of_block(state.rest), known)
            scattered.sent, state.sure = state.rest, {}
        if leading not in state.sure:
            solved = scattered.of_block(np.ascontiguousarray(state.solved[:, :c]))
            scattered.ask("know", solved, *scattered.same(state.corners[leading][0][:c, :c]))
            state.sure[leading] = (np.empty(0), np.empty(0), self.sure_entries(room, leading, root))
        scattered.to_rows(scattered.ask("slopes", *scattered.same(c, first, last)), room.leverage)
        state.entries = state.sure[leading][2].copy()
        random_entries(s.d_row, s.d_column, n, state.rest, state.signs, root, first, last, state.entries)

    def finish_slopes(self, room: Workspace) -> None:
        scattered = self.scattered
        rows = (scattered.of_rows(room.weight), scattered.of_rows(room.residual))
        scattered.ask("finish", *rows, scattered.of_x(room.mean))
        room.d_weight[:] = -0.5 * (room.leverage + room.residual**2)

    def laplace_slopes(
        self, room: Workspace, x: np.ndarray, shift: np.ndarray, row: np.ndarray, first: np.ndarray,
        second: np.ndarray, pull: np.ndarray,
    ) -> None:  # fmt: skip
        n, scattered = len(room.d_offset), self.scattered
        room.d_offset[:] = first[:n] + pull[:n] + second[:n] * row
        moved = (scattered.of_x(self._with_coefficients(x)), scattered.of_x(shift))
        rows = [scattered.of_rows(v) for v in (room.d_offset, first[:n], second[:n])]
        scattered.ask("move", *moved, *rows)
