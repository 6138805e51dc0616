"""Coefficients and weight parameters with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import ModelError
from ..fitted import Fitted
from ..labels import percent
from .style import BLUE, GREY, axes, finish


def coefficients(fit: Fitted, *, names: str | Sequence[str] | None = None, ci: float = 0.95, ax: Any = None) -> Any:
    """Coefficients with their intervals (the intercept is left out unless it is named).

    Parameters
    ----------
    names : str or list of str, optional
        Parameters, from top to bottom.
    ci : float
        Level of the thin line; the thick one covers half.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ModelError
        For names that are not parameters, and for models without coefficients.
    """
    table, inner = fit.summary(ci), fit.summary(0.5)
    if names is None:
        names = [p.name for p in fit.specification.parameters if p.kind in ("b", "w", "aggregate")]
    elif not len(names):
        raise ModelError("names= names no parameter")
    names = [names] if isinstance(names, str) else list(names)
    missing = [str(n) for n in names if n not in table.index]
    if missing or not names:
        known = f"no such parameters: {', '.join(missing)} (there are {', '.join(table.index)})"
        raise ModelError(known if missing else "this model has no coefficients")
    ax = axes(ax, (5.2, 0.7 + 0.3 * len(names)))
    y = np.arange(len(names))[::-1]
    ax.axvline(0.0, color=GREY, lw=0.8)
    ax.hlines(y, table.loc[names, "lower"], table.loc[names, "upper"], color=BLUE, lw=1.2)
    ax.hlines(y, inner.loc[names, "lower"], inner.loc[names, "upper"], color=BLUE, lw=4)
    ax.plot(table.loc[names].iloc[:, 0], y, "o", color="white", mec=BLUE, ms=6, mew=1.5)
    ax.set_yticks(y, names)
    ax.set_ylim(-0.7, len(names) - 0.3)
    ax.set_xlabel(f"estimate, {percent(ci)} interval (thick: 50%)")
    return finish(ax)
