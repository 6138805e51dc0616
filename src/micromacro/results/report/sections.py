"""The pieces of a report in their order, whatever form it takes: one list for text and for notebooks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from ..fitted import Fitted
from ..labels import MARK, percent
from ..tables.sections import SECTIONS
from .words import counts, weight_lines


@dataclass(frozen=True, eq=False)
class Piece:
    """One piece of a report.

    Attributes
    ----------
    kind : {"heading", "formula", "facts", "table", "figures", "verdict"}
        How it is laid out.
    lines : tuple of str
        Its text; the title of a table.
    table : DataFrame, optional
    """

    kind: Literal["heading", "formula", "facts", "table", "figures", "verdict"]
    lines: tuple[str, ...]
    table: pd.DataFrame | None = None


def pieces(fit: Fitted, ci: float) -> list[Piece]:
    """The whole report: the model in words, its tables, its likelihood, its health."""
    s = fit.specification
    out = [
        Piece("heading", (heading(fit),)),
        Piece("formula", formulas(fit)),
        Piece("facts", (*counts(s), *weight_lines(s))),
    ]
    out += [Piece("table", (f"{title}  ({percent(ci)} intervals)",), table) for title, table in tables(fit, ci)]
    line = likelihood_line(fit)
    out += [Piece("figures", (line,))] if line else []
    return [*out, Piece("verdict", tuple(health_lines(fit)))]


def formulas(fit: Fitted) -> tuple[str, ...]:
    """The formula of the outcome, and those of other linear predictors."""
    return (fit.formula, *(f"{o.name}: {o.formula.text}" for o in fit.specification.reading.others))


def heading(fit: Fitted) -> str:
    """What was fitted, by which engine, on how much data."""
    s = fit.specification
    how = f"engine {fit.engine}{fit.posterior.run}"
    return f"micromacro: {s.family.name} model ({s.family.link} link), {how}, {fit.seconds:.1f} s"


def likelihood_line(fit: Fitted) -> str | None:
    """Log-likelihood, AIC and BIC, where they exist."""
    figures = fit.posterior.figures
    if "loglik" not in figures:
        return None
    word = "restricted log-likelihood" if fit.posterior.kind.restricted else "log-likelihood"
    line = f"{word} {figures['loglik']:.3f}"
    return line if "aic" not in figures else f"{line}   AIC {figures['aic']:.2f}   BIC {figures['bic']:.2f}"


def tables(fit: Fitted, ci: float) -> list[tuple[str, pd.DataFrame]]:
    """The tables with their titles: parameters by section, then shares of the variance."""
    table = fit.summary(ci)
    found = {p.name: p for p in fit.specification.parameters}
    doubtful = fit.health.doubtful
    out = []
    for section in SECTIONS:
        inside = [section.has(found[name].kind) for name in table.index]
        part = table[inside]
        if "fixed" in table and not np.any(part["fixed"]):
            part = part.drop(columns="fixed")
        if len(part):
            part = part.dropna(axis=1, how="all")
            out.append((section.title, part.rename(lambda name: name + MARK if name in doubtful else name)))
    if fit.specification.system.n_effects:
        components = fit.variance_components(ci).drop(columns="sd").dropna(axis=1, how="all")
        alone = " of the effects" if len(components) == len(fit.specification.layout.of_outcome) else ""
        out.append((f"Share of the variance{alone}, given the covariates", components))
    return out


def health_lines(fit: Fitted) -> list[str]:
    """The verdict, problems and remarks."""
    health = fit.health
    word = "PROBLEMS" if not health.ok else "CAUTION" if health.cautions else "good"
    lines = [f"Health: {word}; {fit.posterior.verdict}"]
    lines += [f"  ! {t}" for t in health.troubles]
    lines += [f"  - {r}" for r in health.remarks]
    of_weights = [p.name for p in fit.specification.weight_parameters]
    lines += [
        f"  - {name}: prior-to-posterior contraction {c:.2f} (0: the prior only, 1: the data only)"
        for name, c in health.contraction.items() if name in of_weights
    ]  # fmt: skip
    return lines + [f"  - {n}" for n in fit.specification.notes]
