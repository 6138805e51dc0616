"""Outcomes as families see them: what the formula's left side says, and the arrays that kernels read."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..errors import DataError, ModelError
from ..numerics.ragged import runs, starts
from ..table.screen import counted, listed

RIGHT, EVENT, LEFT, INTERVAL = 0.0, 1.0, 2.0, 3.0

AS_ORDERED = "pd.Categorical(values, categories=[...], ordered=True), the lowest first, or pl.Enum([...])"
"""How an order of categories is said."""


@dataclass(frozen=True, eq=False)
class Sets:
    """Groups that have one outcome together: the alternatives of which one was chosen.

    Attributes
    ----------
    name : str
        The column that says which set a group is in.
    codes : (groups,) int array
        The set of each group.
    labels : (sets,) array
        Ids of the sets, sorted.
    """

    name: str
    codes: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def sizes(self) -> np.ndarray:
        """How many groups each set has (sets,)."""
        return np.bincount(self.codes, minlength=len(self.labels))

    @cached_property
    def order(self) -> np.ndarray:
        """The groups set by set (groups,); those of set s begin at ``start[s]``."""
        return np.argsort(self.codes, kind="stable")

    @cached_property
    def start(self) -> np.ndarray:
        """Where each set begins in `order` (sets + 1,)."""
        return starts(self.sizes)

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """All ordered pairs of two groups of a set."""
        many = self.sizes[self.codes[self.order]]
        one = np.repeat(self.order, many)
        other = self.order[runs(self.start[self.codes[self.order]], many)]
        differ = one != other
        return one[differ], other[differ]

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums of numbers of the groups over each set (sets,)."""
        return np.bincount(self.codes, values, len(self.labels))

    def within(self, columns: np.ndarray) -> np.ndarray:
        """Columns (groups, k) less their means in each set."""
        sums = np.zeros((len(self.labels), columns.shape[1]))
        np.add.at(sums, self.codes, columns)
        return columns - (sums / np.maximum(self.sizes, 1)[:, None])[self.codes]

    def refuse(self, bad: np.ndarray, why: str) -> None:
        """Raise a DataError that names the sets where `bad` (sets,) holds."""
        found = np.flatnonzero(bad)
        if len(found):
            first = listed(self.labels[found])
            raise DataError(f"{why} in {counted(len(found), 'set')} of {self.name!r} (first: {first})")


@dataclass(frozen=True, eq=False)
class Raw:
    """The outcome as it was written.

    Attributes
    ----------
    form : str
        ``plain``, ``trials``, ``surv`` or ``choice``.
    columns : tuple of (groups,) arrays
        Values of the arguments, finite.
    what : str
        The outcome's text, for messages.
    ids : (groups,) array
        What the user knows groups by (ids or row numbers), for messages.
    text : str or None
        The first value, where the outcome is a column of text (its categories are then in alphabetical order).
    sets : Sets or None
        The sets of alternatives of ``choice()``.
    noun : str
        What one outcome belongs to, a group or an observation, for messages.
    kind : str
        ``type=`` of ``surv()``: right, left, interval.
    categories : tuple of str or None
        In order, where the outcome is a column of categories or text (then its values are their numbers from 0).
    ordered : bool
        Whether the user said that this order means something.
    """

    form: str
    columns: tuple[np.ndarray, ...]
    what: str
    ids: np.ndarray
    kind: str = "right"
    categories: tuple[str, ...] | None = None
    ordered: bool = True
    noun: str = "group"
    text: str | None = None
    sets: Sets | None = None

    def refuse_text(self, remedy: str = "") -> None:
        """Raise a DataError where the outcome is a column of text."""
        if self.text is not None and remedy:
            raise DataError(f"the outcome {self.what!r} holds text (first: {self.text!r}): {remedy}")
        if self.text is not None:
            raise DataError(
                f"the outcome {self.what!r} holds text (first: {self.text!r}): make it numbers, or for family ordinal "
                f"give the order of its categories: {AS_ORDERED}; categories without an order are for categorical"
            )

    def refuse(self, bad: np.ndarray, why: str, remedy: str = "") -> None:
        """Raise a DataError that names the groups where `bad` holds; with a remedy also one of the values."""
        rows = np.flatnonzero(bad)
        if len(rows):
            rows = rows[np.argsort(self.ids[rows], kind="stable")]
            told = f"; the first is {self.columns[0][rows[0]]:g}: {remedy}" if remedy else ""
            first = f"first: {listed(self.ids[rows])}"
            raise DataError(f"the outcome {self.what} {why} in {counted(len(rows), self.noun)} ({first}){told}")


