"""Tables of parameters, effects and weights, with labels."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ...errors import ModelError
from ...posterior.base import Posterior
from ...table.memberships import Tables
from ..labels import effect_index
from .labelled import labelled, of_memberships

NO_DF = 'degrees of freedom belong to maximum likelihood: fit with engine="reml" or "ml"'


def summary_table(posterior: Posterior, ci: float, df: bool = False) -> pd.DataFrame:
    """The table of all parameters (see ``Fit.summary``); with degrees of freedom of coefficients where asked for."""
    if df:
        columns: dict[str, Any] = dict(posterior.maximised(NO_DF).small_sample_columns(ci))
    else:
        columns = dict(posterior.summary_columns(ci))
    given = [p.fixed for p in posterior.specification.parameters]
    if any(given):  # a column only where it says something
        columns["fixed"] = given
    return pd.DataFrame(columns, index=pd.Index(posterior.specification.names, name="parameter"))


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
    return labelled(posterior.effects(index, ci), posterior.words, effect_index(structure))


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
        return pd.concat(each, names=["block"]) if len(each) > 1 else next(iter(each.values()))
    if name not in blocks:
        raise ModelError(f"there is no member block {name!r}; this model has: {', '.join(blocks)}")
    other = None if tables is None else blocks[name].on(tables)
    on = posterior.specification.tables if tables is None else tables
    assert on.group_levels is not None
    rows = (blocks[name] if other is None else other).memberships
    members = blocks[name].levels if tables is None else tables.blocks[name].members
    member = rows.member if tables is None else tables.blocks[name].member
    numbers = posterior.weights(name, ci, tables)
    table = of_memberships(numbers, posterior.words, on.group_levels, rows.group, members, member)
    if blocks[name].weighing.signed:
        table["p_negative"] = numbers.negative
    return table.rename(columns={posterior.words.point: "weight"})
