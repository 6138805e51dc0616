r"""Parametric bootstrap of fits by ml and reml: simulate outcomes at the maximum (:mod:`.replicate`), fit again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from ...engines.registry import run_engine
from ...errors import EngineError, MicromacroError
from ...families.response import Response
from ...notes import remark
from ...posterior.base import Maximised, Posterior
from ...posterior.factory import posterior_of
from ...posterior.intervals import quantiles
from ...posterior.replicate import simulated, with_response
from ..fitted import Fitted
from ..labels import shown_order
from ..outcomes import matched, outcomes_of
from .inference import LikelihoodRatio, likelihood_ratio

#: What a test says of its reference distribution, which a bootstrap does not need.
ANSWERED = ("not-identified", "at-a-limit")


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Refits to data simulated from a fit.

    Attributes
    ----------
    estimates : DataFrame
        One row per successful refit, one column per parameter.
    estimate : Series
        Of the fit itself.
    failures : tuple of str
        What went wrong in the others.
    """

    estimates: pd.DataFrame
    estimate: pd.Series
    failures: tuple[str, ...] = field(default=())

    def summary(self, ci: float = 0.95) -> pd.DataFrame:
        """Estimate, bias, se (sd of the refits) and percentile interval of every parameter.

        Parameters
        ----------
        ci : float
            Probability of the percentile interval.

        Returns
        -------
        DataFrame
            Indexed by parameter: estimate, bias, se, lower, upper.
        """
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
    fit: Fitted, n: int = 200, *, random_seed: int | None = None, executor: Executor | None = None
) -> Bootstrap:  # fmt: skip
    """Parametric bootstrap (ml, reml): data simulated at the maximum with new effects, and refitted.

    Durations are censored as those of the fit were: a censored group keeps its censoring time, a group with an event
    gets one drawn from the Kaplan-Meier estimate of the censoring distribution beyond its event, entry times stay what
    they are. A Cox model keeps its baseline and its cut points, and is followed up to the last observed time if any
    group is censored; with ``intervals="all"`` the intervals are those of each data set, and the baseline is left out.

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
        For draws, for durations with interval or left censoring, and if fewer than two refits succeed.
    """
    best = _check(fit, n)
    jobs = [_Job(best, seed) for seed in np.random.SeedSequence(random_seed).spawn(n)]
    done = list(executor.map(_refit, jobs)) if executor is not None else [_refit(j) for j in jobs]
    good = [d for d in done if not isinstance(d, str)]
    failures = tuple(d for d in done if isinstance(d, str))
    if len(good) < 2:
        raise EngineError(f"{len(failures)} of {n} refits failed, the first: {failures[0]}")
    names = _kept(fit.posterior)
    return Bootstrap(pd.DataFrame(np.array(good), columns=names), fit.params.loc[names], failures)


def _check(fit: Fitted, n: int) -> Maximised:
    """The maximum of a fit whose outcome can be simulated."""
    best = fit.posterior.maximised('the parametric bootstrap is for ml and reml: fit with engine="ml"')
    check_simulable(best, n)
    return best


def check_simulable(best: Maximised, n: int) -> None:
    """Refuse outcomes that cannot be simulated, and numbers of data sets that are none."""
    if best.specification.response.weighted:
        raise EngineError("outcomes with observation weights cannot be simulated: no bootstrap")
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 2:
        raise EngineError(f"the number of bootstrap data sets must be a whole number from 2, not {n!r}")


@dataclass(frozen=True, eq=False)
class _Job:
    """One data set: where it comes from, its seed, and further models that are to be fitted to it."""

    posterior: Maximised
    seed: np.random.SeedSequence
    others: tuple[Maximised, ...] = ()


def _kept(posterior: Posterior) -> list[str]:
    """Parameters that every data set has: without a baseline whose intervals end at the events of each."""
    specification = posterior.specification
    expansion = specification.system.expansion
    moving = () if expansion is None or specification.family.stable else expansion.part.coefficients
    gone = {p.name for p in moving}
    return [name for name in specification.names if name not in gone]


def _refit(job: _Job) -> np.ndarray | str:
    """Parameters fitted to simulated data, or what went wrong."""
    try:
        fitted = _fitted(job.posterior, simulated(job.posterior, np.random.default_rng(job.seed)))
    except (MicromacroError, np.linalg.LinAlgError) as error:
        return f"{type(error).__name__}: {error}"
    values = dict(zip(fitted.specification.names, fitted.estimate, strict=True))
    return np.array([values[name] for name in _kept(job.posterior)])


def _fitted(posterior: Maximised, response: Response) -> Maximised:
    """The model of a fit, fitted to another outcome by the same engine."""
    specification = with_response(posterior.specification, response)
    settings = replace(posterior.outcome.settings, progress=False, executor=None)
    outcome = run_engine(posterior.outcome.engine, specification, settings)
    nowhere = "the likelihood of a simulated data set has no finite maximum"
    best = posterior_of(outcome).maximised(nowhere)
    if not np.isfinite(best.loglik):
        raise EngineError(nowhere)
    return best


# -- likelihood-ratio tests ----------------------------------------------------------------------------------


def bootstrap_lr(
    larger: Fitted, smaller: Fitted, n: int, random_seed: int | None, executor: Executor | None
) -> LikelihoodRatio:  # fmt: skip
    """A likelihood-ratio test whose p-value comes from data simulated under the smaller model."""
    plain = likelihood_ratio(larger.posterior, smaller.posterior)
    large = _check(larger, n)
    small = smaller.posterior.maximised("")  # likelihood_ratio would have refused
    jobs = [_Job(small, s, (large,)) for s in np.random.SeedSequence(random_seed).spawn(n)]
    run: Callable[[_Job], float] = _statistic
    values = np.array(list(executor.map(run, jobs)) if executor is not None else [run(j) for j in jobs])
    good = values[np.isfinite(values)]
    if len(good) < 2:
        raise EngineError(f"{n - len(good)} of {n} pairs of refits failed: no bootstrap test")
    p = (1.0 + np.sum(good >= plain.statistic - 1e-8)) / (len(good) + 1.0)
    text = f"p by parametric bootstrap: {len(good)} data sets simulated under the smaller model"
    text += f", {n - len(good)} failed and are left out" if len(good) < n else ""
    other = tuple(n for n in plain.notes if n.code not in ANSWERED)
    return replace(plain, p=float(p), notes=(remark("bootstrap", text), *other))


def _statistic(job: _Job) -> float:
    """Twice the difference of the log-likelihoods on one simulated data set; nan where a refit fails."""
    try:
        response = simulated(job.posterior, np.random.default_rng(job.seed))
        small = _fitted(job.posterior, response)
        large = _fitted(job.others[0], _in_order(response, job.posterior, job.others[0]))
    except (MicromacroError, np.linalg.LinAlgError):
        return float("nan")
    return max(2.0 * (large.loglik - small.loglik), 0.0)


def _in_order(response: Response, of: Posterior, to: Posterior) -> Response:
    """A response of one model in the order in which another one of the same rows keeps them."""
    here, there = of.specification, to.specification
    places = matched(outcomes_of(there), outcomes_of(here))
    if places is None:
        raise EngineError(
            "rows and groups have the same outcomes, several of them equal, so it is not known which row is which: "
            "give both fits the groups by id"
        )
    take = np.empty(len(places), dtype=np.int64)
    take[shown_order(there, None)] = shown_order(here, None)[places]
    return replace(
        response, values=np.ascontiguousarray(response.values[:, take]), observed=response.observed[take],
        weight=response.weight[take],
    )  # fmt: skip
