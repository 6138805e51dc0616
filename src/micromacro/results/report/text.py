"""A report as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from ..fitted import Fitted
from ..folding import wrapped
from .sections import Piece, pieces


def text_report(fit: Fitted, ci: float) -> str:
    """The whole report as text."""
    return laid_out(pieces(fit, ci))


def laid_out(report: Sequence[Piece]) -> str:
    """Pieces of a report as text, no line longer than a page is wide."""
    return "\n".join(line for piece in report for line in LAYOUT[piece.kind](piece))


def _heading(piece: Piece) -> list[str]:
    return [line for text in piece.lines for line in wrapped(text, hanging="  ")]


def _formula(piece: Piece) -> list[str]:
    return ["", *(line for text in piece.lines for line in wrapped(" ".join(text.split()), "  ", "    ")), ""]


def _facts(piece: Piece) -> list[str]:
    return [line for text in piece.lines for line in wrapped(text, "  ", "    ")]


def _table(piece: Piece) -> list[str]:
    assert piece.table is not None
    return ["", *piece.lines, format_table(piece.table)]


def _figures(piece: Piece) -> list[str]:
    return ["", *piece.lines]


def _verdict(piece: Piece) -> list[str]:
    return ["", *(line for text in piece.lines for line in wrapped(text, hanging="    "))]


LAYOUT: dict[str, Callable[[Piece], list[str]]] = {
    "heading": _heading, "formula": _formula, "facts": _facts, "table": _table, "figures": _figures,
    "verdict": _verdict,
}  # fmt: skip


def format_table(table: pd.DataFrame) -> str:
    """A table as text: four significant digits, whole effective sample sizes, no name above the index."""
    shown = table.copy()
    shown.index.name = None
    formatters = {c: formatter(str(c)) for c in shown.columns}
    return shown.to_string(formatters=formatters, na_rep="")


def formatter(column: str) -> Callable[[float], str]:
    """How numbers of a column are written."""
    if column.startswith("ess"):
        return lambda v: f"{v:.0f}"
    if column == "p":
        return lambda v: f"{v:.3f}" if v >= 0.0005 else "<0.001"
    if column == "fixed":
        return lambda v: "fixed" if v else ""
    if column in ("z",):
        return lambda v: f"{v:.2f}"
    if column == "r_hat":
        return lambda v: f"{v:.4f}"
    return lambda v: f"{v:.4f}" if abs(v) < 1000 else f"{v:.1f}"
