"""Bars and rootograms of counts, weights over the groups that exist, coefficients by scale."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm


@pytest.fixture(scope="module")
def teams():
    rng = np.random.default_rng(5)
    rows = [(g, m) for g in range(70) for m in rng.choice(12, rng.integers(1, 5), replace=False)]
    out = pd.DataFrame(rows, columns=["group", "member"])
    out["s"] = rng.standard_normal(len(out))
    x = rng.standard_normal(70)
    outcomes = pd.DataFrame(
        {"x": x, "few": rng.poisson(1.5, 70), "many": rng.poisson(np.exp(4.0 + 0.4 * x)), "y": rng.normal(size=70)}
    )
    return out.join(outcomes, on="group")


TERMS = " ~ x + mm(member, group, s, weights = 1 / n ** exp(-b1 * s), normalize = {})"


@pytest.fixture(scope="module")
def counts(teams, quick):
    return {name: quick(name + TERMS.format("group"), teams, family="poisson") for name in ("few", "many")}


@pytest.mark.parametrize("name", ["few", "many"])
def test_bars_count_every_group_once(counts, teams, name):
    ax = counts[name].plot.predictive(kind="bars")
    heights = np.array([bar.get_height() for bar in ax.patches])
    assert heights.sum() == 70
    assert len(heights) <= 30
    observed = teams.drop_duplicates("group")[name]
    if name == "few":
        assert heights[0] == (observed == observed.min()).sum()
    else:
        assert "in classes of" in ax.get_xlabel()
    if name == "few":
        auto = counts[name].plot.predictive()
        assert [bar.get_height() for bar in auto.patches] == heights.tolist()


def test_bars_of_a_rootogram_hang_from_what_is_expected(counts, teams):
    fit = counts["few"]
    ax = fit.plot.predictive(kind="rootogram", random_seed=2)
    tops = np.array([bar.get_y() + bar.get_height() for bar in ax.patches])
    assert tops == pytest.approx(ax.lines[0].get_ydata())
    observed = teams.drop_duplicates("group")["few"]
    assert ax.patches[0].get_height() == pytest.approx(np.sqrt((observed == observed.min()).sum()))
    drawn = fit.predict(kind="response", draws=True, random_seed=2).to_numpy()
    first = int(observed.min())
    assert ax.lines[0].get_ydata()[0] == pytest.approx(np.sqrt((drawn == first).sum(axis=1).mean()))


def test_kinds_that_do_not_fit_the_outcome_are_errors(counts, teams, quick):
    with pytest.raises(mm.ModelError, match='kind= is "auto"'):
        counts["few"].plot.predictive(kind="histogram")
    with pytest.raises(mm.ModelError, match="counts and categories"):
        quick("y ~ x + mm(member, group)", teams).plot.predictive(kind="rootogram")


@pytest.mark.parametrize("rule", ["group", "total", "none"])
def test_the_line_over_the_groups_is_an_average_over_moved_members(teams, quick, rule):
    """By hand: each membership's covariate is set in turn, the rest of its group stays, and shares are made again."""
    fit = quick("y" + TERMS.format(rule), teams, fixed={"member.w.b1": 0.7})
    ax = fit.plot.weights(others="observed")
    grid, line = ax.lines[1].get_data()
    data = teams.sort_values(["group", "member"], ignore_index=True)
    m = len(data)
    assert m <= 200
    n = data.groupby("group")["s"].transform("size").to_numpy()

    def raw(s):
        return 1.0 / n ** np.exp(-0.7 * s)

    constant = 70 / raw(data["s"].to_numpy()).sum() if rule == "total" else 1.0
    for k in (0, len(grid) // 2, len(grid) - 1):
        out = np.empty(m)
        for i in range(m):
            moved = data["s"].to_numpy().copy()
            moved[i] = grid[k]
            r = raw(moved)
            own = (data["group"] == data["group"][i]).to_numpy()
            out[i] = r[i] / r[own].sum() if rule == "group" else constant * r[i]
        assert line[k] == pytest.approx(out.mean(), rel=1e-9)
    assert "average over the groups" in [t.get_text() for t in ax.get_legend().get_texts()]


def test_a_made_up_size_does_not_go_with_the_groups_that_exist(counts):
    with pytest.raises(mm.ModelError, match="size= is of a made-up group"):
        counts["few"].plot.weights(others="observed", size=3)
    with pytest.raises(mm.ModelError, match='others= is "mean" or "observed"'):
        counts["few"].plot.weights(others="all")


def test_coefficients_are_in_panels_by_scale(counts, teams):
    fit = counts["few"]
    made = fit.plot.coefficients(panels=True)
    titles = [ax.get_title() for ax in made]
    assert titles == ["coefficients (log scale)", "weights"]
    labels = [[t.get_text() for t in ax.get_yticklabels()] for ax in made]
    assert labels == [["x", "member.s"], ["member.w.b1"]]
    assert made[0].lines[-1].get_xdata() == pytest.approx(fit.params[["x", "member.s"]].to_numpy())
    spread = mm.fit("y ~ x + mm(member, group)", teams, sigma="~ x", engine="ml")
    titles = [ax.get_title() for ax in spread.plot.coefficients(panels=True)]
    assert titles == ["coefficients (identity scale)", "sigma: coefficients"]
    with pytest.raises(mm.EngineError, match="2 plots, but ax= has 1"):
        fit.plot.coefficients(panels=True, ax=made[0])
