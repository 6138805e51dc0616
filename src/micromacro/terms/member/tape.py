r"""From the syntax tree of an expression to a tape of operations (:mod:`micromacro.numerics.tape`).

What no parameter reaches is worked out while the tape is made, by the same kernels, and enters as a constant. Where the
logarithm of the expression can be written (the canonical :math:`1 / n^{\exp(-x'b)}`, ``exp()``, products and quotients
of these), the tape computes that logarithm instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...errors import FormulaError
from ...language.functions import READY_MADE, STEPS
from ...language.nodes import Binary, Call, Name, Node, Number, Text, Unary, walk
from ...numerics import tape as op
from ...numerics.aggregation import ODDS
from ...numerics.tape import Step, run, steps_of
from ...table.columns import Column, Table, days

_UNARY = {
    "exp": op.EXP, "log": op.LOG, "log1p": op.LOG1P, "expm1": op.EXPM1, "sqrt": op.SQRT, "abs": op.ABS,
    "logit": op.LOGIT, "ilogit": op.ILOGIT, "probit": op.PROBIT, "iprobit": op.IPROBIT, "cloglog": op.CLOGLOG,
    "tanh": op.TANH, "log2": op.LOG2, "log10": op.LOG10, "sin": op.SIN, "cos": op.COS, "round": op.ROUND,
    "floor": op.FLOOR, "ceil": op.CEIL,
}  # fmt: skip
_BINARY = {
    "+": op.ADD, "-": op.SUBTRACT, "*": op.MULTIPLY, "/": op.DIVIDE, "**": op.POWER, "<": op.LESS,
    "<=": op.LESS_EQUAL, ">": op.GREATER, ">=": op.GREATER_EQUAL, "==": op.EQUAL, "!=": op.NOT_EQUAL,
    "minimum": op.MINIMUM, "maximum": op.MAXIMUM, "pow": op.POWER,
}  # fmt: skip
_GROUP = {
    "sum": op.GROUP_SUM, "mean": op.GROUP_MEAN, "min": op.GROUP_MIN, "max": op.GROUP_MAX, "var": op.GROUP_VAR,
    "sd": op.GROUP_SD, "range": op.GROUP_RANGE, "rank": op.GROUP_RANK, "mode": op.GROUP_MODE,
}  # fmt: skip


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
    def steps(self) -> list[Step]:
        """What it is run by."""
        return steps_of(self.code)

    @cached_property
    def quick(self) -> tuple[list[Step], int, int]:
        """Steps, register of the result and what it holds (see ``normalise``) where no derivative is wanted.

        Of a weight 1 / (1 + exp(a)), whose logarithm is the end of the tape, a is enough.
        """
        ends = [int(row[0]) for row in self.code[-2:]]
        if self.logarithm and ends == [op.SOFTPLUS, op.NEGATE] and self.code[-1, 2] == self.code[-2, 1]:
            return steps_of(self.code[:-2]), int(self.code[-2, 2]), ODDS
        return self.steps, self.output, int(self.logarithm)


class TapeMaker:
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
            steps_of(np.array([row])), np.zeros(len(value), dtype=bool), np.empty(0), self.start, value,
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
        same = matches(self.table[other.name], text.value)
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
        if name in STEPS and self.moves(self.build(node.args[0])):
            raise self.error(
                f"{name}() jumps, so that nothing in it can be estimated: only numbers and columns may stand in it, no "
                "free parameter", node,
            )  # fmt: skip
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
        inside = self.emit(op.WHERE, there, inner, zero, inputs=(there, inner, zero))  # others may be infinite
        return self.unary(op.GROUP_SUM, self.binary(op.MULTIPLY, inside, there))

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
        power = _power(node)
        if power is not None:
            base = self.logarithm(power[0])
            return None if base is None else self.raised(base, self.build(power[1]))
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


def _power(node: Node) -> tuple[Node, Node] | None:
    """Base and exponent of a power, however it is written."""
    if isinstance(node, Call) and node.function == "pow":
        return node.args[0], node.args[1]
    return (node.left, node.right) if isinstance(node, Binary) and node.op == "**" else None


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


def matches(column: Column, text: str) -> np.ndarray | None:
    """Where a column is what a text literal says; None where its kind cannot be."""
    if column.kind in ("text", "category"):
        return column.values.astype(str) == text
    if column.kind != "time":
        return None
    try:
        return column.values.astype("datetime64[us]") == np.datetime64(text, "us")
    except ValueError:
        return None