@dataclass(frozen=True, eq=False)
class Response:
    """Outcomes ready for a family's kernel.

    Attributes
    ----------
    values : (c, groups) array
        Rows as the family's kernel reads them.
    observed : (groups,) array
        The number to show and to take residuals from.
    weight : (groups,) array
        Powers of the likelihood (observation weights); ones without any.
    categories : tuple of str
        Names of the categories (ordinal, categorical).
    sets : Sets or None
        Groups that have one outcome together, where there are such (conditional_logit).
    """

    values: np.ndarray
    observed: np.ndarray
    weight: np.ndarray
    categories: tuple[str, ...] = field(default=())
    sets: Sets | None = None

    def counted(self, values: np.ndarray) -> np.ndarray:
        """Values (groups,) times the observation weights, for sums."""
        return values * self.weight if self.weighted else values

    def mean(self) -> float:
        """Mean outcome, each as often as it counts."""
        if not self.weighted:
            return float(self.observed.mean())
        return float(self.weight @ self.observed / self.weight.sum())

    def spread_and_centre(self, values: np.ndarray) -> tuple[float, float]:
        """Standard deviation (1 where there is none) and mean of values (groups,), each as often as it counts."""
        values, weight = values[np.isfinite(values)], self.weight[np.isfinite(values)]
        if not self.weighted:
            spread = float(np.std(values, ddof=1)) if len(values) > 1 else 1.0
            return (spread if spread > 0 else 1.0), float(np.mean(values))
        values, weight = values[weight > 0], weight[weight > 0]
        total = float(weight.sum())
        mean = float(weight @ values) / total
        square = float(weight @ (values - mean) ** 2) / (total - 1.0 if total > 1.0 else total)
        return (math.sqrt(square) if square > 0 else 1.0), mean

    @property
    def weighted(self) -> bool:
        """Whether any group counts other than once."""
        return bool(np.any(self.weight != 1.0))


@dataclass(frozen=True, eq=False)
class Limits:
    """Between what outcomes are known to lie, ends included, each (groups,).

    Attributes
    ----------
    low, high : arrays
        Equal where the outcome itself was seen; `high` is infinite where a duration was censored on the right, `low` is
        zero where it was on the left.
    """

    low: np.ndarray
    high: np.ndarray

    @property
    def exact(self) -> np.ndarray:
        """Where the outcome itself was seen (groups,)."""
        return self.low == self.high

    @property
    def endless(self) -> np.ndarray:
        """Where a duration was censored on the right (groups,)."""
        return np.isinf(self.high)

    @property
    def ends(self) -> np.ndarray:
        """All finite, positive ends of what is known; of an outcome that was seen one."""
        above = self.high[~self.exact & ~self.endless]
        return np.concatenate([self.low[self.low > 0.0], above])


def shown(categories: tuple[str, ...], between: str = ", ") -> str:
    """Categories in their order; of many of them the first ones and the last."""
    few = categories if len(categories) <= 12 else (*categories[:10], "...", categories[-1])
    return between.join(few)


def made(
    observed: np.ndarray, *rows: np.ndarray, categories: tuple[str, ...] = (), sets: Sets | None = None
) -> Response:
    """A response of some rows, every group counting once."""
    values = np.ascontiguousarray(np.stack(rows or (observed,)), dtype=float)
    return Response(values, np.asarray(observed, dtype=float), np.ones(len(observed)), categories, sets)


