"""ml and reml without a factor give what they give with one, up to the Monte Carlo errors that they state."""

from __future__ import annotations

import ast
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines import marginals
from micromacro.engines.likelihood import maxima, separation, stochastic
from micromacro.errors import EngineError, MicromacroWarning
from micromacro.latent.representation import iterated
from micromacro.numerics import symbolic

FORMULA = "y ~ z + mm(m, g, weights = softmax(x), normalize = group) + (1 | c)"


def data(family: str, groups: int = 300, members: int = 90) -> pd.DataFrame:
    r = np.random.default_rng(1)
    key = np.unique(np.repeat(np.arange(groups), 3) * members + r.integers(0, members, 3 * groups))
    g, m = np.divmod(key, members)
    x, z, c = r.standard_normal(len(g)), r.standard_normal(groups), r.integers(0, 12, groups)
    raw, u = np.exp(0.5 * x), r.standard_normal(members)
    eta = 0.3 + 0.5 * z + np.bincount(g, raw * u[m]) / np.bincount(g, raw) + 0.4 * r.standard_normal(12)[c]
    y = {
        "gaussian": eta + 0.5 * r.standard_normal(groups),
        "bernoulli": (r.random(groups) < 1.0 / (1.0 + np.exp(-eta))).astype(int),
        "poisson": r.poisson(np.exp(eta)),
    }[family]
    return pd.DataFrame({"g": g, "m": m, "x": x, "z": z[g], "c": c[g], "y": y[g]})


def pair(family: str, engine: str = "ml"):
    formula = FORMULA if engine == "ml" else "y ~ z + mm(m, g) + (1 | c)"
    table = data(family, 800 if family == "bernoulli" else 300)
    model = mm.Model(formula, table, family=family)
    return model.fit(engine, solver="direct"), model.fit(engine, solver="iterative", progress=False), table


