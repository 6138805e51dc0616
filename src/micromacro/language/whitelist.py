"""What a covariate term may be: columns, and the functions of a list with arguments of known kinds."""

from __future__ import annotations

import difflib
import math

from ..errors import FormulaError
from .elsewhere import instead_of_function
from .functions import (
    ARGUMENTS,
    CONTRASTS,
    GROUP_FUNCTIONS,
    HIGHEST,
    NEEDED,
    ROWWISE,
    SEVERAL,
    TERM_CALLS,
    WILKINSON,
    Kind,
)
from .nodes import Binary, Call, Name, Node, Number, Text, Unary, size

SPECIAL = ("mm", "hm", "offset", "fix")
MOST_OPERATIONS = 2000
"""How many operations an expression may have that is worked out row by row."""
ARITHMETIC = ("+", "-", "*", "/", "**", "%")
EQUALITY = ("==", "!=")
COMPARISONS = ("<", "<=", ">", ">=", *EQUALITY)
_KINDS = {
    "whole": f"a whole number up to {HIGHEST}",
    "flag": "1 (yes) or 0 (no)",
    "number": "a number",
    "level": "a level, a number or text in quotes",
}


def check_factor(node: Node, text: str) -> None:
    """Check what stands in a product of terms: a column, or a function of expressions in columns.

    Raises
    ------
    FormulaError
        For anything that is not on the list, with its place.
    """
    if isinstance(node, Name):
        _check_name(node, text)
        return
    if not isinstance(node, Call):
        raise _error("this cannot be a term: write arithmetic and comparisons in I(), as in I(x > 0)", node, text)
    _check_function(node, text)
    check_size(node, text)
    if not node.args:
        raise _error(f"{node.function}() needs an expression in columns, as in {node.function}(x)", node, text)
    check_expression(node.args[0], text)
    if node.function in ARGUMENTS:
        kinds, unnamed = ARGUMENTS[node.function]
        _check_arguments(node, node.args[1:], kinds, unnamed, text)
        needed = NEEDED.get(node.function)
        if needed and len(node.args) == 1 and needed not in dict(node.keywords):
            raise _error(f"{node.function}() needs its {needed}, as in {node.function}(x, 2)", node, text)
    elif len(node.args) > 1 or node.keywords:
        raise _error(f"{node.function}() takes one expression", node, text)


def check_size(node: Node, text: str) -> None:
    """Refuse an expression of very many operations: each goes over all rows."""
    if size(node) > 2 * MOST_OPERATIONS:
        raise _error(f"this has more than {MOST_OPERATIONS} operations: compute a part of it beforehand", node, text)


def check_expression(node: Node, text: str) -> None:
    """Check arithmetic in columns, row by row."""
    if isinstance(node, Name):
        _check_name(node, text)
    elif isinstance(node, Unary):
        check_expression(node.operand, text)
    elif isinstance(node, Binary) and node.op in EQUALITY and _has_text(node):
        other = node.right if isinstance(node.left, Text) else node.left
        if not isinstance(other, Name):
            raise _error('text can only be compared with a column, as in I(role == "head")', node, text)
        _check_name(other, text)
    elif isinstance(node, Binary):
        if node.op not in ARITHMETIC and node.op not in COMPARISONS:
            raise _error(f"{node.op!r} joins terms and has no meaning inside a function", node, text)
        check_expression(node.left, text)
        check_expression(node.right, text)
    elif isinstance(node, Call):
        _check_function(node, text)
        if node.function in SEVERAL:
            raise _error(f"{node.function}() makes several columns, so it cannot be inside a function", node, text)
        check_factor(node, text)
    elif isinstance(node, Text):
        raise _error('text can only occur in a comparison with a column, as in I(role == "head")', node, text)


def _has_text(node: Binary) -> bool:
    return isinstance(node.left, Text) or isinstance(node.right, Text)


def _error(message: str, node: Node, text: str) -> FormulaError:
    return FormulaError(message, text, node.span.start, node.span.stop)


