"""The joint density in JAX against the same in NumPy, and its pieces one by one: weights, priors, transformation."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import micromacro as mm
from micromacro.engines.joint import linear_predictor, log_joint
from micromacro.engines.nuts.density import Joint, constrain, limits, log_prior, unconstrain
from micromacro.engines.nuts.engine import double_precision
from micromacro.engines.nuts.weights import Weights
from micromacro.errors import EngineError
from micromacro.families.registry import FAMILIES
from micromacro.numerics import tape
from micromacro.parameters import Parameter
from micromacro.priors import Prior

pytest.importorskip("numpyro")
jax = pytest.importorskip("jax")

_spec = importlib.util.spec_from_file_location("outcomes", Path(__file__).with_name("outcomes.py"))
outcomes = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(outcomes)

POINTS = 4
FULL = (
    "{} ~ 1 + x + offset(o) + fix(h, 0.4) + (1 | unit)"
    " + mm(member, g, z + fix(v, -0.3), weights = 1 / n ** exp(-(b * s)), normalize = group)"
)


@pytest.fixture(autouse=True)
def _double():
    with double_precision():
        yield


def model(formula, data, **options):
    return mm.Model(formula, data, **options).specification


def points(s, count=POINTS, seed=3):
    """Random theta, inside all supports, and x, natural order."""
    rng = np.random.default_rng(seed)
    hypers, system = s.system.hypers, s.system
    at = unconstrain(hypers, np.array([p.start for p in hypers]))
    start = np.append(np.zeros(system.n_effects), [p.start for p in system.coefficients])
    for _ in range(count):
        theta = np.array(constrain(hypers, at + 0.6 * rng.standard_normal(len(at)))[0])
        yield theta, start + 0.7 * rng.standard_normal(system.size)


def check(s, count=POINTS):
    """Both densities agree; the derivative is finite, and that of the NumPy one."""
    joint, room, rng = Joint(s), s.system.workspace(gradient=False), np.random.default_rng(4)
    for k, (theta, x) in enumerate(points(s, count)):
        expected = log_joint(s, theta, x, room)
        assert math.isfinite(expected)
        np.testing.assert_allclose(float(joint.log_density(theta, x)), expected, rtol=1e-8, atol=1e-8)
        if k >= 1:  # without jit, which takes seconds a model, a gradient takes long
            continue
        slopes = [np.asarray(d) for d in jax.grad(joint.log_density, argnums=(0, 1))(theta, x)]
        assert all(np.all(np.isfinite(d)) for d in slopes)
        a, b = rng.standard_normal(len(theta)), rng.standard_normal(len(x))
        up, down = (log_joint(s, theta + d * a, x + d * b, room) for d in (1e-5, -1e-5))
        assert slopes[0] @ a + slopes[1] @ b == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-4)


# -- families ------------------------------------------------------------------------------------------------------


def test_the_table_has_every_family():
    assert {row.name for row in outcomes.ROWS} == set(FAMILIES)


#: Other links, forms of durations (of which weibull has all), and most families wait for the long run.
SOON = ("gaussian", "bernoulli", "poisson", "weibull", "cox")
WAIT = [
    row for k, row in enumerate(outcomes.ROWS)
    if row.name not in SOON
    or (row.name != "weibull" and row.name in {other.name for other in outcomes.ROWS[:k]})
]  # fmt: skip


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, marks=[pytest.mark.slow] if row in WAIT else []) for row in outcomes.ROWS],
    ids=lambda row: row.label,
)
def test_jax_agrees_with_numpy(row):
    data = outcomes.make(row)
    check(model(FULL.format(row.outcome), data, family=row.family))


def test_the_kernels_of_the_other_engines_give_the_same_density():
    """What mcmc evaluates: the family's kernel at the system's linear predictor."""
    for row in outcomes.ROWS:
        s = model(FULL.format(row.outcome), outcomes.make(row), family=row.family)
        joint, room = Joint(s), s.system.workspace(gradient=False)
        meeting = s.system.meeting
        out = np.empty((4, s.system.rows + (len(meeting.blocks.high) if meeting else 0)))
        for theta, x in points(s, 3):
            eta = linear_predictor(s, theta, x)
            np.testing.assert_allclose(joint.linear_predictor(theta, x), eta, rtol=1e-10, atol=1e-10)
            s.system.fill(theta, room)
            s.family.slopes(s.row_values, s.system.row_predictor(room, x), theta[s.system.places.family], out)
            density = out[0, : s.system.rows]
            rest = log_joint(s, theta, x) - s.row_weight() @ density
            prior = float(joint.log_density(theta, x)) - s.row_weight() @ density
            assert prior == pytest.approx(rest, rel=1e-8, abs=1e-8), row.label
            each = s.system.gather(s.row_weight(prior=False) * density)
            np.testing.assert_allclose(joint.likelihood(theta, x), each, rtol=1e-8, atol=1e-8)


# -- models --------------------------------------------------------------------------------------------------------

PLAIN = outcomes.ROWS[0]
TWO = (
    "y ~ 1 + x + (1 | unit) + (1 | often) + mm(member, g, z, weights = exp(b * s), normalize = group)"
    " + mm(member, g, v, weights = 1 + b * tanh(s), normalize = none, name = other)"
)
MODELS = {
    "coefficients only": ("y ~ 1 + x", {}),
    "no intercept": ("y ~ 0 + x + mm(member, g, z, weights = softmax(v))", {}),
    "without effects": ("y ~ 1 + x + mm(member, g, z + v, weights = logistic(v + s), effects = none)", {}),
    "covariates with an intercept": ("y ~ 1 + mm(member, g, 1 + z, weights = power(s), normalize = none)", {}),
    "members without covariates": ("y ~ 1 + mm(member, g)", {}),
    "two blocks and two units": (TWO, {}),
    "loose coefficients": (
        FULL.format("y"),
        {"priors": {"b": mm.prior.student(4, 0, 1), "member.z": mm.prior.half_normal(2), "Intercept": "flat"}},
    ),
    "flat": (FULL.format("y"), {"priors": {"b": "flat", "Intercept": "flat"}}),
    "vague": (FULL.format("y"), {"priors": "vague"}),
    "observation weights": (FULL.format("y"), {"observation_weights": "often"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_sort_of_term(name):
    formula, options = MODELS[name]
    data = outcomes.make(PLAIN)
    check(model(formula, data if "mm(" in formula else data.drop_duplicates("g"), **options))


@pytest.mark.slow
def test_every_kind_of_effects():
    """The density of each kind, written twice: standardised with its kernels, and plainly."""
    data, rng = outcomes.make(PLAIN), np.random.default_rng(6)
    ids = np.unique(data["member"].dropna())
    root = rng.standard_normal((len(ids), len(ids)))
    known = {"K": (root @ root.T / len(ids) + np.eye(len(ids)), ids)}
    block = "y ~ 1 + x + mm(member, g, z, weights = power(s), effects = {})"
    for effects in ("iid(1 + z)", "correlated(1 + z + v)", "fixed"):
        check(model(block.format(effects), data), count=2)
    check(model(block.format("known(K)"), data, known=known), count=2)
    check(model("y ~ 1 + (1 + x + often | unit)", data.drop_duplicates("g")), count=2)


@pytest.mark.parametrize("rule", ["total", "group", "none"])
@pytest.mark.parametrize("form", ["power(s + v)", "logistic(s)", "exp(b * s)", "1 / n", "2 + tanh(b * s)"])
def test_every_rule_of_normalisation(form, rule):
    data = outcomes.make(PLAIN)
    check(model(f"y ~ 1 + mm(member, g, z, weights = {form}, normalize = {rule})", data), count=10)


def test_a_constant_of_total_that_was_given_is_kept():
    s = model("y ~ 1 + mm(member, g, z, weights = power(s), normalize = total)", outcomes.make(PLAIN))
    weighing = replace(s.members["member"].weighing, scale=0.3)
    theta, room = np.array([0.4]), weighing.scratch()
    assert weighing.weigh(theta, room)
    np.testing.assert_allclose(Weights(weighing)(theta), room["w"], rtol=1e-12)


def test_theta_that_is_impossible_has_no_density():
    row = next(r for r in outcomes.ROWS if r.name == "ordinal")
    s = model("y ~ x", outcomes.make(row).drop_duplicates("g"), family="ordinal")
    x = np.zeros(s.system.size)
    assert log_joint(s, np.array([0.0, 1.0, 2.0]), x) > -math.inf
    assert log_joint(s, np.array([0.0, 2.0, 1.0]), x) == -math.inf
    s = model("y ~ 1 + mm(member, g, weights = exp(exp(b * s)), normalize = none)", outcomes.make(PLAIN))
    theta = np.array([50.0, 1.0, 1.0])
    assert log_joint(s, theta, np.zeros(s.system.size)) == -math.inf
    assert log_joint(s, np.array([0.1, -1.0, 1.0]), np.zeros(s.system.size)) == -math.inf
    assert not math.isfinite(float(Joint(s).log_density(theta, np.zeros(s.system.size))))


# -- weights -------------------------------------------------------------------------------------------------------

EXPRESSIONS = [
    "exp(b * s) + c ** 2", "b * (s - c) / (3 + c * v)", "-(b * s) + c", "(1 + u) ** (b * v)", "(2 + tanh(b * s)) ** c",
    "exp(b) * s + c", "log(2 + tanh(b * s)) - c", "log1p(u * exp(b))", "expm1(b * s)", "sqrt(1 + (b * s) ** 2)",
    "abs(b * s - c)", "logit(0.1 + 0.8 * ilogit(b * s))", "ilogit(b * s)", "probit(0.1 + 0.8 * iprobit(b * s))",
    "cloglog(0.1 + 0.8 * ilogit(b * s))", "log1p(exp(c * s)) + b", "where(s > 0, exp(b * s), c * v)",
    "where(b * s < c, u, 2)", "minimum(b * s, c)", "maximum(b * s, c * v)", "(b * s <= c) + (b * s >= c * v) * u",
    "(b * s == 0) + (b * s != c) * b", "sum(b * s)", "mean(exp(b * s))", "var(b * s + c * v)", "sd(exp(b * s))",
    "min(b * s)", "max(b * s + v)", "range(b * s + c * v)", "rank(b * s) / n", "median(exp(b * s))",
    "quantile(b * s + v, 0.3)", "first(exp(b * s), by=v)", "last(b * s, by=v)", "exp(b * s) / sum(exp(b * s))",
    "(b * s - mean(b * s)) ** 2", "power(s + v)", "logistic(s + v)", "softmax(s + v)",
    # where a branch that is not chosen has an infinite slope
    "where(u > 0.5, log(u - 0.5) * b, c)", "where(s > 0, sqrt((1 + b ** 2) * s), c * s)", "sd(b * u * 0 + b)",
    "sqrt(abs(b * s))", "log2(2 + sin(b * s)) + log10(2 + cos(c * v))", "pow(u, b) + (s == mode(round(s))) * c",
    "where(b * s > 0.05, 1 + s, 1 + c * c)",
]  # fmt: skip


@pytest.fixture(scope="module")
def table():
    data = outcomes.make(PLAIN)
    return data.assign(u=np.random.default_rng(2).random(len(data)))


def weighing(text, table):
    rule = "group" if text.startswith("softmax") else "none"
    formula = f"y ~ 1 + mm(member, g, weights = {text}, normalize = {rule})"
    return model(formula, table).members["member"]


@pytest.mark.parametrize(
    "text", [pytest.param(text, marks=[pytest.mark.slow] if k % 2 else []) for k, text in enumerate(EXPRESSIONS)]
)
def test_weights_and_their_derivatives_are_those_of_the_kernels(text, table):
    part = weighing(text, table)
    weights, room = Weights(part), part.scratch()
    slope = jax.jit(jax.jacrev(weights))
    rng = np.random.default_rng(1)
    for _ in range(5):
        theta = 0.8 * rng.standard_normal(len(part.weight_parameters))
        expected = part.weights(theta, room)
        np.testing.assert_allclose(weights(theta), expected, rtol=1e-10, atol=1e-11)
        np.testing.assert_allclose(slope(theta).T, room["d_w"], rtol=1e-8, atol=1e-9)


def test_the_table_of_expressions_has_every_operation(table):
    seen = {int(what) for text in EXPRESSIONS for what in weighing(text, table).tape.code[:, 0]}
    names = {v: k for k, v in vars(tape).items() if k.isupper() and isinstance(v, int)}
    unmoved = {"ROUND", "FLOOR", "CEIL", "GROUP_MODE"}  # nothing in them is estimated
    assert {names[k] for k in set(range(tape.GROUP_MODE + 1)) - seen} == unmoved


# -- priors and the transformation ---------------------------------------------------------------------------------

PRIORS = [
    mm.prior.normal(0.3, 2), mm.prior.student(4, -0.5, 1.5), mm.prior.half_student(3, 0, 2),
    mm.prior.half_student(3, 1.0, 0.5), mm.prior.half_cauchy(1.2), mm.prior.half_normal(0.7),
    mm.prior.exponential(0.4), mm.prior.gamma(0.7, 2.0), mm.prior.gamma(3.0, 0.5), mm.prior.uniform(-1.0, 2.0),
    mm.prior.beta(2.0, 0.6), mm.prior.lkj(1.0), mm.prior.lkj(2.5), mm.prior.log_gamma(0.5, 3.0),
]  # fmt: skip


def test_the_table_has_every_prior():
    public = {type(p) for p in PRIORS}
    assert public == {c for c in _below(Prior) if c.__name__ not in ("Flat", "Fixed", "Pinned")}


def _below(cls):
    return set(cls.__subclasses__()).union(*(_below(c) for c in cls.__subclasses__()))


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_prior_densities(prior):
    low, high = prior.support
    for share in (0.02, 0.3, 0.7, 0.99):
        x = prior.inverse_below(share) if not isinstance(prior, type(mm.prior.normal())) else prior.from_score(share)
        value, slope = jax.value_and_grad(lambda v: log_prior(prior, v))(x)
        assert float(value) == pytest.approx(prior.log_density(x), rel=1e-12, abs=1e-12)
        assert float(slope) == pytest.approx(prior.slope(x), rel=1e-10, abs=1e-12)
    for outside in (low - 0.1, high + 0.1):
        if math.isfinite(outside):
            assert log_prior(prior, outside) == prior.log_density(outside) == -math.inf


def test_a_prior_without_a_row_is_refused():
    class Own(Prior):
        pass

    with pytest.raises(EngineError, match="does not know the prior"):
        log_prior(Own(), 1.0)


def hypers(*priors, kind="b"):
    return tuple(Parameter(f"p{k}", kind, p) for k, p in enumerate(priors))


CUTS = mm.prior.student(3, 0, 2.5)
THETAS = {
    "of all supports": hypers(*PRIORS),
    "bounded above": hypers(mm.prior.uniform(-3, 1)),
    "one cut": hypers(CUTS, kind="cut"),
    "four cuts": hypers(mm.prior.normal(0, 1)) + hypers(CUTS, CUTS, CUTS, CUTS, kind="cut"),
    "cuts with bounds": hypers(
        CUTS, mm.prior.uniform(-1, 3), mm.prior.half_normal(2), mm.prior.uniform(0, 2), CUTS, kind="cut"
    ),
    "none": (),
}


@pytest.mark.parametrize("name", THETAS)
def test_the_transformation_keeps_supports_and_order_and_has_its_jacobian(name):
    parameters = THETAS[name]
    rng = np.random.default_rng(8)
    for _ in range(10):
        u = 1.5 * rng.standard_normal(len(parameters))
        theta, log_slope = constrain(parameters, u)
        for value, (low, high) in zip(theta, limits(parameters), strict=True):
            assert low < value < high
        cuts = [float(t) for t, p in zip(theta, parameters, strict=True) if p.kind == "cut"]
        assert cuts == sorted(cuts)
        np.testing.assert_allclose(unconstrain(parameters, np.asarray(theta)), u, rtol=1e-7, atol=1e-7)
        jacobian = jax.jacfwd(lambda u: constrain(parameters, u)[0])(u)
        assert float(log_slope) == pytest.approx(np.linalg.slogdet(jacobian)[1], abs=1e-9)


def test_starting_values_on_a_bound_are_moved_inside():
    parameters = hypers(mm.prior.half_normal(1), mm.prior.uniform(0, 1), CUTS, kind="sd")
    u = unconstrain(parameters, np.array([0.0, 1.0, 0.0]))
    assert np.all(np.isfinite(u))
