"""What ``aggregate=`` may ask for: the table of emergent features, and how a request is read from the formula.

A feature of :data:`AGGREGATES` is written as a word, or as a call with its shapes: a number holds a shape, a bare
symbol has it estimated. Everything else is an expression in ``E()``, the weighted mean in the group.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...effects.phrases import Phrase
from ...errors import FormulaError
from ...language.functions import GROUP_FUNCTIONS, MEMBERWISE, WEIGHT
from ...language.nodes import Call, MemberCall, Name, Node, Number, Unary, children, walk
from ...language.printing import brief, to_text
from ...numerics import features
from .weights import check_call, near

MEAN = "E"  # the function of expressions that is the weighted mean in the group


@dataclass(frozen=True)
class Aggregate:
    """A named emergent feature.

    Attributes
    ----------
    word : str
        As in the formula, and in the names of its parameters.
    kind : int
        Its kernel (:mod:`micromacro.numerics.features`).
    formula : str
        As in the equations of ``explain()``, with w summing to 1 in the group and A = sum w x.
    shapes : tuple of str
        Its arguments; also the symbols for them where the user wrote the bare word.
    takes : int or None
        How many covariates it takes; None: one feature for each.
    whole : bool
        Whether its shape must be a whole number (and so cannot be estimated).
    noun : str
        What it is in a sentence, of ``{x}``.
    phrases : mapping
        How each shape is read; ``{x}`` stands for the covariates.
    """

    word: str
    kind: int
    formula: str
    shapes: tuple[str, ...] = ()
    takes: int | None = None
    whole: bool = False
    noun: str = ""
    phrases: Mapping[str, Phrase] = field(default_factory=dict)


THRESHOLD = {
    "c": Phrase("A member whose {x} is {value} counts half in the share above the threshold", "threshold"),
    "kappa": Phrase(
        "{name} = {value}: a member whose {x} is {number} above the threshold counts three quarters",
        "distance from the threshold", through=lambda kappa: math.log(3.0) / kappa,
    ),
}  # fmt: skip
SMAX = {
    "kappa": Phrase(
        "{name} = {value}: of two members whose {x} differs by one, the higher one counts {number} times as much in "
        "the soft maximum", "ratio of shares", nothing=(1.0, "the mean"), through=np.exp,
    ),
}  # fmt: skip
GMEAN = {
    "p": Phrase(
        "The mean of {x} over members is one of powers, of power {value}, where 1 is the arithmetic mean, 0 the "
        "geometric, -1 the harmonic", "power of a mean",
    ),
}  # fmt: skip

AGGREGATES = {
    a.word: a
    for a in (
        Aggregate("var", features.MOMENT, "sum w (x - A)^2", noun="weighted variance of {x}"),
        Aggregate(
            "moment", features.MOMENT, "sum w (x - A)^{p}", ("p",), whole=True, noun="weighted central moment of {x}"
        ),
        Aggregate("hhi", features.HHI, "sum w^2", takes=0, noun="sum of squared weights (hhi)"),
        Aggregate("effn", features.EFFN, "1 / sum w^2", takes=0, noun="effective number of members"),
        Aggregate("entropy", features.ENTROPY, "-sum w log(w)", takes=0, noun="entropy of the weights"),
        Aggregate(
            "threshold",
            features.THRESHOLD,
            "sum w ilogit({kappa} (x - {c}))",
            ("c", "kappa"),
            noun="weighted share above the threshold of {x}",
            phrases=THRESHOLD,
        ),
        Aggregate(
            "smax",
            features.SMAX,
            "log(sum w exp({kappa} x)) / {kappa}",
            ("kappa",),
            noun="soft maximum of {x}",
            phrases=SMAX,
        ),
        Aggregate(
            "gmean", features.GMEAN, "(sum w x^{p})^(1 / {p})", ("p",), noun="mean of powers of {x}", phrases=GMEAN
        ),
        Aggregate("max", features.MAX, "max x", noun="maximum of {x}"),
        Aggregate("min", features.MIN, "min x", noun="minimum of {x}"),
        Aggregate("cov", features.COV, "sum w (x - A_x) (z - A_z)", takes=2, noun="weighted covariance of {x}"),
    )
}


@dataclass(frozen=True)
class Request:
    """What the user wrote as ``aggregate=``.

    Attributes
    ----------
    node : Node
    row : Aggregate or None
        The named feature; None for an expression.
    shapes : tuple of float or str
        Numbers held, symbols estimated, in the order of the row's arguments.
    columns : tuple of str
        Columns that an expression reads.
    symbols : tuple of str
        Everything estimated.
    """

    node: Node
    row: Aggregate | None
    shapes: tuple[float | str, ...]
    columns: tuple[str, ...]
    symbols: tuple[str, ...]

    @property
    def word(self) -> str:
        """The feature's name in the names of parameters."""
        return self.row.word if self.row else MEAN

    @property
    def formula(self) -> str:
        """The feature as an equation."""
        if self.row is None:
            return to_text(self.node)
        given = zip(self.row.shapes, self.shapes, strict=True)
        shown = {k: v if isinstance(v, str) else f"{v:g}" for k, v in given}
        power = "2" if self.row.word == "var" else ""
        return self.row.formula.replace("^{p}", f"^{shown.get('p', power)}").format(**shown)


