"""Columns of any name: what stands in a formula is the column of that name and no other, alone and inside functions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.language.nodes import Name
from micromacro.language.printing import to_text

ROWS = 40

#: Names that Python reads as something else, or as the same name as another.
NAMES = [
    "True", "False", "None", "class", "lambda", "def", "is", "__debug__", "print", "np", "log", "C", "I", "contr",
    "v_0_", "vv_", "µ", "μ", "ﬁ", "ſ", "K", "\u212a", "x²", "1x", "a b", "a.values", "a-b", "a:b", "a[T.b]", "it's",
    'a"b', "(x)", "{x}", "#", "%",
    "größe", "变量", "x" * 500, "_state", "__FORMULAIC_CONTEXT__", "1", "0", "+", "Intercept", "mm", "~",
]  # fmt: skip


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(11)
    names = dict.fromkeys(NAMES)
    return pd.DataFrame(
        {"y": rng.normal(size=ROWS), "x": rng.uniform(1, 2, ROWS)} | {n: rng.uniform(1, 2, ROWS) for n in names}
    )


def _columns(formula, frame):
    """Names and columns of the fixed terms, in the order of the frame's rows."""
    made = mm.Model(formula, frame).specification
    fixed, order = made.system.parts[0], made.tables.order
    matrix = np.empty_like(fixed.matrix)
    matrix[order] = fixed.matrix + fixed.center
    return fixed.design.names, matrix


@pytest.mark.parametrize("name", NAMES)
def test_a_column_of_any_name_is_itself_in_every_place(frame, name):
    quoted = to_text(Name(name)) if name not in ("Intercept",) else "`Intercept`"
    z, x = frame[name].to_numpy(), frame["x"].to_numpy()
    for term, column in {
        f"I({quoted} ** 2 * x)": z**2 * x,
        f"log({quoted}):x": np.log(z) * x,
        f"center({quoted}):{quoted}": (z - z.mean()) * z,
        f"I({quoted} > 1.5)": z > 1.5,
    }.items():
        names, made = _columns(f"y ~ {term}", frame)
        assert len(names) == 1
        np.testing.assert_allclose(made[:, 0], column, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("one", "other"), [("µ", "μ"), ("K", "\u212a"), ("ſ", "s"), ("ﬁ", "fi"), ("ª", "a")])
def test_names_that_python_takes_for_one_are_two_columns(frame, one, other):
    rng = np.random.default_rng(3)
    data = frame.assign(**{one: rng.uniform(1, 2, ROWS), other: rng.uniform(1, 2, ROWS)})
    names, made = _columns(f"y ~ I(`{one}` * 2) + log(`{other}`) + `{one}`:`{other}`", data)
    a, b = data[one].to_numpy(), data[other].to_numpy()
    np.testing.assert_allclose(made, np.column_stack([2 * a, np.log(b), a * b]), rtol=1e-12)
    assert names[2] == f"{one}:{other}"


@pytest.mark.parametrize("name", ["True", "µ", "a b", "v_0_", "class", "C"])
def test_categories_and_new_data_by_any_name(frame, name):
    data = frame.assign(**{name: np.tile(["v_0_", "µ", "True", "[T.b]"], ROWS // 4)})
    quoted = f"`{name}`"
    fit = mm.fit(f"y ~ C({quoted}) + x:{quoted}", data, engine="ml")
    np.testing.assert_allclose(fit.predict(data[:9]).iloc[:, 0], fit.predict().iloc[:9, 0], atol=1e-10)
    levels = sorted(set(data[name]))
    shown = quoted if " " in name else name
    assert [n for n in fit.params.index if n.startswith("C(")] == [f"C({shown})[T.{v}]" for v in levels[1:]]
    assert [n for n in fit.params.index if n.startswith("x:")] == [f"x:{name}[{v}]" for v in levels]


def test_whole_numbers_are_floats_in_arithmetic_and_stay_whole_in_categories():
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"y": rng.normal(size=30), "i": rng.integers(10**6, 2 * 10**6, 30), "k": np.arange(30) % 3})
    _, made = _columns("y ~ I(i ** 4) + I(i * i * i * i * i) + I(k ** -1 * 0 + i) - i", data.assign(k=data.k + 1))
    i = data["i"].to_numpy().astype(float)
    np.testing.assert_allclose(made, np.column_stack([i**4, i**5, i]), rtol=1e-12)
    assert _columns("y ~ C(k % 2)", data)[0] == ("C(k % 2)[T.1]",)
    assert _columns("y ~ C(k + 1)", data)[0] == ("C(k + 1)[T.2]", "C(k + 1)[T.3]")


def test_flags_count_in_arithmetic():
    rng = np.random.default_rng(6)
    data = pd.DataFrame({"y": rng.normal(size=40), "a": rng.random(40) < 0.5, "b": rng.random(40) < 0.5})
    made = _columns("y ~ I(a + b) + I(a - b) - I(-a)", data)[1]
    a, b = data["a"].to_numpy().astype(float), data["b"].to_numpy().astype(float)
    np.testing.assert_allclose(made, np.column_stack([a + b, a - b]))


def test_roots_of_negative_numbers_are_not_finite_rather_than_complex():
    data = pd.DataFrame({"y": np.arange(9.0), "x": np.arange(9.0) ** 2})
    with pytest.raises(mm.FormulaError, match="not a finite number"):
        mm.Model("y ~ I(x * (-8) ** 0.5)", data)
