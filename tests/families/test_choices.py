"""Categories and choices: their kernels, what they agree with, their errors, and what they predict."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special

import micromacro as mm
from micromacro.engines.likelihood.integral import formula_error
from micromacro.engines.marginals import marginal_of
from micromacro.families.response import Raw, Sets
from micromacro.posterior.leaveout.joint import LeaveSetsOut
from micromacro.priors import Normal

SETS = np.array([0, 1, 0, 2, 1, 1, 2, 0, 3])
CHOSEN = np.array([0, 1, 0, 0, 0, 0, 1, 1, 1.0])


def expanded(name):
    """A family of nine groups on its rows: (family, values, units, rows)."""
    family, rng = mm.families.__dict__[name](), np.random.default_rng(1)
    ids = np.arange(9)
    if name == "conditional_logit":
        raw = Raw("choice", (CHOSEN,), "choice(y, s)", ids, sets=Sets("s", SETS, np.unique(SETS)))
    else:
        raw = Raw("plain", (np.array([0, 2, 1, 3, 3, 0, 1, 2, 1.0]),), "y", ids, categories=tuple("abcd"))
    response = family.read(raw)
    made = family.expand(response, np.zeros(9), None, True, "y")
    return made.family, made, rng.normal(0.0, 2.0, made.rows.blocks.rows)


@pytest.mark.parametrize("name", ["conditional_logit", "categorical"])
def test_slopes_are_differences_of_the_plain_density(name):
    family, made, eta = expanded(name)
    blocks, none = made.rows.blocks, np.empty(0)
    n = blocks.rows

    def slopes(at):
        out = np.empty((4, n + blocks.pairs))
        family.slopes(made.values, at, none, out)
        return out

    def differences(of):
        return np.array([(of(eta + h) - of(eta - h)) / 2e-5 for h in 1e-5 * np.eye(n)])

    out = slopes(eta)
    np.testing.assert_allclose(out[0, :n], family.log_density(made.values, eta, none), rtol=1e-12)
    assert not out[0, n:].any() and not out[1, n:].any()
    np.testing.assert_allclose(out[1, :n], differences(lambda at: slopes(at)[0].sum()), atol=1e-9)
    second = differences(lambda at: slopes(at)[1, :n])
    np.testing.assert_allclose(out[2, :n], np.diag(second), atol=1e-9)
    np.testing.assert_allclose(out[2, n:], second[blocks.high, blocks.low], atol=1e-9)
    np.testing.assert_allclose(out[3], -out[2])
    leverage, skew = np.random.default_rng(2).normal(size=n + blocks.pairs), np.empty(n)
    assert family.skew(made.values, eta, none, leverage, skew)
    np.testing.assert_allclose(skew, differences(lambda at: 0.5 * leverage @ slopes(at)[2]), atol=1e-9)


@pytest.mark.parametrize("name", ["conditional_logit", "categorical"])
def test_far_predictors_have_finite_slopes(name):
    family, made, eta = expanded(name)
    out = np.empty((4, made.rows.blocks.rows + made.rows.blocks.pairs))
    family.slopes(made.values, 400.0 * eta, np.empty(0), out)
    assert np.isfinite(out).all()
    np.testing.assert_allclose(out[0, : len(eta)], family.log_density(made.values, 400.0 * eta, np.empty(0)))


# -- what they agree with ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def people():
    """One row per member of a group: two outcomes, of two and of three categories."""
    rng = np.random.default_rng(3)
    n = 60
    table = pd.DataFrame({"g": np.repeat(np.arange(n), 2), "m": rng.integers(0, 9, 2 * n), "z": rng.normal(size=2 * n)})
    x, u = rng.normal(size=n), rng.normal(size=9)
    eta = 0.5 + x + u[table["m"]].reshape(n, 2).mean(axis=1)
    table["x"] = np.repeat(x, 2)
    table["c"] = np.repeat(rng.integers(0, 6, n), 2)
    table["two"] = np.repeat((rng.random(n) < special.expit(eta)).astype(int), 2)
    table["three"] = np.repeat(np.argmax(np.stack([0 * eta, eta, -x]) + rng.gumbel(size=(3, n)), axis=0), 2)
    return table


TERMS = "x + mm(m, g, weights = power(z), normalize = group) + (1 | c)"


def test_two_categories_are_a_logit(people):
    one = mm.fit(f"two ~ {TERMS}", people, family="bernoulli", engine="ml")
    other = mm.fit(f"two ~ {TERMS}", people, family="categorical", engine="ml")
    assert other.loglik == pytest.approx(one.loglik, abs=1e-6)
    own = {"m.w.z": "m.w.z"}
    for name in one.params.index:
        assert abs(other.params[own.get(name, f"mu[1].{name}")] - one.params[name]) < 1e-3 * max(one.bse[name], 0.1)
    theirs = other.predict(people, kind="probability").xs("1", level="category")["estimate"]
    np.testing.assert_allclose(theirs, one.predict(people)["estimate"], atol=1e-4)


def test_pairs_are_a_logit_of_differences():
    rng = np.random.default_rng(4)
    n = 80
    x = rng.normal(size=(n, 2))
    first = rng.random(n) < special.expit(1.2 * (x[:, 0] - x[:, 1]))
    choices = pd.DataFrame({"s": np.repeat(np.arange(n), 2), "x": x.ravel()})
    choices["y"] = np.stack([first, ~first], axis=1).ravel().astype(int)
    one = mm.fit("choice(y, s) ~ x", choices, family="conditional_logit", engine="ml")
    differences = pd.DataFrame({"y": first.astype(int), "d": x[:, 0] - x[:, 1]})
    other = mm.fit("y ~ 0 + d", differences, family="bernoulli", engine="ml")
    assert one.loglik == pytest.approx(other.loglik, abs=1e-8)
    assert one.params["x"] == pytest.approx(other.params["d"], abs=1e-6)
    assert one.bse["x"] == pytest.approx(other.bse["d"], rel=1e-5)
    assert one.nobs == n


def test_categories_are_choices_among_them(people):
    """The same model written with a row for each category, whose covariates are products with its name."""
    groups = people.drop_duplicates("g")
    long = pd.concat([groups.assign(cat=k, y=(groups["three"] == k).astype(int)) for k in range(3)])
    for k in (1, 2):
        long[f"i{k}"], long[f"x{k}"] = (long["cat"] == k).astype(float), (long["cat"] == k) * long["x"]
    one = mm.fit("three ~ x", groups, family="categorical", engine="ml")
    other = mm.fit("choice(y, g) ~ i1 + i2 + x1 + x2", long, family="conditional_logit", engine="ml")
    assert one.loglik == pytest.approx(other.loglik, abs=1e-8)
    pairs = {"mu[1].Intercept": "i1", "mu[2].Intercept": "i2", "mu[1].x": "x1", "mu[2].x": "x2"}
    for a, b in pairs.items():
        assert one.params[a] == pytest.approx(other.params[b], abs=1e-5)


def dense_laplace(eta_of, density, size):
    """log of the integral of density(eta_of(x)) N(x; 0, I) by Laplace's formula, by dense algebra and differences."""
    from scipy.optimize import minimize

    def minus(x):
        return 0.5 * x @ x - density(eta_of(x))

    x = minimize(minus, np.zeros(size), method="BFGS", options={"gtol": 1e-9}).x
    h, eye = 1e-4, np.eye(size)

    def mixed(a, b):
        ends = [minus(x + h * (i * a + j * b)) * i * j for i in (1, -1) for j in (1, -1)]
        return sum(ends) / (4.0 * h * h)

    hessian = np.array([[mixed(a, b) for a in eye] for b in eye])
    return -minus(x) - 0.5 * np.linalg.slogdet(hessian)[1]


