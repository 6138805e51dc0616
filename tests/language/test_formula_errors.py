"""Syntax errors: each says what is wrong and marks the place. ``»`` and ``«`` stand around what must be marked."""

from __future__ import annotations

import pickle

import pytest

from micromacro.errors import FormulaError, MicromacroError
from micromacro.language.parse import parse_expression, parse_formula

ERRORS = [
    # the whole
    ("»y«", "there is no ~"),
    ("»y + x«", "there is no ~"),
    ("» «", "there is no ~"),
    (" »~« x", "expected a term, found '~'"),
    ("y ~»«", "the formula ends where a term was expected"),
    ("y ~ x »~« z", "a formula has one ~"),
    # trailing text
    ("y ~ x »z«", "join terms with +"),
    ("y ~ x + log(z) »2«", "join terms with +"),
    ("y ~ x »)«", "this parenthesis was never opened"),
    ("y ~ x »,« z", "this text was not expected here"),
    ("y ~ x »==« 1", "this text was not expected here"),
    ("y ~ mm(p, g) »(«1 | u)", "this text was not expected here"),
    ("y ~ (1 | u) »`z`«", "join terms with +"),
    # characters without a meaning
    ("y ~ x »@« z", "'@' has no meaning in a formula"),
    ("y ~ x »&« z", "'&' has no meaning"),
    ("y ~ x»[«0]", "'[' cannot occur in a formula"),
    ("y ~ »{«x}", "'{' cannot occur in a formula"),
    ("y ~ x»!«", "'!' has no meaning"),
    ('y ~ »"«x', 'this " is not closed'),
    ("y ~ »`«x", "this ` is not closed"),
    ("y ~ I(x)».«a", "'.' has no meaning"),
    # operands
    ("y ~ x +»«", "the formula ends where a term was expected"),
    ("y ~ x + »*« z", "expected a term, found '*'"),
    ("y ~ x * »)«", "expected a term, found ')'"),
    ("y ~ »log«(x", "log( is not closed"),
    ("y ~ (x + z»«", "expected ')' to close the parenthesis, found the end"),
    ("y ~ log(x »z«)", "has 'z' where ',' or ')' was expected"),
    ("y ~ log(x»,«)", "an argument is missing after this comma"),
    ("y ~ log(»,« x)", "expected a term, found ','"),
    ("y ~ I(a < b »<« c)", "comparisons cannot be chained"),
    # special terms
    ("y ~ »mm()«", "mm() needs a member column and a group column"),
    ("y ~ »mm(p)«", "mm() needs a member column and a group column"),
    ("y ~ »mm(p, g, x, z)«", "mm() needs a member column and a group column"),
    ("y ~ mm(»p + q«, g)", "the member of mm() must be the name of a column"),
    ("y ~ mm(p, »1«)", "the group of mm() must be the name of a column"),
    ("y ~ mm(p, g, »weigths«=1)", "mm() has no argument weigths=; did you mean weights=?"),
    ("y ~ mm(p, g, name=a, »name«=b)", "name= is given twice"),
    ("y ~ mm(p, g, weights=1/n, »x«)", "an argument without a name cannot follow one with a name"),
    ("y ~ mm(p, g, normalize=»groups«)", "normalize= is one of total, group, none, not groups"),
    ("y ~ mm(p, g, name=»1«)", "name= takes a name"),
    ('y ~ mm(p, g, parameters=»"b b"«)', "each once"),
    ('y ~ mm(p, g, parameters=»""«)', "parameters= takes names in quotes"),
    ("y ~ mm(p, g, parameters=»1«)", "parameters= takes names in quotes"),
    ("y ~ x - »mm(p, g)«", "mm() can only be added"),
    ("y ~ x - »(1 | u)«", "a unit term can only be added"),
    ("y ~ x * »mm(p, g)«", "mm() must stand by itself"),
    ("y ~ log(»offset(x)«)", "offset() must stand by itself"),
    ("»mm(p, g)« ~ x", "mm() must stand by itself"),
    ("y ~ mm(p, g, x + »mm(q, g)«)", "mm() must stand by itself"),
    ("y ~ mm(p, g, x + »s(x)«)", "has no penalty: write its columns, as in bs(x, df=5)"),
    ("y ~ mm(p, g, »strata(x)«)", "add the term outside mm()"),
    ("y ~ x * (1 »|« u)", "must stand by itself"),
    ("y ~ »hm()«", "hm() needs a unit column"),
    ("y ~ hm(u, »wieghts«=1)", "hm() has no argument wieghts="),
    ("y ~ (1 | u »+« 1)", "expected ')' to close the unit term"),
    ("y ~ (1 | »2«)", "a unit is a column, or columns joined by / or :"),
    ("y ~ »(0 | u)«", "nothing that varies"),
    ("y ~ ( »|« u)", "expected a term, found '|'"),
    ("y ~ (»(1 | v)« | u)", "a unit term cannot be inside another"),
    ("y ~ »offset(x, z)«", "offset() takes one column"),
    ("y ~ »fix(x)«", "fix() takes a term and the number"),
    ("y ~ »fix(x, b)«", "fix() takes a term and the number"),
]


def _place(marked: str) -> tuple[str, int, int]:
    start, stop = marked.index("»"), marked.index("«") - 1
    return marked.replace("»", "").replace("«", ""), start, max(stop, start + 1)


@pytest.mark.parametrize(("marked", "says"), ERRORS)
def test_error_says_what_is_wrong_and_marks_the_place(marked, says):
    text, start, stop = _place(marked)
    with pytest.raises(FormulaError) as caught:
        parse_formula(text)
    message = str(caught.value)
    assert says in message
    line, carets = message.splitlines()[-2:]
    assert line == f"    {text}"
    assert carets == " " * (4 + start) + "^" * (stop - start)


def test_in_a_formula_of_several_lines_the_line_is_shown():
    with pytest.raises(FormulaError) as caught:
        parse_formula("y ~ x\n  + mm(pid, gid,\n       z, weights = 1 / / n)\n  + w")
    assert str(caught.value).splitlines()[-2:] == ["           z, weights = 1 / / n)", " " * 28 + "^"]


@pytest.mark.parametrize("depth", [100, 100_000])
@pytest.mark.parametrize("text", ["({})", "-{}", "exp({})", "2 ** {}"], ids=["parentheses", "signs", "calls", "powers"])
def test_too_deep_nesting_is_an_error_of_ours(text, depth):
    before, after = text.split("{}")
    with pytest.raises(FormulaError, match="nested too deeply"):
        parse_formula("y ~ " + before * depth + "x" + after * depth)


@pytest.mark.parametrize("text", [None, 5, b"y ~ x", ["y ~ x"]])
def test_a_formula_must_be_text(text):
    with pytest.raises(FormulaError, match=f"must be text, not {type(text).__name__}"):
        parse_formula(text)


@pytest.mark.parametrize("text", ["x z", "x)", "(x", "", "1 2", "x ~ z"])
def test_an_expression_must_use_all_of_its_text(text):
    with pytest.raises(FormulaError):
        parse_expression(text)


def test_an_error_survives_the_way_from_another_process():
    with pytest.raises(FormulaError) as caught:
        parse_formula("y ~ x z")
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert (again.start, again.stop) == (6, 7)
    assert isinstance(again, MicromacroError)
