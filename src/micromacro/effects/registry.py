"""The table of kinds of effects: from the word in the formula to what makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import FormulaError
from ..language.nodes import Call, Name, Node, Text, names_in
from .base import Effects, Setting
from .correlated import make_correlated
from .fields import make_car, make_icar
from .fixed import make_fixed
from .iid import make_iid
from .known import make_known
from .paths import make_ar1, make_walk


@dataclass(frozen=True)
class EffectKind:
    """A kind of effects.

    Attributes
    ----------
    word : str
        Its word in the formula.
    meaning : str
    make : callable or None
        Builds it from a :class:`~micromacro.effects.base.Setting`; None for no effects at all.
    arguments : str
        What is allowed in parentheses after the word: ``"nothing"``, ``"terms"`` (covariates whose slopes vary),
        ``"columns"`` (columns of the tables), ``"names"`` (of graphs, covariances or other terms).
    slopes : bool
        Whether slopes may vary, as in ``word(1 + x)``, ``word(g, 1 + x)`` or ``(1 + x | unit)``.
    alike : bool
        Whether the effects of several terms are copies of the kind, independent of each other, each with an sd.
    types : bool
        Whether levels may be of several types, ``by=``, each with parameters of its own.
    """

    word: str
    meaning: str
    make: Callable[[Setting], Effects] | None
    arguments: str = "nothing"
    slopes: bool = False
    types: bool = False
    alike: bool = False

    def split(self, arguments: tuple[Node, ...]) -> tuple[tuple[Node, ...], Node | None]:
        """The kind's own arguments, and the terms that vary: what stands last and is not a name by itself."""
        if self.arguments == "terms":
            return (), arguments[0] if len(arguments) == 1 else None
        last = arguments[-1] if self.slopes and arguments else None
        if last is None or (len(arguments) == 1 and isinstance(last, (Name, Text))):
            return arguments, None
        return arguments[:-1], last


_ROWS = (
    EffectKind("iid", "independent effects, normal around zero with a common sd", make_iid, "terms", True, True),
    EffectKind("none", "no effects: covariates only", None),
    EffectKind(
        "correlated", "an intercept and slopes for each level, correlated", make_correlated, "terms", True, True
    ),
    EffectKind("walk", "a random walk over the participations of each level", make_walk, "columns", True, alike=True),
    EffectKind("ar1", "an autoregression in time for each level", make_ar1, "columns", True, alike=True),
    EffectKind("icar", "an intrinsic conditional autoregression on a graph", make_icar, "names", True, alike=True),
    EffectKind("car", "a proper conditional autoregression on a graph", make_car, "names", True, alike=True),
    EffectKind("known", "effects with a known covariance matrix, known(K)", make_known, "names", True, alike=True),
    EffectKind("fixed", "a coefficient for each level, without pooling", make_fixed, "terms", True),
    EffectKind("shared", "the effects of another block, times a scale", None, "names"),
    EffectKind("correlated_with", "effects that are correlated with those of another block", None, "names"),
)
KINDS = {row.word: row for row in _ROWS}


def effect_kind(node: Node, text: str) -> tuple[EffectKind, tuple[Node, ...]]:
    """The kind that an ``effects=`` names, and its arguments; what is not known is an error at its place."""
    arguments: tuple[Node, ...] = ()
    word = ""
    if isinstance(node, Name):
        word = node.name
    elif isinstance(node, Text):
        word = node.value
    elif isinstance(node, Call):
        word, arguments = node.function, node.args
    if word not in KINDS:
        shown = f"effects={word}" if word else "this effects="
        raise FormulaError(
            f"{shown} is not known; choose from {', '.join(KINDS)}", text, node.span.start, node.span.stop
        )
    kind = KINDS[word]
    refused = kind.arguments == "nothing" or (kind.arguments == "terms" and getattr(node, "keywords", ()))
    if isinstance(node, Call) and (refused or not arguments):
        needs = {"nothing": f"takes nothing in parentheses: write effects = {word}"}
        more = needs.get(kind.arguments, f"takes {kind.arguments} in parentheses")
        raise FormulaError(f"effects = {word} {more}", text, node.span.start, node.span.stop)
    return kind, arguments


def effect_columns(node: Node, text: str) -> tuple[str, ...]:
    """Columns of the tables that an ``effects=`` uses."""
    kind, arguments = effect_kind(node, text)
    if kind.arguments not in ("terms", "columns"):
        terms = kind.split(arguments)[1]
        arguments = () if terms is None else (terms,)
    return tuple(dict.fromkeys(name.name for argument in arguments for name in names_in(argument)))
