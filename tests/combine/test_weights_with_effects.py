"""Weights whose coefficients vary over units: their derivatives, their density, what fits find and say."""

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines.joint import log_joint
from micromacro.engines.marginals import laplace_marginal
from micromacro.language.parse import parse_expression, parse_formula
from micromacro.language.printing import member_text
from micromacro.numerics.differences import slopes
from micromacro.terms.member.jets import orders


def design(units=5, each=6, members=8, seed=1):
    rng = np.random.default_rng(seed)
    rows = [(g, m) for g in range(units * each) for m in rng.choice(members, rng.integers(1, 4), replace=False)]
    table = pd.DataFrame(rows, columns=["g", "m"])
    table["x"], table["q"], table["r"] = rng.standard_normal((3, len(table)))
    table["s"], table["u"] = rng.uniform(0.2, 0.8, len(table)), table["g"] // each
    of_group = rng.standard_normal((2, units * each))
    return table.assign(z=of_group[0][table["g"]], y=of_group[1][table["g"]])


def drawn(formula, truth, seed=2, **size):
    """Data that follow a formula."""
    table = design(**size)
    y = mm.Model(formula, table).simulate(truth, random_seed=seed).outcome[0]
    return table.assign(y=np.asarray(y)[table["g"]])


FORMULA = "y ~ z + mm(m, g, x, weights = softmax(q | u))"
TRUTH = {"Intercept": 0.2, "z": 0.4, "m.x": 1.0, "m.w.q": 0.5, "m.w.q.sd": 0.8, "m.sd": 0.5, "sigma": 0.3}


@pytest.fixture(scope="module")
def data():
    return drawn(FORMULA, TRUTH, units=12, each=10)


@pytest.fixture(scope="module")
def fit(data):
    return mm.fit(FORMULA, data, engine="ml")


def specified(weights, data=None, rest="", normalize="group", **more):
    term = f"mm(m, g, x, weights = {weights}, normalize = {normalize})"
    return mm.Model(f"y ~ z + {term}{rest}", design() if data is None else data, **more).specification


def a_theta(specification):
    start = np.array([p.start for p in specification.system.hypers])
    return start + 0.3 * np.array([p.kind in ("w", "aggregate") for p in specification.system.hypers])


# -- the language --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "weights",
    ["power(x + z | u)", "softmax(x | a:b)", "exp((b1 | u) * x + b2 * z)", "1 / n ** exp(-((b1 | u) * x))", "(b | u)"],
)
def test_what_is_printed_is_read_again(weights):
    text = f"y ~ mm(m, g, weights = {weights}, normalize = group)"
    call = parse_formula(text).members[0]
    assert weights in member_text(call)
    assert parse_formula(f"y ~ {member_text(call)}").members[0] == call


def test_a_bar_belongs_to_weights():
    with pytest.raises(mm.FormulaError, match="must stand by itself"):
        parse_expression("2 * (x | u)")
    with pytest.raises(mm.FormulaError, match=r"where ',' or '\)' was expected"):
        parse_formula("y ~ mm(m, g, effects = iid(x | u))")


ERRORS = {
    "y ~ mm(m, g, x, weights = power(q | u))": "need normalize = group .or none.: where all weights together",
    "y ~ mm(m, g, x, weights = softmax(q | u), normalize = none)": "need normalize = group: where",
    "y ~ mm(m, g, x, weights = exp((b | u) * q + (c | z) * r), normalize = group)": "over the same unit",
    "y ~ mm(m, g, x, weights = exp((q | u)), normalize = group)": "before the bar stands one free symbol",
    "y ~ mm(m, g, x, weights = power(q + (r | u)), normalize = group)": "all coefficients vary over the unit",
    "y ~ mm(m, g, x, weights = 1 + (b | u) * q, normalize = group)": "must be positive whatever their coefficients",
    "y ~ mm(m, g, x, weights = exp(max((b | u) * q)), normalize = none)": "may stand within sum.. and mean..",
    "y ~ mm(m, g, x, weights = softmax(q | u), combine = smax(k))": "go with combine = sum only",
    "y ~ mm(m, g, x, weights = softmax(q | u), aggregate = var)": "go with sums only",
    "y ~ mm(m, g, x, weights = exp((b | u) * q), normalize = none, signed = yes)": "cannot be signed",
    "y ~ mm(m, g, x, weights = softmax(q | q))": "column 'q' belongs to groups but is not constant in group",
    "y ~ mm(m, g, x, weights = softmax(q | one))": "is '1' in every group",
    "y ~ mm(m, g, x, weights = softmax(q | u), name = B) + B:z": "a product is one of weighted sums",
}