def choices(seed=5, sets=25, members=5):
    """Sets of all pairs of some members."""
    rng, rows = np.random.default_rng(seed), []
    for s in range(sets):
        there = rng.choice(members, 3, replace=False)
        for pair in itertools.combinations(there, 2):
            rows.append((s, *pair, rng.normal()))
    table = pd.DataFrame(rows, columns=["s", "a", "b", "x"])
    u = 0.9 * rng.normal(size=members)
    eta = table["x"] + 0.5 * (u[table["a"]] + u[table["b"]]) + rng.gumbel(size=len(table))
    table["y"] = (eta == eta.groupby(table["s"]).transform("max")).astype(int)
    table["g"] = np.arange(len(table))
    return table.melt(["g", "s", "x", "y"], ["a", "b"], value_name="m").drop(columns="variable")


def test_the_marginal_likelihood_is_laplaces_by_dense_algebra(people):
    data = choices()
    for formula, table, family in (
        ("choice(y, s) ~ x + mm(m, g)", data, "conditional_logit"),
        ("three ~ x + (1 | c)", people.drop_duplicates("g"), "categorical"),
    ):
        model = mm.Model(formula, table, family=family, priors="flat")
        marginal = marginal_of(model.specification, True)
        size = len(marginal.arguments)
        at = np.full(size, 0.7)
        system, s = model.specification.system, model.specification
        room = system.workspace(gradient=False)
        q = len(system.hypers)
        system.fill(at[:q], room)
        matrix, n = system.matrix(room).toarray(), system.n_effects

        def density(eta, s=s):
            out = np.empty((4, s.system.slots))
            s.family.slopes(s.row_values, eta, np.empty(0), out)
            return out[0].sum()

        def eta_of(x, matrix=matrix, n=n, fixed=at[q:], offset=room.offset):
            return matrix[:, :n] @ x + matrix[:, n:] @ fixed + offset

        value = marginal.value(at, marginal.workspace())
        assert value == pytest.approx(dense_laplace(eta_of, density, n), abs=1e-5)


