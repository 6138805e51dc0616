"""Ids and their codes: sorted as what they are, found again, never taken for one another."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micromacro.errors import DataError
from micromacro.table.columns import read_table
from micromacro.table.levels import encode


def column(values, name="id"):
    return read_table({name: values}, "data")[name]


@pytest.mark.parametrize(
    ("ids", "levels", "codes"),
    [
        ([10, 9, 10, -1], [-1, 9, 10], [2, 1, 2, 0]),
        (["10", "9", "10", "-1"], ["-1", "10", "9"], [1, 2, 1, 0]),
        ([2.0, 1.0, 2.0], [1, 2], [1, 0, 1]),
        ([2.5, 1.0], [1.0, 2.5], [1, 0]),
        ([2, None, 1], [1, 2], [1, -1, 0]),
        ([None, "b", "a"], ["a", "b"], [-1, 1, 0]),
        (["", "a", ""], ["", "a"], [0, 1, 0]),
        (["é", "z", "Z", "a"], ["Z", "a", "z", "é"], [3, 2, 0, 1]),
        (["a", "a "], ["a", "a "], [0, 1]),
        ([True, False], [False, True], [1, 0]),
        ([2**62 + 1, 2**62], [2**62, 2**62 + 1], [1, 0]),
        (pd.Series(pd.Categorical(["b", "a"], categories=["b", "a", "c"])), ["a", "b"], [1, 0]),
        (pl.Series(["b", "a"], dtype=pl.Enum(["b", "c", "a"])), ["a", "b"], [1, 0]),
        (
            [dt.date(2020, 1, 2), dt.date(2019, 1, 1)],
            [*map(dt.datetime.fromisoformat, ["2019-01-01", "2020-01-02"])],
            [1, 0],
        ),
    ],
)
def test_levels_are_sorted_in_their_own_type(ids, levels, codes):
    found, made = encode(column(ids))
    assert made.values.tolist() == levels
    assert found.tolist() == codes
    assert found.dtype == np.int64
    assert len(made) == len(levels)


@pytest.mark.parametrize(
    ("ids", "others", "codes"),
    [
        ([1, 2, 5], [5, 3, 1, 0, 9], [2, -1, 0, -1, -1]),
        ([1, 2, 5], [5.0, 1.5, None], [2, -1, -1]),
        ([1.5, 2.5], [2, 1.5], [-1, 0]),
        (["a", "b"], ["b", "c", None, ""], [1, -1, -1, -1]),
        (["a", "b"], pd.Series(["b", "c"], dtype="category"), [1, -1]),
        ([True], [False, True], [-1, 0]),
    ],
)
def test_ids_are_found_again_and_strangers_get_minus_one(ids, others, codes):
    levels = encode(column(ids))[1]
    assert levels.find(column(others)).tolist() == codes


@pytest.mark.parametrize(
    ("ids", "others", "says"),
    [
        (
            [1, 2],
            ["1", "2"],
            r"column 'id' are text \(such as '1'\), but those .* are numbers \(such as 1\): give both",
        ),
        (["1", "2"], [1, 2], "are numbers .* but those .* are text"),
        ([1, 2], [True, False], "are true or false .* but those .* are numbers"),
        ([1, 2], [dt.date(2020, 1, 1)], "are times"),
    ],
)
def test_text_is_never_matched_with_numbers(ids, others, says):
    with pytest.raises(DataError, match=says):
        encode(column(ids))[1].find(column(others))
    with pytest.raises(DataError, match=r"of edges are .*, but those of data are"):
        encode(column(ids))[1].find(column(others), ("edges", "data"))


def test_one_type_missing_altogether_is_matched_with_nothing():
    levels = encode(column([1, 2]))[1]
    assert levels.find(column([None, None])).tolist() == [-1, -1]


ids = st.one_of(
    st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=20),
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4), min_size=1),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20),
)


@settings(derandomize=True, max_examples=60, deadline=None, database=None)
@given(ids)
def test_the_level_of_a_code_is_the_id(values):
    codes, levels = encode(column(values))
    assert levels.values[codes].tolist() == values
    assert sorted(set(values)) == levels.values.tolist()
    assert levels.find(levels).tolist() == list(range(len(levels)))
    assert levels.find(column(values)).tolist() == codes.tolist()
