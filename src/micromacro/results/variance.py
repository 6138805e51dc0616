r"""Variance components: what part of the outcome's variance each level brings.

Effects reach group i through its row a of A, so their share of its variance is :math:`a'D^{-1}a`: for independent
effects of members :math:`sd_u^2 \sum_j w_{ij}^2` (a member listed twice adds its weights first), for those of a unit
:math:`sd_v^2`, with slopes :math:`z_i'\Sigma z_i`. The table gives the mean over the groups that have members. The
residual brings :math:`\sigma^2`, or what the family's
distribution has on the link scale (:math:`\pi^2/3` for the logit; Nakagawa, Johnson and Schielzeth 2017 for counts, at
the mean count). Fixed covariates are conditioned on. Where the residual has no variance (Student's t with nu <= 2) its
share is 1.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..effects.base import Effects
from ..terms.member.term import MemberPart
from .posterior import Posterior
from .summary import centre, quantiles


def variances(posterior: Posterior, theta: np.ndarray) -> np.ndarray:
    """Mean variance of each level (levels,) at one theta."""
    system = posterior.specification.system
    room = system.workspace(gradient=False)
    system.fill(theta, room)
    out = []
    for k, structure in random_parts(posterior):
        part = system.parts[k]
        filled = system.groups
        if isinstance(part, MemberPart):
            filled = int(np.count_nonzero(np.diff(part.memberships.start)))
        row, latent, _ = structure.places
        values = system.values_of(k, room)[-len(row) :]
        brought = structure.variance(theta[posterior.structure_place(k)], row, latent, values)
        out.append(float(brought.sum()) / filled)
    rest = link_variance(posterior, theta)
    return np.array(out if rest is None else [*out, rest])


def shares(v: np.ndarray, axis: int) -> np.ndarray:
    """Parts of a sum; where a term is infinite it is all of it."""
    endless = np.isinf(v)
    gone = endless.any(axis=axis, keepdims=True)
    finite = np.where(endless, 0.0, v)
    total = np.where(gone, 1.0, finite.sum(axis=axis, keepdims=True))
    return np.where(gone, endless, finite / total)


def random_parts(posterior: Posterior) -> list[tuple[int, Effects]]:
    """Effects with a distribution, with the number of their part."""
    return [(k, s) for k, s in posterior.specification.structures.values() if not s.coefficients]


def link_variance(posterior: Posterior, theta: np.ndarray) -> float | None:
    """Variance of the outcome given the linear predictor, on the link scale; None where none is agreed on."""
    s = posterior.specification
    own = theta[s.system.family_start :]
    return s.family.link_variance(own, float(np.mean(s.outcome)))


def levels(posterior: Posterior) -> list[str]:
    """Names of the levels with effects; the residual last."""
    names = [structure.name for _, structure in random_parts(posterior)]
    theta = np.array([p.start for p in posterior.specification.system.hypers])
    return names if link_variance(posterior, theta) is None else [*names, "residual"]


def sds(posterior: Posterior, theta: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Standard deviation of one effect of each level (draws, levels), nan with slopes; of the residual, from `v`."""
    columns = [[s.spread(t[posterior.structure_place(k)]) for t in theta] for k, s in random_parts(posterior)]
    rest = [np.sqrt(v[:, len(columns)])] if v.shape[1] > len(columns) else []
    return np.stack([*map(np.asarray, columns), *rest], axis=1)


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
    from .summary import normal_quantile

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
