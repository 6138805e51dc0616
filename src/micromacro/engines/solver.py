"""Whether ml, reml and laplace factorise a matrix or iterate: decided by counting, or by the user."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from ..errors import EngineError
from ..latent.representation.choice import Side, Solver
from ..model.specification import Specification
from .marginals import too_much, with_factor, with_order

MOST_COLUMNS = 500  # coefficients whose columns are kept dense


def with_solver(
    specification: Specification, side: Side | None, solver: Solver | None, seed: int | None = None
) -> Specification:
    """The same model, its likelihood to be maximised as asked, or (None) as takes fewer operations.

    `seed` is that of the probes of a likelihood by iteration.

    Raises
    ------
    EngineError
        Where side or solver are unknown, or the model has no likelihood by iteration.
    """
    if solver == "iterative" and side is not None:
        raise EngineError('factor= says what is factorised, and solver="iterative" factorises nothing: give one')
    if _without_factor(specification, solver) and side is None:
        return replace(specification, factor="none", seed=seed or 0)
    return with_factor(specification, side)


def with_solver_of_draws(specification: Specification, solver: Solver | None, seed: int | None) -> Specification:
    """The same for an approximation of the posterior, which has H itself as its factor if it has one."""
    if _without_factor(specification, solver):
        return replace(specification, factor="none", seed=seed or 0)
    return with_order(specification)


def _without_factor(specification: Specification, solver: Solver | None) -> bool:
    """Whether a likelihood is had by iteration, asked for or by counting."""
    if solver is not None and solver not in get_args(Solver):
        raise EngineError(f'solver= is "direct" or "iterative", or None (by counting operations), not {solver!r}')
    if solver == "iterative" and (reason := impossible(specification)):
        raise EngineError(f'solver="iterative" {reason}: leave it out')
    return solver == "iterative" or (solver is None and iterates(specification))


def impossible(specification: Specification) -> str:
    """Why the likelihood of a model cannot be had by iteration; nothing where it can."""
    system = specification.system
    if system.cross is not None or system.meeting is not None:
        return "needs an outcome per row of the linear predictor (rows of this family, or of combine=, meet)"
    if not system.n_effects:
        return "is for models with effects of members or units"
    if specification.nodes > 1:
        return "has no quadrature (nAGQ=)"
    if len(system.coefficients) > MOST_COLUMNS:
        return f"is for at most {MOST_COLUMNS} coefficients ({len(system.coefficients):,} here; make them a unit term)"
    return ""


def iterates(specification: Specification) -> bool:
    """Whether ml, reml and laplace work by iteration if nothing is asked for."""
    return not impossible(specification) and too_much(specification)
