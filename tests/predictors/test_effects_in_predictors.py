"""Effects in the linear predictors of a family's parameters: rows that stack, and what is said of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special

import micromacro as mm
from micromacro.engines.accuracy import Pairs, log_mean_weight
from micromacro.engines.marginals import laplace_marginal
from micromacro.families.registry import FAMILIES
from micromacro.families.stacked import Stacked
from micromacro.latent.beside import Beside
from micromacro.numerics.differences import central
from micromacro.posterior.leaveout.joint import LeaveSetsOut

N = 30
OUTCOMES = {
    "gaussian": lambda rng: rng.standard_normal(N), "student": lambda rng: rng.standard_normal(N),
    "lognormal": lambda rng: rng.exponential(1.0, N), "gamma": lambda rng: rng.gamma(2.0, 1.0, N),
    "weibull": lambda rng: rng.exponential(1.0, N), "beta": lambda rng: rng.beta(2.0, 3.0, N),
    "beta_binomial": lambda rng: rng.integers(0, 8, N),
}  # fmt: skip


def outcome(word, rng):
    make = OUTCOMES.get(word, lambda r: r.poisson(1.5, N) * r.integers(0, 2, N))
    written = {"beta_binomial": "trials(y, n)", "weibull": "surv(y, e)", "lognormal": "surv(y, e)"}.get(word, "y")
    table = pd.DataFrame({"y": make(rng), "n": 8, "e": np.arange(N) % 4 > 0, "v": rng.standard_normal(N)})
    return mm.Model(f"{written} ~ v", table, family=word).fit(engine="ml").specification


@pytest.mark.parametrize("word", [word for word, kind in FAMILIES.items() if kind.predictors])
def test_derivatives_are_differences_of_the_density(word):
    rng = np.random.default_rng(4)
    s = outcome(word, rng)
    names, family = list(s.own_names), s.family
    rows = tuple(names.index(name) for name in family.predictors)
    m = 1 + len(rows)
    beside = Beside(rows, tuple(family.predictors.values()), len(names), (), np.zeros((m - 1, N)), stacked=True)
    stacked = Stacked(family, beside, N)
    values, b = stacked.row_values(s.response.values), stacked.blocks
    eta = 0.4 * rng.standard_normal(m * N)
    own = np.array([1.3 for k in range(len(names)) if k not in rows])
    out, moved = np.zeros((4, b.rows + b.pairs)), np.zeros((4, b.rows + b.pairs))
    stacked.slopes(values, eta, own, out)
    np.testing.assert_allclose(out[0, : b.rows], stacked.log_density(values, eta, own, np, special), atol=1e-9)
    for r in range(0, b.rows, 7):

        def density(h, r=r):
            step = eta + h * (np.arange(b.rows) == r)
            return float(stacked.log_density(values, step, own, np, special).sum())

        def slope(h, r=r):
            stacked.slopes(values, eta + h * (np.arange(b.rows) == r), own, moved)
            return moved[1, : b.rows].copy()

        assert out[1, r] == pytest.approx(central(density, 1e-5), abs=1e-6)
        second = np.zeros(b.rows)
        second[r] = out[2, r]
        for of, other in ((b.high, b.low), (b.low, b.high)):
            second[other[of == r]] = out[2, b.rows :][of == r]
        np.testing.assert_allclose(second, central(slope, 1e-4), rtol=1e-5, atol=1e-6)


def test_third_derivatives_of_a_normal_are_differences():
    rng = np.random.default_rng(5)
    family, beside = mm.families.gaussian(), Beside((0,), ("log",), 1, (), np.zeros((1, N)), stacked=True)
    stacked = Stacked(family, beside, N)
    values, eta = rng.standard_normal((1, 2 * N)), 0.4 * rng.standard_normal(2 * N)
    b, leverage, out = stacked.blocks, rng.standard_normal(3 * N), np.empty(2 * N)
    assert stacked.skew(values, eta, np.empty(0), leverage, out)
    for position in range(2):
        here = b.position == position

        def second(h, here=here):
            moved = np.empty((4, 3 * N))
            stacked.slopes(values, eta + h * here, np.empty(0), moved)
            return moved[2]

        np.testing.assert_allclose(out[here], b.sums(0.5 * leverage * central(second, 1e-5)), atol=1e-7)


@pytest.fixture(scope="module")
def groups():
    rng = np.random.default_rng(8)
    table = pd.DataFrame({"v": rng.standard_normal(160), "c": rng.permutation(np.arange(160) % 16)})
    shown = mm.Model("y ~ v + (1 | c)", table.assign(y=table["v"]), sigma="~ v + (1 | c)")
    truth = {"Intercept": 1.0, "v": 0.5, "c.sd": 0.6, "sigma.Intercept": -0.3, "sigma.v": 0.2, "sigma.c.sd": 0.6}
    return table.assign(y=shown.simulate(truth, random_seed=2).outcome[0])


@pytest.fixture(scope="module")
def fit(groups):
    return mm.fit("y ~ v + (1 | c)", groups, sigma="~ v + (1 | c)", engine="ml")


def by_quadrature(table, p, nodes=41):
    """The log-likelihood, both effects of each unit integrated out on a grid."""
    node, weight = np.polynomial.hermite_e.hermegauss(nodes)
    weight = np.log(weight / weight.sum())
    total = 0.0
    for _, rows in table.groupby("c"):
        y, v = rows["y"].to_numpy(), rows["v"].to_numpy()
        mean = p["Intercept"] + p["v"] * v + p["c.sd"] * node[:, None, None]
        log_sd = p["sigma.Intercept"] + p["sigma.v"] * v + p["sigma.c.sd"] * node[None, :, None]
        each = -0.5 * ((y - mean) / np.exp(log_sd)) ** 2 - log_sd - 0.5 * np.log(2.0 * np.pi)
        total += special.logsumexp(each.sum(axis=2) + weight[:, None] + weight[None, :])
    return total


def test_the_likelihood_is_that_of_quadrature_but_for_laplaces_error(groups, fit):
    """Importance sampling around the corrected mean, by the block's factor, gives the integral itself."""
    exact, s = by_quadrature(groups, fit.params), fit.specification
    assert fit.loglik == pytest.approx(exact, abs=1.5)
    marginal = laplace_marginal(s, held=True)
    room, optimum = marginal.workspace(), fit.posterior.optimum
    point = np.concatenate([optimum.theta, optimum.x[s.system.n_effects :]])
    assert marginal.value(point, room) == pytest.approx(fit.loglik, abs=1e-6)
    pairs, rng = Pairs(marginal, room), np.random.default_rng(1)
    pairs.at(optimum.theta)
    logs = np.array([pairs.draw(rng.standard_normal(s.system.size)) for _ in range(3000)])
    assert fit.loglik + float(log_mean_weight(logs)) == pytest.approx(exact, abs=0.15)


