r"""A tape: an arithmetic expression as a list of operations on columns, run with its forward derivatives.

A weight expression is compiled once (:mod:`micromacro.terms.member.weights`) to operations on registers, each a
column over the memberships; everything that no parameter reaches is worked out beforehand and only loaded. Running it
computes the values and the derivatives in every parameter, exactly (forward mode, operation by operation). Operations
that are like each other share a kernel, so that a fit compiles only what its weights are made of.
"""

from __future__ import annotations

import math
from itertools import groupby
from typing import Any

import numpy as np
from numba import njit

from .compiling import INLINED, KERNEL

(
    PARAMETER, SCALE, ADD, SUBTRACT, MULTIPLY, DIVIDE, POWER, NEGATE, EXP, LOG, LOG1P, EXPM1, SQRT, ABS, LOGIT, ILOGIT,
    PROBIT, IPROBIT, CLOGLOG, TANH, LOG2, LOG10, SIN, COS, ROUND, FLOOR, CEIL, SOFTPLUS, WHERE, MINIMUM, MAXIMUM, LESS,
    LESS_EQUAL, GREATER, GREATER_EQUAL, EQUAL, NOT_EQUAL, GROUP_SUM, GROUP_MEAN, GROUP_VAR, GROUP_SD, GROUP_MIN,
    GROUP_MAX, GROUP_RANGE, GROUP_RANK, GROUP_QUANTILE, GROUP_MODE,
) = range(47)  # fmt: skip

#: A kernel, which of (moves, parameter, start) it needs, and the rows of the tape that it runs.
Step = tuple[Any, int, np.ndarray]

_kernel = njit(**KERNEL)
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


def steps_of(code: np.ndarray) -> list[Step]:
    """What a tape is run by: a kernel for operations that follow each other and are of one kind, with these.

    Parameters
    ----------
    code : (k, 5) int array
        Rows (operation, result, first, second, third register); for PARAMETER and SCALE `second` is the number
        of the parameter, for GROUP_QUANTILE the register of the quantile.
    """
    out, stop = [], 0
    for kernel, rows in groupby(code[:, 0].tolist(), _KERNELS.__getitem__):
        begin, stop = stop, stop + len(list(rows))
        out.append((kernel, {run_parameters: 1, run_groups: 2}.get(kernel, 0), code[begin:stop]))
    return out


def run(
    steps: list[Step], moves: np.ndarray, parameter: np.ndarray, start: np.ndarray, value: np.ndarray, slope: np.ndarray
) -> None:  # fmt: skip
    """Run a tape.

    Parameters
    ----------
    steps : list
        See :func:`steps_of`.
    moves : (registers,) bool array
        Whether a parameter reaches the register.
    parameter : (p,) array
    start : (groups + 1,) int array
        Where each group's memberships begin.
    value : (registers, m) array
        Constants loaded; results are written.
    slope : (registers, p, m) array
        Derivatives of the moving registers; with p = 0 none are computed.
    """
    given = (moves, parameter, start)
    for kernel, needed, code in steps:
        kernel(code, given[needed], value, slope)


def run_groups(code: np.ndarray, start: np.ndarray, value: np.ndarray, slope: np.ndarray) -> None:
    """Within-group functions of a register, spread over the members of each group."""
    longest = int(np.diff(start).max(initial=1))
    order, weight = np.empty(longest, dtype=np.int64), np.empty(longest)
    for op, out, a, extra, _ in code.tolist():
        _run_group(op, out, a, extra, start, value, slope, order, weight)


@_kernel
def _run_group(op, out, a, extra, start, value, slope, order, weight):
    """One such function; `weight` is room for the derivative of a group's value in each member's."""
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
def run_parameters(code, parameter, value, slope):
    """A parameter (PARAMETER), or one times a register that no parameter reaches (SCALE)."""
    for k in range(len(code)):
        op, out, a, number = code[k, 0], code[k, 1], code[k, 2], code[k, 3]
        for i in range(value.shape[1]):
            factor = value[a, i] if op == SCALE else 1.0
            value[out, i] = parameter[number] * factor
            for p in range(slope.shape[1]):
                slope[out, p, i] = factor if p == number else 0.0


