"""Linear predictors of parameters of the family, ``sigma="~ z + mm(...)"``: read, and built as parts beside the others.

They are formulas of the same language, read against the same tables; their blocks are called ``sigma.B``, their
parameters ``sigma.z``, ``sigma.B.w.x``, ``sigma.B.sd``. Their coefficients are entries of theta, their effects entries
of x (:mod:`micromacro.latent.beside`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import CollinearError, FormulaError, ModelError
from ..families.base import Family
from ..families.registry import names_where
from ..language.interactions import split_interactions
from ..language.nodes import Call, Formula, Name, Node, units_in
from ..language.parse import parse_one_sided
from ..latent.beside import Beside
from ..latent.part import Part
from ..parameters import Parameter
from ..table.memberships import Tables
from ..terms.base import Context
from ..terms.expression import evaluate
from ..terms.member.call import block_name
from ..terms.member.roles import WORDS
from ..terms.member.weights import WeightExpression, read_weights
from ..terms.registry import build_parts

KEYWORDS = ("sigma", "phi", "shape", "nu", "zi", "hu")
"""Arguments of ``mm.fit`` that take the formula of another linear predictor."""


@dataclass(frozen=True)
class Other:
    """The parsed formula of another linear predictor.

    Attributes
    ----------
    name : str
        The parameter that it predicts.
    formula : Formula
        Its blocks are called ``sigma.B``.
    weights : dict
        The weight expression of each block by its name.
    """

    name: str
    formula: Formula
    weights: dict[str, WeightExpression]


def given_formulas(**formulas: str | None) -> dict[str, str]:
    """Those of the keywords that were given."""
    return {name: formulas[name] for name in KEYWORDS if formulas.get(name) is not None}  # type: ignore[misc]


def read_others(formulas: Mapping[str, str], known: Sequence[str]) -> tuple[Other, ...]:
    """Parse the formulas of other linear predictors; `known` are all columns of the user's tables."""
    return tuple(_read(name, text, known) for name, text in formulas.items())


def _read(name: str, text: str, known: Sequence[str]) -> Other:
    formula = parse_one_sided(text, name)
    formula = split_interactions(formula, {block_name(c): c.member_name for c in formula.members}, known)
    for call in formula.calls:
        if call.function in ("strata", "nominal"):
            where = (text, call.span.start, call.span.stop)
            raise FormulaError(f"{call.function}() belongs to the outcome's formula, not to {name}=", *where)
    members, weights = [], {}
    for call in formula.members:
        if call.combine != Name("sum"):
            raise FormulaError(
                f"combine= is for members of the outcome's own linear predictor, not of {name}=: leave it out", text,
                call.combine.span.start, call.combine.span.stop,
            )  # fmt: skip
        if units_in(call.weights):
            raise FormulaError(
                f"weights that vary over units are for members of the outcome's own linear predictor, not of {name}=: "
                "leave out | unit", text, call.span.start, call.span.stop,
            )  # fmt: skip
        block = f"{name}.{block_name(call)}"
        members.append(replace(call, name=block, effects=_within(name, call.effects)))
        weights[block] = read_weights(call.weights, text, known, call.parameters)
    interactions = tuple(replace(i, blocks=tuple(f"{name}.{b}" for b in i.blocks)) for i in formula.interactions)
    return Other(name, replace(formula, members=tuple(members), interactions=interactions), weights)


def _within(name: str, effects: Node) -> Node:
    """Effects in roles name another block, of the same linear predictor."""
    if not (isinstance(effects, Call) and effects.function in WORDS and effects.args):
        return effects
    other, *rest = effects.args
    return (
        replace(effects, args=(replace(other, name=f"{name}.{other.name}"), *rest))
        if isinstance(other, Name)
        else effects
    )


@dataclass(frozen=True)
class Built:
    """What other linear predictors add to a model: parts, the family's parameters that are left, where they are."""

    parts: list[Part]
    own: tuple[Parameter, ...]
    beside: Beside | None


def build_others(
    others: Iterable[Other], family: Family, own: tuple[Parameter, ...], context: Context, before: int
) -> Built:
    """Build the parts of other linear predictors.

    Parameters
    ----------
    own : tuple of Parameter
        The family's parameters, as they are without.
    context : Context
        That of the outcome's terms.
    before : int
        How many parts the outcome's linear predictor has.
    """
    others = tuple(others)
    if not others:
        return Built([], own, None)
    names = [p.name for p in own]
    for other in others:
        _check(other.name, family)
        context.book.forget(other.name)
    parts: list[Part] = []
    numbers = [0] * before
    for number, other in enumerate(others, start=1):
        start = own[names.index(other.name)].start
        location = float(np.log(start) if family.predictors[other.name] == "log" else np.log(start / (1.0 - start)))
        inner = replace(
            context, text=other.formula.text, scale=1.0, location=location, prefix=f"{other.name}.", others={}
        )
        made = build_parts(other.formula, other.weights, inner, None)
        _check_columns(made, other, context.tables)
        parts += made
        numbers += [number] * len(made)
    rows = tuple(names.index(o.name) for o in others)
    beside = Beside(
        rows, tuple(family.predictors[o.name] for o in others), len(own), tuple(numbers),
        np.stack([offset_of(o, context.tables) for o in others]), any(p.effects or p.coefficients for p in parts),
    )  # fmt: skip
    return Built(parts, tuple(p for k, p in enumerate(own) if k not in rows), beside)


def _check(name: str, family: Family) -> None:
    if name in family.predictors:
        return
    there = ", ".join(f"{p}=" for p in family.predictors) or "none"
    those = names_where(lambda f: name in f.predictors)
    raise ModelError(
        f"{name}= is for {those}: family {family.name} has no parameter {name} with a linear predictor (it takes "
        f"{there})"
    )


def offset_of(other: Other, tables: Tables) -> np.ndarray:
    """The known part of a linear predictor (groups,)."""
    out = np.zeros(tables.groups.n_rows)
    for node in other.formula.offsets:
        out += evaluate(node, tables.groups, other.formula.text, "offset", tables)
    return out


def _check_columns(parts: Sequence[Part], other: Other, tables: Tables) -> None:
    """Refuse coefficients whose columns, at the starting values, are linear combinations of others."""
    columns, names = [], []
    for part in parts:
        scratch: Any = part.scratch(gradient=False)
        slots = np.arange(len(part.entries()[0]))
        start = np.array([p.start for p in part.hypers])
        for k, p in enumerate(part.hypers):
            if not p.linear or p.fixed:
                continue
            ends = []
            for moved in (0.0, 1.0):
                theta, offset = start.copy(), np.zeros(tables.groups.n_rows)
                theta[k] = moved
                part.fill(theta, scratch, slots, np.empty(len(slots)), offset)
                ends.append(offset)
            columns.append(ends[1] - ends[0])
            names.append(p.name)
    if not columns:
        return
    matrix = np.column_stack(columns)
    matrix = matrix / np.maximum(np.linalg.norm(matrix, axis=0), 1e-300)
    for k in range(1, len(names) + 1):
        if np.all(np.isfinite(matrix)) and np.linalg.matrix_rank(matrix[:, :k], tol=1e-9) < k:
            raise CollinearError(
                f"{names[k - 1]!r} is a linear combination of the other columns of {other.name}= at the starting "
                "values, so their coefficients cannot be distinguished: leave it out", {names[k - 1]: names[k - 1]},
            )  # fmt: skip
