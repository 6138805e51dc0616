"""Terms of random models: how each is written, and the matrices that it means, made from the table by plain loops.

A term gives columns of coefficients and blocks of effects, each a matrix Z (groups, levels) and a function from the
parameters to a root R with R R' the covariance of the effects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

Values = Mapping[str, float]


@dataclass(frozen=True)
class Effects:
    """Effects of one term: Z times R, whose columns are those of independent standard normal numbers."""

    matrix: np.ndarray


@dataclass
class Term:
    """A term of the formula.

    Attributes
    ----------
    text : str
    theta : dict
        Names of its nonlinear parameters and their classes: w, sd, cor, rho, aggregate.
    truth : dict
        Values of theta and of its coefficients at which outcomes are drawn.
    columns : function of parameters -> dict from name to column (groups,)
    effects : function of parameters -> matrix (groups, standard normal numbers)
    sources : dict
        Graphs.
    """

    text: str
    theta: dict[str, str] = field(default_factory=dict)
    truth: dict[str, float] = field(default_factory=dict)
    columns: Callable[[Values], dict[str, np.ndarray]] = lambda p: {}
    effects: Callable[[Values], list[np.ndarray]] = lambda p: []
    sources: dict[str, object] = field(default_factory=dict)


# -- roots of covariances ----------------------------------------------------------------------------------------------


def walk_root(rows: list[tuple], times: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """State of each row (of level, time), and per state its level and time in mean gaps."""
    keys = sorted(set(rows))
    state = {key: k for k, key in enumerate(keys)}
    level = np.array([k[0] for k in keys])
    time = np.array([float(k[1]) for k in keys])
    if times is None:  # by participation
        time = np.concatenate([np.arange((level == m).sum()) for m in np.unique(level)]).astype(float)
    else:
        gaps = [time[k + 1] - time[k] for k in range(len(time) - 1) if level[k] == level[k + 1]]
        time = time / (np.mean(gaps) if gaps else 1.0)
    return np.array([state[r] for r in rows]), level, time


def path_covariance(level: np.ndarray, time: np.ndarray, rho: float | None) -> np.ndarray:
    """Covariance of standardised states: a walk's (rho None) or an autoregression's."""
    out = np.zeros((len(level), len(level)))
    for m in np.unique(level):
        own = np.flatnonzero(level == m)
        t = time[own] - time[own[0]]
        if rho is None:
            block = 1.0 + np.minimum.outer(t, t)
        else:
            with np.errstate(divide="ignore"):
                block = rho ** np.abs(np.subtract.outer(t, t))
        out[np.ix_(own, own)] = block
    return out


def neighbours(size: int) -> dict[int, list[int]]:
    """A ring with chords."""
    return {i: sorted({(i + k) % size for k in (1, -1, 2, -2)} - {i}) for i in range(size)}


def graph_matrices(graph: dict[int, list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Degrees (diagonal) and adjacency."""
    w = np.zeros((len(graph), len(graph)))
    for i, others in graph.items():
        w[i, others] = 1.0
    return np.diag(w.sum(axis=1)), w


def psd_root(covariance: np.ndarray) -> np.ndarray:
    """A root by eigenvectors, of any rank."""
    values, vectors = np.linalg.eigh(covariance)
    keep = values > 1e-12 * values.max()
    return vectors[:, keep] * np.sqrt(values[keep])


# -- terms of units ------------------------------------------------------------------------------------------------


def indicator(codes: np.ndarray, levels: int) -> np.ndarray:
    """(rows, levels) of zeros and ones."""
    out = np.zeros((len(codes), levels))
    for i, c in enumerate(codes):
        out[i, c] = 1.0
    return out


def unit_iid(groups: pd.DataFrame, unit: str, name: str, sd: float) -> tuple[dict, dict, Callable]:
    """Parameters, truth and effects of ``(1 | unit)``."""
    levels, codes = np.unique(groups[unit], return_inverse=True)
    z = indicator(codes, len(levels))
    return {f"{name}.sd": "sd"}, {f"{name}.sd": sd}, lambda p: [p[f"{name}.sd"] * z]


def crossed(groups: pd.DataFrame, sds: tuple[float, float], nested: bool = False) -> Term:
    """Two unit terms."""
    table = groups.assign(both=groups["k3"].astype(str) + groups["c"].astype(str))
    pairs = (("k3", "k3"), ("both", "k3:c")) if nested else (("c", "c"), ("h", "h"))
    made = [unit_iid(table, column, name, sd) for (column, name), sd in zip(pairs, sds, strict=True)]
    return Term(
        "(1 | k3 / c)" if nested else "(1 | c) + (1 | h)",
        made[0][0] | made[1][0], made[0][1] | made[1][1], effects=lambda p: [*made[0][2](p), *made[1][2](p)],
    )  # fmt: skip


