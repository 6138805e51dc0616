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
from functools import cached_property
from typing import Any

import numpy as np

from ...errors import EngineError
from ...numerics.krylov import (
    Solution,
    conjugate_gradients,
    diagonal_gram,
    gram_border,
    gram_diagonal,
    gram_times,
    gram_times_one,
    log_quadratures,
    symmetric_gram,
)
from ...numerics.symbolic import Symbolic
from ...numerics.traces import (
    Triangle,
    gram_beside,
    inverse_forms,
    known_rows,
    pairs_of,
    random_entries,
    random_rows,
    random_signs,
)
from ..workspace import Workspace
from .base import Representation
from .iteration import Iteration, iteration_work, slices, symmetric
from .partitions import Partitions
from .perturbing import perturbed

FINE = 1e-10  # tolerance of a solution
COARSE = 1e-6  # and of those for probes
ROUGH = 1e-5  # and of those for a Newton step, which other steps follow
BATCHES = 16  # of probes, whose means differ as Monte Carlo errors do
FEW, SOLVED = 512, 2e7  # rows, and their product with the entries of A, up to which quadratic forms are solved for
CLOSE = 1e-4  # tolerance of these solutions, whose forms have about its square as their error
PAIRS = 5e7  # products of two entries of a row up to which the entries of H are worked out
DENSE, LEAST_DENSE, MOST_DENSE = 0.01, 20, 100  # share of the rows, and how many, of an effect that is kept aside
NOTHING, NOWHERE = np.empty(0), np.empty(0, dtype=np.int32)


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
    rough = True
    close = 1e-16

    def __init__(self, symbolic: Symbolic, keys: np.ndarray, probes: int):
        self.symbolic, self.probes = symbolic, probes
        self.leading = symbolic.leading - _dense(symbolic)
        self.keys = keys[symbolic.order[: self.leading]]
        self.dimension = symbolic.leading
        self.partitions: Partitions | None = None
        self.entries = len(symbolic.columns)
        self.work = iteration_work(probes, self.entries)

    def prepare(self, room: Workspace, gradient: bool) -> None:
        room.side = Iteration(self.probes)

    @cached_property
    def _own(self) -> np.ndarray:
        """Which entries of D are on the diagonal of the block."""
        s = self.symbolic
        return np.flatnonzero((s.d_row < self.leading) & (s.d_row == s.d_column))

    @cached_property
    def _aside(self) -> np.ndarray:
        """And which are beside it."""
        s, n = self.symbolic, self.leading
        return np.flatnonzero((s.d_row < n) & (s.d_column < n) & (s.d_row != s.d_column))

    @cached_property
    def pairs(self) -> Triangle | None:
        """Where the entries of H_ee beside its diagonal are; None where they are too many."""
        s = self.symbolic
        return pairs_of(s.row_start, s.columns, s.d_row, s.d_column, self.leading, PAIRS)

    def spread(self, executor: Any) -> None:
        """Have products made by the workers of an executor, each with some of the rows."""
        s = self.symbolic
        self.partitions = Partitions(executor, s.row_start, s.columns, self.leading)

    def gather(self) -> None:
        """Have products made here from now on."""
        self.partitions = None

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
        s, state, n = self.symbolic, room.side, self.leading

        d_row, d_column, d_value = (x[self._aside] for x in (s.d_row, s.d_column, room.d_value))

        def times(x: np.ndarray, out: np.ndarray) -> np.ndarray:
            curvature = np.zeros(x.shape[1])
            diagonal_gram(state.prior, x, out, curvature)
            if len(d_row):
                symmetric_gram(d_row, d_column, d_value, n, x, out, curvature)
            self.add_gram(room, x, out, curvature)
            return curvature

        return times

    def add_gram(self, room: Workspace, x: np.ndarray, out: np.ndarray, curvature: np.ndarray) -> None:
        """out (leading, k) gets A'WA x added to it, and curvature (k,) x'A'WAx."""
        s, weight, n = self.symbolic, room.side.weight, self.leading
        if self.partitions is not None:
            self.partitions.times(x, out, curvature)
        elif x.shape[1] == 1:
            one, own = x.ravel(), out.ravel()
            curvature += gram_times_one(s.row_start, s.columns, room.values, weight, n, one, own)
        else:
            gram_times(s.row_start, s.columns, room.values, weight, n, x, out, curvature)

    def _solved(self, room: Workspace, b: np.ndarray, start: np.ndarray | None, tolerance: float) -> Solution:
        """H_ee^-1 b by conjugate gradients."""
        state: Iteration = room.side
        out = conjugate_gradients(self._times(room), 1.0 / state.diagonal, b, start, tolerance)
        state.iterations = max(state.iterations, len(out.alpha))
        state.converged = state.converged and (out.converged or not out.positive)
        return out

    def factorise(self, room: Workspace, weight: np.ndarray) -> int:
        return self._factorise(room, weight, FINE)

    def _factorise(self, room: Workspace, weight: np.ndarray, tolerance: float) -> int:
        """The same, to a tolerance; what was last factorised is not factorised again."""
        state: Iteration = room.side
        if not self._is(room, weight):
            if not self._take(room, weight):
                return 0
        elif state.tolerance <= tolerance:
            return -1
        state.tolerance = math.inf
        bad = self._border(room, tolerance)
        if bad < 0:
            state.tolerance = tolerance
        return bad

    def _is(self, room: Workspace, weight: np.ndarray) -> bool:
        """Whether H is made of what it was last made of."""
        state: Iteration = room.side
        now, last = (weight, room.d_value, room.values), (state.weight, state.d_value, state.values)
        return all(np.array_equal(a, b) for a, b in zip(now, last, strict=True))

    def _take(self, room: Workspace, weight: np.ndarray) -> bool:
        """Make H of the values in the work space; False where its diagonal is not positive."""
        s, state, n = self.symbolic, room.side, self.leading
        state.values, state.weight, state.d_value = room.values.copy(), weight.copy(), room.d_value.copy()
        state.tolerance = math.inf
        if self.partitions is not None:
            self.partitions.load(room.values, weight)
        state.last = state.probes if state.probes is not None else state.last
        state.probes, state.logs = None, None
        state.prior = np.zeros(n)
        state.prior[s.d_row[self._own]] = room.d_value[self._own]
        diagonal, state.beside, state.whole = self.blocks(room)
        high, low = np.maximum(s.d_row, s.d_column), np.minimum(s.d_row, s.d_column)
        tail, across = low >= n, (low < n) & (high >= n)
        state.whole += symmetric(high[tail] - n, low[tail] - n, room.d_value[tail], s.size - n)
        np.add.at(state.beside, (low[across], high[across] - n), room.d_value[across])
        state.diagonal = diagonal[:n] + state.prior
        return bool(np.all(state.diagonal > 0.0) and np.all(np.isfinite(state.diagonal)))

    def blocks(self, room: Workspace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of A'WA: its diagonal (size,), its columns beside the block (leading, c), and what is left (c, c)."""
        s, state, n = self.symbolic, room.side, self.leading
        c = s.size - n
        diagonal, beside, whole = np.zeros(s.size), np.zeros((n, c)), np.zeros((c, c))
        gram_diagonal(s.row_start, s.columns, room.values, state.weight, diagonal)
        gram_border(s.row_start, s.columns, room.values, state.weight, n, beside, whole)
        return diagonal, beside, whole

    def _border(self, room: Workspace, tolerance: float) -> int:
        """Solve for the columns beside the block; -1, or a number where their Schur complement is not positive."""
        s, state, n = self.symbolic, room.side, self.leading
        before, c = state.solved, s.size - n
        state.solved = np.zeros((n, c))
        if state.beside.any():
            start = before if before.shape == (n, c) and np.all(np.isfinite(before)) else None
            for some in slices(c):
                begin = None if start is None else np.ascontiguousarray(start[:, some])
                found = self._solved(room, np.ascontiguousarray(state.beside[:, some]), begin, tolerance)
                if not found.positive:
                    return 0
                state.solved[:, some] = found.x
        whole = state.whole - state.solved.T @ state.beside
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
        self._solve(room, x, None, FINE)

    def solve_again(self, room: Workspace, x: np.ndarray, series: str) -> None:
        state: Iteration = room.side
        state.near[series] = self._solve(room, x, state.near.get(series), FINE)

    def _solve(self, room: Workspace, x: np.ndarray, start: np.ndarray | None, tolerance: float) -> np.ndarray:
        """x becomes H^-1 x; returns H_ee^-1 x_e (leading, 1), which may begin elsewhere than at zero."""
        state, n = room.side, self.leading
        if start is not None and not np.all(np.isfinite(start)):
            start = None
        found = self._solved(room, np.ascontiguousarray(x[:n, None]), start, tolerance)
        if not found.positive:
            x[:] = math.nan
            return found.x
        x[n:] = state.corners[len(x)][0] @ (x[n:] - state.solved.T @ x[:n])
        x[:n] = found.x[:, 0] - state.solved @ x[n:]
        return found.x

    def newton_step(
        self, room: Workspace, slope: np.ndarray, curvature: np.ndarray, center: np.ndarray, x: np.ndarray,
        gradient: np.ndarray, step: np.ndarray,
    ) -> tuple[int, float]:  # fmt: skip
        bad = self._factorise(room, curvature, ROUGH)
        if bad >= 0:
            return bad, 0.0
        self.latent_gradient(room, center, x, slope, gradient)
        step[:] = gradient
        self._solve(room, step, None, ROUGH)
        return -1, float(step @ gradient)

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
        for some in slices(state.count):
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
        state, pairs = room.side, self.pairs
        root, inverse = 1.0 / np.sqrt(state.diagonal), 1.0 / state.diagonal
        state.known, state.square, state.sure = NOTHING, math.nan, {}
        own = root[:, None] * state.signs
        state.rest = state.probes - own
        if pairs is None:
            return
        first = np.empty_like(own)
        times = self._times(room)
        for some in slices(state.count):
            product = np.empty((len(own), some.stop - some.start))
            times(np.ascontiguousarray(own[:, some]), product)
            first[:, some] = product
        first *= inverse[:, None]
        first -= own
        if math.isnan(state.share):
            both, alone = (np.einsum("jk,jk,j->", first, x, state.diagonal) for x in (state.rest, first))
            state.share = -float(both / alone) if alone > 0.0 else 0.0
        first *= state.share
        state.rest += first
        h = self.beside_diagonal(room, pairs)
        scaled = pairs.scaled(h, inverse)
        state.square = 2.0 * float(h @ scaled)
        state.known = -state.share * scaled

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

    def beside_diagonal(self, room: Workspace, pairs: Triangle) -> np.ndarray:
        """Entries (p,) of H_ee beside its diagonal."""
        s, state = self.symbolic, room.side
        out = np.zeros(len(pairs.column))
        gram_beside(s.row_start, s.columns, room.values, state.weight, self.leading, pairs.of_rows, out)
        np.add.at(out, pairs.of_d[self._aside], room.d_value[self._aside])
        return out

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
        of_rows = NOWHERE if self.pairs is None else self.pairs.of_rows
        known_rows(
            s.row_start, s.columns, room.values, n, root**2, of_rows, state.known, solved, corner, slope, leverage
        )
        return slope, leverage, self.sure_entries(room, leading, root)

    def sure_entries(self, room: Workspace, leading: int, root: np.ndarray) -> np.ndarray:
        """What of the entries on the pattern of D is known without probes."""
        s, state = self.symbolic, room.side
        corner = state.corners[leading][0]
        solved, entries = state.solved[:, : len(corner)], np.zeros(len(s.d_row))
        entries[self._own] = root[s.d_row[self._own]] ** 2
        if self.pairs is not None:
            entries[self._aside] = state.known[self.pairs.of_d[self._aside]]
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
        out[:n] = 1.0 / state.diagonal
        random_entries(every, every, n, state.rest, state.signs, root, 0, state.count, out[:n])
        np.maximum(out[:n], 1.0 / state.diagonal, out=out[:n])  # which none of them is below
        corner = state.corners[s.size][0]
        out[:n] += np.einsum("jk,kl,jl->j", state.solved, corner, state.solved)
        out[n:] = np.diag(corner)
        return out

    def solves(self, count: int) -> bool:
        """Whether so many quadratic forms are solved for one by one; else they are means over probes."""
        return count <= min(FEW, SOLVED / max(self.entries, 1))

    def quadratics(self, room: Workspace, rows: Any) -> np.ndarray:
        state, n = room.side, self.leading
        rows = rows.copy()
        rows.sum_duplicates()
        effects, others = rows[:, :n].tocsr(), rows[:, n:].toarray()
        effects.sort_indices()
        out = np.empty(rows.shape[0])
        if self.solves(len(out)):
            for some in slices(len(out)):
                b = np.ascontiguousarray(effects[some].toarray().T)
                out[some] = (b * self._solved(room, b, None, CLOSE).x).sum(axis=0)
        else:
            self._probed(room)
            empty = np.zeros(1, dtype=np.int64), NOWHERE
            triangle = empty if self.pairs is None else (self.pairs.start, self.pairs.column)
            inverse_forms(
                effects.indptr.astype(np.int64), effects.indices.astype(np.int64), effects.data, state.rest,
                state.signs, 1.0 / np.sqrt(state.diagonal), triangle, state.known, out,
            )  # fmt: skip
        left = others - effects @ state.solved
        return np.maximum(out, 0.0) + np.einsum("ik,kl,il->i", left, state.corners[self.symbolic.size][0], left)

    def draw(self, room: Workspace, rng: np.random.Generator) -> np.ndarray:
        return self.draws(room, rng, 1)[0]

    def draws(self, room: Workspace, rng: np.random.Generator, count: int) -> np.ndarray:
        state, n = room.side, self.leading
        x = perturbed(self, room, rng, count)
        for some in slices(count):
            own = x[some]
            found = self._solved(room, np.ascontiguousarray(own[:, :n].T), None, COARSE)
            own[:, n:] = (own[:, n:] - own[:, :n] @ state.solved) @ state.corners[self.symbolic.size][0]
            own[:, :n] = found.x.T - own[:, n:] @ state.solved.T
        return x

    def panel(self, room: Workspace) -> np.ndarray:
        raise EngineError(
            'this needs a factor of the matrix of the effects, which a fit with solver="iterative" does not make: fit '
            'with solver="direct" if that is possible, or on fewer groups'
        )


def _dense(symbolic: Symbolic) -> int:
    """How many of the effects that are eliminated last are each in so many rows that they are kept aside."""
    count = np.bincount(symbolic.columns, minlength=symbolic.size)[: symbolic.leading]
    few = np.flatnonzero(count[::-1] <= max(DENSE * (len(symbolic.row_start) - 1), LEAST_DENSE))
    return min(int(few[0]) if len(few) else len(count), MOST_DENSE)
