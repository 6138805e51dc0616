"""Weight expressions: what the user wrote as ``weights=``, read against the columns, and made into a tape.

Every symbol that is not a column, nor `n`, is a free parameter. Where the tape (:mod:`.tape`) computes the logarithm of
the expression, the weights are normalised by log-sum-exp.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from ...errors import DataError, FormulaError
from ...language.elsewhere import instead_of_function
from ...language.functions import GROUP_FUNCTIONS, READY_MADE, WEIGHT_FUNCTIONS
from ...language.nodes import Binary, Call, Name, Node, Number, Text, bars_in, children, units_in, walk, without_bars
from ...numerics import tape as op
from ...table.columns import Table
from ..design import Design, make_design
from .tape import Tape, TapeMaker, matches

Maker = TypeVar("Maker", bound=TapeMaker)


@dataclass(frozen=True)
class WeightExpression:
    """What the user wrote as `weights=`, with its free symbols found.

    Attributes
    ----------
    node : Node
        The expression, or the call of a ready-made form, as the user wrote it.
    parameters : tuple of str
        Free symbols in order of appearance (names of covariates for a ready-made form).
    columns : tuple of str
        Columns that it reads.
    uses_n : bool
        Whether the user wrote `n`.
    ready : str or None
        Which ready-made form it is; then ``design`` are its covariates and ``intercept`` says whether b0 comes first.
    unit : tuple of str
        Columns of the unit over which coefficients vary: one, or those of ``a:b``; none where nothing varies.
    varying : tuple of str
        The free symbols that vary over it (of a ready-made form, all do).
    """

    node: Node
    text: str
    parameters: tuple[str, ...]
    columns: tuple[str, ...]
    uses_n: bool
    ready: str | None = None
    design: Design | None = None
    intercept: bool = False
    unit: tuple[str, ...] = ()
    varying: tuple[str, ...] = ()

    @cached_property
    def plain(self) -> Node:
        """The same expression where nothing varies over units."""
        return without_bars(self.node)

    @property
    def by_size(self) -> bool:
        """Whether weights depend on the number of members."""
        return self.uses_n or self.ready in ("power", "logistic")

    @property
    def free(self) -> bool:
        """Whether there is anything to estimate."""
        return bool(self.parameters)

    def of_members(self, column: str) -> bool:
        """Whether a member's own value of a column counts, and not only what functions of the group make of all."""
        return self.ready is not None or _outside_groups(self.node, column)


def _outside_groups(node: Node, column: str) -> bool:
    """Whether a column stands somewhere that is not within a function of the group."""
    if isinstance(node, Name):
        return node.name == column
    inside = isinstance(node, Call) and node.function in GROUP_FUNCTIONS
    return not inside and any(_outside_groups(child, column) for child in children(node))


def unmatched(expression: WeightExpression, table: Table) -> list[tuple[str, str]]:
    """Comparisons with a text (column, text) that no row has."""
    out = []
    for node in walk(expression.node):
        if isinstance(node, Binary) and node.op in ("==", "!="):
            for one, other in ((node.left, node.right), (node.right, node.left)):
                if isinstance(one, Name) and isinstance(other, Text) and one.name in table:
                    same = matches(table[one.name], other.value)
                    if same is not None and not same.any():
                        out.append((one.name, other.value))
    return list(dict.fromkeys(out))


# -- reading what the user wrote -----------------------------------------------------------------------------------


