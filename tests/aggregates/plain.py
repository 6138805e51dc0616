"""The oracle of aggregates: features of groups by plain loops from their definitions, models with dense matrices.

It shares no code with the package. A model is

    eta = Intercept + b_u (u - mean u) + sum_k b_k (F_k - center_k) + known + W e + V v,

F_k the row's features at theta, center_k their means over the groups at the starting values (the intercept's prior is
on the intercept at mean covariates), e and v the effects of members and of `maj`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special, stats

Theta = Mapping[str, float]
MEMBERS = 15


class Group(list[dict[str, float]]):
    """A group's members, and its own columns."""

    def __init__(self, members: list[dict[str, float]], own: dict[str, float]):
        super().__init__(members)
        self.own = own


def make(groups: int = 40, seed: int = 7) -> pd.DataFrame:
    """A long table, shuffled: the first group has no member, the second a single one, the third one of them twice."""
    rng = np.random.default_rng(seed)
    size = rng.integers(2, 6, groups)
    size[:3] = 1, 1, 3
    g = np.repeat(np.arange(groups), size)
    m = len(g)
    data = pd.DataFrame(
        {
            "member": np.concatenate([rng.choice(MEMBERS, k, replace=False) for k in size]).astype(float),
            "x": rng.normal(size=m), "z": np.exp(0.6 * rng.normal(size=m)), "s": rng.normal(size=m),
        }
    )  # fmt: skip
    data.loc[0, "member"] = np.nan
    data.loc[3, "member"] = data.loc[2, "member"]
    of_group = pd.DataFrame(
        {
            "u": rng.normal(size=groups), "maj": (rng.random(groups) < 0.5).astype(float), "y": rng.normal(size=groups),
            "count": rng.poisson(2.0, groups), "yes": (rng.random(groups) < 0.4).astype(float),
            "t": rng.weibull(1.4, groups), "event": (rng.random(groups) < 0.7).astype(float),
        }
    )  # fmt: skip
    return of_group.iloc[g].reset_index(drop=True).assign(g=100 + g, **data).sample(frac=1.0, random_state=seed)


# -- features ----------------------------------------------------------------------------------------------------------


def normalised(raw: list[float]) -> list[float]:
    total = math.fsum(raw)
    return [r / total for r in raw]


def sharp(group: Group, t: Theta) -> list[float]:
    """exp(b1 * s), normalised in the group."""
    return normalised([math.exp(t["B.w.b1"] * j["s"]) for j in group])


def power(group: Group, t: Theta) -> list[float]:
    """power(s) = 1 / n ** exp(-(b s)), normalised in the group."""
    return normalised([len(group) ** -math.exp(-t["B.w.s"] * j["s"]) for j in group])


def equal(group: Group, t: Theta) -> list[float]:
    return [1.0 / len(group) for _ in group]


def mean(w: list[float], x: list[float]) -> float:
    return math.fsum(a * b for a, b in zip(w, x, strict=True))


def moment(w: list[float], x: list[float], p: int) -> float:
    middle = mean(w, x)
    return mean(w, [(v - middle) ** p for v in x])


def covariance(w: list[float], x: list[float], z: list[float]) -> float:
    a, b = mean(w, x), mean(w, z)
    return mean(w, [(p - a) * (q - b) for p, q in zip(x, z, strict=True)])


def threshold(w: list[float], x: list[float], c: float, kappa: float) -> float:
    return mean(w, [1.0 / (1.0 + math.exp(-kappa * (v - c))) for v in x])


def smax(w: list[float], x: list[float], kappa: float) -> float:
    if kappa == 0.0:
        return mean(w, x)
    return math.log(mean(w, [math.exp(kappa * v) for v in x])) / kappa


def gmean(w: list[float], x: list[float], p: float) -> float:
    if p == 0.0:
        return math.exp(mean(w, [math.log(v) for v in x]))
    return mean(w, [v**p for v in x]) ** (1.0 / p)


