r"""Quantities of an outcome given the linear predictor: its mean, its median, probabilities of categories, of zero."""

from __future__ import annotations

import numpy as np
from scipy import special

from ..errors import EngineError, ModelError
from ..families.base import Quantity
from ..families.registry import names_where
from ..language.nodes import Call
from ..language.printing import names_in
from ..model.specification import Specification
from ..table.columns import Table
from ..terms.expression import evaluate

_LINKS = {"log": np.log, "logit": special.logit}
KINDS = ("linear", "mean", "probability", "median", "zero")


def find_quantity(specification: Specification, kind: str, dpar: str | None = None) -> Quantity:
    """The quantity of that name for a model's family, or (`dpar`) a parameter of the family.

    Raises
    ------
    EngineError
        For an unknown word or one without meaning here.
    """
    family = specification.family
    if dpar is not None:
        return _parameter(specification, kind, dpar)
    if kind not in KINDS:
        raise EngineError(f"kind= is one of {', '.join(KINDS)}, not {kind!r}")
    found = family.quantity(kind, specification.response)
    if found is None:
        those = names_where(lambda f: kind in f.quantities)
        raise EngineError(f'kind="{kind}" is for {those}, not {family.name}')
    return found


def _parameter(specification: Specification, kind: str, dpar: str) -> Quantity:
    """A parameter of the family (``kind="mean"``), or its linear predictor (``"linear"``)."""
    family = specification.family
    there = [name for name in specification.own_names if name in family.predictors]
    if dpar not in there:
        raise EngineError(f"dpar= is one of {', '.join(there) or 'no parameter of this model'}, not {dpar!r}")
    if kind not in ("mean", "linear"):
        raise EngineError(f'dpar={dpar!r} is predicted as kind="mean" or "linear", not {kind!r}')
    link, row = family.predictors[dpar], specification.own_names.index(dpar)
    shown = _LINKS[link] if kind == "linear" else lambda p: p
    scale = "plain" if kind == "linear" else link
    return Quantity(kind, lambda eta, own: (np.zeros(np.shape(eta)) + shown(own[row]))[None], scale=scale)


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
