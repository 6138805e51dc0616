"""Effects in the joint density of :mod:`.joint_jax`: what each kind contributes to a membership, and its prior.

Written apart from :mod:`micromacro.effects`, from the distribution of the effects as users know it, so that the two
can be held against each other. A kind is a function of (effects, theta, latent entries) and a row of :data:`EFFECTS`;
theta is the kind's own part.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._optional import require
from ...effects.base import Effects
from ...effects.by import ByType
from ...effects.correlated import Correlated
from ...effects.fields import Field, Intrinsic, Proper
from ...effects.fixed import NoPooling
from ...effects.iid import Independent, OneTerm
from ...effects.known import Known
from ...effects.paths import Autoregression, Path, Walk
from ...effects.several import Several, SeveralVarying
from ...effects.shared import Shared
from ...errors import EngineError

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


def one_term(effects: OneTerm, theta: Array, x: Array) -> Array:
    """The effect of the one term of each membership."""
    return x.reshape(-1, len(effects.terms))[effects.rows.level, effects.term] * theta[effects.term]


def independent(effects: Independent, theta: Array, x: Array) -> Array:
    """Sum over terms of covariate times sd times entry."""
    rows, k = effects.rows, len(effects.terms)
    table = x.reshape(-1, k) * theta
    return _jnp().sum(rows.z.T * table[rows.level], axis=1)


def correlated(effects: Correlated, theta: Array, x: Array) -> Array:
    """The same with the root of the covariance matrix, from correlations by the recursion of partial ones."""
    jnp = _jnp()
    rows, k = effects.rows, len(effects.terms)
    order = np.array(effects.order.terms or range(k))
    r = correlation_matrix(effects.order.into(theta[k:], k), k)
    root = jnp.linalg.cholesky(theta[order][:, None] * r * theta[order])[np.argsort(order)]
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


def by_type(effects: ByType, theta: Array, x: Array) -> Array:
    """Each type as if every level were of it; a membership takes that of its level's type."""
    jnp, at, out = _jnp(), 0, []
    for kind in effects.kinds:
        size = len(kind.hypers)
        out.append(reach(kind, theta[at : at + size], x))
        at += size
    return jnp.stack(out)[effects.code[effects.rows.level], np.arange(len(effects.rows.level))]


def _terms(effects: Several, theta: Array, x: Array) -> list[tuple[Array, Array]]:
    """Theta and latent entries of each term."""
    jnp, k = _jnp(), len(effects.terms)
    rows = x.reshape(k, -1)
    return [(jnp.concatenate([theta[t : t + 1], theta[k:]]), rows[t]) for t in range(k)]


def several(effects: Several, theta: Array, x: Array) -> Array:
    """Sum over terms of the covariate times the effect of the kind."""
    each = _terms(effects, theta, x)
    return sum(z * reach(effects.kind, own, part) for z, (own, part) in zip(effects.rows.z, each, strict=True))


def several_prior(effects: Several, theta: Array, x: Array) -> Array:
    """Each term by itself."""
    return sum(log_prior(effects.kind, own, part) for own, part in _terms(effects, theta, x))


def states(effects: Path, theta: Array, x: Array) -> Array:
    """sd times the state of each membership."""
    return theta[0] * x[effects.state]


def walk_density(effects: Walk, theta: Array, x: Array) -> Array:
    """First states standard normal, each later one normal around the one before with the gap as variance."""
    s = effects.states
    later = np.flatnonzero(~s.first)
    gap = s.time[later] - s.time[later - 1]
    steps = -0.5 * (x[later] - x[later - 1]) ** 2 / gap - 0.5 * np.log(gap) - LOG_ROOT_2PI
    return standard(effects, theta, x[s.first]) + _jnp().sum(steps)


def ar1_density(effects: Autoregression, theta: Array, x: Array) -> Array:
    """All states standard normal, with correlation rho to the power of the gap."""
    jnp, s = _jnp(), effects.states
    later = np.flatnonzero(~s.first)
    r = theta[1] ** (s.time[later] - s.time[later - 1])
    rest = 1.0 - r**2
    steps = -0.5 * (x[later] - r * x[later - 1]) ** 2 / rest - 0.5 * jnp.log(rest) - LOG_ROOT_2PI
    return standard(effects, theta, x[s.first]) + jnp.sum(steps)


