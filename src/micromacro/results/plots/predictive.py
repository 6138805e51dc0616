"""Replicated outcomes beside the observed ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from ...errors import DataError, ModelError
from ...posterior.intervals import quantiles
from ..fitted import Fitted
from ..labels import percent
from .style import BLUE, GREY, ORANGE, above, axes, density, finish

MOST_VALUES = 30
BINS = 10
STATISTICS: dict[str, Callable[..., np.ndarray]] = {"mean": np.mean, "sd": np.std, "median": np.median}


def predictive(
    fit: Fitted, by: str | None = None, *, kind: Literal["auto", "density", "bars", "rootogram"] = "auto",
    statistic: str = "mean", draws: int = 50, ci: float = 0.95, random_seed: int = 0, ax: Any = None,
) -> Any:  # fmt: skip
    """Observed outcomes beside outcomes replicated from the fit (a posterior predictive check).

    Continuous outcomes: the density of the observed ones and of some replicated data sets. Whole numbers: how often
    each occurs (of more than 30, how many lie in each of some classes), with an interval from the model. With `by`: a
    statistic within each level of a column, which shows misfit that the overall distribution hides.

    Parameters
    ----------
    by : str, optional
        A column of the groups that the formula uses; numbers are cut into tenths.
    kind : {"auto", "density", "bars", "rootogram"}
        By default densities, or bars of whole numbers. A rootogram hangs the bars of the observed numbers from those
        that the model expects, all by their square roots, so that rare values can be read; where the model is right,
        the bars end near zero, within the intervals.
    statistic : {"mean", "sd", "median"}
        With `by`.
    draws : int
        How many replicated data sets a plot of densities shows.
    ci : float
        Level of the intervals.
    random_seed : int
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ModelError, DataError
        For censored durations, unknown kinds and statistics, bars of outcomes that are not counts or categories,
        columns that the formula does not use, and too many levels.
    """
    s = fit.specification
    if not s.family.known(s.response).exact.all():
        raise ModelError("censored times are not outcomes to compare with: use fit.plot.survival()")
    seen = np.isfinite(s.outcome)  # a group without a trial has no share
    observed, made = s.outcome[seen], drawn_outcomes(fit, random_seed)[:, seen]
    if by is not None:
        return _by(fit, by, statistic, observed, made, ci, ax)
    ax = axes(ax, (5.2, 3.6))
    whole = s.family.discrete and bool(np.all(observed == np.round(observed)))
    if kind in ("bars", "rootogram") and not whole:
        raise ModelError(f'kind="{kind}" shows counts and categories, which this outcome is not: leave it out')
    if kind not in ("auto", "density", "bars", "rootogram"):
        raise ModelError(f'kind= is "auto", "density", "bars" or "rootogram", not {kind!r}')
    if kind == "rootogram":
        return _rootogram(fit, _frequencies(observed, made), ci, ax)
    if kind == "bars" or (kind == "auto" and whole):
        return _bars(fit, _frequencies(observed, made), ci, ax)
    shown = made[np.linspace(0, len(made) - 1, min(draws, len(made))).astype(int)]
    for k, one in enumerate(shown):
        ax.plot(*density(one), color=BLUE, lw=0.6, alpha=0.35, label="drawn from the model" if k == 0 else None)
    ax.plot(*density(observed), color="black", lw=2, label="observed")
    ax.set_ylim(bottom=0)
    ax.set_yticks([])
    ax.set_xlabel(s.outcome_name)
    ax.legend(frameon=False, fontsize=8)
    return finish(ax)


def drawn_outcomes(fit: Fitted, random_seed: int) -> np.ndarray:
    """Outcomes (draws, groups) from the fitted model, on the scale and in the order of ``specification.outcome``."""
    s = fit.specification
    made = fit.predict(kind="response", draws=True, random_seed=random_seed).to_numpy()
    if s.tables.order is not None:  # from the order of the user's rows
        made = made[:, np.argsort(np.argsort(s.tables.order))]
    trials = s.family.trials(s.response.values)
    return made if trials is None else made / np.where(trials > 0, trials, np.nan)


@dataclass(frozen=True, eq=False)
class _Frequencies:
    """How many outcomes have each value, or lie in each class of values.

    Attributes
    ----------
    at : (k,) array
        Values, or middles of the classes.
    width : float
        Of a class, in values.
    observed : (k,) array
    made : (draws, k) array
    """

    at: np.ndarray
    width: float
    observed: np.ndarray
    made: np.ndarray


def _frequencies(observed: np.ndarray, made: np.ndarray) -> _Frequencies:
    """Count whole numbers, in classes where there are many of them; what lies beyond counts with the last."""
    low = int(min(observed.min(), np.quantile(made, 0.001)))
    high = int(max(observed.max(), np.quantile(made, 0.999)))
    width = -(-(high - low + 1) // MOST_VALUES)
    count = (high - low) // width + 1

    def number(values: np.ndarray) -> np.ndarray:
        place = np.clip((values - low) // width, 0, count - 1).astype(np.int64)
        return np.bincount(place, minlength=count)

    at = low + width * np.arange(count) + 0.5 * (width - 1)
    return _Frequencies(at, float(width), number(observed), np.stack([number(one) for one in made]))


def _bars(fit: Fitted, f: _Frequencies, ci: float, ax: Any) -> Any:
    """How often each value occurs, with intervals."""
    low, high = quantiles(f.made, ci)
    ax.bar(f.at, f.observed, color="black", alpha=0.25, width=0.8 * f.width, label="observed")
    ax.vlines(f.at, low, high, color=BLUE, lw=2, label=f"drawn from the model, {percent(ci)} interval")
    ax.plot(f.at, f.made.mean(axis=0), "o", color=BLUE, ms=4)
    return _labelled(fit, f, "groups", ax)


def _rootogram(fit: Fitted, f: _Frequencies, ci: float, ax: Any) -> Any:
    """Bars of the observed numbers that hang from the expected ones, by square roots."""
    expected = np.sqrt(f.made.mean(axis=0))
    low, high = quantiles(expected - np.sqrt(f.made), ci)
    ax.bar(f.at, np.sqrt(f.observed), bottom=expected - np.sqrt(f.observed), color="black", alpha=0.25,
           width=0.8 * f.width, label="observed, hung from the expected")  # fmt: skip
    ax.plot(f.at, expected, "o-", color=BLUE, ms=4, lw=1.2, label="expected")
    ax.vlines(f.at, low, high, color=ORANGE, lw=2, label=f"where bars end, {percent(ci)} interval")
    ax.axhline(0.0, color=GREY, lw=0.8)
    return _labelled(fit, f, "square root of the number of groups", ax)


def _labelled(fit: Fitted, f: _Frequencies, what: str, ax: Any) -> Any:
    """Words around a picture of frequencies."""
    names = fit.specification.response.categories
    if names and len(names) == len(f.at):
        ax.set_xticks(f.at, names)
    by = f" (in classes of {f.width:.0f})" if f.width > 1 else ""
    ax.set_xlabel(f"{fit.specification.outcome_name}{by}")
    ax.set_ylabel(what)
    ax.legend(frameon=False, fontsize=8)
    return finish(ax)


def _by(
    fit: Fitted, by: str, statistic: str, observed: np.ndarray, made: np.ndarray, ci: float, ax: Any
) -> Any:  # fmt: skip
    """A statistic within each level of a column."""
    if statistic not in STATISTICS:
        raise ModelError(f"statistic= is one of {', '.join(STATISTICS)}, not {statistic!r}")
    function = STATISTICS[statistic]
    labels, place = _levels(fit, by)
    place = place[np.isfinite(fit.specification.outcome)]
    seen = np.array([function(observed[place == k]) for k in range(len(labels))])
    model = np.stack([function(made[:, place == k], axis=1) for k in range(len(labels))], axis=1)
    low, high = quantiles(model, ci)
    ax = axes(ax, (5.2, 0.9 + 0.3 * len(labels)))
    y = np.arange(len(labels))[::-1]
    ax.hlines(y, low, high, color=BLUE, lw=4, alpha=0.5, label=f"model, {percent(ci)} interval")
    outside = (seen < low) | (seen > high)
    ax.plot(seen[~outside], y[~outside], "o", color="black", ms=5, label="observed")
    ax.plot(
        seen[outside],
        y[outside],
        "D",
        color=ORANGE,
        mec="black",
        ms=6,
        label="observed, outside" if outside.any() else None,
    )
    ax.set_yticks(y, labels)
    ax.set_ylim(-0.7, len(labels) - 0.3)
    ax.set_ylabel(by)
    ax.set_xlabel(f"{statistic} of {fit.specification.outcome_name}")
    above(ax)
    return finish(ax)


def _levels(fit: Fitted, by: str) -> tuple[list[str], np.ndarray]:
    """Labels of a column's levels and the level of each group."""
    table = fit.specification.tables.groups
    if by not in table:
        raise DataError(f"{by!r} is not a column of the groups that the formula uses: {', '.join(table.names)}")
    column = table[by]
    values, place = np.unique(column.values.astype(str) if column.kind in ("text", "category") else column.values,
                              return_inverse=True)  # fmt: skip
    if column.categories is not None:
        order = [c for c in column.categories if c in values]
        return order, np.array([order.index(v) for v in column.values])
    if len(values) <= MOST_VALUES:
        return [str(v) for v in values], place
    if column.kind not in ("number", "integer"):
        raise DataError(f"{by!r} has {len(values)} levels, more than one plot can show ({MOST_VALUES})")
    numbers = np.asarray(column.values, dtype=float)
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, BINS + 1)))
    place = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    return [f"{a:.3g} to {b:.3g}" for a, b in pairwise(edges)], place
