r"""Quantities of an outcome given the linear predictor: its mean, its median, probabilities of categories, of zero."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import special

from ..errors import EngineError, ModelError
from ..families.base import Quantity
from ..families.registry import names_where
from ..families.response import Response
from ..language.nodes import Call
from ..language.printing import names_in
from ..model.reading import sets_of
from ..model.specification import Specification
from ..table.memberships import Tables
from ..terms.expression import evaluate

_LINKS = {"log": np.log, "logit": special.logit}
KINDS = ("linear", "mean", "probability", "median", "zero")


def find_quantity(
    specification: Specification, kind: str, dpar: str | None = None, tables: Tables | None = None
) -> Quantity:
    """The quantity of that name for a model's family, or (`dpar`) a parameter of the family.

    On other tables where they are given: sets of alternatives are then theirs.

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
    found = family.quantity(kind, response_on(specification, None if kind == "linear" else tables))
    if found is None:
        those = names_where(lambda f: kind in f.quantities)
        raise EngineError(f'kind="{kind}" is for {those}, not {family.name}')
    return found


def _parameter(specification: Specification, kind: str, dpar: str) -> Quantity:
    """A parameter of the family (``kind="mean"``), or its linear predictor (``"linear"``)."""
    family = specification.family
    copies = family.copies(specification.response)
    if dpar in copies:
        return _category(kind, dpar, copies.index(dpar))
    there = [*copies, *(name for name in specification.own_names if name in family.predictors)]
    if dpar not in there:
        raise EngineError(f"dpar= is one of {', '.join(there) or 'no parameter of this model'}, not {dpar!r}")
    if kind not in ("mean", "linear"):
        raise EngineError(f'dpar={dpar!r} is predicted as kind="mean" or "linear", not {kind!r}')
    link, row = family.predictors[dpar], specification.own_names.index(dpar)
    shown = _LINKS[link] if kind == "linear" else lambda p: p
    scale = "plain" if kind == "linear" else link
    return Quantity(kind, lambda eta, own: (np.zeros(np.shape(eta)) + shown(own[row]))[None], scale=scale)


def _category(kind: str, dpar: str, place: int) -> Quantity:
    """The linear predictor of one category, its log odds against the first; there is no other scale."""
    if kind not in ("mean", "linear"):
        raise EngineError(
            f'dpar={dpar!r} is predicted as kind="linear", the log odds of the category against the first, not '
            f'{kind!r}: without dpar= kind="probability" has a column or row for each category'
        )
    return Quantity("linear", lambda eta, own: (eta if place == 0 else own[place - 1] + np.zeros(np.shape(eta)))[None])


def response_on(specification: Specification, tables: Tables | None) -> Response:
    """The response of the fit, on other tables with what is known of an outcome there before it is seen: the sets."""
    response = specification.response
    if tables is None or response.sets is None:
        return response
    return replace(response, sets=sets_of(specification.formula, tables))


def outcome_columns(specification: Specification, kind: str) -> tuple[str, ...]:
    """Columns of the outcome that a prediction needs: numbers of trials, and which alternatives are in a set."""
    sets = specification.response.sets
    if sets is not None:
        return () if kind == "linear" else (sets.name,)
    return trial_columns(specification) if kind == "response" else ()


def trial_columns(specification: Specification) -> tuple[str, ...]:
    """Columns that say how many trials a group has; empty without ``trials()``, and where that is a number."""
    node = specification.formula.outcome
    if specification.family.trials(specification.response.values) is None or not isinstance(node, Call):
        return ()
    return tuple(dict.fromkeys(n.name for n in names_in(node.args[1])))


def response_values(specification: Specification, tables: Tables | None) -> np.ndarray | None:
    """Rows of the response that simulating needs, on other tables: trials, sets; the fit's own rows without them."""
    if tables is None:
        return specification.response.values
    sets = response_on(specification, tables).sets
    if sets is not None:
        return specification.family.with_sets(sets)
    node, groups = specification.formula.outcome, tables.groups
    if specification.family.trials(specification.response.values) is None or not isinstance(node, Call):
        return None
    n = evaluate(node.args[1], groups, specification.formula.text, "number of trials", constant=True)
    if np.any((n < 0) | (n != np.floor(n))):
        columns = ", ".join(trial_columns(specification))
        raise ModelError(f"the numbers of trials ({columns}) must be whole numbers from 0")
    return specification.family.with_trials(n)
