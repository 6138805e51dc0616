"""Columns out of any table: one meaning, whichever library holds it and however it marks a missing value."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from micromacro.errors import DataError
from micromacro.table.columns import Table, column_names, read_table

DAY = dt.datetime.fromisoformat("2020-01-31T12:00")
NAT = np.datetime64("NaT", "us")

#: kind, values (None where missing), and ways to hold them.
SAME = {
    "integers": ("integer", [3, 1, 2], [
        [3, 1, 2],
        (3, 1, 2),
        np.array([3, 1, 2]),
        np.array([3, 1, 2], dtype="u1"),
        np.array([3, 1, 2], dtype=object),
        pd.Series([3, 1, 2]),
        pd.Series([3, 1, 2], dtype="Int16"),
        pd.Series([3, 1, 2], dtype="int64[pyarrow]"),
        pd.Series([3, 1, 2], dtype="Sparse[int]"),
        pd.Index([3, 1, 2]),
        pl.Series([3, 1, 2]),
        pl.Series([3, 1, 2], dtype=pl.Int128),
        pa.array([3, 1, 2]),
        pa.chunked_array([[3], [1, 2]]),
    ]),
    "integers, one missing": ("integer", [3, None, 2], [
        [3, None, 2],
        [3.0, None, 2.0],
        [3, pd.NA, 2],
        np.array([3, np.nan, 2]),
        np.ma.MaskedArray([3, 9, 2], mask=[0, 1, 0]),
        pd.Series([3, None, 2]),
        pd.Series([3, None, 2], dtype="Int64"),
        pd.Series([3, None, 2], dtype="int64[pyarrow]"),
        pl.Series([3, None, 2]),
        pl.Series([3.0, float("nan"), 2.0]),
        pa.array([3, None, 2]),
    ]),
    "numbers": ("number", [0.5, -1.0, 2.0], [
        [0.5, -1, 2],
        [Decimal("0.5"), Decimal(-1), 2],
        np.array([0.5, -1, 2]),
        np.array([0.5, -1, 2], dtype="f2"),
        pd.Series([0.5, -1, 2], dtype="Float32"),
        pd.Series([0.5, -1, 2], dtype="double[pyarrow]"),
        pl.Series([0.5, -1, 2]),
        pl.Series([Decimal("0.5"), Decimal(-1), Decimal(2)]),
        pa.array([0.5, -1, 2]),
    ]),
    "numbers, one missing": ("number", [0.5, None, 2.0], [
        [0.5, None, 2],
        [0.5, float("nan"), 2],
        [0.5, np.float64("nan"), 2],
        [0.5, pd.NA, 2],
        [0.5, pd.NaT, 2],
        np.array([0.5, np.nan, 2]),
        pd.Series([0.5, None, 2]),
        pd.Series([0.5, None, 2], dtype="Float64"),
        pl.Series([0.5, None, 2]),
        pl.Series([0.5, float("nan"), 2]),
        pa.array([0.5, None, 2]),
    ]),
    "text": ("text", ["b", "", "ä"], [
        ["b", "", "ä"],
        np.array(["b", "", "ä"]),
        np.array(["b", "", "ä"], dtype=object),
        np.array(["b", "", "ä"], dtype=np.dtypes.StringDType()),
        pd.Series(["b", "", "ä"]),
        pd.Series(["b", "", "ä"], dtype=object),
        pd.Series(["b", "", "ä"], dtype="string[python]"),
        pd.Series(["b", "", "ä"], dtype="string[pyarrow]"),
        pl.Series(["b", "", "ä"]),
        pa.array(["b", "", "ä"]),
        pa.array(["b", "", "ä"], type=pa.large_string()),
    ]),
    "text, one missing": ("text", ["b", None, "nan"], [
        ["b", None, "nan"],
        ["b", float("nan"), "nan"],
        ["b", pd.NA, "nan"],
        pd.Series(["b", None, "nan"]),
        pd.Series(["b", None, "nan"], dtype=object),
        pd.Series(["b", np.nan, "nan"], dtype=object),
        pd.Series(["b", None, "nan"], dtype="string[pyarrow]"),
        pl.Series(["b", None, "nan"]),
        pa.array(["b", None, "nan"]),
    ]),
    "booleans": ("bool", [True, False, False], [
        [True, False, False],
        np.array([1, 0, 0], dtype=bool),
        [np.True_, np.False_, np.False_],
        pd.Series([True, False, False], dtype="boolean"),
        pl.Series([True, False, False]),
        pa.array([True, False, False]),
    ]),
    "booleans, one missing": ("bool", [True, None, False], [
        [True, None, False],
        pd.Series([True, None, False]),
        pd.Series([True, None, False], dtype="boolean"),
        pl.Series([True, None, False]),
        pa.array([True, None, False]),
    ]),
    "times": ("time", [DAY, None], [
        [DAY, None],
        [DAY, pd.NaT],
        [np.datetime64(DAY), NAT],
        [DAY.replace(tzinfo=dt.UTC), None],
        np.array([DAY, NAT], dtype="M8[s]"),
        pd.Series([DAY, None]),
        pd.Series([DAY, None]).dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin"),
        pl.Series([DAY, None]),
        pa.array([DAY, None]),
    ]),
    "categories in the user's order": ("category", ["low", "high", None], [
        pd.Series(pd.Categorical(["low", "high", None], categories=["low", "high"])),
        pd.Categorical(["low", "high", None], categories=["low", "high"]),
        pd.CategoricalIndex(["low", "high", None], categories=["low", "high"]),
        pl.Series(["low", "high", None], dtype=pl.Enum(["low", "high"])),
    ]),
    "categories in alphabetical order": ("category", ["low", "high", None], [
        pd.Series(["low", "high", None], dtype="category"),
        pl.Series(["low", "high", None], dtype=pl.Categorical),
        pa.chunked_array([["low", "high", None]]).dictionary_encode(),
    ]),
}  # fmt: skip
CASES = [pytest.param(*SAME[k][:2], v, k, id=f"{k} {i}") for k in SAME for i, v in enumerate(SAME[k][2])]


@pytest.mark.parametrize(("kind", "expected", "holder", "title"), CASES)
def test_one_column_however_it_is_held(kind, expected, holder, title):
    column = read_table({"x": holder}, "data")["x"]
    assert column.kind == kind
    assert column.missing.tolist() == [v is None for v in expected]
    assert [None if m else v for v, m in zip(column.values.tolist(), column.missing, strict=True)] == expected
    order = {"categories in the user's order": ("low", "high"), "categories in alphabetical order": ("high", "low")}
    assert column.categories == order.get(title)


FRAMES = {
    "pandas": pd.DataFrame,
    "pandas on pyarrow": lambda d: pd.DataFrame(d).convert_dtypes(dtype_backend="pyarrow"),
    "pandas nullable": lambda d: pd.DataFrame(d).convert_dtypes(dtype_backend="numpy_nullable"),
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
    "dict of lists": dict,
    "dict of Series": lambda d: dict(pd.DataFrame(d).items()),
    "dict of arrays": lambda d: {k: np.array(v) for k, v in d.items()},
}


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
def test_a_whole_frame_reads_the_same_from_every_library(make):
    plain = {"i": [3, 1, None], "f": [0.5, None, 2.5], "s": ["b", "a", None], "t": [1, 2, 3], "b": [True, False, True]}
    table = read_table(make(plain), "data")
    assert table.names == ("i", "f", "s", "t", "b")
    assert [table[n].kind for n in table.names] == ["integer", "number", "text", "integer", "bool"]
    for name, values in plain.items():
        column = table[name]
        assert column.missing.tolist() == [v is None for v in values]
        present = [v for v in values if v is not None]
        assert column.values[~column.missing].tolist() == present


def test_only_what_is_asked_for_is_converted():
    frame = {"x": [1, 2], "broken": [1, "a"], "longer": [1, 2, 3]}
    assert read_table(frame, "data", ["x"]).names == ("x",)
    assert column_names(frame) == ("x", "broken", "longer")


def test_a_table_does_not_change_with_the_users_data():
    values = np.array([1.0, 2.0])
    flags = np.array([True, False])
    table = read_table({"x": values, "b": flags}, "data")
    values[0], flags[0] = 9.0, False
    assert table["x"].values[0] == 1.0
    assert table["b"].values[0]


def test_a_negative_zero_is_a_zero():
    assert not np.signbit(read_table({"x": [-0.0, 0.0]}, "data")["x"].values).any()


def test_a_table_may_be_read_again():
    table = read_table({"x": [1, 2], "z": [3, 4]}, "data")
    again = read_table(table, "copy", ["z"])
    assert isinstance(again, Table)
    assert (again.name, again.names, again["z"].values.tolist()) == ("copy", ("z",), [3, 4])


ERRORS = [
    ({"x": [1, "a"]}, r"column 'x' of data mixes int \(such as 1\) and str \(such as 'a'\): make them all"),
    ({"x": np.array([1.5, "a"], dtype=object)}, "mixes float .* and str"),
    ({"x": [True, 2]}, r"mixes bool \(such as True\) and int \(such as 2\)"),
    ({"x": [DAY, 2]}, "mixes datetime .* and int"),
    (pd.DataFrame({"x": [1, "a"]}), "column 'x' of data mixes int"),
    ({"x": [b"a"]}, "'x' of data holds bytes values, which cannot be used: make it numbers or text"),
    ({"x": np.array([1j])}, "holds complex128 values"),
    ({"x": np.array([1], dtype="m8[D]")}, "holds timedelta64"),
    ({"x": [{"a": 1}]}, "holds dict values"),
    (pl.DataFrame({"x": [[1], [2]]}), "holds List"),
    (pl.DataFrame({"x": [dt.timedelta(1)]}), "holds Duration"),
    ({"x": np.ones((2, 2))}, r"'x' of data must be one-dimensional, but its shape is \(2, 2\)"),
    ({"x": [[1, 2], [3, 4]]}, "must be one-dimensional"),
    ({"x": 5}, "must be one-dimensional"),
    ({"x": "abc"}, "must be one-dimensional"),
    ({"x": [2**70]}, "'x' of data has numbers beyond 64 bits: make it text if they are ids"),
    ({"x": np.array([2**64 - 1], dtype="u8")}, "beyond 64 bits"),
    ({"x": [2**60, None]}, r"whole numbers beyond 2\*\*53 beside missing values"),
    ({"x": [1, 2], "z": [1, 2, 3]}, "the columns of data have unequal lengths: 'x' 2, 'z' 3"),
    ({"x": [1, 2], "z": []}, "unequal lengths: 'x' 2, 'z' 0"),
    ({"x": []}, "data has no rows"),
    ({}, "data has no rows"),
    (pd.DataFrame({"x": []}), "data has no rows"),
    (pl.DataFrame({"x": []}), "data has no rows"),
    (pa.table({"x": pa.array([], pa.int64())}), "data has no rows"),
    (pl.LazyFrame({"x": [1]}), "not LazyFrame; collect it first"),
    (pd.DataFrame([[1, 2]], columns=["x", "x"]), "data has several columns named 'x': rename or remove all but one"),
    (pa.table([[1], [2]], names=["x", "x"]), "several columns named 'x'"),
    ([1, 2], "must be a pandas, polars or pyarrow table, or a dict of arrays, not list"),
    (None, "not NoneType"),
    ("data.csv", "not str"),
    (np.ones((2, 2)), "not ndarray"),
]


@pytest.mark.parametrize(("data", "says"), ERRORS)
def test_what_cannot_be_read_is_an_error_that_says_why(data, says):
    with pytest.raises(DataError, match=says):
        read_table(data, "data")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("agee", r"data has no column 'agee'; did you mean 'age'\? \(columns: age, Size, other\)"),
        ("size", "no column 'size'; did you mean 'Size'"),
        ("zzz", r"no column 'zzz' \(columns: age, Size, other\)"),
    ],
)
@pytest.mark.parametrize("make", [dict, pd.DataFrame, pl.DataFrame, pa.table])
def test_an_unknown_column_is_named_with_near_misses(make, name, says):
    with pytest.raises(DataError, match=says):
        read_table(make({"age": [1], "Size": [2], "other": [3]}), "data", [name])


def test_columns_whose_name_is_no_text_are_passed_over():
    assert column_names(pd.DataFrame({"x": [1], 5: [2]})) == ("x",)
    assert column_names({"x": [1], 5: [2]}) == ("x",)
