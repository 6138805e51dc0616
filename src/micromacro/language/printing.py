"""Syntax trees back to text, with no more parentheses than needed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .functions import CONTRASTS, READY_MADE, WEIGHT
from .nodes import Binary, Call, MemberCall, Name, Node, Number, Text, Unary, names_in

_LEVEL = {
    "==": 1, "!=": 1, "<": 1, "<=": 1, ">": 1, ">=": 1, "+": 2, "-": 2, "*": 3, "/": 3, "%": 3, ":": 4, "**": 6,
}  # fmt: skip
_SIGN = 5
_ATOM = 7
_READ = 120  # characters of an expression that a message repeats
_LONG = 400  # digits of a number that Python would not turn to text and back
_PLAIN = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*\Z")


def to_text(node: Node) -> str:
    """Text that parses to the same tree."""
    return _print(node, False)[0]


def brief(node: Node) -> str:
    """The text for a message, without its middle where it is long."""
    text = to_text(node)
    return text if len(text) <= _READ else f"{text[: _READ - 20]} ... {text[-15:]}"


def column_text(node: Node) -> str:
    """A factor of a covariate term as names of columns show it.

    A column by itself stands without backticks. Inside a function numbers and quotes are written as Python writes them,
    and dotted names between backticks.
    """
    return node.name if isinstance(node, Name) else _print(node, True)[0]


def _print(node: Node, python: bool) -> tuple[str, int]:
    """Text and binding strength of a node."""
    if isinstance(node, Number):
        return (_python_number(node) if python else node.text), _ATOM
    if isinstance(node, Text):
        quote = "'" if ("'" not in node.value if python else '"' in node.value) else '"'
        return f"{quote}{node.value}{quote}", _ATOM
    if isinstance(node, Name):
        plain = _PLAIN.match(node.name) and not (python and "." in node.name and node.name not in CONTRASTS)
        plain = plain and not (node.quoted and node.name == WEIGHT and not python)
        return (node.name if plain else f"`{node.name}`"), _ATOM
    if isinstance(node, Unary):
        return f"{node.op}{_inside(node.operand, _SIGN, python)}", _SIGN
    if isinstance(node, Call):
        inner = [_print(a, python)[0] for a in node.args]
        if node.function in READY_MADE and node.args and isinstance(node.args[0], Binary) and node.args[0].op == "|":
            inner[0] = inner[0][1:-1]  # power(x | unit)
        inner += [f"{k}={_print(v, python)[0]}" for k, v in node.keywords]
        return f"{node.function}({', '.join(inner)})", _ATOM
    return _binary(node, python)


def _python_number(node: Number) -> str:
    return str(int(node.text)) if node.text.isdecimal() and len(node.text) < _LONG else repr(node.value)


def _binary(node: Binary, python: bool) -> tuple[str, int]:
    if node.op == "|":
        return f"({_print(node.left, python)[0]} | {_print(node.right, python)[0]})", _ATOM
    level = _LEVEL[node.op]
    if node.op == "**":  # binds to the right; a signed exponent needs no parentheses
        exponent = _inside(node.right, level if python else _SIGN, python)
        return f"{_inside(node.left, level + 1, python)} ** {exponent}", level
    left = _inside(node.left, level + 1 if level == 1 else level, python)
    right = _inside(node.right, level + 1, python)
    joint = node.op if node.op == ":" else f" {node.op} "
    return f"{left}{joint}{right}", level


def _inside(node: Node, least: int, python: bool = False) -> str:
    text, level = _print(node, python)
    return text if level >= least else f"({text})"


def wilkinson_text(terms: Sequence[tuple[str, Node]], intercept: bool) -> str:
    """Signed terms as a right-hand side, the intercept said explicitly, dotted names between backticks."""
    out = "1" if intercept else "0"
    for sign, node in terms:
        out += f" {sign} {_inside(node, 3, True)}"
    return out


def member_text(call: MemberCall) -> str:
    """An ``mm(...)`` that parses to the same call."""
    terms = ["1"] if call.intercept else []
    text = " + ".join(terms)
    for sign, node in call.covariates:
        text += f" {sign} {_inside(node, 3)}" if text or sign == "-" else _inside(node, 3)
    for fix in call.fixes:
        text += (" + " if text else "") + f"fix({to_text(fix.term)}, {fix.value!r})"
    parts = [to_text(call.member), to_text(call.group)] + ([text.strip()] if text else [])
    if call.weights is not None:
        parts.append(f"weights = {to_text(call.weights)}")
    if call.normalize is not None:
        parts.append(f"normalize = {call.normalize}")
    if call.aggregate != Name("sum"):
        parts.append(f"aggregate = {to_text(call.aggregate)}")
    if call.combine != Name("sum"):
        parts.append(f"combine = {to_text(call.combine)}")
    if call.effects != Name("iid"):
        parts.append(f"effects = {to_text(call.effects)}")
    if call.by is not None:
        parts.append(f"by = {to_text(call.by)}")
    if call.joins is not None:
        parts.append(f"id = {to_text(Name(call.joins))}")
    if call.signed:
        parts.append("signed = yes")
    if call.name is not None:
        parts.append(f"name = {to_text(Name(call.name))}")
    if call.parameters is not None:
        parts.append(f'parameters = "{" ".join(call.parameters)}"')
    return f"mm({', '.join(parts)})"


__all__ = ["column_text", "member_text", "names_in", "to_text", "wilkinson_text"]
