"""What a report and an explanation say about a model in words."""

from __future__ import annotations

import numpy as np

from ...engines.marginals import with_order
from ...engines.solver import iterates
from ...families.response import shown
from ...language.printing import to_text
from ...model.specification import Specification
from ...numerics.symbolic import LARGE

_NORMALISED = {
    "total": "all weights sum to the number of groups",
    "group": "weights sum to 1 in every group",
    "none": "raw weights",
}


def counts(s: Specification) -> list[str]:
    """Numbers of groups, members, memberships and units; the categories of an ordinal outcome."""
    levels = s.tables.group_levels
    each = f" ({levels.name}), each of them one observation" if levels else ""
    sets = s.response.sets
    if sets is not None:
        each = f" ({levels.name})" if levels else ""
        each += f", alternatives in {len(sets):,} sets ({sets.name}) of {_range(sets.sizes)}"
    lines = [f"{s.tables.noun}s {s.groups:,}{each}"]
    if s.response.categories:
        lines.append(f"outcome {s.outcome_name}: {shown(s.response.categories, ', ' if s.family.nominal else ' < ')}")
    for name, part in s.members.items():
        sizes = np.diff(part.memberships.start)
        mean = f" (mean {sizes.mean():.2f})" if np.ptp(sizes) else ""
        lines.append(
            f"block {name}: {len(part.levels):,} members, {len(part.memberships.group):,} memberships, "
            f"{_range(sizes)} members per group{mean}"
        )
    lines += [f"units {name}: {len(part.levels):,}" for name, part in s.units.items()]
    return lines


def _range(sizes: np.ndarray) -> str:
    """``2 to 5``, or ``4`` where all are the same."""
    return f"{sizes.min()} to {sizes.max()}" if np.ptp(sizes) else f"{sizes.max()}"


def factor_line(s: Specification) -> list[str]:
    """What is factorised to maximise the likelihood; nothing where nothing is."""
    if not s.system.n_effects:
        return []
    if iterates(s):
        words = f"{s.system.n_effects:,} effects by conjugate gradients"
        much = f"a factorisation would take more than {_operations(LARGE)} per evaluation"
        return [f"ml and reml solve the equations of {words}: {much}"]
    chosen = with_order(s).system.representation()
    aside = f" (rows of very many effects kept aside: {chosen.border})" if chosen.border else ""
    words = f"{chosen.dimension:,} {chosen.side}{aside}, {_operations(chosen.work)} per evaluation"
    other = chosen.instead
    instead = f" (that of the {other.dimension:,} {other.side} would take {_operations(other.work)})" if other else ""
    return [f"ml and reml factorise a matrix of the {words}{instead}"]


def _operations(count: float) -> str:
    """A number of operations in words."""
    for unit, one in (("billion", 1e9), ("million", 1e6), ("thousand", 1e3)):
        if count >= one:
            return f"{count / one:,.{int(count < 10 * one)}f} {unit} operations"
    return f"{count:.0f} operations"


def weight_lines(s: Specification) -> list[str]:
    """The weight function of each block."""
    out = []
    for name, part in s.members.items():
        free = ", ".join(p.name for p in part.weight_parameters if not p.fixed) or "none"
        out.append(
            f"weights of {name}: {to_text(part.expression.node)} ({_NORMALISED[part.rule]}"
            f"{', and may be negative' if part.weighing.signed else ''}); free parameters: {free}"
        )
    return out
