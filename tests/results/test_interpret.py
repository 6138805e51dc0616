"""What estimates say in sentences, and the report as one file."""

from __future__ import annotations

import re
import warnings
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, ndtr, ndtri

import micromacro as mm
from micromacro.families.base import Family
from micromacro.results.report.mathml import to_mathml
from micromacro.results.report.page import page
from micromacro.results.verbs.sentences.sentence import shown

ETA, STEP = np.array([-1.3, 0.2, 0.9]), 0.4
OWN = {"student": [1.0, 5.0], "gaussian": [0.7], "lognormal": [0.8], "weibull": [1.4], "gamma": [2.0], "beta": [3.0]}


def mean(family, eta):
    own = np.array(OWN.get(family.name, [1.5]))
    return family.mean(eta, own, None)


def odds(p):
    return p / (1.0 - p)


#: What a family and link say that a coefficient moves, computed apart from `change`.
MOVED = {
    ("gaussian", "identity"): lambda f, e: mean(f, e),
    ("student", "identity"): lambda f, e: f.median(e, np.array([1.0, 5.0])),
    ("bernoulli", "logit"): lambda f, e: odds(mean(f, e)),
    ("bernoulli", "probit"): lambda f, e: ndtri(mean(f, e)),
    ("bernoulli", "cloglog"): lambda f, e: -np.log(1.0 - mean(f, e)),
    ("poisson", "log"): lambda f, e: mean(f, e),
    ("negative_binomial", "log"): lambda f, e: mean(f, e),
    ("gamma", "log"): lambda f, e: mean(f, e),
    ("beta", "logit"): lambda f, e: odds(mean(f, e)),
    ("exponential", "log"): lambda f, e: f.median(e, np.empty(0)),
    ("weibull", "log"): lambda f, e: f.median(e, np.array([1.4])),
    ("lognormal", "identity"): lambda f, e: f.median(e, np.array([0.8])),
    ("binomial", "logit"): lambda f, e: odds(f.probabilities(e, np.empty(0))[0]),
    ("ordinal", "logit"): lambda f, e: odds(1.0 - expit(0.3 - e)),
    ("ordinal", "probit"): lambda f, e: 0.3 - ndtri(1.0 - ndtr(e - 0.3)),
}


@pytest.mark.parametrize(("name", "link"), list(MOVED))
def test_a_coefficient_moves_what_the_sentence_says(name, link):
    family = getattr(mm.families, name)(link=link)
    before, after = (np.asarray(MOVED[name, link](family, eta), dtype=float) for eta in (ETA, ETA + STEP))
    moved = after / before if family.change.factor else after - before
    np.testing.assert_allclose(moved, family.change.value(np.full(3, STEP)), rtol=1e-10)


def test_a_link_without_words_is_read_on_the_scale_of_the_predictor():
    class Odd(Family):
        name, link = "odd", "softplus"

    assert Odd().change.what == "the linear predictor of {y}"


@pytest.fixture(scope="module")
def teams():
    rng = np.random.default_rng(11)
    size = rng.integers(2, 6, 90)
    g = np.repeat(np.arange(90), size)
    frame = pd.DataFrame({"team": g, "player": rng.integers(0, 25, len(g)), "season": g % 5, "home": g % 2})
    frame["minutes"], frame["rating"] = rng.standard_normal((2, len(g)))
    frame["captain"] = (frame.groupby("team").cumcount() == 0).astype(int)
    w = np.exp(0.9 * frame["minutes"])
    feature = (w / w.groupby(g).transform("sum") * frame["rating"]).groupby(g).sum()
    frame["goals"] = rng.poisson(np.exp(0.4 + 0.5 * feature + rng.standard_normal(5)[np.arange(90) % 5] * 0.3))[g]
    return frame


@pytest.fixture(scope="module")
def fits(teams):
    def fit(formula, **how):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mm.MicromacroWarning)
            return mm.fit(formula, teams, family="poisson", progress=False, **how)

    block = "mm(player, team, rating, weights = softmax(minutes), normalize = group)"
    power = "mm(player, team, rating, weights = power(minutes + captain))"
    free = "mm(player, team, weights = exp(a * minutes * captain), normalize = group)"
    return {
        "ml": fit(f"goals ~ home + C(season) + {block}", engine="ml"),
        "power": fit(f"goals ~ home + {power} + (1 | season)", engine="ml"),
        "free": fit(f"goals ~ {free}", engine="ml"),
        "draws": fit(f"goals ~ home + {block} + (1 | season)", engine="laplace", draws=300, random_seed=1),
    }


