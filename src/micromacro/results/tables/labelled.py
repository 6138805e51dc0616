"""Numbers with labels: the four columns that every verb's table has."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...posterior.intervals import Numbers, Words
from ...table.levels import Levels
from ..labels import membership_index


def labelled(numbers: Numbers, words: Words, index: pd.Index) -> pd.DataFrame:
    """Point, spread, lower and upper, called as the posterior calls them."""
    columns = {words.point: numbers.point, words.spread: numbers.spread}
    return pd.DataFrame(columns | {"lower": numbers.lower, "upper": numbers.upper}, index=index)


def of_memberships(
    numbers: Numbers, words: Words, groups: Levels, group: np.ndarray, members: Levels, member: np.ndarray
) -> pd.DataFrame:
    """One row per membership: ids of group and member as index and as columns, then the four columns."""
    ids = {"group": groups.values[group], "member": members.values[member]}
    index = membership_index(pd.Index(ids["group"], name=groups.name), pd.Index(ids["member"], name=members.name))
    return pd.concat([pd.DataFrame(ids, index), labelled(numbers, words, index)], axis=1)
