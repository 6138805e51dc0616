"""From the terms of a formula to what they are: fixed terms, ``mm()``, unit terms, offsets, known coefficients."""

from __future__ import annotations

import difflib
import math
from typing import Any

from ..errors import FormulaError
from .functions import TERM_CALLS
from .nodes import Binary, Call, Fix, Formula, MemberCall, Name, Node, Number, Span, Text, Unary, UnitCall, walk
from .whitelist import SPECIAL, check_size

MEMBER_KEYWORDS = (
    "weights", "normalize", "aggregate", "combine", "effects", "name", "parameters", "signed", "by", "id"
)  # fmt: skip
UNIT_KEYWORDS = ("effects", "name", "by", "id")
NORMALIZE = ("total", "group", "none")
INSTEAD = {  # of terms that are of columns of the groups, among the covariates of members
    "s": "a curve of a covariate of members has no penalty: write its columns, as in bs(x, df=5) or x + I(x ** 2)",
    "strata": "strata are of groups: add the term outside mm()",
    "nominal": "effects that differ by category are of columns of the groups: add the term outside mm()",
}


class Bar:
    """``(terms | unit)`` as a term, before it is turned into a UnitCall."""

    __slots__ = ("double", "keywords", "span", "terms", "unit")

    def __init__(
        self, terms: list[tuple[str, Any]], unit: Node, double: bool, keywords: list[tuple[str, Node]], span: Span
    ):
        self.terms, self.unit, self.double, self.keywords, self.span = terms, unit, double, keywords, span


def sort_terms(text: str, outcome: Node, terms: list[tuple[str, Node | Bar]]) -> Formula:
    """Sort the terms of a right-hand side by kind."""
    _check_plain(outcome, text)
    check_size(outcome, text)
    fixed: list[tuple[str, Node]] = []
    members: list[MemberCall] = []
    units: list[UnitCall] = []
    offsets: list[Node] = []
    fixes: list[Fix] = []
    calls: list[Call] = []
    intercept = True
    for sign, term in terms:
        if isinstance(term, Bar):
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
        elif isinstance(term, Call) and term.function in TERM_CALLS:
            _only_plus(sign, text, term.span, f"{term.function}()")
            calls.append(_term_call(term, text))
        elif (mark := intercept_mark(sign, term)) is not None:
            intercept = mark
        else:
            _check_plain(term, text)
            fixed.append((sign, term))
    made = (tuple(members), tuple(units), tuple(offsets), tuple(fixes))
    return Formula(text, outcome, tuple(fixed), intercept, *made, calls=tuple(calls))


def _term_call(call: Call, text: str) -> Call:
    """A term of a kind of its own, with as many arguments as it takes."""
    arity = TERM_CALLS[call.function]
    for key, node in call.keywords:
        _keyword(key, arity.keywords, call, node, text)
    if not arity.least <= len(call.args) <= arity.most:
        some = f"{arity.least}" if arity.least == arity.most else f"{arity.least} to {arity.most}"
        raise FormulaError(f"{call.function}() takes {some} arguments", text, call.span.start, call.span.stop)
    for node in (*call.args, *(value for _, value in call.keywords)):
        _check_plain(node, text)
        check_size(node, text)
    return call


def intercept_mark(sign: str, term: Node) -> bool | None:
    """Whether a term switches the intercept on or off, or is none of these."""
    if isinstance(term, Unary):
        inner = intercept_mark("-" if term.op == "-" else "+", term.operand)
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
        if isinstance(part, Call) and part.function in (*SPECIAL, *TERM_CALLS):
            raise FormulaError(
                f"{part.function}() must stand by itself, joined to the other terms by +; it cannot be part of another "
                "term", text, part.span.start, part.span.stop,
            )  # fmt: skip


def _split(node: Node, sign: str = "+") -> list[tuple[str, Node]]:
    """Signed terms of a sum, those of a sum in parentheses too where it is added."""
    if isinstance(node, Binary) and node.op in ("+", "-"):
        right = _split(node.right) if node.op == "+" and _is_sum(node.right) else [(node.op, node.right)]
        return [*_split(node.left, sign), *right]
    if isinstance(node, Unary) and sign == "+":
        return [(node.op, node.operand)]
    return [(sign, node)]


def _is_sum(node: Node) -> bool:
    return isinstance(node, Binary) and node.op in ("+", "-")


def _keyword(key: str, allowed: tuple[str, ...], call: Call | Bar, node: Node, text: str) -> None:
    if key not in allowed:
        near = difflib.get_close_matches(key, allowed, n=1)
        hint = f"; did you mean {near[0]}=?" if near else ""
        start = text.rfind(key, call.span.start, node.span.start)
        what = "a unit term" if isinstance(call, Bar) else f"{call.function}()"
        raise FormulaError(
            f"{what} has no argument {key}={hint} (it takes {', '.join(k + '=' for k in allowed)})", text,
            start, start + len(key),
        )  # fmt: skip


def _column(node: Node, what: str, text: str) -> Name:
    if isinstance(node, Name):
        return node
    raise FormulaError(f"{what} must be the name of a column", text, node.span.start, node.span.stop)


