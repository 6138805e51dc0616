"""Terms in the joint density: what each kind of part contributes to the linear predictor.

Written from the parts' data, apart from their kernels. A kind of term is a function of (part, theta, coefficients,
reach) and a row of :data:`TERMS`: theta is what the part's methods take, reach the effect of each of its memberships
(:mod:`.effects`), or the entries of x themselves where its effects belong to no level.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..._optional import require
from ...errors import EngineError
from ...latent.part import Part
from ...numerics import combining
from ...numerics.aggregation import ROUNDING
from ...terms.copied import CopiedPart
from ...terms.fixed import FixedPart
from ...terms.member.combined_part import CombinedPart
from ...terms.member.feature_part import FeatureColumns, FeaturePart, InteractionPart
from ...terms.member.roles import RolesPart
from ...terms.member.term import MemberPart
from ...terms.member.varying import VaryingPart, WeightEffects
from ...terms.nominal import CutPart, CutsPart
from ...terms.pieces import CommonEffects
from ...terms.smooth import SmoothPart
from ...terms.together import TogetherPart
from ...terms.unit import UnitPart
from .features import feature_columns, soft_maximum
from .weights import Weights

Array = Any  # a JAX array, or a tracer of one


def summand(part: Part, theta: Array, coefficients: Array, reach: Array) -> Array:
    """What a part brings to the linear predictor of each group (groups,)."""
    if type(part) not in TERMS:
        raise EngineError(f'engine="nuts" does not know the term {part.name!r}: use engine="mcmc"')
    return TERMS[type(part)](part, theta, coefficients, reach)


def fixed_terms(part: FixedPart, theta: Array, coefficients: Array, _reach: Array) -> Array:
    """Group-level covariates times their coefficients, estimated, loose and known."""
    c, matrix = part.columns, part.matrix
    intercept: Any = 0.0
    if part.intercept and part.loose_intercept:
        intercept, theta = theta[0], theta[1:]
    elif part.intercept:
        intercept, coefficients = coefficients[0], coefficients[1:]
    return intercept + matrix[:, c.inside] @ coefficients + matrix[:, c.outside] @ theta + matrix[:, c.beside] @ c.known


def member_block(part: MemberPart, theta: Array, coefficients: Array, effect: Array) -> Array:
    """Sum over the members of w (covariates times coefficients + effect), covariates centred as the part says."""
    c, p, weights = part.columns, len(part.weight_parameters), Weights(part.weighing)
    loose = theta[len(theta) - len(c.loose) :]
    coefficients = coefficients[: len(c.linear)]
    reach = effect + coefficients @ part.x[c.inside] + loose @ part.x[c.outside] + c.known @ part.x[c.beside]
    middle = coefficients @ part.center[c.inside] + loose @ part.center[c.outside]
    return weights.sums(weights(theta[:p]) * reach) - middle


def combined(part: CombinedPart, theta: Array, coefficients: Array, effect: Array) -> Array:
    """What the members' effects make together, by its definition; zero without a member, less what was centred."""
    jnp = require("jax.numpy", "jax")
    c, p, weights = part.columns, len(part.weight_parameters), Weights(part.weighing)
    loose, coefficients = theta[len(theta) - len(c.loose) :], coefficients[: len(c.linear)]
    x = part.x - part.center[:, None]
    zeta = effect + coefficients @ x[c.inside] + loose @ x[c.outside] + c.known @ x[c.beside]
    middle = coefficients @ part.center[c.inside] + loose @ part.center[c.outside]
    w = weights(theta[:p])
    if part.kind in (combining.MAX, combining.MIN):
        sign = 1.0 if part.kind == combining.MAX else -1.0
        there = jnp.where(w > 0.0, sign * zeta, -jnp.inf)
        out = sign * require("jax.ops", "jax").segment_max(there, weights.group, len(weights.size))
    else:

        def mean(v: Array) -> Array:
            return weights.sums(w * v)

        out = soft_maximum(mean, zeta - mean(zeta)[weights.group], zeta, part.shape_at(theta), weights)
        out = jnp.exp(out) if part.kind == combining.CES else out
    return jnp.where(weights.size > 0, out, -middle)


def varying(part: VaryingPart, theta: Array, coefficients: Array, effects: tuple[Array, Array]) -> Array:
    """The weighted sum of the members' effects, each group's weights at the coefficients of its unit."""
    effect, of_rows = effects
    c, p, weights = part.columns, len(part.weight_parameters), Weights(part.weighing)
    loose, coefficients = theta[len(theta) - len(c.loose) :], coefficients[: len(c.linear)]
    x = part.x - part.center[:, None]
    zeta = effect + coefficients @ x[c.inside] + loose @ x[c.outside] + c.known @ x[c.beside]
    there = np.cumsum(weights.size > 0) - 1  # of each group, among those with a member
    own = theta[:p] + of_rows.reshape(-1, p)
    return weights.sums(weights(own[there[weights.group]].T) * zeta)


def weight_effects(_part: WeightEffects, _theta: Array, _coefficients: Array, _reach: Array) -> Array:
    """They are in the weights of their block."""
    return 0.0


def features(part: FeatureColumns, theta: Array, coefficients: Array, _reach: Array) -> Array:
    """Features of a block, or products of them, times their coefficients."""
    return feature_columns(part, theta, coefficients, Weights)


def smooth(part: SmoothPart, theta: Array, coefficients: Array, bends: Array) -> Array:
    """The line, and the curve: each of its columns times an entry of x, times the sd."""
    line = theta[1] if part.columns.loose else coefficients[0]
    return line * part.x + theta[0] * (part.bends @ bends)


def nothing(_part: CutsPart, _theta: Array, _coefficients: Array, _reach: Array) -> Array:
    """It only minds an edge."""
    return 0.0


def cuts_cross(part: CutsPart, theta: Array) -> Array:
    """Whether the cuts of a row do not rise."""
    jnp, k = require("jax.numpy", "jax"), len(part.cuts)
    each = theta[:k] + part.rows @ theta[k:].reshape(k, -1).T
    return jnp.any(each[:, 1:] - each[:, :-1] < -ROUNDING)


def unit(_part: UnitPart, _theta: Array, _coefficients: Array, reach: Array) -> Array:
    """The effect of the group's unit."""
    return reach


def common(part: CommonEffects, theta: Array, _coefficients: Array, reach: Array) -> Array:
    """Sum over the terms, and in a block over its members, of weight times effect; effects elsewhere have no reach."""
    eta: Any = 0.0
    for share, own in zip(part.shares, part.weight_theta(theta), strict=True):
        each = reach[part.memberships_of(share.name)]
        if share.weighing is not None:
            weights = Weights(share.weighing)
            each = weights.sums(weights(own) * each)
        eta = eta + each
    return eta


def copied(part: CopiedPart, theta: Array, coefficients: Array, reach: Array) -> Array:
    """What the part that is copied brings."""
    return summand(part.inner, part.inner_theta(theta), coefficients, reach)


TERMS: dict[type, Callable[[Any, Array, Array, Array], Array]] = {
    CopiedPart: copied,
    FixedPart: fixed_terms,
    MemberPart: member_block,
    CombinedPart: combined,
    FeaturePart: features,
    InteractionPart: features,
    RolesPart: common,
    SmoothPart: smooth,
    TogetherPart: common,
    VaryingPart: varying,
    WeightEffects: weight_effects,
    CutPart: fixed_terms,
    CutsPart: nothing,
    UnitPart: unit,
}

BEYOND: dict[type, Callable[[Any, Array], Array]] = {CutsPart: cuts_cross}
"""Whether theta is beyond the edge of a part that is not one of weights."""
