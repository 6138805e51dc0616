r"""Exact MCMC: theta from its marginal posterior, then effects and coefficients given theta.

Theta (a few numbers) is sampled by the moves of :mod:`micromacro.engines.mcmc.moves` in prior scores, from its
posterior with x integrated out where the outcome is Gaussian, jointly with whitened effects and coefficients otherwise
(:mod:`micromacro.engines.mcmc.targets`). Chains start at overdispersed draws around all maxima found.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

import numpy as np

from ...errors import EngineError
from ...latent.marginal.base import Marginal
from ...model.specification import Specification
from ...notes import Note, remark
from ..base import Draws, Outcome, Settings, split
from ..coordinates import Scores
from ..edges import Edge, Edged
from ..kept import kept_effects
from ..marginals import marginal_of, without_edges
from ..progress import TOLD, say
from ..search import Objective, Peak, find_peaks
from ..starting import starting_point
from ..threads import one_blas_thread
from .chain import Chain, Task, run_chain
from .forecast import forecast

LOSS = 2.0  # by how much draws must be more for a chain of a stopped run to be left out
GO_ON = "extend(draws=...) continues them"


def fit_mcmc(specification: Specification, settings: Settings) -> Outcome:
    """Draw from the posterior."""
    began = time.perf_counter()
    check_proper(specification)
    peaks = posterior_peaks(specification, settings.start)
    seeds = np.random.SeedSequence(settings.random_seed).spawn(settings.chains)
    kept = kept_effects(specification, settings.keep)
    entries = with_coefficients(specification, kept)
    tasks = [
        Task(specification, peaks, seed, settings.draws, settings.tune, chain, kept=entries)
        for chain, seed in enumerate(seeds)
    ]
    if settings.progress and settings.executor is None:
        expected = forecast(specification, peaks[0], settings, specification.system.size if kept is None else len(kept))
        if expected.seconds > TOLD:
            say(expected.words(settings))
    chains, failures, interrupted = run_chains(tasks, settings)
    draws = gather(chains, failures, tuple(p.value for p in peaks), interrupted, specification.system.n_effects, kept)
    seconds = time.perf_counter() - began
    return Outcome("mcmc", specification, settings, seconds, draws=draws, notes=remarks(draws, settings))


def remarks(draws: Draws, settings: Settings) -> list[Note]:
    """What to say of a run."""
    notes = []
    if draws.interrupted:
        length = draws.theta.shape[1]
        text = f"stopped early: {length} of {settings.draws} draws per chain were kept; {GO_ON}"
        notes.append(remark("interrupted", text))
    elif draws.failures:
        notes.append(remark("chains-kept", f"the chains that were complete are kept; {GO_ON}"))
    if len(draws.peaks) > 1:
        gaps = ", ".join(f"{draws.peaks[0] - p:.2f}" for p in draws.peaks[1:])
        text = (
            f"the posterior of theta has {len(draws.peaks)} local maxima (log density lower by {gaps}); chains "
            "started at all"
        )
        notes.append(remark("several-maxima", text))
    return notes


def extend(outcome: Outcome, draws: int, progress: bool, executor: Executor | None) -> Outcome:
    """The outcome of a longer run: every chain goes on from its last state, untuned, for some draws.

    Raises
    ------
    EngineError
        If there is nothing to go on from, or no chain gave a draw.
    """
    began = time.perf_counter()
    old = outcome.draws
    if old is None or outcome.engine != "mcmc":
        raise EngineError(
            f'extend() continues chains of mcmc, but this fit is by engine="{outcome.engine}": fit the model again'
        )
    if not old.state:
        raise EngineError(
            "the last state of the chains is missing (it is not stored when a fit is saved with fewer draws): fit "
            "the model again, or save all draws"
        )
    count, length = old.log_posterior.shape
    settings = replace(outcome.settings, draws=length + draws, chains=count, progress=progress, executor=executor)
    seeds = np.random.SeedSequence(0).spawn(count)  # not drawn from: the state holds the generator
    states = [{name: value[k] for name, value in old.state.items()} for k in range(count)]
    tasks = [
        Task(outcome.specification, [], seed, draws, 0, k, saved, with_coefficients(outcome.specification, old.kept))
        for k, (seed, saved) in enumerate(zip(seeds, states, strict=True))
    ]
    with one_blas_thread():
        chains, failures, interrupted = run_chains(tasks, settings)
    chains = even(chains, length)
    effects = outcome.specification.system.n_effects
    more = gather(chains, failures, old.peaks, interrupted, effects, old.kept, before=length)
    rows = [c.number for c in chains]
    joined = replace(
        more,
        theta=np.concatenate([old.theta[rows], more.theta], axis=1),
        effects=np.concatenate([every(old)[rows], every(more)], axis=1),
        coefficients=np.concatenate([old.coefficients[rows], more.coefficients], axis=1),
        log_posterior=np.concatenate([old.log_posterior[rows], more.log_posterior], axis=1),
        stats={k: np.concatenate([old.stats[k][rows], v], axis=1) for k, v in more.stats.items()},
        failures=old.failures + more.failures,
    )
    seconds = outcome.seconds + time.perf_counter() - began
    notes = remarks(joined, settings)
    return replace(outcome, settings=settings, seconds=seconds, draws=joined, notes=notes)


def every(draws: Draws) -> np.ndarray:
    """Draws of all effects that are kept."""
    return draws.all_effects if draws.kept is None or draws.effects is None else draws.effects


def with_coefficients(specification: Specification, kept: np.ndarray | None) -> np.ndarray | None:
    """The entries of x that are kept, by the effects that are: coefficients always are."""
    system = specification.system
    return None if kept is None else np.concatenate([kept, np.arange(system.n_effects, system.size)])


def check_proper(specification: Specification) -> None:
    """Refuse flat priors where the posterior would be improper."""
    improper = [p for p in specification.system.hypers if not p.prior.proper]
    if improper:
        names = ", ".join(p.name for p in improper)
        raise EngineError(
            f"mcmc needs a proper prior for {names}: with a flat prior for a weight parameter or an sd the posterior "
            'is improper; leave the prior out (a weakly informative one is then used) or give one, or use engine="ml"'
        )


def posterior_peaks(specification: Specification, given: Mapping[str, Any] | None = None) -> list[Peak]:
    """Maxima of the marginal posterior density of the scores, found from the usual start or from the user's."""
    theta, _ = starting_point(specification, given or {})
    system = specification.system
    coordinates = Scores(system.hypers)
    marginal = marginal_of(without_edges(specification))
    objective, edge = score_objective(marginal, coordinates), Edge.of(system, coordinates)
    objective = objective if edge is None else Edged(objective, edge)
    starts = score_starts(coordinates, coordinates.from_theta(theta))
    # Open above: with all bounds finite L-BFGS-B begins with a step along the whole gradient, into a corner.
    peaks = find_peaks(objective, starts, coordinates.bounds(), marginal.dear)
    if not peaks:
        raise EngineError(
            "the posterior density could not be evaluated at any starting value; look at Model.explain() for the "
            "starting weights and the priors"
        )
    return peaks


