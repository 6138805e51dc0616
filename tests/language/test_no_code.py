"""The formula is data, never code: a wire is stretched through Python's builtins, and no formula trips over it."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

import micromacro as mm

ROWS = 24
KINDS = {"k": list("abcd") * 6, "p": list("abcdef") * 4, "g": list(range(ROWS))}


@pytest.fixture
def data(rng):
    return {name: rng.uniform(0.5, 2.0, ROWS) for name in ("y", "x", "z", "a", "a.values", "log")} | KINDS


@pytest.fixture
def tripped(monkeypatch):
    """Calls of ``wire()``, which any code that runs with Python's builtins can see."""
    calls = []
    monkeypatch.setattr(builtins, "wire", lambda *args: calls.append(args) or 1.0, raising=False)
    return calls


CODE = [
    "y ~ I(__import__('os').system('true'))",
    "y ~ __import__('os')",
    "y ~ wire()",
    "y ~ I(wire())",
    "y ~ log(wire(x))",
    "y ~ C(k, wire())",
    "y ~ bs(x, df=wire())",
    "y ~ eval('wire()')",
    "y ~ exec('wire()')",
    "y ~ I(getattr(x, 'mean')())",
    "y ~ I(lambda: wire())",
    "y ~ I((lambda: wire())())",
    "y ~ I([wire() for i in x])",
    "y ~ I(x[wire()])",
    "y ~ {wire()}",
    "y ~ I({wire()})",
    "y ~ I(x.mean())",
    "y ~ I(x).mean()",
    "y ~ x.mean(wire())",
    "y ~ np.exp(x)",
    "y ~ I(x := wire())",
    "y ~ I(x; wire())",
    "y ~ I(f'{wire()}')",
    "y ~ I(x if wire() else z)",
    "y ~ I(x or wire())",
    "y ~ I(*wire())",
    "y ~ I(x)\nwire()",
    "y ~ x # wire()",
    "y ~ x \\ wire()",
    "y ~ mm(p, g, wire())",
    "y ~ mm(p, g, I(x.mean()))",
    "y ~ mm(p, g, weights = wire())",
    "y ~ mm(p, g, weights = I(x))",
    "y ~ mm(p, g, weights = power(wire()))",
    "y ~ mm(p, g, effects = wire())",
    "y ~ mm(p, g, aggregate = wire())",
    "y ~ (1 | wire())",
    "y ~ (wire() | k)",
    "y ~ offset(wire())",
    "y ~ offset(I(wire()))",
    "y ~ fix(wire(), 1)",
    "y ~ fix(x, wire())",
    "wire() ~ x",
    "I(wire()) ~ x",
]


@pytest.mark.parametrize("formula", CODE)
def test_code_in_a_formula_is_an_error_and_does_not_run(data, tripped, formula):
    with pytest.raises((mm.FormulaError, mm.DataError)):  # a DataError where a word was taken for a column
        _ = mm.Model(formula, data).specification
    assert tripped == []


#: Where our quotes and Python's differ, text turns into code: a backslash hides the closing quote from Python only.
HIDDEN = [
    r'y ~ log("a(\", "+str(wire())+", ")#")',
    r'y ~ I("a(\", "+str(wire())+", ")#")',
    r'y ~ mm(p, g, log("a(\", "+str(wire())+", ")#"))',
    r'y ~ mm(p, g, weights = power(log("a(\", "+str(wire())+", ")#")))',
    r'y ~ fix(log("a(\", "+str(wire())+", ")#"), 1)',
    r"""y ~ log("'+str(wire())+'")""",
    r"""y ~ log('"+str(wire())+"')""",
    r"y ~ log('\x27+str(wire())+\x27')",
    'y ~ log("{wire()}")',
    "y ~ log('`wire()`')",
]


@pytest.mark.parametrize("formula", HIDDEN)
def test_text_in_quotes_never_becomes_code(data, tripped, formula):
    with pytest.raises(mm.FormulaError):
        _ = mm.Model(formula, data).specification
    assert tripped == []


@pytest.mark.parametrize("name", ["wire()", "' + str(wire()) + '", "__import__('os')", "{wire()}", "x y"])
@pytest.mark.parametrize("formula", ["y ~ `{}`", "y ~ `{}`:x", "y ~ I(`{}` * 2)", "y ~ log(`{}`) + x"])
def test_a_column_in_backticks_is_a_column_whatever_its_name(data, tripped, rng, name, formula):
    data = data | {name: rng.uniform(1.0, 2.0, ROWS)}
    model = mm.Model(formula.replace("{}", name), data).specification
    expected = {"y ~ `{}`": data[name], "y ~ `{}`:x": data[name] * data["x"], "y ~ I(`{}` * 2)": data[name] * 2,
                "y ~ log(`{}`) + x": np.log(data[name])}[formula]  # fmt: skip
    rows = model.tables.order
    column = model.system.parts[0].matrix[:, list(model.system.parts[0].design.names).index(_term(model, name))]
    np.testing.assert_allclose(column, (expected - expected.mean())[rows], atol=1e-12)
    assert tripped == []


