"""What categories and choices explain, where they lie once left out, and the predictor of one category."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import micromacro as mm


@pytest.fixture(scope="module")
def voters():
    rng = np.random.default_rng(5)
    out = pd.DataFrame({"v": rng.normal(size=120), "c": np.arange(120) % 12})
    of_unit = 0.8 * rng.normal(size=(2, 12))[:, out["c"]]
    utility = np.stack([0 * out["v"], 0.5 + out["v"] + of_unit[0], -0.5 - out["v"] + of_unit[1]])
    return out.assign(party=np.array(["a", "b", "c"])[np.argmax(utility + rng.gumbel(size=utility.shape), axis=0)])


@pytest.fixture(scope="module")
def categories(voters):
    return mm.fit("party ~ v + (1 | c)", voters, family="categorical", engine="ml")


@pytest.fixture(scope="module")
def offers():
    """Sets of two to four offers of fifteen firms."""
    rng = np.random.default_rng(8)
    out = pd.DataFrame({"s": np.repeat(np.arange(60), 2 + np.arange(60) % 3)})
    out["x"], out["firm"] = rng.normal(size=len(out)), rng.integers(0, 15, len(out))
    utility = out["x"] + rng.normal(size=15)[out["firm"]] + rng.gumbel(size=len(out))
    return out.assign(y=(utility == utility.groupby(out["s"]).transform("max")).astype(int))


def options(engine):
    return {"engine": engine, **({} if engine == "ml" else {"draws": 50, "random_seed": 1, "progress": False})}


def test_what_categories_explain_is_goodman_and_kruskals_tau(categories):
    p = categories.predict(kind="probability")["estimate"].unstack()
    between = p.var(ddof=1).sum()
    table = categories.r2(random_seed=1)
    assert table.loc["conditional", "estimate"] == pytest.approx(between / (between + (p * (1 - p)).mean().sum()))
    assert 0.0 < table.loc["marginal", "estimate"] < table.loc["conditional", "estimate"] < 1.0
    with pytest.raises(mm.EngineError, match="no variance on the link scale"):
        categories.r2("nakagawa")


def test_what_choices_explain_is_around_one_over_the_size_of_the_set(offers):
    fit = mm.fit("choice(y, s) ~ x + (1 | firm)", offers, family="conditional_logit", engine="ml")
    p, share = fit.predict()["estimate"].to_numpy(), 1.0 / offers.groupby("s")["s"].transform("size")
    whole = np.sum(1.0 - 1.0 / offers.groupby("s").size())  # variance of what is chosen in each set
    table = fit.r2(random_seed=1)
    assert table.loc["conditional", "estimate"] == pytest.approx(np.sum((p - share) ** 2) / whole)
    assert table.loc["marginal", "estimate"] < table.loc["conditional", "estimate"]
    blind = mm.fit("choice(y, s) ~ x", offers, family="conditional_logit", engine="ml", fixed={"x": 0.0})
    np.testing.assert_allclose(blind.r2(random_seed=1)["estimate"], 0.0, atol=1e-12)


def test_utilities_need_no_sets(offers):
    fit = mm.fit("choice(y, s) ~ x + (1 | firm)", offers, family="conditional_logit", engine="ml")
    new = pd.DataFrame({"x": [0.0, 2.0], "firm": [3, 99]})
    first, second = fit.predict(new, kind="linear")["estimate"]
    away = 2.0 * fit.params["x"] - fit.random_effects("firm")["estimate"].loc[3]
    assert second - first == pytest.approx(away)  # what is common to all cancels


@pytest.mark.parametrize("word", ["mu[b]", "mu[c]"])
def test_one_category_has_a_linear_predictor(categories, voters, word):
    new = voters[:3].assign(c=[0, 1, 99])
    one, every = categories.predict(new, dpar=word), categories.predict(new, kind="linear")
    pd.testing.assert_frame_equal(one, every.xs(word[3:-1], level=-1), check_names=False)
    moved = (categories.comparisons("v", dpar=word), categories.slopes("v", dpar=word))
    for table in moved:
        assert table["estimate"].item() == pytest.approx(categories.params[f"{word}.v"])
        assert table["se"].item() == pytest.approx(categories.bse[f"{word}.v"], rel=1e-3)
    with pytest.raises(mm.EngineError, match="log odds of the category against the first"):
        categories.predict(dpar=word, kind="probability")
    with pytest.raises(mm.EngineError, match=r"dpar= is one of mu\[b\], mu\[c\], not 'mu\[a\]'"):
        categories.predict(dpar="mu[a]")


def test_an_outcome_is_placed_by_the_probabilities_of_what_is_less_likely(categories):
    family, s = categories.specification.family, categories.specification
    rng = np.random.default_rng(2)
    etas = rng.normal(size=(2, 3, s.groups))  # draws, categories, groups
    etas[:, 0] = 0.0
    shares = special.softmax(etas, axis=1)
    rows = np.stack([family.row_shares(eta[1:].ravel()) for eta in etas])
    np.testing.assert_allclose(rows[:, -s.groups :], shares[:, 0], atol=1e-12)
    weights = rng.dirichlet([1.0, 1.0], s.groups).T
    below, at_most = family.ranked(s.row_values, rows, weights)
    mean, code = np.einsum("dg,dkg->kg", weights, shares), s.outcome.astype(int) - 1
    own = mean[code, np.arange(s.groups)]
    np.testing.assert_allclose(below, np.where(mean < own, mean, 0.0).sum(axis=0))
    np.testing.assert_allclose(at_most - below, own)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::micromacro.MicromacroWarning")
@pytest.mark.parametrize("integrated", [True, False])
def test_places_are_uniform_if_the_model_is_right_and_not_if_it_is_wrong(offers, voters, integrated):
    fit = mm.fit("party ~ v + (1 | c)", voters, family="categorical", **options("laplace"))
    assert stats.kstest(fit.loo_pit(integrated=integrated, random_seed=1), "uniform").pvalue > 0.02
    right = {"formula": "choice(y, s) ~ x + (1 | firm)", "data": offers, "family": "conditional_logit"}
    pit = mm.fit(**right, **options("laplace")).loo_pit(integrated=integrated, random_seed=1)
    assert pit.index.name == "s" and len(pit) == 60
    assert stats.kstest(pit, "uniform").pvalue > 0.02
    wrong = mm.fit(**right, **options("laplace"), fixed={"x": 6.0}).loo_pit(integrated=integrated, random_seed=1)
    assert stats.kstest(wrong, "uniform").pvalue < 0.01
    assert (wrong < 0.05).mean() > 0.2  # what was chosen was thought to be unlikely
