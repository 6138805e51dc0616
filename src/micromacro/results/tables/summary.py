"""Tables of parameters, effects and weights, with labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import special

from ...engines.health import diagnose
from ...errors import ModelError
from ...posterior.base import Posterior
from ...posterior.intervals import centre, intervals, normal_quantile, quantiles, spread
from ...table.memberships import Tables
from ..labels import effect_index


def summary_table(posterior: Posterior, ci: float) -> pd.DataFrame:
    """The table of all parameters (see ``Fit.summary``)."""
    low, high = intervals(posterior, ci)
    index = pd.Index(posterior.specification.names, name="parameter")
    given = {"fixed": [p.fixed for p in posterior.specification.parameters]}
    given = given if any(given["fixed"]) else {}  # a column only where it says something
    if posterior.sampled:
        d = posterior.diagnostics
        columns = {
            "mean": posterior.estimate, "sd": posterior.sd, "lower": low, "upper": high, "ess_bulk": d.ess_bulk,
            "ess_tail": d.ess_tail, "r_hat": d.r_hat, "mcse_mean": d.mcse_mean, **given,
        }  # fmt: skip
        return pd.DataFrame(columns, index=index)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = posterior.estimate / posterior.sd
    # no test of zero here
    untested = [p.positive or p.fixed or p.kind == "rho" for p in posterior.specification.parameters]
    z[np.array(untested, dtype=bool)] = np.nan
    columns = {
        "estimate": posterior.estimate, "se": posterior.sd, "z": z, "p": 2.0 * special.ndtr(-np.abs(z)), "lower": low,
        "upper": high, **given,
    }  # fmt: skip
    return pd.DataFrame(columns, index=index)


def estimate_table(estimate: np.ndarray, se: np.ndarray, ci: float, index: pd.Index) -> pd.DataFrame:
    """Estimates with standard errors and Wald intervals."""
    z = normal_quantile(ci)
    return pd.DataFrame(
        {"estimate": estimate, "se": se, "lower": estimate - z * se, "upper": estimate + z * se}, index=index
    )


def draw_table(draws: np.ndarray, ci: float, index: pd.Index) -> pd.DataFrame:
    """Means, sds and equal-tailed intervals over the first axis of draws (draws, k); see :func:`centre`."""
    low, high = quantiles(draws, ci)
    return pd.DataFrame(
        {"mean": centre(draws), "sd": spread(draws), "lower": low, "upper": high},
        index=index,
    )


def random_effects_table(posterior: Posterior, name: str | None, ci: float) -> pd.DataFrame:
    """Effects of members or units (see ``Fit.random_effects``)."""
    with_effects = posterior.specification.structures
    if name is None:
        if not with_effects:
            raise ModelError("this model has no effects of members or units")
        tables = {key: random_effects_table(posterior, key, ci) for key in with_effects}
        return _stacked(tables) if len(tables) > 1 else next(iter(tables.values()))
    name = posterior.specification.effects_name(name)
    if name not in with_effects:
        known = ", ".join(with_effects) or "none"
        raise ModelError(f"there are no effects called {name!r}; this model has effects of: {known}")
    index, structure = with_effects[name]
    labels = effect_index(structure)
    if not posterior.sampled:
        return estimate_table(*posterior.effect_estimates(index), ci, labels)
    draws = posterior.effect_draws(index)
    table = draw_table(draws.reshape(-1, draws.shape[-1]), ci, labels)
    return table


def random_effects_diagnostics(posterior: Posterior, name: str) -> pd.DataFrame:
    """R-hat and ESS of every effect of a block or unit term."""
    name = posterior.specification.effects_name(name)
    if name not in posterior.specification.structures:
        raise ModelError(f"there are no effects called {name!r}")
    index, structure = posterior.specification.structures[name]
    d = diagnose(posterior.effect_draws(index))
    columns = {"ess_bulk": d.ess_bulk, "ess_tail": d.ess_tail, "r_hat": d.r_hat, "mcse_mean": d.mcse_mean}
    return pd.DataFrame(columns, index=effect_index(structure))


def _stacked(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Tables of effects under each other; where some have terms and some not, all get them."""
    if all(t.index.nlevels == 1 for t in tables.values()):
        return pd.concat(tables, names=["block", "id"])
    even = {}
    for name, table in tables.items():
        names = ["id", "term"] if table.index.nlevels < 3 else ["id", *table.index.names[1:]]
        plain = table.index.nlevels == 1
        index = pd.MultiIndex.from_arrays([table.index, ["1"] * len(table)]) if plain else table.index
        even[name] = table.set_axis(index.set_names(names))
    return pd.concat(even, names=["block"])


def weights_table(posterior: Posterior, name: str | None, ci: float, tables: Tables | None = None) -> pd.DataFrame:
    """Weights of the memberships of the fit or of other tables (see ``Fit.weights``)."""
    blocks = posterior.specification.members
    if not blocks:
        raise ModelError("this model has no member block, so it has no weights")
    if name is None:
        each = {key: weights_table(posterior, key, ci, tables) for key in blocks}
        return pd.concat(each, names=["block", "row"]) if len(each) > 1 else next(iter(each.values()))
    if name not in blocks:
        raise ModelError(f"there is no member block {name!r}; this model has: {', '.join(blocks)}")
    other = None if tables is None else blocks[name].on(tables)
    levels = (posterior.specification.tables if tables is None else tables).group_levels
    assert levels is not None
    part = blocks[name]
    rows = (part if other is None else other).memberships
    ids = part.levels.values if tables is None else tables.blocks[name].members.values
    member = rows.member if tables is None else tables.blocks[name].member
    out = pd.DataFrame({"group": levels.values[rows.group], "member": ids[member]})
    if not posterior.sampled:
        w, se = posterior.weight_estimates(name, other)
        rest = estimate_table(w, se, ci, out.index)
        if part.rule != "none":
            rest["lower"] = rest["lower"].clip(lower=0.0)
        rest.columns = ["weight", "sd", "lower", "upper"]
    else:
        rest = draw_table(posterior.weight_draws(name, other=other), ci, out.index)
        rest.columns = ["weight", "sd", "lower", "upper"]
    return pd.concat([out, rest], axis=1)
