"""Constructors of memberships: what cannot be is an error of ours, whatever it is; nothing is left out in silence."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import micromacro as mm

networkx = pytest.importorskip("networkx")


class Raises:
    """An object that answers nothing."""

    def __eq__(self, other):
        raise RuntimeError("no comparison")

    __hash__ = None

    def __repr__(self):
        raise RuntimeError("no text")

    def __float__(self):
        raise RuntimeError("no number")

    def __array__(self, *args, **kwargs):
        raise RuntimeError("no array")


WIDE = {"a1": ["u", "v", None], "a2": ["w", None, "u"], "w1": [0.5, 1.0, np.nan], "w2": [0.5, 0.0, 1.0], "k": [1, 2, 2]}
LISTS = {"who": ["ada; ben", "cleo", ""], "share": ["0.5; 0.5", "1", ""], "k": [1, 2, 3]}
SPELLS = {"m": ["a", "b", "a"], "g": [1, 1, 2], "s": [0.0, 1.0, 2.0], "e": [2.0, 3.0, np.inf], "f": [2.0, 3.0, 4.0]}
SLOTS = {"m": ["a", "b", "c"], "g": [1, 1, 2], "s": [1, 1, 1], "p": [0.2, 0.3, -1.0], "q": ["x", "y", "z"]}
PATH = networkx.path_graph(3)
from_wide, from_lists, from_spells = mm.memberships.from_wide, mm.memberships.from_lists, mm.memberships.from_spells
from_sparse, from_graph, from_libpysal = (
    mm.memberships.from_sparse,
    mm.memberships.from_graph,
    mm.memberships.from_libpysal,
)
from_candidates, from_dyads, with_pairs = (
    mm.memberships.from_candidates, mm.memberships.from_dyads, mm.memberships.with_pairs,
)  # fmt: skip


def _graph(*edges, **attributes):
    graph = networkx.DiGraph()
    graph.add_edges_from(edges, **attributes)
    return graph


BAD = {
    "wide, no slots": lambda: from_wide(WIDE, []),
    "wide, slots None": lambda: from_wide(WIDE, None),
    "wide, slots a number": lambda: from_wide(WIDE, 3),
    "wide, slots a name": lambda: from_wide(WIDE, "a1"),
    "wide, a slot that is not there": lambda: from_wide(WIDE, ["a1", "a9"]),
    "wide, a slot of numbers": lambda: from_wide(WIDE, ["a1", "k"]),
    "wide, weights a name": lambda: from_wide(WIDE, ["a1", "a2"], weights="w1"),
    "wide, too few weights": lambda: from_wide(WIDE, ["a1", "a2"], weights=["w1"]),
    "wide, weights of text": lambda: from_wide(WIDE, ["a1", "a2"], weights=["a1", "a2"]),
    "wide, values a list": lambda: from_wide(WIDE, ["a1", "a2"], values=["w1"]),
    "wide, a group twice": lambda: from_wide(WIDE, ["a1", "a2"], group="k"),
    "wide, group a number": lambda: from_wide(WIDE, ["a1", "a2"], group=5),
    "wide, member a number": lambda: from_wide(WIDE, ["a1", "a2"], member=5),
    "wide, keep a number": lambda: from_wide(WIDE, ["a1", "a2"], keep=5),
    "wide, no table": lambda: from_wide(None, ["a1", "a2"]),
    "wide, objects": lambda: from_wide({"a1": [Raises(), Raises()]}, ["a1"]),
    "lists, no sign": lambda: from_lists(LISTS, "who", sep=""),
    "lists, sign None": lambda: from_lists(LISTS, "who", sep=None),
    "lists, column a number": lambda: from_lists(LISTS, 3),
    "lists, weights a list": lambda: from_lists(LISTS, "who", weights=["share"]),
    "lists, weights of text": lambda: from_lists(LISTS, "who", weights="who"),
    "lists, candidates empty": lambda: from_lists(LISTS, "who", candidates=""),
    "lists, empty a list of lists": lambda: from_lists(LISTS, "who", empty=[["a"]]),
    "lists, cells of objects": lambda: from_lists({"who": [[Raises()], [Raises()]]}, "who"),
    "lists, numbers that are objects": lambda: from_lists({"who": ["a"], "w": [[Raises()]]}, "who", weights="w"),
    "spells, since text beside numbers": lambda: from_spells(SPELLS, "m", "g", "s", "f", since="x"),
    "spells, since nan": lambda: from_spells(SPELLS, "m", "g", "s", "f", since=np.nan),
    "spells, since an object": lambda: from_spells(SPELLS, "m", "g", "s", "f", since=Raises()),
    "spells, an end at infinity": lambda: from_spells(SPELLS, "m", "g", "s", "e"),
    "spells, ends of text": lambda: from_spells(SPELLS, "m", "g", "s", "m"),
    "spells, values a name": lambda: from_spells(SPELLS, "m", "g", "s", "f", values="s"),
    "spells, member is group": lambda: from_spells(SPELLS, "m", "m", "s", "f"),
    "spells, nothing inside": lambda: from_spells(SPELLS, "m", "g", "s", "f", since=100),
    "candidates, below zero": lambda: from_candidates(SLOTS, "m", "g", probability="p"),
    "candidates, text": lambda: from_candidates(SLOTS, "m", "g", probability="q"),
    "candidates, slot a number": lambda: from_candidates(SLOTS, "m", "g", slot=1),
    "candidates, member is group": lambda: from_candidates(SLOTS, "m", "m"),
    "sparse, text": lambda: from_sparse([["a", "b"]]),
    "sparse, ragged": lambda: from_sparse([[1, 2], [3]]),
    "sparse, complex": lambda: from_sparse(np.ones((2, 2)) * 1j),
    "sparse, objects": lambda: from_sparse([[Raises()]]),
    "sparse, an object": lambda: from_sparse(Raises()),
    "sparse, a vector": lambda: from_sparse([1.0, 2.0]),
    "sparse, None": lambda: from_sparse(None),
    "sparse, groups a number": lambda: from_sparse(np.eye(2), groups=5),
    "sparse, too many groups": lambda: from_sparse(np.eye(2), groups=[1, 2, 3]),
    "sparse, groups twice": lambda: from_sparse(np.eye(2), groups=["a", "a"]),
    "sparse, groups of two types": lambda: from_sparse(np.eye(2), groups=["a", 1]),
    "sparse, groups of lists": lambda: from_sparse(np.eye(2), groups=[[1], [2]]),
    "sparse, a group missing": lambda: from_sparse(np.eye(2), groups=["a", None]),
    "sparse, names alike": lambda: from_sparse(np.eye(2), member="weight"),
    "sparse, member a number": lambda: from_sparse(np.eye(2), member=1),
    "sparse, nan": lambda: from_sparse(np.array([[np.nan, 1.0]])),
    "graph, a table": lambda: from_graph(WIDE),
    "graph, no such weight": lambda: from_graph(PATH, weight="w"),
    "graph, weight a number": lambda: from_graph(PATH, weight=1),
    "graph, weights of text": lambda: from_graph(_graph((1, 2), w="heavy"), weight="w"),
    "graph, weights of objects": lambda: from_graph(_graph((1, 2), w=Raises()), weight="w"),
    "graph, weights of nan": lambda: from_graph(_graph((1, 2), w=np.nan), weight="w"),
    "graph, nodes of two types": lambda: from_graph(_graph((1, 2), ("a", "b"))),
    "graph, nodes of pairs": lambda: from_graph(networkx.grid_2d_graph(2, 2)),
    "graph, no edge": lambda: from_graph(networkx.empty_graph(3)),
    "graph, groups a number": lambda: from_graph(PATH, groups=1),
    "graph, groups not in it": lambda: from_graph(PATH, groups=[7]),
    "graph, names alike": lambda: from_graph(PATH, group="a", member="a"),
    "libpysal, a table": lambda: from_libpysal(WIDE),
    "dyads, first is second": lambda: from_dyads(WIDE, "a1", "a1"),
    "dyads, role a number": lambda: from_dyads(WIDE, "a1", "a2", role=1),
    "dyads, member is role": lambda: from_dyads(WIDE, "a1", "a2", member="role"),
    "pairs, sep a number": lambda: with_pairs(SPELLS, "m", "m", sep=1),
    "pairs, pair is ordered": lambda: with_pairs(SPELLS, "m", "m", pair="a", ordered="a"),
    "pairs, pair is first": lambda: with_pairs(SPELLS, "m", "g", pair="m"),
    "a misspelt argument": lambda: from_wide(WIDE, ["a1"], weigths=["w1"]),
}  # fmt: skip


@pytest.mark.parametrize("call", BAD.values(), ids=BAD)
def test_what_cannot_be_is_an_error_of_ours(call):
    with pytest.raises(mm.MicromacroError) as caught:
        call()
    assert len(str(caught.value)) > 15


def test_a_spell_of_one_moment_is_a_membership():
    rows = pd.DataFrame(
        [("a", 1, 0, 4), ("b", 1, 2, 2), ("c", 2, 5, 5), ("d", 2, 5, 5), ("a", 1, 4, 4), ("e", 3, 1, 1)],
        columns=["m", "g", "s", "e"],
    )
    for data in (rows, rows[::-1]):
        made = from_spells(data, "m", "g", "s", "e").set_index(["g", "m"]).sort_index()
        assert list(made.index) == [(1, "a"), (1, "b"), (2, "c"), (2, "d"), (3, "e")]
        np.testing.assert_allclose(made["duration"], [4, 0, 0, 0, 0])
        np.testing.assert_allclose(made["weight"], [1, 0, 0.5, 0.5, 1])
        np.testing.assert_allclose(made["window"], [1, 0, 1, 1, 1])
        np.testing.assert_array_equal(made["spells"], [2, 1, 1, 1, 1])
    cut = from_spells(rows, "m", "g", "s", "e", since=2, until=4)
    assert sorted(cut["m"]) == ["a", "b"]  # c, d and e are outside; what the window cuts to nothing is outside too
    assert sorted(from_spells(rows, "m", "g", "s", "e", since=4)["m"]) == ["a", "c", "d"]
    moments = rows.assign(s=pd.to_datetime("2020-01-01") + pd.to_timedelta(rows.s, "D"))
    moments["e"] = pd.to_datetime("2020-01-01") + pd.to_timedelta(rows.e, "D")
    made = from_spells(moments, "m", "g", "s", "e", until=pd.Timestamp("2020-01-10"))
    assert len(made) == 5 and made["weight"].notna().all()


def test_a_moment_inside_a_longer_spell_of_the_same_member_overlaps_it():
    with pytest.raises(mm.DataError, match="overlap"):
        from_spells({"m": ["a", "a"], "g": [1, 1], "s": [0, 2], "e": [4, 2]}, "m", "g", "s", "e")


def test_ids_of_matrices_keep_their_types():
    for ids in ([3, 1], ["b", "a"], pd.to_datetime(["2020-01-02", "2020-01-01"]), [True, False], [0.5, 1.5]):
        made = from_sparse(sparse.eye_array(2), groups=ids, members=ids)
        assert made["group"].tolist() == list(ids)
    assert from_sparse(np.eye(2), groups=[Decimal(1), Decimal(2)])["group"].tolist() == [1, 2]
