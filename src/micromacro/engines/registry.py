"""The table of engines: a new one is a file beside this one and a row here.

A row says what an engine is, so that nobody outside asks for its name.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from numbers import Integral
from typing import Literal

import numpy as np

from ..errors import EngineError
from ..model.specification import Specification
from ..numerics.memory import available, check_memory, size
from .approximate import fit_laplace
from .base import Engine, Outcome, Settings
from .kept import kept_effects
from .likelihood.engine import fit_ml, fit_reml
from .marginals import with_order, with_quadrature
from .mcmc.engine import fit_mcmc
from .nuts.engine import fit_nuts
from .solver import with_solver, with_solver_of_draws
from .threads import one_blas_thread

EvidenceMethod = Literal["bridge", "importance", "laplace"]


@dataclass(frozen=True)
class Row:
    """What an engine is.

    Attributes
    ----------
    run : Engine
    title : str
        What it does, in words.
    priors : bool
        Whether every parameter has a prior, the user's or a default; else only those that the user gave.
    draws : bool
        Whether it gives draws from the posterior; else estimates.
    exact : bool
        Whether its draws are from the posterior itself.
    chains : bool
        Whether its draws come in several chains, which can be compared.
    extends : bool
        Whether a fit can be continued with more draws.
    iterates : bool
        Whether it can do without a factor (``solver=``).
    restricted : bool
        Whether the coefficients are integrated before anything is maximised.
    evidence : EvidenceMethod
        How to get the marginal likelihood of the model from it.
    """

    run: Engine
    title: str
    priors: bool = True
    draws: bool = True
    exact: bool = True
    chains: bool = True
    extends: bool = False
    iterates: bool = False
    restricted: bool = False
    evidence: EvidenceMethod = "bridge"

    @property
    def integrates(self) -> bool:
        """Whether the coefficients are integrated: those of draws are, too."""
        return self.restricted or self.draws


ENGINES: dict[str, Row] = {
    "mcmc": Row(fit_mcmc, "draws from the posterior", extends=True),
    "laplace": Row(
        fit_laplace, "draws from an approximation of the posterior", exact=False, chains=False, iterates=True,
        evidence="laplace",
    ),
    "ml": Row(
        fit_ml, "maximum likelihood", priors=False, draws=False, exact=False, chains=False, iterates=True,
        evidence="laplace",
    ),
    "reml": Row(
        fit_reml, "restricted maximum likelihood", priors=False, draws=False, exact=False, chains=False,
        iterates=True, restricted=True, evidence="laplace",
    ),
    "nuts": Row(fit_nuts, "draws from the posterior by NumPyro"),
}  # fmt: skip


def check_engine(engine: str) -> str:
    """The engine's name, whatever its case, or an error that lists the engines."""
    name = engine.lower() if isinstance(engine, str) else engine
    if not isinstance(name, str) or name not in ENGINES:
        near = difflib.get_close_matches(str(name), ENGINES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise EngineError(f"there is no engine {engine!r}{hint}; choose from {', '.join(ENGINES)}")
    return name


def engine_of(engine: str) -> Row:
    """The row of an engine."""
    return ENGINES[check_engine(engine)]


def check_settings(settings: Settings) -> None:
    """Refuse numbers of draws and chains that make no run."""
    for name, least in (("draws", 4), ("tune", 0), ("chains", 1)):
        value = getattr(settings, name)
        if not _whole(value) or value < least:
            raise EngineError(f"{name}= must be a whole number of at least {least}, not {value!r}")
    seed = settings.random_seed
    if seed is not None and not (_whole(seed) and seed >= 0):
        raise EngineError(f"random_seed= must be a whole number from 0, or None, not {seed!r}")
    if settings.executor is not None and not hasattr(settings.executor, "submit"):
        raise EngineError(
            f"executor= takes a concurrent.futures.Executor (with a submit method), not {settings.executor!r}"
        )


def _whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def set_up(engine: str, specification: Specification, settings: Settings) -> Specification:
    """The model with what an engine's settings say about its likelihood."""
    row = engine_of(engine)
    if row.draws:
        asked = settings.solver, settings.random_seed
        return with_solver_of_draws(specification, *asked) if row.iterates else with_order(specification)
    made = with_quadrature(specification, settings.nAGQ)
    return with_solver(made, settings.factor, settings.solver, settings.random_seed)


def run_engine(engine: str, specification: Specification, settings: Settings, partial: bool = False) -> Outcome:
    """Fit a specification by the engine of that name.

    Parameters
    ----------
    partial : bool
        Whether a run that was interrupted, or that lost chains, is a result: only for a fit that the user asked for and
        gets to see. A run inside a verb is data of that verb, and must be whole.

    Raises
    ------
    KeyboardInterrupt
        Where the run was interrupted and is to be whole, or has no draw.
    EngineError
        Where chains failed and the run is to be whole.
    """
    row = engine_of(engine)
    if settings.nAGQ != 1 and (row.draws or row.restricted):
        raise EngineError(f'nAGQ= is for engine="ml", not for {engine}: leave it out')
    if settings.keep != "all" and not row.chains:
        raise EngineError(f"keep= says which draws of effects mcmc keeps, and is not for {engine}: leave it out")
    if settings.factor is not None and row.draws:
        raise EngineError(f'factor= is for engine="ml" and "reml", not for {engine}: leave it out')
    if settings.solver is not None and not row.iterates:
        raise EngineError(f'solver= is for engine="ml", "reml" and "laplace", not for {engine}: leave it out')
    specification = set_up(engine, specification, settings)
    if row.draws:
        _check_memory(specification, settings, settings.chains if row.chains else 1)
    try:
        with one_blas_thread(), np.errstate(all="ignore"):  # engines look at what is not finite themselves
            outcome = row.run(specification, settings)
    except MemoryError as error:
        raise EngineError(
            f"there is not enough memory to fit this model ({size(available())} are free; {error}): ask for fewer "
            'draws, or use engine="ml"'
        ) from error
    if not partial and outcome.draws is not None:
        if outcome.draws.interrupted:
            raise KeyboardInterrupt("a fit inside another computation was interrupted: there is no result")
        if row.chains and len(outcome.draws.theta) < settings.chains:
            raise EngineError("; ".join(outcome.draws.failures))
    return outcome


def _check_memory(specification: Specification, settings: Settings, chains: int) -> None:
    """Refuse a run whose draws have no room, before hours are spent on it."""
    kept, system = kept_effects(specification, settings.keep), specification.system
    lost = 0 if kept is None else system.n_effects - len(kept)
    if specification.factor == "none":  # their effects are drawn when they are asked for
        lost = system.n_effects
    each = system.size + len(system.hypers) - lost
    check_memory(
        2.0 * chains * settings.draws * each,  # those of the chains, and together
        f"{chains} x {settings.draws:,} draws of {each:,} parameters and effects",
        'ask for fewer draws (draws=, chains=), keep fewer effects (keep="parameters" or keep=[terms]), or use '
        'engine="ml", which has no draws',
    )
