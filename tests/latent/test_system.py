"""The latent system of many models against matrices built by hand from the raw columns."""

from __future__ import annotations

import numpy as np
import pytest


def dense_rows(system, room) -> np.ndarray:
    """A (groups, size) in natural order from the work space."""
    s = system.symbolic
    out = np.zeros((system.groups, system.size))
    out[np.repeat(np.arange(system.groups), np.diff(s.row_start)), s.order[s.columns]] = room.values
    return out


def test_the_rows_and_the_offset_are_those_of_the_model(case):
    system, room = case.system, case.system.workspace()
    for theta in (case.theta, 0.5 * case.theta, case.theta):  # the work space keeps nothing of the last theta
        assert system.fill(theta, room)
        offset, X, Z = case.dense(theta)
        np.testing.assert_allclose(dense_rows(system, room), np.hstack([Z, X]), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(room.offset, offset, rtol=1e-12, atol=1e-14)


def test_pulling_chains_any_slope_back_to_theta(case, rng):
    system, room = case.system, case.system.workspace()
    system.fill(case.theta, room)
    room.slope[:], room.d_offset[:] = rng.standard_normal(len(room.slope)), rng.standard_normal(system.groups)
    slope = dense_rows(system, _with_values(room, room.slope))
    got = system.pull(case.theta, room)
    for k, value in enumerate(got):
        theta = case.theta.astype(complex)
        theta[k] += 1e-30j
        offset, X, Z = case.dense(theta)
        expected = (np.sum(slope * np.hstack([Z, X])) + room.d_offset @ offset).imag / 1e-30
        assert value == pytest.approx(expected, rel=1e-10, abs=1e-12)


def _with_values(room, values):
    room.values[:] = values
    return room


def test_theta_lists_the_parts_parameters_then_the_familys(case):
    names = [p.name for p in case.system.hypers]
    assert names[-1] == "sigma"
    assert case.system.places.family.start == len(names) - 1
    slices = [case.system.places.theta(k) for k in range(len(case.system.parts))]
    assert [i for s in slices for i in range(s.start, s.stop)] == list(range(len(names) - 1))
    assert all(tuple(case.system.hypers[s]) == p.hypers for s, p in zip(slices, case.system.parts, strict=True))


def test_natural_order_undoes_the_elimination_order(case, rng):
    system = case.system
    x = rng.standard_normal((3, system.size))
    np.testing.assert_array_equal(system.natural_order(x)[:, system.symbolic.order], x)
    assert set(system.symbolic.order[: system.n_effects]) == set(range(system.n_effects))


def test_prior_of_the_coefficients_stands_in_its_place(case):
    system = case.system
    mean, precision = case.prior
    np.testing.assert_array_equal(system.natural_order(system.center), np.r_[np.zeros(system.n_effects), mean])
    np.testing.assert_array_equal(system.d_value, np.r_[np.ones(system.n_effects), precision])
    assert system.flat == np.count_nonzero(precision == 0)


def test_linear_predictor_is_rows_times_mean_plus_offset(case, rng):
    system, room = case.system, case.system.workspace(gradient=False)
    system.fill(case.theta, room)
    room.mean[:] = rng.standard_normal(system.size)
    offset, X, Z = case.dense(case.theta)
    expected = np.hstack([Z, X]) @ system.natural_order(room.mean) + offset
    x = system.natural_order(room.mean)
    np.testing.assert_allclose(system.predictor(room, x), expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(system.row_predictor(room, x), expected, rtol=1e-12, atol=1e-13)
