"""Units that read several rows of the linear predictor, against dense algebra and differences of the value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from micromacro.families.base import Family
from micromacro.latent.blocks import Blocks
from micromacro.latent.expansion import Expansion
from micromacro.latent.marginal.laplace import LaplaceMarginal
from micromacro.latent.nothing import Nothing
from micromacro.latent.part import Term
from micromacro.latent.system import System
from micromacro.numerics.differences import central
from micromacro.parameters import Parameter
from micromacro.priors import HalfNormal, Normal

RNG = np.random.default_rng(3)


@dataclass(frozen=True, eq=False)
class Loading(Term):
    """A coefficient with a column and effects of units with an sd; its rows are groups, or (`of_rows`) rows of A."""

    name: str
    row: np.ndarray
    column: np.ndarray
    level: np.ndarray
    predictor: int = 0
    of_rows: bool = False
    structure: None = None

    @property
    def hypers(self):
        return (Parameter(f"{self.name}.sd", "sd", HalfNormal(1.0)), Parameter(f"{self.name}.c", "b", Normal(0, 1)))

    @property
    def coefficients(self):
        return (Parameter(f"{self.name}.b", "b", Normal(0.2, 2.0)),)

    @property
    def effects(self):
        return int(self.level.max()) + 1

    def entries(self):
        return np.concatenate([self.row, self.row]), np.concatenate([0 * self.row, 1 + self.level])

    def scratch(self, gradient: bool = True) -> Any:
        return None

    def fill(self, theta, scratch, slots, values, offset):
        n = len(self.column)
        values[slots[:n]], values[slots[n:]] = self.column, theta[0] * (1.0 + 0.3 * self.column)
        np.add.at(offset, self.row, theta[1] * self.column)
        return True

    def pull(self, theta, scratch, slots, slope, d_offset):
        n = len(self.column)
        return np.array([slope[slots[n:]] @ (1.0 + 0.3 * self.column), d_offset[self.row] @ self.column])


@dataclass(frozen=True, eq=False)
class Shares(Term):
    """Numbers for the likelihood: a weight of each of some rows, exp(t z), and a kappa of each unit."""

    row: np.ndarray
    z: np.ndarray
    units: np.ndarray
    name: str = "shares"
    structure: None = None

    @property
    def hypers(self):
        return (Parameter("shares.t", "w", Normal(0, 1)), Parameter("shares.kappa", "aggregate", Normal(0, 1)))

    def entries(self):
        return np.empty(0, int), np.empty(0, int)

    @property
    def number_rows(self):
        return np.concatenate([self.row, self.units])

    def scratch(self, gradient: bool = True) -> Any:
        return None

    def fill(self, theta, scratch, slots, values, offset):
        return True

    def pull(self, theta, scratch, slots, slope, d_offset):
        return np.zeros(2)

    def fill_numbers(self, theta, scratch, out):
        out[: len(self.row)], out[len(self.row) :] = np.exp(theta[0] * self.z), theta[1]

    def pull_numbers(self, theta, scratch, slope):
        m = len(self.row)
        return np.array([slope[:m] @ (self.z * np.exp(theta[0] * self.z)), slope[m:].sum()])


@dataclass(frozen=True, eq=False)
class Spread(Family):
    """y ~ N(eta_0, (s exp(eta_1))^2), s being the family's own."""

    blocks: Blocks
    name: str = "spread"
    link: str = "identity"

    def log_density(self, values, eta, own, xp=np, special=None):
        y, n = values[0, : self.blocks.units], self.blocks.units
        t = eta[n:] + xp.log(own[0])
        return self.blocks.on_rows(-t - 0.5 * (y - eta[:n]) ** 2 * xp.exp(-2.0 * t) - 0.5 * np.log(2 * np.pi), xp)

    def slopes(self, values, eta, own, out):
        n = self.blocks.units
        precision, r = np.exp(-2.0 * (eta[n:] + np.log(own[0]))), values[0, :n] - eta[:n]
        out[0] = 0.0
        out[0, : 2 * n] = self.log_density(values, eta, own)
        out[1] = np.concatenate([r * precision, r * r * precision - 1.0, 0 * r])
        out[2] = np.concatenate([-precision, -2.0 * r * r * precision, -2.0 * r * precision])
        out[3] = np.concatenate([precision, 0 * r + 2.0, 0 * r])