def need_form(raw: Raw, family: str, *forms: str) -> None:
    """Refuse a form of outcome that the family does not take."""
    if raw.form in forms:
        return
    shown = {
        "plain": "a plain outcome such as y", "trials": "trials(k, n)", "surv": "surv(time, event)",
        "choice": "choice(chosen, set)",
    }  # fmt: skip
    single = "; for outcomes of 0 and 1 use bernoulli" if forms == ("trials",) and raw.form == "plain" else ""
    raise ModelError(
        f"family {family} takes {' or '.join(shown[f] for f in forms)}, but the outcome is {raw.what}{single}"
    )


def need_variety(raw: Raw, y: np.ndarray) -> None:
    """Refuse an outcome that never varies."""
    if len(y) > 1 and np.ptp(y) == 0.0:
        raise DataError(f"the outcome {raw.what} is the same in all {counted(len(y), raw.noun)} ({y[0]:g})")


def need_numbers(raw: Raw, family: str, remedy: str = "") -> None:
    """Refuse text where numbers are needed."""
    raw.refuse_text(remedy)
    if raw.categories is not None:
        raise DataError(f"the outcome {raw.what} holds text, and family {family} needs numbers")


def survival(raw: Raw, family: str) -> Response:
    """Times with censoring and delayed entry, for families of durations.

    Rows: what is known (RIGHT, EVENT, LEFT, INTERVAL), log of the (lower) time, log of the upper time, log of the
    entry (-inf without one). From zero to infinity (RIGHT, -inf) nothing is known; its likelihood is 1.
    """
    need_form(raw, family, "surv", "plain")
    need_numbers(raw, family)
    columns = raw.columns
    n = len(columns[0])
    entry = np.zeros(n)
    upper = np.full(n, np.inf)
    if raw.form == "plain":
        time, code = columns[0], np.full(n, EVENT)
    elif raw.kind == "interval":
        if len(columns) != 2:
            raise ModelError(f'{raw.what}: an interval outcome is surv(lower, upper, type="interval")')
        time, upper = columns
        raw.refuse(upper < time, "has upper ends below the lower ones")
        raw.refuse(upper <= 0, "has upper ends that are not positive")
        code = np.where(time == upper, EVENT, np.where(time <= 0, LEFT, INTERVAL))
        code = np.where(np.isinf(upper), RIGHT, code)
        time = np.where(code == LEFT, upper, np.where(code == RIGHT, np.maximum(time, 0.0), time))
    else:
        time, event = (columns[-2], columns[-1]) if len(columns) > 1 else (*columns, np.ones(n))
        as_in_r = " (1 for censored and 2 for an event, as R allows: give a column of event == 2)"
        coded = as_in_r if set(np.unique(event)) == {1.0, 2.0} else ""
        raw.refuse((event != 0) & (event != 1), f"has events that are neither 0 nor 1{coded}")
        code = np.where(event == 1, EVENT, RIGHT if raw.kind == "right" else LEFT)
        if len(columns) == 3:
            entry = columns[0]
            raw.refuse(entry < 0, "has entry times below zero")
            raw.refuse(entry >= time, "has entry times that are not before the end")
    nothing = (raw.kind == "interval") & (code == RIGHT) & (time == 0)  # from zero to infinity
    raw.refuse((time <= 0) & ~nothing, "has times that are not positive")
    if not np.any(code != RIGHT):
        raise DataError(f"the outcome {raw.what} has no event at all: every {raw.noun} is censored")
    with np.errstate(divide="ignore"):
        rows = (code, np.log(time), np.log(upper), np.log(entry))
    observed = np.where(code == INTERVAL, 0.5 * (time + np.where(np.isfinite(upper), upper, time)), time)
    observed = np.where(nothing, np.nan, observed)
    return made(observed, *rows)
