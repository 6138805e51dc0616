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

from ..errors import DataError, FormulaError, MicromacroError, ModelError
from ..language.functions import FROM_NUMPY
from ..language.nodes import Call, Name, Node, walk
from ..language.printing import names_in, to_text, wilkinson_text
from ..language.whitelist import check_wilkinson
from ..table.columns import Column, Table

_CONTEXT = {name: getattr(np, name) for name in FROM_NUMPY}
_HOLDS = {"number": "numbers", "integer": "numbers", "bool": "true and false", "time": "dates"}  # others: text
SignedTerms = Sequence[tuple[str, Node]]


@dataclass(frozen=True)
class Seen:
    """What a categorical column held when the model was made: numbers, text or what else, and its categories."""

    holds: str
    values: frozenset[Any]


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
        Categories seen of each categorical column: what is not numeric, and what stands in ``C()``.
    coded : tuple of (str, formulaic.ModelSpec)
        Expressions that stand in ``C()``, one column for each of their categories.
    text : str
        The terms, for messages.
    """

    names: tuple[str, ...]
    plain: bool
    columns: tuple[str, ...]
    spec: Any = field(default=None, compare=False, repr=False)
    levels: dict[str, Seen] = field(default_factory=dict)
    coded: tuple[tuple[str, Any], ...] = field(default=(), compare=False, repr=False)
    text: str = ""

    def matrix(self, table: Table) -> np.ndarray:
        """Columns of `table` (rows, k); an unseen category or a value that is not finite is an error."""
        if self.plain:
            return plain_matrix(self.names, table)
        self._check_levels(table)
        frame = table.select(self.columns).to_pandas()
        for term, spec in self.coded:
            _check_coded(term, self._evaluated(spec, frame, table), table)
        matrix = _without_intercept(self._evaluated(self.spec, frame, table))[1]
        _check_finite(matrix, self.names, self.text, table)
        return matrix

    def _evaluated(self, spec: Any, frame: Any, table: Table) -> Any:
        """The columns of a spec on other data."""
        try:
            with np.errstate(all="ignore"):  # what is not finite is an error of ours
                return spec.get_model_matrix(frame, context=_CONTEXT)
        except Exception as error:  # formulaic wraps whatever the functions raise
            what = _plain_words(error)
            if "extrapolation" in what:
                raise DataError(
                    f"{self.text} cannot be evaluated on {table.name}: values of {', '.join(self.columns)} lie outside "
                    "the range that the fit has seen, where the spline is not defined; stay inside, or write "
                    "extrapolation='extend' in the call of the spline to extend it"
                ) from error
            raise DataError(f"{self.text} cannot be evaluated on {table.name}: {what}") from error

    def _check_levels(self, table: Table) -> None:
        for name, seen in self.levels.items():
            column = table[name]
            now = _seen(column)
            if now.holds != seen.holds:
                raise DataError(
                    f"column {name!r} of {table.name} holds {now.holds}, but it held {seen.holds} when the model was "
                    f"made (known: {_listed(seen.values, 20)}): convert it"
                )
            unseen = now.values - seen.values
            if unseen:
                rows = [k for k, v in enumerate(column.values.tolist()) if v in unseen][:5]
                raise DataError(
                    f"column {name!r} of {table.name} has categories that were not seen when the model was made: "
                    f"{_listed(unseen, 5)} (rows {', '.join(map(str, rows))}); known: {_listed(seen.values, 20)}"
                )


def _seen(column: Column) -> Seen:
    """The categories of a column; numbers compare as numbers, whatever their kind."""
    return Seen(_HOLDS.get(column.kind, "text"), frozenset(column.values.tolist()))


def _listed(values: frozenset[Any], most: int) -> str:
    return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in sorted(values)[:most])


def _check_coded(term: str, coded: Any, table: Table) -> None:
    """Refuse a row that is in none of the categories of an expression."""
    bad = np.flatnonzero(np.asarray(coded, dtype=float).sum(axis=1) == 0.0)
    if len(bad):
        raise DataError(
            f"the term {term!r} has categories in {len(bad)} of {table.n_rows} rows of {table.name} that were not seen "
            f"when the model was made (first: {', '.join(map(str, bad[:5]))})"
        )


def categorical_names(nodes: Sequence[Node]) -> tuple[str, ...]:
    """Columns that terms take as categories by ``C()``, as they are."""
    return tuple(dict.fromkeys(c.args[0].name for c in _calls_of_c(nodes) if isinstance(c.args[0], Name)))


def stepped_names(nodes: Sequence[Node]) -> tuple[str, ...]:
    """Columns that terms take into ``C()`` in any way, so that their effect goes by steps."""
    return tuple(dict.fromkeys(n.name for c in _calls_of_c(nodes) for n in names_in(c.args[0])))


def _calls_of_c(nodes: Sequence[Node]) -> list[Call]:
    return [part for n in nodes for part in walk(n) if isinstance(part, Call) and part.function == "C" and part.args]


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
    out = _formulaic(wilkinson_text(tuple(terms), intercept), terms, table, used, text)
    _check_made(out, table, used)
    names, matrix = _without_intercept(out)
    shown = " + ".join(to_text(n) for _, n in terms)
    _check_finite(matrix, names, shown, table)
    nodes = [node for _, node in terms]
    factors = {*categorical_names(nodes), *(n for n in used if not _numeric(table[n]))}
    levels = {n: _seen(table[n]) for n in used if n in factors}
    inner = dict.fromkeys(Call("C", (c.args[0],)) for c in _calls_of_c(nodes) if not isinstance(c.args[0], Name))
    coded = tuple(
        (to_text(c), _formulaic(wilkinson_text((("+", c),), False), terms, table, used, text).model_spec) for c in inner
    )
    return Design(names, False, used, out.model_spec, levels, coded, shown), matrix


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


def _formulaic(wilkinson: str, terms: SignedTerms, table: Table, used: tuple[str, ...], text: str) -> Any:
    """What formulaic makes of a right-hand side; `terms` are what to mark in the formula where it fails."""
    import formulaic

    frame = table.select(used).to_pandas()
    start = min((node.span.start for _, node in terms if node.span is not None), default=0)
    stop = max((node.span.stop for _, node in terms if node.span is not None), default=len(text))
    try:
        with np.errstate(all="ignore"):  # what is not finite is an error of ours
            return formulaic.model_matrix(wilkinson, frame, context=_CONTEXT, na_action="ignore")
    except MicromacroError:
        raise
    except Exception as error:  # formulaic wraps whatever the functions raise
        dates = [name for name in used if table[name].kind == "time"]
        hint = f" ({dates[0]!r} holds dates: turn them into numbers, such as years since the first)" if dates else ""
        raise FormulaError(
            f"these terms cannot be evaluated on {table.name}{hint}: {_plain_words(error)}", text, start, stop
        ) from error


def _plain_words(error: Exception) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # formulaic's messages are coloured


def _check_made(out: Any, table: Table, used: tuple[str, ...]) -> None:
    """Refuse a term that makes no column: a category that is constant, beside the intercept or what it varies with."""
    for made in out.model_spec.structure:
        if made.columns:
            continue
        words = re.findall(r"\w+", str(made.term))
        constant = [n for n in used if n in words and len(_seen(table[n]).values) == 1]
        why = f" (column {constant[0]!r} is always {table[constant[0]].values.tolist()[0]!r})" if constant else ""
        raise ModelError(
            f"the term {str(made.term)!r} is constant over {table.name}{why}, so it adds no column to the "
            "intercept and the other terms: leave it out"
        )


def _without_intercept(out: Any) -> tuple[tuple[str, ...], np.ndarray]:
    names = tuple(out.model_spec.column_names)
    matrix = np.asarray(out, dtype=float)
    keep = [k for k, name in enumerate(names) if name != "Intercept"]
    return tuple(names[k] for k in keep), np.ascontiguousarray(matrix[:, keep])


def _check_finite(matrix: np.ndarray, names: Sequence[str], terms: str, table: Table) -> None:
    for k, name in enumerate(names):
        bad = np.flatnonzero(~np.isfinite(matrix[:, k]))
        if len(bad):
            shown = ", ".join(str(r) for r in bad[:5])
            raise DataError(
                f"the term {name!r} is not finite in {len(bad)} of {len(matrix)} rows of {table.name} "
                f"(first: {shown}); change the transformation in {terms} or the rows"
            )
