"""Formulas that would never end, or exhaust the stack, are refused with their place; long ones mean what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.language.parse import parse_formula
from micromacro.language.printing import to_text
from micromacro.language.terms import split_terms

LETTERS = "abcdefghijkl"

REFUSED = [
    # numbers
    ("y ~ I(9**9**9 * a)", "not a finite number"),
    ("y ~ I(a + 9**9**9**9)", "not a finite number"),
    ("y ~ I(a * 1e308 ** 2)", "not a finite number"),
    ("y ~ I(a / 0)", "not finite in"),
    ("y ~ I(a * (1 / 0))", "not a finite number"),
    ("y ~ I(a ** 1e999)", "not a finite number"),
    ("y ~ offset(a * 9**9**9)", "not finite in"),
    ("y ~ fix(a, 1e999)", "the number that its coefficient is held at"),
    ("y ~ bs(a, df=4, upper_bound=1e999)", "upper_bound= of bs.. is a number"),
    ("y ~ (a + b)**1e999", "whole number from 1"),
    # degrees and degrees of freedom
    ("y ~ poly(a, 99999)", "degree= of poly.. is a whole number up to 1000"),
    ("y ~ poly(a, 9**9)", "degree= of poly.. is a whole number"),
    ("y ~ poly(a, 2.5)", "degree= of poly.. is a whole number"),
    ("y ~ poly(a, -1)", "degree= of poly.. is a whole number"),
    ("y ~ poly(a, b)", "degree= of poly.. is a whole number"),
    ("y ~ poly(a, 999)", "make 998 columns or more, but data has 60 rows"),
    ("y ~ bs(a, df=100000)", "df= of bs.. is a whole number up to 1000"),
    ("y ~ bs(a, df=500)", "columns or more, but data has 60 rows"),
    ("y ~ bs(a, df=4, degree=99999)", "degree= of bs.. is a whole number"),
    ("y ~ cr(a, df=99999)", "df= of cr.. is a whole number"),
    ("y ~ bs(a, knots=3)", "no argument knots= here .a formula cannot hold a list."),
    ("y ~ C(k, levels='p')", "no argument levels= here .a formula cannot hold a list."),
    ("y ~ bs(a, 4, 3)", "bs.. takes df="),
    ("y ~ bs(a, df=4, extrapolation='on')", 'extrapolation= of bs.. is "raise" or "clip"'),
    ("y ~ poly(a, 2, degree=2)", "given twice"),
    ("y ~ scale(a, ddof='x')", "ddof= of scale.. is a number"),
    ("y ~ C(k, contr.treatment(a))", "base= of contr.treatment.. is a level"),
    ("y ~ C(k, a)", "contrasts are one of"),
    ("y ~ C(k, contr.sum(1))", "takes nothing after the expression"),
    ("y ~ contr.sum", "can only be used in C"),
    ("y ~ contr.sum(a)", "can only be used in C"),
    ("y ~ log(a, b)", "log.. takes one expression"),
    ("y ~ log()", "log.. needs an expression"),
    ("y ~ center(a, b=1)", "center.. takes one expression"),
    # too many terms
    ("y ~ " + "*".join(LETTERS), "make 6143 columns or more, but data has 60 rows"),
    ("y ~ (" + "+".join(LETTERS) + ")**6", "columns or more"),
    ("y ~ (" + "*".join(LETTERS) + "):(" + "*".join(LETTERS) + ")", "more than 5000 terms"),
    ("y ~ mm(m, h, " + "*".join(LETTERS) + ")", "columns or more"),
    ("y ~ (" + "*".join(LETTERS) + " | g)", "columns or more"),
    ("y ~ mm(m, h, effects=iid(1 + " + "*".join(LETTERS) + "))", "columns or more"),
    ("y ~ mm(m, h, weights=power(" + "*".join(LETTERS) + "))", "columns or more"),
    ("y ~ (a + b) ** 1.5", "whole number from 1"),
    ("y ~ (a + b) ** 0", "whole number from 1"),
    ("y ~ (a + b) ** a", "whole number from 1"),
    ("y ~ (a + b) ** -1", "whole number from 1"),
    ("y ~ a ** 9**9**9", "whole number from 1"),
    ("y ~ s(a, k=1e999)", "k= of s.. is a whole number"),
    ("y ~ s(a, k=" + "9" * 5000 + ")", "k= of s.. is a whole number"),
    ("y ~ mm(m, h, a, aggregate=moment(1e999))", "whole number from 2"),
    ("y ~ (C(g) | k)", "78 standard deviations and correlations, for 60 rows"),
    # long and deep
    ("y ~ " + "*".join(["a"] * 1500), "more than 100 operations in a row"),
    ("y ~ " + ":".join(["a"] * 1500), "more than 100 operations in a row"),
    ("y ~ I(" + "*".join(["a"] * 1500) + ")", "more than 100 operations in a row"),
    ("y ~ I(" + "-".join(["(a"] * 300) + ")" * 301, "nested too deeply"),
    ("y ~ mm(m, h, weights=" + "*".join(["a"] * 1500) + ")", "more than 100 operations in a row"),
    ("y ~ I(" + "+".join(["a"] * 5_000) + ")", "more than 2000 operations"),
    ("y ~ mm(m, h, weights=" + "+".join(["a"] * 5_000) + ")", "more than 2000 operations"),
    ("y ~ mm(m, h, aggregate=E(" + "+".join(["a"] * 5_000) + "))", "more than 2000 operations"),
    ("y ~ offset(" + "+".join(["a"] * 5_000) + ")", "more than 2000 operations"),
    ("log(" + "+".join(["a"] * 5_000) + ") ~ a", "more than 2000 operations"),
    ("y ~ (1 | " + "/".join(["g"] * 1500) + ")", "more than 100 operations in a row"),
    ("y ~ (1 | " + ":".join(["g"] * 1500) + ")", "more than 100 operations in a row"),
    ("y ~ " + "(" * 1500 + "1|g" + ")" * 1500, "nested too deeply"),
    ("y ~ " + "(1|" * 1500 + "g" + ")" * 1500, "must stand by itself"),
    ("y ~ " + "(" * 90 + "1|g" + ")|g)" * 90, "nested too deeply"),
    ("y ~ " + "exp(" * 1500 + "a" + ")" * 1500, "nested too deeply"),
    ("y ~ " + "+".join(["a"] * 100_000), "more than 20000 names, numbers and signs"),
    # text
    ("y ~ I('x')", "text can only occur in a comparison"),
    ("y ~ 'x'", "text in quotes cannot be a term|this cannot be a term"),
    ("y ~ I(k*2)", "column 'k' holds text"),
    ("y ~ I(k + k)", "column 'k' holds text"),
    ("y ~ log(k)", "column 'k' holds text"),
    ("y ~ poly(k, 2)", "column 'k' holds text"),
    ("y ~ I('x' * 99999999)", "text can only occur in a comparison"),
    ("y ~ I('x' == 'x')", "text can only be compared with a column"),
    ("y ~ I(a == 'x')", "column 'a' holds number values, which cannot be compared with text"),
    ("y ~ I(k < 'x')", "text can only occur in a comparison"),
    ("y ~ I(k > 1)", "column 'k' holds text"),
    ("y ~ C('x')", "text can only occur in a comparison"),
    # places
    ("y ~ I(a:b)", "':' joins terms"),
    ("y ~ log(poly(a, 2))", "poly.. makes several columns"),
    ("y ~ I(C(k))", "C.. makes several columns"),
    ("y ~ a:-b", "a sign cannot occur inside a product"),
    ("y ~ 2 * a", "the number 2 cannot be part of a term"),
    ("y ~ (a > b)", "this cannot be a term"),
    ("y ~ a % b", "this cannot be a term"),
    ("y ~ I(2)", "contains no column"),
    ("y ~ `a\x00`", "cannot occur in a formula"),
    ("y ~ a + '\ud800'", "cannot occur in a formula"),
    ("y ~ a + \ud800", "cannot occur in a formula"),
]  # fmt: skip

MEANT = {
    "y ~ (a + b)**99999999": "y ~ a + b + a:b",
    "y ~ (a + b + c + d + e)**8": "y ~ (a + b + c + d + e)**5",
    "y ~ " + "+".join(["a"] * 1500): "y ~ a",
    "y ~ " + "+".join(["a", "b"] * 1500): "y ~ a + b",
    "y ~ " + "-".join(["b + a"] + ["a"] * 1500): "y ~ b",
    "y ~ I(" + "+".join(["a"] * 1500) + ")": "y ~ I(1500 * a)",
    "y ~ I(" + "-".join(["b"] + ["a"] * 1500) + ")": "y ~ I(b - 1500 * a)",
    "y ~ a + " + "(" * 50 + "b" + ")" * 50: "y ~ a + b",
    "y ~ I(" + "-" * 50 + "a)": "y ~ I(a)",
    "y ~ poly(a, 2, 1)": "y ~ poly(a, degree=2, raw=1)",
    "y ~ a:b:a:b": "y ~ a:b",
    "y ~ (a + b - a)": "y ~ b",
    "y ~ a + -(a + b) + b": "y ~ b",
    "y ~ a/b/c": "y ~ a + a:b + a:b:c",
}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 13)), columns=["y", *LETTERS])
    frame = frame.assign(g=np.arange(60) % 12, m=np.arange(60) % 7, h=np.arange(60), k=np.tile(["p", "q", "r"], 20))
    mm.Model("y ~ I(a ** 2) + mm(m, h, weights=1/n**b)", frame)  # imports, and compiles
    return frame


@pytest.mark.parametrize(("formula", "says"), REFUSED, ids=[f"{k}: {f[:30]!r}" for k, (f, _) in enumerate(REFUSED)])
def test_what_cannot_be_is_refused_at_once(data, formula, says, least_seconds):
    def refused():
        with pytest.raises(mm.MicromacroError, match=says) as caught:
            mm.Model(formula, data)
        assert len(str(caught.value)) < 1000

    assert least_seconds(refused, 1.0) < 1.0


@pytest.mark.parametrize("formula", MEANT, ids=[f"{k}: {f[:30]!r}" for k, f in enumerate(MEANT)])
def test_what_is_long_means_what_it_says(data, formula, least_seconds):
    def the_same():
        one, other = (mm.Model(f, data).specification.system.parts[0].matrix for f in (formula, MEANT[formula]))
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)

    assert least_seconds(the_same, 2.0) < 2.0


def test_many_covariates_of_members_and_many_free_weights(data):
    rng = np.random.default_rng(1)
    wide = data.assign(**{f"x{k}": rng.normal(size=60) for k in range(50)})
    terms = " + ".join(f"x{k}" for k in range(50))
    model = mm.Model(f"y ~ mm(m, h, {terms} + {terms} + {terms}, weights = power({terms} + {terms}))", wide)
    assert sum(n.startswith("m.x") for n in model.specification.names) == 50
    assert sum(n.startswith("m.w.x") for n in model.specification.names) == 50


def test_long_sums_are_printed_and_parsed_alike():
    text = "y ~ mm(m, g, " + " - ".join(f"x{k}" for k in range(300)) + ")"
    call = parse_formula(text).members[0]
    assert [s for s, _ in call.covariates] == ["+"] + ["-"] * 299
    assert [to_text(n) for _, n in call.covariates] == [f"x{k}" for k in range(300)]
    node = parse_formula("y ~ I(" + " - ".join(f"x{k}" for k in range(300)) + ")").fixed[0][1]
    assert parse_formula(f"y ~ {to_text(node)}").fixed[0][1] == node
    assert len(split_terms(node.args[0], text)[0]) == 300


def test_deep_formulas_inside_a_deep_program_are_errors_of_ours():
    def deep(level):
        return parse_formula("y ~ " + "(" * 55 + "x" + ")" * 55) if level == 0 else deep(level - 1)

    with pytest.raises(mm.FormulaError, match="nested too deeply"):
        deep(880)
