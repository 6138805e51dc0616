"""Graphs are the same whatever they come in; what is no graph is refused with the reason."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse

from micromacro.errors import DataError
from micromacro.table.graphs import read_graph
from micromacro.table.levels import Levels

nx = pytest.importorskip("networkx")

EDGES = [("a", "b"), ("b", "c"), ("d", "e"), ("a", "c")]
IDS = ["a", "b", "c", "d", "e"]


def _matrix():
    m = np.zeros((5, 5))
    for a, b in EDGES:
        i, j = IDS.index(a), IDS.index(b)
        m[i, j] = m[j, i] = 1.0
    return m


def _w():
    W = pytest.importorskip("libpysal.weights").W
    neighbours = {a: [b for b in IDS if _matrix()[IDS.index(a), IDS.index(b)]] for a in IDS}
    return W(neighbours, silence_warnings=True)


def _new_graph():
    return pytest.importorskip("libpysal.graph").Graph.from_W(_w())


FORMS = {
    "networkx": lambda: nx.Graph(EDGES),
    "digraph": lambda: nx.DiGraph(EDGES),
    "mapping": lambda: {"a": ["b", "c"], "b": ["c"], "d": ["e"]},
    "both directions": lambda: {a: [IDS[j] for j in np.flatnonzero(_matrix()[i])] for i, a in enumerate(IDS)},
    "weights": lambda: {"a": {"b": 1.0, "c": 1.0}, "b": {"c": 1}, "d": {"e": 1}},
    "matrix": lambda: (_matrix(), IDS),
    "sparse": lambda: (sparse.csr_matrix(_matrix()), IDS),
    "frame": lambda: pd.DataFrame(_matrix(), IDS, IDS),
    "pandas edges": lambda: pd.DataFrame(EDGES, columns=["from", "to"]),
    "polars edges": lambda: pl.DataFrame(EDGES, schema=["from", "to"], orient="row"),
    "columns": lambda: {"from": [e[0] for e in EDGES], "to": [e[1] for e in EDGES]},
    "W": _w,
    "Graph": _new_graph,
}


@pytest.mark.parametrize("form", FORMS)
def test_one_graph_in_every_form(form):
    graph = read_graph("g", FORMS[form]())
    assert graph.levels.values.tolist() == IDS
    dense = np.zeros((5, 5))
    dense[graph.low, graph.high] = dense[graph.high, graph.low] = graph.weight
    np.testing.assert_array_equal(dense, _matrix())
    np.testing.assert_array_equal(graph.degree(), _matrix().sum(axis=0))
    count, label = graph.components()
    assert count == 2
    assert len({*label[:3]}) == 1 and len({*label[3:]}) == 1 and label[0] != label[3]


def test_numbers_as_nodes_and_weights_of_edges():
    graph = read_graph("g", {"from": [10, 2], "to": [2, 7], "weight": [0.5, 2.0]})
    assert graph.levels.values.tolist() == [2, 7, 10]
    np.testing.assert_array_equal(graph.degree(), [2.5, 2.0, 0.5])


def test_nodes_of_levels():
    graph = read_graph("g", FORMS["mapping"]())
    np.testing.assert_array_equal(graph.of(Levels("m", np.array(["b", "e"])), "block B"), [1, 4])
    with pytest.raises(DataError, match="2 of 3 ids of block B are not nodes of the graph 'g' \\(first: x, z\\)"):
        graph.of(Levels("m", np.array(["a", "x", "z"])), "block B")


BAD = {
    "joins b to itself": {"a": ["b"], "b": ["b"]},
    "not positive": {"a": {"b": -1.0}},
    "two weights for the edge b to a": {"a": {"b": 1.0}, "b": {"a": 2.0}},
    "matrix without ids": np.eye(3),
    "must be square": (np.zeros((2, 3)), ["a", "b"]),
    "partly text": {"a": [1]},
    "is not understood": 3.5,
    "has no node": nx.Graph(),
    "table of 1 columns": pd.DataFrame({"a": [1]}),
    "is missing in 1 rows": pd.DataFrame({"a": ["x", None], "b": ["y", "z"]}),
}


@pytest.mark.parametrize("message", BAD)
def test_what_is_no_graph(message):
    with pytest.raises(DataError, match=message):
        read_graph("g", BAD[message])
