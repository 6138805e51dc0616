r"""Effects that have an entry in x although no row of the fit reaches them.

An area of a graph without data, an individual of a pedigree without records, the effect of a member in a role that it
never had: the data say of them only what their prior says given the effects that are reached,

.. math:: x_U \mid x_S \sim N(-D_{UU}^{-1} D_{US}\,x_S,\; D_{UU}^{-1}),

so that they are as unseen as the effects of a level that is new.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from ..latent.system import System
from ..model.specification import Specification
from .design import Predictor, scenario_of


class Idle:
    """Effects of one part that no row of the fit reaches.

    Parameters
    ----------
    system : System
    part : int
    unreached : (effects,) bool array
        Which of the part's effects these are.
    """

    def __init__(self, system: System, part: int, unreached: np.ndarray):
        self.structure = system.parts[part].structure
        self.own = system.places.effect_theta(part)
        self.place = system.places.effects(part)
        self.inside, self.outside = np.flatnonzero(unreached), np.flatnonzero(~unreached)
        self.columns = self.place.start + self.inside
        self._at: np.ndarray | None = None
        self._solve: Any = None
        self._across: Any = None

    def _factorise(self, theta: np.ndarray) -> None:
        own = theta[self.own]
        if self._at is not None and np.array_equal(self._at, own):
            return
        assert self.structure is not None
        if self._at is None or self.structure.varies:
            row, column = self.structure.precision_pattern()
            values = np.empty(len(row))
            self.structure.precision(own, values)
            shape = (self.structure.latents, self.structure.latents)
            lower = sparse.csr_array((values, (row, column)), shape=shape)
            full = sparse.csr_array(lower + sparse.tril(lower, -1).T)
            self._solve = splu(sparse.csc_array(full[self.inside][:, self.inside])).solve
            self._across = full[self.inside][:, self.outside]
        self._at = own.copy()

    def mean(self, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Their mean given the other effects of x."""
        self._factorise(theta)
        return -self._solve(self._across @ x[self.place][self.outside])

    def sample(self, theta: np.ndarray, rng: np.random.Generator, draws: int) -> np.ndarray:
        """Deviations from that mean (unreached, draws)."""
        self._factorise(theta)
        covariance = self._solve(np.eye(len(self.inside)))
        root = np.linalg.cholesky(0.5 * (covariance + covariance.T))
        return root @ rng.standard_normal((len(self.inside), draws))

    def variance(self, theta: np.ndarray, loads: Any) -> np.ndarray:
        """Variance (groups,) that they bring to linear predictors with these loadings, sparse (groups, unreached)."""
        self._factorise(theta)
        out = np.zeros(loads.shape[0])
        rows = np.flatnonzero(np.diff(loads.indptr))
        some = loads[rows].toarray()
        out[rows] = np.einsum("gu,ug->g", some, self._solve(some.T))
        return out


def _reached(specification: Specification, theta: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Parts with effects of a distribution, and which entries of x (size,) some row of the fit reads."""
    system = specification.system
    if system.scattered is not None:
        return [k for k in system.places.terms if system.parts[k].pooled], system.scattered.reached(system, theta)
    own, out = Predictor(scenario_of(specification, None), system), np.zeros(system.size, dtype=bool)
    own.entries(theta)
    for columns, values in zip(own.where.columns, own.values, strict=True):
        out[columns[values != 0.0]] = True
    return own.levels, out


def idle_effects(specification: Specification, theta: np.ndarray, wanted: np.ndarray) -> list[Idle]:
    """Parts with effects that no row of the fit reaches, where some of these are `wanted` (size,)."""
    system = specification.system
    levels, reached = _reached(specification, theta)
    out = []
    for part in levels:
        effects = system.places.effects(part)
        if np.any(wanted[effects] & ~reached[effects]):
            out.append(Idle(system, part, ~reached[effects]))
    return out
