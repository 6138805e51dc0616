"""Weights of the memberships against their covariates, with the weight function and its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from ...errors import DataError, ModelError
from ...posterior.intervals import Numbers, check_level
from ...terms.member.weighing import Block, Weighing
from ..fitted import Fitted
from ..labels import percent
from .style import BLUE, GREY, ORANGE, axes, finish, panels

MOST = 200  # memberships over which a line is averaged


def weights(
    fit: Fitted, covariate: str | Sequence[str] | None = None, *, block: str | None = None, size: int | None = None,
    others: Literal["mean", "observed"] = "mean", ci: float = 0.95, ax: Any = None,
) -> Any:  # fmt: skip
    """Weights against a covariate of theirs, with an uncertainty band.

    Dots are the weights of all memberships (posterior mean or estimate). The line and band are the weight function
    itself for a group of `size` members in which the others sit at the mean covariate (relative to equal weights
    where weights are normalised), or its average over the groups that exist (partial dependence).

    Parameters
    ----------
    covariate : str or sequence of str, optional
        A numeric column in `weights=`; the first one without it. ``"all"`` or several columns: a picture of each.
    block : str, optional
        Member block; the first one with weight covariates without it.
    size : int, optional
        Group size of the line; the median size without it.
    others : {"mean", "observed"}
        What the line assumes of all else: a made-up group in which it is at its mean, or the groups of the data as they
        are. Then the line is the average weight if one member's covariate had that value while the others in its group
        keep theirs (shares rescale); of at most 200 memberships, evenly chosen.
    ci : float
    ax : matplotlib Axes, optional
        As many as there are covariates.

    Returns
    -------
    Axes, or an array of them for several covariates

    Raises
    ------
    ModelError, DataError
        For models without member blocks, unknown blocks, weights without a numeric column, another word for `others`,
        and `size` beside the groups of the data, which have their own.
    """
    if others not in ("mean", "observed"):
        raise ModelError(f'others= is "mean" or "observed", not {others!r}')
    if others == "observed" and size is not None:
        raise ModelError('size= is of a made-up group: leave it out with others="observed"')
    index, part = find_block(fit, block)
    columns = weight_columns(part)
    size = None if others == "observed" else int(size if size is not None else part.typical_size)
    if covariate is None or (isinstance(covariate, str) and (covariate != "all" or "all" in columns)):
        return _one(fit, index, part, _covariate(part, covariate), size, ci, axes(ax, (5.2, 3.6)))
    several = columns if isinstance(covariate, str) else list(covariate)
    names = [_covariate(part, name) for name in several] or [_covariate(part, None)]
    for name, panel in zip(names, made := panels(ax, len(names), (4.2, 3.4)), strict=True):
        _one(fit, index, part, name, size, ci, panel)
    return made


def _one(fit: Fitted, index: int, part: Block, covariate: str, size: int | None, ci: float, ax: Any) -> Any:
    """The picture of one covariate; without a size the line is an average over the groups that exist."""
    level = check_level(ci)
    table = fit.weights(part.name, ci)
    values = np.asarray(part.memberships.table[covariate].values, dtype=float)
    ax.plot(values, table["weight"], "o", ms=3, alpha=0.35, mew=0, color=GREY, label="memberships")
    grid = np.linspace(values.min(), values.max(), 60 if size is not None else 25)
    line = _curve(fit, index, part, covariate, grid, size, level)
    ax.fill_between(grid, line.lower, line.upper, color=BLUE, alpha=0.25, lw=0, label=f"{percent(level)} interval")
    ax.plot(
        grid,
        line.point,
        color=BLUE,
        lw=2,
        label=f"a member of a group of {size}" if size else "average over the groups",
    )
    equal, label = _equal_weight(part, size) if size else (None, "")
    if equal is not None:
        ax.axhline(equal, color=ORANGE, lw=1.2, ls="--", label=label)
    ax.set_ylim(bottom=min(0.0, float(np.min(table["weight"].to_numpy()))))
    ax.set_xlabel(covariate)
    ax.set_ylabel(f"weight of a {part.name}")
    ax.legend(frameon=False, fontsize=8)
    return finish(ax)


def find_block(fit: Fitted, name: str | None) -> tuple[int, Block]:
    """A member block and the number of its part; the first one with weight covariates without a name."""
    blocks = fit.specification.members
    if not blocks:
        raise ModelError("this model has no member block, so there are no weights to plot")
    if name is None:
        name = next((n for n, p in blocks.items() if weight_columns(p)), next(iter(blocks)))
    if name not in blocks:
        raise ModelError(f"there is no member block {name!r}; this model has {', '.join(blocks)}")
    return fit.posterior.block(name)


def _covariate(part: Block, name: str | None) -> str:
    columns = weight_columns(part)
    if name is None and columns:
        return columns[0]
    if name is None:
        raise ModelError(
            f"the weights of block {part.name!r} use no numeric column: there is nothing to plot them against"
        )
    if name not in part.memberships.table:
        raise DataError(
            f"{name!r} is not a column that block {part.name!r} uses; it uses {', '.join(columns) or 'none'}"
        )
    return name


def _equal_weight(part: Block, size: int) -> tuple[float | None, str]:
    """The weight that all members would have if they counted the same, and how to call it."""
    if part.rule == "group" or (part.rule == "total" and part.expression.by_size):
        return 1.0 / size, f"equal weights (1/{size})"
    if part.rule == "total":
        sizes = np.diff(part.memberships.start)
        return float(np.count_nonzero(sizes) / sizes.sum()), "equal weights"
    return None, ""


def weight_columns(part: Block) -> list[str]:
    """Numeric columns that the weights of a block use."""
    table = part.memberships.table
    return [c for c in part.expression.columns if c in table and table[c].kind in ("number", "integer")]


def _curve(
    fit: Fitted, index: int, part: Block, covariate: str, grid: np.ndarray, size: int | None, ci: float
) -> Numbers:
    """The weight of one member of a group of `size`, or on average over the groups, as its covariate moves."""
    function = _Dependence(part, covariate, grid) if size is None else _WeightFunction(part, covariate, grid, size)
    posterior = fit.posterior
    where = posterior.specification.system.places.theta(index)
    most = 500 if size else 200
    if part.rule == "none" or part.weighing.signed:
        return posterior.numbers_of(lambda theta: function(theta[where]), ci, most=most)
    scale, top = ("share", 1.0) if part.rule == "group" else ("log", np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        line = posterior.numbers_of(lambda theta: function(theta[where]), ci, scale, most)
    if np.all(np.isfinite(line.lower) & np.isfinite(line.upper)):
        return line
    return posterior.numbers_of(lambda theta: function(theta[where]), ci, most=most).bounded(0.0, top)


class _Moved:
    """A block's weights at theta on memberships other than its own, with the constant of the fit."""

    def __init__(self, part: Block, weighing: Weighing):
        self.old, self.weighing = part.weighing, weighing
        self.room = weighing.scratch(gradient=False)

    def at(self, theta: np.ndarray) -> np.ndarray:
        """Weights (memberships,)."""
        weighing = self.weighing
        if weighing.rule == "total":
            weighing = replace(weighing, scale=self.old.total_scale(theta))
            self.room["fixed"] = False
        weighing.weigh(theta, self.room)
        return self.room["w"]


class _WeightFunction(_Moved):
    """A block's weight function on made-up groups: one member moves along the grid, the others stay at the means."""

    def __init__(self, part: Block, covariate: str, grid: np.ndarray, size: int):
        self.size = size
        super().__init__(part, part.weighing.grid(covariate, grid, size, part.levels))

    def __call__(self, theta: np.ndarray) -> np.ndarray:
        return self.at(theta)[:: self.size].copy()


class _Dependence(_Moved):
    """The average weight of members that exist, in their own groups, if their covariate had the values of the grid."""

    def __init__(self, part: Block, covariate: str, grid: np.ndarray):
        m = len(part.memberships.group)
        chosen = np.unique(np.linspace(0, m - 1, min(m, MOST)).astype(np.int64))
        weighing, self.places = part.weighing.moved(covariate, grid, chosen)
        super().__init__(part, weighing)

    def __call__(self, theta: np.ndarray) -> np.ndarray:
        return self.at(theta)[self.places].mean(axis=1)
