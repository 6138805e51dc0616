"""Every prior against SciPy's distribution of the same name, and its normal score out into the tails."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

import micromacro as mm
from micromacro.errors import ModelError
from micromacro.priors import FLAT

INF = math.inf
HALF_T = stats.t(4.0, 1.5, 2.0)
BELOW_ZERO_T = stats.t(4.0, -3.0, 2.0)


class Cut:
    """A SciPy distribution cut off below zero."""

    def __init__(self, whole):
        self.whole, self.mass = whole, whole.sf(0.0)

    def logpdf(self, x):
        return self.whole.logpdf(x) - math.log(self.mass) if x >= 0 else -INF

    def cdf(self, x):
        return 1.0 - self.sf(x)

    def sf(self, x):
        return self.whole.sf(max(x, 0.0)) / self.mass


#: Prior, SciPy's distribution, support, text.
PRIORS = [
    (mm.prior.normal(), stats.norm(), (-INF, INF), "normal(0, 1)"),
    (mm.prior.normal(-2, 0.3), stats.norm(-2, 0.3), (-INF, INF), "normal(-2, 0.3)"),
    (mm.prior.student(3, 1, 2), stats.t(3, 1, 2), (-INF, INF), "student(3, 1, 2)"),
    (mm.prior.student(1), stats.t(1), (-INF, INF), "student(1, 0, 1)"),
    (mm.prior.half_student(3, 0, 2.5), Cut(stats.t(3, 0, 2.5)), (0, INF), "half_student(3, 0, 2.5)"),
    (mm.prior.half_student(4, 1.5, 2), Cut(HALF_T), (0, INF), "half_student(4, 1.5, 2)"),
    (mm.prior.half_student(4, -3, 2), Cut(BELOW_ZERO_T), (0, INF), "half_student(4, -3, 2)"),
    (mm.prior.half_cauchy(25), stats.halfcauchy(scale=25), (0, INF), "half_cauchy(25)"),
    (mm.prior.half_normal(0.7), stats.halfnorm(scale=0.7), (0, INF), "half_normal(0.7)"),
    (mm.prior.exponential(0.001), stats.expon(scale=1000), (0, INF), "exponential(0.001)"),
    (mm.prior.gamma(2.5, 4), stats.gamma(2.5, scale=0.25), (0, INF), "gamma(2.5, 4)"),
    (mm.prior.gamma(0.5, 1), stats.gamma(0.5), (0, INF), "gamma(0.5, 1)"),
    (mm.prior.log_gamma(2.5, 4), stats.loggamma(2.5, loc=-np.log(4)), (-INF, INF), "log_gamma(2.5, 4)"),
    (mm.prior.log_gamma(0.5, 3), stats.loggamma(0.5, loc=-np.log(3)), (-INF, INF), "log_gamma(0.5, 3)"),
    (mm.prior.uniform(-1, 3), stats.uniform(-1, 4), (-1, 3), "uniform(-1, 3)"),
    (mm.prior.beta(2, 5), stats.beta(2, 5), (0, 1), "beta(2, 5)"),
    (mm.prior.beta(0.5, 0.5), stats.beta(0.5, 0.5), (0, 1), "beta(0.5, 0.5)"),
    (mm.prior.lkj(1), stats.beta(1, 1, -1, 2), (-1, 1), "lkj(1)"),
    (mm.prior.lkj(2.5), stats.beta(2.5, 2.5, -1, 2), (-1, 1), "lkj(2.5)"),
]
SCORES = np.array([-8.0, -5.0, -3.0, -1.0, -0.01, 0.0, 0.01, 1.0, 3.0, 5.0, 8.0])

every_prior = pytest.mark.parametrize(("prior", "scipy", "support", "text"), PRIORS, ids=[row[3] for row in PRIORS])


#: Their probability next to zero is a difference; the one that is the default prior has a test of its own below.
DIFFERENCES = ("half_student(3, 0, 2.5)", "half_student(4, 1.5, 2)", "half_student(4, -3, 2)")


def moved_by_rounding(prior, x: float) -> float:
    """Probability that one rounding of x moves from one side of it to the other."""
    return abs(float(np.spacing(x))) * math.exp(prior.log_density(x)) if prior.log_density(x) > -INF else INF


def spread(prior) -> np.ndarray:
    """Values over the body of a prior."""
    return np.array([prior.from_score(s) for s in np.linspace(-2.5, 2.5, 11)])


@every_prior
def test_text_and_support(prior, scipy, support, text):
    assert str(prior) == text
    assert prior.support == support
    assert prior.proper


@every_prior
def test_density_and_probabilities_are_those_of_scipy(prior, scipy, support, text):
    for x in spread(prior):
        assert prior.log_density(x) == pytest.approx(scipy.logpdf(x), rel=1e-10, abs=1e-10)
        assert prior.below(x) == pytest.approx(scipy.cdf(x), rel=1e-9, abs=1e-12)
        assert prior.above(x) == pytest.approx(scipy.sf(x), rel=1e-9, abs=1e-12)


@every_prior
def test_density_integrates_to_one(prior, scipy, support, text):
    cuts = [support[0], *spread(prior)[[0, 3, 5, 7, 10]], support[1]]
    pieces = pairwise(cuts)
    total = sum(integrate.quad(lambda x: math.exp(prior.log_density(x)), a, b, epsabs=1e-11)[0] for a, b in pieces)
    assert total == pytest.approx(1.0, abs=1e-7)


@every_prior
def test_slope_is_the_derivative_of_the_log_density(prior, scipy, support, text):
    for x in spread(prior)[1:-1]:
        h = 1e-5 * min(abs(x - support[0]), abs(support[1] - x), 1.0 + abs(x))
        by_differences = (prior.log_density(x + h) - prior.log_density(x - h)) / (2 * h)
        assert prior.slope(x) == pytest.approx(by_differences, rel=1e-5, abs=1e-5 / (1.0 + abs(x)))


@every_prior
def test_outside_the_support_there_is_no_density_and_all_probability_on_one_side(prior, scipy, support, text):
    for end, sign, below in ((support[0], -1, 0.0), (support[1], 1, 1.0)):
        if math.isfinite(end):
            assert prior.log_density(end + sign * 0.1) == -INF
            assert (prior.below(end + sign * 0.1), prior.above(end + sign * 0.1)) == (below, 1.0 - below)


@every_prior
def test_score_is_that_of_the_distribution_function_on_the_side_that_has_the_digits(prior, scipy, support, text):
    for score in SCORES:
        x = prior.from_score(score)
        tail = scipy.cdf(x) if score < 0 else scipy.sf(x)
        if not (score < -3 and isinstance(scipy, Cut)):  # the oracle's lower tail is a difference
            assert tail == pytest.approx(stats.norm.cdf(-abs(score)), rel=1e-7, abs=4 * moved_by_rounding(prior, x))


@every_prior
def test_to_score_undoes_from_score_out_to_eight(prior, scipy, support, text):
    for score in SCORES:
        x = prior.from_score(score)
        rounding = moved_by_rounding(prior, x) / stats.norm.pdf(score)
        if rounding < 0.1 and not (score <= -5 and text in DIFFERENCES):
            assert prior.to_score(x) == pytest.approx(score, abs=1e-7 + 4 * rounding)


@every_prior
def test_values_rise_with_the_score_and_stay_in_the_support(prior, scipy, support, text):
    x = np.array([prior.from_score(s) for s in SCORES])
    assert (np.diff(x) > 0).all()
    assert support[0] <= x[0] and x[-1] <= support[1]


@every_prior
def test_score_slope_is_the_derivative_of_from_score(prior, scipy, support, text):
    for score in SCORES[np.abs(SCORES) < 5]:
        h = 1e-4
        up, down = prior.from_score(score + h), prior.from_score(score - h)
        assert prior.score_slope(score, prior.from_score(score)) == pytest.approx((up - down) / (2 * h), rel=1e-5)


@every_prior
def test_draws_have_the_distribution(prior, scipy, support, text, rng):
    draws = prior.sample(rng, (40, 50))
    assert draws.shape == (40, 50)
    uniform = [float(prior.below(x)) for x in draws.ravel()]
    assert stats.kstest(uniform, "uniform").pvalue > 1e-3


def test_a_half_cauchy_keeps_its_digits_at_a_score_of_eight():
    prior = mm.prior.half_cauchy(25)
    x = prior.from_score(8.0)
    assert x == pytest.approx(25 * 2 / math.pi / stats.norm.sf(8.0), rel=1e-9)
    assert prior.to_score(x) == pytest.approx(8.0, abs=1e-12)


@pytest.mark.parametrize("x", [1e-3, 1e-6, 1e-9, 1e-12, 1e-15, 1e-17, 1e-30, 1e-100])
def test_a_half_student_keeps_its_digits_next_to_zero_where_sds_go(x):
    prior = mm.prior.half_student(3, 0, 2.5)
    small = math.exp(prior.log_density(0.0)) * x  # the density is level there, to relative x squared
    assert prior.below(x) == pytest.approx(small, rel=1e-6)
    assert prior.to_score(x) == pytest.approx(stats.norm.ppf(small), abs=1e-6)
    assert prior.from_score(prior.to_score(x)) == pytest.approx(x, rel=1e-6)


def test_flat_is_one_everywhere_and_not_a_distribution():
    assert str(FLAT) == "flat"
    assert not FLAT.proper
    assert (FLAT.log_density(1e9), FLAT.slope(-3.0), FLAT.support) == (0.0, 0.0, (-INF, INF))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("normal", (0, 0), "sd must be a positive number"),
        ("normal", (0, -1), "sd must be a positive number"),
        ("normal", (INF, 1), "mean must be a finite number"),
        ("normal", (math.nan, 1), "mean must be a finite number"),
        ("normal", (0, math.nan), "sd must be a positive number"),
        ("student", (0, 0, 1), "df must be a positive number"),
        ("student", (3, INF, 1), "loc must be a finite number"),
        ("student", (3, 0, 0), "scale must be a positive number"),
        ("half_student", (-1, 0, 1), "df must be a positive number"),
        ("half_student", (3, 0, INF), "scale must be a positive number"),
        ("half_cauchy", (0,), "scale must be a positive number"),
        ("half_normal", (-2,), "scale must be a positive number"),
        ("exponential", (0,), "rate must be a positive number"),
        ("gamma", (0, 1), "shape must be a positive number"),
        ("gamma", (1, 0), "rate must be a positive number"),
        ("uniform", (1, 1), "must lie below"),
        ("uniform", (2, 1), "must lie below"),
        ("uniform", (0, INF), "b must be a finite number"),
        ("beta", (0, 1), "a must be a positive number"),
        ("beta", (1, -1), "b must be a positive number"),
        ("lkj", (0,), "eta must be a positive number"),
    ],
)
def test_bad_arguments_name_the_prior_and_the_argument(name, arguments, message):
    with pytest.raises(ModelError, match=f"prior {name}: .*{message}"):
        getattr(mm.prior, name)(*arguments)
