"""A model in words and equations, before it is fitted."""

from __future__ import annotations

import pandas as pd

from ...language.printing import to_text
from ...model.specification import Specification
from ...terms.member.feature_part import FeaturePart, InteractionPart
from .text import counts, weight_lines

MOST = 12  # intervals of a baseline that are listed


class Explanation(str):
    """Text whose repr is the text itself."""

    def __repr__(self) -> str:
        return str(self)


def parameter_table(s: Specification) -> pd.DataFrame:
    """Every parameter with its class, prior and starting value (natural scale)."""
    rows = [
        {
            "class": p.kind,
            "prior": str(p.prior),
            "default": p.default,
            "start": p.start if not p.linear else 0.0,
        }
        for p in s.parameters
    ]
    return pd.DataFrame(rows, index=pd.Index(s.names, name="parameter"))


def equations(s: Specification) -> list[str]:
    """The model as equations in plain text."""
    terms: list[str] = []
    below: list[str] = []
    if s.fixed.intercept:
        terms.append("Intercept")
    terms += [f"b[{p.name}] * {p.name}" for p in s.fixed.parameters]
    terms += [f"{f.value:g} * {to_text(f.term)}" for f in s.formula.fixes]
    for name, part in s.members.items():
        weight = f"w_{name}[i,j]"
        below.append(f"{weight} = {to_text(part.expression.node)}, normalize = {part.rule}")
        if isinstance(part, FeaturePart):
            terms += [f"b[{p.name}] * {p.name}[i]" for p in part.parameters]
            below.append(
                f"{name}.{part.request.word}[i] = {part.request.formula}, with w = {weight} over the members j"
            )
            continue
        inside = [f"b[{p.name}] * {p.name.removeprefix(name + '.')}[j]" for p in part.parameters]
        if part.structure:
            inside += [f"u_{name}[j]" if t == "1" else f"u_{name}[j,{t}] * {t}[i,j]" for t in part.structure.terms]
            below += part.structure.sentences()
        if inside:
            terms.append(f"sum over members j of {weight} * ({' + '.join(inside)})")
    for part in s.system.parts:
        if isinstance(part, InteractionPart):
            terms += [f"b[{p.name}] * {' * '.join(p.name.split(':'))}" for p in part.parameters]
    for name, part in s.units.items():
        at = f"{part.column}[i]"
        terms += [f"u_{name}[{at}]" if t == "1" else f"u_{name}[{at},{t}] * {t}[i]" for t in part.structure.terms]
        below += part.structure.sentences()
    terms += [f"offset {to_text(n)}" for n in s.formula.offsets]
    eta = "\n         + ".join(terms) or "0"
    own = [p.name for p in s.system.hypers[s.system.family_start :]]
    density = s.family.sentences(s.outcome_name, own, s.expanded)
    moving = [name for name, block in s.members.items() if block.parameters and block.weight_parameters]
    if s.family.expands and moving:
        density.append(f"  (features of {', '.join(moving)} less their means under the starting weights)")
    return [*density, f"eta[i] = {eta}", *below]


def interval_table(s: Specification) -> pd.DataFrame:
    """Intervals of a baseline: where they begin and end, events, time at risk, hazard without covariates.

    Events and time at risk count each group as often as its observation weight says.
    """
    assert s.expanded is not None and s.expanded.intervals is not None
    given = s.expanded.intervals
    columns = {
        "interval": [f"({a:.4g}, {b:.4g}]" for a, b in zip(given.begins, given.ends, strict=True)],
        "events": given.events, "at risk": given.time, "events / at risk": given.events / given.time,
    }  # fmt: skip
    return pd.DataFrame(columns, index=[f"baseline.{k}" for k in range(1, len(given.ends) + 1)])


def _interval_lines(s: Specification) -> list[str]:
    """The intervals as lines; of many of them the first and the last."""
    table = interval_table(s)
    shown = table if len(table) <= MOST else pd.concat([table.iloc[: MOST - 2], table.iloc[-1:]])
    text = shown.to_string(float_format="{:.4g}".format).splitlines()
    if len(shown) < len(table):
        text.insert(-1, f"... {len(table) - len(shown)} more intervals")
    return ["Intervals of the baseline, per unit of time", *text]


def explain(s: Specification) -> str:
    """The model in words: equations, counts, free symbols, every parameter with its prior, remarks."""
    table = parameter_table(s)
    table["prior"] = table["prior"].where(~table["default"], table["prior"] + "  (default)")
    shown = pd.DataFrame({"prior": table["prior"], "start": table["start"].map("{:.4g}".format)})
    lines = [
        f"micromacro: {s.family.name} model, {s.family.link} link",
        "",
        f"  {' '.join(s.formula.text.split())}",
        "",
    ]
    lines += [f"  {line}" for line in equations(s)]
    lines += ["", *(f"  {line}" for line in counts(s) + weight_lines(s)), ""]
    if s.expanded and s.expanded.intervals:
        lines += [*(f"  {line}" for line in _interval_lines(s)), ""]
    lines += ["Parameters and priors (the prior of Intercept is on the intercept at mean covariates)"]
    lines.append(shown.to_string(justify="left"))
    if s.notes:
        lines += ["", *(f"  - {note}" for note in s.notes)]
    return "\n".join(lines)
