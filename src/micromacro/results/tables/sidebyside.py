r"""Fits side by side, as a paper shows them: estimates over standard errors or intervals, then statistics of the fits.

Cells are text. HTML and LaTeX are written by pandas' Styler (which needs jinja2, extra ``[tables]``), with booktabs
rules; Markdown by tabulate. Everything that is put into a cell is escaped for its format.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..._optional import require
from ...errors import EngineError, ModelError
from ...posterior.intervals import check_level, check_whole
from ..fitted import Fitted, is_fit
from ..labels import MARK, percent
from .sections import SECTIONS, section_of

FORMATS = ("dataframe", "html", "latex", "markdown")
FIT = "Fit"
LEVELS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))


@dataclass(frozen=True)
class Arrangement:
    """What the cells of a table show.

    Attributes
    ----------
    below : str
        ``se``, ``interval`` or ``none``: what stands below an estimate.
    ci : float
        Level of the intervals.
    digits : int
        Decimals.
    stars : bool
        Whether p-values of ml and reml are marked.
    labels : dict
        Parameter names to what the table calls them.
    statistics : tuple of str or None
        Which statistics of the fits; None for those that some fit has.
    """

    below: str = "se"
    ci: float = 0.95
    digits: int = 3
    stars: bool = False
    labels: Mapping[str, str] | None = None
    statistics: tuple[str, ...] | None = None


def table_of(fits: Mapping[str, Fitted], form: str, layout: Arrangement, caption: str | None, label: str | None) -> Any:
    """The table; see :func:`micromacro.table`."""
    if form not in FORMATS:
        raise EngineError(f"format= is one of {', '.join(FORMATS)}, not {form!r}")
    if layout.below not in ("se", "interval", "none"):
        raise EngineError(f'below= is "se", "interval" or "none", not {layout.below!r}')
    check_level(layout.ci)
    check_whole("digits", layout.digits, 0)
    if layout.labels is not None and not isinstance(layout.labels, Mapping):
        raise ModelError(f'labels= is a dict of parameters to names, as in {{"x": "Size"}}, not {layout.labels!r}')
    if (caption or label) and form not in ("html", "latex"):
        raise EngineError('caption= and label= are for format="html" and "latex"')
    cells = assemble_cells(fits, layout)
    notes = remarks(fits, layout)
    if form == "dataframe":
        return cells
    if form == "markdown":
        return _markdown(cells, notes)
    return (_html if form == "html" else _latex)(cells, notes, caption, label)


def named(fits: Any) -> dict[str, Fitted]:
    """Fits by the heads of their columns: (1), (2), ... without names."""
    out: dict[str, Any]
    if isinstance(fits, Mapping):
        out = {str(name): fit for name, fit in fits.items()}
    elif isinstance(fits, Iterable) and not is_fit(fits):
        out = {f"({k})": fit for k, fit in enumerate(fits, start=1)}
    else:
        out = {"(1)": fits}
    if not out:
        raise ModelError("there is no fit to put into the table")
    for name, fit in out.items():
        if not is_fit(fit):
            raise ModelError(f"{name} is a {type(fit).__name__}, not a fit; pass the object that mm.fit returns")
    return out


# -- cells -------------------------------------------------------------------------------------------------------


def assemble_cells(fits: Mapping[str, Fitted], layout: Arrangement) -> pd.DataFrame:
    """All cells as text, indexed by (section, row); what stands below an estimate has an empty row name."""
    summaries = {name: fit.summary(layout.ci) for name, fit in fits.items()}
    labels = dict(layout.labels or {})
    known = list(dict.fromkeys(n for table in summaries.values() for n in table.index))
    unknown = [n for n in labels if n not in known]
    if unknown:
        raise ModelError(f"labels= names {unknown[0]!r}, which no fit has (parameters: {', '.join(known)})")
    rows: list[tuple[str, str]] = []
    cells: list[list[str]] = []
    sections = _sections(fits)
    for section in (s.short for s in SECTIONS):
        for name in (n for n in known if sections[n] == section):
            pairs = [_cell(summaries[key], name, layout, fit.health.doubtful) for key, fit in fits.items()]
            rows.append((section, str(labels.get(name, name))))
            cells.append([top for top, _ in pairs])
            if layout.below != "none":
                rows.append((section, ""))
                cells.append([bottom for _, bottom in pairs])
    for what, values in _statistics(fits, layout):
        rows.append((FIT, what))
        cells.append(values)
    return pd.DataFrame(
        cells, pd.MultiIndex.from_tuples(rows, names=["section", "parameter"]), list(fits), dtype=object
    )


def _sections(fits: Mapping[str, Fitted]) -> dict[str, str]:
    """The section of each parameter."""
    out = {}
    for fit in fits.values():
        for p in fit.specification.parameters:
            out.setdefault(p.name, section_of(p.kind).short)
    return out


def _cell(summary: pd.DataFrame, name: str, layout: Arrangement, doubtful: frozenset[str]) -> tuple[str, str]:
    """An estimate, marked where it should not be read as it stands, and what stands below it."""
    if name not in summary.index:
        return "", ""
    row = summary.loc[name]
    value, se = float(row.iloc[0]), float(row.iloc[1])
    star = ""
    if layout.stars and "p" in summary and np.isfinite(row["p"]):
        star = next((s for level, s in LEVELS if row["p"] < level), "")
    top = number(value, layout.digits) + star + (MARK if name in doubtful else "")
    if layout.below == "interval":
        ends = [float(row["lower"]), float(row["upper"])]
        return top, "" if not np.all(np.isfinite(ends)) else "[" + ", ".join(
            number(e, layout.digits) for e in ends
        ) + "]"
    return top, f"({number(se, layout.digits)})" if math.isfinite(se) else ""


def number(value: float, digits: int) -> str:
    """A number with so many decimals, more for a small one and fewer for a large one; a true minus sign."""
    if not math.isfinite(value):
        return ""
    size = abs(value)
    if size >= 10_000:
        text = f"{value:,.0f}"
    elif 0 < size < 0.5 * 10.0**-digits:
        text = f"{value:.1e}"
    else:
        text = f"{value:.{digits}f}"
    return text.replace("-", "−")


def _statistics(fits: Mapping[str, Fitted], layout: Arrangement) -> list[tuple[str, list[str]]]:
    """Rows of statistics, those that no fit has left out."""
    chosen = UNASKED if layout.statistics is None else layout.statistics
    for name in chosen:
        if name not in STATISTICS:
            raise EngineError(f"there is no statistic {name!r}; known: {', '.join(STATISTICS)}")
    out = []
    for what in chosen:
        for row, values in _rows(what, STATISTICS[what], fits).items():
            if any(values):
                out.append((row, values))
    return out


def _rows(what: str, function: Callable[[Fitted], Any], fits: Mapping[str, Fitted]) -> dict[str, list[str]]:
    """The rows of one statistic: one, or one a block where there are several."""
    found = [function(fit) for fit in fits.values()]
    names = list(dict.fromkeys(k for f in found if isinstance(f, dict) for k in f))
    if not names:
        return {what: ["" if not f else str(f) for f in found]}  # a dict without names: no fit has such a term
    heads = {n: what if len(names) == 1 else f"{what} ({n})" for n in names}
    return {heads[n]: [str((f or {}).get(n, "")) for f in found] for n in names}


def _outcomes(fit: Fitted, noun: str) -> str | None:
    """How many outcomes there are, under the name that they have in the model."""
    return f"{fit.nobs:,}" if fit.specification.tables.noun == noun else None


def _members(fit: Fitted) -> dict[str, str]:
    return {name: f"{len(block.levels):,}" for name, block in fit.specification.members.items()}


def _memberships(fit: Fitted) -> dict[str, str]:
    return {name: f"{block.memberships.count:,}" for name, block in fit.specification.members.items()}


def _units(fit: Fitted) -> dict[str, str]:
    return {name: f"{len(unit.levels):,}" for name, unit in fit.specification.units.items()}


def _likelihood(fit: Fitted, what: str) -> str | None:
    figures = fit.posterior.figures
    return f"{figures[what]:,.1f}".replace("-", "−") if what in figures else None


def _r_hat(fit: Fitted) -> str | None:
    figures = fit.posterior.figures
    return f"{figures['r_hat']:.3f}" if "r_hat" in figures else None


def _draws(fit: Fitted) -> str | None:
    figures = fit.posterior.figures
    return f"{figures['draws']:,.0f}" if "draws" in figures else None


def _elpd(fit: Fitted) -> str | None:
    """The expected log predictive density by leave-one-out; only where it is asked for."""
    if "draws" not in fit.posterior.figures:
        return None
    loo: Any = fit.loo()
    return f"{number(loo.elpd, 1)} ({number(loo.se, 1)})"


STATISTICS: dict[str, Callable[[Fitted], Any]] = {
    "Groups": lambda fit: _outcomes(fit, "group"),
    "Observations": lambda fit: _outcomes(fit, "observation"),
    "Members": _members,
    "Memberships": _memberships,
    "Units": _units,
    "Family": lambda fit: fit.specification.family.name,
    "Engine": lambda fit: fit.engine,
    "Log-likelihood": lambda fit: _likelihood(fit, "loglik"),
    "AIC": lambda fit: _likelihood(fit, "aic"),
    "BIC": lambda fit: _likelihood(fit, "bic"),
    "Draws": _draws,
    "Largest R-hat": _r_hat,
    "ELPD": _elpd,
}
UNASKED = tuple(name for name in STATISTICS if name != "ELPD")


def remarks(fits: Mapping[str, Fitted], layout: Arrangement) -> list[str]:
    """What the numbers are."""
    words = sorted({fit.posterior.words for fit in fits.values()}, key=lambda w: w.point)
    point = " or ".join(w.points for w in words).capitalize()
    spread = " or ".join(w.spreads for w in words)
    below = {
        "se": f", {spread} in parentheses",
        "interval": f", {percent(layout.ci)} intervals in brackets",
        "none": "",
    }
    out = [f"{point}{below[layout.below]}."]
    if any(fit.health.doubtful for fit in fits.values()):
        out.append(f"{MARK.strip()} not to be read as it stands: see the verdict in the report of its fit.")
    if layout.stars:
        out.append("*** p < 0.001, ** p < 0.01, * p < 0.05 (ml and reml).")
    return out


# -- formats -----------------------------------------------------------------------------------------------------


def _markdown(cells: pd.DataFrame, notes: Sequence[str]) -> str:
    require("tabulate", "tables")
    body, section = [], None
    for (own, name), row in zip(cells.index, cells.to_numpy(), strict=True):
        if own != section:
            body.append([f"**{own}**", *[""] * cells.shape[1]])
            section = own
        body.append([_escape_markdown(name), *map(_escape_markdown, row)])
    heads = ["", *map(_escape_markdown, cells.columns)]
    plain = pd.DataFrame(body, columns=heads)
    text = plain.to_markdown(index=False, disable_numparse=True, colalign=("left", *["right"] * cells.shape[1]))
    return f"{text}\n\n{_escape_markdown(' '.join(notes))}"


def _escape_markdown(text: Any) -> str:
    out = str(text)
    for sign in "\\`*_|<[]~$":
        out = out.replace(sign, f"\\{sign}")
    return out


def _html(cells: pd.DataFrame, notes: Sequence[str], caption: str | None, label: str | None) -> str:
    import html

    styler = (
        _styler(cells).format(escape="html").format_index(escape="html", axis=0).format_index(escape="html", axis=1)
    )
    styler.set_table_attributes('class="micromacro-table"').set_table_styles(
        [{"selector": "td", "props": "text-align: right"}, {"selector": "th", "props": "text-align: left"}]
    )
    if caption:
        styler.set_caption(html.escape(caption))
    if label:
        styler.set_uuid(html.escape(label))
    return f'{styler.to_html()}\n<p class="micromacro-notes">{html.escape(" ".join(notes))}</p>\n'


def _latex(cells: pd.DataFrame, notes: Sequence[str], caption: str | None, label: str | None) -> str:
    styler = _styler(cells.map(_latex_text))
    styler.format_index(_latex_text, axis=0).format_index(_latex_text, axis=1)
    table = styler.to_latex(
        hrules=True, column_format="ll" + "r" * cells.shape[1], multirow_align="t", clines="skip-last;index",
        caption=_latex_text(caption) if caption else None, label=label, position_float="centering" if caption else None,
    )  # fmt: skip
    note = f"\\par\\smallskip {{\\footnotesize {_latex_text(' '.join(notes))}}}\n"
    end = "\\end{table}"
    return table.replace(end, note + end) if end in table else table + note


def _styler(cells: pd.DataFrame) -> Any:
    require("jinja2", "tables")
    return cells.rename_axis(index=[None, None]).style


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": r"$-$", "<": r"$<$", ">": r"$>$", "|": r"$|$",
}  # fmt: skip


def _latex_text(text: Any) -> str:
    """Text whose every character LaTeX prints as it is; a bracket after a row's end would be taken for a length."""
    out = "".join(_LATEX.get(c, c) for c in str(text))
    return f"{{{out}}}" if out.startswith("[") else out
