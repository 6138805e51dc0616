"""From an ``mm(..., combine=...)`` to its part: checks, coefficients, effects and the shape, with their priors."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ...errors import FormulaError, ModelError
from ...language.nodes import Call, MemberCall
from ...numerics import aggregation
from ...numerics.combining import CES, SMAX
from ...parameters import Parameter
from ...priors import Normal
from ...table.joined import unit_column
from ..base import Context, constant, sort_columns, spread
from ..design import make_design
from ..slopes import build_effects, effective_number, make_slopes, read_effects
from .call import block_name, group_ids, make_weighing, weight_remarks
from .combine import NEAR, Combine
from .combined_part import CombinedPart
from .roles import WORDS
from .rows_part import RowsPart, each_membership
from .starting import check_weights
from .term import member_covariates
from .weights import WeightExpression

FAR = 50.0  # sds of its default prior: a shape beyond which nothing changes, if it is that large
LIMIT = (
    "{name} has diverged: members combine as their {word}, and beyond a point the likelihood no longer changes ({name} "
    "is held far out and has no standard error; the other standard errors hold given that); profile({name!r}) says "
    "where its interval begins"
)


def build_combined(
    call: MemberCall, request: Combine, expression: WeightExpression, context: Context, intercept: bool
) -> CombinedPart:
    """Build a member block whose members' whole effects meet in another way than by their sum.

    Parameters
    ----------
    request : Combine
        The call's ``combine=``.
    expression : WeightExpression
        The call's weights, read against the columns of the tables.
    intercept : bool
        Whether the model has an intercept (then covariates are centred, unless F is not linear where they are moved).
    """
    name, what = block_name(call), f"{request.text} of block {block_name(call)!r}"
    if isinstance(call.effects, Call) and call.effects.function in WORDS:
        raise FormulaError(
            f"{what} has effects of its own: effects in several roles ({call.effects.function}) go with combine = sum "
            "only", context.text, call.effects.span.start, call.effects.span.stop,
        )  # fmt: skip
    weighing = make_weighing(call, expression, context, "group")
    rows = weighing.memberships
    if np.diff(rows.start).max(initial=0) < 2:
        raise ModelError(f"{what}: no group has more than one member, so there is nothing to combine; leave it out")
    wanted = replace(read_effects(call.effects, context.text), by=call.by)
    slopes = make_slopes(wanted.intercept, wanted.terms, rows.table, context.text)
    design, _ = make_design(call.covariates, rows.table, context.text)
    fixed = tuple(make_design([("+", f.term)], rows.table, context.text)[0] for f in call.fixes)
    level = call.intercept or request.row.kind == CES
    x = member_covariates(design, fixed, rows, level)
    if not len(x) and wanted.kind.make is None:
        raise ModelError(f"{what} has neither covariates nor effects, so there is nothing to combine; give it one")
    part = CombinedPart(
        name=name, weighing=weighing, design=design, fixed_design=fixed, columns=sort_columns([], []), written=(), x=x,
        center=np.zeros(len(x)), slopes=slopes, structure=None, member=rows.member, levels=rows.members,
        with_intercept=level, request=request,
        joined=unit_column(call.member_columns, rows.table)[1] if len(call.member_columns) > 1 else None,
    )  # fmt: skip
    w = check_weights(weighing, name, group_ids(context))
    own = replace(context, scale=1.0) if request.row.kind == CES else context  # the logarithm of a positive number
    power = request.row.kind == CES
    lowest = _level(name, context.scale, own, intercept) if power else None
    parameters, center = coefficients_of_rows(part, w, own, intercept and not power, lowest)
    effects = build_effects(
        wanted, name, slopes, each_membership(rows, slopes, group_ids(context)), np.ones(len(w)), own, intercept,
        effective_number(rows.group, w, part.groups),
    )  # fmt: skip
    weight_remarks(part, True, context)
    soft = bool(request.row.shapes) or effects is not None
    return replace(
        part, columns=sort_columns(parameters, [f.value for f in call.fixes]), written=tuple(parameters), center=center,
        structure=effects, kind=request.row.kind if request.row.shapes else SMAX if soft else request.row.kind,
        shape=_shape(request, name, context),
    )  # fmt: skip


def coefficients_of_rows(
    part: RowsPart, w: np.ndarray, context: Context, movable: bool, level: Parameter | None = None
) -> tuple[list[Parameter], np.ndarray]:  # fmt: skip
    """Coefficients with their priors, and what is subtracted from their columns.

    A soft maximum (a mean) of effects that all move by a number moves by it too, so columns can be centred as those of
    a sum are; not where a group has no member (it would have to get the mean), nor under ``ces``.

    Parameters
    ----------
    w : (m,) array
        Weights at the starting values.
    movable : bool
        Whether the model has an intercept that moves as what members make together does.
    level : Parameter, optional
        The block's intercept, where it is of another kind than coefficients are.
    """
    rows, name = part.memberships, part.name
    names = (("Intercept",) if part.with_intercept else ()) + part.design.names
    movable = movable and bool(np.all(np.diff(rows.start) > 0))
    out, center, feature = [], np.zeros(len(part.x)), np.empty(part.groups)
    for k, (each, column) in enumerate(zip(names, part.x, strict=False)):
        if each == "Intercept" and level is not None:
            out.append(level)
            continue
        aggregation.aggregate(w, rows.group, column, feature)
        if movable and constant(column):
            raise ModelError(
                f"'{name}.{each}' is the same for all members (always {column[0]:g}), so it cannot be distinguished "
                "from the intercept: leave it out"
            )
        size = spread(feature)
        out.append(context.coefficient(f"{name}.{each}", size if size > 1e-8 * spread(column) else spread(column)))
        if movable:
            center[k] = feature.mean()
    return out, center


def _level(name: str, scale: float, context: Context, intercept: bool) -> Parameter:
    r"""The level of a mean of powers, on the log scale.

    normal(log s, 2.5), s the scale of the outcome; without an intercept the location of the outcome, if it is larger.
    """
    size = context.location if not intercept else 0.0
    at = math.log(max(abs(size), scale, 1e-8))
    return context.book.parameter(f"{name}.Intercept", "b", Normal(at, 2.5), start=at, flat=context.flat)


def _shape(request: Combine, name: str, context: Context) -> float | Parameter:
    r"""The shape, held or with its prior.

    smax's kappa ~ normal(0, 2.5/s), s the scale of the outcome: members whose effects differ by s count alike at 0; at
    2.5 the better one counts twelve times as much. ces's p ~ normal(1, 2): harmonic (-1), geometric (0), arithmetic (1)
    and quadratic (2) means lie within it. An extreme is a soft one of kappa = 4/s, where a member
    that is better by s counts 50 times as much: nearer ones leave effects far from normal, and groups hard to move.
    """
    if isinstance(request.shape, float):
        return request.shape
    if request.shape is None:
        return (NEAR if request.word == "max" else -NEAR) / context.scale
    parameter = f"{name}.{request.word}.{request.shape}"
    power = request.row.kind == CES
    prior = Normal(1.0, 2.0) if power else Normal(0.0, 2.5 / context.scale)
    ends = tuple((sign * FAR * prior.sd, LIMIT.replace("{word}", word)) for sign, word in ((1.0, "max"), (-1.0, "min")))
    return replace(context.shape(parameter, prior, 1.0 if power else 0.0), limits=ends)
