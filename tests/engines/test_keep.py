"""keep=: which draws of effects a run of mcmc keeps; what needs the others says so, before and after a file."""

from __future__ import annotations

import numpy as np
import pytest

import micromacro as mm

from .test_cox import table

FORMULA = "x ~ z2 + mm(member, g, z, weights = 1/n) + (1 | unit)"
RUN = {"draws": 20, "tune": 30, "chains": 2, "random_seed": 1, "progress": False}


def model():
    data = table(30).assign(z2=lambda d: (d["g"] % 5).astype(float))
    return mm.Model(FORMULA, data)


@pytest.fixture(scope="module")
def fits():
    made = model()
    return {str(keep): made.fit(keep=keep, **RUN) for keep in ("all", "parameters", ["unit"])}


def test_draws_of_what_is_kept_are_the_same(fits):
    whole = fits["all"]
    for fit in fits.values():
        np.testing.assert_array_equal(fit.params, whole.params)
    np.testing.assert_array_equal(fits["['unit']"].random_effects("unit"), whole.random_effects("unit"))
    assert fits["parameters"].weights().shape == whole.weights().shape
    made = fits["parameters"].posterior.made
    assert made.effects.shape[-1] == 0 and len(fits["['unit']"].posterior.made.kept) == 6


@pytest.mark.parametrize("keep", ["parameters", "['unit']"])
def test_what_is_not_kept_is_an_error_that_names_keep(fits, keep, tmp_path):
    fit = fits[keep]
    fit.save(tmp_path / "fit.nc")
    for one in (fit, mm.load(tmp_path / "fit.nc")):
        with pytest.raises(mm.EngineError, match="keep="):
            one.random_effects("member")
        with pytest.raises(mm.EngineError, match="keep="):
            one.predict()
        assert one.summary().shape == fits["all"].summary().shape
    longer = fit.extend(draws=5)
    assert longer.posterior.made.shape == (2, 25)


def test_a_long_run_is_forecast_in_words(monkeypatch, capsys):
    from micromacro.engines.mcmc import engine
    from micromacro.engines.mcmc.forecast import Forecast
    from micromacro.engines.progress import duration

    monkeypatch.setattr(engine, "forecast", lambda *_: Forecast(7260.0, 0.0123, 3.2e9))
    model().fit(**{**RUN, "progress": True})
    told = capsys.readouterr().err
    assert "2 chains of 50 iterations take about 2 hours (one evaluation takes 12.3 ms), their draws 3.2 GB" in told
    assert [duration(s) for s in (5, 100, 8000, 2e5)] == ["5 seconds", "2 minutes", "2 hours", "2 days"]


def test_chains_share_one_analysed_pattern():
    from micromacro.engines.mcmc.chain import Sampler, Task
    from micromacro.engines.mcmc.engine import posterior_peaks

    for family, y in (("gaussian", "x"), ("poisson", "g")):
        s = mm.Model(
            FORMULA.replace("x ~", f"{y} ~"), table(30).assign(z2=1.0 * (table(30)["g"] % 5)), family=family
        ).specification
        peaks = posterior_peaks(s)
        seeds = np.random.SeedSequence(1).spawn(2)
        chains = [Sampler(Task(s, peaks, seed, 2, 2, k)).latent.system.symbolic for k, seed in enumerate(seeds)]
        assert chains[0] is chains[1] is s.system.symbolic


@pytest.mark.parametrize(("family", "each"), [("gaussian", 7.0), ("poisson", 12.0)])
def test_a_forecast_counts_what_is_kept_and_what_moves_along(family, each, monkeypatch):
    from micromacro.engines.base import Settings
    from micromacro.engines.mcmc import forecast as of
    from micromacro.engines.mcmc.engine import posterior_peaks

    monkeypatch.setattr(of, "cores", lambda: 1)
    data = table(30).assign(z2=lambda d: (d["g"] % 5).astype(float))
    s = mm.Model(FORMULA.replace("x ~", "x ~" if family == "gaussian" else "g ~"), data, family=family).specification
    made = of.forecast(s, posterior_peaks(s)[0], Settings(draws=100, tune=100, chains=2), 10)
    assert made.memory == 8 * 2 * 100 * (10 + len(s.system.hypers))
    assert made.seconds == pytest.approx(each * made.each * 2 * 200)
    assert 0.0 < made.each < 1.0


def test_bad_settings_are_refused():
    with pytest.raises(mm.EngineError, match="'units' is not such a term; did you mean 'unit'"):
        model().fit(keep=["units"], **RUN)
    with pytest.raises(mm.EngineError, match="keep= is 'all', 'parameters' or a list"):
        model().fit(keep=3, **RUN)
    with pytest.raises(mm.EngineError, match="not for ml"):
        model().fit("ml", keep="parameters")
