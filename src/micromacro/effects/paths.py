r"""Effects that change from one participation to the next: ``walk``, ``walk(time)``, ``ar1(time)``.

Each level (a member, a unit) has a path of standardised states, one for each time at which it takes part;
participations at one time share one state. With :math:`g_t` the gap before state t, in units of the mean
gap of all paths,

.. math:: \text{walk:}\quad s_1 \sim N(0, 1),\; s_t \sim N(s_{t-1}, g_t); \qquad
   \text{ar1:}\quad s_1 \sim N(0, 1),\; s_t \sim N(\rho^{g_t} s_{t-1}, 1 - \rho^{2 g_t}),

and the effect is :math:`sd \cdot s_t`: ``B.sd`` is the standard deviation of a step over a mean gap (walk), or of the
effect itself at any time (ar1), and ``B.rho`` the correlation of two states one mean gap apart. ``walk`` without a time
goes by the order of the group ids, each participation one step after the one before.

States at times that the fit has not seen follow from their neighbours in time (the path is Markov): before and after
all known states the path goes on, between two it is bridged.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy import sparse

from ..errors import DataError, FormulaError, ModelError
from ..language.nodes import Name
from ..numerics.precision import path_pattern, path_precision, path_pull
from ..parameters import HIGHEST
from ..priors import Uniform
from ..table.columns import Column, days
from .base import Effects, Rows, Setting
from .phrases import Noun, Phrase, of_sd

LEAST = 1e-6  # of rho: where the slope at zero is taken


@dataclass(frozen=True, eq=False)
class States:
    """The states of all paths, path after path, in order of time.

    Attributes
    ----------
    level : (states,) int array
    key : (states,) array
        Time, or id of the group, as users know it.
    time : (states,) float array
        In units of the mean gap, or the number of the participation.
    first : (states,) bool array
        Whether a path begins here.
    unit : float
        The mean gap in units of the time column.
    """

    level: np.ndarray
    key: np.ndarray
    time: np.ndarray
    first: np.ndarray
    unit: float

    def __len__(self) -> int:
        return len(self.level)

    @property
    def gap(self) -> np.ndarray:
        """Time since the state before (states,); 1 where a path begins."""
        out = np.ones(len(self))
        later = np.flatnonzero(~self.first)
        out[later] = self.time[later] - self.time[later - 1]
        return out


@dataclass(frozen=True)
class Link:
    """A state that the fit has not seen, by its neighbours in time.

    Attributes
    ----------
    level : int
    before, after : int
        Numbers of the neighbours among known and new states (-1: none); ``after`` is a known one.
    gap_before, gap_after : float
    """

    level: int
    before: int
    after: int
    gap_before: float
    gap_after: float


@dataclass(frozen=True, eq=False)
class Path(Effects):
    """Effects that move along paths of states; the base of walks and autoregressions.

    Attributes
    ----------
    states : States
    state : (m,) int array
        State of each membership: known ones, then those of `links`.
    clock : str or None
        The time column; None where the group ids give the order.
    links : tuple of Link
        States that the fit has not seen (prediction only), each after those it needs.
    """

    states: States = None  # type: ignore[assignment]  # always given: the fields before it have defaults
    state: np.ndarray = None  # type: ignore[assignment]
    clock: str | None = None
    links: tuple[Link, ...] = ()

    @property
    def latents(self) -> int:
        """An entry for each known state, then one for each new one."""
        return len(self.states) + len(self.links)

    def unseen(self) -> tuple[tuple, ...]:
        """By level and number of the new state within its path."""
        known, count, out = self.levels.values.tolist(), Counter[int](), []
        for link in self.links:
            level = known[link.level] if link.level < len(known) else self.fresh[link.level - len(known)]
            out.append((level, count[link.level]))
            count[link.level] += 1
        return tuple(out)

    # -- what walks and autoregressions differ in ----------------------------------------------------------------------

    def moves(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Step r_t and variance v_t of each known state (see :mod:`micromacro.numerics.precision`)."""
        raise NotImplementedError

    def bridge(self, theta: np.ndarray, link: Link) -> tuple[float, float, float]:
        """Shares of the state before and after in the mean of a new one, and its sd given them."""
        raise NotImplementedError

    # -- entries of A --------------------------------------------------------------------------------------------------

    def _support(self) -> list[tuple[int, ...]]:
        """Latent entries that each state is made of."""
        known = len(self.states)
        out: list[tuple[int, ...]] = [(k,) for k in range(known)]
        for k, link in enumerate(self.links, start=known):
            near = [e for s in (link.before, link.after) if s >= 0 for e in out[s]]
            out.append((*sorted(set(near)), k))
        return out

    def mix(self, theta: np.ndarray) -> sparse.csr_array:
        """Every state, known and new, as a sum of latent entries (states, latents)."""
        known = len(self.states)
        rows: list[dict[int, float]] = [{k: 1.0} for k in range(known)]
        for k, link in enumerate(self.links, start=known):
            before, after, sd = self.bridge(theta, link)
            own = {k: sd}
            for state, share in ((link.before, before), (link.after, after)):
                for entry, value in rows[state].items() if state >= 0 else ():
                    own[entry] = own.get(entry, 0.0) + share * value
            rows.append(own)
        at = [(r, c, v) for r, row in enumerate(rows) for c, v in row.items()]
        r, c, v = (np.array(z) for z in zip(*at, strict=True)) if at else (np.empty(0, int),) * 2 + (np.empty(0),)
        return sparse.csr_array((v, (r, c)), shape=(self.latents, self.latents))

    def pattern(self) -> tuple[np.ndarray, np.ndarray]:
        if not self.links:
            return np.arange(len(self.state)), self.state
        support = self._support()
        sizes = np.array([len(support[s]) for s in self.state], dtype=np.int64)
        latent = np.array([e for s in self.state for e in support[s]], dtype=np.int64)
        return np.repeat(np.arange(len(self.state)), sizes), latent

    def loads(self, theta: np.ndarray, out: np.ndarray) -> None:
        if not self.links:
            out[:] = theta[0]
            return
        membership, latent = self.pattern()
        dense = self.mix(theta).toarray()
        out[:] = theta[0] * dense[self.state[membership], latent]

    def pull_loads(self, theta: np.ndarray, d_load: np.ndarray) -> np.ndarray:
        out = np.zeros(len(self.hypers))
        out[0] = d_load.sum()
        return out

    # -- the prior of x ------------------------------------------------------------------------------------------------

    def precision_pattern(self) -> tuple[np.ndarray, np.ndarray]:
        row, column = path_pattern(self.states.first)
        new = np.arange(len(self.states), self.latents)
        return np.concatenate([row, new]), np.concatenate([column, new])

    def precision(self, theta: np.ndarray, out: np.ndarray) -> float:
        step, variance = self.moves(theta)
        known = len(out) - len(self.links)
        out[known:] = 1.0
        if variance.min(initial=1.0) <= 0.0:
            return math.nan
        out[:known] = path_precision(step, variance, self.states.first)
        return -float(np.log(variance).sum())

    # -- effects as users see them -------------------------------------------------------------------------------------

    def natural(self, theta: np.ndarray) -> sparse.csr_array:
        return sparse.csr_array(theta[0] * self.mix(theta)[: len(self.states)])

    def labels(self) -> tuple[tuple[str, np.ndarray], ...]:
        return (self.name, self.levels.values[self.states.level]), (self.clock or "group", self.states.key)

    def covariance(self, theta: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Prior covariance of known states a and b of one path (elementwise)."""
        raise NotImplementedError

    def variance(self, theta: np.ndarray, row: np.ndarray, latent: np.ndarray, value: np.ndarray) -> np.ndarray:
        known = len(self.states)
        out = np.bincount(row, value * value * (latent >= known), self.rows.groups)
        row, latent, value = row[latent < known], latent[latent < known], value[latent < known]
        level = self.states.level[latent]
        order = np.lexsort((latent, level, row))
        row, latent, value, level = row[order], latent[order], value[order], level[order]
        apart = 0
        while True:  # pairs of entries of one path in one row: mostly each with itself only
            near = np.arange(len(row) - apart)
            near = near[(row[near] == row[near + apart]) & (level[near] == level[near + apart])]
            if not len(near):
                return out
            twice = 1.0 if apart == 0 else 2.0
            pair = value[near] * value[near + apart] * self.covariance(theta, latent[near], latent[near + apart])
            out += twice * np.bincount(row[near], pair, self.rows.groups)
            apart += 1

    def sample(self, theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        z = rng.standard_normal(self.latents)
        step, variance = self.moves(theta)
        for t in range(len(self.states)):
            z[t] *= math.sqrt(variance[t])
            if not self.states.first[t]:
                z[t] += step[t] * z[t - 1]
        return z

    # -- new tables ----------------------------------------------------------------------------------------------------

    def on(self, rows: Rows) -> Effects:
        mapped, fresh = self._recoded(rows)
        key = keys(mapped, self.clock)
        place = _known_states(self.states, mapped, key)
        links, numbers = _link(self.states, mapped, key, place, self.clock, len(self.states))
        state = np.where(place >= 0, place, numbers)
        return replace(self, rows=mapped, fresh=fresh, state=state, links=links)


@dataclass(frozen=True, eq=False)
class Walk(Path):
    """A random walk."""

    def moves(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.ones(len(self.states)), self.states.gap

    def bridge(self, theta: np.ndarray, link: Link) -> tuple[float, float, float]:
        a, b = link.gap_before, link.gap_after
        if link.before >= 0 and link.after >= 0:
            return b / (a + b), a / (a + b), math.sqrt(a * b / (a + b))
        if link.before >= 0 or link.after >= 0:
            return 1.0, 1.0, math.sqrt(a if link.before >= 0 else b)
        return 0.0, 0.0, 1.0

    def covariance(self, theta: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        s = self.states
        start = np.maximum.accumulate(np.where(s.first, np.arange(len(s)), 0))
        return 1.0 + s.time[np.minimum(a, b)] - s.time[start[a]]

    def phrase(self, hyper: int, nouns: Sequence[Noun]) -> Phrase | None:
        step = f"over {self.states.unit:.3g} of {self.clock}" if self.clock else "to its next group"
        who = f"{{A}} that moves up by one standard deviation {step}"
        noun = nouns[hyper]
        if noun.covariate is not None:
            who = f"{{A}} whose {noun.said} moves up by one standard deviation {step}"
        return of_sd(noun, who)

    def sentences(self) -> list[str]:
        n = self.name
        gap = f" sqrt(gap / {self.states.unit:.4g})" if self.clock else ""
        return [f"u_{n}[j,1] ~ normal(0, {n}.sd), u_{n}[j,t] ~ normal(u_{n}[j,t-1], {n}.sd{gap})"]


@dataclass(frozen=True, eq=False)
class Autoregression(Path):
    """A stationary autoregression of order one in continuous time."""

    varies: ClassVar[bool] = True

    def moves(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        first = self.states.first
        step = np.where(first, 0.0, max(theta[1], 0.0) ** self.states.gap)
        return step, np.where(first, 1.0, (1.0 - step) * (1.0 + step))

    def precision(self, theta: np.ndarray, out: np.ndarray) -> float:
        if not 0.0 <= theta[1] <= HIGHEST:
            return math.nan
        return super().precision(theta, out)

    def pull_precision(self, theta: np.ndarray, d_entry: np.ndarray) -> np.ndarray:
        step, variance = self.moves(theta)
        first, gap = self.states.first, self.states.gap
        d_step, d_variance = path_pull(step, variance, first, d_entry[: len(d_entry) - len(self.links)])
        d_variance -= 0.5 / variance
        # at zero the slope is infinite where gaps are short: that beside it still tells a search the way
        slope = np.where(first, 0.0, gap * max(theta[1], LEAST) ** (gap - 1.0))
        return np.array([0.0, float((slope * (d_step - 2.0 * step * d_variance)).sum())])

    def bridge(self, theta: np.ndarray, link: Link) -> tuple[float, float, float]:
        a, b = theta[1] ** link.gap_before, theta[1] ** link.gap_after
        if link.before >= 0 and link.after >= 0:
            rest = 1.0 - a * a * b * b
            return a * (1 - b * b) / rest, b * (1 - a * a) / rest, math.sqrt((1 - a * a) * (1 - b * b) / rest)
        if link.before >= 0 or link.after >= 0:
            near = a if link.before >= 0 else b
            return near, near, math.sqrt(1.0 - near * near)
        return 0.0, 0.0, 1.0

    def covariance(self, theta: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return theta[1] ** np.abs(self.states.time[a] - self.states.time[b])

    def phrase(self, hyper: int, nouns: Sequence[Noun]) -> Phrase | None:
        if self.hypers[hyper].kind == "sd":
            return super().phrase(hyper, nouns)
        gap = f"{self.states.unit:.3g} of {self.clock} apart"
        text = f"The effects of {{a}} at two times {gap} are correlated by {{value}}"
        return Phrase(text, "correlation over the mean gap")

    def sentences(self) -> list[str]:
        n = self.name
        return [
            f"u_{n}[j,t] ~ normal(0, {n}.sd), correlation {n}.rho ** (gap / {self.states.unit:.4g}) between two times"
        ]


# -- states from rows --------------------------------------------------------------------------------------------------


def keys(rows: Rows, clock: str | None) -> np.ndarray:
    """Time, or id of the group, of each membership (m,)."""
    if clock is None:
        return rows.ids[rows.group]
    return rows.table[clock].values


def _ticks(key: np.ndarray) -> np.ndarray:
    """Times as floats (dates in days)."""
    if key.dtype.kind == "M":
        return days(key)
    return key.astype(float)


def make_states(rows: Rows, clock: str | None) -> tuple[States, np.ndarray]:
    """States of the memberships of a fit, and the state of each membership."""
    key = keys(rows, clock)
    values, code = np.unique(key, return_inverse=True)
    code = code.reshape(-1)
    pairs, state = np.unique(rows.level * max(len(values), 1) + code, return_inverse=True)
    level, at = pairs // max(len(values), 1), pairs % max(len(values), 1)
    first = np.ones(len(level), dtype=bool)
    first[1:] = level[1:] != level[:-1]
    if clock is None:
        start = np.maximum.accumulate(np.where(first, np.arange(len(level)), 0))
        time, unit = (np.arange(len(level)) - start).astype(float), 1.0
    else:
        time = _ticks(values)[at]
        gaps = np.diff(time)[~first[1:]]
        unit = float(gaps.mean()) if len(gaps) else 1.0
        time = time / unit
    return States(level, values[at], time, first, unit), state.reshape(-1)


def _known_states(states: States, rows: Rows, key: np.ndarray) -> np.ndarray:
    """State of each membership among the known ones, -1 where there is none."""
    if not len(states) or not len(key):
        return np.full(len(key), -1, dtype=np.int64)
    if key.dtype.kind != states.key.dtype.kind and not (key.dtype.kind in "if" and states.key.dtype.kind in "if"):
        raise DataError(f"times or group ids of the new table are of another type than those of the fit ({key[0]!r})")
    place = {(int(lev), k): s for s, (lev, k) in enumerate(zip(states.level, states.key.tolist(), strict=True))}
    return np.array([place.get((int(lev), k), -1) for lev, k in zip(rows.level, key.tolist(), strict=True)], np.int64)


def _link(
    states: States, rows: Rows, key: np.ndarray, place: np.ndarray, clock: str | None, known: int
) -> tuple[tuple[Link, ...], np.ndarray]:
    """Links of the states that are not known, and the number of each membership's state (-1 for known ones)."""
    numbers = np.full(len(key), -1, dtype=np.int64)
    links: list[Link] = []
    new = np.flatnonzero(place < 0)
    by_level: dict[int, list[int]] = {}
    for m in new.tolist():
        by_level.setdefault(int(rows.level[m]), []).append(m)
    for level in sorted(by_level):
        members = by_level[level]
        own = np.flatnonzero(states.level == level)
        wanted = sorted({key[m] for m in members})
        times = _new_times(states, own, wanted, clock)
        found: dict[object, int] = {}
        before = -1
        reached = -math.inf
        for value, time in zip(wanted, times, strict=True):
            earlier, later = own[states.time[own] < time], own[states.time[own] > time]
            if len(earlier) and states.time[earlier[-1]] > reached:
                before, reached = int(earlier[-1]), float(states.time[earlier[-1]])
            after = int(later[0]) if len(later) else -1
            gap_after = float(states.time[after] - time) if after >= 0 else 0.0
            links.append(Link(level, before, after, time - reached if before >= 0 else 0.0, gap_after))
            before, reached = known + len(links) - 1, time
            found[value] = before
        for m in members:
            numbers[m] = found[key[m]]
    return tuple(links), numbers


def _new_times(states: States, own: np.ndarray, wanted: list, clock: str | None) -> list[float]:
    """Times of new states in the path's unit; by order of ids, one step after the last, or between two evenly."""
    if clock is not None:
        return [float(t) / states.unit for t in _ticks(np.array(wanted))]
    where = np.searchsorted(states.key[own], wanted) if len(own) else np.zeros(len(wanted), dtype=np.int64)
    out = []
    for k, place in enumerate(where.tolist()):
        here = [j for j, other in enumerate(where.tolist()) if other == place]
        rank, count = here.index(k), len(here)
        if place == 0:
            out.append(float(rank - count))
        elif place == len(own):
            out.append(float(len(own) - 1 + rank + 1))
        else:
            out.append(place - 1 + (rank + 1) / (count + 1))
    return out if len(own) else [float(k) for k in range(len(wanted))]


# -- making them -------------------------------------------------------------------------------------------------------


def _clock(setting: Setting, needed: bool) -> str | None:
    """The time column in parentheses, checked."""
    node = setting.node
    if not setting.arguments and not needed:
        return None
    if len(setting.arguments) != 1 or not isinstance(setting.arguments[0], Name):
        raise FormulaError(
            f"effects = {setting.word} takes one column of times, as in {setting.word}(year)", setting.text,
            node.span.start, node.span.stop,
        )  # fmt: skip
    column: Column = setting.rows.table[setting.arguments[0].name]
    if column.kind not in ("number", "integer", "time"):
        raise DataError(
            f"the time of effects = {setting.word}({column.name}) must be numbers or dates, but column {column.name!r} "
            f"holds {column.kind} values (first: {column.values[0]!r})"
        )
    return column.name


def _states(setting: Setting, clock: str | None) -> tuple[States, np.ndarray]:
    states, state = make_states(setting.rows, clock)
    if states.first.all():
        raise ModelError(
            f"no level of {setting.name!r} takes part at two times, so there is nothing for {setting.word} to follow: "
            "write effects = iid"
        )
    return states, state


def make_walk(setting: Setting) -> Walk:
    """Build ``walk`` or ``walk(time)``."""
    clock = _clock(setting, needed=False)
    states, state = _states(setting, clock)
    hypers = (setting.priors.sd(f"{setting.name}.sd", setting.effective),)
    return Walk(setting.name, setting.rows, hypers, (), states, state, clock)


def make_ar1(setting: Setting) -> Autoregression:
    """Build ``ar1(time)``."""
    clock = _clock(setting, needed=True)
    states, state = _states(setting, clock)
    sd = setting.priors.sd(f"{setting.name}.sd", setting.effective)
    rho = setting.priors.hyper(f"{setting.name}.rho", "rho", Uniform(0.0, 1.0), 0.5)
    return Autoregression(setting.name, setting.rows, (sd, rho), (), states, state, clock)
