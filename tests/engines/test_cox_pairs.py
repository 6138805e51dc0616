"""Cox without a row for each group and interval, against the model that has them."""

from __future__ import annotations

import numpy as np
import pytest

import micromacro as mm
from micromacro.engines.marginals import laplace_marginal
from micromacro.engines.mcmc.whitened import WhitenedTarget

from .test_cox import CUTS, FORMULA, table

CASES = {
    "cuts": (CUTS, {}, {}),
    "event times": ("all", {}, {}),
    "a walk": (CUTS, {"baseline": "random_walk"}, {}),
    "weights": (CUTS, {}, {"observation_weights": "often"}),
    "weights and a walk": ((0.3, 0.9), {"baseline": "random_walk"}, {"observation_weights": "often"}),
}


@pytest.fixture(params=list(CASES))
def both(request):
    """The specification, and the same by rows."""
    cuts, how, more = CASES[request.param]
    data = table().assign(often=lambda d: d["g"] % 3)
    s = mm.Model(FORMULA, data, family=mm.families.cox(cuts, **how), **more).specification
    assert s.system.rows == s.groups + len(s.family.cuts) + 1 < s.by_rows.system.rows
    return s, s.by_rows


def point_of(s, held):
    rng = np.random.default_rng(7)
    theta = np.array([0.4, 0.6, 0.5, 0.4])[: len(s.system.hypers)]
    start = np.array([p.start for p in s.system.coefficients])
    return np.concatenate([theta, start + 0.1 * rng.standard_normal(len(start))]) if held else theta


@pytest.mark.parametrize("held", [False, True])
def test_values_slopes_means_and_variances(both, held):
    marginals = [laplace_marginal(s, held) for s in both]
    rooms, point = [m.workspace() for m in marginals], point_of(both[0], held)
    (value, slope), (expected, other) = (m.gradient(point, r) for m, r in zip(marginals, rooms, strict=True))
    assert value == pytest.approx(expected, abs=1e-9)
    np.testing.assert_allclose(slope, other, rtol=1e-6, atol=1e-6)
    x, plain = (m.x(r) for m, r in zip(marginals, rooms, strict=True))
    np.testing.assert_allclose(x, plain, rtol=1e-8, atol=1e-8)
    variances = [m.conditional_variance(r) for m, r in zip(marginals, rooms, strict=True)]
    np.testing.assert_allclose(*variances, rtol=1e-7)
    means = [m.system.natural_order(m.corrected_mean(r.theta, r)) for m, r in zip(marginals, rooms, strict=True)]
    np.testing.assert_allclose(*means, rtol=1e-5, atol=1e-6)
    step = np.random.default_rng(1).standard_normal(len(x))
    ordered = [np.ascontiguousarray(step[m.system.symbolic.order]) for m in marginals]
    lengths = [m.length(v, r) for m, v, r in zip(marginals, ordered, rooms, strict=True)]
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-7)


def test_a_theta_taken_up_with_x_held_keeps_x(both):
    """release() goes from x to whitened z by H, refresh() leaves x at z."""
    s, rng = both[0], np.random.default_rng(2)
    target = WhitenedTarget(s)
    scores = target.coordinates.from_theta(np.array([p.start for p in s.system.hypers]))
    value = target.log(scores, target.coordinates.theta(scores))
    target.adopt()
    value = target.refresh(value, rng, tuning=True)
    x = target.draw(rng)
    assert np.isfinite(target.release(scores + 0.05, target.coordinates.theta(scores + 0.05)))
    target._joint(target.z)
    np.testing.assert_allclose(target.draw(rng), x, rtol=1e-7, atol=1e-7)


def test_rows_are_groups_and_intervals_however_many_there_are():
    rng = np.random.default_rng(3)
    n = 4_000
    data = {"t": rng.exponential(1.0, n), "x": rng.standard_normal(n)}
    s = mm.Model("surv(t) ~ x", data, family=mm.families.cox("all"), priors={"x": mm.prior.normal(0, 1)}).specification
    assert s.system.rows == 2 * n
    out = np.empty((4, 2 * n))
    s.family.slopes(s.row_values, np.zeros(2 * n), np.empty(0), out)
    order = np.argsort(data["t"])
    at_risk, length = np.arange(n, 0, -1), np.diff(data["t"][order], prepend=0.0)
    np.testing.assert_allclose(-out[2, n:] - s.row_values[1, n:], at_risk * length, rtol=1e-9, atol=1e-12)
