r"""Draws of theta where the likelihood is had by iteration: no values, only scores, around the mode of its posterior.

In prior scores u the log posterior density is expanded around its maximum, where the score is zero. Along each
principal axis of the curvature there, z_k in posterior sds, the score is evaluated on either side, farther out
too where it is not that of a normal density. What its own entry has beside -z_k is integrated along the axis; the
others give the third derivatives that have two indices alike:

.. math:: \log p(u \mid y) \approx -\tfrac12 |z|^2 + \sum_k \Big( \int_0^{z_k} \{s_k(t) + t\}\,dt
   + \sum_{i \ne k} \tfrac12 T_{ikk} z_i z_k^2 \Big).

Draws from a t-distribution are resampled by their weights against that density. The coefficients, and the effects
whenever they are asked for (:mod:`micromacro.posterior.around`), are normal given theta, with the curvature at its mode
as precision and a mean that is linear in theta.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.interpolate import PchipInterpolator

from ..errors import EngineError
from ..latent.marginal.base import Marginal
from ..latent.representation.iterated import Iterated
from ..model.specification import Specification
from ..notes import Note, remark, trouble
from .base import Draws, Optimum, Outcome, Settings
from .coordinates import Scores
from .edges import Edge
from .likelihood.describe import describe
from .likelihood.maxima import more_starts, several
from .likelihood.problem import Problem
from .likelihood.stochastic import DIFFERENCE, FEW, Errors, Search, Zero, of_parameters, saying_where, unsolved
from .marginals import marginal_of, without_edges
from .mcmc.engine import check_proper, score_objective, score_starts
from .mcmc.lines import mean_beside_mode
from .mixtures import Reference
from .pareto import resample, smoothed
from .progress import StepsTaken
from .search import Counted, Peak
from .starting import starting_point

OUT = (1.5, 3.0, 4.5)  # posterior sds from the mode at which scores are looked at
PLAIN = 0.1  # by which a score may differ from a normal density's nearby, if nobody looks farther out
REACH = 2.5  # posterior sds beyond which derivatives across axes add nothing more
GRID = np.linspace(-9.0, 9.0, 901)  # on which scores along an axis are integrated
WIDEN, MORE = 1.15, 8  # of the t-distribution, and proposals for each draw
ATTEMPTS = 1000  # proposals among which one must have weights that are not negative
WIDEST = 2.0  # prior sds, of a posterior sd
POOR = 0.7  # Pareto k of the weights above which the expansion cannot be trusted


class PosteriorSearch(Search):
    """The maximum of the posterior density of the scores of theta, which is even where they end at zero."""

    small = 0.03

    def crosses(self, u: np.ndarray) -> bool:
        """Whether a score that ends at zero lies beyond it."""
        return bool(np.any(self._beyond(u)))

    def even(self, u: np.ndarray) -> np.ndarray:
        """The score of the density that goes on beyond zero as its mirror image."""
        inside, sign = self._mirrored(u)
        return sign * self.score(inside)

    def by_batches(self, u: np.ndarray) -> np.ndarray:
        inside, sign = self._mirrored(u)
        return sign * super().by_batches(inside)

    def step(self, u: np.ndarray, k: int) -> float:
        return DIFFERENCE * max(1.0, abs(u[k]))

    def errors(self, zero: Zero) -> Errors:
        return super().errors(replace(zero, free=np.ones(len(zero.u), dtype=bool)))

    def coefficient_variances(self) -> np.ndarray:
        """Logarithms of the coefficients' variances (c,) given theta, where the score was last evaluated."""
        block = self.problem.marginal.coefficient_covariance(self.problem.room)
        return np.log(np.maximum(np.diag(block), 1e-300))

    def _mirrored(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The point itself or its mirror image, and the signs by which scores are to be multiplied."""
        beyond = self._beyond(u)
        return np.where(beyond, -u, u), np.where(beyond, -1.0, 1.0)

    def _beyond(self, u: np.ndarray) -> np.ndarray:
        """Which scores that end at zero lie beyond it."""
        return self.problem.coordinates.folded & (u < 0.0)


@dataclass(frozen=True, eq=False)
class AroundPeak:
    """The log posterior density of u around its maximum.

    Attributes
    ----------
    center : (q,) array
    axes : (q, q) array
        u is center + axes z.
    along : (q, grid) array
        Log density along each axis, at ``GRID``.
    across : (q, q) array
        T_ikk at [i, k], zero on the diagonal.
    spread : (q, grid, c) array
        What the logarithms of the coefficients' sds given theta have along each axis beside that at the maximum.
    cut : bool
        Whether an axis was so long that it was cut to twice the prior's.
    missing : bool
        Whether there is no score on some side of the maximum.
    """

    center: np.ndarray
    axes: np.ndarray
    along: np.ndarray
    across: np.ndarray
    spread: np.ndarray
    cut: bool
    missing: bool

    @classmethod
    def around(cls, search: PosteriorSearch, zero: Zero, hessian: np.ndarray, prior_sd: np.ndarray) -> AroundPeak:
        """From the score and its derivative at the maximum, and from scores on both sides along the axes."""
        precision = -0.5 * (hessian + hessian.T) * np.outer(prior_sd, prior_sd)
        values, vectors = np.linalg.eigh(np.where(np.isfinite(precision), precision, 0.0))
        least = WIDEST**-2.0
        axes = prior_sd[:, None] * vectors / np.sqrt(np.maximum(values, least))
        q = len(prior_sd)
        along, across, missing = np.tile(-0.5 * GRID**2, (q, 1)), np.zeros((q, q)), False
        search.even(zero.u)
        at_mode = search.coefficient_variances()
        spread = np.zeros((q, len(GRID), len(at_mode)))
        for k, axis in enumerate(axes.T):
            z, scores, variances = _scores_along(search, zero.u, axes, k)
            if z.min(initial=0.0) == 0.0 or z.max(initial=0.0) == 0.0:
                missing = True
                continue
            along[k] = _integrated(z, scores[:, k] + z, float(axis @ (axis / prior_sd**2)))
            near = np.abs(z) == OUT[0]
            across[:, k] = 2.0 * scores[near].mean(axis=0) / OUT[0] ** 2
            across[k, k] = 0.0
            places = np.append(z, 0.0)
            logs = np.vstack([variances - at_mode, np.zeros(len(at_mode))])[np.argsort(places)]
            spread[k] = 0.5 * PchipInterpolator(np.sort(places), logs)(np.clip(GRID, z[0], z[-1]))
        return cls(zero.u, axes, along, across, spread, bool(np.any(values < least)), missing)

    def reference(self, folded: np.ndarray) -> Reference:
        """A t-distribution with the means and variances that the axes have one by one."""
        density = np.exp(self.along - self.along.max(axis=1, keepdims=True))
        density /= density.sum(axis=1, keepdims=True)
        mean = density @ GRID
        variance = density @ GRID**2 - mean**2
        scaled, middle = self.axes * np.sqrt(variance), self.center + self.axes @ mean
        middle[folded] = np.maximum(middle[folded], 0.0)  # else its draws may all be cut off
        return Reference.fit(middle, scaled @ scaled.T, folded, WIDEN, most=np.inf)

    def log_density(self, u: np.ndarray) -> np.ndarray:
        """Log density (n,) at some points (n, q), zero at the maximum."""
        z = self._along_axes(u)
        near = np.clip(z, -REACH, REACH)
        out = 0.5 * ((near @ self.across) * near**2).sum(axis=1)
        for own, values in zip(z.T, self.along, strict=True):
            out += np.interp(own, GRID, values)
        return out

    def times_wider(self, u: np.ndarray) -> np.ndarray:
        """How many times as wide the coefficients (n, c) are given some points (n, q) as they are given the maximum."""
        out = np.zeros((len(u), self.spread.shape[2]))
        for own, values in zip(self._along_axes(u).T, self.spread, strict=True):
            out += np.stack([np.interp(own, GRID, each) for each in values.T], axis=1) if values.size else 0.0
        return np.exp(out)

    def _along_axes(self, u: np.ndarray) -> np.ndarray:
        """z (n, q) of some points."""
        return np.linalg.solve(self.axes, (u - self.center).T).T


def _scores_along(
    search: PosteriorSearch, u: np.ndarray, axes: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Places (n,) along an axis, the scores (n, q) in z there, and the logarithms of the coefficients' variances.

    There are fewer on a side where there are no more scores, or where zero is crossed far from the mode.
    """
    found: dict[float, np.ndarray] = {}
    variances: dict[float, np.ndarray] = {}
    near = {sign: search.crosses(u + sign * OUT[0] * axes[:, k]) for sign in (1.0, -1.0)}
    for out in OUT:
        for z in (out, -out):
            if not near[np.sign(z)] and search.crosses(u + z * axes[:, k]):
                continue  # beyond zero there is the mirror image of a mode that is away from it
            score = axes.T @ search.even(u + z * axes[:, k])
            if np.all(np.isfinite(score)) and (out == OUT[0] or any(z * at > 0.0 for at in found)):
                found[z], variances[z] = score, search.coefficient_variances()
        if all(abs(score[k] + z) < PLAIN for z, score in found.items()):
            break
    order = sorted(found)
    return np.array(order), np.array([found[z] for z in order]), np.array([variances[z] for z in order])


def _integrated(z: np.ndarray, beside: np.ndarray, least: float) -> np.ndarray:
    """Log density at ``GRID``, of what a score has beside -z at some places; beyond them with the curvature `least`."""
    inside = np.clip(GRID, z[0], z[-1])
    slope = inside**2 * PchipInterpolator(z, beside / z**2)(inside) - inside - least * (GRID - inside)
    out = np.concatenate([[0.0], np.cumsum(0.5 * (slope[1:] + slope[:-1]) * np.diff(GRID))])
    return out - out[len(GRID) // 2]


def approximate_by_iteration(specification: Specification, settings: Settings) -> Outcome:
    """Approximate the posterior without a factor; ``draws`` says how many draws of theta and the coefficients."""
    began = time.perf_counter()
    check_proper(specification)
    problem = posterior_problem(replace(specification, probes=FEW), settings)
    factor = problem.marginal.factor
    assert isinstance(factor, Iterated) and isinstance(problem.coordinates, Scores)
    if settings.executor is not None:
        factor.spread(settings.executor)
    with StepsTaken(settings.progress) as shown:
        search = PosteriorSearch(problem, factor, shown)
        with saying_where(specification, search):
            zero, found, count, others = search.whole(_starts(problem))
            expansion = AroundPeak.around(search, zero, found.hessian, 1.0 / problem.coordinates.unit)
    problem.forget()
    value = problem.objective(zero.u)[0]
    free = ~(problem.coordinates.folded & (zero.u == 0.0))
    peak = Peak(zero.u, value, zero.score, found.hessian, free)
    mode = describe(problem, [peak])
    told = of_parameters(problem, mode, peak, found.covariance)
    approximate: Any = problem.marginal  # where x is not normal its mean lies beside its mode
    shift = np.zeros(len(mode.x))
    if not approximate.exact:
        shift = approximate.system.natural_order(mean_beside_mode(approximate, mode.theta, problem.room))
    rng = np.random.default_rng(np.random.SeedSequence(settings.random_seed))
    drawn = _draws_of_scores(expansion, problem, settings.draws, rng)
    theta = np.stack([problem.coordinates.theta(u) for u in drawn.scores])
    optimum, coefficients = _around(
        problem.marginal, problem.room, mode, shift, theta, expansion.times_wider(drawn.scores), rng
    )
    draws = Draws(
        theta[None], None, coefficients[None], log_posterior=value + drawn.value[None], stats={}, peaks=(value,),
        kept=np.empty(0, dtype=np.int64),
    )  # fmt: skip
    notes = several(specification, problem.coordinates, others)
    notes += _accuracy(problem, optimum, told, found, count, drawn.k)
    notes += _troubles(expansion, drawn.k) + unsolved(problem.marginal.base(problem.room).side.converged)
    extra = {
        "probes": count, "estimate_errors": told, "se_error": found.of_spread, "pareto_k_theta": drawn.k,
        "effective": drawn.effective,
    }  # fmt: skip
    final, seconds = replace(specification, probes=count), time.perf_counter() - began
    return Outcome("laplace", final, settings, seconds, optimum=optimum, draws=draws, notes=notes, extra=extra)


def posterior_problem(specification: Specification, settings: Settings) -> Problem:
    """The marginal posterior density of the scores of theta, to be maximised."""
    theta, _ = starting_point(specification, settings.start or {})
    edged, specification = specification.system, without_edges(specification)
    marginal, coordinates = marginal_of(specification, searched=True), Scores(specification.system.hypers)
    room = marginal.workspace()
    smooth = Counted(score_objective(marginal, coordinates, room))
    usual = np.array([p.start for p in specification.system.hypers])
    edge = Edge.of(edged, coordinates)
    return Problem(marginal, room, coordinates, theta, usual, smooth, coordinates.prior_slope, edge)


def _starts(problem: Problem) -> list[np.ndarray]:
    """The usual start or the user's, and others where they are cheap."""
    assert isinstance(problem.coordinates, Scores)
    starts = score_starts(problem.coordinates, problem.coordinates.from_theta(problem.start))
    return [problem.inside(u) for u in starts[: 1 + more_starts(problem)]]


@dataclass(frozen=True, eq=False)
class Scored:
    """Draws of the scores (n, q), their log density (n,), the Pareto k of their weights, what they are worth."""

    scores: np.ndarray
    value: np.ndarray
    k: float
    effective: float


def _draws_of_scores(expansion: AroundPeak, problem: Problem, count: int, rng: np.random.Generator) -> Scored:
    """Draws from the expanded density, cut at zero and at the edges of weights."""
    coordinates = problem.coordinates
    reference = expansion.reference(coordinates.folded)
    proposals, outside = [], 0
    while len(proposals) < MORE * count:
        u = reference.draw(rng)
        if problem.edge is None or problem.edge.system.inside(coordinates.theta(u)):
            proposals.append(u)
            continue
        outside += 1
        if outside > ATTEMPTS * (1 + len(proposals)):
            raise EngineError("the posterior of theta lies beyond the edge at which weights become negative: use mcmc")
    scores = np.stack(proposals)
    value = expansion.log_density(scores)
    weight, k = smoothed(value - np.array([reference.log_density(u) for u in scores]))
    picked = resample(weight, count, rng)
    return Scored(scores[picked], value[picked], k, float(1.0 / (weight @ weight)))


def _around(
    marginal: Marginal, room: object, mode: Optimum, shift: np.ndarray, theta: np.ndarray, times: np.ndarray,
    rng: np.random.Generator,
) -> tuple[Optimum, np.ndarray]:  # fmt: skip
    """What is known around the posterior mean of theta, and draws (n, c) of the coefficients.

    Given each theta (n, q) they are `times` (n, c) as wide as at the mode.
    """
    system = marginal.system
    q, effects = len(system.hypers), system.n_effects
    mean, slope = theta.mean(axis=0), mode.x_slope
    x = mode.x + shift + slope @ (mean - mode.theta)
    block, v = marginal.coefficient_covariance(room), np.atleast_2d(np.cov(theta.T))
    follows = slope[effects:]
    given = mode.x_variance - np.einsum("ik,kl,il->i", slope, mode.covariance[:q, :q], slope)
    covariance = np.block([[v, v @ follows.T], [follows @ v, block + follows @ v @ follows.T]])
    values, vectors = np.linalg.eigh(block)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    noise = times * (rng.standard_normal((len(theta), len(block))) @ root.T)
    block = block * (times.T @ times) / len(theta)
    optimum = replace(
        mode, theta=mean, x=x, covariance=covariance,
        x_variance=given + np.einsum("ik,kl,il->i", slope, v, slope),
        boundary=np.zeros(q, dtype=bool), flat=np.zeros((q + len(block), 0)),
    )  # fmt: skip
    return optimum, x[effects:] + (theta - mean) @ follows.T + noise


def _accuracy(
    problem: Problem, optimum: Optimum, told: np.ndarray, found: Errors, count: int, k: float
) -> list[Note]:  # fmt: skip
    """What the probes leave uncertain, and what is not checked."""
    spread = np.sqrt(np.maximum(np.diag(optimum.covariance), 0.0))
    share = float(np.max(told[spread > 0.0] / spread[spread > 0.0], initial=0.0))
    text = (
        f"Laplace approximation, solved by iteration with {count} probes; Monte Carlo errors: posterior means at most "
        f"{share:.2f} posterior sds, posterior sds at most {found.of_spread:.1%}; the density of theta is expanded "
        f"around its mode, and draws are weighted by that (Pareto k {k:.2f}), not by its values; given theta the "
        "effects are normal"
    )
    notes = [remark("monte-carlo", text)]
    if not problem.marginal.exact:
        text = (
            'not checked how good Laplace\'s formula is, which takes a factor: fit with solver="direct" if that is '
            "possible, or on fewer groups"
        )
        notes.append(remark("laplace-unchecked", text))
    return notes


def _troubles(expansion: AroundPeak, k: float) -> list[Note]:
    """What is poor about the expansion."""
    why = []
    if k > POOR:
        why.append(f"Pareto k {k:.2f} of its weights")
    if expansion.cut:
        why.append("its curvature at the mode does not bound it")
    if expansion.missing:
        why.append("there is no likelihood on one side of the mode")
    if not why:
        return []
    text = (
        f"the posterior density of theta is far from its expansion around the mode ({'; '.join(why)}): use mcmc, or "
        'solver="direct", if that is possible, or informative priors'
    )
    return [trouble("poor-approximation", text)]
