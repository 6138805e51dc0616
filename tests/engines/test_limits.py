"""Parameters of a family whose likelihood goes on rising: held at the limit and named, without a standard error."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.families.registry import FAMILIES


@pytest.fixture(scope="module")
def narrow():
    """Counts that spread less than Poisson's, and an outcome with short tails."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=150)
    counts = rng.binomial(10, 1 / (1 + np.exp(-0.3 * x)))
    few = np.clip(counts - 2, 0, None)  # as many zeros as Poisson counts, or fewer
    y = x + rng.uniform(-1, 1, size=150)
    return pd.DataFrame(
        {"x": x, "g": np.arange(150) % 15, "c": counts, "y": y, "f": few, "s": np.round(7 / (1 + np.exp(-x)))}
    )


@pytest.mark.parametrize("effects", ["", " + (1 | g)"])
@pytest.mark.parametrize(
    ("outcome", "family", "name", "simpler"),
    [
        ("c", "negative_binomial", "phi", "poisson"),
        ("y", "student", "nu", "gaussian"),
        ("trials(s, 7)", "beta_binomial", "phi", "binomial"),
        ("f", "zero_inflated_poisson", "zi", "poisson"),
    ],
)
def test_a_family_at_the_limit_of_its_parameter_is_the_simpler_one(narrow, outcome, family, name, simpler, effects):
    fit = mm.fit(f"{outcome} ~ x{effects}", narrow, family=family, engine="ml")
    (note,) = (n for n in fit.health.notes if n.code == "limit")
    assert note.about == (name,) and f"family='{simpler}'" in note
    assert fit.health.ok and np.isnan(fit.bse[name]) and (fit.params[name] > 1e6 or fit.params[name] < 1e-6)
    plain = mm.fit(f"{outcome} ~ x{effects}", narrow, family=simpler, engine="ml")
    assert fit.loglik == pytest.approx(plain.loglik, abs=2e-4)
    shared = [n for n in ("Intercept", "x", "sigma") if n in plain.params]
    np.testing.assert_allclose(fit.bse[shared], plain.bse[shared], rtol=1e-3)


def test_a_parameter_that_the_data_know_is_not_at_its_limit():
    rng = np.random.default_rng(1)
    d = pd.DataFrame({"x": rng.normal(size=300)})
    d["c"], d["y"] = rng.poisson(3 * rng.gamma(2, 0.5, 300)), rng.standard_t(5, 300)
    for outcome, family in (("c", "negative_binomial"), ("y", "student")):
        fit = mm.fit(f"{outcome} ~ x", d, family=family, engine="ml")
        assert not fit.health.notes and np.all(np.isfinite(fit.bse))


@pytest.mark.filterwarnings("ignore:the likelihood rises without limit:micromacro.errors.MicromacroWarning")
@pytest.mark.parametrize(("effects", "code"), [("car(G)", "limit"), ("icar(G)", "unbounded")])
def test_one_observation_per_area_may_leave_no_residual(effects, code):
    rng = np.random.default_rng(2)
    areas = pd.DataFrame({"i": range(40), "a": range(40), "x": rng.normal(size=40)})
    areas["y"] = areas["x"] + np.cumsum(rng.normal(size=40))
    graph = {i: [j for j in (i - 1, i + 1) if 0 <= j < 40] for i in range(40)}
    fit = mm.fit(f"y ~ x + mm(i, a, effects = {effects})", areas, graphs={"G": graph}, engine="ml")
    (note,) = (n for n in fit.health.notes if n.code == code)
    assert note.about == ("sigma",) and "zero" in note and "one observation" in note
    assert fit.health.ok == (code == "limit") and len(fit.health.troubles) == (code == "unbounded")
    assert np.isnan(fit.bse["sigma"]) and fit.params["sigma"] < 1e-3
    assert np.all(np.isfinite(fit.bse.drop("sigma"))) and fit.bse["x"] < 0.5
    np.testing.assert_allclose(fit.fitted(), areas["y"], atol=1e-3)


def test_an_exact_fit_is_not_called_a_limit():
    x = np.linspace(0, 1, 30)
    with pytest.warns(mm.MicromacroWarning, match="residual is zero"):
        fit = mm.fit("y ~ x", pd.DataFrame({"x": x, "y": 1 + 2 * x}), engine="ml")
    assert not any(n.code == "limit" for n in fit.health.notes)


