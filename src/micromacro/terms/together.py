r"""Effects of the same levels in several places, ``id=a``: one covariance over all terms that name it.

``(1 + x | cid, id=a)`` in the outcome's formula and ``(1 | cid, id=a)`` in that of sigma give each cid the effects
:math:`(u_1, u_x, u_{\sigma}) \sim N(0, \Sigma)`. The terms' own effects are taken out and put into one part, whose
entries are those of rows of A: group i of linear predictor k is row :math:`kN + i` (one predictor alone has the rows of
the groups). Blocks keep their covariates and weights, which the part borrows. With ``by=type`` in all of the terms each
type of level has a covariance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..effects.base import PriorMaker, Rows
from ..effects.by import ByType, by_type
from ..effects.correlated import Correlated
from ..effects.iid import Independent
from ..errors import DataError, ModelError
from ..latent.part import Equations, Part, Unit
from ..table.columns import Table
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
    structure : Correlated or ByType
        Its memberships are those of all terms, one after the other; their groups are rows of A.
    """

    name: str
    terms: tuple[Any, ...]
    numbers: tuple[int, ...]
    structure: Correlated | ByType

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
        rows = _rows(raw, self.numbers, self.structure.terms, self.structure.rows.levels, self.structure.of_types)
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


def _rows(
    rows: Sequence[Rows], numbers: Sequence[int], terms: tuple[str, ...], first: Levels,
    types: tuple[str, tuple[Any, ...]] | None,
) -> Rows:  # fmt: skip
    """Memberships of all terms, one after the other; their levels are those of any, their covariates their own.

    Parameters
    ----------
    types : tuple or None
        The column of types of levels and its values, if there is one: the table of the memberships then has it.
    """
    values = np.unique(np.concatenate([r.levels.values for r in rows]))
    n = rows[0].groups
    level = [np.searchsorted(values, r.levels.values)[r.level] for r in rows]
    z, at = np.zeros((len(terms), sum(len(r.level) for r in rows))), 0
    below = 0
    for r in rows:
        z[below : below + len(r.z), at : at + len(r.level)] = r.z
        below, at = below + len(r.z), at + len(r.level)
    group = np.concatenate([r.group + number * n for r, number in zip(rows, numbers, strict=True)])
    table = rows[0].table if types is None else _table_of_types(rows, types[0])
    return Rows(group, np.concatenate(level), Levels(first.name, values), z, terms, table, rows[0].ids)


def _table_of_types(rows: Sequence[Rows], name: str) -> Table:
    """The column of types of all memberships."""
    columns = [r.table[name] for r in rows]
    values, missing = (np.concatenate([getattr(c, what) for c in columns]) for what in ("values", "missing"))
    return Table(rows[0].table.name, {name: replace(columns[0], values=values, missing=missing)}, len(values))


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
    _check_kinds(word, terms)
    kinds = {t.structure.levels.values.dtype.kind in "US" for t in terms}
    if len(kinds) > 1:
        raise DataError(
            f"the ids of {' and '.join(repr(t.name) for t in terms)} (id={word}) are text in one and numbers in "
            "another, so none can be in both: give them one type"
        )
    types = terms[0].structure.of_types
    labels = _labels(terms, numbers, prefixes)
    name = terms[0].name
    rows = _rows([t.structure.rows for t in terms], numbers, tuple(labels), terms[0].structure.levels, types)
    for p in (p for t in terms for kind in t.structure.each_kind for p in kind.hypers[len(kind.terms) :]):
        context.book.forget(p.name)

    def correlated(kinds: Sequence[Any], priors: PriorMaker) -> Correlated:
        """The effects of all terms for levels of one type, of which they have these kinds."""
        sds = [p for kind in kinds for p in kind.hypers[: len(kind.terms)]]
        names = [f"{name}.cor.{labels[j]}.{labels[i]}" for i in range(len(labels)) for j in range(i)]
        cors, order = priors.correlations(names, len(labels))
        return Correlated(name, rows, (*sds, *cors), order=order)

    if types is None:
        structure: Correlated | ByType = correlated([t.structure for t in terms], context)
    else:
        of_type = zip(*(t.structure.kinds for t in terms), strict=True)
        structure = by_type(name, rows, types[0], context, lambda priors: correlated(next(of_type), priors))
    units = all(t.unit is not None for t in terms)
    whole = name if units else "+".join(t.name for t in terms)
    return TogetherPart(whole, tuple(terms), tuple(numbers), structure)


def _check_kinds(word: str, terms: Sequence[Any]) -> None:
    """Refuse effects that have no covariance with those of other terms, and types that are not those of all terms."""
    for t in terms:
        kinds = t.structure.each_kind
        if not all(type(k) is Correlated or (type(k) is Independent and len(k.terms) == 1) for k in kinds):
            raise ModelError(
                f"id={word} makes one covariance of the effects of all terms that name it, so {t.name!r} cannot have "
                "effects of another kind or without correlations: write (1 + x | unit, id=...), or leave id= out"
            )
    if len({t.structure.of_types for t in terms}) > 1:
        raise ModelError(
            f"id={word} makes one covariance of the effects of all terms that name it, or one for each type of level: "
            f"give {' and '.join(repr(t.name) for t in terms)} the same by= with the same values, or none of them"
        )


def _labels(terms: Sequence[Any], numbers: Sequence[int], prefixes: Mapping[int, str]) -> list[str]:
    """What the effects are called in the names of correlations."""
    out: list[str] = []
    first = terms[0].name.removeprefix(prefixes[numbers[0]])
    for t, number in zip(terms, numbers, strict=True):
        owner = t.name.removeprefix(prefixes[number])
        inside = "" if owner == first else f"{owner}."
        out += [f"{prefixes[number]}{inside}{term}" for term in t.structure.terms]
    return out
