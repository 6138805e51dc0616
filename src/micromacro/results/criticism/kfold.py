"""Cross-validation by refitting: groups, all groups of some members, or all groups of some units, left out in turn.

A group that is left out keeps its place in the model and loses its likelihood: the constant of ``normalize=total``, the
centres of covariates and the default priors stay what they were (DESIGN, section 5.1), and members and units that occur
in no other group are drawn from their population.
"""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral

import numpy as np

from ...engines.base import Sample, Settings, split
from ...engines.registry import run_engine
from ...errors import ModelError
from ...latent.collinear import lost_column
from ...model.specification import Specification
from ...posterior.base import Posterior
from ...posterior.factory import posterior_of
from ...posterior.leaveout.pointwise import log_likelihood, of_outcomes
from ...posterior.leaveout.scores import log_mean_exp
from ..outcomes import left_out_outcomes
from .elpd import Elpd
from .loo import by_group, groups_of, outcome_sets

MOST = 4000  # draws at which a left-out group's density is averaged


def kfold(posterior: Posterior, k: int | None, by: str, random_seed: int | None) -> Elpd:
    """Refit without each fold and predict it (see ``Fit.kfold``)."""
    s, settings = posterior.specification, posterior.outcome.settings
    rng = np.random.default_rng(random_seed)
    folds = make_folds(s, k, by, rng)
    total, times = np.zeros(s.groups), np.zeros(s.groups)
    for number, fold in enumerate(folds, start=1):
        _check_rank(posterior, fold, f"{number} of {len(folds)}")
        own = replace(settings, progress=False, random_seed=int(rng.integers(2**31)))
        total[fold] += left_out(s, posterior.outcome.engine, own, fold, rng)
        times[fold] += 1.0
    table = by_group(s, {"elpd": of_outcomes(s, total / times)})
    note = f"{len(folds)} refits by {posterior.outcome.engine}, leaving out by {by}"
    return Elpd("kfold", table, MOST, outcomes=left_out_outcomes(s), together=by, notes=(note,))


def make_folds(specification: Specification, k: int | None, by: str, rng: np.random.Generator) -> list[np.ndarray]:
    """The groups of each fold; a group is in several folds where its members are."""
    s = specification
    if by == "group":
        sets, rest = outcome_sets(s), np.empty(0, dtype=int)
    else:
        sets = groups_of(s, by)[0]
        rest = np.setdiff1d(np.arange(s.groups), np.concatenate(sets))  # groups without a member
    count = len(sets) if k is None else k
    if isinstance(count, bool) or not isinstance(count, Integral) or not 2 <= count <= len(sets):
        raise ModelError(f"k= is a number of folds from 2 to {len(sets)} (one for each {by}), not {k!r}")
    order = rng.permutation(len(sets))
    folds = [np.unique(np.concatenate([sets[j] for j in order[f::count]])) for f in range(count)]
    for i in rest:
        f = int(rng.integers(count))
        folds[f] = np.union1d(folds[f], s.whole(np.array([i])))
    full = [f for f in folds if len(f) == s.groups]
    if full:
        raise ModelError(f"a fold of {by} leaves out every group: use more folds (k=)")
    return folds


def _check_rank(posterior: Posterior, fold: np.ndarray, which: str) -> None:
    """Refuse a fold without which a coefficient under a flat prior cannot be estimated."""
    s, theta = posterior.specification, posterior.theta
    inside = s.response.weight > 0.0
    inside[fold] = False
    lost = lost_column(s.system, theta, inside, s.response.sets.within if s.response.sets else None)
    if lost is not None:
        raise ModelError(
            f"without fold {which} ({len(fold)} groups) the coefficient {lost!r} cannot be estimated: its column is "
            "constant, or a combination of others, over the groups that are left (a category may be in the fold only); "
            f"give it a prior (priors={{{lost!r}: mm.prior.normal(0, 10)}}), merge rare categories, or use other "
            "folds (k=, random_seed=)"
        )


def left_out(
    specification: Specification, engine: str, settings: Settings, fold: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Log predictive density of the groups of a fold from a fit without them."""
    response = specification.response
    weight = response.weight.copy()
    weight[fold] = 0.0
    without = replace(specification, response=replace(response, weight=weight))
    fitted = posterior_of(run_engine(engine, without, settings)).as_sampled(MOST // 4, rng)
    theta, x = fitted.thinned(MOST)
    values = log_likelihood(specification, Sample(theta[None], *split(x[None], specification.system.n_effects)))
    return np.asarray(log_mean_exp(values, (0, 1)))[fold]
