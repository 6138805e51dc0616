"""Members, variance by group and on the outcome's scale, correlation of groups, R squared."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import micromacro as mm
from micromacro.results.fit import Fit


@pytest.fixture(scope="module")
def frame():
    """60 groups of two to four among 12 members, one member listed twice in the first; units; outcomes."""
    rng = np.random.default_rng(21)
    rows = [(g, m) for g in range(60) for m in rng.choice(12, rng.integers(2, 5), replace=False)]
    out = pd.DataFrame([*rows, rows[0]], columns=["group", "member"])
    out["z"], out["s"] = rng.standard_normal(len(out)), rng.standard_normal(len(out))
    x, u, v = rng.standard_normal(60), 1.2 * rng.standard_normal(12), 0.7 * rng.standard_normal(6)
    n = out.groupby("group")["z"].transform("size")
    unit = np.arange(60) % 6
    eta = 0.2 + 0.5 * x + np.bincount(out["group"], (0.8 * out["z"] + u[out["member"]]) / n) + v[unit]
    outcomes = {
        "x": x, "unit": unit, "y": eta + 0.5 * rng.standard_normal(60),
        "binary": (rng.random(60) < special.expit(eta)).astype(int), "count": rng.poisson(np.exp(eta)),
    }  # fmt: skip
    return out.join(pd.DataFrame(outcomes), on="group")


TERMS = " ~ x + mm(member, group, z, weights = 1 / n ** exp(-b1 * s), normalize = {rule}) + (1 | unit)"


@pytest.fixture(scope="module")
def gaussian(frame, quick):
    return quick("y" + TERMS.format(rule="total"), frame)


@pytest.fixture(scope="module")
def sampled(frame, quick):
    return quick("y" + TERMS.format(rule="group"), frame, "mcmc", draws=120, tune=150, chains=2, random_seed=3)


@pytest.fixture(scope="module")
def count(frame, quick):
    return quick("count" + TERMS.format(rule="group"), frame, family="poisson")


def by_hand(fit, frame, draw):
    """Weights (memberships) of one draw with normalize=group, in the order of fit.weights()."""
    rows = frame.sort_values(["group", "member", "z", "s"], ignore_index=True)
    theta = fit._outcome.draws.theta.reshape(-1, fit._outcome.draws.theta.shape[-1])[draw]
    n = rows.groupby("group")["z"].transform("size")
    raw = 1 / n ** np.exp(-theta[0] * rows["s"])
    return rows, raw / raw.groupby(rows["group"]).transform("sum")


# -- members -------------------------------------------------------------------------------------------------


def test_ranks_are_counted_draw_by_draw(sampled):
    effects = sampled.posterior.effect_draws(1).reshape(-1, 12)
    ranks = np.array([stats.rankdata(-row, method="ordinal") for row in effects])
    table = sampled.members().ranking(top=3, ci=0.8)
    assert table["rank"].is_monotonic_increasing
    table = table.sort_index()
    assert table["rank"].to_numpy() == pytest.approx(ranks.mean(0))
    assert table["top"].to_numpy() == pytest.approx((ranks <= 3).mean(0))
    assert pytest.approx(np.quantile(ranks, [0.1, 0.9], axis=0)) == table[["rank_lower", "rank_upper"]].to_numpy().T
    assert table["top"].sum() == pytest.approx(3)
    lowest = sampled.members("member").ranking(top=3, largest=False).sort_index()
    assert lowest["rank"].to_numpy() == pytest.approx(13 - ranks.mean(0))
    own = sampled.random_effects("member", 0.8)
    pd.testing.assert_frame_equal(table[own.columns], own)


def test_ranks_at_a_maximum_come_from_the_normal_approximation(gaussian):
    table = gaussian.members(random_seed=1).ranking().sort_index()
    effects = gaussian.random_effects("member")
    pd.testing.assert_frame_equal(table[effects.columns], effects)
    expected = stats.rankdata(-effects["estimate"])
    assert np.corrcoef(table["rank"], expected)[0, 1] > 0.9
    assert (table["rank_lower"] <= table["rank"]).all() and (table["rank"] <= table["rank_upper"]).all()
    assert table.equals(gaussian.members(random_seed=1).ranking().sort_index())


def test_contributions_add_up_to_the_linear_predictor(sampled, frame):
    """Weight times (covariate times coefficient plus effect), by hand for one draw and over all."""
    members = sampled.members()
    each = members._each_membership(*sampled.posterior.thinned(1000))
    rows, w = by_hand(sampled, frame, 7)
    u = sampled.posterior.effect_draws(1).reshape(-1, 12)[7]
    b = sampled.posterior.draws.reshape(-1, each.shape[0], len(sampled.params))[0, 7][2]
    assert sampled.specification.names[2] == "member.z"
    assert each[7] == pytest.approx((w * (b * rows["z"] + u[rows["member"]])).to_numpy())
    total = members.contributions("group")["mean"]
    groups = frame.groupby("group")[["x", "unit"]].first()
    units = sampled.random_effects("unit")["mean"]
    rest = sampled.predict()["mean"] - total
    expected = sampled.params["Intercept"] + sampled.params["x"] * groups["x"] + units[groups["unit"]].to_numpy()
    assert rest.to_numpy() == pytest.approx(expected.to_numpy())
    by_member = members.contributions()
    assert by_member["mean"].sum() == pytest.approx(total.sum())
    listed = members.contributions("membership")
    assert len(listed) == len(frame)
    assert listed.groupby("member")["mean"].sum().to_numpy() == pytest.approx(by_member["mean"].to_numpy())


def test_the_spread_of_weight_in_each_group(sampled, frame):
    table = sampled.members().spread()
    made = []
    for draw in range(240):
        rows, w = by_hand(sampled, frame, draw)
        merged = w.groupby([rows["group"], rows["member"]]).sum()
        made.append(1 / (merged**2).groupby("group").sum())
    made = np.array(made)
    assert table["effective"].to_numpy() == pytest.approx(made.mean(0))
    assert pytest.approx(np.quantile(made, [0.025, 0.975], axis=0)) == table[["lower", "upper"]].to_numpy().T
    assert table["total"].to_numpy() == pytest.approx(np.ones(60))
    assert table["members"].to_numpy().tolist() == frame.groupby("group")["member"].nunique().tolist()
    weights = sampled.weights().groupby(["group", "member"])["weight"].sum()
    assert table["largest"].to_numpy() == pytest.approx(weights.groupby("group").max().to_numpy())
    assert table["heaviest"].tolist() == [i[1] for i in weights.groupby("group").idxmax()]


def test_equal_weights_are_as_many_as_there_are_members(frame, quick):
    fit = quick(
        "y ~ x + mm(member, group, z, weights = 1/n, effects = none)", frame.drop_duplicates(["group", "member"])
    )
    table = fit.members().spread()
    assert table["effective"].to_numpy() == pytest.approx(table["members"].to_numpy())
    assert table["se"].to_numpy() == pytest.approx(np.zeros(60), abs=1e-12)
    with pytest.raises(mm.ModelError, match="no effects"):
        fit.members().ranking()


def test_members_that_cannot_be_asked_for(gaussian, two_blocks, plain):
    with pytest.raises(mm.ModelError, match="head, aide"):
        two_blocks["ml"].members()
    with pytest.raises(mm.ModelError, match="'nobody'"):
        gaussian.members("nobody")
    with pytest.raises(mm.ModelError, match="no member block"):
        plain.members()
    with pytest.raises(mm.ModelError, match="top="):
        gaussian.members().ranking(top=13)
    with pytest.raises(mm.ModelError, match="by="):
        gaussian.members().contributions("party")
    assert "12 members" in repr(gaussian.members())


@pytest.fixture(scope="module")
def plain(frame, quick):
    return quick("y ~ x", frame.drop_duplicates("group"))


# -- variance ------------------------------------------------------------------------------------------------


def dense_effects(fit):
    """Rows of A for effects at the maximum, split by level."""
    system, optimum = fit.specification.system, fit._outcome.optimum
    room = system.workspace()
    system.fill(optimum.theta, room)
    s = system.symbolic
    A = np.zeros((system.groups, system.size))
    A[np.repeat(np.arange(system.groups), np.diff(s.row_start)), s.order[s.columns]] = room.values
    levels = [A[:, fit.specification.layout.latents(k)] for k, p in enumerate(system.parts) if p.effects]
    return levels, A[:, system.n_effects :] @ optimum.x[system.n_effects :]


def test_variance_by_group(gaussian):
    table = gaussian.variance_components(by="group")
    levels, _ = dense_effects(gaussian)
    v = np.stack([*((a**2).sum(1) for a in levels), np.full(60, gaussian.params["sigma"] ** 2)])
    assert table.index.names == ["group", "level"]
    assert table["variance"].unstack()[["member", "unit", "residual"]].to_numpy() == pytest.approx(v.T)
    assert table["share"].unstack()[["member", "unit", "residual"]].to_numpy() == pytest.approx((v / v.sum(0)).T)
    assert np.all(table["lower"] < table["upper"])
    # weights differ between groups, and with them the shares
    assert table["share"].unstack()["member"].std() > 0.01


def test_on_an_identity_link_both_scales_agree(gaussian, sampled):
    link, response = (gaussian.variance_components(by="group", scale=s) for s in ("link", "response"))
    assert response.loc[link.index, "share"].to_numpy() == pytest.approx(link["share"].to_numpy())
    assert response["share"].xs("interaction", level="level").to_numpy() == pytest.approx(np.zeros(60), abs=1e-9)
    draws = sampled.variance_components(scale="response")
    assert list(draws.columns) == ["variance", "share", "share_sd", "lower", "upper"]
    assert draws["share"].sum() == pytest.approx(1.0)


def test_variance_of_counts_on_their_own_scale_is_what_simulation_gives(count):
    """Given one level's effects, the mean over the others: for a log link in closed form, and all of it simulated."""
    levels, f = dense_effects(count)
    v = [(a**2).sum(1) for a in levels]
    total = np.sum(v, axis=0)
    first = [np.exp(2 * f + total) * np.expm1(one) for one in v]
    everything = np.exp(2 * f + total) * np.expm1(total)
    exact = [*(one.mean() for one in first), (everything - first[0] - first[1]).mean(), np.exp(f + total / 2).mean()]
    table = count.variance_components(scale="response", random_seed=1)
    assert list(table.index) == ["member", "unit", "interaction", "residual"]
    assert table["variance"].to_numpy() == pytest.approx(exact, rel=2e-3)
    z = np.random.default_rng(2).standard_normal((40000, sum(a.shape[1] for a in levels)))
    mu = np.exp(f + z @ np.concatenate(levels, axis=1).T)
    assert mu.var(0).mean() == pytest.approx(sum(exact[:3]), rel=0.1)


