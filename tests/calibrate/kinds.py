"""Kinds of models for simulation-based calibration: families, terms, weights, effects and blocks, with their priors.

All priors are stated here, so that they do not depend on the outcome, as priors scaled by the data would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import micromacro as mm

prior = mm.prior

GROUPS, MEMBERS, UNITS = 60, 15, 8
CUTS = (0.6, 1.5, 3.0)  # of cox: intervals that do not move with the data

#: By class. Narrow enough that outcomes are sane, wide enough that a prior is not all there is.
PRIORS: dict[str, Any] = {
    "Intercept": prior.normal(0.3, 0.5), "b": prior.normal(0.0, 0.6), "w": prior.normal(0.0, 0.8),
    "sd": prior.gamma(3.0, 5.0), "cor": prior.lkj(1.5), "rho": prior.beta(2.0, 1.5), "scale": prior.normal(0.5, 0.5),
    "aggregate": prior.normal(0.0, 1.0), "sigma": prior.gamma(4.0, 6.0), "shape": prior.gamma(6.0, 3.0),
    "phi": prior.gamma(6.0, 1.0), "nu": prior.gamma(6.0, 1.0), "baseline": prior.gamma(3.0, 6.0),
    "zi": prior.beta(2.0, 4.0), "hu": prior.beta(2.0, 4.0),
}  # fmt: skip
CUT_PRIORS = {"cut.1": prior.normal(-1, 0.2), "cut.2": prior.normal(0.3, 0.2), "cut.3": prior.normal(1.6, 0.2)}


class Kind(NamedTuple):
    """One row.

    Attributes
    ----------
    terms : str
        All that stands to the right of ``~``.
    family : str
        A row of `OUTCOMES`.
    often : bool
        Whether it is calibrated on 200 data sets (else on 50).
    source : str
        A graph or a covariance that it reads.
    priors : mapping
        Beside `PRIORS`, or in place of some of them.
    others : mapping
        Formulas of parameters of the family.
    """

    terms: str
    family: str = "gaussian"
    often: bool = False
    source: str = ""
    priors: Mapping[str, Any] = {}
    others: Mapping[str, str] = {}

    @property
    def durations(self) -> bool:
        return OUTCOMES.get(self.family, Outcome()).left == SURV


BLOCK = "mm(m, g, x, weights = power(z), normalize = group, name = B)"
POWER = f"v + {BLOCK}"


def feature(aggregate: str, covariates: str = ", x", weights: str = "exp(b1 * z)") -> str:
    return f"v + mm(m, g{covariates}, weights = {weights}, aggregate = {aggregate}, name = B)"


def effects(kind: str) -> str:
    return f"v + mm(m, g, x, effects = {kind})"


SPREAD = {"sigma.Intercept": prior.normal(-0.5, 0.4)}
ZEROS = {"zi.Intercept": prior.normal(-1.0, 0.5)}
OTHER_BLOCK = "~ mm(m, g, weights = softmax(z))"

KINDS: dict[str, Kind] = {
    # one of each family, with estimated weights
    "gaussian": Kind(POWER + " + (1 | c)", often=True),
    "student": Kind(POWER, "student", priors={"nu": prior.gamma(8.0, 2.0)}),
    "bernoulli": Kind(POWER + " + (1 | c)", "bernoulli", often=True),
    "binomial": Kind(POWER, "binomial"),
    "poisson": Kind(POWER + " + (1 | c)", "poisson", often=True),
    "negative binomial": Kind(POWER, "negative_binomial", often=True, priors={"phi": prior.gamma(4.0, 2.0)}),
    "gamma": Kind(POWER, "gamma"),
    "beta": Kind(POWER, "beta"),
    "ordinal": Kind(POWER, "ordinal", often=True, priors=CUT_PRIORS),
    "weibull": Kind(POWER + " + (1 | c)", "weibull", often=True),
    "exponential": Kind(POWER, "exponential"),
    "lognormal": Kind(POWER, "lognormal"),
    "cox": Kind(POWER, "cox", often=True),
    "beta-binomial": Kind(POWER, "beta_binomial"),
    "zero-inflated poisson": Kind(POWER, "zero_inflated_poisson"),
    "zero-inflated negative binomial": Kind(POWER, "zero_inflated_negative_binomial"),
    "hurdle poisson": Kind(POWER, "hurdle_poisson"),
    "hurdle negative binomial": Kind(POWER, "hurdle_negative_binomial"),
    "categorical": Kind(POWER, "categorical"),
    "choices": Kind(POWER, "conditional_logit"),
    # several linear predictors
    "spread": Kind(POWER, priors=SPREAD, others={"sigma": "~ v"}),
    "effects on the spread": Kind("v + mm(m, g)", priors=SPREAD, others={"sigma": OTHER_BLOCK}),
    "one covariance": Kind("v + (1 | c, id=a)", priors=SPREAD, others={"sigma": "~ (1 | c, id=a)"}),
    "effects on zeros": Kind(
        "v + (1 | c)",
        "zero_inflated_poisson",
        priors={"Intercept": prior.normal(1.0, 0.3)} | ZEROS,
        others={"zi": "~ v + (1 | h)"},
    ),
    # units
    "coefficients alone": Kind("v + x0"),
    "unit, poisson": Kind("v + (1 | c)", "poisson"),
    "correlated slopes of units": Kind("v + (1 + v | c)", often=True),
    "independent slopes of units": Kind("v + (1 + v || c)", "bernoulli"),
    "nested": Kind("v + (1 | k3 / c)"),
    "crossed": Kind("v + (1 | c) + (1 | h)", "poisson"),
    "units in time": Kind("v + hm(c, effects = ar1(t))"),
    "units on a graph": Kind("v + hm(c, effects = icar(U))", "poisson", source="units"),
    # effects of members
    "mean of members": Kind("v + mm(m, g, x)"),
    "no effects": Kind("v + mm(m, g, x + z, weights = power(q), normalize = group, effects = none)", "bernoulli"),
    "correlated slopes of members": Kind(effects("correlated(1 + z)"), "poisson"),
    "independent slopes of members": Kind(effects("iid(1 + z)")),
    "walk": Kind(effects("walk")),
    "car": Kind(effects("car(G)"), source="members"),
    "icar": Kind(effects("icar(G)"), "bernoulli", source="members"),
    "known": Kind(effects("known(K)"), source="known"),
    "ar1": Kind(effects("ar1(t)"), "poisson"),
    # weights
    "total": Kind("v + mm(m, g, x, weights = power(z + q), normalize = total, name = B)", often=True),
    "logistic": Kind("v + mm(m, g, x, weights = logistic(0 + z), normalize = group)", "poisson"),
    "softmax": Kind("v + mm(m, g, x, weights = softmax(z), normalize = group)", "weibull"),
    "not normalised": Kind("v + mm(m, g, x, weights = 1 / n ** exp(b0), normalize = none)"),
    "signs": Kind("v + mm(m, g, x, weights = 1 + b1 * ilogit(z), normalize = group, name = B)"),
    # features, roles, several blocks
    "var": Kind(feature("var"), often=True),
    "smax": Kind(feature("smax(kappa)", weights="1"), priors={"aggregate": prior.normal(1.0, 1.0)}),
    "hhi": Kind(feature("hhi", "", "q ** exp(b1)"), "poisson"),
    "combine by smax": Kind("v + mm(m, g, x, combine = smax(kappa))", "bernoulli"),
    "combine by ces": Kind(
        "v + mm(m, g, x, combine = ces(p))",
        priors={"aggregate": prior.normal(1.0, 1.0), "m.Intercept": prior.normal(0.0, 0.5)},
    ),
    "weights with effects": Kind("v + mm(m, g, x, weights = power(z | c), normalize = group)"),
    "shared": Kind("v + mm(m, g, x) + mm(m2, g, effects = shared(m))", "bernoulli"),
    "correlated roles": Kind("v + mm(m, g, x) + mm(m2, g, effects = correlated_with(m))"),
    "by group": Kind(f"{POWER} + B:v", "poisson"),
    "two blocks and a unit": Kind(f"{POWER} + mm(m2, g, z, normalize = none, name = C) + (1 | c)"),
}


class Outcome(NamedTuple):
    """How an outcome is written, and what stands in the table before one is drawn."""

    left: str = "y"
    first: Callable[[np.ndarray], np.ndarray] = lambda g: 1.0 + g % 4
    make: Callable[[], Any] | None = None


SURV = "surv(y, event)"
OUTCOMES: dict[str, Outcome] = {
    "bernoulli": Outcome(first=lambda g: g % 2),
    **dict.fromkeys(("binomial", "beta_binomial"), Outcome("trials(y, five)")),
    "categorical": Outcome(first=lambda g: 1 + g % 3),
    "conditional_logit": Outcome("choice(y, three)", lambda g: (g % 3 == 0).astype(int)),
    "beta": Outcome(first=lambda g: 0.2 + 0.1 * (g % 6)),
    **dict.fromkeys(("weibull", "exponential", "lognormal"), Outcome(SURV)),
    "cox": Outcome(SURV, make=lambda: mm.families.cox(CUTS)),
}


@cache
def table() -> pd.DataFrame:
    """One row per membership, two to four members in a group."""
    r = np.random.default_rng(31)
    rows = [(g, m) for g in range(GROUPS) for m in r.choice(MEMBERS, r.integers(2, 5), replace=False)]
    d = pd.DataFrame(rows, columns=["g", "m"])
    d["m2"] = r.integers(0, MEMBERS, len(d))
    d["x"], d["z"], d["q"] = r.standard_normal((3, len(d)))
    d["q"] = np.exp(0.5 * d["q"])
    of_groups = {
        "v": r.standard_normal(GROUPS), "x0": r.standard_normal(GROUPS), "c": r.permutation(np.arange(GROUPS) % UNITS),
        "h": r.integers(0, 6, GROUPS), "t": 1990.0 + np.cumsum(r.integers(1, 4, GROUPS)),
    }  # fmt: skip
    for name, value in of_groups.items():
        d[name] = value[d["g"]]
    return d.assign(k3=d["c"] // 2, five=5, event=1, three=d["g"] // 3)


def ring(size: int) -> dict[int, list[int]]:
    """A ring with chords: every node has four neighbours."""
    return {i: sorted({(i + k) % size for k in (1, -1, 3, -3)}) for i in range(size)}


def sources(kind: Kind) -> dict[str, Any]:
    """Graphs and covariances that a kind reads."""
    ids = np.arange(MEMBERS)
    known = pd.DataFrame(0.5 ** np.abs(np.subtract.outer(ids, ids)), index=ids, columns=ids)
    return {
        "": {}, "members": {"graphs": {"G": ring(MEMBERS)}}, "units": {"graphs": {"U": ring(UNITS)}},
        "known": {"known": {"K": known}},
    }[kind.source]  # fmt: skip


def model(kind: Kind, data: pd.DataFrame) -> mm.Model:
    """The model of a kind, every prior stated."""
    row = OUTCOMES.get(kind.family, Outcome())
    family = row.make() if row.make else kind.family
    options = {"family": family, **sources(kind), **kind.others}
    bare = mm.Model(f"{row.left} ~ {kind.terms}", data, **options)
    classes = {p.kind for p in bare.specification.parameters}
    priors = {k: v for k, v in PRIORS.items() if k in classes} | dict(kind.priors)
    made = mm.Model(f"{row.left} ~ {kind.terms}", data, priors=priors, **options)
    unstated = [p.name for p in made.specification.parameters if p.default]
    assert not unstated, f"no prior is stated for {unstated}"
    return made


def first_table(kind: Kind) -> pd.DataFrame:
    """The table with some outcome that the family takes; a row per observation where there are no members."""
    d = table() if "mm(" in kind.terms else table().drop_duplicates("g", ignore_index=True)
    return d.assign(y=OUTCOMES.get(kind.family, Outcome()).first(d["g"].to_numpy()))
