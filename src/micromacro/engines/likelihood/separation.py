r"""Likelihoods without a finite maximum: directions of recession, found by linear programming.

A direction d in the coefficients (and cuts) is one of *recession* if the likelihood of no row falls along it, however
far one goes, and that of some row rises (Albert and Anderson 1984 for logits; Geyer 2009 in general). What that means
for a row its family knows: an outcome in the interior of its range forbids any change of its linear predictor, one at
the end of it (no success, no count, a censored duration) allows changes in one direction. With a_i the row of the
coefficients' columns at the estimated weights and s_i the direction that is allowed,

.. math:: \max_d \sum_i s_i a_i'd \quad\text{subject to}\quad s_i a_i'd \ge 0,\; a_k'd = 0,\; -1 \le d \le 1

is zero where there is a finite maximum. (Of cuts that covariates move, ``nominal()``, none may cross the next one in
any row either.) Nothing depends on how far a search went, so steep, rare and censored outcomes
that overlap raise no alarm. Effects do not help: they are integrated out over the whole line. A coefficient with a
proper prior is held.

A standard deviation runs off where coefficients and effects together can make every outcome certain, as where each unit
is all yes or all no.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from ...families.base import Recession
from ...latent.beside import ADDED
from ...model.layout import centers_of
from ...model.specification import Specification
from ...notes import Note, named, remark, trouble
from ...parameters import Parameter
from ...table.screen import counted
from ..base import Optimum
from .receding import of_members

ROUNDING = 1e-8  # relative, of columns whose largest entry is one
LARGE = 3.0  # sds on the link scale from which it is asked whether they run off
MANY = 20_000  # rows of the programme for coefficients that are looked at first
MOST = 2_000_000  # entries of the programme for effects, beyond which it is not asked
LARGEST = 200_000_000  # numbers in the columns of coefficients, pair by pair, beyond which nothing is asked
REMEDY = "give priors (normal(0, 2.5) for b, half_normal(2.5) for sd), or use mcmc"


def separation(specification: Specification, optimum: Optimum) -> list[Note]:
    """What is to be said of directions in which the likelihood has no maximum."""
    made = specification.expanded
    if made is not None and made.pairs * len(specification.system.coefficients) > LARGEST:
        return []
    specification = specification.by_rows if specification.combined is None else specification
    system = specification.system.lifted()
    room = system.workspace(gradient=False)
    if not system.fill(optimum.theta, room):
        return []
    recession = _recession(specification, optimum, room)
    if recession is None:
        text = "members that combine, of alternatives, are not searched for separated coefficients"
        return [remark("separation-unchecked", f"{text}: look for very large standard errors")]
    live = (specification.row_weight(prior=False) > 0.0)[recession.row] & recession.counts
    recession = recession.of(live)
    if recession.interior.all():
        return []
    added = _added(specification, optimum.theta)
    direction, rows = _coefficients(specification, recession, room, added)
    if direction is not None:
        return [_separated(specification, direction, rows, added)]
    return _run_off_sds(specification, optimum, recession, room, added)


@dataclass(frozen=True, eq=False)
class _Added:
    """Coefficients of what is added to the family's own parameters: how far each moves them (k, rows)."""

    parameters: tuple[Parameter, ...] = ()
    moves: tuple[np.ndarray, ...] = ()

    def columns(self, recession: Recession) -> np.ndarray:
        """Their columns (constraints, parameters)."""
        each = [np.einsum("ck,kc->c", recession.own, m[:, recession.row]) for m in self.moves]
        return np.column_stack(each) if each else np.empty((len(recession.row), 0))

    def gaps(self, coefficients: int, own: int) -> np.ndarray:
        """What may not fall although no likelihood shows it: gaps between neighbouring cuts, row by row."""
        total = coefficients + own + len(self.moves)
        if not self.moves:
            return np.empty((0, total))
        rows = self.moves[0].shape[1]
        steps = np.repeat(np.diff(np.eye(own), axis=0), rows, axis=0)
        moved = np.column_stack([np.diff(m, axis=0).ravel() for m in self.moves])
        return np.unique(np.hstack([np.zeros((len(steps), coefficients)), steps, moved]), axis=0)