def score_starts(coordinates: Scores, first: np.ndarray) -> list[np.ndarray]:
    """Where searches begin: at `first`, and around it, what may have several maxima at draws from its prior."""
    starts = [first]
    rng = np.random.default_rng(np.random.SeedSequence(0))
    for _ in range(3):
        start = first + 0.3 * rng.standard_normal(len(first))
        for k, p in enumerate(coordinates.hypers):
            if p.kind in ("w", "aggregate") or p.linear:
                start[k] = rng.standard_normal()
        start[coordinates.folded] = np.abs(start[coordinates.folded])
        starts.append(start)
    return starts


def score_objective(marginal: Marginal, coordinates: Scores, room: Any = None) -> Objective:
    """Log marginal posterior of the scores with its gradient (approximate where the marginal is)."""
    room = marginal.workspace() if room is None else room

    def objective(u: np.ndarray) -> tuple[float, np.ndarray]:
        theta = coordinates.theta(u)
        value, gradient = marginal.gradient(theta, room)
        slope = gradient[coordinates.free] * coordinates.slope(u, theta) + coordinates.prior_slope(u)
        return value + coordinates.log_prior(u), slope

    return objective


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
    stop = threading.Event()
    if settings.executor is not None:
        here = isinstance(settings.executor, ThreadPoolExecutor)  # whose threads can be asked to stop
        futures = [_submit(settings.executor, t, stop if here else None) for t in tasks]
        return _collect(futures, _wait(futures, stop if here else None, lambda: None))
    from ..progress import Progress

    # One thread per chain: all of them have draws when the run is stopped early.
    with (
        Progress(len(tasks), tasks[0].tune + tasks[0].draws, settings.progress) as progress,
        ThreadPoolExecutor(max_workers=len(tasks)) as pool,
    ):
        try:
            futures = [pool.submit(run_chain, t, progress.tick(t.chain), stop) for t in tasks]
            interrupted = _wait(futures, stop, progress.show)
        except KeyboardInterrupt:  # before all chains had begun, or a second one: the pool waits for its threads
            stop.set()
            raise
    return _collect(futures, interrupted)


