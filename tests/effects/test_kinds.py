"""Every kind of effects against plain dense algebra: y ~ N(Xb, Z V(theta) Z' + sigma^2 I)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.effects.correlated import cholesky, pull_cholesky
from micromacro.effects.registry import KINDS
from micromacro.engines.marginals import marginal_of
from micromacro.latent.marginal.laplace import LaplaceMarginal

LOG_2PI = math.log(2 * math.pi)
RNG = np.random.default_rng(5)
N = 40
ROWS = np.repeat(np.arange(N), RNG.integers(1, 4, N))
LONG = pd.DataFrame({"g": ROWS, "m": RNG.integers(0, 9, len(ROWS)), "z": RNG.standard_normal(len(ROWS))})
GROUPS = pd.DataFrame(
    {
        "g": np.arange(N), "y": np.sort(RNG.standard_normal(N)), "x": RNG.standard_normal(N),
        "v": RNG.standard_normal(N), "u": RNG.integers(0, 6, N), "s": RNG.integers(0, 3, N),
    }
).assign(h=lambda t: t["u"] % 2)  # fmt: skip
LONG["k"] = LONG["m"] % 2
DATA = LONG.merge(GROUPS, on="g")
SIZE = np.bincount(ROWS)[ROWS]
_ROOT = RNG.standard_normal((12, 12))
K = pd.DataFrame(_ROOT @ _ROOT.T / 12 + 0.3 * np.eye(12), index=range(12), columns=range(12))

Theta = dict[str, float]


def covariance(t: Theta, name: str, terms: list[str], correlated: bool, end: str = "") -> np.ndarray:
    """Covariance matrix of a level's effects from sds and correlations."""
    sd = np.array([t[(f"{name}.sd" if k == "1" else f"{name}.sd.{k}") + end] for k in terms])
    r = np.eye(len(terms))
    for i in range(len(terms)) if correlated else ():
        for j in range(i):
            r[i, j] = r[j, i] = t[f"{name}.cor.{terms[j]}.{terms[i]}{end}"]
    return sd[:, None] * r * sd


def unit(name: str, column: np.ndarray, terms: list[str], correlated: bool) -> Callable[[Theta], np.ndarray]:
    """Z V Z' of a unit term."""
    z = np.array([np.ones(N) if k == "1" else GROUPS[k] for k in terms])

    def of(t: Theta) -> np.ndarray:
        v = covariance(t, name, terms, correlated)
        return (z.T @ v @ z) * (column[:, None] == column)

    return of


def block(terms: list[str], correlated: bool) -> Callable[[Theta], np.ndarray]:
    """The same of a member block with weights 1 / n."""
    z = np.array([np.ones(len(LONG)) if k == "1" else LONG[k] for k in terms])
    member = LONG["m"].to_numpy()
    a = np.eye(N)[ROWS].T / SIZE

    def of(t: Theta) -> np.ndarray:
        v = covariance(t, "m", terms, correlated)
        return a @ ((z.T @ v @ z) * (member[:, None] == member)) @ a.T

    return of


def by_type(name: str, column: np.ndarray, types: np.ndarray, terms: list[str], a: np.ndarray) -> Callable:
    """The same with a covariance matrix for each type of level; `a` are the weights (groups, memberships)."""
    table = GROUPS if len(column) == N else LONG
    z = np.array([np.ones(len(column)) if k == "1" else table[k] for k in terms])

    def of(t: Theta) -> np.ndarray:
        out = np.zeros((N, N))
        for value in (0, 1):
            v = covariance(t, name, terms, len(terms) > 1, f"[{value}]")
            same = (column[:, None] == column) & (types[:, None] == value)
            out += a @ ((z.T @ v @ z) * same) @ a.T
        return out

    return of


def known(t: Theta) -> np.ndarray:
    z = np.eye(12)[GROUPS["u"]]
    return t["u.sd"] ** 2 * z @ K.to_numpy() @ z.T


