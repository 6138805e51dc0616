"""What every engine receives and returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ..errors import EngineError
from ..latent.representation.choice import Side
from ..model.specification import Specification
from ..notes import Note


@dataclass(frozen=True)
class Settings:
    """What the call asked of the engine.

    Attributes
    ----------
    draws, tune : int
        Kept and tuning iterations of each chain.
    chains : int
    random_seed : int or None
        One ``SeedSequence(seed).spawn(chains)`` fixes the result, whatever the number of workers.
    progress : bool
    executor : concurrent.futures.Executor or None
        Where chains run; None runs them in threads. Where an engine works by iteration, who makes its products.
    start : mapping
        Names of parameters to values where the first search begins (natural scale); the others begin at their usual
        values.
    nAGQ : int
        Points of the quadrature over each effect (ml with one term (1 | unit)); 1 is Laplace's formula.
    keep : {"all", "parameters"} or tuple of str
        The effects whose draws mcmc keeps: all, none, or those of some terms.
    factor : {"effects", "groups"} or None
        The side on which ml and reml factorise; None takes the one with fewer operations.
    solver : {"direct", "iterative"} or None
        Whether ml, reml and laplace factorise at all; None decides by counting the operations.
    """

    draws: int = 1000
    tune: int = 1000
    chains: int = 4
    random_seed: int | None = None
    progress: bool = True
    executor: Executor | None = None
    start: Mapping[str, Any] = field(default_factory=dict)
    nAGQ: int = 1  # noqa: N815 (as glmer calls it)
    factor: Side | None = None
    keep: str | tuple[str, ...] = "all"
    solver: Literal["direct", "iterative"] | None = None


MOVED = 4e-4  # (of a standard error)^2, by which a step along a flat direction may move a number that is determined


@dataclass(frozen=True)
class Optimum:
    """Point estimates (ml, reml).

    Attributes
    ----------
    theta : (q,) array
        Natural scale; a variance at its boundary is exactly zero.
    x : (size,) array
        Conditional mode of effects (standardised) and coefficients, in natural order.
    loglik : float
        Log-likelihood (ml) or restricted log-likelihood (reml) without any prior.
    objective : float
        What was maximised: `loglik` plus the log density of the priors given.
    covariance : (q + c, q + c) array
        Of theta and the coefficients jointly, entries on a boundary and flat directions held (zero).
    flat : (q + c, f) array
        Directions in which the likelihood is flat.
    evaluations : int
        How often the likelihood was evaluated, by the searches and by what was looked at after them.
    x_variance : (size,) array
        Variance of each entry of x: conditional, plus what the uncertainty of theta adds.
    x_slope : (size, q) or (size, q + c) array
        dx / d theta; dx / d (theta, coefficients) where the coefficients are arguments of the likelihood.
    boundary : (q,) bool array
    peaks : tuple of float
        Objective values of all maxima found, the highest first.
    penalised : bool
        Whether any prior was given.
    """

    theta: np.ndarray
    x: np.ndarray
    loglik: float
    objective: float
    covariance: np.ndarray
    x_variance: np.ndarray
    x_slope: np.ndarray
    boundary: np.ndarray
    peaks: tuple[float, ...]
    penalised: bool
    gradient_norm: float
    flat: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    evaluations: int = 0

    @property
    def lost(self) -> np.ndarray:
        """Which entries of theta and the coefficients the likelihood does not determine (q + c,)."""
        return np.isnan(self.variance(np.eye(len(self.covariance))))

    def variance(self, slope: np.ndarray, places: slice | np.ndarray = slice(None)) -> np.ndarray:
        """Variances by the delta method; nan where a flat direction moves the number.

        Parameters
        ----------
        slope : (rows, p) array
            Derivatives of some numbers in the entries `places` of theta and the coefficients.
        """
        v = self.covariance[places][:, places]
        out = np.maximum(np.einsum("ik,kl,il->i", slope, v, slope), 0.0)
        if self.flat.size:
            out[np.any((slope @ self.flat[places]) ** 2 > MOVED * out[:, None] + 1e-20, axis=1)] = np.nan
        return out


@dataclass(frozen=True)
class Sample:
    """Draws of theta, effects and coefficients.

    Attributes
    ----------
    theta : (..., q) array
        Natural scale.
    effects : (..., effects) array or None
        Standardised effects; None where a file was written without them.
    coefficients : (..., coefficients) array
    kept : (k,) int array or None
        Which of the effects these are, where not all are kept (``keep=``).
    """

    theta: np.ndarray
    effects: np.ndarray | None
    coefficients: np.ndarray
    kept: np.ndarray | None = field(default=None, kw_only=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """Chains and draws of each."""
        return self.theta.shape[:-1]

    @property
    def x(self) -> np.ndarray:
        """Effects and coefficients in natural order (..., size): all of them, copied."""
        return self.at(...)

    def some(self, at: np.ndarray) -> Sample:
        """Some of the draws of each chain."""
        effects = None if self.effects is None else self.effects[:, at]
        return Sample(self.theta[:, at], effects, self.coefficients[:, at], kept=self.kept)

    def at(self, key: Any) -> np.ndarray:
        """Effects and coefficients (..., size) of some of the draws."""
        return np.concatenate([self.all_effects[key], self.coefficients[key]], axis=-1)

    @property
    def all_effects(self) -> np.ndarray:
        """The effects, or an EngineError where they were left out."""
        if self.kept is not None:
            raise EngineError(KEEP)
        if self.effects is None:
            raise EngineError(
                'this fit was saved with contents="parameters", without the effects of members and units that this '
                'needs: save the fit with contents="all"'
            )
        return self.effects

    def effects_of(self, place: slice) -> np.ndarray:
        """Some of the effects, or an EngineError where they are not kept."""
        if self.kept is None or self.effects is None:
            return self.all_effects[..., place]
        wanted = np.arange(place.start, place.stop)
        if not np.isin(wanted, self.kept).all():
            raise EngineError(KEEP)
        return self.effects[..., np.searchsorted(self.kept, wanted)]


KEEP = (
    "the draws of the effects that this needs were not kept, as keep= asked: fit again with keep='all', or name the "
    "term in keep=[...] if its effects are all that is wanted"
)


@dataclass(frozen=True)
class Draws(Sample):
    """Draws from the posterior, (chain, draw, ...).

    Attributes
    ----------
    log_posterior : (chain, draw) array
        Log density of what the chain samples, up to a constant: the marginal posterior of theta's scores for a
        Gaussian outcome, else jointly with whitened effects.
    stats : dict of arrays (chain, draw)
        Sample statistics: evaluations, acceptance.
    peaks : tuple of float
        Heights of the maxima that were found before sampling.
    failures : tuple of str
        What went wrong in chains that failed and are left out.
    interrupted : bool
        Whether the run was stopped before its end.
    state : dict of arrays (chain, ...)
        Where each chain stopped, all that it needs to go on; empty where an engine cannot. Few numbers per chain beside
        ``z`` (size).
    """

    log_posterior: np.ndarray
    stats: dict[str, np.ndarray]
    peaks: tuple[float, ...]
    interrupted: bool = False
    failures: tuple[str, ...] = ()
    state: dict[str, np.ndarray] = field(default_factory=dict)


def split(x: np.ndarray, effects: int) -> tuple[np.ndarray, np.ndarray]:
    """Effects and coefficients of x (..., size), of which the first `effects` are effects."""
    return x[..., :effects], x[..., effects:]


@dataclass(frozen=True)
class Outcome:
    """What an engine returns: one of the two results, how long it took, and remarks.

    With both, effects have no draws: they are normal around a mean and a covariance that `optimum` has, at the mean
    of the draws of theta.

    Attributes
    ----------
    there : (Marginal, work space) or None
        The likelihood with everything that it has found at the estimate, where that is dear to find again.
    """

    engine: str
    specification: Specification
    settings: Settings
    seconds: float
    optimum: Optimum | None = None
    draws: Draws | None = None
    notes: list[Note] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    there: tuple[Any, Any] | None = field(default=None, repr=False, compare=False)

    @property
    def effective(self) -> float:
        """Number of draws that those made by importance weights are worth at most; else infinite."""
        return float(self.extra.get("effective", np.inf))

    @property
    def copies(self) -> np.ndarray | None:
        """How many of the draws came from the same proposal as each (draws,), where importance weights made them."""
        if self.draws is None or not np.isfinite(self.effective):
            return None
        _, first, count = np.unique(self.draws.log_posterior.ravel(), return_inverse=True, return_counts=True)
        return count[first.ravel()].astype(float)


Engine = Callable[[Specification, Settings], Outcome]
