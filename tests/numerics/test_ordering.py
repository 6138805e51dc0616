"""Minimum degree: always an order, with little fill on patterns where that is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from micromacro.numerics import ordering
from micromacro.numerics.ordering import minimum_degree
from micromacro.numerics.supernodes import _column_structures
from micromacro.numerics.symbolic import _upper, elimination_tree


def cliques(*groups) -> sparse.csc_matrix:
    """The pattern in which the members of each group are connected."""
    rows = np.repeat(np.arange(len(groups)), [len(g) for g in groups])
    a = sparse.csr_matrix((np.ones(len(rows)), (rows, np.concatenate(groups))))
    return connected(a)


def connected(a) -> sparse.csc_matrix:
    out = sparse.csc_matrix(a.T @ a)
    out.sort_indices()
    return out


def network(papers: int, authors: int) -> sparse.csc_matrix:
    """Papers and authors whose productivity follows a power law."""
    rng = np.random.default_rng(0)
    n = 1 + rng.poisson(2, papers)
    paper, p = np.repeat(np.arange(papers), n), np.arange(1, authors + 1.0) ** -0.7
    author = rng.choice(authors, len(paper), p=p / p.sum())
    author = np.unique(author, return_inverse=True)[1]
    return connected(sparse.csr_matrix((np.ones(len(paper)), (paper, author))))


def grid(side: int, reach: int = 1) -> sparse.csc_matrix:
    """A map of places with eight neighbours each."""
    line = sparse.diags([np.ones(side - abs(k)) for k in range(-reach, reach + 1)], list(range(-reach, reach + 1)))
    out = sparse.csc_matrix(sparse.kron(line, line))
    out.sort_indices()
    return out


def triangle(h, order) -> sparse.csc_matrix:
    """The strict upper triangle in an order, plainly."""
    upper = sparse.csc_matrix(sparse.triu(h[order][:, order], k=1))
    upper.sort_indices()
    return upper


def fill(h, order) -> int:
    """Entries of the factor, its diagonal among them."""
    upper = _upper(h, order)
    plain = triangle(h, order)
    np.testing.assert_array_equal(upper.indptr, plain.indptr)
    np.testing.assert_array_equal(upper.indices, plain.indices)
    start, _ = _column_structures(upper.indptr, upper.indices, elimination_tree(upper.indptr, upper.indices))
    return int(start[-1]) + len(order)


STAR = cliques(*[[0, k] for k in range(1, 400)])
#: Pattern and the most entries that its factor may have.
PATTERNS = {
    "nothing": (sparse.csc_matrix((0, 0)), 0),
    "one": (sparse.csc_matrix(np.ones((1, 1))), 1),
    "no connections": (sparse.csc_matrix((7, 7)), 7),
    "diagonal": (sparse.eye(9, format="csc"), 9),
    "dense": (sparse.csc_matrix(np.ones((40, 40))), 820),
    "chain": (cliques(*[[k, k + 1] for k in range(99)]), 199),
    "arrow": (STAR, 2 * 400 - 1),
    "a row that is left for the end": (cliques(*[[0, k, k + 1] for k in range(1, 600, 2)]), 3 * 600),
    "separate cliques": (cliques(*[np.arange(5 * k, 5 * k + 5) for k in range(30)]), 30 * 15),
    "a tree": (cliques(*[[k, (k - 1) // 3] for k in range(1, 364)]), 2 * 364 - 1),
    "papers and authors": (network(5_000, 4_000), 295_000),  # SuiteSparse's AMD has 412,931
    "a map": (grid(60), 95_000),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_it_is_an_order_with_little_fill(name):
    h, most = PATTERNS[name]
    order, _ = minimum_degree(h.indptr, h.indices)
    assert sorted(order) == list(range(h.shape[0]))
    assert fill(h, order) <= most if len(order) else most == 0


@pytest.mark.parametrize(("name", "least"), [("a map", 1.0), ("chain", 1.0), ("papers and authors", 0.99)])
def test_squared_lengths_are_counted_and_limited(name, least):
    """They are those of the factor in this order, but for what has very many neighbours; beyond a limit it ends."""
    h = PATTERNS[name][0]
    order, squares = minimum_degree(h.indptr, h.indices)
    upper = _upper(h, order)
    start, _ = _column_structures(upper.indptr, upper.indices, elimination_tree(upper.indptr, upper.indices))
    assert least <= squares / float(np.sum((np.diff(start) + 1.0) ** 2)) <= 1.0
    part, ended = minimum_degree(h.indptr, h.indices, 0.3 * squares)
    assert ended == np.inf and sorted(part) == list(range(h.shape[0]))
    assert minimum_degree(h.indptr, h.indices, squares)[1] == squares


@pytest.mark.parametrize("seed", range(30))
def test_random_patterns_have_an_order_that_is_always_the_same(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    sizes = rng.integers(1, min(n, 6) + 1, int(rng.integers(1, 80)))
    groups = [rng.choice(n, size, replace=False) for size in sizes]
    h = cliques(*groups, [n - 1])
    first, again = (minimum_degree(h.indptr, h.indices)[0] for _ in range(2))
    assert sorted(first) == list(range(n)) and list(first) == list(again)
    assert fill(h, first) <= fill(h, np.arange(n)) + n  # never much worse than no order at all


@pytest.mark.parametrize("name", ["papers and authors", "a map"])
def test_little_room_for_lists_gives_the_same_order(monkeypatch, name):
    """Gaps are closed again and again; much room never needs that."""
    h, orders = PATTERNS[name][0], []
    for spare in (1, 100):
        monkeypatch.setattr(ordering, "SPARE", spare)
        orders.append(minimum_degree(h.indptr, h.indices)[0])
    np.testing.assert_array_equal(*orders)
