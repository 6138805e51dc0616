"""A parsed formula, printed whole: what the parser understood, in the language's own words."""

from __future__ import annotations

import pytest

from micromacro.language.nodes import Formula, MemberCall, Name, UnitCall
from micromacro.language.printing import to_text, wilkinson_text


def _fixes(fixes) -> list[str]:
    return [f"fix({to_text(f.term)}, {f.value!r})" for f in fixes]


def _member(m: MemberCall) -> str:
    parts = [to_text(m.member), to_text(m.group)]
    if m.covariates or m.intercept or m.fixes:
        parts.append(" + ".join([wilkinson_text(m.covariates, m.intercept), *_fixes(m.fixes)]))
    parts += [f"weights={to_text(m.weights)}"] if m.weights is not None else []
    parts += [f"normalize={m.normalize}"] if m.normalize else []
    parts += [f"aggregate={to_text(m.aggregate)}"] if m.aggregate != Name("sum") else []
    parts += [f"effects={to_text(m.effects)}"] if m.effects != Name("iid") else []
    parts += ["signed=yes"] if m.signed else []
    parts += [f"name={m.name}"] if m.name else []
    parts += [f'parameters="{" ".join(m.parameters)}"'] if m.parameters else []
    return f"mm({', '.join(parts)})"


def _unit(u: UnitCall) -> str:
    terms = wilkinson_text(u.slopes, u.intercept)
    if u.name is None and u.effects == Name("iid"):
        return f"({terms} {'|' if u.correlated else '||'} {to_text(u.unit)})"
    parts = [to_text(u.unit), terms]
    parts += [f"effects={to_text(u.effects)}"] if u.effects != Name("iid") else []
    parts += [f"name={u.name}"] if u.name else []
    return f"hm({', '.join(parts)})"


def printed_formula(formula: Formula) -> str:
    """All of a formula: fixed terms, mm(), units, offsets, fixed coefficients; defaults are left out."""
    terms = [wilkinson_text(formula.fixed, formula.intercept)]
    terms += map(_member, formula.members)
    terms += map(_unit, formula.units)
    terms += [f"offset({to_text(node)})" for node in formula.offsets]
    terms += _fixes(formula.fixes)
    return f"{to_text(formula.outcome)} ~ {' + '.join(terms)}"


@pytest.fixture(scope="session")
def printed():
    """Prints a parsed formula."""
    return printed_formula
