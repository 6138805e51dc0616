r"""Variance components: what part of the outcome's variance each level brings.

Effects of members reach a group through weights, so their share of the variance of group i is
:math:`sd_u^2 \sum_j w_{ij}^2` (a member listed twice adds its weights first); the table gives its mean over the
groups that have members. A unit brings :math:`sd_v^2`, the residual :math:`\sigma^2`, or what the family's
distribution has on the link scale (:math:`\pi^2/3` for the logit; Nakagawa, Johnson and Schielzeth 2017 for counts, at
the mean count). Fixed covariates are conditioned on.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..terms.member.term import MemberPart
from ..terms.unit import UnitPart
from .posterior import Posterior
from .summary import quantiles


def squared_weights(part: MemberPart, theta: np.ndarray, room: dict) -> float:
    """Mean over groups with members of sum_j w_ij^2, weights of one member in a group added first."""
    w = part.weights(theta, room)
    places = room["places"]
    merged = np.bincount(places, w)
    filled = int(np.count_nonzero(np.diff(part.memberships.start)))
    return float(np.sum(merged * merged) / filled)


def variances(posterior: Posterior, theta: np.ndarray) -> np.ndarray:
    """Mean variance of each level (levels,) at one theta."""
    system = posterior.specification.system
    out = []
    for k, part in enumerate(system.parts):
        if not isinstance(part, (MemberPart, UnitPart)) or not part.effects:
            continue
        factor = 1.0
        if isinstance(part, MemberPart):
            factor = squared_weights(part, theta[system.theta_of(k)], part.scratch())
        out.append(theta[posterior.sd_place(k)] ** 2 * factor)
    rest = link_variance(posterior, theta)
    return np.array(out if rest is None else [*out, rest])


def link_variance(posterior: Posterior, theta: np.ndarray) -> float | None:
    """Variance of the outcome given the linear predictor, on the link scale; None where none is agreed on."""
    s = posterior.specification
    own = theta[s.system.family_start :]
    return s.family.link_variance(own, float(np.mean(s.outcome)))


def levels(posterior: Posterior) -> list[tuple[str, int]]:
    """Names of the levels with effects and the place of their sd in theta; the residual last."""
    system = posterior.specification.system
    have = [
        (p.name, posterior.sd_place(k))
        for k, p in enumerate(system.parts)
        if isinstance(p, (MemberPart, UnitPart)) and p.effects
    ]
    theta = np.array([p.start for p in system.hypers])
    return have if link_variance(posterior, theta) is None else [*have, ("residual", -1)]


def sds(theta: np.ndarray, places: list[int], v: np.ndarray) -> np.ndarray:
    """Standard deviation of one effect of each level (draws, levels); of the residual, from its variance."""
    return np.stack([theta[:, k] if k >= 0 else np.sqrt(v[:, j]) for j, k in enumerate(places)], axis=1)


def variance_table(posterior: Posterior, ci: float) -> pd.DataFrame:
    """The table of variance components (see ``Fit.variance_components``)."""
    names = [n for n, _ in levels(posterior)]
    places = [k for _, k in levels(posterior)]
    index = pd.Index(names, name="level")
    if posterior.sampled:
        theta, _ = posterior.thinned(1000)
        v = np.stack([variances(posterior, t) for t in theta])
        share = v / v.sum(axis=1, keepdims=True)
        low, high = quantiles(share, ci)
        columns = {
            "sd": sds(theta, places, v).mean(axis=0), "variance": v.mean(axis=0), "share": share.mean(axis=0),
            "share_sd": share.std(axis=0, ddof=1), "lower": low, "upper": high,
        }  # fmt: skip
        return pd.DataFrame(columns, index=index)
    return _delta_table(posterior, places, index, ci)


def _delta_table(posterior: Posterior, places: list[int], index: pd.Index, ci: float) -> pd.DataFrame:
    """Shares at the maximum, standard errors by the delta method, intervals on the logit scale."""
    from .summary import normal_quantile

    optimum = posterior.outcome.optimum
    assert optimum is not None
    theta = optimum.theta
    q = len(theta)
    v = variances(posterior, theta)
    share = v / v.sum()
    slope = np.zeros((len(v), q))
    for k in np.flatnonzero(~optimum.boundary):
        h = 1e-5 * max(abs(theta[k]), 1e-2)
        sides = []
        for sign in (1.0, -1.0):
            moved = theta.copy()
            moved[k] += sign * h
            at = variances(posterior, moved)
            sides.append(at / at.sum())
        slope[:, k] = (sides[0] - sides[1]) / (2.0 * h)
    se = np.sqrt(np.maximum(np.einsum("ik,kl,il->i", slope, np.nan_to_num(optimum.covariance[:q, :q]), slope), 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        logit, spread = np.log(share / (1 - share)), normal_quantile(ci) * se / (share * (1 - share))
    inside = (share > 0) & (share < 1)
    low = np.where(inside, 1 / (1 + np.exp(-(logit - spread))), np.nan)
    high = np.where(inside, 1 / (1 + np.exp(-(logit + spread))), np.nan)
    columns = {
        "sd": sds(theta[None], places, v[None])[0],
        "variance": v,
        "share": share,
        "share_se": se,
        "lower": low,
        "upper": high,
    }
    return pd.DataFrame(columns, index=index)
