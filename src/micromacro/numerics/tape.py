r"""A tape: an arithmetic expression as a list of operations on columns, run with its forward derivatives.

A weight expression is compiled once (:mod:`micromacro.terms.member.weights`) to operations on registers, each a
column over the memberships; everything that no parameter reaches is worked out beforehand and only loaded. One
call of a kernel then computes the values and the derivatives in every parameter, exactly (forward mode,
operation by operation); within-group functions have a kernel of their own.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from .aggregation import longest_run
from .compiling import ALLOCATING, INLINED, KERNEL

(
    PARAMETER, SCALE, ADD, SUBTRACT, MULTIPLY, DIVIDE, POWER, NEGATE, EXP, LOG, LOG1P, EXPM1, SQRT, ABS, LOGIT, ILOGIT,
    PROBIT, IPROBIT, CLOGLOG, TANH, LOG2, LOG10, SIN, COS, ROUND, FLOOR, CEIL, SOFTPLUS, WHERE, MINIMUM, MAXIMUM, LESS,
    LESS_EQUAL, GREATER, GREATER_EQUAL, EQUAL, NOT_EQUAL, GROUP_SUM, GROUP_MEAN, GROUP_VAR, GROUP_SD, GROUP_MIN,
    GROUP_MAX, GROUP_RANGE, GROUP_RANK, GROUP_QUANTILE, GROUP_MODE,
) = range(47)  # fmt: skip

_kernel = njit(**KERNEL)
_allocating = njit(**ALLOCATING)
_inlined = njit(**INLINED)
_ROOT_2PI = math.sqrt(2.0 * math.pi)
_LN_2, _LN_10 = math.log(2.0), math.log(10.0)


@_inlined
def _probit(p):
    """The standard normal quantile: Acklam's rational start, then two Halley steps to full precision."""
    if not 0.0 < p < 1.0:
        return -np.inf if p == 0.0 else (np.inf if p == 1.0 else np.nan)
    q = min(p, 1.0 - p)
    t = math.sqrt(-2.0 * math.log(q))
    z = -(t - (2.30753 + 0.27061 * t) / (1.0 + t * (0.99229 + 0.04481 * t)))
    for _ in range(3):
        e = 0.5 * math.erfc(-z / math.sqrt(2.0)) - q
        u = e * _ROOT_2PI * math.exp(0.5 * z * z)
        z -= u / (1.0 + 0.5 * z * u)
    return z if p <= 0.5 else -z


@_inlined
def _unary(op, x):
    """Value and derivative of a function of one number."""
    if op == LOG1P:
        return (np.log1p(x), 1.0 / (1.0 + x))
    if op == EXPM1:
        return math.expm1(x), math.exp(x)
    if op == SQRT:
        v = np.sqrt(x)
        return v, 0.5 / v
    if op == ABS:
        return abs(x), (1.0 if x > 0 else (-1.0 if x < 0 else 0.0))
    if op == LOGIT:
        return np.log(x) - np.log1p(-x), 1.0 / (x * (1.0 - x))
    if op == ILOGIT:
        v = 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))
        return v, v * (1.0 / (1.0 + math.exp(x)) if x < 0 else math.exp(-x) / (1.0 + math.exp(-x)))
    if op == PROBIT:
        z = _probit(x)
        return z, _ROOT_2PI * math.exp(0.5 * z * z)
    if op == IPROBIT:
        return 0.5 * math.erfc(-x / math.sqrt(2.0)), math.exp(-0.5 * x * x) / _ROOT_2PI
    if op == CLOGLOG:
        u = np.log1p(-x)
        return np.log(-u), -1.0 / (u * (1.0 - x))
    if op == TANH:
        v = math.tanh(x)
        return v, 1.0 - v * v
    if op == LOG2:
        return np.log2(x), 1.0 / (x * _LN_2)
    if op == LOG10:
        return np.log10(x), 1.0 / (x * _LN_10)
    if op == SIN:
        return math.sin(x), math.cos(x)
    if op == COS:
        return math.cos(x), -math.sin(x)
    if op == ROUND:
        return np.rint(x), 0.0
    if op == FLOOR:
        return np.floor(x), 0.0
    if op == CEIL:
        return np.ceil(x), 0.0
    # SOFTPLUS: log(1 + exp(x))
    if x == -np.inf:
        return 0.0, 0.0
    v = max(x, 0.0) + math.log1p(math.exp(-abs(x)))
    return v, (1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x)))


@_inlined
def _binary(op, x, y):
    """Value and two partial derivatives of a function of two numbers."""
    if op == MULTIPLY:
        return x * y, y, x
    if op == ADD:
        return x + y, 1.0, 1.0
    if op == SUBTRACT:
        return x - y, 1.0, -1.0
    if op == DIVIDE:
        return x / y, 1.0 / y, -x / (y * y)
    v = x**y  # POWER
    dx = 0.0 if y == 0.0 else y * x ** (y - 1.0)
    dy = 0.0 if v == 0.0 else v * np.log(x)
    return v, dx, dy


