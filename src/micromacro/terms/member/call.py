"""From an ``mm(...)`` call to a member block: reading the call, checking it on the data, choosing priors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...errors import CollinearError, DataError, FormulaError
from ...language.functions import GROUP_FUNCTIONS
from ...language.nodes import Binary, Call, MemberCall, Name, Node, children
from ...numerics import aggregation
from ...table.columns import days
from ...table.joined import unit_column
from ..base import Context, constant, sort_columns, spread
from ..design import make_design
from ..slopes import Wanted, build_effects, make_slopes, read_effects
from .starting import begun_inside, check_weights
from .term import MemberPart, member_covariates, member_rows
from .weighing import Block, Weighing
from .weights import WeightExpression, check_group_size_column, make_tape, near_misses, prepare, unmatched


def block_name(call: MemberCall) -> str:
    """The block's name: its ``name=``, else its member column."""
    return call.name or call.member_name


def build_member(call: MemberCall, expression: WeightExpression, context: Context, intercept: bool) -> MemberPart:
    """Build a member block.

    Parameters
    ----------
    expression : WeightExpression
        The call's weights, read against the columns of the tables.
    intercept : bool
        Whether the model has an intercept (then aggregated covariates are centred).
    """
    name = block_name(call)
    weighing = make_weighing(call, expression, context, _rule(call, expression, context))
    rows = weighing.memberships
    wanted = replace(read_effects(call.effects, context.text), by=call.by)
    slopes = make_slopes(wanted.intercept, wanted.terms, rows.table, context.text)
    design, columns = make_design(call.covariates, rows.table, context.text)
    design, _ = context.kept(design, columns, f"{name}.")
    fixed = tuple(make_design([("+", f.term)], rows.table, context.text)[0] for f in call.fixes)
    part = MemberPart(
        name=name,
        weighing=weighing,
        design=design,
        fixed_design=fixed,
        columns=sort_columns([], []),
        written=(),
        x=member_covariates(design, fixed, rows, call.intercept),
        center=np.empty(0),
        slopes=slopes,
        structure=None,
        member=rows.member,
        levels=rows.members,
        with_intercept=call.intercept,
        joined=unit_column(call.member_columns, rows.table)[1] if len(call.member_columns) > 1 else None,
        joins=call.joins,
    )
    w = check_weights(weighing, name, group_ids(context))
    return _with_priors(part, w, [f.value for f in call.fixes], wanted, context, intercept)


def make_weighing(call: MemberCall, expression: WeightExpression, context: Context, rule: str) -> Weighing:
    """Claim the block's name and make its weights, with their parameters."""
    name = block_name(call)
    context.claim(name, f"mm({call.member_name}, {call.group.name})")
    rows = context.tables.blocks[name]
    if not len(rows.member):
        raise DataError(f"block {name!r} has no member at all: column {call.member_name!r} is empty in every row")
    expression = prepare(expression, rows.table)
    if expression.uses_n and "n" in rows.table:
        ids = group_ids(context)[rows.group]
        check_group_size_column(rows.table, np.diff(rows.start)[rows.group].astype(float), ids, name)
    weights = tuple(context.weight(f"{name}.w.{p}") for p in expression.parameters)
    tape = make_tape(expression, rows.table, rows.start)
    return begun_inside(Weighing(rows, expression, tape, rule, weights, signed=call.signed))


def group_ids(context: Context) -> np.ndarray:
    """Ids of the groups (groups,)."""
    levels = context.tables.group_levels
    assert levels is not None
    return levels.values


def _rule(call: MemberCall, expression: WeightExpression, context: Context) -> str:
    """The normalisation; softmax means weights that sum to one in the group."""
    if expression.ready == "softmax" and call.normalize not in (None, "group"):
        raise FormulaError(
            "softmax() weights sum to one in every group: write normalize = group (or leave it out)", context.text,
            call.span.start, call.span.stop,
        )  # fmt: skip
    return call.normalize or ("group" if expression.ready == "softmax" else "total")


