"""What varies over the levels of a term: ``1 + x`` as columns of a table, and effects built from them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..effects.base import Effects, Rows, Setting
from ..effects.by import make_by
from ..effects.registry import EffectKind, effect_kind
from ..effects.several import make_several
from ..errors import FormulaError, ModelError
from ..language.nodes import Call, Name, Node
from ..language.terms import split_terms
from ..numerics.magnitude import power_of_ten
from ..table.columns import Table
from .base import Context, spread
from .design import Design, SignedTerms, make_design

ORDINARY = 2.0  # powers of ten within which the size of weights does not matter to where a search begins


@dataclass(frozen=True)
class Slopes:
    """Columns of the terms that vary.

    Attributes
    ----------
    intercept : bool
    design : Design
    """

    intercept: bool
    design: Design

    @property
    def names(self) -> tuple[str, ...]:
        """``1`` for the intercept, then the names of the columns."""
        return (("1",) if self.intercept else ()) + self.design.names

    def matrix(self, table: Table) -> np.ndarray:
        """(k, rows) array."""
        ones = [np.ones((table.n_rows, 1))] if self.intercept else []
        return np.ascontiguousarray(np.column_stack([*ones, self.design.matrix(table)]).T)


def make_slopes(intercept: bool, terms: SignedTerms, table: Table, text: str) -> Slopes:
    """Slopes of signed Wilkinson terms; factors are coded as beside an intercept unless there is none."""
    return Slopes(intercept, make_design(terms, table, text, intercept)[0])


@dataclass(frozen=True)
class Wanted:
    """What a call asks of its effects: the kind, its arguments, the terms that vary, the column of types."""

    kind: EffectKind
    arguments: tuple[Node, ...]
    node: Node
    intercept: bool = True
    terms: SignedTerms = ()
    by: Name | None = None


def read_effects(node: Node, text: str) -> Wanted:
    """Read ``effects=``; of kinds with slopes the terms that vary."""
    kind, arguments = effect_kind(node, text)
    own, varying = kind.split(arguments)
    if varying is None and (len(arguments) == 0 or kind.arguments != "terms"):
        return Wanted(kind, arguments, node)
    if varying is None:
        raise FormulaError(
            f"effects = {kind.word} takes terms joined by +, as in {kind.word}(1 + x)", text, node.span.start,
            node.span.stop,
        )  # fmt: skip
    terms, mark = split_terms(varying, text)
    intercept = mark is not False
    if not intercept and not terms:
        raise FormulaError("these effects contain no term", text, node.span.start, node.span.stop)
    return Wanted(kind, own, node, intercept, tuple(terms))


def build_effects(
    wanted: Wanted, name: str, slopes: Slopes, rows: Rows, weight: np.ndarray, context: Context, intercept: bool,
    effective: float | None = None,
) -> Effects | None:  # fmt: skip
    """Effects of a term with parameters and priors; None for ``none``.

    Parameters
    ----------
    weight : (m,) array
        Weights at the starting values: they say how many effects reach a group together.
    intercept : bool
        Whether the model has an intercept.
    effective : float, optional
        How many equal effects would spread as those of a group do together, where the rows do not say it.
    """
    _check_by(wanted, name, context.text)
    if wanted.kind.make is None:
        return None
    for term, column in zip(rows.terms, rows.z, strict=True):
        if term != "1" and slopes.intercept and len(column) > 1 and np.ptp(column) == 0.0:
            raise ModelError(
                f"the slope of {term!r} over {name!r} cannot be distinguished from its intercept: the column is "
                f"constant ({column[0]:g}); leave it out"
            )
    setting = Setting(
        name=name,
        word=wanted.kind.word,
        arguments=wanted.arguments,
        node=wanted.node,
        text=context.text,
        rows=rows,
        spread=np.array([1.0 if t == "1" else spread(z) for t, z in zip(rows.terms, rows.z, strict=True)]),
        effective=effective_number(rows.group, weight, rows.groups) if effective is None else effective,
        weight=weight,
        intercept=intercept,
        priors=context if effective is not None else replace(context, reach=reach(rows.group, weight, rows.groups)),
        sources=context.sources,
        others=context.others,
        dropped=context.dropped,
    )
    if wanted.by:
        effects = make_by(setting, wanted.by.name, wanted.kind.make)
    elif wanted.kind.alike and rows.terms != ("1",):
        effects = make_several(setting, wanted.kind.make)
    else:
        effects = wanted.kind.make(setting)
    context.others[name] = effects
    return effects


def _check_by(wanted: Wanted, name: str, text: str) -> None:
    """Types of levels are for kinds whose levels are independent of each other."""
    if wanted.by is not None and not wanted.kind.types:
        raise FormulaError(
            f"by= makes a standard deviation for each value of {wanted.by.name!r}, which effects = {wanted.kind.word} "
            f"of {name!r} cannot have: use iid or correlated, or leave by= out",
            text, wanted.by.span.start, wanted.by.span.stop,
        )  # fmt: skip


def effective_number(group: np.ndarray, w: np.ndarray, groups: int) -> float:
    """How many equal effects would spread as those of a group do together: mean of (sum w)^2 / sum w^2."""
    total, square = np.bincount(group, w, groups), np.bincount(group, w * w, groups)
    some = square > 0.0
    return float(np.mean(total[some] ** 2 / square[some])) if some.any() else 1.0


def reach(group: np.ndarray, w: np.ndarray, groups: int) -> float:
    """The power of ten next to the size of a group's weights together; 1 where that is neither large nor small."""
    largest = float(np.abs(w).max(initial=0.0))
    if not 0.0 < largest < np.inf:
        return 1.0
    square = np.bincount(group, (w / largest) ** 2, groups)
    size = float(np.log10(largest) + 0.5 * np.log10(square[square > 0.0].mean()))
    return power_of_ten(size, ORDINARY)


def of_unit(effects: Node, slopes: SignedTerms, intercept: bool, text: str) -> Wanted:
    """What a unit term asks: the kind of ``effects=``, its own terms."""
    wanted = read_effects(effects, text)
    if not slopes and intercept:
        return wanted
    span = effects.span
    if isinstance(effects, Call) and wanted.kind.split(effects.args)[1] is not None:
        raise FormulaError(
            "terms that vary are given twice: in the unit term and in effects=", text, span.start, span.stop
        )
    return Wanted(wanted.kind, wanted.arguments, wanted.node, intercept, tuple(slopes))


def correlated(wanted: Wanted, slopes: Slopes, text: str) -> Wanted:
    """The same with correlations where several columns vary (one term may make several, as a category does)."""
    if wanted.node != Name("iid") or len(slopes.names) < 2:
        return wanted
    kind, _ = effect_kind(Name("correlated", wanted.node.span), text)
    return replace(wanted, kind=kind)
