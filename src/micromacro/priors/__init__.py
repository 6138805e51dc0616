"""Prior distributions, as users make them: ``mm.prior.normal(0, 1)`` and so on.

Scales are standard deviations or scale parameters, never variances or precisions; rates are inverse scales.
:mod:`.base` says what a prior is, :mod:`.distributions` has one class for each.
"""

from __future__ import annotations

from .._public import public_all
from .base import Prior as Prior
from .distributions import (
    Beta,
    Exponential,
    Fixed,
    Flat,
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudent,
    Lkj,
    LogGamma,
    Normal,
    Student,
    Uniform,
)
from .distributions import (
    Pinned as Pinned,
)

__all__ = [
    "beta",
    "exponential",
    "fixed",
    "gamma",
    "half_cauchy",
    "half_normal",
    "half_student",
    "lkj",
    "log_gamma",
    "normal",
    "student",
    "uniform",
]  # what users call


def normal(mean: float = 0.0, sd: float = 1.0) -> Normal:
    """Normal prior.

    Parameters
    ----------
    mean : float
    sd : float
        Standard deviation, never a variance or precision.

    Returns
    -------
    Prior

    Raises
    ------
    ModelError
        If `mean` is not finite, or `sd` not positive and finite.
    """
    return Normal(float(mean), float(sd))


def student(df: float, loc: float = 0.0, scale: float = 1.0) -> Student:
    """Student's t prior.

    Parameters
    ----------
    df : float
        Degrees of freedom.
    loc : float
        Location: the centre.
    scale : float
        Scale; the standard deviation is larger.

    Returns
    -------
    Prior

    Raises
    ------
    ModelError
        If `loc` is not finite, or `df` or `scale` not positive and finite.
    """
    return Student(float(df), float(loc), float(scale))


def half_student(df: float, loc: float = 0.0, scale: float = 1.0) -> HalfStudent:
    """Student's t prior truncated at zero, for standard deviations.

    Parameters
    ----------
    df : float
        Degrees of freedom.
    loc : float
        Location of the distribution before it is truncated.
    scale : float
        Scale.

    Returns
    -------
    Prior

    Raises
    ------
    ModelError
        If `loc` is not finite, or `df` or `scale` not positive and finite.
    """
    return HalfStudent(float(df), float(loc), float(scale))


def half_cauchy(scale: float = 1.0) -> HalfCauchy:
    """Half-Cauchy prior, for standard deviations.

    Parameters
    ----------
    scale : float
        Scale, which is also the median.

    Returns
    -------
    Prior

    Raises
    ------
    ModelError
        If `scale` is not positive and finite.
    """
    return HalfCauchy(float(scale))


def half_normal(scale: float = 1.0) -> HalfNormal:
    """Half-normal prior: the absolute value of a normal(0, `scale`) variable, for standard deviations.

    Parameters
    ----------
    scale : float
        Standard deviation of the normal variable.

    Returns
    -------
    Prior

    Raises
    ------
    ModelError
        If `scale` is not positive and finite.
    """
    return HalfNormal(float(scale))


def exponential(rate: float = 1.0) -> Exponential:
    """Exponential prior, for positive parameters.

    Parameters
    ----------
    rate : float
        Inverse of the mean.

    Returns
    -------
    Prior

    Raises
    ------
    ModelError
        If `rate` is not positive and finite.
    """
    return Exponential(float(rate))


def gamma(shape: float, rate: float) -> Gamma:
    """Gamma prior, for positive parameters.

    Parameters
    ----------
    shape : float
    rate : float
        Inverse scale; the mean is `shape` / `rate`.

    Returns
    -------
    Prior

    Raises
    ------
    ModelError
        If `shape` or `rate` is not positive and finite.
    """
    return Gamma(float(shape), float(rate))


def log_gamma(shape: float, rate: float) -> LogGamma:
    """Prior for a log hazard whose exponential has a gamma distribution.

    Parameters
    ----------
    shape : float
    rate : float
        Inverse scale; the mean of the hazard is `shape` / `rate`.

    Returns
    -------
    Prior

    Raises
    ------
    ModelError
        If `shape` or `rate` is not positive and finite.
    """
    return LogGamma(float(shape), float(rate))


def uniform(a: float, b: float) -> Uniform:
    """Uniform prior between two bounds, which no engine crosses.

    Parameters
    ----------
    a : float
        Lower bound.
    b : float
        Upper bound.

    Returns
    -------
    Prior

    Raises
    ------
    ModelError
        If the bounds are not finite, or `a` is not below `b`.
    """
    return Uniform(float(a), float(b))


def beta(a: float, b: float) -> Beta:
    """Beta prior on (0, 1).

    Parameters
    ----------
    a, b : float
        Shapes; the mean is `a` / (`a` + `b`).

    Returns
    -------
    Prior

    Raises
    ------
    ModelError
        If `a` or `b` is not positive and finite.
    """
    return Beta(float(a), float(b))


def lkj(eta: float = 1.0) -> Lkj:
    """LKJ prior for the correlations of effects that vary together, as in ``(1 + x | unit)``.

    Parameters
    ----------
    eta : float
        Shape: 1 is uniform over correlation matrices, larger values favour correlations near zero.

    Returns
    -------
    Prior

    Raises
    ------
    ModelError
        If `eta` is not positive and finite.
    """
    return Lkj(float(eta))


def fixed(value: float) -> Fixed:
    """No estimation: the parameter is held at a value, as by ``fixed={name: value}``.

    Parameters
    ----------
    value : float
        On the natural scale; an intercept is fixed at zero covariates.

    Returns
    -------
    Prior

    Raises
    ------
    ModelError
        If `value` is not finite.
    """
    return Fixed(float(value))


FLAT = Flat()


def __dir__() -> list[str]:
    return list(__all__)


public_all(globals(), __all__)
