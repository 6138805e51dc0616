"""How a parameter of effects is read in a sentence: what is given here is filled in by whoever knows the outcome."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np


class Noun(NamedTuple):
    """What varies over levels: ``effect``, ``slope of x``; the covariate where it is a slope."""

    said: str
    covariate: str | None = None


@dataclass(frozen=True)
class Phrase:
    """The sentence of a parameter.

    Attributes
    ----------
    text : str
        ``{A}`` and ``{a}`` stand for a level with its article, ``{share}`` for how it reaches a group, ``{change}`` for
        what its effect does to the outcome, ``{value}`` and ``{name}`` for the parameter.
    quantity : str
        What the number is.
    moves : float or None
        The effect, in units of the parameter, whose consequence the number is; None: the number is the parameter.
    equal : str
        What is said where the parameter is zero.
    nothing : (float, str) or None
        The value at which there is nothing to say, and what it then is.
    through : callable or None
        From the parameter to the number that is read, ``{number}``; monotone.
    """

    text: str
    quantity: str
    moves: float | None = None
    equal: str = ""
    nothing: tuple[float, str] | None = None
    through: Callable[[np.ndarray], np.ndarray] | None = None

    def ending(self, text: str) -> Phrase:
        """The same of some of the levels: `text` follows the level."""
        out = self.text.replace("{A}", "{A}" + text).replace("{a}", "{a}" + text)
        of = "{term}" + text.rstrip(",")
        return replace(self, text=out.replace("{term}", of), equal=self.equal.replace("{term}", of))


def filled(text: str, words: Mapping[str, str]) -> str:
    """A text with its words; whatever else stands in braces belongs to a name of the user's."""
    return re.sub(r"\{(\w+)\}", lambda found: words.get(found[1], found[0]), text)


def noun_of(term: str) -> Noun:
    """What a term makes vary; ``1`` is the effect itself, and what stands before a point is where it is."""
    where, _, own = term.rpartition(".") if term.endswith(".1") else ("", "", term)
    inside = f" in {where}" if where else ""
    return Noun(f"effect{inside}") if own == "1" else Noun(f"slope of {own}{inside}", own)


def of_sd(noun: Noun, who: str, size: float = 1.0) -> Phrase:
    """Of a standard deviation: what an effect of `size` of them does.

    Parameters
    ----------
    who : str
        The level that has it, to the colon; ``{whose}`` stands for what of it is so large.
    """
    who = who.replace("{whose}", "" if noun.said == "effect" else f" whose {noun.said} is")
    if noun.covariate is None:
        equal = "The levels of {term} do not differ beyond their covariates: {name} is zero"
        return Phrase(f"{who}{{share}}: {{change}}", "one sd of {possessive} effect", size, equal)
    equal = f"The {noun.said} is the same for all levels of {{term}}: {{name}} is zero"
    text = f"{who}{{share}}: where {noun.covariate} is one higher, {{change}}, beyond what the average slope does"
    return Phrase(text, "one sd of {possessive} slope", size, equal)


def of_correlation(one: Noun, other: Noun) -> Phrase:
    """Of a correlation between two effects of a level."""
    text = f"Over the levels of {{term}}, the {one.said} and the {other.said} are correlated by {{value}}"
    return Phrase(text, "correlation", nothing=(0.0, "no correlation"))


def pairs(count: int) -> Sequence[tuple[int, int]]:
    """The terms of each correlation, in the order of the parameters."""
    return [(j, i) for i in range(count) for j in range(i)]
