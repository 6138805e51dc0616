"""Data sets with correlated slopes for ``slopes.R``: many of them have their maximum at a boundary.

Run: cd tests/reference/r && python slopes.py folder && Rscript slopes.R folder > slopes.json
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

#: kind of model: number of data sets, terms that vary, family, restricted likelihood or not
KINDS = {
    "slope": (120, ("x",), "gaussian", False),
    "three": (60, ("x", "z"), "gaussian", False),
    "reml": (60, ("x",), "gaussian", True),
    "poisson": (60, ("x",), "poisson", False),
}
SEEDS = {kind: 1000 * k for k, kind in enumerate((*KINDS, "block"))}
BLOCKS = 60


def root_of(rng: np.random.Generator, terms: int) -> np.ndarray:
    """A root of the covariance of the effects of a unit, often singular."""
    sd = rng.choice([0.0, 0.1, 0.4, 1.0], size=terms + 1)
    loads = rng.normal(size=(terms + 1, terms + 1))
    if rng.random() < 0.5:
        loads[:, 1:] *= rng.choice([0.0, 0.2])
    norms = np.linalg.norm(loads, axis=1)
    return sd[:, None] * loads / norms[:, None]


def slopes(kind: str, number: int) -> pd.DataFrame:
    """A data set of units with slopes: y, covariates and the unit g."""
    _, terms, family, _ = KINDS[kind]
    rng = np.random.default_rng(SEEDS[kind] + number)
    units, each = int(rng.integers(6, 25)), int(rng.integers(3, 8))
    g = np.repeat(np.arange(units), each)
    columns = {t: rng.normal(rng.choice([0.0, 2.0]), 1.0, len(g)) for t in terms}
    z = np.column_stack([np.ones(len(g)), *columns.values()])
    u = rng.normal(size=(units, z.shape[1])) @ root_of(rng, len(terms)).T
    eta = 0.5 + 0.3 * z[:, 1] + np.einsum("ij,ij->i", z, u[g])
    if family == "poisson":
        y = rng.poisson(np.exp(np.clip(eta, -5.0, 4.0)))
    else:
        y = rng.choice([1.0, 20.0]) * (eta + rng.normal(size=len(g)))
    return pd.DataFrame({"y": y, **columns, "g": g})


def blocks(number: int) -> pd.DataFrame:
    """A data set of groups whose members have slopes: a row per membership."""
    rng = np.random.default_rng(SEEDS["block"] + number)
    members, groups = int(rng.integers(6, 16)), int(rng.integers(30, 80))
    rows = [(g, m) for g in range(groups) for m in rng.choice(members, rng.integers(1, 5), replace=False)]
    data = pd.DataFrame(rows, columns=["g", "m"])
    data["x"] = rng.normal(rng.choice([0.0, 2.0]), 1.0, len(data))
    u = rng.normal(size=(members, 2)) @ root_of(rng, 1).T
    effect = u[data["m"], 0] + u[data["m"], 1] * data["x"]
    mean = effect.groupby(data["g"]).mean().to_numpy()
    data["y"] = (0.5 + mean + rng.normal(scale=rng.choice([0.3, 1.0]), size=groups))[data["g"]]
    return data


if __name__ == "__main__":
    for kind, (count, *_) in KINDS.items():
        for number in range(count):
            slopes(kind, number).to_csv(Path(sys.argv[1]) / f"{kind}-{number}.csv", index=False)
