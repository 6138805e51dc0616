"""The common core of results: parameters, effects and weights as arrays, from draws or from an optimum."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..engines.base import Outcome
from ..engines.health import Diagnostics, Health, diagnose, judge
from ..model import Specification
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
        collector = self.specification.collector
        full = optimum.covariance
        out = collector @ np.nan_to_num(full) @ collector.T
        missing = (collector != 0) @ np.isnan(np.diag(full))
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
        theta = draws.theta.reshape(-1, draws.theta.shape[-1])
        x = draws.x.reshape(-1, draws.x.shape[-1])
        keep = np.unique(np.linspace(0, len(theta) - 1, min(most, len(theta))).astype(int))
        return theta[keep], x[keep]

    # -- effects -----------------------------------------------------------------------------------------------------

    def effect_place(self, part_index: int) -> slice:
        """Where a part's effects are in x."""
        system = self.specification.system
        start = system.effect_start[part_index]
        return slice(start, start + system.parts[part_index].effects)

    def sd_place(self, part_index: int) -> int:
        """Which entry of theta is the sd of a part's effects."""
        system = self.specification.system
        own = [p.kind for p in system.parts[part_index].hypers].index("sd")
        return system.theta_of(part_index).start + own

    def effect_draws(self, part_index: int) -> np.ndarray:
        """Effects (chain, draw, members or units) on the scale of the linear predictor."""
        draws = self.outcome.draws
        assert draws is not None
        return draws.x[..., self.effect_place(part_index)] * draws.theta[..., [self.sd_place(part_index)]]

    def effect_estimates(self, part_index: int) -> tuple[np.ndarray, np.ndarray]:
        """Conditional modes of effects and their standard errors (ml, reml), theta's uncertainty included."""
        optimum = self.outcome.optimum
        assert optimum is not None
        place, k = self.effect_place(part_index), self.sd_place(part_index)
        sd, x = optimum.theta[k], optimum.x[place]
        p = optimum.x_slope.shape[1]
        covariance = np.nan_to_num(optimum.covariance[:p, :p])
        slope = sd * optimum.x_slope[place]
        conditional = optimum.x_variance[place] - np.einsum(
            "ik,kl,il->i", optimum.x_slope[place], covariance, optimum.x_slope[place]
        )
        slope[:, k] += x  # d(sd x) / d theta, the sd's own part
        variance = sd * sd * conditional + np.einsum("ik,kl,il->i", slope, covariance, slope)
        return sd * x, np.sqrt(np.maximum(variance, 0.0))

    # -- weights -----------------------------------------------------------------------------------------------------

    def weight_draws(self, name: str, most: int = 1000) -> np.ndarray:
        """Weights of a block (draws, memberships)."""
        index, part = self.block(name)
        where = self.specification.system.theta_of(index)
        theta, _ = self.thinned(most)
        room = part.weighing.scratch()
        return np.stack([part.weights(t[where], room).copy() for t in theta])

    def weight_estimates(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Weights at the maximum and their standard errors by the delta method."""
        index, part = self.block(name)
        optimum = self.outcome.optimum
        assert optimum is not None
        where = self.specification.system.theta_of(index)
        room = part.weighing.scratch()
        w = part.weights(optimum.theta[where], room).copy()
        p = len(part.weight_parameters)
        v = np.nan_to_num(optimum.covariance[where, where][:p, :p])
        return w, np.sqrt(np.maximum(np.einsum("km,kl,lm->m", room["d_w"], v, room["d_w"]), 0.0))

    def block(self, name: str) -> tuple[int, Block]:
        """A member block and its number among the parts."""
        for index, part in enumerate(self.specification.system.parts):
            if isinstance(part, Block) and part.name == name:
                return index, part
        raise KeyError(name)
