"""``s(x)``: against the dense restricted likelihood of a penalised spline written apart, and mgcv's numbers."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import micromacro as mm


def table(n: int = 150) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    d = pd.DataFrame({"x": rng.uniform(-2, 3, n), "v": rng.standard_normal(n), "u": rng.integers(0, 10, n)})
    noise = 0.4 * rng.standard_normal(n) + 0.3 * rng.standard_normal(10)[d["u"]]
    return d.assign(y=np.sin(2 * d["x"]) + 0.5 * d["v"] + noise)


DATA = table()
K = 12


def splines(x: np.ndarray) -> np.ndarray:
    """Cubic B-splines by the recursion of Cox and de Boor, on x inside the data."""
    low, high = DATA["x"].min(), DATA["x"].max()
    step = (high - low) / (K - 3)
    t = low + step * np.arange(-3, K + 1)
    at = np.minimum(x, high - 1e-12)[:, None]
    b = ((t[:-1] <= at) & (at < t[1:])).astype(float)
    for p in range(1, 4):
        left = (at - t[: -p - 1]) / (p * step) * b[:, :-1]
        right = (t[p + 1 :] - at) / (p * step) * b[:, 1:]
        b = left + right
    return b


def dense(theta: np.ndarray, reml: bool) -> tuple[float, np.ndarray, np.ndarray]:
    """Likelihood at log sd of the second differences and log sigma, its fitted values, the coefficients."""
    y = DATA["y"].to_numpy()
    n = len(y)
    d = np.diff(np.eye(K), 2, axis=0)
    z = splines(DATA["x"].to_numpy()) @ np.linalg.pinv(d)
    x = np.column_stack([np.ones(n), DATA["v"], DATA["x"]])
    v = np.exp(2 * theta[1]) * np.eye(n) + np.exp(2 * theta[0]) * z @ z.T
    a = x.T @ np.linalg.solve(v, x)
    beta = np.linalg.solve(a, x.T @ np.linalg.solve(v, y))
    r = y - x @ beta
    value = -0.5 * (np.linalg.slogdet(v)[1] + r @ np.linalg.solve(v, r) + (n - reml * 3) * math.log(2 * math.pi))
    value -= 0.5 * np.linalg.slogdet(a)[1] if reml else 0.0
    fitted = x @ beta + np.exp(2 * theta[0]) * z @ z.T @ np.linalg.solve(v, r)
    return value, fitted, beta


@pytest.fixture(scope="module")
def fit():
    return mm.fit(f"y ~ v + s(x, k={K})", DATA, engine="reml")


def test_the_restricted_likelihood_is_that_of_the_penalised_spline(fit):
    best = minimize(
        lambda t: -dense(t, True)[0], np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10}
    )
    value, fitted, beta = dense(best.x, True)
    assert fit.loglik == pytest.approx(value, abs=1e-6)
    assert fit.params["sigma"] == pytest.approx(np.exp(best.x[1]), rel=1e-5)
    np.testing.assert_allclose(fit.predict(kind="linear")["estimate"], fitted, rtol=1e-4, atol=1e-5)
    assert fit.params["v"] == pytest.approx(beta[1], rel=1e-5)


def test_mgcv_has_the_same_residual_sd_and_coefficient():
    """gam(y ~ v + s(x, bs="ps", k=12, m=c(2, 2)), method="REML", knots=list(x=t)) with our knots t, mgcv 1.8."""
    fit = mm.fit(f"y ~ v + s(x, k={K})", DATA, engine="reml")
    assert fit.params["sigma"] == pytest.approx(0.391273085, rel=2e-5)


def test_the_line_is_that_of_least_squares_through_the_curve_and_the_sd_that_around_it(fit):
    """`s.x` is the slope of the whole curve over the data."""
    curve = fit.predict(DATA.assign(v=0.0), kind="linear")["estimate"].to_numpy()
    slope, level = np.polyfit(DATA["x"], curve, 1)
    assert fit.params["s.x"] == pytest.approx(slope, rel=1e-8)
    assert fit.params["Intercept"] == pytest.approx(level, rel=1e-8)
    part = next(p for p in fit.specification.system.parts if p.name == "s(x)")
    assert np.mean(np.sum(part.bends**2, axis=1)) == pytest.approx(1.0)


def test_beyond_the_data_the_curve_goes_on_as_a_line(fit):
    low, high = DATA["x"].min(), DATA["x"].max()
    for end, sign in ((low, -1.0), (high, 1.0)):
        at = end + sign * np.array([-1e-4, 0.0, 1.0, 2.0, 5.0])
        new = pd.DataFrame({"x": at, "v": 0.0})
        values = fit.predict(new, kind="linear")["estimate"].to_numpy()
        beyond = np.diff(values[1:]) / np.diff(at[1:])
        np.testing.assert_allclose(beyond, beyond[0], rtol=1e-8)
        assert (values[1] - values[0]) / (at[1] - at[0]) == pytest.approx(beyond[0], rel=1e-2, abs=1e-3)


def test_a_straight_line_needs_no_curve():
    data = DATA.assign(y=1 + 2 * DATA["x"])
    data["y"] += np.random.default_rng(1).standard_normal(len(data)) * 0.01
    plain, smooth = (mm.fit(f"y ~ {t}", data, engine="reml") for t in ("x", "s(x, k=5)"))
    assert smooth.params["s.x"] == pytest.approx(plain.params["x"], rel=1e-3)
    assert smooth.loglik >= plain.loglik - 1e-6


def test_files_and_priors_that_are_not_normal(tmp_path):
    held = mm.fit("y ~ v + s(x)", DATA, engine="ml", fixed={"s.x": 0.0})
    assert held.params["s.x"] == 0.0
    held.save(tmp_path / "fit.nc")
    new = pd.DataFrame({"x": [-5.0, 0.0], "v": [0.0, 0.0]})
    pd.testing.assert_frame_equal(mm.load(tmp_path / "fit.nc").predict(new), held.predict(new))


def test_draws_are_around_the_maximum_and_all_curves_are_kept():
    run = {"draws": 150, "tune": 150, "chains": 2, "random_seed": 1, "progress": False}
    few = mm.Model("y ~ v + s(x, k=6)", DATA).fit("mcmc", keep="parameters", **run)
    best = mm.fit("y ~ v + s(x, k=6)", DATA, engine="reml")
    new = pd.DataFrame({"x": [-1.0, 0.0, 2.0], "v": [0.0, 0.0, 0.0]})
    np.testing.assert_allclose(few.predict(new)["mean"], best.predict(new)["estimate"], atol=0.05)


def test_the_spread_may_be_smooth_too():
    """Laplace's formula for a curve of log sigma; its joint density is the one written apart for NUTS."""
    jax = pytest.importorskip("jax")
    from micromacro.engines.joint import log_joint
    from micromacro.engines.nuts.density import Joint
    from micromacro.engines.nuts.engine import double_precision

    rng = np.random.default_rng(3)
    x = rng.uniform(-2, 2, 250)
    sigma = np.exp(-0.5 + 0.8 * np.cos(2 * x))
    data = pd.DataFrame({"x": x, "y": np.sin(2 * x) + sigma * rng.standard_normal(250)})
    model = mm.Model("y ~ s(x, k=8)", data, sigma="~ s(x, k=8)")
    found = model.fit("ml").predict(dpar="sigma")["estimate"]
    assert np.corrcoef(np.log(found), np.log(sigma))[0, 1] > 0.9
    s = model.specification
    theta, z = np.array([p.start + 0.1 for p in s.system.hypers]), 0.3 * rng.standard_normal(s.system.size)
    with double_precision(), jax.disable_jit():
        told = float(Joint(s).log_density(jax.numpy.asarray(theta), jax.numpy.asarray(z)))
    assert told == pytest.approx(log_joint(s, theta, z), rel=1e-10)


@pytest.mark.parametrize(
    ("term", "error", "words"),
    [
        ("s(u, k=20)", mm.DataError, "but there are 10: give k=10 at most"),
        ("s(x, k=3)", mm.FormulaError, "from 4 to 200"),
        ("s(x) * v", mm.FormulaError, "must stand by itself"),
        ("s(x) + s(x)", mm.FormulaError, "twice"),
        ("s(x) + x", mm.ModelError, "collinear"),
        ("s(C(u))", mm.FormulaError, "one numeric column"),
    ],
)
def test_what_is_not_smooth_says_so(term, error, words):
    with pytest.raises(error, match=words):
        mm.Model(f"y ~ {term}", DATA)
