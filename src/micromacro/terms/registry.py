"""The table of terms: how each kind of call in a formula becomes a part of the latent system.

A new kind of term is a file beside this one (or in ``member/``) and a line in :func:`build_parts`.
"""

from __future__ import annotations

from ..language.nodes import Formula
from ..latent.part import Part
from .base import Context
from .fixed import build_fixed
from .member.aggregate import read_aggregate
from .member.call import block_name, build_member
from .member.feature_call import build_feature
from .member.interaction_call import build_interaction
from .member.roles import join_roles, read_wish
from .member.weighing import Block
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
    for call in formula.members:
        request = read_aggregate(call, context.text, context.columns)
        expression = weights[block_name(call)]
        if request is None:
            parts.append(build_member(call, expression, context, fixed.centered))
        else:
            parts.append(build_feature(call, request, expression, context, fixed.centered))
    wishes = [read_wish(block_name(call), call, context.text) for call in formula.members]
    parts = join_roles(parts, [w for w in wishes if w is not None], context)
    blocks: dict[str, Block] = {p.name: p for p in parts if isinstance(p, Block)}
    parts += [build_interaction(term, blocks, context, fixed.centered) for term in formula.interactions]
    for call in formula.units:
        parts += build_units(call, context, fixed.centered)
    return parts
