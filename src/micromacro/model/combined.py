"""Rows of a model in which members combine in another way than by their sum: those of groups, then those of members."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ModelError
from ..families.base import Expanded, Family
from ..latent.combined import Combined
from ..latent.expansion import Expansion
from ..latent.nothing import Nothing
from ..latent.part import Part


def combine_members(
    parts: Sequence[Part], family: Family, own: int, groups: int, expanded: Expanded | None
) -> tuple[list[Part], Expansion, Combined]:
    """Give members rows of their own where their whole effects meet.

    Parameters
    ----------
    own : int
        How many parameters the family has of its own.
    expanded : Expanded or None
        The family's rows, each for itself, where they are not the groups.

    Returns
    -------
    parts : list of Part
        With their places among the rows.
    rows : Expansion
    combined : Combined
        The likelihood of all rows.
    """
    group = expanded.rows.group if expanded else np.arange(groups)
    out, found, first, number = [], [], len(group), 0
    for part in parts:
        placed = part.placed(first)
        combination = placed.combination(number)
        out.append(placed)
        first += placed.row_count if placed.combines else 0
        if combination is not None:
            found.append(combination)
        number += len(placed.number_rows)
    combined = Combined(family, own, group, tuple(found))
    every = np.concatenate([group, np.full(first - len(group), -1)])
    rows = Expansion(every, expanded.rows.part if expanded else Nothing(), blocks=combined.layout)
    return out, rows, combined


def check_alone(others: Sequence[str], nominal: bool) -> None:
    """Refuse what does not go with members that combine; `nominal`: whether effects differ by category."""
    also = "(nor weights that vary over units)"
    if nominal:
        raise ModelError(f"combine= and nominal() in one model are not available {also}: leave one out")
    if others:
        raise ModelError(
            f"combine= and another linear predictor ({', '.join(others)}) in one model are not available {also}: leave "
            "one out"
        )
