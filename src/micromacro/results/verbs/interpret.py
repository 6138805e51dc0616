"""What each estimate of a fit says, as a sentence."""

from __future__ import annotations

import pandas as pd

from ...posterior.intervals import check_level
from ..fitted import Fitted
from ..labels import percent
from .sentences.coefficients import combined, of_coefficient, of_intercept, of_shape
from .sentences.sentence import Estimate, Sentence
from .sentences.spread import of_effects, of_own
from .sentences.weights import of_block


def interpret(fit: Fitted, ci: float = 0.95) -> pd.DataFrame:
    """Every estimate read in a sentence.

    A coefficient is read on the scale that its family and link give it: as a difference of the expected outcome, or as
    the factor by which odds, counts, durations or hazards are multiplied. A standard deviation of effects is read as
    what one standard deviation does. Weights are read as how many times as much a member counts if its covariate is one
    unit higher than the mean (1 instead of 0 for a column of zeros and ones, a category instead of another, a group of
    one member more).

    Parameters
    ----------
    ci : float
        Probability of the intervals.

    Returns
    -------
    DataFrame
        Indexed by parameter (``B along x`` where weights are compared along a column that no single parameter belongs
        to): quantity, estimate (mean for draws), lower, upper, sentence. Point and ends of a factor are exp of those in
        :meth:`summary`.
    """
    level = percent(check_level(ci))
    s = fit.specification
    numbers = fit.posterior.parameters(ci)
    each = zip(s.parameters, numbers.point, numbers.lower, numbers.upper, strict=True)
    estimates = {p.name: Estimate(p, float(a), float(b), float(c), level) for p, a, b, c in each}
    rows = [_sentence(fit, e) for e in estimates.values() if e.parameter.kind != "w"]
    for name, block in s.members.items():
        rows += of_block(fit, name, block, estimates, ci)
    order = {name: k for k, name in enumerate(estimates)}
    rows.sort(key=lambda row: order.get(row.about, order.get(row.about.partition(" along ")[0], len(order))))
    point = fit.posterior.words.point
    columns = {
        "quantity": [r.quantity for r in rows],
        point: [r.point for r in rows],
        "lower": [r.lower for r in rows],
        "upper": [r.upper for r in rows],
        "sentence": [r.text + _caution(fit, r.about) for r in rows],
    }
    return pd.DataFrame(columns, index=pd.Index([r.about for r in rows], name="parameter"))


def _caution(fit: Fitted, about: str) -> str:
    """A word of warning where the verdict doubts a parameter."""
    doubted = fit.health.doubtful
    names = [about, *(n for n in doubted if about.startswith(n.rpartition(".w.")[0] + ".w."))]
    return " Do not read it as it stands: see the verdict." if any(n in doubted for n in names) else ""


def _sentence(fit: Fitted, e: Estimate) -> Sentence:
    """The sentence about a parameter that is not one of weights."""
    if e.parameter.kind == "Intercept":
        return of_intercept(fit, e)
    if e.parameter.kind == "b":
        return of_coefficient(fit, e)
    block = combined(fit, e.name)
    if block is not None and e.parameter.kind == "aggregate":
        return of_shape(fit, e, block)
    return of_effects(fit, e) or of_own(fit, e)
