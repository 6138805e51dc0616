"""What formulas mean: on the left what a user writes, on the right what the parser understood, printed back."""

from __future__ import annotations

import pytest

from micromacro.language.nodes import Name, names_in
from micromacro.language.parse import parse_expression, parse_formula
from micromacro.language.printing import to_text

FORMULAS = {
    # fixed terms and the intercept
    "y~x": "y ~ 1 + x",
    "y ~ x + z - w": "y ~ 1 + x + z - w",
    "y ~ -x + z": "y ~ 1 - x + z",
    "y ~ 1": "y ~ 1",
    "y ~ 0 + x": "y ~ 0 + x",
    "y ~ x - 1": "y ~ 0 + x",
    "y ~ -1 + x": "y ~ 0 + x",
    "y ~ x - 0": "y ~ 1 + x",
    "y ~ x + -1": "y ~ 0 + x",
    "y ~ x\n  + z": "y ~ 1 + x + z",
    "y ~ a * b + a:b:c": "y ~ 1 + a * b + a:b:c",
    "y ~ (a + b) ** 2": "y ~ 1 + (a + b) ** 2",
    "y ~ (a + b)^2": "y ~ 1 + (a + b) ** 2",
    "y ~ a / (b + c)": "y ~ 1 + a / (b + c)",
    "y ~ C(z, contr.sum) + I(x^2) + log(x)": "y ~ 1 + C(z, contr.sum) + I(x ** 2) + log(x)",
    "y ~ bs(x, df = 4)": "y ~ 1 + bs(x, df=4)",
    "y ~ `a b` + `x.1` + x.a + größe": "y ~ 1 + `a b` + `x.1` + `x.a` + größe",
    # outcomes
    "log(y) ~ x": "log(y) ~ 1 + x",
    "y / 1e3 ~ x": "y / 1e3 ~ 1 + x",
    "surv(time, event == 1) ~ x": "surv(time, event == 1) ~ 1 + x",
    # units
    "y ~ (1 | u)": "y ~ 1 + (1 | u)",
    "y ~ hm(u)": "y ~ 1 + (1 | u)",
    "y ~ hm(u, 1 + x)": "y ~ 1 + (1 + x | u)",
    "y ~ (x | u)": "y ~ 1 + (1 + x | u)",
    "y ~ (0 + x || u)": "y ~ 1 + (0 + x || u)",
    "y ~ (1 | u / v) + (1 | u:v)": "y ~ 1 + (1 | u / v) + (1 | u:v)",
    "y ~ hm(u, name = v)": "y ~ 1 + hm(u, 1, name=v)",
    "y ~ (1 | u) + x + (1 | v)": "y ~ 1 + x + (1 | u) + (1 | v)",
    # member blocks
    "y ~ mm(p, g)": "y ~ 1 + mm(p, g)",
    "y ~ mm(p, g, x)": "y ~ 1 + mm(p, g, 0 + x)",
    "y ~ mm(p, g, 1 + x - z)": "y ~ 1 + mm(p, g, 1 + x - z)",
    "y ~ mm(p, g, x * z + fix(w, -2))": "y ~ 1 + mm(p, g, 0 + x * z + fix(w, -2.0))",
    "y ~ mm(p, g, weights = 1/n^exp(-(b0 + b1*x)))": "y ~ 1 + mm(p, g, weights=1 / n ** exp(-(b0 + b1 * x)))",
    'y ~ mm(p, g, weights = where(role == "head", b, 1))': ('y ~ 1 + mm(p, g, weights=where(role == "head", b, 1))'),
    "y ~ mm(p, g, weights=first(x, by=z), normalize='group')": (
        "y ~ 1 + mm(p, g, weights=first(x, by=z), normalize=group)"
    ),
    'y ~ mm(p, g, weights = b1, parameters = "b1")': 'y ~ 1 + mm(p, g, weights=b1, parameters="b1")',
    'y ~ mm(p, g, weights = b0 + b1, parameters = "b0, b1")': ('y ~ 1 + mm(p, g, weights=b0 + b1, parameters="b0 b1")'),
    "y ~ mm(p, g, aggregate=var, effects=none)": "y ~ 1 + mm(p, g, aggregate=var, effects=none)",
    "y ~ mm(p, g) + mm(q, g, name=second) + mm(p, g, x, name='third')": (
        "y ~ 1 + mm(p, g) + mm(q, g, name=second) + mm(p, g, 0 + x, name=third)"
    ),
    # known coefficients
    "y ~ x + offset(log(z)) + fix(w, 1)": "y ~ 1 + x + offset(log(z)) + fix(w, 1.0)",
    "y ~ fix(x*z, -(-2e-1))": "y ~ 1 + fix(x * z, 0.2)",
}


