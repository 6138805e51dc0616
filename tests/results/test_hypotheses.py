"""Hypotheses, Wald tests and the parametric bootstrap against closed forms, by hand and by simulation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import micromacro as mm
from micromacro.families.censoring import censoring_distribution
from micromacro.posterior.replicate import simulated
from micromacro.posterior.statements import read_statement
from micromacro.results.verbs.bootstrap import bootstrap


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(3)
    out = pd.DataFrame(rng.standard_normal((60, 2)), columns=["a", "b"])
    out["k"] = np.array(["u", "v", "w"])[rng.integers(0, 3, 60)]
    out["y"] = 1.0 + 0.5 * out["a"] + 0.4 * out["b"] + rng.standard_normal(60)
    return out


@pytest.fixture(scope="module")
def plain(frame, quick):
    return quick("y ~ a + b + k", frame)


@pytest.fixture(scope="module")
def sampled(frame, quick):
    priors = {"b": mm.prior.normal(0, 1), "Intercept": mm.prior.normal(0, 2), "sigma": mm.prior.half_normal(2)}
    return quick("y ~ a + b", frame, "mcmc", draws=1500, tune=200, chains=4, random_seed=1, priors=priors)


NAMES = ["a", "b", "a.b", "a:b", "B.w.x", "C(k)[T.u v]", "I(a ** 2)", "a_b"]
VALUES = dict(zip(NAMES, [2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0, 19.0], strict=True))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a > 0", 2.0),
        ("a.b - a < b", 0.0),
        ("a:b = a_b", -12.0),
        ("2 * a + b/4 = 1e1", 2 * 2 + 3 / 4 - 10),
        ("-(a - b) * C(k)[T.u v] == I(a ** 2)", 13.0 - 17.0),
        ("`a` - `b` = 0", -1.0),
        ("a - b - b = 1 - 2 - 3", 2 - 3 - 3 + 4.0),
        ("12 / a / b = 0", 2.0),
        ("exp(B.w.x / 11) > 1", np.e - 1),
        ("abs(a - b) >= .5", 0.5),
        ("a^2 / (a^2 + b ** 2) > 0.5", 4 / 13 - 0.5),
        ("-a^2^-1 * I(a ** 2) = (a + b)^(1/2)", -np.sqrt(2.0) * 17.0 - np.sqrt(5.0)),
    ],
)
def test_statements_are_read(text, value):
    statement = read_statement(text, NAMES)
    assert statement.difference(VALUES) == pytest.approx(value)
    assert statement.sign == next(c for c in text if c in "<>=")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a + b", "compares two sides"), ("a > 0 > b", "should end here"), ("c > 0", "no parameter 'c'"),
        ("a.c > 0", "no parameter 'a.c'"), ("(a > 0", "closing bracket"), ("a > ", "expected here"),
        ("1 > 0", "contains no parameter"), ("`q` > 0", "'q'"), ("a * > 0", "expected here"), (3, "is text"),
        ("a^b > 0", "exponent is a number"), ("2 ** a > 0", "exponent is a number"), ("a^ > 0", "expected here"),
    ],
)  # fmt: skip
def test_what_is_no_statement_is_refused(text, match):
    with pytest.raises(mm.FormulaError, match=match):
        read_statement(text, NAMES)


def test_one_sided_hypotheses_of_draws(sampled):
    draws = sampled.posterior.draws.reshape(-1, 4)
    table = sampled.hypothesis(["a > 0.45", "a - 2 * b < 0"])
    share = [(draws[:, 1] > 0.45).mean(), (draws[:, 1] - 2 * draws[:, 2] < 0).mean()]
    assert table["probability"].to_numpy() == pytest.approx(share)
    assert table["evidence_ratio"].to_numpy() == pytest.approx(np.array(share) / (1 - np.array(share)))
    assert table.loc["a > 0.45", "mean"] == pytest.approx(draws[:, 1].mean() - 0.45)
    assert sampled.hypothesis("a > -50")["evidence_ratio"].iloc[0] == np.inf


def posterior_density(sampled, frame, contrast, at):
    """Exact density of a contrast of the coefficients: a mixture over the draws of sigma of normal posteriors."""
    x = frame[["a", "b"]].to_numpy()
    X = np.column_stack([np.ones(60), x - x.mean(0)])
    precision = np.diag([0.25, 1.0, 1.0])
    out = []
    for sigma in sampled.posterior.draws[..., 3].ravel()[::20]:
        v = np.linalg.inv(X.T @ X / sigma**2 + precision)
        m = v @ (X.T @ frame["y"].to_numpy()) / sigma**2
        out.append(stats.norm.pdf(at, contrast @ m, np.sqrt(contrast @ v @ contrast)))
    return np.mean(out)


@pytest.mark.parametrize(
    ("text", "contrast", "at", "prior"),
    [
        ("a - b = 0", [0, 1, -1], 0.0, stats.norm.pdf(0, 0, np.sqrt(2))),
        ("2 * a = 1", [0, 2, 0], 1.0, stats.norm.pdf(1, 0, 2)),
    ],
)
def test_savage_dickey_is_the_ratio_of_exact_densities(sampled, frame, text, contrast, at, prior):
    exact = posterior_density(sampled, frame, np.array(contrast, float), at) / prior
    # a kernel estimate from 6,000 draws: a few per cent
    assert sampled.hypothesis(text)["evidence_ratio"].iloc[0] == pytest.approx(exact, rel=0.08)


def test_the_prior_of_the_intercept_is_at_mean_covariates(sampled, frame):
    from micromacro.posterior.hypotheses import prior_density

    m = frame[["a", "b"]].mean().to_numpy()
    value, why = prior_density(sampled.specification, read_statement("Intercept = 1", sampled.specification.names))
    assert (why, value) == ("", pytest.approx(stats.norm.pdf(1, 0, np.sqrt(4 + m @ m))))
    half, _ = prior_density(sampled.specification, read_statement("sigma = 1", sampled.specification.names))
    assert half == pytest.approx(stats.halfnorm.pdf(1, scale=2))


@pytest.mark.parametrize(
    ("text", "match"),
    [("a * b = 0", "linear"), ("sigma = 0", "inside"), ("a = sigma", "normal priors"), ("a = 9", "4 ")],
)
def test_unknown_densities_leave_no_ratio_and_say_why(sampled, text, match):
    row = sampled.hypothesis(text).iloc[0]
    assert np.isnan(row["evidence_ratio"])
    assert match in row["note"]


def test_hypotheses_at_a_maximum(plain):
    table = plain.hypothesis(["a = 0", "a > 0", "k[T.v] - k[T.w] < 0", "a / b = 1"])
    assert table.loc["a = 0", ["estimate", "se", "z", "p"]].to_numpy(float) == pytest.approx(
        plain.summary().loc["a", ["estimate", "se", "z", "p"]].to_numpy(float)
    )
    assert table.loc["a > 0", "p"] == pytest.approx(table.loc["a = 0", "p"] / 2)
    v = plain.cov_params()
    se = np.sqrt(v.loc["k[T.v]", "k[T.v]"] + v.loc["k[T.w]", "k[T.w]"] - 2 * v.loc["k[T.v]", "k[T.w]"])
    assert table["se"].iloc[2] == pytest.approx(se)
    a, b = plain.params["a"], plain.params["b"]
    slope = np.array([1 / b, -a / b**2])
    assert table["se"].iloc[3] == pytest.approx(np.sqrt(slope @ v.loc[["a", "b"], ["a", "b"]].to_numpy() @ slope))


def test_wald_tests(plain, sampled):
    test = plain.wald_test(["k[T.v] = 0", "k[T.w] = 0.2"])
    names = ["k[T.v]", "k[T.w]"]
    g, v = plain.params[names].to_numpy() - [0, 0.2], plain.cov_params().loc[names, names].to_numpy()
    assert [test.statistic, test.p] == pytest.approx([g @ np.linalg.solve(v, g), stats.chi2.sf(test.statistic, 2)])
    assert "df = 2" in str(test)
    assert sampled.wald_test("a = b").df == 1
    for statements, match in [(["a = b", "2 * b = 2 * a"], "independent"), ("a > 0", "equalities")]:
        with pytest.raises(mm.MicromacroError, match=match):
            plain.wald_test(statements)


def test_a_parameter_on_its_boundary_has_no_wald_test(frame, quick):
    """Four units without any variance between them."""
    still = frame.assign(unit=np.arange(60) % 4)
    still["y"] -= still.groupby("unit")["y"].transform("mean")
    fit = quick("y ~ 1 + (1 | unit)", still)
    assert fit.params["unit.sd"] == 0.0
    with pytest.raises(mm.EngineError, match="boundary"):
        fit.hypothesis("unit.sd > 0")


# -- the bootstrap -------------------------------------------------------------------------------------------


def test_the_bootstrap_has_the_spread_of_exact_theory(plain, frame):
    """Least squares: the refits' covariance is sigma^2 (X'X)^-1, and sigma^2 is biased by (N - p) / N."""
    made = plain.bootstrap(150, random_seed=1)
    again = plain.bootstrap(150, random_seed=1, executor=ThreadPoolExecutor(2))
    assert made.estimates.equals(again.estimates)
    assert made.failures == ()
    table = made.summary(0.9)
    se = plain.bse
    assert table["se"].to_numpy() == pytest.approx(se.to_numpy(), rel=4 / np.sqrt(2 * 150))
    assert np.all(np.abs(table["bias"][:5]) < 4 * se[:5] / np.sqrt(150))
    sigma2 = (made.estimates["sigma"] ** 2).mean() / plain.params["sigma"] ** 2
    assert sigma2 == pytest.approx(55 / 60, abs=4 * np.sqrt(2 / 55 / 150))
    assert table["lower"].to_numpy() == pytest.approx(made.estimates.quantile(0.05).to_numpy())
    assert "150 refits, 0 failures" in repr(made)


def test_effects_are_drawn_anew(reml):
    made = reml.bootstrap(15, random_seed=2)
    assert len(made.estimates) + len(made.failures) == 15
    away = (made.estimates.mean() - reml.params) / (made.estimates.std() / np.sqrt(15))
    assert np.all(np.abs(away.drop(["member.w.b1", "member.sd", "unit.sd"])) < 5)
    y = np.stack([simulated(reml.posterior, np.random.default_rng(k)).values[0] for k in range(3000)])
    theta = reml._outcome.optimum.theta
    room = reml.specification.system.workspace()
    reml.specification.system.fill(theta, room)
    s = reml.specification.system.symbolic
    A = np.zeros((len(y[0]), reml.specification.system.size))
    A[np.repeat(np.arange(len(A)), np.diff(s.row_start)), s.order[s.columns]] = room.values
    effects = A[:, : reml.specification.system.n_effects]
    exact = (effects**2).sum(1) + theta[-1] ** 2
    assert y.var(0) == pytest.approx(exact, rel=5 * np.sqrt(2 / 3000))


@pytest.mark.parametrize("family", ["poisson", "binomial", "ordinal", "weibull"])
def test_every_form_of_outcome_is_simulated_and_read_again(frame, quick, family):
    rng = np.random.default_rng(5)
    n = rng.integers(4, 9, 60)
    data = frame.assign(
        count=rng.poisson(np.exp(0.4 * frame["a"])), n=n, k=rng.binomial(n, 0.4), time=rng.weibull(1.4, 60) + 0.01,
        event=rng.integers(0, 3, 60) > 0, grade=rng.integers(1, 4, 60),
    )  # fmt: skip
    outcome = {"poisson": "count", "binomial": "trials(k, n)", "ordinal": "grade", "weibull": "surv(time, event)"}
    fit = quick(f"{outcome[family]} ~ a", data, family=family)
    made = bootstrap(fit, 40, random_seed=3)
    assert len(made.estimates) >= 36
    table = made.summary()
    assert table.loc["a", "se"] == pytest.approx(fit.bse["a"], rel=0.45)
    if family == "weibull":
        many = [simulated(fit.posterior, np.random.default_rng(k)).values for k in range(200)]
        share = np.mean([v[0] for v in many])
        assert share == pytest.approx(fit.specification.response.values[0].mean(), abs=0.12)
        first = int(np.flatnonzero(fit.specification.response.values[0] == 0)[0])  # censored: never later than seen
        limit = fit.specification.response.values[1, first]
        assert all(v[1, first] <= limit + 1e-12 for v in many)


def test_the_censoring_distribution_is_kaplan_meiers():
    at, survival = censoring_distribution(np.array([1.0, 2, 3, 4, 5]), np.array([False, True, False, True, True]))
    assert at.tolist() == [2, 4, 5]
    assert survival == pytest.approx([3 / 4, 3 / 8, 0.0])


def test_bootstrap_of_a_likelihood_ratio(frame, quick, plain):
    """Against the exact F-test of a linear model; rows are sorted differently in the two models."""
    smaller = quick("y ~ a + b", frame)
    test = plain.lr_test(smaller, method="bootstrap", n=150, random_seed=4)
    f = (np.exp(test.statistic / 60) - 1) * 55 / 2
    exact = stats.f.sf(f, 2, 55)
    assert test.p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 150))
    assert test.statistic == pytest.approx(plain.lr_test(smaller).statistic)
    assert "150 data sets" in str(test)


def test_what_has_no_bootstrap_is_refused(sampled, plain, frame, quick):
    with pytest.raises(mm.EngineError, match="ml and reml"):
        sampled.bootstrap(10)
    with pytest.raises(mm.EngineError, match="whole number"):
        plain.bootstrap(1)
    with pytest.raises(mm.EngineError, match="chi2"):
        plain.lr_test(plain, method="exact")
    early = frame.assign(low=0.1 + np.arange(60) / 100, high=0.3 + np.arange(60) / 100)
    fit = quick('surv(low, high, type="interval") ~ a', early, family="weibull")
    with pytest.raises(mm.EngineError, match="interval or left censoring"):
        fit.bootstrap(3)
    weighted = quick("y ~ a", frame.assign(v=2.0), observation_weights="v")
    with pytest.raises(mm.EngineError, match="observation weights"):
        weighted.bootstrap(3)


def test_what_is_not_finite_is_said(plain, sampled, frame):
    table = sampled.hypothesis(["log(a - 0.5) > 0", "log(a - 50) > 0", "a > 1 / 0"])
    draws = sampled.posterior.draws.reshape(-1, 4)
    lost = int((draws[:, 1] <= 0.5).sum())
    assert table["note"].str.contains("not finite").all()
    assert f"in {lost} of {len(draws)} draws" in table["note"].iloc[0]
    assert table.drop(columns="note").isna().all(axis=None)
    row = plain.hypothesis("log(a - 50) > 0").iloc[0]
    assert np.isnan(row["estimate"])
    assert "not finite" in row["note"]
    with pytest.raises(mm.ModelError, match="not finite"):
        plain.wald_test("log(a - 50) = 0")


def test_shares_of_variance_and_sds_at_zero(quick):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"u": np.repeat(np.arange(30), 6)})
    frame["y"] = rng.standard_normal(30)[frame["u"]] + rng.standard_normal(180)
    fit = quick("y ~ 1 + (1 | u)", frame)
    table = fit.hypothesis(["u.sd^2 / (u.sd^2 + sigma ** 2) = 0.5", "u.sd = 0", "2 * u.sd^2 > 0", "u.sd = sigma"])
    share = fit.variance_components().loc["u"]
    assert table["estimate"].iloc[0] + 0.5 == pytest.approx(share["share"])
    assert table["se"].iloc[0] == pytest.approx(share["share_se"], rel=1e-4)
    assert table["note"].str.contains("lr_test").tolist() == [False, True, True, False]
    assert "lr_test" in fit.wald_test("u.sd = 0").note
    drawn = quick("y ~ 1 + (1 | u)", frame, "laplace", draws=100, random_seed=1)
    assert drawn.hypothesis("u.sd = 0")["note"].iloc[0].startswith("0 is not inside")
