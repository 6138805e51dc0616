"""Changes of aggregates with estimated weights: against the table, the weights and the effects of the fit."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

PARTS = ["reallocation", "attributes", "entry", "exit", "total"]
TERMS = "y ~ 1 + mm(member, group, z, weights = 1 / n ** exp(-b1 * s), normalize = {}) + (1 | unit)"


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(8)
    rows = [(g, g % 5, m) for g in range(60) for m in rng.choice(12, rng.integers(2, 5), replace=False)]
    out = pd.DataFrame(rows, columns=["group", "unit", "member"])
    out["z"], out["s"] = rng.standard_normal(len(out)), rng.standard_normal(len(out))
    out["when"] = -out["group"]
    u = rng.standard_normal(12)
    n = out.groupby("group")["z"].transform("size")
    eta = np.bincount(out["group"], (out["z"] + u[out["member"]]) / n)
    return out.assign(y=(eta + 0.3 * rng.standard_normal(60))[out["group"]])


@pytest.fixture(scope="module")
def fits(frame, quick):
    return {
        "group": quick(TERMS.format("group"), frame),
        "total": quick(TERMS.format("total"), frame),
        "draws": quick(TERMS.format("group"), frame, "mcmc", draws=60, tune=60, chains=2, random_seed=3),
    }


@pytest.mark.filterwarnings("ignore:the weights 'weight' sum to nearly 1")
@pytest.mark.parametrize("which", ["group", "total"])
def test_a_column_is_what_the_table_gives_at_the_estimated_weights(fits, frame, which):
    fit = fits[which]
    got = fit.changes("unit", "z", random_seed=1)
    weights = fit.weights().reset_index(drop=True)[["group", "member", "weight"]]
    want = mm.memberships.changes(frame.merge(weights), "member", "group", "z", "weight", unit="unit")
    assert got.index.names == ["unit", "group"]
    assert got.index.tolist() == list(zip(want["unit"], want["group"], strict=True))
    np.testing.assert_array_equal(got["previous"], want["previous"])
    np.testing.assert_allclose(got[PARTS], want[PARTS], atol=1e-12)
    assert (got["total_lower"] <= got["total"]).all()
    assert (got["reallocation_se"] >= 0).all()


@pytest.mark.parametrize(("which", "value"), [("total", "effects"), ("total", "z"), ("draws", "contributions")])
def test_the_parts_add_up(fits, which, value):
    got = fits[which].changes("unit", value, random_seed=1)
    np.testing.assert_allclose(got[PARTS[:4]].sum(axis=1), got["total"], atol=1e-12)


@pytest.mark.parametrize("which", [pytest.param("group", marks=pytest.mark.slow), "draws"])
def test_the_total_is_the_difference_of_what_members_contribute_to_the_groups(fits, which):
    fit = fits[which]
    by_group = fit.members(random_seed=1).contributions("group").iloc[:, 0]
    got = fit.changes("unit", random_seed=1)
    later, earlier = by_group[got.index.get_level_values("group")], by_group[got["previous"]]
    np.testing.assert_allclose(got["total"], later.to_numpy() - earlier.to_numpy(), atol=1e-10)
    assert f"total_{fit.posterior.words.spread}" in got


def test_intervals_are_those_of_the_draws(fits):
    fit = fits["draws"]
    weights = fit.posterior.weight_draws("member")
    rows = fit.specification.members["member"].memberships
    a = np.stack([np.bincount(rows.group, w * rows.table["z"].values, 60) for w in weights])
    got = fit.changes("unit", "z", ci=0.8)
    change = a[:, got.index.get_level_values("group")] - a[:, got["previous"]]
    np.testing.assert_allclose(got["total_sd"], change.std(axis=0, ddof=1), rtol=1e-10)
    np.testing.assert_allclose(got["total_lower"], np.quantile(change, 0.1, axis=0), atol=1e-10)


def test_series_for_what_the_model_does_not_use_and_the_other_spelling(fits, frame):
    fit = fits["group"]
    when = frame.groupby("group")["when"].first()
    back = fit.changes("unit", "z", time=when, random_seed=1)
    forth = mm.memberships.changes(fit, "member", value="z", unit="unit", random_seed=1)
    one = forth.reset_index().set_index(["previous", "group"])["total"].sort_index()
    other = back.reset_index().set_index(["group", "previous"])["total"].sort_index()
    np.testing.assert_allclose(one, -other, atol=1e-12)


def by_hand(frame, weight, value):
    """The decomposition as it is defined, unit by unit and member by member; who is listed twice is one member."""
    out = {}
    for unit, rows in frame.assign(w=weight, v=value, wv=weight * value).groupby("unit"):
        spells = [spell.groupby("member")[["w", "wv"]].sum() for _, spell in rows.groupby("group")]
        for (old, new), group in zip(pairwise(spells), sorted(rows["group"].unique())[1:], strict=True):
            before, after = old["wv"].sum(), new["wv"].sum()
            middle = (before + after) / 2 if np.allclose([old["w"].sum(), new["w"].sum()], 1.0, atol=1e-8) else 0.0
            parts = dict.fromkeys(PARTS, 0.0)
            for member in set(old.index) | set(new.index):
                (w0, s0), (w1, s1) = (s.loc[member] if member in s.index else (0.0, 0.0) for s in (old, new))
                if w0 and w1:
                    parts["reallocation"] += (w1 - w0) * ((s0 / w0 + s1 / w1) / 2 - middle)
                    parts["attributes"] += (w0 + w1) / 2 * (s1 / w1 - s0 / w0)
                elif w1:
                    parts["entry"] += s1 - w1 * middle
                else:
                    parts["exit"] -= s0 - w0 * middle
            out[unit, group] = [*list(parts.values())[:4], after - before]
    return np.array([out[key] for key in sorted(out)])


@pytest.mark.parametrize(("rule", "engine"), [("group", "ml"), ("total", "ml"), ("group", "mcmc")])
def test_members_listed_twice_are_one_member(frame, quick, rule, engine):
    rng = np.random.default_rng(9)
    twice = frame.loc[frame["group"] % 3 == 0].groupby("group").head(1)
    both = pd.concat([frame, twice.assign(z=rng.standard_normal(len(twice)), s=rng.standard_normal(len(twice)))])
    settings = {} if engine == "ml" else {"draws": 10, "tune": 20, "chains": 2, "random_seed": 3}
    fit = quick(TERMS.format(rule), both, engine, **settings)
    rows = fit.specification.members["member"].memberships
    place = {"group": rows.group, "unit": rows.group % 5, "member": rows.member}
    weights = fit.posterior.weight_draws("member") if engine == "mcmc" else [fit.weights().iloc[:, -4].to_numpy()]
    want = [by_hand(pd.DataFrame(place), w, rows.table["z"].values) for w in weights]
    got = fit.changes("unit", "z", random_seed=1).sort_index()
    np.testing.assert_allclose(got[PARTS], np.mean(want, axis=0), atol=1e-12)


def test_several_values_are_stacked(fits):
    several = fits["draws"].changes("unit", ["z", "s"])
    assert several.index.names == ["value", "unit", "group"]
    pd.testing.assert_frame_equal(several.loc["z"], fits["draws"].changes("unit", "z"))


WRONG = {
    "unknown column": (("nothing",), {}, "not a column of groups that the model uses"),
    "unknown value": (("unit", "q"), {}, "not a numeric column of block 'member'"),
    "no unit": ((None,), {}, "unit= says which groups belong together"),
    "one time": (("unit",), {"time": "unit"}, "have the same unit"),
    "short series": ((pd.Series([1, 2]),), {}, "has no value for 58 of 60 groups"),
    "level": (("unit",), {"ci": 2.0}, "ci="),
}


@pytest.mark.parametrize("case", list(WRONG))
def test_errors(fits, case):
    arguments, options, words = WRONG[case]
    with pytest.raises(mm.MicromacroError, match=words):
        fits["group"].changes(*arguments, **options)


def test_a_block_without_effects_has_no_changes_of_effects(frame, quick):
    fit = quick("y ~ 1 + mm(member, group, z, effects = none)", frame)
    with pytest.raises(mm.ModelError, match="has no effects"):
        fit.changes(frame.groupby("group")["unit"].first(), "effects")
    variance = quick("y ~ 1 + mm(member, group, z, aggregate = var, effects = none)", frame)
    with pytest.raises(mm.ModelError, match="not a weighted sum"):
        variance.changes(frame.groupby("group")["unit"].first())