def unit_slopes(groups: pd.DataFrame, sds: tuple[float, float], cor: float | None) -> Term:
    """``(1 + v | c)``, or with `cor` None ``(1 + v || c)``."""
    levels, codes = np.unique(groups["c"], return_inverse=True)
    z = indicator(codes, len(levels))
    zv = z * groups["v"].to_numpy()[:, None]
    theta = {"c.sd": "sd", "c.sd.v": "sd"} | ({} if cor is None else {"c.cor.1.v": "cor"})
    truth = {"c.sd": sds[0], "c.sd.v": sds[1]} | ({} if cor is None else {"c.cor.1.v": cor})
    return Term(
        f"(1 + v {'||' if cor is None else '|'} c)", theta, truth,
        effects=lambda p: correlated(z, zv, p["c.sd"], p["c.sd.v"], p.get("c.cor.1.v", 0.0)),
    )  # fmt: skip


def correlated(z: np.ndarray, zx: np.ndarray, a: float, b: float, r: float) -> list[np.ndarray]:
    """Matrices of intercepts (sd a) and slopes (sd b) with correlation r."""
    return [a * z + r * b * zx, b * np.sqrt(max(1.0 - r * r, 0.0)) * zx]


def unit_path(groups: pd.DataFrame, word: str, sd: float, rho: float) -> Term:
    """``hm(c, effects = walk(t))`` or ``ar1(t)``."""
    rows = list(zip(groups["c"], groups["t"], strict=True))
    state, level, time = walk_root(rows, groups["t"].to_numpy())
    z = indicator(state, len(level))

    def effects(p: Values) -> list[np.ndarray]:
        return [p["c.sd"] * z @ psd_root(path_covariance(level, time, p.get("c.rho") if word == "ar1" else None))]

    theta = {"c.sd": "sd"} | ({"c.rho": "rho"} if word == "ar1" else {})
    truth = {"c.sd": sd} | ({"c.rho": rho} if word == "ar1" else {})
    return Term(f"hm(c, effects = {word}(t))", theta, truth, effects=effects)


def unit_field(groups: pd.DataFrame, word: str, sd: float, rho: float, units: int) -> Term:
    """``hm(c, effects = car(G))`` or ``icar(G)``."""
    graph = neighbours(units)
    degree, w = graph_matrices(graph)
    z = indicator(groups["c"].to_numpy(), units)

    def effects(p: Values) -> list[np.ndarray]:
        if word == "icar":
            return [p["c.sd"] * z @ psd_root(np.linalg.pinv(degree - w))]
        return [p["c.sd"] * z @ psd_root(np.linalg.inv(degree - p["c.rho"] * w))]

    theta = {"c.sd": "sd"} | ({"c.rho": "rho"} if word == "car" else {})
    truth = {"c.sd": sd} | ({"c.rho": rho} if word == "car" else {})
    return Term(f"hm(c, effects = {word}(G))", theta, truth, effects=effects, sources={"G": graph})


# -- weights -----------------------------------------------------------------------------------------------------------

Columns = dict[str, np.ndarray]
Raw = Callable[[Columns, np.ndarray, Values], np.ndarray]


@dataclass(frozen=True)
class Form:
    """A form of weights.

    Attributes
    ----------
    text : str
    parameters : tuple of str
        As they follow ``B.w.``.
    raw : function of the table, n of each row and the parameters -> raw weights (memberships,)
    rules : tuple of str
        Normalisations that it is met with.
    scale : float
        Size of its parameters.
    """

    text: str
    parameters: tuple[str, ...]
    raw: Raw
    rules: tuple[str, ...] = ("total", "group", "none")
    scale: float = 1.0


def within(table: Columns, values: np.ndarray, function: Callable[[np.ndarray], float]) -> np.ndarray:
    """A function of the values of each group, at each of its rows."""
    g = table["g"]
    out = np.empty(len(g))
    for group in np.unique(g):
        own = g == group
        out[own] = function(values[own])
    return out


