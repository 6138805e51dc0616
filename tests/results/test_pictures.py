"""Pictures: they run without a display, return Axes, and show the numbers of the tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def closed():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture(params=["ml", "mcmc"])
def fit(request):
    return request.getfixturevalue(request.param)


def segments(ax):
    """(lower, upper, y) of all horizontal lines."""
    return [s for c in ax.collections if hasattr(c, "get_segments") for s in c.get_segments()]


def test_the_picture_of_weights_shows_all_memberships(fit, oracle):
    ax = fit.plot.weights()
    dots, line = ax.lines[0], ax.lines[1]
    assert dots.get_xdata() == pytest.approx(oracle.s)
    assert dots.get_ydata() == pytest.approx(fit.weights()["weight"].to_numpy())
    assert ax.get_xlabel() == "s"
    assert "member" in ax.get_ylabel()
    assert line.get_xdata()[[0, -1]] == pytest.approx([oracle.s.min(), oracle.s.max()])


def curve(oracle, b1, grid, size):
    """The weight of a member of a group of `size`, with the constant of the training data."""
    with np.errstate(over="ignore"):
        total = (1 / oracle.n ** np.exp(-b1 * oracle.s)).sum()
        return len(oracle.groups) / total / size ** np.exp(-b1 * grid)


@pytest.mark.parametrize("size", [None, 2, 5])
def test_the_line_is_the_weight_function(ml, oracle, size):
    ax = ml.plot.weights(size=size)
    grid, line = ax.lines[1].get_data()
    size = size or int(np.median(np.bincount(oracle.g)))
    b1, se = ml.params["member.w.b1"], ml.bse["member.w.b1"]
    expected = curve(oracle, b1, grid, size)
    assert line == pytest.approx(expected, rel=1e-6)
    slope = (curve(oracle, b1 + 1e-5, grid, size) - curve(oracle, b1 - 1e-5, grid, size)) / 2e-5
    band = ax.collections[0].get_paths()[0].vertices
    top = band[:, 1].max()
    assert top == pytest.approx((expected * np.exp(1.959964 * np.abs(slope / expected) * se)).max(), rel=1e-3)


def test_the_band_of_shares_stays_between_0_and_1(quick, data):
    fit = quick("y ~ mm(member, group, weights = softmax(s), normalize = group)", data)
    low, high = (f(fit.plot.weights().collections[0].get_paths()[0].vertices[:, 1]) for f in (np.min, np.max))
    assert 0.0 <= low < high <= 1.0


def test_the_line_of_draws_is_a_mean_over_draws(mcmc, oracle):
    ax = mcmc.plot.weights(size=3)
    grid, line = ax.lines[1].get_data()
    b1 = mcmc.posterior.thinned(500)[0][:, 0]
    assert line == pytest.approx(np.mean([curve(oracle, b, grid, 3) for b in b1], axis=0), rel=1e-6)


def test_the_picture_of_coefficients_shows_the_summary(fit):
    ax = fit.plot.coefficients(ci=0.9)
    names = ["x", "member.z", "member.w.b1"]
    assert [t.get_text() for t in ax.get_yticklabels()] == names
    table = fit.summary(0.9)
    assert ax.lines[-1].get_xdata() == pytest.approx(table.loc[names].iloc[:, 0].to_numpy())
    drawn = np.array(segments(ax))
    for k, name in enumerate(names):
        y = len(names) - 1 - k
        own = drawn[drawn[:, 0, 1] == y]
        assert own[0][:, 0] == pytest.approx(table.loc[name, ["lower", "upper"]].to_numpy(float))
        assert own[1][:, 0] == pytest.approx(fit.summary(0.5).loc[name, ["lower", "upper"]].to_numpy(float))
    assert "90% interval" in ax.get_xlabel()


def test_parameters_can_be_chosen(fit):
    ax = fit.plot.coefficients(names=["sigma", "Intercept"])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["sigma", "Intercept"]
    with pytest.raises(mm.ModelError, match="nothing"):
        fit.plot.coefficients(names=["nothing"])


@pytest.mark.parametrize("name", ["member", "unit"])
def test_the_picture_of_effects_is_sorted_and_shows_the_table(fit, name):
    ax = fit.plot.effects(name)
    table = fit.random_effects(name)
    table = table.sort_values(table.columns[0])
    assert [t.get_text() for t in ax.get_yticklabels()] == [str(i) for i in table.index]
    dots = ax.collections[-1].get_offsets()
    assert np.asarray(dots)[:, 0] == pytest.approx(table.iloc[:, 0].to_numpy())
    ends = np.array(segments(ax))[-len(table) :]
    assert ends[:, :, 0] == pytest.approx(table[["lower", "upper"]].to_numpy())


def test_of_many_effects_the_lowest_and_highest_are_drawn(ml):
    ax = ml.plot.effects("member", most=6)
    order = ml.random_effects("member")["estimate"].sort_values().index
    assert [t.get_text() for t in ax.get_yticklabels()] == [str(i) for i in [*order[:3], *order[-3:]]]
    assert "6 of 24" in ax.get_xlabel()


def test_effects_of_several_terms_have_a_plot_each():
    """Effects on intercepts and on slopes (and, with id=, on other predictors) have different units."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"u": np.repeat(np.arange(12), 20), "x": rng.normal(size=240)})
    data["y"] = rng.normal(size=12)[data["u"]] * (1.0 + data["x"]) + rng.normal(size=240)
    fit = mm.fit("y ~ x + (1 + x | u)", data, engine="ml")
    drawn = fit.plot.effects("u")
    assert [ax.get_xlabel().split(" (")[0] for ax in drawn] == ["effect of u", "effect of u on x"]
    table = fit.random_effects("u")
    for ax, term in zip(drawn, ("1", "x"), strict=True):
        own = table[table.index.get_level_values("term") == term]["estimate"].sort_values()
        assert np.asarray(ax.collections[-1].get_offsets())[:, 0] == pytest.approx(own.to_numpy())
        assert [t.get_text() for t in ax.get_yticklabels()] == [str(i) for i in own.index.get_level_values("u")]
    assert fit.plot.effects("u", term="x").get_xlabel() == drawn[1].get_xlabel()
    with pytest.raises(mm.ModelError, match="no effects of a term 'z'"):
        fit.plot.effects("u", term="z")


