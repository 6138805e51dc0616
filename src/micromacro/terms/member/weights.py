r"""Weight expressions: from a syntax tree to a tape of operations (:mod:`micromacro.numerics.tape`).

Every symbol that is not a column, nor `n`, is a free parameter. What no parameter reaches is worked out while the
tape is made, by the same kernels, and enters as a constant. Where the logarithm of the expression can be written
(the canonical :math:`1 / n^{\exp(-x'b)}`, ``exp()``, products and quotients of these), the tape computes that
logarithm instead, and the weights are normalised by log-sum-exp.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ...errors import DataError, FormulaError
from ...language.functions import GROUP_FUNCTIONS, WEIGHT_FUNCTIONS
from ...language.nodes import Binary, Call, Name, Node, Number, Text, Unary, walk
from ...numerics import tape as op
from ...numerics.aggregation import ODDS
from ...numerics.tape import run
from ...table.columns import Column, Table, days
from ..design import Design, make_design

_UNARY = {
    "exp": op.EXP, "log": op.LOG, "log1p": op.LOG1P, "expm1": op.EXPM1, "sqrt": op.SQRT, "abs": op.ABS,
    "logit": op.LOGIT, "ilogit": op.ILOGIT, "probit": op.PROBIT, "iprobit": op.IPROBIT, "cloglog": op.CLOGLOG,
    "tanh": op.TANH,
}  # fmt: skip
_BINARY = {
    "+": op.ADD, "-": op.SUBTRACT, "*": op.MULTIPLY, "/": op.DIVIDE, "**": op.POWER, "<": op.LESS,
    "<=": op.LESS_EQUAL, ">": op.GREATER, ">=": op.GREATER_EQUAL, "==": op.EQUAL, "!=": op.NOT_EQUAL,
    "minimum": op.MINIMUM, "maximum": op.MAXIMUM,
}  # fmt: skip
_GROUP = {
    "sum": op.GROUP_SUM, "mean": op.GROUP_MEAN, "min": op.GROUP_MIN, "max": op.GROUP_MAX, "var": op.GROUP_VAR,
    "sd": op.GROUP_SD, "range": op.GROUP_RANGE, "rank": op.GROUP_RANK,
}  # fmt: skip
READY_MADE = ("power", "logistic", "softmax")


@dataclass(frozen=True, eq=False)
class Tape:
    """A weight expression, ready to run on one block's memberships.

    Attributes
    ----------
    code, moves, constants : arrays
        See :func:`micromacro.numerics.tape.run`; ``constants`` (registers, m) has the constant registers loaded.
    output : int
        Register of the result.
    logarithm : bool
        Whether the result is the logarithm of the raw weight.
    parameters : tuple of str
        Names of the free symbols, in order of appearance.
    """

    code: np.ndarray
    moves: np.ndarray
    constants: np.ndarray
    output: int
    logarithm: bool
    parameters: tuple[str, ...]

    @cached_property
    def quick(self) -> tuple[np.ndarray, int, int]:
        """Operations, register of the result and what it holds (see ``normalise``) where no derivative is wanted.

        Of a weight 1 / (1 + exp(a)), whose logarithm is the end of the tape, a is enough.
        """
        ends = [int(row[0]) for row in self.code[-2:]]
        if self.logarithm and ends == [op.SOFTPLUS, op.NEGATE] and self.code[-1, 2] == self.code[-2, 1]:
            return self.code[:-2], int(self.code[-2, 2]), ODDS
        return self.code, self.output, int(self.logarithm)


@dataclass(frozen=True)
class WeightExpression:
    """What the user wrote as `weights=`, with its free symbols found.

    Attributes
    ----------
    node : Node
        The expression, or the call of a ready-made form.
    parameters : tuple of str
        Free symbols in order of appearance (names of covariates for a ready-made form).
    columns : tuple of str
        Columns that it reads.
    uses_n : bool
        Whether the user wrote `n`.
    ready : str or None
        Which ready-made form it is; then ``design`` are its covariates and ``intercept`` says whether b0 comes first.
    """

    node: Node
    text: str
    parameters: tuple[str, ...]
    columns: tuple[str, ...]
    uses_n: bool
    ready: str | None = None
    design: Design | None = None
    intercept: bool = False

    @property
    def free(self) -> bool:
        """Whether there is anything to estimate."""
        return bool(self.parameters)


class Maker:
    """Builds a tape register by register; operations on constants are carried out at once."""

    def __init__(self, table: Table | None, size: np.ndarray, start: np.ndarray, parameters: Sequence[str], text: str):
        self.table = table
        self.start = start
        self.text = text
        self.m = len(size)
        self.size = size
        self.parameters = list(parameters)
        self.value: list[np.ndarray | None] = []  # constants; None for a moving register
        self.code: list[tuple[int, int, int, int, int]] = []
        self.place: dict[int, int] = {}  # of each register in the finished tape

    def constant(self, values: np.ndarray | float) -> int:
        self.value.append(np.broadcast_to(np.asarray(values, dtype=float), (self.m,)))
        return len(self.value) - 1

    def moves(self, register: int) -> bool:
        return self.value[register] is None

    def emit(self, what: int, a: int = 0, b: int = 0, c: int = 0, inputs: tuple[int, ...] = ()) -> int:
        """Append an operation, or carry it out where all `inputs` are constants."""
        if what in (op.PARAMETER, op.SCALE) or any(self.moves(r) for r in inputs):
            out = len(self.value)
            self.value.append(None)
            self.code.append((what, out, a, b, c))
            return out
        places = {r: k for k, r in enumerate(dict.fromkeys(inputs))}
        value = np.empty((len(places) + 1, self.m))
        for r, k in places.items():
            value[k] = self.value[r]
        row = (what, len(places), places.get(a, 0), places.get(b, 0), places.get(c, 0))
        run(
            np.array([row], dtype=np.int64), np.zeros(len(value), dtype=bool), np.empty(0), self.start, value,
            np.empty((len(value), 0, self.m)),
        )  # fmt: skip
        return self.constant(value[-1])

    def unary(self, what: int, a: int) -> int:
        return self.emit(what, a, inputs=(a,))

    def binary(self, what: int, a: int, b: int) -> int:
        return self.emit(what, a, b, inputs=(a, b))

    def scaled(self, number: int, column: int) -> int:
        """Parameter times a constant column."""
        return self.emit(op.SCALE, column, number)

    # -- from the syntax tree ------------------------------------------------------------------------------------

    def build(self, node: Node) -> int:
        """Register that holds the value of an expression."""
        if isinstance(node, Number):
            return self.constant(node.value)
        if isinstance(node, Name):
            return self._name(node)
        if isinstance(node, Unary):
            inner = self.build(node.operand)
            return inner if node.op == "+" else self.unary(op.NEGATE, inner)
        if isinstance(node, Binary):
            return self._binary(node)
        if isinstance(node, Call):
            return self.call(node)
        raise self.error('text can only occur in a comparison with a column, as in role == "head"', node)

    def error(self, message: str, node: Node) -> FormulaError:
        return FormulaError(message, self.text, node.span.start, node.span.stop)

    def _name(self, node: Name) -> int:
        if node.name in self.parameters:
            return self.emit(op.PARAMETER, 0, self.parameters.index(node.name))
        if node.name == "n":
            return self.constant(self.size)
        assert self.table is not None
        column = self.table[node.name]
        if column.kind not in ("number", "integer", "bool", "time"):
            raise self.error(
                f"column {node.name!r} holds text; in weights it can only occur in a comparison, "
                f'as in {node.name} == "{column.values[0] if len(column.values) else "a"}"',
                node,
            )
        values = column.values
        return self.constant(days(values) if column.kind == "time" else values)

    def _binary(self, node: Binary) -> int:
        if node.op not in _BINARY:
            raise self.error(f"{node.op!r} is not an operator of weight expressions", node)
        sides = (node.left, node.right)
        if any(isinstance(s, Text) for s in sides):
            return self._text_comparison(node)
        if node.op == "*":
            for one, other in (sides, sides[::-1]):
                if isinstance(one, Name) and one.name in self.parameters:
                    factor = self.build(other)
                    if not self.moves(factor):
                        return self.scaled(self.parameters.index(one.name), factor)
                    return self.binary(op.MULTIPLY, self.build(one), factor)
        left, right = self.build(node.left), self.build(node.right)
        return self.binary(_BINARY[node.op], left, right)

    def _text_comparison(self, node: Binary) -> int:
        text, other = (node.left, node.right) if isinstance(node.left, Text) else (node.right, node.left)
        known = isinstance(other, Name) and self.table is not None and other.name in self.table
        if node.op not in ("==", "!=") or not known or not isinstance(text, Text):
            raise self.error('text can only be compared with a column by == or !=, as in role == "head"', node)
        assert self.table is not None and isinstance(other, Name)
        same = _matches(self.table[other.name], text.value)
        if same is None:
            kind = self.table[other.name].kind
            ways = {"time": "write the date as 2000-01-31", "bool": f"write {other.name} == 1"}
            how = ways.get(kind, "leave out the quotes")
            raise self.error(f"column {other.name!r} holds {_KINDS[kind]}, not text: {how}", node)
        return self.constant(same if node.op == "==" else ~same)

    def call(self, node: Call) -> int:
        name = node.function
        if name in READY_MADE:
            raise self.error(f"{name}() must be the whole of weights=, not a part of it", node)
        if name in _UNARY:
            return self.unary(_UNARY[name], self.build(node.args[0]))
        if name in _BINARY:
            return self.binary(_BINARY[name], self.build(node.args[0]), self.build(node.args[1]))
        if name == "where":
            a, b, c = (self.build(x) for x in node.args)
            return self.emit(op.WHERE, a, b, c, inputs=(a, b, c))
        if name in ("largest", "smallest"):
            return self._extreme_members(node)
        inner = self.build(node.args[0])
        if name in _GROUP:
            return self.unary(_GROUP[name], inner)
        if name == "median":
            return self._with_constant(op.GROUP_QUANTILE, inner, self.constant(0.5), node)
        if name == "quantile":
            q = self.build(node.args[1])
            if not self.moves(q) and self.m and not 0.0 <= float(self._at(q).min()) <= float(self._at(q).max()) <= 1.0:
                raise self.error("the q of quantile(x, q) must lie between 0 and 1", node)
            return self._with_constant(op.GROUP_QUANTILE, inner, q, node)
        return self._of_extreme(inner, self.build(dict(node.keywords)["by"]), name == "last", node)

    def _extreme_members(self, node: Call) -> int:
        """1 for the member with the largest (smallest) value of the group, shared among equals; 0 for the others."""
        inner = self.build(node.args[0])
        extreme = self.unary(op.GROUP_MAX if node.function == "largest" else op.GROUP_MIN, inner)
        equal = self.binary(op.EQUAL, inner, extreme)
        return self.binary(op.DIVIDE, equal, self.unary(op.GROUP_SUM, equal))

    def _at(self, register: int) -> np.ndarray:
        value = self.value[register]
        assert value is not None
        return value

    def _with_constant(self, what: int, inner: int, constant: int, node: Node) -> int:
        if self.moves(constant):
            raise self.error("this argument must be a number or a column, without free parameters", node)
        return self.emit(what, inner, constant, inputs=(inner, constant))

    def _of_extreme(self, inner: int, by: int, last: bool, node: Node) -> int:
        """The value of the member with the least (or largest) `by`, the mean over those that share that place."""
        if self.moves(by):
            raise self.error("the by= of first() and last() must be free of parameters", node)
        values = self._at(by)
        share = np.zeros(self.m)
        for lo, hi in zip(self.start[:-1], self.start[1:], strict=True):
            if hi > lo:
                equal = values[lo:hi] == (values[lo:hi].max() if last else values[lo:hi].min())
                share[lo:hi] = equal / equal.sum()
        there, zero = self.constant(share), self.constant(0.0)
        kept = self.emit(op.WHERE, there, inner, zero, inputs=(there, inner, zero))  # others may be infinite
        return self.unary(op.GROUP_SUM, self.binary(op.MULTIPLY, kept, there))

    # -- logarithms ------------------------------------------------------------------------------------------------

    def logarithm(self, node: Node) -> int | None:
        """Register of the logarithm of an expression, or None where it cannot be written safely."""
        if isinstance(node, Unary) and node.op == "+":
            return self.logarithm(node.operand)
        if isinstance(node, Call) and node.function == "exp":
            return self.build(node.args[0])
        if isinstance(node, Call) and node.function == "ilogit":
            return self.unary(op.NEGATE, self.unary(op.SOFTPLUS, self.unary(op.NEGATE, self.build(node.args[0]))))
        if isinstance(node, Binary) and node.op in ("*", "/"):
            left, right = self.logarithm(node.left), self.logarithm(node.right)
            if left is None or right is None:
                return None
            return self.binary(op.ADD if node.op == "*" else op.SUBTRACT, left, right)
        if isinstance(node, Binary) and node.op == "**":
            base = self.logarithm(node.left)
            return None if base is None else self.raised(base, self.build(node.right))
        if any(isinstance(part, Name) and part.name in self.parameters for part in walk(node)):
            return None
        value = self.build(node)
        return self.unary(op.LOG, value) if np.all(self._at(value) > 0) else None

    def raised(self, base: int, exponent: int) -> int:
        """Logarithm of a power; 1 to any power is 1, be the exponent infinite."""
        product = self.binary(op.MULTIPLY, exponent, base)
        if self.moves(base) or not np.any(self._at(base) == 0.0):
            return product
        other, zero = self.constant(self._at(base) != 0.0), self.constant(0.0)
        return self.emit(op.WHERE, other, product, zero, inputs=(other, product, zero))

    def finish(self, output: int, logarithm: bool, inputs: tuple[int, ...] = ()) -> Tape:
        """Keep the registers in use and pack the tape; `inputs` are registers that are loaded before it runs."""
        used = {output, *inputs} | {r for row in self.code for r in row[1:2] + _inputs(row)}
        place = self.place = {r: k for k, r in enumerate(sorted(used))}
        constants = np.zeros((len(place), self.m))
        moves = np.zeros(len(place), dtype=bool)
        for r, k in place.items():
            moves[k] = self.moves(r)
            if not moves[k]:
                constants[k] = self.value[r]
        code = np.array([_renumbered(row, place) for row in self.code], dtype=np.int64).reshape(-1, 5)
        return Tape(code, moves, constants, place[output], logarithm, tuple(self.parameters))


def _inputs(row: tuple[int, int, int, int, int]) -> tuple[int, ...]:
    what, _, a, b, c = row
    if what == op.PARAMETER:
        return ()
    if what == op.WHERE:
        return (a, b, c)
    two = op.ADD <= what <= op.POWER or op.MINIMUM <= what <= op.NOT_EQUAL or what == op.GROUP_QUANTILE
    return (a, b) if two else (a,)


def _renumbered(row: tuple[int, int, int, int, int], place: dict[int, int]) -> tuple[int, ...]:
    what, out, a, b, _ = row
    inputs = _inputs(row)
    new = [place[r] for r in inputs] + [0, 0, 0]
    if what == op.PARAMETER:
        new = [0, b, 0]
    elif what == op.SCALE:
        new = [place[a], b, 0]
    return (what, place[out], new[0], new[1], new[2])


_KINDS = {"number": "numbers", "integer": "numbers", "bool": "true and false", "time": "dates"}


def _matches(column: Column, text: str) -> np.ndarray | None:
    """Where a column is what a text literal says; None where its kind cannot be."""
    if column.kind in ("text", "category"):
        return column.values.astype(str) == text
    if column.kind != "time":
        return None
    try:
        return column.values.astype("datetime64[us]") == np.datetime64(text, "us")
    except ValueError:
        return None


def unmatched(expression: WeightExpression, table: Table) -> list[tuple[str, str]]:
    """Comparisons with a text (column, text) that no row has."""
    out = []
    for node in walk(expression.node):
        if isinstance(node, Binary) and node.op in ("==", "!="):
            for one, other in ((node.left, node.right), (node.right, node.left)):
                if isinstance(one, Name) and isinstance(other, Text) and one.name in table:
                    same = _matches(table[one.name], other.value)
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
    if isinstance(node, Call) and node.function in READY_MADE:
        return _ready_made(node, text, strict)
    free: list[str] = []
    columns: list[str] = []
    uses_n = False
    for part in walk(node):
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
    return WeightExpression(node, text, tuple(dict.fromkeys(free)), tuple(dict.fromkeys(columns)), uses_n)


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
    place = (text, call.span.start, call.span.stop)
    if role and name not in WEIGHT_FUNCTIONS:
        near = _near(name, list(WEIGHT_FUNCTIONS))
        raise FormulaError(
            f"{name}() is not a function of an expression such as this {role}{near}; "
            f"there are {', '.join(WEIGHT_FUNCTIONS)}; for others compute the column beforehand", *place,
        )  # fmt: skip
    if name in READY_MADE:
        raise FormulaError(f"{name}() must be the whole of weights=, not a part of it", *place)
    if table is None:
        names = [*WEIGHT_FUNCTIONS, *GROUP_FUNCTIONS]
        raise FormulaError(
            f"{'aggregate' if also else 'weights'}= has no function {name!r}{_near(name, names)}; there are {also}"
            f"{', '.join(names)}",
            *place,
        )
    if not table.least <= len(call.args) <= table.most:
        many = str(table.least) if table.least == table.most else f"{table.least} to {table.most}"
        raise FormulaError(f"{name}() takes {many} arguments, not {len(call.args)}", *place)
    given = [k for k, _ in call.keywords]
    needed = ["by"] if name in ("first", "last") else []
    if sorted(given) != needed:
        wants = f"needs {needed[0]}=, as in {name}(x, by=z)" if needed else "takes no keywords"
        raise FormulaError(f"{name}() {wants}", *place)


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
    columns = tuple(dict.fromkeys(p.name for p in walk(call.args[0]) if isinstance(p, Name)))
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
    assert isinstance(expression.node, Call)
    signed = _signed(expression.node.args[0])
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
    return replace(expression, design=design, parameters=names, intercept=intercept)


def make_tape(expression: WeightExpression, table: Table, start: np.ndarray) -> Tape:
    """Compile a weight expression for one block's memberships (rows sorted by group; `start` (groups + 1,))."""
    size = np.repeat(np.diff(start), np.diff(start)).astype(float)
    maker = Maker(table, size, start, expression.parameters, expression.text)
    if expression.ready is not None:
        return maker.finish(_ready_register(maker, expression, table), True)
    if expression.free:
        out = maker.logarithm(expression.node)
        if out is not None:
            return maker.finish(out, True)
        maker = Maker(table, size, start, expression.parameters, expression.text)
    return maker.finish(maker.build(expression.node), False)


def _ready_register(maker: Maker, expression: WeightExpression, table: Table) -> int:
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
    maker = Maker(table, np.ones(table.n_rows), rows, (), text)
    return np.array(maker._at(maker.build(node)))
