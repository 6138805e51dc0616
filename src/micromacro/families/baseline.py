r"""The baseline of a Cox model: its intervals, who is at risk in which, and its log hazards as a part of the system.

The hazard of group i at time t in interval k is :math:`\exp(a_k + \eta_i)`, constant in each interval, so that what the
data say is that of Poisson counts: group i brings to interval k an event or none, :math:`d_{ik}`, and time at risk
:math:`E_{ik}`, and with them :math:`d_{ik}(a_k + \eta_i) - E_{ik}\exp(a_k + \eta_i)` (Holford 1980; Laird and Olivier
1981). Intervals that are cut at every event time are those of Breslow (1974): whoever is at risk at the event time that
ends an interval counts as at risk in all of it, so that maximising over the a gives Cox's partial likelihood.

A gamma prior with shape s and rate r on the hazard :math:`\exp(a_k)` is a row of its own: s events in r units of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..effects.phrases import Phrase
from ..errors import DataError, ModelError
from ..latent.expansion import Expansion
from ..latent.part import Term
from ..notes import Note, remark
from ..numerics.ragged import runs
from ..parameters import Parameter, PriorBook, kept_in_x
from ..priors import Exponential, Flat, Gamma, HalfStudent, LogGamma, Normal, Prior
from ..table.memberships import Tables

SHAPE = 0.5  # of the default gamma prior of each hazard: half an event's worth, around the crude hazard
FEW = 5  # events an interval where the number of intervals is not given
MOST_WALK = 60  # intervals of a random walk, whose rows hold an entry for every step before them


@dataclass(frozen=True, eq=False)
class Risk:
    """Who is at risk in which interval.

    Attributes
    ----------
    group, interval : (rows,) int arrays
        One row for each group and interval in which it is at risk, by group.
    event : (rows,) array
        1 where the group has its event there.
    exposure : (rows,) array
        Time at risk.
    """

    group: np.ndarray
    interval: np.ndarray
    event: np.ndarray
    exposure: np.ndarray

    def sums(self, each: np.ndarray, intervals: int) -> np.ndarray:
        """Sums over the rows of each interval."""
        return np.bincount(self.interval, each, intervals)


def cut_points(
    intervals: int | str | tuple[float, ...] | None, times: np.ndarray, weight: np.ndarray | None = None
) -> np.ndarray:
    """Where the intervals end, the last one (without end) apart.

    Parameters
    ----------
    intervals : int, "all", tuple of float or None
        How many, or the cut points; None: ten, or fewer if they would have less than five events each.
    times : (events,) array
        Event times.
    weight : (events,) array, optional
        How often each counts; once without it.
    """
    weight = np.ones(len(times)) if weight is None else weight
    if isinstance(intervals, tuple):
        return np.array(intervals, dtype=float)
    distinct = np.unique(times)
    if intervals == "all":
        return distinct[:-1]
    if intervals is None:
        intervals = min(10, max(1, int((weight.sum() + 1e-9) // FEW)))
    shares = np.arange(1, int(intervals)) / int(intervals)
    order = np.argsort(times, kind="stable")
    counted = np.cumsum(weight[order])  # an event that counts twice is two events
    at = np.minimum(np.searchsorted(counted, counted[-1] * shares), len(times) - 1)
    cuts = np.unique(times[order][at])
    return cuts[cuts < distinct[-1]]  # so that every interval has an event


def at_risk(event: np.ndarray, time: np.ndarray, entry: np.ndarray, cuts: np.ndarray) -> Risk:
    """Time at risk in the intervals (0, c_1], (c_1, c_2], ..., (c_K-1, infinity)."""
    first = np.searchsorted(cuts, entry, side="right")
    last = np.searchsorted(cuts, time, side="left")
    group, interval = _runs(first, last)
    begin = np.concatenate([[0.0], cuts])[interval]
    end = np.concatenate([cuts, [np.inf]])[interval]
    exposure = np.minimum(end, time[group]) - np.maximum(begin, entry[group])
    return Risk(group, interval, event[group] * (interval == last[group]), exposure)


def at_risk_by_event_times(event: np.ndarray, time: np.ndarray, entry: np.ndarray, ends: np.ndarray) -> Risk:
    """The same for intervals that end at the event times: at risk in all of an interval, or not at all (Breslow)."""
    first = np.searchsorted(ends, entry, side="right")
    last = np.searchsorted(ends, time, side="right") - 1
    group, interval = _runs(first, last)
    exposure = np.diff(ends, prepend=0.0)[interval]
    return Risk(group, interval, event[group] * (interval == last[group]), exposure)


def _runs(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of the group and the interval for every interval from first to last (none where last is before it)."""
    count = np.maximum(last - first + 1, 0)
    group = np.repeat(np.arange(len(count)), count)
    return group, runs(first, count)


