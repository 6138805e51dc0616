"""What beginners write wrongly, and what the message tells them to do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.errors import MicromacroWarning

FORMULA = "y ~ x + mm(player, team)"


def table(groups: int = 40) -> pd.DataFrame:
    """Teams of three out of 15 players, one row per membership."""
    rng = np.random.default_rng(1)
    team = np.repeat(np.arange(groups), 3)
    player = np.concatenate([rng.choice(15, 3, replace=False) for _ in range(groups)])
    of_team = pd.DataFrame({"y": rng.normal(size=groups), "x": rng.normal(size=groups), "won": np.arange(groups) % 2})
    return pd.DataFrame({"team": team, "player": player, "z": rng.normal(size=len(team))}).join(of_team, on="team")


@pytest.mark.parametrize(
    ("formula", "remedy"),
    [
        ("bf(y ~ x, sigma ~ x)", "leave out bf"),
        ("y ~ x + (1 | mm(player, team))", "from_wide"),
        ("y ~ x + (1 | gr(team, by = won))", "by=type"),
        ("won | trials(n) ~ x", "write trials"),
        ("y | cens(won) ~ x", "write surv"),
        ("y | weights(x) ~ 1", "observation_weights="),
        ("y ~ mm(id = id(player, team), vars = vars(z), fn = fn(w ~ 1/n), RE = TRUE)", "bml's notation"),
        ("cbind(won, x) ~ x", "write trials"),
        ("y ~ factor(x)", r"write C\(x\)"),
        ("y ~ mo(x)", r"write C\(x\)"),
        ("y ~ MM(player, team)", r"did you mean mm\(\)"),
        ("y ~ x + 1 | team", r"\(1 \| unit\)"),
        ("~ x", "the outcome is missing before it"),
        ("y ~ mm(player, team, z, aggregate = mean)", "leave it out for the mean"),
        ("y ~ x + mm(team, player)", r"write the member first, mm\(player, team\)"),
        ("y ~ mm(player, team, z, weights = z ** k)", "shift the column"),
    ],
)
def test_what_other_programs_write_is_answered_with_what_is_written_here(formula, remedy):
    with pytest.raises(mm.MicromacroError, match=remedy):
        mm.Model(formula, table())


def test_a_plain_syntax_error_keeps_its_own_message():
    with pytest.raises(mm.FormulaError, match=r"mm\( is not closed"):
        mm.Model("y ~ mm(player, team", table())


@pytest.mark.parametrize(
    ("formula", "family", "remedy"),
    [
        (FORMULA, "bernoulli", "code it as 0 and 1"),
        (FORMULA, "poisson", "gaussian for measurements"),
        (FORMULA, "gamma", "use gaussian"),
        (FORMULA, "beta", "binomial for k of n"),
        ("won ~ x", "binomial", "use bernoulli"),
        ("won ~ x", "logistic", "did you mean 'bernoulli'"),
        ("won ~ x", "Normal", "did you mean 'gaussian'"),
        ("result ~ x", "bernoulli", 'make it 0 and 1, in the formula by result == "yes" ~'),
        ('(result == "maybe") ~ x', "bernoulli", "is always 0"),
        ('(result > "yes") ~ x', "bernoulli", "text can only be compared"),
    ],
)
def test_an_outcome_that_does_not_fit_its_family(formula, family, remedy):
    data = table().assign(result=lambda d: np.where(d["won"] == 1, "yes", "no"))
    with pytest.raises(mm.MicromacroError, match=remedy):
        mm.Model(formula, data, family=family)


@pytest.mark.parametrize("kind", [str, "category"])
def test_a_text_outcome_is_made_0_and_1_in_the_formula(kind):
    data = table().assign(result=lambda d: np.where(d["won"] == 1, "yes", "no").astype(object))
    data["result"] = data["result"].astype(kind)
    data = data.drop_duplicates("team")
    plain, compared = (
        mm.fit(f"{left} ~ x", data, family="bernoulli", engine="ml", progress=False)
        for left in ("won", 'result == "yes"')
    )
    np.testing.assert_array_equal(compared.params, plain.params)
    pd.testing.assert_series_equal(compared.predict(data.head(3))["estimate"], plain.predict(data.head(3))["estimate"])


def test_a_table_with_one_row_per_group_is_told_where_its_members_belong():
    with pytest.raises(mm.DataError, match=r"no column 'captain'.*pass the table of their members as memberships="):
        mm.Model("y ~ x + mm(captain, team)", table())


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ((table(), FORMULA), "the formula comes first"),
        ((FORMULA, "teams.csv"), "read it first"),
    ],
)
def test_arguments_in_the_wrong_place(arguments, remedy):
    with pytest.raises(mm.MicromacroError, match=remedy):
        mm.fit(*arguments, engine="ml")


@pytest.mark.parametrize("write", [str, lambda v: str(v).replace(".", ",")])
def test_numbers_that_were_read_as_text_are_told(write):
    data = table().assign(x=lambda d: d["x"].map(write))
    with (
        pytest.warns(MicromacroWarning, match="numbers: they were taken for categories"),
        pytest.raises(mm.ModelError, match="39 are of the categories of x"),
    ):
        mm.Model("y ~ x", data.drop_duplicates("team"))


def test_codes_of_regions_are_no_mistake(recwarn):
    data = table().assign(region=lambda d: (d["team"] % 9).map("{:02d}".format))
    mm.Model("y ~ region + mm(player, team)", data)
    assert not [w for w in recwarn if issubclass(w.category, MicromacroWarning)]


def test_ids_in_the_index_of_a_frame():
    with pytest.raises(mm.DataError, match=r"'team' in its index.*reset_index"):
        mm.Model(FORMULA, table().set_index(["team", "player"]))


def test_memberships_alone_are_not_the_data():
    data = table()
    edges = mm.memberships.from_lists(
        data.groupby("team")["player"].agg(lambda p: ";".join(map(str, p))).reset_index(),
        "player", sep=";", group="team", member="player",
    )  # fmt: skip
    with pytest.raises(mm.DataError, match="this one as memberships=, or make it with keep"):
        mm.Model(FORMULA, edges)


def test_the_scale_of_the_base_of_a_power_does_not_matter(recwarn):
    """Weights ``minutes ** b`` that sum to 1 are the same in hours."""
    data = table().assign(minutes=lambda d: 60.0 * np.exp(d["z"]))
    mm.Model("y ~ mm(player, team, weights = minutes ** b, normalize = group)", data)
    assert not [w for w in recwarn if issubclass(w.category, MicromacroWarning)]
    with pytest.warns(MicromacroWarning, match="divide the column"):
        mm.Model("y ~ mm(player, team, weights = exp(b * minutes), normalize = group)", data)


def test_what_other_packages_call_it():
    fit = mm.fit(FORMULA, table(), engine="ml")
    with pytest.raises(AttributeError, match=r"random_effects\(\)"):
        fit.ranef()
    assert not hasattr(fit, "nonsense")
    with pytest.raises(mm.ModelError, match=r"larger\.lr_test"):
        mm.fit("y ~ mm(player, team)", table(), engine="ml").lr_test(fit)
