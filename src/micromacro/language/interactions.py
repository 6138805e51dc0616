"""Interactions of member blocks: fixed terms such as ``B:majority``, ``B * majority`` and ``B1:B2``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import reduce

from ..errors import FormulaError
from .nodes import Binary, Formula, Interaction, Name, Node, walk

_Product = tuple[Node, ...]


def split_interactions(formula: Formula, blocks: Mapping[str, str], columns: Collection[str]) -> Formula:
    """Take the products with member blocks out of the fixed terms.

    Parameters
    ----------
    blocks : mapping
        Name of each member block to its member column.
    columns : collection of str
        All columns of the user's tables.

    Returns
    -------
    Formula
        With ``interactions``, one for each set of blocks, and with the main effects that ``*`` asks for among the
        fixed terms.
    """
    fixed: list[tuple[str, Node]] = []
    found: dict[tuple[str, ...], list[_Product]] = {}
    spans: dict[tuple[str, ...], Node] = {}
    for sign, term in formula.fixed:
        if not _is_product(term, blocks, columns, formula.text):
            fixed.append((sign, term))
            continue
        if sign == "-":
            raise _error("the interaction of a block can only be added; leave it out", term, formula.text)
        for product in _expanded(term, blocks, formula.text):
            own = tuple(a.name for a in product if isinstance(a, Name) and a.name in blocks)
            rest = tuple(a for a in product if not (isinstance(a, Name) and a.name in blocks))
            if len(set(own)) < len(own):
                raise _error(f"block {own[0]!r} cannot be multiplied by itself", term, formula.text)
            if not own:
                fixed.append(("+", reduce(_joined, rest)))
            elif len(own) > 1 or rest:
                key = next((k for k in found if set(k) == set(own)), own)
                spans.setdefault(key, term)
                if rest not in found.setdefault(key, []):
                    found[key].append(rest)
    made = tuple(
        Interaction(k, tuple(reduce(_joined, r) for r in rests if r), () in rests, spans[k].span)
        for k, rests in found.items()
    )
    return replace(formula, fixed=tuple(fixed), interactions=made)


def _error(message: str, node: Node, text: str) -> FormulaError:
    return FormulaError(message, text, node.span.start, node.span.stop)


def _joined(left: Node, right: Node) -> Node:
    return Binary(":", left, right, left.span)


def _atoms(node: Node) -> list[Node]:
    """What the operators of Wilkinson's notation join in a term."""
    if isinstance(node, Binary) and node.op in (":", "*", "+", "-", "/", "%"):
        return [*_atoms(node.left), *_atoms(node.right)]
    return [node]


def _is_product(term: Node, blocks: Mapping[str, str], columns: Collection[str], text: str) -> bool:
    """Whether a term multiplies a block; a block's name alone, or one that means two things, is an error."""
    named = [a for a in _atoms(term) if isinstance(a, Name) and a.name in blocks]
    if not named:
        hidden = [p for p in walk(term) if isinstance(p, Name) and p.name in blocks and p.name not in columns]
        if hidden:
            raise _error(
                f"{hidden[0].name!r} is a member block, which can be multiplied by : or *, but not changed otherwise",
                hidden[0], text,
            )  # fmt: skip
        return False
    name = named[0].name
    if isinstance(term, Name):
        if name in columns:
            return False
        raise _error(f"the main effect of block {name!r} is in the model already: leave {name!r} out", term, text)
    for atom in named:
        if atom.name in columns and atom.name != blocks[atom.name]:
            raise _error(
                f"{atom.name!r} is a member block and also a column, so this product has two meanings: give the block "
                "another name=", atom, text,
            )  # fmt: skip
    return True


def _expanded(node: Node, blocks: Mapping[str, str], text: str) -> list[_Product]:
    """A term as products of what cannot be taken apart."""
    if isinstance(node, Binary) and node.op in (":", "*", "+"):
        left, right = _expanded(node.left, blocks, text), _expanded(node.right, blocks, text)
        crossed = [(*a, *(b for b in q if b not in a)) if not _twice(a, q, blocks) else (*a, *q)
                   for a in left for q in right]  # fmt: skip
        if node.op == ":":
            return crossed
        return [*left, *right] if node.op == "+" else [*left, *right, *crossed]
    if any(isinstance(p, Name) and p.name in blocks for p in _atoms(node)) and not isinstance(node, Name):
        raise _error("a member block can be multiplied by : or * only", node, text)
    return [(node,)]


def _twice(left: _Product, right: _Product, blocks: Mapping[str, str]) -> bool:
    """Whether a block stands on both sides."""
    return any(isinstance(a, Name) and a.name in blocks and a in right for a in left)
