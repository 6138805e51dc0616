"""What a formula asks of the tables: its columns, and the outcome on its left side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..effects.registry import effect_columns
from ..errors import FormulaError, ModelError
from ..families.response import Raw, Sets
from ..language.interactions import split_interactions
from ..language.nodes import Call, Formula, MemberCall, Name, Node, Text, units_in
from ..language.parse import parse_formula
from ..language.printing import names_in, to_text
from ..table.levels import encode
from ..table.memberships import BlockRequest, TableRequest, Tables
from ..terms.expression import evaluate
from ..terms.member.aggregate import read_aggregate
from ..terms.member.call import block_name
from ..terms.member.combine import read_combine
from ..terms.member.weights import WeightExpression, read_weights
from .others import Other, read_others


@dataclass(frozen=True)
class Reading:
    """A parsed formula with the columns that it needs; `drops`: collinear columns of coefficients are left out."""

    formula: Formula
    weights: dict[str, WeightExpression]
    request: TableRequest
    columns: tuple[str, ...]
    observation_weights: str | None = None
    sources: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[Other, ...] = ()
    drops: bool = False

    @property
    def formulas(self) -> tuple[Formula, ...]:
        """The formula of the outcome, and those of other linear predictors."""
        return (self.formula, *(o.formula for o in self.others))


def read(
    text: str,
    columns: Sequence[str],
    observation_weights: str | None = None,
    sources: Mapping[str, Any] | None = None,
    others: Mapping[str, str] | None = None,
) -> Reading:
    """Parse a formula and find which columns it needs.

    Parameters
    ----------
    columns : sequence of str
        All columns of the user's tables: any other symbol in `weights` is a free parameter.
    observation_weights : str, optional
        A column of the groups: powers of the likelihood.
    sources : mapping, optional
        Covariances (and graphs) by the names that ``effects=`` uses; one that is not used is an error.
    others : mapping, optional
        One-sided formulas of other linear predictors by the parameter that they predict.
    """
    if observation_weights is not None and not isinstance(observation_weights, str):
        raise ModelError(
            "observation_weights= names a column of the data, not the weights themselves "
            f"({type(observation_weights).__name__} was given): make them a column and give its name"
        )
    known = tuple(columns)
    formula = parse_formula(text)
    formula = split_interactions(formula, {block_name(c): c.member_name for c in formula.members}, known)
    beside = read_others(others or {}, known)
    group = _one_group_column(formula, *(o.formula for o in beside))
    weights, blocks = {}, []
    for call in formula.members:
        name = block_name(call)
        if name in weights:
            raise FormulaError(
                f"two member blocks are called {name!r}; tell them apart with name=, as in mm({call.member_name}, "
                f"{call.group.name}, ..., name={name}2)", text, call.span.start, call.span.stop,
            )  # fmt: skip
        weights[name] = read_weights(call.weights, text, known, call.parameters)
        needed = _block_columns(call, weights[name], known, text)
        blocks.append(_request(call, name, needed))
    for other in beside:
        for call in other.formula.members:
            needed = _block_columns(call, other.weights[block_name(call)], known, other.formula.text)
            blocks.append(_request(call, block_name(call), needed))
    form, kind = outcome_form(formula)
    outcome_node = formula.outcome
    of_outcome = names_of(outcome_node)
    endless: tuple[str, ...] = ()
    if form != "plain" and isinstance(outcome_node, Call):
        of_outcome = tuple(dict.fromkeys(n for a in outcome_node.args for n in names_of(a)))
        endless = names_of(outcome_node.args[1]) if kind == "interval" else ()
    needed_of_groups = tuple(
        dict.fromkeys((*names_of(outcome_node), *columns_of_terms(formula, *(o.formula for o in beside))))
    )
    if observation_weights is not None and observation_weights not in needed_of_groups:
        needed_of_groups += (observation_weights,)
    outcome = of_outcome + ((observation_weights,) if observation_weights else ())
    ends = _interval_ends(formula) if kind == "interval" else None
    sets = names_of(outcome_node.args[1])[0] if form == "choice" and isinstance(outcome_node, Call) else None
    request = TableRequest(group, needed_of_groups, tuple(blocks), outcome, endless, ends=ends, sets=sets)
    _check_sources((formula, *(o.formula for o in beside)), sources or {})
    return Reading(formula, weights, request, known, observation_weights, sources or {}, beside)


def _check_sources(formulas: Sequence[Formula], sources: Mapping[str, Any]) -> None:
    """A covariance or a graph that no term uses is a slip of the pen."""
    nodes = [call.effects for formula in formulas for call in (*formula.members, *formula.units)]
    used = {name.name for node in nodes for name in names_in(node)}
    used |= {n.value for node in nodes if isinstance(node, Call) for n in node.args if isinstance(n, Text)}
    for name in sources:
        if name not in used:
            raise ModelError(
                f"{name!r} was given, but no effects= of the formula uses it, as in effects = known({name})"
            )


def _one_group_column(*formulas: Formula) -> str | None:
    calls = [(call, formula.text) for formula in formulas for call in formula.members]
    if not calls:
        return None
    first = calls[0][0].group.name
    for call, text in calls[1:]:
        if call.group.name != first:
            raise FormulaError(
                f"all mm() terms must name the same group column, but here are {first!r} and {call.group.name!r}",
                text, call.group.span.start, call.group.span.stop,
            )  # fmt: skip
    return first


def _interval_ends(formula: Formula) -> tuple[str, str] | None:
    """Columns of the two ends of an interval outcome, where each is one that nothing else reads."""
    assert isinstance(formula.outcome, Call)
    lower, upper = (names_of(a) for a in formula.outcome.args)
    others = set(columns_of_terms(formula))
    if len(lower) != 1 or len(upper) != 1 or lower == upper or {*lower, *upper} & others:
        return None
    return lower[0], upper[0]


def names_of(node: Node) -> tuple[str, ...]:
    """Names that occur in a piece of a formula, each once."""
    return tuple(dict.fromkeys(n.name for n in names_in(node)))


def columns_of_terms(*formulas: Formula) -> tuple[str, ...]:
    """Columns of the groups that anything but the outcome reads."""
    return tuple(dict.fromkeys(name for formula in formulas for name in _columns_of_terms(formula)))


def _columns_of_terms(formula: Formula) -> tuple[str, ...]:
    nodes = [*(n for _, n in formula.fixed), *formula.offsets, *(f.term for f in formula.fixes)]
    nodes += [u.unit for u in formula.units]
    nodes += [n for u in formula.units for _, n in u.slopes]
    nodes += [n for i in formula.interactions for n in i.terms]
    nodes += formula.calls
    used = [name for node in nodes for name in names_of(node)]
    used += [name for u in formula.units for name in effect_columns(u.effects, formula.text)]
    used += [u.by.name for u in formula.units if u.by is not None]
    used += [name for call in formula.members for name in units_in(call.weights)]
    return tuple(dict.fromkeys(used))


def _block_columns(call: MemberCall, weights: WeightExpression, known: tuple[str, ...], text: str) -> tuple[str, ...]:
    names = [n for _, node in call.covariates for n in names_of(node)]
    names += [n for f in call.fixes for n in names_of(f.term)]
    names += list(weights.columns)
    names += effect_columns(call.effects, text)
    names += [call.by.name] if call.by is not None else []
    aggregate = read_aggregate(call, text, known)
    read_combine(call, text, known)
    names += list(aggregate.columns) if aggregate else []
    if weights.uses_n and "n" in known:
        names.append("n")
    return tuple(dict.fromkeys(names))


def _request(call: MemberCall, name: str, needed: tuple[str, ...]) -> BlockRequest:
    """What a block asks of the tables; the columns of a member ``a:b`` are read like any other."""
    columns = call.member_columns
    if len(columns) == 1:
        return BlockRequest(name, columns[0], needed)
    return BlockRequest(name, call.member_name, tuple(dict.fromkeys((*needed, *columns))), columns)


_TYPES = ("right", "left", "interval")
_FORMS = {"trials": "trials", "surv": "surv", "Surv": "surv", "choice": "choice"}
_ARGUMENTS = {"trials": (2, 2), "surv": (1, 3), "choice": (2, 2)}


def outcome_form(formula: Formula) -> tuple[str, str]:
    """The form of the outcome (plain, trials, surv, choice) and the ``type=`` of ``surv()``; errors mark the place."""
    node, text = formula.outcome, formula.text
    if not (isinstance(node, Call) and node.function in _FORMS):
        return "plain", "right"
    form = _FORMS[node.function]
    kind = "right"
    for key, value in node.keywords:
        if form != "surv" or key != "type" or not (isinstance(value, Text) and value.value in _TYPES):
            raise FormulaError(
                f'{node.function}() takes {"type= right, left or interval" if form == "surv" else "no keyword"}',
                text, node.span.start, node.span.stop,
            )  # fmt: skip
        kind = value.value
    least, most = _ARGUMENTS[form]
    if not least <= len(node.args) <= most or (kind != "right" and len(node.args) != 2):
        raise FormulaError(
            f"{node.function}() takes {'two' if most == 2 or kind != 'right' else 'one to three'} columns", text,
            node.span.start, node.span.stop,
        )  # fmt: skip
    if form == "choice" and not isinstance(node.args[1], Name):
        raise FormulaError(
            "choice(chosen, set) takes a column of 0 and 1, and the column that says which set of alternatives a row "
            "is in", text, node.span.start, node.span.stop,
        )  # fmt: skip
    return form, kind


def read_outcome(formula: Formula, tables: Tables) -> Raw:
    """The left side of the formula: a plain outcome, ``trials(k, n)``, ``surv(...)`` or ``choice(chosen, set)``."""
    node, text = formula.outcome, formula.text
    ids, noun = tables.ids, tables.noun
    what = to_text(node)
    if isinstance(node, Name) and tables.groups[node.name].kind in ("text", "category"):
        column = tables.groups[node.name]
        categories, first = column.categories or (), None
        if column.kind == "text":
            categories, first = tuple(np.unique(column.values.astype(str)).tolist()), str(column.values[0])
        number = {v: float(k) for k, v in enumerate(categories)}
        codes = np.array([number[v] for v in column.values])
        ordered = column.ordered and first is None
        return Raw("plain", (codes,), what, ids, categories=categories, ordered=ordered, noun=noun, text=first)
    form, kind = outcome_form(formula)
    if form == "plain" or not isinstance(node, Call):
        return Raw("plain", (evaluate(node, tables.groups, text, "outcome", tables),), what, ids, noun=noun)
    numbers = node.args[:1] if form == "choice" else node.args
    columns = tuple(
        evaluate(a, tables.groups, text, "outcome", tables, kind == "interval" and k == 1, form == "trials" and k == 1)
        for k, a in enumerate(numbers)
    )
    return Raw(form, columns, what, ids, kind, noun=noun, sets=sets_of(formula, tables))


def sets_of(formula: Formula, tables: Tables) -> Sets | None:
    """The sets of alternatives of ``choice(chosen, set)`` on some tables; None for other outcomes."""
    node = formula.outcome
    if outcome_form(formula)[0] != "choice" or not isinstance(node, Call):
        return None
    (name,) = (n.name for n in names_in(node.args[1]))
    codes, levels = encode(tables.groups[name])
    return Sets(name, codes, levels.values)