@pytest.fixture(scope="module")
def mixed():
    """A slope that varies over people: (table, fit, log-likelihood of a person as a function of the slopes (k,))."""
    rng = np.random.default_rng(6)
    person, sets, k = 8, 12, 3
    table = pd.DataFrame(
        {"person": np.repeat(np.arange(person), sets * k), "s": np.repeat(np.arange(person * sets), k)}
    ).assign(x=lambda t: rng.normal(size=len(t)))
    slope = 0.8 + 0.9 * rng.normal(size=person)
    utility = slope[table["person"]] * table["x"] + rng.gumbel(size=len(table))
    table["y"] = (utility == utility.groupby(table["s"]).transform("max")).astype(int)
    x, y = (table[name].to_numpy().reshape(person, sets, k) for name in ("x", "y"))

    def of_person(i, slopes):
        eta = slopes[:, None, None] * x[i]
        return ((y[i] * eta).sum(axis=2) - special.logsumexp(eta, axis=2)).sum(axis=1)

    fit = mm.fit("choice(y, s) ~ x + (0 + x | person)", table, family="conditional_logit", engine="ml")
    return table, fit, of_person


def adaptive(of_person, b, sd, nodes, person=8):
    """The log-likelihood by Gauss-Hermite rules around the mode of each person's slope; one node is Laplace's."""
    node, weight = np.polynomial.hermite_e.hermegauss(nodes)
    total = 0.0
    for i in range(person):

        def height(z, i=i):
            return of_person(i, b + sd * np.atleast_1d(z)) - 0.5 * np.atleast_1d(z) ** 2

        top = optimize.minimize_scalar(lambda z: -height(z)[0], bounds=(-8.0, 8.0), method="bounded",
                                       options={"xatol": 1e-9}).x  # fmt: skip
        h = 1e-3
        spread = (-(height(top + h) - 2.0 * height(top) + height(top - h))[0] / h**2) ** -0.5
        each = height(top + spread * node) + 0.5 * node**2 + np.log(spread) - 0.5 * np.log(2.0 * np.pi)
        total += special.logsumexp(each, b=weight)
    return total


