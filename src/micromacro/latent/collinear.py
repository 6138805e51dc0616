"""Columns of coefficients that are linear combinations of others: refused, unless only at the starting values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from ..errors import CollinearError, ModelError
from ..parameters import Parameter
from .system import System

Within = Callable[[np.ndarray], np.ndarray] | None
_UNIT_SUM = re.compile(r"\b(cr|cs|cc)\(")  # splines whose columns sum to one


def check_collinear(system: System, centers: Mapping[str, float], within: Within = None) -> None:
    """Refuse coefficients whose columns are linear combinations of others (and the intercept), naming them.

    `centers` is what was subtracted from the column of each coefficient; `within` takes from columns what the
    likelihood does not see of them. Columns move with weights and shapes. Where they are collinear at the starting
    values only (there ``smax`` is the mean, which a second block may bring), searches begin where they are not: the
    system's starting values change.
    """
    if system.size - system.n_effects < 2 and system.expansion is None:
        return
    first = np.array([p.start for p in system.hypers])
    columns, names = _border(system, first, within)
    dependent = _dependent(columns) if columns.shape[1] > 1 else None
    if dependent is None:
        return
    lost = _all_dependent(columns)
    for start in _other_starts(system.hypers, first):
        moved, _ = _border(system, start, within)
        if not np.all(np.isfinite(moved)):
            continue
        if _dependent(moved) is None:
            system.hypers = tuple(replace(p, start=float(v)) for p, v in zip(system.hypers, start, strict=True))
            return
        lost = min(lost, _all_dependent(moved), key=len)
    partners, shift = _relation(columns, dependent, np.array([centers.get(n, 0.0) for n in names]))
    involved = [names[j] for j in partners] + [names[dependent]]
    constant = "" if abs(shift) < 1e-9 else " and the intercept" if partners else "the intercept"
    raise CollinearError(
        f"the columns {', '.join(involved)} are collinear: {names[dependent]!r} is a linear combination of "
        f"{'the others' if partners else ''}{constant}, so their coefficients cannot be distinguished; "
        f"{_remedy(names[dependent], bool(constant))}", {names[k]: names[k] for k in lost},
    )  # fmt: skip


def lost_column(system: System, theta: np.ndarray, groups: np.ndarray, within: Within = None) -> str | None:
    """The first coefficient under a flat prior that some groups (a mask) cannot tell from those before it."""
    columns, names = _border(system, theta, within)
    flat = {p.name for p in system.coefficients if not p.prior.proper} | {"the baseline"}
    some = [k for k, name in enumerate(names) if name in flat]
    times = len(columns) // len(groups)  # each group has a row of every linear predictor
    dependent = _dependent(columns[np.tile(groups, times)][:, some])
    return None if dependent is None else names[some[dependent]]


def _relation(columns: np.ndarray, dependent: int, centers: np.ndarray) -> tuple[list[int], float]:
    """The columns before a dependent one that make it up, and how much of the intercept is in it, as a share."""
    scaled, scale = _unit_columns(columns), _norms(columns)
    weights, *_ = np.linalg.lstsq(scaled[:, :dependent], scaled[:, dependent], rcond=None)
    weights[np.abs(weights) < 1e-7] = 0.0
    own = scale[dependent] * weights / scale[:dependent]
    parts = np.append(centers[dependent], -own * centers[:dependent])
    total = float(np.abs(parts).sum())
    return [int(j) for j in np.flatnonzero(weights)], float(parts.sum()) / total if total else 0.0


def _remedy(name: str, constant: bool) -> str:
    if constant and _UNIT_SUM.search(name):
        return (
            "the columns of this spline sum to one: write constraints='center' in its call, or take the intercept out "
            "with 0 +"
        )
    return 'leave one of them out, or give collinear="drop"'


def _border(system: System, theta: np.ndarray, within: Within = None) -> tuple[np.ndarray, list[str]]:
    """Columns of the coefficients at theta (nan where they do not exist), and their names."""
    room = system.workspace(gradient=False)
    good = system.fill(theta, room)
    baseline = system.expansion is not None and bool(system.expansion.part.coefficients)
    columns = system.coefficient_columns(room, of_groups=baseline or system.expansion is None or system.combines)
    names = [p.name for p in system.coefficients][: columns.shape[1]]
    if baseline:  # it is an intercept in every interval
        assert system.expansion is not None
        strata = system.expansion.strata
        own = np.ones((len(columns), 1)) if strata is None else strata[:, None] == np.unique(strata)
        columns, names = np.column_stack([own, columns]), [*["the baseline"] * own.shape[1], *names]
    columns = columns if within is None else within(columns)
    return (columns if good else np.full(columns.shape, np.nan)), names


def check_within(system: System, within: Callable[[np.ndarray], np.ndarray], why: str) -> None:
    """Refuse coefficients and effects of which nothing is left within (sets), naming them.

    Where that holds at the starting values only, because weights are equal there, it is no error.
    """
    first = np.array([p.start for p in system.hypers])
    moved = first + np.array([0.5 * (p.kind in ("w", "aggregate") and not p.fixed) for p in system.hypers])
    for k in system.places.terms:
        part, where = system.parts[k], system.places
        for columns, names in (
            (where.coefficients(k), [p.name for p in part.coefficients]), (where.effects(k), [part.name]),
        ):  # fmt: skip
            left = np.zeros(columns.stop - columns.start)
            for theta in (first, moved):
                room = system.workspace(gradient=False)
                if len(left) and system.fill(theta, room):
                    inside = system.matrix(room)[:, columns].toarray()
                    size = np.abs(inside).max(axis=0)
                    left = np.maximum(left, np.abs(within(inside)).max(axis=0) - 1e-9 * size)
            whole = columns == where.effects(k)
            gone = [] if whole else [names[j] for j in np.flatnonzero(left <= 0.0)]
            if whole and len(left) and not (left > 0.0).any():
                gone = names
            if gone and gone is names:
                raise ModelError(f"{gone[0]!r} is {why}")
            if gone:
                said = f"{', '.join(map(repr, gone))} {'is' if len(gone) == 1 else 'are'} {why}"
                raise CollinearError(said, {name: name for name in gone})


def _norms(columns: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(columns, axis=0)
    return np.where(norms > 0, norms, 1.0)


def _unit_columns(columns: np.ndarray) -> np.ndarray:
    return columns / _norms(columns)


def _dependent(columns: np.ndarray) -> int | None:
    """The first column that is a linear combination of those before it, or zero."""
    rows, count = columns.shape
    diagonal = np.zeros(count)  # of more columns than rows, the last are combinations of the first
    diagonal[: min(rows, count)] = np.abs(np.diag(np.linalg.qr(_unit_columns(columns), mode="r")))
    found = np.flatnonzero(diagonal < 1e-9)
    return int(found[0]) if len(found) else None


def _all_dependent(columns: np.ndarray) -> list[int]:
    """Every column that is a linear combination of those before it that are not."""
    left, out = list(range(columns.shape[1])), []
    while left and (found := _dependent(columns[:, left])) is not None:
        out.append(left.pop(found))
    return out


def _other_starts(hypers: tuple[Parameter, ...], first: np.ndarray) -> list[np.ndarray]:
    """Starting values whose weights and shapes are draws from their priors."""
    free = [k for k, p in enumerate(hypers) if p.kind in ("w", "aggregate") and not p.fixed]
    rng = np.random.default_rng(np.random.SeedSequence(2))
    out = []
    for _ in range(8 if free else 0):
        start = first.copy()
        for k in free:
            prior = hypers[k].prior if hypers[k].prior.proper else hypers[k].guess
            start[k] = float(prior.sample(rng)) if prior.proper else float(rng.standard_normal())
        out.append(start)
    return out
