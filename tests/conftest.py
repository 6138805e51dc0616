"""What several tests share: the reference data beside the checkout, small data with known truth."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
_spec = importlib.util.spec_from_file_location("cpu", Path(__file__).with_name("cpu.py"))
_cpu = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_cpu)


def pytest_itemcollected(item):
    """Each file stays on one worker, so that what its module fits is fitted once; contracts stay together by kind."""
    if item.get_closest_marker("xdist_group") is None:
        item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data; tests that need it are skipped where it is absent."""
    if not (SHARED / "reference").is_dir():
        pytest.skip(f"no reference data beside the checkout ({SHARED.name}/ is absent)")
    return SHARED


@pytest.fixture(scope="session")
def reference(shared):
    """Reads a stored reference result by name."""
    return lambda name: json.loads((shared / "reference" / f"{name}.json").read_text())


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(20240229)


@pytest.fixture(scope="session")
def least_seconds():
    """(action, bound) to the CPU seconds that the action takes: see ``cpu.py``."""
    return _cpu.least_seconds
