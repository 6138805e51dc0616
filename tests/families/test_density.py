"""Densities: they integrate to one, and the forms of censoring hang together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from micromacro.families.registry import FAMILIES


def double_exponential(start=-4.0, stop=4.0, n=2001):
    """Nodes and weights of the rule for integrals over the real line, before the support's own map."""
    t, h = np.linspace(start, stop, n, retstep=True)
    return 0.5 * np.pi * np.sinh(t), h * 0.5 * np.pi * np.cosh(t)


def outcomes(case, eta, own):
    """Outcomes and their weights: all that there are, or the nodes of an integral."""
    if case.support == "categories":
        count = len(own) + 1 if case.name == "ordinal" else 2
        return np.arange(float(count)), np.ones(count)
    if case.support in ("count", "trials"):
        count = 13 if case.support == "trials" else 2000
        return np.arange(float(count)), np.ones(count)
    t, weights = double_exponential()
    if case.support == "real":
        return eta + np.sinh(t), weights * np.cosh(t)
    if case.support == "positive":
        return np.exp(eta + t), weights * np.exp(eta + t)
    y = 1.0 / (1.0 + np.exp(-2.0 * t))
    inside = (y > 0.0) & (y < 1.0)
    return y[inside], (2.0 * weights * y * (1.0 - y))[inside]


def log_density(case, eta, own, *columns):
    """Log density of outcomes by the kernel, all at one eta."""
    values = case.family.read(case.raw(*columns)).values
    return case.slopes(values, np.full(values.shape[1], eta), own)[0]


def censored(case, kind, eta, own, *columns):
    """The same of durations, as ``surv(...)`` with a type."""
    return log_density(replace(case, form="surv", kind=kind), eta, own, *columns)


def log_survival(case, t, eta, own):
    """log S(t), with one event beside the censored times since there must be one."""
    t = np.append(t, 1.0)
    return censored(case, "right", eta, own, t, t * 0 + (np.arange(len(t)) == len(t) - 1))[:-1]


def test_the_table_has_every_family(cases):
    assert {c.name for c in cases} == {
        name for name, make in FAMILIES.items() if not make().several
    }  # the others: test_choices.py


def test_the_density_integrates_to_one(family_case):
    case = family_case
    for own in map(np.array, case.own):
        for eta in case.etas:
            y, weights = outcomes(case, eta, own)
            columns = (y, np.full(len(y), y.max())) if case.support == "trials" else (y,)
            total = weights @ np.exp(log_density(case, eta, own, *columns))
            assert total == pytest.approx(1.0, abs=1e-9), f"at eta {eta}, parameters {own}"


TIMES = np.array([0.05, 0.4, 1.0, 2.3, 6.0])


def test_what_survives_a_time_is_the_integral_of_later_events(duration_case):
    case = duration_case
    t, weights = double_exponential()
    for own in map(np.array, case.own):
        for eta in case.etas:
            for time, expected in zip(TIMES, np.exp(log_survival(case, TIMES, eta, own)), strict=True):
                later = time + np.exp(eta + t)
                total = (weights * np.exp(eta + t)) @ np.exp(log_density(case, eta, own, later))
                assert total == pytest.approx(expected, abs=1e-9)


def test_left_censoring_is_what_right_censoring_leaves(duration_case):
    case = duration_case
    for own in map(np.array, case.own):
        for eta in case.etas:
            left = censored(case, "left", eta, own, TIMES, np.zeros(len(TIMES)))
            survival = np.exp(log_survival(case, TIMES, eta, own))
            assert np.exp(left) == pytest.approx(1.0 - survival, abs=1e-13)


def test_an_interval_has_the_difference_of_two_survivals(duration_case):
    case = duration_case
    low, high = TIMES[:-1], TIMES[1:]
    for own in map(np.array, case.own):
        for eta in case.etas:
            between = censored(case, "interval", eta, own, low, high)
            survival = np.exp(log_survival(case, TIMES, eta, own))
            assert np.exp(between) == pytest.approx(-np.diff(survival), abs=1e-13)


def test_an_interval_from_zero_is_left_censored_and_one_of_no_length_an_event(duration_case):
    case = duration_case
    for own in map(np.array, case.own):
        for eta in case.etas:
            from_zero = censored(case, "interval", eta, own, 0 * TIMES, TIMES)
            assert from_zero == pytest.approx(censored(case, "left", eta, own, TIMES, 0 * TIMES), rel=1e-14)
            assert censored(case, "interval", eta, own, TIMES, TIMES) == pytest.approx(
                log_density(case, eta, own, TIMES), rel=1e-14
            )