@_kernel
def _holds(op, x, y):
    """Whether the first of two numbers counts (MINIMUM, MAXIMUM), or a comparison is true."""
    if op == MINIMUM or op == LESS_EQUAL:
        return x <= y
    if op == MAXIMUM or op == GREATER_EQUAL:
        return x >= y
    if op == LESS:
        return x < y
    if op == GREATER:
        return x > y
    if op == EQUAL:
        return x == y
    return x != y


def have_own_kernels(code: np.ndarray) -> np.ndarray:
    """Which operations (k,) have kernels of their own: all but arithmetic, exponentials and logarithms."""
    return code[:, 0] >= LOG1P


def run(
    code: np.ndarray,
    moves: np.ndarray,
    parameter: np.ndarray,
    start: np.ndarray,
    value: np.ndarray,
    slope: np.ndarray,
    apart: bool = True,
) -> None:
    """Run a tape; one kernel call unless operations stand in it that have a kernel of their own.

    Parameters
    ----------
    code : (k, 5) int array
        Rows (operation, result, first, second, third register); for PARAMETER and SCALE `second` is the number
        of the parameter, for GROUP_QUANTILE the register of the quantile.
    moves : (registers,) bool array
        Whether a parameter reaches the register.
    parameter : (p,) array
    start : (groups + 1,) int array
        Where each group's memberships begin.
    value : (registers, m) array
        Constants loaded; results are written.
    slope : (registers, p, m) array
        Derivatives of the moving registers; with p = 0 none are computed.
    apart : bool
        Whether such operations may stand in it.
    """
    begin = 0
    for k in np.flatnonzero(have_own_kernels(code)) if apart else ():
        run_rows(code, begin, k, moves, parameter, value, slope)
        op, out, a, b, c = code[k]
        if op >= GROUP_SUM:
            run_group(op, out, a, b, start, value, slope)
        elif op >= WHERE:
            run_choice(op, out, a, b, c, moves, value, slope)
        else:
            run_function(op, out, a, value, slope)
        begin = k + 1
    run_rows(code, begin, len(code), moves, parameter, value, slope)


@_allocating
def run_group(op, out, a, extra, start, value, slope):
    """A within-group function of register a, spread over the members of each group."""
    longest = longest_run(start)
    order = np.empty(longest, np.int64)
    weight = np.empty(longest)  # derivative of the group's value in each member's
    for g in range(len(start) - 1):
        lo = start[g]
        n = start[g + 1] - lo
        if n == 0:
            continue
        if op >= GROUP_MIN:
            _sort(value, a, lo, n, order)
        if op == GROUP_RANK:
            _rank(value, a, lo, n, order, out, slope)
            continue
        for i in range(n):
            weight[i] = 0.0
        result = _group_value(op, value, a, extra, lo, n, order, weight)
        for i in range(n):
            value[out, lo + i] = result
        for p in range(slope.shape[1]):
            total = 0.0
            for i in range(n):
                total += weight[i] * slope[a, p, lo + i]
            for i in range(n):
                slope[out, p, lo + i] = total


@_kernel
def _group_value(op, value, a, extra, lo, n, order, weight):
    """A group's value; `weight` (zeros) receives its derivative in each member's value."""
    result = 0.0
    if op == GROUP_SUM or op == GROUP_MEAN:
        each = 1.0 if op == GROUP_SUM else 1.0 / n
        base = 0.0 if op == GROUP_SUM else value[a, lo]
        for i in range(n):
            result += each * (value[a, lo + i] - base)
            weight[i] = each
        result += base
    elif op == GROUP_VAR or op == GROUP_SD:
        mean = 0.0
        for i in range(n):
            mean += (value[a, lo + i] - value[a, lo]) / n
        mean += value[a, lo]
        for i in range(n):
            d = value[a, lo + i] - mean
            result += d * d / max(n - 1, 1)
            weight[i] = 2.0 * d / max(n - 1, 1)
        if op == GROUP_SD:
            result = math.sqrt(result)
            for i in range(n):
                weight[i] = 0.5 * weight[i] / result if result > 0 else 0.0
    elif op == GROUP_RANGE:
        result = value[a, lo + order[n - 1]] - value[a, lo + order[0]]
        weight[order[n - 1]] += 1.0
        weight[order[0]] -= 1.0
    elif op == GROUP_MODE:
        result = _mode(value, a, lo, n, order)
    else:
        q = 0.0 if op == GROUP_MIN else (1.0 if op == GROUP_MAX else value[extra, lo])
        at = q * (n - 1)
        low = min(int(math.floor(at)), n - 1)
        high = min(low + 1, n - 1)
        part = at - low
        result = value[a, lo + order[low]]
        result += part * (value[a, lo + order[high]] - result)
        weight[order[low]] += 1.0 - part
        weight[order[high]] += part
    return result


