"""Posterior means that do not come from `mcmc`.

Where effects and coefficients can be integrated out exactly: importance sampling of theta from a wide mixture of t
distributions, by the exact marginal likelihood, the means of coefficients given theta being exact. Elsewhere: NUTS on
the joint density, which is written independently of the latent system.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from arviz_stats.base.array import array_stats

import micromacro as mm
from micromacro.engines.coordinates import Scores
from micromacro.engines.marginals import has_exact_marginal, marginal_of
from micromacro.engines.mixtures import Mixture, Reference

from .hard import Hard

STORED = Path(__file__).parent / "stored" / "hard_posteriors.json"
DRAWS = 20_000
BATCHES = 40


def reference(row: Hard) -> dict[str, Any]:
    """Means with their Monte Carlo errors, the mass above zero of the parameter with two modes, and the way."""
    model = row.model()
    return by_importance(row, model) if has_exact_marginal(model.specification) else by_nuts(model)


def by_importance(row: Hard, model: mm.Model) -> dict[str, Any]:
    """Importance sampling of theta; errors from batches."""
    s = model.specification
    coordinates, marginal = Scores(s.system.hypers), marginal_of(s)
    room = marginal.workspace(gradient=False)
    proposal = around(model, coordinates, row.two_modes)
    rng = np.random.default_rng(20)
    values, logs = np.full((DRAWS, len(s.names)), np.nan), np.full(DRAWS, -np.inf)
    for k in range(DRAWS):
        u = proposal.draw(rng)
        theta = coordinates.theta(u)
        value = marginal.value(theta, room)
        if np.isfinite(value):
            logs[k] = value + coordinates.log_prior(u) - proposal.log_density(u)
            values[k] = s.collect(theta, marginal.x(room)[s.system.n_effects :])
    weight = np.exp(logs - logs.max())
    values = np.where(weight[:, None] > 0.0, values, 0.0)
    mean = weight @ values / weight.sum()
    parts = np.array([w @ v / w.sum() for w, v in zip(
        weight.reshape(BATCHES, -1), values.reshape(BATCHES, -1, values.shape[1]), strict=True
    )])  # fmt: skip
    mass = None
    if row.two_modes:
        mass = float(weight @ (values[:, s.names.index(row.two_modes)] > 0.0) / weight.sum())
    ess = weight.sum() ** 2 / (weight @ weight)
    return packed(s.names, mean, parts.std(axis=0, ddof=1) / np.sqrt(BATCHES), mass, ess, "importance sampling")


def around(model: mm.Model, coordinates: Scores, two_modes: str) -> Mixture:
    """A wide mixture over where draws of a run lie; one part for each of two modes."""
    fit = model.fit("mcmc", draws=1000, tune=1000, chains=4, random_seed=99, progress=False)
    theta = fit.posterior.outcome.draws.theta.reshape(-1, len(coordinates.every))
    u = np.array([coordinates.from_theta(t) for t in theta])
    groups = [u]
    if two_modes:
        above = theta[:, [p.name for p in coordinates.every].index(two_modes)] > 0.0
        groups = [part for part in (u[above], u[~above]) if len(part) > 50]
    parts = [
        Reference.fit(part.mean(axis=0), np.cov(part.T).reshape(2 * (u.shape[1],)), coordinates.folded, widen, df=5.0)
        for part in groups
        for widen in (1.1, 2.2)
    ]
    return Mixture(tuple(parts), np.full(len(parts), 1.0 / len(parts)))


def by_nuts(model: mm.Model) -> dict[str, Any]:
    """Two chains of NUTS."""
    fit = model.fit("nuts", draws=2500, tune=800, chains=2, random_seed=7, progress=False)
    draws = fit.posterior.draws
    mean, error, ess = [], [], []
    for k in range(draws.shape[2]):
        x = draws[:, :, k]
        mean.append(x.mean())
        error.append(float(array_stats.mcse(x, chain_axis=0, draw_axis=1, method="mean")))
        ess.append(float(array_stats.ess(x, chain_axis=0, draw_axis=1, method="bulk")))
    return packed(model.specification.names, np.array(mean), np.array(error), None, min(ess), "NUTS")


def packed(
    names: tuple[str, ...], mean: np.ndarray, error: np.ndarray, mass: float | None, ess: float, way: str
) -> dict[str, Any]:
    return {
        "way": way, "ess": round(float(ess)), "mean": {n: float(f"{v:.6g}") for n, v in zip(names, mean, strict=True)},
        "mcse": {n: float(f"{v:.3g}") for n, v in zip(names, error, strict=True)},
        "mass": None if mass is None else round(mass, 4),
    }  # fmt: skip