@pytest.mark.parametrize("formula", ERRORS)
def test_what_cannot_be_is_said(formula):
    with pytest.raises(mm.MicromacroError, match=ERRORS[formula]):
        mm.Model(formula, design().assign(one=1)).fit(engine="ml")


@pytest.mark.parametrize(("arguments", "said"), [
    ({"sigma": "~ z + (1 | u)"}, "covariates only"),
    ({"sigma": "~ mm(m, g, x, weights = softmax(q | u), effects = none)"}, "outcome's own linear predictor"),
])  # fmt: skip
def test_other_predictors_are_refused(arguments, said):
    with pytest.raises(mm.MicromacroError, match=said):
        mm.Model(FORMULA, design(), **arguments).fit(engine="ml")


def test_reml_is_refused():
    with pytest.raises(mm.EngineError, match="weights that vary over units"):
        mm.fit(FORMULA, design(), engine="reml")


# -- derivatives ---------------------------------------------------------------------------------------------------

FUNCTIONS = [
    "exp(b * q)", "1 / n ** exp(-(b * q))", "1 / (1 + exp(b * q - c))", "log(2 + b * q ** 2)", "log2(3 + b * s)",
    "log10(3 + b * s)", "log1p(exp(b * q))", "expm1(0.1 * b * q) + 2", "sqrt(2 + b * s)", "abs(b * q)",
    "logit(0.2 + 0.3 * b * s)", "ilogit(b * q + c)", "probit(0.3 + 0.4 * b * s)", "iprobit(b * q)",
    "cloglog(0.2 + 0.3 * b * s)", "tanh(b * q + c)", "sin(b * q)", "cos(b * q)", "pow(s, b)", "(1 + b * s) ** (c * q)",
    "where(q > 0, exp(b * q), 1 + c * b ** 2)", "minimum(exp(b * q), 1)", "maximum(exp(b * q), 1)", "exp(b * q) - b",
    "exp(b * q) / sum(exp(c * q))", "exp(b * (x - mean(b * x)))",
]  # fmt: skip


@pytest.mark.parametrize("weights", FUNCTIONS)
def test_derivatives_of_weights_are_differences(weights):
    text = weights.replace("b", "(b | u)", 1)
    text = weights.replace("a(b", "a(b") if "(b | u)" not in text else text
    for name in ("abs", "probit", "iprobit"):  # the first b of these is not the coefficient
        if weights.startswith(name):
            text = name + weights.removeprefix(name).replace("b", "(b | u)", 1)
    specification = specified(text, normalize="none")
    block = specification.members["m"].sum
    rng = np.random.default_rng(3)
    k, m = block.count, block.members
    at = np.array([0.6, 0.3])[:k, None] + 0.05 * rng.standard_normal((k, len(block.filled)))[:, block.place]
    jets, names = block.weights(at, 3), [which for order in range(4) for which in orders(k, order)]
    for row, which in enumerate(names):
        if not which:
            continue
        lower, last = names.index(which[:-1]), which[-1]
        step = np.zeros((k, 1))
        step[last] = 1e-5
        found = (block.weights(at + step, 3)[lower] - block.weights(at - step, 3)[lower]) / 2e-5
        np.testing.assert_allclose(jets[row], found, rtol=2e-6, atol=2e-7 * (1.0 + np.abs(found).max()), err_msg=which)
    assert jets.shape == (len(names), m)


TERMS = {
    "power": ("power(q | u)", "group", ""),
    "logistic, not normalised": ("logistic(q | u)", "none", ""),
    "several, one fixed": ("exp((b1 | u) * q + b2 * r)", "group", ""),
    "with others": ("softmax(q + r | u)", "group", " + (1 | u) + mm(some, g, combine = smax(k), name = C)"),
    "empty slots": ("softmax(q | u)", "group", " + mm(some, g, q, weights = power(r | u), normalize = none, name = C)"),
}


@pytest.mark.parametrize("name", TERMS)
def test_gradients_are_differences(name):
    weights, rule, rest = TERMS[name]
    table = design()
    table["some"] = table["m"].where(table["g"] % 5 > 0).astype("Int64")
    specification = specified(weights, table, rest, rule, priors={"m.x": mm.prior.student(4, 0, 1)})
    marginal, theta = laplace_marginal(specification), a_theta(specification)
    _, slope = marginal.gradient(theta, marginal.workspace())

    def value(at):
        return np.array([marginal.value(at, marginal.workspace())])

    found = slopes(value, theta, np.full(len(theta), 1e-5))[0]
    np.testing.assert_allclose(slope, found, rtol=1e-5, atol=1e-6)


