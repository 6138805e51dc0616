"""Weights of memberships, and effects of members and units."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ...posterior.design import new_tables
from ..fitted import Fitted
from ..tables.summary import random_effects_table, weights_table


def weights(
    fit: Fitted,
    block: str | None = None,
    ci: float = 0.95,
    *,
    data: Any = None,
    memberships: Any = None,
    members: Any = None,
) -> pd.DataFrame:
    """Weights of all memberships, of the fit or of other tables.

    Parameters
    ----------
    block : str, optional
        Which member block; all of them by default (indexed by block if there are several).
    ci : float
    data, memberships, members : tables, optional
        Other groups, as :meth:`predict` takes them; ``normalize = total`` keeps the constant of the fit.

    Returns
    -------
    DataFrame
        One row per membership, sorted by group and member, and indexed by their ids under the user's own names:
        group, member, weight (posterior mean or estimate), sd (draws) or se (delta method), lower, upper. The index
        by block, group and member where there are several blocks. With draws at most 1,000 of them are used. Blocks
        with ``signed = yes`` have a column p_negative: the share of draws in which the weight is negative, or its
        probability by the normal distribution behind the interval (0 or 1 where there is no uncertainty).
    """
    tables = None if data is None else new_tables(fit.specification, data, memberships, members, fit.posterior.theta)
    return weights_table(fit.posterior, block, ci, tables)


def random_effects(fit: Fitted, name: str | None = None, ci: float = 0.95) -> pd.DataFrame:
    """Effects of members or units on the link scale.

    Parameters
    ----------
    name : str, optional
        A member block or unit term; all of them by default (indexed by block if there are several).
    ci : float

    Returns
    -------
    DataFrame
        Indexed by id: mean, sd, lower, upper (draws) or estimate, se, lower, upper (conditional modes, whose
        standard errors include the uncertainty of everything that was maximised).
    """
    return random_effects_table(fit.posterior, name, ci)