def _word(node: Node, key: str, text: str) -> str:
    if isinstance(node, Name):
        return node.name
    if isinstance(node, Text) and node.value and "`" not in node.value:
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
    for key in ("weights", "aggregate", "combine"):
        if key in given:
            check_size(given[key], text)
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
        member=_member_columns(call.args[0], text),
        group=_column(call.args[1], "the group of mm()", text),
        covariates=tuple(covariates),
        intercept=intercept,
        fixes=tuple(fixes),
        weights=given.get("weights"),
        normalize=normalize,
        aggregate=given.get("aggregate", Name("sum")),
        combine=given.get("combine", Name("sum")),
        effects=given.get("effects", Name("iid")),
        name=_word(given["name"], "name", text) if "name" in given else None,
        parameters=_parameters(given["parameters"], text) if "parameters" in given else None,
        signed="signed" in given and _yes(given["signed"], "signed", text),
        by=_column(given["by"], "by=", text) if "by" in given else None,
        joins=_word(given["id"], "id", text) if "id" in given else None,
        span=call.span,
    )


def _member_columns(node: Node, text: str) -> Node:
    """A column, or columns joined by a colon."""
    for part in walk(node):
        if not isinstance(part, Name) and not (isinstance(part, Binary) and part.op == ":"):
            raise FormulaError(
                "the member of mm() must be the name of a column, or columns joined by :", text, part.span.start,
                part.span.stop,
            )  # fmt: skip
    return node


def _yes(node: Node, key: str, text: str) -> bool:
    """yes or no."""
    word = _word(node, key, text).lower()
    if word not in ("yes", "no"):
        raise FormulaError(f"{key}= is yes or no, not {word}", text, node.span.start, node.span.stop)
    return word == "yes"


def _covariates(node: Node, text: str) -> tuple[list[tuple[str, Node]], bool, list[Fix]]:
    """Covariate terms of a member block; ``1 +`` asks for its own intercept, ``fix(x, c)`` is set apart."""
    terms, fixes, intercept = [], [], False
    for sign, term in _split(node):
        mark = intercept_mark(sign, term)
        if mark is not None:
            intercept = mark
        elif isinstance(term, Call) and term.function == "fix":
            _only_plus(sign, text, term.span, "fix()")
            fixes.append(_fix(term, text))
        elif isinstance(term, Call) and term.function in INSTEAD:
            raise FormulaError(
                f"{term.function}() cannot be among the covariates of mm(); {INSTEAD[term.function]}", text,
                term.span.start, term.span.stop,
            )  # fmt: skip
        else:
            _check_plain(term, text)
            terms.append((sign, term))
    return terms, intercept, fixes


def split_terms(node: Node, text: str) -> tuple[list[tuple[str, Node]], bool | None]:
    """Signed terms of a sum, and what it says of the intercept: 1, 0 or nothing (None)."""
    terms, intercept = [], None
    for sign, term in _split(node):
        mark = intercept_mark(sign, term)
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


def _unit_of_bar(bar: Bar, text: str) -> UnitCall:
    for _, term in bar.terms:
        if isinstance(term, Bar):
            raise FormulaError("a unit term cannot be inside another", text, term.span.start, term.span.stop)
    for key, node in bar.keywords:
        _keyword(key, UNIT_KEYWORDS, bar, node, text)
    return _unit(bar.unit, bar.terms, not bar.double, dict(bar.keywords), bar.span, text, bar=True)


def _unit_of_call(call: Call, text: str) -> UnitCall:
    for key, node in call.keywords:
        _keyword(key, UNIT_KEYWORDS, call, node, text)
    if not 1 <= len(call.args) <= 2:
        raise FormulaError(
            "hm() needs a unit column, then the terms that vary over units if any: hm(unit, 1 + x)", text,
            call.span.start, call.span.stop,
        )  # fmt: skip
    terms = _split(call.args[1]) if len(call.args) == 2 else []
    return _unit(call.args[0], terms, True, dict(call.keywords), call.span, text)


def _unit(
    unit: Node,
    terms: list[tuple[str, Node]],
    correlated: bool,
    given: dict[str, Node],
    span: Span,
    text: str,
    bar: bool = False,
) -> UnitCall:
    """A unit term with the keywords that were given."""
    for part in walk(unit):
        if not isinstance(part, Name) and not (isinstance(part, Binary) and part.op in ("/", ":")):
            raise FormulaError("a unit is a column, or columns joined by / or :", text, part.span.start, part.span.stop)
    intercept, slopes = True, []
    for sign, term in terms:
        mark = intercept_mark(sign, term)
        if mark is not None:
            intercept = mark
        else:
            _check_plain(term, text)
            slopes.append((sign, term))
    if not intercept and not slopes:
        raise FormulaError("this unit term has nothing that varies: write (1 | unit)", text, span.start, span.stop)
    name = _word(given["name"], "name", text) if "name" in given else None
    by = _column(given["by"], "by=", text) if "by" in given else None
    joins = _word(given["id"], "id", text) if "id" in given else None
    effects = given.get("effects", Name("iid"))
    return UnitCall(unit, intercept, tuple(slopes), correlated, effects, name, by, joins, bar, span)


def _one_argument(call: Call, text: str) -> Node:
    if len(call.args) != 1 or call.keywords:
        raise FormulaError(f"{call.function}() takes one column or expression", text, call.span.start, call.span.stop)
    _check_plain(call.args[0], text)
    check_size(call.args[0], text)
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
