"""The syntax tree of formulas. Nodes compare by content; their place in the text does not count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from .functions import CONTRASTS


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of characters of the formula."""

    start: int = 0
    stop: int = 0


_NOWHERE = Span()


def _span() -> Span:
    return field(default=_NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Number:
    """A number, with the text that it was written as."""

    value: float
    text: str = field(compare=False)
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Text:
    """A text literal, without its quotes."""

    value: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Name:
    """A column or a symbol, without backticks; `quoted` says whether it had them."""

    name: str
    span: Span = _span()
    quoted: bool = field(default=False, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Unary:
    """A sign before an operand."""

    op: str
    operand: Node
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands with an operator between them (``^`` is read as ``**``).

    In weights ``|`` stands between a coefficient (the covariates of a ready-made form) and the unit over which it
    varies.
    """

    op: str
    left: Node
    right: Node
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments; dotted names such as ``contr.sum`` are one name."""

    function: str
    args: tuple[Node, ...]
    keywords: tuple[tuple[str, Node], ...] = ()
    span: Span = _span()


Node = Number | Text | Name | Unary | Binary | Call
SignedTerms = tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Fix:
    """``fix(x, c)``: a term whose coefficient is known."""

    term: Node
    value: float
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class MemberCall:
    """``mm(member, group, covariates, ...)``.

    ``member`` is a column, or columns joined by ``:``; ``intercept`` is true only where the user wrote ``1 +`` among
    the covariates; ``normalize`` is None where it was not written.
    """

    member: Node
    group: Name
    covariates: SignedTerms = ()
    intercept: bool = False
    fixes: tuple[Fix, ...] = ()
    weights: Node | None = None
    normalize: str | None = None
    aggregate: Node = Name("sum")
    effects: Node = Name("iid")
    name: str | None = None
    parameters: tuple[str, ...] | None = None
    signed: bool = False
    by: Name | None = None
    combine: Node = Name("sum")
    joins: str | None = None
    span: Span = _span()

    @property
    def member_columns(self) -> tuple[str, ...]:
        """The member column, or those of ``a:b``."""
        return tuple(dict.fromkeys(n.name for n in names_in(self.member)))

    @property
    def member_name(self) -> str:
        """What members are called: their column, or ``a:b``."""
        return ":".join(self.member_columns)


@dataclass(frozen=True, slots=True)
class UnitCall:
    """``(1 + x | unit)`` (``bar``) or ``hm(unit, 1 + x)``; ``correlated`` is false for ``||``."""

    unit: Node
    intercept: bool = True
    slopes: SignedTerms = ()
    correlated: bool = True
    effects: Node = Name("iid")
    name: str | None = None
    by: Name | None = None
    joins: str | None = None
    bar: bool = field(default=False, compare=False)
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Interaction:
    """Products of the features of some blocks with columns of the groups.

    ``terms`` are the columns' terms; ``alone`` says whether the blocks are also multiplied with each other only.
    """

    blocks: tuple[str, ...]
    terms: tuple[Node, ...]
    alone: bool = False
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Formula:
    """A parsed formula."""

    text: str
    outcome: Node
    fixed: SignedTerms = ()
    intercept: bool = True
    members: tuple[MemberCall, ...] = ()
    units: tuple[UnitCall, ...] = ()
    offsets: tuple[Node, ...] = ()
    fixes: tuple[Fix, ...] = ()
    interactions: tuple[Interaction, ...] = ()
    calls: tuple[Call, ...] = ()


def children(node: Node) -> tuple[Node, ...]:
    """The operands or arguments of a node."""
    if isinstance(node, Unary):
        return (node.operand,)
    if isinstance(node, Binary):
        return (node.left, node.right)
    if isinstance(node, Call):
        return (*node.args, *(value for _, value in node.keywords))
    return ()


def walk(node: Node) -> Iterator[Node]:
    """A node and everything under it, in order of the text."""
    waiting = [node]
    while waiting:
        part = waiting.pop()
        yield part
        waiting.extend(reversed(children(part)))


def bars_in(node: Node) -> tuple[Binary, ...]:
    """In weights, what varies over units: each ``b1 | unit``, in order."""
    return tuple(part for part in walk(node) if isinstance(part, Binary) and part.op == "|")


def without_bars(node: Node) -> Node:
    """Weights in which nothing varies over units: of each ``b1 | unit`` what stands before the bar."""
    if isinstance(node, Unary):
        return replace(node, operand=without_bars(node.operand))
    if isinstance(node, Binary):
        left = without_bars(node.left)
        return left if node.op == "|" else replace(node, left=left, right=without_bars(node.right))
    if isinstance(node, Call):
        given = tuple((key, without_bars(value)) for key, value in node.keywords)
        return replace(node, args=tuple(without_bars(a) for a in node.args), keywords=given)
    return node


def units_in(node: Node | None) -> tuple[str, ...]:
    """Columns of the units over which coefficients of weights vary, each once."""
    bars = () if node is None else bars_in(node)
    return tuple(dict.fromkeys(n.name for bar in bars for n in names_in(bar.right)))


def size(node: Node) -> int:
    """How many nodes there are under a node, with itself."""
    return sum(1 for _ in walk(node))


def names_in(node: Node) -> tuple[Name, ...]:
    """All names under a node in order (those of functions and contrasts are not among them)."""
    return tuple(part for part in walk(node) if isinstance(part, Name) and part.name not in CONTRASTS)
