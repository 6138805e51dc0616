r"""Predictions for the groups of the fit and for new ones.

For new tables every part of the model is made again on them (same coding, same centring, the training constant of
``normalize=total``); known members and units keep their effects, unseen ones get effects of their own: drawn from
their population, or zero. Given theta and x the linear predictor is then the same sum as in the fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..engines.factor import conditional_factor
from ..errors import EngineError
from ..latent.system import Part, System
from ..model import Specification
from ..numerics.cholesky import solve_lower
from ..table.memberships import Tables
from ..terms.expression import evaluate
from ..terms.member.weighing import Block
from .posterior import Posterior
from .summary import estimate_table, normal_quantile, quantiles

KINDS = ("linear", "mean", "response")


@dataclass(frozen=True, eq=False)
class Place:
    """The model on some tables: parts, and where each entry of their design meets an extended x.

    The extended x is the fit's x in natural order followed by the effects of unseen members and units.
    """

    parts: tuple[Part, ...]
    rows: tuple[np.ndarray, ...]
    columns: tuple[np.ndarray, ...]
    groups: int
    fresh: int
    offset: np.ndarray


def place(specification: Specification, tables: Tables | None) -> Place:
    """The model on new tables, or on its own."""
    system = specification.system
    on = specification.tables if tables is None else tables
    n = on.groups.n_rows
    rows, columns, parts, fresh = [], [], [], 0
    coefficient = system.kept
    for old, effect in zip(system.parts, system.effect_start, strict=True):
        part: Any = old if tables is None else old.on(tables)  # type: ignore[attr-defined]
        own = len(part.coefficients)
        r, c = part.entries()
        local = c - own
        known = np.where(local < old.effects, effect + local, system.size + fresh + local - old.effects)
        rows.append(r)
        columns.append(np.where(c < own, coefficient + c, known))
        parts.append(part)
        fresh += part.effects - old.effects
        coefficient += own
    offset = np.zeros(n)
    for node in specification.formula.offsets:
        offset += evaluate(node, on.groups, specification.formula.text, "offset")
    return Place(tuple(parts), tuple(rows), tuple(columns), n, fresh, offset)


class Predictor:
    """Linear predictors of a :class:`Place` for many (theta, x)."""

    def __init__(self, where: Place, system: System):
        self.where = where
        self.system = system
        self.scratch = [p.scratch() for p in where.parts]
        self.values = [np.zeros(len(r)) for r in where.rows]
        self.slots = [np.arange(len(r)) for r in where.rows]

    def entries(self, theta: np.ndarray) -> np.ndarray:
        """Fill the design at theta; returns the offset (groups,)."""
        offset = self.where.offset.copy()
        for k, part in enumerate(self.where.parts):
            own = theta[self.system.theta_of(k)]
            if isinstance(part, Block) and part.rule == "total" and self.where_is_new:
                old = self.system.parts[k]
                assert isinstance(old, Block)
                part = part.with_scale(old.total_scale(own))
                self.scratch[k]["fixed"] = False
            part.fill(own, self.scratch[k], self.slots[k], self.values[k], offset)
        return offset

    @property
    def where_is_new(self) -> bool:
        """Whether the tables are not those of the fit."""
        return self.where.parts != self.system.parts

    def eta(self, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Linear predictor (groups,) at theta and an extended x."""
        out = self.entries(theta)
        for rows, columns, values in zip(self.where.rows, self.where.columns, self.values, strict=True):
            out += np.bincount(rows, values * x[columns], self.where.groups)
        return out


def draws(
    posterior: Posterior, tables: Tables | None, new_effects: str, kind: str, rng: np.random.Generator, most: int
) -> np.ndarray:
    """Draws of the linear predictor, the expected outcome or the outcome (draws, groups)."""
    eta, theta = eta_draws(posterior, tables, new_effects, rng, most)
    family, q = posterior.specification.family, posterior.specification.system.family_start
    values = posterior.specification.response.values if tables is None else None
    for d in range(len(eta)):
        if kind == "mean":
            eta[d] = family.mean(eta[d], theta[d, q:], values)
        elif kind == "response":
            eta[d] = family.simulate(eta[d], theta[d, q:], rng, values)
    return eta


