r"""Parametric bootstrap of fits by ml and reml: simulate outcomes at the maximum, fit again.

Right-censored durations keep their censoring times; for a group with an event, whose censoring time was not seen, one
is drawn from the Kaplan-Meier estimate of the censoring distribution beyond its event (the conditional bootstrap,
Davison and Hinkley 1997, algorithm 3.1).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..engines.base import Outcome
from ..engines.choose import run_engine
from ..errors import EngineError, MicromacroError
from ..families.response import EVENT, RIGHT, Raw, Response
from ..model import Specification, outcome_form
from .inference import LikelihoodRatio, likelihood_ratio
from .posterior import Posterior
from .predict import Predictor, place
from .summary import quantiles

if TYPE_CHECKING:
    from .fit import Fit


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Refits to data simulated from a fit.

    Attributes
    ----------
    estimates : DataFrame
        A row a refit that succeeded, a column a parameter.
    estimate : Series
        Of the fit itself.
    failures : tuple of str
        What went wrong in the others.
    """

    estimates: pd.DataFrame
    estimate: pd.Series
    failures: tuple[str, ...] = field(default=())

    def summary(self, ci: float = 0.95) -> pd.DataFrame:
        """Estimate, bias, se (sd of the refits) and percentile interval of every parameter."""
        low, high = quantiles(self.estimates.to_numpy(), ci)
        columns = {
            "estimate": self.estimate, "bias": self.estimates.mean() - self.estimate, "se": self.estimates.std(),
            "lower": low, "upper": high,
        }  # fmt: skip
        return pd.DataFrame(columns, index=self.estimate.index)

    def __repr__(self) -> str:
        lines = [f"parametric bootstrap: {len(self.estimates)} refits, {len(self.failures)} failures"]
        if self.failures:
            lines.append(f"first failure: {self.failures[0]}")
        return "\n".join([*lines, self.summary().to_string()])


def bootstrap(
    fit: Fit, n: int = 200, *, random_seed: int | None = None, executor: Executor | None = None
) -> Bootstrap:  # fmt: skip
    """Parametric bootstrap (ml, reml): data simulated at the maximum, effects drawn anew, fitted again.

    Parameters
    ----------
    n : int
        Number of data sets.
    random_seed : int, optional
        Fixes the result, whatever the executor.
    executor : concurrent.futures.Executor, optional
        Where the refits run; one after the other without it. A thread pool gains from several cores.

    Returns
    -------
    Bootstrap
        With ``.summary(ci)``: bias, standard errors and percentile intervals.

    Raises
    ------
    EngineError
        For draws, for durations with interval or left censoring or delayed entry, and if fewer than two refits succeed.
    """
    _check(fit, n)
    jobs = [_Job(fit.posterior, seed) for seed in np.random.SeedSequence(random_seed).spawn(n)]
    done = list(executor.map(_refit, jobs)) if executor is not None else [_refit(j) for j in jobs]
    good = [d for d in done if not isinstance(d, str)]
    failures = tuple(d for d in done if isinstance(d, str))
    if len(good) < 2:
        raise EngineError(f"{len(failures)} of {n} refits failed, the first: {failures[0]}")
    return Bootstrap(pd.DataFrame(np.array(good), columns=list(fit.params.index)), fit.params, failures)


def _check(fit: Fit, n: int) -> None:
    if fit.posterior.outcome.optimum is None:
        raise EngineError('the parametric bootstrap is for ml and reml: fit with engine="ml"')
    if fit.specification.expanded:
        raise EngineError(
            "the parametric bootstrap is not available for family cox, whose intervals would move with every data set: "
            "use mcmc"
        )
    if fit.specification.response.weighted:
        raise EngineError("outcomes with observation weights cannot be simulated: no bootstrap")
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 2:
        raise EngineError(f"the number of bootstrap data sets must be a whole number from 2, not {n!r}")


@dataclass(frozen=True, eq=False)
class _Job:
    """One data set: where it comes from, its seed, and further models that are to be fitted to it."""

    posterior: Posterior
    seed: np.random.SeedSequence
    others: tuple[Posterior, ...] = ()


def _refit(job: _Job) -> np.ndarray | str:
    """Parameters (parameters,) fitted to simulated data, or what went wrong."""
    try:
        outcome = _fitted(job.posterior, simulated(job.posterior, np.random.default_rng(job.seed)))
    except (MicromacroError, np.linalg.LinAlgError) as error:
        return f"{type(error).__name__}: {error}"
    return Posterior(outcome).estimate


def _fitted(posterior: Posterior, response: Response) -> Outcome:
    """The model of a fit, fitted to another outcome by the same engine."""
    specification = replace(posterior.specification, response=response)
    settings = replace(posterior.outcome.settings, progress=False, executor=None)
    outcome = run_engine(posterior.outcome.engine, specification, settings)
    if outcome.optimum is None or not np.isfinite(outcome.optimum.loglik):
        raise EngineError("the likelihood of a simulated data set has no finite maximum")
    return outcome


# -- simulated outcomes --------------------------------------------------------------------------------------


