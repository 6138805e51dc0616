"""Multiple-membership multilevel models whose weights are estimated.

The public names, each imported when it is first used, so that ``import micromacro`` costs nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import datasets, errors, families, memberships, simulate
    from . import priors as prior
    from ._optional import MissingExtraError as MissingExtraError
    from .api import aggregations as aggregations
    from .api import compare as compare
    from .api import fit as fit
    from .api import load as load
    from .api import table as table
    from .effects.relationship import pedigree as pedigree
    from .engines.health import Health as Health
    from .errors import ArgumentError as ArgumentError
    from .errors import CollinearError as CollinearError
    from .errors import DataError as DataError
    from .errors import EngineError as EngineError
    from .errors import FileError as FileError
    from .errors import FormulaError as FormulaError
    from .errors import LostWorkerError as LostWorkerError
    from .errors import MicromacroError as MicromacroError
    from .errors import MicromacroWarning as MicromacroWarning
    from .errors import ModelError as ModelError
    from .families.base import Family as Family
    from .model.public import Model as Model
    from .notes import Note as Note
    from .partitioned.fit import PartitionedFit as PartitionedFit
    from .posterior.evidence import Evidence as Evidence
    from .priors import Prior as Prior
    from .results.criticism.elpd import Elpd as Elpd
    from .results.fit import Fit as Fit
    from .results.store import SavedFile as SavedFile
    from .results.store import SavedResults as SavedResults
    from .results.verbs.aggregations import Aggregations as Aggregations
    from .results.verbs.bootstrap import Bootstrap as Bootstrap
    from .results.verbs.check import Check as Check
    from .results.verbs.check import Finding as Finding
    from .results.verbs.hypotheses import WaldTest as WaldTest
    from .results.verbs.inference import LikelihoodRatio as LikelihoodRatio
    from .results.verbs.members import Members as Members
    from .simulate.model import Simulation as Simulation

    __version__: str

__all__ = [
    "Aggregations",
    "ArgumentError",
    "Bootstrap",
    "Check",
    "CollinearError",
    "DataError",
    "Elpd",
    "EngineError",
    "Evidence",
    "Family",
    "FileError",
    "Finding",
    "Fit",
    "FormulaError",
    "Health",
    "LikelihoodRatio",
    "LostWorkerError",
    "Members",
    "MicromacroError",
    "MicromacroWarning",
    "MissingExtraError",
    "Model",
    "ModelError",
    "Note",
    "PartitionedFit",
    "Prior",
    "SavedFile",
    "SavedResults",
    "Simulation",
    "WaldTest",
    "__version__",
    "aggregations",
    "compare",
    "datasets",
    "errors",
    "families",
    "fit",
    "load",
    "memberships",
    "pedigree",
    "prior",
    "simulate",
    "table",
]

_MODULES = {
    "datasets": "datasets",
    "errors": "errors",
    "families": "families",
    "memberships": "memberships",
    "prior": "priors",
    "simulate": "simulate",
}
_HOMES = {
    "Aggregations": "results.verbs.aggregations",
    "Bootstrap": "results.verbs.bootstrap",
    "Check": "results.verbs.check",
    "ArgumentError": "errors",
    "CollinearError": "errors",
    "DataError": "errors",
    "Elpd": "results.criticism.elpd",
    "EngineError": "errors",
    "Evidence": "posterior.evidence",
    "Family": "families.base",
    "FileError": "errors",
    "Finding": "results.verbs.check",
    "Fit": "results.fit",
    "FormulaError": "errors",
    "Health": "engines.health",
    "LikelihoodRatio": "results.verbs.inference",
    "LostWorkerError": "errors",
    "Members": "results.verbs.members",
    "MicromacroError": "errors",
    "MicromacroWarning": "errors",
    "MissingExtraError": "_optional",
    "Model": "model.public",
    "ModelError": "errors",
    "Note": "notes",
    "PartitionedFit": "partitioned.fit",
    "Prior": "priors",
    "SavedFile": "results.store",
    "SavedResults": "results.store",
    "Simulation": "simulate.model",
    "WaldTest": "results.verbs.hypotheses",
    "aggregations": "api",
    "compare": "api",
    "fit": "api",
    "load": "api",
    "pedigree": "effects.relationship",
    "table": "api",
}


class _Package(ModuleType):
    """The package, whose `table` stays the function although importing the subpackage of that name would set it."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name == "table" and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value = import_module(f"{__name__}.{_MODULES[name]}")
    elif name in _HOMES:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    elif name == "__version__":
        value = _version()
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # slow to import, and rarely asked for

    try:
        return version(__name__)
    except PackageNotFoundError:  # read from a source tree that is not installed
        return "0+unknown"
