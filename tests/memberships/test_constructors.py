"""Tables of memberships out of other shapes: what they hold, in every library, and that they go into a fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

import micromacro as mm

WIDE = {
    "pupil": [3, 1, 2, 4],
    "y": [1.0, 2.0, 0.5, 1.5],
    "school1": ["a", "b", "a", ""],
    "school2": ["b", None, "c", None],
    "share1": [0.25, 1.0, 0.5, 0.0],
    "share2": [0.75, 0.0, 0.5, 0.0],
}
FRAMES = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
    "dict": lambda d: {k: np.array(v, dtype=object if k.startswith("school") else None) for k, v in d.items()},
}


def rows(table, *columns):
    """Rows of a table of any library as tuples."""
    if isinstance(table, dict):
        got = table
    elif isinstance(table, pd.DataFrame):
        got = table.to_dict("list")
    else:
        got = table.to_pydict() if isinstance(table, pa.Table) else table.to_dict(as_series=False)
    return [tuple(row) for row in zip(*([*got[c]] for c in columns), strict=True)]


@pytest.mark.parametrize("library", list(FRAMES))
def test_wide(library):
    data = FRAMES[library](WIDE)
    long = mm.memberships.from_wide(data, ["school1", "school2"], ["share1", "share2"], group="pupil")
    assert type(long) is type(data)
    want = [(3, "a", 0.25, 1), (3, "b", 0.75, 2), (1, "b", 1.0, 1), (2, "a", 0.5, 1), (2, "c", 0.5, 2)]
    assert rows(long, "pupil", "school", "weight", "slot") == want


@pytest.mark.parametrize("library", list(FRAMES))
def test_wide_without_ids_and_with_columns_to_keep(library):
    long = mm.memberships.from_wide(FRAMES[library](WIDE), ["school1", "school2"], keep=["y"], member="where")
    got = rows(long, "row", "where", "weight", "y")
    assert got[:5] == [
        (0, "a", 0.5, 1.0),
        (0, "b", 0.5, 1.0),
        (1, "b", 1.0, 2.0),
        (2, "a", 0.5, 0.5),
        (2, "c", 0.5, 0.5),
    ]
    assert got[5][0] == 3 and pd.isna(got[5][1]) and got[5][3] == 1.5  # a group without a member is not lost
    assert len(got) == 6


def test_other_marks_of_an_empty_slot_and_values_beside():
    data = pd.DataFrame(
        {"c1": [5, 6], "c2": [0, 5], "c3": [-9, 0], "age1": [1, 2], "age2": [np.nan, 3], "age3": [0, 0]}
    )
    long = mm.memberships.from_wide(data, ["c1", "c2", "c3"], empty=[0, -9], values={"age": ["age1", "age2", "age3"]})
    assert rows(long, "row", "c", "age") == [(0, 5, 1.0), (1, 6, 2.0), (1, 5, 3.0)]


def test_one_line_from_wide_to_a_fit(rng):
    """The formula finds the rows of data= by number, or by id, with the same numbers as a long table."""
    n = 60
    data = pd.DataFrame({"pupil": rng.permutation(n) + 100, "x": rng.standard_normal(n)})
    data["school1"], data["school2"] = rng.integers(1, 9, n), rng.integers(1, 9, n) * rng.integers(0, 2, n)
    data["w2"] = np.where(data["school2"] > 0, 0.4, 0.0)
    data["w1"] = 1 - data["w2"]
    effect = rng.standard_normal(10)
    data["y"] = data["x"] + data["w1"] * effect[data["school1"]] + data["w2"] * effect[data["school2"]]
    data["y"] += 0.5 * rng.standard_normal(n)
    slots, weights = ["school1", "school2"], ["w1", "w2"]
    edges = mm.memberships.from_wide(data, slots, weights, "pupil", empty=0)
    formula = "y ~ x + mm(school, pupil, weights = weight, normalize = none)"
    fit = mm.fit(formula, data, memberships=edges, engine="ml")
    by_row = formula.replace("pupil", "row")
    unnamed = mm.fit(by_row, data, memberships=mm.memberships.from_wide(data, slots, weights, empty=0), engine="ml")
    long = mm.memberships.from_wide(data, slots, weights, "pupil", empty=0, keep="all")
    whole = mm.fit(formula, long, engine="ml")
    np.testing.assert_allclose(fit.params, unnamed.params, rtol=1e-5)
    np.testing.assert_array_equal(fit.params, whole.params)
    frame = mm.fit(by_row, pl.from_pandas(data), memberships=mm.memberships.from_wide(pl.from_pandas(data), slots,
                   weights, empty=0), engine="ml")  # fmt: skip
    np.testing.assert_array_equal(frame.params, unnamed.params)
    # rows that are groups come back in their order
    predicted = unnamed.predict(data, memberships=mm.memberships.from_wide(data, slots, weights, empty=0))
    assert list(predicted.index) == list(range(n))
    np.testing.assert_allclose(predicted["estimate"], fit.predict().loc[data["pupil"], "estimate"], rtol=1e-4)


@pytest.mark.parametrize("library", ["pandas", "polars", "dict"])
def test_lists(library):
    cells = {"paper": [1, 2, 3], "authors": ["ada; ben", "cleo", " "]}
    long = mm.memberships.from_lists(FRAMES[library](cells), "authors", group="paper")
    assert rows(long, "paper", "authors", "slot", "weight") == [
        (1, "ada", 1, 0.5),
        (1, "ben", 2, 0.5),
        (2, "cleo", 1, 1.0),
    ]


def test_lists_of_numbers_and_their_weights():
    data = pl.DataFrame({"team": [[1, 2, 3], [2], []], "hours": [[1.0, 2.0, 3.0], [4.0], []]})
    long = mm.memberships.from_lists(data, "team", weights="hours", member="player")
    assert rows(long, "row", "player", "weight") == [(0, 1, 1.0), (0, 2, 2.0), (0, 3, 3.0), (1, 2, 4.0)]
    bad = pl.DataFrame({"team": [[1, 2], [2]], "hours": [[1.0, 2.0], [4.0, 5.0]]})
    with pytest.raises(mm.DataError, match=r"row 1 .* lists 1 member in 'team', but 2 numbers in 'hours'"):
        mm.memberships.from_lists(bad, "team", weights="hours")


def test_candidates_share_a_slot():
    """`ada; ben|bob`: half of the group is ada, a quarter each of the two candidates."""
    data = pd.DataFrame({"paper": [1], "authors": ["ada; ben|bob"]})
    long = mm.memberships.from_lists(data, "authors", group="paper", candidates="|")
    assert rows(long, "authors", "weight", "probability") == [("ada", 0.5, 1.0), ("ben", 0.25, 0.5), ("bob", 0.25, 0.5)]
    table = pd.DataFrame(
        {"paper": [1, 1, 1, 2], "author": ["ada", "ben", "bob", "ada"], "slot": [1, 2, 2, 1], "p": [1, 3, 1, 1]}
    )
    spread = mm.memberships.from_candidates(table, "author", "paper", "slot", "p")
    want = [(1, "ada", 0.5, 1.0, 1), (1, "ben", 0.375, 0.75, 2), (1, "bob", 0.125, 0.25, 2), (2, "ada", 1.0, 1.0, 1)]
    assert rows(spread, "paper", "author", "weight", "probability", "candidates") == want


def test_sparse_matrices_and_frames():
    W = sparse.csr_array(np.array([[0, 0.5, 0.5], [1, 0, 0]]))
    long = mm.memberships.from_sparse(W)
    assert rows(long, "row", "member", "weight") == [(0, 1, 0.5), (0, 2, 0.5), (1, 0, 1.0)]
    named = mm.memberships.from_sparse(W, groups=["g", "h"], members=["a", "b", "c"], member="who")
    assert rows(named, "group", "who") == [("g", "b"), ("g", "c"), ("h", "a")]
    frame = pd.DataFrame(W.toarray(), index=["g", "h"], columns=["a", "b", "c"])
    pd.testing.assert_frame_equal(mm.memberships.from_sparse(frame, member="who", group="group"), named)
    with pytest.raises(mm.DataError, match="groups= has 1 ids, but W has 2"):
        mm.memberships.from_sparse(W, groups=["g"])


def test_graphs():
    nx = pytest.importorskip("networkx")
    graph = nx.Graph([("a", "b", {"w": 2.0}), ("b", "c", {"w": 3.0})])
    graph.add_node("alone")
    long = mm.memberships.from_graph(graph, weight="w", group="place", member="neighbour")
    want = [("a", "b", 2.0), ("b", "a", 2.0), ("b", "c", 3.0), ("c", "b", 3.0)]
    assert rows(long, "place", "neighbour", "weight") == want
    assert mm.memberships.from_graph(graph)["weight"].tolist() == [1.0, 0.5, 0.5, 1.0]
    directed = nx.DiGraph([("a", "b")])
    assert rows(mm.memberships.from_graph(directed), "group", "member") == [("a", "b")]
    many = nx.MultiGraph([("a", "b"), ("a", "b")])
    assert len(mm.memberships.from_graph(many, groups=["a"])) == 2
    with pytest.raises(mm.DataError, match="has no attribute 'w'"):
        mm.memberships.from_graph(directed, weight="w")


@pytest.mark.slow  # the package imports geopandas, for ten seconds
def test_libpysal():
    weights = pytest.importorskip("libpysal.weights")
    w = weights.W({"a": ["b", "c"], "b": ["a"], "c": ["a"], "d": []}, silence_warnings=True)
    w.transform = "r"
    want = [("a", "b", 0.5), ("a", "c", 0.5), ("b", "a", 1.0), ("c", "a", 1.0)]
    assert rows(mm.memberships.from_libpysal(w), "group", "member", "weight") == want
    graph = pytest.importorskip("libpysal.graph").Graph.from_W(w)
    assert sorted(rows(mm.memberships.from_libpysal(graph), "group", "member", "weight")) == want


def test_spells():
    data = pd.DataFrame(
        {
            "patient": [1, 1, 1, 2],
            "nurse": ["x", "y", "x", "y"],
            "start": pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-05", "2020-02-01"]),
            "end": pd.to_datetime(["2020-01-02", "2020-01-05", "2020-01-09", None]),
        }
    )
    long = mm.memberships.from_spells(data, "nurse", "patient", "start", "end", until="2020-02-11")
    got = rows(long, "patient", "nurse", "duration", "weight", "spells")
    assert got == [(1, "x", 5.0, 0.625, 2), (1, "y", 3.0, 0.375, 1), (2, "y", 10.0, 1.0, 1)]
    cut = mm.memberships.from_spells(data, "nurse", "patient", "start", "end", since="2020-01-04", until="2020-01-08")
    assert rows(cut, "patient", "nurse", "duration", "window") == [(1, "x", 3.0, 0.75), (1, "y", 1.0, 0.25)]
    with pytest.raises(mm.DataError, match="give until="):
        mm.memberships.from_spells(data, "nurse", "patient", "start", "end")
    clash = pd.DataFrame({"p": [1, 1], "m": [1, 1], "a": [0, 1], "b": [2, 3]})
    with pytest.raises(mm.DataError, match=r"overlap \(rows 0 and 1"):
        mm.memberships.from_spells(clash, "m", "p", "a", "b")
    with pytest.raises(mm.DataError, match="'a' is before 'b'"):
        mm.memberships.from_spells(clash, "m", "p", "b", "a")


@pytest.mark.parametrize("library", list(FRAMES))
def test_dyads(library):
    data = FRAMES[library]({"male": ["a", "b", "c"], "female": ["b", "a", "c"], "y": [1.0, 2.0, 3.0]})
    long = mm.memberships.from_dyads(data, "male", "female", member="line")
    want = [
        (0, "a", "male"),
        (0, "b", "female"),
        (1, "b", "male"),
        (1, "a", "female"),
        (2, "c", "male"),
        (2, "c", "female"),
    ]
    assert rows(long, "row", "line", "role") == want
    pairs = mm.memberships.with_pairs(data, "male", "female")
    assert type(pairs) is type(data)
    want = [("a x b", "a x b", 1.0), ("a x b", "b x a", 2.0), ("c x c", "c x c", 3.0)]
    assert rows(pairs, "pair", "ordered", "y") == want


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, d: m.from_wide(d, ["school1", "school3"]), "no column 'school3'; did you mean"),
        (lambda m, d: m.from_wide(d, "school1"), "slots is a list of column names"),
        (lambda m, d: m.from_wide(d, ["school1", "school2"], ["share1"]), "weights has 1 column, but there are 2"),
        (lambda m, d: m.from_wide(d, ["school1", "school2"], ["share2", "share1"]), "not zero beside an empty slot"),
        (lambda m, d: m.from_wide(d, ["school1", "y"]), "ids of different kinds"),
        (lambda m, d: m.from_wide(d.assign(pupil=1), ["school1"], group="pupil"), "it has several for 1 id"),
        (lambda m, d: m.from_wide(d.assign(school1=None), ["school1"]), "all slots are empty"),
        (lambda m, d: m.from_wide(d.assign(share1=np.nan), ["school1"], ["share1"]), "missing beside a member"),
        (lambda m, d: m.from_wide(d, ["school1"], member="row"), "have the same name"),
        (lambda m, d: m.from_lists(d, "authors"), "no column 'authors'"),
        (lambda m, d: m.from_graph(d), "takes a networkx graph"),
        (lambda m, d: m.from_libpysal(d), "takes libpysal weights"),
    ],
)  # fmt: skip
def test_errors(call, message):
    with pytest.raises(mm.DataError, match=message):
        call(mm.memberships, pd.DataFrame(WIDE))


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (
            lambda: mm.memberships.from_wide({"s1": ["5", "7"], "s2": ["0", "5"]}, ["s1", "s2"], empty=0),
            'as in empty="0"',
        ),
        (lambda: mm.memberships.from_wide({"s1": [5, 7], "s2": [0, 5]}, ["s1", "s2"], empty="0"), "as in empty=0"),
        (lambda: mm.memberships.from_lists({"a": ["5;0", "7"]}, "a", empty=0), 'as in empty="0"'),
        (lambda: mm.memberships.from_wide({"s1": [5, 7]}, ["s1", "s1"]), "two columns would be called 's1'"),
        (
            lambda: mm.memberships.from_wide({"s1": [5, 7], "v": [1, 2]}, ["s1"], values={"slot": ["v"]}),
            "two columns would be called 'slot'",
        ),
        (lambda: mm.memberships.from_sparse(np.eye(2), group="g", member="g"), "two columns would be called 'g'"),
        (lambda: mm.memberships.with_pairs({"a": ["p", "p x q"], "b": ["q x r", "r"]}, "a", "b"), "give a sep="),
    ],
)
def test_what_would_be_misread_is_an_error(made, says):
    with pytest.raises(mm.MicromacroError, match=says):
        made()


def test_signs_of_empty_slots_may_be_missing_values():
    wide = mm.memberships.from_wide(
        {"s1": ["5", "7"], "s2": [None, "5"]}, ["s1", "s2"], empty=[None, float("nan"), "7"]
    )
    assert list(wide["s"]) == ["5", "5"]


def test_nodes_that_are_tuples_are_to_be_relabelled():
    networkx = pytest.importorskip("networkx")
    with pytest.raises(mm.MicromacroError, match="relabel them"):
        mm.memberships.from_graph(networkx.grid_2d_graph(2, 2))


def test_an_id_that_never_has_a_weight_may_stand_for_an_empty_slot():
    data = {"s1": [1, 2, 3, 1], "s2": [0, 0, 2, 0], "p1": [1.0, 1.0, 0.5, 1.0], "p2": [0.0, 0.0, 0.5, 0.0]}
    with pytest.warns(mm.MicromacroWarning, match=r"the id 0 has a weight of zero in all of its 3 slots.*say empty=0"):
        mm.memberships.from_wide(data, ["s1", "s2"], ["p1", "p2"])
    mm.memberships.from_wide(data, ["s1", "s2"], ["p1", "p2"], empty=0)
    mm.memberships.from_wide(data, ["s1", "s2"])


def test_columns_of_two_kinds_of_members_are_kept_apart_by_their_slot():
    rng = np.random.default_rng(2)
    first, second = rng.integers(0, 12, 150), rng.integers(0, 5, 150)  # school 3 is one of each kind
    data = pd.DataFrame({"pupil": np.arange(150), "primary": first, "secondary": second})
    data["y"] = rng.normal(0, 1, 12)[first] + rng.normal(0, 0.7, 5)[second] + rng.normal(0, 0.5, 150)
    slots = mm.memberships.from_wide(data, ["primary", "secondary"], group="pupil", member="school")
    apart = "mm(school:slot, pupil, weights = 1, normalize = none, by = slot)"
    together = mm.fit(f"y ~ 1 + {apart}", data, memberships=slots, engine="ml", progress=False)
    crossed = mm.fit("y ~ 1 + (1 | primary) + (1 | secondary)", data, engine="ml", progress=False)
    assert together.loglik == pytest.approx(crossed.loglik, abs=1e-6)
    np.testing.assert_allclose(together.params.to_numpy(), crossed.params.to_numpy(), rtol=1e-3)
