"""Linear predictors of outcomes that are left out, effects and coefficients integrated out: drawn from the cavities."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ...engines.joint import linear_predictor
from ...errors import EngineError
from ...model.specification import Specification
from .integrated import Cavities
from .units import UnitPropagation


class Without(Protocol):
    """Of all outcomes, each left out, at one theta after the other."""

    def groups(
        self, theta: np.ndarray, x: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
        """Log density of each group's outcome, its linear predictor drawn (groups,), the family's own numbers."""
        ...

    def rows(self, theta: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Log density of each outcome, and all rows of the linear predictor drawn (rows,)."""
        ...


class SingleRows:
    """Where each outcome reads one row."""

    def __init__(self, specification: Specification):
        self.specification, self.cavities = specification, Cavities(specification)

    def rows(self, theta: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        cavity = self.cavities.at(theta)
        return cavity.log_density, cavity.mean + np.sqrt(cavity.variance) * rng.standard_normal(len(cavity.mean))

    def groups(
        self, theta: np.ndarray, x: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
        return *self.rows(theta, rng), self.specification.own(theta, x)


class UnitRows:
    """Where each outcome reads several rows: categories, a set of alternatives, predictors of parameters."""

    def __init__(self, specification: Specification):
        self.specification, self.propagation = specification, UnitPropagation(specification)

    def rows(self, theta: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        sites, blocks = self.propagation.at(theta), self.propagation.blocks
        if np.isnan(sites.log_mass).any():
            raise EngineError(
                "without the outcome of one group or set a coefficient under a flat prior is not determined, so there "
                "is no prediction for it: give the coefficients priors"
            )
        away = np.einsum("urd,ud->ur", sites.root, rng.standard_normal(sites.root[:, 0].shape))
        return sites.log_mass, (sites.mean + away)[blocks.unit, blocks.position]

    def groups(
        self, theta: np.ndarray, x: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
        density, rows = self.rows(theta, rng)
        system = self.specification.system
        assert system.beside is not None
        etas = rows.reshape(-1, self.specification.groups)
        return density, etas[0], system.beside.own(theta[system.places.family], etas[1:])


def rows_without(specification: Specification) -> Without:
    """What draws the predictors of left-out outcomes."""
    return SingleRows(specification) if specification.system.meeting is None else UnitRows(specification)


def rows_at(specification: Specification, theta: np.ndarray, x: np.ndarray, every: bool = False) -> np.ndarray:
    """Linear predictor (groups,) at a draw of theta and x; with `every`, of all rows (rows,)."""
    if not every:
        eta = linear_predictor(specification, theta, x)
        assert eta is not None
        return eta
    room = specification.system.workspace(gradient=False)
    specification.system.fill(theta, room)
    return specification.system.row_predictor(room, x)
