"""Outcomes that a family cannot have: each a clear error that names the outcome, how many are wrong and which first."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

import micromacro as mm
from micromacro.families.registry import FAMILIES, find_family

DURATIONS = ("weibull", "exponential", "lognormal", "cox")
N = 12
RNG = np.random.default_rng(1)
Y = RNG.gamma(2.0, 1.0, N)
BINARY = np.arange(N) % 2


def at(values, rows, new):
    out = np.array(values, dtype=float)
    out[list(rows)] = new
    return out


#: Family, formula, columns; class of the error; what its message must hold (rows are counted from 0).
REFUSED = {
    # binary
    "binary, a two": ("bernoulli", "y ~ x", {"y": at(BINARY, [3, 7], 2)}, mm.DataError,
                      ["outcome y", "neither 0 nor 1", "2 observations", "first: 3, 7"]),
    "binary, coded 1 and 2": ("bernoulli", "y ~ x", {"y": BINARY + 1}, mm.DataError,
                              ["outcome y", "neither 0 nor 1", "6 observations", "first: 1, 3, 5, 7, 9, ..."]),
    "binary, always 1": ("bernoulli", "y ~ x", {"y": np.ones(N)}, mm.DataError, ["outcome y", "always 1"]),
    "binary, always 0": ("bernoulli", "y ~ x", {"y": np.zeros(N)}, mm.DataError, ["outcome y", "always 0"]),
    "binary, trials": ("bernoulli", "trials(k, n) ~ x", {"k": BINARY, "n": np.full(N, 3)}, mm.ModelError,
                       ["family bernoulli", "a plain outcome", "trials(k, n)"]),
    # successes among trials
    "more successes than trials": ("binomial", "trials(k, n) ~ x", {"k": at(BINARY, [4], 9), "n": np.full(N, 5)},
                                   mm.DataError, ["trials(k, n)", "more successes than trials", "1 observation", "4"]),
    "half a success": ("binomial", "trials(k, n) ~ x", {"k": at(BINARY, [2], 0.5), "n": np.full(N, 5)}, mm.DataError,
                       ["trials(k, n)", "not counts", "1 observation", "first: 2"]),
    "negative successes": ("binomial", "trials(k, n) ~ x", {"k": at(BINARY, [2], -1), "n": np.full(N, 5)},
                           mm.DataError, ["not counts", "first: 2"]),
    "trials below zero": ("binomial", "trials(k, n) ~ x", {"k": np.zeros(N), "n": at(np.full(N, 5), [0, 1], -1)},
                          mm.DataError, ["whole numbers from 0", "2 observations", "first: 0, 1"]),
    "no trial at all": ("binomial", "trials(k, n) ~ x", {"k": np.zeros(N), "n": np.zeros(N)}, mm.DataError,
                        ["trials(k, n)", "no trial at all"]),
    "successes alone": ("binomial", "k ~ x", {"k": BINARY}, mm.ModelError, ["family binomial", "trials(k, n)"]),
    "trials of one column": ("binomial", "trials(k) ~ x", {"k": BINARY}, mm.FormulaError, ["trials()", "two columns"]),
    "trials with a keyword": ("binomial", "trials(k, n, by=k) ~ x", {"k": BINARY, "n": np.full(N, 5)},
                              mm.FormulaError, ["trials()", "no keyword"]),
    # counts
    **{f"{family}, {what}": (family, "y ~ x", {"y": at(np.arange(N), [5], value)}, mm.DataError,
                             ["outcome y", "not a count", "1 observation", "first: 5"])
       for family in ("poisson", "negative_binomial") for what, value in (("negative", -1), ("half", 1.5))},
    **{f"{family}, all zero": (family, "y ~ x", {"y": np.zeros(N)}, mm.DataError,
                               ["outcome y", "zero", "12 observations"])
       for family in ("poisson", "negative_binomial")},
    # positive outcomes and shares
    **{f"gamma, {value}": ("gamma", "y ~ x", {"y": at(Y, [1, 2, 8], value)}, mm.DataError,
                           ["outcome y", "not positive", "3 observations", "first: 1, 2, 8"]) for value in (0, -1)},
    **{f"share of {value}": ("beta", "y ~ x", {"y": at(Y / 20, [6], value)}, mm.DataError,
                             ["outcome y", "strictly between 0 and 1", "1 observation", "first: 6"])
       for value in (0, 1, 1.2, -0.1)},
    "gaussian, constant":
        ("gaussian", "y ~ x", {"y": np.full(N, 2.5)}, mm.DataError, ["'?y'?", "same in all 12", "2.5"]),
    "student, constant": ("student", "y ~ x", {"y": np.full(N, 2.5)}, mm.DataError, ["'?y'?", "same in all 12", "2.5"]),
    "gamma, constant": ("gamma", "y ~ x", {"y": np.full(N, 2.5)}, mm.DataError, ["'?y'?", "same in all 12", "2.5"]),
    "beta, constant": ("beta", "y ~ x", {"y": np.full(N, 0.5)}, mm.DataError, ["'?y'?", "same in all 12", "0.5"]),
    # durations
    **{f"{family}, time of {value}": (family, "surv(t, e) ~ x", {"t": at(Y, [4], value), "e": BINARY}, mm.DataError,
                                      ["surv(t, e)", "not positive", "1 observation", "first: 4"])
       for family in ("weibull", "exponential", "lognormal", "cox") for value in (0, -2)},
    "plain time of zero": ("weibull", "t ~ x", {"t": at(Y, [4], 0)}, mm.DataError,
                           ["outcome t", "not positive", "first: 4"]),
    "no events": ("weibull", "surv(t, e) ~ x", {"t": Y, "e": np.zeros(N)}, mm.DataError,
                  ["surv(t, e)", "no event", "every observation is censored"]),
    "an event of two": ("weibull", "surv(t, e) ~ x", {"t": Y, "e": at(BINARY, [0, 9], 2)}, mm.DataError,
                        ["surv(t, e)", "neither 0 nor 1", "2 observations", "first: 0, 9"]),
    "entry after exit": ("weibull", "surv(s, t, e) ~ x", {"s": at(Y / 2, [3], 100), "t": Y, "e": BINARY}, mm.DataError,
                         ["surv(s, t, e)", "entry", "not before the end", "1 observation", "first: 3"]),
    "entry at exit": ("weibull", "surv(s, t, e) ~ x", {"s": Y, "t": Y, "e": BINARY}, mm.DataError,
                      ["surv(s, t, e)", "entry", "not before the end", "12 observations"]),
    "entry before zero": ("weibull", "surv(s, t, e) ~ x", {"s": at(Y / 2, [3], -1), "t": Y, "e": BINARY}, mm.DataError,
                          ["surv(s, t, e)", "entry times below zero", "first: 3"]),
    "lower above upper": ("weibull", 'surv(a, b, type="interval") ~ x', {"a": at(Y, [2], 99), "b": Y + 1},
                          mm.DataError, ["surv(a, b", "upper ends below the lower", "1 observation", "first: 2"]),
    "interval to zero": ("weibull", 'surv(a, b, type="interval") ~ x', {"a": np.zeros(N), "b": at(Y, [2], 0)},
                         mm.DataError, ["surv(a, b", "not positive", "1 observation", "first: 2"]),
    "all without end": ("weibull", 'surv(a, b, type="interval") ~ x', {"a": Y, "b": np.full(N, np.inf)},
                        mm.DataError, ["surv(a, b", "no event", "censored"]),
    "unknown type": ("weibull", 'surv(t, e, type="middle") ~ x', {"t": Y, "e": BINARY}, mm.FormulaError,
                     ["type= right, left or interval"]),
    "type is no text": ("weibull", "surv(t, e, type=left) ~ x", {"t": Y, "e": BINARY}, mm.FormulaError,
                        ["type= right, left or interval"]),
    "unknown keyword": ("weibull", 'surv(t, e, kind="left") ~ x', {"t": Y, "e": BINARY}, mm.FormulaError,
                        ["surv()", "takes type="]),
    "no time": ("weibull", "surv() ~ x", {"t": Y}, mm.FormulaError, ["surv()", "one to three"]),
    "four columns": ("weibull", "surv(t, e, t, e) ~ x", {"t": Y, "e": BINARY}, mm.FormulaError,
                     ["surv()", "one to three"]),
    "left with entry": ("weibull", 'surv(s, t, e, type="left") ~ x', {"s": Y / 2, "t": Y, "e": BINARY},
                        mm.FormulaError, ["surv()", "two columns"]),
    "an interval of one end": ("weibull", 'surv(t, type="interval") ~ x', {"t": Y}, mm.FormulaError,
                               ["surv()", "two columns"]),
    "text for an event": ("weibull", "surv(t, e) ~ x", {"t": Y, "e": np.where(BINARY, "dead", "alive")}, mm.DataError,
                          ["outcome", "'e'", "text"]),
    **{f"cox, {kind}": ("cox", f'surv({columns}, type="{kind}") ~ x', {"t": Y, "e": BINARY}, mm.ModelError,
                        ["family cox", "right-censored", kind, "weibull"])
       for kind, columns in (("left", "t, e"), ("interval", "t, t"))},
    "cox, no events": ("cox", "surv(t, e) ~ x", {"t": Y, "e": np.zeros(N)}, mm.DataError,
                       ["surv(t, e)", "no event", "every observation is censored"]),
    **{f"one duration only ({family})": (family, "surv(t, e) ~ x", {"t": np.full(N, 2.0), "e": BINARY}, mm.DataError,
                                         ["surv(t, e)", "the same in all 12 observations", "spread"])
       for family in ("weibull", "lognormal")},
    "a function for covariates only": ("gaussian", "center(y) ~ x", {"y": Y}, mm.FormulaError,
                                       ["center()", "outcome", "compute the column"]),
    # ordered categories
    "an empty category": ("ordinal", "y ~ x", {"y": pd.Categorical(np.where(BINARY, "no", "yes"), ["no", "so", "yes"],
                                                                     ordered=True)},
                          mm.DataError, ["outcome y", "without any observation", "so"]),
    "one category": ("ordinal", "y ~ x", {"y": np.full(N, 3)}, mm.DataError, ["outcome y", "one category", "3"]),
    "text without order": ("ordinal", "y ~ x", {"y": np.where(BINARY, "low", "high")}, mm.DataError,
                           ["outcome 'y'", "text", "make it numbers", "ordered=True", "pl.Enum"]),
    "categories without order": ("ordinal", "y ~ x", {"y": pd.Categorical(np.where(BINARY, "low", "high"))},
                                 mm.DataError, ["outcome y", "high, low", "ordered=True", "pl.Enum"]),
    "a category for every group": ("ordinal", "y ~ x", {"y": Y}, mm.DataError, ["outcome y", "categories"]),
    # wrong forms and kinds
    **{f"{family} with {form}": (family, f"{form} ~ x", {"t": Y, "e": BINARY, "k": BINARY, "n": np.full(N, 3)},
                                 mm.ModelError, [f"family {family}", "a plain outcome", form])
       for family in FAMILIES
       if family not in ("binomial", "beta_binomial", "conditional_logit", *DURATIONS)
       for form in ("trials(k, n)", "surv(t, e)")},
    **{f"{family} with trials": (family, "trials(k, n) ~ x", {"k": BINARY, "n": np.full(N, 3)}, mm.ModelError,
                                 [f"family {family}", "surv(time, event)", "trials(k, n)"])
       for family in ("weibull", "exponential", "lognormal", "cox")},
    **{f"{family} of words": (family, "y ~ x", {"y": pd.Categorical(np.where(BINARY, "b", "a"))}, mm.DataError,
                              ["outcome y", "text", "needs numbers", f"family {family}"])
       for family in FAMILIES
       if family not in ("ordinal", "binomial", "beta_binomial", "categorical", "conditional_logit")},
    "a missing outcome": ("poisson", "y ~ x", {"y": at(np.arange(N), [5], np.nan)}, mm.DataError, ["y", "missing"]),
    "an infinite outcome":
        ("poisson", "y ~ x", {"y": at(np.arange(N), [5], np.inf)}, mm.DataError, ["y", "finite", "5"]),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_outcome_is_a_clear_error(name):
    family, formula, columns, error, parts = REFUSED[name]
    data = pd.DataFrame({**columns, "x": np.linspace(-1.0, 1.0, N)})
    with pytest.raises(mm.MicromacroError) as caught:
        _ = mm.Model(formula, data, family=family).specification
    text = str(caught.value)
    assert type(caught.value) is error, text
    assert "group" not in text  # there are none without mm()
    for part in parts:
        assert part in text if "?" not in part else "y" in text, f"{part!r} is not in: {text}"


def test_ids_of_groups_are_those_of_the_user():
    data = pd.DataFrame({"g": ["c", "a", "b", "a"], "m": [1, 2, 3, 4], "y": [2, 0, 1, 0], "x": [0.1, 0.5, 1.0, 0.5]})
    with pytest.raises(mm.DataError, match=r"in 1 group \(first: c\)"):
        _ = mm.Model("y ~ x + mm(m, g)", data, family="bernoulli").specification


@pytest.mark.parametrize("order", ["as given", "reversed"])
def test_rows_are_named_as_the_user_counts_them(order):
    y = at(BINARY, [3], 5)
    data = pd.DataFrame({"y": y if order == "as given" else y[::-1], "x": np.linspace(-1.0, 1.0, N)})
    row = 3 if order == "as given" else N - 4
    with pytest.raises(mm.DataError, match=rf"first: {row}\)"):
        _ = mm.Model("y ~ x", data, family="bernoulli").specification


UNKNOWN_LINKS = [
    (family, link) for family in FAMILIES for link in ("cauchit", "log" if family == "gaussian" else "identy")
]


@pytest.mark.parametrize(("family", "link"), UNKNOWN_LINKS)
def test_an_unknown_link_lists_the_known_ones(family, link):
    with pytest.raises(mm.ModelError, match=f"family {family} has the .*link.*{link!r}"):
        FAMILIES[family](link=link)


def test_a_link_that_is_nearly_right_gets_a_hint():
    with pytest.raises(mm.ModelError, match="did you mean 'probit'"):
        FAMILIES["bernoulli"](link="probid")


@pytest.mark.parametrize(
    ("family", "match"),
    [
        ("poison", r"no family 'poison'; did you mean 'poisson'\?; known: gaussian, student"),
        ("zzz", "no family 'zzz'; known: gaussian"),
        (3, "family= takes a name"),
        (None, "family= takes a name"),
    ],
)
def test_an_unknown_family_lists_the_known_ones(family, match):
    data = pd.DataFrame({"y": BINARY, "x": np.linspace(-1.0, 1.0, N)})
    with pytest.raises(mm.ModelError, match=match):
        mm.Model("y ~ x", data, family=family)


TAKEN = {
    "booleans": ("bernoulli", "y ~ x", {"y": BINARY == 1}),
    "ties of times": ("weibull", "surv(t, e) ~ x", {"t": 1.0 + BINARY, "e": np.ones(N)}),
    "ties of counts": ("poisson", "y ~ x", {"y": 1 + BINARY}),
    "ties of shares": ("beta", "y ~ x", {"y": 0.25 + 0.5 * BINARY}),
    "events as booleans": ("weibull", "surv(t, e) ~ x", {"t": Y, "e": BINARY == 1}),
    "a time alone": ("weibull", "surv(t) ~ x", {"t": Y}),
    "a plain time": ("lognormal", "t ~ x", {"t": Y}),
    "Surv": ("weibull", "Surv(t, e) ~ x", {"t": Y, "e": BINARY}),
    "an explicit type": ("weibull", 'surv(t, e, type="right") ~ x', {"t": Y, "e": BINARY}),
    "intervals without end": ("weibull", 'surv(a, b, type="interval") ~ x',
                              {"a": Y, "b": np.where(BINARY, Y + 1.0, np.inf)}),
    "ties of times (cox)": ("cox", "surv(t, e) ~ x", {"t": 1.0 + BINARY, "e": np.ones(N)}),
    "one time only (cox)": ("cox", "surv(t, e) ~ x", {"t": np.full(N, 2.0), "e": np.ones(N)}),
    "one event (cox)": ("cox", "surv(t, e) ~ x", {"t": Y, "e": np.arange(N) == 4}),
    "a plain time (cox)": ("cox", "t ~ x", {"t": Y}),
    "a transformed time": ("weibull", "surv(t / 12, e) ~ x", {"t": Y, "e": BINARY}),
    "ordered words": ("ordinal", "y ~ x", {"y": pd.Categorical(np.where(BINARY, "b", "a"), ["b", "a"], ordered=True)}),
    "numbers with a gap": ("ordinal", "y ~ x", {"y": np.where(BINARY, 5, 2)}),
    "a number of trials": ("binomial", "trials(k, 5) ~ x", {"k": BINARY}),
    "one trial each": ("binomial", "trials(k, n) ~ x", {"k": BINARY, "n": np.ones(N)}),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_an_unusual_but_good_outcome_is_taken(name):
    family, formula, columns = TAKEN[name]
    data = pd.DataFrame({**columns, "x": np.linspace(-1.0, 1.0, N) ** 2})
    specification = mm.Model(formula, data, family=family).specification
    assert np.isfinite(specification.outcome).all()
    theta = np.array([p.start for p in specification.system.hypers])
    expanded, rows = specification.expanded, specification.system.rows
    values = specification.response.values if expanded is None else expanded.values
    out = np.empty((4, rows))
    family = specification.family
    own = theta[specification.system.places.family]
    assert family.possible(own)
    family.slopes(values, np.zeros(rows), own, out)
    assert np.isfinite(out).all()


def test_polars_categories_need_an_order_too():
    words = pl.Series(["mid", "low", "high", "low"])
    frame = pl.DataFrame({"y": words, "x": [0.1, 0.3, 0.2, 0.9]})
    unordered = frame.with_columns(pl.col("y").cast(pl.Categorical))
    for data in (unordered, unordered.to_arrow()):
        with pytest.raises(mm.DataError, match="high, low, mid"):
            mm.Model("y ~ x", data, family="ordinal")
    model = mm.Model("y ~ x", frame.with_columns(pl.col("y").cast(pl.Enum(["low", "mid", "high"]))), family="ordinal")
    assert "outcome y: low < mid < high" in str(model.explain())
    fit = model.fit(engine="ml")
    assert "outcome y: low < mid < high" in fit.report()


def test_ordered_words_keep_their_order():
    words = pd.Categorical(["mid", "low", "high", "low"], ["low", "mid", "high"], ordered=True)
    data = pd.DataFrame({"y": words, "x": [0.1, 0.3, 0.2, 0.9]})
    specification = mm.Model("y ~ x", data, family="ordinal").specification
    assert specification.response.categories == ("low", "mid", "high")
    assert [p.name for p in specification.parameters] == ["x", "cut.1", "cut.2"]
    assert sorted(specification.outcome.tolist()) == [1.0, 1.0, 2.0, 3.0]


def test_a_family_is_given_by_name_class_or_object():
    assert find_family("poisson") == find_family(FAMILIES["poisson"]) == find_family(FAMILIES["poisson"]())
