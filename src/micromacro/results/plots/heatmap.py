"""Weights of the members of some groups, as a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import DataError
from ..fitted import Fitted
from .style import MAP, axes
from .weights import find_block


def heatmap(
    fit: Fitted, groups: Sequence[Any] | None = None, *, block: str | None = None, most: int = 12, numbers: bool = True,
    ax: Any = None,
) -> Any:  # fmt: skip
    """Weights of members (columns) in groups (rows); a member who is not in the group leaves its cell empty.

    Parameters
    ----------
    groups : sequence, optional
        Ids of groups, from top to bottom; without it the `most` groups whose weights are the least equal.
    block : str, optional
        Member block; the first one with weight covariates without it.
    most : int
    numbers : bool
        Whether to write the weights into the cells, if there is room (20 members at most).
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ModelError, DataError
        For models without member blocks, unknown blocks, and groups without members.
    """
    _, part = find_block(fit, block)
    table: Any = fit.weights(part.name).groupby(["group", "member"])["weight"].sum()
    if groups is None:
        spread = table.groupby("group").std(ddof=0)
        groups = sorted(spread.nlargest(most).index.tolist())
    have = set(table.index.get_level_values("group"))
    missing = [g for g in groups if g not in have]
    if missing or not len(groups):
        shown = ", ".join(repr(g) for g in missing[:5])
        raise DataError(
            f"no member of block {part.name!r} is in group {shown}" if missing else "groups= names no group"
        )
    wide = table.unstack("member").reindex(list(groups)).dropna(axis=1, how="all")
    values = wide.to_numpy()
    ax = axes(ax, (1.8 + 0.42 * values.shape[1], 1.2 + 0.3 * len(groups)))
    low = min(0.0, float(np.nanmin(values)))
    image = ax.imshow(np.ma.masked_invalid(values), aspect="auto", cmap=MAP, vmin=low, vmax=np.nanmax(values))
    ax.set_xticks(np.arange(values.shape[1]), [str(m) for m in wide.columns], rotation=90, fontsize=8)
    ax.set_yticks(np.arange(len(groups)), [str(g) for g in groups], fontsize=8)
    ax.set_xlabel(part.name)
    ax.set_ylabel("group")
    if numbers and values.shape[1] <= 20:
        middle = 0.5 * (low + np.nanmax(values))
        for row, column in zip(*np.nonzero(np.isfinite(values)), strict=True):
            value = values[row, column]
            colour = "black" if value > middle else "white"
            ax.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
    ax.spines[:].set_visible(False)
    ax.figure.colorbar(image, ax=ax, label="weight")
    return ax
