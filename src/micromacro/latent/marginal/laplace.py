r"""Laplace's approximation to the marginal likelihood of theta, with its gradient.

.. math:: \log p(y \mid \theta) \approx \log p(y \mid \hat x, \theta) + \log p(\hat x \mid \theta)
   + \tfrac{n}{2}\log 2\pi - \tfrac12\log|H|,

H being the true negative Hessian at the mode. With ``held`` coefficients the integral is over the effects alone and
the coefficients are arguments beside theta: what lme4 calls nAGQ = 1. The third derivative of the likelihood and its
derivatives in the family's own parameters come from central differences of the family's kernel, row by row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...numerics.differences import central
from ...numerics.modes import latent_gradient, precision_slopes
from ...numerics.ragged import within
from ...numerics.rows import quadratic, times
from ..mode import LatentPosterior, Likelihood, ModeRoom
from ..representation.base import Representation
from ..system import System
from ..workspace import Workspace
from .base import Marginal

LOG_2PI = math.log(2.0 * math.pi)
STEP = 1e-4  # of differences in a linear predictor with a spread of about one
SINGULAR = 0.1  # share of the prior's precision below which that of the posterior counts as none


class LaplaceMarginal(LatentPosterior, Marginal):
    """Approximate log marginal likelihood as a function of theta (and of the coefficients where they are held).

    A *point* is theta, followed by the coefficients where they are held. Each search for the mode begins at the mode
    last found in the work space.

    Parameters
    ----------
    step : float
        Of differences in the linear predictor, in its units.
    """

    exact = False

    def __init__(
        self,
        system: System,
        likelihood: Likelihood,
        values: np.ndarray,
        weight: np.ndarray | None = None,
        held: bool = False,
        factor: Representation | None = None,
        step: float = STEP,
    ):
        super().__init__(system, likelihood, values, weight, held, factor)
        self.step = step
        self.arguments = (*system.hypers, *(system.coefficients if held else ()))

    def base(self, room: ModeRoom) -> Workspace:
        return room.base

    def split(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Theta and the held coefficients of a point."""
        q = len(self.system.hypers)
        return point[:q], (point[q:] if self.held else None)

    def set_theta(self, point: np.ndarray, room: ModeRoom) -> bool:
        room.theta, room.coefficients = self.split(point)
        return self.fill(room.theta, room, room.coefficients)

    def update_factor(self, room: ModeRoom) -> bool:
        """Climb to the mode and factorise H there; leaves mode, slopes and factor in the room."""
        room.top = self.climb(room.theta, room)
        if not math.isfinite(room.top):  # from where the search is known to begin well
            room.x[:] = self.start
            room.top = self.climb(room.theta, room)
        if not math.isfinite(room.top) or not self.settle(room):
            room.x[:] = self.start
            return False
        return True

    def read_value(self, room: ModeRoom) -> float:
        system = self.system
        constant = 0.0 if self.held else 0.5 * (system.log_det_coefficients + system.flat * LOG_2PI)
        return room.top + constant - 0.5 * self.factor.log_determinant(room.base, system.size)

    def x(self, room: ModeRoom) -> np.ndarray:
        out = self.system.natural_order(room.x)
        if room.coefficients is not None:
            out[self.system.n_effects :] = room.coefficients
        return out

    def pull(self, point: np.ndarray, room: ModeRoom) -> np.ndarray:
        base, out = room.base, np.zeros(self.system.size)
        with np.errstate(all="ignore"):
            if self.set_theta(point, room):
                self.predict(room, room.x, room.trial_eta)
                self.rows(room.trial_eta, room.own, room.trial_slopes)
                self.factor.latent_gradient(base, self.center, room.x, room.trial_slopes[1], out)
        return out

    def settle(self, room: ModeRoom) -> bool:
        """Factorise the true Hessian at the mode; False where it is not positive definite, or hardly so.

        Where two modes of the effects are about to become one, a curvature goes through zero, and the formula's value
        to infinity: nothing near such a place is a likelihood.
        """
        bent = bool(np.any(room.slopes[2] > 0.0))
        if bent and not self.firm(room, SINGULAR):
            return False
        if room.settled and not bent:
            return True
        np.negative(room.slopes[2], out=room.curvature)
        return self.factorise(room, room.curvature)

    def breaks_down(self, point: np.ndarray, room: ModeRoom) -> bool:
        """Whether a point is next to those that have no value because H is hardly positive definite there."""
        with np.errstate(all="ignore"):
            return math.isfinite(self.value(point, room)) and not self.firm(room, 2.0 * SINGULAR)

    def firm(self, room: ModeRoom, share: float) -> bool:
        """Whether H at the mode is positive definite without a share of the prior's precision; spends the factor."""
        base = room.base
        d = base.d_value
        base.d_value = (1.0 - share) * d
        np.negative(room.slopes[2], out=room.curvature)
        try:
            return self.factorise(room, room.curvature)
        finally:
            base.d_value = d

    def back(self, theta: np.ndarray, mode: np.ndarray, room: ModeRoom) -> None:
        """Put mode, slopes and factor of a theta into the work space again, from the mode that :meth:`value` found."""
        self.fill(theta, room)
        room.x[:] = mode
        self.predict(room, room.x, room.eta)
        self.rows(room.eta, room.own, room.slopes)
        room.settled = False
        self.settle(room)

    def read_slope(self, room: ModeRoom) -> np.ndarray:
        theta, coefficients = room.theta, room.coefficients
        s, base = self.system.symbolic, room.base
        shift, row = self.skewness(theta, room)
        self.factor.laplace_slopes(base, room.x, shift, row, room.slopes[1], room.slopes[2], room.pull)
        if room.pairs is not None:
            self._pair_slopes(room, row)
        if self.system.varies:
            np.subtract(room.x, self.center, out=base.buffer[: self.system.size])
            entries = self.factor.entries_of_d(base)
            precision_slopes(s.d_row, s.d_column, *entries, base.buffer[: self.system.size], shift, base.d_entry)
        q = len(theta)
        out = np.zeros(len(self.arguments))
        if coefficients is not None:
            out[q:] = self.factor.held_slopes(self.system, base, coefficients)
        self._beside_slopes(theta, room, row)
        of_family = self._number_slopes(theta, room, row)
        out[:q] = self.system.pull(theta, base)
        out[self.own] = self._own_slopes(theta, room, row, of_family)
        return out

    def skewness(self, theta: np.ndarray, room: ModeRoom) -> tuple[np.ndarray, np.ndarray]:
        """lambda = H^-1 A'(h l''' / 2), how far the mean lies from the mode to first order, and A lambda.

        Fills leverages, H^-1 A' on the pattern of A, and ``room.pull`` (h l''' / 2).
        """
        base = room.base
        self.factor.slopes(base, self.system.size)

        def second(h: float) -> np.ndarray:
            self.rows(room.eta + h, room.own, room.trial_slopes)
            return room.trial_slopes[2].copy()

        if room.pairs is None:
            with np.errstate(all="ignore"):
                np.multiply(0.5 * base.leverage, central(second, self.step), out=room.pull)
        else:
            room.pairs.skew(room, self._rows_at(room), self.weight, self.step)
        self.factor.adjoint(base, room.pull, room.step, base.row)
        return room.step, base.row

    def _pair_slopes(self, room: ModeRoom, row: np.ndarray) -> None:
        """What pairs of rows add to the derivatives in the entries of A and in the offset."""
        assert room.pairs is not None
        s, base, pairs = self.system.symbolic, room.base, room.pairs
        more = pairs.times(row)
        base.d_offset -= more
        inner = base.slope[: len(s.columns)]
        inner -= np.repeat(more, np.diff(s.row_start)) * room.x[s.columns]
        pairs.settle(inner)

    def _rows_at(self, room: ModeRoom) -> Callable[[np.ndarray, np.ndarray], float]:
        """:meth:`rows` at the family's own numbers in the work space."""
        return lambda eta, out: self.rows(eta, room.own, out)

    def _own_slopes(
        self, theta: np.ndarray, room: ModeRoom, row: np.ndarray, of_family: np.ndarray | None
    ) -> np.ndarray:  # fmt: skip
        """Derivatives in the family's own parameters; `of_family` as :meth:`_number_slopes` says."""
        out = np.zeros(self.own.stop - self.own.start)
        moved, likelihood = theta.copy(), self.likelihood
        for j, k in enumerate(range(self.own.start, self.own.stop)):

            def along(h: float, k: int = k) -> np.ndarray:
                moved[k] = theta[k] + h
                own = self.system.own(moved, room.base)
                if of_family is not None:
                    return likelihood.family_slopes(self.values, room.eta, own)  # type: ignore[attr-defined]
                self.rows(room.eta, own, room.trial_slopes)
                return room.trial_slopes[:3].copy()

            with np.errstate(all="ignore"):  # a slope that is not finite is nan, and seen
                d = central(along, self._own_step(theta, k, room))
                if of_family is not None:
                    out[j] = float(np.sum(np.where(of_family == 0.0, 0.0, of_family * d)))  # whatever d is there
                else:
                    out[j] = float(d[0].sum() + 0.5 * room.base.leverage @ d[2] + row @ d[1, : len(row)])
            moved[k] = theta[k]
        return out

    def _beside_slopes(self, theta: np.ndarray, room: ModeRoom, row: np.ndarray) -> None:
        """Derivatives in the linear predictors of the family's parameters, group by group."""
        base = room.base
        for j, eta in enumerate(base.beside):
            at = eta.copy()

            def along(h: float, eta: np.ndarray = eta, at: np.ndarray = at) -> np.ndarray:
                eta[:] = at + h
                self.rows(room.eta, self.system.own(theta, base), room.trial_slopes)
                return room.trial_slopes[:3].copy()

            with np.errstate(all="ignore"):
                d = central(along, STEP)  # these are logarithms and logits
            eta[:] = at
            base.d_beside[j] = self._of_groups(d, base.leverage, row)

    def _of_groups(self, d: np.ndarray, leverage: np.ndarray, row: np.ndarray) -> np.ndarray:
        """What changes of the rows' (3, rows or more) log densities and derivatives do to the value, by group."""
        if self.system.meeting is None:
            return d[0] + 0.5 * leverage * d[2] + row * d[1]
        of_unit = self._of_units(d, leverage, row)
        return self.system.gather(self.system.meeting.blocks.on_rows(of_unit))

    def _of_units(self, d: np.ndarray, leverage: np.ndarray, row: np.ndarray) -> np.ndarray:
        """The same by unit, where these read several rows."""
        assert self.system.meeting is not None
        each = d[0] + 0.5 * leverage * d[2]
        each[: len(row)] += row * d[1, : len(row)]
        return self.system.meeting.blocks.sums(each)

    def _number_slopes(self, theta: np.ndarray, room: ModeRoom, row: np.ndarray) -> np.ndarray | None:
        """Derivatives in the numbers that parts fill: exact ones, or by one of each unit at a time.

        Returns those in the log density and its first and second derivatives (3, rows) of rows that a family says.
        """
        system, base = self.system, room.base
        if system.meeting is None:
            return None
        likelihood: Any = self.likelihood
        more = likelihood.number_slopes(self.values, room.eta, room.own, base.leverage, row, base.d_numbers)
        if more is not None:
            of_family = np.concatenate([np.ones((1, more.shape[1])), more])
            if self.weight is not None:
                base.d_numbers *= self.weight[system.number_row]
                of_family *= self.weight[: more.shape[1]]
            return of_family
        if not len(base.numbers):
            return None
        unit = system.meeting.blocks.unit[system.number_row]
        at, steps = base.numbers.copy(), 1e-5 * np.maximum(np.abs(base.numbers), 1e-2)
        turn = _turns(unit)
        for k in range(int(turn.max()) + 1):
            here = turn == k

            def along(h: float, here: np.ndarray = here) -> np.ndarray:
                base.numbers[here] = at[here] + h * steps[here]
                self.rows(room.eta, system.own(theta, base), room.trial_slopes)
                return room.trial_slopes[:3].copy()

            with np.errstate(all="ignore"):
                of_unit = self._of_units(central(along, 1.0), base.leverage, row)
            base.d_numbers[here] = of_unit[unit[here]] / steps[here]
            base.numbers[:] = at
        return None

    def _own_step(self, theta: np.ndarray, k: int, room: ModeRoom) -> float:
        """A step in one of the family's parameters that leaves it in its domain on both sides (cuts keep rising)."""
        least = 0.0 if self.system.hypers[k].positive else 1e-3
        h = 1e-5 * max(abs(theta[k]), least)
        moved = theta.copy()
        for _ in range(20):
            possible = True
            for side in (theta[k] + h, theta[k] - h):
                moved[k] = side
                possible = possible and self.possible(self.system.own(moved, room.base))
            if possible:
                break
            h *= 0.25
        return h

    def corrected_mean(self, theta: np.ndarray, room: ModeRoom, rounds: int = 4) -> np.ndarray:
        r"""Mean of x given theta, better than the mode (elimination order); after :meth:`value`.

        Keeps the covariance :math:`H^{-1}` and moves the centre to where the expected gradient under that normal
        is zero, :math:`A'E[l'(\eta)] = D(x - m_0)` with :math:`\eta_i \sim N(a_i'x + o_i, h_i)`: the mean of the
        best normal approximation with this covariance (van Niekerk and Rue 2024), by Newton steps with H.
        """
        s, base = self.system.symbolic, room.base
        shift, _ = self.skewness(theta, room)
        last = 5.0 * float(np.abs(shift).max(initial=0.0))
        root = np.sqrt(np.maximum(base.leverage, 0.0))
        x, eta = room.x.copy(), np.empty_like(room.eta)
        out = np.empty_like(x)
        pairs = None if room.pairs is None else room.pairs.expected(room, self._rows_at(room))
        for _ in range(rounds):
            self.predict(room, x, eta)
            expected = self._expected(eta, root, room) if pairs is None else pairs(eta)
            latent_gradient(
                s.row_start, s.columns, base.values, s.d_row, s.d_column, base.d_value, self.center, x, expected,
                room.step, out,
            )  # fmt: skip
            self.factor.solve(base, out)
            length = float(np.abs(out).max(initial=0.0))
            if pairs is not None and not length < last:  # a mean that is far from the mode: expectations run away
                break
            x, last = x + out, length
            if length < 1e-8:
                break
        return x

    def _expected(self, eta: np.ndarray, root: np.ndarray, room: ModeRoom) -> np.ndarray:
        """Means of the first derivatives of the rows, each at a normal predictor of its own."""
        out = np.zeros(len(eta))
        for node, weight in zip(_NODES, _WEIGHTS, strict=True):
            self.rows(eta + root * node, room.own, room.trial_slopes)
            out += weight * room.trial_slopes[1]
        return out

    def length(self, step: np.ndarray, room: ModeRoom) -> float:
        """Length of a step of x from the mode, in posterior sds; after :meth:`value`."""
        s = self.system.symbolic
        times(s.row_start, s.columns, room.base.values, step, room.lift)
        square = room.lift @ self.curved(room, -room.slopes[2], room.lift)
        square += quadratic(s.d_row, s.d_column, room.base.d_value, step)
        return math.sqrt(square) if square >= 0.0 else math.nan


def _turns(unit: np.ndarray) -> np.ndarray:
    """The number of each among those of its unit (m,)."""
    order = np.argsort(unit, kind="stable")
    count = np.bincount(unit)
    out = np.empty(len(unit), dtype=np.int64)
    out[order] = within(count)
    return out


_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
