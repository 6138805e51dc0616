r"""Fast approximate Bayes: Laplace's marginal posterior of theta, normal conditionals of x with their mean corrected.

Theta is drawn from t-distributions at the maxima of its approximate marginal posterior (in prior scores) and
resampled by Pareto-smoothed importance weights (Vehtari et al. 2024). Given theta, x is normal with the Hessian's
inverse as covariance, around a mean that is better than the mode
(:meth:`~micromacro.latent.marginal.laplace.LaplaceMarginal.corrected_mean`); the correction is worked out at the
highest maximum and taken to be linear in the scores of theta around it. Two numbers say how far to trust the result:
the Pareto k of theta's weights, and that of the weights of (theta, x) together against the exact posterior.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from ..errors import EngineError
from ..latent.marginal.laplace import LaplaceMarginal
from ..latent.mode import ModeRoom
from ..model.specification import Specification
from ..notes import caution, remark
from ..numerics.cholesky import log_determinant
from ..numerics.modes import unwhiten
from .base import Draws, Outcome, Settings, split
from .coordinates import Scores
from .marginals import laplace_marginal, without_edges
from .mcmc.chain import peak_scale
from .mcmc.engine import check_proper, posterior_peaks
from .mcmc.lines import mode_and_shift
from .mixtures import Mixture, Reference
from .pareto import EQUAL, pareto_smoothed
from .search import Peak

WIDEN = 1.1
TRIES = 1000  # draws among which one must have weights that are not negative
LEAST = 25  # draws of which a fifth is a tail of five
POOR = 0.7  # a Pareto k of theta's weights above which they cannot be trusted


def fit_laplace(specification: Specification, settings: Settings) -> Outcome:
    """Approximate the posterior; ``draws`` says how many draws, in one chain."""
    began = time.perf_counter()
    check_proper(specification)
    rng = np.random.default_rng(np.random.SeedSequence(settings.random_seed))
    peaks = posterior_peaks(specification, settings.start)
    run = _Approximation(specification, peaks)
    proposals = run.propose(settings.draws, rng)
    smooth, k_theta = smoothed(proposals.weight)
    theta, x, value, joint = run.draw(proposals, resample(smooth, settings.draws, rng), rng)
    k_joint = smoothed(joint)[1]
    draws = Draws(
        theta[None],
        *split(x[None], specification.system.n_effects),
        log_posterior=value[None],
        stats={"log_weight": joint[None]},
        peaks=tuple(p.value for p in peaks),
    )
    accuracy = (
        f"Laplace approximation: Pareto k {k_theta:.2f} for theta, {k_joint:.2f} for theta and x together (below 0.7 "
        "the approximation is close to the posterior; above it, means and sds of single parameters may still be)"
    )
    notes = [remark("accuracy", accuracy)]
    if k_theta > POOR:
        text = (
            f"poor approximation: Pareto k {k_theta:.2f} for theta: the tails of its posterior (of sds, mostly) "
            "are cut short and effective sample sizes look too good: use mcmc"
        )
        notes.append(caution("poor-approximation", text))
    if len(peaks) > 1:
        text = f"the posterior of theta has {len(peaks)} local maxima; all of them were sampled"
        notes.append(remark("several-maxima", text))
    seconds = time.perf_counter() - began
    extra = {"pareto_k_theta": k_theta, "pareto_k": k_joint}
    return Outcome("laplace", specification, settings, seconds, draws=draws, notes=notes, extra=extra)


def check_tail(draws: int) -> None:
    """Refuse fewer draws than have a tail to which a Pareto distribution can be fitted."""
    if draws < LEAST:
        raise EngineError(f"Pareto smoothing needs {LEAST} draws or more (of all chains), not {draws}: raise draws=")


def smoothed(log_weight: np.ndarray) -> tuple[np.ndarray, float]:
    """Pareto-smoothed normalised weights and the shape k of their tail (0 for equal weights)."""
    if np.ptp(np.where(np.isfinite(log_weight), log_weight, -1e10)) >= EQUAL:
        check_tail(len(log_weight))
    smooth, k = pareto_smoothed(log_weight)
    w = np.exp(smooth)
    return w / w.sum(), k


def resample(weight: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Systematic resampling, in random order."""
    at = (np.arange(count) + rng.random()) / count
    return rng.permutation(np.minimum(np.searchsorted(np.cumsum(weight), at), len(weight) - 1))


