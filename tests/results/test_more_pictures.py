"""Pictures beyond weights, coefficients and effects: what is drawn are the numbers of the fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import micromacro as mm

pytest.importorskip("matplotlib")

from micromacro.results.plots import plot_comparison
from micromacro.results.plots.registry import PICTURES
from micromacro.results.plots.survival import kaplan_meier


@pytest.fixture(autouse=True)
def closed():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture(scope="session")
def lives(quick):
    """Weibull durations, a third of them censored, by ml."""
    rng = np.random.default_rng(6)
    frame = pd.DataFrame({"x": rng.standard_normal(150)})
    time = np.exp(0.5 + 0.8 * frame["x"]) * rng.weibull(1.5, 150)
    end = rng.exponential(4.0, 150)
    frame["t"], frame["died"] = np.minimum(time, end), (time <= end).astype(int)
    return quick("surv(t, died) ~ x", frame, family="weibull"), frame


@pytest.fixture(scope="session")
def counted(quick):
    rng = np.random.default_rng(7)
    frame = pd.DataFrame({"x": rng.standard_normal(120), "kind": np.tile(["a", "b", "c"], 40)})
    frame["y"] = rng.poisson(np.exp(0.5 + 0.5 * frame["x"] + (frame["kind"] == "c")))
    frame["k"] = rng.binomial(8, 0.4, 120)
    frame["n"] = 8
    return frame


def axes_of(made):
    return list(np.atleast_1d(np.asarray(made, dtype=object)).ravel())


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_drawn_on_the_axes_given_and_to_a_file(name, mcmc, lives, tmp_path):
    """The generic test of the table of pictures: ax=, return value, a file that is not empty paper."""
    import matplotlib.pyplot as plt
    from matplotlib.image import imread

    fit = lives[0] if name == "survival" else mcmc
    one = {
        "trace": {"names": "sigma"}, "rank": {"names": "sigma"}, "prior": {"names": "member.w.b1"},
        "predictions": {"variable": "s"}, "loo": {"integrated": True},
    }.get(name, {})  # fmt: skip
    figure, ax = plt.subplots(figsize=(5, 4), layout="constrained")
    assert getattr(fit.plot, name)(ax=ax, **one) is ax
    assert name in repr(fit.plot)
    figure.savefig(tmp_path / "one.png", dpi=60)
    ink = imread(tmp_path / "one.png")[..., :3].min(axis=-1)
    assert 0.005 < np.mean(ink < 0.95) < 0.95
    made = axes_of(getattr(fit.plot, name)(**(one if name == "loo" else {})))
    assert all(hasattr(a, "plot") for a in made) and made[0] is not ax


def test_colours_are_apart_for_the_colour_blind_and_in_grey():
    """Okabe and Ito's colours; those drawn together differ in lightness or in line style."""
    from matplotlib.colors import to_rgb

    from micromacro.results.plots import style

    grey = [float(np.dot(to_rgb(c), [0.299, 0.587, 0.114])) for c in (style.BLUE, style.ORANGE)]
    assert abs(grey[0] - grey[1]) > 0.2
    assert len(set(style.COLOURS)) == 6 and len(set(style.LINES)) == 4


def test_all_covariates_have_a_picture_each(quick, data):
    frame = data.assign(r=np.random.default_rng(1).standard_normal(len(data)))
    fit = quick("y ~ x + mm(member, group, weights = power(s + r), normalize = group)", frame)
    made = fit.plot.weights("all")
    assert [a.get_xlabel() for a in made] == ["s", "r"]
    assert [a.get_xlabel() for a in fit.plot.weights(["r"])] == ["r"]
    import matplotlib.pyplot as plt

    _, places = plt.subplots(1, 2)
    assert list(fit.plot.weights("all", ax=places)) == list(places)
    with pytest.raises(mm.EngineError, match="2 plots"):
        fit.plot.weights("all", ax=plt.subplots()[1])


