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


def _list(piece: Piece) -> str:
    return f"<ul>{_in('li')(piece)}</ul>"


def _table(piece: Piece) -> str:
    assert piece.table is not None
    formatters = {c: formatter(str(c)) for c in piece.table.columns}
    return _in("h5")(piece) + "\n" + piece.table.rename_axis(index=None).to_html(formatters=formatters, na_rep="")


LAYOUT: dict[str, Callable[[Piece], str]] = {
    "heading": _in("h4"), "formula": _in("pre"), "facts": _list, "table": _table, "figures": _in("p"),
    "verdict": _list,
}  # fmt: skip
