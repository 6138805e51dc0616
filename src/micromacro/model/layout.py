"""Where the entries of theta and x are: one object that every reader asks.

By number of a part as in :class:`~micromacro.latent.places.Places`, which the latent system shares; by the name of a
term; and as the parameters of the tables, which are theta and the coefficients of x in another order and on the
user's scale.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from ..effects.base import Effects
from ..latent.beside import predictors_of
from ..latent.places import Places
from ..latent.system import System
from ..numerics.differences import slopes
from ..parameters import CLASSES, Parameter

ORDER = ("w", "aggregate", "sd", "cor", "rho", "scale", "sigma", "shape", "phi", "nu", "zi", "hu", "cut")
"""Classes of entries of theta in the order of the tables; what is not among them comes last."""


class ModelLayout(Places):
    """The entries of theta and x of a system, by part, by term and as parameters of the tables.

    Parameters
    ----------
    system : System
    """

    def __init__(self, system: System):
        family = system.places.family
        places = system.places
        super().__init__(system.parts, family.stop - family.start, places.rows_part is not None, places.own_names)
        self._hypers = system.hypers
        self._predictor_of = predictors_of(system.beside, len(system.parts))
        self.alike = any(part.predictor for part in system.parts)  # linear predictors of the same terms
        self._linear = system.coefficients

    # -- terms by name -----------------------------------------------------------------------------------------------

    @cached_property
    def structures(self) -> dict[str, tuple[int, Effects]]:
        """Effects of each term that has any (of members or units), with the number of its part, by its name."""
        found = ((k, p, p.structure) for k, p in enumerate(self.parts) if p.has_effects)
        return {p.name: (k, structure) for k, p, structure in found if structure is not None}

    @cached_property
    def pooled(self) -> dict[str, tuple[int, Effects]]:
        """Those whose effects have a distribution."""
        return {name: found for name, found in self.structures.items() if self.parts[found[0]].pooled}

    @cached_property
    def of_outcome(self) -> dict[str, tuple[int, Effects]]:
        """Those of them that are summands of the linear predictor of the outcome, not of a parameter of the family."""
        aside = self._predictor_of
        found = {name: found for name, found in self.pooled.items() if self.parts[found[0]].summand}
        return {name: there for name, there in found.items() if self.alike or not aside[there[0]]}

    def effects_name(self, name: str) -> str:
        """The part that has the effects of a block or unit: blocks whose effects belong together have one."""
        return next((p.name for p in self.parts if name in p.effect_names), name)

    def has_effects(self, name: str) -> bool:
        """Whether a block or unit has effects, its own or together with other blocks."""
        return self.effects_name(name) in self.structures

    # -- parameters of the tables ------------------------------------------------------------------------------------

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters in the order of the tables: coefficients, weights, sds, the family's own."""
        coefficients = [p for k in self.terms for p in self.parts[k].reported]
        rest = [p for p in self._hypers if not p.linear]
        kinds = (*ORDER, *(kind for kind in CLASSES if kind not in ORDER))
        of_rows = () if self.rows_part is None else self.parts[self.rows_part].coefficients
        return (*coefficients, *sorted(rest, key=lambda p: kinds.index(p.kind)), *of_rows)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of all parameters, as in every table."""
        return tuple(p.name for p in self.parameters)

    @cached_property
    def centers(self) -> np.ndarray:
        """What was subtracted from the column of each coefficient, aligned with `parameters` (else zero)."""
        found = centers_of(self.parts)
        return np.array([found.get(n, 0.0) for n in self.names])

    @cached_property
    def collector(self) -> np.ndarray:
        """Matrix from (theta, coefficients of x) to `parameters`: a permutation, and the intercept's shift."""
        have = [p.name for p in (*self._hypers, *self._linear)]
        out = np.zeros((len(self.names), len(have)))
        for row, name in enumerate(self.names):
            out[row, have.index(name)] = 1.0
        for parts in self._by_predictor:
            intercept = [p.name for part in parts for p in part.reported if p.kind == "Intercept"]
            intercept += [part.origin for part in parts if part.origin]
            for name, center in centers_of(parts).items() if intercept else ():
                if center:
                    out[self.names.index(intercept[0]), have.index(name)] -= center
        return out

    @property
    def _by_predictor(self) -> list[tuple]:
        """The terms of each linear predictor."""
        numbers = self._predictor_of
        each = sorted({numbers[k] for k in self.terms})
        return [tuple(self.parts[k] for k in self.terms if numbers[k] == n) for n in each]

    def collect(self, theta: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """All parameters on their natural scale, the intercept at zero covariates.

        Parameters
        ----------
        theta : (..., q) array
        coefficients : (..., coefficients) array

        Returns
        -------
        (..., parameters) array
            In the order of `names`.
        """
        out = np.concatenate([self.reported(theta), coefficients], axis=-1) @ self.collector.T
        out[..., self._held_in_x] = [self.parameters[k].held for k in self._held_in_x]
        return out

    @cached_property
    def _held_in_x(self) -> list[int]:
        """Places of fixed parameters whose entry of x is theirs up to rounding only."""
        known = {p.name for p in self._linear if p.fixed}
        return [k for k, name in enumerate(self.names) if name in known]

    def inner(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The inverse of :meth:`collect` for one (parameters,) array; theta is nan where there is none."""
        found = np.linalg.solve(self.collector, values)
        q = len(self._hypers)
        return self.from_reported(found[:q]), found[q:]

    def reported(self, theta: np.ndarray) -> np.ndarray:
        """Theta (..., q) as tables report it: correlations where the engines have partial ones."""
        return self._by_structure(theta, lambda structure, own: structure.reported(own))

    def from_reported(self, reported: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`reported` for one (q,) array; nan where there is no such theta."""
        return self._by_structure(reported, lambda structure, own: structure.from_reported(own))

    def _by_structure(self, theta: np.ndarray, change: Callable[[Effects, np.ndarray], np.ndarray]) -> np.ndarray:
        out = theta
        for k, structure in self.structures.values():
            own = self.effect_theta(k)
            before = theta[..., own]
            after = change(structure, before)
            if after is not before:
                out = out.copy() if out is theta else out
                out[..., own] = after
        return out

    def reported_slope(self, theta: np.ndarray) -> np.ndarray:
        """Derivative (q, q) of :meth:`reported` at theta."""
        out = np.eye(len(theta))
        for k, p in enumerate(self._hypers):
            if p.kind == "cor":
                h = min(1e-5, 0.5 * max(1.0 - abs(theta[k]), 1e-9))
                out[:, k] = slopes(self.reported, theta, np.full(len(theta), h), [k])[:, k]
        return out


def centers_of(parts: tuple) -> dict[str, float]:
    """What was subtracted from the column of each coefficient that has one."""
    return {name: center for part in parts for name, center in part.centers.items()}
