r"""Coordinates in which the engines search and sample.

*Scores* (mcmc): a weight parameter moves in the normal score of its prior, :math:`u = \Phi^{-1}(F(x))`. A positive
parameter whose prior has a finite density at zero moves in its **half score**,
:math:`u = \Phi^{-1}\{(1 + F(x))/2\} \ge 0`: the normal score of the prior reflected at zero. Either way the prior of u
is standard normal (cut at zero), so what the data cannot see has a Gaussian tail; and since the likelihood depends on
an sd through its square only, the posterior of u is smooth and even at zero: a variance near zero has no long tail of
its logarithm to wander in. Scores are measured in units in which a parameter moves by about its starting value, so that
a vague prior does not squeeze the posterior into a corner.

*Ratios* (ml, reml; Gaussian): sds relative to sigma, and log sigma, in which the profile likelihood is close to
quadratic; a sigma that goes to zero lets the sds be (they are relative to :math:`\sqrt{\sigma^2 + c^2}`, c small).
*Steps* (ml; other outcomes): sds as they are, logarithms of the family's positive parameters, logits of its
probabilities, and coefficients in units of their standard errors at the start. In both a (partial) correlation is the
sine of its coordinate: the likelihood is then smooth, and even, at the ends -1 and 1 as it is in an sd at zero.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from ..parameters import HIGHEST, Parameter
from ..priors import Normal, Prior

_ROOT_2_OVER_PI = math.sqrt(2.0 / math.pi)
REACH = 18.0  # size of the logarithm of a positive parameter beyond which no search goes
LOGIT = 25.0  # size of the logit of a probability beyond which no search goes
SMALL = 0.1  # of the starting sigma: below it sds are measured as they are rather than relative to sigma


def correlations(hypers: tuple[Parameter, ...]) -> np.ndarray:
    """Which entries of theta are correlations (q,)."""
    return np.array([p.kind == "cor" for p in hypers], dtype=bool)


def shares(hypers: tuple[Parameter, ...]) -> np.ndarray:
    """Which entries of theta are probabilities (q,)."""
    return np.array([p.share for p in hypers], dtype=bool)


def roots(hypers: tuple[Parameter, ...]) -> np.ndarray:
    """Which entries of theta are entries of a signed root of correlated effects (q,)."""
    return np.array([p.kind == "root" for p in hypers], dtype=bool)


class Free:
    """Which entries of theta are estimated; the others keep the value at which they are fixed.

    Coordinates u have an entry for each that is free; theta always has all of them.

    Attributes
    ----------
    every : tuple of Parameter
        All of theta.
    hypers : tuple of Parameter
        Those that are free (q of them).
    free : (q,) int array
        Their places in theta.
    middle, spread : (q,) arrays
        Where the coordinate of a shape is zero, and its unit (of sds and weight parameters too, where units are given);
        0 and 1 for what has a coordinate of its own kind.
    log : (q,) bool array
        Positive parameters that are not sds of effects.
    """

    def __init__(self, every: tuple[Parameter, ...], units: np.ndarray | None = None):
        self.every = every
        self.free = np.array([k for k, p in enumerate(every) if not p.fixed], dtype=np.int64)
        self.hypers = tuple(every[k] for k in self.free)
        self._base = np.array([p.start for p in every])  # a fixed parameter starts at its value
        # shapes of aggregation features are measured from the middle of their data-scaled prior, in its sds
        shape = [p.guess if p.kind == "aggregate" and isinstance(p.guess, Normal) else None for p in self.hypers]
        self.middle = np.array([g.mean if g else 0.0 for g in shape])
        self.spread = np.array([g.sd if g else 1.0 for g in shape])
        if units is not None:
            self.spread *= units[self.free]
        self.log = np.array([p.positive and p.kind != "sd" for p in self.hypers], dtype=bool)

    def complete(self, own: np.ndarray) -> np.ndarray:
        """All of theta from its free entries."""
        out = self._base.copy()
        out[self.free] = own
        return out

    def support(self, k: int) -> tuple[float | None, float | None]:
        """Bounds of a coordinate that is neither an sd nor a logarithm, from the support of its parameter's prior."""
        low, high = self.hypers[k].prior.support
        if self.hypers[k].kind == "cor":
            return math.asin(max(low, -1.0)), math.asin(min(high, 1.0))
        if self.hypers[k].kind == "rho":
            return max(low, 0.0), min(high, HIGHEST)
        low, high = ((x - self.middle[k]) / self.spread[k] for x in (low, high))
        return (float(low) if math.isfinite(low) else None), (float(high) if math.isfinite(high) else None)

    def of_sd(self, k: int, value: float, u: np.ndarray) -> tuple[float, float]:
        """The coordinate k at which an sd has a value, the others being u, and its derivative in the last of them."""
        return value / float(self.spread[k]), 0.0 * float(u[-1])

    def place(self, k: int) -> int:
        """Where the entry k of theta is among the coordinates."""
        return int(np.flatnonzero(self.free == k)[0])