def test_correlations_of_groups(gaussian, sampled):
    levels, _ = dense_effects(gaussian)
    C = sum(a @ a.T for a in levels)
    sigma2 = gaussian.params["sigma"] ** 2
    some = [0, 3, 6, 12]
    matrix = gaussian.group_correlation(some)
    sd = np.sqrt(np.diag(C))
    assert matrix.to_numpy() == pytest.approx((C / np.outer(sd, sd))[np.ix_(some, some)])
    assert gaussian.group_correlation(some, of="covariance").to_numpy() == pytest.approx(C[np.ix_(some, some)])
    pair = gaussian.group_correlation(0, 6)
    assert list(pair.index) == ["member", "unit", "total", "correlation", "outcome correlation"]
    parts = [a[0] @ a[6] for a in levels]
    outcome = C[0, 6] / np.sqrt((C[0, 0] + sigma2) * (C[6, 6] + sigma2))
    expected = [*parts, sum(parts), C[0, 6] / np.sqrt(C[0, 0] * C[6, 6]), outcome]
    assert pair["estimate"].to_numpy() == pytest.approx(expected)
    assert gaussian.group_correlation([0, 6], of="outcome").iloc[0, 1] == pytest.approx(outcome)
    assert list(sampled.group_correlation(0, 6).columns) == ["mean", "sd", "lower", "upper"]
    for arguments, match in [((0, 999), "999"), (([0],), "two groups"), ((0,), "two groups")]:
        with pytest.raises(mm.MicromacroError, match=match):
            gaussian.group_correlation(*arguments)


