"""Numbers with labels: the four columns that every verb's table has."""

from __future__ import annotations

import pandas as pd

from ...posterior.intervals import Numbers, Words


def labelled(numbers: Numbers, words: Words, index: pd.Index) -> pd.DataFrame:
    """Point, spread, lower and upper, called as the posterior calls them."""
    columns = {words.point: numbers.point, words.spread: numbers.spread}
    return pd.DataFrame(columns | {"lower": numbers.lower, "upper": numbers.upper}, index=index)
