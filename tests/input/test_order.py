"""Order of rows, types of ids, order of blocks and of units leave the numbers as they are, up to rounding."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

A = "mm(m, g, z, weights = power(x), normalize = group)"
B = "mm(k, g, weights = x2, normalize = none, name = other)"
FORMULAS = {
    "one block": f"y ~ c + {A}",
    "total": "y ~ c + mm(m, g, weights = 1 / n ** exp(-(b * x)))",
    "block and unit": f"y ~ c + {A} + (1 | u)",
    "two blocks, two units": f"y ~ c + {A} + {B} + (1 | u) + (1 | v)",
    "by role": "y ~ c + mm(m, g, weights = exp(b * (role == 'head')), normalize = group)",
    "units only": "y ~ c + (1 | u) + (1 | v)",
}
FAMILIES = {"gaussian": "y", "poisson": "count"}
#: the tables are made alike for all families, so two formulas stand for the rest of the counts
CASES = [("gaussian", name) for name in FORMULAS]
CASES += [("poisson", "block and unit"), ("poisson", "two blocks, two units")]


def table(seed=3, groups=90, members=25):
    """Memberships in two blocks, two units, outcomes with a bit of everything in them."""
    rng = np.random.default_rng(seed)
    size = rng.integers(2, 5, groups)
    d = pd.DataFrame({"g": np.repeat(np.arange(groups), size)})
    d["m"] = np.concatenate([rng.choice(members, n, replace=False) for n in size])
    d["k"] = rng.integers(0, 15, len(d))
    d["x"], d["z"] = rng.standard_normal((2, len(d)))
    d["x2"] = rng.uniform(0.2, 1.0, len(d))
    d["role"] = np.where(d.groupby("g").cumcount() == 0, "head", "other")
    c, u, v = rng.standard_normal(groups), rng.integers(0, 8, groups), rng.integers(0, 6, groups)
    effects = [rng.standard_normal(n) for n in (members, 15, 8, 6)]
    raw = np.exp(0.7 * d["x"] + (d["role"] == "head"))
    w = raw / raw.groupby(d["g"]).transform("sum")
    part = (w * (effects[0][d["m"]] + 0.5 * d["z"]) + 0.5 * d["x2"] * effects[1][d["k"]]).groupby(d["g"]).sum()
    y = 0.5 * c + part.to_numpy() + 0.6 * effects[2][u] + 0.6 * effects[3][v] + 0.5 * rng.standard_normal(groups)
    each = pd.DataFrame({"c": c, "u": u, "v": v, "y": y, "count": rng.poisson(np.exp(np.clip(y, -2, 2)))})
    return d.join(each, on="g")


def text(ids):
    """Ids as text whose order is not that of the numbers."""
    return ids.map(lambda i: f"{(7 * i) % 101:03d}-{i}")


IDS = ["g", "m", "k", "u", "v"]
CHANGES = {
    "rows": lambda d: d.sample(frac=1.0, random_state=5),
    "text": lambda d: d.assign(**{c: text(d[c]) for c in IDS}),
    "category": lambda d: d.assign(**{c: pd.Categorical(text(d[c])) for c in IDS}),
    "shifted": lambda d: d.assign(**{c: 1000 - d[c] for c in IDS}),
    "floats": lambda d: d.assign(**{c: d[c].astype(float) for c in IDS}),
}


@pytest.fixture(scope="module")
def data():
    return table()


@pytest.fixture(scope="module")
def fits(data):
    """Fits of the table as it is, each made once."""
    made = {}

    def fit(formula, family):
        if (formula, family) not in made:
            made[formula, family] = mm.fit(formula, data, family=family, engine="ml")
        return made[formula, family]

    return fit


def same(one, other):
    """Equal up to where the search stops: the likelihood is flat there, so it agrees to more digits than estimates."""
    assert other.loglik == pytest.approx(one.loglik, abs=1e-7)
    for name in one.params.index:
        scale = one.bse[name] if one.bse[name] > 0 else 1.0
        assert abs(other.params[name] - one.params[name]) < 1e-3 * scale, name
        if np.isfinite(one.bse[name]):
            assert other.bse[name] == pytest.approx(one.bse[name], rel=2e-3), name


@pytest.mark.parametrize("change", list(CHANGES))
@pytest.mark.parametrize(("family", "name"), CASES)
def test_rows_and_ids(fits, data, name, family, change):
    formula = FORMULAS[name].replace("y ~", f"{FAMILIES[family]} ~")
    one = fits(formula, family)
    other = mm.fit(formula, CHANGES[change](data), family=family, engine="ml")
    if change == "rows":
        np.testing.assert_array_equal(other.params, one.params)
    same(one, other)


@pytest.mark.parametrize(
    "formula",
    [f"y ~ c + {B} + {A} + (1 | u) + (1 | v)", f"y ~ (1 | v) + {A} + (1 | u) + {B} + c"],
    ids=["blocks", "all terms"],
)
def test_order_of_terms(fits, data, formula):
    one = fits(FORMULAS["two blocks, two units"], "gaussian")
    other = mm.fit(formula, data, engine="ml")
    same(one, other)
    for name in ("m", "other", "u", "v"):
        a, b = one.random_effects(name), other.random_effects(name)
        np.testing.assert_allclose(b.loc[a.index, "estimate"], a["estimate"], atol=2e-3 * a["se"].mean())


def test_effects_follow_their_ids(fits, data):
    """Renamed members keep their effects, under their new names; weights likewise."""
    formula = FORMULAS["block and unit"]
    one, other = fits(formula, "gaussian"), mm.fit(formula, CHANGES["text"](data), engine="ml")
    a, b = one.random_effects("m"), other.random_effects("m")
    renamed = text(pd.Series(a.index)).to_list()
    np.testing.assert_allclose(b.loc[renamed, "estimate"], a["estimate"], atol=2e-3 * a["se"].mean())
    w = one.weights("m").assign(key=lambda t: text(t["group"]) + "/" + text(t["member"])).set_index("key")["weight"]
    v = other.weights("m").assign(key=lambda t: t["group"] + "/" + t["member"]).set_index("key")["weight"]
    np.testing.assert_allclose(v.loc[w.index], w, atol=1e-4)


def test_draws_do_not_depend_on_the_order_of_rows_or_terms(data):
    formula = FORMULAS["block and unit"]
    run = {"draws": 300, "tune": 300, "chains": 2, "random_seed": 1, "progress": False}
    with pytest.warns(mm.MicromacroWarning, match="effective sample size|R-hat"):
        one = mm.fit(formula, data, **run)
    with pytest.warns(mm.MicromacroWarning, match="effective sample size|R-hat"):
        other = mm.fit(formula, CHANGES["rows"](data), **run)
    np.testing.assert_array_equal(one.posterior.draws, other.posterior.draws)
