"""The dense oracle, small data, and fits that several tests of engines and results share."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import pytest

import micromacro as mm


def load(name):
    """A module of helpers beside this file (the tests are not a package)."""
    spec = importlib.util.spec_from_file_location(f"engines_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def dense():
    return load("dense")


@pytest.fixture(scope="session")
def quadrature():
    return load("quadrature")


@pytest.fixture(scope="session")
def outcomes():
    return load("outcomes")


@pytest.fixture(scope="session")
def quick():
    """A fit whose warnings (short runs, REML of weights) are of no interest to the test."""

    def fit(formula, data, engine="mcmc", **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mm.MicromacroWarning)
            return mm.fit(formula, data, engine=engine, progress=False, **options)

    return fit


@pytest.fixture(scope="session")
def data(dense):
    return dense.make_data()
