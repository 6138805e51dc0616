"""Conjugate gradients and Lanczos quadrature against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest

from micromacro.numerics.krylov import conjugate_gradients, log_quadratures
from micromacro.numerics.traces import random_signs


def matrix(n: int = 30, seed: int = 0) -> np.ndarray:
    r = np.random.default_rng(seed)
    a = r.standard_normal((2 * n, n)) * np.exp(r.standard_normal(n))
    return a.T @ a / n + np.eye(n)


def times(h: np.ndarray):
    def product(x: np.ndarray, out: np.ndarray) -> np.ndarray:
        out[:] = h @ x
        return (x * out).sum(axis=0)

    return product


def test_several_right_hand_sides_are_solved_each_to_its_own_tolerance():
    """One of them is zero, one is an eigenvector, which takes one iteration, and one is begun at its solution."""
    h = matrix()
    inverse = np.ones(len(h))
    b = np.random.default_rng(1).standard_normal((len(h), 5))
    b[:, 1], b[:, 2] = 0.0, np.linalg.eigh(h)[1][:, 0]
    start = np.zeros_like(b)
    start[:, 3] = np.linalg.solve(h, b[:, 3])
    out = conjugate_gradients(times(h), inverse, b, start, 1e-11)
    assert out.converged and out.positive and out.length[1] == 0 and out.length[2] == 1 and out.length[3] <= 1
    np.testing.assert_allclose(out.x, np.linalg.solve(h, b), rtol=1e-8, atol=1e-8)


def test_a_matrix_that_is_not_positive_definite_is_seen():
    h = matrix()
    h[4, 4] -= 1.5 * h[4, 4]
    b = np.random.default_rng(2).standard_normal((len(h), 2))
    assert not conjugate_gradients(times(h), np.ones(len(h)), b).positive


def test_quadratures_are_exact_once_all_is_solved():
    """z'log(P^-1/2 H P^-1/2)z, and the first two powers, with a diagonal P."""
    h = matrix()
    p = np.diag(h)
    z = np.sign(np.random.default_rng(3).standard_normal((len(h), 4)))
    found = conjugate_gradients(times(h), 1.0 / p, np.sqrt(p)[:, None] * z, None, 1e-13)
    scaled = h / np.sqrt(np.outer(p, p))
    values, vectors = np.linalg.eigh(scaled)
    logs = (vectors * np.log(values)) @ vectors.T
    away = scaled - np.eye(len(h))
    expected = [[one @ m @ one for one in z.T] for m in (logs, away, away @ away)]
    np.testing.assert_allclose(log_quadratures(found) * len(h), expected, rtol=1e-8, atol=1e-8)


def test_signs_belong_to_keys():
    """Whatever the order of the keys, and however many probes there are; half of them are positive."""
    keys = np.random.default_rng(4).integers(0, 2**63, 4_000).astype(np.uint64)
    signs = np.empty((len(keys), 20), dtype=np.int8)
    random_signs(keys, 0, signs)
    some = np.empty((3, 4), dtype=np.int8)
    random_signs(keys[[7, 100, 3]], 5, some)
    np.testing.assert_array_equal(some, signs[[7, 100, 3], 5:9])
    assert np.abs(signs.mean(axis=0)).max() < 4.0 / np.sqrt(len(keys))
    correlation = signs.T.astype(float) @ signs / len(keys)
    assert np.abs(correlation - np.eye(20)).max() == pytest.approx(0.0, abs=5.0 / np.sqrt(len(keys)))
