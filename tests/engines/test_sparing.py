"""Searches that spare evaluations end where the others do, and slopes of x need no factor but that of the maximum."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines import progress
from micromacro.engines.likelihood.describe import solution_slopes
from micromacro.engines.likelihood.maxima import starting_points
from micromacro.engines.likelihood.problem import problem_of
from micromacro.engines.marginals import with_factor
from micromacro.engines.search import find_peaks
from micromacro.engines.sparing import climb_sparingly
from micromacro.latent.marginal import base
from micromacro.numerics.differences import slopes

FORMULA = "y ~ x + mm(member, group, z, weights = power(s), normalize = group) + (1 | unit)"


def table(family: str, seed: int) -> pd.DataFrame:
    """Groups of members with one outcome each, of a family."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(120), rng.integers(2, 5, 120))
    data = pd.DataFrame({"group": group, "member": rng.integers(0, 25, len(group))}).drop_duplicates()
    data["s"], data["z"] = rng.standard_normal((2, len(data)))
    data["x"], data["unit"] = rng.standard_normal(120)[data.group], data.group % 9
    eta = 0.3 * data.x + 0.7 * rng.standard_normal(25)[data.member] + 0.4 * rng.standard_normal(9)[data.unit]
    eta = eta.groupby(data.group).mean()
    drawn = {"gaussian": eta + 0.5 * rng.standard_normal(120), "poisson": rng.poisson(np.exp(eta))}
    return data.assign(y=drawn[family][data.group].to_numpy() if family == "gaussian" else drawn[family][data.group])


@pytest.mark.parametrize(("family", "seed"), [("gaussian", 1), ("gaussian", 2), ("poisson", 3)])
def test_a_sparing_search_ends_at_the_same_maximum(family, seed, monkeypatch, quick):
    data = table(family, seed)
    usual = quick(FORMULA, data, "ml", family=family)
    monkeypatch.setattr(base, "DEAR", 0.0)
    sparing = quick(FORMULA, data, "ml", family=family)
    assert sparing.loglik == pytest.approx(usual.loglik, abs=1e-7)
    np.testing.assert_allclose(sparing.params, usual.params, atol=2e-5)
    np.testing.assert_allclose(sparing.bse, usual.bse, rtol=1e-3, atol=1e-6)


def test_a_sparing_search_needs_fewer_evaluations():
    """Two crossed units of very different sizes of effects."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 200, 2_000), rng.integers(0, 12, 2_000)
    y = rng.standard_normal(200)[a] + 0.1 * rng.standard_normal(12)[b] + rng.standard_normal(2_000)
    count = {}
    for dear in (False, True):
        problem = problem_of(
            mm.Model("y ~ 1 + (1 | a) + (1 | b)", {"y": y, "a": a, "b": b}, priors="flat").specification, False
        )
        find_peaks(problem.objective, starting_points(problem), problem.coordinates.bounds(), dear)
        count[dear] = problem.evaluations
    assert count[True] < 0.75 * count[False]


def test_a_climb_ends_at_bounds_and_walls():
    """A sd of zero is a maximum; beyond a wall nothing exists; where nothing exists at the start it says so."""

    def hill(u: np.ndarray) -> tuple[float, np.ndarray]:
        if u[1] > 1.0:
            return -np.inf, np.full(2, np.nan)
        return -(u[0] ** 2) - (u[1] - 0.9) ** 4, np.array([-2.0 * u[0], -4.0 * (u[1] - 0.9) ** 3])

    u, value, ended = climb_sparingly(hill, np.array([2.0, -3.0]), [(0.0, None), (None, None)])
    assert ended
    assert 0.0 <= u[0] < 0.01
    assert value > -1e-4
    assert climb_sparingly(hill, np.array([1.0, 2.0]), [(0.0, None), (None, None)])[1] == -np.inf


@pytest.mark.parametrize(
    ("family", "effects", "factor"),
    [
        ("gaussian", "iid", "effects"),
        ("gaussian", "iid", "groups"),
        ("gaussian", "ar1(time)", "effects"),
        ("poisson", "walk", "effects"),
        ("poisson", "iid", "groups"),
    ],
)
def test_slopes_of_x_are_those_of_its_maximum(family, effects, factor):
    data = table(family, 4).assign(time=lambda d: d.group.astype(float))
    formula = FORMULA.replace("normalize", f"effects = {effects}, normalize")
    model = mm.Model(formula, data, family=family, priors="flat")
    problem = problem_of(with_factor(model.specification, factor), False)
    peak = find_peaks(problem.objective, starting_points(problem)[:1], problem.coordinates.bounds())[0]
    marginal, room = problem.marginal, problem.room

    def x(u: np.ndarray) -> np.ndarray:
        marginal.value(problem.coordinates.theta(u), room)
        return marginal.x(room)

    moves = np.where(peak.free & (peak.u != 0.0))[0]
    differences = slopes(x, peak.u, np.minimum(1e-4, 0.5 * np.abs(peak.u) + 1e-12), moves)
    marginal.value(problem.coordinates.theta(peak.u), room)
    found = solution_slopes(problem, peak)
    effects_of = slice(0, marginal.system.n_effects)  # of coefficients that are arguments the caller knows
    np.testing.assert_allclose(found[effects_of, moves], differences[effects_of, moves], atol=2e-5)


def test_a_long_search_says_how_long_it_will_take(monkeypatch, capsys, quick):
    monkeypatch.setattr(base, "DEAR", 0.0)
    monkeypatch.setattr(progress, "TOLD", 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mm.fit(FORMULA, table("gaussian", 1), engine="ml", progress=True)
    told = capsys.readouterr().err
    assert "one evaluation of the likelihood takes" in told and "seconds, and the search about" in told
    quick(FORMULA, table("gaussian", 1), "ml")
    assert not capsys.readouterr().err


def test_what_the_first_evaluation_compiles_is_no_part_of_the_forecast(monkeypatch, capsys):
    clock = iter([0.0, 57.0, 58.5, 60.0])  # when evaluations begin
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    with progress.SearchProgress(44, visible=True) as told:
        for _ in range(4):
            told.tick()
    said = "one evaluation of the likelihood takes 1.5 seconds, and the search about 44 of them: about 66 seconds"
    assert capsys.readouterr().err.count(said) == 1


def test_a_search_that_goes_on_moves_its_end():
    with progress.SearchProgress(3, visible=True) as told:
        for _ in range(9):
            told.tick()
    assert (told.done, told.expected) == (9, 11)


@pytest.mark.parametrize("formula", ["y ~ C(k)", "y ~ 0 + C(k)"])
def test_a_sparing_search_beside_a_coefficient_that_runs_off_finds_the_rest(formula, monkeypatch, quick):
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"k": list("abc") * 20, "y": rng.poisson(2, 60) ** 2}).assign(y=lambda d: d.y * (d.k != "c"))
    usual = quick(formula, data, "ml", family="negative_binomial")
    monkeypatch.setattr(base, "DEAR", 0.0)
    assert quick(formula, data, "ml", family="negative_binomial").loglik == pytest.approx(usual.loglik, abs=1e-6)
