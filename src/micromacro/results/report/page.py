"""A report as one HTML file that needs nothing else: no network, no script."""

from __future__ import annotations

import base64
import io
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..._optional import MissingExtraError
from ...errors import FileError, MicromacroError
from ..fitted import Fitted
from ..labels import percent
from .explain import equations
from .mathml import to_mathml
from .sections import formulas, heading, health_lines, likelihood_line, tables
from .text import formatter
from .words import counts, weight_lines

MOST = 200  # rows of a table behind a picture
SUFFIXES = (".html", ".htm")
STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --soft: #595959; --line: #d0d0d0; --paper: #ffffff; --mark: #9c2b00; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececec; --soft: #b4b4b4; --line: #4a4a4a; --paper: #161616; --mark: #ff9d6b; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; }
h2 { font-size: 1.2rem; border-bottom: 1px solid var(--line); margin-top: 2rem; }
h3 { font-size: 1rem; }
pre { white-space: pre-wrap; background: color-mix(in srgb, var(--ink) 6%, var(--paper));
  padding: .75rem; margin: 0 0 1rem; }
.wide { overflow-x: auto; overflow-y: hidden; max-width: 100%; }
table { border-collapse: collapse; font-size: .85rem; overflow-wrap: normal; }
th, td { padding: .2rem .45rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child { text-align: left; }
dt { font-weight: 600; } dd { margin: 0 0 .6rem 1rem; }
figure { margin: 1rem 0; } figure img { max-width: 100%; height: auto; background: #fff; }
figcaption, .soft { color: var(--soft); font-size: .9rem; }
.bad { color: var(--mark); font-weight: 600; }
math[display="block"] { width: max-content; margin: 0; padding: .1rem 0; } .term { padding-left: 2rem; }
@media print {
  body { max-width: none; font-size: 10pt; } h2, figure, table { break-inside: avoid; } details { display: block; }
}
"""


@dataclass(frozen=True)
class Picture:
    """A picture of a report.

    Attributes
    ----------
    title, alt : str
        ``alt`` says what is drawn, for whoever cannot see it.
    svg : str
    table : DataFrame
        The numbers behind it.
    """

    title: str
    alt: str
    svg: str
    table: pd.DataFrame


def write_page(fit: Fitted, path: Any, ci: float) -> Path:
    """Write the report of a fit.

    Raises
    ------
    FileError
        Where `path` does not end in .html, or cannot be written.
    """
    place = Path(path)
    if place.suffix.lower() not in SUFFIXES:
        raise FileError(f"a report is written to a file that ends in .html, not {place.name!r}")
    text = page(fit, ci)
    try:
        place.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FileError(f"{place}: the report cannot be written there: {error.strerror or error}") from error
    return place


def page(fit: Fitted, ci: float) -> str:
    """The whole file as text."""
    title = f"{fit.specification.outcome_name}: {heading(fit)}"
    parts = [
        f"<h1>{escape(heading(fit))}</h1>",
        *_verdict(fit),
        *_model(fit),
        *_sentences(fit, ci),
        *_tables(fit, ci),
        *_pictures(fit, ci),
        *_colophon(fit),
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n" + "\n".join(parts) + "\n</main>\n</body>\n</html>\n"
    )


def _verdict(fit: Fitted) -> Iterator[str]:
    first, *rest = health_lines(fit)
    yield f'<p class="{"soft" if fit.health.ok else "bad"}">{escape(first)}</p>'
    if rest:
        yield "<h2>Verdict</h2>\n<ul>"
        for line in rest:
            text = line.strip()
            cls = ' class="bad"' if text.startswith("!") else ""
            yield f"<li{cls}>{escape(text.lstrip('!- '))}</li>"
        yield "</ul>"


def _model(fit: Fitted) -> Iterator[str]:
    s = fit.specification
    yield "<h2>Model</h2>"
    yield from (f"<pre>{escape(' '.join(text.split()))}</pre>" for text in formulas(fit))
    for line in equations(s):
        if "=" in line or "~" in line:  # a predictor has a line for each term
            first, *more = (to_mathml(part.strip()) for part in line.splitlines())
            yield "".join(
                [f'<div class="wide">{first}</div>', *(f'<div class="wide term">{one}</div>' for one in more)]
            )
        else:
            yield f'<p class="soft">{escape(line.strip())}</p>'
    yield "<h2>Data</h2>\n<ul>"
    yield from (f"<li>{escape(line)}</li>" for line in (*counts(s), *weight_lines(s)))
    yield "</ul>"


def _sentences(fit: Fitted, ci: float) -> Iterator[str]:
    table = fit.interpret(ci)
    if len(table) == 0:
        return
    yield "<h2>What the estimates say</h2>\n<dl>"
    for name, sentence in zip(table.index, table["sentence"], strict=True):
        yield f"<dt>{escape(str(name))}</dt><dd>{escape(sentence)}</dd>"
    yield "</dl>"


def _tables(fit: Fitted, ci: float) -> Iterator[str]:
    yield f"<h2>Estimates ({percent(ci)} intervals)</h2>"
    for title, table in tables(fit, ci):
        yield f"<h3>{escape(title)}</h3>\n{_table(table, title)}"
    line = likelihood_line(fit)
    if line:
        yield f"<p>{escape(line)}</p>"


def _table(table: pd.DataFrame, caption: str) -> str:
    """A table that scrolls within itself where the screen is narrow."""
    shown = table.rename_axis(index=[None] * table.index.nlevels, columns=None)
    formatters: Any = {c: formatter(str(c)) for c in shown.select_dtypes("number").columns}
    body = shown.to_html(formatters=formatters, na_rep="", border=0, escape=True)
    head, rest = body.split("<tbody>")
    head = re.sub(r"<th(?!ead)", '<th scope="col"', head.replace("<th></th>", "<td></td>"))
    rest = rest.replace("<th", '<th scope="row"')
    label = escape(caption, quote=True)
    return f'<div class="wide" role="region" tabindex="0" aria-label="{label}">{head}<tbody>{rest}</div>'


# -- pictures ----------------------------------------------------------------------------------------------------------


def _pictures(fit: Fitted, ci: float) -> Iterator[str]:
    yield "<h2>Pictures</h2>"
    try:
        for number, picture in enumerate(pictures(fit, ci)):
            data = base64.b64encode(picture.svg.encode()).decode()
            yield (
                f'<figure><img alt="{escape(picture.alt, quote=True)}" src="data:image/svg+xml;base64,{data}">'
                f"<figcaption>{escape(picture.title)}</figcaption></figure>\n<details><summary>Numbers behind "
                f"picture {number + 1}</summary>{_rows(picture)}</details>"
            )
    except MissingExtraError as error:
        yield f'<p class="soft">No pictures: {escape(str(error))}</p>'


def _rows(picture: Picture) -> str:
    left = len(picture.table) - MOST
    more = f'<p class="soft">{left:,} further rows are left out.</p>' if left > 0 else ""
    return _table(picture.table.head(MOST), f"Numbers behind: {picture.title}") + more


def pictures(fit: Fitted, ci: float) -> Iterator[Picture]:
    """Coefficients, weights, effects and residuals, as far as the model has them."""
    s, plot, level = fit.specification, fit.plot, percent(ci)
    table = fit.summary(ci)
    point = fit.posterior.words.point
    inner = [p.name for p in s.parameters if p.kind == "b" and np.isfinite(table.loc[p.name, "lower"])]
    if inner:
        some = table.loc[inner, [point, "lower", "upper"]]
        words = "; ".join(f"{n} {some.loc[n, point]:.3g}" for n in inner[:8])
        yield Picture(
            f"Coefficients with {level} intervals", f"Points with intervals of {len(inner)} coefficients: {words}.",
            _svg(plot.coefficients(ci=ci)), some,
        )  # fmt: skip
    for name, block in s.members.items():
        if not any(not p.fixed for p in block.weight_parameters):
            continue
        try:
            drawn = plot.weights(block=name, ci=ci)
        except MicromacroError:
            continue  # weights that no numeric column moves
        covariate = drawn.get_xlabel()
        yield Picture(
            f"Weights of {name} against {covariate}, with the weight function and its {level} interval",
            f"Dots: weights of all memberships of {name} against {covariate}. A line with a band: the weight function.",
            _svg(drawn), fit.weights(name, ci).reset_index(drop=True),
        )  # fmt: skip
    for name in s.structures:
        effects = fit.random_effects(name, ci)
        values = effects[point].to_numpy(dtype=float)
        if not np.any(values):
            continue  # an sd of zero leaves nothing to draw
        yield Picture(
            f"Effects of {name}, ordered, with {level} intervals",
            f"{len(effects)} effects of {name} in order, from {values.min():.3g} to {values.max():.3g}, on "
            "the scale of the linear predictor.",
            _svg(_first(plot.effects(name, ci=ci))), effects,
        )  # fmt: skip
    try:
        kind = "quantile"
        residuals = fit.residuals(kind)
        drawn = _first(plot.residuals())
    except MicromacroError:
        return
    yield Picture(
        "Residuals",
        f"Quantile residuals of {len(residuals)} outcomes against the linear predictor, with lines at -2, 0 and 2.",
        _svg(drawn), residuals.to_frame(kind),
    )  # fmt: skip


def _first(drawn: Any) -> Any:
    """An Axes of what a plot returned."""
    return np.atleast_1d(np.asarray(drawn, dtype=object)).ravel()[0]


def _svg(ax: Any) -> str:
    """The figure of an Axes as SVG, the same for the same picture; the figure is closed."""
    import matplotlib as mpl

    figure, room = ax.figure, io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "micromacro", "svg.fonttype": "path"}):
        figure.savefig(room, format="svg", metadata={"Date": None})
    try:
        import matplotlib.pyplot as plt

        plt.close(figure)
    except ImportError:
        pass  # a figure that no backend holds
    return room.getvalue()


# -- how it was made ---------------------------------------------------------------------------------------------------


def _colophon(fit: Fitted) -> Iterator[str]:
    ours = version("micromacro")
    others = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "pandas"))
    yield (
        "<h2>How to cite, and with what this was made</h2>\n"
        f"<p>micromacro {escape(ours)} (Python software, Apache-2.0). The model: Rosche, B. (2026), "
        '<a href="https://doi.org/10.31235/osf.io/4bafr_v2">doi:10.31235/osf.io/4bafr_v2</a>.</p>\n'
        f'<p class="soft">micromacro {escape(ours)}, Python {platform.python_version()}, {escape(others)}; engine '
        f"{escape(fit.engine)}, {fit.seconds:.1f} s.</p>"
    )
