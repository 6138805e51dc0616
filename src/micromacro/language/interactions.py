"""Interactions of member blocks: fixed terms such as ``B:majority``, ``B * majority`` and ``B1:B2``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import reduce

from ..errors import FormulaError
from .nodes import Binary, Formula, Interaction, Name, Node, walk
from .wilkinson import Product, atoms, products


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
    found: dict[tuple[str, ...], dict[frozenset[Node], Product]] = {}
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
            if not own:
                fixed.append(("+", reduce(_joined, rest)))
            elif len(own) > 1 or rest:
                key = next((k for k in found if set(k) == set(own)), own)
                spans.setdefault(key, term)
                found.setdefault(key, {}).setdefault(frozenset(rest), rest)
    made = tuple(
        Interaction(k, tuple(reduce(_joined, r) for r in rests.values() if r), frozenset() in rests, spans[k].span)
        for k, rests in found.items()
    )
    return replace(formula, fixed=tuple(fixed), interactions=made)


def _error(message: str, node: Node, text: str) -> FormulaError:
    return FormulaError(message, text, node.span.start, node.span.stop)


def _joined(left: Node, right: Node) -> Node:
    return Binary(":", left, right, left.span)


def _is_product(term: Node, blocks: Mapping[str, str], columns: Collection[str], text: str) -> bool:
    """Whether a term multiplies a block; a block's name alone, or one that means two things, is an error."""
    named = [a for a in atoms(term) if isinstance(a, Name) and a.name in blocks]
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


def _expanded(node: Node, blocks: Mapping[str, str], text: str) -> tuple[Product, ...]:
    """A term as products of what cannot be taken apart."""
    _check_operators(node, blocks, text)
    return products([("+", node)], text, tuple(blocks))


def _check_operators(node: Node, blocks: Mapping[str, str], text: str) -> None:
    """Blocks may be multiplied, and added inside a product; nothing else."""
    if isinstance(node, Binary) and node.op in (":", "*", "+"):
        _check_operators(node.left, blocks, text)
        _check_operators(node.right, blocks, text)
    elif not isinstance(node, Name) and any(isinstance(p, Name) and p.name in blocks for p in atoms(node)):
        raise _error("a member block can be multiplied by : or * only", node, text)