def test_coefficients_are_factors_of_the_expected_outcome(fits):
    fit = fits["ml"]
    said, b = fit.interpret(), fit.params
    assert list(said.index) == list(fit.params.index)
    assert said.loc["home", "estimate"] == pytest.approx(np.exp(b["home"]))
    ends = np.exp(fit.conf_int().loc["home"])
    np.testing.assert_allclose(said.loc["home", ["lower", "upper"]].astype(float), ends)
    text = said.loc["home", "sentence"]
    assert f"Where home is one higher, the expected value of goals is multiplied by {shown(np.exp(b['home']))}" in text
    assert ("contains 1" in text) == (ends["lower"] <= 1 <= ends["upper"])
    assert "Where season is 2 instead of 0, " in said.loc["C(season)[T.2]", "sentence"]
    assert "the weighted mean of rating over the members (player)" in said.loc["player.rating", "sentence"]


def test_weights_are_read_as_ratios(fits):
    fit = fits["ml"]
    b = fit.params["player.w.minutes"]
    said = fit.interpret().loc["player.w.minutes"]
    assert said["estimate"] == pytest.approx(np.exp(b))
    np.testing.assert_allclose(
        [said["lower"], said["upper"]], np.exp(fit.conf_int().loc["player.w.minutes"]), rtol=1e-4
    )
    assert f"counts {shown(np.exp(b))} times as much" in said["sentence"]


def test_weights_that_depend_on_size_name_it_and_zeros_and_ones_are_compared(fits, teams):
    fit = fits["power"]
    said, p = fit.interpret(), fit.params
    n = int(teams.groupby("team").size().median())
    middle, share = teams["minutes"].mean(), teams["captain"].mean()

    def raw(minutes, captain):
        return n ** -np.exp(-(p["player.w.minutes"] * minutes + p["player.w.captain"] * captain))

    one = said.loc["player.w.minutes"]
    assert one["estimate"] == pytest.approx(raw(middle + 1, share) / raw(middle, share))
    assert f"In a group of {n}, a player whose minutes is one higher than the mean" in one["sentence"]
    two = said.loc["player.w.captain"]
    assert two["estimate"] == pytest.approx(raw(middle, 1) / raw(middle, 0))
    assert "with captain = 1 counts" in two["sentence"]
    sd = said.loc["season.sd"]
    assert sd["estimate"] == pytest.approx(np.exp(p["season.sd"])) or p["season.sd"] == 0
    member = said.loc["player.sd"]
    assert member["estimate"] == pytest.approx(np.exp(p["player.sd"] / n)) or p["player.sd"] == 0


def test_expressions_of_several_covariates_have_a_row_for_each(fits):
    said = fits["free"].interpret()
    assert {"player along minutes", "player along captain"} <= set(said.index) or "player.w.a" in said.index
    assert said["sentence"].str.endswith(".").all()


def test_draws_are_called_means(fits):
    said = fits["draws"].interpret(ci=0.9)
    assert list(said.columns) == ["quantity", "mean", "lower", "upper", "sentence"]
    assert said["sentence"].str.contains("90% interval").any()


def test_tidy_and_glance_are_the_summary(fits):
    for name, point in (("ml", "estimate"), ("draws", "mean")):
        fit = fits[name]
        tidy, table = fit.tidy(0.9), fit.summary(0.9)
        assert list(tidy["term"]) == list(table.index)
        np.testing.assert_array_equal(tidy["estimate"], table[point])
        np.testing.assert_array_equal(tidy["conf_low"], table["lower"])
        assert set(tidy.columns) >= {"term", "component", "estimate", "std_error", "statistic", "p_value"}
        glance = fit.glance()
        assert len(glance) == 1
        assert glance.loc[0, "nobs"] == 90
    assert fits["ml"].glance().loc[0, "aic"] == fits["ml"].aic


