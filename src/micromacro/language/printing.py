"""Syntax trees back to text, with no more parentheses than needed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from .functions import CONTRASTS
from .nodes import Binary, Call, MemberCall, Name, Node, Number, Text, Unary, names_in

_LEVEL = {
    "==": 1, "!=": 1, "<": 1, "<=": 1, ">": 1, ">=": 1, "+": 2, "-": 2, "*": 3, "/": 3, "%": 3, ":": 4, "**": 6,
}  # fmt: skip
_SIGN = 5
_ATOM = 7
_PLAIN = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*\Z")


def to_text(node: Node) -> str:
    """Text that parses to the same tree."""
    return _print(node)[0]


def _print(node: Node) -> tuple[str, int]:
    """Text and binding strength of a node."""
    if isinstance(node, Number):
        return node.text, _ATOM
    if isinstance(node, Text):
        quote = "'" if '"' in node.value else '"'
        return f"{quote}{node.value}{quote}", _ATOM
    if isinstance(node, Name):
        plain = _PLAIN.match(node.name) or node.name.startswith("`")
        return (node.name if plain else f"`{node.name}`"), _ATOM
    if isinstance(node, Unary):
        return f"{node.op}{_inside(node.operand, _SIGN)}", _SIGN
    if isinstance(node, Call):
        inner = [to_text(a) for a in node.args] + [f"{k}={to_text(v)}" for k, v in node.keywords]
        return f"{node.function}({', '.join(inner)})", _ATOM
    return _binary(node)


def _binary(node: Binary) -> tuple[str, int]:
    level = _LEVEL[node.op]
    if node.op == "**":  # binds to the right; a signed exponent needs no parentheses
        return f"{_inside(node.left, level + 1)} ** {_inside(node.right, _SIGN)}", level
    left = _inside(node.left, level + 1 if level == 1 else level)
    right = _inside(node.right, level + 1)
    joint = node.op if node.op == ":" else f" {node.op} "
    return f"{left}{joint}{right}", level


def _inside(node: Node, least: int) -> str:
    text, level = _print(node)
    return text if level >= least else f"({text})"


def wilkinson_text(terms: Sequence[tuple[str, Node]], intercept: bool) -> str:
    """Signed terms as a right-hand side for formulaic, the intercept said explicitly."""
    out = "1" if intercept else "0"
    for sign, node in terms:
        out += f" {sign} {_inside(_guarded(node), 3)}"
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
    if call.effects != Name("iid"):
        parts.append(f"effects = {to_text(call.effects)}")
    if call.name is not None:
        parts.append(f"name = {to_text(Name(call.name))}")
    if call.parameters is not None:
        parts.append(f'parameters = "{" ".join(call.parameters)}"')
    return f"mm({', '.join(parts)})"


def _guarded(node: Node) -> Node:
    """The tree with dotted names between backticks, which formulaic would read as attributes."""
    if isinstance(node, Name) and "." in node.name and node.name not in CONTRASTS:
        return Name(f"`{node.name}`")
    if isinstance(node, Unary):
        return replace(node, operand=_guarded(node.operand))
    if isinstance(node, Binary):
        return replace(node, left=_guarded(node.left), right=_guarded(node.right))
    if isinstance(node, Call):
        keywords = tuple((k, _guarded(v)) for k, v in node.keywords)
        return replace(node, args=tuple(map(_guarded, node.args)), keywords=keywords)
    return node


__all__ = ["member_text", "names_in", "to_text", "wilkinson_text"]
