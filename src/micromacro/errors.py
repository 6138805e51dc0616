"""Every error that micromacro raises on purpose: one base and four children.

The four say where to look: the formula's text, the tables, the model that they make together, or the
engine that fits it. Warnings share one class, so that users can filter them by it.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

_AROUND = 100
"""How many characters of a very long formula are shown before and after the place that an error marks."""


class MicromacroError(Exception):
    """Base of all errors that micromacro raises on purpose."""


class FormulaError(MicromacroError):
    """The text of a formula cannot be read, or asks for something that does not exist.

    Parameters
    ----------
    message : str
        What is wrong and what to do.
    text : str
        The whole formula.
    start, stop : int, optional
        Place in `text` that the message is about, as a half-open range of characters.
    """

    def __init__(self, message: str, text: str = "", start: int | None = None, stop: int | None = None):
        self.message = message
        self.text = text
        self.start = start
        self.stop = stop
        super().__init__(self._render())

    def __reduce__(self):
        return type(self), (self.message, self.text, self.start, self.stop)

    def _render(self) -> str:
        if not self.text or self.start is None:
            return self.message
        start = min(self.start, len(self.text))
        stop = max(start + 1, self.stop if self.stop is not None else start + 1)
        line_start = self.text.rfind("\n", 0, start) + 1
        line_stop = self.text.find("\n", start)
        line_stop = len(self.text) if line_stop < 0 else line_stop
        line = self.text[line_start:line_stop]
        width = max(1, min(stop, line_stop + 1) - start)
        line, place = _clipped(line, start - line_start)
        return f"{self.message}\n\n    {line}\n    {' ' * place}{'^' * min(width, len(line) + 1 - place)}"


def _clipped(line: str, place: int) -> tuple[str, int]:
    """A line of a formula, of a very long one what stands around the place, and where the place is in it."""
    first = max(0, place - _AROUND)
    if len(line) <= 2 * _AROUND:
        return line, place
    before, after = "... " if first else "", " ..." if place + _AROUND < len(line) else ""
    return f"{before}{line[first : place + _AROUND]}{after}", place - first + len(before)


class DataError(MicromacroError):
    """A table cannot be used: the message names the column, the rows and the remedy.

    Parameters
    ----------
    message : str
    left_out : Note, optional
        Where ``missing="drop"`` leaves no group: what is said of them if there are others elsewhere.
    """

    def __init__(self, message: str, left_out: Any = None):
        super().__init__(message)
        self.left_out = left_out


class ModelError(MicromacroError):
    """Formula, tables, family and priors do not make a model together."""


class CollinearError(ModelError):
    """Columns of coefficients are linear combinations of others.

    Parameters
    ----------
    message : str
    names : dict of str to str
        The coefficients without which those that are left can be told apart, and what to say of each.
    """

    def __init__(self, message: str, names: dict[str, str] | None = None):
        self.names = names or {}
        super().__init__(message)


class EngineError(MicromacroError):
    """A fit cannot be started, or was asked for what its engine does not provide."""


class LostWorkerError(EngineError):
    """A worker of ``executor=`` failed; the message says from where to fit again."""


class FileError(MicromacroError, OSError):
    """A fit cannot be written to a file, or the file cannot be trusted; the message says what to do."""


class ArgumentError(ModelError, TypeError):
    """A call that the function does not take: of an argument that it does not have the message says which was meant."""


class MicromacroWarning(UserWarning):
    """Something that does not stop the fit but that the user should know."""


def warn(message: str) -> None:
    """Warn the user, at the line of theirs that called micromacro."""
    frame, depth = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
        frame, depth = frame.f_back, depth + 1
    warnings.warn(message, MicromacroWarning, stacklevel=depth)
