"""Effects of members and units, ranked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ...errors import ModelError
from ..fitted import Fitted
from ..labels import percent
from .style import BLUE, GREY, RED, axes, finish, panels


def with_effects(fit: Fitted, name: str | None) -> str:
    """The member block or unit term of that name, or the first one that has effects."""
    names = list(fit.specification.structures)
    if not names:
        raise ModelError("this model has no effects of members or units to plot")
    return names[0] if name is None else name


def effects(
    fit: Fitted,
    name: str | None = None,
    *,
    term: str | None = None,
    most: int = 60,
    ci: float = 0.95,
    ax: Any = None,
) -> Any:
    """Effects of members or units, ranked, with intervals (a caterpillar).

    Dots are filled where the interval lies on one side of zero. Effects on an intercept, on a slope and on another
    predictor (terms with ``id=``) have different units, so each of them has a plot of its own.

    Parameters
    ----------
    name : str, optional
        Member block or unit term; the first one with effects without it.
    term : str, optional
        Plot the effects of this term only, as the table of effects calls it: ``"1"`` (the intercept), ``"x"``,
        ``"sigma.1"``.
    most : int
        With more effects than this, only the lowest and highest ones are plotted, half of `most` each.
    ci : float
    ax : matplotlib Axes, optional
        As many as there are terms.

    Returns
    -------
    Axes, or an array of them for effects with several terms

    Raises
    ------
    ModelError
        For models without effects, and for unknown names and terms.
    """
    name = with_effects(fit, name)
    by_term = _by_term(fit.random_effects(name, ci))
    if term is not None:
        if term not in by_term:
            raise ModelError(f"{name} has no effects of a term {term!r}; there are {', '.join(map(repr, by_term))}")
        by_term = {term: by_term[term]}
    tallest = max(min(len(table), most) for table in by_term.values())
    size = (5.2 if len(by_term) == 1 else 4.2, 0.95 + 0.14 * tallest)
    if len(by_term) == 1:
        label, table = next(iter(by_term.items()))
        return _ranked(table, _of(name, label), most, ci, axes(ax, size))
    made = panels(ax, len(by_term), size)
    for (label, table), panel in zip(by_term.items(), made, strict=True):
        _ranked(table, _of(name, label), most, ci, panel)
    return made


def _by_term(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The effects of each term, without it among their labels; all under no name where there are no terms."""
    if "term" not in table.index.names:
        return {"": table}
    terms = table.index.get_level_values("term")
    return {str(t): table.loc[np.asarray(terms == t)].droplevel("term") for t in dict.fromkeys(terms)}


def _of(name: str, term: str) -> str:
    """What is plotted, for the label of an axis."""
    return name if term in ("", "1") else f"{name} on {term}"


def _ranked(table: pd.DataFrame, what: str, most: int, ci: float, ax: Any) -> Any:
    """Effects of one kind in their order."""
    center = table.columns[0]
    table = table.sort_values(center)
    total = len(table)
    if total > most:
        table = table.iloc[np.r_[0 : most // 2, total - most // 2 : total]]
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
    ax.set_xlabel(f"effect of {what} ({shown}), {percent(ci)} interval\nfilled: the interval excludes zero")
    finish(ax)
    ax.tick_params(axis="y", labelsize=6)
    return ax


def _label(index: object) -> str:
    """The labels of an effect in a line: the level, the term."""
    return ", ".join(map(str, index)) if isinstance(index, tuple) else str(index)
