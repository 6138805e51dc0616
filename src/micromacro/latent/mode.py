r"""The latent system with any log-likelihood: its mode at a theta, and Laplace's approximation to the marginal.

Given theta the mode of :math:`\log p(y \mid x, \theta) + \log p(x \mid \theta)` is found by Newton steps that
cannot diverge: each is halved until the penalised log-likelihood rises. Where the likelihood is not log-concave
the true curvature is used if it leaves H positive definite, else the family's stand-in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..numerics.exposure import Exposure
from ..numerics.rows import quadratic
from .blocks import BlockPairs
from .coupling import Coupling
from .representation.base import Representation
from .system import System
from .workspace import Workspace

BLUNT, KINKED = 1e-6, 1.0  # one from which no step leads up at a mode; at a mode where the likelihood has a kink
BENT = 0.25  # share of the stand-in that is tried first where the true curvature will not do
LEAST = 1.0 / 64.0  # and the least
CRAWLS = 6  # steps in turn by the stand-in after which longer ones are tried
SURE = 10.0  # by how much a step may be longer than expected
SETTLED = 1e-16  # and of one so short that the Hessian before it serves after it


class Likelihood(Protocol):
    """What the latent system needs of a family (see ``families.base.Family``)."""

    @property
    def kinked(self) -> bool: ...

    def possible(self, own: np.ndarray) -> bool: ...

    def slopes(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None: ...

    def densities(self, values: np.ndarray, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> None: ...

    def weighed(self, values: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]: ...

    def exposure(self, values: np.ndarray) -> Exposure | None: ...


@dataclass
class ModeRoom:
    """Work space of one thread: that of the system, and arrays of the search.

    Attributes
    ----------
    base : Workspace
    x : (size,) array
        The mode last found, in elimination order; the next search may begin there.
    eta, trial_eta : (rows,) arrays
    slopes, trial_slopes : (4, rows) or (4, rows + pairs) arrays
        Log density, first and second derivative, positive curvature of each row, and of the pairs of rows of one unit.
    theta : (q,) array
        Theta last set, and the height of the penalised log-likelihood at the mode found there (``top``).
    own : (k,) or (k, groups) array
        The family's own numbers at the theta last filled.
    coefficients : (c,) array or None
        Held coefficients last set.
    iterations : int
        Newton steps of the last search.
    settled : bool
        Whether the factor in the work space is that of the true Hessian at the mode.
    crawled : int
        Steps in turn for which the true Hessian would not do.
    share : float
        Of the stand-in in the curvature of the next step, if the true one will not do.
    pairs : Coupling, BlockPairs or None
        Curvatures of pairs of rows, at the predictor of the factor.
    """

    base: Workspace
    x: np.ndarray
    eta: np.ndarray
    trial_eta: np.ndarray
    lift: np.ndarray
    slopes: np.ndarray
    trial_slopes: np.ndarray
    gradient: np.ndarray
    step: np.ndarray
    curvature: np.ndarray
    pull: np.ndarray
    theta: np.ndarray
    own: np.ndarray
    coefficients: np.ndarray | None = None
    top: float = math.nan
    iterations: int = 0
    settled: bool = False
    crawled: int = 0
    share: float = BENT
    pairs: Coupling | BlockPairs | None = None


class LatentPosterior:
    """Log joint density of the outcome and x at a theta, and its mode.

    Parameters
    ----------
    system : System
        Its last hyper parameters are the family's own.
    likelihood : Likelihood
    values : (c, rows) array
        Outcomes as the likelihood reads them.
    weight : (rows,) array or None
        Powers of the likelihood.
    held : bool
        Whether the coefficients are held: x is the effects alone, and the coefficients' part of the linear predictor
        goes into the offset (:meth:`fill`).
    factor : Representation, optional
        What is factorised; H itself by default.
    """

    def __init__(
        self,
        system: System,
        likelihood: Likelihood,
        values: np.ndarray,
        weight: np.ndarray | None = None,
        held: bool = False,
        factor: Representation | None = None,
    ):
        self.system = system = system.held() if held else system
        self.factor = factor or system.direct
        self.likelihood = likelihood
        values, weight = likelihood.weighed(np.ascontiguousarray(values, dtype=float), weight)
        self.values = values
        meeting = system.meeting
        if weight is not None and meeting is not None:
            weight = meeting.blocks.with_pairs(weight)
        self.weight = weight if weight is not None and np.any(weight != 1.0) else None
        self.left_out = np.flatnonzero(weight == 0.0) if weight is not None else np.empty(0, dtype=np.int64)
        self.close = self.factor.close
        self.blunt = KINKED if likelihood.kinked else BLUNT
        self.own = system.places.family
        self.held = held
        self.center, self.start = system.center, system.start
        if held:  # an identity block for the coefficients, which then stay at zero
            self.center, self.start = np.zeros(system.size), np.zeros(system.size)

    def workspace(self, gradient: bool = True) -> ModeRoom:
        """Fresh work space for one thread; a search begins at the system's own start."""
        n, size, slots = self.system.rows, self.system.size, self.system.slots
        base = self.system.workspace(gradient)
        self.factor.prepare(base, gradient)
        if self.held:
            base.d_value = base.d_value.copy()
            base.d_value[len(base.d_value) - len(self.system.coefficients) :] = 1.0
        pairs = self._pairs()
        if pairs is not None:
            base.side = pairs
        return ModeRoom(
            base=base,
            x=self.start.copy(),
            eta=np.empty(n),
            trial_eta=np.empty(n),
            lift=np.empty(n),
            slopes=np.empty((4, slots)),
            trial_slopes=np.empty((4, slots)),
            gradient=np.empty(size),
            step=np.empty(size),
            curvature=np.empty(slots),
            pull=np.empty(n),
            theta=np.empty(len(self.system.hypers)),
            own=np.empty(0),
            pairs=pairs,
        )

    def _pairs(self) -> Coupling | BlockPairs | None:
        """Work space for curvatures of pairs of rows, where there are any."""
        system = self.system
        if system.meeting is not None:
            return BlockPairs(self.likelihood, self.values, system.meeting, system.symbolic)
        exposure = self.likelihood.exposure(self.values)
        if exposure is None or system.cross is None:
            return None
        vary = bool(system.parts[-1].hypers)
        return Coupling(self.likelihood, self.values, exposure, system.cross, vary, system.symbolic)

    def fill(self, theta: np.ndarray, room: ModeRoom, coefficients: np.ndarray | None = None) -> bool:
        """Values of A and the offset at theta (and at held coefficients); False where theta is impossible."""
        if not np.all(np.isfinite(theta)):
            return False
        base, plain = room.base, not self.system.apart and not len(self.system.number_row)
        if plain and not self.possible(theta[self.own]):
            return False
        if not self.system.fill(theta, base):
            return False
        room.own = self.system.own(theta, base)
        if not plain and not self.possible(room.own):
            return False
        if self.held:
            assert coefficients is not None
            self.factor.hold(self.system, base, coefficients)
        return True

    def possible(self, own: np.ndarray) -> bool:
        """Whether the family's own numbers, those of all groups, are in their domain."""
        return self.likelihood.possible(own)

    def rows(self, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> float:
        """Fill `out` (4, rows or more) at a linear predictor and the family's own numbers; the log-likelihood."""
        self.likelihood.slopes(self.values, eta, own, out)
        with np.errstate(all="ignore"):  # what is not finite is seen by whoever asked
            if self.weight is not None:
                out[:, self.left_out] = 0.0  # whatever it is there, infinite perhaps
                out *= self.weight
            return float(out[0].sum())

    def densities(self, eta: np.ndarray, own: np.ndarray, out: np.ndarray) -> np.ndarray:
        """The first line of what :meth:`rows` fills, alone; `out` (4, rows or more) is room for it."""
        self.likelihood.densities(self.values, eta, own, out)
        if self.weight is not None:
            out[0, self.left_out[: out.shape[1]]] = 0.0
            out[0] *= self.weight
        return out[0]

    def of_each(self, density: np.ndarray) -> np.ndarray:
        """The log density that each row is read for (rows,), from the first line of ``slopes``."""
        meeting = self.system.meeting
        return density if meeting is None else meeting.blocks.sums(density)[meeting.blocks.unit]

    def penalty(self, x: np.ndarray, base: Workspace) -> float:
        """((x - m0)' D (x - m0) - log|D|) / 2 at the theta in the work space, D of the coefficients left out of |D|."""
        s, system = self.system.symbolic, self.system
        d = base.buffer[: system.size]
        np.subtract(x, self.center, out=d)
        return 0.5 * (quadratic(s.d_row, s.d_column, base.d_value, d) - base.log_det)

    def predict(self, room: ModeRoom, x: np.ndarray, out: np.ndarray) -> None:
        """Linear predictor at the values in the work space."""
        self.factor.times(room.base, x, out)
        out += room.base.offset

    def newton(self, room: ModeRoom, x: np.ndarray, curvature: np.ndarray) -> tuple[int, float]:
        """Factorise and solve for one Newton step at the slopes in the work space."""
        if room.pairs is not None:  # those of pairs of rows are at the predictor in the work space
            room.pairs.at(room.eta)
        return self.factor.newton_step(room.base, room.slopes[1], curvature, self.center, x, room.gradient, room.step)

    def factorise(self, room: ModeRoom, curvature: np.ndarray) -> bool:
        """Factorise H at the values in the work space and some curvatures; False where it is not positive definite."""
        if room.pairs is not None:
            room.pairs.at(room.eta)
        return self.factor.factorise(room.base, curvature) < 0

    def curved(self, room: ModeRoom, curvature: np.ndarray, v: np.ndarray) -> np.ndarray:
        """W v for numbers of the rows (rows,), W having some curvatures, those of pairs at the last factor or given."""
        out = curvature[: len(v)] * v
        return out if room.pairs is None else out + room.pairs.times(v, curvature)

    def direction(self, room: ModeRoom) -> float:
        """A Newton step at ``room.x``, by the true curvature if that works; returns its squared length."""
        np.negative(room.slopes[2], out=room.curvature)
        bad, decrement = self.newton(room, room.x, room.curvature)
        room.settled = bad < 0 and decrement < SETTLED and not self.factor.rough
        room.crawled = 0 if bad < 0 else room.crawled + 1
        if bad >= 0 and self.system.combines:
            bad, decrement = self._between(room)
        if bad >= 0:
            bad, decrement = self.newton(room, room.x, room.slopes[3])
        return math.nan if bad >= 0 else decrement

    def _between(self, room: ModeRoom) -> tuple[int, float]:
        """A step by a curvature between the true one and the stand-in: the nearest to the true one that works.

        The likelihood of members that combine is convex in many directions at once, where the stand-in alone is so
        steep that steps are a tenth of what they could be. The share of the stand-in that works is found by doubling,
        from half of what worked last.
        """
        share, bad, decrement = room.share, 0, math.nan
        while share < 1.0:
            np.multiply(room.slopes[2], share - 1.0, out=room.curvature)
            room.curvature += share * room.slopes[3]
            bad, decrement = self.newton(room, room.x, room.curvature)
            if bad < 0:
                room.crawled, room.share = 1, max(0.5 * share, LEAST)
                return bad, decrement
            share *= 2.0
        room.share = 0.5
        return bad, decrement

    def climb(self, theta: np.ndarray, room: ModeRoom, most: int = 100) -> float:
        """Newton steps from ``room.x`` to the mode at the values in the work space.

        Returns the penalised log-likelihood there; nan where no step worked.
        """
        self.predict(room, room.x, room.eta)
        value = self.rows(room.eta, room.own, room.slopes) - self.penalty(room.x, room.base)
        if not math.isfinite(value):
            room.x[:] = self.start
            self.predict(room, room.x, room.eta)
            value = self.rows(room.eta, room.own, room.slopes) - self.penalty(room.x, room.base)
        room.crawled, room.share, decrement = 0, BENT, math.inf
        for iteration in range(most):
            room.iterations, last = iteration + 1, decrement
            decrement = self.direction(room)
            if not math.isfinite(decrement) or not math.isfinite(value):
                return math.nan
            moved = self._line_search(theta, room, value, decrement)
            if moved is None:
                return value if decrement < self.blunt else math.nan
            value = moved
            if decrement < self.close or (room.crawled == 0 and self._arrives(decrement, last)):
                return value
        return value if decrement < self.blunt else math.nan

    def _arrives(self, decrement: float, last: float) -> bool:
        """Whether after a step of this squared length, and one before it, the next would be too short to be made.

        Lengths of Newton steps are squared from one to the next. Where the Hessian at the mode is factorised anyway.
        """
        if self.system.meeting is None or decrement > 1.0:
            return False
        return SURE * decrement**2 * max(1.0, decrement / last**2) < self.close

    def _line_search(self, theta: np.ndarray, room: ModeRoom, value: float, decrement: float) -> float | None:
        """Halve the step until the penalised log-likelihood rises enough; the new value, or None.

        After many steps by the stand-in, which is too steep where the likelihood is convex, it begins with a long one.
        """
        base = room.base
        self.factor.times(base, room.step, room.lift)
        size = 2.0 ** min(max(room.crawled - CRAWLS, 0), 8)
        start = room.x.copy()
        for _ in range(40):
            np.multiply(room.lift, size, out=room.trial_eta)
            room.trial_eta += room.eta
            trial = start + size * room.step
            new = self.rows(room.trial_eta, room.own, room.trial_slopes) - self.penalty(trial, base)
            if new >= value + 1e-4 * size * decrement - 1e-11 * (1.0 + abs(value)):
                room.x[:] = trial
                room.eta, room.trial_eta = room.trial_eta, room.eta
                room.slopes, room.trial_slopes = room.trial_slopes, room.slopes
                return new
            size *= 0.5
        return None
