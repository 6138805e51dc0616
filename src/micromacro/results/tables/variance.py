"""The table of variance components."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...posterior.base import Posterior
from ...posterior.intervals import centre, normal_quantile, quantiles
from ...posterior.variance import levels, sds, shares, variances


def variance_table(posterior: Posterior, ci: float) -> pd.DataFrame:
    """The table of variance components (see ``Fit.variance_components``)."""
    index = pd.Index(levels(posterior), name="level")
    if posterior.sampled:
        theta, _ = posterior.thinned(1000)
        v = np.stack([variances(posterior, t) for t in theta])
        share = shares(v, 1)
        low, high = quantiles(share, ci)
        columns = {
            "sd": centre(sds(posterior, theta, v)), "variance": centre(v), "share": share.mean(axis=0),
            "share_sd": share.std(axis=0, ddof=1), "lower": low, "upper": high,
        }  # fmt: skip
        return pd.DataFrame(columns, index=index)
    return _delta_table(posterior, index, ci)


def _delta_table(posterior: Posterior, index: pd.Index, ci: float) -> pd.DataFrame:
    """Shares at the maximum, standard errors by the delta method, intervals on the logit scale."""
    optimum = posterior.outcome.optimum
    assert optimum is not None
    theta = optimum.theta
    q = len(theta)
    v = variances(posterior, theta)
    share = shares(v, 0)
    slope = np.zeros((len(v), q))
    for k in np.flatnonzero(~optimum.boundary):
        h = 1e-5 * max(abs(theta[k]), 1e-2)
        sides = []
        for sign in (1.0, -1.0):
            moved = theta.copy()
            moved[k] += sign * h
            sides.append(shares(variances(posterior, moved), 0))
        slope[:, k] = (sides[0] - sides[1]) / (2.0 * h)
    se = np.sqrt(optimum.variance(slope, slice(0, q)))
    if not np.all(np.isfinite(v)):
        se = np.full_like(se, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        logit, spread = np.log(share / (1 - share)), normal_quantile(ci) * se / (share * (1 - share))
    inside = (share > 0) & (share < 1)
    low = np.where(inside, 1 / (1 + np.exp(-(logit - spread))), np.nan)
    high = np.where(inside, 1 / (1 + np.exp(-(logit + spread))), np.nan)
    columns = {
        "sd": sds(posterior, theta[None], v[None])[0],
        "variance": v,
        "share": share,
        "share_se": se,
        "lower": low,
        "upper": high,
    }
    return pd.DataFrame(columns, index=index)
