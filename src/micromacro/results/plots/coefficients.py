"""Coefficients and weight parameters with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...errors import ModelError
from ..fitted import Fitted
from ..labels import percent
from .style import BLUE, GREY, axes, finish
from .style import panels as side_by_side

#: What parameters of a class are, as a title.
CLASSES_IN_WORDS = {
    "b": "coefficients", "Intercept": "coefficients", "w": "weights", "aggregate": "shapes",
    "sd": "standard deviations", "cor": "correlations",
}  # fmt: skip


def coefficients(
    fit: Fitted, *, names: str | Sequence[str] | None = None, panels: bool = False, ci: float = 0.95, ax: Any = None
) -> Any:
    """Coefficients with their intervals (the intercept is left out unless it is named).

    Parameters
    ----------
    names : str or list of str, optional
        Parameters, from top to bottom.
    panels : bool
        A plot for each scale: coefficients of the linear predictor, those of each other predictor, parameters of
        weights, shapes, and of each other class that is named.
    ci : float
        Level of the thin line; the thick one covers half.
    ax : matplotlib Axes, optional
        With `panels` as many as there are scales.

    Returns
    -------
    Axes, or an array of them with `panels`

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
    if not panels:
        return _one(table, inner, names, f"estimate, {percent(ci)} interval (thick: 50%)",
                    axes(ax, (5.2, 0.7 + 0.3 * len(names))))  # fmt: skip
    scales = _by_scale(fit, names)
    tallest = max(len(some) for some in scales.values())
    made = side_by_side(ax, len(scales), (4.2, 0.9 + 0.3 * tallest))
    for (scale, some), panel in zip(scales.items(), made, strict=True):
        _one(table, inner, some, f"{percent(ci)} interval (thick: 50%)", panel).set_title(scale, fontsize=10)
    return made


def _by_scale(fit: Fitted, names: Sequence[str]) -> dict[str, list[str]]:
    """Names of parameters by what their numbers mean, in the order in which these come."""
    s = fit.specification
    own = {p.name: p for p in s.parameters}
    out: dict[str, list[str]] = {}
    for name in names:
        kind = own[name].kind
        other = next((o for o in s.family.predictors if name.startswith(f"{o}.")), None)
        title = CLASSES_IN_WORDS.get(kind, kind) if other is None else f"{other}: {CLASSES_IN_WORDS.get(kind, kind)}"
        title += f" ({s.family.link} scale)" if kind in ("b", "Intercept") and other is None else ""
        out.setdefault(title, []).append(name)
    return out


def _one(table: pd.DataFrame, inner: pd.DataFrame, names: list[str], label: str, ax: Any) -> Any:
    """Some of the parameters in one plot."""
    y = np.arange(len(names))[::-1]
    ax.axvline(0.0, color=GREY, lw=0.8)
    ax.hlines(y, table.loc[names, "lower"], table.loc[names, "upper"], color=BLUE, lw=1.2)
    ax.hlines(y, inner.loc[names, "lower"], inner.loc[names, "upper"], color=BLUE, lw=4)
    ax.plot(table.loc[names].iloc[:, 0], y, "o", color="white", mec=BLUE, ms=6, mew=1.5)
    ax.set_yticks(y, names)
    ax.set_ylim(-0.7, len(names) - 0.3)
    ax.set_xlabel(label)
    return finish(ax)
