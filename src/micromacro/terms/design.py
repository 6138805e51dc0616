"""Wilkinson terms to numeric columns, through formulaic; plain numeric columns do not need it.

The short cut gives what formulaic gives (a test holds the two together) without importing it. Terms are expanded and
counted by ourselves; formulaic gets single products of factors, printed by :mod:`.factors` after every function and
argument was checked against a whitelist. It sees no name that a user wrote: nothing of the user's program, and no
column but the one that was meant, can be reached from a formula.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import DataError, ModelError, warn
from ..language.nodes import Name, Node, Number
from ..language.printing import column_text, names_in, to_text
from ..language.terms import intercept_mark
from ..language.whitelist import check_factor
from ..language.wilkinson import atoms, products
from ..table.columns import Column, Table
from .factors import Handed
from .handing import DesignMaker, calls_of_c, plain_words
from .saying import LEVEL

_HOLDS = {"number": "numbers", "integer": "numbers", "bool": "true and false", "time": "dates"}  # others: text
FEW_CODES = 12  # values up to which a column of text with numbers in it is taken for codes
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
    handed : Handed
        What formulaic reads.
    text : str
        The terms, for messages.
    kept : tuple of int or None
        Which of the columns that formulaic makes are columns of the design; None: all.
    """

    names: tuple[str, ...]
    plain: bool
    columns: tuple[str, ...]
    spec: Any = field(default=None, compare=False, repr=False)
    levels: dict[str, Seen] = field(default_factory=dict)
    coded: tuple[tuple[str, Any], ...] = field(default=(), compare=False, repr=False)
    text: str = ""
    handed: Handed = field(default=Handed(""), compare=False, repr=False)
    kept: tuple[int, ...] | None = None

    def only(self, keep: Sequence[int]) -> Design:
        """The design of some of its columns."""
        kept = None if self.plain else tuple(keep if self.kept is None else (self.kept[k] for k in keep))
        return replace(self, names=tuple(self.names[k] for k in keep), kept=kept)

    def matrix(self, table: Table) -> np.ndarray:
        """Columns of `table` (rows, k); an unseen category or a value that is not finite is an error."""
        if self.plain:
            return plain_matrix(self.names, table)
        self._check_levels(table)
        frame = self.handed.frame(table)
        for term, spec in self.coded:
            _check_coded(term, self._evaluated(spec, frame, table), table)
        matrix = _without_intercept(self._evaluated(self.spec, frame, table))[1]
        matrix = matrix if self.kept is None else np.ascontiguousarray(matrix[:, list(self.kept)])
        _check_finite(matrix, self.names, self.text, table)
        return matrix

    def reference(self, name: str) -> str | None:
        """The category that a column ``z[T.b]`` is set against, where there is one."""
        match = LEVEL.fullmatch(name)
        if match is None or match[1] not in self.levels:
            return None
        start = name[: name.index("[T.") + 3]
        shown = {f"{start}{_text(value)}]": _text(value) for value in self.levels[match[1]].values}
        left = [value for column, value in shown.items() if column not in self.names]
        return left[0] if len(left) == 1 else None

    def _evaluated(self, spec: Any, frame: Any, table: Table) -> Any:
        """The columns of a spec on other data."""
        try:
            with np.errstate(all="ignore"):  # what is not finite is an error of ours
                return spec.get_model_matrix(frame, context=self.handed.context)
        except Exception as error:  # formulaic wraps whatever the functions raise
            what = self.handed.own_names(plain_words(error))
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
    return ", ".join(map(_text, sorted(values)[:most]))


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


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
    return tuple(dict.fromkeys(c.args[0].name for c in calls_of_c(nodes) if isinstance(c.args[0], Name)))


def stepped_names(nodes: Sequence[Node]) -> tuple[str, ...]:
    """Columns that terms take into ``C()`` in any way, so that their effect goes by steps."""
    return tuple(dict.fromkeys(n.name for c in calls_of_c(nodes) for n in names_in(c.args[0])))


def make_design(terms: SignedTerms, table: Table, text: str, intercept: bool = True) -> tuple[Design, np.ndarray]:
    """Design of signed Wilkinson terms and its columns on `table`.

    Factors are coded as if the intercept were there when `intercept` is true; it is never among the columns.

    Raises
    ------
    FormulaError
        For what a covariate cannot be, and for more columns than the table has rows.
    """
    marks = [intercept_mark(sign, node) for sign, node in terms]
    terms = [term for term, mark in zip(terms, marks, strict=True) if mark is None]
    intercept = next((mark for mark in reversed(marks) if mark is not None), intercept)
    for atom in (a for _, node in terms for a in atoms(node)):
        if not isinstance(atom, Number):
            check_factor(atom, text)
    simple = [node.name for sign, node in terms if sign == "+" and isinstance(node, Name)]
    if len(simple) == len(terms) and all(_numeric(table[name]) for name in simple):
        names = tuple(dict.fromkeys(simple))
        return Design(names, True, names), plain_matrix(names, table)
    expanded = products(terms, text)
    if not expanded:
        return Design((), True, ()), plain_matrix((), table)
    maker = DesignMaker(expanded, terms, table, text)
    coded = tuple((to_text(c), maker.matrix([(c,)], False).model_spec) for c in maker.coded)
    out = maker.matrix(expanded, intercept)
    _check_made(out, table, maker)
    names, matrix = _without_intercept(out)
    names = tuple(map(maker.own_name, names))
    shown = " + ".join(to_text(n) for _, n in terms)
    _check_finite(matrix, names, shown, table)
    used = tuple(dict.fromkeys(n.name for f in maker.factors for n in names_in(f)))
    factors = {*categorical_names(maker.factors), *(n for n in used if not _numeric(table[n]))}
    levels = {n: _seen(table[n]) for n in used if n in factors}
    for name in factors.difference(categorical_names(maker.factors)):
        _warn_of_numbers(table[name], table.name)
    return Design(names, False, used, out.model_spec, levels, coded, shown, maker.handed), matrix


def _warn_of_numbers(column: Column, table: str) -> None:
    """Warn of a column of text most of whose values are numbers: it was probably read wrongly."""
    values = sorted(set(column.values.tolist())) if column.kind == "text" else []
    others = [v for v in values if not _is_number(v)]
    if len(values) <= FEW_CODES or len(others) > 0.1 * len(values):
        return
    odd = f", but for {', '.join(map(repr, others[:3]))}" if others else ""
    warn(
        f"column {column.name!r} of {table} holds text, and its {len(values)} values are numbers{odd}: they were taken "
        f"for categories. Make the column numeric (pandas.to_numeric), or write C({column.name}) if they are codes"
    )


def _is_number(text: str) -> bool:
    """Whether a text is a number, with a decimal point or comma."""
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


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


def _check_made(out: Any, table: Table, maker: DesignMaker) -> None:
    """Refuse a term that makes no column: a category that is constant, beside the intercept or what it varies with."""
    for made in out.model_spec.structure:
        if made.columns:
            continue
        factors = [maker.factor_of[factor.expr] for factor in made.term.factors]
        used = dict.fromkeys(n.name for factor in factors for n in names_in(factor))
        constant = [n for n in used if len(_seen(table[n]).values) == 1]
        why = f" (column {constant[0]!r} is always {table[constant[0]].values.tolist()[0]!r})" if constant else ""
        raise ModelError(
            f"the term {':'.join(map(column_text, factors))!r} is constant over {table.name}{why}, so it adds no "
            "column to the intercept and the other terms: leave it out"
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
