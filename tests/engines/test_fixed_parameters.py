"""Parameters held at a value leave what is estimated, in every engine; priors with bounds are kept to."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special

import micromacro as mm

FORMULA = "y ~ x + mm(member, group, z, weights = power(s), normalize = group) + (1 | unit)"
NAMES = ("Intercept", "x", "member.z", "member.w.s", "member.sd", "unit.sd", "sigma")
# places of theta in the oracle: b1, member.sd, unit.sd, sigma
PLACES = {"member.w.s": 0, "member.sd": 1, "unit.sd": 2, "sigma": 3}
CASES = [
    {"member.w.s": 0.5},
    {"member.sd": 1.0},
    {"unit.sd": 0.0},
    {"sigma": 0.6},
    {"member.w.s": 0.8, "member.sd": 1.0, "unit.sd": 0.4},
    {"member.w.s": 0.8, "member.sd": 1.0, "sigma": 0.6},
]


def ids(case):
    return "+".join(case)


@pytest.mark.parametrize("reml", [False, True], ids=["ml", "reml"])
@pytest.mark.parametrize("held", CASES, ids=ids)
def test_the_rest_is_at_the_maximum_of_the_dense_oracle(quick, dense, data, held, reml):
    theta, value, beta = dense.Dense(data).maximise(reml, {PLACES[k]: v for k, v in held.items()})
    fit = quick(FORMULA, data, "reml" if reml else "ml", fixed=held)
    assert fit.loglik == pytest.approx(value, abs=1e-6)
    # the likelihood is flat to second order at its maximum, so estimates agree to fewer digits than it does
    np.testing.assert_allclose(fit.params.to_numpy(), [*beta, *theta], atol=2e-3)
    for name, v in held.items():
        assert fit.params[name] == v and fit.bse[name] == 0.0


@pytest.mark.parametrize(
    "held", [{"x": 0.3}, {"member.z": -0.5}, {"Intercept": 0.4}, {"Intercept": 0.4, "x": 0.3}], ids=ids
)
def test_a_fixed_coefficient_is_an_offset(quick, dense, data, held):
    fit = quick(FORMULA, data, "ml", fixed=held)
    oracle = dense.Dense(data)
    free = [k for k in range(3) if NAMES[k] not in held]

    def value(parameters):
        return oracle.loglik(parameters)

    at = fit.params.to_numpy()
    slopes = dense.gradient(value, at)
    assert fit.loglik == pytest.approx(value(at), abs=1e-8)
    assert np.abs(slopes[[*free, 3, 4, 5, 6]]).max() < 5e-3
    for name, v in held.items():
        assert fit.params[name] == pytest.approx(v, abs=1e-12) and fit.bse[name] == 0.0


def test_standard_errors_are_those_of_the_rest(quick, dense, data):
    held = {"member.w.s": 0.8, "x": 0.3}
    fit = quick(FORMULA, data, "ml", fixed=held)
    oracle, at = dense.Dense(data), fit.params.to_numpy()
    free = [k for k, name in enumerate(NAMES) if name not in held]

    def value(u):
        parameters = at.copy()
        parameters[free] = u
        return oracle.loglik(parameters)

    cov = np.linalg.inv(-dense.hessian(value, at[free]))
    np.testing.assert_allclose(fit.bse.to_numpy()[free], np.sqrt(np.diag(cov)), rtol=2e-3)


def test_fixed_in_priors_is_the_same(quick, data):
    a = quick(FORMULA, data, "ml", fixed={"member.w.s": 0.5, "sigma": 0.6})
    b = quick(FORMULA, data, "ml", priors={"w": mm.prior.fixed(0.5), "sigma": mm.prior.fixed(0.6)})
    np.testing.assert_array_equal(a.params, b.params)
    assert a.aic == pytest.approx(-2 * a.loglik + 2 * 5)
    assert "fixed" in a.report() and list(a.summary().index[a.summary()["fixed"]]) == ["member.w.s", "sigma"]
    assert "fixed(0.5)" in str(mm.Model(FORMULA, data, fixed={"member.w.s": 0.5}).explain())


def test_likelihood_ratio_and_profile(quick, data):
    full = quick(FORMULA, data, "ml")
    held = quick(FORMULA, data, "ml", fixed={"member.w.s": 0.0})
    test = full.lr_test(held)
    assert test.df == 1 and test.boundary == 0
    assert test.statistic == pytest.approx(2 * (full.loglik - held.loglik))
    none = quick(FORMULA, data, "ml", fixed={"unit.sd": 0.0})
    without = quick(FORMULA.replace(" + (1 | unit)", ""), data, "ml")
    assert none.loglik == pytest.approx(without.loglik, abs=1e-6)
    assert full.lr_test(none).boundary == 1
    assert full.lr_test(none).p == pytest.approx(full.lr_test(without).p, abs=1e-6)
    with pytest.raises(mm.ModelError, match="not nested"):
        quick(FORMULA, data, "ml", fixed={"sigma": 0.6}).lr_test(without)
    low, high = quick(FORMULA, data, "ml", fixed={"sigma": 0.6}).profile("member.w.s")
    # the ends of the profile interval lie where the likelihood has fallen by 1.92
    for end in (low, high):
        fallen = quick(FORMULA, data, "ml", fixed={"sigma": 0.6, "member.w.s": end}).loglik
        assert quick(FORMULA, data, "ml", fixed={"sigma": 0.6}).loglik - fallen == pytest.approx(1.9207, abs=2e-3)


def test_predictions_and_saving(quick, data, tmp_path):
    fit = quick(FORMULA, data, "ml", fixed={"member.w.s": 0.5, "x": 0.3})
    inside = fit.predict(kind="linear")
    again = fit.predict(data, kind="linear")
    np.testing.assert_allclose(inside, again, rtol=1e-8)
    assert (inside["se"] > 0).all()
    fit.save(tmp_path / "fit.nc")
    assert (tmp_path / "fit.nc").stat().st_size > 0


@pytest.mark.parametrize("engine", ["mcmc", "laplace"])
def test_draws_keep_the_value(quick, data, engine):
    held = {"member.w.s": 0.8, "x": 0.3, "sigma": 0.5}
    fit = quick(FORMULA, data, engine, fixed=held, draws=400, tune=300, chains=2, random_seed=1)
    for name, v in held.items():
        assert fit.params[name] == pytest.approx(v, abs=1e-12) and fit.bse[name] < 1e-12
    assert not any("judged" in t for t in fit.health.troubles)
    assert fit.bse["member.sd"] > 0


@pytest.mark.slow
def test_draws_of_the_rest_are_those_of_a_prior_around_the_value(quick, data):
    """Holding is the limit of a narrow prior."""
    run = {"draws": 2000, "tune": 500, "chains": 2, "random_seed": 1}
    held = quick(FORMULA, data, "mcmc", fixed={"member.w.s": 0.8, "sigma": 0.5}, **run).summary()
    narrow = {"w": mm.prior.normal(0.8, 1e-4), "sigma": mm.prior.uniform(0.4999, 0.5001)}
    near = quick(FORMULA, data, "mcmc", priors=narrow, **run).summary()
    for name in ("Intercept", "x", "member.z", "member.sd", "unit.sd"):
        error = np.hypot(held.loc[name, "mcse_mean"], near.loc[name, "mcse_mean"])
        assert abs(held.loc[name, "mean"] - near.loc[name, "mean"]) < 4 * error


def test_everything_fixed(quick, data):
    """Theta has no free entry left; the coefficients are generalised least squares."""
    held = {"member.w.s": 0.8, "member.sd": 1.0, "unit.sd": 0.4, "sigma": 0.6}
    ml = quick(FORMULA, data, "ml", fixed=held)
    draws = quick(FORMULA, data, "mcmc", fixed=held, priors="vague", draws=1000, tune=50, chains=2, random_seed=1)
    for name in ("Intercept", "x", "member.z"):
        assert abs(draws.params[name] - ml.params[name]) < 4 * draws.summary().loc[name, "mcse_mean"] + 1e-3
        assert draws.bse[name] == pytest.approx(ml.bse[name], rel=0.08)


def counts(data, family):
    """Counts, or categories, out of the Gaussian outcome."""
    y = data["y"].clip(-2, 2)
    if family == "ordinal":
        return data.assign(y=np.digitize(y, [-0.5, 0.5, 1.0]) + 1)
    return data.assign(y=np.round(np.exp(y)).astype(int))


@pytest.mark.parametrize(
    ("family", "held"),
    [
        ("negative_binomial", {"phi": 2.0}),
        pytest.param("negative_binomial", {"member.sd": 0.5, "x": 0.2}, marks=pytest.mark.slow),
        ("poisson", {"member.sd": 0.5, "unit.sd": 0.2, "member.w.s": 0.3}),
        ("ordinal", {"cut.2": 0.6}),
        ("student", {"nu": 5.0}),
    ],
    ids=str,
)
def test_other_families(quick, data, family, held):
    """At the maximum the likelihood of the free model has no slope but in what is held."""
    table = data if family == "student" else counts(data, family)
    fit = quick(FORMULA, table, "ml", family=family, fixed=held)
    for name, v in held.items():
        assert fit.params[name] == pytest.approx(v, abs=1e-12) and fit.bse[name] == 0.0
    for name in held:
        up = quick(FORMULA, table, "ml", family=family, fixed=held | {name: held[name] + 1e-3}).loglik
        down = quick(FORMULA, table, "ml", family=family, fixed=held | {name: held[name] - 1e-3}).loglik
        free = quick(FORMULA, table, "ml", family=family, fixed={k: v for k, v in held.items() if k != name})
        # the profile likelihood is continuous and below its maximum, on the side of the estimate it rises
        assert max(up, down, fit.loglik) <= free.loglik + 1e-6
        assert (up > down) == (free.params[name] > held[name])


# -- bounds through priors -------------------------------------------------------------------------------------------

MIXING = "y ~ mm(member, group, z, weights = b1 * p + (1 - b1) * (s == max(s)) , normalize = group)"


@pytest.fixture(scope="module")
def mixed(dense):
    """An outcome whose weights mix a share with the largest member."""
    data = dense.make_data(seed=5, groups=120)
    share = np.exp(data["s"])
    data["p"] = share / share.groupby(data["group"]).transform("sum")
    model = mm.Model(MIXING, data, priors={"w": mm.prior.uniform(0, 1)})
    truth = {"Intercept": 0.2, "member.z": 1.0, "member.w.b1": 0.6, "member.sd": 0.5, "sigma": 0.5}
    drawn = model.simulate(truth, random_seed=3)
    data["y"] = data["group"].map(dict(zip(drawn.groups, drawn.outcome[0], strict=True)))
    return data


@pytest.mark.parametrize(
    "prior",
    [
        mm.prior.uniform(0, 1),
        mm.prior.gamma(2, 3),
        pytest.param(mm.prior.beta(2, 2), marks=pytest.mark.slow),
        pytest.param(mm.prior.half_normal(1), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_a_mixing_weight_stays_in_the_support_of_its_prior(quick, mixed, prior):
    ml = quick(MIXING, mixed, "ml", priors={"w": prior})
    low, high = prior.support
    assert low <= ml.params["member.w.b1"] <= high
    if isinstance(prior, type(mm.prior.uniform(0, 1))):
        free = quick(MIXING, mixed, "ml")
        assert 0 < free.params["member.w.b1"] < 1  # the bound does not bite
        assert ml.params["member.w.b1"] == pytest.approx(free.params["member.w.b1"], abs=1e-4)
    for engine in ("mcmc", "laplace"):
        draws = quick(MIXING, mixed, engine, priors={"w": prior}, draws=600, tune=300, chains=2, random_seed=1)
        each = draws.posterior.draws[..., draws.specification.names.index("member.w.b1")]
        assert each.min() >= low and each.max() <= high
        assert abs(draws.params["member.w.b1"] - ml.params["member.w.b1"]) < 1.5 * draws.bse["member.w.b1"]


@pytest.mark.parametrize("family", ["gaussian", "student"])
def test_a_bound_on_a_coefficient(quick, mixed, family):
    """A slope that would be negative is held at zero by ml, and its draws stay above."""
    formula = "y ~ x + mm(member, group, z)"
    table = mixed.assign(x=-mixed["y"] + np.sin(np.arange(len(mixed)))[mixed["group"]])
    ml = quick(formula, table, "ml", family=family, priors={"x": mm.prior.uniform(0, 5)})
    assert ml.params["x"] == 0.0 and np.isnan(ml.bse["x"])
    draws = quick(
        formula,
        table,
        family=family,
        priors={"x": mm.prior.half_normal(1)},
        draws=300,
        tune=300,
        chains=2,
        random_seed=1,
    )
    assert draws.posterior.draws[..., 1].min() >= 0.0


def test_a_prior_of_the_intercept_that_is_not_normal(quick, data):
    """It is on the intercept at mean covariates; a wide uniform one changes nothing, a bound is kept to."""
    free = quick(FORMULA, data, "ml")
    wide = quick(FORMULA, data, "ml", priors={"Intercept": mm.prior.uniform(-50, 50)})
    np.testing.assert_allclose(wide.params, free.params, atol=1e-3)
    np.testing.assert_allclose(wide.bse, free.bse, rtol=2e-3)
    assert wide.loglik == pytest.approx(free.loglik, abs=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*diverged:micromacro.errors.MicromacroWarning")
def test_nuts_agrees(quick, data):
    pytest.importorskip("numpyro")
    held = {"member.w.s": 0.8, "x": 0.3, "Intercept": 0.5}
    priors = {"sigma": mm.prior.uniform(0.2, 2), "member.z": mm.prior.uniform(-2, 0)}
    run = {"draws": 1500, "tune": 500, "chains": 2, "random_seed": 1, "fixed": held, "priors": priors}
    a = quick(FORMULA, data, "mcmc", **run).summary()
    b = quick(FORMULA, data, "nuts", **run).summary()
    for name, v in held.items():
        assert b.loc[name, "mean"] == pytest.approx(v, abs=1e-6)
    for name in ("member.z", "member.sd", "unit.sd", "sigma"):
        error = np.hypot(a.loc[name, "mcse_mean"], b.loc[name, "mcse_mean"])
        assert abs(a.loc[name, "mean"] - b.loc[name, "mean"]) < 4 * error


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"fixed": {"member.w.b1": 1}},
            "no parameter 'member.w.b1'; did you mean 'member.w.s'.*s: Intercept, x",
        ),
        ({"fixed": {"w": 1}}, "no parameter 'w'"),
        ({"fixed": {"sigma": 0}}, "'sigma' is fixed at 0, but it must be positive"),
        ({"fixed": {"unit.sd": -1}}, "'unit.sd' is fixed at -1, but it must be zero or positive"),
        ({"fixed": {"x": float("nan")}}, "finite number"),
        ({"fixed": {"x": "1"}}, "finite number"),
        ({"fixed": {"x": 1}, "priors": {"x": mm.prior.normal(0, 1)}}, "give one of the two"),
        ({"fixed": ["x"]}, "dictionary"),
        ({"priors": {"member.w.q": mm.prior.fixed(1)}}, "no parameter or class 'member.w.q'"),
    ],
    ids=str,
)
def test_errors(data, options, message):
    with pytest.raises(mm.ModelError, match=f"(?s){message}"):
        mm.Model(FORMULA, data, **options)


@pytest.fixture(scope="module")
def slopes():
    """Three correlated effects of 20 units, durations, and four parts."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"c": np.repeat(np.arange(20), 8), "x": rng.normal(size=160), "z": rng.normal(size=160)})
    u = rng.normal(size=(20, 3))
    frame["y"] = u[frame["c"], 0] + u[frame["c"], 1] * frame["x"] + u[frame["c"], 2] * frame["z"]
    frame["y"] += 0.5 * rng.normal(size=160)
    frame["t"], frame["seen"] = (
        np.exp(0.3 * frame["x"]) * rng.exponential(size=160),
        (rng.random(160) < 0.8).astype(int),
    )
    return frame.assign(part=frame["c"] % 4)