def _with_priors(
    part: MemberPart, w: np.ndarray, known: list[float], wanted: Wanted, context: Context, intercept: bool
) -> MemberPart:
    """Coefficients and effects with their priors, scaled by the features at the starting weights."""
    rows = part.memberships
    features = np.empty((len(part.x), part.groups))
    for k, column in enumerate(part.x):
        aggregation.aggregate(w, rows.group, column, features[k])
    names = (("Intercept",) if part.with_intercept else ()) + part.design.names
    estimated = features[: len(names)].copy()
    for name, column, feature in zip(names, part.x, estimated, strict=False):
        if intercept and constant(feature):
            _elsewhere(part, column, feature)
            if constant(feature):
                raise CollinearError(
                    f"'{part.name}.{name}' is constant over the groups once it is aggregated (always {feature[0]:g}), "
                    "so it cannot be distinguished from the intercept: leave it out",
                    {f"{part.name}.{name}": f"{part.name}.{name} (constant)"},
                )  # fmt: skip
            context.warn(
                "constant-at-start",
                f"'{part.name}.{name}' is constant over the groups at the starting weights: only weights that differ "
                "between groups tell it from the intercept, so expect it to be weakly identified",
                f"{part.name}.{name}",
            )
    parameters = [context.coefficient(f"{part.name}.{n}", spread(f)) for n, f in zip(names, estimated, strict=True)]
    center = features.mean(axis=1) if intercept else np.zeros(len(part.x))
    center[len(names) :] = 0.0
    of_effects = member_rows(rows, part.slopes, group_ids(context))
    structure = build_effects(wanted, part.name, part.slopes, of_effects, w, context, intercept)
    weight_remarks(part, bool(names) or wanted.kind.word != "none" or len(known) > 0, context)
    columns = sort_columns(parameters, known)
    return replace(part, columns=columns, written=tuple(parameters), center=center, structure=structure)


def _elsewhere(part: MemberPart, column: np.ndarray, feature: np.ndarray) -> None:
    """In place, a feature at other weights than those that the search starts at."""
    start = np.array([p.start for p in part.weighing.parameters])
    room = part.weighing.scratch()
    if len(start) and part.weighing.weigh(start + 0.5, room):
        aggregation.aggregate(room["w"], part.memberships.group, column, feature)


def weight_remarks(part: Block, informed: bool, context: Context) -> None:
    """Warnings about weights that no data can inform, near misses and covariates on an awkward scale."""
    expression = part.expression
    rows = part.memberships
    for symbol, column in near_misses(expression, context.columns):
        context.warn(
            "nearly-a-column",
            f"in the weights of block {part.name!r}, {symbol!r} was taken for a free parameter, but there is a column "
            f"{column!r}: correct the spelling, or list the parameters with parameters=",
            part.name,
        )
    for name, text in unmatched(expression, rows.table):
        there = ", ".join(np.unique(rows.table[name].values.astype(str))[:10])
        found = f"in the weights of block {part.name!r}, no row has {name} == {text!r}; there are {there}, ..."
        context.warn("no-such-value", found, part.name)
    if not expression.free:
        return
    if not informed:
        context.warn(
            "uninformed-weights",
            f"block {part.name!r} has neither a covariate nor effects, so no data can inform its weight parameters "
            f"({', '.join(expression.parameters)})",
            part.name,
        )
    for name in expression.columns:
        column = rows.table[name]
        if column.kind not in ("number", "integer", "time") or _compared(expression, name):
            continue
        s = spread(days(column.values) if column.kind == "time" else np.asarray(column.values, dtype=float))
        if s > 10.0 or 0.0 < s < 0.1:
            context.warn(
                "awkward-scale",
                f"the weight covariate {name!r} of block {part.name!r} has a standard deviation of {s:.3g}, while the "
                "prior for its parameter suits values near 1: divide the column by its standard deviation",
                part.name,
            )


def _compared(expression: WeightExpression, name: str) -> bool:
    """Whether a column's scale does not matter: it is compared, in a within-group function, or the base of a power."""

    def outside(node: Node) -> bool:
        if isinstance(node, Name):
            return node.name == name
        if isinstance(node, Call) and node.function in GROUP_FUNCTIONS:
            return False
        if getattr(node, "op", "") in ("<", "<=", ">", ">=", "==", "!="):
            return False
        if isinstance(node, Binary) and node.op == "**" and isinstance(node.left, Name):
            return outside(node.right)
        return any(outside(child) for child in children(node))

    return not outside(expression.node)