def test_a_mixed_logit_is_dense_quadrature_but_for_laplaces_error(mixed):
    """Adaptive quadrature begins at our value, with one node, and ends at the integral; importance sampling sees it."""
    _, fit, of_person = mixed
    at = fit.params["x"], fit.params["person.sd.x"]
    by_nodes = [adaptive(of_person, *at, k) for k in (1, 3, 9, 25)]
    exact = adaptive(of_person, *at, 60)
    assert fit.loglik == pytest.approx(by_nodes[0], abs=1e-5)
    assert by_nodes[-1] == pytest.approx(exact, abs=1e-6)
    assert 0.05 < abs(exact - fit.loglik) < 0.15
    assert np.all(np.diff(np.abs(np.array(by_nodes) - exact)) < 0.0)
    s, optimum = fit.specification, fit.posterior.optimum
    marginal = marginal_of(s, True)
    point = np.concatenate([optimum.theta, optimum.x[s.system.n_effects :]])
    error, _ = formula_error(marginal, marginal.workspace(), point)
    assert error.se < 0.03
    assert abs(fit.loglik + error.value - exact) < 4.0 * error.se + 1e-3


def test_quadrature_of_choices_is_that_of_dense_algebra(mixed):
    """All alternatives of a set have the effect of one person; nAGQ= of other effects is refused."""
    table, fit, of_person = mixed
    held = {"x": fit.params["x"], "person.sd.x": fit.params["person.sd.x"]}
    options = {"family": "conditional_logit", "engine": "ml"}
    for nodes in (2, 9, 25):
        ours = mm.fit("choice(y, s) ~ x + (0 + x | person)", table, **options, nAGQ=nodes, fixed=held).loglik
        assert ours == pytest.approx(adaptive(of_person, *held.values(), nodes), abs=1e-5)
    best = mm.fit("choice(y, s) ~ x + (0 + x | person)", table, **options, nAGQ=25)
    assert best.loglik > fit.loglik and best.health.ok
    with pytest.raises(mm.EngineError, match="one by one"):
        mm.fit("choice(y, s) ~ x + (1 | c)", table.assign(c=np.tile([0, 1, 2], 96)), **options, nAGQ=9)


def test_the_maximum_of_a_mixed_logit_is_near_that_of_quadrature(mixed):
    _, fit, of_person = mixed
    b, sd = fit.params["x"], fit.params["person.sd.x"]
    node, weight = np.polynomial.hermite_e.hermegauss(60)

    def minus(t):
        each = [special.logsumexp(of_person(i, t[0] + np.exp(t[1]) * node), b=weight) for i in range(8)]
        return -sum(each)

    best = optimize.minimize(minus, [b, np.log(sd)], method="Nelder-Mead").x
    assert abs(best[0] - b) < 0.25 * fit.bse["x"]
    assert abs(np.exp(best[1]) - sd) < 0.35 * fit.bse["person.sd.x"]


# -- errors ------------------------------------------------------------------------------------------------------------

SMALL = pd.DataFrame(
    {"s": list("aabbcc"), "y": [1, 0, 0, 1, 1, 0], "x": [0.1, 0.5, 0.3, 0.2, 0.9, 0.4], "k": [1, 1, 2, 2, 3, 3],
     "u": [1, 1, 2, 2, 1, 1]}
)  # fmt: skip


