"""Effects that differ by category, ``nominal(x)``: built once the family's cuts are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import FormulaError
from ..families.base import Family
from ..language.nodes import Formula
from ..latent.beside import ADDED, Beside
from ..latent.part import Part
from ..parameters import Parameter
from ..terms.base import Context
from ..terms.nominal import build_nominal


def nominal_of(
    formula: Formula, family: Family, own: tuple[Parameter, ...], context: Context, parts: Sequence[Part]
) -> tuple[list[Part], Beside | None]:
    """Parts of ``nominal()`` and where they are among the linear predictors; nothing where there is none."""
    calls = [call for call in formula.calls if call.function == "nominal"]
    if not calls:
        return [], None
    mark = (formula.text, calls[-1].span.start, calls[-1].span.stop)
    if not family.ordered:
        raise FormulaError(
            f"nominal() is for effects that differ by category of an ordinal outcome, not for family {family.name}",
            *mark,
        )
    if len(calls) > 1:
        raise FormulaError("write one nominal() with all of its terms, as in nominal(x + z)", *mark)
    fixed: Any = parts[0]
    made, edge = build_nominal(calls[0], own, fixed, context)
    new: list[Any] = [*made, edge]
    numbers = (*(0 for _ in parts), *range(1, len(made) + 1), 0)
    count = len(own)
    offset = np.zeros((count, context.tables.groups.n_rows))
    return new, Beside(tuple(range(count)), (ADDED,) * count, count, numbers, offset)
