"""The common core of results: parameters, effects and weights as arrays, from draws or from an optimum."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..effects.base import Effects
from ..engines.base import Outcome
from ..engines.factor import conditional_factor, maximised_marginal
from ..engines.health import Diagnostics, Health, diagnose, judge
from ..model.specification import Specification
from ..numerics.cholesky import solve_lower
from ..terms.member.weighing import Block


@dataclass(frozen=True, eq=False)
class Posterior:
    """Arrays behind a fit; everything that has labels is made from these.

    Attributes
    ----------
    outcome : Outcome
        What the engine returned.
    """

    outcome: Outcome

    @property
    def specification(self) -> Specification:
        """The model."""
        return self.outcome.specification

    @property
    def sampled(self) -> bool:
        """Whether there are draws (mcmc) rather than an optimum (ml, reml)."""
        return self.outcome.draws is not None

    @cached_property
    def draws(self) -> np.ndarray:
        """All parameters (chain, draw, parameters), natural scale, the intercept at zero covariates."""
        draws = self.outcome.draws
        assert draws is not None
        return self.specification.collect(draws.theta, draws.x)

    @cached_property
    def diagnostics(self) -> Diagnostics:
        """R-hat, ESS and Monte Carlo errors of all parameters."""
        return diagnose(self.draws)

    @cached_property
    def health(self) -> Health:
        """The engine's verdict on the fit."""
        if self.sampled:
            return judge(self.outcome, self.draws, self.diagnostics)
        return judge(self.outcome, None, None)

    @cached_property
    def estimate(self) -> np.ndarray:
        """Posterior means, or the maximum (parameters,)."""
        if self.sampled:
            return self.draws.mean(axis=(0, 1))
        optimum = self.outcome.optimum
        assert optimum is not None
        return self.specification.collect(optimum.theta, optimum.x)

    @cached_property
    def covariance(self) -> np.ndarray:
        """Posterior covariance, or the inverse joint Hessian (parameters, parameters); nan on a boundary."""
        if self.sampled:
            flat = self.draws.reshape(-1, self.draws.shape[-1])
            return np.atleast_2d(np.cov(flat.T))
        optimum = self.outcome.optimum
        assert optimum is not None
        q = len(optimum.theta)
        collector = self.specification.collector.copy()
        collector[:, :q] = collector[:, :q] @ self.specification.reported_slope(optimum.theta)
        out = collector @ optimum.covariance @ collector.T
        ended = [p.name for p, at in zip(self.specification.system.hypers, optimum.boundary, strict=True) if at]
        missing = np.isnan(optimum.variance(collector)) | np.isin(self.specification.names, ended)
        out[missing] = np.nan
        out[:, missing] = np.nan
        return out

    @cached_property
    def sd(self) -> np.ndarray:
        """Posterior sds or standard errors (parameters,)."""
        return np.sqrt(np.diag(self.covariance))

    def thinned(self, most: int) -> tuple[np.ndarray, np.ndarray]:
        """At most `most` evenly spaced draws of (theta, x), chains one after the other."""
        draws = self.outcome.draws
        assert draws is not None
        count = draws.theta.shape[0] * draws.theta.shape[1]
        theta = draws.theta.reshape(count, draws.theta.shape[-1])  # theta may be empty
        x = draws.x.reshape(count, draws.x.shape[-1])
        keep = np.unique(np.linspace(0, len(theta) - 1, min(most, len(theta))).astype(int))
        return theta[keep], x[keep]

    # -- effects -----------------------------------------------------------------------------------------------------

    def effect_place(self, part_index: int) -> slice:
        """Where a part's effects are in x."""
        system = self.specification.system
        start = system.effect_start[part_index]
        return slice(start, start + system.parts[part_index].effects)

    def structure_place(self, part_index: int) -> slice:
        """Where theta of a part's effects is."""
        return self.specification.system.structure_theta(part_index)

    def structure(self, part_index: int) -> Effects:
        """The effects of a part."""
        return next(s for k, s in self.specification.structures.values() if k == part_index)

    def effect_draws(self, part_index: int) -> np.ndarray:
        """Effects (chain, draw, effects) on the scale of the linear predictor, in the order of their labels."""
        draws = self.outcome.draws
        assert draws is not None
        structure = self.structure(part_index)
        x = draws.x[..., self.specification.latent_place(part_index)]
        theta = draws.theta[..., self.structure_place(part_index)]
        count = x.shape[0] * x.shape[1]  # theta may be empty
        flat = [
            structure.natural(t) @ v
            for t, v in zip(theta.reshape(count, theta.shape[-1]), x.reshape(count, x.shape[-1]), strict=True)
        ]
        return np.array(flat).reshape(*x.shape[:2], -1)

    def effect_estimates(self, part_index: int) -> tuple[np.ndarray, np.ndarray]:
        r"""Conditional modes of effects and their standard errors (ml, reml), theta's uncertainty included.

        With effects :math:`T(\theta)x` the variance is that of :math:`Tx` at fixed theta, plus
        :math:`d'Vd` with :math:`d = d(Tx)/d\theta`.
        """
        optimum = self.outcome.optimum
        assert optimum is not None
        structure = self.structure(part_index)
        place, own = self.specification.latent_place(part_index), self.structure_place(part_index)
        theta, x = optimum.theta[own], optimum.x[place]
        matrix = structure.natural(theta)
        p = optimum.x_slope.shape[1]
        slope = matrix @ optimum.x_slope[place]
        for k in range(own.start, own.stop):  # the part of theta itself
            if optimum.boundary[k]:
                continue
            j, h = k - own.start, 1e-6 * max(abs(optimum.theta[k]), 1e-2)
            up, down = theta.copy(), theta.copy()
            up[j], down[j] = theta[j] + h, theta[j] - h
            slope[:, k] += (structure.natural(up) @ x - structure.natural(down) @ x) / (2.0 * h)
        variance = self._conditional_variance(place, matrix) + optimum.variance(slope, slice(0, p))
        return matrix @ x, np.sqrt(np.maximum(variance, 0.0))

    def _conditional_variance(self, place: slice, matrix: Any) -> np.ndarray:
        """Variance of `matrix` times the entries of x at `place`, theta (and held coefficients) fixed."""
        optimum = self.outcome.optimum
        assert optimum is not None
        if np.diff(matrix.indptr).max(initial=0) <= 1:
            p = optimum.x_slope.shape[1]
            covariance = optimum.covariance[:p, :p]
            slope = optimum.x_slope[place]
            conditional = optimum.x_variance[place] - np.einsum("ik,kl,il->i", slope, covariance, slope)
            return matrix.power(2) @ conditional
        system, panel = self.specification.system, conditional_factor(self.outcome)
        held = len(maximised_marginal(self.outcome).arguments) > len(system.hypers)
        out = np.zeros(matrix.shape[0])
        if held and place.start >= system.kept:
            return out
        for i in range(len(out)):
            a = np.zeros(system.size)
            own = slice(matrix.indptr[i], matrix.indptr[i + 1])
            a[system.symbolic.position[matrix.indices[own] + place.start]] = matrix.data[own]
            solve_lower(system.symbolic.layout, panel, a)
            out[i] = a @ a
        return out

    # -- weights -----------------------------------------------------------------------------------------------------

    def weight_draws(self, name: str, most: int = 1000, other: Block | None = None) -> np.ndarray:
        """Weights of a block (draws, memberships), or of `other`, the same block on other tables."""
        index, part = self.block(name)
        where = self.specification.system.theta_of(index)
        theta, _ = self.thinned(most)
        if other is not None:
            return np.stack([_weights_there(part, other, t[where]) for t in theta])
        room = part.weighing.scratch()
        return np.stack([part.weights(t[where], room).copy() for t in theta])

    def weight_estimates(self, name: str, other: Block | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Weights at the maximum and their standard errors by the delta method; `other` as in :meth:`weight_draws`."""
        index, part = self.block(name)
        optimum = self.outcome.optimum
        assert optimum is not None
        where = self.specification.system.theta_of(index)
        theta, p = optimum.theta[where], len(part.weight_parameters)
        if other is None:
            room = part.weighing.scratch()
            w, slope = part.weights(theta, room).copy(), room["d_w"]
        else:
            w, slope = _weights_there(part, other, theta), np.empty((p, len(other.memberships.member)))
            for k, step in enumerate(1e-5 * np.eye(len(theta))[:p]):
                slope[k] = _weights_there(part, other, theta + step) - _weights_there(part, other, theta - step)
            slope /= 2e-5
        return w, np.sqrt(optimum.variance(slope.T, slice(where.start, where.start + p)))

    def block(self, name: str) -> tuple[int, Block]:
        """A member block and its number among the parts."""
        for index, part in enumerate(self.specification.system.parts):
            if isinstance(part, Block) and part.name == name:
                return index, part
        raise KeyError(name)


def _weights_there(part: Block, other: Block, theta: np.ndarray) -> np.ndarray:
    """Weights on other tables at the block's theta, with the constant of ``normalize=total`` of the fit."""
    held = other.held(part, theta)
    return held.weights(theta, held.weighing.scratch(gradient=False))
