"""Central differences against derivatives that are known."""

from __future__ import annotations

import numpy as np
import pytest

from micromacro.numerics.differences import central, relative_step, slopes


def test_a_cubic_has_its_derivative_and_the_known_error():
    """(f(x + h) - f(x - h)) / 2h of x^3 is 3 x^2 + h^2 exactly."""
    assert central(lambda h: (2.0 + h) ** 3, 0.125) == 12.0 + 0.125**2


def test_the_first_side_is_not_overwritten_by_the_second_where_it_is_a_copy():
    room = np.zeros(2)

    def along(h):
        room[:] = (1.0 + h, 3.0 * h)
        return room.copy()

    assert central(along, 0.5).tolist() == [1.0, 3.0]


def test_slopes_move_one_entry_at_a_time():
    at, matrix = np.array([1.0, -2.0, 0.5]), np.arange(6.0).reshape(2, 3)
    seen = []

    def function(x):
        seen.append(x.copy())
        return matrix @ x

    out = slopes(function, at, np.array([0.5, 0.25, 1.0]), [2, 0])
    np.testing.assert_allclose(out, [[0.0, 0.0, 2.0], [3.0, 0.0, 5.0]])
    assert [s.tolist() for s in seen] == [[1.0, -2.0, 1.5], [1.0, -2.0, -0.5], [1.5, -2.0, 0.5], [0.5, -2.0, 0.5]]
    assert at.tolist() == [1.0, -2.0, 0.5]


@pytest.mark.parametrize("at", [np.zeros(0), np.ones(2)])
def test_nothing_that_moves_has_slopes_of_zero(at):
    out = slopes(lambda _: np.ones(3), at, np.ones(len(at)), [])
    assert out.shape == (3, len(at))
    assert not out.any()


def test_steps_are_relative_but_not_to_zero():
    assert relative_step(-3.0, 1e-5) == 1e-5 * 3.0
    assert relative_step(0.0, 1e-5) == 1e-5 * 1e-2
