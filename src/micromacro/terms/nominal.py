r"""Effects that differ by category, ``nominal(x)`` in an ordinal model: :math:`c_{ik} = c_k + x_i'g_k`.

The cuts of a group then rise with k by gaps that depend on its covariates, and a gap must not be negative for any group
of the data: a hard edge, which :class:`CutsPart` minds. Columns are centred, so that the cuts of theta are those at
mean covariates, which rise wherever all groups' do; tables show those at zero covariates, as R's ``ordinal::clm`` does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import CollinearError, FormulaError
from ..language.nodes import Call
from ..language.printing import to_text
from ..language.terms import split_terms
from ..latent.part import Equations, Term
from ..numerics.aggregation import ROUNDING
from ..parameters import Parameter
from ..table.memberships import Tables
from .base import Context, sort_columns, spread
from .design import Design, make_design
from .fixed import FixedPart, check_constant


@dataclass(frozen=True, eq=False)
class CutPart(FixedPart):
    """What covariates add to one cut.

    Attributes
    ----------
    cut : str
        Its name.
    """

    cut: str = ""

    @property
    def origin(self) -> str:
        """The cut."""
        return self.cut


@dataclass(frozen=True, eq=False)
class CutsPart(Term):
    """The edge of effects that differ by category: the cuts of every group rise.

    Its theta is that of other parts and of the family: the cuts, then the effects, cut by cut.

    Attributes
    ----------
    design : Design
    center : (p,) array
    rows : (m, p) array
        Covariates of groups, each once, less their means.
    cuts, slopes : tuple of str
        Names of the parameters.
    """

    design: Design
    center: np.ndarray
    rows: np.ndarray
    cuts: tuple[str, ...]
    slopes: tuple[str, ...]
    name: str = "cuts"
    structure: None = None

    @property
    def borrowed(self) -> tuple[str, ...]:
        """The cuts, then the effects."""
        return (*self.cuts, *self.slopes)

    @property
    def edge(self) -> bool:
        """Cuts may cross."""
        return True

    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)

    def scratch(self, gradient: bool = True) -> dict[str, bool]:
        return {"beyond": False}

    def of_rows_cuts(self, theta: Any) -> Any:
        """The cuts (cuts, m) of each row."""
        k = len(self.cuts)
        return theta[:k, None] + theta[k:].reshape(k, -1) @ self.rows.T

    def fill(self, theta: np.ndarray, scratch: Any, slots: np.ndarray, values: np.ndarray, offset: np.ndarray) -> bool:
        scratch["beyond"] = bool(np.any(np.diff(self.of_rows_cuts(theta), axis=0) < -ROUNDING))
        return True

    def pull(
        self, theta: np.ndarray, scratch: Any, slots: np.ndarray, slope: np.ndarray, d_offset: np.ndarray
    ) -> np.ndarray:
        return np.zeros(len(theta))

    def beyond(self, scratch: Any) -> bool:
        return scratch["beyond"]

    def distances(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gaps (gaps * m,) between neighbouring cuts of each row, and their slopes."""
        k, (m, p) = len(self.cuts), self.rows.shape
        slopes = np.zeros((k - 1, m, k + k * p))
        for j in range(k - 1):
            slopes[j, :, j], slopes[j, :, j + 1] = -1.0, 1.0
            slopes[j, :, k + j * p : k + (j + 1) * p] = -self.rows
            slopes[j, :, k + (j + 1) * p : k + (j + 2) * p] = self.rows
        return np.diff(self.of_rows_cuts(theta), axis=0).ravel(), slopes.reshape(-1, k + k * p)

    def at_edge(self, held: np.ndarray) -> str:
        """Which cuts meet."""
        m = len(self.rows)
        gaps = sorted({int(h) // m for h in held})
        shown = ", ".join(f"{self.cuts[j]} and {self.cuts[j + 1]}" for j in gaps)
        return (
            f"the cuts {shown} meet at covariates of the data, beyond which they would cross: a category has "
            "probability zero there; leave the term out of nominal(), or join categories"
        )

    def words(self) -> Equations:
        """What covariates add to the cuts."""
        names, p = self.design.names, len(self.design.names)
        lines = []
        for k, cut in enumerate(self.cuts):
            own = zip(self.slopes[k * p : (k + 1) * p], names, strict=True)
            lines.append(f"{cut}[i] = {cut} + {' + '.join(f'b[{slope}] * {name}' for slope, name in own)}")
        return Equations(below=(*lines, "  rising in every group of the data"))

    def on(self, tables: Tables) -> CutsPart:
        """The same on other tables."""
        return replace(self, rows=distinct(self.design.matrix(tables.groups) - self.center))


def distinct(rows: np.ndarray) -> np.ndarray:
    """Rows (n, p) without those that say nothing of their own about linear functions: of one column, its ends."""
    if rows.shape[1] == 1 and len(rows):
        return np.unique([[rows.min()], [rows.max()]], axis=0)
    return np.unique(rows, axis=0)


def build_nominal(
    call: Call, cuts: tuple[Parameter, ...], fixed: FixedPart, context: Context
) -> tuple[list[CutPart], CutsPart]:
    """Build ``nominal(x + z)``: what is added to each cut, and the edge.

    Parameters
    ----------
    cuts : tuple of Parameter
        The family's.
    fixed : FixedPart
        The terms whose effects are the same in all categories.
    """
    text, groups = context.text, context.tables.groups
    mark = (text, call.span.start, call.span.stop)
    terms, intercept = split_terms(call.args[0], text)
    if not terms or intercept is not None:
        raise FormulaError("nominal() takes covariates joined by +, as in nominal(x + z); the cuts are there", *mark)
    if len(cuts) < 2:
        raise FormulaError("nominal() needs an outcome of three categories or more: write its terms without it", *mark)
    design, matrix = make_design(terms, groups, text)
    design, matrix = context.kept(design, matrix, "nominal.")
    check_constant(matrix, design.names, True, f"the {context.tables.noun}s", "nominal.")
    _check_apart(matrix, design.names, fixed, to_text(call.args[0]))
    center = np.zeros(matrix.shape[1]) if any(p.fixed for p in cuts) else matrix.mean(axis=0)
    parts = []
    for cut in cuts:
        inner = replace(context, prefix=f"{cut.name}.")
        own = [inner.coefficient(inner.prefix + n, spread(c)) for n, c in zip(design.names, matrix.T, strict=True)]
        parts.append(
            CutPart(
                design, (), None, sort_columns(own, []), tuple(own), np.ascontiguousarray(matrix - center), center,
                name=f"{cut.name}.terms", cut=cut.name,
            )
        )  # fmt: skip
    slopes = tuple(p.name for part in parts for p in part.written)
    names = tuple(p.name for p in cuts)
    return parts, CutsPart(design, center, distinct(matrix - center), names, slopes)


def _check_apart(matrix: np.ndarray, names: tuple[str, ...], fixed: FixedPart, shown: str) -> None:
    """Refuse a column that the other terms make up: its common effect and those by category trade off."""
    before = np.column_stack([np.ones(len(matrix)), fixed.matrix])
    for k, name in enumerate(names):
        column = matrix[:, k]
        rest = column - before @ np.linalg.lstsq(before, column, rcond=None)[0]
        if np.linalg.norm(rest) <= 1e-9 * max(np.linalg.norm(column - column.mean()), 1e-300):
            raise CollinearError(
                f"{name!r} of nominal({shown}) is a linear combination of the other terms, so its effects by category "
                "cannot be told from a common one: leave it out of the other terms (nominal() contains both)"
            )
        before = np.column_stack([before, column])
