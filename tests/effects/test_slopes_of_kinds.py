"""Slopes of walks, autoregressions, fields and known covariances, and without pooling, against dense algebra."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines.marginals import marginal_of

RNG = np.random.default_rng(12)
N, UNITS = 60, 6
TIME = np.repeat(np.arange(N // 3), 3).astype(float) ** 1.2
U = np.concatenate([RNG.permutation(UNITS)[:3] for _ in range(N // 3)])
DATA = pd.DataFrame(
    {"u": U, "t": TIME, "x": RNG.standard_normal(N), "v": 2.0 + RNG.standard_normal(N), "y": RNG.standard_normal(N)}
)
RING = {i: [(i + 1) % UNITS, (i - 1) % UNITS] for i in range(UNITS)}
W = np.zeros((UNITS, UNITS))
for i, near in RING.items():
    W[i, near] = 1.0
_ROOT = RNG.standard_normal((UNITS, UNITS))
K = pd.DataFrame(_ROOT @ _ROOT.T + 0.5 * np.eye(UNITS), index=range(UNITS), columns=range(UNITS))
Z = np.eye(UNITS)[U]
GAP = np.mean([g for u in range(UNITS) for g in np.diff(np.unique(TIME[u == U]))])


def walk(_rho: float) -> np.ndarray:
    """Covariance of standardised effects of the rows: 1 + time since the first participation, shared by two rows."""
    first = np.array([TIME[u == U].min() for u in U])
    return (U[:, None] == U) * (1.0 + (np.minimum(TIME[:, None], TIME) - first) / GAP)


def ar1(rho: float) -> np.ndarray:
    return (U[:, None] == U) * rho ** (np.abs(TIME[:, None] - TIME) / GAP)


def car(rho: float) -> np.ndarray:
    return Z @ np.linalg.inv(np.diag(W.sum(axis=1)) - rho * W) @ Z.T


def icar(_rho: float) -> np.ndarray:
    return Z @ np.linalg.pinv(np.diag(W.sum(axis=1)) - W) @ Z.T


def known(_rho: float) -> np.ndarray:
    return Z @ K.to_numpy() @ Z.T


CASES = {
    "walk(t, 1 + v)": (walk, ("1", "v")),
    "walk(t, 0 + v)": (walk, ("v",)),
    "ar1(t, 1 + v)": (ar1, ("1", "v")),
    "car(G, 1 + v + x)": (car, ("1", "v", "x")),
    "icar(G, 1 + v)": (icar, ("1", "v")),
    "known(K, 1 + v)": (known, ("1", "v")),
}


def model(effects: str, **options) -> mm.Model:
    sources = {"graphs": {"G": RING}} if "G" in effects else {"known": {"K": K}} if "K" in effects else {}
    return mm.Model(f"y ~ x + hm(u, effects = {effects})", DATA, **sources, **options)


@pytest.mark.parametrize("effects", CASES)
def test_each_term_has_the_kind_with_an_sd_of_its_own(effects):
    of, terms = CASES[effects]
    s = model(effects, priors="flat").specification
    rng = np.random.default_rng(1)
    theta = np.array([0.6 if p.kind == "rho" else rng.uniform(0.4, 1.2) for p in s.system.hypers])
    t = dict(zip((p.name for p in s.system.hypers), theta, strict=True))
    v = t["sigma"] ** 2 * np.eye(N)
    for term in terms:
        z, sd = (np.ones(N), t["u.sd"]) if term == "1" else (DATA[term].to_numpy(), t[f"u.sd.{term}"])
        v += sd**2 * np.outer(z, z) * of(t.get("u.rho", 0.0))
    x = np.column_stack([np.ones(N), DATA["x"] - DATA["x"].mean()])
    a, y = x.T @ np.linalg.solve(v, x), DATA["y"].to_numpy()
    r = y - x @ np.linalg.solve(a, x.T @ np.linalg.solve(v, y))
    expected = -0.5 * (N * math.log(2 * math.pi) + np.linalg.slogdet(v)[1] + r @ np.linalg.solve(v, r))
    marginal = marginal_of(s, True)
    room = marginal.workspace()
    value, slope = marginal.gradient(theta, room)
    assert value == pytest.approx(expected, rel=1e-9)
    for k in range(len(theta)):
        h = 1e-5 * np.eye(len(theta))[k]
        up, down = (marginal.value(theta + d, room) for d in (h, -h))
        assert slope[k] == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(("effects", "times"), [("walk(t, 1 + v)", (3.0, 70.0)), ("known(K, 1 + v)", (3.0, 70.0))])
def test_new_rows_have_the_best_prediction(effects, times):
    """The mean of new effects is C V^-1 (y - Xb), theta and coefficients at their estimates."""
    of, _ = CASES[effects]
    fit = model(effects).fit("reml")
    p = fit.params
    new = pd.DataFrame({"u": [0, 0], "t": times, "x": [0.0, 0.0], "v": [1.0, -2.0]})
    own = fit.predict(new, kind="linear")["estimate"]
    if effects.startswith("walk"):
        first = TIME[U == 0].min()
        cross = np.array([(U == 0) * (1.0 + np.maximum(np.minimum(t, TIME) - first, 0.0) / GAP) for t in times])
    else:
        cross = K.to_numpy()[0][U][None].repeat(2, axis=0)
    z = DATA["v"].to_numpy()
    v = p["sigma"] ** 2 * np.eye(N) + (p["u.sd"] ** 2 + p["u.sd.v"] ** 2 * np.outer(z, z)) * of(0.0)
    cross = cross * (p["u.sd"] ** 2 + p["u.sd.v"] ** 2 * np.outer(new["v"], z))
    rest = DATA["y"] - p["Intercept"] - p["x"] * DATA["x"]
    np.testing.assert_allclose(own, p["Intercept"] + cross @ np.linalg.solve(v, rest), rtol=1e-5, atol=1e-6)


def test_effects_have_a_row_for_each_time_and_term_and_files_know_them(tmp_path):
    fit = model("walk(t, 1 + v)").fit("ml")
    table = fit.random_effects("u")
    assert table.index.names == ["u", "t", "term"]
    assert len(table) == 2 * len(set(zip(U, TIME, strict=True)))
    text = str(model("walk(t, 1 + v)").explain())
    assert "slopes on v: u_u[j,1] ~ normal(0, u.sd.v)" in text
    fit.save(tmp_path / "fit.nc")
    new = pd.DataFrame({"u": [0, 99], "t": [70.0, 3.0], "x": [0.0, 0.0], "v": [1.0, 1.0]})
    pd.testing.assert_frame_equal(mm.load(tmp_path / "fit.nc").predict(new), fit.predict(new))


def test_units_and_blocks_spell_alike():
    one = mm.fit("y ~ x + hm(u, effects = walk(t, 1 + v))", DATA, engine="ml")
    for other in ("hm(u, 1 + v, effects = walk(t))", "(1 + v || u, effects = walk(t))"):
        assert mm.fit(f"y ~ x + {other}", DATA, engine="ml").params.equals(one.params)
    with pytest.raises(mm.FormulaError, match=r"independent of the intercept: write \|\|"):
        mm.Model("y ~ x + (1 + v | u, effects = walk(t))", DATA)


# -- no pooling ----------------------------------------------------------------------------------------------------


def test_slopes_without_pooling_are_least_squares():
    data = DATA.assign(h=np.array(list("abc"))[U % 3])
    fit = mm.fit("y ~ x + hm(h, 1 + v, effects = fixed)", data, engine="ml")
    dummies = np.eye(3)[U % 3]
    design = np.column_stack([np.ones(N), DATA["x"], dummies[:, 1:], dummies * DATA["v"].to_numpy()[:, None]])
    beta = np.linalg.lstsq(design, DATA["y"], rcond=None)[0]
    names = ["Intercept", "x", "h[b]", "h[c]", "h.v[a]", "h.v[b]", "h.v[c]"]
    np.testing.assert_allclose(fit.params[names], beta, rtol=1e-8, atol=1e-10)
    table = fit.random_effects("h")["estimate"]
    assert table["a", "1"] == 0.0
    assert table["c", "v"] == pytest.approx(fit.params["h.v[c]"])
    new = pd.DataFrame({"h": ["b"], "x": [1.0], "v": [2.0]})
    p = fit.params
    expected = p["Intercept"] + p["x"] + p["h[b]"] + 2 * p["h.v[b]"]
    assert fit.predict(new)["estimate"].iloc[0] == pytest.approx(expected)


def test_slopes_of_members_without_pooling_are_least_squares():
    rng = np.random.default_rng(3)
    rows = [(g, m) for g in range(50) for m in rng.choice(4, 2, replace=False)]
    long = pd.DataFrame(rows, columns=["g", "m"]).assign(x=lambda t: rng.standard_normal(len(t)))
    long["y"] = rng.standard_normal(50)[long["g"]]
    fit = mm.fit("y ~ mm(m, g, effects = fixed(0 + x))", long, engine="ml")
    design = np.zeros((50, 5))
    design[:, 0] = 1.0
    np.add.at(design, (long["g"], 1 + long["m"]), long["x"] / 2)
    beta = np.linalg.lstsq(design, long.groupby("g")["y"].first(), rcond=None)[0]
    np.testing.assert_allclose(fit.params[["Intercept", *(f"m.x[{k}]" for k in range(4))]], beta, rtol=1e-8, atol=1e-10)


def test_a_covariate_beside_its_own_slopes_is_collinear():
    with pytest.raises(mm.ModelError, match="collinear"):
        mm.Model("y ~ v + hm(u, 1 + v, effects = fixed)", DATA)
