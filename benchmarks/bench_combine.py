"""What members that combine cost: one gradient of the likelihood, against that of the weighted sum.

Groups of five members, with a covariate of groups and one of members, Gaussian and binary outcomes; and weights whose
coefficient varies over 25 units, against the same weights without. Cost is CPU time of one gradient of Laplace's
formula, the least of repeats, each at another theta, so that the mode of the effects is searched for. Run: ``make
bench`` or ``python benchmarks/bench_combine.py``.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd

import micromacro as mm
from micromacro.engines.marginals import laplace_marginal
from micromacro.engines.threads import one_blas_thread

SIZES, FAMILIES = (300, 2000), ("gaussian", "bernoulli")
COMBINES = ("sum", "smax(kappa)", "ces(p)", "min", "max")
START = {"m.sd": 0.7, "m.smax.kappa": 1.5, "m.w.s.sd": 0.5, "sigma": 0.6}
REPEATS, MOVED = 14, 0.03


def teams(groups: int, family: str, seed: int = 1) -> pd.DataFrame:
    """Long table of groups of five whose better members count more."""
    rng = np.random.default_rng(seed)
    members = 3 * groups // 20
    rows = [(g, m) for g in range(groups) for m in rng.choice(members, 5, replace=False)]
    data = pd.DataFrame(rows, columns=["g", "m"])
    data["unit"] = data["g"] % 25
    data["x"], data["s"] = rng.standard_normal(len(data)), rng.standard_normal(len(data))
    data["z"] = rng.standard_normal(groups)[data["g"]]
    zeta = 0.5 * data["x"] + rng.normal(0.0, 0.8, members)[data["m"]]
    best = np.log(np.bincount(data["g"], np.exp(2.0 * zeta)) / 5.0) / 2.0
    eta = 0.3 + 0.5 * data.groupby("g")["z"].first().to_numpy() + best
    noise = 0.5 * rng.standard_normal(groups)
    y = eta + noise if family == "gaussian" else (rng.random(groups) < 1.0 / (1.0 + np.exp(-eta))).astype(float)
    return data.assign(y=y[data["g"]])


def seconds_of_one(options: str, data: pd.DataFrame, family: str) -> tuple[float, int]:
    """CPU seconds of one gradient, the least of some, and the Newton steps of the last."""
    model = mm.Model(f"y ~ z + mm(m, g, x, {options})", data, family=family)
    marginal: Any = laplace_marginal(model._specified(priors=True), True)
    room = marginal.workspace()
    theta = np.array([START.get(p.name, p.start) for p in marginal.system.hypers])
    point = marginal.point(theta, np.zeros(marginal.system.size))
    marginal.gradient(point, room)  # compiles
    least = np.inf
    with one_blas_thread():
        for k in range(REPEATS):
            began = time.thread_time()
            marginal.gradient(point * (1.0 + MOVED * (-1) ** k), room)
            least = min(least, time.thread_time() - began)
    return least, room.iterations


def main() -> None:
    """Print the table."""
    print(f"{'family':10} {'groups':>6}  {'options':52} {'ms':>8} {'steps':>5} {'times its twin':>14}")
    twins = [[f"normalize = group, combine = {c}" for c in COMBINES]]
    twins += [[f"normalize = group, weights = power({s})" for s in ("s", "s | unit")]]
    for family in FAMILIES:
        for groups in SIZES:
            data = teams(groups, family)
            for rivals in twins:
                made = [seconds_of_one(options, data, family) for options in rivals]
                for options, (least, steps) in zip(rivals, made, strict=True):
                    print(
                        f"{family:10} {groups:6,}  {options:52} {1e3 * least:8.2f} {steps:5} {least / made[0][0]:14.1f}"
                    )


if __name__ == "__main__":
    main()
