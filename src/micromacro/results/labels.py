"""Labels of groups and of effects, as users know them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..effects.base import Effects
from ..model.specification import Specification
from ..table.memberships import Tables

MARK = " !"  # beside a parameter that a trouble of the verdict, which begins with the same sign, is about


def percent(level: float) -> str:
    """A level as users write it: 95%, 97.5%."""
    return f"{100.0 * level:.6g}%"


def membership_index(groups: pd.Index, members: pd.Index) -> pd.MultiIndex:
    """Ids of group and member of each membership, the levels under the user's own names.

    Tables of memberships have the ids in the columns ``group`` and ``member`` too, so a level that would have one of
    these names has none: pandas takes a name that is both for ambiguous.
    """
    names = [None if index.name in ("group", "member") else index.name for index in (groups, members)]
    return pd.MultiIndex.from_arrays([groups, members], names=names)


def group_index(specification: Specification, tables: Tables | None) -> pd.Index:
    """Labels of the groups: their ids, or of the user's rows the index of a pandas frame, else numbers."""
    on = specification.tables if tables is None else tables
    if on.group_levels is not None:
        return pd.Index(on.group_levels.values, name=on.group_levels.name)
    return pd.Index(on.order, name="row") if on.labels is None else on.labels


def group_column(specification: Specification, tables: Tables | None) -> tuple[str, np.ndarray]:
    """The same as the name of a column and its values; rows are called ``row``."""
    index = group_index(specification, tables)
    on = specification.tables if tables is None else tables
    return ("row" if on.group_levels is None else str(index.name)), index.to_numpy()


def shown_order(specification: Specification, tables: Tables | None) -> np.ndarray:
    """Places of the groups in the order in which users see them: by id, or that of their rows."""
    on = specification.tables if tables is None else tables
    return np.arange(on.groups.n_rows) if on.order is None else np.argsort(on.order, kind="stable")


def effect_index(structure: Effects) -> Any:
    """Labels of effects as a pandas index: ids, or ids with the term (or the time) of each."""
    labels = structure.labels()
    if len(labels) == 1:
        return pd.Index(labels[0][1], name=labels[0][0])
    return pd.MultiIndex.from_arrays([values for _, values in labels], names=[name for name, _ in labels])
