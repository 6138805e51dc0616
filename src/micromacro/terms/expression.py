"""Expressions in columns without free symbols: outcomes such as ``log(y)`` and offsets."""

from __future__ import annotations

import numpy as np

from ..errors import DataError, FormulaError
from ..language.nodes import Binary, Call, Name, Node, Text, walk
from ..language.printing import brief, names_in
from ..table.columns import Table
from ..table.memberships import Tables
from ..table.screen import counted, listed
from .member.weights import constant_expression


def evaluate(
    node: Node, table: Table, text: str, role: str, of: Tables | None = None, endless: bool = False,
    constant: bool = False,
) -> np.ndarray:  # fmt: skip
    """Values (rows,) of an expression in the columns of a table; a comparison such as ``use == "Y"`` is 1 or 0.

    Parameters
    ----------
    role : str
        What it is for (``outcome``, ``offset``), for messages.
    of : Tables, optional
        Where `table` has a row per outcome: what the user calls them, for messages.
    endless : bool
        Whether a value may be infinite (the upper end of an interval).
    constant : bool
        Whether it may do without a column (the number of trials).
    """
    if isinstance(node, Call) and node.function == "I" and len(node.args) == 1:
        node = node.args[0]
    compared = _compared_with_text(node)
    for name in names_in(node):
        column = table[name.name]
        if name not in compared and column.kind not in ("number", "integer", "bool"):
            raise DataError(
                f"the {role} needs numbers, but column {name.name!r} of {table.name} holds {column.kind} values "
                f"(first: {column.values[0]!r})"
            )
    if not names_in(node) and not constant:
        raise FormulaError(f"the {role} contains no column", text, node.span.start, node.span.stop)
    if isinstance(node, Name):
        values = table[node.name].values.astype(float)
    else:
        values = np.broadcast_to(constant_expression(node, table, text, role), table.n_rows)
    bad = np.flatnonzero(~(np.isfinite(values) | (endless & np.isposinf(values))))
    if len(bad):
        noun, ids = ("row", np.arange(len(values))) if of is None else (of.noun, of.ids)
        raise DataError(
            f"the {role} {brief(node)} is not finite in {len(bad)} of {counted(len(values), noun)} (first: "
            f"{listed(ids[bad])}); check the transformation and the rows"
        )
    return values


def _compared_with_text(node: Node) -> list[Name]:
    """Names that stand beside a text in a comparison."""
    pairs = [(p.left, p.right) for p in walk(node) if isinstance(p, Binary)]
    beside = [one for a, b in pairs for one, other in ((a, b), (b, a)) if isinstance(other, Text)]
    return [one for one in beside if isinstance(one, Name)]
