"""The report of a fit: the model in words, then its tables, then its health."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable

import numpy as np
import pandas as pd

from ...families.response import shown
from ...language.printing import to_text
from ...model.specification import Specification
from ..fitted import Fitted
from ..labels import percent

WIDTH = 92

_NORMALISED = {
    "total": "all weights sum to the number of groups",
    "group": "weights sum to 1 in every group",
    "none": "raw weights",
}


def heading(fit: Fitted) -> str:
    """What was fitted, by which engine, on how much data."""
    s = fit.specification
    how = f"engine {fit.engine}{fit.posterior.run}"
    return f"micromacro: {s.family.name} model ({s.family.link} link), {how}, {fit.seconds:.1f} s"


def counts(s: Specification) -> list[str]:
    """Numbers of groups, members, memberships and units; the categories of an ordinal outcome."""
    lines = [f"groups {s.groups:,}" + (f" ({s.tables.group_levels.name})" if s.tables.group_levels else " (rows)")]
    if s.response.categories:
        lines.append(f"outcome {s.outcome_name}: {shown(s.response.categories, ' < ')}")
    for name, part in s.members.items():
        sizes = np.diff(part.memberships.start)
        lines.append(
            f"block {name}: {len(part.levels):,} members, {len(part.memberships.group):,} memberships, "
            f"{sizes.min()} to {sizes.max()} members per group (mean {sizes.mean():.2f})"
        )
    lines += [f"units {name}: {len(part.levels):,}" for name, part in s.units.items()]
    return lines


def weight_lines(s: Specification) -> list[str]:
    """The weight function of each block."""
    out = []
    for name, part in s.members.items():
        free = ", ".join(p.name for p in part.weight_parameters if not p.fixed) or "none"
        out.append(
            f"weights of {name}: {to_text(part.expression.node)} ({_NORMALISED[part.rule]}); free parameters: {free}"
        )
    return out


def likelihood_line(fit: Fitted) -> str | None:
    """Log-likelihood, AIC and BIC, where they exist."""
    figures = fit.posterior.figures
    if "loglik" not in figures:
        return None
    word = "restricted log-likelihood" if fit.posterior.kind.restricted else "log-likelihood"
    line = f"{word} {figures['loglik']:.3f}"
    return line if "aic" not in figures else f"{line}   AIC {figures['aic']:.2f}   BIC {figures['bic']:.2f}"


def sections(fit: Fitted, ci: float) -> list[tuple[str, pd.DataFrame]]:
    """The tables of the report: coefficients, weights, spread, variance shares."""
    table = fit.summary(ci)
    kinds = {p.name: p.kind for p in fit.specification.parameters}
    groups = {
        "Coefficients": ("b", "Intercept"),
        "Weight parameters": ("w", "aggregate"),
        "Spread (standard deviations)": ("sd", "cor", "rho", "scale", "sigma"),
        "Parameters of the family": ("shape", "phi", "nu", "cut"),
        "Baseline (log hazard per unit of time, at mean covariates)": ("baseline",),
    }
    out = []
    for title, of in groups.items():
        part = table[[kinds[name] in of for name in table.index]]
        if "fixed" in table and not np.any([p.fixed and p.kind in of for p in fit.specification.parameters]):
            part = part.drop(columns="fixed")
        if len(part):
            out.append((title, part.dropna(axis=1, how="all")))
    if fit.specification.system.kept:
        components = fit.variance_components(ci).drop(columns="sd").dropna(axis=1, how="all")
        out.append(("Share of the variance, given the covariates", components))
    return out


def health_lines(fit: Fitted) -> list[str]:
    """The verdict, troubles and remarks."""
    health = fit.health
    word = "TROUBLE" if not health.ok else "CAUTION" if health.cautions else "good"
    lines = [f"Health: {word}; {fit.posterior.verdict}"]
    lines += [f"  ! {t}" for t in health.troubles]
    lines += [f"  - {r}" for r in health.remarks]
    for name, c in health.contraction.items():
        if ".w." in name:
            lines.append(f"  - {name}: prior-to-posterior contraction {c:.2f} (0: the prior only, 1: the data only)")
    return lines + [f"  - {n}" for n in fit.specification.notes]


def text_report(fit: Fitted, ci: float) -> str:
    """The whole report as text."""
    s = fit.specification
    lines = [*wrapped(heading(fit), hanging="  "), "", *wrapped(" ".join(fit.formula.split()), "  ", "    "), ""]
    for line in counts(s) + weight_lines(s):
        lines += wrapped(line, "  ", "    ")
    for title, table in sections(fit, ci):
        lines += ["", f"{title}  ({percent(ci)} intervals)", format_table(table)]
    line = likelihood_line(fit)
    lines += ["", line] if line else []
    lines += [""]
    for line in health_lines(fit):
        lines += wrapped(line, hanging="    ")
    return "\n".join(lines)


def wrapped(text: str, indent: str = "", hanging: str = "") -> list[str]:
    """Lines of at most WIDTH characters, never broken inside a word."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
    )


def format_table(table: pd.DataFrame) -> str:
    """A table as text: four significant digits, whole effective sample sizes, no name above the index."""
    shown = table.copy()
    shown.index.name = None
    formatters = {c: _formatter(str(c)) for c in shown.columns}
    return shown.to_string(formatters=formatters, na_rep="")


def _formatter(column: str) -> Callable[[float], str]:
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


def html_report(fit: Fitted, ci: float = 0.95) -> str:
    """The report for notebooks."""
    s = fit.specification
    parts = [
        f"<h4>{html.escape(heading(fit))}</h4>",
        f"<pre>{html.escape(fit.formula)}</pre>",
        "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in counts(s) + weight_lines(s)) + "</ul>",
    ]
    for title, table in sections(fit, ci):
        formatters = {c: _formatter(str(c)) for c in table.columns}
        shown = table.rename_axis(index=None)
        parts.append(f"<h5>{html.escape(title)} ({percent(ci)} intervals)</h5>")
        parts.append(shown.to_html(formatters=formatters, na_rep=""))
    line = likelihood_line(fit)
    parts += [f"<p>{html.escape(line)}</p>"] if line else []
    parts.append("<ul>" + "".join(f"<li>{html.escape(text)}</li>" for text in health_lines(fit)) + "</ul>")
    return "<div>" + "\n".join(parts) + "</div>"
