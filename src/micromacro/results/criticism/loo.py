r"""PSIS-LOO and WAIC from a matrix of log-likelihoods; arviz-stats does the smoothing.

With weights :math:`w_{is} \propto 1/p(y_i\mid\theta_s)`, smoothed by a generalised Pareto distribution,
:math:`p(y_i\mid y_{-i}) \approx \sum_s w_{is}\,p(y_i\mid\theta_s)` (Vehtari, Gelman and Gabry 2017). The same formula
serves the integrated likelihoods :math:`p(y_i\mid y_{-i},\theta)`: the posterior of theta without group i is the
posterior with it divided by exactly that.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from ...engines.marginals import has_exact_marginal
from ...engines.pareto import pareto_smoothed
from ...errors import ModelError, warn
from ...model.specification import Specification
from ...posterior.base import Posterior
from ...posterior.leaveout.integrated import integrated_log_likelihood
from ...posterior.leaveout.joint import LeaveSetsOut
from ...posterior.leaveout.pointwise import log_likelihood, of_outcomes, sample
from ...posterior.leaveout.scores import log_mean_exp
from ...table.levels import Levels
from ..labels import group_index, shown_order
from ..outcomes import left_out_outcomes
from .elpd import Elpd

EQUAL = 1e-12  # spread of log-likelihoods that the draws do not disagree about
DRAWS = 2000  # draws of theta at which effects are integrated out
UNIT_DRAWS = 500  # where an outcome reads several rows of the linear predictor, which takes longer


def leave_one_out(posterior: Posterior, integrated: bool, by: str | None, most: int | None) -> Elpd:
    """PSIS-LOO of the groups, or of all groups of a member or unit together (`by`)."""
    s = posterior.specification
    if by is not None or integrated:
        most = most or (UNIT_DRAWS if s.system.meeting is not None else DRAWS)
    if by is not None and by not in ("group", *([] if s.response.sets is None else [s.response.sets.name])):
        draws = sample(posterior, most, "loo()")
        sets, levels = groups_of(s, by)
        return _finish(posterior, LeaveSetsOut(s, sets).log_likelihood(draws), "integrated", by, level_index(levels))
    if integrated:
        draws = sample(posterior, most, "loo()")
        if s.several_rows:
            each = LeaveSetsOut(s, outcome_sets(s)).log_likelihood(draws)
            return _finish(posterior, each, "integrated")
        return _finish(posterior, integrated_log_likelihood(s, draws), "integrated")
    values = log_likelihood(s, sample(posterior, most, "loo()"))
    return _finish(posterior, of_outcomes(s, values), "loo")


def outcome_sets(specification: Specification) -> list[np.ndarray]:
    """The groups of each outcome: each group, or each set of alternatives."""
    sets = specification.response.sets
    if sets is None:
        return [np.array([i]) for i in range(specification.groups)]
    order = np.argsort(sets.codes, kind="stable")
    return np.split(order, np.cumsum(sets.sizes)[:-1])


def level_index(levels: Levels) -> pd.Index:
    """Ids of members or units."""
    return pd.Index(levels.values, name=levels.name)


def groups_of(specification: Specification, name: str) -> tuple[list[np.ndarray], Levels]:
    """The groups of each member of a block, or of each unit of a term."""
    s = specification
    if name in s.members:
        part = s.members[name]
        codes, groups, levels = part.memberships.member, part.memberships.group, part.levels
    elif name in s.units:
        unit = s.units[name]
        codes, groups, levels = unit.codes, np.arange(s.groups), unit.levels
    else:
        known = ", ".join(["group", *s.members, *s.units])
        raise ModelError(f"by={name!r} is neither a member block nor a unit term; use one of {known}")
    return [s.whole(np.unique(groups[codes == k])) for k in range(len(levels.values))], levels


def by_group(specification: Specification, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    """Columns (outcomes,) as a table in the order in which users see the groups; of sets in that of their ids."""
    sets = specification.response.sets
    if sets is not None:
        return pd.DataFrame(columns, pd.Index(sets.labels, name=sets.name))
    table = pd.DataFrame(columns, group_index(specification, None))
    return table.iloc[shown_order(specification, None)]


def _finish(
    posterior: Posterior, values: np.ndarray, kind: str, by: str = "group", index: pd.Index | None = None
) -> Elpd:  # fmt: skip
    """LOO from log-likelihoods (chain, draw, left out); of groups without an index."""
    s = posterior.specification
    draws = values.shape[0] * values.shape[1]
    elpd, k = psis_loo(values)
    p = log_mean_exp(values, (0, 1)) - elpd
    good = good_k(draws)
    columns = {"elpd": elpd, "p_loo": p, "pareto_k": k}
    table = by_group(s, columns) if index is None else pd.DataFrame(columns, index)
    out = Elpd(kind, table, draws, good, left_out_outcomes(s), by, notes=approximate_note(posterior))
    if out.bad:
        warn(k_message(out))
    return out


def k_message(out: Elpd) -> str:
    """What to do about large Pareto k."""
    remedy = (
        "use loo(integrated=True), which does not condition on the effects"
        if out.kind == "loo"
        else "draw more, or refit without them: kfold()"
    )
    return (
        f"Pareto k is above {out.good_k:.2f} for {out.bad} of {len(out.pointwise)} left out: their part of the elpd is "
        f"not reliable; {remedy}"
    )


def good_k(draws: int) -> float:
    """The Pareto k up to which this many draws give a usable estimate (Vehtari et al. 2024)."""
    return min(1.0 - 1.0 / math.log10(draws), 0.7) if draws > 10 else 0.0


def approximate_note(posterior: Posterior) -> tuple[str, ...]:
    """What to know of draws that are not from the exact posterior."""
    if not posterior.approximate or has_exact_marginal(posterior.specification):
        return ()
    return ("the draws are from the Laplace approximation: see fit.health for its accuracy",)


def smoothed_weights(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log importance weights (chain * draw, k), normalised, of leaving each of k out, and their Pareto k."""
    chains, draws, count = values.shape
    flat = values.reshape(chains * draws, count)
    weights, shapes = np.empty_like(flat), np.empty(count)
    for i in range(count):
        weights[:, i], shapes[i] = pareto_smoothed(-flat[:, i], relative_size(values[..., i]), EQUAL)
    return weights, shapes


