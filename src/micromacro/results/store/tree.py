"""A fit as an ArviZ DataTree (xarray)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...effects.base import Effects
from ...engines.base import Draws, Outcome
from ...engines.joint import linear_predictor
from ...model.specification import Specification
from ...posterior.base import Drawn, Posterior
from ...posterior.factory import posterior_of
from ...posterior.leaveout.pointwise import log_likelihood, sample
from ...table.columns import Column
from .plain import safe

if TYPE_CHECKING:
    import xarray as xr

Groups = dict[str, "xr.Dataset"]


@dataclass(frozen=True)
class Contents:
    """Which groups a tree is to have; see ``Fit.to_datatree``."""

    effects: bool = True
    log_likelihood: bool = True
    posterior_predictive: bool = True


def to_datatree(
    posterior: Posterior, wanted: Contents, prior: Callable[[], Any] | None, rng: np.random.Generator
) -> xr.DataTree:
    """The tree of a fit with draws.

    Parameters
    ----------
    prior : callable, optional
        Gives a simulation from the prior.
    """
    import xarray as xr

    sampled = posterior.drawn(
        'to_datatree() is for draws: fit with engine="mcmc"; an ml fit has summary() and cov_params()'
    )
    groups = _draws(sampled, wanted.effects, "float64") | _data(posterior.specification)
    if wanted.log_likelihood or wanted.posterior_predictive:
        groups |= _of_outcomes(sampled, wanted, rng)
    if prior is not None:
        groups |= _prior(posterior.specification, prior(), wanted.effects)
    return xr.DataTree.from_dict(_tidy(groups, posterior.outcome))


def readable(outcome: Outcome, effects: bool, data: bool, dtype: str) -> Groups:
    """The groups that a file has for other programs: draws and data, or estimates."""
    posterior = posterior_of(outcome)
    if not posterior.kind.draws:
        return _tidy({"estimates": _estimates(posterior)}, outcome)
    groups = _draws(posterior.drawn("estimates have no draws"), effects, dtype)
    return _tidy(groups | _data(outcome.specification) if data else groups, outcome)


def _tidy(groups: Groups, outcome: Outcome) -> Groups:
    """Names that a tree can hold, and attributes."""
    s = outcome.specification
    attributes = {
        "inference_library": "micromacro", "engine": outcome.engine, "formula": s.formula.text,
        "family": s.family.name,
    }  # fmt: skip
    out = {name: _without_slashes(dataset) for name, dataset in groups.items()}
    for dataset in out.values():
        dataset.attrs.update(attributes)
    return out


def _without_slashes(dataset: xr.Dataset) -> xr.Dataset:
    """Names that a tree can hold: a slash, which parts its levels, becomes a division sign; the old name is kept."""
    names = [*dataset.variables, *dataset.dims]
    renamed = {name: safe(str(name)) for name in names if safe(str(name)) != name}
    if not renamed:
        return dataset
    out = dataset.rename(renamed)
    for old, new in renamed.items():
        if new in out:
            out[new].attrs["name"] = str(old).replace("\x00", "␀")
    return out


# -- posterior and prior -----------------------------------------------------------------------------------------


def _draws(posterior: Drawn, effects: bool, dtype: str) -> Groups:
    """Parameters, effects under the ids of their members or units, statistics of the sampler."""
    import xarray as xr

    s, draws = posterior.specification, posterior.made
    chains, length = draws.log_posterior.shape
    both: dict[str, Any] = {"chain": np.arange(chains), "draw": np.arange(length)}
    coords = dict(both)
    variables: dict[str, Any] = {name: (("chain", "draw"), posterior.draws[..., k]) for k, name in enumerate(s.names)}
    for name, (k, structure) in s.structures.items() if effects else ():
        dimensions, own, shape = effect_dimensions(structure)
        coords |= own
        values = posterior.effect_draws(k).astype(dtype).reshape(chains, length, *shape)
        variables[f"{name}.effect"] = (("chain", "draw", *dimensions), values)
    stats = {name: (("chain", "draw"), values) for name, values in draws.stats.items()}
    stats["lp"] = (("chain", "draw"), draws.log_posterior)
    return {"posterior": xr.Dataset(variables, coords), "sample_stats": xr.Dataset(stats, both)}


def effect_dimensions(structure: Effects) -> tuple[tuple[str, ...], dict[str, Any], tuple[int, ...]]:
    """Dimensions of a term's effects, their coordinates, and their lengths: ids, or ids by terms."""
    name = structure.name
    (_, ids), *more = structure.labels()
    if [label for label, _ in more] == ["term"]:
        terms = len(structure.terms)
        coords = {f"{name}_id": _plain(ids[::terms]), f"{name}_term": np.array(structure.terms, dtype=str)}
        return (f"{name}_id", f"{name}_term"), coords, (len(ids) // terms, terms)
    coords = {f"{name}_id": _plain(ids)} | {f"{name}_{label}": (f"{name}_id", _plain(own)) for label, own in more}
    return (f"{name}_id",), coords, (len(ids),)


def _prior(s: Specification, simulated: Any, effects: bool) -> Groups:
    """Parameters and effects drawn from the prior, and outcomes made from them."""
    import xarray as xr

    count = len(simulated.parameters)
    coords: dict[str, Any] = {"chain": [0], "draw": np.arange(count)}
    variables: dict[str, Any] = {
        str(name): (("chain", "draw"), simulated.parameters[name].to_numpy()[None]) for name in simulated.parameters
    }
    outcomes = simulated.outcome
    if s.tables.order is not None:  # from the order of the user's rows into that of the tables
        outcomes = outcomes[:, np.argsort(np.argsort(s.tables.order))]
    predictive = xr.Dataset(
        {s.outcome_name: (("chain", "draw", "group"), outcomes[None])}, {**coords, "group": group_ids(s)}
    )
    for name, table in simulated.effects.items() if effects else ():
        dimensions, own, shape = effect_dimensions(s.structures[name][1])
        coords |= own
        variables[f"{name}.effect"] = (("chain", "draw", *dimensions), table.to_numpy().reshape(1, count, *shape))
    return {"prior": xr.Dataset(variables, coords), "prior_predictive": predictive}


def _of_outcomes(posterior: Drawn, wanted: Contents, rng: np.random.Generator) -> Groups:
    """Log-likelihood of every group and replicated outcomes, at every draw."""
    import xarray as xr

    s, draws = posterior.specification, posterior.made
    chains, length = draws.log_posterior.shape
    dims, coords = ("chain", "draw", "group"), {"chain": np.arange(chains), "draw": np.arange(length)}
    coords["group"] = group_ids(s)
    out: Groups = {}
    if wanted.posterior_predictive:
        out["posterior_predictive"] = xr.Dataset({s.outcome_name: (dims, _again(s, draws, rng))}, coords)
    if wanted.log_likelihood:
        density = log_likelihood(s, sample(posterior, None, "the log-likelihood"))
        out["log_likelihood"] = xr.Dataset({s.outcome_name: (dims, density)}, coords)
    return out


def _again(s: Specification, draws: Draws, rng: np.random.Generator) -> np.ndarray:
    """Replicated outcomes (chain, draw, group)."""
    room = s.system.workspace(gradient=False)
    out = np.empty((*draws.log_posterior.shape, s.groups))
    for at in np.ndindex(*draws.log_posterior.shape):
        theta = draws.theta[at]
        x = draws.at(at)
        eta = linear_predictor(s, theta, x, room)
        assert eta is not None
        out[at] = s.outcomes(eta, s.own(theta, x), rng)
    return out


# -- data and estimates ------------------------------------------------------------------------------------------


def _data(s: Specification) -> Groups:
    """The outcome, and everything that the model takes as given."""
    import xarray as xr

    ids = {"group": group_ids(s)}
    return {
        "observed_data": xr.Dataset({s.outcome_name: ("group", s.outcome)}, ids),
        "constant_data": xr.Dataset(_constants(s), ids),
    }


def _constants(s: Specification) -> dict[str, Any]:
    """Group and member of every membership of each block, and the columns that the formula reads."""
    out: dict[str, Any] = {}
    for name, part in s.members.items():
        dimension = f"{name}_membership"
        out[f"{name}.group"] = (dimension, group_ids(s)[part.memberships.group])
        out[f"{name}.member"] = (dimension, _plain(part.levels.values)[part.memberships.member])
        for column in part.memberships.table.columns.values():
            out.setdefault(f"{name}.{column.name}", (dimension, _values(column)))
    for column in s.tables.groups.columns.values():
        if column.name != "group" and (column.name in s.used or column.name not in s.request.outcome_columns):
            out.setdefault(column.name, ("group", _values(column)))
    return out


def _values(column: Column) -> np.ndarray:
    return _plain(column.values)


def _estimates(posterior: Posterior) -> xr.Dataset:
    """The table of an ml fit with the covariance of its parameters."""
    import xarray as xr

    names = list(posterior.specification.names)
    variables = {
        "estimate": ("parameter", posterior.estimate),
        "se": ("parameter", posterior.sd),
        "covariance": (("parameter", "parameter_2"), posterior.covariance),
    }
    return xr.Dataset(variables, {"parameter": names, "parameter_2": names}, {"loglik": posterior.loglik})


def group_ids(s: Specification) -> np.ndarray:
    """Ids of the groups, or rows of the user's table where each is a group."""
    if s.tables.group_levels is not None:
        return _plain(s.tables.group_levels.values)
    assert s.tables.order is not None
    labels = s.tables.labels
    return s.tables.order if labels is None or labels.nlevels > 1 else _plain(labels.to_numpy())


def _plain(values: np.ndarray) -> np.ndarray:
    """Ids and text as a file can hold them."""
    if values.dtype.kind not in "OU":
        return values
    return np.array([safe(str(v)).replace("∕", "/") for v in values], dtype=str)
