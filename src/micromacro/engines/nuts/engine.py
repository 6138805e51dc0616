"""Plain NUTS on the joint density of theta, effects and coefficients, by NumPyro: the slow, independent oracle.

(Hoffman and Gelman 2014; Phan, Pradhan and Jankowiak 2019.) Effects are standardised, so that the funnel of a small
sd is no trouble; steps are diagonal in the effects and dense in theta and the coefficients. One chain runs after
another.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import numpy as np

from ..._optional import require
from ...errors import EngineError
from ...model.specification import Specification
from ...notes import Note, remark, trouble
from ..base import Outcome, Settings
from ..mcmc.chain import Chain
from ..mcmc.engine import check_proper, gather
from ..progress import Progress
from ..starting import starting_point
from .density import Joint, unconstrain

CHUNK = 50  # steps between two looks at the progress bar and at Ctrl-C
TARGET = 0.9  # mean acceptance at which step sizes are tuned: shorter steps than usual, fewer divergences
_FIELDS = {"potential_energy": "lp", "diverging": "diverging", "num_steps": "n_steps", "accept_prob": "accept"}


def fit_nuts(specification: Specification, settings: Settings) -> Outcome:
    """Draw from the posterior by NumPyro's NUTS (extra ``[jax]``)."""
    began = time.perf_counter()
    for package in ("jax", "numpyro"):
        require(package, "jax")
    check_proper(specification)
    with double_precision():
        chains, interrupted = run_chains(Space(specification, settings.start), settings)
    draws = gather(chains, [], (), interrupted, specification.system.n_effects)
    notes = divergences(chains)
    if interrupted:
        count, length = draws.log_posterior.shape
        text = f"stopped early: {count} of {settings.chains} chains were kept, of {length} draws"
        notes.append(remark("interrupted", text))
    if settings.executor is not None:
        text = "engine nuts runs its chains one after the other: executor= was not used"
        notes.append(remark("executor-unused", text))
    return Outcome("nuts", specification, settings, time.perf_counter() - began, draws=draws, notes=notes)


def double_precision() -> AbstractContextManager[Any]:
    """JAX with 64 bits inside a with statement; its setting elsewhere stays as it is."""
    jax = require("jax", "jax")
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    return require("jax.experimental", "jax").enable_x64()  # before JAX 0.8


class Space:
    """The space in which chains move: unconstrained theta, standardised effects, coefficients in steps.

    A position is a dict of the arrays that the model has: ``theta`` (q,), ``effects`` (n,), ``coefficients`` (c,).
    A step of a coefficient moves the linear predictor by about the spread of the outcome (or the coefficient by its
    prior sd, if that is less), so that covariates may have any scale.
    """

    def __init__(self, specification: Specification, start: Mapping[str, Any] | None = None):
        theta, given = starting_point(specification, start or {})
        self.joint = Joint(specification)
        self.specification = specification
        self.system = specification.system
        usual = np.array([p.start for p in self.system.coefficients])
        self.start = np.where(np.isnan(given), usual, given)
        self.at = unconstrain(self.system.hypers, theta)

    @cached_property
    def step(self) -> np.ndarray:
        """Length of a step of each coefficient (c,)."""
        s, system = self.specification, self.system
        room = system.workspace(gradient=False)
        system.fill(np.array([p.start for p in system.hypers]), room)
        square = np.bincount(system.symbolic.columns, room.values**2, system.size) / system.groups
        spread = s.family.scale(s.response, s.offset)[0]
        information = system.natural_order(square)[system.n_effects :] / spread**2 + self.joint.precision
        return np.where(information > 0, information, 1.0) ** -0.5

    def natural(self, position: dict[str, Any]) -> tuple[Any, Any]:
        """Theta, natural scale, and x, natural order, at a position."""
        return self.joint.natural(self._u(position))[0], self._x(position)

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
        shapes = {"theta": len(self.at), "effects": self.system.n_effects, "coefficients": len(self.start)}
        for attempt in range(20):
            width = 0.5 * 0.7**attempt
            position = {name: width * rng.standard_normal(n) for name, n in shapes.items() if n}
            if "theta" in position:
                position["theta"] += self.at
            value, gradient = slope(position)
            if not self.system.sound(np.asarray(self.natural(position)[0])):
                continue
            if np.isfinite(value) and all(np.all(np.isfinite(g)) for g in jax.tree_util.tree_leaves(gradient)):
                return position
        raise EngineError(
            "the posterior density could not be evaluated at any of 20 starting values; look at Model.explain() for "
            "the starting weights and the priors"
        )


