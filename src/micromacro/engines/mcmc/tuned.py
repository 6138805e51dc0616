"""The reference distribution of a chain: a mixture fitted to the maxima, then to what tuning has seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..mixtures import Mixture, Reference
from .margins import Margins

SHRINK = 0.85  # scale matrix of the t for a given covariance: between (df - 2) / df and 1
TAIL = 0.1  # share of the part that covers the tails
LONG = 0.15  # share of the parts that reach far out along single coordinates
REACH = 4.0  # how many times as far as the posterior's sd they reach
SKEW = 1.3  # ratio of the upper to the lower half of a 90% interval above which a coordinate has such a part
LEAST = 0.1  # share of a maximum at least, so that a chain that has not seen it can get there
HEAVY = 4.0  # degrees of freedom of the tails
BELOW = 8.0  # log mass below the highest at which a maximum is not used for proposals


@dataclass(frozen=True, eq=False)
class Fitter:
    """Makes mixtures in the coordinates of one model.

    Attributes
    ----------
    folded : (q,) bool array
        Coordinates that end at zero.
    prior_sd : (q,) array
        Standard deviations of the coordinates under the prior.
    long : (q,) bool array
        Coordinates that may have a long tail.
    tail, reach : float
        Shares of the part that covers the tails, and of those that reach far out along single coordinates.
    """

    folded: np.ndarray
    prior_sd: np.ndarray
    long: np.ndarray
    tail: float = TAIL
    reach: float = LONG

    def through(self, before: Mixture, old: Margins, new: Margins) -> Mixture:
        """A mixture in other margins, which are taken as linear around each centre."""
        parts = []
        for part in before.parts:
            center = new.outer(old.inner(part.center))
            root = (old.slope(part.center) / new.slope(center))[:, None] * part.root
            parts.append(Reference(center, root, np.linalg.inv(root), np.flatnonzero(self.folded), part.df))
        return Mixture(tuple(parts), before.share)

    def at_peaks(self, peaks: list[tuple[np.ndarray, np.ndarray, float]]) -> Mixture:
        """A mixture before anything has been seen.

        Parameters
        ----------
        peaks : list of (center, scale, height)
            Maxima with minus the inverse Hessians there and log densities.
        """
        parts = [Reference.fit(u, scale, self.folded, 1.3, self.prior_sd) for u, scale, _ in peaks]
        mass = np.array([height - part.log_constant() for part, (_, _, height) in zip(parts, peaks, strict=True)])
        share = self._shares(mass)
        long = [self._reaching(parts[0], k) for k in np.flatnonzero(self.long).tolist()]
        return Mixture((*parts, self._wide(parts[0]), *long), np.append(share, np.zeros(len(long))))

    def _reaching(self, part: Reference, k: int) -> Reference:
        """The t stretched along a coordinate, and along what is correlated with it."""
        covariance = part.root @ part.root.T
        along = covariance[:, k] / np.sqrt(covariance[k, k])
        made = Reference.fit(
            part.center, covariance + (REACH**2 - 1.0) * np.outer(along, along), self.folded, 1.0, self.prior_sd
        )
        return Reference(made.center, made.root, made.inverse, made.folded, HEAVY)

    def _wide(self, part: Reference) -> Reference:
        """The same t, wider and with heavier tails."""
        root = 1.8 * part.root
        return Reference(part.center, root, np.linalg.inv(root), part.folded, HEAVY)

    def _shares(self, log_mass: np.ndarray) -> np.ndarray:
        """Shares of the maxima, each LEAST or more unless it has next to no mass; then that of the tails."""
        mass = np.exp(np.maximum(log_mass - log_mass.max(), -60.0))
        share = mass / mass.sum()
        share = np.where(log_mass < log_mass.max() - BELOW, 0.0, np.maximum(share, LEAST))
        return np.append((1.0 - TAIL) * share / share.sum(), TAIL)

    def to_seen(self, before: Mixture, seen: np.ndarray, values: np.ndarray) -> Mixture:
        """A mixture with the moments of what has been seen; maxima that were not visited stay as they were.

        Parameters
        ----------
        before : Mixture
        seen : (n, q) array
        values : (n,) array
            Log target there.
        """
        q, count = seen.shape[1], len(before.parts) - 1 - int(self.long.sum())
        old, parts, share = before.parts[:count], [], []
        nearest = np.argmax([[p.log_density(u) + p.log_constant() for p in old] for u in seen], axis=1)
        for k, part in enumerate(old):
            own = seen[nearest == k]
            parts.append(self._moments(own) if len(own) >= (1 if count == 1 else 10 * q + 10) else part)
            share.append(max(len(own) / len(seen), LEAST if before.share[k] > 0.0 else 0.0))
        mixed = Mixture(tuple(parts), np.array(share) / np.sum(share))
        middle = parts[int(np.argmax(share))]
        low, half, high = np.quantile(seen, [0.05, 0.5, 0.95], axis=0)
        skewed = ((high - half) > SKEW * (half - low))[self.long]
        long = [self._reaching(middle, k) for k in np.flatnonzero(self.long).tolist()]
        longs = np.where(skewed, self.reach / max(int(skewed.sum()), 1), 0.0)
        rest = (1.0 - self.tail - longs.sum()) * mixed.share
        return Mixture((*parts, self._tail(mixed, seen, values), *long), np.concatenate([rest, [self.tail], longs]))

    def _moments(self, seen: np.ndarray) -> Reference:
        q = seen.shape[1]
        mean, covariance = seen.mean(axis=0), np.cov(seen.T).reshape(q, q)
        plain = Reference.fit(mean, covariance * SHRINK, self.folded, 1.05, self.prior_sd)
        return plain.matched(mean, np.diag(covariance))

    def _tail(self, mixture: Mixture, seen: np.ndarray, values: np.ndarray) -> Reference:
        """A wide t over the points at which the mixture is thinnest for the target."""
        q = seen.shape[1]
        ratio = values - np.array([mixture.log_density(u) for u in seen])
        count = max(len(seen) // 8, 2 * q + 2)
        thin = seen[np.argsort(-ratio, kind="stable")[:count]]
        middle = mixture.parts[int(np.argmax(mixture.share))]
        moved = thin.mean(axis=0) - middle.center
        covariance = middle.root @ middle.root.T + np.cov(thin.T).reshape(q, q) + np.outer(moved, moved)
        made = Reference.fit(middle.center + 0.5 * moved, covariance, self.folded, 1.0, self.prior_sd)
        return Reference(made.center, made.root, made.inverse, made.folded, HEAVY)


def pack(mixture: Mixture) -> dict[str, np.ndarray]:
    """A mixture as plain arrays."""
    return {
        "center": np.stack([p.center for p in mixture.parts]),
        "root": np.stack([p.root for p in mixture.parts]),
        "df": np.array([p.df for p in mixture.parts]),
        "share": mixture.share.copy(),
    }


def unpack(saved: dict[str, np.ndarray], folded: np.ndarray) -> Mixture:
    """The mixture that :func:`pack` gave."""
    at = np.flatnonzero(folded)
    parts = [
        Reference(center.copy(), root.copy(), np.linalg.inv(root), at, float(df))
        for center, root, df in zip(saved["center"], saved["root"], saved["df"], strict=True)
    ]
    return Mixture(tuple(parts), saved["share"].copy())
