"""A short piece of ``benchmarks/fuzz.py``: mutated formulas and odd tables make models or errors of ours, at once."""

from __future__ import annotations

import importlib.util
import sys
import time
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
def test_mutated_formulas(seed):
    data = odd.sound_table()
    mm.Model("y ~ I(a ** 2) + mm(m, h, weights=1/n**b0)", data)  # imports, and compiles
    taken, before = 0, time.process_time()
    for number in range(400):
        taken += _taken(odd.formulas(seed, number), data)
    assert taken > 10
    assert time.process_time() - before < 60  # ten times what it takes; none hangs


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.filterwarnings("ignore::DeprecationWarning:pandas", "ignore::UserWarning:pyarrow")
def test_odd_tables(seed):
    taken = sum(_taken(*odd.odd_table(seed, number)) for number in range(60))
    assert 3 < taken < 60
