"""A report for notebooks."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from ..fitted import Fitted
from .sections import Piece, pieces
from .text import formatter


def html_report(fit: Fitted, ci: float = 0.95) -> str:
    """The whole report as HTML."""
    return "<div>" + "\n".join(LAYOUT[piece.kind](piece) for piece in pieces(fit, ci)) + "</div>"


def _in(tag: str) -> Callable[[Piece], str]:
    return lambda piece: "".join(f"<{tag}>{escape(line)}</{tag}>" for line in piece.lines)


def _bold(piece: Piece) -> str:
    """Lines that stand out; headings would not fit the levels of the page around them, which nobody knows here."""
    return "".join(f"<p><strong>{escape(line)}</strong></p>" for line in piece.lines)


def _list(piece: Piece) -> str:
    return "<ul>" + "".join(f"<li>{escape(line.strip().removeprefix('- '))}</li>" for line in piece.lines) + "</ul>"


def _table(piece: Piece) -> str:
    assert piece.table is not None
    formatters = {c: formatter(str(c)) for c in piece.table.columns}
    shown = piece.table.rename_axis(index=[None] * piece.table.index.nlevels)
    return _bold(piece) + "\n" + shown.to_html(formatters=formatters, na_rep="")


def _formula(piece: Piece) -> str:
    """Formulas, which are folded where the page is narrow."""
    return "".join(f'<pre style="white-space: pre-wrap">{escape(" ".join(line.split()))}</pre>' for line in piece.lines)


LAYOUT: dict[str, Callable[[Piece], str]] = {
    "heading": _bold, "formula": _formula, "facts": _list, "table": _table, "figures": _in("p"),
    "verdict": _list,
}  # fmt: skip
