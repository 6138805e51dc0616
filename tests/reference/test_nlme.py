"""A residual standard deviation that depends on a covariate against R's nlme (``varExp``), by ML and REML.

``r/spread.R`` computed ``r/spread.json`` from ``r/predictors.csv``. Both likelihoods are exact: they agree to 1e-4,
estimates to 1e-3 of our standard errors.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import micromacro as mm

HERE = Path(__file__).parent / "r"
REFERENCE = json.loads((HERE / "spread.json").read_text())


@pytest.mark.parametrize("engine", ["ml", "reml"])
def test_the_maximum_is_nlmes(engine):
    fit = mm.fit("y ~ x + z + (1 | unit)", pd.read_csv(HERE / "predictors.csv"), sigma="~ z", engine=engine)
    expected = REFERENCE[engine]
    assert fit.loglik == pytest.approx(expected["loglik"], abs=1e-4)
    assert set(fit.params.index) == set(expected["coef"])
    away = {k: (fit.params[k] - value) / fit.bse[k] for k, value in expected["coef"].items()}
    assert max(map(abs, away.values())) < 1e-3, away
