"""A member block in sigma with an estimated weight: intervals cover the truth as often as they say.

The model of the page "Models of the spread": teams of two to six people, whose variance of skill, each counted by a
share of the work that is estimated, moves the log of the residual standard deviation ("do mixed teams vary more?").
200 data sets by ml; the runs are resumed (:mod:`.records`), and ``SETS=20`` makes at most 20 of them.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

from .records import Records

pytestmark = pytest.mark.filterwarnings("ignore::micromacro.errors.MicromacroWarning")

MEAN = "success ~ mm(person, team, skill, weights = 1, normalize = group)"
SPREAD = "~ size + mm(person, team, skill, weights = softmax(role), aggregate = var, name = mixed)"
TRUTH = {
    "Intercept": 1.0, "person.skill": 0.5, "person.sd": 0.4, "sigma.Intercept": -0.6, "sigma.size": -0.05,
    "sigma.mixed.var.skill": 0.5, "sigma.mixed.w.role": 0.8,
}  # fmt: skip
TEAMS, PEOPLE, LEVEL, SETS = 400, 90, 0.9, 200


def work(seed: int) -> pd.DataFrame:
    """Teams, their people, and a success for each team; written without the package that is tested."""
    rng = np.random.default_rng(1000 + seed)
    rows = [(team, person) for team in range(TEAMS) for person in rng.choice(PEOPLE, rng.integers(2, 7), replace=False)]
    out = pd.DataFrame(rows, columns=["team", "person"])
    out["skill"], out["role"] = rng.standard_normal((2, len(out)))
    team, effect = out["team"].to_numpy(), TRUTH["person.sd"] * rng.standard_normal(PEOPLE)
    size = np.bincount(team)

    def averaged(w: Any, x: Any) -> Any:
        return np.bincount(team, w * x) / np.bincount(team, w)

    w = np.exp(TRUTH["sigma.mixed.w.role"] * out["role"].to_numpy())
    variance = averaged(w, out["skill"] ** 2) - averaged(w, out["skill"]) ** 2
    members = TRUTH["person.skill"] * out["skill"] + effect[out["person"]]
    log_sd = TRUTH["sigma.Intercept"] + TRUTH["sigma.size"] * size + TRUTH["sigma.mixed.var.skill"] * variance
    y = TRUTH["Intercept"] + averaged(np.ones(len(out)), members) + np.exp(log_sd) * rng.standard_normal(TEAMS)
    return out.assign(size=size[team], success=y[team])


def covered(seed: int) -> dict[str, Any]:
    """Whether intervals hold the truths, and how far estimates are from these in standard errors."""
    fit = mm.fit(MEAN, work(seed), sigma=SPREAD, engine="ml")
    truth = pd.Series(TRUTH)
    ends = fit.conf_int(LEVEL).loc[truth.index]
    inside = (ends.iloc[:, 0] <= truth) & (truth <= ends.iloc[:, 1])
    away = (fit.params[truth.index] - truth) / fit.bse[truth.index]
    return {"ok": bool(fit.health.ok), "inside": inside.to_dict(), "away": away.round(3).to_dict()}


@pytest.mark.calibrate
def test_intervals_of_a_block_in_sigma_cover_its_truth():
    sets = min(SETS, int(os.environ.get("SETS", SETS)))
    records = Records("spread", ("seed",))
    rows = [records.get((seed,), lambda seed=seed: covered(seed)) for seed in range(sets)]
    found = pd.DataFrame([r["inside"] for r in rows]).mean()
    bound = 3.0 * np.sqrt(LEVEL * (1.0 - LEVEL) / sets)
    assert ((found - LEVEL).abs() < bound).all(), found.to_dict()
