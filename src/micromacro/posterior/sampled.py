"""A posterior known by its draws."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from typing import Any, Never

import numpy as np

from ..engines.base import Draws, Outcome
from ..engines.health import Diagnostics, Health, diagnose, end_errors, judge
from ..engines.joint import log_joint
from ..errors import EngineError
from ..numerics.memory import check_memory
from ..table.memberships import Tables
from ..terms.member.weighing import Block
from .base import Drawn, OfTheta, Statistic, weights_there
from .estimand import Estimand
from .hypotheses import savage_dickey
from .intervals import Numbers, Words, centre, of_draws, one_after_another, quantiles
from .statements import Statement, evaluated
from .unitweights import unit_weights

SEED = 29  # of effects of units that the fit has not seen, where weights depend on them
AT_ONCE = 100_000_000  # draws of weights, of all memberships, that are held at once
CHECKED = 4
"""Draws at which the density is computed again once they were stored."""


class Sampled(Drawn):
    """Draws of everything; points are means, intervals equal-tailed.

    Parameters
    ----------
    outcome : Outcome
        What the engine returned.
    made : Draws
        The draws in it.
    """

    words = Words("mean", "sd", "Posterior means", "posterior standard deviations")
    r_squared = "bayes"
    wald_note = "from posterior means and covariances"
    instead_of_wald = "compare with the model without it by loo() or log_evidence()"

    def __init__(self, outcome: Outcome, made: Draws):
        super().__init__(outcome)
        self.made = made

    # -- parameters --------------------------------------------------------------------------------------------------

    @cached_property
    def draws(self) -> np.ndarray:
        """All parameters (chain, draw, parameters), natural scale, the intercept at zero covariates."""
        return self.specification.collect(self.made.theta, self.made.coefficients)

    @cached_property
    def diagnostics(self) -> Diagnostics:
        """R-hat, ESS and Monte Carlo errors of all parameters."""
        return diagnose(self.draws).limited(self.made.log_posterior.size, self.outcome.effective)

    @cached_property
    def health(self) -> Health:
        """The engine's verdict on the fit."""
        return judge(self.outcome, self.draws, self.diagnostics)

    @cached_property
    def estimate(self) -> np.ndarray:
        """Posterior means (parameters,)."""
        return self.draws.mean(axis=(0, 1))

    @property
    def theta(self) -> np.ndarray:
        """Posterior means of theta (q,)."""
        return self.made.theta.mean(axis=(0, 1))

    @cached_property
    def covariance(self) -> np.ndarray:
        """Posterior covariance (parameters, parameters)."""
        return np.atleast_2d(np.cov(_flat(self.draws).T))

    @cached_property
    def sd(self) -> np.ndarray:
        """Posterior sds (parameters,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def loglik(self) -> float:
        """Draws have no one likelihood."""
        raise EngineError(
            f"a fit by {self.outcome.engine} has no maximised log-likelihood: compare by loo() or log_evidence(), or "
            'fit with engine="ml" for one'
        )

    def information(self, criterion: str) -> Never:
        """An EngineError."""
        raise EngineError('AIC and BIC belong to maximum likelihood: fit with engine="ml"')

    @property
    def figures(self) -> dict[str, float]:
        """The number of draws, and the largest r_hat where there is one."""
        out = {"draws": float(self.made.log_posterior.size)}
        r_hat = self.diagnostics.r_hat
        return out if np.all(np.isnan(r_hat)) else out | {"r_hat": float(np.nanmax(r_hat))}

    @property
    def run(self) -> str:
        """Numbers of chains and draws."""
        chains, draws = self.made.log_posterior.shape
        if self.approximate:
            return f" ({draws} draws from an approximation)"
        return f" ({chains} chains, {draws} draws each after {self.outcome.settings.tune} tuning)"

    @property
    def verdict(self) -> str:
        """The largest R-hat and the smallest effective sample sizes."""
        d = self.diagnostics
        known = np.isfinite(d.ess_bulk)
        out = "too few draws to judge"
        if known.any():
            out = f"smallest ESS {d.ess_bulk[known].min():.0f} (bulk), {d.ess_tail[known].min():.0f} (tail)"
        return out if np.all(np.isnan(d.r_hat)) else f"largest R-hat {np.nanmax(d.r_hat):.4f}, {out}"

    def parameters(self, ci: float) -> Numbers:
        """All parameters, with equal-tailed intervals."""
        made = of_draws(_flat(self.draws), ci)
        return Numbers(self.estimate, self.sd, made.lower, made.upper, made.draws)

    def summary_columns(self, ci: float) -> dict[str, np.ndarray]:
        """mean, sd, lower, upper, ess_bulk, ess_tail, r_hat, mcse_mean, mcse_lower, mcse_upper."""
        numbers, d = self.parameters(ci), self.diagnostics
        low, high = end_errors(self.draws, ci, self.outcome.copies)
        return {
            "mean": numbers.point, "sd": numbers.spread, "lower": numbers.lower, "upper": numbers.upper,
            "ess_bulk": d.ess_bulk, "ess_tail": d.ess_tail, "r_hat": d.r_hat, "mcse_mean": d.mcse_mean,
            "mcse_lower": low, "mcse_upper": high,
        }  # fmt: skip

    # -- what the model is made of -------------------------------------------------------------------------------------

    def effect_draws(self, part: int) -> np.ndarray:
        """Effects (chain, draw, effects) on the scale of the linear predictor, in the order of their labels."""
        structure, place = self.structure(part), self.specification.layout.latents(part)
        before = self.specification.system.n_effects
        if place.start >= before:  # without pooling they are coefficients
            x = self.made.coefficients[..., place.start - before : place.stop - before]
        else:
            x = self.made.effects_of(place)
        theta = self.made.theta[..., self.specification.layout.effect_theta(part)]
        made = [structure.natural(t) @ v for t, v in zip(_flat(theta), _flat(x), strict=True)]
        return np.array(made).reshape(*x.shape[:2], -1)

    def effects(self, part: int, ci: float) -> Numbers:
        """Effects of a part."""
        return of_draws(_flat(self.effect_draws(part)), ci)

    def weight_draws(
        self, name: str, most: int = 1000, tables: Tables | None = None, at: slice = slice(None)
    ) -> np.ndarray:
        """Weights of a block (draws, memberships), on the tables of the fit or on others; some memberships."""
        return self._weight_draws(name, self._on(name, tables), tables, most, at)

    def _on(self, name: str, tables: Tables | None) -> Block | None:
        """A block on other tables."""
        return None if tables is None else self.block(name)[1].on(tables)

    def _weight_draws(
        self, name: str, other: Block | None, tables: Tables | None, most: int, at: slice
    ) -> np.ndarray:  # fmt: skip
        index, part = self.block(name)
        where = self.specification.system.places.theta(index)
        theta = self.thetas(most)
        memberships = len((part if other is None else other).memberships.group[at])
        _check_room(len(theta), memberships, "memberships", "ask for one block, or for fewer groups, at once")
        of_units = unit_weights(self.specification, name, tables)
        if of_units is not None:
            rng = np.random.default_rng(np.random.SeedSequence(SEED))
            each = zip(*self.thinned(most), strict=True)
            return np.stack([of_units(t, of_units.extended(x, rng))[at] for t, x in each])
        if other is not None:
            return np.stack([weights_there(part, other, t[where])[at] for t in theta])
        room = part.weighing.scratch()
        return np.stack([part.weights(t[where], room)[at].copy() for t in theta])

    def weights(self, name: str, ci: float, tables: Tables | None = None) -> Numbers:
        """Weights of a block, at at most 1,000 draws; some memberships after the others where they are many."""
        other = self._on(name, tables)
        count = len((self.block(name)[1] if other is None else other).memberships.group)
        each = max(AT_ONCE // 1000, 1) if 1000 * count > AT_ONCE else max(count, 1)
        pieces = [slice(k, k + each) for k in range(0, max(count, 1), each)]
        made = (of_draws(self._weight_draws(name, other, tables, 1000, at), ci) for at in pieces)
        return next(made) if len(pieces) == 1 else one_after_another(made)

    # -- anything else -------------------------------------------------------------------------------------------------

    def thinned(self, most: int, effects: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """At most `most` evenly spaced draws of (theta, x), chains one after the other, with effects or zeros."""
        at = np.unravel_index(self.chosen(most), self.made.shape)
        if effects:
            return self.made.theta[at], self.made.at(at)
        coefficients = self.made.coefficients[at]
        still = np.zeros((len(coefficients), self.specification.system.n_effects))
        return self.made.theta[at], np.concatenate([still, coefficients], axis=1)

    def thetas(self, most: int) -> np.ndarray:
        """The theta of :meth:`thinned`, which does not need the effects."""
        return self.made.theta[np.unravel_index(self.chosen(most), self.made.shape)]

    def chosen(self, most: int) -> np.ndarray:
        """Which draws :meth:`thinned` gives, counted over all chains."""
        count = self.made.log_posterior.size
        return np.unique(np.linspace(0, count - 1, min(most, count)).astype(int))

    def estimand_draws(self, estimand: Estimand, rng: np.random.Generator, most: int) -> np.ndarray:
        """An estimand at at most `most` draws (draws, categories, rows), its unseen effects drawn, too."""
        theta, x = self.thinned(most, estimand.reads_effects)
        first = estimand.drawn(theta[0], x[0], rng)
        _check_room(len(theta), first.size, "numbers", f"ask for fewer {self.specification.tables.noun}s at once")
        return np.stack([first, *(estimand.drawn(t, row, rng) for t, row in zip(theta[1:], x[1:], strict=True))])

    def estimand(self, estimand: Estimand, ci: float, rng: np.random.Generator, most: int) -> Numbers:
        """An estimand (categories * rows,) at at most `most` draws: its mean with unseen effects integrated out.

        Spread and interval are those of draws that have unseen effects drawn.
        """
        draws = self.estimand_draws(estimand, rng, most)
        out = of_draws(draws.reshape(len(draws), -1), ci)
        return replace(out, point=self._integrated(estimand, most)) if estimand.unseen else out

    def _integrated(self, estimand: Estimand, most: int) -> np.ndarray:
        """Mean (categories * rows,) of an estimand over at most `most` draws, unseen effects integrated out."""
        each = zip(*self.thinned(most, estimand.reads_effects), strict=True)
        return centre(np.stack([estimand.value(t, x).ravel() for t, x in each]))

    def populated(
        self, estimand: Estimand, rng: np.random.Generator, most: int
    ) -> list[tuple[np.ndarray, np.ndarray]]:  # fmt: skip
        """Linear predictors (groups,) and the family's own numbers at at most `most` draws.

        Unseen and marginal effects are drawn.
        """
        each = zip(*self.thinned(most, estimand.reads_effects), strict=True)
        return [estimand.populated(t, x, rng) for t, x in each]

    def responses(self, made: np.ndarray, mean: Estimand | None, trials: np.ndarray, ci: float) -> Numbers:
        """Outcomes of groups from draws of them (draws, groups); their mean as that of :meth:`estimand`."""
        out = of_draws(made, ci)
        if mean is None or not mean.integrates:
            return out
        return replace(out, point=self._integrated(mean, len(made)) * trials)

    def numbers_of(self, function: OfTheta, ci: float, scale: str = "plain", most: int = 1000) -> Numbers:
        """A function (k,) of theta at at most `most` draws."""
        return of_draws(np.stack([function(t) for t in self.thetas(most)]), ci)

    def hypothesis(self, statement: Statement, ci: float) -> dict[str, Any]:
        """mean, sd, lower, upper of the difference; probability, evidence_ratio, note."""
        values = dict(zip(self.specification.names, _flat(self.draws).T, strict=True))
        g = evaluated(statement, values)
        lost = int(np.count_nonzero(~np.isfinite(g)))
        if lost:
            note = f"the difference of the sides is not finite in {lost} of {len(g)} draws"
            columns = ("mean", "sd", "lower", "upper", "probability", "evidence_ratio")
            return dict.fromkeys(columns, math.nan) | {"note": note}
        low, high = quantiles(g, ci)
        out = {"mean": g.mean(), "sd": g.std(ddof=1), "lower": low, "upper": high}
        if statement.sign == "=":
            ratio, note = savage_dickey(self.specification, statement, g)
            return out | {"probability": math.nan, "evidence_ratio": ratio, "note": note}
        holds = float(np.mean(g > 0) if statement.sign == ">" else np.mean(g < 0))
        note = (
            "" if 0.0 < holds < 1.0 else f"all {len(g)} draws agree, so the odds are too extreme to estimate from them"
        )
        odds = holds / (1 - holds) if holds < 1 else math.inf
        return out | {"probability": holds, "evidence_ratio": odds, "note": note}

    def numbers_by_draws(
        self, statistic: Statistic, ci: float, rng: np.random.Generator, most: int, effects: bool = True
    ) -> Numbers:
        """A statistic (k,) of (theta, x) at at most `most` draws."""
        return of_draws(self.statistics(statistic, most, effects), ci)

    def average(self, statistic: Statistic, most: int) -> np.ndarray:
        """The mean of a statistic of (theta, x) over at most `most` draws."""
        return np.mean([statistic(t, x) for t, x in zip(*self.thinned(most), strict=True)], axis=0)

    def statistics(self, statistic: Statistic, most: int, effects: bool = True) -> np.ndarray:
        """A statistic of (theta, x) at at most `most` draws (draws, k)."""
        return np.stack([statistic(t, x) for t, x in zip(*self.thinned(most, effects), strict=True)])

    def as_sampled(self, draws: int, rng: np.random.Generator) -> Sampled:
        """Itself."""
        return self

    def drawn(self, refusal: str) -> Sampled:
        """Itself."""
        return self

    def maximised(self, refusal: str) -> Never:
        """An EngineError."""
        raise EngineError(refusal)

    # -- stored and read back ------------------------------------------------------------------------------------------

    def checkpoints(self) -> dict[str, np.ndarray]:
        """Numbers of a few draws, and their effects."""
        chains, length = self.made.shape
        at = np.unique(np.linspace(0, chains * length - 1, CHECKED).round().astype(int))
        chain, draw = at // length, at % length
        return {"chain": chain, "draw": draw, "effects": self._effects_at(chain, draw)}

    def _effects_at(self, chain: np.ndarray, draw: np.ndarray) -> np.ndarray:
        """Effects of some draws (draws, effects), zero where they were not kept."""
        if self.made.kept is None or self.made.effects is None:
            return self.made.all_effects[chain, draw]
        out = np.zeros((len(chain), self.specification.system.n_effects))
        out[:, self.made.kept] = self.made.effects[chain, draw]
        return out

    def densities_at(self, points: dict[str, np.ndarray]) -> dict[str, float]:
        """Log joint density of outcomes, effects and parameters at these draws."""
        s, chain, draw = self.specification, points["chain"], points["draw"]
        effects = points["effects"]
        if effects is None:  # they are kept with the draws
            effects = self._effects_at(chain, draw)
        x = np.concatenate([effects, self.made.coefficients[chain, draw]], axis=-1)
        room = s.system.workspace(gradient=False)
        return {
            f"the log posterior at draw {d} of chain {c}": log_joint(s, self.made.theta[c, d], row, room)
            for c, d, row in zip(chain, draw, x, strict=True)
        }


def _check_room(draws: int, each: int, what: str, remedy: str) -> None:
    """Refuse what needs more memory than there is: draws, a copy of them, and one more to find their quantiles."""
    check_memory(3.0 * draws * each, f"{draws:,} draws of {each:,} {what}", remedy)


def _flat(draws: np.ndarray) -> np.ndarray:
    """Draws (chain * draw, k), chains one after the other; k may be 0."""
    return draws.reshape(draws.shape[0] * draws.shape[1], draws.shape[-1])
