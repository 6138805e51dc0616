r"""How good Laplace's formula is: importance sampling of x at a theta.

With c the corrected mean of x given theta, L the factor of H and :math:`x = c \pm s L^{-T} z`, z standard normal,

.. math:: \log\frac{p(y \mid \theta)}{\tilde p(y \mid \theta)} = \log E\, w(z), \qquad
   \log w = f(x) - f(\hat x) + \tfrac12 |z|^2 + n \log s ,

where :math:`\tilde p` is Laplace's formula and f the log joint density. Pairs z and -z cancel what is odd. A scale s a
little above one keeps the weights of few dimensions bounded where the likelihood saturates and the prior alone holds
the tails. In many dimensions log weights are sums of many small terms, so nearly normal: where few draws carry the mean
of the weights it is replaced by :math:`\exp(\mu + \sigma^2/2)` of their logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from ..latent.marginal.laplace import LaplaceMarginal
from ..latent.mode import ModeRoom
from ..numerics.modes import mirror

WIDE = 0.3  # s - 1 in one dimension; it falls with the root of their number
FEW = 0.1  # share of draws that carry the mean of the weights, below which their logarithms are taken for normal
BLOCKS = 8  # of the jackknife
LEAST, MOST = 32, 128  # pairs
ENOUGH = 0.02  # standard error of a log-likelihood that is small enough
POINTS, CHECKED = 24, 128  # draws of theta at which the approximation is checked, and pairs at each
FAR = 0.2  # posterior sds by which an end of an interval may be off
END = 1.96  # of a normal density; (END^2 - 1) / 6 of its skewness is how far an end moves (Cornish and Fisher 1938)


@dataclass(frozen=True)
class LaplaceError:
    """Log-likelihood minus that by Laplace's formula, at one point, with its Monte Carlo standard error."""

    value: float
    se: float