def estimates(
    posterior: Posterior, tables: Tables | None, new_effects: str, kind: str, ci: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Predictions at the maximum: Wald on the link scale, carried to the outcome's scale.

    For outcomes that are not Gaussian, `response` is simulated: a normal linear predictor with its standard error,
    then the family at its estimated parameters.
    """
    eta, se = eta_estimate(posterior, tables, new_effects)
    index = pd.RangeIndex(len(eta))
    specification, optimum = posterior.specification, posterior.outcome.optimum
    assert optimum is not None
    family, own = specification.family, optimum.theta[specification.system.family_start :]
    if kind == "linear" or (family.conjugate and kind == "mean"):
        return estimate_table(eta, se, ci, index)
    if family.conjugate:
        return estimate_table(eta, np.sqrt(se**2 + own[0] ** 2), ci, index)
    values = specification.response.values if tables is None else None
    middle = family.mean(eta, own, values)
    if kind == "response":
        many = np.stack(
            [family.simulate(eta + se * rng.standard_normal(len(eta)), own, rng, values) for _ in range(2000)]
        )
        low, high = quantiles(many, ci)
        return pd.DataFrame({"estimate": middle, "se": many.std(axis=0, ddof=1), "lower": low, "upper": high}, index)
    h = 1e-5
    slope = (family.mean(eta + h, own, values) - family.mean(eta - h, own, values)) / (2.0 * h)
    z = normal_quantile(ci)
    ends = np.sort([family.mean(eta - z * se, own, values), family.mean(eta + z * se, own, values)], axis=0)
    return pd.DataFrame({"estimate": middle, "se": np.abs(slope) * se, "lower": ends[0], "upper": ends[1]}, index)


def eta_draws(
    posterior: Posterior, tables: Tables | None, new_effects: str, rng: np.random.Generator, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Linear predictors (draws, groups) and the theta that they belong to."""
    where = place(posterior.specification, tables)
    predictor = Predictor(where, posterior.specification.system)
    theta, x = posterior.thinned(most)
    out = np.empty((len(theta), where.groups))
    for d in range(len(theta)):
        extra = rng.standard_normal(where.fresh) if new_effects == "draw" else np.zeros(where.fresh)
        out[d] = predictor.eta(theta[d], np.concatenate([x[d], extra]))
    return out, theta


def eta_estimate(posterior: Posterior, tables: Tables | None, new_effects: str) -> tuple[np.ndarray, np.ndarray]:
    r"""Linear predictor (groups,) at the maximum and its standard error.

    :math:`\mathrm{Var}(\hat\eta) = a'H^{-1}a + d'Vd` with :math:`d = d\hat\eta/d\theta`, plus the variance of
    unseen effects where they are drawn.
    """
    specification, optimum = posterior.specification, posterior.outcome.optimum
    assert optimum is not None
    system = specification.system
    where = place(specification, tables)
    predictor = Predictor(where, system)
    extended = np.concatenate([optimum.x, np.zeros(where.fresh)])
    eta = predictor.eta(optimum.theta, extended)
    conditional = _conditional_variance(posterior, predictor, new_effects)
    q, p = len(optimum.theta), optimum.x_slope.shape[1]
    slope = np.zeros((where.groups, p))
    for k in range(p):
        if k < q and optimum.boundary[k]:
            continue
        h = 1e-5 * max(abs(optimum.theta[k]) if k < q else 1.0, 1e-2)
        sides = []
        for sign in (1.0, -1.0):
            theta = optimum.theta.copy()
            if k < q:
                theta[k] += sign * h
            x = np.concatenate([optimum.x + sign * h * optimum.x_slope[:, k], np.zeros(where.fresh)])
            sides.append(predictor.eta(theta, x))
        slope[:, k] = (sides[0] - sides[1]) / (2.0 * h)
    v = np.nan_to_num(optimum.covariance[:p, :p])
    return eta, np.sqrt(conditional + np.einsum("ik,kl,il->i", slope, v, slope))


def _conditional_variance(posterior: Posterior, predictor: Predictor, new_effects: str) -> np.ndarray:
    """a' H^-1 a for each row of the design, plus the squared entries of unseen effects."""
    specification, optimum = posterior.specification, posterior.outcome.optimum
    assert optimum is not None
    system, where = specification.system, predictor.where
    panel = conditional_factor(posterior.outcome)
    held = optimum.x_slope.shape[1] > len(optimum.theta)  # then the coefficients' part is in the slopes
    predictor.entries(optimum.theta)
    rows, columns = np.concatenate(where.rows), np.concatenate(where.columns)
    values = np.concatenate(predictor.values)
    order = np.argsort(rows, kind="stable")
    rows, columns, values = rows[order], columns[order], values[order]
    ends = np.searchsorted(rows, np.arange(where.groups + 1))
    out = np.empty(where.groups)
    s = system.symbolic
    for i in range(where.groups):
        c, v = columns[ends[i] : ends[i + 1]], values[ends[i] : ends[i + 1]]
        own = c < (system.kept if held else system.size)
        new = c >= system.size
        a = np.zeros(system.size)
        np.add.at(a, s.position[c[own]], v[own])
        solve_lower(s.layout, panel, a)
        unseen = np.bincount(c[new] - system.size, v[new]) if new_effects == "draw" and np.any(new) else np.zeros(1)
        out[i] = a @ a + unseen @ unseen
    return out


def check_kind(kind: str) -> None:
    """Refuse an unknown kind of prediction."""
    if kind not in KINDS:
        raise EngineError(f"kind= is one of {', '.join(KINDS)}, not {kind!r}")
