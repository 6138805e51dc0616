r"""Smooth terms ``s(x, k=10)``: a line and a curve around it, :math:`b\,x_i + sd\,z(x_i)'u`, u standard normal.

The curve is made of k cubic B-splines with a penalty on second differences (:mod:`micromacro.numerics.splines`). What
it has of a straight line over the groups of the fit is taken out, and it is scaled so that the mean of its prior
variance over them is sd squared: ``s.x`` is the line, ``s.x.sd`` the standard deviation of what is around it. Beyond
the data both go on as straight lines.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..effects.phrases import Phrase
from ..errors import DataError, FormulaError
from ..language.nodes import Call, Node
from ..language.printing import column_text
from ..language.whitelist import signed_number
from ..latent.part import Equations, Term
from ..numerics.splines import bends
from ..parameters import Parameter
from ..table.memberships import Tables
from .base import Columns, Context, sort_columns, spread
from .design import Design, make_design

LEAST, MOST = 4, 200  # splines
USUAL = 10


@dataclass(frozen=True)
class Curve:
    """How a covariate becomes the columns of the curve.

    Attributes
    ----------
    low, high : float
        The range of the covariate in the fit.
    k : int
        Number of splines.
    line : (2, k - 2) array
        What is taken out of the columns: a constant, and a multiple of the covariate.
    size : float
        What the columns are divided by.
    """

    low: float
    high: float
    k: int
    line: np.ndarray
    size: float

    def columns(self, x: np.ndarray) -> np.ndarray:
        """(len(x), k - 2) array."""
        straight = np.column_stack([np.ones(len(x)), x])
        return np.ascontiguousarray((bends(x, self.low, self.high, self.k) - straight @ self.line) / self.size)


def curve_of(x: np.ndarray, k: int) -> Curve:
    """The curve over some values."""
    low, high = float(x.min()), float(x.max())
    bent, straight = bends(x, low, high, k), np.column_stack([np.ones(len(x)), x])
    centred = np.column_stack([np.ones(len(x)), x - x.mean()])
    line = np.linalg.lstsq(centred, bent, rcond=None)[0]
    line[0] -= x.mean() * line[1]
    rest = bent - straight @ line
    return Curve(low, high, k, line, float(np.sqrt((rest**2).sum(axis=1).mean())))


@dataclass(frozen=True, eq=False)
class SmoothPart(Term):
    """A smooth term as a part of the latent system; its bends are effects that belong to no level.

    Attributes
    ----------
    covariate : str
        As it is written.
    design : Design
        Of the covariate.
    curve : Curve
    sd : Parameter
    columns : Columns
        Of the straight line, one column.
    center : float
        What was subtracted from the covariate.
    x : (groups,) array
        The covariate less its center.
    bends : (groups, k - 2) array
    """

    name: str
    covariate: str
    design: Design
    curve: Curve
    sd: Parameter
    slope: Parameter
    columns: Columns
    center: float
    x: np.ndarray
    bends: np.ndarray
    structure: None = None

    @property
    def hypers(self) -> tuple[Parameter, ...]:
        """The sd, then the slope if its prior is not normal."""
        return (self.sd, *self.columns.loose)

    @property
    def coefficients(self) -> tuple[Parameter, ...]:
        """The slope, if its prior is normal or flat."""
        return self.columns.linear

    @property
    def effects(self) -> int:
        """Bends."""
        return self.bends.shape[1]

    @property
    def reported(self) -> tuple[Parameter, ...]:
        """The slope."""
        return (self.slope,)

    @property
    def centers(self) -> dict[str, float]:
        """The mean of the covariate, where it was subtracted."""
        return {self.slope.name: self.center}

    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        n, c, k = len(self.x), len(self.coefficients), self.effects
        every = np.arange(n)
        return np.concatenate([*[every] * c, np.repeat(every, k)]), np.concatenate(
            [*[0 * every] * c, np.tile(c + np.arange(k), n)]
        )

    def scratch(self, gradient: bool = True) -> None:
        return None

    def _split(self, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n = len(self.x) * len(self.coefficients)
        return slots[:n], slots[n:]

    def fill(self, theta: np.ndarray, scratch: Any, slots: np.ndarray, values: np.ndarray, offset: np.ndarray) -> bool:
        line, bent = self._split(slots)
        values[line] = self.x if len(line) else 0.0
        values[bent] = (theta[0] * self.bends).ravel()
        if self.columns.loose:
            offset += theta[1] * self.x
        return True

    def pull(
        self, theta: np.ndarray, scratch: Any, slots: np.ndarray, slope: np.ndarray, d_offset: np.ndarray
    ) -> np.ndarray:
        of_sd = float(slope[self._split(slots)[1]] @ self.bends.ravel())
        return np.array([of_sd, *([float(self.x @ d_offset)] if self.columns.loose else [])])

    def on(self, tables: Tables) -> SmoothPart:
        """The same curve on other tables."""
        x = self.design.matrix(tables.groups)[:, 0]
        return replace(self, x=x - self.center, bends=self.curve.columns(x))

    def phrase(self, name: str) -> Phrase | None:
        if name != self.sd.name:
            return None
        text = f"Where the curve s({self.covariate}) is one standard deviation above its straight line, {{change}}"
        return Phrase(text, "one sd of the curve", 1.0, f"s({self.covariate}) is a straight line: {{name}} is zero")

    def moved(self, name: str) -> str:
        return f"{self.covariate} is one higher along the straight line of s({self.covariate})"

    def words(self) -> Equations:
        """The line, and the curve around it."""
        f, c = f"f_{self.name.removesuffix(f's({self.covariate})')}{self.covariate}", self.curve
        below = (
            f"{f}: {c.k} cubic B-splines on [{c.low:.4g}, {c.high:.4g}], linear beyond; second differences of their "
            f"coefficients normal; {self.sd.name} the sd of {f} over the data"
        )
        return Equations((f"b[{self.slope.name}] * {self.covariate}", f"{f}({self.covariate}[i])"), (below,))


def build_smooth(call: Call, context: Context, intercept: bool) -> SmoothPart:
    """Build ``s(x)`` or ``s(x, k=10)``."""
    node, text = call.args[0], context.text
    mark = (text, call.span.start, call.span.stop)
    shown = column_text(node)
    name, what = f"{context.prefix}s.{shown}", f"{context.prefix}s({shown})"
    if what in context.named.values():
        raise FormulaError(f"s({shown}) stands in the formula twice: leave one of them out", *mark)
    context.claim(name, what)
    groups = context.tables.groups
    design, matrix = make_design([("+", node)], groups, text)
    if matrix.shape[1] != 1 or design.levels:
        raise FormulaError(
            f"s() takes one numeric column or expression, but {shown} makes {', '.join(design.names)}", *mark
        )
    x = matrix[:, 0]
    k = _number_of_splines(dict(call.keywords).get("k"), mark)
    different = len(np.unique(x))
    if different < k:
        raise DataError(
            f"s({shown}, k={k}) needs {k} different values of {shown}, but there are {different}: "
            + (f"give k={different} at most" if different >= LEAST else f"write {shown} or C({shown}) instead")
        )
    curve = curve_of(x, k)
    center = float(x.mean()) if intercept else 0.0
    slope = context.coefficient(name, spread(x))
    sd = context.sd(f"{name}.sd")
    return SmoothPart(
        what, shown, design, curve, sd, slope, sort_columns([slope], []), center, x - center, curve.columns(x)
    )


def _number_of_splines(node: Node | None, mark: tuple[str, int, int]) -> int:
    value = USUAL if node is None else signed_number(node)
    if value is None or not LEAST <= value <= MOST or value != int(value):
        raise FormulaError(f"k= of s() is a whole number from {LEAST} to {MOST}", *mark)
    return int(value)
