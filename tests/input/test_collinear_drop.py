"""``collinear="drop"``: later columns that are linear combinations of earlier ones go, as in R's lm, and are named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

RNG = np.random.default_rng(1)
N = 120
DATA = pd.DataFrame(
    {
        "a": RNG.standard_normal(N), "b": RNG.standard_normal(N), "f": RNG.choice(list("pqr"), N), "k": 5.0,
        "u": np.arange(N) % 3, "y": RNG.standard_normal(N),
    }
).assign(c=lambda t: t["a"] - 2 * t["b"] + 3, g=lambda t: t["f"].map({"p": "x", "q": "x", "r": "y"}))  # fmt: skip
LONG = pd.concat([DATA.assign(gid=np.arange(N) // 2, m=np.arange(N) % 7)]).assign(
    y=lambda t: t.groupby("gid")["y"].transform("first")
)

#: What R's lm gives NA (its names written as ours), R 4.2: "(Intercept)" and the columns before stay.
GONE = {
    "y ~ a + b + c + k + f + g + a:f": ["c", "g[T.y]", "k"],
    "y ~ c + b + a": ["a"],
    "y ~ g + f": ["f[T.r]"],
    "y ~ 0 + k + a + c + b": ["b"],
    "y ~ k + a": ["k"],
}


def left_out(model: mm.Model) -> list[str]:
    return sorted(name for note in model.specification.notes if note.code == "dropped" for name in note.about)


@pytest.mark.parametrize("formula", GONE)
def test_the_columns_that_go_are_those_of_lm(formula):
    model = mm.Model(formula, DATA, collinear="drop")
    assert left_out(model) == GONE[formula]
    fit = model.fit("ml")
    assert not set(GONE[formula]) & set(fit.params.index)
    assert all(name in str(fit) and name in str(model.explain()) for name in GONE[formula])


def test_the_fit_is_least_squares_on_what_is_left(tmp_path):
    fit = mm.fit("y ~ a + b + c + k + f + g + a:f", DATA, engine="ml", collinear="drop")
    plain = mm.fit("y ~ a + b + f + a:f", DATA, engine="ml")
    pd.testing.assert_series_equal(fit.params, plain.params, rtol=1e-9)
    pd.testing.assert_frame_equal(fit.predict(DATA.head(5)), plain.predict(DATA.head(5)), rtol=1e-9)
    fit.save(tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc")
    assert again.params.equals(fit.params)
    assert again.update(family="student", engine="ml").params.index.tolist() == [*fit.params.index, "nu"]


@pytest.mark.parametrize(
    ("formula", "data", "options", "gone"),
    [
        ("y ~ mm(m, gid, a + b + c + k, normalize = group)", LONG, {}, ["m.c", "m.k"]),
        ("y ~ a + hm(u, 1 + a, effects = fixed)", DATA, {}, ["u.a[2]"]),
        ("y ~ a", DATA, {"sigma": "~ a + b + c"}, ["sigma.c"]),
    ],
)
def test_blocks_levels_and_other_predictors_lose_theirs(formula, data, options, gone):
    model = mm.Model(formula, data, collinear="drop", **options)
    assert left_out(model) == gone
    assert not set(gone) & set(model.parameters.index)


def test_without_it_the_error_says_what_to_do():
    with pytest.raises(mm.ModelError, match='collinear="drop"'):
        mm.Model("y ~ a + b + c", DATA)
    with pytest.raises(mm.ModelError, match="constant"):
        mm.Model("y ~ a + k", DATA)
    with pytest.raises(mm.ModelError, match='"error" or "drop"'):
        mm.Model("y ~ a", DATA, collinear="yes")


def test_weights_that_part_columns_keep_them():
    """Two features that are one at the starting weights only are no linear combination."""
    formula = (
        "y ~ mm(m, gid, a, weights = exp(b1 * b), normalize = group, name = A, effects = none)"
        " + mm(m, gid, a, weights = 1, normalize = group, name = B, effects = none)"
    )
    assert left_out(mm.Model(formula, LONG, collinear="drop")) == []
