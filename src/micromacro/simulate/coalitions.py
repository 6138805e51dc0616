"""Coalition-like data with known truth, for tests and tutorials.

Countries have parties, parties form governments again and again, and what a government's duration is made of is
known: its own covariates, a weighted sum of its parties' covariates and effects, its country, and chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelError
from ..results.folding import folded

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Coalitions:
    """Simulated coalition governments.

    Attributes
    ----------
    data : DataFrame
        One row per party in a government: `gid` (government), `pid` (party), `cid` (country), `log_duration` (outcome),
        `majority` (0 or 1, of the government), `pseat` (the party's share of the coalition's seats, sums to 1), `prime`
        (1 for the prime minister's party), `cohesion` (of the party, about standard normal).
    truth : dict
        Parameter names as in the tables of a fit to their true values.
    effects : dict
        ``pid`` and ``cid``: Series of the true effects by id.
    weights : Series
        True weight of each row of `data`.
    formula : str
        The formula of the true model.
    """

    data: pd.DataFrame
    truth: dict[str, float]
    effects: dict[str, Any]
    weights: Any
    formula: str

    def __repr__(self) -> str:
        truth = ", ".join(f"{k} = {v:g}" for k, v in self.truth.items())
        return folded(
            f"Coalitions: {self.data['gid'].nunique()} governments, {self.data['pid'].nunique()} parties, "
            f"{self.data['cid'].nunique()} countries, {len(self.data)} memberships\n"
            f"formula: {self.formula}\ntruth: {truth}"
        )


_TRUTH = {
    "Intercept": 6.0, "majority": 0.4, "pid.cohesion": -0.5, "pid.w.pseat": 1.5, "pid.sd": 1.0, "cid.sd": 0.4,
    "sigma": 0.6,
}  # fmt: skip


def coalitions(
    groups: int = 600,
    members: int = 160,
    countries: int = 20,
    *,
    truth: dict[str, float] | None = None,
    normalize: str = "group",
    max_size: int = 7,
    family: str = "gaussian",
    random_seed: int | None = None,
) -> Coalitions:
    r"""Simulate governments formed by recurring parties.

    .. math:: y_i = b_0 + b_1\,\mathrm{majority}_i + \sum_j w_{ij}(b_2\,\mathrm{cohesion}_j + u_j) + v_{c[i]} + e_i,
       \qquad w_{ij} \propto n_i^{-\exp(-b_w\,\mathrm{pseat}_{ij})}

    Parameters
    ----------
    groups, members, countries : int
        Numbers of governments, parties and countries; parties belong to one country each.
    truth : dict, optional
        Values that differ from the defaults: Intercept, majority, ``pid.cohesion``, ``pid.w.pseat``, ``pid.sd``,
        ``cid.sd``, sigma.
    normalize : {"total", "group", "none"}
    max_size : int
        Most parties in a government.
    family : {"gaussian"}
    random_seed : int, optional

    Returns
    -------
    Coalitions
    """
    import pandas as pd

    values = _checked(truth, normalize, family, groups, members, countries, max_size)
    rng = np.random.default_rng(random_seed)
    country_of = np.arange(members) % countries
    strength = rng.gamma(1.5, 1.0, members) + 0.1
    cohesion = rng.standard_normal(members)
    u = values["pid.sd"] * rng.standard_normal(members)
    v = values["cid.sd"] * rng.standard_normal(countries)
    country = rng.integers(0, countries, groups)
    rows: list[tuple[int, int, float]] = []
    for g in range(groups):
        own = np.flatnonzero(country_of == country[g])
        size = min(1 + rng.binomial(max_size - 1, 0.35), len(own))
        chance = strength[own] / strength[own].sum()
        chosen = rng.choice(own, size=size, replace=False, p=chance)
        seats = strength[chosen] * rng.gamma(4.0, 1.0, size)
        rows += [(g, int(p), float(s)) for p, s in zip(chosen, seats / seats.sum(), strict=True)]
    frame = pd.DataFrame(rows, columns=["g", "pid", "pseat"])
    g, p = frame["g"].to_numpy(), frame["pid"].to_numpy()
    w = _weights(frame["pseat"].to_numpy(), g, groups, values["pid.w.pseat"], normalize)
    majority = rng.integers(0, 2, groups)
    eta = values["Intercept"] + values["majority"] * majority + v[country]
    eta = eta + np.bincount(g, w * (values["pid.cohesion"] * cohesion[p] + u[p]), groups)
    y = eta + values["sigma"] * rng.standard_normal(groups)
    top = frame.groupby("g")["pseat"].transform("max")
    data = pd.DataFrame(
        {
            "gid": g + 1, "pid": p + 1, "cid": country[g] + 1, "log_duration": y[g], "majority": majority[g],
            "pseat": frame["pseat"], "prime": (frame["pseat"] == top).astype(int), "cohesion": cohesion[p],
        }
    )  # fmt: skip
    effects = {
        "pid": pd.Series(u, index=pd.RangeIndex(1, members + 1, name="pid")),
        "cid": pd.Series(v, index=pd.RangeIndex(1, countries + 1, name="cid")),
    }
    formula = (
        f"log_duration ~ majority + mm(pid, gid, cohesion, weights = power(pseat), normalize = {normalize}) + (1 | cid)"
    )
    return Coalitions(data, values, effects, pd.Series(w, name="weight"), formula)


def _weights(x: np.ndarray, g: np.ndarray, groups: int, b: float, normalize: str) -> np.ndarray:
    n = np.bincount(g, minlength=groups)[g]
    raw = n ** -np.exp(-b * x)
    if normalize == "group":
        return raw / np.bincount(g, raw, groups)[g]
    return raw * groups / raw.sum() if normalize == "total" else raw


def _checked(
    truth: dict[str, float] | None,
    normalize: str,
    family: str,
    groups: int,
    members: int,
    countries: int,
    max_size: int,
) -> dict[str, float]:
    unknown = [k for k in truth or {} if k not in _TRUTH]
    if unknown:
        raise ModelError(f"truth= has no parameter {unknown[0]!r}; it takes {', '.join(_TRUTH)}")
    if normalize not in ("total", "group", "none"):
        raise ModelError(f"normalize= is total, group or none, not {normalize!r}")
    if family != "gaussian":
        raise ModelError(f"coalitions of family {family!r} cannot be simulated yet: the outcome is gaussian")
    if not (groups >= 2 and members >= countries >= 1 and max_size >= 1):
        raise ModelError(
            "coalitions need at least 2 groups, a country, as many members as countries, and max_size >= 1"
        )
    return {**_TRUTH, **(truth or {})}
