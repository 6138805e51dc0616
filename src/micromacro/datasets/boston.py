"""House values in the census tracts of Boston, 1970, with each tract's neighbours.

Source: Harrison and Rubinfeld (1978), "Hedonic housing prices and the demand for clean air", Journal of Environmental
Economics and Management 5, 81-102, with the corrections of Gilley and Pace (1996), same journal 31, 403-405; tract
level as in the data of R's spData (CC0). Neighbours are tracts that touch, at a corner at least (queen contiguity).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

#: The six covariates of a tract, each standardised over the 506 tracts (mean 0, sd 1).
COVARIATES = ("nox", "crim", "rm", "dis", "age", "lstat")


@dataclass(frozen=True, eq=False)
class Boston:
    """The Boston tracts.

    Attributes
    ----------
    data : DataFrame
        The long table, one row per membership (2,910): the tract's columns, `neighbour` (the member), the neighbour's
        own covariates as ``nox_nb``, ``crim_nb``, ..., and `dissimilarity`, the mean absolute difference between tract
        and neighbour over the six covariates (in standard deviations).
    tracts : DataFrame
        One row per tract (506): `tract` (id), `value` (median value of owner-occupied homes, 1,000 dollars),
        `log_value` (its natural logarithm), and, standardised over the tracts, `nox` (nitric oxides), `crim` (crime
        rate), `rm` (rooms per dwelling), `dis` (distance to five employment centres), `age` (share of units built
        before 1940), `lstat` (share of lower-status population). Some were transformed before they were standardised,
        as in the tract file of the source.
    neighbours : DataFrame
        One row per ordered pair of tracts that touch: `tract` (the group), `neighbour` (the member).
    source : str
    """

    data: pd.DataFrame
    tracts: pd.DataFrame
    neighbours: pd.DataFrame
    source: str

    def __repr__(self) -> str:
        return (
            f"Boston: {len(self.tracts)} tracts, {len(self.neighbours)} pairs of neighbours; "
            f".data (long table), .tracts, .neighbours\n{self.source}"
        )


def boston() -> Boston:
    """House values in 506 Boston tracts with their neighbours, read from the package.

    Returns
    -------
    Boston
        With the tables ``data``, ``tracts`` and ``neighbours``, described there.

    Examples
    --------
    >>> import micromacro as mm
    >>> mm.datasets.boston().data.shape
    (2910, 16)
    """
    import pandas as pd

    folder = files("micromacro.datasets")
    tables = []
    for name in ("boston_tracts.csv", "boston_neighbours.csv"):
        with folder.joinpath(name).open("r", encoding="utf-8") as file:
            tables.append(pd.read_csv(file))
    tracts, neighbours = tables
    there = tracts[["tract", *COVARIATES]].rename(columns={"tract": "neighbour", **{c: f"{c}_nb" for c in COVARIATES}})
    data = neighbours.merge(tracts, on="tract", validate="many_to_one").merge(
        there, on="neighbour", validate="many_to_one"
    )
    gaps = [np.abs(data[c] - data[f"{c}_nb"]) for c in COVARIATES]
    data["dissimilarity"] = np.mean(gaps, axis=0)
    data = data.sort_values(["tract", "neighbour"], ignore_index=True)
    source = (
        "Harrison and Rubinfeld (1978), corrected by Gilley and Pace (1996), tract level as in R's spData (CC0); "
        "neighbours by queen contiguity"
    )
    return Boston(data, tracts, neighbours, source)
