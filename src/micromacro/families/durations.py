r"""What the families of durations share: censored log times :math:`\log t = \eta + e / a` for a standard e.

With :math:`z = a(\log t - \eta)` an event has log density :math:`\log f(z) + \log a - \log t`, a time censored on
the right :math:`\log S(z)`, on the left :math:`\log(1 - S(z))`, between two times
:math:`\log(S(z_1) - S(z_2))`; entry at a later time takes :math:`\log S(z_0)` away. For Weibull
:math:`S(z) = e^{-e^z}`, for the lognormal :math:`S(z) = \Phi(-z)`. Scale and signs are those of R's survreg.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from scipy.special import gamma, gammaincc, log_ndtr, ndtri_exp

from ..errors import DataError
from ..numerics.compiling import INLINED, KERNEL
from ..numerics.special import log_cloglog, log_difference, log_normal_cdf
from ..table.screen import counted
from .binary import plain_log_cloglog
from .response import EVENT, INTERVAL, LEFT, RIGHT, Raw, Response

WEIBULL, LOGNORMAL = 0, 1
FAR_BELOW = 300.0  # minus the z below which exp(z) is nothing beside one, but its square may be too small a number
FAR_ABOVE = 1e5  # z above which digits of its square are missing in differences
_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)


@njit(**KERNEL)
def _log_survival(standard, z):  # noqa: ANN001, ANN202
    if standard == WEIBULL:
        t = math.exp(z)
        return -t, -t, -t
    value, d, dd = log_normal_cdf(-z)
    return value, -d, dd


@njit(**INLINED)
def _after_far(code, z, start, gap):  # noqa: ANN001, ANN202
    """Log of f(z) or S(z) over S(start) of a standard normal, far out: S(z) is f(z) / z, so their squares cancel."""
    value = -0.5 * gap * (z + start) + math.log(start)
    if code == EVENT:
        return value, 1.0 / start - gap, -1.0 / (start * start)
    return value - math.log(z), 1.0 / start - 1.0 / z - gap, 1.0 / (z * z) - 1.0 / (start * start)


@njit(**INLINED)
def slopes(standard, values, eta, factor, out):  # noqa: ANN001, ANN201
    """Log density of durations and its derivatives in eta; `factor` is a, one over the scale of the log time."""
    log_factor = math.log(factor)
    for i in range(len(eta)):
        code = values[0, i]
        z = factor * (values[1, i] - eta[i])
        if code == EVENT and standard == WEIBULL:
            t = math.exp(z)
            value, d, dd = z - t + log_factor - values[1, i], 1.0 - t, -t
        elif code == EVENT:
            value, d, dd = -0.5 * z * z - _LOG_ROOT_2PI + log_factor - values[1, i], -z, -1.0
        elif code == RIGHT:
            value, d, dd = _log_survival(standard, z)
        elif code == LEFT:
            value, d, dd = log_cloglog(z) if standard == WEIBULL else log_normal_cdf(z)
        elif standard == WEIBULL and factor * (values[2, i] - eta[i]) < -FAR_BELOW:  # log(1 - S(z)) is z there
            gap = factor * (values[1, i] - values[2, i])
            value, d, dd = factor * (values[2, i] - eta[i]) + math.log(-math.expm1(gap)), 1.0, 0.0
        else:
            upper = factor * (values[2, i] - eta[i])
            if standard == LOGNORMAL and z + upper < 0.0:  # both survive almost surely: the lower tail keeps digits
                a, da, dda = log_normal_cdf(upper)
                b, db, ddb = log_normal_cdf(z)
            else:
                a, da, dda = _log_survival(standard, z)
                b, db, ddb = _log_survival(standard, upper)
            value, d, dd = log_difference(a, da, dda, b, db, ddb)
        if values[3, i] > -math.inf:
            start = factor * (values[3, i] - eta[i])
            if standard == LOGNORMAL and start > FAR_ABOVE:
                value, d, dd = _after_far(code, z, start, factor * (values[1, i] - values[3, i]))
                value += log_factor - values[1, i] if code == EVENT else 0.0
            elif value > -math.inf:  # else it is so after any entry
                e, de, dde = _log_survival(standard, start)
                value, d, dd = value - e, d - de, dd - dde
        out[0, i] = value
        out[1, i] = -factor * d
        out[2, i] = factor * factor * dd
        out[3, i] = max(-out[2, i], 0.0)


@njit(**KERNEL)
def _each(standard, values, eta, factor, out):  # noqa: ANN001, ANN202
    for i in range(len(eta)):
        slopes(standard, values[:, i : i + 1], eta[i : i + 1], factor[i], out[:, i : i + 1])


def slopes_at(standard: int, values: np.ndarray, eta: np.ndarray, factor: Any, out: np.ndarray) -> None:
    """:func:`slopes` at one factor, or at one for each group (groups,)."""
    (_each if np.ndim(factor) else slopes)(standard, values, eta, factor, out)


def log_density(standard: int, values: Any, eta: Any, factor: Any, xp: Any, special: Any) -> Any:
    """The same density, plainly."""

    def log_survival(z: Any) -> Any:
        return -xp.exp(z) if standard == WEIBULL else special.log_ndtr(-z)

    code, told = values[0], values[1] > -math.inf
    log_time = xp.where(told, values[1], 0.0)
    z = factor * (log_time - eta)
    if standard == WEIBULL:
        event = z - xp.exp(z)
        left = plain_log_cloglog(z, xp)
    else:
        event = -0.5 * z * z - _LOG_ROOT_2PI
        left = special.log_ndtr(z)
    out = xp.where(code == EVENT, event + xp.log(factor) - log_time, log_survival(z))
    inside = code == INTERVAL
    upper = factor * (xp.where(inside, values[2], 0.0) - eta)  # an infinity times a derivative of zero is nan
    between = _plain_between(standard, inside, z, upper, log_survival, xp)
    out = xp.where(code == LEFT, left, xp.where(code == INTERVAL, between, out))
    out = xp.where(told, out, 0.0)  # from zero to infinity
    entered = values[3] > -math.inf
    start = factor * (xp.where(entered, values[3], 0.0) - eta)
    entered = entered & (out > -math.inf)  # else it is so after any entry
    return out - xp.where(entered, log_survival(start), 0.0)


def _plain_between(standard: int, inside: Any, z: Any, upper: Any, log_survival: Any, xp: Any) -> Any:
    """log(S(z) - S(upper)) where `inside`; -inf where no digits tell them apart."""
    # elsewhere a made-up interval, so that automatic differentiation meets no infinity that it does not use
    low, high = xp.where(inside, z, 0.0), xp.where(inside, upper, 1.0)
    if standard == LOGNORMAL:  # the lower tail where both survive almost surely
        mirrored = low + high < 0.0
        low, high = xp.where(mirrored, -high, low), xp.where(mirrored, -low, high)
    far = (high < -FAR_BELOW) & (standard == WEIBULL)  # log(1 - S(z)) is z there
    few = log_survival(high) < log_survival(low)
    good = few & ~far
    most, least = log_survival(xp.where(good, low, 0.0)), log_survival(xp.where(good, high, 1.0))
    between = xp.where(few, most + xp.log(-xp.expm1(least - most)), -math.inf)
    gap = xp.where(far, low - high, -1.0)
    return xp.where(far, high + xp.log(-xp.expm1(gap)), between)


def cumulative_hazard(standard: int, times: np.ndarray, eta: np.ndarray, factor: Any) -> np.ndarray:
    """Minus log survival (..., times) at times (times,) from zero on and eta (...,)."""
    with np.errstate(divide="ignore"):
        factor = np.asarray(factor)[..., None] if np.ndim(factor) else factor
        z = factor * (np.log(times) - np.asarray(eta)[..., None])
    return np.exp(z) if standard == WEIBULL else -log_ndtr(-z)


def need_spread(raw: Raw, response: Response) -> Response:
    """Refuse durations that are the same everywhere, censored or not: the scale of the log time would be zero."""
    code, time, upper = response.values[:3, np.isfinite(response.values[1])]
    inside = code == INTERVAL
    if len(time) > 1 and np.ptp(time) == 0.0 and (not inside.any() or (inside.all() and np.ptp(upper) == 0.0)):
        raise DataError(
            f"the outcome {raw.what} is the same in all {counted(len(time), raw.noun)} ({np.exp(time[0]):g}), so its "
            "spread cannot be estimated: check the column"
        )
    return response


def draw_after(
    standard: int, eta: np.ndarray, factor: float, rng: np.random.Generator, entry: np.ndarray
) -> np.ndarray:  # fmt: skip
    """Durations given that they are later than `entry`: from there the cumulative hazard is standard exponential."""
    more = rng.exponential(1.0, eta.shape)
    with np.errstate(divide="ignore", over="ignore"):
        z = factor * (np.log(entry) - eta)
        reached = np.logaddexp(z, np.log(more)) if standard == WEIBULL else -ndtri_exp(log_ndtr(-z) - more)
        return np.exp(eta + reached / factor)


def mean_after(standard: int, eta: np.ndarray, factor: float, entry: np.ndarray) -> np.ndarray:
    r"""Expected durations given that they are later than `entry`.

    Weibull: :math:`e^{\eta} e^{H} \Gamma(1 + 1/a, H)` with H the cumulative hazard at entry, by the series in 1 / H
    where H is large; lognormal: :math:`e^{\eta + \sigma^2 / 2} \Phi(\sigma - z) / \Phi(-z)`.
    """
    with np.errstate(divide="ignore", over="ignore"):
        z = factor * (np.log(entry) - eta)
        hazard = np.exp(z)
    if standard == LOGNORMAL:
        return np.exp(eta + 0.5 / factor**2 + log_ndtr(1.0 / factor - z) - log_ndtr(-z))
    far, rest = hazard > 500.0, 1.0 / factor
    some = np.where(far, 0.0, hazard)
    plain = np.exp(eta + some) * gamma(1.0 + rest) * gammaincc(1.0 + rest, some)
    h = np.where(far, hazard, 1.0)
    return np.where(far, entry * (1.0 + rest / h * (1.0 + (rest - 1.0) / h)), plain)


def log_spread(response: Response, offset: np.ndarray) -> tuple[float, float]:
    """Standard deviation and mean of the log times, censored or not."""
    return response.spread_and_centre(response.values[1] - offset)
