"""The weights of a member block as JAX functions of its parameters: what its tape says, operation by operation."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ..._optional import require
from ...numerics import tape as op
from ...terms.member.tape import Tape
from ...terms.member.weighing import Block, Weighing

Array = Any  # a JAX array, or a tracer of one


def _jnp() -> Any:
    return require("jax.numpy", "jax")


def _special() -> Any:
    return require("jax.scipy.special", "jax")


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
        op.TANH: jnp.tanh, op.LOG2: jnp.log2, op.LOG10: jnp.log10, op.SIN: jnp.sin, op.COS: jnp.cos,
        op.SOFTPLUS: lambda x: jnp.logaddexp(0.0, x),
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
