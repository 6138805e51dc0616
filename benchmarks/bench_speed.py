"""What a fit costs: one evaluation, one fit against lme4, its parts, a whole process, and a model of the spread.

    python benchmarks/bench_speed.py [--repeats 15]

Prints the minimum and the median over repeats, on one core. lme4 is timed where Rscript and lme4 are installed.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from data import Case, cases

import micromacro as mm
from micromacro.engines.likelihood.problem import problem_of
from micromacro.latent.marginal.gaussian import GaussianMarginal

HERE = Path(__file__).parent
IMPORTS = "import pandas, scipy.optimize, scipy.sparse.linalg, numba, formulaic"


def timed(function: Callable[[], object], repeats: int, inner: int = 1) -> np.ndarray:
    """Milliseconds a call, one number a repeat."""
    out = []
    for _ in range(repeats):
        began = time.perf_counter()
        for _ in range(inner):
            function()
        out.append((time.perf_counter() - began) / inner * 1e3)
    return np.array(out)


def line(what: str, ms: np.ndarray, goal: str = "") -> None:
    """One line of the table."""
    print(f"  {what:<58} min {ms.min():9.3f} ms   median {np.median(ms):9.3f} ms{goal}")


def evaluations(case: Case, repeats: int) -> None:
    """One marginal likelihood of the power model, with and without its gradient."""
    s = mm.Model(case.power, case.data).specification
    marginal = GaussianMarginal(s.system, s.outcome)
    theta = np.array([p.start for p in s.system.hypers])
    for gradient in (False, True):
        room = s.system.workspace(gradient)
        call = marginal.gradient if gradient else marginal.value
        call(theta, room)
        what = "one marginal likelihood" + (" with gradient" if gradient else "")
        line(what, timed(lambda c=call, r=room: c(theta, r), repeats, 100), "   (goal 1 ms)" if gradient else "")


def parts(case: Case, repeats: int) -> None:
    """What stands around a fit: the formula, the tables, the report."""
    model = mm.Model(case.power, case.data)
    fit = model.fit(engine="ml")
    repr(fit)
    columns = tuple(case.data.columns)
    from micromacro.model.reading import read

    line("reading the formula", timed(lambda: read(case.power, columns), repeats, 5))
    line(
        "formula, tables and latent system (mm.Model)",
        timed(lambda: mm.Model(case.power, case.data).specification, repeats),
    )
    line("ml fit of the power model, 4 starts, standard errors", timed(lambda: model.fit(engine="ml"), repeats))
    line(
        "report of an ml fit",
        timed(lambda: repr(model.fit(engine="ml")), repeats) - timed(lambda: model.fit(engine="ml"), repeats).min(),
    )


def against_lme4(case: Case, repeats: int) -> None:
    """The equal-weight model by ml, from formula and table to the fit, here and in lme4."""
    ours = timed(lambda: mm.fit(case.equal, case.data, engine="ml"), repeats)
    line("ml fit of the equal-weight model, from the table", ours)
    loglik = mm.fit(case.equal, case.data, engine="ml").loglik
    if not shutil.which("Rscript"):
        print("  lme4: not measured (no Rscript)")
        return
    a = case.arrays()
    weight = 1.0 / np.bincount(a["group"])[a["group"]]
    cohesion = np.bincount(a["group"], weight * a["cohesion"])
    groups = pd.DataFrame(
        {"y": a["y"], "x1": a["x"][:, 0], "x2": a["x"][:, 1], "x3": cohesion, "country": a["country"]}
    )
    with tempfile.TemporaryDirectory() as folder:
        groups.to_csv(f"{folder}/groups.csv", index=False)
        edges = pd.DataFrame({"group": a["group"], "member": a["member"], "weight": weight})
        edges.to_csv(f"{folder}/edges.csv", index=False)
        command = [
            "Rscript",
            str(HERE / "lme4_coalitions.R"),
            f"{folder}/groups.csv",
            f"{folder}/edges.csv",
            str(repeats),
        ]
        out = subprocess.run(command, capture_output=True, text=True, check=False)
    if out.returncode:
        print("  lme4: not measured (", out.stderr.strip().splitlines()[-1:], ")")
        return
    numbers = np.array([[float(v) for v in row.split()] for row in out.stdout.splitlines()])
    line("the same in lme4, from formula to fit", numbers[:, 0] * 1e3)
    line("   its optimiser alone", numbers[:, 1] * 1e3)
    ratio = np.median(ours) / np.median(numbers[:, 0] * 1e3)
    print(f"  {ratio:.2f} times lme4's time (goal 3); log-likelihoods {loglik:.6f} and {numbers[-1, 2]:.6f}")


def process(case: Case, repeats: int) -> None:
    """CPU of a whole process that imports, fits by ml and prints, above one that only imports.

    Python's own files are compiled beforehand, as those of an installed package are.
    """
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.csv"
        case.data.to_csv(table, index=False)
        work = (
            f"{IMPORTS}\nimport micromacro as mm\n"
            f"print(mm.fit({case.power!r}, pandas.read_csv({str(table)!r}), engine='ml'))"
        )
        cpu(work, folder)  # compiles kernels and Python's files
        bare = np.array([cpu(IMPORTS, folder) for _ in range(max(3, repeats // 3))])
        whole = np.array([cpu(work, folder) for _ in range(max(3, repeats // 3))])
    print(f"  whole process: imports {bare.min():.2f} s of CPU, with fit and report {whole.min():.2f} s; "
          f"difference of medians {np.median(whole) - np.median(bare):.2f} s (goal 0.8)")  # fmt: skip


def durations(groups: int) -> pd.DataFrame:
    """Groups of three members with a duration, censored for one in five, whose spread depends on z."""
    rng = np.random.default_rng(groups)
    group, member = np.repeat(np.arange(groups), 3), rng.integers(0, groups // 2, 3 * groups)
    z, effect = rng.standard_normal(groups), 0.5 * rng.standard_normal(groups // 2)
    y = (
        1.0
        + 0.3 * z
        + effect[member].reshape(-1, 3).mean(axis=1)
        + np.exp(-0.5 + 0.3 * z) * rng.standard_normal(groups)
    )
    table = pd.DataFrame({"y": y, "t": np.exp(y), "event": (rng.random(groups) < 0.8).astype(int), "z": z})
    return table.iloc[group].assign(group=group, member=member, x=rng.standard_normal(3 * groups))


def spread(groups: int, repeats: int) -> None:
    """A Gaussian model with `sigma ~ z` against the Weibull model of the same terms: a gradient, and a whole ml fit."""
    table, terms = durations(groups), "z + mm(member, group, weights = power(x), normalize = group)"
    models = {
        "sigma ~ z": lambda: mm.Model(f"y ~ {terms}", table, sigma="~ z"),
        "weibull": lambda: mm.Model(f"surv(t, event) ~ {terms}", table, family="weibull"),
    }
    gradients, fits, evaluations = [], [], []
    for name, make in models.items():
        fit = make().fit("ml")
        problem = problem_of(make()._specified(priors=False), restricted=False)
        point = problem.coordinates.theta(problem.coordinates.from_theta(problem.start))
        calls = [lambda p=problem, at=at: p.marginal.gradient(at, p.room) for at in (point, 1.001 * point)]
        gradients.append(timed(lambda c=calls: [call() for call in c], repeats, 20) / 2.0)
        fits.append(timed(lambda m=make: m().fit("ml"), max(3, repeats // 3)))
        evaluations.append(fit._outcome.optimum.evaluations)
        line(f"{groups} groups, {name}: a gradient", gradients[-1])
        line(f"{groups} groups, {name}: ml fit, from the table", fits[-1])
    of_gradients, of_fits = (float(np.median(a) / np.median(b)) for a, b in (gradients, fits))
    print(
        f"  {groups} groups: sigma ~ z costs {of_gradients:.2f} times Weibull per gradient, {of_fits:.2f} per fit "
        f"({evaluations[0]} and {evaluations[1]} evaluations; goal 4)"
    )


def cpu(code: str, folder: str) -> float:
    """CPU seconds of a Python process, which finds its files compiled in a folder."""
    settings = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPYCACHEPREFIX": folder}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=settings)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Run all of it on every data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    for case in cases():
        print(f"{case.name}: {case.data['gid'].nunique()} groups, {len(case.data)} memberships")
        evaluations(case, repeats)
        parts(case, repeats)
        against_lme4(case, repeats)
        process(case, repeats)
    for groups in (300, 3_000):
        spread(groups, repeats)


if __name__ == "__main__":
    main()