@pytest.mark.parametrize(
    ("formula", "change", "words"),
    [
        ("choice(y, s) ~ x", {"y": [1, 0, 0, 0, 1, 0]}, ["no alternative is chosen", "1 set of 's'", "first: b"]),
        ("choice(y, s) ~ x", {"y": [1, 1, 0, 1, 1, 0]}, ["several alternatives are chosen", "first: a"]),
        ("choice(y, s) ~ x", {"y": [2, 0, 0, 1, 1, 0]}, ["neither 0 nor 1"]),
        ("choice(y, s) ~ x", {"s": list("abcdef"), "y": [1] * 6}, ["one alternative only"]),
        ("choice(y, s) ~ x + k", {}, ["'k' is the same for all alternatives of every set"]),
        ("choice(y, s) ~ x + (1 | u)", {}, ["'u' is the same for all alternatives of every set"]),
        ("y ~ x", {}, ["choice(chosen, set)"]),
        ("choice(y, 2 * k) ~ x", {}, ["which set of alternatives"]),
        ("choice(y, s) ~ offset(k)", {"s": [None, *"abbcc"]}, ["missing"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_choices_is_named(formula, change, words):
    with pytest.raises(mm.MicromacroError) as error:
        mm.fit(formula, SMALL.assign(**change), family="conditional_logit", engine="ml")
    for word in words:
        assert word in str(error.value)


def test_columns_that_cancel_are_dropped_on_request():
    fit = mm.fit("choice(y, s) ~ x + k", SMALL, family="conditional_logit", engine="ml", collinear="drop")
    assert list(fit.params.index) == ["x"]


@pytest.mark.parametrize("shape", ["rows", "long", "relational"])
def test_a_set_that_misses_a_value_is_left_out_whole(shape):
    """An alternative that is left out alone would change what could be chosen."""
    members = choices()
    groups = members.drop_duplicates("g").drop(columns="m")
    gap = groups["g"].iloc[4]
    sets = groups["s"][groups["g"] == gap].iloc[0]
    members["x"] = members["x"].mask(members["g"] == gap)
    groups["x"] = groups["x"].mask(groups["g"] == gap)
    edges = {"memberships": members[["g", "m"]]} if shape == "relational" else {}
    data, formula = (groups, "choice(y, s) ~ x") if shape == "rows" else (members, "choice(y, s) ~ x + mm(m, g)")
    data = groups if shape == "relational" else data
    with pytest.warns(mm.MicromacroWarning, match="2 .*others of the same 's' are left out"):
        fit = mm.fit(formula, data, family="conditional_logit", engine="ml", missing="drop", **edges)
    without = {k: v[v["g"].isin(groups["g"][groups["s"] != sets])] for k, v in edges.items()}
    same = mm.fit(formula, data[data["s"] != sets], family="conditional_logit", engine="ml", **without)
    assert fit.nobs == same.nobs == 24
    assert fit.loglik == pytest.approx(same.loglik, abs=1e-10)


def test_observation_weights_are_those_of_sets():
    weighed = SMALL.assign(w=[2, 2, 1, 1, 1, 1])
    twice = pd.concat([SMALL, SMALL.iloc[:2].assign(s="d")])
    one = mm.fit("choice(y, s) ~ x", weighed, family="conditional_logit", engine="ml", observation_weights="w")
    other = mm.fit("choice(y, s) ~ x", twice, family="conditional_logit", engine="ml")
    assert one.loglik == pytest.approx(other.loglik, abs=1e-8)
    with pytest.raises(mm.DataError, match="differ between the alternatives"):
        mm.fit(
            "choice(y, s) ~ x", SMALL.assign(w=[2, 1, 1, 1, 1, 1]), family="conditional_logit", observation_weights="w"
        )


def test_separated_choices_are_named():
    with pytest.warns(mm.MicromacroWarning, match="separated.* x moves .3 observations"):
        fit = mm.fit("choice(y, s) ~ x", SMALL.assign(x=SMALL["y"] + 0.1), family="conditional_logit", engine="ml")
    assert not fit.health.ok


def test_categories_in_order_of_the_column_or_sorted(people):
    groups = people.drop_duplicates("g")
    text = groups["three"].map({0: "z", 1: "y", 2: "a"})
    fit = mm.fit("three ~ x", groups.assign(three=text), family="categorical", engine="ml")
    assert list(fit.params.index) == ["mu[y].Intercept", "mu[y].x", "mu[z].Intercept", "mu[z].x"]
    levels = pd.Categorical(text, ["z", "y", "a"])
    fit = mm.fit("three ~ x", groups.assign(three=levels), family="categorical", engine="ml")
    assert list(fit.params.index) == ["mu[y].Intercept", "mu[y].x", "mu[a].Intercept", "mu[a].x"]


# -- predictions -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chosen():
    return mm.fit("choice(y, s) ~ x + mm(m, g)", choices(), family="conditional_logit", engine="ml")


def test_probabilities_sum_to_one_in_every_set(chosen):
    data = choices()
    for options in ({}, {"effects": "marginal"}, {"effects": "zero"}):
        p = chosen.predict(**options)["estimate"]
        sets = data.drop_duplicates("g").set_index("g")["s"]
        np.testing.assert_allclose(p.groupby(sets).sum(), 1.0)
    new = data.assign(m=data["m"] + 100).drop(columns="y")
    p = chosen.predict(new)
    np.testing.assert_allclose(p["estimate"].groupby(sets).sum(), 1.0)
    np.testing.assert_allclose(chosen.residuals().groupby(sets).sum(), 0.0, atol=1e-12)


def test_a_comparison_changes_one_alternative_at_a_time(chosen):
    data = choices().drop(columns="y")
    by_hand = []
    for g in range(0, 75, 5):
        moved = data.assign(x=data["x"] + (data["g"] == g))
        by_hand.append(chosen.predict(moved)["estimate"][g] - chosen.predict(data)["estimate"][g])
    some = chosen.comparisons({"x": 1.0}, by="group")["estimate"]
    np.testing.assert_allclose(some[range(0, 75, 5)], by_hand, rtol=1e-8)
    same = chosen.predict(data.assign(x=data["x"] + 1.0))
    np.testing.assert_allclose(same["estimate"], chosen.predict()["estimate"])  # what moves for all moves nothing


def test_standard_errors_of_probabilities_are_those_of_draws():
    fit = mm.fit("choice(y, s) ~ x", choices(sets=80).drop_duplicates("g"), family="conditional_logit", engine="ml")
    table, draws = fit.predict(), fit.predict(draws=True, random_seed=1)
    sd = draws.std("draw").to_numpy()
    assert 0.95 < np.median(sd / table["se"]) < 1.08  # which leaves curvature out


@pytest.mark.slow
def test_standard_errors_of_unseen_members_are_those_of_their_population():
    """Of alternatives whose members are new: the sd of draws, if these vary the members' sd as little as the error."""
    data = choices(sets=150, members=12)
    new = data[data["s"] < 8].drop(columns="y").assign(m=lambda t: t["m"] + 100)
    ratio = {}
    for name, held in (("known", {"m.sd": 0.8}), ("estimated", {})):
        fit = mm.fit("choice(y, s) ~ x + mm(m, g)", data, family="conditional_logit", engine="ml", fixed=held)
        sd = fit.predict(new, draws=True, random_seed=1).std("draw").to_numpy()
        ratio[name] = np.median(sd / fit.predict(new)["se"])
    assert 0.97 < ratio["known"] < 1.05
    assert fit.bse["m.sd"] > 0.8 * fit.params["m.sd"]  # draws have sds from nearly zero to several times the estimate
    assert ratio["estimated"] > 1.3
    rng, sd = np.random.default_rng(0), 0.8  # the known sd by plain simulation
    fit = mm.fit("choice(y, s) ~ x + mm(m, g)", data, family="conditional_logit", engine="ml", fixed={"m.sd": sd})
    groups = new.drop_duplicates("g")
    members = new.groupby("g")["m"].apply(list).loc[groups["g"]]
    u = sd * rng.standard_normal((4000, 12))
    b = fit.params["x"] + fit.bse["x"] * rng.standard_normal(4000)
    eta = np.outer(b, groups["x"]) + np.stack([u[:, np.array(m) - 100].mean(axis=1) for m in members], axis=1)
    p = np.exp(eta - np.stack([special.logsumexp(eta[:, groups["s"] == s], axis=1) for s in groups["s"]], axis=1))
    assert np.median(p.std(axis=0) / fit.predict(new)["se"].loc[groups["g"]]) == pytest.approx(1.0, abs=0.05)


@pytest.fixture(scope="module")
def drawn():
    return mm.fit("choice(y, s) ~ x + mm(m, g)", choices(), family="conditional_logit", engine="laplace", draws=400,
                  random_seed=2, progress=False)  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Pareto k:micromacro.MicromacroWarning")
def test_whole_sets_are_left_out(drawn):
    loo, within, folds = drawn.loo(), drawn.loo(integrated=True), drawn.kfold(25, random_seed=1)
    assert len(loo.pointwise) == 25 and loo.pointwise.index.name == "s"
    assert abs(within.elpd - loo.elpd) < 1.0
    assert mm.compare({"a": drawn, "b": drawn})["difference"].abs().max() == 0.0
    assert len(folds.pointwise) == 25
    away = np.abs(folds.pointwise["elpd"] - within.pointwise["elpd"])  # few draws; a surprising set differs most
    assert away.median() < 0.1 and away.max() < 1.0


def on_a_grid(sd, size, density, left_out):
    """log p(y_G | y_-G) of sets G of units, effects N(0, sd^2) integrated out on a grid; density (points, units)."""
    node = np.linspace(-4.8, 4.8, 41 if size < 4 else 25)
    x = np.stack(np.meshgrid(*[node] * size, indexing="ij"), axis=-1).reshape(-1, size)
    each, log_w = density(sd * x), -0.5 * np.square(x).sum(axis=1)
    whole = special.logsumexp(log_w + each.sum(axis=1))
    return [whole - special.logsumexp(log_w + each.sum(axis=1) - each[:, g].sum(axis=1)) for g in left_out]


def theta_of(s, values):
    """Theta with some values, the rest where a search begins."""
    return np.array([values.get(p.name, p.start) for p in s.system.hypers])


def test_a_set_left_out_agrees_with_quadrature_given_theta():
    """Three effects, in sets of pairs and of all three; one set is a surprise. Propagation has an error of its own."""
    rng, sizes = np.random.default_rng(9), [2, 3] * 9
    table = pd.DataFrame({"s": np.repeat(np.arange(18), sizes), "c": np.concatenate([np.arange(k) for k in sizes])})
    table["x"] = rng.normal(size=len(table))
    utility = 0.7 * table["x"] + np.array([1.2, -0.8, 0.0])[table["c"]] + rng.gumbel(size=len(table))
    utility[(table["s"] == 5) & (table["c"] == 1)] += 8.0
    table["y"] = (utility == utility.groupby(table["s"]).transform("max")).astype(int)
    s = mm.Model(
        "choice(y, s) ~ x + (1 | c)", table, family="conditional_logit", fixed={"x": 0.7}
    ).specification  # fmt: skip
    sets = [np.flatnonzero(s.response.sets.codes == k) for k in range(18)]
    x, c, y = (np.asarray(s.tables.groups[name].values) for name in ("x", "c", "y"))  # in the model's order of rows

    def density(effects):
        eta = 0.7 * x + effects[:, c]
        chosen = [g[y[g] > 0][0] for g in sets]
        return np.stack(
            [eta[:, k] - special.logsumexp(eta[:, g], axis=1) for k, g in zip(chosen, sets, strict=True)], 1
        )

    exact = on_a_grid(1.2, 3, density, [[k] for k in range(18)] + [[2, 4], [0, 1, 7]])
    found = LeaveSetsOut(s, [*sets, np.concatenate([sets[2], sets[4]]), np.concatenate([sets[k] for k in (0, 1, 7)])])
    away = np.abs(found.at(theta_of(s, {"c.sd": 1.2})) - exact)
    assert min(exact[:18]) < -2.5  # the surprise
    assert away.max() < 0.04 and away.mean() < 0.01
    assert found.propagation.unsettled == 0


def test_a_group_of_a_category_left_out_agrees_with_quadrature_given_theta():
    """Two categories beside the first, hence two effects of each unit."""
    rng = np.random.default_rng(10)
    table = pd.DataFrame({"c": np.repeat([0, 1], 8)})
    utility = np.stack([0 * table["c"], 0.3 + rng.normal(size=16), -0.2 + 1.0 * table["c"]])
    table["three"] = np.argmax(utility + rng.gumbel(size=(3, 16)), axis=0)
    held = {"mu[1].Intercept": 0.3, "mu[2].Intercept": -0.2}
    s = mm.Model("three ~ 1 + (1 | c)", table, family="categorical", fixed=held).specification

    c, y = np.asarray(s.tables.groups["c"].values), s.outcome.astype(int) - 1

    def density(effects):
        eta = np.stack([np.zeros((len(effects), 16)), 0.3 + effects[:, c], -0.2 + effects[:, 2 + c]], 1)
        each = eta - special.logsumexp(eta, axis=1)[:, None]
        return each[:, y, np.arange(16)]

    exact = on_a_grid(0.9, 4, density, [[k] for k in range(16)])
    found = LeaveSetsOut(s, [np.array([k]) for k in range(16)])
    found = found.at(theta_of(s, {"mu[1].c.sd": 0.9, "mu[2].c.sd": 0.9}))
    np.testing.assert_allclose(found, exact, atol=0.03)


@pytest.mark.slow
def test_mcmc_agrees_with_dense_integration():
    """One covariate and one sd under proper priors: their posterior on a grid, effects integrated by quadrature."""
    rng = np.random.default_rng(7)
    table = pd.DataFrame({"s": np.repeat(np.arange(40), 3), "c": np.tile([0, 1, 2], 40)}).assign(
        x=lambda t: rng.normal(size=len(t))
    )
    u = np.array([0.8, -0.6, 0.1])
    utility = 0.7 * table["x"] + u[table["c"]] + rng.gumbel(size=len(table))
    table["y"] = (utility == utility.groupby(table["s"]).transform("max")).astype(int)
    priors = {"b": mm.prior.normal(0, 1), "sd": mm.prior.half_normal(1)}
    fit = mm.fit("choice(y, s) ~ x + (1 | c)", table, family="conditional_logit", priors=priors, draws=500, tune=300,
                 chains=2, random_seed=3, progress=False)  # fmt: skip
    x, y = table["x"].to_numpy().reshape(-1, 3), table["y"].to_numpy().reshape(-1, 3)
    node, weight = np.polynomial.hermite_e.hermegauss(11)
    nodes = np.array(list(itertools.product(node, repeat=3)))
    weights = np.array([np.prod(w) for w in itertools.product(weight, repeat=3)])
    b, sd = np.linspace(-0.4, 1.8, 23), np.linspace(0.02, 3.5, 24)
    log = np.empty((len(b), len(sd)))
    for i, one in enumerate(b):
        for j, spread in enumerate(sd):
            eta = one * x + spread * nodes[:, None]
            each = ((y * eta).sum(axis=2) - special.logsumexp(eta, axis=2)).sum(axis=1)
            log[i, j] = special.logsumexp(each, b=weights) - 0.5 * one**2 - 0.5 * spread**2
    p = np.exp(log - log.max())
    p /= p.sum()
    for name, values, axis in (("x", b, 1), ("c.sd", sd, 0)):
        own = p.sum(axis=axis)
        mean = own @ values
        away = fit.params[name] - mean
        assert abs(away) < 4.0 * fit.summary().loc[name, "mcse_mean"] + 0.01


def test_the_prior_of_a_category_is_given_by_its_name(people):
    groups = people.drop_duplicates("g")
    model = mm.Model("three ~ x", groups, family="categorical", priors={"mu[2].x": mm.prior.normal(0, 0.1)})
    made = {p.name: p.prior for p in model.specification.parameters}
    assert made["mu[2].x"] == Normal(0.0, 0.1) and made["mu[1].x"] != Normal(0.0, 0.1)
