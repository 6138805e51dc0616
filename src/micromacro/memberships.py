"""Tables of memberships from other shapes: ``mm.memberships.from_wide(...)`` and the like.

Each function returns a long table, one row per membership, in the library of the input (a dict for a dict). Pass it as
``memberships=`` to :func:`micromacro.fit` beside the table of groups, or as ``data=`` if `keep` repeats the columns of
the groups. Its columns are

- the group column's own name (``row``, the number of the row from 0, where there is none: a formula with
  ``mm(member, row)`` then needs no such column in ``data=``);
- the member column, as `member` says;
- ``weight``: the weight, or 1 / (number of members) where none is given;
- further columns, described with each function.

Empty slots give no row. With `keep`, a group without any member has one row with a missing member id, so that no group
is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ._spelling import suggesting_all
from .errors import DataError
from .table.columns import column_names, days, read_table
from .table.screen import counted, listed
from .table.slots import ROW, Slots, check_empty, group_ids, long_table, number_column, read_slots, slot_values

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "from_candidates", "from_dyads", "from_graph", "from_libpysal", "from_lists", "from_sparse", "from_spells",
    "from_wide", "with_pairs",
]  # fmt: skip

Keep = Sequence[str] | Literal["all"]


def from_wide(
    data: Any,
    slots: Sequence[str],
    weights: Sequence[str] | None = None,
    group: str | None = None,
    *,
    member: str | None = None,
    values: Mapping[str, Sequence[str]] | None = None,
    empty: Any = (),
    keep: Keep = (),
) -> Any:
    """Memberships from a table with one row per group and its members in columns side by side.

    Parameters
    ----------
    data : pandas, polars or pyarrow table, or dict of arrays
        One row per group.
    slots : sequence of str
        Columns of member ids. A slot is empty where it is missing, blank, or one of `empty`.
    weights : sequence of str, optional
        Columns of the members' weights in the same order. Beside an empty slot they must be missing or zero.
    group : str, optional
        Column of group ids; without it the rows are numbered.
    member : str, optional
        Name of the member column; by default what the names of `slots` begin with (``school`` for ``school1``,
        ``school2``), else ``member``.
    values : dict, optional
        Further columns of the memberships, each made from one column per slot: ``{"years": ["years1", "years2"]}``.
    empty : value or list of values
        Ids that stand for an empty slot, such as 0.
    keep : list of str or "all"
        Columns of `data` to repeat in each row, for use as a long table.

    Returns
    -------
    table
        Columns: group, member, ``weight``, ``slot`` (from 1), those of `values` and `keep`.

    Raises
    ------
    DataError
        If slots hold ids of different kinds, if a weight is missing beside a member or not zero beside an empty slot,
        or if group ids repeat.
    """
    slots = _columns(slots, "slots")
    beside = {"weight": _columns(weights, "weights")} if weights is not None else {}
    _differ("weight", "slot", *(values or {}))
    _differ(*slots)
    beside |= {name: _columns(of, f"values[{name!r}]") for name, of in (values or {}).items()}
    table = read_table(data, "data", [*slots, *(c for of in beside.values() for c in of)])
    filled_slots, filled = read_slots(table, slots, empty)
    numbers = {
        name: slot_values(table, of, filled_slots, filled, "weights" if name == "weight" else f"values[{name!r}]")
        for name, of in beside.items()
    }
    if "weight" not in numbers:
        numbers = {"weight": 1.0 / filled_slots.size[filled_slots.row]} | numbers
    columns = {"weight": numbers.pop("weight"), "slot": filled_slots.slot + 1} | numbers
    return _finish(data, group, member or _stem(slots), filled_slots, columns, keep)


def from_lists(
    data: Any,
    column: str,
    sep: str = ";",
    weights: str | None = None,
    group: str | None = None,
    *,
    candidates: str | None = None,
    member: str | None = None,
    empty: Any = (),
    keep: Keep = (),
) -> Any:
    """Memberships from a table in which one cell lists all members: ``"ada; ben; cleo"``, or a list.

    Parameters
    ----------
    data : pandas, polars or pyarrow table, or dict of arrays
        One row per group.
    column : str
        Column of lists or of text; blanks around an id are ignored.
    sep : str
        Text that separates members.
    weights : str, optional
        Column of lists of numbers, one number per member.
    candidates : str, optional
        Text that separates the candidates for one slot: with ``"|"``, ``"ada; ben|bob"`` is ada and either ben or bob.
        Each candidate has an equal share of the slot's weight; see :func:`from_candidates`.
    group, member, empty, keep
        As in :func:`from_wide`; the member column has the name `column` by default.

    Returns
    -------
    table
        Columns: group, member, ``weight``, ``slot`` (place in the list, from 1), those of `keep`; with `candidates`
        also ``probability``.
    """
    cells = [_cell(c, sep) for c in _cells(data, column)]
    numbers = None if weights is None else [_cell(c, sep) for c in _cells(data, weights)]
    skip = set(empty) if isinstance(empty, (list, tuple, set)) else {empty} if empty is not None else set()
    row, slot, ids, weight, probability = [], [], [], [], []
    for i, cell in enumerate(cells):
        own = None if numbers is None else [_number(v, weights, i) for v in numbers[i]]
        if own is not None and len(own) != len(cell):
            raise DataError(
                f"row {i} (counted from 0) lists {counted(len(cell), 'member')} in {column!r}, but "
                f"{counted(len(own), 'number')} in {weights!r}: give one for each member"
            )
        places = [k for k, c in enumerate(cell) if not _is_empty(c, skip)]
        for k in places:
            each = _candidates(cell[k], candidates)
            for one in each:
                row.append(i)
                slot.append(k + 1)
                ids.append(one)
                probability.append(1.0 / len(each))
                weight.append((1.0 / len(places) if own is None else own[k]) / len(each))
    read = Slots(np.array(row, dtype=np.int64), np.array(slot, dtype=np.int64), _ids(ids, column), len(cells))
    for value in skip if ids else ():
        check_empty(value, read.member.dtype == object, column)
    columns = {"weight": np.array(weight), "slot": read.slot}
    if candidates is not None:
        columns["probability"] = np.array(probability)
    return _finish(data, group, member or column, read, columns, keep)


def from_candidates(
    data: Any,
    member: str,
    group: str,
    slot: str | None = None,
    probability: str | None = None,
    *,
    keep: Keep = (),
) -> Any:
    r"""Memberships whose member is known only to be one of several candidates.

    A slot that is held by one of several candidates contributes :math:`\sum_k p_k (x_k'b + u_k)`, its expectation over
    the candidates, so each candidate is a membership with its probability as weight (Hill and Goldstein 1998). This is
    the expected contribution, not a mixture of likelihoods: it leaves out the variance between candidates.

    Parameters
    ----------
    data : table
        One row per candidate.
    member, group : str
        Columns of candidates and groups.
    slot : str, optional
        Column that distinguishes the slots of a group: rows with the same group and slot are candidates for one
        membership. Without it all rows of a group are candidates for a single membership.
    probability : str, optional
        Column of probabilities, zero or positive; they are scaled to sum to one in each slot. Equal by default.
    keep : list of str or "all"
        Columns of `data` to repeat in each row.

    Returns
    -------
    table
        Columns: group, member, ``probability`` (sums to one in a slot), ``weight`` (probability / slots of the group,
        sums to one in a group), ``candidates`` (of the slot), those of `keep`. In a formula write ``weights = weight,
        normalize = none`` for the mean and ``weights = probability`` for the sum: ``n`` counts candidates.

    Raises
    ------
    DataError
        If ids are missing, a probability is negative, or all probabilities of a slot are zero.
    """
    needed = [member, group, *([slot] if slot else []), *([probability] if probability else [])]
    table = read_table(data, "data", needed)
    for name in needed:
        _no_gaps(table[name].missing, name)
    key = _codes(table[group].values)
    groups = key.max() + 1
    within = key if slot is None else _codes(key * (1 + (s := _codes(table[slot].values)).max()) + s)
    p = np.ones(len(key))
    if probability is not None:
        p = number_column(table, probability, "probability").values.astype(float)
        bad = np.flatnonzero(p < 0)
        if len(bad):
            raise DataError(f"column {probability!r} is negative in {counted(len(bad), 'row')} (first: {listed(bad)})")
    total = np.bincount(within, p)
    zero = np.flatnonzero(total[within] == 0.0)
    if len(zero):
        raise DataError(
            f"the probabilities of a slot are all zero in {counted(len(zero), 'row')} (first: {listed(zero)})"
        )
    p = p / total[within]
    slots = np.bincount(key, p, groups)  # each slot brings one
    columns = {
        group: table[group].values, member: table[member].values, "weight": p / slots[key], "probability": p,
        "candidates": np.bincount(within)[within],
    }  # fmt: skip
    return long_table(data, columns, _kept(data, keep, columns), np.arange(len(key)))


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
    from scipy import sparse

    if isinstance(W, pd.DataFrame):
        groups = W.index.tolist() if groups is None else groups
        members = W.columns.tolist() if members is None else members
        W = W.to_numpy()
    if not sparse.issparse(W) and np.ndim(W) != 2:
        raise DataError(
            f"W must be a matrix with one row per group and one column per member; its shape is {np.shape(W)}"
        )
    coo: Any = sparse.coo_array(W)
    coo.sum_duplicates()
    weight = np.asarray(coo.data, dtype=float)
    if not np.all(np.isfinite(weight)):
        raise DataError("W has entries that are not finite: correct them")
    rows, columns = np.asarray(coo.row), np.asarray(coo.col)
    some = np.flatnonzero(weight != 0.0)
    some = some[np.lexsort([columns[some], rows[some]])]
    named = group or (ROW if groups is None else "group")
    _differ(named, member, "weight")
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
    if not hasattr(graph, "adj") or not hasattr(graph, "is_directed"):
        raise DataError(f"from_graph() takes a networkx graph, not {type(graph).__name__}")
    nodes = list(graph) if groups is None else list(groups)
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
            edges.append((node, other, 1.0 / len(found) if weight is None else float(attributes[weight])))
    return _edges(edges, group, member)


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
    if hasattr(w, "id_order") and hasattr(w, "neighbors"):
        edges = [(i, j, float(v)) for i in w.id_order for j, v in zip(w.neighbors[i], w.weights[i], strict=True)]
    elif hasattr(w, "adjacency") and hasattr(w, "isolates"):
        island = set(w.isolates)  # a Graph has an edge of weight 0 from an island to itself
        edges = [(i, j, float(v)) for (i, j), v in w.adjacency.items() if i not in island]
    else:
        raise DataError(f"from_libpysal() takes libpysal weights (W) or a Graph, not {type(w).__name__}")
    return _edges(edges, group, member)


def from_spells(
    data: Any,
    member: str,
    group: str,
    start: str,
    end: str,
    *,
    since: Any = None,
    until: Any = None,
    values: Sequence[str] = (),
) -> Any:
    """Memberships from spells: who belonged to which group, from when to when; the weight is the share of time.

    Parameters
    ----------
    data : table
        One row per spell. A member may have several spells in a group; they are added up and must not overlap.
    member, group : str
        Columns of ids.
    start, end : str
        Columns of numbers, dates or times. A spell without an end lasts to `until`.
    since, until : number or date, optional
        Spells are cut to this window.
    values : sequence of str
        Further columns to keep, with the values of each membership's first spell.

    Returns
    -------
    table
        One row per membership. Columns: group, member, ``duration`` (in the unit of the numbers, or in days),
        ``weight`` (its share of the durations of all members of the group, sums to one), ``window`` (its share of the
        time from the group's first start to its last end, or of the window cut out), ``spells``, `values`.

    Raises
    ------
    DataError
        If ids or starts are missing, a spell ends before it starts or has no end and `until` is not given, spells of a
        member overlap within a group, or no spell lies within the window.
    """
    table = read_table(data, "data", [member, group, start, end, *values])
    for name in (member, group, start):
        _no_gaps(table[name].missing, name)
    times = [_times(table[name].values, table[name].kind, name) for name in (start, end)]
    first, last = _clock(since, table[start].kind, "since"), _clock(until, table[end].kind, "until")
    begin, stop = times[0].copy(), np.where(table[end].missing, np.nan if last is None else last, times[1])
    open_ended = np.flatnonzero(np.isnan(stop))
    if len(open_ended):
        raise DataError(
            f"column {end!r} is missing in {counted(len(open_ended), 'row')} (first: {listed(open_ended)}), rows "
            "counted from 0: give until=, the time to which spells without an end last"
        )
    backwards = np.flatnonzero(~table[end].missing & (stop < begin))
    if len(backwards):
        raise DataError(f"{end!r} is before {start!r} in {counted(len(backwards), 'row')} (first: {listed(backwards)})")
    begin = begin if first is None else np.maximum(begin, first)
    stop = stop if last is None else np.minimum(stop, last)
    inside = np.flatnonzero(stop > begin)
    if not len(inside):
        raise DataError("no spell lasts any time inside the window of since= and until=")
    return _spell_table(data, table, (member, group), (begin, stop), inside, tuple(values), (first, last))


def from_dyads(
    data: Any,
    first: str,
    second: str,
    group: str | None = None,
    *,
    member: str = "member",
    role: str = "role",
    empty: Any = (),
    keep: Keep = (),
) -> Any:
    """Memberships from pairs: both sides are members of one block, in either order; a column keeps their roles.

    Parameters
    ----------
    data : table
        One row per pair (a cross, a match, an exchange), which is the group.
    first, second : str
        Columns of ids, such as ``male`` and ``female``, from one set of members.
    group : str, optional
        Column of group ids; without it the rows are numbered.
    member, role : str
        Names of the column of ids, and of the one that says in which of the two columns the member was.
    empty, keep
        As in :func:`from_wide`.

    Returns
    -------
    table
        Columns: group, member, `role`, ``weight`` (1: both effects add up), those of `keep`. See :func:`with_pairs` for
        ids of unordered and ordered pairs.
    """
    table = read_table(data, "data", [first, second])
    slots, _ = read_slots(table, [first, second], empty)
    roles = np.array([first, second], dtype=object)[slots.slot]
    return _finish(data, group, member, slots, {role: roles, "weight": np.ones(len(slots.row))}, keep)


def with_pairs(
    data: Any, first: str, second: str, *, pair: str = "pair", ordered: str = "ordered", sep: str = " x "
) -> Any:
    """Add ids of pairs to a table: unordered (a x b is b x a) and ordered (they differ).

    They serve in unit terms ``(1 | pair) + (1 | ordered)``: specific and reciprocal effects of a diallel cross.

    Parameters
    ----------
    data : table
        One row per pair.
    first, second : str
        Columns of ids.
    pair, ordered : str
        Names of the new columns.
    sep : str
        Text between the two ids of a pair; it must not occur in an id.

    Returns
    -------
    table
        `data` with the columns `pair` and `ordered`, text.

    Raises
    ------
    DataError
        If an id is missing, or if two pairs would get the same id.
    """
    table = read_table(data, "data", [first, second])
    for name in (first, second):
        _no_gaps(table[name].missing, name)
    one, other = table[first].values.astype(str), table[second].values.astype(str)
    sorted_pairs = np.sort(np.column_stack([one, other]), axis=1)
    columns = {
        pair: np.array([sep.join(p) for p in sorted_pairs], dtype=object),
        ordered: np.array([sep.join(p) for p in zip(one, other, strict=True)], dtype=object),
    }
    unlike = {}
    for a, b, text in zip(*sorted_pairs.T, columns[pair], strict=True):
        if unlike.setdefault(text, (a, b)) != (a, b):
            raise DataError(f"two pairs would both be called {text!r}: give a sep= that is not part of an id")
    names = column_names(data, "data")
    made = long_table(data, columns, [n for n in names if n not in columns], np.arange(len(one)))
    return made


# -- what they share --------------------------------------------------------------------------------------------------


def _finish(data: Any, group: str | None, member: str, slots: Slots, columns: dict[str, np.ndarray], keep: Keep) -> Any:
    """Group, member and further columns as a table; with `keep`, groups without a member have a row too."""
    name, ids = group_ids(data, group)
    if not len(slots.row):
        raise DataError("all slots are empty: there is no membership")
    if len({name, member, *columns}) < 2 + len(columns):
        raise DataError(f"two columns would have the same name ({name}, {member}, {', '.join(columns)}): give member=")
    row, every = slots.row, {member: slots.member} | columns
    kept = _kept(data, keep, {name: ids, **every})
    bare = np.flatnonzero(slots.size == 0) if kept else np.empty(0, dtype=np.int64)
    if len(bare):
        row = np.concatenate([row, bare])
        order = np.argsort(row, kind="stable")
        row = row[order]
        every = {k: _padded(v, len(bare))[order] for k, v in every.items()}
    return long_table(data, {name: ids[row], **every}, kept, row)


def _padded(values: np.ndarray, count: int) -> np.ndarray:
    """Values with some missing ones after them."""
    if values.dtype == object:
        return np.concatenate([values, np.full(count, None, dtype=object)])
    if values.dtype.kind == "M":
        return np.concatenate([values, np.full(count, np.datetime64("NaT"), dtype=values.dtype)])
    return np.concatenate([values.astype(float), np.full(count, np.nan)])


def _kept(data: Any, keep: Keep, made: Mapping[str, Any]) -> list[str]:
    if keep == "all":
        return [n for n in column_names(data, "data") if n not in made]
    names = _columns(keep, "keep") if len(keep) else []
    read_table(data, "data", names or None) if names else None  # unknown columns are an error now
    return [n for n in names if n not in made or n in ("weight", "slot")]


def _columns(names: Any, what: str) -> list[str]:
    if isinstance(names, str) or not all(isinstance(n, str) for n in names):
        raise DataError(f"{what} is a list of column names, not {names!r}")
    return list(names)


def _stem(slots: Sequence[str]) -> str:
    """What the names of the slots have in common, without digits and signs at its end."""
    common = "".join(c[0] for c in takewhile(lambda c: len(set(c)) == 1, zip(*slots, strict=False)))
    return common.rstrip("0123456789_.- ") or "member"


def _cells(data: Any, column: str) -> list[Any]:
    """Cells of a column that may hold lists."""
    import narwhals.stable.v2 as nw

    if column not in column_names(data, "data"):
        read_table(data, "data", [column])  # raises
    if isinstance(data, Mapping):
        return list(data[column])
    return nw.from_native(data, eager_only=True)[column].to_list()


def _cell(cell: Any, sep: str) -> list[Any]:
    """The entries of one cell."""
    if cell is None or (isinstance(cell, float) and np.isnan(cell)) or type(cell).__name__ == "NAType":
        return []
    if isinstance(cell, str):
        return [part.strip() for part in cell.split(sep)] if cell.strip() else []
    if isinstance(cell, (list, tuple, np.ndarray)):
        return list(cell)
    to_list = getattr(cell, "to_list", None)  # polars gives a cell as a series
    return [cell] if to_list is None else to_list()


def _is_empty(value: Any, skip: set[Any]) -> bool:
    if value is None or value != value or type(value).__name__ == "NAType":
        return True
    return (isinstance(value, str) and not value.strip()) or value in skip


def _candidates(value: Any, sep: str | None) -> list[Any]:
    if sep is None or not isinstance(value, str):
        return [value]
    return list(dict.fromkeys(v.strip() for v in value.split(sep) if v.strip()))


def _number(value: Any, column: str | None, row: int) -> float:
    try:
        out = float(value)
    except (TypeError, ValueError):
        out = np.nan
    if not np.isfinite(out):
        raise DataError(f"column {column!r} lists {value!r} in row {row} (counted from 0), which is not a number")
    return out


def _ids(values: list[Any], column: str) -> np.ndarray:
    """Ids that are all text or all numbers."""
    kinds = {isinstance(v, str) for v in values}
    if len(kinds) > 1:
        raise DataError(f"column {column!r} lists text and numbers: make its ids all numbers or all text")
    if kinds == {True}:
        return np.array(values, dtype=object)
    return read_table({column: values}, "data")[column].values if values else np.empty(0)


def _labels(given: Sequence[Any] | None, count: int, what: str) -> np.ndarray:
    if given is None:
        return np.arange(count)
    labels = np.asarray(given)
    if len(labels) != count or labels.ndim != 1:
        raise DataError(f"{what}= has {len(labels)} ids, but W has {count}: give one for each")
    if len(set(labels.tolist())) < count:
        raise DataError(f"{what}= lists an id twice")
    return labels


def _edges(edges: list[tuple[Any, Any, float]], group: str, member: str) -> pd.DataFrame:
    import pandas as pd

    if not edges:
        raise DataError("there is no edge, so there is no membership")
    _differ(group, member)
    odd = next((node for edge in edges for node in edge[:2] if isinstance(node, (tuple, frozenset))), None)
    if odd is not None:
        raise DataError(
            f"the nodes of the graph are neither numbers nor text (first: {odd!r}): relabel them, as with "
            "networkx.convert_node_labels_to_integers(graph, label_attribute='place')"
        )
    return pd.DataFrame(edges, columns=[group, member, "weight"])


def _differ(*names: str) -> None:
    """Refuse names of columns that are the same."""
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"two columns would be called {twice[0]!r}: give them different names")


def _no_gaps(missing: np.ndarray, name: str) -> None:
    bad = np.flatnonzero(missing)
    if len(bad):
        raise DataError(
            f"column {name!r} is missing in {counted(len(bad), 'row')} (first: {listed(bad)}), rows counted from 0: "
            "fill it in or remove the rows"
        )


def _codes(values: np.ndarray) -> np.ndarray:
    return np.unique(values.astype(str) if values.dtype == object else values, return_inverse=True)[1].reshape(-1)


def _times(values: np.ndarray, kind: str, name: str) -> np.ndarray:
    """Numbers as they are, times in days."""
    if kind == "time":
        return days(values)
    if kind not in ("number", "integer"):
        raise DataError(f"column {name!r} holds {kind} values: spells need numbers, dates or times")
    return values.astype(float)


def _clock(value: Any, kind: str, what: str) -> float | None:
    if value is None:
        return None
    if kind != "time":
        return float(value)
    try:
        return float(np.datetime64(value, "us").astype(np.int64) / 86_400e6)
    except ValueError as error:
        raise DataError(f"{what}= must be a date, as the spells have dates; it is {value!r}") from error


def _spell_table(
    data: Any,
    table: Any,
    names: tuple[str, str],
    times: tuple[np.ndarray, np.ndarray],
    inside: np.ndarray,
    values: tuple[str, ...],
    cut: tuple[float | None, float | None],
) -> Any:
    """Spells added up by member and group."""
    member, group = names
    begin, stop = times[0][inside], times[1][inside]
    g, m = _codes(table[group].values[inside]), _codes(table[member].values[inside])
    key = _codes(g * (m.max() + 1) + m)
    order = np.lexsort([begin, key])
    overlap = np.flatnonzero((key[order][1:] == key[order][:-1]) & (begin[order][1:] < stop[order][:-1] - 1e-9))
    if len(overlap):
        one, other = inside[order[overlap[0]]], inside[order[overlap[0] + 1]]
        raise DataError(
            f"two spells of member {table[member].values[one]!s} in group {table[group].values[one]!s} overlap (rows "
            f"{one} and {other}, counted from 0): join them into one, or correct their times"
        )
    first = order[np.flatnonzero(np.r_[True, key[order][1:] != key[order][:-1]])]  # first spell of each membership
    duration = np.bincount(key, stop - begin)[key[first]]
    low, high = np.full(g.max() + 1, np.inf), np.full(g.max() + 1, -np.inf)
    np.minimum.at(low, g, begin)
    np.maximum.at(high, g, stop)
    if cut[0] is not None:
        low[:] = cut[0]
    if cut[1] is not None:
        high[:] = cut[1]
    at = g[first]
    columns = {
        group: table[group].values[inside[first]], member: table[member].values[inside[first]], "duration": duration,
        "weight": duration / np.bincount(g, stop - begin)[at], "window": duration / (high - low)[at],
        "spells": np.bincount(key)[key[first]],
    }  # fmt: skip
    return long_table(data, columns, [v for v in values if v not in columns], inside[first])


def __dir__() -> list[str]:
    return list(__all__)


suggesting_all(globals(), __all__)
