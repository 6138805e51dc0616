"""Durations with censoring: effective draws per second against NumPyro's NUTS, and what ml and laplace cost.

    python benchmarks/bench_durations.py [--repeats 2] [--data file]

The Weibull model with logistic(pseat) weights; everything in this process, on one core, compiling left out, the two
samplers in turn. Seconds are those of the processor, so that a machine that does other work too judges both alike.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
from data import COALITIONS
from numpyro.infer import MCMC, NUTS

import micromacro as mm
from micromacro.engines.health import diagnose

FORMULA = "surv(t, event) ~ majority + mm(pid, gid, cohesion, weights = logistic(pseat), normalize = group) + (1 | cid)"


def cases() -> dict[str, pd.DataFrame]:
    """Simulated coalitions of the size of the real ones; those of a file where there is one."""
    made = mm.simulate.coalitions(628, 312, 29, random_seed=1).data
    stop = np.random.default_rng(2).exponential(900.0, made["gid"].max() + 1)[made["gid"]]
    t = np.exp(made["log_duration"])
    found = {"simulated": made.assign(t=np.minimum(t, stop), event=(t <= stop).astype(int))}
    if COALITIONS is not None:
        real = pd.read_csv(COALITIONS)
        found["file"] = real.assign(t=real["dur_wkb"], event=real["event_wkb"], cohesion=real["finance"])
    return found


def weibull(data: dict[str, Any], centred: bool) -> None:
    """The same density as its users would write it."""
    groups, members, countries = data["groups"], data["members"], data["countries"]
    b0 = numpyro.sample("Intercept", dist.Normal(0.0, 100.0))
    b = numpyro.sample("majority", dist.Normal(0.0, 100.0))
    b_x = numpyro.sample("pid.cohesion", dist.Normal(0.0, 100.0))
    w0 = numpyro.sample("pid.w.b0", dist.Normal(0.0, 1.0))
    w1 = numpyro.sample("pid.w.pseat", dist.Normal(0.0, 1.0))
    sd_u = numpyro.sample("pid.sd", dist.HalfCauchy(25.0))
    sd_v = numpyro.sample("cid.sd", dist.HalfCauchy(25.0))
    shape = numpyro.sample("shape", dist.Exponential(0.001))
    if centred:
        u = numpyro.sample("u", dist.Normal(0.0, sd_u).expand([members]).to_event(1))
        v = numpyro.sample("v", dist.Normal(0.0, sd_v).expand([countries]).to_event(1))
    else:
        u = sd_u * numpyro.sample("u", dist.Normal().expand([members]).to_event(1))
        v = sd_v * numpyro.sample("v", dist.Normal().expand([countries]).to_event(1))
    raw = 1.0 / (1.0 + (data["size"] - 1.0) * jnp.exp(-(w0 + w1 * data["pseat"])))

    def total(x: jax.Array) -> jax.Array:
        return jax.ops.segment_sum(x, data["group"], groups, indices_are_sorted=True)

    weight = raw / total(raw)[data["group"]]
    eta = b0 + b * data["x"] + total(weight * (b_x * data["cohesion"] + u[data["member"]])) + v[data["country"]]
    z = shape * (data["log_t"] - eta)
    log = data["event"] * (jnp.log(shape) + z - data["log_t"]) - jnp.exp(z)
    numpyro.factor("y", jnp.sum(log))


def arrays(frame: pd.DataFrame) -> dict[str, Any]:
    """The model's ingredients as arrays."""
    s = mm.Model(FORMULA, frame, family="weibull").specification
    part, fixed = s.members["pid"], s.system.parts[0]
    rows = frame.sort_values(["gid", "pid"])
    group = part.memberships.group
    return {
        "groups": s.groups, "members": len(part.levels), "countries": len(s.units["cid"].levels),
        "group": group, "member": part.memberships.member, "country": s.units["cid"].codes,
        "size": jnp.asarray(np.bincount(group)[group].astype(float)), "pseat": jnp.asarray(rows["pseat"].to_numpy()),
        "cohesion": jnp.asarray(part.x[0]), "x": jnp.asarray(fixed.matrix[:, 0] + fixed.center[0]),
        "log_t": jnp.asarray(s.response.values[1]), "event": jnp.asarray((s.response.values[0] == 1.0).astype(float)),
    }  # fmt: skip


def nuts(frame: pd.DataFrame, centred: bool, seed: int) -> tuple[float, float]:
    """Smallest bulk ESS and seconds of 2 chains of 1,000 draws after 1,000 tuning."""
    data = arrays(frame)
    sampler = MCMC(
        NUTS(weibull), num_warmup=1000, num_samples=1000, num_chains=2, chain_method="sequential", progress_bar=False
    )
    sampler.run(jax.random.key(seed), data, centred)  # compiles
    began = time.process_time()
    sampler.run(jax.random.key(seed + 1), data, centred)
    out = jax.block_until_ready(sampler.get_samples(group_by_chain=True))
    seconds = time.process_time() - began
    draws = np.stack([np.asarray(v) for k, v in out.items() if k not in ("u", "v")], axis=-1)
    return float(np.min(diagnose(draws).ess_bulk)), seconds


def mcmc(model: mm.Model, seed: int) -> tuple[float, float]:
    """Smallest bulk ESS and seconds of a run at default settings, one chain after another."""
    with ThreadPoolExecutor(1) as one:
        began = time.process_time()
        fit = model.fit(random_seed=seed, progress=False, executor=one)
        seconds = time.process_time() - began
    return float(np.min(fit.posterior.diagnostics.ess_bulk)), seconds


def compare(name: str, frame: pd.DataFrame, repeats: int) -> None:
    """Effective draws a second of the samplers, and their ratio."""
    model = mm.Model(FORMULA, frame, family="weibull", priors="vague")
    model.fit("mcmc", draws=10, tune=10, chains=1, random_seed=0, progress=False)  # compiles
    runs = {
        "mcmc": lambda seed: mcmc(model, seed),
        "NUTS, centred": lambda seed: nuts(frame, True, 10 * seed),
        "NUTS, non-centred": lambda seed: nuts(frame, False, 10 * seed),
    }
    rates: dict[str, list[float]] = {how: [] for how in runs}
    for seed in range(1, repeats + 1):
        for how, run in runs.items():
            ess, seconds = run(seed)
            rates[how].append(ess / seconds)
            print(f"{name}: {how}, smallest bulk ESS {ess:6.0f} in {seconds:5.1f} s: {ess / seconds:7.1f} a second")
    ours, *theirs = (float(np.median(r)) for r in rates.values())
    best = max(theirs)
    print(f"{name}: {ours:.0f} against {best:.1f} a second (medians): {ours / best:.1f} times (goal 15)", flush=True)


def time_engines(name: str, frame: pd.DataFrame) -> None:
    """Seconds of ml and laplace: the best of three."""
    for engine, priors in (("ml", None), ("laplace", "vague")):
        model = mm.Model(FORMULA, frame, family="weibull", priors=priors)
        model.fit(engine, random_seed=1)
        seconds = []
        for _ in range(3):
            began = time.process_time()
            model.fit(engine, random_seed=1)
            seconds.append(time.process_time() - began)
        print(f"{name}: {engine} {min(seconds):.2f} s (goal: under 1)", flush=True)


def main() -> None:
    """Print both comparisons for each data set."""
    numpyro.enable_x64()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--data", help="one data set only")
    arguments = parser.parse_args()
    for name, frame in cases().items():
        if arguments.data in (None, name):
            time_engines(name, frame)
            compare(name, frame, arguments.repeats)


if __name__ == "__main__":
    main()
