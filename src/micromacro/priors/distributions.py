"""The distributions: one class each, with density, slope, distribution function and its inverse."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import special

from ..errors import ModelError
from .base import LOG_ROOT_2PI, Prior, check_finite, check_positive


@dataclass(frozen=True)
class Flat(Prior):
    """The improper prior that is 1 everywhere (on the scale of the parameter)."""

    @property
    def proper(self) -> bool:
        return False

    def log_density(self, x: float) -> float:
        return 0.0

    def slope(self, x: float) -> float:
        return 0.0

    def __str__(self) -> str:
        return "flat"


@dataclass(frozen=True)
class Normal(Prior):
    """Normal with a mean and a standard deviation."""

    mean: float
    sd: float

    def __post_init__(self):
        check_finite("normal", mean=self.mean)
        check_positive("normal", sd=self.sd)

    def log_density(self, x: float) -> float:
        u = (x - self.mean) / self.sd
        return -0.5 * u * u - LOG_ROOT_2PI - math.log(self.sd)

    def slope(self, x: float) -> float:
        return -(x - self.mean) / self.sd**2

    def below(self, x: float) -> float:
        return special.ndtr((x - self.mean) / self.sd)

    def above(self, x: float) -> float:
        return special.ndtr(-(x - self.mean) / self.sd)

    def from_score(self, score: float) -> float:
        return self.mean + self.sd * score

    def score_slope(self, score: float, x: float) -> float:
        return self.sd

    def to_score(self, x: float) -> float:
        return (x - self.mean) / self.sd


@dataclass(frozen=True)
class Student(Prior):
    """Student's t with degrees of freedom, location and scale."""

    df: float
    loc: float
    scale: float

    def __post_init__(self):
        check_finite("student", loc=self.loc)
        check_positive("student", df=self.df, scale=self.scale)

    def _constant(self) -> float:
        return (
            math.lgamma((self.df + 1) / 2) - math.lgamma(self.df / 2) - 0.5 * math.log(self.df * math.pi)
            - math.log(self.scale)
        )  # fmt: skip

    def log_density(self, x: float) -> float:
        u = (x - self.loc) / self.scale
        return self._constant() - (self.df + 1) / 2 * math.log1p(u * u / self.df)

    def slope(self, x: float) -> float:
        u = (x - self.loc) / self.scale
        return -(self.df + 1) * u / (self.df + u * u) / self.scale

    def below(self, x: float) -> float:
        return special.stdtr(self.df, (x - self.loc) / self.scale)

    def above(self, x: float) -> float:
        return special.stdtr(self.df, -(x - self.loc) / self.scale)

    def inverse_below(self, p: float) -> float:
        return self.loc + self.scale * special.stdtrit(self.df, p)

    def inverse_above(self, p: float) -> float:
        return self.loc - self.scale * special.stdtrit(self.df, p)


@dataclass(frozen=True)
class HalfStudent(Student):
    """Student's t cut off below zero, renormalised: for standard deviations."""

    def __post_init__(self):
        check_finite("half_student", loc=self.loc)
        check_positive("half_student", df=self.df, scale=self.scale)

    @property
    def support(self) -> tuple[float, float]:
        return (0.0, math.inf)

    def _mass(self) -> float:
        """Probability of the uncut distribution above zero."""
        return float(special.stdtr(self.df, self.loc / self.scale))

    def log_density(self, x: float) -> float:
        return super().log_density(x) - math.log(self._mass()) if x >= 0 else -math.inf

    def below(self, x: float) -> float:
        if self.loc == 0.0:
            u = max(x, 0.0) / self.scale
            return float(special.betainc(0.5, 0.5 * self.df, u * u / (self.df + u * u)))
        return 1.0 - self.above(x)

    def above(self, x: float) -> float:
        return super().above(x) / self._mass() if x > 0 else 1.0

    def inverse_below(self, p: float) -> float:
        if self.loc == 0.0:
            v = float(special.betaincinv(0.5, 0.5 * self.df, p))
            return self.scale * math.sqrt(self.df * v / (1.0 - v))
        mass = self._mass()
        return max(0.0, super().inverse_below(1.0 - mass + p * mass))

    def inverse_above(self, p: float) -> float:
        return max(0.0, super().inverse_above(p * self._mass()))


@dataclass(frozen=True)
class HalfCauchy(Prior):
    """Half-Cauchy with a scale: for standard deviations."""

    scale: float

    def __post_init__(self):
        check_positive("half_cauchy", scale=self.scale)

    @property
    def support(self) -> tuple[float, float]:
        return (0.0, math.inf)

    def log_density(self, x: float) -> float:
        u = x / self.scale
        return math.log(2.0 / (math.pi * self.scale)) - math.log1p(u * u) if x >= 0 else -math.inf

    def slope(self, x: float) -> float:
        return -2.0 * x / (self.scale**2 + x * x)

    def below(self, x: float) -> float:
        return 2.0 / math.pi * math.atan2(max(x, 0.0), self.scale)

    def above(self, x: float) -> float:
        return 2.0 / math.pi * math.atan2(self.scale, max(x, 0.0))

    def inverse_below(self, p: float) -> float:
        return self.scale * math.tan(0.5 * math.pi * p)

    def inverse_above(self, p: float) -> float:
        return self.scale / math.tan(0.5 * math.pi * p)


