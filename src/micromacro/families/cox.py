r"""Proportional hazards: :math:`h_i(t) = \exp(a_{k(t)} + \eta_i)` with a hazard that is constant in each interval.

exp(b) multiplies the hazard. There is no intercept: the log hazards a take its place. Times may be censored on the
right and seen from a later entry on. See :mod:`micromacro.families.baseline` for the likelihood and its rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Integral, Number
from typing import Any

import numpy as np
from numba import njit

from ..errors import ModelError
from ..notes import Note, remark
from ..numerics.compiling import KERNEL
from ..numerics.exposure import Exposure
from ..parameters import Parameter, PriorBook
from . import baseline as base
from .base import Expanded, Family, Recession
from .censoring import Duration
from .hazards_out import HazardsOut, without_hazards
from .intervals import Intervals
from .poisson import check_log
from .response import EVENT, Limits, Raw, Response, made, need_form, survival
from .runs import (
    WEIGHT,
    Runs,
    expectation,
    exposure_of,
    fill_slopes,
    log_density,
    make_pairs,
    runs,
    runs_by_event_times,
)
from .words import HAZARDS, Meaning


@dataclass(frozen=True)
class Cox(Duration):
    """Proportional hazards with a piecewise-constant baseline; log-hazard scale.

    Parameters
    ----------
    intervals : int, "all", or sequence of float, optional
        How many intervals, cut at quantiles of the event times; ``"all"``: cut at every event time, as in Breslow's
        estimator; or the cut points themselves. By default ten, or fewer where an interval would have less than five
        events.
    baseline : {"gamma", "random_walk"}
        Prior of the baseline: hazards independently gamma, or a Gaussian random walk of the log hazards with
        ``baseline.sd`` the standard deviation of a step.
    """

    intervals: Any = None
    baseline: str = "gamma"
    link: str = "log"
    name: str = field(default="cox", init=False)
    ratios = ("hazard_ratio",)
    changes = HAZARDS
    expands = True
    has_baseline = True
    centred = True
    no_intercept = "the baseline takes the place of the intercept"
    # Once the outcome is known: where intervals end, and where the last one does if there is one an event time.
    cuts: tuple[float, ...] = field(default=(), init=False, compare=False)
    last: float = field(default=math.inf, init=False, compare=False)

    def __post_init__(self):
        check_log(self.link, self.name)
        if self.baseline not in ("gamma", "random_walk"):
            raise ModelError(f'family cox: baseline= is "gamma" or "random_walk", not {self.baseline!r}')
        object.__setattr__(self, "intervals", _checked(self.intervals))

    # -- reading -----------------------------------------------------------------------------------------------------

    def read(self, raw: Raw) -> Response:
        need_form(raw, self.name, "surv", "plain")
        if raw.kind != "right":
            raise ModelError(
                "family cox takes right-censored times, surv(time, event) or surv(start, stop, event), "
                f"but the outcome is {raw.what}; weibull, exponential and lognormal take {raw.kind} censoring"
            )
        response = survival(raw, self.name)
        code, _, _, log_entry = response.values
        return made(response.observed, (code == EVENT).astype(float), response.observed, np.exp(log_entry))

    def known(self, response: Response) -> Limits:
        event, time = response.values[:2]
        return Limits(time, np.where(event == 1.0, time, np.inf))

    def entry(self, values: np.ndarray) -> np.ndarray:
        return values[2]

    def scale(self, response: Response, offset: np.ndarray) -> tuple[float, float]:
        return 1.0, 0.0

    def parameters(self, book: PriorBook, scale: float, flat: bool, response: Response) -> tuple[Parameter, ...]:
        return ()

    def expand(self, response: Response, offset: np.ndarray, book: PriorBook, flat: bool, what: str) -> Expanded:
        event, time, entry = response.values
        weight = response.weight
        seen = (event == 1.0) & (weight > 0)
        if not seen.any():
            raise ModelError(
                f"the outcome {what} has no event with a positive weight: everything that counts is censored"
            )
        bound = self.bound(time[seen], weight[seen])
        risk = bound.risk(event, time, entry)
        parameters, sd, notes = bound.hazards(risk, weight, offset, book, flat, what)
        rows, values = make_pairs(risk, parameters, sd, bound.count)
        intervals = Intervals(*bound.table(risk, weight))
        told = (_describe(np.array(bound.cuts), self.intervals), *notes)
        plain = partial(bound.by_rows, response, parameters, sd, told, intervals)
        return Expanded(bound, rows, values, told, intervals, plain, risk.pairs)

    # -- the baseline ------------------------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """Number of intervals."""
        return len(self.cuts) + 1

    @property
    def plain(self) -> Family:
        return replace(self)

    def bound(self, times: np.ndarray, weight: np.ndarray) -> Cox:
        """The family with the cut points that it has for some event times, each as often as its weight says."""
        made = replace(self)
        object.__setattr__(made, "cuts", tuple(base.cut_points(self.intervals, times, weight).tolist()))
        if self.intervals == "all":
            object.__setattr__(made, "last", float(times.max()))
        return made

    def risk(self, event: np.ndarray, time: np.ndarray, entry: np.ndarray) -> Runs:
        """Who is at risk in which interval."""
        cuts = np.array(self.cuts)
        if self.intervals == "all":
            return runs_by_event_times(event, time, entry, np.append(cuts, self.last))
        return runs(event, time, entry, cuts)

    def risk_of_rows(self, event: np.ndarray, time: np.ndarray, entry: np.ndarray) -> base.Risk:
        """The same with a row for each group and interval in which it is at risk."""
        cuts = np.array(self.cuts)
        if self.intervals == "all":
            return base.at_risk_by_event_times(event, time, entry, np.append(cuts, self.last))
        return base.at_risk(event, time, entry, cuts)

    def hazards(
        self, risk: Runs, weight: np.ndarray, offset: np.ndarray, book: PriorBook, flat: bool, what: str, mark: str = ""
    ) -> tuple[tuple[Parameter, ...], Parameter | None, list[Note]]:
        """Log hazards of the intervals, the sd of a walk's steps, remarks; `mark` follows ``baseline`` in names."""
        k, cuts = self.count, np.array(self.cuts)
        walk = self.baseline == "random_walk"
        if walk and k > base.MOST_WALK:
            raise ModelError(
                f"a random walk over {k} intervals is too long: give intervals= (at most {base.MOST_WALK}), or "
                'baseline="gamma"'
            )
        events, at_risk = risk.events(weight), risk.time(weight * np.exp(offset))
        if np.any(at_risk == 0):
            raise ModelError(
                f"nobody is at risk in interval {int(np.argmin(at_risk)) + 1} of the baseline: give other cut points "
                f"than {', '.join(f'{c:g}' for c in cuts)}"
            )
        parameters, sd = base.log_hazards(book, events, at_risk, walk, flat, mark)
        return parameters, sd, base.check_events(events, parameters if not walk else (), cuts, what)

    def table(self, risk: Runs, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Where intervals begin and end, events and time at risk in each."""
        cuts = np.array(self.cuts)
        return np.append(0.0, cuts), np.append(cuts, self.last), risk.events(weight), risk.time(weight)

    def by_rows(
        self, response: Response, parameters: tuple[Parameter, ...], sd: Parameter | None, told: tuple[Note, ...],
        intervals: Intervals,
    ) -> Expanded:  # fmt: skip
        """The layout with a row for each group and interval in which it is at risk."""
        of_rows = CoxRows(self.intervals, self.baseline, self.link)
        object.__setattr__(of_rows, "cuts", self.cuts)
        object.__setattr__(of_rows, "last", self.last)
        rows, values = base.make_rows(self.risk_of_rows(*response.values), parameters, sd, self.count)
        return Expanded(of_rows, rows, values, told, intervals)

    @property
    def stable(self) -> bool:
        """Whether intervals stay where they are whatever the outcome: not where they end at its events."""
        return self.intervals != "all"

    def settled(self) -> Cox:
        return replace(self, intervals=self.cuts) if self.stable else self

    def follow_up(self, seen: np.ndarray) -> float:
        """The last observed time: beyond it nothing is known of the baseline."""
        return float(seen.max())

    def log_ratio(self, word: str, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        return eta if word == "hazard_ratio" else super().log_ratio(word, eta, own)

    def meaning_of(self, name: str, kind: str, response: Response) -> Meaning | None:
        return self.in_interval(name) if kind == "baseline" else super().meaning_of(name, kind, response)

    def in_interval(self, name: str, where: str = "") -> Meaning:
        """What a log hazard says, `where` ("in stratum a") it is that of the baseline."""
        k, cuts = int(name.rpartition(".")[2]) - 1, (0.0, *self.cuts, self.last)
        when = (
            f"Between times {cuts[k]:.4g} and {cuts[k + 1]:.4g}" if cuts[k + 1] < math.inf else f"After {cuts[k]:.4g}"
        )
        text = f"{when}{where}, the hazard of {{y}} is {{number}} per unit of time where covariates are at their means"
        return Meaning("the baseline hazard", "hazard", text, lambda value, _: np.exp(value))

    def sentences(self, outcome: str, own: Sequence[str], expanded: Expanded | None) -> list[str]:
        assert expanded is not None
        first = f"hazard of {outcome}[i] at t = exp(baseline.k + eta[i]), t in interval k"
        means = (
            "  with the covariates of eta less their means: exp(baseline.k) is the hazard of a group at mean covariates"
        )
        return [first, means, base.in_words(expanded.rows.part)]

    # -- the kernel: rows, which are the groups and then the intervals -----------------------------------------------

    def possible(self, own: np.ndarray) -> bool:
        return True

    def weighed(self, values: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        if weight is None:
            return values, None
        out = values.copy()
        out[WEIGHT] *= weight
        return out, None

    def exposure(self, values: np.ndarray) -> Exposure | None:
        return exposure_of(values, self.count)

    def factors(self, values: np.ndarray, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the curvatures of pairs (:class:`micromacro.latent.coupling.Coupled`)."""
        n = len(eta) - self.count
        weight, each = values[WEIGHT, :n], np.exp(eta)
        return np.where(weight > 0.0, weight * each[:n], 0.0), each[n:]

    def without_own(self, values: np.ndarray) -> HazardsOut | None:
        return without_hazards(values, self.count)

    def expectation(self, values: np.ndarray, eta: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights of the groups, and what expected slopes have beside the pairs."""
        count = self.count
        return values[WEIGHT, : len(eta) - count], expectation(values, count, eta, variance)

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        fill_slopes(values, exposure_of(values, self.count), eta, out)

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        return log_density(values, self.count, eta, xp)

    # -- groups: `own` are the log hazards of the intervals ----------------------------------------------------------

    def group_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        """Log density of each group, plainly: log hazard of its event minus its cumulative hazard."""
        event, time = values[0], values[1]
        at = xp.searchsorted(np.array(self.cuts), time, side="left")
        return event * (eta + own[at]) - xp.exp(eta) * (self._exposure(values, xp) @ xp.exp(own))

    def _exposure(self, values: Any, xp: Any = np) -> Any:
        """Time at risk (groups, intervals); at event times all of an interval, or nothing (Breslow)."""
        time, entry, cuts = values[1], values[2], np.array(self.cuts)
        if self.intervals == "all":
            ends = np.append(cuts, self.last)
            inside = (entry[:, None] < ends) & (ends <= time[:, None])
            return inside * np.diff(ends, prepend=0.0)
        begins, ends = np.append(0.0, cuts), np.append(cuts, np.inf)
        return xp.maximum(xp.minimum(ends, time[:, None]) - xp.maximum(begins, entry[:, None]), 0.0)

    def spent(self, log_time: np.ndarray, values: np.ndarray, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Cumulative hazard (groups,) over the time at risk, as the likelihood counts it."""
        spent = np.exp(eta) * (self._exposure(values) @ np.exp(own))
        return np.where(np.isinf(log_time), log_time, spent)

    def deviance(self, response: Response, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Signed roots from martingale residuals, positive where a group had its event early (Therneau et al. 1990)."""
        event, m = response.values[0], self.martingale(response, eta, own)
        gap = -2.0 * (m + event * np.log(np.where(event > 0.0, event - m, 1.0)))
        return np.sign(m) * np.sqrt(response.weight * np.maximum(gap, 0.0))

    def cumulative_hazard(self, times: np.ndarray, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Cumulative hazard (..., times) at times (times,) from zero on; eta (...,), own (intervals,) or (..., K)."""
        length = np.append(np.diff(self.cuts, prepend=0.0), np.inf)
        spent = np.clip(times[:, None] - np.append(0.0, self.cuts), 0.0, length)
        return np.exp(eta)[..., None] * (np.exp(own) @ spent.T)

    def hazard_until(self, log_time: np.ndarray, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        begins, hazard = np.append(0.0, self.cuts), np.exp(own)
        spent = np.append(0.0, np.cumsum(hazard[:-1] * np.diff(begins)))  # of the baseline, where intervals begin
        time = np.exp(log_time)
        at = np.searchsorted(begins, time, side="right") - 1
        return np.exp(eta) * (spent[at] + (time - begins[at]) * hazard[at])

    def mean(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        """Expected time, if the hazard of the last interval never ends."""
        return self._moments(eta, own)[0]

    def variance(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        first, second = self._moments(eta, own)
        return second - first**2

    def _moments(self, eta: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """E T and E T^2: integrals of S(t) and of 2 t S(t) over the intervals, S being exponential in each."""
        rate = np.exp(eta)[..., None] * np.exp(own)
        begins = np.append(0.0, self.cuts)
        length = np.append(np.diff(begins), np.inf)
        with np.errstate(over="ignore", invalid="ignore"):
            spent = np.cumsum(rate[..., :-1] * length[:-1], axis=-1)  # cumulative hazard where an interval ends
            survive = np.exp(-np.concatenate([np.zeros_like(rate[..., :1]), spent], axis=-1))
            gone = -np.expm1(-rate * length)
            first = survive * gone / rate
            rest = np.append(length[:-1], 0.0) * (1.0 - gone)  # the last interval has no end
            second = survive * (gone / rate**2 - rest / rate)  # of t from the beginning of the interval
        return first.sum(axis=-1), 2.0 * (begins * first + second).sum(axis=-1)

    def median(self, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Median time at eta."""
        return self._time(math.log(2.0) * np.exp(-eta), own)

    def _time(self, reached: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Time at which the cumulative hazard of the baseline reaches a number; the last interval has no end."""
        hazard, begins = np.exp(own), np.append(0.0, self.cuts)
        spent = np.append(0.0, np.cumsum(hazard[:-1] * np.diff(begins)))
        at = np.searchsorted(spent, reached, side="right") - 1
        return begins[at] + (reached - spent[at]) / hazard[at]

    def link_variance(self, own: np.ndarray, mean: float) -> float | None:
        return math.pi**2 / 6.0

    def simulate(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray | None
    ) -> np.ndarray:
        """Times at which the cumulative hazard reaches a standard exponential number; the last interval has no end."""
        return self._time(rng.exponential(1.0, eta.shape) * np.exp(-eta), own)

    def mean_after(self, eta: np.ndarray, own: np.ndarray, entry: np.ndarray) -> np.ndarray:
        """Expected time of groups that are known to last until `entry` (groups,)."""
        rate = np.exp(eta)[..., None] * np.exp(own)
        begins, ends = np.append(0.0, self.cuts), np.append(self.cuts, np.inf)
        length = np.maximum(ends - np.maximum(begins, entry[:, None]), 0.0)  # that is left of each interval
        with np.errstate(over="ignore", invalid="ignore"):
            spent = np.cumsum(rate[..., :-1] * length[..., :-1], axis=-1)
            survive = np.exp(-np.concatenate([np.zeros_like(rate[..., :1]), spent], axis=-1))
            return entry + (survive * -np.expm1(-rate * length) / rate).sum(axis=-1)

    def square_after(self, eta: np.ndarray, own: np.ndarray, entry: np.ndarray) -> np.ndarray:
        """Entry squared, and twice the integral of t S(t) beyond it, over what is left of each interval."""
        rate = np.exp(eta)[..., None] * np.exp(own)
        begins, ends = np.append(0.0, self.cuts), np.append(self.cuts, np.inf)
        begins = np.maximum(begins, entry[:, None])
        length = np.maximum(ends - begins, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            spent = np.cumsum(rate[..., :-1] * length[..., :-1], axis=-1)
            survive = np.exp(-np.concatenate([np.zeros_like(rate[..., :1]), spent], axis=-1))
            gone = -np.expm1(-rate * length)
            rest = np.where(np.isinf(length), 0.0, length) * (1.0 - gone)  # the last interval has no end
            beyond = survive * (begins * gone / rate + gone / rate**2 - rest / rate)
        return entry**2 + 2.0 * beyond.sum(axis=-1)

    def simulate_after(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, entry: np.ndarray
    ) -> np.ndarray:
        """The same for groups (groups,) that are known to last until `entry`."""
        length = np.append(np.diff(self.cuts, prepend=0.0), np.inf)
        spent = np.clip(entry[:, None] - np.append(0.0, self.cuts), 0.0, length) @ np.exp(own)
        return self._time(spent + rng.exponential(1.0, eta.shape) * np.exp(-eta), own)


@njit(**KERNEL)
def _slopes(values, eta, out):  # noqa: ANN001, ANN202
    for i in range(len(eta)):
        mean = values[1, i] * math.exp(eta[i])
        out[0, i] = values[0, i] * eta[i] - mean + values[2, i]
        out[1, i] = values[0, i] - mean
        out[2, i] = -mean
        out[3, i] = mean


@dataclass(frozen=True)
class CoxRows(Cox):
    """The same with a row for each group and interval: where rows leave one by one, and to hold the sums to."""

    def recession(self, values: np.ndarray, own: int) -> Recession:
        return Recession.of_ends(np.zeros(values.shape[1], dtype=bool), values[0] == 0.0, own)

    def weighed(self, values: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        return values, weight

    def exposure(self, values: np.ndarray) -> Exposure | None:
        return None

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None:
        _slopes(values, eta, out)

    def log_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        return values[0] * eta - values[1] * xp.exp(eta) + values[2]


def _checked(intervals: Any) -> int | str | tuple[float, ...] | None:
    """``intervals=`` as it is used, or a ModelError."""
    if intervals is None or (isinstance(intervals, str) and intervals == "all"):
        return intervals
    if isinstance(intervals, Integral) and not isinstance(intervals, bool) and int(intervals) >= 1:
        return int(intervals)
    if not isinstance(intervals, (str, Number)):
        try:
            cuts = np.array([float(c) for c in intervals])
        except (TypeError, ValueError):
            cuts = np.array([np.nan])
        if np.all(np.isfinite(cuts)) and np.all(np.diff(cuts, prepend=0.0) > 0):
            return tuple(cuts.tolist())
    raise ModelError(
        f'family cox: intervals= is a number from 1, "all", or rising positive cut points, not {intervals!r}'
    )


def _describe(cuts: np.ndarray, intervals: Any) -> Note:
    """The intervals in words."""
    if intervals == "all":
        return remark("baseline", f"baseline: {len(cuts) + 1} intervals, one for each distinct event time")
    shown = ", ".join(f"{c:.4g}" for c in cuts[:12]) + (", ..." if len(cuts) > 12 else "")
    where = f"cut at {shown}" if len(cuts) else "a constant hazard"
    text = f"baseline: {len(cuts) + 1} intervals, {where} (log hazards per unit of time, at mean covariates)"
    return remark("baseline", text)
