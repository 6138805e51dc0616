"""Effects in the joint density of :mod:`.joint_jax`: what each kind brings to a membership, and its prior.

Written apart from :mod:`micromacro.effects`, from the distribution of the effects as users know it, so that the two
can be held against each other. A kind is a function of (effects, theta, latent entries) and a row of :data:`EFFECTS`;
theta is the kind's own part.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._optional import require
from ..effects.base import Effects
from ..effects.correlated import Correlated
from ..effects.iid import Independent
from ..errors import EngineError

Array = Any
LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)


def _jnp() -> Any:
    return require("jax.numpy", "jax")


def standard(_effects: Effects | None, _theta: Array, x: Array) -> Array:
    """Log prior density of independent standard normal entries."""
    return -0.5 * _jnp().sum(x**2) - len(x) * LOG_ROOT_2PI


@dataclass(frozen=True)
class JointEffects:
    """A kind in the joint density.

    Attributes
    ----------
    reach : callable
        (effects, theta, x) to the effect of each membership (m,), its covariates multiplied in, its weight not.
    log_prior : callable
        (effects, theta, x) to the log prior density of its latent entries with all constants.
    """

    reach: Callable[[Any, Array, Array], Array]
    log_prior: Callable[[Any, Array, Array], Array] = standard


def reach(effects: Effects, theta: Array, x: Array) -> Array:
    """Effect of each membership (m,)."""
    return _of(effects).reach(effects, theta, x)


def log_prior(effects: Effects, theta: Array, x: Array) -> Array:
    """Log prior density of the latent entries."""
    return _of(effects).log_prior(effects, theta, x)


def _of(effects: Effects) -> JointEffects:
    if type(effects) not in EFFECTS:
        raise EngineError(
            f'engine="nuts" does not know the effects of {effects.name!r} ({type(effects).__name__.lower()}): use '
            'engine="mcmc"'
        )
    return EFFECTS[type(effects)]


def independent(effects: Independent, theta: Array, x: Array) -> Array:
    """Sum over terms of covariate times sd times entry."""
    rows, k = effects.rows, len(effects.terms)
    table = x.reshape(-1, k) * theta
    return _jnp().sum(rows.z.T * table[rows.level], axis=1)


def correlated(effects: Correlated, theta: Array, x: Array) -> Array:
    """The same with the root of the covariance matrix, from correlations by the recursion of partial ones."""
    jnp = _jnp()
    rows, k = effects.rows, len(effects.terms)
    r = correlation_matrix(theta[k:], k)
    root = jnp.linalg.cholesky(theta[:k, None] * r * theta[:k])
    return jnp.sum(rows.z.T * (x.reshape(-1, k) @ root.T)[rows.level], axis=1)


def correlation_matrix(p: Array, k: int) -> Array:
    r"""Correlations (k, k) from partial ones, row by row, of which (i, j) is given the terms before j.

    A term m is taken out of what is given by
    :math:`r_{ij} = r_{ij \cdot m}\sqrt{(1 - r_{im}^2)(1 - r_{jm}^2)} + r_{im} r_{jm}`, the rest being given in all.
    """
    jnp = _jnp()
    place = {pair: n for n, pair in enumerate((i, j) for i in range(k) for j in range(i))}
    rows = [[jnp.ones(()) for _ in range(k)] for _ in range(k)]
    for i in range(k):
        for j in range(i):
            r = p[place[i, j]]
            for m in reversed(range(j)):
                a, b = p[place[i, m]], p[place[j, m]]
                r = r * jnp.sqrt((1.0 - a**2) * (1.0 - b**2)) + a * b
            rows[i][j] = rows[j][i] = r
    return jnp.stack([jnp.stack(row) for row in rows])


EFFECTS: dict[type[Effects], JointEffects] = {
    Independent: JointEffects(independent),
    Correlated: JointEffects(correlated),
}
