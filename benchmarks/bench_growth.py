"""What large models cost: networks, huge groups, crossed units, maps, pupils who move, tasks and skills, tables.

    python benchmarks/bench_growth.py [--only network] [--markdown] [--million]

Each row is a fit by maximum likelihood (or one gradient, where it says so) on one core, after everything is compiled:
CPU seconds, what was factorised, and its counted operations. The speed of ``numpy.dot`` on the same core stands
above, since it decides what a large factor can cost. A second table is about fits without a factor: what they cost, how
far they are from those with one where both can be had, and what they say of their own errors. ``--million`` adds the
largest, which takes six minutes.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import micromacro as mm
from micromacro.engines.marginals import marginal_of, with_factor

WEIGHTED = "weights = power(x), normalize = group"


def outcome(
    group: np.ndarray, member: np.ndarray, rng: np.random.Generator, noise: float, family: str = "gaussian"
) -> pd.DataFrame:
    """Groups whose outcome depends on the weighted mean of their members' effects, the weights depending on x."""
    n = np.bincount(group)
    x, effect = rng.standard_normal(len(group)), rng.standard_normal(member.max() + 1)
    raw = n[group] ** -np.exp(-0.5 * x)
    w = raw / np.bincount(group, raw)[group]
    eta = np.bincount(group, w * effect[member])
    if family == "bernoulli":
        y = (rng.random(len(n)) < 1.0 / (1.0 + np.exp(-0.3 - eta))).astype(int)
    elif family == "poisson":
        y = rng.poisson(np.exp(0.3 + 0.6 * eta))
    else:
        y = 1.0 + eta + noise * rng.standard_normal(len(n))
    return pd.DataFrame({"group": group, "member": member, "x": x, "y": y[group]})


def network(papers: int, authors: int, family: str = "gaussian") -> pd.DataFrame:
    """Papers and authors, whose productivity follows a power law."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(papers), 1 + rng.poisson(2, papers))
    p = np.arange(1, authors + 1.0) ** -0.7
    key = np.unique(group * authors + rng.choice(authors, len(group), p=p / p.sum()))
    member = np.unique(key % authors, return_inverse=True)[1]
    return outcome(key // authors, member, rng, 0.5, family)


def one_group(members: int) -> pd.DataFrame:
    """One group of many members among 40 of four."""
    rng = np.random.default_rng(0)
    member = [rng.choice(members, 4, replace=False) for _ in range(40)] + [np.arange(members)]
    return outcome(np.repeat(np.arange(41), [len(m) for m in member]), np.concatenate(member), rng, 0.5)


def ratings(count: int = 73_421, students: int = 2_972, teachers: int = 1_128, departments: int = 14) -> pd.DataFrame:
    """Ratings of teachers by students: three crossed units, of the size of lme4's InstEval."""
    rng = np.random.default_rng(1)
    p = np.arange(1, teachers + 1.0) ** -0.5
    s, t = rng.integers(0, students, count), rng.choice(teachers, count, p=p / p.sum())
    d = t % departments
    effects = rng.normal(0, 0.33, students)[s] + rng.normal(0, 0.5, teachers)[t] + rng.normal(0, 0.1, departments)[d]
    return pd.DataFrame({"y": 3.0 + effects + rng.normal(0, 1.18, count), "s": s, "t": t, "d": d})


