"""Members that combine in the mean, beside linear predictors of the spread, of zeros and of cuts."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import micromacro as mm
from micromacro.engines.joint import log_joint
from micromacro.engines.marginals import laplace_marginal
from micromacro.numerics.differences import slopes

SPREAD = "~ v + mm(m, g, q, effects = none, name = S)"
BEST = "mm(m, g, x, weights = exp(b1 * q), combine = smax(kappa))"


def design(groups=40, members=10, seed=1):
    rng = np.random.default_rng(seed)
    rows = [(g, m) for g in range(groups) for m in rng.choice(members, rng.integers(2, 5), replace=False)]
    table = pd.DataFrame(rows, columns=["g", "m"])
    table["x"], table["q"] = rng.standard_normal((2, len(table)))
    own = {
        "v": rng.standard_normal(groups), "c": np.arange(groups) % 5, "y": rng.standard_normal(groups),
        "k": rng.poisson(2.0, groups), "s": rng.uniform(0.1, 0.9, groups), "t": rng.gamma(2.0, 1.0, groups),
        "o": 1 + np.arange(groups) % 3, "nine": np.full(groups, 9),
    }  # fmt: skip
    return table.assign(**{name: values[table["g"]] for name, values in own.items()})


MODELS = {
    "spread": (f"y ~ v + {BEST}", {"sigma": SPREAD}),
    "mean of powers": ("y ~ mm(m, g, x, combine = ces(p))", {"sigma": "~ v"}),
    "two of student": (f"y ~ v + {BEST}", {"family": "student", "sigma": "~ v", "nu": "~ v"}),
    "dispersion": (f"k ~ {BEST} + (1 | c)", {"family": "negative_binomial", "phi": "~ v"}),
    "zeros": (f"k ~ {BEST}", {"family": "zero_inflated_poisson", "zi": SPREAD}),
    "hurdle": (f"k ~ {BEST}", {"family": "hurdle_negative_binomial", "hu": "~ v"}),
    "shares": (f"trials(k, nine) ~ {BEST}", {"family": "beta_binomial", "phi": "~ v"}),
    "durations": (f"surv(t) ~ {BEST}", {"family": "weibull", "shape": "~ v"}),
    "weights with effects": ("y ~ v + mm(m, g, x, weights = softmax(q | c))", {"sigma": "~ v"}),
    "cuts": (f"o ~ nominal(v) + {BEST}", {"family": "ordinal"}),
}


def marginal_of(formula, table, **given):
    """Laplace's formula for a model and a theta away from its start."""
    specification = mm.Model(formula, table, **given).specification
    hypers = specification.system.hypers
    theta = np.array([p.start + (0.2 if p.kind in ("w", "aggregate", "b") else 0.0) for p in hypers])
    return laplace_marginal(specification), theta


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_differences(name):
    formula, given = MODELS[name]
    marginal, theta = marginal_of(formula, design(), **given)
    room = marginal.workspace()
    _, slope = marginal.gradient(theta, room)

    def value(at):
        return np.array([marginal.value(at, room)])

    found = slopes(value, theta, np.full(len(theta), 1e-5))[0]
    np.testing.assert_allclose(slope, found, rtol=1e-5, atol=2e-5)


@pytest.mark.slow
def test_nuts_has_the_same_densities():
    """Written independently, from the parts' data."""
    pytest.importorskip("numpyro")
    import jax

    from micromacro.engines.nuts.density import Joint

    rng = np.random.default_rng(1)
    for formula, given in MODELS.values():
        specification = mm.Model(formula, design(), **given).specification
        system = specification.system
        theta = np.array([p.start + (0.1 if p.kind in ("w", "aggregate") else 0.0) for p in system.hypers])
        x = 0.4 * rng.standard_normal(system.size)
        with jax.enable_x64(True):
            other = float(Joint(specification).log_density(theta, x))
        assert log_joint(specification, theta, x, system.workspace(gradient=False)) == pytest.approx(other, abs=1e-9)


GROUPS = [[0], [1], [0, 1], [0, 1], [1], [0, 1], [0], [0, 1]]
V = np.array([0.5, -1.0, 0.3, 1.2, -0.4, 0.0, 0.8, -0.7])
Y, K = np.array([0.4, 1.1, 0.2, 1.5, 0.7, -0.3, 0.1, 0.9]), np.array([0, 2, 1, 0, 3, 0, 1, 4])


def normal(eta, other):
    return stats.norm.logpdf(Y, eta, np.exp(other))


def zeros(eta, other):
    p = special.expit(other)
    poisson = stats.poisson.logpmf(K, np.exp(eta))
    return np.where(K == 0, np.log(p + (1 - p) * np.exp(poisson)), np.log1p(-p) + poisson)


