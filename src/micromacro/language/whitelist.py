"""What may be handed to formulaic: names, numbers and the functions of a whitelist."""

from __future__ import annotations

import difflib

from ..errors import FormulaError
from .functions import CONTRASTS, GROUP_FUNCTIONS, WILKINSON
from .nodes import Binary, Call, Node, walk

SPECIAL = ("mm", "hm", "offset", "fix")
_OPERATORS = frozenset(["+", "-", "*", "/", "**", ":", "%", "<", "<=", ">", ">=", "==", "!="])


def check_wilkinson(node: Node, text: str) -> None:
    """Raise a FormulaError for anything in a covariate term that is not on the whitelist."""
    for part in walk(node):
        if isinstance(part, Call):
            _check_call(part, text)
        if isinstance(part, Binary) and part.op not in _OPERATORS:
            raise FormulaError(f"{part.op!r} is not allowed in a covariate", text, part.span.start, part.span.stop)


def _check_call(call: Call, text: str) -> None:
    name, place = call.function, (text, call.span.start, call.span.stop)
    if name in WILKINSON or name in CONTRASTS:
        return
    if name in SPECIAL:
        raise FormulaError(
            f"{name}() must stand by itself, joined to the other terms by +; it cannot be part of another term",
            *place,
        )
    near = difflib.get_close_matches(name, WILKINSON, n=2)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    if name in GROUP_FUNCTIONS:
        hint = "; it works within groups and is available in weights="
    raise FormulaError(
        f"{name}() is not among the functions of covariates{hint} ({', '.join(sorted(WILKINSON))}); compute the column "
        "beforehand", *place,
    )  # fmt: skip
