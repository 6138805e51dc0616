"""Functions of the model's quantities over scenarios: their value at a (theta, x), their derivative in x.

An estimand takes the model to one or more *scenarios* (tables, perhaps changed), reads a quantity of every group
there, averages over groups, and contrasts the averages. A posterior
(:mod:`.base`) makes draws of it, or its standard error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse

from ..families.base import Quantity
from ..model.specification import Specification
from ..numerics.differences import central
from ..table.memberships import Tables
from .design import Predictor, Scenario, scenario_of, share_unseen
from .quantities import find_quantity

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
    specification : Specification
    scenarios : list of Scenario
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
        specification: Specification,
        scenarios: list[Scenario],
        quantity: Quantity,
        contrast: Contrast,
        average: Any,
        effects: str = "conditional",
        new_effects: str = "draw",
    ):
        self.specification = specification
        self.system = specification.system
        self.predictors = [Predictor(p, self.system) for p in share_unseen(scenarios, self.system.size)]
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

    def _moved(self, eta: np.ndarray, spread: np.ndarray, own: np.ndarray, h: float) -> np.ndarray:
        return self._quantities(eta + h, spread, own)

    def averages(self, theta: np.ndarray, x: np.ndarray, unseen: np.ndarray | None = None) -> np.ndarray:
        """Averages (scenarios, categories, rows)."""
        extended = self._extended(x, unseen)
        own = self.specification.own(theta, x)
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

    @property
    def reads_effects(self) -> bool:
        """Whether its value depends on the effects (of a baseline, too)."""
        return self.effects == "conditional" or self.system.expansion is not None

    @property
    def unseen(self) -> bool:
        """Whether effects that the fit has not seen add their population's variance."""
        return bool(self.new_effects == "draw" and self.fresh and self.effects == "conditional")

    def drawn(self, theta: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The contrast with unseen effects drawn from their population."""
        return self.value(theta, x, rng.standard_normal(self.fresh) if self.new_effects == "draw" else None)

    def slope_in_x(self, theta: np.ndarray, x: np.ndarray) -> Any:
        """Derivative of the value in the extended x: sparse (categories * rows, size + fresh)."""
        outer = self.contrast.of(self.averages(theta, x))[1]
        extended, own = self._extended(x, None), self.specification.own(theta, x)
        width = self.system.size + self.fresh
        total: Any = None
        for predictor, outer_slope in zip(self.predictors, outer, strict=True):
            eta = predictor.eta(theta, extended)
            spread = predictor.effect_spread() if self.integrated else eta
            matrix = predictor.matrix(width)
            if self.effects != "conditional":
                matrix = matrix @ _only_columns(width, self.system.kept, self.system.size)
            inner = central(partial(self._moved, eta, spread, own), 1e-5)
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
        out = sparse.lil_array((rows, width))
        if self.system.expansion is not None and self.quantity.kind != "linear":
            for k in range(*self.system.places.effects(len(self.system.parts) - 1).indices(len(x))):
                step = np.zeros(len(x))
                step[k] = 1.0
                out[:, [k]] = central(lambda h, s=step: self.value(theta, x + h * s), 1e-5).reshape(-1, 1)
        return out.tocsr()


def _only_columns(width: int, start: int, stop: int) -> Any:
    """A diagonal that keeps the columns start to stop."""
    keep = np.zeros(width)
    keep[start:stop] = 1.0
    return sparse.diags_array(keep)


def of_groups(specification: Specification, tables: Tables | None, quantity: Quantity, new_effects: str) -> Estimand:
    """A quantity of each group, effects as estimated."""
    where = scenario_of(specification, tables)
    each = sparse.eye_array(where.groups, format="csr")
    return Estimand(specification, [where], quantity, only(quantity.scale), each, "conditional", new_effects)


def group_estimand(specification: Specification, tables: Tables | None, kind: str, new_effects: str) -> Estimand:
    """The same by the word for the quantity."""
    return of_groups(specification, tables, find_quantity(specification, kind), new_effects)
