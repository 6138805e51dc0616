"""The model that users make: formula, tables, family and priors, not fitted yet."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .._public import no_such_argument, public_class
from ..effects.sources import by_keyword
from ..engines.base import Settings
from ..engines.kept import as_keep
from ..engines.registry import check_engine, check_settings, engine_of, run_engine
from ..errors import DataError, MicromacroWarning, ModelError, warn
from ..families.base import Family
from ..parameters import PriorBook, by_name
from ..posterior.intervals import check_whole
from ..results.fit import Fit
from ..results.store.tables import as_data, relabelled
from ..table.memberships import Tables
from .draft import Arguments, Draft, Priors, on_data, read_draft, reading_of
from .specification import Specification, specify

if TYPE_CHECKING:
    import pandas as pd

    from ..results.store import Stored
    from ..results.verbs.check import Check
    from ..simulate.model import Simulation


@public_class
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
        formula: str | Draft,
        data: Any = None,
        *,
        family: str | Family = "gaussian",
        priors: Priors = None,
        fixed: Mapping[str, float] | pd.Series | None = None,
        graphs: Mapping[str, Any] | None = None,
        memberships: Any = None,
        members: Any = None,
        missing: str = "error",
        observation_weights: str | None = None,
        known: Mapping[str, Any] | None = None,
        sigma: str | None = None,
        phi: str | None = None,
        shape: str | None = None,
        nu: str | None = None,
        zi: str | None = None,
        hu: str | None = None,
        collinear: Literal["error", "drop"] = "error",
    ):
        self._specifications: dict[bool, Specification] = {}
        if isinstance(formula, Draft):  # read already, and built when it is known for which engine
            self._draft = formula
            return
        self._draft = read_draft(
            Arguments(
                formula, data, family=family, priors=priors, fixed=fixed, graphs=graphs, memberships=memberships,
                members=members, missing=missing, observation_weights=observation_weights, known=known, sigma=sigma,
                phi=phi, shape=shape, nu=nu, zi=zi, hu=hu, collinear=collinear,
            )
        )  # fmt: skip
        self._specified(priors=True)  # errors of terms, weights and priors come now

    def _specified(self, priors: bool) -> Specification:
        """The model with default priors, or with those that the user gave alone."""
        if priors not in self._specifications:
            draft = self._draft
            book = PriorBook(draft.arguments.priors, draft.arguments.fixed)
            assert draft.tables is not None
            with warnings.catch_warnings():
                if self._specifications:  # warnings were given the first time
                    warnings.simplefilter("ignore", MicromacroWarning)
                made = specify(draft.reading, draft.tables, draft.family, book, flat=not priors)
            self._specifications[priors] = made
        return self._specifications[priors]

    @property
    def specification(self) -> Specification:
        """The model with the priors that mcmc uses."""
        return self._specified(priors=True)

    @property
    def formula(self) -> str:
        """The formula as it was written."""
        return self._draft.arguments.formula

    @property
    def parameters(self) -> pd.DataFrame:
        """Every parameter: its class, its prior and where a search for it begins."""
        from ..results.report.explain import parameter_table

        return parameter_table(self.specification)

    def explain(self) -> str:
        """The model in words and equations: terms, parameters with priors, counts, free symbols of the weights.

        Returns
        -------
        str
            Text that prints as it is in a terminal and a notebook.
        """
        from ..results.report.explain import Explanation, explain

        return Explanation(explain(self.specification))

    def check(self) -> Check:
        """Look for things that the data cannot distinguish, before anything is fitted.

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
        start: Mapping[str, float] | pd.Series | None = None,
        draws: int = 1000,
        tune: int = 1000,
        chains: int = 4,
        random_seed: int | None = None,
        progress: bool = True,
        executor: Executor | None = None,
        nAGQ: int = 1,
        factor: Literal["effects", "groups"] | None = None,
        keep: Literal["all", "parameters"] | Sequence[str] = "all",
        solver: Literal["direct", "iterative"] | None = None,
    ) -> Fit:
        """Fit the model; the arguments are those of :func:`fit`.

        Parameters
        ----------
        engine : {"mcmc", "laplace", "ml", "reml", "nuts"}
        start : dict or Series, optional
        draws, tune, chains : int
        random_seed : int, optional
        progress : bool
        executor : concurrent.futures.Executor, optional
        nAGQ : int
        factor : {"effects", "groups"}, optional
        keep : "all", "parameters" or sequence of str
        solver : {"direct", "iterative"}, optional

        Returns
        -------
        Fit

        Raises
        ------
        MicromacroError
            If the model cannot be built from the tables, or the engine cannot fit it.
        """
        begin = by_name(start, "start", "1")
        kept = as_keep(keep)
        settings = Settings(draws, tune, chains, random_seed, progress, executor, begin, nAGQ, factor, kept, solver)
        return self._run(engine, settings, partial=True)

    def _run(self, engine: str, settings: Settings, partial: bool) -> Fit:
        """Fit by an engine with some settings; :meth:`fit` is what users call.

        Parameters
        ----------
        partial : bool
            Whether the draws of an interrupted run are a result.
        """
        engine = check_engine(engine)
        check_settings(settings)
        outcome = run_engine(engine, self._specified(engine_of(engine).priors), settings, partial)
        fitted = Fit(outcome, self)
        try:
            messages = fitted.health.warnings
        except KeyboardInterrupt:
            if not (partial and outcome.draws is not None):
                raise
            messages = fitted.health.warnings  # the draws are there, and were what took so long
        for message in messages:
            warn(message)
        return fitted

    def _refit(self, settings: Settings, engine: str, changes: dict[str, Any]) -> Fit:
        """Fit again with some arguments changed (for ``Fit.update``)."""
        of_model, of_run = ([f.name for f in fields(record)] for record in (Arguments, Settings))
        unknown = [k for k in changes if k not in (*of_model, "engine", *of_run)]
        if unknown:
            raise no_such_argument("update", unknown[0], (*of_model, "engine", *of_run))
        model_changes = {k: v for k, v in changes.items() if k in of_model}
        kept = settings if not model_changes else replace(settings, start={})  # another model has other parameters
        run = {k: changes.get(k, getattr(kept, k)) for k in of_run}
        model = self._changed(model_changes) if model_changes else self
        return model.fit(changes.get("engine", engine), **run)

    def _changed(self, changes: dict[str, Any]) -> Model:
        """The model with some arguments changed; the tables of a loaded one are all that there is of its data."""
        old = self._draft
        if not old.stored:
            return Model(read_draft(replace(old.arguments, **changes)))
        if "data" in changes:  # the data's own tables are not those of the file
            return Model(read_draft(replace(old.arguments, **{"memberships": None, "members": None, **changes})))
        tables, arguments = old.tables, replace(old.arguments, **changes)
        assert tables is not None
        columns = old.reading.columns
        reading = reading_of(arguments, columns, old.reading.sources)
        data, edges = as_data(tables, old.reading.request)
        blocks = {b.block: edges[b.block] for b in reading.request.blocks if b.block in edges}
        arguments = replace(
            arguments, data=data, memberships=blocks or edges or None
        )  # without mm() these are an error
        try:
            new = read_draft(arguments, columns)
        except DataError as error:
            raise DataError(
                f"{error}\n(the file that this fit was loaded from has only what its own formula reads; give the whole "
                "tables, update(data=..., ...))"
            ) from error
        assert new.tables is not None
        return Model(replace(new, tables=relabelled(new.tables, tables), stored=True))

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
        """Outcomes from the model with all parameters drawn from their priors; see :meth:`simulate`.

        Parameters
        ----------
        draws : int
            Number of data sets.
        random_seed : int, optional

        Returns
        -------
        Simulation
            As of :meth:`simulate`.

        Raises
        ------
        ModelError
            If a prior is flat.
        """
        return self.simulate({}, draws=draws, random_seed=random_seed)


def stored_model(
    stored: Stored, family: Family | None, tables: Tables | None, given: Mapping[str, Any] | None
) -> Model:
    """The model that a file describes: on its tables, or on those that the user gives."""
    about = stored.description
    arguments = Arguments(
        about["formula"], None, family=stored.family(family), priors=stored.priors, fixed=about["fixed"],
        observation_weights=about["observation_weights"], collinear=about["collinear"],
        **by_keyword(stored.sources), **about.get("predictors", {}),
    )  # fmt: skip
    reading = reading_of(arguments, about["columns"], stored.sources)
    draft = Draft(arguments, stored.family(family), reading, tables, stored=tables is not None)
    if given is not None:
        draft = on_data(draft, **given)
        assert draft.tables is not None
        stored.compare(draft.tables)
    return Model(draft)