class Page(HTMLParser):
    """Tags, addresses and texts for whoever cannot see pictures."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.alts, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.addresses += [given[key] for key in ("src", "href") if key in given]
        self.alts += [given.get("alt")] if tag == "img" else []
        if tag not in ("meta", "img", "mspace"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", ["ml", "draws"])
def test_the_file_needs_nothing_else_and_says_what_is_drawn(fits, name, tmp_path):
    pytest.importorskip("matplotlib")
    fit = fits[name]
    path = fit.report(tmp_path / "fit.html", ci=0.9)
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert not page.open
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert all(a.startswith(("data:image/svg+xml;base64,", "https://doi.org/")) for a in page.addresses)
    assert len(page.alts) >= 3
    assert all(alt and len(alt) > 20 for alt in page.alts)
    assert page.tags.count("h1") == 1
    assert page.tags.count("details") == len(page.alts)
    for sentence in fit.interpret(0.9)["sentence"]:
        assert sentence.replace("'", "&#x27;") in text
    assert "90% interval" in text
    assert re.search(r"<math .*η", text)


def test_another_ending_or_place_is_refused(fits, tmp_path):
    with pytest.raises(mm.MicromacroError, match=r"ends in \.html, not 'fit.pdf'"):
        fits["ml"].report(tmp_path / "fit.pdf")
    with pytest.raises(mm.MicromacroError, match="cannot be written"):
        fits["ml"].report(tmp_path / "none" / "fit.html")


def test_equations_keep_their_names():
    made = to_mathml("eta[i] = Intercept + b_x * x[i] + sum over members j of w_m[i,j] * <u>")
    assert "<msub><mi>η</mi><mrow><mi>i</mi></mrow></msub>" in made
    assert "<msub><mi>w</mi><mrow><mi>m</mi><mo>,</mo><mi>i</mi><mo>,</mo><mi>j</mi></mrow></msub>" in made
    assert "&lt;" in made


def test_coefficients_of_other_predictors_move_their_parameter(teams):
    rng = np.random.default_rng(2)
    data = teams.assign(rate=rng.standard_normal(90)[teams["team"]] + teams["home"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        fit = mm.fit("rate ~ home", data.drop_duplicates("team"), engine="ml", sigma="~ home")
        zeros = mm.fit(
            "goals ~ 1", data.drop_duplicates("team"), engine="ml", family="hurdle_poisson", hu="~ home"
        )  # fmt: skip
    assert "<pre>sigma: ~ home</pre>" in page(fit, 0.95)
    said = fit.interpret()
    assert said.loc["sigma.home", "estimate"] == pytest.approx(np.exp(fit.params["sigma.home"]))
    assert "Where home is one higher, the residual standard deviation (sigma)" in said.loc["sigma.home", "sentence"]
    assert said.loc["sigma.Intercept", "estimate"] == pytest.approx(np.exp(fit.params["sigma.Intercept"]))
    odds_of = zeros.interpret().loc["hu.home"]
    assert odds_of["estimate"] == pytest.approx(np.exp(zeros.params["hu.home"]))
    assert "the odds of hu, the probability of a zero, are multiplied by" in odds_of["sentence"]


def test_names_with_braces_are_said_as_they_are(teams):
    """A sentence is filled in with words; braces of a column's name are no place for one."""
    rng = np.random.default_rng(4)
    odd = pd.DataFrame({"g": np.repeat(np.arange(60), 2), "m": rng.integers(0, 12, 120), "{x}": rng.normal(size=120)})
    odd["{v}"], odd["{0}"] = odd["g"] % 17 / 4.0, odd["g"] % 7
    odd["y"] = (1.5 * rng.normal(size=12)[odd["m"]] * odd["{x}"]).groupby(odd["g"]).transform("sum") + odd["{0}"] % 3
    odd["y"] += np.sin(3 * odd["{v}"]) + 0.1 * rng.normal(size=60)[odd["g"]]
    fit = mm.fit("y ~ s(`{v}`, k=6) + mm(m, g, effects = iid(1 + `{x}`)) + (1 | `{0}`)", odd, engine="ml")
    said = fit.interpret()["sentence"]
    assert "slope of {x}" in said["m.sd.{x}"] and "{0}" in said["{0}.sd"] and "s({v})" in said["s.{v}.sd"]
    assert not said.str.contains(r"\{(?:value|name|term|A|a|share|change|number)\}").any()


def test_products_are_read_with_what_else_is_in_them(quick):
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"x": rng.normal(size=90), "f": rng.choice(list("abc"), 90), "g": rng.choice(["n", "y"], 90)})
    data["y"] = data["x"] * (data["f"] == "b") + rng.normal(size=90)
    said = quick("y ~ x * f * g + I(x**2)", data, "ml").interpret()["sentence"]
    begins = {
        "x": "Where x is one higher (while f is a and g is n, I(x ** 2) staying as it is), the expected",
        "f[T.b]": "Where f is b instead of a (while x is zero and g is n), the expected",
        "x:f[T.c]": "Where x is one higher and f is c instead of a (while g is n), beyond what each of these does",
        "x:f[T.b]:g[T.y]": "Where x is one higher and f is b instead of a and g is y instead of n, beyond what",
    }
    for name, text in begins.items():
        assert said[name].startswith(text), said[name]
    two = quick("y ~ x * z + f", data.assign(z=data["x"] ** 3), "ml").interpret()["sentence"]
    assert two["x:z"].startswith("Where the product of x and z is one higher, ")
    assert two["z"].startswith("Where z is one higher (while x is zero), ")
