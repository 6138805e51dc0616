r"""Effects with a standard deviation for each type of level, ``by=type``: :math:`u_j \sim N(0, \Sigma_{t(j)})`.

Each value of a column that is constant within a level has the parameters of its own kind of effects, ``B.sd[a]``,
``B.cor.1.x[a]``; levels stay independent of each other. A level that the fit has not seen has the type that the new
table says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from ..errors import DataError, ModelError
from ..parameters import Parameter
from ..priors import Prior
from ..table.columns import Table
from ..table.levels import Levels, encode
from .base import Effects, PriorMaker, Rows, Setting, Smooth
from .iid import Independent
from .phrases import Noun, Phrase


@dataclass(frozen=True, eq=False)
class ByType(Independent):
    """Independent levels of several types.

    Attributes
    ----------
    column : str
        The column of types.
    types : Levels
    kinds : tuple of Independent
        The effects as they would be if every level were of one type, by type; `hypers` are theirs, one after the other.
    code : (levels + fresh,) int array
        Type of each level, those that the fit has not seen last.
    """

    column: str = ""
    types: Levels = None  # type: ignore[assignment]  # always given: the fields before it have defaults
    kinds: tuple[Independent, ...] = ()
    code: np.ndarray = None  # type: ignore[assignment]

    @property
    def of_types(self) -> tuple[str, tuple[Any, ...]] | None:
        return self.column, tuple(self.types.values.tolist())

    @property
    def each_kind(self) -> tuple[Independent, ...]:
        return self.kinds

    @property
    def covariances(self) -> tuple[slice, ...]:
        """Entries of theta of each type."""
        return self._slices

    @cached_property
    def _slices(self) -> tuple[slice, ...]:
        ends = np.cumsum([len(kind.hypers) for kind in self.kinds]).tolist()
        return tuple(slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True))

    @cached_property
    def _members(self) -> list[np.ndarray]:
        """Memberships of each type."""
        of = self.code[self.rows.level]
        return [np.flatnonzero(of == t) for t in range(len(self.kinds))]

    def under(self, hyper: int) -> int:
        """How many levels are of the type of an entry of theta."""
        which = next(t for t, own in enumerate(self.covariances) if hyper < own.stop)
        return int(np.count_nonzero(self.code[: len(self.levels)] == which))

    def loads(self, theta: np.ndarray, out: np.ndarray) -> None:
        table = out.reshape(len(self.rows.level), len(self.terms))
        for kind, own, rows in zip(self.kinds, self.covariances, self._members, strict=True):
            table[rows] = self.rows.z[:, rows].T @ kind.root(theta[own])

    def pull_loads(self, theta: np.ndarray, d_load: np.ndarray) -> np.ndarray:
        table, out = d_load.reshape(len(self.rows.level), len(self.terms)), np.empty(len(theta))
        for kind, own, rows in zip(self.kinds, self.covariances, self._members, strict=True):
            out[own] = kind.pull_root(theta[own], self.rows.z[:, rows] @ table[rows])
        return out

    def natural(self, theta: np.ndarray) -> sparse.csr_array:
        indices, starts = self._blocks
        roots = np.stack([kind.root(theta[own]) for kind, own in zip(self.kinds, self.covariances, strict=True)])
        return sparse.csr_array((roots[self.code].reshape(-1), indices, starts))

    def reported(self, theta: np.ndarray) -> np.ndarray:
        return self._each(theta, lambda kind, own: kind.reported(own))

    def from_reported(self, reported: np.ndarray) -> np.ndarray:
        return self._each(reported, lambda kind, own: kind.from_reported(own))

    def moments(self, theta: np.ndarray) -> np.ndarray:
        return self._each(theta, lambda kind, own: kind.moments(own))

    def _each(self, theta: np.ndarray, change: Callable[[Independent, np.ndarray], np.ndarray]) -> np.ndarray:
        """Theta (..., q) changed type by type; itself where nothing changes."""
        before = [theta[..., own] for own in self.covariances]
        after = [change(kind, own) for kind, own in zip(self.kinds, before, strict=True)]
        same = all(a is b for a, b in zip(after, before, strict=True))
        return theta if same else np.concatenate(after, axis=-1)

    def smooth(self) -> Smooth | None:
        found = [kind.smooth() for kind in self.kinds]
        if all(s is None for s in found):
            return None
        kinds: list[Any] = [k if s is None else s.effects for k, s in zip(self.kinds, found, strict=True)]
        made = replace(self, kinds=tuple(kinds), hypers=tuple(p for kind in kinds for p in kind.hypers))
        made.__dict__["entries"] = self.entries  # the pattern is the same

        def moved(theta: np.ndarray, into: bool) -> np.ndarray:
            parts = [theta[own] for own in self.covariances]
            changes = [None if s is None else (s.into if into else s.back) for s in found]
            return np.concatenate([p if f is None else f(p) for p, f in zip(parts, changes, strict=True)])

        return Smooth(made, lambda theta: moved(theta, True), lambda theta: moved(theta, False))

    def sentences(self) -> list[str]:
        shown = self.types.values.tolist()
        return [
            f"{line} where {self.column} is {value}"
            for value, kind in zip(shown, self.kinds, strict=True)
            for line in kind.sentences()
        ]

    def phrase(self, hyper: int, nouns: Sequence[Noun]) -> Phrase | None:
        which = next(t for t, own in enumerate(self.covariances) if hyper < own.stop)
        found = self.kinds[which].phrase(hyper - self.covariances[which].start, nouns)
        return found and found.ending(f" whose {self.column} is {self.types.values.tolist()[which]},")

    def on(self, rows: Rows) -> Effects:
        mapped, fresh = self._recoded(rows)
        codes, own = encode(rows.table[self.column])
        found = self.types.find(own)
        unknown = own.values[found < 0]
        if len(unknown):
            raise DataError(
                f"column {self.column!r} of {rows.table.name} has the value {unknown.tolist()[0]!s}, for which the fit "
                f"has no standard deviation of {self.name!r} (by={self.column}; known: "
                f"{', '.join(map(str, self.types.values.tolist()))}): correct it, or leave these rows out"
            )
        new = types_of_levels(rows, found[codes], self.types, self.column, self.name, len(rows.levels))
        place = self.levels.find(rows.levels)
        known, code = len(self.levels), np.empty(len(self.levels) + len(fresh), dtype=np.int64)
        code[:known] = self.code[:known]
        code[known:] = new[place < 0]
        moved = np.flatnonzero((place >= 0) & (new >= 0) & (new != self.code[place]))
        if len(moved):
            level, values = int(moved[0]), self.types.values.tolist()
            raise DataError(
                f"{rows.levels.values.tolist()[level]!s} of {self.name!r} has {self.column} = "
                f"{values[new[level]]!s} in {rows.table.name}, but it had {values[self.code[place[level]]]!s} when the "
                "model was made: a level has one type; correct it, or give the level another id"
            )
        return replace(self, rows=mapped, fresh=fresh, code=code)


def types_of_levels(
    rows: Rows, code: np.ndarray, types: Levels, column: str, name: str, levels: int
) -> np.ndarray:  # fmt: skip
    """Type of each level (levels,); one that has two is an error that names the level and both values.

    Parameters
    ----------
    code : (m,) int array
        Type of each membership.
    """
    out = np.full(levels, -1, dtype=np.int64)
    out[rows.level[::-1]] = code[::-1]
    differ = np.flatnonzero(out[rows.level] != code)
    if len(differ):
        row = int(differ[0])
        values, level = types.values.tolist(), int(rows.level[row])
        many = len(np.unique(rows.level[differ]))
        more = f" ({many - 1} other levels vary too)" if many > 1 else ""
        raise DataError(
            f"by={column} of {name!r} needs one value of {column!r} for each level, but "
            f"{rows.levels.values.tolist()[level]!s} has {values[out[level]]!s} and {values[code[row]]!s}{more}: "
            f"correct the column, or make levels of both, as in ({name}:{column})"
        )
    return out


@dataclass(frozen=True)
class _Named:
    """Makes the parameters of one type: the names end with its value."""

    priors: PriorMaker
    value: str

    def _of(self, name: str) -> str:
        return f"{name}[{self.value}]"

    def sd(self, name: str, effective: float = 1.0, spread: float = 1.0) -> Parameter:
        return self.priors.sd(self._of(name), effective, spread)

    def correlations(self, names: Sequence[str], terms: int) -> tuple[tuple[Parameter, ...], Any]:
        return self.priors.correlations([self._of(n) for n in names], terms)

    def coefficient(self, name: str, spread: float) -> Parameter:
        return self.priors.coefficient(self._of(name), spread)

    def hyper(self, name: str, kind: str, default: Prior, start: float) -> Parameter:
        return self.priors.hyper(self._of(name), kind, default, start)


def make_by(setting: Setting, column: str, make: Callable[[Setting], Any]) -> ByType:
    """Effects of the kind that `make` builds, with parameters for each value of a column."""
    return by_type(setting.name, setting.rows, column, setting.priors, lambda own: make(replace(setting, priors=own)))


def by_type(name: str, rows: Rows, column: str, priors: PriorMaker, make: Callable[[PriorMaker], Any]) -> ByType:
    """The same from memberships; `make` builds the kind of each type, in the order of its values."""
    code, types = encode(_types(rows.table, column, name))
    if len(types) == 1:
        raise ModelError(f"by={column} of {name!r} has one value only ({types.values.tolist()[0]!s}): leave it out")
    of_level = types_of_levels(rows, code, types, column, name, len(rows.levels))
    kinds = tuple(make(_Named(priors, str(value))) for value in types.values.tolist())
    hypers = tuple(p for kind in kinds for p in kind.hypers)
    return ByType(name, rows, hypers, (), column, types, kinds, of_level)


def _types(table: Table, column: str, name: str) -> Any:
    """The column of types; numbers with fractions are hardly types."""
    found = table[column]
    if found.kind == "number" and not np.all(found.values == np.floor(found.values)):
        raise ModelError(
            f"by={column} of {name!r} makes a standard deviation for each value, but {column!r} holds numbers with "
            "fractions: give a column of categories"
        )
    return found