def _submit(executor: Executor, task: Task, stop: threading.Event | None) -> Future:
    """A chain in the user's executor; one that takes no more work (a worker died) makes the chain fail, not the run."""
    try:
        return executor.submit(_run_there, task, os.getpid(), stop)
    except RuntimeError as error:
        failed: Future = Future()
        failed.set_exception(error)
        return failed


def _run_there(task: Task, caller: int, stop: threading.Event | None) -> Chain:
    """A chain in a worker, which may be another process than the caller's: there BLAS is still to be told."""
    if os.getpid() == caller:
        return run_chain(task, None, stop)
    with one_blas_thread():
        return run_chain(task)


def _wait(futures: list[Future], stop: threading.Event | None, show: Callable[[], None]) -> bool:
    """Wait for all chains; on Ctrl-C ask them to stop (elsewhere: leave those that are not done), and say so.

    Those that have not begun, in a pool with fewer threads than chains, do not.
    """
    pending = set(futures)
    try:
        while pending:
            show()
            time.sleep(0.02)
            pending = {f for f in pending if not f.done()}
        return False
    except KeyboardInterrupt:
        begun = [future for future in pending if not future.cancel()]
        if stop is not None:
            stop.set()
            wait(begun)
        return True


def _collect(futures: list[Future], interrupted: bool) -> tuple[list[Chain], list[str], bool]:
    """Chains that worked, what went wrong in the others, and whether the run was interrupted (in a worker, perhaps)."""
    chains, failures = [], []
    errors = [f.exception() for f in futures if f.done() and not f.cancelled()]
    interrupted = interrupted or any(isinstance(e, KeyboardInterrupt) for e in errors)
    for k, future in enumerate(futures):
        if not future.done() or future.cancelled():  # left behind when the run was stopped
            if not interrupted:
                failures.append(f"chain {k} was cancelled by its executor and is left out")
            continue
        error = future.exception()
        if error is None:
            chains.append(future.result())
        elif not isinstance(error, KeyboardInterrupt):
            failures.append(f"chain {k} failed and is left out ({type(error).__name__}: {error})")
    return chains, failures, interrupted


def even(chains: list[Chain], before: int = 0) -> list[Chain]:
    """The chains that are kept, all cut to the shortest of them, each having some draws `before`.

    A chain that had hardly begun when the run was stopped is left out rather than that more than half of the draws of
    the others are.
    """
    lengths = [len(c.value) for c in chains]

    def kept(least: int) -> int:
        return (before + least) * sum(n >= least for n in lengths)

    best = min(lengths, default=0)
    for least in sorted(set(lengths)):
        best = least if kept(least) > LOSS * kept(best) else best
    return [c for c in chains if len(c.value) >= best > 0]


def gather(
    chains: list[Chain], failures: list[str], peaks: tuple[float, ...], interrupted: bool, effects: int,
    kept: np.ndarray | None = None, before: int = 0,
) -> Draws:  # fmt: skip
    """Stack chains, each with some draws `before`; if the run was stopped, as :func:`even` says.

    The first `effects` entries of x are effects, of which the `kept` ones are there (all of them without it).
    """
    chains = even(chains, before)
    if failures and not chains:
        raise EngineError("; ".join(failures))
    if not chains:
        raise KeyboardInterrupt("the run was stopped before any draw was kept")
    length = min(len(c.value) for c in chains)
    stats: dict[str, Any] = {k: np.stack([c.stats[k][:length] for c in chains]) for k in chains[0].stats}
    return Draws(
        np.stack([c.theta[:length] for c in chains]),
        *split(np.stack([c.x[:length] for c in chains]), effects if kept is None else len(kept)),
        kept=kept,
        log_posterior=np.stack([c.value[:length] for c in chains]),
        stats=stats,
        peaks=peaks,
        interrupted=interrupted,
        failures=tuple(failures),
        state={k: np.stack([c.state[k] for c in chains]) for k in chains[0].state},
    )