AGREE = [
    ("gaussian", "ml"),
    ("gaussian", "reml"),
    ("poisson", "ml"),
    pytest.param("bernoulli", "ml", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("family", "engine"), AGREE)
def test_it_agrees_with_a_factor(family, engine):
    exact, found, table = pair(family, engine)
    told = found._outcome.extra
    assert abs(found.loglik - exact.loglik) < 4.0 * told["loglik_error"] + 0.01
    assert ((found.params - exact.params).abs() / exact.bse).max() < 0.15
    np.testing.assert_allclose(found.bse, exact.bse, rtol=0.05)
    for term in ("m", "c"):
        ours, theirs = found.random_effects(term), exact.random_effects(term)
        assert ((ours.estimate - theirs.estimate).abs() / theirs.se).max() < 0.05
        np.testing.assert_allclose(ours.se, theirs.se, rtol=0.1)
    for rows in (table.head(60), table):  # few are solved for one by one, many by probes
        ours, theirs = found.predict(rows, kind="mean"), exact.predict(rows, kind="mean")
        np.testing.assert_allclose(ours["se"], theirs["se"], rtol=0.05)
    assert found.aic == pytest.approx(2 * len(found.params) - 2 * found.loglik)


def test_it_says_what_is_random(tmp_path):
    """In the notes and the report, also of the fit that was saved and loaded; what compares values refuses."""
    _, found, table = pair("gaussian")
    note = next(n for n in found.health.notes if n.code == "monte-carlo")
    assert "log-likelihood" in note and "m.sd" in note and "m.sd" in str(found)
    path = tmp_path / "fit.nc"
    found.save(path)
    loaded = mm.load(path)
    assert loaded.loglik == found.loglik and str(loaded) == str(found)
    pd.testing.assert_frame_equal(loaded.predict(table), found.predict(table))
    with pytest.raises(EngineError, match='solver="direct"'):
        found.profile("m.sd")


def test_predictions_that_are_dear_to_solve_for_are_means_over_probes(monkeypatch, tmp_path):
    """Over those that the fit has solved for already; a fit that was loaded solves for them again, to the same end."""
    model, table = mm.Model("y ~ z + mm(m, g)", data("gaussian")), data("gaussian").head(60)
    found = model.fit("ml", solver="iterative", progress=False)
    usual = found.predict(table)
    found.save(tmp_path / "fit.nc")
    monkeypatch.setattr(iterated, "SOLVED", 0.0)
    monkeypatch.setattr(iterated.Iterated, "_solved", None)  # nothing is solved for
    ours = found.predict(table)
    np.testing.assert_allclose(ours["estimate"], usual["estimate"])
    np.testing.assert_allclose(ours["se"], usual["se"], rtol=0.1)
    monkeypatch.undo()
    monkeypatch.setattr(iterated, "SOLVED", 0.0)
    pd.testing.assert_frame_equal(mm.load(tmp_path / "fit.nc").predict(table), ours)


def test_an_sd_of_zero_is_found():
    """No member effects: the sd lies on its boundary, or next to it, as with a factor."""
    table = data("gaussian")
    y = 0.5 * table["z"] + np.random.default_rng(13).standard_normal(300)[table["g"]]
    exact, found = (
        mm.fit("y ~ z + mm(m, g)", table.assign(y=y), engine="ml", solver=s) for s in ("direct", "iterative")
    )
    assert exact.params["m.sd"] == 0.0 and found.params["m.sd"] == 0.0
    assert found.loglik == pytest.approx(exact.loglik, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gaussian", "bernoulli"])
def test_seeds_scatter_as_is_said(family):
    """Twenty seeds of probes: their root mean square against the factor's estimates within 1.5 of what is stated."""
    table = data(family, 800 if family == "bernoulli" else 300)
    model = mm.Model("y ~ z + mm(m, g, weights = softmax(x), normalize = group)", table, family=family)
    exact = model.fit("ml", solver="direct")
    names = [p.name for p in (*exact.specification.system.hypers, *exact.specification.system.coefficients)]
    away, stated, logs = [], [], []
    for seed in range(20):
        found = model.fit("ml", solver="iterative", random_seed=seed, progress=False)
        told = found._outcome.extra
        away.append((found.params - exact.params)[names].to_numpy())
        stated.append(told["estimate_errors"])
        logs.append(((found.loglik - exact.loglik), told["loglik_error"]))
    away, stated, logs = np.array(away), np.array(stated), np.array(logs)
    sharp = [k for k, name in enumerate(names) if name in ("m.w.x", "m.sd", "sigma")]
    ratio = np.sqrt((away**2).mean(axis=0)[sharp] / (stated**2).mean(axis=0)[sharp])
    assert np.all((ratio > 1 / 1.5) & (ratio < 1.5))
    assert 1 / 1.5 < np.sqrt((logs[:, 0] ** 2).mean() / (logs[:, 1] ** 2).mean()) < 1.5


def test_it_is_chosen_by_counting_operations(monkeypatch):
    model = mm.Model(FORMULA, data("gaussian"))
    assert "factorise a matrix" in model.explain()
    monkeypatch.setattr(symbolic, "LARGE", 1e3)
    model = mm.Model(FORMULA, data("gaussian"))
    assert "conjugate gradients" in model.explain()
    found = model.fit("ml", progress=False)
    assert found.specification.factor == "none"
    with pytest.raises(EngineError, match="too large for this model"):
        marginals.marginal_of(found.specification)
    assert model.fit("ml", factor="effects").specification.factor == "effects"


def test_no_order_is_sought_for_a_factor_that_nobody_makes(monkeypatch):
    """The search for one ends early; the numbers are those of any order, and a factor is still made if asked for."""
    table = data("gaussian")
    usual = mm.Model(FORMULA, table).fit("ml", progress=False)
    monkeypatch.setattr(symbolic, "LARGE", 1e3)
    monkeypatch.setattr(symbolic, "LITTLE", 0)
    model = mm.Model(FORMULA, table)
    assert not model.specification.system.symbolic.pattern.ordered
    found = model.fit("ml", progress=False)
    assert found.specification.factor == "none"
    assert abs(found.loglik - usual.loglik) < 4.0 * found._outcome.extra["loglik_error"] + 0.01
    for more in ({"solver": "direct"}, {"factor": "effects"}, {"factor": "groups"}):
        assert model.fit("ml", **more).loglik == pytest.approx(usual.loglik, abs=1e-6)
    posterior = model.fit("laplace", draws=40, random_seed=1, progress=False)  # an sd 4 posterior sds from its zero
    assert posterior.specification.factor == "none"
    assert posterior.params["c.sd"] == pytest.approx(usual.params["c.sd"], rel=0.5)
    assert model.fit("laplace", solver="direct", draws=40).specification.system.symbolic.pattern.ordered


def test_it_says_what_it_does_not_check(monkeypatch):
    table = data("poisson")
    model = mm.Model(FORMULA, table, family="poisson")
    codes = {note.code: note for note in model.fit("ml", solver="iterative", progress=False).health.notes}
    assert "laplace-unchecked" in codes and "one-start" not in codes
    monkeypatch.setattr(maxima, "BUDGET", 0.0)
    notes = mm.fit(FORMULA, data("gaussian"), engine="ml", solver="iterative", progress=False).health.notes
    assert [n.about for n in notes if n.code == "one-start"] == [("m.w.x",)]
    assert not {"laplace-unchecked", "not-profiled", "near-limit"} & {n.code for n in notes}
    flat = FORMULA.replace("softmax(x)", "softmax(z)")  # z does not vary within groups
    notes = mm.fit(flat, data("gaussian"), engine="ml", solver="iterative", progress=False).health.notes
    assert any(n.code == "not-profiled" and n.about == ("m.w.z",) for n in notes)


def test_separated_coefficients_are_named(monkeypatch):
    """As with a factor, whether all rows are looked at or some first."""
    table = data("bernoulli")
    table["y"] = (table["z"] > 0.4).astype(int)
    monkeypatch.setattr(separation, "MANY", 50)
    with pytest.warns(MicromacroWarning, match="separated"):
        fit = mm.fit("y ~ z + mm(m, g)", table, family="bernoulli", engine="ml", solver="iterative", progress=False)
    note = next(n for n in fit.health.troubles if n.code == "separated")
    assert "z" in note.about


def test_of_several_maxima_the_highest_is_found():
    """Searches begin at several places where that is cheap; what lies lower is told."""
    r = np.random.default_rng(12)
    group = np.repeat(np.arange(60), 3)
    a, c, x = r.standard_normal((3, len(group)))
    w = np.exp(1.5 * a)
    y = np.bincount(group, w * x) / np.bincount(group, w) + 0.4 * r.standard_normal(60)
    table = pd.DataFrame({"g": group, "m": np.arange(len(group)) // 2, "a": a, "c": c, "x": x, "y": y[group]})
    formula = "y ~ 1 + mm(m, g, x, weights = exp((b1 ** 2) * a + 0.1 * b1 * c), normalize = group, name = B)"
    for start in ({}, {"B.w.b1": 0.7}):
        exact, found = (
            mm.fit(formula, table, engine="ml", solver=s, progress=False, start=start) for s in ("direct", "iterative")
        )
        assert found.loglik == pytest.approx(exact.loglik, abs=1e-3)
        assert abs(found.params["B.w.b1"] - exact.params["B.w.b1"]) < 0.1 * exact.bse["B.w.b1"]
    assert any(n.code == "several-maxima" for n in found.health.notes)


REFUSED = {
    "cox": ("surv(t, e) ~ z + mm(m, g)", {"family": "cox"}),
    "categorical": ("k3 ~ z + mm(m, g)", {"family": "categorical"}),
    "choices": ("choice(chosen, set) ~ z + mm(m, g)", {"family": "conditional_logit"}),
    "combine": ("y ~ z + mm(m, g, combine = smax(kappa))", {}),
    "quadrature": ("y01 ~ z + (1 | c)", {"family": "bernoulli", "nAGQ": 5}),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_needs_a_factor_is_refused_by_name(kind):
    formula, more = REFUSED[kind]
    table, r = data("gaussian"), np.random.default_rng(4)
    n = table["g"].max() + 1
    of_group = {
        "t": r.exponential(size=n).round(1) + 0.1, "e": r.integers(0, 2, n), "k3": r.integers(0, 3, n),
        "y01": r.integers(0, 2, n), "set": np.arange(n) // 4, "chosen": (np.arange(n) % 4 == r.integers(0, 4, n)),
    }  # fmt: skip
    of_group["chosen"] = (np.arange(n) % 4 == np.repeat(r.integers(0, 4, n // 4 + 1), 4)[:n]).astype(int)
    table = table.assign(**{name: values[table["g"]] for name, values in of_group.items()})
    with pytest.raises(EngineError, match=r'solver="iterative" .*leave it out'):
        mm.fit(formula, table, engine="ml", solver="iterative", **more)


def test_it_is_refused_by_name():
    model = mm.Model(FORMULA, data("gaussian"))
    for words, engine, more in (
        ('"direct" or "iterative"', "ml", {"solver": "fast"}),
        ("give one", "ml", {"solver": "iterative", "factor": "effects"}),
        ("not for mcmc", "mcmc", {"solver": "iterative"}),
    ):
        with pytest.raises(EngineError, match=words):
            model.fit(engine, **more)
    with pytest.raises(EngineError, match="models with effects"):
        mm.fit("y ~ z", data("gaussian"), engine="ml", solver="iterative")


def test_an_interrupted_search_says_where_it_was(monkeypatch):
    """And goes on from there."""
    model = mm.Model(FORMULA, data("gaussian"))
    whole = stochastic.Search._along
    count = []

    def along(self, *a):
        count.append(1)
        if len(count) == 3:
            raise KeyboardInterrupt
        return whole(self, *a)

    monkeypatch.setattr(stochastic.Search, "_along", along)
    with pytest.raises(KeyboardInterrupt, match=r"start=\{'m.w.x': ") as caught:
        model.fit("ml", solver="iterative", progress=False)
    start = ast.literal_eval(str(caught.value).split("start=")[1])
    monkeypatch.setattr(stochastic.Search, "_along", whole)
    again = model.fit("ml", solver="iterative", progress=False, start=start)
    usual = model.fit("ml", solver="iterative", progress=False)
    assert again.health.evaluations < usual.health.evaluations
    assert ((again.params - usual.params).abs() / usual.bse).max() < 0.1


class Failing(ThreadPoolExecutor):
    """Loses its workers after some tasks."""

    left = 400

    def submit(self, fn, /, *a, **k):
        self.left -= 1
        if self.left < 0:
            raise BrokenExecutor("a process was terminated")
        return super().submit(fn, *a, **k)


def test_products_may_be_made_by_any_executor():
    """The same numbers, to rounding; a worker that is lost ends in an error that says from where to go on."""
    model = mm.Model(FORMULA, data("gaussian"))
    usual = model.fit("ml", solver="iterative", progress=False)
    with ThreadPoolExecutor(3) as pool:
        spread = model.fit("ml", solver="iterative", progress=False, executor=pool)
    assert spread.loglik == pytest.approx(usual.loglik, rel=1e-8)
    assert ((spread.params - usual.params).abs() / usual.bse).max() < 1e-3
    with Failing(2) as pool, pytest.raises(EngineError, match=r"worker.* failed .*start=\{'m.w.x'"):
        model.fit("ml", solver="iterative", progress=False, executor=pool)


@pytest.mark.slow
def test_products_may_be_made_by_other_processes():
    """Which keep what they were sent."""
    model = mm.Model(FORMULA, data("poisson"), family="poisson")
    usual = model.fit("ml", solver="iterative", progress=False)
    with ProcessPoolExecutor(2) as pool:
        spread = model.fit("ml", solver="iterative", progress=False, executor=pool)
    assert spread.loglik == pytest.approx(usual.loglik, rel=1e-8)
    assert ((spread.params - usual.params).abs() / usual.bse).max() < 1e-3
