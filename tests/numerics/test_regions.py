"""Contrasts between regions: columns that sum to zero, of full rank, few to a node; a precision apart from data."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from micromacro.numerics import precision
from micromacro.numerics.factored import Factor
from micromacro.numerics.regions import PART, contrasts


def grid(rows, columns):
    """Edges (low, high) of a grid."""
    at = np.arange(rows * columns).reshape(rows, columns)
    return np.concatenate([at[:, :-1].ravel(), at[:-1].ravel()]), np.concatenate([at[:, 1:].ravel(), at[1:].ravel()])


def adjacency(size, low, high):
    ones = np.ones(2 * len(low))
    return sparse.csr_array((ones, (np.concatenate([low, high]), np.concatenate([high, low]))), shape=(size, size))


def several():
    """A grid, a path, a pair and a grid that is not cut, in one graph of shuffled nodes."""
    pieces, at = [grid(24, 31), (np.arange(99), np.arange(1, 100)), (np.zeros(1, int), np.ones(1, int)), grid(4, 5)], 0
    low, high, component = [], [], []
    for k, (a, b) in enumerate(pieces):
        low, high, size = [*low, a + at], [*high, b + at], int(b.max()) + 1
        component.append(np.full(size, k))
        at += size
    name = np.random.default_rng(1).permutation(at)
    out = np.empty(at, dtype=int)
    out[name] = np.concatenate(component)
    return at, name[np.concatenate(low)], name[np.concatenate(high)], out


def test_contrasts_are_a_basis_of_what_sums_to_zero():
    size, low, high, component = several()
    seen = np.random.default_rng(2).integers(0, 3, size)
    basis = contrasts(adjacency(size, low, high), component, seen)
    assert basis.shape == (size, size - 4)
    sums = np.stack([np.bincount(component, column) for column in basis.toarray().T])
    assert np.abs(sums).max() < 1e-10
    assert np.linalg.matrix_rank(basis.toarray()) == size - 4
    assert np.diff(basis.indptr).mean() < 8 and np.diff(basis.indptr).max() < 4 * PART


def test_the_density_does_not_depend_on_the_basis():
    """log|B'LB| is the pseudo-determinant of L plus log|B'B|."""
    low, high = grid(17, 9)
    weight = np.random.default_rng(3).uniform(0.5, 2.0, len(low))
    laplacian = precision.laplacian(153, low, high, weight)
    basis = contrasts(adjacency(153, low, high), np.zeros(153, dtype=int), np.ones(153))
    lower = sparse.tril(basis.T @ laplacian @ basis).tocoo()
    found = Factor.of(*(c.astype(np.int64) for c in lower.coords), lower.data, 152).log_det
    values = np.linalg.eigvalsh(laplacian.toarray())[1:]
    dense = basis.toarray()
    assert found == pytest.approx(np.log(values).sum() + np.linalg.slogdet(dense.T @ dense)[1], abs=1e-9)


def test_large_regions_have_few_neighbours():
    """What is stored of the factor grows hardly faster than the map."""
    low, high = grid(100, 100)
    basis = contrasts(adjacency(10_000, low, high), np.zeros(10_000, dtype=int), np.ones(10_000))
    lower = sparse.tril(basis.T @ precision.laplacian(10_000, low, high, np.ones(len(low))) @ basis).tocoo()
    made = Factor.of(*(c.astype(np.int64) for c in lower.coords), lower.data, 9_999)
    assert made.symbolic.panel_size < 120 * 10_000


def test_variances_and_quadratic_forms_of_a_factor():
    rng = np.random.default_rng(4)
    low, high = grid(6, 7)
    row, column = precision.graph_pattern(42, low, high)
    degree = np.bincount(low, minlength=42) + np.bincount(high, minlength=42)
    factor = Factor.of(row, column, precision.graph_precision(degree, np.ones(len(low)), 0.9), 42)
    inverse = np.linalg.inv(np.diag(degree) - 0.9 * adjacency(42, low, high).toarray())
    np.testing.assert_allclose(factor.variances(), np.diag(inverse), rtol=1e-12)
    np.testing.assert_allclose(factor.inverse(), inverse[row, column], rtol=1e-10)
    a = sparse.csr_array(rng.standard_normal((5, 42)) * (rng.random((5, 42)) < [[0.1], [0.5], [0.0], [0.03], [1.0]]))
    np.testing.assert_allclose(factor.quadratics(a), np.diag(a @ inverse @ a.T), rtol=1e-10, atol=1e-14)
    assert factor.log_det == pytest.approx(-np.linalg.slogdet(inverse)[1], abs=1e-10)
