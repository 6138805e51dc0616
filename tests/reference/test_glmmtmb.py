"""Families with zeros, overdispersed shares and second linear predictors against R's glmmTMB.

``r/predictors.R`` computed ``r/predictors.json`` from ``r/predictors.csv``. Both sides maximise Laplace's approximation
(the exact likelihood for Gaussian outcomes): log-likelihoods agree to 1e-4, estimates to 1e-3 of our standard errors.
For Gaussian outcomes glmmTMB models the log of the variance; the script halves its coefficients.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import micromacro as mm

HERE = Path(__file__).parent / "r"
REFERENCE = json.loads((HERE / "predictors.json").read_text())
MIXED = "{} ~ x + z + (1 | unit)"
#: name: (outcome, family, formulas of the other predictors, engine)
CASES = {
    "zip": ("certain", "zero_inflated_poisson", {}, "ml"),
    "zinb": ("both", "zero_inflated_negative_binomial", {}, "ml"),
    "hurdle_poisson": ("certain", "hurdle_poisson", {}, "ml"),
    "hurdle_nb": ("both", "hurdle_negative_binomial", {}, "ml"),
    "beta_binomial": ("trials(k, n)", "beta_binomial", {}, "ml"),
    "gaussian_sigma": ("y", "gaussian", {"sigma": "~ x + z"}, "ml"),
    "gaussian_sigma_reml": ("y", "gaussian", {"sigma": "~ x + z"}, "reml"),
    "nb_phi": ("spread", "negative_binomial", {"phi": "~ z"}, "ml"),
    "gamma_shape": ("positive", "gamma", {"shape": "~ z"}, "ml"),
    "beta_phi": ("share", "beta", {"phi": "~ z"}, "ml"),
    "beta_binomial_phi": ("trials(k, n)", "beta_binomial", {"phi": "~ z"}, "ml"),
    "zip_zi": ("certain", "zero_inflated_poisson", {"zi": "~ x"}, "ml"),
    "zinb_phi_zi": ("both", "zero_inflated_negative_binomial", {"phi": "~ z", "zi": "~ x"}, "ml"),
    "hurdle_poisson_hu": ("certain", "hurdle_poisson", {"hu": "~ x"}, "ml"),
    "zip_zi_effects": ("certain", "zero_inflated_poisson", {"zi": "~ x + (1 | unit)"}, "ml"),
    "hurdle_poisson_hu_effects": ("certain", "hurdle_poisson", {"hu": "~ x + (1 | unit)"}, "ml"),
    "hurdle_nb_phi_hu": ("both", "hurdle_negative_binomial", {"phi": "~ z", "hu": "~ x"}, "ml"),
}


@pytest.fixture(scope="module")
def data():
    return pd.read_csv(HERE / "predictors.csv")


@pytest.mark.parametrize("name", CASES)
def test_the_maximum_is_glmmtmbs(data, name):
    outcome, family, others, engine = CASES[name]
    fit = mm.fit(MIXED.format(outcome), data, family=family, engine=engine, **others)
    expected = REFERENCE[name]
    assert fit.health.ok
    assert fit.loglik == pytest.approx(expected["loglik"], abs=1e-4)
    assert set(fit.params.index) == set(expected["coef"])
    away = {k: (fit.params[k] - value) / fit.bse[k] for k, value in expected["coef"].items()}
    assert max(map(abs, away.values())) < 1e-3, away
