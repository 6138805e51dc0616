"""Pupils who change schools, the classical multiple-membership model of education.

Simulated to the design that studies of mobile pupils use (such as Chung and Beretvas 2012): 50 schools of 40 pupils,
two in ten of whom spend part of the time in a second school; schools make up 15 per cent of the variance. The fits are
the multiple-membership model with shares of time as weights, the model with the last school only, and one in which the
power of the share is estimated (1 in the simulation).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .common import Reference, beside, fitted, main

TRUTH = {
    "Intercept": 0.0, "prior": 0.5, "school.resources": 0.3, "school.w.power": 1.0, "school.sd": 0.42, "sigma": 1.0,
}  # fmt: skip
MODELS = {
    "shares of time": "mm(school, pupil, resources, weights = share, normalize = none)",
    "the last school only": "mm(school, pupil, resources, weights = last, normalize = none)",
    "power of the share": "mm(school, pupil, resources, weights = share ** power, normalize = group)",
}


def data(schools: int = 50, pupils: int = 40, mobile: float = 0.2, seed: int = 12) -> pd.DataFrame:
    """One row per pupil and school."""
    rng = np.random.default_rng(seed)
    u, resources = TRUTH["school.sd"] * rng.standard_normal(schools), rng.standard_normal(schools)
    rows = []
    for pupil in range(schools * pupils):
        own, prior = pupil // pupils, rng.standard_normal()
        spells = [(own, 1.0, 1)]
        if rng.random() < mobile:
            early = rng.choice([0.25, 0.5, 0.75])
            other = (own + rng.integers(1, schools)) % schools
            spells = [(other, early, 0), (own, 1.0 - early, 1)]
        school = sum(share * (TRUTH["school.resources"] * resources[s] + u[s]) for s, share, _ in spells)
        score = TRUTH["prior"] * prior + school + TRUTH["sigma"] * rng.standard_normal()
        rows += [(pupil, score, prior, s, share, last, resources[s]) for s, share, last in spells]
    return pd.DataFrame(rows, columns=["pupil", "score", "prior", "school", "share", "last", "resources"])


def replicate(folder: Path) -> list[dict[str, Any]]:
    """Pupils who change schools, simulated."""
    table, rows = data(), []
    for model, term in MODELS.items():
        fit, seconds = fitted(f"score ~ prior + {term}", table, engine="ml")
        rows += beside(model, fit, seconds, Reference(TRUTH, {}))
    return rows


if __name__ == "__main__":
    main("schools", replicate)
