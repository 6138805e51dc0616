r"""The joint density as JAX functions: what :mod:`micromacro.engines.nuts.engine` samples.

It is written from the parts' data (design matrices, memberships, weight tapes, priors) and shares no kernel with the
other engines, which makes it their oracle: matrix products where they fill a sparse system, automatic
differentiation where they have kernels for derivatives. Only the families' plain densities are common to both.

Theta is sampled without constraints, each entry mapped to its support: :math:`\theta = l + e^u` above a bound,
:math:`\theta = l + (h - l)/(1 + e^{-u})` between two, cuts one after the other, each above the one before. Effects are
standardised (non-centred).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from scipy import special as scipy_special

from ... import priors
from ..._optional import require
from ...errors import EngineError
from ...model.specification import Specification
from ...numerics import tape as op
from ...parameters import Parameter
from ...priors import Prior
from ...terms.fixed import FixedPart
from ...terms.member.feature_part import FeatureColumns
from ...terms.member.roles import RolesPart
from ...terms.member.term import MemberPart
from ...terms.member.weighing import Block, Weighing
from ...terms.member.weights import Tape
from ...terms.unit import UnitPart
from . import effects as joint_effects
from .features import feature_columns

Array = Any  # a JAX array, or a tracer of one
_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)


def _jnp() -> Any:
    return require("jax.numpy", "jax")


def _special() -> Any:
    return require("jax.scipy.special", "jax")


class Joint:
    """The joint density of a specification; make it, and call it, with double precision switched on."""

    def __init__(self, specification: Specification):
        self.specification = specification
        self.system = specification.system
        self.weights = {p.name: Weights(p) for p in self.system.parts if isinstance(p, Block)}
        gaussian = [p.prior if isinstance(p.prior, priors.Normal) else None for p in self.system.coefficients]
        self.mean = np.array([p.mean if p else 0.0 for p in gaussian])
        self.precision = np.array([p.sd**-2.0 if p else 0.0 for p in gaussian])
        logs = [math.log(p.sd) + _LOG_ROOT_2PI for p in gaussian if p]
        self.constant = -math.fsum(logs)

    def log_density(self, theta: Array, x: Array) -> Array:
        """Log joint density of theta (q,), natural scale, and x (size,), natural order, with all constants."""
        jnp, s = _jnp(), self.specification
        coefficients = x[self.system.kept :]
        each = self.likelihood(theta, x)
        value = self.constant + self.log_prior_effects(theta, x)
        value = value - 0.5 * jnp.sum(self.precision * (coefficients - self.mean) ** 2)
        for k, p in enumerate(self.system.hypers):
            value = value + log_prior(p.prior, theta[k])
        for k, p in enumerate(self.system.coefficients):  # the hazards of a baseline
            if isinstance(p.prior, priors.LogGamma):
                value = value + log_prior(p.prior, coefficients[k])
        return value + jnp.sum(s.response.weight * each)

    def likelihood(self, theta: Array, x: Array) -> Array:
        """Log density of each group (groups,), from the outcomes as they were read: no row of the system is used."""
        s, jnp = self.specification, _jnp()
        eta = self.linear_predictor(theta, x)
        if not s.expanded:
            own = theta[self.system.places.family]
            return s.family.log_density(s.response.values, eta, own, jnp, _special())
        part: Any = self.system.parts[-1]
        hazards = x[self.system.size - len(part.coefficients) :]
        if part.sd:
            steps = x[self.system.places.effects(len(self.system.parts) - 1)]
            walk = jnp.cumsum(theta[self.system.places.theta(len(self.system.parts) - 1)][0] * steps)
            hazards = hazards[0] + jnp.concatenate([jnp.zeros(1), walk])
        return s.family.group_density(s.response.values, eta, hazards, jnp, _special())

    def log_prior_effects(self, theta: Array, x: Array) -> Array:
        """Log prior density of the latent effects of all parts, with all constants."""
        value = _jnp().zeros(())
        for k, part in enumerate(self.system.parts):
            if not part.effects:
                continue
            own, x_own = theta[self.system.places.effect_theta(k)], x[self.system.places.effects(k)]
            if part.structure is None:  # the steps of a baseline
                value = value + joint_effects.standard(None, own, x_own)
            else:
                value = value + joint_effects.log_prior(self.specification.structures[part.name][1], own, x_own)
        return value

    def linear_predictor(self, theta: Array, x: Array) -> Array:
        """Sum of what the parts bring to each group (groups,)."""
        system, b = self.system, self.system.kept
        eta = _jnp().asarray(system.base_offset)
        for k, part in enumerate(system.parts[: -1 if system.expansion else None]):
            own, coefficients = theta[system.places.reads(k)], x[b : b + len(part.coefficients)]
            reach: Any = 0.0
            if part.name in self.specification.structures:
                structure = self.specification.structures[part.name][1]
                effects = x[self.specification.layout.latents(k)]
                reach = joint_effects.reach(structure, theta[system.places.effect_theta(k)], effects)
            b += len(part.coefficients)
            if isinstance(part, FixedPart):
                eta = eta + fixed_terms(part, own, coefficients)
            elif isinstance(part, MemberPart):
                eta = eta + member_block(part, self.weights[part.name], own, coefficients, reach)
            elif isinstance(part, FeatureColumns):
                eta = eta + feature_columns(part, own, coefficients, Weights)
            elif isinstance(part, RolesPart):
                eta = eta + roles(part, own, reach)
            elif isinstance(part, UnitPart):
                eta = eta + reach
            else:
                raise EngineError(f'engine="nuts" does not know the term {part.name!r}: use engine="mcmc"')
        return eta

    def log_unconstrained(self, u: Array, x: Array) -> Array:
        """Log joint density of unconstrained theta (q,) and x."""
        theta, log_slope = constrain(self.system.hypers, u)
        return self.log_density(theta, x) + log_slope


def roles(part: RolesPart, theta: Array, reach: Array) -> Array:
    """Sum over the blocks, and in each over its members, of weight times effect."""
    eta: Any = 0.0
    at = 0
    for weighing, own in zip(part.weighings, part.weight_theta(theta), strict=True):
        weights, size = Weights(weighing), len(weighing.memberships.group)
        eta = eta + weights.sums(weights(own) * reach[at : at + size])
        at += size
    return eta


# -- parts ---------------------------------------------------------------------------------------------------------


def fixed_terms(part: FixedPart, theta: Array, coefficients: Array) -> Array:
    """Group-level covariates times their coefficients, estimated, loose and known."""
    c, matrix = part.columns, part.matrix
    intercept: Any = 0.0
    if part.intercept and part.loose_intercept:
        intercept, theta = theta[0], theta[1:]
    elif part.intercept:
        intercept, coefficients = coefficients[0], coefficients[1:]
    return intercept + matrix[:, c.inside] @ coefficients + matrix[:, c.outside] @ theta + matrix[:, c.given] @ c.known


def member_block(part: MemberPart, weights: Weights, theta: Array, coefficients: Array, effect: Array) -> Array:
    """Sum over the members of w (covariates times coefficients + effect), covariates centred as the part says."""
    c, p = part.columns, len(part.weight_parameters)
    loose = theta[len(theta) - len(c.loose) :]
    coefficients = coefficients[: len(c.linear)]
    reach = effect + coefficients @ part.x[c.inside] + loose @ part.x[c.outside] + c.known @ part.x[c.given]
    middle = coefficients @ part.center[c.inside] + loose @ part.center[c.outside]
    return weights.sums(weights(theta[:p]) * reach) - middle


class Weights:
    """The weights of a member block as a function of its weight parameters.

    The tape is read while JAX traces, operation by operation. Functions that need members in order work on a table
    with a row per group, filled up with infinities.
    """

    def __init__(self, part: Block | Weighing):
        self.part = part
        start = part.memberships.start
        self.size = np.diff(start)
        self.first = np.minimum(start[:-1], max(start[-1] - 1, 0))
        self.group = np.repeat(np.arange(len(self.size)), self.size)
        self.place = np.arange(start[-1]) - start[self.group]
        self.inside = np.arange(self.size.max(initial=1)) < self.size[:, None]
        self.row = np.where(self.inside, self.first[:, None] + np.arange(self.inside.shape[1]), 0)

    def __call__(self, parameter: Array) -> Array:
        """Weights (m,)."""
        return self.normalised(self.raw(parameter))

    def raw(self, parameter: Array) -> Array:
        """Raw weights (m,) or, where the tape says so, their logarithms."""
        return self.result(self.part.tape, list(self.part.tape.constants), parameter)

    def result(self, tape: Tape, register: list[Array], parameter: Array) -> Array:
        """What a tape computes (m,) from its registers as loaded."""
        for what, out, a, b, c in tape.code.tolist():
            register[out] = _quiet()(self._operation(what, register, parameter, a, b, c))
        return register[tape.output]

    def _operation(self, what: int, register: list[Array], parameter: Array, a: int, b: int, c: int) -> Array:
        jnp = _jnp()
        if what in (op.PARAMETER, op.SCALE):
            each = _quiet()(jnp.broadcast_to(parameter[b], (len(self.group),)))
            return each if what == op.PARAMETER else each * register[a]
        if what == op.WHERE:
            return jnp.where(register[a] != 0.0, register[b], register[c])
        if what in _unary():
            return _unary()[what](register[a])
        if what in _binary():
            return jnp.asarray(_binary()[what](register[a], register[b]), dtype=float)
        if what == op.GROUP_RANK:
            return self._ranks(register[a])
        extra = register[b] if what == op.GROUP_QUANTILE else None
        return self._of_group(what, register[a], extra)[self.group]

    def largest(self, value: Array) -> Array:
        """Largest value of each group (groups,), a constant; zero where there is none."""
        return _largest(value, self.group, len(self.size))

    def sums(self, value: Array) -> Array:
        """Sum over the members of each group (groups,)."""
        return require("jax.ops", "jax").segment_sum(value, self.group, len(self.size), indices_are_sorted=True)

    def _of_group(self, what: int, value: Array, extra: Any) -> Array:
        """A number for each group (groups,)."""
        jnp, n = _jnp(), self.size
        if what == op.GROUP_SUM:
            return self.sums(value)
        if what in (op.GROUP_MEAN, op.GROUP_VAR, op.GROUP_SD):
            first = value[self.first]  # taken out first, so that equal members have exactly their value as mean
            mean = first + self.sums((value - first[self.group]) / n[self.group])
            if what == op.GROUP_MEAN:
                return mean
            variance = self.sums((value - mean[self.group]) ** 2 / np.maximum(n - 1, 1)[self.group])
            return variance if what == op.GROUP_VAR else _root(variance)
        rising = jnp.sort(jnp.where(self.inside, value[self.row], jnp.inf), axis=1)
        g, last = np.arange(len(n)), np.maximum(n - 1, 0)
        if what in (op.GROUP_MIN, op.GROUP_MAX, op.GROUP_RANGE):
            low, high = rising[:, 0], rising[g, last]
            return low if what == op.GROUP_MIN else high if what == op.GROUP_MAX else high - low
        at = extra[self.first] * last
        low = np.minimum(np.floor(at).astype(int), last)
        below, above = rising[g, low], rising[g, np.minimum(low + 1, last)]
        return below + (at - low) * (above - below)

    def _ranks(self, value: Array) -> Array:
        """Ranks from 1 within each group, ties at the mean of their places."""
        jnp = _jnp()
        table = jnp.where(self.inside, value[self.row], jnp.nan)
        one, other = table[:, :, None], table[:, None, :]
        ranks = jnp.sum(other < one, axis=2) + 0.5 * (jnp.sum(other == one, axis=2) + 1.0)
        return ranks[self.group, self.place]

    def normalised(self, raw: Array) -> Array:
        """Weights from raw weights by the block's rule; logarithms lose their largest first."""
        jnp, part = _jnp(), self.part
        if part.rule == "none" or (part.rule == "total" and not math.isnan(part.scale)):
            factor = 1.0 if part.rule == "none" else part.scale
            return factor * (jnp.exp(raw) if part.tape.logarithm else raw)
        if part.rule == "total":
            own = raw if not part.tape.logarithm else jnp.exp(raw - _largest(raw, np.zeros_like(self.group), 1)[0])
            return own * (np.count_nonzero(self.size) / jnp.sum(own))
        top = _largest(raw, self.group, len(self.size))[self.group]
        own = raw if not part.tape.logarithm else jnp.exp(raw - top)
        return own / self.sums(own)[self.group]


