"""Pictures of a fit: matplotlib (extra ``[plots]``). Each takes ``ax=`` and returns the Axes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .._optional import require
from ..errors import DataError, ModelError
from ..terms.member.weighing import Block
from .report import percent
from .summary import check_level, normal_quantile

if TYPE_CHECKING:
    from .fit import Fit

#: Okabe and Ito's colours, told apart by colour-blind readers and in grey print.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#777777"


def _axes(ax: Any, size: tuple[float, float]) -> Any:
    """The given Axes, or one of a new figure."""
    if ax is not None:
        return ax
    require("matplotlib", "plots")
    from matplotlib.figure import Figure

    try:
        import matplotlib.pyplot as plt

        return plt.subplots(figsize=size, layout="constrained")[1]
    except ImportError:  # a matplotlib without a usable backend still draws to files
        return Figure(figsize=size, layout="constrained").subplots()


def _finish(ax: Any) -> Any:
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=9)
    return ax


class Plots:
    """The pictures of one fit: ``weights``, ``coefficients``, ``effects``."""

    def __init__(self, fit: Fit):
        self._fit = fit

    def __repr__(self) -> str:
        return "pictures of the fit: .weights(), .coefficients(), .effects(); each takes ax= and returns the Axes"

    def weights(
        self, covariate: str | None = None, *, block: str | None = None, size: int | None = None, ci: float = 0.95,
        ax: Any = None,
    ) -> Any:  # fmt: skip
        """Weights against a covariate of theirs, with an uncertainty band.

        Dots are the weights of all memberships (posterior mean or estimate). The line and band are the weight function
        itself for a group of `size` members in which the others sit at the mean covariate (relative to equal weights
        where weights are normalised).

        Parameters
        ----------
        covariate : str, optional
            A numeric column in `weights=`; the first one without it.
        block : str, optional
            Member block; the first one with weight covariates without it.
        size : int, optional
            Group size of the line; the median size without it.
        ci : float
        ax : matplotlib Axes, optional
        """
        index, part = self._block(block)
        covariate = self._covariate(part, covariate)
        level = check_level(ci)
        ax = _axes(ax, (5.2, 3.6))
        table = self._fit.weights(part.name, ci)
        if len(self._fit.specification.members) > 1 and "block" in table.index.names:
            table = table.xs(part.name)
        values = np.asarray(part.memberships.table[covariate].values, dtype=float)
        ax.plot(values, table["weight"], "o", ms=3, alpha=0.35, mew=0, color=GREY, label="memberships")
        sizes = np.diff(part.memberships.start)
        size = int(size if size is not None else np.median(sizes[sizes > 0]))
        grid = np.linspace(values.min(), values.max(), 60)
        line, low, high = _curve(self._fit, index, part, covariate, grid, size, level)
        ax.fill_between(grid, low, high, color=BLUE, alpha=0.25, lw=0, label=f"{percent(level)} interval")
        ax.plot(grid, line, color=BLUE, lw=2, label=f"a member of a group of {size}")
        equal, label = _equal_weight(part, size)
        if equal is not None:
            ax.axhline(equal, color=ORANGE, lw=1.2, ls="--", label=label)
        ax.set_ylim(bottom=min(0.0, float(np.min(table["weight"].to_numpy()))))
        ax.set_xlabel(covariate)
        ax.set_ylabel(f"weight of a {part.name}")
        ax.legend(frameon=False, fontsize=8)
        return _finish(ax)

    def _block(self, name: str | None) -> tuple[int, Block]:
        blocks = self._fit.specification.members
        if not blocks:
            raise ModelError("this model has no member block, so there are no weights to draw")
        if name is None:
            name = next((n for n, p in blocks.items() if _weight_columns(p)), next(iter(blocks)))
        if name not in blocks:
            raise ModelError(f"there is no member block {name!r}; this model has {', '.join(blocks)}")
        return self._fit.posterior.block(name)

    @staticmethod
    def _covariate(part: Block, name: str | None) -> str:
        columns = _weight_columns(part)
        if name is None and columns:
            return columns[0]
        if name is None:
            raise ModelError(
                f"the weights of block {part.name!r} use no numeric column: there is nothing to draw them against"
            )
        if name not in part.memberships.table:
            raise DataError(
                f"{name!r} is not a column that block {part.name!r} uses; it uses {', '.join(columns) or 'none'}"
            )
        return name

    def coefficients(self, *, names: list[str] | None = None, ci: float = 0.95, ax: Any = None) -> Any:
        """Coefficients with their intervals (the intercept is left out unless it is named).

        Parameters
        ----------
        names : list of str, optional
            Which parameters, from top to bottom.
        ci : float
            Level of the thin line; the thick one covers half.
        """
        table, inner = self._fit.summary(ci), self._fit.summary(0.5)
        if names is None:
            names = [p.name for p in self._fit.specification.parameters if p.kind in ("b", "w", "aggregate")]
        missing = [n for n in names if n not in table.index]
        if missing or not names:
            raise ModelError(
                f"no such parameters: {', '.join(missing)}" if missing else "this model has no coefficients"
            )
        ax = _axes(ax, (5.2, 0.7 + 0.3 * len(names)))
        y = np.arange(len(names))[::-1]
        ax.axvline(0.0, color=GREY, lw=0.8)
        ax.hlines(y, table.loc[names, "lower"], table.loc[names, "upper"], color=BLUE, lw=1.2)
        ax.hlines(y, inner.loc[names, "lower"], inner.loc[names, "upper"], color=BLUE, lw=4)
        ax.plot(table.loc[names].iloc[:, 0], y, "o", color="white", mec=BLUE, ms=6, mew=1.5)
        ax.set_yticks(y, names)
        ax.set_ylim(-0.7, len(names) - 0.3)
        ax.set_xlabel(f"estimate, {percent(ci)} interval (thick: 50%)")
        return _finish(ax)

    def effects(self, name: str | None = None, *, most: int = 60, ci: float = 0.95, ax: Any = None) -> Any:
        """Effects of members or units, sorted, with intervals (a caterpillar).

        Parameters
        ----------
        name : str, optional
            Member block or unit term; the first one with effects without it.
        most : int
            With more effects than this, the lowest and highest halves of `most` are drawn.
        """
        if name is None:
            parts = [p for p in self._fit.specification.system.parts if p.effects]
            if not parts:
                raise ModelError("this model has no effects of members or units to draw")
            name = parts[0].name
        table = self._fit.random_effects(name, ci)
        center = table.columns[0]
        table = table.sort_values(center)
        total = len(table)
        if total > most:
            table = table.iloc[np.r_[0 : most // 2, total - most // 2 : total]]
        ax = _axes(ax, (5.2, 0.8 + 0.14 * len(table)))
        y = np.arange(len(table))
        away = (table["lower"] > 0) | (table["upper"] < 0)
        colours = np.where(away, RED, BLUE)
        ax.axvline(0.0, color=GREY, lw=0.8)
        ax.hlines(y, table["lower"], table["upper"], color=colours, lw=1)
        ax.scatter(table[center], y, c=colours, s=10, zorder=3)
        ax.set_yticks(y, [str(i) for i in table.index], fontsize=6)
        ax.set_ylim(-1, len(table))
        shown = f"{len(table)} of {total}" if total > len(table) else f"{total}"
        ax.set_xlabel(f"effect of {name} ({shown}), {percent(ci)} interval")
        return _finish(ax)


def _equal_weight(part: Block, size: int) -> tuple[float | None, str]:
    """The weight that all members would have if they counted the same, and how to call it."""
    by_size = part.expression.uses_n or part.expression.ready in ("power", "logistic")
    if part.rule == "group" or (part.rule == "total" and by_size):
        return 1.0 / size, f"equal weights (1/{size})"
    if part.rule == "total":
        sizes = np.diff(part.memberships.start)
        return float(np.count_nonzero(sizes) / sizes.sum()), "equal weights"
    return None, ""


def _weight_columns(part: Block) -> list[str]:
    """Numeric columns that the weights of a block use."""
    table = part.memberships.table
    return [c for c in part.expression.columns if c in table and table[c].kind in ("number", "integer")]


def _curve(
    fit: Fit, index: int, part: Block, covariate: str, grid: np.ndarray, size: int, ci: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The weight of one member of a group of `size` as its covariate moves, the others' at their means."""
    function = _WeightFunction(part, covariate, grid, size)
    posterior = fit.posterior
    where = posterior.specification.system.theta_of(index)
    if posterior.sampled:
        theta, _ = posterior.thinned(500)
        curves = np.stack([function(t[where]) for t in theta])
        tail = 0.5 * (1.0 - ci)
        low, high = np.quantile(curves, [tail, 1.0 - tail], axis=0)
        return curves.mean(axis=0), low, high
    optimum = posterior.outcome.optimum
    assert optimum is not None
    own = optimum.theta[where]
    line = function(own)
    p = len(part.weight_parameters)
    v = np.nan_to_num(optimum.covariance[where, where][:p, :p])
    slope = np.empty((len(grid), p))
    for k in range(p):
        up, down = own.copy(), own.copy()
        up[k], down[k] = own[k] + 1e-4, own[k] - 1e-4
        slope[:, k] = (function(up) - function(down)) / 2e-4
    se = np.sqrt(np.maximum(np.einsum("ik,kl,il->i", slope, v, slope), 0.0))
    z = normal_quantile(ci)
    low = line - z * se
    return line, (np.maximum(low, 0.0) if part.rule != "none" else low), line + z * se


class _WeightFunction:
    """A block's weight function on made-up groups: one member moves along the grid, the others stay at the means."""

    def __init__(self, part: Block, covariate: str, grid: np.ndarray, size: int):
        self.size, self.points = size, len(grid)
        self.weighing = part.weighing.grid(covariate, grid, size, part.levels)
        self.room = self.weighing.scratch(gradient=False)
        self.old = part.weighing

    def __call__(self, theta: np.ndarray) -> np.ndarray:
        weighing = self.weighing
        if weighing.rule == "total":
            weighing = replace(weighing, scale=self.old.total_scale(theta))
            self.room["fixed"] = False
        weighing.weigh(theta, self.room)
        return self.room["w"][:: self.size].copy()
