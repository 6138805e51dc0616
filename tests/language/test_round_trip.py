"""Printing is the inverse of parsing, and no text at all makes the parser fall over."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from micromacro.errors import FormulaError
from micromacro.language.nodes import Binary, Call, Name, Node, Number, Text, Unary, walk
from micromacro.language.parse import parse_expression, parse_formula
from micromacro.language.printing import to_text

SETTINGS = settings(derandomize=True, max_examples=60, deadline=None, database=None)

names = st.sampled_from(["x", "z", "n", "b1", "größe", "x.1", "exp", "mm", "a b", "1x", "_", "e1"]).map(Name)
numbers = st.sampled_from(["0", "1", "2.5", ".5", "1e-3", "3.", "12E+2"]).map(lambda t: Number(float(t), t))
texts = st.sampled_from(["head", "", "it's", 'a "b"', "x + 1", "#)"]).map(Text)
operators = st.sampled_from(["+", "-", "*", "/", "%", ":", "**"])
comparisons = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])


def _calls(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    function = st.sampled_from(["exp", "log", "where", "contr.sum", "I"])
    keywords = st.dictionaries(st.sampled_from(["by", "df"]), inner, max_size=2).map(lambda d: tuple(d.items()))
    return st.builds(Call, function, st.lists(inner, max_size=3).map(tuple), keywords)


def _deeper(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.one_of(
        st.builds(Unary, st.sampled_from("+-"), inner),
        st.builds(Binary, operators, inner, inner),
        st.builds(Binary, comparisons, inner, inner),
        _calls(inner),
    )


expressions = st.recursive(st.one_of(names, numbers, texts), _deeper, max_leaves=12)


@SETTINGS
@given(expressions)
@example(Unary("-", Binary("**", Name("x"), Number(2.0, "2"))))
@example(Binary("**", Unary("-", Name("x")), Number(2.0, "2")))
@example(Binary("**", Number(2.0, "2"), Unary("-", Number(1.0, "1"))))
@example(Binary("-", Name("a"), Binary("-", Name("b"), Name("c"))))
@example(Binary("<", Binary("<", Name("a"), Name("b")), Name("c")))
@example(Binary(":", Unary("-", Name("a")), Unary("-", Name("b"))))
def test_an_expression_printed_and_parsed_is_the_same(node):
    text = to_text(node)
    again = parse_expression(text)
    assert again == node
    assert to_text(again) == text


def test_backticks_stay_where_a_name_without_them_means_the_weight():
    node = parse_expression("E(w * `w`) + `x`")
    assert to_text(node) == "E(w * `w`) + x"
    names = [
        part.quoted for part in walk(parse_expression(to_text(node))) if isinstance(part, Name) and part.name == "w"
    ]
    assert names == [False, True]


columns = st.sampled_from(["x", "z", "`a b`", "log(x)", "I(x ** 2)", "x:z", "x * z", "C(k)", "bs(x, df=4)", "-x"])
covariates = st.lists(st.tuples(st.sampled_from([" + ", " - "]), columns), min_size=1, max_size=3).map(
    lambda terms: terms[0][1] + "".join(s + t for s, t in terms[1:])
)
weights = st.sampled_from(
    ["1/n", "1 / n ^ exp(-(b0 + b1 * x))", "power(x + z)", 'where(k == "a", b, -b)', "x > mean(x)", "first(x, by = z)"]
)
keywords = st.fixed_dictionaries(
    {},
    optional={
        "weights": weights,
        "normalize": st.sampled_from(["total", "group", "none", "'group'"]),
        "aggregate": st.sampled_from(["sum", "var", "threshold(c, 2)", "E(w * `w`)"]),
        "signed": st.sampled_from(["yes", "no", "'yes'"]),
        "effects": st.sampled_from(["iid", "none", "walk(time)"]),
        "name": st.sampled_from(["second", "'third'"]),
        "parameters": st.sampled_from(['"b0 b1"', "'b'"]),
    },
)
members = st.builds(
    lambda c, kw: f"mm(p, g{', ' + c if c else ''}{''.join(f', {k} = {v}' for k, v in kw.items())})",
    st.one_of(
        st.none(), covariates, covariates.map(lambda c: f"1 + {c}"), covariates.map(lambda c: f"fix(w, -2) + {c}")
    ),
    keywords,
)
units = st.sampled_from(
    ["(1 | u)", "(x | u/v)", "(0 + x || u)", "hm(u)", "hm(u, x - z, name = v)", "(1 + log(x) | u:v)"]
)
others = st.sampled_from(["offset(log(x))", "fix(x, -1.5)", "1", "0", "x"])
formulas = st.builds(
    lambda outcome, terms: f"{outcome} ~ {' + '.join(terms)}",
    st.sampled_from(["y", "log(y)", "surv(t, d)", "y / 10"]),
    st.lists(st.one_of(covariates, members, units, others), min_size=1, max_size=5),
)


@SETTINGS
@given(formulas)
def test_a_formula_printed_and_parsed_is_the_same(printed, text):
    formula = parse_formula(text)
    again = parse_formula(printed(formula))
    assert replace(again, text="") == replace(formula, text="")
    assert printed(again) == printed(formula)


def _raises_ours_only(parse, text):
    """Anything but a FormulaError goes through and fails the test; a place that is marked lies in the text."""
    error = None
    try:
        parse(text)
    except FormulaError as raised:
        error = raised
    assert error is None or error.start is None or 0 <= error.start <= len(text)


@SETTINGS
@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text):
    _raises_ours_only(parse_expression, text)
    _raises_ours_only(parse_formula, text)
    _raises_ours_only(parse_formula, "y ~ " + text)


PIECES = "y x ~ + - * / ** ^ : | || ( ) ( ) , = == < mm( hm( fix( offset( I( 1 0 .5 1e9 'a' \" ` g weights= name= \n \t"
pieces = st.sampled_from(PIECES.split(" "))


@settings(SETTINGS, max_examples=300)
@given(st.lists(pieces, max_size=15).map(" ".join))
def test_pieces_of_formulas_in_any_order_are_read_or_refused(text):
    _raises_ours_only(parse_formula, "y ~ " + text)
    _raises_ours_only(parse_formula, text)


@SETTINGS
@given(formulas, st.data())
def test_a_formula_with_a_piece_cut_out_is_read_or_refused(text, data):
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, len(text)))
    _raises_ours_only(parse_formula, text[:start] + text[stop:])