def read_weights(
    node: Node | None, text: str, known: Sequence[str], strict: tuple[str, ...] | None
) -> WeightExpression:
    """Find the free symbols of a weight expression.

    Parameters
    ----------
    node : Node or None
        None is the default, ``1/n``.
    known : sequence of str
        Columns that the memberships have.
    strict : tuple of str, optional
        The user's ``parameters=``: every free symbol must be listed, and every listed one must occur.
    """
    written = node is not None
    node = node if node is not None else Binary("/", Number(1.0, "1"), Name("n"))
    unit = _unit_of(node, text)
    if isinstance(node, Call) and node.function in READY_MADE:
        return replace(_ready_made(node, text, strict), unit=unit)
    free: list[str] = []
    columns: list[str] = []
    uses_n = False
    for part in walk(without_bars(node)):
        if isinstance(part, Call):
            check_call(part, text)
        if not isinstance(part, Name):
            continue
        listed = strict is not None and part.name in strict
        if listed and part.name in known:
            raise FormulaError(
                f"{part.name!r} is listed in parameters= but is also a column: give the parameter another name", text,
                part.span.start, part.span.stop,
            )  # fmt: skip
        if part.name == "n" and not listed:
            uses_n = written
        elif part.name in known:
            columns.append(part.name)
        elif strict is not None and not listed:
            raise FormulaError(
                f"{part.name!r} is neither a column nor listed in parameters= ({', '.join(strict) or 'empty'})"
                f"{_near(part.name, [*known, *strict])}", text, part.span.start, part.span.stop,
            )  # fmt: skip
        else:
            free.append(part.name)
    unused = [p for p in strict or () if p not in free]
    if unused:
        raise FormulaError(f"parameters= lists {', '.join(unused)}, which weights= does not use", text, 0, len(text))
    parameters, columns = list(dict.fromkeys(free)), list(dict.fromkeys(columns))
    varying = _varying(node, parameters, text)
    return WeightExpression(node, text, tuple(parameters), tuple(columns), uses_n, unit=unit, varying=varying)


def _unit_of(node: Node, text: str) -> tuple[str, ...]:
    """Columns of the unit over which coefficients vary: the same wherever one is written."""
    bars = bars_in(node)
    for bar in bars:
        mark = (text, bar.right.span.start, bar.right.span.stop)
        for part in walk(bar.right):
            if not isinstance(part, Name) and not (isinstance(part, Binary) and part.op == ":"):
                raise FormulaError("a unit of weights is a column, or columns joined by :", *mark)
        if bar.right != bars[0].right:
            raise FormulaError(
                "all coefficients of a block's weights vary over the same unit, but here are two units: leave out one "
                "of them, or put its coefficients into a block of their own, with name=", *mark,
            )  # fmt: skip
    return units_in(node)


def _varying(node: Node, parameters: Sequence[str], text: str) -> tuple[str, ...]:
    """The free symbols that are written with a unit, (b1 | unit)."""
    out = []
    for bar in bars_in(node):
        if not (isinstance(bar.left, Name) and bar.left.name in parameters):
            raise FormulaError(
                "before the bar stands one free symbol, a coefficient that varies over the unit, as in "
                "exp((b1 | unit) * x)", text, bar.span.start, bar.span.stop,
            )  # fmt: skip
        out.append(bar.left.name)
    return tuple(p for p in parameters if p in out)


def near_misses(expression: WeightExpression, known: Sequence[str]) -> list[tuple[str, str]]:
    """Free symbols that nearly spell a column, with that column."""
    if expression.ready:
        return []
    return [(symbol, column) for symbol in expression.parameters if (column := near(symbol, known)) is not None]


