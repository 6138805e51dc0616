"""Weights where a fit begins: whether they exist, and starts moved inside the edge beyond which they are negative."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...errors import DataError
from ...language.printing import brief
from ...numerics import aggregation
from ...numerics.constraints import inward, slack
from ...table.screen import counted, listed
from .ranges import may_be_negative
from .weighing import Weighing

NEAR = 1e-6  # distance from the edge, relative to the largest raw weight, below which a start is moved away from it
STEP = 1e-3  # a step of parameters that makes a power of theirs one that is not whole
REMEDY = "use a form that cannot be negative, such as exp() of it, or allow negative weights with signed = yes"


def begun_inside(weighing: Weighing) -> Weighing:
    """The same weights, knowing whether they have an edge, with starts inside it where there is such a place."""
    if weighing.rule == "none" or weighing.signed or not weighing.parameters:
        return weighing
    if not may_be_negative(weighing.tape, weighing.parameters, weighing.memberships.start):
        return weighing
    edged = replace(weighing, edge=True)
    start = np.array([p.start for p in weighing.parameters])
    raw = weighing.raw_values(start)
    if not np.all(np.isfinite(raw)) or (len(start) == 1 and not np.any(raw)):
        return edged  # weights that overflow, or which a parameter only scales, are refused, not begun elsewhere
    if all(p.fixed for p in weighing.parameters) or slack(edged.distances, start) > NEAR:
        return edged
    low, high = np.array([p.prior.support for p in weighing.parameters], dtype=float).T
    found = inward(edged.distances, start, low, high)
    if found is None:
        return edged
    moved = [replace(p, start=float(s)) for p, s in zip(weighing.parameters, found, strict=True)]
    return replace(edged, parameters=tuple(moved))


def check_weights(weighing: Weighing, name: str, ids: np.ndarray) -> np.ndarray:
    """Weights at the starting values, checked group by group.

    Parameters
    ----------
    name : str
        Of the block.
    ids : (groups,) array
    """
    rows, expression = weighing.memberships, weighing.expression
    start = np.array([p.start for p in weighing.parameters])
    raw = weighing.raw_values(start)
    at = listed(np.array([f"{p} = {v:g}" for p, v in zip(expression.parameters, start, strict=True)])) or "no parameter"
    what = f"weights of block {name!r} ({brief(expression.node)}) at the starting values ({at})"
    # A weight of zero has the logarithm -inf; logarithms spare us weights that are too small to be written down.
    bad = np.isnan(raw) | (raw == np.inf) | (~np.isfinite(raw) & (not weighing.tape.logarithm))
    if weighing.tape.logarithm and weighing.rule == "none":
        with np.errstate(over="ignore"):
            bad |= np.isinf(np.exp(raw))
    if np.any(bad):
        raise _error(
            f"{what} are not finite in", np.unique(rows.group[bad]), ids,
            "keep exponents small (standardise the weight covariates) and logarithms and quotients away from zero",
        )  # fmt: skip
    stuck = _nowhere_near(weighing, start)
    if np.any(stuck):
        raise _error(
            f"weights of block {name!r} ({brief(expression.node)}) are not a number wherever "
            f"{', '.join(expression.parameters)} moves away from the start, in", np.unique(rows.group[stuck]), ids,
            "a negative number has no power that is not whole, and no logarithm or root: shift the column",
        )  # fmt: skip
    if weighing.rule != "none":
        _check_signs(weighing, what, raw, ids)
    room = weighing.scratch()
    if not weighing.weigh(start, room):
        raise DataError(f"{what} overflow when they are normalised; standardise the weight covariates")
    return room["w"].copy()


def _nowhere_near(weighing: Weighing, start: np.ndarray) -> np.ndarray:
    """Memberships whose weight is a number at the start alone, as that of ``x ** k`` with x < 0 is at k = 0."""
    if not len(start):
        return np.zeros(len(weighing.memberships.group), dtype=bool)
    return np.isnan(weighing.raw_values(start + STEP)) & np.isnan(weighing.raw_values(start - STEP))


def _check_signs(weighing: Weighing, what: str, raw: np.ndarray, ids: np.ndarray) -> None:
    """Normalised weights must not be negative, nor sum to zero."""
    rows = weighing.memberships
    if not weighing.tape.logarithm and not weighing.signed:
        beyond = raw < 0.0
        aggregation.beyond_edge(raw, rows.start, weighing.rule == "group")  # rounding is no sign
        beyond &= raw < 0.0
        if np.any(beyond):
            moved = " and no values near them were found at which they are not" if weighing.edge else ""
            remedy = REMEDY if weighing.parameters else "write normalize = none or signed = yes, or shift the columns"
            raise _error(f"{what} are negative{moved} in", np.unique(rows.group[beyond]), ids, remedy)
    filled = np.flatnonzero(np.diff(rows.start))
    if not len(filled):
        return
    if weighing.tape.logarithm:
        empty = np.maximum.reduceat(raw, rows.start[filled]) == -np.inf
    else:
        empty = np.maximum.reduceat(np.abs(raw), rows.start[filled]) == 0.0
    if np.any(empty):
        raise _error(
            f"{what} are all zero in", filled[empty], ids,
            "so they cannot be normalised; give at least one member a positive weight or drop these groups",
        )  # fmt: skip
    sums = np.add.reduceat(raw, rows.start[filled]) if weighing.signed and not weighing.tape.logarithm else np.ones(1)
    sums = sums if weighing.rule == "group" else np.atleast_1d(sums.sum())
    if np.any(sums == 0.0):
        where = filled[sums == 0.0] if weighing.rule == "group" else filled
        raise _error(
            f"{what} sum to zero in",
            where,
            ids,
            "so they cannot be normalised: write normalize = none, or another form",
        )


def _error(what: str, groups: np.ndarray, ids: np.ndarray, remedy: str) -> DataError:
    first = ", ".join(str(i) for i in ids[groups[:5]])
    return DataError(
        f"{what} {counted(len(groups), 'group')} (first: {first}){',' if remedy.startswith('so ') else ';'} {remedy}"
    )