def nodes(effects: Field, theta: Array, x: Array) -> Array:
    """sd times the entry of each membership's node."""
    return theta[0] * x[effects.rows.level]


def car_density(effects: Proper, theta: Array, x: Array) -> Array:
    """Normal with precision M - rho W, its determinant by elimination."""
    jnp, g = _jnp(), effects.graph
    w = np.zeros((g.size, g.size))
    w[g.low, g.high] = w[g.high, g.low] = g.weight
    m = w.sum(axis=1)
    d = np.diag(np.where(m > 0, m, 1.0)) - theta[1] * w
    return 0.5 * (jnp.linalg.slogdet(d)[1] - x @ d @ x) - g.size * LOG_ROOT_2PI


def sums_to_zero(effects: Intrinsic, x: Array) -> Array:
    """Standardised effects of all nodes."""
    return _jnp().asarray(effects.basis.toarray()) @ x


def icar_nodes(effects: Intrinsic, theta: Array, x: Array) -> Array:
    """sd times the effect of each membership's node."""
    return theta[0] * sums_to_zero(effects, x)[effects.rows.level]


def icar_density(effects: Intrinsic, _theta: Array, x: Array) -> Array:
    """Differences along edges; the determinant is that of the entries' precision, made of the dense Laplacian."""
    jnp, g, basis = _jnp(), effects.graph, effects.basis.toarray()
    w = np.zeros((g.size, g.size))
    w[g.low, g.high] = w[g.high, g.low] = g.weight
    log_det = np.linalg.slogdet(basis.T @ (np.diag(w.sum(axis=1)) - w) @ basis)[1]
    s = sums_to_zero(effects, x)
    return 0.5 * (log_det - jnp.sum(g.weight * (s[g.low] - s[g.high]) ** 2)) - len(x) * LOG_ROOT_2PI


def known(effects: Known, theta: Array, x: Array) -> Array:
    """The sd times the entry of each membership's level."""
    assert effects.ids is not None
    return theta[0] * x[effects.ids.find(effects.levels)[effects.rows.level]]


def known_prior(effects: Known, _theta: Array, x: Array) -> Array:
    """Multivariate normal by dense algebra, from the matrix as the user gave it."""
    jnp = _jnp()
    assert effects.relationship is not None and effects.ids is not None
    at = effects.relationship.ids.find(effects.ids)
    matrix = effects.relationship.matrix[at][:, at].toarray()
    log_det = jnp.linalg.slogdet(matrix)[1]
    if effects.relationship.inverse:
        return 0.5 * log_det - 0.5 * x @ matrix @ x - len(x) * LOG_ROOT_2PI
    return -0.5 * log_det - 0.5 * x @ jnp.linalg.solve(matrix, x) - len(x) * LOG_ROOT_2PI


def no_pooling(effects: NoPooling, _theta: Array, x: Array) -> Array:
    """Covariates times the coefficients of each membership's level; that of the reference is zero."""
    jnp = _jnp()
    table = jnp.concatenate([x, jnp.zeros(1)])  # place -1
    return jnp.sum(effects.rows.z.T * table[effects.place[effects.rows.level]], axis=1)


def shared(effects: Shared, theta: Array, x: Array) -> Array:
    """sd times the scale of the membership's block times the entry of its member."""
    free = iter(range(1, len(theta)))
    scales = _jnp().stack([theta[next(free)] if known is None else _jnp().asarray(known) for known in effects.known])
    return theta[0] * (scales @ effects.rows.z) * x[effects.rows.level]


EFFECTS: dict[type[Effects], JointEffects] = {
    Independent: JointEffects(independent),
    OneTerm: JointEffects(one_term),
    Correlated: JointEffects(correlated),
    Shared: JointEffects(shared),
    ByType: JointEffects(by_type),
    Several: JointEffects(several, several_prior),
    SeveralVarying: JointEffects(several, several_prior),
    Walk: JointEffects(states, walk_density),
    Autoregression: JointEffects(states, ar1_density),
    Proper: JointEffects(nodes, car_density),
    Intrinsic: JointEffects(icar_nodes, icar_density),
    Known: JointEffects(known, known_prior),
    NoPooling: JointEffects(no_pooling),
}
