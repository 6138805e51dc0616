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
    from .api import Model as Model
    from .api import aggregations as aggregations
    from .api import compare as compare
    from .api import fit as fit
    from .api import load as load
    from .api import table as table
    from .effects.relationship import pedigree as pedigree
    from .errors import DataError as DataError
    from .errors import EngineError as EngineError
    from .errors import FormulaError as FormulaError
    from .errors import MicromacroError as MicromacroError
    from .errors import MicromacroWarning as MicromacroWarning
    from .errors import ModelError as ModelError

    __version__: str

__all__ = [
    "DataError",
    "EngineError",
    "FormulaError",
    "MicromacroError",
    "MicromacroWarning",
    "Model",
    "ModelError",
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
    "DataError": "errors",
    "EngineError": "errors",
    "FormulaError": "errors",
    "MicromacroError": "errors",
    "MicromacroWarning": "errors",
    "Model": "model.public",
    "ModelError": "errors",
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
