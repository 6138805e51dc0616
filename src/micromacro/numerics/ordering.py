r"""Approximate minimum degree: an order of elimination that leaves little fill.

The pattern of what remains after some eliminations is held as a *quotient graph*. An eliminated variable becomes an
*element*, the clique of the variables that it was connected with; an element whose clique lies within a newer one is
absorbed by that. So nothing grows beyond the pattern that was handed in. A variable i has a list of elements
:math:`E_i`, then one of variables :math:`A_i` to which no element connects it. When p is eliminated, with
:math:`L_p` the variables around it, the degree of each i in :math:`L_p` is bounded by

.. math:: d_i = |A_i \setminus i| + |L_p \setminus i| + \sum_{e \in E_i \setminus p} |L_e \setminus L_p| ,

where all :math:`|L_e \setminus L_p|` come from one pass over the elements of the variables in :math:`L_p`.
Variables with equal lists are merged into one of their common weight; a variable with nothing outside :math:`L_p` is
eliminated together with p; an element without variables outside :math:`L_p` is absorbed although no variable of its
own was eliminated. Variables with very many neighbours are left for the end.

Source: Amestoy, Davis and Duff (1996), "An approximate minimum degree ordering algorithm", SIAM J. Matrix Anal. Appl.
17(4).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from .compiling import INLINED, KERNEL

_VARIABLE, _ELEMENT, _GONE = 0, 1, 2
SPARE = 8  # times the number of variables: room for new lists, before gaps are closed; at least 1
DENSE = 10.0  # times the root of the number of variables: neighbours from which one is left for the end

_kernel = njit(boundscheck=False, **KERNEL)
_inlined = njit(boundscheck=False, **INLINED)


def minimum_degree(start: np.ndarray, neighbours: np.ndarray, most: float = np.inf) -> tuple[np.ndarray, float]:
    """An order of the variables of a symmetric pattern in which elimination leaves little fill.

    The square of the length of a column of the factor is about what its elimination costs. Where the sum of these
    passes `most`, the search for an order ends, and the variables that are left stand in their own order.

    Parameters
    ----------
    start : (n + 1,) int array
        Where the neighbours of each variable begin.
    neighbours : int array
        Both triangles of the pattern; the diagonal may be among them and is passed over.
    most : float, optional

    Returns
    -------
    order : (n,) int array
        The variable that is eliminated k-th. The same pattern has the same order.
    squares : float
        That sum, about (variables with very many neighbours left out); infinite where the search ended early.
    """
    n = len(start) - 1
    row = np.repeat(np.arange(n), np.diff(start))
    beside = neighbours != row
    size = np.bincount(row[beside], minlength=n)
    at = np.cumsum(size) - size
    free = int(size.sum())
    room = np.empty(free + SPARE * n + 16, dtype=np.int64)
    room[:free] = neighbours[beside]
    few = size <= max(16.0, DENSE * np.sqrt(n))
    last = np.flatnonzero(~few)
    order = np.empty(n, dtype=np.int64)
    order[few.sum() :] = last[np.argsort(size[last], kind="stable")]
    nothing = np.full((5, n + 1), -1)
    zeros = np.zeros((2, n), dtype=np.int64)
    graph = _Graph(
        at, size, zeros[0], few.astype(np.int64), size.copy(), np.zeros(n, dtype=np.int8), zeros[1], nothing[0],
        nothing[1], nothing[2], nothing[3], nothing[4], np.arange(n), room,
    )  # fmt: skip
    placed, squares = _eliminate(graph, free, np.empty(n, dtype=np.int64), order, most)
    if squares > most:
        left = few.copy()
        left[order[:placed]] = False
        order[placed : few.sum()] = np.flatnonzero(left)
        squares = np.inf
    return order, squares


class _Graph(NamedTuple):
    """The quotient graph of n variables, a tuple of arrays so that it can be handed to Numba whole."""

    at: np.ndarray  #: (n,) where the lists of a variable or an element begin in `room`
    size: np.ndarray  #: (n,) their length
    elements: np.ndarray  #: (n,) how many of a variable's come first and are elements
    weight: np.ndarray  #: (n,) variables that one stands for; negative in the list that is being made; 0 if it is gone
    degree: np.ndarray  #: (n,) bound of the weight around a variable; weight of an element
    kind: np.ndarray  #: (n,) variable, element or gone
    mark: np.ndarray  #: (n,) stamps
    bucket: np.ndarray  #: variables by the sum over their lists
    head: np.ndarray  #: variables by degree
    after: np.ndarray  #: the next one in the same bucket or of the same degree
    before: np.ndarray  #: the one before
    member: np.ndarray  #: the next of those that are eliminated together
    last: np.ndarray  #: (n,) the last of them
    room: np.ndarray  #: all lists


@_kernel
def _eliminate(graph, free, pivots, order, limit):
    """Fill the front of `order`. Lists take the first `free` places of the room; `pivots` (n,) is work space.

    Returns how much of `order` is filled, and the sum of the squared lengths of columns: beyond `limit` it ends.
    """
    (at, size, elements, weight, degree, kind, _mark, _bucket, head, after, before, member, last, room) = graph
    n, left, squares = len(at), 0, 0.0
    for i in range(n):
        if weight[i] > 0:
            left += 1
            _insert(i, degree[i], head, after, before)
    found, low, stamp = 0, 0, 1
    while left > 0 and squares <= limit:
        while head[low] == -1:
            low += 1
        p = head[low]
        width = weight[p]
        _remove(p, degree[p], head, after, before)
        pivots[found] = p
        found += 1
        left -= weight[p]
        weight[p] = -weight[p]
        most = size[p]
        for k in range(at[p], at[p] + elements[p]):
            most += size[room[k]]
        if free + most > len(room):
            free = _compact(graph, free)
        begin = free
        free, total = _surround(graph, p, free)
        weight[p] = 0
        stamp += n + 1
        _measure(graph, begin, free, stamp)
        for k in range(begin, free):
            i = room[k]
            if _shorten(graph, i, p, stamp):
                left += weight[i]
                total += weight[i]
                width -= weight[i]
                weight[i] = 0
                member[last[p]] = i
                last[p] = last[i]
        for k in range(1, width + 1):
            squares += float(total + k) ** 2
        stamp = _merge_equal(graph, begin, free, stamp + n + 1)
        keep = begin
        for k in range(begin, free):
            i = room[k]
            if weight[i] < 0:
                weight[i] = -weight[i]
                degree[i] = min(degree[i] + total, left) - weight[i]
                _insert(i, degree[i], head, after, before)
                low = min(low, degree[i])
                room[keep] = i
                keep += 1
        kind[p] = _ELEMENT if keep > begin else _GONE
        at[p], size[p], degree[p], elements[p], free = begin, keep - begin, total, 0, keep
    k = 0
    for f in range(found):
        i = pivots[f]
        while i != -1:
            order[k] = i
            k += 1
            i = member[i]
    return k, squares


@_kernel
def _insert(i, degree, head, after, before):
    """Put a variable at the front of the list of its degree."""
    first = head[degree]
    after[i], before[i] = first, -1
    if first != -1:
        before[first] = i
    head[degree] = i


@_kernel
def _remove(i, degree, head, after, before):
    """Take a variable out of the list of its degree."""
    if before[i] == -1:
        head[degree] = after[i]
    else:
        after[before[i]] = after[i]
    if after[i] != -1:
        before[after[i]] = before[i]


@_inlined
def _compact(graph, free):
    """Close the gaps that lists of what is gone have left; returns where free room begins.

    The first entry of each list in use gives its place to the list's own number, negative, so that one pass over the
    room finds the lists in the order in which they stand.
    """
    (at, size, _elements, weight, _degree, kind, _mark, _bucket, _head, _after, _before, _member, _last, room) = graph
    for i in range(len(at)):
        used = kind[i] == _ELEMENT or (kind[i] == _VARIABLE and weight[i] != 0)
        if used and size[i] > 0:
            first = room[at[i]]
            room[at[i]] = -1 - i
            at[i] = first
    k = p = 0
    while p < free:
        i = -1 - room[p]
        p += 1
        if i >= 0:
            room[k] = at[i]
            at[i] = k
            k += 1
            for _ in range(size[i] - 1):
                room[k] = room[p]
                k += 1
                p += 1
    return k


@_inlined
def _surround(graph, p, free):
    """Write the variables around p to free room, their weights made negative; its elements are absorbed.

    Returns the end of the list and the sum of the weights.
    """
    (at, size, elements, weight, degree, kind, _mark, _bucket, head, after, before, _member, _last, room) = graph
    total, middle = 0, at[p] + elements[p]
    for k in range(at[p], middle + 1):
        if k < middle:  # one of its elements; last its own variables
            e = room[k]
            if kind[e] != _ELEMENT:
                continue
            kind[e] = _GONE
            begin, end = at[e], at[e] + size[e]
        else:
            begin, end = middle, at[p] + size[p]
        for q in range(begin, end):
            i = room[q]
            if weight[i] > 0:
                total += weight[i]
                weight[i] = -weight[i]
                _remove(i, degree[i], head, after, before)
                room[free] = i
                free += 1
    return free, total


@_inlined
def _measure(graph, begin, end, stamp):
    """mark[e] - stamp becomes the weight of an element outside the list, for every element that reaches the list."""
    (at, _size, elements, weight, degree, kind, mark, _bucket, _head, _after, _before, _member, _last, room) = graph
    for k in range(begin, end):
        i = room[k]
        for q in range(at[i], at[i] + elements[i]):
            e = room[q]
            if kind[e] == _ELEMENT:
                if mark[e] < stamp:
                    mark[e] = stamp + degree[e]
                mark[e] += weight[i]  # negative: i is in the list


@_inlined
def _shorten(graph, i, p, stamp):
    """Bring the lists of a variable around p up to date, and its degree without the list itself.

    Returns whether nothing else is left of it, so that it goes with p; if not it is put into a bucket by a sum over
    its lists.
    """
    (at, size, elements, weight, degree, kind, mark, bucket, _head, after, before, _member, _last, room) = graph
    outside, code, keep = 0, 0, at[i]
    middle, end = at[i] + elements[i], at[i] + size[i]
    for q in range(at[i], middle):
        e = room[q]
        if kind[e] == _ELEMENT:
            if mark[e] > stamp:
                outside += mark[e] - stamp
                code += e
                room[keep] = e
                keep += 1
            else:
                kind[e] = _GONE
    own = keep
    for q in range(middle, end):
        j = room[q]
        if weight[j] > 0:  # neither p nor in the list
            outside += weight[j]
            code += j
            room[keep] = j
            keep += 1
    if keep == at[i]:
        size[i] = 0
        return True
    # p, an element now, comes between the two; a place is free because p or an element of p has left the lists
    room[keep] = room[own]
    room[own] = p
    elements[i], size[i] = own + 1 - at[i], keep + 1 - at[i]
    degree[i] = min(degree[i], outside)
    code = (code + p) % len(at)
    after[i], before[i] = bucket[code], code
    bucket[code] = i
    return False


@_inlined
def _merge_equal(graph, begin, end, stamp):
    """Merge variables of the list whose own lists are equal; only those in one bucket are compared.

    Returns the last stamp that was used.
    """
    (at, size, elements, weight, _degree, _kind, mark, bucket, _head, after, before, member, last, room) = graph
    for k in range(begin, end):
        if weight[room[k]] == 0:
            continue
        code = before[room[k]]
        i = bucket[code]
        bucket[code] = -1
        while i != -1 and after[i] != -1:
            stamp += 1
            for q in range(at[i], at[i] + size[i]):
                mark[room[q]] = stamp
            j, previous = after[i], i
            while j != -1:
                equal = size[j] == size[i] and elements[j] == elements[i]
                q = at[j]
                while equal and q < at[j] + size[j]:
                    equal = mark[room[q]] == stamp
                    q += 1
                following = after[j]
                if equal:
                    weight[i] += weight[j]
                    weight[j] = 0
                    member[last[i]] = j
                    last[i] = last[j]
                    after[previous] = following
                else:
                    previous = j
                j = following
            i = after[i]
    return stamp
