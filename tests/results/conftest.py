"""The fits that the tests of results look at, and the dense oracle beside them."""

from __future__ import annotations

import importlib.util
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

os.environ["MPLBACKEND"] = "Agg"  # pictures need no display


@pytest.fixture(scope="session")
def dense():
    """The dense oracle of the engines' tests (the tests are not a package)."""
    path = Path(__file__).parents[1] / "engines" / "dense.py"
    spec = importlib.util.spec_from_file_location("results_dense", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def quick():
    """A fit whose warnings are of no interest to the test."""

    def fit(formula, data, engine="ml", **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mm.MicromacroWarning)
            return mm.fit(formula, data, engine=engine, progress=False, **options)

    return fit


@pytest.fixture(scope="session")
def data(dense):
    return dense.make_data(rule="total")


@pytest.fixture(scope="session")
def oracle(dense, data):
    return dense.Dense(data, "total")


@pytest.fixture(scope="session")
def ml(dense, data, quick):
    return quick(dense.FORMULA.format(rule="total"), data)


@pytest.fixture(scope="session")
def reml(dense, data, quick):
    return quick(dense.FORMULA.format(rule="total"), data, "reml")


@pytest.fixture(scope="session")
def mcmc(dense, data, quick):
    return quick(
        dense.FORMULA.format(rule="total"), data, "mcmc", draws=400, tune=300, chains=4, random_seed=4
    )  # fmt: skip


@pytest.fixture(scope="session")
def two_blocks(quick):
    """Two member blocks: heads with estimated weights, aides with equal ones and text ids."""
    rng = np.random.default_rng(8)
    rows = [(g, h, rng.integers(0, 9)) for g in range(60) for h in rng.choice(10, 3, replace=False)]
    frame = pd.DataFrame(rows, columns=["group", "head", "aide"])
    frame["s"] = rng.standard_normal(len(frame))
    u, v = rng.standard_normal(10), 0.7 * rng.standard_normal(9)
    w = np.exp(frame["s"])
    w /= w.groupby(frame["group"]).transform("sum")
    y = np.bincount(frame["group"], w * u[frame["head"]] + v[frame["aide"]] / 3) + 0.4 * rng.standard_normal(60)
    frame["y"] = y[frame["group"]]
    frame["aide"] = [f"<{i}>" for i in frame["aide"]]
    formula = (
        "y ~ 1 + mm(head, group, weights = exp(b1 * s), normalize = group) + mm(aide, group, weights = 1/n, "
        "normalize = group)"
    )
    return {engine: quick(formula, frame, engine, draws=120, tune=120, chains=2, random_seed=3)
            for engine in ("ml", "mcmc")}  # fmt: skip
