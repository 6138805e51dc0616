r"""Unit terms ``(1 + x | unit)``: :math:`z_i'v_{c[i]}` for the unit c that group i belongs to.

Nested units ``(1 | a / b)`` are the two terms ``(1 | a)`` and ``(1 | a:b)``; the unit ``a:b`` is made of two columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..effects.base import Effects, Rows
from ..effects.correlated import Correlated
from ..effects.iid import Independent
from ..errors import FormulaError, ModelError
from ..language.nodes import Binary, UnitCall, names_in
from ..latent.apart.divided import Divided
from ..latent.part import Equations, Term, Unit
from ..table.joined import Joined, unit_column
from ..table.levels import encode
from ..table.memberships import Tables
from .base import Context
from .pieces import Pieces
from .slopes import Slopes, build_effects, correlated, make_slopes, of_unit


@dataclass(frozen=True, eq=False)
class UnitPart(Term):
    """Effects that vary over units.

    Attributes
    ----------
    name : str
    columns : tuple of str
        The column of the unit; several for ``a:b``.
    slopes : Slopes
    structure : Effects
    joined : Joined or None
        How ids of several columns were joined.
    joins : str or None
        Its ``id=``.
    """

    name: str
    columns: tuple[str, ...]
    slopes: Slopes
    structure: Effects
    joined: Joined | None = None
    joins: str | None = None

    @property
    def column(self) -> str:
        """The unit as it is written."""
        return ":".join(self.columns)

    @property
    def unit(self) -> Unit:
        """What the effects vary over."""
        return Unit(self.column, self.structure.levels, self.structure.rows.level)

    @property
    def divided(self) -> Divided | None:
        """Its groups have their units in common, whose effects are independent given theta."""
        return Divided(self) if self.structure.divides else None

    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        row, latent, _ = self.structure.entries
        return row, latent

    def scratch(self, gradient: bool = True) -> dict[str, Any]:
        return {"pieces": Pieces.of(self.structure), "weight": np.ones(len(self.structure.rows.group))}

    def fill(self, theta: np.ndarray, scratch: Any, slots: np.ndarray, values: np.ndarray, offset: np.ndarray) -> bool:
        scratch["pieces"].fill(theta, scratch["weight"], slots, values)
        return True

    def pull(
        self, theta: np.ndarray, scratch: Any, slots: np.ndarray, slope: np.ndarray, d_offset: np.ndarray
    ) -> np.ndarray:
        return scratch["pieces"].pull(theta, scratch["weight"], slope)

    def on(self, tables: Tables) -> UnitPart:
        """The same part on other tables; unseen units get effects of their own after the known ones."""
        rows, _ = unit_rows(self.columns, self.slopes, tables, self.joined)
        return replace(self, structure=self.structure.on(rows))

    def words(self) -> Equations:
        """The effect of the group's unit, slopes times their covariates."""
        return Equations(self.effects_in_words(), tuple(self.structure.sentences()))

    def effects_in_words(self) -> tuple[str, ...]:
        """The summands of the linear predictor."""
        at = f"{self.column}[i]"
        of = self.structure.terms
        return tuple(f"u_{self.name}[{at}]" if t == "1" else f"u_{self.name}[{at},{t}] * {t}[i]" for t in of)

    def without_effects(self) -> None:
        """There is nothing else in it."""

    def raw_rows(self, tables: Tables) -> Rows:
        """The memberships of its effects on some tables, with the levels of these."""
        return unit_rows(self.columns, self.slopes, tables, self.joined)[0]


def unit_rows(
    columns: tuple[str, ...], slopes: Slopes, tables: Tables, known: Joined | None = None
) -> tuple[Rows, Joined | None]:
    """A membership of weight 1 for each group, in its unit; and how the unit's ids were joined."""
    groups = tables.groups
    column, joined = unit_column(columns, groups, known)
    codes, levels = encode(column)
    ids = tables.group_levels.values if tables.group_levels is not None else np.arange(groups.n_rows)
    rows = Rows(np.arange(groups.n_rows), codes, levels, slopes.matrix(groups), slopes.names, groups, ids)
    return rows, joined


def nested(call: UnitCall) -> Iterator[UnitCall]:
    """``(1 | a / b)`` as ``(1 | a)`` and ``(1 | a:b)``; any other unit term as it is."""
    node = call.unit
    if isinstance(node, Binary) and node.op == "/":
        yield from nested(replace(call, unit=node.left))
        inner = node.left
        while isinstance(inner, Binary) and inner.op == "/":
            inner = Binary(":", inner.left, inner.right, inner.span)
        yield replace(call, unit=Binary(":", inner, node.right, node.span))
    else:
        yield call


def build_units(call: UnitCall, context: Context, intercept: bool) -> list[UnitPart]:
    """Build ``(1 + x | unit)`` (or ``hm(unit, 1 + x)``), nested units as one part each."""
    calls = list(nested(call))
    if call.name and len(calls) > 1:
        raise FormulaError(
            "nested units are two terms, which cannot share a name: write each as a term of its own to name "
            "it", context.text,
            call.span.start, call.span.stop,
        )  # fmt: skip
    return [_build(c, context, intercept) for c in calls]


def _build(call: UnitCall, context: Context, intercept: bool) -> UnitPart:
    columns = tuple(n.name for n in names_in(call.unit))
    name = context.prefix + (call.name or ":".join(columns))
    context.claim(name, f"hm({name})")
    wanted = replace(of_unit(call.effects, call.slopes, call.intercept, context.text), by=call.by)
    slopes = make_slopes(wanted.intercept, wanted.terms, context.tables.groups, context.text)
    if call.bar and call.correlated and wanted.kind.alike and len(slopes.names) > 1:
        raise FormulaError(
            f"slopes of effects = {wanted.kind.word} are independent of the intercept: write || instead of |",
            context.text, call.span.start, call.span.stop,
        )  # fmt: skip
    if call.correlated:
        wanted = correlated(wanted, slopes, context.text)
    rows, joined = unit_rows(columns, slopes, context.tables)
    weight = np.ones(len(rows.group))
    structure = build_effects(wanted, name, slopes, rows, weight, context, intercept)
    if structure is None:
        raise ModelError(f"the unit term {name!r} with effects = none is empty: leave it out")
    known = structure.levels.values
    if type(structure) in (Independent, Correlated) and len(known) == 1:
        context.warn(
            "one-level",
            f"the unit {name!r} is {str(known[0])!r} in every {context.tables.noun}: the data say nothing about a "
            "standard deviation over units; leave the term out",
            name,
        )
    return UnitPart(name, columns, slopes, structure, joined, call.joins)