def read_aggregate(call: MemberCall, text: str, known: Sequence[str]) -> Request | None:
    """Read a block's ``aggregate=``; None is the weighted sum.

    Parameters
    ----------
    known : sequence of str
        Columns that the memberships have: any other symbol is a shape to estimate.
    """
    node = call.aggregate
    word = node.name if isinstance(node, Name) else node.function if isinstance(node, Call) else ""
    if word == "sum" and isinstance(node, Name):
        return None
    if word in AGGREGATES:
        return _named(AGGREGATES[word], node, text, known)
    if any(isinstance(part, Call) and part.function in (MEAN, *GROUP_FUNCTIONS) for part in walk(node)):
        return _expression(node, text, known)
    words = ["sum", *AGGREGATES]
    near = difflib.get_close_matches(word, words, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    if word in ("mean", "average"):
        hint = "; leave it out for the mean, since weights are 1 / n by default"
    raise FormulaError(
        f"aggregate={brief(node)} is not known{hint}; it is one of "
        f"{', '.join(words)}, or an expression in E(), the weighted mean in the group, as in E((x - E(x)) ** 2)",
        text, node.span.start, node.span.stop,
    )  # fmt: skip


def _named(row: Aggregate, node: Node, text: str, known: Sequence[str]) -> Request:
    shapes = read_shapes(row, node, text, known, "aggregate")
    return Request(node, row, shapes, (), tuple(s for s in shapes if isinstance(s, str)))


def read_shapes(
    row: Aggregate, node: Node, text: str, known: Sequence[str], option: str
) -> tuple[float | str, ...]:  # fmt: skip
    """The shapes of a word or a call with arguments: numbers, and symbols to estimate.

    Parameters
    ----------
    option : str
        The option of ``mm()`` that it is written in, for messages.
    """
    args = node.args if isinstance(node, Call) else ()
    mark = (text, node.span.start, node.span.stop)
    if isinstance(node, Call) and (node.keywords or len(args) != len(row.shapes)):
        wants = (
            f"{row.word}({', '.join(row.shapes)})" if row.shapes else f"{row.word} (its covariates are written in mm())"
        )
        raise FormulaError(f"{option}={row.word} is written {wants}: numbers are fixed, symbols are estimated", *mark)
    if row.whole and not args:
        raise FormulaError(f"{option}={row.word} needs its power, a whole number, as in moment(3)", *mark)
    shapes = tuple(_shape(row, a, text, known) for a in args) or row.shapes
    symbols = tuple(s for s in shapes if isinstance(s, str))
    if not args and (clash := [s for s in symbols if s in known]):
        raise FormulaError(
            f"the shape {clash[0]!r} of {row.word} would have the name of a column: write {row.word}("
            f"{', '.join(s + '1' if s in clash else s for s in symbols)}), or a number for it", *mark,
        )  # fmt: skip
    if len(set(symbols)) < len(symbols):
        raise FormulaError("two shapes cannot have the same symbol", *mark)
    _check_numbers(row, shapes, mark)
    return shapes


def _shape(row: Aggregate, node: Node, text: str, known: Sequence[str]) -> float | str:
    """A number, or the symbol of a shape to estimate."""
    mark = (text, node.span.start, node.span.stop)
    inner, sign = node, 1.0
    while isinstance(inner, Unary):
        inner, sign = inner.operand, -sign if inner.op == "-" else sign
    if isinstance(inner, Number):
        return sign * inner.value
    if isinstance(node, Name) and row.whole:
        raise FormulaError(
            f"the power of {row.word}() cannot be estimated: deviations from the mean are negative for some members, "
            "and only their whole powers are numbers; write a whole number from 2 on", *mark,
        )  # fmt: skip
    if isinstance(node, Name) and node.name not in known:
        return node.name
    what = f"{node.name!r} is a column" if isinstance(node, Name) else f"{brief(node)} is neither"
    raise FormulaError(
        f"a shape of {row.word}() is a number, which is fixed, or a symbol, which is estimated; {what}", *mark
    )


def _check_numbers(row: Aggregate, shapes: tuple[float | str, ...], mark: tuple[str, int, int]) -> None:
    if row.whole and not (float(shapes[0]) >= 2 and float(shapes[0]).is_integer()):
        raise FormulaError(
            f"the power of {row.word}() must be a whole number from 2 on (the first central moment is zero, and a "
            "power of a negative deviation that is not whole is not a number)", *mark,
        )  # fmt: skip
    if row.word == "threshold" and not isinstance(shapes[1], str) and shapes[1] <= 0:
        raise FormulaError("the kappa of threshold(c, kappa) must be positive: it is the steepness of the step", *mark)


def _expression(node: Node, text: str, known: Sequence[str]) -> Request:
    """Check an expression in E() and find its columns and free symbols."""
    columns, symbols, weights = [], [], _weights_in(node)
    for part in walk(node):
        mark = (text, part.span.start, part.span.stop) if part.span else (text, 0, 0)
        if isinstance(part, Call) and part.function == MEAN:
            if len(part.args) != 1 or part.keywords:
                raise FormulaError("E() takes one expression: its weighted mean in the group", *mark)
        elif isinstance(part, Call):
            check_call(part, text, f"{MEAN}, ")
        elif isinstance(part, Name) and part.name == MEAN:
            raise FormulaError("E is the weighted mean and needs its expression: E(x)", *mark)
        elif isinstance(part, Name) and any(part is w for w in weights):
            continue
        elif isinstance(part, Name) and part.name in known:
            columns.append(part.name)
        elif isinstance(part, Name) and part.name == WEIGHT:
            where = "there is no column of that name" if part.quoted else f"it can only stand inside {MEAN}()"
            raise FormulaError(f"{WEIGHT} is the weight of a member: {where}", *mark)
        elif isinstance(part, Name) and part.name != "n":
            symbols.append(part.name)
    loose = _outside(node, known)
    if loose is not None:
        raise FormulaError(
            f"{brief(loose)} differs between the members of a group, but aggregate= must give one number per group: "
            "put it inside E()", text, loose.span.start, loose.span.stop,
        )  # fmt: skip
    return Request(node, None, (), tuple(dict.fromkeys(columns)), tuple(dict.fromkeys(symbols)))


def _weights_in(node: Node, inside: bool = False) -> list[Name]:
    """Where an expression reads the weight: the symbol w inside E(), without backticks."""
    if isinstance(node, Name):
        return [node] if inside and node.name == WEIGHT and not node.quoted else []
    within = inside or (isinstance(node, Call) and node.function == MEAN)
    return [found for child in children(node) for found in _weights_in(child, within)]


def _outside(node: Node, known: Sequence[str]) -> Node | None:
    """The first part of an expression that has a value for each member and stands outside all means."""
    if isinstance(node, Name):
        return node if node.name in known else None
    if isinstance(node, Call) and node.function in MEMBERWISE:
        return node
    if isinstance(node, Call) and (node.function == MEAN or node.function in GROUP_FUNCTIONS):
        return None
    return next((found for c in children(node) if (found := _outside(c, known)) is not None), None)


def unknown_symbols(request: Request, known: Sequence[str]) -> list[tuple[str, str]]:
    """Symbols of an expression that nearly spell a column, with that column."""
    if request.row is not None:
        return []
    return [(s, column) for s in request.symbols if (column := near(s, known)) is not None]
