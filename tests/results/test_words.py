"""What a fit and a model say in words: the report, its HTML, the explanation."""

from __future__ import annotations

import itertools
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.results.report.html import LAYOUT
from micromacro.results.report.sections import Piece


@pytest.fixture(params=["ml", "reml", "mcmc"])
def fit(request):
    return request.getfixturevalue(request.param)


def test_the_report_has_the_level_and_every_parameter(fit):
    text = fit.report()
    assert text == repr(fit)
    assert "95% intervals" in text
    for name in fit.params.index:
        row = next(line for line in text.splitlines() if line.split()[:1] == [name])
        assert f"{fit.params[name]:.4f}" in row.split()
    for word in ("80 (group)", "24 members", "units unit: 8", "free parameters: member.w.b1", f"engine {fit.engine}"):
        assert word in re.sub(r"\s+", " ", text)


def test_the_formula_stands_in_the_report(fit):
    assert fit.formula in re.sub(r"\s+", " ", fit.report())


@pytest.mark.parametrize(
    ("ci", "said"), [(0.9, "90% intervals"), (0.975, "97.5% intervals"), (0.999, "99.9% intervals")]
)
def test_the_report_says_the_level_that_was_asked_for(ml, ci, said):
    assert said in ml.report(ci=ci)


def test_the_report_of_ml_has_the_likelihood(ml, reml, mcmc):
    assert f"log-likelihood {ml.loglik:.3f}   AIC {ml.aic:.2f}   BIC {ml.bic:.2f}" in ml.report()
    assert f"restricted log-likelihood {reml.loglik:.3f}" in reml.report()
    assert "AIC" not in reml.report().replace("no AIC", "")
    assert "likelihood" not in mcmc.report()


def test_the_report_of_draws_has_their_health_and_the_contraction(mcmc):
    text = re.sub(r"\s+", " ", mcmc.report())
    assert "(4 chains, 400 draws each after 300 tuning)" in text
    assert f"Health: {'good' if mcmc.health.ok else 'PROBLEMS'}" in text
    worst = mcmc.summary()["r_hat"].max()
    assert f"largest R-hat {worst:.4f}" in text
    value = mcmc.health.contraction["member.w.b1"]
    assert f"member.w.b1: prior-to-posterior contraction {value:.2f}" in text


def test_lines_of_the_report_are_not_too_long(fit):
    assert max(map(len, fit.report().splitlines())) <= 100


def test_the_html_report_escapes_what_users_wrote(two_blocks, data, quick):
    formula = "y ~ 1 + mm(member, group, weights = where(s < 0, 1, exp(b1)), normalize = group)"
    text = quick(formula, data)._repr_html_()
    assert "where(s &lt; 0" in text
    assert "s < 0" not in text
    assert "member.w.b1" in text and "95% intervals" in text


def test_names_in_the_html_report_are_escaped(quick, rng):
    frame = pd.DataFrame({"y": rng.standard_normal(30), "kind": np.tile(["a", "b<i>", "c&d"], 10)})
    text = quick("y ~ kind", frame)._repr_html_()
    assert "b&lt;i&gt;" in text
    assert "<i>" not in text
    assert "c&amp;d" in text


def test_the_html_report_has_every_parameter(fit):
    text = fit._repr_html_()
    for name in fit.params.index:
        assert f"<th>{name}</th>" in text


# -- explain ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(data):
    return mm.Model(
        "y ~ x + mm(member, group, z, weights = 1 / n ** exp(-(b1 * s + b2))) + (1 | unit)", data,
        priors={"member.w.b2": mm.prior.normal(0, 0.5)},
    )  # fmt: skip


def test_explain_lists_free_symbols_priors_and_counts(model):
    text = str(model.explain())
    assert "free parameters: member.w.b1, member.w.b2" in text
    assert "24 members, 286 memberships, 2 to 5 members per group" in text
    assert "groups 80 (group)" in text
    for name, row in model.parameters.iterrows():
        line = next(line for line in text.splitlines() if line.split()[:1] == [name])
        assert row["prior"] in line
        assert ("(default)" in line) == row["default"]
    assert "normal(0, 0.5)" in text


def test_explain_writes_the_equations(model):
    text = str(model.explain())
    for part in ("y[i] ~ gaussian(eta[i], sigma)", "u_member[j] ~ normal(0, member.sd)",
                 "u_unit[j] ~ normal(0, unit.sd)", "b[member.z] * z[j]", "normalize = total"):  # fmt: skip
        assert part in text


def test_a_model_shows_itself_by_explaining(model):
    assert repr(model) == str(model.explain()) == repr(model.explain())


def test_notebooks_fold_long_lines(model, ml):
    """The text of an explanation stays as it is; what IPython shows fits a page."""
    shown = []
    model.explain()._repr_pretty_(SimpleNamespace(text=shown.append), False)
    assert max(map(len, shown[0].splitlines())) <= 92 < max(map(len, model.explain().splitlines()))
    assert shown[0].split() == model.explain().split()
    assert "pre-wrap" in ml._repr_html_()


def test_a_line_of_a_list_has_one_mark():
    said = Piece("verdict", ("Health: good; converged", "  - a remark", "- a note"))
    assert LAYOUT["verdict"](said) == "<ul><li>Health: good; converged</li><li>a remark</li><li>a note</li></ul>"


def test_the_table_of_parameters_has_class_prior_default_and_start(model):
    table = model.parameters
    assert list(table.columns) == ["class", "prior", "default", "start"]
    assert table["class"].to_dict() == {
        "Intercept": "Intercept", "x": "b", "member.z": "b", "member.w.b1": "w", "member.w.b2": "w",
        "member.sd": "sd", "unit.sd": "sd", "sigma": "sigma",
    }  # fmt: skip
    assert table.loc["member.w.b1", "prior"] == "normal(0, 1)"
    assert (table.loc[["member.w.b1", "member.w.b2"], "start"] == 0).all()


