r"""Curves of durations: survival :math:`S_i(t) = \exp(-H_i(t))` of groups, and the baseline hazard of a Cox model.

Each is an estimand of its own, with one category per time or interval, so that draws and standard errors come from
where those of all predictions do; intervals are made on the logit of a probability and on the log of a hazard.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import sparse

from ...errors import EngineError, ModelError
from ...families.base import Family, Quantity
from ...families.registry import names_where
from ...model.specification import Specification
from ...posterior.base import Posterior
from ...posterior.design import new_tables, scenario_of
from ...posterior.estimand import Estimand, only
from ...posterior.intervals import Numbers, check_level
from ...posterior.treatment import treatment_of
from ..fitted import Fitted
from ..labels import group_column, shown_order
from ..tables.labelled import labelled
from .predict import MOST

POINTS = 50  # times of a curve, where none are given
NUMBERS = 20_000_000  # of draws to keep at once


def survival(
    fit: Fitted,
    times: Any = None,
    data: Any = None,
    *,
    memberships: Any = None,
    members: Any = None,
    effects: str | Mapping[str, str] = "conditional",
    new_effects: Literal["draw", "zero"] = "draw",
    ci: float = 0.95,
    random_seed: int | None = None,
) -> pd.DataFrame:
    """Survival curves: the probability of lasting beyond a time (cox, weibull, exponential, lognormal).

    Parameters
    ----------
    times : array, optional
        Times from zero on; without it the event times of the fit, or 50 quantiles of them (of censoring times and ends
        of intervals too, if there are no two events).
    data, memberships, members : tables, optional
        As in :meth:`predict`; the groups of the fit without them.
    effects, new_effects, random_seed
        As in :meth:`predict`: the probability is the expected one over effects that the fit has not seen.
    ci : float

    Returns
    -------
    DataFrame
        One row per group and time, indexed by the group's id: time, then mean, sd, lower, upper (draws) or estimate,
        se, lower, upper of the probability. Entry is at zero; after the last interval of a Cox model its hazard goes
        on.

    Raises
    ------
    EngineError
        For a family without durations.
    """
    posterior = fit.posterior
    specification = posterior.specification
    check_level(ci)
    family = specification.family
    if not family.durations:
        raise EngineError(f"survival() is for durations ({names_where(lambda f: f.durations)}), not {family.name}")
    treatment = treatment_of(specification, effects, new_effects)
    tables = None if data is None else new_tables(specification, data, memberships, members, posterior.theta)
    name, ids = group_column(specification, tables)
    places = np.argsort(shown_order(specification, tables))  # of each group among those shown
    at = _checked(times) if times is not None else default_times(specification)
    where = scenario_of(specification, tables)
    each = sparse.eye_array(where.groups, format="csr")
    many = max(1, NUMBERS // (MOST * max(where.groups, 1)))  # times at once
    blocks = []
    for some in np.array_split(at, range(many, len(at), many)):
        quantity = Quantity("survival", _survive(family, some), tuple(map(str, some)), "logit")
        estimand = Estimand(specification, [where], quantity, only("logit"), each, treatment)
        numbers = posterior.estimand(estimand, ci, np.random.default_rng(random_seed), MOST)
        table = labelled(numbers, posterior.words, pd.RangeIndex(len(numbers.point)))
        table.insert(0, "time", np.repeat(some, where.groups))
        blocks.append(table.set_axis(pd.Index(np.tile(ids, len(some)), name=name)))
    out = pd.concat(blocks)
    order = np.lexsort([out["time"].to_numpy(), np.tile(places, len(at))])
    return out.iloc[order]


def _survive(family: Family, times: np.ndarray) -> Any:
    """Function from eta (..., groups) and the family's numbers to S (times, ..., groups)."""
    return lambda eta, own: np.moveaxis(np.exp(-family.cumulative_hazard(times, eta, own)), -1, 0)


def _checked(times: Any) -> np.ndarray:
    """Times as rising numbers from zero."""
    try:
        out = np.unique(np.atleast_1d(np.asarray(times, dtype=float)))
    except (TypeError, ValueError) as error:
        raise ModelError(f"times= are finite numbers from zero, not {times!r}") from error
    if not len(out) or not np.all(np.isfinite(out)) or out[0] < 0:
        raise ModelError("times= are finite numbers from zero")
    return out


def default_times(specification: Specification) -> np.ndarray:
    """Event times of the fit, or as many of their quantiles as a curve has points.

    Where no two events are exact all ends of what is known take their place.
    """
    known = specification.family.known(specification.response)
    observed = specification.outcome[known.exact]
    distinct = np.unique(observed)
    if len(distinct) < 2:
        observed = known.ends
        distinct = np.unique(observed)
    if len(distinct) <= POINTS:
        return distinct
    return np.unique(np.quantile(observed, np.linspace(0.0, 1.0, POINTS), method="inverted_cdf"))


def baseline(fit: Fitted, ci: float = 0.95) -> pd.DataFrame:
    """Baseline hazard of a Cox model, for a group at mean covariates and without effects.

    Features of a block with estimated weights are at their means under the starting weights.

    Parameters
    ----------
    ci : float

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
    posterior = fit.posterior
    specification = posterior.specification
    check_level(ci)
    intervals = specification.expanded.intervals if specification.expanded else None
    if intervals is None:
        those, name = names_where(lambda f: f.has_baseline), specification.family.name
        raise EngineError(f"baseline() is for family {those}, not {name}: survival() gives the curves of a duration")
    starts, stops = intervals.begins, intervals.ends.copy()
    endless = np.isinf(stops)  # the last one of each baseline
    stops[endless] = np.maximum(float(np.nanmax(specification.outcome)), starts[endless])
    length = stops - starts
    one = (starts == 0.0).cumsum()  # the number of its baseline
    same = np.tril(one[:, None] == one)
    log_hazards = specification.family.hazards_of
    hazard = _baseline(posterior, lambda own: np.exp(log_hazards(own)), len(length), ci)
    cumulative = _baseline(posterior, lambda own: same @ (np.exp(log_hazards(own)) * length), len(length), ci)
    table = pd.DataFrame(
        {
            "start": starts, "stop": stops,
            "hazard": hazard.point, posterior.words.spread: hazard.spread, "lower": hazard.lower, "upper": hazard.upper,
            "cumulative": cumulative.point, f"cumulative_{posterior.words.spread}": cumulative.spread,
            "cumulative_lower": cumulative.lower, "cumulative_upper": cumulative.upper,
        }
    )  # fmt: skip
    return table.set_axis(pd.Index(intervals.index, name="interval"))


def _baseline(posterior: Posterior, of: Any, count: int, ci: float) -> Numbers:
    """A function of the log hazards (intervals,), interval by interval, with its uncertainty."""
    specification = posterior.specification
    where = scenario_of(specification, None)
    first = sparse.csr_array(([1.0], ([0], [0])), shape=(1, where.groups))  # the same for all groups
    quantity = Quantity(
        "baseline", lambda eta, own: of(own)[:, None] + 0.0 * eta[None], tuple(map(str, range(count))), "log"
    )
    estimand = Estimand(specification, [where], quantity, only("log"), first)
    return posterior.estimand(estimand, ci, np.random.default_rng(0), MOST)
