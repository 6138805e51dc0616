r"""Maximum likelihood without a factor: the score is a mean over random probes, and its zero is what is looked for.

The mean over probes of :math:`z'H^{-1}\dot Hz` is not the derivative of the mean of :math:`z'\log(H)z`, so no value
steers a step. With common probes the score is a smooth function of the parameters, and Newton's steps with the
differences of that function find its zero; a step along which the score changes its sign is shortened to where it is
zero. With I minus the derivative of the score, and C the covariance of its mean over probes,

.. math:: I^{-1} C I^{-1}

is the Monte Carlo covariance of the estimates. There are as many probes as make that small against their standard
errors.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from ...errors import EngineError, LostWorkerError
from ...latent.representation.iterated import BATCHES, Iterated
from ...model.specification import Specification
from ...notes import Note, remark, trouble
from ...numerics.differences import rank_one
from ..base import Optimum, Outcome, Settings
from ..edges import Bounds, Edged, ends_of
from ..progress import StepsTaken
from ..search import Peak, difference_hessian
from .describe import describe
from .maxima import blind_to_idle, remarks, several, starting_points
from .problem import Problem, problem_of
from .separation import separation
from .unchecked import unchecked

FEW, FIRST = 4, 16  # probes of the search for about the place, and of that from there on
MOST = 256
SMALL = 0.05  # Monte Carlo error of an estimate, in standard errors, that is small enough
SMALL_SPREAD = 0.02  # and of a standard error, relative to it
ALMOST, SAFE = 1.3, 1.2  # how many times as many probes are not worth another search, and what is added to them
ABOUT, ENOUGH = 0.3, 3e-4  # steps, in standard errors, after which there is no other one
NEAR = 2.0  # standard errors between two ends of searches that are one
STEPS = 40
AGAIN = 8  # steps after which the derivative of the score is worked out again, and not corrected by what a step showed
DIFFERENCE = 1e-3  # of the coordinates, for that derivative
OVER = 0.5  # share of the slope at its beginning that a step's end may have with the opposite sign
LEAST = 0.02  # an sd, in the coordinates, at which it is asked whether it is zero
ROOM = 4e9  # bytes that all probes may take


@dataclass(frozen=True)
class Zero:
    """Where the score is zero.

    Attributes
    ----------
    u : (q,) array
    score : (q,) array
    hessian : (q, q) array
        The derivative of the score over the free entries; zero elsewhere.
    free : (q,) bool array
    decrement : float
        Length of Newton's step that is left, in standard errors.
    """

    u: np.ndarray
    score: np.ndarray
    hessian: np.ndarray
    free: np.ndarray
    decrement: float

    def near(self, u: np.ndarray) -> bool:
        """Whether a point is within a standard error or two of it."""
        away = u - self.u
        return abs(float(away @ self.hessian @ away)) < NEAR**2 and bool(np.abs(away).max(initial=0.0) < 1.0)


@dataclass(frozen=True)
class Errors:
    """Monte Carlo errors at a zero of the score.

    Attributes
    ----------
    hessian : (q, q) array
        The derivative of the score there.
    covariance : (q, q) array
        Of the coordinates over sets of probes.
    of_estimates : float
        The largest Monte Carlo error of a coordinate, in its standard errors.
    of_spread : float
        The largest Monte Carlo error of a standard error, relative to it.
    """

    hessian: np.ndarray
    covariance: np.ndarray
    of_estimates: float
    of_spread: float

    @classmethod
    def none(cls, hessian: np.ndarray) -> Errors:
        """Before any are known."""
        return cls(hessian, np.zeros_like(hessian), math.inf, math.inf)


def maximise_by_iteration(specification: Specification, settings: Settings, engine: str, restricted: bool) -> Outcome:
    """The maximum of the (restricted) likelihood by iteration, with all that is reported of it."""
    began = time.perf_counter()
    problem = problem_of(replace(specification, probes=FEW), restricted, settings.start)
    factor = problem.marginal.factor
    assert isinstance(factor, Iterated)
    if settings.executor is not None:
        factor.spread(settings.executor)
    base = problem.marginal.base(problem.room)
    with StepsTaken(settings.progress) as shown:
        search = Search(problem, factor, shown)
        with saying_where(specification, search):
            starts = starting_points(problem)
            zero, found, count, others = search.whole(starts)
    problem.forget()  # values of the search mean nothing
    factor.take(base, count)  # what is known without probes is worked out here, as it is for a fit that was loaded
    value, gradient = problem.objective(zero.u)
    peak = blind_to_idle(specification, problem.coordinates, Peak(zero.u, value, gradient, found.hessian, zero.free))
    optimum = describe(problem, [peak])
    optimum = replace(optimum, evaluations=problem.evaluations, gradient_norm=zero.decrement)
    told = of_parameters(problem, optimum, peak, found.covariance)
    loglik_error = 0.5 * factor.log_error(base)
    final = replace(specification, probes=count)
    notes = several(specification, problem.coordinates, others) + remarks(specification, optimum, restricted, [])
    notes.append(_monte_carlo(specification, optimum, told, found, loglik_error, count))
    notes += unchecked(specification, problem, optimum, peak, len(starts))
    if not problem.marginal.exact and specification.system.scattered is None:
        notes += separation(specification, optimum)
    notes += unsolved(base.side.converged)
    extra = {
        "probes": count, "loglik_error": loglik_error, "estimate_errors": told, "se_error": found.of_spread,
    }  # fmt: skip
    factor.gather()
    seconds, there = time.perf_counter() - began, (problem.marginal, problem.room)
    return Outcome(engine, final, settings, seconds, optimum=optimum, notes=notes, extra=extra, there=there)


class Search:
    """Newton's steps to the zero of the score.

    Attributes
    ----------
    last : (q,) array
        The point last accepted.
    small : float
        Monte Carlo error of an estimate, in standard errors, that is small enough.
    """

    small = SMALL

    def __init__(self, problem: Problem, factor: Iterated, shown: StepsTaken):
        self.problem, self.factor, self.shown = problem, factor, shown
        self.bounds: Bounds = list(problem.coordinates.bounds())
        self.base = problem.marginal.base(problem.room)
        self.last = problem.coordinates.from_theta(problem.start)

    def score(self, u: np.ndarray) -> np.ndarray:
        """The score at a point, nan where the likelihood does not exist."""
        if isinstance(self.problem.objective, Edged) and not math.isfinite(self.problem.objective(u)[0]):
            return np.full(len(u), math.nan)
        with self.factor.quick(self.base):
            return self.problem.smooth(u)[1]

    def derivative(self, u: np.ndarray, free: np.ndarray) -> np.ndarray:
        """The derivative of the score over the free entries."""
        with self.factor.quick(self.base):
            return difference_hessian(self.problem.smooth, u, free, self.bounds, DIFFERENCE)

    def run(self, u: np.ndarray, enough: float, hessian: np.ndarray | None = None) -> Zero:
        """From a point to a zero of the score, and away from sds of zero that are no maximum.

        The last step is shorter than `enough`; with a derivative of the score from elsewhere fewer evaluations do.
        """
        zero = self._run(u, enough, hessian)
        for k, (low, high) in enumerate(self.bounds):
            if low != 0.0 or high is not None or zero.u[k] != 0.0:
                continue
            away = zero.u.copy()
            away[k] = LEAST
            if self.score(away)[k] > 0.0:
                away[k] = 5.0 * LEAST
                zero = self._run(away, enough)
        return zero

    def whole(self, starts: list[np.ndarray]) -> tuple[Zero, Errors, int, list[Peak]]:
        """The zero with the highest value, its errors, the number of probes, and all zeros as they were compared."""
        zeros = self._from_all(starts)
        zero, count, others = zeros[0], 0, []
        found, wanted = Errors.none(zero.hessian), FIRST
        while wanted > count:
            self.factor.take(self.base, wanted)
            self.problem.forget()
            if len(zeros) > 1:
                zero, others = self._highest(zeros)
                found, zeros = Errors.none(zero.hessian), []
            zero, count = self.run(zero.u, ENOUGH, found.hessian), wanted
            found = self.errors(zero)
            wanted = _probes(found, count, self.factor.leading, self.small)
        return zero, found, count, others

    def _from_all(self, starts: list[np.ndarray]) -> list[Zero]:
        """Zeros of the score about where searches from several starts end, no two of them close to each other."""
        out: list[Zero] = []
        for start in starts:
            zero = self.run(start, ABOUT)
            if not any(other.near(zero.u) for other in out):
                out.append(zero)
        return out

    def _highest(self, zeros: list[Zero]) -> tuple[Zero, list[Peak]]:
        """The highest of some zeros, and all from there down; their values have their random errors in common."""
        self.problem.forget()
        peaks = [Peak(z.u, self.problem.objective(z.u)[0], z.score, z.hessian, z.free) for z in zeros]
        self.problem.forget()
        order = sorted(range(len(zeros)), key=lambda k: -peaks[k].value)
        return zeros[order[0]], [peaks[k] for k in order]

    def _run(self, u: np.ndarray, enough: float, hessian: np.ndarray | None = None) -> Zero:
        score = self.score(u)
        if not np.all(np.isfinite(score)):
            raise EngineError(
                "the likelihood could not be evaluated at the starting values; look at Model.explain() for the "
                "starting weights, standardise the covariates, or give start="
            )
        free = self._free(u)
        hessian = self.derivative(u, free) if hessian is None else hessian
        decrement, steps = math.inf, 0
        for _ in range(STEPS):
            step, decrement = _newton(hessian, score, free)
            self.shown.say(decrement)
            if decrement < enough:
                break
            trial, new = self._along(u, score, step)
            moved, seen = trial - u, new - score
            u, score, before = trial, new, free
            self.last = u
            free, steps = self._free(u), steps + 1
            if steps == AGAIN or not np.array_equal(before, free):
                hessian, steps = self.derivative(u, free), 0
            else:
                hessian = rank_one(hessian, moved, np.where(free, seen, 0.0))
            if not moved.any():
                break
        return Zero(u, score, hessian, free, decrement)

    def _along(self, u: np.ndarray, score: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The end of a step, shortened to where the score along it is about zero."""
        trial, new = self._inside(u + step), np.empty(0)
        for _ in range(12):
            new = self.score(trial)
            way = trial - u
            before, after = float(score @ way), float(new @ way)
            if not np.all(np.isfinite(new)):
                trial = u + 0.25 * way
                continue
            if before <= 0.0 or after >= -OVER * before:
                return trial, new
            trial = u + way * min(max(before / (before - after), 0.1), 0.9)
        return (trial, self.score(trial)) if np.all(np.isfinite(new)) else (u, score)

    def _inside(self, u: np.ndarray) -> np.ndarray:
        return np.clip(u, *ends_of(self.bounds))

    def _free(self, u: np.ndarray) -> np.ndarray:
        ends = [x in bound for x, bound in zip(u, self.bounds, strict=True)]
        return ~np.array(ends, dtype=bool)

    def errors(self, zero: Zero) -> Errors:
        """Monte Carlo errors at a zero of the score, and its derivative there, from batches of probes."""
        scores = self.by_batches(zero.u)
        hessians = np.zeros((BATCHES, len(zero.u), len(zero.u)))
        for k in np.flatnonzero(zero.free):
            step = self.step(zero.u, int(k))
            ends = [zero.u.copy(), zero.u.copy()]
            ends[0][k] -= step
            ends[1][k] += step
            down, up = (self.by_batches(u) for u in ends)
            hessians[:, k] = (up - down) / (2.0 * step)
        fixed = ~zero.free
        hessians[:, :, fixed] = 0.0
        hessians = 0.5 * (hessians + hessians.transpose(0, 2, 1))
        hessian = hessians.mean(axis=0)
        inverse = _inverse(hessian, zero.free)
        covariance = inverse @ np.atleast_2d(np.cov(scores.T)) @ inverse / BATCHES
        spread = np.diag(inverse)
        there = spread > 0.0
        moved = np.einsum("ki,bij,jk->bk", inverse, hessians, inverse)[:, there].std(axis=0, ddof=1)
        of_spread = 0.5 * moved / math.sqrt(BATCHES) / spread[there]
        of_estimates = np.sqrt(np.diag(covariance)[there] / spread[there])
        return Errors(hessian, covariance, float(of_estimates.max(initial=0.0)), float(of_spread.max(initial=0.0)))

    def step(self, u: np.ndarray, k: int) -> float:
        """How far a coordinate is moved for differences of the score."""
        low, high = (math.inf if end is None else abs(u[k] - end) for end in self.bounds[k])
        return min(DIFFERENCE * max(1.0, abs(u[k])), 0.5 * low, 0.5 * high)

    def by_batches(self, u: np.ndarray) -> np.ndarray:
        """The score (batches, q) by each batch of probes alone."""
        problem, marginal = self.problem, self.problem.marginal
        point, jacobian = problem.coordinates.theta(u), problem.coordinates.jacobian(u)
        out = np.empty((BATCHES, len(u)))
        with self.factor.quick(self.base):
            marginal.value(point, problem.room)
            for k in range(BATCHES):
                with self.factor.batch(self.base, k):
                    out[k] = marginal.read_slope(problem.room) @ jacobian
        return out + problem.of_prior(u)


