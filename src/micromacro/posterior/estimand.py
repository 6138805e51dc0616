r"""Functions of the model's quantities over scenarios: their value at a (theta, x), their draws, their standard errors.

An estimand takes the model to one or more *scenarios* (tables, perhaps changed), reads a quantity of every group
there, averages over groups, and contrasts the averages. With g its value, H the Hessian in x given theta, V the
covariance of theta and :math:`D = dg/d\theta + (dg/dx)(d\hat x/d\theta)`,

.. math:: \mathrm{Var}(g) = \frac{dg}{dx} H^{-1} \frac{dg}{dx}' + D V D'

(the delta method, joint in theta, coefficients and effects); effects that the fit has not seen add the variance of
their population.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from ..engines.factor import conditional_factor
from ..numerics.cholesky import inverse_quadratics
from .base import Posterior
from .design import Place, Predictor, share_unseen
from .intervals import normal_quantile
from .quantities import Quantity, back, transform

_STEP = 0.2
_NODES = np.arange(-10.0, 10.0 + 0.5 * _STEP, _STEP)
_NODE_WEIGHTS = np.exp(-0.5 * _NODES**2) / np.exp(-0.5 * _NODES**2).sum()

Slope = Callable[[np.ndarray], tuple[np.ndarray, list[np.ndarray]]]


@dataclass(frozen=True)
class Contrast:
    """How averages of scenarios are set against each other.

    Attributes
    ----------
    of : function
        From averages (scenarios, categories, rows) to a value (categories, rows) and its derivative in each scenario.
    scale : str
        Where the value's interval is made.
    """

    of: Slope
    scale: str = "plain"


def only(scale: str) -> Contrast:
    """No contrast: the one scenario itself."""
    return Contrast(lambda m: (m[0], [np.ones_like(m[0])]), scale)


class Estimand:
    """A contrast of averaged quantities.

    Parameters
    ----------
    posterior : Posterior
    places : list of Place
        The scenarios; all of the same groups.
    quantity : Quantity
    contrast : Contrast
    average : (rows, groups) sparse array
        Weights that sum to one in each row.
    effects : {"conditional", "zero", "marginal"}
        Effects as estimated, at zero, or integrated out over their population.
    new_effects : {"draw", "zero"}
        Effects that the fit has not seen (where they are conditional).
    """

    def __init__(
        self,
        posterior: Posterior,
        places: list[Place],
        quantity: Quantity,
        contrast: Contrast,
        average: Any,
        effects: str = "conditional",
        new_effects: str = "draw",
    ):
        self.posterior = posterior
        self.system = posterior.specification.system
        self.predictors = [Predictor(p, self.system) for p in share_unseen(places, self.system.size)]
        self.quantity, self.contrast, self.average = quantity, contrast, sparse.csr_array(average)
        self.effects, self.new_effects = effects, new_effects
        self.integrated = effects == "marginal" and quantity.kind != "linear"

    @property
    def fresh(self) -> int:
        """Number of effects that the fit has not seen, over all scenarios (they share them)."""
        return self.predictors[0].where.fresh

    def _extended(self, x: np.ndarray, unseen: np.ndarray | None) -> np.ndarray:
        out = np.concatenate([x, np.zeros(self.fresh) if unseen is None else unseen])
        if self.effects != "conditional":
            out[: self.system.kept] = 0.0
            out[self.system.size :] = 0.0
        return out

    def _quantities(self, eta: np.ndarray, spread: np.ndarray, own: np.ndarray) -> np.ndarray:
        """The quantity (categories, groups) at eta, or its mean over eta + spread z."""
        if not self.integrated:
            return self.quantity.of(eta, own)
        many = self.quantity.of(eta + np.multiply.outer(_NODES, spread), own)
        return np.tensordot(_NODE_WEIGHTS, many, axes=(0, 1))

    def averages(self, theta: np.ndarray, x: np.ndarray, unseen: np.ndarray | None = None) -> np.ndarray:
        """Averages (scenarios, categories, rows)."""
        extended = self._extended(x, unseen)
        own = self.posterior.specification.own(theta, x)
        out = []
        for predictor in self.predictors:
            eta = predictor.eta(theta, extended)
            spread = predictor.effect_spread() if self.integrated else eta
            out.append((self.average @ self._quantities(eta, spread, own).T).T)
        return np.stack(out)

    def value(self, theta: np.ndarray, x: np.ndarray, unseen: np.ndarray | None = None) -> np.ndarray:
        """The contrast (categories, rows)."""
        with np.errstate(all="ignore"):
            return self.contrast.of(self.averages(theta, x, unseen))[0]

    def draws(self, most: int, rng: np.random.Generator) -> np.ndarray:
        """The contrast at at most `most` draws (draws, categories, rows)."""
        theta, x = self.posterior.thinned(most)
        out = []
        for t, row in zip(theta, x, strict=True):
            unseen = rng.standard_normal(self.fresh) if self.new_effects == "draw" else None
            out.append(self.value(t, row, unseen))
        return np.stack(out)

    # -- the delta method ----------------------------------------------------------------------------------------------

    def delta(self) -> tuple[np.ndarray, np.ndarray]:
        """Value at the maximum and its standard error, each (categories, rows)."""
        optimum = self.posterior.outcome.optimum
        assert optimum is not None
        value = self.value(optimum.theta, optimum.x)
        q, p = len(optimum.theta), optimum.x_slope.shape[1]
        total = np.zeros((value.size, p))
        for k in range(p):
            if k < q and optimum.boundary[k]:
                continue
            h = 1e-5 * max(abs(optimum.theta[k]) if k < q else 1.0, 1e-2)
            sides = []
            for sign in (1.0, -1.0):
                theta = optimum.theta.copy()
                if k < q:
                    theta[k] += sign * h
                sides.append(self.value(theta, optimum.x + sign * h * optimum.x_slope[:, k]).ravel())
            total[:, k] = (sides[0] - sides[1]) / (2.0 * h)
        variance = optimum.variance(total, slice(0, p)) + self._conditional_variance()
        return value, np.sqrt(np.maximum(variance, 0.0)).reshape(value.shape)

    def _conditional_variance(self) -> np.ndarray:
        """Variance (categories * rows,) given theta, unseen effects included."""
        optimum = self.posterior.outcome.optimum
        assert optimum is not None
        slope = self._slope_in_x(optimum.theta, optimum.x)
        system, s = self.system, self.system.symbolic
        held = optimum.x_slope.shape[1] > len(optimum.theta)  # then the coefficients' part is in the slopes
        known = slope[:, : system.kept if held else system.size].tocsr()
        out = np.zeros(slope.shape[0])
        inverse_quadratics(
            s.layout, conditional_factor(self.posterior.outcome), known.indptr.astype(np.int64),
            s.position[known.indices], known.data, np.empty(system.size), out,
        )  # fmt: skip
        if self.new_effects == "draw" and self.fresh and self.effects == "conditional":
            unseen = slope[:, system.size :]
            out += np.asarray(unseen.multiply(unseen).sum(axis=1)).ravel()
        return out

    def _slope_in_x(self, theta: np.ndarray, x: np.ndarray) -> Any:
        """Derivative of the value in the extended x: sparse (categories * rows, size + fresh)."""
        outer = self.contrast.of(self.averages(theta, x))[1]
        extended, own = self._extended(x, None), self.posterior.specification.own(theta, x)
        width = self.system.size + self.fresh
        total: Any = None
        for predictor, outer_slope in zip(self.predictors, outer, strict=True):
            eta = predictor.eta(theta, extended)
            spread = predictor.effect_spread() if self.integrated else eta
            matrix = predictor.matrix(width)
            if self.effects != "conditional":
                matrix = matrix @ _only_columns(width, self.system.kept, self.system.size)
            h = 1e-5
            inner = self._quantities(eta + h, spread, own) - self._quantities(eta - h, spread, own)
            inner /= 2.0 * h
            rows = [
                sparse.diags_array(outer_slope[c]) @ (self.average @ (sparse.diags_array(inner[c]) @ matrix))
                for c in range(len(inner))
            ]
            block = sparse.vstack(rows, format="csr")
            total = block if total is None else total + block
        return sparse.csr_array(total + self._slope_through_own(theta, x, width))

    def _slope_through_own(self, theta: np.ndarray, x: np.ndarray, width: int) -> Any:
        """Derivative in the effects that the family's own numbers are made of (the steps of a baseline)."""
        rows = len(self.value(theta, x).ravel())
        part: Any = self.system.parts[-1]
        out = sparse.lil_array((rows, width))
        if self.system.expansion is not None and self.quantity.kind != "linear":
            for k in range(self.system.effect_start[-1], self.system.effect_start[-1] + part.effects):
                step = np.zeros(len(x))
                step[k] = 1e-5
                out[:, [k]] = ((self.value(theta, x + step) - self.value(theta, x - step)) / 2e-5).reshape(-1, 1)
        return out.tocsr()


def _only_columns(width: int, start: int, stop: int) -> Any:
    """A diagonal that keeps the columns start to stop."""
    keep = np.zeros(width)
    keep[start:stop] = 1.0
    return sparse.diags_array(keep)


def wald(value: np.ndarray, se: np.ndarray, ci: float, scale: str) -> tuple[np.ndarray, np.ndarray]:
    """Wald intervals made on a scale and carried back."""
    z = normal_quantile(ci)
    if scale == "plain":
        return value - z * se, value + z * se
    with np.errstate(all="ignore"):
        t, slope = transform(scale, value)
        width = z * se * slope
        low, high = back(scale, t - width), back(scale, t + width)
    inside = np.isfinite(t) & np.isfinite(width)
    here = np.where(np.isnan(se), np.nan, value)
    return np.where(inside, low, here), np.where(inside, high, here)
