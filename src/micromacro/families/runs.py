r"""The likelihood of a piecewise-constant hazard by groups and intervals, without a row for each pair of them.

A group is at risk over a run of intervals. With its linear predictor g, the log hazards a and
:math:`\Lambda_i = \sum_k E_{ik} e^{a_k}`, which sums along the intervals give for all groups at once,

.. math:: l = \sum_i w_i \{d_i (g_i + a_{k(i)}) - e^{g_i} \Lambda_i\} .

The rows of the latent system are the groups, then the intervals; a gamma prior of a hazard is in its interval's row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from ..latent.expansion import Expansion
from ..numerics.compiling import ALLOCATING
from ..numerics.exposure import Exposure, over_groups, over_intervals
from ..parameters import Parameter
from .baseline import BaselinePart, gammas

EVENT, AT, WEIGHT, LOW, HIGH, FIRST, FIRST_TIME, LAST, LAST_TIME = range(9)  # rows of the table of groups
SHAPE, RATE, OWN_WEIGHT, CONSTANT, LENGTH = range(5)  # of that of intervals; both have their weight in one place


@dataclass(frozen=True, eq=False)
class Runs:
    """Who is at risk when.

    Attributes
    ----------
    event : (groups,) array
        1 where a group has its event.
    at : (groups,) int array
        The interval of its event.
    exposure : Exposure
    """

    event: np.ndarray
    at: np.ndarray
    exposure: Exposure

    @property
    def pairs(self) -> int:
        """How many pairs of a group and an interval in which it is at risk there are."""
        e = self.exposure
        full = np.maximum(e.high - e.low, 0.0).sum()
        return int(full + np.count_nonzero(e.first_time > 0.0) + np.count_nonzero(e.last_time > 0.0))

    def events(self, weight: np.ndarray) -> np.ndarray:
        """Weighted events of each interval."""
        return np.bincount(self.at, weight * self.event, len(self.exposure.length))

    def time(self, of_group: np.ndarray) -> np.ndarray:
        """Sums of numbers of the groups over those at risk in each interval, times their time there."""
        out = np.empty(len(self.exposure.length))
        over_groups(self.exposure, of_group, out)
        return out

    def cumulative(self, hazard: np.ndarray) -> np.ndarray:
        """Cumulative hazard (groups,) of the intervals' hazards."""
        out = np.empty(len(self.event))
        over_intervals(self.exposure, hazard, np.empty(len(hazard) + 1), out)
        return out


def runs(event: np.ndarray, time: np.ndarray, entry: np.ndarray, cuts: np.ndarray) -> Runs:
    """For the intervals (0, c_1], (c_1, c_2], ..., (c_K-1, infinity)."""
    begins = np.concatenate([[0.0], cuts])
    first, last = np.searchsorted(cuts, entry, side="right"), np.searchsorted(cuts, time, side="left")
    single, late = first >= last, entry > begins[first]
    ends = np.append(cuts, np.inf)[first]
    zero = np.zeros(len(time))
    exposure = Exposure(
        (first + late).astype(float),
        np.where(single, 0, last).astype(float),
        first.astype(float),
        np.where(late & ~single, np.where(single, 0.0, ends) - entry, zero),
        last.astype(float),
        time - np.maximum(begins[last], entry),
        np.append(np.diff(begins), 0.0),
    )
    return Runs(event, last, exposure)


def runs_by_event_times(event: np.ndarray, time: np.ndarray, entry: np.ndarray, ends: np.ndarray) -> Runs:
    """For intervals that end at the event times: at risk in all of one, or not at all (Breslow)."""
    first, last = np.searchsorted(ends, entry, side="right"), np.searchsorted(ends, time, side="right") - 1
    none, zero = last < first, np.zeros(len(time))
    exposure = Exposure(
        first.astype(float), last + 1.0, zero, zero, zero, zero, np.diff(ends, prepend=0.0).astype(float)
    )
    return Runs(np.where(none, 0.0, event), np.maximum(last, 0), exposure)


