"""The coalition model in NumPyro: the rival in `bench_sampling.py`, in the forms that make it fastest.

Priors are those of ``priors="vague"`` and normal(0, 1) for the weight parameter; the density is the one that
micromacro samples, written as its users would.
"""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS


def model(data: dict[str, Any], centred: bool) -> None:
    """Log duration of governments; effects of parties and countries, centred or not."""
    groups, members, countries = len(data["y"]), data["member"].max() + 1, data["country"].max() + 1
    b0 = numpyro.sample("Intercept", dist.Normal(0.0, 100.0))
    b = numpyro.sample("b", dist.Normal(0.0, 100.0).expand([data["x"].shape[1]]).to_event(1))
    b_cohesion = numpyro.sample("pid.cohesion", dist.Normal(0.0, 100.0))
    b_w = numpyro.sample("pid.w.b1", dist.Normal(0.0, 1.0))
    sd_u = numpyro.sample("pid.sd", dist.HalfCauchy(25.0))
    sd_v = numpyro.sample("cid.sd", dist.HalfCauchy(25.0))
    sigma = numpyro.sample("sigma", dist.HalfCauchy(25.0))
    if centred:
        u = numpyro.sample("u", dist.Normal(0.0, sd_u).expand([members]).to_event(1))
        v = numpyro.sample("v", dist.Normal(0.0, sd_v).expand([countries]).to_event(1))
    else:
        u = sd_u * numpyro.sample("u", dist.Normal().expand([members]).to_event(1))
        v = sd_v * numpyro.sample("v", dist.Normal().expand([countries]).to_event(1))
    raw = data["size"] ** -jnp.exp(-b_w * data["pseat"])

    def total(x: jax.Array) -> jax.Array:
        return jax.ops.segment_sum(x, data["group"], groups, indices_are_sorted=True)

    weight = raw / total(raw)[data["group"]]
    mean = b0 + data["x"] @ b + total(weight * (b_cohesion * data["cohesion"] + u[data["member"]])) + v[data["country"]]
    numpyro.sample("y", dist.Normal(mean, sigma), obs=data["y"])


def run(
    arrays: dict[str, Any], centred: bool, draws: int, tune: int, chains: int, seed: int
) -> tuple[dict[str, np.ndarray], float]:
    """Draws (chain, draw) of every parameter, and the seconds they took with compiling left out."""
    numpyro.enable_x64()
    data = {k: jnp.asarray(v) if v.dtype.kind == "f" else v for k, v in arrays.items()}
    data["size"] = jnp.asarray(np.bincount(arrays["group"])[arrays["group"]].astype(float))
    sampler = MCMC(
        NUTS(model), num_warmup=tune, num_samples=draws, num_chains=chains, chain_method="sequential",
        progress_bar=False,
    )  # fmt: skip
    sampler.run(jax.random.key(seed), data, centred)  # compiles, and warms the caches
    began = time.process_time()
    sampler.run(jax.random.key(seed + 1), data, centred)
    out = sampler.get_samples(group_by_chain=True)
    jax.block_until_ready(out)
    seconds = time.process_time() - began
    found = {k: np.asarray(v) for k, v in out.items() if k not in ("u", "v")}
    b = found.pop("b")
    return found | {f"b.{k}": b[..., k] for k in range(b.shape[-1])}, seconds