@dataclass(frozen=True, eq=False)
class Strongest(Family):
    """y ~ N(eta_0 + log(sum w exp(kappa eta_j)) / kappa, 1): the later rows of a unit meet in a smooth maximum."""

    blocks: Blocks
    name: str = "strongest"
    link: str = "identity"

    def _meet(self, eta, own):
        """Shares of the later rows in their units' sums, kappa of each unit (0 without), means of the units."""
        b = self.blocks
        later = np.flatnonzero(b.position > 0)
        kappa, share = np.zeros(b.units), np.zeros(b.rows)
        kappa[np.unique(b.unit[later])] = own[len(later) :]
        share[later] = own[: len(later)] * np.exp(kappa[b.unit[later]] * eta[later])
        total = np.bincount(b.unit, share, b.units)
        full = total > 0.0
        mean = eta[b.first]
        mean[full] += np.log(total[full]) / kappa[full]
        return share / np.where(full, total, 1.0)[b.unit], kappa, mean

    def log_density(self, values, eta, own, xp=np, special=None):
        b, (_, _, mean) = self.blocks, self._meet(eta, own)
        return b.on_rows(-0.5 * (values[0, b.first] - mean) ** 2)

    def slopes(self, values, eta, own, out):
        b, (share, kappa, mean) = self.blocks, self._meet(eta, own)
        r = values[0, b.first] - mean
        g, n = np.where(b.position == 0, 1.0, share), b.rows
        out[0], out[1] = 0.0, 0.0
        out[0, :n] = -0.5 * b.on_rows(r**2)
        out[1, :n] = r[b.unit] * g
        out[3] = np.concatenate([g * g, g[b.high] * g[b.low]])
        bent = np.concatenate([share * (1.0 - share), -share[b.high] * share[b.low]])
        out[2] = (r * kappa)[b.place] * bent - out[3]


def two_rows():
    n = 30
    group = np.tile(np.arange(n), 2)
    blocks = Blocks(group)
    unit, other = RNG.integers(0, 4, n), RNG.integers(0, 3, n)
    parts = [
        Loading("m", np.arange(n), RNG.standard_normal(n), unit),
        Loading("s", np.arange(n), 0.4 * RNG.standard_normal(n), other, predictor=1),
        Loading("t", np.arange(n), 0.4 * RNG.standard_normal(n), unit, predictor=1),
    ]
    rows = Expansion(group, Nothing(), np.repeat([0, 1], n), blocks=blocks)
    own = (Parameter("sigma", "sigma", HalfNormal(1.0)),)
    system = System(parts, n, own, 0.1 * np.arange(n), rows)
    values = np.tile(RNG.standard_normal(n), 2)[None]
    return system, Spread(blocks), values, np.array([0.7, 0.2, 0.5, -0.3, 0.4, 0.1, 0.9])


def many_rows():
    """Units of one to five rows, in any order; two of the parts say their rows themselves."""
    size = np.array([1, 3, 5, 2, 4, 3, 1, 5])
    unit = np.concatenate([np.arange(8), np.repeat(np.arange(8), size - 1)])
    later = 8 + RNG.permutation(len(unit) - 8)
    unit[8:] = unit[later]
    blocks, n = Blocks(unit), 8
    group = np.where(np.arange(len(unit)) < n, np.arange(len(unit)), -1)
    others = np.arange(n, len(unit))
    parts = [
        Loading("g", np.arange(n), RNG.standard_normal(n), RNG.integers(0, 2, n)),
        Loading("j", others, RNG.standard_normal(len(others)), RNG.integers(0, 4, len(others)), of_rows=True),
        Shares(others, RNG.standard_normal(len(others)), np.flatnonzero(size > 1)),
    ]
    system = System(parts, n, (), np.zeros(n), Expansion(group, Nothing(), blocks=blocks))
    values = np.append(3.0 * RNG.standard_normal(n), np.zeros(len(others)))[None]
    return system, Strongest(blocks), values, np.array([0.8, 0.2, 1.1, -0.2, 0.5, 1.7])


MADE = {"two rows": two_rows(), "one to five rows": many_rows()}


@pytest.fixture(params=list(MADE))
def made(request):
    return MADE[request.param]


def dense(blocks, each):
    """W (rows, rows) from rows and pairs."""
    out = np.diag(each[: blocks.rows])
    out[blocks.high, blocks.low] = out[blocks.low, blocks.high] = each[blocks.rows :]
    return out


def test_layout_of_rows_and_pairs():
    b = Blocks(np.array([1, 0, 1, 2, 1]))
    assert b.row.tolist() == [1, 0, 2, 4, 3]
    assert (b.high.tolist(), b.low.tolist()) == ([2, 4, 4], [0, 0, 2])
    assert b.pair_start.tolist() == [0, 0, 3, 3]
    np.testing.assert_array_equal(b.on_rows(np.array([1.0, 2.0, 3.0])), [2, 1, 0, 3, 0])
    np.testing.assert_array_equal(b.sums(np.arange(8.0)), [1, 0 + 2 + 4 + 5 + 6 + 7, 3])


def test_stand_in_has_the_sizes_of_eigenvalues():
    b = Blocks(np.array([0, 1, 1, 2, 2, 2, 2]))
    out = np.zeros((4, 7 + b.pairs))
    out[2] = np.random.default_rng(5).standard_normal(out.shape[1])
    b.stand_in(out)
    value, vector = np.linalg.eigh(dense(b, out[2]))
    np.testing.assert_allclose(dense(b, out[3]), (vector * np.abs(value)) @ vector.T, atol=1e-12)


