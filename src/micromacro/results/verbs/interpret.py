"""What each estimate of a fit says, as a sentence."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...families.words import Change
from ...parameters import CLASSES, Parameter
from ...posterior.intervals import check_level
from ...terms.member.weighing import Block
from ..fitted import Fitted
from ..labels import percent

#: What single parameters are called, where their class is described in the plural.
WORDS = {
    "cor": "a correlation of effects", "rho": "the dependence of effects", "scale": "the scale of shared effects",
    "sigma": "the residual standard deviation", "shape": "the shape of the family",
    "phi": "the dispersion of the family", "nu": "the degrees of freedom",
    "cut": "a cut between ordered categories on the scale of the linear predictor",
    "baseline": "a log hazard of the baseline", "aggregate": "the shape of a feature of members",
}  # fmt: skip
PROBABILITIES = {"zi": "the probability of a certain zero", "hu": "the probability of a zero"}
LEVEL = re.compile(r"(?:C\()?(.+?)\)?\[T\.(.+)\]")
LOG = re.compile(r"log\((.+)\)")


@dataclass(frozen=True)
class Sentence:
    """What is said of one parameter, or of weights along one covariate.

    Attributes
    ----------
    about : str
        The parameter, or block and covariate.
    quantity : str
        What the numbers are.
    point, lower, upper : float
    text : str
    """

    about: str
    quantity: str
    point: float
    lower: float
    upper: float
    text: str


@dataclass(frozen=True)
class Estimate:
    """A parameter with its numbers on its own scale."""

    parameter: Parameter
    point: float
    lower: float
    upper: float
    level: str

    def through(self, function: Callable[[np.ndarray], np.ndarray]) -> tuple[float, float, float]:
        """Point and ends of the interval through an increasing function."""
        with np.errstate(over="ignore", invalid="ignore"):
            low, mid, high = function(np.array([self.lower, self.point, self.upper]))
        return float(mid), float(low), float(high)


def interpret(fit: Fitted, ci: float = 0.95) -> pd.DataFrame:
    """Every estimate read in a sentence.

    A coefficient is read on the scale that its family and link give it: as a difference of the expected outcome, or as
    the factor by which odds, counts, durations or hazards are multiplied. Weights are read as how many times as much a
    member counts if its covariate is one unit higher than the mean (1 instead of 0 for a column of zeros and ones).

    Parameters
    ----------
    ci : float
        Probability of the intervals.

    Returns
    -------
    DataFrame
        Indexed by parameter (a block and a covariate for weights): quantity, estimate (mean for draws), lower, upper,
        sentence. Point and ends of a factor are exp of those in :meth:`summary`.
    """
    level = percent(check_level(ci))
    s = fit.specification
    numbers = fit.posterior.parameters(ci)
    rows = []
    for p, point, lower, upper in zip(s.parameters, numbers.point, numbers.lower, numbers.upper, strict=True):
        if p.kind != "w":
            rows.append(_sentence(fit, Estimate(p, float(point), float(lower), float(upper), level)))
    for name, block in s.members.items():
        rows += _of_weights(fit, name, block, ci)
    order = {p.name: k for k, p in enumerate(s.parameters)}
    rows.sort(key=lambda row: order.get(row.about, order.get(row.about.partition(" along ")[0], len(order))))
    point = fit.posterior.words.point
    columns = {
        "quantity": [r.quantity for r in rows],
        point: [r.point for r in rows],
        "lower": [r.lower for r in rows],
        "upper": [r.upper for r in rows],
        "sentence": [r.text + _caution(fit, r.about) for r in rows],
    }
    return pd.DataFrame(columns, index=pd.Index([r.about for r in rows], name="parameter"))


def _caution(fit: Fitted, about: str) -> str:
    """A word of warning where the verdict doubts a parameter."""
    doubted = fit.health.doubtful
    names = [about, *(n for n in doubted if about.startswith(n.rpartition(".w.")[0] + ".w."))]
    return " Do not read it as it stands: see the verdict." if any(n in doubted for n in names) else ""


def _sentence(fit: Fitted, e: Estimate) -> Sentence:
    """The sentence about a parameter that is no weight."""
    if e.parameter.kind == "Intercept":
        return _change(fit, e, "Where every covariate is zero, {what} {verb} {value}", "{what}", settled=True)
    block = _combined(fit, e.parameter.name)
    if block is not None and e.parameter.kind == "aggregate":
        return _of_shape(fit, e, block)
    if block is not None and e.parameter.kind == "b" and not block.additive:
        return _of_level(e, block)
    if e.parameter.kind == "b":
        return _change(fit, e, f"{_moved(fit, e.parameter.name)}, {{change}}", "{effect}")
    if e.parameter.kind == "sd":
        return _of_sd(fit, e)
    what = WORDS.get(e.parameter.kind, CLASSES[e.parameter.kind].partition(",")[0])
    text = f"{e.parameter.name}, {what}, is {shown(e.point)}"
    return Sentence(e.parameter.name, what, e.point, e.lower, e.upper, _ended(text, e, (e.lower, e.upper)))


def _combined(fit: Fitted, name: str) -> Block | None:
    """The block whose members combine in another way than by their sum that a parameter belongs to."""
    members = fit.specification.members
    return next((b for block, b in members.items() if b.combines and name.startswith(f"{block}.")), None)


def _of_shape(fit: Fitted, e: Estimate, block: Block) -> Sentence:
    """How much more the better or the worse of two members counts."""
    name, what = e.parameter.name, f"how the members of {block.name} combine"
    if not block.additive:
        text = (
            f"The members of {block.name} make a mean of powers, of power {shown(e.point)} (1 is the arithmetic mean, "
        )
        text += "0 the geometric, -1 the harmonic: the lower, the less can one member replace another)"
        return Sentence(name, what, e.point, e.lower, e.upper, _ended(text, e, (e.lower, e.upper)))
    sd, better = f"{block.name}.sd", "better" if e.point > 0 else "worse"
    there = sd in fit.specification.names
    apart = float(fit.posterior.estimate[fit.specification.names.index(sd)]) if there else 1.0
    times = shown(math.exp(min(abs(e.point) * apart, 700.0)))
    text = (
        f"Of two members of {block.name} whose effects differ by {shown(apart)}{f' ({sd})' if there else ''}, the "
        f"{better} one counts {times} times as much: {name} is {shown(e.point)}"
    )
    said = _ended(text, e, (e.lower, e.upper))
    if not e.parameter.fixed and e.lower <= 0.0 <= e.upper:
        said = said.removesuffix(".") + "; the interval contains 0, where all count alike (the mean)."
    return Sentence(name, what, e.point, e.lower, e.upper, said)


def _of_level(e: Estimate, block: Block) -> Sentence:
    """A coefficient inside a mean of powers: by what it multiplies what the members make together."""
    inside = e.parameter.name.removeprefix(f"{block.name}.")
    point, lower, upper = e.through(np.exp)
    what = f"what the members of {block.name} make together"
    text = f"Where {inside} of every member of {block.name} is one higher, {what} is multiplied by {shown(point)}"
    if inside == "Intercept":
        text = f"Where all else is zero, {what} is {shown(point)}"
    return Sentence(e.parameter.name, what, point, lower, upper, _ended(text, e, (lower, upper)))


def _change(fit: Fitted, e: Estimate, text: str, quantity: str, settled: bool = False, size: float = 1.0) -> Sentence:
    """What a coefficient does to the outcome, of `size` units of its column; `settled`: it has no sign to doubt."""
    change = _change_in(fit, e.parameter.name)
    what = change.of(fit.specification.outcome_name)
    point, lower, upper = e.through(lambda value: change.value(size * value))
    if change.factor:
        effect, does = f"factor of {what}", f"{what} {change.verb} multiplied by {shown(point)}"
    else:
        effect = f"difference of {what}"
        does = f"{what} {change.verb} {shown(abs(point))} {'higher' if point >= 0 else 'lower'}"
    words = {"what": what, "verb": change.verb, "value": shown(point), "change": does, "effect": effect}
    nothing = None if settled else 1.0 if change.factor else 0.0
    signed = "" if change.factor or settled or point >= 0 else "difference "
    said = _ended(text.format_map(words), e, (lower, upper), nothing, signed)
    return Sentence(e.parameter.name, quantity.format_map(words), point, lower, upper, said)


def _ended(text: str, e: Estimate, ends: tuple[float, float], nothing: float | None = None, word: str = "") -> str:
    """A sentence with its interval, and whether that contains no change."""
    if e.parameter.fixed:
        return f"{text} (held, not estimated)."
    if not all(map(math.isfinite, ends)) or ends[0] == ends[1]:
        return f"{text} (no interval)."
    out = f"{text} ({e.level} interval{' of the ' + word.strip() if word else ''} {shown(ends[0])} to {shown(ends[1])})"
    if nothing is not None and ends[0] <= nothing <= ends[1]:
        out += f"; the interval contains {nothing:g}, no change"
    return f"{out}."


def _moved(fit: Fitted, name: str) -> str:
    """What moves with a coefficient."""
    name = _short(fit, name)
    for block, part in fit.specification.members.items():
        inside = name.removeprefix(f"{block}.")
        if inside == name:
            continue
        if part.combines:
            return f"Where {inside} of every member ({block}) of a group is one higher"
        if inside == "Intercept":
            return f"Where the sum of the weights of {block} in a group is one higher"
        none = np.zeros((1, len(part.hypers))), np.zeros((1, len(part.coefficients)))
        if part.covariates_of_memberships(*none) is None:
            return f"Where {name}, a feature of the members of a group, is one higher"
        kind = "weighted mean" if part.rule == "group" else "weighted sum"
        return f"Where the {kind} of {inside} over the members ({block}) of a group is one higher"
    _, name = _own(fit, name)
    if ":" in name:
        return f"Where the product {name} is one higher"
    if match := LEVEL.fullmatch(name):
        return f"Where {match[1]} is {match[2]} instead of the reference level"
    if match := LOG.fullmatch(name):
        return f"Where {name} is one higher ({match[1]} 2.72 times as large)"
    return f"Where {name} is one higher"


def _own(fit: Fitted, name: str) -> tuple[str | None, str]:
    """The parameter of the family whose predictor a coefficient is in, and its name there."""
    first, _, rest = name.partition(".")
    there = first in fit.family.predictors and first in fit.specification.own_names
    return (first, rest) if there and rest else (None, name)


def _copy(fit: Fitted, name: str) -> str | None:
    """The linear predictor that a parameter is of, where there are several of the same terms."""
    copies = fit.family.copies(fit.specification.response)
    return next((c for c in copies if name.startswith(f"{c}.")), None)


def _short(fit: Fitted, name: str) -> str:
    """A parameter's name without that of such a linear predictor."""
    copy = _copy(fit, name)
    return name if copy is None else name.removeprefix(f"{copy}.")