@dataclass(frozen=True)
class HalfNormal(Prior):
    """Normal around zero, cut off below zero: for standard deviations."""

    scale: float

    def __post_init__(self):
        check_positive("half_normal", scale=self.scale)

    @property
    def support(self) -> tuple[float, float]:
        return (0.0, math.inf)

    def log_density(self, x: float) -> float:
        u = x / self.scale
        return math.log(2.0) - 0.5 * u * u - LOG_ROOT_2PI - math.log(self.scale) if x >= 0 else -math.inf

    def slope(self, x: float) -> float:
        return -x / self.scale**2

    def below(self, x: float) -> float:
        return float(special.erf(max(x, 0.0) / self.scale / math.sqrt(2.0)))

    def above(self, x: float) -> float:
        return float(special.erfc(max(x, 0.0) / self.scale / math.sqrt(2.0)))

    def inverse_below(self, p: float) -> float:
        return self.scale * math.sqrt(2.0) * special.erfinv(p)

    def inverse_above(self, p: float) -> float:
        return self.scale * math.sqrt(2.0) * special.erfcinv(p)


@dataclass(frozen=True)
class Exponential(Prior):
    """Exponential with a rate (the mean is 1 / rate)."""

    rate: float

    def __post_init__(self):
        check_positive("exponential", rate=self.rate)

    @property
    def support(self) -> tuple[float, float]:
        return (0.0, math.inf)

    def log_density(self, x: float) -> float:
        return math.log(self.rate) - self.rate * x if x >= 0 else -math.inf

    def slope(self, x: float) -> float:
        return -self.rate

    def below(self, x: float) -> float:
        return -math.expm1(-self.rate * max(x, 0.0))

    def above(self, x: float) -> float:
        return math.exp(-self.rate * max(x, 0.0))

    def inverse_below(self, p: float) -> float:
        return -math.log1p(-p) / self.rate

    def inverse_above(self, p: float) -> float:
        return -math.log(p) / self.rate if p > 0 else math.inf


@dataclass(frozen=True)
class Gamma(Prior):
    """Gamma with a shape and a rate (the mean is shape / rate)."""

    shape: float
    rate: float

    def __post_init__(self):
        check_positive("gamma", shape=self.shape, rate=self.rate)

    @property
    def support(self) -> tuple[float, float]:
        return (0.0, math.inf)

    def log_density(self, x: float) -> float:
        if not 0.0 < x < math.inf:
            return -math.inf
        return (
            self.shape * math.log(self.rate) - math.lgamma(self.shape) + (self.shape - 1) * math.log(x) - self.rate * x
        )

    def slope(self, x: float) -> float:
        return (self.shape - 1) / x - self.rate

    def below(self, x: float) -> float:
        return special.gammainc(self.shape, self.rate * max(x, 0.0))

    def above(self, x: float) -> float:
        return special.gammaincc(self.shape, self.rate * max(x, 0.0))

    def inverse_below(self, p: float) -> float:
        return special.gammaincinv(self.shape, p) / self.rate

    def inverse_above(self, p: float) -> float:
        return special.gammainccinv(self.shape, p) / self.rate


@dataclass(frozen=True)
class LogGamma(Prior):
    """The distribution of the logarithm of a gamma variable with a shape and a rate: for log hazards."""

    shape: float
    rate: float

    def __post_init__(self):
        check_positive("log_gamma", shape=self.shape, rate=self.rate)

    def log_density(self, x: float) -> float:
        scaled = self.rate * math.exp(x) if x < 700.0 else math.inf
        return self.shape * (math.log(self.rate) + x) - math.lgamma(self.shape) - scaled

    def slope(self, x: float) -> float:
        return self.shape - self.rate * math.exp(x)

    def below(self, x: float) -> float:
        return special.gammainc(self.shape, self.rate * math.exp(x))

    def above(self, x: float) -> float:
        return special.gammaincc(self.shape, self.rate * math.exp(x))

    def inverse_below(self, p: float) -> float:
        small = special.gammaincinv(self.shape, p)
        if small > 1e-290:
            return math.log(small / self.rate)
        # x^s / Gamma(s + 1) is the distribution function near zero
        return (math.log(p) + math.lgamma(self.shape + 1.0)) / self.shape - math.log(self.rate)

    def inverse_above(self, p: float) -> float:
        if p > 0.5:  # the median of a small shape may be too small for a number
            return self.inverse_below(1.0 - p)
        return math.log(max(special.gammainccinv(self.shape, p), 1e-300) / self.rate)


