"""Fits in which members combine: what they are where the sum is known, what they find, what they predict."""

import warnings

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines.joint import log_joint
from micromacro.engines.marginals import laplace_marginal
from micromacro.numerics.differences import slopes
from micromacro.results.verbs.aggregations import nesting


def design(groups=120, members=24, seed=1):
    rng = np.random.default_rng(seed)
    rows = [(g, m) for g in range(groups) for m in rng.choice(members, rng.integers(1, 5), replace=False)]
    table = pd.DataFrame(rows, columns=["g", "m"])
    table["x"], table["q"] = rng.standard_normal((2, len(table)))
    table["z"] = rng.standard_normal(groups)[table["g"]]
    return table.assign(y=rng.standard_normal(groups)[table["g"]])


def drawn(formula, truth, family="gaussian", seed=2, **size):
    """Data that follow a formula."""
    table = design(**size)
    start = table.assign(y=(table["g"] % 2).astype(float) if family == "bernoulli" else table["y"])
    y = mm.Model(formula, start, family=family).simulate(truth, random_seed=seed).outcome[0]
    return table.assign(y=np.asarray(y)[table["g"]])


FORMULA = "y ~ z + mm(m, g, x, combine = smax(kappa))"
TRUTH = {"Intercept": 0.2, "z": 0.4, "m.x": 0.6, "m.smax.kappa": -2.0, "m.sd": 0.8, "sigma": 0.4}


@pytest.fixture(scope="module")
def fit():
    return mm.fit(FORMULA, drawn(FORMULA, TRUTH), engine="ml")


def at_start(formula, data, **more):
    specification = mm.Model(formula, data, **more).specification
    return specification, np.array([p.start for p in specification.system.hypers])


def test_at_a_shape_of_zero_it_is_the_weighted_mean():
    data = drawn(FORMULA, TRUTH)
    mean = "mm(m, g, x, weights = exp(b * q), normalize = group)"
    soft = "mm(m, g, x, weights = exp(b * q), combine = smax(0))"
    values = []
    for term in (mean, soft):
        specification, theta = at_start(f"y ~ z + {term}", data)
        marginal = laplace_marginal(specification)
        theta[0] = 0.4  # the weights'
        values.append(marginal.gradient(theta, marginal.workspace()))
    assert values[0][0] == pytest.approx(values[1][0], abs=1e-9)
    np.testing.assert_allclose(values[0][1], values[1][1], rtol=1e-6, atol=1e-7)


RING = {i: [(i - 1) % 10, (i + 1) % 10] for i in range(10)}
TERMS = {
    "powers": "mm(m, g, x, weights = exp(b * q), effects = iid(1 + x), combine = ces(p))",
    "extreme": "mm(m, g, x, weights = exp(b * q), effects = iid(1 + x), combine = min)",
    "types": "mm(m, g, x, effects = correlated(1 + q), by = type, combine = smax(kappa))",
    "walk": "mm(m, g, x, effects = walk, combine = smax(kappa))",
    "ar1": "mm(m, g, x, effects = ar1(t), combine = smax(kappa))",
    "graph": "mm(m, g, x, effects = car(G), combine = smax(kappa))",
    "without pooling": "mm(m, g, x, effects = fixed, combine = smax(kappa))",
    "without effects": "mm(m, g, x + fix(q, 0.3), weights = power(q), effects = none, combine = smax(kappa))",
    "empty slots": "mm(some, g, x, combine = smax(kappa), name = m)",
    "together": "mm(m, g, x, combine = smax(kappa)) + mm(m, g, combine = ces(p), name = C) + mm(m, g, q, name = D)",
}


