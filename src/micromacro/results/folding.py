"""How wide text is."""

from __future__ import annotations

import textwrap

WIDTH = 92
"""How many characters a line of text has at most."""


def wrapped(text: str, indent: str = "", hanging: str = "") -> list[str]:
    """Lines of at most WIDTH characters, never broken inside a word."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
    )


def folded(text: str) -> str:
    """Text whose long lines go on below, further to the right."""
    lines = []
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()))
        lines += [line] if len(line) <= WIDTH else wrapped(line.lstrip(), indent, f"{indent}    ")
    return "\n".join(lines)
