r"""Where a search among correlated effects begins: the maximum in the signed Cholesky factor.

In standard deviations and correlations the likelihood has edges: at an sd of zero a correlation has no meaning, and at
a correlation of 1 the sds of two terms move together. A search that goes to an edge coordinate by coordinate may stop
at a point from which the likelihood rises jointly. In the lower triangular root :math:`\Sigma = LL'`, whose entries may
have either sign, the likelihood is smooth everywhere. It is even in each column of L, so its slope vanishes wherever a
column does, whether that is a maximum or not; there the second derivatives decide: along the eigenvector of the
derivative in :math:`\Sigma` with the largest positive eigenvalue the likelihood rises (lme4 and MixedModels.jl search
in the same factor, with the diagonal from zero).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...effects.base import Smooth
from ...model.specification import Specification
from ..search import Bounds, Objective, climb, difference_hessian
from .problem import problem_of

NEAR = 0.1  # diagonal entries of the root below which the second derivatives are looked at
RISES = 1e-3  # curvature above which a stationary point is not a maximum


def begin_at_signed_maxima(
    specification: Specification, restricted: bool, coordinates: Any, starts: list[np.ndarray]
) -> tuple[list[np.ndarray], int]:
    """Starts for a search in standard deviations and correlations: where searches in the signed root end.

    Parameters
    ----------
    restricted : bool
        Whether the likelihood is the restricted one.
    coordinates : Ratios or Steps
        Of `specification`.
    starts : list of (q,) arrays
        Where the searches begin, in `coordinates`.

    Returns
    -------
    starts : list of (q,) arrays
        `starts` themselves where no effects are correlated, or where priors are on their sds or correlations.
    evaluations : int
        How many evaluations the searches took.
    """
    edged = _edged(specification)
    if not edged:
        return starts, 0
    problem = problem_of(_twin(specification, edged), restricted)
    objective, signed = problem.objective, problem.coordinates
    entries = np.flatnonzero([p.kind == "root" for p in signed.hypers])
    out = []
    for start in starts:
        point = coordinates.theta(start)
        u = signed.from_theta(_moved(point, edged, smooth=True))
        u, _ = climb(objective, u, signed.bounds(), problem.dear)
        u = _off_saddles(objective, u, entries, signed.bounds())
        out.append(coordinates.from_theta(_moved(signed.theta(u), edged, smooth=False)))
    return out, problem.evaluations


@dataclass(frozen=True)
class _Edged:
    """Effects whose theta has edges.

    Attributes
    ----------
    part : int
    theta : slice
        Where their entries of theta are.
    smooth : Smooth
        The same effects without edges.
    """

    part: int
    theta: slice
    smooth: Smooth


def _edged(specification: Specification) -> list[_Edged]:
    """All effects of a model whose theta has edges."""
    found = [(k, structure.smooth()) for k, structure in specification.structures.values()]
    return [_Edged(k, specification.layout.effect_theta(k), smooth) for k, smooth in found if smooth is not None]


def _twin(specification: Specification, edged: list[_Edged]) -> Specification:
    """The same model without edges."""
    parts: list[Any] = list(specification.system.parts)
    for e in edged:
        parts[e.part] = parts[e.part].with_effects(e.smooth.effects)
    return replace(specification, system=specification.system.with_parts(parts))


def _moved(point: np.ndarray, edged: list[_Edged], smooth: bool) -> np.ndarray:
    """Theta of the twin from that of the model, or (not `smooth`) the other way round."""
    out = point.copy()
    for e in edged:
        out[e.theta] = (e.smooth.into if smooth else e.smooth.back)(point[e.theta])
    return out


def _off_saddles(objective: Objective, u: np.ndarray, entries: np.ndarray, bounds: Bounds) -> np.ndarray:
    """On from points where a column of the root is zero though the likelihood rises with it."""
    for _ in range(len(entries)):
        if np.abs(u[entries]).min() > NEAR:
            return u
        value = objective(u)[0]
        looked = np.zeros(len(u), dtype=bool)
        looked[entries] = True
        hessian = difference_hessian(objective, u, looked)
        if not np.all(np.isfinite(hessian)):  # the likelihood can no longer be evaluated around u
            return u
        curvature, vectors = np.linalg.eigh(hessian)
        if not curvature[-1] > RISES:
            return u
        trials = [u + size * sign * vectors[:, -1] for size in (0.05, 0.1, 0.3) for sign in (1.0, -1.0)]
        heights = [objective(t)[0] for t in trials]
        if not max(heights) > value + 1e-7:
            return u
        u = climb(objective, trials[int(np.argmax(heights))], bounds)[0]
    return u
