"""No warning of NumPy or SciPy reaches a user, whatever processor BLAS believes it runs on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from numpy._core._multiarray_umath import __cpu_features__ as cpu

from . import fits

#: Core types of OpenBLAS, and what a processor must be able to do for each.
CORES = {"Nehalem": "SSE42", "Haswell": "AVX2", "Zen": "AVX2", "SkylakeX": "AVX512_SKX"}


@pytest.mark.parametrize("engine", ["ml", "laplace", "mcmc"])
@pytest.mark.parametrize("name", fits.FITS)
def test_fits_that_touch_infinities_warn_of_nothing_foreign(name, engine):
    assert fits.run(name, engine)


@pytest.mark.parametrize(
    "core", [core if core == "SkylakeX" else pytest.param(core, marks=pytest.mark.slow) for core in CORES]
)
def test_no_kernel_of_blas_brings_a_warning(core):
    if not cpu.get(CORES[core], False):
        pytest.skip(f"this processor cannot run OpenBLAS's kernels for {core}")
    done = subprocess.run(
        [sys.executable, str(Path(fits.__file__)), "ml"], capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "OPENBLAS_CORETYPE": core},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == len(fits.FITS)
