"""Linear predictors of parameters of the family: sigma, phi, shape, nu, zi, hu."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import micromacro as mm

SIGMA = "~ v + mm(m, g, x, weights = softmax(q), effects = none, name = B)"
TEAMS = "y ~ v + mm(m, g, x, weights = softmax(q), name = B) + (1 | c)"


@pytest.fixture(scope="module")
def teams():
    """Teams whose members act with weights, on the mean and on the spread; outcomes without meaning."""
    rng = np.random.default_rng(5)
    rows = [(g, m) for g in range(90) for m in rng.choice(30, rng.integers(2, 6), replace=False)]
    long = pd.DataFrame(rows, columns=["g", "m"])
    long["x"], long["q"] = rng.standard_normal((2, len(long)))
    of_group = pd.DataFrame({"v": rng.standard_normal(90), "c": np.arange(90) % 12, "y": rng.standard_normal(90)})
    of_group["k"], of_group["t"] = rng.poisson(2.0, 90), 1.0
    return long.merge(of_group, left_on="g", right_index=True)


def weights(long, b):
    w = np.exp(b * long["q"])
    return w / w.groupby(long["g"]).transform("sum")


def test_the_likelihood_is_that_of_a_normal_with_these_variances(teams):
    held = {
        "Intercept": 0.2, "v": 0.5, "B.x": -0.4, "B.w.q": 0.7, "B.sd": 0.6, "c.sd": 0.3,
        "sigma.Intercept": -0.3, "sigma.v": 0.4, "sigma.B.x": 0.5, "sigma.B.w.q": -0.6,
    }  # fmt: skip
    fit = mm.fit(TEAMS, teams, sigma=SIGMA, fixed=held, engine="ml")
    groups = teams.drop_duplicates("g").sort_values("g")
    w, other = weights(teams, 0.7), weights(teams, -0.6)
    z = np.zeros((90, 30))
    np.add.at(z, (teams["g"], teams["m"]), w)
    units = np.eye(12)[groups["c"]]
    mean = 0.2 + 0.5 * groups["v"].to_numpy() - 0.4 * np.bincount(teams["g"], w * teams["x"])
    log_sigma = -0.3 + 0.4 * groups["v"].to_numpy() + 0.5 * np.bincount(teams["g"], other * teams["x"])
    covariance = 0.36 * z @ z.T + 0.09 * units @ units.T + np.diag(np.exp(2 * log_sigma))
    assert fit.loglik == pytest.approx(stats.multivariate_normal(mean, covariance).logpdf(groups["y"]), abs=1e-8)
    np.testing.assert_allclose(fit.predict(dpar="sigma").iloc[:, 0], np.exp(log_sigma), rtol=1e-12)
    np.testing.assert_allclose(fit.predict(dpar="sigma", kind="linear").iloc[:, 0], log_sigma, rtol=1e-12)


@pytest.mark.parametrize(
    ("outcome", "family", "name", "link"),
    [
        ("y", "gaussian", "sigma", np.log),
        ("k", "negative_binomial", "phi", np.log),
        ("k", "hurdle_poisson", "hu", lambda p: np.log(p / (1 - p))),
    ],
)
def test_a_predictor_of_the_intercept_alone_is_the_parameter_itself(teams, outcome, family, name, link):
    formula = f"{outcome} ~ v + (1 | c)"
    plain = mm.fit(formula, teams.assign(k=teams["k"] * (1 + teams["c"] % 3)), family=family, engine="ml")
    other = mm.fit(
        formula, teams.assign(k=teams["k"] * (1 + teams["c"] % 3)), family=family, engine="ml", **{name: "~ 1"}
    )
    assert other.loglik == pytest.approx(plain.loglik, abs=1e-6)
    assert other.params[f"{name}.Intercept"] == pytest.approx(link(plain.params[name]), abs=1e-3)
    np.testing.assert_allclose(other.predict(kind="mean"), plain.predict(kind="mean"), rtol=2e-3)


def test_predictions_and_contrasts_of_a_parameter(teams):
    fit = mm.fit(TEAMS, teams, sigma=SIGMA, engine="ml")
    some = teams[teams["g"] < 5].drop(columns="y")
    np.testing.assert_allclose(fit.predict(some, dpar="sigma"), fit.predict(dpar="sigma").iloc[:5], rtol=1e-9)
    change = fit.comparisons("v", dpar="sigma", contrast="ratio").set_index("variable")
    assert change.loc["v", "estimate"] == pytest.approx(np.exp(fit.params["sigma.v"]), rel=1e-6)
    far = fit.predict(some.assign(v=40.0), kind="response")
    assert (far["se"] > 1e-3).all()


def test_a_saved_fit_has_its_predictors(teams, tmp_path):
    fit = mm.fit(TEAMS, teams, sigma=SIGMA, engine="ml")
    fit.save(tmp_path / "fit.nc")
    loaded = mm.load(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(loaded.predict(dpar="sigma"), fit.predict(dpar="sigma"))
    without = fit.update(sigma=None)
    assert "sigma" in without.params and not any(n.startswith("sigma.") for n in without.params.index)


def test_explain_says_what_is_predicted(teams):
    text = str(mm.Model(TEAMS, teams, sigma="~ v").explain())
    assert "gaussian(eta[i], sigma[i])" in text and "log sigma[i] = Intercept + b[sigma.v]" in text


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"sigma": "v"}, mm.FormulaError, "begins with ~"),
        ({"sigma": "y ~ v"}, mm.FormulaError, "begins with ~"),
        ({"sigma": 1}, mm.FormulaError, "one-sided formula as text"),
        ({"sigma": "~ v +"}, mm.FormulaError, "expected|ends"),
        ({"sigma": "~ nothing"}, mm.MicromacroError, "nothing"),
        ({"sigma": "~ v + I(2 * v)"}, mm.ModelError, "sigma.*linear combination"),
        ({"sigma": "~ t"}, mm.ModelError, "constant"),
        ({"phi": "~ v"}, mm.ModelError, "family gaussian has no parameter phi"),
        ({"sigma": "~ v", "priors": {"sigma": mm.prior.half_normal(1)}}, mm.ModelError, "class 'sigma'"),
    ],
)
def test_what_cannot_be_predicted_is_said(teams, given, error, words):
    with pytest.raises(error, match=words):
        mm.Model("y ~ v", teams.drop_duplicates("g"), **given)


def test_an_unknown_parameter_is_not_predicted(teams):
    fit = mm.fit("y ~ v", teams.drop_duplicates("g"), engine="ml")
    assert fit.predict(dpar="sigma").iloc[:, 0].nunique() == 1
    with pytest.raises(mm.EngineError, match="one of sigma"):
        fit.predict(dpar="phi")
    with pytest.raises(mm.EngineError, match="response"):
        fit.predict(dpar="sigma", kind="response")


def test_a_constant_parameter_is_nested_in_one_with_a_predictor(teams):
    data = teams.drop_duplicates("g")
    larger, smaller = mm.fit("y ~ v", data, sigma="~ v", engine="ml"), mm.fit("y ~ v", data, engine="ml")
    test = larger.lr_test(smaller)
    assert test.df == 1 and test.statistic == pytest.approx(2 * (larger.loglik - smaller.loglik))


def test_coefficients_of_a_parameter_are_read_as_its_factors(teams):
    said = mm.fit("y ~ v", teams.drop_duplicates("g"), sigma="~ v", engine="ml").interpret()["sentence"]
    assert "(sigma) is multiplied by" in said["sigma.v"] and "Where v is one higher" in said["sigma.v"]
    assert "expected value" not in said["sigma.Intercept"] and "(sigma) is" in said["sigma.Intercept"]


def test_corrections_for_one_sigma_are_refused(teams):
    fit = mm.fit("y ~ v + (1 | c)", teams.drop_duplicates("g"), sigma="~ v", engine="ml")
    with pytest.raises(mm.EngineError, match="one sigma"):
        fit.summary(df=True)


def test_a_hazard_ratio_that_depends_on_time_is_refused(teams):
    data = teams.drop_duplicates("g").assign(time=lambda d: np.exp(d["y"]))
    fit = mm.fit("surv(time) ~ v", data, family="weibull", shape="~ v", engine="ml")
    with pytest.raises(mm.EngineError, match="depends on time"):
        fit.comparisons("v", contrast="hazard_ratio")
    assert fit.comparisons("v", kind="median")["se"].iloc[0] > 0.0


def test_a_parameter_that_runs_off_is_not_reported_as_sound(teams):
    short = teams.drop_duplicates("g").assign(y=np.linspace(-1.0, 1.0, 90))
    fit = mm.fit("y ~ 1", short, family="student", nu="~ 1", engine="ml")
    assert not fit.health.ok or fit.health.notes
    alone = teams.drop_duplicates("g").assign(one=lambda d: d["g"] == 0)
    assert not mm.fit("y ~ one", alone, sigma="~ one", engine="ml").health.ok


@pytest.mark.parametrize(
    ("outcome", "family", "given"),
    [
        ("y", "student", {"nu": "~ v"}),
        ("y", "student", {"sigma": "~ v"}),
        ("k", "zero_inflated_negative_binomial", {"zi": "~ v"}),
        ("k", "hurdle_negative_binomial", {"phi": "~ v"}),
    ],
)
def test_gradients_beside_parameters_that_stay_the_same(teams, outcome, family, given):
    from micromacro.engines.marginals import marginal_of

    s = mm.Model(f"{outcome} ~ v + (1 | c)", teams.drop_duplicates("g"), family=family, **given).specification
    marginal = marginal_of(s, maximised=True)
    room = marginal.workspace()
    point = np.concatenate([[p.start for p in s.system.hypers], [0.1] * len(s.system.coefficients)])
    slope = marginal.gradient(point, room)[1]
    for k in range(len(point)):
        ends = [marginal.value(point + h * np.eye(len(point))[k], room) for h in (1e-5, -1e-5)]
        assert slope[k] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-4, abs=1e-4), k