class Pairs:
    """Draws of x in pairs around its corrected mean, at the point last evaluated, with their log weights.

    Parameters
    ----------
    marginal : LaplaceMarginal
    room : ModeRoom
        Its work space; :meth:`at` reads mode and factor there.
    """

    def __init__(self, marginal: LaplaceMarginal, room: ModeRoom):
        self.marginal, self.room = marginal, room
        size = marginal.system.size
        self.dimensions = marginal.system.n_effects if marginal.held else size
        self.scale = 1.0 + WIDE / math.sqrt(max(self.dimensions, 1))
        self.x, self.work = np.empty(size), np.empty(size)
        self.theta, self.center = np.empty(0), np.empty(size)

    def at(self, theta: np.ndarray, shift: np.ndarray | None = None) -> None:
        """Make the point that was evaluated in the work space the one to draw at, around mode and shift.

        Where no shift is given it is worked out, for which the work space needs room for gradients.
        """
        self.theta = theta
        self.center = self.marginal.corrected_mean(theta, self.room) if shift is None else self.room.x + shift

    def draw(self, z: np.ndarray) -> tuple[float, float]:
        """Log weights of center + s L^-T z and of center - s L^-T z; ``x`` (elimination order) is the former."""
        room, marginal, s = self.room, self.marginal, self.marginal.system.symbolic
        base, panel = room.base, marginal.panel(room)
        own, other, _ = mirror(
            s.layout, panel, self.center, s.row_start, s.columns, base.values, base.offset, self.scale * z,
            s.d_row, s.d_column, base.d_value, marginal.center, self.x, self.work, room.lift, room.trial_eta,
        )  # fmt: skip
        constant = 0.5 * base.log_det - room.top + 0.5 * float(z @ z) + self.dimensions * math.log(self.scale)
        if marginal.held:  # coefficients stand still in an identity block
            still = z[s.position[marginal.system.n_effects :]]
            constant += 0.5 * float(still @ still) * (self.scale**2 - 1.0)
        away = marginal.rows(room.trial_eta, room.own, room.trial_slopes) - other + constant
        here = marginal.rows(room.lift, room.own, room.trial_slopes) - own + constant
        return here if math.isfinite(here) else -math.inf, away if math.isfinite(away) else -math.inf

    def one(self, pairs: int, rng: np.random.Generator) -> tuple[float, np.ndarray]:
        """Log mean weight of some pairs, and one x of them, drawn by weight.

        Without pairs x is normal given theta: a draw, with weight one.
        """
        if not pairs:
            self.scale = 1.0
            self.draw(rng.standard_normal(len(self.x)))
            return 0.0, self.x.copy()
        logs, made = np.empty((pairs, 2)), np.empty((pairs, len(self.x)))
        for k in range(pairs):
            logs[k] = self.draw(rng.standard_normal(len(self.x)))
            made[k] = self.x
        top = float(logs.max())
        if not math.isfinite(top):
            return -math.inf, self.center
        weight = np.exp(logs.ravel() - top)
        picked = min(int(np.searchsorted(np.cumsum(weight), rng.random() * weight.sum())), 2 * pairs - 1)
        x = made[picked // 2]
        return top + math.log(weight.mean()), (2.0 * self.center - x if picked % 2 else x)


def log_mean_weight(logs: np.ndarray) -> np.ndarray:
    """Logarithm of the mean of weights over the last two axes: pairs, and the two of each (..., pairs, 2)."""
    flat = logs.reshape(*logs.shape[:-2], -1)
    count = flat.shape[-1]
    plain = logsumexp(flat, axis=-1) - math.log(count)
    share = np.exp(2.0 * (plain + math.log(count)) - logsumexp(2.0 * flat, axis=-1)) / count
    finite = np.isfinite(flat).all(axis=-1)
    with np.errstate(invalid="ignore"):
        normal = flat.mean(axis=-1) + 0.5 * flat.var(axis=-1)
    return np.where((share < FEW) & finite, normal, plain)


def jackknife(logs: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Standard errors of a statistic of log weights (..., pairs, 2) by leaving out blocks of pairs."""
    blocks = np.array_split(np.arange(logs.shape[-2]), BLOCKS)
    each = np.array([statistic(np.delete(logs, block, axis=-2)) for block in blocks])
    return np.sqrt((BLOCKS - 1) / BLOCKS * ((each - each.mean(axis=0)) ** 2).sum(axis=0))


def error_at(marginal: LaplaceMarginal, room: ModeRoom, theta: np.ndarray) -> LaplaceError:
    """The error of Laplace's formula at the point last evaluated in the work space.

    Deterministic: the draws have a seed of their own. Pairs are added until the error is known well enough.
    """
    pairs, rng = Pairs(marginal, room), np.random.default_rng(np.random.SeedSequence(20))
    if not pairs.dimensions:
        return LaplaceError(0.0, 0.0)
    pairs.at(theta)
    logs: list[tuple[float, float]] = []
    with np.errstate(all="ignore"):
        while True:
            logs += [pairs.draw(rng.standard_normal(len(pairs.x))) for _ in range(max(len(logs), LEAST))]
            values = np.array(logs)
            value, se = float(log_mean_weight(values)), float(jackknife(values, log_mean_weight))
            if len(logs) >= MOST or se < max(ENOUGH, 0.1 * abs(value)):
                return LaplaceError(value, se)


# -- the engine `laplace` ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Accuracy:
    """How far an approximation may be off, by importance sampling of x at some draws of theta.

    Attributes
    ----------
    theta : float
        Standard deviation over the posterior of the error of the log-likelihood of theta: a bound for the shift of any
        posterior mean of theta, in posterior sds. ``theta_se`` is its Monte Carlo error.
    coefficients : float
        The largest shift of an end of a 95% interval of a coefficient, in posterior sds (0 without coefficients);
        ``coefficients_se`` is its Monte Carlo error.
    """

    theta: float
    theta_se: float
    coefficients: float = 0.0
    coefficients_se: float = 0.0

    @property
    def poor(self) -> bool:
        """Whether either is larger than can be overlooked, beyond its own error."""
        return self.theta - self.theta_se > FAR or self.coefficients - self.coefficients_se > FAR


def accuracy_at(
    marginal: LaplaceMarginal,
    room: ModeRoom,
    thetas: np.ndarray,
    lines: Sequence[tuple[np.ndarray, np.ndarray]],
    sd: np.ndarray,
) -> Accuracy:
    """Check the approximation at some draws of theta, with the same pairs at each.

    Parameters
    ----------
    thetas : (points, q) array
    lines : sequence of two (size,) arrays
        Of each: where to begin the search for the mode, and how far the mean lies from it.
    sd : (c,) array
        Posterior sds of the coefficients.
    """
    system, pairs = marginal.system, Pairs(marginal, room)
    c = len(system.coefficients)
    at = system.symbolic.position[system.n_effects :]
    z = np.random.default_rng(np.random.SeedSequence(21)).standard_normal((CHECKED, system.size))
    logs, away = np.full((len(thetas), CHECKED, 2), -np.inf), np.zeros((len(thetas), CHECKED, c))
    good = np.zeros(len(thetas), dtype=bool)
    for k, (theta, (mode, shift)) in enumerate(zip(thetas, lines, strict=True)):
        room.x[:] = mode
        if not math.isfinite(marginal.value(theta, room)):
            continue
        good[k] = True
        pairs.at(theta, shift)
        for j in range(CHECKED):
            logs[k, j] = pairs.draw(z[j])
            away[k, j] = (pairs.x - pairs.center)[at]
    logs, away = logs[good], away[good]
    if not len(logs):
        return Accuracy(math.inf, 0.0)
    normal = 0.5 * (1.0 - pairs.scale**2) * (z**2).sum(axis=1)  # log weights of the approximation itself
    error = float(log_mean_weight(logs).std()), float(jackknife(logs, lambda v: log_mean_weight(v).std()))
    if not c:
        return Accuracy(*error)
    blocks = np.array_split(np.arange(CHECKED), BLOCKS)
    rest = [np.delete(np.arange(CHECKED), block) for block in blocks]
    shifts = _shifts(logs, away, normal, sd)
    each = np.array([_shifts(logs[:, r], away[:, r], normal[r], sd) for r in rest])
    worst = int(np.argmax(shifts))
    own = each[:, worst]
    return Accuracy(*error, float(shifts[worst]), float(np.sqrt((BLOCKS - 1) * own.var())))


def _shifts(logs: np.ndarray, away: np.ndarray, normal: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """How far ends of intervals of the coefficients move by the weights (c,), in posterior sds."""
    w = np.exp(logs - logs.max(axis=(1, 2), keepdims=True))
    w /= w.sum(axis=(1, 2), keepdims=True)
    plain = np.exp(normal - normal.max())
    plain /= plain.sum()
    t = away / sd
    odd, even = w[..., 0] - w[..., 1], w[..., 0] + w[..., 1] - plain

    def mean(weight: np.ndarray, power: int) -> np.ndarray:
        return np.einsum("kj,kjc->c", weight, t**power) / len(t)

    shift = mean(odd, 1)
    ratio = np.sqrt(np.maximum(1.0 + mean(even, 2) - shift**2, 0.0))
    skewness = mean(odd, 3) - 3.0 * shift * np.einsum("j,kjc->c", plain, t**2) / len(t)
    return np.abs(shift) + END * np.abs(ratio - 1.0) + (END**2 - 1.0) / 6.0 * np.abs(skewness)
