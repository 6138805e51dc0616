r"""Quantities of an outcome given the linear predictor: its mean, its median, probabilities of categories, of zero."""

from __future__ import annotations

import numpy as np

from ..errors import EngineError, ModelError
from ..families.base import Quantity
from ..families.registry import names_where
from ..language.nodes import Call
from ..language.printing import names_in
from ..model.specification import Specification
from ..table.columns import Table
from ..terms.expression import evaluate

KINDS = ("linear", "mean", "probability", "median", "zero")


def find_quantity(specification: Specification, kind: str) -> Quantity:
    """The quantity of that name for a model's family; EngineError for an unknown word or one without meaning here."""
    family = specification.family
    if kind not in KINDS:
        raise EngineError(f"kind= is one of {', '.join(KINDS)}, not {kind!r}")
    found = family.quantity(kind, specification.response)
    if found is None:
        those = names_where(lambda f: kind in f.quantities)
        raise EngineError(f'kind="{kind}" is for {those}, not {family.name}')
    return found


def trial_columns(specification: Specification) -> tuple[str, ...]:
    """Columns that say how many trials a group has; empty without ``trials()``, and where that is a number."""
    node = specification.formula.outcome
    if specification.family.trials(specification.response.values) is None or not isinstance(node, Call):
        return ()
    return tuple(dict.fromkeys(n.name for n in names_in(node.args[1])))


def response_values(specification: Specification, groups: Table | None) -> np.ndarray | None:
    """Rows of the response that simulating needs, on other groups: the trials; the fit's own rows without `groups`."""
    if groups is None:
        return specification.response.values
    node = specification.formula.outcome
    if specification.family.trials(specification.response.values) is None or not isinstance(node, Call):
        return None
    n = evaluate(node.args[1], groups, specification.formula.text, "number of trials", constant=True)
    if np.any((n < 0) | (n != np.floor(n))):
        columns = ", ".join(trial_columns(specification))
        raise ModelError(f"the numbers of trials ({columns}) must be whole numbers from 0")
    return specification.family.with_trials(n)
