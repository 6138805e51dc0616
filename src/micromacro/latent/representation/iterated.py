r"""Nothing is factorised: H is only multiplied, its equations are solved by conjugate gradients.

With e most effects and c the coefficients, and before them the few effects that very many rows have, everything is in
the block e and a small Schur complement, :math:`S = H_{cc} - H_{ce}H_{ee}^{-1}H_{ec}`. The log-determinant of H_ee and
the entries of its inverse are means over probes: random signs that belong to the id of a member or unit, so that two
evaluations, and two models of the same members, share what is random (common random numbers). What is known of H
without probes, its diagonal and its entries, is taken out of these means first; their Monte Carlo errors are known from
how probes differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from ...errors import EngineError
from ...numerics.krylov import (
    Solution,
    conjugate_gradients,
    gram_border,
    gram_diagonal,
    gram_times,
    inverse_forms,
    known_entries,
    known_rows,
    log_quadratures,
    random_entries,
    random_rows,
    random_signs,
    symmetric_gram,
)
from ...numerics.rows import symmetric_times
from ...numerics.symbolic import Symbolic
from ..workspace import Workspace
from .base import Representation
from .partitions import Partitions

FINE = 1e-10  # tolerance of a solution
COARSE = 1e-7  # and of those for probes
TOGETHER = 32  # right-hand sides that are solved together
BATCHES = 16  # of probes, whose means differ as Monte Carlo errors do
FEW = 512  # rows up to which quadratic forms are solved for one by one
PAIRS = 1e8  # products of two entries of a row up to which the entries of H are worked out
DENSE, LEAST_DENSE, MOST_DENSE = 0.01, 20, 100  # share of the rows, and how many, of an effect that is kept aside
NOTHING = (np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))


@dataclass
class Iteration:
    """What an iterated representation keeps in a work space.

    Attributes
    ----------
    count : int
        Number of probes.
    weight : (rows,) array
        The diagonal of W.
    diagonal : (leading,) array
        That of H, the preconditioner.
    solved, beside : (leading, c) arrays
        H_ee^-1 H_ec, and H_ec.
    corners : dict
        By the number of leading entries of x: the inverse of their Schur complement, and its log-determinant.
    probes : (leading, count) array or None
        H_ee^-1 P^(1/2) z of each probe z, where they are solved.
    rest : (leading, count) array
        (H_ee^-1 - K) P^(1/2) z, K being what is known of the inverse without them.
    known : tuple of arrays
        K beside its diagonal P^-1, by rows; empty where it is not worked out.
    share : float
        gamma in K = P^-1 - gamma P^-1 (H_ee - P) P^-1; nan until the first probes are solved, which choose it.
    signs : (leading, count) int8 array
        The probes.
    logs : (count,) array
        z'log(P^-1/2 H P^-1/2) z of each probe, as it serves the mean.
    sure : dict
        By the number of leading entries of x: what of slopes is known without probes.
    batch : slice
        Probes over which means are taken.
    quick : bool
        Whether log-determinants are not wanted: the last one is given, and probes begin at their last solutions.
    iterations : int
        Of the longest solution so far.
    converged : bool
        Whether all solutions did.
    """

    count: int
    weight: np.ndarray = field(default_factory=lambda: np.empty(0))
    diagonal: np.ndarray = field(default_factory=lambda: np.empty(0))
    solved: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    beside: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    corners: dict[int, tuple[np.ndarray, float]] = field(default_factory=dict)
    probes: np.ndarray | None = None
    rest: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    known: tuple[np.ndarray, np.ndarray, np.ndarray] = NOTHING
    share: float = math.nan
    square: float = math.nan
    last: np.ndarray | None = None
    signs: np.ndarray = field(default_factory=lambda: np.empty((0, 0), dtype=np.int8))
    logs: np.ndarray | None = None
    last_log: float = 0.0
    batch: slice = field(default_factory=lambda: slice(None))
    sure: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=dict)
    entries: np.ndarray = field(default_factory=lambda: np.empty(0))
    quick: bool = False
    iterations: int = 0
    converged: bool = True


class Iterated(Representation):
    """Conjugate gradients with a diagonal preconditioner, and stochastic Lanczos quadrature.

    Parameters
    ----------
    symbolic : Symbolic
    keys : (leading,) uint64 array
        What the probes of each effect are made from, in natural order.
    probes : int
        How many there are, unless a work space is given another number (:meth:`take`).
    """

    side = "effects"
    steady = False

    def __init__(self, symbolic: Symbolic, keys: np.ndarray, probes: int):
        self.symbolic, self.probes = symbolic, probes
        self.leading = symbolic.leading - _dense(symbolic)
        self.keys = keys[symbolic.order[: self.leading]]
        self.dimension = symbolic.leading
        self.partitions: Partitions | None = None
        self.work = 4.0 * TOGETHER * max(probes, 1) * len(symbolic.columns) + 1000.0

    def prepare(self, room: Workspace, gradient: bool) -> None:
        room.side = Iteration(self.probes)

    def spread(self, executor: Any) -> None:
        """Have products made by the workers of an executor, each with some of the rows."""
        s = self.symbolic
        self.partitions = Partitions(executor, s.row_start, s.columns, self.leading)

    def take(self, room: Workspace, probes: int) -> None:
        """Use another number of probes in a work space from here on; those there are stay."""
        state: Iteration = room.side
        state.count, state.probes, state.last, state.logs, state.share = probes, None, None, None, math.nan
        state.signs = np.empty((self.leading, 0), dtype=np.int8)

    @contextmanager
    def quick(self, room: Workspace) -> Iterator[None]:
        """Within it log-determinants are not wanted, so that a value means nothing; solutions and slopes do."""
        state: Iteration = room.side
        before, state.quick = state.quick, True
        try:
            yield
        finally:
            state.quick = before

    # -- the effects' block --------------------------------------------------------------------------------------------

    def _times(self, room: Workspace) -> Any:
        """The product with H_ee."""
        s, n = self.symbolic, self.leading

        def times(x: np.ndarray, out: np.ndarray) -> np.ndarray:
            out[:] = 0.0
            curvature = np.zeros(x.shape[1])
            symmetric_gram(s.d_row, s.d_column, room.d_value, n, x, out, curvature)
            self.add_gram(room, x, out, curvature)
            return curvature

        return times

    def add_gram(self, room: Workspace, x: np.ndarray, out: np.ndarray, curvature: np.ndarray) -> None:
        """out (leading, k) gets A'WA x added to it, and curvature (k,) x'A'WAx."""
        s = self.symbolic
        if self.partitions is None:
            gram_times(s.row_start, s.columns, room.values, room.side.weight, self.leading, x, out, curvature)
        else:
            self.partitions.times(x, out, curvature)

    def _solved(self, room: Workspace, b: np.ndarray, start: np.ndarray | None, tolerance: float) -> Solution:
        """H_ee^-1 b by conjugate gradients."""
        state: Iteration = room.side
        out = conjugate_gradients(self._times(room), 1.0 / state.diagonal, b, start, tolerance)
        state.iterations = max(state.iterations, len(out.alpha))
        state.converged = state.converged and (out.converged or not out.positive)
        return out

    def factorise(self, room: Workspace, weight: np.ndarray) -> int:
        s, state, n = self.symbolic, room.side, self.leading
        state.weight = weight.copy()
        if self.partitions is not None:
            self.partitions.load(room.values, weight)
        state.last = state.probes if state.probes is not None else state.last
        state.probes, state.logs = None, None
        diagonal, state.beside, whole = self.blocks(room)
        own = s.d_row == s.d_column
        diagonal[s.d_row[own]] += room.d_value[own]
        state.diagonal = diagonal[:n]
        if not np.all(state.diagonal > 0.0) or not np.all(np.isfinite(state.diagonal)):
            return 0
        return self._border(room, whole)

    def blocks(self, room: Workspace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of A'WA: its diagonal (size,), its columns beside the block (leading, c), and what is left (c, c)."""
        s, state, n = self.symbolic, room.side, self.leading
        c = s.size - n
        diagonal, beside, whole = np.zeros(s.size), np.zeros((n, c)), np.zeros((c, c))
        gram_diagonal(s.row_start, s.columns, room.values, state.weight, diagonal)
        gram_border(s.row_start, s.columns, room.values, state.weight, n, beside, whole)
        return diagonal, beside, whole

    def _border(self, room: Workspace, whole: np.ndarray) -> int:
        """Columns beside the block and their Schur complement; -1, or a number where it is not positive definite."""
        s, state, n = self.symbolic, room.side, self.leading
        c = s.size - n
        before = state.solved
        high, low = np.maximum(s.d_row, s.d_column), np.minimum(s.d_row, s.d_column)
        tail, across = low >= n, (low < n) & (high >= n)
        whole += _symmetric(high[tail] - n, low[tail] - n, room.d_value[tail], c)
        np.add.at(state.beside, (low[across], high[across] - n), room.d_value[across])
        state.solved = np.zeros((n, c))
        if state.beside.any():
            start = before if before.shape == (n, c) and np.all(np.isfinite(before)) else None
            for some in _slices(c):
                begin = None if start is None else np.ascontiguousarray(start[:, some])
                found = self._solved(room, np.ascontiguousarray(state.beside[:, some]), begin, FINE)
                if not found.positive:
                    return 0
                state.solved[:, some] = found.x
        whole -= state.solved.T @ state.beside
        for leading in {s.leading, s.size}:
            block = whole[: leading - n, : leading - n]
            try:
                root = np.linalg.cholesky(0.5 * (block + block.T))
            except np.linalg.LinAlgError:
                return n
            inverse = np.linalg.inv(root)
            state.corners[leading] = (inverse.T @ inverse, 2.0 * float(np.log(np.diag(root)).sum()))
        return -1 if np.all(np.isfinite(whole)) else n

    def solve(self, room: Workspace, x: np.ndarray) -> None:
        state, n = room.side, self.leading
        found = self._solved(room, np.ascontiguousarray(x[:n, None]), None, FINE)
        if not found.positive:
            x[:] = math.nan
            return
        x[n:] = state.corners[len(x)][0] @ (x[n:] - state.solved.T @ x[:n])
        x[:n] = found.x[:, 0] - state.solved @ x[n:]

    # -- probes ------------------------------------------------------------------------------------------------------

    def _probed(self, room: Workspace) -> None:
        """Solve for all probes where they are not."""
        state, n = room.side, self.leading
        if state.probes is not None and (state.quick or state.logs is not None):
            return
        if state.signs.shape != (n, state.count):
            state.signs = np.empty((n, state.count), dtype=np.int8)
            random_signs(self.keys, 0, state.signs)
        out, moments = np.empty((n, state.count)), np.zeros((3, state.count))
        root = np.sqrt(state.diagonal)
        last = state.last if state.quick and state.last is not None and state.last.shape == out.shape else None
        for some in _slices(state.count):
            b = root[:, None] * state.signs[:, some]
            start = None if last is None else np.ascontiguousarray(last[:, some])
            found = self._solved(room, b, start, COARSE)
            out[:, some] = found.x if found.positive else math.nan
            if not state.quick:
                moments[:, some] = log_quadratures(found) if found.positive else math.nan
        state.probes = out
        self._know(room)
        if not state.quick:
            state.logs = self._controlled(moments * n, state.square)

    def _know(self, room: Workspace) -> None:
        """Split the inverse in what is known without probes and the rest, as K = P^-1 - gamma P^-1 (H - P) P^-1.

        What is random is then of second order in H - P. gamma is chosen where the rest is smallest, and then stays, so
        that means over probes are smooth functions of theta.
        """
        state, times = room.side, self._times(room)
        h = self.entries_beside_diagonal(room)
        root, inverse = 1.0 / np.sqrt(state.diagonal), 1.0 / state.diagonal
        state.rest, state.known, state.square, state.sure = np.empty_like(state.probes), NOTHING, math.nan, {}
        first = np.empty_like(state.probes)
        for some in _slices(state.count):
            v = root[:, None] * state.signs[:, some]
            state.rest[:, some] = state.probes[:, some] - v
            if h is not None:
                product = np.empty_like(v)
                times(v, product)
                first[:, some] = inverse[:, None] * product - v
        if h is None:
            return
        if math.isnan(state.share):
            both, own = (np.einsum("jk,jk,j->", first, x, state.diagonal) for x in (state.rest, first))
            state.share = -float(both / own) if own > 0.0 else 0.0
        state.rest += state.share * first
        row = np.repeat(np.arange(self.leading), np.diff(h.indptr))
        scaled = h.data * inverse[row] * inverse[h.indices]
        state.square = float(h.data @ scaled)
        state.known = (h.indptr.astype(np.int64), h.indices.astype(np.int64), -state.share * scaled)

    def _controlled(self, moments: np.ndarray, square: float) -> np.ndarray:
        """z'log(H~)z of each probe with what is known of z'(H~ - 1)z and of z'(H~ - 1)^2 z taken away.

        Their means are 0 and the squared length of H~ beside its diagonal; by how much they matter is a regression.
        """
        logs, first, second = moments
        controls = [first] if math.isnan(square) else [first, second - square]
        if len(logs) < 4 * (1 + len(controls)) or not np.all(np.isfinite(logs)):
            return logs
        known = np.column_stack(controls)
        coefficients = np.linalg.lstsq(np.column_stack([np.ones(len(logs)), known]), logs, rcond=None)[0]
        return logs - known @ coefficients[1:]

    def entries_beside_diagonal(self, room: Workspace) -> Any:
        """Entries of H_ee beside its diagonal, by rows; None where they are too many."""
        s, state, n = self.symbolic, room.side, self.leading
        if float((np.diff(s.row_start).astype(float) ** 2).sum()) > PAIRS:
            return None
        count = len(s.columns)
        a: Any = sparse.csr_array((room.values[:count], s.columns, s.row_start), shape=(len(s.row_start) - 1, s.size))
        a = a[:, :n] if s.size > n else a
        h = (a.T @ (sparse.diags_array(state.weight) @ a)).tocsr()
        aside = (s.d_row != s.d_column) & (s.d_row < n) & (s.d_column < n)
        if aside.any():
            d = sparse.coo_array((room.d_value[aside], (s.d_row[aside], s.d_column[aside])), shape=(n, n))
            h = (h + d + d.T).tocsr()
        h.data[np.repeat(np.arange(n), np.diff(h.indptr)) == h.indices] = 0.0
        h.eliminate_zeros()
        h.sort_indices()
        return h

    def log_determinant(self, room: Workspace, leading: int) -> float:
        state: Iteration = room.side
        if state.quick:
            return state.last_log
        self._probed(room)
        assert state.logs is not None
        out = float(np.log(state.diagonal).sum()) + float(state.logs.mean())
        state.last_log = out + state.corners[leading][1]
        return state.last_log

    def log_error(self, room: Workspace) -> float:
        """Monte Carlo standard error of log|H|, after :meth:`log_determinant`."""
        logs = room.side.logs
        return float(logs.std(ddof=min(3, len(logs) - 1)) / math.sqrt(len(logs)))

    @contextmanager
    def batch(self, room: Workspace, number: int) -> Iterator[None]:
        """Within it slopes are means over one of ``BATCHES`` batches of probes."""
        state: Iteration = room.side
        each = state.count // BATCHES
        state.batch = slice(number * each, (number + 1) * each)
        try:
            yield
        finally:
            state.batch = slice(None)

    def slopes(self, room: Workspace, leading: int) -> None:
        s, state, n = self.symbolic, room.side, self.leading
        self._probed(room)
        first, last, _ = state.batch.indices(state.count)
        root = 1.0 / np.sqrt(state.diagonal)
        if leading not in state.sure:
            state.sure[leading] = self._sure(room, leading, root)
        slope, leverage, entries = state.sure[leading]
        room.slope[: len(slope)], room.slope[len(slope) :], room.leverage[:] = slope, 0.0, leverage
        random_rows(
            s.row_start, s.columns, room.values, n, state.rest, state.signs, root, first, last, room.slope,
            room.leverage,
        )  # fmt: skip
        state.entries = entries.copy()
        random_entries(s.d_row, s.d_column, n, state.rest, state.signs, root, first, last, state.entries)

    def _sure(self, room: Workspace, leading: int, root: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What of :meth:`slopes` is known without probes: on the patterns of A, of the rows, of D."""
        s, state, n = self.symbolic, room.side, self.leading
        corner = state.corners[leading][0]
        solved = np.ascontiguousarray(state.solved[:, : len(corner)])
        slope, leverage = np.empty(len(s.columns)), np.empty(len(s.row_start) - 1)
        known_rows(s.row_start, s.columns, room.values, n, root, state.known, solved, corner, slope, leverage)
        return slope, leverage, self.sure_entries(room, leading, root)

    def sure_entries(self, room: Workspace, leading: int, root: np.ndarray) -> np.ndarray:
        """What of the entries on the pattern of D is known without probes."""
        s, state, n = self.symbolic, room.side, self.leading
        corner = state.corners[leading][0]
        solved, entries = state.solved[:, : len(corner)], np.empty(len(s.d_row))
        known_entries(s.d_row, s.d_column, n, root, state.known, entries)
        if len(corner):
            there = np.flatnonzero((s.d_row < leading) & (s.d_column < leading))
            for some in np.array_split(there, 1 + len(there) * len(corner) // 10_000_000):
                i, j = (self._beside(place[some], solved) for place in (s.d_row, s.d_column))
                entries[some] += np.einsum("ek,kl,el->e", i, corner, j)
        return entries

    def _beside(self, places: np.ndarray, solved: np.ndarray) -> np.ndarray:
        """Rows of [-H_ee^-1 H_ec; 1] at some places of x."""
        n, (_, c) = self.leading, solved.shape
        out = np.zeros((len(places), c))
        inside = places < n
        out[inside] = -solved[places[inside]]
        out[~inside, places[~inside] - n] = 1.0
        return out

    def entries_of_d(self, room: Workspace) -> tuple[np.ndarray, np.ndarray]:
        return np.arange(len(self.symbolic.d_row)), room.side.entries

    # -- the whole inverse -------------------------------------------------------------------------------------------

    def variances(self, room: Workspace) -> np.ndarray:
        s, state, n = self.symbolic, room.side, self.leading
        self._probed(room)
        every, out = np.arange(n), np.empty(s.size)
        root = 1.0 / np.sqrt(state.diagonal)
        known_entries(every, every, n, root, state.known, out[:n])
        random_entries(every, every, n, state.rest, state.signs, root, 0, state.count, out[:n])
        np.maximum(out[:n], 1.0 / state.diagonal, out=out[:n])  # which none of them is below
        corner = state.corners[s.size][0]
        out[:n] += np.einsum("jk,kl,jl->j", state.solved, corner, state.solved)
        out[n:] = np.diag(corner)
        return out

    def quadratics(self, room: Workspace, rows: Any) -> np.ndarray:
        state, n = room.side, self.leading
        rows = rows.copy()
        rows.sum_duplicates()
        effects, others = rows[:, :n].tocsr(), rows[:, n:].toarray()
        effects.sort_indices()
        out = np.empty(rows.shape[0])
        if len(out) <= FEW:
            for some in _slices(len(out)):
                b = np.ascontiguousarray(effects[some].toarray().T)
                out[some] = (b * self._solved(room, b, None, COARSE).x).sum(axis=0)
        else:
            self._probed(room)
            inverse_forms(
                effects.indptr.astype(np.int64), effects.indices.astype(np.int64), effects.data, state.rest,
                state.signs, 1.0 / np.sqrt(state.diagonal), state.known, out,
            )  # fmt: skip
        left = others - effects @ state.solved
        return np.maximum(out, 0.0) + np.einsum("ik,kl,il->i", left, state.corners[self.symbolic.size][0], left)

    def draw(self, room: Workspace, rng: np.random.Generator) -> np.ndarray:
        s, state = self.symbolic, room.side
        if not np.array_equal(s.d_row, s.d_column) or np.any(state.weight < 0.0):
            raise EngineError(
                "draws of the effects by iteration need effects that are independent of each other given their sds, "
                'and a log-concave family: fit with solver="direct"'
            )
        out = np.zeros(s.size)
        noise = np.sqrt(state.weight) * rng.standard_normal(len(state.weight))
        self.transposed(room, noise, out)
        precision = np.zeros(s.size)
        symmetric_times(s.d_row, s.d_column, room.d_value, np.ones(s.size), precision)
        out += np.sqrt(precision) * rng.standard_normal(s.size)
        self.solve(room, out)
        return out

    def panel(self, room: Workspace) -> np.ndarray:
        raise EngineError(
            'this needs a factor of the matrix of the effects, which a fit with solver="iterative" does not make: fit '
            'with solver="direct" if that is possible, or on fewer groups'
        )


def _slices(count: int) -> list[slice]:
    """Right-hand sides that are solved together."""
    return [slice(k, min(k + TOGETHER, count)) for k in range(0, count, TOGETHER)]


def _dense(symbolic: Symbolic) -> int:
    """How many of the effects that are eliminated last are each in so many rows that they are kept aside."""
    count = np.bincount(symbolic.columns, minlength=symbolic.size)[: symbolic.leading]
    few = np.flatnonzero(count[::-1] <= max(DENSE * (len(symbolic.row_start) - 1), LEAST_DENSE))
    return min(int(few[0]) if len(few) else len(count), MOST_DENSE)


def _symmetric(row: np.ndarray, column: np.ndarray, value: np.ndarray, size: int) -> np.ndarray:
    """A symmetric matrix of its lower triangle."""
    out = np.zeros((size, size))
    np.add.at(out, (row, column), value)
    return out + np.tril(out, -1).T