def _added(specification: Specification, theta: np.ndarray) -> _Added:
    system, beside = specification.system, specification.system.beside
    if beside is None or beside.stacked or ADDED not in beside.links:
        return _Added()
    places = [k for k, p in enumerate(system.hypers) if p.kind == "b"]
    before, centers = specification.own(theta, np.empty(0)), centers_of(system.parts)
    moves = []
    for k in places:
        step = np.zeros(len(theta))
        step[k] = 1.0
        moved = specification.own(theta + step, np.empty(0)) - before
        there = np.abs(moved).max(axis=1, keepdims=True) > 0.0
        moves.append(moved + centers.get(system.hypers[k].name, 0.0) * there)
    return _Added(tuple(system.hypers[k] for k in places), tuple(moves))


def _recession(specification: Specification, optimum: Optimum, room: Any) -> Recession | None:
    """What directions may not do, at the estimates where members combine; None where that is not known."""
    combined, system = specification.combined, specification.system
    if combined is None:
        return specification.likelihood.recession(specification.row_values, len(_own(specification)))
    eta = system.row_predictor(room, optimum.x)
    own = system.own(optimum.theta, room)
    return of_members(combined, specification.row_values, eta, own, len(_own(specification)))


def _as_reported(specification: Specification, columns: np.ndarray) -> np.ndarray:
    """Columns (rows, c) of coefficients with what was subtracted from them, which is of members' own rows if any."""
    system = specification.system
    out = columns.copy()
    names = {p.name: k for k, p in enumerate(system.coefficients)}
    part: Any
    for part in system.parts:
        for name, center in part.centers.items():
            rows = part.rows if part.of_rows else slice(None)
            if name in names:
                out[rows, names[name]] += center
    return out


def _coefficients(
    specification: Specification, recession: Recession, room: object, added: _Added
) -> tuple[np.ndarray | None, np.ndarray]:
    """A direction of recession in coefficients and the family's own parameters, and the rows that gain by it."""
    system = specification.system
    columns = system.coefficient_columns(room)  # type: ignore[arg-type]
    own = _own(specification)
    held = np.array([p.prior.proper for p in (*system.coefficients, *own, *added.parameters)], dtype=bool)
    columns = recession.sign[:, None] * recession.differences(_as_reported(specification, columns))
    at = np.hstack([columns, recession.own, added.columns(recession)])
    at[:, held] = 0.0
    scale = np.abs(at).max(axis=0, initial=0.0)
    at /= np.where(scale > 0.0, scale, 1.0)
    inner = at[recession.interior]
    free = _null(inner.T @ inner) * (scale > 0.0)[:, None]
    if not free.shape[1]:
        return None, np.empty(0, dtype=np.int64)
    outer = at[~recession.interior] @ free
    outer = outer[np.abs(outer).max(axis=1, initial=0.0) > ROUNDING]
    limits = np.where(held, 0.0, added.gaps(len(system.coefficients), len(own))) / np.where(scale > 0.0, scale, 1.0)
    found = _programme(np.unique(outer.round(12), axis=0), limits @ free) if len(outer) else None
    if found is None:
        return None, np.empty(0, dtype=np.int64)
    direction = free @ found
    gain = at @ direction
    gains = (gain > 1e-6 * np.abs(gain).max()) & ~recession.interior
    direction = _shortest(at[~recession.interior], gains[~recession.interior], inner, direction, limits)
    rows = recession.row[gains]
    return np.where(scale > 0.0, direction / np.where(scale > 0.0, scale, 1.0), 0.0), np.unique(rows)


def _own(specification: Specification) -> tuple[Parameter, ...]:
    """The family's own parameters."""
    system = specification.system
    return system.hypers[system.places.family]


def _null(gram: np.ndarray) -> np.ndarray:
    """A basis of the directions that a Gram matrix does not see."""
    values, vectors = np.linalg.eigh(gram)
    return vectors[:, values <= ROUNDING * max(1.0, float(values.max(initial=0.0)))]


def _programme(rows: np.ndarray, limits: np.ndarray) -> np.ndarray | None:
    """The d with rows d >= 0 that gains most, entries in [-1, 1], limits d >= 0 too; None if nothing can be gained.

    Of very many rows some are taken first, and those that their direction violates after it: where some rows already
    leave no direction but zero, the others do not matter.
    """
    used = np.arange(len(rows))
    if len(rows) > MANY:
        used = np.sort(np.random.default_rng(np.random.SeedSequence(22)).choice(used, MANY, replace=False))
    while True:
        some = rows[used]
        kept = np.vstack([some, limits])
        out = linprog(-some.sum(axis=0), A_ub=-kept, b_ub=np.zeros(len(kept)), bounds=(-1.0, 1.0), method="highs")
        if out.status != 0:
            return None
        gains = -out.fun > 1e-6 * np.abs(rows).max()
        if len(used) == len(rows) or (not gains and np.linalg.matrix_rank(some) == rows.shape[1]):
            return np.asarray(out.x) if gains else None
        loss = -rows @ out.x
        loss[used] = 0.0
        worse = np.flatnonzero(loss > ROUNDING * np.abs(rows).max())
        if gains and not len(worse):
            return np.asarray(out.x)
        left = np.setdiff1d(np.arange(len(rows)), used) if not len(worse) else worse[np.argsort(-loss[worse])]
        used = np.union1d(used, left[: len(used)])