def test_default_priors_are_scaled_by_the_data(model, data):
    first = data.groupby("group").first()
    s = first["y"].std()
    n = data.groupby("group")["member"].size()
    table = model.parameters
    assert table.loc["x", "prior"] == f"normal(0, {2.5 * s / first['x'].std():.4g})"
    assert table.loc["Intercept", "prior"] == f"normal({first['y'].mean():.4g}, {2.5 * s:.4g})"
    assert table.loc["unit.sd", "prior"] == f"half_student(3, 0, {2.5 * s:.4g})"
    assert table.loc["member.sd", "prior"] == f"half_student(3, 0, {2.5 * s * np.sqrt(n.mean()):.4g})"


def test_flat_priors_are_called_flat(data):
    table = mm.Model("y ~ x + mm(member, group)", data, priors="flat").parameters
    assert (table["prior"] == "flat").all()


# -- the front door --------------------------------------------------------------------------------------------------


def test_a_model_fits_as_the_function_does(ml, data):
    fit = mm.Model(ml.formula, data).fit("ml")
    assert fit.loglik == ml.loglik
    assert fit.params.equals(ml.params)


def test_an_update_changes_what_was_asked_and_keeps_the_rest(ml, mcmc, data):
    fewer = ml.update(formula="y ~ 1 + mm(member, group)")
    assert fewer.engine == "ml"
    assert list(fewer.params.index) == ["Intercept", "member.sd", "sigma"]
    assert ml.update(data=data[data["group"] <= 60]).nobs == 60
    sampled = mcmc.update(draws=20, tune=20)
    assert sampled._outcome.draws.theta.shape[:2] == (4, 20)
    assert sampled._outcome.settings.random_seed == 4
    assert mcmc.update(engine="ml").params.equals(ml.params)
    assert ml.update(priors={"sd": mm.prior.half_normal(0.1)}).params["member.sd"] < ml.params["member.sd"]
    assert ml.params.equals(ml.update().params)


def test_an_update_of_an_update_keeps_both_changes(ml):
    twice = ml.update(formula="y ~ 1 + mm(member, group)").update(engine="reml")
    assert (twice.engine, twice.formula) == ("reml", "y ~ 1 + mm(member, group)")


def test_an_update_with_an_unknown_argument_lists_the_known(ml):
    with pytest.raises(mm.ModelError, match=r"no argument engin=.*formula.*engine.*draws"):
        ml.update(engin="reml")


def test_what_was_dropped_is_said(data):
    holes = data.assign(z=data["z"].where(data["group"] != 3))
    with pytest.warns(mm.MicromacroWarning, match="dropped"):
        model = mm.Model("y ~ x + mm(member, group, z)", holes, missing="drop")
    assert model.specification.groups == 79
    assert "dropped" in str(model.explain())


def test_a_prior_for_a_parameter_that_does_not_exist_is_refused(data):
    with pytest.raises(mm.ModelError, match=r"member\.w\.b1"):
        mm.fit("y ~ x + mm(member, group)", data, priors={"member.w.b1": mm.prior.normal(0, 1)}, engine="ml")


# -- a Cox model -----------------------------------------------------------------------------------------------------


def cox_table(groups=90, seed=3):
    rng = np.random.default_rng(seed)
    t = rng.weibull(1.3, groups) + 0.001
    return pd.DataFrame({"t": np.minimum(t, 1.6), "e": (t < 1.6).astype(int), "x": rng.standard_normal(groups)})


def test_a_cox_model_shows_its_hazard_and_the_events_of_each_interval():
    data = cox_table()
    text = str(mm.Model("surv(t, e) ~ x", data, family=mm.families.cox([0.5, 1.0])).explain())
    assert "hazard of surv(t, e)[i] at t = exp(baseline.k + eta[i]), t in interval k" in text
    assert "~ cox(" not in text
    crude = data["e"].sum() / data["t"].sum()
    assert f"each exp(baseline.k) ~ gamma(0.5, {0.5 / crude:.4g})" in text
    edges = [0.0, 0.5, 1.0, np.inf]
    for k, (a, b) in enumerate(itertools.pairwise(edges), start=1):
        events = int(((data["t"] > a) & (data["t"] <= b) & (data["e"] == 1)).sum())
        time = (data["t"].clip(upper=b) - a).clip(lower=0).sum()
        row = next(line for line in text.splitlines() if line.split()[:1] == [f"baseline.{k}"] and "(" in line)
        shown = row.split("]")[1].split()
        assert f"({a:.4g}, {b:.4g}]" in row
        assert [float(v) for v in shown] == pytest.approx([events, time, events / time], rel=1e-3)


@pytest.mark.parametrize(
    ("options", "priors", "words"),
    [
        ({"intervals": 3, "baseline": "random_walk"}, None, "normal(0, baseline.sd), baseline.1 ~ normal("),
        ({"intervals": 3}, {"baseline": mm.prior.normal(0, 1)}, "each baseline.k ~ normal(0, 1)"),
        ({"intervals": 3}, {"baseline.2": mm.prior.normal(0, 1)}, "is given below"),
        ({"intervals": 3}, "flat", "each baseline.k has no prior"),
        ({"intervals": "all"}, None, "more intervals"),
    ],
)
def test_the_prior_of_a_baseline_in_words(options, priors, words):
    text = str(mm.Model("surv(t, e) ~ x", cox_table(), family=mm.families.cox(**options), priors=priors).explain())
    assert words in text
    assert len([line for line in text.splitlines() if line.startswith("  baseline.")]) <= 12
