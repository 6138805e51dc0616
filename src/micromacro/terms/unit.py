r"""Unit terms ``(1 | unit)``: :math:`v_{c[i]} = sd_v\, v^*_{c[i]}` for the unit c that group i belongs to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import FormulaError
from ..language.nodes import Name, UnitCall
from ..language.printing import to_text
from ..parameters import Parameter
from ..table.levels import Levels, encode
from ..table.memberships import Tables
from .base import Context


@dataclass(frozen=True, eq=False)
class UnitPart:
    """An intercept that varies over units.

    Attributes
    ----------
    codes : (groups,) int array
        Unit of each group; codes from ``len(levels)`` on are units that were not seen before.
    levels : Levels
    fresh : tuple
        Units that were not seen before (prediction only).
    """

    name: str
    column: str
    sd: Parameter
    codes: np.ndarray
    levels: Levels
    fresh: tuple = ()

    @property
    def hypers(self) -> tuple[Parameter, ...]:
        """The sd of the units."""
        return (self.sd,)

    @property
    def coefficients(self) -> tuple[Parameter, ...]:
        """None: units have effects only."""
        return ()

    @property
    def effects(self) -> int:
        """Number of units."""
        return len(self.levels.values) + len(self.fresh)

    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        return np.arange(len(self.codes)), self.codes

    def scratch(self, gradient: bool = True) -> None:
        return None

    def fill(self, theta: np.ndarray, scratch: Any, slots: np.ndarray, values: np.ndarray, offset: np.ndarray) -> bool:
        values[slots] = theta[0]
        return True

    def pull(
        self, theta: np.ndarray, scratch: Any, slots: np.ndarray, slope: np.ndarray, d_offset: np.ndarray
    ) -> np.ndarray:
        return np.array([slope[slots].sum()])

    def on(self, tables: Tables) -> UnitPart:
        """The same part on other tables; unseen units get effects of their own after the known ones."""
        column = tables.groups[self.column]
        codes = self.levels.find(column).copy()
        own, other = encode(column)
        unseen = np.unique(own[codes < 0])
        codes[codes < 0] = len(self.levels.values) + np.searchsorted(unseen, own[codes < 0])
        return replace(self, codes=codes, fresh=tuple(other.values[unseen].tolist()))


def build_unit(call: UnitCall, context: Context) -> UnitPart:
    """Build ``(1 | unit)`` (or ``hm(unit)``)."""
    span = call.span
    if not isinstance(call.unit, Name):
        raise FormulaError(
            f"nested units ({to_text(call.unit)}) are not available yet; make one column of the two", context.text,
            span.start, span.stop,
        )  # fmt: skip
    if call.slopes or not call.intercept:
        raise FormulaError(
            "slopes that vary over units are not available yet; write (1 | unit)",
            context.text,
            span.start,
            span.stop,
        )
    if call.effects != Name("iid"):
        raise FormulaError("units have effects=iid only for now", context.text, span.start, span.stop)
    column = call.unit.name
    name = call.name or column
    context.claim(name, f"hm({column})")
    codes, levels = encode(context.tables.groups[column])
    return UnitPart(name, column, context.sd(f"{name}.sd"), codes, levels)