@dataclass(frozen=True, eq=False)
class BaselinePart(Term):
    """Log hazards of the intervals, row by row.

    With a random walk the first one is a coefficient, and the steps between neighbours are effects.

    Attributes
    ----------
    interval : (rows,) int array
        Interval of each row, those of pseudo-observations included.
    log_hazards : tuple of Parameter
        ``baseline.1``, and the others unless they are steps away from it.
    sd : Parameter or None
        Standard deviation of a step of the random walk.
    count : int
        Number of intervals.
    begin : int
        Its first row.
    """

    interval: np.ndarray
    log_hazards: tuple[Parameter, ...]
    sd: Parameter | None
    count: int
    begin: int = 0
    name: str = "baseline"
    structure: None = None  # the steps of its walk are independent standard normal, and belong to no member or unit

    def phrase(self, name: str) -> Phrase | None:
        """Of the sd of a step."""
        if self.sd is None or name != self.sd.name:
            return None
        text = "From one interval to the next, one standard deviation of a step: {change}"
        return Phrase(text, "one sd of a step", 1.0, "The baseline is the same in all intervals: {name} is zero")

    @property
    def coefficients(self) -> tuple[Parameter, ...]:
        """The log hazards."""
        return self.log_hazards

    @property
    def hypers(self) -> tuple[Parameter, ...]:
        """The sd of a step, if any."""
        return (self.sd,) if self.sd else ()

    @property
    def effects(self) -> int:
        """Number of steps of the random walk."""
        return self.count - 1 if self.sd else 0

    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        rows = self.begin + np.arange(len(self.interval))
        if not self.sd:
            return rows, self.interval
        walked, step = _runs(np.zeros(len(rows), dtype=np.int64), self.interval - 1)
        return np.concatenate([rows, self.begin + walked]), np.concatenate([0 * rows, 1 + step])

    def scratch(self, gradient: bool = True) -> None:
        return None

    def fill(self, theta: np.ndarray, scratch: Any, slots: np.ndarray, values: np.ndarray, offset: np.ndarray) -> bool:
        rows = len(self.interval)
        values[slots[:rows]] = 1.0
        if self.sd:
            values[slots[rows:]] = theta[0]
        return True

    def pull(
        self, theta: np.ndarray, scratch: Any, slots: np.ndarray, slope: np.ndarray, d_offset: np.ndarray
    ) -> np.ndarray:
        return np.array([slope[slots[len(self.interval) :]].sum()])

    def on(self, tables: Tables) -> BaselinePart:
        """Itself: its rows are those of the groups of the fit."""
        return self

    def own(self, theta: np.ndarray, coefficients: np.ndarray, effects: np.ndarray) -> np.ndarray:
        """Log hazards (..., intervals) at the part's theta, coefficients and effects."""
        if not self.sd:
            return coefficients
        walk = np.concatenate([0.0 * coefficients, np.cumsum(theta[..., :1] * effects, axis=-1)], axis=-1)
        return coefficients + walk


def log_hazards(
    book: PriorBook, events: np.ndarray, time: np.ndarray, walk: bool, flat: bool, mark: str = ""
) -> tuple[tuple[Parameter, ...], Parameter | None]:
    """Parameters of the baseline: log hazards, and the sd of a random walk's steps.

    Parameters
    ----------
    events, time : (intervals,) arrays
        Events and time at risk in each.
    mark : str
        What follows ``baseline`` in their names.
    """
    crude = float(events.sum() / time.sum())
    k = len(events)
    if walk:
        first = _log_hazard(book, 1, Normal(float(np.log(crude)), 2.5), np.log(crude), flat)
        sd = book.parameter("baseline.sd", "sd", HalfStudent(3.0, 0.0, 1.0), start=0.3, flat=flat) if k > 1 else None
        return (first,), sd
    default = LogGamma(SHAPE, SHAPE / crude)
    starts = np.log(np.maximum(events, 0.5) / time)
    return tuple(_log_hazard(book, j + 1, default, starts[j], flat, mark) for j in range(k)), None


