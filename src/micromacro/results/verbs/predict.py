"""Predictions of every group, of the fit or of new tables: what ``Fit.predict`` gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from ...errors import EngineError
from ...posterior.base import Posterior
from ...posterior.choosing import group_estimand, of_groups
from ...posterior.design import new_tables
from ...posterior.intervals import check_level
from ...posterior.quantities import KINDS, find_quantity, response_values
from ...posterior.treatment import Treatment, treatment_of
from ...table.memberships import Tables
from ..fitted import Fitted
from ..labels import group_index, shown_order
from ..tables.labelled import labelled

MOST = 2000


def predict(
    fit: Fitted,
    data: Any = None,
    kind: Literal["linear", "mean", "median", "probability", "zero", "response"] = "mean",
    *,
    memberships: Any = None,
    members: Any = None,
    effects: str | Mapping[str, str] = "conditional",
    new_effects: Literal["draw", "zero"] = "draw",
    ci: float = 0.95,
    draws: bool = False,
    dpar: str | None = None,
    random_seed: int | None = None,
) -> Any:
    """Predictions for the groups of the fit, or for the groups of other tables.

    Parameters
    ----------
    data, memberships, members : tables, optional
        As in :func:`micromacro.fit`, without the outcome (but with the number of trials, where outcomes of
        ``trials(k, n)`` are predicted); the groups of the fit without them.
    kind : {"linear", "mean", "median", "probability", "zero", "response"}
        Linear predictor, expected outcome (of ``trials(k, n)`` the share of successes, of an ordinal outcome the
        mean number of the category), its median (durations), the probability of each category (ordinal; of
        a success for binary outcomes), or the outcome itself, with its own spread (of ``trials`` the count; a
        duration that entered late lasts until its entry at least, and starts at zero in other tables).
    dpar : str, optional
        A parameter of the family, ``"sigma"`` or ``"zi"``, that is read instead of the outcome: itself, or
        (``kind="linear"``) its linear predictor; or ``"mu[b]"``, the log odds of one category against the first.
    effects : {"conditional", "marginal", "zero"} or dict
        Effects of members and units as estimated, integrated out over their population (as of new members in new
        units), or at zero; or a dict from names of terms to these words, in which terms left out are conditional.
    new_effects : {"draw", "zero"}
        Effects of members and units that the fit has not seen, where they are conditional: as their population has
        them, or zero. The mean (or estimate) is the expected value over that population, which integrates them out, by
        every engine; sd (or se), lower and upper are those of one group whose effects are drawn from it. A standard
        error of ml and reml takes that population as wide as estimated; draws vary its sd, too, so that they are wider
        (by sqrt(1 + se^2 / sd^2) where the effects are all there is).
    ci : float
    draws : bool
        Give the draws instead of a table: at most 2,000. Of ml and reml they come from the normal approximation
        around the maximum, joint in all parameters and effects.
    random_seed : int, optional
        Of the draws for unseen effects and responses, and of the normal approximation.

    Returns
    -------
    DataFrame or xarray.DataArray
        Indexed by group id (where each row is a group by the index of a pandas frame, by row number of other data;
        by group and category for probabilities of an ordinal outcome): mean, sd, lower, upper, or estimate, se,
        lower, upper, where standard errors are by the delta method and intervals are made on the log or logit scale
        of positive means and shares. With ``draws=True`` an array with the dims draw, group (and category).

    Raises
    ------
    ModelError, DataError, EngineError
        For a `kind` that the family does not have, terms that have no effects, categories that the fit has not seen,
        missing values, and numbers of trials that are missing.
    """
    posterior = fit.posterior
    specification = posterior.specification
    check_level(ci)
    if kind != "response":
        find_quantity(specification, kind if kind in KINDS else _unknown(kind), dpar)
    elif dpar is not None:
        raise EngineError(f'dpar={dpar!r} is predicted as kind="mean" or "linear", not "response"')
    treatment = treatment_of(specification, effects, new_effects)
    rng = np.random.default_rng(random_seed)
    tables = None if data is None else new_tables(specification, data, memberships, members, posterior.theta, kind)
    index, order = group_index(specification, tables), shown_order(specification, tables)
    if kind == "response":
        if specification.family.nominal and not draws:
            raise EngineError(
                'kind="response" gives draws of categories (numbers from 1), which have no mean: ask for draws=True, '
                'or for kind="probability"'
            )
        made = _responses(posterior, tables, treatment, rng)
        if draws:
            return _labelled(made[:, None], index, (), kind, order)
        return _response_table(posterior, tables, treatment, made, ci, index).iloc[order]
    estimand = group_estimand(specification, tables, kind, treatment, dpar)
    categories = estimand.quantity.categories
    if draws:
        made = posterior.as_sampled(MOST, rng).estimand_draws(estimand, rng, MOST)
        return _labelled(made, index, categories, kind, order)
    numbers = posterior.estimand(estimand, ci, rng, MOST)
    if not categories:
        return labelled(numbers, posterior.words, index).iloc[order]
    table = labelled(numbers, posterior.words, pd.RangeIndex(len(numbers.point)))
    rows = order[:, None] + len(index) * np.arange(len(categories))  # the categories of each group together
    return table.iloc[rows.ravel()].set_axis(_with_categories(index[order], categories))


def _unknown(kind: str) -> str:
    raise EngineError(f"kind= is one of {', '.join((*KINDS, 'response'))}, not {kind!r}")


def fitted(fit: Fitted) -> pd.Series:
    """Expected outcome of every group, effects included (posterior mean, or at the maximum).

    Returns
    -------
    Series
        Indexed as :meth:`predict`: if rows are groups, by the index of the pandas frame that was given.
    """
    table = fit.predict()
    return table.iloc[:, 0].rename("fitted")


def expected(posterior: Posterior) -> pd.Series:
    """Expected outcome of each group of the fit; of durations that entered late given that they last until then."""
    specification = posterior.specification
    family, entry = specification.family, specification.entry
    quantity = find_quantity(specification, "mean")
    if entry is not None:
        quantity = replace(quantity, of=lambda eta, own: family.mean_after(eta, own, entry)[None])
    estimand = of_groups(specification, None, quantity)
    point = posterior.estimand(estimand, 0.95, np.random.default_rng(0), MOST).point
    return pd.Series(point, group_index(specification, None)).iloc[shown_order(specification, None)]


def _responses(
    posterior: Posterior, tables: Tables | None, treatment: Treatment, rng: np.random.Generator
) -> np.ndarray:  # fmt: skip
    """Outcomes (draws, groups) simulated at draws of everything."""
    specification = posterior.specification
    values = response_values(specification, tables)
    sampled = posterior.as_sampled(MOST, rng)
    own = sampled.populated(group_estimand(specification, tables, "linear", treatment), rng, MOST)
    if tables is None:
        return np.stack([specification.outcomes(e, o, rng) for e, o in own])
    return np.stack([specification.family.simulate(e, o, rng, values) for e, o in own])


def _response_table(
    posterior: Posterior, tables: Tables | None, treatment: Treatment, made: np.ndarray, ci: float, index: pd.Index
) -> pd.DataFrame:
    """Means and quantiles of simulated outcomes; exact at the maximum of a Gaussian model."""
    specification = posterior.specification
    late = tables is None and specification.entry is not None
    mean = None if late else group_estimand(specification, tables, "mean", treatment)
    values = response_values(specification, tables)
    trials = None if values is None else specification.family.trials(values)
    many = np.ones(len(index)) if trials is None else trials
    return labelled(posterior.responses(made, mean, many, ci), posterior.words, index)


def _with_categories(index: pd.Index, categories: tuple[str, ...]) -> pd.MultiIndex:
    """Every group with every category."""
    levels = [index.get_level_values(k).repeat(len(categories)) for k in range(index.nlevels)]
    return pd.MultiIndex.from_arrays([*levels, np.tile(categories, len(index))], names=[*index.names, "category"])


def _labelled(
    draws: np.ndarray, index: pd.Index, categories: tuple[str, ...], kind: str, order: np.ndarray
) -> Any:  # fmt: skip
    """Draws (draws, categories, groups) as a DataArray with dims draw, group and, where there are several, category."""
    import xarray as xr

    ids = index.to_numpy()
    ids = np.array([str(i) for i in ids]) if ids.dtype.kind == "O" else ids
    coords: dict[str, Any] = {"draw": np.arange(len(draws)), "group": ids}
    if categories:
        coords["category"] = list(categories)
        out = xr.DataArray(np.moveaxis(draws, 1, 2), coords, ("draw", "group", "category"), kind)
    else:
        out = xr.DataArray(draws[:, 0], coords, ("draw", "group"), kind)
    return out.isel(group=order)