def _newton(hessian: np.ndarray, score: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, float]:
    """Newton's step along the absolute curvature, at most 1 in a coordinate, and its length in standard errors."""
    step = np.zeros(len(score))
    if not free.any():
        return step, 0.0
    values, vectors = np.linalg.eigh(-hessian[np.ix_(free, free)])
    size = np.maximum(np.abs(values), 1e-8 * max(float(np.abs(values).max()), 1e-300))
    along = vectors.T @ score[free]
    step[free] = vectors @ (along / size)
    length = math.sqrt(float((along**2 / size).sum()))
    return step / max(1.0, float(np.abs(step).max())), length


def _inverse(hessian: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Minus the inverse of the derivative of the score over the free entries, zero elsewhere."""
    out = np.zeros_like(hessian)
    if free.any():
        out[np.ix_(free, free)] = np.linalg.pinv(-hessian[np.ix_(free, free)], hermitian=True)
    return out


def _probes(found: Errors, count: int, size: int, small: float) -> int:
    """How many probes make the Monte Carlo errors small, in whole multiples of batches."""
    times = max(found.of_estimates / small, found.of_spread / SMALL_SPREAD) ** 2
    most = min(MOST, int(ROOM / (24.0 * max(size, 1))))
    if not math.isfinite(times) or times < ALMOST:
        return count
    return max(count, BATCHES * math.ceil(min(SAFE * count * times, most) / BATCHES))


def of_parameters(problem: Problem, optimum: Optimum, peak: Peak, errors: np.ndarray) -> np.ndarray:
    """Monte Carlo standard errors of theta and the coefficients."""
    jacobian = problem.coordinates.jacobian(peak.u)
    q = len(optimum.theta)
    variance = np.zeros(len(optimum.covariance))
    of_point = np.einsum("ik,kl,il->i", jacobian, errors, jacobian)
    variance[: len(of_point)] = of_point
    if len(of_point) == q:  # coefficients follow theta
        slope = optimum.x_slope[problem.marginal.system.n_effects :] @ jacobian
        variance[q:] = np.einsum("ik,kl,il->i", slope, errors, slope)
    return np.sqrt(np.maximum(variance, 0.0))


def _monte_carlo(
    specification: Specification, optimum: Optimum, errors: np.ndarray, found: Errors, loglik_error: float, count: int
) -> Note:
    """What the probes leave uncertain."""
    names = [p.name for p in (*specification.system.hypers, *specification.system.coefficients)]
    spread = np.sqrt(np.maximum(np.diag(optimum.covariance), 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(spread > 0.0, errors / spread, 0.0)
    order = [int(k) for k in np.argsort(-relative) if relative[k] > 0.0][:8]
    each = ", ".join(f"{names[k]} {errors[k]:.2g}" for k in order)
    share = f" (at most {relative[order[0]]:.2f} standard errors)" if order else ""
    text = (
        f"solved by iteration with {count} probes; Monte Carlo errors: log-likelihood {loglik_error:.2g}"
        f"{f'; estimates{share}: {each}' if each else ''}; standard errors at most {found.of_spread:.1%}"
    )
    return remark("monte-carlo", text)


def unsolved(converged: bool) -> list[Note]:
    """What went wrong with the solutions."""
    if converged:
        return []
    text = (
        "conjugate gradients did not converge: the effects are hardly held by their prior, or covariates differ in "
        'size by many orders; standardise them, or fit with solver="direct"'
    )
    return [trouble("not-solved", text)]


@contextmanager
def saying_where(specification: Specification, search: Search) -> Iterator[None]:
    """Say from where to go on, if a search is interrupted or loses a worker."""
    try:
        yield
    except KeyboardInterrupt:
        where = _where(specification, search.problem, search.last)
        raise KeyboardInterrupt(f"the search was interrupted; {where}") from None
    except LostWorkerError as error:
        raise LostWorkerError(f"{error}; {_where(specification, search.problem, search.last)}") from error


def _where(specification: Specification, problem: Problem, u: np.ndarray) -> str:
    """Where an interrupted search was, to be given as a start."""
    point = problem.coordinates.theta(u)
    values = specification.layout.reported(point[: len(specification.system.hypers)])
    known = {p.name: float(v) for p, v in zip(specification.system.hypers, values, strict=True) if not p.fixed}
    shown = ", ".join(f"{name!r}: {value:.6g}" for name, value in known.items())
    return f"to go on from where the search was, fit with start={{{shown}}}"
