"""Wilkinson terms to numeric columns, through formulaic; plain numeric columns take a short cut.

The short cut gives what formulaic gives (a test holds the two together) without importing it. Text for formulaic
is printed from our own syntax tree after every function name in it was checked against a whitelist, and formulaic
sees an empty context: nothing of the user's program can be reached from a formula.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import DataError, FormulaError, MicromacroError
from ..language.functions import FROM_NUMPY
from ..language.nodes import Name, Node
from ..language.printing import names_in, to_text, wilkinson_text
from ..language.whitelist import check_wilkinson
from ..table.columns import Column, Table

_CONTEXT = {name: getattr(np, name) for name in FROM_NUMPY}
SignedTerms = Sequence[tuple[str, Node]]


@dataclass(frozen=True)
class Design:
    """How a list of terms becomes columns, so that new tables become the same columns.

    Attributes
    ----------
    names : tuple of str
        Names of the columns, as formulaic gives them (``x``, ``C(z)[T.b]``); the intercept is not among them.
    plain : bool
        All columns are numeric columns of the table as they are.
    spec : formulaic.ModelSpec or None
    levels : dict
        Categories seen of each categorical column.
    """

    names: tuple[str, ...]
    plain: bool
    columns: tuple[str, ...]
    spec: Any = field(default=None, compare=False, repr=False)
    levels: dict[str, frozenset[str]] = field(default_factory=dict)

    def matrix(self, table: Table) -> np.ndarray:
        """Columns of `table` (rows, k); an unseen category is an error."""
        if self.plain:
            return plain_matrix(self.names, table)
        self._check_levels(table)
        with np.errstate(all="ignore"):  # what is not finite is an error of ours
            out = self.spec.get_model_matrix(table.select(self.columns).to_pandas(), context=_CONTEXT)
        return np.ascontiguousarray(_without_intercept(out)[1])

    def _check_levels(self, table: Table) -> None:
        for name, seen in self.levels.items():
            values = table[name].values.astype(str)
            unseen = sorted(set(values.tolist()) - seen)
            if unseen:
                rows = np.flatnonzero(np.isin(values, unseen))[:5]
                raise DataError(
                    f"column {name!r} of {table.name} has categories that were not seen when the model was made: "
                    f"{', '.join(unseen[:5])} (rows {', '.join(map(str, rows))}); known: {', '.join(sorted(seen)[:20])}"
                )


def make_design(terms: SignedTerms, table: Table, text: str, intercept: bool = True) -> tuple[Design, np.ndarray]:
    """Design of signed Wilkinson terms and its columns on `table`.

    Factors are coded as if the intercept were there when `intercept` is true; it is never among the columns.
    """
    for _, node in terms:
        check_wilkinson(node, text)
    used = tuple(dict.fromkeys(n.name for _, node in terms for n in names_in(node)))
    simple = [node.name for sign, node in terms if sign == "+" and isinstance(node, Name)]
    if len(simple) == len(terms) and all(_numeric(table[name]) for name in simple):
        names = tuple(dict.fromkeys(simple))
        return Design(names, True, names), plain_matrix(names, table)
    spec, names, matrix = _formulaic(terms, table, used, text, intercept)
    _check_finite(matrix, names, terms, table)
    levels = {n: frozenset(table[n].values.astype(str).tolist()) for n in used if not _numeric(table[n])}
    return Design(names, False, used, spec, levels), matrix


def _numeric(column: Column) -> bool:
    return column.kind in ("number", "integer")


def plain_matrix(names: Sequence[str], table: Table) -> np.ndarray:
    """Numeric columns side by side (rows, k)."""
    out = np.empty((table.n_rows, len(names)))
    for k, name in enumerate(names):
        column = table[name]
        if not _numeric(column):
            raise DataError(
                f"column {name!r} of {table.name} must be numeric as it was when the model was made, "
                f"but it is of kind {column.kind}"
            )
        out[:, k] = column.values
    return out


def _formulaic(
    terms: SignedTerms, table: Table, used: tuple[str, ...], text: str, intercept: bool
) -> tuple[Any, tuple[str, ...], np.ndarray]:
    import formulaic

    wilkinson = wilkinson_text(tuple(terms), intercept)
    frame = table.select(used).to_pandas()
    start = min((node.span.start for _, node in terms if node.span is not None), default=0)
    stop = max((node.span.stop for _, node in terms if node.span is not None), default=len(text))
    try:
        with np.errstate(all="ignore"):  # what is not finite is an error of ours
            out = formulaic.model_matrix(wilkinson, frame, context=_CONTEXT, na_action="ignore")
    except MicromacroError:
        raise
    except Exception as error:  # formulaic wraps whatever the functions raise
        dates = [name for name in used if table[name].kind == "time"]
        hint = f" ({dates[0]!r} holds dates: make numbers of them, as years since the first)" if dates else ""
        what = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # formulaic's messages are coloured
        raise FormulaError(
            f"these terms cannot be evaluated on {table.name}{hint}: {what}", text, start, stop
        ) from error
    names, matrix = _without_intercept(out)
    return out.model_spec, names, matrix


def _without_intercept(out: Any) -> tuple[tuple[str, ...], np.ndarray]:
    names = tuple(out.model_spec.column_names)
    matrix = np.asarray(out, dtype=float)
    keep = [k for k, name in enumerate(names) if name != "Intercept"]
    return tuple(names[k] for k in keep), np.ascontiguousarray(matrix[:, keep])


def _check_finite(matrix: np.ndarray, names: Sequence[str], terms: SignedTerms, table: Table) -> None:
    for k, name in enumerate(names):
        bad = np.flatnonzero(~np.isfinite(matrix[:, k]))
        if len(bad):
            shown = ", ".join(str(r) for r in bad[:5])
            raise DataError(
                f"the term {name!r} is not finite in {len(bad)} of {len(matrix)} rows of {table.name} "
                f"(first: {shown}); change the transformation in {' + '.join(to_text(n) for _, n in terms)} or the rows"
            )
