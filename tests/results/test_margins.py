"""Predictions, comparisons and slopes against closed forms, predictions of changed data, and simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import micromacro as mm
from micromacro.posterior.design import new_tables
from micromacro.results.fit import Fit

CLOSE = {"rel": 1e-5}


@pytest.fixture(scope="module")
def frame():
    """80 groups of two to four among 14 members; a group covariate, member covariates, outcomes of several kinds."""
    rng = np.random.default_rng(12)
    rows = [(g, m) for g in range(80) for m in rng.choice(14, rng.integers(2, 5), replace=False)]
    out = pd.DataFrame(rows, columns=["group", "member"])
    out["z"], out["s"] = rng.standard_normal(len(out)), rng.standard_normal(len(out))
    out["head"] = (~out["group"].duplicated()).astype(int)
    x, u = rng.standard_normal(80), 1.3 * rng.standard_normal(14)
    w = np.exp(0.5 * out["s"])
    w /= w.groupby(out["group"]).transform("sum")
    eta = 0.2 + 0.6 * x + np.bincount(out["group"], w * (0.8 * out["z"] + u[out["member"]]))
    outcomes = {
        "x": x, "kind": np.array(["a", "b", "c"])[rng.integers(0, 3, 80)], "y": eta + 0.5 * rng.standard_normal(80),
        "count": rng.poisson(np.exp(eta)), "binary": (rng.random(80) < special.expit(eta)).astype(int),
        "grade": 1 + (rng.logistic(size=80) + eta > 0).astype(int) + (rng.logistic(size=80) + eta > 2),
        "time": np.exp(eta) * rng.weibull(1.5, 80), "event": rng.integers(0, 5, 80) > 0,
    }  # fmt: skip
    return out.join(pd.DataFrame(outcomes), on="group")


BLOCK = " + mm(member, group, z, weights = exp(b1 * s + b2 * head), normalize = group)"
TOTAL = " + mm(member, group, z, weights = 1 / n ** exp(-b1 * s), normalize = total)"


@pytest.fixture(scope="module")
def gaussian(frame, quick):
    return quick("y ~ x" + TOTAL, frame)


@pytest.fixture(scope="module")
def grouped(frame, quick):
    return quick("y ~ x + kind" + BLOCK, frame)


@pytest.fixture(scope="module")
def binary(frame, quick):
    return quick("binary ~ x" + TOTAL, frame, family="bernoulli")


@pytest.fixture(scope="module")
def count(frame, quick):
    return quick("count ~ x" + BLOCK, frame, family="poisson")


@pytest.fixture(scope="module")
def sampled(frame, quick):
    return quick("y ~ x" + TOTAL, frame, "mcmc", draws=150, tune=150, chains=2, random_seed=2)


def test_slopes_of_a_linear_model_are_its_coefficients(grouped):
    """Also of the member covariate: where weights sum to one it moves every group by its coefficient."""
    table = grouped.slopes(["x", "z"]).set_index("variable")
    for name, parameter in (("x", "x"), ("z", "member.z")):
        assert table.loc[name, "estimate"] == pytest.approx(grouped.params[parameter], **CLOSE)
        assert table.loc[name, "se"] == pytest.approx(grouped.bse[parameter], rel=1e-3)
        ends = grouped.conf_int().loc[parameter]
        assert table.loc[name, ["lower", "upper"]].to_numpy(float) == pytest.approx(ends.to_numpy(), rel=1e-3)


def test_default_variables_are_all_covariates(grouped, gaussian):
    assert list(gaussian.slopes()["variable"]) == ["x", "z", "s"]
    table = grouped.comparisons()
    assert list(table["variable"]) == ["x", "kind", "kind", "z", "s", "head"]
    assert list(table["contrast"]) == ["+1", "b - a", "c - a", "+1", "+1", "1 - 0"]


def test_comparisons_of_categories_are_their_coefficients(grouped):
    table = grouped.comparisons({"kind": "pairwise"}).set_index("contrast")
    assert list(table.index) == ["b - a", "c - a", "c - b"]
    b, c = grouped.params["kind[T.b]"], grouped.params["kind[T.c]"]
    assert table["estimate"].to_numpy() == pytest.approx([b, c, c - b], **CLOSE)
    v = grouped.cov_params().loc[["kind[T.b]", "kind[T.c]"], ["kind[T.b]", "kind[T.c]"]].to_numpy()
    assert table.loc["c - b", "se"] == pytest.approx(np.sqrt([-1, 1] @ v @ [-1, 1]), rel=1e-3)


def test_average_marginal_effects_of_a_logistic_regression(frame, quick):
    """Without effects: the closed form, its standard error by hand."""
    rows = frame.drop_duplicates("group")
    fit = quick("binary ~ x", rows, family="bernoulli")
    a, b = fit.params
    p = special.expit(a + b * rows["x"].to_numpy())
    d = p * (1 - p)
    table = fit.slopes("x").iloc[0]
    assert table["estimate"] == pytest.approx(np.mean(d) * b, **CLOSE)
    gradient = np.array([np.mean(d * (1 - 2 * p)) * b, np.mean(d + d * (1 - 2 * p) * rows["x"] * b)])
    assert table["se"] == pytest.approx(np.sqrt(gradient @ fit.cov_params().to_numpy() @ gradient), rel=1e-4)
    odds = fit.comparisons("x", contrast="odds_ratio", at={"x": 0.0}).iloc[0]
    assert odds["estimate"] == pytest.approx(np.exp(b))
    mean = fit.predictions(at={"x": 0.0}).iloc[0]
    assert mean["estimate"] == pytest.approx(special.expit(a))
    low = special.expit(fit.conf_int().loc["Intercept"])
    assert mean[["lower", "upper"]].to_numpy(float) == pytest.approx(low.to_numpy(), **CLOSE)


def test_ratios_under_a_log_link_are_exponentials_of_coefficients(count):
    for effects in ("conditional", "zero", "marginal"):
        table = count.comparisons({"x": 2.0}, contrast="ratio", effects=effects).iloc[0]
        assert table["estimate"] == pytest.approx(np.exp(2 * count.params["x"]), **CLOSE)
        ends = np.exp(2 * count.conf_int().loc["x"]).to_numpy()
        assert table[["lower", "upper"]].to_numpy(float) == pytest.approx(ends, rel=1e-3)
    log = count.comparisons({"x": 2.0}, contrast="log_ratio").iloc[0]
    assert log["se"] == pytest.approx(2 * count.bse["x"], rel=1e-3)


def test_ratios_for_durations(frame, quick):
    fit = quick("surv(time, event) ~ x + mm(member, group, weights = 1/n)", frame, family="weibull")
    b, shape = fit.params["x"], fit.params["shape"]
    time = fit.comparisons("x", contrast="time_ratio").iloc[0]
    hazard = fit.comparisons("x", contrast="hazard_ratio").iloc[0]
    assert [time["estimate"], hazard["estimate"]] == pytest.approx([np.exp(b), np.exp(-shape * b)])
    v = fit.cov_params().loc[["x", "shape"], ["x", "shape"]].to_numpy()
    slope = np.array([-shape, -b])
    assert hazard["se"] == pytest.approx(hazard["estimate"] * np.sqrt(slope @ v @ slope), rel=1e-3)
    median = fit.comparisons("x", kind="median", contrast="ratio").iloc[0]
    assert median["estimate"] == pytest.approx(np.exp(b))
    with pytest.raises(mm.EngineError, match="hazard_ratio"):
        quick("count ~ x", frame.drop_duplicates("group"), family="poisson").comparisons(contrast="hazard_ratio")


def test_hazard_ratios_of_a_cox_model(frame, quick):
    """A member covariate under weights that sum to one moves every log hazard by its coefficient."""
    formula = "surv(time, event) ~ x + mm(member, group, z, weights = 1/n)"
    fit = quick(formula, frame, family=mm.families.cox(intervals=3))
    table = fit.comparisons(["x", "z"], contrast="hazard_ratio").set_index("variable")
    for name, parameter in (("x", "x"), ("z", "member.z")):
        assert table.loc[name, "estimate"] == pytest.approx(np.exp(fit.params[parameter]), **CLOSE)
        ends = np.exp(fit.conf_int().loc[parameter]).to_numpy()
        assert table.loc[name, ["lower", "upper"]].to_numpy(float) == pytest.approx(ends, rel=1e-3)


@pytest.mark.parametrize("which", ["gaussian", "binary", "count"])
def test_a_change_in_a_weight_covariate_changes_the_weights(request, frame, which):
    """As predicted for data in which the column was changed by hand."""
    fit = request.getfixturevalue(which)
    after = fit.predict(frame.assign(s=frame["s"] + 0.7))["estimate"] - fit.predict(frame)["estimate"]
    table = fit.comparisons({"s": 0.7}).iloc[0]
    if which == "count":  # normalised in the group: all weights move together, and nothing happens
        assert abs(table["estimate"]) < 1e-12
    else:
        assert abs(after.mean()) > 1e-4
    assert table["estimate"] == pytest.approx(after.mean(), abs=1e-12)
    assert table["groups"] == 80


def test_where_moves_some_memberships_only(grouped, frame):
    spread = frame["z"].std()
    hand = frame.assign(z=frame["z"] + spread * frame["head"])
    expected = (grouped.predict(hand)["estimate"] - grouped.predict()["estimate"]).mean()
    for where in ("head == 1", {"head": 1}, lambda table: table["head"] == 1):
        table = grouped.comparisons({"z": "sd"}, where=where).iloc[0]
        assert table["estimate"] == pytest.approx(expected, **CLOSE)
    one = grouped.comparisons("z", where={"member": 3}).iloc[0]
    assert one["groups"] == frame.loc[frame["member"] == 3, "group"].nunique()
    slope = grouped.slopes("z", where="head == 1").iloc[0]
    assert slope["estimate"] == pytest.approx(expected / spread, rel=1e-4)


@pytest.mark.parametrize("which", ["gaussian", "binary"])
def test_a_member_leaves(request, frame, which):
    """As predicted for data without its rows: one member fewer, the constant of `total` that of the fit."""
    fit = request.getfixturevalue(which)
    groups = frame.loc[frame["member"] == 3, "group"].unique()
    rest = frame[frame["group"].isin(groups) & (frame["member"] != 3)]
    expected = (fit.predict(rest)["estimate"] - fit.predict()["estimate"].loc[groups]).dropna()
    table = fit.comparisons(without=3, by="group")
    assert list(table.index) == sorted(groups)
    assert table["estimate"].to_numpy() == pytest.approx(expected.loc[sorted(groups)].to_numpy(), abs=1e-10)
    average = fit.comparisons(without={"member": 3}).iloc[0]
    assert average["contrast"] == "without member 3"
    assert average["estimate"] == pytest.approx(expected.mean())
    assert fit.predictions(without=[3], by="group")["groups"].sum() == 80


def test_effects_at_zero_and_integrated_out(count):
    """Against simulation of effects from their population, and against the fixed part alone."""
    system, optimum = count.specification.system, count._outcome.optimum
    room = system.workspace()
    system.fill(optimum.theta, room)
    A = np.zeros((80, system.size))
    s = system.symbolic
    A[np.repeat(np.arange(80), np.diff(s.row_start)), s.order[s.columns]] = room.values
    fixed = A[:, system.n_effects :] @ optimum.x[system.n_effects :]
    zero, marginal = (count.predictions(effects=e)["estimate"][0] for e in ("zero", "marginal"))
    assert zero == pytest.approx(np.exp(fixed).mean())
    z = np.random.default_rng(1).standard_normal((20000, system.n_effects))
    means = np.exp(fixed + z @ A[:, : system.n_effects].T).mean(1)
    assert abs(marginal - means.mean()) < 4 * means.std() / np.sqrt(20000)
    spread = (A[:, : system.n_effects] ** 2).sum(1)
    assert marginal == pytest.approx(np.exp(fixed + spread / 2).mean(), rel=1e-9)
    assert marginal > 1.02 * zero


def test_standard_errors_are_the_spread_of_draws_around_the_maximum(gaussian, count):
    """Averages, weights, effects, all in one; draws of what is not linear spread more in second order."""
    for fit in (gaussian, count):
        made = Fit(fit.posterior.as_sampled(1500, np.random.default_rng(5)).outcome)
        for effects in ("conditional", "zero"):
            table, draws = (f.predictions(effects=effects).iloc[0] for f in (fit, made))
            assert draws["sd"] == pytest.approx(table["se"], rel=0.12)
    table, draws = (f.comparisons("z").iloc[0] for f in (gaussian, Fit(
        gaussian.posterior.as_sampled(1500, np.random.default_rng(6)).outcome)))  # fmt: skip
    assert draws["sd"] == pytest.approx(table["se"], rel=0.12)


def test_draws_are_contrasted_one_by_one(sampled, frame):
    hand = sampled.predict(frame.assign(s=frame["s"] + 1.0), draws=True, kind="linear").mean("group")
    base = sampled.predict(draws=True, kind="linear").mean("group")
    table = sampled.comparisons("s").iloc[0]
    difference = (hand - base).to_numpy()
    assert [table["mean"], table["sd"]] == pytest.approx([difference.mean(), difference.std(ddof=1)])
    assert [table["lower"], table["upper"]] == pytest.approx(np.quantile(difference, [0.025, 0.975]))
    slope = sampled.slopes("x").iloc[0]
    assert slope["mean"] == pytest.approx(sampled.params["x"], **CLOSE)


def test_predictions_by_groups_and_at_values(grouped, frame):
    each = grouped.predictions(by="group")
    assert each["estimate"].to_numpy() == pytest.approx(grouped.predict()["estimate"].to_numpy())
    assert each["se"].to_numpy() == pytest.approx(grouped.predict()["se"].to_numpy())
    kinds = frame.groupby("group")["kind"].first()
    by = grouped.predictions(by="kind").set_index("kind")
    assert by["estimate"].to_numpy() == pytest.approx(grouped.fitted().groupby(kinds).mean().to_numpy())
    assert by["groups"].to_numpy().tolist() == kinds.value_counts().sort_index().tolist()
    grid = grouped.predictions(at={"x": [0.0, "mean"], "kind": ["a", "c"]})
    assert list(zip(grid["x"], grid["kind"], strict=True)) == [(0.0, "a"), (0.0, "c"), ("mean", "a"), ("mean", "c")]
    hand = grouped.predict(frame.assign(x=0.0, kind="c").assign(y=0.0))["estimate"].mean()
    assert grid["estimate"][1] == pytest.approx(hand)


def test_new_data_and_members_no_one_has_seen(grouped, frame):
    new = frame[frame["group"] < 3].replace({"member": {frame["member"][0]: 77}})
    table = grouped.predictions(new)
    expected = grouped.predict(new)["estimate"].mean()
    assert table["estimate"][0] == pytest.approx(expected)
    assert grouped.predictions(new, new_effects="zero")["se"][0] < table["se"][0]
    # an unused column of new data may choose memberships
    with pytest.raises(mm.DataError, match=r"no column 'chosen'.*give data= that has it"):
        grouped.comparisons("z", where="chosen == 1")
    named = new.assign(chosen=["yes"] + ["no"] * (len(new) - 1))
    chosen = grouped.comparisons("z", new.assign(chosen=[1] + [0] * (len(new) - 1)), where="chosen == 1")
    pd.testing.assert_frame_equal(grouped.comparisons("z", named, where='chosen == "yes"'), chosen)
    assert chosen["groups"][0] == 1


def test_differences_of_probabilities_of_categories_sum_to_zero(frame, quick):
    fit = quick("grade ~ x + mm(member, group, weights = 1/n)", frame, family="ordinal")
    table = fit.comparisons("x", kind="probability")
    assert list(table["category"]) == ["1", "2", "3"]
    assert abs(table["estimate"].sum()) < 1e-9
    assert table["estimate"].iloc[2] * fit.params["x"] > 0


def test_an_observational_average_is_not_the_prediction_at_averages(count, frame):
    assert count.predictions()["estimate"][0] == pytest.approx(count.fitted().mean())
    z = stats.norm.ppf(0.975)
    row = count.predictions().iloc[0]
    assert row["upper"] == pytest.approx(row["estimate"] * np.exp(z * row["se"] / row["estimate"]))


@pytest.mark.parametrize(
    ("call", "arguments", "match"),
    [
        ("comparisons", {"contrast": "quotient"}, "contrast="),
        ("comparisons", {"variables": "nothing"}, "'nothing'"),
        ("comparisons", {"variables": {"x": "huge"}}, "comparison of 'x'"),
        ("comparisons", {"variables": {"kind": "sd"}}, "'kind'"),
        ("comparisons", {"variables": "x", "where": "head == 1"}, "column of groups"),
        ("comparisons", {"variables": "z", "where": "head == 5"}, "nothing changes"),
        ("comparisons", {"without": 99}, "no group has a member 99"),
        ("comparisons", {"without": {"other": 3}}, "'other'"),
        ("comparisons", {"contrast": "odds_ratio"}, "probabilities"),
        ("predictions", {"effects": "none"}, "effects="),
        ("predictions", {"by": "y2"}, "by="),
        ("predictions", {"kind": "response"}, "kind="),
        ("slopes", {"variables": "kind"}, "no slope"),
        ("slopes", {"variables": "y"}, "no slope of 'y': it is the outcome"),
        ("slopes", {"variables": "member"}, "contains the member ids.*without="),
        ("slopes", {"variables": "group"}, "contains the group ids"),
        ("slopes", {"variables": []}, "names none"),
        ("comparisons", {"variables": "y"}, "'y': it is the outcome"),
        ("comparisons", {"variables": "member"}, "contains the member ids"),
        ("comparisons", {"variables": []}, "names none"),
        ("predictions", {"at": {"y": 1}}, "at= cannot set 'y'"),
        ("predictions", {"at": {"x": []}}, "at= has no value of 'x'"),
    ],
)
def test_what_cannot_be_asked_is_refused(grouped, call, arguments, match):
    with pytest.raises(mm.MicromacroError, match=match):
        getattr(grouped, call)(**arguments)


def test_values_to_set_may_stand_in_anything(grouped):
    expected = grouped.predictions(at={"x": [0, 1]})
    for values in (range(2), pd.Series([0, 1], index=[5, 6]), np.array([0, 1]), (0, 1)):
        pd.testing.assert_frame_equal(grouped.predictions(at={"x": values}), expected)


def test_without_covariates_there_is_nothing_to_compare(frame, quick):
    fit = quick("y ~ 1", frame.drop_duplicates("group"))
    with pytest.raises(mm.ModelError, match="the model has no covariate, so there is nothing to compare"):
        fit.comparisons()


# -- numbers as categories, units, splines ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def codes(frame):
    """Numbers that are codes: of groups and of members; a unit."""
    rng = np.random.default_rng(4)
    group = pd.DataFrame({"k": rng.integers(1, 4, 80), "unit": rng.integers(0, 8, 80)})
    return frame.join(group, on="group").assign(m=rng.integers(1, 4, len(frame)))


CODED = {
    "alone": ("y ~ C(k)", "k", ["2 - 1", "3 - 1"]),
    "contrasts": ("y ~ C(k, contr.sum)", "k", ["2 - 1", "3 - 1"]),
    "interaction": ("y ~ x * C(k) + mm(member, group)", "k", ["2 - 1", "3 - 1"]),
    "of members": ("y ~ mm(member, group, C(m), normalize = group)", "m", ["2 - 1", "3 - 1"]),
    "slopes": ("y ~ mm(member, group) + (1 + C(k) || unit)", "k", ["2 - 1", "3 - 1"]),
    "an expression": ("y ~ C(I(k ** 2))", "k", None),
}


@pytest.mark.parametrize("case", CODED)
def test_numbers_as_categories_are_compared_by_levels(codes, quick, case):
    formula, name, contrasts = CODED[case]
    data = codes if "mm(" in formula else codes.drop_duplicates("group")
    fit = quick(formula, data)
    own = fit.predict(data)["estimate"]
    with pytest.raises(mm.DataError, match=r"categories.*not seen"):
        fit.predict(data.assign(**{name: 9}))
    pd.testing.assert_series_equal(fit.predict(data.assign(**{name: data[name].astype(float)}))["estimate"], own)
    with pytest.raises(mm.ModelError, match="no slope"):
        fit.slopes(name)
    if contrasts is None:
        return
    table = fit.comparisons(name)
    assert list(table["contrast"]) == contrasts
    two = fit.predict(data.assign(**{name: 2}))["estimate"] - fit.predict(data.assign(**{name: 1}))["estimate"]
    assert table["estimate"][0] == pytest.approx(two.mean(), abs=1e-9)
    with pytest.raises(mm.ModelError, match="a pair of its categories"):
        fit.comparisons({name: 1})


def test_categories_must_be_of_the_kind_that_they_were(codes, quick):
    data = codes.drop_duplicates("group")
    fit = quick("y ~ kind", data.assign(kind=data["k"].astype(str)))
    with pytest.raises(mm.DataError, match="'kind' of data holds numbers, but it held text"):
        fit.predict(data.assign(kind=1))


def test_units_are_compared_by_pairs(codes, quick):
    fit = quick("y ~ x + mm(member, group) + (1 | unit)", codes)
    with pytest.raises(mm.ModelError, match=r"comparisons\(\{'unit': \(a, b\)\}\)"):
        fit.comparisons("unit")
    with pytest.raises(mm.ModelError, match="contains unit ids"):
        fit.slopes("unit")
    effects = fit.random_effects("unit")["estimate"]
    table = fit.comparisons({"unit": (1, 4)})
    assert table["estimate"][0] == pytest.approx(effects[4] - effects[1])
    assert len(fit.comparisons({"unit": "sequential"})) == 7


def test_splines_stay_in_the_range_of_the_fit(frame, quick):
    data = frame.drop_duplicates("group").reset_index(drop=True)
    fit = quick("y ~ bs(x, df = 4)", data)
    for ask in (lambda: fit.predict(data.assign(x=20.0)), lambda: fit.comparisons("x")):
        with pytest.raises(mm.DataError, match=r"outside the range that the fit has seen.*extrapolation='extend'"):
            ask()
    free = quick("y ~ bs(x, df = 4, extrapolation = 'extend')", data)
    assert fit.slopes("x")["estimate"][0] == pytest.approx(free.slopes("x")["estimate"][0], abs=1e-4)
    assert np.isfinite(free.comparisons("x")["estimate"][0])
    far = data.assign(x=data["x"] + 20.0)  # beyond the range derivatives are central again
    h = 1e-4
    sides = [free.predict(far.assign(x=far["x"] + s))["estimate"].mean() for s in (-h, h)]
    assert free.slopes("x", far)["estimate"][0] == pytest.approx((sides[1] - sides[0]) / (2 * h), rel=1e-4)


# -- members whom the fit has not seen leave one after the other ------------------------------------------------------

NEWCOMERS = {
    "iid": ("iid", {}),
    "iid with a slope": ("iid(1 + s)", {}),
    "correlated": ("correlated(1 + s)", {}),
    "walk": ("walk(time)", {}),
    "known": ("known(K)", {"known": True}),
}


def newcomers(kind, quick):
    """A fit by draws, groups of members it has not seen (101 is in both), and the fit's options."""
    rng = np.random.default_rng(31)
    rows = [(g, m, g // 4) for g in range(40) for m in rng.choice(8, 2, replace=False)]
    frame = pd.DataFrame(rows, columns=["group", "member", "time"])
    frame["s"] = rng.standard_normal(len(frame))
    frame["y"] = np.repeat(rng.standard_normal(40) + rng.standard_normal(40), 2)
    word, options = NEWCOMERS[kind]
    if "known" in options:
        ids = [*range(8), 101, 102, 103]
        k = np.eye(11)
        k[8, 9] = k[9, 8] = 0.6
        options = {"known": {"K": (k, ids)}}
    formula = f"y ~ 1 + mm(member, group, weights = 1, normalize = none, effects = {word})"
    fit = quick(formula, frame, "mcmc", draws=60, tune=60, chains=1, random_seed=5, **options)
    new = pd.DataFrame(
        {"group": [0, 0, 1, 1], "member": [101, 102, 101, 103], "time": [20, 20, 21, 21], "s": [0.5, 1.0, -2.0, 0.0]}
    )
    return fit, new


@pytest.mark.parametrize("kind", list(NEWCOMERS))
def test_whoever_stays_keeps_the_effect_that_was_drawn(kind, quick):
    """With summed effects the difference is minus the leaver's own, in every draw, whatever the others had."""
    fit, new = newcomers(kind, quick)
    table = fit.comparisons({}, new, without=101, by="group", random_seed=2, kind="linear")
    both = fit.comparisons({}, new, without=101, random_seed=2, kind="linear")
    theta, x = fit.posterior.thinned(2000)
    unseen = (
        fit.specification.system.parts[1]
        .on(new_tables(fit.specification, new, None, None, fit.posterior.theta))
        .structure
    )  # the leaver's entries come first: its id is the smallest
    rng, by_hand = np.random.default_rng(2), []
    known = fit.specification.system.parts[1].effects
    membership, latent = unseen.pattern()
    load = np.empty(len(membership))
    own = unseen.rows.levels.values
    leaver = np.flatnonzero(np.array([*own, *unseen.fresh])[unseen.rows.level] == 101)
    for t, row in zip(theta, x, strict=True):
        z = np.concatenate([row[:known], rng.standard_normal(unseen.latents - known)])
        unseen.loads(t[fit.specification.system.places.effect_theta(1)], load)
        by_hand.append(-np.bincount(membership, load * z[latent], 4)[leaver])
    by_hand = np.array(by_hand)
    assert table["mean"].to_numpy() == pytest.approx(np.zeros(2))  # over the population of whoever leaves
    assert table["sd"].to_numpy() == pytest.approx(by_hand.std(axis=0, ddof=1))
    assert table["upper"].to_numpy() == pytest.approx(np.quantile(by_hand, 0.975, axis=0))
    assert both["sd"][0] == pytest.approx(by_hand.mean(axis=1).std(ddof=1))
    assert both["sd"][0] > 0.05


def test_the_error_of_a_newcomers_leaving_is_the_sd_of_its_effect(frame, quick):
    fit = quick("y ~ 1 + mm(member, group, weights = 1, normalize = none)", frame)
    new = pd.DataFrame({"group": [0, 0, 1, 1, 1], "member": [101, 102, 101, 103, 104]})
    table = fit.comparisons({}, new, without=101, kind="linear")
    assert table["estimate"][0] == pytest.approx(0.0, abs=1e-12)
    assert table["se"][0] == pytest.approx(fit.params["member.sd"])
