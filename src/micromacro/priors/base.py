r"""Prior distributions, each with its density and its *normal score*.

The normal score of x under a prior with distribution function F is :math:`\varphi = \Phi^{-1}(F(x))`. In that
coordinate the prior is standard normal, so a parameter that the data cannot see has a Gaussian tail whatever its
prior was; :mod:`micromacro.engines.mcmc.engine` works there. Both tails go through their own survival function, so that
no digits are lost far out.

Users reach these as ``mm.prior.normal(0, 1)`` and so on. Scales are standard deviations or scale parameters, never
variances or precisions; rates are inverse scales.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from scipy import special

from ..errors import ModelError

LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Prior:
    """A distribution of one number; the base of all priors.

    Subclasses give `log_density`, `slope` (its derivative), the distribution function and its complement in
    `below` and `above`, and their inverses.
    """

    @property
    def support(self) -> tuple[float, float]:
        """Lower and upper end of the values that the prior allows."""
        return (-math.inf, math.inf)

    @property
    def proper(self) -> bool:
        """Whether the prior integrates to one."""
        return True

    def log_density(self, x: float) -> float:
        """Log density at x, with its constant; -inf outside the support."""
        raise NotImplementedError

    def slope(self, x: float) -> float:
        """Derivative of the log density at x."""
        raise NotImplementedError

    def below(self, x: float) -> float:
        """P(X <= x)."""
        raise NotImplementedError

    def above(self, x: float) -> float:
        """P(X > x)."""
        raise NotImplementedError

    def inverse_below(self, p: float) -> float:
        """The x with P(X <= x) = p."""
        raise NotImplementedError

    def inverse_above(self, p: float) -> float:
        """The x with P(X > x) = p."""
        raise NotImplementedError

    def from_score(self, score: float) -> float:
        """The value whose normal score is `score`."""
        if score <= 0.0:
            return float(self.inverse_below(special.ndtr(score)))
        return float(self.inverse_above(special.ndtr(-score)))

    def score_slope(self, score: float, x: float) -> float:
        """Derivative dx/dscore at a value x with normal score `score`."""
        return math.exp(-0.5 * score * score - LOG_ROOT_2PI - self.log_density(x))

    def to_score(self, x: float) -> float:
        """The normal score of x."""
        p = float(self.below(x))
        if p <= 0.5:
            return float(special.ndtri(p))
        return float(-special.ndtri(self.above(x)))

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...] | None = None) -> np.ndarray:
        """Draws, by inversion of uniform numbers."""
        scores = rng.standard_normal(size)
        return np.vectorize(self.from_score, otypes=[float])(scores)

    def __str__(self) -> str:
        inside = ", ".join(f"{getattr(self, f.name):.4g}" for f in fields(self))
        return f"{_snake(type(self).__name__)}({inside})"


def _snake(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(name))


def check_positive(owner: str, **values: float) -> None:
    """Refuse values that are not positive and finite."""
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise ModelError(f"prior {owner}: {name} must be a positive number, not {value!r}")


def check_finite(owner: str, **values: float) -> None:
    """Refuse values that are not finite."""
    for name, value in values.items():
        if not math.isfinite(value):
            raise ModelError(f"prior {owner}: {name} must be a finite number, not {value!r}")
