"""laplace without a factor: draws of theta by an expansion around its mode, effects by solutions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines import around_mode
from micromacro.engines.around_mode import AroundPeak
from micromacro.engines.likelihood.stochastic import Zero
from micromacro.errors import EngineError
from micromacro.numerics import symbolic

from .test_iterative import FORMULA, data

SETTINGS = {"engine": "laplace", "progress": False, "random_seed": 1}


#: Means and sds of 3,000 draws with a factor.
WITH_A_FACTOR = {
    "Intercept": (0.564, 0.165), "z": (0.527, 0.0303), "m.w.x": (0.460, 0.153), "m.sd": (0.810, 0.0942),
    "c.sd": (0.459, 0.122), "sigma": (0.499, 0.0259),
}  # fmt: skip


@pytest.fixture(scope="module")
def alone():
    return mm.Model(FORMULA, data("gaussian")).fit(solver="iterative", draws=3000, **SETTINGS)


@pytest.fixture(scope="module")
def gaussian(alone):
    """The same posterior with a factor and without."""
    return mm.Model(FORMULA, data("gaussian")).fit(solver="direct", draws=3000, **SETTINGS), alone


def test_it_is_the_posterior_of_a_factor(alone):
    """Skewed as that is: there are 12 units under c.sd."""
    for name, (mean, sd) in WITH_A_FACTOR.items():
        row = alone.summary().loc[name]
        assert abs(row["mean"] - mean) < 0.15 * sd
        assert row["sd"] == pytest.approx(sd, rel=0.1)
    assert alone.health.ok and alone.posterior.outcome.extra["pareto_k_theta"] < 0.7


def assert_same(found, exact, far: float):
    ours, theirs = found.summary(), exact.summary()
    assert ((ours["mean"] - theirs["mean"]).abs() / theirs["sd"]).max() < far
    np.testing.assert_allclose(ours["sd"], theirs["sd"], rtol=far)


@pytest.mark.slow
def test_it_agrees_with_a_factor(gaussian):
    """Parameters, effects, weights, predictions and shares of the variance."""
    exact, found = gaussian
    assert_same(found, exact, 0.15)
    for term in ("m", "c"):
        ours, theirs = found.random_effects(term), exact.random_effects(term)
        assert ((ours["mean"] - theirs["mean"]).abs() / theirs["sd"]).max() < 0.25
        np.testing.assert_allclose(ours["sd"], theirs["sd"], rtol=0.15)
    table = data("gaussian")
    for ours, theirs in (
        (found.predict(table.head(60)), exact.predict(table.head(60))),
        (found.predict(table.head(60).assign(m=999)), exact.predict(table.head(60).assign(m=999))),
        (found.predict(table.head(60), effects="marginal"), exact.predict(table.head(60), effects="marginal")),
        (found.weights().rename(columns={"weight": "mean"}), exact.weights().rename(columns={"weight": "mean"})),
    ):
        assert ((ours["mean"] - theirs["mean"]).abs() / theirs["sd"]).max() < 0.25
        np.testing.assert_allclose(ours["sd"], theirs["sd"], rtol=0.15, atol=2e-3)
    ours, theirs = found.variance_components(), exact.variance_components()
    np.testing.assert_allclose(ours["share"], theirs["share"], atol=0.15 * theirs["share_sd"].max())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Pareto k:micromacro.errors.MicromacroWarning")
def test_effects_are_drawn_for_what_needs_draws(gaussian):
    """Jointly with theta and the coefficients, so that linear predictors have the spread that they should have."""
    exact, found = gaussian
    place = found.specification.structures["m"][0]
    ours, theirs = (fit.posterior.effect_draws(place)[0] for fit in gaussian)
    np.testing.assert_allclose(ours.std(axis=0), theirs.std(axis=0), rtol=0.15)
    ours, theirs = (fit.predict(kind="linear", draws=True).std("draw") for fit in gaussian)
    np.testing.assert_allclose(ours, theirs, rtol=0.15)
    assert found.loo(draws=200).elpd == pytest.approx(exact.loo(draws=200).elpd, abs=0.2 * exact.loo(draws=200).se)


@pytest.mark.slow
def test_other_families_with_the_mean_beside_the_mode():
    model = mm.Model(FORMULA, data("poisson"), family="poisson")
    exact, found = (model.fit(solver=solver, **SETTINGS) for solver in ("direct", "iterative"))
    assert_same(found, exact, 0.2)
    codes = {note.code for note in found.health.notes}
    assert {"monte-carlo", "laplace-unchecked"} <= codes and found.health.ok


@pytest.mark.slow
def test_an_sd_that_may_be_zero():
    """Its posterior ends at zero, where the mode is: half a normal distribution."""
    table = data("gaussian")
    table["y"] = 0.5 * table["z"] + np.random.default_rng(13).standard_normal(300)[table["g"]]
    model = mm.Model("y ~ z + mm(m, g)", table)
    exact, found = (model.fit(solver=solver, draws=3000, **SETTINGS) for solver in ("direct", "iterative"))
    assert_same(found, exact, 0.2)
    assert any(n.code == "near-zero" and n.about == ("m.sd",) for n in found.health.notes)


def test_it_is_saved_and_loaded(tmp_path):
    """Without draws of effects, which are made again."""
    model = mm.Model("y ~ z + mm(m, g)", data("gaussian"))
    found = model.fit(solver="iterative", draws=100, **SETTINGS)
    found.save(tmp_path / "fit.nc")
    loaded = mm.load(tmp_path / "fit.nc")
    assert str(loaded) == str(found)
    table = data("gaussian").head(60)
    pd.testing.assert_frame_equal(loaded.predict(table), found.predict(table))
    pd.testing.assert_frame_equal(loaded.random_effects("m"), found.random_effects("m"))
    place = found.specification.structures["m"][0]
    np.testing.assert_allclose(loaded.posterior.effect_draws(place), found.posterior.effect_draws(place))


def test_it_is_chosen_by_counting_operations(monkeypatch):
    monkeypatch.setattr(symbolic, "LARGE", 1e3)
    model = mm.Model("y ~ z + mm(m, g)", data("gaussian"))
    assert model.fit(draws=100, **SETTINGS).specification.factor == "none"
    assert model.fit(draws=100, solver="direct", **SETTINGS).specification.factor != "none"
    with pytest.raises(EngineError, match="needs a factor"):
        model.fit(draws=100, **SETTINGS).loo(integrated=True)


class Known:
    """A density of which every derivative is known: what a search asks, asked of it."""

    def even(self, u: np.ndarray) -> np.ndarray:
        a, b = u
        self.at = u
        return np.array([-a + 0.1 * a**2 - 0.05 * a**3 + 0.1 * b**2, -b + 0.2 * a * b])

    def crosses(self, u: np.ndarray) -> bool:
        return False

    def coefficient_variances(self) -> np.ndarray:
        return np.array([0.4 * self.at[0]])


def test_third_derivatives_are_found(monkeypatch):
    """Of -a^2/2 - b^2/2 + .1/3 a^3 - .05/4 a^4 + .1 a b^2: exact but for interpolation."""
    monkeypatch.setattr(around_mode, "PLAIN", 0.0)
    zero = Zero(np.zeros(2), np.zeros(2), -np.eye(2), np.ones(2, dtype=bool), 0.0)
    made = AroundPeak.around(Known(), zero, -np.eye(2), np.full(2, 10.0))  # pyright: ignore[reportArgumentType]
    u = np.random.default_rng(0).uniform(-2.0, 2.0, (20, 2))
    a, b = u.T
    expected = -0.5 * (a**2 + b**2) + 0.1 / 3.0 * a**3 - 0.05 / 4.0 * a**4 + 0.1 * a * b**2
    np.testing.assert_allclose(made.log_density(u), expected, atol=0.02)
    np.testing.assert_allclose(made.times_wider(u)[:, 0], np.exp(0.2 * a), rtol=1e-6)