FORMS: dict[str, Form] = {
    "equal": Form("1 / n", (), lambda d, n, p: 1.0 / n, ("total",)),
    "canonical": Form("1 / n ** exp(-(b1 * z))", ("b1",), lambda d, n, p: n ** -np.exp(-p["b1"] * d["z"])),
    "power": Form(
        "power(z + q)", ("z", "q"), lambda d, n, p: n ** -np.exp(-(p["z"] * d["z"] + p["q"] * d["q"])),
        ("total", "group"),
    ),
    "logistic": Form(
        "logistic(z)", ("b0", "z"), lambda d, n, p: 1.0 / (1.0 + (n - 1.0) * np.exp(-(p["b0"] + p["z"] * d["z"]))),
        ("total", "group"),
    ),
    "logistic alone": Form(
        "logistic(0 + z)", ("z",), lambda d, n, p: 1.0 / (1.0 + (n - 1.0) * np.exp(-p["z"] * d["z"])), ("total", "none")
    ),
    "softmax": Form("softmax(z)", ("z",), lambda d, n, p: np.exp(p["z"] * d["z"]), ("group",)),
    "softmax of two": Form(
        "softmax(z + s)", ("z", "s"), lambda d, n, p: np.exp(p["z"] * d["z"] + p["s"] * d["s"]), ("group",)
    ),
    "share": Form("q ** exp(b1)", ("b1",), lambda d, n, p: d["q"] ** np.exp(p["b1"]), ("group",), 0.6),
    "distance": Form(
        "1 / n * exp(-b1 * q)", ("b1",), lambda d, n, p: np.exp(-p["b1"] * d["q"]) / n, ("total", "group")
    ),
    "head": Form(
        "where(role == 'head', exp(b1), 1) / n", ("b1",),
        lambda d, n, p: np.where(d["role"] == "head", np.exp(p["b1"]), 1.0) / n,
    ),
    "largest": Form(
        "exp(b1 * (z == max(z)))", ("b1",),
        lambda d, n, p: np.exp(p["b1"] * (d["z"] == d["max z"])), ("group",),
    ),
    "size": Form("1 / n ** exp(b0)", ("b0",), lambda d, n, p: n ** -np.exp(p["b0"]), ("none",), 0.5),
    "centred": Form(
        "1 / n * exp(b1 * (z - mean(z)))", ("b1",),
        lambda d, n, p: np.exp(p["b1"] * (d["z"] - d["mean z"])) / n,
    ),
}  # fmt: skip


# -- member blocks ---------------------------------------------------------------------------------------------------


class Block:
    """Weights and memberships of one block of the table, sorted in any way."""

    def __init__(self, table: pd.DataFrame, name: str, form: Form, rule: str):
        self.table = {k: table[k].to_numpy() for k in table.columns}
        for k, function in (("mean z", np.mean), ("max z", np.max)):
            self.table[k] = within(self.table, self.table["z"], function)
        self.name, self.form, self.rule = name, form, rule
        self.groups, self.g = np.unique(table["g"], return_inverse=True)
        self.members, self.m = np.unique(table["m"], return_inverse=True)
        self.n = np.bincount(self.g)[self.g].astype(float)

    def weights(self, p: Values) -> np.ndarray:
        """Normalised weights (memberships,)."""
        own = {k: p[f"{self.name}.w.{k}"] for k in self.form.parameters}
        raw = np.asarray(self.form.raw(self.table, self.n, own), dtype=float)
        if self.rule == "none":
            return raw
        if self.rule == "total":
            return raw * len(self.groups) / raw.sum()
        return raw / self.summed(raw)[self.g]

    def summed(self, values: np.ndarray) -> np.ndarray:
        """Sums within groups."""
        return np.bincount(self.g, values, len(self.groups))

    def spread(self, w: np.ndarray, codes: np.ndarray, levels: int) -> np.ndarray:
        """(groups, levels): the weights of a group's members."""
        out = np.zeros((len(self.groups), levels))
        np.add.at(out, (self.g, codes), w)
        return out


EFFECTS = ("iid", "none", "iid(1 + x)", "correlated(1 + x)", "walk", "fixed")


def block_term(
    table: pd.DataFrame, form: Form, rule: str, effects: str, sds: tuple[float, float], w: tuple[float, ...], cor: float
) -> Term:
    """``mm(m, g, x, ...)`` called B."""
    name = "B"
    block = Block(table, name, form, rule)
    x = table["x"].to_numpy()
    theta = {f"B.w.{k}": "w" for k in form.parameters}
    truth: dict[str, float] = {"B.x": -0.5} | dict(zip(theta, w, strict=False))
    levels = len(block.members)
    if effects in ("iid", "walk", "iid(1 + x)", "correlated(1 + x)"):
        theta["B.sd"], truth["B.sd"] = "sd", sds[0]
    if "1 + x" in effects:
        theta["B.sd.x"], truth["B.sd.x"] = "sd", sds[1]
    if effects.startswith("correlated"):
        theta["B.cor.1.x"], truth["B.cor.1.x"] = "cor", cor
    state, level, time = walk_root(list(zip(table["m"], table["g"], strict=True)), None)
    path = psd_root(path_covariance(level, time, None)) if effects == "walk" else np.empty((0, 0))
    parts, part = np.unique(table["part"], return_inverse=True)

    def columns(p: Values) -> dict[str, np.ndarray]:
        weights = block.weights(p)
        out = {"B.x": block.summed(weights * x)}
        if effects == "fixed":
            z = block.spread(weights, part, len(parts))
            out |= {f"B[{parts[k]}]": z[:, k] for k in range(1, len(parts))}
        return out

    def matrices(p: Values) -> list[np.ndarray]:
        weights = block.weights(p)
        if effects in ("none", "fixed"):
            return []
        if effects == "walk":
            return [p["B.sd"] * block.spread(weights, state, len(level)) @ path]
        z = block.spread(weights, block.m, levels)
        if effects == "iid":
            return [p["B.sd"] * z]
        zx = block.spread(weights * x, block.m, levels)
        return correlated(z, zx, p["B.sd"], p["B.sd.x"], p.get("B.cor.1.x", 0.0))

    if effects == "fixed":
        truth |= {f"B[{v}]": 0.4 * (-1) ** k for k, v in enumerate(parts) if k}
    rest = f", weights = {form.text}, normalize = {rule}, effects = {effects}, name = B)"
    return Term(f"mm({'part' if effects == 'fixed' else 'm'}, g, x{rest}", theta, truth, columns, matrices)


