"""From data in partitions to a specification whose rows stay where they are.

The first pass reads every partition where it lies and brings what the formula reads of it together, once, for what the
groups have in common: levels, codings and centres of terms, starting values. The second pass makes the rows of each
partition there, from the terms of the first.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..effects.sources import read_sources
from ..engines.probes import probe_keys
from ..errors import DataError, MicromacroWarning, ModelError, warn
from ..families.registry import find_family
from ..latent.apart.crew import Crew
from ..latent.apart.piece import LocalRows
from ..latent.apart.rows import NAME, Scattered, ScatteredSystem
from ..latent.part import Part
from ..latent.representation.iterated import Iterated
from ..model.draft import Arguments, Draft, reading_of
from ..model.public import Model
from ..model.specification import Specification
from ..table.memberships import Tables
from ..table.merging import few, merged
from .sources import Partition

TOGETHER = "fit them as one table (data.compute() of a Dask frame)"


def specify_apart(
    arguments: Arguments, columns: Sequence[str], sources: Sequence[Any], crew: Crew, priors: bool, seed: int
) -> tuple[Model, Specification]:
    """The model of data in partitions, for an engine that works by iteration.

    Parameters
    ----------
    arguments : Arguments
        Of the call; its ``data`` are not looked at.
    columns : sequence of str
        Those of the data.
    sources : sequence
        What each partition is read from.
    crew : Crew
        Who keeps the partitions.
    priors : bool
        Whether parameters have default priors.
    seed : int
        Of the probes.

    Raises
    ------
    DataError
        For a group in two partitions, and all that tables may have wrong.
    ModelError
        For what cannot be fitted in partitions.
    """
    _check_arguments(arguments)
    family = find_family(arguments.family)
    reading = reading_of(arguments, columns, read_sources(arguments.known, arguments.graphs))
    each = [(source, k, reading.request, arguments.missing) for k, source in enumerate(sources)]
    crew.make("table", Partition, each)
    tables, rows = gathered(crew)
    for note in tables.notes:
        if note.severity == "caution":
            warn(note)
    whole = Model(Draft(arguments, family, reading, tables))
    specification = replace(whole._specified(priors), factor="none", seed=seed)
    _check_model(specification)
    model = Model(Draft(arguments, family, reading, None))
    return model, _scattered(specification, tables, rows, crew)


def gathered(crew: Crew) -> tuple[Tables, list[np.ndarray]]:
    """What the formula reads of all partitions, and the rows of those that have any; the crew keeps no others."""
    found = crew.ask("table", "read")
    left_out = [note for notes in crew.ask("table", "left_out") for note in notes]
    there = [k for k, one in enumerate(found) if one is not None]
    if not there:
        lost = "".join(f"; {note}" for note in left_out)
        raise DataError(f"data has no rows in any of its partitions{' that could be kept' if lost else ''}{lost}")
    crew.only(there)
    tables, rows = merged([found[k] for k in there])
    return replace(tables, notes=(*left_out, *tables.notes)), rows


def _check_arguments(arguments: Arguments) -> None:
    """What cannot lie in partitions."""
    for name in ("memberships", "members"):
        if getattr(arguments, name) is not None:
            raise ModelError(
                f"{name}= is for tables: data in partitions have one row per membership, with all columns; join "
                f"{name} to them before"
            )
    if arguments.collinear != "error":
        raise ModelError(f'collinear="drop" is for tables: leave out the terms of data in partitions, or {TOGETHER}')


def _check_model(specification: Specification) -> None:
    """Refuse by name what cannot be fitted in partitions."""
    system, why = specification.system, ""
    if system.expansion is not None or system.beside is not None or specification.response.sets is not None:
        why = f"family {specification.family.name} with these terms has rows that are not its groups"
    elif not system.n_effects:
        why = "a model without effects of members or units has no matrix to iterate with"
    else:
        lost = [part.name for part in system.parts if part.divided is None]
        if lost:
            why = (
                f"the term {lost[0]!r} needs all groups together (fixed terms, units and blocks of members with iid or "
                "correlated effects and weights that cannot be negative do not)"
            )
    if why:
        raise ModelError(f"data in partitions: {why}; {TOGETHER}")


def _scattered(specification: Specification, tables: Tables, rows: list[np.ndarray], crew: Crew) -> Specification:
    """The specification with a system whose rows are made by the crew."""
    system, small = specification.system, few(tables)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MicromacroWarning)
        parts = [part.on(small) for part in system.parts]
    keys = probe_keys(specification)
    leading = Iterated(system.symbolic, keys, 0).leading
    each = [(parts, system.symbolic.position, leading, keys[system.symbolic.order[:leading]])] * len(crew)
    crew.make(NAME, rows_of, each)
    scattered = Scattered(crew, rows, leading)
    made = ScatteredSystem.of(system, parts, scattered)
    made.parts = tuple(_knowing(part, k, made) for k, part in enumerate(parts))
    return replace(specification, system=made, tables=replace(tables, blocks=small.blocks))


def _knowing(part: Part, number: int, system: ScatteredSystem) -> Part:
    """A part that asks the pieces for what its weights add up to."""
    size = system.places.family.start
    start, reads = np.array([p.start for p in system.hypers[:size]]), np.arange(size)[system.places.reads(number)]

    def total(own: np.ndarray) -> Any:
        theta = start.copy()
        theta[reads[: len(own)]] = own
        return system.scales(theta)[number]

    assert part.divided is not None
    return part.divided.knowing(total)


def rows_of(
    partition: Partition, parts: Sequence[Part], position: np.ndarray, leading: int, keys: np.ndarray
) -> LocalRows:
    """The rows of a partition."""
    assert partition.apart is not None
    tables = partition.apart.tables
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MicromacroWarning)
        own = [part.on(tables) for part in parts]
    return LocalRows(own, tables.groups.n_rows, position, leading, keys)
