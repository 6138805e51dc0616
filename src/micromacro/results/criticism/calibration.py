r"""Where each outcome lies in its predictive distribution: probability integral transforms with the group left out.

:math:`\mathrm{PIT}_i = P(\tilde y_i \le y_i \mid y_{-i})` is uniform if the model is right (Gelfand, Dey and Chang
1992). Outcomes with atoms are randomised over their atom, censored ones over what is known of them; delayed
entry conditions. Categories and choices have no order: theirs is that of their predictive probabilities, so that it is
the probability of something less likely than what was seen, which is as uniform.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ...engines.base import Sample
from ...errors import ModelError
from ...model.specification import Specification
from ...posterior.base import Posterior
from ...posterior.leaveout.pointwise import log_likelihood, of_outcomes, sample
from ...posterior.leaveout.rows import rows_at, rows_without
from .loo import DRAWS, UNIT_DRAWS, by_group, smoothed_weights

REMEDY = "look at plot.survival(), which shows the Kaplan-Meier estimate beside the model, and at loo(integrated=True)"
"""What to do instead."""


def transformable(specification: Specification) -> bool:
    """Whether outcomes have a probability integral transform here: the rows of the likelihood are those of outcomes."""
    return not specification.expanded or bool(specification.family.several)


def loo_pit(posterior: Posterior, integrated: bool, random_seed: int | None) -> pd.Series:
    """PIT of every group, or set of alternatives (see ``Fit.loo_pit``)."""
    s = posterior.specification
    if not transformable(s):
        raise ModelError(f"loo_pit() is not available for family {s.family.name}: {REMEDY}")
    draws = sample(posterior, UNIT_DRAWS if integrated and s.system.meeting is not None else DRAWS, "loo_pit()")
    rng = np.random.default_rng(random_seed)
    place = _ranks if s.family.several else _transforms
    below, at_most = place(s, draws, integrated, rng)
    pit = np.minimum(below + rng.random(len(below)) * (at_most - below), 1.0)  # weights sum to one up to rounding
    return pd.Series(by_group(s, {"pit": pit})["pit"])


def _transforms(
    s: Specification, draws: Sample, integrated: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Probabilities (groups,) of an outcome below what was seen of each, and of none above it."""
    values = np.empty((*draws.shape, s.groups)) if integrated else log_likelihood(s, draws)
    without = rows_without(s) if integrated else None
    made = np.empty_like(values)
    for at in np.ndindex(draws.shape):
        theta, x = draws.theta[at], draws.at(at)
        if without is None:
            eta, own = rows_at(s, theta, x), s.own(theta, x)
        else:
            values[at], eta, own = without.groups(theta, x, rng)
        made[at] = s.family.simulate(eta, own, rng, s.response.values)
    weights = np.exp(smoothed_weights(values)[0])
    known = s.family.known(s.response)
    made = made.reshape(weights.shape)
    if s.entry is not None:
        weights = np.where((made > s.entry) | (s.entry == 0.0), weights, 0.0)
    weights = weights / weights.sum(axis=0)
    below = np.where(made < known.low, weights, 0.0).sum(axis=0)
    return below, np.where(made <= known.high, weights, 0.0).sum(axis=0)


def _ranks(
    s: Specification, draws: Sample, integrated: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Probabilities (outcomes,) of something less likely than what was seen, and of something no likelier."""
    values = np.empty((*draws.shape, s.n_outcomes)) if integrated else of_outcomes(s, log_likelihood(s, draws))
    without, shares = rows_without(s) if integrated else None, []
    family: Any = s.family  # one whose outcomes are one of several rows
    for at in np.ndindex(draws.shape):
        if without is None:
            rows = rows_at(s, draws.theta[at], draws.at(at), every=True)
        else:
            values[at], rows = without.rows(draws.theta[at], rng)
        shares.append(family.row_shares(rows))
    return family.ranked(s.row_values, np.stack(shares), np.exp(smoothed_weights(values)[0]))
