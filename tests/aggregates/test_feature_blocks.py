"""Blocks with an emergent feature: likelihood, gradient, joint density, predictions, what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines.joint import log_joint
from micromacro.engines.marginals import marginal_of
from micromacro.errors import DataError, FormulaError, ModelError

FORMS = {
    "var": (", x", "var"), "moment": (", x + s", "moment(3)"), "hhi": ("", "hhi"), "effn": ("", "effn"),
    "entropy": ("", "entropy"), "threshold": (", x", "threshold(c, kappa)"), "step held": (", x", "threshold(c, 3)"),
    "smax": (", x", "smax(kappa)"), "smax bare": (", x + fix(s, 0.4)", "smax"), "smax held": (", x", "smax(-2)"),
    "gmean": (", z", "gmean(p)"), "cov": (", x + z", "cov"), "E": ("", "E((x - E(x)) ** 2)"),
    "E shapes": ("", "log(E(exp(k * x))) + max(x) * a"),
}  # fmt: skip


def table(groups=60, seed=1):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 7, groups)
    g = np.repeat(np.arange(groups), sizes)
    m = len(g)
    rows = {
        "g": g, "member": rng.integers(0, 40, m), "x": rng.normal(size=m), "z": np.exp(0.5 * rng.normal(size=m)),
        "s": rng.normal(size=m), "u": rng.normal(size=groups)[g], "maj": (rng.random(groups) < 0.5).astype(float)[g],
        "y": rng.normal(size=groups)[g],
    }  # fmt: skip
    return pd.DataFrame(rows)


def formula(form, weights="exp(b1 * s)"):
    covariates, aggregate = FORMS[form]
    return f"y ~ 1 + u + mm(member, g{covariates}, weights = {weights}, aggregate = {aggregate}, name = B) + (1 | maj)"


def at_random(specification, rng):
    """A theta near the start, and an x."""
    system = specification.system
    theta = np.array([p.start for p in system.hypers])
    theta = theta + 0.2 * rng.normal(size=len(theta)) * (np.abs(theta) + 0.3)
    theta = np.where([p.positive for p in system.hypers], np.abs(theta) + 0.2, theta)
    return theta, rng.normal(size=system.size)


@pytest.mark.parametrize("form", FORMS)
def test_the_gradient_of_the_likelihood_is_that_of_differences(form):
    s = mm.Model(formula(form), table()).specification
    marginal = marginal_of(s, True)
    room = s.system.workspace()
    theta, _ = at_random(s, np.random.default_rng(3))
    _, gradient = marginal.gradient(theta, room)
    gradient = gradient.copy()
    for k in range(len(theta)):
        up, down = theta.copy(), theta.copy()
        up[k] += 1e-5
        down[k] -= 1e-5
        difference = (marginal.value(up, room) - marginal.value(down, room)) / 2e-5
        assert gradient[k] == pytest.approx(difference, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_the_joint_density_is_that_of_jax(form):
    pytest.importorskip("jax")
    from micromacro.engines.nuts.density import Joint
    from micromacro.engines.nuts.engine import double_precision

    s = mm.Model(formula(form), table(), priors={"B.w.b1": mm.prior.student(4, 0, 1)}).specification
    rng = np.random.default_rng(5)
    with double_precision():
        joint = Joint(s)
        for _ in range(2):
            theta, x = at_random(s, rng)
            want = log_joint(s, theta, x)
            assert float(joint.log_density(theta, x)) == pytest.approx(want, rel=1e-10, abs=1e-8)


def test_the_marginal_likelihood_is_that_of_dense_algebra():
    """Independent features, a dense covariance, the coefficients profiled by generalised least squares."""
    data = table()
    s = mm.Model(formula("threshold"), data, priors="flat").specification
    theta = np.array([0.6, 0.1, 2.0, 0.5, 0.9])  # b1, c, kappa, unit sd, sigma
    assert [p.name for p in s.system.hypers] == ["B.w.b1", "B.threshold.c", "B.threshold.kappa", "maj.sd", "sigma"]
    groups = [d for _, d in data.groupby("g")]
    y, u, maj = (np.array([d[c].iloc[0] for d in groups]) for c in ("y", "u", "maj"))
    feature = []
    for d in groups:
        w = np.exp(0.6 * d["s"].to_numpy())
        feature.append((w / w.sum()) @ (1.0 / (1.0 + np.exp(-2.0 * (d["x"].to_numpy() - 0.1)))))
    design = np.column_stack([np.ones(len(y)), u, feature])
    v = 0.81 * np.eye(len(y)) + 0.25 * (maj[:, None] == maj)
    inverse = np.linalg.inv(v)
    b = np.linalg.solve(design.T @ inverse @ design, design.T @ inverse @ y)
    r = y - design @ b
    want = -0.5 * (r @ inverse @ r + np.linalg.slogdet(v)[1] + len(y) * np.log(2.0 * np.pi))
    assert marginal_of(s, True).value(theta, s.system.workspace()) == pytest.approx(want, rel=1e-10)


def test_an_expression_is_the_named_feature():
    data = table()
    named = mm.fit(formula("var"), data, engine="ml")
    written = mm.fit(formula("E"), data, engine="ml")
    assert written.loglik == pytest.approx(named.loglik, abs=1e-8)
    assert written.params["B.E"] == pytest.approx(named.params["B.var.x"], rel=1e-5)


def test_order_of_rows_and_labels_of_members_change_nothing():
    data = table()
    fit = mm.fit(formula("smax held"), data, engine="ml")
    shuffled = data.sample(frac=1.0, random_state=2)
    assert mm.fit(formula("smax held"), shuffled, engine="ml").params.equals(fit.params)
    renamed = data.assign(member=[f"m{99 - i}" for i in data["member"]])
    other = mm.fit(formula("smax held"), renamed, engine="ml")
    assert other.params.to_numpy() == pytest.approx(fit.params.to_numpy(), rel=1e-7, abs=1e-8)


def test_predictions_on_other_groups_are_those_of_the_formula():
    fit = mm.fit(
        "y ~ 1 + mm(member, g, x, weights = exp(b1 * s), aggregate = smax(kappa), name = B)", table(), engine="ml"
    )
    new = table(5, seed=9)
    p = fit.params
    want = []
    for _, d in new.groupby("g"):
        w = np.exp(p["B.w.b1"] * d["s"].to_numpy())
        k = p["B.smax.kappa"]
        want.append(p["Intercept"] + p["B.smax.x"] * np.log((w / w.sum()) @ np.exp(k * d["x"].to_numpy())) / k)
    assert fit.predict(new, kind="linear")["estimate"].to_numpy() == pytest.approx(np.array(want), rel=1e-8)
    assert len(fit.weights()) == len(table())
    assert "B.smax[i] = log(sum w exp(kappa x)) / kappa" in mm.Model(fit.formula, table()).explain()


def test_a_group_without_a_member_has_zero():
    data = table()
    data["member"] = data["member"].astype(float)
    data.loc[data["g"] == 0, "member"] = np.nan
    s = mm.Model("y ~ 0 + u + mm(member, g, x, aggregate = smax(1), name = B)", data).specification
    room = s.system.workspace()
    s.system.fill(np.array([p.start for p in s.system.hypers]), room)
    part = s.members["B"]
    assert room.scratch[s.system.parts.index(part)]["feature"][0, 0] == 0.0


REFUSED = {
    "aggregate = variance": "var",
    "aggregate = moment(p)": "cannot be estimated",
    "aggregate = moment(2.5)": "whole number",
    "aggregate = moment(1)": "whole number",
    "aggregate = threshold(c)": "threshold(c, kappa)",
    "aggregate = threshold(c, -1)": "positive",
    "aggregate = smax(s)": "is a column",
    "aggregate = smax(2 * k)": "neither",
    "aggregate = cov": "two covariates",
    "aggregate = hhi": "no covariates",
    "aggregate = smax(2), effects = iid": "second block",
    "aggregate = smax(2), normalize = total": "sum to 1 in the group",
    "aggregate = x - E(x)": "one number per group",
    "aggregate = E(x, 2)": "one expression",
    "aggregate = E(foo(x))": "no function 'foo'",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_makes_no_sense_is_refused_with_its_place(words):
    with pytest.raises(FormulaError) as caught:
        mm.Model(f"y ~ 1 + mm(member, g, x, {words}, name = B)", table())
    assert REFUSED[words] in str(caught.value)
    assert "^" in str(caught.value)


def test_numbers_that_a_geometric_mean_does_not_have_are_named():
    with pytest.raises(DataError, match=r"positive numbers, but 'x' is zero or negative in \d+ of"):
        mm.Model("y ~ 1 + mm(member, g, x, aggregate = gmean(p), name = B)", table())


def test_a_feature_that_cannot_vary_is_refused():
    data = table().groupby("g").head(2)
    with pytest.raises(ModelError, match="constant over the groups"):
        mm.Model("y ~ 1 + mm(member, g, aggregate = hhi, name = B)", data)
    mm.Model("y ~ 1 + mm(member, g, weights = exp(b1 * s), aggregate = hhi, name = B)", data)  # starts away from zero


def test_a_feature_that_begins_as_another_column_is_told_from_it():
    """smax at kappa = 0, and power(s) at 0, are the mean; searches begin elsewhere, and recover the truth."""
    data = table(250, seed=4)
    blocks = {
        "mm(member, g, x, aggregate = smax(kappa), name = B)": {"B.smax.x": 0.7, "B.smax.kappa": 1.5},
        "mm(member, g, x, weights = power(s), effects = none, name = B)": {"B.x": 0.7, "B.w.s": 1.0},
    }
    for block, own in blocks.items():
        text = f"y ~ u + mm(member, g, x, effects = none, name = A) + {block}"
        truth = {"Intercept": 0.5, "u": 0.3, "A.x": 0.8, "sigma": 0.3} | own
        model = mm.Model(text, data)
        data["y"] = model.simulate(truth, random_seed=1).outcome[0][data["g"]]
        fit = mm.fit(text, data, engine="ml")
        off = (fit.params - pd.Series(truth)) / fit.bse
        assert off.abs().max() < 3.5, off
        laplace = mm.fit(text, data, engine="laplace", draws=300, progress=False, random_seed=1)
        assert ((laplace.params - fit.params).abs() / fit.bse).max() < 1.0


def test_columns_that_are_collinear_at_all_weights_are_refused():
    text = "y ~ mm(member, g, x, weights = power(s), name = A) + mm(member, g, {}, weights = power(s), name = B)"
    with pytest.raises(ModelError, match="collinear"):
        mm.Model(text.format("z + I(2 * z)").replace("A.x", ""), table())
    mm.Model(text.format("x"), table())  # weights of their own
