"""Parameters of a fit as tables: estimates, intervals, covariances, and which can be told apart."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from ...errors import EngineError
from ...posterior.intervals import check_level
from ..fitted import Fitted
from ..tables.summary import summary_table
from .inference import profile_interval, profiled


def summary(fit: Fitted, ci: float = 0.95) -> pd.DataFrame:
    """Table of all parameters.

    Parameters
    ----------
    ci : float
        Probability of the intervals ``lower`` to ``upper``.

    Returns
    -------
    DataFrame
        Indexed by parameter: mean, sd, lower, upper, ess_bulk, ess_tail, r_hat, mcse_mean, mcse_lower, mcse_upper for
        draws (the last three are Monte Carlo standard errors of the mean and of the ends of the interval); estimate,
        se, z, p, lower, upper for ml and reml (no z and p for positive parameters).
    """
    return summary_table(fit.posterior, ci)


def conf_int(fit: Fitted, ci: float = 0.95, method: Literal["wald", "profile"] = "wald") -> pd.DataFrame:
    """Intervals of all parameters: columns lower and upper.

    Parameters
    ----------
    ci : float
    method : {"wald", "profile"}
        For ml and reml; ``"profile"`` replaces the intervals of theta (weights, sds, sigma) by profile-likelihood
        ones, where they have one (cuts and matrices of correlations have none). Draws have equal-tailed intervals
        whatever is asked.

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
    if method == "profile" and not fit.posterior.kind.draws:
        for name in profiled(fit.posterior):
            out.loc[name] = profile_interval(fit.posterior, name, check_level(ci))
    return out


def profile(fit: Fitted, name: str, ci: float = 0.95) -> tuple[float, float]:
    """Profile-likelihood interval of a weight parameter, an sd or sigma (ml, reml).

    Parameters
    ----------
    name : str
    ci : float

    Returns
    -------
    tuple of float
        Lower and upper end, natural scale; infinite where no value in that direction is rejected.

    Raises
    ------
    EngineError, ModelError
        For fits with draws, and for parameters without a profile interval.
    """
    return profile_interval(fit.posterior, name, check_level(ci))


def cov_params(fit: Fitted) -> pd.DataFrame:
    """Covariance matrix of all parameters (posterior covariance with draws), natural scale.

    Returns
    -------
    DataFrame
    """
    index = fit.params.index
    return pd.DataFrame(fit.posterior.covariance, index=index, columns=index.rename(None))
