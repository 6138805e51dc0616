r"""What can be said of an outcome at a linear predictor: its mean, its median, the probability of its categories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import EngineError, ModelError
from ..families.ordinal import Ordinal
from ..language.nodes import Call
from ..model.reading import outcome_form
from ..model.specification import Specification
from ..table.columns import Table
from ..terms.expression import evaluate

KINDS = ("linear", "mean", "probability", "median")
Of = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Quantity:
    """A function of the linear predictor and of the family's parameters.

    Attributes
    ----------
    kind : str
    of : function
        From eta (..., groups) and the family's own parameters to (categories, ..., groups); one category unless the
        outcome is ordinal and `kind` is probability.
    categories : tuple of str
        Their names; empty where there is one value a group.
    scale : str
        Where intervals are made: ``plain``, ``log`` or ``logit``.
    """

    kind: str
    of: Of
    categories: tuple[str, ...] = ()
    scale: str = "plain"


def find_quantity(specification: Specification, kind: str) -> Quantity:
    """The quantity of that name for a model's family; EngineError for an unknown word or one without meaning here."""
    family: Any = specification.family
    if kind not in KINDS:
        raise EngineError(f"kind= is one of {', '.join(KINDS)}, not {kind!r}")
    if kind == "linear":
        return Quantity(kind, lambda eta, _: eta[None])
    if kind == "probability":
        if isinstance(family, Ordinal):
            return Quantity(kind, family.probabilities, specification.response.categories, "logit")
        if family.name not in ("bernoulli", "binomial"):
            raise EngineError(f'kind="probability" is for ordinal, bernoulli and binomial, not {family.name}')
    if kind == "median":
        if not hasattr(family, "median"):
            raise EngineError(f'kind="median" is for durations and outcomes with the identity link, not {family.name}')
        return Quantity(kind, lambda eta, own: family.median(eta, own)[None], scale=mean_scale(specification))
    return Quantity(kind, lambda eta, own: family.mean(eta, own, None)[None], scale=mean_scale(specification))


def mean_scale(specification: Specification) -> str:
    """Where intervals of an expected outcome are made: on the logit of a share, the log of a positive number."""
    name, link = specification.family.name, specification.family.link
    if name == "ordinal":
        return "plain"
    if link in ("logit", "probit", "cloglog"):
        return "logit"
    return "log" if link == "log" or name == "lognormal" else "plain"


def has_trials(specification: Specification) -> bool:
    """Whether the outcome is ``trials(k, n)``."""
    return outcome_form(specification.formula)[0] == "trials"


def trial_columns(specification: Specification) -> tuple[str, ...]:
    """Columns that say how many trials a group has; empty without ``trials()``, and where that is a number."""
    node = specification.formula.outcome
    if not has_trials(specification) or not isinstance(node, Call):
        return ()
    from ..language.printing import names_in

    return tuple(dict.fromkeys(n.name for n in names_in(node.args[1])))


def response_values(specification: Specification, groups: Table | None) -> np.ndarray | None:
    """Rows of the response that simulating needs, on other groups: the trials; the fit's own rows without `groups`."""
    if groups is None:
        return specification.response.values
    node = specification.formula.outcome
    if not has_trials(specification) or not isinstance(node, Call):
        return None
    n = evaluate(node.args[1], groups, specification.formula.text, "number of trials", constant=True)
    if np.any((n < 1) | (n != np.floor(n))):
        columns = ", ".join(trial_columns(specification))
        raise ModelError(f"the numbers of trials ({columns}) must be whole numbers from 1")
    return np.stack([np.full(len(n), np.nan), n, np.full(len(n), np.nan)])
