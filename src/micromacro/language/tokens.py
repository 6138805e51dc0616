"""Text to tokens; every token keeps its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import FormulaError

_PATTERN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<number>([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?)
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


MOST_TOKENS = 20_000
"""How many names, numbers and signs a formula may have."""

_NEVER = re.compile("[\x00\ud800-\udfff]")


class Tokens:
    """The tokens of a text, ended by one of kind ``end``; each is read when it is first asked for."""

    def __init__(self, text: str):
        never = _NEVER.search(text)
        if never:
            raise FormulaError(
                f"{never.group()!r} cannot occur in a formula, not even between quotes: rename the column", text,
                never.start(), never.end(),
            )  # fmt: skip
        self._read: list[Token] = []
        self._rest = _tokens(text)

    def __getitem__(self, place: int) -> Token:
        while place >= len(self._read):
            self._read.append(next(self._rest))
        return self._read[place]


def _tokens(text: str) -> Iterator[Token]:
    at = count = 0
    while at < len(text):
        match = _PATTERN.match(text, at)
        if match is None:
            raise FormulaError(_trouble(text, at), text, at, at + 1)
        kind = match.lastgroup or "op"
        if kind != "space":
            count += 1
            if count > MOST_TOKENS:
                raise FormulaError(
                    f"this formula has more than {MOST_TOKENS} names, numbers and signs: compute columns beforehand",
                    text, at, at + 1,
                )  # fmt: skip
            yield Token(kind, match.group(), at, match.end())
        at = match.end()
    yield Token("end", "", len(text), len(text))


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
