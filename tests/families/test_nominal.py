"""``nominal(x)`` in ordinal models: R's ordinal::clm, the likelihood written apart, and cuts that may not cross."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit

import micromacro as mm


def table(n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    x, z, u = (rng.standard_normal(n) + 1).round(3), rng.standard_normal(n).round(3), rng.integers(0, 15, n)
    cuts = np.stack([-1 - 0.3 * x, 0.3 + 0.2 * x, 1.8 + 0.5 * x])
    latent = 0.7 * z + rng.logistic(size=n) + 0.5 * rng.standard_normal(15)[u]
    return pd.DataFrame({"y": 1 + (latent > cuts).sum(axis=0), "x": x, "z": z, "u": u, "f": rng.choice(list("ab"), n)})


DATA = table()

#: clm(factor(y) ~ z, nominal = ~ x), logit and probit, and nominal = ~ x + f; ordinal 2022.11.16: logLik, estimates.
CLM = {
    ("x", "logit"): (-376.32959835, [-0.909511, 0.372353, 1.735474, -0.293857, 0.087554, 0.186871, 0.819300]),
    ("x", "probit"): (-377.94267559, [-0.546525, 0.219223, 1.007013, -0.168419, 0.059626, 0.117468, 0.464933]),
    ("x + f", "logit"): (-376.19414332, [-0.840945, 0.373455, 1.749905, -0.297691, 0.086683, 0.185748, -0.125554,
                                           0.002597, -0.025316, 0.820774]),
}  # fmt: skip


@pytest.mark.parametrize(("terms", "link"), CLM)
def test_clm_has_the_same_maximum(terms, link):
    loglik, estimates = CLM[terms, link]
    fit = mm.fit(f"y ~ z + nominal({terms})", DATA, family=mm.families.ordinal(link), engine="ml")
    assert fit.loglik == pytest.approx(loglik, abs=1e-6)
    columns = ("x", "f[T.b]")[: terms.count("+") + 1]
    names = [*(f"cut.{k}" for k in (1, 2, 3)), *(f"cut.{k}.{t}" for t in columns for k in (1, 2, 3))]
    np.testing.assert_allclose(fit.params[[*names, "z"]], estimates, atol=2e-4)


def plain(v: np.ndarray, data: pd.DataFrame) -> float:
    """Log-likelihood at cuts, effects of x on them, effect of z; minus infinity where a category has none."""
    cuts = v[:3, None] + v[3:6, None] * data["x"].to_numpy()
    below = np.vstack([np.zeros(len(data)), expit(cuts - v[6] * data["z"].to_numpy()), np.ones(len(data))])
    p = np.diff(below, axis=0)[data["y"] - 1, np.arange(len(data))]
    return float(np.log(p).sum()) if np.all(p > 0) else -np.inf


def test_the_likelihood_is_the_one_written_apart_and_tables_are_at_zero():
    fit = mm.fit("y ~ z + nominal(x)", DATA, family="ordinal", engine="ml")
    names = ["cut.1", "cut.2", "cut.3", "cut.1.x", "cut.2.x", "cut.3.x", "z"]
    assert fit.loglik == pytest.approx(plain(fit.params[names].to_numpy(), DATA), abs=1e-8)
    new = pd.DataFrame({"x": [0.0, 2.0], "z": [0.0, 1.0]})
    p = fit.predict(new, kind="probability")["estimate"].to_numpy().reshape(2, 4)
    v = fit.params[names].to_numpy()
    expected = [np.diff([0, *expit(v[:3] + v[3:6] * x - v[6] * z), 1]) for x, z in zip(new["x"], new["z"], strict=True)]
    np.testing.assert_allclose(p, expected, rtol=1e-8)


def crossing() -> pd.DataFrame:
    """Few outcomes in the middle where x is large: cuts would cross there."""
    rng = np.random.default_rng(2)
    x = np.repeat([0.0, 1.0, 2.0, 3.0], 40)
    share = np.stack([0.3 + 0.05 * x, 0.4 - 0.2 * np.minimum(x, 1.95), 0.15 + 0.05 * x, 0.15 + 0.1 * x])
    y = [rng.choice(4, p=s / s.sum()) for s in np.maximum(share, 1e-9).T]
    return pd.DataFrame({"y": np.array(y) + 1, "x": x, "z": rng.standard_normal(160)})


def test_cuts_that_would_cross_are_held_where_they_meet():
    data = crossing()
    fit = mm.fit("y ~ z + nominal(x)", data, family="ordinal", engine="ml")
    names = ["cut.1", "cut.2", "cut.3", "cut.1.x", "cut.2.x", "cut.3.x", "z"]
    gaps = [
        {"type": "ineq", "fun": lambda v, k=k, x=x: v[k + 1] - v[k] + (v[k + 4] - v[k + 3]) * x}
        for k in (0, 1)
        for x in (0, 3)
    ]
    starts = np.array([-0.5, 0.5, 1.5, 0, 0, 0, 0]) + 0.05 * np.random.default_rng(1).standard_normal((4, 7))
    options = {"ftol": 1e-12, "maxiter": 500}

    def height(v: np.ndarray) -> float:
        return -max(plain(v, data), -1e6)

    found = [minimize(height, s, constraints=gaps, method="SLSQP", options=options) for s in starts]
    best = min(found, key=lambda r: r.fun)
    assert fit.loglik >= -best.fun - 1e-5
    meeting = min(c["fun"](fit.params[names].to_numpy()) for c in gaps)
    assert meeting == pytest.approx(0.0, abs=1e-5)
    assert any("meet at covariates" in note for note in fit.notes)


def test_predictions_stay_where_cuts_rise_and_files_know_them(tmp_path):
    fit = mm.fit("y ~ z + nominal(x + f) + (1 | u)", DATA, family="ordinal", engine="ml")
    fit.save(tmp_path / "fit.nc")
    pd.testing.assert_frame_equal(mm.load(tmp_path / "fit.nc").predict(DATA.head(4)), fit.predict(DATA.head(4)))
    with pytest.raises(mm.DataError, match="cuts of nominal"):
        fit.predict(DATA.head(1).assign(x=-80.0))
    text = str(mm.Model("y ~ z + nominal(x)", DATA, family="ordinal").explain())
    assert "cut.1[i] = cut.1 + b[cut.1.x] * x" in text


@pytest.mark.parametrize(
    ("terms", "family", "words"),
    [
        ("nominal(x)", "gaussian", "not for family gaussian"),
        ("x + nominal(x)", "ordinal", "linear combination of the other terms"),
        ("nominal(1)", "ordinal", "takes covariates"),
        ("nominal(x) + nominal(z)", "ordinal", "one nominal"),
        ("nominal(x):z", "ordinal", "must stand by itself"),
    ],
)
def test_what_cannot_be_nominal_says_so(terms, family, words):
    with pytest.raises(mm.MicromacroError, match=words):
        mm.Model(f"y ~ {terms}", DATA, family=family)


def test_members_that_combine_by_their_mean_have_the_maximum_of_the_mean():
    long = DATA.loc[DATA.index.repeat(2)].assign(g=lambda t: t.index, m=lambda t: np.arange(len(t)) % 7)
    long["q"] = np.random.default_rng(3).standard_normal(len(long))
    terms = ("combine = smax(0)", "normalize = group")
    soft, mean = (
        mm.fit(f"y ~ nominal(x) + mm(m, g, q, effects = none, {how})", long, family="ordinal", engine="ml")
        for how in terms
    )
    assert soft.loglik == pytest.approx(mean.loglik, abs=1e-7)
    np.testing.assert_allclose(soft.params[mean.params.index], mean.params, atol=1e-4)
    np.testing.assert_allclose(soft.predict(), mean.predict(), atol=1e-4)


SEPARATED = {  # terms, outcome from x and z, what moves
    "all": ("nominal(x)", lambda x, z: np.digitize(x, [-0.5, 0.5]), {"cut.1", "cut.2", "cut.1.x", "cut.2.x"}),
    "beside": ("z + nominal(x)", lambda x, z: np.digitize(x, [-0.5, 0.5]), {"cut.1.x", "cut.2.x"}),
    "no third category where z is 1": (
        "x + nominal(z)",
        lambda x, z: np.arange(60) % np.where(z == 1, 2, 3),
        {"cut.2.z"},
    ),
}


@pytest.mark.filterwarnings("ignore::micromacro.errors.MicromacroWarning")
@pytest.mark.parametrize("case", SEPARATED)
def test_effects_by_category_without_a_finite_maximum_are_named(case):
    terms, outcome, moving = SEPARATED[case]
    rng = np.random.default_rng(1)
    x, z = rng.normal(size=60), rng.integers(0, 2, 60)
    data = pd.DataFrame({"x": x, "z": z, "y": outcome(x, z)})
    fit = mm.fit(f"y ~ {terms}", data, family="ordinal", engine="ml")
    (note,) = (n for n in fit.health.troubles if n.code == "separated")
    assert moving <= set(note.about)


def test_an_edge_is_no_separation():
    """Where z is 1 the middle category is empty: the cuts meet, and both are finite."""
    z = np.repeat([0, 1], 30)
    data = pd.DataFrame({"z": z, "y": np.where(z == 1, 2 * (np.arange(60) % 2), np.arange(60) % 3)})
    fit = mm.fit("y ~ nominal(z)", data, family="ordinal", engine="ml")
    assert fit.health.ok and [n.code for n in fit.health.notes] == ["edge"]
    assert fit.params["cut.1"] + fit.params["cut.1.z"] == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize(("seed", "n", "categories"), [(5, 200, 4), (7, 60, 4), (3, 60, 6)])
def test_searches_along_the_edge_end_at_the_maximum(seed, n, categories):
    """Where cuts meet, outcomes of the category between them are not far, and the likelihood has a pole there."""
    rng = np.random.default_rng(seed)
    x, k = rng.standard_normal(n).round(3), categories - 1
    b = rng.normal(0, 0.5, k)
    cuts = np.sort(rng.normal(0, 1.2, k))[:, None] + b[:, None] * x
    data = pd.DataFrame({"y": 1 + (rng.logistic(size=n) > cuts).sum(axis=0), "x": x})
    data["y"] = data["y"].rank(method="dense").astype(int)
    code, k = data["y"].to_numpy() - 1, data["y"].nunique() - 1

    def of_each(v: np.ndarray) -> np.ndarray:
        return v[:k, None] + v[k:, None] * x

    def minus(v: np.ndarray) -> float:
        below = np.vstack([np.zeros(n), expit(of_each(v)), np.ones(n)])
        return -float(np.log(np.maximum(np.diff(below, axis=0)[code, np.arange(n)], 1e-300)).sum())

    share = np.cumsum(np.bincount(code))[:-1] / n
    start = np.concatenate([np.log(share / (1 - share)), np.zeros(k)])
    rising = {"type": "ineq", "fun": lambda v: np.diff(of_each(v), axis=0).ravel()}
    found = minimize(minus, start, constraints=rising, method="SLSQP", options={"ftol": 1e-11, "maxiter": 400})
    fit = mm.fit("y ~ nominal(x)", data, family="ordinal", engine="ml")
    assert fit.loglik == pytest.approx(-found.fun, abs=1e-6)
    assert fit.health.ok and "edge" in {note.code for note in fit.health.remarks}
    assert fit.bse.notna().all()  # one constraint ties them together and fixes none
