"""How each group is predicted with itself left out: Pareto k, and the probability integral transform."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from ...errors import EngineError
from ..fitted import Fitted
from .style import BLUE, GREY, ORANGE, RED, axes, finish

BINS = 20


def loo(
    fit: Fitted, what: str = "pareto_k", *, integrated: bool = False, random_seed: int | None = None, ax: Any = None
) -> Any:
    """Leave-one-out cross-validation of each group.

    Parameters
    ----------
    what : {"pareto_k", "pit", "elpd"}
        Pareto k of each group with the value above which its elpd is unreliable; a histogram of the probability
        integral transforms, which are uniform if the model is right, with the band in which 95% of uniform bars lie; or
        the elpd of each group.
    integrated : bool
        As in :meth:`micromacro.Fit.loo`.
    random_seed : int, optional
        Of probability integral transforms.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    EngineError
        For an unknown `what`, and for fits without draws.
    """
    if what not in ("pareto_k", "pit", "elpd"):
        raise EngineError(f'what= is "pareto_k", "pit" or "elpd", not {what!r}')
    ax = axes(ax, (5.2, 3.4))
    if what == "pit":
        return _uniform(fit.loo_pit(integrated=integrated, random_seed=random_seed).to_numpy(), ax)
    found = fit.loo(integrated=integrated)
    values = found.column(what)
    bad = found.column("pareto_k") > found.good_k
    at = np.arange(len(values))
    ax.plot(at[~bad], values[~bad], "o", color=BLUE, ms=3, alpha=0.6)
    ax.plot(at[bad], values[bad], "^", color=RED, ms=5, label=f"Pareto k above {found.good_k:.2f}: {int(bad.sum())}")
    if what == "pareto_k":
        ax.axhline(found.good_k, color=ORANGE, lw=1, ls="--")
    if bad.any():
        ax.legend(frameon=False, fontsize=8)
    ax.set_xlabel("group, in the order of the table")
    ax.set_ylabel(what.replace("_", " "))
    return finish(ax)


def _uniform(values: np.ndarray, ax: Any) -> Any:
    """A histogram of numbers that should be uniform."""
    n = len(values)
    bins = int(min(BINS, max(5, n // 10)))
    low, high = stats.binom.ppf([0.025, 0.975], n, 1.0 / bins)
    ax.axhspan(low, high, color=GREY, alpha=0.25, lw=0, label="95% of uniform bars")
    ax.axhline(n / bins, color=GREY, lw=0.8)
    ax.hist(values, bins=bins, range=(0.0, 1.0), color=BLUE, alpha=0.7, edgecolor="white")
    ax.set_xlim(0.0, 1.0)
    ax.set_xlabel("probability integral transform, its group left out")
    ax.set_ylabel("groups")
    ax.legend(frameon=False, fontsize=8)
    return finish(ax)