def _largest(value: Array, group: np.ndarray, groups: int) -> Array:
    """Largest value of each group as a constant, zero where it is not finite."""
    jnp = _jnp()
    top = require("jax.ops", "jax").segment_max(require("jax.lax", "jax").stop_gradient(value), group, groups)
    return jnp.where(jnp.isfinite(top), top, 0.0)


@cache
def _quiet() -> Callable[[Array], Array]:
    """Identity whose derivative drops what is not a number.

    A member that where() did not choose, or whose weight is zero, passes back zero times an infinite slope: nothing.
    """
    jax, jnp = require("jax", "jax"), _jnp()
    quiet = jax.custom_vjp(lambda x: x)
    quiet.defvjp(lambda x: (x, None), lambda _, slope: (jnp.where(jnp.isnan(slope), 0.0, slope),))
    return quiet


def _root(x: Array) -> Array:
    """Square root whose slope at zero is zero."""
    jnp = _jnp()
    return jnp.where(x == 0.0, 0.0, jnp.sqrt(jnp.where(x == 0.0, 1.0, x)))


@cache
def _unary() -> dict[int, Callable[[Array], Array]]:
    jnp, special = _jnp(), _special()
    return {
        op.NEGATE: jnp.negative, op.EXP: jnp.exp, op.LOG: jnp.log, op.LOG1P: jnp.log1p, op.EXPM1: jnp.expm1,
        op.SQRT: jnp.sqrt, op.ABS: jnp.abs, op.LOGIT: lambda x: jnp.log(x) - jnp.log1p(-x), op.ILOGIT: special.expit,
        op.PROBIT: special.ndtri, op.IPROBIT: special.ndtr, op.CLOGLOG: lambda x: jnp.log(-jnp.log1p(-x)),
        op.TANH: jnp.tanh, op.SOFTPLUS: lambda x: jnp.logaddexp(0.0, x),
    }  # fmt: skip


