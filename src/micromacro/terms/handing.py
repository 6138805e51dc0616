"""Products of factors to what formulaic makes of them; columns are counted before any is made."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import FormulaError, MicromacroError
from ..language.nodes import Call, Name, Node, walk
from ..language.printing import column_text
from ..language.wilkinson import Product
from ..table.columns import Table
from .factors import Printer, count_columns, handed_for, is_categorical, width

_MOST_CATEGORICAL = 8
"""How many categorical factors may be multiplied: how they are coded is worked out over all subsets of them."""


class DesignMaker:
    """Hands products of factors to formulaic.

    Attributes
    ----------
    factors : tuple of Node
        Each factor of the products once.
    coded : tuple of Call
        ``C()`` of each expression that stands in it.
    handed : Handed
    factor_of : dict
        Text that formulaic knows a factor by, to the factor.
    """

    def __init__(
        self, products: Sequence[Product], terms: Sequence[tuple[str, Node]], table: Table, text: str
    ):  # fmt: skip
        self.table, self.text = table, text
        self.start = min(node.span.start for _, node in terms)
        self.stop = max(node.span.stop for _, node in terms)
        self.factors = tuple(dict.fromkeys(factor for product in products for factor in product))
        self.coded = tuple(
            dict.fromkeys(
                Call("C", c.args[:1], (), c.span) for c in calls_of_c(self.factors) if not _is_name(c.args[0])
            )
        )
        self.handed = handed_for(self.factors, table, text)
        printer = Printer(self.handed, table, text)
        self.printed = {factor: printer.factor(factor) for factor in (*self.factors, *self.coded)}
        self.factor_of = {made: factor for factor, made in self.printed.items()}
        values = {c: printer.expression(c.args[0]) for c in self.coded}
        self.frame = self.handed.frame(table)
        longest = sorted(self.factor_of, key=len, reverse=True)
        self._names = re.compile("|".join(map(re.escape, longest)))
        self._check_count(products, {c: self._distinct(made) for c, made in values.items()})

    def own_name(self, column: str) -> str:
        """The name of a column with the factors as users know them."""
        return self._names.sub(lambda found: column_text(self.factor_of[found.group()]), column)

    def matrix(self, products: Sequence[Product], intercept: bool) -> Any:
        """What formulaic makes of products of factors."""
        terms = [[(self.printed[f], "lookup" if _is_name(f) else "python") for f in product] for product in products]
        return self._evaluated([[("1", "literal")], *terms] if intercept else terms)

    def _evaluated(self, terms: Sequence[Sequence[tuple[str, str]]]) -> Any:
        from formulaic import SimpleFormula, model_matrix
        from formulaic.parser.types import Factor, Term

        made: Any = [Term([Factor(expr, eval_method=how) for expr, how in term]) for term in terms]
        try:
            with np.errstate(all="ignore"):  # what is not finite is an error of ours
                return model_matrix(SimpleFormula(made), self.frame, context=self.handed.context, na_action="ignore")
        except MicromacroError:
            raise
        except Exception as error:  # formulaic wraps whatever the functions raise
            what = self.handed.own_names(plain_words(error))
            raise self._error(f"these terms cannot be evaluated on {self.table.name}: {what}") from error

    def _error(self, message: str) -> FormulaError:
        return FormulaError(message, self.text, self.start, self.stop)

    def _distinct(self, made: str) -> int:
        """How many values an expression has."""
        return len(np.unique(np.asarray(self._evaluated([[(f"I({made})", "python")]]), dtype=float)))

    def _check_count(self, products: Sequence[Product], distinct: dict[Call, int]) -> None:
        table, rows = self.table, self.table.n_rows
        widths = {f: width(f, table, distinct.get(Call("C", f.args[:1])) if isinstance(f, Call) else None)
                  for f in self.factors}  # fmt: skip
        count = count_columns(products, widths)
        if count > rows:
            raise self._error(
                f"these terms make {count} columns or more, but {table.name} has {rows} rows only: leave out terms, "
                "join categories, or lower a degree"
            )
        deepest = max(sum(is_categorical(f, table) for f in product) for product in products)
        if deepest > _MOST_CATEGORICAL:
            raise self._error(
                f"{deepest} categorical columns are multiplied with each other; {_MOST_CATEGORICAL} are the most: make "
                "one column of some of them"
            )


def _is_name(node: Node) -> bool:
    return isinstance(node, Name)


def calls_of_c(nodes: Sequence[Node]) -> list[Call]:
    """Every ``C()`` in some terms."""
    return [part for n in nodes for part in walk(n) if isinstance(part, Call) and part.function == "C" and part.args]


def plain_words(error: Exception) -> str:
    """The words of an error of formulaic."""
    return re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # its messages are coloured