def test_where_units_do_not_differ_it_is_the_model_without_them():
    """The effects of the weights are then beside everything: a Gaussian likelihood is exact."""
    varying, plain = specified("softmax(q | u)"), specified("softmax(q)")
    theta, other = a_theta(varying), a_theta(plain)
    names = [p.name for p in varying.system.hypers]
    theta[names.index("m.w.q.sd")] = 0.0
    one, two = laplace_marginal(varying), laplace_marginal(plain)
    value, slope = one.gradient(theta, one.workspace())
    known, known_slope = two.gradient(other, two.workspace())
    assert value == pytest.approx(known, abs=1e-9)
    keep = [names.index(p.name) for p in plain.system.hypers]
    np.testing.assert_allclose(slope[keep], known_slope, rtol=1e-6, atol=1e-7)


# -- the density ---------------------------------------------------------------------------------------------------

OUTCOMES = {
    "gaussian": "y",
    "poisson": "k",
    "bernoulli": "b",
    "weibull": "surv(t, b)",
    "ordinal": "k",
    "cox": "surv(t, b)",
}


@pytest.mark.slow
@pytest.mark.parametrize("family", OUTCOMES)
def test_the_likelihood_is_that_of_dense_algebra(family):
    """Laplace's formula from the joint density written for nuts, its Hessian by automatic differentiation."""
    jax = pytest.importorskip("jax")
    from micromacro.engines.nuts.density import Joint

    table = design(units=3, each=5, members=4)
    g = table["g"].to_numpy()
    table["b"], table["k"], table["t"] = g % 2, g % 3, 0.5 + (g % 4)
    term = "mm(m, g, x, weights = exp((b1 | u) * q - b2 * r), normalize = group)"
    given = mm.families.cox([1.0]) if family == "cox" else family
    specification = mm.Model(f"{OUTCOMES[family]} ~ z + {term}", table, family=given).specification
    theta, marginal = a_theta(specification), laplace_marginal(specification)
    room = marginal.workspace()
    value, n = marginal.value(theta, room), specification.system.size
    mode = marginal.x(room)
    prior = sum(p.prior.log_density(t) for p, t in zip(specification.system.hypers, theta, strict=True))
    with jax.enable_x64(True):
        joint = Joint(specification)
        hessian = -np.asarray(jax.hessian(lambda x: joint.log_density(theta, x))(mode))
        slope = np.asarray(jax.grad(lambda x: joint.log_density(theta, x))(mode))
        density = float(joint.log_density(theta, mode)) - prior
    np.testing.assert_allclose(slope, 0.0, atol=1e-7)
    sign, size = np.linalg.slogdet(hessian)
    assert sign > 0 and value == pytest.approx(density + 0.5 * (n * np.log(2 * np.pi) - size), abs=1e-8)


def test_an_integral_over_two_effects_is_what_quadrature_says():
    """A member's effect and a unit's: the integral over both on a grid."""
    groups = [(0, [0]), (0, [0, 1]), (0, [1, 0]), (0, [0, 1])]
    rows = [(g, m, u) for g, (u, who) in enumerate(groups) for m in who]
    table = pd.DataFrame(rows, columns=["g", "m", "u"]).assign(q=lambda t: t["m"] - 0.3 * t["g"])
    table["u"], table["x"] = np.where(table["g"] == 3, 1, 0), table["m"] + 0.5
    table["y"] = np.array([1.0, 2.0, 1.0, 3.0])[table["g"]]
    term = "mm(m, g, fix(x, 1.0), weights = softmax(q | u), effects = none)"
    specification = mm.Model(f"y ~ 0 + {term}", table, family="poisson").specification
    theta, (node, weight) = np.array([0.4, 0.7]), np.polynomial.hermite_e.hermegauss(40)
    room = specification.system.workspace(gradient=False)
    x = np.stack(np.meshgrid(node, node), axis=-1).reshape(-1, 2)
    density = np.array([log_joint(specification, theta, at, room) for at in x])
    prior = sum(p.prior.log_density(t) for p, t in zip(specification.system.hypers, theta, strict=True))
    exact = np.log(np.exp(density - prior + 0.5 * (x**2).sum(axis=1)) @ np.outer(weight, weight).ravel())
    w = softmax_of(table, theta[0] + theta[1] * node[:, None] * np.ones(len(table)))
    eta = np.stack([np.bincount(table["g"], row * table["x"]) for row in w])
    of_group = np.array([1.0, 2.0, 1.0, 3.0]) * eta - np.exp(eta) - np.log([1.0, 2.0, 1.0, 6.0])
    units = (np.exp(of_group[:, :3].sum(axis=1)), np.exp(of_group[:, 3]))
    by_hand = sum(np.log(u @ weight / np.sqrt(2 * np.pi)) for u in units)
    assert exact == pytest.approx(by_hand, abs=1e-8)
    marginal = laplace_marginal(specification)
    assert marginal.value(theta, marginal.workspace()) == pytest.approx(exact, abs=0.05)