def test_an_interval_without_end_is_right_censored(duration_case):
    case = duration_case
    upper = np.where(np.arange(len(TIMES)) == 0, TIMES, np.inf)
    for own in map(np.array, case.own):
        for eta in case.etas:
            got = censored(case, "interval", eta, own, TIMES, upper)[1:]
            assert got == pytest.approx(log_survival(case, TIMES, eta, own)[1:], rel=1e-14)


def test_narrow_intervals_have_the_density_of_their_middle_times_their_length(duration_case):
    case = duration_case
    for own in map(np.array, case.own):
        for eta in case.etas:
            low, high = TIMES * (1 - 1e-5), TIMES * (1 + 1e-5)
            got = censored(case, "interval", eta, own, low, high)
            middle = log_density(case, eta, own, TIMES) + np.log(high - low)
            assert got == pytest.approx(middle, rel=1e-6, abs=1e-6)


def test_delayed_entry_divides_by_the_chance_of_getting_there(duration_case):
    case = duration_case
    event = np.array([1.0, 0.0, 1.0, 1.0, 0.0])
    entry = TIMES * np.array([0.0, 0.1, 0.5, 0.9, 0.99])
    for own in map(np.array, case.own):
        for eta in case.etas:
            late = censored(case, "right", eta, own, entry, TIMES, event)
            expected = censored(case, "right", eta, own, TIMES, event)
            expected[1:] -= log_survival(case, entry[1:], eta, own)
            assert late == pytest.approx(expected, abs=1e-12)


def test_a_plain_outcome_of_a_duration_is_an_event(duration_case):
    case = duration_case
    own = np.array(case.own[0])
    expected = censored(case, "right", 0.3, own, TIMES, np.ones(len(TIMES)))
    assert np.array_equal(log_density(case, 0.3, own, TIMES), expected)
    assert np.array_equal(censored(case, "right", 0.3, own, TIMES), expected)


def test_weibull_of_shape_one_is_exponential(cases):
    for weibull in (c for c in cases if c.name == "weibull"):
        exponential = replace(weibull, name="exponential", own=((),))
        rng = np.random.default_rng(5)
        response, eta = weibull.make(rng, np.array([1.0]))
        one = weibull.slopes(response.values, eta, np.array([1.0]))
        assert np.array_equal(one, exponential.slopes(response.values, eta, np.array([])))


def test_binomial_of_one_trial_is_bernoulli(cases):
    for case in (c for c in cases if c.name == "bernoulli"):
        one = replace(case, name="binomial", form="trials")
        y, eta = np.array([0.0, 1.0, 1.0]), np.array([-1.0, 0.5, 3.0])
        of_two = one.family.read(one.raw(y, np.ones(3))).values
        own = np.array([])
        assert one.slopes(of_two, eta, own) == pytest.approx(case.slopes(y[None, :], eta, own), rel=1e-14)


def test_ordinal_of_two_categories_is_bernoulli(cases):
    for case in (c for c in cases if c.name == "bernoulli"):
        if case.link == "cloglog":  # its F is not symmetric: P(y <= 1) = F(cut - eta) is another model
            continue
        ordinal = replace(case, name="ordinal")
        y, eta = np.array([[0.0, 1.0, 1.0]]), np.array([-1.0, 0.5, 3.0])
        expected = case.slopes(y, eta - 0.4, np.array([]))
        assert ordinal.slopes(y, eta, np.array([0.4])) == pytest.approx(expected, rel=1e-13)


def test_a_negative_binomial_of_large_phi_is_nearly_poisson(cases):
    rng = np.random.default_rng(2)
    poisson, negative = (next(c for c in cases if c.name == n) for n in ("poisson", "negative_binomial"))
    response, eta = poisson.make(rng, np.array([]))
    expected = poisson.slopes(response.values, eta, np.array([]))
    assert negative.slopes(response.values, eta, np.array([1e7])) == pytest.approx(expected, abs=1e-4)


def test_a_student_of_large_nu_is_nearly_gaussian(cases):
    rng = np.random.default_rng(2)
    gaussian, student = (next(c for c in cases if c.name == n) for n in ("gaussian", "student"))
    response, eta = gaussian.make(rng, np.array([0.7]))
    expected = gaussian.slopes(response.values, eta, np.array([0.7]))
    assert student.slopes(response.values, eta, np.array([0.7, 1e6])) == pytest.approx(expected, abs=1e-3)
