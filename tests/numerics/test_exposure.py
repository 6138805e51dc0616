"""Sums over runs of intervals against the matrix of time at risk, made plainly."""

from __future__ import annotations

import numpy as np
import pytest

from micromacro.families.baseline import at_risk, at_risk_by_event_times
from micromacro.families.runs import runs, runs_by_event_times
from micromacro.numerics.exposure import over_groups, over_intervals

RNG = np.random.default_rng(5)
TIME = np.append(RNG.exponential(2.0, 60).round(1) + 0.1, [0.4, 1.1, 1.1, 6.0])
ENTRY = np.where(RNG.random(64) < 0.5, 0.0, TIME * RNG.random(64))
ENTRY[-4:] = 0.0, 0.4, 0.0, 2.5  # ends and entries on a cut point
EVENT = (RNG.random(64) < 0.6).astype(float)
CUTS = {"cuts": np.array([0.4, 1.1, 2.5]), "none": np.empty(0), "late": np.array([50.0, 60.0])}


@pytest.fixture(params=[*CUTS, "event times"])
def made(request):
    """The runs, and the matrix of time at risk and of events with a row for each pair."""
    if request.param == "event times":
        ends = np.unique(TIME[EVENT == 1.0])
        return (
            runs_by_event_times(EVENT, TIME, ENTRY, ends),
            at_risk_by_event_times(EVENT, TIME, ENTRY, ends),
            len(ends),
        )
    cuts = CUTS[request.param]
    return runs(EVENT, TIME, ENTRY, cuts), at_risk(EVENT, TIME, ENTRY, cuts), len(cuts) + 1


def test_products_with_the_time_at_risk(made):
    risk, plain, count = made
    matrix = np.zeros((len(TIME), count))
    np.add.at(matrix, (plain.group, plain.interval), plain.exposure)
    u, v = RNG.standard_normal(len(TIME)), RNG.standard_normal(count)
    out = np.empty(len(TIME))
    over_intervals(risk.exposure, v, np.empty(count + 1), out)
    np.testing.assert_allclose(out, matrix @ v, rtol=1e-11, atol=1e-11)
    out = np.empty(count)
    over_groups(risk.exposure, u, out)
    np.testing.assert_allclose(out, matrix.T @ u, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(risk.events(1.0 + 0.0 * u), plain.sums(plain.event, count), rtol=0)


def test_sums_of_intervals_that_all_are_at_risk_in_lose_no_digits():
    """Those who leave are added from the end, never taken from a total."""
    time = np.array([1.0, 2.0, 3.0])
    risk = runs_by_event_times(np.ones(3), time, np.zeros(3), time)
    assert risk.time(np.array([1e20, 1.0, 1e-20])).tolist() == [1e20, 1.0, 1e-20]
