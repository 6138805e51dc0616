r"""The log marginal likelihood :math:`\log p(y) = \log \int p(y \mid \theta)\,p(\theta)\,d\theta`, with its error.

Everything is a ratio of the unnormalised posterior to a normalised proposal. Theta moves in the scores of its priors
(:mod:`micromacro.engines.coordinates`), where the prior is a standard normal, doubled where it is folded at zero; the
proposal is a t fitted there, folded too. For a Gaussian outcome x is integrated exactly. Otherwise x goes along, with
the normal around its corrected conditional mean as proposal, and

.. math:: \frac{p(y, x, u)}{q(x \mid u)\,q(u)} = \frac{\tilde p(y \mid u)\,e^{f(x) - f(\hat x)}\,
   e^{\frac12 (x-c)'H(x-c)}\,p(u)}{q(u)},

with :math:`\tilde p` Laplace's approximation and f the log joint density in x. *Bridge sampling* (Meng and Wong 1996)
takes these ratios at draws from the posterior and from the proposal, *importance* sampling at the latter only,
*laplace* leaves x out of it. Priors of weight parameters end where weights would become negative; the integral is
divided by their mass up to there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from ..engines.base import Draws
from ..engines.coordinates import Scores
from ..engines.marginals import marginal_of
from ..engines.mcmc.chain import peak_scale
from ..engines.mcmc.engine import posterior_peaks
from ..engines.mixtures import Mixture, Reference
from ..engines.pareto import smoothed
from ..errors import EngineError, warn
from ..model.specification import Specification
from ..numerics.modes import unwhiten
from ..numerics.rows import quadratic, times
from ..parameters import Parameter
from ..priors import Normal, Prior
from .base import Posterior
from .intervals import check_whole
from .leaveout.scores import log_mean_exp

DF = 5.0
SCRAMBLES, POINTS = 4, 10  # of Sobol points, 2^10 each, for the mass of priors within an edge
METHODS = ("bridge", "importance", "laplace")


@dataclass(frozen=True)
class Evidence:
    """A log marginal likelihood.

    Attributes
    ----------
    value : float
        log p(y), with all constants.
    se : float
        Its Monte Carlo standard error.
    bias : float
        How far the importance estimate lies from it (laplace of an outcome that is not Gaussian; else 0).
    method : str
    pareto_k : float
        Shape of the tail of the importance weights: above 0.7, `se` is not to be believed (nan for bridge).
    """

    value: float
    se: float
    method: str
    bias: float = 0.0
    pareto_k: float = math.nan

    def __float__(self) -> float:
        return self.value

    def __repr__(self) -> str:
        more = f", Pareto k {self.pareto_k:.2f}" if math.isfinite(self.pareto_k) else ""
        if self.bias:
            more += f"; importance sampling corrects it by {self.bias:+.3f}"
        return f"log evidence {self.value:.3f} (Monte Carlo se {self.se:.3f}, {self.method}{more})"


def log_evidence(posterior: Posterior, method: str, draws: int, random_seed: int | None) -> Evidence:
    """Log marginal likelihood (see ``Fit.log_evidence``)."""
    s = posterior.specification
    if method not in METHODS:
        raise EngineError(f"method= is one of {', '.join(METHODS)}, not {method!r}")
    check_whole("draws", draws, 2)
    check_priors(s)
    rng = np.random.default_rng(random_seed)
    return _within(s, _estimated(posterior, method, draws, rng), rng)


def _estimated(posterior: Posterior, method: str, draws: int, rng: np.random.Generator) -> Evidence:
    """The integral of likelihood times priors over what is within the edges of weights."""
    s = posterior.specification
    if method == "laplace":
        return _laplace(s, draws, rng)
    made = posterior.drawn(f'method="{method}" needs draws: fit with engine="mcmc", or use method="laplace"').made
    if method == "importance":
        proposal = proposal_of(s, scores_of(s, made.theta))
        return _importance(Integrand(s, proposal), draws, rng)
    if not posterior.kind.chains:
        raise EngineError('bridge sampling needs exact draws: fit with engine="mcmc", or use method="importance"')
    return _bridge(s, made, draws, rng)


# -- priors ------------------------------------------------------------------------------------------------------------


def check_priors(specification: Specification) -> None:
    """Refuse flat priors, which leave the evidence without a constant; warn of vague ones, which decide it."""
    system = specification.system
    flat = [p.name for p in (*system.coefficients, *system.hypers) if not p.prior.proper]
    if flat:
        raise EngineError(
            f"there is no marginal likelihood under flat priors ({', '.join(flat)}): give these parameters proper "
            "priors"
        )
    vague = _vague(specification)
    if vague:
        warn(
            f"the priors of {', '.join(vague)} are vague, and the log evidence falls with the log of their width, "
            "whatever the data: use the default priors, or compare by loo"
        )


def _vague(specification: Specification) -> list[str]:
    """Parameters whose priors reach far beyond what the outcome's spread makes plausible."""
    s, system = specification, specification.system
    scale, _ = s.family.scale(s.response, s.offset)
    room = system.workspace(gradient=False)
    system.fill(np.array([p.start for p in system.hypers]), room)
    pattern = system.symbolic
    rows = np.repeat(np.arange(system.rows), np.diff(pattern.row_start))
    out = []
    for k, p in enumerate(system.coefficients):
        own = pattern.columns == pattern.position[system.n_effects + k]
        column = np.zeros(system.rows)
        column[rows[own]] = room.values[own]
        spread = 1.0 if p.kind == "Intercept" else float(np.std(column))
        if isinstance(p.prior, Normal) and p.prior.sd * spread > 25.0 * scale:
            out.append(p.name)
    return out + [
        p.name for p in system.hypers if p.positive and not p.fixed and p.prior.from_score(0.0) > 10.0 * max(scale, 1.0)
    ]


