"""Kernels against the plain densities, JAX's derivatives of these, and themselves out to the tails."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

ETAS = np.arange(-30.0, 31.0)
NOT_LOG_CONCAVE = (
    "student", "beta", "beta_binomial", "zero_inflated_poisson", "zero_inflated_negative_binomial",
    "hurdle_negative_binomial",
)  # fmt: skip


def own_values(case):
    return [np.array(own) for own in case.own]


@pytest.fixture(scope="module")
def automatic(jax):
    """Makes (case, values, eta, own) to log density and two derivatives by JAX (rows as in the kernel)."""
    np_ = jax.numpy
    compiled = {}

    def make(case):
        def density(eta, values, own):
            return case.family.log_density(values, eta, own, np_, jax.scipy.special)

        def first(eta, values, own):  # backwards, as samplers do it
            return jax.grad(lambda at: density(at, values, own).sum())(eta)

        def both(eta, values, own):
            return jax.jvp(lambda at: first(at, values, own), (eta,), (np_.ones_like(eta),))

        return jax.jit(lambda *at: (density(*at), *both(*at)))

    def slopes(case, values, eta, own):
        if case.label not in compiled:
            compiled[case.label] = make(case)
        return np.stack([np.asarray(row) for row in compiled[case.label](eta, values, own)])

    return slopes


def assert_near(got, expected, tolerance):
    """Equal relative to the scale of each number, or to one."""
    got, expected = np.atleast_2d(got), np.atleast_2d(expected)
    for name, a, b in zip(("log density", "slope", "second derivative"), got, expected, strict=False):
        off = np.where(a == b, 0.0, np.abs(a - b) / (1.0 + np.abs(b)))
        k = int(np.argmax(np.where(np.isnan(off), np.inf, off)))
        assert off[k] < tolerance, f"{name} of group {k}: {float(a[k])!r}, not {float(b[k])!r}"


def test_the_kernel_is_the_plain_density(case):
    for own in own_values(case):
        response, eta = case.make(np.random.default_rng(1), own)
        for shift in (-2.0, 0.0, 2.0):
            got = case.slopes(response.values, eta + shift, own)
            plain = case.family.log_density(response.values, eta + shift, own, np, special)
            assert_near(got[:1], [plain], 1e-11)


@pytest.fixture
def mixture(family_case, cases):
    """Makes outcomes of all forms that a family takes: the plain density is one function of them all."""

    def make(own, seed):
        forms = [c for c in cases if (c.name, c.link) == (family_case.name, family_case.link)]
        made = [c.make(np.random.default_rng(seed), own) for c in forms]
        return np.hstack([response.values for response, _ in made]), np.concatenate([eta for _, eta in made])

    return make


def test_derivatives_are_those_of_automatic_differentiation(family_case, automatic, mixture):
    for own in own_values(family_case):
        values, eta = mixture(own, 2)
        for shift in (-1.5, 0.0, 1.5):
            got = family_case.slopes(values, eta + shift, own)
            assert_near(got[:3], automatic(family_case, values, eta + shift, own), 1e-8)


def test_automatic_differentiation_works_far_out(family_case, automatic, mixture):
    """A sampler that begins far from the data needs a finite and right gradient of the plain density."""
    for own in own_values(family_case):
        values, eta = mixture(own, 3)
        for shift in (-30.0, -15.0, 15.0, 30.0):
            got = family_case.slopes(values, 0.0 * eta + shift, own)
            assert_near(got[:2], automatic(family_case, values, 0.0 * eta + shift, own)[:2], 1e-6)


def test_everything_is_finite_far_out(case):
    for own in own_values(case):
        response, _ = case.make(np.random.default_rng(4), own)
        for eta in ETAS:
            got = case.slopes(response.values, np.full(response.values.shape[1], eta), own)
            assert np.isfinite(got).all(), f"at eta {eta}"


def test_no_linear_predictor_gives_nan(case):
    """A search may look anywhere: the density is right or zero there, and has slopes where it is not zero."""
    with np.errstate(all="ignore"):
        for own in own_values(case):
            values = case.make(np.random.default_rng(4), own, groups=40)[0].values
            for far in (400.0, 701.0, 745.0, 1e3, 1e6, 1e100, 1e155, 1e300):
                for eta in (np.full(values.shape[1], far), np.full(values.shape[1], -far)):
                    got = case.slopes(values, eta, own)
                    assert not np.isnan(got).any() and not np.isposinf(got[0]).any()
                    assert np.isfinite(got[:, np.isfinite(got[0])]).all()
                    plain = case.family.log_density(values, eta, own, np, special)
                    assert not np.isnan(plain).any() and not np.isposinf(plain).any()
                    if far < 1e6:
                        assert_near([plain], got[:1], 1e-9)


def test_entry_far_below_keeps_the_digits_of_the_difference(cases):
    """log S(z) - log S(z_0) of a lognormal: nearly the difference of squares, in which none are lost."""
    case = next(c for c in cases if c.name == "lognormal" and c.note == "entry")
    for code in (0.0, 1.0):  # censored, seen
        values = np.array([[code], [1.0], [np.inf], [0.75]])
        for eta in (-1e6, -1e30):
            value, slope = case.slopes(values, np.array([eta]), np.array([0.5]))[:2, 0]
            assert value == pytest.approx(0.5 * (0.5 * 2.0**2) * eta, rel=1e-4)
            assert slope == pytest.approx(0.5 * 0.5 * 2.0**2, rel=1e-4)


def test_the_last_row_is_a_curvature_that_is_not_negative(case):
    for own in own_values(case):
        response, eta = case.make(np.random.default_rng(5), own)
        for shift in (-20.0, -3.0, 0.0, 3.0, 20.0):
            got = case.slopes(response.values, eta + shift, own)
            assert np.all(got[3] >= 0.0)
            if case.name not in NOT_LOG_CONCAVE:
                assert np.all(got[2] <= 1e-9 * (1.0 + np.abs(got[1])))
                assert got[3] == pytest.approx(-got[2], rel=1e-12, abs=1e-9)


def test_slopes_add_up_to_what_the_density_changes_by_out_to_the_tails(case):
    """The integral of each derivative over [eta, eta + 1] by Gauss and Legendre: no digits cancel in it."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    for own in own_values(case):
        response, _ = case.make(np.random.default_rng(6), own, groups=60)
        values = response.values

        def at(eta, values=values, own=own):
            return case.slopes(values, np.full(values.shape[1], eta), own)

        for low in ETAS[:-1]:
            inside = [at(low + 0.5 * (1.0 + t)) for t in nodes]
            start, stop = at(low), at(low + 1.0)
            for row, name in ((0, "slope"), (1, "second derivative")):
                total = 0.5 * np.einsum("k,ki->i", weights, [x[row + 1] for x in inside])
                scale = 1.0 + np.abs(start[row]) + np.abs(stop[row])
                off = np.abs(total - (stop[row] - start[row])) / scale
                assert np.nanmax(off) < 1e-8, f"{name} of group {np.nanargmax(off)} in eta {low} to {low + 1}"


