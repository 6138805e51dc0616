r"""Strata of a Cox model, ``strata(x)``: a baseline of its own for each value of x, coefficients in common.

The hazard of group i of stratum h at time t in its interval k is :math:`\exp(a_{hk} + \eta_i)`. The intervals of a
stratum are cut by its own events, as those of a model of the stratum alone would be, and stand behind those of the
strata before it, so that the rows of the latent system are those of one long baseline.

Of a group the family's numbers are its stratum, then the log hazards of all strata: an array (1 + intervals, groups).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import ModelError
from ..notes import Note, remark
from ..numerics.exposure import Exposure
from ..parameters import Parameter, PriorBook
from . import baseline as base
from .base import Expanded
from .cox import Cox, CoxRows
from .intervals import Intervals
from .response import Response
from .runs import Runs, make_pairs
from .words import Meaning

STRATUM = 3  # the row of the outcome's values that says which stratum a group is in


@dataclass(frozen=True)
class StratifiedCox(Cox):
    """Cox's model with strata.

    Attributes
    ----------
    column : str
        What the strata are values of.
    labels : tuple of str
    each : tuple of Cox
        The family of each stratum, once the outcome is known.
    held : bool
        Whether the cut points of `each` are those to use, whatever the outcome.
    """

    column: str = field(default="", init=False, compare=False)
    labels: tuple[str, ...] = field(default=(), init=False, compare=False)
    each: tuple[Cox, ...] = field(default=(), init=False, compare=False)
    held: bool = field(default=False, init=False, compare=False)

    @property
    def plain(self) -> Cox:
        return Cox(self.intervals, self.baseline, self.link)

    @property
    def count(self) -> int:
        return sum(cox.count for cox in self.each)

    @property
    def runs(self) -> list[slice]:
        """Where the intervals of each stratum are among all."""
        ends = np.cumsum([0, *(cox.count for cox in self.each)]).tolist()
        return [slice(a, b) for a, b in pairwise(ends)]

    def _with(self, of: type[StratifiedCox], **what: Any) -> Any:
        made = of(self.intervals, self.baseline, self.link)
        kept = {name: getattr(self, name) for name in ("column", "labels", "each", "held")}
        for name, value in (kept | what).items():
            object.__setattr__(made, name, value)
        return made

    def settled(self) -> StratifiedCox:
        return self._with(StratifiedCox, held=True) if self.stable else self

    # -- reading -----------------------------------------------------------------------------------------------------

    def again(self, response: Response, form: str, *columns: np.ndarray, **how: Any) -> Response:
        made = super().again(response, form, *columns, **how)
        return replace(made, values=np.vstack([made.values, response.values[STRATUM]]))

    def own_of(self, own: np.ndarray, strata: np.ndarray | None, values: np.ndarray) -> np.ndarray:
        code = values[STRATUM] if strata is None else strata
        shape = (*own.shape[:-1], 1, len(code))
        hazards = np.broadcast_to(own[..., None], (*own.shape, len(code)))
        return np.concatenate([np.broadcast_to(code, shape), hazards], axis=-2)

    def hazards_of(self, own: np.ndarray) -> np.ndarray:
        return own[1:, 0]

    def in_interval(self, name: str, where: str = "") -> Meaning:
        label = name[len("baseline[") : name.rindex("].")]
        return self.each[self.labels.index(label)].in_interval(name, f" where {self.column} is {label}")

    def expand(self, response: Response, offset: np.ndarray, book: PriorBook, flat: bool, what: str) -> Expanded:
        if self.baseline == "random_walk":
            raise ModelError('baseline="random_walk" is not available with strata(): use baseline="gamma"')
        event, time, entry = response.values[:STRATUM]
        code, weight = response.values[STRATUM].astype(np.int64), response.weight
        each, risks, parameters, notes, tables = [], [], [], [], []
        for h, label in enumerate(self.labels):
            there = np.flatnonzero(code == h)
            seen = there[(event[there] == 1.0) & (weight[there] > 0)]
            if not len(seen):
                raise ModelError(
                    f"the outcome {what} has no event in stratum {label} ({self.column}): join it with another stratum"
                )
            cox = self.each[h] if self.held else Cox.bound(self.plain, time[seen], weight[seen])
            risk = cox.risk(event[there], time[there], entry[there])
            own, _, named = cox.hazards(risk, weight[there], offset[there], book, flat, what, f"[{label}]")
            each.append(cox)
            risks.append((there, risk))
            parameters += own
            notes += named
            tables.append(cox.table(risk, weight[there]))
        bound = self._with(StratifiedCox, each=tuple(each))
        rows, values = make_pairs(_joined(risks, len(time)), parameters, None, bound.count)
        rows = replace(rows, strata=code)
        names = tuple(p.name for p in parameters)
        begins, ends, events, spent = (np.concatenate(part) for part in zip(*tables, strict=True))
        intervals = Intervals(begins, ends, events, spent, names)
        told = (_describe(self, each), *notes)
        plain = partial(bound.by_rows, response, tuple(parameters), None, told, intervals)
        return Expanded(bound, rows, values, told, intervals, plain, sum(risk.pairs for _, risk in risks))

    def by_rows(
        self, response: Response, parameters: tuple[Parameter, ...], sd: Parameter | None, told: tuple[Note, ...],
        intervals: Intervals,
    ) -> Expanded:  # fmt: skip
        of_rows = self._with(StratifiedCoxRows)
        event, time, entry = response.values[:STRATUM]
        code, found = response.values[STRATUM].astype(np.int64), []
        for h, (cox, own) in enumerate(zip(self.each, self.runs, strict=True)):
            there = np.flatnonzero(code == h)
            risk = cox.risk_of_rows(event[there], time[there], entry[there])
            found.append((there[risk.group], own.start + risk.interval, risk.event, risk.exposure))
        group, interval, events, exposure = (np.concatenate(part) for part in zip(*found, strict=True))
        order = np.argsort(group, kind="stable")
        risk = base.Risk(group[order], interval[order], events[order], exposure[order])
        rows, values = base.make_rows(risk, parameters, sd, self.count)
        return Expanded(of_rows, replace(rows, strata=code), values, told, intervals)

    def sentences(self, outcome: str, own: Sequence[str], expanded: Expanded | None) -> list[str]:
        lines = super().sentences(outcome, own, expanded)
        where = f"baseline[{self.column}[i]].k"
        return [lines[0].replace("baseline.k", where), *(line.replace("baseline.k", where) for line in lines[1:])]

    # -- groups: each with the family of its stratum -----------------------------------------------------------------

    def _by_stratum(
        self, eta: np.ndarray, own: np.ndarray, of: Callable[[Cox, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """What `of` (family, eta, log hazards, places) makes of the groups of each stratum, (..., groups)."""
        code = own[0].astype(np.int64)
        out = np.empty(np.shape(eta))
        for h, (cox, run) in enumerate(zip(self.each, self.runs, strict=True)):
            there = np.flatnonzero(code == h)
            if len(there):
                out[..., there] = of(cox, eta[..., there], own[1:, there[0]][run], there)
        return out

    def group_density(self, values: Any, eta: Any, own: Any, xp: Any = np, special: Any = None) -> Any:
        """Log density of each group; `own` are the log hazards of all intervals."""
        code = np.asarray(values[STRATUM]).astype(np.int64)
        places = [np.flatnonzero(code == h) for h in range(len(self.each))]
        each = [
            cox.group_density(values[:STRATUM, there], eta[there], own[run], xp, special)
            for cox, run, there in zip(self.each, self.runs, places, strict=True)
        ]
        return xp.concatenate(each)[np.argsort(np.concatenate(places))]

    def spent(self, log_time: np.ndarray, values: np.ndarray, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        return self._by_stratum(eta, own, lambda f, e, o, at: f.spent(log_time[at], values[:, at], e, o))

    def cumulative_hazard(self, times: np.ndarray, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        each = [
            self._by_stratum(eta, own, lambda f, e, o, _, t=t: f.cumulative_hazard(np.array([t]), e, o)[..., 0])
            for t in times
        ]
        return np.stack(each, axis=-1)

    def hazard_until(self, log_time: np.ndarray, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        return self._by_stratum(eta, own, lambda f, e, o, at: f.hazard_until(log_time[..., at], e, o))

    def mean(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return self._by_stratum(eta, own, lambda f, e, o, _: f.mean(e, o, None))

    def variance(self, eta: np.ndarray, own: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        return self._by_stratum(eta, own, lambda f, e, o, _: f.variance(e, o, None))

    def median(self, eta: np.ndarray, own: np.ndarray) -> np.ndarray:
        return self._by_stratum(eta, own, lambda f, e, o, _: f.median(e, o))

    def mean_after(self, eta: np.ndarray, own: np.ndarray, entry: np.ndarray) -> np.ndarray:
        return self._by_stratum(eta, own, lambda f, e, o, at: f.mean_after(e, o, entry[at]))

    def square_after(self, eta: np.ndarray, own: np.ndarray, entry: np.ndarray) -> np.ndarray:
        return self._by_stratum(eta, own, lambda f, e, o, at: f.square_after(e, o, entry[at]))

    def simulate(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, values: np.ndarray | None
    ) -> np.ndarray:
        return self._by_stratum(eta, own, lambda f, e, o, _: f.simulate(e, o, rng, None))

    def simulate_after(
        self, eta: np.ndarray, own: np.ndarray, rng: np.random.Generator, entry: np.ndarray
    ) -> np.ndarray:
        return self._by_stratum(eta, own, lambda f, e, o, at: f.simulate_after(e, o, rng, entry[at]))


@dataclass(frozen=True)
class StratifiedCoxRows(CoxRows, StratifiedCox):
    """The same with a row for each group and interval."""


def stratified(family: Cox, column: str, labels: tuple[str, ...]) -> StratifiedCox:
    """The family with strata, its outcome not known yet."""
    made = StratifiedCox(family.intervals, family.baseline, family.link)
    object.__setattr__(made, "column", column)
    object.__setattr__(made, "labels", labels)
    return made


def _joined(risks: list[tuple[np.ndarray, Runs]], groups: int) -> Runs:
    """Who is at risk when, the intervals of each stratum behind those of the strata before it."""
    event, at = np.zeros(groups), np.zeros(groups, dtype=np.int64)
    table, length, begin = np.zeros((6, groups)), [], 0
    for there, risk in risks:
        e = risk.exposure
        event[there], at[there] = risk.event, risk.at + begin
        full = e.high > e.low
        table[:, there] = [
            np.where(full, e.low + begin, begin), np.where(full, e.high + begin, begin), e.first + begin, e.first_time,
            e.last + begin, e.last_time,
        ]  # fmt: skip
        length.append(e.length)
        begin += len(e.length)
    low, high, first, first_time, last, last_time = table
    return Runs(event, at, Exposure(low, high, first, first_time, last, last_time, np.concatenate(length)))


def _describe(family: StratifiedCox, each: Sequence[Cox]) -> Note:
    """The strata in words."""
    counts = ", ".join(f"{label} {cox.count}" for label, cox in zip(family.labels, each, strict=True))
    text = f"baselines by {family.column}, their numbers of intervals: {counts} (log hazards per unit of time)"
    return remark("baseline", text)
