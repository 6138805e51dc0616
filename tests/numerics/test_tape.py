"""Functions of one number on the tape, out into their tails, against SciPy; derivatives in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from micromacro.numerics import tape
from micromacro.numerics.tape import run, steps_of

WIDE = np.array([-1e300, -800.0, -40.0, -3.0, -1e-9, 0.0, 1e-300, 1e-9, 0.3, 5.0, 36.0, 800.0, 1e300])
UNIT = np.array([1e-300, 1e-20, 1e-5, 0.02, 0.3, 0.5, 0.6, 0.99, 1.0 - 1e-12])
POSITIVE = np.array([1e-300, 1e-9, 0.3, 1.0, 5.0, 1e300])
MODERATE = np.array([-700.0, -5.0, -1e-12, 0.0, 1e-12, 0.4, 30.0, 700.0])


def cloglog_slope(p):
    return -1.0 / (np.log1p(-p) * (1.0 - p))


#: Operation: (values tried, function, derivative).
FUNCTIONS = {
    "NEGATE": (WIDE, np.negative, lambda x: np.full_like(x, -1.0)),
    "EXP": (MODERATE, np.exp, np.exp),
    "LOG": (POSITIVE, np.log, lambda x: 1.0 / x),
    "LOG1P": (POSITIVE, np.log1p, lambda x: 1.0 / (1.0 + x)),
    "EXPM1": (MODERATE, np.expm1, np.exp),
    "SQRT": (POSITIVE, np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    "ABS": (WIDE, np.abs, np.sign),
    "LOGIT": (UNIT, special.logit, lambda p: 1.0 / (p * (1.0 - p))),
    "ILOGIT": (WIDE, special.expit, lambda x: special.expit(x) * special.expit(-x)),
    "PROBIT": (UNIT, special.ndtri, lambda p: 1.0 / stats.norm.pdf(special.ndtri(p))),
    "IPROBIT": (MODERATE, special.ndtr, stats.norm.pdf),
    "CLOGLOG": (UNIT, lambda p: np.log(-np.log1p(-p)), cloglog_slope),
    "TANH": (MODERATE, np.tanh, lambda x: 1.0 / np.cosh(np.clip(x, -300, 300)) ** 2),
    "LOG2": (POSITIVE, np.log2, lambda x: 1.0 / (x * np.log(2.0))),
    "LOG10": (POSITIVE, np.log10, lambda x: 1.0 / (x * np.log(10.0))),
    "SIN": (MODERATE, np.sin, np.cos),
    "COS": (MODERATE, np.cos, lambda x: -np.sin(x)),
    "ROUND": (MODERATE, np.round, np.zeros_like),
    "FLOOR": (MODERATE, np.floor, np.zeros_like),
    "CEIL": (MODERATE, np.ceil, np.zeros_like),
    "SOFTPLUS": (WIDE, lambda x: np.logaddexp(0.0, x), special.expit),
}


def ran(name: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Value and derivative of a function at parameter times x, the parameter being 1."""
    code = np.array([[tape.SCALE, 1, 0, 0, 0], [getattr(tape, name), 2, 1, 0, 0]])
    value, slope = np.vstack([x, np.full((2, len(x)), np.nan)]), np.zeros((3, 1, len(x)))
    start = np.array([0, len(x)])
    run(steps_of(code), np.array([False, True, True]), np.ones(1), start, value, slope)
    return value[2], slope[2, 0]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_and_its_derivative_keep_their_digits_in_the_tails(name):
    x, function, derivative = FUNCTIONS[name]
    value, slope = ran(name, x)
    np.testing.assert_allclose(value, function(x), rtol=1e-13, atol=1e-16)
    expected = np.where(x == 0.0, 0.0, derivative(x) * x)  # by the chain rule through the parameter
    rtol, atol = (1e-10, 1e-12) if name in ("PROBIT", "TANH") else (1e-13, 1e-300)
    np.testing.assert_allclose(slope, expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize(
    ("name", "x", "value"),
    [
        ("LOG", 0.0, -np.inf),
        ("LOG", -1.0, np.nan),
        ("SQRT", -1.0, np.nan),
        ("LOGIT", 1.0, np.inf),
        ("PROBIT", 0.0, -np.inf),
        ("PROBIT", 1.0, np.inf),
        ("PROBIT", 1.5, np.nan),
        ("EXP", 1000.0, np.inf),
        ("SOFTPLUS", -np.inf, 0.0),
    ],
)
def test_ends_of_the_domain_are_infinite_and_what_lies_outside_is_nan(name, x, value):
    np.testing.assert_array_equal(ran(name, np.array([x]))[0], [value])


def test_without_derivatives_the_values_are_the_same():
    code = np.array([[tape.PARAMETER, 1, 0, 0, 0], [tape.MULTIPLY, 2, 0, 1, 0], [tape.ADD, 3, 2, 1, 0]])
    moves, start = np.array([False, True, True, True]), np.array([0, 4])
    results = []
    for count in (0, 1):
        value = np.vstack([np.arange(4.0), np.zeros((3, 4))])
        run(steps_of(code), moves, np.array([0.3]), start, value, np.zeros((4, count, 4)))
        results.append(value[3].copy())
    np.testing.assert_array_equal(results[0], 0.3 * np.arange(4.0) + 0.3)
    np.testing.assert_array_equal(*results)
