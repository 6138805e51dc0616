r"""The marginal likelihood of one scalar term (1 | unit) by adaptive Gauss-Hermite quadrature, for held coefficients.

Given theta the effects of units are independent, and each row has one. With :math:`\hat b_j` the mode of an effect and
:math:`H_j` the curvature there, nodes t and weights w of the normal density,

.. math:: \log p(y \mid \theta) = \text{Laplace} + \sum_j \log \sum_k w_k
   \exp\{g_j(\hat b_j + t_k H_j^{-1/2}) - g_j(\hat b_j) + \tfrac12 t_k^2\},

g being the log joint density of an effect and the outcomes of its unit (Pinheiro and Bates 1995). Where an outcome
reads several rows (a choice among alternatives), all of them have the same effect, with loadings of their own. What is
added to Laplace's formula is small and smooth, so its slope is taken by central differences.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import logsumexp

from ...numerics.differences import slopes
from ..mode import Likelihood, ModeRoom
from ..system import System
from .laplace import STEP, LaplaceMarginal


def one_effect_a_row(system: System) -> bool:
    """Whether all effects are independent and each row of the linear predictor has one of them at most.

    Rows that the likelihood reads together must have the same one.
    """
    rows = np.repeat(np.arange(system.rows), np.diff(system.symbolic.row_start))
    effects = system.symbolic.order[system.symbolic.columns] < system.n_effects
    if system.varies or not _plain(system):
        return False
    if np.bincount(rows[effects], minlength=system.rows).max(initial=0) > 1:
        return False
    return system.meeting is None or _one_a_unit(
        system.meeting.blocks.unit[rows[effects]], system.symbolic.columns[effects]
    )


def _one_a_unit(unit: np.ndarray, column: np.ndarray) -> bool:
    """Whether all entries of a unit lie in one column."""
    _, first, place = np.unique(unit, return_index=True, return_inverse=True)
    return bool(np.all(column == column[first][place]))


def _plain(system: System) -> bool:
    """Whether the prior precision is diagonal."""
    return bool(np.array_equal(system.symbolic.d_row, system.symbolic.d_column))


class QuadratureMarginal(LaplaceMarginal):
    """Laplace's formula with what quadrature adds to it; coefficients are arguments beside theta.

    Parameters
    ----------
    nodes : int
        Of each effect; 1 is Laplace's formula.
    """

    def __init__(
        self, system: System, likelihood: Likelihood, values: np.ndarray, weight: np.ndarray | None, nodes: int,
        step: float = STEP,
    ):  # fmt: skip
        super().__init__(system, likelihood, values, weight, held=True, step=step)
        system = self.system  # that of the effects alone
        self.nodes, weights = np.polynomial.hermite_e.hermegauss(nodes)
        self.log_weights = np.log(weights / weights.sum())
        s = system.symbolic
        rows = np.repeat(np.arange(system.rows), np.diff(s.row_start))
        effects = np.flatnonzero(s.order[s.columns] < system.n_effects)
        self.entry, self.row, self.column = effects, rows[effects], s.columns[effects]
        self.of_effects = np.flatnonzero(s.order < system.n_effects)
        meeting = system.meeting
        units = self.row if meeting is None else meeting.blocks.unit[self.row]
        self.once = np.unique(units, return_index=True)[1]  # an entry of each set of rows with a density of its own

    def read_value(self, room: ModeRoom) -> float:
        return super().read_value(room) + self.added(room)

    def added(self, room: ModeRoom) -> float:
        """What quadrature adds to Laplace's formula at the mode in the work space; nothing there changes."""
        system, base, s = self.system, room.base, self.system.symbolic
        loading, size = base.values[self.entry], system.size
        precision = np.bincount(s.d_row, base.d_value, size)
        curvature = precision + self._curvature(room, loading)
        width = 1.0 / np.sqrt(curvature)
        out = np.empty((len(self.nodes), len(self.of_effects)))
        for k, t in enumerate(self.nodes):
            step = t * width
            room.trial_eta[:] = room.eta
            room.trial_eta[self.row] += loading * step[self.column]
            self.rows(room.trial_eta, room.own, room.trial_slopes)
            change = self.of_each(room.trial_slopes[0] - room.slopes[0])[self.row]
            gain = np.bincount(self.column[self.once], change[self.once], size)
            gain -= precision * step * (room.x - self.center + 0.5 * step)
            out[k] = (gain + 0.5 * t * t)[self.of_effects] + self.log_weights[k]
        return float(logsumexp(out, axis=0).sum())

    def _curvature(self, room: ModeRoom, loading: np.ndarray) -> np.ndarray:
        """Curvature of the log-likelihood in each entry of x."""
        if room.pairs is None:
            return np.bincount(self.column, -room.slopes[2][self.row] * loading**2, self.system.size)
        v = np.zeros(self.system.rows)
        v[self.row] = loading
        bent = self.curved(room, -room.slopes[2], v)
        return np.bincount(self.column, loading * bent[self.row], self.system.size)

    def read_slope(self, room: ModeRoom) -> np.ndarray:
        point = room.theta if room.coefficients is None else np.concatenate([room.theta, room.coefficients])
        spare: Any = self.workspace(gradient=False)
        start = room.x.copy()

        def added(at: np.ndarray) -> np.ndarray:
            spare.x[:] = start
            there = self.set_theta(at, spare) and self.update_factor(spare)
            return np.array([self.added(spare) if there else math.nan])

        slope = super().read_slope(room)
        own = range(self.own.start, self.own.stop)
        steps = np.array(
            [self._own_step(room.theta, k, room) if k in own else 1e-5 * max(1.0, abs(p)) for k, p in enumerate(point)]
        )
        return slope + slopes(added, point.copy(), steps)[0]
