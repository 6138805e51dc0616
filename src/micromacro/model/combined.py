"""Rows of a model in which members combine in another way than by their sum: those of groups, then those of members."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ModelError
from ..families.base import Expanded, Family
from ..latent.beside import Beside
from ..latent.combined import Combined
from ..latent.expansion import Expansion
from ..latent.nothing import Nothing
from ..latent.part import Part


def combine_members(
    parts: Sequence[Part], family: Family, own: int, groups: int, expanded: Expanded | None,
    beside: Beside | None = None,
) -> tuple[list[Part], Expansion, Combined]:  # fmt: skip
    """Give members rows of their own where their whole effects meet.

    Parameters
    ----------
    own : int
        How many parameters the family has of its own, without those that have a linear predictor.
    expanded : Expanded or None
        The family's rows, each for itself, where they are not the groups.
    beside : Beside or None
        The linear predictors of the family's parameters, known numbers given theta.

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
    combined = Combined(family, beside.count if beside else own, group, tuple(found), beside is not None)
    every = np.concatenate([group, np.full(first - len(group), -1)])
    rows = Expansion(every, expanded.rows.part if expanded else Nothing(), blocks=combined.layout)
    return out, rows, combined


def check_alone(stacked: bool) -> None:
    """Refuse what does not go with members that combine; `stacked`: whether other predictors have effects."""
    if stacked:
        raise ModelError(
            "combine= (or weights that vary over units) in the outcome's formula and effects in another linear "
            "predictor are not available in one model: give the other predictor covariates only (in mm(..., effects = "
            "none) too), or leave combine= out"
        )
