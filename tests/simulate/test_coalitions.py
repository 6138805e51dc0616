"""Simulated coalitions: parties recur, the truth is known, and maximum likelihood finds it."""

from __future__ import annotations

import numpy as np
import pytest

import micromacro as mm


@pytest.fixture(scope="module")
def small():
    return mm.simulate.coalitions(groups=150, members=40, countries=5, random_seed=2)


def test_parties_recur_and_belong_to_one_country(small):
    data = small.data
    assert data["gid"].nunique() == 150
    assert data.groupby("pid")["gid"].nunique().max() > 3
    assert (data.groupby("pid")["cid"].nunique() == 1).all()
    assert (data.groupby("gid")["cid"].nunique() == 1).all()
    assert not data.duplicated(["gid", "pid"]).any()
    assert data.groupby("gid")["pid"].size().between(1, 7).all()


def test_seats_sum_to_one_and_the_prime_minister_has_most(small):
    data = small.data
    assert data.groupby("gid")["pseat"].sum().to_numpy() == pytest.approx(np.ones(150))
    assert (data.groupby("gid")["prime"].sum() == 1).all()
    top = data.loc[data.groupby("gid")["pseat"].idxmax()]
    assert (top["prime"] == 1).all()


@pytest.mark.parametrize("normalize", ["total", "group", "none"])
def test_the_outcome_is_what_the_truth_says(normalize):
    out = mm.simulate.coalitions(80, 30, 4, truth={"sigma": 1e-9}, normalize=normalize, random_seed=1)
    data, truth = out.data, out.truth
    n = data.groupby("gid")["pid"].transform("size")
    w = n ** -np.exp(-truth["pid.w.pseat"] * data["pseat"])
    w = {"group": w / w.groupby(data["gid"]).transform("sum"), "total": w * 80 / w.sum(), "none": w}[normalize]
    assert out.weights.to_numpy() == pytest.approx(w.to_numpy())
    inner = w * (truth["pid.cohesion"] * data["cohesion"] + out.effects["pid"].loc[data["pid"]].to_numpy())
    first = data.groupby("gid").first()
    eta = truth["Intercept"] + truth["majority"] * first["majority"] + inner.groupby(data["gid"]).sum()
    eta += out.effects["cid"].loc[first["cid"]].to_numpy()
    assert first["log_duration"].to_numpy() == pytest.approx(eta.to_numpy(), abs=1e-7)


def test_a_seed_fixes_the_data(small):
    again = mm.simulate.coalitions(groups=150, members=40, countries=5, random_seed=2)
    assert small.data.equals(again.data)
    assert not small.data.equals(mm.simulate.coalitions(150, 40, 5, random_seed=3).data)


def test_the_formula_is_that_of_the_truth(small):
    names = mm.Model(small.formula, small.data).specification.names
    assert set(names) == set(small.truth)
    assert "truth" in repr(small)


@pytest.fixture(scope="module", params=["total", "group"])
def large(request):
    """Enough of everything that its parameters are well determined."""
    out = mm.simulate.coalitions(groups=3000, members=500, countries=25, normalize=request.param, random_seed=7)
    return out, mm.fit(out.formula, out.data, engine="ml")


def test_maximum_likelihood_recovers_the_truth(large):
    out, fit = large
    assert set(fit.params.index) == set(out.truth)
    for name, value in out.truth.items():
        away = (fit.params[name] - value) / fit.bse[name]
        assert abs(away) < 4, f"{name} is {away:+.1f} standard errors off the truth"
        assert fit.bse[name] < 0.35 * abs(value) or name == "Intercept", f"{name} is not well determined"


def test_weights_and_effects_are_near_the_truth(large):
    out, fit = large
    table = fit.weights().set_index(["group", "member"])["weight"]
    true = out.data.assign(w=out.weights).set_index(["gid", "pid"])["w"].loc[table.index]
    assert np.abs(table.to_numpy() - true.to_numpy()).max() < 0.1
    effects = fit.random_effects("pid")
    away = (out.effects["pid"].loc[effects.index] - effects["estimate"]) / effects["se"]
    assert away.std() == pytest.approx(1.0, abs=4 / np.sqrt(2 * len(away)) + 0.02)


def test_intervals_of_effects_cover(large):
    out, fit = large
    effects = fit.random_effects("pid", ci=0.8)
    true = out.effects["pid"].loc[effects.index]
    cover = ((effects["lower"] < true) & (true < effects["upper"])).mean()
    assert cover == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / len(true)))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"truth": {"pid.w.seat": 1.0}}, "pid.w.seat"), ({"normalize": "sum"}, "normalize="),
        ({"family": "poisson"}, "poisson"), ({"groups": 1}, "at least 2 groups"),
        ({"members": 2, "countries": 3}, "as many members"), ({"max_size": 0}, "max_size"),
    ],
)  # fmt: skip
def test_what_makes_no_data_is_refused(arguments, match):
    with pytest.raises(mm.ModelError, match=match):
        mm.simulate.coalitions(**arguments)
