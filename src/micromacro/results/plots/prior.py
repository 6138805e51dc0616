"""What the data added to the prior."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import ModelError
from ..fitted import Fitted
from .chains import parameters
from .style import BLUE, ORANGE, density, finish, panels


def prior(fit: Fitted, names: str | Sequence[str] | None = None, *, ax: Any = None) -> Any:
    """Prior and posterior densities of parameters: if they are similar, the data said little.

    Parameters
    ----------
    names : str or sequence of str, optional
        Parameters with a proper prior; those of the weights without it.
    ax : matplotlib Axes, optional
        As many as there are parameters.

    Returns
    -------
    Axes, or an array of them for several parameters

    Raises
    ------
    ModelError
        For unknown parameters and improper priors.
    EngineError
        For fits without draws.
    """
    sampled = fit.posterior.drawn(
        f'a fit by {fit.engine} has no posterior to compare with a prior: fit with engine="mcmc"'
    )
    chosen = parameters(fit, names, ("w", "aggregate"))
    given = {p.name: p.prior for p in fit.specification.parameters}
    improper = [n for n in chosen if not given[n].proper or n == "Intercept"]
    if improper:
        raise ModelError(
            f"{improper[0]} has no prior density that could be plotted (it is flat, or at mean covariates)"
        )
    made = panels(ax, len(chosen), (4.2, 2.8))
    for name, panel in zip(chosen, made, strict=True):
        draws = sampled.draws[..., fit.specification.names.index(name)].ravel()
        ends = [given[name].from_score(z) for z in (-2.5, 2.5)]
        grid = np.linspace(min(ends[0], draws.min()), max(ends[1], draws.max()), 300)
        panel.plot(grid, np.exp([given[name].log_density(float(v)) for v in grid]), color=ORANGE, lw=1.8, ls="--",
                   label=f"prior {given[name]}")  # fmt: skip
        x, height = density(draws)
        low, high = given[name].support
        inside = (x >= low) & (x <= high)
        panel.plot(x[inside], height[inside], color=BLUE, lw=2, label="posterior")
        panel.fill_between(x[inside], height[inside], color=BLUE, alpha=0.2, lw=0)
        panel.set_ylim(bottom=0)
        panel.set_xlabel(name)
        panel.set_yticks([])
        panel.legend(frameon=False, fontsize=8)
        finish(panel)
    return made[0] if isinstance(names, str) else made
