"""Growth: a member block on a ring, from 5,000 to 50,000 groups, by maximum likelihood with one estimated weight.

Each group's four members are drawn from a window of 15 neighbours on a ring of members (0.4 for each group), so the
factor stays sparse. Cost is CPU time of one value with gradient, the minimum of repeats; the last lines give the whole
fit and the peak of memory. Run: ``make bench`` or ``python benchmarks/bench_scale.py``.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
import pandas as pd

import micromacro as mm
from micromacro.engines.marginals import marginal_of
from micromacro.engines.threads import one_blas_thread

FORMULA = "y ~ 1 + mm(member, group, weights = power(x), normalize = group)"
PER, WINDOW, TRUTH = 4, 15, 0.5


def ring(groups: int, text: bool = False, seed: int = 0) -> pd.DataFrame:
    """Long table of a ring: `PER` members per group out of `WINDOW` neighbours; ids as text if asked."""
    rng = np.random.default_rng(seed)
    members = int(0.4 * groups)
    picks = np.argsort(rng.random((groups, WINDOW)), axis=1)[:, :PER]
    member = ((rng.integers(0, members, groups)[:, None] + picks) % members).ravel()
    group = np.repeat(np.arange(groups), PER)
    x, effect = rng.standard_normal(len(group)), rng.standard_normal(members)
    raw = PER ** -np.exp(-TRUTH * x)
    w = raw / np.bincount(group, raw)[group]
    y = 1.0 + np.bincount(group, w * effect[member]) + 0.5 * rng.standard_normal(groups)
    data = pd.DataFrame({"group": group, "member": member, "x": x, "y": y[group]})
    return data.assign(group="g" + data["group"].astype(str), member="m" + data["member"].astype(str)) if text else data


def seconds_of_one(models: list[mm.Model], rounds: int = 8, repeats: int = 6) -> np.ndarray:
    """CPU seconds of one likelihood with its gradient for each model, the least of `rounds` times `repeats`.

    The models take turns, so that a machine that is slow for some seconds is slow for all.
    """
    runs = []
    for model in models:
        specification = model._specified(priors=False)
        marginal = marginal_of(specification, profile=True)
        runs.append((marginal, marginal.workspace(), np.array([p.start for p in specification.system.hypers])))
        marginal.gradient(runs[-1][2], runs[-1][1])  # compiles
    least = np.full(len(models), np.inf)
    with one_blas_thread():
        for _ in range(rounds):
            for number, (marginal, room, theta) in enumerate(runs):
                for k in range(repeats):
                    began = time.process_time()
                    marginal.gradient(theta + 1e-6 * k, room)
                    least[number] = min(least[number], time.process_time() - began)
    return least


def main() -> None:
    """Print the table."""
    print(f"{'groups':>8} {'members':>8} {'entries of L':>12} {'ms a gradient':>14} {'per group, relative':>20}")
    sizes = (5_000, 10_000, 20_000, 50_000)
    models = [mm.Model(FORMULA, ring(groups)) for groups in sizes]
    costs = seconds_of_one(models)
    for groups, model, cost in zip(sizes, models, costs, strict=True):
        symbolic = model._specified(priors=False).system.symbolic
        print(
            f"{groups:8,} {int(0.4 * groups):8,} {symbolic.panel_size:12,} {1e3 * cost:14.2f} "
            f"{cost / groups / (costs[0] / sizes[0]):20.2f}"
        )
    for text in (False, True):
        data = ring(50_000, text)
        began, cpu = time.perf_counter(), time.process_time()
        fit = mm.fit(FORMULA, data, engine="ml")
        report = len(str(fit)), len(fit.random_effects()), len(fit.weights())
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "linux" else 1 << 30)
        print(
            f"50,000 groups, {'text' if text else 'integer'} ids: tables, fit, report, {report[1]:,} effects, "
            f"{report[2]:,} weights: {wall:.1f} s ({cpu:.1f} s CPU), peak {peak:.2f} GB; "
            f"member.w.x {fit.params['member.w.x']:.4f} ({fit.bse['member.w.x']:.4f}), truth {TRUTH}"
        )


if __name__ == "__main__":
    main()
