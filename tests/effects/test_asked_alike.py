"""One answer to which terms have effects and how they reach the groups: categories, roles, baselines."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

RNG = np.random.default_rng(12)
J, PER = 20, 12
G = np.repeat(np.arange(J), PER)
C = np.tile(list("uvw"), J * PER // 3)
U = RNG.multivariate_normal([0] * 3, 0.3 + 0.7 * np.eye(3), J)
UNITS = pd.DataFrame({"g": G, "c": C, "x": RNG.standard_normal(J * PER), "row": np.arange(J * PER)})
UNITS["y"] = U[G, pd.factorize(C)[0]] + 0.5 * RNG.standard_normal(J * PER)


def names(formula):
    return [n for n in mm.Model(formula, UNITS).specification.names if ".sd" in n or ".cor" in n]


def test_a_category_without_intercept_has_the_correlations_of_one_with_it():
    one, other = (mm.fit(f"y ~ c + ({terms} | g)", UNITS, engine="ml").loglik for terms in ("0 + c", "c"))
    assert one == pytest.approx(other, abs=1e-3)


def test_correlations_are_of_columns_not_of_terms():
    cors = ["g.cor.c[u].c[v]", "g.cor.c[u].c[w]", "g.cor.c[v].c[w]"]
    sds = ["g.sd.c[u]", "g.sd.c[v]", "g.sd.c[w]"]
    assert names("y ~ c + (0 + c | g)") == names("y ~ c + hm(g, 0 + c)") == [*sds, *cors]
    assert names("y ~ c + mm(g, row, effects = correlated(0 + c))") == [*sds, *cors]
    assert names("y ~ c + (0 + c || g)") == names("y ~ c + mm(g, row, effects = iid(0 + c))") == sds
    assert names("y ~ c + (0 + x | g)") == ["g.sd.x"]


# -- check() ---------------------------------------------------------------------------------------------------------

LATTICE = {i: [(i - 1) % J, (i + 1) % J] for i in range(J)}


@pytest.mark.parametrize(
    ("formula", "ok"),
    [
        ("y ~ x + (1 | g)", True),
        ("y ~ x + (1 | row)", False),  # nothing but a residual
        ("y ~ x + (0 + x | row)", True),  # a variance that grows with x
        ("y ~ x + (1 | g) + hm(g, 0 + x, name = s)", True),
        ("y ~ x + (1 | g) + hm(g, name = again)", False),
        ("y ~ x + (1 | g) + hm(g, effects = car(L), name = near)", True),
        ("y ~ x + mm(g, row, weights = exp(b * x), normalize = total, effects = fixed)", True),
    ],
)
def test_check_calls_a_problem_what_is_one(formula, ok):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        found = mm.Model(formula, UNITS, graphs={"L": LATTICE} if "L)" in formula else None).check()
    assert found.ok == ok, str(found)


# -- roles -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["shared(a)", "correlated_with(a)"])
def roles(request):
    rng = np.random.default_rng(4)
    rows = [(g, m) for g in range(60) for m in rng.choice(15, rng.integers(2, 5), replace=False)]
    d = pd.DataFrame(rows, columns=["g", "a"])
    d["b"], d["x"] = rng.permutation(15)[d["a"]], rng.standard_normal(len(d))
    u = rng.standard_normal(15)
    d["y"] = pd.Series(u[d["a"]] + u[d["b"]]).groupby(d["g"]).transform("mean") + 0.3 * rng.standard_normal(60)[d["g"]]
    text = f"y ~ 1 + mm(a, g) + mm(b, g, weights = power(x), effects = {request.param})"
    return mm.Model(text, d), mm.Model(text.replace("power(x)", "1 / n"), d)


def test_a_block_in_a_role_is_not_without_effects(roles):
    model, smaller = roles
    assert model.check().ok
    assert "sum over members j of w_b[i,j] * " in str(model.explain())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        fit = model.fit("ml")
        assert not fit.lr_test(smaller.fit("ml")).note
    assert fit.variance_components().index.tolist() == ["a+b", "residual"]
    assert list(fit.specification.structures) == ["a+b"]


# -- a baseline ------------------------------------------------------------------------------------------------------


def test_the_steps_of_a_baseline_are_nobodys_effects(tmp_path):
    rng = np.random.default_rng(5)
    d = pd.DataFrame({"x": rng.standard_normal(120), "u": np.arange(120) % 12})
    d["t"], d["e"] = rng.exponential(1.0, 120) + 1e-3, (rng.random(120) < 0.8).astype(int)
    family = mm.families.cox(4, baseline="random_walk")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        alone = mm.fit("surv(t, e) ~ x", d, family=family, engine="ml")
        with_units = mm.fit("surv(t, e) ~ x + (1 | u)", d, family=family, engine="ml")
    for k, (fit, levels) in enumerate(((alone, []), (with_units, ["u"]))):
        assert list(fit.specification.structures) == levels
        assert fit.variance_components().index.tolist() == [*levels, "residual"]
        fit.save(tmp_path / f"{k}.nc", contents="summary")
        mm.load(tmp_path / f"{k}.nc")
    with pytest.raises(mm.ModelError, match="no effects of members or units"):
        alone.random_effects()
