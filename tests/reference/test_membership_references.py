"""Workers in several companies and a diallel cross against lme4 with its random-effect matrix replaced.

``r/memberships.R`` computed ``r/memberships.json``. lme4 finds theta to about 1e-5 of itself, so estimates agree
within 2e-3 of a standard error, log-likelihoods (flat there) within 2e-6; the standard error of kappa there is from
differences of the profile likelihood, good to about a hundredth.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

REFERENCE = json.loads((Path(__file__).parent / "r" / "memberships.json").read_text())
WORKERS = "logearn ~ age_40 + female + mm(company, id, weights = {}, normalize = none)"


@pytest.fixture(scope="module")
def workers(shared):
    data = pd.read_csv(shared / "data" / "workers_companies.csv")
    data["female"] = (data["sex"] == "female").astype(float)
    return data


@pytest.fixture(scope="module")
def companies(workers):
    """Who worked where, and for which share of the year: wide, with 0 in an empty slot."""
    slots = ["company", "company2", "company3", "company4"]
    return mm.memberships.from_wide(workers, slots, [f"weight{k}" for k in range(1, 5)], "id", empty=0)


def compare(fit, name, skip=()):
    """Log-likelihood, estimates and standard errors."""
    want = REFERENCE[name]
    assert fit.loglik == pytest.approx(want["loglik"], abs=2e-6)
    for parameter, value in want["coef"].items():
        if parameter not in skip:
            se = fit.bse[parameter]
            assert abs(fit.params[parameter] - value) < 2e-3 * se, f"{parameter}: {fit.params[parameter]} and {value}"
    return want["se"]


@pytest.mark.parametrize("engine", ["ml", "reml"])
@pytest.mark.parametrize("kind", ["equal", "shares"])
def test_workers_with_known_weights(workers, companies, kind, engine):
    formula = WORKERS.format({"equal": "1 / n", "shares": "weight"}[kind])
    fit = mm.fit(formula, workers, memberships=companies, engine=engine)
    se = compare(fit, f"workers_{kind}_{engine}")
    for parameter, value in se.items():  # lme4 has those given theta; ours in the coefficients hardly differ
        assert fit.bse[parameter] == pytest.approx(value, rel=2e-3)


def test_workers_with_an_estimated_power_of_the_share(workers, companies):
    fit = mm.fit(WORKERS.format("weight ** kappa"), workers, memberships=companies, engine="ml")
    se = compare(fit, "workers_kappa_ml")
    assert fit.bse["company.w.kappa"] == pytest.approx(se["company.w.kappa"], rel=0.02)
    # a power of 1 is the shares themselves; the likelihood-ratio test says how little the data tell of it
    shares = mm.fit(WORKERS.format("weight ** kappa"), workers, memberships=companies, engine="ml",
                    fixed={"company.w.kappa": 1.0})  # fmt: skip
    assert shares.loglik == pytest.approx(REFERENCE["workers_shares_ml"]["loglik"], abs=2e-6)
    assert fit.lr_test(shares).df == 1


def test_line_cross_and_reciprocal_effects_of_a_diallel(shared):
    crosses = pd.read_csv(shared / "data" / "tobacco_diallel.csv")
    crosses["place"] = crosses["year"].astype(str) + " " + crosses["block"]
    crosses = mm.memberships.with_pairs(crosses, "male", "female")
    lines = mm.memberships.from_dyads(crosses, "male", "female", member="line")
    formula = "day ~ place + mm(line, row, weights = 1, normalize = none) + (1 | pair) + (1 | ordered)"
    fit = mm.fit(formula, crosses, memberships=lines, engine="reml")
    # its names of categories differ from R's
    names = {
        k: k.replace("place", "place[T.") + "]" for k in REFERENCE["diallel_reml"]["coef"] if k.startswith("place")
    }
    want = REFERENCE["diallel_reml"]
    assert fit.loglik == pytest.approx(want["loglik"], abs=2e-6)
    for parameter, value in want["coef"].items():
        mine = names.get(parameter, parameter)
        assert abs(fit.params[mine] - value) < 2e-3 * fit.bse[mine], mine
    for parameter, value in want["se"].items():
        assert fit.bse[names.get(parameter, parameter)] == pytest.approx(value, rel=2e-2)
    effects = fit.random_effects("line")["estimate"]
    assert len(effects) == 8 and abs(float(effects.sum())) < 1e-6
    # swapping the columns changes the words only: a cross is a pair in either order
    swapped = mm.memberships.from_dyads(crosses, "female", "male", member="line")
    other = mm.fit(formula, crosses, memberships=swapped, engine="reml")
    np.testing.assert_allclose(other.params, fit.params, rtol=1e-8)
