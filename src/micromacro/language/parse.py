"""Formulas by recursive descent.

Operators bind as in Python (``-x**2`` is ``-(x**2)``; ``**`` to the right); ``:`` lies between ``*`` and the sign,
as in Wilkinson's notation. The special terms ``mm()``, ``hm()``, ``offset()``, ``fix()`` and ``(1 | unit)`` are
recognised as whole terms of the right-hand side only.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from typing import Any

from ..errors import FormulaError
from .nodes import Binary, Call, Fix, Formula, MemberCall, Name, Node, Number, Span, Text, Unary, UnitCall, walk
from .tokens import Token, tokenize
from .whitelist import SPECIAL

_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
MEMBER_KEYWORDS = ("weights", "normalize", "aggregate", "effects", "name", "parameters")
UNIT_KEYWORDS = ("effects", "name")
NORMALIZE = ("total", "group", "none")
_DEEPEST = 60


def parse_formula(text: str) -> Formula:
    """Parse a whole formula.

    Raises
    ------
    FormulaError
        With the place marked.
    """
    if not isinstance(text, str):
        raise FormulaError(f"the formula must be text, not {type(text).__name__}")
    parser = _Parser(text)
    if not any(t.text == "~" for t in parser.tokens):
        raise FormulaError(
            "a formula has the form outcome ~ terms, but there is no ~", text, 0, max(len(text.rstrip()), 1)
        )
    outcome = parser.expression()
    parser.expect("~", "after the outcome")
    terms = parser.signed_terms()
    parser.end()
    return _sorted(text, outcome, terms)


def parse_expression(text: str) -> Node:
    """Parse one expression; the whole text must be used."""
    parser = _Parser(text)
    node = parser.expression()
    parser.end()
    return node


class _Bar:
    """``(terms | unit)`` as a term, before it is turned into a UnitCall."""

    __slots__ = ("double", "span", "terms", "unit")

    def __init__(self, terms: list[tuple[str, Any]], unit: Node, double: bool, span: Span):
        self.terms, self.unit, self.double, self.span = terms, unit, double, span


class _Parser:
    """Tokens of one text and a place among them."""

    def __init__(self, text: str):
        self.text = text
        self.tokens = tokenize(text)
        self.at = 0
        self.depth = 0

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
            raise self.error(f"this text was not expected here{hint}")

    def span(self, start: int) -> Span:
        return Span(start, self.tokens[self.at - 1].stop)

    # -- terms -------------------------------------------------------------------------------------------------------

    def signed_terms(self) -> list[tuple[str, Node | _Bar]]:
        """Terms joined by + and -; ``(... | unit)`` may be one of them."""
        out: list[tuple[str, Node | _Bar]] = []
        sign = "+"
        if self.is_op("+", "-"):
            sign = self.take().text
        while True:
            out.append((sign, self.term()))
            if not self.is_op("+", "-"):
                return out
            sign = self.take().text

    def term(self) -> Node | _Bar:
        """One term of a right-hand side."""
        if self.is_op("("):
            bar = self.bar()
            if bar is not None:
                return bar
        return self.comparison_free()

    def bar(self) -> _Bar | None:
        """A unit term, if the parenthesis at this place holds a bar at its own level."""
        depth, k = 0, self.at
        while self.tokens[k].kind != "end":
            t = self.tokens[k]
            depth += (t.text == "(") - (t.text == ")") if t.kind == "op" else 0
            if depth == 0:
                return None
            if depth == 1 and t.kind == "op" and t.text in ("|", "||"):
                break
            k += 1
        else:
            return None
        start = self.take().start
        terms = self.signed_terms()
        double = self.take().text == "||"
        unit = self.comparison_free()
        self.expect(")", "to close the unit term")
        return _Bar(terms, unit, double, self.span(start))

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
        return self._left(self.product, ("+", "-"))

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
            return Name(token.text[1:-1], Span(token.start, token.stop))
        if token.kind == "name":
            self.take()
            return self.call(token) if self.is_op("(") else Name(token.text, Span(token.start, token.stop))
        if self.is_op("("):
            self._deeper()
            self.take()
            node = self.expression()
            if self.is_op("|", "||"):
                raise self.error("a unit term (1 | unit) must stand by itself, joined to the other terms by +")
            self.expect(")", "to close the parenthesis")
            self.depth -= 1
            return node
        if token.kind == "end":
            raise self.error("the formula ends where a term was expected")
        raise self.error(f"expected a term, found {token.text!r}")

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
                keywords.append((key.text, self.expression()))
            elif keywords:
                raise self.error("an argument without a name cannot follow one with a name")
            else:
                args.append(self.expression())
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


# -- from terms to a formula -------------------------------------------------------------------------------------------


def _sorted(text: str, outcome: Node, terms: list[tuple[str, Node | _Bar]]) -> Formula:
    """Sort the terms of a right-hand side by kind."""
    _check_plain(outcome, text)
    fixed: list[tuple[str, Node]] = []
    members: list[MemberCall] = []
    units: list[UnitCall] = []
    offsets: list[Node] = []
    fixes: list[Fix] = []
    intercept = True
    for sign, term in terms:
        if isinstance(term, _Bar):
            _only_plus(sign, text, term.span, "a unit term")
            units.append(_unit_of_bar(term, text))
        elif isinstance(term, Call) and term.function in SPECIAL:
            _only_plus(sign, text, term.span, f"{term.function}()")
            if term.function == "mm":
                members.append(_member(term, text))
            elif term.function == "hm":
                units.append(_unit_of_call(term, text))
            elif term.function == "offset":
                offsets.append(_one_argument(term, text))
            else:
                fixes.append(_fix(term, text))
        elif (mark := _intercept_mark(sign, term)) is not None:
            intercept = mark
        else:
            _check_plain(term, text)
            fixed.append((sign, term))
    return Formula(text, outcome, tuple(fixed), intercept, tuple(members), tuple(units), tuple(offsets), tuple(fixes))


def _intercept_mark(sign: str, term: Node) -> bool | None:
    """Whether a term switches the intercept on or off, or is none of these."""
    if isinstance(term, Unary):
        inner = _intercept_mark("-" if term.op == "-" else "+", term.operand)
        return inner if sign == "+" or inner is None else not inner
    if not isinstance(term, Number) or term.value not in (0.0, 1.0):
        return None
    return (term.value == 1.0) == (sign == "+")


def _only_plus(sign: str, text: str, span: Span, what: str) -> None:
    if sign == "-":
        raise FormulaError(
            f"{what} can only be added; leave it out instead of subtracting it", text, span.start, span.stop
        )


def _check_plain(node: Node, text: str) -> None:
    """Special terms must not hide inside another term."""
    for part in walk(node):
        if isinstance(part, Call) and part.function in SPECIAL:
            raise FormulaError(
                f"{part.function}() must stand by itself, joined to the other terms by +; it cannot be part of another "
                "term", text, part.span.start, part.span.stop,
            )  # fmt: skip


def _split(node: Node, sign: str = "+") -> list[tuple[str, Node]]:
    """Signed terms of a sum."""
    if isinstance(node, Binary) and node.op in ("+", "-"):
        return [*_split(node.left, sign), (node.op, node.right)]
    if isinstance(node, Unary) and sign == "+":
        return [(node.op, node.operand)]
    return [(sign, node)]


def _keyword(key: str, allowed: tuple[str, ...], call: Call, node: Node, text: str) -> None:
    if key not in allowed:
        near = difflib.get_close_matches(key, allowed, n=1)
        hint = f"; did you mean {near[0]}=?" if near else ""
        start = text.rfind(key, call.span.start, node.span.start)
        raise FormulaError(
            f"{call.function}() has no argument {key}={hint} (it takes {', '.join(k + '=' for k in allowed)})", text,
            start, start + len(key),
        )  # fmt: skip


def _column(node: Node, what: str, text: str) -> Name:
    if isinstance(node, Name):
        return node
    raise FormulaError(f"{what} must be the name of a column", text, node.span.start, node.span.stop)


def _word(node: Node, key: str, text: str) -> str:
    if isinstance(node, Name):
        return node.name
    if isinstance(node, Text) and node.value:
        return node.value
    raise FormulaError(f"{key}= takes a name", text, node.span.start, node.span.stop)


def _member(call: Call, text: str) -> MemberCall:
    """Read ``mm(member, group, covariates, weights=..., ...)``."""
    for key, node in call.keywords:
        _keyword(key, MEMBER_KEYWORDS, call, node, text)
    if not 2 <= len(call.args) <= 3:
        raise FormulaError(
            "mm() needs a member column and a group column, then covariates if any: "
            "mm(member, group, x + z, weights=...)",
            text, call.span.start, call.span.stop,
        )  # fmt: skip
    given = dict(call.keywords)
    covariates, intercept, fixes = _covariates(call.args[2], text) if len(call.args) == 3 else ([], False, [])
    normalize = None
    if "normalize" in given:
        node = given["normalize"]
        normalize = _word(node, "normalize", text)
        if normalize not in NORMALIZE:
            raise FormulaError(
                f"normalize= is one of {', '.join(NORMALIZE)}, not {normalize}",
                text,
                node.span.start,
                node.span.stop,
            )
    return MemberCall(
        member=_column(call.args[0], "the member of mm()", text),
        group=_column(call.args[1], "the group of mm()", text),
        covariates=tuple(covariates),
        intercept=intercept,
        fixes=tuple(fixes),
        weights=given.get("weights"),
        normalize=normalize,
        aggregate=given.get("aggregate", Name("sum")),
        effects=given.get("effects", Name("iid")),
        name=_word(given["name"], "name", text) if "name" in given else None,
        parameters=_parameters(given["parameters"], text) if "parameters" in given else None,
        span=call.span,
    )


def _covariates(node: Node, text: str) -> tuple[list[tuple[str, Node]], bool, list[Fix]]:
    """Covariate terms of a member block; ``1 +`` asks for its own intercept, ``fix(x, c)`` is set apart."""
    terms, fixes, intercept = [], [], False
    for sign, term in _split(node):
        mark = _intercept_mark(sign, term)
        if mark is not None:
            intercept = mark
        elif isinstance(term, Call) and term.function == "fix":
            _only_plus(sign, text, term.span, "fix()")
            fixes.append(_fix(term, text))
        else:
            _check_plain(term, text)
            terms.append((sign, term))
    return terms, intercept, fixes


def split_terms(node: Node, text: str) -> tuple[list[tuple[str, Node]], bool | None]:
    """Signed terms of a sum, and what it says of the intercept: 1, 0 or nothing (None)."""
    terms, intercept = [], None
    for sign, term in _split(node):
        mark = _intercept_mark(sign, term)
        if mark is not None:
            intercept = mark
        else:
            _check_plain(term, text)
            terms.append((sign, term))
    return terms, intercept


def _parameters(node: Node, text: str) -> tuple[str, ...]:
    if isinstance(node, (Text, Name)):
        names = (node.value if isinstance(node, Text) else node.name).replace(",", " ").split()
        if names and len(set(names)) == len(names) and all(n.isidentifier() for n in names):
            return tuple(names)
    raise FormulaError(
        'parameters= takes names in quotes, each once, as in parameters="b0 b1"',
        text,
        node.span.start,
        node.span.stop,
    )


def _unit_of_bar(bar: _Bar, text: str) -> UnitCall:
    for _, term in bar.terms:
        if isinstance(term, _Bar):
            raise FormulaError("a unit term cannot be inside another", text, term.span.start, term.span.stop)
    return _unit(bar.unit, bar.terms, not bar.double, Name("iid"), None, bar.span, text)


def _unit_of_call(call: Call, text: str) -> UnitCall:
    for key, node in call.keywords:
        _keyword(key, UNIT_KEYWORDS, call, node, text)
    if not 1 <= len(call.args) <= 2:
        raise FormulaError(
            "hm() needs a unit column, then the terms that vary over units if any: hm(unit, 1 + x)", text,
            call.span.start, call.span.stop,
        )  # fmt: skip
    given = dict(call.keywords)
    terms = _split(call.args[1]) if len(call.args) == 2 else []
    name = _word(given["name"], "name", text) if "name" in given else None
    return _unit(call.args[0], terms, True, given.get("effects", Name("iid")), name, call.span, text)


def _unit(
    unit: Node,
    terms: list[tuple[str, Node]],
    correlated: bool,
    effects: Node,
    name: str | None,
    span: Span,
    text: str,
) -> UnitCall:
    for part in walk(unit):
        if not isinstance(part, Name) and not (isinstance(part, Binary) and part.op in ("/", ":")):
            raise FormulaError("a unit is a column, or columns joined by / or :", text, part.span.start, part.span.stop)
    intercept, slopes = True, []
    for sign, term in terms:
        mark = _intercept_mark(sign, term)
        if mark is not None:
            intercept = mark
        else:
            _check_plain(term, text)
            slopes.append((sign, term))
    if not intercept and not slopes:
        raise FormulaError("this unit term has nothing that varies: write (1 | unit)", text, span.start, span.stop)
    return UnitCall(unit, intercept, tuple(slopes), correlated, effects, name, span)


def _one_argument(call: Call, text: str) -> Node:
    if len(call.args) != 1 or call.keywords:
        raise FormulaError(f"{call.function}() takes one column or expression", text, call.span.start, call.span.stop)
    _check_plain(call.args[0], text)
    return call.args[0]


def _fix(call: Call, text: str) -> Fix:
    if len(call.args) == 2 and not call.keywords:
        value, sign = call.args[1], 1.0
        while isinstance(value, Unary):
            sign, value = (-sign if value.op == "-" else sign), value.operand
        if isinstance(value, Number) and math.isfinite(value.value):
            _check_plain(call.args[0], text)
            return Fix(call.args[0], sign * value.value, call.span)
    raise FormulaError(
        "fix() takes a term and the number that its coefficient is held at: fix(x, 1.0)", text, call.span.start,
        call.span.stop,
    )  # fmt: skip
