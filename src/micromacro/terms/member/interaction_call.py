"""From a product such as ``B:majority`` or ``B1:B2`` to its part of the latent system."""

from __future__ import annotations

import numpy as np

from ...errors import FormulaError, ModelError
from ...language.nodes import Interaction
from ...language.printing import to_text
from ..base import Context, constant, sort_columns, spread
from ..design import make_design
from .feature_call import estimated_features, sum_features
from .feature_part import FeaturePart, InteractionPart
from .features import Features, ProductFeatures
from .rows_part import RowsPart
from .term import MemberPart
from .weighing import Block


def build_interaction(
    term: Interaction, blocks: dict[str, Block], context: Context, intercept: bool
) -> InteractionPart:
    """Build the products of some blocks' features with each other and with columns of the groups.

    Parameters
    ----------
    blocks : dict
        The member blocks, built.
    intercept : bool
        Whether the model has an intercept (then the products are centred).
    """
    groups = context.tables.groups
    factors, names = [], [""]
    for block in reversed(term.blocks):
        part = blocks[block]
        factors.insert(0, _factor(part, term, context))
        names = [f"{p.name}:{n}" if n else p.name for p in part.written for n in names]
    # one block: its own main effect stands for the column of ones
    whole = term.alone or len(term.blocks) == 1
    design, matrix = None, np.ones((groups.n_rows, 1))
    columns = [""]
    if term.terms:
        design, matrix = make_design([("+", t) for t in term.terms], groups, context.text, whole)
        columns = list(design.names)
        if term.alone:
            matrix, columns = np.column_stack([np.ones(len(matrix)), matrix]), ["", *columns]
    features = ProductFeatures(tuple(factors), np.ascontiguousarray(matrix), design, term.alone)
    names = [f"{n}:{c}" if c else n for n in names for c in columns]
    room = features.scratch(gradient=False)
    if not features.compute(np.array([p.start for p in features.parameters]), room):
        raise ModelError(f"the interaction {':'.join(term.blocks)} is not finite at the starting values")
    value = room["feature"]
    _check_varied(value, names, intercept)
    parameters = [context.coefficient(n, spread(v)) for n, v in zip(names, value, strict=True)]
    own = ":".join([*term.blocks, *map(to_text, term.terms)])
    return InteractionPart(
        own, term.blocks, features, sort_columns(parameters, []), tuple(parameters),
        value.mean(axis=1) if intercept else np.zeros(len(value)), groups.n_rows,
    )  # fmt: skip


def _factor(part: Block, term: Interaction, context: Context) -> Features:
    """The features of a block whose coefficients are estimated."""
    if not part.written:
        raise FormulaError(
            f"block {part.name!r} has no covariate, so it has no feature to multiply: an interaction is one of the "
            "block's covariates, not of its effects", context.text, term.span.start, term.span.stop,
        )  # fmt: skip
    if isinstance(part, FeaturePart):
        return estimated_features(part)
    assert isinstance(part, MemberPart)
    if isinstance(part, RowsPart):
        raise FormulaError(
            f"block {part.name!r} has {part.manner}: a product is one of weighted sums or features of covariates, so "
            "put the covariate in a block of its own, with name=", context.text,
            term.span.start, term.span.stop,
        )  # fmt: skip
    return sum_features(part.weighing, part.design, part.with_intercept)


def _check_varied(value: np.ndarray, names: list[str], intercept: bool) -> None:
    for name, column in zip(names, value, strict=True):
        if intercept and constant(column):
            raise ModelError(
                f"{name!r} is constant over the groups (always {column[0]:g}), so it cannot be distinguished from the "
                "intercept: leave it out"
            )
