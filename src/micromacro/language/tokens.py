"""Text to tokens; every token keeps its place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import FormulaError

_PATTERN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<number>(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)
  | (?P<quoted>`[^`\\\n]+`)
  | (?P<text>"[^"\\\n]*"|'[^'\\\n]*')
  | (?P<name>[^\W\d]\w*(\.[^\W\d]\w*)*)
  | (?P<op>\*\*|\|\||==|!=|<=|>=|[-+*/^:%<>=~|(),])
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its kind (number, text, name, quoted, op, end), its text and its place."""

    kind: str
    text: str
    start: int
    stop: int


def tokenize(text: str) -> list[Token]:
    """All tokens of a text, ended by one of kind ``end``."""
    out: list[Token] = []
    at = 0
    while at < len(text):
        match = _PATTERN.match(text, at)
        if match is None:
            raise FormulaError(_trouble(text, at), text, at, at + 1)
        kind = match.lastgroup or "op"
        if kind != "space":
            out.append(Token(kind, match.group(), at, match.end()))
        at = match.end()
    out.append(Token("end", "", len(text), len(text)))
    return out


def _trouble(text: str, at: int) -> str:
    character = text[at]
    if character in "\"'`":
        closed = text.find(character, at + 1)
        if "\\" in text[at : closed if closed > 0 else len(text)]:
            return "a formula cannot contain a backslash, not even between quotes"
        return f"this {character} is not closed"
    if character in "[]{}":
        return f"{character!r} cannot occur in a formula: use parentheses, and columns by their name"
    return f"{character!r} has no meaning in a formula (write a name with such characters in `backticks`)"
