"""What the contracts are about: a kind of terms with a family on data of its own, fitted once and shared by all."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pandas as pd

import micromacro as mm

from .tables import FAMILIES, KINDS, ORDINARY, SMALL, FamilyRow, Kind, Size, groups, memberships

RUN = {"draws": 40, "tune": 40, "chains": 2, "random_seed": 3, "progress": False}


@dataclass(frozen=True)
class Subject:
    """A kind of terms and a family, by the names of their rows."""

    kind_name: str
    family_name: str
    size: Size = SMALL

    @property
    def kind(self) -> Kind:
        return KINDS[self.kind_name]

    @property
    def row(self) -> FamilyRow:
        return FAMILIES[self.family_name]

    @property
    def formula(self) -> str:
        return f"{self.row.outcome} ~ {self.kind.terms}"

    @property
    def options(self) -> dict[str, Any]:
        return {"family": self.row.family, **self.kind.sources(self.size), **self.row.others}

    @cached_property
    def covariates(self) -> pd.DataFrame:
        """The data without the outcome; rows are groups where the kind has no members."""
        table = groups(self.size)
        return memberships(self.size).merge(table, on="g") if self.kind.has_members else table

    def with_outcome(self, columns: dict[str, np.ndarray], data: pd.DataFrame | None = None) -> pd.DataFrame:
        """The data with columns of the outcome, given by group."""
        data = self.covariates if data is None else data
        return data.assign(**{name: values[data["g"]] for name, values in columns.items()})

    @property
    def effects_of_members(self) -> bool:
        """Whether members have effects, of a distribution or without pooling."""
        return self.kind.has_members and not {"none", "feature"} & set(self.kind.about)

    @cached_property
    def reached(self) -> np.ndarray:
        """Which groups the covariate that is moved reaches: those that have a member where it is read."""
        out = np.ones(self.size.groups, dtype=bool)
        if "empty" in self.kind.about:
            out[:] = False
            out[self.covariates.dropna(subset=["some"])["g"].unique()] = True
        return out

    @cached_property
    def truth(self) -> dict[str, float]:
        """Parameters at which the outcome is drawn."""
        given = {**self.row.truth, **self.kind.truth}
        return {p.name: given.get(p.name, ORDINARY.get(p.kind, 0.0)) for p in self._first.specification.parameters}

    @cached_property
    def _first(self) -> mm.Model:
        """The model with an outcome that only serves to make it."""
        n = self.size.groups
        zero, one = np.zeros(n), np.ones(n)
        start = {"y": self.row.first(n), "event": one, "since": zero, "upper": self.row.first(n) + 1.0}
        return mm.Model(self.formula, self.with_outcome(start), **self.options)

    @cached_property
    def data(self) -> pd.DataFrame:
        """Data that follow the model."""
        made = self._first.simulate(self.truth, random_seed=2).outcome[0]
        return self.with_outcome(self.row.columns(np.random.default_rng(4), np.asarray(made)))

    @cached_property
    def model(self) -> mm.Model:
        return mm.Model(self.formula, self.data, **self.options)

    @cached_property
    def fits(self) -> dict[str, Any]:
        return {}

    def fit(self, engine: str = "ml", **run: Any) -> Any:
        """The fit by an engine, made once."""
        key = (engine, *sorted(run.items()))
        if key not in self.fits:
            self.fits[key] = quietly(self.model.fit, engine, **{**RUN, **run})
        return self.fits[key]

    @cached_property
    def predicted(self) -> pd.DataFrame:
        """What the maximum predicts for its own groups."""
        return self.fit().predict()

    def smaller(self, engine: str = "ml") -> Any:
        """The fit of a model that is nested in it, on the same data."""
        key = ("smaller", engine)
        if key not in self.fits:
            self.fits[key] = self.again(engine=engine, formula=f"{self.row.outcome} ~ {self.kind.smaller}")
        return self.fits[key]

    def again(
        self, data: pd.DataFrame | None = None, engine: str = "ml", formula: str | None = None, **options: Any
    ) -> Any:
        """Another fit of the same model, on other data."""
        data = self.data if data is None else data
        formula = self.formula if formula is None else formula
        return quietly(mm.fit, formula, data, engine=engine, **{**self.options, **options}, **RUN)


def quietly(call: Any, *args: Any, **options: Any) -> Any:
    """A result whose warnings are about the shortness of the run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        return call(*args, **options)


@lru_cache(maxsize=24)  # one kind with all families: the contracts of a kind come one after another
def subject(kind: str, family: str, size: Size = SMALL) -> Subject:
    return Subject(kind, family, size)


def point(table: pd.DataFrame) -> np.ndarray:
    """The point estimates of a table: posterior means, or estimates."""
    return table["estimate" if "estimate" in table else "mean"].to_numpy(float)


def effects_by_id(fit: Any, name: str) -> dict[Any, float]:
    """Effects of a block or unit by id; of a role, its own."""
    table = fit.random_effects(name)
    if table.index.nlevels > 1:
        table = table[table.index.get_level_values(1) == name].droplevel(1)
    return dict(zip(table.index, point(table), strict=True))
