"""A sentence, and the estimate that it is about."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ....families.words import Change
from ....parameters import Parameter
from ...fitted import Fitted

OUTCOME = re.compile(r"(surv|trials)\(([^()]*)\)", re.IGNORECASE)


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
    """A parameter with its numbers on its own scale; `level` is the probability of the interval, in words."""

    parameter: Parameter
    point: float
    lower: float
    upper: float
    level: str

    @property
    def name(self) -> str:
        """The parameter's."""
        return self.parameter.name

    def through(self, function: Callable[[np.ndarray], np.ndarray]) -> tuple[float, float, float]:
        """Point and ends of the interval, the lower first, through a monotone function."""
        with np.errstate(all="ignore"):
            low, mid, high = (float(v) for v in function(np.array([self.lower, self.point, self.upper])))
        return (mid, high, low) if low > high else (mid, low, high)


def said(e: Estimate, quantity: str, text: str, numbers: tuple[float, float, float] | None = None,
         nothing: tuple[float, str] | None = None, word: str = "") -> Sentence:  # fmt: skip
    """The sentence about an estimate, with its interval.

    Parameters
    ----------
    numbers : (point, lower, upper), optional
        What is read; the parameter itself without it.
    nothing : (float, str), optional
        A number that means something of its own where the interval contains it, and what.
    word : str
        Whose the interval is, where the text shows another sign.
    """
    point, lower, upper = numbers or (e.point, e.lower, e.upper)
    return Sentence(e.name, quantity, point, lower, upper, ended(text, e, (lower, upper), nothing, word))


def ended(
    text: str, e: Estimate, ends: tuple[float, float], nothing: tuple[float, str] | None = None, word: str = ""
) -> str:  # fmt: skip
    """A sentence with its interval, and whether that contains a number that means something of its own."""
    if e.parameter.fixed:
        return f"{text} (held, not estimated)."
    if not all(map(math.isfinite, ends)) or ends[0] == ends[1]:
        return f"{text} (no interval)."
    out = f"{text} ({e.level} interval{f' of the {word}' if word else ''} {shown(ends[0])} to {shown(ends[1])})"
    if nothing is not None and ends[0] <= nothing[0] <= ends[1]:
        out += f"; the interval contains {nothing[0]:g}, {nothing[1]}"
    return f"{out}."


def outcome(fit: Fitted) -> str:
    """The outcome in a sentence: ``time`` of ``surv(time, event)``."""
    name = fit.specification.outcome_name
    match = OUTCOME.fullmatch(name)
    if match is None:
        return name
    columns = [c.strip() for c in match[2].split(",") if "=" not in c]
    if len(columns) < len(match[2].split(",")):
        return "the duration"
    return columns[1] if match[1].lower() == "surv" and len(columns) == 3 else columns[0]


def changed(fit: Fitted, change: Change, e: Estimate, size: float = 1.0) -> tuple[str, tuple[float, float, float]]:
    """What a change of the linear predictor by `size` times an estimate does in words, and its numbers."""
    what = change.of(outcome(fit))
    numbers = e.through(lambda value: change.value(size * value))
    if change.factor:
        return f"{what} {change.verb} multiplied by {shown(numbers[0])}", numbers
    return f"{what} {change.verb} {shown(abs(numbers[0]))} {'higher' if numbers[0] >= 0 else 'lower'}", numbers


def shown(value: float) -> str:
    """A number with three significant digits, and no exponent where it can do without."""
    if not math.isfinite(value):
        return str(value)
    if value == 0.0 or 1e-4 <= abs(value) < 1e5:
        return np.format_float_positional(float(f"{value:.3g}"), trim="-")
    return f"{value:.2e}"


def with_article(noun: str, capital: bool = False) -> str:
    """``a team``, ``an author``."""
    article = "an" if noun[:1].lower() in "aeio" else "a"
    return f"{article.capitalize() if capital else article} {noun}"