def hhi(w: list[float]) -> float:
    return math.fsum(v * v for v in w)


def entropy(w: list[float]) -> float:
    return -math.fsum(v * math.log(v) for v in w)


# -- rows --------------------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """A model's blocks, and its features by plain loops.

    Attributes
    ----------
    words : of the aggregates that the row is about
    blocks : how the formula goes on after ``y ~ u + (1 | maj)``
    columns : (groups, theta) to the features by the names of their coefficients
    known : the same for what enters with a known coefficient
    effects : by block, what gives the weights of its members' effects in a group
    priors : beside those of :func:`priors`
    """

    words: str
    blocks: str
    columns: Callable[[list[Group], Theta], dict[str, np.ndarray]]
    known: Callable[[list[Group], Theta], np.ndarray] | None = None
    effects: Mapping[str, Callable[[Group, Theta], list[float]]] = {"C": equal}


def over(groups: list[Group], of: Callable[[Group], float]) -> np.ndarray:
    """A feature of each group, zero where it has no member."""
    return np.array([of(group) if group else 0.0 for group in groups])


def one(word: str, covariates: str, aggregate: str, of: Callable, weights: str = "exp(b1 * s)") -> Row:
    """A row of one block; `of` has the group's weights, the columns x, z, s and theta, and gives features by name."""
    weigh = {"exp(b1 * s)": sharp, "power(s)": power, "1 / n": equal}[weights]

    def columns(groups: list[Group], t: Theta) -> dict[str, np.ndarray]:
        def features(group: Group) -> dict[str, float]:
            lists = {c: [j[c] for j in group] for c in "xzs"}
            return of(weigh(group, t), lists, t)

        found = [features(group) if group else {} for group in groups]
        names = next(f for f in found if f)
        return {name: np.array([f.get(name, 0.0) for f in found]) for name in names}

    block = f"mm(member, g{covariates}, weights = {weights}, aggregate = {aggregate}, name = B)"
    return Row(word, f"{block} + mm(member, g, name = C)", columns)


def totals(groups: list[Group], t: Theta) -> list[list[float]]:
    """power(s) of block A under normalize=total: over all groups the weights sum to the number that has a member."""
    raw = [[len(group) ** -math.exp(-t["A.w.s"] * j["s"]) for j in group] for group in groups]
    scale = sum(bool(group) for group in groups) / math.fsum(r for rs in raw for r in rs)
    return [[scale * r for r in rs] for rs in raw]


def soft(groups: list[Group], t: Theta) -> np.ndarray:
    """smax(kappa) of x in block B."""
    return over(groups, lambda g: smax(sharp(g, t), [j["x"] for j in g], t["B.smax.kappa"]))


def summed(groups: list[Group], t: Theta, column: str) -> np.ndarray:
    """The sum of a covariate in block A."""
    return np.array([mean(w, [j[column] for j in g]) for w, g in zip(totals(groups, t), groups, strict=True)])


def variance(groups: list[Group], t: Theta) -> np.ndarray:
    """var of x in block D, with equal weights."""
    return over(groups, lambda g: moment(equal(g, t), [j["x"] for j in g], 2))


A = "mm(member, g, z + x, weights = power(s), effects = none, name = A)"
B = "mm(member, g, x, weights = exp(b1 * s), aggregate = smax(kappa), name = B)"
C = "mm(member, g, name = C)"
D = "mm(member, g, x, aggregate = var, name = D)"


def with_group_columns(groups: list[Group], t: Theta) -> dict[str, np.ndarray]:
    maj, u = (np.array([group.own[c] for group in groups]) for c in ("maj", "u"))
    s = soft(groups, t)
    return {"B.smax.x": s, "maj": maj, "B.smax.x:maj": s * maj, "B.smax.x:u": s * u}


def two_blocks(groups: list[Group], t: Theta) -> dict[str, np.ndarray]:
    s, z, x = soft(groups, t), summed(groups, t, "z"), summed(groups, t, "x")
    return {"B.smax.x": s, "A.z": z, "A.x": x, "A.z:B.smax.x": s * z, "A.x:B.smax.x": s * x}


