"""The fit: one object that answers what users ask, each answer a table with labels."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from ..engines.base import Outcome, Settings
from ..engines.health import Health
from ..errors import EngineError
from ..model import Specification
from . import bootstrap as resampling
from . import forecast, hypotheses, inference, margins, partition, report, summary, survival
from .criticism import predictive, sensitivity
from .criticism.calibration import loo_pit
from .criticism.elpd import Elpd
from .criticism.kfold import kfold
from .criticism.loo import leave_one_out, waic
from .evidence import Evidence, log_evidence
from .members import members
from .posterior import Posterior
from .predict import group_index

if TYPE_CHECKING:
    from .plots import Plots
    from .store import SavedFile

Refit = Callable[[Settings, str, dict[str, Any]], "Fit"]


class Fit:
    """A fitted model.

    With draws (mcmc) `params` is the posterior mean, `bse` its standard deviation, intervals are equal-tailed; with
    ml and reml they are estimates, standard errors from the joint Hessian, Wald intervals (on the log scale for
    standard deviations). Scales: standard deviations, never variances; effects and linear predictors on the link
    scale.
    """

    def __init__(self, outcome: Outcome, refit: Refit | None = None, prior: Callable[..., Any] | None = None):
        self._outcome = outcome
        self._prior = prior
        self._posterior = Posterior(outcome)
        self._refit = refit

    # -- what was fitted ---------------------------------------------------------------------------------------------

    @property
    def specification(self) -> Specification:
        """The model that was fitted, with its tables."""
        return self._outcome.specification

    @property
    def formula(self) -> str:
        """The formula as it was written."""
        return self.specification.formula.text

    @property
    def engine(self) -> str:
        """The engine: mcmc, ml or reml."""
        return self._outcome.engine

    @property
    def health(self) -> Health:
        """What can be said of how far the fit may be trusted."""
        return self._posterior.health

    @property
    def nobs(self) -> int:
        """Number of groups (each is one observation)."""
        return self.specification.groups

    @property
    def seconds(self) -> float:
        """Wall time that the engine took."""
        return self._outcome.seconds

    # -- parameters --------------------------------------------------------------------------------------------------

    def summary(self, ci: float = 0.95) -> pd.DataFrame:
        """Table of all parameters.

        Parameters
        ----------
        ci : float
            Probability of the intervals ``lower`` to ``upper``.

        Returns
        -------
        DataFrame
            Indexed by parameter: mean, sd, lower, upper, ess_bulk, ess_tail, r_hat, mcse_mean for draws; estimate, se,
            z, p, lower, upper for ml and reml (no z and p for positive parameters).
        """
        return summary.summary_table(self._posterior, ci)

    @cached_property
    def params(self) -> pd.Series:
        """Estimates (posterior means with draws) by parameter, natural scale."""
        return self._series(self._posterior.estimate, "estimate")

    @cached_property
    def bse(self) -> pd.Series:
        """Standard errors (posterior sds with draws); nan for a parameter on its boundary."""
        return self._series(self._posterior.sd, "se")

    def _series(self, values: np.ndarray, name: str) -> pd.Series:
        return pd.Series(values, index=pd.Index(self.specification.names, name="parameter"), name=name)

    def conf_int(self, ci: float = 0.95, method: Literal["wald", "profile"] = "wald") -> pd.DataFrame:
        """Intervals of all parameters: columns lower and upper.

        Parameters
        ----------
        ci : float
        method : {"wald", "profile"}
            For ml and reml; ``"profile"`` replaces the intervals of theta (weights, sds, sigma) by profile-likelihood
            ones. Draws have equal-tailed intervals whatever is asked.
        """
        if method not in ("wald", "profile"):
            raise EngineError(f'method= is "wald" or "profile", not {method!r}')
        low, high = summary.intervals(self._posterior, ci)
        out = pd.DataFrame({"lower": low, "upper": high}, index=self.params.index)
        if method == "profile" and not self._posterior.sampled:
            for p in self.specification.system.hypers:
                out.loc[p.name] = self.profile(p.name, ci)
        return out

    def profile(self, name: str, ci: float = 0.95) -> tuple[float, float]:
        """Profile-likelihood interval of a weight parameter, an sd or sigma (ml, reml)."""
        return inference.profile_interval(self._outcome, name, summary.check_level(ci))

    def cov_params(self) -> pd.DataFrame:
        """Covariance matrix of all parameters (posterior covariance with draws), natural scale."""
        index = self.params.index
        return pd.DataFrame(self._posterior.covariance, index=index, columns=index.rename(None))

    def identification(self, threshold: float = 0.9) -> pd.DataFrame:
        """How far weight parameters (and shapes of aggregation) can be told from the others.

        Parameters
        ----------
        threshold : float
            Absolute correlation above which a pair is flagged.

        Returns
        -------
        DataFrame
            A row a pair, the strongest first: parameter, other, correlation (posterior, or of the estimates by the
            joint Hessian), flagged, contraction (of `parameter`, with draws: 0 where the data said nothing, 1 where
            they said all).
        """
        from .check import identification

        return identification(self._posterior, threshold)

    # -- likelihood --------------------------------------------------------------------------------------------------

    @property
    def loglik(self) -> float:
        """Log-likelihood at the maximum with all constants, effects integrated out (restricted for reml).

        Raises
        ------
        EngineError
            For draws, which have no single likelihood.
        """
        if self._outcome.optimum is None:
            raise EngineError('a fit by mcmc has no maximised log-likelihood: fit with engine="ml" for one')
        return self._outcome.optimum.loglik

    @property
    def aic(self) -> float:
        """Akaike's information criterion (ml, reml); the number of groups counts as the sample size."""
        return inference.information_criteria(self._outcome)[0]

    @property
    def bic(self) -> float:
        """Bayesian information criterion (ml, reml); the number of groups counts as the sample size."""
        return inference.information_criteria(self._outcome)[1]

    def lr_test(
        self,
        smaller: Fit,
        method: Literal["chi2", "bootstrap"] = "chi2",
        *,
        n: int = 200,
        random_seed: int | None = None,
        executor: Executor | None = None,
    ) -> inference.LikelihoodRatio:
        """Likelihood-ratio test of a smaller model nested in this one; see the class for its p-value.

        With ``method="bootstrap"`` it comes from `n` data sets simulated under the smaller model, to which both are
        fitted: for weights that are not identified there, and small samples.
        """
        if method not in ("chi2", "bootstrap"):
            raise EngineError(f'method= is "chi2" or "bootstrap", not {method!r}')
        if method == "bootstrap":
            return resampling.bootstrap_lr(self, smaller, n, random_seed, executor)
        return inference.likelihood_ratio(self._outcome, smaller._outcome)

    hypothesis = hypotheses.hypothesis
    wald_test = hypotheses.wald_test
    bootstrap = resampling.bootstrap

    # -- criticism ---------------------------------------------------------------------------------------------------

    def loo(self, integrated: bool = False, *, by: str | None = None, draws: int | None = None) -> Elpd:
        """Leave-one-out cross-validation by Pareto-smoothed importance sampling.

        Parameters
        ----------
        integrated : bool
            Whether member and unit effects are integrated out before a group is left out. Without it (the usual
            PSIS-LOO) a group is predicted with effects that its own outcome has shaped, the weights must undo that, and
            with a few groups a member they often cannot: look at Pareto k.
        by : str, optional
            A member block or unit term: leaves out all groups of each member or unit together (effects integrated).
        draws : int, optional
            How many draws to use, evenly spaced; all of them, or 2,000 where effects are integrated.

        Returns
        -------
        Elpd
            ``.elpd``, ``.se``, ``.pointwise`` (DataFrame by group with elpd, p and pareto_k).
        """
        return leave_one_out(self._posterior, integrated, by, draws)

    def waic(self, *, draws: int | None = None) -> Elpd:
        """Widely applicable information criterion, conditional on the effects; :meth:`loo` is more reliable."""
        return waic(self._posterior, draws)

    def kfold(
        self, k: int | None = 10, *, by: str = "group", random_seed: int | None = None
    ) -> Elpd:  # fmt: skip
        """Cross-validation by refitting with the same engine and settings.

        Parameters
        ----------
        k : int or None
            Number of folds; None leaves out one at a time.
        by : str
            ``"group"``, a member block or a unit term: what is dealt to the folds. A member takes all its groups with
            it; a group that is left out with several of its members in turn has the mean of its values.
        random_seed : int, optional
            Of the folds and the refits.

        Returns
        -------
        Elpd
            Pointwise by group. Members and units that are in no other group are drawn from their population; the
            constant of ``normalize=total`` and the priors stay what they are.
        """
        return kfold(self._posterior, k, by, random_seed)

    def loo_pit(self, *, integrated: bool = True, random_seed: int | None = None) -> pd.Series:
        """Probability integral transform of each outcome with its group left out: uniform if the model is right.

        Parameters
        ----------
        integrated : bool
            As in :meth:`loo`.
        random_seed : int, optional
            Of the replicated outcomes, and of the place within an atom (counts, categories) or of a censored outcome.
        """
        return loo_pit(self._posterior, integrated, random_seed)

    def ppc(
        self, stat: Any = ("mean", "sd", "min", "max"), *, by: Any = None, ci: float = 0.95,
        random_seed: int | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """Posterior predictive check: statistics of the outcomes against those of outcomes replicated from the fit.

        Parameters
        ----------
        stat : str, function, or list or dict of these
            mean, sd, min, max, median, q10, q90, zeros (share of them), or a function of an array of outcomes.
        by : str or Series, optional
            A unit term, a member block (all groups of each member), a column of groups that the model uses, or a Series
            by group id: the statistic within each value.
        ci : float
        random_seed : int, optional

        Returns
        -------
        DataFrame
            Indexed by statistic (and value of `by`): groups, observed, replicated (mean), sd, lower, upper, and p, the
            share of replicates above the observed value (ties count half).
        """
        drawn = self.predict(kind="response", draws=True, random_seed=random_seed)
        index = group_index(self.specification, None)
        replicated = drawn.to_numpy()
        if self.specification.tables.group_levels is None:  # back from the user's order of rows
            replicated = replicated[:, np.argsort(np.argsort(index.to_numpy()))]
        return predictive.check(self._posterior, replicated, stat, by, summary.check_level(ci))

    def contraction(self) -> pd.DataFrame:
        """How far the data have narrowed each prior: 1 - (posterior sd / prior sd)^2; 0 means not at all.

        Returns
        -------
        DataFrame
            Indexed by parameter: prior, sd (posterior, natural scale), contraction (in the coordinate in which the
            prior is standard normal; for the intercept, at mean covariates).
        """
        return sensitivity.contraction_table(self._posterior)

    def sensitivity(self, of: str | None = None, *, draws: int | None = None) -> pd.DataFrame:
        """Power-scaling sensitivity: how far each posterior moves if prior or likelihood weigh a little more or less.

        Parameters
        ----------
        of : str, optional
            A parameter or class (``"w"``): scale only these priors. The priors of all parameters without it; the
            distribution of effects is never scaled.
        draws : int, optional

        Returns
        -------
        DataFrame
            Indexed by parameter: prior, likelihood, diagnosis. Above 0.05 the posterior moves: with the prior alone,
            the prior is strong or the data say little; with both, prior and data disagree.
        """
        return sensitivity.sensitivity_table(self._posterior, of, draws)

    def log_evidence(
        self, method: Literal["bridge", "importance", "laplace"] = "bridge", *, draws: int = 2000,
        random_seed: int | None = None,
    ) -> Evidence:  # fmt: skip
        """Log marginal likelihood of the data, with its Monte Carlo error: for Bayes factors.

        Parameters
        ----------
        method : {"bridge", "importance", "laplace"}
            Bridge sampling between the draws of mcmc and a proposal fitted to them; importance sampling from that
            proposal; or Laplace's approximation, its integral over weights and sds by importance sampling, which needs
            no draws and is exact for Gaussian outcomes.
        draws : int
            From the proposal.
        random_seed : int, optional

        Returns
        -------
        Evidence
            ``.value``, ``.se``; a number where one is asked for.

        Raises
        ------
        EngineError
            Under flat priors, which leave it without a constant; vague ones, which decide it, are warned of.
        """
        return log_evidence(self._posterior, method, draws, random_seed)

    # -- effects and weights -----------------------------------------------------------------------------------------

    def weights(self, block: str | None = None, ci: float = 0.95) -> pd.DataFrame:
        """Weights of all memberships.

        Parameters
        ----------
        block : str, optional
            Which member block; all of them without it (indexed by block if there are several).
        ci : float

        Returns
        -------
        DataFrame
            One row a membership, sorted by group and member: group, member, weight (posterior mean or estimate), sd
            (posterior sd or delta-method standard error), lower, upper. With draws at most 1,000 of them are used.
        """
        return summary.weights_table(self._posterior, block, ci)

    def random_effects(self, name: str | None = None, ci: float = 0.95) -> pd.DataFrame:
        """Effects of members or units on the link scale.

        Parameters
        ----------
        name : str, optional
            A member block or unit term; all of them without it (indexed by block if there are several).

        Returns
        -------
        DataFrame
            Indexed by id: mean, sd, lower, upper (draws) or estimate, se, lower, upper (conditional modes, whose
            standard errors include the uncertainty of everything that was maximised).
        """
        return summary.random_effects_table(self._posterior, name, ci)

    variance_components = partition.variance_components
    group_correlation = partition.group_correlation
    r2 = partition.r2
    members = members

    # -- predictions -------------------------------------------------------------------------------------------------

    predict = forecast.predict
    predictions = margins.predictions
    comparisons = margins.comparisons
    slopes = margins.slopes

    def survival(
        self,
        times: Any = None,
        data: Any = None,
        *,
        memberships: Any = None,
        members: Any = None,
        new_effects: Literal["draw", "zero"] = "draw",
        ci: float = 0.95,
        random_seed: int | None = None,
    ) -> pd.DataFrame:
        """Survival curves: the probability of lasting longer than a time (cox, weibull, exponential, lognormal).

        Parameters
        ----------
        times : array, optional
            Times from zero on; without it the event times of the fit, or 50 quantiles of them.
        data, memberships, members : tables, optional
            As in :meth:`predict`; the groups of the fit without them.
        new_effects, random_seed
            As in :meth:`predict`.
        ci : float

        Returns
        -------
        DataFrame
            One row a group and time: the group's id, time, then mean, sd, lower, upper (draws) or estimate, se, lower,
            upper of the probability. Entry is at zero; after the last interval of a Cox model its hazard goes on.

        Raises
        ------
        EngineError
            For a family without durations.
        """
        return survival.survival_table(
            self._posterior, times, data, memberships=memberships, members=members, new_effects=new_effects, ci=ci,
            random_seed=random_seed,
        )  # fmt: skip

    def baseline(self, ci: float = 0.95) -> pd.DataFrame:
        """Baseline hazard of a Cox model, for a group at mean covariates and without effects.

        Returns
        -------
        DataFrame
            Indexed by interval: start, stop (of the last one: the last observed time), hazard per unit of time with sd
            or se, lower and upper, and the same of the cumulative hazard at the interval's end.

        Raises
        ------
        EngineError
            For other families.
        """
        return survival.baseline_table(self._posterior, ci)

    def fitted(self) -> pd.Series:
        """Expected outcome of every group, effects included (posterior mean, or at the maximum)."""
        table = self.predict()
        return table.iloc[:, 0].rename("fitted")

    def residuals(self) -> pd.Series:
        """Outcome minus :meth:`fitted`, on the scale that the family saw (after ``log(y)``)."""
        fitted = self.fitted()
        index = group_index(self.specification, None)
        return pd.Series(self.specification.outcome, index, name="residual").reindex(fitted.index) - fitted

    # -- again, and elsewhere ----------------------------------------------------------------------------------------

    def update(self, **changes: Any) -> Fit:
        """Fit again with some arguments of :func:`micromacro.fit` changed; the rest stays as it was."""
        if self._refit is None:
            raise EngineError("this fit was loaded without its data: fit the model anew with mm.fit")
        return self._refit(self._outcome.settings, self.engine, changes)

    def extend(self, draws: int, *, progress: bool = True, executor: Executor | None = None) -> Fit:
        """A fit with more draws: the chains of `mcmc` go on from where they stopped, without tuning.

        The draws are those that one longer run would have given, bit for bit. It also goes on after Ctrl-C, with the
        chains that have draws, and without chains that were lost.

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
            Old and new draws together; this fit stays as it is.

        Raises
        ------
        EngineError
            For other engines, and if no chain gave a draw.
        """
        from ..engines.mcmc import extend

        if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 1:
            raise EngineError(f"draws= must be a positive whole number, not {draws!r}")
        return Fit(extend(self._outcome, int(draws), progress, executor), self._refit)

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
            Log-likelihood of each group (times its observation weight) and outcomes drawn anew, at every draw.
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
        """
        from .tree import Wanted, to_datatree

        seed = self._outcome.settings.random_seed if random_seed is None else random_seed
        if prior is None:
            prior = self._prior is not None and all(p.prior.proper for p in self.specification.parameters)
        draw = None
        if prior:
            if self._prior is None:
                raise EngineError("this fit was made without a way to draw from its prior: fit the model with mm.fit")
            draw = partial(self._prior, prior_draws, random_seed=seed)
        wanted = Wanted(effects, log_likelihood, posterior_predictive)
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
        """Write the fit to a file that :func:`micromacro.load` makes a fit of again.

        The file is netCDF, or zarr where `path` ends in ``.zarr`` (extra ``[zarr]``); ArviZ and xarray read it too. It
        holds what the engine returned, the description of the model, and the tables that the formula reads. It appears
        under its name once it is complete: a run of bad luck leaves the old file as it was.

        Parameters
        ----------
        path : str or Path
        data : bool
            Whether the tables go along. Without them ``load(path)`` has the summaries only, and
            ``load(path, data=...)`` everything.
        contents : {"all", "parameters", "summary"}
            All draws; those of the parameters without the effects of members and units; or tables of results only.
        thin : int
            Keep every how many-th draw.
        draws : int, optional
            Keep at most so many draws of each chain, evenly spaced.
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
        """Pictures, such as ``fit.plot.weights()`` and ``fit.plot.effects()`` (extra ``[plots]``)."""
        from .plots import Plots

        return Plots(self)

    def report(self, ci: float = 0.95) -> str:
        """The report as text: the model in words, coefficients, weights, spread, health."""
        return report.text_report(self, ci)

    def __repr__(self) -> str:
        return self.report()

    def _repr_html_(self) -> str:
        return report.html_report(self)

    @property
    def posterior(self) -> Posterior:
        """The arrays behind the tables."""
        return self._posterior
