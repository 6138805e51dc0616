"""Groups of which nothing is known: no trial, or a duration between zero and infinity. They count for nothing, and are
predicted like any other; and ends of intervals that are missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import micromacro as mm

RNG = np.random.default_rng(3)
N = 70
FRAME = pd.DataFrame({"x": RNG.standard_normal(N), "n": RNG.integers(0, 5, N), "g": np.arange(N) % 10})
FRAME["k"] = RNG.binomial(FRAME["n"], 0.4)
_time = RNG.exponential(5.0, N)
FRAME["low"] = np.floor(_time)
FRAME["high"] = np.where(_time > 6.0, np.inf, FRAME["low"] + 1.0)
FRAME.loc[::7, ["low", "high"]] = [0.0, np.inf]
FORMS = {
    "binomial": ("trials(k, n) ~ x", FRAME["n"] > 0),
    "weibull": ("surv(low, high, type='interval') ~ x", FRAME.index % 7 > 0),
    "exponential": ("surv(low, high, type='interval') ~ x", FRAME.index % 7 > 0),
    "lognormal": ("surv(low, high, type='interval') ~ x", FRAME.index % 7 > 0),
}
RUN = {"draws": 60, "tune": 60, "chains": 2, "random_seed": 1, "progress": False}


@pytest.fixture(autouse=True)
def no_numerical_warnings(recwarn):
    yield
    assert not [w for w in recwarn if not issubclass(w.category, mm.MicromacroWarning)]


@pytest.mark.parametrize("family", FORMS)
def test_they_count_for_nothing(family):
    formula, known = FORMS[family]
    fit, without = (mm.fit(formula, d, family=family, engine="ml") for d in (FRAME, FRAME[known]))
    assert fit.loglik == pytest.approx(without.loglik, abs=1e-8)
    np.testing.assert_allclose(fit.params, without.params, rtol=1e-5)
    np.testing.assert_allclose(fit.bse, without.bse, rtol=1e-4)


@pytest.mark.parametrize("engine", ["ml", "laplace", "mcmc"])
@pytest.mark.parametrize("family", FORMS)
def test_they_are_predicted_and_have_no_residual(family, engine):
    formula, known = FORMS[family]
    fit = mm.fit(formula + " + (1 | g)", FRAME, family=family, engine=engine, **RUN)
    for kind in ("linear", "mean", "response"):
        assert np.isfinite(fit.predict(kind=kind, random_seed=1).to_numpy()).all()
    observed = known & (family == "binomial")  # an interval is censored: it has no residual either
    assert np.array_equal(np.isfinite(fit.residuals()), observed)
    fit.r2(random_seed=1), fit.report(), fit.variance_components(scale="response", random_seed=1)
    if engine == "ml":
        return
    pointwise = fit.loo().pointwise
    assert np.all(pointwise.loc[~np.asarray(known), "elpd"] == 0.0)
    pit = fit.loo_pit(random_seed=1)
    assert ((pit >= 0.0) & (pit <= 1.0)).all()


def test_data_sets_without_trials_are_simulated_again():
    fit = mm.fit("trials(k, n) ~ x", FRAME, family="binomial", engine="ml")
    assert len(fit.bootstrap(4, random_seed=1).estimates) == 4
    fit.plot.predictive()
    new = FRAME.assign(n=0)
    assert (fit.predict(new, kind="response", random_seed=1)["estimate"] == 0.0).all()
    assert fit.lr_test(mm.fit("trials(k, n) ~ 1", FRAME, family="binomial", engine="ml")).df == 1


def test_right_censored_intervals_are_simulated_again():
    data = FRAME.assign(low=_time, high=np.where(_time > 6.0, np.inf, _time))
    data.loc[::9, ["low", "high"]] = [0.0, np.inf]
    fit = mm.fit("surv(low, high, type='interval') ~ x", data, family="weibull", engine="ml")
    assert len(fit.bootstrap(4, random_seed=1).estimates) == 4


def test_trials_that_all_fail_are_taken():
    data = FRAME.assign(k=0)
    with pytest.warns(mm.MicromacroWarning):
        fit = mm.fit("trials(k, n) ~ x", data, family="binomial", **RUN)
    assert fit.predict()["mean"].max() < 0.2


@pytest.mark.parametrize("shape", ["rows", "long", "relational"])
def test_a_missing_end_is_open(shape):
    data = FRAME.assign(g=np.arange(N), m=np.arange(N) % 9)
    gaps = data.assign(high=data["high"].replace(np.inf, np.nan), low=data["low"].where(data["low"] > 0.0))
    both = gaps["low"].isna() & gaps["high"].isna()
    assert both.any() and (gaps["low"].isna() & ~both).any()
    gaps.loc[both, "low"] = 0.0
    terms = "x" if shape == "rows" else "x + mm(m, g, effects = none, weights = 1)"
    fits = []
    for table in (data, gaps):
        more = {}
        if shape == "relational":
            table, more = table.drop(columns="m"), {"memberships": data[["g", "m"]]}
        formula = f"surv(low, high, type='interval') ~ {terms}"
        fits.append(mm.fit(formula, table, family="weibull", engine="ml", **more))
    assert fits[0].loglik == fits[1].loglik


def test_an_interval_without_both_ends_is_missing():
    data = FRAME.copy()
    data.loc[3, ["low", "high"]] = np.nan
    with pytest.raises(mm.DataError, match="missing in 1 row"):
        mm.fit("surv(low, high, type='interval') ~ x", data, family="weibull", engine="ml")
    one = mm.fit("surv(low, high, type='interval') ~ x", data, family="weibull", engine="ml", missing="drop")
    assert one.nobs == N - 1