def simulated(posterior: Posterior, rng: np.random.Generator) -> Response:
    """An outcome simulated at the maximum: effects from their population, then the family."""
    specification, optimum = posterior.specification, posterior.outcome.optimum
    assert optimum is not None
    system, family = specification.system, specification.family
    x = optimum.x.copy()
    x[: system.kept] = latent_draws(specification, optimum.theta, rng)
    eta = Predictor(place(specification, None), system).eta(optimum.theta, x)
    old = specification.response
    y = family.simulate(eta, optimum.theta[system.family_start :], rng, old.values)
    form, _ = outcome_form(specification.formula)
    ids = np.arange(len(y))
    if form == "trials":
        raw = Raw("trials", (y, old.values[1]), "the simulated outcome", ids)
    elif family.name in ("weibull", "exponential", "lognormal"):
        raw = Raw("surv", _censored(old, y, rng), "the simulated outcome", ids)
    elif old.categories:
        raw = Raw("plain", (y - 1.0,), "the simulated outcome", ids, categories=old.categories)
    else:
        raw = Raw("plain", (y,), "the simulated outcome", ids)
    return replace(family.read(raw), weight=old.weight)


def latent_draws(specification: Specification, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Latent effects (kept,) drawn from their population, whatever their kind."""
    system = specification.system
    out = rng.standard_normal(system.kept)
    for k, structure in specification.structures.values():
        start = system.effect_start[k]
        if system.parts[k].effects:
            out[start : start + system.parts[k].effects] = structure.sample(theta[system.structure_theta(k)], rng)
    return out


def _censored(old: Response, time: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Simulated times cut at censoring times: known ones, or drawn beyond the event that was seen."""
    code, seen, entry = old.values[0], np.exp(old.values[1]), old.values[3]
    if np.any((code != RIGHT) & (code != EVENT)) or np.any(np.isfinite(entry)):
        raise EngineError(
            "the parametric bootstrap cannot simulate interval or left censoring and delayed entry: it does not know "
            "how they came about"
        )
    limit = np.where(code == RIGHT, seen, np.inf)
    if np.any(code == RIGHT):
        at, survival = censoring_distribution(seen, code == RIGHT)
        for i in np.flatnonzero(code == EVENT):
            limit[i] = _beyond(at, survival, seen[i], rng.random())
    event = time <= limit
    return np.minimum(time, limit), event.astype(float)


def censoring_distribution(time: np.ndarray, censored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kaplan-Meier estimate of the distribution of censoring times: times and P(C > time)."""
    at = np.unique(time[censored])
    exposed = np.array([np.sum(time >= t) for t in at])
    ended = np.array([np.sum(time[censored] == t) for t in at])
    return at, np.cumprod(1.0 - ended / exposed)


def _beyond(at: np.ndarray, survival: np.ndarray, time: float, uniform: float) -> float:
    """A censoring time drawn given that it is later than `time`; infinite where the estimate never ends."""
    later = np.searchsorted(at, time, side="right")
    above = survival[later - 1] if later else 1.0
    if above <= 0.0:
        return np.inf
    down = np.flatnonzero(survival[later:] <= uniform * above)
    return float(at[later + down[0]]) if len(down) else np.inf


# -- likelihood-ratio tests ----------------------------------------------------------------------------------


def bootstrap_lr(
    larger: Fit, smaller: Fit, n: int, random_seed: int | None, executor: Executor | None
) -> LikelihoodRatio:  # fmt: skip
    """A likelihood-ratio test whose p-value comes from data simulated under the smaller model."""
    plain = likelihood_ratio(larger.posterior.outcome, smaller.posterior.outcome)
    _check(larger, n)
    jobs = [_Job(smaller.posterior, s, (larger.posterior,)) for s in np.random.SeedSequence(random_seed).spawn(n)]
    run: Callable[[_Job], float] = _statistic
    values = np.array(list(executor.map(run, jobs)) if executor is not None else [run(j) for j in jobs])
    good = values[np.isfinite(values)]
    if len(good) < 2:
        raise EngineError(f"{n - len(good)} of {n} pairs of refits failed: no bootstrap test")
    p = (1.0 + np.sum(good >= plain.statistic - 1e-8)) / (len(good) + 1.0)
    note = f"p by parametric bootstrap: {len(good)} data sets simulated under the smaller model"
    note += f", {n - len(good)} failed" if len(good) < n else ""
    return replace(plain, p=float(p), note=note)


def _statistic(job: _Job) -> float:
    """Twice the difference of the log-likelihoods on one simulated data set; nan where a refit fails."""
    try:
        response = simulated(job.posterior, np.random.default_rng(job.seed))
        small = _fitted(job.posterior, response)
        large = _fitted(job.others[0], _in_order(response, job.posterior, job.others[0]))
    except (MicromacroError, np.linalg.LinAlgError):
        return float("nan")
    assert small.optimum is not None and large.optimum is not None
    return max(2.0 * (large.optimum.loglik - small.optimum.loglik), 0.0)


def _in_order(response: Response, of: Posterior, to: Posterior) -> Response:
    """A response in the order of another model's groups: rows that are groups are sorted by value."""
    here, there = of.specification.tables.order, to.specification.tables.order
    if here is None or there is None:
        return response
    back = np.empty(len(here), dtype=np.int64)
    back[np.argsort(np.argsort(here))] = np.arange(len(here))
    take: Any = back[np.argsort(np.argsort(there))]
    return replace(
        response, values=np.ascontiguousarray(response.values[:, take]), observed=response.observed[take],
        weight=response.weight[take],
    )  # fmt: skip
