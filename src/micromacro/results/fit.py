"""The fit: one object that answers what users ask, each answer a table with labels."""

from __future__ import annotations

from concurrent.futures import Executor
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from .._public import OF_FITS, public_class
from ..engines.base import Outcome
from ..engines.health import Health
from ..errors import EngineError
from ..families.base import Family
from ..model.specification import Specification
from ..notes import Note
from ..posterior.base import Posterior
from ..posterior.factory import posterior_of
from ..posterior.intervals import check_whole
from .criticism import verbs
from .fitted import Fitted
from .report.html import html_report
from .report.text import text_report
from .verbs import bootstrap as resampling
from .verbs import check as checks
from .verbs import effects, hypotheses, margins, nested, parameters, partition
from .verbs import predict as forecast
from .verbs import residuals as leftover
from .verbs import survival as curves
from .verbs.changes import changes
from .verbs.interpret import interpret
from .verbs.members import members
from .verbs.tidy import glance, tidy

if TYPE_CHECKING:
    from .plots import Plots
    from .store import SavedFile


@public_class
class Fit(Fitted):
    """A fitted model.

    With draws (mcmc) `params` is the posterior mean, `bse` its standard deviation, intervals are equal-tailed; with
    ml and reml they are estimates, standard errors from the joint Hessian, Wald intervals (on the log scale for
    standard deviations). Scales: standard deviations, never variances; effects and linear predictors on the link
    scale.
    """

    def __init__(self, outcome: Outcome, model: Any = None):
        self._outcome = outcome
        self._model = model
        self._posterior = posterior_of(outcome)

    # -- what was fitted ---------------------------------------------------------------------------------------------

    @property
    def specification(self) -> Specification:
        """The model that was fitted, with its tables."""
        return self._outcome.specification

    @property
    def model(self) -> Any:
        """The :class:`micromacro.Model` that was fitted, with its ``explain()``, ``check()`` and ``simulate()``."""
        if self._model is None:
            raise EngineError("this fit was made from the draws of another fit and has no Model: use fit.specification")
        return self._model

    @property
    def formula(self) -> str:
        """The formula as it was written."""
        return self.specification.formula.text

    @property
    def family(self) -> Family:
        """The family of the outcome, with its link and options."""
        return self.specification.family

    @property
    def notes(self) -> list[Note]:
        """Remarks of the tables, the model and the engine: what was dropped, what lies on a boundary, and so on."""
        return [*self.specification.notes, *self._outcome.notes]

    @property
    def engine(self) -> str:
        """The engine: mcmc, laplace, nuts, ml or reml."""
        return self._outcome.engine

    @property
    def health(self) -> Health:
        """Whether the fit can be trusted: problems, cautions, remarks, contraction."""
        return self._posterior.health

    @property
    def nobs(self) -> int:
        """Number of observations: of groups where there are members, each of which is one, else of rows; of choices."""
        return self.specification.n_outcomes

    @property
    def seconds(self) -> float:
        """Wall time that the engine took."""
        return self._outcome.seconds

    # -- parameters --------------------------------------------------------------------------------------------------

    summary = parameters.summary

    @cached_property
    def params(self) -> pd.Series:
        """Estimates (posterior means with draws) by parameter, natural scale."""
        return self._series(self._posterior.estimate, self._posterior.words.point)

    @cached_property
    def bse(self) -> pd.Series:
        """Standard errors (posterior sds with draws); nan for a parameter on its boundary."""
        return self._series(self._posterior.sd, self._posterior.words.spread)

    def _series(self, values: np.ndarray, name: str) -> pd.Series:
        return pd.Series(values, index=pd.Index(self.specification.names, name="parameter"), name=name)

    conf_int = parameters.conf_int
    profile = parameters.profile
    cov_params = parameters.cov_params
    identification = checks.identification

    # -- likelihood --------------------------------------------------------------------------------------------------

    @property
    def loglik(self) -> float:
        """Log-likelihood at the maximum with all constants, effects integrated out; an EngineError for draws."""
        return self._posterior.loglik

    @property
    def aic(self) -> float:
        """Akaike's information criterion (ml, reml); the number of groups counts as the sample size."""
        return self._posterior.information("aic")

    @property
    def bic(self) -> float:
        """Bayesian information criterion (ml, reml); the number of groups counts as the sample size."""
        return self._posterior.information("bic")

    lr_test = nested.lr_test
    hypothesis = hypotheses.hypothesis
    wald_test = hypotheses.wald_test
    bootstrap = resampling.bootstrap

    # -- criticism ---------------------------------------------------------------------------------------------------

    loo = verbs.loo
    waic = verbs.waic
    kfold = verbs.kfold
    loo_pit = verbs.loo_pit
    ppc = verbs.ppc
    contraction = verbs.contraction
    sensitivity = verbs.sensitivity
    log_evidence = verbs.log_evidence

    # -- in words ----------------------------------------------------------------------------------------------------

    interpret = interpret
    tidy = tidy
    glance = glance

    # -- effects and weights -----------------------------------------------------------------------------------------

    weights = effects.weights
    random_effects = effects.random_effects
    variance_components = partition.variance_components
    group_correlation = partition.group_correlation
    r2 = partition.r2
    members = members
    changes = changes

    # -- predictions -------------------------------------------------------------------------------------------------

    predict = forecast.predict
    predictions = margins.predictions
    comparisons = margins.comparisons
    slopes = margins.slopes
    survival = curves.survival
    baseline = curves.baseline
    fitted = forecast.fitted
    residuals = leftover.residuals

    # -- again, and elsewhere ----------------------------------------------------------------------------------------

    def update(self, **changes: Any) -> Fit:
        """Fit again with some arguments of :func:`micromacro.fit` changed; the others stay the same.

        Parameters
        ----------
        **changes
            Arguments of :func:`micromacro.fit` by name.

        Returns
        -------
        Fit

        Raises
        ------
        MicromacroError
            For arguments that :func:`micromacro.fit` does not have, and as :func:`micromacro.fit`.
        """
        if self._model is None:
            raise EngineError("this fit was loaded without its data: fit the model again with mm.fit")
        return self._model._refit(self._outcome.settings, self.engine, changes)

    def extend(self, draws: int, *, progress: bool = True, executor: Executor | None = None) -> Fit:
        """A fit with more draws: the chains of `mcmc` continue where they stopped, without tuning.

        The draws are identical to those of one longer run. After Ctrl-C the chains that have draws continue; chains
        that were lost stay out.

        Parameters
        ----------
        draws : int
            More draws of each chain.
        progress : bool
        executor : concurrent.futures.Executor, optional
            As in :func:`micromacro.fit`.

        Returns
        -------
        Fit
            Old and new draws together; this fit does not change.

        Raises
        ------
        EngineError
            For other engines, and if no chain gave a draw.
        """
        from ..engines.mcmc.engine import extend

        if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 1:
            raise EngineError(f"draws= must be a positive whole number, not {draws!r}")
        longer = extend(self._outcome, int(draws), progress, executor)
        return Fit(longer, self._model)

    def to_datatree(
        self,
        *,
        effects: bool = True,
        log_likelihood: bool = True,
        posterior_predictive: bool = True,
        prior: bool | None = None,
        prior_draws: int = 500,
        random_seed: int | None = None,
    ) -> Any:
        """The fit as an ArviZ DataTree (fits with draws).

        Parameters
        ----------
        effects : bool
            Effects of members and units, in posterior and prior.
        log_likelihood, posterior_predictive : bool
            Log-likelihood of each group (times its observation weight) and replicated outcomes, at every draw.
        prior : bool, optional
            Draws from the prior, and outcomes made from them; by default where all priors are proper.
        prior_draws : int
        random_seed : int, optional
            Of the draws made here; that of the fit without it.

        Returns
        -------
        xarray.DataTree
            posterior, sample_stats, observed_data and constant_data, and as asked for log_likelihood,
            posterior_predictive, prior and prior_predictive.

        Raises
        ------
        EngineError
            For fits without draws, and where draws from the prior are asked for and a prior is flat.
        """
        from .store.tree import Contents, to_datatree

        seed = self._outcome.settings.random_seed if random_seed is None else random_seed
        if prior is None:
            prior = self._model is not None and all(p.prior.proper for p in self.specification.parameters)
        draw = None
        if prior:
            if self._model is None:
                raise EngineError("this fit was made without a way to draw from its prior: fit the model with mm.fit")
            check_whole("prior_draws", prior_draws, 1)
            draw = partial(self._model.prior_predictive, prior_draws, random_seed=seed)
        wanted = Contents(effects, log_likelihood, posterior_predictive)
        return to_datatree(self._posterior, wanted, draw, np.random.default_rng(seed))

    def save(
        self,
        path: Any,
        *,
        data: bool = True,
        contents: Literal["all", "parameters", "summary"] = "all",
        thin: int = 1,
        draws: int | None = None,
        dtype: Literal["float64", "float32"] = "float64",
        named: bool = True,
    ) -> SavedFile:
        """Write the fit to a file, from which :func:`micromacro.load` reads it back.

        The file is netCDF, or zarr if `path` ends in ``.zarr`` (extra ``[zarr]``); ArviZ and xarray can read it too.
        It holds what the engine returned, the description of the model, and the tables that the formula uses. It is
        renamed when it is complete: if anything goes wrong, an existing file is unchanged.

        Parameters
        ----------
        path : str or Path
        data : bool
            Whether to store the tables. Without them ``load(path)`` has the summaries only, and
            ``load(path, data=...)`` everything.
        contents : {"all", "parameters", "summary"}
            All draws; those of the parameters without the effects of members and units; or tables of results only.
        thin : int
            Keep every `thin`-th draw.
        draws : int, optional
            Keep at most this many draws of each chain, evenly spaced.
        dtype : {"float64", "float32"}
            Of the effects; parameters keep all their digits.
        named : bool
            Store the effects a second time, on the scale of the linear predictor and under the ids of members and
            units, for programs other than micromacro.

        Returns
        -------
        SavedFile
            The size of the file and of its parts.

        Raises
        ------
        FileError
            (An ``OSError`` and a ``MicromacroError``) where the file cannot be written.
        """
        from .store import Keep, save

        return save(self, path, Keep(contents, thin, draws, dtype, data, named))

    @property
    def plot(self) -> Plots:
        """Plots, such as ``fit.plot.weights()`` and ``fit.plot.effects()`` (extra ``[plots]``)."""
        from .plots import Plots

        return Plots(self)

    def report(self, path: Any = None, *, ci: float = 0.95) -> Any:
        """The report: as text, or as one HTML file that needs no network and no script to be read.

        The text has the model in words, coefficients, weights, spread and health. The file has the equations, what
        each estimate says (:meth:`interpret`), pictures (extra ``[plots]``) and the numbers behind them too.

        Parameters
        ----------
        path : str or Path, optional
            Where to write the file, which ends in .html.
        ci : float
            Probability of the intervals.

        Returns
        -------
        str or Path
            The text; the path of the file.

        Raises
        ------
        FileError
            For another ending, and where the file cannot be written.
        """
        if path is None:
            return text_report(self, ci)
        from .report.page import write_page

        return write_page(self, path, ci)

    def __repr__(self) -> str:
        return self.report()

    if not TYPE_CHECKING:  # which knows itself what there is not

        def __getattr__(self, name: str) -> Any:
            hint = f": it is called {OF_FITS[name]} here" if name in OF_FITS else ""
            raise AttributeError(f"a fit has no {name!r}{hint}", name=name, obj=self)

    def _repr_html_(self) -> str:
        return html_report(self)

    @property
    def posterior(self) -> Posterior:
        """The arrays behind the tables."""
        return self._posterior
