"""What ``combine=`` may ask for: how members' whole effects meet, and how a request is read from the formula."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import FormulaError
from ...language.nodes import Call, MemberCall, Name, Node
from ...language.printing import brief, to_text
from ...numerics import combining
from .aggregate import Aggregate, read_shapes

SUM = Name("sum")
SOFT = "log(sum over members j of w * exp({kappa} * zeta[i,j])) / {kappa}"
COMBINES = {
    c.word: c
    for c in (
        Aggregate("smax", combining.SMAX, SOFT, ("kappa",)),
        Aggregate("ces", combining.CES, "(sum over members j of w * exp(zeta[i,j])^{p})^(1 / {p})", ("p",)),
        Aggregate("max", combining.MAX, "max over members j of zeta[i,j]"),
        Aggregate("min", combining.MIN, "min over members j of zeta[i,j]"),
    )
}  # fmt: skip
NEAR = 4.0  # of max and min: the size of kappa times the scale of the outcome


@dataclass(frozen=True)
class Combine:
    """What the user wrote as ``combine=``.

    Attributes
    ----------
    node : Node
    row : Aggregate
    shape : float, str or None
        A number is held, a symbol estimated; None for max and min.
    """

    node: Node
    row: Aggregate
    shape: float | str | None

    @property
    def word(self) -> str:
        """As in the formula, and in the name of its parameter."""
        return self.row.word

    @property
    def text(self) -> str:
        """As it is written."""
        return f"combine = {to_text(self.node)}"


def read_combine(call: MemberCall, text: str, known: Sequence[str]) -> Combine | None:
    """Read a block's ``combine=``; None is the weighted sum.

    Parameters
    ----------
    known : sequence of str
        Columns of the data, which cannot be the symbol of a shape.
    """
    node = call.combine
    if node == SUM:
        return None
    mark = (text, node.span.start, node.span.stop)
    word = node.name if isinstance(node, Name) else node.function if isinstance(node, Call) else ""
    if word not in COMBINES:
        words = ["sum", *COMBINES]
        hint = difflib.get_close_matches(word, words, n=1)
        raise FormulaError(
            f"combine={brief(node)} is not known{f'; did you mean {hint[0]}?' if hint else ''}; it is one of sum, "
            "smax(kappa), ces(p), max, min", *mark,
        )  # fmt: skip
    row = COMBINES[word]
    if isinstance(node, Call) and not row.shapes:
        raise FormulaError(
            f"combine={word} takes nothing in parentheses; how soft the extreme is, is said with smax(kappa)", *mark
        )
    shapes = read_shapes(row, node, text, known, "combine")
    _check_beside(call, to_text(node), text)
    return Combine(node, row, shapes[0] if shapes else None)


def _check_beside(call: MemberCall, what: str, text: str) -> None:
    """What does not go with another way than the sum."""
    mark = (text, call.span.start, call.span.stop)
    if call.aggregate != SUM:
        raise FormulaError(
            f"combine={what} is of members' whole effects, aggregate={brief(call.aggregate)} of a covariate alone: "
            "a block has one of the two; write two blocks, the second with name=", *mark,
        )  # fmt: skip
    if call.joins is not None:
        raise FormulaError(f"combine={what} and id={call.joins} do not go together: leave out one of them", *mark)
    if call.normalize not in (None, "group"):
        raise FormulaError(
            f"combine={what} needs weights that sum to 1 in the group: leave out normalize={call.normalize}", *mark
        )
    if call.signed:
        raise FormulaError(f"combine={what} does not exist for negative weights: leave out signed = yes", *mark)
