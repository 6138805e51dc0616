"""What is done with the effects of each term when a quantity is asked for: ``effects=`` and ``new_effects=``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import EngineError
from ..model.specification import Specification

WORDS = ("conditional", "marginal", "zero")


@dataclass(frozen=True)
class Treatment:
    """What is done with the effects of each part of a model.

    Attributes
    ----------
    words : dict
        From the number of a part with effects to ``conditional`` (as estimated), ``marginal`` (integrated out over
        their population) or ``zero``; the others are conditional.
    new : bool
        Whether effects that the fit has not seen vary as their population does, where they are conditional; else they
        are zero.
    """

    words: Mapping[int, str]
    new: bool = True

    def conditional(self, part: int) -> bool:
        """Whether effects are as estimated."""
        return self.words.get(part, "conditional") == "conditional"

    @property
    def marginal(self) -> list[int]:
        """Parts whose effects are integrated out."""
        return [part for part, word in self.words.items() if word == "marginal"]


AS_ESTIMATED = Treatment({})


def treatment_of(specification: Specification, effects: Any, new_effects: Any) -> Treatment:
    """What the arguments `effects` and `new_effects` of a verb ask for.

    Raises
    ------
    EngineError
        For unknown words and terms, for terms whose effects have no distribution, and for two words for the same
        effects.
    """
    if new_effects not in ("draw", "zero"):
        raise EngineError(f'new_effects= is "draw" or "zero", not {new_effects!r}')
    pooled = specification.layout.pooled
    if isinstance(effects, Mapping):
        words = _by_term(specification, effects)
    elif effects in WORDS:
        words = {part: effects for part, _ in pooled.values()}
    else:
        raise EngineError(
            f"effects= is one of {', '.join(WORDS)}, or a dict from the names of terms to these, not {effects!r}"
        )
    return Treatment(words, new_effects == "draw")


def _by_term(specification: Specification, effects: Mapping[Any, Any]) -> dict[int, str]:
    layout = specification.layout
    named: dict[int, str] = {}
    out: dict[int, str] = {}
    for name, word in effects.items():
        if word not in WORDS:
            raise EngineError(f"effects={{{name!r}: ...}} is one of {', '.join(WORDS)}, not {word!r}")
        found = layout.structures.get(layout.effects_name(name))
        if found is None:
            known = ", ".join(n for p in layout.parts for n in p.effect_names) or "none"
            raise EngineError(f"effects= names {name!r}, but the terms with effects are: {known}")
        part = found[0]
        if not layout.parts[part].pooled and word != "conditional":
            raise EngineError(
                f"the effects of {name!r} are coefficients without a distribution, so they cannot be {word}: leave it "
                "out of effects="
            )
        if out.setdefault(part, word) != word:
            raise EngineError(
                f"{named[part]!r} and {name!r} have the same effects (or correlated ones), which are {out[part]} or "
                f"{word}, not both"
            )
        named.setdefault(part, str(name))
    return out