@pytest.mark.parametrize("text", FORMULAS)
def test_formula_means(text, printed):
    assert printed(parse_formula(text)) == FORMULAS[text]


#: An expression, and the same with every pair of parentheses that Python's precedence implies.
BINDING = {
    "-x ** 2": "-(x ** 2)",
    "2 ** -1": "2 ** (-1)",
    "2 ** -x ** 2": "2 ** (-(x ** 2))",
    "a - b - c": "(a - b) - c",
    "a - (b - c)": "a - (b - c)",
    "a / b / c": "(a / b) / c",
    "a / b * c": "(a / b) * c",
    "a ** b ** c": "a ** (b ** c)",
    "(a ** b) ** c": "(a ** b) ** c",
    "a ^ b": "a ** b",
    "a + b * c": "a + (b * c)",
    "-a * b": "(-a) * b",
    "-a + b": "(-a) + b",
    "a - -b": "a - (-b)",
    "- - a": "-(-a)",
    "+a ** 2": "+(a ** 2)",
    "a < b + c": "a < (b + c)",
    "a + b == c * d": "(a + b) == (c * d)",
    "a * b:c": "a * (b:c)",
    "a % b * c": "(a % b) * c",
    "1 / n ** exp(-x)": "1 / (n ** (exp(-x)))",
    ".5e-3 * a": "(.5e-3) * a",
}


@pytest.mark.parametrize("text", BINDING)
def test_operators_bind_as_in_python(text):
    assert parse_expression(text) == parse_expression(BINDING[text])


UNEQUAL = [
    ("-x ** 2", "(-x) ** 2"),
    ("a - b - c", "a - (b - c)"),
    ("a ** b ** c", "(a ** b) ** c"),
    ("a / b * c", "a / (b * c)"),
    ("a + b * c", "(a + b) * c"),
]


@pytest.mark.parametrize(("one", "other"), UNEQUAL)
def test_parentheses_that_change_the_meaning_are_kept(one, other):
    assert parse_expression(one) != parse_expression(other)
    assert to_text(parse_expression(other)) == other


def test_a_column_may_share_the_name_of_a_function():
    node = parse_expression("exp(exp) + max * max(min)")
    assert [n.name for n in names_in(node)] == ["exp", "max", "min"]
    assert to_text(node) == "exp(exp) + max * max(min)"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("x.a + `x.1` + `x 1` + _x + x_1", ["x.a", "x.1", "x 1", "_x", "x_1"]),
        ("größe * 重さ", ["größe", "重さ"]),
        ("mm + hm + I + C + n", ["mm", "hm", "I", "C", "n"]),
        ("`1x` - `a+b` - `weights=`", ["1x", "a+b", "weights="]),
        ("x == 'a \"quoted\" word'", ["x"]),
        ('x == "it\'s"', ["x"]),
    ],
)
def test_names_are_read_whole(text, names):
    node = parse_expression(text)
    assert [n.name for n in names_in(node)] == names
    assert parse_expression(to_text(node)) == node


def test_spans_point_at_the_text():
    text = "y ~ alpha + mm(pid, gid, beta, weights = 1 / n ** gamma)"
    formula = parse_formula(text)
    (_, alpha), call = formula.fixed[0], formula.members[0]
    assert call.weights is not None
    for node, words in [(alpha, "alpha"), (call.member, "pid"), (call.covariates[0][1], "beta"),
                        (call.weights, "1 / n ** gamma")]:  # fmt: skip
        assert text[node.span.start : node.span.stop] == words
    assert text[call.span.start : call.span.stop] == text[12:]


def test_nodes_compare_by_content_not_by_place():
    assert parse_expression("  x +   1.0") == parse_expression("x+1")
    assert Name("x") == parse_expression("`x`")


@pytest.mark.parametrize("text", ["y ~ " + "(" * 50 + "x" + ")" * 50, "y ~ x" + " + x" * 5000, "y ~ " + "-" * 50 + "x"])
def test_long_and_deep_formulas_are_read(text):
    assert parse_formula(text).fixed


@pytest.mark.parametrize("written", ["C(k, contr.sum)", "C(k, contr.sum())"])
def test_contrasts_are_no_columns(written):
    assert [n.name for n in names_in(parse_expression(written))] == ["k"]
