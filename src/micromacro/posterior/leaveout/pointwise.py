"""Log-likelihoods of the groups at draws of theta and x, given the effects: the raw material of LOO and WAIC."""

from __future__ import annotations

import math

import numpy as np

from ...engines.base import Sample
from ...latent.mode import LatentPosterior
from ...model.specification import Specification
from ...numerics.memory import check_memory
from ..base import Posterior
from ..intervals import check_whole


def sample(posterior: Posterior, most: int | None, what: str) -> Sample:
    """At most `most` draws (all with None), equally many of each chain."""
    most = None if most is None else check_whole("draws", most, 2)
    draws = posterior.drawn(f'{what} needs draws from the posterior: fit with engine="mcmc" (or "laplace")').made
    chains, length = draws.theta.shape[:2]
    keep = length if most is None else max(1, min(length, most // chains))
    at = np.unique(np.linspace(0, length - 1, keep).astype(int))
    return draws.some(at)


def group_values(specification: Specification, rows: np.ndarray) -> np.ndarray:
    """What the rows of the latent system bring to each group: (rows,) to (groups,)."""
    return specification.system.gather(rows)


def of_outcomes(specification: Specification, values: np.ndarray) -> np.ndarray:
    """Sums of numbers of the groups (..., groups) over what has one outcome together (..., outcomes)."""
    sets = specification.response.sets
    if sets is None:
        return values
    flat = values.reshape(-1, values.shape[-1])
    return np.stack([sets.sums(row) for row in flat]).reshape(*values.shape[:-1], len(sets))


def log_likelihood(specification: Specification, draws: Sample, weighted: bool = True) -> np.ndarray:
    """Log-likelihood of each group at each draw, effects given (chain, draw, group).

    Parameters
    ----------
    weighted : bool
        Whether the model's observation weights multiply it.
    """
    s, count = specification, math.prod(draws.shape)
    what = f"log-likelihoods of {s.groups:,} {s.tables.noun}s at {count:,} draws"
    check_memory(3.0 * count * s.groups, what, "use fewer draws (draws=)")
    density = LatentPosterior(s.system, s.likelihood, s.row_values, s.row_weight(prior=False) if weighted else None)
    room = density.workspace(gradient=False)
    order = s.system.symbolic.order
    out = np.empty((*draws.shape, s.groups))
    for chain, draw in np.ndindex(draws.shape):
        theta = draws.theta[chain, draw]
        density.fill(theta, room)
        density.predict(room, np.ascontiguousarray(draws.at((chain, draw))[order]), room.eta)
        density.rows(room.eta, room.own, room.slopes)
        out[chain, draw] = group_values(s, room.slopes[0, : s.system.rows])
    return out
