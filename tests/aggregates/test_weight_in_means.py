"""``w`` inside ``E()`` is the normalised weight of the member; a column of that name stands between backticks there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    rows = [(g, m) for g in range(40) for m in rng.choice(12, rng.integers(2, 6), replace=False)]
    long = pd.DataFrame(rows, columns=["g", "m"])
    long["x"], long["w"], long["z"] = rng.standard_normal((3, len(long)))
    return long.assign(y=rng.standard_normal(40)[long["g"]])


def feature(data, aggregate, weights="exp(b * z)"):
    """The column of a feature (groups,) at b = 0.4, before it is centred, and its derivative in b."""
    text = f"y ~ 0 + mm(m, g, weights = {weights}, aggregate = {aggregate}, name = B)"
    part = mm.Model(text, data).specification.members["B"]
    room = part.features.scratch()
    assert part.features.compute(np.array([0.4]), room)
    return room["feature"][0].copy(), room["d_feature"][0, 0].copy(), part


def by_hand(data, values):
    raw = np.exp(0.4 * data["z"])
    w = raw / raw.groupby(data["g"]).transform("sum")
    return (w * values(w)).groupby(data["g"]).sum()


@pytest.mark.parametrize(
    ("aggregate", "values"),
    [
        ("E(w)", lambda d: lambda w: w),
        ("E(w * x)", lambda d: lambda w: w * d["x"]),
        ("E(`w` * w)", lambda d: lambda w: d["w"] * w),
        ("E(`w`)", lambda d: lambda w: d["w"]),
        ("E(log(w)) - E(x)", lambda d: lambda w: np.log(w) - d["x"]),
    ],
)
def test_the_weight_is_the_weight_and_a_column_the_column(data, aggregate, values):
    value, slope, part = feature(data, aggregate)
    np.testing.assert_allclose(value, by_hand(data, values(data)), rtol=1e-12)
    h, room = 1e-6, part.features.scratch()
    ends = []
    for at in (0.4 + h, 0.4 - h):
        part.features.compute(np.array([at]), room)
        ends.append(room["feature"][0].copy())
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * h), rtol=1e-6, atol=1e-8)


def test_the_mean_weight_is_the_concentration(data):
    value, slope, _ = feature(data, "E(w)")
    other, d_other, _ = feature(data, "hhi")
    np.testing.assert_allclose(value, other, rtol=1e-13)
    np.testing.assert_allclose(slope, d_other, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("text", ["E(round(w) * x)", "E(x) * mode(b1 * x)"])
def test_nothing_estimated_stands_in_a_function_that_jumps(data, text):
    with pytest.raises(mm.FormulaError, match="jumps"):
        feature(data, text)


def test_outside_the_mean_there_is_no_weight(data):
    with pytest.raises(mm.FormulaError, match=r"w is the weight of a member: it can only stand inside E\(\)"):
        feature(data.drop(columns="w"), "sum(w * x) + E(x)")
    with pytest.raises(mm.FormulaError, match="there is no column of that name"):
        feature(data.drop(columns="w"), "E(`w` * x)")
    np.testing.assert_allclose(feature(data, "max(w) + 0 * E(x)")[0], data.groupby("g")["w"].max())