# -- features --------------------------------------------------------------------------------------------------------


def _threshold(w: np.ndarray, x: np.ndarray, z: np.ndarray, p: Values) -> float:
    return float(np.sum(w / (1.0 + np.exp(-4.0 * (x - p["c0"])))))


def _smax(w: np.ndarray, x: np.ndarray, z: np.ndarray, p: Values) -> float:
    k = p["kappa"]
    if abs(k) < 1e-6:
        mean = np.sum(w * x)
        return float(mean + k / 2 * np.sum(w * (x - mean) ** 2))
    top = np.max(k * x)
    return float((top + np.log(np.sum(w * np.exp(k * x - top)))) / k)


@dataclass(frozen=True)
class Feature:
    """An aggregate: its text, covariates, column name, shapes, and one group's value from w, x, z."""

    text: str
    covariates: str
    column: str
    value: Callable[[np.ndarray, np.ndarray, np.ndarray, Values], float]
    shapes: dict[str, float] = field(default_factory=dict)
    coefficient: float = 0.8


FEATURES: dict[str, Feature] = {
    "var": Feature("var", "x", "B.var.x", lambda w, x, z, p: float(np.sum(w * (x - np.sum(w * x)) ** 2))),
    "moment": Feature(
        "moment(3)", "x", "B.moment.x", lambda w, x, z, p: float(np.sum(w * (x - np.sum(w * x)) ** 3))
    ),
    "hhi": Feature("hhi", "", "B.hhi", lambda w, x, z, p: float(np.sum(w * w)), coefficient=3.0),
    "effn": Feature("effn", "", "B.effn", lambda w, x, z, p: float(1.0 / np.sum(w * w))),
    "entropy": Feature("entropy", "", "B.entropy", lambda w, x, z, p: float(-np.sum(w * np.log(w))), coefficient=1.5),
    "threshold": Feature("threshold(c0, 4)", "x", "B.threshold.x", _threshold, {"c0": 0.2}, 2.0),
    "smax": Feature("smax(kappa)", "x", "B.smax.x", _smax, {"kappa": 1.5}, 1.2),
    "cov": Feature(
        "cov", "x + z", "B.cov.x.z",
        lambda w, x, z, p: float(np.sum(w * (x - np.sum(w * x)) * (z - np.sum(w * z)))),
    ),
}  # fmt: skip


def feature_term(table: pd.DataFrame, word: str, form: Form, w: tuple[float, ...]) -> Term:
    """``mm(m, g, x, aggregate = ...)`` called B, its weights normalised in the group."""
    feature, block = FEATURES[word], Block(table, "B", form, "group")
    x, z = table["x"].to_numpy(), table["z"].to_numpy()
    shapes = {f"B.{word}.{k}": v for k, v in feature.shapes.items()}
    theta = {f"B.w.{k}": "w" for k in form.parameters} | dict.fromkeys(shapes, "aggregate")
    truth = dict(zip(theta, w, strict=False)) | shapes | {feature.column: feature.coefficient}

    def columns(p: Values) -> dict[str, np.ndarray]:
        weights, own = block.weights(p), {k: p[f"B.{word}.{k}"] for k in feature.shapes}
        out = np.empty(len(block.groups))
        for k in range(len(out)):
            at = block.g == k
            out[k] = feature.value(weights[at], x[at], z[at], own)
        return {feature.column: out}

    covariates = f", {feature.covariates}" if feature.covariates else ""
    text = f"mm(m, g{covariates}, weights = {form.text}, normalize = group, aggregate = {feature.text}, name = B)"
    return Term(text, theta, truth, columns)