def _shortest(
    outer: np.ndarray, gains: np.ndarray, inner: np.ndarray, direction: np.ndarray, limits: np.ndarray
) -> np.ndarray:
    """The direction of least size by which the same rows gain, so that only what must move is named."""
    both = np.column_stack([np.vstack([outer, limits]), np.append(gains, np.zeros(len(limits)))])
    rows = np.unique(both.round(12), axis=0)
    least = -rows[:, -1]
    rows = np.hstack([-rows[:, :-1], rows[:, :-1]])
    values, vectors = np.linalg.eigh(inner.T @ inner)
    still = vectors[:, values > ROUNDING * max(1.0, float(values.max(initial=0.0)))].T
    equal = {"A_eq": np.hstack([still, -still]), "b_eq": np.zeros(len(still))} if len(still) else {}
    out = linprog(np.ones(rows.shape[1]), A_ub=rows, b_ub=least, bounds=(0.0, None), method="highs", **equal)
    if out.status != 0:
        return direction
    ahead, back = np.split(np.asarray(out.x), 2)
    return ahead - back


def _separated(specification: Specification, direction: np.ndarray, rows: np.ndarray, added: _Added) -> Note:
    system = specification.system
    parameters = (*system.coefficients, *_own(specification), *added.parameters)
    size = np.abs(direction)
    names = [p.name for p, moved in zip(parameters, size > 1e-6 * size.max(), strict=True) if moved]
    groups, noun = len(np.unique(specification.groups_of(rows))), specification.tables.noun
    text = (
        f"separated: the likelihood rises without limit as {named(names)} "
        f"{'moves' if len(names) == 1 else 'move together'} "
        f"({counted(groups, noun)} become{'s' if groups == 1 else ''} certain, no other {noun} loses), so there is no "
        f"finite maximum and these estimates are meaningless; {REMEDY}"
    )
    return trouble("separated", text, *names)


def _run_off_sds(
    specification: Specification, optimum: Optimum, recession: Recession, room: object, added: _Added
) -> list[Note]:
    """Large standard deviations whose effects can make every outcome certain.

    Laplace's formula is no help here: it falls where the likelihood itself rises to its limit.
    """
    system = specification.system
    large = [
        k
        for k, p in enumerate(system.hypers)
        if p.kind == "sd" and not p.prior.proper and optimum.theta[k] > LARGE and not optimum.boundary[k]
    ]
    if not large or recession.interior.any() or not _all_certain(specification, recession, room, added):
        return []
    out = []
    for k in large:
        name = system.hypers[k].name
        text = (
            f"separated: effects with the sd {name} make every outcome certain (as where each level is all yes or all "
            f"no), so the likelihood does not fall as {name} grows, there is no finite maximum, and its estimate is "
            f"meaningless; {REMEDY}"
        )
        out.append(trouble("separated", text, name))
    return out


def _all_certain(specification: Specification, recession: Recession, room: object, added: _Added) -> bool:
    """Whether coefficients and effects together can move every outcome towards certainty."""
    system = specification.system
    matrix: Any = system.matrix(room)  # type: ignore[arg-type]
    if matrix.nnz > MOST:
        return False
    signs = sparse.diags_array(recession.sign) @ recession.differences(matrix)
    margin = -np.ones((len(recession.row), 1))
    own = np.hstack([recession.own, added.columns(recession)])
    at: Any = sparse.hstack([signs, sparse.csr_array(own), margin], format="csr")
    width = at.shape[1] - 1
    out = linprog(
        np.append(np.zeros(width), -1.0), A_ub=-at, b_ub=np.zeros(at.shape[0]),
        bounds=[(-1.0, 1.0)] * width + [(0.0, math.inf)], method="highs",
    )  # fmt: skip
    return out.status == 0 and -out.fun > 1e-7 * float(np.abs(at.data).max(initial=1.0))