def test_its_gradient_is_that_of_differences(fit):
    s = fit.specification
    marginal = laplace_marginal(s, held=True)
    room, optimum = marginal.workspace(), fit.posterior.optimum
    point = np.concatenate([optimum.theta, optimum.x[s.system.n_effects :]]) + 0.05
    _, slope = marginal.gradient(point, room)
    for k in range(len(point)):
        assert slope[k] == pytest.approx(
            central(lambda h, k=k: marginal.value(point + h * (np.arange(len(point)) == k), room), 1e-4), abs=2e-5
        )


def test_effects_have_the_name_of_their_predictor(fit):
    assert {"c.sd", "sigma.c.sd", "sigma.v", "sigma.Intercept"} <= set(fit.params.index)
    assert fit.random_effects("sigma.c").index.name == "sigma.c"
    assert list(fit.variance_components().index) == ["c", "residual"]
    words = fit.model.explain() if hasattr(fit, "model") else ""
    assert "u_sigma.c[c[i]]" in words or not words


def test_a_spread_of_new_units_is_the_mean_over_their_population(fit, groups):
    new = groups.head(2).assign(c=[99, 0], v=0.3)
    p = fit.params
    known = fit.predict(new, dpar="sigma")["estimate"].iloc[0]
    assert known == pytest.approx(
        np.exp(p["sigma.Intercept"] + 0.3 * p["sigma.v"] + 0.5 * p["sigma.c.sd"] ** 2), rel=1e-6
    )
    marginal = fit.predict(new, dpar="sigma", effects="marginal")["estimate"]
    np.testing.assert_allclose(marginal, known, rtol=1e-6)
    residual = fit.variance_components().loc["residual", "variance"]
    middle = np.exp(2.0 * (p["sigma.Intercept"] + p["sigma.v"] * groups["v"] + p["sigma.c.sd"] ** 2)).mean()
    assert residual == pytest.approx(middle, rel=1e-4)


@pytest.mark.parametrize(
    "sigma",
    [
        "~ mm(m, g, x, weights = 1/n**exp(b * x))", "~ mm(m, g, effects = fixed)", "~ s(v, k=5) + (1 + v | c)",
        "~ mm(m, g, name = A) + mm(m2, g, effects = correlated_with(A))", "~ mm(m, g, effects = known(K))",
    ],
)  # fmt: skip
def test_every_kind_of_term_may_stand_there(sigma):
    rng = np.random.default_rng(6)
    rows = [(g, m) for g in range(90) for m in rng.choice(9, rng.integers(1, 4), replace=False)]
    table = pd.DataFrame(rows, columns=["g", "m"]).assign(x=lambda t: rng.standard_normal(len(t)))
    table["m2"], table["c"] = rng.integers(0, 9, len(table)), table["g"] % 10
    table["v"], table["y"] = rng.standard_normal((2, 90))[:, table["g"]]
    known = {"known": {"K": pd.DataFrame(0.5 ** np.abs(np.subtract.outer(np.arange(9), np.arange(9))))}}
    fit = mm.fit("y ~ v", table, sigma=sigma, engine="ml", **(known if "known" in sigma else {}))
    s = fit.specification
    marginal = laplace_marginal(s, held=True)
    room, optimum = marginal.workspace(), fit.posterior.optimum
    point = 0.95 * np.concatenate([optimum.theta, optimum.x[s.system.n_effects :]]) + 0.02
    _, slope = marginal.gradient(point, room)
    for k in range(len(point)):
        away = central(lambda h, k=k: marginal.value(point + h * (np.arange(len(point)) == k), room), 1e-4)
        assert slope[k] == pytest.approx(away, rel=1e-4, abs=1e-4)
    some = fit.predict(table[table["g"] < 9], dpar="sigma")["estimate"]
    np.testing.assert_allclose(some, fit.predict(dpar="sigma")["estimate"].loc[some.index], rtol=1e-10)


