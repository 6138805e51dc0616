r"""The group-level part: :math:`x_{2i}'b_2`, with the intercept, and what the user fixed.

Columns are centred where there is an intercept, so the prior of the intercept is on its value at mean covariates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import CollinearError, ModelError
from ..language.nodes import Fix, Formula
from ..language.printing import to_text
from ..latent.apart.divided import Divided
from ..latent.part import Equations, Term
from ..parameters import Parameter
from ..table.columns import Table
from ..table.memberships import Tables
from .base import Columns, Context, sort_columns, spread
from .design import Design, make_design
from .saying import clause, resting


@dataclass(frozen=True, eq=False)
class FixedPart(Term):
    """Fixed terms as a part of the latent system.

    Attributes
    ----------
    matrix : (groups, k) array
        All columns: estimated ones, then those of ``fix()``; centred by `center`.
    center : (k,) array
        What was subtracted (zero without an intercept, and for known coefficients).
    fixes : tuple of Fix
        The terms whose coefficients are known.
    replaced : bool
        Whether parameters of the family stand in the intercept's place, at mean covariates.
    """

    design: Design
    fixed_design: tuple[Design, ...]
    intercept: Parameter | None
    columns: Columns
    written: tuple[Parameter, ...]
    matrix: np.ndarray
    center: np.ndarray
    fixes: tuple[Fix, ...] = ()
    name: str = "fixed"
    replaced: bool = False
    structure: None = None

    @property
    def loose_intercept(self) -> bool:
        """Whether the intercept is an entry of theta: its prior is not normal, or it is fixed."""
        return self.intercept is not None and not self.intercept.inside

    @property
    def hypers(self) -> tuple[Parameter, ...]:
        """Coefficients whose prior is not normal, the intercept first."""
        return ((self.intercept,) if self.intercept and self.loose_intercept else ()) + self.columns.loose

    @property
    def coefficients(self) -> tuple[Parameter, ...]:
        """The intercept, if any, and the coefficients with a normal or flat prior."""
        return ((self.intercept,) if self.intercept and not self.loose_intercept else ()) + self.columns.linear

    @property
    def reported(self) -> tuple[Parameter, ...]:
        """The intercept, if any, then the coefficients."""
        return ((self.intercept,) if self.intercept else ()) + self.written

    @property
    def centers(self) -> dict[str, float]:
        """Means of the columns, where they were subtracted."""
        return {p.name: float(c) for p, c in zip(self.written, self.center, strict=False)}

    @property
    def divided(self) -> Divided:
        """Its groups have nothing in common."""
        return Divided(self)

    def _linear(self) -> np.ndarray:
        inside = self.matrix[:, self.columns.inside]
        with_ones = self.intercept is not None and not self.loose_intercept
        return np.column_stack([np.ones(len(inside)), inside]) if with_ones else inside

    @property
    def centered(self) -> bool:
        """Whether covariates are centred: there is an intercept, and it may move, or something in its place."""
        return self.replaced or (self.intercept is not None and not self.intercept.fixed)

    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        n, k = len(self.matrix), len(self.coefficients)
        return np.repeat(np.arange(n), k), np.tile(np.arange(k), n)

    def scratch(self, gradient: bool = True) -> dict:
        return {"filled": False}

    def fill(self, theta: np.ndarray, scratch: Any, slots: np.ndarray, values: np.ndarray, offset: np.ndarray) -> bool:
        if not scratch["filled"]:  # these entries never change
            values[slots] = self._linear().ravel()
            scratch["filled"] = True
        if len(self.columns.known):
            offset += self.matrix[:, self.columns.beside] @ self.columns.known
        if self.loose_intercept:
            offset += theta[0]
            theta = theta[1:]
        if len(theta):
            offset += self.matrix[:, self.columns.outside] @ theta
        return True

    def pull(
        self, theta: np.ndarray, scratch: Any, slots: np.ndarray, slope: np.ndarray, d_offset: np.ndarray
    ) -> np.ndarray:
        slopes = self.matrix[:, self.columns.outside].T @ d_offset
        return np.concatenate([[d_offset.sum()], slopes]) if self.loose_intercept else slopes

    def on(self, tables: Tables) -> FixedPart:
        """The same part on other tables."""
        blocks = [self.design.matrix(tables.groups)] + [d.matrix(tables.groups) for d in self.fixed_design]
        return replace(self, matrix=np.ascontiguousarray(np.column_stack(blocks) - self.center))

    def moved(self, name: str) -> str:
        own = self._column(name)
        return clause(own, self.design.reference(own))

    def resting(self, name: str) -> str:
        own = self._column(name)
        return resting(own, self.design.reference(own))

    def _column(self, name: str) -> str:
        """The column of the design of a coefficient."""
        return next(own for p, own in zip(self.written, self.design.names, strict=True) if p.name == name)

    def words(self) -> Equations:
        """The intercept, estimated and known terms."""
        terms = [f"b[{p.name}] * {name}" for p, name in zip(self.written, self.design.names, strict=True)]
        known = [f"{f.value:g} * {to_text(f.term)}" for f in self.fixes]
        return Equations((*(("Intercept",) if self.intercept else ()), *terms, *known))


def build_fixed(
    formula: Formula, context: Context, no_intercept: str | None = None, centred: bool = False
) -> FixedPart:
    """Build the group-level part of a formula.

    Parameters
    ----------
    no_intercept : str, optional
        Why the family has no intercept, if it has none.
    centred : bool
        Whether columns are centred without one too.
    """
    groups = context.tables.groups
    intercept = formula.intercept and no_intercept is None
    design, matrix = make_design(formula.fixed, groups, context.text, formula.intercept)
    design, matrix = context.kept(design, matrix, context.prefix)
    fixes, given = _fixed_columns(formula.fixes, groups, context.text)
    start = context.intercept() if intercept else None
    replaced = centred and formula.intercept
    # an intercept fixed at zero covariates leaves them as they are
    moves = replaced or (start is not None and not start.fixed)
    tells = formula.intercept and not (start and start.fixed)
    check_constant(matrix, design.names, tells, f"the {context.tables.noun}s", context.prefix)
    center = matrix.mean(axis=0) if moves and len(matrix) else np.zeros(matrix.shape[1])
    parameters = [
        context.coefficient(context.prefix + n, spread(c)) for n, c in zip(design.names, matrix.T, strict=True)
    ]
    center = np.concatenate([center, np.zeros(given.shape[1])])
    return FixedPart(
        design,
        tuple(d for d, _ in fixes),
        start,
        sort_columns(parameters, [v for _, v in fixes]),
        tuple(parameters),
        np.ascontiguousarray(np.column_stack([matrix, given]) - center),
        center,
        formula.fixes,
        name=f"{context.prefix}fixed",
        replaced=replaced,
    )


def _fixed_columns(fixes: tuple[Fix, ...], table: Table, text: str) -> tuple[list[tuple[Design, float]], np.ndarray]:
    """Designs and columns of ``fix(x, c)`` terms; each must be one column."""
    made: list[tuple[Design, float]] = []
    columns = [np.empty((table.n_rows, 0))]
    for fix in fixes:
        design, matrix = make_design([("+", fix.term)], table, text)
        if matrix.shape[1] != 1:
            raise ModelError(f"fix() takes a term of one column, but it makes {', '.join(design.names)}")
        made.append((design, fix.value))
        columns.append(matrix)
    return made, np.column_stack(columns)


def check_constant(
    matrix: np.ndarray, names: tuple[str, ...], intercept: bool, where: str, prefix: str = ""
) -> None:  # fmt: skip
    """Refuse a constant column beside the intercept."""
    if not intercept or len(matrix) < 2:
        return
    for name, column in zip(names, matrix.T, strict=True):
        if np.ptp(column) == 0.0:
            raise CollinearError(
                f"column {name!r} is constant over {where} (always {column[0]:g}), so it cannot be distinguished "
                "from the intercept: leave it out, or the intercept with 0 +",
                {f"{prefix}{name}": f"{prefix}{name} (constant)"},
            )  # fmt: skip
