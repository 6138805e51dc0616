"""A model in words and equations, before it is fitted."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ...language.printing import to_text
from ...latent.beside import predictors_of
from ...model.specification import Specification
from ..folding import folded
from .words import counts, factor_line, weight_lines

MOST = 12  # intervals of a baseline that are listed


class Explanation(str):
    """Text whose repr is the text itself; IPython and notebooks, which do not fold lines, show it with folded ones."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(folded(str(self)))


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
    numbers = predictors_of(s.system.beside, len(s.system.parts))
    names = s.family.copies(s.response) or ("eta",)
    predictors, below = [], []
    for number, name in enumerate(names):
        words = [s.system.parts[k].words() for k in s.layout.terms if numbers[k] == number]
        terms = [term for part in words for term in part.terms]
        terms += [f"offset {to_text(n)}" for n in s.formula.offsets]
        head = f"{name}[i]"
        predictors.append(f"{head} = " + (f"\n{' ' * len(head)}   + ".join(terms) or "0"))
        below += [line for part in words for line in part.below]
    predicted = {o.name for o in s.reading.others}
    own = [f"{name}[i]" if name in predicted else name for name in s.own_names]
    density = s.family.sentences(s.outcome_name, own, s.expanded)
    moving = [name for name, block in s.members.items() if block.written and block.weight_parameters]
    if s.family.has_baseline and moving:
        density.append(f"  (features of {', '.join(moving)} less their means under the starting weights)")
    return [*density, *predictors, *below, *_others(s, numbers)]


def _others(s: Specification, numbers: tuple[int, ...]) -> list[str]:
    """The equations of other linear predictors."""
    out, every = [], [s.system.parts[k].words() for k in s.layout.terms]
    for number, other in enumerate(s.reading.others, start=1):
        words = [s.system.parts[k].words() for k in s.layout.terms if numbers[k] == number]
        terms = [term for part in words for term in part.terms] + [
            t for part in every for t in part.aside.get(number, ())
        ]
        terms += [f"offset {to_text(n)}" for n in other.formula.offsets]
        out.append(f"{s.family.predictors[other.name]} {other.name}[i] = {' + '.join(terms) or '0'}")
        out += [line for part in words for line in part.below]
    return out


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
    return pd.DataFrame(columns, index=given.index)


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
        *(f"  {o.name}: {' '.join(o.formula.text.split())}" for o in s.reading.others),
        "",
    ]
    lines += [f"  {line}" for line in equations(s)]
    lines += ["", *(f"  {line}" for line in counts(s) + weight_lines(s) + factor_line(s)), ""]
    if s.expanded and s.expanded.intervals:
        lines += [*(f"  {line}" for line in _interval_lines(s)), ""]
    lines += ["Parameters and priors (the prior of Intercept is on the intercept at mean covariates)"]
    lines.append(shown.to_string(justify="left"))
    if s.notes:
        lines += ["", *(f"  - {note}" for note in s.notes)]
    return "\n".join(lines)
