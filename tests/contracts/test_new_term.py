"""A kind of term is one file and three rows, its call, its builder and its twin: added here, it keeps every contract.

``swing(x, unit)`` is a curve that is not linear in its parameters, b sin(rate x), and every unit has its own height,
N(0, sd^2) around b.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import micromacro as mm
from micromacro.effects.iid import Independent
from micromacro.engines.nuts import terms as twins
from micromacro.language import functions
from micromacro.language.nodes import Call, Name
from micromacro.latent.part import Equations, Term, Unit
from micromacro.parameters import Parameter
from micromacro.priors import Normal
from micromacro.table.memberships import Tables
from micromacro.terms import registry as terms
from micromacro.terms.base import Context
from micromacro.terms.slopes import Slopes, make_slopes
from micromacro.terms.unit import unit_rows

from . import claims
from .subjects import Subject
from .tables import KINDS, Kind
from .verbs import VERBS

# -- the file ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Swing(Term):
    """b sin(rate x) with a height of its own in every unit."""

    name: str
    column: str
    of: str
    slopes: Slopes
    x: np.ndarray
    height: Parameter
    rate: Parameter
    structure: Independent

    @property
    def hypers(self) -> tuple[Parameter, ...]:
        return (self.rate, *self.structure.hypers)

    @property
    def structure_theta(self) -> slice:
        return slice(1, 2)

    @property
    def coefficients(self) -> tuple[Parameter, ...]:
        return (self.height,)

    @property
    def reported(self) -> tuple[Parameter, ...]:
        return (self.height,)

    @property
    def unit(self) -> Unit:
        return Unit(self.of, self.structure.levels, self.structure.rows.level)

    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        n = np.arange(len(self.x))
        row, latent, _ = self.structure.entries
        return np.concatenate([n, row]), np.concatenate([0 * n, 1 + latent])

    def scratch(self, gradient: bool = True) -> dict[str, Any]:
        return {}

    def fill(self, theta, scratch, slots, values, offset) -> bool:
        n, wave = len(self.x), np.sin(theta[0] * self.x)
        values[slots[:n]] = wave
        values[slots[n:]] = (theta[1] * wave)[self.structure.entries[0]]
        return True

    def pull(self, theta, scratch, slots, slope, d_offset) -> np.ndarray:
        n, row = len(self.x), self.structure.entries[0]
        wave, d_wave = np.sin(theta[0] * self.x), self.x * np.cos(theta[0] * self.x)
        own, of_effects = slope[slots[:n]], slope[slots[n:]]
        d_rate = own @ d_wave + theta[1] * of_effects @ d_wave[row]
        return np.array([d_rate, of_effects @ wave[row]])

    def on(self, tables: Tables) -> Swing:
        x = np.asarray(tables.groups[self.column].values, dtype=float)
        return replace(self, x=x, structure=self.structure.on(rows_of(self.of, self.slopes, tables)))

    def words(self) -> Equations:
        term = f"(b[{self.height.name}] + u_{self.name}[{self.of}[i]]) * sin({self.rate.name} * {self.column}[i])"
        return Equations((term,), tuple(self.structure.sentences()))


def rows_of(column: str, slopes: Slopes, tables: Tables):
    return unit_rows((column,), slopes, tables)[0]


def build(building: terms.Building) -> list[Swing]:
    return [_one(call, building.context) for call in building.calls("swing")]


def _one(call: Call, context: Context) -> Swing:
    x, of = call.args
    assert isinstance(x, Name)
    assert isinstance(of, Name)
    name = f"swing.{x.name}"
    context.claim(name, f"swing({x.name}, {of.name})")
    slopes = make_slopes(True, (), context.tables.groups, context.text)
    structure = Independent(name, rows_of(of.name, slopes, context.tables), (context.sd(f"{name}.sd"),))
    column = np.asarray(context.tables.groups[x.name].values, dtype=float)
    rate = context.hyper(f"{name}.rate", "w", Normal(0.0, 1.0), 0.5)
    return Swing(name, x.name, of.name, slopes, column, context.coefficient(f"{name}.b", 1.0), rate, structure)


# -- its twin ----------------------------------------------------------------------------------------------------------


def swing(part: Swing, theta, coefficients, reach):
    import jax.numpy as jnp

    return (coefficients[0] + reach) * jnp.sin(theta[0] * part.x)


# -- the rows ----------------------------------------------------------------------------------------------------------

TRUTH = {"swing.t0.b": 1.5, "swing.t0.rate": 1.2}
ROW = Kind("v + swing(t0, c)", ("unit",), moved="t0", smaller="swing(t0, c)", truth=TRUTH)
WITH_MEMBERS = Kind(
    "v + mm(m, g, x, weights = power(z)) + swing(t0, c)", ("unit", "block"), moved="t0",
    smaller="mm(m, g, x, weights = power(z)) + swing(t0, c)", truth=TRUTH,
)  # fmt: skip
ROWS = {"swing": ROW, "swing and a block": WITH_MEMBERS}


PAIRS = [("swing", "gaussian"), ("swing", "poisson"), ("swing and a block", "gaussian")]


class WithTime(Subject):
    """A subject whose groups have a covariate more."""

    @property
    def covariates(self):
        table = super().covariates
        return table.assign(t0=np.sin(1.0 + table["g"]) + 0.02 * table["g"])


def test_without_its_row_it_is_not_a_term():
    with pytest.raises(mm.FormulaError):
        mm.Model("y ~ swing(v, c)", {"y": [0.0, 1.0, 3.0], "v": [1.0, 2.0, 4.0], "c": [0, 0, 1]}).explain()


@pytest.fixture(scope="module", params=PAIRS, ids=str)
def subject(request):
    kind, family = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(functions.TERM_CALLS, "swing", functions.Arity(2, 2))
        patch.setitem(terms.TERMS, "swing", terms.TermKind("curves with a height of their own in every unit", build))
        patch.setitem(twins.TERMS, Swing, swing)
        patch.setitem(KINDS, kind, ROWS[kind])
        yield WithTime(kind, family)


@pytest.mark.parametrize("claim", list(claims.OF_PAIRS))
def test_contracts(subject, claim):
    claims.OF_PAIRS[claim](subject)


@pytest.mark.parametrize("verb", [name for name, row in VERBS.items() if not row.costly])
def test_verbs(subject, verb):
    VERBS[verb].outcome(subject.fit(), subject)


def test_it_stands_where_terms_stand(subject):
    fit = subject.fit()
    assert "(b[swing.t0.b] + u_swing.t0[c[i]]) * sin(swing.t0.rate * t0[i])" in str(subject.model.explain())
    assert "swing.t0" in fit.variance_components().index
    assert "swing.t0" in fit.specification.units
    with pytest.raises(mm.FormulaError, match="takes 2 arguments"):
        mm.Model("y ~ swing(v)", subject.data)
    with pytest.raises(mm.FormulaError, match="only be added"):
        mm.Model("y ~ v - swing(t0, c)", subject.data)
