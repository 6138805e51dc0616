"""The one door to packages that only some users need."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from .errors import MicromacroError


class MissingExtraError(MicromacroError, ImportError):
    """A part of micromacro was used whose packages are not installed; the message says what to install."""


def require(name: str, extra: str) -> ModuleType:
    """Import an optional package, or say how to install it.

    Parameters
    ----------
    name : str
        Module to import, dots allowed: ``"matplotlib.pyplot"``.
    extra : str
        The extra of micromacro that brings it: ``"plots"``.

    Returns
    -------
    module
        The module named, not its topmost package.

    Raises
    ------
    MissingExtraError
        The package is not installed. It is an `ImportError` too.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise  # the package is there, and something that it needs itself is not
        message = f'This needs the package {package!r}. Install it with: pip install "micromacro[{extra}]"'
        raise MissingExtraError(message, name=name) from error
