r"""Groups alone, the hazards of their intervals integrated out: H less a term for each interval.

With G = A'WA + D for the diagonal of W, and with the curvatures of the intervals' terms in the columns of F
(:mod:`micromacro.families.hazards_out`), :math:`H = G - FF'`. Neighbouring columns of F are almost proportional to each
other, so F becomes :math:`V = FE` as in :mod:`micromacro.numerics.merging`, which takes away from what is subtracted
only. With :math:`G = LL'`, :math:`U = L^{-1}V` and the eigenvalues :math:`\gamma < 1` and vectors Q of :math:`U'U`,
the columns of :math:`Z = UQ` are orthogonal, and

.. math:: G - VV' = L (I - ZZ') L', \qquad \log|G - VV'| = \log|G| + \sum \log(1 - \gamma), \qquad
   (I - ZZ')^p = I + Z \operatorname{diag}\Big(\frac{(1 - \gamma)^p - 1}{\gamma}\Big) Z' .
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from ..numerics.cholesky import solve_lower, solve_upper, times_upper
from ..numerics.exposure import Exposure, over_groups, over_intervals
from ..numerics.merging import directions, lower_columns, pull_runs, run_begins
from ..numerics.symbolic import Symbolic
from .marginal.laplace import LaplaceMarginal
from .mode import ModeRoom
from .representation.base import Representation
from .representation.direct import direct
from .roots import Root
from .system import System
from .workspace import Workspace

RUNS = 4  # of neighbouring intervals that stand for one another; with 217 intervals, eigenvalues are off by 1 per cent


class PooledLikelihood(Protocol):
    """What a likelihood of groups alone supplies, beside what ``latent.mode.Likelihood`` asks for."""

    at_risk: Exposure

    def factors(self, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """f (groups,), S and c (intervals,) at a linear predictor of the groups."""
        ...

    def likely(self, eta: np.ndarray) -> np.ndarray:
        """The log hazards (intervals,) of the highest density given the groups."""
        ...


def groups_alone(system: System) -> System:
    """The same system without the part that has rows of its own, and without the entries of x that only these have."""
    made = System([*system.parts[:-1]], system.groups, system.hypers[system.places.family], system.base_offset)
    made.edges = system.edges
    return made


class Pooling:
    """What the intervals take from the curvature, at the predictor last given; work space of one thread.

    Attributes
    ----------
    z : (runs, size) array
        Z, transposed.
    left : (runs,) array
        1 less its eigenvalues.
    """

    def __init__(self, likelihood: PooledLikelihood, symbolic: Symbolic, runs: int):
        e = self.exposure = likelihood.at_risk
        self.likelihood, self.symbolic = likelihood, symbolic
        self.begin = run_begins(e, runs)
        groups, intervals, runs = len(e.low), len(e.length), len(self.begin) - 1
        self.run = np.repeat(np.arange(runs), np.diff(self.begin))
        self.f, self.c, self.spent = np.empty(groups), np.empty(intervals), np.empty(intervals)
        self.one, self.unit, self.cumulative = np.ones(intervals), np.empty(intervals), np.empty(intervals + 1)
        self.of_run, self.pulled = np.empty(runs), np.empty((symbolic.size, runs))
        self.z, self.left = np.zeros((runs, symbolic.size)), np.ones(runs)

    def at(self, eta: np.ndarray) -> None:
        """Take the curvatures at a linear predictor of the groups."""
        self.f, self.spent, self.c = self.likelihood.factors(eta)

    def times(self, v: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """What the intervals bring to W v."""
        of_intervals, out = np.empty(len(self.c)), np.empty(len(v))
        over_groups(self.exposure, self.f * v, of_intervals)
        over_intervals(self.exposure, self.c**2 * of_intervals, self.cumulative, out)
        return -self.f * out

    def lower(self, values: np.ndarray, panel: np.ndarray) -> bool:
        """Work out Z from the factor L of G; False where what is left is not positive definite."""
        s = self.symbolic
        directions(self.spent, self.c, self.begin, self.one, self.unit)
        pull_runs(
            self.exposure, s.row_start, s.columns, values, self.f, self.c * self.unit, self.begin, self.run,
            self.cumulative, self.of_run, self.pulled,
        )  # fmt: skip
        u = np.ascontiguousarray(self.pulled.T)
        lower_columns(s.layout, panel, u)
        gram = u @ u.T
        if not np.all(np.isfinite(gram)):
            return False
        gamma, q = np.linalg.eigh(gram)
        self.z, self.left = q.T @ u, 1.0 - gamma
        return bool(self.left[-1] > 0.0)

    def power(self, v: np.ndarray, gain: np.ndarray) -> None:
        """v gets Z diag(gain) Z'v added to it."""
        v += (gain * (self.z @ v)) @ self.z