@pytest.mark.parametrize("name", TERMS)
def test_gradients_are_differences(name):
    table = drawn(FORMULA, TRUTH, groups=40, members=10)
    table["type"], table["t"] = np.where(table["m"] % 2 == 0, "even", "odd"), table["g"] // 3
    table["some"] = table["m"].where(table["g"] % 5 > 0).astype("Int64")
    given = {"graphs": {"G": RING}} if name == "graph" else {}
    prior = {"m.x": mm.prior.student(4, 0, 1)}
    specification, theta = at_start(f"y ~ z + {TERMS[name]}", table, priors=prior, **given)
    theta = theta + 0.2 * np.array([p.kind in ("w", "aggregate") for p in specification.system.hypers])
    marginal = laplace_marginal(specification)
    _, slope = marginal.gradient(theta, marginal.workspace())

    def value(at):
        return np.array([marginal.value(at, marginal.workspace())])

    found = slopes(value, theta, np.full(len(theta), 1e-5))[0]
    np.testing.assert_allclose(slope, found, rtol=1e-5, atol=1e-6)


OUTCOMES = {
    "gaussian": "y", "student": "y", "bernoulli": "b", "binomial": "trials(k, five)", "poisson": "k",
    "negative_binomial": "k", "zero_inflated_poisson": "k", "hurdle_poisson": "k", "gamma": "t", "beta": "s",
    "ordinal": "k", "weibull": "surv(t, b)", "lognormal": "surv(t, b)", "cox": "surv(t, b)",
}  # fmt: skip


@pytest.mark.parametrize("family", OUTCOMES)
def test_the_density_is_that_of_dense_algebra(family):
    """Laplace's formula from the joint density alone: its mode and its Hessian by differences, two blocks."""
    table = design(groups=14, members=4)
    g, rng = table["g"].to_numpy(), np.random.default_rng(5)
    table["b"], table["k"] = (np.arange(14) % 2)[g], (np.arange(14) % 4)[g]
    table["t"], table["s"] = rng.uniform(0.3, 3.0, 14)[g], rng.uniform(0.1, 0.9, 14)[g]
    table["five"], table["m2"] = 5, rng.integers(0, 3, len(table))
    terms = "mm(m, g, x, weights = exp(b1 * q), combine = smax(kappa)) + mm(m2, g, combine = ces(p), name = C)"
    given = mm.families.cox([1.0]) if family == "cox" else family
    specification, theta = at_start(f"{OUTCOMES[family]} ~ z + {terms}", table, family=given)
    theta = theta + 0.3 * np.array([p.kind in ("w", "aggregate") for p in specification.system.hypers])
    marginal, own = laplace_marginal(specification), specification.system.workspace(gradient=False)
    room = marginal.workspace()
    value = marginal.value(theta, room)
    mode, n = marginal.x(room), specification.system.size
    prior = sum(p.prior.log_density(t) for p, t in zip(specification.system.hypers, theta, strict=True))

    def density(x):
        return np.array([log_joint(specification, theta, x, own) - prior])

    def gradient(x):
        return slopes(density, x, np.full(n, 3e-4))[0]

    np.testing.assert_allclose(gradient(mode), 0.0, atol=2e-4)
    hessian = -slopes(gradient, mode, np.full(n, 1e-3))
    sign, size = np.linalg.slogdet(hessian)
    assert sign > 0 and value == pytest.approx(density(mode)[0] + 0.5 * (n * np.log(2 * np.pi) - size), abs=1e-3)


def test_an_integral_over_two_effects_is_what_quadrature_says():
    """Two members who play together and apart: the integral over both effects on a grid."""
    groups = [[0], [1], [0, 1], [0, 1], [1], [0, 1]]
    table = pd.DataFrame([(g, m) for g, who in enumerate(groups) for m in who], columns=["g", "m"])
    table["y"] = np.array([2.0, 1.0, 4.0, 3.0, 0.0, 5.0])[table["g"]]
    specification, _ = at_start("y ~ 0 + mm(m, g, combine = smax(1.5))", table, family="poisson")
    theta, (node, weight) = np.array([0.7]), np.polynomial.hermite_e.hermegauss(40)
    room = specification.system.workspace(gradient=False)
    x = np.stack(np.meshgrid(node, node), axis=-1).reshape(-1, 2)
    density = np.array([log_joint(specification, theta, at, room) for at in x])
    prior = specification.system.hypers[0].prior.log_density(0.7)
    exact = np.log(np.exp(density - prior + 0.5 * (x**2).sum(axis=1)) @ np.outer(weight, weight).ravel())
    marginal = laplace_marginal(specification)
    assert marginal.value(theta, marginal.workspace()) == pytest.approx(exact, abs=0.1)