def two_features(groups: list[Group], t: Theta) -> dict[str, np.ndarray]:
    s, v = soft(groups, t), variance(groups, t)
    return {"B.smax.x": s, "D.var.x": v, "B.smax.x:D.var.x": s * v}


DATA = make()
ROWS = {
    "sum": Row(
        "sum", f"{A} + {C}", lambda groups, t: {"A.z": summed(groups, t, "z"), "A.x": summed(groups, t, "x")}
    ),
    "sum in the group": Row(
        "sum", "mm(member, g, x, weights = power(s), normalize = group, aggregate = sum, name = B)",
        lambda groups, t: {"B.x": over(groups, lambda g: mean(power(g, t), [j["x"] for j in g]))}, effects={"B": power},
    ),
    "var": one("var", ", x + z", "var", lambda w, c, t: {f"B.var.{k}": moment(w, c[k], 2) for k in "xz"}),
    "moment": one("moment", ", x", "moment(3)", lambda w, c, t: {"B.moment.x": moment(w, c["x"], 3)}, "power(s)"),
    "moment 4": one("moment", ", x", "moment(4)", lambda w, c, t: {"B.moment.x": moment(w, c["x"], 4)}),
    "hhi": one("hhi", "", "hhi", lambda w, c, t: {"B.hhi": hhi(w)}),
    "effn": one("effn", "", "effn", lambda w, c, t: {"B.effn": 1.0 / hhi(w)}),
    "effn of sizes": one("effn", "", "effn", lambda w, c, t: {"B.effn": float(len(w))}, "1 / n"),
    "entropy": one("entropy", "", "entropy", lambda w, c, t: {"B.entropy": entropy(w)}, "power(s)"),
    "threshold": one(
        "threshold", ", x + s", "threshold(c, kappa)",
        lambda w, c, t: {
            f"B.threshold.{k}": threshold(w, c[k], t["B.threshold.c"], t["B.threshold.kappa"]) for k in "xs"
        },
    ),
    "threshold held": one(
        "threshold", ", x", "threshold(a, 3)",
        lambda w, c, t: {"B.threshold.x": threshold(w, c["x"], t["B.threshold.a"], 3.0)},
    ),
    "smax": one("smax", ", x", "smax", lambda w, c, t: {"B.smax.x": smax(w, c["x"], t["B.smax.kappa"])}),
    "smax held": one("smax", ", x", "smax(-2)", lambda w, c, t: {"B.smax.x": smax(w, c["x"], -2.0)}),
    "smax at zero": one("smax", ", x", "smax(0)", lambda w, c, t: {"B.smax.x": mean(w, c["x"])}),
    "smax beside a known one": one(
        "smax", ", x + fix(s, 0.4)", "smax(k)", lambda w, c, t: {"B.smax.x": smax(w, c["x"], t["B.smax.k"])}
    )._replace(
        known=lambda groups, t: over(groups, lambda g: 0.4 * smax(sharp(g, t), [j["s"] for j in g], t["B.smax.k"]))
    ),
    "gmean": one("gmean", ", z", "gmean(p)", lambda w, c, t: {"B.gmean.z": gmean(w, c["z"], t["B.gmean.p"])}),
    "geometric mean": one("gmean", ", z", "gmean(0)", lambda w, c, t: {"B.gmean.z": gmean(w, c["z"], 0.0)}),
    "max": one("max", ", x", "max", lambda w, c, t: {"B.max.x": max(c["x"])}),
    "min": one("min", ", x", "min", lambda w, c, t: {"B.min.x": min(c["x"])}, "1 / n"),
    "cov": one("cov", ", x + s", "cov", lambda w, c, t: {"B.cov.x.s": covariance(w, c["x"], c["s"])}),
    "E": one("E", "", "E((x - E(x)) ** 2)", lambda w, c, t: {"B.E": moment(w, c["x"], 2)}),
    "E with shapes": one(
        "E", "", "log(E(exp(k * x))) + a * max(x) / n",
        lambda w, c, t: {
            "B.E": math.log(mean(w, [math.exp(t["B.k"] * v) for v in c["x"]])) + t["B.a"] * max(c["x"]) / len(w)
        },
        "power(s)",
    ),
    "E of two columns": one(
        "E", "", "E(abs(x - E(x)) * z) / sqrt(E(z))",
        lambda w, c, t: {
            "B.E": mean(w, [abs(v - mean(w, c["x"])) * q for v, q in zip(c["x"], c["z"], strict=True)])
            / math.sqrt(mean(w, c["z"]))
        },
    ),
    "B:z": Row("interaction", f"B * maj + B:u + {B} + {C}", with_group_columns),
    "B1:B2": Row("interaction", f"A:B + {B} + {A} + {C}", two_blocks),
    "B1:B2 of features": Row("interaction", f"B:D + {B} + {D} + {C}", two_features),
}  # fmt: skip