@cache
def _binary() -> dict[int, Callable[[Array, Array], Array]]:
    jnp = _jnp()
    return {
        op.ADD: jnp.add, op.SUBTRACT: jnp.subtract, op.MULTIPLY: jnp.multiply, op.DIVIDE: jnp.divide,
        op.POWER: jnp.power, op.MINIMUM: lambda x, y: jnp.where(x <= y, x, y),
        op.MAXIMUM: lambda x, y: jnp.where(x >= y, x, y), op.LESS: jnp.less, op.LESS_EQUAL: jnp.less_equal,
        op.GREATER: jnp.greater, op.GREATER_EQUAL: jnp.greater_equal, op.EQUAL: jnp.equal,
        op.NOT_EQUAL: jnp.not_equal,
    }  # fmt: skip


# -- priors --------------------------------------------------------------------------------------------------------


def log_prior(prior: Prior, x: Array) -> Array:
    """Log prior density with its constant; -inf outside the support."""
    jnp = _jnp()
    if type(prior) not in _DENSITIES:
        raise EngineError(f'engine="nuts" does not know the prior {prior}: use engine="mcmc"')
    low, high = prior.support
    return jnp.where((x >= low) & (x <= high), _DENSITIES[type(prior)](prior, x), -jnp.inf)


def _normal(p: priors.Normal, x: Array) -> Array:
    return -0.5 * ((x - p.mean) / p.sd) ** 2 - math.log(p.sd) - _LOG_ROOT_2PI