def test_the_heat_map_shows_the_weights(ml):
    groups = [7, 3, 40]
    ax = ml.plot.heatmap(groups)
    shown = ax.images[0].get_array()
    members = [int(t.get_text()) for t in ax.get_xticklabels()]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["7", "3", "40"]
    table = ml.weights().set_index(["group", "member"])["weight"]
    for row, group in enumerate(groups):
        for column, member in enumerate(members):
            if (group, member) in table.index:
                assert shown[row, column] == pytest.approx(table[group, member])
            else:
                assert np.ma.getmaskarray(shown)[row, column]
    assert len(ax.texts) == (~np.ma.getmaskarray(shown)).sum()
    spread = ml.weights().groupby("group")["weight"].std(ddof=0).nlargest(4).index
    assert {int(t.get_text()) for t in ml.plot.heatmap(most=4).get_yticklabels()} == set(spread)
    with pytest.raises(mm.DataError, match="group 999"):
        ml.plot.heatmap([999])


def test_the_picture_of_the_variance_shows_its_table(ml):
    ax = ml.plot.variance(ci=0.8)
    table = ml.variance_components(0.8)
    assert [p.get_width() for p in ax.patches] == pytest.approx(table["share"].tolist())
    ends = np.array([s[:, 0] for s in ax.collections[0].get_segments()])
    assert ends == pytest.approx(table[["lower", "upper"]].to_numpy())
    assert "80%" in ax.get_xlabel()


def test_traces_and_ranks_are_of_the_draws(mcmc):
    draws = mcmc.posterior.draws[..., list(mcmc.params.index).index("sigma")]
    ax = mcmc.plot.trace("sigma")
    for line, chain in zip(ax.lines, draws, strict=True):
        assert np.array_equal(line.get_ydata(), chain)
    ax = mcmc.plot.rank("sigma")
    steps = [p for p in ax.patches if hasattr(p, "get_data") and len(np.atleast_1d(p.get_data().values)) == 20]
    counts = np.array([p.get_data().values for p in steps])
    assert counts.shape == (4, 20)
    assert np.all(counts.sum(axis=1) == 400)
    assert np.all(np.abs(counts.sum(axis=0) - 80) <= 2)  # 1,600 ranks in 20 bins; ties may lie on an edge
    lowest = (draws <= np.sort(draws, axis=None)[79]).sum(axis=1)
    assert np.all(np.abs(counts[:, 0] - lowest) <= 1)
    names = ["member.w.b1", "member.sd", "unit.sd", "sigma"]
    assert [a.get_title() for a in mcmc.plot.trace()] == names
    assert [a.get_title() for a in mcmc.plot.rank(["x", "sigma"])] == ["x", "sigma"]


def test_the_prior_is_drawn_with_its_density(mcmc):
    ax = mcmc.plot.prior("member.sd")
    given = {p.name: p.prior for p in mcmc.specification.parameters}["member.sd"]
    x, height = ax.lines[0].get_data()
    assert height == pytest.approx([np.exp(given.log_density(v)) for v in x])
    x, height = ax.lines[1].get_data()
    draws = mcmc.posterior.draws[..., list(mcmc.params.index).index("member.sd")].ravel()
    assert height == pytest.approx(stats.gaussian_kde(draws)(x))
    assert [a.get_xlabel() for a in mcmc.plot.prior()] == ["member.w.b1"]
    with pytest.raises(mm.ModelError, match="Intercept"):
        mcmc.plot.prior("Intercept")


def test_a_check_of_densities(mcmc, oracle):
    ax = mcmc.plot.predictive(draws=7)
    assert len(ax.lines) == 8
    x, height = ax.lines[-1].get_data()
    assert height == pytest.approx(stats.gaussian_kde(oracle.y)(x))
    made = mcmc.predict(kind="response", draws=True, random_seed=0).to_numpy()
    x, height = ax.lines[0].get_data()
    assert height == pytest.approx(stats.gaussian_kde(made[0])(x))


