"""Standard deviations and other parameters of effects, and the family's own parameters."""

from __future__ import annotations

import re

from ....effects.phrases import Phrase, filled
from ....families.words import Change
from ....latent.part import Part
from ....parameters import CLASSES
from ...fitted import Fitted
from .coefficients import change_in, combined, own_part, short
from .sentence import Estimate, Sentence, changed, outcome, said, shown, with_article

OWNER = re.compile(r"(.+?)\.(?:sd|cor|rho|scale)(?=[.\[]|$)")


def of_effects(fit: Fitted, e: Estimate) -> Sentence | None:
    """What a parameter of effects says; None where no term has it."""
    for part in fit.specification.system.parts:
        phrase = part.phrase(e.name)
        if phrase is not None:
            return _read(fit, e, part, phrase)
    return None


def _read(fit: Fitted, e: Estimate, part: Part, phrase: Phrase) -> Sentence:
    match = OWNER.match(e.name)
    term = match[1] if match else e.name
    level = part.structure.levels.name if part.structure is not None else term.rpartition(".")[2]
    words = {
        "A": with_article(level, capital=True), "a": with_article(level), "term": term, "name": e.name,
        "value": shown(e.point),
    }  # fmt: skip
    if e.point == 0.0 and phrase.equal:
        return said(e, "standard deviation", filled(phrase.equal, words))
    if phrase.moves is None:
        numbers = e.through(phrase.through) if phrase.through else (e.point, e.lower, e.upper)
        text = filled(phrase.text, {**words, "number": shown(numbers[0])})
        return said(e, phrase.quantity, text, numbers, phrase.nothing)
    return _of_sd(fit, e, term, phrase, words)


def _of_sd(fit: Fitted, e: Estimate, term: str, phrase: Phrase, words: dict[str, str]) -> Sentence:
    """What an effect of some standard deviations does."""
    block, change, (share, size) = combined(fit, e.name), change_in(fit, e.name), _share(fit, term)
    text = phrase.text
    if block is not None:  # what all members have in common is what they make together
        share, size = "", 1.0
        text = text.replace("{A}", f"Where every member of {block.name} is {words['a']}", 1)
        if not block.additive:
            change = Change(f"what the members of {block.name} make together", True)
    does, numbers = changed(fit, change, e, (phrase.moves or 1.0) * size)
    whose = "a member's" if term in fit.specification.members else "a unit's"
    quantity = f"{'factor' if change.factor else 'difference'} of {change.of(outcome(fit))}"
    told = filled(phrase.quantity, {"possessive": whose})
    return said(e, f"{quantity}, {told}", filled(text, {**words, "share": share, "change": does}), numbers)


def _share(fit: Fitted, term: str) -> tuple[str, float]:
    """How an effect of a member reaches a group, in words and as a number; a unit's reaches it as it is."""
    block = fit.specification.members.get(term) or fit.specification.members.get(own_part(fit, short(fit, term))[1])
    if block is None:
        return "", 1.0
    if block.rule == "none":
        return ", with a weight of one", 1.0
    return f", with an equal share in a group of {block.typical_size}", 1.0 / block.typical_size


def of_own(fit: Fitted, e: Estimate) -> Sentence:
    """What a parameter of the family says."""
    s = fit.specification
    meaning = fit.family.meaning_of(e.name, e.parameter.kind, s.response)
    if meaning is None:
        return plain(e)
    mean = float(s.response.observed.mean())
    numbers = e.through(lambda value: meaning.number(value, mean))
    words = {"y": outcome(fit), "value": shown(e.point), "name": e.name, "mean": shown(mean)}
    text = filled(meaning.text, {**words, "number": shown(numbers[0])})
    return said(e, meaning.quantity, text, numbers, meaning.nothing)


def plain(e: Estimate) -> Sentence:
    """That a parameter is what it is."""
    what = CLASSES.get(e.parameter.kind, "a parameter").partition(",")[0]
    return said(e, what, f"{e.name} ({what}) is {shown(e.point)}")
