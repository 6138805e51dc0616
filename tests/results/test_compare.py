"""Comparisons of fits: differences with their errors, stacking, likelihood-ratio tests, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.results.verbs.compare import stacking

FORMULA = "y ~ x + mm(member, group, z, weights = {}, normalize = group)"
POWER = "1 / n ** exp(-(b1 * s))"


@pytest.fixture(scope="module")
def long(dense):
    return dense.make_data(seed=2, groups=60, rule="group")


@pytest.fixture(scope="module")
def drawn(long, quick):
    """The same model with equal and with estimated weights (the truth)."""
    return {
        name: quick(FORMULA.format(w), long, "laplace", draws=2000, random_seed=3)
        for name, w in (("equal", "1/n"), ("estimated", POWER))
    }


def test_differences_are_those_of_the_pointwise_values(drawn):
    table = mm.compare(drawn, ic="integrated")
    a, b = (drawn[n].loo(integrated=True) for n in ("equal", "estimated"))
    gap = a.pointwise["elpd"] - b.pointwise["elpd"]
    assert list(table.index) == ["estimated", "equal"]
    assert table.loc["equal", "difference"] == pytest.approx(gap.sum())
    assert table.loc["equal", "se_difference"] == pytest.approx(np.sqrt(len(gap)) * gap.std())
    assert table.loc["estimated", ["difference", "se_difference"]].tolist() == [0, 0]
    assert table["weight"].sum() == pytest.approx(1)
    pd.testing.assert_frame_equal(table, mm.compare({"equal": a, "estimated": b}))


def test_conditional_loo_says_when_it_is_not_reliable(drawn):
    with pytest.warns(mm.MicromacroWarning, match=r'Pareto k is too large.*ic="integrated"') as caught:
        table = mm.compare(drawn)
    assert len(caught) == 1
    assert (table["bad_k"] > 0).any()


def test_stacking_maximises_the_density_of_the_mixture():
    rng = np.random.default_rng(3)
    values = rng.normal(loc=[0.0, 0.1, -0.5], size=(80, 3))
    best = stacking(values)
    assert best.sum() == pytest.approx(1)
    density = np.exp(values)
    grid = np.array([(a, b, 1 - a - b) for a in np.linspace(0, 1, 41) for b in np.linspace(0, 1 - a, 41)])
    top = np.log(density @ grid.T).sum(axis=0).max()
    assert np.log(density @ best).sum() >= top - 1e-6


def test_maximum_likelihood_has_criteria_and_tests(long, quick):
    fits = {
        "none": quick("y ~ x + mm(member, group, weights = 1/n, normalize = group)", long),
        "equal": quick(FORMULA.format("1/n"), long),
        "estimated": quick(FORMULA.format(POWER), long),
    }
    table = mm.compare(fits)
    for name, fit in fits.items():
        assert table.loc[name, ["loglik", "aic", "bic"]].tolist() == [fit.loglik, fit.aic, fit.bic]
    test = fits["estimated"].lr_test(fits["equal"])
    assert table.attrs["tested_against"] == "estimated"
    assert table.loc["equal", ["statistic", "df", "p"]].tolist() == [test.statistic, test.df, test.p]
    assert np.isnan(table.loc["estimated", "p"])
    assert table["aic"].is_monotonic_increasing
    weight = np.exp(-0.5 * table["difference"])
    assert table["weight"].to_numpy() == pytest.approx((weight / weight.sum()).to_numpy())
    assert mm.compare(fits, ic="bic")["bic"].is_monotonic_increasing


def test_evidence_gives_bayes_factors(drawn):
    table = mm.compare(drawn, ic="evidence")
    gap = table["log_evidence"].iloc[0] - table["log_evidence"].iloc[1]
    assert table.index[0] == "estimated"
    assert table["difference"].iloc[1] == pytest.approx(-gap)
    assert table["probability"].iloc[0] == pytest.approx(1 / (1 + np.exp(-gap)))


def test_what_cannot_be_compared_is_refused(drawn, long, quick):
    equal = drawn["equal"]
    positive = long.assign(y=np.exp(long["y"]))
    options = {"draws": 60, "random_seed": 1}
    log = quick(FORMULA.format("1/n").replace("y ~", "log(y) ~"), positive, "laplace", **options)
    plain = quick(FORMULA.format("1/n"), positive, "laplace", family="lognormal", **options)
    with pytest.raises(mm.ModelError, match=r"'a' is about log\(y\), 'b' about y.*on two scales"):
        mm.compare({"a": log, "b": plain})
    with pytest.raises(mm.ModelError, match="different values of y"):
        mm.compare({"a": equal, "b": quick(FORMULA.format("1/n"), positive, "laplace", **options)})
    fewer = long[long["group"] != 3]
    with pytest.raises(mm.ModelError, match="60 groups, 'b' 59"):
        mm.compare({"a": equal, "b": quick(FORMULA.format("1/n"), fewer, "laplace", **options)})
    ml = quick(FORMULA.format("1/n"), long)
    with pytest.raises(mm.EngineError, match="b has none"):
        mm.compare({"a": equal, "b": ml})
    with pytest.raises(mm.EngineError, match="a has draws"):
        mm.compare({"a": equal, "b": ml}, ic="aic")
    with pytest.raises(mm.ModelError, match="two or more fits"):
        mm.compare({"a": equal})
    with pytest.raises(mm.ModelError, match="ic= is one of"):
        mm.compare(drawn, ic="dic")
    with pytest.raises(mm.ModelError, match="b is a fit"):
        mm.compare({"a": equal.loo(integrated=True), "b": equal})


def test_probabilities_against_densities_are_warned_of(long, quick):
    counts = long.assign(y=np.round(np.exp(long["y"].clip(-2, 3))) + 1)
    fits = {f: quick(FORMULA.format("1/n"), counts, family=f) for f in ("poisson", "gamma")}
    with pytest.warns(mm.MicromacroWarning, match="comparable only if the outcome's unit is 1"):
        mm.compare(fits)


def test_likelihoods_of_different_kinds_are_refused(data, quick):
    one = data.groupby("group").first().reset_index()
    reml, fewer = quick("y ~ x + (1 | unit)", one, "reml"), quick("y ~ 1 + (1 | unit)", one, "reml")
    with pytest.raises(mm.EngineError, match="different coefficients"):
        mm.compare({"a": reml, "b": fewer})
    mean, total = (f"y ~ x + mm(member, group, z, weights = {w}, normalize = none)" for w in ("1 / n", "1"))
    with pytest.raises(mm.EngineError, match="columns"):
        mm.compare({"a": quick(mean, data, "reml"), "b": quick(total, data, "reml")})
    assert len(mm.compare({"a": reml, "b": quick("y ~ x", one, "reml")})) == 2
    ml = quick("y ~ x + (1 | unit)", one)
    with pytest.raises(mm.EngineError, match="by ml, 'b' by reml"):
        mm.compare({"a": ml, "b": reml})
    with pytest.raises(mm.EngineError, match="b is penalised"):
        mm.compare({"a": ml, "b": quick("y ~ x", one, priors={"b": mm.prior.normal(0, 1)})})


@pytest.fixture(scope="module")
def counted():
    """Counts with ties, whose rows the model sorts differently for every choice of columns."""
    rng = np.random.default_rng(3)
    return pd.DataFrame({"x": rng.normal(size=60), "z": rng.integers(0, 2, 60), "y": rng.integers(0, 3, 60)})


def poisson(formula, frame, engine="ml", **options):
    return mm.fit(formula, frame, family="poisson", engine=engine, **options)


@pytest.mark.parametrize(
    "same",
    [
        lambda d: d,
        lambda d: d.sample(frac=1.0, random_state=1),  # the labels say which row is which
        lambda d: d.set_axis([f"r{k}" for k in range(len(d))]),
        lambda d: {name: d[name].to_numpy() for name in d},
    ],
    ids=["itself", "shuffled", "other labels", "no labels"],
)
def test_the_same_rows_are_compared_whatever_columns_a_model_uses(counted, same):
    large, small = poisson("y ~ x + z", counted), poisson("y ~ z", same(counted))
    table, test = mm.compare({"large": large, "small": small}), large.lr_test(small)
    assert table.loc["small", "p"] == pytest.approx(test.p) and test.df == 1
    assert test.statistic == pytest.approx(2 * (large.loglik - small.loglik), abs=1e-9)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (lambda d: d.sample(frac=1.0, random_state=1).reset_index(drop=True), "values of y in another order"),
        (lambda d: d[:-1], "60 observations, 'small' 59"),
        (lambda d: d.assign(y=d["y"] + (d.index == 5)), "different values of y"),
    ],
    ids=["shuffled", "fewer", "others"],
)
def test_other_rows_are_not_compared(counted, other, why):
    fits = {"large": poisson("y ~ x + z", counted), "small": poisson("y ~ z", other(counted))}
    with pytest.raises(mm.ModelError, match=why):
        mm.compare(fits)
    with pytest.raises(mm.ModelError, match="have different outcomes"):
        fits["large"].lr_test(fits["small"])


WAYS = {
    "a copy": ("y ~ x", "twin ~ z", "poisson", "poisson"),
    "terms in another order": ("log(y + 1) ~ x", "log(1 + y) ~ z", "gaussian", "gaussian"),
    "an alias": ("surv(t, e) ~ x", "Surv(t, e) ~ z", "weibull", "exponential"),
    "entry at zero": ("surv(t, e) ~ x", "surv(zero, t, e) ~ z", "weibull", "lognormal"),
    "no censoring": ("surv(t) ~ x", "t ~ z", "weibull", "gamma"),
    "one trial": ("b ~ x", "trials(b, one) ~ z", "bernoulli", "binomial"),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_outcome_may_be_written_in_several_ways(counted, way):
    rng = np.random.default_rng(8)
    frame = counted.assign(
        t=rng.exponential(size=60) + 0.1, e=rng.integers(0, 2, 60), b=(counted["y"] > 0).astype(int), one=1, zero=0.0,
        twin=counted["y"],
    )  # fmt: skip
    one, other, family, another = WAYS[way]
    fits = {"a": mm.fit(one, frame, family=family, engine="ml"), "b": mm.fit(other, frame, family=another, engine="ml")}
    assert mm.compare(fits)["loglik"].to_dict() == {name: fit.loglik for name, fit in fits.items()}


def test_ids_of_a_categorical_column_are_those_of_its_numbers(long):
    fits = {
        "numbers": mm.fit("y ~ 1 + mm(member, group)", long, engine="ml"),
        "categories": mm.fit(
            "y ~ z2 + mm(member, group)",
            long.assign(group=long["group"].astype("category"), z2=np.sin(long["group"])), engine="ml",
        ),
    }  # fmt: skip
    assert len(mm.compare(fits)) == 2
    fits["others"] = mm.fit("y ~ 1 + mm(member, group)", long.assign(group=-1 - long["group"]), engine="ml")
    with pytest.raises(mm.ModelError, match="have other groups"):
        mm.compare(fits)


def test_folds_of_groups_are_not_compared_with_folds_of_units(counted):
    frame = counted.assign(unit=np.arange(60) % 6)
    fit = mm.fit("y ~ x + (1 | unit)", frame, engine="ml", family="poisson")
    groups, units = fit.kfold(2, random_seed=1), fit.kfold(2, by="unit", random_seed=1)
    with pytest.raises(mm.ModelError, match=r"left out together \(a: group, b: unit\)"):
        mm.compare({"a": groups, "b": units})


def test_other_observation_weights_are_other_data(counted):
    counted = counted.assign(w=1 + counted["z"])
    fits = {
        "a": poisson("y ~ x", counted, observation_weights="w"),
        "b": poisson("y ~ z", counted),
    }
    with pytest.raises(mm.ModelError, match="different observation weights"):
        mm.compare(fits)


def test_pointwise_differences_are_of_the_same_rows(counted):
    options = {"engine": "laplace", "draws": 200, "random_seed": 1}
    one = poisson("y ~ x + z", counted, **options).loo()
    other = poisson("y ~ z", counted.sample(frac=1.0, random_state=1), **options).loo()
    assert one.pointwise.index.tolist() == list(range(60))  # as the user's rows
    gap = one.pointwise["elpd"] - other.pointwise["elpd"]  # aligned by label
    error = mm.compare({"one": one, "other": other})["se_difference"].max()
    assert error == pytest.approx(np.sqrt(60 * gap.var(ddof=1)), rel=0.02)


def test_rows_and_groups_are_one_data_set_where_the_outcomes_agree(long):
    groups = long.groupby("group", as_index=False).first()
    with_members = mm.fit("y ~ 1 + mm(member, group, z, effects = none)", long, engine="ml")
    for frame in (groups, groups.sample(frac=1.0, random_state=2)):
        table = mm.compare({"members": with_members, "rows": mm.fit("y ~ 1", frame, engine="ml")})
        assert table.loc["rows", "df"] == 1


def test_effective_parameters_are_called_after_their_measure(drawn):
    fit = drawn["equal"]
    loo = fit.loo(integrated=True)
    with pytest.warns(mm.MicromacroWarning, match="WAIC is not reliable"):
        waic = fit.waic()
    assert "p_loo" in mm.compare({"a": loo, "b": loo}) and "p_waic" in mm.compare({"a": waic, "b": waic})
    folds = fit.kfold(3, random_seed=1)
    assert folds.effective is None and not {"p", "p_loo", "p_waic"} & set(mm.compare({"a": folds, "b": folds}))
    with pytest.raises(mm.EngineError, match="has no p_waic: it has p_loo"):
        loo.p_waic  # noqa: B018


def test_known_shares_are_nested_in_a_power_of_them(quick):
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(120), 2)
    share = rng.uniform(0.2, 0.8, 120)
    data = pd.DataFrame({"g": group, "m": rng.integers(0, 20, 240), "share": np.stack([share, 1 - share], 1).ravel()})
    data["y"] = np.repeat(rng.normal(size=120), 2) + 0.7 * rng.normal(size=20)[rng.integers(0, 20, 120)][group]
    known, power, other = (
        quick(f"y ~ 1 + mm(m, g, weights = {w})", data, "ml")
        for w in (
            "share, normalize = none",
            "share ** k, normalize = group",
            "exp(k * share), normalize = group",
        )
    )
    assert not power.lr_test(known).notes
    assert np.isfinite(mm.compare({"power": power, "known": known}).loc["known", "p"])
    assert "the models may not be nested" in str(other.lr_test(known))
