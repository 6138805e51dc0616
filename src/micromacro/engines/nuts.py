"""Plain NUTS on the joint density of theta, effects and coefficients, by NumPyro: the slow, independent oracle.

(Hoffman and Gelman 2014; Phan, Pradhan and Jankowiak 2019.) Effects are standardised, so that the funnel of a small
sd is no trouble; steps are diagonal in the effects and dense in theta and the coefficients. One chain runs after
another.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .._optional import require
from ..errors import EngineError
from ..model import Specification
from .base import Draws, Outcome, Settings
from .joint_jax import Joint, constrain, unconstrain
from .mcmc import check_proper

TARGET = 0.9  # mean acceptance at which step sizes are tuned: shorter steps than usual, fewer divergences
_FIELDS = {"potential_energy": "lp", "diverging": "diverging", "num_steps": "n_steps", "accept_prob": "accept"}


def fit_nuts(specification: Specification, settings: Settings) -> Outcome:
    """Draw from the posterior by NumPyro's NUTS (extra ``[jax]``)."""
    began = time.perf_counter()
    require("numpyro", "jax")
    check_proper(specification)
    with double_precision():
        chains, interrupted = run_chains(Space(specification), settings)
    draws = gather(chains, interrupted)
    notes = []
    if interrupted:
        notes.append(f"stopped early: {len(chains)} of {settings.chains} chains were kept")
    if settings.executor is not None:
        notes.append("engine nuts runs its chains one after the other: executor= was not used")
    return Outcome("nuts", specification, settings, time.perf_counter() - began, draws=draws, notes=notes)


def double_precision() -> AbstractContextManager[Any]:
    """JAX with 64 bits inside a with statement; its setting elsewhere stays as it is."""
    jax = require("jax", "jax")
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    return require("jax.experimental", "jax").enable_x64()  # before JAX 0.8


class Space:
    """The space in which chains move: unconstrained theta, standardised effects, coefficients in steps.

    A position is a dict of the arrays that the model has: ``theta`` (q,), ``effects`` (kept,), ``coefficients`` (c,).
    A step of a coefficient moves the linear predictor by about the spread of the outcome (or the coefficient by its
    prior sd, if that is less), so that covariates may have any scale.
    """

    def __init__(self, specification: Specification):
        self.joint = Joint(specification)
        self.specification = specification
        self.system = specification.system
        self.start = np.array([p.start for p in self.system.coefficients])
        self.at = unconstrain(self.system.hypers, np.array([p.start for p in self.system.hypers]))

    @cached_property
    def step(self) -> np.ndarray:
        """Length of a step of each coefficient (c,)."""
        s, system = self.specification, self.system
        room = system.workspace(gradient=False)
        system.fill(np.array([p.start for p in system.hypers]), room)
        square = np.bincount(system.symbolic.columns, room.values**2, system.size) / system.groups
        spread = s.family.scale(s.response, s.offset)[0]
        information = system.natural_order(square)[system.kept :] / spread**2 + self.joint.precision
        return np.where(information > 0, information, 1.0) ** -0.5

    def natural(self, position: dict[str, Any]) -> tuple[Any, Any]:
        """Theta, natural scale, and x, natural order, at a position."""
        return constrain(self.system.hypers, self._u(position))[0], self._x(position)

    def potential(self, position: dict[str, Any]) -> Any:
        """Minus the log density of a position, up to a constant."""
        return -self.joint.log_unconstrained(self._u(position), self._x(position))

    def _u(self, position: dict[str, Any]) -> Any:
        return position.get("theta", np.zeros(0))

    def _x(self, position: dict[str, Any]) -> Any:
        jnp = require("jax.numpy", "jax")
        coefficients = self.start + self.step * position.get("coefficients", np.zeros(0))
        return jnp.concatenate([position.get("effects", np.zeros(0)), coefficients])

    def begin(self, rng: np.random.Generator, slope: Any) -> dict[str, np.ndarray]:
        """A random position around the starting values, nearer to them after every failure.

        Parameters
        ----------
        slope : callable
            Potential and gradient of a position.
        """
        jax = require("jax", "jax")
        shapes = {"theta": len(self.at), "effects": self.system.kept, "coefficients": len(self.start)}
        for attempt in range(20):
            width = 0.5 * 0.7**attempt
            position = {name: width * rng.standard_normal(n) for name, n in shapes.items() if n}
            if "theta" in position:
                position["theta"] += self.at
            value, gradient = slope(position)
            if np.isfinite(value) and all(np.all(np.isfinite(g)) for g in jax.tree_util.tree_leaves(gradient)):
                return position
        raise EngineError(
            "the posterior density could not be evaluated at any of 20 starting values; look at Model.explain() for "
            "the starting weights and the priors"
        )


@dataclass(frozen=True, eq=False)
class Chain:
    """One chain: theta (draw, q), x (draw, size) and statistics (draw,)."""

    theta: np.ndarray
    x: np.ndarray
    stats: dict[str, np.ndarray]


def run_chains(space: Space, settings: Settings) -> tuple[list[Chain], bool]:
    """Run chains one after the other; Ctrl-C keeps those that are done."""
    jax, infer = require("jax", "jax"), require("numpyro.infer", "jax")
    slope, natural = jax.jit(jax.value_and_grad(space.potential)), jax.jit(jax.vmap(space.natural))
    sampler = infer.MCMC(
        infer.NUTS(potential_fn=space.potential, dense_mass=_dense(space), target_accept_prob=TARGET),
        num_warmup=settings.tune, num_samples=settings.draws, num_chains=1, progress_bar=settings.progress,
    )  # fmt: skip
    chains: list[Chain] = []
    try:
        for seed in np.random.SeedSequence(settings.random_seed).spawn(settings.chains):
            rng = np.random.default_rng(seed)
            position = space.begin(rng, slope)
            key = jax.random.PRNGKey(int(rng.integers(2**31)))
            sampler.run(key, init_params=position, extra_fields=tuple(_FIELDS))
            theta, x = natural(sampler.get_samples())
            fields = sampler.get_extra_fields()
            stats = {name: np.asarray(fields[field], dtype=float) for field, name in _FIELDS.items()}
            stats["lp"] = -stats["lp"]
            chains.append(Chain(np.asarray(theta), np.asarray(x), stats))
    except KeyboardInterrupt:
        if not chains:
            message = "the run was stopped before any chain was done; ask for shorter ones, or let it run on"
            raise EngineError(message) from None
        return chains, True
    return chains, False


def _dense(space: Space) -> bool | list[tuple[str, ...]]:
    """Which parts of a position have a dense mass matrix together."""
    names = [name for name, n in (("theta", len(space.at)), ("coefficients", len(space.start))) if n]
    return [tuple(names)] if names else False


def gather(chains: list[Chain], interrupted: bool) -> Draws:
    """Stack chains, and say how many steps went astray."""
    stats = {name: np.stack([c.stats[name] for c in chains]) for name in chains[0].stats}
    value = stats.pop("lp")
    astray, total = int(stats["diverging"].sum()), stats["diverging"].size
    failures = []
    if astray:
        failures.append(
            f"{astray} of {total} transitions diverged, so a part of the posterior may be missing: tune longer "
            '(tune=), give narrower priors, or use engine="mcmc"'
        )
    return Draws(
        theta=np.stack([c.theta for c in chains]),
        x=np.stack([c.x for c in chains]),
        log_posterior=value,
        stats=stats,
        peaks=(),
        interrupted=interrupted,
        failures=tuple(failures),
    )
