"""Memberships from matrices and graphs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..table.columns import read_table
from ..table.screen import counted
from ..table.slots import ROW
from .shared import edge_table, number, refuse_gaps, refuse_same_names, shown, text_arguments

if TYPE_CHECKING:
    import pandas as pd


def from_sparse(
    W: Any,
    groups: Sequence[Any] | None = None,
    members: Sequence[Any] | None = None,
    *,
    group: str | None = None,
    member: str = "member",
) -> pd.DataFrame:
    """Memberships from a matrix with one row per group and one column per member: the entries that are not zero.

    Parameters
    ----------
    W : SciPy sparse matrix or array, NumPy array, or pandas DataFrame
        (groups, members); the entries are the weights. A DataFrame has the ids in its index and columns.
    groups, members : sequences, optional
        Ids of rows and columns; by default their numbers from 0.
    group, member : str
        Names of the columns of ids: by default ``row`` if `groups` is not given, else ``group``; and ``member``.

    Returns
    -------
    DataFrame
        Columns: group, member, ``weight``.

    Raises
    ------
    DataError
        If `W` is not a matrix, has no entry or one that is not finite, or if the ids do not fit its shape.
    """
    import pandas as pd

    text_arguments(group=group, member=member)
    if isinstance(W, pd.DataFrame):
        groups = W.index.tolist() if groups is None else groups
        members = W.columns.tolist() if members is None else members
        W = W.to_numpy()
    coo = _entries(W)
    weight = np.asarray(coo.data, dtype=float)
    if not np.all(np.isfinite(weight)):
        raise DataError("W has entries that are not finite: correct them")
    rows, columns = np.asarray(coo.row), np.asarray(coo.col)
    some = np.flatnonzero(weight != 0.0)
    some = some[np.lexsort([columns[some], rows[some]])]
    named = group or (ROW if groups is None else "group")
    refuse_same_names(named, member, "weight")
    row_ids = _labels(groups, coo.shape[0], "groups")
    column_ids = _labels(members, coo.shape[1], "members")
    return pd.DataFrame({named: row_ids[rows[some]], member: column_ids[columns[some]], "weight": weight[some]})


def from_graph(
    graph: Any,
    weight: str | None = None,
    *,
    groups: Iterable[Any] | None = None,
    group: str = "group",
    member: str = "member",
) -> pd.DataFrame:
    """Memberships from a networkx graph (extra ``[spatial]``): each node is a group, its neighbours are the members.

    Parameters
    ----------
    graph : networkx graph
        In a directed graph the members of a node are the nodes to which its edges point; each of several parallel
        edges is a membership.
    weight : str, optional
        Attribute of the edges to use as the weight; 1 / (number of neighbours) by default.
    groups : iterable of nodes, optional
        The nodes that are groups, such as one side of a bipartite graph; all by default.
    group, member : str
        Names of the columns of ids.

    Returns
    -------
    DataFrame
        Columns: group, member, ``weight``. A node without neighbours has no row.

    Raises
    ------
    DataError
        If `graph` is not a networkx graph or has no edge, if a group is not one of its nodes, if an edge lacks the
        attribute `weight`, or if nodes are neither numbers nor text.
    """
    text_arguments(weight=weight, group=group, member=member)
    if not hasattr(graph, "adj") or not hasattr(graph, "is_directed"):
        raise DataError(f"from_graph() takes a networkx graph, not {type(graph).__name__}")
    nodes = list(graph) if groups is None else _listed(groups)
    unknown = [n for n in nodes if n not in graph]
    if unknown:
        raise DataError(f"{counted(len(unknown), 'group')} (first: {unknown[0]!r}) are not nodes of the graph")
    edges: list[tuple[Any, Any, float]] = []
    for node in nodes:
        found = []
        for other, attributes in graph.adj[node].items():
            found += [(other, a) for a in (attributes.values() if graph.is_multigraph() else [attributes])]
        for other, attributes in found:
            if weight is not None and weight not in attributes:
                raise DataError(f"the edge from {node!r} to {other!r} has no attribute {weight!r}: give it one")
            edges.append(
                (
                    node,
                    other,
                    1.0 / len(found)
                    if weight is None
                    else number(attributes[weight], f"{weight!r} of the edge from {node!r} to {other!r}"),
                )
            )
    return edge_table(edges, group, member)


def from_libpysal(w: Any, *, group: str = "group", member: str = "member") -> pd.DataFrame:
    """Memberships from libpysal's spatial weights (extra ``[spatial]``): each place is a group, its neighbours members.

    Parameters
    ----------
    w : libpysal.weights.W or libpysal.graph.Graph
        Its weights are used after the current transformation (``transform = "r"`` makes them sum to one in each place).
    group, member : str
        Names of the columns of ids.

    Returns
    -------
    DataFrame
        Columns: group, member, ``weight``. An island has no row.

    Raises
    ------
    DataError
        If `w` is not an object of libpysal, or no place has a neighbour.
    """
    text_arguments(group=group, member=member)
    if hasattr(w, "id_order") and hasattr(w, "neighbors"):
        edges = [(i, j, float(v)) for i in w.id_order for j, v in zip(w.neighbors[i], w.weights[i], strict=True)]
    elif hasattr(w, "adjacency") and hasattr(w, "isolates"):
        island = set(w.isolates)  # a Graph has an edge of weight 0 from an island to itself
        edges = [(i, j, float(v)) for (i, j), v in w.adjacency.items() if i not in island]
    else:
        raise DataError(f"from_libpysal() takes libpysal weights (W) or a Graph, not {type(w).__name__}")
    return edge_table(edges, group, member)


def _listed(groups: Iterable[Any]) -> list[Any]:
    if isinstance(groups, str) or not isinstance(groups, Iterable):
        raise DataError(f"groups= is a list of nodes, not {shown(groups)}")
    return list(groups)


def _entries(W: Any) -> Any:
    """A matrix of numbers, sparse, each entry once."""
    from scipy import sparse

    if not sparse.issparse(W):
        try:
            W = np.asarray(W)
            W = W.astype(float) if W.dtype.kind in "biufO" else W
        except Exception as error:  # objects may raise anything
            raise DataError(f"W is not a matrix of numbers ({type(error).__name__}): {shown(W)}") from error
    if len(W.shape) != 2:
        raise DataError(
            f"W must be a matrix with one row per group and one column per member; its shape is {tuple(W.shape)}"
        )
    if W.dtype.kind not in "biuf":
        raise DataError(f"W holds {W.dtype} values: its entries are the weights, which are numbers")
    coo = sparse.coo_array(W)
    coo.sum_duplicates()
    return coo


def _labels(given: Sequence[Any] | None, count: int, what: str) -> np.ndarray:
    if given is None:
        return np.arange(count)
    try:
        found = given if isinstance(given, np.ndarray) else list(given)
    except TypeError as error:
        raise DataError(f"{what}= is a list of ids, not {shown(given)}") from error
    if len(found) != count or getattr(found, "ndim", 1) != 1:
        raise DataError(f"{what}= has {len(found)} ids, but W has {count}: give one for each")
    if not count:
        return np.arange(0)
    column = read_table({what: found}, "the ids of W")[what]
    refuse_gaps(column.missing, what)
    if len(set(column.values.tolist())) < count:
        raise DataError(f"{what}= lists an id twice")
    return column.values
