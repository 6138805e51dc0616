r"""Where each outcome lies in its predictive distribution: probability integral transforms with the group left out.

:math:`\mathrm{PIT}_i = P(\tilde y_i \le y_i \mid y_{-i})` is uniform if the model is right (Gelfand, Dey and Chang
1992). Outcomes with atoms are randomised over their atom, censored ones over what is known of them; delayed
entry conditions.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...errors import ModelError
from ...model.specification import Specification
from ...posterior.base import Posterior
from ...posterior.leaveout.integrated import Cavities
from ...posterior.leaveout.pointwise import log_likelihood, sample
from ..labels import group_index, shown_order
from .loo import DRAWS, smoothed_weights

REMEDY = "look at plot.survival(), which shows the Kaplan-Meier estimate beside the model, and at loo(integrated=True)"
"""What to do instead."""


def transformable(specification: Specification) -> bool:
    """Whether outcomes have a probability integral transform here: the rows of the likelihood are the groups."""
    return not specification.expanded


def loo_pit(posterior: Posterior, integrated: bool, random_seed: int | None) -> pd.Series:
    """PIT of every group (see ``Fit.loo_pit``)."""
    s = posterior.specification
    if not transformable(s):
        remedy = REMEDY if s.family.durations else f"{s.family.several}; look at ppc() and loo()"
        raise ModelError(f"loo_pit() is not available for family {s.family.name}: {remedy}")
    draws = sample(posterior, DRAWS, "loo_pit()")
    rng = np.random.default_rng(random_seed)
    values = np.empty((*draws.shape, s.groups))
    made = np.empty_like(values)
    conditional = None if integrated else log_likelihood(s, draws)
    cavities = Cavities(s) if integrated else None
    for chain, draw in np.ndindex(draws.shape):
        theta = draws.theta[chain, draw]
        if cavities is not None:
            cavity = cavities.at(theta)
            values[chain, draw] = cavity.log_density
            eta = cavity.mean + np.sqrt(cavity.variance) * rng.standard_normal(s.groups)
        else:
            eta = conditional_predictor(s, theta, draws.at((chain, draw)))
        own = s.own(theta, draws.at((chain, draw)))
        made[chain, draw] = s.family.simulate(eta, own, rng, s.response.values)
    values = values if conditional is None else conditional
    weights = np.exp(smoothed_weights(values)[0])
    known = s.family.known(s.response)
    low, high = known.low, known.high
    made = made.reshape(weights.shape)
    if s.entry is not None:
        weights = np.where((made > s.entry) | (s.entry == 0.0), weights, 0.0)
    weights = weights / weights.sum(axis=0)
    below = np.where(made < low, weights, 0.0).sum(axis=0)
    at_most = np.where(made <= high, weights, 0.0).sum(axis=0)
    pit = np.minimum(below + rng.random(s.groups) * (at_most - below), 1.0)  # weights sum to one up to rounding
    return pd.Series(pit, group_index(s, None), name="pit").iloc[shown_order(s, None)]


def conditional_predictor(specification: Specification, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Linear predictor at a draw."""
    from ...engines.joint import linear_predictor

    eta = linear_predictor(specification, theta, x)
    assert eta is not None
    return eta
