"""The sparse Cholesky kernels against dense LAPACK, over random and over awkward patterns.

Tolerances are in units of rounding: machine epsilon times size times the condition number of the matrix.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from micromacro.numerics.blocks import factorise_blocks, room_of, selected_inverse_blocks
from micromacro.numerics.cholesky import factorise, log_determinant, selected_inverse, solve_lower, solve_upper

EPS = np.finfo(float).eps
KERNELS = pytest.mark.parametrize("blocks", [False, True], ids=["loops", "blocks"])
PATTERNS = settings(max_examples=40, deadline=None, derandomize=True, database=None)


@st.composite
def patterns(draw):
    """Patterns of A and D, and how many columns are not border; the border may be dense or not."""
    n_rows, size = draw(st.integers(0, 9)), draw(st.integers(1, 11))
    leading = draw(st.sampled_from([0, size]) | st.integers(0, size))
    density = draw(st.sampled_from([0.1, 0.3, 0.6]))
    of_a = draw(arrays(float, (n_rows, size), elements=st.floats(0, 1, width=16))) < density
    if draw(st.booleans()):
        of_a[:, leading:] = True
    of_d = np.zeros((size, size), dtype=bool)
    if draw(st.booleans()):
        of_d = draw(arrays(float, (size, size), elements=st.floats(0, 1, width=16))) < 0.15
    return of_a, of_d, leading, draw(st.integers(0, 2**32 - 1))


def grid(side: int) -> np.ndarray:
    """Edges of a square grid, a row an edge: a pattern with much fill and wide supernodes."""
    place = np.arange(side * side).reshape(side, side)
    edges = np.vstack(
        [np.c_[place[:, :-1].ravel(), place[:, 1:].ravel()], np.c_[place[:-1].ravel(), place[1:].ravel()]]
    )
    out = np.zeros((len(edges), side * side), dtype=bool)
    out[np.arange(len(edges))[:, None], edges] = True
    return out


def memberships(groups: int, members: int, size: int, border: int) -> np.ndarray:
    """Groups of `size` drawn members, with a dense border."""
    rng = np.random.default_rng(5)
    out = np.zeros((groups, members + border), dtype=bool)
    for i in range(groups):
        out[i, rng.choice(members, size, replace=False)] = True
    out[:, members:] = True
    return out


#: Name: pattern of A, size of the leading block.
AWKWARD = {
    "one entry": (np.ones((1, 1), bool), 1),
    "one coefficient": (np.ones((3, 1), bool), 0),
    "no rows": (np.zeros((0, 4), bool), 2),
    "no entries": (np.zeros((3, 4), bool), 4),
    "diagonal": (np.eye(7, dtype=bool), 7),
    "diagonal with border": (np.hstack([np.eye(7, dtype=bool), np.ones((7, 2), bool)]), 7),
    "border that reaches only some": (np.hstack([np.eye(6, dtype=bool), np.eye(6, dtype=bool)[:, ::3]]), 6),
    "border alone": (np.ones((6, 5), bool), 0),
    "border in pieces": (np.kron(np.eye(3, dtype=bool), np.ones((2, 2), bool)), 0),
    "dense": (np.ones((20, 15), bool), 15),
    "chain": (np.eye(60, dtype=bool) | np.eye(60, k=1, dtype=bool), 60),
    "arrow": (np.eye(30, dtype=bool) | (np.arange(30) == 29), 30),
    "two crossed units": (np.hstack([np.eye(5)[np.arange(40) % 5], np.eye(8)[np.arange(40) // 5]]) > 0, 13),
    "grid": (grid(13), 169),
    "grid with border": (np.hstack([grid(9), np.ones((len(grid(9)), 3), bool)]), 81),
    "memberships": (memberships(150, 90, 4, 3), 90),
    "scattered memberships": (memberships(60, 120, 2, 0), 120),
}


def check_all(p, rng, blocks: bool) -> None:
    """Every contract of the kernels on one problem."""
    s, H = p.symbolic, p.H
    panel = p.factor(blocks)
    L = p.dense(panel)
    n, tolerance = s.size, p.rounding(H)
    np.testing.assert_allclose(L @ L.T, H, rtol=0, atol=10 * EPS * n * np.abs(H).max())
    for leading in p.blocks:
        block = H[:leading, :leading]
        expected = np.linalg.slogdet(block)[1] if leading else 0.0
        assert abs(log_determinant(s.layout, panel, leading) - expected) <= n * p.rounding(block)
        check_selected_inverse(p, panel, leading, blocks)
    b = rng.standard_normal(n)
    x = b.copy()
    solve_lower(s.layout, panel, x)
    np.testing.assert_allclose(L @ x, b, atol=tolerance * np.abs(b).max(), rtol=0)
    solve_upper(s.layout, panel, x)
    expected = np.linalg.solve(H, b)
    np.testing.assert_allclose(x, expected, atol=tolerance * np.abs(expected).max(), rtol=0)


def check_selected_inverse(p, panel, leading: int, blocks: bool) -> None:
    """The inverse of the leading block on the pattern of the factor, zero elsewhere; work space is written over."""
    layout, n = p.symbolic.layout, p.symbolic.size
    widest, longest = np.diff(layout.first).max(), np.diff(layout.row_start).max()
    inverse = np.full(len(panel), np.nan)
    y = np.full(int(np.diff(layout.panel_start).max()), np.nan)
    if blocks:
        selected_inverse_blocks(layout, panel, leading, inverse, np.full(room_of(layout), np.nan))
    else:
        selected_inverse(*layout.inverting, panel, leading, inverse, y, np.full(widest * widest + longest, np.nan))
    expected = np.zeros((n, n))
    block = p.H[:leading, :leading]
    expected[:leading, :leading] = np.linalg.inv(block)
    expected = np.where(p.pattern(), expected, 0.0)
    got = p.dense(inverse)
    np.testing.assert_allclose(got, expected, atol=p.rounding(block) * np.abs(expected).max(), rtol=0)
    assert not got[leading:].any()


@KERNELS
@PATTERNS
@given(drawn=patterns())
def test_kernels_agree_with_dense_algebra_on_random_patterns(problem, blocks, drawn):
    of_a, of_d, leading, seed = drawn
    rng = np.random.default_rng(seed)
    check_all(problem(of_a, of_d, leading, rng), rng, blocks)


@KERNELS
@pytest.mark.parametrize("name", AWKWARD)
def test_kernels_agree_with_dense_algebra_on_awkward_patterns(problem, rng, name, blocks):
    of_a, leading = AWKWARD[name]
    check_all(problem(of_a, np.zeros((of_a.shape[1],) * 2, bool), leading, rng), rng, blocks)


@pytest.mark.parametrize("name", ["one group of 300", pytest.param("grid of 1,600", marks=pytest.mark.slow)])
def test_large_patterns_go_through_blocks_and_agree_with_dense_algebra(problem, rng, name):
    """Supernodes wider than one block, split and merged, ordered by minimum degree."""
    of_a, leading = {
        "one group of 300": (np.vstack([np.ones((1, 300), bool), memberships(60, 298, 4, 2)]), 298),
        "grid of 1,600": (np.hstack([grid(40), np.ones((3120, 2), bool)]), 1600),
    }[name]
    p = problem(of_a, np.zeros((of_a.shape[1],) * 2, bool), leading, rng)
    assert p.symbolic.blocked == (name == "one group of 300") and np.diff(p.symbolic.layout.first).max() <= 128
    check_all(p, rng, True)


@PATTERNS
@given(drawn=patterns())
def test_analysis_keeps_the_border_last_and_a_pattern_that_holds_the_matrix(problem, drawn):
    of_a, of_d, leading, seed = drawn
    p = problem(of_a, of_d, leading, np.random.default_rng(seed))
    s = p.symbolic
    assert sorted(s.order[:leading]) == list(range(leading))
    assert sorted(s.order[leading:]) == list(range(leading, s.size))
    assert list(s.order[s.position]) == list(range(s.size))
    if of_a[:, leading:].all() and len(of_a):  # dense, as coefficients are: they keep their own order too
        assert list(s.order[leading:]) == list(range(leading, s.size))
    assert leading in s.layout.first
    assert p.pattern()[np.tril(p.H) != 0].all()
    assert all((np.diff(s.columns[a:b]) > 0).all() for a, b in zip(s.row_start[:-1], s.row_start[1:], strict=True))
    np.testing.assert_allclose(np.tril(p.dense(p.assembled())), np.tril(p.H), rtol=0, atol=20 * EPS * np.abs(p.H).max())


@pytest.mark.parametrize("name", ["one entry", "two crossed units", "grid", "memberships"])
def test_solving_with_unit_vectors_gives_draws_with_covariance_the_inverse(problem, rng, name):
    of_a, leading = AWKWARD[name]
    p = problem(of_a, np.zeros((of_a.shape[1],) * 2, bool), leading, rng)
    panel = p.factor()
    columns = np.eye(p.symbolic.size)
    for z in columns:
        solve_upper(p.symbolic.layout, panel, z)
    expected = np.linalg.inv(p.H)
    np.testing.assert_allclose(columns.T @ columns, expected, atol=p.rounding(p.H) * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("column", [0, 40, 92])
def test_a_matrix_that_is_not_positive_definite_names_the_column(problem, rng, value, column):
    p = problem(AWKWARD["memberships"][0], np.zeros((93, 93), bool), 90, rng)
    panel = p.assembled()
    panel[p.symbolic.layout.diagonal[column]] = value
    again = panel.copy()
    assert factorise(*p.symbolic.layout.factoring, panel, np.empty(93)) == column
    assert factorise_blocks(p.symbolic.layout, again, np.empty(room_of(p.symbolic.layout))) == column


def test_the_factor_stays_sparse_where_little_fill_is_needed(problem, rng):
    of_a, leading = AWKWARD["chain"]
    p = problem(of_a, np.zeros((60, 60), bool), leading, rng)
    assert p.symbolic.panel_size < 60 * 12  # a dense factor would hold 1,830 numbers
