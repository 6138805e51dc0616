r"""Profile-likelihood intervals, with a level corrected by simulation if asked.

The interval contains the values that a likelihood-ratio test does not reject. Its statistic W is chi-squared(1) in
large samples only: where the data say little of weights its mean exceeds 1, and intervals are too short. Bartlett's
correction divides W by its mean, here

.. math:: c(\beta) = E\{W(\beta)\} \approx \frac1n \sum_{r=1}^n W_r(\beta),

over data sets simulated at an end of the interval with everything else at its maximum there, so that the end lies where
the profile has fallen by :math:`c\,\chi^2_1/2`.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from scipy import special

from ...engines.likelihood.maxima import starting_points
from ...engines.likelihood.problem import problem_of
from ...engines.likelihood.profile import Profile
from ...engines.search import climb
from ...errors import EngineError, MicromacroError, ModelError
from ...posterior.base import Maximised, Posterior
from ...posterior.replicate import simulated, with_response
from .bootstrap import check_simulable


def profiled(posterior: Posterior) -> list[str]:
    """Parameters that have a profile interval: those that are one entry of theta on their own, and are estimated."""
    specification = posterior.specification
    hypers = specification.system.hypers
    slope = specification.layout.reported_slope(posterior.theta)
    alone = np.all(slope == np.eye(len(hypers)), axis=1)
    return [p.name for p, own in zip(hypers, alone, strict=True) if own and p.kind != "cut" and not p.fixed]


@dataclass(frozen=True, eq=False)
class Entry:
    """An entry of theta with its profile.

    Attributes
    ----------
    k : int
        Its place in theta.
    step : float
        About its standard error.
    limits : tuple of float
        The ends of its range.
    """

    best: Maximised
    k: int
    profile: Profile
    step: float
    limits: tuple[float, float]

    def end(self, side: int, drop: float) -> float:
        """Where the profile has fallen by `drop`, below (0) or above (1) the estimate."""
        step = self.step if side else -self.step
        return self.profile.end(self.best.objective - drop, step, self.limits[side])

    def inside(self, value: float) -> bool:
        """Whether a value lies inside the range."""
        return bool(np.isfinite(value)) and self.limits[0] < value < self.limits[1]


def entry_of(posterior: Posterior, name: str) -> Entry:
    """The entry of a name, or an error that says which have a profile."""
    best = posterior.maximised("profile intervals are for ml and reml; intervals of draws are quantiles")
    specification = best.specification
    hypers = specification.system.hypers
    names = profiled(best)
    if name not in names:
        raise ModelError(f"profile intervals are for {', '.join(names) or 'no parameter of this model'}, not {name!r}")
    k = [p.name for p in hypers].index(name)
    problem = problem_of(specification, best.kind.restricted)
    se = float(best.theta_error[k])
    low, high = hypers[k].prior.support
    if hypers[k].positive:
        low = 0.0
    if hypers[k].kind == "cor":
        low, high = max(low, -1.0), min(high, 1.0)
    profile = Profile(problem, problem.marginal.point(best.theta, best.x), k)
    return Entry(best, k, profile, se if se > 0 else 0.25 * (abs(best.theta[k]) + 1.0), (low, high))


def profile_interval(posterior: Posterior, name: str, ci: float) -> tuple[float, float]:
    """Profile-likelihood interval of an entry of theta: weight parameters, sds, sigma.

    An end that the likelihood does not reach is infinite (or zero for an sd).
    """
    entry, drop = entry_of(posterior, name), _drop(ci)
    return entry.end(0, drop), entry.end(1, drop)


def _drop(ci: float) -> float:
    return 0.5 * float(special.chdtri(1, 1.0 - ci))


# -- corrected -----------------------------------------------------------------------------------------------


def corrected_interval(
    posterior: Posterior, name: str, ci: float, n: int, random_seed: int | None, executor: Executor | None
) -> tuple[float, float]:
    """A profile interval each end of which is at the level that `n` simulated data sets say; infinite ends stay so."""
    entry, drop = entry_of(posterior, name), _drop(ci)
    check_simulable(entry.best, n)
    seeds = np.random.SeedSequence(random_seed).spawn(2)
    low, high = (corrected_end(entry, side, drop, n, seed, executor) for side, seed in enumerate(seeds))
    return low, high


def corrected_end(
    entry: Entry, side: int, drop: float, n: int, seed: np.random.SeedSequence, executor: Executor | None = None
) -> float:
    """The lower (0) or upper (1) end."""
    end = entry.end(side, drop)
    if not entry.inside(end):
        return end
    return entry.end(side, drop * mean_statistic(entry, end, n, seed, executor))


def mean_statistic(
    entry: Entry, value: float, n: int, seed: np.random.SeedSequence, executor: Executor | None = None
) -> float:
    """Mean of W at a value over `n` data sets simulated there."""
    jobs = [_Simulated(held_at(entry, value), entry.k, one) for one in seed.spawn(n)]
    made = list(executor.map(_statistic, jobs)) if executor is not None else [_statistic(job) for job in jobs]
    good = np.array([w for w in made if np.isfinite(w)])
    if len(good) < max(2, n // 2):
        raise EngineError(f"{n - len(good)} of {n} pairs of refits failed: no corrected interval")
    return float(good.mean())


def held_at(entry: Entry, value: float) -> Maximised:
    """The maximum with the entry held at a value."""
    problem, best = entry.profile.problem, entry.best
    point = problem.coordinates.theta(entry.profile.maximum(value)[1])
    point[entry.k] = value
    problem.marginal.value(point, problem.room)
    x = problem.marginal.x(problem.room)
    return best.moved_to(point[: len(best.theta)], x)


@dataclass(frozen=True, eq=False)
class _Simulated:
    """One data set: the maximum from which it is simulated, the entry that is tested, its seed."""

    posterior: Maximised
    k: int
    seed: np.random.SeedSequence


def _statistic(job: _Simulated) -> float:
    """W on one simulated data set; nan where a search fails."""
    best, k = job.posterior, job.k
    try:
        response = simulated(best, np.random.default_rng(job.seed))
        problem = problem_of(with_response(best.specification, response), best.kind.restricted)
        starts = starting_points(problem)
        held, u = Profile(problem, problem.marginal.point(best.theta, best.x), k, starts).maximum(best.theta[k])
        bounds = problem.coordinates.bounds()
        top = max(climb(problem.objective, start, bounds)[1] for start in (u, *starts))
    except (MicromacroError, np.linalg.LinAlgError):
        return float("nan")
    return max(2.0 * (top - held), 0.0)
