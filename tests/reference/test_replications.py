"""The replications: what is stored agrees with the references and with this version; what is absent is skipped."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

common = importlib.import_module("replications.common")
ALL = importlib.import_module("replications.__main__").ALL
sys.path.remove(str(ROOT))


@pytest.mark.parametrize("name", list(ALL))
def test_what_is_stored_agrees_with_its_reference(name):
    made, table = common.stored(name)
    assert "micromacro" in made
    away = ((table["ours"] - table["reference"]) / table["reference_sd"]).dropna()
    assert (away.abs() < (0.15 if "laplace" in set(table["engine"]) else 1e-2)).all()
    # without a standard deviation of its own, a truth is compared by ours
    drawn = table[table["reference_sd"].isna() & table["reference"].notna() & table["our_sd"].notna()]
    last = drawn["model"].isin(["the last school only", "all players the same"])  # the wrong models
    assert ((drawn["ours"] - drawn["reference"]).abs() < 3.5 * drawn["our_sd"])[~last].all()


def test_boston_gives_what_is_stored(tmp_path):
    rows = ALL["boston"].replicate(tmp_path)
    table = common.stored("boston")[1]
    known = table[table["parameter"] != "log-likelihood"]["ours"]  # which comes with the reference
    np.testing.assert_allclose([r["ours"] for r in rows], known, rtol=2e-4, atol=1e-5)


def test_absent_data_are_skipped_with_a_message(tmp_path, capsys):
    before = (common.STORED / "coalitions.csv").read_text()
    assert common.run("coalitions", ALL["coalitions"].replicate, tmp_path) == 0.0
    assert "skipped, coalgov.csv is not in" in capsys.readouterr().out
    assert (common.STORED / "coalitions.csv").read_text() == before
    assert not list(ROOT.glob("replications/**/coalgov.csv"))
