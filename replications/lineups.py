"""A season of line-ups, simulated to the scale of a basketball league: 30 teams of 15, 1,230 games, 24,600 stints.

Ten players are on the court in a stint, five a side; the outcome is the difference in points. Members of the side at
home count with +1, those of the other with -1; within a side players count by their usage. Regressions of this kind are
known as adjusted plus-minus.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .common import Reference, beside, fitted, main

TRUTH = {"Intercept": 0.3, "player.w.usage": 0.5, "player.sd": 1.5, "sigma": 3.0}
FORMULA = "margin ~ 1 + mm(player, stint, weights = {}, normalize = none, signed = yes)"
MODELS = {
    "all players the same": "side / 5",
    "by usage": "side * exp(b * usage) / 5",
}


def data(games: int = 1230, stints: int = 20, seed: int = 30) -> pd.DataFrame:
    """One row per stint and player."""
    rng = np.random.default_rng(seed)
    skill = TRUTH["player.sd"] * rng.standard_normal(450)
    home = np.repeat(rng.integers(30, size=games), stints)
    away = (home + np.repeat(rng.integers(1, 30, games), stints)) % 30
    count = games * stints
    five = np.argsort(rng.random((2, count, 15)), axis=2)[:, :, :5]
    player = np.concatenate([15 * home[:, None] + five[0], 15 * away[:, None] + five[1]], axis=1)
    usage, side = rng.standard_normal(player.shape), np.repeat([1.0, -1.0], 5)
    weight = side * np.exp(TRUTH["player.w.usage"] * usage) / 5
    margin = TRUTH["Intercept"] + np.sum(weight * skill[player], axis=1) + TRUTH["sigma"] * rng.standard_normal(count)
    return pd.DataFrame({
        "stint": np.repeat(np.arange(count), 10), "player": player.ravel(), "usage": usage.ravel(),
        "side": np.tile(side, count), "margin": np.repeat(margin, 10),
    })  # fmt: skip


def replicate(folder: Path) -> list[dict[str, Any]]:
    """A simulated season."""
    table, rows = data(), []
    for model, weights in MODELS.items():
        fit, seconds = fitted(FORMULA.format(weights), table, engine="ml")
        truth = {**TRUTH, "player.w.b": TRUTH["player.w.usage"]}
        rows += beside(model, fit, seconds, Reference(truth, {}))
    return rows


if __name__ == "__main__":
    main("lineups", replicate)
