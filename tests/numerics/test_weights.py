"""Weight expressions: the tape against Python and NumPy evaluating the same text group by group.

Derivatives are held against central differences of that plain evaluation, so nothing of the tape is in the oracle.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from micromacro.errors import FormulaError
from micromacro.language.functions import GROUP_FUNCTIONS, STEPS, WEIGHT_FUNCTIONS
from micromacro.language.parse import parse_expression
from micromacro.numerics.aggregation import GROUP, NONE, TOTAL, normalise
from micromacro.numerics.tape import run
from micromacro.table.columns import read_table
from micromacro.terms.member.weights import make_tape, prepare, read_weights

#: Groups of 1, 2, 0, 3, 5, 4 members; x lies in (0, 1), s has ties and both signs, in the fourth all are equal.
SIZES = np.array([1, 2, 0, 3, 5, 4])
START = np.concatenate([[0], np.cumsum(SIZES)])
DATA = {
    "x": np.array([0.5, 0.11, 0.83, 0.9, 0.9, 0.9, 0.21, 0.64, 0.35, 0.77, 0.49, 0.15, 0.58, 0.92, 0.27]),
    "s": np.array([-1.0, 2.0, 2.0, 0.5, 0.5, 0.5, 0.0, -1.5, 0.0, 2.5, -1.5, 1.0, -2.0, 0.7, 1.0]),
    "k": np.array([3, 1, 2, 2, 2, 2, 5, 4, 3, 2, 1, 7, 7, 1, 2]),
    "role": np.array("head wife head son head head son wife head son son head wife son head".split()),
    "flag": np.array([True, False, True, True, False, False, True, False, True, True, False, True, False, True, True]),
}
PARAMETERS = {"b": 0.73, "c": -0.3}


def sd(x):
    return np.std(x, ddof=1) if np.size(x) > 1 and np.ptp(x) > 0 else 0.0


#: What each function means, in plain NumPy on the members of one group.
MEANING = {
    "exp": np.exp, "log": np.log, "log1p": np.log1p, "expm1": np.expm1, "sqrt": np.sqrt, "abs": np.abs,
    "logit": special.logit, "ilogit": special.expit, "probit": special.ndtri, "iprobit": special.ndtr,
    "cloglog": lambda p: np.log(-np.log1p(-p)), "tanh": np.tanh, "where": np.where, "minimum": np.minimum,
    "maximum": np.maximum, "min": np.min, "max": np.max, "mean": np.mean, "sum": np.sum, "median": np.median,
    "sd": sd, "var": lambda x: sd(x) ** 2, "range": np.ptp, "rank": stats.rankdata, "quantile": np.quantile,
    "first": lambda x, by: x[by == by.min()].mean(), "last": lambda x, by: x[by == by.max()].mean(),
    "log2": np.log2, "log10": np.log10, "sin": np.sin, "cos": np.cos, "round": np.round, "floor": np.floor,
    "ceil": np.ceil, "pow": np.power, "mode": lambda x: stats.mode(x).mode,
    "largest": lambda x: (x == np.max(x)) / np.sum(x == np.max(x)),
    "smallest": lambda x: (x == np.min(x)) / np.sum(x == np.min(x)),
}  # fmt: skip


def plainly(text: str, parameters: dict[str, float]) -> np.ndarray:
    """The text as Python reads it, over the members of each group."""
    out = []
    for lo, hi in pairwise(START):
        names = {name: v[lo:hi] if name == "role" else v[lo:hi].astype(float) for name, v in DATA.items()}
        names |= {**parameters, "n": float(hi - lo)}
        names |= {name: over(hi - lo, f) if name in GROUP_FUNCTIONS else f for name, f in MEANING.items()}
        if hi > lo:
            out.append(np.broadcast_to(eval(text.replace("^", "**"), names), hi - lo).astype(float))
    return np.concatenate(out)


def over(size: int, function):
    """A function of a group that takes a number for that number in every member."""
    return lambda x, *rest, **keywords: function(np.broadcast_to(x, size), *rest, **keywords)


def by_differences(text: str, parameters: dict[str, float], h: float = 1e-5) -> np.ndarray:
    """Derivative of the plain values in each parameter."""
    rows = []
    for name, value in parameters.items():
        up, down = (plainly(text, {**parameters, name: value + d}) for d in (h, -h))
        rows.append((up - down) / (2 * h))
    return np.array(rows)


def compiled(text: str):
    """Tape of an expression on the data."""
    table = read_table(DATA, "data")
    return make_tape(prepare(read_weights(parse_expression(text), text, tuple(DATA), None), table), table, START)


def ran(text: str, parameters: dict[str, float]):
    """The tape, its result and its derivatives in its own parameters; work space begins full of nonsense."""
    tape = compiled(text)
    value, p = tape.constants.copy(), len(tape.parameters)
    value[tape.moves] = np.nan
    slope = np.full((len(value), p, START[-1]), np.nan)
    slope[~tape.moves] = 0.0
    run(tape.steps, tape.moves, np.array([parameters[q] for q in tape.parameters]), START, value, slope)
    return tape, value[tape.output], slope[tape.output]


def weighed(text: str, parameters: dict[str, float], rule: int = NONE):
    """Weights with their derivatives, and whether they are finite."""
    tape, raw, d_raw = ran(text, parameters)
    w, d_w = np.empty(len(raw)), np.empty(d_raw.shape)
    good = normalise(
        raw, d_raw, int(tape.logarithm), rule, START, int(np.count_nonzero(SIZES)), np.nan, w, d_w, np.empty(1)
    )
    return w, d_w, good


def check(text: str) -> None:
    """Value and derivatives of the raw weights agree with the plain evaluation."""
    own = {name: PARAMETERS[name] for name in compiled(text).parameters}
    w, d_w, good = weighed(text, own)
    assert good
    np.testing.assert_allclose(w, plainly(text, own), rtol=1e-12, atol=1e-13)
    if own:
        np.testing.assert_allclose(d_w, by_differences(text, own), rtol=1e-7, atol=1e-8)


UNARY = [name for name, arity in WEIGHT_FUNCTIONS.items() if arity.most == 1 and name not in STEPS]
OF_GROUP = [name for name in GROUP_FUNCTIONS if name not in ("quantile", "first", "last", *STEPS)]
SIDES = ["{} + 0", "b * {}", "{} * b", "c + b * {}", "({} - c) ** 2"]


def test_every_function_of_the_language_has_a_meaning_here():
    assert {*WEIGHT_FUNCTIONS, *GROUP_FUNCTIONS} == set(MEANING)


@pytest.mark.parametrize("argument", ["x", "b * x", "x ** (1 - c)", "minimum(x, b)"])
@pytest.mark.parametrize("function", UNARY)
def test_function_of_one_number(function, argument):
    check(f"{function}({argument})")


@pytest.mark.parametrize("argument", ["s", "10 * s + x", "k / 2", "flag"])
@pytest.mark.parametrize("function", STEPS)
def test_function_that_jumps(function, argument):
    check(f"{function}({argument}) * b + c")


@pytest.mark.parametrize("argument", ["b", "b * x", "s + 0 * c", "x ** b"])
@pytest.mark.parametrize("function", STEPS)
def test_nothing_can_be_estimated_in_a_function_that_jumps(function, argument):
    with pytest.raises(FormulaError, match=rf"{function}\(\) jumps") as error:
        compiled(f"x + {function}({argument})")
    assert f"{function}({argument})" in str(error.value)


@pytest.mark.parametrize("operands", [("x", "s"), ("x", "b"), ("b * x", "s"), ("x", "c - s"), ("b * x", "c + s")])
@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "**", "^", "<", "<=", ">", ">=", "==", "!="])
def test_operator(operator, operands):
    left, right = operands
    if operator == "/":
        right = f"(3 + {right})"
    check(f"({left}) {operator} ({right})")


@pytest.mark.parametrize("argument", ["x", "s", "b * x", "c * s", "exp(b * s + c * x)", "b", "k"])
@pytest.mark.parametrize("function", OF_GROUP)
def test_function_of_a_group(function, argument):
    check(f"{function}({argument})")


@pytest.mark.parametrize(
    "text",
    [
        "1", "n", "1 / n", "b", "-b", "+b", "b * c", "b * b * b", "b * x * c * s", "-x ** 2", "2 ** -b", "2 ** 3 ** b",
        "x - s - b - c", "x / n / (2 + b)", "flag", "flag * b + k", "x ^ 2 * b", "minimum(b * s, c)", "maximum(s, b)",
        "maximum(x, s)", "where(s > 0, b * x, c * s)", "where(s > 0, 1, 2)", "where(b * s > c, x, n)",
        "where(flag, exp(b), x)", 'role == "head"', 'b * (role == "head") + (role != "son")', '("wife" == role) + b',
        "quantile(x, 0.25)", "quantile(b * s, 0.3)", "quantile(s, 0)", "quantile(b * x, 1)",
        "quantile(x * b, 1 / (n + 1))", "mean(2) + sum(b)", "first(x, by=s)", "last(x, by=s)", "first(b * x + c, by=s)",
        "last(b * x, by=-k)", "first(n, by=k)", "(s - mean(s)) * b + max(s)", "x / sum(b * x)", "rank(s) ** b / n",
        "exp(b * s) / sum(exp(b * s))", "sum(sum(b * x) * s)", "0 * s + b ** 2", "s ** 2 * b", "(b * s) ** 2",
        "(b * s) ** 3", "0 ** (1 - c) + x", "abs(b * s)", "sqrt(b * (s + 2))", "pow(x, b)",
        "pow(b * x, 2)", "pow(n, -exp(c)) * x", "mode(k) ** b", "1 / pow(n, exp(-b * s))", "(k == mode(k)) * b",
    ],
)  # fmt: skip
def test_expression(text):
    check(text)


@st.composite
def expressions(draw, depth: int = 4) -> str:
    """Texts in smooth functions that stay moderate, with functions of groups among them."""
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(["b", "c", "x", "s", "k", "n", "flag", "2", "0.5"]))
    deeper = expressions(depth=depth - 1)
    form = draw(
        st.sampled_from(
            ["({} + {})", "({} - {})", "({} * {})", "-{}", "tanh({})", "ilogit({})", "exp(-abs({}))",
             "log1p(({}) ** 2)", "sum({})", "mean({} * x)", "where(s > {}, x, {})", "iprobit({})",
             "({}) / (1 + abs({}))"]
        )
    )  # fmt: skip
    return form.format(*(draw(deeper) for _ in range(form.count("{}"))))


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(text=expressions())
def test_random_expressions(text):
    own = {name: PARAMETERS[name] for name in compiled(text).parameters}
    w, d_w, _ = weighed(text, own)
    expected = plainly(text, own)
    np.testing.assert_allclose(w, expected, rtol=1e-10, atol=1e-10 * max(1.0, np.abs(expected).max()))
    if own and not any(kink in text for kink in ("where", "abs")):
        slopes = by_differences(text, own)
        np.testing.assert_allclose(d_w, slopes, rtol=1e-5, atol=1e-6 * max(1.0, np.abs(expected).max()))


#: Ready-made form: the same written out; c is the coefficient of s and d0 the intercept of logistic.
READY = {
    "power(x + s)": "1 / n ** exp(-(x * bx + s * bs))",
    "logistic(x + s)": "1 / (1 + (n - 1) * exp(-(b0 + x * bx + s * bs)))",
    "softmax(x + s)": "exp(x * bx + s * bs)",
}


@pytest.mark.parametrize("rule", [TOTAL, GROUP, NONE], ids=["total", "group", "none"])
@pytest.mark.parametrize("form", READY)
def test_ready_made_forms_are_what_they_stand_for(form, rule):
    of_form = {"b0": 0.4, "x": 0.8, "s": -0.6}
    written = {"b0": 0.4, "bx": 0.8, "bs": -0.6}
    w, d_w, good = weighed(form, of_form, rule)
    expected, d_expected, _ = weighed(READY[form], written, rule)
    assert good
    assert compiled(form).parameters == (("b0",) if "logistic" in form else ()) + ("x", "s")
    np.testing.assert_allclose(w, expected, rtol=1e-12)
    order = [
        compiled(READY[form]).parameters.index({"b0": "b0", "x": "bx", "s": "bs"}[p]) for p in compiled(form).parameters
    ]
    np.testing.assert_allclose(d_w, d_expected[order], rtol=1e-10, atol=1e-13)
    if rule == NONE:
        np.testing.assert_allclose(w, plainly(READY[form], written), rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "logarithm"),
    [
        ("exp(b * s)", True),
        ("1 / n ** exp(-(b * s))", True),
        ("n ** -exp(b * s)", True),
        ("2 * exp(b * s) / n", True),
        ("exp(b * s) / exp(c * s)", True),
        ("exp(b * s) ** 2", True),
        ("exp(b) ** (c * s)", True),
        ("ilogit(b * s) * x", True),
        ("+exp(b * s)", True),
        ("exp(b * s) * k / mean(k)", True),
        ("exp(b * s) * flag", False),
        ("exp(b * s) * s", False),
        ("exp(b * s) + x", False),
        ("b * exp(s)", False),
        ("-exp(b * s)", False),
        ("1 / n", False),
    ],
)
def test_the_logarithm_is_taken_only_where_it_exists_and_gives_the_plain_value(text, logarithm):
    assert compiled(text).logarithm == logarithm
    check(text)


#: Expression and its parameter: the logarithm of the raw weight, worked out by hand.
HUGE = [
    ("exp(b * s)", 2000.0, lambda s, n: 2000.0 * s),
    ("exp(b * s)", -2000.0, lambda s, n: -2000.0 * s),
    ("exp(b * s) / exp(2 * b * s)", 2000.0, lambda s, n: -2000.0 * s),
    ("exp(b * s) ** 3 * k / k", 900.0, lambda s, n: 2700.0 * s),
    ("ilogit(b * s)", 3000.0, lambda s, n: np.minimum(3000.0 * s, 0.0) - np.log(2.0) * (s == 0)),
    ("1 / n ** exp(-(b * s))", 200.0, lambda s, n: -np.exp(-200.0 * s) * np.log(n)),
    ("1 / n ** exp(-(b * s))", -200.0, lambda s, n: -np.exp(200.0 * s) * np.log(n)),
]


@pytest.mark.parametrize(("text", "b", "log_raw"), HUGE, ids=[f"{t} at b={b:g}" for t, b, _ in HUGE])
def test_huge_exponents_do_not_overflow_when_weights_are_normalised_in_the_group(text, b, log_raw):
    w, d_w, good = weighed(text, {"b": b}, GROUP)
    assert good and np.isfinite(d_w).all()
    logs = log_raw(DATA["s"], np.repeat(SIZES, SIZES).astype(float))
    expected = np.concatenate([special.softmax(own) for own in np.split(logs, START[1:-1]) if len(own)])
    np.testing.assert_allclose(w, expected, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("text", ["power(x)", "1 / n ** exp(-(b * x))"])
def test_a_member_alone_has_weight_one_however_large_its_exponent(text):
    w, _, _ = weighed(text, {"b": -2000.0, "x": -2000.0}, NONE)
    assert w[0] == 1.0  # 1 / 1 ** anything


@pytest.mark.parametrize("function", ["sd", "var", "range"])
@pytest.mark.parametrize("argument", ["x", "b * x / 0.7", "b"])
def test_spread_of_equal_members_is_exactly_zero_and_does_not_move(function, argument):
    w, d_w, _ = weighed(f"{function}({argument})", {"b": 0.9} if "b" in argument else {})
    np.testing.assert_array_equal(w[3:6], 0.0)
    np.testing.assert_allclose(d_w[:, 3:6], 0.0, atol=1e-12)


@pytest.mark.parametrize("function", ["mean", "median", "min", "max", "quantile"])
def test_the_centre_of_equal_members_is_their_value(function):
    w, _, _ = weighed(f"x == {function}(x{', 0.3' if function == 'quantile' else ''})", {})
    np.testing.assert_array_equal(w[3:6], 1.0)


def test_n_and_sums_count_a_member_as_often_as_it_is_listed():
    np.testing.assert_array_equal(weighed("sum(1)", {})[0], np.repeat(SIZES, SIZES))
    np.testing.assert_array_equal(weighed("n", {})[0], np.repeat(SIZES, SIZES))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("role * b", "holds text"),
        ('"head"', "text can only occur in a comparison"),
        ('role < "head"', "== or !="),
        ('b == "head"', "compared with a column"),
        ("quantile(x, b)", "without free parameters"),
        ("quantile(x, 1.5)", "between 0 and 1"),
        ("first(x, by=b * s)", "free of parameters"),
        ("first(x)", "needs by="),
        ("exp(x, by=s)", "takes no keywords"),
        ("exp(x, s)", "takes 1 arguments, not 2"),
        ("where(x, s)", "takes 3 arguments, not 2"),
        ("sine(x)", "no function 'sine'"),
        ("meen(x)", "did you mean 'mean'"),
        ("2 * power(x)", "must be the whole of weights="),
        ("power(x, s)", "joined by +"),
        ("x : s", "not an operator"),
    ],
)
def test_what_has_no_meaning_is_an_error(text, message):
    with pytest.raises(FormulaError, match=message.replace("+", r"\+")):
        compiled(text)