EXACT = {  # from values of the linear predictor to an outcome that has nothing of chance
    "gaussian": ("y", lambda eta: eta),
    "student": ("y", lambda eta: eta),
    "lognormal": ("surv(y, e)", np.exp),
    "weibull": ("surv(y, e)", np.exp),
    "gamma": ("y", np.exp),
    "beta": ("y", lambda eta: 1.0 / (1.0 + np.exp(-eta))),
}


def test_families_of_numbers_say_what_their_residual_is():
    """Durations without a scale of their own (exponential, cox) and discrete outcomes are never fitted exactly."""
    numbers = {
        word for word, make in FAMILIES.items() if not (f := make()).discrete and not f.nominal and not f.several
    }
    assert {word for word in numbers if FAMILIES[word]().residual_sd} == set(EXACT)
    assert numbers - set(EXACT) == {"exponential", "cox"}


@pytest.mark.filterwarnings("ignore::micromacro.errors.MicromacroWarning")
@pytest.mark.parametrize(
    ("family", "terms"),
    [(f, t) for f in EXACT for t in ("x", "1 + (1 | g)")] + [(f, "x + (1 + x | c)") for f in ("gaussian", "student")],
)
def test_an_outcome_without_chance_is_named_whatever_the_search_found(family, terms):
    """A function of the covariates, or of units that have rows of their own (a table with a row per membership)."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=24)
    outcome, inverse = EXACT[family]
    groups = pd.DataFrame({"g": range(24), "c": np.arange(24) % 6, "x": x, "y": inverse(0.3 + 0.5 * x), "e": 1})
    fit = mm.fit(f"{outcome} ~ {terms}", pd.concat([groups, groups]), family=family, engine="ml")
    first = fit.health.troubles[0]
    assert first.code == "perfect-fit" and "residual is zero" in first, fit.health
    assert not any(n.code == "not-converged" for n in fit.health.troubles)  # its remedy would be no help


@pytest.mark.filterwarnings("ignore::micromacro.errors.MicromacroWarning")
@pytest.mark.parametrize("engine", ["mcmc", "laplace"])
def test_draws_of_an_outcome_without_chance_are_called_so(engine):
    rng = np.random.default_rng(4)
    x = rng.normal(size=40)
    data = pd.DataFrame({"x": x, "y": 0.5 + 0.8 * x, "u": np.arange(40) % 8})
    run = {"draws": 200, "tune": 200, "chains": 2, "random_seed": 1, "progress": False}
    made = mm.fit("y ~ x + (1 | u)", data, engine=engine, **run)
    data["y"] += 0.01 * rng.normal(size=40)
    by_chance = mm.fit("y ~ x + (1 | u)", data, engine=engine, **run)
    told = [note for note in made.health.troubles if note.code == "perfect-fit"]
    assert told and "posterior density rises without limit" in told[0]
    assert not any(note.code == "perfect-fit" for note in by_chance.health.troubles)


@pytest.mark.filterwarnings("ignore::micromacro.errors.MicromacroWarning")
def test_what_needs_a_residual_is_refused_where_there_is_none():
    x = np.random.default_rng(1).normal(size=40)
    twice = pd.DataFrame({"g": range(40), "x": x, "y": 0.3 + 0.5 * x}).loc[np.tile(np.arange(40), 2)]
    fit = mm.fit("y ~ 1 + (1 + x | g)", twice, engine="ml")
    for ask in (lambda: fit.summary(df=True), lambda: fit.cov_params(kind="sandwich", by="g")):
        with pytest.raises(mm.EngineError, match="covariance of the outcome is singular"):
            ask()


@pytest.mark.filterwarnings("ignore::micromacro.errors.MicromacroWarning")
def test_successes_of_all_or_none_are_drawn():
    """A beta-binomial whose precision went to zero: all trials succeed, or none."""
    x = np.linspace(-1, 1, 30)
    fit = mm.fit(
        "trials(s, n) ~ x", pd.DataFrame({"x": x, "s": 5 * (x > 0), "n": 5}), family="beta_binomial", engine="ml"
    )
    own = np.array([1e-200])
    drawn = fit.family.simulate(
        np.zeros(4000), own, np.random.default_rng(0), np.array([[0.0], [5.0]]) + np.zeros(4000)
    )
    assert set(drawn) == {0.0, 5.0} and abs(drawn.mean() - 2.5) < 0.15
    assert fit.ppc(random_seed=1) is not None
