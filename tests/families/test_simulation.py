"""Simulated outcomes: their moments, and that the family takes them back."""

from __future__ import annotations

import numpy as np
import pytest

DRAWS = 40_000
ERRORS = 4.5  # Monte Carlo standard errors


def test_means_and_variances_are_those_of_the_family(family_case):
    case = family_case
    factor = 12.0 if case.support == "trials" else 1.0  # the mean of a binomial is the chance of one success
    for k, own in enumerate(map(np.array, case.own)):
        eta = np.array(case.etas)
        mean = factor * case.family.mean(eta, own, None)
        variance = case.variance(eta, own)
        rng = np.random.default_rng([17, k])
        y = case.simulate(np.tile(eta, (DRAWS, 1)).ravel(), own, rng).reshape(DRAWS, len(eta))
        deviation = y - y.mean(axis=0)
        off = (y.mean(axis=0) - mean) / (y.std(axis=0) / np.sqrt(DRAWS))
        assert np.all(np.abs(off) < ERRORS), f"means are off by {off} standard errors at eta {eta}"
        square = (deviation**2).mean(axis=0)
        error = np.sqrt(((deviation**4).mean(axis=0) - square**2) / DRAWS)
        off = (square - variance) / error
        assert np.all(np.abs(off) < ERRORS), f"variances are off by {off} standard errors at eta {eta}"


def test_the_family_reads_what_it_simulated(case):
    for own in map(np.array, case.own):
        response, eta = case.make(np.random.default_rng(3), own, groups=400)
        assert response.values.shape[1] == len(eta) == len(response.observed)
        assert np.isfinite(response.observed).all()
        assert np.isfinite(case.slopes(response.values, eta, own)).all()
        assert not response.weighted


def test_outcomes_follow_a_seed(family_case):
    own = np.array(family_case.own[0])
    eta = np.linspace(-1.0, 1.0, 50)
    one, again, other = (family_case.simulate(eta, own, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("eta", [-30.0, 30.0])
def test_far_out_outcomes_are_still_numbers(family_case, eta):
    """A draw from wide priors may go anywhere."""
    for own in map(np.array, family_case.own):
        y = family_case.simulate(np.full(200, eta), own, np.random.default_rng(1))
        assert np.isfinite(y).all()
        if family_case.support in ("positive", "share"):
            assert np.all(y > 0.0)
        if family_case.support == "share":
            assert np.all(y < 1.0)


@pytest.mark.parametrize("eta", [50.0, 700.0])
def test_counts_of_an_enormous_mean_can_be_drawn(cases, eta):
    for case in (c for c in cases if c.support == "count"):
        for own in map(np.array, (*case.own, *(((0.02,),) if case.name == "negative_binomial" else ()))):
            y = case.simulate(np.full(2000, eta), own, np.random.default_rng(1))
            assert np.isfinite(y).all()


def test_the_mean_takes_any_shape_of_eta(family_case):
    """Draws by groups at once, as the protocol of families says."""
    own = np.array(family_case.own[0])
    eta = np.random.default_rng(2).standard_normal((4, 7))
    rows = np.stack([family_case.family.mean(row, own, None) for row in eta])
    assert np.array_equal(family_case.family.mean(eta, own, None), rows)


def test_the_mean_rises_with_eta(family_case):
    sign = -1.0 if family_case.name == "cox" else 1.0  # a larger hazard is a shorter time
    for own in map(np.array, family_case.own):
        mean = family_case.family.mean(np.linspace(-3.0, 3.0, 50), own, None)
        assert np.all(sign * np.diff(mean) > 0.0)


def test_probabilities_of_categories_add_up(cases):
    for case in (c for c in cases if c.name == "ordinal"):
        for own in map(np.array, case.own):
            p = case.family.probabilities(np.linspace(-4.0, 4.0, 9), own)
            assert p.shape == (len(own) + 1, 9)
            assert p.sum(axis=0) == pytest.approx(np.ones(9))
            density = [case.slopes(np.full((1, 9), float(k)), np.linspace(-4.0, 4.0, 9), own)[0] for k in range(len(p))]
            assert np.exp(density) == pytest.approx(p, abs=1e-14)
