r"""Weights with their derivatives of second and third order, as further registers of a tape.

Where coefficients of weights vary over units, the predictor of a group is a smooth function of them, and Laplace's
formula needs their derivatives up to the third. The operations of a weight expression are differentiated one by one,
and each derivative is written in operations of the same kind; so one run of one tape computes all of them. Coefficients
are registers that are loaded before the tape runs, a value for each membership: they differ between groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from ...errors import FormulaError
from ...numerics import tape as op
from ...numerics.tape import run
from ...table.memberships import Memberships
from .tape import Tape, TapeMaker
from .weights import WeightExpression, build_register

ROOT_2PI = math.sqrt(2.0 * math.pi)
HIGHEST = 3


@dataclass(frozen=True, eq=False)
class Jets:
    """A weight expression with its derivatives, ready to run on one block's memberships.

    Attributes
    ----------
    tapes : tuple of Tape
        With derivatives up to order 0, 1, 2, 3.
    loaded : tuple of (k,) int arrays
        Registers of the coefficients in each; -1 where the tape does not read one.
    outputs : tuple of int arrays
        Registers of the raw weight (or of its logarithm), then its derivatives order by order, those of an order in the
        sequence of :func:`orders`; -1 is zero.
    """

    tapes: tuple[Tape, ...]
    loaded: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]

    @property
    def logarithm(self) -> bool:
        """Whether raw weights are given by their logarithms."""
        return self.tapes[0].logarithm

    def run(self, order: int, coefficients: np.ndarray, start: np.ndarray) -> np.ndarray:
        """The raw weight and its derivatives (1 + ..., m) at coefficients (k, m) of the memberships."""
        tape, m = self.tapes[order], coefficients.shape[1]
        value = tape.constants.copy()
        for register, own in zip(self.loaded[order], coefficients, strict=True):
            if register >= 0:
                value[register] = own
        with np.errstate(all="ignore"):
            none = np.empty((len(value), 0, m))
            run(tape.steps, tape.moves, np.empty(0), start, value, none)
        out = np.zeros((len(self.outputs[order]), m))
        there = self.outputs[order] >= 0
        out[there] = value[self.outputs[order][there]]
        return out


def orders(k: int, order: int) -> list[tuple[int, ...]]:
    """Which coefficients each derivative of some order is in."""
    return list(combinations_with_replacement(range(k), order))


def make_jets(expression: WeightExpression, rows: Memberships) -> Jets:
    """Compile a weight expression with its derivatives for some memberships."""
    made = [_tape(expression, rows, order) for order in range(HIGHEST + 1)]
    tapes, loaded, outputs = zip(*made, strict=True)
    return Jets(tapes, loaded, outputs)


def _tape(expression: WeightExpression, rows: Memberships, order: int) -> tuple[Tape, np.ndarray, np.ndarray]:
    size = np.repeat(np.diff(rows.start), np.diff(rows.start)).astype(float)
    k = len(expression.parameters)

    def fresh() -> JetMaker:
        return JetMaker(rows.table, size, rows.start, expression.parameters, expression.text)

    maker, out, logarithm = build_register(expression, rows.table, fresh)
    wanted = [out]
    for each in range(1, order + 1):
        wanted += [maker.derivative(out, which) for which in orders(k, each)]
    used = [r for r in wanted if r is not None]
    tape = maker.finish(out, logarithm, (*used, *maker.loaded))
    loaded = np.array([maker.place[r] for r in maker.loaded], dtype=np.int64)
    return tape, loaded, np.array([-1 if r is None else maker.place[r] for r in wanted], dtype=np.int64)


Register = int | None  # None is zero


class JetMaker(TapeMaker):
    """A maker of tapes whose coefficients are registers, and which writes derivatives of registers."""

    def __init__(self, *args: object):
        super().__init__(*args)  # type: ignore[arg-type]
        self.loaded: list[int] = []
        for _ in self.parameters:
            self.value.append(None)
            self.loaded.append(len(self.value) - 1)
        self._known: dict[tuple[int, int], Register] = {}

    def emit(self, what: int, a: int = 0, b: int = 0, c: int = 0, inputs: tuple[int, ...] = ()) -> int:
        if what == op.PARAMETER:
            return self.loaded[b]
        if what == op.SCALE:
            return self.binary(op.MULTIPLY, self.loaded[b], a)
        return super().emit(what, a, b, c, inputs)

    def derivative(self, register: int, which: Sequence[int]) -> Register:
        """The derivative of a register in some coefficients, one after the other."""
        out: Register = register
        for k in which:
            out = None if out is None else self.slope(out, k)
        return out

    def slope(self, register: int, k: int) -> Register:
        """The derivative of a register in one coefficient."""
        if register in self.loaded:
            return self.constant(1.0) if self.loaded.index(register) == k else None
        if not self.moves(register):
            return None
        key = (register, k)
        if key not in self._known:
            row = next(row for row in self.code if row[1] == register)
            self._known[key] = self._slope(row, k)
        return self._known[key]

    def _slope(self, row: tuple[int, int, int, int, int], k: int) -> Register:
        what, out, a, b, c = row
        if what == op.WHERE:
            first, second = self.slope(b, k), self.slope(c, k)
            none = first is None and second is None
            return None if none else self.chosen(a, self._or_zero(first), self._or_zero(second))
        if op.ADD <= what <= op.POWER or op.MINIMUM <= what <= op.NOT_EQUAL:
            return self._of_two(what, out, a, b, k)
        inner = self.slope(a, k)
        if inner is None:
            return None
        if what in (op.GROUP_SUM, op.GROUP_MEAN):
            return self.unary(what, inner)
        if what not in _RULES:
            raise FormulaError(
                "a coefficient whose weights have effects of units may stand within sum() and mean() of a group, but "
                "in no other function within groups: compute a column beforehand, or leave out | unit", self.text, 0,
                len(self.text),
            )  # fmt: skip
        return self.times(inner, _RULES[what](self, a, out))

    def _of_two(self, what: int, out: int, a: int, b: int, k: int) -> Register:
        """Of an operation on two registers."""
        first, second = self.slope(a, k), self.slope(b, k)
        if (first is None and second is None) or what in _STEPS:
            return None
        if what in (op.ADD, op.SUBTRACT):
            return self._sum(first, second, what)
        if what == op.MULTIPLY:
            return self._sum(self.times(first, b), self.times(a, second), op.ADD)
        if what == op.DIVIDE:
            top = self._sum(first, self.times(out, second), op.SUBTRACT)
            return None if top is None else self.binary(op.DIVIDE, top, b)
        if what == op.POWER:
            lower = self.binary(op.POWER, a, self.binary(op.SUBTRACT, b, self.constant(1.0)))
            by_base = self.times(first, self.binary(op.MULTIPLY, b, lower))
            zero = self.constant(0.0)
            log = self.chosen(self.binary(op.GREATER, a, zero), self.unary(op.LOG, a), zero)
            by_exponent = None if second is None else self.times(second, self.binary(op.MULTIPLY, out, log))
            return self._sum(by_base, by_exponent, op.ADD)
        chosen = self.binary(op.LESS_EQUAL if what == op.MINIMUM else op.GREATER_EQUAL, a, b)
        return self.chosen(chosen, self._or_zero(first), self._or_zero(second))

    # -- arithmetic of registers, None being zero ------------------------------------------------------------------

    def _or_zero(self, register: Register) -> int:
        return self.constant(0.0) if register is None else register

    def chosen(self, a: int, b: int, c: int) -> int:
        """b where a is not zero, else c."""
        return self.emit(op.WHERE, a, b, c, inputs=(a, b, c))

    def _is(self, register: int, number: float) -> bool:
        value = self.value[register]
        return value is not None and bool(np.all(value == number))

    def times(self, a: Register, b: Register) -> Register:
        """Their product."""
        if a is None or b is None or self._is(a, 0.0) or self._is(b, 0.0):
            return None
        if self._is(a, 1.0):
            return b
        return a if self._is(b, 1.0) else self.binary(op.MULTIPLY, a, b)

    def _sum(self, a: Register, b: Register, what: int) -> Register:
        if b is None:
            return a
        if a is None:
            return b if what == op.ADD else self.unary(op.NEGATE, b)
        return self.binary(what, a, b)


def _number(maker: JetMaker, what: int, register: int, number: float, first: bool = False) -> int:
    """An operation of a register and a number; `first`: the number comes first."""
    other = maker.constant(number)
    return maker.binary(what, other, register) if first else maker.binary(what, register, other)


def _one_less_square(m: JetMaker, x: int) -> int:
    return _number(m, op.SUBTRACT, m.binary(op.MULTIPLY, x, x), 1.0, True)


def _normal(m: JetMaker, x: int, sign: float) -> int:
    """exp(sign x^2 / 2)."""
    return m.unary(op.EXP, _number(m, op.MULTIPLY, m.binary(op.MULTIPLY, x, x), 0.5 * sign))


def _inverse(number: float) -> Callable[[JetMaker, int, int], int]:
    return lambda m, a, _: _number(m, op.DIVIDE, a, number, True)


_RULES: dict[int, Callable[[JetMaker, int, int], int]] = {
    op.NEGATE: lambda m, _, _out: m.constant(-1.0),
    op.EXP: lambda _, _a, out: out,
    op.LOG: _inverse(1.0),
    op.LOG2: _inverse(1.0 / math.log(2.0)),
    op.LOG10: _inverse(1.0 / math.log(10.0)),
    op.LOG1P: lambda m, a, _: _number(m, op.DIVIDE, _number(m, op.ADD, a, 1.0), 1.0, True),
    op.EXPM1: lambda m, a, _: m.unary(op.EXP, a),
    op.SQRT: lambda m, _, out: _number(m, op.DIVIDE, out, 0.5, True),
    op.ABS: lambda m, a, _: m.chosen(_number(m, op.LESS, a, 0.0), m.constant(-1.0), _number(m, op.GREATER, a, 0.0)),
    op.LOGIT: lambda m, a, _: _number(
        m, op.DIVIDE, m.binary(op.MULTIPLY, a, _number(m, op.SUBTRACT, a, 1.0, True)), 1.0, True
    ),
    op.ILOGIT: lambda m, a, out: m.binary(op.MULTIPLY, out, m.unary(op.ILOGIT, m.unary(op.NEGATE, a))),
    op.SOFTPLUS: lambda m, a, _: m.unary(op.ILOGIT, a),
    op.PROBIT: lambda m, _, out: _number(m, op.MULTIPLY, _normal(m, out, 1.0), ROOT_2PI),
    op.IPROBIT: lambda m, a, _: _number(m, op.DIVIDE, _normal(m, a, -1.0), ROOT_2PI),
    op.CLOGLOG: lambda m, a, out: m.binary(
        op.DIVIDE, m.unary(op.EXP, m.unary(op.NEGATE, out)), _number(m, op.SUBTRACT, a, 1.0, True)
    ),
    op.TANH: lambda m, _, out: _one_less_square(m, out),
    op.SIN: lambda m, a, _: m.unary(op.COS, a),
    op.COS: lambda m, a, _: m.unary(op.NEGATE, m.unary(op.SIN, a)),
}
"""The derivative of each function of one number, from its argument and its value."""

_STEPS = (op.LESS, op.LESS_EQUAL, op.GREATER, op.GREATER_EQUAL, op.EQUAL, op.NOT_EQUAL)