def test_a_check_of_counts(counted, quick):
    fit = quick("y ~ x", counted, family="poisson")
    ax = fit.plot.predictive(ci=0.9)
    at = [p.get_x() + p.get_width() / 2 for p in ax.patches]
    assert [p.get_height() for p in ax.patches] == [(counted["y"] == v).sum() for v in np.round(at)]
    made = fit.predict(kind="response", draws=True, random_seed=0).to_numpy()
    zero = (made == 0).sum(axis=1)
    assert ax.collections[0].get_segments()[0][:, 1] == pytest.approx(np.quantile(zero, [0.05, 0.95]))


@pytest.mark.parametrize("statistic", ["mean", "sd"])
def test_a_check_within_levels_finds_what_the_model_misses(counted, quick, statistic):
    """Outcomes of kind c are larger; a model without the kinds misses that, one with them does not."""
    fit = quick("y ~ x + (1 | kind)", counted, family="poisson", fixed={"kind.sd": 1e-6})
    ax = fit.plot.predictive("kind", statistic=statistic)
    shown = {round(float(y)): float(x) for line in ax.lines for x, y in zip(*line.get_data(), strict=True)}
    function = np.mean if statistic == "mean" else np.std
    expected = [function(counted.loc[counted["kind"] == k, "y"]) for k in "cba"]
    assert [shown[k] for k in range(3)] == pytest.approx(expected)
    outside = set(np.round(ax.lines[1].get_ydata()).astype(int))
    assert 0 in outside if statistic == "mean" else True
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b", "c"]
    good = quick("y ~ x + kind + (1 | kind)", counted, family="poisson").plot.predictive("kind")
    assert not len(good.lines[1].get_ydata())
    assert len(fit.plot.predictive("x").get_yticklabels()) == 10
    with pytest.raises(mm.DataError, match="'z' is not a column"):
        fit.plot.predictive("z")


def test_trials_are_checked_as_shares(counted, quick):
    ax = quick("trials(k, n) ~ x", counted, family="binomial").plot.predictive("x")
    assert 0 < max(float(np.max(line.get_xdata())) for line in ax.lines if len(line.get_xdata())) <= 1


def test_dots_of_the_network_are_as_large_as_effects(ml):
    ax = ml.plot.network()
    sizes = np.concatenate([c.get_sizes() for c in ax.collections])
    effect = ml.random_effects("member").iloc[:, 0].abs()
    assert np.sort(sizes) == pytest.approx(np.sort(20 + 480 * effect / effect.max()))
    together = ml.weights().merge(ml.weights(), on="group")
    pairs = together.query("member_x < member_y")[["member_x", "member_y"]].drop_duplicates()
    assert len(ax.lines) == len(pairs)
    assert len(ml.plot.network(most=5, labels=False).texts) == 0


@pytest.fixture(scope="module")
def pairs():
    """Two members with different roles in every group, and a covariate."""
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"g": np.repeat(np.arange(80), 2), "a": rng.integers(0, 12, 160), "x": rng.normal(size=160)})
    frame["b"] = (frame["a"] + 1 + rng.integers(0, 11, 160)) % 12
    effect = rng.normal(size=(2, 12))
    both = effect[0][frame["a"]] + effect[1][frame["b"]]
    frame["y"] = pd.Series(both).groupby(frame["g"]).transform("mean") + rng.normal(size=80)[frame["g"]] * 0.3
    return frame


@pytest.mark.parametrize(
    ("terms", "block", "level"),
    [
        ("mm(a, g) + mm(b, g, effects = correlated_with(a))", "a", "a"),
        ("mm(a, g) + mm(b, g, effects = correlated_with(a))", "b", "b"),
        ("mm(a, g, x, effects = iid(1 + x))", "a", "1"),
    ],
)
def test_dots_of_the_network_have_one_effect_of_several(pairs, quick, terms, block, level):
    fit = quick(f"y ~ 1 + {terms}", pairs)
    table = fit.random_effects(block)["estimate"].xs(level, level="term").reindex(np.sort(pairs[block].unique()))
    ax = fit.plot.network(block, labels=False)
    sizes = np.concatenate([c.get_sizes() for c in ax.collections])
    signs = np.repeat([1, -1], [len(c.get_sizes()) for c in ax.collections])
    values = np.concatenate([table[table > 0], table[table < 0]])
    assert np.sign(values).tolist() == signs.tolist()
    assert sizes == pytest.approx(20 + 480 * np.abs(values) / np.abs(values).max())