CORRELATED = "y ~ x + (1 + x + z | c)"
HELD = {
    "c.cor.1.z": (CORRELATED, "gaussian"),
    "c.cor.x.z": (CORRELATED, "gaussian"),
    "baseline.2": ("surv(t, seen) ~ x + (1 | c)", mm.families.cox(intervals=3)),
    "part[2]": ("y ~ x + hm(part, effects = fixed)", "gaussian"),
}


@pytest.mark.parametrize("name", HELD)
def test_what_x_or_a_joint_prior_holds_can_be_fixed_too(quick, slopes, name):
    """At its estimate nothing changes but the count of parameters; elsewhere it stays where it is, in every engine."""
    formula, family = HELD[name]
    free = quick(formula, slopes, "ml", family=family)
    held = quick(formula, slopes, "ml", family=family, fixed={name: free.params[name]})
    assert held.loglik == pytest.approx(free.loglik, abs=1e-8) and held.bse[name] == 0.0
    assert held.aic == pytest.approx(free.aic - 2.0)
    np.testing.assert_allclose(held.params, free.params, atol=1e-6)
    moved = quick(formula, slopes, "ml", family=family, fixed={name: 0.1})
    assert moved.params[name] == pytest.approx(0.1, abs=1e-14) and moved.loglik < free.loglik
    for engine in ("laplace", "mcmc"):
        drawn = quick(
            formula, slopes, engine, family=family, fixed={name: 0.1}, draws=60, tune=60, chains=2, random_seed=1
        )
        assert drawn.params[name] == pytest.approx(0.1, abs=1e-12) and drawn.bse[name] < 1e-12


