r"""A graph cut into regions within regions, and contrasts between them that sum to zero.

Effects s with :math:`\sum_i s_i = 0` have one number less than there are nodes. To leave one node out, so that its
effect is minus the sum of all others', ties it to all of them. Here regions are cut into regions, and each node is the
sum of the deviations of the regions that it lies in, at each level from the mean of the region above; the deviations
:math:`\delta_c` of the parts of one region, of :math:`m_c` nodes each, satisfy :math:`\sum_c m_c \delta_c = 0`, and the
one of them that is left out touches its neighbours alone. So :math:`s = Bx` with a few entries of B in each row.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy import sparse

from .ragged import runs, starts

PART = 40  # nodes that may be tied to each other, where a region is cut no further
BITS = 4  # halvings from one level to the next: a region has 16 parts


@njit(cache=True)
def halved(indptr, indices, depth):
    """Halve the nodes `depth` times, each region by distance from a node at its rim: codes (n,) of `depth` bits."""
    n = len(indptr) - 1
    order = np.arange(n)
    begin, code = np.zeros(2, np.int64), np.zeros(n, np.int64)
    begin[1] = n
    region, queue, seen = np.zeros(n, np.int64), np.empty(n, np.int64), np.zeros(n, np.int64)
    mark = 0
    for _ in range(depth):
        more = np.empty(2 * len(begin) - 1, np.int64)
        for r in range(len(begin) - 1):
            for p in range(begin[r], begin[r + 1]):
                region[order[p]] = r
        for r in range(len(begin) - 1):
            a, b = begin[r], begin[r + 1]
            first = order[a] if b > a else 0
            for _sweep in range(3):  # the last node reached lies at the rim
                mark += 1
                reached = _spread(indptr, indices, region, r, first, queue, seen, mark, 0)
                for p in range(a, b):
                    if seen[order[p]] != mark:
                        reached = _spread(indptr, indices, region, r, order[p], queue, seen, mark, reached)
                if reached:
                    first = queue[reached - 1]
            for p in range(a, b):
                order[p] = queue[p - a]
            more[2 * r] = a
            more[2 * r + 1] = a + (b - a + 1) // 2
        more[-1] = n
        begin = more
    for r in range(len(begin) - 1):
        for p in range(begin[r], begin[r + 1]):
            code[order[p]] = r
    return code


@njit(cache=True)
def _spread(indptr, indices, region, r, first, queue, seen, mark, end):
    """Nodes of a region in the order of their distance from one of them, after the `end` already in the queue."""
    at = end
    queue[end] = first
    seen[first] = mark
    end += 1
    while at < end:
        node = queue[at]
        at += 1
        for p in range(indptr[node], indptr[node + 1]):
            other = indices[p]
            if region[other] == r and seen[other] != mark:
                seen[other] = mark
                queue[end] = other
                end += 1
    return end


def contrasts(adjacency: sparse.csr_array, component: np.ndarray, seen: np.ndarray) -> sparse.csr_array:
    """B (nodes, nodes - components) with columns that sum to zero in each component.

    Parameters
    ----------
    component : (nodes,) int array
    seen : (nodes,) array
        Of the nodes of a region that is cut no further the one with the fewest is left out, the last one of several.
    """
    n, largest = len(component), int(np.bincount(component).max(initial=1))
    depth = 0
    while largest > PART << depth:
        depth += 1
    code = (
        halved(adjacency.indptr.astype(np.int64), adjacency.indices.astype(np.int64), depth) if depth else 0 * component
    )
    key = component << depth | code  # regions never reach over two components
    rows, columns, values, made = [], [], [], 0
    above = component
    for left in [*range(depth - depth % BITS if depth % BITS else depth - BITS, -1, -BITS), None] if depth else [None]:
        below = np.arange(n) if left is None else np.unique(key >> left, return_inverse=True)[1]
        r, c, v, count = _level(above, below, seen if left is None else -np.arange(n))
        rows, columns, values, made = [*rows, r], [*columns, c + made], [*values, v], made + count
        above = below
    shape = (n, made)
    return sparse.csr_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=shape)


def _level(above: np.ndarray, below: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Entries of B for the parts (`below`) of regions (`above`) of the nodes, and how many columns they have."""
    parts, size = int(below.max()) + 1, np.bincount(below).astype(float)
    whole, weight = np.empty(parts, dtype=np.int64), np.zeros(parts)
    whole[below] = above
    np.maximum.at(weight, below, seen)
    order = np.lexsort((-np.arange(parts), weight, whole))
    last = np.full(int(above.max()) + 1, -1)
    start = np.concatenate([[True], whole[order][1:] != whole[order][:-1]])
    last[whole[order[start]]] = order[start]
    free = np.ones(parts, dtype=bool)
    free[last[last >= 0]] = False
    column = np.cumsum(free) - 1
    plain = np.flatnonzero(free[below])
    by_whole = np.argsort(whole, kind="stable")
    by_whole = by_whole[free[by_whole]]  # the parts of each region that have a column
    many = np.bincount(whole[by_whole], minlength=len(last))
    rest = np.flatnonzero(~free[below])
    count = many[above[rest]]
    node = np.repeat(rest, count)
    sibling = by_whole[runs(starts(many)[above[rest]], count)]
    rows = np.concatenate([plain, node])
    columns = np.concatenate([column[below[plain]], column[sibling]])
    values = np.concatenate([np.ones(len(plain)), -size[sibling] / size[below[node]]])
    return rows, columns, values, int(free.sum())
