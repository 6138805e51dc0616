"""A fit in the columns that other makers of tables read."""

from __future__ import annotations

import pandas as pd

from ..fitted import Fitted


def tidy(fit: Fitted, ci: float = 0.95) -> pd.DataFrame:
    """All parameters, one row each, in the columns that broom and marginaleffects use.

    Parameters
    ----------
    ci : float
        Probability of the intervals.

    Returns
    -------
    DataFrame
        term, component (``b``, ``w``, ``sd``, ...: the parameter's class), estimate (posterior mean for draws),
        std_error (posterior sd), statistic and p_value (ml and reml; nan where there is no test), conf_low, conf_high.
    """
    table = fit.summary(ci)
    words, missing = fit.posterior.words, float("nan")
    kinds = {p.name: p.kind for p in fit.specification.parameters}
    columns = {
        "term": list(table.index),
        "component": [kinds[name] for name in table.index],
        "estimate": table[words.point].to_numpy(),
        "std_error": table[words.spread].to_numpy(),
        "statistic": table["z"].to_numpy() if "z" in table else missing,
        "p_value": table["p"].to_numpy() if "p" in table else missing,
        "conf_low": table["lower"].to_numpy(),
        "conf_high": table["upper"].to_numpy(),
    }
    return pd.DataFrame(columns)


def glance(fit: Fitted) -> pd.DataFrame:
    """The whole fit in one row.

    Returns
    -------
    DataFrame
        One row: family, link, engine, nobs (outcomes), parameters, loglik, aic, bic (ml and reml, where they mean
        something) or draws and r_hat (the largest), ok (the verdict), seconds.
    """
    s = fit.specification
    row = {
        "family": s.family.name,
        "link": s.family.link,
        "engine": fit.engine,
        "nobs": fit.nobs,
        "parameters": len(s.parameters),
        **fit.posterior.figures,
        "ok": fit.health.ok,
        "seconds": fit.seconds,
    }
    return pd.DataFrame([row])