def in_words(part: Any) -> str:
    """The prior of a :class:`BaselinePart` in words."""
    prior = part.coefficients[0].prior
    if part.sd:
        return f"  baseline.k - baseline.(k-1) ~ normal(0, {part.sd.name}), baseline.1 ~ {prior}"
    if len({str(p.prior) for p in part.coefficients}) > 1:
        return "  the prior for each baseline.k is given below"
    if isinstance(prior, LogGamma):
        return f"  each exp(baseline.k) ~ gamma({prior.shape:.4g}, {prior.rate:.4g})"
    return f"  each baseline.k ~ {prior}" if prior.proper else "  each baseline.k has no prior"


def _log_hazard(
    book: PriorBook, number: int, default: Prior, start: float, flat: bool, mark: str = ""
) -> Parameter:  # fmt: skip
    """One log hazard; a gamma prior of the user's is one on the hazard itself."""
    made = book.parameter(f"baseline{mark}.{number}", "baseline", default, start=float(start), flat=flat)
    if made.fixed:
        return kept_in_x(made)
    prior = made.prior
    if isinstance(prior, Gamma):
        prior = LogGamma(prior.shape, prior.rate)
    elif isinstance(prior, Exponential):
        prior = LogGamma(1.0, prior.rate)
    if not isinstance(prior, (LogGamma, Normal, Flat)):
        raise ModelError(
            f"the prior {prior} of {made.name!r} is not possible: the baseline takes gamma or exponential (of the "
            "hazard), normal or log_gamma (of the log hazard), 'flat' or a fixed value"
        )
    return replace(made, prior=prior, start=float(start))


def check_events(events: np.ndarray, parameters: Sequence[Parameter], edges: np.ndarray, what: str) -> list[Note]:
    """Refuse an interval without event and prior; say where the prior alone speaks."""
    empty = np.flatnonzero(events == 0).tolist()
    ends = np.append(edges, np.inf)
    begins = np.append(0.0, edges)
    improper = [k for k in empty if len(parameters) > k and not parameters[k].prior.proper]
    if improper:
        k = improper[0]
        raise DataError(
            f"the outcome {what} has no event in interval {k + 1} of the baseline, ({begins[k]:g}, {ends[k]:g}], and "
            f"{parameters[k].name!r} has no prior, so its log hazard has no finite maximum: give fewer cut points, or "
            "a prior (mm.prior.gamma)"
        )
    if not len(empty):
        return []
    shown = ", ".join(f"({begins[k]:g}, {ends[k]:g}]" for k in empty[:5])
    text = f"no event in {len(empty)} intervals of the baseline ({shown}): only the prior informs their hazards"
    return [remark("no-event-in-interval", text, *(parameters[k].name for k in empty if len(parameters) > k))]


def make_rows(risk: Risk, parameters: Sequence[Parameter], sd: Parameter | None, count: int) -> tuple[
    Expansion, np.ndarray
]:  # fmt: skip
    """A row for each group and interval, with what the kernel reads of each: events, time at risk, constant.

    Rows of groups come first, then one for each hazard with a gamma prior.
    """
    priors = gammas(parameters)
    interval = np.concatenate([risk.interval, [k for k, *_ in priors]]).astype(np.int64)
    group = np.concatenate([risk.group, np.full(len(priors), -1)]).astype(np.int64)
    values = np.zeros((3, len(interval)))
    n = len(risk.group)
    values[0, :n], values[1, :n] = risk.event, risk.exposure
    for at, (_, *prior) in enumerate(priors, start=n):
        values[:, at] = prior
    return Expansion(group, BaselinePart(interval, tuple(parameters), sd, count)), values


def gammas(parameters: Sequence[Parameter]) -> list[tuple[int, float, float, float]]:
    """Gamma priors of hazards as pseudo-observations: number of the interval, events, time at risk, constant."""
    found = [(k, p.prior) for k, p in enumerate(parameters) if isinstance(p.prior, LogGamma)]
    return [(k, p.shape, p.rate, p.log_density(0.0) + p.rate) for k, p in found]
