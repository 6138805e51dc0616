"""The front door: :func:`fit`, :class:`Model`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np

from .engines.base import Settings
from .engines.choose import LIKELIHOOD, check_engine, check_settings, run_engine
from .errors import MicromacroWarning, ModelError
from .families.base import Family
from .families.registry import find_family
from .model import Specification, read, specify
from .parameters import PriorBook
from .priors import Prior
from .results.fit import Fit
from .table.memberships import assemble, available_columns

if TYPE_CHECKING:
    import pandas as pd

    from .simulate.model import Simulation

Priors = Mapping[str, "Prior | str"] | str | None


def fit(
    formula: str,
    data: Any,
    *,
    family: str | Family = "gaussian",
    engine: str = "mcmc",
    priors: Priors = None,
    fixed: Mapping[str, float] | None = None,
    memberships: Any = None,
    members: Any = None,
    missing: str = "error",
    observation_weights: str | None = None,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    random_seed: int | None = None,
    progress: bool = True,
    executor: Executor | None = None,
) -> Fit:
    r"""Fit a multiple-membership model with (estimated) weights.

    Parameters
    ----------
    formula : str
        ``outcome ~ fixed terms + mm(member, group, covariates, weights=..., ...) + (1 | unit)``; see the page on
        the formula in the documentation.
    data : pandas, polars or pyarrow table, or dict of arrays
        One row a membership (long), or one row a group where `memberships` is given.
    family : str or Family
        Distribution of the outcome: gaussian, student, bernoulli, binomial, poisson, negative_binomial, gamma, beta,
        ordinal, weibull, exponential, lognormal; or an object of :mod:`micromacro.families` with options.
    engine : {"mcmc", "laplace", "ml", "reml", "nuts"}
        Draws from the exact posterior, a fast approximation of it, maximum likelihood, restricted maximum likelihood
        (Gaussian outcomes), or NUTS in NumPyro (extra ``[jax]``), slow and independent of the rest.
    priors : dict or {"flat", "vague"}, optional
        Parameter names or classes (``b``, ``Intercept``, ``w``, ``sd``, ``sigma``) to priors of
        :mod:`micromacro.prior`. Without it mcmc uses weakly informative ones scaled by the data, ml and reml none.
    fixed : dict, optional
        Parameter names to values (natural scale, the intercept at zero covariates) at which they are held instead of
        estimated: ``{"sigma": 1, "neighbour.w.b1": 0.5}``; the same as ``mm.prior.fixed(value)`` in `priors`.
    memberships : table or dict of tables by block, optional
        Edge table: a row a membership, with the member and the group column.
    members : table or dict of tables by member column, optional
        One row a member.
    missing : {"error", "drop"}
        What to do about missing values outside member ids; ``"drop"`` leaves the groups out and says so.
    observation_weights : str, optional
        Column of the groups by which their log-likelihoods are multiplied: 2 counts a group twice. The number of
        groups, and what depends on it (BIC), stays what it is.
    draws, tune, chains : int
        Kept and tuning iterations of each chain, and how many chains.
    random_seed : int, optional
        Fixes the draws bit for bit, whatever the number of workers. Without it they differ from run to run.
    progress : bool
        Show a progress bar.
    executor : concurrent.futures.Executor, optional
        Where chains run (any executor, a Dask client's included); by default in threads.

    Returns
    -------
    Fit

    Raises
    ------
    FormulaError, DataError, ModelError, EngineError
        All of them :class:`~micromacro.errors.MicromacroError`.

    Notes
    -----
    The model (Rosche 2026, doi:10.31235/osf.io/4bafr_v2) is

    .. math:: y_i = x_{2i}'b_2 + \sum_{j \in z(i)} w_{ij}(x_{1ij}'b_1 + u_j) + \sum_c v_{c[i]} + e_i,
       \qquad w_{ij} \propto n_i^{-\exp(-x_{wij}'b_w)} .
    """
    model = object.__new__(Model)  # without the specification that this engine may not need
    model._prepare(
        formula, data, family=family, priors=priors, fixed=fixed, memberships=memberships, members=members,
        missing=missing, observation_weights=observation_weights,
    )  # fmt: skip
    return model.fit(
        engine=engine, draws=draws, tune=tune, chains=chains, random_seed=random_seed, progress=progress,
        executor=executor,
    )  # fmt: skip


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
        memberships: Any = None,
        members: Any = None,
        missing: str = "error",
        observation_weights: str | None = None,
    ):
        self._prepare(
            formula, data, family=family, priors=priors, fixed=fixed, memberships=memberships, members=members,
            missing=missing, observation_weights=observation_weights,
        )  # fmt: skip
        self._specified(flat=False)  # errors of terms, weights and priors come now

    def _prepare(self, formula: str, data: Any, **options: Any) -> None:
        """Read the formula and the tables."""
        family, missing = options["family"], options["missing"]
        memberships, members = options["memberships"], options["members"]
        self._arguments = {"formula": formula, "data": data, **options}
        self._family = find_family(family)
        self._reading = read(formula, available_columns(data, memberships, members), options["observation_weights"])
        self._tables = assemble(self._reading.request, data, memberships, members, missing)
        self._specifications: dict[bool, Specification] = {}
        for note in self._tables.notes:
            if note.startswith("dropped"):
                warnings.warn(note, MicromacroWarning, stacklevel=3)

    def _specified(self, flat: bool) -> Specification:
        if flat not in self._specifications:
            book = PriorBook(self._arguments["priors"], self._arguments["fixed"])
            if self._specifications:  # warnings were given the first time
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", MicromacroWarning)
                    made = specify(self._reading, self._tables, self._family, book, flat)
            else:
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
        from .results.explain import parameter_table

        return parameter_table(self.specification)

    def explain(self) -> str:
        """The model in words and equations: terms, parameters with priors, counts, free symbols of the weights."""
        from .results.explain import Explanation, explain

        return Explanation(explain(self.specification))

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
        check_engine(engine)
        check_settings(settings)
        specification = self._specified(flat=engine in LIKELIHOOD)
        outcome = run_engine(engine, specification, settings)
        fitted = Fit(outcome, refit=self._refit)
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
        model = Model(**{**self._arguments, **model_changes}) if model_changes else self
        return model.fit(engine, **{**run, **changes})

    def simulate(
        self, values: Mapping[str, float] | None = None, *, draws: int = 1, random_seed: int | None = None
    ) -> Simulation:
        """Outcomes from the model at given or at drawn parameter values.

        Parameters
        ----------
        values : dict, optional
            Parameter names to values (natural scale; the intercept at zero covariates). Parameters that are not
            named are drawn from their priors.
        draws : int
            How many data sets.
        random_seed : int, optional

        Returns
        -------
        Simulation
            ``.outcome`` (draws, groups), ``.parameters`` (DataFrame, a row a draw), ``.effects`` and ``.weights``
            (dicts by block, a row a draw), ``.groups`` (the group ids).

        Raises
        ------
        ModelError
            For an unknown parameter, or a flat prior on a parameter without a value.
        """
        from .simulate.model import simulate

        return simulate(self.specification, dict(values or {}), draws, np.random.default_rng(random_seed))

    def prior_predictive(self, draws: int = 500, *, random_seed: int | None = None) -> Simulation:
        """Outcomes from the model with all parameters drawn from their priors; see :meth:`simulate`."""
        return self.simulate({}, draws=draws, random_seed=random_seed)
