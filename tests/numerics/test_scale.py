"""Cost grows in proportion to the data where the factor is sparse; ``benchmarks/bench_scale.py`` is the large form."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import micromacro as mm


@pytest.fixture(scope="module")
def bench():
    """The benchmark as a module."""
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "bench_scale.py"
    spec = importlib.util.spec_from_file_location("bench_scale", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_factor_grows_in_proportion(bench):
    """Entries of the factor for each member, from 800 to 8,000 groups on the ring: the ordering follows it."""
    each = []
    for groups in (800, 8_000):
        symbolic = mm.Model(bench.FORMULA, bench.ring(groups)).specification.system.symbolic
        each.append(symbolic.panel_size / (0.4 * groups))
    assert each[1] < 1.15 * each[0]
    assert each[1] < 40


def test_a_ring_of_4000_groups(bench, least_seconds):
    """16,000 memberships: the truth is found in seconds of CPU, tables and errors of effects included."""
    data, found = bench.ring(4_000, text=True), []

    def work():
        fit = mm.fit(bench.FORMULA, data, engine="ml")
        found[:] = fit, fit.random_effects(), fit.weights()

    assert least_seconds(work, 10.0) < 10.0  # about one
    fit, effects, weights = found
    assert len(effects) > 1_590 and len(weights) == 16_000  # a member or two may be in no group
    for name, value in {"Intercept": 1.0, "member.w.x": bench.TRUTH, "member.sd": 1.0, "sigma": 0.5}.items():
        assert abs(fit.params[name] - value) < 4 * fit.bse[name]
    assert np.isfinite(effects["se"]).all()


@pytest.mark.slow
def test_cost_of_an_evaluation_grows_no_faster_than_1_3_times_linearly(bench):
    small, large = bench.seconds_of_one([mm.Model(bench.FORMULA, bench.ring(n)) for n in (5_000, 50_000)])
    assert large / small < 1.3 * 10