def test_r2_of_nakagawa(gaussian):
    levels, f = dense_effects(gaussian)
    v = sum((a**2).sum(1) for a in levels).mean()
    fixed, rest = f.var(ddof=1), gaussian.params["sigma"] ** 2
    table = gaussian.r2()
    assert table["estimate"].to_numpy() == pytest.approx(np.array([fixed, fixed + v]) / (fixed + v + rest))
    assert np.all((table["lower"] < table["estimate"]) & (table["estimate"] < table["upper"]))


def test_r2_of_gelman(sampled, plain, frame, quick):
    table = sampled.r2()
    mu = sampled.predict(draws=True, kind="linear").to_numpy()
    sigma = sampled.posterior.draws.reshape(-1, len(sampled.params))[:, -1]
    each = mu.var(1, ddof=1) / (mu.var(1, ddof=1) + sigma**2)
    assert table.loc["conditional", "mean"] == pytest.approx(each.mean())
    assert table.loc["conditional", "sd"] == pytest.approx(each.std(ddof=1))
    assert table.loc["marginal", "mean"] < table.loc["conditional", "mean"]
    # without effects both are the familiar one, its variances from N - 1 and N
    squared = np.corrcoef(frame.drop_duplicates("group")["x"], frame.drop_duplicates("group")["y"])[0, 1] ** 2
    assert plain.r2("bayes")["estimate"].to_numpy() == pytest.approx([squared] * 2, rel=0.02)
    fit = quick("binary ~ x", frame.drop_duplicates("group"), family="bernoulli")
    p = fit.fitted()
    assert fit.r2("bayes")["estimate"].to_numpy() == pytest.approx([p.var() / (p.var() + (p * (1 - p)).mean())] * 2)