@_kernel
def run_exponentials(code, _moves, value, slope):
    """exp, log or minus of one register."""
    for k in range(len(code)):
        op, out, a = code[k, 0], code[k, 1], code[k, 2]
        for i in range(value.shape[1]):
            x = value[a, i]
            value[out, i] = math.exp(x) if op == EXP else (np.log(x) if op == LOG else -x)
        for p in range(slope.shape[1]):
            if op == EXP:
                for i in range(value.shape[1]):
                    slope[out, p, i] = value[out, i] * slope[a, p, i] if slope[a, p, i] != 0.0 else 0.0
            elif op == LOG:
                for i in range(value.shape[1]):
                    slope[out, p, i] = 1.0 / value[a, i] * slope[a, p, i] if slope[a, p, i] != 0.0 else 0.0
            else:
                for i in range(value.shape[1]):
                    slope[out, p, i] = -slope[a, p, i]


@_kernel
def run_products(code, moves, value, slope):
    """Sum, difference or product of two registers."""
    for k in range(len(code)):
        op, out, a, b = code[k, 0], code[k, 1], code[k, 2], code[k, 3]
        sign = -1.0 if op == SUBTRACT else 1.0
        if op == MULTIPLY:
            for i in range(value.shape[1]):
                value[out, i] = value[a, i] * value[b, i]
        else:
            for i in range(value.shape[1]):
                value[out, i] = value[a, i] + sign * value[b, i]
        for p in range(slope.shape[1]):
            for i in range(value.shape[1]):
                total = 0.0
                if moves[a] and slope[a, p, i] != 0.0:
                    total += (value[b, i] if op == MULTIPLY else 1.0) * slope[a, p, i]
                if moves[b] and slope[b, p, i] != 0.0:
                    total += (value[a, i] if op == MULTIPLY else sign) * slope[b, p, i]
                slope[out, p, i] = total


@_kernel
def run_powers(code, moves, value, slope):
    """Quotient or power of two registers."""
    for k in range(len(code)):
        op, out, a, b = code[k, 0], code[k, 1], code[k, 2], code[k, 3]
        for i in range(value.shape[1]):
            x, y = value[a, i], value[b, i]
            if op == DIVIDE:
                v, dx, dy = x / y, 1.0 / y, -x / (y * y)
            else:
                v = x**y
                dx = 0.0 if y == 0.0 else y * x ** (y - 1.0)
                dy = 0.0 if v == 0.0 else v * np.log(x)
            value[out, i] = v
            for p in range(slope.shape[1]):
                total = 0.0
                if moves[a] and slope[a, p, i] != 0.0:
                    total += dx * slope[a, p, i]
                if moves[b] and slope[b, p, i] != 0.0:
                    total += dy * slope[b, p, i]
                slope[out, p, i] = total


@_kernel
def run_functions(code, _moves, value, slope):
    """Any other function of one register."""
    for k in range(len(code)):
        op, out, a = code[k, 0], code[k, 1], code[k, 2]
        for i in range(value.shape[1]):
            v, d = _unary(op, value[a, i])
            value[out, i] = v
            for p in range(slope.shape[1]):
                slope[out, p, i] = d * slope[a, p, i] if slope[a, p, i] != 0.0 else 0.0


@_kernel
def run_choices(code, moves, value, slope):
    """One of two registers (WHERE a third is not zero)."""
    for k in range(len(code)):
        out, a, b, c = code[k, 1], code[k, 2], code[k, 3], code[k, 4]
        for i in range(value.shape[1]):
            chosen = b if value[a, i] != 0.0 else c
            value[out, i] = value[chosen, i]
            for p in range(slope.shape[1]):
                slope[out, p, i] = slope[chosen, p, i] if moves[chosen] else 0.0


@_kernel
def run_comparisons(code, moves, value, slope):
    """The register that counts (MINIMUM, MAXIMUM), with its derivatives, or whether a comparison is true."""
    for k in range(len(code)):
        op, out, a, b = code[k, 0], code[k, 1], code[k, 2], code[k, 3]
        for i in range(value.shape[1]):
            true = _holds(op, value[a, i], value[b, i])
            chosen = a if true else b
            value[out, i] = value[chosen, i] if op <= MAXIMUM else (1.0 if true else 0.0)
            for p in range(slope.shape[1]):
                slope[out, p, i] = slope[chosen, p, i] if op <= MAXIMUM and moves[chosen] else 0.0


#: The kernel of each operation.
_KERNELS: list[Any] = [
    run_parameters if op <= SCALE
    else run_products if op <= MULTIPLY
    else run_powers if op <= POWER
    else run_exponentials if op <= LOG
    else run_functions if op < WHERE
    else run_choices if op == WHERE
    else run_comparisons if op < GROUP_SUM
    else run_groups
    for op in range(GROUP_MODE + 1)
]  # fmt: skip
