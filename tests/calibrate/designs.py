"""Three designs in which the coverage of intervals of a weight parameter is measured; its truth is 0.8 in all.

Groups have two to six members out of 40, with weights 1 / n ** exp(-0.8 z), normalised in the group, acting on a
covariate and on the members' effects.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

TRUTH = 0.8
NAME = "m.w.z"
FORMULA = "y ~ 1 + mm(m, g, x, weights = power(z), normalize = group)"


class Design(NamedTuple):
    """The family, groups, the coefficient of x, the sd of members' effects, and sigma (None: a binary outcome)."""

    family: str
    groups: int
    slope: float
    sd: float
    sigma: float | None = None


DESIGNS = {
    "150 groups, well informed": Design("gaussian", 150, 0.8, 0.8, 0.5),
    "150 groups, weakly informed": Design("gaussian", 150, 0.4, 0.4, 0.8),
    "400 binary groups": Design("bernoulli", 400, 1.0, 0.8),
}


def data(design: Design, seed: int) -> pd.DataFrame:
    """One data set, a row per membership."""
    r = np.random.default_rng(10_000 + seed)
    rows = [(g, m) for g in range(design.groups) for m in r.choice(40, r.integers(2, 7), replace=False)]
    d = pd.DataFrame(rows, columns=["g", "m"])
    d["x"], d["z"] = r.normal(size=(2, len(d)))
    n = d.groupby("g")["m"].transform("size")
    raw = n ** -np.exp(-TRUTH * d["z"])
    w = raw / raw.groupby(d["g"]).transform("sum")
    u = design.sd * r.normal(size=40)
    eta = (w * (design.slope * d["x"] + u[d["m"]])).groupby(d["g"]).sum().to_numpy()
    if design.sigma is None:
        y = (r.random(design.groups) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
    else:
        y = eta + design.sigma * r.normal(size=design.groups)
    return d.assign(y=y[d["g"]])
