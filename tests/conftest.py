"""What several tests share: the reference data beside the checkout, small data with known truth."""

from __future__ import annotations

import gc
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
_spec = importlib.util.spec_from_file_location("cpu", Path(__file__).with_name("cpu.py"))
_cpu = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_cpu)


#: Begins on one worker while kernels are compiled for the tests of the other: mostly JAX.
FIRST = "tests/families/test_slopes.py"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """The second file of a fresh clone needs few of the kernels that the first one compiles."""
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))


def pytest_collection_finish():
    """Tests, modules and tables stay to the end, so that no collection of garbage need look at them."""
    gc.collect()
    gc.freeze()


#: Contracts of a kind of terms, whose tests are named [contract-kind-...], share the fits of the kind.
BY_KIND = {"by_hand", "renamed", "saved", "sound", "terms_by_families", "verbs"}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Each file stays on one worker, so that what its module fits is fitted once; contracts stay together by kind.

    The groups of xdist 3.8 have no effect under pytest 9.2, which no longer reads the names that xdist gives to tests.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file, _, test = nodeid.partition("::")
            _, _, parts = test.partition("[")
            named = parts.rstrip("]").split("-")
            if len(named) > 1 and "contracts/" in file and Path(file).stem.removeprefix("test_") in BY_KIND:
                return f"kind {named[1]}"
            return file

    if config.getoption("dist") not in ("loadgroup", "loadfile", "loadscope"):
        return None
    config.option.loadscopereorder = False  # files of few tests that take long would come last
    return ByFile(config, log)


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