def test_correlations_that_are_held_together(quick, slopes):
    free = quick(CORRELATED, slopes, "ml")
    names = [n for n in free.params.index if ".cor." in n]
    held = quick(CORRELATED, slopes, "ml", fixed=free.params[names])
    assert held.loglik == pytest.approx(free.loglik, abs=1e-8)
    assert f"{names[1]} = {free.params[names[1]]:g}" in held.report()
    with pytest.raises(mm.ModelError, match="not positive definite"):
        quick(CORRELATED, slopes, "ml", fixed=dict(zip(names, (0.9, 0.9, -0.9), strict=True)))
    with pytest.raises(mm.ModelError, match="no term in common"):
        quick("y ~ (1 + x + z + t | c)", slopes, "ml", fixed={"c.cor.1.x": 0.1, "c.cor.z.t": 0.1})


def test_a_steep_curve_of_zeros_can_be_held():
    """At the start its probability of a zero is one but for rounding where counts were seen."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=80)
    y = np.where(x < -0.5, 0, rng.poisson(3.0, 80))
    fit = mm.fit("y ~ 1", pd.DataFrame({"y": y, "x": x}), family="zero_inflated_poisson", zi="~ x", engine="ml",
                 fixed={"zi.x": -60.0})  # fmt: skip
    mean, logit = np.exp(fit.params["Intercept"]), fit.params["zi.Intercept"] - 60.0 * x
    counted = -np.logaddexp(0.0, logit) - mean + y * np.log(mean) - special.gammaln(y + 1.0)
    each = np.where(y == 0, np.logaddexp(-np.logaddexp(0.0, -logit), counted), counted)
    assert fit.loglik == pytest.approx(each.sum(), abs=1e-8)
    assert fit.params["zi.Intercept"] == pytest.approx(-30.0, abs=3.0)
