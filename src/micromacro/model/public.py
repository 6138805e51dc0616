"""The model that users make: formula, tables, family and priors, not fitted yet."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from ..effects.relationship import Relationship
from ..effects.sources import read_sources
from ..engines.base import Settings
from ..engines.registry import check_engine, check_settings, engine_of, run_engine
from ..errors import DataError, MicromacroWarning, ModelError
from ..families.base import Family
from ..families.registry import find_family
from ..parameters import PriorBook
from ..posterior.intervals import check_whole
from ..priors import Prior
from ..results.fit import Fit
from ..results.store.tables import as_data, relabelled
from ..table.graphs import Graph
from ..table.memberships import Tables, assemble, available_columns
from .reading import read
from .specification import Specification, specify

if TYPE_CHECKING:
    import pandas as pd

    from ..results.store import Stored
    from ..results.verbs.check import Check
    from ..simulate.model import Simulation

Priors = Mapping[str, "Prior | str"] | str | None


class Model:
    """A model that is not fitted yet: formula, tables, family and priors.

    Parameters are those of :func:`fit`.

    Attributes
    ----------
    specification : Specification
        The model with its default priors, as mcmc uses it.
    """

    def __init__(
        self,
        formula: str,
        data: Any,
        *,
        family: str | Family = "gaussian",
        priors: Priors = None,
        fixed: Mapping[str, float] | None = None,
        graphs: Mapping[str, Any] | None = None,
        memberships: Any = None,
        members: Any = None,
        missing: str = "error",
        observation_weights: str | None = None,
        known: Mapping[str, Any] | None = None,
    ):
        self._prepare(
            formula, data, family=family, priors=priors, fixed=fixed, graphs=graphs, known=known,
            memberships=memberships, members=members, missing=missing, observation_weights=observation_weights,
        )  # fmt: skip
        self._specified(flat=False)  # errors of terms, weights and priors come now

    def _prepare(self, formula: str, data: Any, columns: Sequence[str] | None = None, **options: Any) -> None:
        """Read the formula and the tables; `columns` are those of the user's tables, if more than there are here."""
        family, missing = options["family"], options["missing"]
        memberships, members = options["memberships"], options["members"]
        self._arguments = {"formula": formula, "data": data, **options}
        self._family = find_family(family)
        columns = available_columns(data, memberships, members) if columns is None else columns
        sources = read_sources(options["known"], options["graphs"])
        self._reading = read(formula, columns, options["observation_weights"], sources)
        self._stored: tuple[Tables, tuple[str, ...]] | None = None  # of a model that was loaded
        self._tables = assemble(self._reading.request, data, memberships, members, missing)
        self._specifications: dict[bool, Specification] = {}
        for note in self._tables.notes:
            if note.severity == "caution":
                warnings.warn(note, MicromacroWarning, stacklevel=3)

    def _specified(self, flat: bool) -> Specification:
        if flat not in self._specifications:
            book = PriorBook(self._arguments["priors"], self._arguments["fixed"])
            with warnings.catch_warnings():
                if self._specifications:  # warnings were given the first time
                    warnings.simplefilter("ignore", MicromacroWarning)
                made = specify(self._reading, self._tables, self._family, book, flat)
            self._specifications[flat] = made
        return self._specifications[flat]

    @property
    def specification(self) -> Specification:
        """The model with the priors that mcmc uses."""
        return self._specified(flat=False)

    @property
    def formula(self) -> str:
        """The formula as it was written."""
        return self._arguments["formula"]

    @property
    def parameters(self) -> pd.DataFrame:
        """Every parameter: its class, its prior and where a search for it begins."""
        from ..results.report.explain import parameter_table

        return parameter_table(self.specification)

    def explain(self) -> str:
        """The model in words and equations: terms, parameters with priors, counts, free symbols of the weights."""
        from ..results.report.explain import Explanation, explain

        return Explanation(explain(self.specification))

    def check(self) -> Check:
        """Look for what the data cannot tell apart, before anything is fitted.

        Members seen in one group only, members that are always together, sets of groups that share no member; weight
        parameters that no data can inform (the block has neither covariates nor effects; the weights do not change with
        them, as where a covariate is constant within groups and ``normalize = group``), pairs of them that change the
        weights alike; units with one group each; terms whose effects are the same. What is found many times is said
        once, with a count and at most three examples; problems come first.

        Returns
        -------
        Check
            ``.ok``, ``.findings``, ``.table`` (a DataFrame with a row per finding); prints as a list.
        """
        from ..results.verbs.check import check

        return check(self.specification)

    def __repr__(self) -> str:
        return str(self.explain())

    def fit(
        self,
        engine: str = "mcmc",
        *,
        draws: int = 1000,
        tune: int = 1000,
        chains: int = 4,
        random_seed: int | None = None,
        progress: bool = True,
        executor: Executor | None = None,
    ) -> Fit:
        """Fit the model; see :func:`fit` for the arguments."""
        settings = Settings(draws, tune, chains, random_seed, progress, executor)
        engine = check_engine(engine)
        check_settings(settings)
        specification = self._specified(flat=not engine_of(engine).priors)
        outcome = run_engine(engine, specification, settings)
        fitted = Fit(outcome, self)
        for message in fitted.health.warnings:
            warnings.warn(message, MicromacroWarning, stacklevel=2)
        return fitted

    def _refit(self, settings: Settings, engine: str, changes: dict[str, Any]) -> Fit:
        """Fit again with some arguments changed (for ``Fit.update``)."""
        model_changes = {k: changes.pop(k) for k in list(changes) if k in self._arguments}
        run = {
            "draws": settings.draws, "tune": settings.tune, "chains": settings.chains,
            "random_seed": settings.random_seed, "progress": settings.progress, "executor": settings.executor,
        }  # fmt: skip
        engine = changes.pop("engine", engine)
        unknown = [k for k in changes if k not in run]
        if unknown:
            known = [*self._arguments, "engine", *run]
            raise ModelError(f"update() has no argument {unknown[0]}=; it takes those of mm.fit: {', '.join(known)}")
        model = self._changed(model_changes) if model_changes else self
        return model.fit(engine, **{**run, **changes})

    def _changed(self, changes: dict[str, Any]) -> Model:
        """The model with some arguments changed; the tables of a loaded one are all that there is of its data."""
        arguments = {**self._arguments, **changes}
        if self._stored is None or "data" in changes:
            if self._stored is not None:  # the data's own tables are not those of the file
                arguments = {**arguments, "memberships": None, "members": None, **changes}
            return Model(**arguments)
        tables, columns = self._stored
        reading = read(arguments["formula"], columns, arguments["observation_weights"], self._reading.sources)
        model = object.__new__(Model)
        data, edges = as_data(tables, self._reading.request)
        blocks = {b.block: edges[b.block] for b in reading.request.blocks if b.block in edges}
        arguments |= {"data": data, "memberships": blocks or edges or None}  # without mm() these are an error
        try:
            model._prepare(**arguments, columns=columns)
        except DataError as error:
            raise DataError(
                f"{error}\n(the file that this fit was loaded from has only what its own formula reads; give the whole "
                "tables, update(data=..., ...))"
            ) from error
        model._tables = relabelled(model._tables, tables)
        model._stored = (model._tables, columns)
        model._specified(flat=False)
        return model

    @classmethod
    def _restored(cls, stored: Stored, family: Family | None, tables: Tables | None) -> Model:
        """The model that a file describes, on its tables (or on those that follow)."""
        about = stored.description
        model = object.__new__(cls)
        defaults = {
            p.name: p.default for p in signature(Model.__init__).parameters.values() if p.default is not p.empty
        }
        model._arguments = defaults | {
            "formula": about["formula"], "data": None, "family": stored.family(family), "priors": stored.priors,
            "fixed": about["fixed"], "observation_weights": about["observation_weights"],
            "known": {k: v for k, v in stored.sources.items() if isinstance(v, Relationship)} or None,
            "graphs": {k: v for k, v in stored.sources.items() if isinstance(v, Graph)} or None,
        }  # fmt: skip
        model._family, model._specifications = model._arguments["family"], {}
        model._reading = read(about["formula"], about["columns"], about["observation_weights"], stored.sources)
        if tables is not None:
            model._tables, model._stored = tables, (tables, tuple(about["columns"]))
        return model

    def _read_tables(self, given: dict[str, Any]) -> None:
        """Take the user's tables instead of those of a file."""
        self._arguments |= given
        columns = available_columns(given["data"], given["memberships"], given["members"])
        self._reading = read(self.formula, columns, self._arguments["observation_weights"], self._reading.sources)
        self._tables, self._stored = assemble(self._reading.request, **given), None

    def simulate(
        self, values: Mapping[str, float] | pd.Series | None = None, *, draws: int = 1, random_seed: int | None = None
    ) -> Simulation:
        """Outcomes from the model at given or at drawn parameter values.

        Durations are not censored; those that entered late last until their entry at least.

        Parameters
        ----------
        values : dict or Series, optional
            Parameter names to values, such as ``fit.params`` (natural scale; the intercept at zero covariates).
            Parameters that are not named are drawn from their priors.
        draws : int
            How many data sets.
        random_seed : int, optional

        Returns
        -------
        Simulation
            ``.outcome`` (draws, groups), ``.parameters`` (DataFrame, a row per draw), ``.effects`` and ``.weights``
            (dicts by block, a row per draw), ``.groups`` (the group ids).

        Raises
        ------
        ModelError
            For an unknown parameter, or a flat prior on a parameter without a value.
        """
        from ..simulate.model import simulate

        if values is not None and not hasattr(values, "keys"):
            raise ModelError(
                "values= is a dict or a Series of parameters to numbers, such as fit.params, not "
                f"{type(values).__name__}"
            )
        given: dict[str, Any] = {} if values is None else {str(n): values[n] for n in values.keys()}  # noqa: SIM118
        check_whole("draws", draws, 1)
        return simulate(self.specification, given, draws, np.random.default_rng(random_seed))

    def prior_predictive(self, draws: int = 500, *, random_seed: int | None = None) -> Simulation:
        """Outcomes from the model with all parameters drawn from their priors; see :meth:`simulate`."""
        return self.simulate({}, draws=draws, random_seed=random_seed)
