r"""Parts of the latent system whose columns are features of the groups: aggregates other than the sum, interactions.

.. math:: \sum_k b_k \{F_{ik}(\theta) - \bar F_k\}

with :math:`\bar F_k` the feature's mean at the starting values where the model has an intercept, else zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from ...effects.phrases import Phrase
from ...latent.part import Equations, Term
from ...parameters import Parameter
from ...table.levels import Levels
from ...table.memberships import Tables
from ..base import Columns
from ..saying import clause
from .aggregate import Request
from .features import Features
from .weighing import Block, Weighing


class FeatureColumns(Term):
    """What such parts have in common: a frozen dataclass with these fields.

    Attributes
    ----------
    features : Features
    columns : Columns
        How their coefficients are treated.
    center : (k,) array
    """

    features: Features
    columns: Columns
    written: tuple[Parameter, ...]
    center: np.ndarray

    @property
    def coefficients(self) -> tuple[Parameter, ...]:
        """Coefficients of the features that sit in x."""
        return self.columns.linear

    @property
    def structure(self) -> None:
        """Features have coefficients only."""
        return None

    @property
    def reported(self) -> tuple[Parameter, ...]:
        """Coefficients of the features."""
        return self.written

    @property
    def centers(self) -> dict[str, float]:
        """Means of the features at the starting values, where they were subtracted."""
        return {p.name: float(c) for p, c in zip(self.written, self.center, strict=False)}

    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        k, n = len(self.coefficients), self._groups
        return np.tile(np.arange(n), k), np.repeat(np.arange(k), n)

    @property
    def _groups(self) -> int:
        raise NotImplementedError

    def scratch(self, gradient: bool = True) -> dict[str, Any]:
        return self.features.scratch(gradient)

    def _loose(self, theta: np.ndarray) -> np.ndarray:
        return theta[len(theta) - len(self.columns.loose) :]

    def fill(self, theta: np.ndarray, scratch: Any, slots: np.ndarray, values: np.ndarray, offset: np.ndarray) -> bool:
        if not self.features.compute(theta, scratch):
            return False
        c = self.columns
        value = scratch["feature"] - self.center[:, None]
        values[slots] = value[c.inside].ravel()
        if len(c.known) or c.loose:
            offset += c.known @ value[c.beside] + self._loose(theta) @ value[c.outside]
        return True

    def pull(
        self, theta: np.ndarray, scratch: Any, slots: np.ndarray, slope: np.ndarray, d_offset: np.ndarray
    ) -> np.ndarray:
        c, q = self.columns, len(self.features.parameters)
        reach = np.zeros(scratch["feature"].shape)  # derivative in each feature
        reach[c.inside] = slope[slots].reshape(len(c.inside), len(d_offset))
        reach[c.outside] = self._loose(theta)[:, None] * d_offset
        reach[c.beside] = c.known[:, None] * d_offset
        out = np.empty(len(theta))
        out[:q] = np.tensordot(scratch["d_feature"], reach, axes=([0, 2], [0, 1]))
        out[q:] = (scratch["feature"][c.outside] - self.center[c.outside][:, None]) @ d_offset
        return out

    def held(self, old: Any, theta: np.ndarray) -> Self:
        """The same part with the constants that `old`, on the tables of the fit, has at the part's theta."""
        return replace(self, features=self.features.held(old.features, theta))  # type: ignore[type-var]


@dataclass(frozen=True, eq=False)
class FeaturePart(FeatureColumns, Block):
    """A member block with an emergent feature.

    Attributes
    ----------
    request : Request
        What the user wrote as ``aggregate=``.
    """

    name: str
    weighing: Weighing
    features: Features
    request: Request
    columns: Columns
    written: tuple[Parameter, ...]
    center: np.ndarray
    levels: Levels

    @property
    def hypers(self) -> tuple[Parameter, ...]:
        """Weight parameters, shapes, loose coefficients."""
        return self.features.parameters + self.columns.loose

    @property
    def shapes(self) -> tuple[Parameter, ...]:
        """The estimated shapes of the feature."""
        return self.features.parameters[len(self.weight_parameters) :]

    @property
    def _groups(self) -> int:
        return self.weighing.groups

    def on(self, tables: Tables) -> FeaturePart:
        """The same block on other memberships."""
        features: Any = self.features.on(tables)
        return replace(self, features=features, weighing=features.weighing)

    def held(self, old: Any, theta: np.ndarray) -> Self:
        """The same block with the constants that `old`, on the tables of the fit, has at the block's theta."""
        features: Any = self.features.held(old.features, theta)
        return replace(self, features=features, weighing=features.weighing)

    def _of(self, name: str) -> str:
        """The covariates of a coefficient's feature."""
        return name.partition(f"{self.name}.{self.request.word}")[2].removeprefix(".").replace(".", " and ", self._two)

    @property
    def _two(self) -> int:
        """How many points part covariates in names."""
        return int(self.request.row is not None and self.request.row.takes == 2)

    def moved(self, name: str) -> str:
        row = self.request.row
        said = row.noun.format(x=self._of(name)) if row else f"feature {self.request.formula}"
        alone = row is not None and row.takes == 0
        of = f"of {self.name} in" if alone else f"over the members ({self.name}) of"
        return f"the {said} {of} a group is one higher"

    def phrase(self, name: str) -> Phrase | None:
        row = self.request.row
        where = next((k for k, p in enumerate(self.shapes) if p.name == name), None)
        if row is None or where is None:
            return None
        free = [shape for shape, given in zip(row.shapes, self.request.shapes, strict=True) if isinstance(given, str)]
        found = row.phrases[free[where]]
        return replace(found, text=found.text.replace("{x}", " and ".join(self._of(p.name) for p in self.written)))

    def words(self) -> Equations:
        """The features times their coefficients, the feature and the weights."""
        word, formula = self.request.word, self.request.formula
        feature = f"{self.name}.{word}[i] = {formula}, with w = w_{self.name}[i,j] over the members j"
        terms = tuple(f"b[{p.name}] * {p.name}[i]" for p in self.written)
        return Equations(terms, (self._weights_in_words(), feature))


@dataclass(frozen=True, eq=False)
class InteractionPart(FeatureColumns):
    """Products of blocks' features with each other and with columns of the groups.

    Its theta begins with that of its factors, which belongs to their own parts.

    Attributes
    ----------
    factors : tuple of str
        Names of the blocks.
    """

    name: str
    factors: tuple[str, ...]
    features: Features
    columns: Columns
    written: tuple[Parameter, ...]
    center: np.ndarray
    groups: int

    @property
    def hypers(self) -> tuple[Parameter, ...]:
        """Loose coefficients; the rest of what it depends on is borrowed."""
        return self.columns.loose

    @property
    def borrowed(self) -> tuple[str, ...]:
        """Names of the parameters of other parts that it depends on: its theta begins with them."""
        return tuple(p.name for p in self.features.parameters)

    @property
    def _groups(self) -> int:
        return self.groups

    def moved(self, name: str) -> str:
        return clause(name)

    def on(self, tables: Tables) -> InteractionPart:
        """The same products on other tables."""
        return replace(self, features=self.features.on(tables), groups=tables.groups.n_rows)

    def words(self) -> Equations:
        """The products times their coefficients."""
        return Equations(tuple(f"b[{p.name}] * {' * '.join(p.name.split(':'))}" for p in self.written))
