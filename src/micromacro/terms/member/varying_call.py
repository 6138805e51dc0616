"""From an ``mm(..., weights = power(x | unit))`` to its parts: checks, coefficients, effects, with their priors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...effects.iid import OneTerm
from ...errors import FormulaError, ModelError
from ...language.nodes import Call, MemberCall, Name, bars_in
from ...priors import HalfNormal
from ...table.joined import unit_column
from ..base import Context, sort_columns
from ..design import make_design
from ..slopes import build_effects, effective_number, make_slopes, read_effects
from .call import block_name, group_ids, make_weighing, weight_remarks
from .combine import SUM
from .combined_call import coefficients_of_rows
from .jets import make_jets
from .roles import WORDS
from .rows_part import each_membership
from .starting import check_weights
from .term import member_covariates
from .varying import VaryingPart, WeightEffects, coefficient_rows
from .weights import WeightExpression

SD, START = HalfNormal(1.0), 0.5  # of the sd of a coefficient of weights: its prior, and where a search begins


def build_varying(
    call: MemberCall, expression: WeightExpression, context: Context, intercept: bool
) -> list[VaryingPart | WeightEffects]:
    """Build a member block whose weights have effects: the block, and the effects of its weights.

    Parameters
    ----------
    expression : WeightExpression
        The call's weights, read against the columns of the tables.
    intercept : bool
        Whether the model has an intercept (then covariates are centred where weights sum to one).
    """
    name = block_name(call)
    rule = _rule(call, expression, context)
    _check_beside(call, context)
    weighing = make_weighing(call, expression, context, rule)
    expression, rows = weighing.expression, weighing.memberships
    if rule == "group" and not weighing.tape.logarithm:
        raise ModelError(
            f"the weights of block {name!r} have effects, so they must be positive whatever their coefficients are: "
            "write exp(), ilogit(), or products, quotients and powers of these (or normalize = none)"
        )
    if rule == "group" and np.diff(rows.start).max(initial=0) < 2:
        raise ModelError(f"block {name!r}: no group has more than one member, so all weights are 1: leave weights= out")
    wanted = replace(read_effects(call.effects, context.text), by=call.by)
    slopes = make_slopes(wanted.intercept, wanted.terms, rows.table, context.text)
    design, columns = make_design(call.covariates, rows.table, context.text)
    design, _ = context.kept(design, columns, f"{name}.")
    fixed = tuple(make_design([("+", f.term)], rows.table, context.text)[0] for f in call.fixes)
    x = member_covariates(design, fixed, rows, call.intercept)
    if not len(x) and wanted.kind.make is None:
        raise ModelError(f"block {name!r} has neither covariates nor effects, so there is nothing to weigh")
    part = VaryingPart(
        name=name, weighing=weighing, design=design, fixed_design=fixed, columns=sort_columns([], []), written=(), x=x,
        center=np.zeros(len(x)), slopes=slopes, structure=None, member=rows.member, levels=rows.members,
        with_intercept=call.intercept, jets=make_jets(expression, rows),
        joined=unit_column(call.member_columns, rows.table)[1] if len(call.member_columns) > 1 else None,
    )  # fmt: skip
    w = check_weights(weighing, name, group_ids(context))
    parameters, center = coefficients_of_rows(part, w, context, intercept and rule == "group")
    effects = build_effects(
        wanted, name, slopes, each_membership(rows, slopes, group_ids(context)), w, context, intercept,
        effective_number(rows.group, w, part.groups),
    )  # fmt: skip
    weight_remarks(part, True, context)
    known = [f.value for f in call.fixes]
    part = replace(
        part, columns=sort_columns(parameters, known), written=tuple(parameters), center=center, structure=effects
    )
    return [part, _weight_effects(part, context)]


def _weight_effects(part: VaryingPart, context: Context) -> WeightEffects:
    """The effects of a block's weights."""
    name, columns = f"{part.name}.w", part.expression.unit
    context.claim(name, f"the effects of the weights of {part.name}")
    rows, joined = coefficient_rows(part, columns, context.tables)
    if len(rows.levels) < 2:
        raise ModelError(
            f"the weights of block {part.name!r} vary over {':'.join(columns)}, which is "
            f"{str(rows.levels.values[0])!r} in every group that has a member: leave it out"
        )
    sds = tuple(context.hyper(f"{name}.{term}.sd", "sd", SD, START) for term in rows.terms)
    structure = OneTerm(name, rows, sds)
    context.others[name] = structure
    return WeightEffects(name, part, columns, structure, joined).placed(part.row_count)


def _rule(call: MemberCall, expression: WeightExpression, context: Context) -> str:
    """The normalisation: of the group or none, since under ``total`` every group would depend on every unit."""
    if expression.ready == "softmax" and call.normalize in (None, "group"):
        return "group"
    if expression.ready == "softmax" or call.normalize not in ("group", "none"):
        of = ":".join(expression.unit)
        rules = "group" if expression.ready == "softmax" else "group (or none)"
        raise FormulaError(
            f"weights that vary over {of} need normalize = {rules}: where all weights together sum to the number of "
            f"groups (normalize = total, the default), every group would depend on every {of}", context.text,
            call.span.start, call.span.stop,
        )  # fmt: skip
    return call.normalize


def _check_beside(call: MemberCall, context: Context) -> None:
    """What does not go with weights that have effects."""
    assert call.weights is not None
    bar = bars_in(call.weights)[0]
    mark = (context.text, bar.span.start, bar.span.stop)
    what = "weights that vary over units"
    if call.combine != SUM:
        raise FormulaError(f"{what} go with combine = sum only: leave out combine=, or | {_unit(call)}", *mark)
    if call.aggregate != SUM:
        raise FormulaError(
            f"{what} go with sums only (aggregate = sum): put the feature into a block of its own, with name=", *mark
        )
    if call.joins is not None:
        raise FormulaError(f"{what} and id={call.joins} do not go together: leave out one of them", *mark)
    if call.signed:
        raise FormulaError(f"{what} cannot be signed, since their sum could be zero: leave out signed = yes", *mark)
    if isinstance(call.effects, Call) and call.effects.function in WORDS:
        raise FormulaError(
            f"{what} do not go with effects in several roles ({call.effects.function}): leave out one of them", *mark
        )


def _unit(call: MemberCall) -> str:
    assert call.weights is not None
    right = bars_in(call.weights)[0].right
    return right.name if isinstance(right, Name) else "unit"
