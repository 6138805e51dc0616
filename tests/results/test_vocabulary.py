"""One vocabulary in the tables of all verbs: point, spread, ends of intervals, ids under the user's own names."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

POINT = {"ml": ("estimate", "se"), "mcmc": ("mean", "sd")}
FORMULA = "y ~ z + mm(m, g, x, weights = power(x), normalize = group) + (1 | c)"


@pytest.fixture(scope="module")
def teams():
    """Members m in groups g of districts c: no column is called after what it is."""
    rng = np.random.default_rng(0)
    pairs = [(g, m) for g in range(50) for m in rng.choice(12, rng.integers(1, 5), replace=False)]
    frame = pd.DataFrame(pairs, columns=["g", "m"])
    frame["x"], frame["c"], frame["z"] = rng.normal(size=len(frame)), frame["g"] % 6, rng.normal(size=50)[frame["g"]]
    effect = pd.Series(rng.normal(size=12)[frame["m"]]).groupby(frame["g"]).transform("mean")
    frame["y"] = effect + frame["z"] + 0.4 * rng.normal(size=50)[frame["g"]]
    return frame


@pytest.fixture(scope="module", params=["ml", "mcmc"])
def fitted(request, teams, quick):
    return quick(FORMULA, teams, request.param, draws=60, tune=60, chains=2, random_seed=1)


#: What is asked, the names of its index, and what its point is called where it is not ``estimate`` or ``mean``.
TABLES = {
    "summary": (lambda f: f.summary(), ["parameter"], None),
    "weights": (lambda f: f.weights(), ["g", "m"], "weight"),
    "effects of members": (lambda f: f.random_effects("m"), ["m"], None),
    "effects of units": (lambda f: f.random_effects("c"), ["c"], None),
    "pair of groups": (lambda f: f.group_correlation(0, 1), ["covariance"], None),
    "r2": (lambda f: f.r2(), ["r2"], None),
    "ranking": (lambda f: f.members().ranking(), ["m"], None),
    "contributions": (lambda f: f.members().contributions(), ["m"], None),
    "contributions to groups": (lambda f: f.members().contributions("group"), ["g"], None),
    "contributions of memberships": (lambda f: f.members().contributions("membership"), ["g", "m"], None),
    "spread": (lambda f: f.members().spread(), ["g"], "effective"),
    "predict": (lambda f: f.predict(), ["g"], None),
    "predictions": (lambda f: f.predictions(), [None], None),
    "predictions by group": (lambda f: f.predictions(by="group"), ["g"], None),
    "comparisons by group": (lambda f: f.comparisons("z", by="group"), ["g"], None),
    "slopes": (lambda f: f.slopes("z"), [None], None),
    "hypothesis": (lambda f: f.hypothesis("z > 0"), ["hypothesis"], None),
}


@pytest.mark.parametrize("name", list(TABLES))
def test_point_spread_and_interval_are_called_alike(fitted, name):
    ask, index, point = TABLES[name]
    table = ask(fitted)
    own, spread = POINT[fitted.engine]
    assert list(table.index.names) == index
    assert {point or own, spread, "lower", "upper"} <= set(table.columns)
    assert not {"estimate", "mean", "se", "sd"} - {own, spread} & set(table.columns)


def test_series_and_shares_have_the_same_words(fitted):
    point, spread = POINT[fitted.engine]
    assert (fitted.params.name, fitted.bse.name) == (point, spread)
    assert f"share_{spread}" in fitted.variance_components()


def test_ids_of_memberships_are_columns_and_index(fitted):
    table = fitted.weights()
    for name in ("group", "g"):  # by role, and by the user's name
        assert table.groupby(name)["weight"].sum().to_numpy() == pytest.approx(np.ones(50))
    assert table.index.get_level_values("m").tolist() == table["member"].tolist()
    assert table.loc[(3, table.loc[3].index[0]), "group"] == 3


def test_ranks_have_ends_of_their_own(fitted):
    table = fitted.members().ranking()
    assert (table["rank_lower"] <= table["rank_upper"]).all()
    own = fitted.random_effects("m")
    pd.testing.assert_frame_equal(table[own.columns].sort_index(), own)


def test_columns_that_users_call_group_and_member_are_no_trouble(teams, quick):
    fit = quick(FORMULA.replace("(m, g", "(member, group"), teams.rename(columns={"g": "group", "m": "member"}))
    table = fit.weights()
    assert table.groupby("group")["weight"].sum().to_numpy() == pytest.approx(np.ones(50))
    assert set(table["member"]) == set(teams["m"]) and table.index.names == [None, None]


def test_new_tables_are_always_called_data():
    for name, verb in inspect.getmembers(mm.Fit, callable):
        if not name.startswith("_"):
            assert not {"newdata", "new", "new_data", "tables"} & set(inspect.signature(verb).parameters), name


def test_outcomes_without_members_are_observations_with_them_groups(teams, quick):
    rows = teams.groupby("g", as_index=False).first()
    plain, grouped = quick("y ~ z + (1 | c)", rows), quick(FORMULA, teams)
    assert "observations 50" in plain.report() and "groups" not in plain.report()
    assert "groups 50 (g), each of them one observation" in grouped.report()
    for fit, noun in ((plain, "observations"), (grouped, "groups")):
        assert noun in fit.predictions() and noun in fit.ppc(random_seed=1)
        assert mm.table(fit).loc["Fit"].index[0] == noun.capitalize()
    both = mm.table([plain, grouped]).loc["Fit"]
    assert both.loc["Observations"].tolist() == ["50", ""] and both.loc["Groups"].tolist() == ["", "50"]


def test_a_report_is_one_list_whatever_form_it_takes(fitted):
    text, page = fitted.report(), fitted._repr_html_()
    for title in ("Coefficients", "Weight parameters", "Spread", "Share of the variance", "Health: "):
        assert title in text and title in page