def test_a_weakest_link_is_found(fit):
    low, high = fit.conf_int().loc["m.smax.kappa"]
    assert low < TRUTH["m.smax.kappa"] < high and high < 0.0
    assert abs(fit.params["m.x"] - TRUTH["m.x"]) < 4.0 * fit.bse["m.x"]
    assert "the worse one counts" in fit.interpret().loc["m.smax.kappa", "sentence"]
    assert "of every member (m) of a group" in fit.interpret().loc["m.x", "sentence"]


def test_own_tables_are_the_fit(fit):
    data = drawn(FORMULA, TRUTH)
    own = fit.predict()
    np.testing.assert_allclose(fit.predict(data).iloc[:, 0], own.iloc[:, 0], rtol=1e-12)
    effects = fit.random_effects("m").iloc[:, 0]
    row = data[data["g"] == 7]
    zeta = fit.params["m.x"] * row["x"].to_numpy() + effects.loc[row["m"]].to_numpy()
    kappa = fit.params["m.smax.kappa"]
    made = np.log(np.mean(np.exp(kappa * zeta))) / kappa
    linear = fit.params["Intercept"] + fit.params["z"] * row["z"].iloc[0] + made
    assert own.loc[7].iloc[0] == pytest.approx(linear, rel=1e-9)


def test_new_members_are_averaged_over_their_population(fit):
    """Of a group of strangers the mean is not that of members with effects of zero: the weakest of them is lower."""
    new = pd.DataFrame({"g": [900, 900, 900], "m": [101, 102, 103], "x": 0.0, "z": 0.0})
    drawn_over = fit.predict(new, random_seed=1).iloc[0, 0]
    zero = fit.predict(new, new_effects="zero").iloc[0, 0]
    rng = np.random.default_rng(4)
    kappa, sd = fit.params["m.smax.kappa"], fit.params["m.sd"]
    u = sd * rng.standard_normal((200_000, 3))
    expected = np.mean(np.log(np.mean(np.exp(kappa * u), axis=1)) / kappa)
    assert drawn_over - zero == pytest.approx(expected, abs=0.005)
    crowd = pd.DataFrame({"g": np.repeat([901, 902], 8), "m": range(200, 216), "x": 0.0, "z": 0.0})
    assert np.ptp(fit.predict(crowd).iloc[:, 0]) < 0.02  # other strangers, who are of the same population
    nobody = new.assign(m=pd.array([pd.NA] * 3, dtype="Int64"))
    assert fit.predict(nobody).iloc[0, 0] == pytest.approx(fit.params["Intercept"], rel=1e-9)


def test_variance_components_are_those_of_draws(fit):
    table = fit.variance_components()
    rng = np.random.default_rng(4)
    kappa, sd = fit.params["m.smax.kappa"], fit.params["m.sd"]
    size = fit.specification.members["m"].memberships.start
    each = []
    for n in np.diff(size):
        u = sd * rng.standard_normal((4000, n))
        each.append(np.var(np.log(np.mean(np.exp(kappa * u), axis=1)) / kappa))
    assert table.loc["m", "variance"] == pytest.approx(np.mean(each), rel=0.1)
    with pytest.raises(mm.ModelError, match="not a weighted sum"):
        fit.members("m").contributions()


