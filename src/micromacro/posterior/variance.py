r"""Variance components: the part of the outcome's variance that each level contributes.

Effects reach group i through its row a of A, so their share of its variance is :math:`a'D^{-1}a`: for independent
effects of members :math:`sd_u^2 \sum_j w_{ij}^2` (a member listed twice adds its weights first), for those of a unit
:math:`sd_v^2`, with slopes :math:`z_i'\Sigma z_i`. The table gives the mean over the groups that have members. The
residual brings :math:`\sigma^2`, or what the family's
distribution has on the link scale (:math:`\pi^2/3` for the logit; Nakagawa, Johnson and Schielzeth 2017 for counts, at
the mean count). Fixed covariates are conditioned on. Where the residual has no variance (Student's t with nu <= 2) its
share is 1. Where members combine in another way than by their sum, see :mod:`.together`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..effects.base import Effects
from ..latent.beside import predictors_of
from ..model.specification import Specification
from .design import Predictor, scenario_of
from .together import population


def variances(specification: Specification, theta: np.ndarray) -> np.ndarray:
    """Mean variance of each level (levels,) at one theta."""
    system = specification.system
    room = system.workspace(gradient=False)
    system.fill(theta, room)
    out = []
    for k, structure in random_parts(specification):
        part = system.parts[k]
        if part.combines:
            brought = population(part, room.scratch[k], theta[system.places.reads(k)]).var(axis=0)
            out.append(float(brought.sum()) / part.filled)
            continue
        row, latent, _ = structure.entries
        values = system.values_of(k, room)[-len(row) :]
        if part.reaches:  # rows of other linear predictors, too
            own = row < system.groups
            row, latent, values = row[own], latent[own], values[own]
        brought = structure.variance(theta[specification.system.places.effect_theta(k)], row, latent, values)
        out.append(float(brought.sum()) / part.filled)
    rest = link_variance(specification, theta)
    return np.array(out if rest is None else [*out, *[rest] * len(residuals(specification))])


def residuals(specification: Specification) -> list[str]:
    """Names of the residual: one for each of several linear predictors that are made of the same terms."""
    copies = specification.family.copies(specification.response)
    return [f"{name}.residual" for name in copies] or ["residual"]


def level_shares(specification: Specification, v: np.ndarray) -> np.ndarray:
    """Parts of a sum over the levels (levels and residuals, ...), within each linear predictor."""
    system = specification.system
    numbers = predictors_of(system.beside, len(system.parts))
    number = [numbers[k] for k, _ in random_parts(specification)]
    number += range(len(v) - len(number)) if len(v) > len(number) + 1 else [0] * (len(v) - len(number))
    out, of = np.empty_like(v), np.array(number)
    for k in np.unique(of):
        out[of == k] = shares(v[of == k], 0)
    return out


def shares(v: np.ndarray, axis: int) -> np.ndarray:
    """Parts of a sum; where a term is infinite it is all of it."""
    endless = np.isinf(v)
    gone = endless.any(axis=axis, keepdims=True)
    finite = np.where(endless, 0.0, v)
    total = np.where(gone, 1.0, finite.sum(axis=axis, keepdims=True))
    return np.where(gone, endless, finite / total)


def random_parts(specification: Specification) -> list[tuple[int, Effects]]:
    """Effects of the outcome's linear predictor that have a distribution, with the number of their part."""
    return list(specification.layout.of_outcome.values())


def link_variance(specification: Specification, theta: np.ndarray, each: bool = False) -> Any:
    """Variance of the outcome given the linear predictor, on the link scale; None where none is agreed on.

    The mean over the groups, or (`each`) that of each group (groups,) where they differ.
    """
    s, total = specification, 0.0
    for weight, own in _owns(specification, theta):
        found = s.family.link_variance(own, float(np.mean(s.outcome)))
        if found is None:
            return None
        total = total + weight * found
    return total if each else float(np.mean(total))


def _owns(specification: Specification, theta: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """The family's own numbers over the population of the effects in their linear predictors, and weights."""
    s = specification
    if not s.several or s.stacked is None:
        return [(1.0, theta[s.system.places.family] if s.system.beside is None else s.own(theta, np.empty(0)))]
    predictor = Predictor(scenario_of(s, None), s.system)
    predictor.eta(theta, np.zeros(s.system.size))
    return predictor.owns([np.sqrt(v) for v in predictor.variances_beside()])


def levels(specification: Specification) -> list[str]:
    """Names of the levels with effects; the residual last."""
    names = list(specification.layout.of_outcome)
    theta = np.array([p.start for p in specification.system.hypers])
    return names if link_variance(specification, theta) is None else [*names, *residuals(specification)]


def sds(specification: Specification, theta: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Standard deviation of one effect of each level (levels,), nan with slopes; of the residual, from `v`."""
    system = specification.system
    out = [s.spread(theta[system.places.effect_theta(k)]) for k, s in random_parts(specification)]
    return np.array([*out, *np.sqrt(v[len(out) :])])
