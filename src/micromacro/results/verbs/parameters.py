"""Parameters of a fit as tables: estimates, intervals, covariances, and which can be told apart."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Literal

import numpy as np
import pandas as pd

from ...errors import EngineError, ModelError
from ...posterior.intervals import check_level
from ...posterior.smallsample import CORRECTIONS
from ..fitted import Fitted
from ..tables.summary import summary_table
from .profiles import corrected_interval, profile_interval, profiled


def summary(fit: Fitted, ci: float = 0.95, df: bool = False) -> pd.DataFrame:
    """Table of all parameters.

    Parameters
    ----------
    ci : float
        Probability of the intervals ``lower`` to ``upper``.
    df : bool
        Whether coefficients are tested by a t distribution (ml and reml of Gaussian outcomes): with Kenward and Roger's
        degrees of freedom and standard errors where estimated weights do not change the coefficients' columns, else
        with Satterthwaite's degrees of freedom, an approximation. They take a dense covariance of the groups that share
        effects, so that they are only found when they are asked for.

    Returns
    -------
    DataFrame
        Indexed by parameter: mean, sd, lower, upper, ess_bulk, ess_tail, r_hat, mcse_mean, mcse_lower, mcse_upper for
        draws (the last three are Monte Carlo standard errors of the mean and of the ends of the interval); estimate,
        se, z, p, lower, upper for ml and reml (no z and p for positive parameters); with ``df=True`` estimate, se, df,
        t, p, lower, upper, df_method (infinite df of all but coefficients). ``.attrs["doubtful"]`` lists the parameters
        that a problem of the fit's health is about, which reports mark with ``!``: do not read them as they stand.

    Raises
    ------
    EngineError
        For degrees of freedom of draws, of other families, of penalised fits, and of more than 4,000 groups that share
        effects.
    """
    out = summary_table(fit.posterior, ci, df)
    doubtful = fit.health.doubtful
    out.attrs["doubtful"] = [name for name in out.index if name in doubtful]
    return out


def conf_int(
    fit: Fitted, ci: float = 0.95, method: Literal["wald", "profile"] = "wald", df: bool = False
) -> pd.DataFrame:
    """Intervals of all parameters: columns lower and upper.

    Parameters
    ----------
    ci : float
    method : {"wald", "profile"}
        For ml and reml; ``"profile"`` replaces the intervals of theta (weights, sds, sigma) by profile-likelihood
        ones, where they have one (cuts and matrices of correlations have none). Draws have equal-tailed intervals
        whatever is asked.
    df : bool
        Whether intervals of coefficients are those of a t distribution, as in :meth:`summary`.

    Returns
    -------
    DataFrame
        Indexed by parameter: lower, upper.

    Raises
    ------
    EngineError
        For an unknown method.
    """
    if method not in ("wald", "profile"):
        raise EngineError(f'method= is "wald" or "profile", not {method!r}')
    numbers = fit.posterior.parameters(ci)
    out = pd.DataFrame({"lower": numbers.lower, "upper": numbers.upper}, index=fit.params.index)
    if df:
        out = pd.DataFrame(summary_table(fit.posterior, ci, True), columns=["lower", "upper"])
    if method == "profile" and not fit.posterior.kind.draws:
        for name in profiled(fit.posterior):
            out.loc[name] = profile_interval(fit.posterior, name, check_level(ci))
    return out


def profile(
    fit: Fitted,
    name: str,
    ci: float = 0.95,
    *,
    bootstrap: int = 0,
    random_seed: int | None = None,
    executor: Executor | None = None,
) -> tuple[float, float]:
    """Profile-likelihood interval of a weight parameter, an sd or sigma (ml, reml).

    Where the data say little of weights these intervals are too short. With ``bootstrap=100`` the level is corrected at
    each end (Bartlett): data sets are simulated there, and the test statistic is divided by its mean over them.

    Parameters
    ----------
    name : str
    ci : float
    bootstrap : int
        Number of data sets for each end; 0 for the chi-squared level.
    random_seed : int, optional
        Of the data sets.
    executor : concurrent.futures.Executor, optional
        Where they are fitted.

    Returns
    -------
    tuple of float
        Lower and upper end, natural scale; infinite where no value in that direction is rejected.

    Raises
    ------
    EngineError, ModelError
        For fits with draws, parameters without a profile interval, and outcomes that cannot be simulated.
    """
    if bootstrap:
        return corrected_interval(fit.posterior, name, check_level(ci), bootstrap, random_seed, executor)
    return profile_interval(fit.posterior, name, check_level(ci))


def cov_params(
    fit: Fitted,
    kind: Literal["model", "sandwich", "kenward-roger"] = "model",
    *,
    by: str | None = None,
    correction: Literal["CR0", "CR1", "CR1S", "CR2", "CR3"] = "CR1S",
) -> pd.DataFrame:
    """Covariance matrix of the parameters, natural scale.

    Parameters
    ----------
    kind : {"model", "sandwich", "kenward-roger"}
        ``model``: of all parameters, from the joint Hessian (posterior covariance with draws). The others are of the
        coefficients of Gaussian outcomes (ml, reml). ``sandwich``: robust to what the model says of variances and
        correlations within the clusters `by`, estimated weights and variances being held. ``kenward-roger``: adjusted
        for small samples, as in ``summary(df=True)``.
    by : str, optional
        Clusters of the sandwich: a unit, or a column of groups that the model uses. They must contain all effects.
    correction : {"CR0", "CR1", "CR1S", "CR2", "CR3"}
        Of the sandwich in small samples, under the names of R's clubSandwich: with m clusters, N outcomes and p
        coefficients times m / (m - 1) (CR1), times m (N - 1) / ((m - 1) (N - p)) (CR1S, as of Stata, statsmodels and
        pyfixest), by adjusted residuals (CR2, unbiased where the model is right; CR3, close to the jackknife), or none.

    Returns
    -------
    DataFrame

    Raises
    ------
    EngineError, ModelError
        For draws and other families, and for an effect that crosses the clusters.
    """
    index = fit.params.index
    if kind == "model":
        return pd.DataFrame(fit.posterior.covariance, index=index, columns=index.rename(None))
    if kind not in ("sandwich", "kenward-roger"):
        raise EngineError(f'kind= is "model", "sandwich" or "kenward-roger", not {kind!r}')
    best = fit.posterior.maximised(f'kind="{kind}" belongs to maximum likelihood: fit with engine="reml" or "ml"')
    if kind == "sandwich":
        if correction not in CORRECTIONS:
            raise EngineError(f"correction= is one of {', '.join(CORRECTIONS)}, not {correction!r}")
        made = best.sandwich(_clusters(fit, by), str(by), correction)
    else:
        made = best.adjusted()
    some = index[best.coefficients]
    return pd.DataFrame(made, index=some, columns=some.rename(None))


def _clusters(fit: Fitted, by: str | None) -> np.ndarray:
    """A number for each group: its unit, or the value of a column."""
    specification = fit.specification
    for name, unit in specification.units.items():
        if by in (name, unit.column):
            return unit.codes
    groups = specification.tables.groups
    if by is None or by not in groups:
        known = ", ".join(dict.fromkeys((*specification.units, *groups.names))) or "none"
        raise ModelError(f"by= is a unit or a column of groups that the model uses ({known}), not {by!r}")
    return np.unique(groups[by].values, return_inverse=True)[1].reshape(-1)
