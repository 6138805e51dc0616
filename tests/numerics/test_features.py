"""Kernels of emergent features against plain loops, central differences and their limits."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from micromacro.numerics import features as f

START = np.array([0, 3, 3, 4, 9], dtype=np.int64)  # the second group has no member, the third one


def softmax_weights(theta, v):
    """Weights exp(theta_0 v_0 + theta_1 v_1), normalised in the group, and their derivatives."""
    w, d = np.empty(v.shape[1]), np.empty((2, v.shape[1]))
    for lo, hi in pairwise(START):
        if hi > lo:
            raw = np.exp(theta @ v[:, lo:hi])
            w[lo:hi] = raw / raw.sum()
            d[:, lo:hi] = w[lo:hi] * (v[:, lo:hi] - (v[:, lo:hi] @ w[lo:hi])[:, None])
    return w, d


def of_one_group(kind, u, a, b, shape):
    """The definition."""
    d = a - u @ a
    if kind == f.SUM:
        return u @ a
    if kind == f.MOMENT:
        return u @ d ** int(shape[0])
    if kind == f.COV:
        return u @ (d * (b - u @ b))
    if kind == f.HHI:
        return u @ u
    if kind == f.EFFN:
        return 1.0 / (u @ u)
    if kind == f.ENTROPY:
        return -(u @ np.log(u))
    if kind == f.THRESHOLD:
        return u @ (1.0 / (1.0 + np.exp(-shape[1] * (a - shape[0]))))
    soft = np.log(u @ np.exp(shape[0] * a)) / shape[0]
    return soft if kind == f.SMAX else np.exp(soft)


def plain(kind, w, x, z, shape):
    """The definition, group by group; zero without a member."""
    runs = pairwise(START)
    return np.array([of_one_group(kind, w[a:b], x[a:b], z[a:b], shape) if b > a else 0.0 for a, b in runs])


CASES = {
    "sum": (f.SUM, [], []),
    "var": (f.MOMENT, [2.0], []),
    "moment 3": (f.MOMENT, [3.0], []),
    "moment 5": (f.MOMENT, [5.0], []),
    "cov": (f.COV, [], []),
    "hhi": (f.HHI, [], []),
    "effn": (f.EFFN, [], []),
    "entropy": (f.ENTROPY, [], []),
    "threshold": (f.THRESHOLD, [0.3, 2.0], [0, 1]),
    "threshold, c held": (f.THRESHOLD, [0.3, 2.0], [1]),
    "smax": (f.SMAX, [0.7], [0]),
    "smax, negative": (f.SMAX, [-4.0], [0]),
    "smax, small": (f.SMAX, [0.02], [0]),
    "smax, sharp": (f.SMAX, [30.0], [0]),
    "gmean": (f.GMEAN, [2.0], [0]),
    "gmean, harmonic": (f.GMEAN, [-1.0], [0]),
}


def run(kind, theta, v, x, z, shape, free):
    w, d_w = softmax_weights(theta, v)
    free = np.array(free, dtype=np.int64)
    value, slope = np.empty((1, 4)), np.empty((1, 2 + len(free), 4))
    f.features(kind, w, d_w, START, x[None], z[None], np.array(shape, dtype=float), free, value, slope)
    return w, value[0], slope[0]


@pytest.fixture
def data():
    rng = np.random.default_rng(4)
    return rng.normal(size=(2, 9)), rng.normal(size=9), rng.normal(size=9)


@pytest.mark.parametrize("case", CASES)
def test_values_are_those_of_the_definition(case, data):
    kind, shape, free = CASES[case]
    w, value, _ = run(kind, np.array([0.5, -0.3]), *data, shape, free)
    np.testing.assert_allclose(value, plain(kind, w, data[1], data[2], shape), rtol=1e-12, atol=1e-14)
    assert value[1] == 0.0


@pytest.mark.parametrize("case", CASES)
def test_derivatives_are_those_of_differences(case, data):
    kind, shape, free = CASES[case]
    theta, shape = np.array([0.5, -0.3]), np.array(shape, dtype=float)
    _, _, slope = run(kind, theta, *data, shape, free)
    for k in range(2 + len(free)):
        sides = []
        for sign in (1.0, -1.0):
            t, s = theta.copy(), shape.copy()
            if k < 2:
                t[k] += sign * 1e-6
            else:
                s[free[k - 2]] += sign * 1e-6
            sides.append(run(kind, t, *data, s, free)[1])
        difference = (sides[0] - sides[1]) / 2e-6
        np.testing.assert_allclose(slope[k], difference, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("kappa", [0.0, 1e-200, 1e-12, -1e-9, 1e-7, 1e-5, -1e-3, 0.05])
def test_the_soft_maximum_keeps_its_digits_near_zero(kappa, data):
    """Against the cumulant expansion in long double: value minus mean, and the slope in kappa."""
    w, value, slope = run(f.SMAX, np.array([0.5, -0.3]), *data, [kappa], [0])
    lo, hi = 4, 9
    u, x = w[lo:hi].astype(np.longdouble), data[1][lo:hi].astype(np.longdouble)
    u = u / u.sum()
    d = x - u @ x
    m = [u @ d**p for p in range(9)]
    c = {2: m[2], 3: m[3], 4: m[4] - 3 * m[2] ** 2, 5: m[5] - 10 * m[3] * m[2]}
    c[6] = m[6] - 15 * m[4] * m[2] - 10 * m[3] ** 2 + 30 * m[2] ** 3
    factorial = {2: 2, 3: 6, 4: 24, 5: 120, 6: 720}
    want = u @ x + sum(c[p] * np.longdouble(kappa) ** (p - 1) / factorial[p] for p in c)
    d_want = sum(c[p] * (p - 1) * np.longdouble(kappa) ** (p - 2) / factorial[p] for p in c)
    assert value[3] == pytest.approx(float(want), rel=1e-13 if abs(kappa) < 0.01 else 1e-7)
    assert slope[2, 3] == pytest.approx(float(d_want), rel=1e-7)


def test_the_soft_maximum_of_members_without_weight():
    """Members far above the others count for nothing if their weights have vanished, and for little if nearly so."""
    x = np.array([-0.5, 0.3, 9.0, 2.0])
    start = np.array([0, 4], dtype=np.int64)
    value = np.empty((1, 1))
    for small, kappa in ((0.0, 300.0), (1e-299, 60.0), (1e-299, 80.0), (1e-299, 300.0), (1e-12, 3.0)):
        w = np.array([0.6, 0.4, small, 0.0])
        f.features(
            f.SMAX, w, np.empty((0, 4)), start, x[None], x[None], np.array([kappa]), np.empty(0, int), value,
            np.empty((1, 0, 1)),
        )  # fmt: skip
        with np.errstate(divide="ignore"):
            want = logsumexp(np.log(w) + kappa * x) / kappa
        assert value[0, 0] == pytest.approx(want, rel=1e-13)


positive = st.floats(0.05, 1.0)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(-3, 3), positive), min_size=1, max_size=6), st.floats(1.0, 400.0))
def test_the_soft_maximum_lies_between_mean_and_extreme_and_reaches_both(members, kappa):
    x, w = (np.array(column) for column in zip(*members, strict=True))
    w = w / w.sum()
    start = np.array([0, len(x)], dtype=np.int64)

    def smax(k):
        value = np.empty((1, 1))
        none = np.empty((1, 0, 1))
        f.features(
            f.SMAX, w, np.empty((0, len(x))), start, x[None], x[None], np.array([k]), np.empty(0, int), value, none
        )
        return value[0, 0]

    assert w @ x - 1e-9 <= smax(kappa) <= x.max() + 1e-9
    assert x.min() - 1e-9 <= smax(-kappa) <= w @ x + 1e-9
    gap = -np.log(w.min()) / 1e6 + 1e-9  # how far the extreme may be, at the smallest weight
    assert smax(1e6) == pytest.approx(x.max(), abs=gap)
    assert smax(-1e6) == pytest.approx(x.min(), abs=gap)
    assert smax(0.0) == pytest.approx(w @ x, abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 30))
def test_equal_weights_have_known_concentration(n):
    w, start = np.full(n, 1.0 / n), np.array([0, n], dtype=np.int64)
    for kind, want in ((f.HHI, 1.0 / n), (f.EFFN, float(n)), (f.ENTROPY, np.log(n))):
        value = np.empty((1, 1))
        x = np.zeros((1, n))
        f.features(kind, w, np.empty((0, n)), start, x, x, np.empty(0), np.empty(0, int), value, np.empty((1, 0, 1)))
        assert value[0, 0] == pytest.approx(want, rel=1e-12, abs=1e-14)


def test_a_weight_of_zero_adds_nothing_to_the_entropy():
    w, start = np.array([0.0, 0.25, 0.75]), np.array([0, 3], dtype=np.int64)
    value, slope = np.empty((1, 1)), np.empty((1, 1, 1))
    d_w = np.array([[0.0, 1.0, -1.0]])
    x = np.zeros((1, 3))
    f.features(f.ENTROPY, w, d_w, start, x, x, np.empty(0), np.empty(0, int), value, slope)
    assert value[0, 0] == pytest.approx(-(0.25 * np.log(0.25) + 0.75 * np.log(0.75)))
    assert slope[0, 0, 0] == pytest.approx(np.log(3.0))
