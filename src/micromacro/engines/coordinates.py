r"""Coordinates in which the engines search and sample.

*Scores* (mcmc): a weight parameter moves in the normal score of its prior, :math:`u = \Phi^{-1}(F(x))`. A positive
parameter whose prior has a finite density at zero moves in its **half score**,
:math:`u = \Phi^{-1}\{(1 + F(x))/2\} \ge 0`: the normal score of the prior reflected at zero. Either way the prior of u
is standard normal (cut at zero), so what the data cannot see has a Gaussian tail; and since the likelihood depends on
an sd through its square only, the posterior of u is smooth and even at zero: a variance near zero has no long tail of
its logarithm to wander in. Scores are measured in units in which a parameter moves by about its starting value, so that
a vague prior does not squeeze the posterior into a corner.

*Ratios* (ml, reml; Gaussian): sds relative to sigma, and log sigma, in which the profile likelihood is close to
quadratic. *Steps* (ml; other outcomes): sds as they are, logarithms of the family's positive parameters, and
coefficients in units of their standard errors at the start.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from ..parameters import Parameter
from ..priors import Prior

_ROOT_2_OVER_PI = math.sqrt(2.0 / math.pi)


class Scores:
    """Prior scores of theta, each divided by its `unit`.

    Attributes
    ----------
    folded : (q,) bool array
        Entries that live on u >= 0.
    unit : (q,) array
    """

    def __init__(self, hypers: tuple[Parameter, ...]):
        self.hypers = hypers
        self.folded = np.array([_reaches_zero(p.prior) for p in hypers], dtype=bool)
        self.unit = np.ones(len(hypers))
        start = np.array([p.start for p in hypers])
        at = self.from_theta(start)
        moved = self.from_theta(start + 1.0)
        for k, p in enumerate(hypers):
            if self.folded[k] and at[k] > 0.0:
                self.unit[k] = min(1.0, at[k])
            elif p.kind == "cut":
                self.unit[k] = min(1.0, moved[k] - at[k])

    def log_prior(self, u: np.ndarray) -> float:
        """Log prior density of u up to a constant."""
        scores = u * self.unit
        return -0.5 * float(scores @ scores)

    def prior_slope(self, u: np.ndarray) -> np.ndarray:
        """Derivative of the log prior density of u."""
        return -u * self.unit * self.unit

    def theta(self, u: np.ndarray) -> np.ndarray:
        """Natural parameters at u."""
        u = u * self.unit
        out = np.empty(len(u))
        for k, p in enumerate(self.hypers):
            out[k] = p.prior.inverse_above(2.0 * special.ndtr(-u[k])) if self.folded[k] else p.prior.from_score(u[k])
        return out

    def slope(self, u: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """d theta_k / d u_k."""
        u = u * self.unit
        out = np.empty(len(u))
        for k, p in enumerate(self.hypers):
            if self.folded[k]:
                x = max(theta[k], 1e-300)
                out[k] = _ROOT_2_OVER_PI * math.exp(-0.5 * u[k] * u[k] - p.prior.log_density(x))
            else:
                out[k] = p.prior.score_slope(u[k], theta[k])
        return out * self.unit

    def from_theta(self, theta: np.ndarray) -> np.ndarray:
        """u of natural parameters."""
        out = np.empty(len(theta))
        for k, p in enumerate(self.hypers):
            if self.folded[k]:
                out[k] = -special.ndtri(0.5 * p.prior.above(theta[k])) if theta[k] > 0 else 0.0
            else:
                out[k] = p.prior.to_score(theta[k])
        return np.clip(out, -8.0, 8.0) / self.unit


def _reaches_zero(prior: Prior) -> bool:
    """Whether a prior of positive numbers has a finite, positive density at zero, where its half score begins."""
    if prior.support != (0.0, math.inf):
        return False
    return abs(prior.log_density(1e-12) - prior.log_density(1e-9)) < 0.1


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


class Steps:
    """A point (theta, then held coefficients) in steps of about one standard error.

    Parameters
    ----------
    hypers : tuple of Parameter
    center : (c,) array
        Coefficients at u = 0.
    root : (c, c) array
        Coefficients are center + root u.
    """

    def __init__(self, hypers: tuple[Parameter, ...], center: np.ndarray, root: np.ndarray):
        self.hypers = hypers
        self.center, self.root = center, root
        self.q = len(hypers)
        self.sd = np.array([p.kind == "sd" for p in hypers] + [False] * len(center), dtype=bool)
        self.folded = self.sd.copy()
        self.log = np.array([p.positive and p.kind != "sd" for p in hypers], dtype=bool)
        cuts = [k for k, p in enumerate(hypers) if p.kind == "cut"]
        self.rising = np.array(cuts[1:], dtype=np.int64)  # cuts as the first and the logarithms of their gaps

    def theta(self, u: np.ndarray) -> np.ndarray:
        """The point at u."""
        out = u.copy()
        out[: self.q][self.log] = np.exp(u[: self.q][self.log])
        out[self.sd] = np.abs(u[self.sd])
        for k in self.rising:
            out[k] = out[k - 1] + math.exp(u[k])
        out[self.q :] = self.center + self.root @ u[self.q :]
        return out

    def from_theta(self, point: np.ndarray) -> np.ndarray:
        """u of a point."""
        out = point.copy()
        out[: self.q][self.log] = np.log(point[: self.q][self.log])
        for k in self.rising:
            out[k] = math.log(max(point[k] - point[k - 1], 1e-8))
        out[self.q :] = np.linalg.solve(self.root, point[self.q :] - self.center)
        return out

    def jacobian(self, u: np.ndarray) -> np.ndarray:
        """d point / d u."""
        out = np.eye(len(u))
        logs = np.flatnonzero(self.log)
        out[logs, logs] = np.exp(u[logs])
        out[self.sd, self.sd] = np.where(u[self.sd] < 0, -1.0, 1.0)
        for k in self.rising:
            out[k] = out[k - 1]
            out[k, k] = math.exp(u[k])
        out[self.q :, self.q :] = self.root
        return out

    def bounds(self) -> list[tuple[float | None, float | None]]:
        """Bounds for the search: sds from zero, logarithms within reach, the rest as their priors say."""
        out: list[tuple[float | None, float | None]] = []
        for k, p in enumerate(self.hypers):
            low, high = p.prior.support
            if self.sd[k]:
                out.append((0.0, None))
            elif self.log[k] or k in self.rising:
                out.append((-18.0, 18.0))
            else:
                out.append((low if math.isfinite(low) else None, high if math.isfinite(high) else None))
        return out + [(None, None)] * len(self.center)
