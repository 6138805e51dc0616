"""``by=``: a standard deviation for each type of level; and members whose ids are joined, ``mm(a:b, g)``."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

RNG = np.random.default_rng(8)
UNITS = 30
TYPE = np.where(np.arange(UNITS) % 2, "b", "a")


def units(n: int = 300) -> pd.DataFrame:
    u = RNG.integers(0, UNITS, n)
    sd = np.where(TYPE == "a", 0.3, 1.5)
    x = RNG.standard_normal(n)
    y = 1 + 0.5 * x + (sd * RNG.standard_normal(UNITS))[u] + 0.6 * RNG.standard_normal(n)
    return pd.DataFrame({"u": u, "t": TYPE[u], "x": x, "y": y})


DATA = units()


@pytest.fixture(scope="module")
def fit():
    return mm.fit("y ~ x + (1 + x || u, by=t)", DATA, engine="reml")


def test_each_type_is_the_model_of_its_own_units(fit):
    """With all coefficients interacted, the likelihood is that of two models with one residual sd."""
    data = DATA.assign(a=(DATA["t"] == "a") * 1.0, b=(DATA["t"] == "b") * 1.0)
    together = mm.Model("y ~ 0 + a + b + x:a + x:b + (1 | u, by=t)", data, fixed={"sigma": 0.6}).fit("ml")
    apart = [mm.fit("y ~ x + (1 | u)", data[data["t"] == t], fixed={"sigma": 0.6}, engine="ml") for t in "ab"]
    assert together.loglik == pytest.approx(sum(f.loglik for f in apart), abs=1e-6)
    for t, own in zip("ab", apart, strict=True):
        assert together.params[f"u.sd[{t}]"] == pytest.approx(own.params["u.sd"], rel=1e-4)


def test_unseen_units_have_the_sd_of_their_type(fit):
    new = pd.DataFrame({"u": [98, 99], "t": ["a", "b"], "x": [2.0, 2.0]})
    drawn, zero = (fit.predict(new, kind="linear", new_effects=how)["se"] ** 2 for how in ("draw", "zero"))
    expected = [fit.params[f"u.sd[{t}]"] ** 2 + 4 * fit.params[f"u.sd.x[{t}]"] ** 2 for t in "ab"]
    np.testing.assert_allclose((drawn - zero).to_numpy(), expected, rtol=1e-8)


def test_variance_components_are_means_over_the_types(fit):
    each = [
        fit.params[f"u.sd[{t}]"] ** 2 + x**2 * fit.params[f"u.sd.x[{t}]"] ** 2
        for t, x in zip(DATA["t"], DATA["x"], strict=True)
    ]
    assert fit.variance_components().loc["u", "variance"] == pytest.approx(float(np.mean(each)), rel=1e-8)


def test_equations_and_files_know_the_types(fit, tmp_path):
    text = str(mm.Model("y ~ x + (1 | u, by=t)", DATA).explain())
    assert "u_u[j] ~ normal(0, u.sd[b]) where t is b" in text
    fit.save(tmp_path / "fit.nc")
    new = pd.DataFrame({"u": [0, 99], "t": ["a", "b"], "x": [0.0, 1.0]})
    pd.testing.assert_frame_equal(mm.load(tmp_path / "fit.nc").predict(new), fit.predict(new))


@pytest.mark.parametrize(
    ("table", "words"),
    [({"u": [0], "t": ["b"], "x": [0.0]}, "had a when"), ({"u": [99], "t": ["z"], "x": [0.0]}, "has the value z")],
)
def test_a_level_keeps_its_type_and_types_are_known(fit, table, words):
    with pytest.raises(mm.DataError, match=words):
        fit.predict(pd.DataFrame(table))


@pytest.mark.parametrize(
    ("formula", "error", "words"),
    [
        ("y ~ x + (1 | u, by=x)", mm.ModelError, "numbers with fractions"),
        ("y ~ x + (1 | t, by=u)", mm.DataError, "needs one value of 'u' for each level, but a has"),
        ("y ~ x + hm(u, effects = fixed, by = t)", mm.FormulaError, "effects = fixed"),
        ("y ~ x + (1 | u, bi=t)", mm.FormulaError, "has no argument bi="),
        ("y ~ x + (1 | u, t)", mm.FormulaError, "keywords only"),
        ("y ~ x + (1 | u, by=t, by=t)", mm.FormulaError, "given twice"),
    ],
)
def test_what_cannot_be_by_type_says_so(formula, error, words):
    with pytest.raises(error, match=words):
        mm.Model(formula, DATA)


# -- members whose ids are joined ----------------------------------------------------------------------------------


def joined() -> pd.DataFrame:
    rows = [(g, m) for g in range(80) for m in RNG.choice(8, RNG.integers(1, 4), replace=False)]
    data = pd.DataFrame(rows, columns=["g", "m"])
    data["era"] = np.where(data["g"] < 40, "old", "new")
    data["x"] = RNG.standard_normal(len(data))
    effect = dict(zip(range(16), RNG.standard_normal(16), strict=True))
    own = (2 * data["m"] + (data["era"] == "new")).map(effect)
    data["y"] = own.groupby(data["g"]).transform("mean") + RNG.standard_normal(80)[data["g"]] * 0.5
    return data


def test_members_of_two_columns_are_those_of_one_in_any_shape(tmp_path):
    data = joined()
    one = mm.fit("y ~ mm(m:era, g, x)", data, engine="ml")
    other = mm.fit("y ~ mm(who, g, x)", data.assign(who=data["m"].astype(str) + ":" + data["era"]), engine="ml")
    assert one.params.to_numpy().tolist() == other.params.to_numpy().tolist()
    assert one.params.index.tolist() == [n.replace("who", "m:era") for n in other.params.index]
    groups = data.groupby("g", as_index=False)[["y", "era"]].first()
    relational = mm.fit("y ~ mm(m:era, g, x)", groups, memberships=data[["g", "m", "x"]], engine="ml")
    assert relational.params.equals(one.params)
    relational.save(tmp_path / "fit.nc")
    new = pd.DataFrame({"g": [1, 1], "m": [0, 77], "era": ["old", "new"], "x": [0.0, 1.0]})
    pd.testing.assert_frame_equal(mm.load(tmp_path / "fit.nc").predict(new), one.predict(new))
    with pytest.raises(mm.DataError, match="are text"):
        one.predict(new.assign(m=["0", "77"]))


def test_a_member_without_one_of_its_ids_is_an_empty_slot():
    data = joined()
    gone = data["m"].where(np.arange(len(data)) % 5 > 0).astype("Int64")
    fit = mm.fit("y ~ mm(m:era, g)", data.assign(m=gone), engine="ml")
    assert len(fit.weights()) == gone.notna().sum()


def test_the_member_is_a_column_or_columns_joined():
    with pytest.raises(mm.FormulaError, match="joined by :"):
        mm.Model("y ~ mm(m / era, g)", joined())
