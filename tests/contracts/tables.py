"""The tables over which the contracts run: kinds of terms, families, and the data that they meet on.

A new kind of term, of effects, aggregate or family is one row here; ``test_tables.py`` fails until it has one. Outcomes
are drawn from the kind itself at ordinary parameters, so that every row is a model that its data follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

import micromacro as mm

# -- data --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Size:
    """How much data: groups, members, units."""

    groups: int = 48
    members: int = 12
    units: int = 8
    seed: int = 11


SMALL = Size()
SOUND = Size(180, 36, 20, 5)  # enough that no remark about the data is called for

OF_GROUPS = ("v", "c", "h", "k3", "t", "five", "set")


@cache
def memberships(size: Size) -> pd.DataFrame:
    """One row per membership: two member columns over the same people, one of them empty in some groups."""
    rng = np.random.default_rng(size.seed)
    rows = [(g, m) for g in range(size.groups) for m in rng.choice(size.members, rng.integers(1, 5), replace=False)]
    long = pd.DataFrame(rows, columns=["g", "m"])
    n = len(long)
    long["m2"] = rng.integers(0, size.members, n)
    long["some"] = long["m2"].where(rng.random(n) < 0.6).astype("Int64")
    long["x"], long["z"] = rng.standard_normal((2, n))
    long["q"] = np.exp(0.6 * rng.standard_normal(n))
    long["role"] = np.where(rng.random(n) < 0.4, "head", "other")
    long["part"] = long["m"] % 4
    long["type"] = np.where(long["m"] % 2 == 0, "even", "odd")
    return long


@cache
def groups(size: Size) -> pd.DataFrame:
    """One row per group: covariates, units, times."""
    rng = np.random.default_rng(size.seed + 1)
    n = size.groups
    table = pd.DataFrame({"g": np.arange(n), "v": rng.standard_normal(n)})
    table["c"] = rng.permutation(np.arange(n) % size.units)
    table["h"] = rng.choice(list("abc"), n)
    table["k3"] = table["c"] // 2
    table["t"] = 1990.0 + np.cumsum(rng.integers(1, 4, n))
    table["five"] = 5
    table["set"] = rng.permutation(np.arange(n) // 4)
    table["half"] = table["c"] % 2
    table["late"] = (table["t"] - table["t"].mean()) / table["t"].std()
    return table


def ring(size: int) -> dict[int, list[int]]:
    """A ring with chords: every node has four neighbours."""
    return {i: sorted({(i + k) % size for k in (1, -1, 3, -3)}) for i in range(size)}


def decaying(size: int) -> pd.DataFrame:
    """A covariance that falls with the distance of ids."""
    ids = np.arange(size)
    return pd.DataFrame(0.5 ** np.abs(np.subtract.outer(ids, ids)), index=ids, columns=ids)


SOURCES: dict[str, Callable[[Size], dict[str, Any]]] = {
    "members' graph": lambda s: {"graphs": {"G": ring(s.members)}},
    "units' graph": lambda s: {"graphs": {"G": ring(s.units)}},
    "members' K": lambda s: {"known": {"K": decaying(s.members)}},
    "units' K": lambda s: {"known": {"K": decaying(s.units)}},
}


# -- kinds of terms ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """One row: terms of a formula.

    Attributes
    ----------
    terms : str
        All that stands to the right of ``~``.
    about : tuple of str
        What the row is a row of: words of the registries of effects and aggregates, kinds of terms.
    moved : str
        A numeric covariate of it, for contrasts.
    truth : dict
        Parameters at which its outcomes are drawn, where the ordinary ones (`ordinary`) will not do.
    source : str
        The graph or covariance that it reads (`SOURCES`).
    by_group : bool
        Whether ids of groups mean something to it, so that another id is another thing (the steps of a walk).
    families : tuple of str or None
        The rows of families that it meets; None: all.
    smaller : str
        Terms of a model nested in it that has all its effects, for a likelihood-ratio test.
    """

    terms: str
    about: tuple[str, ...]
    moved: str = "v"
    truth: Mapping[str, float] = field(default_factory=dict)
    source: str = ""
    by_group: bool = False
    families: tuple[str, ...] | None = None
    smaller: str = ""

    @property
    def has_members(self) -> bool:
        return "mm(" in self.terms

    def sources(self, size: Size) -> dict[str, Any]:
        return SOURCES[self.source](size) if self.source else {}


def feature(aggregate: str, covariates: str = ", x", weights: str = "exp(b1 * z)", more: str = "") -> str:
    """A block that is an emergent feature of its members."""
    return f"v + mm(m, g{covariates}, weights = {weights}, aggregate = {aggregate}, name = B){more}"


BLOCK = "mm(m, g, x, weights = power(z), normalize = group, name = B)"
SHARP = "q ** exp(b1)"  # hhi and its kin are nearly even in b1 with exp(b1 * z)

KINDS: dict[str, Kind] = {
    # groups and their units
    "fixed": Kind("v + h + I(v ** 2)", ("fixed",), smaller="v + h"),
    "offset and fix": Kind("v + offset(0.1 * v) + fix(five, 0.02)", ("fixed", "offset"), smaller="offset(0.1 * v) + fix(five, 0.02)"),
    "smooth": Kind("s(v, k = 6) + (1 | c)", ("smooth", "unit"), smaller="(1 | c)"),
    "unit": Kind("v + (1 | c)", ("unit", "iid"), smaller="(1 | c)"),
    "unit slopes": Kind("v + (1 + v | c)", ("unit", "correlated"), smaller="(1 + v | c)"),
    "unit slopes apart": Kind("v + (1 + v || c)", ("unit", "iid"), smaller="v + (1 | c)"),
    "unit slope alone": Kind("v + (0 + v | c)", ("unit", "iid"), smaller="(0 + v | c)"),
    "nested": Kind("v + (1 | k3 / c)", ("unit", "nested"), smaller="(1 | k3 / c)"),
    "crossed": Kind("v + (1 | c) + (1 | h)", ("unit", "crossed"), smaller="(1 | c) + (1 | h)"),
    "unit interaction": Kind("v + (1 | c:h)", ("unit", "unit interaction"), smaller="(1 | c:h)"),
    "unit by type": Kind("v + (1 | c, by=half)", ("unit", "by type"), smaller="(1 | c, by=half)"),
    "unit fixed": Kind("v + hm(h, effects = fixed)", ("unit", "fixed"), smaller="v"),
    "unit known slopes": Kind("v + hm(c, 1 + v, effects = known(K))", ("unit", "known"), source="units' K", smaller="hm(c, 1 + v, effects = known(K))"),
    "unit fixed slopes": Kind("v + hm(h, 0 + late, effects = fixed)", ("unit", "fixed"), smaller="v"),
    "unit known": Kind("v + hm(c, effects = known(K))", ("unit", "known"), source="units' K", smaller="hm(c, effects = known(K))"),
    "unit car": Kind("v + hm(c, effects = car(G))", ("unit", "car"), source="units' graph", truth={"c.sd": 1.5, "c.rho": 0.7},
                     smaller="hm(c, effects = car(G))"),
    "unit icar": Kind("v + hm(c, effects = icar(G))", ("unit", "icar"), source="units' graph", smaller="hm(c, effects = icar(G))"),
    "unit walk": Kind("v + hm(c, effects = walk(t))", ("unit", "walk"), truth={"c.sd": 0.4}, smaller="hm(c, effects = walk(t))"),
    "unit ar1": Kind("v + hm(c, effects = ar1(t))", ("unit", "ar1"), truth={"c.sd": 0.9}, smaller="hm(c, effects = ar1(t))"),
    # blocks, by their effects
    "block": Kind("v + mm(m, g, x)", ("block", "iid", "total"), moved="x", smaller="v + mm(m, g)"),
    "block without effects": Kind("v + mm(m, g, x + z, effects = none)", ("block", "none"), moved="x",
                                  smaller="v + mm(m, g, x, effects = none)"),
    "block slopes": Kind("v + mm(m, g, x, effects = iid(1 + z))", ("block", "iid"), moved="z", smaller="v + mm(m, g, effects = iid(1 + z))"),
    "block correlated": Kind("v + mm(m, g, x, effects = correlated(1 + z))", ("block", "correlated"), moved="z",
                             smaller="v + mm(m, g, effects = correlated(1 + z))"),
    "block by type": Kind("v + mm(m, g, x, effects = correlated(1 + z), by = type)", ("block", "by type"), moved="z",
                          smaller="v + mm(m, g, effects = correlated(1 + z), by = type)"),
    "joined members": Kind("v + mm(part:type, g, x)", ("block", "joined"), moved="x", smaller="v + mm(part:type, g)"),
    "block walk": Kind("v + mm(m, g, x, effects = walk)", ("block", "walk"), moved="x", by_group=True, truth={"m.sd": 0.5},
                       smaller="v + mm(m, g, effects = walk)"),
    "block walk slopes": Kind("v + mm(m, g, x, effects = walk(t, 1 + z))", ("block", "walk"), moved="z", truth={"m.sd": 0.5, "m.sd.z": 0.3},
                              smaller="v + mm(m, g, effects = walk(t, 1 + z))"),
    "block walk in time": Kind("v + mm(m, g, x, effects = walk(t))", ("block", "walk"), moved="x", truth={"m.sd": 0.5},
                               smaller="v + mm(m, g, effects = walk(t))"),
    "block ar1": Kind("v + mm(m, g, x, effects = ar1(t))", ("block", "ar1"), moved="x", truth={"m.sd": 1.0},
                      smaller="v + mm(m, g, effects = ar1(t))"),
    "block car": Kind("v + mm(m, g, x, effects = car(G))", ("block", "car"), moved="x", source="members' graph",
                      truth={"m.sd": 1.5, "m.rho": 0.7}, smaller="v + mm(m, g, effects = car(G))"),
    "block car slopes": Kind("v + mm(m, g, x, effects = car(G, 1 + z))", ("block", "car"), moved="z", source="members' graph",
                             truth={"m.sd": 1.5, "m.sd.z": 1.0, "m.rho": 0.7}, smaller="v + mm(m, g, effects = car(G, 1 + z))"),
    "block icar": Kind("v + mm(m, g, x, effects = icar(G))", ("block", "icar"), moved="x", source="members' graph",
                       truth={"m.sd": 1.5}, smaller="v + mm(m, g, effects = icar(G))"),
    "block known": Kind("v + mm(m, g, x, effects = known(K))", ("block", "known"), moved="x", source="members' K",
                        smaller="v + mm(m, g, effects = known(K))"),
    "block fixed": Kind("v + mm(part, g, x, effects = fixed)", ("block", "fixed"), moved="x", smaller="v + mm(part, g, effects = fixed)"),
    "empty slots": Kind("v + mm(some, g, x, weights = power(z))", ("block", "iid", "total", "empty"), moved="x",
                        smaller="v + mm(some, g, x)"),
    # blocks, by their weights
    "power, total": Kind("v + mm(m, g, x, weights = power(z))", ("block", "total", "power"), moved="z", smaller="v + mm(m, g, x)"),
    "logistic, group": Kind("v + mm(m, g, x, weights = logistic(0 + z), normalize = group)", ("block", "group", "logistic"), moved="z",
                            smaller="v + mm(m, g, x, weights = 1 / n, normalize = group)"),
    "softmax, group": Kind("v + mm(m, g, x, weights = softmax(z), normalize = group)", ("block", "group", "softmax"), moved="z",
                           smaller="v + mm(m, g, x, weights = 1, normalize = group)"),
    "free weights, none": Kind("v + mm(m, g, x, weights = 1 / n ** exp(b0), normalize = none)", ("block", "none normalised"),
                               moved="x", truth={"m.w.b0": 0.2}, smaller="v + mm(m, g, x, weights = 1 / n, normalize = none)"),
    "functions in the group": Kind("v + mm(m, g, x, weights = exp(b1 * (z - mean(z)) + b2 * (role == 'head')), normalize = total)",
                                   ("block", "total"), moved="z",
                                   smaller="v + mm(m, g, x, weights = exp(b2 * (role == 'head')), normalize = total)"),
    # roles
    "shared": Kind("v + mm(m, g, x) + mm(m2, g, effects = shared(m))", ("block", "shared"), moved="x", truth={"m2.scale": 0.8},
                   smaller="v + mm(m, g) + mm(m2, g, effects = shared(m))"),
    "shared, total": Kind("v + mm(m, g, weights = power(z)) + mm(m2, g, weights = power(x), effects = shared(m))",
                          ("block", "shared", "total"), moved="z", truth={"m2.scale": 0.8},
                          smaller="v + mm(m, g, weights = power(z)) + mm(m2, g, weights = 1 / n, effects = shared(m))"),
    "correlated roles": Kind("v + mm(m, g, x) + mm(m2, g, effects = correlated_with(m))", ("block", "correlated_with"), moved="x",
                             smaller="v + mm(m, g) + mm(m2, g, effects = correlated_with(m))"),
    "correlated roles, total": Kind("v + mm(m, g, weights = power(z)) + mm(m2, g, weights = power(x), effects = correlated_with(m))",
                                    ("block", "correlated_with", "total"), moved="z",
                                    smaller="v + mm(m, g, weights = power(z)) + mm(m2, g, weights = 1 / n, effects = correlated_with(m))"),
    # features of the members
    "var": Kind(feature("var"), ("feature", "var"), moved="x", smaller=feature("var", weights="1")),
    "moment": Kind(feature("moment(3)", weights="1"), ("feature", "moment"), moved="x", smaller="v + mm(m, g, effects = none)"),
    "hhi": Kind(feature("hhi", "", SHARP), ("feature", "hhi"), truth={"B.hhi": 3.0, "B.w.b1": 0.3}, moved="q",
                smaller=feature("hhi", "", "q")),
    "effn": Kind(feature("effn", "", SHARP), ("feature", "effn"), truth={"B.effn": 0.8, "B.w.b1": 0.3}, moved="q",
                 smaller=feature("effn", "", "q")),
    "entropy": Kind(feature("entropy", "", SHARP), ("feature", "entropy"), truth={"B.entropy": 1.5, "B.w.b1": 0.3}, moved="q",
                    smaller=feature("entropy", "", "q")),
    "threshold": Kind(feature("threshold(c0, 4)", weights="1"), ("feature", "threshold"), moved="x",
                      truth={"B.threshold.x": 2.0, "B.threshold.c0": 0.2}, smaller=feature("threshold(0.2, 4)", weights="1")),
    "smax": Kind(feature("smax(kappa)", weights="1"), ("feature", "smax"), moved="x", truth={"B.smax.x": 1.2, "B.smax.kappa": 1.5},
                 smaller=feature("smax(0)", weights="1")),
    "gmean": Kind(feature("gmean(p)", ", q", "1"), ("feature", "gmean"), moved="q", truth={"B.gmean.q": 1.2, "B.gmean.p": -1.0},
                  smaller=feature("gmean(1)", ", q", "1")),
    "cov": Kind(feature("cov", ", x + z", "1"), ("feature", "cov"), moved="x", smaller="v + mm(m, g, effects = none)"),
    "max": Kind(feature("max", weights="1"), ("feature", "max"), moved="x", smaller="v + mm(m, g, effects = none)"),
    "min": Kind(feature("min", weights="1"), ("feature", "min"), moved="x", smaller="v + mm(m, g, effects = none)"),
    "E": Kind(feature("E((x - E(x)) ** 2)", "", "1"), ("feature", "E"), moved="x", smaller="v + mm(m, g, effects = none)"),
    # members whose whole effects meet
    "combined": Kind("v + mm(m, g, x, weights = exp(b1 * z), combine = smax(kappa), name = B)", ("block", "combine", "iid"), moved="x",
                     truth={"B.smax.kappa": 1.5, "B.sd": 1.0}, families=("gaussian", "weibull", "gaussian sigma"), smaller="v + mm(m, g, weights = exp(b1 * z), combine = smax(kappa), name = B)"),
    "weights with effects": Kind("v + mm(m, g, x, weights = softmax(z | c), name = B)", ("block", "weight effects", "iid"), moved="x",
                                 truth={"B.w.z.sd": 0.8, "B.sd": 1.0}, families=("gaussian", "poisson"), smaller="v + mm(m, g, weights = softmax(z | c), name = B)"),
    # together
    "block with an edge": Kind("v + mm(m, g, x, weights = 1 + b1 * ilogit(z), normalize = group, name = B)", ("block", "iid"), moved="x",
                               families=("gaussian", "poisson"), smaller="v + mm(m, g, weights = 1 + b1 * ilogit(z), normalize = group, name = B)"),
    "block signed": Kind("v + mm(m, g, x, weights = 1 + b1 * ilogit(z), normalize = group, signed = yes, name = B)", ("block", "iid"), moved="x",
                         families=("gaussian", "poisson"), smaller="v + mm(m, g, weights = 1 + b1 * ilogit(z), normalize = group, signed = yes, name = B)"),
    "block by group": Kind(f"v + {BLOCK} + B:v", ("block", "interaction"), moved="x", smaller=f"v + {BLOCK}"),
    "block by block": Kind(f"v + {BLOCK} + mm(m2, g, z, weights = 1, aggregate = var, name = C) + B:C", ("block", "interaction"), moved="x",
                           smaller=f"v + {BLOCK} + mm(m2, g, z, weights = 1, aggregate = var, name = C)"),
    "two blocks and a unit": Kind(f"v + {BLOCK} + mm(some, g, z, normalize = none) + (1 | c)", ("block", "unit"), moved="x",
                                  smaller="v + mm(m, g, x, weights = 1 / n, normalize = group, name = B)"
                                          " + mm(some, g, z, normalize = none) + (1 | c)"),
    "walking baseline": Kind("v + mm(m, g, x)", ("baseline", "iid"), moved="x", families=("cox walk",), smaller="v + mm(m, g)"),
    "nominal": Kind("v + nominal(late) + (1 | c)", ("nominal", "unit"), families=("ordinal",), smaller="v + (1 | c)"),
    "strata": Kind("v + strata(half) + (1 | c)", ("strata", "unit"), families=("cox all",), smaller="strata(half) + (1 | c)"),
    "baseline alone": Kind("v", ("baseline",), families=("cox walk", "cox all", "cox"), smaller="1"),
}  # fmt: skip

#: What a row of ``KINDS`` must be about, beside the words of the registries.
ABOUT = {
    "fixed", "offset", "unit", "nested", "crossed", "unit interaction", "block", "feature", "interaction", "baseline",
    "smooth", "nominal", "strata", "by type", "combine", "weight effects", "joined", "empty", "total", "group", "none normalised", "power",
    "logistic", "softmax",
}  # fmt: skip

#: Parameters at which outcomes are drawn, by class, where a row says nothing else.
ORDINARY = {
    "Intercept": 0.3, "b": 0.4, "w": 0.6, "sd": 0.7, "cor": 0.4, "rho": 0.6, "scale": 0.8, "aggregate": 1.0, "sigma": 0.5,
    "shape": 2.0, "phi": 6.0, "nu": 6.0, "baseline": -1.0, "zi": 0.15, "hu": 0.3,
}  # fmt: skip


# -- families ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FamilyRow:
    """One row: a family with a form of its outcome.

    Attributes
    ----------
    word : str
        Its word in the registry.
    outcome : str
        What stands to the left of ``~``.
    first : callable
        (groups) to an outcome that the family takes, before one is drawn.
    columns : callable
        (rng, drawn outcomes) to the columns of the outcome.
    make : callable
        The family as users give it.
    truth : dict
    others : dict
        Formulas of other linear predictors.
    sets : str
        The column of the sets of groups that have one outcome together.
    """

    word: str
    outcome: str = "y"
    first: Callable[[int], np.ndarray] = lambda n: 1.0 + np.arange(n) % 4
    columns: Callable[[np.random.Generator, np.ndarray], dict[str, np.ndarray]] = lambda rng, y: {"y": y}
    make: Callable[[], Any] | None = None
    truth: Mapping[str, float] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)
    sets: str = ""

    @property
    def family(self) -> Any:
        return self.make() if self.make else self.word


def censored(rng: np.random.Generator, y: np.ndarray) -> dict[str, np.ndarray]:
    """About one in five is censored, by a time that has nothing to do with the outcome."""
    end = np.quantile(y, 0.75) * rng.uniform(0.3, 3.0, len(y))
    return {"y": np.minimum(y, end), "event": (y <= end).astype(int)}


def entered(rng: np.random.Generator, y: np.ndarray) -> dict[str, np.ndarray]:
    seen = censored(rng, y)
    late = np.where(rng.random(len(y)) < 0.5, 0.0, rng.uniform(0.1, 0.6, len(y)))
    return {**seen, "since": late * seen["y"]}


def in_interval(rng: np.random.Generator, y: np.ndarray) -> dict[str, np.ndarray]:
    """Known to lie between two times, or beyond one."""
    lower, upper = y * rng.uniform(0.5, 0.95, len(y)), y * rng.uniform(1.05, 1.6, len(y))
    return {"y": lower, "upper": np.where(rng.random(len(y)) < 0.2, np.inf, upper)}


def first_of_sets(n: int) -> np.ndarray:
    """The first group of each set is chosen."""
    sets = groups(SMALL if n == SMALL.groups else SOUND)["set"]
    return (~sets.duplicated()).to_numpy().astype(float)


SURV = "surv(y, event)"
STEPS = (0.4, 0.9, 1.8, 3.5)  # cut points of cox that do not move with the data

FAMILIES: dict[str, FamilyRow] = {
    "gaussian": FamilyRow("gaussian"),
    "student": FamilyRow("student"),
    "bernoulli": FamilyRow("bernoulli", first=lambda n: np.arange(n) % 2),
    "binomial": FamilyRow("binomial", "trials(y, five)"),
    "poisson": FamilyRow("poisson"),
    "beta_binomial": FamilyRow("beta_binomial", "trials(y, five)"),
    "negative_binomial": FamilyRow("negative_binomial"),
    "zero_inflated_poisson": FamilyRow("zero_inflated_poisson"),
    "zero_inflated_negative_binomial": FamilyRow("zero_inflated_negative_binomial"),
    "hurdle_poisson": FamilyRow("hurdle_poisson"),
    "hurdle_negative_binomial": FamilyRow("hurdle_negative_binomial"),
    "gamma": FamilyRow("gamma"),
    "beta": FamilyRow("beta", first=lambda n: 0.2 + 0.1 * (np.arange(n) % 6)),
    "ordinal": FamilyRow("ordinal", truth={"cut.1": -0.6, "cut.2": 0.6, "cut.3": 1.8}),
    "categorical": FamilyRow("categorical", first=lambda n: 1 + np.arange(n) % 3),
    "conditional_logit": FamilyRow("conditional_logit", "choice(y, set)", first=lambda n: first_of_sets(n), sets="set"),
    "weibull": FamilyRow("weibull", SURV, columns=censored),
    "exponential": FamilyRow("exponential", SURV, columns=censored),
    "lognormal": FamilyRow("lognormal", SURV, columns=censored),
    "cox": FamilyRow("cox", SURV, columns=censored, make=lambda: mm.families.cox(STEPS)),
    # other forms of the outcome, for a few kinds
    "weibull entry": FamilyRow("weibull", "surv(since, y, event)", columns=entered),
    "lognormal interval": FamilyRow("lognormal", "surv(y, upper, type = 'interval')", columns=in_interval),
    "log y": FamilyRow("gaussian", "log(y)", columns=lambda rng, y: {"y": np.exp(y)}),
    "gaussian sigma": FamilyRow("gaussian", others={"sigma": "~ v"}, truth={"sigma.Intercept": -0.5}),
    "gaussian sigma effects": FamilyRow(
        "gaussian", others={"sigma": "~ v + (1 | c)"}, truth={"sigma.Intercept": -0.5, "sigma.c.sd": 0.5}
    ),
    "zero_inflated_poisson zi effects": FamilyRow(
        "zero_inflated_poisson", others={"zi": "~ v + (1 | c)"}, truth={"zi.Intercept": -1.0, "zi.c.sd": 0.8}
    ),
    "negative_binomial phi": FamilyRow("negative_binomial", others={"phi": "~ v"}, truth={"phi.Intercept": 1.5}),
    "zero_inflated_poisson zi": FamilyRow("zero_inflated_poisson", others={"zi": "~ v"}, truth={"zi.Intercept": -1.5}),
    "zero_inflated_negative_binomial zi": FamilyRow(
        "zero_inflated_negative_binomial", others={"zi": "~ v"}, truth={"zi.Intercept": -1.5}
    ),
    "weibull shape": FamilyRow("weibull", SURV, columns=censored, others={"shape": "~ v"}),
    "cox entry": FamilyRow("cox", "surv(since, y, event)", columns=entered, make=lambda: mm.families.cox(STEPS)),
    "cox walk": FamilyRow("cox", SURV, columns=censored, make=lambda: mm.families.cox(STEPS, baseline="random_walk"),
                          truth={"baseline.sd": 0.3}),
    "cox all": FamilyRow("cox", SURV, columns=censored, make=lambda: mm.families.cox(intervals="all")),
}  # fmt: skip

#: The row of each family that every kind meets, and the kinds that the other forms meet.
PLAIN = tuple(name for name in FAMILIES if name in {row.word for row in FAMILIES.values()})
FORMS_MEET = ("unit", "power, total", "shared, total")

#: Kinds that are asked everything on each run, with every family.
WIDE = (
    "fixed", "unit", "unit slopes", "nested", "crossed", "unit fixed", "unit icar", "unit ar1", "block", "block without effects",
    "block correlated", "block walk", "block car", "block known", "empty slots", "power, total", "logistic, group",
    "free weights, none", "shared", "shared, total", "correlated roles, total", "threshold", "smax", "block by group",
    "block by block", "two blocks and a unit",
)  # fmt: skip
#: Families that meet the kinds of `FORMS_MEET` on each run, and the others in `make test-all`.
LATER = (
    "beta_binomial", "zero_inflated_poisson", "zero_inflated_negative_binomial", "hurdle_poisson", "hurdle_negative_binomial",
    "categorical", "conditional_logit",
)  # fmt: skip
#: Families that all other kinds meet on each run: one that is summed up exactly, categories, hazards.
OFTEN = ("gaussian", "ordinal", "cox")
#: Kinds whose posteriors are drawn on each run.
DRAWN = (
    "fixed", "unit slopes", "unit fixed", "block", "block car", "correlated roles", "threshold", "block by block",
    "walking baseline", "baseline alone",
)  # fmt: skip
SEVERAL = "two blocks and a unit"  # the kind that meets what no other kind need meet


def rare(kind: str) -> bool:
    """Whether a kind is left to the long run, but for what costs nothing."""
    return kind not in WIDE and KINDS[kind].families is None


def _rare(kind: str, family: str, engine: str) -> bool:
    return rare(kind)


def _pair(kind: str, family: str, engine: str) -> bool:
    later = family in LATER and kind not in FORMS_MEET
    return (rare(kind) and family not in OFTEN) or later or (family.endswith(" effects") and kind != "unit")


def _not_drawn(kind: str, family: str, engine: str) -> bool:
    return kind not in DRAWN


OFTEN_ASKED = (*OFTEN, "bernoulli", "hurdle_poisson", "gaussian sigma")
#: What waits for ``make test-all``: a contract, and of which (kind, family, engine) it waits. Others never wait.
WAITS: dict[str, Callable[[str, str, str], bool]] = {
    # test_terms_by_families.py
    "own_tables_are_fitted": _pair,
    "a_subset_is_the_subset_of_the_whole": _pair,
    "a_contrast_is_the_difference_of_predictions": _pair,
    "gradients_are_differences": _pair,
    "other_group_ids_predict_alike": lambda kind, family, engine: rare(kind) or family not in OFTEN,
    "nuts_has_the_same_density": lambda kind, family, engine: (
        rare(kind) or (family == "cox" and kind not in (*DRAWN, *FORMS_MEET)) or (family not in OFTEN and kind != "power, total")
    ),
    # test_verbs.py
    "verbs": lambda kind, family, engine: (
        (rare(kind) if engine == "ml" else kind not in (*DRAWN, SEVERAL))
        or (engine == "laplace" and family not in ("gaussian", "poisson", "cox"))
        or engine == "reml"
        or (kind == SEVERAL and family not in OFTEN_ASKED)
        or (kind == "strata" and family != "cox")
    ),
    "costly verbs": lambda kind, family, engine: (
        kind != SEVERAL or (family, engine) != ("poisson", "mcmc")
    ),
    # test_saved.py
    "whole": lambda kind, family, engine: (
        rare(kind) if engine == "ml"
        else (kind != SEVERAL or family != "poisson") if engine == "mcmc"
        else kind == SEVERAL and family not in OFTEN_ASKED
    ),
    "in_part": lambda kind, family, engine: kind not in (SEVERAL, "shared, total", "walking baseline", "offset and fix"),
    # test_sound.py
    **dict.fromkeys(
        ("check_finds_no_problem", "health_is_good", "a_nested_model_is_not_better", "comparisons_are_in_order",
         "shares_sum_to_one", "tables_say_what_the_summary_says", "effects_are_where_they_belong"), _rare,
    ),
    "criticism_is_finite": _not_drawn,
    "shares_of_draws_sum_to_one": _not_drawn,
    "comparisons_of_draws_are_in_order": _not_drawn,
    # test_renamed.py
    "other_names": _rare,
    "other_tables": _rare,
    # test_family_by_another_name.py
    "another name": lambda kind, family, engine: (
        family not in (*OFTEN_ASKED, "poisson") if engine == "ml" else family != "ordinal"
    ),
    "another name, anew": lambda kind, family, engine: family not in ("poisson", "cox"),
    "another name, pictures": lambda kind, family, engine: family not in ("poisson", "weibull"),
    "another name, files": lambda kind, family, engine: family not in PLAIN or family in LATER,
}  # fmt: skip


def waits(contract: str, kind: str, family: str, engine: str = "ml") -> bool:
    """Whether a contract of a kind with a family, fitted by an engine, is left to the long run of the tests."""
    return contract in WAITS and WAITS[contract](kind, family, engine)


def pairs() -> list[tuple[str, str]]:
    """Kinds and families that meet."""
    out = []
    for name, kind in KINDS.items():
        out += [(name, f) for f in (PLAIN if kind.families is None else kind.families)]
        if name in FORMS_MEET:
            out += [(name, f) for f in FAMILIES if f not in PLAIN]
    return out
