"""Replicated outcomes beside the observed ones."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from ...errors import DataError, ModelError
from ...posterior.intervals import quantiles
from ..fitted import Fitted
from ..labels import percent
from .style import BLUE, ORANGE, axes, density, finish

MOST_VALUES = 30
BINS = 10
STATISTICS: dict[str, Callable[..., np.ndarray]] = {"mean": np.mean, "sd": np.std, "median": np.median}


def predictive(
    fit: Fitted, by: str | None = None, *, statistic: str = "mean", draws: int = 50, ci: float = 0.95,
    random_seed: int = 0, ax: Any = None,
) -> Any:  # fmt: skip
    """Observed outcomes beside outcomes replicated from the fit (a posterior predictive check).

    Continuous outcomes: the density of the observed ones and of some replicated data sets. Outcomes of few whole
    numbers: how often each occurs, with an interval from the model. With `by`: a statistic within each level of a
    column, which shows misfit that the overall distribution hides.

    Parameters
    ----------
    by : str, optional
        A column of the groups that the formula uses; numbers are cut into tenths.
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
        For censored durations, unknown statistics, columns that the formula does not use, and too many levels.
    """
    s = fit.specification
    if not s.family.known(s.response).exact.all():
        raise ModelError("censored times are not outcomes to compare with: use fit.plot.survival()")
    seen = np.isfinite(s.outcome)  # a group without a trial has no share
    observed, made = s.outcome[seen], drawn_outcomes(fit, random_seed)[:, seen]
    if by is not None:
        return _by(fit, by, statistic, observed, made, ci, ax)
    values = np.unique(observed)
    if len(values) <= MOST_VALUES and np.all(values == np.round(values)):
        return _counts(fit, observed, made, ci, axes(ax, (5.2, 3.6)))
    ax = axes(ax, (5.2, 3.6))
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


def _counts(fit: Fitted, observed: np.ndarray, made: np.ndarray, ci: float, ax: Any) -> Any:
    """How often each value occurs."""
    at = np.arange(int(min(observed.min(), np.quantile(made, 0.001))),
                   int(max(observed.max(), np.quantile(made, 0.999))) + 1)  # fmt: skip
    counts = (made[:, None, :] == at[:, None]).sum(axis=2)
    low, high = quantiles(counts, ci)
    ax.bar(at, [(observed == v).sum() for v in at], color="black", alpha=0.25, width=0.8, label="observed")
    ax.vlines(at, low, high, color=BLUE, lw=2, label=f"drawn from the model, {percent(ci)} interval")
    ax.plot(at, counts.mean(axis=0), "o", color=BLUE, ms=4)
    names = fit.specification.response.categories
    if names and len(names) == len(at):
        ax.set_xticks(at, names)
    ax.set_xlabel(fit.specification.outcome_name)
    ax.set_ylabel("groups")
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
    ax.legend(frameon=False, fontsize=8)
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
