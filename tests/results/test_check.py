"""What the data cannot tell apart is found before the fit, and only then; correlations of weights after it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm


def long(groups=60, members=20, per=3, seed=0):
    """A table in which nothing is to be found: connected, members recur, covariates vary within groups."""
    rng = np.random.default_rng(seed)
    picks = np.argsort(rng.random((groups, members)), axis=1)[:, :per]
    data = pd.DataFrame({"g": np.repeat(np.arange(groups), per), "m": picks.ravel()})
    data["x"], data["z"] = rng.standard_normal((2, len(data)))
    each = pd.DataFrame(
        {"y": rng.standard_normal(groups), "c": rng.standard_normal(groups), "u": np.arange(groups) % 7}
    )
    return data.join(each, on="g")


CLEAN = "y ~ 1 + mm(m, g, weights = power(x), normalize = group) + (1 | u)"


def checks(formula, data, **options):
    return mm.Model(formula, data, **options).check()


def test_nothing_is_found_in_a_clean_design():
    found = checks(CLEAN, long())
    assert found.ok and len(found.table) == 0 and "can distinguish everything" in str(found)


@pytest.mark.parametrize(
    ("change", "formula", "what", "count"),
    [
        (lambda d: d.assign(m=d["m"].where(d.index >= 3, 100 + d.index.to_numpy())), CLEAN, "seen once", 3),
        # two members that are always there together
        (lambda d: pd.concat([d, d[d["m"] == 4].assign(m=99)]), CLEAN, "always together", 2),
        (lambda d: d.assign(m=d["m"] + 50 * (d["g"] < 20)), CLEAN, "disconnected", 2),
    ],
)
def test_members(change, formula, what, count):
    found = checks(formula, change(long()))
    assert found.ok  # notes only
    row = found.table.set_index("check").loc[what]
    assert row["count"] == count and row["level"] == "note" and row["term"] == "m"


@pytest.mark.parametrize(
    ("formula", "what", "words"),
    [
        (CLEAN.replace("power(x)", "power(c)"), "no effect on weights", "c does not vary within groups"),
        (CLEAN.replace("power(x)", "softmax(x + c)"), "no effect on weights", "m.w.c: c does not vary"),
        (CLEAN.replace("power(x)", "exp(b * x + a)"), "no effect on weights", "m.w.a: it does not change any weight"),
        ("y ~ 1 + mm(m, g, weights = power(x), effects = none)", "nothing to weigh", "m.w.x"),
        ("y ~ 1 + mm(m, g) + (1 | g)", "one group per unit", "cannot be distinguished from sigma"),
        ("y ~ 1 + mm(m, g) + mm(m, g, name=again)", "same as another term", "those of m do"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:block 'm' has neither")
def test_problems(formula, what, words):
    found = checks(formula, long())
    assert not found.ok
    row = found.table[found.table["check"] == what].iloc[0]
    assert row["level"] == "problem" and words in row["message"] and "!" in str(found)


def test_the_same_covariate_informs_under_total():
    assert checks(CLEAN.replace("power(x)", "power(c)").replace("group)", "total)"), long(per=3)).ok


def test_fixed_parameters_need_no_information():
    formula = CLEAN.replace("power(x)", "power(c)")
    assert checks(formula, long(), fixed={"m.w.c": 0.5}).ok


def test_collinear_weights():
    data = long()
    data["x2"] = data["x"] + 0.01 * data["z"]
    found = checks(CLEAN.replace("power(x)", "power(x + x2)"), data)
    assert found.ok and found.table["check"].tolist() == ["collinear weights"]
    assert checks(CLEAN.replace("power(x)", "power(x + z)"), data).table.empty


def test_one_member_a_group_is_a_unit():
    """A block of one member per group is the unit term over the same column."""
    data = long(per=1)
    found = checks("y ~ 1 + mm(m, g) + (1 | u)", data.assign(u=data["m"]))
    assert found.table.set_index("check").loc["same as another term", "level"] == "problem"
    # for counts a unit a group is overdispersion, which the model may well have
    counts = data.assign(y=data["g"] % 4)
    found = mm.Model("y ~ 1 + mm(m, g) + (1 | g)", counts, family="poisson").check()
    assert found.ok and "one group per unit" in set(found.table["check"])


def test_what_the_check_calls_uninformed_the_likelihood_does_not_know():
    """Moving the parameter leaves the likelihood as it is; a clean one changes it."""
    data = long()
    for formula, moves in ((CLEAN.replace("power(x)", "power(c)"), False), (CLEAN, True)):
        name = "m.w.x" if moves else "m.w.c"
        a, b = (mm.fit(formula, data, engine="ml", fixed={name: v, "m.sd": 1.0}).loglik for v in (0.0, 1.0))
        assert (abs(a - b) > 1e-3) == moves


def test_correlations_of_weights_after_the_fit():
    data = long(120)
    rng = np.random.default_rng(2)
    data["x2"] = data["x"] + 0.2 * data["z"]
    raw = 3.0 ** -np.exp(-0.8 * data["x"])
    w = raw / raw.groupby(data["g"]).transform("sum")
    u = rng.standard_normal(20)
    eta = (w * (u[data["m"]] + 2 * data["z"])).groupby(data["g"]).sum()
    data["y"] = data["g"].map(eta + 0.3 * rng.standard_normal(120))
    fit = mm.fit("y ~ 1 + mm(m, g, z, weights = power(x + x2), normalize = group)", data, engine="ml")
    table = fit.identification()
    assert table.iloc[0][["parameter", "other", "flagged"]].tolist() == ["m.w.x", "m.w.x2", True]
    cov = fit.cov_params()
    assert len(table) == 1 + 2 * 4  # the pair, and each with Intercept, m.z, m.sd, sigma
    for row in table.itertuples():
        want = cov.loc[row.parameter, row.other] / (fit.bse[row.parameter] * fit.bse[row.other])
        assert row.correlation == pytest.approx(want) and row.flagged == (abs(want) > 0.9)
    assert not fit.identification(threshold=0.999).flagged.any()
    with pytest.raises(mm.EngineError, match="threshold"):
        fit.identification(threshold=2)


def test_many_groups_of_one_member_are_said_once():
    """40 groups with a member of their own beside a clean design, and one real problem, which comes first."""
    own = long(40, 40, 1, seed=1)
    own["g"], own["m"] = own["g"] + 100, np.arange(40) + 200
    data = pd.concat([long(), own])
    found = checks(CLEAN, data).table.set_index("check")
    assert list(found.index) == ["seen once", "alone"] and found["count"].tolist() == [40, 40]
    assert (
        "40 groups of 100" in found.loc["alone", "message"]
        and "(first: 100, 101, 102, ...)" in found.loc["alone", "message"]
    )
    drowned = checks(CLEAN.replace("power(x)", "power(c)"), data)
    assert not drowned.ok and drowned.findings[0].check == "no effect on weights" and len(drowned.findings) == 3
    assert str(drowned).count("\n") == 3 and str(drowned).splitlines()[1].startswith("  ! m: no data can inform m.w.c")


def test_nothing_is_said_of_members_who_are_alone_in_a_group_and_elsewhere_with_others():
    own = long(40, 20, 1, seed=1).assign(g=lambda d: d["g"] + 100)
    assert checks(CLEAN, pd.concat([long(), own])).table.empty


def test_findings_of_one_kind_are_one_finding():
    data = long()
    for k in range(4):
        data[f"c{k}"] = data["g"] % (k + 2)
        data[f"x{k}"] = data["x"] + 0.01 * data["z"] * k
    still = checks(CLEAN.replace("power(x)", "power(x + c0 + c1 + c2 + c3)").replace("power", "softmax"), data)
    assert [(f.check, f.count) for f in still.findings] == [("no effect on weights", 4)]
    assert "m.w.c0, m.w.c1, m.w.c2, ..." in still.findings[0].message
    alike = checks(CLEAN.replace("power(x)", "power(x0 + x1 + x2 + x3)"), data)
    assert [(f.check, f.count) for f in alike.findings] == [("collinear weights", 4)]
    assert alike.findings[0].message.count("cosine") == 3
    one = checks("y ~ 1 + mm(m, g, c, weights = power(x), normalize = group)", long(per=1))
    assert "every group has one member only" in one.findings[0].message