def test_slopes_point_to_the_data_from_far_out(case):
    """Far below all outcomes a larger eta is never worse, far above a smaller one (or it no longer matters)."""
    for own in own_values(case):
        response, _ = case.make(np.random.default_rng(7), own)
        n = response.values.shape[1]
        low, high = (case.slopes(response.values, np.full(n, eta), own)[1] for eta in (-30.0, 30.0))
        assert np.all(low > -1e-6) and np.all(high < 1e-6)
        if case.support in ("real", "positive", "share") and case.note in ("", "interval"):
            decided = slice(None) if not case.note else response.values[0] != 2.0  # not left-censored
            assert np.all(low[decided] > 0.1) and np.all(high < -0.1)


def log_ratio(link, x):
    """f(x) / F(x) of a link by formulas that keep all digits in the lower tail."""
    if link == "logit":
        return special.expit(-x)
    if link == "probit":
        return np.sqrt(2.0 / np.pi) / special.erfcx(-x / np.sqrt(2.0))
    return np.exp(x) / np.expm1(np.exp(x)) if x < 6.0 else 0.0


@pytest.mark.parametrize("eta", [-30.0, -12.0, -3.0, 0.0, 3.0, 12.0, 30.0])
def test_one_success_has_the_slope_of_log_f(cases, eta):
    for case in (c for c in cases if c.name == "bernoulli"):
        got = case.slopes(np.ones((1, 1)), np.array([eta]), np.array([]))[:, 0]
        value = {
            "logit": -np.logaddexp(0.0, -eta),
            "probit": special.log_ndtr(eta),
            "cloglog": np.log(-np.expm1(-np.exp(eta))),
        }[case.link]
        assert got[:2] == pytest.approx([value, log_ratio(case.link, eta)], rel=1e-11, abs=1e-300)


