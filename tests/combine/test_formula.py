"""What ``combine=`` may say, what stands beside it, and what it is called."""

import numpy as np
import pandas as pd
import pytest

import micromacro as mm


def data(groups=40, members=10, seed=1):
    rng = np.random.default_rng(seed)
    rows = [(g, m) for g in range(groups) for m in rng.choice(members, rng.integers(1, 5), replace=False)]
    table = pd.DataFrame(rows, columns=["g", "m"])
    table["x"], table["z"] = rng.standard_normal((2, len(table)))
    return table.assign(y=rng.standard_normal(groups)[table["g"]], kappa=1.0)


def model(options, covariates=", x", **more):
    return mm.Model(f"y ~ mm(m, g{covariates}, {options}, name = B)", data().drop(columns="kappa"), **more)


def test_the_sum_is_the_default():
    plain, said = model("normalize = group"), model("normalize = group, combine = sum")
    assert said.specification.names == plain.specification.names
    assert said.specification.combined is None


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("combine = smax(kappa)", ["Intercept", "B.x", "B.smax.kappa", "B.sd", "sigma"]),
        ("combine = smax", ["Intercept", "B.x", "B.smax.kappa", "B.sd", "sigma"]),
        ("combine = smax(k)", ["Intercept", "B.x", "B.smax.k", "B.sd", "sigma"]),
        ("combine = smax(-2)", ["Intercept", "B.x", "B.sd", "sigma"]),
        ("combine = min", ["Intercept", "B.x", "B.sd", "sigma"]),
        ("combine = ces(p)", ["Intercept", "B.Intercept", "B.x", "B.ces.p", "B.sd", "sigma"]),
        (
            "combine = smax(kappa), weights = softmax(z)",
            ["Intercept", "B.x", "B.w.z", "B.smax.kappa", "B.sd", "sigma"],
        ),
    ],
)
def test_names(options, names):
    made = model(options)
    assert list(made.specification.names) == names
    kinds = {p.name: p.kind for p in made.specification.parameters}
    assert all(kinds[n] == "aggregate" for n in names if ".smax." in n or ".ces." in n)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("combine = smix(kappa)", "did you mean smax"),
        ("combine = median", "one of sum, smax"),
        ("combine = max(2)", r"smax\(kappa\)"),
        ("combine = smax(kappa, 2)", r"smax\(kappa\)"),
        ("combine = smax(x)", "'x' is a column"),
        ("combine = smax(kappa), normalize = total", "leave out normalize=total"),
        ("combine = smax(kappa), aggregate = var", "one of the two"),
        ("combine = min, signed = yes", "leave out signed"),
    ],
)
def test_what_does_not_go_together_says_so(options, words):
    with pytest.raises(mm.FormulaError, match=words):
        model(options)


def test_a_symbol_is_not_a_column():
    with pytest.raises(mm.FormulaError, match="'kappa' of smax would have the name of a column"):
        mm.Model("y ~ mm(m, g, x, combine = smax)", data())


def test_there_must_be_something_to_combine():
    with pytest.raises(mm.ModelError, match="neither covariates nor effects"):
        model("combine = min, effects = none", "")
    alone = data().drop_duplicates("g").drop(columns="kappa")
    with pytest.raises(mm.ModelError, match="no group has more than one member"):
        mm.Model("y ~ mm(m, g, x, combine = min)", alone)


def test_columns_that_are_collinear_over_the_groups_are_refused():
    table = data().drop(columns="kappa")
    twice = table.assign(x2=table["x"] * 2.0)
    with pytest.raises(mm.ModelError, match="collinear"):
        mm.Model("y ~ mm(m, g, x + x2, combine = smax(kappa))", twice)


def test_other_terms_refuse_a_block_that_combines():
    table = data().drop(columns="kappa")
    with pytest.raises(mm.FormulaError, match="block of its own"):
        mm.Model("y ~ mm(m, g, x, combine = min, name = B) + B:z2", table.assign(z2=table["g"] % 3))
    with pytest.raises(mm.FormulaError, match="names no other block"):
        mm.Model("y ~ mm(m, g, x, combine = min) + mm(m, g, effects = shared(m), name = C)", table)
    with pytest.raises(mm.FormulaError, match="go with combine = sum only"):
        mm.Model("y ~ mm(m, g) + mm(m, g, effects = shared(m), combine = max, name = C)", table)
    with pytest.raises(mm.FormulaError, match="not of sigma="):
        mm.Model("y ~ x2", table.assign(x2=table["g"] % 5), sigma="~ mm(m, g, x, effects = none, combine = min)")


def test_explain_says_what_is_made_of_the_members():
    text = str(model("combine = smax(kappa)").explain())
    assert "log(sum over members j of w_B[i,j] * exp(B.smax.kappa * zeta_B[i,j])) / B.smax.kappa" in text
    assert "zeta_B[i,j] = b[B.x] * x[i,j] + u_B[j]" in text
    assert "nearly the max" in str(model("combine = max").explain())
    assert "max over members j of zeta_B[i,j]" in str(model("combine = max, effects = none").explain())


def test_check_says_when_the_sum_is_as_good():
    rare = data(40, 120).drop(columns="kappa")
    said = [
        f.message for f in mm.Model("y ~ mm(m, g, x, combine = smax)", rare).check().findings if f.check == "combine"
    ]
    assert any("hardly known one by one" in text for text in said)
    often = data(300, 12).drop(columns="kappa")
    assert "combine" not in [f.check for f in mm.Model("y ~ mm(m, g, x, combine = smax)", often).check().findings
                             if "hardly" in f.message]  # fmt: skip


def test_formulas_print_to_themselves():
    from micromacro.language.parse import parse_formula
    from micromacro.language.printing import member_text

    call = parse_formula("y ~ mm(m, g, x, weights = softmax(z), combine = ces(p))").members[0]
    assert parse_formula(f"y ~ {member_text(call)}").members[0] == call
