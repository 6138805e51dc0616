r"""Coordinates in which the engines search and sample.

*Scores* (mcmc): a weight parameter moves in the normal score of its prior, :math:`u = \Phi^{-1}(F(x))`. A positive
parameter moves in its **half score**, :math:`u = \Phi^{-1}\{(1 + F(x))/2\} \ge 0`: the normal score of the prior
reflected at zero. Either way the prior of u is standard normal (cut at zero), so what the data cannot see has a
Gaussian tail; and since the likelihood depends on an sd through its square only, the posterior of u is smooth and
even at zero: a variance near zero has no long tail of its logarithm to wander in.

*Ratios* (ml, reml): sds relative to sigma, and log sigma, in which the profile likelihood is close to quadratic.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from ..parameters import Parameter

_ROOT_2_OVER_PI = math.sqrt(2.0 / math.pi)


class Scores:
    """Prior scores of theta. The log prior density of u is ``-u'u/2`` up to `log_constant`.

    Attributes
    ----------
    folded : (q,) bool array
        Entries that live on u >= 0.
    """

    def __init__(self, hypers: tuple[Parameter, ...]):
        self.hypers = hypers
        self.folded = np.array([p.prior.support == (0.0, math.inf) for p in hypers], dtype=bool)
        self.log_constant = -0.5 * len(hypers) * math.log(2.0 * math.pi) + float(self.folded.sum()) * math.log(2.0)

    def theta(self, u: np.ndarray) -> np.ndarray:
        """Natural parameters at u."""
        out = np.empty(len(u))
        for k, p in enumerate(self.hypers):
            out[k] = p.prior.inverse_above(2.0 * special.ndtr(-u[k])) if self.folded[k] else p.prior.from_score(u[k])
        return out

    def slope(self, u: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """d theta_k / d u_k."""
        out = np.empty(len(u))
        for k, p in enumerate(self.hypers):
            if self.folded[k]:
                x = max(theta[k], 1e-300)
                out[k] = _ROOT_2_OVER_PI * math.exp(-0.5 * u[k] * u[k] - p.prior.log_density(x))
            else:
                out[k] = p.prior.score_slope(u[k], theta[k])
        return out

    def from_theta(self, theta: np.ndarray) -> np.ndarray:
        """u of natural parameters."""
        out = np.empty(len(theta))
        for k, p in enumerate(self.hypers):
            if self.folded[k]:
                out[k] = -special.ndtri(0.5 * p.prior.above(theta[k])) if theta[k] > 0 else 0.0
            else:
                out[k] = p.prior.to_score(theta[k])
        return np.clip(out, -8.0, 8.0)


class Ratios:
    """theta with every sd relative to sigma, and log sigma; sigma is the last entry."""

    def __init__(self, hypers: tuple[Parameter, ...]):
        self.hypers = hypers
        self.sd = np.array([p.kind == "sd" for p in hypers], dtype=bool)
        self.folded = self.sd.copy()

    def theta(self, u: np.ndarray) -> np.ndarray:
        """Natural parameters at u."""
        out = u.copy()
        out[-1] = math.exp(u[-1])
        out[self.sd] = np.abs(u[self.sd]) * out[-1]
        return out

    def from_theta(self, theta: np.ndarray) -> np.ndarray:
        """u of natural parameters."""
        out = theta.copy()
        out[self.sd] /= theta[-1]
        out[-1] = math.log(theta[-1])
        return out

    def jacobian(self, u: np.ndarray) -> np.ndarray:
        """d theta / d u (q, q)."""
        sigma = math.exp(u[-1])
        out = np.eye(len(u))
        out[self.sd, self.sd] = np.where(u[self.sd] < 0, -sigma, sigma)
        out[:-1, -1] = np.where(self.sd[:-1], np.abs(u[:-1]) * sigma, 0.0)
        out[-1, -1] = sigma
        return out

    def bounds(self) -> list[tuple[float | None, float | None]]:
        """Bounds for the search: sds from zero, the rest as their priors say."""
        out: list[tuple[float | None, float | None]] = []
        for k, p in enumerate(self.hypers):
            if k == len(self.hypers) - 1:
                out.append((None, None))
            elif self.sd[k]:
                out.append((0.0, None))
            else:
                low, high = p.prior.support
                out.append((low if math.isfinite(low) else None, high if math.isfinite(high) else None))
        return out