def test_words_that_mean_nothing_are_refused(gaussian, plain):
    for call, arguments in [
        ("variance_components", {"by": "unit"}),
        ("variance_components", {"scale": "log"}),
        ("r2", {"method": "adjusted"}),
    ]:
        with pytest.raises(mm.EngineError, match="is"):
            getattr(gaussian, call)(**arguments)
    with pytest.raises(mm.EngineError, match="of="):
        gaussian.group_correlation([0, 1], of="distance")
    with pytest.raises(mm.ModelError, match="independent"):
        plain.group_correlation([0, 1])


def test_draws_and_maximum_meet_in_the_middle(gaussian):
    made = Fit(gaussian.posterior.as_sampled(400, np.random.default_rng(1)).outcome)
    assert made.r2("nakagawa")["mean"].to_numpy() == pytest.approx(gaussian.r2()["estimate"].to_numpy(), abs=0.1)


# -- contributions of all kinds of effects ---------------------------------------------------------------------------

KINDS = {
    "iid": ("iid", {}),
    "slopes": ("iid(1 + s)", {}),
    "slope alone": ("iid(0 + s)", {}),
    "correlated": ("correlated(1 + s)", {}),
    "walk": ("walk", {}),
    "walk in time": ("walk(year)", {}),
    "ar1": ("ar1(year)", {}),
    "car": ("car(ring)", {"graphs": True}),
    "icar": ("icar(ring)", {"graphs": True}),
    "known": ("known(K)", {"known": True}),
    "fixed": ("fixed", {}),
}