def ordered_mass(priors: list[Prior], points: int = 20_001) -> float:
    """Probability that independent draws from some priors come in rising order."""
    x = np.tan(np.linspace(-0.5, 0.5, points)[1:-1] * math.pi)
    x = x * max(abs(p.from_score(1.0) - p.from_score(-1.0)) for p in priors) + priors[0].from_score(0.0)
    below = np.ones(len(x))
    for prior in priors:
        mass = np.diff([float(prior.below(v)) for v in x])
        below = np.concatenate([[0.0], np.cumsum(0.5 * (below[1:] + below[:-1]) * mass)])
    return float(below[-1])


def _within(specification: Specification, found: Evidence, rng: np.random.Generator) -> Evidence:
    """With the priors of weight parameters cut at the edge where weights become negative, as they are drawn."""
    if not specification.system.edges:
        return found
    mass, error = mass_within(specification, rng)
    if not mass > 0.0:
        raise EngineError(
            "the priors of the weight parameters have next to no mass where no weight is negative, so their constant "
            "is unknown: give priors that allow for it, or signed = yes"
        )
    return replace(found, value=found.value - math.log(mass), se=math.hypot(found.se, error / mass))


def mass_within(specification: Specification, rng: np.random.Generator) -> tuple[float, float]:
    """Prior probability that no weight is negative, and its standard error, by scrambled Sobol points."""
    system, coordinates = specification.system, Scores(specification.system.hypers)
    read = np.unique(np.concatenate([np.arange(len(system.hypers))[system.places.reads(k)] for k in system.edges]))
    own = np.flatnonzero(np.isin(coordinates.free, read))
    if not len(own):
        return 1.0, 0.0
    from scipy.stats import qmc  # half a second, which few models need

    u = coordinates.from_theta(np.array([p.start for p in system.hypers]))
    shares = np.zeros(SCRAMBLES)
    for k in range(SCRAMBLES):
        points = special.ndtri(qmc.Sobol(len(own), rng=rng).random_base2(POINTS).clip(1e-12, 1.0 - 1e-12))
        for point in points / coordinates.unit[own]:
            u[own] = np.where(coordinates.folded[own], np.abs(point), point)
            shares[k] += system.inside(coordinates.theta(u)) / len(points)
    return float(shares.mean()), math.hypot(float(shares.std(ddof=1)) / math.sqrt(SCRAMBLES), 0.3 / 2**POINTS)


# -- the integrand and its proposal ----------------------------------------------------------------------------------


