"""Weights: how many times as much one member counts as another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ....language.printing import to_text
from ....parameters import Parameter
from ....terms.member.weighing import Block
from ...fitted import Fitted
from ...labels import percent
from .coefficients import NO_CHANGE
from .sentence import Estimate, Sentence, ended, said, shown, with_article

NUMBERS = ("number", "integer", "bool")


def of_block(fit: Fitted, name: str, block: Block, estimates: dict[str, Estimate], ci: float) -> Iterator[Sentence]:
    """All sentences about the weights of a block: ratios, then parameters that no ratio is about."""
    free = [p for p in block.weight_parameters if not p.fixed]
    compared = list(_compared(block)) if free else []
    alone = free[0] if len(free) == 1 and len(compared) == 1 else None
    about = set()
    for ratio in compared:
        own = alone or next((p for p in free if p.name == f"{name}.w.{ratio.label}"), None)
        sentence = _of_ratio(fit, name, block, ratio, estimates[own.name] if own else None, free[0], ci)
        about.add(sentence.about)
        yield sentence
    for p in block.weight_parameters:
        if p.name not in about:
            e = estimates[p.name]
            text = (
                f"{p.name}, a parameter of the weights {to_text(block.expression.node)} of {name}, is {shown(e.point)}"
            )
            yield said(e, "weight parameter", text)


@dataclass(frozen=True)
class Compared:
    """Two members whose weights are compared: `low` and `high` are their values of a covariate, `label` names it."""

    column: str
    label: str
    low: object
    high: object
    binary: bool = False


def _compared(block: Block) -> Iterator[Compared]:
    """What is compared: a unit more of numbers, each category with the first or the most frequent one, sizes."""
    table, expression = block.memberships.table, block.expression
    for column in dict.fromkeys(c for c in expression.columns if c != "n" and c in table):
        values = np.asarray(table[column].values)
        if table[column].kind in NUMBERS:
            numbers = values.astype(float)
            binary = set(np.unique(numbers)) <= {0.0, 1.0}
            low, high = (0.0, 1.0) if binary else (float(numbers.mean()), float(numbers.mean()) + 1.0)
            yield Compared(column, column, low, high, binary)
        elif table[column].kind in ("text", "category"):
            yield from _categories(block, column, values)
    if expression.by_size and block.rule != "group":
        yield Compared("n", "n", block.typical_size, block.typical_size + 1)


def _categories(block: Block, column: str, values: np.ndarray) -> Iterator[Compared]:
    """Each category of a column beside the reference of a ready-made form, or beside the most frequent one."""
    kinds, count = np.unique(values.astype(str), return_counts=True)
    named = [f"{column}[T.{kind}]" for kind in kinds]
    own = [p.name.rpartition(".w.")[2] for p in block.weight_parameters]
    missing = [kind for kind, label in zip(kinds, named, strict=True) if label not in own]
    ready = block.expression.ready is not None and len(missing) == 1
    first = missing[0] if ready else kinds[count.argmax()]
    for kind, label in zip(kinds, named, strict=True):
        if kind != first:
            yield Compared(column, label if ready else f"{column}[{kind}]", str(first), str(kind))


def _of_ratio(
    fit: Fitted, name: str, block: Block, ratio: Compared, own: Estimate | None, any_: Parameter, ci: float
) -> Sentence:  # fmt: skip
    index, _ = fit.posterior.block(name)
    where = fit.specification.system.places.theta(index)
    size = max(block.typical_size, 2)
    of = RatioOfWeights(block, ratio, size)
    scale = "plain" if block.weighing.signed else "log"
    found = fit.posterior.numbers_of(lambda theta: of(theta[where]), ci, scale=scale)
    point, lower, upper = (float(v[0]) for v in (found.point, found.lower, found.upper))
    text = _in_words(block, ratio, f"counts {shown(point)} times as much as", size)
    text += (
        f" (where the coefficients are the means over {':'.join(block.expression.unit)})"
        if block.weight_effects
        else ""
    )
    about = own.name if own else f"{name} along {ratio.label}"
    e = Estimate(any_, point, lower, upper, percent(ci))
    text = ended(text, e, (lower, upper), (1.0, NO_CHANGE))
    if own and own.lower <= 0.0 <= own.upper and (lower > 1.0 or upper < 1.0):  # the ratio is far from linear in it
        itself = f"the interval of {own.name} itself, {shown(own.lower)} to {shown(own.upper)}, contains 0"
        text = f"{text.removesuffix('.')}; {itself}."
    return Sentence(about, "ratio of weights", point, lower, upper, text)


def _in_words(block: Block, ratio: Compared, counts: str, size: int) -> str:
    """Who counts so many times as much as whom."""
    member, column = block.levels.name, ratio.column
    if column == "n":
        return f"{with_article(member, True)} of a group of {ratio.high} {counts} one of a group of {ratio.low}"
    sized = f"In a group of {size}, {with_article(member)}" if block.expression.by_size else with_article(member, True)
    if isinstance(ratio.low, str):
        return f"{sized} with {column} = {ratio.high} {counts} one with {column} = {ratio.low}"
    if ratio.binary:
        return f"{sized} with {column} = 1 {counts} one with {column} = 0"
    return f"{sized} whose {column} is one higher than the mean ({shown(float(ratio.low))}) {counts} one at the mean"  # type: ignore[arg-type]


class RatioOfWeights:
    """The weight of a member at one value of a covariate over that at another.

    Its other covariates are at their means, texts at their most frequent value. Both are members of one group of
    `size`, the rest of which has the lower value; where only the whole group's values count they are members of two.
    """

    def __init__(self, block: Block, ratio: Compared, size: int):
        weighing, levels = block.weighing, block.levels
        if ratio.column == "n":
            few, many = int(ratio.low), int(ratio.high)  # type: ignore[call-overload]
            self.at = (weighing.sized(few, levels), 0), (weighing.sized(many, levels), 0)
        elif block.expression.of_members(ratio.column):
            made = weighing.grid(ratio.column, np.array([ratio.high]), size, levels, rest=ratio.low)
            self.at = (made, 1), (made, 0)
        else:
            made = weighing.grid(ratio.column, np.array([ratio.low, ratio.high]), size, levels)
            self.at = (made, 0), (made, size)

    def __call__(self, theta: np.ndarray) -> np.ndarray:
        low, high = (weighing.raw_values(theta)[place] for weighing, place in self.at)
        with np.errstate(all="ignore"):
            return np.array([np.exp(high - low) if self.at[0][0].tape.logarithm else high / low])