@dataclass(frozen=True)
class Uniform(Prior):
    """Uniform between a and b."""

    a: float
    b: float

    def __post_init__(self):
        check_finite("uniform", a=self.a, b=self.b)
        if self.a >= self.b:
            raise ModelError(f"prior uniform: a = {self.a:g} must lie below b = {self.b:g}")

    @property
    def support(self) -> tuple[float, float]:
        return (self.a, self.b)

    def log_density(self, x: float) -> float:
        return -math.log(self.b - self.a) if self.a <= x <= self.b else -math.inf

    def slope(self, x: float) -> float:
        return 0.0

    def below(self, x: float) -> float:
        return min(1.0, max(0.0, (x - self.a) / (self.b - self.a)))

    def above(self, x: float) -> float:
        return min(1.0, max(0.0, (self.b - x) / (self.b - self.a)))

    def inverse_below(self, p: float) -> float:
        return self.a + p * (self.b - self.a)

    def inverse_above(self, p: float) -> float:
        return self.b - p * (self.b - self.a)


@dataclass(frozen=True)
class Beta(Prior):
    """Beta on (0, 1) with shapes a and b."""

    a: float
    b: float

    def __post_init__(self):
        check_positive("beta", a=self.a, b=self.b)

    @property
    def support(self) -> tuple[float, float]:
        return (0.0, 1.0)

    def log_density(self, x: float) -> float:
        if not 0.0 < x < 1.0:
            return -math.inf
        return float((self.a - 1) * math.log(x) + (self.b - 1) * math.log1p(-x) - special.betaln(self.a, self.b))

    def slope(self, x: float) -> float:
        return (self.a - 1) / x - (self.b - 1) / (1 - x)

    def below(self, x: float) -> float:
        return special.betainc(self.a, self.b, min(1.0, max(0.0, x)))

    def above(self, x: float) -> float:
        return special.betainc(self.b, self.a, min(1.0, max(0.0, 1.0 - x)))

    def inverse_below(self, p: float) -> float:
        return special.betaincinv(self.a, self.b, p)

    def inverse_above(self, p: float) -> float:
        return 1.0 - special.betaincinv(self.b, self.a, p)


@dataclass(frozen=True)
class Lkj(Prior):
    r"""Lewandowski, Kurowicka and Joe's prior on a correlation matrix, density :math:`\propto |R|^{\eta - 1}`.

    As the prior of one correlation between two effects it is a beta(eta, eta) stretched to (-1, 1). Of `terms` effects
    the canonical partial correlations are independent under it; the one given `given` others is a beta(b, b) with
    :math:`b = \eta + (terms - 2 - given)/2`, stretched likewise, and that is what the methods here are about.
    """

    eta: float
    terms: int = 2
    given: int = 0

    def __post_init__(self):
        check_positive("lkj", eta=self.eta)

    def __str__(self) -> str:
        return f"lkj({self.eta:.4g})"

    @property
    def shape(self) -> float:
        """Both shapes of the beta."""
        return self.eta + 0.5 * (self.terms - 2 - self.given)

    @property
    def support(self) -> tuple[float, float]:
        return (-1.0, 1.0)

    def _beta(self) -> Beta:
        return Beta(self.shape, self.shape)

    def log_density(self, x: float) -> float:
        return self._beta().log_density(0.5 * (1.0 + x)) - math.log(2.0)

    def slope(self, x: float) -> float:
        return -2.0 * (self.shape - 1.0) * x / (1.0 - x * x)

    def below(self, x: float) -> float:
        return self._beta().below(0.5 * (1.0 + x))

    def above(self, x: float) -> float:
        return self._beta().above(0.5 * (1.0 + x))

    def inverse_below(self, p: float) -> float:
        return 2.0 * self._beta().inverse_below(p) - 1.0

    def inverse_above(self, p: float) -> float:
        return 1.0 - 2.0 * self._beta().inverse_below(p)


@dataclass(frozen=True)
class Pinned(Normal):
    """A coefficient that stays in x and is known: normal with an sd that is nothing beside it.

    For coefficients that cannot be handed over to theta, where :class:`Fixed` holds the others.
    """

    def __str__(self) -> str:
        return f"fixed({self.mean:.4g})"


@dataclass(frozen=True)
class Fixed(Prior):
    """All the mass at one value: the parameter is known and leaves what is estimated.

    Where tables report another number in its place (a correlation instead of a partial one), that is `told`.
    """

    value: float
    told: float | None = None

    def __post_init__(self):
        check_finite("fixed", value=self.value)

    def __str__(self) -> str:
        return f"fixed({self.value if self.told is None else self.told:.4g})"

    @property
    def support(self) -> tuple[float, float]:
        return (self.value, self.value)

    def log_density(self, x: float) -> float:
        return 0.0 if x == self.value else -math.inf

    def slope(self, x: float) -> float:
        return 0.0

    def below(self, x: float) -> float:
        return float(x >= self.value)

    def above(self, x: float) -> float:
        return float(x < self.value)

    def inverse_below(self, p: float) -> float:
        return self.value

    def inverse_above(self, p: float) -> float:
        return self.value
