"""The table of terms: how each kind of call in a formula becomes a part of the latent system.

A new kind of term is a file beside this one (or in ``member/``) and a line in :func:`build_parts`.
"""

from __future__ import annotations

from ..language.nodes import Formula
from ..latent.system import Part
from .base import Context
from .fixed import build_fixed
from .member.call import block_name, build_member
from .member.weights import WeightExpression
from .unit import build_units


def build_parts(
    formula: Formula,
    weights: dict[str, WeightExpression],
    context: Context,
    no_intercept: str | None,
    centred: bool = False,
) -> list[Part]:
    """All parts of a formula: the fixed terms, the member blocks, the units, in the order of the formula.

    Parameters
    ----------
    weights : dict
        The weight expression of each member block by its name.
    no_intercept : str or None
        Why the family has no intercept, if it has none.
    centred : bool
        Whether columns are centred all the same (the family has parameters at mean covariates).
    """
    fixed = build_fixed(formula, context, no_intercept, centred)
    parts: list[Part] = [fixed]
    parts += [build_member(call, weights[block_name(call)], context, fixed.centered) for call in formula.members]
    for call in formula.units:
        parts += build_units(call, context, fixed.centered)
    return parts
