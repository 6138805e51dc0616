"""Laplace's formula where the curvature of the effects vanishes: its value goes to infinity, and is no likelihood."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import micromacro as mm
from micromacro.engines.marginals import marginal_of
from micromacro.latent.marginal.laplace import SINGULAR

pytestmark = pytest.mark.filterwarnings("ignore::micromacro.errors.MicromacroWarning")


def teams():
    """Counts of 200 groups of members, no zero in excess of Poisson's, that say nothing of how members combine."""
    r = np.random.default_rng(3)
    size = r.integers(2, 6, 200)
    g = np.repeat(np.arange(200), size)
    table = pd.DataFrame({"g": g, "m": np.concatenate([r.choice(40, n, replace=False) for n in size])})
    table["x"], table["z"] = r.normal(size=len(g)), r.normal(size=len(g))
    table["t"], table["c"] = r.normal(size=200)[g], g % 12
    u = r.normal(size=40)[table["m"]]
    eta = 0.5 * table.groupby("g")["t"].first() + (0.7 * table["x"] + 0.6 * u).groupby(g).mean()
    r.normal(size=200)
    return table.assign(k=r.poisson(np.exp(0.3 * eta))[g])


def test_a_maximum_is_preferred_to_the_edge():
    fit = mm.fit("k ~ t + mm(m, g, x, combine=ces(p))", teams(), family="poisson", engine="ml")
    assert fit.params["m.ces.p"] < 0.0
    assert np.all(np.isfinite(fit.bse))


def test_a_formula_without_a_maximum_is_said_and_nothing_is_read_from_it():
    fit = mm.fit("k ~ t + mm(m, g, x)", teams(), zi="~ t + (1 | c)", family="zero_inflated_poisson", engine="ml")
    (note,) = (n for n in fit.health.notes if n.code == "laplace-edge")
    assert note.severity == "trouble"
    assert set(note.about) == set(fit.params.index)
    assert not fit.health.ok
    assert fit.bse.isna().all()
    assert "!" in next(line for line in str(fit).splitlines() if line.startswith("m.sd"))


def test_what_is_left_of_the_formula_is_near_the_integral():
    """Two outcomes on either side of a unit's effect, ever further apart: its likeliest value splits into two."""
    at, values = {"Intercept": 0.0, "u.sd": 1.0, "sigma": 0.3, "nu": 3.0}, []
    for apart in np.arange(0.1, 0.8, 0.02):
        data = pd.DataFrame({"y": [apart, -apart, 0.1, 0.0], "u": ["a", "a", "b", "b"]})
        model = mm.Model("y ~ 1 + (1 | u)", data, family="student", fixed={"Intercept": 0.0})
        marginal = marginal_of(model.specification, maximised=True)
        value = marginal.value(np.array([at[p.name] for p in marginal.arguments]), marginal.workspace())
        values.append((value, _integral(data, at["u.sd"], at["sigma"], at["nu"])))
    values = np.array(values)
    there = np.isfinite(values[:, 0])
    assert 0.3 < there.mean() < 0.95
    assert np.abs(values[there, 0] - values[there, 1]).max() < 0.5 * np.log(1.0 / SINGULAR)


def _integral(data, sd, sigma, nu):
    """The log likelihood by quadrature, unit by unit."""
    total = 0.0
    grid = np.linspace(-8.0, 8.0, 20_001)
    for _, own in data.groupby("u"):
        density = stats.norm.pdf(grid, scale=sd)
        for y in own["y"]:
            density *= stats.t.pdf((y - grid) / sigma, nu) / sigma
        total += np.log(integrate.trapezoid(density, grid))
    return total
