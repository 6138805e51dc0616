"""Small models made the public way, each beside its dense matrices, which are built here from the raw columns.

The dense side takes complex theta, so that its derivatives can be had exactly, by complex steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pytest

import micromacro as mm
from micromacro.priors import Normal

#: Sizes of the groups: one has no member at all (its only slot is empty), some have one; members repeat in a group.
SIZES = np.array([3, 1, 2, 0, 5, 4, 1, 2, 3, 2, 4, 3, 1, 2])
N = len(SIZES)


def make_data() -> dict[str, np.ndarray]:
    """The long table (one row per slot), group columns repeated."""
    rng = np.random.default_rng(7)
    rows = np.repeat(np.arange(N), np.maximum(SIZES, 1))
    m = len(rows)
    of_group = {
        # where every row is a group, rows are sorted by their values, so the outcome rises here
        "y": np.sort(rng.standard_normal(N)),
        "z": rng.standard_normal(N),
        "o": rng.standard_normal(N),
        "c": np.arange(N) % 3,
        "d": np.arange(N) // 4,
    }
    data = {name: column[rows] for name, column in of_group.items()} | {"g": rows}
    member = rng.integers(0, 9, m).astype(float)
    member[1] = member[0]  # listed twice in the first group
    member[SIZES[rows] == 0] = math.nan  # an empty slot
    other = np.where(np.isnan(member), math.nan, rng.integers(0, 6, m))
    return data | {"m": member, "p": other, "x": rng.standard_normal(m), "v": rng.standard_normal(m)}


DATA = make_data()
FILLED = ~np.isnan(DATA["m"])
ROW = DATA["g"][FILLED]
IN_GROUP = np.eye(N)[ROW].T  # (groups, memberships)
n = SIZES[ROW].astype(float)
x, v = DATA["x"][FILLED], DATA["v"][FILLED]
OF_GROUP = {k: np.array([DATA[k][DATA["g"] == g][0] for g in range(N)]) for k in ("y", "z", "o", "c", "d")}

Raw = Callable[[dict[str, complex]], np.ndarray]


@dataclass
class Block:
    """A member block: its raw weights as a function of its parameters by name, and its columns."""

    raw: Raw
    rule: str = "total"
    covariates: tuple[str, ...] = ()
    known: dict[str, float] = field(default_factory=dict)
    effects: bool = True
    member: str = "m"
    name: str = "m"

    def weights(self, theta) -> np.ndarray:
        """(groups, memberships)."""
        raw = self.raw(theta)
        w = IN_GROUP * raw
        filled = SIZES > 0
        if self.rule == "total":
            return w * filled.sum() / raw.sum()
        return w / np.where(filled, w.sum(axis=1), 1.0)[:, None] if self.rule == "group" else w

    def feature(self, column: str, theta) -> np.ndarray:
        return self.weights(theta) @ DATA[column][FILLED]


@dataclass
class Case:
    """A formula, and what it says."""

    formula: str
    blocks: tuple[Block, ...] = ()
    fixed: tuple[str, ...] = ("z",)
    units: tuple[str, ...] = ()
    known: dict[str, float] = field(default_factory=dict)
    offset: bool = False
    intercept: bool = True
    priors: object = None

    @cached_property
    def specification(self):
        data = DATA if self.blocks else OF_GROUP
        return mm.Model(self.formula, data, priors=self.priors).specification

    @property
    def system(self):
        return self.specification.system

    @cached_property
    def theta(self) -> np.ndarray:
        """An ordinary place: small weight parameters and coefficients, moderate sds."""
        rng = np.random.default_rng(11)
        return np.array([rng.uniform(0.4, 1.2) if p.positive else rng.normal(0, 0.6) for p in self.system.hypers])

    def named(self, theta) -> dict[str, complex]:
        return {p.name: value for p, value in zip(self.system.hypers, theta, strict=True)}

    def columns(self, theta) -> dict[str, np.ndarray]:
        """Columns of all estimated coefficients by name, centred as the priors want it."""
        start = {p.name: p.start for p in self.system.hypers}
        middle = float(self.intercept)
        out = {"Intercept": np.ones(N)} if self.intercept else {}
        out |= {name: OF_GROUP[name] - middle * OF_GROUP[name].mean() for name in self.fixed}
        for b in self.blocks:
            for name in b.covariates:
                out[f"{b.name}.{name}"] = b.feature(name, theta) - middle * b.feature(name, start).mean()
        return out

    def dense(self, theta) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(offset, X, Z) with standardised effects in Z, coefficients with a normal or flat prior in X."""
        t = self.named(theta)
        offset = OF_GROUP["o"] * self.offset + sum((c * OF_GROUP[k] for k, c in self.known.items()), np.zeros(N))
        for b in self.blocks:
            offset = offset + sum((c * b.feature(k, t) for k, c in b.known.items()), np.zeros(N))
        columns = self.columns(t)
        offset = offset + sum((t[k] * columns[k] for k in columns if k in t), np.zeros(N))
        X = [columns[p.name] for p in self.system.coefficients]
        Z = [np.zeros((N, 0))]
        for b in self.blocks:
            if b.effects:
                ids = np.unique(DATA[b.member][FILLED])
                Z.append(t[f"{b.name}.sd"] * b.weights(t) @ (DATA[b.member][FILLED][:, None] == ids))
        Z += [t[f"{u}.sd"] * (OF_GROUP[u][:, None] == np.unique(OF_GROUP[u])) for u in self.units]
        return offset, np.array(X).reshape(len(X), N).T, np.hstack(Z)

    @cached_property
    def prior(self) -> tuple[np.ndarray, np.ndarray]:
        """Means and precisions of the coefficients in X."""
        priors = [p.prior for p in self.system.coefficients]
        normal = [isinstance(p, Normal) for p in priors]
        mean = np.array([p.mean if is_ else 0.0 for p, is_ in zip(priors, normal, strict=True)])
        return mean, np.array([p.sd**-2.0 if is_ else 0.0 for p, is_ in zip(priors, normal, strict=True)])


