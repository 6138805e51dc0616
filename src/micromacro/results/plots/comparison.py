"""Rival models side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import DataError
from .style import BLUE, GREY, axes, finish


def plot_comparison(
    table: Any, *, difference: str = "difference", error: str = "se_difference", ci: float = 0.95, ax: Any = None
) -> Any:
    """Differences of predictive accuracy from the best model, with intervals: the best on top.

    Parameters
    ----------
    table : DataFrame
        Indexed by model.
    difference, error : str
        Columns: the difference to the best model (zero for that one, negative for the others) and its standard error.
    ci : float
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes
    """
    from ...posterior.intervals import normal_quantile
    from ..labels import percent

    for column in (difference, error):
        if column not in table.columns:
            raise DataError(f"the table has no column {column!r} (columns: {', '.join(map(str, table.columns))})")
    table = table.sort_values(difference, ascending=False, kind="stable")
    gap, se = table[difference].to_numpy(dtype=float), table[error].to_numpy(dtype=float)
    ax = axes(ax, (5.2, 0.9 + 0.35 * len(table)))
    y = np.arange(len(table))[::-1]
    z = normal_quantile(ci)
    ax.axvline(0.0, color=GREY, lw=0.8, ls="--")
    ax.hlines(y, gap - z * se, gap + z * se, color=BLUE, lw=1.5)
    ax.plot(gap, y, "o", color="white", mec=BLUE, mew=1.5, ms=6)
    ax.plot(gap[:1], y[:1], "o", color=BLUE, ms=6)
    ax.set_yticks(y, [str(i) for i in table.index])
    ax.set_ylim(-0.7, len(table) - 0.3)
    ax.set_xlabel(f"expected log predictive density minus that of the best model, {percent(ci)} interval")
    return finish(ax)