def _term(model, name):
    return next(n for n in model.system.parts[0].design.names if name in n)


def test_variables_of_the_caller_are_not_seen(data):
    hidden = np.arange(ROWS, dtype=float)
    assert len(hidden) == ROWS
    for formula in ("y ~ hidden", "y ~ I(hidden * x)", "y ~ offset(hidden)", "y ~ x + KINDS"):
        with pytest.raises(mm.DataError, match=r"no column '(hidden|KINDS)'"):
            _ = mm.Model(formula, data).specification


def test_a_dot_in_a_name_is_part_of_the_name(data):
    """``a.values`` is a column here, not an attribute of the column ``a``, alone and inside functions."""
    model = mm.Model("y ~ I(2 * a.values) + a", data).specification
    column, rows = 2 * data["a.values"], model.tables.order
    where = [k for k, n in enumerate(model.system.parts[0].design.names) if n.startswith("I(")]
    np.testing.assert_allclose(model.system.parts[0].matrix[:, where[0]], (column - column.mean())[rows])


NUMPY = {
    "log": np.log, "log10": np.log10, "log2": np.log2, "log1p": np.log1p, "exp": np.exp, "expm1": np.expm1,
    "exp2": np.exp2, "sqrt": np.sqrt, "abs": np.abs, "sin": np.sin, "cos": np.cos,
    "tan": np.tan, "round": np.round, "floor": np.floor, "ceil": np.ceil,
}  # fmt: skip


@pytest.mark.parametrize("exponent", ["2", "exponent=1 / 2", "-1", "abs(x) + 1"])
def test_a_power_is_a_function_too(data, exponent):
    x = np.abs(data["x"]) + 0.1
    model = mm.Model(f"y ~ pow(x, {exponent})", {**data, "x": x}).specification
    column = {"2": x**2, "exponent=1 / 2": x**0.5, "-1": 1 / x, "abs(x) + 1": x ** (x + 1)}[exponent]
    column = column[model.tables.order]
    np.testing.assert_allclose(model.system.parts[0].matrix[:, 0], column - column.mean(), atol=1e-12)


def test_a_power_needs_its_exponent(data):
    with pytest.raises(mm.FormulaError, match=r"pow\(\) needs its exponent, as in pow\(x, 2\)"):
        _ = mm.Model("y ~ pow(x)", data).specification


@pytest.mark.parametrize("function", NUMPY)
def test_every_function_of_the_whitelist_can_be_used(data, function):
    model = mm.Model(f"y ~ {function}(x)", data).specification
    column = NUMPY[function](data["x"])[model.tables.order]
    np.testing.assert_allclose(model.system.parts[0].matrix[:, 0], column - column.mean(), atol=1e-12)


def test_an_unknown_function_is_refused_with_those_that_exist(data):
    with pytest.raises(mm.FormulaError, match=r"logg\(\) is not among the functions of covariates; did you mean log"):
        _ = mm.Model("y ~ logg(x)", data).specification
    with pytest.raises(mm.FormulaError, match="it works within groups and is available in weights="):
        _ = mm.Model("y ~ mean(x)", data).specification
    with pytest.raises(mm.FormulaError, match="weights= has no function 'expp'; did you mean 'exp'"):
        _ = mm.Model("y ~ mm(p, g, weights = expp(x))", data).specification


def test_a_column_may_share_the_name_of_a_function_in_weights(data):
    block = mm.Model("y ~ mm(p, g, weights = exp(log * b) + log(log))", data).specification.members["p"]
    assert block.expression.columns == ("log",)
    assert block.expression.parameters == ("b",)


def test_a_column_may_share_the_name_of_a_function_in_a_fixed_term_beside_the_function_too(data):
    assert mm.Model("y ~ log + log:x", data).specification.system.parts[0].design.names == ("log", "log:x")
    model = mm.Model("y ~ log(x):log", data).specification
    column = (np.log(data["x"]) * data["log"])[model.tables.order]
    assert model.system.parts[0].design.names == ("log(x):log",)
    np.testing.assert_allclose(model.system.parts[0].matrix[:, 0], column - column.mean(), atol=1e-12)
