"""The terms of a formula for each of several linear predictors: the same parts, with parameters of their own.

What says how members act together, their weights and the shapes of aggregates, is one for all of them: the first copy
has these entries of theta, the others borrow them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from ..effects.base import Effects
from ..effects.phrases import Phrase
from ..errors import MicromacroWarning, ModelError
from ..latent.part import Equations, Part, Term, Unit
from ..parameters import Parameter
from ..table.memberships import Tables
from .base import Context

SHARED = ("w", "aggregate")
"""Classes of parameters that all copies share."""


@dataclass(frozen=True, eq=False)
class CopiedPart(Term):
    """A part as a term of one of several linear predictors.

    Attributes
    ----------
    inner : Part
        Its parameters have the names of this linear predictor, but for those that all share.
    prefix : str
        Of the linear predictor: ``mu[b]``.
    number : int
        Of the linear predictor, from 0.
    """

    inner: Any
    prefix: str
    number: int

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.prefix}.{self.inner.name}"

    @property
    def structure(self) -> Effects | None:  # type: ignore[override]
        return self.inner.structure

    @property
    def predictor(self) -> int:
        return self.number

    # -- theta: what is borrowed from the first copy comes before its own ----------------------------------------------

    @cached_property
    def _lent(self) -> np.ndarray:
        """Which of the inner part's own entries of theta are those of the first copy."""
        return np.array([self.number > 0 and p.kind in SHARED for p in self.inner.hypers], dtype=bool)

    @cached_property
    def _order(self) -> np.ndarray:
        """Where the theta of the inner part is in that of this one."""
        before = len(self.inner.borrowed)
        own = np.empty(len(self._lent), dtype=np.int64)
        own[np.concatenate([np.flatnonzero(self._lent), np.flatnonzero(~self._lent)])] = np.arange(len(own))
        return np.concatenate([np.arange(before), before + own])

    @property
    def hypers(self) -> tuple[Parameter, ...]:
        return tuple(p for p, lent in zip(self.inner.hypers, self._lent, strict=True) if not lent)

    @property
    def borrowed(self) -> tuple[str, ...]:
        own = (p.name for p, lent in zip(self.inner.hypers, self._lent, strict=True) if lent)
        return (*self.inner.borrowed, *own)

    @property
    def structure_theta(self) -> slice:
        inner = self.inner.structure_theta
        before = int(self._lent[: inner.start].sum())
        return slice(inner.start - before, inner.stop - before)

    @property
    def coefficients(self) -> tuple[Parameter, ...]:
        return self.inner.coefficients

    @property
    def effects(self) -> int:
        return self.inner.effects

    # -- the latent system ---------------------------------------------------------------------------------------------

    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        return self.inner.entries()

    def scratch(self, gradient: bool = True) -> Any:
        return self.inner.scratch(gradient)

    def fill(self, theta: np.ndarray, scratch: Any, slots: np.ndarray, values: np.ndarray, offset: np.ndarray) -> bool:
        return self.inner.fill(theta[self._order], scratch, slots, values, offset)

    def pull(
        self, theta: np.ndarray, scratch: Any, slots: np.ndarray, slope: np.ndarray, d_offset: np.ndarray
    ) -> np.ndarray:
        out = np.empty(len(theta))
        out[self._order] = self.inner.pull(theta[self._order], scratch, slots, slope, d_offset)
        return out

    @property
    def edge(self) -> bool:
        return self.inner.edge and self.number == 0  # the weights are those of the first copy

    def distances(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, slopes = self.inner.distances(theta[self._order])
        out = np.zeros((len(values), len(theta)))
        out[:, self._order] = slopes
        return values, out

    def beyond(self, scratch: Any) -> bool:
        return self.inner.beyond(scratch)

    def sound(self, theta: np.ndarray) -> bool:
        return self.inner.sound(theta[self._order])

    def on(self, tables: Tables) -> Self:
        return replace(self, inner=self.inner.on(tables))

    def with_effects(self, structure: Any) -> Self:
        return replace(self, inner=self.inner.with_effects(structure))

    def held(self, old: Any, theta: np.ndarray) -> Self:
        return replace(self, inner=self.inner.held(old.inner, theta[self._order]))

    # -- readers -------------------------------------------------------------------------------------------------------

    @property
    def reported(self) -> tuple[Parameter, ...]:
        return self.inner.reported

    @property
    def centers(self) -> Mapping[str, float]:
        return self.inner.centers

    @property
    def pooled(self) -> bool:
        return self.inner.pooled

    @property
    def effect_names(self) -> tuple[str, ...]:
        return tuple(f"{self.prefix}.{name}" for name in self.inner.effect_names)

    @property
    def filled(self) -> int:
        return self.inner.filled

    @property
    def blocks(self) -> Mapping[str, Any]:
        """Those of the first copy, whose weights are all copies'."""
        return self.inner.blocks if self.number == 0 else {}

    @property
    def unit(self) -> Unit | None:
        return self.inner.unit

    def memberships_of(self, block: str) -> slice:
        return self.inner.memberships_of(block.removeprefix(f"{self.prefix}."))

    def inner_theta(self, theta: Any) -> Any:
        """The theta that the inner part's methods take."""
        return theta[self._order]

    def phrase(self, name: str) -> Phrase | None:
        return self.inner.phrase(name)

    def moved(self, name: str) -> str:
        return self.inner.moved(name)

    def resting(self, name: str) -> str:
        return self.inner.resting(name)

    def words(self) -> Equations:
        """Those of the part; what says how weights are made is said once."""
        made = self.inner.words()
        block, all_ = f"* {self.prefix}.{self.inner.name}.", f"* {self.prefix}."
        terms = tuple(term.replace(block, "* ").replace(all_, "* ") for term in made.terms)
        terms = tuple(f"{self.prefix}.{term}" if term == "Intercept" else term for term in terms)
        below = (line for line in made.below if self.number == 0 or not line.startswith("w_"))
        return Equations(terms, tuple(below))


def copies(prefixes: Sequence[str], context: Context, build: Callable[[Context], list[Part]]) -> list[Part]:
    """Parts of every linear predictor, predictor by predictor; what there is to warn of is said once."""
    out: list[Part] = []
    for number, prefix in enumerate(prefixes):
        book = context.book.under(f"{prefix}.", SHARED)
        dropped = frozenset(n.removeprefix(f"{prefix}.") for n in context.dropped if n.startswith(f"{prefix}."))
        notes = context.notes if number == 0 else []
        own = replace(context, book=book, named={}, others={}, notes=notes, dropped=dropped)
        with warnings.catch_warnings():
            if number:
                warnings.simplefilter("ignore", MicromacroWarning)
            made = build(own)
        if any(part.joins is not None for part in made):
            raise ModelError("id= joins linear predictors of other families; those of categories have effects apart")
        if any(part.combines for part in made):
            raise ModelError(
                "combine= (and weights that vary over units) is for outcomes with one linear predictor, and each "
                "category has its own: leave it out"
            )
        out += [CopiedPart(part, prefix, number) for part in made]
    return out