class Scores(Free):
    """Prior scores of theta, each divided by its `unit`.

    Attributes
    ----------
    folded : (q,) bool array
        Entries that live on u >= 0.
    unit : (q,) array
    """

    scaled = False

    def __init__(self, every: tuple[Parameter, ...]):
        super().__init__(every)
        self.folded = np.array([_reaches_zero(p.prior) for p in self.hypers], dtype=bool)
        self.sd = np.array([p.kind == "sd" for p in self.hypers], dtype=bool)
        self.unit = np.ones(len(self.hypers))
        at = self.from_theta(self._base)
        moved = self.from_theta(self._base + 1.0)
        for k, p in enumerate(self.hypers):
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
        return self.complete(out)

    def slope(self, u: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """d theta_k / d u_k of the free entries (q,)."""
        u, theta = u * self.unit, theta[self.free]
        out = np.empty(len(u))
        for k, p in enumerate(self.hypers):
            if self.folded[k]:
                x = max(theta[k], 1e-300)
                out[k] = _ROOT_2_OVER_PI * math.exp(-0.5 * u[k] * u[k] - p.prior.log_density(x))
            else:
                out[k] = p.prior.score_slope(u[k], theta[k])
        return out * self.unit

    def jacobian(self, u: np.ndarray) -> np.ndarray:
        """d theta / d u (all of theta, q)."""
        out = np.zeros((len(self.every), len(u)))
        out[self.free, np.arange(len(u))] = self.slope(u, self.theta(u))
        return out

    def from_theta(self, theta: np.ndarray) -> np.ndarray:
        """u of natural parameters."""
        theta = theta[self.free]
        out = np.empty(len(theta))
        for k, p in enumerate(self.hypers):
            if self.folded[k]:
                out[k] = self.half_score(p.prior, theta[k])
            else:
                out[k] = p.prior.to_score(theta[k])
        return np.clip(out, -8.0, 8.0) / self.unit

    def bounds(self) -> list[tuple[float | None, float | None]]:
        """Bounds for the search: half scores from zero; open above, see :func:`~.mcmc.engine.posterior_peaks`."""
        return [(0.0, None) if folded else (None, None) for folded in self.folded]

    @staticmethod
    def half_score(prior: Prior, value: float) -> float:
        """Half score of a value under a prior of positive numbers, in prior sds."""
        return -float(special.ndtri(0.5 * prior.above(value))) if value > 0 else 0.0


def _reaches_zero(prior: Prior) -> bool:
    """Whether a prior of positive numbers has a finite, positive density at zero, where its half score begins."""
    if prior.support != (0.0, math.inf):
        return False
    return abs(prior.log_density(1e-12) - prior.log_density(1e-9)) < 0.1


class Ratios(Free):
    """theta with every sd relative to sigma, and log sigma; sigma is the last entry of theta.

    Attributes
    ----------
    scaled : bool
        Whether sigma is free; then log sigma is the last coordinate.
    least : float
        What sds are relative to where sigma is zero.
    """

    def __init__(self, every: tuple[Parameter, ...], units: np.ndarray | None = None):
        super().__init__(every, units)
        self.scaled = not every[-1].fixed
        self.least = SMALL * every[-1].start if self.scaled else 0.0
        self.sd = np.array([p.kind == "sd" for p in self.hypers], dtype=bool)
        self.root = roots(self.hypers)
        self.cor = correlations(self.hypers)
        self.folded = self.sd.copy()
        self._places = np.arange(len(self.hypers))

    def _sigma(self, u: np.ndarray) -> float:
        return math.exp(min(u[-1], 700.0)) if self.scaled else float(self._base[-1])

    def theta(self, u: np.ndarray) -> np.ndarray:
        """Natural parameters at u."""
        own, sigma = self.middle + self.spread * u, self._sigma(u)
        unit = math.hypot(sigma, self.least)
        own[self.log] = np.exp(u[self.log])
        own[self.sd] = np.abs(own[self.sd]) * unit
        own[self.root] *= unit
        own[self.cor] = np.sin(u[self.cor])
        if self.scaled:
            own[-1] = sigma
        return self.complete(own)

    def from_theta(self, theta: np.ndarray) -> np.ndarray:
        """u of natural parameters."""
        out = (theta[self.free] - self.middle) / self.spread
        out[self.log] = np.log(theta[self.free][self.log])
        out[self.sd | self.root] /= math.hypot(theta[-1], self.least)
        out[self.cor] = np.arcsin(np.clip(out[self.cor], -1.0, 1.0))
        if self.scaled:
            out[-1] = math.log(theta[-1])
        return out

    def of_sd(self, k: int, value: float, u: np.ndarray) -> tuple[float, float]:
        sigma = self._sigma(u)
        unit = math.hypot(sigma, self.least)
        at = value / (float(self.spread[k]) * unit)
        return at, -at * (sigma / unit) ** 2

    def jacobian(self, u: np.ndarray) -> np.ndarray:
        """d theta / d u (all of theta, q)."""
        sigma = self._sigma(u)
        unit = math.hypot(sigma, self.least)
        scale, own = self.spread * unit, self.spread.copy()
        if self.log.any():
            own[self.log] = np.exp(u[self.log])
        varies = self.sd | self.root
        own[varies] = np.where(self.sd & (u < 0.0), -scale, scale)[varies]
        if self.cor.any():
            own[self.cor] = np.cos(u[self.cor])
        out = np.zeros((len(self.every), len(u)))
        out[self.free, self._places] = own
        if self.scaled:
            moved = np.where(self.sd, np.abs(u), u) * scale * (sigma / unit) ** 2
            last = np.where(varies, moved, 0.0)
            last[-1] = sigma
            out[self.free, -1] = last
        return out

    def bounds(self) -> list[tuple[float | None, float | None]]:
        """Bounds for the search: sds from zero, the rest as their priors say."""
        out: list[tuple[float | None, float | None]] = []
        for k in range(len(self.hypers)):
            if self.scaled and k == len(self.hypers) - 1:
                out.append((None, None))
            elif self.sd[k]:
                out.append((0.0, None))
            elif self.log[k]:
                out.append((-REACH, REACH))
            else:
                out.append(self.support(k))
        return out


class Steps(Free):
    """A point (theta, then held coefficients) in steps of about one standard error.

    Parameters
    ----------
    every : tuple of Parameter
        All of theta.
    center : (c,) array
        Coefficients at u = 0.
    root : (c, f) array
        Coefficients are center + root u; rows of fixed ones are zero, and f are not fixed.
    units : (q,) array, optional
        Units of the coordinates of sds and weight parameters, for all of theta.
    """

    scaled = False

    def __init__(
        self, every: tuple[Parameter, ...], center: np.ndarray, root: np.ndarray, units: np.ndarray | None = None
    ):
        super().__init__(every, units)
        self.center, self.root = center, root
        self.q = len(self.hypers)
        self.moving = np.any(root != 0.0, axis=1)
        self.sd = np.array([p.kind == "sd" for p in self.hypers] + [False] * root.shape[1], dtype=bool)
        self.cor = correlations(self.hypers)
        self.share = shares(self.hypers)
        self.folded = self.sd.copy()
        # cuts as the first and the logarithms of their gaps; a fixed cut is not a coordinate: the next starts from it
        cuts = [k for k, p in enumerate(every) if p.kind == "cut"]
        self._rising = [(self.place(k), k) for k in cuts[1:] if not every[k].fixed]
        self.rising = np.array([j for j, _ in self._rising], dtype=np.int64)

    def theta(self, u: np.ndarray) -> np.ndarray:
        """The point at u."""
        own = self.middle + self.spread * u[: self.q]
        own[self.log] = np.exp(u[: self.q][self.log])
        own[self.sd[: self.q]] = np.abs(own[self.sd[: self.q]])
        own[self.cor] = np.sin(own[self.cor])
        own[self.share] = special.expit(u[: self.q][self.share])
        theta = self.complete(own)
        for j, k in self._rising:
            theta[k] = theta[k - 1] + math.exp(u[j])
        return np.concatenate([theta, self.center + self.root @ u[self.q :]])

    def from_theta(self, point: np.ndarray) -> np.ndarray:
        """u of a point."""
        own = (point[self.free] - self.middle) / self.spread
        own[self.log] = np.log(point[self.free][self.log])
        own[self.cor] = np.arcsin(np.clip(own[self.cor], -1.0, 1.0))
        own[self.share] = np.clip(special.logit(point[self.free][self.share]), -LOGIT, LOGIT)
        for j, k in self._rising:
            own[j] = math.log(max(point[k] - point[k - 1], 1e-8))
        away = (point[len(self.every) :] - self.center)[self.moving]
        return np.concatenate([own, np.linalg.solve(self.root[self.moving], away)])

    def jacobian(self, u: np.ndarray) -> np.ndarray:
        """d point / d u (all of theta and the coefficients, q + c)."""
        own = np.eye(len(u))
        own[range(self.q), range(self.q)] = self.spread
        logs = np.flatnonzero(self.log)
        own[logs, logs] = np.exp(u[logs])
        cors = np.flatnonzero(self.cor)
        own[cors, cors] = np.cos(u[cors])
        share = np.flatnonzero(self.share)
        own[share, share] = special.expit(u[share]) * special.expit(-u[share])
        own[self.sd, self.sd] *= np.where(u[self.sd] < 0, -1.0, 1.0)
        every = len(self.every)
        out = np.zeros((every + len(self.center), len(u)))
        out[self.free] = own[: self.q]
        for j, k in self._rising:
            out[k] = out[k - 1]
            out[k, j] = math.exp(u[j])
        out[every:, self.q :] = self.root
        return out

    def bounds(self) -> list[tuple[float | None, float | None]]:
        """Bounds for the search: sds from zero, logarithms within reach, the rest as their priors say."""
        out: list[tuple[float | None, float | None]] = []
        for k in range(self.q):
            if self.sd[k]:
                out.append((0.0, None))
            elif self.log[k] or k in self.rising:
                middle = math.log(self.hypers[k].start) if self.hypers[k].kind == "sigma" else 0.0  # its unit is y's
                out.append((middle - REACH, middle + REACH))
            elif self.share[k]:
                out.append((-LOGIT, LOGIT))
            else:
                out.append(self.support(k))
        return out + [(None, None)] * self.root.shape[1]


Coordinates = Scores | Ratios | Steps