def near(symbol: str, known: Sequence[str]) -> str | None:
    """A column that a symbol nearly spells."""
    close = difflib.get_close_matches(symbol, known, n=1, cutoff=0.8)
    lower = [k for k in known if k.lower() == symbol.lower()]
    return (lower or close)[0] if close or lower else None


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def check_call(call: Call, text: str, also: str = "", role: str = "") -> None:
    """Refuse unknown functions and wrong numbers of arguments.

    Parameters
    ----------
    also : str
        Functions that come on top (of aggregates).
    role : str
        What the expression is for if not for weights (outcome, offset): functions within groups have no place there.
    """
    name = call.function
    table = WEIGHT_FUNCTIONS.get(name) or GROUP_FUNCTIONS.get(name)
    mark = (text, call.span.start, call.span.stop)
    if role and name not in WEIGHT_FUNCTIONS:
        there = f"there are {', '.join(WEIGHT_FUNCTIONS)}; for others compute the column beforehand"
        hint = instead_of_function(name) or f"{_near(name, list(WEIGHT_FUNCTIONS))}; {there}"
        raise FormulaError(f"{name}() is not a function of an expression such as this {role}{hint}", *mark)
    if name in READY_MADE:
        raise FormulaError(f"{name}() must be the whole of weights=, not a part of it", *mark)
    if table is None:
        names = [*WEIGHT_FUNCTIONS, *GROUP_FUNCTIONS]
        raise FormulaError(
            f"{'aggregate' if also else 'weights'}= has no function {name!r}"
            f"{instead_of_function(name) or _near(name, names)}; there are {also}"
            f"{', '.join(names)}",
            *mark,
        )
    if not table.least <= len(call.args) <= table.most:
        many = str(table.least) if table.least == table.most else f"{table.least} to {table.most}"
        raise FormulaError(f"{name}() takes {many} arguments, not {len(call.args)}", *mark)
    given = [k for k, _ in call.keywords]
    needed = ["by"] if name in ("first", "last") else []
    if sorted(given) != needed:
        wants = f"needs {needed[0]}=, as in {name}(x, by=z)" if needed else "takes no keywords"
        raise FormulaError(f"{name}() {wants}", *mark)


def _ready_made(call: Call, text: str, strict: tuple[str, ...] | None) -> WeightExpression:
    if strict is not None:
        raise FormulaError(
            f"parameters= does not go with {call.function}(), which names its own", text, call.span.start,
            call.span.stop,
        )  # fmt: skip
    if len(call.args) != 1 or call.keywords:
        raise FormulaError(
            f"{call.function}() takes covariates joined by +, as in {call.function}(x + z)", text, call.span.start,
            call.span.stop,
        )  # fmt: skip
    inside = without_bars(call.args[0])
    if len(bars_in(call)) > 1 or (bars_in(call) and inside != getattr(call.args[0], "left", None)):
        raise FormulaError(
            f"in {call.function}() all coefficients vary over the unit: write it once, {call.function}(x + z | unit)",
            text, call.span.start, call.span.stop,
        )  # fmt: skip
    columns = tuple(dict.fromkeys(p.name for p in walk(inside) if isinstance(p, Name)))
    return WeightExpression(call, text, (), columns, False, ready=call.function)


def _signed(node: Node, sign: str = "+") -> list[tuple[str, Node]]:
    """Top-level + and - terms of a covariate list."""
    if isinstance(node, Binary) and node.op in ("+", "-"):
        return [*_signed(node.left, sign), (node.op, node.right)]
    return [(sign, node)]


def prepare(expression: WeightExpression, table: Table) -> WeightExpression:
    """Work out the covariates of a ready-made form on the data; other expressions are returned as they are."""
    if expression.ready is None:
        return expression
    assert isinstance(expression.plain, Call)
    signed = _signed(expression.plain.args[0])
    one = [term for term in signed if isinstance(term[1], Number) and term[1].value == 1.0]
    for sign, node in signed:
        if sign == "-" and (sign, node) not in one:
            raise FormulaError(
                f"{expression.ready}() takes covariates joined by +: the sign of a coefficient is estimated",
                expression.text, node.span.start, node.span.stop,
            )  # fmt: skip
    none = any(sign == "-" for sign, _ in one) or any(isinstance(n, Number) and n.value == 0.0 for _, n in signed)
    intercept = not none and (bool(one) or expression.ready == "logistic")
    if intercept and expression.ready == "softmax":
        raise FormulaError(
            "softmax() has no intercept: it would cancel in every group",
            expression.text, one[0][1].span.start, one[0][1].span.stop,
        )  # fmt: skip
    design, _ = make_design([term for term in signed if term not in one], table, expression.text)
    names = (("b0",) if intercept else ()) + design.names
    varying = names if expression.unit else ()
    return replace(expression, design=design, parameters=names, intercept=intercept, varying=varying)


