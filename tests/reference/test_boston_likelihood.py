"""Maximum likelihood on the Boston tracts against a dense likelihood (shared/reference/boston_ml.json).

The reference was found by quasi-Newton, then simplex, on a dense 506 x 506 Gaussian likelihood; it agrees with lme4 on
the model with equal weights. A failure says by how much the log-likelihood (the objective) is off.
"""

from __future__ import annotations

import numpy as np
import pytest

import micromacro as mm

FORMULA = (
    "log_value ~ nox + crim + rm + dis + age + mm(neighbour, tract, nox_nb + crim_nb + rm_nb + dis_nb + age_nb, "
    "weights = {weights}, normalize = group)"
)
#: Entry of the reference: weights, engine.
ENTRIES = {
    "equal": ("1 / n", "ml"),
    "equal_reml": ("1 / n", "reml"),
    "exp_lstat": ("exp(-(b1 * d_lstat))", "ml"),
}


@pytest.fixture(scope="module")
def data():
    table = mm.datasets.boston().data
    gap = (table["lstat"] - table["lstat_nb"]).abs()
    return table.assign(d_lstat=(gap - gap.mean()) / gap.std(ddof=1))


@pytest.fixture(scope="module")
def fits(data):
    return {k: mm.fit(FORMULA.format(weights=w), data, engine=e) for k, (w, e) in ENTRIES.items()}


def off(fit, entry):
    return f"log-likelihood {fit.loglik:.6f}, {fit.loglik - entry['loglik']:+.2g} from the reference"


def test_every_entry_of_the_reference_is_tested(reference):
    assert {k for k, v in reference("boston_ml").items() if isinstance(v, dict)} == set(ENTRIES)


@pytest.mark.parametrize("key", ENTRIES)
def test_the_log_likelihood_is_that_of_the_reference(reference, fits, key):
    entry = reference("boston_ml")[key]
    assert abs(fits[key].loglik - entry["loglik"]) < 1e-3, off(fits[key], entry)


@pytest.mark.parametrize("key", ENTRIES)
def test_coefficients_are_those_of_the_reference(reference, fits, key):
    entry, fit = reference("boston_ml")[key], fits[key]
    assert set(entry["coef"]) == {p.name for p in fit.specification.parameters if p.linear}
    for name, value in entry["coef"].items():
        away = (fit.params[name] - value) / entry["coef_se_given_theta"][name]
        assert abs(away) < 1e-4, f"{name} is {away:+.2g} standard errors off; {off(fit, entry)}"


@pytest.mark.parametrize("key", ENTRIES)
@pytest.mark.parametrize("name", ["sigma", "neighbour.sd"])
def test_standard_deviations_are_those_of_the_reference(reference, fits, key, name):
    entry, fit = reference("boston_ml")[key], fits[key]
    away = (fit.params[name] - entry[name]) / fit.bse[name]
    assert abs(away) < 1e-4, f"{name} is {away:+.2g} standard errors off; {off(fit, entry)}"


@pytest.mark.parametrize("key", ENTRIES)
def test_joint_standard_errors_are_about_those_given_theta_and_not_smaller(reference, fits, key):
    entry, fit = reference("boston_ml")[key], fits[key]
    for name, se in entry["coef_se_given_theta"].items():
        ratio = fit.bse[name] / se
        assert 1 - 1e-4 < ratio < 1.1, f"{name}: joint standard error {ratio:.5f} of the one given theta"


def test_the_weight_parameter_and_its_standard_error_are_those_of_the_reference(reference, fits):
    entry, fit = reference("boston_ml")["exp_lstat"], fits["exp_lstat"]
    b1, se = fit.params["neighbour.w.b1"], fit.bse["neighbour.w.b1"]
    assert abs(b1 - entry["neighbour.w.b1"]) < 1e-3, f"b1 {b1:.5f}; {off(fit, entry)}"
    assert abs(se - entry["neighbour.w.b1_se"]) < 1e-3, f"standard error {se:.5f}, {entry['neighbour.w.b1_se']:.5f}"


def test_estimated_weights_fit_better_than_equal_ones(fits):
    test = fits["exp_lstat"].lr_test(fits["equal"])
    assert test.df == 1
    assert test.statistic == pytest.approx(2 * (154.83989 - 133.15682), abs=4e-3)
    assert np.log10(test.p) < -9
