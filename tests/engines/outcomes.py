"""Small data for every family: one row a family, link and form of outcome, all over the same groups and members."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from micromacro.families.registry import FAMILIES

Columns = dict[str, np.ndarray]


class Row(NamedTuple):
    """A family with one form of outcome: the formula's left side, and (rng, eta) to the columns that it names."""

    name: str
    outcome: str
    draw: Callable[[np.random.Generator, np.ndarray], Columns]
    link: str | None = None
    options: tuple[tuple[str, object], ...] = ()

    @property
    def label(self) -> str:
        chosen = [str(v) for _, v in self.options]
        return " ".join(x for x in (self.name, self.link, self.outcome, *chosen) if x not in (None, "y"))

    @property
    def family(self):
        return FAMILIES[self.name](**dict(self.options), **({"link": self.link} if self.link else {}))


def plain(draw):
    return lambda rng, eta: {"y": draw(rng, eta)}


def chance(eta):
    return 1.0 / (1.0 + np.exp(-eta))


def times(noise, scale):
    """Durations with their log-scale noise; censored on the right, on the left, in an interval, entered late."""

    def draw(rng, eta):
        t = np.exp(eta + scale * noise(rng, len(eta)))
        limit = np.quantile(t, 0.7) * rng.uniform(0.5, 1.5, len(t))
        known = rng.random(len(t)) < 0.3
        return {
            "t": np.minimum(t, limit), "event": (t <= limit).astype(int), "entry": np.minimum(t, limit) * 0.4 * known,
            "early": np.maximum(t, 0.4 * limit), "seen": (t >= 0.4 * limit).astype(int),
            "low": np.where(known, 0.0, 0.8 * t), "high": 1.3 * t,
        }  # fmt: skip

    return draw


def gumbel(rng, n):
    return np.log(rng.exponential(1.0, n))


def normal(rng, n):
    return rng.standard_normal(n)


def categories(rng, eta):
    return np.digitize(eta + rng.logistic(size=len(eta)), [-0.5, 0.8, 2.0])


def varied(rng, eta):
    return rng.poisson(np.exp(eta) * rng.gamma(2.0, 0.5, len(eta)))


def some(rng, counts):
    return counts * (rng.random(len(counts)) < 0.7)


SURVIVAL = [
    "surv(t, event)", "surv(entry, t, event)", 'surv(early, seen, type="left")', 'surv(low, high, type="interval")',
]  # fmt: skip
ROWS = [
    Row("gaussian", "y", plain(lambda rng, eta: eta + 0.7 * rng.standard_normal(len(eta)))),
    Row("student", "y", plain(lambda rng, eta: eta + 0.6 * rng.standard_t(4.0, len(eta)))),
    *(
        Row("bernoulli", "y", plain(lambda rng, eta: (rng.random(len(eta)) < chance(eta)).astype(int)), link)
        for link in (None, "probit", "cloglog")
    ),
    *(
        Row("binomial", "trials(k, of)", lambda rng, eta: {"k": rng.binomial(9, chance(eta)), "of": 9 + 0 * eta}, link)
        for link in (None, "probit", "cloglog")
    ),
    Row(
        "beta_binomial",
        "trials(k, of)",
        lambda rng, eta: {"k": rng.binomial(9, rng.beta(4.0 * chance(eta), 4.0 * chance(-eta))), "of": 9 + 0 * eta},
    ),
    Row("zero_inflated_poisson", "y", plain(lambda rng, eta: some(rng, rng.poisson(np.exp(eta))))),
    Row("zero_inflated_negative_binomial", "y", plain(lambda rng, eta: some(rng, varied(rng, eta)))),
    Row("hurdle_poisson", "y", plain(lambda rng, eta: some(rng, 1 + rng.poisson(np.exp(eta))))),
    Row("hurdle_negative_binomial", "y", plain(lambda rng, eta: some(rng, 1 + varied(rng, eta)))),
    Row("poisson", "y", plain(lambda rng, eta: rng.poisson(np.exp(eta)))),
    Row("negative_binomial", "y", plain(lambda rng, eta: rng.poisson(np.exp(eta) * rng.gamma(2.0, 0.5, len(eta))))),
    Row("gamma", "y", plain(lambda rng, eta: np.exp(eta) * rng.gamma(3.0, 1 / 3.0, len(eta)))),
    Row("beta", "y", plain(lambda rng, eta: rng.beta(8.0 * chance(eta), 8.0 * chance(-eta)).clip(1e-6, 1 - 1e-6))),
    *(Row("ordinal", "y", plain(categories), link) for link in (None, "probit", "cloglog")),
    Row("categorical", "y", plain(categories)),
    Row(
        "conditional_logit",
        "choice(y, set)",
        lambda rng, eta: {"y": np.arange(len(eta)) % 4 == 0, "set": np.arange(len(eta)) // 4},
    ),
    *(Row("weibull", outcome, times(gumbel, 0.6)) for outcome in SURVIVAL),
    *(Row("exponential", outcome, times(gumbel, 1.0)) for outcome in SURVIVAL),
    *(Row("lognormal", outcome, times(normal, 0.6)) for outcome in SURVIVAL),
    *(
        Row("cox", outcome, times(gumbel, 1.0), options=options)
        for outcome in SURVIVAL[:2]
        for options in ((), (("intervals", "all"),), (("baseline", "random_walk"),))
    ),
]


def make(row: Row, groups: int = 60, members: int = 25, units: int = 6, seed: int = 5) -> pd.DataFrame:
    """The long table: groups of one to five members (one twice in the first, none in the last), members who recur.

    Columns of groups: the outcome's, x, o, h, unit, often (1 or 2); of memberships: z, v, s.
    """
    rng = np.random.default_rng(seed)
    size = np.append(rng.integers(1, 6, groups - 1), 1)
    g = np.repeat(np.arange(groups), size)
    member = np.concatenate([rng.choice(members, k, replace=False) for k in size]).astype(float)
    member[1:2] = member[0]
    member[-1] = np.nan
    s, z, v = rng.standard_normal((3, len(g)))
    of_group = pd.DataFrame(
        {
            "x": rng.standard_normal(groups), "o": 0.2 * rng.standard_normal(groups), "h": rng.standard_normal(groups),
            "unit": rng.integers(0, units, groups), "often": 1 + np.arange(groups) % 2,
        }
    )  # fmt: skip
    w = size[g] ** -np.exp(-0.9 * s)
    w /= np.bincount(g, w)[g]
    effect = rng.standard_normal(members)[np.nan_to_num(member).astype(int)]
    reach = np.where(np.isnan(member), 0.0, w * (0.5 * z + effect))
    eta = 0.4 + 0.5 * of_group["x"] + np.bincount(g, reach) + 0.4 * rng.standard_normal(units)[of_group["unit"]]
    for name, column in row.draw(rng, eta.to_numpy()).items():
        of_group[name] = column
    return of_group.iloc[g].reset_index(drop=True).assign(g=g, member=member, s=s, z=z, v=v)