def exponent(t):
    return 1.0 / n ** np.exp(-(t["m.w.b"] * v))


LOOSE = {"z": mm.prior.student(4, 0, 1), "m.x": mm.prior.student(3, 0.5, 2), "m.v": mm.prior.normal(1, 0.5)}
MIXED = {"b": mm.prior.normal(0.5, 0.8), "Intercept": "flat", "m.x": "flat"}
FULL = "y ~ 1 + z + mm(m, g, x + v, weights = 1/n**exp(-(b*v)){}) + (1 | c) + (1 | d)"
COVARIATES, UNITS = ("x", "v"), ("c", "d")

CASES = {
    "no members": Case("y ~ 1 + z + (1 | c)", units=("c",)),
    "coefficients only": Case("y ~ 1 + z"),
    "intercept only": Case("y ~ 1 + (1 | d)", fixed=(), units=("d",)),
    "equal weights": Case("y ~ 1 + z + mm(m, g, x)", (Block(lambda t: 1 / n, covariates=("x",)),)),
    "effects only": Case("y ~ 1 + mm(m, g)", (Block(lambda t: 1 / n),), fixed=()),
    "total": Case(FULL.format(""), (Block(exponent, "total", COVARIATES),), units=UNITS),
    "group": Case(FULL.format(", normalize = group"), (Block(exponent, "group", COVARIATES),), units=UNITS),
    "none": Case(FULL.format(", normalize = none"), (Block(exponent, "none", COVARIATES),), units=UNITS),
    "flat": Case(FULL.format(""), (Block(exponent, "total", COVARIATES),), units=UNITS, priors="flat"),
    "flat and normal": Case(FULL.format(""), (Block(exponent, "total", COVARIATES),), units=UNITS, priors=MIXED),
    "loose": Case(FULL.format(""), (Block(exponent, "total", COVARIATES),), units=UNITS, priors=LOOSE),
    "no intercept": Case(
        "y ~ 0 + z + mm(m, g, x, weights = softmax(v))",
        (Block(lambda t: np.exp(t["m.w.v"] * v), "group", ("x",)),),
        intercept=False,
    ),
    "no effects": Case(
        "y ~ 1 + z + mm(m, g, x, weights = logistic(v), effects = none)",
        (Block(lambda t: 1 / (1 + (n - 1) * np.exp(-(t["m.w.b0"] + t["m.w.v"] * v))), "total", ("x",), effects=False),),
    ),
    "offset and fix": Case(
        "y ~ 1 + offset(o) + fix(z, 0.5) + mm(m, g, x + fix(v, -2), weights = 1/n**exp(-(b*v)), normalize = group)",
        (Block(exponent, "group", ("x",), known={"v": -2.0}),),
        fixed=(),
        known={"z": 0.5},
        offset=True,
    ),
    "two blocks": Case(
        "y ~ 1 + z + mm(m, g, x, weights = exp(b*v), normalize = group)"
        " + mm(p, g, v, weights = 1 + b0*v + b1*x, normalize = none, name = q)",
        (
            Block(lambda t: np.exp(t["m.w.b"] * v), "group", ("x",)),
            Block(lambda t: 1 + t["q.w.b0"] * v + t["q.w.b1"] * x, "none", ("v",), member="p", name="q"),
        ),
    ),
    "raw weights that sum": Case(
        "y ~ 1 + mm(m, g, weights = 1, normalize = none) + (1 | d)",
        (Block(lambda t: np.ones_like(n), "none"),),
        fixed=(),
        units=("d",),
    ),
}


@pytest.fixture(params=CASES)
def case(request) -> Case:
    """Each model in turn."""
    return CASES[request.param]


@pytest.fixture
def named_case():
    """A model by its name."""
    return CASES.__getitem__
