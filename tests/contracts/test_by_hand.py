"""Predictions and contrasts against the sum that a reader would write down from the tables of the fit.

eta = coefficients times covariates + sum over members of w (covariates times coefficients + effect) + effects of units,
with weights made anew from their formula and their parameters, and the constant N / sum(raw) of ``normalize = total``
that the fit's own tables give.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from .failing import marked
from .subjects import Subject, effects_by_id, point, subject

Raw = Callable[[pd.DataFrame, pd.Series, np.ndarray], np.ndarray]


def power(block: str, z: str) -> Raw:
    return lambda rows, params, n: n ** -np.exp(-params[f"{block}.w.{z}"] * rows[z].to_numpy())


def softmax(block: str, z: str) -> Raw:
    return lambda rows, params, n: np.exp(params[f"{block}.w.{z}"] * rows[z].to_numpy())


def mean(rows: pd.DataFrame, params: pd.Series, n: np.ndarray) -> np.ndarray:
    return 1.0 / n


@dataclass(frozen=True)
class Block:
    """A block as it stands in the formula; `effects` is the term whose effects it has, `scale` the name of a factor."""

    name: str
    member: str
    rule: str
    raw: Raw
    covariates: tuple[str, ...] = ()
    effects: str = ""
    scale: str = ""


ROWS: dict[str, tuple[tuple[Block, ...], tuple[str, ...]]] = {
    "unit": ((), ("c",)),
    "crossed": ((), ("c", "h")),
    "block": ((Block("m", "m", "total", mean, ("x",), "m"),), ()),
    "block without effects": ((Block("m", "m", "total", mean, ("x", "z")),), ()),
    "empty slots": ((Block("some", "some", "total", power("some", "z"), ("x",), "some"),), ()),
    "power, total": ((Block("m", "m", "total", power("m", "z"), ("x",), "m"),), ()),
    "softmax, group": ((Block("m", "m", "group", softmax("m", "z"), ("x",), "m"),), ()),
    "shared": (
        (Block("m", "m", "total", mean, ("x",), "m"), Block("m2", "m2", "total", mean, (), "m", "m2.scale")), (),
    ),
    "shared, total": (
        (
            Block("m", "m", "total", power("m", "z"), (), "m"),
            Block("m2", "m2", "total", power("m2", "x"), (), "m", "m2.scale"),
        ),
        (),
    ),
    "correlated roles, total": (
        (
            Block("m", "m", "total", power("m", "z"), (), "m"),
            Block("m2", "m2", "total", power("m2", "x"), (), "m2"),
        ),
        (),
    ),
    "two blocks and a unit": (
        (
            Block("B", "m", "group", power("B", "z"), ("x",), "B"),
            Block("some", "some", "none", mean, ("z",), "some"),
        ),
        ("c",),
    ),
}  # fmt: skip


def weights(block: Block, rows: pd.DataFrame, params: pd.Series, constant: float | None) -> tuple[np.ndarray, float]:
    """Weights of some rows, and the constant of ``total``: that of the fit where it is given, else made here."""
    n = rows.groupby("g")["g"].transform("size").to_numpy()
    raw = block.raw(rows, params, n)
    if block.rule == "group":
        return raw / pd.Series(raw).groupby(rows["g"].to_numpy()).transform("sum").to_numpy(), 1.0
    if block.rule == "total" and constant is None:
        constant = rows["g"].nunique() / raw.sum()
    factor = 1.0 if block.rule == "none" else constant
    return raw * factor, factor


def predictor(s: Subject, data: pd.DataFrame, constants: dict[str, float] | None = None) -> tuple[np.ndarray, dict]:
    """Linear predictor of every group of the data, in the order of their ids, and the constants of the blocks."""
    fit, params = s.fit(), s.fit().params
    each = data.drop_duplicates("g").sort_values("g").set_index("g")
    eta = params.get("Intercept", 0.0) + params["v"] * each["v"]
    for unit in ROWS[s.kind_name][1]:
        eta = eta + each[unit].map(effects_by_id(fit, unit))
    kept = {}
    for block in ROWS[s.kind_name][0]:
        rows = data.dropna(subset=[block.member])
        w, kept[block.name] = weights(block, rows, params, constants and constants[block.name])
        brought = sum((params[f"{block.name}.{x}"] * rows[x].to_numpy() for x in block.covariates), np.zeros(len(rows)))
        if block.effects:
            effect = rows[block.member].map(effects_by_id(fit, block.effects)).to_numpy(float)
            brought = brought + effect * (params[block.scale] if block.scale else 1.0)
        eta = eta.add(pd.Series(w * brought).groupby(rows["g"].to_numpy()).sum(), fill_value=0.0)
    return eta.sort_index().to_numpy(float), kept


def by_hand(s: Subject) -> None:
    """The linear predictor, of all groups and of some, and a contrast in the covariate that is moved."""
    fit, name = s.fit(), s.kind.moved
    eta, kept = predictor(s, s.covariates)
    whole = point(fit.predict(kind="linear"))
    # the baseline of cox is that of a group at mean covariates, so its linear predictor is around them
    middle = np.mean(whole - eta) if s.row.word == "cox" else 0.0
    np.testing.assert_allclose(whole, eta + middle, rtol=1e-8, atol=1e-8)
    some = s.covariates[s.covariates["g"] % 3 == 0]
    told = point(fit.predict(some, kind="linear"))
    np.testing.assert_allclose(told, predictor(s, some, kept)[0] + middle, rtol=1e-8, atol=1e-8)
    moved = s.covariates.assign(**{name: s.covariates[name] + 1.0})
    change = predictor(s, moved, kept)[0] - eta
    told = point(fit.comparisons({name: 1.0}, kind="linear"))
    np.testing.assert_allclose(told, change[s.reached].mean(), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(
    ("claim", "kind", "family"),
    [marked("by_hand", kind, family) for kind in ROWS for family in ("gaussian", "poisson", "weibull", "cox")],
)
def test_contract(claim, kind, family):
    by_hand(subject(kind, family))
