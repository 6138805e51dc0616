"""The table of engines: a new one is a file beside this one and a row here."""

from __future__ import annotations

import difflib
from numbers import Integral

from ..errors import EngineError
from ..model.specification import Specification
from .approximate import fit_laplace
from .base import Engine, Outcome, Settings
from .likelihood.gaussian import fit_ml, fit_reml
from .mcmc.engine import fit_mcmc
from .nuts.engine import fit_nuts
from .threads import one_blas_thread

ENGINES: dict[str, Engine] = {
    "mcmc": fit_mcmc, "laplace": fit_laplace, "ml": fit_ml, "reml": fit_reml, "nuts": fit_nuts,
}  # fmt: skip

#: Engines that use no prior unless one is given.
LIKELIHOOD = ("ml", "reml")


def check_engine(engine: str) -> str:
    """The engine's name, or an error that lists the engines."""
    if engine not in ENGINES:
        near = difflib.get_close_matches(str(engine), ENGINES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise EngineError(f"there is no engine {engine!r}{hint}; choose from {', '.join(ENGINES)}")
    return engine


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


def run_engine(engine: str, specification: Specification, settings: Settings) -> Outcome:
    """Fit a specification by the engine of that name."""
    with one_blas_thread():
        return ENGINES[check_engine(engine)](specification, settings)