def _student(p: priors.Student, x: Array) -> Array:
    constant = math.lgamma(0.5 * (p.df + 1)) - math.lgamma(0.5 * p.df) - 0.5 * math.log(p.df * math.pi)
    return constant - math.log(p.scale) - 0.5 * (p.df + 1) * _jnp().log1p(((x - p.loc) / p.scale) ** 2 / p.df)


def _half_student(p: priors.HalfStudent, x: Array) -> Array:
    return _student(p, x) - math.log(scipy_special.stdtr(p.df, p.loc / p.scale))


def _half_cauchy(p: priors.HalfCauchy, x: Array) -> Array:
    return math.log(2.0 / (math.pi * p.scale)) - _jnp().log1p((x / p.scale) ** 2)


def _half_normal(p: priors.HalfNormal, x: Array) -> Array:
    return math.log(2.0 / p.scale) - _LOG_ROOT_2PI - 0.5 * (x / p.scale) ** 2


def _exponential(p: priors.Exponential, x: Array) -> Array:
    return math.log(p.rate) - p.rate * x


def _gamma(p: priors.Gamma, x: Array) -> Array:
    return p.shape * math.log(p.rate) - math.lgamma(p.shape) + (p.shape - 1) * _jnp().log(x) - p.rate * x


def _log_gamma(p: priors.LogGamma, x: Array) -> Array:
    return p.shape * (math.log(p.rate) + x) - math.lgamma(p.shape) - p.rate * _jnp().exp(x)