class Pooled(Representation):
    """The factor of G in the panels, and beside it what the intervals take, in ``room.side``."""

    side = "effects"
    rough = True

    def __init__(self, symbolic: Symbolic):
        self.symbolic, self.of_rows = symbolic, direct(symbolic)
        self.work, self.dimension = self.of_rows.work, self.of_rows.dimension

    def prepare(self, room: Workspace, gradient: bool) -> None:
        self.of_rows.prepare(room, gradient)

    def factorise(self, room: Workspace, weight: np.ndarray) -> int:
        bad = self.of_rows.factorise(room, weight)
        return bad if bad >= 0 or room.side.lower(room.values, room.panel) else self.symbolic.size - 1

    def log_determinant(self, room: Workspace, leading: int) -> float:
        return self.of_rows.log_determinant(room, leading) + float(np.log(room.side.left).sum())

    def solve(self, room: Workspace, x: np.ndarray) -> None:
        layout, pooling = self.symbolic.layout, room.side
        solve_lower(layout, room.panel, x)
        pooling.power(x, 1.0 / pooling.left)
        solve_upper(layout, room.panel, x)


class PooledRoot(Root):
    r"""T = L^-T (I - ZZ')^(-1/2)."""

    @property
    def _pooling(self) -> Pooling:
        return self.room.base.side

    def log_size(self) -> float:
        return super().log_size() + 0.5 * float(np.log(self._pooling.left).sum())

    def spread(self, v: np.ndarray) -> None:
        root = np.sqrt(self._pooling.left)
        self._pooling.power(v, 1.0 / (root * (1.0 + root)))
        super().spread(v)

    def pull_back(self, v: np.ndarray) -> None:
        root = np.sqrt(self._pooling.left)
        super().pull_back(v)
        self._pooling.power(v, 1.0 / (root * (1.0 + root)))

    def whiten(self, v: np.ndarray) -> np.ndarray:
        out = v.copy()
        times_upper(self.posterior.system.symbolic.layout, self.room.base.panel, out)
        self._pooling.power(out, -1.0 / (1.0 + np.sqrt(self._pooling.left)))
        return out


class PooledMarginal(LaplaceMarginal):
    """The posterior of effects and coefficients, hazards integrated out.

    Its mean comes from that of the posterior with the hazards (`joint`), for which a better approximation is known.

    Parameters
    ----------
    system : System
        Without the rows of the intervals.
    likelihood : PooledLikelihood
    joint : LaplaceMarginal
        With the hazards, which are the last entries of its x.
    """

    def __init__(self, system: System, likelihood: Any, joint: LaplaceMarginal, runs: int = RUNS):
        self.runs = runs
        super().__init__(system, likelihood, np.empty((0, system.rows)), factor=Pooled(system.symbolic))
        self.joint = joint
        self._same = joint.system.symbolic.position[system.symbolic.order]  # places of x in that of the joint
        own = np.arange(system.size, joint.system.size)
        self._hazards = joint.system.symbolic.position[own]
        self._room: ModeRoom | None = None

    def _pairs(self) -> Any:
        likelihood: Any = self.likelihood
        return Pooling(likelihood, self.system.symbolic, self.runs)

    def root(self, room: ModeRoom) -> Root:
        """A square root of about the inverse of H in a work space."""
        return PooledRoot(self, room)

    def corrected_mean(self, theta: np.ndarray, room: ModeRoom, rounds: int = 4) -> np.ndarray:
        if self._room is None:
            self._room = self.joint.workspace()
        likelihood: Any = self.likelihood
        joint = self._room
        joint.x[self._same], joint.x[self._hazards] = room.x, likelihood.likely(room.eta)
        if not np.isfinite(self.joint.value(theta, joint)):
            return room.x.copy()
        return self.joint.corrected_mean(theta, joint, rounds)[self._same]