def make_pairs(
    risk: Runs, parameters: Sequence[Parameter], sd: Parameter | None, count: int
) -> tuple[Expansion, np.ndarray]:
    """The rows, with what the kernel reads of each."""
    n = len(risk.event)
    values = np.zeros((9, n + count))
    values[WEIGHT] = 1.0
    e = risk.exposure
    values[EVENT, :n], values[AT, :n] = risk.event, risk.at
    values[LOW : LAST_TIME + 1, :n] = e.low, e.high, e.first, e.first_time, e.last, e.last_time
    values[LENGTH, n:] = e.length
    for k, shape, rate, constant in gammas(parameters):
        values[[SHAPE, RATE, CONSTANT], n + k] = shape, rate, constant
    group = np.concatenate([np.arange(n), np.full(count, -1)])
    return Expansion(group, BaselinePart(np.arange(count), tuple(parameters), sd, count, n), coupled=True), values


def exposure_of(values: np.ndarray, count: int) -> Exposure:
    """Who is at risk when, from what the kernel reads."""
    n = values.shape[1] - count
    low, high, first, first_time, last, last_time = values[LOW : LAST_TIME + 1, :n]
    return Exposure(low, high, first, first_time, last, last_time, values[LENGTH, n:])


def expectation(values: np.ndarray, count: int, eta: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Means of the first derivatives (rows,) at normal predictors, without those of the pairs."""
    n = values.shape[1] - count
    own, out = values[:, n:], np.empty(len(eta))
    events = values[WEIGHT, :n] * values[EVENT, :n]
    out[:n] = events
    out[n:] = np.bincount(values[AT, :n].astype(np.int64), events, count)
    out[n:] += own[OWN_WEIGHT] * (own[SHAPE] - own[RATE] * np.exp(eta[n:] + 0.5 * variance[n:]))
    return out


@njit(**ALLOCATING)
def fill_slopes(values, e, eta, out):  # noqa: ANN001, ANN201
    """Log density of each row, its first and second derivative in the row's own predictor, minus the second."""
    n, count = len(e.low), len(e.length)
    f, reached = np.empty(n), np.empty(n)
    h, spent = np.empty(count), np.empty(count)
    for k in range(count):
        h[k] = math.exp(eta[n + k])
    over_intervals(e, h, np.empty(count + 1), reached)
    for i in range(n):
        f[i] = values[2, i] * math.exp(eta[i]) if values[2, i] > 0.0 else 0.0
    over_groups(e, f, spent)
    for k in range(count):
        shape, rate, weight, mean = values[0, n + k], values[1, n + k], values[2, n + k], h[k] * spent[k]
        out[0, n + k] = weight * (shape * eta[n + k] - rate * h[k] + values[3, n + k]) if weight > 0.0 else 0.0
        out[1, n + k] = weight * (shape - rate * h[k]) - mean
        out[3, n + k] = mean + weight * rate * h[k]
    for i in range(n):
        mean = f[i] * reached[i] if f[i] > 0.0 else 0.0
        event, at = values[2, i] * values[0, i], n + int(values[1, i])
        out[0, i] = -mean
        if event > 0.0:
            out[0, i] += event * (eta[i] + eta[at])
            out[1, at] += event
        out[1, i] = event - mean
        out[3, i] = mean
    for i in range(n + count):
        out[2, i] = -out[3, i]


def log_density(values: Any, count: int, eta: Any, xp: Any) -> Any:
    """The same density of each row (rows,), weights left out, plainly."""
    n = values.shape[1] - count
    place = values[:, :n].astype(int)
    g, a, h = eta[:n], eta[n:], xp.exp(eta[n:])
    before = xp.concatenate([xp.zeros(1), xp.cumsum(values[LENGTH, n:] * h)])
    full = xp.where(place[HIGH] > place[LOW], before[place[HIGH]] - before[place[LOW]], 0.0)
    spent = full + values[FIRST_TIME, :n] * h[place[FIRST]] + values[LAST_TIME, :n] * h[place[LAST]]
    of_groups = values[EVENT, :n] * (g + a[place[AT]]) - xp.exp(g) * spent
    own = values[:, n:]
    return xp.concatenate([of_groups, own[SHAPE] * a - own[RATE] * h + own[CONSTANT]])