def test_a_network_of_effects_that_change_or_are_slopes_is_refused(pairs, quick):
    for effects, why in (("walk", "change with"), ("iid(0 + x)", "slopes only")):
        with pytest.raises(mm.ModelError, match=why):
            quick(f"y ~ 1 + mm(a, g, x, effects = {effects})", pairs).plot.network()


def test_a_baseline_has_no_effects_of_members_or_units_to_draw(quick):
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"x": rng.normal(size=80), "t": rng.exponential(size=80), "e": rng.integers(0, 2, 80)})
    fit = quick("surv(t, e) ~ x", frame, family=mm.families.cox(intervals=4, baseline="random_walk"))
    with pytest.raises(mm.ModelError, match="no effects of members or units"):
        fit.plot.effects()


def test_survival_is_that_of_the_family(lives):
    fit, frame = lives
    ax = fit.plot.survival([3, 10])
    at = [k for k, line in enumerate(ax.lines) if len(line.get_xdata()) == 81]
    shape, b0, b1 = fit.params[["shape", "Intercept", "x"]]
    for k, row in zip(at, (3, 10), strict=True):
        x, height = ax.lines[k].get_data()
        expected = np.exp(-((x / np.exp(b0 + b1 * frame.loc[row, "x"])) ** shape))
        assert height == pytest.approx(expected, abs=0.03)  # the mean over the uncertainty of the estimates
        assert height[0] == 1.0 and np.all(np.diff(height) <= 1e-12)
    ax = fit.plot.survival()
    curve, km = ax.lines
    between = np.interp(curve.get_xdata(), km.get_xdata(), km.get_ydata())
    assert np.max(np.abs(between - curve.get_ydata())) < 0.12
    with pytest.raises(mm.DataError, match="no group 999"):
        fit.plot.survival([999])
    with pytest.raises(mm.ModelError, match="survival"):
        fit.plot.predictive()


def test_survival_of_a_cox_model_is_the_table(lives, quick):
    frame = lives[1]
    fit = quick("surv(t, died) ~ x", frame, family=mm.families.cox(intervals=5))
    ax = fit.plot.survival([3])
    x, height = ax.lines[0].get_data()
    table = fit.survival(x[1:]).query("row == 3")
    assert height[1:] == pytest.approx(table["estimate" if "estimate" in table else "mean"].to_numpy(), abs=0.03)
    assert len(fit.plot.survival().lines) == 2
    late = frame.assign(since=0.5 * frame["t"])
    entered = quick("surv(since, t, died) ~ x", late, family="weibull")
    assert len(entered.plot.survival().lines) == 1  # no Kaplan-Meier estimate of those who entered late
    with pytest.raises(mm.ModelError, match="survival"):
        fit.plot.predictive()


def test_kaplan_meier_by_hand():
    """The example of Kaplan and Meier's definition: deaths at 1, 2 (twice), 4; censored at 2 and 5."""
    at, alive = kaplan_meier(np.array([1.0, 2, 2, 2, 4, 5]), np.array([True, True, True, False, True, False]))
    assert at.tolist() == [0, 1, 2, 4]
    assert alive == pytest.approx([1, 5 / 6, 5 / 6 * 3 / 5, 5 / 6 * 3 / 5 * 1 / 2])