def known_members(t: Theta) -> np.ndarray:
    z = (np.eye(N)[ROWS].T / SIZE) @ np.eye(12)[LONG["m"]]
    return t["m.sd"] ** 2 * z @ K.to_numpy() @ z.T


U, S = GROUPS["u"].to_numpy(), GROUPS["s"].to_numpy()
PAIR = 10 * S + U


@dataclass(frozen=True)
class Case:
    """A formula, the covariance of what it adds, its kind, further columns of X."""

    formula: str
    parts: tuple[Callable[[Theta], np.ndarray], ...]
    kind: str
    known: dict = field(default_factory=dict)
    columns: Callable[[], np.ndarray] = lambda: np.empty((N, 0))

    def model(self, **options):
        data = DATA if "mm(" in self.formula else GROUPS
        return mm.Model(self.formula, data, known=self.known or None, priors="flat", **options).specification


CASES = {
    "iid": Case("y ~ x + (1 | u)", (unit("u", U, ["1"], False),), "iid"),
    "iid slopes": Case("y ~ x + (1 + v || u)", (unit("u", U, ["1", "v"], False),), "iid"),
    "slope alone": Case("y ~ x + (0 + v | u)", (unit("u", U, ["v"], False),), "iid"),
    "correlated": Case("y ~ x + (1 + v | u)", (unit("u", U, ["1", "v"], True),), "correlated"),
    "three correlated": Case("y ~ x + (1 + v + x | u)", (unit("u", U, ["1", "v", "x"], True),), "correlated"),
    "nested": Case(
        "y ~ x + (1 | s / u)", (unit("s", S, ["1"], False), unit("s:u", PAIR, ["1"], False)), "iid"
    ),
    "crossed": Case(
        "y ~ x + (1 + v | u) + (1 | s)", (unit("u", U, ["1", "v"], True), unit("s", S, ["1"], False)), "correlated"
    ),
    "member slopes": Case("y ~ x + mm(m, g, effects = iid(1 + z))", (block(["1", "z"], False),), "iid"),
    "member correlated": Case(
        "y ~ x + mm(m, g, effects = correlated(1 + z))", (block(["1", "z"], True),), "correlated"
    ),
    "by": Case("y ~ x + (1 | u, by=h)", (by_type("u", U, U % 2, ["1"], np.eye(N)),), "iid"),
    "slopes by": Case("y ~ x + (1 + v | u, by=h)", (by_type("u", U, U % 2, ["1", "v"], np.eye(N)),), "correlated"),
    "members by": Case(
        "y ~ x + mm(m, g, effects = correlated(1 + z), by=k)",
        (by_type("m", LONG["m"].to_numpy(), LONG["k"].to_numpy(), ["1", "z"], np.eye(N)[ROWS].T / SIZE),), "correlated",
    ),
    "none": Case("y ~ x + mm(m, g, effects = none) + (1 | u)", (unit("u", U, ["1"], False),), "none"),
    "known": Case("y ~ x + hm(u, effects = known(K))", (known,), "known", {"K": K}),
    "known members": Case("y ~ x + mm(m, g, effects = known(K))", (known_members,), "known", {"K": K}),
    "fixed": Case("y ~ x + hm(s, effects = fixed)", (), "fixed", columns=lambda: np.eye(3)[S][:, 1:]),
    "fixed members": Case(
        "y ~ x + mm(m, g, effects = fixed)", (), "fixed",
        columns=lambda: ((np.eye(N)[ROWS].T / SIZE) @ np.eye(9)[LONG["m"]])[:, 1:],
    ),
}  # fmt: skip


def theta_of(s, seed: int = 0) -> np.ndarray:
    """An ordinary place."""
    rng = np.random.default_rng(seed)
    return np.array([rng.uniform(-0.7, 0.7) if p.kind == "cor" else rng.uniform(0.4, 1.2) for p in s.system.hypers])


