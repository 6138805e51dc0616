r"""Features of groups as JAX functions: the formulas as they are defined, without the kernels' care for digits.

Only the soft maximum needs a second form: near :math:`\kappa = 0` the first four cumulants, since the definition
divides by :math:`\kappa`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..._optional import require
from ...errors import EngineError
from ...numerics import features as kinds
from ...parameters import Parameter
from ...terms.member.feature_part import FeatureColumns
from ...terms.member.features import ExpressionFeature, Features, ProductFeatures, SetFeatures
from ...terms.member.weighing import Weighing

Array = Any  # a JAX array, or a tracer of one
Weigh = Callable[[Weighing], Any]  # to the weights of a block as a function of its weight parameters
_SMALL = 1e-3


def feature_columns(part: FeatureColumns, theta: Array, coefficients: Array, weigh: Weigh) -> Array:
    """Features (centred) times their coefficients, estimated, loose and known (groups,)."""
    c, q = part.columns, len(part.features.parameters)
    value = values(part.features, theta[:q], weigh) - part.center[:, None]
    return coefficients @ value[c.inside] + theta[q:] @ value[c.outside] + c.known @ value[c.beside]


def values(features: Features, theta: Array, weigh: Weigh) -> Array:
    """Features (k, groups)."""
    if type(features) not in FEATURES:
        raise EngineError(f'engine="nuts" does not support the features {type(features).__name__}: use engine="mcmc"')
    return FEATURES[type(features)](features, theta, weigh)


def of_sets(features: SetFeatures, theta: Array, weigh: Weigh) -> Array:
    """Features of one kind, one for each covariate or pair."""
    weights, p = weigh(features.weighing), len(features.weighing.parameters)
    w, free = weights(theta[:p]), iter(theta[p:])
    shapes = [next(free) if isinstance(s, Parameter) else s for s in features.shapes]
    pairs = zip(features.first, features.second, strict=True)
    rows = [_one(features.covariates.kind, weights, w, x, z, shapes) for x, z in pairs]
    return _where_filled(features, require("jax.numpy", "jax").stack(rows))


def of_expression(feature: ExpressionFeature, theta: Array, weigh: Weigh) -> Array:
    """An expression in E()."""
    weights = weigh(feature.weighing)
    register: list[Array] = list(feature.tape.constants)
    register[feature.weight_register] = weights(theta[: len(feature.weighing.parameters)])
    return _where_filled(feature, weights.result(feature.tape, register, theta)[weights.first][None])


def of_products(features: ProductFeatures, theta: Array, weigh: Weigh) -> Array:
    """Every combination of a column of each factor and of the groups, the last factor running fastest."""
    out, begin, rows = features.matrix.T, 0, []
    for factor in features.factors:
        count = len(factor.parameters)
        rows.append(values(factor, theta[begin : begin + count], weigh))
        begin += count
    for row in reversed(rows):
        out = require("jax.numpy", "jax").concatenate([one * out for one in row])
    return out


def _where_filled(features: SetFeatures | ExpressionFeature, value: Array) -> Array:
    """Zero for a group without a member."""
    filled = np.diff(features.weighing.memberships.start) > 0
    return require("jax.numpy", "jax").where(filled, value, 0.0)


FEATURES: dict[type, Callable[[Any, Array, Weigh], Array]] = {
    SetFeatures: of_sets,
    ExpressionFeature: of_expression,
    ProductFeatures: of_products,
}


def _one(kind: int, weights: Any, w: Array, x: np.ndarray, z: np.ndarray, shapes: list[Any]) -> Array:
    """One feature (groups,)."""
    jnp, special = require("jax.numpy", "jax"), require("jax.scipy.special", "jax")

    def mean(v: Array) -> Array:
        return weights.sums(w * v)

    def away(v: Array) -> Array:
        return v - mean(v)[weights.group]

    if kind == kinds.SUM:
        return mean(x)
    if kind == kinds.MOMENT:
        return mean(away(x) ** int(shapes[0]))
    if kind == kinds.COV:
        return mean(away(x) * away(z))
    if kind in (kinds.HHI, kinds.EFFN):
        hhi = weights.sums(w**2)
        return hhi if kind == kinds.HHI else 1.0 / jnp.where(hhi == 0.0, 1.0, hhi)
    if kind == kinds.ENTROPY:
        return weights.sums(special.entr(w))
    if kind == kinds.THRESHOLD:
        return mean(special.expit(shapes[1] * (x - shapes[0])))
    if kind in (kinds.MAX, kinds.MIN):
        return weights.largest(x) if kind == kinds.MAX else -weights.largest(-x)
    if kind in (kinds.SMAX, kinds.GMEAN):
        result = soft_maximum(mean, away(x), x, shapes[0], weights)
        return jnp.exp(result) if kind == kinds.GMEAN else result
    raise EngineError(f'engine="nuts" does not support the aggregate number {kind}')


def soft_maximum(mean: Callable[[Array], Array], d: Array, x: Array, kappa: Any, weights: Any) -> Array:
    """log(sum w exp(kappa x)) / kappa of each group, d being x less its weighted mean."""
    jnp = require("jax.numpy", "jax")
    near = jnp.max(jnp.abs(kappa * d)) < _SMALL
    k = jnp.where(near, 1.0, kappa)
    top = weights.largest(k * x)
    far = (jnp.log(jnp.maximum(mean(jnp.exp(k * x - top[weights.group])), 1e-300)) + top) / k
    second, third, fourth = mean(d**2), mean(d**3), mean(d**4)
    series = second / 2.0 + kappa * third / 6.0 + kappa**2 * (fourth - 3.0 * second**2) / 24.0
    return jnp.where(near, mean(x) + kappa * series, far)