@dataclass(frozen=True, eq=False)
class Proposals:
    """Proposed scores of theta and what was found at each.

    Attributes
    ----------
    scores : (n, q) array
    theta : (n, k) array
    weight : (n,) array
        Log importance weight against the approximate marginal posterior.
    value : (n,) array
        Log approximate marginal posterior.
    modes, x : (n, size) arrays
        Mode of x (elimination order), and a draw of x (natural order).
    joint : (n,) array
        Log weight of theta and x together against the exact posterior.
    """

    scores: np.ndarray
    theta: np.ndarray
    weight: np.ndarray
    value: np.ndarray
    modes: np.ndarray
    x: np.ndarray
    joint: np.ndarray


class _Approximation:
    """Proposals for theta at the maxima, the mode of x as a line in its scores, the correction likewise."""

    def __init__(self, specification: Specification, peaks: list[Peak]):
        self.system = specification.system
        self.coordinates = Scores(self.system.hypers)
        self.marginal: LaplaceMarginal = laplace_marginal(specification)
        self.room: ModeRoom = self.marginal.workspace(gradient=False)
        wide = 1.0 / self.coordinates.unit
        parts = [Reference.fit(p.u, peak_scale(p), self.coordinates.folded, WIDEN, wide) for p in peaks]
        self.mixture = Mixture.of_peaks(parts, [p.value for p in peaks])
        lines = mode_and_shift(laplace_marginal(without_edges(specification)), self.coordinates, peaks[0].u)
        if lines is None:
            raise EngineError("the Laplace approximation does not exist near its own maximum: use mcmc")
        self.mode, self.shift = lines
        self.at = np.empty(self.system.size)
        self.theta = np.empty(len(self.system.hypers))
        self.marginal.close = 1e-3  # moves log weights by less than 1e-4: the step that follows squares it

    def proposal(self, rng: np.random.Generator) -> np.ndarray:
        """A draw from the mixture, cut to what is within the edges of weights."""
        for _ in range(TRIES):
            u = self.mixture.draw(rng)
            if not self.system.edges or self.system.inside(self.coordinates.theta(u)):
                return u
        raise EngineError("the Laplace approximation lies beyond the edge at which weights become negative: use mcmc")

    def value(self, u: np.ndarray, start: np.ndarray) -> float:
        """Approximate log marginal posterior of the scores; mode and factor stay in the work space."""
        self.room.x[:] = start
        self.theta = self.coordinates.theta(u)
        return self.marginal.value(self.theta, self.room) + self.coordinates.log_prior(u)

    def propose(self, count: int, rng: np.random.Generator) -> Proposals:
        """Scores from the mixture, with all that the work space knows there."""
        q, size = len(self.coordinates.hypers), self.system.size
        theta = np.empty((count, len(self.theta)))
        scores, modes, x = np.empty((count, q)), np.empty((count, size)), np.empty((count, size))
        value, weight, joint = np.empty(count), np.empty(count), np.full(count, -math.inf)
        for i in range(count):
            scores[i] = self.proposal(rng)
            value[i] = self.value(scores[i], self.mode.at(scores[i]))
            theta[i] = self.theta
            weight[i] = value[i] - self.mixture.log_density(scores[i])
            modes[i] = self.room.x
            if math.isfinite(value[i]):
                x[i], joint[i] = self.sample(scores[i], value[i], rng)
        return Proposals(scores, theta, weight, value, modes, x, joint)

    def sample(self, u: np.ndarray, value: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        """x (natural order) given the scores last evaluated, and the log weight of both against the exact posterior."""
        s, base, size = self.system.symbolic, self.room.base, self.system.size
        z = rng.standard_normal(size)
        mean = self.room.x + self.shift.at(u)
        unwhiten(
            s.layout, base.panel, mean, s.row_start, s.columns, base.values, base.offset, z, self.at,
            self.room.trial_eta,
        )  # fmt: skip
        exact = self.marginal.rows(self.room.trial_eta, self.theta, self.room.trial_slopes)
        exact -= self.marginal.penalty(self.at, base)
        half = 0.5 * log_determinant(s.layout, base.panel, size)
        # theta is resampled in proportion to its approximate marginal, so that cancels
        joint = exact + self.coordinates.log_prior(u) + 0.5 * float(z @ z) - half - value
        return self.system.natural_order(self.at), joint

    def draw(
        self, proposals: Proposals, picked: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Theta, x, log marginal and log joint weight of the picked proposals.

        A proposal picked for the first time has its x already; each time after it gets another one.
        """
        x, joint = proposals.x[picked].copy(), proposals.joint[picked].copy()
        again = np.ones(len(picked), dtype=bool)
        again[np.unique(picked, return_index=True)[1]] = False
        for i in np.flatnonzero(again):
            k = picked[i]
            self.theta = proposals.theta[k]
            self.marginal.back(self.theta, proposals.modes[k], self.room)
            x[i], joint[i] = self.sample(proposals.scores[k], float(proposals.value[k]), rng)
        return proposals.theta[picked], x, proposals.value[picked], joint
