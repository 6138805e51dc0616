"""The common style of all plots: colours, Axes, and the finishing touches."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._optional import require
from ...errors import EngineError

#: Okabe and Ito's colours, told apart by colour-blind readers and in grey print.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#777777"

#: Of chains and groups drawn together, with a line style each so that print in grey tells them apart too.
COLOURS = (BLUE, ORANGE, GREEN, RED, "#CC79A7", "#56B4E9")
LINES = ("-", "--", "-.", ":")

#: Of matrices: even steps of lightness, the same for colour-blind readers.
MAP = "cividis"


def axes(ax: Any, size: tuple[float, float]) -> Any:
    """The given Axes, or one of a new figure."""
    return ax if ax is not None else _subplots(1, 1, size)


def panels(ax: Any, count: int, size: tuple[float, float], columns: int = 3) -> Any:
    """As many Axes as there are things to draw: those given, or new ones side by side, `size` each."""
    if ax is not None:
        given = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
        if len(given) != count:
            raise EngineError(f"there are {count} plots, but ax= has {len(given)} Axes")
        return given
    across = min(count, columns)
    down = -(-count // across)
    made = _subplots(down, across, (size[0] * across, size[1] * down))
    flat = np.atleast_1d(np.asarray(made, dtype=object)).ravel()
    for spare in flat[count:]:
        spare.remove()
    return flat[:count]


def _subplots(down: int, across: int, size: tuple[float, float]) -> Any:
    require("matplotlib", "plots")
    from matplotlib.figure import Figure

    try:
        import matplotlib.pyplot as plt

        return plt.subplots(down, across, figsize=size, layout="constrained")[1]
    except ImportError:  # a matplotlib without a usable backend still draws to files
        return Figure(figsize=size, layout="constrained").subplots(down, across)


def finish(ax: Any) -> Any:
    """Less ink around the picture."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=9)
    return ax


def above(ax: Any) -> Any:
    """The legend in a line over the picture, where rows of it would lie under one."""
    return ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, frameon=False, fontsize=8, borderaxespad=0.2)


def density(values: np.ndarray, points: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """A smooth density of some numbers: where, and how high."""
    from scipy.stats import gaussian_kde

    spread = float(np.std(values)) or 1.0
    grid = np.linspace(values.min() - 0.5 * spread, values.max() + 0.5 * spread, points)
    if np.ptp(values) == 0.0:
        return grid, np.zeros(points)
    return grid, gaussian_kde(values)(grid)