# -- dense models ------------------------------------------------------------------------------------------------------

INTERCEPT, COEFFICIENT = (-0.4, 2.0), (0.2, 1.3)  # mean and sd of the priors


class Parts(NamedTuple):
    """A model at a theta: X b + offset + Z e, e ~ N(0, I)."""

    X: np.ndarray
    names: list[str]
    Z: np.ndarray
    offset: np.ndarray

    @property
    def prior(self) -> tuple[np.ndarray, np.ndarray]:
        """Means and sds of the coefficients."""
        both = np.array([INTERCEPT if name == "Intercept" else COEFFICIENT for name in self.names])
        return both[:, 0], both[:, 1]


class Plain:
    """A row's model on a long table."""

    def __init__(self, row: Row, data: pd.DataFrame, start: Theta):
        self.row = row
        frames = [d.sort_values("member") for _, d in data.groupby("g")]
        self.groups = [Group(d.dropna(subset="member").to_dict("records"), d.iloc[0].to_dict()) for d in frames]
        self.first = data.groupby("g").first()
        self.center = {name: column.mean() for name, column in row.columns(self.groups, start).items()}

    def parts(self, t: Theta) -> Parts:
        """The model's matrices at theta. A coefficient that is part of theta moves to the offset."""
        u = self.first["u"].to_numpy()
        columns = {"Intercept": np.ones(len(u)), "u": u - u.mean()}
        offset = self.row.known(self.groups, t) if self.row.known else np.zeros(len(u))
        for name, column in self.row.columns(self.groups, t).items():
            if name in t:
                offset = offset + t[name] * (column - self.center[name])
            else:
                columns[name] = column - self.center[name]
        return Parts(np.column_stack(list(columns.values())), list(columns), self.loadings(t), offset)

    def loadings(self, t: Theta) -> np.ndarray:
        """Loadings of standardised effects of members, then of `maj`."""
        out = [t[f"{name}.sd"] * self.member_weights(name, t) for name in self.row.effects]
        maj = self.first["maj"].to_numpy()
        return np.column_stack([*out, t["maj.sd"] * (maj[:, None] == np.array([0.0, 1.0]))])

    def member_weights(self, block: str, t: Theta) -> np.ndarray:
        """Weights (groups, members) of a block's effects."""
        W = np.zeros((len(self.groups), MEMBERS))
        for i, group in enumerate(self.groups):
            for j, w in zip(group, self.row.effects[block](group, t) if group else [], strict=True):
                W[i, int(j["member"])] += w
        return W

    def linear(self, values: Theta, effects: Mapping[str, pd.Series]) -> np.ndarray:
        """The linear predictor at parameters (the intercept at zero covariates) and effects by id, link scale."""
        eta = values["Intercept"] + values["u"] * self.first["u"].to_numpy()
        if self.row.known:
            eta = eta + self.row.known(self.groups, values)
        for name, column in self.row.columns(self.groups, values).items():
            eta = eta + values[name] * column
        for block in self.row.effects:
            eta = eta + self.member_weights(block, values) @ effects[block].reindex(range(MEMBERS)).to_numpy()
        return eta + effects["maj"].loc[self.first["maj"]].to_numpy()

    def gaussian(self, t: Theta, how: str) -> float:
        """Log marginal density of y: coefficients with their `prior`, integrated `flat`, or put at their `maximum`."""
        p = self.parts(t)
        y = self.first["y"].to_numpy() - p.offset
        V = p.Z @ p.Z.T + t["sigma"] ** 2 * np.eye(len(y))
        if how == "prior":
            m, sd = p.prior
            return float(stats.multivariate_normal.logpdf(y, p.X @ m, V + (p.X * sd**2) @ p.X.T))
        solved = np.linalg.solve(V, p.X)
        information = p.X.T @ solved
        b = np.linalg.solve(information, solved.T @ y)
        top = float(stats.multivariate_normal.logpdf(y, p.X @ b, V))
        if how == "maximum":
            return top
        return top + 0.5 * (len(b) * math.log(2.0 * math.pi) - np.linalg.slogdet(information)[1])

    def laplace(self, t: Theta, density: Density, coefficients: Theta | None = None) -> float:
        """Laplace's approximation to the log marginal: over effects and coefficients, or with these held."""
        p = self.parts(t)
        offset, A, m, sd = p.offset, p.Z, np.zeros(p.Z.shape[1]), np.ones(p.Z.shape[1])
        if coefficients is None:
            A = np.hstack([p.Z, p.X])
            m, sd = np.append(m, p.prior[0]), np.append(sd, p.prior[1])
        else:
            offset = offset + p.X @ [coefficients[name] for name in p.names]
        x, y = m.copy(), self.first

        def log(x: np.ndarray) -> float:
            return density(y, A @ x + offset, t)[0].sum() + stats.norm.logpdf(x, m, sd).sum()

        for _ in range(200):
            _, score, curvature = density(y, A @ x + offset, t)
            H = A.T @ (curvature[:, None] * A) + np.diag(sd**-2.0)
            step, length = np.linalg.solve(H, A.T @ score - (x - m) / sd**2), 1.0
            while log(x + length * step) < log(x) - 1e-12 * abs(log(x)):
                length /= 2.0
            x = x + length * step
            if np.abs(step).max() < 1e-11:
                break
        else:
            raise AssertionError("the mode was not found")
        return float(log(x) + 0.5 * len(x) * math.log(2.0 * math.pi) - 0.5 * np.linalg.slogdet(H)[1])