@pytest.mark.parametrize(("outcome", "given", "density"), [
    ("y", {"sigma": "~ v"}, normal), ("k", {"family": "zero_inflated_poisson", "zi": "~ v"}, zeros),
])  # fmt: skip
def test_the_joint_density_integrates_to_what_quadrature_says(outcome, given, density):
    """Two members' effects on a grid: densities written out here, point by point, and Laplace's formula near them."""
    table = pd.DataFrame([(g, m) for g, who in enumerate(GROUPS) for m in who], columns=["g", "m"])
    g = table["g"].to_numpy()
    table = table.assign(v=V[g], y=Y[g], k=K[g])
    held = dict(zip(("sigma", "zi"), ((-0.6, 0.5), (-1.0, 0.7)), strict=True))
    (name, (level, slope)), kappa, sd = next(h for h in held.items() if h[0] in given), -2.5, 0.6
    fixed = {f"{name}.Intercept": level, f"{name}.v": slope, "m.sd": sd, "Intercept": 0.3}
    model = mm.Model(f"{outcome} ~ mm(m, g, combine = smax({kappa}))", table, fixed=fixed, **given)
    specification = model.specification
    theta = np.array([p.start for p in specification.system.hypers])
    room, n = specification.system.workspace(gradient=False), specification.system.n_effects
    node, weight = np.polynomial.hermite_e.hermegauss(30)
    points = np.stack(np.meshgrid(node, node), axis=-1).reshape(-1, 2)
    made, ours = [], []
    for u in points:
        eta = [0.3 + np.log(np.mean(np.exp(kappa * sd * u[who]))) / kappa for who in GROUPS]
        made.append(density(np.array(eta), level + slope * V).sum())
        x = specification.system.natural_order(specification.system.start).copy()
        x[:n] = u
        ours.append(log_joint(specification, theta, x, room) + 0.5 * u @ u)
    ours = np.array(ours) - ours[0] + made[0]  # but for constants of priors
    np.testing.assert_allclose(ours, made, atol=1e-9)
    masses = np.outer(weight, weight).ravel() / weight.sum() ** 2
    exact = np.log(np.exp(made) @ masses)
    assert model.fit(engine="ml").loglik == pytest.approx(exact, abs=0.1)


TRUTH = {
    "Intercept": 0.2, "v": 0.4, "m.x": 0.6, "m.smax.kappa": -1.5, "m.sd": 0.5, "sigma.Intercept": -1.0,
    "sigma.v": 0.4, "sigma.S.q": 0.5,
}  # fmt: skip


@pytest.fixture(scope="module")
def teams():
    """Teams as good as their weakest member, and more spread out where q is large."""
    table = design(160, 30, seed=3)
    formula = "y ~ v + mm(m, g, x, combine = smax(kappa))"
    y = mm.Model(formula, table, sigma=SPREAD).simulate(TRUTH, random_seed=4).outcome[0]
    table["y"] = np.asarray(y)[table["g"]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)  # how far the formula is off is said
        return table, mm.fit(formula, table, sigma=SPREAD, engine="ml")


def test_truths_are_found(teams):
    _, fit = teams
    found = fit.params[list(TRUTH)]
    z = (found - pd.Series(TRUTH)) / fit.bse[list(TRUTH)]
    assert z.abs().max() < 3.5
    assert fit.conf_int().loc["m.smax.kappa"].iloc[1] < 0.0 < fit.conf_int().loc["sigma.S.q"].iloc[0]


def test_both_predictors_are_predicted(teams, tmp_path):
    table, fit = teams
    row, p = table[table["g"] == 7], fit.params
    zeta = p["m.x"] * row["x"].to_numpy() + fit.random_effects("m").iloc[:, 0].loc[row["m"]].to_numpy()
    kappa, v = p["m.smax.kappa"], row["v"].iloc[0]
    eta = p["Intercept"] + p["v"] * v + np.log(np.mean(np.exp(kappa * zeta))) / kappa
    log_sigma = p["sigma.Intercept"] + p["sigma.v"] * v + p["sigma.S.q"] * row["q"].mean()
    for data in (None, row):
        assert fit.predict(data).loc[7].iloc[0] == pytest.approx(eta, rel=1e-9)
        assert fit.predict(data, dpar="sigma").loc[7].iloc[0] == pytest.approx(np.exp(log_sigma), rel=1e-9)
    fit.save(tmp_path / "fit.nc")
    np.testing.assert_array_equal(mm.load(tmp_path / "fit.nc").params, p)


@pytest.mark.parametrize("formula", ["y ~ mm(m, g, combine = min)", "y ~ mm(m, g, weights = softmax(q | c))"])
def test_effects_in_another_predictor_are_refused(formula):
    with pytest.raises(mm.ModelError, match="give the other predictor covariates only"):
        mm.fit(formula, design(), sigma="~ (1 | c)", engine="ml")
