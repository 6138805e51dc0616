"""Graphs of members or units, from any form that users have: networkx, libpysal, sparse matrices, edge tables.

A graph is undirected; it is read once, into sorted ids and a list of edges, and nothing above this module knows where
it came from. No package of graphs is imported: objects are known by what they offer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from ..errors import DataError
from .columns import Column, Table, read_table
from .levels import Levels, encode


@dataclass(frozen=True, eq=False)
class Graph:
    """An undirected graph with positive edge weights.

    Attributes
    ----------
    name : str
        The key under which the user gave it.
    levels : Levels
        Its nodes, sorted.
    low, high : (edges,) int arrays
        Ends of each edge as places among the levels, ``low < high``.
    weight : (edges,) array
    """

    name: str
    levels: Levels
    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray

    keyword: ClassVar[str] = "graphs"
    """The argument in which users give it."""

    def to_plain(self) -> dict[str, Any]:
        """As plain arrays, which a file can hold."""
        return {"ids": self.levels.values, "low": self.low, "high": self.high, "weight": self.weight}

    @classmethod
    def from_plain(cls, plain: dict[str, Any], name: str) -> Graph:
        """What :meth:`to_plain` gave."""
        return cls(name, Levels(name, plain["ids"]), plain["low"], plain["high"], plain["weight"])

    @property
    def size(self) -> int:
        """Number of nodes."""
        return len(self.levels)

    def degree(self) -> np.ndarray:
        """Sum of the weights of each node's edges (nodes,)."""
        return np.bincount(self.low, self.weight, self.size) + np.bincount(self.high, self.weight, self.size)

    def components(self) -> tuple[int, np.ndarray]:
        """Number of connected components and the component of each node."""
        matrix = sparse.coo_matrix((np.ones(len(self.low)), (self.low, self.high)), (self.size, self.size))
        count, label = connected_components(matrix, directed=False)
        return int(count), label.astype(np.int64)

    def of(self, levels: Levels, what: str) -> np.ndarray:
        """Node of each level (levels,).

        Raises
        ------
        DataError
            Where ids of the data are not nodes of the graph.
        """
        place = self.levels.find(levels, (what, f"graph {self.name!r}"))
        lost = np.flatnonzero(place < 0)
        if len(lost):
            shown = ", ".join(str(v) for v in levels.values[lost[:5]])
            raise DataError(
                f"{len(lost)} of {len(levels)} ids of {what} are not nodes of the graph {self.name!r} (first: "
                f"{shown}): add them to the graph (a node without an edge is allowed for car, not for icar) or drop "
                "their rows"
            )
        return place


def read_graph(name: str, given: Any) -> Graph:
    """Read a graph.

    Parameters
    ----------
    given : graph
        A networkx graph; a libpysal ``W`` or ``Graph``; a dictionary from node to its neighbours (a list, or a
        dictionary to weights); a pair (matrix, ids) of a square array or sparse matrix; a square data frame whose
        index and columns are the ids; or a table with two columns of ids, an edge a row, and perhaps one of weights.

    Raises
    ------
    DataError
        For anything else, for weights that are not positive, loops, and edges that differ by direction.
    """
    nodes, ends, weight = _edges_of(name, given)
    levels = _levels(name, nodes)
    low, high = levels.find(_levels_as_column(name, ends[0])), levels.find(_levels_as_column(name, ends[1]))
    return _undirected(name, levels, low, high, np.asarray(weight, dtype=float))


Edges = tuple[list[Any], tuple[list[Any], list[Any]], list[float]]


def _edges_of(name: str, given: Any) -> Edges:
    """Nodes, both ends of each edge, and weights."""
    if hasattr(given, "nodes") and hasattr(given, "edges") and callable(getattr(given, "is_directed", None)):
        triples = [(a, b, d.get("weight", 1.0)) for a, b, d in given.edges(data=True)]
        return list(given.nodes), _ends(triples), [t[2] for t in triples]
    if hasattr(given, "neighbors") and hasattr(given, "id_order") and hasattr(given, "weights"):  # libpysal.weights.W
        table = {node: dict(zip(given.neighbors[node], given.weights[node], strict=True)) for node in given.id_order}
        return _of_mapping(table)
    if hasattr(given, "adjacency") and hasattr(given, "unique_ids"):  # libpysal.graph.Graph
        series = given.adjacency
        triples = [(a, b, w) for (a, b), w in zip(series.index.tolist(), series.tolist(), strict=True) if w != 0]
        return list(given.unique_ids), _ends(triples), [t[2] for t in triples]
    if isinstance(given, Mapping) and not _is_columns(given):
        return _of_mapping(given)
    if isinstance(given, tuple) and len(given) == 2 and (sparse.issparse(given[0]) or np.ndim(given[0]) == 2):
        return _of_matrix(name, given[0], list(given[1]))
    if sparse.issparse(given) or isinstance(given, np.ndarray):
        raise DataError(f"the graph {name!r} is a matrix without ids: give a pair (matrix, ids of its rows)")
    index, columns = getattr(given, "index", None), getattr(given, "columns", None)
    if index is not None and columns is not None and len(index) == len(columns) and list(index) == list(columns):
        return _of_matrix(name, np.asarray(given), list(index))
    return _of_table(name, given)


