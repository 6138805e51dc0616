"""Effective draws per second on the coalition model: the default engine against NumPyro's NUTS, one core each.

    python benchmarks/bench_sampling.py [--repeats 3]

Both run in this process, bound to one core, chains one after the other. Seconds are those of the processor. They
include tuning and leave compiling out on both sides. NUTS is run centred and non-centred, and the better one counts.
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

import numpy as np
from data import Case, cases
from numpyro_coalitions import run

import micromacro as mm
from micromacro.engines.health import diagnose


def ours(case: Case, seed: int) -> tuple[float, float]:
    """Smallest bulk ESS and seconds of the default engine at its defaults, chains one after the other."""
    model = mm.Model(case.power, case.data, priors="vague")
    with ThreadPoolExecutor(1) as one:
        began = time.process_time()
        fit = model.fit(random_seed=seed, progress=False, executor=one)
        seconds = time.process_time() - began
    return float(np.min(fit.posterior.diagnostics.ess_bulk)), seconds


def theirs(case: Case, centred: bool, seed: int) -> tuple[float, float]:
    """The same of NUTS: 2 chains of 1,000 draws after 1,000 tuning."""
    draws, seconds = run(case.arrays(), centred, draws=1000, tune=1000, chains=2, seed=seed)
    return float(np.min(diagnose(np.stack(list(draws.values()), axis=-1)).ess_bulk)), seconds


def main() -> None:
    """Print a table, a row a data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=2)
    repeats = parser.parse_args().repeats
    for case in cases():
        ours(case, 0)  # compiles
        own = [ours(case, seed) for seed in range(1, repeats + 2)]
        rate = float(np.median([ess / s for ess, s in own]))
        print(f"{case.name}: micromacro mcmc, 4 chains of 1,000 draws after 1,000 tuning")
        for ess, s in own:
            print(f"    smallest bulk ESS {ess:7.0f} in {s:6.2f} s: {ess / s:8.1f} a second")
        best = 0.0
        for centred in (True, False):
            rival = [theirs(case, centred, seed) for seed in range(1, repeats + 1)]
            print(
                f"{case.name}: NumPyro NUTS, {'centred' if centred else 'non-centred'}, 2 chains of 1,000 after 1,000"
            )
            for ess, s in rival:
                print(f"    smallest bulk ESS {ess:7.0f} in {s:6.2f} s: {ess / s:8.1f} a second")
            best = max(best, float(np.median([ess / s for ess, s in rival])))
        print(
            f"{case.name}: {rate:.0f} against {best:.1f} effective draws per second: {rate / best:.0f} times (goal "
            "25)\n"
        )


if __name__ == "__main__":
    main()
