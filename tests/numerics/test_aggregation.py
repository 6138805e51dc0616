"""Raw weights to weights to entries of A and back, against plain NumPy; derivatives by complex steps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micromacro.numerics import aggregation, loadings

RANDOM = settings(max_examples=40, deadline=None, derandomize=True, database=None)
RULES = {"total": aggregation.TOTAL, "group": aggregation.GROUP, "none": aggregation.NONE}
NAN = math.nan


def normalised(raw, d_raw, logarithm, rule, start, fixed=NAN):
    """The kernel's weights, derivatives, constant and verdict."""
    w, d_w, scale = np.full(len(raw), NAN), np.full(d_raw.shape, NAN), np.full(1, NAN)
    filled = int(np.count_nonzero(np.diff(start)))
    good = aggregation.normalise(raw, d_raw, int(logarithm), RULES[rule], start, filled, fixed, w, d_w, scale)
    return w, d_w, float(scale[0]), good


def plain(raw, rule, start, fixed=NAN):
    """Weights from raw weights by the definition; complex numbers pass through."""
    if rule == "none":
        return raw
    if rule == "total":
        return raw * (np.count_nonzero(np.diff(start)) / (raw.sum() or 1.0) if math.isnan(fixed) else fixed)
    return np.concatenate([raw[:0], *(g / g.sum() for g in np.split(raw, start[1:-1]) if len(g))])


@st.composite
def raw_weights(draw):
    """Raw weights or their logarithms, derivatives in two parameters, groups with empty ones among them."""
    sizes = draw(st.lists(st.integers(0, 4), min_size=1, max_size=6))
    start = np.concatenate([[0], np.cumsum(sizes)])
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.uniform(0.1, 3.0, start[-1]), rng.standard_normal((2, start[-1])), start


@pytest.mark.parametrize("fixed", [NAN, 0.7], ids=["own constant", "given constant"])
@pytest.mark.parametrize("logarithm", [False, True], ids=["raw", "logarithms"])
@pytest.mark.parametrize("rule", RULES)
@RANDOM
@given(drawn=raw_weights())
def test_weights_and_their_derivatives_are_those_of_the_definition(rule, logarithm, fixed, drawn):
    raw, d_raw, start = drawn
    w, d_w, _, good = normalised(raw, d_raw, logarithm, rule, start, fixed)
    function = (lambda x: plain(np.exp(x), rule, start, fixed)) if logarithm else lambda x: plain(x, rule, start, fixed)
    assert good
    np.testing.assert_allclose(w, function(raw), rtol=1e-13)
    for d, got in zip(d_raw, d_w, strict=True):
        np.testing.assert_allclose(got, function(raw + 1e-30j * d).imag / 1e-30, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("rule", "sums"), [("total", 4.0), ("group", [1.0, 0.0, 1.0, 1.0, 1.0])])
def test_weights_sum_to_what_the_rule_says_and_an_empty_group_counts_for_nothing(rng, rule, sums):
    start = np.array([0, 2, 2, 3, 7, 10])
    w, d_w, _, _ = normalised(rng.uniform(0.1, 3.0, 10), rng.standard_normal((2, 10)), False, rule, start)
    group = np.repeat(np.arange(5), np.diff(start))
    totals = np.bincount(group, w)
    assert (totals.sum() if rule == "total" else totals) == pytest.approx(sums)
    moved = d_w.sum(axis=1) if rule == "total" else np.array([np.bincount(group, d) for d in d_w])
    np.testing.assert_allclose(moved, 0.0, atol=1e-13)