def scores_of(specification: Specification, theta: np.ndarray) -> np.ndarray:
    """Scores (..., q) of theta."""
    return np.apply_along_axis(Scores(specification.system.hypers).from_theta, -1, theta)


def folded_t(specification: Specification, center: np.ndarray, scale: np.ndarray) -> Reference:
    """A folded t of scores with centre and scale matrix."""
    folded = Scores(specification.system.hypers).folded
    return Reference.fit(center, scale, folded, df=DF, least=1e-10, most=math.inf)


def proposal_of(specification: Specification, scores: np.ndarray) -> Mixture:
    """The t with the mean and about the covariance of some scores (..., q)."""
    q = scores.shape[-1]
    flat = scores.reshape(math.prod(scores.shape[:-1]), q)
    scale = np.cov(flat.T).reshape(q, q)
    return Mixture((folded_t(specification, flat.mean(axis=0), scale),), np.ones(1))


class Integrand:
    """Log of posterior (unnormalised) over proposal, for a Gaussian outcome in theta, else in theta and x."""

    def __init__(self, specification: Specification, proposal: Mixture):
        self.s, self.proposal = specification, proposal
        self.system = specification.system
        self.coordinates = Scores(self.system.hypers)
        self.constant = _prior_constant(self.system.hypers, self.coordinates)
        self.marginal: Any = marginal_of(specification)
        self.exact = self.marginal.exact
        if not self.exact:
            self.marginal.close = 1e-12
        self.room = self.marginal.workspace(gradient=not self.exact)

    def theta_part(self, u: np.ndarray, theta: np.ndarray) -> float:
        """Marginal likelihood (Laplace's where it is not exact) times prior over proposal."""
        value = self.marginal.value(theta, self.room)
        return value + self.constant + self.coordinates.log_prior(u) - self.proposal.log_folded(u)

    def at(self, theta: np.ndarray, x: np.ndarray) -> float:
        """At a draw from the posterior, x in natural order."""
        first = self.theta_part(self.coordinates.from_theta(theta), theta)
        if self.exact or not math.isfinite(first):
            return first
        center = self.marginal.corrected_mean(theta, self.room)
        return first + self._x_part(theta, np.ascontiguousarray(x[self.system.symbolic.order]), center)

    def draw(self, rng: np.random.Generator, with_x: bool = True) -> tuple[float, float]:
        """At a draw from the proposal: the part of theta, and all of it."""
        u = self.proposal.draw_folded(rng)
        theta = self.coordinates.theta(u)
        first = self.theta_part(u, theta)
        if self.exact or not with_x or not math.isfinite(first):
            return first, first
        center = self.marginal.corrected_mean(theta, self.room)
        s, base = self.system.symbolic, self.room.base
        x = np.empty(self.system.size)
        z = rng.standard_normal(self.system.size)
        unwhiten(
            s.layout, base.panel, center, s.row_start, s.columns, base.values, base.offset, z, x, self.room.trial_eta
        )  # fmt: skip
        return first, first + self._x_part(theta, x, center)

    def _x_part(self, theta: np.ndarray, x: np.ndarray, center: np.ndarray) -> float:
        """f(x) - f(mode) + (x - c)'H(x - c) / 2, at the mode and factor in the work space."""
        room, base, s = self.room, self.room.base, self.system.symbolic
        top = float(room.slopes[0].sum()) - self.marginal.penalty(room.x, base)
        self.marginal.predict(room, x, room.trial_eta)
        here = self.marginal.rows(room.trial_eta, room.own, room.trial_slopes) - self.marginal.penalty(x, base)
        d = x - center
        times(s.row_start, s.columns, base.values, d, room.lift)
        square = float(room.lift @ self.marginal.curved(room, room.curvature, room.lift))
        square += quadratic(s.d_row, s.d_column, base.d_value, d)
        return here - top + 0.5 * square


def _prior_constant(hypers: tuple[Parameter, ...], coordinates: Scores) -> float:
    """What log_prior of the scores lacks to be a density: normal constants, units, folds, the order of cuts."""
    q = len(coordinates.unit)
    folds = int(coordinates.folded.sum())
    value = -0.5 * q * math.log(2.0 * math.pi) + float(np.log(coordinates.unit).sum()) + folds * math.log(2.0)
    cuts = [p.prior for p in hypers if p.kind == "cut"]
    return value - (math.log(ordered_mass(cuts)) if len(cuts) > 1 else 0.0)