class Transitions:
    """NumPyro's kernel in a space, compiled once for all chains; it takes CHUNK steps at a call."""

    def __init__(self, space: Space, tune: int):
        jax, infer = require("jax", "jax"), require("numpyro.infer", "jax")
        names = [name for name, n in (("theta", len(space.at)), ("coefficients", len(space.start))) if n]
        kernel = infer.NUTS(
            potential_fn=space.potential, dense_mass=[tuple(names)] if names else False, target_accept_prob=TARGET
        )

        def step(state: Any, _: None) -> tuple[Any, tuple[Any, ...]]:
            state = kernel.sample(state, (), {})
            return state, (*space.natural(state.z), *(getattr(state, field) for field in _FIELDS))

        self.space = space
        self.slope = jax.jit(jax.value_and_grad(space.potential))
        self.start = jax.jit(lambda key, position: kernel.init(key, tune, position, (), {}))
        self.advance = jax.jit(lambda state: jax.lax.scan(step, state, None, length=CHUNK))

    def begin(self, seed: np.random.SeedSequence) -> Any:
        """State of a chain before its first step."""
        rng = np.random.default_rng(seed)
        position = self.space.begin(rng, self.slope)
        return self.start(require("jax", "jax").random.PRNGKey(int(rng.integers(2**31))), position)


def run_chains(space: Space, settings: Settings) -> tuple[list[Chain], bool]:
    """Run chains one after the other; Ctrl-C keeps those that are done (of the first, what there is)."""
    sampler = Transitions(space, settings.tune)
    chains: list[Chain] = []
    total = settings.tune + settings.draws
    with Progress(settings.chains, total, settings.progress) as progress:
        for k, seed in enumerate(np.random.SeedSequence(settings.random_seed).spawn(settings.chains)):
            tick = progress.tick(k)
            chunks: list[tuple[np.ndarray, ...]] = []
            try:
                state = sampler.begin(seed)
                while len(chunks) * CHUNK < total:
                    state, seen = sampler.advance(state)
                    chunks.append(tuple(np.asarray(s) for s in seen))
                    tick(min(len(chunks) * CHUNK, total))
                    progress.show()
            except KeyboardInterrupt:
                return (chains or [joined(chunks, settings)]), True
            chains.append(joined(chunks, settings))
    return chains, False


def joined(chunks: list[tuple[np.ndarray, ...]], settings: Settings) -> Chain:
    """The draws of a chain after tuning."""
    if not chunks:
        return Chain(np.empty((0, 0)), np.empty((0, 0)), np.empty(0), {})
    columns = [np.concatenate(c)[settings.tune : settings.tune + settings.draws] for c in zip(*chunks, strict=True)]
    stats = {name: c.astype(float) for name, c in zip(_FIELDS.values(), columns[2:], strict=True)}
    return Chain(columns[0], columns[1], -stats.pop("lp"), stats)


def divergences(chains: list[Chain]) -> list[Note]:
    """What to say of trajectories that went astray."""
    stray = [c.stats["diverging"] for c in chains if len(c.value)]
    count, total = sum(int(s.sum()) for s in stray), sum(len(s) for s in stray)
    if not count:
        return []
    text = (
        f"{count} of {total} transitions diverged, so a part of the posterior may be missing: tune longer (tune=), "
        'give narrower priors, or use engine="mcmc"'
    )
    return [trouble("divergences", text)]
