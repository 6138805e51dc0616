r"""Effects of the same levels in several places, ``id=a``: one covariance over all terms that name it.

``(1 + x | cid, id=a)`` in the outcome's formula and ``(1 | cid, id=a)`` in that of sigma give each cid the effects
:math:`(u_1, u_x, u_{\sigma}) \sim N(0, \Sigma)`. The terms' own effects are taken out and put into one part, whose
entries are those of rows of A: group i of linear predictor k is row :math:`kN + i` (one predictor alone has the rows of
the groups). Blocks keep their covariates and weights, which the part borrows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..effects.base import Rows
from ..effects.correlated import Correlated
from ..effects.iid import Independent
from ..errors import DataError, ModelError
from ..latent.part import Equations, Part, Unit
from ..table.levels import Levels
from ..table.memberships import Tables
from .base import Context
from .pieces import CommonEffects, Share


@dataclass(frozen=True, eq=False)
class TogetherPart(CommonEffects):
    """Effects of the levels of several terms.

    Attributes
    ----------
    name : str
        That of the first term; with blocks, which keep theirs, the names of all, joined by a plus sign.
    terms : tuple of Part
        The terms as they were, with their effects: they say which levels a table has.
    numbers : tuple of int
        The linear predictor of each.
    structure : Correlated
        Its memberships are those of all terms, one after the other; their groups are rows of A.
    """

    name: str
    terms: tuple[Any, ...]
    numbers: tuple[int, ...]
    structure: Correlated

    @property
    def effect_names(self) -> tuple[str, ...]:
        """The names of the terms, and its own."""
        return (self.name, *(t.name for t in self.terms))

    @property
    def of_rows(self) -> bool:
        """Each linear predictor has its rows."""
        return True

    @property
    def reaches(self) -> tuple[int, ...]:
        """The linear predictors of its terms."""
        return self.numbers

    @property
    def unit(self) -> Unit | None:
        """The unit of its terms, if they are unit terms."""
        return None if self.name != self.terms[0].name else self.terms[0].unit

    @cached_property
    def shares(self) -> tuple[Share, ...]:
        """The terms; blocks have weights."""
        weighings = [next((block.weighing for block in t.blocks.values()), None) for t in self.terms]
        each = zip(self.terms, weighings, strict=True)
        return tuple(Share(t.name, weighing, len(t.structure.rows.group)) for t, weighing in each)

    @property
    def filled(self) -> int:
        """Groups that its effects reach in the first of its linear predictors."""
        n = self.structure.rows.groups
        return len(np.unique(self.structure.rows.group[self.structure.rows.group // n == self.numbers[0]]))

    def on(self, tables: Tables) -> TogetherPart:
        """The same effects on other tables."""
        terms = tuple(t.on(tables) for t in self.terms)
        raw = [t.raw_rows(tables) for t in self.terms]
        rows = _rows(raw, self.numbers, self.structure.terms, self.structure.rows.levels)
        return replace(self, terms=terms, structure=self.structure.on(rows))

    def held(self, old: TogetherPart, theta: np.ndarray) -> TogetherPart:
        """The same part with the constants of ``normalize=total`` that `old` has at theta."""
        each = zip(self.terms, old.terms, self.weight_theta(theta), strict=True)
        return replace(self, terms=tuple(t.held(before, own) for t, before, own in each))

    def words(self) -> Equations:
        """The effects of each term, in its linear predictor."""
        aside: dict[int, tuple[str, ...]] = {}
        for term, number in zip(self.terms, self.numbers, strict=True):
            aside[number] = (*aside.get(number, ()), *term.effects_in_words())
        first = aside.pop(self.numbers[0])
        return Equations(first, tuple(self.structure.sentences()), aside)


def _rows(rows: Sequence[Rows], numbers: Sequence[int], terms: tuple[str, ...], first: Levels) -> Rows:
    """Memberships of all terms, one after the other; their levels are those of any, their covariates their own."""
    values = np.unique(np.concatenate([r.levels.values for r in rows]))
    n = rows[0].groups
    level = [np.searchsorted(values, r.levels.values)[r.level] for r in rows]
    z, at = np.zeros((len(terms), sum(len(r.level) for r in rows))), 0
    below = 0
    for r in rows:
        z[below : below + len(r.z), at : at + len(r.level)] = r.z
        below, at = below + len(r.z), at + len(r.level)
    group = np.concatenate([r.group + number * n for r, number in zip(rows, numbers, strict=True)])
    return Rows(group, np.concatenate(level), Levels(first.name, values), z, terms, rows[0].table, rows[0].ids)


def join_terms(
    parts: Sequence[Part], numbers: Sequence[int], prefixes: Mapping[int, str], context: Context
) -> tuple[list[Part], list[int]]:
    """Put the effects of terms that name the same ``id=`` into parts of their own, which come last.

    Parameters
    ----------
    numbers : sequence of int
        The linear predictor of each part.
    prefixes : mapping
        What names in each linear predictor begin with.

    Returns
    -------
    (list of Part, list of int)
        All parts, and their linear predictors (of several, the first).
    """
    named: dict[str, list[int]] = {}
    for k, part in enumerate(parts):
        if part.joins is not None:
            named.setdefault(part.joins, []).append(k)
    made: list[Part | None] = list(parts)
    more, more_numbers = [], []
    for word, those in named.items():
        if len(those) < 2:
            continue
        terms, own = [parts[k] for k in those], [numbers[k] for k in those]
        more.append(_joined(word, terms, own, prefixes, context))
        more_numbers.append(own[0])
        for k in those:
            made[k] = parts[k].without_effects()
    left = [k for k, part in enumerate(made) if part is not None]
    out = [part for part in made if part is not None]
    return [*out, *more], [*(numbers[k] for k in left), *more_numbers]


def _joined(
    word: str, terms: Sequence[Any], numbers: Sequence[int], prefixes: Mapping[int, str], context: Context
) -> TogetherPart:
    for t in terms:
        whole = type(t.structure) is Correlated or (type(t.structure) is Independent and len(t.structure.terms) == 1)
        if not whole:
            raise ModelError(
                f"id={word} makes one covariance of the effects of all terms that name it, so {t.name!r} cannot have "
                "effects of another kind or without correlations: write (1 + x | unit, id=...), or leave id= out"
            )
    kinds = {t.structure.levels.values.dtype.kind in "US" for t in terms}
    if len(kinds) > 1:
        raise DataError(
            f"the ids of {' and '.join(repr(t.name) for t in terms)} (id={word}) are text in one and numbers in "
            "another, so none can be in both: give them one type"
        )
    sds, labels = [], []
    for t, number in zip(terms, numbers, strict=True):
        k = len(t.structure.terms)
        sds += t.structure.hypers[:k]
        for p in t.structure.hypers[k:]:
            context.book.forget(p.name)
        owner = t.name.removeprefix(prefixes[number])
        inside = "" if owner == terms[0].name.removeprefix(prefixes[numbers[0]]) else f"{owner}."
        labels += [f"{prefixes[number]}{inside}{term}" for term in t.structure.terms]
    name = terms[0].name
    names = [f"{name}.cor.{labels[j]}.{labels[i]}" for i in range(len(labels)) for j in range(i)]
    cors, order = context.correlations(names, len(labels))
    rows = _rows([t.structure.rows for t in terms], numbers, tuple(labels), terms[0].structure.levels)
    structure = Correlated(name, rows, (*sds, *cors), order=order)
    units = all(t.unit is not None for t in terms)
    whole = name if units else "+".join(t.name for t in terms)
    return TogetherPart(whole, tuple(terms), tuple(numbers), structure)
