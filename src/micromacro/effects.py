"""Kinds of effects: what distribution the effects of members and units have.

Effects are standardised: an effect is its sd times an entry of x, so an sd multiplies entries of A and an sd of
zero is an ordinary point. A kind of effects is a row of :data:`KINDS`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import FormulaError


@dataclass(frozen=True)
class EffectKind:
    """A kind of effects: its word in the formula and what it means."""

    word: str
    meaning: str
    random: bool


KINDS = {
    "iid": EffectKind("iid", "independent effects, normal around zero with a common sd", True),
    "none": EffectKind("none", "no effects: covariates only", False),
}


def effect_kind(word: str, text: str, start: int, stop: int) -> EffectKind:
    """The kind that a word of the formula names; an unknown word is an error at its place."""
    if word in KINDS:
        return KINDS[word]
    raise FormulaError(f"effects={word} is not known; choose from {', '.join(KINDS)}", text, start, stop)
