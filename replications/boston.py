"""House values of Boston's census tracts, three ways: equal weights, and weights by the difference in social status.

The references are a dense Gaussian likelihood written apart, which agrees with lme4 where the weights are equal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import micromacro as mm

from .common import Reference, beside, fitted, main, reference_of

FORMULA = (
    "log_value ~ nox + crim + rm + dis + age + mm(neighbour, tract, nox_nb + crim_nb + rm_nb + dis_nb + age_nb, "
    "weights = {}, normalize = group)"
)
#: Name of the reference, weights, engine.
MODELS = {
    "equal weights": ("equal", "1 / n", "ml"),
    "equal weights, restricted": ("equal_reml", "1 / n", "reml"),
    "by difference in status": ("exp_lstat", "exp(-(b1 * d_lstat))", "ml"),
}


def data() -> Any:
    """The bundled table with the standardised absolute difference in status of tract and neighbour."""
    made = mm.datasets.boston()
    status = made.tracts.set_index("tract")["lstat"]
    gap = (made.data["tract"].map(status) - made.data["neighbour"].map(status)).abs()
    return made.data.assign(d_lstat=(gap - gap.mean()) / gap.std())


def replicate(folder: Path) -> list[dict[str, Any]]:
    """Three models of house values."""
    table, known, rows = data(), reference_of(folder, "boston_ml.json"), []
    for model, (name, weights, engine) in MODELS.items():
        fit, seconds = fitted(FORMULA.format(weights), table, engine=engine)
        there = known.get(name, {})
        single = {k: v for k, v in there.items() if isinstance(v, float) and not k.endswith("_se")}
        values = {**there.get("coef", {}), **single}
        spreads = dict(there.get("coef_se_given_theta", {}))
        spreads |= {k.removesuffix("_se"): v for k, v in there.items() if k.endswith("_se") and isinstance(v, float)}
        rows += beside(model, fit, seconds, Reference(values, spreads))
    return rows


if __name__ == "__main__":
    main("boston", replicate)