# -- estimators --------------------------------------------------------------------------------------------------------


def _mean_of(logs: np.ndarray) -> tuple[float, float]:
    """Log of the mean of exponentials, and the standard error of it."""
    logs = np.where(np.isfinite(logs), logs, -np.inf)
    value = float(log_mean_exp(logs, 0))
    w = np.exp(logs - value)
    return value, float(np.std(w, ddof=1) / math.sqrt(len(w)))


def _importance(integrand: Integrand, draws: int, rng: np.random.Generator) -> Evidence:
    logs = np.array([integrand.draw(rng)[1] for _ in range(draws)])
    value, se = _mean_of(logs)
    return Evidence(value, se, "importance", pareto_k=smoothed(logs)[1])


def _laplace(specification: Specification, draws: int, rng: np.random.Generator) -> Evidence:
    peaks = posterior_peaks(specification)
    parts = [folded_t(specification, p.u, 1.2 * peak_scale(p)) for p in peaks]
    integrand = Integrand(specification, Mixture.of_peaks(parts, [p.value for p in peaks]))
    logs = np.array([integrand.draw(rng) for _ in range(draws)])
    value, se = _mean_of(logs[:, 0])
    bias = 0.0 if integrand.exact else _mean_of(logs[:, 1])[0] - value
    return Evidence(value, se, "laplace", bias, smoothed(logs[:, 1])[1])


def _bridge(s: Specification, made: Draws, draws: int, rng: np.random.Generator) -> Evidence:
    """Bridge sampling: the proposal is fitted to the first half of each chain, the second half is bridged to."""
    half = made.theta.shape[1] // 2
    if half < 20:
        raise EngineError(f"bridge sampling needs at least 40 draws per chain, not {made.theta.shape[1]}: draw more")
    proposal = proposal_of(s, scores_of(s, made.theta[:, :half]))
    integrand = Integrand(s, proposal)
    chains = len(made.theta)
    keep = np.unique(np.linspace(half, made.theta.shape[1] - 1, max(20, draws // chains)).astype(int))
    first = np.array([[integrand.at(made.theta[c, d], made.at((c, d))) for d in keep] for c in range(chains)])
    second = np.array([integrand.draw(rng)[1] for _ in range(draws)])
    value, se = bridge(first, second)
    return Evidence(value, se, "bridge")


def bridge(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Log of the normalising constant and its standard error.

    Parameters
    ----------
    first : (chain, draw) array
        Log of target over proposal at draws from the target.
    second : (draws,) array
        The same at draws from the proposal.

    Notes
    -----
    The optimal bridge of Meng and Wong (1996), iterated; its error is that of Frühwirth-Schnatter (2004), the target's
    part with the effective number of draws.
    """
    second = np.where(np.isfinite(second), second, -np.inf)
    n1, n2 = _effective(first), float(len(second))
    a, b = n1 / (n1 + n2), n2 / (n1 + n2)
    value = float(np.median(first))
    flat = first.ravel()
    for _ in range(1000):
        # log of a p + b q over q, with p = exp(l - value)
        top = float(log_mean_exp(second - np.logaddexp(math.log(a) + second - value, math.log(b)), 0))
        low = float(log_mean_exp(-np.logaddexp(math.log(a) + flat - value, math.log(b)), 0))
        moved = top - low
        done = abs(moved - value) < 1e-10
        value = moved
        if done:
            break
    f1 = np.exp(second - value - np.logaddexp(math.log(a) + second - value, math.log(b)))
    f2 = np.exp(-np.logaddexp(math.log(a) + first - value, math.log(b)))
    error = f1.var(ddof=1) / f1.mean() ** 2 / n2 + f2.var(ddof=1) / f2.mean() ** 2 / _effective(f2)
    return value, math.sqrt(error)


def _effective(values: np.ndarray) -> float:
    """Effective number of draws (chain, draw) for the mean of some values."""
    from arviz_stats.base.array import array_stats

    size: Any = array_stats.ess(values, chain_axis=0, draw_axis=1, method="mean")
    return float(size) if np.isfinite(size) else float(values.size)
