"""What a search without values cannot check of its maximum, and says instead."""

from __future__ import annotations

from ...model.specification import Specification
from ...notes import Note, named, remark
from ..base import Optimum
from ..search import Peak
from .determined import suspects
from .limits import near_limits
from .problem import Problem

WITH_FACTOR = 'fit with solver="direct" if that is possible, or on fewer groups'


def unchecked(specification: Specification, problem: Problem, optimum: Optimum, peak: Peak, starts: int) -> list[Note]:
    """Notes on what other likelihoods are checked for and this one, whose values have random errors, is not.

    Parameters
    ----------
    starts : int
        Of searches.
    """
    out, hypers = [], problem.marginal.system.hypers
    shapes = [p.name for p in hypers if p.kind in ("w", "aggregate") and not p.fixed]
    if shapes and starts < 2:
        text = (
            f"searched from one start: the likelihood may have other maxima in {named(shapes)}; fit again with other "
            "values (start=) to look for them"
        )
        out.append(remark("one-start", text, *shapes))
    loose = [hypers[k].name for k, _ in suspects(problem, optimum)]
    if loose:
        text = (
            f"not checked by profiles whether the likelihood determines {named(loose)}: its curvature hardly does; "
            "give a prior, or fix it at a number"
        )
        out.append(remark("not-profiled", text, *loose))
    ends = list(dict.fromkeys(hypers[k].name for k, _, _ in near_limits(specification, problem, peak)))
    if ends:
        text = f"not checked whether the likelihood has its limit at the end of the range of {named(ends)}"
        out.append(remark("near-limit", f"{text}, near which the search ended: {WITH_FACTOR}", *ends))
    if not problem.marginal.exact:
        text = "loglik is by Laplace's formula, whose error is not checked without a factor"
        out.append(remark("laplace-unchecked", f"{text}: {WITH_FACTOR}"))
        if specification.system.scattered is not None:
            text = "data in partitions are not searched for separated coefficients: look for very large standard errors"
            out.append(remark("separation-unchecked", text))
    return out