def _is_columns(given: Mapping) -> bool:
    """Whether a dictionary holds two or three columns of one length under text names, not neighbours."""
    values = list(given.values())
    if len(values) not in (2, 3) or not all(isinstance(v, (list, tuple, np.ndarray)) for v in values):
        return False
    keys = set(given)
    return len({len(v) for v in values}) == 1 and not any(_hashable(e) and e in keys for v in values for e in v)


def _hashable(value: Any) -> bool:
    return getattr(value, "__hash__", None) is not None


def _of_mapping(table: Mapping) -> Edges:
    triples: list[tuple[Any, Any, float]] = []
    for node, neighbours in table.items():
        pairs = neighbours.items() if isinstance(neighbours, Mapping) else [(n, 1.0) for n in neighbours]
        triples += [(node, other, float(w)) for other, w in pairs if w != 0]
    nodes = dict.fromkeys(table) | dict.fromkeys(t[1] for t in triples)
    return list(nodes), _ends(triples), [t[2] for t in triples]


def _of_matrix(name: str, matrix: Any, ids: list[Any]) -> Edges:
    found: Any = sparse.coo_matrix(matrix)
    if found.shape[0] != found.shape[1] or found.shape[0] != len(ids):
        raise DataError(f"the graph {name!r} is a matrix of shape {found.shape} with {len(ids)} ids: it must be square")
    keep = found.data != 0
    rows, columns = found.row[keep].tolist(), found.col[keep].tolist()
    return ids, ([ids[r] for r in rows], [ids[c] for c in columns]), found.data[keep].tolist()


def _of_table(name: str, given: Any) -> Edges:
    try:
        table: Table = read_table(given, f"graph {name!r}")
    except DataError as error:
        raise DataError(
            f"the graph {name!r} ({type(given).__name__}) is not understood: give a networkx graph, a libpysal W or "
            "Graph, a dictionary from node to neighbours, a pair (matrix, ids), or a table with two columns of ids"
        ) from error
    columns = list(table.columns.values())
    if len(columns) not in (2, 3):
        raise DataError(
            f"the graph {name!r} is a table of {len(columns)} columns ({', '.join(table.columns)}): it needs two, the "
            "ends of each edge, and may have a third, its weight"
        )
    _check_complete(name, columns)
    ends = (columns[0].values.tolist(), columns[1].values.tolist())
    weight = columns[2].values.astype(float).tolist() if len(columns) == 3 else [1.0] * len(ends[0])
    return list(dict.fromkeys([*ends[0], *ends[1]])), ends, weight


def _check_complete(name: str, columns: list[Column]) -> None:
    for column in columns:
        lost = np.flatnonzero(column.missing)
        if len(lost):
            raise DataError(f"column {column.name!r} of the graph {name!r} is missing in {len(lost)} rows ({lost[0]}…)")


def _ends(triples: list[tuple[Any, Any, float]]) -> tuple[list[Any], list[Any]]:
    return [t[0] for t in triples], [t[1] for t in triples]


def _levels(name: str, nodes: Iterable[Any]) -> Levels:
    column = _levels_as_column(name, list(nodes))
    if not len(column.values):
        raise DataError(f"the graph {name!r} has no node")
    return encode(column)[1]


def _levels_as_column(name: str, ids: list[Any]) -> Column:
    if not ids:
        return Column(name, np.empty(0, dtype=np.int64), "integer", np.empty(0, dtype=bool))
    if len({isinstance(i, str) for i in ids}) > 1:
        raise DataError(f"the nodes of the graph {name!r} are partly text and partly numbers: give all one type")
    return read_table({name: ids}, f"graph {name!r}")[name]


def _undirected(name: str, levels: Levels, a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> Graph:
    """Each edge once; both directions may be given if they agree."""
    ids = levels.values
    bad = np.flatnonzero(~np.isfinite(weight))
    if len(bad):
        raise DataError(f"the graph {name!r} has a weight of {weight[bad[0]]} between two nodes: correct it")
    loops = np.flatnonzero(a == b)
    if len(loops):
        raise DataError(f"the graph {name!r} joins {ids[a[loops[0]]]!s} to itself: leave loops out")
    bad = np.flatnonzero(~(weight > 0) | ~np.isfinite(weight))
    if len(bad):
        k = bad[0]
        raise DataError(
            f"the graph {name!r} has {len(bad)} edges whose weight is not positive (first: {ids[a[k]]!s} to "
            f"{ids[b[k]]!s}, {weight[k]:g}): give every edge a positive weight, or leave it out"
        )
    low, high = np.minimum(a, b), np.maximum(a, b)
    keys, first, inverse = np.unique(low * len(levels) + high, return_index=True, return_inverse=True)
    differ = np.flatnonzero(weight != weight[first][inverse])
    if len(differ):
        k = differ[0]
        raise DataError(
            f"the graph {name!r} gives two weights for the edge {ids[a[k]]!s} to {ids[b[k]]!s}: it must be undirected"
        )
    return Graph(name, levels, keys // len(levels), keys % len(levels), weight[first])
