"""An interrupt inside a verb ends it as KeyboardInterrupt, whenever it comes; only a fit keeps its draws so far."""

from __future__ import annotations

import re
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines import registry
from micromacro.engines.base import Settings
from micromacro.engines.mcmc import engine as mcmc
from micromacro.latent.system import System

SOURCES = Path(mm.__file__).parent
RNG = np.random.default_rng(4)
FRAME = pd.DataFrame({"x": RNG.normal(size=40), "g": np.arange(80)[:40] % 8})
FRAME["y"] = FRAME["x"] + 0.5 * RNG.normal(size=8)[FRAME["g"]] + RNG.normal(size=40)
FRAME["k"] = RNG.poisson(np.exp(0.3 * FRAME["x"]))
RUN = {"draws": 40, "tune": 20, "chains": 2, "random_seed": 1, "progress": False}
LONG = pd.DataFrame({"m": np.arange(120) % 9, "g": np.repeat(np.arange(40), 3), "z": RNG.normal(size=120)})
LONG["y"] = RNG.normal(size=40)[LONG["g"]]


def aggregations(engine):
    return lambda fits: mm.aggregations(mm.Model("y ~ 1 + mm(m, g, z)", LONG), ["mean", "sum"], engine=engine, draws=80)


VERBS = {
    "kfold, exact": lambda fits: fits["gaussian"].kfold(2, random_seed=0),
    "kfold, approximate": lambda fits: fits["laplace"].kfold(2, random_seed=0),
    "kfold, counts": lambda fits: fits["poisson"].kfold(2, random_seed=0),
    "kfold, ml": lambda fits: fits["ml"].kfold(2, random_seed=0),
    "loo": lambda fits: fits["poisson"].loo(),
    "loo, integrated": lambda fits: fits["poisson"].loo(integrated=True),
    "log_evidence": lambda fits: fits["poisson"].log_evidence(draws=60, random_seed=0),
    "bootstrap": lambda fits: fits["ml"].bootstrap(3, random_seed=0),
    "lr_test": lambda fits: fits["ml"].lr_test(fits["plain"], "bootstrap", n=3, random_seed=0),
    "profile": lambda fits: fits["ml"].profile("sigma"),
    "aggregations, ml": aggregations("ml"),
    "aggregations, mcmc": aggregations("mcmc"),
    "fit, ml": lambda fits: mm.fit("y ~ x + (1 | g)", FRAME, engine="ml"),
    "fit, laplace": lambda fits: mm.fit("y ~ x + (1 | g)", FRAME, engine="laplace", draws=40, random_seed=1),
}


@pytest.fixture(scope="module")
def fits():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        return {
            "gaussian": mm.fit("y ~ x + (1 | g)", FRAME, **RUN),
            "poisson": mm.fit("k ~ x + (1 | g)", FRAME, family="poisson", **RUN),
            "laplace": mm.fit("y ~ x + (1 | g)", FRAME, engine="laplace", draws=80, random_seed=1),
            "ml": mm.fit("y ~ x + (1 | g)", FRAME, engine="ml"),
            "plain": mm.fit("y ~ x", FRAME, engine="ml"),
        }


class Hook:
    """Counts evaluations of the latent system, and raises what Ctrl-C raises at one of them."""

    def __init__(self, monkeypatch):
        self.lock, self.count, self.at = threading.Lock(), 0, None
        whole = System.fill

        def fill(system, theta, room):
            with self.lock:
                self.count += 1
                now = self.count == self.at
            if now:
                raise KeyboardInterrupt
            return whole(system, theta, room)

        monkeypatch.setattr(System, "fill", fill)


@pytest.mark.filterwarnings("ignore::micromacro.errors.MicromacroWarning")
@pytest.mark.parametrize(
    "verb", [pytest.param(v, marks=pytest.mark.slow) if v == "aggregations, mcmc" else v for v in VERBS]
)
def test_an_interrupted_verb_has_no_result(verb, fits, monkeypatch):
    hook = Hook(monkeypatch)
    VERBS[verb](fits)
    whole = hook.count
    assert whole, "nothing to interrupt"
    for share in (0.0, 0.4, 0.9):
        hook.count, hook.at = 0, 1 + int(share * (whole - 1))
        with pytest.raises(KeyboardInterrupt):
            VERBS[verb](fits)


def test_nothing_but_a_run_of_chains_takes_an_interrupt():
    catching = {
        str(path.relative_to(SOURCES))
        for path in SOURCES.rglob("*.py")
        if re.search(
            r"except (KeyboardInterrupt|BaseException|\(.*Interrupt)|except:", path.read_text(encoding="utf-8")
        )
    }
    again = {"results/store/file.py", "engines/likelihood/stochastic.py", "engines/threads.py"}  # raise it again
    assert catching - again == {"engines/mcmc/engine.py", "engines/nuts/engine.py", "model/public.py"}


def test_a_run_inside_a_verb_is_whole_or_an_error(fits, monkeypatch):
    specification, settings = fits["gaussian"].specification, Settings(draws=20, tune=5, chains=2, progress=False)
    run = mcmc.run_chain

    def failing(task, tick=None, stop=None):
        if task.chain == 1:
            raise FloatingPointError("chain broke")
        return run(task, tick, stop)

    monkeypatch.setattr(mcmc, "run_chain", failing)
    with pytest.raises(mm.EngineError, match="chain 1 failed"):
        registry.run_engine("mcmc", specification, settings)
    assert len(registry.run_engine("mcmc", specification, settings, partial=True).draws.theta) == 1


def test_a_stopped_extension_keeps_all_chains_unless_new_draws_are_many():
    def made(length):
        return mcmc.Chain(np.zeros((length, 2)), np.zeros((length, 3)), np.zeros(length), {})

    chains = [made(5), made(4), made(0)]
    assert mcmc.even(chains, before=100) == []  # the fit that was to be extended is there still
    assert mcmc.even(chains[:2], before=100) == chains[:2]
    assert mcmc.even(chains, before=1) == chains[:2]


def test_a_stopped_extension_goes_on_from_the_draws_of_all_its_chains(monkeypatch):
    whole, fit = mcmc.run_chains, mm.Model("y ~ x + (1 | g)", FRAME).fit(**RUN)

    def stopped(tasks, settings):
        (first, *others), failures, _ = whole(tasks, settings)
        stats = {name: values[:3] for name, values in first.stats.items()}
        cut = replace(first, theta=first.theta[:3], x=first.x[:3], value=first.value[:3], stats=stats)
        return [cut, *others], failures, True

    monkeypatch.setattr(mcmc, "run_chains", stopped)
    assert fit.extend(draws=40, progress=False).posterior.draws.shape[:2] == (RUN["chains"], RUN["draws"] + 3)


def test_threads_of_a_pool_of_the_users_stop_and_keep_their_draws(monkeypatch):
    """One thread for two chains: the one that runs keeps what it has, the other one does not begin."""
    begun = threading.Event()
    run, wait = mcmc.run_chain, mcmc.time.sleep

    def noted(task, tick=None, stop=None):
        begun.set()
        return run(task, tick, stop)

    def pressed(seconds):
        if begun.wait(10):
            wait(0.3)
            raise KeyboardInterrupt

    monkeypatch.setattr(mcmc, "run_chain", noted)
    monkeypatch.setattr(mcmc.time, "sleep", pressed)
    with ThreadPoolExecutor(1) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        fit = mm.fit("y ~ x + (1 | g)", FRAME, **RUN | {"draws": 200_000, "tune": 0, "executor": pool})
    assert "interrupted" in {note.code for note in fit.notes}
    assert len(fit.posterior.made.theta) == 1
