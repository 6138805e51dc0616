"""Shapes far from zero, where a likelihood no longer changes, or Laplace's formula cannot follow it: what is said."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines.accuracy import LaplaceError
from micromacro.engines.likelihood.maxima import where_it_exists
from micromacro.engines.likelihood.problem import problem_of
from micromacro.engines.likelihood.reliance import moved, reliance
from micromacro.engines.marginals import laplace_marginal
from micromacro.engines.search import find_peaks
from micromacro.latent.mode import LatentPosterior

pytestmark = pytest.mark.filterwarnings("ignore::micromacro.errors.MicromacroWarning")
SHAPE = "m.smax.kappa"


def best_of_five(groups, members, sd, sigma, seed):
    """Groups that are as good as the best of their five members, whom nothing but their groups tells apart."""
    rng = np.random.default_rng(seed)
    u = sd * rng.normal(size=members)
    m = np.array([rng.choice(members, 5, replace=False) for _ in range(groups)])
    y = 1.0 + u[m].max(axis=1) + sigma * rng.normal(size=groups)
    g = np.repeat(np.arange(groups), 5)
    return pd.DataFrame({"g": g, "m": m.ravel(), "y": y[g]})


@pytest.mark.slow
def test_a_shape_that_diverges_is_held_and_the_rest_has_standard_errors():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(600, 5))
    y = (rng.random(600) < 1.0 / (1.0 + np.exp(2.0 - 2.0 * x.max(axis=1)))).astype(float)
    g = np.repeat(np.arange(600), 5)
    data = pd.DataFrame({"g": g, "m": np.arange(3000) % 100, "x": x.ravel(), "y": y[g]})
    term = "y ~ mm(m, g, x, effects = none, combine = {})"
    fit, exact = (mm.fit(term.format(c), data, family="bernoulli", engine="ml") for c in ("smax(kappa)", "max"))
    assert fit.health.ok
    (note,) = [n for n in fit.health.notes if n.code == "limit"]
    assert "combine as their max" in note
    assert note.about == (SHAPE,)
    assert np.isnan(fit.bse[SHAPE])
    rest = [n for n in fit.params.index if n != SHAPE]
    np.testing.assert_allclose(fit.bse[rest], exact.bse[rest], rtol=0.01)
    assert fit.loglik == pytest.approx(exact.loglik, abs=0.02)
    low, high = fit.profile(SHAPE)
    assert 1.0 < low < 5.0
    assert high == np.inf


def test_estimates_that_laplaces_formula_moves_are_marked_with_the_remedy():
    data = best_of_five(200, 30, 0.7, 0.7, 0)
    specification = mm.Model("y ~ mm(m, g, combine = smax(1))", data, priors="flat").specification
    problem = problem_of(specification, restricted=False)
    start = problem.coordinates.from_theta(problem.start)
    (peak,) = find_peaks(problem.objective, [start], problem.coordinates.bounds())
    (unsure,) = reliance(specification, problem, peak, LaplaceError(30.0, 5.0))
    assert unsure.code == "poor-approximation"
    assert "mcmc" in unsure
    assert set(unsure.about) == {"m.sd", "sigma", "Intercept"}
    assert reliance(specification, problem, peak, LaplaceError(0.05, 0.01)) == []
    assert reliance(specification, problem, peak, LaplaceError(0.5, 0.01)) == []  # it is much the same around
    shift, se = moved(problem, peak)
    assert np.all(np.abs(shift) < 0.5)
    assert np.all(se < 0.3)


def test_a_likelihood_without_a_smooth_maximum_is_said_to_have_none():
    fit = mm.fit("y ~ mm(m, g, combine = smax(kappa))", best_of_five(40, 25, 3.0, 0.2, 1), engine="ml")
    assert not fit.health.ok
    assert any("mcmc" in note for note in fit.health.troubles)
    assert fit.health.doubtful >= set(fit.params.index[fit.bse.isna()])


def test_a_search_begins_where_laplaces_formula_exists():
    def objective(u):
        return (-np.inf if u[0] > 1.0 else -1.0), np.zeros(2)

    coordinates = SimpleNamespace(sd=np.array([True, False]))
    problem: Any = SimpleNamespace(marginal=SimpleNamespace(exact=False), coordinates=coordinates, objective=objective)
    np.testing.assert_allclose(where_it_exists(problem, np.array([2.0, 3.0])), [0.72, 3.0])
    np.testing.assert_array_equal(where_it_exists(problem, np.array([0.9, 3.0])), [0.9, 3.0])


def test_the_mode_of_a_likelihood_that_bends_up_is_found_in_few_steps(monkeypatch):
    """Where the best member decides a binary outcome the true curvature will not do for most of the way."""
    data = best_of_five(1200, 180, 0.8, 0.5, 1)
    data["y"] = (data["y"] > 1.0).astype(float)
    marginal = laplace_marginal(mm.Model("y ~ mm(m, g, combine = max)", data, family="bernoulli").specification, True)
    point = marginal.point(np.array([0.7]), np.zeros(marginal.system.size))
    tops, steps = [], []
    for between in (LatentPosterior._between, lambda self, room: (1, np.nan)):  # without it: by the stand-in alone
        monkeypatch.setattr(LatentPosterior, "_between", between)
        room = marginal.workspace()
        marginal.set_theta(point, room)
        tops.append(marginal.climb(room.theta, room))
        steps.append(room.iterations)
    assert tops[0] == pytest.approx(tops[1], abs=1e-8)
    assert 1.5 * steps[0] < steps[1]
