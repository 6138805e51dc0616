r"""Fast approximate Bayes: Laplace's marginal posterior of theta, normal conditionals of x with their mean corrected.

Theta is drawn from t-distributions at the maxima of its approximate marginal posterior (in prior scores) and
resampled by Pareto-smoothed importance weights (Vehtari et al. 2024). Given theta, x is normal with the Hessian's
inverse as covariance, around a mean that is better than the mode
(:meth:`~micromacro.latent.marginal.laplace.LaplaceMarginal.corrected_mean`); the correction is worked out at the
highest maximum and taken to be linear in the scores of theta around it, as long as it is not much longer than there.

How far to trust the result is measured: by the Pareto k of theta's weights, and by what importance sampling of x at
some of the draws says of Laplace's formula and of the coefficients (:mod:`.accuracy`). Where that is poor, the t's are
refitted to what was seen, each theta gets several draws of x, and both are resampled by their weights against the exact
posterior; where these fail too, the fit is not ok. The Pareto k of (theta, x) together is reported, but it grows with
the number of effects and says little of single parameters.
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
from ..notes import Note, remark, trouble
from ..numerics.cholesky import log_determinant
from ..numerics.modes import unwhiten
from .accuracy import FAR, POINTS, Accuracy, Pairs, accuracy_at
from .around_mode import approximate_by_iteration
from .base import Draws, Outcome, Settings, split
from .coordinates import Scores
from .likelihood.integral import several_modes
from .marginals import has_exact_marginal, laplace_marginal, without_edges
from .mcmc.chain import peak_scale
from .mcmc.engine import check_proper, posterior_peaks
from .mcmc.lines import mean_beside_mode, mode_and_shift
from .mcmc.tuned import Fitter
from .mixtures import Mixture, Reference
from .pareto import resample, smoothed
from .search import Peak

WIDEN = 1.1
TRIES = 1000  # draws among which one must have weights that are not negative
POOR = 0.7  # a Pareto k of theta's weights above which they cannot be trusted
LITTLE = 0.5  # effective share of the draws below which the t's are refitted
ROUNDS = 3  # of refitting the t's where they are poor
MOVED = 0.2  # of a posterior sd: how much a mean or a sd may change in the last round
MORE = 2  # proposals for each draw then
LONGER, SHORT = 2.0, 0.25  # times its length at the maximum (0.25 at least) that a shift by its line is believed
PAIRS, FEWEST = 16, 4  # pairs of draws of x at each proposal, and so many at least
BUDGET = 1e8  # rows of the likelihood evaluated in a round, at most


@dataclass(frozen=True, eq=False)
class Found:
    """Draws, and what is known of their accuracy.

    Attributes
    ----------
    theta : (n, q) array
    x : (n, size) array
        In natural order.
    value, joint : (n,) arrays
        Log marginal posterior density of theta, and log weight of (theta, x) against the exact posterior.
    k : float
        Pareto k of theta's weights (reweighted: of those against the exact posterior).
    k_joint : float
        Of the weights of theta and x together.
    effective : float
        Number of draws without weights that would be worth as much.
    """

    theta: np.ndarray
    x: np.ndarray
    value: np.ndarray
    joint: np.ndarray
    k: float
    k_joint: float
    effective: float


def fit_laplace(specification: Specification, settings: Settings) -> Outcome:
    """Approximate the posterior; ``draws`` says how many draws, in one chain."""
    if specification.factor == "none":
        return approximate_by_iteration(specification, settings)
    began = time.perf_counter()
    check_proper(specification)
    rng = np.random.default_rng(np.random.SeedSequence(settings.random_seed))
    peaks = posterior_peaks(specification, settings.start)
    run = _Approximation(specification, peaks)
    proposals = run.propose(settings.draws, rng)
    found = run.resampled(proposals, settings.draws, rng)
    accuracy = run.check(found)
    notes: list[Note] = []
    if found.k > POOR or accuracy.poor or found.effective < LITTLE * settings.draws:
        better = run.better(proposals, settings.draws, rng)
        if better is not None:
            notes.append(remark("reweighted", _poor(found, accuracy) + _REWEIGHTED))
            found, accuracy = better, Accuracy(0.0, 0.0)
    notes += _verdict(found, accuracy)
    if not run.exact:
        notes += several_modes(run.marginal, run.marginal.workspace(), run.coordinates.theta(peaks[0].u))
    if len(peaks) > 1:
        text = f"the posterior of theta has {len(peaks)} local maxima; all of them were sampled"
        notes.append(remark("several-maxima", text))
    draws = Draws(
        found.theta[None],
        *split(found.x[None], specification.system.n_effects),
        log_posterior=found.value[None],
        stats={"log_weight": found.joint[None]},
        peaks=tuple(p.value for p in peaks),
    )
    seconds = time.perf_counter() - began
    extra = {"pareto_k_theta": found.k, "pareto_k": found.k_joint, "effective": found.effective}
    return Outcome("laplace", specification, settings, seconds, draws=draws, notes=notes, extra=extra)


_REWEIGHTED = (
    ", so the draws were weighted by the exact posterior density and resampled: they are draws from the posterior "
    "itself, up to the error that their effective sample sizes show"
)


def _poor(found: Found, accuracy: Accuracy) -> str:
    """What is poor about an approximation."""
    out = []
    if found.k > POOR:
        out.append(f"Pareto k {found.k:.2f} for theta")
    elif found.effective < LITTLE * len(found.theta):
        out.append(f"its {len(found.theta)} draws of theta are worth {found.effective:.0f}")
    if accuracy.theta - accuracy.theta_se > FAR:
        out.append(f"the error of the log-likelihood of theta varies by {accuracy.theta:.2f} over the posterior")
    if accuracy.coefficients - accuracy.coefficients_se > FAR:
        out.append(f"ends of intervals of coefficients are off by {accuracy.coefficients:.2f} posterior sds")
    return "Laplace's approximation is poor: " + ", ".join(out)


def _verdict(found: Found, accuracy: Accuracy) -> list[Note]:
    """What is to be said of the accuracy."""
    text = (
        f"Laplace approximation: Pareto k {found.k:.2f} for theta (below 0.7 its draws are close to the posterior), "
        f"{found.k_joint:.2f} for theta and x together (which grows with the number of effects)"
    )
    if accuracy.theta > 0.0:
        text += (
            f"; by importance sampling of the effects at {POINTS} draws of theta, means are off by at most "
            f"{accuracy.theta:.2f} posterior sds (Monte Carlo error {accuracy.theta_se:.2f})"
        )
    notes = [remark("accuracy", text)]
    if found.k > POOR or accuracy.poor:
        notes.append(trouble("poor-approximation", _poor(found, accuracy) + ": use mcmc"))
    return notes


def _moments(scores: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted means and standard deviations of the columns."""
    mean = weight @ scores
    return mean, np.sqrt(weight @ (scores - mean) ** 2)


