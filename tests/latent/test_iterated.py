"""A likelihood without a factor: what is exact in it is that of the factor, what is random is right in the mean."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

import micromacro as mm
from micromacro.engines.marginals import marginal_of
from micromacro.engines.probes import probe_keys
from micromacro.engines.solver import with_solver
from micromacro.latent.representation import iterated
from micromacro.latent.representation.iterated import BATCHES

WEIGHTED = "y ~ z + (1 | c) + mm(m, g, weights = softmax(x), normalize = group)"
FORMULAS = {
    "weights and units": WEIGHTED,
    "slopes": "y ~ 1 + mm(m, g, effects = correlated(1 + x), normalize = group)",
    "a precision that varies": "y ~ z + mm(m, g, effects = ar1(t), normalize = group)",
}


def data(family: str = "gaussian", groups: int = 60, members: int = 25) -> pd.DataFrame:
    r = np.random.default_rng(2)
    g, m = np.divmod(np.unique(np.repeat(np.arange(groups), 3) * members + r.integers(0, members, 3 * groups)), members)
    z, c, u = r.standard_normal(groups), r.integers(0, 5, groups), r.standard_normal(members)
    eta = 0.3 + 0.5 * z + np.bincount(g, u[m]) / np.bincount(g) + 0.4 * r.standard_normal(5)[c]
    y = {"gaussian": eta + 0.5 * r.standard_normal(groups), "poisson": r.poisson(np.exp(eta))}[family]
    rows = {"g": g, "m": m, "x": r.standard_normal(len(g)), "z": z[g], "c": c[g], "t": r.permutation(groups)[g]}
    return pd.DataFrame(rows | {"y": y[g]})


def two(formula: str, family: str, maximised: bool, probes: int):
    """The marginal likelihood with a factor and without one, each with its work space, and a point."""
    s = mm.Model(formula, data(family), family=family, priors="flat").specification
    out = []
    for solver in ("direct", "iterative"):
        marginal = marginal_of(replace(with_solver(s, None, solver), probes=probes), maximised, searched=True)
        out.append((marginal, marginal.workspace()))
    theta = np.array([0.9 * p.start + 0.05 for p in s.system.hypers])
    x = np.zeros(s.system.size)
    x[s.system.n_effects :] = [p.start for p in s.system.coefficients]
    return *out, out[0][0].point(theta, x)


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
@pytest.mark.parametrize("maximised", [True, False])
@pytest.mark.parametrize("formula", FORMULAS)
def test_it_is_right_in_the_mean(formula, maximised, family):
    """Value, slopes, variances: within their Monte Carlo errors; modes and coefficients: to solving accuracy."""
    (exact, room), (found, other), point = two(FORMULAS[formula], family, maximised, 512)
    value, slope = exact.gradient(point, room)
    own, _ = found.gradient(point, other)
    np.testing.assert_allclose(found.x(other), exact.x(room), rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(
        found.coefficient_covariance(other), exact.coefficient_covariance(room), rtol=1e-7, atol=1e-9
    )
    base = found.base(other)
    assert abs(own - value) < 4.0 * 0.5 * found.factor.log_error(base) + 1e-9
    batches = np.empty((BATCHES, len(point)))
    for k in range(BATCHES):
        with found.factor.batch(base, k):
            batches[k] = found.read_slope(other)
    error = batches.std(axis=0, ddof=1) / np.sqrt(BATCHES)
    assert np.all(np.abs(batches.mean(axis=0) - slope) < 4.5 * error + 1e-6 * (1.0 + np.abs(slope)))
    exact.value(point, room)
    expected = exact.conditional_variance(room)
    ratio = found.conditional_variance(other)[expected > 0.0] / expected[expected > 0.0]
    assert abs(ratio.mean() - 1.0) < 0.01 and np.abs(ratio - 1.0).max() < 0.2
    rows = csr_array(np.random.default_rng(0).standard_normal((4, len(expected))))
    np.testing.assert_allclose(
        found.factor.quadratics(base, rows), exact.factor.quadratics(exact.base(room), rows), rtol=1e-6
    )


def test_effects_of_many_rows_are_kept_aside(monkeypatch):
    """The numbers do not depend on how many, up to the Monte Carlo error; all of them aside leave no error."""
    (exact, room), _, point = two(WEIGHTED, "gaussian", True, 64)
    value, slope = exact.gradient(point, room)
    for most in (0, 5, 100):
        monkeypatch.setattr(iterated, "MOST_DENSE", most)
        monkeypatch.setattr(iterated, "LEAST_DENSE", 0)
        _, (found, other), _ = two(WEIGHTED, "gaussian", True, 64)
        assert found.factor.leading == exact.system.n_effects - min(most, exact.system.n_effects)
        own, of_own = found.gradient(point, other)
        if most == 100:
            assert own == pytest.approx(value, abs=1e-9)
            np.testing.assert_allclose(of_own, slope, rtol=1e-8, atol=1e-8)
        else:
            assert abs(own - value) < 4.0 * found.factor.log_error(found.base(other))


def test_probes_belong_to_ids():
    """Whatever the order of the rows and whoever else is there; the seed and the name of the term make others."""
    table = data()
    whole = mm.Model(WEIGHTED, table).specification
    shuffled = mm.Model(WEIGHTED, table.sample(frac=1.0, random_state=1)).specification
    np.testing.assert_array_equal(probe_keys(whole), probe_keys(shuffled))
    some = mm.Model(WEIGHTED, table[table["g"] > 20]).specification
    ids, keys = whole.members["m"].levels.values, probe_keys(whole)
    left, of_left = some.members["m"].levels.values, probe_keys(some)
    block, others = (s.layout.effects(s.structures["m"][0]) for s in (whole, some))
    np.testing.assert_array_equal(of_left[others], keys[block][np.isin(ids, left)])
    assert len(np.unique(keys)) == len(keys)
    assert not np.any(probe_keys(replace(whole, seed=1)) == keys)


def test_draws_have_the_covariance_of_the_factor():
    (exact, room), (found, other), point = two(WEIGHTED, "gaussian", False, 16)
    exact.value(point, room)
    found.value(point, other)
    rng = np.random.default_rng(3)
    draws = np.array([found.factor.draw(found.base(other), rng) for _ in range(400)])
    expected = np.sqrt(exact.factor.variances(exact.base(room)))
    np.testing.assert_allclose(draws.std(axis=0), expected, rtol=5.0 / np.sqrt(800))
