"""Factors of covariate terms as formulaic sees them: every column and every text has a generated name.

What formulaic evaluates is printed here from our own syntax tree: names of the whitelist, names that we made up,
numbers as floats, signs. Whatever a column is called, it cannot turn into another column, a keyword or code.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import DataError, FormulaError
from ..language.functions import ARGUMENTS, CONTRASTS, FROM_NUMPY
from ..language.nodes import Binary, Call, Name, Node, Number, Text, Unary, walk
from ..language.printing import names_in
from ..language.whitelist import EQUALITY
from ..table.columns import Column, Table

_NUMPY = {name: getattr(np, name) for name in FROM_NUMPY}


def _power(x: Any, exponent: Any = 1.0) -> Any:
    """x to a power, whole numbers too."""
    return np.power(np.asarray(x, dtype=float), exponent)


_CONTEXT = {**_NUMPY, "pow": _power}
_NUMBERS = ("number", "integer", "bool")
_WORDS = ("text", "category")
_EXACT = 2.0**53

ASIS, FLOAT, WHOLE, TEXT = "as it is", "float", "whole", "text"
"""How a column is handed on: as it is (alone and in C()), as floats, as whole numbers, as text to be compared."""


@dataclass(frozen=True)
class Handed:
    """The columns and texts that some factors read, by the names that formulaic knows them by.

    Attributes
    ----------
    prefix : str
        What those names begin with; no text that formulaic prints has it otherwise.
    columns : dict of (column, how) to name
    texts : dict of name to text
    """

    prefix: str
    columns: dict[tuple[str, str], str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def column(self, name: str, how: str) -> str:
        """The name of a column handed on in some way."""
        return self.columns.setdefault((name, how), self._fresh())

    def text(self, value: str) -> str:
        """The name of a text."""
        name = self._fresh()
        self.texts[name] = value
        return name

    def _fresh(self) -> str:
        return f"{self.prefix}{len(self.columns) + len(self.texts)}_"

    @property
    def context(self) -> dict[str, Any]:
        """All that formulaic may see beside the columns."""
        return {**_CONTEXT, **self.texts}

    def own_names(self, message: str) -> str:
        """A message of formulaic with the names that users know."""
        for (name, _), made in self.columns.items():
            message = message.replace(made, name)
        for made, text in self.texts.items():
            message = message.replace(made, repr(text))
        return message

    def frame(self, table: Table) -> Any:
        """A pandas data frame of the columns; one that is not what it was is an error."""
        import pandas as pd

        plain = table.select(name for name, how in self.columns if how == ASIS).to_pandas()
        out = {}
        for (name, how), made in self.columns.items():
            out[made] = plain[name] if how == ASIS else _converted(table[name], how, table.name)
        return pd.DataFrame(out, index=pd.RangeIndex(table.n_rows))


def _converted(column: Column, how: str, table: str) -> np.ndarray:
    if column.kind not in (_WORDS if how == TEXT else _NUMBERS):
        wanted = "text" if how == TEXT else "numeric"
        raise DataError(
            f"column {column.name!r} of {table} must be {wanted} as it was when the model was made, but it is of kind "
            f"{column.kind}"
        )
    if how == TEXT:
        return column.values
    return column.values.astype(np.int64 if how == WHOLE else float)


def handed_for(factors: Iterable[Node], table: Table, text: str) -> Handed:
    """An empty :class:`Handed` whose prefix stands in no text that these factors can show."""
    shown = [text]
    for name in dict.fromkeys(n.name for f in factors for n in names_in(f)):
        column = table[name]
        if column.kind in _WORDS:
            shown += column.categories or sorted(set(column.values.tolist()))
    prefix = "v_"
    while any(prefix in s for s in shown):
        prefix = f"v{prefix}"
    return Handed(prefix)


class Printer:
    """Prints factors for formulaic, and checks the kinds of the columns that they read."""

    def __init__(self, handed: Handed, table: Table, text: str):
        self.handed, self.table, self.formula = handed, table, text

    def error(self, message: str, node: Node) -> FormulaError:
        return FormulaError(message, self.formula, node.span.start, node.span.stop)

    def factor(self, node: Node) -> str:
        """The text of a factor."""
        if isinstance(node, Name):
            if self.table[node.name].kind == "time":
                raise self._dates(node)
            return self.handed.column(node.name, ASIS)
        if not names_in(node):
            raise self.error("this contains no column", node)
        assert isinstance(node, Call)
        return self.call(node)

    def call(self, node: Call) -> str:
        """A function with its expression and its arguments."""
        inner = self.coded(node.args[0]) if node.function == "C" else self.expression(node.args[0])
        kinds = ARGUMENTS.get(node.function, ({}, 0))[0]
        named = [*zip(kinds, node.args[1:], strict=False), *node.keywords]
        rest = [f"{key}={self.argument(value, kinds[key])}" for key, value in named]
        return f"{node.function}({', '.join([inner, *rest])})"

    def argument(self, node: Node, kind: Any) -> str:
        """An argument after the expression."""
        if kind == "expression":
            return self.expression(node)
        if isinstance(node, Text):
            return self.handed.text(node.value)
        if isinstance(node, Name):  # contrasts without arguments
            return node.name
        if isinstance(node, Call):
            kinds = CONTRASTS[node.function]
            named = [*zip(kinds, node.args, strict=False), *node.keywords]
            return f"{node.function}({', '.join(f'{key}={self.argument(v, kinds[key])}' for key, v in named)})"
        value = constant(node)
        assert value is not None
        return str(int(value)) if kind in ("whole", "flag") else repr(value)

    def coded(self, node: Node) -> str:
        """What stands in C(): a column of any kind, else an expression, in whole numbers where that is exact."""
        if isinstance(node, Name):
            return self.handed.column(node.name, ASIS)
        return self.expression(node, WHOLE if self._size(node) < _EXACT else FLOAT)

    def expression(self, node: Node, how: str = FLOAT) -> str:
        """Arithmetic, row by row."""
        known = constant(node)
        if known is not None:
            if not math.isfinite(known):
                raise self.error("this is not a finite number", node)
            return str(int(known)) if how == WHOLE else repr(known)
        if isinstance(node, Name):
            self._check_numbers(node)
            return self.handed.column(node.name, how)
        if isinstance(node, Unary):
            return f"({node.op}{self.expression(node.operand, how)})"
        if isinstance(node, Call):
            return self.call(node) if how == FLOAT else self.expression(node.args[0], how)  # whole numbers: I() only
        assert isinstance(node, Binary)
        if node.op in EQUALITY and any(self._is_text(side) for side in (node.left, node.right)):
            return self._text_comparison(node)
        return f"({self.expression(node.left, how)} {node.op} {self.expression(node.right, how)})"

    def _is_text(self, node: Node) -> bool:
        return isinstance(node, Text) or (isinstance(node, Name) and self.table[node.name].kind in _WORDS)

    def _text_comparison(self, node: Binary) -> str:
        sides = []
        for side in (node.left, node.right):
            if isinstance(side, Text):
                sides.append(self.handed.text(side.value))
            elif isinstance(side, Name) and self._is_text(side):
                sides.append(self.handed.column(side.name, TEXT))
            else:
                name = isinstance(side, Name) and side.name
                what = f"column {name!r} holds {self.table[name].kind} values" if name else "this"
                raise self.error(f"{what}, which cannot be compared with text: leave out the quotes", side)
        return f"({sides[0]} {node.op} {sides[1]})"

    def _check_numbers(self, node: Name) -> None:
        kind = self.table[node.name].kind
        if kind == "time":
            raise self._dates(node)
        if kind not in _NUMBERS:
            raise self.error(
                f"column {node.name!r} holds text: in a covariate use it by itself, in C(), or in a comparison such "
                f'as I({node.name} == "a"), not in arithmetic', node,
            )  # fmt: skip

    def _dates(self, node: Name) -> FormulaError:
        return self.error(
            f"these terms cannot be evaluated on {self.table.name} ({node.name!r} holds dates: turn them "
            "into numbers, such as years since the first)", node,
        )  # fmt: skip

    def _size(self, node: Node) -> float:
        """Bound on whole numbers in an expression; infinite where it may be something else."""
        if isinstance(node, Number):
            return node.value if node.value == math.floor(node.value) else math.inf
        if isinstance(node, Name):
            values, kind = self.table[node.name].values, self.table[node.name].kind
            return float(np.abs(values.astype(float)).max(initial=0.0)) if kind in ("integer", "bool") else math.inf
        if isinstance(node, Unary):
            return self._size(node.operand)
        if isinstance(node, Call):
            return self._size(node.args[0]) if node.function == "I" else math.inf
        if not isinstance(node, Binary) or any(self._is_text(s) for s in (node.left, node.right)):
            return math.inf
        left, right = self._size(node.left), self._size(node.right)
        if node.op in ("+", "-"):
            return left + right
        if node.op == "*":
            return left * right if left and right else 0.0
        if node.op == "%":
            return max(left, right) if isinstance(node.right, Number) and right > 0.0 else math.inf
        return max(left, right) if node.op not in ("/", "**") else math.inf


_ROWWISE = {name: getattr(np, name) for name in ("log", "log2", "log10", "exp", "exp2", *FROM_NUMPY)} | {"pow": _power}
_OPERATIONS = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "**": np.power, "%": np.mod, "<": np.less,
    "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal,
}  # fmt: skip


def constant(node: Node) -> float | None:
    """The value of an expression without columns, not finite where there is none; None where columns stand in it."""
    if any(isinstance(part, (Name, Text)) for part in walk(node)):
        return None
    with np.errstate(all="ignore"):
        return _constant(node)


def _constant(node: Node) -> float:
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Unary):
        value = _constant(node.operand)
        return -value if node.op == "-" else value
    if isinstance(node, Binary):
        return float(_OPERATIONS[node.op](_constant(node.left), _constant(node.right)))
    if isinstance(node, Call) and (node.function == "I" or node.function in _ROWWISE):
        inner = _constant(node.args[0])
        if node.function == "pow":
            return float(_power(inner, _constant([*node.args[1:], *dict(node.keywords).values()][0])))
        return inner if node.function == "I" else float(_ROWWISE[node.function](inner))
    return math.nan


def width(node: Node, table: Table, distinct: int | None = None) -> int:
    """How many columns a factor makes at least; `distinct` is how many values an expression in C() has."""
    if isinstance(node, Name):
        column = table[node.name]
        return 1 if column.kind in _NUMBERS else max(1, _categories(column) - 1)
    assert isinstance(node, Call)
    if node.function == "C":
        inner = node.args[0]
        count = _categories(table[inner.name]) if isinstance(inner, Name) else distinct
        return max(1, (count or 1) - 1)
    arguments = dict(zip(ARGUMENTS.get(node.function, ({}, 0))[0], node.args[1:], strict=False)) | dict(node.keywords)
    if node.function in ("poly", "bs", "cr", "cs", "cc"):
        value = arguments.get("degree" if node.function == "poly" else "df")
        return max(1, int(constant(value) or 0) - 1) if value is not None else 1
    return 1


def _categories(column: Column) -> int:
    return len(set(column.values.tolist()))


def is_categorical(node: Node, table: Table) -> bool:
    """Whether a factor has categories."""
    if isinstance(node, Name):
        return table[node.name].kind not in _NUMBERS
    return isinstance(node, Call) and node.function == "C"


def count_columns(products: Sequence[Sequence[Node]], widths: dict[Node, int]) -> int:
    """How many columns products of factors make at least."""
    return sum(math.prod(widths[factor] for factor in product) for product in products)