def _change_in(fit: Fitted, name: str) -> Change:
    """What the linear predictor that a parameter is in does."""
    own, _ = _own(fit, name)
    if own is None:
        return fit.family.change_of(_copy(fit, name), fit.specification.response)
    if fit.family.predictors[own] == "logit":
        return Change(f"the odds of {own}, {PROBABILITIES.get(own, 'a probability')},", True, "are")
    return Change(WORDS.get(own, own) + (f" ({own})"), True)


def _of_sd(fit: Fitted, e: Estimate) -> Sentence:
    """What a level one standard deviation above the average does, where effects are those of levels."""
    s, name = fit.specification, e.parameter.name
    term = name.removesuffix(".sd")
    word = term.rpartition(".")[2]
    if e.point == 0.0 and term in {*s.members, *s.units}:
        text = f"The levels of {term} do not differ beyond their covariates: {name} is zero"
        return Sentence(name, "standard deviation", 0.0, e.lower, e.upper, _ended(text, e, (e.lower, e.upper)))
    if term in s.members and name.endswith(".sd") and s.members[term].rule != "none":
        size = s.members[term].typical_size
        who = f"A {word} one standard deviation above the average, with an equal share in a group of {size}"
        return _change(fit, e, f"{who}: {{change}}", "{effect}, one sd of a member's effect", True, 1.0 / size)
    if term in s.units and name.endswith(".sd"):
        who = f"A {word} one standard deviation above the average"
        return _change(fit, e, f"{who}: {{change}}", "{effect}, one sd of a unit's effect", True)
    text = f"{name}, a standard deviation on the scale of the linear predictor, is {shown(e.point)}"
    return Sentence(name, "standard deviation", e.point, e.lower, e.upper, _ended(text, e, (e.lower, e.upper)))


