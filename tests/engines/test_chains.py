"""Chains: one seed, one result, whoever runs them; starts apart; stopping early; failing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest

import micromacro as mm
from micromacro.engines.base import Settings
from micromacro.engines.mcmc import engine as mcmc
from micromacro.engines.mcmc.chain import MOVES, Sampler
from micromacro.engines.progress import Progress
from micromacro.engines.search import Peak

SHORT = {"draws": 60, "tune": 40, "chains": 3, "random_seed": 5}


@pytest.fixture(scope="module")
def model(dense, data):
    return mm.Model(dense.FORMULA.format(rule="group"), data)


@pytest.fixture(scope="module")
def first(model):
    return model.fit(progress=False, **SHORT)._outcome.draws


def same(a, b):
    return np.array_equal(a.theta, b.theta) and np.array_equal(a.x, b.x)


def test_one_seed_gives_one_result_bit_for_bit(model, first):
    assert same(first, model.fit(progress=False, **SHORT)._outcome.draws)


@pytest.mark.parametrize("workers", [1, 2])
def test_threads_of_an_executor_change_nothing(model, first, workers):
    with ThreadPoolExecutor(workers) as pool:
        assert same(first, model.fit(progress=False, executor=pool, **SHORT)._outcome.draws)


@pytest.mark.slow
def test_other_processes_change_nothing(model, first):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert same(first, model.fit(progress=False, executor=pool, **SHORT)._outcome.draws)


def test_the_progress_bar_changes_nothing(model, first):
    assert same(first, model.fit(progress=True, **SHORT)._outcome.draws)


def test_another_seed_gives_other_draws(model, first):
    other = model.fit(progress=False, **(SHORT | {"random_seed": 6}))._outcome.draws
    assert not np.array_equal(first.theta, other.theta)


def test_without_a_seed_runs_differ(model):
    a, b = (model.fit(progress=False, draws=4, tune=0, chains=1)._outcome.draws for _ in range(2))
    assert not np.array_equal(a.theta, b.theta)


def test_a_chain_is_the_same_in_a_longer_list_of_chains(model, first):
    """Seeds are spawned, so that chain 0 of two is chain 0 of three."""
    fewer = model.fit(progress=False, **(SHORT | {"chains": 2}))._outcome.draws
    assert np.array_equal(fewer.theta, first.theta[:2])


def test_rows_in_another_order_change_nothing(dense, data, first):
    shuffled = data.sample(frac=1.0, random_state=9)
    fit = mm.fit(dense.FORMULA.format(rule="group"), shuffled, progress=False, **SHORT)
    assert same(first, fit._outcome.draws)


def test_draws_have_the_shape_that_was_asked_for(model, first):
    assert first.theta.shape == (3, 60, 4)
    assert first.x.shape == (3, 60, model.specification.system.size)
    assert first.log_posterior.shape == (3, 60)
    assert (first.stats["n_evaluations"] >= MOVES).all()
    assert ((first.stats["accepted"] >= 0) & (first.stats["accepted"] <= 1)).all()


# -- starts ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def peaks(model):
    s = model.specification
    return mcmc.posterior_peaks(s)


def start(model, peaks, chain, seed):
    task = mcmc.Task(model.specification, peaks, seed, 10, 0, chain)
    return Sampler(task).state.u


def test_chains_start_at_different_points(model, peaks):
    seeds = np.random.SeedSequence(1).spawn(4)
    starts = np.array([start(model, peaks, c, s) for c, s in enumerate(seeds)])
    apart = np.abs(starts[:, None] - starts[None])[~np.eye(4, dtype=bool)]
    assert (apart > 1e-3).all()


def test_starts_are_wider_than_the_posterior(model, peaks):
    long = model.fit(progress=False, draws=500, tune=300, chains=2, random_seed=3)._outcome.draws.theta
    scores = mcmc.Scores(model.specification.system.hypers)
    posterior = np.array([scores.from_theta(t) for t in long.reshape(-1, 4)]).std(axis=0)
    seeds = np.random.SeedSequence(2).spawn(150)
    starts = np.array([start(model, peaks, 0, s) for s in seeds]).std(axis=0)
    assert (starts > 1.2 * posterior).all()


def test_chains_start_at_all_maxima(model, peaks):
    far = Peak(peaks[0].u + np.array([3.0, 0, 0, 0]), -1.0, peaks[0].gradient, 400 * peaks[0].hessian, peaks[0].free)
    two = [Peak(peaks[0].u, 0.0, peaks[0].gradient, 400 * peaks[0].hessian, peaks[0].free), far]
    seeds = np.random.SeedSequence(1).spawn(4)
    starts = [start(model, two, c, s)[0] for c, s in enumerate(seeds)]
    nearer = [int(abs(u - far.u[0]) < abs(u - peaks[0].u[0])) for u in starts]
    assert nearer == [0, 1, 0, 1]


def test_a_run_without_tuning_works(model):
    draws = model.fit(progress=False, draws=20, tune=0, chains=2, random_seed=1)._outcome.draws
    assert draws.theta.shape[:2] == (2, 20)
    assert np.isfinite(draws.theta).all()


# -- stopping early --------------------------------------------------------------------------------------------------


def test_ctrl_c_keeps_what_was_drawn_and_says_so(model, monkeypatch, quick, dense, data):
    """The interrupt is raised where the main thread waits, once every chain has draws."""

    def show(self):
        if min(self._done) >= 50:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "show", lambda self: show(self) if not hasattr(self, "_said") else None)
    exit_ = Progress.__exit__

    def leave(self, *args):
        self._said = True
        exit_(self, *args)

    monkeypatch.setattr(Progress, "__exit__", leave)
    fit = quick(dense.FORMULA.format(rule="group"), data, draws=10**5, tune=0, chains=2, random_seed=1)
    draws = fit._outcome.draws
    kept = draws.theta.shape[1]
    assert draws.interrupted
    assert 50 <= kept < 10**5
    assert np.isfinite(draws.x).all()
    assert f"stopped early: {kept} of 100000 draws" in " ".join(fit.health.remarks)
    assert f"stopped early: {kept}" in fit.report()
    # and they are the draws that a run of that length gives
    whole = model.fit(progress=False, draws=50, tune=0, chains=2, random_seed=1)._outcome.draws
    assert np.array_equal(draws.theta[:, :50], whole.theta)


def test_an_interrupt_before_the_first_draw_has_no_result(dense, data, monkeypatch, quick):
    def show(self):
        if not hasattr(self, "_said"):
            self._said = True
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "show", show)
    with pytest.raises(KeyboardInterrupt, match="before any draw"):
        quick(dense.FORMULA.format(rule="group"), data, draws=4, tune=10**6, chains=2, random_seed=1)


SCRIPT = """
import signal, threading, time
import numpy as np, pandas as pd
import micromacro as mm
from micromacro.engines.mcmc import engine as mcmc
from micromacro.engines.mcmc.chain import MOVES, Sampler

