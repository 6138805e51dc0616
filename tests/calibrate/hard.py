"""Models whose posteriors are hard to sample: one row per model.

Shapes of features, many cuts, many baselines, weights of three and of eight covariates, few groups, few units, bent
ridges and tails of sds, two modes of unequal mass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

import micromacro as mm


class Hard(NamedTuple):
    """A formula, the family and a function that makes the data.

    Attributes
    ----------
    two_modes : str
        A parameter with a mode on either side of zero.
    """

    formula: str
    family: str | object
    data: Callable[[], pd.DataFrame]
    two_modes: str = ""

    def model(self) -> mm.Model:
        return mm.Model(self.formula, self.data(), family=self.family)


def teams(seed, groups, members, size=(2, 6)):
    """Memberships in random teams, three covariates of each, one of each group, and effects of members."""
    r = np.random.default_rng(seed)
    sizes = r.integers(*size, groups)
    group = np.repeat(np.arange(groups), sizes)
    member = np.concatenate([r.choice(members, n, replace=False) for n in sizes])
    a, b, c, x = (r.standard_normal(len(group)) for _ in range(4))
    table = pd.DataFrame({"g": group, "m": member, "a": a, "b": b, "c": c, "x": x})
    table["z"] = r.standard_normal(groups)[group]
    table["u"] = r.standard_normal(members)[member]
    return table, r


def spread(table, value):
    """A number of each group on its memberships."""
    return np.asarray(value)[table["g"].to_numpy()]


def total(table, weight, value):
    """Weighted means within groups."""
    weight = weight / np.bincount(table["g"], weight)[table["g"]]
    return np.bincount(table["g"], weight * value)


def linear(table, weight, effect=0.6):
    """A linear predictor of groups with a covariate, members' covariate and members' effects."""
    z = table.groupby("g")["z"].first().to_numpy()
    return 0.5 * z + total(table, weight, 0.7 * table["x"] + effect * table["u"])


def power(table, *b):
    """Raw weights 1 / n ** exp(-(xb))."""
    n = np.bincount(table["g"])[table["g"]]
    return 1.0 / n ** np.exp(-sum(k * table[v] for k, v in zip(b, "abc", strict=False)))


def ten_categories():
    table, r = teams(1, 400, 60)
    eta = linear(table, power(table, 0.8, -0.5, 0.3)) + r.logistic(size=400)
    return table.assign(y=spread(table, np.digitize(eta, np.linspace(-2.5, 2.5, 9))))


def durations():
    table, r = teams(2, 300, 50)
    eta = linear(table, power(table, 0.8))
    t = r.exponential(np.exp(-eta))
    ends = r.exponential(3.0, 300)
    return table.assign(t=spread(table, np.minimum(t, ends)), event=spread(table, (t <= ends).astype(int)))


def counts():
    table, r = teams(3, 300, 50)
    mean = np.exp(0.8 + linear(table, power(table, 0.8)))
    return table.assign(y=spread(table, r.negative_binomial(1.5, 1.5 / (1.5 + mean))))


def shape(kind):
    """Groups whose outcome depends on a feature with a shape that is estimated."""

    def made():
        table, r = teams({"smax": 4, "threshold": 5, "gmean": 6}[kind], 250, 60, (3, 8))
        x = np.exp(0.5 * table["x"]) if kind == "gmean" else table["x"]
        even = np.ones(len(table))
        if kind == "smax":
            value = np.log(total(table, even, np.exp(2.0 * x))) / 2.0
        elif kind == "threshold":
            value = total(table, even, 1.0 / (1.0 + np.exp(-4.0 * (x - 0.3))))
        else:
            value = total(table, even, x**-1.0) ** -1.0
        y = 0.4 * table.groupby("g")["z"].first().to_numpy() + 1.5 * value + 0.5 * r.standard_normal(250)
        return table.assign(x=x, y=spread(table, y))

    return made


def karate():
    """Friends in the karate club; which side each person took."""
    nx = pytest.importorskip("networkx")
    graph = nx.karate_club_graph()
    degree = {k: np.log(d) for k, d in graph.degree()}
    side = {k: int(graph.nodes[k]["club"] == "Officer") for k in graph}
    rows = [(i, j, degree[j] - 1.2, side[i]) for i in graph for j in graph[i]]
    return pd.DataFrame(rows, columns=["g", "m", "a", "y"])


def four_units(family):
    """Four units of five observations each."""

    def made():
        r = np.random.default_rng(8)
        unit = np.repeat(np.arange(4), 5)
        x = r.standard_normal(20)
        eta = 0.3 + 0.5 * x + 0.7 * r.standard_normal(4)[unit]
        y = eta + 0.5 * r.standard_normal(20) if family == "gaussian" else r.poisson(np.exp(eta))
        return pd.DataFrame({"u": unit, "x": x, "y": y})

    return made


def lineups():
    """Sixty players of six teams; the opponent is a unit with six levels."""
    r = np.random.default_rng(7)
    team, skill, u = np.repeat(np.arange(6), 10), r.normal(size=60), 0.5 * r.normal(size=60)
    rows = []
    for g in range(500):
        t = r.integers(6)
        five = r.choice(np.where(team == t)[0], 5, replace=False)
        opponent = r.integers(6)
        w = np.exp(0.8 * skill[five])
        w /= w.sum()
        y = (w * skill[five]).sum() + (w * u[five]).sum() + 0.3 * (opponent - 2.5) / 2 + 0.8 * r.normal()
        rows += [(g, f"O{opponent}", p, skill[p], y) for p in five]
    return pd.DataFrame(rows, columns=["g", "opponent", "m", "x", "y"])


def bent():
    """Sums over members whose weights set the size of their effects: sd and weights trade off."""
    table, r = teams(9, 300, 80, (1, 7))
    n = np.bincount(table["g"])
    raw = 1.0 / n[table["g"]] ** np.exp(0.5)
    y = np.bincount(table["g"], raw * (0.5 * table["x"] + 0.8 * table["u"])) + 0.6 * r.standard_normal(300)
    return table.assign(y=spread(table, y))


def concentration():
    """Concentration of weights exp(b a), which is nearly the same at b and at -b."""
    table, r = teams(13, 60, 40, (3, 6))
    weight = np.exp(0.9 * table["a"])
    share = weight / np.bincount(table["g"], weight)[table["g"]]
    y = 4.0 * np.bincount(table["g"], share**2) + 0.6 * r.standard_normal(60)
    return table.assign(y=spread(table, y))


def many_weights():
    """Weights of eight covariates, effects of members and of two crossed units: twelve free parameters."""
    table, r = teams(14, 200, 40)
    names = [f"a{k}" for k in range(8)]
    table = table.assign(**{n: r.standard_normal(len(table)) for n in names})
    weight = np.bincount(table["g"])[table["g"]] ** -np.exp(-(table[names].to_numpy() @ r.normal(0.0, 0.5, 8)))
    first, second = np.arange(200) % 9, r.integers(0, 7, 200)
    y = linear(table, weight) + 0.4 * r.standard_normal(9)[first] + 0.3 * r.standard_normal(7)[second]
    y += 0.5 * r.standard_normal(200)
    return table.assign(y=spread(table, y), c=spread(table, first), h=spread(table, second))


TEAMS = "y ~ z + mm(m, g, x, weights = power({}), normalize = group)"
HARD: dict[str, Hard] = {
    "ten categories, three weights": Hard(TEAMS.format("a + b + c"), "ordinal", ten_categories),
    "eight weights": Hard(
        TEAMS.format(" + ".join(f"a{k}" for k in range(8))) + " + (1 | c) + (1 | h)", "gaussian", many_weights
    ),
    "ten intervals": Hard(
        TEAMS.format("a").replace("y ~", "surv(t, event) ~"), mm.families.cox(intervals=10), durations
    ),
    "smax": Hard("y ~ z + mm(m, g, x, aggregate = smax(kappa), effects = none)", "gaussian", shape("smax")),
    "threshold": Hard(
        "y ~ z + mm(m, g, x, aggregate = threshold(middle, steep), effects = none)", "gaussian", shape("threshold")
    ),
    "gmean": Hard("y ~ z + mm(m, g, x, aggregate = gmean(p), effects = none)", "gaussian", shape("gmean")),
    "negative binomial": Hard(TEAMS.format("a"), "negative_binomial", counts),
    "karate": Hard("y ~ mm(m, g, weights = power(a), normalize = group)", "bernoulli", karate),
    "four units, gaussian": Hard("y ~ x + (1 | u)", "gaussian", four_units("gaussian")),
    "four units, poisson": Hard("y ~ x + (1 | u)", "poisson", four_units("poisson")),
    "line-ups": Hard(
        "y ~ 1 + mm(m, g, x, weights = softmax(x), normalize = group) + (1 | opponent)", "gaussian", lineups
    ),
    "bent ridge": Hard("y ~ mm(m, g, x, weights = 1 / n ** exp(b0), normalize = none)", "gaussian", bent),
    "two modes": Hard(
        "y ~ mm(m, g, weights = exp(b1 * a), aggregate = hhi, name = B)", "gaussian", concentration, "B.w.b1"
    ),
}
