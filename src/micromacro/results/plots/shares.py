"""What each level contributes to the variance."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..fitted import Fitted
from ..labels import percent
from .style import BLUE, axes, finish


def variance(fit: Fitted, *, ci: float = 0.95, ax: Any = None) -> Any:
    """Shares of the variance given the covariates, by level, with intervals.

    Parameters
    ----------
    ci : float
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes
    """
    table = fit.variance_components(ci)
    ax = axes(ax, (5.2, 0.9 + 0.4 * len(table)))
    y = np.arange(len(table))[::-1]
    ax.barh(y, table["share"], color=BLUE, alpha=0.35, height=0.65)
    ax.hlines(y, table["lower"], table["upper"], color=BLUE, lw=1.5)
    ax.plot(table["share"], y, "o", color=BLUE, ms=5)
    ax.set_yticks(y, [str(i) for i in table.index])
    ax.set_xlim(0, 1)
    ax.set_xlabel(f"share of the variance, {percent(ci)} interval")
    return finish(ax)
