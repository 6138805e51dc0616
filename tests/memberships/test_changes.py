"""The change of an aggregate between spells, decomposed: by hand, adding up, from tables of any kind."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

from .test_constructors import FRAMES, rows

PARTS = ["reallocation", "attributes", "entry", "exit", "total"]

# Two governments of a country. A: 2 * 0.5 + 6 * 0.5 = 4, then 3 * 0.75 + 9 * 0.25 = 4.5; the mean of both is 4.25.
# red stays (0.5 to 0.75, 2 to 3): 0.25 * (2.5 - 4.25) = -0.4375 and 0.625 * 1 = 0.625.
# blue leaves: -0.5 * (6 - 4.25) = -0.875; green enters: 0.25 * (9 - 4.25) = 1.1875.
TWO = {
    "country": ["x", "x", "x", "x"], "gov": [1, 1, 2, 2], "party": ["red", "blue", "red", "green"],
    "share": [0.5, 0.5, 0.75, 0.25], "left": [2.0, 6.0, 3.0, 9.0],
}  # fmt: skip


@pytest.mark.parametrize("library", list(FRAMES))
def test_by_hand(library):
    data = {k: np.array(v, dtype=object if isinstance(v[0], str) else None) for k, v in TWO.items()}
    data = data if library == "dict" else FRAMES[library](TWO)
    got = mm.memberships.changes(data, "party", "gov", "left", "share", unit="country")
    assert type(got) is type(data)
    assert rows(got, "country", "gov", "previous") == [("x", 2, 1)]
    assert rows(got, *PARTS)[0] == pytest.approx((-0.4375, 0.625, 1.1875, -0.875, 0.5), abs=1e-14)


def test_relative_to_zero_where_weights_do_not_sum_to_one():
    data = pd.DataFrame(TWO).assign(share=[1.0, 1.0, 3.0, 1.0])
    got = mm.memberships.changes(data, "party", "gov", "left", "share", unit="country")
    # 8, then 18: red 2 * 2.5 and 2 * 1, green enters with 9, blue leaves with 6
    assert got[PARTS].to_numpy()[0] == pytest.approx([5.0, 2.0, 9.0, -6.0, 10.0])
    shares = mm.memberships.changes(data, "party", "gov", "left", "share", unit="country", normalize="group")
    assert shares[PARTS].to_numpy()[0] == pytest.approx([-0.4375, 0.625, 1.1875, -0.875, 0.5])


def test_spells_of_a_group_told_apart_by_time():
    data = pd.DataFrame(TWO).rename(columns={"gov": "year"})
    got = mm.memberships.changes(data, "party", "country", "left", "share", time="year")
    assert got[["country", "year", "previous"]].to_numpy().tolist() == [["x", 2, 1]]
    assert got[PARTS].to_numpy()[0] == pytest.approx([-0.4375, 0.625, 1.1875, -0.875, 0.5])


def many(seed=3):
    rng = np.random.default_rng(seed)
    table = [(g % 4, g, m) for g in range(24) for m in rng.choice(9, rng.integers(1, 5), replace=False)]
    out = pd.DataFrame([*table, table[0]], columns=["unit", "group", "member"])
    out["x"], out["w"] = rng.standard_normal(len(out)), rng.random(len(out))
    out["when"] = -out["group"]
    return out


def aggregates(data, weight):
    return (data["x"] * weight).groupby(data["group"]).sum()


@pytest.mark.parametrize("weights", [None, "w"])
def test_the_parts_add_up_and_rows_may_come_in_any_order(weights):
    data = many()
    got = mm.memberships.changes(data, "member", "group", "x", weights, unit="unit")
    weight = data["w"] if weights else 1.0 / data.groupby("group")["x"].transform("size")
    a = aggregates(data, weight)
    assert len(got) == 20
    np.testing.assert_allclose(got["total"], a[got["group"]].to_numpy() - a[got["previous"]].to_numpy(), atol=1e-14)
    np.testing.assert_allclose(got[PARTS[:4]].sum(axis=1), got["total"], atol=1e-14)
    other = mm.memberships.changes(data.sample(frac=1, random_state=1), "member", "group", "x", weights, unit="unit")
    pd.testing.assert_frame_equal(got, other)


def test_time_orders_the_spells_and_going_back_changes_every_sign():
    data = many()
    forth = mm.memberships.changes(data, "member", "group", "x", unit="unit")
    back = mm.memberships.changes(data, "member", "group", "x", unit="unit", time="when")
    one = forth.set_index(["previous", "group"])[PARTS].sort_index()
    other = back.set_index(["group", "previous"])[PARTS].sort_index()
    swapped = other.rename(columns={"entry": "exit", "exit": "entry"})[PARTS]
    np.testing.assert_allclose(one, -swapped, atol=1e-14)


def test_adding_a_constant_changes_nothing_where_weights_sum_to_one():
    data = many()
    one = mm.memberships.changes(data, "member", "group", ["x"], unit="unit")
    other = mm.memberships.changes(data.assign(x=data["x"] + 7.0), "member", "group", ["x"], unit="unit")
    np.testing.assert_allclose(one[PARTS], other[PARTS], atol=1e-12)
    assert set(one["value"]) == {"x"}


def test_an_empty_spell_and_empty_slots():
    data = pd.DataFrame(
        {"u": [1] * 5, "g": [1, 1, 2, 3, 3], "m": ["a", "b", None, "a", None], "x": [1.0, 3.0, np.nan, 5.0, np.nan]}
    )
    got = mm.memberships.changes(data, "m", "g", "x", unit="u")
    assert got["total"].tolist() == [-2.0, 5.0]
    assert got["exit"].tolist() == [-2.0, 0.0]
    assert got["entry"].tolist() == [0.0, 5.0]


def test_turnover():
    got = mm.memberships.turnover(pd.DataFrame(TWO), "party", "gov", "share", unit="country")
    assert got.iloc[0].to_dict() == {
        "country": "x", "gov": 2, "previous": 1, "stayed": 1, "entered": 1, "left": 1, "entry_weight": 0.25,
        "exit_weight": 0.5, "moved": 0.5, "jaccard": pytest.approx(2 / 3),
    }  # fmt: skip


def test_categories_are_in_their_own_order():
    when = pd.Categorical(["late", "late", "early", "early"], ["late", "early"], ordered=True)
    data = pd.DataFrame(TWO).assign(when=when)
    got = mm.memberships.changes(data, "party", "gov", "left", "share", unit="country", time="when")
    assert got["previous"].tolist() == [1]
    apart = mm.memberships.changes(data, "party", "country", "left", "share", time="when")
    assert apart[["when", "previous"]].to_numpy().tolist() == [["early", "late"]]
    np.testing.assert_array_equal(got[PARTS], apart[PARTS])


WRONG = {
    "no value in a list": ({"value": []}, "value= names no column"),
    "a value twice": ({"value": ["left", "left"]}, "two columns would be called 'left'"),
    "empty slots": ({"member": "nobody"}, "all slots of 'nobody' are empty"),
    "a name of the result": ({"unit": "total"}, "two columns would be called 'total'"),
    "no value": ({"value": None}, "value= names no column"),
    "no unit and no time": ({"unit": None}, "unit="),
    "text": ({"value": "party"}, "holds text values"),
    "one spell": ({"unit": "gov2"}, "no gov2 has two spells"),
    "unit varies": ({"unit": "share"}, "must be constant within a group, but group 2 has 0.25 and 0.75"),
    "same time": ({"time": "same"}, "groups 1 and 2 of country x have the same same"),
    "unknown rule": ({"normalize": "total"}, '"none" or "group"'),
    "misspelt": ({"vaule": "left"}, "did you mean value"),
}


@pytest.mark.parametrize("case", list(WRONG))
def test_errors(case):
    options, words = WRONG[case]
    data = pd.DataFrame(TWO).assign(gov2=[1, 1, 2, 2], same=1, nobody=None, total="x")
    with pytest.raises(mm.MicromacroError, match=words):
        mm.memberships.changes(
            data, **({"member": "party", "group": "gov", "value": "left", "unit": "country"} | options)
        )


def test_weights_that_nearly_sum_to_one_are_named():
    data = pd.DataFrame(TWO).assign(share=[0.5, 0.5, 0.75, 0.249])
    with pytest.warns(mm.MicromacroWarning, match="nearly 1 in 1 spell.*normalize"):
        mm.memberships.changes(data, "party", "gov", "left", "share", unit="country")


def test_weights_that_sum_to_zero_cannot_be_shares():
    data = pd.DataFrame(TWO).assign(share=[0.0, 0.0, 0.75, 0.25])
    with pytest.raises(mm.DataError, match=r"sum to zero in 1 spell \(first: gov 1\)"):
        mm.memberships.changes(data, "party", "gov", "left", "share", unit="country", normalize="group")