def test_pictures_go_on_the_axes_that_are_given(ml):
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(1, 3)
    for ax, draw in zip(axes, (ml.plot.weights, ml.plot.coefficients, ml.plot.effects), strict=True):
        assert draw(ax=ax) is ax


@pytest.mark.parametrize("engine", ["ml", "mcmc"])
def test_pictures_of_several_blocks(two_blocks, engine):
    fit = two_blocks[engine]
    ax = fit.plot.weights()  # the first block with weight covariates
    assert "head" in ax.get_ylabel()
    assert ax.lines[0].get_ydata() == pytest.approx(fit.weights("head")["weight"].to_numpy())
    with pytest.raises(mm.ModelError, match="no numeric column"):
        fit.plot.weights(block="aide")
    with pytest.raises(mm.ModelError, match="head, aide"):
        fit.plot.weights(block="tail")
    for block in ("head", "aide"):
        assert f"effect of {block}" in fit.plot.effects(block).get_xlabel()
    assert [t.get_text() for t in fit.plot.coefficients().get_yticklabels()] == ["head.w.b1"]


def test_a_column_that_the_weights_do_not_use_is_an_error(ml):
    with pytest.raises(mm.DataError, match="it uses s"):
        ml.plot.weights("unknown")


def test_pictures_are_drawn_to_files(mcmc, tmp_path):
    for draw in (mcmc.plot.weights, mcmc.plot.coefficients, mcmc.plot.effects):
        draw().figure.savefig(tmp_path / f"{draw.__name__}.png")
    assert len(list(tmp_path.iterdir())) == 3


def test_a_model_with_nothing_to_draw_says_so(quick, data):
    fit = quick("y ~ 1", data.groupby("group").first().reset_index())
    for draw, match in ((fit.plot.weights, "no member block"), (fit.plot.effects, "no effects"),
                        (fit.plot.coefficients, "no coefficients")):  # fmt: skip
        with pytest.raises(mm.ModelError, match=match):
            draw()
