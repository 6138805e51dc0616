"""From an ``mm(..., aggregate=...)`` with an emergent feature to its part: checks, starting values, priors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...errors import DataError, FormulaError, ModelError
from ...language.nodes import MemberCall, Name, Text
from ...language.printing import brief
from ...numerics import features as kernels
from ...parameters import Parameter
from ...priors import Gamma, Normal
from ..base import Context, sort_columns, spread
from ..design import Design, make_design
from .aggregate import Request, unknown_symbols
from .call import block_name, group_ids, make_weighing, weight_remarks
from .expectation import expectation_tape
from .feature_part import FeaturePart
from .features import Covariates, ExpressionFeature, Features, SetFeatures
from .starting import check_weights
from .weighing import Weighing
from .weights import WeightExpression

NOT_SIGNED = ("entropy", "smax", "gmean")  # logarithms or powers of sums of weights
_TRIES = 12  # starting values at which a feature is looked at before it is called constant


def build_feature(
    call: MemberCall, request: Request, expression: WeightExpression, context: Context, intercept: bool
) -> FeaturePart:
    """Build a member block with an emergent feature.

    Parameters
    ----------
    request : Request
        The call's ``aggregate=``.
    intercept : bool
        Whether the model has an intercept (then features are centred, and must not be constant).
    """
    name = block_name(call)
    _check_call(call, request, context)
    weighing = make_weighing(call, expression, context, "group")
    check_weights(weighing, name, group_ids(context))
    design, _ = make_design(call.covariates, weighing.memberships.table, context.text)
    _check_covariates(call, request, design, context)
    fixed = tuple(make_design([("+", f.term)], weighing.memberships.table, context.text)[0] for f in call.fixes)
    features = _features(request, name, weighing, design, fixed, context)
    features, value = begin_varied(features, f"aggregate={brief(request.node)} of block {name!r}", intercept)
    names = _names(request, name, design)
    known = [f.value for f in call.fixes]
    estimated = value[: len(names)]
    parameters = [context.coefficient(n, spread(f)) for n, f in zip(names, estimated, strict=True)]
    center = value.mean(axis=1) if intercept else np.zeros(len(value))
    center[len(names) :] = 0.0
    part = FeaturePart(
        name, features.weighing, features, request, sort_columns(parameters, known), tuple(parameters), center,
        weighing.memberships.members,
    )  # fmt: skip
    weight_remarks(part, True, context)
    for symbol, column in unknown_symbols(request, context.columns):
        context.warn(
            "nearly-a-column",
            f"in aggregate= of block {name!r}, {symbol!r} was taken for a shape to estimate, but there is a column "
            f"{column!r}: correct the spelling",
            name,
        )
    return part


def _check_call(call: MemberCall, request: Request, context: Context) -> None:
    """What does not go with an emergent feature."""
    what = f"aggregate={brief(request.node)}"
    if call.normalize not in (None, "group"):
        raise FormulaError(
            f"{what} is a feature of weights that sum to 1 in the group: leave out normalize={call.normalize}",
            context.text, call.span.start, call.span.stop,
        )  # fmt: skip
    if call.signed and request.word in NOT_SIGNED:
        raise FormulaError(
            f"{what} does not exist for negative weights: leave out signed = yes", context.text, call.span.start,
            call.span.stop,
        )  # fmt: skip
    if call.by is not None:
        raise FormulaError(
            f"{what} has no member effects, so by={call.by.name} has nothing to apply to: leave it out",
            context.text, call.by.span.start, call.by.span.stop,
        )  # fmt: skip
    effects = call.effects
    word = effects.name if isinstance(effects, Name) else effects.value if isinstance(effects, Text) else ""
    if effects.span.stop > 0 and word != "none":  # written, not the default
        raise FormulaError(
            f"{what} has no member effects, because effects enter through their weighted sum; add them as a second "
            f"block, mm({call.member_name}, {call.group.name}, effects={brief(effects)}, name={block_name(call)}2)",
            context.text, effects.span.start, effects.span.stop,
        )  # fmt: skip


def _check_covariates(call: MemberCall, request: Request, design: Design, context: Context) -> None:
    takes = 0 if request.row is None else request.row.takes
    count = len(design.names) + len(call.fixes) + call.intercept
    mark = (context.text, call.span.start, call.span.stop)
    if call.intercept:
        raise FormulaError(f"aggregate={request.word} takes no 1 + among its covariates: leave it out", *mark)
    if takes == 0 and count:
        why = (
            "its columns are part of the expression" if request.row is None else "it is a feature of the weights alone"
        )
        raise FormulaError(f"aggregate={brief(request.node)} takes no covariates in mm(): {why}", *mark)
    if takes == 2 and (count != 2 or call.fixes):
        raise FormulaError(
            f"aggregate=cov takes two covariates, as in mm({call.member_name}, {call.group.name}, x + z, "
            f"aggregate=cov); here are {count}", *mark,
        )  # fmt: skip
    if takes is None and not count:
        raise FormulaError(
            f"aggregate={request.word} needs a covariate, as in mm({call.member_name}, {call.group.name}, x, "
            f"aggregate={brief(request.node)})", *mark,
        )  # fmt: skip


def _names(request: Request, block: str, design: Design) -> list[str]:
    """Names of the coefficients: ``B.var.x``, ``B.hhi``, ``B.cov.x.z``, ``B.E``."""
    stem = f"{block}.{request.word}"
    if request.row is None or request.row.takes == 0:
        return [stem]
    if request.row.takes == 2:
        return [f"{stem}.{'.'.join(design.names)}"]
    return [f"{stem}.{n}" for n in design.names]


def _features(
    request: Request, name: str, weighing: Weighing, design: Design, fixed: tuple[Design, ...], context: Context
) -> SetFeatures | ExpressionFeature:
    rows = weighing.memberships
    if request.row is None:
        symbols = tuple(context.shape(f"{name}.{s}", Normal(0.0, 1.0)) for s in request.symbols)
        tape, register = expectation_tape(request.node, context.text, len(weighing.parameters), request.symbols, rows)
        return ExpressionFeature(weighing, tape, register, symbols, request.symbols, request.node, context.text)
    covariates = Covariates(request.row.kind, design, fixed, block=name)
    first, second = covariates.rows(rows)
    shapes: list[float | Parameter] = [2.0] if request.row.word == "var" else []
    for word, given in zip(request.row.shapes, request.shapes, strict=True):
        if isinstance(given, str):
            shapes.append(_shape(f"{name}.{request.word}.{given}", request, word, first, context))
        else:
            shapes.append(given)
    return SetFeatures(weighing, covariates, first, second, tuple(shapes))


def _shape(name: str, request: Request, word: str, x: np.ndarray, context: Context) -> Parameter:
    r"""A shape with a prior in units of the covariate (with several, their mean and root mean square sd).

    c ~ normal(mean, sd): the step lies among the members. threshold's kappa ~ gamma(2, sd/2): from nearly a straight
    line over the covariate's range (kappa sd = 0.5) to nearly a step (11), with no density at zero, where the feature
    is constant. smax's kappa ~ normal(0, 2.5/sd): either sign, from the mean to almost the extreme. gmean's p ~
    normal(1, 2): harmonic (-1), geometric (0), arithmetic (1) and quadratic (2) means lie within it.
    """
    sd = float(np.sqrt(np.mean([spread(row) ** 2 for row in x])))
    if sd == 0.0:
        raise ModelError(f"the shape {name!r} cannot be estimated: its covariate is the same for all members")
    if request.word == "gmean":
        return context.shape(name, Normal(1.0, 2.0), 1.0)
    if request.word == "smax":
        return context.shape(name, Normal(0.0, 2.5 / sd))
    if word == "c":
        mean = float(np.mean(x))
        return context.shape(name, Normal(mean, sd), mean)
    return context.shape(name, Gamma(2.0, 0.5 * sd), 3.0 / sd, positive=True)


def begin_varied(features: Features, what: str, intercept: bool) -> tuple[Any, np.ndarray]:
    """Features whose parameters start where every column exists and varies, and their values (k, groups) there.

    The default start comes first; an expression may not exist there, and with weights that are equal at the start
    a feature such as hhi may not vary. Then simple numbers and draws from the priors are tried.
    """
    parameters = features.parameters
    room = features.scratch(gradient=False)
    first = np.array([p.start for p in parameters])
    exists, constant = False, 0.0
    for start in _starts(parameters, first):
        room = features.scratch(gradient=False) if not parameters else room
        if not features.compute(start, room) or room.get("beyond", False):
            continue
        exists, value = True, room["feature"]
        middle = value[:, :1] if intercept else 0.0
        away = np.abs(value - middle).max(axis=1, initial=0.0)
        if np.all(away > 1e-10 * np.maximum(1.0, np.abs(value).max(axis=1, initial=0.0))):
            return _started(features, parameters, start), value.copy()
        constant = float(value[int(np.argmin(away)), 0])
    if not exists:
        raise DataError(
            f"{what} is not finite at any starting value: keep exponents small (standardise the columns) and "
            "logarithms and quotients away from zero, or give its shapes priors within the range in which it exists"
        )
    raise ModelError(
        f"{what} is constant over the groups (always {constant:g}), so it cannot be distinguished from the "
        "intercept: leave it out"
    )


def _starts(parameters: tuple[Parameter, ...], first: np.ndarray) -> list[np.ndarray]:
    """Starting values to try, the default one first."""
    if not parameters:
        return [first]
    rng = np.random.default_rng(np.random.SeedSequence(1))
    shape = np.array([p.kind == "aggregate" for p in parameters])
    out = [first, *(np.where(shape, v, first) for v in (1.0, 0.5, 2.0))]
    priors = [p.prior if p.prior.proper else p.guess for p in parameters]
    out += [np.array([float(prior.sample(rng)) for prior in priors]) for _ in range(_TRIES)]
    low = np.array([max(p.prior.support[0], 0.0 if p.positive else -np.inf) for p in parameters])
    high = np.array([p.prior.support[1] for p in parameters])
    return [s for s in out if np.all((s >= low) & (s <= high))]


def _started(features: Features, parameters: tuple[Parameter, ...], start: np.ndarray) -> Features:
    """The same features with other starting values."""
    if all(p.start == s for p, s in zip(parameters, start, strict=True)):
        return features
    moved = [replace(p, start=float(s)) for p, s in zip(parameters, start, strict=True)]
    return features.with_parameters(tuple(moved))


def estimated_features(part: FeaturePart) -> Features:
    """The features of a block whose coefficients are estimated, for interactions."""
    features, count = part.features, len(part.written)
    if isinstance(features, SetFeatures) and features.count > count:
        covariates = replace(features.covariates, fixed=())
        return replace(features, covariates=covariates, first=features.first[:count], second=features.second[:count])
    return features


def sum_features(weighing: Weighing, design: Design, ones: bool) -> SetFeatures:
    """The weighted sums of a block's estimated covariates."""
    covariates = Covariates(kernels.SUM, design, ones=ones, block=weighing.memberships.block)
    first, second = covariates.rows(weighing.memberships)
    return SetFeatures(weighing, covariates, first, second)
