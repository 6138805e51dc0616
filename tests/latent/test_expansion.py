"""Rows of A that repeat groups, against dense algebra: pattern, values and derivatives, for one and two predictors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from micromacro.latent.expansion import Expansion
from micromacro.latent.part import Term
from micromacro.latent.system import System
from micromacro.parameters import Parameter
from micromacro.priors import FLAT, HalfNormal, Normal

GROUPS = 4


@dataclass(frozen=True, eq=False)
class Loading(Term):
    """One coefficient with a column, effects of units with an sd, and a column in the offset times theta."""

    name: str
    column: np.ndarray
    of: np.ndarray
    predictor: int = 0
    structure: None = None

    @property
    def hypers(self):
        return (Parameter(f"{self.name}.sd", "sd", HalfNormal(1.0)), Parameter(f"{self.name}.c", "b", Normal(0, 1)))

    @property
    def coefficients(self):
        return (Parameter(f"{self.name}.b", "b", Normal(0.5, 2.0)),)

    @property
    def effects(self):
        return int(self.of.max()) + 1

    def entries(self):
        n = np.arange(len(self.column))
        return np.concatenate([n, n]), np.concatenate([0 * n, 1 + self.of])

    def scratch(self, gradient: bool = True) -> Any:
        return None

    def fill(self, theta, scratch, slots, values, offset):
        n = len(self.column)
        values[slots[:n]], values[slots[n:]] = self.column, theta[0] * self.column
        offset += theta[1] * self.column
        return True

    def pull(self, theta, scratch, slots, slope, d_offset):
        return np.array([slope[slots[len(self.column) :]] @ self.column, d_offset @ self.column])

    def dense(self, theta):
        """Columns (groups, 1 + effects) and the offset."""
        units = theta[0] * self.column[:, None] * np.eye(self.effects)[self.of]
        return np.column_stack([self.column, units]), theta[1] * self.column


@dataclass(frozen=True, eq=False)
class OfRows(Term):
    """A coefficient for every kind of row."""

    kind: np.ndarray
    name: str = "rows"
    hypers: tuple = ()
    effects: int = 0
    structure: None = None

    @property
    def coefficients(self):
        return tuple(Parameter(f"a.{k}", "b", FLAT) for k in range(self.kind.max() + 1))

    def entries(self):
        return np.arange(len(self.kind)), self.kind

    def scratch(self, gradient: bool = True) -> Any:
        return None

    def fill(self, theta, scratch, slots, values, offset):
        values[slots] = 1.0
        return True

    def pull(self, theta, scratch, slots, slope, d_offset):
        return np.empty(0)


def parts(predictors=(0, 0)):
    rng = np.random.default_rng(1)
    units = np.array([0, 1, 0, 2]), np.array([1, 1, 0, 0])
    return [
        Loading(f"p{k}", rng.standard_normal(GROUPS), u, p)
        for k, (u, p) in enumerate(zip(units, predictors, strict=True))
    ]


#: Groups of the rows, their predictors, and the predictors of two parts.
CASES = {
    "each once": (np.arange(GROUPS), None, (0, 0)),
    "intervals": (np.array([0, 0, 0, 1, 1, 3, 3, 3]), None, (0, 0)),
    "out of order, with pseudo-observations": (np.array([3, -1, 0, 1, 3, -1, 0, 2]), None, (0, 0)),
    "two predictors": (np.tile(np.arange(GROUPS), 2), np.repeat([0, 1], GROUPS), (0, 1)),
    "both parts in the second": (np.tile(np.arange(GROUPS), 2), np.repeat([0, 1], GROUPS), (1, 1)),
}


@pytest.fixture(params=list(CASES))
def made(request):
    group, predictor, of_part = CASES[request.param]
    terms, own = parts(of_part), OfRows(np.arange(len(group)) % 3)
    offset = np.array([0.1, 0.2, 0.3, 0.4])
    return System(list(terms), GROUPS, (), offset, Expansion(group, own, predictor)), terms, own, offset


THETA = np.array([0.7, -0.3, 1.2, 0.4])


def dense(made, theta):
    """A (rows, size) in natural order, and the offset of the rows."""
    system, terms, own, offset = made
    group, predictor = system.expansion.group, system.expansion.predictor
    of_row = np.zeros(len(group), int) if predictor is None else predictor
    A, o = np.zeros((len(group), system.size)), np.where((group >= 0) & (of_row == 0), offset[group], 0.0)
    for k, part in enumerate(terms):
        block, extra = part.dense(theta[2 * k : 2 * k + 2])
        at = np.flatnonzero((group >= 0) & (of_row == part.predictor))
        effect = system.places.effects(k).start
        A[at[:, None], [system.n_effects + k, *range(effect, effect + part.effects)]] = block[group[at]]
        o[at] += extra[group[at]]
    A[np.arange(len(group)), system.n_effects + 2 + own.kind] = 1.0
    return A, o


def test_rows_are_those_of_their_groups(made):
    system = made[0]
    room = system.workspace()
    A, offset = dense(made, THETA)
    assert system.fill(THETA, room)
    x = np.random.default_rng(2).standard_normal(system.size)
    np.testing.assert_allclose(system.row_predictor(room, x), A @ x + offset, rtol=1e-13, atol=1e-14)


def test_derivatives_come_back_to_theta(made):
    """pull() against differences of a linear function of A and the offset."""
    system = made[0]
    room, rng = system.workspace(), np.random.default_rng(3)
    system.fill(THETA, room)
    entries, rows = rng.standard_normal(len(room.values)), rng.standard_normal(system.rows)
    room.slope[:], room.d_offset[:] = entries, rows
    got = system.pull(THETA, room)

    def value(theta):
        system.fill(theta, room)
        return entries @ room.values + rows @ room.offset

    for k in range(len(THETA)):
        step = 1e-6 * np.eye(len(THETA))[k]
        assert got[k] == pytest.approx((value(THETA + step) - value(THETA - step)) / 2e-6, rel=1e-7, abs=1e-8)


def test_sums_over_groups_undo_the_spreading(made):
    system = made[0]
    group = system.expansion.group
    of_row = np.random.default_rng(4).standard_normal(system.rows)
    expected = [of_row[group == g].sum() for g in range(GROUPS)]
    np.testing.assert_allclose(system.gather(of_row), expected, rtol=1e-14, atol=1e-15)


def test_the_predictor_of_a_group_leaves_the_rows_own_part_out(made):
    system, terms, _, offset = made
    room = system.workspace(gradient=False)
    system.fill(THETA, room)
    x = np.random.default_rng(5).standard_normal(system.size)
    expected = offset.copy()
    for k, part in enumerate(terms):
        if part.predictor == 0:
            block, extra = part.dense(THETA[2 * k : 2 * k + 2])
            effect = system.places.effects(k).start
            expected += block @ x[[system.n_effects + k, *range(effect, effect + part.effects)]] + extra
    np.testing.assert_allclose(system.predictor(room, x), expected, rtol=1e-13)
