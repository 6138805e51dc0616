"""Which members share groups, and their effects."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from ..._optional import require
from ...errors import ModelError
from ..fitted import Fitted
from .style import BLUE, GREY, ORANGE, axes
from .weights import find_block


def network(
    fit: Fitted, block: str | None = None, *, most: int = 60, labels: bool = True, seed: int = 0, ax: Any = None
) -> Any:
    """Members as dots, sized by their effects and joined if they share groups (extra ``[spatial]``).

    Blue dots have positive effects, orange ones (with a dashed edge) negative ones; the area is proportional to
    the effect, and a line is wider the more groups two members share.

    Parameters
    ----------
    block : str, optional
        Member block; the first one with effects without it.
    most : int
        At most this many members, those in the most groups.
    labels : bool
        Whether to write ids beside the dots.
    seed : int
        Of the layout.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ModelError
        For models whose members have no effects, or none that a dot can show.
    MissingExtraError
        Without networkx.
    """
    s = fit.specification
    name = block or next((n for n in s.members if s.effects_name(n) in s.structures), None)
    if name is None:
        raise ModelError("this model has no effects of members in one linear predictor, so there is no network to plot")
    _, part = find_block(fit, name)
    effect = _effect_of_each(fit, name, part.levels.values)
    rows = part.memberships
    counts = np.bincount(rows.member, minlength=len(part.levels))
    shown = np.sort(np.argsort(-counts, kind="stable")[:most])
    shared = _shared(rows.group, rows.member, rows.start, set(shown.tolist()))
    graph = require("networkx", "spatial").Graph()
    graph.add_nodes_from(shown.tolist())
    graph.add_weighted_edges_from((a, b, n) for (a, b), n in shared.items())
    place = _layout(graph, seed)
    ax = axes(ax, (6.4, 5.4))
    top = max(shared.values(), default=1)
    for (a, b), n in shared.items():
        ax.plot(*zip(place[a], place[b], strict=True), color=GREY, lw=0.3 + 2.2 * n / top, alpha=0.35, zorder=1)
    values = effect[shown]
    at = np.array([place[k] for k in shown.tolist()])
    size = 20 + 480 * np.abs(values) / max(float(np.abs(values).max()), 1e-300)
    for sign, colour, line, word in ((1, BLUE, "-", "positive"), (-1, ORANGE, "--", "negative")):
        own = np.sign(values) == sign
        ax.scatter(at[own, 0], at[own, 1], s=size[own], c=colour, edgecolors="black", linestyles=line, linewidths=0.7,
                   alpha=0.85, zorder=2, label=f"{word} effect")  # fmt: skip
    if labels:
        for k, (x, y) in zip(shown, at, strict=True):
            ax.annotate(str(part.levels.values[k]), (x, y), fontsize=7, ha="center", va="center", zorder=3)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, frameon=False, fontsize=8, markerscale=0.5)
    total = f"{len(shown)} of {len(part.levels)}" if len(shown) < len(part.levels) else f"{len(shown)}"
    ax.set_title(f"{name}: {total} members, the largest effect {np.abs(values).max():.3g}", fontsize=9)
    ax.set_axis_off()
    return ax


def _effect_of_each(fit: Fitted, name: str, ids: np.ndarray) -> np.ndarray:
    """The effect of each member of a block: of several its own role, or its intercept."""
    table = fit.random_effects(name)
    if table.index.nlevels > 1:
        kind = table.index.names[1]
        if kind != "term":
            raise ModelError(
                f"the effects of block {name!r} change with {kind}, so a dot has no size: effects() has them"
            )
        terms = table.index.get_level_values("term")
        wanted = name if name in terms else "1"
        if wanted not in terms:
            raise ModelError(
                f"the members of block {name!r} have slopes only ({', '.join(terms.unique())}): see effects()"
            )
        table = table[terms == wanted].droplevel("term")
    return table.iloc[:, 0].reindex(ids).to_numpy()


def _layout(graph: Any, seed: int) -> dict[int, np.ndarray]:
    """Places of the members: those who never meet, not even by others, apart on a grid, the largest circles first."""
    networkx = require("networkx", "spatial")
    parts = sorted(networkx.connected_components(graph), key=len, reverse=True)
    across = int(np.ceil(np.sqrt(len(parts))))
    place, x, y, row = {}, 0.0, 0.0, 0.0
    for k, part in enumerate(parts):
        size = np.sqrt(len(part))
        if k % across == 0 and k:
            x, y, row = 0.0, y - row, 0.0
        row = max(row, 2.2 * size)
        within = networkx.spring_layout(graph.subgraph(part), seed=seed, weight=None, k=1.5 / size)
        place |= {n: np.array([x + size, y - size]) + size * at for n, at in within.items()}
        x += 2.2 * size
    return place


def _shared(
    group: np.ndarray, member: np.ndarray, start: np.ndarray, shown: set[int]
) -> dict[tuple[int, int], int]:  # fmt: skip
    """In how many groups each two of the members shown are together."""
    out: dict[tuple[int, int], int] = {}
    for g in np.unique(group):
        together = sorted(set(member[start[g] : start[g + 1]].tolist()) & shown)
        for pair in combinations(together, 2):
            out[pair] = out.get(pair, 0) + 1
    return out