Density = Callable[[pd.DataFrame, np.ndarray, Theta], tuple[np.ndarray, np.ndarray, np.ndarray]]


def poisson(y: pd.DataFrame, eta: np.ndarray, t: Theta) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mu, k = np.exp(eta), y["count"].to_numpy()
    return stats.poisson.logpmf(k, mu), k - mu, mu


def bernoulli(y: pd.DataFrame, eta: np.ndarray, t: Theta) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    p, k = special.expit(eta), y["yes"].to_numpy()
    return stats.bernoulli.logpmf(k, p), k - p, p * (1.0 - p)


def weibull(y: pd.DataFrame, eta: np.ndarray, t: Theta) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Durations, censored on the right where `event` is 0."""
    shape, time, event = t["shape"], y["t"].to_numpy(), y["event"].to_numpy()
    hazard = (time / np.exp(eta)) ** shape
    whole = stats.weibull_min.logpdf(time, shape, scale=np.exp(eta))
    return np.where(event == 1.0, whole, -hazard), shape * (hazard - event), shape**2 * hazard


#: Families: the formula's left side, log density with score and curvature in eta.
FAMILIES: dict[str, tuple[str, Density]] = {
    "poisson": ("count", poisson),
    "bernoulli": ("yes", bernoulli),
    "weibull": ("surv(t, event)", weibull),
}