def _of_weights(fit: Fitted, name: str, block: Block, ci: float) -> Iterator[Sentence]:
    """How many times as much a member counts, for each covariate of the weights that is a number."""
    free = [p for p in block.weight_parameters if not p.fixed]
    columns = [c for c in block.expression.columns if c != "n" and c in block.memberships.table]
    numeric = [c for c in columns if block.memberships.table[c].kind in ("number", "integer", "bool")]
    index, _ = fit.posterior.block(name)
    where = fit.specification.system.places.theta(index)
    size = block.typical_size
    for column in numeric if free else ():
        values = np.asarray(block.memberships.table[column].values, dtype=float)
        binary = set(np.unique(values)) <= {0.0, 1.0}
        low, high = (0.0, 1.0) if binary else (float(values.mean()), float(values.mean()) + 1.0)
        ratio = RatioOfWeights(block, column, low, high, size)
        found = fit.posterior.numbers_of(lambda theta, of=ratio: of(theta[where]), ci, scale="log")
        point, lower, upper = (float(v[0]) for v in (found.point, found.lower, found.upper))
        times = f"counts {shown(point)} times as much as one"
        at_mean = f"whose {column} is one higher than the mean ({shown(low)}) {times} at the mean"
        against = f"with {column} = 1 {times} with {column} = 0" if binary else at_mean
        text = f"{f'In a group of {size}, a' if block.expression.by_size else 'A'} {name.rpartition('.')[2]} {against}"
        own = [p for p in free if p.name == f"{name}.w.{column}"] or (free if len(free) == 1 else [])
        about = own[0].name if own else f"{name} along {column}"
        e = Estimate(free[0], point, lower, upper, percent(ci))
        yield Sentence(about, "ratio of weights", point, lower, upper, _ended(text, e, (lower, upper), 1.0))


class RatioOfWeights:
    """The weight of a member at one value of a covariate over that at another, before they are normalised.

    The others of its group, of `size`, and its other covariates are at their means.
    """

    def __init__(self, block: Block, column: str, low: float, high: float, size: int):
        self.weighing = block.weighing.grid(column, np.array([low, high]), size, block.levels)
        self.second = size

    def __call__(self, theta: np.ndarray) -> np.ndarray:
        raw, _ = self.weighing.raw(theta)
        low, high = raw[0], raw[self.second]
        with np.errstate(all="ignore"):
            return np.array([np.exp(high - low) if self.weighing.tape.logarithm else high / low])


def shown(value: float) -> str:
    """A number with three significant digits, and no exponent where it can do without."""
    if not math.isfinite(value):
        return str(value)
    if value == 0.0 or 1e-4 <= abs(value) < 1e5:
        return np.format_float_positional(float(f"{value:.3g}"), trim="-")
    return f"{value:.2e}"
