"""What values a weight expression can take, whatever its parameters: interval arithmetic on its tape.

The answer errs on the wide side: an expression that is said not to be negative never is, one that is said to may not.
Forms that cannot be negative (``exp``, ``power``, ``logistic``, even powers, products of these) are known as such, so
that nobody has to look at their weights while a model is fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy import special

from ...numerics import tape as op
from ...parameters import Parameter
from .tape import Tape

Range = tuple[np.ndarray, np.ndarray]  # least and largest value (m,)
_RISING: dict[int, tuple[Callable[[np.ndarray], np.ndarray], float, float]] = {  # function, ends of its domain
    op.EXP: (np.exp, -np.inf, np.inf),
    op.LOG: (np.log, 0.0, np.inf),
    op.LOG2: (np.log2, 0.0, np.inf),
    op.LOG10: (np.log10, 0.0, np.inf),
    op.LOG1P: (np.log1p, -1.0, np.inf),
    op.EXPM1: (np.expm1, -np.inf, np.inf),
    op.SQRT: (np.sqrt, 0.0, np.inf),
    op.LOGIT: (special.logit, 0.0, 1.0),
    op.ILOGIT: (special.expit, -np.inf, np.inf),
    op.PROBIT: (special.ndtri, 0.0, 1.0),
    op.IPROBIT: (special.ndtr, -np.inf, np.inf),
    op.CLOGLOG: (lambda p: np.log(-np.log1p(-p)), 0.0, 1.0),
    op.TANH: (np.tanh, -np.inf, np.inf),
    op.SOFTPLUS: (lambda x: np.logaddexp(0.0, x), -np.inf, np.inf),
    op.ROUND: (np.rint, -np.inf, np.inf),
    op.FLOOR: (np.floor, -np.inf, np.inf),
    op.CEIL: (np.ceil, -np.inf, np.inf),
}


def may_be_negative(tape: Tape, parameters: Sequence[Parameter], start: np.ndarray) -> bool:
    """Whether raw weights can be negative for some values of the parameters that their priors allow.

    Parameters
    ----------
    tape : Tape
    parameters : sequence of Parameter
        Those of the tape.
    start : (groups + 1,) int array
        Where each group's memberships begin.
    """
    if tape.logarithm or not len(tape.constants):
        return False
    low, high = tape.constants.copy(), tape.constants.copy()
    with np.errstate(all="ignore"):
        for row in tape.code.tolist():
            low[row[1]], high[row[1]] = _of_operation(row, low, high, parameters, start)
        return bool(np.any(low[tape.output] < 0.0))


def _of_operation(
    row: list[int], low: np.ndarray, high: np.ndarray, parameters: Sequence[Parameter], start: np.ndarray
) -> Range:
    """The range of one operation's result; wide open where nothing better is known."""
    what, _, a, b, c = row
    if what in (op.PARAMETER, op.SCALE):
        ends = np.array(parameters[b].prior.support, dtype=float)
        one = np.ones(low.shape[1])
        own = ends[0] * one, ends[1] * one
        return own if what == op.PARAMETER else _product(own, (low[a], high[a]))
    first, second = (low[a], high[a]), (low[b], high[b])
    if what == op.WHERE:
        return np.minimum(low[b], low[c]), np.maximum(high[b], high[c])
    if what >= op.GROUP_SUM:
        return _of_group(what, first, start)
    if op.NEGATE <= what <= op.SOFTPLUS:
        return _unary(what, first)
    return _binary(what, first, second)


def _known(made: Range) -> Range:
    """A range in which nothing is nan: what is not known is wide open."""
    low, high = made
    return np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)


def _open(like: np.ndarray, low: float = -np.inf, high: float = np.inf) -> Range:
    return np.full(like.shape, low), np.full(like.shape, high)


def _unary(what: int, x: Range) -> Range:
    low, high = x
    if what == op.NEGATE:
        return -high, -low
    if what == op.ABS:
        least = np.where((low <= 0.0) & (high >= 0.0), 0.0, np.minimum(np.abs(low), np.abs(high)))
        return least, np.maximum(np.abs(low), np.abs(high))
    if what in (op.SIN, op.COS):
        return _open(low, -1.0, 1.0)
    function, least, most = _RISING[what]
    return _known((function(np.clip(low, least, most)), function(np.clip(high, least, most))))


def _binary(what: int, x: Range, y: Range) -> Range:
    if what == op.ADD:
        return _known((x[0] + y[0], x[1] + y[1]))
    if what == op.SUBTRACT:
        return _known((x[0] - y[1], x[1] - y[0]))
    if what == op.MULTIPLY:
        return _product(x, y)
    if what == op.DIVIDE:
        across = (y[0] < 0.0) & (y[1] > 0.0)
        low, high = _product(x, (1.0 / np.where(y[1] == 0.0, -0.0, y[1]), 1.0 / np.where(y[0] == 0.0, 0.0, y[0])))
        return np.where(across, -np.inf, low), np.where(across, np.inf, high)
    if what == op.POWER:
        return _power(x, y)
    if what == op.MINIMUM:
        return np.minimum(x[0], y[0]), np.minimum(x[1], y[1])
    if what == op.MAXIMUM:
        return np.maximum(x[0], y[0]), np.maximum(x[1], y[1])
    return _open(x[0], 0.0, 1.0)  # comparisons


def _product(x: Range, y: Range) -> Range:
    """Of products, those of ends are the furthest; zero times anything is zero."""
    ends = [np.where((a == 0.0) | (b == 0.0), 0.0, a * b) for a in x for b in y]
    return np.minimum.reduce(ends), np.maximum.reduce(ends)


def _power(x: Range, y: Range) -> Range:
    """Never negative where the base is not, or the exponent an even number; what lies above is left open."""
    even = (y[0] == y[1]) & (np.mod(y[0], 2.0) == 0.0)
    return np.where((x[0] >= 0.0) | even, 0.0, -np.inf), np.full(x[0].shape, np.inf)


def _of_group(what: int, x: Range, start: np.ndarray) -> Range:
    """Ranges of a function of the group, spread over its members."""
    low, high = x
    if what in (op.GROUP_VAR, op.GROUP_SD, op.GROUP_RANGE):
        return _open(low, 0.0, np.inf)
    if what == op.GROUP_RANK:
        return _open(low, 1.0, np.inf)
    filled = np.flatnonzero(np.diff(start))
    begin, size = start[filled], np.diff(start)[filled]
    if what in (op.GROUP_SUM, op.GROUP_MEAN):
        each = 1.0 if what == op.GROUP_SUM else 1.0 / size
        ends = np.add.reduceat(low, begin) * each, np.add.reduceat(high, begin) * each
    elif what == op.GROUP_MIN:
        ends = np.minimum.reduceat(low, begin), np.minimum.reduceat(high, begin)
    elif what == op.GROUP_MAX:
        ends = np.maximum.reduceat(low, begin), np.maximum.reduceat(high, begin)
    else:
        ends = np.minimum.reduceat(low, begin), np.maximum.reduceat(high, begin)
    return _known((np.repeat(ends[0], size), np.repeat(ends[1], size)))