def kinds_frame():
    rng = np.random.default_rng(4)
    rows = [(g, m, g // 5) for g in range(50) for m in rng.choice(8, rng.integers(1, 4), replace=False)]
    out = pd.DataFrame(rows, columns=["group", "member", "year"])
    out["s"], out["z"] = rng.standard_normal(len(out)), rng.standard_normal(len(out))
    out["y"] = rng.standard_normal(50)[out["group"]]
    return out.sample(frac=1, random_state=1)


def kinds_options(options):
    if "graphs" in options:
        around = np.eye(9, k=1) + np.eye(9, k=-1)
        around[0, -1] = around[-1, 0] = 1
        return {"graphs": {"ring": pd.DataFrame(around, range(9), range(9))}}  # a place that the data do not show
    if "known" in options:
        k = 0.3 + 0.7 * np.eye(8)
        return {"known": {"K": (k, list(range(8)))}}
    return {}


def by_labels(fit, name, rows, draw):
    """What the effects of one draw amount to in each membership, looked up by their labels."""
    index = fit.specification.structures[fit.specification.effects_name(name)][0]
    values = fit.posterior.effect_draws(index).reshape(240, -1)[draw]
    table = pd.Series(values, index=fit.random_effects(name).index)
    if table.index.nlevels == 1:
        return table.loc[rows["member"]].to_numpy()
    second = table.index.names[1]
    if second != "term":
        return table.loc[list(zip(rows["member"], rows[second], strict=True))].to_numpy()
    terms = table.index.get_level_values(1).unique()
    return sum(
        table.xs(t, level=1).loc[rows["member"]].to_numpy() * (1 if t == "1" else rows[t].to_numpy()) for t in terms
    )


@pytest.mark.parametrize("kind", list(KINDS))
def test_contributions_of_every_kind_are_those_of_a_plain_sum(kind, quick):
    frame, (word, options) = kinds_frame(), KINDS[kind]
    formula = f"y ~ 1 + mm(member, group, z, weights = exp(b1 * s), normalize = group, effects = {word})"
    fit = quick(formula, frame, "mcmc", draws=120, tune=60, chains=2, random_seed=3, **kinds_options(options))
    each = fit.members()._each_membership(*fit.posterior.thinned(1000))
    rows = fit.weights()[["group", "member"]].merge(frame.drop(columns="y"), on=["group", "member"], how="left")
    b1, b = (fit.posterior.draws[..., fit.specification.names.index(n)].ravel() for n in ("member.w.b1", "member.z"))
    for draw in (0, 77, 239):
        w = np.exp(b1[draw] * rows["s"])
        w = (w / w.groupby(rows["group"]).transform("sum")).to_numpy()
        expected = w * (b[draw] * rows["z"].to_numpy() + by_labels(fit, "member", rows, draw))
        assert each[draw] == pytest.approx(expected)
    total = fit.members().contributions("group")["mean"] + fit.params["Intercept"]
    assert total.to_numpy() == pytest.approx(fit.predict()["mean"].to_numpy())
    assert len(fit.members().contributions()) == frame["member"].nunique()


@pytest.mark.parametrize("word", ["shared(head)", "correlated_with(head)"])
def test_contributions_in_roles(word, quick):
    """Effects that two blocks have together count in each of them."""
    rng = np.random.default_rng(9)
    frame = pd.DataFrame([(g, *rng.choice(7, 2, replace=False)) for g in range(60)], columns=["group", "head", "aide"])
    frame["y"] = rng.standard_normal(60)
    formula = f"y ~ 1 + mm(head, group) + mm(aide, group, effects = {word})"
    fit = quick(formula, frame, "mcmc", draws=120, tune=60, chains=2, random_seed=3)
    both = [fit.members(b).contributions("group")["mean"].to_numpy() for b in ("head", "aide")]
    assert np.std(both[1]) > 0
    assert sum(both) + fit.params["Intercept"] == pytest.approx(fit.predict()["mean"].to_numpy())
    if word.startswith("corr"):
        u = fit.random_effects("head")["mean"].xs("aide", level="term")
        assert fit.members("aide").ranking(top=3)["mean"].sort_index().to_numpy() == pytest.approx(u.to_numpy())
        with pytest.raises(mm.ModelError, match="nobody"):
            fit.members("aide").ranking(top=3, term="nobody")


def test_ranks_of_one_of_several_effects(quick):
    frame = kinds_frame()
    formula = "y ~ 1 + mm(member, group, effects = {})"
    fit = quick(formula.format("correlated(1 + s)"), frame, "mcmc", draws=120, tune=60, chains=2, random_seed=3)
    slopes = fit.posterior.effect_draws(0 if len(fit.specification.system.parts) == 1 else 1).reshape(240, 8, 2)[..., 1]
    table = fit.members().ranking(top=3, term="s").sort_index()
    assert table["mean"].to_numpy() == pytest.approx(slopes.mean(0))
    assert table["rank"].to_numpy() == pytest.approx(stats.rankdata(-slopes, axis=1).mean(0))
    assert table["memberships"].to_numpy().tolist() == frame["member"].value_counts().sort_index().tolist()
    with pytest.raises(mm.ModelError, match="several effects"):
        fit.members().ranking(top=3)
    walk = quick(formula.format("walk"), frame, "mcmc", draws=30, tune=30, chains=1, random_seed=3)
    with pytest.raises(mm.ModelError, match="one participation to the next"):
        walk.members().ranking(top=3)
    car = quick(formula.format("car(ring)"), frame, "mcmc", draws=30, tune=30, chains=1, random_seed=3,
                **kinds_options({"graphs": True}))  # fmt: skip
    assert car.members().ranking(top=3)["memberships"].sort_index().tolist()[-1] == 0  # the place without data