@pytest.mark.parametrize("eta", [-36.0, -20.0, -8.0, 0.0, 8.0, 20.0, 36.0])
def test_middle_categories_keep_their_digits(cases, eta):
    """log(F(b) - F(a)) where both are nearly 0 or nearly 1, by formulas in which nothing cancels."""
    cuts = np.array([-0.5, 0.6])
    low, high = cuts - eta
    ordinal = {c.link: c for c in cases if c.name == "ordinal"}
    got = {k: c.slopes(np.ones((1, 1)), np.array([eta]), cuts)[:, 0] for k, c in ordinal.items()}
    # logit: F(b) - F(a) = (1 - exp(a - b)) F(b) (1 - F(a))
    assert got["logit"][0] == pytest.approx(
        np.log(-np.expm1(low - high)) - np.logaddexp(0, -high) - np.logaddexp(0, low), rel=1e-13
    )
    assert got["logit"][1] == pytest.approx(special.expit(low) - special.expit(-high), abs=1e-13)
    spread = special.expit(low) * special.expit(-low) + special.expit(high) * special.expit(-high)
    assert got["logit"][2] == pytest.approx(-spread, abs=1e-12)
    # probit: in the lower tail, or the same mirrored
    a, b = (low, high) if low + high < 0 else (-high, -low)
    large, small = special.log_ndtr(b), special.log_ndtr(a)
    assert got["probit"][0] == pytest.approx(large + np.log(-np.expm1(small - large)), rel=1e-12)
    # cloglog: exp(-exp(a)) - exp(-exp(b))
    gap = np.exp(low) * np.expm1(high - low)
    assert got["cloglog"][0] == pytest.approx(-np.exp(low) + np.log(-np.expm1(-gap)), rel=1e-12)
    assert all(x[2] < 0.0 for x in got.values())


@pytest.mark.parametrize("z", [-30.0, -12.0, -3.0, 3.0, 12.0, 30.0])
def test_intervals_of_a_lognormal_keep_their_digits(cases, z):
    case = next(c for c in cases if c.name == "lognormal" and c.note == "interval")
    values = np.array([[3.0], [0.0], [0.25], [-np.inf]])
    own = np.array([0.5])
    got = case.slopes(values, np.array([-0.5 * z]), own)
    low, high = (z, z + 0.5) if z < 0 else (-z - 0.5, -z)
    large, small = special.log_ndtr(high), special.log_ndtr(low)
    value = large + np.log(-np.expm1(small - large))
    assert_near(got[:1], [[value]], 1e-12)
    chance = np.exp(stats.norm.logpdf([z, z + 0.5]) - value)
    assert got[1, 0] == pytest.approx((chance[0] - chance[1]) / 0.5, rel=1e-10)
    assert got[2] < 0.0


@pytest.mark.parametrize("z", [-300.0, -30.0, -3.0, 3.0, 30.0, 300.0])
def test_intervals_of_a_weibull_keep_their_digits(cases, z):
    """log(S(z) - S(z + b)) = -e^z + log(1 - exp(-e^z (e^b - 1))), with exact derivatives of each part."""
    case = next(c for c in cases if c.name == "weibull" and c.note == "interval")
    b, shape = 0.75, 2.5
    values = np.array([[3.0], [0.0], [b / shape], [-np.inf]])
    got = case.slopes(values, np.array([-z / shape]), np.array([shape]))[:, 0]
    t, log_gap = np.exp(z), z + np.log(np.expm1(b))
    gap = np.exp(log_gap)
    ratio = gap / np.expm1(gap) if gap < 700 else 0.0  # slope of log(1 - exp(-gap)) in z
    curve = ratio * (1.0 - gap - ratio) if gap > 1e-6 else -0.5 * gap
    value = -t + (np.log(-np.expm1(-gap)) if gap > 1e-300 else log_gap)
    assert got[0] == pytest.approx(value, rel=1e-12)
    assert got[1] == pytest.approx(-shape * (ratio - t), rel=1e-10)
    assert got[2] == pytest.approx(shape**2 * (curve - t), rel=1e-8, abs=1e-14)


def test_an_interval_without_end_has_finite_slopes(cases):
    for case in (c for c in cases if c.note == "interval"):
        own = np.array(case.own[0])
        values = case.family.read(case.raw([0.5, 1.0, 2.0], [0.5, 3.0, np.inf])).values
        assert np.isfinite(case.slopes(values, np.array([0.1, 0.2, 0.3]), own)).all()
