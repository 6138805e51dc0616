"""Outcomes that members who combine make certain are named; those that overlap raise no alarm."""

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

pytestmark = pytest.mark.filterwarnings("ignore::micromacro.errors.MicromacroWarning")


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(2)
    sizes = rng.integers(1, 5, 60)
    data = pd.DataFrame({"g": np.repeat(np.arange(60), sizes)})
    return data.assign(m=rng.integers(0, 200, len(data)), x=rng.normal(size=len(data)))


def separated(table, outcome, combine, family="bernoulli", effects="none"):
    """The parameters of which it is said, by `ml`, that they diverge."""
    by_group = table.groupby("g")["x"].agg(outcome)
    data = table.assign(y=by_group.loc[table["g"]].to_numpy())
    fit = mm.fit(f"y ~ mm(m, g, x, combine = {combine}, effects = {effects})", data, family=family, engine="ml")
    return [note.about for note in fit.health.notes if note.code == "separated"]


@pytest.mark.parametrize(
    ("best", "combine"), [(max, "max"), (min, "min"), (max, "smax(2)"), (min, "smax(-2)")], ids=lambda v: str(v)
)
def test_the_best_or_the_weakest_member_decides(best, combine, table):
    found = separated(table, lambda x: float(best(x) > 0.3), combine)
    assert found == [("Intercept", "m.x")]


@pytest.mark.parametrize(
    "combine", ["max", "min", "smax(2)", "smax(-2)", pytest.param("ces(2)", marks=pytest.mark.slow)]
)
def test_outcomes_that_overlap_raise_no_alarm(combine, table):
    assert not separated(table, lambda x: float(np.sin(7.0 * x.iloc[0]) + 0.5 * x.mean() > 0.0), combine)


def test_what_separates_by_the_best_does_not_by_the_weakest(table):
    assert not separated(table, lambda x: float(max(x) > 0.3), "min")


def test_counts_above_zero_forbid_what_zeros_allow(table):
    assert not separated(table, lambda x: float(max(x) > 0.3) * (1.0 + len(x) % 3), "max", "poisson")
