"""Effects of members and units, ranked."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ModelError
from ..fitted import Fitted
from ..labels import percent
from .style import BLUE, GREY, RED, axes, finish


def with_effects(fit: Fitted, name: str | None) -> str:
    """The member block or unit term of that name, or the first one that has effects."""
    names = list(fit.specification.structures)
    if not names:
        raise ModelError("this model has no effects of members or units to plot")
    return names[0] if name is None else name


def effects(fit: Fitted, name: str | None = None, *, most: int = 60, ci: float = 0.95, ax: Any = None) -> Any:
    """Effects of members or units, ranked, with intervals (a caterpillar).

    Dots are filled where the interval lies on one side of zero.

    Parameters
    ----------
    name : str, optional
        Member block or unit term; the first one with effects without it.
    most : int
        With more effects than this, only the lowest and highest ones are plotted, half of `most` each.
    ci : float
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ModelError
        For models without effects, and for unknown names.
    """
    name = with_effects(fit, name)
    table = fit.random_effects(name, ci)
    center = table.columns[0]
    table = table.sort_values(center)
    total = len(table)
    if total > most:
        table = table.iloc[np.r_[0 : most // 2, total - most // 2 : total]]
    ax = axes(ax, (5.2, 0.8 + 0.14 * len(table)))
    y = np.arange(len(table))
    away = ((table["lower"] > 0) | (table["upper"] < 0)).to_numpy()
    colours = np.where(away, RED, BLUE)
    ax.axvline(0.0, color=GREY, lw=0.8)
    ax.hlines(y, table["lower"], table["upper"], color=colours, lw=1)
    fill = np.where(away, RED, "white")
    ax.scatter(table[center], y, c=fill, edgecolors=colours, s=12, linewidths=1, zorder=3)
    ax.set_yticks(y, [_label(i) for i in table.index], fontsize=6)
    ax.set_ylim(-1, len(table))
    shown = f"{len(table)} of {total}" if total > len(table) else f"{total}"
    ax.set_xlabel(f"effect of {name} ({shown}), {percent(ci)} interval")
    finish(ax)
    ax.tick_params(axis="y", labelsize=6)
    return ax


def _label(index: object) -> str:
    """The labels of an effect in a line: the level, the term."""
    return ", ".join(map(str, index)) if isinstance(index, tuple) else str(index)