@pytest.mark.slow
def test_a_block_in_the_spread_recovers_its_truth():
    """Members widen the outcomes of their groups, by shares that are estimated."""
    rng = np.random.default_rng(3)
    rows = [(g, m) for g in range(900) for m in rng.choice(40, rng.integers(1, 5), replace=False)]
    long = pd.DataFrame(rows, columns=["g", "m"])
    long["x"] = rng.standard_normal(len(long))
    asked = {"sigma": "~ mm(m, g, weights = softmax(x))"}
    truth = {"Intercept": 0.0, "m.sd": 0.5, "sigma.Intercept": -0.5, "sigma.m.w.x": 1.0, "sigma.m.sd": 0.7}
    made = mm.Model("y ~ mm(m, g)", long.assign(y=long["g"] % 5), **asked).simulate(truth, random_seed=5)
    fit = mm.fit("y ~ mm(m, g)", long.assign(y=made.outcome[0][long["g"]]), engine="ml", **asked)
    away = (fit.params - pd.Series(truth)) / fit.bse
    assert away.abs().max() < 3.0
    assert fit.bse["sigma.m.w.x"] < 0.5


@pytest.mark.filterwarnings("ignore::micromacro.MicromacroWarning")
def test_leaving_out_is_with_the_effects_given(groups):
    fit = mm.fit("y ~ v + (1 | c)", groups, sigma="~ (1 | c)", engine="laplace", draws=60, random_seed=1)
    assert np.isfinite(fit.loo().elpd)
    assert fit.loo_pit(integrated=False, random_seed=1).between(0.0, 1.0).all()
    for ask in (lambda: fit.loo(integrated=True), lambda: fit.loo(by="c"), lambda: fit.loo_pit(integrated=True)):
        with pytest.raises(mm.EngineError, match="sigma=, phi=, shape= or nu= have effects"):
            ask()


def test_effects_in_zeros_are_integrated_out_as_quadrature_does():
    """Two effects of each unit on a grid; one count is a surprise. Propagation has an error of its own."""
    rng, node = np.random.default_rng(8), np.linspace(-5.0, 5.0, 61)
    c = np.repeat(np.arange(12), 4)
    u, z = (0.6 * rng.standard_normal(12))[c], rng.standard_normal(12)[c]
    y = rng.poisson(np.exp(1.0 + u)) * (rng.random(48) > special.expit(-1.0 + z))
    y[7] += 9
    held = {"Intercept": 1.0, "zi.Intercept": -1.0}
    s = mm.Model("y ~ 1 + (1 | c)", pd.DataFrame({"y": y, "c": c}), family="zero_inflated_poisson",
                 zi="~ 1 + (1 | c)", fixed=held).specification  # fmt: skip
    values = {**held, "c.sd": 0.6, "zi.c.sd": 1.0}
    theta = np.array([values[p.name] for p in s.system.hypers])
    found = LeaveSetsOut(s, [np.array([k]) for k in range(48)]).at(theta)
    y, c = s.outcome, np.asarray(s.tables.groups["c"].values)
    a, b = np.meshgrid(1.0 + 0.6 * node, -1.0 + node, indexing="ij")
    log_w = -0.5 * (node[:, None] ** 2 + node**2)
    exact = np.empty(48)
    for unit in range(12):
        own = np.flatnonzero(c == unit)
        count = y[own, None, None] * a - np.exp(a) - special.gammaln(y[own, None, None] + 1.0)
        each = special.log_expit(-b) + count
        each = np.where(y[own, None, None] > 0, each, np.logaddexp(special.log_expit(b), each))
        whole = log_w + each.sum(axis=0)
        exact[own] = special.logsumexp(whole) - special.logsumexp(whole - each, axis=(1, 2))
    away = np.abs(found - exact)
    assert exact.min() < -5.0  # the surprise
    assert np.median(away) < 0.02 and np.quantile(away, 0.95) < 0.1 and away.max() < 0.5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::micromacro.MicromacroWarning")
def test_zeros_with_effects_are_left_out(groups):
    table = groups.assign(y=np.random.default_rng(3).poisson(1.5, len(groups)) * (np.arange(len(groups)) % 3 > 0))
    fit = mm.fit("y ~ v", table, family="hurdle_poisson", hu="~ (1 | c)", engine="laplace", draws=20, random_seed=1)
    by_unit, each = fit.loo(by="hu.c"), fit.loo(integrated=True)
    assert len(by_unit.pointwise) == table["c"].nunique()
    assert abs(each.elpd - fit.loo().elpd) < 3.0
    assert fit.loo_pit(random_seed=1).between(0.0, 1.0).all()
