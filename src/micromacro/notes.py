"""Notes on tables, models and fits, as records that code can query and people can read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NoReturn

Severity = Literal["remark", "caution", "trouble"]


class Note(str):
    """A sentence for the user that knows what kind it is and what it is about.

    It reads as its text wherever text is wanted. Code that has to decide asks for `code`, `severity` and `about`, and
    never reads the text.

    Parameters
    ----------
    code : str
        What kind of note it is, in a word or two joined by hyphens: ``"separated"``, ``"r-hat"``.
    severity : {"remark", "caution", "trouble"}
        A remark is worth knowing; a caution should not be overlooked; a trouble makes numbers of the fit unusable.
    about : tuple of str
        Names of the parameters (or blocks, or columns) concerned; empty where it is about all of them.
    text : str
    """

    __slots__ = ("about", "code", "severity")
    code: str
    severity: Severity
    about: tuple[str, ...]

    def __new__(cls, code: str, severity: Severity, about: Iterable[str], text: str) -> Note:
        if severity not in ("remark", "caution", "trouble"):
            raise ValueError(f"a note is a remark, a caution or a trouble, not {severity!r}")
        note = super().__new__(cls, text)
        for name, value in (("code", code), ("severity", severity), ("about", tuple(about))):
            object.__setattr__(note, name, value)
        return note

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError("a note does not change: make another one")

    def __getnewargs__(self) -> tuple[str, Severity, tuple[str, ...], str]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return (self.code, self.severity, self.about, self.text)

    def __reduce__(self):
        return Note, self.__getnewargs__()

    @property
    def text(self) -> str:
        """The sentence."""
        return str.__str__(self)

    def plain(self) -> dict[str, Any]:
        """The four fields, as a file holds them; ``Note(**plain)`` is the note again."""
        return {"code": self.code, "severity": self.severity, "about": self.about, "text": self.text}


def named(names: Sequence[str]) -> str:
    """The first few of some parameters, and how many more there are."""
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def remark(code: str, text: str, *about: str) -> Note:
    """A note that is worth knowing."""
    return Note(code, "remark", about, text)


def caution(code: str, text: str, *about: str) -> Note:
    """A note that should not be overlooked: users are warned."""
    return Note(code, "caution", about, text)


def trouble(code: str, text: str, *about: str) -> Note:
    """A note that numbers of the fit should not be read as they stand: users are warned, and the fit is not ok."""
    return Note(code, "trouble", about, text)
