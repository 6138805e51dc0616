"""A short piece of ``benchmarks/fuzz.py``: mutated formulas and odd tables make models or errors of ours, at once."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path

import pytest

import micromacro as mm


def _odd():
    """The module beside this one, whatever way tests are imported."""
    spec = importlib.util.spec_from_file_location("odd_input", Path(__file__).with_name("odd.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


odd = _odd()


def _taken(formula, data) -> bool:
    """Whether a model is made; anything but an error of ours goes through and fails the test."""
    try:
        mm.Model(formula, data)
    except mm.MicromacroError:
        return False
    return True


@pytest.fixture(autouse=True)
def quiet():
    """Remarks on odd input are no matter here; NumPy's warnings are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        yield


@pytest.mark.parametrize("seed", range(4))
def test_mutated_formulas(seed, least_seconds):
    """Each is taken or refused within a CPU second."""
    data, ends = odd.sound_table(), []
    for number in range(400):
        formula = odd.formulas(seed, number)
        assert least_seconds(lambda f=formula: ends.append(_taken(f, data)), 1.0) < 1.0, formula
    assert sum(ends) > 10


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.filterwarnings("ignore::DeprecationWarning:pandas", "ignore::UserWarning:pyarrow")
def test_odd_tables(seed):
    taken = sum(_taken(*odd.odd_table(seed, number)) for number in range(60))
    assert 3 < taken < 60
