"""Durations with censoring: effective draws a second against NumPyro's NUTS, and what ml and laplace cost.

    python benchmarks/bench_durations.py [--repeats 2]

The Weibull model with logistic(pseat) weights; everything in this process, on one core, compiling left out.
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
from data import COALGOV
from numpyro.infer import MCMC, NUTS

import micromacro as mm
from micromacro.engines.health import diagnose

FORMULA = "surv(t, event) ~ majority + mm(pid, gid, cohesion, weights = logistic(pseat), normalize = group) + (1 | cid)"


def cases() -> dict[str, pd.DataFrame]:
    """Simulated coalitions of the size of the real ones; the real ones where they are there."""
    made = mm.simulate.coalitions(628, 312, 29, random_seed=1).data
    stop = np.random.default_rng(2).exponential(900.0, made["gid"].max() + 1)[made["gid"]]
    t = np.exp(made["log_duration"])
    found = {"simulated": made.assign(t=np.minimum(t, stop), event=(t <= stop).astype(int))}
    if COALGOV.exists():
        real = pd.read_csv(COALGOV)
        found["coalgov"] = real.assign(t=real["dur_wkb"], event=real["event_wkb"], cohesion=real["finance"])
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
    part = s.members["pid"]
    rows = frame.sort_values(["gid", "pid"])
    group = part.memberships.group
    return {
        "groups": s.groups, "members": len(part.levels), "countries": len(s.units["cid"].levels),
        "group": group, "member": part.memberships.member, "country": s.units["cid"].codes,
        "size": jnp.asarray(np.bincount(group)[group].astype(float)), "pseat": jnp.asarray(rows["pseat"].to_numpy()),
        "cohesion": jnp.asarray(part.x[0]), "x": jnp.asarray(s.fixed.matrix[:, 0] + s.fixed.center[0]),
        "log_t": jnp.asarray(s.response.values[1]), "event": jnp.asarray((s.response.values[0] == 1.0).astype(float)),
    }  # fmt: skip


def nuts(frame: pd.DataFrame, centred: bool, seed: int) -> tuple[float, float]:
    """Smallest bulk ESS and seconds of 2 chains of 1,000 draws after 1,000 tuning."""
    data = arrays(frame)
    sampler = MCMC(
        NUTS(weibull), num_warmup=1000, num_samples=1000, num_chains=2, chain_method="sequential", progress_bar=False
    )
    sampler.run(jax.random.key(seed), data, centred)  # compiles
    began = time.perf_counter()
    sampler.run(jax.random.key(seed + 1), data, centred)
    out = jax.block_until_ready(sampler.get_samples(group_by_chain=True))
    seconds = time.perf_counter() - began
    draws = np.stack([np.asarray(v) for k, v in out.items() if k not in ("u", "v")], axis=-1)
    return float(np.min(diagnose(draws).ess_bulk)), seconds


def main() -> None:
    """Print a table, a row a data set."""
    numpyro.enable_x64()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1)
    repeats = parser.parse_args().repeats
    for name, frame in cases().items():
        model = mm.Model(FORMULA, frame, family="weibull", priors="vague")
        free = mm.Model(FORMULA, frame, family="weibull")
        model.fit("mcmc", draws=10, tune=10, chains=1, random_seed=0, progress=False)  # compiles
        rates = []
        with ThreadPoolExecutor(1) as one:
            for seed in range(1, repeats + 2):
                began = time.perf_counter()
                fit = model.fit(random_seed=seed, progress=False, executor=one)
                seconds = time.perf_counter() - began
                ess = float(np.min(fit.posterior.diagnostics.ess_bulk))
                rates.append(ess / seconds)
                print(f"{name}: mcmc, smallest bulk ESS {ess:6.0f} in {seconds:5.1f} s: {ess / seconds:7.1f} a second")
        best = 0.0
        for centred in (True, False):
            for seed in range(repeats):
                ess, seconds = nuts(frame, centred, 10 * seed)
                best = max(best, ess / seconds)
                how = "centred" if centred else "non-centred"
                print(f"{name}: NUTS, {how}, smallest bulk ESS {ess:6.0f} in {seconds:5.1f} s: {ess / seconds:7.1f}")
        print(f"{name}: {np.median(rates):.0f} against {best:.1f}: {np.median(rates) / best:.0f} times (goal 15)")
        for engine, which in (("ml", free), ("laplace", model)):
            which.fit(engine, random_seed=1)
            seconds = []
            for _ in range(3):
                began = time.perf_counter()
                which.fit(engine, random_seed=1)
                seconds.append(time.perf_counter() - began)
            print(f"{name}: {engine} {min(seconds):.2f} s (goal 1)")


if __name__ == "__main__":
    main()
