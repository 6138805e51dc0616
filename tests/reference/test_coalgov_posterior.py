"""Posteriors of the coalition data at default settings against long runs of an independent sampler.

shared/reference/coalgov_*.json: Hamiltonian Monte Carlo in C++ on the density of bml's model string. Means
within 4 combined Monte Carlo standard errors, standard deviations within 8 per cent and 3 Monte Carlo errors of theirs.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

GAUSSIAN = "log(dur_wkb) ~ majority + mwc + mm(pid, gid, cohesion, weights = {}, normalize = group) + (1 | cid)"
OTHER = "{} ~ majority + mm(pid, gid, finance, weights = 1 / n, normalize = group) + (1 | cid)"
MODELS = {
    "coalgov_gaussian_equal": ("gaussian", GAUSSIAN.format("1 / n")),
    "coalgov_gaussian_power": ("gaussian", GAUSSIAN.format("1 / n ** exp(-(b1 * pseat))")),
    "coalgov_weibull_equal": ("weibull", OTHER.format("surv(dur_wkb, event_wkb)")),
    "coalgov_bernoulli_equal": ("bernoulli", OTHER.format("event_wkb")),
}


#: Runs at default settings take a quarter of a minute; each family's likelihood has references of its own.
WAIT = ("coalgov_gaussian_equal", "coalgov_bernoulli_equal", "coalgov_weibull_equal")


@pytest.fixture(scope="module", params=[pytest.param(m, marks=pytest.mark.slow) if m in WAIT else m for m in MODELS])
def case(request, reference, shared):
    """A reference's parameters and our fit at default settings."""
    data = pd.read_csv(shared / "data" / "coalgov.csv")
    family, formula = MODELS[request.param]
    fit = mm.fit(formula, data, family=family, priors="vague", random_seed=1, progress=False)
    return reference(request.param)["parameters"], fit


def test_every_parameter_is_there(case):
    expected, fit = case
    assert set(expected) == set(fit.params.index)


def test_means_agree_within_monte_carlo_error(case):
    expected, fit = case
    table = fit.summary()
    for name, entry in expected.items():
        error = np.hypot(table.loc[name, "mcse_mean"], entry["mcse_mean"])
        away = (table.loc[name, "mean"] - entry["mean"]) / error
        assert abs(away) < 4, f"the mean of {name} is {away:+.1f} Monte Carlo standard errors off the reference"


def test_standard_deviations_agree(case):
    expected, fit = case
    table = fit.summary()
    for name, entry in expected.items():
        # Monte Carlo error of an sd, about sd / sqrt(2 ess).
        error = entry["sd"] * np.hypot((2 * table.loc[name, "ess_bulk"]) ** -0.5, (2 * entry["ess_bulk"]) ** -0.5)
        away = table.loc[name, "sd"] - entry["sd"]
        assert abs(away) < 0.08 * entry["sd"] + 3 * error, f"the sd of {name} is {away / entry['sd']:+.1%} off"


def test_every_parameter_has_converged(case):
    _, fit = case
    table = fit.summary()
    assert len(table) and np.isfinite(table.to_numpy()).all()
    for name, row in table.iterrows():
        assert row["r_hat"] < 1.01, f"R-hat of {name} is {row['r_hat']:.4f}"
        assert row["ess_bulk"] > 400, f"bulk ESS of {name} is {row['ess_bulk']:.0f}"
        assert row["ess_tail"] > 400, f"tail ESS of {name} is {row['ess_tail']:.0f}"
    assert fit.health.ok, fit.health.troubles


def test_the_report_says_how_little_the_data_tell_of_the_weights(case):
    expected, fit = case
    if "pid.w.b1" not in expected:
        assert "pid.w.b1" not in fit.health.contraction
        return
    assert fit.health.contraction["pid.w.b1"] == pytest.approx(1 - expected["pid.w.b1"]["sd"] ** 2, abs=0.1)