def _check_name(node: Name, text: str) -> None:
    if node.name in CONTRASTS:
        raise _error(f"{node.name} can only be used in C(), as in C(x, {node.name})", node, text)


def _check_arguments(
    call: Call, given: tuple[Node, ...], kinds: dict[str, Kind], unnamed: int, text: str
) -> None:  # fmt: skip
    """Check the arguments of a call after its expression."""
    takes = ", ".join(f"{name}=" for name in kinds)
    if len(given) > unnamed:
        raise _error(f"{call.function}() takes {takes or 'nothing'} after the expression", given[unnamed], text)
    named = list(zip(kinds, given, strict=False))
    for key, node in (*named, *call.keywords):
        if key not in kinds:
            lists = " (a formula cannot hold a list)" if key in ("knots", "levels", "scores") else ""
            near = difflib.get_close_matches(key, kinds, n=1)
            hint = f"; did you mean {near[0]}=?" if near else ""
            raise _error(
                f"{call.function}() has no argument {key}= here{lists}{hint} (it takes {takes or 'none'})", node, text
            )
        _check_argument(call, key, node, kinds[key], text)
    twice = {key for key, _ in named} & {key for key, _ in call.keywords}
    if twice:
        raise _error(f"{min(twice)}= of {call.function}() is given twice", call, text)


def _check_argument(call: Call, key: str, node: Node, kind: Kind, text: str) -> None:
    if kind == "expression":
        check_expression(node, text)
        return
    if kind == "contrasts":
        name = node.name if isinstance(node, Name) else node.function if isinstance(node, Call) else None
        if name not in CONTRASTS:
            raise _error(f"contrasts are one of {', '.join(CONTRASTS)}", node, text)
        if isinstance(node, Call):
            _check_arguments(node, node.args, CONTRASTS[name], len(CONTRASTS[name]), text)
        return
    if isinstance(kind, tuple):
        if not (isinstance(node, Text) and node.value in kind):
            words = " or ".join(f'"{word}"' for word in kind)
            raise _error(f"{key}= of {call.function}() is {words}", node, text)
        return
    if kind == "level" and isinstance(node, Text):
        return
    value = signed_number(node)
    allowed = {
        "whole": value is not None and 0 <= value <= HIGHEST and value == int(value),
        "flag": value in (0.0, 1.0),
    }
    if not allowed.get(kind, value is not None and math.isfinite(value)):
        raise _error(f"{key}= of {call.function}() is {_KINDS[kind]}", node, text)


def signed_number(node: Node) -> float | None:
    """The value of a number with signs before it; None for anything else."""
    sign = 1.0
    while isinstance(node, Unary):
        sign, node = (-sign if node.op == "-" else sign), node.operand
    return sign * node.value if isinstance(node, Number) else None


def _check_function(call: Call, text: str) -> None:
    name, mark = call.function, (text, call.span.start, call.span.stop)
    if name in WILKINSON:
        return
    if name in CONTRASTS:
        raise FormulaError(f"{name} can only be used in C(), as in C(x, {name})", *mark)
    if name in (*SPECIAL, *TERM_CALLS):
        raise FormulaError(
            f"{name}() must stand by itself, joined to the other terms by +; it cannot be part of another term",
            *mark,
        )
    other = (
        f"; did you mean {name.lower()}()?" if name.lower() in (*SPECIAL, *TERM_CALLS) else instead_of_function(name)
    )
    if other:
        raise FormulaError(f"{name}() is not among the functions of covariates{other}", *mark)
    near = difflib.get_close_matches(name, WILKINSON, n=2)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    if name in GROUP_FUNCTIONS:
        hint = "; it works within groups and is available in weights="
    raise FormulaError(
        f"{name}() is not among the functions of covariates{hint} ({', '.join(sorted(WILKINSON))}); compute the column "
        "beforehand", *mark,
    )  # fmt: skip


__all__ = ["ROWWISE", "SPECIAL", "check_expression", "check_factor", "check_size", "signed_number"]