@_kernel
def _mode(value, a, lo, n, order):
    """The commonest value of a group, the smallest of those that are equally common."""
    best, most, run_length = value[a, lo + order[0]], 0, 0
    for i in range(n):
        x = value[a, lo + order[i]]
        run_length = run_length + 1 if i > 0 and x == value[a, lo + order[i - 1]] else 1
        if run_length > most:
            best, most = x, run_length
    return best


@_kernel
def _rank(value, a, lo, n, order, out, slope):
    """Ranks from 1, ties at the mean of their places; their derivative is zero."""
    i = 0
    while i < n:
        j = i
        while j + 1 < n and value[a, lo + order[j + 1]] == value[a, lo + order[i]]:
            j += 1
        for k in range(i, j + 1):
            value[out, lo + order[k]] = 0.5 * (i + j) + 1.0
        i = j + 1
    for p in range(slope.shape[1]):
        for k in range(n):
            slope[out, p, lo + k] = 0.0


@_kernel
def _sort(value, a, lo, n, order):
    """Places 0 .. n-1 of a group in rising order of register a, the first of equals first (Shell's sort)."""
    for i in range(n):
        order[i] = i
    gap = 1
    while gap < n // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(gap, n):
            k = order[i]
            x = value[a, lo + k]
            j = i
            while j >= gap:
                other = order[j - gap]
                y = value[a, lo + other]
                if not (y > x or (y == x and other > k)):
                    break
                order[j] = other
                j -= gap
            order[j] = k
        gap //= 3


@_kernel
def run_rows(code, begin, stop, moves, parameter, value, slope):
    """Run the operations `begin` to `stop` of a tape, none of which has a kernel of its own (see :func:`run`)."""
    m = value.shape[1]
    count = slope.shape[1]
    for k in range(begin, stop):
        op, out, a, b = code[k, 0], code[k, 1], code[k, 2], code[k, 3]
        if op == PARAMETER or op == SCALE:
            for i in range(m):
                factor = 1.0 if op == PARAMETER else value[a, i]
                value[out, i] = parameter[b] * factor
                for p in range(count):
                    slope[out, p, i] = factor if p == b else 0.0
        elif NEGATE <= op <= LOG:
            _run_unary(op, out, a, value, slope)
        else:
            _run_binary(op, out, a, b, moves, value, slope)


@_inlined
def _run_unary(op, out, a, value, slope):
    """exp, log or minus of one register."""
    m, count = value.shape[1], slope.shape[1]
    if op == EXP:
        for i in range(m):
            value[out, i] = math.exp(value[a, i])
        for p in range(count):
            for i in range(m):
                slope[out, p, i] = value[out, i] * slope[a, p, i] if slope[a, p, i] != 0.0 else 0.0
    elif op == LOG:
        for i in range(m):
            value[out, i] = np.log(value[a, i])
        for p in range(count):
            for i in range(m):
                slope[out, p, i] = 1.0 / value[a, i] * slope[a, p, i] if slope[a, p, i] != 0.0 else 0.0
    else:
        for i in range(m):
            value[out, i] = -value[a, i]
        for p in range(count):
            for i in range(m):
                slope[out, p, i] = -slope[a, p, i]


@_kernel
def run_function(op, out, a, value, slope):
    """Any other function of one register."""
    for i in range(value.shape[1]):
        v, d = _unary(op, value[a, i])
        value[out, i] = v
        for p in range(slope.shape[1]):
            slope[out, p, i] = d * slope[a, p, i] if slope[a, p, i] != 0.0 else 0.0


@_kernel
def run_choice(op, out, a, b, c, moves, value, slope):
    """The register that is chosen (WHERE, MINIMUM, MAXIMUM), with its derivatives, or whether a comparison is true."""
    for i in range(value.shape[1]):
        if op == WHERE:
            chosen = b if value[a, i] != 0.0 else c
        else:
            true = _holds(op, value[a, i], value[b, i])
            chosen = a if true else b
            if op > MAXIMUM:
                value[out, i] = 1.0 if true else 0.0
                for p in range(slope.shape[1]):
                    slope[out, p, i] = 0.0
                continue
        value[out, i] = value[chosen, i]
        for p in range(slope.shape[1]):
            slope[out, p, i] = slope[chosen, p, i] if moves[chosen] else 0.0


@_inlined
def _run_binary(op, out, a, b, moves, value, slope):
    """One function of two registers; sums and products have loops of their own when no derivative is asked."""
    m, count = value.shape[1], slope.shape[1]
    if count == 0 and op == MULTIPLY:
        for i in range(m):
            value[out, i] = value[a, i] * value[b, i]
        return
    if count == 0 and op == ADD:
        for i in range(m):
            value[out, i] = value[a, i] + value[b, i]
        return
    for i in range(m):
        v, da, db = _binary(op, value[a, i], value[b, i])
        value[out, i] = v
        for p in range(count):
            total = 0.0
            if moves[a] and slope[a, p, i] != 0.0:
                total += da * slope[a, p, i]
            if moves[b] and slope[b, p, i] != 0.0:
                total += db * slope[b, p, i]
            slope[out, p, i] = total
