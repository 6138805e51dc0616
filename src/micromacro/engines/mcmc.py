r"""Exact MCMC: theta from its marginal posterior, then effects and coefficients given theta.

Theta (a few numbers) is sampled by the moves of :mod:`micromacro.engines.moves` in prior scores, from its posterior
with x integrated out where the outcome is Gaussian, jointly with whitened effects and coefficients otherwise
(:mod:`micromacro.engines.targets`). Chains start at overdispersed draws around all maxima found.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import EngineError
from ..model import Specification
from .base import Draws, Outcome, Settings
from .coordinates import Scores
from .moves import Reference, State, elliptical, independence
from .search import Bounds, Objective, Peak, find_peaks
from .targets import marginal_of, target_of

MOVES = 2  # moves of theta for each kept draw


def fit_mcmc(specification: Specification, settings: Settings) -> Outcome:
    """Draw from the posterior."""
    began = time.perf_counter()
    check_proper(specification)
    peaks = posterior_peaks(specification)
    seeds = np.random.SeedSequence(settings.random_seed).spawn(settings.chains)
    tasks = [Task(specification, peaks, seed, settings.draws, settings.tune, chain) for chain, seed in enumerate(seeds)]
    chains, failures, interrupted = run_chains(tasks, settings)
    draws = gather(chains, failures, peaks, interrupted)
    notes = []
    if interrupted:
        notes.append(f"stopped early: {draws.theta.shape[1]} of {settings.draws} draws a chain were kept")
    if len(peaks) > 1:
        gaps = ", ".join(f"{peaks[0].value - p.value:.2f}" for p in peaks[1:])
        notes.append(
            f"the posterior of theta has {len(peaks)} local maxima (log density lower by {gaps}); chains started at all"
        )
    return Outcome("mcmc", specification, settings, time.perf_counter() - began, draws=draws, notes=notes)


def check_proper(specification: Specification) -> None:
    """Refuse flat priors where the posterior would be improper."""
    improper = [p for p in specification.system.hypers if not p.prior.proper]
    if improper:
        names = ", ".join(p.name for p in improper)
        raise EngineError(
            f"mcmc needs a proper prior for {names}: with a flat prior on a weight parameter or an sd there is no "
            'posterior; leave the prior out (a weakly informative one is used) or give one, or use engine="ml"'
        )


def posterior_peaks(specification: Specification) -> list[Peak]:
    """Maxima of the marginal posterior density of the scores."""
    system = specification.system
    coordinates = Scores(system.hypers)
    objective = score_objective(marginal_of(specification), coordinates)
    first = coordinates.from_theta(np.array([p.start for p in system.hypers]))
    starts = [first]
    rng = np.random.default_rng(np.random.SeedSequence(0))
    for _ in range(3):
        start = first + 0.3 * rng.standard_normal(len(first))
        for k, p in enumerate(coordinates.hypers):
            if p.kind in ("w", "aggregate") or p.linear:
                start[k] = rng.standard_normal()
        start[coordinates.folded] = np.abs(start[coordinates.folded])
        starts.append(start)
    # Open above: with all bounds finite L-BFGS-B begins with a step along the whole gradient, into a corner.
    bounds: Bounds = [(0.0, None) if f else (None, None) for f in coordinates.folded]
    peaks = find_peaks(objective, starts, bounds)
    if not peaks:
        raise EngineError(
            "the posterior density could not be evaluated at any starting value; look at Model.explain() for the "
            "starting weights and the priors"
        )
    return peaks


def score_objective(marginal: Any, coordinates: Scores) -> Objective:
    """Log marginal posterior of the scores with its gradient (approximate where the marginal is)."""
    room = marginal.workspace()

    def objective(u: np.ndarray) -> tuple[float, np.ndarray]:
        theta = coordinates.theta(u)
        value, gradient = marginal.gradient(theta, room)
        slope = gradient[coordinates.free] * coordinates.slope(u, theta) + coordinates.prior_slope(u)
        return value + coordinates.log_prior(u), slope

    return objective


@dataclass(frozen=True, eq=False)
class Task:
    """What one chain needs; can be sent to another process."""

    specification: Specification
    peaks: list[Peak]
    seed: np.random.SeedSequence
    draws: int
    tune: int
    chain: int


@dataclass(frozen=True, eq=False)
class Chain:
    """What one chain gives: scores, x in natural order, log target, statistics; cut short if stopped."""

    theta: np.ndarray
    x: np.ndarray
    value: np.ndarray
    stats: dict[str, np.ndarray]


def run_chain(task: Task, tick: Callable[[int], None] | None = None, stop: threading.Event | None = None) -> Chain:
    """Run one chain: tune, then draw."""
    system = task.specification.system
    coordinates = Scores(system.hypers)
    sampler = _Sampler(task, coordinates)
    kept = 0
    theta = np.empty((task.draws, len(system.hypers)))
    x = np.empty((task.draws, system.size))
    value = np.empty(task.draws)
    stats = {"n_evaluations": np.zeros(task.draws), "accepted": np.zeros(task.draws)}
    for iteration in range(task.tune + task.draws):
        if stop is not None and stop.is_set():
            break
        if tick is not None and iteration % 25 == 0:
            tick(iteration)
        if iteration < task.tune:
            sampler.tune(iteration)
            continue
        spent, accepted = sampler.sweep(MOVES)
        sampler.refresh()
        theta[kept], x[kept] = sampler.draw()
        value[kept] = sampler.state.value
        stats["n_evaluations"][kept], stats["accepted"][kept] = spent, accepted / MOVES
        kept += 1
    if tick is not None:
        tick(task.tune + task.draws)
    return Chain(theta[:kept], x[:kept], value[:kept], {k: v[:kept] for k, v in stats.items()})


class _Sampler:
    """The moving parts of one chain: its state, its reference t, its work space."""

    def __init__(self, task: Task, coordinates: Scores):
        self.task = task
        self.coordinates = coordinates
        self.rng = np.random.default_rng(task.seed)
        self.latent = target_of(task.specification)
        self.at: np.ndarray | None = None  # the scores whose factor the work space holds
        self.independent = 0.5
        self.history = np.empty((task.tune, len(coordinates.hypers)))
        self.tried = self.taken = 0
        peak = task.peaks[task.chain % len(task.peaks)]
        self.reference = Reference.fit(peak.u, peak_scale(peak), coordinates.folded, 1.3, 1.0 / coordinates.unit)
        self.latent.anchor(peak.u)
        self.state = self._start(peak)

    def target(self, u: np.ndarray) -> float:
        """Log posterior density of the scores (and of what goes along with them)."""
        self.at = u
        return self.latent.log(u, self.coordinates.theta(u)) + self.coordinates.log_prior(u)

    def _start(self, peak: Peak) -> State:
        """An overdispersed draw around a peak (nearer to it where the density does not exist)."""
        wide = Reference.fit(peak.u, peak_scale(peak), self.coordinates.folded, 2.0, 1.0 / self.coordinates.unit)
        for attempt in range(20):
            u = peak.u + (wide.draw(self.rng) - peak.u) * 0.8**attempt
            value = self.target(u)
            if math.isfinite(value):
                return State(u, value)
        return State(peak.u.copy(), self.target(peak.u))

    def sweep(self, moves: int) -> tuple[int, int]:
        """Some moves of theta; returns evaluations spent and moves that were accepted."""
        spent = accepted = 0
        for _ in range(moves):
            if self.rng.random() < self.independent:
                self.state = independence(self.state, self.target, self.reference, self.rng)
                self.tried += 1
                self.taken += self.state.accepted
            else:
                self.state = elliptical(self.state, self.target, self.reference, self.rng)
            spent += self.state.evaluations
            accepted += self.state.accepted
        return spent, accepted

    def tune(self, iteration: int) -> None:
        """A tuning move; the reference is refitted to the second half of what has been seen, ever more rarely."""
        if iteration < 30:
            self.state = elliptical(self.state, self.target, self.reference, self.rng)
        else:
            self.sweep(1)
        self.refresh(tuning=True)
        self.history[iteration] = self.state.u
        done = iteration + 1
        q = self.history.shape[1]
        if done in _refits(self.task.tune) and done >= 20 * q:
            seen = self.history[done // 3 : done]
            self.reference = Reference.fit(
                seen.mean(axis=0),
                np.cov(seen.T).reshape(q, q) * (DF_SHRINK),
                self.coordinates.folded,
                1.05,
                1.0 / self.coordinates.unit,
            )
            self.latent.anchor(self.reference.center)
            self.state = State(self.state.u, self.target(self.state.u))
            if self.tried >= 20:
                self.independent = min(0.85, max(0.15, self.taken / self.tried))
            self.tried = self.taken = 0

    def refresh(self, tuning: bool = False) -> None:
        """Move what goes along with theta."""
        if self.at is not self.state.u:
            self.target(self.state.u)
        self.state.value = self.latent.refresh(self.state.value, self.rng, tuning)

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        """Theta of the state, and x from its conditional given it."""
        theta = self.coordinates.theta(self.state.u)
        if self.at is not self.state.u:
            self.target(self.state.u)
        return theta, self.latent.draw(self.rng)


DF_SHRINK = 0.8  # scale matrix of the t for a given covariance: between (df - 2) / df and 1


def _refits(tune: int) -> set[int]:
    """Iterations after which the reference is refitted: the last one is the end of tuning."""
    return {int(tune * f) for f in (0.15, 0.3, 0.5, 0.75, 1.0)}


def peak_scale(peak: Peak) -> np.ndarray:
    """Scale matrix at a peak: minus the inverse Hessian, with prior variances where that is no use."""
    covariance = peak.covariance()
    fixed = ~peak.free
    if not np.all(np.isfinite(covariance)):
        diagonal = np.clip(-np.diag(peak.hessian), 0.25, None)
        return np.diag(1.0 / diagonal)
    # An entry at the boundary: an even density there, with about the prior's curvature at least.
    covariance[fixed, fixed] = 0.25
    return covariance


def run_chains(tasks: list[Task], settings: Settings) -> tuple[list[Chain], list[str], bool]:
    """Run chains in threads or in the user's executor.

    Ctrl-C stops them and keeps what they have; a chain that fails does not take the others with it.

    Returns
    -------
    chains : list of Chain
    failures : list of str
        What went wrong in those that failed.
    interrupted : bool
    """
    if settings.executor is not None:
        futures = [settings.executor.submit(run_chain, t) for t in tasks]
        interrupted = _wait(futures, None, lambda: None)
        return *_collect(futures), interrupted
    from .progress import Progress

    stop = threading.Event()
    # One thread a chain: all of them have draws when the run is stopped early.
    with (
        Progress(len(tasks), tasks[0].tune + tasks[0].draws, settings.progress) as progress,
        ThreadPoolExecutor(max_workers=len(tasks)) as pool,
    ):
        futures = [pool.submit(run_chain, t, progress.tick(t.chain), stop) for t in tasks]
        interrupted = _wait(futures, stop, progress.show)
    return *_collect(futures), interrupted


def _wait(futures: list[Future], stop: threading.Event | None, show: Callable[[], None]) -> bool:
    """Wait for all chains; on Ctrl-C ask them to stop (elsewhere: leave those that are not done), and say so."""
    pending = set(futures)
    try:
        while pending:
            show()
            time.sleep(0.02)
            pending = {f for f in pending if not f.done()}
        return False
    except KeyboardInterrupt:
        if stop is None:
            for future in pending:
                future.cancel()
        else:
            stop.set()
            wait(futures)
        return True


def _collect(futures: list[Future]) -> tuple[list[Chain], list[str]]:
    """Chains that worked, and what went wrong in the others."""
    chains, failures = [], []
    for k, future in enumerate(futures):
        if not future.done() or future.cancelled():  # left behind when the run was stopped
            continue
        error = future.exception()
        if error is None:
            chains.append(future.result())
        else:
            failures.append(f"chain {k} failed and is left out ({type(error).__name__}: {error})")
    return chains, failures


def gather(chains: list[Chain], failures: list[str], peaks: list[Peak], interrupted: bool) -> Draws:
    """Stack chains; if the run was stopped, those without a draw are left out and the others cut to the shortest."""
    chains = [c for c in chains if len(c.value)]
    if failures and not chains:
        raise EngineError("; ".join(failures))
    if not chains:
        raise EngineError("the run was stopped before any draw was kept; ask for a shorter tune= or let it run on")
    length = min(len(c.value) for c in chains)
    stats: dict[str, Any] = {k: np.stack([c.stats[k][:length] for c in chains]) for k in chains[0].stats}
    return Draws(
        theta=np.stack([c.theta[:length] for c in chains]),
        x=np.stack([c.x[:length] for c in chains]),
        log_posterior=np.stack([c.value[:length] for c in chains]),
        stats=stats,
        peaks=tuple(p.value for p in peaks),
        interrupted=interrupted,
        failures=tuple(failures),
    )
