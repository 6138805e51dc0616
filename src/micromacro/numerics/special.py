r"""Special functions as scalar kernels that Numba does not provide.

Sources: Abramowitz and Stegun (1964), 6.1.41 (log gamma), 6.3.18 and 6.4.12 (digamma, trigamma), 26.2.12 (the normal
tail).
"""

from __future__ import annotations

import math

from numba import njit

from .compiling import KERNEL

_kernel = njit(**KERNEL)
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


@_kernel
def digamma(x):
    """Derivative of log gamma, x > 0."""
    total = 0.0
    while x < 10.0:
        total -= 1.0 / x
        x += 1.0
    f = 1.0 / (x * x)
    series = f * (1 / 12 - f * (1 / 120 - f * (1 / 252 - f * (1 / 240 - f * (1 / 132 - f * 691 / 32760)))))
    return total + math.log(x) - 0.5 / x - series


@_kernel
def trigamma(x):
    """Second derivative of log gamma, x > 0."""
    total = 0.0
    while x < 10.0:
        total += 1.0 / (x * x)
        x += 1.0
    f = 1.0 / (x * x)
    series = f * (1 / 6 - f * (1 / 30 - f * (1 / 42 - f * (1 / 30 - f * (5 / 66 - f * 691 / 2730)))))
    return total + 1.0 / x + 0.5 * f + series / x


@_kernel
def log_gamma_ratio(x, d):
    """log Gamma(x + d) - log Gamma(x) with its digits where x is large (6.1.41); d > -x."""
    if x < 100.0 or x + d < 100.0:
        return math.lgamma(x + d) - math.lgamma(x)
    z = x + d
    rest = (1.0 / z - 1.0 / x) / 12.0 - (1.0 / z**3 - 1.0 / x**3) / 360.0
    return (x - 0.5) * math.log1p(d / x) + d * (math.log(z) - 1.0) + rest


@_kernel
def log1p_exp(x):
    """log(1 + exp(x)) without overflow."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@_kernel
def logistic(x):
    """1 / (1 + exp(-x)) without overflow."""
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


@_kernel
def log_normal_cdf(x):
    """log Phi(x) with its two derivatives, right in both tails.

    With r = phi(x) / Phi(x) they are r and -r (x + r).
    """
    if x > 40.0:
        return 0.0, 0.0, 0.0
    if x < -1e100:  # the square may be infinite
        return -0.5 * x * x, -x, -1.0
    if x > -30.0:
        value = (
            math.log(0.5 * math.erfc(-x / math.sqrt(2.0)))
            if x < 5.0
            else math.log1p(-0.5 * math.erfc(x / math.sqrt(2.0)))
        )
        r = math.exp(-0.5 * x * x - _HALF_LOG_2PI - value)
        return value, r, -r * (x + r)
    f = 1.0 / (x * x)
    less = f * (1.0 - f * (3.0 - f * (15.0 - f * (105.0 - f * 945.0))))
    value = -0.5 * x * x - _HALF_LOG_2PI - math.log(-x) + math.log1p(-less)
    r = -x / (1.0 - less)
    # x + r without the difference of near numbers
    return value, r, x * r * less / (1.0 - less)


@_kernel
def log_cloglog(x):
    """log(1 - exp(-exp(x))) with its two derivatives."""
    t = math.exp(x)
    if t > 700.0:
        return 0.0, 0.0, 0.0
    e = math.expm1(t)  # exp(t) - 1
    if t < 1e-8:
        return x - 0.5 * t, 1.0 - 0.5 * t, -0.5 * t
    value = math.log(-math.expm1(-t))
    d = t / e
    return value, d, d * (1.0 - t - d)


@_kernel
def log_difference(a, da, dda, b, db, ddb):
    """log(exp(a) - exp(b)) for a > b, with two derivatives from those of a and b.

    With k = exp(b) / (exp(a) - exp(b)) they are a' + k (a' - b') and a'' + k (a'' - b'') - k (1 + k) (a' - b')^2,
    in which no squares of large slopes cancel. Where nothing is left between a and b in their digits it is -inf, with
    slopes of zero.
    """
    gap = b - a
    if not gap < 0.0:  # equal, or both infinite
        return -math.inf, 0.0, 0.0
    if gap < -745.0:  # exp(b) is nothing beside exp(a), and its slopes may be infinite
        return a, da, dda
    value = a + (math.log1p(-math.exp(gap)) if gap < -0.6931471805599453 else math.log(-math.expm1(gap)))
    k = 1.0 / math.expm1(-gap)
    d = da - db
    return value, da + k * d, dda + k * (dda - ddb) - k * (1.0 + k) * d * d