def _moved(before: tuple[np.ndarray, np.ndarray], after: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether a posterior looks another one than it did, so that its t's were fitted to the wrong one."""
    (mean, sd), (again, spread) = before, after
    return bool(np.any(np.abs(again - mean) > MOVED * spread) or np.any(spread > (1.0 + MOVED) * sd))


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
        self.system, self.peaks = specification.system, peaks
        self.exact = has_exact_marginal(specification)
        self.coordinates = Scores(self.system.hypers)
        self.marginal: LaplaceMarginal = laplace_marginal(specification)
        self.room: ModeRoom = self.marginal.workspace()
        self.room.base.scratch = [part.scratch(False) for part in self.system.parts]  # no derivatives in theta here
        self.wide = 1.0 / self.coordinates.unit
        parts = [Reference.fit(p.u, peak_scale(p), self.coordinates.folded, WIDEN, self.wide) for p in peaks]
        self.mixture = Mixture.of_peaks(parts, [p.value for p in peaks]).reaching(self.wide)
        lines = mode_and_shift(laplace_marginal(without_edges(specification)), self.coordinates, peaks[0].u)
        if lines is None:
            raise EngineError("the Laplace approximation does not exist near its own maximum: use mcmc")
        self.mode, self.shift = lines
        self.at = np.empty(self.system.size)
        self.theta = np.empty(len(self.system.hypers))
        self.value(peaks[0].u, self.mode.at(peaks[0].u))
        self.near = LONGER * max(self.marginal.length(self.shift.at(peaks[0].u), self.room), SHORT)
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

    def shift_at(self, u: np.ndarray) -> np.ndarray:
        """How far the mean of x lies from its mode at the scores last evaluated: by the line, unless that leads far."""
        shift = self.shift.at(u)
        if self.marginal.length(shift, self.room) <= self.near:
            return shift
        return mean_beside_mode(self.marginal, self.theta, self.room)

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
        mean = self.room.x + self.shift_at(u)
        unwhiten(
            s.layout, base.panel, mean, s.row_start, s.columns, base.values, base.offset, z, self.at,
            self.room.trial_eta,
        )  # fmt: skip
        exact = self.marginal.rows(self.room.trial_eta, self.room.own, self.room.trial_slopes)
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

    def resampled(self, proposals: Proposals, count: int, rng: np.random.Generator) -> Found:
        """Draws by the weights of theta against its approximate marginal posterior."""
        smooth, k = smoothed(proposals.weight)
        theta, x, value, joint = self.draw(proposals, resample(smooth, count, rng), rng)
        return Found(theta, x, value, joint, k, smoothed(joint)[1], float(1.0 / (smooth @ smooth)))

    def check(self, found: Found) -> Accuracy:
        """Laplace's formula and the coefficients at some of the draws; without error where x is normal given theta."""
        if self.exact:
            return Accuracy(0.0, 0.0)
        rows = np.unique(np.linspace(0, len(found.theta) - 1, POINTS).astype(int))
        scores = [self.coordinates.from_theta(t) for t in found.theta[rows]]
        lines = []
        for u in scores:
            self.value(u, self.mode.at(u))
            lines.append((self.mode.at(u), self.shift_at(u)))
        sd = np.maximum(found.x[:, self.system.n_effects :].std(axis=0), 1e-300)
        with np.errstate(all="ignore"):
            return accuracy_at(self.marginal, self.room, found.theta[rows], lines, sd)

    def better(self, first: Proposals, count: int, rng: np.random.Generator) -> Found | None:
        """Draws by weights against the exact posterior, from t's refitted to what was seen; None where none are good.

        Each proposal gets several pairs of draws of x: the mean of their weights is the weight of its theta, and one of
        them is kept, by its weight.
        """
        proposals = MORE * count
        pairs = min(PAIRS, int(BUDGET / (2 * proposals * self.system.rows)))
        if self.exact:
            pairs = 0
        elif pairs < FEWEST:
            return None
        fitter = Fitter(self.coordinates.folded, self.wide, self.coordinates.folded)
        mixture = fitter.at_peaks([(p.u, peak_scale(p), p.value) for p in self.peaks])
        scores, value, weight = first.scores, first.value, smoothed(first.weight)[0]
        for left in reversed(range(ROUNDS)):
            seen = resample(weight, count, rng)
            before = _moments(scores, weight)
            mixture = fitter.to_seen(mixture, scores[seen], value[seen])
            wide = mixture.reaching(self.wide)
            scores = np.array([wide.draw(rng) for _ in range(proposals)])
            theta, x, value = self._weighed(scores, pairs, rng)
            weight, k = smoothed(value - np.array([wide.log_density(u) for u in scores]))
            if k <= POOR and not (left and _moved(before, _moments(scores, weight))):
                picked = resample(weight, count, rng)
                zero = np.zeros(count)  # of the weights against the exact posterior nothing is left
                return Found(theta[picked], x[picked], value[picked], zero, k, k, float(1.0 / (weight @ weight)))
        return None

    def _weighed(
        self, scores: np.ndarray, pairs: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Theta, x (natural order) and the log posterior density of theta, unbiased, at some scores."""
        theta = np.empty((len(scores), len(self.theta)))
        x, value = np.zeros((len(scores), self.system.size)), np.full(len(scores), -math.inf)
        draws = Pairs(self.marginal, self.room)
        with np.errstate(all="ignore"):
            for i, u in enumerate(scores):
                value[i] = self.value(u, self.mode.at(u))
                theta[i] = self.theta
                if math.isfinite(value[i]):
                    draws.at(self.theta, self.shift_at(u))
                    more, at = draws.one(pairs, rng)
                    value[i] += more
                    x[i] = self.system.natural_order(at)
        return theta, x, value
