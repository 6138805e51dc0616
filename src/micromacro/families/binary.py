"""What bernoulli, binomial and ordinal share: their links, as kernels and as plain functions."""

from __future__ import annotations

import difflib
import math
from typing import Any

import numpy as np
from numba import njit
from scipy import special as scipy_special

from ..errors import ModelError
from ..numerics.compiling import KERNEL
from ..numerics.special import log1p_exp, log_cloglog, log_normal_cdf, logistic

LINKS = {"logit": 0, "probit": 1, "cloglog": 2}
#: Variance of the link's standard distribution.
VARIANCE = {"logit": math.pi**2 / 3.0, "probit": 1.0, "cloglog": math.pi**2 / 6.0}


def check_link(link: str, family: str) -> None:
    """Refuse a link that is not there."""
    if link not in LINKS:
        near = difflib.get_close_matches(str(link), LINKS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ModelError(f"family {family} has the links {', '.join(LINKS)}, not {link!r}{hint}")


@njit(**KERNEL)
def log_below(link, x):  # noqa: ANN001, ANN201
    """Log of the link's distribution function F at x, with two derivatives."""
    if link == 0:
        p = logistic(-x)
        return -log1p_exp(-x), p, -p * (1.0 - p)
    if link == 1:
        return log_normal_cdf(x)
    return log_cloglog(x)


@njit(**KERNEL)
def log_above(link, x):  # noqa: ANN001, ANN201
    """Log of 1 - F at x, with two derivatives."""
    if link == 0:
        p = logistic(x)
        return -log1p_exp(x), -p, -p * (1.0 - p)
    if link == 1:
        value, d, dd = log_normal_cdf(-x)
        return value, -d, dd
    t = math.exp(x)
    return -t, -t, -t


@njit(**KERNEL)
def slopes(link, successes, trials, eta, out):  # noqa: ANN001, ANN201
    """Log density of successes among trials (the binomial coefficient left out) and its derivatives in eta."""
    for i in range(len(eta)):
        k, failures = successes[i], trials[i] - successes[i]
        value = d = dd = 0.0
        if k > 0.0:
            a, da, dda = log_below(link, eta[i])
            value, d, dd = k * a, k * da, k * dda
        if failures > 0.0:
            b, db, ddb = log_above(link, eta[i])
            value, d, dd = value + failures * b, d + failures * db, dd + failures * ddb
        out[0, i] = value
        out[1, i] = d
        out[2, i] = dd
        out[3, i] = max(-dd, 0.0)


def probability(link: str, eta: np.ndarray) -> np.ndarray:
    """F(eta)."""
    if link == "logit":
        return scipy_special.expit(eta)
    return scipy_special.ndtr(eta) if link == "probit" else -np.expm1(-np.exp(eta))


def quantile(link: str, p: float | np.ndarray) -> Any:
    """The eta with F(eta) = p."""
    if link == "logit":
        return scipy_special.logit(p)
    return scipy_special.ndtri(p) if link == "probit" else np.log(-np.log1p(-np.asarray(p)))


def plain_logs(link: str, eta: Any, xp: Any, special: Any) -> tuple[Any, Any]:
    """log F(eta) and log(1 - F(eta)) in the functions of `xp`."""
    if link == "logit":
        return -xp.logaddexp(0.0, -eta), -xp.logaddexp(0.0, eta)
    if link == "probit":
        return special.log_ndtr(eta), special.log_ndtr(-eta)
    return plain_log_cloglog(eta, xp), -xp.exp(eta)


def plain_log_cloglog(x: Any, xp: Any) -> Any:
    """log(1 - exp(-exp(x))) in the functions of `xp`; x itself where exp(x) is too small a number."""
    far = x < -300.0
    return xp.where(far, x, xp.log(-xp.expm1(-xp.exp(xp.where(far, 0.0, x)))))
