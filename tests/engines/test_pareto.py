"""Smoothed weights where the tail has a shape, and where it has none."""

from __future__ import annotations

import numpy as np
import pytest

from micromacro.engines.pareto import pareto_smoothed

RNG = np.random.default_rng(3)


def test_a_known_tail_is_recognised():
    log_weight = 0.5 * RNG.exponential(size=20_000)  # ratios follow a Pareto distribution with k = 0.5
    smooth, k = pareto_smoothed(log_weight)
    assert k == pytest.approx(0.5, abs=0.05)
    assert np.exp(smooth).sum() == pytest.approx(1.0)


def test_equal_weights_stay_equal():
    smooth, k = pareto_smoothed(np.full(50, 3.0))
    assert k == 0.0
    np.testing.assert_allclose(np.exp(smooth), 1 / 50)


@pytest.mark.parametrize("fill", [-2.0, -np.inf])
def test_a_tail_of_one_value_has_no_shape(fill):
    """As where a chain stands still, or one draw was taken many times."""
    log_weight = np.concatenate([np.zeros(40), np.full(40, fill)])
    smooth, k = pareto_smoothed(log_weight)
    assert k == np.inf
    assert np.all(np.isfinite(smooth))
    np.testing.assert_allclose(np.exp(smooth), np.exp(log_weight) / np.exp(log_weight).sum(), atol=1e-12)