def test_made_up_families_have_their_derivatives(made):
    system, family, values, theta = made
    b, room = system.expansion.blocks, system.workspace()
    system.fill(theta, room)
    own = system.own(theta, room)
    eta = np.random.default_rng(6).standard_normal(b.rows) * 0.5
    out, moved = np.empty((4, b.rows + b.pairs)), np.empty((4, b.rows + b.pairs))
    family.slopes(values, eta, own, out)

    def along(r, what):
        def at(h):
            step = eta + h * (np.arange(b.rows) == r)
            family.slopes(values, step, own, moved)
            return float(family.log_density(values, step, own).sum()) if what == 0 else moved[1, : b.rows].copy()

        return at

    first = np.array([central(along(r, 0), 1e-5) for r in range(b.rows)])
    np.testing.assert_allclose(out[1, : b.rows], first, atol=1e-8)
    np.testing.assert_allclose(dense(b, out[2]), [central(along(r, 1), 1e-5) for r in range(b.rows)], atol=1e-8)


@pytest.mark.parametrize("held", [False, True])
def test_value_is_that_of_dense_algebra(made, held):
    system, family, values, theta = made
    b = system.expansion.blocks
    marginal = LaplaceMarginal(system, family, values, held=held)
    point = np.concatenate([theta, 0.3 + 0.1 * np.arange(len(system.coefficients))]) if held else theta
    room = marginal.workspace()
    value = marginal.value(point, room)
    assert np.isfinite(value)
    k = system.n_effects if held else system.size
    x, A = marginal.x(room), marginal.system.matrix(room.base).toarray()
    eta = A[:, :k] @ x[:k] + room.base.offset  # in which held coefficients are
    out = np.empty((4, b.rows + b.pairs))
    density = family.log_density(values, eta, room.own)
    family.slopes(values, eta, room.own, out)
    d = np.diag(np.concatenate([np.ones(system.n_effects), np.full(len(system.coefficients), 0.25)]))[:k, :k]
    center = np.concatenate([np.zeros(system.n_effects), np.full(len(system.coefficients), 0.2)])[:k]
    W = dense(b, -out[2])
    assert np.linalg.eigvalsh(W).min() < -1e-3  # or little would be tested
    h, away = A[:, :k].T @ W @ A[:, :k] + d, x[:k] - center
    np.testing.assert_allclose(A[:, :k].T @ out[1, : b.rows] - d @ away, 0.0, atol=1e-7)
    expected = density.sum() - 0.5 * away @ d @ away + 0.5 * np.linalg.slogdet(d)[1] - 0.5 * np.linalg.slogdet(h)[1]
    np.testing.assert_allclose(value, expected, rtol=1e-10)
    marginal.factor.slopes(room.base, system.size)
    covariance = A[:, :k] @ np.linalg.solve(h, A[:, :k].T)  # of the predictors
    leverage = np.concatenate([np.diag(covariance), 2.0 * covariance[b.high, b.low]])
    np.testing.assert_allclose(room.base.leverage, leverage, atol=1e-9)


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("weight", [False, True])
def test_gradient_is_that_of_differences(made, held, weight):
    system, family, values, theta = made
    of_unit = np.random.default_rng(8).uniform(0.5, 1.5, system.expansion.blocks.units)
    power = of_unit[system.expansion.blocks.unit] if weight else None
    marginal = LaplaceMarginal(system, family, values, power, held=held)
    point = np.concatenate([theta, 0.3 + 0.1 * np.arange(len(system.coefficients))]) if held else theta
    room = marginal.workspace()
    _, slope = marginal.gradient(point, room)
    each = []
    for k in range(len(point)):
        step = 1e-4 * (np.arange(len(point)) == k)
        each.append((marginal.value(point + step, room) - marginal.value(point - step, room)) / 2e-4)
    np.testing.assert_allclose(slope, each, atol=2e-6)


def test_mean_given_theta_is_nearer_than_the_mode(made):
    """By importance sampling with many draws around the mode."""
    system, family, values, theta = made
    marginal = LaplaceMarginal(system, family, values)
    room = marginal.workspace()
    marginal.value(theta, room)
    mode, mean = room.x.copy(), marginal.corrected_mean(theta, room)
    marginal.value(theta, room)
    rng, eta, trial = np.random.default_rng(9), np.empty(system.rows), np.empty((4, system.slots))
    top, total, sums = room.top, 0.0, np.zeros(system.size)
    for _ in range(6_000):
        z = rng.standard_normal(system.size)
        x = mode + 1.2 * (marginal.draw(room, z.copy()) - marginal.x(room))[system.symbolic.order]
        marginal.predict(room, x, eta)
        weight = np.exp(marginal.rows(eta, room.own, trial) - marginal.penalty(x, room.base) - top + 0.5 * z @ z)
        total, sums = total + weight, sums + weight * x
    exact = sums / total
    assert np.abs(mean - exact).max() < 0.5 * np.abs(mode - exact).max()
