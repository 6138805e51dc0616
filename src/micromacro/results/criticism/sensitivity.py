r"""How much the posterior depends on the prior: contraction, and sensitivity to scaling the prior or the likelihood.

*Contraction* is :math:`1 - (sd_{post}/sd_{prior})^2`, in the coordinate in which the prior is standard normal. *Power
scaling* raises the prior or the likelihood to a power near one by importance weights and measures how far each
posterior distribution moves (Kallioinen, Paananen, Bürkner and Vehtari 2024); arviz-stats does the arithmetic.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from ...engines.base import Sample
from ...engines.health import contractions
from ...engines.pareto import power_scaled
from ...errors import ModelError
from ...model.specification import Specification
from ...parameters import CLASSES, Parameter
from ...posterior.base import Posterior
from ...posterior.intervals import check_whole
from ...posterior.leaveout.pointwise import log_likelihood, sample
from ...priors import Normal

ALPHA = (0.99, 1.01)
THRESHOLD = 0.05


def contraction_table(posterior: Posterior) -> pd.DataFrame:
    """Prior, posterior sd and contraction of every parameter with a proper prior."""
    s = posterior.specification
    draws = sample(posterior, None, "contraction()")
    found = contractions(s, posterior.drawn("contraction() needs draws").draws)
    rows: dict[str, tuple[str, float]] = {}
    for k, p in enumerate(s.system.coefficients):
        if isinstance(p.prior, Normal):
            sd = float(np.std(draws.coefficients[..., k], ddof=1))
            rows[p.name] = (str(p.prior), 1.0 - (sd / p.prior.sd) ** 2)
    for p in s.system.hypers:
        if p.name in found and not p.fixed:
            rows[p.name] = (str(p.prior), found[p.name])
    order = [name for name in s.names if name in rows]
    table = pd.DataFrame([rows[n] for n in order], pd.Index(order, name="parameter"), ["prior", "contraction"])
    table.insert(1, "sd", np.array([posterior.sd[s.names.index(n)] for n in order]))
    return table


def log_prior(specification: Specification, draws: Sample, of: str | None = None) -> np.ndarray:
    """Log prior density of the parameters (not of the effects) at draws (chain, draw); of some only with `of`."""
    system = specification.system
    out = np.zeros(draws.shape)
    chosen = 0

    def add(p: Parameter, values: np.ndarray) -> None:
        nonlocal chosen
        if p.fixed or not p.prior.proper or (of is not None and of not in (p.name, p.kind)):
            return
        chosen += 1
        out[:] += np.vectorize(p.prior.log_density, otypes=[float])(values)

    for k, p in enumerate(system.hypers):
        add(p, draws.theta[..., k])
    for k, p in enumerate(system.coefficients):
        if isinstance(p.prior, Normal):
            add(p, draws.coefficients[..., k])
    if not chosen:
        words = ", ".join(CLASSES)
        raise ModelError(
            f"of={of!r} is neither a parameter with a proper prior nor a class of such parameters ({words})"
        )
    return out


def sensitivity_table(posterior: Posterior, of: str | None, most: int | None) -> pd.DataFrame:
    """Sensitivity of every parameter to the prior (of all, or of some) and to the likelihood."""
    from arviz_stats.base.array import array_stats

    stats: Any = array_stats  # the same on both of ArviZ's lines
    s = posterior.specification
    most = None if most is None else check_whole("draws", most, 10)
    draws = sample(posterior, most, "sensitivity()")
    parameters = s.collect(draws.theta, draws.coefficients)
    columns = {}
    for name, log in (("prior", log_prior(s, draws, of)), ("likelihood", log_likelihood(s, draws).sum(axis=-1))):
        if np.ptp(log) < 1e-12:
            columns[name] = np.zeros(len(s.names))
            continue
        low, high = (np.exp(power_scaled(log, a)) for a in ALPHA)
        columns[name] = np.array(
            [
                float(stats.power_scale_sense(parameters[..., k], low, high, *ALPHA, chain_axis=0, draw_axis=1))
                if np.ptp(parameters[..., k]) > 0.0 else math.nan
                for k in range(len(s.names))
            ]
        )  # fmt: skip
    table = pd.DataFrame(columns, index=pd.Index(s.names, name="parameter"))
    table["diagnosis"] = [_diagnosis(p, y) for p, y in zip(table["prior"], table["likelihood"], strict=True)]
    return table


def _diagnosis(prior: float, likelihood: float) -> str:
    if math.isnan(prior) or prior < THRESHOLD:
        return ""
    return "prior and data disagree" if likelihood >= THRESHOLD else "strong prior or weak likelihood"
