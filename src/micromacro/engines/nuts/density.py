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
from typing import Any

import numpy as np
from scipy import special as scipy_special

from ... import priors
from ..._optional import require
from ...errors import EngineError
from ...model.specification import Specification
from ...numerics.aggregation import ROUNDING
from ...parameters import Parameter
from ...priors import Prior
from ...terms.member.weighing import Block
from . import effects as joint_effects
from . import terms as joint_terms
from .inside import Inside
from .weights import Weights

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
        gaussian = [p.prior if isinstance(p.prior, priors.Normal) else None for p in self.system.coefficients]
        self.mean = np.array([p.mean if p else 0.0 for p in gaussian])
        self.precision = np.array([p.sd**-2.0 if p else 0.0 for p in gaussian])
        logs = [math.log(p.sd) + _LOG_ROOT_2PI for p in gaussian if p]
        self.constant = -math.fsum(logs)
        self.inside = Inside(self.system)

    def log_density(self, theta: Array, x: Array) -> Array:
        """Log joint density of theta (q,), natural scale, and x (size,), natural order, with all constants."""
        jnp, s = _jnp(), self.specification
        coefficients = x[self.system.n_effects :]
        each = self.likelihood(theta, x)
        value = self.constant + self.log_prior_effects(theta, x)
        value = value - 0.5 * jnp.sum(self.precision * (coefficients - self.mean) ** 2)
        for k, p in enumerate(self.system.hypers):
            value = value + log_prior(p.prior, theta[k])
        for k, p in enumerate(self.system.coefficients):  # the hazards of a baseline
            if isinstance(p.prior, priors.LogGamma):
                value = value + log_prior(p.prior, coefficients[k])
        value = value + jnp.sum(s.response.weight * each)
        for k in self.system.edges:
            value = jnp.where(self._beyond(k, theta), -jnp.inf, value)
        return value

    def _beyond(self, k: int, theta: Array) -> Array:
        """Whether raw weights of a part that are to be normalised are negative, but for rounding."""
        part: Any = self.system.parts[k]
        if type(part) in joint_terms.BEYOND:
            return joint_terms.BEYOND[type(part)](part, theta[self.system.places.reads(k)])
        jnp, weighing = _jnp(), part.weighing
        weights = Weights(weighing)
        raw = weights.raw(theta[self.system.places.reads(k)][: len(weighing.parameters)])
        size = jnp.abs(raw)
        top = weights.largest(size)[weights.group] if weighing.rule == "group" else jnp.max(size)
        return jnp.any(raw < -ROUNDING * top)

    def likelihood(self, theta: Array, x: Array) -> Array:
        """Log density of each group (groups,), from the outcomes as they were read: no row of the system is used."""
        s, jnp = self.specification, _jnp()
        eta = self.linear_predictor(theta, x)
        if not s.expanded:
            own = self.own(theta, x)
            return s.family.log_density(s.response.values, eta, own, jnp, _special())
        part: Any = self.system.parts[-1]
        if not part.coefficients:  # rows that stand together, without any of their own
            return s.family.group_density(s.response.values, eta, self.own(theta, x), jnp, _special())
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
            if part.structure is None:  # the steps of a baseline, the bends of a curve
                value = value + joint_effects.standard(None, own, x_own)
            else:
                value = value + joint_effects.log_prior(self.specification.structures[part.name][1], own, x_own)
        return value

    def own(self, theta: Array, x: Array) -> Array:
        """The family's own numbers: (k,), or (k, groups) where any has a linear predictor."""
        beside, constant, jnp = self.system.beside, theta[self.system.places.family], _jnp()
        if beside is None:
            return constant
        inverse = {"log": jnp.exp, "logit": _special().expit, "identity": lambda eta: eta}
        out: list[Any] = [None] * beside.count
        for number, (row, link) in enumerate(zip(beside.rows, beside.links, strict=True), start=1):
            added = self.linear_predictor(theta, x, number)
            out[row] = inverse[link](added) if link in inverse else added
        for j, k in enumerate(beside.left):
            out[k] = constant[j] + (jnp.zeros(self.system.groups) if out[k] is None else out[k])
        return jnp.stack(out)

    def linear_predictor(self, theta: Array, x: Array, number: int = 0) -> Array:
        """Sum of what the parts of a linear predictor bring to each group (groups,)."""
        system, where = self.system, self.specification.layout
        numbers = system.beside.part if system.beside else (0,) * len(system.parts)
        eta = _jnp().asarray(system.beside.offset[number - 1] if number and system.beside else system.base_offset)
        for k in where.terms:
            part, structure = system.parts[k], system.parts[k].structure
            if number not in (part.reaches or (numbers[k],)):
                continue
            reach = self._reach(k, theta, x)
            if structure is not None and part.reaches:
                reach = reach * (structure.rows.group // self.system.groups == number)
            for block in part.blocks.values():
                if block.weight_effects:
                    reach = reach, self._in_weights(block, theta, x)
            eta = eta + joint_terms.summand(part, theta[where.reads(k)], x[where.coefficients(k)], reach)
        return eta

    def _reach(self, k: int, theta: Array, x: Array) -> Array:
        """The effect of each membership of a part, or its entries of x where they belong to nobody."""
        where, structure = self.specification.layout, self.system.parts[k].structure
        if structure is not None:
            return joint_effects.reach(structure, theta[where.effect_theta(k)], x[where.latents(k)])
        return x[where.effects(k)] if self.system.parts[k].effects else 0.0

    def _in_weights(self, block: Block, theta: Array, x: Array) -> Array:
        """What effects add to each row of the coefficients of a block's weights; zero where these do not vary."""
        k, structure = self.specification.structures[block.weight_effects]
        rows = _jnp().zeros(self.system.parts[k].row_count)
        return rows.at[structure.rows.group].add(self._reach(k, theta, x))

    def log_unconstrained(self, u: Array, x: Array) -> Array:
        """Log joint density of unconstrained theta (q,) and x."""
        theta, log_slope = self.natural(u)
        return self.log_density(theta, x) + log_slope

    def natural(self, u: Array) -> tuple[Array, Array]:
        """Theta (natural scale) at an unconstrained u, within the edges of weights, and the log determinant of both."""
        theta, log_slope = constrain(self.system.hypers, u)
        theta, further = self.inside(theta)
        return theta, log_slope + further


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
        low = max(low, 0.0) if p.positive or p.share else low
        high = min(high, 1.0) if p.share else high
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
