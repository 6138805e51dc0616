"""What a model is made from, before any of it is built: the arguments of the call, the formula, the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..effects.sources import read_sources
from ..errors import ModelError, warn
from ..families.base import Family
from ..families.registry import find_family
from ..priors import Prior
from ..table.memberships import Tables, assemble, available_columns
from .others import KEYWORDS, given_formulas
from .reading import Reading, read

Priors = Mapping[str, "Prior | str"] | Any | str | None


@dataclass(frozen=True, eq=False)
class Arguments:
    """What :func:`micromacro.fit` was asked to model, as it was given; the engine's settings are not among it."""

    formula: str
    data: Any
    family: str | Family = "gaussian"
    priors: Priors = None
    fixed: Any = None
    graphs: Mapping[str, Any] | None = None
    memberships: Any = None
    members: Any = None
    missing: str = "error"
    observation_weights: str | None = None
    known: Mapping[str, Any] | None = None
    sigma: str | None = None
    phi: str | None = None
    shape: str | None = None
    nu: str | None = None
    zi: str | None = None
    hu: str | None = None
    collinear: str = "error"

    @property
    def others(self) -> dict[str, str]:
        """Formulas of other linear predictors by the parameter that they predict."""
        return given_formulas(**{name: getattr(self, name) for name in KEYWORDS})


@dataclass(frozen=True, eq=False)
class Draft:
    """A model whose formula and tables are read.

    Attributes
    ----------
    arguments : Arguments
    family : Family
    reading : Reading
    tables : Tables or None
        None where a file has none; :func:`on_data` gives them.
    stored : bool
        Whether the tables are those of a file, which have only what its formula reads.
    """

    arguments: Arguments
    family: Family
    reading: Reading
    tables: Tables | None
    stored: bool = False

    @property
    def columns(self) -> Sequence[str]:
        """Columns of all tables that it was given."""
        return available_columns(self.arguments.data, self.arguments.memberships, self.arguments.members)


def reading_of(arguments: Arguments, columns: Sequence[str], sources: Mapping[str, Any]) -> Reading:
    """The formula of some arguments, read; `columns` are those of the user's tables."""
    if arguments.collinear not in ("error", "drop"):
        raise ModelError(f'collinear= is "error" or "drop", not {arguments.collinear!r}')
    made = read(arguments.formula, columns, arguments.observation_weights, sources, arguments.others)
    return replace(made, drops=arguments.collinear == "drop")


def read_draft(arguments: Arguments, columns: Sequence[str] | None = None) -> Draft:
    """Read the formula and the tables; `columns` are those of the user's tables, if more than there are here."""
    a = arguments
    family = find_family(a.family)
    there = available_columns(a.data, a.memberships, a.members) if columns is None else columns
    reading = reading_of(a, there, read_sources(a.known, a.graphs))
    tables = assemble(reading.request, a.data, a.memberships, a.members, a.missing)
    for note in tables.notes:
        if note.severity == "caution":
            warn(note)
    return Draft(a, family, reading, tables)


def on_data(draft: Draft, data: Any, memberships: Any, members: Any, missing: str) -> Draft:
    """The draft on the user's tables instead of those of a file."""
    given = replace(draft.arguments, data=data, memberships=memberships, members=members, missing=missing)
    columns = available_columns(data, memberships, members)
    reading = reading_of(given, columns, draft.reading.sources)
    tables = assemble(reading.request, data, memberships, members, missing)
    return Draft(given, draft.family, reading, tables)