def _uniform(p: priors.Uniform, x: Array) -> Array:
    return _jnp().full(_jnp().shape(x), -math.log(p.b - p.a))


def _beta(p: priors.Beta, x: Array) -> Array:
    return (p.a - 1) * _jnp().log(x) + (p.b - 1) * _jnp().log1p(-x) - scipy_special.betaln(p.a, p.b)


def _lkj(p: priors.Lkj, x: Array) -> Array:
    constant = scipy_special.betaln(p.shape, p.shape) + (2.0 * p.shape - 1.0) * math.log(2.0)
    return (p.shape - 1.0) * _jnp().log1p(-x * x) - constant


_DENSITIES: dict[type[Prior], Callable[[Any, Array], Array]] = {
    priors.Flat: lambda _, x: 0.0 * x, priors.Normal: _normal, priors.Student: _student,
    priors.HalfStudent: _half_student, priors.HalfCauchy: _half_cauchy, priors.HalfNormal: _half_normal,
    priors.Exponential: _exponential, priors.Gamma: _gamma, priors.Uniform: _uniform, priors.Beta: _beta,
    priors.Lkj: _lkj, priors.Fixed: lambda _, x: 0.0 * x, priors.LogGamma: _log_gamma,
}  # fmt: skip


# -- theta without constraints -------------------------------------------------------------------------------------


def limits(hypers: tuple[Parameter, ...]) -> list[tuple[float, float]]:
    """Where each entry of theta may lie; a cut no higher than any later one may."""
    out: list[tuple[float, float]] = []
    ceiling = math.inf
    for p in reversed(hypers):
        low, high = p.prior.support
        low = max(low, 0.0) if p.positive else low
        if p.kind == "cut":
            high = ceiling = min(high, ceiling)
        out.append((low, high))
    return out[::-1]


def constrain(hypers: tuple[Parameter, ...], u: Array) -> tuple[Array, Array]:
    """All of theta at unconstrained u of its free entries, and the log absolute determinant of d theta / d u."""
    jnp = _jnp()
    theta, log_slope, cut, k = [], jnp.zeros(()), None, -1
    for p, (low, high) in zip(hypers, limits(hypers), strict=True):
        if p.fixed:
            theta.append(jnp.asarray(p.start))
            cut = p.start if p.kind == "cut" else cut
            continue
        k += 1
        floor: Any = low if cut is None or p.kind != "cut" else jnp.maximum(low, cut)
        below, above = math.isfinite(low) or floor is not low, math.isfinite(high)
        if below and above:
            value = floor + (high - floor) * _special().expit(u[k])
            log_slope = log_slope + jnp.log(high - floor) - jnp.logaddexp(0.0, u[k]) - jnp.logaddexp(0.0, -u[k])
        elif below or above:
            value = floor + jnp.exp(u[k]) if below else high - jnp.exp(u[k])
            log_slope = log_slope + u[k]
        else:
            value = u[k]
        theta.append(value)
        cut = value if p.kind == "cut" else cut
    return (jnp.stack(theta) if theta else jnp.zeros(0)), log_slope


def unconstrain(hypers: tuple[Parameter, ...], theta: np.ndarray) -> np.ndarray:
    """The u of the free entries of some theta; what lies on a bound is moved a little inside."""
    out, cut = np.empty(len(theta)), -math.inf
    for k, (p, (low, high)) in enumerate(zip(hypers, limits(hypers), strict=True)):
        floor = max(low, cut) if p.kind == "cut" else low
        if p.fixed:
            out[k] = theta[k]
        elif math.isfinite(floor) and math.isfinite(high):
            share = min(max((theta[k] - floor) / (high - floor), 1e-4), 1.0 - 1e-4)
            out[k] = math.log(share / (1.0 - share))
        elif math.isfinite(floor) or math.isfinite(high):
            out[k] = math.log(max(theta[k] - floor if math.isfinite(floor) else high - theta[k], 1e-4))
        else:
            out[k] = theta[k]
        cut = theta[k] if p.kind == "cut" else cut
    return out[[not p.fixed for p in hypers]]