def tasks(groups: int = 854, members: int = 1_570, memberships: int = 17_246) -> pd.DataFrame:
    """Tasks and skills: many memberships per group."""
    rng = np.random.default_rng(2)
    p = np.arange(1, members + 1.0) ** -0.6
    count = int(1.35 * memberships)
    group = np.concatenate([np.arange(groups), rng.integers(0, groups, count)])
    key = np.unique(group * members + rng.choice(members, len(group), p=p / p.sum()))
    key = np.sort(rng.permutation(key)[:memberships])
    group = np.unique(key // members, return_inverse=True)[1]
    return outcome(group, key % members, rng, 0.3)


def pupils(count: int = 200_000, schools: int = 2_000) -> pd.DataFrame:
    """Pupils who move, mostly to a school nearby."""
    rng = np.random.default_rng(3)
    n = 1 + (rng.random(count) < 0.3) + (rng.random(count) < 0.1)
    group = np.repeat(np.arange(count), n)
    home = rng.integers(0, schools, count)[group]
    first = np.diff(group, prepend=-1) > 0
    away = np.where(
        rng.random(len(group)) < 0.9,
        (home + rng.integers(-5, 6, len(group))) % schools,
        rng.integers(0, schools, len(group)),
    )
    return outcome(group, np.where(first, home, away), rng, 1.0)


def grid(side: int, neighbours: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A square map of places with one outcome each around a smooth surface, and who is whose neighbour."""
    rng, place = np.random.default_rng(4), np.arange(side * side).reshape(side, side)
    pairs = [(place[:, :-1], place[:, 1:]), (place[:-1], place[1:])]
    if neighbours == 8:
        pairs += [(place[:-1, :-1], place[1:, 1:]), (place[1:, :-1], place[:-1, 1:])]
    a, b = (np.concatenate([pair[k].ravel() for pair in pairs]) for k in (0, 1))
    along = np.linspace(0.0, 6.0, side)
    surface = np.add.outer(np.sin(along), np.cos(along)).ravel()
    x, noise = rng.standard_normal((2, side * side))
    table = pd.DataFrame({"place": place.ravel(), "x": x, "y": 1.0 + 0.5 * x + surface + 0.5 * noise})
    return table, pd.DataFrame({"a": a, "b": b})


def a_map(side: int, neighbours: int) -> tuple[float, str, float]:
    """CPU seconds of a fit with effects of places that are like their neighbours'."""
    table, near = grid(side, neighbours)
    formula = "y ~ x + mm(place, place, weights = 1, normalize = none, effects = icar(near), name = area)"
    began = time.process_time()
    fit = mm.fit(formula, table, graphs={"near": near}, engine="ml", progress=False)
    seconds = time.process_time() - began
    chosen = fit.specification.system.representation()
    return seconds, f"{chosen.dimension:,} {chosen.side}", chosen.work


def rows(count: int) -> tuple[float, str, float]:
    """CPU seconds to read, check and analyse memberships among neighbours."""
    rng, group = np.random.default_rng(5), np.arange(count) // 3
    x, y = rng.standard_normal(count), rng.standard_normal(count // 3 + 1)[group]
    table = pd.DataFrame({"group": group, "member": group // 7 + rng.integers(0, 4, count), "x": x, "y": y})
    began = time.process_time()
    system = mm.Model(BLOCK, table).specification.system
    return time.process_time() - began, f"{system.n_effects:,} effects", system.representation().work


BLOCK = f"y ~ 1 + mm(member, group, {WEIGHTED})"
#: Name: table, formula, whether it is fitted (or one gradient evaluated).
CASES: dict[str, tuple[Callable[[], pd.DataFrame], str, bool]] = {
    "one group of 1,000 members": (lambda: one_group(1_000), BLOCK, True),
    "one group of 4,000 members": (lambda: one_group(4_000), BLOCK, True),
    "network of 5,000 papers": (lambda: network(5_000, 4_000), BLOCK, True),
    "network of 10,000 papers": (lambda: network(10_000, 7_000), BLOCK, True),
    "network of 20,000 papers": (lambda: network(20_000, 12_000), BLOCK, True),
    "73,421 ratings, three crossed units": (ratings, "y ~ 1 + (1 | s) + (1 | t) + (1 | d)", True),
    "tasks and skills, known weights": (tasks, "y ~ 1 + mm(member, group)", True),
    "tasks and skills, one weight parameter": (tasks, BLOCK, True),
    "200,000 pupils, one gradient": (pupils, BLOCK, False),
}


#: Name: what measures it itself.
OTHERS: dict[str, Callable[[], tuple[float, str, float]]] = {
    "map of 22,500 places, 4 neighbours, icar": lambda: a_map(150, 4),
    "map of 99,856 places, 8 neighbours, icar": lambda: a_map(316, 8),
    "1,000,000 memberships, mm.Model": lambda: rows(1_000_000),
}


#: Papers, authors, family, whether there is a fit with a factor to compare with.
WITHOUT = [
    (10_000, 7_000, "gaussian", True),
    (10_000, 7_000, "bernoulli", True),
    (10_000, 7_000, "poisson", True),
    (20_000, 12_000, "gaussian", True),
    (20_000, 12_000, "bernoulli", True),
    (20_000, 12_000, "poisson", True),
    (200_000, 100_000, "gaussian", False),
]
MILLION = (1_000_000, 500_000, "gaussian", False)


def fit_of(model: mm.Model, solver: Any) -> tuple[Any, float]:
    """A fit, and its CPU seconds."""
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = model.fit("ml", solver=solver, progress=False)
    return fit, time.process_time() - began


def without_factor(papers: int, authors: int, family: str, compared: bool) -> list[str]:
    """A line of the second table."""
    table = network(papers, authors, family)
    model = mm.Model(BLOCK, table, family=family)
    fit, seconds = fit_of(model, "iterative")
    told, spread = fit._outcome.extra, np.sqrt(np.diag(fit._outcome.optimum.covariance))
    own = (told["estimate_errors"] / spread).max()
    stated = f"{told['loglik_error']:.2g}"
    line = [f"{len(table):,} memberships, {family}", f"{seconds:.1f}", "", stated, "", f"{own:.2g}", ""]
    if compared:
        exact, usual = fit_of(model, "direct")
        away, ratio = (fit.params - exact.params).abs() / exact.bse, (fit.bse / exact.bse - 1.0).abs()
        line[2], line[4], line[6] = f"{usual:.1f}", f"{away.max():.2g}", f"{ratio.max():.1%}"
        line[3] = f"{abs(fit.loglik - exact.loglik):.2g} ({stated})"
    return line


def dot_speed(size: int = 1_500) -> float:
    """Billions of operations per second of a large product of matrices, the best of three."""
    a, best = np.random.default_rng(0).standard_normal((size, size)), np.inf
    for _ in range(3):
        began = time.process_time()
        np.dot(a, a)
        best = min(best, time.process_time() - began)
    return 2.0 * size**3 / best / 1e9


def measure(table: pd.DataFrame, formula: str, fitted: bool) -> tuple[float, str, float]:
    """CPU seconds, what is factorised, and its operations."""
    system = mm.Model(formula, table).specification.system
    chosen = system.representation()
    what = f"{chosen.dimension:,} {chosen.side}" + (f", {chosen.border} aside" if chosen.border else "")
    if fitted:
        began = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mm.fit(formula, table, engine="ml")
        return time.process_time() - began, what, chosen.work
    specification = with_factor(mm.Model(formula, table, priors="flat").specification, None)
    marginal = marginal_of(specification, maximised=True, searched=True)
    room, theta = marginal.workspace(), np.array([p.start for p in specification.system.hypers])
    marginal.gradient(theta, room)
    began = time.process_time()
    marginal.gradient(theta, room)
    return time.process_time() - began, what, chosen.work


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--only", default="", help="cases whose name contains this")
    arguments.add_argument("--million", action="store_true", help="also a million papers, for six minutes")
    arguments.add_argument("--markdown", action="store_true", help="print a table for the documentation")
    asked = arguments.parse_args()
    for table in (one_group(30), one_group(400), network(300, 200), network(3_000, 2_500)):  # compiles
        measure(table, BLOCK, True)
    print(f"a product of large matrices: {dot_speed():.0f} billion operations per second\n")
    line = "| {} | {} | {} | {} |" if asked.markdown else "{:<42} {:>24} {:>16} {:>12}"
    print(line.format("model", "factorised", "10^9 operations", "CPU seconds"))
    for name, (make, formula, fitted) in CASES.items():
        if asked.only in name:
            seconds, what, work = measure(make(), formula, fitted)
            print(line.format(name, what, f"{work / 1e9:.3g}", f"{seconds:.2f}"), flush=True)
    a_map(40, 4)
    for name, run in OTHERS.items():
        if asked.only in name:
            seconds, what, work = run()
            print(line.format(name, what, f"{work / 1e9:.3g}", f"{seconds:.2f}"), flush=True)
    head = ("without a factor", "CPU seconds", "with one", "log-likelihood", "estimates", "stated", "standard errors")
    line = "{:<34} {:>11} {:>9} {:>20} {:>10} {:>8} {:>16}"
    line = "| {} | {} | {} | {} | {} | {} | {} |" if asked.markdown else line
    fit_of(mm.Model(BLOCK, network(300, 200, "poisson"), family="poisson"), "iterative")  # compiles
    fit_of(mm.Model(BLOCK, network(300, 200)), "iterative")
    print("\n" + line.format(*head))
    for each in [*WITHOUT, *([MILLION] if asked.million else [])]:
        if asked.only in "network":
            print(line.format(*without_factor(*each)), flush=True)


if __name__ == "__main__":
    main()
