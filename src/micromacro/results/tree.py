"""A fit as an ArviZ DataTree (xarray)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import EngineError
from ..terms.member.term import MemberPart
from ..terms.unit import UnitPart
from .posterior import Posterior


def to_datatree(posterior: Posterior) -> Any:
    """Posterior, sample_stats, observed_data and constant_data of a fit by mcmc."""
    if not posterior.sampled:
        raise EngineError(
            'to_datatree() is for draws: fit with engine="mcmc"; an ml fit has summary() and cov_params()'
        )
    import xarray as xr

    s, draws = posterior.specification, posterior.outcome.draws
    assert draws is not None
    chains, length = draws.log_posterior.shape
    coords: dict[str, Any] = {
        "chain": np.arange(chains),
        "draw": np.arange(length),
        "group": _group_ids(posterior),
    }
    variables: dict[str, Any] = {name: (("chain", "draw"), posterior.draws[..., k]) for k, name in enumerate(s.names)}
    for k, part in enumerate(s.system.parts):
        if isinstance(part, (MemberPart, UnitPart)) and part.effects:
            dimension = f"{part.name}_id"
            coords[dimension] = _plain(part.levels.values)
            variables[f"{part.name}.effect"] = (("chain", "draw", dimension), posterior.effect_draws(k))
    chain_draw = {k: coords[k] for k in ("chain", "draw")}
    posterior_coords = {k: v for k, v in coords.items() if k != "group"}
    stats = {name: (("chain", "draw"), values) for name, values in draws.stats.items()}
    stats["lp"] = (("chain", "draw"), draws.log_posterior)
    group = {"group": coords["group"]}
    datasets = {
        "posterior": xr.Dataset(variables, posterior_coords),
        "sample_stats": xr.Dataset(stats, chain_draw),
        "observed_data": xr.Dataset({s.outcome_name: ("group", s.outcome)}, group),
        "constant_data": xr.Dataset(_memberships(posterior), group),
    }
    datasets = {name: _without_slashes(dataset) for name, dataset in datasets.items()}
    attributes = {"inference_library": "micromacro", "formula": s.formula.text, "family": s.family.name}
    for dataset in datasets.values():
        dataset.attrs.update(attributes)
    return xr.DataTree.from_dict(datasets)


def _without_slashes(dataset: Any) -> Any:
    """Names that a tree can hold: a slash, which parts its levels, becomes a division sign; the old name is kept."""
    renamed = {name: str(name).replace("/", "∕") for name in dataset.variables if "/" in str(name)}
    renamed |= {name: str(name).replace("/", "∕") for name in dataset.dims if "/" in str(name)}
    if not renamed:
        return dataset
    out = dataset.rename(renamed)
    for old, new in renamed.items():
        out[new].attrs["name"] = str(old)
    return out


def _group_ids(posterior: Posterior) -> np.ndarray:
    tables = posterior.specification.tables
    if tables.group_levels is not None:
        return _plain(tables.group_levels.values)
    assert tables.order is not None
    return tables.order


def _plain(values: np.ndarray) -> np.ndarray:
    return values.astype(str) if values.dtype.kind == "O" else values


def _memberships(posterior: Posterior) -> dict[str, Any]:
    """Group and member of every membership of each block."""
    out: dict[str, Any] = {}
    for name, part in posterior.specification.members.items():
        dimension = f"{name}_membership"
        out[f"{name}.group"] = (dimension, _group_ids(posterior)[part.memberships.group])
        out[f"{name}.member"] = (dimension, _plain(part.levels.values)[part.memberships.member])
    return out
