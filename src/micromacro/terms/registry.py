"""The table of terms: how each kind of term in a formula becomes parts of the latent system.

A new kind of term is a file beside this one (or in ``member/``) and a row of :data:`TERMS`. One that is written as a
call of its own, ``word(...)``, is also a row of ``language.functions.TERM_CALLS``; :meth:`Building.calls` gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..language.nodes import Call, Formula
from ..latent.part import Part
from .base import Context
from .fixed import build_fixed
from .member.aggregate import read_aggregate
from .member.call import block_name, build_member
from .member.combine import read_combine
from .member.combined_call import build_combined
from .member.feature_call import build_feature
from .member.interaction_call import build_interaction
from .member.roles import join_roles, read_wish
from .member.varying_call import build_varying
from .member.weighing import Block
from .member.weights import WeightExpression
from .smooth import build_smooth
from .unit import build_units


@dataclass
class Building:
    """What the builders of a formula's terms share.

    Attributes
    ----------
    formula : Formula
    weights : dict
        The weight expression of each member block by its name.
    context : Context
    no_intercept : str or None
        Why the family has no intercept, if it has none.
    centred : bool
        Whether columns are centred all the same (the family has parameters at mean covariates).
    parts : list of Part
        Those built so far.
    intercept : bool
        Whether the model has an intercept, or something in its place: then columns are centred.
    """

    formula: Formula
    weights: dict[str, WeightExpression]
    context: Context
    no_intercept: str | None
    centred: bool
    parts: list[Part] = field(default_factory=list)
    intercept: bool = False

    def calls(self, word: str) -> list[Call]:
        """The calls of a kind of term, in the order of the formula."""
        return [call for call in self.formula.calls if call.function == word]


@dataclass(frozen=True)
class TermKind:
    """A kind of term.

    Attributes
    ----------
    meaning : str
    build : callable
        Parts of all terms of the kind in a formula, given those that were built before.
    """

    meaning: str
    build: Callable[[Building], Sequence[Part]]


def _fixed(building: Building) -> list[Part]:
    part = build_fixed(building.formula, building.context, building.no_intercept, building.centred)
    building.intercept = part.centered
    return [part]


def _smooths(building: Building) -> list[Part]:
    return [build_smooth(call, building.context, building.intercept) for call in building.calls("s")]


def _members(building: Building) -> list[Part]:
    """Blocks, then the effects that several of them have together."""
    context, parts, wishes = building.context, [], []
    for call in building.formula.members:
        request = read_aggregate(call, context.text, context.columns)
        expression = building.weights[block_name(call)]
        combined = read_combine(call, context.text, context.columns)
        if expression.unit:
            parts += build_varying(call, expression, context, building.intercept)
        elif combined is not None:
            parts.append(build_combined(call, combined, expression, context, building.intercept))
        elif request is None:
            parts.append(build_member(call, expression, context, building.intercept))
        else:
            parts.append(build_feature(call, request, expression, context, building.intercept))
        wish = read_wish(block_name(call), call, context.text)
        wishes += [] if wish is None else [wish]
    return join_roles(parts, wishes, context)


def _interactions(building: Building) -> list[Part]:
    blocks: dict[str, Block] = {name: block for part in building.parts for name, block in part.blocks.items()}
    interactions = building.formula.interactions
    return [build_interaction(term, blocks, building.context, building.intercept) for term in interactions]


def _units(building: Building) -> list[Part]:
    calls = building.formula.units
    return [part for call in calls for part in build_units(call, building.context, building.intercept)]


TERMS: dict[str, TermKind] = {
    "fixed": TermKind("covariates of the groups, and the intercept", _fixed),
    "smooth": TermKind("smooth functions of columns of the groups, s(x)", _smooths),
    "member": TermKind("member blocks mm(...): weighted sums, emergent features, effects in roles", _members),
    "interaction": TermKind("products of blocks with each other and with columns of the groups", _interactions),
    "unit": TermKind("effects of units, (1 + x | unit) and hm(unit)", _units),
}
"""In the order in which they are built, which is that of their parts."""


def build_parts(
    formula: Formula,
    weights: dict[str, WeightExpression],
    context: Context,
    no_intercept: str | None,
    centred: bool = False,
) -> list[Part]:
    """All parts of a formula, kind by kind; see :class:`Building` for the arguments."""
    building = Building(formula, weights, context, no_intercept, centred)
    for kind in TERMS.values():
        building.parts += kind.build(building)
    return building.parts
