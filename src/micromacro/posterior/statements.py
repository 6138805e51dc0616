"""Statements about parameters: expressions in their names, compared by =, > or <."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import FormulaError

Value = Callable[[Mapping[str, Any]], Any]
_NUMBER = re.compile(r"\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?")
_WORD = re.compile(r"[^\W\d][\w.]*")
_FUNCTIONS = {"exp": np.exp, "log": np.log, "sqrt": np.sqrt, "abs": np.abs}


@dataclass(frozen=True)
class Statement:
    """A comparison of an expression with zero.

    Attributes
    ----------
    text : str
    difference : function
        From parameters by name to left side minus right side.
    sign : {"=", ">", "<"}
    names : tuple of str
        The parameters in it.
    """

    text: str
    difference: Value
    sign: str
    names: tuple[str, ...]


def read_statement(text: str, names: Sequence[str]) -> Statement:
    """Read ``"a - b > 0"``, ``"a = b"`` and similar; the names of parameters may hold dots, brackets and operators."""
    if not isinstance(text, str):
        raise FormulaError(f"a hypothesis is text such as 'a > 0', not {text!r}")
    reader = _Reader(text, names)
    left = reader.sum()
    sign = reader.sign()
    right = reader.sum()
    reader.end()
    if not reader.used:
        raise FormulaError("the hypothesis contains no parameter", text, 0, len(text))
    return Statement(text, lambda v: left(v) - right(v), sign, tuple(dict.fromkeys(reader.used)))


class _Reader:
    """Recursive descent over sums and products; names are matched whole, the longest first."""

    def __init__(self, text: str, names: Sequence[str]):
        self.text, self.at = text, 0
        self.names = sorted(names, key=len, reverse=True)
        self.used: list[str] = []

    def error(self, message: str, stop: int | None = None) -> FormulaError:
        return FormulaError(message, self.text, self.at, stop or self.at + 1)

    def peek(self) -> str:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.text[self.at : self.at + 1]

    def sign(self) -> str:
        mark = self.peek()
        if mark not in ("=", ">", "<") or not mark:
            raise self.error("a hypothesis compares two sides by =, > or <")
        self.at += 2 if self.text[self.at : self.at + 2] in ("==", ">=", "<=") else 1
        return mark

    def end(self) -> None:
        if self.peek():
            raise self.error("the hypothesis should end here")

    def sum(self) -> Value:
        out = self.product()
        while self.peek() in ("+", "-") and self.peek():
            out = self._joined(self.text[self.at], out, self.product)
        return out

    def product(self) -> Value:
        out = self.signed()
        while self.peek() in ("*", "/") and self.peek():
            out = self._joined(self.text[self.at], out, self.signed)
        return out

    def signed(self) -> Value:
        mark = self.peek()
        if mark not in ("-", "+") or not mark:
            return self.power()
        self.at += 1
        inner = self.signed()
        return (lambda v: -inner(v)) if mark == "-" else inner

    def power(self) -> Value:
        base = self.atom()
        self.peek()
        mark = next((m for m in ("**", "^") if self.text.startswith(m, self.at)), None)
        if mark is None:
            return base
        self.at += len(mark)
        start, known = self.at, len(self.used)
        exponent = self.signed()
        if len(self.used) > known:
            raise FormulaError("an exponent is a number", self.text, start, self.at)
        return lambda v: np.power(base(v), exponent(v))

    def _joined(self, op: str, left: Value, below: Callable[[], Value]) -> Value:
        self.at += 1
        right = below()
        if op == "+":
            return lambda v: left(v) + right(v)
        if op == "-":
            return lambda v: left(v) - right(v)
        return (lambda v: left(v) * right(v)) if op == "*" else (lambda v: left(v) / right(v))

    def atom(self) -> Value:
        mark = self.peek()
        name = self._name()
        if name is not None:
            self.used.append(name)
            return lambda v: v[name]
        if mark == "(":
            self.at += 1
            inner = self.sum()
            if self.peek() != ")":
                raise self.error("a closing bracket is missing here")
            self.at += 1
            return inner
        number = _NUMBER.match(self.text, self.at)
        if number:
            self.at = number.end()
            value = np.float64(number.group())  # which divides by zero without an error
            return lambda _: value
        return self._function()

    def _name(self) -> str | None:
        """The longest parameter name that begins here and does not go on."""
        quoted = self.text[self.at : self.at + 1] == "`"
        if quoted:
            stop = self.text.find("`", self.at + 1)
            name = self.text[self.at + 1 : stop]
            if stop < 0 or name not in self.names:
                raise self.error(f"there is no parameter {name!r}", None if stop < 0 else stop)
            self.at = stop + 1
            return name
        for name in self.names:
            stop = self.at + len(name)
            follows = self.text[stop : stop + 1]
            if self.text.startswith(name, self.at) and not (
                (follows.isalnum() or follows in ("_", ".", "[")) and follows
            ):
                self.at = stop
                return name
        return None

    def _function(self) -> Value:
        word = _WORD.match(self.text, self.at)
        if word is None:
            raise self.error("a parameter, a number or an opening bracket is expected here")
        name = word.group()
        if name in _FUNCTIONS and self.text[word.end() : word.end() + 1] == "(":
            self.at = word.end()
            inner = self.atom()
            return lambda v: _FUNCTIONS[name](inner(v))
        near = difflib.get_close_matches(name, self.names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        known = ", ".join(sorted(self.names))
        raise self.error(f"there is no parameter {name!r}{hint} (parameters: {known})", word.end())


def evaluated(statement: Statement, values: Mapping[str, Any]) -> np.ndarray:
    """Left side minus right side, nan or infinite where there is none (the logarithm of a negative number)."""
    with np.errstate(all="ignore"):
        return np.asarray(statement.difference(values), dtype=float)


def linear_form(statement: Statement, names: Sequence[str]) -> tuple[float, np.ndarray] | None:
    """Constant and slopes (parameters,) of g where it is linear, else None: told from values at fixed points."""
    rng = np.random.default_rng(0)
    points = rng.uniform(0.5, 1.5, (6, len(statement.names)))

    def g(row: np.ndarray) -> float:
        return float(statement.difference(dict(zip(statement.names, row, strict=True))))

    with np.errstate(all="ignore"):
        origin = points[0]
        slope = np.array([g(origin + e) - g(origin) for e in np.eye(len(origin))])
        constant = g(origin) - slope @ origin
        if not all(math.isclose(g(p), constant + slope @ p, rel_tol=1e-9, abs_tol=1e-9) for p in 3.0 * points[1:]):
            return None
    out = np.zeros(len(names))
    out[[names.index(n) for n in statement.names]] = slope
    return constant, out