rng = np.random.default_rng(1)
y = np.repeat(rng.standard_normal(20), 2)
frame = pd.DataFrame({"g": np.repeat(np.arange(20), 2), "m": np.arange(40) % 7, "y": y})
begun = threading.Event()
chain = mcmc.run_chain

def watched(task, tick=None, stop=None):
    def both(done):
        tick(done)
        if done >= 100:
            begun.set()
    return chain(task, both, stop)

mcmc.run_chain = watched

def press():
    begun.wait()
    time.sleep(0.3)
    signal.raise_signal(signal.SIGINT)

threading.Thread(target=press, daemon=True).start()
fit = mm.fit("y ~ 1 + mm(m, g)", frame, draws=10**6, tune=50, chains=2, random_seed=1, progress=False)
print("kept", fit._outcome.draws.theta.shape[1])
print(fit)
"""


def test_a_real_interrupt_keeps_what_was_drawn():
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)], capture_output=True, text=True, timeout=100, check=False
    )
    assert out.returncode == 0, out.stderr
    kept = int(re.search(r"kept (\d+)", out.stdout)[1])
    assert 0 < kept < 10**6
    assert f"stopped early: {kept} of 1000000 draws" in out.stdout


# -- failing ---------------------------------------------------------------------------------------------------------


def break_chains(monkeypatch, *numbers):
    run = mcmc.run_chain

    def failing(task, tick=None, stop=None):
        if task.chain in numbers:
            raise FloatingPointError("chain broke")
        return run(task, tick, stop)

    monkeypatch.setattr(mcmc, "run_chain", failing)


@pytest.mark.parametrize("pooled", [False, True], ids=["threads", "an executor"])
def test_a_failing_chain_is_named_as_trouble_and_the_others_are_kept(data, dense, first, monkeypatch, quick, pooled):
    break_chains(monkeypatch, 1)
    with ThreadPoolExecutor(1) as pool:
        fit = quick(dense.FORMULA.format(rule="group"), data, **SHORT, executor=pool if pooled else None)
    draws = fit._outcome.draws
    assert np.array_equal(draws.theta, first.theta[[0, 2]])
    assert np.array_equal(draws.x, first.x[[0, 2]])
    assert not fit.health.ok
    assert any("chain 1 failed" in t and "FloatingPointError: chain broke" in t for t in fit.health.troubles)
    assert "chain broke" in fit.report()
    assert "(2 chains" in fit.report()


@pytest.mark.parametrize("pooled", [False, True], ids=["threads", "an executor"])
def test_a_run_whose_chains_all_fail_is_an_error_that_says_why(model, monkeypatch, pooled):
    break_chains(monkeypatch, 0, 1, 2)
    with ThreadPoolExecutor(1) as pool, pytest.raises(mm.EngineError, match=r"chain 2 failed.*chain broke"):
        model.fit(progress=False, executor=pool if pooled else None, **SHORT)


def test_a_failing_chain_is_said_in_a_warning(model, monkeypatch):
    break_chains(monkeypatch, 1)
    with pytest.warns(mm.MicromacroWarning, match="chain 1 failed"):
        model.fit(progress=False, **SHORT)


def part(length, draws):
    stats = {"accepted": np.ones(length)}
    return mcmc.Chain(draws[:length], np.ones((length, 3)), np.ones(length), stats)


def test_chains_of_a_stopped_run_are_cut_to_the_shortest_that_has_draws(peaks):
    values = np.arange(20.0).reshape(5, 4)
    stopped = mcmc.gather([part(5, values), part(2, values), part(0, values)], [], peaks, True, 1)
    assert np.array_equal(stopped.theta, np.stack([values[:2]] * 2))
    one = mcmc.gather([part(5, values), part(1, values)], [], peaks, True, 1)
    assert np.array_equal(one.theta, values[None])  # one that had hardly begun costs no draws of the others
    with pytest.raises(KeyboardInterrupt, match="before any draw"):
        mcmc.gather([part(0, values)], [], peaks, True, 1)


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", [{"draws": 3}, {"draws": 2.5}, {"chains": 0}, {"tune": -1}, {"chains": True}])
def test_settings_that_make_no_run_are_refused(model, setting):
    with pytest.raises(mm.EngineError, match=f"{next(iter(setting))}="):
        model.fit(progress=False, **setting)


def test_an_unknown_engine_is_refused_with_a_hint(model):
    with pytest.raises(mm.EngineError, match="did you mean 'mcmc'"):
        model.fit("mcmcm")


@pytest.mark.parametrize("name", ["sd", "sigma", "w"])
def test_mcmc_refuses_a_flat_prior_on_theta(dense, data, name, model):
    part = {"sd": "member.sd", "sigma": "sigma", "w": "member.w.b1"}[name]
    with pytest.raises(mm.EngineError, match=re.escape(part)):
        mm.fit(dense.FORMULA.format(rule="group"), data, priors={name: "flat"}, progress=False)


def test_settings_have_the_documented_defaults():
    assert Settings() == Settings(draws=1000, tune=1000, chains=4, random_seed=None, progress=True, executor=None)


# -- going on --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def counts(outcomes):
    """A model whose outcome is not Gaussian: its chains carry z along."""
    row = next(r for r in outcomes.ROWS if r.name == "poisson")
    return mm.Model("y ~ x + mm(member, g, weights = power(s)) + (1 | unit)", outcomes.make(row), family="poisson")


@pytest.fixture(params=["gaussian", "poisson"])
def either(request, model, counts):
    return model if request.param == "gaussian" else counts


def test_an_extended_run_is_one_long_run_bit_for_bit(either):
    long = either.fit(progress=False, **(SHORT | {"draws": 50}))._outcome.draws
    short = either.fit(progress=False, **(SHORT | {"draws": 20}))
    once = short.extend(30, progress=False)
    twice = short.extend(10, progress=False).extend(20, progress=False)
    for fit in (once, twice):
        draws = fit._outcome.draws
        assert same(long, draws)
        assert np.array_equal(long.log_posterior, draws.log_posterior)
        for name, values in long.stats.items():
            assert np.array_equal(values, draws.stats[name])
        for name, values in long.state.items():
            assert np.array_equal(values, draws.state[name]), name
    assert short._outcome.draws.theta.shape[1] == 20
    assert once._outcome.settings.draws == 50
    assert once.seconds >= short.seconds


@pytest.mark.slow
def test_other_workers_extend_to_the_same_draws(counts):
    short = counts.fit(progress=False, **(SHORT | {"draws": 8}))
    here = short.extend(6, progress=False)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        there = short.extend(6, progress=False, executor=pool)
    assert same(here._outcome.draws, there._outcome.draws)


def test_the_state_of_chains_is_plain_arrays_of_numbers(counts):
    draws = counts.fit(progress=False, **SHORT)._outcome.draws
    q = draws.theta.shape[2]
    parts = draws.state["share"].shape[1]  # a maximum, the tails, and each sd's own
    assert parts == 2 + 2
    assert {k: v.shape for k, v in draws.state.items()} == {
        "u": (3, q), "value": (3,), "center": (3, parts, q), "root": (3, parts, q, q), "df": (3, parts),
        "share": (3, parts), "bent": (3, 1), "independent": (3,), "rng": (3, 6),
        "z": (3, draws.x.shape[2]), "step": (3,), "anchor": (3, q), "sweeps": (3,),
            "moves": (3,), "holding": (3,),
    }  # fmt: skip
    assert all(v.dtype in (np.float64, np.uint64) for v in draws.state.values())


@pytest.mark.parametrize("draws", [0, -1, 2.5, True, "many"])
def test_an_extension_of_no_length_is_refused(model, draws, first):
    fit = model.fit(progress=False, draws=4, tune=0, chains=1, random_seed=1)
    with pytest.raises(mm.EngineError, match="draws="):
        fit.extend(draws, progress=False)


def test_only_chains_of_mcmc_can_be_extended(model):
    with pytest.raises(mm.EngineError, match='engine="ml"'):
        model.fit("ml").extend(10)


def test_ctrl_c_and_then_on(counts, monkeypatch):
    """Stopped by hand, extended: the draws of a run that was never stopped."""
    show = Progress.show

    def press(self):
        if min(self._done) >= 25 and not hasattr(self, "_said"):
            self._said = True
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "show", press)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        stopped = counts.fit(progress=False, draws=10**5, tune=0, chains=1, random_seed=1)
    kept = stopped._outcome.draws.theta.shape[1]
    assert stopped._outcome.draws.interrupted
    assert "extend(draws=...) continues" in " ".join(stopped.health.remarks)
    monkeypatch.setattr(Progress, "show", show)
    more = stopped.extend(10, progress=False)
    whole = counts.fit(progress=False, draws=kept + 10, tune=0, chains=1, random_seed=1)
    assert same(whole._outcome.draws, more._outcome.draws)
    assert not more._outcome.draws.interrupted


class Doomed(ProcessPoolExecutor):
    """A pool whose one worker is killed as soon as the first chain is done."""

    def submit(self, fn, /, *args, **kwargs):
        future = super().submit(fn, *args, **kwargs)
        if not hasattr(self, "first"):
            self.first = future
            future.add_done_callback(lambda _: [os.kill(pid, signal.SIGKILL) for pid in list(self._processes)])
        return future


def test_a_killed_worker_leaves_the_chains_that_are_done(counts):
    run = {"draws": 400, "tune": 40, "random_seed": 5, "progress": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        with Doomed(1, mp_context=get_context("spawn")) as pool:
            fit = counts.fit(executor=pool, chains=3, **run)
        draws = fit._outcome.draws
        assert len(draws.theta) == 1
        told = " ".join((*fit.health.troubles, *fit.health.remarks))
        assert "chain 1 failed and is left out (BrokenProcessPool" in told
        assert "chain 2 failed and is left out (BrokenProcessPool" in told
        assert "extend(draws=...) continues" in told
        more = fit.extend(20, progress=False)
        whole = counts.fit(chains=1, **(run | {"draws": 420}))
    assert same(whole._outcome.draws, more._outcome.draws)
    assert any("chain 1 failed" in t for t in (*more.health.troubles, *more.health.remarks))


def test_a_chain_that_fails_while_it_goes_on_is_left_out(counts, monkeypatch):
    fit = counts.fit(progress=False, **SHORT)
    break_chains(monkeypatch, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        more = fit.extend(5, progress=False)._outcome.draws
    assert np.array_equal(more.theta[:, : SHORT["draws"]], fit._outcome.draws.theta[[0, 2]])
    assert "chain 1 failed" in more.failures[0]
    break_chains(monkeypatch, 0, 1, 2)
    with pytest.raises(mm.EngineError, match="chain 0 failed"):
        fit.extend(5, progress=False)


EVERYWHERE = {
    "cox, a walk": ("surv(t, e) ~ x + mm(m, g)", {"family": mm.families.cox(3, baseline="random_walk")}),
    "counts, a walk of members": (
        "n ~ x + mm(m, g, weights = softmax(s), normalize = group, effects = walk(year))", {"family": "poisson"}
    ),
    "a graph": ("y ~ x + mm(m, g, effects = car(ring))", {"graphs": True}),
    "a known covariance": ("y ~ x + mm(m, g, effects = known(K))", {"known": {"K": (0.3 + 0.7 * np.eye(9), range(9))}}),
    "a shape": ("y ~ x + mm(m, g, s, aggregate = smax(kappa))", {}),
    "ordinal": ("k ~ x + mm(m, g)", {"family": "ordinal"}),
}  # fmt: skip


def everywhere(formula, options):
    """A small model whose family, effects or aggregation bring more along to another process than numbers."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame([(g, m) for g in range(60) for m in rng.choice(9, 2, replace=False)], columns=["g", "m"])
    frame["year"], frame["s"] = frame["g"] // 6, rng.standard_normal(120)
    groups = {
        "x": rng.standard_normal(60), "y": rng.standard_normal(60), "n": rng.poisson(1.5, 60),
        "t": rng.weibull(1.2, 60), "e": (rng.random(60) < 0.8).astype(int), "k": rng.integers(1, 4, 60),
    }  # fmt: skip
    if "graphs" in options:
        ring = np.roll(np.eye(9), 1, 0)
        options = {"graphs": {"ring": pd.DataFrame(ring + ring.T, range(9), range(9))}}
    return mm.Model(formula, frame.join(pd.DataFrame(groups), on="g"), **options)


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize("case", list(EVERYWHERE))
def test_processes_give_the_draws_of_threads_whatever_the_model(case, processes):
    model = everywhere(*EVERYWHERE[case])
    run = {"draws": 20, "tune": 15, "chains": 2, "random_seed": 3, "progress": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mm.MicromacroWarning)
        here, there = model.fit(**run), model.fit(**run, executor=processes)
    assert same(here._outcome.draws, there._outcome.draws)


def test_refits_of_a_bootstrap_are_the_same_in_processes(processes):
    fit = everywhere("surv(t, e) ~ x", {"family": mm.families.cox(2)}).fit("ml")
    made = fit.bootstrap(6, random_seed=1)
    assert made.estimates.equals(fit.bootstrap(6, random_seed=1, executor=processes).estimates)


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_draws(counts):
    distributed = pytest.importorskip("distributed")
    here = counts.fit(progress=False, **SHORT)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        there = counts.fit(progress=False, executor=client.get_executor(), **SHORT)
        more = there.extend(10, progress=False, executor=client.get_executor())
        refits = counts.fit("ml").bootstrap(4, random_seed=1, executor=client.get_executor())
    assert same(here._outcome.draws, there._outcome.draws)
    assert same(here.extend(10, progress=False)._outcome.draws, more._outcome.draws)
    assert refits.estimates.equals(counts.fit("ml").bootstrap(4, random_seed=1).estimates)
