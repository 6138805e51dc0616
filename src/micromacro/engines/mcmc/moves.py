r"""Moves of theta that leave its posterior invariant, on few coordinates and an expensive density.

Both work with a mixture of multivariate t-distributions, fitted to the maxima of the posterior and to what tuning saw
of it, and cut to the coordinates' domain (:math:`u_k \ge 0` for folded entries):

- **independence**: propose from the mixture, accept by the ratio of target to mixture. One evaluation per
  move; nearly independent draws where the mixture fits, and jumps between maxima with the right masses.
- **elliptical**: generalized elliptical slice sampling (Nishihara, Murray and Adams 2014): the t is a scale mixture
  of normals; given the scale, the move stays on an ellipse through the current point and shrinks until it is
  accepted. Never rejects, so it leaves the places where the t is too thin.

They are mixed at random with a fixed probability, so that one covers the weakness of the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

DF = 8.0


@dataclass(frozen=True, eq=False)
class Reference:
    """A multivariate t: centre, lower Cholesky factor of its scale matrix, degrees of freedom.

    Attributes
    ----------
    center : (q,) array
    root, inverse : (q, q) arrays
        The factor and its inverse.
    folded : int array
        Numbers of the entries that are cut at zero from below.
    """

    center: np.ndarray
    root: np.ndarray
    inverse: np.ndarray
    folded: np.ndarray
    df: float = DF

    @classmethod
    def fit(
        cls,
        center: np.ndarray,
        scale: np.ndarray,
        folded: np.ndarray,
        widen: float = 1.0,
        prior_sd: np.ndarray | float = 1.0,
    ) -> Reference:
        """A t with centre and scale matrix.

        A scale that is not definite, or wider than twice the prior, is corrected along its axes (in prior sds).
        """
        sd = np.broadcast_to(np.asarray(prior_sd, dtype=float), (len(center),))
        scale = 0.5 * (scale + scale.T) / np.outer(sd, sd)
        values, vectors = np.linalg.eigh(np.where(np.isfinite(scale), scale, 0.0))
        values = np.clip(values, 1e-13 * float(values.max(initial=1.0)), 4.0)
        root = sd[:, None] * np.linalg.cholesky((vectors * values) @ vectors.T)
        root = widen * root
        return cls(center.copy(), root, np.linalg.inv(root), np.flatnonzero(folded))

    def matched(self, mean: np.ndarray, variance: np.ndarray) -> Reference:
        """The t whose cut version has about these means and variances, if it is this one that has them uncut.

        A fixed point iteration on one set of draws; a t that hardly reaches its bounds comes back as it is.
        """
        if not len(self.folded):
            return self
        rng = np.random.default_rng(0)
        noise = rng.standard_normal((2000, len(mean))) / np.sqrt(rng.chisquare(self.df, (2000, 1)) / self.df)
        center, root = self.center.copy(), self.root.copy()
        unit = np.sqrt(np.var(noise @ root.T, axis=0) / variance)  # of the uncut draws, relative to what is asked
        for _ in range(8):
            u = center + noise @ root.T
            u = u[u[:, self.folded].min(axis=1) >= 0.0]
            if len(u) > 0.99 * len(noise) or len(u) < 0.25 * len(noise):
                break
            stretch = np.clip(unit * np.sqrt(variance / np.var(u, axis=0)), 0.8, 1.25)
            root = stretch[:, None] * root
            center = center + mean - u.mean(axis=0)
        return Reference(center, root, np.linalg.inv(root), self.folded, self.df)

    def distance(self, u: np.ndarray) -> float:
        """Squared Mahalanobis distance from the centre."""
        v = self.inverse @ (u - self.center)
        return float(v @ v)

    def log_density(self, u: np.ndarray) -> float:
        """Log density up to a constant (the cut's mass is one too)."""
        return -0.5 * (self.df + len(u)) * math.log1p(self.distance(u) / self.df)

    def log_constant(self) -> float:
        """What :meth:`log_density` leaves out, but for the cut's mass and powers of pi."""
        q, df = len(self.center), self.df
        size = float(np.log(np.abs(np.diag(self.root))).sum())
        return math.lgamma(0.5 * (df + q)) - math.lgamma(0.5 * df) - 0.5 * q * math.log(df) - size

    def inside(self, u: np.ndarray) -> bool:
        """Whether u is in the domain."""
        return not len(self.folded) or u[self.folded].min() >= 0.0

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """A draw from the cut t, by trying again."""
        while True:
            u = self.propose(rng)
            if self.inside(u):
                return u

    def propose(self, rng: np.random.Generator) -> np.ndarray:
        """A draw from the t that is not cut."""
        scale = math.sqrt(self.df / rng.chisquare(self.df))
        return self.center + scale * (self.root @ rng.standard_normal(len(self.center)))


@dataclass(frozen=True, eq=False)
class Mixture:
    """Several t-distributions with shares: one for each maximum, and one for the tails.

    Attributes
    ----------
    parts : tuple of Reference
    share : (k,) array
        Shares of the parts; they sum to one, and some may be zero.
    """

    parts: tuple[Reference, ...]
    share: np.ndarray

    @cached_property
    def _stacked(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of the parts with a share: centres, inverse roots, degrees of freedom, exponents, log factors."""
        shared = [(part, share) for part, share in zip(self.parts, self.share, strict=True) if share > 0.0]
        parts = [part for part, _ in shared]
        df = np.array([part.df for part in parts])
        factors = np.array([math.log(share) + part.log_constant() for part, share in shared])
        return (
            np.stack([part.center for part in parts]), np.stack([part.inverse for part in parts]), df,
            -0.5 * (df + len(parts[0].center)), factors - factors[0],
        )  # fmt: skip

    def log_density(self, u: np.ndarray) -> float:
        """Log density up to a constant (the cut's mass is one too)."""
        center, inverse, df, exponent, factor = self._stacked
        if len(center) == 1:
            return self.parts[0].log_density(u)
        v = np.matmul(inverse, (u - center)[:, :, None])[:, :, 0]
        logs = factor + exponent * np.log1p((v * v).sum(axis=1) / df)
        top = float(logs.max())
        return top + math.log(float(np.exp(logs - top).sum()))

    def which(self, rng: np.random.Generator) -> Reference:
        """A part, drawn by its share."""
        if len(self.parts) == 1:
            return self.parts[0]
        return self.parts[min(int(np.searchsorted(np.cumsum(self.share), rng.random())), len(self.parts) - 1)]

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """A draw from the mixture cut to the domain, by trying again (the part too, so that the cut has one mass)."""
        while True:
            u = self.which(rng).propose(rng)
            if self.parts[0].inside(u):
                return u


@dataclass
class State:
    """A point, its log target and log density under the reference, and what was spent to get there."""

    u: np.ndarray
    value: float
    evaluations: int = 0
    accepted: bool = True


LogDensity = Callable[[np.ndarray], float]


def independence(state: State, target: LogDensity, reference: Mixture, rng: np.random.Generator) -> State:
    """One independence Metropolis move."""
    u = reference.draw(rng)
    value = target(u)
    ratio = value - state.value - reference.log_density(u) + reference.log_density(state.u)
    if math.isfinite(value) and math.log(rng.random()) < ratio:
        return State(u, value, 1, True)
    return State(state.u, state.value, 1, False)


def elliptical(state: State, target: LogDensity, mixture: Mixture, rng: np.random.Generator) -> State:
    """One generalized elliptical slice move, with a part of the mixture drawn by its share (whatever the state)."""
    q = len(state.u)
    reference = mixture.which(rng)
    shape = 0.5 * (reference.df + q)
    rate = 0.5 * (reference.df + reference.distance(state.u))
    scale = math.sqrt(rate / rng.gamma(shape))
    offset = state.u - reference.center
    other = scale * (reference.root @ rng.standard_normal(q))
    height = state.value - reference.log_density(state.u) + math.log(rng.random())
    angle = rng.uniform(0.0, 2.0 * math.pi)
    low, high = angle - 2.0 * math.pi, angle
    evaluations = 0
    for _ in range(200):
        u = reference.center + offset * math.cos(angle) + other * math.sin(angle)
        if reference.inside(u):
            value = target(u)
            evaluations += 1
            if value - reference.log_density(u) > height:
                return State(u, value, evaluations, True)
        if angle < 0.0:
            low = angle
        else:
            high = angle
        angle = rng.uniform(low, high)
    return State(state.u, state.value, evaluations, False)