@pytest.mark.parametrize("shift", [-1e6, -800.0, 800.0, 1e6])
@pytest.mark.parametrize("rule", ["total", "group"])
def test_a_common_shift_of_the_logarithms_changes_nothing_however_large(rng, rule, shift):
    raw, d_raw, start = rng.integers(-8, 8, 9).astype(float), rng.standard_normal((2, 9)), np.array([0, 1, 4, 9])
    here, there = (normalised(r, d_raw, True, rule, start) for r in (raw, raw + shift))
    assert there[3]
    for a, b in zip(here[:2], there[:2], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("logarithm", [False, True], ids=["raw", "logarithms"])
def test_the_constant_of_total_gives_the_same_weights_when_it_is_handed_back(rng, logarithm):
    raw, d_raw, start = rng.uniform(0.1, 3.0, 9), np.zeros((0, 9)), np.array([0, 1, 4, 9])
    w, _, scale, _ = normalised(raw, d_raw, logarithm, "total", start)
    np.testing.assert_allclose(normalised(raw[:4], d_raw[:, :4], logarithm, "total", start[:3], scale)[0], w[:4])


@pytest.mark.parametrize(
    ("rule", "logarithm", "raw", "weights"),
    [
        ("group", True, [-np.inf, 0.0, 3.0], [0.0, 1.0, 1.0]),
        ("total", True, [-np.inf, 0.0, 0.0], [0.0, 1.0, 1.0]),
        ("none", True, [-np.inf, 0.0, 1.0], [0.0, 1.0, np.e]),
        ("group", False, [0.0, 2.0, 1e300], [0.0, 1.0, 1.0]),
        ("none", False, [-1.0, 0.0, 2.0], [-1.0, 0.0, 2.0]),
        ("group", True, [-np.inf, -np.inf, 0.0], None),
        ("group", False, [0.0, 0.0, 1.0], None),
        ("total", False, [0.0, 0.0, 0.0], None),
        ("none", True, [0.0, 0.0, 1e4], None),
        ("group", True, [np.inf, 0.0, 0.0], None),
        ("group", False, [np.nan, 0.0, 1.0], None),
    ],
)
def test_zero_weights_are_ordinary_and_impossible_ones_are_reported(rule, logarithm, raw, weights):
    w, d_w, _, good = normalised(np.array(raw), np.zeros((1, 3)), logarithm, rule, np.array([0, 2, 3]))
    assert good == (weights is not None)
    if good:
        np.testing.assert_allclose(w, weights)
        np.testing.assert_array_equal(d_w, 0.0)


#: Member 1 is listed twice in the first group; the second group is empty.
START, MEMBER, GROUP = np.array([0, 3, 3, 5, 6]), np.array([1, 0, 1, 2, 0, 2]), np.array([0, 0, 0, 2, 2, 3])
CENTER = np.array([0.3, -1.0])
FEATURE_SLOT = np.arange(8).reshape(2, 4)[:, ::-1].copy()
#: Two pieces of each membership go to the entries of its member, which has two.
PIECE = np.repeat(np.arange(6), 2)
PLACES, PIECE_SLOT = np.unique((6 * GROUP + 2 * MEMBER)[PIECE] + np.tile([0, 1], 6), return_inverse=True)


def features(w, x) -> np.ndarray:
    """What the block writes for its covariates, from dense matrices."""
    return ((x @ (np.eye(4)[GROUP].T * w).T) - CENTER[:, None])[:, ::-1].ravel()


def effects(w, load) -> np.ndarray:
    """What the block writes for its effects."""
    out = np.zeros((4, 3, 2))
    for j, (group, member) in enumerate(zip(GROUP, MEMBER, strict=True)):
        out[group, member] += w[j] * load[2 * j : 2 * j + 2]
    return out.ravel()[PLACES]


def test_filling_writes_the_features(rng):
    w, x = rng.uniform(0, 1, 6), rng.standard_normal((2, 6))
    values = np.full(8, NAN)
    for _ in range(2):  # a second time over the first gives the same
        aggregation.fill_features(w, START, x, CENTER, FEATURE_SLOT, values)
        np.testing.assert_allclose(values, features(w, x), rtol=1e-14)


def test_filling_writes_pieces_of_effects_and_sums_a_member_listed_twice(rng):
    w, load, values = rng.uniform(0, 1, 6), rng.standard_normal(12), np.full(len(PLACES), NAN)
    for _ in range(2):
        loadings.fill_pieces(w, PIECE, load, PIECE_SLOT, values)
        np.testing.assert_allclose(values, effects(w, load), rtol=1e-14)


def test_aggregating_sums_weighted_values_in_each_group(rng):
    w, x, out = rng.uniform(0, 1, 6), rng.standard_normal(6), np.full(4, NAN)
    aggregation.aggregate(w, GROUP, x, out)
    np.testing.assert_allclose(out, [w[g == GROUP] @ x[g == GROUP] for g in range(4)], rtol=1e-14)


def test_pulling_pieces_is_the_chain_rule(rng):
    w, load, slope = rng.uniform(0, 1, 6), rng.standard_normal(12), rng.standard_normal(len(PLACES))
    reach, d_load = np.full(6, NAN), np.full(12, NAN)
    loadings.pull_pieces(w, PIECE, load, PIECE_SLOT, slope, reach, d_load)
    np.testing.assert_allclose(reach, [slope @ effects(e, load) for e in np.eye(6)], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(d_load, [slope @ effects(w, e) for e in np.eye(12)], rtol=1e-12, atol=1e-14)


def test_pulling_is_the_chain_rule(rng):
    w, x, d_w = rng.uniform(0, 1, 6), rng.standard_normal((2, 6)), rng.standard_normal((3, 6))
    slope, known, d_offset, out = rng.standard_normal(8), rng.standard_normal(6), rng.standard_normal(4), np.empty(3)
    reach = rng.standard_normal(6)
    aggregation.pull_features(d_w, START, x, FEATURE_SLOT, slope, known, d_offset, reach, out)

    def total(w):
        """What changes with the entries and the offset, to first order."""
        return slope @ features(w, x) + d_offset @ np.bincount(GROUP, w * known, 4) + reach @ w

    np.testing.assert_allclose(out, [total(w + d) - total(w) for d in d_w], rtol=1e-11, atol=1e-12)  # all are linear
