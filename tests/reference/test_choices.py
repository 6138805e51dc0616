"""Choices and categories against survival::clogit and nnet::multinom.

``r/choices.R`` computed ``r/choices.json`` from R's own data ``infert`` (``r/choices.csv``). Without effects both sides
maximise the same likelihood: log-likelihoods agree to 1e-4, estimates to 1e-3 of a standard error.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

HERE = Path(__file__).parent / "r"
REFERENCE = json.loads((HERE / "choices.json").read_text())
CASES = {
    "clogit": ("choice(case, stratum) ~ spontaneous + induced", "conditional_logit"),
    "clogit_product": ("choice(case, stratum) ~ spontaneous * induced", "conditional_logit"),
    "multinom": ("education ~ age + parity + induced", "categorical"),
}


@pytest.fixture(scope="module")
def data():
    table = pd.read_csv(HERE / "choices.csv")
    return table.assign(education=pd.Categorical(table["education"], ["0-5yrs", "6-11yrs", "12+ yrs"]))


@pytest.mark.parametrize("name", CASES)
def test_the_maximum_is_that_of_r(data, name):
    formula, family = CASES[name]
    fit = mm.fit(formula, data, family=family, engine="ml")
    expected = REFERENCE[name]
    assert fit.health.ok
    assert fit.loglik == pytest.approx(expected["loglik"], abs=1e-4)
    names = {k: k.replace(" ", "") if family == "conditional_logit" else k for k in expected["coef"]}
    assert set(fit.params.index) == set(names.values())
    for k, own in names.items():
        assert abs(fit.params[own] - expected["coef"][k]) < 1e-3 * expected["se"][k]
        assert fit.bse[own] == pytest.approx(expected["se"][k], rel=1e-3)


def test_predicted_probabilities_are_those_of_r(data):
    fit = mm.fit(CASES["multinom"][0], data, family="categorical", engine="ml")
    table = fit.predict(data.head(5).drop(columns="education"))
    np.testing.assert_allclose(table["estimate"].to_numpy().reshape(5, 3), REFERENCE["multinom"]["fitted"], atol=1e-5)
