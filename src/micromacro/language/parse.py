"""Formulas by recursive descent.

Operators bind as in Python (``-x**2`` is ``-(x**2)``; ``**`` to the right); ``:`` lies between ``*`` and the sign,
as in Wilkinson's notation. The special terms ``mm()``, ``hm()``, ``offset()``, ``fix()`` and ``(1 | unit)`` are
recognised as whole terms of the right-hand side only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..errors import FormulaError
from .elsewhere import instead_of_notation
from .nodes import Binary, Call, Formula, Name, Node, Number, Span, Text, Unary, children
from .terms import Bar, sort_terms
from .tokens import Token, Tokens

_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_DEEPEST = 60
_TALLEST = 100
"""How many operations may stand in each other, or in a row: what reads a tree goes down by calls."""
_LONG_SUM, _SHORT_SUM = 64, 16


def parse_formula(text: str) -> Formula:
    """Parse a whole formula.

    Raises
    ------
    FormulaError
        With the place marked.
    """
    if not isinstance(text, str):
        raise FormulaError(
            f"the formula must be text, not {type(text).__name__}: it comes first, mm.fit(formula, data)"
        )
    try:
        return _formula(_Parser(text))
    except FormulaError as error:
        other = instead_of_notation(text)
        if not other:
            raise
        raise FormulaError(other, text, error.start, error.stop) from None
    except RecursionError:  # the caller's own stack was nearly full
        raise FormulaError("this formula is nested too deeply for the calls that are under way already") from None


def _formula(parser: _Parser) -> Formula:
    text = parser.text
    if "~" not in text:
        raise FormulaError(
            "a formula has the form outcome ~ terms, but there is no ~", text, 0, max(len(text.rstrip()), 1)
        )
    if parser.is_op("~"):
        raise parser.error("expected a term, found '~': the outcome is missing before it")
    outcome = parser.expression()
    parser.expect("~", "after the outcome")
    terms = parser.signed_terms()
    parser.end()
    for node in (outcome, *_nodes_of(terms)):
        _check_height(node, text)
    return sort_terms(text, outcome, terms)


def parse_one_sided(text: str, keyword: str) -> Formula:
    """Parse ``~ terms``, the formula of another linear predictor; `keyword` is the argument that it was given to."""
    if not isinstance(text, str):
        raise FormulaError(f"{keyword}= is a one-sided formula as text, '~ terms', not {type(text).__name__}")
    try:
        parser = _Parser(text)
        if not parser.is_op("~"):
            raise parser.error(f"{keyword}= is a one-sided formula, which begins with ~, as in {keyword}='~ x'")
        parser.take()
        terms = parser.signed_terms()
        parser.end()
        for node in _nodes_of(terms):
            _check_height(node, text)
        return sort_terms(text, Number(0.0, "0"), terms)
    except RecursionError:
        raise FormulaError("this formula is nested too deeply for the calls that are under way already") from None


def parse_expression(text: str) -> Node:
    """Parse one expression; the whole text must be used."""
    parser = _Parser(text)
    node = parser.expression()
    parser.end()
    _check_height(node, text)
    return node


def _nodes_of(terms: list[tuple[str, Node | Bar]]) -> Iterator[Node]:
    """The nodes of terms, those of unit terms too."""
    for _, term in terms:
        if isinstance(term, Bar):
            yield from _nodes_of(term.terms)
            yield term.unit
            yield from (node for _, node in term.keywords)
        else:
            yield term


def _check_height(node: Node, text: str) -> None:
    """Refuse a tree that is too tall, without calls that go down it."""
    waiting = [(node, 1)]
    while waiting:
        part, height = waiting.pop()
        if height > _TALLEST:
            raise FormulaError(
                f"this term joins more than {_TALLEST} operations in a row: compute a part of it beforehand",
                text, node.span.start, node.span.stop,
            )  # fmt: skip
        waiting.extend((child, height + 1) for child in children(part))


class _Parser:
    """Tokens of one text and a place among them."""

    def __init__(self, text: str):
        self.text = text
        self.tokens = Tokens(text)
        self.at = 0
        self.depth = 0
        self.weights = 0  # how many weights= are open: there coefficients may vary, (b1 | unit)

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def error(self, message: str, token: Token | None = None) -> FormulaError:
        token = token or self.token
        return FormulaError(message, self.text, token.start, max(token.stop, token.start + 1))

    def is_op(self, *ops: str) -> bool:
        return self.token.kind == "op" and self.token.text in ops

    def take(self) -> Token:
        token = self.token
        self.at += 1
        return token

    def expect(self, op: str, where: str) -> Token:
        if not self.is_op(op):
            found = f"{self.token.text!r}" if self.token.kind != "end" else "the end"
            raise self.error(f"expected {op!r} {where}, found {found}")
        return self.take()

    def end(self) -> None:
        if self.token.kind != "end":
            hint = "; join terms with +" if self.token.kind in ("name", "quoted", "number") else ""
            if self.is_op(")"):
                hint = "; this parenthesis was never opened"
            if self.is_op("~"):
                hint = "; a formula has one ~"
            if self.is_op("|", "||"):
                hint = "; write effects of units in parentheses, (1 | unit), and a coefficient for each as C(unit)"
            raise self.error(f"this text was not expected here{hint}")

    def span(self, start: int) -> Span:
        return Span(start, self.tokens[self.at - 1].stop)

    # -- terms -------------------------------------------------------------------------------------------------------

    def signed_terms(self) -> list[tuple[str, Node | Bar]]:
        """Terms joined by + and -; ``(... | unit)`` may be one of them."""
        out: list[tuple[str, Node | Bar]] = []
        sign = "+"
        if self.is_op("+", "-"):
            sign = self.take().text
        while True:
            out.append((sign, self.term()))
            if not self.is_op("+", "-"):
                return out
            sign = self.take().text

    def term(self) -> Node | Bar:
        """One term of a right-hand side."""
        if self.is_op("("):
            bar = self.bar()
            if bar is not None:
                return bar
        return self.comparison_free()

    def bar(self) -> Bar | None:
        """A unit term, if the parenthesis at this place holds a bar at its own level."""
        depth, k = 0, self.at
        while self.tokens[k].kind != "end":
            t = self.tokens[k]
            depth += (t.text == "(") - (t.text == ")") if t.kind == "op" else 0
            if depth == 0 or depth > _DEEPEST:
                return None
            if depth == 1 and t.kind == "op" and t.text in ("|", "||"):
                break
            k += 1
        else:
            return None
        self._deeper()
        start = self.take().start
        terms = self.signed_terms()
        if not self.is_op("|", "||"):
            raise self.error(f"expected a term or |, found {self.token.text!r}")
        double = self.take().text == "||"
        unit = self.comparison_free()
        keywords = self._keywords()
        self.expect(")", "to close the unit term")
        self.depth -= 1
        return Bar(terms, unit, double, keywords, self.span(start))

    def _keywords(self) -> list[tuple[str, Node]]:
        """``, key=value`` as often as there are any."""
        out: list[tuple[str, Node]] = []
        while self.is_op(","):
            self.take()
            key = self.take() if self.token.kind == "name" else self.token
            if key.kind != "name" or not self.is_op("="):
                raise self.error("after the unit stand keywords only, as in (1 | unit, by=type)", key)
            self.take()
            if key.text in dict(out):
                raise self.error(f"{key.text}= is given twice", key)
            out.append((key.text, self.expression()))
        return out

    # -- expressions -------------------------------------------------------------------------------------------------

    def expression(self) -> Node:
        """A comparison of sums, or a sum."""
        start = self.token.start
        left = self.sum()
        if not self.is_op(*_COMPARISONS):
            return left
        op = self.take().text
        right = self.sum()
        if self.is_op(*_COMPARISONS):
            raise self.error("comparisons cannot be chained: write one, or multiply two of them")
        return Binary(op, left, right, self.span(start))

    def sum(self) -> Node:
        """Terms joined by + and -; long sums become sums of short ones, so that no tree is tall."""
        start = self.token.start
        terms = [("+", self.product(), self.span(start))]
        while self.is_op("+", "-"):
            sign, begin = self.take().text, self.token.start
            terms.append((sign, self.product(), self.span(begin)))
        while len(terms) > _LONG_SUM:
            terms = [_joined(terms[k : k + _SHORT_SUM]) for k in range(0, len(terms), _SHORT_SUM)]
        return _joined(terms)[1]

    def comparison_free(self) -> Node:
        """A term: everything that binds tighter than + and -."""
        return self.product()

    def product(self) -> Node:
        return self._left(self.interaction, ("*", "/", "%"))

    def interaction(self) -> Node:
        return self._left(self.signed, (":",))

    def _left(self, below: Callable[[], Node], ops: tuple[str, ...]) -> Node:
        start = self.token.start
        node = below()
        while self.is_op(*ops):
            op = self.take().text
            node = Binary(op, node, below(), self.span(start))
        return node

    def signed(self) -> Node:
        if not self.is_op("+", "-"):
            return self.power()
        self._deeper()
        token = self.take()
        operand = self.signed()
        self.depth -= 1
        return Unary(token.text, operand, self.span(token.start))

    def power(self) -> Node:
        start = self.token.start
        base = self.atom()
        if not self.is_op("**", "^"):
            return base
        self._deeper()
        self.take()
        exponent = self.signed()
        self.depth -= 1
        return Binary("**", base, exponent, self.span(start))

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self.error("this formula is nested too deeply")

    def atom(self) -> Node:
        token = self.token
        if token.kind == "number":
            self.take()
            return Number(float(token.text), token.text, Span(token.start, token.stop))
        if token.kind == "text":
            self.take()
            return Text(token.text[1:-1], Span(token.start, token.stop))
        if token.kind == "quoted":
            self.take()
            return Name(token.text[1:-1], Span(token.start, token.stop), quoted=True)
        if token.kind == "name":
            self.take()
            return self.call(token) if self.is_op("(") else Name(token.text, Span(token.start, token.stop))
        if self.is_op("("):
            self._deeper()
            self.take()
            node = self.varying(self.expression())
            if self.is_op("|", "||"):
                raise self.error("a unit term (1 | unit) must stand by itself, joined to the other terms by +")
            self.expect(")", "to close the parenthesis")
            self.depth -= 1
            return node
        if token.kind == "end":
            raise self.error("the formula ends where a term was expected")
        raise self.error(f"expected a term, found {token.text!r}")

    def varying(self, node: Node) -> Node:
        """In weights, what stands before a bar with the unit over which it varies; else what is given."""
        if not self.weights or not self.is_op("|"):
            return node
        self.take()
        return Binary("|", node, self.interaction(), self.span(node.span.start))

    def call(self, name: Token) -> Node:
        """A function call; mm() and hm() take terms, the rest expressions."""
        self._deeper()
        self.take()
        args: list[Node] = []
        keywords: list[tuple[str, Node]] = []
        while not self.is_op(")"):
            if (
                self.token.kind == "name"
                and self.tokens[self.at + 1].text == "="
                and self.tokens[self.at + 1].kind == "op"
            ):
                key = self.take()
                self.take()
                if key.text in dict(keywords):
                    raise self.error(f"{key.text}= is given twice", key)
                self.weights += key.text == "weights"
                keywords.append((key.text, self.expression()))
                self.weights -= key.text == "weights"
            elif keywords:
                raise self.error("an argument without a name cannot follow one with a name")
            else:
                args.append(self.varying(self.expression()))
            if self.is_op(","):
                self.take()
                if self.is_op(")"):
                    raise self.error("an argument is missing after this comma", self.tokens[self.at - 1])
            elif not self.is_op(")"):
                end = self.token.kind == "end"
                hint = "is not closed" if end else f"has {self.token.text!r} where ',' or ')' was expected"
                raise self.error(f"{name.text}( {hint}", name if end else self.token)
        self.take()
        self.depth -= 1
        return Call(name.text, tuple(args), tuple(keywords), self.span(name.start))


def _joined(terms: list[tuple[str, Node, Span]]) -> tuple[str, Node, Span]:
    """Signed terms as one that is added, with its place."""
    sign, out, span = terms[0]
    out = out if sign == "+" else Unary(sign, out, span)
    for sign, node, mark in terms[1:]:
        span = Span(span.start, mark.stop)
        out = Binary(sign, out, node, span)
    return "+", out, span
