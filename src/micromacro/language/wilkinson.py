"""Wilkinson's notation worked out: terms with ``+ - * / : **`` become products of what cannot be taken apart.

Products are counted while they are made, so that ``(a + b + c) ** 99`` costs no more than its result.
"""

from __future__ import annotations

from collections.abc import Collection

from ..errors import FormulaError
from .nodes import Binary, Name, Node, Number, Text, Unary
from .printing import brief

Product = tuple[Node, ...]
"""Factors that are multiplied, each once, in the order in which they were written."""

MOST_TERMS = 5000
MOST_FACTORS = 12
_MOST_PAIRS = 100_000
_Products = dict[frozenset[Node], Product]


def products(
    terms: Collection[tuple[str, Node]], text: str, once: Collection[str] = ()
) -> tuple[Product, ...]:  # fmt: skip
    """The products that signed terms stand for, each once, in order of appearance.

    Parameters
    ----------
    terms : (sign, node) pairs
    once : collection of str
        Names that must not meet themselves in a product.

    Raises
    ------
    FormulaError
        For what cannot stand among terms, and for terms that would be too many.
    """
    return tuple(_Expansion(text, frozenset(once)).sum(terms).values())


class _Expansion:
    """Expansion of the terms of one formula."""

    def __init__(self, text: str, once: frozenset[str]):
        self.text, self.once = text, once

    def error(self, message: str, node: Node) -> FormulaError:
        return FormulaError(message, self.text, node.span.start, node.span.stop)

    def sum(self, terms: Collection[tuple[str, Node]]) -> _Products:
        """Products of signed terms; a term that is subtracted goes if it is there."""
        out: _Products = {}
        for sign, node in terms:
            while isinstance(node, Unary):
                sign, node = ("-" if (sign == "-") != (node.op == "-") else "+"), node.operand
            made = self.of(node)
            if sign == "-":
                out = {key: product for key, product in out.items() if key not in made}
            else:
                for key, product in made.items():
                    out.setdefault(key, product)
                self.checked(out, node)
        return out

    def of(self, node: Node) -> _Products:
        """Products of one node."""
        if isinstance(node, Binary):
            if node.op in ("+", "-"):
                return self.sum([("+", node.left), (node.op, node.right)])
            if node.op == "**":
                return self.power(node)
            if node.op in (":", "*", "/"):
                return self.joined(node)
        if isinstance(node, Unary):
            raise self.error("a sign cannot occur inside a product of terms; for arithmetic write I(-x)", node)
        if isinstance(node, Number):
            raise self.error(
                f"the number {brief(node)} cannot be part of a term: for arithmetic write I(), as in I(2 * x)", node
            )
        if isinstance(node, Text):
            raise self.error("text in quotes cannot be a term: write names of columns without quotes", node)
        return {frozenset((node,)): (node,)}

    def joined(self, node: Binary) -> _Products:
        """``a : b``, ``a * b`` and ``a / b``."""
        left, right = self.of(node.left), self.of(node.right)
        if node.op == "/":
            whole = tuple(dict.fromkeys(factor for product in left.values() for factor in product))
            nested = self.crossed({frozenset(whole): whole}, right, node)
            return self.checked(left | {k: v for k, v in nested.items() if k not in left}, node)
        crossed = self.crossed(left, right, node)
        if node.op == ":":
            return crossed
        main = left | {k: v for k, v in right.items() if k not in left}
        return self.checked(main | {k: v for k, v in crossed.items() if k not in main}, node)

    def crossed(self, left: _Products, right: _Products, node: Node) -> _Products:
        """Every product of the one side times every one of the other."""
        out: _Products = {}
        if len(left) * len(right) > _MOST_PAIRS:
            raise self.error(f"this makes more than {MOST_TERMS} terms: leave some out", node)
        for a in left.values():
            for b in right.values():
                self.check_once(a, b, node)
                product = (*a, *(factor for factor in b if factor not in a))
                if len(product) > MOST_FACTORS:
                    raise self.error(f"this multiplies more than {MOST_FACTORS} terms with each other", node)
                out.setdefault(frozenset(product), product)
            self.checked(out, node)
        return out

    def power(self, node: Binary) -> _Products:
        """``(a + b + c) ** k``: all products of up to k terms."""
        exponent = node.right
        if not isinstance(exponent, Number) or exponent.value % 1 != 0 or exponent.value < 1:
            raise self.error(
                f"the exponent of terms must be a whole number from 1, as in (x + z) ** 2; to square a column write "
                f"I({brief(node)})", node,
            )  # fmt: skip
        base = self.of(node.left)
        out, count = base, 1
        while count < exponent.value:
            count += 1
            longer = self.crossed(out, base, node)
            if len(longer) == len(out):  # nothing new, whatever the exponent
                break
            out = longer
        return out

    def checked(self, made: _Products, node: Node) -> _Products:
        if len(made) > MOST_TERMS:
            raise self.error(f"this makes more than {MOST_TERMS} terms: leave some out", node)
        return made

    def check_once(self, left: Product, right: Product, node: Node) -> None:
        both = [f.name for f in left if isinstance(f, Name) and f.name in self.once and f in right]
        if both:
            raise self.error(f"block {both[0]!r} cannot be multiplied by itself", node)


def atoms(node: Node) -> list[Node]:
    """What the operators of Wilkinson's notation join in a term."""
    if isinstance(node, Binary) and node.op in (":", "*", "+", "-", "/", "**"):
        return [*atoms(node.left), *atoms(node.right)]
    return atoms(node.operand) if isinstance(node, Unary) else [node]
