"""The ranks of truths drawn from their priors among draws of `mcmc` (Talts et al. 2018), for one data set of a kind.

Beside the parameters the log-likelihood of the data at parameters and effects has a rank: it sees faults that no
parameter does, such as draws of the prior in place of the posterior (Modrak et al. 2023).
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pandas as pd
from arviz_stats.base.array import array_stats

import micromacro as mm
from micromacro.engines.joint import log_joint, log_prior_theta, log_prior_x
from micromacro.model.specification import Specification
from micromacro.simulate.model import labelled, simulated

from .kinds import Kind, first_table, model

KEPT = 60  # nearly independent draws among which a truth has its rank
LEAST = 2.0 * KEPT  # effective draws that a run must have
LIKELIHOOD = "log-likelihood"


def ranks(kind: Kind, seed: int) -> dict[str, Any]:
    """Ranks (0 to `KEPT`) of all parameters and of the log-likelihood; without any where the outcome is refused.

    Kinds have seeds of their own, so that their truths have nothing to do with each other.
    """
    others = "".join(f" {name} {formula}" for name, formula in kind.others.items())
    seed = zlib.crc32(f"{kind.family} ~ {kind.terms}{others} {seed}".encode())
    first = first_table(kind)
    of_first = model(kind, first).specification
    drawn, skipped = simulated(of_first, {}, 1, np.random.default_rng([seed, 17]))
    named = labelled(of_first, drawn, skipped)
    ids = first["g"] if named.groups is None else named.groups
    data = first.assign(y=first["g"].map(dict(zip(ids, named.outcome[0], strict=True))))
    made = model(kind, censored(data, seed) if kind.durations else data)
    try:
        fit = made.fit("mcmc", draws=240, tune=300, chains=2, random_seed=seed, progress=False)
        for _ in range(4):
            least = effective(fit.posterior.draws)
            if least > LEAST:
                break
            fit = fit.extend(min(3200, int(fit.posterior.draws.shape[1] * max(1.0, 1.2 * LEAST / least - 1.0))))
    except (mm.DataError, mm.ModelError) as error:
        return {"refused": f"{type(error).__name__}: {error}"[:100]}
    return {
        "ranks": ranked(made.specification, fit, drawn.parameters[0], drawn.theta[0], drawn.x[0]),
        "ess": round(effective(fit.posterior.draws)), "draws": fit.posterior.draws.shape[1],
    }  # fmt: skip


def ranked(s: Specification, fit: Any, truth: np.ndarray, theta: np.ndarray, x: np.ndarray) -> dict[str, int]:
    """Ranks of a truth among evenly spaced draws."""
    chains, length, _ = fit.posterior.draws.shape
    at = np.linspace(0, length - 1, KEPT // chains).round().astype(int)
    draws = fit.posterior.draws[:, at].reshape(KEPT, -1)
    out = {name: int(np.sum(draws[:, k] < truth[k])) for k, name in enumerate(s.names)}
    kept = fit.posterior.outcome.draws
    there = [log_likelihood(s, kept.theta[c, i], kept.at((c, i))) for c in range(chains) for i in at]
    out[LIKELIHOOD] = int(np.sum(np.array(there) < log_likelihood(s, theta, x)))
    return out


def log_likelihood(s: Specification, theta: np.ndarray, x: np.ndarray) -> float:
    """Log density of the data given theta, effects and coefficients."""
    return log_joint(s, theta, x) - log_prior_theta(s, theta) - log_prior_x(s, theta, x)


def effective(draws: np.ndarray) -> float:
    """Smallest bulk effective sample size of all parameters."""
    each = [
        float(array_stats.ess(draws[:, :, k], chain_axis=0, draw_axis=1, method="bulk"))
        for k in range(draws.shape[2])
        if np.ptp(draws[:, :, k]) > 0.0
    ]
    return min(each)


def censored(data: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Durations censored by exponential times that have nothing to do with them."""
    stop = np.random.default_rng([seed, 18]).exponential(8.0, data["g"].max() + 1)[data["g"]]
    return data.assign(y=np.minimum(data["y"], stop), event=(data["y"] <= stop).astype(int))
