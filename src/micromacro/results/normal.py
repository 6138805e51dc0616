r"""Draws from the normal approximation around a maximum, for what has no simple standard error (ranks, say).

With V the covariance of theta (and of coefficients that are arguments of the likelihood) and H the factorised Hessian
in x,

.. math:: \theta = \hat\theta + \delta, \qquad x = \hat x + \frac{d\hat x}{d\theta}\delta + L^{-\prime} z,
   \qquad \delta \sim N(0, V),\; z \sim N(0, I),

which has the joint covariance that the standard errors come from. Positive parameters are drawn on the log scale,
correlations on Fisher's; an entry on its boundary stays there. What is normal is an effect u = sd x, not x, so that a
linear predictor which the data know well keeps its spread: :math:`\hat{sd}\,x + \hat x\,\delta_{sd}` is drawn and then
divided by the sd drawn.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..engines.base import Draws
from ..engines.factor import conditional_factor
from ..errors import EngineError
from ..numerics.cholesky import solve_upper
from .posterior import Posterior


def as_draws(posterior: Posterior, draws: int, rng: np.random.Generator) -> Posterior:
    """The posterior itself if it has draws; else one made of draws from the normal approximation (one chain)."""
    if posterior.sampled:
        return posterior
    specification, optimum = posterior.specification, posterior.outcome.optimum
    assert optimum is not None
    system, p = specification.system, optimum.x_slope.shape[1]
    root = _root(np.nan_to_num(optimum.covariance[:p, :p]))
    panel, s = conditional_factor(posterior.outcome), system.symbolic
    q = len(optimum.theta)
    scaled = [(place, k) for place, k in _scales(posterior) if optimum.theta[k] > 0.0 and not optimum.boundary[k]]
    thetas, xs = np.empty((draws, q)), np.empty((draws, system.size))
    for d in range(draws):
        delta = np.empty(0)
        for attempt in range(200):
            delta = root @ rng.standard_normal(root.shape[1])
            thetas[d] = _moved(posterior, delta[:q])
            if specification.family.possible(thetas[d][system.family_start :]):
                break
            if attempt == 199:
                raise EngineError(
                    "the normal approximation at the maximum lies outside the family's parameters: use mcmc"
                )
        z = rng.standard_normal(system.size)
        solve_upper(s.layout, panel, z)
        z = system.natural_order(z)
        if p > q:  # coefficients are among the p already
            z[system.kept :] = 0.0
        xs[d] = optimum.x + optimum.x_slope @ delta + z
        for place, k in scaled:
            effect = optimum.theta[k] * xs[d][place] + optimum.x[place] * delta[k]
            xs[d][place] = effect / thetas[d][k]
    made = Draws(thetas[None], xs[None], np.zeros((1, draws)), {}, optimum.peaks)
    return Posterior(replace(posterior.outcome, draws=made))


def _root(covariance: np.ndarray) -> np.ndarray:
    """A matrix R with R R' = covariance, which may be singular."""
    values, vectors = np.linalg.eigh(0.5 * (covariance + covariance.T))
    return vectors * np.sqrt(np.maximum(values, 0.0))


def _scales(posterior: Posterior) -> list[tuple[slice, int]]:
    """Places in x of effects that one sd multiplies, and the place of that sd in theta."""
    parts = posterior.specification.system.parts
    one = [k for k, p in enumerate(parts) if p.effects and sum(h.kind == "sd" for h in p.hypers) == 1]
    return [(posterior.effect_place(k), posterior.sd_place(k)) for k in one]


def _moved(posterior: Posterior, delta: np.ndarray) -> np.ndarray:
    """Theta moved by `delta` (natural scale), positive entries on the log scale, correlations on Fisher's."""
    optimum = posterior.outcome.optimum
    assert optimum is not None
    out = optimum.theta + delta
    for k, p in enumerate(posterior.specification.system.hypers):
        at = optimum.theta[k]
        if optimum.boundary[k]:
            out[k] = at
        elif p.positive and at > 0.0:
            out[k] = at * np.exp(delta[k] / at)
        elif p.kind == "cor" and abs(at) < 1.0:
            out[k] = np.tanh(np.arctanh(at) + delta[k] / (1.0 - at * at))
        else:
            low, high = p.prior.support
            out[k] = min(max(out[k], low), high)
    return out
