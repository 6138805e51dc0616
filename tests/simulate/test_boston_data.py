"""The bundled Boston tracts: counts, standardisation, neighbours, and how the long table is made."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.datasets.boston import COVARIATES


@pytest.fixture(scope="module")
def boston():
    return mm.datasets.boston()


def test_there_are_506_tracts_and_2910_pairs_of_neighbours(boston):
    assert boston.tracts.shape[0] == boston.tracts["tract"].nunique() == 506
    assert boston.neighbours.shape[0] == boston.data.shape[0] == 2910
    assert "506 tracts, 2910 pairs" in repr(boston)


def test_neighbours_are_mutual_and_never_oneself(boston):
    pairs = set(zip(boston.neighbours["tract"], boston.neighbours["neighbour"], strict=True))
    assert len(pairs) == 2910
    assert all((b, a) in pairs for a, b in pairs)
    assert all(a != b for a, b in pairs)
    assert {a for a, _ in pairs} == set(boston.tracts["tract"])


def test_covariates_are_standardised_over_the_tracts(boston):
    table = boston.tracts[list(COVARIATES)]
    assert table.mean().to_numpy() == pytest.approx(np.zeros(6), abs=1e-8)
    assert table.std().to_numpy() == pytest.approx(np.ones(6), abs=1e-8)
    assert np.log(boston.tracts["value"]).to_numpy() == pytest.approx(boston.tracts["log_value"].to_numpy(), abs=1e-6)


def test_the_long_table_holds_both_tracts_own_covariates(boston):
    tracts = boston.tracts.set_index("tract")
    for c in (*COVARIATES, "log_value"):
        assert np.array_equal(boston.data[c], tracts.loc[boston.data["tract"], c])
    for c in COVARIATES:
        assert np.array_equal(boston.data[f"{c}_nb"], tracts.loc[boston.data["neighbour"], c])


def test_dissimilarity_is_the_mean_absolute_difference_over_the_six_covariates(boston):
    tracts = boston.tracts.set_index("tract")[list(COVARIATES)]
    a, b = (tracts.loc[boston.data[k]].to_numpy() for k in ("tract", "neighbour"))
    assert boston.data["dissimilarity"].to_numpy() == pytest.approx(np.abs(a - b).mean(axis=1))


def test_a_fresh_copy_is_given_each_time(boston):
    boston.data.loc[0, "log_value"] += 0.0
    other = mm.datasets.boston()
    other.data["log_value"] = 0.0
    assert not np.array_equal(mm.datasets.boston().data["log_value"], other.data["log_value"])


def test_the_tables_are_those_of_the_reference_data(boston, shared):
    for ours, name in ((boston.tracts, "boston_tracts"), (boston.neighbours, "boston_neighbours")):
        pd.testing.assert_frame_equal(ours, pd.read_csv(shared / "data" / f"{name}.csv"))


def test_relational_and_long_tables_give_the_same_fit(boston):
    edges = boston.data[["tract", "neighbour", "nox_nb", "dissimilarity"]]
    formula = "log_value ~ nox + mm(neighbour, tract, nox_nb, weights = exp(-(b1 * dissimilarity)), normalize = group)"
    long = mm.fit(formula, boston.data, engine="ml")
    relational = mm.fit(formula, boston.tracts, memberships=edges, engine="ml")
    assert relational.params.equals(long.params)
    assert relational.loglik == long.loglik
