"""Degrees of freedom against pbkrtest and lmerTest, sandwich errors against clubSandwich, and both by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import special

import micromacro as mm
from micromacro.posterior.smallsample import degrees_of_freedom

R = Path(__file__).parents[1] / "reference" / "r"
REFERENCE = json.loads((R / "smallsample.json").read_text())
#: Formula, unit that contains all effects, and the equalities of the F test.
MODELS = {
    "sleepstudy": ("Reaction ~ Days + (1 + Days | Subject)", "Subject", ["Intercept = 0", "Days = 0"]),
    "penicillin": ("diameter ~ 1 + (1 | plate) + (1 | sample)", None, []),
    "beets": ("yield ~ sow + harvest + (1 | block) + (1 | plot)", "block",
              [f"`sow[T.sow{k}]` = 0" for k in range(2, 6)]),
}  # fmt: skip


@pytest.fixture(scope="module")
def fits(quick):
    made = {}

    def fit(name, engine="reml"):
        if (name, engine) not in made:
            made[name, engine] = quick(MODELS[name][0], pd.read_csv(R / f"{name}.csv"), engine)
        return made[name, engine]

    return fit


@pytest.mark.parametrize("name", MODELS)
def test_kenward_and_roger_are_pbkrtests(fits, name):
    """At a boundary, too: variances that are zero (beets) have their part in the degrees of freedom."""
    fit, expected = fits(name), REFERENCE[name]
    some = list(fit.cov_params("kenward-roger").index)
    table = fit.summary(df=True)
    assert list(table.columns[:7]) == ["estimate", "se", "df", "t", "p", "lower", "upper"]
    rows = table.loc[some]
    assert rows["estimate"].to_numpy() == pytest.approx(list(expected["estimate"].values()), rel=1e-6)
    assert rows["se"].to_numpy() == pytest.approx(list(expected["kr_se"].values()), rel=1e-5)
    assert rows["df"].to_numpy() == pytest.approx(list(expected["kr_df"].values()), rel=1e-5)
    t = rows["estimate"] / rows["se"]
    assert rows["p"].to_numpy() == pytest.approx(2 * special.stdtr(rows["df"], -t.abs()))
    assert rows["upper"].to_numpy() == pytest.approx(rows["estimate"] + special.stdtrit(rows["df"], 0.975) * rows["se"])
    assert set(rows["df_method"]) == {"kenward-roger"} and np.isinf(table["df"].drop(some)).all()
    pd.testing.assert_frame_equal(table[["lower", "upper"]], fit.conf_int(df=True))
    rest = fit.summary().drop(some)
    pd.testing.assert_frame_equal(table.drop(some)[["lower", "upper", "p"]], rest[["lower", "upper", "p"]])
    pd.testing.assert_frame_equal(fit.summary().iloc[:, :2], pd.concat([fit.params, fit.bse], axis=1))


@pytest.mark.parametrize("name", ["sleepstudy", "beets"])
def test_f_tests_are_pbkrtests(fits, name):
    fit, expected = fits(name), REFERENCE[name]["f"]
    test = fit.wald_test(MODELS[name][2], df=True)
    assert [test.statistic, test.df_residual] == pytest.approx([expected["kr"], expected["kr_df"]], rel=1e-5)
    assert test.p == pytest.approx(special.fdtrc(test.df, test.df_residual, test.statistic))
    assert str(test).startswith("F test of")
    one = fit.wald_test(MODELS[name][2][-1], df=True)
    row = fit.hypothesis(MODELS[name][2][-1], df=True).iloc[0]
    assert [one.statistic, one.df_residual, one.p] == pytest.approx([row["t"] ** 2, row["df"], row["p"]], rel=1e-6)
    side = fit.hypothesis(MODELS[name][2][-1].replace("=", ">"), df=True).iloc[0]
    assert side["p"] == pytest.approx(special.stdtr(row["df"], -row["t"]), rel=1e-6)


@pytest.mark.parametrize("how", ["CR0", "CR1", "CR1S", "CR2", "CR3"])
@pytest.mark.parametrize("name", ["sleepstudy", "beets"])
def test_sandwich_errors_are_clubsandwichs(fits, name, how):
    made = fits(name).cov_params("sandwich", by=MODELS[name][1], correction=how)
    assert np.sqrt(np.diag(made)) == pytest.approx(list(REFERENCE[name][how].values()), rel=1e-5)
    if how == "CR1S":
        pd.testing.assert_frame_equal(made, fits(name).cov_params("sandwich", by=MODELS[name][1]))


@pytest.fixture(scope="module")
def teams():
    """60 groups of two or three among 18 members, six of each in a club of their own; clubs contain members."""
    rng = np.random.default_rng(4)
    rows = [(g, 6 * (g % 6) + m) for g in range(60) for m in rng.choice(6, rng.integers(2, 4), replace=False)]
    data = pd.DataFrame(rows, columns=["g", "m"])
    data["s"], data["club"] = rng.standard_normal(len(data)), data["g"] % 6
    data["x"], noise = rng.standard_normal(60)[data["g"]], rng.standard_normal(60)
    data["y"] = data["x"] + rng.standard_normal(36)[data["m"]].mean() + noise[data["g"]]
    return data


WEIGHED = "y ~ x{} + mm(m, g{}, weights = power(s), normalize = group)"


def test_satterthwaite_where_weights_change_the_columns(teams, quick):
    """Weights in effects only leave the columns alone; those of a covariate do not, and df are then approximate."""
    only = quick(WEIGHED.format("", ""), teams, "reml").summary(df=True)
    assert only["df_method"]["x"] == "kenward-roger"
    both = quick(WEIGHED.format("", ", s"), teams, "ml")
    table = both.summary(df=True)
    assert set(table["df_method"]) == {"satterthwaite, approximate", ""}
    assert table["se"].to_numpy() == pytest.approx(both.bse.to_numpy(), nan_ok=True)
    assert 2 < table["df"]["x"] < 200
    with pytest.raises(mm.EngineError, match="change the columns of the coefficients"):
        both.cov_params("kenward-roger")


@pytest.mark.parametrize("name", MODELS)
def test_satterthwaite_is_lmertests(fits, name, monkeypatch):
    monkeypatch.setattr("micromacro.posterior.smallsample._moves_columns", lambda *_: True)
    fit, expected = fits(name), REFERENCE[name]
    best, q = fit.posterior, len(fit.posterior.theta)
    made = degrees_of_freedom(fit.specification, best.theta, best.optimum.covariance[:q, :q])
    contrasts = fit.specification.layout.collector[best.coefficients][:, q:]
    assert made.df(contrasts) == pytest.approx(list(expected["satterthwaite_df"].values()), rel=1e-4)
    if "f" in expected:
        rows = contrasts if name == "sleepstudy" else contrasts[1:5]
        assert made.joint(rows)[1] == pytest.approx(expected["f"]["satterthwaite_df"], rel=1e-4)


def test_without_effects_df_are_the_residual_ones_and_the_sandwich_is_whites(quick):
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"x": rng.standard_normal(30), "row": np.arange(30)})
    data["y"] = data["x"] + rng.standard_normal(30) * (1 + data["x"] ** 2)
    fit = quick("y ~ x", data, "reml")
    assert fit.summary(df=True)["df"].to_numpy()[:2] == pytest.approx([28.0, 28.0], rel=1e-6)
    design = np.column_stack([np.ones(30), data["x"]])
    inverse = np.linalg.inv(design.T @ design)
    e = data["y"].to_numpy() - design @ inverse @ design.T @ data["y"].to_numpy()
    white = inverse @ (design.T * e**2) @ design @ inverse
    made = quick("y ~ x + offset(0 * row)", data).cov_params("sandwich", by="row", correction="CR0")
    assert made.to_numpy() == pytest.approx(white, rel=1e-8)


def test_clusters_must_contain_every_effect(teams, quick):
    formula = "y ~ x + mm(m, g) + (1 | club)"
    fit = quick(formula, teams, "reml")
    assert fit.cov_params("sandwich", by="club").shape == (2, 2)
    crossed = quick("y ~ x + mm(m, g) + (1 | other)", teams.assign(other=teams["g"] % 5), "reml")
    with pytest.raises(mm.ModelError, match="the effects of 'm' cross 'other'"):
        crossed.cov_params("sandwich", by="other")
    walk = teams.assign(t=teams["g"] // 10, area=teams["club"])
    ring = {i: [(i + 1) % 6, (i - 1) % 6] for i in range(6)}
    tied = quick("y ~ x + hm(area, effects = car(G))", walk.drop_duplicates("g"), "reml", graphs={"G": ring},
                 fixed={"area.rho": 0.5})  # fmt: skip
    with pytest.raises(mm.ModelError, match="the effects of 'area' cross 'area'"):
        tied.cov_params("sandwich", by="area")


REFUSED = {
    "kind": (lambda f: f.cov_params("robust"), 'kind= is "model", "sandwich" or "kenward-roger"'),
    "by": (lambda f: f.cov_params("sandwich"), "by= is a unit or a column of groups"),
    "correction": (lambda f: f.cov_params("sandwich", by="Subject", correction="HC3"), "correction= is one of CR0"),
    "other parameters": (lambda f: f.wald_test("sigma = 1", df=True), "coefficients only"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_asked_is_refused(fits, what):
    ask, match = REFUSED[what]
    with pytest.raises(mm.MicromacroError, match=match):
        ask(fits("sleepstudy"))


def test_other_outcomes_draws_and_penalised_fits_have_no_degrees_of_freedom(teams, quick):
    counted = quick("k ~ x + (1 | club)", teams.assign(k=teams["g"] % 3).drop_duplicates("g"), family="poisson")
    drawn = quick("y ~ x + (1 | club)", teams.drop_duplicates("g"), "laplace", draws=40, random_seed=1)
    pulled = quick("y ~ x + (1 | club)", teams.drop_duplicates("g"), priors={"x": mm.prior.normal(0, 1)})
    for fit, match in ((counted, "Gaussian outcomes, not poisson"), (drawn, "maximum likelihood"), (pulled, "priors")):
        with pytest.raises(mm.EngineError, match=match):
            fit.summary(df=True)
        with pytest.raises(mm.EngineError, match=match):
            fit.cov_params("sandwich", by="club")


def test_a_fit_with_few_units_points_to_degrees_of_freedom(quick):
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"u": np.repeat(np.arange(4), 8), "x": rng.standard_normal(32)})
    frame["y"] = frame["x"] + rng.standard_normal(4)[frame["u"]] + 0.5 * rng.standard_normal(32)
    told = [n for n in quick("y ~ x + (1 | u)", frame, "reml").health.remarks if n.code == "few-levels"]
    assert "summary(df=True)" in told[0]
    frame["y"] = rng.poisson(np.exp(0.3 * frame["x"]))
    fit = mm.fit("y ~ x + (1 | u)", frame, family="poisson", engine="ml")
    assert not any("summary(df=True)" in n for n in fit.health.remarks)