def test_the_picture_of_a_comparison():
    table = pd.DataFrame({"difference": [-3.0, 0.0, -10.0], "se_difference": [1.0, 0.0, 4.0]}, index=list("abc"))
    ax = plot_comparison(table)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["b", "a", "c"]
    ends = [s[:, 0] for s in ax.collections[0].get_segments()]
    assert ends[2] == pytest.approx([-10 - 4 * 1.959964, -10 + 4 * 1.959964])
    with pytest.raises(mm.DataError, match="elpd"):
        plot_comparison(table, difference="elpd")


def test_what_cannot_be_drawn_says_so(ml, counted, quick):
    for name in ("trace", "rank"):
        with pytest.raises(mm.EngineError, match="no chains"):
            getattr(ml.plot, name)()
    with pytest.raises(mm.EngineError, match="no posterior"):
        ml.plot.prior()
    with pytest.raises(mm.ModelError, match="durations"):
        ml.plot.survival()
    plain = quick("y ~ x", counted, family="poisson")
    for name in ("network", "heatmap"):
        with pytest.raises(mm.ModelError, match=r"no effects|no member block"):
            getattr(plain.plot, name)()


@pytest.mark.parametrize(("kind", "lines"), [("quantile", 4), ("martingale", 2)])
def test_residuals_stand_above_their_linear_predictors(lives, kind, lines):
    fit = lives[0]
    ax = fit.plot.residuals(kind, random_seed=3)
    x, y = ax.lines[-1].get_data()
    assert y == pytest.approx(fit.residuals(kind, random_seed=3).to_numpy())
    assert x == pytest.approx(fit.predict(kind="linear")["estimate"].to_numpy())
    assert len(ax.lines) == lines and ax.get_ylabel() == f"{kind} residual"


# -- averages over groups ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def poisson(quick, counted):
    return quick("y ~ x * kind", counted, family="poisson")


def test_a_line_of_predictions_is_that_of_the_table(poisson):
    ax = poisson.plot.predictions("x", by="kind", ci=0.9)
    lines = [line for line in ax.get_lines() if len(line.get_xdata()) > 10]
    assert len(lines) == 3
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["kind a", "kind b", "kind c"]
    x = lines[1].get_xdata()
    table = poisson.predictions(at={"x": list(x)}, by="kind", ci=0.9)
    np.testing.assert_allclose(lines[1].get_ydata(), table.loc[table["kind"] == "b", "estimate"])
    assert "90% interval" in ax.get_ylabel()


def test_few_values_are_points(poisson):
    ax = poisson.plot.predictions("kind")
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b", "c"]
    with pytest.raises(mm.MicromacroError, match="'nothing' is not a column"):
        poisson.plot.predictions("nothing")


@pytest.mark.parametrize("name", ["comparisons", "slopes"])
def test_points_are_the_rows_of_the_table(poisson, name):
    ax = getattr(poisson.plot, name)(by="kind")
    table = getattr(poisson, name)(by="kind")
    (dots,) = [line for line in ax.get_lines() if line.get_marker() == "o"]
    np.testing.assert_allclose(dots.get_xdata(), table["estimate"])
    assert len(ax.get_yticklabels()) == len(table)


def test_ratios_are_held_against_one(poisson):
    ax = poisson.plot.comparisons("x", contrast="ratio")
    assert ax.get_lines()[0].get_xdata()[0] == 1.0


@pytest.mark.parametrize("what", ["pareto_k", "elpd", "pit"])
def test_leaving_groups_out_is_drawn_as_it_is_computed(mcmc, what):
    ax = mcmc.plot.loo(what, integrated=True, random_seed=1)
    if what == "pit":
        assert sum(p.get_height() for p in ax.patches if p.get_width() < 0.5) == mcmc.nobs
    else:
        drawn = np.concatenate([line.get_ydata() for line in ax.get_lines() if line.get_marker() in "o^"])
        np.testing.assert_allclose(np.sort(drawn), np.sort(mcmc.loo(integrated=True).column(what)))
    with pytest.raises(mm.MicromacroError, match="pareto_k"):
        mcmc.plot.loo("nothing")
