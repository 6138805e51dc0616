"""The table of variance components."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...posterior.base import Posterior
from ...posterior.variance import level_shares, levels, sds, variances


def variance_table(posterior: Posterior, ci: float) -> pd.DataFrame:
    """The table of variance components (see ``Fit.variance_components``)."""
    specification = posterior.specification
    index = pd.Index(levels(specification), name="level")
    k = len(index)

    def everything(theta: np.ndarray) -> np.ndarray:
        v = variances(specification, theta)
        return np.concatenate([level_shares(specification, v), v, sds(specification, theta, v)])

    numbers = posterior.numbers_of(everything, ci, "share")
    share, variance, sd = numbers.point.reshape(3, k)
    spread = numbers.spread[:k] if np.all(np.isfinite(variance)) else np.full(k, np.nan)
    columns = {
        "sd": sd, "variance": variance, "share": share, f"share_{posterior.words.spread}": spread,
        "lower": numbers.lower[:k], "upper": numbers.upper[:k],
    }  # fmt: skip
    return pd.DataFrame(columns, index=index)
