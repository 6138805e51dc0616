"""Averaged quantities as tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...posterior.estimand import Estimand, wald
from ...posterior.intervals import quantiles


def estimand_table(
    estimand: Estimand, ci: float, rng: np.random.Generator, most: int = 2000
) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows (categories * rows): mean, sd, lower, upper of draws, or estimate, se, lower, upper; and the draws."""
    if estimand.posterior.sampled:
        draws = estimand.draws(most, rng)
        flat = draws.reshape(len(draws), -1)
        low, high = quantiles(flat, ci)
        columns = {"mean": flat.mean(axis=0), "sd": flat.std(axis=0, ddof=1), "lower": low, "upper": high}
        return pd.DataFrame(columns), draws
    value, se = (a.ravel() for a in estimand.delta())
    low, high = wald(value, se, ci, estimand.contrast.scale)
    return pd.DataFrame({"estimate": value, "se": se, "lower": low, "upper": high}), np.empty(0)
