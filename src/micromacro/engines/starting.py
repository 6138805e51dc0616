"""Where a search begins: at the parameters' own starts, or where the user says."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import ModelError
from ..model.specification import Specification
from ..parameters import Parameter, check_value, number, spelled, unknown_name

INSIDE = 0.02  # of its usual start: an sd that starts at zero, where the likelihood has no slope, starts there
SHRUNK = 0.99  # of a correlation of 1 or -1


def starting_point(specification: Specification, start: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Theta (q,) and the coefficients (c,) where a search begins; coefficients that `start` does not name are nan.

    Parameters
    ----------
    start : mapping
        Names of parameters, in any case, to values on the scale of the tables.

    Raises
    ------
    ModelError
        For a name that no parameter has, or a value that a parameter cannot have.
    """
    s = specification
    theta = np.array([p.start for p in s.system.hypers])
    coefficients = np.array([p.start for p in s.system.coefficients])
    if not start:
        return theta, np.full(len(coefficients), np.nan)
    given = _given(s, start)
    values = s.layout.collect(theta, coefficients)
    for k, name in enumerate(s.names):
        values[k] = given.get(name, values[k])
    found, inner = s.layout.inner(values)
    named = np.array([p.name in given for p in s.system.coefficients], dtype=bool)
    inner = np.where(named, inner, np.nan)
    if not np.all(np.isfinite(found)):
        names = ", ".join(p.name for p in s.parameters if p.kind == "cor")
        raise ModelError(
            f"start: no distribution has these correlations ({names}): their matrix is not positive definite"
        )
    cuts = [p.name for p in s.system.hypers if p.kind == "cut"]
    at = [found[k] for k, p in enumerate(s.system.hypers) if p.kind == "cut"]
    if any(high <= low for low, high in pairwise(at)):
        shown = ", ".join(f"{n} = {v:g}" for n, v in zip(cuts, at, strict=True))
        raise ModelError(f"start: cut points rise from one to the next, but these do not: {shown}")
    return found, inner


def _given(specification: Specification, start: Mapping[str, Any]) -> dict[str, float]:
    """The values by the model's own names, each checked and moved inside its range; fixed parameters left out."""
    names = specification.names
    out: dict[str, float] = {}
    for name, value in start.items():
        own = spelled(name, names)
        if own is None:
            raise unknown_name(name, "start", names)
        if own in out:
            raise ModelError(f"start: {own!r} is there twice")
        p = specification.parameters[names.index(own)]
        at = number(value, "start", own)
        if p.fixed:
            if abs(at - p.start) > 1e-9 * max(1.0, abs(p.start)):
                raise ModelError(f"start: {own!r} is fixed at {p.start:g}, so it cannot start at {at:g}")
            continue
        check_value(own, p.kind, at, "starts at", p.positive)
        out[own] = _inside(p, at)
    return out


def _inside(p: Parameter, value: float) -> float:
    """A value in the interior of a parameter's range."""
    low, high = p.prior.support
    if not low <= value <= high:
        raise ModelError(f"{p.name!r} starts at {value:g}, but its prior {p.prior} allows only {low:g} to {high:g}")
    if p.kind == "sd" and value == 0.0:
        return INSIDE * p.start
    if p.kind == "cor":
        return float(np.clip(value, -SHRUNK, SHRUNK))
    if value in (low, high):
        return p.prior.from_score(-3.0 if value == low else 3.0)
    return value
