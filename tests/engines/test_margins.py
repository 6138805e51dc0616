"""Coordinates of chains with many parameters, made about normal: exact whatever they are, good for skewed ones."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import micromacro as mm
from micromacro.engines.coordinates import Scores
from micromacro.engines.mcmc import chain
from micromacro.engines.mcmc.engine import posterior_peaks
from micromacro.engines.mcmc.margins import MANY, Evened, Margins, margins_of


@pytest.fixture(scope="module")
def many():
    """A Gaussian model with more than `MANY` free parameters beside effects."""
    r = np.random.default_rng(5)
    sizes = r.integers(2, 5, 120)
    group = np.repeat(np.arange(120), sizes)
    d = pd.DataFrame({"g": group, "m": np.concatenate([r.choice(25, n, replace=False) for n in sizes])})
    for name in "abcdefx":
        d[name] = r.standard_normal(len(d))
    eta = np.bincount(group, (0.7 * d["x"] + 0.6 * r.standard_normal(25)[d["m"]]) / sizes[group])
    d["y"] = (eta + 0.4 * r.standard_normal(9)[np.arange(120) % 9] + 0.5 * r.standard_normal(120))[group]
    d["unit"], d["other"] = group % 9, group % 7
    return "y ~ mm(m, g, x, weights = power(a + b + c + d + e + f)) + (1 | unit) + (1 | other)", d


def skewed(n=4000):
    """Columns with a long right tail, with heavy tails, and from zero upwards; the last two end at zero."""
    r = np.random.default_rng(3)
    tails = r.standard_t(3, n)
    return np.column_stack([r.gamma(2.0, 1.0, n), tails, np.abs(r.standard_t(4, n)), 5.0 + r.gamma(3.0, 1.0, n)])


def test_skewed_coordinates_become_about_normal_and_back():
    seen = skewed()
    folded = np.array([False, False, True, True])
    made = Evened.fit(seen, folded, np.full(4, 4000.0))
    y = made.outer(seen)
    np.testing.assert_allclose(made.inner(y), seen, rtol=1e-9, atol=1e-9)
    assert made.even.tolist() == [False, False, True, False]  # the last one is far from its end
    np.testing.assert_allclose(made.inner(-y)[:, 2], seen[:, 2], rtol=1e-9)
    assert 0.4 < np.mean(made.both(y, np.random.default_rng(1))[:, 2] < 0.0) < 0.6
    assert np.abs(stats.skew(y[:, [0, 1, 3]])).max() < 0.25
    assert stats.kurtosis(y[:, 1]) < 1.0
    assert y[:, 2].min() >= 0.0
    assert stats.kurtosis(y[:, 2]) < 0.4 * stats.kurtosis(seen[:, 2])
    h = 1e-6
    np.testing.assert_allclose(
        made.slope(y[:50]), (made.inner(y[:50] + h) - made.inner(y[:50] - h)) / (2 * h), rtol=1e-5
    )
    assert made.log_slope(y[0], seen[0]) == pytest.approx(math.log(np.prod(made.slope(y[0]))))
    assert made.log_slope(y[0], np.array([1.0, 1.0, 1.0, -0.1])) == -math.inf
    again = margins_of(made.keep())
    np.testing.assert_array_equal(again.inner(y), made.inner(y))


def test_few_draws_leave_a_coordinate_nearly_as_it_is():
    made = Evened.fit(skewed(40), np.zeros(4, dtype=bool), np.full(4, 3.0))
    assert np.abs(made.skew).max() <= 0.3
    assert made.tail.min() > 0.6


class Known:
    """A target whose parameters are independent of each other, with skewed likelihoods."""

    carries = False
    easy = 1.0

    def __init__(self, hypers):
        self.hypers = hypers

    def each(self, k, value):
        """Log likelihood of one parameter."""
        return -math.exp(2.0 * value) + 4.0 * value if self.hypers[k].kind == "w" else -2.0 * (k % 3) * value

    def log(self, u, theta):
        return sum(self.each(k, float(t)) for k, t in enumerate(theta))

    def refresh(self, value, rng, tuning):
        return value

    def anchor(self, u): ...

    def adopt(self): ...

    def draw(self, rng):
        return np.zeros(0)

    def keep(self):
        return {}


def test_chains_draw_from_a_known_skewed_posterior(many, monkeypatch):
    s = mm.Model(*many).specification
    hypers = s.system.hypers
    assert len(hypers) > MANY
    known = Known(hypers)
    monkeypatch.setattr(chain, "target_of", lambda specification: known)
    task = chain.Task(s, posterior_peaks(s), np.random.SeedSequence(4), 1500, 500, 0)
    sampler = chain.Sampler(task)
    out = []
    with np.errstate(all="ignore"):
        for iteration in range(task.tune):
            sampler.tune(iteration)
        for _ in range(task.draws):
            sampler.iterate()
            out.append(sampler.coordinates.theta(sampler.state.u))
    assert isinstance(sampler.coordinates.margins, Evened)
    scores, draws = Scores(hypers), np.array(out)
    for k, p in enumerate(hypers):
        low = 0.0 if scores.folded[k] else -8.0

        def density(u, p=p, k=k):
            value = p.prior.inverse_above(2.0 * stats.norm.sf(u)) if scores.folded[k] else p.prior.from_score(u)
            return math.exp(known.each(k, float(value)) - 0.5 * u * u)

        total = integrate.quad(density, low, 8.0, limit=200)[0]
        at = [scores.half_score(p.prior, v) if scores.folded[k] else p.prior.to_score(v) for v in draws[::300, k]]
        for u, value in zip(at, draws[::300, k], strict=True):
            mass = integrate.quad(density, low, float(u), limit=200)[0] / total
            assert np.mean(draws[:, k] <= value) == pytest.approx(mass, abs=4.5 * 0.5 / math.sqrt(300.0)), p.name


def test_chains_with_many_parameters_go_on_as_if_they_had_not_stopped(many):
    run = {"tune": 300, "chains": 2, "random_seed": 3, "progress": False}
    whole = mm.fit(*many, draws=30, **run)
    assert "margins" in whole.posterior.outcome.draws.state
    again = mm.fit(*many, draws=20, **run).extend(10, progress=False)
    np.testing.assert_array_equal(whole.posterior.draws, again.posterior.draws)


def test_few_parameters_keep_their_coordinates(many):
    formula, data = many
    fit = mm.fit(
        formula.replace(" + b + c + d + e + f", ""), data, draws=20, tune=100, chains=1, random_seed=1, progress=False
    )
    assert "margins" not in fit.posterior.outcome.draws.state
    assert type(margins_of({})) is Margins
