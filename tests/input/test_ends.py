"""Ends of intervals: a missing upper end is infinity, a missing lower end is 0, both missing is a missing value."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

FORMULA = 'surv(lo, up, type="interval") ~ x'


@pytest.fixture(scope="module")
def ends():
    """Intervals written in full, and with the ends that are no ends missing."""
    rng = np.random.default_rng(4)
    time, x = rng.exponential(5, 90), rng.normal(size=90)
    lo, up = np.floor(time), np.floor(time) + 1
    up[time > 6], lo[time > 6] = np.inf, 6
    full = pd.DataFrame({"lo": lo, "up": up, "x": x, "g": np.arange(90), "m": np.arange(90) % 9})
    bare = full.assign(up=full["up"].replace(np.inf, np.nan), lo=full["lo"].replace(0.0, np.nan))
    return full, bare


@pytest.mark.parametrize("family", ["exponential", "weibull", "lognormal"])
@pytest.mark.parametrize("missing", ["error", "drop"])
def test_a_missing_end_is_no_end(ends, family, missing):
    one, other = (mm.fit(FORMULA, d, family=family, engine="ml", missing=missing) for d in ends)
    assert one.loglik == other.loglik
    np.testing.assert_array_equal(one.params, other.params)


@pytest.mark.parametrize(
    "as_table",
    [
        lambda d: {k: v.to_numpy() for k, v in d.items()},
        lambda d: {k: [None if np.isnan(i) else i for i in v] for k, v in d.items()},
        lambda d: pytest.importorskip("polars").from_pandas(d),
        lambda d: d.convert_dtypes(),
        lambda d: d.sample(frac=1.0, random_state=1),
    ],
    ids=["arrays", "lists", "polars", "nullable", "another order"],
)
def test_in_every_kind_of_table(ends, as_table):
    full, bare = ends
    expected = mm.fit(FORMULA, full, family="exponential", engine="ml").loglik
    assert mm.fit(FORMULA, as_table(bare), family="exponential", engine="ml").loglik == pytest.approx(
        expected, abs=1e-9
    )


def test_in_long_and_relational_data_and_in_expressions(ends):
    full, bare = ends
    formula = 'surv(lo / 2, up / 2, type="interval") ~ x + mm(m, g)'
    twice = lambda d: pd.concat([d, d.assign(m=(d["m"] + 1) % 9)])  # noqa: E731
    expected = mm.fit(formula, twice(full), family="exponential", engine="ml").loglik
    assert mm.fit(formula, twice(bare), family="exponential", engine="ml").loglik == expected
    groups, edges = bare.drop(columns="m"), twice(bare)[["g", "m"]]
    assert mm.fit(formula, groups, memberships=edges, family="exponential", engine="ml").loglik == expected


def test_both_missing_is_a_missing_value(ends):
    _, bare = ends
    gone = bare.assign(lo=bare["lo"].mask(bare["g"] < 5), up=bare["up"].mask(bare["g"] < 5))
    with pytest.raises(mm.DataError, match=r"'lo' of data is missing in 5 rows \(first: 0, 1, 2, 3, 4\)"):
        mm.Model(FORMULA, gone, family="exponential")
    with pytest.warns(mm.MicromacroWarning, match="dropped 5 of 90 rows"):
        fit = mm.fit(FORMULA, gone, family="exponential", engine="ml", missing="drop")
    assert fit.loglik == mm.fit(FORMULA, bare[5:], family="exponential", engine="ml").loglik
