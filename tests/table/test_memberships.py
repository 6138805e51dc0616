"""From tables to groups and memberships in canonical order: both shapes, joins, missing values, and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest

from micromacro.errors import DataError
from micromacro.table.memberships import BlockRequest, TableRequest, assemble, available_columns

REQUEST = TableRequest("g", ("y", "z"), (BlockRequest("p", "p", ("x",)),), ("y",))

# Groups 1, 2, 10 in an order of no one's choice; member b is in two groups.
LONG = {
    "g": [10, 2, 1, 10, 2],
    "y": [5.0, 3.0, 1.0, 5.0, 3.0],
    "z": ["u", "v", "u", "u", "v"],
    "p": ["c", "b", "a", "b", "a"],
    "x": [0.3, 0.2, 0.1, 0.25, 0.15],
}
GROUPS = {"g": [2, 10, 1], "y": [3.0, 5.0, 1.0], "z": ["v", "u", "u"]}
EDGES = {"p": ["b", "a", "c", "a", "b"], "g": [2, 2, 10, 1, 10], "x": [0.2, 0.15, 0.3, 0.1, 0.25]}


def canonical(tables):
    rows = tables.blocks["p"]
    return {
        "groups": tables.group_levels.values.tolist(),
        "y": tables.groups["y"].values.tolist(),
        "z": tables.groups["z"].values.tolist(),
        "start": rows.start.tolist(),
        "members": rows.members.values[rows.member].tolist(),
        "x": rows.table["x"].values.tolist(),
    }


EXPECTED = {
    "groups": [1, 2, 10],
    "y": [1.0, 3.0, 5.0],
    "z": ["u", "v", "u"],
    "start": [0, 1, 3, 5],
    "members": ["a", "a", "b", "b", "c"],
    "x": [0.1, 0.15, 0.2, 0.25, 0.3],
}
GROUP_ROWS = {"g": [1, 2, 10], "y": [1.0, 3.0, 5.0], "z": ["u", "v", "u"]}
EDGES_ONLY = {"p": EDGES["p"], "g": EDGES["g"]}
BY_GROUP = {"g": [1, 2, 10], "x": [0.7, 0.8, 0.9]}
SHAPES = {
    "long": (LONG, {}),
    "long, pandas": (pd.DataFrame(LONG), {}),
    "long, reversed": ({k: v[::-1] for k, v in LONG.items()}, {}),
    "relational": (GROUPS, {"memberships": EDGES}),
    "relational, sorted": (GROUP_ROWS, {"memberships": EDGES}),
    "relational, mixed libraries": (pl.DataFrame(GROUPS), {"memberships": pd.DataFrame(EDGES)}),
    "relational, by block": (GROUPS, {"memberships": {"p": EDGES}}),
    "relational, ids as floats": (GROUPS | {"g": [2.0, 10.0, 1.0]}, {"memberships": EDGES}),
    "relational, unused columns apart": (GROUPS | {"w": [1, 2, 3]}, {"memberships": EDGES | {"w": [9] * 5}}),
}


@pytest.mark.parametrize(("data", "more"), SHAPES.values(), ids=SHAPES)
def test_every_shape_comes_to_the_same_order(data, more):
    assert canonical(assemble(REQUEST, data, **more)) == EXPECTED


@pytest.mark.parametrize("by_column", [False, True], ids=["a table", "a dict of tables"])
def test_columns_of_members_come_from_a_table_of_members(by_column):
    people = {"p": ["c", "a", "d", "b"], "x": [3.0, 1.0, 4.0, 2.0]}
    members = {"p": people} if by_column else people
    tables = assemble(REQUEST, GROUPS, {"p": EDGES["p"], "g": EDGES["g"]}, members)
    assert canonical(tables) == EXPECTED | {"x": [1.0, 1.0, 2.0, 2.0, 3.0]}


def test_a_block_may_read_columns_of_the_groups():
    request = TableRequest("g", ("y", "z"), (BlockRequest("p", "p", ("y",)),), ("y",))
    rows = assemble(request, GROUPS, {"p": EDGES["p"], "g": EDGES["g"]}).blocks["p"]
    assert rows.table["y"].values.tolist() == [1.0, 3.0, 3.0, 5.0, 5.0]


def test_two_blocks_have_edge_tables_of_their_own():
    request = TableRequest("g", ("y",), (BlockRequest("p", "p", ()), BlockRequest("q", "q", ())), ("y",))
    second = {"q": [7, 7], "g": [1, 10]}
    tables = assemble(request, GROUPS, {"p": EDGES, "q": second})
    assert tables.blocks["p"].start.tolist() == [0, 1, 3, 5]
    assert tables.blocks["q"].start.tolist() == [0, 1, 1, 2]
    assert tables.blocks["q"].members.values.tolist() == [7]


def test_a_missing_member_is_an_empty_slot():
    long = LONG | {"p": ["c", None, "a", "b", None]}
    tables = assemble(REQUEST, long)
    assert tables.blocks["p"].start.tolist() == [0, 1, 1, 3]
    assert tables.notes == ("1 of 3 groups have no member in block 'p' and get 0 from it",)
    x = [0.3, None, 0.1, 0.25, float("inf")]
    assert assemble(REQUEST, long | {"x": [*x[:4], None]}).blocks["p"].start.tolist() == [0, 1, 1, 3]


def test_a_member_listed_again_counts_again():
    again = {k: [*v, v[0]] for k, v in EDGES.items()}
    tables = assemble(REQUEST, GROUPS, again)
    assert tables.blocks["p"].start.tolist() == [0, 1, 4, 6]
    assert tables.blocks["p"].table["x"].values.tolist() == [0.1, 0.15, 0.2, 0.2, 0.25, 0.3]
    (note,) = tables.notes
    assert re.match(r"1 membership of block 'p' lists? a member again in the same group: it counts as often", note)


def test_without_a_block_every_row_is_a_group():
    request = TableRequest(None, ("y", "z"), (), ("y",))
    tables = assemble(request, {"y": [2.0, 1.0, 2.0], "z": ["b", "c", "a"]})
    assert tables.groups["y"].values.tolist() == [1.0, 2.0, 2.0]
    assert tables.groups["z"].values.tolist() == ["c", "a", "b"]
    assert tables.order.tolist() == [1, 2, 0]
    assert tables.group_levels is None


# -- missing and infinite values -------------------------------------------------------------------------------

GAPS = [
    ("y", {"y": [5.0, None, 1.0, 5.0, None]}, "'y' of data is missing in 2 rows (first: 1, 4)", "1 group ", [1, 10]),
    ("z", {"z": ["u", "v", "u", None, "v"]}, "'z' of data is missing in 1 row (first: 3)", "1 group ", [1, 2]),
    ("x", {"x": [None, 0.2, 0.1, 0.2, None]}, "'x' of data is missing in 2 rows (first: 0, 4)", "2 groups ", [1]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "where", "leaves", "kept"), GAPS)
def test_missing_values_are_counted_and_dropped_only_on_request(name, change, where, leaves, kept):
    with pytest.raises(DataError) as caught:
        assemble(REQUEST, LONG | change)
    message = str(caught.value)
    assert where in message
    assert f'rows counted from 0: fill them in, or give missing="drop" to leave out the {leaves}(of 3)' in message
    tables = assemble(REQUEST, LONG | change, missing="drop")
    assert tables.group_levels.values.tolist() == kept
    assert tables.blocks["p"].start[-1] == sum(LONG["g"].count(g) for g in kept)
    gone = 3 - len(kept)
    assert tables.notes[0].startswith(f"dropped {gone} of 3 groups for missing values in '{name}' of data")


def test_dropping_leaves_no_trace_of_what_was_dropped():
    dirty = {k: [*v, w] for (k, v), w in zip(LONG.items(), [99, None, "new", "newcomer", 9.9], strict=True)}
    tables = assemble(REQUEST, dirty, missing="drop")
    assert canonical(tables) == EXPECTED
    assert tables.blocks["p"].members.values.tolist() == ["a", "b", "c"]


def test_gaps_in_several_columns_are_all_listed():
    with pytest.raises(DataError, match=r"column 'y' .* and column 'x' of data is missing in 1 row"):
        assemble(REQUEST, LONG | {"y": [5.0, None, 1.0, 5.0, 3.0], "x": [0.3, 0.2, None, 0.25, 0.15]})


def test_dropping_all_is_an_error():
    with pytest.raises(DataError, match="missing=\"drop\" leaves no group: values are missing in 'y' of data"):
        assemble(REQUEST, LONG | {"y": [None] * 5}, missing="drop")


@pytest.mark.parametrize("missing", ["error", "drop"])
@pytest.mark.parametrize("name", ["y", "x"])
def test_infinite_values_are_an_error_whatever_is_to_happen_to_missing_ones(name, missing):
    values = [*LONG[name][:3], np.inf, LONG[name][4]]
    with pytest.raises(DataError, match=rf"column '{name}' of data is infinite in 1 row \(first: 3\).*: correct these"):
        assemble(REQUEST, LONG | {name: values}, missing=missing)


# -- what is refused ---------------------------------------------------------------------------------------------

PEOPLE = {"p": ["a", "b", "c"], "x": [1.0, 2.0, 3.0]}
REFUSED = [
    # the shape as a whole
    (LONG, {"members": PEOPLE}, r"members= goes with memberships=: without it, data holds all columns"),
    ({k: LONG[k] for k in "gyz"}, {"memberships": EDGES},
     r"data must have one row for each 'g', but it has several for 2 ids \(first: 2, 10\)"),
    (LONG, {"missing": "ignore"}, 'missing= is "error" or "drop", not \'ignore\''),
    # groups
    (LONG | {"g": [10, None, 1, 10, 2]}, {}, r"the group column 'g' of data is missing in 1 row \(first: 1\)"),
    (GROUPS | {"g": [2, 10, None]}, {"memberships": EDGES}, "the group column 'g' of data is missing in 1 row"),
    (GROUPS | {"g": [2, 10, 3]}, {"memberships": EDGES},
     r"memberships has 1 id in column 'g' that data does not have \(first: 1; first rows, counted from 0: 3\): add"),
    (GROUPS | {"g": ["2", "10", "1"]}, {"memberships": EDGES},
     r"column 'g' of memberships are numbers \(such as 2\), but those of data are text \(such as '1'\)"),
    (GROUPS, {"memberships": EDGES | {"g": [2, 2, None, 1, 10]}},
     r"'g' of memberships is missing in 1 row that lists? a member"),
    (LONG | {"y": [5.0, 3.0, 1.0, 5.5, 3.0]}, {},
     r"group 10 \('g'\) has two outcomes: column 'y' is 5.0 \(row 0\) and 5.5 \(row 3, counted from 0\)"),
    (LONG | {"z": ["u", "v", "u", "v", "u"]}, {},
     r"'z' belongs to groups but is not constant in group 2 \('g'\): it is v \(row 1\) and u .* within 1 other group"),
    # members
    (GROUPS, {"memberships": EDGES_ONLY, "members": PEOPLE | {"p": ["a", "b", "d"]}},
     r"memberships has 1 id in column 'p' that members does not have \(first: c; first rows, counted from 0: 2\)"),
    (GROUPS, {"memberships": EDGES_ONLY, "members": PEOPLE | {"p": ["a", "b", "a"]}},
     r"members must have one row for each 'p', but it has several for 1 id \(first: a\): remove all but one"),
    (GROUPS, {"memberships": EDGES_ONLY, "members": PEOPLE | {"x": [1.0, None, 3.0]}},
     r"column 'x' of members is missing in 1 row \(first: 1\)"),
    (GROUPS, {"memberships": EDGES_ONLY, "members": {"x": [1.0]}}, "members has no column 'p'"),
    # columns
    (GROUPS, {"memberships": EDGES, "members": PEOPLE}, "column 'x' is in memberships and in members: rename"),
    (GROUPS | {"x": [1, 2, 3]}, {"memberships": EDGES}, "column 'x' is in memberships and in data: rename or drop one"),
    (GROUPS, {"memberships": EDGES | {"y": [1.0] * 5}}, "column 'y' is in memberships and in data: rename or drop one"),
    (GROUPS, {"memberships": EDGES_ONLY}, r"memberships and data has no column 'x'"),
    (GROUPS, {"memberships": {"p": EDGES["p"], "x": EDGES["x"]}}, "memberships has no column 'g'"),
    ({"g": [2, 10, 1], "z": ["v", "u", "u"]}, {"memberships": EDGES | {"y": [1.0] * 5}},
     r"column 'y' is used for groups, so data \(one row per group\) must have it, but it is in memberships"),
    (LONG | {"x": LONG["x"][:4]}, {}, "the columns of data have unequal lengths"),
    # dicts of tables
    (GROUPS, {"memberships": {"q": EDGES}},
     r"memberships= has a table for 'q', which is not a block of the formula.*\(blocks: p\)"),
    (GROUPS, {"memberships": {"p": EDGES, "P": EDGES}},
     "table for 'P', which is not a block of the formula; did you mean 'p'"),
    (GROUPS, {"memberships": EDGES_ONLY, "members": {"g": PEOPLE}},
     "members= has a table for 'g', which is not a member column"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "more", "says"), REFUSED)
def test_tables_that_do_not_fit_together_are_refused(data, more, says):
    with pytest.raises(DataError, match=says):
        assemble(REQUEST, data, **more)


def test_a_block_without_its_edge_table_is_refused():
    request = TableRequest("g", ("y",), (BlockRequest("p", "p", ()), BlockRequest("q", "q", ())), ("y",))
    with pytest.raises(DataError, match="memberships= has no table for block 'q'; it has p"):
        assemble(request, GROUPS, {"p": EDGES})


def test_edge_tables_without_a_block_are_refused():
    with pytest.raises(DataError, match=r"need a formula with mm\(\)"):
        assemble(TableRequest(None, ("y",)), GROUPS, EDGES)


def test_available_columns_are_those_of_all_tables():
    assert available_columns(GROUPS, {"p": EDGES}, {"p": {"p": ["a"], "w": [1]}}) == ("g", "y", "z", "p", "x", "w")
