"""NUTS on the joint density agrees with the exact sampler, and its results look the same to users."""

from __future__ import annotations

import numpy as np
import pytest

import micromacro as mm
from micromacro import _optional
from micromacro._optional import MissingExtraError
from micromacro.engines.mcmc.chain import Chain
from micromacro.engines.nuts.engine import divergences

pytest.importorskip("numpyro")
pytestmark = pytest.mark.filterwarnings("ignore:.*diverged:micromacro.errors.MicromacroWarning")

FORMULA = "{} ~ majority + mm(pid, gid, cohesion, weights = power(pseat), normalize = group) + (1 | cid)"
TRUTH = {"Intercept": 0.5, "majority": 0.5, "pid.cohesion": -0.5, "pid.w.pseat": 1.0, "pid.sd": 0.8, "cid.sd": 0.5}
CASES = {
    "gaussian": ("y", {"sigma": 0.6}),
    "bernoulli": ("y", {}),
    "weibull": ("surv(y, event)", {"shape": 1.5}),
    "cox": ("surv(y, event)", {"baseline.1": -1.0, "baseline.2": -0.3, "baseline.3": -0.6, "baseline.4": -0.2}),
}
SURVIVAL = ("weibull", "cox")
#: JAX compiles each for a minute or two; that the densities are the same is tested for every family elsewhere.
RUNS = [pytest.param(name, marks=pytest.mark.slow) for name in CASES]


def outcomes(family: str):
    """80 simulated governments with an outcome of the family."""
    data = mm.simulate.coalitions(80, 30, 6, random_seed=4).data
    left, own = CASES[family]
    data = data.assign(y=data["gid"] % 2 + (family in SURVIVAL), event=1)
    chosen = mm.families.cox((0.4, 0.9, 1.6)) if family == "cox" else family
    model = mm.Model(FORMULA.format(left), data, family=chosen)
    truth = {k: v for k, v in TRUTH.items() if k in model.specification.names}
    drawn = model.simulate(truth | own, random_seed=2)
    y = dict(zip(drawn.groups, drawn.outcome[0], strict=True))
    data["y"] = data["gid"].map(y)
    if family in SURVIVAL:
        end = dict(zip(drawn.groups, np.random.default_rng(1).exponential(6.0, len(drawn.groups)), strict=True))
        stop = data["gid"].map(end)
        data["event"] = (data["y"] <= stop).astype(int)
        data["y"] = np.minimum(data["y"], stop)
    return mm.Model(FORMULA.format(left), data, family=chosen)


@pytest.fixture(scope="module", params=RUNS)
def both(request):
    """The same model by mcmc and by nuts."""
    model = outcomes(request.param)
    exact = model.fit("mcmc", draws=1000, random_seed=1, progress=False)
    nuts = model.fit("nuts", draws=800, tune=500, chains=2, random_seed=1, progress=False)
    return exact.summary(), nuts.summary(), nuts


def test_the_two_samplers_agree(both):
    exact, nuts, _ = both
    assert list(exact.index) == list(nuts.index)
    for name in exact.index:
        a, b = exact.loc[name], nuts.loc[name]
        gap = abs(a["mean"] - b["mean"]) / np.hypot(a["mcse_mean"], b["mcse_mean"])
        assert gap < 4, f"{name}: means {a['mean']:.4f} and {b['mean']:.4f} are {gap:.1f} Monte Carlo errors apart"
        error = np.hypot(a["sd"] / np.sqrt(2 * a["ess_tail"]), b["sd"] / np.sqrt(2 * b["ess_tail"]))
        assert abs(a["sd"] - b["sd"]) < 0.08 * b["sd"] + 3 * error, f"{name}: sds {a['sd']:.4f} and {b['sd']:.4f}"


def test_its_results_are_those_of_any_draws(both):
    fit = both[2]
    tree = fit.to_datatree()
    assert {"lp", "diverging", "n_steps", "accept"} <= set(tree["sample_stats"].data_vars)
    assert dict(tree["posterior"].sizes)["chain"] == 2
    assert "engine nuts" in repr(fit)
    assert len(fit.predict()) == 80


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    def absent(name: str, extra: str):
        raise MissingExtraError(name, extra)

    model = outcomes("gaussian")
    monkeypatch.setattr("micromacro.engines.nuts.engine.require", absent)
    with pytest.raises(MissingExtraError, match="jax"):
        model.fit("nuts", progress=False)
    assert _optional.require("math", "jax")


def test_divergences_have_a_note_of_their_own():
    stray = np.zeros(50)
    chains = [Chain(np.zeros((50, 1)), np.zeros((50, 1)), np.zeros(50), {"diverging": stray}) for _ in range(2)]
    assert divergences(chains) == []
    stray[3] = 1.0
    (note,) = divergences(chains)
    assert (note.code, note.severity) == ("divergences", "trouble") and "2 of 100" in note
