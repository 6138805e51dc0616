"""One chain of `mcmc`: tuning, moves, draws, and what it needs to be taken up again."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...model.specification import Specification
from ..mixtures import Reference
from ..search import Peak
from .margins import MANY, Evened, margins_of
from .moves import State, elliptical, independence
from .ridges import RidgeScores
from .targets import target_of
from .tuned import Fitter, pack, unpack

MOVES = 2  # moves of theta in a sweep, unless the target is an easy one
SWEEPS = 4  # sweeps for each kept draw, at most
PACE = 5  # moves of theta for each tuning iteration, where coordinates are made normal
THIN = 0.05  # share of the tails of a reference there, whose coordinates have none that are long
SLOW = 8.0  # autocorrelation time of tuning's moves for which one sweep is enough
USEFUL = 0.05  # squared jump with x held, in variances (2 for independent draws), from which such moves go on


@dataclass(frozen=True, eq=False)
class Task:
    """What one chain needs; can be sent to another process.

    Attributes
    ----------
    saved : dict of arrays or None
        The state of a chain to be taken up again (`tune` is 0 then); see :meth:`Sampler.keep`.
    kept : (k,) int array or None
        The entries of x whose draws are kept, if not all.
    """

    specification: Specification
    peaks: list[Peak]
    seed: np.random.SeedSequence
    draws: int
    tune: int
    chain: int
    saved: dict[str, np.ndarray] | None = None
    kept: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Chain:
    """What one chain gives: theta, x in natural order, log target, statistics, its last state; cut short if stopped."""

    theta: np.ndarray
    x: np.ndarray
    value: np.ndarray
    stats: dict[str, np.ndarray]
    state: dict[str, np.ndarray] = field(default_factory=dict)
    number: int = 0


def run_chain(task: Task, tick: Callable[[int], None] | None = None, stop: threading.Event | None = None) -> Chain:
    """Run one chain: tune, then draw."""
    with np.errstate(all="ignore"):  # a proposal where the density is not finite is not accepted
        return _run(task, tick, stop)


def _run(task: Task, tick: Callable[[int], None] | None, stop: threading.Event | None) -> Chain:
    system = task.specification.system
    sampler = Sampler(task)
    made = 0
    theta = np.empty((task.draws, len(system.hypers)))
    kept = slice(None) if task.kept is None else task.kept
    x = np.empty((task.draws, system.size if task.kept is None else len(task.kept)))
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
        spent, accepted = sampler.iterate()
        theta[made], drawn = sampler.draw()
        x[made] = drawn[kept]
        value[made] = sampler.state.value
        stats["n_evaluations"][made], stats["accepted"][made] = spent, accepted / (sampler.moves * sampler.sweeps)
        made += 1
    if tick is not None:
        tick(task.tune + task.draws)
    stats = {k: v[:made] for k, v in stats.items()}
    return Chain(theta[:made], x[:made], value[:made], stats, sampler.keep(), task.chain)


class Sampler:
    """The moving parts of one chain: its state, its reference t, its work space."""

    def __init__(self, task: Task):
        coordinates = RidgeScores(task.specification)
        self.task = task
        self.coordinates = coordinates
        self.rng = np.random.default_rng(task.seed)
        self.latent = target_of(task.specification)
        self.independent = 0.5
        self.history = np.empty((task.tune, len(coordinates.hypers)))
        self.heights = np.empty(task.tune)
        self.fitter = Fitter(coordinates.folded, 1.0 / coordinates.unit, coordinates.folded)
        self.tried = self.taken = 0
        self.sweeps, self.moves, self.holding = 1, MOVES, self.latent.carries
        self.even = len(coordinates.hypers) > MANY and not self.latent.carries
        self.pace = PACE if self.even else 1
        self.jumps = np.zeros((task.tune, len(coordinates.hypers)))
        if task.saved is not None:
            self._resume(task.saved)
            return
        self.bent = coordinates.bend(task.peaks[0], peak_scale(task.peaks[0]))
        peak = task.peaks[task.chain % len(task.peaks)]
        self.reference = self.fitter.at_peaks([self._along(p) for p in task.peaks])
        self.latent.anchor(peak.u)
        self.state = self._start(peak)

    def _along(self, peak: Peak) -> tuple[np.ndarray, np.ndarray, float]:
        """A peak of the scores in the chain's coordinates: centre, scale matrix and height."""
        u, slope = self.coordinates.along(peak.u)
        return u, slope @ peak_scale(peak) @ slope.T, peak.value

    def target(self, u: np.ndarray) -> float:
        """Log posterior density of the coordinates (and of what goes along with them)."""
        point = self.coordinates.at(u)
        prior = self.coordinates.log_prior_at(point)
        if not math.isfinite(prior):
            return -math.inf
        return self.latent.log(self.coordinates.plain(point), point.theta) + prior

    def _start(self, peak: Peak) -> State:
        """An overdispersed draw around a peak (nearer to it where the density does not exist)."""
        center, scale, _ = self._along(peak)
        wide = Reference.fit(center, scale, self.coordinates.folded, 2.5, 1.0 / self.coordinates.unit)
        for attempt in range(20):
            u = center + (wide.draw(self.rng) - center) * 0.8**attempt
            value = self.target(u)
            if math.isfinite(value) and self.task.specification.system.sound(self.coordinates.theta(u)):
                break
        else:
            u = center.copy()
            value = self.target(u)
        self.latent.adopt()
        return State(u, value)

    def iterate(self) -> tuple[int, int]:
        """All that is done for one draw; returns evaluations spent and moves of theta that were accepted."""
        spent = accepted = 0
        for _ in range(self.sweeps):
            more, taken = self.sweep(self.moves)
            self.refresh()
            spent, accepted = spent + more, accepted + taken
        return spent, accepted

    def sweep(self, moves: int) -> tuple[int, int]:
        """Some moves of theta; returns evaluations spent and moves that were accepted."""
        spent = accepted = 0
        for _ in range(moves):
            independent = self.rng.random() < self.independent
            self._move(independence if independent else elliptical)
            if independent:
                self.tried += 1
                self.taken += self.state.accepted
            spent += self.state.evaluations
            accepted += self.state.accepted
        return spent, accepted

    def _move(self, move: Callable[..., State]) -> None:
        """One move of theta; what was worked out at an accepted proposal is kept."""
        self.state = move(self.state, self.target, self.reference, self.rng)
        if self.state.accepted:
            self.latent.adopt()

    def tune(self, iteration: int) -> None:
        """A tuning move; the reference is refitted to the second half of what has been seen, ever more rarely."""
        if iteration < 30:
            self._move(elliptical)
        else:
            self.sweep(self.pace)
        self.jumps[iteration] = self.refresh(tuning=True)
        inner = self.coordinates.margins.inner(self.state.u)
        self.history[iteration] = inner
        self.heights[iteration] = self.state.value - self.coordinates.margins.log_slope(self.state.u, inner)
        done = iteration + 1
        q = self.history.shape[1]
        if done in _refits(self.task.tune) and done >= 20 * q:
            self._refit(self.history[done // 3 : done], self.heights[done // 3 : done])
            if self.tried >= 20:
                self.independent = min(0.85, max(0.15, self.taken / self.tried))
            if self.independent > self.latent.easy:
                self.moves, self.holding = 1, False
            self.tried = self.taken = 0
        if done == self.task.tune and done >= 20 * q:
            self._settle(self.history[done // 2 :], self.jumps[done // 2 :])

    def _settle(self, seen: np.ndarray, jumps: np.ndarray) -> None:
        """Whether to go on moving theta with x held, and how many sweeps a draw needs (fixed from here on)."""
        variance = np.maximum(seen.var(axis=0), 1e-300)
        self.holding = self.holding and bool((np.mean(jumps**2, axis=0) / variance).max(initial=0.0) > USEFUL)
        longest = max((_autocorrelation_time(column) for column in seen.T), default=0.0)
        self.sweeps = min(SWEEPS, max(1, math.ceil(self.pace * longest / SLOW)))

    def _refit(self, seen: np.ndarray, heights: np.ndarray) -> None:
        """A reference with the moments of the coordinates seen so far; the map of x follows."""
        if self.even:
            seen, heights = self._evened(seen, heights)
        self.reference = self.fitter.to_seen(self.reference, seen, heights)
        self.latent.anchor(self.coordinates.plain(self.coordinates.at(seen.mean(axis=0))))
        self.state = State(self.state.u, self.target(self.state.u))
        self.latent.adopt()

    def _evened(self, seen: np.ndarray, heights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Go over to margins in which what has been seen is about normal; what has been seen, in them."""
        coordinates, old = self.coordinates, self.coordinates.margins
        times = np.array([_autocorrelation_time(column) for column in seen.T])
        new = Evened.fit(seen, coordinates.folded, len(seen) / np.maximum(times, 1.0))
        units = coordinates.unit * new.slope(np.zeros(len(times)))
        self.fitter = Fitter(new.cut(coordinates.folded), 1.0 / units, coordinates.folded, tail=THIN, reach=0.0)
        self.reference = self.fitter.through(self.reference, old, new)
        self.state = State(new.outer(old.inner(self.state.u)), self.state.value)
        coordinates.margins = new
        moved = new.both(new.outer(seen), self.rng)
        return moved, heights + np.array([new.log_slope(y, u) for y, u in zip(moved, seen, strict=True)])

    def refresh(self, tuning: bool = False) -> np.ndarray:
        """Move what goes along with theta, then theta with that held; how far it jumped."""
        self.state.value = self.latent.refresh(self.state.value, self.rng, tuning)
        before = self.state.u
        if self.holding:
            self._move_held()
        inner = self.coordinates.margins.inner
        return inner(self.state.u) - inner(before)

    def _move_held(self) -> None:
        """An elliptical move of theta with x held."""
        density = self.latent.hold()

        def target(u: np.ndarray) -> float:
            point = self.coordinates.at(u)
            prior = self.coordinates.log_prior_at(point)
            return density(point.theta) + prior if math.isfinite(prior) else -math.inf

        here = State(self.state.u, target(self.state.u))
        if not math.isfinite(here.value):
            return
        moved = elliptical(here, target, self.reference, self.rng)
        if not moved.accepted:
            return
        point = self.coordinates.at(moved.u)
        value = self.latent.release(self.coordinates.plain(point), point.theta)
        if math.isfinite(value):
            self.state = State(moved.u, value + self.coordinates.log_prior_at(point), self.state.evaluations)

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        """Theta of the state, and x from its conditional given it."""
        return self.coordinates.theta(self.state.u), self.latent.draw(self.rng)

    # -- going on ----------------------------------------------------------------------------------------------------

    def keep(self) -> dict[str, np.ndarray]:
        """The state as plain arrays: the draws of a chain taken up from them are those of an uninterrupted one."""
        return {
            "u": self.state.u.copy(),
            "value": np.array(self.state.value),
            **pack(self.reference),
            "bent": self.bent.astype(float),
            "independent": np.array(self.independent),
            "sweeps": np.array(float(self.sweeps)),
            "moves": np.array(float(self.moves)),
            "holding": np.array(float(self.holding)),
            "rng": pack_generator(self.rng),
            **self.coordinates.margins.keep(),
            **self.latent.keep(),
        }

    def _resume(self, saved: dict[str, np.ndarray]) -> None:
        self.bent = self.coordinates.use(saved["bent"] > 0.0)
        self.coordinates.margins = margins_of(saved)
        self.reference = unpack(saved, self.coordinates.margins.cut(self.coordinates.folded))
        self.independent = float(saved["independent"])
        self.sweeps, self.moves = int(saved["sweeps"]), int(saved["moves"])
        self.holding = float(saved["holding"]) > 0.0
        self.latent.resume(saved)
        u = saved["u"].copy()
        self.target(u)
        self.latent.adopt()
        self.state = State(u, float(saved["value"]))
        unpack_generator(self.rng, saved["rng"])


def pack_generator(rng: np.random.Generator) -> np.ndarray:
    """The state of a PCG64 generator as (6,) unsigned integers."""
    whole: Any = rng.bit_generator.state
    low = 2**64 - 1
    words = [word for name in ("state", "inc") for word in (whole["state"][name] >> 64, whole["state"][name] & low)]
    return np.array([*words, whole["has_uint32"], whole["uinteger"]], dtype=np.uint64)


def unpack_generator(rng: np.random.Generator, packed: np.ndarray) -> None:
    """Put a PCG64 generator into a state that :func:`pack_generator` gave."""
    a, b, c, d, has, integer = (int(word) for word in packed)
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": (a << 64) | b, "inc": (c << 64) | d},
        "has_uint32": has,
        "uinteger": integer,
    }


def _refits(tune: int) -> set[int]:
    """Iterations after which the reference is refitted: the last one is the end of tuning."""
    return {int(tune * f) for f in (0.15, 0.3, 0.5, 0.75, 1.0)}


def _autocorrelation_time(values: np.ndarray) -> float:
    """Integrated autocorrelation time of a series; 1 for independent values.

    Twice the sum of its autocorrelations, up to where pairs of them turn negative (Geyer 1992).
    """
    n = len(values)
    away = values - values.mean()
    variance = float(away @ away) / n
    if n < 8 or not variance > 0.0:
        return 0.0
    power = np.abs(np.fft.rfft(away, 2 * n)) ** 2
    rho = np.fft.irfft(power)[: n - n % 2] / (n * variance)
    pairs = rho[::2] + rho[1::2]
    negative = np.flatnonzero(pairs <= 0.0)
    return 2.0 * float(pairs[: negative[0] if len(negative) else len(pairs)].sum()) - 1.0


def peak_scale(peak: Peak) -> np.ndarray:
    """Scale matrix at a peak: minus the inverse Hessian, with prior variances where that is not usable."""
    covariance = peak.covariance()
    fixed = ~peak.free
    if not np.all(np.isfinite(covariance)):
        diagonal = np.clip(-np.diag(peak.hessian), 0.25, None)
        return np.diag(1.0 / diagonal)
    if peak.held is not None:
        covariance += peak.held.across()
        fixed &= np.all(peak.held.hessian == 0.0, axis=1)
    # An entry at the boundary: an even density there, with about the prior's curvature at least.
    covariance[fixed, fixed] = 0.25
    return covariance
