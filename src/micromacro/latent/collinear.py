"""Columns of coefficients that are linear combinations of others: refused, unless it is the starting values' doing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import ModelError
from ..parameters import Parameter
from .system import System


def check_collinear(system: System) -> None:
    """Refuse coefficients whose columns are linear combinations of others, naming them.

    Columns move with weights and shapes. Where they are collinear at the starting values only (there ``smax`` is the
    mean, which a second block may bring), searches begin where they are not: the system's starting values change.
    """
    first = np.array([p.start for p in system.hypers])
    columns, names = _border(system, first)
    dependent = _dependent(columns)
    if dependent is None:
        return
    for start in _other_starts(system.hypers, first):
        moved, _ = _border(system, start)
        if np.all(np.isfinite(moved)) and _dependent(moved) is None:
            system.hypers = tuple(replace(p, start=float(v)) for p, v in zip(system.hypers, start, strict=True))
            return
    scaled = _unit_columns(columns)
    weights, *_ = np.linalg.lstsq(scaled[:, :dependent], scaled[:, dependent], rcond=None)
    partners = [names[j] for j in range(dependent) if abs(weights[j]) > 1e-7]
    raise ModelError(
        f"the columns {', '.join([*partners, names[dependent]])} are collinear: {names[dependent]!r} is a linear "
        "combination of the others, so their coefficients cannot be told apart; leave one of them out"
    )


def _border(system: System, theta: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Columns of the coefficients at theta (nan where they do not exist), and their names."""
    room = system.workspace(gradient=False)
    good = system.fill(theta, room)
    columns = system.border_columns(room)
    names = [p.name for p in system.coefficients][: columns.shape[1]]
    if system.expansion:  # a baseline is an intercept in every interval
        columns, names = np.column_stack([np.ones(len(columns)), columns]), ["the baseline", *names]
    return (columns if good else np.full(columns.shape, np.nan)), names


def _unit_columns(columns: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(columns, axis=0)
    return columns / np.where(norms > 0, norms, 1.0)


def _dependent(columns: np.ndarray) -> int | None:
    """The first column that is a linear combination of those before it."""
    if columns.shape[1] < 2:
        return None
    r = np.linalg.qr(_unit_columns(columns), mode="r")
    found = np.flatnonzero(np.abs(np.diag(r)) < 1e-9)
    return int(found[0]) if len(found) else None


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
