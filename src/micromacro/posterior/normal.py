r"""Draws from the normal approximation around a maximum, for quantities without a simple standard error (ranks, say).

With V the covariance of theta (and of coefficients that are arguments of the likelihood) and H the factorised Hessian
in x,

.. math:: \theta = \hat\theta + \delta, \qquad x = \hat x + \frac{d\hat x}{d\theta}\delta + L^{-\prime} z,
   \qquad \delta \sim N(0, V),\; z \sim N(0, I),

which has the joint covariance that the standard errors come from. Positive parameters are drawn on the log scale,
correlations on Fisher's; an entry on its boundary stays there. Of an sd that is below its standard error the log scale
knows nothing: it is drawn plainly and folded at zero, as the likelihood is even in it. What is normal is an effect
u = sd x, not x, so that a linear predictor which the data know well keeps its spread:
:math:`\hat{sd}\,x + \hat x\,\delta_{sd}` is drawn and then divided by the sd drawn.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse, special
from scipy.sparse.linalg import splu

from ..effects.base import Effects
from ..engines.base import Draws, Optimum, Outcome, split
from ..engines.factor import Conditional
from ..errors import EngineError
from ..model.specification import Specification
from ..numerics.differences import relative_step, slopes
from ..parameters import HIGHEST


def normal_draws(outcome: Outcome, optimum: Optimum, draws: int, rng: np.random.Generator) -> Draws:
    """Draws (one chain) of the normal approximation at a maximum."""
    specification = outcome.specification
    system, p = specification.system, optimum.x_slope.shape[1]
    root = _root(optimum.covariance[:p, :p])
    conditional = Conditional(outcome)
    q, scaled = len(optimum.theta), _scales(specification, optimum)
    thetas, xs = np.empty((draws, q)), np.empty((draws, system.size))
    for d in range(draws):
        delta = np.empty(0)
        for attempt in range(200):
            delta = root @ rng.standard_normal(root.shape[1])
            thetas[d] = _moved(specification, optimum, delta[:q])
            own = specification.own(thetas[d], optimum.x)
            if specification.family.possible(own) and system.inside(thetas[d]):
                break
            if attempt == 199:
                raise EngineError(
                    "the normal approximation at the maximum lies outside the family's parameters, or where weights "
                    "are negative: use mcmc"
                )
        z = conditional.draw(rng)
        if p > q:  # coefficients are among the p already
            z[system.n_effects :] = 0.0
        xs[d] = optimum.x + optimum.x_slope @ delta + z
        for scale in scaled:
            xs[d][scale.place] = scale.latent(xs[d][scale.place], thetas[d], delta)
    return Draws(thetas[None], *split(xs[None], system.n_effects), np.zeros((1, draws)), {}, optimum.peaks)


def effects_given(outcome: Outcome, optimum: Optimum, made: Draws, rng: np.random.Generator) -> np.ndarray:
    """Effects (chain, draw, effects) of the normal approximation, given draws of theta and the coefficients.

    Draws of all of x are moved along its regression on the coefficients to those that are given.
    """
    specification, system = outcome.specification, outcome.specification.system
    effects, q = system.n_effects, len(optimum.theta)
    theta, b = made.theta.reshape(-1, q), made.coefficients.reshape(len(made.theta.reshape(-1, q)), -1)
    conditional, scaled = Conditional(outcome), _scales(specification, optimum)
    x, delta = conditional.draws(rng, len(theta)), theta - optimum.theta
    follows = conditional.on_coefficients()[:effects]
    for own, moved, given in zip(x, delta, b, strict=True):
        own += optimum.x + optimum.x_slope @ moved
        own[:effects] += follows @ (given - own[effects:])
        for scale in scaled:
            own[scale.place] = scale.latent(own[scale.place], optimum.theta + moved, moved)
    return x[:, :effects].reshape(*made.shape, effects)


def _root(covariance: np.ndarray) -> np.ndarray:
    """A matrix R with R R' = covariance, which may be singular."""
    values, vectors = np.linalg.eigh(0.5 * (covariance + covariance.T))
    return vectors * np.sqrt(np.maximum(values, 0.0))


class _Scale:
    """The effects of a part, whose normal distribution is carried over to the latent entries.

    With effects u = T(theta) x that distribution has the draw T(theta^) x + (dT/dtheta delta) x^; x is what makes it
    at the theta drawn. Where that is not one vector (an sd of zero, more latent entries than effects), x stays.
    """

    def __init__(self, specification: Specification, optimum: Optimum, part: int, structure: Effects):
        self.structure = structure
        self.place = specification.layout.latents(part)
        self.own = specification.system.places.effect_theta(part)
        theta, at, boundary = optimum.theta[self.own], optimum.x[self.place], optimum.boundary[self.own]
        self.matrix = self.structure.natural(theta)
        count = len(self.structure.labels()[0][1])
        sds = np.array([p.kind == "sd" for p in self.structure.hypers], dtype=bool)
        self.scaled = count == self.structure.latents and not np.any(boundary | (sds & (theta == 0.0)))
        self.slope = np.zeros((count, len(theta)))
        if self.scaled:
            steps = np.array([relative_step(t, 1e-6) for t in theta])
            self.slope = slopes(lambda t: structure.natural(t) @ at, theta, steps)

    def latent(self, x: np.ndarray, theta: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """Latent entries at a theta drawn, from those drawn at the estimate."""
        if not self.scaled:
            return x
        moved = self.slope @ delta[self.own]
        return splu(sparse.csc_array(self.structure.natural(theta[self.own]))).solve(self.matrix @ x + moved)


def _scales(specification: Specification, optimum: Optimum) -> list[_Scale]:
    """Of all parts with effects."""
    parts = [(k, s) for k, s in specification.structures.values() if specification.system.parts[k].effects]
    return [_Scale(specification, optimum, k, structure) for k, structure in parts]


def _moved(specification: Specification, optimum: Optimum, delta: np.ndarray) -> np.ndarray:
    """Theta moved by `delta` (natural scale), each entry on the scale of its intervals: log, Fisher's, logit."""
    out = optimum.theta + delta
    for k, p in enumerate(specification.system.hypers):
        at = optimum.theta[k]
        if optimum.boundary[k]:
            out[k] = at
        elif p.positive and at > 0.0:
            vague = p.kind == "sd" and optimum.covariance[k, k] > at * at
            out[k] = max(abs(out[k]), 1e-8 * at) if vague else at * np.exp(delta[k] / at)
        elif p.kind == "cor" and abs(at) < 1.0:
            drawn = np.tanh(np.arctanh(at) + delta[k] / (1.0 - at * at))
            out[k] = min(max(drawn, -HIGHEST), HIGHEST)
        elif p.share and 0.0 < at < 1.0:
            out[k] = special.expit(special.logit(at) + delta[k] / (at * (1.0 - at)))
        elif p.kind == "rho":
            out[k] = min(max(out[k], 0.0), HIGHEST)
        else:
            low, high = p.prior.support
            out[k] = min(max(out[k], low), high)
    return out
