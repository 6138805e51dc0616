"""Predictions along a covariate, comparisons and slopes, averaged over groups."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...errors import DataError, ModelError
from ...posterior.intervals import check_level
from ...table.columns import Column
from ..fitted import Fitted
from ..labels import percent
from .style import BLUE, COLOURS, GREY, LINES, axes, finish

POINTS = 25  # of a line
FEW = 6  # values of a column up to which each gets a point of its own
MOST = 40  # rows of a picture of comparisons


def predictions(
    fit: Fitted, variable: str | None = None, *, by: str | None = None, kind: str = "mean", ci: float = 0.95,
    ax: Any = None, **options: Any,
) -> Any:  # fmt: skip
    """Average predictions along a covariate: a line with a band, or points where it has few values.

    Parameters
    ----------
    variable : str, optional
        A column of groups or of memberships, set to each of its values in all groups at once; a line runs over the
        range of the data. The first numeric one that the model uses without it.
    by : str, optional
        A column of groups: a line for each of its values.
    kind : str
        As in :meth:`micromacro.Fit.predictions`.
    ci : float
    ax : matplotlib Axes, optional
    options
        Further arguments of :meth:`micromacro.Fit.predictions`: ``effects``, ``where``, ``random_seed``.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    DataError
        For columns that the model does not use.
    """
    level = percent(check_level(ci))
    variable = _first(fit) if variable is None else variable
    values, line = _values(fit, variable)
    table = fit.predictions(at={variable: list(values)}, by=by, kind=kind, ci=ci, **options)
    point = fit.posterior.words.point
    ax = axes(ax, (5.2, 3.6))
    curves = _curves(table, [c for c in ("category", by) if c is not None and c in table])
    place = {str(v): k for k, v in enumerate(values)}
    for number, (label, rows) in enumerate(curves):
        colour, style = COLOURS[number % len(COLOURS)], LINES[number % len(LINES)]
        shift = 0.0 if len(curves) == 1 else 0.3 * (number / (len(curves) - 1) - 0.5)
        x = rows[variable].to_numpy(float) if line else np.array([place[str(v)] for v in rows[variable]]) + shift
        low, mid, high = (rows[c].to_numpy(float) for c in ("lower", point, "upper"))
        if line:
            ax.fill_between(x, low, high, color=colour, alpha=0.2, lw=0)
            ax.plot(x, mid, style, color=colour, label=label)
        else:
            ax.errorbar(x, mid, yerr=np.abs([mid - low, high - mid]), fmt="o", color=colour, capsize=0, label=label)
    if not line:
        ax.set_xticks(range(len(values)), [str(v) for v in values])
    ax.set_xlabel(variable)
    ax.set_ylabel(f"average {'linear predictor' if kind == 'linear' else kind}, {level} interval")
    if len(curves) > 1:
        ax.legend(frameon=False, fontsize=8)
    return finish(ax)


def comparisons(
    fit: Fitted, variables: Any = None, *, by: str | None = None, contrast: str = "difference", ci: float = 0.95,
    ax: Any = None, **options: Any,
) -> Any:  # fmt: skip
    """What changes with each variable: a point with its interval for each comparison.

    Parameters
    ----------
    variables : str, list or dict, optional
        As in :meth:`micromacro.Fit.comparisons`: all covariates without it.
    by : str, optional
        A column of groups: comparisons within each of its values.
    contrast : str
    ci : float
    ax : matplotlib Axes, optional
    options
        Further arguments of :meth:`micromacro.Fit.comparisons`.

    Returns
    -------
    matplotlib Axes
    """
    table = fit.comparisons(variables, by=by, contrast=contrast, ci=ci, **options)
    words = contrast.replace("_", " ")
    return _points(
        fit,
        table,
        by,
        f"{words} of the outcome",
        1.0 if words.endswith("ratio") and "log" not in words else 0.0,
        ci,
        ax,
    )


def slopes(
    fit: Fitted, variables: str | Sequence[str] | None = None, *, by: str | None = None, ci: float = 0.95,
    ax: Any = None, **options: Any,
) -> Any:  # fmt: skip
    """Average derivatives of the outcome with respect to numeric covariates, with intervals.

    Parameters
    ----------
    variables : str or list of str, optional
        All numeric covariates without it.
    by : str, optional
        A column of groups: slopes within each of its values.
    ci : float
    ax : matplotlib Axes, optional
    options
        Further arguments of :meth:`micromacro.Fit.slopes`.

    Returns
    -------
    matplotlib Axes
    """
    return _points(fit, fit.slopes(variables, by=by, ci=ci, **options), by, "slope of the outcome", 0.0, ci, ax)


def _points(fit: Fitted, table: pd.DataFrame, by: str | None, label: str, nothing: float, ci: float, ax: Any) -> Any:
    """Rows of a table as points with intervals, from top to bottom."""
    left = len(table) - MOST
    table = table.iloc[:MOST].reset_index(drop=by != "group")
    names = [c for c in ("variable", "contrast", "category", by) if c is not None and c in table]
    ticks = [": ".join(str(v) for v in row) for row in table[names].itertuples(index=False)]
    ax = axes(ax, (5.6, 0.8 + 0.28 * len(table)))
    y = np.arange(len(table))[::-1]
    low, mid, high = (table[c].to_numpy(float) for c in ("lower", fit.posterior.words.point, "upper"))
    ax.axvline(nothing, color=GREY, lw=0.8)
    ax.hlines(y, low, high, color=BLUE, lw=1.4)
    ax.plot(mid, y, "o", color=BLUE, ms=5)
    ax.set_yticks(y, ticks)
    ax.set_ylim(-0.7, len(table) - 0.3)
    more = f"; {left} more are left out" if left > 0 else ""
    ax.set_xlabel(f"{label}, {percent(check_level(ci))} interval{more}")
    return finish(ax)


def _curves(table: pd.DataFrame, names: list[str]) -> list[tuple[str, pd.DataFrame]]:
    """Rows of each combination of these columns, with a label."""
    if not names:
        return [("", table)]
    parts = table.groupby(names, sort=False, observed=True)
    out = []
    for key, rows in parts:
        values = key if isinstance(key, tuple) else (key,)
        out.append((", ".join(f"{n} {v}" for n, v in zip(names, values, strict=True)), rows))
    return out


def _first(fit: Fitted) -> str:
    """The first numeric column that the model uses, those of groups before those of memberships."""
    tables, outcome = fit.specification.tables, re.findall(r"\w+", fit.specification.outcome_name)
    for table in (tables.groups, *(rows.table for rows in tables.blocks.values())):
        for name, column in table.columns.items():
            if column.kind in ("number", "integer") and name not in outcome:
                return name
    raise ModelError("the model uses no numeric column: name one, as in plot.predictions('region')")


def _values(fit: Fitted, variable: str) -> tuple[np.ndarray, bool]:
    """Values of a column at which to predict, and whether a line joins them."""
    tables = fit.specification.tables
    found: list[Column] = [
        table[variable] for table in (tables.groups, *(rows.table for rows in tables.blocks.values()))
        if variable in table
    ]  # fmt: skip
    if not found:
        known = sorted({*tables.groups.columns, *(c for rows in tables.blocks.values() for c in rows.table.columns)})
        raise DataError(f"{variable!r} is not a column that the model uses; it uses {', '.join(known)}")
    values = np.unique(np.concatenate([np.asarray(c.values) for c in found]))
    if values.dtype.kind in "fiu" and len(values) > FEW:
        return np.linspace(float(values[0]), float(values[-1]), POINTS), True
    if len(values) > MOST:
        raise ModelError(f"{variable!r} has {len(values)} values without an order, too many for a picture")
    return values, False