def softmax_of(table, coefficient):
    """Weights of a table's memberships, with coefficients (..., memberships) of q."""
    v = np.exp(coefficient * table["q"].to_numpy())
    total = np.stack([np.bincount(table["g"], row) for row in np.atleast_2d(v)])
    return np.atleast_2d(v) / total[:, table["g"]]


# -- what fits say -------------------------------------------------------------------------------------------------


def test_mean_and_sd_of_a_coefficient_are_found(fit, data):
    for name in ("m.w.q", "m.x"):
        assert abs(fit.params[name] - TRUTH[name]) < 4.0 * fit.bse[name]
    low, high = fit.conf_int().loc["m.w.q.sd"]
    assert 0.1 < low < TRUTH["m.w.q.sd"] < high
    plain = mm.fit(FORMULA.replace(" | u", ""), data, engine="ml")
    assert fit.loglik > plain.loglik + 4.0


def test_weights_are_those_of_the_unit(fit, data):
    of_unit = fit.random_effects("m.w")["estimate"].xs("q", level="term")
    table = data.sort_values(["g", "m"])
    expected = softmax_of(table, fit.params["m.w.q"] + of_unit.loc[table["u"]].to_numpy())[0]
    got = fit.weights()
    np.testing.assert_allclose(got["weight"].to_numpy(), expected, rtol=1e-9)
    alone = table.groupby("g")["m"].transform("size").to_numpy() == 1
    assert np.all(got["se"].to_numpy()[~alone] > 0.0)
    some = data[data["g"] < 4]
    np.testing.assert_allclose(fit.weights(data=some)["weight"], got["weight"].loc[:3], rtol=1e-12)
    other = fit.weights(data=some.assign(u=99))
    mean = softmax_of(some.sort_values(["g", "m"]), np.full(len(some), fit.params["m.w.q"]))[0]
    np.testing.assert_allclose(other["weight"], mean, rtol=1e-9)
    wider = other["se"].to_numpy() > got["se"].loc[:3].to_numpy()
    assert np.all(wider | (other["weight"].to_numpy() == 1.0))


def test_a_new_unit_is_averaged_over_all_that_there_could_be(fit, data):
    new = data[data["g"] == data["g"].value_counts().idxmax()].sort_values("m").assign(u=99)
    node, weight = np.polynomial.hermite_e.hermegauss(40)
    w = softmax_of(new.assign(g=0), fit.params["m.w.q"] + fit.params["m.w.q.sd"] * node[:, None] * np.ones(len(new)))
    u = fit.random_effects("m")["estimate"].loc[new["m"]].to_numpy()
    zeta = fit.params["m.x"] * new["x"].to_numpy() + u
    exact = fit.params["Intercept"] + fit.params["z"] * new["z"].iloc[0] + (w @ zeta) @ weight / weight.sum()
    got = fit.predict(new, kind="mean")
    spread = np.sqrt(((w @ zeta) ** 2 @ weight) / weight.sum() - ((w @ zeta) @ weight / weight.sum()) ** 2)
    assert got["estimate"].iloc[0] == pytest.approx(exact, abs=0.03 * spread)
    zero = fit.predict(new, kind="mean", effects={"m.w": "zero"})["estimate"].iloc[0]
    at_mean = softmax_of(new.assign(g=0), np.full(len(new), fit.params["m.w.q"]))[0]
    assert zero == pytest.approx(
        fit.params["Intercept"] + fit.params["z"] * new["z"].iloc[0] + at_mean @ zeta, abs=1e-8
    )


def test_contributions_add_up_to_what_members_bring(fit, data):
    one = fit.members("m").contributions("group")["estimate"]
    eta = fit.predict(kind="linear")["estimate"] - fit.params["Intercept"]
    z = data.groupby("g")["z"].first()
    np.testing.assert_allclose(one, eta - fit.params["z"] * z, atol=1e-8)


def test_it_is_explained_and_interpreted(fit, data):
    text = str(mm.Model(FORMULA, data).explain())
    assert "softmax(q | u), normalize = group" in text and "m.w.q[u] ~ normal(m.w.q, m.w.q.sd)" in text
    assert "half_normal(1)" in text
    said = fit.interpret()["sentence"]
    assert said["m.w.q.sd"].startswith("m.w.q differs between the values of u: in two of three it is within")
    assert "the means over u" in said["m.w.q"]
    levels = fit.variance_components().index
    assert "m" in levels and "m.w" not in levels


def test_it_comes_back_from_a_file(fit, tmp_path):
    fit.save(tmp_path / "fit.nc")
    again = mm.load(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(again.weights(), fit.weights())
    pd.testing.assert_frame_equal(again.random_effects("m.w"), fit.random_effects("m.w"))
