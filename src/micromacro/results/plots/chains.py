"""How the chains ran: traces, and ranks of their draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from ...errors import ModelError
from ..fitted import Fitted
from .style import COLOURS, GREY, LINES, finish, panels

BINS = 20


def trace(fit: Fitted, names: str | Sequence[str] | None = None, *, ax: Any = None) -> Any:
    """Draws of parameters in the order in which they were drawn, a line per chain.

    Parameters
    ----------
    names : str or sequence of str, optional
        Parameters; weight parameters, spread and the family's own without it.
    ax : matplotlib Axes, optional
        As many as there are parameters.

    Returns
    -------
    Axes, or an array of them for several parameters
    """
    chosen, draws = _draws(fit, names)
    made = panels(ax, len(chosen), (4.4, 2.4), 2)
    for name, values, panel in zip(chosen, draws, made, strict=True):
        for k, chain in enumerate(values):
            panel.plot(chain, color=COLOURS[k % len(COLOURS)], lw=0.5, alpha=0.8, label=f"chain {k}")
        panel.set_title(name, fontsize=9)
        panel.set_xlabel("draw", fontsize=9)
        finish(panel)
    return made[0] if isinstance(names, str) else made


def rank(fit: Fitted, names: str | Sequence[str] | None = None, *, ax: Any = None) -> Any:
    """How often each chain has each rank among the draws of all chains: level where the chains agree.

    (Vehtari et al. 2021.) The grey band holds 95% of the counts of draws that are independent; chains whose draws are
    correlated leave it more often.

    Parameters
    ----------
    names : str or sequence of str, optional
        Parameters; weight parameters, spread and the family's own without it.
    ax : matplotlib Axes, optional
        As many as there are parameters.

    Returns
    -------
    Axes, or an array of them for several parameters
    """
    chosen, draws = _draws(fit, names)
    made = panels(ax, len(chosen), (4.4, 2.4), 2)
    for name, values, panel in zip(chosen, draws, made, strict=True):
        length = values.shape[1]
        ranks = rankdata(values, axis=None).reshape(values.shape)
        edges = np.linspace(0.5, values.size + 0.5, min(BINS, length) + 1)
        expected = length / (len(edges) - 1)
        spread = 1.96 * np.sqrt(expected * (1 - 1 / (len(edges) - 1)))
        panel.axhspan(expected - spread, expected + spread, color=GREY, alpha=0.2, lw=0)
        for k, chain in enumerate(ranks):
            counts = np.histogram(chain, edges)[0]
            colour, style = COLOURS[k % len(COLOURS)], LINES[k % len(LINES)]
            panel.stairs(counts, edges, color=colour, ls=style, lw=1.4, label=f"chain {k}")
        panel.set_ylim(bottom=0)
        panel.set_title(name, fontsize=9)
        panel.set_xlabel("rank among all draws", fontsize=9)
        finish(panel)
    return made[0] if isinstance(names, str) else made


def parameters(fit: Fitted, names: str | Sequence[str] | None, kinds: tuple[str, ...] | None = None) -> list[str]:
    """Parameters to draw: those named, or those that are not coefficients (of some classes)."""
    s = fit.specification
    if names is None:
        chosen = [p.name for p in s.parameters if (p.kind in kinds if kinds else not p.linear)] or list(s.names)
        return [n for n in chosen if not next(p for p in s.parameters if p.name == n).fixed]
    chosen = [names] if isinstance(names, str) else list(names)
    missing = [n for n in chosen if n not in s.names]
    if missing or not chosen:
        what = f"no such parameters: {', '.join(map(str, missing))}" if missing else "names= names no parameter"
        raise ModelError(f"{what} (there are {', '.join(s.names)})")
    return chosen


def _draws(fit: Fitted, names: str | Sequence[str] | None) -> tuple[list[str], list[np.ndarray]]:
    """Names and draws (chain, draw) of parameters."""
    sampled = fit.posterior.chains()
    chosen = parameters(fit, names)
    s = fit.specification
    return chosen, [sampled.draws[..., s.names.index(n)] for n in chosen]
