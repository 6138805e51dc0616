"""Weights of a block whose coefficients vary over units: functions of theta and of the effects of the units.

On other tables units that the fit has not seen have effects of their own, which come last in an extended x.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from ..model.specification import Specification
from ..table.memberships import Tables
from .design import scenario_of


class UnitWeights:
    """Weights of the memberships of a block, on the tables of the fit or on others.

    Parameters
    ----------
    specification : Specification
    name : str
        Of the term with the effects of the weights.
    tables : Tables, optional
    """

    def __init__(self, specification: Specification, name: str, tables: Tables | None = None):
        scenario = scenario_of(specification, tables)
        k = specification.structures[name][0]
        self.part: Any = scenario.parts[k]
        self.rows, self.columns = scenario.rows[k], scenario.columns[k]
        self.fresh = scenario.fresh
        self.size = specification.system.size
        self.reads = specification.system.places.reads(k)
        self.scratch = self.part.scratch(gradient=False)
        self.slots, self.values = np.arange(len(self.rows)), np.zeros(len(self.rows))
        self.offset = np.zeros(self.part.first_row + self.part.row_count)

    def extended(self, x: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        """An x with effects of units that the fit has not seen: drawn, or zero."""
        fresh = np.zeros(self.fresh) if rng is None else rng.standard_normal(self.fresh)
        return np.concatenate([x, fresh])

    def __call__(self, theta: np.ndarray, extended: np.ndarray) -> np.ndarray:
        """Weights (memberships,)."""
        return self.with_slopes(theta, extended)[0].copy()

    def with_slopes(self, theta: np.ndarray, extended: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights, and their derivatives in the coefficients of their group (coefficients, memberships)."""
        self.offset[:] = 0.0
        self.part.fill(theta[self.reads], self.scratch, self.slots, self.values, self.offset)
        eta = self.offset + np.bincount(self.rows, self.values * extended[self.columns], len(self.offset))
        return self.part.weights_at(eta)

    def in_x(self, theta: np.ndarray, extended: np.ndarray) -> Any:
        """Derivative of the weights in the extended x: sparse (memberships, size + fresh)."""
        slopes = self.with_slopes(theta, extended)[1]
        membership, coefficient, row = self.part.reached()
        by_row = sparse.csr_array(
            (slopes[coefficient, membership], (membership, row)), shape=(slopes.shape[1], len(self.offset))
        )
        entries = (self.values, (self.rows, self.columns))
        return by_row @ sparse.csr_array(entries, shape=(len(self.offset), self.size + self.fresh))


def unit_weights(specification: Specification, block: str, tables: Tables | None = None) -> UnitWeights | None:
    """The weights of a block as functions of theta and x; None where they are functions of theta alone."""
    name = specification.members[block].weight_effects
    return UnitWeights(specification, name, tables) if name else None
