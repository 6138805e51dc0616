"""Coefficients: what they do to the outcome, or to a parameter of its family."""

from __future__ import annotations

import math
import re

import numpy as np

from ....families.words import Change
from ....latent.part import Part
from ....terms.member.weighing import Block
from ....terms.saying import clause
from ...fitted import Fitted
from .sentence import Estimate, Sentence, changed, outcome, said, shown

NO_CHANGE = "no change"
OF_LEVEL = re.compile(r"\[T\.[^\]]*\]")


def of_intercept(fit: Fitted, e: Estimate) -> Sentence:
    """What is expected where every covariate is zero."""
    change = change_in(fit, e.name)
    what, numbers = change.of_level(outcome(fit)), e.through(change.value)
    return said(e, what, f"Where every covariate is zero, {what} {change.verb} {shown(numbers[0])}", numbers)


def of_coefficient(fit: Fitted, e: Estimate) -> Sentence:
    """What one more of a column does."""
    block = combined(fit, e.name)
    if block is not None and not block.additive:
        return _of_level(e, block)
    change = change_in(fit, e.name)
    words, numbers = changed(fit, change, e)
    text = f"Where {_moved(fit, e.name)}, {words}"
    what = f"{'factor' if change.factor else 'difference'} of {change.of(outcome(fit))}"
    word = "" if change.factor or numbers[0] >= 0 else "difference"
    return said(e, what, text, numbers, (1.0 if change.factor else 0.0, NO_CHANGE), word)


def of_shape(fit: Fitted, e: Estimate, block: Block) -> Sentence:
    """How much more the better or the worse of two members counts, where their whole effects meet."""
    quantity = f"how the members of {block.name} combine"
    if not block.additive:
        text = (
            f"The members of {block.name} make a mean of powers, of power {shown(e.point)} (1 is the arithmetic mean, "
            "0 the geometric, -1 the harmonic: the lower, the less can one member replace another)"
        )
        return said(e, quantity, text)
    sd, better = f"{block.name}.sd", "better" if e.point > 0 else "worse"
    there = sd in fit.specification.names
    apart = float(fit.posterior.estimate[fit.specification.names.index(sd)]) if there else 1.0
    times = shown(math.exp(min(abs(e.point) * apart, 700.0)))
    text = (
        f"Of two members of {block.name} whose effects differ by {shown(apart)}{f' ({sd})' if there else ''}, the "
        f"{better} one counts {times} times as much: {e.name} is {shown(e.point)}"
    )
    return said(e, quantity, text, nothing=(0.0, "where all count alike (the mean)"))


def combined(fit: Fitted, name: str) -> Block | None:
    """The block whose members combine in another way than by their sum that a parameter belongs to."""
    met = {block: b for block, b in fit.specification.members.items() if b.combines and not b.weight_effects}
    return next((b for block, b in met.items() if name.startswith(f"{block}.")), None)


def _of_level(e: Estimate, block: Block) -> Sentence:
    """A coefficient inside a mean of powers: by what it multiplies what the members make together."""
    numbers = e.through(np.exp)
    what = f"what the members of {block.name} make together"
    if e.name == f"{block.name}.Intercept":
        return said(e, what, f"Where all else is zero, {what} is {shown(numbers[0])}", numbers)
    text = f"Where {block.moved(e.name)}, {what} is multiplied by {shown(numbers[0])}"
    return said(e, what, text, numbers, (1.0, NO_CHANGE))


def change_in(fit: Fitted, name: str) -> Change:
    """What the linear predictor that a parameter is in does."""
    s = fit.specification
    own, _ = own_part(fit, name)
    if own is None:
        part = _part(fit, name)
        return fit.family.change_of(copy_of(fit, name) or (part.origin if part else "") or None, s.response)
    meaning = fit.family.meaning_of(own, own, s.response)
    noun = meaning.noun if meaning else own
    if fit.family.predictors[own] == "logit":
        return Change(f"the odds of {own}, {noun},", True, "are")
    return Change(f"{noun} ({own})", True)


def own_part(fit: Fitted, name: str) -> tuple[str | None, str]:
    """The parameter of the family whose predictor a parameter is in, and its name there."""
    first, _, rest = name.partition(".")
    there = first in fit.family.predictors and first in fit.specification.own_names
    return (first, rest) if there and rest else (None, name)


def copy_of(fit: Fitted, name: str) -> str | None:
    """The linear predictor that a parameter is of, where there are several of the same terms."""
    copies = fit.family.copies(fit.specification.response)
    return next((c for c in copies if name.startswith(f"{c}.")), None)


def short(fit: Fitted, name: str) -> str:
    """A parameter's name without that of such a linear predictor."""
    copy = copy_of(fit, name)
    return name if copy is None else name.removeprefix(f"{copy}.")


def _part(fit: Fitted, name: str) -> Part | None:
    """The part that a coefficient is of."""
    parts = fit.specification.system.parts
    return next((part for part in parts if any(p.name == name for p in part.reported)), None)


def _moved(fit: Fitted, name: str) -> str:
    """What moves with a coefficient: those of which its column makes products with are at zero, its powers are held."""
    every = {p.name: part for part in fit.specification.system.parts for p in part.reported}
    factors = _factors(fit, name)
    partners = [f for other in every if factors < _factors(fit, other) for f in _factors(fit, other) - factors]
    at_rest = {f: every[f].resting(f) if f in every else "" for f in partners}
    part, after, products = every.get(name), "", []
    if len(factors) > 1 and "[T." in name and every.keys() >= factors:
        moved = " and ".join(_alone(fit, f, every[f]) for f in sorted(factors, key=list(every).index))
        after = ", beyond what each of these does alone"
    else:
        moved = _alone(fit, name, part)
    known = all(at_rest.values())
    held = [f"while {' and '.join(dict.fromkeys(at_rest.values()))}"] if at_rest and known else []
    if not known:
        products = [short(fit, other) for other in every if factors < _factors(fit, other)]
    beside = list(dict.fromkeys([*products, *_powers(fit, name, part)]))
    if beside:
        held.append(f"{' and '.join(beside)} staying as {'it is' if len(beside) == 1 else 'they are'}")
    return f"{moved} ({', '.join(held)}){after}" if held else f"{moved}{after}"


def _alone(fit: Fitted, name: str, part: Part | None) -> str:
    """What moves with a coefficient, whatever else moves with it."""
    return (part.moved(name) if part else "") or clause(own_part(fit, short(fit, name))[1])


def _factors(fit: Fitted, name: str) -> frozenset[str]:
    """The coefficients of the columns that a column is the product of; that of itself where it is none."""
    rest = own_part(fit, short(fit, name))[1]
    before = name.removesuffix(rest)
    return frozenset(before + factor for factor in rest.split(":"))


def _powers(fit: Fitted, name: str, part: Part | None) -> list[str]:
    """Other columns that move with a coefficient's, unless they are held: powers of it."""
    own = short(fit, name)
    words = set(re.findall(r"\w+", own))
    beside = [short(fit, p.name) for p in (part.reported if part else ())]
    powers = [o for o in beside if o != own and words < set(re.findall(r"\w+", OF_LEVEL.sub("", o)))]
    return [o for o in powers if "[" not in o.replace(own, "") and not _factors(fit, name) < _factors(fit, o)]