def relative_size(values: np.ndarray) -> float:
    """Effective sample size of the likelihoods over the number of draws, from log-likelihoods (chain, draw)."""
    from arviz_stats.base.array import array_stats  # slow to import; the same on both of ArviZ's lines

    if values.shape[1] < 4:
        return 1.0
    size: Any = array_stats.ess(np.exp(values - values.max()), chain_axis=0, draw_axis=1, method="mean", relative=True)
    return min(1.0, float(size)) if np.isfinite(size) else 1.0


def psis_loo(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pointwise elpd (k,) and Pareto k from log-likelihoods (chain, draw, k)."""
    weights, shapes = smoothed_weights(values)
    return np.asarray(logsumexp(weights + values.reshape(weights.shape), axis=0)), shapes


def waic(posterior: Posterior, most: int | None) -> Elpd:
    """WAIC, pointwise (Watanabe 2010): mean likelihood less the variance of its logarithm over the posterior."""
    s = posterior.specification
    values = of_outcomes(s, log_likelihood(s, sample(posterior, most, "waic()")))
    draws = values.shape[0] * values.shape[1]
    p = values.var(axis=(0, 1), ddof=1)
    elpd = log_mean_exp(values, (0, 1)) - p
    loose = int(np.count_nonzero(p > 0.4))
    if loose:
        warn(
            f"WAIC is not reliable: the log-likelihood of {loose} of {s.n_outcomes} groups varies by more than 0.4 "
            "over the posterior; use loo(integrated=True)"
        )
    table = by_group(s, {"elpd": elpd, "p_waic": p})
    return Elpd("waic", table, draws, outcomes=left_out_outcomes(s), notes=approximate_note(posterior))
