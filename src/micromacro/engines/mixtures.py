r"""Mixtures of multivariate t-distributions over the coordinates of theta: what engines propose from.

Some coordinates end at zero (:math:`u_k \ge 0`, the half scores of :mod:`.coordinates`). There a t is either *cut*
(draws outside are drawn again; its density is known up to the mass that is left, which is one constant for a whole
mixture) or *folded* (:math:`u_k` becomes :math:`|u_k|`; its density is the sum over the points that are folded onto u,
with all constants, and bridge sampling needs them).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

DF = 8.0
FAR_OUT = 0.12  # share of draws that look for tails along single coordinates
NARROW = 0.7  # of the prior's sd: a coordinate that is known less well than that needs no such draws
LONG_DF = 4.0


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
        df: float = DF,
        least: float = 1e-13,
        most: float = 4.0,
    ) -> Reference:
        """A t with centre and scale matrix.

        A scale that is not definite, or wider than twice the prior, is corrected along its axes: their squares, in
        prior sds, lie between `least` (of the largest) and `most`.
        """
        sd = np.broadcast_to(np.asarray(prior_sd, dtype=float), (len(center),))
        scale = 0.5 * (scale + scale.T) / np.outer(sd, sd)
        values, vectors = np.linalg.eigh(np.where(np.isfinite(scale), scale, 0.0))
        values = np.clip(values, least * float(values.max(initial=1.0)), most)
        root = sd[:, None] * np.linalg.cholesky((vectors * values) @ vectors.T)
        root = widen * root
        return cls(center.copy(), root, np.linalg.inv(root), np.flatnonzero(folded), df)

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

    def log_folded(self, u: np.ndarray) -> float:
        """Log density of the folded t, with all constants."""
        q = len(u)
        signs = np.ones((2 ** len(self.folded), q))
        signs[:, self.folded] = list(product((1.0, -1.0), repeat=len(self.folded)))
        v = self.inverse @ (signs * u - self.center).T
        logs = -0.5 * (self.df + q) * np.log1p(np.square(v).sum(axis=0) / self.df)
        return float(np.logaddexp.reduce(logs)) + self.log_constant() - 0.5 * q * math.log(math.pi)

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
        """A draw from the t that is neither cut nor folded."""
        scale = math.sqrt(self.df / rng.chisquare(self.df))
        return self.center + scale * (self.root @ rng.standard_normal(len(self.center)))

    def draw_folded(self, rng: np.random.Generator) -> np.ndarray:
        """A draw from the folded t."""
        u = self.propose(rng)
        u[self.folded] = np.abs(u[self.folded])
        return u


@dataclass(frozen=True, eq=False)
class Mixture:
    """Several t-distributions with shares, for instance one for each maximum and one for the tails.

    Attributes
    ----------
    parts : tuple of Reference
    share : (k,) array
        Shares of the parts; they sum to one, and some may be zero.
    """

    parts: tuple[Reference, ...]
    share: np.ndarray

    @classmethod
    def of_peaks(cls, parts: Sequence[Reference], height: Sequence[float]) -> Mixture:
        """Shares in proportion to the masses of peaks with log densities `height` and the parts' scale matrices."""
        size = [float(np.log(np.abs(np.diag(part.root))).sum()) for part in parts]
        mass = np.array([h + s for h, s in zip(height, size, strict=True)])
        share = np.exp(mass - mass.max())
        return cls(tuple(parts), share / share.sum())

    @cached_property
    def _cumulated(self) -> np.ndarray:
        """Sums of the shares up to each part."""
        return np.cumsum(self.share)

    @cached_property
    def _used(self) -> tuple[tuple[Reference, float], ...]:
        """The parts that have a share, and its logarithm."""
        both = zip(self.parts, self.share.tolist(), strict=True)
        return tuple((part, math.log(share)) for part, share in both if share > 0.0)

    @cached_property
    def _stacked(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of the parts that have a share: centres, inverse roots, degrees of freedom, exponents, log factors."""
        parts = [part for part, _ in self._used]
        df = np.array([part.df for part in parts])
        factors = np.array([share + part.log_constant() for part, share in self._used])
        return (
            np.stack([part.center for part in parts]), np.stack([part.inverse for part in parts]), df,
            -0.5 * (df + len(parts[0].center)), factors - factors[0],
        )  # fmt: skip

    def log_density(self, u: np.ndarray) -> float:
        """Log density up to a constant (the cut's mass is one too)."""
        center, inverse, df, exponent, factor = self._stacked
        if len(center) == 1:
            return self._used[0][0].log_density(u)
        v = np.matmul(inverse, (u - center)[:, :, None])[:, :, 0]
        logs = factor + exponent * np.log1p((v * v).sum(axis=1) / df)
        top = float(logs.max())
        return top + math.log(float(np.exp(logs - top).sum()))

    def which(self, rng: np.random.Generator) -> Reference:
        """A part, drawn by its share."""
        return self.parts[0] if len(self.parts) == 1 else self._at(rng.random())

    def _at(self, share: float) -> Reference:
        """The part in which the shares, added up, pass `share`."""
        return self.parts[min(int(np.searchsorted(self._cumulated, share)), len(self.parts) - 1)]

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """A draw from the mixture cut to the domain, by trying again (the part too, so that the cut has one mass)."""
        while True:
            u = self.which(rng).propose(rng)
            if self.parts[0].inside(u):
                return u

    def log_folded(self, u: np.ndarray) -> float:
        """Log density of the mixture of folded t-distributions, with all constants."""
        return float(np.logaddexp.reduce([share + part.log_folded(u) for part, share in self._used]))

    def draw_folded(self, rng: np.random.Generator) -> np.ndarray:
        """A draw from the mixture of folded t-distributions."""
        return self._at(rng.random()).draw_folded(rng)

    def reaching(self, prior_sd: np.ndarray) -> Mixture:
        """The same with parts that reach as far as the prior along one coordinate, and along what goes with it.

        T's around a maximum do not see a plateau of the likelihood far from it, nor do the weights of their draws.
        """
        middle = self.parts[int(np.argmax(self.share))]
        covariance = middle.root @ middle.root.T
        parts = []
        for k in np.flatnonzero(np.sqrt(np.diag(covariance)) < NARROW * prior_sd):
            along = covariance[:, k] / covariance[k, k]
            longer = covariance + (prior_sd[k] ** 2 - covariance[k, k]) * np.outer(along, along)
            folded = np.isin(np.arange(len(covariance)), middle.folded)
            parts.append(Reference.fit(middle.center, longer, folded, 1.0, prior_sd, LONG_DF))
        if not parts:
            return self
        share = np.concatenate([(1.0 - FAR_OUT) * self.share, np.full(len(parts), FAR_OUT / len(parts))])
        return Mixture((*self.parts, *parts), share)