def dense(case: Case, s, theta: np.ndarray, profile: bool) -> float:
    """Log-likelihood by textbook formulas, coefficients at their best or integrated under a flat prior."""
    t = dict(zip((p.name for p in s.system.hypers), s.layout.reported(theta), strict=True))
    y = GROUPS["y"].to_numpy()
    v = t["sigma"] ** 2 * np.eye(N) + sum((part(t) for part in case.parts), np.zeros((N, N)))
    x = np.column_stack([np.ones(N), GROUPS["x"] - GROUPS["x"].mean(), case.columns()])
    a = x.T @ np.linalg.solve(v, x)
    r = y - x @ np.linalg.solve(a, x.T @ np.linalg.solve(v, y))
    value = -0.5 * (N * LOG_2PI + np.linalg.slogdet(v)[1] + r @ np.linalg.solve(v, r))
    return value if profile else value + 0.5 * (x.shape[1] * LOG_2PI - np.linalg.slogdet(a)[1])


def test_the_table_has_every_kind():
    assert set(KINDS) - {case.kind for case in CASES.values()} <= {
        "walk",
        "ar1",
        "icar",
        "car",
        "shared",
        "correlated_with",
    }


@pytest.mark.parametrize("profile", [True, False], ids=["profiled", "integrated"])
@pytest.mark.parametrize("name", CASES)
def test_the_marginal_is_the_dense_normal_density_and_has_its_slope(name, profile):
    case = CASES[name]
    s = case.model()
    marginal, theta = marginal_of(s, profile), theta_of(s)
    room = marginal.workspace()
    value, slope = marginal.gradient(theta, room)
    assert value == pytest.approx(dense(case, s, theta, profile), rel=1e-10, abs=1e-9)
    for k in range(len(theta)):
        h = 1e-5 * np.eye(len(theta))[k]
        up, down = (marginal.value(theta + d, room) for d in (h, -h))
        assert slope[k] == pytest.approx((up - down) / 2e-5, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", ["three correlated", "member correlated", "known"])
def test_the_laplace_marginal_of_counts_has_its_slope(name):
    case = CASES[name]
    data = DATA if "mm(" in case.formula else GROUPS
    counts = data.assign(y=(np.exp(data["y"])).round())
    s = mm.Model(case.formula, counts, family="poisson", known=case.known or None).specification
    for held in (False, True):
        marginal = LaplaceMarginal(s.system, s.family, s.response.values, None, held)
        room = marginal.workspace()
        point = np.concatenate([theta_of(s), np.full(len(s.system.coefficients) if held else 0, 0.1)])
        slope = marginal.gradient(point, room)[1]
        for k in range(len(point)):
            h = 1e-5 * np.eye(len(point))[k]
            up, down = (marginal.value(point + d, room) for d in (h, -h))
            assert slope[k] == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-5)


