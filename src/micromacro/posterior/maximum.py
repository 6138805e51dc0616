r"""A posterior known by its maximum and the curvature there: estimates, standard errors, the delta method.

With g a number, H the Hessian in x given theta, V the covariance of theta and
:math:`D = dg/d\theta + (dg/dx)(d\hat x/d\theta)`,

.. math:: \mathrm{Var}(g) = \frac{dg}{dx} H^{-1} \frac{dg}{dx}' + D V D',

joint in theta, coefficients and effects; effects that the fit has not seen add the variance of their population.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Never

import numpy as np
from scipy import sparse, special

from ..engines.base import Optimum, Outcome
from ..engines.factor import Conditional, value_at_maximum
from ..engines.health import Health, judge
from ..engines.joint import log_joint
from ..engines.marginals import has_exact_marginal
from ..errors import EngineError
from ..numerics.differences import central, relative_step, slopes
from ..table.memberships import Tables
from .base import OfTheta, Statistic, weights_there
from .coefficients import OfCoefficients
from .estimand import Estimand
from .intervals import (
    Numbers,
    Words,
    normal_quantile,
    of_draws,
    of_mixture,
    of_normal,
    of_positive,
    of_share,
    quantiles,
    spread,
)  # fmt: skip
from .normal import normal_draws
from .sampled import Sampled
from .statements import Statement
from .unitweights import UnitWeights, unit_weights


class Maximum(OfCoefficients):
    """Estimates and their joint covariance; intervals are Wald's.

    Parameters
    ----------
    outcome : Outcome
        What the engine returned.
    optimum : Optimum
        The maximum in it.
    """

    words = Words("estimate", "se", "Estimates", "standard errors")
    r_squared = "nakagawa"
    wald_note = ""
    instead_of_wald = 'use lr_test, which knows the mixture, or its bootstrap (method="bootstrap")'

    def __init__(self, outcome: Outcome, optimum: Optimum):
        super().__init__(outcome)
        self.optimum = optimum
        self._conditional: Conditional | None = None

    # -- parameters --------------------------------------------------------------------------------------------------

    @cached_property
    def health(self) -> Health:
        """The engine's verdict on the fit."""
        return judge(self.outcome, None, None)

    @cached_property
    def estimate(self) -> np.ndarray:
        """The maximum (parameters,)."""
        return self.specification.collect(self.optimum.theta, self.optimum.x[self.specification.system.n_effects :])

    @property
    def theta(self) -> np.ndarray:
        """The maximum (q,)."""
        return self.optimum.theta

    @cached_property
    def covariance(self) -> np.ndarray:
        """The inverse joint Hessian (parameters, parameters); nan on a boundary."""
        optimum = self.optimum
        q = len(optimum.theta)
        collector = self.specification.layout.collector.copy()
        collector[:, :q] = collector[:, :q] @ self.specification.layout.reported_slope(optimum.theta)
        out = collector @ optimum.covariance @ collector.T
        missing = np.isnan(optimum.variance(collector)) | self.ended
        out[missing] = np.nan
        out[:, missing] = np.nan
        known = [p.fixed for p in self.specification.parameters]
        out[known] = out[:, known] = 0.0
        return out

    @cached_property
    def ended(self) -> np.ndarray:
        """Which parameters lie on a boundary (parameters,)."""
        hypers = self.specification.system.hypers
        names = [p.name for p, at in zip(hypers, self.optimum.boundary, strict=True) if at]
        return np.isin(self.specification.names, names)

    @cached_property
    def sd(self) -> np.ndarray:
        """Standard errors (parameters,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def loglik(self) -> float:
        """The maximised log-likelihood, restricted for reml."""
        return self.optimum.loglik

    @property
    def x(self) -> np.ndarray:
        """Conditional modes of effects, and coefficients (size,)."""
        return self.optimum.x

    @cached_property
    def theta_error(self) -> np.ndarray:
        """Standard errors of theta (q,); zero on a boundary."""
        return np.sqrt(np.maximum(np.diag(self.optimum.covariance)[: len(self.theta)], 0.0))

    @property
    def objective(self) -> float:
        """The log-likelihood plus the log density of the priors that were given."""
        return self.optimum.objective

    @property
    def penalised(self) -> bool:
        """Whether any prior was given."""
        return self.optimum.penalised

    @property
    def figures(self) -> dict[str, float]:
        """loglik, and aic and bic where they mean something."""
        out = {"loglik": self.loglik}
        if self.scaled:
            return out
        return out | {"aic": self.information("aic"), "bic": self.information("bic")}

    @property
    def scaled(self) -> bool:
        """Whether the likelihood depends on how the weights are scaled (restricted, with estimated weights)."""
        return self.kind.restricted and bool(self.specification.weight_parameters)

    @property
    def free(self) -> int:
        """How many parameters are estimated."""
        return sum(not p.fixed for p in self.specification.parameters)

    def information(self, criterion: str) -> float:
        """AIC or BIC."""
        if self.scaled:
            raise EngineError(
                "no AIC or BIC from REML with estimated weights: its likelihood depends on how they are scaled"
            )
        price = 2.0 if criterion == "aic" else math.log(self.specification.n_outcomes)
        return -2.0 * self.loglik + price * self.free

    @property
    def run(self) -> str:
        """Whether priors were given."""
        return " (penalised by the priors given)" if self.penalised else ""

    @property
    def verdict(self) -> str:
        """Whether the search converged."""
        return "converged" if self.health.ok else "see below"

    def parameters(self, ci: float) -> Numbers:
        """All parameters, with Wald intervals on the log scale for positive ones, Fisher's for correlations.

        Those of probabilities are made on the logit scale. An sd that is below its standard error has a plain one from
        zero.
        """
        z = normal_quantile(ci)
        estimate, se = self.estimate, self.sd
        low, high = estimate - z * se, estimate + z * se
        for k, p in enumerate(self.specification.parameters):
            if p.positive and estimate[k] > 0:
                if p.kind == "sd" and se[k] > estimate[k]:  # the log scale knows nothing of it
                    low[k] = max(low[k], 0.0)
                else:
                    factor = np.exp(z * se[k] / estimate[k])
                    low[k], high[k] = estimate[k] / factor, estimate[k] * factor
            if p.kind == "cor" and abs(estimate[k]) < 1.0:  # Fisher's z
                at, width = np.arctanh(estimate[k]), z * se[k] / (1.0 - estimate[k] ** 2)
                low[k], high[k] = np.tanh(at - width), np.tanh(at + width)
            if p.share and 0.0 < estimate[k] < 1.0:  # on the logit scale
                at, width = special.logit(estimate[k]), z * se[k] / (estimate[k] * (1.0 - estimate[k]))
                low[k], high[k] = special.expit(at - width), special.expit(at + width)
            if p.kind == "rho":
                low[k], high[k] = max(low[k], 0.0), min(high[k], 1.0)
        return Numbers(estimate, se, low, high)

    def summary_columns(self, ci: float) -> dict[str, np.ndarray]:
        """estimate, se, z, p, lower, upper; no test of zero where a parameter cannot be on either side of it."""
        numbers = self.parameters(ci)
        with np.errstate(divide="ignore", invalid="ignore"):
            z = numbers.point / numbers.spread
        untested = [p.positive or p.share or p.fixed or p.kind == "rho" for p in self.specification.parameters]
        z[np.array(untested, dtype=bool)] = np.nan
        return {
            "estimate": numbers.point, "se": numbers.spread, "z": z, "p": 2.0 * special.ndtr(-np.abs(z)),
            "lower": numbers.lower, "upper": numbers.upper,
        }  # fmt: skip

    # -- what the model is made of -------------------------------------------------------------------------------------

    def effects(self, part: int, ci: float) -> Numbers:
        r"""Conditional modes of effects, their standard errors with theta's uncertainty included.

        With effects :math:`T(\theta)x` the variance is that of :math:`Tx` at fixed theta, plus
        :math:`d'Vd` with :math:`d = d(Tx)/d\theta`.
        """
        optimum, structure = self.optimum, self.structure(part)
        place, own = self.specification.layout.latents(part), self.specification.layout.effect_theta(part)
        theta, x = optimum.theta[own], optimum.x[place]
        matrix = structure.natural(theta)
        slope = matrix @ optimum.x_slope[place]
        steps = np.array([relative_step(t, 1e-6) for t in theta])
        slope[:, own] += slopes(
            lambda t: structure.natural(t) @ x, theta, steps, np.flatnonzero(~optimum.boundary[own])
        )
        variance = self._variance_of_effects(place, matrix) + optimum.variance(
            slope, slice(0, optimum.x_slope.shape[1])
        )
        return of_normal(matrix @ x, np.sqrt(np.maximum(variance, 0.0)), ci)

    def _variance_of_effects(self, place: slice, matrix: Any) -> np.ndarray:
        """Variance of `matrix` times the entries of x at `place`, theta (and held coefficients) fixed."""
        optimum = self.optimum
        if np.diff(matrix.indptr).max(initial=0) <= 1:
            p = optimum.x_slope.shape[1]
            covariance = optimum.covariance[:p, :p]
            slope = optimum.x_slope[place]
            conditional = optimum.x_variance[place] - np.einsum("ik,kl,il->i", slope, covariance, slope)
            return matrix.power(2) @ conditional
        if self._held and place.start >= self.specification.system.n_effects:
            return np.zeros(matrix.shape[0])
        rows = sparse.csr_array(
            (matrix.data, matrix.indices + place.start, matrix.indptr),
            shape=(matrix.shape[0], self.specification.system.size),
        )
        return self.conditional.variances(rows)

    @property
    def conditional(self) -> Conditional:
        """The distribution of x given theta at the maximum."""
        made = self._conditional or Conditional(self.outcome)
        self._conditional = made if made.dear else None
        return made

    @property
    def _held(self) -> bool:
        """Whether the coefficients are arguments of the likelihood, so that their part is in the slopes."""
        return self.optimum.x_slope.shape[1] > len(self.optimum.theta)

    def weights(self, name: str, ci: float, tables: Tables | None = None) -> Numbers:
        """Weights of a block at the maximum: intervals on the logit scale, or on the log scale."""
        index, part = self.block(name)
        of_units = unit_weights(self.specification, name, tables)
        if of_units is not None:
            w, se = self._weights_of_units(of_units)
            return of_share(w, se, ci) if part.rule == "group" else of_normal(w, se, ci)
        other = None if tables is None else part.on(tables)
        where = self.specification.system.places.theta(index)
        theta, p = self.optimum.theta[where], len(part.weight_parameters)
        if other is None:
            room = part.weighing.scratch()
            w, slope = part.weights(theta, room).copy(), room["d_w"].T
        else:
            w = weights_there(part, other, theta)
            slope = slopes(
                lambda t: weights_there(part, other, t), theta, np.full(len(theta), 1e-5), range(p)
            )[:, :p]  # fmt: skip
        se = np.sqrt(self.optimum.variance(slope, slice(where.start, where.start + p)))
        if part.rule == "none" or part.weighing.signed:
            return of_normal(w, se, ci)
        return of_share(w, se, ci) if part.rule == "group" else of_positive(w, se, ci)

    def _weights_of_units(self, of: UnitWeights) -> tuple[np.ndarray, np.ndarray]:
        """Weights whose coefficients vary over units, and their standard errors, by the delta method."""
        theta, x = self.optimum.theta, of.extended(self.optimum.x)

        def along(moved: np.ndarray, x_moved: np.ndarray) -> np.ndarray:
            return of(moved, of.extended(x_moved))

        total, in_x, system = self._total_slope(along), of.in_x(theta, x), self.specification.system
        variance = self.optimum.variance(total, slice(0, total.shape[1]))
        variance += self.conditional.variances(in_x[:, : system.n_effects if self._held else system.size].tocsr())
        unseen = in_x[:, system.size :]
        variance += np.asarray(unseen.multiply(unseen).sum(axis=1)).ravel()
        return of(theta, x), np.sqrt(np.maximum(variance, 0.0))

    def _total_slope(self, function: Statistic) -> np.ndarray:
        """Derivatives (k, p) of a function (k,) of theta and x in what was maximised, x moving with it."""
        optimum = self.optimum
        q, p = len(optimum.theta), optimum.x_slope.shape[1]
        out = []
        for k in range(p):

            def along(h: float, k: int = k) -> np.ndarray:
                theta = optimum.theta.copy()
                if k < q:
                    theta[k] += h
                return function(theta, optimum.x + h * optimum.x_slope[:, k])

            still = k < q and optimum.boundary[k]
            step = relative_step(optimum.theta[k] if k < q else 1.0, 1e-5)
            out.append(np.zeros_like(along(0.0)) if still else central(along, step))
        return np.stack(out, axis=1)

    # -- anything else -------------------------------------------------------------------------------------------------

    def delta(self, estimand: Estimand) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """An estimand at the maximum, its variance, and what unseen effects add to it in first order.

        Each (categories, rows).
        """
        optimum = self.optimum
        value = estimand.value(optimum.theta, optimum.x)
        total = self._total_slope(lambda theta, x: estimand.value(theta, x).ravel())
        known, unseen = self._variance_given_theta(estimand)
        variance = optimum.variance(total, slice(0, total.shape[1])) + known
        return value, variance.reshape(value.shape), unseen.reshape(value.shape)

    def _variance_given_theta(self, estimand: Estimand) -> tuple[np.ndarray, np.ndarray]:
        """Variances of an estimand (categories * rows,) given theta: through seen effects, and through unseen ones."""
        slope = estimand.slope_in_x(self.optimum.theta, self.optimum.x)
        system = self.specification.system
        known = slope[:, : system.n_effects if self._held else system.size].tocsr()
        out = self.conditional.variances(known)
        unseen = slope[:, system.size :]
        return out, np.asarray(unseen.multiply(unseen).sum(axis=1)).ravel()

    def estimand(self, estimand: Estimand, ci: float, rng: np.random.Generator, most: int) -> Numbers:
        """An estimand (categories * rows,) by the delta method."""
        value, variance, first = self.delta(estimand)
        if not (estimand.unseen and estimand.curved and estimand.contrast.itself):
            se = np.sqrt(np.maximum(variance + first, 0.0))
            return of_normal(value.ravel(), se.ravel(), ci, estimand.contrast.scale)
        theta, x = self.optimum.theta, self.optimum.x
        scaled = estimand.on_scale()
        centre, spread, scaled_first = self.delta(scaled)
        added = np.maximum(first + estimand.variance_over_unseen(theta, x), 0.0)
        scaled_added = np.maximum(scaled_first + scaled.variance_over_unseen(theta, x), 0.0)
        plain, on_scale = (value, variance, added), (centre, spread, scaled_added)
        return of_mixture(plain, on_scale, estimand.single, ci, estimand.quantity.scale)

    def responses(self, made: np.ndarray, mean: Estimand | None, trials: np.ndarray, ci: float) -> Numbers:
        """Outcomes of groups: exact for a Gaussian one, else with the spread of draws of them (draws, groups)."""
        if mean is None:
            return of_draws(made, ci)
        numbers = self.estimand(mean, ci, np.random.default_rng(0), len(made))
        if has_exact_marginal(self.specification):
            mean.predictors[0].entries(self.optimum.theta)  # differences have moved it
            sigma = mean.predictors[0].own(self.specification, self.optimum.x)[0]
            return of_normal(numbers.point, np.sqrt(numbers.spread**2 + sigma**2), ci)
        low, high = quantiles(made, ci)
        return Numbers(numbers.point * trials, made.std(axis=0, ddof=1), low, high, made)

    def numbers_of(self, function: OfTheta, ci: float, scale: str = "plain", most: int = 1000) -> Numbers:
        """A function (k,) of theta by the delta method, with intervals on `scale`."""
        theta = self.optimum.theta
        steps = np.array([relative_step(t, 1e-5) for t in theta])
        with np.errstate(invalid="ignore"):  # a variance may be infinite
            slope = slopes(function, theta, steps, np.flatnonzero(~self.optimum.boundary))
        return of_normal(function(theta), np.sqrt(self.optimum.variance(slope, slice(0, len(theta)))), ci, scale)

    def hypothesis(self, statement: Statement, ci: float) -> dict[str, Any]:
        """estimate, se, lower, upper of the difference; z, p (one-sided for an inequality), note."""
        value, covariance = self.delta_of_statements([statement])
        if not np.isfinite(value[0] + covariance[0, 0]):
            note = "the difference of the sides (or its slope) is not finite at the estimates"
            return dict.fromkeys(("estimate", "se", "lower", "upper", "z", "p"), math.nan) | {"note": note}
        estimate, se = float(value[0]), math.sqrt(max(float(covariance[0, 0]), 0.0))
        half = normal_quantile(ci) * se
        z = estimate / se if se > 0 else math.nan
        p = {"=": 2.0 * special.ndtr(-abs(z)), ">": special.ndtr(-z), "<": special.ndtr(z)}[statement.sign]
        out = {"estimate": estimate, "se": se, "lower": estimate - half, "upper": estimate + half}
        return out | {"z": z, "p": float(p), "note": self.boundary_note(statement)}

    def delta_of_parameters(self, function: OfTheta, places: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """A function (k,) of the parameters at `places` and its covariance; EngineError where one has no error."""
        names = self.specification.names
        lost = [k for k in places if not np.isfinite(self.sd[k])]
        free = [names[k] for k in lost if not self.ended[k]]
        if free:
            raise EngineError(
                f"the likelihood does not determine {', '.join(free)}, which has no standard error: give a prior, or "
                "leave it out"
            )
        if lost:
            raise EngineError(
                f"{', '.join(names[k] for k in lost)} is on its boundary and has no standard error, so no Wald test: "
                f"{self.instead_of_wald}"
            )
        return super().delta_of_parameters(function, places)

    def numbers_by_draws(
        self, statistic: Statistic, ci: float, rng: np.random.Generator, most: int, effects: bool = True
    ) -> Numbers:
        """A statistic (k,) of (theta, x) at the maximum, its uncertainty over draws of the normal approximation."""
        values = self.as_sampled(most, rng).statistics(statistic, most, effects)
        low, high = quantiles(values, ci)
        return Numbers(statistic(self.optimum.theta, self.optimum.x), spread(values), low, high, values)

    def average(self, statistic: Statistic, most: int) -> np.ndarray:
        """A statistic of (theta, x) at the maximum."""
        return statistic(self.optimum.theta, self.optimum.x)

    def as_sampled(self, draws: int, rng: np.random.Generator) -> Sampled:
        """Draws of the normal approximation (one chain)."""
        made = normal_draws(self.outcome, self.optimum, draws, rng)
        return Sampled(replace(self.outcome, draws=made), made)

    def moved_to(self, theta: np.ndarray, x: np.ndarray) -> Maximum:
        """The same fit as if its maximum were elsewhere, to simulate there; its covariance stays what it was."""
        return Maximum(self.outcome, replace(self.optimum, theta=theta, x=x))

    def drawn(self, refusal: str) -> Never:
        """An EngineError."""
        raise EngineError(refusal)

    def maximised(self, refusal: str) -> Maximum:
        """Itself."""
        return self

    # -- stored and read back ------------------------------------------------------------------------------------------

    def checkpoints(self) -> dict[str, np.ndarray]:
        """There is one point, which is stored."""
        return {}

    def densities_at(self, points: dict[str, np.ndarray]) -> dict[str, float]:
        """Log joint density at the maximum, and the log-likelihood there, effects integrated out."""
        return {
            "the log joint density at the maximum": log_joint(self.specification, self.theta, self.x),
            "the log-likelihood at the maximum": value_at_maximum(self.outcome),
        }