def test_it_comes_back_from_a_file(fit, tmp_path):
    fit.save(tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc")
    np.testing.assert_array_equal(again.params, fit.params)
    np.testing.assert_array_equal(again.predict().iloc[:, 0], fit.predict().iloc[:, 0])


def test_an_exact_extreme_of_covariates():
    formula = "y ~ mm(m, g, x + q, effects = none, combine = max)"
    truth = {"Intercept": 0.1, "m.x": 0.8, "m.q": -0.5, "sigma": 0.3}
    fit = mm.fit(formula, drawn(formula, truth), engine="ml")
    assert np.all(np.abs(fit.params - pd.Series(truth)) < 4.0 * fit.bse)
    data = drawn(formula, truth)
    row = data[data["g"] == 3]
    made = (fit.params["m.x"] * row["x"] + fit.params["m.q"] * row["q"]).max()
    assert fit.predict().loc[3].iloc[0] == pytest.approx(fit.params["Intercept"] + made, rel=1e-9)
    specification, theta = at_start(formula, data)
    marginal = laplace_marginal(specification)  # with coefficients integrated the mode may lie on a kink
    assert np.isfinite(marginal.value(theta, marginal.workspace()))
    with pytest.raises(mm.EngineError, match="combine="):
        mm.fit(formula, data, engine="reml")


@pytest.mark.slow
def test_rivals_are_told_apart():
    formula = "y ~ mm(m, g, normalize = group)"
    truth = {"Intercept": 0.0, "m.sd": 1.0, "sigma": 0.4}
    data = drawn("y ~ mm(m, g, combine = min)", truth, groups=200, members=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = mm.aggregations(mm.Model(formula, data), ["mean", "combine = min", "combine = max"])
    assert out.preferred == ("combine = min",)
    assert "combine = min" in out.formulas["combine = min"]


@pytest.mark.slow
def test_links_are_undecided_where_members_do_not_differ():
    data = design(groups=90, members=20, seed=3)  # whose outcome has nothing to do with its members
    out = mm.aggregations(mm.Model("y ~ mm(m, g)", data), ["mean", "combine = min", "combine = max"])
    assert not out.decided
    assert "nothing to combine" in out.verdict
    with_x = mm.aggregations(mm.Model("y ~ mm(m, g, x)", data), ["mean", "combine = min"])
    assert "nothing to combine" not in with_x.verdict


def test_the_best_member_with_estimated_weights_does_not_contain_the_mean():
    data = design(groups=40, members=10)
    formula = "y ~ mm(m, g, x, weights = power(q){}, effects = none, normalize = group)"
    links = {"combine = max": ", combine = max", "power(q)": "", "mean": ""}
    formulas = {link: formula.format(more) for link, more in links.items()}
    formulas["mean"] = formulas["mean"].replace("weights = power(q), ", "")
    fits = {link: mm.fit(each, data, engine="ml") for link, each in formulas.items()}
    assert nesting(fits, "m") == {"combine = max": (), "power(q)": ("mean",)}


@pytest.mark.slow
def test_draws_are_those_of_nuts():
    data = drawn(FORMULA, TRUTH, groups=60, members=12)
    run = {"draws": 500, "tune": 500, "chains": 2, "random_seed": 1, "progress": False}
    fits = [mm.fit(FORMULA, data, engine=engine, **run).summary() for engine in ("mcmc", "nuts")]
    error = np.hypot(fits[0]["mcse_mean"], fits[1]["mcse_mean"])
    assert np.all(np.abs(fits[0]["mean"] - fits[1]["mean"]) < 4.5 * error)


def test_durations_drawn_again_have_rows_of_their_own():
    data = drawn(FORMULA, TRUTH).assign(time=lambda t: np.exp(t["y"]), event=1)
    family = mm.families.cox(intervals=3)
    fit = mm.fit(FORMULA.replace("y ~", "surv(time, event) ~"), data, family=family, engine="ml")
    again = fit.bootstrap(2, random_seed=1)
    assert np.isfinite(again.estimates.to_numpy()).all()