def test_partial_correlations_make_a_correlation_matrix_and_are_had_back():
    rng = np.random.default_rng(1)
    for k in (2, 3, 4):
        p = rng.uniform(-0.9, 0.9, k * (k - 1) // 2)
        c = cholesky(p, k)
        np.testing.assert_allclose(np.diag(c @ c.T), 1.0, rtol=1e-13)
        d = rng.standard_normal((k, k))
        slope = pull_cholesky(p, d)
        for m in range(len(p)):
            h = 1e-6 * np.eye(len(p))[m]
            moved = np.sum(np.tril(d) * (cholesky(p + h, k) - cholesky(p - h, k))) / 2e-6
            assert slope[m] == pytest.approx(moved, rel=1e-7, abs=1e-8)
    effects = CASES["three correlated"].model().structures["u"][1]
    theta = np.array([1.0, 0.5, 2.0, 0.3, -0.6, 0.8])
    np.testing.assert_allclose(effects.from_reported(effects.reported(theta)), theta, rtol=1e-12)
    assert np.isnan(effects.from_reported(np.array([1, 1, 1, 0.9, 0.9, -0.9]))).any()  # no such matrix


def test_correlations_under_lkj_have_its_marginal():
    """Of three, each is a beta(eta + 1/2) stretched to (-1, 1), whatever its place."""
    s = mm.Model("y ~ x + (1 + v + x | u)", GROUPS, priors={"cor": mm.prior.lkj(2)}).specification
    rng = np.random.default_rng(2)
    draws = np.array([[p.prior.sample(rng) for p in s.system.hypers] for _ in range(4000)])
    cors = s.layout.reported(draws)[:, [p.kind == "cor" for p in s.system.hypers]]
    assert cors.var(axis=0) == pytest.approx(1 / (2 * 2.5 + 1), rel=5 * math.sqrt(2 / 4000))
    assert np.abs(cors.mean(axis=0)).max() < 4 * math.sqrt(1 / 6 / 4000)


# -- fits ----------------------------------------------------------------------------------------------------------


def sleep() -> pd.DataFrame:
    """Simulated days of 18 subjects in 4 sites (numpy, seed 1); lme4's numbers below are of these rows."""
    rng = np.random.default_rng(1)
    g, d = np.repeat(np.arange(18), 10), np.tile(np.arange(10), 18).astype(float)
    root = np.linalg.cholesky(np.array([[600.0, 14.4], [14.4, 36.0]]))
    u = rng.standard_normal((18, 2)) @ root.T
    y = 250 + 10 * d + u[g, 0] + u[g, 1] * d + 25 * rng.standard_normal(180)
    return pd.DataFrame({"y": y, "d": d, "s": g, "site": g % 4, "k": g % 2})


#: logLik and VarCorr of lme4's lmer, ML then REML: sds, correlation, residual sd (its optimiser stops at 1e-4 or so);
#: for by=k of (0 + A + Ad | s) + (0 + B + Bd | s) with A, B the types as zero and one.
LME4 = {
    "y ~ d + (1 + d | s)": [
        (-865.4452962, 25.32722, 4.514457, 0.456327, 24.272571),
        (-861.4510863, 26.28761, 4.690242, 0.432772, 24.272835),
    ],
    "y ~ d + (1 + d || s)": [
        (-866.3841937, 27.33153, 4.880337, 24.109933),
        (-862.2872507, 28.18124, 5.036027, 24.129066),
    ],
    "y ~ d + (1 | site / s)": [(-881.4181908, 0.0, 38.79481, 27.856435), (-877.6508973, 0.0, 39.97060, 27.942814)],
    "y ~ d + (1 | s, by=k)": [
        (-879.9399266, 48.615389, 25.713532, 27.856435),
        (-876.335044838, 49.285716, 27.001660, 27.942811),
    ],
    "y ~ d + (1 + d | s, by=k)": [
        (-861.705419109, 29.9094948, 4.2777864, 1.0, 21.7102162, 5.3318512, -0.356056, 23.9755017),
        (-858.012290246, 30.1958939, 4.3535605, 1.0, 22.5963583, 5.4400540, -0.332023, 24.0344474),
    ],
    "y ~ d + (0 + d | s) + (1 | site)": [
        (-882.3089658, 7.180979, 8.474343, 27.750339),
        (-878.0612704, 7.391510, 10.606316, 27.756580),
    ],
}  # fmt: skip


@pytest.mark.parametrize("formula", LME4)
@pytest.mark.parametrize("engine", ["ml", "reml"])
def test_lme4_has_the_same_maximum(formula, engine):
    loglik, *spread = LME4[formula][engine == "reml"]
    fit = mm.fit(formula, sleep(), engine=engine)
    assert fit.loglik == pytest.approx(loglik, abs=2e-6)
    assert fit.params[[p.name for p in fit.specification.system.hypers]].to_numpy() == pytest.approx(
        spread, rel=1e-3, abs=1e-3
    )


def test_a_singular_fit_stands_at_the_end_of_the_correlation():
    rng = np.random.default_rng(4)
    g, d = np.repeat(np.arange(12), 8), np.tile(np.linspace(-1, 1, 8), 12)
    u = rng.standard_normal(12)
    y = u[g] * (1 + d) + 0.5 * rng.standard_normal(96)
    fit = mm.fit("y ~ d + (1 + d | g)", pd.DataFrame({"y": y, "d": d, "g": g}), engine="ml")
    if fit.params["g.cor.1.d"] == 1.0:
        assert np.isnan(fit.bse["g.cor.1.d"])
        assert any("g.cor.1.d" in r for r in fit.health.remarks)
    assert fit.params["g.cor.1.d"] > 0.9
    assert np.all(np.isfinite(fit.random_effects("g").to_numpy()))


def test_rows_and_names_of_levels_do_not_matter():
    data = sleep()
    one = mm.fit("y ~ d + (1 + d | s) + (1 | site)", data, engine="ml")
    other = mm.fit(
        "y ~ d + (1 | site) + (1 + d | s)",
        data.sample(frac=1, random_state=3).assign(s=lambda t: "q" + (97 - t["s"]).astype(str)),
        engine="ml",
    )
    assert other.loglik == pytest.approx(one.loglik, abs=1e-8)
    pd.testing.assert_series_equal(other.params[one.params.index], one.params, rtol=1e-4, atol=1e-4)


def test_effects_of_slopes_have_a_row_a_term_and_unseen_units_the_populations_variance():
    fit = mm.fit("y ~ d + (1 + d | s)", sleep(), engine="reml")
    table = fit.random_effects("s")
    assert table.index.names == ["s", "term"]
    assert list(table.index[:2]) == [(0, "1"), (0, "d")]
    new = pd.DataFrame({"d": [0.0, 3.0], "s": [99, 99]})
    drawn, zero = (fit.predict(new, kind="linear", new_effects=how)["se"] ** 2 for how in ("draw", "zero"))
    p = fit.params
    a, b, r = p["s.sd"], p["s.sd.d"], p["s.cor.1.d"]
    expected = [a**2, a**2 + 9 * b**2 + 6 * r * a * b]
    np.testing.assert_allclose((drawn - zero).to_numpy(), expected, rtol=1e-8)
    variance = fit.variance_components().loc["s", "variance"]
    d = sleep()["d"]
    assert variance == pytest.approx(float(np.mean(a**2 + d**2 * b**2 + 2 * d * r * a * b)), rel=1e-10)


def test_standard_errors_of_slopes_are_those_of_the_dense_posterior():
    """By REML at fixed theta: the conditional variance of Z u by Henderson's equations."""
    data = sleep()
    fit = mm.fit("y ~ d + (1 + d | s)", data, engine="reml")
    p = fit.params
    v = covariance({"s.sd": p["s.sd"], "s.sd.d": p["s.sd.d"], "s.cor.1.d": p["s.cor.1.d"]}, "s", ["1", "d"], True)
    x = np.column_stack([np.ones(180), data["d"]])
    z = np.zeros((180, 36))
    z[np.arange(180), 2 * data["s"]] = 1.0
    z[np.arange(180), 2 * data["s"] + 1] = data["d"]
    full = np.column_stack([x, z])
    h = full.T @ full / p["sigma"] ** 2
    h[2:, 2:] += np.kron(np.eye(18), np.linalg.inv(v))
    estimate = np.linalg.solve(h, full.T @ data["y"] / p["sigma"] ** 2)
    table = fit.random_effects("s")
    np.testing.assert_allclose(table["estimate"], estimate[2:], rtol=1e-6, atol=1e-6)
    assert np.all(table["se"].to_numpy() >= np.sqrt(np.diag(np.linalg.inv(h)))[2:] * (1 - 1e-9))


# -- known covariances and fixed levels ----------------------------------------------------------------------------


def tabular(sire, dam) -> np.ndarray:
    """The relationship matrix by the tabular method."""
    n = len(sire)
    a = np.zeros((n, n))
    for i in range(n):
        for j in range(i):
            a[i, j] = a[j, i] = 0.5 * sum(a[j, p] for p in (sire[i], dam[i]) if p is not None)
        a[i, i] = 1.0 + (0.5 * a[sire[i], dam[i]] if sire[i] is not None and dam[i] is not None else 0.0)
    return a


@pytest.fixture(scope="module")
def animals():
    rng = np.random.default_rng(3)
    sire = [None] * 8 + [int(rng.integers(0, k // 2)) for k in range(8, 40)]
    dam = [None] * 8 + [int(rng.integers(k // 2, k)) if k % 5 else None for k in range(8, 40)]
    a = tabular(sire, dam)
    who = rng.integers(5, 40, 120)
    u = np.linalg.cholesky(a) @ rng.standard_normal(40)
    x = rng.standard_normal(120)
    data = pd.DataFrame({"y": 1 + x + 1.5 * u[who] + rng.standard_normal(120), "x": x, "a": who})
    return data, a, mm.pedigree(range(40), sire, dam)


def test_a_pedigree_gives_the_inverse_of_the_relationship_matrix(animals):
    _, a, pedigree = animals
    assert a.diagonal().max() > 1.1  # some are inbred
    np.testing.assert_allclose(pedigree.matrix.toarray(), np.linalg.inv(a), atol=1e-9)


def test_a_covariance_and_its_inverse_are_one_model(animals, tmp_path):
    data, a, pedigree = animals
    k = pd.DataFrame(a, index=range(40), columns=range(40))
    formula = "y ~ x + hm(a, effects = known(A))"
    one, other = (mm.fit(formula, data, known={"A": m}, engine="ml") for m in (k, pedigree))
    assert one.loglik == pytest.approx(other.loglik, abs=1e-8)
    z, p = np.eye(40)[data["a"]], one.params
    v = p["a.sd"] ** 2 * z @ a @ z.T + p["sigma"] ** 2 * np.eye(120)
    r = data["y"] - p["Intercept"] - p["x"] * data["x"]
    assert one.loglik == pytest.approx(-0.5 * (120 * LOG_2PI + np.linalg.slogdet(v)[1] + r @ np.linalg.solve(v, r)))
    assert len(other.random_effects("a")) == 40  # individuals without data too
    new = pd.DataFrame({"x": [0.0, 0.0, 1.0], "a": [0, 1, 30]})  # 0 and 1 have no row in the data
    pd.testing.assert_frame_equal(one.predict(new), other.predict(new), rtol=1e-5)
    pd.testing.assert_frame_equal(one.variance_components(), other.variance_components(), rtol=1e-5)
    one.save(tmp_path / "fit.nc")
    assert mm.load(tmp_path / "fit.nc").loglik == pytest.approx(one.loglik, abs=1e-10)


def test_known_covariances_that_are_no_use_are_refused(animals):
    data, a, _ = animals
    formula = "y ~ x + hm(a, effects = known(A))"
    with pytest.raises(mm.FormulaError, match="needs the covariance"):
        mm.Model(formula, data)
    with pytest.raises(mm.DataError, match="no row for"):
        mm.Model(formula, data, known={"A": (a[:30, :30], range(30))})
    skew = a.copy()
    skew[10, 11] += 0.1
    with pytest.raises(mm.DataError, match=r"not symmetric: its entries for 1\d and 1\d"):
        mm.Model(formula, data, known={"A": (skew, range(40))})
    with pytest.raises(mm.DataError, match="not positive definite"):
        mm.Model(formula, data, known={"A": (np.ones((40, 40)), range(40))})
    with pytest.raises(mm.ModelError, match="no effects= of the formula uses it"):
        mm.Model("y ~ x + (1 | a)", data, known={"A": (a, range(40))})
    with pytest.raises(mm.DataError, match="its own ancestor"):
        mm.pedigree(["a", "b"], ["b", "a"], [None, None])


def test_fixed_levels_are_dummies_and_refuse_what_they_have_not_seen():
    data = sleep()
    fit, dummies = (mm.fit(f, data, engine="ml") for f in ("y ~ d + hm(site, effects = fixed)", "y ~ d + C(site)"))
    assert fit.loglik == pytest.approx(dummies.loglik, abs=1e-9)
    np.testing.assert_allclose(fit.params.to_numpy(), dummies.params.to_numpy(), rtol=1e-6)
    np.testing.assert_allclose(fit.bse.to_numpy(), dummies.bse.to_numpy(), rtol=1e-6)
    table = fit.random_effects("site")
    assert table["estimate"].iloc[0] == 0.0
    np.testing.assert_allclose(table["estimate"].to_numpy()[1:], fit.params[[f"site[{k}]" for k in (1, 2, 3)]])
    with pytest.raises(mm.DataError, match="no population"):
        fit.predict(pd.DataFrame({"d": [1.0], "site": [9]}))
    with pytest.raises(mm.ModelError, match="collinear"):
        mm.Model("y ~ d + hm(site, effects = fixed) + hm(s, effects = fixed)", data)


@pytest.mark.parametrize(
    ("formula", "match"),
    [
        ("y ~ d + hm(s, effects = wobble)", "not known; choose from"),
        ("y ~ d + hm(s, 1 + d, effects = known(K, 1 + d))", "given twice"),
        ("y ~ d + hm(s, 1 + d, effects = iid(1 + d))", "given twice"),
        ("y ~ d + hm(s, effects = correlated(1))", "two terms"),
        ("y ~ d + hm(s, effects = none(d))", "takes nothing in parentheses"),
        ("y ~ d + hm(site / s, name = q)", "cannot share a name"),
    ],
)
def test_words_that_make_no_sense_are_refused(formula, match):
    with pytest.raises(mm.FormulaError, match=match):
        mm.Model(formula, sleep())


def test_draws_recover_what_they_were_made_from():
    """Correlated slopes of members, 150 groups: each true value within 4 posterior sds."""
    rng = np.random.default_rng(8)
    rows = np.repeat(np.arange(150), 3)
    table = pd.DataFrame({"g": rows, "m": rng.integers(0, 40, 450), "z": rng.standard_normal(450)})
    model = mm.Model("y ~ 1 + mm(m, g, effects = correlated(1 + z))", table.assign(y=rng.standard_normal(150)[rows]))
    truth = {"Intercept": 1.0, "m.sd": 1.5, "m.sd.z": 1.0, "m.cor.1.z": -0.5, "sigma": 0.5}
    made = model.simulate(truth, random_seed=3)
    fit = mm.fit(
        model.formula,
        table.assign(y=made.outcome[0][rows]),
        draws=300,
        tune=300,
        chains=2,
        random_seed=1,
        progress=False,
    )
    for name, value in truth.items():
        assert abs(fit.params[name] - value) < 4 * fit.bse[name], name
    effects = fit.random_effects("m")["mean"]
    assert np.corrcoef(effects, made.effects["m"].iloc[0])[0, 1] > 0.7
    assert fit.to_datatree().posterior["m.effect"].sizes == {"chain": 2, "draw": 300, "m_id": 40, "m_term": 2}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["correlated", "known"])
def test_mcmc_and_nuts_have_one_posterior(kind, animals):
    pytest.importorskip("numpyro")
    data, a, _ = animals
    formula, known = ("y ~ x + (1 + x | a)", None) if kind == "correlated" else ("y ~ x + hm(a, effects = known(A))", a)
    options = {"known": None if known is None else {"A": (known, range(40))}, "progress": False, "random_seed": 4}
    one = mm.fit(formula, data, draws=1500, tune=1000, chains=2, **options).summary()
    other = mm.fit(formula, data, engine="nuts", draws=1000, tune=600, chains=2, **options).summary()
    error = np.hypot(one["mcse_mean"], other["mcse_mean"])
    assert np.abs((one["mean"] - other["mean"]) / error).max() < 4.5
    assert np.abs(one["sd"] / other["sd"] - 1).max() < 0.15