def make_tape(expression: WeightExpression, table: Table, start: np.ndarray) -> Tape:
    """Compile a weight expression for one block's memberships (rows sorted by group; `start` (groups + 1,))."""
    size = np.repeat(np.diff(start), np.diff(start)).astype(float)

    def fresh() -> TapeMaker:
        return TapeMaker(table, size, start, expression.parameters, expression.text)

    maker, out, logarithm = build_register(expression, table, fresh)
    return maker.finish(out, logarithm)


def build_register(expression: WeightExpression, table: Table, fresh: Callable[[], Maker]) -> tuple[Maker, int, bool]:
    """A maker with the register of a weight expression, and whether that is its logarithm; `fresh` gives makers."""
    maker = fresh()
    if expression.ready is not None:
        return maker, _ready_register(maker, expression, table), True
    if expression.free:
        out = maker.logarithm(expression.plain)
        if out is not None:
            return maker, out, True
        maker = fresh()
    return maker, maker.build(expression.plain), False


def _ready_register(maker: TapeMaker, expression: WeightExpression, table: Table) -> int:
    r"""Logarithm of a ready-made weight, with linear predictor l = x'b.

    power: :math:`-e^{-l}\log n`; logistic: :math:`-\log(1 + (n-1) e^{-l})`; softmax: l. An intercept b0 is part of l.
    """
    assert expression.design is not None
    matrix = expression.design.matrix(table)
    first = int(expression.intercept)
    total = maker.emit(op.PARAMETER, 0, 0) if first else maker.constant(0.0)
    for k, column in enumerate(matrix.T):
        term = maker.scaled(first + k, maker.constant(column))
        total = term if k + first == 0 else maker.binary(op.ADD, total, term)
    if expression.ready == "softmax":
        return total
    if expression.ready == "power":
        shrink = maker.unary(op.EXP, maker.unary(op.NEGATE, total))
        return maker.raised(maker.constant(-np.log(maker.size)), shrink)
    with np.errstate(divide="ignore"):
        others = maker.constant(np.log(maker.size - 1.0))
    return maker.unary(op.NEGATE, maker.unary(op.SOFTPLUS, maker.binary(op.SUBTRACT, others, total)))


def check_group_size_column(table: Table, size: np.ndarray, group_ids: np.ndarray, block: str) -> None:
    """Where the user wrote `n` and the data has such a column, the two must agree."""
    if table["n"].kind not in ("number", "integer"):
        raise DataError(
            f"weights of block {block!r} use n, the number of listed members, but the column 'n' holds "
            f"{table['n'].kind} values: rename the column"
        )
    column = table["n"].values
    bad = np.flatnonzero(np.asarray(column, dtype=float) != size)
    if len(bad):
        first = bad[0]
        raise DataError(
            f"the column 'n' disagrees with the number of members listed in block {block!r} in {len(bad)} rows (first: "
            f"group {group_ids[first]} has {int(size[first])} members, but n = {column[first]:g}); in weights, n is "
            "the number of listed members: rename the column to use it as data, or complete the members"
        )


def constant_expression(node: Node, table: Table, text: str, role: str = "term") -> np.ndarray:
    """Values (rows,) of an expression without free symbols in which every row stands alone; `role` is for messages."""
    for part in walk(node):
        if isinstance(part, Call):
            if part.function in GROUP_FUNCTIONS:
                raise FormulaError(
                    f"{part.function}() works within groups and is not allowed here",
                    text,
                    part.span.start,
                    part.span.stop,
                )
            check_call(part, text, role=role)
    rows = np.arange(table.n_rows + 1)
    maker = TapeMaker(table, np.ones(table.n_rows), rows, (), text)
    return np.array(maker._at(maker.build(node)))
